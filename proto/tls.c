/* TLS 1.3 over memory, the one place that knows OpenSSL on the wire.
 *
 * A session reads ciphertext from the bytes of the current call and writes ciphertext into the buffer of the current call, by way
 * of a BIO of ours, so nothing is copied twice. A part of a record waits inside OpenSSL until the rest comes; all bytes given to
 * tls_receive are always taken.
 *   begin (client: tls_receive with nothing) -> handshake, both certificates verified against the cluster's CA and their SAN read
 *   -> ready -> records both ways -> close_notify or a failure, after which every call gives the same status.
 * Fails: the other side shows no, a foreign, an expired or a nameless certificate; speaks an older TLS, no TLS, or none of our
 * ALPNs. An alert is left in `cipher`; tls_error_text says it in words. Lack of memory ends the session. */
#include "proto/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/must.h"
#include "proto/revoked.h"

#define RECORD_PLAIN_MAX     16384u
#define RECORD_OVERHEAD_MAX  64u
#define PEER_CHAIN_BYTES_MAX 32768
#define CIPHERSUITES         "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS               "X25519:P-256"

struct tls_context {
    SSL_CTX *ctx;
    BIO_METHOD *bio;
    struct tls_identity identity;
    struct revoked revoked;
};

struct tls {
    SSL *ssl;
    bool server, ready;
    enum status ended;                 /* OK while it lives */
    uint8_t alpns[TLS_ALPNS_MAX * 64]; /* length byte, name, ... as ALPN has it */
    size_t alpns_size;
    char alpn[64];
    struct tls_identity peer;
    const char *refusal; /* why we refuse the other side, where OpenSSL has no words for it */
    char refusal_text[TLS_REVOKED_TEXT_SIZE];
    char error_text[256];
    /* of the current call only */
    const uint8_t *in;
    size_t in_size;
    struct buffer *out;
    enum status out_status;
};

/* ---- the BIO: this call's bytes ---- */

static int bio_write(BIO *b, const char *data, size_t size, size_t *out_written)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->out == NULL) {
        return 0;
    }
    enum status s = buffer_append(t->out, data, size);
    if (s != OK) {
        t->out_status = s;
        return 0;
    }
    *out_written = size;
    return 1;
}

static int bio_read(BIO *b, char *data, size_t size, size_t *out_read)
{
    struct tls *t = BIO_get_data(b);
    BIO_clear_retry_flags(b);
    if (t->in_size == 0) {
        BIO_set_retry_read(b);
        return 0;
    }
    size_t n = size < t->in_size ? size : t->in_size;
    memcpy(data, t->in, n);
    t->in += n;
    t->in_size -= n;
    *out_read = n;
    return 1;
}

static long bio_ctrl(BIO *b, int command, long number, void *pointer)
{
    (void)b;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static int bio_create(BIO *b)
{
    BIO_set_init(b, 1);
    return 1;
}

static BIO_METHOD *bio_method_new(void)
{
    int index = BIO_get_new_index();
    BIO_METHOD *m =
        index < 0 ? NULL : BIO_meth_new(index | BIO_TYPE_SOURCE_SINK, "mailquorum call");
    if (m != NULL) {
        BIO_meth_set_write_ex(m, bio_write);
        BIO_meth_set_read_ex(m, bio_read);
        BIO_meth_set_ctrl(m, bio_ctrl);
        BIO_meth_set_create(m, bio_create);
    }
    return m;
}

/* ---- certificates ---- */

static const char *last_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    return reason != NULL ? reason : "unknown TLS error";
}

static uint64_t expiry_ms(const X509 *x)
{
    struct tm tm;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1) {
        return 0;
    }
    time_t at = timegm(&tm);
    return at < 0 ? 0 : (uint64_t)at * 1000;
}

static void serial_write(const X509 *x, char out_hex[2 * SERIAL_BYTES_MAX + 1])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    const uint8_t *bytes = ASN1_STRING_get0_data(serial);
    int size = ASN1_STRING_length(serial);
    for (int i = 0; i < size && i < (int)SERIAL_BYTES_MAX; i++) {
        snprintf(out_hex + 2 * i, 3, "%02X", bytes[i]);
    }
}

