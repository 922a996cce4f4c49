/* Read whole, then line by line. A few thousand are looked through at each handshake, which costs less than one multiplication of it. */
#include "proto/revoked.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void revoked_deinit(struct revoked *r)
{
    free(r->serials);
    *r = (struct revoked){0};
}

/* -1: no digit of hex. */
static int digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* From the last digit to the first. */
static bool serial_parse(const char *text, size_t size, struct serial *out_serial)
{
    struct serial s = {{0}};
    size_t n = 0;
    bool any = false;
    while (size > 0) {
        int d = digit(text[--size]);
        if (d < 0 || (d > 0 && n >= 2 * SERIAL_BYTES_MAX)) {
            return false;
        }
        if (d > 0) {
            uint8_t *at = &s.bytes[SERIAL_BYTES_MAX - 1 - n / 2];
            *at = (uint8_t)(*at | (n % 2 == 0 ? d : d << 4));
            any = true;
        }
        n++;
    }
    *out_serial = s;
    return any;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* What a line says, without comment, blanks and "serial="; may be nothing. */
static const char *line_strip(const char *line, size_t *size)
{
    const char *comment = memchr(line, '#', *size);
    size_t n = comment != NULL ? (size_t)(comment - line) : *size;
    while (n > 0 && blank(line[n - 1])) {
        n--;
    }
    while (n > 0 && blank(*line)) {
        line++;
        n--;
    }
    if (n > 7 && memcmp(line, "serial=", 7) == 0) {
        line += 7;
        n -= 7;
    }
    *size = n;
    return line;
}

static enum status lines_parse(const char *text, size_t size, struct revoked *r, struct error *e)
{
    unsigned number = 0;
    for (size_t at = 0; at < size;) {
        const char *end = memchr(text + at, '\n', size - at);
        size_t n = end != NULL ? (size_t)(end - text) - at : size - at;
        const char *line = text + at;
        at += n + 1;
        number++;
        line = line_strip(line, &n);
        if (n == 0) {
            continue;
        }
        if (r->n == REVOKED_MAX) {
            return error_set(e, STATUS_TOO_BIG, "more than %u serial numbers", REVOKED_MAX);
        }
        if (!serial_parse(line, n, &r->serials[r->n])) {
            return error_set(e, STATUS_INVALID,
                             "line %u is no serial number in hex, as openssl x509 -noout -serial "
                             "prints it",
                             number);
        }
        r->n++;
    }
    return OK;
}

enum status revoked_parse(const char *text, size_t size, struct revoked *out_r, struct error *e)
{
    struct revoked r = {.serials = calloc(REVOKED_MAX, sizeof(*r.serials))};
    if (r.serials == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    enum status s = lines_parse(text, size, &r, e);
    if (s != OK) {
        revoked_deinit(&r);
        return s;
    }
    *out_r = r;
    return OK;
}

static enum status file_read(FILE *f, char *text, size_t *out_size, struct error *e)
{
    size_t n = fread(text, 1, REVOKED_FILE_BYTES_MAX + 1, f);
    if (ferror(f) != 0) {
        return error_set(e, STATUS_IO, "cannot be read");
    }
    if (n > REVOKED_FILE_BYTES_MAX) {
        return error_set(e, STATUS_TOO_BIG, "longer than %u bytes", REVOKED_FILE_BYTES_MAX);
    }
    *out_size = n;
    return OK;
}

enum status revoked_read(const char *file, struct revoked *out_r, struct error *e)
{
    FILE *f = fopen(file, "re");
    if (f == NULL) {
        return error_set(e, status_from_errno(errno), "%s", strerror(errno));
    }
    char *text = malloc(REVOKED_FILE_BYTES_MAX + 1);
    size_t size = 0;
    enum status s = text != NULL ? file_read(f, text, &size, e)
                                 : error_set(e, STATUS_NO_MEMORY, "out of memory");
    (void)fclose(f);
    if (s == OK) {
        s = revoked_parse(text, size, out_r, e);
    }
    free(text);
    return s;
}

bool revoked_has(const struct revoked *r, const uint8_t *serial, size_t size)
{
    struct serial s = {{0}};
    while (size > 0 && *serial == 0) {
        serial++;
        size--;
    }
    if (size > SERIAL_BYTES_MAX) {
        return false;
    }
    memcpy(s.bytes + SERIAL_BYTES_MAX - size, serial, size);
    for (unsigned i = 0; i < r->n; i++) {
        if (memcmp(r->serials[i].bytes, s.bytes, SERIAL_BYTES_MAX) == 0) {
            return true;
        }
    }
    return false;
}
