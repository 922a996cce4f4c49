/* Sentences in memory of the caller: what each directive writes, and where it ends. */
#include "base/sentence.h"

#include "tests/lib/check.h"

static char text[64];
static struct sentence s;

static void each_directive_writes_what_printf_would(void)
{
    sentence_init(&s, text, sizeof(text));
    sentence_add(&s, "%s %u %d %llu %c 100%%", "abc", 42u, -7, 18446744073709551615ull, 'x');
    CHECK_STR_EQ(text, "abc 42 -7 18446744073709551615 x 100%");
    sentence_init(&s, text, sizeof(text));
    sentence_add(&s, "%02u|%3u|%03llu|%u", 5u, 7u, 1234ull, 0u);
    CHECK_STR_EQ(text, "05|  7|1234|0");
    sentence_init(&s, text, sizeof(text));
    sentence_add(&s, "%d", INT32_MIN);
    CHECK_STR_EQ(text, "-2147483648");
}

static void it_is_cut_at_its_end_and_always_terminated(void)
{
    char small[6];
    sentence_init(&s, small, sizeof(small));
    sentence_add(&s, "%s", "abc");
    sentence_add(&s, "%s", "defghi");
    CHECK_STR_EQ(small, "abcde");
    sentence_add(&s, "more");
    CHECK_STR_EQ(small, "abcde");
    sentence_init(&s, small, 1);
    sentence_add(&s, "more %u", 1u);
    CHECK_STR_EQ(small, "");
}

static void spans_and_times_are_short(void)
{
    char span[SPAN_TEXT_SIZE], time[TIME_TEXT_SIZE];
    CHECK_STR_EQ(span_format(0, span), "0.00s");
    CHECK_STR_EQ(span_format(59990, span), "59.99s");
    CHECK_STR_EQ(span_format(372000, span), "6m12s");
    CHECK_STR_EQ(span_format(3 * 3600000, span), "3h");
    CHECK_STR_EQ(span_format(UINT64_C(84) * 86400000, span), "84d");
    CHECK_STR_EQ(span_format(UINT64_MAX, span), "213503982334d");
    CHECK_STR_EQ(time_format(UINT64_C(1764000000000), time), "16:00:00Z");
}

CHECK_MAIN
{
    RUN(each_directive_writes_what_printf_would);
    RUN(it_is_cut_at_its_end_and_always_terminated);
    RUN(spans_and_times_are_short);
}
