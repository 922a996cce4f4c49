/* A few engines on one thread, with logs in memory, a disk that forgets what was not synced, and
 * a network that does what it is told: the smallest thing in which a fault of the engine shows.
 *
 * Happy path: mini_init() -> mini_run() a while (deliver, sync, tick, apply) -> look at the
 * engines and at c->violation -> mini_deinit(). What must never be is written down in
 * c->violation, the first one only, so that a test may expect it. What is checked: one leader a
 * term; no node writes below what it committed or lacks; commit indexes never fall in one life;
 * whatever two nodes apply at an index is the same.
 *
 * Disk: term/vote and entries are records in one order; a sync makes a prefix of them durable; a
 * crash keeps a random prefix of what was not. Messages wait for the last term/vote record
 * before them (U5). Replica ids are 1, 2, 3, ... */
#ifndef MQ_TESTS_UNIT_RAFT_MINI_CLUSTER_H
#define MQ_TESTS_UNIT_RAFT_MINI_CLUSTER_H

#include <stdarg.h>
#include <stdbool.h>

#include "base/random.h"
#include "raft/engine.h"
#include "tests/lib/check.h"
#include "tests/unit/raft/mini_image.h"

#define MINI_NODES       7
#define MINI_INDEX_MAX   4096
#define MINI_FLIGHTS_MAX 8192
#define MINI_TERMS_MAX   4096

struct mini_flight {
    uint64_t at;
    struct engine_message m; /* entries and configuration counted and owned */
};

struct mini_node {
    struct mini_cluster *c;
    uint64_t id;
    struct engine *engine; /* NULL: down */
    uint64_t up_at;        /* when down: comes back then; 0 = stays down */
    bool tick_off;
    bool sync_off; /* nothing becomes durable */
    struct mini_image now, disk;
    struct mini_record *records;
    uint32_t records_n;
    uint64_t sequence, durable, state_sequence,
        syncing; /* syncing: sequence of the sync in flight, 0 = none */
    uint64_t sync_at;
    struct mini_flight *held; /* wait for `at` = sequence */
    uint32_t held_n;
    uint64_t commit, applied;
    struct block *applied_configuration;
    uint64_t applied_configuration_index;
    struct engine_snapshot install;
    uint64_t install_at;
};

struct mini_cluster {
    struct mini_node nodes[MINI_NODES];
    uint32_t n;
    uint64_t time;
    struct random random;
    uint32_t inflight_max;
    bool cut[MINI_NODES + 1][MINI_NODES + 1]; /* [from][to] */
    uint32_t loss, twice, late; /* in 1000: lost, sent twice, delayed by up to late_ms */
    uint32_t delay_max, late_ms, sync_max, install_max, install_fails;
    struct mini_flight *flights;
    uint32_t flights_n;
    struct engine_entry committed[MINI_INDEX_MAX]; /* what any node applied first; counted */
    uint64_t committed_max;
    uint64_t leaders[MINI_TERMS_MAX];
    uint64_t value;
    char violation[256];
    bool (*tap)(struct mini_cluster *c,
                const struct engine_message *m); /* sees each message sent; true = lose it */
    struct engine_message tapped;                /* for the tap's use; freed by mini_deinit */
    uint64_t elections, installs, acknowledged;
};

__attribute__((unused, format(printf, 2, 3))) static void mini_violation(struct mini_cluster *c,
                                                                         const char *format, ...)
{
    va_list args;

    if (c->violation[0] == 0) {
        va_start(args, format);
        vsnprintf(c->violation, sizeof(c->violation), format, args);
        va_end(args);
    }
}

/* The first n records become durable (or are lost, without disk). */
static void mini_records_take(struct mini_node *node, uint32_t n, bool apply)
{
    for (uint32_t k = 0; k < n; k++) {
        if (apply) {
            mini_record_apply(&node->disk, &node->records[k]);
        }
        mini_record_free(&node->records[k]);
    }
    node->records_n = mini_shift(node->records, sizeof(*node->records), node->records_n, n);
}

