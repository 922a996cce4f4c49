/* "key value" lines and "sum HEX" (FNV-1a of what is before it). */
#include "node/record_file.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t sum_of(const char *text, size_t size)
{
    uint64_t h = 0xcbf29ce484222325ull;
    for (size_t i = 0; i < size; i++) {
        h = (h ^ (uint8_t)text[i]) * 0x100000001b3ull;
    }
    return h;
}

void record_file_init(struct record_file *r)
{
    r->size = 0;
    r->overflow = false;
    r->text[0] = '\0';
}

void record_file_put(struct record_file *r, const char *key, const char *format, ...)
{
    char value[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    size_t left = sizeof(r->text) - 64 - r->size;
    int used = n < 0 || (size_t)n >= sizeof(value)
                   ? -1
                   : snprintf(r->text + r->size, left, "%s %s\n", key, value);
    if (used < 0 || (size_t)used >= left) {
        r->overflow = true;
        return;
    }
    r->size += (uint32_t)used;
}

bool record_file_find(const struct record_file *r, const char *key, unsigned n, char *out_value,
                      size_t size)
{
    size_t key_size = strlen(key);
    const char *at = r->text;
    const char *end = r->text + r->size;
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) {
            return false;
        }
        size_t line = (size_t)(line_end - at);
        if (line > key_size && memcmp(at, key, key_size) == 0 && at[key_size] == ' ' && n-- == 0) {
            size_t value = line - key_size - 1;
            if (value >= size) {
                return false;
            }
            memcpy(out_value, at + key_size + 1, value);
            out_value[value] = '\0';
            return true;
        }
        at = line_end + 1;
    }
    return false;
}

bool record_file_find_u64(const struct record_file *r, const char *key, unsigned n,
                          uint64_t *out_value)
{
    char text[32];
    char *end;
    if (!record_file_find(r, key, n, text, sizeof(text)) || text[0] == '\0' || text[0] == '-') {
        return false;
    }
    uint64_t v = strtoull(text, &end, 10);
    if (*end != '\0') {
        return false;
    }
    *out_value = v;
    return true;
}

enum status record_file_read(struct disk *d, const char *path, struct record_file *out_r,
                             struct error *e)
{
    uint8_t *data;
    size_t size;
    enum status s = disk_read_file(d, path, &data, &size);
    if (s != OK) {
        return error_set(e, s, "cannot read %s: %s", path, status_text(s));
    }
    static const char mark[] = "sum ";
    char *text = (char *)data;
    bool good = false;
    if (size >= 21 && size < RECORD_FILE_BYTES_MAX && text[size - 1] == '\n' &&
        memchr(text, '\0', size) == NULL) {
        size_t body = size - 21; /* "sum " + 16 digits + newline */
        good = memcmp(text + body, mark, 4) == 0 &&
               strtoull(text + body + 4, NULL, 16) == sum_of(text, body) &&
               (body == 0 || text[body - 1] == '\n');
        if (good) {
            record_file_init(out_r);
            memcpy(out_r->text, text, body);
            out_r->text[body] = '\0';
            out_r->size = (uint32_t)body;
        }
    }
    free(data);
    return good ? OK
                : error_set(e, STATUS_CORRUPT,
                            "%s is damaged or was edited. What to do: put the file back from "
                            "before, or replace this node "
                            "(member replace) with an empty data directory",
                            path);
}

enum status record_file_write(struct disk *d, const char *directory, const char *name,
                              const struct record_file *r, const char *site, const char *site_dir)
{
    char whole[RECORD_FILE_BYTES_MAX + 64];
    if (r->overflow) {
        return STATUS_TOO_BIG;
    }
    memcpy(whole, r->text, r->size);
    int n = snprintf(whole + r->size, 64, "sum %016" PRIx64 "\n", sum_of(r->text, r->size));
    return disk_replace_file(d, directory, name, whole, r->size + (size_t)n, site, site_dir);
}
