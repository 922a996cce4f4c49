/* Filling a screen, and printing it as text. What does not fit into memory is left out rather than failing the command; the JSON side
 * is in screen_json.c. */
#include "ctl/screen.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl/paragraph.h"

static const char *const colours[] = {"\033[32m", "\033[34m", "\033[33m", "\033[38;5;208m",
                                      "\033[31m"};

static enum severity severity_of(const char *name)
{
    for (unsigned i = 0; i < SEVERITY_COUNT; i++) {
        if (name != NULL && strcmp(severity_name((enum severity)i), name) == 0) {
            return (enum severity)i;
        }
    }
    return SEVERITY_BLUE;
}

void screen_init(struct screen *s, const char *kind)
{
    memset(s, 0, sizeof(*s));
    s->kind = kind;
    s->data = json_object();
    s->messages = json_array();
}

void screen_deinit(struct screen *s)
{
    buffer_deinit(&s->lines);
    buffer_deinit(&s->notes);
    buffer_deinit(&s->cells);
    json_decref(s->data);
    json_decref(s->messages);
}

void text_clean(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || (unsigned char)*p == 0x7f) {
            *p = '?';
        } else if ((unsigned char)p[0] == 0xc2 && (unsigned char)p[1] >= 0x80 &&
                   (unsigned char)p[1] < 0xa0) {
            p[0] = '?'; /* C1 controls */
            p[1] = '?';
        }
    }
}

static void add(struct buffer *b, const char *format, va_list args, const char *end,
                size_t end_size)
{
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0) {
        return;
    }
    text_clean(text);
    if (buffer_append(b, text, strlen(text)) == OK) {
        (void)buffer_append(b, end, end_size);
    }
    free(text);
}

void screen_line(struct screen *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(&s->lines, format, args, "\n", 1);
    va_end(args);
}

void screen_note(struct screen *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    add(&s->notes, format, args, "\n", 1);
    va_end(args);
}

static void column_add(struct screen *s, const char *name, bool wide)
{
    if (s->columns_n < SCREEN_COLUMNS_MAX) {
        char *at = s->column_names[s->columns_n];
        snprintf(at, sizeof(s->column_names[0]), "%s", name);
        s->wide[s->columns_n] = wide;
        s->columns[s->columns_n++] = at;
    }
}

void screen_column(struct screen *s, const char *name)
{
    column_add(s, name, false);
}

void screen_column_wide(struct screen *s, const char *name)
{
    column_add(s, name, true);
}

void screen_cell(struct screen *s, const char *format, ...)
{
    va_list args;
    if (s->columns_n == 0 || s->cells_n / s->columns_n >= SCREEN_ROWS_MAX) {
        return;
    }
    va_start(args, format);
    add(&s->cells, format, args, "\0", 1);
    va_end(args);
    s->cells_n++;
}

/* ---- text ---- */

static uint32_t utf8_next(const unsigned char **p)
{
    uint32_t c = *(*p)++;
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
    if (more == 0) {
        return c;
    }
    c &= 0x3fu >> more;
    while (more-- > 0 && (**p & 0xc0) == 0x80) {
        c = c << 6 | (*(*p)++ & 0x3fu);
    }
    return c;
}

/* CJK and its neighbours. Combining marks are few among mailbox names and are counted as one. */
static bool utf8_wide(uint32_t c)
{
    return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
           (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
           (c >= 0xffe0 && c <= 0xffe6) || (c >= 0x1f300 && c <= 0x1faff) ||
           (c >= 0x20000 && c <= 0x3fffd);
}

size_t text_width(const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t n = 0;
    while (*p != '\0') {
        n += utf8_wide(utf8_next(&p)) ? 2 : 1;
    }
    return n;
}

size_t text_fits(const char *text, size_t width)
{
    size_t bytes = 0, used = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';) {
        const unsigned char *next = p;
        used += utf8_wide(utf8_next(&next)) ? 2 : 1;
        if (used > width) {
            break;
        }
        bytes += (size_t)(next - p);
        p = next;
    }
    return bytes;
}

/* ---- the table ---- */

#define CUT_MIN  8u       /* no column is cut to less */
#define UNBROKEN SIZE_MAX /* a width */

struct layout {
    size_t widths[SCREEN_COLUMNS_MAX]; /* 0 = not shown */
    unsigned last;                     /* shown column */
    bool cut;
};

