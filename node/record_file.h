/* A small durable file of "key value" lines with a check sum in its last line: identity,
 * incarnation, acquaintances. People may read it; a change by hand is noticed. Replaced whole or
 * not at all. */
#ifndef MQ_NODE_RECORD_FILE_H
#define MQ_NODE_RECORD_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/disk.h"
#include "base/error.h"

#define RECORD_FILE_LINES_MAX 600
#define RECORD_FILE_BYTES_MAX 32768

struct record_file {
    char text[RECORD_FILE_BYTES_MAX]; /* lines, without the sum */
    uint32_t size;
    bool overflow;
};

void record_file_init(struct record_file *r);
/* Keys and values hold no blanks or newlines (values: no newlines). */
void record_file_put(struct record_file *r, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The n-th value of that key, copied; false when there is none or it does not fit. */
bool record_file_find(const struct record_file *r, const char *key, unsigned n, char *out_value,
                      size_t size);
bool record_file_find_u64(const struct record_file *r, const char *key, unsigned n,
                          uint64_t *out_value);
/* NOT_FOUND, IO, CORRUPT (with what to do). */
enum status record_file_read(struct disk *d, const char *path, struct record_file *out_r,
                             struct error *e);
enum status record_file_write(struct disk *d, const char *directory, const char *name,
                              const struct record_file *r, const char *site, const char *site_dir);

#endif
