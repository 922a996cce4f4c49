/* The lag of a copy: its trend from a bounded series, when it crosses its limit, and how bad that is. */
#include "raft/rules/lag.h"

#include "tests/lib/check.h"

static struct lag_series series;

/* Samples a second apart: start, start + step, ... */
static void ramp(unsigned n, int64_t start_ms, int64_t step_ms)
{
    lag_series_clear(&series);
    for (unsigned i = 0; i < n; i++) {
        int64_t lag = start_ms + (int64_t)i * step_ms;
        lag_series_add(&series, 10000 + i * LAG_SAMPLE_MS, lag > 0 ? (uint64_t)lag : 0);
    }
}

static int64_t slope_us(void)
{
    int64_t slope = 0;
    CHECK(lag_series_slope(
        &series, series.samples[(series.first + series.n - 1) % LAG_SERIES_MAX].time_ms, &slope));
    return slope;
}

static void a_steady_ramp_is_its_slope(void)
{
    ramp(20, 0, 400);
    CHECK_EQ(slope_us(), 400000);
    ramp(LAG_SERIES_MAX * 3, 1000000, -250);
    CHECK_EQ(series.n, LAG_SERIES_MAX);
    CHECK_EQ(slope_us(), -250000);
    ramp(10, 700, 0);
    CHECK_EQ(slope_us(), 0);
}

static void too_few_or_too_old_samples_show_no_trend(void)
{
    int64_t slope;
    ramp(LAG_TREND_SAMPLES - 1, 0, 100);
    CHECK(!lag_series_slope(&series, 14000, &slope));
    ramp(LAG_TREND_SAMPLES, 0, 100);
    CHECK(lag_series_slope(&series, 14000, &slope));
    CHECK(!lag_series_slope(&series, 14000 + 6 * LAG_SAMPLE_MS, &slope));
    lag_series_clear(&series);
    CHECK(!lag_series_slope(&series, 14000, &slope));
}

static void samples_closer_than_a_second_and_times_that_run_back_are_ignored(void)
{
    ramp(5, 0, 100);
    lag_series_add(&series, 14500, 999999);
    lag_series_add(&series, 9000, 999999);
    CHECK_EQ(series.n, 5);
}

static void very_long_lags_do_not_overflow(void)
{
    ramp(LAG_SERIES_MAX, 0, INT64_C(1) << 50);
    CHECK(slope_us() > 0);
    struct lag_verdict v = lag_judge(UINT64_MAX, true, INT64_MIN, 0);
    CHECK_EQ(v.severity, SEVERITY_ORANGE);
}

struct row {
    uint64_t lag_ms;
    bool known;
    int64_t slope_us;
    uint64_t limit_ms;
    enum severity severity;
    const char *eta;
};

static const struct row rows[] = {
    {0, true, 0, 0, SEVERITY_OK, "never"},
    {40, true, 900000, 0, SEVERITY_OK, "never"},          /* below the floor: noise */
    {1000, true, 500, 0, SEVERITY_OK, "never"},           /* rises too slowly to matter */
    {1000, false, 0, 0, SEVERITY_OK, "?"},                /* too few samples */
    {1000, true, 400000, 0, SEVERITY_OK, "in 10.00s"},    /* a burst is no alarm */
    {2000, true, 400000, 0, SEVERITY_YELLOW, "in 7.50s"}, /* a breach is predicted */
    {3000, true, 1500, 0, SEVERITY_OK, "in 22m13s"},      /* later than a quarter of an hour */
    {3000, true, -400000, 0, SEVERITY_OK, "never"},
    {5000, true, -500000, 0, SEVERITY_YELLOW, "below in 0.00s"},
    {23000, true, -500000, 0, SEVERITY_YELLOW, "below in 36.00s"},
    {23000, true, 400000, 0, SEVERITY_YELLOW, "not falling"},
    {23000, true, -1, 0, SEVERITY_YELLOW, "not falling"},
    {23000, false, 0, 0, SEVERITY_YELLOW, "?"},
    {1384000, true, 400000, 0, SEVERITY_ORANGE, "not falling"},
    {9000, true, 1000000, 30000, SEVERITY_YELLOW, "in 21.00s"},
    {31000, true, -1000000, 30000, SEVERITY_ORANGE, "below in 1.00s"},
    {50000, true, 0, 60000, SEVERITY_OK, "never"},
};

static void each_lag_has_its_severity_and_its_eta(void)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[32];
        struct sentence s;
        struct lag_verdict v =
            lag_judge(rows[i].lag_ms, rows[i].known, rows[i].slope_us, rows[i].limit_ms);
        sentence_init(&s, text, sizeof(text));
        lag_eta_text(&v, &s);
        CHECK_STR_EQ(text, rows[i].eta);
        CHECK_EQ(v.severity, rows[i].severity);
    }
}

CHECK_MAIN
{
    RUN(a_steady_ramp_is_its_slope);
    RUN(too_few_or_too_old_samples_show_no_trend);
    RUN(samples_closer_than_a_second_and_times_that_run_back_are_ignored);
    RUN(very_long_lags_do_not_overflow);
    RUN(each_lag_has_its_severity_and_its_eta);
}
