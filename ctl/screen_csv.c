/* The table of a screen as CSV (RFC 4180): a row of names, then the rows, nothing else. */
#include <string.h>

#include "ctl/screen.h"

void screen_print_csv(const struct screen *s, FILE *out);

static void field(const char *text, bool last, FILE *out)
{
    bool quoted = strpbrk(text, "\",\r\n") != NULL;
    fputs(quoted ? "\"" : "", out);
    for (const char *p = text; *p != '\0'; p++) {
        fputs(*p == '"' ? "\"" : "", out);
        fputc(*p, out);
    }
    fputs(quoted ? "\"" : "", out);
    fputs(last ? "\r\n" : ",", out);
}

void screen_print_csv(const struct screen *s, FILE *out)
{
    const char *cell = (const char *)s->cells.data;
    for (unsigned i = 0; i < s->columns_n; i++) {
        field(s->columns[i], i + 1 == s->columns_n, out);
    }
    for (unsigned i = 0; s->columns_n > 0 && i < s->cells_n / s->columns_n * s->columns_n; i++) {
        field(cell, i % s->columns_n + 1 == s->columns_n, out);
        cell += strlen(cell) + 1;
    }
}