__attribute__((unused)) static const struct mini_entry *mini_entry_at(const struct mini_node *node,
                                                                      uint64_t index)
{
    const struct mini_image *i = &node->now;

    return index >= i->first && index < i->first + i->n ? &i->log[index - i->first] : NULL;
}

/* ---- network ---- */

static uint64_t mini_chance(struct mini_cluster *c, uint64_t below)
{
    return below == 0 ? 0 : random_below(&c->random, below);
}

static void mini_fly(struct mini_cluster *c, const struct engine_message *m)
{
    struct mini_flight *f;

    if (c->flights_n == MINI_FLIGHTS_MAX) {
        return;
    }
    f = &c->flights[c->flights_n++];
    f->at = c->time + 1 + mini_chance(c, c->delay_max);
    if (mini_chance(c, 1000) < c->late) {
        f->at += mini_chance(c, c->late_ms);
    }
    f->m = mini_message_copy(m);
}

/* Takes m over. */
static void mini_send(struct mini_cluster *c, struct engine_message *m)
{
    bool lost = (c->tap != NULL && c->tap(c, m)) || mini_chance(c, 1000) < c->loss || m->to == 0 ||
                m->to > c->n || c->cut[m->from][m->to];

    if (!lost) {
        mini_fly(c, m);
        if (mini_chance(c, 1000) < c->twice) {
            mini_fly(c, m);
        }
    }
    mini_message_free(m);
}

/* ---- one node ---- */

static void mini_record_add(struct mini_node *node, struct mini_record r)
{
    node->records = realloc(node->records, (node->records_n + 1) * sizeof(r));
    node->records[node->records_n++] = r;
    mini_record_apply(&node->now, &r);
}

static void mini_on_entries(struct mini_node *node, const struct engine_update *u)
{
    struct mini_record r = {
        .first = u->entries_first, .n = u->entries_n, .sequence = ++node->sequence};

    if (u->entries_first < node->now.first || u->entries_first > node->now.first + node->now.n ||
        u->entries_first <= node->commit) {
        mini_violation(node->c, "node %d writes at %d, holds [%d, %d), committed %d", (int)node->id,
                       (int)u->entries_first, (int)node->now.first,
                       (int)(node->now.first + node->now.n), (int)node->commit);
    }
    r.entries = calloc(r.n, sizeof(*r.entries));
    for (uint32_t k = 0; k < r.n; k++) {
        r.entries[k] = (struct mini_entry){.e = u->entries[k], .sequence = r.sequence};
        if (r.entries[k].e.payload != NULL) {
            block_ref(r.entries[k].e.payload);
        }
    }
    mini_record_add(node, r);
}

/* Fills in entries, then holds it or sends it. */
static void mini_on_message(struct mini_node *node, const struct engine_message *m)
{
    struct engine_message copy = *m;
    struct engine_entry *entries = NULL;

    if (m->kind == MESSAGE_APPEND && m->append.n > 0) {
        entries = calloc(m->append.n, sizeof(*entries));
        for (uint32_t k = 0; k < m->append.n; k++) {
            const struct mini_entry *at = mini_entry_at(node, m->append.prev_index + 1 + k);
            if (at == NULL) {
                mini_violation(node->c, "node %d lacks entry %d it is to send", (int)node->id,
                               (int)(m->append.prev_index + 1 + k));
                free(entries);
                return;
            }
            entries[k] = at->e;
        }
        copy.append.entries = entries;
    }
    copy = mini_message_copy(&copy);
    free(entries);
    if (node->state_sequence <= node->durable) {
        mini_send(node->c, &copy);
        return;
    }
    node->held = realloc(node->held, (node->held_n + 1) * sizeof(*node->held));
    node->held[node->held_n++] = (struct mini_flight){.at = node->state_sequence, .m = copy};
}

static void mini_on_role(struct mini_node *node, const struct engine_update *u)
{
    struct mini_cluster *c = node->c;

    if (u->role != ENGINE_LEADER || u->term >= MINI_TERMS_MAX) {
        return;
    }
    if (c->leaders[u->term] != 0 && c->leaders[u->term] != node->id) {
        mini_violation(c, "two leaders of term %d: %d and %d", (int)u->term,
                       (int)c->leaders[u->term], (int)node->id);
    }
    c->elections += c->leaders[u->term] == 0;
    c->leaders[u->term] = node->id;
}

