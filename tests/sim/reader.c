/* Linearizable reads on any node: a counter is never below what was acknowledged, or read, before the question was asked, and never
 * above what was sent. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/api.pb-c.h"
#include "tests/sim/client.h"

#define READ_EVERY_US 15000

struct reading {
    struct shard_read r;
    struct job job;
    struct sim_node *node;
    uint32_t life;
    uint32_t shard, counter;
    uint64_t acked, seen; /* before the question */
    bool answered;
    uint64_t value;
};

static void work_query(struct job *j)
{
    struct reading *g = container_of(j, struct reading, job);
    struct sim_machine *m = &g->node->machines[g->shard];
    char name[24], text[32] = "0";
    counter_name(g->counter, name);
    Mq__QueryResult *result = ledger_query_dict(m->replica, m->info, name, "");
    if (result == NULL) {
        return;
    }
    if (result->n_dict == 1) {
        ProtobufCBinaryData v = result->dict[0]->value;
        snprintf(text, sizeof(text), "%.*s", v.len < 31 ? (int)v.len : 31, (const char *)v.data);
    }
    g->value = strtoull(text, NULL, 10);
    g->answered = true;
    mq__query_result__free_unpacked(result, NULL);
}

static void on_queried(struct job *j)
{
    struct reading *g = container_of(j, struct reading, job);
    struct world *w = g->node->world;
    struct counter *c = &w->ledger->counters[g->shard][g->counter];
    if (g->answered && !g->node->dead && g->life == g->node->life) {
        w->stats.reads++;
        w->stats.reads_full += g->node->full;
        if (g->value < g->acked || g->value < g->seen || g->value > c->issued) {
            world_violation(w,
                            "stale read: shard %u counter %u on node %u is %llu; acknowledged "
                            "before %llu, read before %llu, sent %llu",
                            g->shard, g->counter, g->node->id, (unsigned long long)g->value,
                            (unsigned long long)g->acked, (unsigned long long)g->seen,
                            (unsigned long long)c->issued);
        }
        c->read_max = g->value > c->read_max ? g->value : c->read_max;
    }
    free(g);
}

static void on_read(struct shard_read *r)
{
    struct reading *g = container_of(r, struct reading, r);
    if (r->status != OK || g->node->dead) {
        free(g);
        return;
    }
    g->job.work = work_query;
    g->job.done = on_queried;
    executor_submit(&g->node->executor, LANE_READ, &g->job);
}

static void begin(struct world *w)
{
    struct sim_node *n = &w->nodes[random_below(&w->random, w->nodes_n)];
    uint32_t shard = 1 + (uint32_t)random_below(&w->random, w->shards_n - 1);
    if (!n->up || n->machines[shard].replica == NULL) {
        return;
    }
    struct reading *g = calloc(1, sizeof(*g));
    must(g != NULL);
    g->node = n;
    g->life = n->life;
    g->shard = shard;
    g->counter = (uint32_t)random_below(&w->random, SIM_COUNTERS);
    struct counter *c = &w->ledger->counters[shard][g->counter];
    g->acked = c->acked;
    g->seen = c->read_max;
    g->r.deadline_ms = clock_monotonic_ms(&n->clock) + world_between(w, 100, 3000);
    g->r.done = on_read;
    struct shard *s = host_find_shard(n->host, shard);
    if (planted(w, "read-without-round")) {
        shard_read_local(s, &g->r, 0);
    } else {
        shard_read(s, &g->r);
    }
    node_turn(n);
}

static void on_reader(struct event *e)
{
    struct world *w = e->world;
    if (w->ledger->closed) {
        return;
    }
    begin(w);
    world_event(w, world_between(w, 100, READ_EVERY_US), on_reader);
}

void readers_init(struct world *w)
{
    world_event(w, 500000, on_reader);
}
