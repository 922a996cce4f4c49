/* A row for each exit code that a view of the cluster, or its failure, may have. */
#include "ctl/nagios.h"

#include "base/error.h"
#include "ctl/screen.h"

enum nagios_state nagios_state(enum exit_code code)
{
    switch ((int)code) {
        case EXIT_HEALTHY:
            return NAGIOS_OK;
        case EXIT_DEGRADED:
            return NAGIOS_WARNING;
        case EXIT_CRITICAL:
        case EXIT_NO_QUORUM:
        case EXIT_TIMED_OUT:
        case EXIT_UNREACHABLE:
            return NAGIOS_CRITICAL;
        default:
            return NAGIOS_UNKNOWN;
    }
}

void nagios_print(enum exit_code code, const char *text, FILE *out)
{
    static const char *const words[] = {"OK", "WARNING", "CRITICAL", "UNKNOWN"};
    char line[2 * ERROR_TEXT_MAX];
    snprintf(line, sizeof(line), "%s", text);
    text_clean(line);
    for (char *p = line; *p != '\0'; p++) {
        *p = *p == '|' ? ',' : *p;
    }
    fprintf(out, "MAILQUORUM %s - %s\n", words[nagios_state(code)], line);
}