static void mini_carry_out(void *arg, const struct engine_update *u)
{
    struct mini_node *node = arg;

    if (u->term_changed || u->vote_changed) {
        node->state_sequence = ++node->sequence;
        mini_record_add(
            node, (struct mini_record){
                      .state = true, .term = u->term, .vote = u->vote, .sequence = node->sequence});
    }
    if (u->entries_changed) {
        mini_on_entries(node, u);
    }
    if (u->install) {
        node->install = u->snapshot;
        block_ref(node->install.configuration);
        node->install_at = node->c->time + 1 + mini_chance(node->c, node->c->install_max);
    }
    if (u->role_changed) {
        mini_on_role(node, u);
    }
    for (uint32_t i = 0; i < u->messages_n; i++) {
        mini_on_message(node, &u->messages[i]);
    }
    if (u->commit < node->commit) {
        mini_violation(node->c, "node %d: commit fell from %d to %d", (int)node->id,
                       (int)node->commit, (int)u->commit);
    }
    node->commit = u->commit;
}

static void mini_status(struct mini_node *node, enum status s, const char *what)
{
    if (s != OK && s != STATUS_MALFORMED) {
        mini_violation(node->c, "node %d stopped in %s: %s", (int)node->id, what, status_name(s));
    }
}

static void mini_down(struct mini_node *node)
{
    engine_free(node->engine);
    node->engine = NULL;
    for (uint32_t k = 0; k < node->held_n; k++) {
        mini_message_free(&node->held[k].m);
    }
    node->held_n = 0;
    if (node->install_at != 0) {
        block_unref(node->install.configuration);
        node->install_at = 0;
    }
}

/* From its disk. */
__attribute__((unused)) static void mini_up(struct mini_node *node)
{
    struct mini_cluster *c = node->c;
    struct engine_options o = {.replica = node->id,
                               .election_timeout_ms = 500,
                               .heartbeat_ms = 50,
                               .inflight_max = c->inflight_max,
                               .seed = random_u64(&c->random),
                               .carry_out = mini_carry_out,
                               .arg = node};
    struct mini_image *d = &node->disk;
    struct engine_start s = {.term = d->term,
                             .vote = d->vote,
                             .has_snapshot = d->has_snapshot,
                             .snapshot = d->snapshot,
                             .start_index = d->first,
                             .entries_n = d->n};
    struct engine_entry *entries = calloc(d->n + 1, sizeof(*entries));

    mini_records_take(node, node->records_n, false);
    mini_image_free(&node->now);
    node->now = mini_image_copy(d);
    for (uint32_t k = 0; k < d->n; k++) {
        entries[k] = d->log[k].e;
        node->now.log[k].sequence = 0;
    }
    s.entries = entries;
    node->durable = node->sequence;
    node->syncing = 0;
    node->commit = 0;
    node->applied = d->has_snapshot ? d->snapshot.index : 0;
    block_unref(node->applied_configuration);
    node->applied_configuration = NULL;
    node->applied_configuration_index = d->has_snapshot ? d->snapshot.configuration_index : 0;
    if (d->has_snapshot) {
        node->applied_configuration = block_ref(d->snapshot.configuration);
    }
    CHECK_OK(engine_new(&o, &node->engine));
    mini_status(node, engine_start(node->engine, c->time, &s), "start");
    free(entries);
}

/* Power cut: a random prefix of what is not durable survives. */
__attribute__((unused)) static void mini_crash(struct mini_node *node)
{
    uint32_t kept = (uint32_t)mini_chance(node->c, node->records_n + 1);

    mini_down(node);
    mini_records_take(node, kept, true);
    mini_records_take(node, node->records_n, false);
}

/* Stop and start with nothing lost. */
__attribute__((unused)) static void mini_restart(struct mini_node *node)
{
    mini_down(node);
    mini_records_take(node, node->records_n, true);
    mini_up(node);
}

