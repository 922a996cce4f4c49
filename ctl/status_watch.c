/* clusterctl status again and again: --watch shows each look, --exit-when-healthy ends with the first one that is well.
 *
 *   look -> shown (with --watch), or kept back -> well, or --timeout over: the last one is shown, its code is the exit code -> the interval
 *
 * A look that fails (no node answers) is one like any other: the next may find somebody. The last one may end up to LOOK_MS_MIN after
 * --timeout, so that it has time to say how things are. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/caller.h"
#include "ctl/ctl.h"
#include "ctl/status.h"

#define INTERVAL_MS     1000u
#define INTERVAL_MS_MIN 200u
#define LOOK_MS_MIN     3000u

/* What a look says, kept back; NULL: it goes out at once. */
struct kept {
    char *text[2];
    size_t size[2];
    FILE *to[2];
};

static void keep(struct kept *k, FILE **streams[2])
{
    for (unsigned i = 0; i < 2; i++) {
        k->to[i] = *streams[i];
        FILE *f = open_memstream(&k->text[i], &k->size[i]);
        *streams[i] = f != NULL ? f : k->to[i];
    }
}

static void give(struct kept *k, FILE **streams[2], bool show)
{
    for (unsigned i = 0; i < 2; i++) {
        bool held = *streams[i] != k->to[i] && fclose(*streams[i]) == 0;
        *streams[i] = k->to[i];
        if (held && show) {
            (void)fwrite(k->text[i], 1, k->size[i], k->to[i]);
        }
        free(k->text[i]);
    }
}

static enum exit_code look(struct ctl *c, uint64_t until_ms, bool *out_over)
{
    const struct options *o = &c->arguments.options;
    FILE **streams[2] = {&c->out, &c->err};
    struct kept k = {0};
    uint64_t now = caller_now_ms();
    uint64_t left_ms = until_ms > now + LOOK_MS_MIN ? until_ms - now : LOOK_MS_MIN;
    c->deadline_at_ms = now + (left_ms < CTL_TIMEOUT_MS ? left_ms : CTL_TIMEOUT_MS);
    keep(&k, streams);
    enum exit_code code = status_once(c);
    *out_over = (o->exit_when_healthy && code == EXIT_HEALTHY) || caller_now_ms() >= until_ms;
    give(&k, streams, o->watch || *out_over);
    (void)fflush(c->out);
    return code;
}

enum exit_code status_watch(struct ctl *c)
{
    struct options *o = &c->arguments.options;
    uint64_t interval_ms = o->interval_ms != 0 ? o->interval_ms : INTERVAL_MS;
    uint64_t until_ms = o->timeout_ms != 0 ? caller_now_ms() + o->timeout_ms : UINT64_MAX;
    interval_ms = interval_ms < INTERVAL_MS_MIN ? INTERVAL_MS_MIN : interval_ms;
    if (o->output == OUTPUT_JSON && o->watch) {
        o->output = OUTPUT_NDJSON; /* a line a look */
    }
    ctl_endless(c);
    for (;;) {
        bool over;
        enum exit_code code = look(c, until_ms, &over);
        if (over || ferror(c->out) != 0) {
            return code;
        }
        if (o->watch && o->output == OUTPUT_TABLE) {
            fputc('\n', c->out);
        }
        uint64_t now = caller_now_ms(), left_ms = until_ms > now ? until_ms - now : 0;
        (void)poll(NULL, 0, (int)(left_ms < interval_ms ? left_ms : interval_ms));
    }
}
