/* Settings of the whole cluster: replicated in the directory, taken up by every node while it runs, and there instead of what its file says.
 * One row each; clusterctl and the nodes read the same table. A key is "section.key" of the file that it takes the place of. */
#ifndef MQ_BASE_CLUSTER_SETTINGS_H
#define MQ_BASE_CLUSTER_SETTINGS_H

#include "base/settings.h"

#define CLUSTER_SETTING_KEY_MAX 64

struct cluster_settings {
    bool preference;
    uint64_t checkpoint_bytes, checkpoint_interval_ms;
    uint64_t client_bytes_max, client_requests_max, node_bytes_max, node_requests_max;
};

struct cluster_setting {
    struct setting row; /* offsets are of struct cluster_settings */
    const char *effect; /* of a change, in one sentence */
};

extern const struct cluster_setting cluster_setting_rows[];
extern const size_t cluster_setting_rows_n;

/* "raft.preference"; NULL with a sentence and a suggestion in e. */
const struct cluster_setting *cluster_setting_find(const char *key, struct error *e);
/* The key of a row. */
const char *cluster_setting_key(const struct cluster_setting *s, char key[CLUSTER_SETTING_KEY_MAX]);
/* The value is one, and within the row's bounds; *out_s gets it when it is not NULL. */
enum status cluster_setting_check(const struct cluster_setting *s, const char *value,
                                  struct cluster_settings *out_s, struct error *e);

#endif