/* NULL when exactly one mq:// URI names somebody; else why not. */
static const char *identity_read(X509 *x, struct tls_identity *out_identity)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    struct tls_identity found = {.kind = TLS_NOBODY};
    const char *why = NULL;
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
        if (n->type != GEN_URI) {
            continue;
        }
        const char *uri = (const char *)ASN1_STRING_get0_data(n->d.uniformResourceIdentifier);
        int size = ASN1_STRING_length(n->d.uniformResourceIdentifier);
        if (size < 5 || memcmp(uri, "mq://", 5) != 0) {
            continue;
        }
        if (found.kind != TLS_NOBODY) {
            why = "certificate names more than one mq:// identity";
        } else if (!tls_identity_parse(uri, (size_t)size, &found)) {
            why = "certificate has a malformed mq:// name";
        }
    }
    GENERAL_NAMES_free(names);
    if (why == NULL && found.kind == TLS_NOBODY) {
        why = "certificate has no mq:// name";
    }
    if (why == NULL) {
        found.expires_ms = expiry_ms(x);
        serial_write(x, found.serial);
        *out_identity = found;
    }
    return why;
}

static bool is_revoked(const struct tls_context *c, const X509 *x, const struct tls_identity *whose,
                       char out_text[TLS_REVOKED_TEXT_SIZE])
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
    const uint8_t *bytes = ASN1_STRING_get0_data(serial);
    int size = ASN1_STRING_length(serial);
    if (size < 0 || !revoked_has(&c->revoked, bytes, (size_t)size)) {
        return false;
    }
    snprintf(out_text, TLS_REVOKED_TEXT_SIZE,
             "the certificate of %s %s with serial number %s is revoked",
             tls_identity_kind_name(whose->kind), whose->name, whose->serial);
    return true;
}

/* Whatever it was good for: why the other side is refused by its own certificate; NULL: it is not. The error is the alert's. */
static const char *peer_refusal(struct tls *t, X509 *x, int *out_error)
{
    const struct tls_context *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(t->ssl));
    const char *why = identity_read(x, &t->peer);
    *out_error = X509_V_ERR_APPLICATION_VERIFICATION;
    if (why == NULL && is_revoked(c, x, &t->peer, t->refusal_text)) {
        *out_error = X509_V_ERR_CERT_REVOKED;
        return t->refusal_text;
    }
    return why == NULL && !t->server && t->peer.kind != TLS_NODE ? "certificate is not a node's"
                                                                 : why;
}

/* OpenSSL asks for each certificate of the chain; the last one it asks for is the peer's own. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
    if (ok != 1 || X509_STORE_CTX_get_error_depth(store) != 0) {
        return ok;
    }
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls *t = SSL_get_app_data(ssl);
    int error;
    t->refusal = peer_refusal(t, X509_STORE_CTX_get_current_cert(store), &error);
    if (t->refusal != NULL) {
        memset(&t->peer, 0, sizeof(t->peer));
        X509_STORE_CTX_set_error(store, error);
        return 0;
    }
    return 1;
}

/* ---- ALPN ---- */

static int on_client_hello(SSL *ssl, int *alert, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    const unsigned char *data;
    size_t size;
    (void)arg;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data,
                                  &size) != 1) {
        t->refusal = "the client names no protocol (ALPN)";
        *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
        return SSL_CLIENT_HELLO_ERROR;
    }
    return SSL_CLIENT_HELLO_SUCCESS;
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                   const unsigned char *in, unsigned int in_size, void *arg)
{
    struct tls *t = SSL_get_app_data(ssl);
    unsigned char *chosen;
    (void)arg;
    if (SSL_select_next_proto(&chosen, out_size, t->alpns, (unsigned)t->alpns_size, in, in_size) !=
        OPENSSL_NPN_NEGOTIATED) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* ---- context ---- */

/* A key behind a passphrase is refused; a daemon must not ask at a terminal. */
static int on_passphrase(char *data, int size, int writing, void *arg)
{
    (void)data;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static enum status key_open(const char *path, FILE **out_file, struct error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set(e, status_from_errno(errno), "key %s: %s", path, strerror(errno));
    }
    struct stat st;
    enum status s = OK;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        s = error_set(e, STATUS_INVALID, "key %s is not a regular file", path);
    } else if ((st.st_mode & 077) != 0) {
        s = error_set(e, STATUS_PERMISSION,
                      "key %s has mode %04o, so others may read it. What to do: chmod 600 %s", path,
                      (unsigned)(st.st_mode & 07777), path);
    }
    FILE *f = s == OK ? fdopen(fd, "r") : NULL;
    if (f == NULL) {
        close(fd);
        return s != OK ? s : error_set(e, STATUS_NO_MEMORY, "key %s: out of memory", path);
    }
    *out_file = f;
    return OK;
}

