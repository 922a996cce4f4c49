/* Certificates: a key is drawn, a certificate filled in, signed by the CA, and both are written to new files (never over old ones).
 * Fails for files that exist or cannot be written, a CA key that others may read, a name that is none. */
#include "ctl/cert.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/sentence.h"

#define PATH_BYTES  4096
#define BACKDATED_S 300

static enum status library_error(struct error *e, const char *what)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    enum status s = error_set(e, STATUS_TLS, "%s: %s", what,
                              reason != NULL ? reason : "the library gave no reason");
    ERR_clear_error();
    return s;
}

/* ---- files ---- */

static enum status file_create(const char *path, mode_t mode, FILE **out_file, struct error *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (f == NULL) {
        enum status s = status_from_errno(errno);
        (void)error_set(
            e, s, "%s: %s%s", path, strerror(errno),
            s == STATUS_EXISTS ? ". What to do: move it away if it is to be replaced" : "");
        if (fd >= 0) {
            close(fd);
        }
        return s;
    }
    *out_file = f;
    return OK;
}

static enum status file_finish(FILE *f, const char *path, bool written, struct error *e)
{
    bool flushed = fflush(f) == 0 && fsync(fileno(f)) == 0;
    bool closed = fclose(f) == 0;
    if (!written || !flushed || !closed) {
        enum status s = error_set(e, STATUS_IO, "%s: could not be written", path);
        (void)unlink(path);
        return s;
    }
    return OK;
}

static enum status key_write(const char *path, EVP_PKEY *key, struct error *e)
{
    FILE *f;
    enum status s = file_create(path, 0600, &f, e);
    return s != OK
               ? s
               : file_finish(f, path,
                             PEM_write_PKCS8PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1, e);
}

static enum status certificate_write(const char *path, X509 *x, struct error *e)
{
    FILE *f;
    enum status s = file_create(path, 0644, &f, e);
    return s != OK ? s : file_finish(f, path, PEM_write_X509(f, x) == 1, e);
}

static enum status pair_write(const char *certificate_file, X509 *x, const char *key_file,
                              EVP_PKEY *key, struct error *e)
{
    enum status s = key_write(key_file, key, e);
    if (s != OK) {
        return s;
    }
    s = certificate_write(certificate_file, x, e);
    if (s != OK) {
        (void)unlink(key_file);
    }
    return s;
}

/* ---- certificates ---- */

static bool serial_draw(X509 *x)
{
    BIGNUM *n = BN_new();
    bool ok = n != NULL && BN_rand(n, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
              BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x)) != NULL;
    BN_free(n);
    return ok;
}

static bool extension_add(X509 *x, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool ok = extension != NULL && X509_add_ext(x, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return ok;
}

static bool name_set(X509_NAME *name, const char *common_name)
{
    return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"Mailquorum",
                                      -1, -1, 0) == 1 &&
           X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name,
                                      -1, -1, 0) == 1;
}

/* Version, serial, validity, subject, key: what every certificate has. */
static X509 *certificate_new(EVP_PKEY *key, const char *common_name, int64_t from_s, int64_t to_s)
{
    X509 *x = X509_new();
    bool ok = x != NULL && X509_set_version(x, X509_VERSION_3) == 1 && serial_draw(x) &&
              X509_time_adj_ex(X509_getm_notBefore(x), (int)(from_s / 86400),
                               (long)(from_s % 86400), NULL) != NULL &&
              X509_time_adj_ex(X509_getm_notAfter(x), (int)(to_s / 86400), (long)(to_s % 86400),
                               NULL) != NULL &&
              name_set(X509_get_subject_name(x), common_name) && X509_set_pubkey(x, key) == 1;
    if (!ok) {
        X509_free(x);
        return NULL;
    }
    return x;
}

static enum status path_join(char out[PATH_BYTES], const char *dir, const char *name,
                             struct error *e)
{
    int n = snprintf(out, PATH_BYTES, "%s/%s", dir, name);
    return n > 0 && n < PATH_BYTES ? OK
                                   : error_set(e, STATUS_TOO_BIG, "%s: the path is too long", dir);
}

