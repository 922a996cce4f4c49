/* Drives libraft's pure raft_step() for one shard replica, to the letter of its contract (U1-U22
 * of facts/libraft.md).
 *
 * Happy path: an event comes in -> what is not sane or would meet a fault of the library is
 * refused, changed or cut into parts (guard.c) -> raft_step() -> its update, in our own terms,
 * goes to carry_out() before the next step. Failure: refusals leave everything as it was;
 * anything else a step returns is fatal, and the caller ends the process.
 *
 * Memory: the library keeps index and term of entries, and the changes it has decoded; so
 * commands go in without their bytes, and the entries of an update are found again in the array
 * of the event by their place in it (U4). It frees or hands back one allocation, `batch`, for
 * each event with entries (U9, U14). It takes the configurations and the snapshot's data that it
 * is given; those of an install come back in the update (U10). */
#include "raft/engine.h"

#include <stdlib.h>

#include "base/must.h"
#include "raft/engine_internal.h"

#define INSTALL_RETRY_TIMEOUTS \
    4u /* a leader offers its snapshot again after so many election timeouts */

enum status engine_new(const struct engine_options *o, struct engine **out_engine)
{
    struct engine *e;

    if (o->replica == 0 || o->election_timeout_ms == 0 || o->heartbeat_ms == 0 ||
        o->heartbeat_ms > o->election_timeout_ms || o->inflight_max == 0 ||
        o->inflight_max > ENGINE_ENTRIES_MAX || o->carry_out == NULL) {
        return STATUS_INVALID;
    }
    e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return STATUS_NO_MEMORY;
    }
    e->options = *o;
    if (raft_init(&e->raft, NULL, NULL, o->replica, ENGINE_PEER_NAME) != 0) {
        free(e);
        return STATUS_NO_MEMORY;
    }
    e->raft.tracer = NULL; /* the default one formats every step into one static buffer (U1) */
    raft_seed(&e->raft, (unsigned)(o->seed ^ (o->seed >> 32)));
    raft_set_election_timeout(&e->raft, o->election_timeout_ms);
    raft_set_heartbeat_timeout(&e->raft, o->heartbeat_ms);
    raft_set_install_snapshot_timeout(&e->raft, INSTALL_RETRY_TIMEOUTS * o->election_timeout_ms);
    raft_set_pre_vote(&e->raft, true);
    raft_set_max_inflight_entries(&e->raft, o->inflight_max);
    *out_engine = e;
    return OK;
}

void engine_free(struct engine *e)
{
    if (e == NULL) {
        return;
    }
    must(!e->stepping);
    raft_close(&e->raft, NULL);
    block_unref(e->snapshot_configuration);
    free(e->scratch);
    free(e->messages);
    free(e);
}

/* ---- start
 * ---------------------------------------------------------------------------------------------- */

static bool start_valid(const struct engine_start *s)
{
    uint64_t last = s->start_index + s->entries_n - 1;

    if (s->term >= ENGINE_INDEX_LIMIT || s->start_index == 0 ||
        s->start_index >= ENGINE_INDEX_LIMIT ||
        !engine_entries_valid(s->entries, s->entries_n, 1, s->term) ||
        (s->term == 0 && (s->vote != 0 || s->has_snapshot))) {
        return false;
    }
    if (!s->has_snapshot) {
        return s->start_index == 1 && (s->entries_n == 0 || s->entries[0].type == ENTRY_CHANGE);
    }
    if (!engine_snapshot_valid(&s->snapshot) || s->snapshot.term > s->term ||
        s->start_index > s->snapshot.index + 1 || last < s->snapshot.index) {
        return false;
    }
    if (s->start_index <= s->snapshot.index) {
        return s->entries[s->snapshot.index - s->start_index].term == s->snapshot.term;
    }
    return s->entries_n == 0 || s->entries[0].term >= s->snapshot.term;
}

/* True when the newest configuration of what survived has one voter, and that is us. */
static bool start_solo(const struct engine *e, const struct engine_start *s)
{
    struct engine_configuration c = {.n = 0};
    const struct block *newest = s->has_snapshot ? s->snapshot.configuration : NULL;
    uint64_t below = s->has_snapshot ? s->snapshot.configuration_index : 0;
    uint32_t voters = 0;
    bool ours = false;

    for (uint32_t i = s->entries_n; i-- > 0 && s->start_index + i > below;) {
        if (s->entries[i].type == ENTRY_CHANGE) {
            newest = s->entries[i].payload;
            break;
        }
    }
    if (newest == NULL || engine_configuration_decode(engine_block_bytes(newest), &c) != OK) {
        return false;
    }
    for (uint32_t i = 0; i < c.n; i++) {
        if (c.members[i].role == MEMBER_VOTER) {
            voters++;
            ours = ours || c.members[i].replica == e->raft.id;
        }
    }
    return voters == 1 && ours;
}

