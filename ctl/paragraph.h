/* Text for people, broken at blanks so that no line is wider than it may be. */
#ifndef MQ_CTL_PARAGRAPH_H
#define MQ_CTL_PARAGRAPH_H

#include <stddef.h>
#include <stdio.h>

#define PARAGRAPH_WIDTH 100

/* The text begins at column `at`; later lines are indented by `indent`. A word that is too long stands alone. An empty line (two newlines)
 * stays one; ends with a newline. */
void paragraph_print(const char *text, size_t at, size_t indent, FILE *out);
/* The same on a terminal that is not that wide. */
void paragraph_print_within(const char *text, size_t at, size_t indent, size_t width, FILE *out);

#endif