static enum status key_load(SSL_CTX *ctx, const char *path, struct error *e)
{
    FILE *f = NULL;
    enum status s = key_open(path, &f, e);
    if (s != OK) {
        return s;
    }
    EVP_PKEY *key = PEM_read_PrivateKey(f, NULL, on_passphrase, NULL);
    fclose(f);
    if (key == NULL) {
        return error_set(e, STATUS_INVALID,
                         "key %s is not a PEM private key without passphrase (%s)", path,
                         last_reason());
    }
    if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        s = error_set(e, STATUS_INVALID, "key %s does not belong to the certificate (%s)", path,
                      last_reason());
    }
    EVP_PKEY_free(key);
    return s;
}

/* Our own certificate, looked at as the others will. */
static enum status own_check(struct tls_context *c, const char *path, struct error *e)
{
    X509 *x = SSL_CTX_get0_certificate(c->ctx);
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(c->ctx, &chain);
    X509_STORE_CTX *store = X509_STORE_CTX_new();
    if (store == NULL ||
        X509_STORE_CTX_init(store, SSL_CTX_get_cert_store(c->ctx), x, chain) != 1) {
        X509_STORE_CTX_free(store);
        return error_set(e, STATUS_NO_MEMORY, "certificate %s: out of memory", path);
    }
    enum status s = OK;
    if (X509_verify_cert(store) != 1) {
        s = error_set(e, STATUS_TLS, "certificate %s: %s", path,
                      X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
    }
    X509_STORE_CTX_free(store);
    const char *why = s == OK ? identity_read(x, &c->identity) : NULL;
    if (why != NULL) {
        s = error_set(e, STATUS_TLS, "certificate %s: %s. What to do: clusterctl cert issue", path,
                      why);
    }
    return s;
}

static bool settings_apply(SSL_CTX *ctx)
{
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(ctx, 1);
    SSL_CTX_set_max_cert_list(ctx, PEER_CHAIN_BYTES_MAX);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
    SSL_CTX_set_verify_depth(ctx, 2);
    SSL_CTX_set_client_hello_cb(ctx, on_client_hello, NULL);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1 &&
           SSL_CTX_set_num_tickets(ctx, 0) == 1 && SSL_CTX_set_max_early_data(ctx, 0) == 1 &&
           SSL_CTX_set_recv_max_early_data(ctx, 0) == 1 &&
           SSL_CTX_set_ciphersuites(ctx, CIPHERSUITES) == 1 &&
           SSL_CTX_set1_groups_list(ctx, GROUPS) == 1;
}

static enum status files_load(struct tls_context *c, const char *ca, const char *certificate,
                              const char *key, struct error *e)
{
    if (SSL_CTX_load_verify_file(c->ctx, ca) != 1) {
        return error_set(e, STATUS_TLS, "CA %s: cannot read a PEM certificate (%s)", ca,
                         last_reason());
    }
    if (SSL_CTX_use_certificate_chain_file(c->ctx, certificate) != 1) {
        return error_set(e, STATUS_TLS, "certificate %s: cannot read a PEM certificate (%s)",
                         certificate, last_reason());
    }
    enum status s = key_load(c->ctx, key, e);
    return s == OK ? own_check(c, certificate, e) : s;
}

enum status tls_context_new(const char *ca_file, const char *certificate_file, const char *key_file,
                            struct tls_context **out_c, struct error *e)
{
    ERR_clear_error();
    struct tls_context *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "TLS: out of memory");
    }
    c->ctx = SSL_CTX_new(TLS_method());
    c->bio = bio_method_new();
    enum status s = OK;
    if (c->ctx == NULL || SSL_CTX_set_app_data(c->ctx, c) != 1 || c->bio == NULL ||
        !settings_apply(c->ctx)) {
        s = error_set(e, STATUS_INTERNAL, "TLS: cannot set up TLS 1.3 (%s)", last_reason());
    }
    if (s == OK) {
        s = files_load(c, ca_file, certificate_file, key_file, e);
    }
    ERR_clear_error();
    if (s != OK) {
        tls_context_free(c);
        return s;
    }
    *out_c = c;
    return OK;
}

