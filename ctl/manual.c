/* clusterctl man DIR writes every page; the build and the packages call it. */
#include "ctl/manual.h"

#include <errno.h>
#include <string.h>

#include "base/man_page.h"
#include "ctl/ctl.h"
#include "ctl/help.h"

#define VERSION_TEXT "Mailquorum " CTL_VERSION

/* ---- one command ---- */

static const char *usage_format(const struct command *c, char *text, size_t size)
{
    snprintf(text, size, "clusterctl %s%s%s [flags]", c->words, c->args != NULL ? " " : "",
             c->args != NULL ? c->args : "");
    return text;
}

static void exit_item(void *arg, enum exit_code code)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", (int)code);
    man_item(arg, number, exit_text(code));
}

static void sentence(FILE *out, const char *text)
{
    char line[256];
    snprintf(line, sizeof(line), "%c%s.", *text >= 'a' && *text <= 'z' ? *text - 32 : *text,
             text + 1);
    man_text(out, line);
}

static void command_body(const struct command *c, FILE *out)
{
    char left[FLAG_TEXT_SIZE];
    sentence(out, c->summary);
    man_text(out, c->text);
    if ((c->marks & COMMAND_DANGEROUS) != 0) {
        man_text(out, COMMAND_DANGER_TEXT);
    }
    if ((c->marks & COMMAND_NEEDS_LEADER) != 0) {
        man_text(out, "It needs a quorum.");
    }
    for (size_t i = 0; i < option_rows_n; i++) {
        if (command_takes(c, &option_rows[i])) {
            const char *flag = flag_format(&option_rows[i], left);
            man_item(out, flag + strspn(flag, " "), option_rows[i].help);
        }
    }
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && c->examples[i].line != NULL; i++) {
        char line[256];
        snprintf(line, sizeof(line), "Example: %s.", c->examples[i].says);
        man_text(out, line);
        snprintf(line, sizeof(line), "clusterctl %s", c->examples[i].line);
        man_code(out, line);
    }
}

/* ---- one noun ---- */

static const char *summary_of(const char *noun)
{
    const struct noun *row = noun_find(noun, strlen(noun));
    for (size_t i = 0; row == NULL && i < commands_n; i++) {
        if (command_has_noun(&commands[i], noun, strlen(noun))) {
            return commands[i].summary;
        }
    }
    return row != NULL ? row->summary : "";
}

static void noun_page(const char *noun, FILE *out)
{
    char text[256];
    const struct noun *row = noun_find(noun, strlen(noun));
    snprintf(text, sizeof(text), "clusterctl-%s", noun);
    man_begin(out, text, 1, VERSION_TEXT, summary_of(noun));
    man_section(out, "SYNOPSIS");
    for (size_t i = 0; i < commands_n; i++) {
        if (command_has_noun(&commands[i], noun, strlen(noun))) {
            man_code(out, usage_format(&commands[i], text, sizeof(text)));
        }
    }
    man_section(out, "DESCRIPTION");
    if (row != NULL) {
        man_text(out, row->text);
    }
    for (size_t i = 0; i < commands_n; i++) {
        if (command_has_noun(&commands[i], noun, strlen(noun))) {
            if (row != NULL) {
                man_subsection(out, usage_format(&commands[i], text, sizeof(text)));
            }
            command_body(&commands[i], out);
        }
    }
    man_text(out, "The flags of every command are in clusterctl(1).");
    man_section(out, "EXIT STATUS");
    for (size_t i = 0; i < commands_n; i++) {
        if (command_has_noun(&commands[i], noun, strlen(noun))) {
            if (row != NULL) {
                man_subsection(out, commands[i].words);
            }
            command_each_exit(&commands[i], exit_item, out);
        }
    }
    man_see_also(out, (const char *const[]){"clusterctl(1)", "mailquorum-messages(7)", NULL});
}

/* ---- the tool ---- */

static void tool_rows(FILE *out)
{
    char text[256], left[FLAG_TEXT_SIZE];
    man_section(out, "COMMANDS");
    for (size_t i = 0; i < commands_n; i++) {
        const struct command *c = &commands[i];
        if ((c->marks & COMMAND_HIDDEN) == 0) {
            snprintf(text, sizeof(text), "%s%s%s", c->words, c->args != NULL ? " " : "",
                     c->args != NULL ? c->args : "");
            man_item(out, text, c->summary);
        }
    }
    man_text(out, "Each noun has a page of its own, such as clusterctl-mailbox(1).");
    man_section(out, "OPTIONS");
    for (size_t i = 0; i < option_rows_n; i++) {
        if (option_rows[i].global) {
            const char *flag = flag_format(&option_rows[i], left);
            man_item(out, flag + strspn(flag, " "), option_rows[i].help);
        }
    }
    man_section(out, "EXIT STATUS");
    for (size_t i = 0; i < exit_rows_n; i++) {
        exit_item(out, exit_rows[i].code);
    }
}

