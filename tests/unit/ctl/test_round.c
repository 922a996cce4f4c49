/* How a round's time is shared: silent nodes do not use it up, and nobody is waited for beyond its end. */
#include "ctl/round.h"

#include "tests/lib/check.h"

#define BEGAN 1000000u

/* The first `silent` of `nodes` take all that they are given; what the next one then has. */
static uint64_t left_after(unsigned silent, unsigned nodes, uint64_t round_ms)
{
    uint64_t now = BEGAN, end = BEGAN + round_ms;
    for (unsigned i = 0; i < silent; i++) {
        now = round_until_ms(now, end, nodes - i);
    }
    return round_until_ms(now, end, nodes - silent) - now;
}

static void one_node_has_all_of_it(void)
{
    CHECK_EQ(left_after(0, 1, 3000), 3000);
}

static void silent_nodes_leave_time_for_the_next(void)
{
    CHECK_EQ(left_after(0, 5, 3000), 1500);
    CHECK_EQ(left_after(1, 5, 3000), 750);
    CHECK_EQ(left_after(2, 5, 3000), 375); /* a site is lost */
    CHECK_EQ(left_after(1, 2, 3000), 1500);
    CHECK_EQ(left_after(2, 3, 3000), 750);
}

static void nobody_is_waited_for_beyond_its_end(void)
{
    for (unsigned nodes = 1; nodes <= 64; nodes++) {
        uint64_t now = BEGAN;
        for (unsigned i = 0; i < nodes; i++) {
            uint64_t until = round_until_ms(now, BEGAN + 3000, nodes - i);
            CHECK(until >= now);
            now = until;
        }
        CHECK_EQ(now, BEGAN + 3000);
    }
    CHECK_EQ(round_until_ms(BEGAN + 1, BEGAN, 3), BEGAN + 1); /* it is over */
}

static void it_is_late_in_the_last_quarter_and_the_last_300_ms(void)
{
    static const struct {
        uint64_t whole, left;
        bool late;
    } rows[] = {
        {10000, 10000, false}, {10000, 301, false}, {10000, 300, true}, {10000, 0, true},
        {300, 300, false}, /* a completion's: it may go on to the next node */
        {300, 76, false},      {300, 75, true},     {1, 1, false},      {0, 0, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t end = BEGAN + rows[i].whole;
        CHECK_EQ(round_late(BEGAN, end - rows[i].left, end), rows[i].late);
    }
    CHECK(round_late(BEGAN, BEGAN + 5, BEGAN));
    CHECK(!round_late(0, BEGAN, UINT64_MAX));
}

CHECK_MAIN
{
    RUN(it_is_late_in_the_last_quarter_and_the_last_300_ms);
    RUN(one_node_has_all_of_it);
    RUN(silent_nodes_leave_time_for_the_next);
    RUN(nobody_is_waited_for_beyond_its_end);
}
