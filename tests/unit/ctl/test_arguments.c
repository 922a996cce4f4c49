/* The table of commands and its parser: every row can be called, helped and refused; nothing is abbreviated or guessed. */
#include "ctl/arguments.h"

#include "ctl/help.h"
#include "tests/lib/check.h"

static struct arguments a;
static struct error problem;

/* Words parted by one blank. */
static enum status parse(const char *line)
{
    static char copy[512];
    static char *argv[32];
    int argc = 0;
    snprintf(copy, sizeof(copy), "clusterctl %s", line);
    for (char *at = copy; at != NULL && argc < 31;) {
        argv[argc++] = at;
        at = strchr(at, ' ');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    if (argc > 1 && argv[argc - 1][0] == '\0') {
        argc--;
    }
    problem = (struct error){0};
    return arguments_parse(argc, argv, &a, &problem);
}

/* The words of a row with n arguments. */
static const char *line_with(const struct command *c, unsigned n)
{
    static char line[400];
    int at = snprintf(line, sizeof(line), "%s", c->words);
    for (unsigned i = 0; i < n; i++) {
        at += snprintf(line + at, sizeof(line) - (size_t)at, " x%u", i);
    }
    return line;
}

static void every_row_is_called_by_its_words_with_as_many_arguments_as_it_says(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        unsigned least, most;
        command_args_range(c, &least, &most);
        CHECK(c->run != NULL && least <= most);
        for (unsigned n = 0; n <= least + 2; n++) {
            bool fits = n >= least && n <= most;
            enum status s = parse(line_with(c, n));
            CHECK_EQ(s, fits ? OK : STATUS_INVALID);
            if (fits) {
                CHECK(a.command == c);
                CHECK_EQ(a.args_n, n);
            } else {
                CHECK(strstr(problem.text, "usage: ") != NULL ||
                      strstr(problem.text, "unknown command") != NULL);
            }
        }
    }
}

static char *help_of(const struct command *c, const struct noun *noun)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    CHECK(f != NULL);
    help_print(c, noun, f);
    fclose(f);
    return text;
}

static void no_line_is_wider_than(const char *text, size_t width)
{
    while (*text != '\0') {
        size_t size = strcspn(text, "\n");
        CHECK(size <= width);
        text += size + (text[size] == '\n');
    }
}

static bool has_exit_line(const char *text, const char *code)
{
    char line[16];
    snprintf(line, sizeof(line), "\n  %s ", code);
    return strstr(text, line) != NULL;
}

static void every_row_has_help_that_names_its_flags(void)
{
    char *tool = help_of(NULL, NULL);
    no_line_is_wider_than(tool, 100);
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        char *text = help_of(c, NULL);
        no_line_is_wider_than(text, 100);
        CHECK(c->summary[0] != '\0' && c->text[0] != '\0' && strlen(c->summary) <= 62);
        CHECK(strstr(text, c->words) != NULL && strstr(text, c->summary) != NULL);
        CHECK_EQ(strstr(tool, c->summary) != NULL, (c->marks & COMMAND_HIDDEN) == 0);
        for (size_t j = 0; j < COMMAND_FLAGS_MAX && c->flags[j] != NULL; j++) {
            const struct option_row *row = option_find(c->flags[j], strlen(c->flags[j]));
            CHECK(row != NULL && !row->global);
            CHECK(strstr(text, row->name) != NULL);
        }
        CHECK_EQ(strstr(text, "Dangerous") != NULL, (c->marks & COMMAND_DANGEROUS) != 0);
        CHECK(has_exit_line(text, "0") && has_exit_line(text, "64"));
        CHECK_EQ(has_exit_line(text, "30"), (c->marks & COMMAND_OFFLINE) == 0);
        free(text);
        char line[100];
        snprintf(line, sizeof(line), "help %s", c->words);
        CHECK_OK(parse(line));
        CHECK(a.options.help && a.command == c);
        snprintf(line, sizeof(line), "%s --help", c->words);
        CHECK_OK(parse(line));
        CHECK(a.options.help && a.command == c);
    }
    free(tool);
}

static void every_noun_with_verbs_has_a_row_and_its_help_lists_them(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        bool verb = strchr(commands[i].words, ' ') != NULL;
        CHECK_EQ(noun_find(commands[i].words, command_noun_size(&commands[i])) != NULL, verb);
    }
    for (size_t i = 0; i < nouns_n; i++) {
        unsigned verbs = 0;
        char *text = help_of(NULL, &nouns[i]);
        no_line_is_wider_than(text, 100);
        for (size_t j = 0; j < commands_n; j++) {
            if (command_has_noun(&commands[j], nouns[i].name, strlen(nouns[i].name))) {
                CHECK(strstr(text, commands[j].summary) != NULL);
                verbs++;
            }
        }
        free(text);
        CHECK(verbs > 0);
        char line[100];
        snprintf(line, sizeof(line), "help %s", nouns[i].name);
        CHECK_OK(parse(line));
        CHECK(a.noun == &nouns[i] && a.command == NULL);
        snprintf(line, sizeof(line), "%s", nouns[i].name);
        CHECK_EQ(parse(line), STATUS_INVALID);
        CHECK(strstr(problem.text, "needs a verb") != NULL);
    }
}

