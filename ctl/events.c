/* clusterctl events: the rings of all nodes put together by time; --follow goes on asking, twice a second. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/event_feed.h"
#include "ctl/moment.h"

#define FOLLOW_MS 500

/* What has come since, a line each. */
static void tell(struct event_feed *f)
{
    const struct options *o = &f->c->arguments.options;
    for (size_t i = 0; i < f->list.n; i++) {
        char text[600];
        struct screen s;
        if (options_json(o)) {
            json_t *row = event_row_json(&f->list.rows[i]);
            json_dumpf(row, f->c->out, JSON_COMPACT | JSON_PRESERVE_ORDER);
            fputc('\n', f->c->out);
            json_decref(row);
            continue;
        }
        screen_init(&s, "event");
        s.answer = true;
        screen_line(&s, "%s", event_row_format(&f->list.rows[i], text, sizeof(text)));
        screen_print(&s, o, f->c->out);
        screen_deinit(&s);
    }
    (void)fflush(f->c->out);
}

/* Said once when a node falls silent, and once when it speaks again. */
static void tell_silence(struct event_feed *f, bool silent[FLEET_MAX])
{
    for (unsigned i = 0; i < f->fleet->n; i++) {
        struct fleet_node *n = &f->fleet->nodes[i];
        bool now = n->why.text[0] != '\0';
        text_clean(n->why.text);
        if (now != silent[i] && !f->c->arguments.options.quiet) {
            fprintf(f->c->err, "clusterctl: %s %s%s%s\n", n->name,
                    now ? "does not answer" : "answers again", now ? ": " : "",
                    now ? n->why.text : "");
        }
        silent[i] = now;
    }
}

static enum exit_code follow(struct event_feed *f)
{
    bool silent[FLEET_MAX] = {false};
    ctl_endless(f->c);
    for (;;) {
        tell(f);
        tell_silence(f, silent);
        if (ferror(f->c->out) != 0) {
            return EXIT_BUG;
        }
        (void)poll(NULL, 0, FOLLOW_MS);
        event_feed_fetch(f);
    }
}

static enum exit_code show(struct event_feed *f)
{
    struct screen s;
    uint64_t limit = f->c->arguments.options.limit;
    size_t first = limit != 0 && limit < f->list.n ? f->list.n - limit : 0;
    json_t *rows = json_array();
    screen_init(&s, "events");
    fleet_source(f->c, f->fleet, &s);
    enum exit_code code = fleet_judge(f->fleet, &s);
    for (size_t i = first; i < f->list.n; i++) {
        char text[600];
        screen_line(&s, "%s", event_row_format(&f->list.rows[i], text, sizeof(text)));
        json_array_append_new(rows, event_row_json(&f->list.rows[i]));
    }
    json_object_set_new(s.data, "events", rows);
    json_object_set_new(s.data, "lost", json_boolean(f->lost));
    if (f->list.n == 0) {
        screen_note(&s, "nothing happened since then, as far as the nodes that answer know");
    }
    s.answer = true;
    return ctl_finish(f->c, &s, code);
}

enum exit_code run_events(struct ctl *c)
{
    const struct options *o = &c->arguments.options;
    struct event_feed *f = calloc(1, sizeof(*f));
    enum exit_code code = EXIT_BUG;
    uint64_t now = clock_wall_ms(&clock_system), since_ms;
    if (f == NULL) {
        return ctl_refuse(c, STATUS_NO_MEMORY, "out of memory");
    }
    if (!moment_parse(o->since != NULL ? o->since : "24h", now, &since_ms)) {
        code = ctl_usage(c,
                         "--since %s: it is how long ago (10m, 2h) or a moment in UTC "
                         "(2026-11-24T14:00:00Z)",
                         o->since);
    } else if (event_feed_open(f, c, since_ms, &code) == OK) {
        event_feed_fetch(f);
        code = o->follow ? follow(f) : show(f);
    }
    event_feed_close(f);
    free(f);
    return code;
}
