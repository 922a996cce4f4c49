/* What goes wrong: every so often one of the faults that this seed has, on a node or link by chance, for a while. */
#include <string.h>

#include "base/must.h"
#include "tests/sim/world.h"

static struct sim_node *any_node(struct world *w)
{
    return &w->nodes[random_below(&w->random, w->nodes_n)];
}

static struct sim_node *any_up(struct world *w)
{
    struct sim_node *n = any_node(w);
    return n->up ? n : NULL;
}

/* ---- links -------------------------------------------------------------------------------------------- */

static void on_uncut(struct event *e)
{
    e->world->cut[e->a][e->b] = false;
}

static void cut(struct world *w, uint32_t a, uint32_t b, uint64_t duration_us)
{
    if (a == b || w->cut[a][b]) {
        return;
    }
    w->cut[a][b] = true;
    struct event *e = world_event(w, duration_us, on_uncut);
    e->a = a;
    e->b = b;
}

static void one_way(struct world *w)
{
    uint32_t a = (uint32_t)random_below(&w->random, w->nodes_n),
             b = (uint32_t)random_below(&w->random, w->nodes_n);
    world_note(w, "sim: one way cut n%u > n%u", a + 1, b + 1);
    cut(w, a, b, world_between(w, 100000, 5000000));
}

static void partition(struct world *w)
{
    uint32_t side = 1 + (uint32_t)random_below(&w->random, (1u << w->nodes_n) - 2);
    uint64_t duration = world_between(w, 300000, 7000000);
    world_note(w, "sim: partition %x", side);
    for (uint32_t a = 0; a < w->nodes_n; a++) {
        for (uint32_t b = 0; b < w->nodes_n; b++) {
            if (((side >> a) & 1) != ((side >> b) & 1)) {
                cut(w, a, b, duration);
            }
        }
    }
}

/* ---- nodes -------------------------------------------------------------------------------------------- */

static void crash(struct world *w, struct sim_node *n, enum crash_kind kind, uint64_t down_us)
{
    if (n != NULL && n->up) {
        w->current = n;
        node_crash(n, kind);
        node_restart_in(n, down_us);
    }
}

static uint64_t short_time(struct world *w)
{
    return world_between(w, 5000, 1500000);
}

static void power_all(struct world *w)
{
    world_note(w, "sim: power cut of all");
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        crash(w, &w->nodes[i], CRASH_POWER, short_time(w));
    }
}

/* The machine stops in the middle of a later call, or of its recovery after this crash. */
static void mid_call(struct world *w, bool recovery)
{
    struct sim_node *n = any_up(w);
    if (n == NULL) {
        return;
    }
    if (recovery) {
        crash(w, n, random_below(&w->random, 2) == 0 ? CRASH_POWER : CRASH_KILL, short_time(w));
    }
    crash_fs_arm_cut(n->fs, world_between(w, 1, recovery ? 150 : 60));
    n->kill_power = random_below(&w->random, 2);
}

static void pause_node(struct world *w)
{
    struct sim_node *n = any_up(w);
    if (n != NULL) {
        n->paused_until_us = w->now_us + world_between(w, 50000, 4000000);
        world_note(w, "sim: n%u paused", n->id);
    }
}

static void on_fast(struct event *e)
{
    struct sim_node *n = e->p;
    n->slow = 1;
}

static void slow_disk(struct world *w)
{
    struct sim_node *n = any_node(w);
    n->slow = (unsigned)world_between(w, 5, 400);
    world_note(w, "sim: n%u disk slow x%u", n->id, n->slow);
    world_event(w, world_between(w, 200000, 5000000), on_fast)->p = n;
}

static void on_space(struct event *e)
{
    struct sim_node *n = e->p;
    crash_fs_set_full(n->fs, false);
    n->full = false;
}

static void disk_full(struct world *w)
{
    struct sim_node *n = any_node(w);
    world_note(w, "sim: n%u disk full", n->id);
    crash_fs_set_full(n->fs, true);
    n->full = true;
    world_event(w, world_between(w, 200000, 4000000), on_space)->p = n;
}