/* On failure the library frees array and batch, so they are its own kind of memory and not our
 * scratch (U2). */
static enum status start_entries(const struct engine_start *s, struct raft_entry **out_entries)
{
    struct raft_entry *entries = NULL;
    void *batch;

    if (s->entries_n > 0) {
        entries = raft_malloc(s->entries_n * sizeof(*entries));
        batch = raft_malloc(8);
        if (entries == NULL || batch == NULL) {
            raft_free(entries);
            raft_free(batch);
            return STATUS_NO_MEMORY;
        }
        for (uint32_t i = 0; i < s->entries_n; i++) {
            engine_entry_in(&s->entries[i], batch, &entries[i]);
        }
    }
    *out_entries = entries;
    return OK;
}

enum status engine_start(struct engine *e, uint64_t now_ms, const struct engine_start *s)
{
    struct engine_step step = {.event = {.type = RAFT_START}};
    struct raft_snapshot_metadata metadata;
    struct raft_entry *entries = NULL;
    enum status status;

    if (e->started) {
        return STATUS_INVALID;
    }
    if (!start_valid(s)) {
        return STATUS_CORRUPT;
    }
    if (s->has_snapshot) {
        metadata.index = s->snapshot.index;
        metadata.term = s->snapshot.term;
        metadata.configuration_index = s->snapshot.configuration_index;
        status = engine_configuration_in(engine_block_bytes(s->snapshot.configuration),
                                         &metadata.configuration);
        if (status != OK) {
            return status;
        }
        e->snapshot_configuration = block_ref(s->snapshot.configuration);
        step.event.start.metadata = &metadata;
    }
    status = start_entries(s, &entries);
    if (status != OK) {
        return status;
    }
    engine_time_set(e, now_ms);
    e->told_term = s->term;
    e->told_vote = s->vote;
    e->started = true;
    step.event.start.term = s->term;
    step.event.start.voted_for = s->vote;
    if (start_solo(e,
                   s)) { /* F2: it leads at once, and must not do so in a term it has led before */
        step.event.start.term = s->term + 1;
        step.event.start.voted_for = 0;
    }
    step.event.start.start_index = s->start_index;
    step.event.start.entries = entries;
    step.event.start.n_entries = s->entries_n;
    status = engine_step_run(e, &step);
    if (status == OK && entries != NULL) {
        raft_free(entries[0].batch);
        raft_free(entries);
    }
    return status;
}

/* ---- time ------------------------------------------------------------------------------------
 * ----------- */

uint64_t engine_deadline_ms(const struct engine *e)
{
    return e->started ? guard_timer(&e->raft, e->last_tick) : UINT64_MAX;
}

/* Would lead at once, without a new term (F2). */
bool engine_elects_itself(const struct engine *e)
{
    const struct raft *r = &e->raft;

    return r->state == RAFT_FOLLOWER && !r->snapshot.installing &&
           r->last_stored == guard_last_index(r) && guard_solo(r);
}

enum status engine_tick(struct engine *e, uint64_t now_ms)
{
    struct engine_step step = {.event = {.type = RAFT_TIMEOUT}};

    if (!e->started) {
        return STATUS_CLOSED;
    }
    engine_time_set(e, now_ms);
    if (e->now < engine_deadline_ms(e)) { /* an early one demotes slow followers (U3) */
        return OK;
    }
    if (engine_elects_itself(e)) {
        e->raft.current_term++;
        e->raft.voted_for = 0;
        e->raft.follower_state.match = 0;
    }
    e->last_tick = e->now;
    return engine_step_run(e, &step);
}

/* ---- what became durable or committed
 * ------------------------------------------------------------------- */

enum status engine_persisted(struct engine *e, uint64_t now_ms, uint64_t index)
{
    struct engine_step step = {.event = {.type = RAFT_PERSISTED_ENTRIES}};

    if (!e->started) {
        return STATUS_CLOSED;
    }
    engine_time_set(e, now_ms);
    if (e->raft.snapshot.installing || index <= e->raft.last_stored ||
        e->raft.state == RAFT_CANDIDATE) {
        return OK;
    }
    must(index <= guard_last_index(&e->raft));
    step.event.persisted_entries.index = index;
    return engine_step_run(e, &step);
}

