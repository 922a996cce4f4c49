/* Reading topology.ini: sections name a node or a shard, rows of three tables fill them in. What the whole must be is in
 * topology_check.c. */
#include "ctl/topology.h"

#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "base/suggestion.h"

static const struct setting cluster_rows[] = {
    SETTING_STRING("cluster", "name", struct topology, cluster_name, NULL,
                   "name of the cluster, [a-z0-9-]"),
    SETTING_STRING("cluster", "install_directory", struct topology, install_directory, "",
                   "where a node's files will lie on its machine"),
};

static const struct setting node_rows[] = {
    SETTING_STRING("node", "site", struct topology_node, site, NULL,
                   "the data centre it stands in"),
    SETTING_CHOICE("node", "role", struct topology_node, role, "data", "data|witness|standby",
                   "what it does"),
    SETTING_STRING("node", "address", struct topology_node, address, NULL,
                   "host:port where the others reach it"),
    SETTING_STRING("node", "listen", struct topology_node, listen, "",
                   "address:port it listens on"),
    SETTING_STRING("node", "socket", struct topology_node, socket, "",
                   "unix socket for programs of its machine"),
    SETTING_STRING("node", "data_directory", struct topology_node, data_directory, "",
                   "log and state"),
};

static const struct setting shard_rows[] = {
    SETTING_LIST("shard", "preference", struct topology_shard, preference, "",
                 "sites, the first is home"),
    SETTING_LIST("shard", "members", struct topology_shard, members, "",
                 "nodes that hold a replica"),
    SETTING_BOOLEAN("shard", "shared_dict", struct topology_shard, shared_dict, "no",
                    "holds `shared` dictionary entries"),
};

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

struct reading {
    struct topology *t;
    /* what the lines so far have set, to refuse a second time */
    char section[SETTING_ITEM_MAX];
    uint64_t seen;
};

bool topology_name_valid(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= NAME_MAX_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == n && name[0] != '-';
}

/* "node bj1" -> the node, made when it is new. */
static enum status node_of(struct topology *t, const char *name, struct topology_node **out_node,
                           struct error *e)
{
    for (unsigned i = 0; i < t->nodes_n; i++) {
        if (strcmp(t->nodes[i].name, name) == 0) {
            *out_node = &t->nodes[i];
            return OK;
        }
    }
    if (!topology_name_valid(name)) {
        return error_set(e, STATUS_INVALID,
                         "node name \"%s\": use a-z, 0-9 and -, at most %d characters", name,
                         NAME_MAX_BYTES);
    }
    if (t->nodes_n == NODES_MAX) {
        return error_set(e, STATUS_TOO_BIG, "more than %d nodes", NODES_MAX);
    }
    struct topology_node *n = &t->nodes[t->nodes_n++];
    snprintf(n->name, sizeof(n->name), "%s", name);
    *out_node = n;
    return OK;
}

static enum status shard_of(struct topology *t, const char *name, struct topology_shard **out_shard,
                            struct error *e)
{
    for (unsigned i = 1; i < t->shards_n; i++) {
        if (strcmp(t->shards[i].name, name) == 0) {
            *out_shard = &t->shards[i];
            return OK;
        }
    }
    if (!topology_name_valid(name) || strspn(name, "0123456789") == strlen(name)) {
        return error_set(
            e, STATUS_INVALID,
            "shard name \"%s\": use a-z, 0-9 and -, not digits alone, at most %d characters", name,
            NAME_MAX_BYTES);
    }
    if (strcmp(name, "directory") == 0) {
        return error_set(e, STATUS_INVALID,
                         "shard name \"directory\" is taken: it is shard 0, see [directory]");
    }
    if (t->shards_n == SHARDS_MAX) {
        return error_set(e, STATUS_TOO_BIG, "more than %d shards, the directory included",
                         SHARDS_MAX);
    }
    struct topology_shard *s = &t->shards[t->shards_n++];
    snprintf(s->name, sizeof(s->name), "%s", name);
    *out_shard = s;
    return OK;
}