static void mini_install_done(struct mini_node *node)
{
    struct engine_snapshot s = node->install;
    bool failed = mini_chance(node->c, 1000) < node->c->install_fails;

    block_ref(s.configuration);
    mini_down(node);
    mini_records_take(node, node->records_n, true);
    if (!failed) {
        mini_image_snapshot(&node->disk, &s, UINT64_MAX);
        node->disk.first = s.index + 1;
        node->c->installs++;
    }
    block_unref(s.configuration);
    mini_up(node);
}

static void mini_sync(struct mini_node *node)
{
    uint32_t n = 0, k = 0;
    uint64_t index = engine_last_stored(node->engine);

    if (node->syncing != 0 && node->c->time >= node->sync_at) {
        while (n < node->records_n && node->records[n].sequence <= node->syncing) {
            n++;
        }
        mini_records_take(node, n, true);
        node->durable = node->syncing;
        node->syncing = 0;
        while (k < node->held_n && node->held[k].at <= node->durable) {
            mini_send(node->c, &node->held[k++].m);
        }
        node->held_n = mini_shift(node->held, sizeof(*node->held), node->held_n, k);
        while (mini_entry_at(node, index + 1) != NULL &&
               mini_entry_at(node, index + 1)->sequence <= node->durable) {
            index++;
        }
        if (index > engine_last_stored(node->engine) && !engine_installing(node->engine)) {
            mini_status(node, engine_persisted(node->engine, node->c->time, index), "persisted");
        }
    }
    if (node->syncing == 0 && node->sequence > node->durable && !node->sync_off) {
        node->syncing = node->sequence;
        node->sync_at = node->c->time + mini_chance(node->c, node->c->sync_max + 1);
    }
}

static void mini_apply_one(struct mini_node *node)
{
    struct mini_cluster *c = node->c;
    uint64_t index = node->applied + 1;
    const struct mini_entry *at = mini_entry_at(node, index);
    struct engine_entry *known = &c->committed[index];

    CHECK(index < MINI_INDEX_MAX);
    if (at == NULL) {
        mini_violation(c, "node %d lacks entry %d, which is committed", (int)node->id, (int)index);
    } else if (index > c->committed_max) {
        c->committed_max = index;
        *known = at->e;
        if (known->payload != NULL) {
            block_ref(known->payload);
        }
    } else if (known->term != at->e.term || known->type != at->e.type ||
               known->payload != at->e.payload) {
        mini_violation(c, "node %d applies another entry %d: term %d, not %d", (int)node->id,
                       (int)index, (int)at->e.term, (int)known->term);
    }
    node->applied = index;
    if (at != NULL && at->e.type == ENTRY_CHANGE) {
        block_unref(node->applied_configuration);
        node->applied_configuration = block_ref(at->e.payload);
        node->applied_configuration_index = index;
        mini_status(node,
                    engine_configuration_committed(
                        node->engine, c->time, index,
                        (struct bytes){at->e.payload->data, at->e.payload->size}),
                    "configuration");
    }
}

static void mini_settle(struct mini_node *node)
{
    if (engine_needs_barrier(node->engine)) {
        struct engine_entry barrier = {.term = engine_term(node->engine), .type = ENTRY_BARRIER};
        enum status s = engine_submit(node->engine, node->c->time, &barrier, 1);
        mini_status(node, s == STATUS_FULL || s == STATUS_BUSY ? OK : s, "barrier");
    }
    while (node->c->violation[0] == 0 && !engine_installing(node->engine) &&
           node->applied < node->commit && node->applied < engine_last_stored(node->engine)) {
        mini_apply_one(node);
    }
}

/* A checkpoint of what is applied; false when there is nothing new or it is too early. */
__attribute__((unused)) static bool mini_snapshot(struct mini_node *node, uint32_t trailing)
{
    struct engine_snapshot s = {.index = node->applied,
                                .configuration = node->applied_configuration,
                                .configuration_index = node->applied_configuration_index};
    const struct mini_entry *at = mini_entry_at(node, node->applied);
    enum status status;

    if (at == NULL || s.configuration == NULL) {
        return false;
    }
    s.term = at->e.term;
    status = engine_snapshot_taken(node->engine, node->c->time, &s, trailing);
    if (status != OK) {
        mini_status(node, status == STATUS_BUSY || status == STATUS_EXISTS ? OK : status,
                    "snapshot");
        return false;
    }
    mini_image_snapshot(&node->now, &s, engine_first_index(node->engine));
    mini_image_snapshot(&node->disk, &s, engine_first_index(node->engine));
    return true;
}

