/* Reading and checking the founding file, and the rule of who founds. Every field is bounded here,
 * because later code copies names into fixed places. */
#include "node/founding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/disk.h"
#include "node/config.h"

static bool name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= NAME_MAX_BYTES &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") == n;
}

static enum status check_nodes(const Mq__Founding *m, struct error *e)
{
    char host[128], port[8];
    if (m->n_nodes == 0 || m->n_nodes > NODES_MAX) {
        return error_set(e, STATUS_INVALID, "it names %zu nodes, 1 to %d are possible", m->n_nodes,
                         NODES_MAX);
    }
    for (size_t i = 0; i < m->n_nodes; i++) {
        const Mq__FoundingNode *n = m->nodes[i];
        if (n->node == 0 || n->node > NODES_MAX || !name_ok(n->name) || !name_ok(n->site) ||
            n->role > ROLE_STANDBY ||
            strlen(n->address) >= sizeof(((struct founding_node *)0)->address) ||
            !address_split(n->address, host, sizeof(host), port, sizeof(port))) {
            return error_set(e, STATUS_INVALID,
                             "node %zu has an impossible id, name, site, role or address", i + 1);
        }
        for (size_t j = 0; j < i; j++) {
            if (m->nodes[j]->node == n->node || strcmp(m->nodes[j]->name, n->name) == 0) {
                return error_set(e, STATUS_INVALID, "node %s is named twice", n->name);
            }
        }
    }
    return OK;
}

static const Mq__FoundingNode *node_of(const Mq__Founding *m, uint32_t node)
{
    for (size_t i = 0; i < m->n_nodes; i++) {
        if (m->nodes[i]->node == node) {
            return m->nodes[i];
        }
    }
    return NULL;
}

static enum status check_shard(const Mq__Founding *m, const Mq__FoundingShard *s, struct error *e)
{
    if (s->shard >= SHARDS_MAX || !name_ok(s->name) || s->epoch_number == 0 || s->epoch_id == 0) {
        return error_set(e, STATUS_INVALID, "shard %u has an impossible id, name or epoch",
                         s->shard);
    }
    if (s->n_members == 0 || s->n_members > MEMBERS_MAX || s->n_preference > NODES_MAX) {
        return error_set(e, STATUS_INVALID, "shard %s has %zu members, 1 to %d are possible",
                         s->name, s->n_members, MEMBERS_MAX);
    }
    for (size_t i = 0; i < s->n_preference; i++) {
        if (!name_ok(s->preference[i])) {
            return error_set(e, STATUS_INVALID, "shard %s prefers an impossible site", s->name);
        }
    }
    for (size_t i = 0; i < s->n_members; i++) {
        if (node_of(m, s->members[i]->node) == NULL || s->members[i]->replica == 0) {
            return error_set(e, STATUS_INVALID,
                             "shard %s has a member that is no node, or without replica id",
                             s->name);
        }
        for (size_t j = 0; j < i; j++) {
            if (s->members[j]->node == s->members[i]->node ||
                s->members[j]->replica == s->members[i]->replica) {
                return error_set(e, STATUS_INVALID, "shard %s names a member twice", s->name);
            }
        }
    }
    return OK;
}

enum status founding_check(const Mq__Founding *m, struct error *e)
{
    if (m->cluster_id.len != 16 || m->founding_id.len != 16 || !name_ok(m->cluster_name)) {
        return error_set(e, STATUS_INVALID, "it has no cluster id, founding id or name");
    }
    enum status s = check_nodes(m, e);
    bool directory = false;
    if (s == OK && (m->n_shards == 0 || m->n_shards > SHARDS_MAX)) {
        s = error_set(e, STATUS_INVALID, "it names %zu shards, 1 to %d are possible", m->n_shards,
                      SHARDS_MAX);
    }
    for (size_t i = 0; s == OK && i < m->n_shards; i++) {
        s = check_shard(m, m->shards[i], e);
        directory = directory || m->shards[i]->shard == SHARD_DIRECTORY;
        for (size_t j = 0; s == OK && j < i; j++) {
            if (m->shards[j]->shard == m->shards[i]->shard) {
                s = error_set(e, STATUS_INVALID, "shard %u is named twice", m->shards[i]->shard);
            }
        }
    }
    return s == OK && !directory ? error_set(e, STATUS_INVALID, "it has no directory (shard 0)")
                                 : s;
}

static enum status pack_command(Mq__Founding *m, struct block **out_block)
{
    Mq__Command command = MQ__COMMAND__INIT;
    command.body_case = MQ__COMMAND__BODY_FOUNDING;
    command.founding = m;
    struct block *b = block_new(mq__command__get_packed_size(&command));
    if (b == NULL) {
        return STATUS_NO_MEMORY;
    }
    mq__command__pack(&command, b->data);
    *out_block = b;
    return OK;
}

