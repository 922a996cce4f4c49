/* Rows in, text out. */
#include "base/program.h"

#include "base/man_page.h"

void program_usage(const struct program *p, FILE *out)
{
    for (size_t i = 0; i < PROGRAM_ROWS_MAX && p->synopsis[i] != NULL; i++) {
        fprintf(out, "%s %s\n", i == 0 ? "Usage:" : "      ", p->synopsis[i]);
    }
    fprintf(out, "\n%s: %s\n\n", p->name, p->summary);
    for (size_t i = 0; i < PROGRAM_ROWS_MAX && p->options[i].name != NULL; i++) {
        fprintf(out, "  %-18s %s\n", p->options[i].name, p->options[i].help);
    }
}

static void rows(const char *title, const struct program_row *row, FILE *out)
{
    for (size_t i = 0; i < PROGRAM_ROWS_MAX && row[i].name != NULL; i++) {
        if (i == 0) {
            man_section(out, title);
        }
        man_item(out, row[i].name, row[i].help);
    }
}

void program_man(const struct program *p, const char *version, FILE *out)
{
    man_begin(out, p->name, 8, version, p->summary);
    man_section(out, "SYNOPSIS");
    for (size_t i = 0; i < PROGRAM_ROWS_MAX && p->synopsis[i] != NULL; i++) {
        man_code(out, p->synopsis[i]);
    }
    man_section(out, "DESCRIPTION");
    man_text(out, p->text);
    rows("OPTIONS", p->options, out);
    rows("SIGNALS", p->signals, out);
    rows("EXIT STATUS", p->exits, out);
    rows("FILES", p->files, out);
    man_see_also(out, p->see_also);
}

void program_man_file(const struct program *p, const char *version, FILE *out)
{
    char summary[128], own[64];
    snprintf(summary, sizeof(summary), "configuration of %s(8)", p->name);
    snprintf(own, sizeof(own), "%s(8)", p->name);
    man_begin(out, p->file_name, 5, version, summary);
    man_section(out, "DESCRIPTION");
    man_text(out, p->file_text);
    man_text(out,
             "Lines are \"key = value\" below a [section]. A comment is a line that begins with ; "
             "or #, or what "
             "follows \" ;\" behind a value. An unknown section or key is refused, with its line "
             "and the nearest "
             "one that is known. Sizes are 512, 64KB, 10MB or 2GB (units of 1024), times 200ms, "
             "5s, 3m, 2h or 1d.");
    man_section(out, "SETTINGS");
    man_settings(out, p->settings, p->settings_n);
    man_see_also(out, (const char *const[]){own, "clusterctl(1)", NULL});
}