/* ---- all of them ---- */

__attribute__((unused)) static struct mini_node *mini_node(struct mini_cluster *c, uint64_t id)
{
    return &c->nodes[id - 1];
}

__attribute__((unused)) static void mini_deliver(struct mini_cluster *c,
                                                 const struct engine_message *m)
{
    struct mini_node *node = mini_node(c, m->to);

    if (node->engine != NULL) {
        mini_status(node, engine_receive(node->engine, c->time, m), "receive");
        mini_settle(node);
    }
}

static void mini_step(struct mini_cluster *c)
{
    c->time++;
    for (uint32_t i = 0; i < c->flights_n;) {
        struct mini_flight f = c->flights[i];
        if (f.at > c->time) {
            i++;
            continue;
        }
        c->flights[i] = c->flights[--c->flights_n];
        if (!c->cut[f.m.from][f.m.to]) {
            mini_deliver(c, &f.m);
        }
        mini_message_free(&f.m);
    }
    for (uint32_t i = 0; i < c->n; i++) {
        struct mini_node *node = &c->nodes[i];
        if (node->engine == NULL) {
            if (node->up_at != 0 && c->time >= node->up_at) {
                mini_up(node);
            }
            continue;
        }
        if (node->install_at != 0 && c->time >= node->install_at) {
            mini_install_done(node);
        }
        mini_sync(node);
        if (!node->tick_off && c->time >= engine_deadline_ms(node->engine)) {
            mini_status(node, engine_tick(node->engine, c->time), "tick");
        }
        mini_settle(node);
    }
}

/* Stops at a violation. */
__attribute__((unused)) static void mini_run(struct mini_cluster *c, uint64_t ms)
{
    for (uint64_t end = c->time + ms; c->time < end && c->violation[0] == 0;) {
        mini_step(c);
    }
}

__attribute__((unused)) static struct block *mini_configuration(const uint64_t *voters, uint32_t n)
{
    struct engine_configuration configuration = {.n = n};
    struct block *b;

    for (uint32_t i = 0; i < n; i++) {
        configuration.members[i] = (struct engine_member){
            .replica = voters[i], .node = (node_id)voters[i], .role = MEMBER_VOTER};
    }
    CHECK_OK(engine_configuration_encode(&configuration, &b));
    return b;
}

/* n nodes of which the first `voters` found the shard; the others are blank. */
__attribute__((unused)) static struct mini_cluster *mini_new(uint32_t n, uint32_t voters,
                                                             uint64_t seed)
{
    static const uint64_t ids[MINI_NODES] = {1, 2, 3, 4, 5, 6, 7};
    struct mini_cluster *c = calloc(1, sizeof(*c));
    struct mini_entry first = {
        .e = {.term = 1, .type = ENTRY_CHANGE, .payload = mini_configuration(ids, voters)}};

    c->n = n;
    c->time = 1000;
    c->inflight_max = 64;
    c->install_max = 20;
    c->flights = calloc(MINI_FLIGHTS_MAX, sizeof(*c->flights));
    random_init_seed(&c->random, seed);
    for (uint32_t i = 0; i < n; i++) {
        struct mini_node *node = &c->nodes[i];
        node->c = c;
        node->id = i + 1;
        node->disk.first = 1;
        if (i < voters) {
            node->disk.term = 1;
            mini_image_write(&node->disk, 1, &first, 1);
        }
    }
    block_unref(first.e.payload);
    return c;
}

__attribute__((unused)) static void mini_up_all(struct mini_cluster *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->nodes[i].engine == NULL) {
            mini_up(&c->nodes[i]);
        }
    }
}

