/* The configuration file of mailquorumd: one row a key in config.c, which is also what
 * --print-config shows. Cluster-wide settings are replicated and not in files. Fails with a
 * sentence that names file, line and, for a slip of the keyboard, the key that was meant. */
#ifndef MQ_NODE_CONFIG_H
#define MQ_NODE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define CONFIG_PATH_MAX 512

struct config {
    char name[64];
    char data_directory[CONFIG_PATH_MAX];
    char listen[128];
    char socket[108];
    char ca[CONFIG_PATH_MAX], certificate[CONFIG_PATH_MAX], key[CONFIG_PATH_MAX];
    char revoked[CONFIG_PATH_MAX]; /* empty: none */
    char founding[CONFIG_PATH_MAX];
    uint64_t connections_max, connections_per_address_max;
    uint64_t client_bytes_max, client_requests_max, node_bytes_max, node_requests_max;
    uint64_t election_timeout_ms, heartbeat_ms;
    uint64_t segment_bytes, cache_bytes, log_retain_bytes, checkpoint_bytes, checkpoint_interval_ms,
        commit_interval_ms, pending_bytes;
    bool preference, early_campaign;
    uint64_t map_bytes, reserve_bytes;
    int log_level;
};

enum status config_load(const char *file, struct config *out_c, struct error *e);
void config_print_example(FILE *out);
struct setting;
/* Every key, for the manual page and for comparing. */
const struct setting *config_settings(size_t *out_n);

#endif
