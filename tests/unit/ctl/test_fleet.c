/* What nodes that do not answer mean for the exit code, and what is yellow already. */
#include "ctl/fleet.h"

#include "tests/lib/check.h"

static struct fleet f;
static struct screen s;

static enum exit_code judged(unsigned nodes, unsigned silent, enum severity severity)
{
    memset(&f, 0, sizeof(f));
    f.n = nodes;
    for (unsigned i = 0; i < silent; i++) {
        (void)error_set(&f.nodes[i].why, STATUS_UNREACHABLE, "refused");
    }
    screen_deinit(&s);
    screen_init(&s, "fleet");
    s.severity = severity;
    return fleet_judge(&f, &s);
}

static void a_silent_node_is_10_and_all_of_them_30(void)
{
    CHECK_EQ(judged(3, 0, SEVERITY_OK), EXIT_HEALTHY);
    CHECK_EQ(judged(3, 1, SEVERITY_OK), EXIT_DEGRADED);
    CHECK_EQ(s.severity, SEVERITY_YELLOW);
    CHECK_EQ(json_array_size(s.messages), 1);
    CHECK_EQ(judged(3, 3, SEVERITY_OK), EXIT_UNREACHABLE);
}

static void what_is_yellow_already_is_10_though_all_answer(void)
{
    CHECK_EQ(judged(3, 0, SEVERITY_BLUE), EXIT_HEALTHY);
    CHECK_EQ(judged(3, 0, SEVERITY_YELLOW), EXIT_DEGRADED);
    CHECK_EQ(judged(3, 1, SEVERITY_RED), EXIT_DEGRADED);
    CHECK_EQ(s.severity, SEVERITY_RED);
    CHECK_EQ(judged(1, 1, SEVERITY_RED), EXIT_UNREACHABLE);
}

CHECK_MAIN
{
    screen_init(&s, "fleet");
    RUN(a_silent_node_is_10_and_all_of_them_30);
    RUN(what_is_yellow_already_is_10_though_all_answer);
    screen_deinit(&s);
}
