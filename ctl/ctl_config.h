/* clusterctl.conf: which cluster, who we are, where its nodes are. Made by clusterctl init. */
#ifndef MQ_CTL_CTL_CONFIG_H
#define MQ_CTL_CTL_CONFIG_H

#include "base/identity.h"
#include "base/settings.h"

#define CTL_CONFIG_FILE "/etc/mailquorum/clusterctl.conf"

struct ctl_config {
    char cluster_name[NAME_MAX_BYTES + 1];
    char cluster_id_text[UUID_TEXT_SIZE];
    struct uuid cluster_id; /* zero = not checked */
    char ca[512], certificate[512], key[512];
    struct setting_list nodes; /* NAME@HOST:PORT */
    char socket[108];          /* of a node on this machine; empty = none */
};

enum status ctl_config_load(const char *file, struct ctl_config *out_c, struct error *e);
/* Every key, for the manual page. */
const struct setting *ctl_config_settings(size_t *out_n);

#endif
