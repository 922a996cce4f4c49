/* What a pager gets: a row for each exit code, and one line whatever the text. */
#include "ctl/nagios.h"

#include <stdlib.h>

#include "tests/lib/check.h"

static void every_exit_code_has_a_state(void)
{
    static const struct {
        enum exit_code code;
        enum nagios_state state;
    } rows[] = {
        {EXIT_HEALTHY, NAGIOS_OK},           {EXIT_DEGRADED, NAGIOS_WARNING},
        {EXIT_CRITICAL, NAGIOS_CRITICAL},    {EXIT_NO_QUORUM, NAGIOS_CRITICAL},
        {EXIT_UNREACHABLE, NAGIOS_CRITICAL}, {EXIT_TIMED_OUT, NAGIOS_CRITICAL},
        {EXIT_BUG, NAGIOS_UNKNOWN},          {EXIT_DENIED, NAGIOS_UNKNOWN},
        {EXIT_VERSION, NAGIOS_UNKNOWN},      {EXIT_USAGE, NAGIOS_UNKNOWN},
        {EXIT_CONFIG, NAGIOS_UNKNOWN},       {EXIT_REFUSED, NAGIOS_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_EQ(nagios_state(rows[i].code), rows[i].state);
    }
}

static void it_is_one_line_without_what_means_something_to_its_reader(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f != NULL);
    nagios_print(EXIT_DEGRADED, "bj1 is down\n | 4/5 nodes", f);
    fclose(f);
    CHECK_STR_EQ(text, "MAILQUORUM WARNING - bj1 is down? , 4/5 nodes\n");
    free(text);
}

CHECK_MAIN
{
    RUN(every_exit_code_has_a_state);
    RUN(it_is_one_line_without_what_means_something_to_its_reader);
}
