/* Certificates of a cluster: a CA of its own, and what it signs (ECDSA P-256). The only file of ctl/ that knows OpenSSL.
 * A certificate says who its holder is by the URI in its SAN (proto/tls.h); DNS names and addresses beside it are for other tools. */
#ifndef MQ_CTL_CERT_H
#define MQ_CTL_CERT_H

#include "base/error.h"
#include "proto/tls.h"

#define CERT_CA_FILE     "ca.crt"
#define CERT_CA_KEY_FILE "ca.key"
#define CERT_CA_DAYS     3650
#define CERT_DAYS        825
#define CERT_SANS_MAX    16
#define CERT_WARN_MS     (30 * UINT64_C(86400000)) /* as the rules of nodes' and feeds' have it */

struct cert_request {
    struct tls_identity identity;    /* kind, name, role */
    const char *sans[CERT_SANS_MAX]; /* DNS names and IP addresses, borrowed; NULL ends */
    /* 0 everywhere is what a cluster wants; tests ask for what must be refused */
    int64_t not_before_s,
        not_after_s;       /* relative to now; both 0 = from 5 minutes ago for CERT_DAYS */
    bool without_identity; /* no mq:// name */
    const char *usage;     /* extended key usage; NULL = by kind; "" = none */
};

/* Writes DIR/ca.crt and DIR/ca.key (0600); the directory must exist. EXISTS when either is there. */
enum status cert_ca_new(const char *dir, const char *cluster_name, struct error *e);
/* Signs with the CA in ca_dir; writes both files, neither of which may exist. The key file is 0600. */
enum status cert_issue(const char *ca_dir, const struct cert_request *request,
                       const char *certificate_file, const char *key_file, struct error *e);
/* Of our own certificate: it ends within CERT_WARN_MS, and what to do. false: it does not, out_text is left alone. */
#define CERT_WARNING_SIZE 512
bool cert_warning(const struct tls_identity *own, uint64_t now_ms,
                  char out_text[CERT_WARNING_SIZE]);

#endif
