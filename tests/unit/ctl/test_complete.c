/* Completion: every row can be reached word by word, and every value is offered where the table says there is one. */
#include "ctl/complete.h"

#include "ctl/arguments.h"
#include "tests/lib/check.h"

static char *said;

static void live(void *arg, enum complete_kind kind,
                 void (*each)(void *each_arg, const char *name, const char *says), void *each_arg)
{
    static const char *const names[] = {"bj1", "mail-beijing", "beijing"};
    (void)arg;
    each(each_arg, names[kind], "live");
}

/* Words parted by one blank; a blank at the end: the last is empty. */
static const char *completed(const char *line)
{
    static const struct complete_names names = {.list = live};
    char copy[512];
    const char *words[40];
    unsigned n = 0;
    size_t size;
    snprintf(copy, sizeof(copy), "%s", line);
    for (char *at = copy; at != NULL && n < 40;) {
        words[n++] = at;
        at = strchr(at, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    free(said);
    FILE *f = open_memstream(&said, &size);
    CHECK(f != NULL);
    complete(words, n, &names, f);
    fclose(f);
    return said;
}

static bool offers(const char *line, const char *candidate)
{
    char want[128];
    snprintf(want, sizeof(want), "\n%s\t", candidate);
    const char *text = completed(line);
    return strstr(text, want) != NULL || strncmp(text, want + 1, strlen(want) - 1) == 0;
}

static void every_row_is_reached_word_by_word(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        const char *words = commands[i].words;
        for (size_t at = 0; words[at] != '\0';) {
            char line[100], word[64];
            size_t size = strcspn(words + at, " ");
            snprintf(word, sizeof(word), "%.*s", (int)size, words + at);
            snprintf(line, sizeof(line), "%.*s%.1s", (int)at, words, word);
            CHECK_EQ(offers(line, word), (commands[i].marks & COMMAND_HIDDEN) == 0);
            at += size + (words[at + size] == ' ');
        }
    }
}

static void every_row_offers_its_own_flags_and_the_global_ones(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        for (size_t j = 0; j < option_rows_n; j++) {
            const struct option_row *row = &option_rows[j];
            char line[100], flag[64];
            bool plan = strcmp(row->name, "plan") == 0 || strcmp(row->name, "apply") == 0 ||
                        strcmp(row->name, "confirm") == 0;
            snprintf(line, sizeof(line), "%s --", commands[i].words);
            snprintf(flag, sizeof(flag), "--%s", row->name);
            CHECK_EQ(offers(line, flag), plan ? (commands[i].marks & COMMAND_DANGEROUS) != 0
                                              : row->global || command_takes(&commands[i], row));
        }
    }
}

static void names_of_the_cluster_are_offered_where_the_table_says_so(void)
{
    CHECK_STR_EQ(completed("switchover "), "mail-beijing\tlive\n");
    CHECK_STR_EQ(completed("switchover mail-beijing --to b"), "bj1\tlive\n");
    CHECK_STR_EQ(completed("status --node "), "bj1\tlive\n");
    CHECK_STR_EQ(completed("status --node=b"), "--node=bj1\tlive\n");
    CHECK_STR_EQ(completed("user assign anna m"), "mail-beijing\tlive\n");
    CHECK_STR_EQ(completed("user assign anna x"), "");
}

static void choices_and_files_are_offered(void)
{
    CHECK_STR_EQ(completed("cert issue "), "node\t\nhost\t\noperator\t\n");
    CHECK_STR_EQ(completed("status -o n"), "ndjson\t\n");
    CHECK_STR_EQ(completed("status --output=w"), "--output=wide\t\n");
    CHECK_STR_EQ(completed("init --from "), COMPLETE_FILES "\n");
    CHECK_STR_EQ(completed("init --out "), COMPLETE_DIRECTORIES "\n");
    CHECK_STR_EQ(completed("completion z"), "zsh\t\n");
}

static void what_is_not_known_offers_nothing(void)
{
    CHECK_STR_EQ(completed("frobnicate "), "");
    CHECK_STR_EQ(completed("mailbox list anna "), "");
    CHECK_STR_EQ(completed("status --reason "), "");
    CHECK_STR_EQ(completed("dict set a b -- --"), "");
}

static void flags_before_the_command_do_not_hide_it(void)
{
    CHECK(offers("-o json --config x mailb", "mailbox"));
    CHECK(offers("help mailbox l", "list"));
}

CHECK_MAIN
{
    RUN(every_row_is_reached_word_by_word);
    RUN(every_row_offers_its_own_flags_and_the_global_ones);
    RUN(names_of_the_cluster_are_offered_where_the_table_says_so);
    RUN(choices_and_files_are_offered);
    RUN(what_is_not_known_offers_nothing);
    RUN(flags_before_the_command_do_not_hide_it);
    free(said);
}
