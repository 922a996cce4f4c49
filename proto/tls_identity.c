/* Who a certificate speaks for, as the URI in its SAN: mq://node/NAME, mq://host/NAME, mq://operator/NAME?role=ROLE.
 * Pure; knows nothing of OpenSSL. Anything that is not exactly of this form is nobody. */
#include "proto/tls.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
    [TLS_NOBODY] = "nobody", [TLS_NODE] = "node", [TLS_HOST] = "host", [TLS_OPERATOR] = "operator"};
static const char *const roles[] = {"viewer", "operator", "admin"};

const char *tls_identity_kind_name(enum tls_identity_kind kind)
{
    return (unsigned)kind <= TLS_OPERATOR ? kind_names[kind] : kind_names[TLS_NOBODY];
}

static bool name_valid(const char *name, size_t size)
{
    if (size == 0 || size > NAME_MAX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.')) {
            return false;
        }
    }
    return true;
}

static bool role_parse(const char *text, size_t size, char out_role[16])
{
    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]); i++) {
        if (strlen(roles[i]) == size && memcmp(roles[i], text, size) == 0) {
            memcpy(out_role, roles[i], size + 1);
            return true;
        }
    }
    return false;
}

/* Takes `prefix` off the front. */
static bool skip(const char **at, size_t *size, const char *prefix)
{
    size_t n = strlen(prefix);
    if (*size < n || memcmp(*at, prefix, n) != 0) {
        return false;
    }
    *at += n;
    *size -= n;
    return true;
}

bool tls_identity_parse(const char *uri, size_t size, struct tls_identity *out_identity)
{
    enum tls_identity_kind kind;
    if (!skip(&uri, &size, "mq://")) {
        return false;
    }
    if (skip(&uri, &size, "node/")) {
        kind = TLS_NODE;
    } else if (skip(&uri, &size, "host/")) {
        kind = TLS_HOST;
    } else if (skip(&uri, &size, "operator/")) {
        kind = TLS_OPERATOR;
    } else {
        return false;
    }
    char role[16] = "";
    const char *question = memchr(uri, '?', size);
    size_t name_size = question != NULL ? (size_t)(question - uri) : size;
    if (kind == TLS_OPERATOR) {
        memcpy(role, "viewer", sizeof("viewer"));
    }
    if (question != NULL) {
        const char *rest = question;
        size_t rest_size = size - name_size;
        if (kind != TLS_OPERATOR || !skip(&rest, &rest_size, "?role=") ||
            !role_parse(rest, rest_size, role)) {
            return false;
        }
    }
    if (!name_valid(uri, name_size)) {
        return false;
    }
    out_identity->kind = kind;
    memcpy(out_identity->name, uri, name_size);
    out_identity->name[name_size] = '\0';
    memcpy(out_identity->role, role, sizeof(role));
    return true;
}

enum status tls_identity_format(const struct tls_identity *identity, char uri[TLS_URI_MAX])
{
    char text[TLS_URI_MAX];
    bool with_role = identity->kind == TLS_OPERATOR;
    int n = snprintf(text, sizeof(text), "mq://%s/%s%s%s", tls_identity_kind_name(identity->kind),
                     identity->name, with_role ? "?role=" : "", with_role ? identity->role : "");
    struct tls_identity back;
    if (n < 0 || (size_t)n >= sizeof(text) || !tls_identity_parse(text, (size_t)n, &back)) {
        return STATUS_INVALID;
    }
    memcpy(uri, text, (size_t)n + 1);
    return OK;
}
