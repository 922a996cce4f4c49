/* A state that comes from another node: the install of a snapshot, and the repair of a lost environment.
 *
 * Install (K3): the engine asks -> a copy is fetched into a new environment -> one synced log record names it and empties the
 * log (the commit point) -> the engine starts again from disk (U10). A witness stores the descriptor only.
 * Repair (K4): the environment is lost and the log is whole -> a copy whose index the log covers -> a record that keeps the log.
 * A fetch that fails is tried again from another source; after three failures the engine starts again from disk, because it
 * knows no other way to give an install up. */
#include "base/log_line.h"
#include "raft/shard_internal.h"

#define RETRY_MS     500
#define FAILURES_MAX 3

static void take_descriptor(struct shard *s, uint64_t index, uint64_t term,
                            uint64_t configuration_index, struct block *configuration)
{
    struct block *old = s->log_state.configuration;
    s->log_state.snapshot_index = index;
    s->log_state.snapshot_term = term;
    s->log_state.configuration_index = configuration_index;
    s->log_state.configuration = configuration != NULL ? block_ref(configuration) : NULL;
    block_unref(old);
}

static void forget_configurations(struct shard *s)
{
    for (uint32_t i = 0; i < s->configurations_n; i++) {
        block_unref(s->configurations[i].block);
    }
    s->configurations_n = 0;
}

static void restart(struct shard *s, uint64_t sequence)
{
    s->install_sequence = sequence;
    s->reopen = true;
    s->reopen_same = sequence == 0;
    s->installed_index = sequence == 0 ? 0 : s->log_state.snapshot_index;
    s->announce_until_ms = 0;
    shard_writer_lost(
        s); /* the next engine begins as a follower: what waits for this leadership gets its answer now */
    shard_reader_lost(s, STATUS_NO_LEADER);
    block_unref(s->install_snapshot.configuration);
    s->install_snapshot.configuration = NULL;
    shard_set_state(s, SHARD_RESTARTING, "starting again from disk");
}

void shard_install_begin(struct shard *s, const struct engine_snapshot *snapshot)
{
    block_unref(s->install_snapshot.configuration);
    s->install_snapshot = *snapshot;
    block_ref(snapshot->configuration);
    s->install_failures = 0;
    s->install_retry_ms = 0;
    shard_install_cancel(s); /* of a repair: its copy may end below what this one needs */
    log_info("event=shard.installing shard=%u name=%s index=%llu term=%llu", s->o.shard, s->o.name,
             (unsigned long long)snapshot->index, (unsigned long long)snapshot->term);
    shard_set_state(s, SHARD_INSTALLING, "fetching a copy");
}

static void install_witness(struct shard *s)
{
    struct engine_snapshot *i = &s->install_snapshot;
    take_descriptor(s, i->index, i->term, i->configuration_index, i->configuration);
    forget_configurations(s);
    s->checkpointer.index = i->index;
    s->installs_total++;
    restart(s, log_install(s->host->log, &s->log_state));
}

/* An install must reach what the engine asked for, because it empties the log; a repair must join the log as it is now (K4): in
 * its range, and of its history. */
static bool installable(const struct shard *s, const struct sm_descriptor *d)
{
    struct log *l = s->host->log;
    if (s->state == SHARD_INSTALLING) {
        return d->index >= s->install_snapshot.index;
    }
    if (s->state != SHARD_LOST || d->index + 1 < log_first_index(l, s->o.shard) ||
        d->index > s->stored) {
        return false;
    }
    if (d->index == s->log_state.snapshot_index) {
        return d->term == s->log_state.snapshot_term;
    }
    const struct log_entry *e = log_entry_find(l, s->o.shard, d->index);
    return e == NULL ||
           e->term == d->term; /* none: one below the first, which the snapshot covers */
}