static void every_example_is_a_line_that_its_row_takes(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        CHECK(c->examples[0].line != NULL || (c->marks & COMMAND_HIDDEN) != 0);
        for (size_t j = 0; j < COMMAND_EXAMPLES_MAX && c->examples[j].line != NULL; j++) {
            CHECK_OK(parse(c->examples[j].line));
            CHECK(a.command == c && c->examples[j].says[0] != '\0');
        }
    }
}

static void no_two_rows_have_the_same_name(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        for (size_t j = 0; j < i; j++) {
            CHECK(strcmp(commands[i].words, commands[j].words) != 0);
        }
    }
    for (size_t i = 0; i < option_rows_n; i++) {
        for (size_t j = 0; j < i; j++) {
            CHECK(strcmp(option_rows[i].name, option_rows[j].name) != 0);
            CHECK(option_rows[i].letter == 0 || option_rows[i].letter != option_rows[j].letter);
        }
        bool used = option_rows[i].global;
        for (size_t j = 0; j < commands_n; j++) {
            used = used || command_takes(&commands[j], &option_rows[i]);
        }
        CHECK(used && option_rows[i].help[0] != '\0');
    }
    for (size_t i = 1; i < exit_rows_n; i++) {
        CHECK(exit_rows[i].code > exit_rows[i - 1].code && exit_rows[i].text[0] != '\0');
    }
}

static void every_flag_is_taken_by_the_rows_that_name_it_and_by_no_other(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        for (size_t j = 0; j < option_rows_n; j++) {
            const struct option_row *row = &option_rows[j];
            char line[500];
            unsigned least, most;
            command_args_range(&commands[i], &least, &most);
            bool taken = row->global || command_takes(&commands[i], row);
            bool plan = strcmp(row->name, "plan") == 0 || strcmp(row->name, "apply") == 0 ||
                        strcmp(row->name, "confirm") == 0;
            if (plan && (commands[i].marks & COMMAND_DANGEROUS) == 0) {
                taken = false;
            }
            char choice[64] = "";
            if (row->kind == OPTION_CHOICE) {
                snprintf(choice, sizeof(choice), " %.*s", (int)strcspn(row->value, "|"),
                         row->value);
            }
            const char *value = row->kind == OPTION_YES        ? ""
                                : row->kind == OPTION_CHOICE   ? choice
                                : row->kind == OPTION_DURATION ? " 5s"
                                : row->kind == OPTION_NUMBER   ? " 7"
                                                               : " text";
            snprintf(line, sizeof(line), "%s --%s%s%s", line_with(&commands[i], least), row->name,
                     value, plan ? " --reason why" : "");
            CHECK_EQ(parse(line), taken ? OK : STATUS_INVALID);
        }
    }
}

