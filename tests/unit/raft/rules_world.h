/* A small world for tests of the rules: bj1 bj2 sh1 sh2 wit1 and two shards, as one of them sees it, whole; and the verbs that break it.
 * Ages are in milliseconds. */
#ifndef MQ_TESTS_UNIT_RAFT_RULES_WORLD_H
#define MQ_TESTS_UNIT_RAFT_RULES_WORLD_H

#include "raft/rules/verdict.h"
#include "tests/lib/check.h"

enum { BJ1, BJ2, SH1, SH2, WIT1, WORLD_NODES };
enum { SHARD_DIR, SHARD_BJ, SHARD_SH, WORLD_SHARDS };

#define WORLD_WALL_MS UINT64_C(1764000000000) /* 2025-11-24 16:00:00 UTC */

static struct {
    struct observation o;
    struct observed_node nodes[WORLD_NODES];
    struct observed_shard shards[WORLD_SHARDS];
    struct verdict verdict;
} w;

static inline void world_name(char *out, const char *name)
{
    snprintf(out, NAME_MAX_BYTES + 1, "%s", name);
}

static inline struct observed_replica *replica(unsigned shard, unsigned node)
{
    return &w.shards[shard].replicas[node];
}

static inline void lead(unsigned shard, int node, uint64_t term)
{
    struct observed_shard *s = &w.shards[shard];
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct observed_replica *r = &s->replicas[i];
        r->leads = (int)i == node;
        r->term = term;
        r->follows = (int)i == node ? -1 : node;
        r->leader_age_ms = 20;
        r->contact_age_ms = 20;
        r->lag_known = (int)i != node;
    }
    s->led_known = true;
    s->led_ms = 3600000;
    s->cause = MOVE_FIRST;
    s->before = s->lost = -1;
    observation_leader(&w.o, s);
}

static inline void world_shard(unsigned i, const char *name, const char *first, const char *second)
{
    struct observed_shard *s = &w.shards[i];
    s->shard = i;
    world_name(s->name, name);
    s->preference_n = 2;
    world_name(s->preference[0], first);
    world_name(s->preference[1], second);
    s->replicas_n = WORLD_NODES;
    for (unsigned k = 0; k < WORLD_NODES; k++) {
        struct observed_replica *r = &s->replicas[k];
        r->place = k;
        r->voter = r->known = r->ok = true;
        world_name(r->state, "ok");
        r->applied_index = r->last_index = 100;
    }
}

static inline void world(unsigned self)
{
    static const char *const names[] = {"bj1", "bj2", "sh1", "sh2", "wit1"};
    static const char *const sites[] = {"beijing", "beijing", "shanghai", "shanghai", "witness"};
    memset(&w, 0, sizeof(w));
    w.o = (struct observation){
        .self = self,
        .founded = true,
        .quorum = true,
        .wall_ms = WORLD_WALL_MS,
        .note = "",
        .nodes = w.nodes,
        .nodes_n = WORLD_NODES,
        .shards = w.shards,
        .shards_n = WORLD_SHARDS,
    };
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct observed_node *n = &w.nodes[i];
        n->node = i + 1;
        n->role = i == WIT1 ? ROLE_WITNESS : ROLE_DATA;
        world_name(n->name, names[i]);
        world_name(n->site, sites[i]);
        world_name(n->state, "ok");
        n->speaks = true;
        n->said_age_ms = i == self ? 0 : 100;
        n->up_ms = 3600000;
        n->stall_age_ms = n->certificate_left_ms = AGE_UNKNOWN;
        for (unsigned k = 0; k < WORLD_NODES; k++) {
            n->links[k] = (struct observed_link){.heard_age_ms = n->said_age_ms + 50,
                                                 .heard_for_ms = 3600000,
                                                 .answer = ANSWER_GOOD};
        }
    }
    world_shard(SHARD_DIR, "directory", "beijing", "shanghai");
    world_shard(SHARD_BJ, "mail-beijing", "beijing", "shanghai");
    world_shard(SHARD_SH, "mail-shanghai", "shanghai", "beijing");
    lead(SHARD_DIR, BJ1, 4);
    lead(SHARD_BJ, BJ1, 4);
    lead(SHARD_SH, SH1, 4);
}

/* ---- what breaks it ---- */

/* What comes from `from` is not heard by `by` any more, since so long. */
static inline void deaf(unsigned by, unsigned from, uint64_t age_ms, enum link_answer answer)
{
    w.nodes[by].links[from].heard_age_ms = w.nodes[by].said_age_ms + age_ms;
    w.nodes[by].links[from].answer = answer;
    w.nodes[by].links[from].heard_for_ms = 0;
}

/* The observer has no news of it: nor have its copies. */
static inline void silent(unsigned node, uint64_t age_ms)
{
    w.nodes[node].speaks = false;
    w.nodes[node].said_age_ms = age_ms;
    for (unsigned k = 0; k < WORLD_NODES; k++) { /* its words of then, now older */
        w.nodes[node].links[k].heard_age_ms += age_ms;
    }
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        struct observed_replica *r = replica(s, node);
        struct observed_replica empty = {.place = node, .voter = true, .follows = -1};
        empty.leader_age_ms = empty.contact_age_ms = AGE_UNKNOWN;
        *r = empty;
        w.shards[s].led_known = w.shards[s].led_known && w.shards[s].leader != (int)node;
        observation_leader(&w.o, &w.shards[s]);
    }
}

static inline void gone(unsigned node, uint64_t age_ms, enum link_answer answer)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        if (i != node && w.nodes[i].speaks) {
            deaf(i, node, age_ms, answer);
        }
    }
    silent(node, age_ms);
}

/* The same things in another order. */
static inline void world_swap_nodes(unsigned a, unsigned b)
{
    struct observed_node node = w.nodes[a];
    w.nodes[a] = w.nodes[b];
    w.nodes[b] = node;
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct observed_link link = w.nodes[i].links[a];
        w.nodes[i].links[a] = w.nodes[i].links[b];
        w.nodes[i].links[b] = link;
    }
    w.o.self = w.o.self == a ? b : w.o.self == b ? a : w.o.self;
    for (unsigned s = 0; s < WORLD_SHARDS; s++) {
        int *places[] = {&w.shards[s].leader, &w.shards[s].before, &w.shards[s].lost};
        for (unsigned i = 0; i < WORLD_NODES; i++) {
            struct observed_replica *r = &w.shards[s].replicas[i];
            r->place = r->place == a ? b : r->place == b ? a : r->place;
            r->follows = r->follows == (int)a ? (int)b : r->follows == (int)b ? (int)a : r->follows;
        }
        for (unsigned i = 0; i < 3; i++) {
            *places[i] = *places[i] == (int)a ? (int)b : *places[i] == (int)b ? (int)a : *places[i];
        }
    }
}

/* ---- what is said ---- */

static inline const struct verdict *judge(void)
{
    verdict_judge(&w.o, &w.verdict);
    return &w.verdict;
}

static inline const struct finding *found(enum finding_kind kind)
{
    for (unsigned i = 0; i < w.verdict.findings.n; i++) {
        if (w.verdict.findings.items[i].kind == kind) {
            return &w.verdict.findings.items[i];
        }
    }
    return NULL;
}

#endif
