/* A shard replica, and the order of duties around its engine.
 *
 * carry_out does what one step of the engine asks, in the order of the contract (U5): term and vote, entries, role, install,
 * messages, commit; nothing in it calls the engine again. What became possible by it is done in the next turn. */
#include "raft/shard.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "raft/shard_internal.h"

#define CHOSEN_MS 600000u /* of a switchover */

unsigned shard_rules_off;

/* ---- small questions ---- */

bool shard_witness(const struct shard *s)
{
    return s->o.machine.ops == NULL;
}

int shard_member_find(const struct shard *s, uint64_t replica)
{
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        if (s->o.members[i].replica == replica) {
            return (int)i;
        }
    }
    return -1;
}

bool shard_voter(const struct shard *s, uint32_t member)
{
    return s->o.members[member].role != ROLE_STANDBY;
}

uint32_t shard_majority(const struct shard *s)
{
    uint32_t voters = 0;
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        voters += shard_voter(s, i) ? 1 : 0;
    }
    return voters / 2 + 1;
}

bool shard_active(const struct shard *s)
{
    return s->engine != NULL && !s->closing &&
           (s->state == SHARD_RUNNING || s->state == SHARD_INSTALLING || s->state == SHARD_LOST);
}

bool shard_is_leader(const struct shard *s)
{
    return shard_active(s) && s->role == ENGINE_LEADER;
}

shard_id shard_get_id(const struct shard *s)
{
    return s->o.shard;
}

const struct shard_options *shard_get_options(const struct shard *s)
{
    return &s->o;
}

bool shard_own_term_committed(const struct shard *s)
{
    if (s->role != ENGINE_LEADER) {
        return false;
    }
    if (s->commit == s->log_state.snapshot_index) { /* its entry may be cut already */
        return s->log_state.snapshot_term == engine_term(s->engine);
    }
    const struct log_entry *e = log_entry_find(s->host->log, s->o.shard, s->commit);
    return e != NULL && e->term == engine_term(s->engine);
}

bool shard_quiet(const struct shard *s)
{
    return !s->applier.busy && !s->applier.fetching && !s->checkpointer.running && !s->open_busy &&
           !s->configuration_fetching && s->fetches_n == 0;
}

void shard_set_state(struct shard *s, enum shard_state state, const char *format, ...)
{
    static const char *const names[] = {"opening",          "running", "installing", "restarting",
                                        "environment_lost", "amnesia", "refused",    "closed"};
    va_list args;
    va_start(args, format);
    vsnprintf(s->text, sizeof(s->text), format, args);
    va_end(args);
    if (state != s->state) {
        s->state = state;
        if (state >= SHARD_LOST && state != SHARD_CLOSED) {
            log_warn("event=shard.state shard=%u name=%s state=%s text=\"%s\"", s->o.shard,
                     s->o.name, names[state], s->text);
        } else {
            log_info("event=shard.state shard=%u name=%s state=%s", s->o.shard, s->o.name,
                     names[state]);
        }
        s->host->o.shard_changed(s->host->o.arg, s);
    }
    s->dirty = true;
}

/* U19: any error of a step but a refusal means the engine can't go on. */
void shard_check_engine(struct shard *s, enum status status, const char *what)
{
    switch (status) {
        case OK:
        case STATUS_NOT_LEADER:
        case STATUS_NOT_FOUND:
        case STATUS_BUSY:
        case STATUS_FULL:
            return;
        case STATUS_MALFORMED:
        case STATUS_INVALID:
            s->dropped_total++;
            return;
        default:
            log_error("event=shard.engine_failed shard=%u what=%s status=%s", s->o.shard, what,
                      status_name(status));
            host_fail(s->host, status, "MQ-RAFT-ENGINE",
                      "the consensus engine can't go on; restart this node");
    }
}

/* ---- state in the log ---- */

uint64_t shard_put_state(struct shard *s)
{
    return log_put_state(s->host->log, &s->log_state);
}

void shard_keep_log_state(struct shard *s, const struct log_state *from)
{
    struct block *old = s->log_state.configuration;
    s->log_state = *from;
    if (from->configuration != NULL) {
        block_ref(from->configuration);
    }
    block_unref(old);
}

/* ---- configurations ---- */

void shard_keep_configuration(struct shard *s, uint64_t index, struct block *block)
{
    if (s->configurations_n > 0 && s->configurations[s->configurations_n - 1].index >= index) {
        return;
    }
    if (s->configurations_n == CONFIGURATIONS_KEPT) {
        block_unref(s->configurations[0].block);
        memmove(&s->configurations[0], &s->configurations[1],
                sizeof(s->configurations[0]) * (CONFIGURATIONS_KEPT - 1));
        s->configurations_n--;
    }
    s->configurations[s->configurations_n++] = (struct kept_configuration){index, block_ref(block)};
}