enum status tls_context_revoke(struct tls_context *c, const char *file, struct error *e)
{
    char text[TLS_REVOKED_TEXT_SIZE];
    struct error why = {0};
    must(c->revoked.serials == NULL);
    enum status s = revoked_read(file, &c->revoked, &why);
    if (s != OK) {
        return error_set(e, s, "list of revoked certificates %s: %s", file, why.text);
    }
    if (is_revoked(c, SSL_CTX_get0_certificate(c->ctx), &c->identity, text)) {
        return error_set(e, STATUS_TLS, "%s by %s. What to do: clusterctl cert issue", text, file);
    }
    return OK;
}

void tls_context_free(struct tls_context *c)
{
    if (c != NULL) {
        SSL_CTX_free(c->ctx);
        revoked_deinit(&c->revoked);
        BIO_meth_free(c->bio);
        free(c);
    }
}

const struct tls_identity *tls_context_identity(const struct tls_context *c)
{
    return &c->identity;
}

/* ---- session ---- */

static enum status alpns_copy(struct tls *t, const char *const *alpns)
{
    for (size_t i = 0; alpns[i] != NULL && (t->server || i == 0); i++) {
        size_t n = strlen(alpns[i]);
        if (i >= TLS_ALPNS_MAX || n == 0 || n > 63) {
            return STATUS_INVALID;
        }
        t->alpns[t->alpns_size++] = (uint8_t)n;
        memcpy(t->alpns + t->alpns_size, alpns[i], n);
        t->alpns_size += n;
    }
    return t->alpns_size > 0 ? OK : STATUS_INVALID;
}

static bool ssl_setup(struct tls_context *c, struct tls *t)
{
    t->ssl = SSL_new(c->ctx);
    BIO *bio = t->ssl != NULL ? BIO_new(c->bio) : NULL;
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, t);
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    if (t->server) {
        SSL_set_accept_state(t->ssl);
        return true;
    }
    SSL_set_connect_state(t->ssl);
    return SSL_set_alpn_protos(t->ssl, t->alpns, (unsigned)t->alpns_size) == 0;
}

enum status tls_new(struct tls_context *c, bool server, const char *const *alpns,
                    struct tls **out_t)
{
    struct tls *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return STATUS_NO_MEMORY;
    }
    t->server = server;
    enum status s = alpns_copy(t, alpns);
    if (s == OK && !ssl_setup(c, t)) {
        s = STATUS_NO_MEMORY;
    }
    ERR_clear_error();
    if (s != OK) {
        tls_free(t);
        return s;
    }
    *out_t = t;
    return OK;
}

void tls_free(struct tls *t)
{
    if (t != NULL) {
        SSL_free(t->ssl);
        free(t);
    }
}

static enum status end(struct tls *t, enum status s, const char *text)
{
    t->ended = s;
    t->ready = false;
    snprintf(t->error_text, sizeof(t->error_text), "%s", text);
    return s;
}

/* Says what OpenSSL did not like, as a person would. */
static enum status end_by_library(struct tls *t)
{
    unsigned long code = ERR_peek_error();
    int reason = ERR_GET_REASON(code);
    long verify = SSL_get_verify_result(t->ssl);
    char text[256];
    if (t->out_status != OK) {
        return end(t, t->out_status, "output buffer is full");
    }
    if (t->refusal != NULL) {
        return end(t, STATUS_TLS, t->refusal);
    }
    if (reason == SSL_R_CERTIFICATE_VERIFY_FAILED && verify != X509_V_OK) {
        return end(t, STATUS_TLS, X509_verify_cert_error_string(verify));
    }
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
        snprintf(text, sizeof(text), "the other side refused: %s",
                 SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
        return end(t, STATUS_TLS, text);
    }
    return end(t, STATUS_TLS, code != 0 ? last_reason() : "the session broke off");
}

