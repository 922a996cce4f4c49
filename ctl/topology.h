/* topology.ini: what an operator wants a new cluster to be.
 *
 *     [cluster]
 *     name = mail-prod
 *     install_directory = /etc/mailquorum     ; where a node's files will lie; empty: where they are made
 *     [node bj1]
 *     site = beijing
 *     role = data                             ; data | witness | standby
 *     address = bj1.example.org:7410          ; where the others reach it
 *     listen = 0.0.0.0:7410                   ; default: the address; with install_directory: every address, its port
 *     socket = /run/mailquorum/mailquorumd.sock      ; default: none; with install_directory: this one
 *     data_directory = /var/lib/mailquorum           ; default: beside its files; with install_directory: this one
 *     [shard mail-1]
 *     preference = beijing shanghai           ; sites, the first is home; default: the sites that hold data
 *     members = bj1 bj2 sh1 sh2 wit1          ; default: every data node and witness
 *     shared_dict = yes                       ; the one shard that holds `shared` entries; default: the first
 *     [directory]
 *     preference = beijing shanghai
 *
 * Read by the table, then checked as a whole (pure). Refused: two voters, an even number of voters without a witness, an address or
 * name used twice, a member that is no node, a site that is none. Warned about: what is allowed but survives less than one thinks. */
#ifndef MQ_CTL_TOPOLOGY_H
#define MQ_CTL_TOPOLOGY_H

#include "base/buffer.h"
#include "base/identity.h"
#include "base/settings.h"

#define TOPOLOGY_WARNINGS_MAX   16
#define TOPOLOGY_DATA_DIRECTORY "/var/lib/mailquorum" /* as the service units have them */
#define TOPOLOGY_SOCKET         "/run/mailquorum/mailquorumd.sock"

struct topology_node {
    char name[NAME_MAX_BYTES + 1];
    char site[NAME_MAX_BYTES + 1];
    int role; /* enum node_role */
    char address[SETTING_ITEM_MAX];
    char listen[128];
    char socket[108];
    char data_directory[512];
};

struct topology_shard {
    char name[NAME_MAX_BYTES + 1];
    struct setting_list preference;
    struct setting_list members;
    bool shared_dict;
};

struct topology {
    char cluster_name[NAME_MAX_BYTES + 1];
    char install_directory[512];
    struct topology_node nodes[NODES_MAX];
    unsigned nodes_n;
    struct topology_shard shards[SHARDS_MAX]; /* [0] is the directory */
    unsigned shards_n;
    char warnings[TOPOLOGY_WARNINGS_MAX][256];
    unsigned warnings_n;
};

/* Reads and checks; the topology is large, so it is allocated. */
enum status topology_load(const char *file, struct topology **out_t, struct error *e);
enum status topology_parse(const char *file, struct bytes text, struct topology **out_t,
                           struct error *e);
void topology_free(struct topology *t);
/* INVALID with the reason; fills in defaults and warnings. */
enum status topology_check(struct topology *t, struct error *e);
const struct topology_node *topology_find_node(const struct topology *t, const char *name);
/* Names in the order of first appearance; returns how many. */
unsigned topology_sites(const struct topology *t, const char *out_sites[NODES_MAX]);
bool topology_name_valid(const char *name);

#endif