static size_t total_width(const struct screen *s, const struct layout *l)
{
    size_t total = 0;
    for (unsigned i = 0; i < s->columns_n; i++) {
        total += l->widths[i] > 0 ? l->widths[i] + (i != l->last) : 0;
    }
    return total;
}

static size_t width_of(const struct screen *s)
{
    return s->width != 0 ? s->width : PARAGRAPH_WIDTH;
}

/* Takes from the widest column, the last of equals, until all fit or nothing more can be taken. */
static void narrow(const struct screen *s, struct layout *l)
{
    for (size_t total = total_width(s, l); total > width_of(s); total--) {
        unsigned widest = 0;
        for (unsigned i = 1; i < s->columns_n; i++) {
            widest = l->widths[i] >= l->widths[widest] ? i : widest;
        }
        size_t least = text_width(s->columns[widest]);
        if (l->widths[widest] <= (least > CUT_MIN ? least : CUT_MIN)) {
            return;
        }
        l->widths[widest]--;
        l->cut = true;
    }
}

/* A column without name and contents is not shown either. */
static void lay_out(const struct screen *s, bool wide, struct layout *out)
{
    const char *cell = (const char *)s->cells.data;
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < s->columns_n; i++) {
        out->widths[i] = wide || !s->wide[i] ? text_width(s->columns[i]) : 0;
    }
    for (unsigned i = 0; i < s->cells_n; i++, cell += strlen(cell) + 1) {
        size_t *width = &out->widths[i % s->columns_n];
        size_t w = wide || !s->wide[i % s->columns_n] ? text_width(cell) : 0;
        *width = w > *width ? w : *width;
    }
    for (unsigned i = 0; i < s->columns_n; i++) {
        out->last = out->widths[i] > 0 ? i : out->last;
    }
    if (!wide) {
        narrow(s, out);
    }
}

/* At most `width` columns of it; returns how many. */
static size_t print_cut(const char *cell, size_t width, FILE *out)
{
    size_t all = text_width(cell);
    if (all <= width) {
        fputs(cell, out);
        return all;
    }
    char kept[4096];
    snprintf(kept, sizeof(kept), "%.*s", (int)text_fits(cell, width - 1), cell);
    fprintf(out, "%s~", kept);
    return text_width(kept) + 1;
}

static void print_row(const struct screen *s, const char *const *cells, const struct layout *l,
                      FILE *out)
{
    for (unsigned i = 0; i < s->columns_n; i++) {
        if (l->widths[i] > 0) {
            size_t used = print_cut(cells[i], l->widths[i], out);
            fprintf(out, "%*s", i != l->last ? (int)(l->widths[i] - used + 1) : 0, "");
        }
    }
    fputc('\n', out);
}

/* true: something is cut. */
static bool print_table(const struct screen *s, bool wide, FILE *out)
{
    struct layout l;
    const char *row[SCREEN_COLUMNS_MAX];
    unsigned rows = s->columns_n > 0 ? s->cells_n / s->columns_n : 0;
    const char *cell = (const char *)s->cells.data;
    if (rows == 0) {
        return false;
    }
    lay_out(s, wide, &l);
    print_row(s, s->columns, &l, out);
    for (unsigned r = 0; r < rows; r++) {
        for (unsigned i = 0; i < s->columns_n; i++, cell += strlen(cell) + 1) {
            row[i] = cell;
        }
        print_row(s, row, &l, out);
    }
    return l.cut;
}

/* ---- the rest ---- */

bool screen_coloured(const struct options *o, FILE *out)
{
    const char *term = getenv("TERM");
    const char *none = getenv("NO_COLOR");
    return !o->no_color && (none == NULL || none[0] == '\0') &&
           (term == NULL || strcmp(term, "dumb") != 0) && isatty(fileno(out)) == 1;
}

const char *severity_colour(enum severity s)
{
    return colours[s];
}

void screen_print_json(const struct screen *s, bool compact, FILE *out);
void screen_print_csv(const struct screen *s, FILE *out);

/* A line that fits stays as it is; a longer one is broken, and what follows stands under it, indented. */
static void print_line(const char *line, size_t width, FILE *out)
{
    size_t lead = strspn(line, " ");
    if (text_width(line) <= width) {
        fprintf(out, "%s\n", line);
    } else {
        fprintf(out, "%*s", (int)lead, "");
        paragraph_print_within(line + lead, lead, lead + 2, width, out);
    }
}

