/* How each operation that was seen to run has ended, whatever happens between two looks. */
#include "ctl/op_watch.h"

#include "tests/lib/check.h"

static struct op_watch w;
static const bool both[] = {true, true}, only_first[] = {true, false};

/* id, runs or its outcome; of node "bj1" at place 0, of "sh2" at place 1. */
static struct op_seen *row(unsigned place, uint64_t id, bool running, enum status outcome,
                           uint64_t now_ms)
{
    Mq__OperationRow r = MQ__OPERATION_ROW__INIT;
    r.id = id;
    r.running = running;
    r.outcome = outcome;
    r.elapsed_ms = now_ms; /* all began at 0 */
    return op_watch_row(&w, place, place == 0 ? "bj1" : "sh2", &r, now_ms);
}

static void one_that_ends_between_two_looks_is_told(void)
{
    op_watch_init(&w, NULL);
    op_watch_begin(&w);
    CHECK(row(0, 1, false, STATUS_CORRUPT, 1000) == NULL); /* it had ended before */
    CHECK(row(0, 2, true, OK, 1000) != NULL);
    CHECK(row(1, 2, true, OK, 1000) != NULL);
    op_watch_end(&w, both, 1000);
    CHECK(op_watch_running(&w));
    op_watch_begin(&w);
    CHECK(row(0, 2, false, OK, 1500)->changed);
    CHECK(row(1, 2, false, STATUS_CORRUPT, 1500)->changed);
    op_watch_end(&w, both, 1500);
    CHECK(!op_watch_running(&w));
    CHECK_EQ(w.n, 2);
    CHECK_STR_EQ(w.seen[0].id, "bj1-2");
    CHECK_EQ(w.seen[0].state, OP_DONE);
    CHECK_EQ(w.seen[1].state, OP_FAILED);
    CHECK_EQ(op_watch_code(&w), exit_code_of(STATUS_CORRUPT));
    CHECK(!row(1, 2, false, STATUS_CORRUPT, 2000)->changed);
}

static void one_by_name_is_followed_alone_also_when_it_has_ended(void)
{
    op_watch_init(&w, "sh2-7");
    op_watch_begin(&w);
    CHECK(row(0, 7, true, OK, 1000) == NULL);
    CHECK(row(1, 7, false, OK, 1000)->changed);
    op_watch_end(&w, both, 1000);
    CHECK(!op_watch_running(&w));
    CHECK_EQ(op_watch_code(&w), EXIT_HEALTHY);
}

static void one_whose_number_another_one_has_is_lost(void)
{
    Mq__OperationRow r = MQ__OPERATION_ROW__INIT;
    op_watch_init(&w, "bj1-1");
    op_watch_begin(&w);
    CHECK(row(0, 1, true, OK, 60000) != NULL);
    op_watch_end(&w, both, 60000);
    op_watch_begin(&w);
    r.id = 1;
    r.elapsed_ms = 2000; /* the node began anew, and so did its numbers */
    CHECK(op_watch_row(&w, 0, "bj1", &r, 65000)->changed);
    op_watch_end(&w, both, 65000);
    CHECK_EQ(w.seen[0].state, OP_FORGOTTEN);
    CHECK(!op_watch_running(&w));
    CHECK_EQ(op_watch_code(&w), EXIT_TIMED_OUT);
}

static void one_whose_node_is_silent_is_waited_for_and_then_lost(void)
{
    op_watch_init(&w, "sh2-3");
    CHECK(row(1, 3, true, OK, 1000) != NULL);
    op_watch_end(&w, both, 1000);
    op_watch_end(&w, only_first, 1000 + OP_WATCH_SILENT_MS - 1);
    CHECK(op_watch_running(&w));
    CHECK(row(1, 3, true, OK, 12000) != NULL); /* back in time */
    op_watch_end(&w, both, 12000);
    op_watch_end(&w, only_first, 12000 + OP_WATCH_SILENT_MS);
    CHECK(!op_watch_running(&w));
    CHECK_EQ(w.seen[0].state, OP_SILENT);
    CHECK_EQ(op_watch_code(&w), EXIT_TIMED_OUT);
}

static void one_that_its_node_knows_no_more_is_lost_at_once(void)
{
    op_watch_init(&w, NULL);
    CHECK(row(1, 3, true, OK, 1000) != NULL);
    op_watch_end(&w, both, 1000);
    op_watch_end(&w, both, 1500);
    CHECK(!op_watch_running(&w));
    CHECK_EQ(w.seen[0].state, OP_FORGOTTEN);
    CHECK_EQ(op_watch_code(&w), EXIT_TIMED_OUT);
    CHECK(row(0, 4, true, OK, 2000) != NULL);
    CHECK(row(0, 4, false, STATUS_DENIED, 2500) !=
          NULL); /* what failed is worse than what is not known */
    CHECK_EQ(op_watch_code(&w), EXIT_DENIED);
}

static void what_does_not_fit_keeps_the_watch_going(void)
{
    op_watch_init(&w, NULL);
    op_watch_begin(&w);
    for (uint64_t i = 0; i < OP_WATCH_MAX; i++) {
        CHECK(row(0, i + 1, true, OK, 1000) != NULL);
        CHECK(row(0, i + 1, false, OK, 1000) != NULL);
    }
    CHECK(!op_watch_running(&w));
    CHECK(row(0, OP_WATCH_MAX + 1, true, OK, 1000) == NULL);
    CHECK(op_watch_running(&w));
    op_watch_begin(&w);
    CHECK(!op_watch_running(&w));
}

CHECK_MAIN
{
    RUN(one_that_ends_between_two_looks_is_told);
    RUN(one_by_name_is_followed_alone_also_when_it_has_ended);
    RUN(one_whose_number_another_one_has_is_lost);
    RUN(one_whose_node_is_silent_is_waited_for_and_then_lost);
    RUN(one_that_its_node_knows_no_more_is_lost_at_once);
    RUN(what_does_not_fit_keeps_the_watch_going);
}