__attribute__((unused)) static void mini_free(struct mini_cluster *c)
{
    for (uint32_t i = 0; i < c->n; i++) {
        struct mini_node *node = &c->nodes[i];
        mini_down(node);
        mini_records_take(node, node->records_n, false);
        free(node->records);
        free(node->held);
        mini_image_free(&node->now);
        mini_image_free(&node->disk);
        block_unref(node->applied_configuration);
    }
    for (uint32_t i = 0; i < c->flights_n; i++) {
        mini_message_free(&c->flights[i].m);
    }
    for (uint64_t i = 0; i <= c->committed_max; i++) {
        block_unref(c->committed[i].payload);
    }
    mini_message_free(&c->tapped);
    free(c->flights);
    free(c);
}

__attribute__((unused)) static uint64_t mini_leader(const struct mini_cluster *c)
{
    uint64_t leader = 0, term = 0;

    for (uint32_t i = 0; i < c->n; i++) {
        const struct engine *e = c->nodes[i].engine;
        if (e != NULL && engine_role(e) == ENGINE_LEADER && engine_term(e) > term) {
            leader = c->nodes[i].id;
            term = engine_term(e);
        }
    }
    return leader;
}

/* Only this one's clock runs until it leads. Fails the test if it can't. */
__attribute__((unused)) static void mini_elect(struct mini_cluster *c, uint64_t id)
{
    for (uint32_t i = 0; i < c->n; i++) {
        c->nodes[i].tick_off = c->nodes[i].id != id;
    }
    for (int i = 0; i < 5000 && engine_role(mini_node(c, id)->engine) != ENGINE_LEADER; i++) {
        mini_step(c);
    }
    CHECK_EQ(engine_role(mini_node(c, id)->engine), ENGINE_LEADER);
    for (uint32_t i = 0; i < c->n; i++) {
        c->nodes[i].tick_off = false;
    }
}

__attribute__((unused)) static void mini_transfer(struct mini_cluster *c, uint64_t to)
{
    CHECK_OK(engine_transfer(mini_node(c, mini_leader(c))->engine, c->time, to));
    for (int i = 0; i < 400 && mini_leader(c) != to; i++) {
        mini_step(c);
    }
    CHECK_EQ(mini_leader(c), to);
}

/* One entry, each time with a payload of its own. */
__attribute__((unused)) static enum status mini_submit(struct mini_cluster *c, uint64_t id)
{
    struct engine *e = mini_node(c, id)->engine;
    struct engine_entry entry = {.term = engine_term(e), .type = ENTRY_COMMAND};
    enum status s;

    c->value++;
    entry.payload = block_copy(&c->value, sizeof(c->value));
    s = engine_submit(e, c->time, &entry, 1);
    mini_settle(mini_node(c, id));
    block_unref(entry.payload);
    return s;
}

/* So many entries, one after another, each committed on the leader. */
__attribute__((unused)) static void mini_commit(struct mini_cluster *c, uint64_t id, int n)
{
    for (; n > 0; n--) {
        uint64_t index = engine_last_index(mini_node(c, id)->engine) + 1;
        CHECK_OK(mini_submit(c, id));
        for (int i = 0; i < 500 && engine_commit(mini_node(c, id)->engine) < index; i++) {
            mini_step(c);
        }
        CHECK(engine_commit(mini_node(c, id)->engine) >= index);
    }
}

__attribute__((unused)) static enum status mini_change(struct mini_cluster *c, uint64_t id,
                                                       const struct engine_configuration *to)
{
    struct engine *e = mini_node(c, id)->engine;
    struct engine_entry entry = {.term = engine_term(e), .type = ENTRY_CHANGE};
    enum status s;

    CHECK_OK(engine_configuration_encode(to, &entry.payload));
    s = engine_submit(e, c->time, &entry, 1);
    mini_settle(mini_node(c, id));
    block_unref(entry.payload);
    return s;
}

/* Cuts or heals both ways between a node and all others. */
__attribute__((unused)) static void mini_isolate(struct mini_cluster *c, uint64_t id, bool cut)
{
    for (uint64_t i = 1; i <= c->n; i++) {
        c->cut[id][i] = c->cut[i][id] = cut && i != id;
    }
}

#endif
