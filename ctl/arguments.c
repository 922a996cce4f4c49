/* Parsing in two steps: flags are taken out into struct options, what remains is matched against the words of the commands. */
#include "ctl/arguments.h"

#include <string.h>

#include "base/settings.h"
#include "base/suggestion.h"

struct parsing {
    const char *words[ARGUMENTS_MAX];
    unsigned words_n;
    uint64_t given;      /* a bit for each row of option_rows */
    const char *unknown; /* the first flag that no row has: told when the command is known */
    struct options options;
};

/* ---- flags ---- */

static enum status choice_set(const struct option_row *row, const char *value, int *out_place,
                              struct error *e)
{
    size_t n = strlen(value);
    int place = 0;
    for (const char *at = row->value; *at != '\0'; place++) {
        size_t word = strcspn(at, "|");
        if (word == n && memcmp(at, value, n) == 0) {
            *out_place = place;
            return OK;
        }
        at += word + (at[word] == '|');
    }
    return error_set(e, STATUS_INVALID, "--%s %s: it is one of %s", row->name, value, row->value);
}

static enum status value_set(const struct option_row *row, const char *value, struct options *o,
                             struct error *e)
{
    char *field = (char *)o + row->offset;
    struct option_list *list;
    switch (row->kind) {
        case OPTION_YES:
            *(bool *)(void *)field = true;
            return OK;
        case OPTION_TEXT:
            *(const char **)(void *)field = value;
            return OK;
        case OPTION_CHOICE:
            return choice_set(row, value, (int *)(void *)field, e);
        case OPTION_DURATION:
            return setting_parse_duration(value, (uint64_t *)(void *)field)
                       ? OK
                       : error_set(e, STATUS_INVALID,
                                   "--%s %s: this is not a duration such as 500ms, 5s or 2m",
                                   row->name, value);
        case OPTION_NUMBER:
            return setting_parse_integer(value, (uint64_t *)(void *)field)
                       ? OK
                       : error_set(e, STATUS_INVALID, "--%s %s: this is not a whole number",
                                   row->name, value);
        case OPTION_LIST:
            list = (struct option_list *)(void *)field;
            if (list->n == OPTION_LIST_MAX) {
                return error_set(e, STATUS_TOO_BIG, "--%s: more than %d", row->name,
                                 OPTION_LIST_MAX);
            }
            list->items[list->n++] = value;
            return OK;
    }
    return STATUS_INTERNAL;
}

/* The command's own flags and the global ones are likelier than those of others. */
static enum status flag_unknown(const struct command *c, const char *flag, struct error *e)
{
    char word[SUGGESTION_WORD_MAX + 1];
    struct suggestion near;
    size_t size = strcspn(flag, "=");
    snprintf(word, sizeof(word), "%.*s",
             size > SUGGESTION_WORD_MAX ? SUGGESTION_WORD_MAX : (int)size, flag);
    suggestion_init(&near, word + strspn(word, "-"));
    for (unsigned pass = 0; pass < 2 && near.best == NULL; pass++) {
        for (size_t i = 0; i < option_rows_n; i++) {
            if (pass == 1 || option_rows[i].global || command_takes(c, &option_rows[i])) {
                suggestion_offer(&near, option_rows[i].name);
            }
        }
    }
    return near.best != NULL ? error_set(e, STATUS_INVALID, "unknown flag %s, did you mean --%s?",
                                         word, near.best)
                             : error_set(e, STATUS_INVALID,
                                         "unknown flag %s; clusterctl --help lists them", word);
}

/* argv[*at] is a flag; moves *at past its value. */
static enum status flag_parse(struct parsing *p, int argc, char **argv, int *at, struct error *e)
{
    const char *word = argv[*at];
    const struct option_row *row;
    const char *value = NULL;
    if (word[1] == '-') {
        size_t size = strcspn(word + 2, "=");
        row = option_find(word + 2, size);
        value = word[2 + size] == '=' ? word + 3 + size : NULL;
    } else {
        row = option_find_letter(word[1]);
        value = word[2] != '\0' ? word + 2 : NULL;
    }
    if (row == NULL) {
        p->unknown = p->unknown != NULL ? p->unknown : word;
        return OK;
    }
    if (row->kind == OPTION_YES && value != NULL) {
        return error_set(e, STATUS_INVALID, "--%s takes no value", row->name);
    }
    if (row->kind != OPTION_YES && value == NULL) {
        if (*at + 1 >= argc) {
            return error_set(e, STATUS_INVALID, "--%s needs its value, %s", row->name, row->value);
        }
        value = argv[++*at];
    }
    uint64_t bit = 1ull << (row - option_rows);
    if ((p->given & bit) != 0 && row->kind != OPTION_LIST && row->kind != OPTION_YES) {
        return error_set(e, STATUS_INVALID, "--%s is given twice", row->name);
    }
    p->given |= bit;
    return value_set(row, value, &p->options, e);
}

