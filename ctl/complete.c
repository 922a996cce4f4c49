/* Walks the words as the parser does, but forgives: what it does not know it steps over. */
#include "ctl/complete.h"

#include <stdbool.h>
#include <string.h>

#include "base/cluster_settings.h"
#include "ctl/arguments.h"

struct line {
    const char *plain[ARGUMENTS_MAX]; /* words that are no flags, before the last */
    unsigned plain_n;
    const struct option_row *open; /* the flag whose value is being typed */
    bool flags;                    /* no "--" yet */
    const char *last;
};

struct offer {
    const char *prefix; /* what is typed already */
    const char *before; /* put before each candidate: "--output=" */
    FILE *out;
};

static void offer_sized(const struct offer *o, const char *word, size_t size, const char *says)
{
    size_t typed = strlen(o->prefix);
    if (size >= typed && memcmp(word, o->prefix, typed) == 0) {
        fprintf(o->out, "%s%.*s\t%s\n", o->before, (int)size, word, says);
    }
}

static void offer_name(void *arg, const char *name, const char *says)
{
    offer_sized(arg, name, strlen(name), says);
}

static bool is(const char *word, size_t size, const char *what)
{
    return strlen(what) == size && memcmp(word, what, size) == 0;
}

static void offer_settings(const struct offer *o)
{
    for (size_t i = 0; i < cluster_setting_rows_n; i++) {
        char key[CLUSTER_SETTING_KEY_MAX];
        const struct cluster_setting *s = &cluster_setting_rows[i];
        offer_name((void *)(uintptr_t)o, cluster_setting_key(s, key), s->row.help);
    }
}

/* What a value is, is said by its name in the table. */
static void offer_value(const struct offer *o, const char *what, size_t size,
                        const struct complete_names *names)
{
    enum complete_kind kind = COMPLETE_NODES;
    if (memchr(what, '|', size) != NULL) {
        while (size > 0) {
            const char *bar = memchr(what, '|', size);
            size_t word = bar != NULL ? (size_t)(bar - what) : size;
            offer_sized(o, what, word, "");
            size -= word + (bar != NULL);
            what += word + (bar != NULL);
        }
        return;
    }
    if (is(what, size, "SETTING")) {
        offer_settings(o);
        return;
    }
    if (is(what, size, "FILE") || is(what, size, "DIR")) {
        fprintf(o->out, "%s\n", is(what, size, "FILE") ? COMPLETE_FILES : COMPLETE_DIRECTORIES);
        return;
    }
    if (is(what, size, "SHARD")) {
        kind = COMPLETE_SHARDS;
    } else if (is(what, size, "SITE")) {
        kind = COMPLETE_SITES;
    } else if (!is(what, size, "NODE")) {
        return;
    }
    if (names != NULL) {
        names->list(names->arg, kind, offer_name, (void *)(uintptr_t)o);
    }
}

static void read_line(const char *const *words, unsigned n, struct line *out)
{
    memset(out, 0, sizeof(*out));
    out->flags = true;
    out->last = words[n - 1];
    for (unsigned i = 0; i + 1 < n; i++) {
        const char *word = words[i];
        if (out->flags && strcmp(word, "--") == 0) {
            out->flags = false;
        } else if (out->flags && word[0] == '-' && word[1] != '\0') {
            bool is_long = word[1] == '-';
            const struct option_row *row =
                is_long ? option_find(word + 2, strlen(word + 2)) : option_find_letter(word[1]);
            if (row != NULL && row->kind != OPTION_YES && (is_long || word[2] == '\0')) {
                i++; /* its value */
                out->open = i + 1 == n ? row : NULL;
            }
        } else if (out->plain_n < ARGUMENTS_MAX &&
                   (out->plain_n > 0 || strcmp(word, "help") != 0)) {
            out->plain[out->plain_n++] = word;
        }
    }
}

/* How many of the row's words stand on the line, from the first; SIZE_MAX when one differs. *out_next: the row's next word. */
static unsigned words_of(const struct command *c, const struct line *l, const char **out_next)
{
    const char *at = c->words;
    unsigned n = 0;
    while (*at != '\0' && n < l->plain_n) {
        size_t size = strcspn(at, " ");
        if (!is(at, size, l->plain[n])) {
            return UINT32_MAX;
        }
        at += size + (at[size] == ' ');
        n++;
    }
    *out_next = at;
    return n;
}

static const struct command *command_of(const struct line *l, unsigned *out_words)
{
    const struct command *found = NULL;
    *out_words = 0;
    for (size_t i = 0; i < commands_n; i++) {
        const char *next;
        unsigned n = words_of(&commands[i], l, &next);
        if (n != UINT32_MAX && *next == '\0' && n > *out_words) {
            *out_words = n;
            found = &commands[i];
        }
    }
    return found;
}

