/* The cluster's settings: each row has a good default and bounds; values are written as they are read. */
#include "base/cluster_settings.h"

#include "base/setting_text.h"
#include "tests/lib/check.h"

static void every_row_is_found_by_its_key_and_takes_its_default(void)
{
    for (size_t i = 0; i < cluster_setting_rows_n; i++) {
        const struct cluster_setting *row = &cluster_setting_rows[i];
        char key[CLUSTER_SETTING_KEY_MAX], text[SETTING_TEXT_MAX];
        struct cluster_settings s = {0};
        struct error e = {0};
        CHECK(cluster_setting_find(cluster_setting_key(row, key), &e) == row);
        CHECK(row->row.fallback != NULL && row->row.help[0] != '\0' && row->effect[0] != '\0');
        CHECK_OK(cluster_setting_check(row, row->row.fallback, &s, &e));
        CHECK_STR_EQ(setting_value_format(&row->row, &s, text, sizeof(text)), row->row.fallback);
        CHECK(cluster_setting_check(row, "nonsense", NULL, &e) != OK && e.text[0] != '\0');
        if (row->row.type != SETTING_TYPE_BOOLEAN) {
            setting_number_format(&row->row, row->row.max, text, sizeof(text));
            CHECK_OK(cluster_setting_check(row, text, NULL, &e));
            CHECK(cluster_setting_check(row, "0", NULL, &e) != OK);
        }
    }
}

static void a_slip_gets_a_suggestion(void)
{
    struct error e = {0};
    CHECK(cluster_setting_find("raft.preferance", &e) == NULL);
    CHECK(strstr(e.text, "did you mean raft.preference?") != NULL);
    CHECK(cluster_setting_find("frobnicate", &e) == NULL);
    CHECK(strstr(e.text, "config get lists them") != NULL);
}

static void values_are_written_in_their_largest_whole_unit(void)
{
    struct thing {
        char name[16];
        uint64_t bytes, ms, count;
        bool on;
        int level;
        struct setting_list list;
    } t = {.name = "bj1",
           .bytes = 3 << 20,
           .ms = 90000,
           .count = 60000,
           .on = true,
           .level = 2,
           .list = {.n = 2, .items = {"a", "b"}}};
    static const struct setting rows[] = {
        SETTING_STRING("a", "name", struct thing, name, "", ""),
        SETTING_BYTES("a", "bytes", struct thing, bytes, "1", 0, UINT64_MAX, ""),
        SETTING_DURATION("a", "ms", struct thing, ms, "1s", 0, UINT64_MAX, ""),
        SETTING_INTEGER("a", "count", struct thing, count, "1", 0, UINT64_MAX, ""),
        SETTING_BOOLEAN("a", "on", struct thing, on, "no", ""),
        SETTING_CHOICE("a", "level", struct thing, level, "x", "x|y|warn|z", ""),
        SETTING_LIST("a", "list", struct thing, list, "", ""),
    };
    static const char *const want[] = {"bj1", "3MB", "90s", "60000", "yes", "warn", "a b"};
    char text[SETTING_TEXT_MAX];
    for (size_t i = 0; i < 7; i++) {
        CHECK_STR_EQ(setting_value_format(&rows[i], &t, text, sizeof(text)), want[i]);
    }
    t.bytes = 1000;
    CHECK_STR_EQ(setting_value_format(&rows[1], &t, text, sizeof(text)), "1000");
    t.ms = 120000;
    CHECK_STR_EQ(setting_value_format(&rows[2], &t, text, sizeof(text)), "2m");
    t.ms = 25;
    CHECK_STR_EQ(setting_value_format(&rows[2], &t, text, 3), "25");
}

CHECK_MAIN
{
    RUN(every_row_is_found_by_its_key_and_takes_its_default);
    RUN(a_slip_gets_a_suggestion);
    RUN(values_are_written_in_their_largest_whole_unit);
}
