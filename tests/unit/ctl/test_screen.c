/* Screens: columns that line up whatever the script, names that cannot move a cursor, and an envelope that always has every field. */
#include "ctl/screen.h"

#include "ctl/ctl.h"
#include "tests/lib/check.h"

static char *printed(struct screen *s, int output)
{
    struct options o = {.output = output};
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f != NULL);
    screen_print(s, &o, f);
    fclose(f);
    return text;
}

static void columns_line_up_in_chinese_too(void)
{
    struct screen s;
    screen_init(&s, "x");
    screen_column(&s, "NAME");
    screen_column(&s, "N");
    screen_cell(&s, "收件箱");
    screen_cell(&s, "1");
    screen_cell(&s, "INBOX");
    screen_cell(&s, "22");
    char *text = printed(&s, 0);
    CHECK_STR_EQ(text, "NAME   N\n收件箱 1\nINBOX  22\n");
    CHECK_EQ(text_width("收件箱"), 6);
    free(text);
    screen_deinit(&s);
}

static void a_name_cannot_move_the_cursor(void)
{
    struct screen s;
    screen_init(&s, "x");
    screen_column(&s, "NAME");
    screen_cell(&s, "a\033[2Jb\nc\td");
    screen_line(&s, "%s", "x\033]0;y\007");
    char *text = printed(&s, 0);
    CHECK_STR_EQ(text, "x?]0;y?\nNAME\na?[2Jb?c?d\n");
    free(text);
    screen_deinit(&s);
}

static void nor_can_a_summary_or_what_a_node_says_when_it_refuses(void)
{
    struct screen s;
    struct ctl c = {.out = stdout};
    struct error e = {.status = STATUS_INVALID, .text = "n1: a\033[2Jb\302\233c"};
    size_t size = 0;
    char *said = NULL;
    screen_init(&s, "x");
    snprintf(s.summary, sizeof(s.summary), "a\033[2Jb");
    char *text = printed(&s, 0);
    CHECK_STR_EQ(text, "a?[2Jb\n");
    free(text);
    screen_deinit(&s);
    c.err = open_memstream(&said, &size);
    CHECK(c.err != NULL);
    (void)ctl_fail(&c, &e);
    fclose(c.err);
    CHECK(strstr(said, "n1: a?[2Jb??c") != NULL);
    free(said);
}

static void every_field_of_the_envelope_is_there_and_unknown_is_null(void)
{
    static const char *const fields[] = {"api",      "kind",    "cluster",  "as_of", "source",
                                         "severity", "summary", "messages", "data"};
    struct screen s;
    screen_init(&s, "status");
    snprintf(s.summary, sizeof(s.summary), "bad \xff utf8");
    screen_message(&s, "NODE_DOWN", SEVERITY_YELLOW, "bj1", "text", "");
    json_object_set_new(s.data, "index", json_u64(9372538179322589801ull));
    char *text = printed(&s, 1);
    json_t *j = json_loads(text, 0, NULL);
    CHECK(j != NULL);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        CHECK(json_object_get(j, fields[i]) != NULL);
    }
    CHECK_STR_EQ(json_string_value(json_object_get(json_object_get(j, "data"), "index")),
                 "9372538179322589801");
    json_t *cluster = json_object_get(j, "cluster");
    CHECK(json_is_null(json_object_get(cluster, "epoch")) &&
          json_is_null(json_object_get(cluster, "id")));
    json_t *source = json_object_get(j, "source");
    CHECK_STR_EQ(json_string_value(json_object_get(source, "consistency")), "local");
    CHECK(json_is_null(json_object_get(source, "age_seconds")));
    json_t *message = json_array_get(json_object_get(j, "messages"), 0);
    CHECK(json_is_null(json_object_get(message, "hint")) &&
          json_is_null(json_object_get(message, "since")));
    CHECK_STR_EQ(json_string_value(json_object_get(j, "summary")), "bad ? utf8");
    json_decref(j);
    free(text);
    screen_deinit(&s);
}