static void drop_configurations(struct shard *s)
{
    for (uint32_t i = 0; i < s->configurations_n; i++) {
        block_unref(s->configurations[i].block);
    }
    s->configurations_n = 0;
}

struct block *shard_configuration_at(const struct shard *s, uint64_t index, uint64_t *out_index)
{
    for (uint32_t i = s->configurations_n; i > 0; i--) {
        if (s->configurations[i - 1].index <= index) {
            *out_index = s->configurations[i - 1].index;
            return s->configurations[i - 1].block;
        }
    }
    return NULL;
}

static void configuration_committed(struct shard *s, uint64_t index, struct block *block)
{
    shard_keep_configuration(s, index, block);
    enum status status = engine_configuration_committed(s->engine, host_now(s->host), index,
                                                        (struct bytes){block->data, block->size});
    shard_check_engine(s, status, "configuration");
}

static void on_configuration_fetched(struct log_fetch *f)
{
    struct shard *s = container_of(f, struct shard, configuration_fetch);
    s->configuration_fetching = false;
    if (f->status == OK && shard_active(s) && f->first == s->configuration_cursor + 1) {
        s->configuration_cursor = f->first;
        configuration_committed(s, f->first, f->payloads[0]);
    }
    block_unref(f->status == OK ? f->payloads[0] : NULL);
    s->dirty = true;
}

/* U12: each committed change, from the snapshot at each start on, is told to the engine once. */
static void follow_configurations(struct shard *s)
{
    struct log *l = s->host->log;
    while (shard_active(s) && !s->configuration_fetching && !engine_installing(s->engine) &&
           s->configuration_cursor < s->commit) {
        uint64_t index = s->configuration_cursor + 1;
        const struct log_entry *e = log_entry_find(l, s->o.shard, index);
        if (e == NULL) {
            return;
        }
        if (e->type != ENTRY_CHANGE) {
            s->configuration_cursor = index;
        } else if (e->payload != NULL) {
            struct block *b = block_ref(e->payload);
            s->configuration_cursor = index;
            configuration_committed(s, index, b);
            block_unref(b);
        } else {
            s->configuration_fetching = true;
            s->configuration_fetch = (struct log_fetch){
                .shard = s->o.shard, .first = index, .n = 1, .done = on_configuration_fetched};
            log_fetch_submit(l, &s->configuration_fetch);
        }
    }
}

/* ---- memory ---- */

struct shard *shard_new(struct host *h, const struct shard_options *o)
{
    struct shard *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->host = h;
    s->o = *o;
    s->state = SHARD_OPENING;
    if (o->tick_command != NULL) {
        block_ref(o->tick_command);
    }
    list_init(&s->held);
    shard_writer_init(s);
    shard_reader_init(s);
    s->lag_sample_every_ms = 50;
    int self = shard_member_find(s, o->replica);
    if (self < 0 || s->writer.entries == NULL) {
        shard_free(s);
        return NULL;
    }
    s->self = (uint32_t)self;
    return s;
}

void shard_free(struct shard *s)
{
    if (s == NULL) {
        return;
    }
    shard_install_cancel(s);
    shard_reader_lost(s, STATUS_CLOSED);
    shard_reader_complete(s);
    shard_writer_lost(s);
    shard_writer_complete(s);
    shard_writer_deinit(s);
    shard_apply_deinit(s);
    for (struct list *n = list_pop(&s->held); n != NULL; n = list_pop(&s->held)) {
        struct held_frame *f = container_of(n, struct held_frame, link);
        block_unref(f->frame);
        free(f);
    }
    engine_free(s->engine);
    drop_configurations(s);
    block_unref(s->log_state.configuration);
    block_unref(s->checkpointer.descriptor.configuration);
    block_unref(s->install_snapshot.configuration);
    block_unref(s->open_descriptor.configuration);
    if (s->o.machine.ops != NULL) {
        s->o.machine.ops->close(s->o.machine.self);
    }
    block_unref(s->o.tick_command);
    free(s);
}

/* ---- what one step of the engine asks for ---- */