void shard_install_fetched(struct shard *s, enum status status, const struct uuid *environment,
                           const struct sm_descriptor *d)
{
    s->fetch = NULL;
    s->dirty = true;
    if (s->closing) {
        return;
    }
    if (status != OK) {
        log_warn("event=shard.fetch_failed shard=%u name=%s status=%s", s->o.shard, s->o.name,
                 status_name(status));
        s->install_failures++;
        s->install_retry_ms = host_now(s->host) + RETRY_MS;
        if (s->state == SHARD_INSTALLING && s->install_failures >= FAILURES_MAX) {
            restart(s, 0);
        }
        return;
    }
    if (!installable(s, d)) {
        log_warn("event=shard.copy_unfit shard=%u name=%s index=%llu", s->o.shard, s->o.name,
                 (unsigned long long)d->index);
        s->install_failures++;
        s->install_retry_ms = host_now(s->host) + RETRY_MS;
        return;
    }
    s->installs_total++;
    s->log_state.environment = *environment;
    if (s->state == SHARD_INSTALLING) {
        take_descriptor(s, d->index, d->term, d->configuration_index, d->configuration);
        forget_configurations(s);
        if (d->term >
            s->log_state
                .term) { /* it comes from a term we have not heard of: else the log would make no sense */
            s->log_state.term = d->term;
            s->log_state.vote = 0;
        }
        restart(s, log_install(s->host->log, &s->log_state));
    } else {
        restart(s, shard_put_state(s)); /* the log stays: it covers the copy's index */
    }
    log_info("event=shard.installed shard=%u name=%s index=%llu", s->o.shard, s->o.name,
             (unsigned long long)d->index);
}

/* The leader's node first, then the other data members in turn. */
static node_id choose_source(const struct shard *s)
{
    int leader = shard_member_find(s, s->leader);
    uint32_t skip = s->install_failures;
    if (skip == 0 && leader >= 0 && s->o.members[leader].role == ROLE_DATA &&
        (uint32_t)leader != s->self) {
        return s->o.members[leader].node;
    }
    for (uint32_t round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < s->o.members_n; i++) {
            bool full = s->o.members[i].role == ROLE_DATA || s->o.shard == SHARD_DIRECTORY;
            if (i == s->self || !full) {
                continue;
            }
            if (skip == 0) {
                return s->o.members[i].node;
            }
            skip--;
        }
    }
    return leader >= 0 && (uint32_t)leader != s->self ? s->o.members[leader].node : 0;
}

void shard_install_turn(struct shard *s)
{
    if (s->state == SHARD_INSTALLING && shard_witness(s)) {
        install_witness(s);
        return;
    }
    bool repair = s->state == SHARD_LOST && s->engine != NULL;
    if ((s->state != SHARD_INSTALLING && !repair) || s->fetch != NULL || s->closing || s->reopen ||
        host_now(s->host) < s->install_retry_ms) {
        return;
    }
    uint64_t min_index = s->install_snapshot.index;
    uint64_t max_index = UINT64_MAX;
    if (repair) {
        min_index = log_first_index(s->host->log, s->o.shard) - 1;
        min_index = min_index > s->repair_min_index ? min_index : s->repair_min_index;
        max_index = s->stored;
    }
    node_id source = choose_source(s);
    enum status status = STATUS_UNREACHABLE;
    if (source != 0) {
        status = copy_fetch_start(s, source, min_index, max_index, &s->fetch);
    }
    if (status != OK) {
        s->fetch = NULL;
        s->install_failures++;
        s->install_retry_ms = host_now(s->host) + RETRY_MS;
        if (s->state == SHARD_INSTALLING && s->install_failures >= 4 * FAILURES_MAX) {
            restart(s, 0);
        }
    }
}

/* The engine that asked for the install is gone, and with it the answer that the leader waits for (U10). So the new one's owner
 * gives it: up to the installed index this log equals the leader's, because that index is committed. Until the leader has
 * heard it, its next offer of a snapshot is dropped: under load it is always a newer one, and copies would never end. */
bool shard_install_settling(struct shard *s, const struct engine_message *m, uint64_t now_ms)
{
    if (now_ms >= s->announce_until_ms || m->term != engine_term(s->engine)) {
        return false;
    }
    if (m->kind == MESSAGE_APPEND && s->leader == m->from &&
        s->result_form.kind == MESSAGE_APPEND_RESULT) {
        struct engine_message result = s->result_form;
        result.from = s->o.replica;
        result.to = m->from;
        result.term = m->term;
        result.append_result.rejected = 0;
        result.append_result.last_log_index = s->installed_index;
        shard_send_message(s, &result);
    }
    return m->kind == MESSAGE_INSTALL;
}

void shard_install_cancel(struct shard *s)
{
    if (s->fetch != NULL) {
        copy_fetch_cancel(s->fetch);
        s->fetch = NULL;
    }
}