enum status engine_snapshot_taken(struct engine *e, uint64_t now_ms,
                                  const struct engine_snapshot *s, uint32_t trailing)
{
    struct engine_step step = {.event = {.type = RAFT_SNAPSHOT}};
    struct raft_snapshot_metadata *to = &step.event.snapshot.metadata;
    struct block *old = e->snapshot_configuration;
    enum status status;

    if (!e->started) {
        return STATUS_CLOSED;
    }
    if (!engine_snapshot_valid(s)) {
        return STATUS_INVALID;
    }
    if (e->raft.snapshot.installing || s->index > e->raft.last_stored ||
        s->index > e->raft.commit_index) {
        return STATUS_BUSY;
    }
    if (s->index <= e->raft.trail.snapshot.index) {
        return STATUS_EXISTS;
    }
    if (guard_term_of(&e->raft, s->index) != s->term) {
        return STATUS_INVALID;
    }
    status = engine_configuration_in(engine_block_bytes(s->configuration), &to->configuration);
    if (status != OK) {
        return status;
    }
    engine_time_set(e, now_ms);
    to->index = s->index;
    to->term = s->term;
    to->configuration_index = s->configuration_index;
    step.event.snapshot.trailing = trailing;
    e->snapshot_configuration = block_ref(s->configuration);
    block_unref(old);
    return engine_step_run(e, &step);
}

enum status engine_configuration_committed(struct engine *e, uint64_t now_ms, uint64_t index,
                                           struct bytes configuration)
{
    struct engine_step step = {.event = {.type = RAFT_CONFIGURATION}};
    struct engine_configuration c;
    enum status status;

    if (!e->started) {
        return STATUS_CLOSED;
    }
    if (index == 0 || engine_configuration_decode(configuration, &c) != OK) {
        return STATUS_INVALID;
    }
    status = engine_configuration_in(configuration, &step.event.configuration.conf);
    if (status != OK) {
        return status;
    }
    engine_time_set(e, now_ms);
    step.event.configuration.index = index;
    return engine_step_run(e, &step);
}

/* ---- what the leader is asked to do
 * --------------------------------------------------------------------- */

static bool member_equal(const struct engine_member *a, const struct engine_member *b)
{
    return a->replica == b->replica && a->node == b->node && a->role == b->role;
}

/* b is a with one member more, at any place. */
static bool one_more(const struct engine_configuration *a, const struct engine_configuration *b)
{
    uint32_t i = 0;

    while (i < a->n && member_equal(&a->members[i], &b->members[i])) {
        i++;
    }
    while (i < a->n && member_equal(&a->members[i], &b->members[i + 1])) {
        i++;
    }
    return i == a->n;
}

/* One member added, removed or in another role; the others in their order (U16). */
static bool one_step(const struct engine_configuration *from, const struct engine_configuration *to)
{
    uint32_t roles = 0;

    if (to->n == from->n + 1) {
        return one_more(from, to);
    }
    if (to->n + 1 == from->n) {
        return one_more(to, from);
    }
    for (uint32_t i = 0; i < from->n && to->n == from->n; i++) {
        const struct engine_member *a = &from->members[i], *b = &to->members[i];
        if (a->replica != b->replica || a->node != b->node) {
            return false;
        }
        roles += a->role != b->role;
    }
    return roles == 1;
}

static enum status change_allowed(const struct engine *e, const struct engine_entry *entry)
{
    struct engine_configuration now, next;

    if (entry->payload == NULL ||
        engine_configuration_decode(engine_block_bytes(entry->payload), &next) != OK) {
        return STATUS_INVALID;
    }
    engine_get_configuration(e, &now);
    if (!one_step(&now, &next)) {
        return STATUS_INVALID;
    }
    return guard_noop_committed(&e->raft) ? OK : STATUS_BUSY;
}