/* The next word of each command that the line may still become; each once. */
static void offer_words(const struct offer *o, const struct line *l)
{
    const char *last = "";
    size_t last_size = 0;
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        const char *next;
        unsigned n = words_of(c, l, &next);
        size_t size = n != UINT32_MAX ? strcspn(next, " ") : 0;
        if (n != l->plain_n || size == 0 || (c->marks & COMMAND_HIDDEN) != 0 ||
            (size == last_size && memcmp(next, last, size) == 0)) {
            continue;
        }
        const struct noun *noun = next[size] == ' ' && n == 0 ? noun_find(next, size) : NULL;
        offer_sized(o, next, size, noun != NULL ? noun->summary : c->summary);
        last = next;
        last_size = size;
    }
    if (l->plain_n == 0) {
        offer_name((void *)(uintptr_t)o, "help", "say more about a command");
    }
}

static bool fits(const struct command *c, const struct option_row *row)
{
    bool plan = strcmp(row->name, "plan") == 0 || strcmp(row->name, "apply") == 0 ||
                strcmp(row->name, "confirm") == 0;
    if (plan) {
        return c != NULL && (c->marks & COMMAND_DANGEROUS) != 0;
    }
    return row->global || command_takes(c, row);
}

static void offer_flags(const struct offer *o, const struct command *c,
                        const struct complete_names *names)
{
    const char *equals = strchr(o->prefix, '=');
    for (size_t i = 0; i < option_rows_n; i++) {
        const struct option_row *row = &option_rows[i];
        char flag[64];
        int n = snprintf(flag, sizeof(flag), "--%s", row->name);
        if (!fits(c, row) || n < 0) {
            continue;
        }
        if (equals == NULL) {
            offer_sized(o, flag, (size_t)n, row->help);
        } else if (is(o->prefix, (size_t)(equals - o->prefix), flag) && row->value != NULL) {
            char before[80];
            snprintf(before, sizeof(before), "%s=", flag);
            struct offer value = {equals + 1, before, o->out};
            offer_value(&value, row->value, strlen(row->value), names);
        }
    }
}

void complete(const char *const *words, unsigned n, const struct complete_names *names, FILE *out)
{
    struct line l;
    unsigned n_words;
    size_t size = 0;
    if (n == 0) {
        return;
    }
    read_line(words, n, &l);
    struct offer o = {l.last, "", out};
    const struct command *c = command_of(&l, &n_words);
    if (l.open != NULL) {
        offer_value(&o, l.open->value, strlen(l.open->value), names);
    } else if (l.flags && l.last[0] == '-') {
        offer_flags(&o, c, names);
    } else {
        offer_words(&o, &l);
        const char *what = c != NULL ? command_arg(c, l.plain_n - n_words, &size) : NULL;
        if (what != NULL) {
            offer_value(&o, what, size, names);
        }
    }
}

/* ---- scripts ---- */

static const char bash_script[] =
    "# bash completion of clusterctl; asks clusterctl itself what may come next\n"
    "_clusterctl() {\n"
    "    local cur words lines line\n"
    "    cur=${COMP_WORDS[COMP_CWORD]}\n"
    "    words=()\n"
    "    # bash parts --flag=value into three words\n"
    "    for line in \"${COMP_WORDS[@]:1:COMP_CWORD}\"; do\n"
    "        if [[ $line == '=' && ${#words[@]} -gt 0 ]]; then\n"
    "            continue\n"
    "        fi\n"
    "        words+=(\"$line\")\n"
    "    done\n"
    "    [[ $cur != '=' ]] || { cur=''; words+=(''); }\n"
    "    COMPREPLY=()\n"
    "    mapfile -t lines < <(\"${COMP_WORDS[0]}\" complete -- \"${words[@]}\" 2>/dev/null)\n"
    "    case ${lines[0]-} in\n"
    "        :files) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "
    "\"$cur\") ;;\n"
    "        :directories) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d "
    "-- \"$cur\") ;;\n"
    "        *) for line in \"${lines[@]}\"; do COMPREPLY+=(\"${line%%$'\\t'*}\"); done ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _clusterctl clusterctl\n";

static const char zsh_script[] =
    "#compdef clusterctl\n"
    "# zsh completion of clusterctl; asks clusterctl itself what may come next\n"
    "_clusterctl() {\n"
    "    local -a lines candidates\n"
    "    local line word\n"
    "    lines=(\"${(@f)$(${words[1]} complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)}\")\n"
    "    case ${lines[1]} in\n"
    "        :files) _files; return ;;\n"
    "        :directories) _files -/; return ;;\n"
    "    esac\n"
    "    for line in $lines; do\n"
    "        word=${line%%$'\\t'*}\n"
    "        candidates+=(\"${word//:/\\\\:}:${line#*$'\\t'}\")\n"
    "    done\n"
    "    _describe clusterctl candidates\n"
    "}\n"
    "if [ \"$funcstack[1]\" = \"_clusterctl\" ]; then\n"
    "    _clusterctl \"$@\"\n"
    "else\n"
    "    compdef _clusterctl clusterctl\n"
    "fi\n";

enum status complete_script(const char *shell, FILE *out, struct error *e)
{
    if (strcmp(shell, "bash") == 0) {
        fputs(bash_script, out);
        return OK;
    }
    if (strcmp(shell, "zsh") == 0) {
        fputs(zsh_script, out);
        return OK;
    }
    return error_set(e, STATUS_INVALID, "completion is there for bash and zsh, not for \"%s\"",
                     shell);
}
