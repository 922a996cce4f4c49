/* The command line of a daemon as a table: what --help prints and its manual pages come from here. */
#ifndef MQ_BASE_PROGRAM_H
#define MQ_BASE_PROGRAM_H

#include <stdio.h>

#include "base/settings.h"

#define PROGRAM_ROWS_MAX 10

struct program_row {
    const char *name; /* "--config FILE", "3", "SIGHUP"; NULL ends */
    const char *help;
};

struct program {
    const char *name;
    const char *summary; /* one line */
    const char *synopsis[PROGRAM_ROWS_MAX];
    const char *text; /* paragraphs parted by an empty line */
    struct program_row options[PROGRAM_ROWS_MAX], exits[PROGRAM_ROWS_MAX],
        signals[PROGRAM_ROWS_MAX], files[PROGRAM_ROWS_MAX];
    const char *see_also[PROGRAM_ROWS_MAX];
    /* its configuration file, for section 5 */
    const char *file_name; /* "mailfeed.conf" */
    const char *file_text;
    const struct setting *settings;
    size_t settings_n;
};

void program_usage(const struct program *p, FILE *out);
/* Section 8, and section 5 of its configuration file. */
void program_man(const struct program *p, const char *version, FILE *out);
void program_man_file(const struct program *p, const char *version, FILE *out);

#endif
