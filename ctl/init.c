/* clusterctl init: from topology.ini to a directory that holds everything a new cluster needs.
 *
 *     DIR/founding.pb                 who the cluster is
 *     DIR/ca/{ca.crt,ca.key}          unless --ca names one; the key belongs on no node
 *     DIR/NODE/{mailquorumd.conf,node.crt,node.key,ca.crt,founding.pb}
 *     DIR/mail-SITE/{mailfeed.conf,host.crt,host.key,ca.crt}    for the mail hosts of a site that holds mail
 *     DIR/operator/{clusterctl.conf,operator.crt,operator.key,ca.crt}
 *
 * Everything is checked before the first file is written; DIR must be new or empty, so nothing is ever written over. A failure half-way
 * leaves what was made and says so. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/clock.h"
#include "ctl/cert.h"
#include "ctl/ctl.h"
#include "ctl/topology.h"
#include "ctl/topology_founding.h"

#define CA_BYTES_MAX 65536

struct founding_run {
    const struct topology *t;
    char dir[PATH_MAX]; /* absolute */
    char ca_dir[PATH_MAX];
    struct buffer ca, founding;
    struct uuid cluster;
    struct error error;
};

/* ---- files ---- */

static enum status path_format(struct founding_run *r, char out[PATH_MAX], const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static enum status path_format(struct founding_run *r, char out[PATH_MAX], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out, PATH_MAX, format, args);
    va_end(args);
    return n > 0 && n < PATH_MAX
               ? OK
               : error_set(&r->error, STATUS_TOO_BIG, "%s: the path is too long", r->dir);
}