enum status engine_submit(struct engine *e, uint64_t now_ms, const struct engine_entry *entries,
                          uint32_t n)
{
    struct engine_step step = {.event = {.type = RAFT_SUBMIT}, .entries = entries};
    enum status status;

    if (engine_role_of(e) != ENGINE_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (e->raft.leader_state.transferee != 0) {
        return STATUS_BUSY;
    }
    if (n == 0) {
        return STATUS_INVALID;
    }
    if (n > e->options.inflight_max ||
        guard_last_index(&e->raft) + n > e->raft.commit_index + e->options.inflight_max) {
        return STATUS_FULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (entries[i].type < ENTRY_COMMAND || entries[i].type > ENTRY_CHANGE ||
            entries[i].term != e->raft.current_term || (entries[i].type == ENTRY_CHANGE && n > 1)) {
            return STATUS_INVALID;
        }
    }
    status = entries[0].type == ENTRY_CHANGE ? change_allowed(e, &entries[0]) : OK;
    if (status == OK) {
        status = engine_entries_in(e, entries, n);
    }
    if (status != OK) {
        return status;
    }
    engine_time_set(e, now_ms);
    step.event.submit.entries = e->scratch;
    step.event.submit.n = n;
    status = engine_step_run(e, &step);
    if (status == STATUS_BUSY || status == STATUS_NOT_LEADER || status == STATUS_FULL) {
        raft_free(e->scratch[0].batch); /* refused: stays ours (U14) */
    }
    return status;
}

bool engine_needs_barrier(const struct engine *e)
{
    return e->started && guard_noop_missing(&e->raft);
}

enum status engine_transfer(struct engine *e, uint64_t now_ms, uint64_t to_replica)
{
    struct engine_step step = {.event = {.type = RAFT_TRANSFER}};

    if (engine_role_of(e) != ENGINE_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (e->raft.leader_state.transferee != 0) {
        return STATUS_BUSY;
    }
    engine_time_set(e, now_ms);
    step.event.transfer.server_id = to_replica;
    return engine_step_run(e, &step);
}

enum status engine_heartbeat(const struct engine *e, uint64_t to_replica,
                             struct engine_message *out_m)
{
    uint64_t match = engine_match(e, to_replica);
    uint64_t term = match > 0 ? guard_term_of(&e->raft, match) : 0;

    if (engine_role_of(e) != ENGINE_LEADER) {
        return STATUS_NOT_LEADER;
    }
    if (term == 0 || to_replica == e->raft.id) {
        return STATUS_NOT_FOUND;
    }
    *out_m = (struct engine_message){
        .kind = MESSAGE_APPEND, .from = e->raft.id, .to = to_replica, .term = e->raft.current_term};
    out_m->append.prev_index = match;
    out_m->append.prev_term = term;
    out_m->append.commit = e->raft.commit_index < match ? e->raft.commit_index : match;
    return OK;
}

/* ---- what is asked of it
 * -------------------------------------------------------------------------------- */

enum engine_role engine_role(const struct engine *e)
{
    return engine_role_of(e);
}

uint64_t engine_term(const struct engine *e)
{
    return e->raft.current_term;
}

uint64_t engine_leader(const struct engine *e)
{
    return engine_leader_of(e);
}

uint64_t engine_commit(const struct engine *e)
{
    return e->commit;
}

uint64_t engine_last_index(const struct engine *e)
{
    return guard_last_index(&e->raft);
}

uint64_t engine_last_stored(const struct engine *e)
{
    return e->raft.last_stored;
}

uint64_t engine_first_index(const struct engine *e)
{
    return e->raft.trail.offset + 1;
}

uint64_t engine_match(const struct engine *e, uint64_t replica)
{
    raft_index match = 0;

    if (engine_role_of(e) != ENGINE_LEADER || raft_match_index(&e->raft, replica, &match) != 0) {
        return 0;
    }
    return match;
}

bool engine_installing(const struct engine *e)
{
    return e->raft.snapshot.installing;
}

bool engine_transferring(const struct engine *e)
{
    return engine_role_of(e) == ENGINE_LEADER && e->raft.leader_state.transferee != 0;
}

void engine_get_configuration(const struct engine *e, struct engine_configuration *out_c)
{
    static const enum engine_member_role roles[] = {
        [RAFT_STANDBY] = MEMBER_STANDBY, [RAFT_VOTER] = MEMBER_VOTER, [RAFT_SPARE] = MEMBER_SPARE};
    const struct raft_configuration *c = &e->raft.configuration;

    must(c->n <= MEMBERS_MAX);
    *out_c = (struct engine_configuration){.n = c->n};
    for (unsigned i = 0; i < c->n; i++) {
        out_c->members[i].replica = c->servers[i].id;
        out_c->members[i].node = (node_id)strtoul(c->servers[i].address + 1, NULL, 10);
        out_c->members[i].role = roles[c->servers[i].role];
    }
}
