/* Reads mailfeed's file and says, in one sentence with the line, what does not fit. */
#include "node/feed/feed_config.h"

#include <ini.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "node/feed/hints.h"

#define FEED struct feed_config

const struct setting feed_config_table[] = {
    SETTING_STRING(
        "feed", "store", FEED, store, NULL,
        "name of the mail store this host serves, the same on every host that serves it"),
    SETTING_STRING("feed", "site", FEED, site, NULL, "the site this host stands in"),
    SETTING_STRING("feed", "host", FEED, host, "",
                   "name of this host in leases and logs; default: its host name"),
    SETTING_LIST("feed", "nodes", FEED, nodes, NULL,
                 "nodes to report to, tried in turn: host:port or unix:/path"),
    SETTING_STRING("feed", "cluster_id", FEED, cluster_id, "",
                   "refuse nodes of any other cluster (32 hex digits)"),
    SETTING_DURATION("feed", "report_deadline", FEED, report_deadline_ms, "60s", 1000, 3600000,
                     "how long one page is tried before its user waits for the next sweep"),
    SETTING_DURATION("feed", "lease_ttl", FEED, lease_ttl_ms, "15s", 2000, 3600000,
                     "how long another feed of this store waits after this one died"),
    SETTING_INTEGER("feed", "users_max", FEED, users_max, "100000", 1, 1000000,
                    "users over this number are refused by name"),
    SETTING_STRING("tls", "ca", FEED, ca, "",
                   "certificate of the cluster's CA (PEM); needed for host:port"),
    SETTING_STRING("tls", "certificate", FEED, certificate, "", "certificate of this host (PEM)"),
    SETTING_STRING("tls", "key", FEED, key, "", "its key, mode 0600"),
    SETTING_BOOLEAN("dovecot", "enabled", FEED, dovecot, "yes", "follow the Dovecot of this host"),
    SETTING_STRING("dovecot", "doveadm", FEED, doveadm, "/usr/bin/doveadm", "path of doveadm"),
    SETTING_STRING("dovecot", "config", FEED, doveadm_config, "",
                   "configuration file for doveadm -c; default: doveadm's own"),
    SETTING_STRING("dovecot", "users_file", FEED, users_file, "",
                   "file with one user a line, read at each sweep"),
    SETTING_BOOLEAN("dovecot", "iterate", FEED, iterate, "no",
                    "ask doveadm for the users instead (the userdb must be able to iterate)"),
    SETTING_LIST("dovecot", "exclude", FEED, exclude, "",
                 "beginnings of names (no blanks) of mailboxes not to report: Virtual/, say"),
    SETTING_CHOICE("dovecot", "inbox_replaced", FEED, inbox_replaced, "hold", "hold|delete",
                   "a user's INBOX is gone or another one than before: report nothing of that user "
                   "as deleted (its mail store may not be mounted), or do"),
    SETTING_STRING("dovecot", "hints", FEED, hints, "",
                   "loopback address:port for Dovecot's event exporter (http-post); default: none"),
    SETTING_DURATION("dovecot", "sweep_interval", FEED, sweep_interval_ms, "10s", 100, 86400000,
                     "from the start of one look at all mailboxes to the next"),
    SETTING_INTEGER("dovecot", "sweep_cpu", FEED, sweep_cpu, "10", 1, 100,
                    "percent of one processor: many users are looked at less often than that"),
    SETTING_INTEGER("dovecot", "imap_children_max", FEED, imap_children_max, "4", 1, 256,
                    "users read at the same time"),
    SETTING_DURATION(
        "dovecot", "pull_deadline", FEED, pull_deadline_ms, "30s", 100, 3600000,
        "a child that is silent for so long is killed; its user waits, and others go first"),
    SETTING_DURATION("dovecot", "locked_after", FEED, locked_after_ms, "60s", 100, 3600000,
                     "a user that gives no answer for so long is named, with who holds the lock"),
    SETTING_BOOLEAN("postfix", "enabled", FEED, postfix, "no",
                    "follow the mail queue of this host's Postfix"),
    SETTING_LIST("postfix", "config_directories", FEED, config_directories, "",
                 "one of each instance; default: what postmulti -l says"),
    SETTING_DURATION("postfix", "interval", FEED, queue_interval_ms, "10s", 200, 86400000,
                     "from the start of one look at the whole queue to the next"),
    SETTING_DURATION("postfix", "deadline", FEED, queue_deadline_ms, "60s", 1000, 3600000,
                     "a postqueue, postconf or postmulti that is silent for so long is killed"),
    SETTING_STRING("postfix", "log", FEED, queue_log, "",
                   "file that Postfix logs to, or `journal`; default: maillog_file of the "
                   "instance, else /var/log/mail.log, else the journal"),
    SETTING_STRING("postfix", "postqueue", FEED, postqueue, "/usr/sbin/postqueue",
                   "path of postqueue"),
    SETTING_STRING("postfix", "postconf", FEED, postconf, "/usr/sbin/postconf", "path of postconf"),
    SETTING_STRING("postfix", "postmulti", FEED, postmulti, "/usr/sbin/postmulti",
                   "path of postmulti"),
    SETTING_STRING("postfix", "journalctl", FEED, journalctl, "/usr/bin/journalctl",
                   "path of journalctl"),
};
const size_t feed_config_table_n = sizeof(feed_config_table) / sizeof(feed_config_table[0]);

