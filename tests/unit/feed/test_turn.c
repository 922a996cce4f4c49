/* Whose turn it is when some users hang: SLOTS, who RUNS, who WAITS, and who is NEXT. */
#include "node/feed/turn.h"

#include "tests/lib/check.h"

static enum turn_lane next(uint64_t slots, unsigned healthy_run, unsigned sick_run,
                           bool healthy_wait, bool sick_wait)
{
    struct turn t = {
        .slots = slots, .running = {healthy_run, sick_run}, .waits = {healthy_wait, sick_wait}};
    return turn_next(&t);
}

static void the_sick_have_a_quarter_of_the_slots_while_the_healthy_wait(void)
{
    CHECK_EQ(next(4, 0, 0, true, true), TURN_SICK);
    CHECK_EQ(next(4, 0, 1, true, true), TURN_HEALTHY);
    CHECK_EQ(next(4, 2, 1, true, true), TURN_HEALTHY);
    CHECK_EQ(next(4, 3, 0, true, true), TURN_SICK); /* they are not starved either */
    CHECK_EQ(next(4, 3, 1, true, true), TURN_NOBODY);
    CHECK_EQ(next(16, 0, 3, true, true), TURN_SICK);
    CHECK_EQ(next(16, 0, 4, true, true), TURN_HEALTHY);
    CHECK_EQ(next(2, 0, 1, true, true), TURN_HEALTHY);
}

static void the_sick_have_all_slots_but_one_when_no_healthy_user_waits(void)
{
    CHECK_EQ(next(4, 0, 1, false, true), TURN_SICK);
    CHECK_EQ(next(4, 0, 2, false, true), TURN_SICK);
    CHECK_EQ(next(4, 0, 3, false, true), TURN_NOBODY);
    CHECK_EQ(next(4, 1, 2, false, true), TURN_NOBODY);
    CHECK_EQ(next(4, 0, 3, true, true), TURN_HEALTHY);
    CHECK_EQ(next(2, 0, 1, false, true), TURN_NOBODY);
}

static void the_healthy_have_all_slots_when_nobody_is_sick(void)
{
    CHECK_EQ(next(4, 3, 0, true, false), TURN_HEALTHY);
    CHECK_EQ(next(4, 4, 0, true, false), TURN_NOBODY);
    CHECK_EQ(next(4, 0, 0, false, false), TURN_NOBODY);
    CHECK_EQ(next(1, 0, 0, true, false), TURN_HEALTHY);
}

static void a_quarter_of_the_time_of_the_only_slot_is_the_sick_ones(void)
{
    struct turn t = {.slots = 1, .waits = {true, true}};
    CHECK_EQ(turn_next(&t), TURN_SICK);
    t.rests = true;
    CHECK_EQ(turn_next(&t), TURN_HEALTHY);
    t.waits[TURN_HEALTHY] = false;
    CHECK_EQ(turn_next(&t), TURN_NOBODY); /* a healthy one may come */
    CHECK_EQ(turn_rest_ms(1, 30000), 90000u);
    CHECK_EQ(turn_rest_ms(2, 30000), 0u);
    t.slots = 2;
    CHECK_EQ(turn_next(&t), TURN_SICK);
}

/* However many users are sick: there is always a healthy turn that does not wait for one of them. */
static void no_number_of_slots_can_be_filled_by_the_sick_alone(void)
{
    for (uint64_t slots = 2; slots <= 256; slots++) {
        struct turn t = {.slots = slots, .waits = {false, true}};
        while (turn_next(&t) == TURN_SICK) {
            t.running[TURN_SICK]++;
        }
        CHECK_EQ(t.running[TURN_SICK], slots - 1);
        t.waits[TURN_HEALTHY] = true;
        CHECK_EQ(turn_next(&t), TURN_HEALTHY);
    }
}

static void patience_doubles_up_to_its_maximum(void)
{
    CHECK_EQ(turn_patience_ms(0), 0u);
    CHECK_EQ(turn_patience_ms(1), TURN_PATIENCE_MIN_MS);
    CHECK_EQ(turn_patience_ms(2), 2 * TURN_PATIENCE_MIN_MS);
    CHECK_EQ(turn_patience_ms(5), 16 * TURN_PATIENCE_MIN_MS);
    CHECK_EQ(turn_patience_ms(20), TURN_PATIENCE_MAX_MS);
    CHECK_EQ(turn_patience_ms(UINT32_MAX), TURN_PATIENCE_MAX_MS);
}

CHECK_MAIN
{
    RUN(the_sick_have_a_quarter_of_the_slots_while_the_healthy_wait);
    RUN(the_sick_have_all_slots_but_one_when_no_healthy_user_waits);
    RUN(the_healthy_have_all_slots_when_nobody_is_sick);
    RUN(a_quarter_of_the_time_of_the_only_slot_is_the_sick_ones);
    RUN(no_number_of_slots_can_be_filled_by_the_sick_alone);
    RUN(patience_doubles_up_to_its_maximum);
}
