/* The settings of mailfeed: one INI file, one table (feed_config_table), which is also the example that --print-config shows. */
#ifndef MQ_NODE_FEED_FEED_CONFIG_H
#define MQ_NODE_FEED_FEED_CONFIG_H

#include "base/error.h"
#include "base/identity.h"
#include "base/settings.h"

#define FEED_PATH_MAX 512

enum feed_inbox_replaced { INBOX_REPLACED_HOLD, INBOX_REPLACED_DELETE };

struct feed_config {
    char store[NAME_MAX_BYTES + 1], site[NAME_MAX_BYTES + 1], host[NAME_MAX_BYTES + 1];
    struct setting_list nodes; /* host:port or unix:/path */
    char cluster_id[UUID_TEXT_SIZE];
    char ca[FEED_PATH_MAX], certificate[FEED_PATH_MAX], key[FEED_PATH_MAX];
    char doveadm[FEED_PATH_MAX], doveadm_config[FEED_PATH_MAX], users_file[FEED_PATH_MAX];
    struct setting_list exclude;    /* beginnings of names, as doveadm prints them */
    char hints[64];                 /* loopback address:port; empty: none */
    int inbox_replaced;             /* enum feed_inbox_replaced */
    bool iterate, dovecot, postfix; /* dovecot, postfix: follow it */
    uint64_t sweep_interval_ms, pull_deadline_ms, locked_after_ms, report_deadline_ms, lease_ttl_ms;
    uint64_t sweep_cpu; /* percent of one processor */
    uint64_t imap_children_max, users_max;
    struct setting_list config_directories; /* of Postfix instances; none: postmulti says */
    char postqueue[FEED_PATH_MAX], postconf[FEED_PATH_MAX], postmulti[FEED_PATH_MAX];
    char queue_log[FEED_PATH_MAX], journalctl[FEED_PATH_MAX];
    uint64_t queue_interval_ms, queue_deadline_ms;
    struct uuid cluster; /* of cluster_id; zero = any */
    bool needs_tls;      /* some node is not a unix socket */
};

/* Reads and checks everything that can be checked without opening a connection. */
enum status feed_config_load(const char *file, struct feed_config *out_c, struct error *e);
extern const struct setting feed_config_table[];
extern const size_t feed_config_table_n;

#endif