enum status cert_ca_new(const char *dir, const char *cluster_name, struct error *e)
{
    char certificate_file[PATH_BYTES], key_file[PATH_BYTES], common_name[80];
    enum status s = path_join(certificate_file, dir, CERT_CA_FILE, e);
    if (s == OK) {
        s = path_join(key_file, dir, CERT_CA_KEY_FILE, e);
    }
    if (s != OK) {
        return s;
    }
    snprintf(common_name, sizeof(common_name), "%.40s CA", cluster_name);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key != NULL ? certificate_new(key, common_name, -BACKDATED_S, CERT_CA_DAYS * 86400ll)
                          : NULL;
    bool ok = x != NULL && X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
              extension_add(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
              extension_add(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
              extension_add(x, x, NID_subject_key_identifier, "hash") &&
              X509_sign(x, key, EVP_sha256()) > 0;
    s = ok ? pair_write(certificate_file, x, key_file, key, e) : library_error(e, "making the CA");
    X509_free(x);
    EVP_PKEY_free(key);
    return s;
}

struct ca {
    X509 *x;
    EVP_PKEY *key;
};

static int on_passphrase(char *data, int size, int writing, void *arg)
{
    (void)data;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

static enum status ca_key_open(struct ca *ca, const char *path, struct error *e)
{
    FILE *f = fopen(path, "re");
    struct stat st;
    if (f == NULL) {
        return error_set(e, status_from_errno(errno), "CA key %s: %s", path, strerror(errno));
    }
    enum status s = OK;
    if (fstat(fileno(f), &st) != 0 || (st.st_mode & 077) != 0) {
        s = error_set(e, STATUS_PERMISSION,
                      "CA key %s may be read by others. What to do: chmod 600 %s", path, path);
    } else {
        ca->key = PEM_read_PrivateKey(f, NULL, on_passphrase, NULL);
        s = ca->key != NULL ? OK : library_error(e, "reading the CA's key");
    }
    (void)fclose(f);
    return s;
}

static enum status ca_open(struct ca *ca, const char *dir, struct error *e)
{
    char certificate_file[PATH_BYTES], key_file[PATH_BYTES];
    enum status s = path_join(certificate_file, dir, CERT_CA_FILE, e);
    if (s == OK) {
        s = path_join(key_file, dir, CERT_CA_KEY_FILE, e);
    }
    if (s == OK) {
        s = ca_key_open(ca, key_file, e);
    }
    if (s != OK) {
        return s;
    }
    FILE *f = fopen(certificate_file, "re");
    if (f == NULL) {
        return error_set(e, status_from_errno(errno), "CA %s: %s", certificate_file,
                         strerror(errno));
    }
    ca->x = PEM_read_X509(f, NULL, NULL, NULL);
    (void)fclose(f);
    if (ca->x == NULL) {
        return library_error(e, "reading the CA's certificate");
    }
    return X509_check_private_key(ca->x, ca->key) == 1
               ? OK
               : error_set(e, STATUS_INVALID, "%s: ca.key does not belong to ca.crt", dir);
}

static void ca_close(struct ca *ca)
{
    X509_free(ca->x);
    EVP_PKEY_free(ca->key);
}

/* "URI:mq://node/bj1,DNS:bj1.example.org,IP:192.0.2.1" */
static enum status san_build(const struct cert_request *r, char *out, size_t size, struct error *e)
{
    char uri[TLS_URI_MAX];
    size_t at = 0;
    out[0] = '\0';
    if (!r->without_identity) {
        if (tls_identity_format(&r->identity, uri) != OK) {
            return error_set(
                e, STATUS_INVALID,
                "\"%s\" is no name for a %s: use a-z, 0-9, - and ., at most %d characters",
                r->identity.name, tls_identity_kind_name(r->identity.kind), NAME_MAX_BYTES);
        }
        at = (size_t)snprintf(out, size, "URI:%s", uri);
    }
    for (size_t i = 0; i < CERT_SANS_MAX && r->sans[i] != NULL; i++) {
        unsigned char binary[16];
        const char *san = r->sans[i];
        bool ip = inet_pton(AF_INET, san, binary) == 1 || inet_pton(AF_INET6, san, binary) == 1;
        size_t n = strlen(san);
        bool dns =
            strspn(san, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-") == n &&
            n > 0 && n <= 253;
        if (!ip && !dns) {
            return error_set(e, STATUS_INVALID, "\"%s\" is neither a host name nor an IP address",
                             san);
        }
        int added =
            snprintf(out + at, size - at, "%s%s:%s", at > 0 ? "," : "", ip ? "IP" : "DNS", san);
        if (added < 0 || (size_t)added >= size - at) {
            return error_set(e, STATUS_TOO_BIG, "too many names for one certificate");
        }
        at += (size_t)added;
    }
    return OK;
}

static const char *usage_of(const struct cert_request *r)
{
    if (r->usage != NULL) {
        return r->usage;
    }
    return r->identity.kind == TLS_NODE ? "serverAuth,clientAuth" : "clientAuth";
}

static bool leaf_fill(X509 *x, const struct ca *ca, const struct cert_request *r, const char *san)
{
    const char *usage = usage_of(r);
    return X509_set_issuer_name(x, X509_get_subject_name(ca->x)) == 1 &&
           extension_add(x, ca->x, NID_basic_constraints, "critical,CA:FALSE") &&
           extension_add(x, ca->x, NID_key_usage, "critical,digitalSignature") &&
           (usage[0] == '\0' || extension_add(x, ca->x, NID_ext_key_usage, usage)) &&
           extension_add(x, ca->x, NID_subject_key_identifier, "hash") &&
           extension_add(x, ca->x, NID_authority_key_identifier, "keyid") &&
           (san[0] == '\0' || extension_add(x, ca->x, NID_subject_alt_name, san)) &&
           X509_sign(x, ca->key, EVP_sha256()) > 0;
}

enum status cert_issue(const char *ca_dir, const struct cert_request *request,
                       const char *certificate_file, const char *key_file, struct error *e)
{
    struct ca ca = {0};
    char san[4096];
    enum status s = san_build(request, san, sizeof(san), e);
    if (s == OK) {
        s = ca_open(&ca, ca_dir, e);
    }
    if (s != OK) {
        ca_close(&ca);
        return s;
    }
    bool given = request->not_before_s != 0 || request->not_after_s != 0;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = key != NULL ? certificate_new(key, request->identity.name,
                                            given ? request->not_before_s : -BACKDATED_S,
                                            given ? request->not_after_s : CERT_DAYS * 86400ll)
                          : NULL;
    s = x != NULL && leaf_fill(x, &ca, request, san)
            ? pair_write(certificate_file, x, key_file, key, e)
            : library_error(e, "issuing the certificate");
    X509_free(x);
    EVP_PKEY_free(key);
    ca_close(&ca);
    return s;
}

bool cert_warning(const struct tls_identity *own, uint64_t now_ms, char out_text[CERT_WARNING_SIZE])
{
    char span[SPAN_TEXT_SIZE];
    uint64_t left_ms = own->expires_ms > now_ms ? own->expires_ms - now_ms : 0;
    if (left_ms >= CERT_WARN_MS) {
        return false;
    }
    bool operator= own->kind == TLS_OPERATOR;
    const char *kind = tls_identity_kind_name(own->kind);
    snprintf(
        out_text, CERT_WARNING_SIZE,
        "the certificate of %s %s, which this uses, expires in %s. What to do: clusterctl cert "
        "issue %s %s%s%s where the cluster's CA is, and install what it makes",
        kind, own->name, span_format(left_ms, span), kind,
        own->name, operator? " --role " : "", operator? own->role : "");
    return true;
}