static enum status split(struct parsing *p, int argc, char **argv, struct error *e)
{
    bool flags = true;
    for (int i = 1; i < argc; i++) {
        if (flags && strcmp(argv[i], "--") == 0) {
            flags = false;
        } else if (flags && argv[i][0] == '-' && argv[i][1] != '\0' &&
                   !(argv[i][1] >= '0' && argv[i][1] <= '9')) {
            enum status s = flag_parse(p, argc, argv, &i, e);
            if (s != OK) {
                return s;
            }
        } else if (p->words_n == ARGUMENTS_MAX) {
            return error_set(e, STATUS_INVALID, "too many words");
        } else {
            p->words[p->words_n++] = argv[i];
        }
    }
    return OK;
}

/* ---- commands ---- */

/* How many words of the line are the command's; 0 = it is another command. */
static unsigned words_match(const struct command *c, const struct parsing *p)
{
    const char *at = c->words;
    unsigned n = 0;
    while (*at != '\0') {
        size_t size = strcspn(at, " ");
        if (n == p->words_n || strlen(p->words[n]) != size || memcmp(p->words[n], at, size) != 0) {
            return 0;
        }
        n++;
        at += size + (at[size] == ' ');
    }
    return n;
}

static enum status verb_unknown(const struct noun *noun, const char *word, struct error *e)
{
    struct suggestion near;
    char verbs[200] = "";
    size_t size = strlen(noun->name);
    suggestion_init(&near, word != NULL ? word : "");
    for (size_t i = 0, at = 0; i < commands_n && at < sizeof(verbs); i++) {
        if (command_has_noun(&commands[i], noun->name, size)) {
            const char *verb = commands[i].words + size + 1;
            int n = snprintf(verbs + at, sizeof(verbs) - at, "%s%s", at > 0 ? ", " : "", verb);
            at += n > 0 ? (size_t)n : 0;
            suggestion_offer(&near, verb);
        }
    }
    return word == NULL ? error_set(e, STATUS_INVALID, "%s needs a verb: %s", noun->name, verbs)
           : near.best != NULL
               ? error_set(e, STATUS_INVALID, "unknown verb \"%s %.64s\", did you mean \"%s %s\"?",
                           noun->name, word, noun->name, near.best)
               : error_set(e, STATUS_INVALID, "unknown verb \"%s %.64s\"; %s has: %s", noun->name,
                           word, noun->name, verbs);
}

static enum status command_unknown(const struct parsing *p, struct error *e)
{
    struct suggestion near;
    if (p->words_n == 0) {
        return error_set(e, STATUS_INVALID, "no command; clusterctl --help lists them");
    }
    const struct noun *noun = noun_find(p->words[0], strlen(p->words[0]));
    if (noun != NULL) {
        return verb_unknown(noun, p->words_n > 1 ? p->words[1] : NULL, e);
    }
    suggestion_init(&near, p->words[0]);
    for (size_t i = 0; i < commands_n; i++) {
        if ((commands[i].marks & COMMAND_HIDDEN) == 0) {
            suggestion_offer(&near, commands[i].words);
        }
    }
    for (size_t i = 0; i < nouns_n; i++) {
        suggestion_offer(&near, nouns[i].name);
    }
    return near.best != NULL
               ? error_set(e, STATUS_INVALID, "unknown command \"%.64s\", did you mean \"%s\"?",
                           p->words[0], near.best)
               : error_set(e, STATUS_INVALID,
                           "unknown command \"%.64s\"; clusterctl --help lists them", p->words[0]);
}

static enum status flags_check(const struct command *c, uint64_t given, struct error *e)
{
    for (size_t i = 0; i < option_rows_n; i++) {
        if ((given & (1ull << i)) != 0 && !option_rows[i].global &&
            !command_takes(c, &option_rows[i])) {
            return error_set(e, STATUS_INVALID, "\"%s\" has no flag --%s", c->words,
                             option_rows[i].name);
        }
    }
    return OK;
}

