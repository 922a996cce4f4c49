/* Statuses as exit codes. */
#include "ctl/exit_code.h"

const struct exit_row exit_rows[] = {
    {EXIT_HEALTHY, "healthy, or done"},
    {EXIT_BUG, "a mistake of ours"},
    {EXIT_DEGRADED, "degraded, serving"},
    {EXIT_CRITICAL, "something is unavailable or damaged"},
    {EXIT_NO_QUORUM, "a view without quorum, or a stale one"},
    {EXIT_REFUSED, "refused; nothing changed"},
    {EXIT_PLAN_STALE, "the plan is stale; nothing changed"},
    {EXIT_NOT_CONFIRMED, "not confirmed; nothing changed"},
    {EXIT_PARTLY, "done in part"},
    {EXIT_TIMED_OUT, "no answer in time: the outcome is unknown, it may go on"},
    {EXIT_UNREACHABLE, "no node can be reached"},
    {EXIT_DENIED, "denied: certificate or right"},
    {EXIT_VERSION, "versions do not fit"},
    {EXIT_USAGE, "usage"},
    {EXIT_CONFIG, "configuration"},
};
const size_t exit_rows_n = sizeof(exit_rows) / sizeof(exit_rows[0]);

const char *exit_text(enum exit_code code)
{
    for (size_t i = 0; i < exit_rows_n; i++) {
        if (exit_rows[i].code == code) {
            return exit_rows[i].text;
        }
    }
    return "";
}

enum exit_code exit_code_of(enum status s)
{
    switch (s) {
        case OK:
            return EXIT_HEALTHY;
        case STATUS_UNREACHABLE:
        case STATUS_CLOSED:
            return EXIT_UNREACHABLE;
        case STATUS_DENIED:
        case STATUS_TLS:
        case STATUS_WRONG_CLUSTER:
        case STATUS_WRONG_NODE:
            return EXIT_DENIED;
        case STATUS_VERSION:
            return EXIT_VERSION;
        case STATUS_PLAN_STALE:
            return EXIT_PLAN_STALE;
        case STATUS_NOT_CONFIRMED:
            return EXIT_NOT_CONFIRMED;
        case STATUS_UNKNOWN_OUTCOME:
        case STATUS_TIMEOUT:
            return EXIT_TIMED_OUT;
        case STATUS_NO_QUORUM:
            return EXIT_NO_QUORUM;
        case STATUS_NO_LEADER:
        case STATUS_CORRUPT:
            return EXIT_CRITICAL;
        case STATUS_NO_MEMORY:
        case STATUS_INTERNAL:
            return EXIT_BUG;
        default:
            return EXIT_REFUSED;
    }
}
