/* What clients were told, compared with what a replica holds when all is over. (That the replicas are equal is check.c's.)
 * Applied: present. Refused for good: absent. Counters: the sum of the acknowledged, each value answered once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/api.pb-c.h"
#include "tests/sim/client.h"

uint64_t ledger_add(struct ledger *l, uint32_t shard)
{
    if (l->uniques_n == l->uniques_capacity) {
        l->uniques_capacity = l->uniques_capacity == 0 ? 1024 : l->uniques_capacity * 2;
        l->uniques = realloc(l->uniques, l->uniques_capacity * sizeof(*l->uniques));
        must(l->uniques != NULL);
    }
    l->uniques[l->uniques_n] = (struct unique){(uint8_t)shard, UNIQUE_OPEN, false};
    return l->uniques_n++;
}

void ledger_deinit(struct ledger *l)
{
    for (uint32_t s = 0; s < SIM_SHARDS_MAX; s++) {
        for (uint32_t c = 0; c < SIM_COUNTERS; c++) {
            free(l->counters[s][c].seen);
        }
    }
    free(l->uniques);
}

void ledger_counted(struct world *w, uint32_t shard, uint32_t counter, int64_t value)
{
    struct counter *c = &w->ledger->counters[shard][counter];
    c->acked++;
    if (value < 1 || (uint64_t)value > c->issued) {
        world_violation(w,
                        "shard %u counter %u: an increment was answered with %lld, %llu were sent",
                        shard, counter, (long long)value, (unsigned long long)c->issued);
        return;
    }
    uint64_t byte = (uint64_t)value / 8;
    if (byte >= c->seen_n) {
        uint64_t n = c->seen_n == 0 ? 256 : c->seen_n;
        while (n <= byte) {
            n *= 2;
        }
        c->seen = realloc(c->seen, n);
        must(c->seen != NULL);
        memset(c->seen + c->seen_n, 0, n - c->seen_n);
        c->seen_n = n;
    }
    uint8_t bit = (uint8_t)(1u << (value % 8));
    if ((c->seen[byte] & bit) != 0) {
        world_violation(w, "shard %u counter %u: two increments were answered with %lld", shard,
                        counter, (long long)value);
    }
    c->seen[byte] |= bit;
}

/* ---- queries ------------------------------------------------------------------------------------------ */

static Mq__QueryResult *query(struct replica *r, const Mq__Query *q)
{
    uint8_t bytes[1024];
    struct buffer out;
    must(mq__query__get_packed_size(q) <= sizeof(bytes));
    size_t size = mq__query__pack(q, bytes);
    buffer_init(&out, 0);
    Mq__QueryResult *result = NULL;
    if (replica_query(r, (struct bytes){bytes, size}, &out) == OK) {
        result = mq__query_result__unpack(NULL, out.size, out.data);
    }
    buffer_deinit(&out);
    return result;
}

Mq__QueryResult *ledger_query_dict(struct replica *r, const struct sim_shard_info *info,
                                   const char *prefix, const char *after)
{
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryDict d = MQ__QUERY_DICT__INIT;
    d.namespace_ = (char *)(uintptr_t)SIM_NAMESPACE;
    d.user = (char *)(uintptr_t)info->user;
    d.key = (ProtobufCBinaryData){strlen(prefix), (uint8_t *)(uintptr_t)prefix};
    d.after = (ProtobufCBinaryData){strlen(after), (uint8_t *)(uintptr_t)after};
    d.prefix = 1;
    d.limit = 1000;
    q.body_case = MQ__QUERY__BODY_DICT;
    q.dict = &d;
    return query(r, &q);
}

