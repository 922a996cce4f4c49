/* The table of keys, and what can only be said about several of them together. */
#include "node/config.h"

#include <ini.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/settings.h"

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define TIB (1024ull * GIB)

static const struct setting table[] = {
    SETTING_STRING("node", "name", struct config, name, NULL,
                   "name of this node, as the founding file and its certificate have it"),
    SETTING_STRING("node", "data_directory", struct config, data_directory, NULL,
                   "log and state; an absolute path, for this node alone"),
    SETTING_STRING("node", "listen", struct config, listen, NULL,
                   "address:port for peers and clients"),
    SETTING_STRING("node", "socket", struct config, socket, "",
                   "unix socket for programs of this machine; empty: none"),
    SETTING_STRING("tls", "ca", struct config, ca, NULL, "certificate of the cluster's CA (PEM)"),
    SETTING_STRING("tls", "certificate", struct config, certificate, NULL,
                   "this node's certificate (PEM)"),
    SETTING_STRING("tls", "key", struct config, key, NULL,
                   "its private key (PEM, readable by its owner only)"),
    SETTING_STRING(
        "tls", "revoked", struct config, revoked, "",
        "serial numbers of certificates that are refused, in hex, one a line; empty: none"),
    SETTING_STRING("cluster", "founding", struct config, founding, NULL,
                   "the founding file made by clusterctl init"),
    SETTING_INTEGER("limits", "connections_max", struct config, connections_max, "1000", 8, 60000,
                    "connections of clients at once"),
    SETTING_INTEGER("limits", "connections_per_address_max", struct config,
                    connections_per_address_max, "500", 2, 60000, "of them, from one address"),
    SETTING_BYTES("limits", "client_bytes_max", struct config, client_bytes_max, "32MB", 2 * MIB,
                  4 * GIB, "requests of one connection that wait for an answer"),
    SETTING_INTEGER("limits", "client_requests_max", struct config, client_requests_max, "4096", 1,
                    65536, "the same, counted"),
    SETTING_BYTES("limits", "node_bytes_max", struct config, node_bytes_max, "256MB", 4 * MIB,
                  64 * GIB, "requests of all connections that wait for an answer"),
    SETTING_INTEGER("limits", "node_requests_max", struct config, node_requests_max, "65536", 16,
                    1000000, "the same, counted"),
    SETTING_DURATION("raft", "election_timeout", struct config, election_timeout_ms, "500ms", 100,
                     60000, "the same on all nodes; a follower waits once to twice this long"),
    SETTING_DURATION("raft", "heartbeat", struct config, heartbeat_ms, "50ms", 5, 5000,
                     "a leader is heard this often"),
    SETTING_BYTES("raft", "segment_bytes", struct config, segment_bytes, "64MB", 256 * KIB, GIB,
                  "a file of the log"),
    SETTING_BYTES("raft", "cache_bytes", struct config, cache_bytes, "8MB", 256 * KIB, 64 * GIB,
                  "entries kept in memory"),
    SETTING_BYTES("raft", "log_retain", struct config, log_retain_bytes, "256MB", MIB, TIB,
                  "entries kept for voters that lack them: an equal part for each shard"),
    SETTING_BYTES("raft", "checkpoint_bytes", struct config, checkpoint_bytes, "64MB", 256 * KIB,
                  64 * GIB, "a checkpoint is taken after this much of log"),
    SETTING_DURATION("raft", "checkpoint_interval", struct config, checkpoint_interval_ms, "5s",
                     100, 3600000, "or after this long"),
    SETTING_DURATION("raft", "commit_interval", struct config, commit_interval_ms, "25ms", 1, 1000,
                     "of the store's transaction, when no read waits for it"),
    SETTING_BYTES("raft", "pending_bytes", struct config, pending_bytes, "32MB", 2 * MIB, 4 * GIB,
                  "of a shard, submitted and not yet applied"),
    SETTING_BOOLEAN("raft", "preference", struct config, preference, "yes",
                    "leadership returns to the preferred site"),
    SETTING_BOOLEAN(
        "raft", "early_campaign", struct config, early_campaign, "yes",
        "a leader whose process is gone is replaced at once, not after election_timeout"),
    SETTING_BYTES("storage", "map_bytes", struct config, map_bytes, "256GB", 64 * MIB, 64 * TIB,
                  "address space of a shard's store"),
    SETTING_BYTES("storage", "reserve_bytes", struct config, reserve_bytes, "64MB", MIB, TIB,
                  "disk space never used by writes"),
    SETTING_CHOICE("log", "level", struct config, log_level, "info", "debug|info|warn|error",
                   "least level of log lines"),
};

#define TABLE_N (sizeof(table) / sizeof(table[0]))

static enum status check(const char *file, const struct config *c, struct error *e)
{
    char host[128], port[8];
    if (!address_split(c->listen, host, sizeof(host), port, sizeof(port))) {
        return error_set(e, STATUS_INVALID,
                         "%s: [node] listen = %s is not address:port (IPv6: [address]:port)", file,
                         c->listen);
    }
    if (c->data_directory[0] != '/') {
        return error_set(e, STATUS_INVALID,
                         "%s: [node] data_directory = %s must be an absolute path", file,
                         c->data_directory);
    }
    if (c->heartbeat_ms * 3 > c->election_timeout_ms) {
        return error_set(e, STATUS_INVALID,
                         "%s: [raft] heartbeat must be at most a third of election_timeout", file);
    }
    return OK;
}

enum status config_load(const char *file, struct config *out_c, struct error *e)
{
    struct config c;
    memset(&c, 0, sizeof(c));
    ini_max_line = SETTINGS_LINE_BYTES_MAX; /* paths may be deep; inih stops at 200 by itself */
    enum status s = settings_load_file(ini_parse_stream, file, table, TABLE_N, &c, e);
    if (s == OK) {
        s = check(file, &c, e);
    }
    if (s == OK) {
        *out_c = c;
    }
    return s;
}

void config_print_example(FILE *out)
{
    settings_print(table, TABLE_N, out);
}

const struct setting *config_settings(size_t *out_n)
{
    *out_n = TABLE_N;
    return table;
}