/* Plans belong to what is dangerous; elsewhere they would promise a protection that is not there. */
static enum status danger_check(const struct command *c, const struct options *o, struct error *e)
{
    bool dangerous = (c->marks & COMMAND_DANGEROUS) != 0;
    if (!dangerous && (o->plan || o->apply != NULL || o->confirm != NULL)) {
        return error_set(e, STATUS_INVALID,
                         "\"%s\" is carried out at once: it knows no --plan, --apply or --confirm",
                         c->words);
    }
    if ((o->plan ? 1 : 0) + (o->apply != NULL ? 1 : 0) + (o->confirm != NULL ? 1 : 0) > 1) {
        return error_set(e, STATUS_INVALID, "--plan, --apply and --confirm exclude each other");
    }
    if (dangerous && (o->apply != NULL || o->confirm != NULL) &&
        (o->reason == NULL || o->reason[0] == '\0')) {
        return error_set(e, STATUS_INVALID, "--reason TEXT is missing: it goes into the record");
    }
    return OK;
}

static enum status output_check(const struct command *c, const struct options *o, struct error *e)
{
    return o->output == OUTPUT_CSV && (c->marks & COMMAND_TABLE) == 0
               ? error_set(e, STATUS_INVALID,
                           "\"%s\" has no table to write as csv; -o json has all", c->words)
               : OK;
}

static const struct command *command_match(const struct parsing *p, unsigned *out_words)
{
    const struct command *found = NULL;
    *out_words = 0;
    for (size_t i = 0; i < commands_n; i++) {
        unsigned n = words_match(&commands[i], p);
        if (n > *out_words) {
            *out_words = n;
            found = &commands[i];
        }
    }
    return found;
}

static enum status args_take(const struct parsing *p, unsigned words, struct arguments *a,
                             struct error *e)
{
    unsigned least, most;
    command_args_range(a->command, &least, &most);
    a->args_n = p->words_n - words;
    if (a->args_n < least || a->args_n > most) {
        return error_set(e, STATUS_INVALID, "usage: clusterctl %s%s%s", a->command->words,
                         a->command->args != NULL ? " " : "",
                         a->command->args != NULL ? a->command->args : "");
    }
    for (unsigned i = 0; i < a->args_n; i++) {
        a->args[i] = p->words[words + i];
    }
    return OK;
}

enum status arguments_parse(int argc, char **argv, struct arguments *out_a, struct error *e)
{
    struct parsing p = {0};
    struct arguments a = {0};
    unsigned words;
    enum status s = split(&p, argc, argv, e);
    if (s != OK) {
        return s;
    }
    if (p.words_n > 0 && strcmp(p.words[0], "help") == 0) {
        p.options.help = true;
        memmove(p.words, p.words + 1, sizeof(p.words) - sizeof(p.words[0]));
        p.words_n--;
    }
    a.command = command_match(&p, &words);
    a.options = p.options;
    if (p.options.help && a.command == NULL && p.words_n == 1) {
        a.noun = noun_find(p.words[0], strlen(p.words[0]));
    }
    if (p.options.help && (a.command != NULL || a.noun != NULL || p.words_n == 0)) {
        *out_a = a;
        return OK;
    }
    if (a.command == NULL) {
        return p.words_n == 0 && p.unknown != NULL ? flag_unknown(NULL, p.unknown, e)
                                                   : command_unknown(&p, e);
    }
    s = p.unknown != NULL ? flag_unknown(a.command, p.unknown, e) : args_take(&p, words, &a, e);
    if (s == OK) {
        s = flags_check(a.command, p.given, e);
    }
    if (s == OK) {
        s = danger_check(a.command, &a.options, e);
    }
    if (s == OK) {
        s = output_check(a.command, &a.options, e);
    }
    if (s == OK) {
        *out_a = a;
    }
    return s;
}

void arguments_wish(int argc, char **argv, struct options *out_o)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = NULL;
        if (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0) {
            value = i + 1 < argc ? argv[i + 1] : NULL;
        } else if (strncmp(argv[i], "--output=", 9) == 0) {
            value = argv[i] + 9;
        } else if (strncmp(argv[i], "-o", 2) == 0) {
            value = argv[i] + 2;
        }
        if (value != NULL && strcmp(value, "json") == 0) {
            out_o->output = OUTPUT_JSON;
        } else if (value != NULL && strcmp(value, "ndjson") == 0) {
            out_o->output = OUTPUT_NDJSON;
        }
        out_o->nagios = out_o->nagios || strcmp(argv[i], "--nagios") == 0;
    }
}
