/* Settings by table. settings_walk feeds inih line by line, counts, and stops at the first mistake; setting_parse knows the types. */
#include "base/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/suggestion.h"

/* ---- values ---- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit byte_units[] = {{"", 1},
                                         {"B", 1},
                                         {"K", 1ull << 10},
                                         {"KB", 1ull << 10},
                                         {"KiB", 1ull << 10},
                                         {"M", 1ull << 20},
                                         {"MB", 1ull << 20},
                                         {"MiB", 1ull << 20},
                                         {"G", 1ull << 30},
                                         {"GB", 1ull << 30},
                                         {"GiB", 1ull << 30},
                                         {"T", 1ull << 40},
                                         {"TB", 1ull << 40},
                                         {"TiB", 1ull << 40},
                                         {NULL, 0}};
static const struct unit duration_units[] = {{"ms", 1},      {"s", 1000},     {"m", 60000},
                                             {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static bool number_parse(const char *text, const struct unit *units, uint64_t *out_value)
{
    char *rest;
    if (*text < '0' || *text > '9') {
        return false;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &rest, 10);
    if (errno != 0) {
        return false;
    }
    while (*rest == ' ') {
        rest++;
    }
    for (const struct unit *u = units; u->name != NULL; u++) {
        if (strcmp(u->name, rest) == 0) {
            uint64_t value;
            if (__builtin_mul_overflow((uint64_t)number, u->factor, &value)) {
                return false;
            }
            *out_value = value;
            return true;
        }
    }
    return false;
}

bool setting_parse_bytes(const char *text, uint64_t *out_bytes)
{
    return number_parse(text, byte_units, out_bytes);
}

bool setting_parse_duration(const char *text, uint64_t *out_ms)
{
    if (strcmp(text, "0") == 0) {
        *out_ms = 0;
        return true;
    }
    return number_parse(text, duration_units, out_ms);
}

bool setting_parse_integer(const char *text, uint64_t *out_value)
{
    return number_parse(text, no_units, out_value);
}

static bool boolean_parse(const char *text, bool *out_value)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *out_value = (i & 1) != 0;
            return true;
        }
    }
    return false;
}

static enum status choice_parse(const struct setting *row, const char *value, int *out_place,
                                struct error *e)
{
    struct suggestion near;
    char words[256];
    size_t size = strlen(row->choices);
    int place = 0;
    must(size < sizeof(words));
    memcpy(words, row->choices, size + 1);
    for (size_t i = 0; i < size; i++) {
        words[i] = words[i] == '|' ? '\0' : words[i];
    }
    suggestion_init(&near, value);
    for (const char *word = words; word <= words + size; word += strlen(word) + 1, place++) {
        if (strcmp(word, value) == 0) {
            *out_place = place;
            return OK;
        }
        suggestion_offer(&near, word);
    }
    if (near.best != NULL) {
        return error_set(e, STATUS_INVALID, "%s = %s: did you mean \"%s\"? It is one of %s",
                         row->key, value, near.best, row->choices);
    }
    return error_set(e, STATUS_INVALID, "%s = %s: it is one of %s", row->key, value, row->choices);
}

static enum status list_parse(const struct setting *row, const char *value,
                              struct setting_list *list, struct error *e)
{
    for (;;) {
        value += strspn(value, " \t,");
        size_t n = strcspn(value, " \t,");
        if (n == 0) {
            return OK;
        }
        if (n >= SETTING_ITEM_MAX) {
            return error_set(e, STATUS_TOO_BIG, "%s: an item is longer than %d bytes", row->key,
                             SETTING_ITEM_MAX - 1);
        }
        if (list->n >= SETTING_LIST_MAX) {
            return error_set(e, STATUS_TOO_BIG, "%s: more than %d items", row->key,
                             SETTING_LIST_MAX);
        }
        memcpy(list->items[list->n], value, n);
        list->items[list->n][n] = '\0';
        list->n++;
        value += n;
    }
}

static enum status number_set(const struct setting *row, const char *value, uint64_t *out_value,
                              struct error *e)
{
    uint64_t number;
    bool ok;
    const char *like;
    if (row->type == SETTING_TYPE_BYTES) {
        ok = setting_parse_bytes(value, &number);
        like = "a size such as 64KB or 10GB";
    } else if (row->type == SETTING_TYPE_DURATION) {
        ok = setting_parse_duration(value, &number);
        like = "a duration with its unit, such as 200ms, 5s, 3m or 2h";
    } else {
        ok = setting_parse_integer(value, &number);
        like = "a whole number";
    }
    if (!ok) {
        return error_set(e, STATUS_INVALID, "%s = %s: this is not %s", row->key, value, like);
    }
    if (number < row->min || number > row->max) {
        return error_set(e, STATUS_INVALID, "%s = %s: out of range, %llu to %llu%s", row->key,
                         value, (unsigned long long)row->min, (unsigned long long)row->max,
                         row->type == SETTING_TYPE_DURATION ? " ms"
                         : row->type == SETTING_TYPE_BYTES  ? " bytes"
                                                            : "");
    }
    *out_value = number;
    return OK;
}

enum status setting_parse(const struct setting *row, const char *value, void *out_struct,
                          struct error *e)
{
    char *field = (char *)out_struct + row->offset;
    bool flag;
    switch (row->type) {
        case SETTING_TYPE_STRING:
            if (strlen(value) >= row->size) {
                return error_set(e, STATUS_TOO_BIG, "%s: longer than %zu bytes", row->key,
                                 row->size - 1);
            }
            memcpy(field, value, strlen(value) + 1);
            return OK;
        case SETTING_TYPE_BYTES:
        case SETTING_TYPE_DURATION:
        case SETTING_TYPE_INTEGER:
            return number_set(row, value, (uint64_t *)(void *)field, e);
        case SETTING_TYPE_BOOLEAN:
            if (!boolean_parse(value, &flag)) {
                return error_set(e, STATUS_INVALID, "%s = %s: this is not yes or no", row->key,
                                 value);
            }
            memcpy(field, &flag, sizeof(flag));
            return OK;
        case SETTING_TYPE_CHOICE:
            return choice_parse(row, value, (int *)(void *)field, e);
        case SETTING_TYPE_LIST:
            return list_parse(row, value, (struct setting_list *)(void *)field, e);
    }
    return STATUS_INTERNAL;
}

/* ---- the table ---- */