static enum status file_write(struct founding_run *r, const char *path, struct bytes data)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return error_set(&r->error, status_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    size_t at = 0;
    while (at < data.size) {
        ssize_t n = write(fd, data.data + at, data.size - at);
        if (n < 0 && errno != EINTR) {
            break;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    int failed = at < data.size || fsync(fd) != 0 ? errno : 0;
    if (close(fd) != 0 || failed != 0) {
        return error_set(&r->error, status_from_errno(failed), "%s: %s", path, strerror(failed));
    }
    return OK;
}

static enum status directory_make(struct founding_run *r, const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        return error_set(&r->error, status_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    return OK;
}

/* New or empty. */
static enum status directory_open(struct founding_run *r, const char *path)
{
    enum status s = directory_make(r, path);
    DIR *d = s == OK ? opendir(path) : NULL;
    if (d == NULL) {
        return s != OK ? s
                       : error_set(&r->error, status_from_errno(errno), "%s: %s", path,
                                   strerror(errno));
    }
    for (struct dirent *entry; (entry = readdir(d)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            s = error_set(&r->error, STATUS_EXISTS,
                          "%s is not empty (%s): a cluster is founded into a new directory", path,
                          entry->d_name);
            break;
        }
    }
    (void)closedir(d);
    if (s == OK && realpath(path, r->dir) == NULL) {
        s = error_set(&r->error, status_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    return s;
}

static enum status ca_read(struct founding_run *r)
{
    char path[PATH_MAX];
    enum status s = path_format(r, path, "%s/%s", r->ca_dir, CERT_CA_FILE);
    FILE *f = s == OK ? fopen(path, "re") : NULL;
    uint8_t *at;
    if (f == NULL) {
        return s != OK ? s
                       : error_set(&r->error, status_from_errno(errno), "%s: %s", path,
                                   strerror(errno));
    }
    s = buffer_reserve(&r->ca, CA_BYTES_MAX, &at);
    if (s == OK) {
        r->ca.size += fread(at, 1, CA_BYTES_MAX, f);
        s = r->ca.size > 0 && r->ca.size < CA_BYTES_MAX
                ? OK
                : error_set(&r->error, STATUS_INVALID, "%s is no certificate", path);
    }
    (void)fclose(f);
    return s;
}

/* ---- what a directory of the result holds ---- */

static enum status certificate_make(struct founding_run *r, const char *dir, const char *base,
                                    struct cert_request *request)
{
    char certificate[PATH_MAX], key[PATH_MAX], ca[PATH_MAX];
    enum status s = path_format(r, certificate, "%s/%s.crt", dir, base);
    if (s == OK) {
        s = path_format(r, key, "%s/%s.key", dir, base);
    }
    if (s == OK) {
        s = path_format(r, ca, "%s/%s", dir, CERT_CA_FILE);
    }
    if (s == OK) {
        s = cert_issue(r->ca_dir, request, certificate, key, &r->error);
    }
    return s == OK ? file_write(r, ca, (struct bytes){r->ca.data, r->ca.size}) : s;
}

static enum status text_write(struct founding_run *r, const char *dir, const char *name,
                              const char *text)
{
    char path[PATH_MAX];
    enum status s = path_format(r, path, "%s/%s", dir, name);
    return s == OK ? file_write(r, path, (struct bytes){(const uint8_t *)text, strlen(text)}) : s;
}

/* Where the files of `name` will lie on their machine. */
static enum status installed(struct founding_run *r, char out[PATH_MAX], const char *name)
{
    const char *given = r->t->install_directory;
    return given[0] != '\0' ? path_format(r, out, "%s", given)
                            : path_format(r, out, "%s/%s", r->dir, name);
}

static enum status node_config(struct founding_run *r, const struct topology_node *n,
                               const char *dir)
{
    char at[PATH_MAX], data[PATH_MAX];
    char *text = NULL;
    enum status s = installed(r, at, n->name);
    if (s == OK) {
        s = n->data_directory[0] != '\0' ? path_format(r, data, "%s", n->data_directory)
                                         : path_format(r, data, "%s/data", at);
    }
    if (s != OK) {
        return s;
    }
    int size = asprintf(&text,
                        "; mailquorumd of node %s, cluster %s. Made by clusterctl init.\n"
                        "[node]\nname = %s\ndata_directory = %s\nlisten = %s\n%s%s%s"
                        "\n[tls]\nca = %s/ca.crt\ncertificate = %s/node.crt\nkey = %s/node.key\n"
                        "\n[cluster]\nfounding = %s/founding.pb\n",
                        n->name, r->t->cluster_name, n->name, data, n->listen,
                        n->socket[0] != '\0' ? "socket = " : "", n->socket,
                        n->socket[0] != '\0' ? "\n" : "", at, at, at, at);
    if (size < 0) {
        return error_set(&r->error, STATUS_NO_MEMORY, "out of memory");
    }
    s = text_write(r, dir, "mailquorumd.conf", text);
    free(text);
    return s;
}

static enum status node_make(struct founding_run *r, const struct topology_node *n)
{
    char dir[PATH_MAX], founding[PATH_MAX], host[160], port[8];
    struct cert_request request = {.identity = {.kind = TLS_NODE}};
    enum status s = path_format(r, dir, "%s/%s", r->dir, n->name);
    if (s == OK) {
        s = directory_make(r, dir);
    }
    if (s == OK) {
        s = path_format(r, founding, "%s/founding.pb", dir);
    }
    if (s != OK) {
        return s;
    }
    memcpy(request.identity.name, n->name, sizeof(request.identity.name));
    if (address_split(n->address, host, sizeof(host), port, sizeof(port))) {
        request.sans[0] = host;
    }
    s = certificate_make(r, dir, "node", &request);
    if (s == OK) {
        s = file_write(r, founding, (struct bytes){r->founding.data, r->founding.size});
    }
    return s == OK ? node_config(r, n, dir) : s;
}

/* The nodes of its own site first, then the others that hold mail. */
static enum status feed_config(struct founding_run *r, const char *site, const char *name,
                               const char *dir)
{
    char at[PATH_MAX];
    char *text = NULL;
    size_t size = 0;
    enum status s = installed(r, at, name);
    FILE *f = s == OK ? open_memstream(&text, &size) : NULL;
    if (f == NULL) {
        return s != OK ? s : error_set(&r->error, STATUS_NO_MEMORY, "out of memory");
    }
    fprintf(f,
            "; mailfeed of a mail host in %s, cluster %s. Made by clusterctl init.\n"
            "[feed]\n; one name a mail store: hosts that serve the same mail have the same\n"
            "store = %s\nsite = %s\n",
            site, r->t->cluster_name, site, site);
    for (int pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < r->t->nodes_n; i++) {
            const struct topology_node *n = &r->t->nodes[i];
            if (n->role != ROLE_WITNESS && (strcmp(n->site, site) == 0) == (pass == 0)) {
                fprintf(f, "nodes = %s\n", n->address);
            }
        }
    }
    fprintf(f,
            "\n[tls]\nca = %s/ca.crt\ncertificate = %s/host.crt\nkey = %s/host.key\n"
            "\n[dovecot]\n; where the userdb cannot list its users: users_file = FILE instead, one "
            "a line\niterate = yes\n",
            at, at, at);
    if (fclose(f) != 0) {
        s = error_set(&r->error, STATUS_NO_MEMORY, "out of memory");
    }
    if (s == OK) {
        s = text_write(r, dir, "mailfeed.conf", text);
    }
    free(text);
    return s;
}

static enum status host_make(struct founding_run *r, const char *site)
{
    char dir[PATH_MAX];
    struct cert_request request = {.identity = {.kind = TLS_HOST}};
    int n = snprintf(request.identity.name, sizeof(request.identity.name), "mail-%s", site);
    if (n < 0 || (size_t)n >= sizeof(request.identity.name)) {
        return error_set(&r->error, STATUS_INVALID, "site name \"%s\" is too long", site);
    }
    enum status s = path_format(r, dir, "%s/mail-%s", r->dir, site);
    if (s == OK) {
        s = directory_make(r, dir);
    }
    if (s == OK) {
        s = certificate_make(r, dir, "host", &request);
    }
    return s == OK ? feed_config(r, site, request.identity.name, dir) : s;
}

static bool site_has_data(const struct topology *t, const char *site)
{
    for (unsigned i = 0; i < t->nodes_n; i++) {
        if (t->nodes[i].role != ROLE_WITNESS && strcmp(t->nodes[i].site, site) == 0) {
            return true;
        }
    }
    return false;
}

static enum status operator_config(struct founding_run *r, const char *dir)
{
    char at[PATH_MAX], id[UUID_TEXT_SIZE];
    char *text = NULL;
    size_t size = 0;
    enum status s = installed(r, at, "operator");
    FILE *f = s == OK ? open_memstream(&text, &size) : NULL;
    if (f == NULL) {
        return s != OK ? s : error_set(&r->error, STATUS_NO_MEMORY, "out of memory");
    }
    uuid_format(&r->cluster, id);
    fprintf(
        f, "; clusterctl for cluster %s. Made by clusterctl init.\n[cluster]\nname = %s\nid = %s\n",
        r->t->cluster_name, r->t->cluster_name, id);
    for (unsigned i = 0; i < r->t->nodes_n; i++) {
        fprintf(f, "node = %s@%s\n", r->t->nodes[i].name, r->t->nodes[i].address);
    }
    fprintf(f, "\n[tls]\nca = %s/ca.crt\ncertificate = %s/operator.crt\nkey = %s/operator.key\n",
            at, at, at);
    if (fclose(f) != 0) {
        s = error_set(&r->error, STATUS_NO_MEMORY, "out of memory");
    }
    if (s == OK) {
        s = text_write(r, dir, "clusterctl.conf", text);
    }
    free(text);
    return s;
}

static enum status operator_make(struct founding_run *r)
{
    char dir[PATH_MAX];
    struct cert_request request = {
        .identity = {.kind = TLS_OPERATOR, .name = "admin", .role = "admin"}};
    enum status s = path_format(r, dir, "%s/operator", r->dir);
    if (s == OK) {
        s = directory_make(r, dir);
    }
    if (s == OK) {
        s = certificate_make(r, dir, "operator", &request);
    }
    return s == OK ? operator_config(r, dir) : s;
}

static enum status ca_make(struct founding_run *r, const char *given)
{
    enum status s;
    if (given != NULL) {
        s = path_format(r, r->ca_dir, "%s", given);
    } else {
        s = path_format(r, r->ca_dir, "%s/ca", r->dir);
        if (s == OK) {
            s = directory_make(r, r->ca_dir);
        }
        if (s == OK) {
            s = cert_ca_new(r->ca_dir, r->t->cluster_name, &r->error);
        }
    }
    return s == OK ? ca_read(r) : s;
}

static enum status make_all(struct founding_run *r, const char *ca)
{
    struct random random;
    char path[PATH_MAX];
    const char *sites[NODES_MAX];
    unsigned sites_n = topology_sites(r->t, sites);
    random_init_system(&random);
    enum status s =
        topology_founding(r->t, &random, clock_wall_ms(&clock_system), &r->founding, &r->cluster);
    if (s != OK) {
        return error_set(&r->error, s, "%s", status_text(s));
    }
    s = ca_make(r, ca);
    if (s == OK) {
        s = path_format(r, path, "%s/founding.pb", r->dir);
    }
    if (s == OK) {
        s = file_write(r, path, (struct bytes){r->founding.data, r->founding.size});
    }
    for (unsigned i = 0; s == OK && i < r->t->nodes_n; i++) {
        s = node_make(r, &r->t->nodes[i]);
    }
    for (unsigned i = 0; s == OK && i < sites_n; i++) {
        s = site_has_data(r->t, sites[i]) ? host_make(r, sites[i]) : OK;
    }
    return s == OK ? operator_make(r) : s;
}

/* ---- the command ---- */

static void show(const struct founding_run *r, struct screen *s)
{
    const struct topology *t = r->t;
    uuid_format(&r->cluster, s->cluster_id);
    snprintf(s->cluster_name, sizeof(s->cluster_name), "%s", t->cluster_name);
    snprintf(s->summary, sizeof(s->summary),
             "founded %s (%s): %u nodes, %u shards and the directory, in %.200s", t->cluster_name,
             s->cluster_id, t->nodes_n, t->shards_n - 1, r->dir);
    screen_column(s, "NODE");
    screen_column(s, "SITE");
    screen_column(s, "ROLE");
    screen_column(s, "ADDRESS");
    json_t *nodes = json_array();
    for (unsigned i = 0; i < t->nodes_n; i++) {
        const struct topology_node *n = &t->nodes[i];
        screen_cell(s, "%s", n->name);
        screen_cell(s, "%s", n->site);
        screen_cell(s, "%s", node_role_name((enum node_role)n->role));
        screen_cell(s, "%s", n->address);
        json_array_append_new(
            nodes,
            json_pack("{s:i, s:o, s:o, s:s, s:o}", "node", (int)i + 1, "name", json_text(n->name),
                      "site", json_text(n->site), "role", node_role_name((enum node_role)n->role),
                      "address", json_text(n->address)));
    }
    json_object_set_new(s->data, "directory", json_text(r->dir));
    json_object_set_new(s->data, "nodes", nodes);
    for (unsigned i = 0; i < t->warnings_n; i++) {
        screen_message(s, "TOPOLOGY", SEVERITY_YELLOW, "", t->warnings[i], "");
    }
    screen_note(s,
                "next: copy each node's directory to its machine and start mailquorumd --config "
                ".../mailquorumd.conf there;");
    screen_note(
        s,
        "keep %s away from the nodes; then clusterctl --config %s/operator/clusterctl.conf status",
        r->ca_dir, r->dir);
}

enum exit_code run_init(struct ctl *c)
{
    const struct options *o = &c->arguments.options;
    struct topology *t = NULL;
    struct error e = {0};
    struct screen s;
    if (o->from == NULL || o->out == NULL) {
        return ctl_usage(c, "usage: clusterctl init --from topology.ini --out DIR [--ca DIR]");
    }
    if (topology_load(o->from, &t, &e) != OK) {
        (void)ctl_fail(c, &e);
        return EXIT_CONFIG;
    }
    struct founding_run *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        topology_free(t);
        return EXIT_BUG;
    }
    r->t = t;
    enum exit_code code = EXIT_HEALTHY;
    if (directory_open(r, o->out) != OK) {
        code = ctl_fail(c, &r->error);
    } else if (make_all(r, o->ca) != OK) {
        (void)error_prefix(&r->error, "%s is not complete, remove it before trying again", o->out);
        code = ctl_fail(c, &r->error);
    } else {
        screen_init(&s, "init");
        show(r, &s);
        code = ctl_finish(c, &s, EXIT_HEALTHY);
    }
    buffer_deinit(&r->ca);
    buffer_deinit(&r->founding);
    free(r);
    topology_free(t);
    return code;
}
