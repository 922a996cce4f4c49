/* The table. */
#include "base/cluster_settings.h"

#include <string.h>

#include "base/suggestion.h"

#define KIB 1024ull
#define MIB (1024ull * KIB)
#define GIB (1024ull * MIB)
#define S   struct cluster_settings

const struct cluster_setting cluster_setting_rows[] = {
    {SETTING_BOOLEAN("raft", "preference", S, preference, "yes",
                     "leadership returns to the preferred site"),
     "with no, leaders stay where they are until somebody moves them; nothing is interrupted"},
    {SETTING_BYTES("raft", "checkpoint_bytes", S, checkpoint_bytes, "64MB", 256 * KIB, 64 * GIB,
                   "a checkpoint is taken after this much of log"),
     "more means fewer checkpoints, and a longer start after a crash"},
    {SETTING_DURATION("raft", "checkpoint_interval", S, checkpoint_interval_ms, "5s", 100, 3600000,
                      "or after this long"),
     "longer means fewer checkpoints, and a longer start after a crash"},
    {SETTING_BYTES("limits", "client_bytes_max", S, client_bytes_max, "32MB", 2 * MIB, 4 * GIB,
                   "requests of one connection that wait for an answer"),
     "clients over it are refused MQ-REQUEST-OVERLOAD, and ask again"},
    {SETTING_INTEGER("limits", "client_requests_max", S, client_requests_max, "4096", 1, 65536,
                     "the same, counted"),
     "clients over it are refused MQ-REQUEST-OVERLOAD, and ask again"},
    {SETTING_BYTES("limits", "node_bytes_max", S, node_bytes_max, "256MB", 4 * MIB, 64 * GIB,
                   "requests of all connections of a node that wait for an answer"),
     "requests over it are refused MQ-REQUEST-OVERLOAD, whoever they are from"},
    {SETTING_INTEGER("limits", "node_requests_max", S, node_requests_max, "65536", 16, 1000000,
                     "the same, counted"),
     "requests over it are refused MQ-REQUEST-OVERLOAD, whoever they are from"},
};
const size_t cluster_setting_rows_n =
    sizeof(cluster_setting_rows) / sizeof(cluster_setting_rows[0]);

const char *cluster_setting_key(const struct cluster_setting *s, char key[CLUSTER_SETTING_KEY_MAX])
{
    snprintf(key, CLUSTER_SETTING_KEY_MAX, "%s.%s", s->row.section, s->row.key);
    return key;
}

const struct cluster_setting *cluster_setting_find(const char *key, struct error *e)
{
    char keys[sizeof(cluster_setting_rows) / sizeof(cluster_setting_rows[0])]
             [CLUSTER_SETTING_KEY_MAX];
    struct suggestion near;
    suggestion_init(&near, key);
    for (size_t i = 0; i < cluster_setting_rows_n; i++) {
        if (strcmp(cluster_setting_key(&cluster_setting_rows[i], keys[i]), key) == 0) {
            return &cluster_setting_rows[i];
        }
        suggestion_offer(&near, keys[i]);
    }
    (void)error_set(e, STATUS_INVALID, "there is no setting %.64s of the cluster%s%s%s", key,
                    near.best != NULL ? ", did you mean " : "; clusterctl config get lists them",
                    near.best != NULL ? near.best : "", near.best != NULL ? "?" : "");
    return NULL;
}

enum status cluster_setting_check(const struct cluster_setting *s, const char *value,
                                  struct cluster_settings *out_s, struct error *e)
{
    struct cluster_settings scratch;
    memset(&scratch, 0, sizeof(scratch));
    return setting_parse(&s->row, value, out_s != NULL ? out_s : &scratch, e);
}