static void sync_fails(struct world *w)
{
    struct sim_node *n = any_up(w);
    if (n != NULL) {
        world_note(w, "sim: n%u a sync will fail", n->id);
        crash_fs_fail_sync(n->fs, world_between(w, 1, 30));
        n->injected = true;
        w->stats.sync_failures++;
    }
}

static void transfer(struct world *w)
{
    struct sim_node *n = any_up(w);
    uint32_t shard = (uint32_t)random_below(&w->random, w->shards_n);
    for (uint32_t i = 0; n != NULL && i < w->nodes_n; i++) {
        struct sim_node *leader = &w->nodes[i];
        struct shard *s = leader->up ? host_find_shard(leader->host, shard) : NULL;
        if (s != NULL && shard_is_leader(s) && shard_transfer(s, n->id) == OK) {
            w->stats.transfers++;
            node_turn(leader);
        }
    }
}

static void clock_leaps(struct world *w)
{
    struct sim_node *n = any_node(w);
    n->clock_skew_ms = (int64_t)world_between(w, 0, 1200000) - 600000;
}

/* ---- the schedule ------------------------------------------------------------------------------------- */

static void happen(struct world *w, enum sim_fault f)
{
    switch (f) {
        case FAULT_ONE_WAY:
            one_way(w);
            break;
        case FAULT_PARTITION:
            partition(w);
            break;
        case FAULT_KILL:
            crash(w, any_up(w), CRASH_KILL, short_time(w));
            break;
        case FAULT_POWER:
            crash(w, any_up(w), CRASH_POWER, short_time(w));
            break;
        case FAULT_POWER_ALL:
            power_all(w);
            break;
        case FAULT_MID_CALL:
            mid_call(w, false);
            break;
        case FAULT_RECOVERY_CRASH:
            mid_call(w, true);
            break;
        case FAULT_PAUSE:
            pause_node(w);
            break;
        case FAULT_SLOW_DISK:
            slow_disk(w);
            break;
        case FAULT_FULL:
            disk_full(w);
            break;
        case FAULT_SYNC_FAILS:
            sync_fails(w);
            break;
        case FAULT_TRANSFER:
            transfer(w);
            break;
        case FAULT_COPY_BREAKS:
            network_break_copies(w);
            break;
        case FAULT_CLEAN_STOP: {
            struct sim_node *n = any_up(w);
            if (n != NULL) {
                node_stop(n);
            }
            break;
        }
        case FAULT_CLOCK:
            clock_leaps(w);
            break;
        case FAULT_LONG_DOWN:
            crash(w, any_up(w), random_below(&w->random, 2) == 0 ? CRASH_POWER : CRASH_KILL,
                  world_between(w, 3000000, 12000000));
            break;
        default: /* loss, duplicates, delay: at each frame */
            break;
    }
}

static void on_fault(struct event *e)
{
    struct world *w = e->world;
    if (w->healing) {
        return;
    }
    enum sim_fault f = (enum sim_fault)random_below(&w->random, FAULT_COUNT);
    if (w->faults[f]) {
        happen(w, f);
    }
    world_event(w, world_between(w, 10000, 500000), on_fault);
}

void faults_init(struct world *w)
{
    for (int f = 0; f < FAULT_COUNT; f++) {
        w->faults[f] = random_below(&w->random, 2) == 0;
    }
    world_event(w, world_between(w, 300000, 2500000), on_fault);
}

void faults_heal(struct world *w)
{
    network_heal(w);
    for (uint32_t i = 0; i < w->nodes_n; i++) {
        struct sim_node *n = &w->nodes[i];
        n->slow = 1;
        n->paused_until_us = 0;
        crash_fs_set_full(n->fs, false);
        n->full = false;
        crash_fs_arm_cut(n->fs, 0);
        crash_fs_fail_sync(n->fs, 0);
    }
}
