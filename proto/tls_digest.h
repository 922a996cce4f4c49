/* SHA-256 of bytes that come piece by piece, by the library that tls.c stands on.
 *
 * tls_digest_new -> tls_digest_update ... -> tls_digest_finish, once -> tls_digest_free. Fails for lack of memory only; update keeps
 * a failure for finish. */
#ifndef MQ_PROTO_TLS_DIGEST_H
#define MQ_PROTO_TLS_DIGEST_H

#include "base/buffer.h"

#define TLS_DIGEST_SIZE 32

struct tls_digest;
enum status tls_digest_new(struct tls_digest **out_d);
void tls_digest_update(struct tls_digest *d, struct bytes b);
enum status tls_digest_finish(struct tls_digest *d, uint8_t out_sum[TLS_DIGEST_SIZE]);
void tls_digest_free(struct tls_digest *d); /* NULL is ok */

#endif
