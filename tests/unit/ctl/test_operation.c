/* How far, how fast, how long yet: honest where it cannot be told. */
#include "ctl/operation.h"

#include "tests/lib/check.h"

static char step[] = "fetching from bj1", bytes[] = "bytes", copies[] = "copies",
            disk[] = "the disk";

static Mq__OperationRow row_of(char *unit, uint64_t done, uint64_t total, uint64_t elapsed_ms)
{
    Mq__OperationRow row = MQ__OPERATION_ROW__INIT;
    row.step = step;
    row.unit = unit;
    row.done = done;
    row.total = total;
    row.elapsed_ms = elapsed_ms;
    row.running = true;
    return row;
}

static void it_says_percent_rate_and_time_left(void)
{
    Mq__OperationRow row = row_of(bytes, 4ull << 30, 10ull << 30, 40000);
    char text[OPERATION_TEXT_SIZE];
    uint64_t eta;
    row.waits = disk;
    CHECK(operation_eta(&row, &eta) && eta == 60000);
    CHECK_STR_EQ(operation_format(&row, text, sizeof(text)),
                 "fetching from bj1: 40%, 4.0G of 10G, 102M/s, 1m00s left, waits for the disk");
    row = row_of(copies, 10, 13, 2000);
    CHECK_STR_EQ(operation_format(&row, text, sizeof(text)),
                 "fetching from bj1: 76%, 10 of 13 copies, 5/s, 0.60s left");
}

static void what_cannot_be_told_is_not_told(void)
{
    Mq__OperationRow row = row_of(bytes, 0, 0, 5000);
    char text[OPERATION_TEXT_SIZE];
    uint64_t eta;
    CHECK(!operation_eta(&row, &eta));
    CHECK_STR_EQ(operation_format(&row, text, sizeof(text)), "fetching from bj1");
    row = row_of(bytes, 0, 100, 5000);
    CHECK(!operation_eta(&row, &eta));
    row = row_of(bytes, 50, 100, 40000);
    row.still_ms = OPERATION_STALL_MS;
    CHECK(operation_stalled(&row) && !operation_eta(&row, &eta));
    row.running = false;
    CHECK(!operation_stalled(&row) && !operation_eta(&row, &eta));
}

/* Numbers no honest node has: they are shown, and nothing overflows. */
static void any_numbers_can_be_shown(void)
{
    Mq__OperationRow row = row_of(copies, UINT64_MAX, 1, 100);
    char text[OPERATION_TEXT_SIZE];
    uint64_t eta;
    CHECK(strstr(operation_format(&row, text, sizeof(text)), ": 999%, ") != NULL);
    row = row_of(bytes, UINT64_MAX, UINT64_MAX, 100);
    CHECK(strstr(operation_format(&row, text, sizeof(text)), ": 100%, ") != NULL);
    row = row_of(bytes, 1, UINT64_MAX, UINT64_MAX);
    CHECK(operation_eta(&row, &eta));
    CHECK_EQ(eta, 10000000000000000000ull);
}

CHECK_MAIN
{
    RUN(it_says_percent_rate_and_time_left);
    RUN(what_cannot_be_told_is_not_told);
    RUN(any_numbers_can_be_shown);
}
