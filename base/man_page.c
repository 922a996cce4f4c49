/* One call, one piece of the page; nothing is kept between calls. */
#include "base/man_page.h"

#include <string.h>

#include "base/setting_text.h"

/* One line or several; at_start: the next byte begins a line of the page. */
static void escape(FILE *out, const char *text, bool at_start)
{
    for (; *text != '\0'; text++) {
        if (at_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", out);
        }
        if (*text == '\\') {
            fputs("\\e", out);
        } else if (*text == '-') {
            fputs("\\-", out);
        } else if (*text == '"') {
            fputs("\\(dq", out);
        } else {
            fputc(*text, out);
        }
        at_start = *text == '\n';
    }
}

void man_begin(FILE *out, const char *name, unsigned section, const char *version,
               const char *summary)
{
    fputs(".TH ", out);
    for (const char *p = name; *p != '\0'; p++) {
        fputc(*p >= 'a' && *p <= 'z' ? *p - 'a' + 'A' : *p, out);
    }
    fprintf(out, " %u \"\" \"%s\" \"Mailquorum\"\n.SH NAME\n", section, version);
    escape(out, name, true);
    fputs(" \\- ", out);
    escape(out, summary, false);
    fputc('\n', out);
}

void man_section(FILE *out, const char *title)
{
    fputs(".SH ", out);
    escape(out, title, false);
    fputc('\n', out);
}

void man_subsection(FILE *out, const char *title)
{
    fputs(".SS ", out);
    escape(out, title, false);
    fputc('\n', out);
}

static void paragraphs(FILE *out, const char *text, const char *between)
{
    char line[4096];
    while (*text != '\0') {
        const char *end = strstr(text, "\n\n");
        size_t size = end != NULL ? (size_t)(end - text) : strlen(text);
        snprintf(line, sizeof(line), "%.*s", (int)size, text);
        escape(out, line, true);
        fputc('\n', out);
        text += size + (end != NULL ? 2 : 0);
        fputs(*text != '\0' ? between : "", out);
    }
}

void man_text(FILE *out, const char *text)
{
    fputs(".PP\n", out);
    paragraphs(out, text, ".PP\n");
}

void man_item(FILE *out, const char *term, const char *text)
{
    fputs(".TP\n\\fB", out);
    escape(out, term, false);
    fputs("\\fR\n", out);
    paragraphs(out, text, ".IP\n");
}

void man_code(FILE *out, const char *line)
{
    fputs(".nf\n.RS 4\n", out);
    escape(out, line, true);
    fputs("\n.RE\n.fi\n", out);
}

void man_see_also(FILE *out, const char *const *pages)
{
    man_section(out, "SEE ALSO");
    for (size_t i = 0; pages[i] != NULL; i++) {
        fputs(i > 0 ? ",\n" : "", out);
        escape(out, pages[i], true);
    }
    fputc('\n', out);
}

/* ---- configuration files ---- */

static void setting_item(FILE *out, const struct setting *row)
{
    char text[1024], least[32], most[32];
    bool number = row->type == SETTING_TYPE_BYTES || row->type == SETTING_TYPE_DURATION ||
                  row->type == SETTING_TYPE_INTEGER;
    int n = snprintf(text, sizeof(text), "%s.", row->help);
    size_t at = n > 0 && (size_t)n < sizeof(text) ? (size_t)n : 0;
    if (row->choices != NULL) {
        n = snprintf(text + at, sizeof(text) - at, " One of %s.", row->choices);
    } else if (number) {
        n = snprintf(text + at, sizeof(text) - at, " From %s to %s.",
                     setting_number_format(row, row->min, least, sizeof(least)),
                     setting_number_format(row, row->max, most, sizeof(most)));
    } else {
        n = 0;
    }
    at += n > 0 ? (size_t)n : 0;
    if (at < sizeof(text)) {
        snprintf(text + at, sizeof(text) - at, "%s%s%s",
                 row->fallback == NULL      ? " It must be given"
                 : row->fallback[0] == '\0' ? " Empty by default"
                                            : " Default: ",
                 row->fallback != NULL ? row->fallback : "", ".");
    }
    man_item(out, row->key, text);
}

void man_settings(FILE *out, const struct setting *table, size_t n)
{
    const char *section = "";
    for (size_t i = 0; i < n; i++) {
        if (strcmp(section, table[i].section) != 0) {
            char title[64];
            section = table[i].section;
            snprintf(title, sizeof(title), "[%s]", section);
            man_subsection(out, title);
        }
        setting_item(out, &table[i]);
    }
}
