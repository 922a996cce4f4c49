/* What a command answers: a verdict, lines for people, one table, and the same as JSON (the envelope of api v1). A command fills a
 * screen; screen_print writes it as the user asked. Text from the cluster is cleaned of control characters before it reaches a
 * terminal; 64-bit numbers are strings in JSON; unknown is "?" on the screen and null in JSON, never an old value. */
#ifndef MQ_CTL_SCREEN_H
#define MQ_CTL_SCREEN_H

#include <jansson.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/identity.h"
#include "base/sentence.h"
#include "base/severity.h"
#include "ctl/options.h"

#define SCREEN_COLUMNS_MAX 24
#define SCREEN_ROWS_MAX    1000000u

struct screen {
    const char *kind;
    enum severity severity;
    bool verdict;            /* the summary is printed with its severity in front */
    bool headline;           /* the summary says the first message: as text it is not said again */
    bool messages_elsewhere; /* another command says them: here they are in JSON only */
    char summary[512];
    unsigned width;      /* of tables and sentences; 0 = PARAGRAPH_WIDTH */
    bool answer;         /* lines are the answer itself: there also with --quiet */
    bool verbatim;       /* the same, for a script: also never broken */
    struct buffer lines; /* before the table, each with its newline */
    struct buffer notes; /* behind it */
    const char *columns[SCREEN_COLUMNS_MAX];
    char column_names[SCREEN_COLUMNS_MAX]
                     [NAME_MAX_BYTES + 1]; /* for columns that are named at run time */
    bool wide[SCREEN_COLUMNS_MAX];         /* shown with -o wide only */
    unsigned columns_n;
    struct buffer cells; /* NUL-terminated, row by row */
    unsigned cells_n;
    json_t *data, *messages;
    /* where it comes from */
    char cluster_name[NAME_MAX_BYTES + 1];
    char cluster_id[UUID_TEXT_SIZE];
    uint64_t epoch; /* of the directory; 0 = unknown */
    char node[NAME_MAX_BYTES + 1];
    bool quorum;
    uint64_t age_ms, as_of_ms;
};

void screen_init(struct screen *s, const char *kind);
void screen_deinit(struct screen *s);
void screen_line(struct screen *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void screen_note(struct screen *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void screen_column(struct screen *s, const char *name); /* copied */
/* One that is shown with -o wide only; its cells are filled in all the same. */
void screen_column_wide(struct screen *s, const char *name);
/* Cells fill rows from left to right. */
void screen_cell(struct screen *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void screen_message(struct screen *s, const char *id, enum severity severity, const char *object,
                    const char *text, const char *hint);
/* Of the last message: since when (Unix time; 0 = unknown), and what not to do ("" = nothing). */
void screen_message_more(struct screen *s, uint64_t since_ms, const char *avoid);
/* Tables and sentences are at most `width` columns wide, but with -o wide: a cell that does not fit is cut and ends in ~. Colours only
 * when `out` is a terminal that wants them. */
void screen_print(const struct screen *s, const struct options *o, FILE *out);
/* "\033[31m" and its like, and what ends it; both empty where colours are not wanted. */
bool screen_coloured(const struct options *o, FILE *out);
const char *severity_colour(enum severity s);
#define COLOUR_END "\033[0m"

/* JSON values. Bytes that are no UTF-8 become "?". */
json_t *json_text(const char *text);
json_t *json_text_sized(const char *text, size_t size);
json_t *json_u64(uint64_t value); /* a string */
json_t *json_u64_or_null(bool known, uint64_t value);
json_t *json_time(uint64_t unix_ms);     /* RFC 3339; null for 0 */
json_t *json_date(int64_t unix_seconds); /* RFC 3339; null outside the years 0 to 9999 */
json_t *json_seconds(bool known, uint64_t ms);
json_t *json_hex(struct bytes b);
void hex_format(struct bytes b, char *text, size_t size); /* cut at size - 1 */
const char *size_format(uint64_t bytes, char text[SPAN_TEXT_SIZE]);
/* Control characters become question marks: what a node says must not move the cursor of whoever looks at it. */
void text_clean(char *text);
/* Columns a terminal needs for it. */
size_t text_width(const char *text);
/* How many of its first bytes fit into `width` columns. */
size_t text_fits(const char *text, size_t width);

#endif