static void carry_entries(struct shard *s, const struct engine_update *u)
{
    struct log_new_entry small[APPEND_ENTRIES_MAX];
    struct log_new_entry *entries = small;
    if (u->entries_n > APPEND_ENTRIES_MAX) {
        entries = calloc(u->entries_n, sizeof(*entries));
        if (entries == NULL) {
            host_fail(s->host, STATUS_NO_MEMORY, "MQ-MEMORY",
                      "out of memory while appending to the log");
            return;
        }
    }
    for (uint32_t i = 0; i < u->entries_n; i++) {
        entries[i] =
            (struct log_new_entry){u->entries[i].term, u->entries[i].type, u->entries[i].payload};
    }
    must(u->entries_first > s->applier.applied || s->lost); /* applied is committed: never cut */
    log_append(s->host->log, s->o.shard, u->entries_first, entries, u->entries_n);
    if (s->stored >= u->entries_first) {
        s->stored = u->entries_first - 1;
    }
    if (entries != small) {
        free(entries);
    }
}

static void carry_role(struct shard *s, const struct engine_update *u)
{
    bool was_leader = s->role == ENGINE_LEADER;
    bool changed = u->role != s->role || u->leader != s->leader;
    s->role = u->role;
    s->leader = u->role == ENGINE_LEADER ? s->o.replica : u->leader;
    shard_moves_follow(s, s->leader, u->term, host_now(s->host));
    if (u->role == ENGINE_LEADER && !was_leader) {
        s->elections_total++;
        s->led_since_ms = host_now(s->host);
        shard_writer_led(s);
        log_info("event=shard.leading shard=%u name=%s term=%llu", s->o.shard, s->o.name,
                 (unsigned long long)u->term);
    } else if (was_leader && u->role != ENGINE_LEADER) {
        shard_writer_lost(s);
        shard_reader_lost(s, STATUS_NO_LEADER);
        log_info("event=shard.led_no_more shard=%u name=%s term=%llu", s->o.shard, s->o.name,
                 (unsigned long long)u->term);
    }
    if (changed) {
        shard_lag_forget(s);
        s->host->o.shard_changed(s->host->o.arg, s);
    }
}

void shard_carry_out(void *arg, const struct engine_update *u)
{
    struct shard *s = arg;
    s->dirty = true;
    if (u->term_changed || u->vote_changed) {
        s->log_state.term = u->term;
        s->log_state.vote = u->vote;
        s->hold_sequence = shard_put_state(s);
    }
    if (u->entries_changed) {
        carry_entries(s, u);
    }
    carry_role(s, u); /* before messages: a follower's lowest match is the leader's to say */
    if (u->install) {
        shard_install_begin(s, &u->snapshot);
    }
    for (uint32_t i = 0; i < u->messages_n; i++) {
        const struct engine_message *m = &u->messages[i];
        if (m->kind == MESSAGE_VOTE_RESULT && m->vote_result.granted) {
            shard_early_granted(s, host_now(s->host));
        }
        if (m->kind == MESSAGE_APPEND) {
            shard_send_append(s, m);
        } else {
            shard_send_message(s, m);
        }
    }
    if (u->commit_changed && u->commit > s->commit) {
        s->commit = u->commit;
    }
}

/* A follower drops appends at the reserve of its disk, instead of failing in the middle of one; heartbeats still come through.
 * A shard whose own entries fill the log takes them all the same: only by going on can it take a checkpoint and cut. */
static bool room_for(struct shard *s, const struct engine_message *m)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; m->kind == MESSAGE_APPEND && i < m->append.n; i++) {
        const struct block *b = m->append.entries[i].payload;
        bytes += (b == NULL ? 0 : b->size) + 64;
    }
    if (bytes == 0 || log_has_room(s->host->log, bytes) ||
        log_wants_checkpoint(s->host->log, s->o.shard, 0)) {
        return true;
    }
    s->dropped_total++;
    return false;
}

void shard_receive_raft(struct shard *s, uint64_t from, const struct engine_message *m,
                        uint64_t lowest_match)
{
    if (!shard_active(s)) {
        return;
    }
    int member = shard_member_find(s, from);
    uint64_t now = host_now(s->host);
    if (member >= 0) {
        s->peers[member].contact = true;
        s->peers[member].contact_ms = now;
    }
    if (m->kind == MESSAGE_APPEND && m->term >= engine_term(s->engine)) {
        s->lowest_match = lowest_match;
    }
    if (m->kind == MESSAGE_TIMEOUT_NOW) {
        s->moves.asked_ms = now;
        if (m->timeout_now.chosen) { /* the preference does not undo it at once */
            s->quiet_until_ms = now + CHOSEN_MS;
        }
    }
    s->dirty = true;
    if (shard_install_settling(s, m, now) || !room_for(s, m)) {
        return;
    }
    shard_check_engine(s, engine_receive(s->engine, now, m), "receive");
}

/* ---- turns and time ---- */

