/* Short runs of random chaos, one seed each: loss, doubles, old messages, cuts, crashes that
 * forget what was not synced, slow disks, snapshots with little trailing, failing installs,
 * transfers, injected heartbeats, false beliefs that a leader is gone. mini_cluster.h watches for two leaders of a term, different
 * entries at one index, and commit indexes that fall; afterwards all heals, and every node must
 * get everything that was ever committed. MQ_SEED repeats a run, MQ_RUNS makes it longer. */
#include "tests/unit/raft/mini_cluster.h"

#define CHAOS_MS 3000u
#define HEAL_MS  8000u

struct totals {
    uint64_t runs, elections, crashes, installs, snapshots, committed, heartbeats, transfers,
        beliefs;
};

/* `in` 1000 on average. */
static bool happens(struct mini_cluster *c, uint32_t in)
{
    return random_below(&c->random, 1000) < in;
}

static struct mini_node *any_node(struct mini_cluster *c)
{
    return &c->nodes[random_below(&c->random, c->n)];
}

static void chaos_settings(struct mini_cluster *c)
{
    struct random *r = &c->random;

    c->loss = (uint32_t)random_below(r, 150);
    c->twice = (uint32_t)random_below(r, 150);
    c->late = (uint32_t)random_below(r, 100);
    c->late_ms = 1500;
    c->delay_max = 1 + (uint32_t)random_below(r, 20);
    c->sync_max = (uint32_t)random_below(r, 30);
    c->install_max = 1 + (uint32_t)random_below(r, 400);
    c->install_fails = 200;
    c->inflight_max = 1u << random_below(r, 8);
}

static void chaos_network(struct mini_cluster *c)
{
    if (happens(c, 4)) { /* cut or heal one direction, one node, everything */
        uint64_t a = 1 + random_below(&c->random, c->n), b = 1 + random_below(&c->random, c->n);
        c->cut[a][b] = a != b && !c->cut[a][b];
    }
    if (happens(c, 2)) {
        mini_isolate(c, any_node(c)->id, true);
    }
    if (happens(c, 8)) {
        mini_isolate(c, any_node(c)->id, false);
    }
    if (happens(c, 2)) {
        memset(c->cut, 0, sizeof(c->cut));
    }
}

static void chaos_node_fails(struct mini_cluster *c, struct totals *t)
{
    struct mini_node *node = any_node(c);

    if (node->engine != NULL && happens(c, 3)) {
        mini_crash(node);
        node->up_at = c->time + 1 + random_below(&c->random, 600);
        t->crashes++;
    } else if (node->engine != NULL && happens(c, 1)) {
        mini_restart(node);
    }
    if (happens(c, 1) && happens(c, 400)) { /* power cut of all */
        for (uint32_t i = 0; i < c->n; i++) {
            if (c->nodes[i].engine != NULL) {
                mini_crash(&c->nodes[i]);
                t->crashes++;
            }
            c->nodes[i].up_at = c->time + 1 + random_below(&c->random, 100);
        }
    }
    node->tick_off = happens(c, 5) ? !node->tick_off : node->tick_off; /* paused */
}

static void inject_heartbeat(struct mini_cluster *c, struct mini_node *node, struct totals *t)
{
    struct engine_message m;

    for (uint64_t to = 1; to <= c->n; to++) {
        if (engine_heartbeat(node->engine, to, &m) == OK) {
            mini_on_message(node, &m); /* through the same hold as the others */
            t->heartbeats++;
        }
    }
}

static void chaos_leaders(struct mini_cluster *c, struct totals *t)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct mini_node *node = &c->nodes[i];
        if (node->engine == NULL) {
            continue;
        }
        if (happens(c, 10) && mini_snapshot(node, (uint32_t)random_below(&c->random, 9))) {
            t->snapshots++;
        }
        if (engine_role(node->engine) != ENGINE_LEADER) {
            continue;
        }
        if (happens(c, 300) && c->committed_max < MINI_INDEX_MAX - 2000) {
            enum status s = mini_submit(c, node->id);
            mini_status(node, s == STATUS_FULL || s == STATUS_BUSY ? OK : s, "submit");
        }
        if (happens(c, 30)) {
            inject_heartbeat(c, node, t);
        }
        if (happens(c, 2) && engine_transfer(node->engine, c->time, 0) == OK) {
            t->transfers++;
        }
        mini_settle(node);
    }
}

