/* What `status` says about a feed. */
#include "ctl/feed_view.h"

#include "tests/lib/check.h"

#define NOW_MS 1700000000000ull

static struct feed_view feed(void)
{
    return (struct feed_view){.host = "mx1",
                              .site = "beijing",
                              .store = "bj",
                              .age_ms = 1000,
                              .started_ms = NOW_MS - 3600000,
                              .sweep_end_ms = NOW_MS - 5000,
                              .sweep_interval_ms = 10000};
}

static enum severity judge(const struct feed_view *f, unsigned max, size_t *out_messages,
                           char *out_id)
{
    struct screen s;
    screen_init(&s, "test");
    enum severity severity = feed_view_judge(f, NOW_MS, max, &s);
    *out_messages = json_array_size(s.messages);
    out_id[0] = '\0';
    if (*out_messages > 0) {
        snprintf(out_id, 64, "%s",
                 json_string_value(json_object_get(json_array_get(s.messages, 0), "id")));
    }
    screen_deinit(&s);
    return severity;
}

static void a_feed_that_speaks_and_sweeps_is_no_message(void)
{
    struct feed_view f = feed();
    size_t n;
    char id[64];
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_OK);
    CHECK_EQ(n, 0);
}

static void a_silent_or_stopped_feed_is_named_and_its_old_troubles_are_not(void)
{
    struct feed_view f = feed();
    size_t n;
    char id[64];
    f.troubles_n = 1;
    f.age_ms = FEED_SILENT_MS + 1;
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_YELLOW);
    CHECK_EQ(n, 1);
    CHECK(strcmp(id, "FEED_SILENT") == 0);
    f.age_ms = 0;
    f.stopping = true;
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_YELLOW);
    CHECK(strcmp(id, "FEED_SILENT") == 0);
}

static void since(const struct feed_view *f, uint64_t want_ms)
{
    struct screen s;
    screen_init(&s, "x");
    (void)feed_view_judge(f, NOW_MS, 3, &s);
    json_t *at = json_time(want_ms);
    CHECK(json_equal(json_object_get(json_array_get(s.messages, 0), "since"), at));
    json_decref(at);
    screen_deinit(&s);
}

static void each_says_since_when(void)
{
    struct feed_view f = feed();
    f.age_ms = FEED_SILENT_MS + 1;
    since(&f, NOW_MS - f.age_ms);
    f = feed();
    f.sweep_end_ms = NOW_MS - FEED_SWEEP_LATE_MIN - 1;
    since(&f, f.sweep_end_ms);
    f = feed();
    f.troubles_n = 1;
    f.troubles[0].since_ms = NOW_MS - 5000;
    since(&f, NOW_MS - 5000);
}

static void sweeps_that_do_not_end_are_named(void)
{
    struct feed_view f = feed();
    size_t n;
    char id[64];
    f.sweep_end_ms = NOW_MS - FEED_SWEEP_LATE_MIN;
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_OK);
    f.sweep_end_ms = NOW_MS - FEED_SWEEP_LATE_MIN - 1;
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_YELLOW);
    CHECK(strcmp(id, "FEED_SWEEP_LATE") == 0);
    f.sweep_interval_ms = 3600000; /* one an hour: six of them may pass */
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_OK);
}

static void troubles_over_the_limit_are_counted(void)
{
    struct feed_view f = feed();
    size_t n;
    char id[64];
    f.troubles_n = 5;
    for (unsigned i = 0; i < f.troubles_n; i++) {
        snprintf(f.troubles[i].id, sizeof(f.troubles[i].id), "MQ-FEED-USER");
    }
    CHECK_EQ(judge(&f, 3, &n, id), SEVERITY_YELLOW);
    CHECK_EQ(n, 4);
    CHECK_EQ(judge(&f, 16, &n, id), SEVERITY_YELLOW);
    CHECK_EQ(n, 5);
    f.more_troubles = true;
    CHECK_EQ(judge(&f, 16, &n, id), SEVERITY_YELLOW);
    CHECK_EQ(n, 6);
}

CHECK_MAIN
{
    RUN(a_feed_that_speaks_and_sweeps_is_no_message);
    RUN(a_silent_or_stopped_feed_is_named_and_its_old_troubles_are_not);
    RUN(each_says_since_when);
    RUN(sweeps_that_do_not_end_are_named);
    RUN(troubles_over_the_limit_are_counted);
}
