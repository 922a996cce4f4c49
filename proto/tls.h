/* TLS 1.3 over memory: bytes in, bytes out, no sockets (OpenSSL memory BIOs). Both sides always show a certificate of the
 * cluster's CA. The certificate's SAN says who it is, as a URI: mq://node/NAME, mq://host/NAME, mq://operator/NAME?role=admin.
 * No session resumption, no renegotiation, no 0-RTT. ALPN tells peer, client and copy apart.
 * Contexts are shared by sessions of one loop; sessions are handles of the connection that owns them. */
#ifndef MQ_PROTO_TLS_H
#define MQ_PROTO_TLS_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/identity.h"

#define ALPN_PEER   "mailquorum-peer/1"
#define ALPN_CLIENT "mailquorum-client/1"
#define ALPN_COPY   "mailquorum-copy/1"

enum tls_identity_kind { TLS_NOBODY = 0, TLS_NODE, TLS_HOST, TLS_OPERATOR };
struct tls_identity {
    enum tls_identity_kind kind;
    char name[NAME_MAX_BYTES + 1];
    char role[16];       /* operators: viewer | operator | admin */
    uint64_t expires_ms; /* Unix time of notAfter */
    char serial[41];     /* hex, as openssl prints it */
};

/* The SAN's URI and back; pure. Names are [a-z0-9.-], 1 to NAME_MAX_BYTES. false / INVALID for anything else; an operator without a
 * role is a viewer. expires_ms and serial are left alone. */
bool tls_identity_parse(const char *uri, size_t size, struct tls_identity *out_identity);
#define TLS_URI_MAX 128
enum status tls_identity_format(const struct tls_identity *identity, char uri[TLS_URI_MAX]);
const char *tls_identity_kind_name(enum tls_identity_kind kind);

struct tls_context;
/* Reads PEM files. Refuses (PERMISSION) a key file that group or others can read, says chmod 600; expired or not yet valid
 * certificates; a key that does not match. */
enum status tls_context_new(const char *ca_file, const char *certificate_file, const char *key_file,
                            struct tls_context **out_c, struct error *e);
void tls_context_free(struct tls_context *c);
/* Certificates on this list (proto/revoked.h) are refused from now on, in sessions of this context. INVALID, or the errno's, when the
 * file is no such list; TLS when our own is on it. Before the first session; the list is read once. */
enum status tls_context_revoke(struct tls_context *c, const char *file, struct error *e);
/* Who we are by our own certificate. */
const struct tls_identity *tls_context_identity(const struct tls_context *c);

struct tls;
/* alpns: NULL-terminated, copied; a client offers the first only; a server accepts any of them and refuses a client without one.
 * A client (we dialled) accepts only a node's certificate; which node is for the caller to compare (tls_peer). */
#define TLS_ALPNS_MAX 4
enum status tls_new(struct tls_context *c, bool server, const char *const *alpns,
                    struct tls **out_t);
void tls_free(struct tls *t);
/* A client is ready before the server has judged its certificate (TLS 1.3): a refusal then arrives as TLS from a later tls_receive.
 * Ciphertext from the socket. Plaintext is appended to `plain`; ciphertext to be sent to `cipher`. CLOSED on a clean close, TLS on a
 * failure (tls_error_text). Call once with size 0 on a client to begin. `cipher` must be sent even when this fails (the alert). */
enum status tls_receive(struct tls *t, const uint8_t *data, size_t size, struct buffer *plain,
                        struct buffer *cipher);
/* Plaintext to be sent: appended to `cipher` in records of up to 16 KiB. BUSY before the handshake is done.
 * Many small frames belong into one call: each call makes at least one record. */
enum status tls_send(struct tls *t, const uint8_t *data, size_t size, struct buffer *cipher);
bool tls_ready(const struct tls *t); /* handshake done, peer verified */
const char *tls_alpn(const struct tls *t);
const struct tls_identity *tls_peer(const struct tls *t);
/* Is the certificate that the other side showed on the list of `c`, which may be newer than this session's? out_text says which one. */
#define TLS_REVOKED_TEXT_SIZE 160
bool tls_revoked(const struct tls *t, const struct tls_context *c,
                 char out_text[TLS_REVOKED_TEXT_SIZE]);
const char *tls_error_text(const struct tls *t); /* "certificate has expired", ... */

#endif
