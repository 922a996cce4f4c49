/* Manual pages: every row and every flag is on a page, and nothing of the text is taken for roff. */
#include "ctl/manual.h"

#include "base/man_page.h"
#include "tests/lib/check.h"

static char *page_of(const char *noun)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f != NULL);
    manual_print(noun, f);
    fclose(f);
    return text;
}

/* As a page writes it. */
static bool says(const char *page, const char *text)
{
    char escaped[512];
    size_t at = 0;
    for (; *text != '\0' && at < sizeof(escaped) - 5; text++) {
        if (*text == '-') {
            escaped[at++] = '\\';
        }
        if (*text == '"') {
            memcpy(escaped + at, "\\(dq", 4);
            at += 4;
        } else {
            escaped[at++] = *text;
        }
    }
    escaped[at] = '\0';
    return strstr(page, escaped) != NULL;
}

static void every_row_is_on_its_nouns_page_and_on_the_tools(void)
{
    char *tool = page_of(NULL);
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        char noun[64];
        snprintf(noun, sizeof(noun), "%.*s", (int)command_noun_size(c), c->words);
        char *page = page_of(noun);
        CHECK(strncmp(page, ".TH CLUSTERCTL-", 15) == 0);
        CHECK(says(page, c->words) && says(page, c->summary + 1));
        CHECK_EQ(says(tool, c->summary), (c->marks & COMMAND_HIDDEN) == 0);
        for (size_t j = 0; j < option_rows_n; j++) {
            char flag[64];
            snprintf(flag, sizeof(flag), "--%s", option_rows[j].name);
            CHECK(!command_takes(c, &option_rows[j]) || says(page, flag));
            CHECK(!option_rows[j].global || says(tool, flag));
        }
        for (size_t j = 0; j < COMMAND_EXAMPLES_MAX && c->examples[j].line != NULL; j++) {
            CHECK(says(page, c->examples[j].line));
        }
        free(page);
    }
    free(tool);
}

static void text_is_never_taken_for_roff(void)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f != NULL);
    man_text(f, ".so /etc/passwd\n'x \\fB -a\n\nnext");
    man_item(f, "--flag", ".dot");
    fclose(f);
    CHECK_STR_EQ(text,
                 ".PP\n\\&.so /etc/passwd\n\\&'x \\efB \\-a\n.PP\nnext\n"
                 ".TP\n\\fB\\-\\-flag\\fR\n\\&.dot\n");
    free(text);
}

static void a_setting_says_its_range_and_its_default(void)
{
    struct thing {
        uint64_t patience_ms, room_bytes;
        int level;
    };
    static const struct setting rows[] = {
        SETTING_DURATION("a", "patience", struct thing, patience_ms, "5s", 100, 120000, "how long"),
        SETTING_BYTES("a", "room", struct thing, room_bytes, NULL, 512, 1ull << 30, "how much"),
        SETTING_CHOICE("b", "level", struct thing, level, "warn", "info|warn", "how loud"),
    };
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f != NULL);
    man_settings(f, rows, 3);
    fclose(f);
    CHECK(strstr(text, "how long. From 100ms to 2m. Default: 5s.") != NULL);
    CHECK(strstr(text, "how much. From 512 to 1GB. It must be given.") != NULL);
    CHECK(strstr(text, "how loud. One of info|warn. Default: warn.") != NULL);
    CHECK(strstr(text, ".SS [a]\n") != NULL && strstr(text, ".SS [b]\n") != NULL);
    free(text);
}

CHECK_MAIN
{
    RUN(every_row_is_on_its_nouns_page_and_on_the_tools);
    RUN(text_is_never_taken_for_roff);
    RUN(a_setting_says_its_range_and_its_default);
}