static char *date(int64_t seconds)
{
    static char text[64];
    json_t *j = json_date(seconds);
    snprintf(text, sizeof(text), "%s", json_is_string(j) ? json_string_value(j) : "null");
    json_decref(j);
    return text;
}

static void a_date_may_lie_before_1970_and_far_from_now(void)
{
    CHECK_STR_EQ(date(1709236800), "2024-02-29T20:00:00Z");
    CHECK_STR_EQ(date(0), "1970-01-01T00:00:00Z");
    CHECK_STR_EQ(date(-1), "1969-12-31T23:59:59Z");
    CHECK_STR_EQ(date(-62135596800), "0001-01-01T00:00:00Z");
    CHECK_STR_EQ(date(253402300799), "9999-12-31T23:59:59Z");
    CHECK_STR_EQ(date(253402300800), "null");
    CHECK_STR_EQ(date(INT64_MAX), "null");
    CHECK_STR_EQ(date(INT64_MIN), "null");
}

static void usage_is_said_as_json_where_json_is_wanted(void)
{
    struct ctl c = {.arguments.options.output = OUTPUT_JSON};
    size_t size = 0, err_size = 0;
    char *out = NULL, *err = NULL;
    c.out = open_memstream(&out, &size);
    c.err = open_memstream(&err, &err_size);
    CHECK(c.out != NULL && c.err != NULL);
    CHECK_EQ(ctl_usage(&c, "no flag --%s", "nodd"), EXIT_USAGE);
    c.arguments.options.output = OUTPUT_TABLE;
    CHECK_EQ(ctl_usage(&c, "no flag --%s", "nodd"), EXIT_USAGE);
    fclose(c.out);
    fclose(c.err);
    json_t *j = json_loads(out, 0, NULL);
    CHECK(j != NULL);
    CHECK_STR_EQ(json_string_value(json_object_get(j, "kind")), "error");
    CHECK_STR_EQ(json_string_value(json_object_get(j, "summary")), "no flag --nodd");
    CHECK_STR_EQ(err, "clusterctl: no flag --nodd\n");
    json_decref(j);
    free(out);
    free(err);
}

static void messages_that_another_command_says_are_in_json_only(void)
{
    struct screen s;
    screen_init(&s, "members");
    screen_message(&s, "NODE_DOWN", SEVERITY_YELLOW, "bj1", "bj1 is down", "start it");
    s.messages_elsewhere = true;
    char *text = printed(&s, OUTPUT_TABLE);
    CHECK_STR_EQ(text, "");
    free(text);
    text = printed(&s, OUTPUT_JSON);
    CHECK(strstr(text, "NODE_DOWN") != NULL);
    free(text);
    screen_deinit(&s);
}

static void spans_and_sizes_are_short(void)
{
    char t[SPAN_TEXT_SIZE];
    CHECK_STR_EQ(span_format(30, t), "0.03s");
    CHECK_STR_EQ(span_format(372000, t), "6m12s");
    CHECK_STR_EQ(span_format(7200000, t), "2h");
    CHECK_STR_EQ(span_format(84ull * 86400000, t), "84d");
    CHECK_STR_EQ(size_format(512, t), "512B");
    CHECK_STR_EQ(size_format(1536, t), "1.5K");
    CHECK_STR_EQ(size_format(10ull << 30, t), "10G");
}

static size_t widest(const char *text)
{
    char line[4096];
    size_t most = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)size, text);
        most = text_width(line) > most ? text_width(line) : most;
        text += size + (text[size] == '\n');
    }
    return most;
}

static void fill(struct screen *s)
{
    static const char *const words =
        "many words that together are wider than any terminal of the old days, and "
        "wider still, so that there is something to break";
    screen_init(s, "x");
    s->verdict = true;
    s->severity = SEVERITY_ORANGE;
    snprintf(s->summary, sizeof(s->summary), "%s", words);
    screen_line(s, "  %s", words);
    screen_note(s, "%s", words);
    screen_message(s, "NODE_DOWN", SEVERITY_YELLOW, "bj1", words, words);
    screen_column(s, "NAME");
    screen_column(s, "TEXT");
    screen_column_wide(s, "MORE");
    for (unsigned i = 0; i < 3; i++) {
        screen_cell(s, "n%u", i);
        screen_cell(s, "%s",
                    i == 1 ? "收件箱收件箱收件箱收件箱收件箱收件箱收件箱收件箱收件箱收件箱收件箱收"
                             "件箱收件箱收件箱收件箱收件箱收件箱"
                           : words);
        screen_cell(s, "more of it");
    }
}

