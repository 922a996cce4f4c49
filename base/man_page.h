/* Manual pages in the man(7) macros: what every program of ours needs to write its own from its tables. Text is plain; what roff would take
 * for its own (backslashes, dots at the beginning of a line) is escaped. Pages carry no date, so that two builds give the same bytes. */
#ifndef MQ_BASE_MAN_PAGE_H
#define MQ_BASE_MAN_PAGE_H

#include <stddef.h>
#include <stdio.h>

#include "base/settings.h"

/* The header and NAME. Version: "Mailquorum 0.1.0". */
void man_begin(FILE *out, const char *name, unsigned section, const char *version,
               const char *summary);
void man_section(FILE *out, const char *title);
void man_subsection(FILE *out, const char *title);
/* Paragraphs parted by an empty line. */
void man_text(FILE *out, const char *text);
/* A term in bold and, indented below it, what it means. */
void man_item(FILE *out, const char *term, const char *text);
/* A line as it is typed; several in a row stand below each other. */
void man_code(FILE *out, const char *line);
/* "clusterctl(1)", in this order; NULL ends. */
void man_see_also(FILE *out, const char *const *pages);
/* Every key of a configuration file: its section, meaning, default and range. */
void man_settings(FILE *out, const struct setting *table, size_t n);

#endif
