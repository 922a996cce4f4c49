/* A simulated node: the product's host and replicas on a file system that forgets.
 *
 * Start: the log is recovered, then every shard is added. Crash: the disk refuses everything, what was under way is run to its end
 * without effect so that its memory comes back, everything is freed, and the file system forgets what it may. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "tests/sim/world.h"

#define SEGMENT_BYTES (128u * 1024u)
#define MAP_BYTES     (1ull << 30)

uint32_t node_index(const struct sim_node *n)
{
    return n->id - 1;
}

/* ---- clock -------------------------------------------------------------------------------------------- */

static uint64_t monotonic(struct clock *c)
{
    struct sim_node *n = container_of(c, struct sim_node, clock);
    return n->clock_base_ms + world_now_ms(n->world);
}

static uint64_t wall(struct clock *c)
{
    struct sim_node *n = container_of(c, struct sim_node, clock);
    return 1800000000000ull + world_now_ms(n->world) + (uint64_t)n->clock_skew_ms;
}

/* ---- what the host asks ------------------------------------------------------------------------------- */

static void on_failed(void *arg, enum status s, const char *message_id, const char *text)
{
    struct sim_node *n = arg;
    if (n->dead) {
        return;
    }
    n->failed = true;
    snprintf(n->failure, sizeof(n->failure), "%s %s: %s", message_id, status_name(s), text);
}

static void on_shard_changed(void *arg, struct shard *s)
{
    struct sim_node *n = arg;
    if (!n->dead) {
        check_shard(n, s);
        node_turn(n);
    }
}

static void on_applied(void *arg, struct shard *s, uint64_t index)
{
    (void)arg;
    (void)s;
    (void)index;
}

/* ---- turns and ticks ---------------------------------------------------------------------------------- */

static void plan_tick(struct sim_node *n);

static void on_turn(struct event *e)
{
    struct sim_node *n = e->node;
    n->turn_planned = false;
    host_turn(n->host);
    check_node(n);
    plan_tick(n);
}

void node_turn(struct sim_node *n)
{
    if (n->up && !n->dead && !n->turn_planned) {
        n->turn_planned = true;
        node_event(n, world_between(n->world, 5, 60), on_turn);
    }
}

static void on_tick(struct event *e)
{
    struct sim_node *n = e->node;
    if (n->tick_at_us > n->world->now_us) {
        return; /* planned for earlier meanwhile, and done */
    }
    n->tick_at_us = UINT64_MAX;
    host_tick(n->host);
    node_turn(n);
    plan_tick(n);
}

static void plan_tick(struct sim_node *n)
{
    uint64_t deadline = host_deadline_ms(n->host), now = monotonic(&n->clock);
    uint64_t wait_us = deadline > now ? (deadline - now) * 1000 : 1000;
    uint64_t at = n->world->now_us + wait_us;
    if (at < n->tick_at_us) {
        n->tick_at_us = at;
        node_event(n, wait_us, on_tick);
    }
}

/* ---- start -------------------------------------------------------------------------------------------- */

static void on_restart(struct event *e)
{
    struct sim_node *n = e->node;
    if (!n->up) {
        node_start(n);
    }
}

void node_restart_in(struct sim_node *n, uint64_t delay_us)
{
    node_event(n, delay_us, on_restart);
}

static enum status open_host(struct sim_node *n, struct error *e)
{
    struct host_options o = {
        .cluster = n->world->cluster,
        .node = n->id,
        .log_directory = n->log_directory,
        .disk = crash_fs_disk(n->fs),
        .executor = &n->executor,
        .random = &n->random,
        .clock = &n->clock,
        .segment_bytes = SEGMENT_BYTES,
        .cache_bytes = 64 * 1024,
        .retain_bytes = 128 * 1024,
        .checkpoint_bytes = 48 * 1024,
        .checkpoint_ms = 700,
        .preference = true,
        .early_campaign = n->world->beliefs,
        .failed = on_failed,
        .shard_changed = on_shard_changed,
        .applied = on_applied,
        .arg = n,
    };
    network_fill_options(&o);
    return host_open(&o, &n->host, e);
}

static enum status add_shard(struct sim_node *n, uint32_t i, struct error *e)
{
    const struct sim_shard_info *info = &n->world->shards[i];
    struct shard_options o = {.shard = info->id,
                              .epoch = info->epoch,
                              .replica = info->members[node_index(n)].replica,
                              .members_n = info->members_n,
                              .found = true,
                              .tick_command = n->world->tick_command};
    snprintf(o.name, sizeof(o.name), "%s", info->name);
    memcpy(o.members, info->members, sizeof(info->members));
    if (n->role == ROLE_DATA || info->id == SHARD_DIRECTORY) {
        enum status s = machine_init(&n->machines[i], n, info);
        if (s != OK) {
            return error_set(e, s, "replica");
        }
        o.machine = n->machines[i].outer;
    }
    return host_add_shard(n->host, &o, e);
}

static void start_failed(struct sim_node *n, const struct error *e)
{
    struct world *w = n->world;
    bool explained = n->injected || crash_fs_is_cut(n->fs) || e->status == STATUS_NO_SPACE;
    world_note(w, "sim: start failed: %s: %s", status_name(e->status), e->text);
    if (!explained) {
        world_violation(w, "node %u does not start: %s: %s", n->id, status_name(e->status),
                        e->text);
    }
    node_crash(n, n->kill_power != 0 ? CRASH_POWER : CRASH_KILL);
    node_restart_in(n, world_between(w, 100000, 1000000));
}