/* Any replica takes its leader for gone, and may campaign at once, ahead of every timer and rank. */
static void chaos_beliefs(struct mini_cluster *c, struct totals *t)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct mini_node *node = &c->nodes[i];
        if (node->engine == NULL || !happens(c, 5)) {
            continue;
        }
        enum status s = engine_forget_leader(node->engine, c->time, engine_leader(node->engine));
        t->beliefs += s == OK;
        mini_status(node, s == STATUS_NOT_FOUND || s == STATUS_BUSY ? OK : s, "forget leader");
        if (happens(c, 700)) {
            s = engine_campaign(node->engine, c->time);
            mini_status(node, s == STATUS_BUSY ? OK : s, "campaign");
        }
        mini_settle(node);
    }
}

static void heal(struct mini_cluster *c)
{
    c->loss = c->twice = c->late = c->install_fails = 0;
    c->delay_max = c->sync_max = 2;
    c->install_max = 50;
    memset(c->cut, 0, sizeof(c->cut));
    mini_up_all(c);
    for (uint32_t i = 0; i < c->n; i++) {
        c->nodes[i].tick_off = false;
    }
}

/* Everybody has everything, and something new can be committed. */
static bool whole(struct mini_cluster *c, uint64_t at_least)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->nodes[i].applied < at_least || c->nodes[i].applied != c->committed_max) {
            return false;
        }
    }
    return mini_leader(c) != 0;
}

static void run_one(uint32_t nodes, uint64_t seed, struct totals *t)
{
    struct mini_cluster *c = mini_new(nodes, nodes, seed);
    uint64_t want = 0, end;

    chaos_settings(c);
    mini_up_all(c);
    for (end = c->time + CHAOS_MS; c->time < end && c->violation[0] == 0;) {
        chaos_network(c);
        chaos_node_fails(c, t);
        chaos_leaders(c, t);
        chaos_beliefs(c, t);
        mini_step(c);
    }
    heal(c);
    for (end = c->time + HEAL_MS; c->time < end && c->violation[0] == 0; mini_step(c)) {
        uint64_t leader = mini_leader(c);
        if (want == 0 && leader != 0 && c->time + HEAL_MS > end + 2000 &&
            mini_submit(c, leader) == OK) {
            want = c->committed_max + 1;
        }
        if (want != 0 && whole(c, want)) {
            break;
        }
    }
    if (c->violation[0] == 0 && (want == 0 || !whole(c, want))) {
        mini_violation(c, "did not become whole: leader %d, committed %d", (int)mini_leader(c),
                       (int)c->committed_max);
    }
    if (c->violation[0] != 0) {
        CHECK_FAIL("%u nodes, seed %" PRIu64 ": %s", nodes, seed, c->violation);
    }
    t->runs++;
    t->elections += c->elections;
    t->installs += c->installs;
    t->committed += c->committed_max;
    mini_free(c);
}

static void run_many(uint32_t nodes, uint64_t runs)
{
    const char *more = getenv("MQ_RUNS");
    struct totals t = {0};
    uint64_t seed = check_seed();

    runs = more != NULL ? strtoull(more, NULL, 0) : runs;
    for (uint64_t i = 0; i < runs; i++) {
        run_one(nodes, seed + i, &t);
    }
    printf("%u nodes: %" PRIu64 " runs, %" PRIu64 " leaderships, %" PRIu64 " crashes, %" PRIu64
           " installs, %" PRIu64 " snapshots, %" PRIu64 " entries committed, %" PRIu64
           " transfers, %" PRIu64 " injected heartbeats, %" PRIu64
           " beliefs, "
           "0 violations\n",
           nodes, t.runs, t.elections, t.crashes, t.installs, t.snapshots, t.committed, t.transfers,
           t.heartbeats, t.beliefs);
    CHECK(t.beliefs > runs && t.elections > runs && t.crashes > runs && t.installs > 0 &&
          t.committed > runs * 10);
}

static void three_nodes_lose_nothing_in_chaos(void)
{
    run_many(3, 400);
}

static void five_nodes_lose_nothing_in_chaos(void)
{
    run_many(5, 300);
}

CHECK_MAIN
{
    RUN(three_nodes_lose_nothing_in_chaos);
    RUN(five_nodes_lose_nothing_in_chaos);
}