static enum status handshake(struct tls *t)
{
    int rc = SSL_do_handshake(t->ssl);
    if (rc != 1) {
        int why = SSL_get_error(t->ssl, rc);
        return why == SSL_ERROR_WANT_READ ? STATUS_BUSY : end_by_library(t);
    }
    const unsigned char *name;
    unsigned size;
    SSL_get0_alpn_selected(t->ssl, &name, &size);
    if (size == 0 || size >= sizeof(t->alpn)) {
        return end(t, STATUS_TLS, "the other side chose no protocol (ALPN)");
    }
    memcpy(t->alpn, name, size);
    t->alpn[size] = '\0';
    if (SSL_get_verify_result(t->ssl) != X509_V_OK || t->peer.kind == TLS_NOBODY) {
        return end(t, STATUS_TLS, "the other side showed no valid certificate");
    }
    t->ready = true;
    return OK;
}

static enum status read_all(struct tls *t, struct buffer *plain)
{
    for (;;) {
        uint8_t *at;
        enum status s = buffer_reserve(plain, RECORD_PLAIN_MAX, &at);
        if (s != OK) {
            return end(t, s, "input buffer is full");
        }
        size_t n = 0;
        int rc = SSL_read_ex(t->ssl, at, RECORD_PLAIN_MAX, &n);
        if (rc == 1) {
            plain->size += n;
            continue;
        }
        switch (SSL_get_error(t->ssl, rc)) {
            case SSL_ERROR_WANT_READ:
                return OK;
            case SSL_ERROR_ZERO_RETURN:
                return end(t, STATUS_CLOSED, "closed by the other side");
            default:
                return end_by_library(t);
        }
    }
}

enum status tls_receive(struct tls *t, const uint8_t *data, size_t size, struct buffer *plain,
                        struct buffer *cipher)
{
    if (t->ended != OK) {
        return t->ended;
    }
    ERR_clear_error();
    t->in = data;
    t->in_size = size;
    t->out = cipher;
    t->out_status = OK;
    enum status s = t->ready ? OK : handshake(t);
    if (s == OK) {
        s = read_all(t, plain);
    }
    t->in = NULL;
    t->in_size = 0;
    t->out = NULL;
    ERR_clear_error();
    return s == STATUS_BUSY ? OK : s;
}

enum status tls_send(struct tls *t, const uint8_t *data, size_t size, struct buffer *cipher)
{
    if (t->ended != OK) {
        return t->ended;
    }
    if (!t->ready) {
        return STATUS_BUSY;
    }
    if (size == 0) {
        return OK;
    }
    enum status s =
        buffer_reserve(cipher, size + (size / RECORD_PLAIN_MAX + 1) * RECORD_OVERHEAD_MAX, NULL);
    if (s != OK) {
        return s;
    }
    ERR_clear_error();
    t->out = cipher;
    t->out_status = OK;
    size_t written = 0;
    if (SSL_write_ex(t->ssl, data, size, &written) != 1) {
        s = end_by_library(t);
    } else {
        must(written == size);
    }
    t->out = NULL;
    ERR_clear_error();
    return s;
}

bool tls_ready(const struct tls *t)
{
    return t->ready;
}

const char *tls_alpn(const struct tls *t)
{
    return t->alpn;
}

const struct tls_identity *tls_peer(const struct tls *t)
{
    return &t->peer;
}

bool tls_revoked(const struct tls *t, const struct tls_context *c,
                 char out_text[TLS_REVOKED_TEXT_SIZE])
{
    const X509 *x = SSL_get0_peer_certificate(t->ssl);
    return x != NULL && is_revoked(c, x, &t->peer, out_text);
}

const char *tls_error_text(const struct tls *t)
{
    return t->error_text;
}
