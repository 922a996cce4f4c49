/* From a checked topology to an encoded mq.Founding. Numbers come from `random`, which is the system's outside of tests. */
#include "ctl/topology_founding.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/command.pb-c.h"

/* Everything the message points at, in one piece. */
struct draft {
    Mq__Founding founding;
    Mq__FoundingNode nodes[NODES_MAX];
    Mq__FoundingNode *node_list[NODES_MAX];
    Mq__FoundingShard shards[SHARDS_MAX];
    Mq__FoundingShard *shard_list[SHARDS_MAX];
    Mq__FoundingMember members[SHARDS_MAX][MEMBERS_MAX];
    Mq__FoundingMember *member_list[SHARDS_MAX][MEMBERS_MAX];
    char *preference[SHARDS_MAX][SETTING_LIST_MAX];
    struct uuid cluster, id;
};

static uint64_t draw_id(struct random *random)
{
    uint64_t id;
    do {
        id = random_u64(random);
    } while (id == 0);
    return id;
}

static void fill_nodes(struct draft *d, const struct topology *t)
{
    for (unsigned i = 0; i < t->nodes_n; i++) {
        Mq__FoundingNode *n = &d->nodes[i];
        mq__founding_node__init(n);
        n->node = i + 1;
        n->name = (char *)t->nodes[i].name;
        n->site = (char *)t->nodes[i].site;
        n->role = (uint32_t)t->nodes[i].role;
        n->address = (char *)t->nodes[i].address;
        d->node_list[i] = n;
    }
    d->founding.n_nodes = t->nodes_n;
    d->founding.nodes = d->node_list;
}

static void fill_shard(struct draft *d, const struct topology *t, unsigned at,
                       struct random *random)
{
    const struct topology_shard *from = &t->shards[at];
    Mq__FoundingShard *s = &d->shards[at];
    mq__founding_shard__init(s);
    s->shard = at;
    s->name = (char *)from->name;
    s->epoch_number = 1;
    s->epoch_id = draw_id(random);
    s->shared_dict = from->shared_dict;
    for (unsigned i = 0; i < from->preference.n; i++) {
        d->preference[at][i] = (char *)from->preference.items[i];
    }
    s->n_preference = from->preference.n;
    s->preference = d->preference[at];
    for (unsigned i = 0; i < from->members.n; i++) {
        const struct topology_node *node = topology_find_node(t, from->members.items[i]);
        Mq__FoundingMember *m = &d->members[at][i];
        must(node != NULL && i < MEMBERS_MAX);
        mq__founding_member__init(m);
        m->node = (uint32_t)(node - t->nodes) + 1;
        m->replica = draw_id(random);
        d->member_list[at][i] = m;
    }
    s->n_members = from->members.n;
    s->members = d->member_list[at];
    d->shard_list[at] = s;
}

enum status topology_founding(const struct topology *t, struct random *random, uint64_t now_ms,
                              struct buffer *out, struct uuid *out_cluster)
{
    struct draft *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return STATUS_NO_MEMORY;
    }
    mq__founding__init(&d->founding);
    random_fill(random, d->cluster.bytes, sizeof(d->cluster.bytes));
    random_fill(random, d->id.bytes, sizeof(d->id.bytes));
    d->founding.cluster_id = (ProtobufCBinaryData){sizeof(d->cluster.bytes), d->cluster.bytes};
    d->founding.founding_id = (ProtobufCBinaryData){sizeof(d->id.bytes), d->id.bytes};
    d->founding.cluster_name = (char *)t->cluster_name;
    d->founding.created_ms = now_ms;
    fill_nodes(d, t);
    for (unsigned i = 0; i < t->shards_n; i++) {
        fill_shard(d, t, i, random);
    }
    d->founding.n_shards = t->shards_n;
    d->founding.shards = d->shard_list;
    size_t size = mq__founding__get_packed_size(&d->founding);
    uint8_t *at;
    enum status s = buffer_reserve(out, size, &at);
    if (s == OK) {
        mq__founding__pack(&d->founding, at);
        out->size += size;
        *out_cluster = d->cluster;
    }
    free(d);
    return s;
}
