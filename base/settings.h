/* Settings: an INI file read into a struct by way of a table.
 *
 *     struct thing { char name[64]; uint64_t patience_ms; };
 *     static const struct setting table[] = {
 *         SETTING_STRING("node", "name", struct thing, name, NULL, "name of this node, as the founding file has it"),
 *         SETTING_DURATION("limits", "patience", struct thing, patience_ms, "5s", 100, 60000, "how long to wait"),
 *     };
 *     settings_load(ini_parse_stream, "/etc/...", text, table, n, &thing, &e);
 *
 * Happy path: defaults are parsed from the table, then each line sets its field, then required ones (fallback NULL) are looked for.
 * Fails with a sentence that begins "FILE:LINE: ": unknown section or key (with a suggestion), a value that does not parse or is out
 * of its range, a key set twice, a line that is too long. The INI grammar is inih's, called through a pointer, because base/ stands
 * on libc alone; lines never continue on the next one. Comments: a line beginning with ; or #, or " ;" behind a value. */
#ifndef MQ_BASE_SETTINGS_H
#define MQ_BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"

#define SETTINGS_LINE_BYTES_MAX 1024 /* of a configuration file; a longer one is refused */
#define SETTINGS_FILE_BYTES_MAX (256u * 1024u)
#define SETTINGS_TABLE_MAX      128
#define SETTING_LIST_MAX        32
#define SETTING_ITEM_MAX        160

enum setting_type {
    SETTING_TYPE_STRING,   /* char[size]; not empty */
    SETTING_TYPE_BYTES,    /* uint64_t; 512, 64KB, 10GB: units of 1024 */
    SETTING_TYPE_DURATION, /* uint64_t milliseconds; 200ms, 5s, 3m, 2h, 1d */
    SETTING_TYPE_INTEGER,  /* uint64_t */
    SETTING_TYPE_BOOLEAN,  /* bool; yes/no, true/false, on/off */
    SETTING_TYPE_CHOICE,   /* int, the place in `choices` */
    SETTING_TYPE_LIST, /* struct setting_list; the key may be repeated, and holds items parted by blanks or commas */
};

struct setting_list {
    unsigned n;
    char items[SETTING_LIST_MAX][SETTING_ITEM_MAX];
};

struct setting {
    const char *section;
    const char *key;
    enum setting_type type;
    size_t offset;
    size_t size;          /* of a string field */
    const char *fallback; /* text of the default; "" = empty; NULL = must be given */
    uint64_t min, max;    /* of numbers */
    const char *choices;  /* "data|witness|standby" */
    const char *help;
};

#define SETTING_STRING(section, key, type, field, fallback, help)                             \
    {                                                                                         \
        section, key, SETTING_TYPE_STRING, offsetof(type, field), sizeof(((type *)0)->field), \
            fallback, 0, 0, NULL, help                                                        \
    }
#define SETTING_BYTES(section, key, type, field, fallback, min, max, help)                        \
    {                                                                                             \
        section, key, SETTING_TYPE_BYTES, offsetof(type, field), sizeof(uint64_t), fallback, min, \
            max, NULL, help                                                                       \
    }
#define SETTING_DURATION(section, key, type, field, fallback, min, max, help)                   \
    {                                                                                           \
        section, key, SETTING_TYPE_DURATION, offsetof(type, field), sizeof(uint64_t), fallback, \
            min, max, NULL, help                                                                \
    }
#define SETTING_INTEGER(section, key, type, field, fallback, min, max, help)                   \
    {                                                                                          \
        section, key, SETTING_TYPE_INTEGER, offsetof(type, field), sizeof(uint64_t), fallback, \
            min, max, NULL, help                                                               \
    }
#define SETTING_BOOLEAN(section, key, type, field, fallback, help)                               \
    {                                                                                            \
        section, key, SETTING_TYPE_BOOLEAN, offsetof(type, field), sizeof(bool), fallback, 0, 0, \
            NULL, help                                                                           \
    }
#define SETTING_CHOICE(section, key, type, field, fallback, choices, help)                     \
    {                                                                                          \
        section, key, SETTING_TYPE_CHOICE, offsetof(type, field), sizeof(int), fallback, 0, 0, \
            choices, help                                                                      \
    }
#define SETTING_LIST(section, key, type, field, fallback, help)                              \
    {                                                                                        \
        section, key, SETTING_TYPE_LIST, offsetof(type, field), sizeof(struct setting_list), \
            fallback, 0, 0, NULL, help                                                       \
    }

/* What ini_parse_stream of inih is. */
typedef int (*settings_parser)(char *(*reader)(char *line, int size, void *stream), void *stream,
                               int (*handler)(void *arg, const char *section, const char *key,
                                              const char *value),
                               void *arg);

/* Calls each() for every [section] (key and value empty, so that one without keys is seen) and every "key = value"; a status other than OK ends the walk, with e->text put behind "FILE:LINE: ". */
typedef enum status (*settings_each)(void *arg, const char *section, const char *key,
                                     const char *value, unsigned line, struct error *e);
enum status settings_walk(settings_parser parse, const char *file, struct bytes text,
                          settings_each each, void *arg, struct error *e);

/* The row, or NULL with a sentence and a suggestion in e. */
const struct setting *setting_find(const struct setting *table, size_t n, const char *section,
                                   const char *key, struct error *e);
/* Parses a value into the row's field of *out_struct. */
enum status setting_parse(const struct setting *row, const char *value, void *out_struct,
                          struct error *e);
/* Defaults of one section (NULL: of all); required fields are left alone. */
enum status settings_defaults(const struct setting *table, size_t n, const char *section,
                              void *out_struct, struct error *e);

/* All of it. *out_struct may be half filled after a failure. */
enum status settings_load(settings_parser parse, const char *file, struct bytes text,
                          const struct setting *table, size_t n, void *out_struct, struct error *e);
/* Reads the file (at most SETTINGS_FILE_BYTES_MAX) and loads it. */
enum status settings_load_file(settings_parser parse, const char *file, const struct setting *table,
                               size_t n, void *out_struct, struct error *e);
/* *out_data is the caller's to free. */
enum status settings_read_file(const char *file, struct bytes *out_text, uint8_t **out_data,
                               struct error *e);
/* The table as a commented example file. */
void settings_print(const struct setting *table, size_t n, FILE *out);

/* Values with units, alone. */
bool setting_parse_bytes(const char *text, uint64_t *out_bytes);
bool setting_parse_duration(const char *text, uint64_t *out_ms);
bool setting_parse_integer(const char *text, uint64_t *out_value);

#endif