static void advance_stored(struct shard *s)
{
    struct log *l = s->host->log;
    if (s->log_state.replica == 0) {
        return; /* not born yet: the log does not know this shard */
    }
    uint64_t last = log_last_index(l, s->o.shard);
    uint64_t first = log_first_index(l, s->o.shard);
    if (s->stored + 1 < first) {
        s->stored = first - 1;
    }
    while (s->stored < last) {
        const struct log_entry *e = log_entry_find(l, s->o.shard, s->stored + 1);
        if (e == NULL || e->sequence > s->host->durable) {
            return;
        }
        s->stored++;
    }
}

void shard_durable(struct shard *s)
{
    advance_stored(s);
    shard_release_held(s);
    s->dirty = true;
    if (s->founding_sequence != 0 && s->founding_sequence <= s->host->durable) {
        s->founding_sequence = 0;
        shard_start_engine(s);
    }
}

/* U7: never while installing, never as candidate. */
static void report_stored(struct shard *s)
{
    if (engine_installing(s->engine) || s->role == ENGINE_CANDIDATE ||
        s->stored <= engine_last_stored(s->engine)) {
        return;
    }
    shard_check_engine(s, engine_persisted(s->engine, host_now(s->host), s->stored), "persisted");
}

static void submit_barrier(struct shard *s)
{
    if (s->role != ENGINE_LEADER || !engine_needs_barrier(s->engine)) {
        return;
    }
    struct engine_entry barrier = {engine_term(s->engine), ENTRY_BARRIER, NULL};
    shard_check_engine(s, engine_submit(s->engine, host_now(s->host), &barrier, 1), "barrier");
}

/* START takes every entry of the log for durable (U2), so all of them must be. */
static bool may_reopen(struct shard *s)
{
    if (!s->reopen || host_now(s->host) < s->reopen_ms || !shard_quiet(s) || s->fetch != NULL ||
        s->install_sequence > s->host->durable) {
        return false;
    }
    advance_stored(s);
    return s->log_state.replica == 0 || s->stored >= log_last_index(s->host->log, s->o.shard);
}

static void reopen_when_quiet(struct shard *s)
{
    if (!may_reopen(s)) {
        return;
    }
    bool same = s->reopen_same;
    s->reopen = false;
    s->reopen_same = false;
    s->install_sequence = 0;
    engine_free(s->engine);
    s->engine = NULL;
    s->checkpointer.feed =
        false; /* it speaks of the environment before, or comes again with the next one */
    if (shard_witness(s) || same) {
        shard_start_engine(s);
        if (s->lost && s->state == SHARD_RUNNING) {
            shard_lose_environment(s, STATUS_CORRUPT);
        }
    } else {
        shard_open_environment(s, &s->log_state.environment);
    }
}

void shard_turn(struct shard *s)
{
    if (!s->dirty) {
        return;
    }
    s->dirty = false;
    if (shard_active(s)) {
        report_stored(s);
        submit_barrier(s);
        shard_handover_turn(s);
        shard_writer_turn(s);
        shard_reader_turn(s);
        follow_configurations(s);
    }
    if (shard_active(s) && !s->lost) {
        shard_apply_turn(s);
        shard_checkpoint_turn(s);
    }
    shard_install_turn(s);
    reopen_when_quiet(s);
    shard_writer_complete(s);
    shard_reader_complete(s);
}

void shard_tick(struct shard *s, uint64_t now_ms)
{
    if (shard_active(s)) {
        if (now_ms >= engine_deadline_ms(s->engine)) {
            shard_check_engine(s, engine_tick(s->engine, now_ms), "tick");
        }
        shard_early_tick(s, now_ms);
        shard_lead_tick(s, now_ms);
        shard_lag_sample(s, now_ms);
    }
    shard_writer_tick(s, now_ms);
    shard_reader_tick(s, now_ms);
    shard_install_tick(s, now_ms);
    s->dirty = true;
}

uint64_t shard_deadline_ms(const struct shard *s, uint64_t now_ms)
{
    uint64_t deadline = now_ms + 50;
    if (shard_active(s)) {
        uint64_t engine = engine_deadline_ms(s->engine);
        deadline = engine < deadline ? engine : deadline;
        if (s->early.armed && s->early.due_ms < deadline) {
            deadline = s->early.due_ms;
        }
        if (shard_apply_behind(s)) { /* an open transaction is to be committed soon */
            uint64_t commit = s->applier.commit_ms + s->host->o.commit_ms;
            deadline = commit < deadline ? commit : deadline;
        }
    }
    return deadline > now_ms ? deadline : now_ms + 1;
}
