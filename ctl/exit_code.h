/* What clusterctl's exit code says, for scripts. Never renumbered. */
#ifndef MQ_CTL_EXIT_CODE_H
#define MQ_CTL_EXIT_CODE_H

#include <stddef.h>

#include "base/status.h"

enum exit_code {
    EXIT_HEALTHY = 0,    /* healthy, or done */
    EXIT_BUG = 1,        /* ours */
    EXIT_DEGRADED = 10,  /* degraded, serving */
    EXIT_CRITICAL = 11,  /* something is unavailable or damaged */
    EXIT_NO_QUORUM = 12, /* a view without quorum, or a stale one */
    EXIT_REFUSED = 20,   /* by a rail or the state of the cluster; nothing changed */
    EXIT_PLAN_STALE = 21,
    EXIT_NOT_CONFIRMED = 22,
    EXIT_PARTLY = 23,
    EXIT_TIMED_OUT = 24, /* the outcome is unknown; it may go on */
    EXIT_UNREACHABLE = 30,
    EXIT_DENIED = 31,
    EXIT_VERSION = 32,
    EXIT_USAGE = 64,
    EXIT_CONFIG = 78,
};

struct exit_row {
    enum exit_code code;
    const char *text;
};
extern const struct exit_row exit_rows[]; /* every code, lowest first */
extern const size_t exit_rows_n;
const char *exit_text(enum exit_code code);

/* Of a call that did not end well. */
enum exit_code exit_code_of(enum status s);

#endif