static Mq__QueryResult *query_users(struct replica *r, const char *after)
{
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryUsers u = MQ__QUERY_USERS__INIT;
    u.after = (char *)(uintptr_t)after;
    u.limit = 1000;
    q.body_case = MQ__QUERY__BODY_USERS;
    q.users = &u;
    return query(r, &q);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static void found(struct world *w, uint32_t shard, const char *name, size_t size)
{
    char text[32];
    unsigned long long unique_id = 0;
    snprintf(text, sizeof(text), "%.*s", size < 31 ? (int)size : 31, name);
    if (sscanf(text, "w-%llu", &unique_id) != 1 || unique_id >= w->ledger->uniques_n ||
        w->ledger->uniques[unique_id].shard != shard) {
        world_violation(w, "shard %u holds %s, which nobody wrote there", shard, text);
        return;
    }
    w->ledger->uniques[unique_id].present = true;
}

static void look_directory(struct world *w, struct replica *r)
{
    char after[300] = "";
    for (bool more = true; more && !w->stop;) {
        Mq__QueryResult *result = query_users(r, after);
        if (result == NULL) {
            world_violation(w, "the directory does not answer");
            return;
        }
        for (size_t i = 0; i < result->n_users; i++) {
            found(w, SHARD_DIRECTORY, result->users[i]->name, strlen(result->users[i]->name));
            snprintf(after, sizeof(after), "%s", result->users[i]->name);
        }
        more = result->more && result->n_users > 0;
        mq__query_result__free_unpacked(result, NULL);
    }
}

static void look_dict(struct world *w, uint32_t shard, struct replica *r)
{
    char after[300] = "";
    for (bool more = true; more && !w->stop;) {
        Mq__QueryResult *result = ledger_query_dict(r, &w->shards[shard], "w-", after);
        if (result == NULL) {
            return; /* not even its owner was written: the counters say whether that may be */
        }
        for (size_t i = 0; i < result->n_dict; i++) {
            ProtobufCBinaryData key = result->dict[i]->key;
            found(w, shard, (const char *)key.data, key.len);
            snprintf(after, sizeof(after), "%.*s", (int)key.len, (const char *)key.data);
        }
        more = result->more && result->n_dict > 0;
        mq__query_result__free_unpacked(result, NULL);
    }
}

static void compare_counters(struct world *w, uint32_t shard, struct replica *r)
{
    for (uint32_t i = 0; i < SIM_COUNTERS && !w->stop; i++) {
        struct counter *c = &w->ledger->counters[shard][i];
        char name[24], text[32] = "0";
        counter_name(i, name);
        Mq__QueryResult *result = ledger_query_dict(r, &w->shards[shard], name, "");
        if (result != NULL && result->n_dict == 1) {
            ProtobufCBinaryData v = result->dict[0]->value;
            snprintf(text, sizeof(text), "%.*s", v.len < 31 ? (int)v.len : 31,
                     (const char *)v.data);
        }
        if (result != NULL) {
            mq__query_result__free_unpacked(result, NULL);
        }
        uint64_t value = strtoull(text, NULL, 10);
        if (value < c->acked || value > c->acked + c->unsure) {
            world_violation(w, "shard %u counter %u is %llu, acknowledged are %llu, unknown %llu",
                            shard, i, (unsigned long long)value, (unsigned long long)c->acked,
                            (unsigned long long)c->unsure);
        }
    }
}

void clients_verify(struct world *w)
{
    struct ledger *l = w->ledger;
    for (uint32_t s = 0; s < w->shards_n && !w->stop; s++) {
        struct replica *r = w->nodes[0].machines[s].replica;
        if (s == SHARD_DIRECTORY) {
            look_directory(w, r);
        } else {
            look_dict(w, s, r);
            compare_counters(w, s, r);
        }
    }
    for (uint64_t i = 0; i < l->uniques_n && !w->stop; i++) {
        struct unique *u = &l->uniques[i];
        if (u->state == UNIQUE_APPLIED && !u->present) {
            world_violation(w, "shard %u: acknowledged write %llu is lost", u->shard,
                            (unsigned long long)i);
        } else if (u->state == UNIQUE_REFUSED && u->present) {
            world_violation(w, "shard %u: refused write %llu is present", u->shard,
                            (unsigned long long)i);
        } else if (u->state == UNIQUE_OPEN) {
            world_violation(w, "shard %u: write %llu was never answered", u->shard,
                            (unsigned long long)i);
        }
    }
}