const struct setting *setting_find(const struct setting *table, size_t n, const char *section,
                                   const char *key, struct error *e)
{
    struct suggestion near_section;
    struct suggestion near_key;
    const char *elsewhere = NULL;
    bool section_known = false;
    suggestion_init(&near_section, section);
    suggestion_init(&near_key, key);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].section, section) == 0) {
            section_known = true;
            if (strcmp(table[i].key, key) == 0) {
                return &table[i];
            }
            suggestion_offer(&near_key, table[i].key);
        } else if (strcmp(table[i].key, key) == 0) {
            elsewhere = table[i].section;
        }
        suggestion_offer(&near_section, table[i].section);
    }
    if (section[0] == '\0') {
        (void)error_set(e, STATUS_INVALID, "\"%s\" stands before the first [section]", key);
    } else if (!section_known && near_section.best != NULL) {
        (void)error_set(e, STATUS_INVALID, "unknown section [%s], did you mean [%s]?", section,
                        near_section.best);
    } else if (!section_known) {
        (void)error_set(e, STATUS_INVALID, "unknown section [%s]", section);
    } else if (near_key.best != NULL) {
        (void)error_set(e, STATUS_INVALID, "unknown key \"%s\" in [%s], did you mean \"%s\"?", key,
                        section, near_key.best);
    } else if (elsewhere != NULL) {
        (void)error_set(e, STATUS_INVALID, "unknown key \"%s\" in [%s], it belongs into [%s]", key,
                        section, elsewhere);
    } else {
        (void)error_set(e, STATUS_INVALID, "unknown key \"%s\" in [%s]", key, section);
    }
    return NULL;
}

