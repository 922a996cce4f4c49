/* clusterctl cert ca init, cert issue: files by ctl/cert.c, in the places where the rest looks for them. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/cert.h"
#include "ctl/ctl.h"

/* The directory is there afterwards. */
static enum status directory_ensure(const char *path, struct error *e)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST) {
        return OK;
    }
    return error_set(e, status_from_errno(errno), "%s: %s", path, strerror(errno));
}

enum exit_code run_cert_ca_init(struct ctl *c)
{
    const struct options *o = &c->arguments.options;
    const char *dir = o->out != NULL ? o->out : "ca";
    struct error e = {0};
    struct screen s;
    enum status status = directory_ensure(dir, &e);
    if (status == OK) {
        status = cert_ca_new(dir, o->name != NULL ? o->name : "mailquorum", &e);
    }
    if (status != OK) {
        return ctl_fail(c, &e);
    }
    screen_init(&s, "cert_ca");
    snprintf(s.summary, sizeof(s.summary),
             "made %.200s/%s and %.200s/%s; keep the key off the nodes", dir, CERT_CA_FILE, dir,
             CERT_CA_KEY_FILE);
    json_object_set_new(s.data, "directory", json_text(dir));
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

static enum status request_fill(const struct ctl *c, struct cert_request *r, struct error *e)
{
    const struct options *o = &c->arguments.options;
    const char *kind = c->arguments.args[0];
    const char *name = c->arguments.args[1];
    static const enum tls_identity_kind kinds[] = {TLS_NODE, TLS_HOST, TLS_OPERATOR};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(tls_identity_kind_name(kinds[i]), kind) == 0) {
            r->identity.kind = kinds[i];
        }
    }
    if (r->identity.kind == TLS_NOBODY) {
        return error_set(e, STATUS_INVALID,
                         "a certificate is for a node, a host or an operator, not for \"%s\"",
                         kind);
    }
    if (strlen(name) > NAME_MAX_BYTES) {
        return error_set(e, STATUS_INVALID, "the name is longer than %d bytes", NAME_MAX_BYTES);
    }
    memcpy(r->identity.name, name, strlen(name) + 1);
    if (o->role != NULL && r->identity.kind != TLS_OPERATOR) {
        return error_set(e, STATUS_INVALID, "--role is for operators");
    }
    const char *role = o->role != NULL ? o->role : "viewer";
    if (r->identity.kind == TLS_OPERATOR && strcmp(role, "viewer") != 0 &&
        strcmp(role, "operator") != 0 && strcmp(role, "admin") != 0) {
        return error_set(e, STATUS_INVALID, "--role %s: it is viewer, operator or admin", role);
    }
    snprintf(r->identity.role, sizeof(r->identity.role), "%s",
             r->identity.kind == TLS_OPERATOR ? role : "");
    if (o->sans.n >= CERT_SANS_MAX) {
        return error_set(e, STATUS_TOO_BIG, "more than %d --san", CERT_SANS_MAX - 1);
    }
    memcpy(r->sans, o->sans.items, o->sans.n * sizeof(o->sans.items[0]));
    return OK;
}

enum exit_code run_cert_issue(struct ctl *c)
{
    const struct options *o = &c->arguments.options;
    const char *ca = o->ca != NULL ? o->ca : "ca";
    const char *dir = o->out != NULL ? o->out : ".";
    struct cert_request r = {0};
    struct error e = {0};
    struct screen s;
    char certificate[4096], key[4096];
    enum status status = request_fill(c, &r, &e);
    if (status != OK) {
        return ctl_usage(c, "%s", e.text);
    }
    int n = snprintf(certificate, sizeof(certificate), "%s/%s.crt", dir, r.identity.name);
    int m = snprintf(key, sizeof(key), "%s/%s.key", dir, r.identity.name);
    if (n < 0 || m < 0 || (size_t)n >= sizeof(certificate) || (size_t)m >= sizeof(key)) {
        return ctl_usage(c, "%s: the path is too long", dir);
    }
    status = directory_ensure(dir, &e);
    if (status == OK) {
        status = cert_issue(ca, &r, certificate, key, &e);
    }
    if (status != OK) {
        return ctl_fail(c, &e);
    }
    screen_init(&s, "cert");
    snprintf(s.summary, sizeof(s.summary), "issued %.200s and %.200s, valid for %d days",
             certificate, key, CERT_DAYS);
    json_object_set_new(s.data, "certificate", json_text(certificate));
    json_object_set_new(s.data, "key", json_text(key));
    return ctl_finish(c, &s, EXIT_HEALTHY);
}
