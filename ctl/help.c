/* Everything here is read from rows; no command is known by name. */
#include "ctl/help.h"

#include <string.h>

#include "ctl/paragraph.h"

#define LEFT 38 /* column of the texts */

static void two_columns(const char *left, const char *text, FILE *out)
{
    int n = fprintf(out, "  %s", left);
    size_t at = n > 0 ? (size_t)n : 0;
    if (at + 1 > LEFT) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", (int)(LEFT - at), "");
    paragraph_print(text, LEFT, LEFT, out);
}

const char *flag_format(const struct option_row *row, char text[FLAG_TEXT_SIZE])
{
    snprintf(text, FLAG_TEXT_SIZE, "%c%c%c --%s%s%s", row->letter != 0 ? '-' : ' ',
             row->letter != 0 ? row->letter : ' ', row->letter != 0 ? ',' : ' ', row->name,
             row->value != NULL ? " " : "", row->value != NULL ? row->value : "");
    return text;
}

static void flag_help(const struct option_row *row, FILE *out)
{
    char left[FLAG_TEXT_SIZE];
    two_columns(flag_format(row, left), row->help, out);
}

static void global_flags(FILE *out)
{
    fprintf(out, "\nflags of every command:\n");
    for (size_t i = 0; i < option_rows_n; i++) {
        if (option_rows[i].global) {
            flag_help(&option_rows[i], out);
        }
    }
}

static void exit_help(void *arg, enum exit_code code)
{
    char left[16];
    snprintf(left, sizeof(left), "%d", (int)code);
    two_columns(left, exit_text(code), arg);
}

static void line_of(const struct command *c, FILE *out)
{
    char left[128];
    snprintf(left, sizeof(left), "%s%s%s", c->words, c->args != NULL ? " " : "",
             c->args != NULL ? c->args : "");
    two_columns(left, c->summary, out);
}

static void examples_help(const struct command *c, FILE *out)
{
    for (size_t i = 0; i < COMMAND_EXAMPLES_MAX && c->examples[i].line != NULL; i++) {
        fprintf(out, "%s  clusterctl %s\n      %s\n", i == 0 ? "\nexamples:\n" : "",
                c->examples[i].line, c->examples[i].says);
    }
}

static void command_help(const struct command *c, FILE *out)
{
    fprintf(out, "clusterctl %s%s%s [flags]\n\n", c->words, c->args != NULL ? " " : "",
            c->args != NULL ? c->args : "");
    paragraph_print(c->summary, 0, 0, out);
    fputc('\n', out);
    paragraph_print(c->text, 0, 0, out);
    if ((c->marks & COMMAND_DANGEROUS) != 0) {
        fputc('\n', out);
        paragraph_print(COMMAND_DANGER_TEXT, 0, 0, out);
    }
    if ((c->marks & COMMAND_NEEDS_LEADER) != 0) {
        fprintf(out, "\nNeeds a quorum.\n");
    }
    examples_help(c, out);
    for (size_t i = 0, n = 0; i < option_rows_n; i++) {
        if (command_takes(c, &option_rows[i])) {
            fputs(n++ == 0 ? "\nflags of its own:\n" : "", out);
            flag_help(&option_rows[i], out);
        }
    }
    global_flags(out);
    fprintf(out, "\nexit codes:\n");
    command_each_exit(c, exit_help, out);
}

static void noun_help(const struct noun *noun, FILE *out)
{
    fprintf(out, "clusterctl %s VERB [arguments] [flags]\n\n", noun->name);
    paragraph_print(noun->summary, 0, 0, out);
    fputc('\n', out);
    paragraph_print(noun->text, 0, 0, out);
    fprintf(out, "\nverbs:\n");
    for (size_t i = 0; i < commands_n; i++) {
        if (command_has_noun(&commands[i], noun->name, strlen(noun->name))) {
            line_of(&commands[i], out);
        }
    }
    fprintf(out, "\nclusterctl help %s VERB says more about one.\n", noun->name);
}

static void tool_help(FILE *out)
{
    fprintf(out, "clusterctl COMMAND [arguments] [flags]\n\ncommands:\n");
    for (size_t i = 0; i < commands_n; i++) {
        if ((commands[i].marks & COMMAND_HIDDEN) == 0) {
            line_of(&commands[i], out);
        }
    }
    fprintf(out, "\nclusterctl help COMMAND says more about one; clusterctl --version.\n");
    global_flags(out);
    fprintf(out, "\nexit codes:\n");
    for (size_t i = 0; i < exit_rows_n; i++) {
        exit_help(out, exit_rows[i].code);
    }
}

void help_print(const struct command *command, const struct noun *noun, FILE *out)
{
    if (command != NULL) {
        command_help(command, out);
    } else if (noun != NULL) {
        noun_help(noun, out);
    } else {
        tool_help(out);
    }
}
