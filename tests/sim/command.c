/* The commands that clients send, encoded as the product's own clients do. */
#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "proto/command.pb-c.h"
#include "tests/sim/client.h"

#define VALUE_BYTES_MAX 8000

void unique_name(uint64_t unique, char name[24])
{
    snprintf(name, 24, "w-%012llu", (unsigned long long)unique);
}

void counter_name(uint32_t counter, char name[24])
{
    snprintf(name, 24, "c-%u", counter);
}

static struct block *pack(const Mq__Command *m)
{
    struct block *b = block_new(mq__command__get_packed_size(m));
    must(b != NULL);
    mq__command__pack(m, b->data);
    return b;
}

static struct block *dict(const char *user, const char *key, Mq__DictOp__Kind kind, uint8_t *value,
                          size_t size)
{
    Mq__Command m = MQ__COMMAND__INIT;
    Mq__DictTransaction t = MQ__DICT_TRANSACTION__INIT;
    Mq__DictOp op = MQ__DICT_OP__INIT;
    Mq__DictOp *ops = &op;
    op.kind = kind;
    op.namespace_ = (char *)(uintptr_t)SIM_NAMESPACE;
    op.user = (char *)(uintptr_t)user;
    op.key = (ProtobufCBinaryData){strlen(key), (uint8_t *)(uintptr_t)key};
    op.value = (ProtobufCBinaryData){size, value};
    op.delta = kind == MQ__DICT_OP__KIND__INCREMENT ? 1 : 0;
    t.ops = &ops;
    t.n_ops = 1;
    m.body_case = MQ__COMMAND__BODY_DICT;
    m.dict = &t;
    return pack(&m);
}

static struct block *founding(struct world *w)
{
    Mq__Command m = MQ__COMMAND__INIT;
    Mq__Founding f = MQ__FOUNDING__INIT;
    Mq__FoundingNode nodes[SIM_NODES_MAX], *node_list[SIM_NODES_MAX];
    Mq__FoundingShard shards[SIM_SHARDS_MAX], *shard_list[SIM_SHARDS_MAX];
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        mq__founding_node__init(&nodes[i]);
        nodes[i].node = i + 1;
        node_list[i] = &nodes[i];
    }
    for (uint32_t i = 0; i < w->shards_n; i++) {
        mq__founding_shard__init(&shards[i]);
        shards[i].shard = i;
        shards[i].name = w->shards[i].name;
        shard_list[i] = &shards[i];
    }
    f.cluster_id = (ProtobufCBinaryData){16, w->cluster.bytes};
    f.founding_id = f.cluster_id;
    f.n_nodes = w->nodes_n;
    f.nodes = node_list;
    f.n_shards = w->shards_n;
    f.shards = shard_list;
    m.body_case = MQ__COMMAND__BODY_FOUNDING;
    m.founding = &f;
    return pack(&m);
}

static struct block *owner(const char *user)
{
    Mq__Command m = MQ__COMMAND__INIT;
    Mq__Owner o = MQ__OWNER__INIT;
    o.user = (char *)(uintptr_t)user;
    o.generation = 1;
    m.body_case = MQ__COMMAND__BODY_OWNER;
    m.owner = &o;
    return pack(&m);
}

static struct block *assign(uint64_t unique)
{
    char name[24];
    Mq__Command m = MQ__COMMAND__INIT;
    Mq__UserAssign a = MQ__USER_ASSIGN__INIT;
    unique_name(unique, name);
    a.user = name;
    a.shard = 1;
    m.body_case = MQ__COMMAND__BODY_USER_ASSIGN;
    m.user_assign = &a;
    return pack(&m);
}

static struct block *session_open(void)
{
    Mq__Command m = MQ__COMMAND__INIT;
    Mq__SessionOpen s = MQ__SESSION_OPEN__INIT;
    m.body_case = MQ__COMMAND__BODY_SESSION_OPEN;
    m.session_open = &s;
    return pack(&m);
}

static struct block *unique(struct client *c, const struct op *op)
{
    static uint8_t value[VALUE_BYTES_MAX];
    char name[24];
    struct random *random = &c->world->random;
    size_t size = random_below(random, 4) == 0 ? random_below(random, VALUE_BYTES_MAX)
                                               : random_below(random, 200);
    unique_name(op->unique, name);
    memset(value, (int)(op->unique & 0x7f), size);
    return dict(c->world->shards[c->shard].user, name, MQ__DICT_OP__KIND__SET, value, size);
}

struct block *command_new(struct client *c, const struct op *op)
{
    struct world *w = c->world;
    char name[24];
    uint8_t zero[1] = {'0'};
    switch (op->kind) {
        case KIND_SESSION:
            return session_open();
        case KIND_FOUND:
            return c->shard == SHARD_DIRECTORY ? founding(w) : owner(w->shards[c->shard].user);
        case KIND_COUNTER:
            counter_name(op->counter, name);
            return dict(w->shards[c->shard].user, name, MQ__DICT_OP__KIND__SET, zero, 1);
        case KIND_INCREMENT:
            counter_name(op->counter, name);
            return dict(w->shards[c->shard].user, name, MQ__DICT_OP__KIND__INCREMENT, NULL, 0);
        default:
            return c->shard == SHARD_DIRECTORY ? assign(op->unique) : unique(c, op);
    }
}