static void copy_out(struct founding *f, Mq__Founding *m)
{
    memcpy(f->cluster.bytes, m->cluster_id.data, 16);
    memcpy(f->id.bytes, m->founding_id.data, 16);
    snprintf(f->cluster_name, sizeof(f->cluster_name), "%s", m->cluster_name);
    f->nodes_n = (uint32_t)m->n_nodes;
    for (uint32_t i = 0; i < f->nodes_n; i++) {
        struct founding_node *n = &f->nodes[i];
        n->node = m->nodes[i]->node;
        n->role = (enum node_role)m->nodes[i]->role;
        snprintf(n->name, sizeof(n->name), "%s", m->nodes[i]->name);
        snprintf(n->site, sizeof(n->site), "%s", m->nodes[i]->site);
        snprintf(n->address, sizeof(n->address), "%s", m->nodes[i]->address);
    }
    f->message = m;
}

enum status founding_load(const char *file, struct founding *out_f, struct error *e)
{
    uint8_t *data;
    size_t size;
    enum status s = disk_read_file(&disk_posix, file, &data, &size);
    if (s != OK) {
        return error_set(e, s, "founding file %s: %s. What to do: clusterctl init makes it", file,
                         status_text(s));
    }
    Mq__Founding *m = size > 0 ? mq__founding__unpack(NULL, size, data) : NULL;
    free(data);
    if (m == NULL) {
        return error_set(
            e, STATUS_MALFORMED,
            "founding file %s is no founding file. What to do: clusterctl init makes it", file);
    }
    memset(out_f, 0, sizeof(*out_f));
    s = founding_check(m, e);
    if (s == OK && pack_command(m, &out_f->command) != OK) {
        s = error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    if (s != OK) {
        error_prefix(e, "founding file %s", file);
        mq__founding__free_unpacked(m, NULL);
        return s;
    }
    copy_out(out_f, m);
    return OK;
}

void founding_deinit(struct founding *f)
{
    if (f->message != NULL) {
        mq__founding__free_unpacked(f->message, NULL);
    }
    block_unref(f->command);
    memset(f, 0, sizeof(*f));
}

const struct founding_node *founding_find_node(const struct founding *f, node_id node)
{
    for (uint32_t i = 0; i < f->nodes_n; i++) {
        if (f->nodes[i].node == node) {
            return &f->nodes[i];
        }
    }
    return NULL;
}

const struct founding_node *founding_find_name(const struct founding *f, const char *name)
{
    for (uint32_t i = 0; i < f->nodes_n; i++) {
        if (strcmp(f->nodes[i].name, name) == 0) {
            return &f->nodes[i];
        }
    }
    return NULL;
}

/* Place of the site in the preference; witnesses last. */
static uint32_t rank_of(const Mq__FoundingShard *shard, const Mq__FoundingNode *n)
{
    uint32_t rank = 0;
    while (rank < shard->n_preference && strcmp(shard->preference[rank], n->site) != 0) {
        rank++;
    }
    return n->role == ROLE_WITNESS ? rank + 1000 : rank;
}

enum status founding_shard_options(const Mq__Founding *m, const Mq__FoundingShard *shard,
                                   node_id node, struct shard_options *out_o)
{
    struct shard_options o;
    memset(&o, 0, sizeof(o));
    o.shard = shard->shard;
    snprintf(o.name, sizeof(o.name), "%s", shard->name);
    o.epoch = (struct epoch){.number = shard->epoch_number, .id = shard->epoch_id};
    for (size_t i = 0; i < shard->n_members; i++) {
        const Mq__FoundingNode *n = node_of(m, shard->members[i]->node);
        struct shard_member *member = &o.members[o.members_n++];
        member->replica = shard->members[i]->replica;
        member->node = n->node;
        member->role = (enum node_role)n->role;
        snprintf(member->site, sizeof(member->site), "%s", n->site);
        member->rank = rank_of(shard, n);
        if (n->node == node) {
            o.replica = member->replica;
        }
    }
    if (o.replica == 0) {
        return STATUS_NOT_FOUND;
    }
    *out_o = o;
    return OK;
}

enum founding_verdict founding_decide(const struct founding *f, node_id self,
                                      const struct founding_greeting *greetings, char *text,
                                      size_t text_size)
{
    int used = snprintf(text, text_size, "waiting for the first greeting of");
    uint32_t missing = 0;
    for (uint32_t i = 0; i < f->nodes_n; i++) {
        const struct founding_greeting *g = &greetings[i];
        if (f->nodes[i].node == self) {
            continue;
        }
        if (g->heard && g->knows_us) {
            snprintf(text, text_size,
                     "%s has seen this node founded before, and its data directory is blank: it "
                     "does not found. "
                     "What to do: put the old data directory back, or member replace",
                     f->nodes[i].name);
            return FOUNDING_REPLACED;
        }
        if (!g->heard) {
            missing++;
            if (used > 0 && (size_t)used < text_size) {
                used += snprintf(text + used, text_size - (size_t)used, " %s", f->nodes[i].name);
            }
        }
    }
    if (missing > 0) {
        return FOUNDING_WAIT;
    }
    snprintf(text, text_size, "all %u founders have greeted", f->nodes_n);
    return FOUNDING_FOUND;
}
