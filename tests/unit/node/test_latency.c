/* The histogram of write times: within a fifth of the truth, and of the last seconds only. */
#include "node/latency.h"

#include "tests/lib/check.h"

static void nothing_says_nothing(void)
{
    struct latency l = {0};
    CHECK_EQ(latency_percentile_us(&l, 0, 99), 0);
    CHECK_EQ(latency_percentile_us(&l, 1000000, 99), 0);
}

static void a_percentile_is_within_a_fifth(void)
{
    for (uint64_t us = 1; us < 200000000; us = us * 5 / 4 + 1) {
        struct latency l = {0};
        latency_add(&l, 100000, us);
        uint64_t said = latency_percentile_us(&l, 100000, 99);
        CHECK(said >= us && said <= us + us / 4 + 1);
    }
}

static void the_slow_hundredth_is_left_out(void)
{
    struct latency l = {0};
    for (unsigned i = 0; i < 99; i++) {
        latency_add(&l, 100000, 1000);
    }
    latency_add(&l, 100000, 900000);
    CHECK(latency_percentile_us(&l, 100000, 99) < 1300);
    CHECK(latency_percentile_us(&l, 100000, 100) >= 900000);
}

static void what_is_old_is_forgotten(void)
{
    struct latency l = {0};
    latency_add(&l, 100000, 900000);
    latency_add(&l, 105000, 1000);
    CHECK(latency_percentile_us(&l, 105000, 99) >= 900000);
    latency_add(&l, 110000, 1000);
    CHECK(latency_percentile_us(&l, 110000, 99) < 1300);
    CHECK(latency_percentile_us(&l, 115000, 99) < 1300);
    CHECK_EQ(latency_percentile_us(&l, 120000, 99), 0);
    latency_add(&l, 500000, 2000);
    CHECK(latency_percentile_us(&l, 500000, 99) < 2600);
}

static void a_wait_beyond_all_buckets_is_the_highest(void)
{
    struct latency l = {0};
    latency_add(&l, 0, UINT64_MAX);
    CHECK(latency_percentile_us(&l, 0, 99) > 200000000);
}

CHECK_MAIN
{
    RUN(nothing_says_nothing);
    RUN(a_percentile_is_within_a_fifth);
    RUN(the_slow_hundredth_is_left_out);
    RUN(what_is_old_is_forgotten);
    RUN(a_wait_beyond_all_buckets_is_the_highest);
}