static void a_slip_of_the_keyboard_gets_a_suggestion(void)
{
    CHECK_EQ(parse("statsu"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown command \"statsu\", did you mean \"status\"?");
    CHECK_EQ(parse("mailbox lst li"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown verb \"mailbox lst\", did you mean \"mailbox list\"?");
    CHECK_EQ(parse("user asign somebody mail-1"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown verb \"user asign\", did you mean \"user assign\"?");
    CHECK_EQ(parse("mailbix list li"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown command \"mailbix\", did you mean \"mailbox\"?");
    CHECK_EQ(parse("dict frobnicate"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown verb \"dict frobnicate\"; dict has: get, set, unset, inc");
    CHECK_EQ(parse("status --outptu json"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown flag --outptu, did you mean --output?");
    CHECK_EQ(parse("switchover mail-1 --tu bj1"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown flag --tu, did you mean --to?");
    CHECK_EQ(parse("status --frobnicate=7"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown flag --frobnicate; clusterctl --help lists them");
    CHECK_EQ(parse("status -x"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown flag -x; clusterctl --help lists them");
    CHECK_EQ(parse("frobnicate"), STATUS_INVALID);
    CHECK_STR_EQ(problem.text, "unknown command \"frobnicate\"; clusterctl --help lists them");
}

static void long_flags_are_never_abbreviated(void)
{
    CHECK_EQ(parse("status --out json"),
             STATUS_INVALID); /* --out is another flag, of other commands */
    CHECK_EQ(parse("status --outpu json"), STATUS_INVALID);
    CHECK_EQ(parse("status --verb"), STATUS_INVALID);
    CHECK_EQ(parse("stat"), STATUS_INVALID);
}

static void flags_may_stand_anywhere_and_take_their_value_in_two_ways(void)
{
    CHECK_OK(parse("-o json dict --user=li set ns k v --ttl 5m -v"));
    CHECK_EQ(a.options.output, 1);
    CHECK_STR_EQ(a.options.user, "li");
    CHECK_EQ(a.options.ttl_ms, 300000);
    CHECK(a.options.verbose);
    CHECK_STR_EQ(a.args[2], "v");
    CHECK_OK(parse("-ojson status"));
    CHECK_EQ(a.options.output, 1);
    CHECK_OK(parse("dict inc ns k -3"));
    CHECK_STR_EQ(a.args[2], "-3");
    CHECK_OK(parse("dict set ns k -- --value"));
    CHECK_STR_EQ(a.args[2], "--value");
    CHECK_OK(parse("status --node bj1 --node unix:/x"));
    CHECK_EQ(a.options.nodes.n, 2);
    CHECK_EQ(parse("status --config a --config b"), STATUS_INVALID);
    CHECK_EQ(parse("status --config"), STATUS_INVALID);
    CHECK_EQ(parse("status --local=yes"), STATUS_INVALID);
    CHECK_EQ(parse("status -o yaml"), STATUS_INVALID);
    CHECK_EQ(parse("lag --max 5"), STATUS_INVALID);
}

static void danger_wants_one_of_plan_apply_and_confirm_and_a_reason(void)
{
    CHECK_OK(parse("switchover s --to n"));
    CHECK_OK(parse("switchover s --to n --plan"));
    CHECK_OK(parse("switchover s --apply 7c1e --reason x"));
    CHECK_EQ(parse("switchover s --apply 7c1e"), STATUS_INVALID);
    CHECK_EQ(parse("switchover s --confirm s"), STATUS_INVALID);
    CHECK_EQ(parse("switchover s --apply 7c1e --confirm s --reason x"), STATUS_INVALID);
    CHECK_EQ(parse("switchover s --plan --apply 7c1e --reason x"), STATUS_INVALID);
    CHECK_EQ(parse("status --plan"), STATUS_INVALID);
}

static void without_a_command_help_is_still_given(void)
{
    CHECK_OK(parse("--help"));
    CHECK(a.command == NULL && a.options.help);
    CHECK_OK(parse("help"));
    CHECK(a.command == NULL && a.options.help);
    CHECK_EQ(parse(""), STATUS_INVALID);
    CHECK_EQ(parse("help statsu"), STATUS_INVALID);
}

static void csv_is_for_answers_with_a_table(void)
{
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        char line[500];
        unsigned least, most;
        command_args_range(c, &least, &most);
        snprintf(line, sizeof(line), "%s -o csv", line_with(c, least));
        CHECK_EQ(parse(line), (c->marks & COMMAND_TABLE) != 0 ? OK : STATUS_INVALID);
    }
    CHECK_OK(parse("status -o csv"));
    CHECK_EQ(parse("events -o csv"), STATUS_INVALID);
    CHECK(strstr(problem.text, "\"events\" has no table") != NULL);
    CHECK_OK(parse("events -o json"));
}

static struct options wish(const char *first, const char *second)
{
    char one[32], two[32], *argv[] = {NULL, one, two};
    struct options o = {0};
    snprintf(one, sizeof(one), "%s", first);
    snprintf(two, sizeof(two), "%s", second);
    arguments_wish(3, argv, &o);
    return o;
}

static void a_line_that_cannot_be_parsed_is_refused_in_the_form_that_it_asks_for(void)
{
    CHECK_EQ(wish("-o", "json").output, OUTPUT_JSON);
    CHECK_EQ(wish("--output", "ndjson").output, OUTPUT_NDJSON);
    CHECK_EQ(wish("--output=json", "x").output, OUTPUT_JSON);
    CHECK_EQ(wish("x", "-ojson").output, OUTPUT_JSON);
    CHECK_EQ(wish("x", "-o").output, OUTPUT_TABLE); /* its value is missing */
    CHECK_EQ(wish("-o", "jsno").output, OUTPUT_TABLE);
    CHECK_EQ(wish("--", "-ojson").output, OUTPUT_TABLE);
    CHECK(wish("statsu", "--nagios").nagios && !wish("statsu", "-q").nagios);
}

CHECK_MAIN
{
    RUN(csv_is_for_answers_with_a_table);
    RUN(a_line_that_cannot_be_parsed_is_refused_in_the_form_that_it_asks_for);
    RUN(every_row_is_called_by_its_words_with_as_many_arguments_as_it_says);
    RUN(every_row_has_help_that_names_its_flags);
    RUN(every_noun_with_verbs_has_a_row_and_its_help_lists_them);
    RUN(every_example_is_a_line_that_its_row_takes);
    RUN(no_two_rows_have_the_same_name);
    RUN(every_flag_is_taken_by_the_rows_that_name_it_and_by_no_other);
    RUN(a_slip_of_the_keyboard_gets_a_suggestion);
    RUN(long_flags_are_never_abbreviated);
    RUN(flags_may_stand_anywhere_and_take_their_value_in_two_ways);
    RUN(danger_wants_one_of_plan_apply_and_confirm_and_a_reason);
    RUN(without_a_command_help_is_still_given);
}