static void nothing_is_wider_than_100_columns_but_with_wide(void)
{
    struct screen s;
    fill(&s);
    char *text = printed(&s, OUTPUT_TABLE);
    CHECK(widest(text) <= 100);
    CHECK(strstr(text, "~\n") != NULL && strstr(text, "-o wide shows all of it") != NULL);
    CHECK(strstr(text, "MORE") == NULL && strstr(text, "more of it") == NULL);
    CHECK(strncmp(text, "ORANGE many", 11) == 0 && strstr(text, "\nYELLOW NODE_DOWN: ") != NULL);
    free(text);
    text = printed(&s, OUTPUT_WIDE);
    CHECK(widest(text) > 100 && strchr(text, '~') == NULL && strstr(text, "more of it") != NULL);
    free(text);
    screen_deinit(&s);
}

static void a_narrower_terminal_gets_narrower_lines(void)
{
    struct screen s;
    fill(&s);
    s.width = 60;
    char *text = printed(&s, OUTPUT_TABLE);
    CHECK(widest(text) <= 60 && strstr(text, "~\n") != NULL);
    free(text);
    s.width = 300; /* a wider one has room for all */
    text = printed(&s, OUTPUT_TABLE);
    CHECK(widest(text) > 100 && strchr(text, '~') == NULL);
    free(text);
    screen_deinit(&s);
}

static void a_summary_that_fits_is_one_line(void)
{
    struct screen s;
    screen_init(&s, "x");
    snprintf(s.summary, sizeof(s.summary), "n1-1 goes on");
    char *text = printed(&s, OUTPUT_TABLE);
    CHECK_STR_EQ(text, "n1-1 goes on\n");
    free(text);
    screen_deinit(&s);
}

static void an_answer_for_a_script_is_never_broken(void)
{
    struct screen s;
    char value[301];
    memset(value, 'x', 300);
    value[150] = ' ';
    value[300] = '\0';
    screen_init(&s, "x");
    s.verbatim = true;
    screen_line(&s, "%s", value);
    char *text = printed(&s, OUTPUT_TABLE);
    CHECK_EQ(strlen(text), 301);
    free(text);
    screen_deinit(&s);
}

static void ndjson_is_one_line(void)
{
    struct screen s;
    fill(&s);
    char *text = printed(&s, OUTPUT_NDJSON);
    CHECK(strchr(text, '\n') == text + strlen(text) - 1);
    json_t *j = json_loads(text, 0, NULL);
    CHECK(j != NULL && json_object_get(j, "messages") != NULL);
    json_decref(j);
    free(text);
    screen_deinit(&s);
}

static void colours_are_for_terminals_only(void)
{
    struct options o = {0};
    FILE *f = tmpfile();
    CHECK(f != NULL && !screen_coloured(&o, f));
    fclose(f);
}

CHECK_MAIN
{
    RUN(columns_line_up_in_chinese_too);
    RUN(a_name_cannot_move_the_cursor);
    RUN(nor_can_a_summary_or_what_a_node_says_when_it_refuses);
    RUN(every_field_of_the_envelope_is_there_and_unknown_is_null);
    RUN(nothing_is_wider_than_100_columns_but_with_wide);
    RUN(a_narrower_terminal_gets_narrower_lines);
    RUN(a_summary_that_fits_is_one_line);
    RUN(an_answer_for_a_script_is_never_broken);
    RUN(ndjson_is_one_line);
    RUN(colours_are_for_terminals_only);
    RUN(a_date_may_lie_before_1970_and_far_from_now);
    RUN(usage_is_said_as_json_where_json_is_wanted);
    RUN(messages_that_another_command_says_are_in_json_only);
    RUN(spans_and_sizes_are_short);
}
