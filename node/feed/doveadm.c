/* One place that knows the beginning of doveadm's command line. */
#include "node/feed/doveadm.h"

#include <string.h>

#include "base/must.h"

/* `doveadm(USER): Error: Mailbox NAME: Failed to lookup mailbox status: Mailbox doesn't exist: NAME` */
static bool says_absent(const char *line)
{
    return strstr(line, ": Failed to lookup mailbox status: Mailbox doesn't exist: ") != NULL ||
           strstr(line, ": Info: ") != NULL;
}

bool doveadm_listing_whole(const struct child *c)
{
    return child_succeeded(c) || (!c->timed_out && !c->killed && c->signal == 0 &&
                                  c->exit_status == DOVEADM_EX_NOTFOUND && c->error_lines > 0 &&
                                  c->error_lines == c->error_lines_harmless);
}

enum status doveadm_start(struct child *c, uv_loop_t *loop, const struct feed_config *f,
                          const char *const words[], int inherit_fd)
{
    const char *argv[DOVEADM_WORDS_MAX + 4];
    int n = 0;
    argv[n++] = f->doveadm;
    if (f->doveadm_config[0] != '\0') {
        argv[n++] = "-c";
        argv[n++] = f->doveadm_config;
    }
    for (int i = 0; words[i] != NULL; i++) {
        must(i < DOVEADM_WORDS_MAX);
        argv[n++] = words[i];
    }
    argv[n] = NULL;
    c->harmless = says_absent;
    return child_start(c, loop, argv, inherit_fd, f->pull_deadline_ms);
}