static enum status section_unknown(const char *section, struct error *e)
{
    static const char *const known[] = {"cluster", "node", "shard", "directory"};
    struct suggestion near;
    char word[SUGGESTION_WORD_MAX + 1];
    snprintf(word, sizeof(word), "%.*s", (int)strcspn(section, " "), section);
    suggestion_init(&near, word);
    for (size_t i = 0; i < ROWS(known); i++) {
        suggestion_offer(&near, known[i]);
    }
    if (near.best == NULL) {
        return error_set(
            e, STATUS_INVALID,
            "unknown section [%s]: there are [cluster], [node NAME], [shard NAME], [directory]",
            section);
    }
    bool named = strcmp(near.best, "node") == 0 || strcmp(near.best, "shard") == 0;
    return error_set(e, STATUS_INVALID, "unknown section [%s], did you mean [%s%s]?", section,
                     near.best, named ? " NAME" : "");
}

struct target {
    const struct setting *table;
    size_t n;
    const char *table_section;
    void *out;
};

static enum status target_find(struct topology *t, const char *section, struct target *out_target,
                               struct error *e)
{
    struct topology_node *node = NULL;
    struct topology_shard *shard = NULL;
    enum status s;
    if (strcmp(section, "cluster") == 0) {
        *out_target = (struct target){cluster_rows, ROWS(cluster_rows), "cluster", t};
        return OK;
    }
    if (strcmp(section, "directory") == 0) {
        *out_target = (struct target){shard_rows, 1, "shard", &t->shards[0]};
        return OK;
    }
    if (strncmp(section, "node ", 5) == 0) {
        s = node_of(t, section + 5, &node, e);
        *out_target = (struct target){node_rows, ROWS(node_rows), "node", s == OK ? node : NULL};
        return s;
    }
    if (strncmp(section, "shard ", 6) == 0) {
        s = shard_of(t, section + 6, &shard, e);
        *out_target =
            (struct target){shard_rows, ROWS(shard_rows), "shard", s == OK ? shard : NULL};
        return s;
    }
    return section_unknown(section, e);
}

static enum status on_value(void *arg, const char *section, const char *key, const char *value,
                            unsigned line, struct error *e)
{
    struct reading *r = arg;
    struct target target = {0};
    unsigned before = r->t->nodes_n + r->t->shards_n;
    enum status s = target_find(r->t, section, &target, e);
    if (s != OK) {
        return s;
    }
    if (key[0] == '\0') { /* the [section] itself */
        bool named = target.table == node_rows || (target.table == shard_rows && target.n > 1);
        return named && before == r->t->nodes_n + r->t->shards_n
                   ? error_set(e, STATUS_INVALID, "[%s] is there twice (line %u is the second)",
                               section, line)
                   : OK;
    }
    const struct setting *row = setting_find(target.table, target.n, target.table_section, key, e);
    if (row == NULL) {
        return STATUS_INVALID;
    }
    if (strcmp(section, r->section) != 0) {
        snprintf(r->section, sizeof(r->section), "%s", section);
        r->seen = 0;
    }
    uint64_t bit = 1ull << (row - target.table);
    if ((r->seen & bit) != 0 && row->type != SETTING_TYPE_LIST) {
        return error_set(e, STATUS_INVALID, "\"%s\" is set twice in [%s]", key, section);
    }
    r->seen |= bit;
    return setting_parse(row, value, target.out, e);
}

enum status topology_parse(const char *file, struct bytes text, struct topology **out_t,
                           struct error *e)
{
    struct topology *t = calloc(1, sizeof(*t));
    struct reading r = {.t = t};
    if (t == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    snprintf(t->shards[0].name, sizeof(t->shards[0].name), "directory");
    t->shards_n = 1;
    ini_max_line = SETTINGS_LINE_BYTES_MAX;
    enum status s = settings_walk(ini_parse_stream, file, text, on_value, &r, e);
    if (s == OK) {
        s = topology_check(t, e);
        if (s != OK) {
            (void)error_prefix(e, "%s", file);
        }
    }
    if (s != OK) {
        topology_free(t);
        return s;
    }
    *out_t = t;
    return OK;
}

enum status topology_load(const char *file, struct topology **out_t, struct error *e)
{
    struct bytes text;
    uint8_t *data;
    enum status s = settings_read_file(file, &text, &data, e);
    if (s != OK) {
        return s;
    }
    s = topology_parse(file, text, out_t, e);
    free(data);
    return s;
}

void topology_free(struct topology *t)
{
    free(t);
}