void node_start(struct sim_node *n)
{
    struct world *w = n->world;
    struct error e = {0};
    n->up = true;
    n->dead = false;
    n->stopping = false;
    n->failed = false;
    n->turn_planned = false;
    n->tick_at_us = UINT64_MAX;
    n->host = NULL;
    memset(n->machines, 0, sizeof(n->machines));
    n->clock_base_ms = world_between(w, 1000, 1000000000);
    lanes_init(n);
    w->current = n;
    enum status s = open_host(n, &e);
    for (uint32_t i = 0; s == OK && i < w->shards_n; i++) {
        s = add_shard(n, i, &e);
    }
    world_note(w, "sim: started, life %u", n->life);
    if (s != OK) {
        e.status = s;
        start_failed(n, &e);
        return;
    }
    node_turn(n);
    plan_tick(n);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static void count_early(void *arg, struct shard *s)
{
    struct sim_node *n = arg;
    struct shard_view v;
    shard_get_view(s, monotonic(&n->clock), &v);
    n->world->stats.early_rounds += v.early_total;
}

void node_add_up(struct sim_node *n)
{
    if (n->host != NULL) {
        host_each_shard(n->host, count_early, n);
    }
}

static void free_memory(struct sim_node *n)
{
    crash_fs_arm_cut(n->fs, 0);
    crash_fs_stop(n->fs);
    lanes_drain(n);
    host_close(n->host);
    n->host = NULL;
    lanes_drain(n);
    for (uint32_t i = 0; i < n->world->shards_n; i++) {
        machine_deinit(&n->machines[i]);
    }
}

void node_crash(struct sim_node *n, enum crash_kind kind)
{
    struct world *w = n->world;
    must(n->up);
    world_note(w, "sim: %s, life %u", kind == CRASH_POWER ? "power cut" : "killed", n->life);
    world_trace(w, 0xdead, n->id, kind);
    n->up = false;
    n->dead = true;
    w->stats.crashes++;
    w->stats.power_cuts += kind == CRASH_POWER;
    network_node_down(n);
    beliefs_crashed(n);
    node_add_up(n);
    clients_node_crashed(n);
    free_memory(n);
    crash_fs_crash(n->fs, kind);
    n->life++;
    n->paused_until_us = 0;
    n->injected = false;
    n->kill_power = 0;
}

static void on_stopped(void *arg)
{
    struct sim_node *n = arg;
    n->stopping = false;
    n->failed = true; /* ends in node_after_event, as a clean end does */
    n->injected = true;
    n->world->stats.clean_stops++;
    snprintf(n->failure, sizeof(n->failure), "stopped cleanly");
}

void node_stop(struct sim_node *n)
{
    if (n->up && !n->stopping) {
        world_note(n->world, "sim: stopping node %u", n->id);
        n->stopping = true;
        host_stop(n->host, monotonic(&n->clock) + 3000, on_stopped, n);
        node_turn(n);
    }
}

void node_after_event(struct sim_node *n)
{
    struct world *w = n->world;
    if (!n->up || (!n->failed && !crash_fs_is_cut(n->fs))) {
        return;
    }
    if (n->failed && !n->injected && !crash_fs_is_cut(n->fs)) { /* a full disk ends nothing */
        world_violation(w, "node %u ends by itself: %s", n->id, n->failure);
    }
    bool power = crash_fs_is_cut(n->fs) && n->kill_power != 0;
    world_note(w, "sim: node %u ends: %s", n->id,
               n->failed ? n->failure : "the machine stopped inside a call");
    node_crash(n, power ? CRASH_POWER : CRASH_KILL);
    node_restart_in(n, world_between(w, 20000, 800000));
}

void node_init(struct world *w, uint32_t index)
{
    struct sim_node *n = &w->nodes[index];
    const struct shard_member *member = &w->shards[0].members[index];
    n->world = w;
    n->id = index + 1;
    n->role = member->role;
    n->life = 1;
    n->slow = 1;
    size_t length = strnlen(member->site, sizeof(n->site) - 1);
    memcpy(n->site, member->site, length);
    n->site[length] = '\0';
    char root[sizeof(w->root)];
    memcpy(root, w->root, sizeof(root));
    snprintf(n->directory, sizeof(n->directory), "%s-n%u", root, n->id);
    snprintf(n->log_directory, sizeof(n->log_directory), "%s-n%u/log", root, n->id);
    n->clock.monotonic_ms = monotonic;
    n->clock.wall_ms = wall;
    list_init(&n->attempts);
    random_init_seed(&n->random, random_u64(&w->random));
    must(crash_fs_new(n->directory, random_u64(&w->random), &n->fs) == OK);
    plant_node(n);
}

void node_deinit(struct sim_node *n)
{
    if (n->up) {
        n->up = false;
        n->dead = true;
        network_node_down(n);
        clients_node_crashed(n);
        free_memory(n);
    }
    crash_fs_crash(n->fs, CRASH_KILL);
    crash_fs_free(n->fs);
}