static void tool_page(FILE *out)
{
    static const char *const see_also[] = {"clusterctl.conf(5)", "mailquorum-messages(7)",
                                           "mailquorumd(8)", "mailfeed(8)", NULL};
    man_begin(out, "clusterctl", 1, VERSION_TEXT, "see and move a Mailquorum cluster");
    man_section(out, "SYNOPSIS");
    man_code(out, "clusterctl COMMAND [arguments] [flags]");
    man_code(out, "clusterctl help [COMMAND]");
    man_code(out, "clusterctl --version");
    man_section(out, "DESCRIPTION");
    man_text(out,
             "clusterctl asks the nodes of a cluster over TLS, or the node of this machine over "
             "its unix "
             "socket, and shows what they say or has it changed. A view that no majority confirms "
             "says so; what is not known now is shown as ?, never as what it was.");
    man_text(
        out,
        "Flags may stand anywhere on the line; long ones are never abbreviated. It never asks "
        "back: what is dangerous wants --apply or --confirm on the line and is refused with 22 "
        "without.");
    tool_rows(out);
    man_section(out, "OUTPUT");
    man_text(
        out,
        "The answer goes to standard output, progress and complaints to standard error. Colours "
        "are "
        "used on a terminal only, and the severity is always also a word. Tables are at most 100 "
        "columns wide, with -o wide as wide as they are.");
    man_text(out,
             "With -o json the answer is one object: api, kind, cluster, as_of, source, severity, "
             "summary, "
             "messages, data. Every field is always there, null when it is not known; numbers of "
             "64 bits "
             "are strings; times are RFC 3339 in UTC. -o ndjson writes the same on one line. -o "
             "csv writes the table "
             "alone, with a row of names, as RFC 4180 has it.");
    man_section(out, "ENVIRONMENT");
    man_item(out, "MAILQUORUM_CONFIG", "the configuration, when --config is not given");
    man_item(out, "NO_COLOR, TERM=dumb", "no colours");
    man_section(out, "FILES");
    man_item(out, CTL_CONFIG_FILE, "the configuration, clusterctl.conf(5)");
    man_see_also(out, see_also);
}

static void file_page(FILE *out)
{
    size_t n;
    const struct setting *rows = ctl_config_settings(&n);
    man_begin(out, "clusterctl.conf", 5, VERSION_TEXT, "configuration of clusterctl(1)");
    man_section(out, "DESCRIPTION");
    man_text(out,
             "Which cluster, who we are, and where its nodes are. clusterctl-init(1) writes one. "
             "Lines are "
             "\"key = value\" below a [section].");
    man_section(out, "SETTINGS");
    man_settings(out, rows, n);
    man_see_also(out, (const char *const[]){"clusterctl(1)", NULL});
}

void manual_print(const char *noun, FILE *out)
{
    if (noun == NULL) {
        tool_page(out);
    } else {
        noun_page(noun, out);
    }
}

/* ---- clusterctl man ---- */

static bool write_page(struct ctl *c, const char *name, unsigned section,
                       void (*print)(const char *noun, FILE *out), const char *noun)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/%s.%u", c->arguments.args[0], name, section);
    FILE *f = n > 0 && (size_t)n < sizeof(path) ? fopen(path, "w") : NULL;
    if (f != NULL) {
        print(noun, f);
    }
    if (f == NULL || fclose(f) != 0) {
        (void)ctl_refuse(c, status_from_errno(errno), "%s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static void print_file_page(const char *noun, FILE *out)
{
    (void)noun;
    file_page(out);
}

enum exit_code run_man(struct ctl *c)
{
    bool good = write_page(c, "clusterctl", 1, manual_print, NULL) &&
                write_page(c, "clusterctl.conf", 5, print_file_page, NULL);
    for (size_t i = 0; good && i < commands_n; i++) {
        if ((commands[i].marks & COMMAND_HIDDEN) == 0 && command_begins_noun(&commands[i])) {
            char noun[64], name[128];
            snprintf(noun, sizeof(noun), "%.*s", (int)command_noun_size(&commands[i]),
                     commands[i].words);
            snprintf(name, sizeof(name), "clusterctl-%s", noun);
            good = write_page(c, name, 1, manual_print, noun);
        }
    }
    return good ? EXIT_HEALTHY : EXIT_BUG;
}
