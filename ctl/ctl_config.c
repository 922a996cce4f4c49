/* The table of clusterctl.conf. */
#include "ctl/ctl_config.h"

#include <ini.h>
#include <string.h>

static const struct setting rows[] = {
    SETTING_STRING("cluster", "name", struct ctl_config, cluster_name, "",
                   "name of the cluster, for the screen"),
    SETTING_STRING("cluster", "id", struct ctl_config, cluster_id_text, "",
                   "its id; a node of another cluster is refused"),
    SETTING_LIST("cluster", "node", struct ctl_config, nodes, "",
                 "NAME@HOST:PORT; one line a node"),
    SETTING_STRING("cluster", "socket", struct ctl_config, socket, "",
                   "unix socket of a node on this machine"),
    SETTING_STRING("tls", "ca", struct ctl_config, ca, "", "the cluster's CA"),
    SETTING_STRING("tls", "certificate", struct ctl_config, certificate, "", "our certificate"),
    SETTING_STRING("tls", "key", struct ctl_config, key, "", "its key, readable by its owner only"),
};

enum status ctl_config_load(const char *file, struct ctl_config *out_c, struct error *e)
{
    struct ctl_config c;
    memset(&c, 0, sizeof(c));
    ini_max_line = SETTINGS_LINE_BYTES_MAX;
    enum status s =
        settings_load_file(ini_parse_stream, file, rows, sizeof(rows) / sizeof(rows[0]), &c, e);
    if (s != OK) {
        return s;
    }
    if (c.cluster_id_text[0] != '\0' && !uuid_parse(c.cluster_id_text, &c.cluster_id)) {
        return error_set(e, STATUS_INVALID, "%s: [cluster] id is not 32 hex digits", file);
    }
    if (c.nodes.n == 0 && c.socket[0] == '\0') {
        return error_set(e, STATUS_INVALID, "%s: neither [cluster] node nor socket: whom to ask?",
                         file);
    }
    *out_c = c;
    return OK;
}

const struct setting *ctl_config_settings(size_t *out_n)
{
    *out_n = sizeof(rows) / sizeof(rows[0]);
    return rows;
}