static enum status check_nodes(struct feed_config *c, struct error *e)
{
    for (unsigned i = 0; i < c->nodes.n; i++) {
        const char *node = c->nodes.items[i];
        uint64_t port = 0;
        if (strncmp(node, "unix:/", 6) == 0) {
            if (strlen(node) - 5 > 107) {
                return error_set(e, STATUS_INVALID,
                                 "[feed] nodes: the path in '%s' is over 107 bytes", node);
            }
            continue;
        }
        const char *colon = strrchr(node, ':');
        if (colon == NULL || colon == node || !setting_parse_integer(colon + 1, &port) ||
            port == 0 || port > 65535) {
            return error_set(e, STATUS_INVALID,
                             "[feed] nodes: '%s' is neither host:port nor unix:/path", node);
        }
        c->needs_tls = true;
    }
    if (c->nodes.n == 0) {
        return error_set(e, STATUS_INVALID, "[feed] nodes: at least one node is needed");
    }
    return OK;
}

static enum status check_dovecot(const struct feed_config *c, struct error *e)
{
    if ((c->users_file[0] != '\0') == c->iterate) {
        return error_set(e, STATUS_INVALID,
                         "[dovecot]: give either users_file = FILE or iterate = yes");
    }
    if (access(c->doveadm, X_OK) != 0) {
        return error_set(e, STATUS_NOT_FOUND, "[dovecot] doveadm: cannot run '%s'", c->doveadm);
    }
    if (c->doveadm_config[0] != '\0' && access(c->doveadm_config, R_OK) != 0) {
        return error_set(e, STATUS_NOT_FOUND, "[dovecot] config: cannot read '%s'",
                         c->doveadm_config);
    }
    if (c->users_file[0] != '\0' && access(c->users_file, R_OK) != 0) {
        return error_set(e, STATUS_NOT_FOUND, "[dovecot] users_file: cannot read '%s'",
                         c->users_file);
    }
    struct sockaddr_storage unused;
    if (c->hints[0] != '\0' && hints_check_address(c->hints, &unused, e) != OK) {
        return error_prefix(e, "[dovecot] hints");
    }
    return OK;
}

static enum status check_postfix(const struct feed_config *c, struct error *e)
{
    if (access(c->postqueue, X_OK) != 0) {
        return error_set(e, STATUS_NOT_FOUND, "[postfix] postqueue: cannot run '%s'", c->postqueue);
    }
    if (access(c->postconf, X_OK) != 0) {
        return error_set(e, STATUS_NOT_FOUND, "[postfix] postconf: cannot run '%s'", c->postconf);
    }
    if (c->config_directories.n == 0 && access(c->postmulti, X_OK) != 0) {
        return error_set(e, STATUS_NOT_FOUND, "[postfix] postmulti: cannot run '%s'", c->postmulti);
    }
    for (unsigned i = 0; i < c->config_directories.n; i++) {
        if (access(c->config_directories.items[i], X_OK) != 0) {
            return error_set(e, STATUS_NOT_FOUND, "[postfix] config_directories: cannot enter '%s'",
                             c->config_directories.items[i]);
        }
    }
    return OK;
}

enum status feed_config_load(const char *file, struct feed_config *out_c, struct error *e)
{
    struct feed_config *c = out_c;
    memset(c, 0, sizeof(*c));
    ini_max_line = SETTINGS_LINE_BYTES_MAX; /* paths may be deep; inih stops at 200 by itself */
    enum status s =
        settings_load_file(ini_parse_stream, file, feed_config_table, feed_config_table_n, c, e);
    if (s != OK) {
        return s;
    }
    if (c->host[0] == '\0' && gethostname(c->host, sizeof(c->host) - 1) != 0) {
        return error_set(e, STATUS_INVALID,
                         "%s: [feed] host is not given and this host's name is too long", file);
    }
    s = check_nodes(c, e);
    if (s == OK && !c->dovecot && !c->postfix) {
        s = error_set(e, STATUS_INVALID, "[dovecot] and [postfix] are both off: nothing to follow");
    }
    s = s == OK && c->dovecot ? check_dovecot(c, e) : s;
    s = s == OK && c->postfix ? check_postfix(c, e) : s;
    if (s == OK && c->needs_tls &&
        (c->ca[0] == '\0' || c->certificate[0] == '\0' || c->key[0] == '\0')) {
        s = error_set(e, STATUS_INVALID, "[tls]: nodes by host:port need ca, certificate and key");
    }
    if (s == OK && c->cluster_id[0] != '\0' && !uuid_parse(c->cluster_id, &c->cluster)) {
        s = error_set(e, STATUS_INVALID, "[feed] cluster_id: not 32 hex digits");
    }
    return s == OK ? OK : error_prefix(e, "%s", file);
}
