/* The table of operations: bounded, and nothing depends on it. */
#include "node/operations.h"

#include "tests/lib/check.h"

static struct operations o;

static void an_operation_moves_and_ends(void)
{
    memset(&o, 0, sizeof(o));
    struct operation *op = operation_begin(&o, 1000, "copy", "mail", "bytes", 100);
    CHECK(op != NULL && op->id == 1 && op->running && op->total == 100);
    operation_move(op, 2000, 40, "fetching", "its answer");
    CHECK(op->done == 40 && op->moved_ms == 2000);
    CHECK_STR_EQ(op->waits, "its answer");
    operation_move(op, 3000, 40, NULL, NULL);
    CHECK_EQ(op->moved_ms, 2000);
    CHECK_STR_EQ(op->step, "fetching");
    operation_end(op, 4000, OK);
    CHECK(!op->running && op->done == 100 && op->ended_ms == 4000 && op->waits[0] == '\0');
    operation_move(op, 5000, 7, NULL, NULL);
    operation_end(op, 6000, STATUS_CANCELED);
    CHECK(op->done == 100 && op->ended_ms == 4000 && op->outcome == OK);
}

static void one_that_fails_keeps_how_far_it_came(void)
{
    memset(&o, 0, sizeof(o));
    struct operation *op = operation_begin(&o, 0, "copy", "mail", "bytes", 100);
    operation_move(op, 10, 40, NULL, NULL);
    operation_end(op, 20, STATUS_CANCELED);
    CHECK(op->done == 40 && op->outcome == STATUS_CANCELED);
}

static void those_that_ended_first_make_room_and_those_that_run_do_not(void)
{
    struct operation *all[OPERATIONS_MAX];
    memset(&o, 0, sizeof(o));
    for (unsigned i = 0; i < OPERATIONS_MAX; i++) {
        all[i] = operation_begin(&o, i, "verify", "x", "copies", 0);
        CHECK(all[i] != NULL);
    }
    CHECK(operation_begin(&o, 100, "verify", "x", "copies", 0) == NULL);
    operation_move(NULL, 0, 1, "nothing", "nobody");
    operation_end(NULL, 0, OK);
    operation_end(all[5], 200, OK);
    operation_end(all[3], 300, OK);
    struct operation *next = operation_begin(&o, 400, "copy", "y", "bytes", 0);
    CHECK(next == all[5] && next->id == OPERATIONS_MAX + 1);
    CHECK(operation_begin(&o, 400, "copy", "y", "bytes", 0) == all[3]);
    CHECK(operation_begin(&o, 400, "copy", "y", "bytes", 0) == NULL);
}

CHECK_MAIN
{
    RUN(an_operation_moves_and_ends);
    RUN(one_that_fails_keeps_how_far_it_came);
    RUN(those_that_ended_first_make_room_and_those_that_run_do_not);
}