enum status settings_defaults(const struct setting *table, size_t n, const char *section,
                              void *out_struct, struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        if (table[i].fallback == NULL ||
            (section != NULL && strcmp(table[i].section, section) != 0)) {
            continue;
        }
        enum status s = setting_parse(&table[i], table[i].fallback, out_struct, e);
        if (s != OK) {
            return error_prefix(e, "default of [%s] %s", table[i].section, table[i].key);
        }
    }
    return OK;
}

/* ---- walking a file ---- */

struct walk {
    const char *file;
    struct bytes text;
    size_t at;
    unsigned line;
    settings_each each;
    void *arg;
    struct error error; /* the first one */
};

static void section_seen(struct walk *w, const char *start, size_t n)
{
    char section[128];
    const char *end = memchr(start, ']', n);
    struct error e = {0};
    if (end == NULL) {
        return; /* inih will say so */
    }
    if ((size_t)(end - start) > sizeof(section)) {
        (void)error_set(&w->error, STATUS_TOO_BIG, "the section's name is longer than %zu bytes",
                        sizeof(section) - 1);
        return;
    }
    snprintf(section, sizeof(section), "%.*s", (int)(end - start - 1), start + 1);
    enum status s = w->each(w->arg, section, "", "", w->line, &e);
    if (s != OK) {
        w->error = e;
        w->error.status = s;
    }
}

/* inih asks for a line. NULL at the end and after the first mistake. */
static char *on_read(char *out, int size, void *stream)
{
    struct walk *w = stream;
    if (w->error.status != OK || w->at >= w->text.size || size < 3) {
        return NULL;
    }
    const char *start = (const char *)w->text.data + w->at;
    size_t left = w->text.size - w->at;
    const char *newline = memchr(start, '\n', left);
    size_t n = newline != NULL ? (size_t)(newline - start) : left;
    w->at += n + (newline != NULL);
    w->line++;
    while (n > 0 && (start[n - 1] == '\r' || start[n - 1] == ' ' || start[n - 1] == '\t')) {
        n--;
    }
    /* An indented line would be the continuation of the one before; ours never are. */
    while (n > 0 && (*start == ' ' || *start == '\t')) {
        start++;
        n--;
    }
    if (n + 2 > (size_t)size) {
        (void)error_set(&w->error, STATUS_TOO_BIG, "the line is longer than %d bytes", size - 2);
        return NULL;
    }
    if (memchr(start, '\0', n) != NULL) {
        (void)error_set(&w->error, STATUS_MALFORMED,
                        "the line holds a NUL byte: this is no text file");
        return NULL;
    }
    if (n > 0 && *start == '[') {
        section_seen(w, start, n);
        if (w->error.status != OK) {
            return NULL;
        }
    }
    memcpy(out, start, n);
    out[n] = '\n';
    out[n + 1] = '\0';
    return out;
}

static int on_value(void *arg, const char *section, const char *key, const char *value)
{
    struct walk *w = arg;
    if (w->error.status != OK) {
        return 0;
    }
    struct error e = {0};
    enum status s = w->each(w->arg, section, key, value != NULL ? value : "", w->line, &e);
    if (s != OK) {
        w->error = e;
        w->error.status = s;
        return 0;
    }
    return 1;
}

enum status settings_walk(settings_parser parse, const char *file, struct bytes text,
                          settings_each each, void *arg, struct error *e)
{
    struct walk w = {.file = file, .text = text, .each = each, .arg = arg};
    int rc = parse(on_read, &w, on_value, &w);
    if (w.error.status != OK) {
        return error_set(e, w.error.status, "%s:%u: %s", file, w.line, w.error.text);
    }
    if (rc > 0) {
        return error_set(e, STATUS_INVALID,
                         "%s:%d: this is neither [section] nor key = value nor a comment", file,
                         rc);
    }
    return rc == 0 ? OK : error_set(e, STATUS_NO_MEMORY, "%s: out of memory", file);
}

/* ---- loading ---- */

struct load {
    const struct setting *table;
    size_t n;
    void *out;
    unsigned lines[SETTINGS_TABLE_MAX]; /* where each row was set; 0 = not */
};

static enum status section_known(const struct setting *table, size_t n, const char *section,
                                 struct error *e)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(table[i].section, section) == 0) {
            return OK;
        }
    }
    (void)setting_find(table, n, section, "", e);
    return STATUS_INVALID;
}

