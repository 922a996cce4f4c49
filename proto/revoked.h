/* Certificates that are refused though they are good: a text file, one serial number a line, in hex, as `openssl x509 -noout -serial`
 * prints it (with or without "serial="); "#" begins a comment. What is in it is no secret, so who may read it does not matter; a line
 * that is none makes the whole file unusable, so that no misprint lets anybody in. */
#ifndef MQ_PROTO_REVOKED_H
#define MQ_PROTO_REVOKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SERIAL_BYTES_MAX       20u /* RFC 5280 */
#define REVOKED_MAX            8192u
#define REVOKED_FILE_BYTES_MAX (1024u * 1024u)

struct serial {
    uint8_t bytes[SERIAL_BYTES_MAX]; /* big endian, zeros before it */
};

struct revoked {
    struct serial *serials; /* owned; NULL: none */
    unsigned n;
};

void revoked_deinit(struct revoked *r);
/* out_r: zeroed. INVALID with the number of the line, TOO_BIG, NO_MEMORY; the errno's when the file cannot be read. */
enum status revoked_read(const char *file, struct revoked *out_r, struct error *e);
/* The same of its text. */
enum status revoked_parse(const char *text, size_t size, struct revoked *out_r, struct error *e);
/* Of a certificate's serial number, as its bytes are in it. */
bool revoked_has(const struct revoked *r, const uint8_t *serial, size_t size);

#endif