static void print_lines(const struct buffer *b, size_t width, FILE *out)
{
    char line[4096];
    for (size_t at = 0; at < b->size;) {
        const char *from = (const char *)b->data + at;
        const char *end = memchr(from, '\n', b->size - at);
        size_t size = end != NULL ? (size_t)(end - from) : b->size - at;
        if (size < sizeof(line)) {
            memcpy(line, from, size);
            line[size] = '\0';
            print_line(line, width, out);
        } else {
            (void)fwrite(from, 1, size + 1, out);
        }
        at += size + 1;
    }
}

/* "WORD text" with the word in its colour. */
static void print_verdict(enum severity severity, const char *text, bool colour, size_t width,
                          FILE *out)
{
    size_t at = strlen(severity_word(severity)) + 1;
    fprintf(out, "%s%s%s ", colour ? colours[severity] : "", severity_word(severity),
            colour ? COLOUR_END : "");
    if (width == UNBROKEN) {
        fprintf(out, "%s\n", text);
    } else {
        paragraph_print_within(text, at, 2, width, out);
    }
}

static void print_messages(const struct screen *s, bool colour, size_t width, FILE *out)
{
    size_t i;
    json_t *m;
    json_array_foreach(s->messages, i, m)
    {
        const char *text = json_string_value(json_object_get(m, "text"));
        const char *hint = json_string_value(json_object_get(m, "hint"));
        const char *avoid = json_string_value(json_object_get(m, "do_not"));
        char line[2048];
        if (i == 0 && s->headline) {
            continue;
        }
        snprintf(line, sizeof(line), "%s: %s", json_string_value(json_object_get(m, "id")),
                 text != NULL ? text : "");
        text_clean(line);
        print_verdict(severity_of(json_string_value(json_object_get(m, "severity"))), line, colour,
                      width, out);
        if (hint != NULL && hint[0] != '\0') {
            snprintf(line, sizeof(line), "  next: %s", hint);
            text_clean(line);
            print_line(line, width, out);
        }
        if (avoid != NULL && avoid[0] != '\0') {
            snprintf(line, sizeof(line), "  do not: %s", avoid);
            text_clean(line);
            print_line(line, width, out);
        }
    }
}

void screen_print(const struct screen *s, const struct options *o, FILE *out)
{
    bool wide = o->output == OUTPUT_WIDE;
    size_t width = wide ? UNBROKEN : width_of(s);
    bool colour = screen_coloured(o, out);
    if (options_json(o)) {
        screen_print_json(s, o->output == OUTPUT_NDJSON, out);
        return;
    }
    if (o->output == OUTPUT_CSV) {
        screen_print_csv(s, out);
        return;
    }
    char text[sizeof(s->summary)];
    memcpy(text, s->summary, sizeof(text));
    text_clean(text);
    if (s->verdict && text[0] != '\0') {
        print_verdict(s->severity, text, colour, width, out);
    } else if (text[0] != '\0' && !o->quiet) {
        print_line(text, width, out);
    }
    if (!o->quiet || s->answer || s->verbatim) {
        print_lines(&s->lines, s->verbatim ? UNBROKEN : width, out);
    }
    bool cut = print_table(s, wide, out);
    if (!s->messages_elsewhere) {
        print_messages(s, colour, width, out);
    }
    if (!o->quiet) {
        print_lines(&s->notes, width, out);
        fputs(cut ? "~ = cut; -o wide shows all of it\n" : "", out);
    }
}

const char *size_format(uint64_t bytes, char text[SPAN_TEXT_SIZE])
{
    static const char units[] = "BKMGTP";
    unsigned unit = 0;
    double value = (double)bytes;
    while (value >= 1024 && unit < 5) {
        value /= 1024;
        unit++;
    }
    snprintf(text, SPAN_TEXT_SIZE, unit == 0 || value >= 10 ? "%.0f%c" : "%.1f%c", value,
             units[unit]);
    return text;
}

void hex_format(struct bytes b, char *text, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = b.size < (size - 1) / 2 ? b.size : (size - 1) / 2;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[b.data[i] >> 4];
        text[2 * i + 1] = digits[b.data[i] & 15];
    }
    text[2 * n] = '\0';
}