static enum status load_each(void *arg, const char *section, const char *key, const char *value,
                             unsigned line, struct error *e)
{
    struct load *l = arg;
    if (key[0] == '\0') {
        return section_known(l->table, l->n, section, e);
    }
    const struct setting *row = setting_find(l->table, l->n, section, key, e);
    if (row == NULL) {
        return STATUS_INVALID;
    }
    unsigned *seen = &l->lines[row - l->table];
    if (*seen != 0 && row->type != SETTING_TYPE_LIST) {
        return error_set(e, STATUS_INVALID, "\"%s\" was already set in line %u", key, *seen);
    }
    if (value[0] == '\0' && !(row->fallback != NULL && row->fallback[0] == '\0')) {
        return error_set(e, STATUS_INVALID, "\"%s\" has no value", key);
    }
    if (*seen == 0 && row->type == SETTING_TYPE_LIST) {
        memset((char *)l->out + row->offset, 0,
               sizeof(struct setting_list)); /* the default gives way */
    }
    *seen = line;
    return setting_parse(row, value, l->out, e);
}

enum status settings_load(settings_parser parse, const char *file, struct bytes text,
                          const struct setting *table, size_t n, void *out_struct, struct error *e)
{
    struct load l = {.table = table, .n = n, .out = out_struct};
    must(n <= SETTINGS_TABLE_MAX);
    enum status s = settings_defaults(table, n, NULL, out_struct, e);
    if (s == OK) {
        s = settings_walk(parse, file, text, load_each, &l, e);
    }
    for (size_t i = 0; s == OK && i < n; i++) {
        if (table[i].fallback == NULL && l.lines[i] == 0) {
            s = error_set(e, STATUS_INVALID, "%s: [%s] %s is missing: %s", file, table[i].section,
                          table[i].key, table[i].help);
        }
    }
    return s;
}

enum status settings_read_file(const char *file, struct bytes *out_text, uint8_t **out_data,
                               struct error *e)
{
    FILE *f = fopen(file, "re");
    if (f == NULL) {
        return error_set(e, status_from_errno(errno), "%s: %s", file, strerror(errno));
    }
    uint8_t *data = malloc(SETTINGS_FILE_BYTES_MAX + 1);
    size_t size = data != NULL ? fread(data, 1, SETTINGS_FILE_BYTES_MAX + 1, f) : 0;
    bool failed = ferror(f) != 0;
    int err = errno;
    (void)fclose(f);
    enum status s = OK;
    if (data == NULL) {
        s = error_set(e, STATUS_NO_MEMORY, "%s: out of memory", file);
    } else if (failed) {
        s = error_set(e, status_from_errno(err), "%s: %s", file, strerror(err));
    } else if (size > SETTINGS_FILE_BYTES_MAX) {
        s = error_set(e, STATUS_TOO_BIG, "%s: larger than %u bytes", file, SETTINGS_FILE_BYTES_MAX);
    }
    if (s != OK) {
        free(data);
        return s;
    }
    *out_text = (struct bytes){data, size};
    *out_data = data;
    return OK;
}

enum status settings_load_file(settings_parser parse, const char *file, const struct setting *table,
                               size_t n, void *out_struct, struct error *e)
{
    struct bytes text;
    uint8_t *data;
    enum status s = settings_read_file(file, &text, &data, e);
    if (s != OK) {
        return s;
    }
    s = settings_load(parse, file, text, table, n, out_struct, e);
    free(data);
    return s;
}

void settings_print(const struct setting *table, size_t n, FILE *out)
{
    const char *section = "";
    for (size_t i = 0; i < n; i++) {
        const struct setting *row = &table[i];
        if (strcmp(section, row->section) != 0) {
            fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", row->section);
            section = row->section;
        }
        fprintf(out, "; %s%s%s%s\n", row->help, row->choices != NULL ? " (" : "",
                row->choices != NULL ? row->choices : "", row->choices != NULL ? ")" : "");
        fprintf(out, "%s%s = %s\n", row->fallback == NULL ? "" : "; ", row->key,
                row->fallback == NULL ? "(must be given)" : row->fallback);
    }
}
