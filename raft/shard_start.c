/* Birth and start of a shard replica.
 *
 * Birth: the environment is created -> its name and the first entry (the founding configuration) go into the log -> durable.
 * Start: the environment is put back to its durable checkpoint -> the engine starts from the log -> running.
 * It can fail in three ways: the environment is lost (the log votes on, a copy repairs it), the log of this shard lost
 * acknowledged entries (it never votes again under this id), or a rule is broken (refused, with the reason). */
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "raft/shard_internal.h"

#define OPEN_RETRY_MS 20
#define FULL_RETRY_MS 1000
#define DISK_RETRY_MS 1000 /* no space to open it */
#define ANNOUNCE_MS   1000 /* how long the leader is told of an install */

static void work_open(struct job *j)
{
    struct shard *s = container_of(j, struct shard, open_job);
    struct state_machine *m = &s->o.machine;
    s->open_status = OK;
    if (uuid_zero(&s->open_environment)) {
        s->open_status = m->ops->create(m->self, &s->o.epoch, &s->open_environment, &s->open_error);
    }
    if (s->open_status == OK) {
        m->ops->close(m->self);
        s->open_status =
            m->ops->open(m->self, &s->open_environment, &s->open_descriptor, &s->open_error);
    }
}

static void born(struct shard *s)
{
    struct engine_configuration c = {.n = s->o.members_n};
    for (uint32_t i = 0; i < s->o.members_n; i++) {
        c.members[i] = (struct engine_member){s->o.members[i].replica, s->o.members[i].node,
                                              shard_voter(s, i) ? MEMBER_VOTER : MEMBER_SPARE};
    }
    struct log_new_entry first = {.term = 1, .type = ENTRY_CHANGE};
    if (engine_configuration_encode(&c, &first.payload) != OK) {
        host_fail(s->host, STATUS_NO_MEMORY, "MQ-MEMORY", "out of memory while founding a shard");
        return;
    }
    struct log_state state = {.shard = s->o.shard,
                              .epoch = s->o.epoch,
                              .replica = s->o.replica,
                              .term = 1,
                              .environment = s->open_environment};
    shard_keep_log_state(s, &state);
    shard_put_state(s);
    s->founding_sequence = log_append(s->host->log, s->o.shard, 1, &first, 1);
    block_unref(first.payload);
    s->dirty = true;
    log_info("event=shard.founded shard=%u name=%s replica=%016llx", s->o.shard, s->o.name,
             (unsigned long long)s->o.replica);
}

/* A store that the log no longer reaches is as good as none: a copy repairs it (K4). */
static void judge_reach(struct shard *s)
{
    if (s->open_status == OK && s->log_state.replica != 0 &&
        s->open_descriptor.index + 1 < log_first_index(s->host->log, s->o.shard)) {
        s->open_status =
            error_set(&s->open_error, STATUS_CORRUPT, "its last checkpoint lies below the log");
    }
}

static void on_opened(struct job *j)
{
    struct shard *s = container_of(j, struct shard, open_job);
    s->open_busy = false;
    s->dirty = true;
    if (s->closing) {
        return;
    }
    if (s->open_status ==
        STATUS_BUSY) { /* a query, a copy or a checkpoint still holds the environment */
        s->reopen = true;
        s->reopen_ms = host_now(s->host) + OPEN_RETRY_MS;
        return;
    }
    if (s->open_status == STATUS_NO_SPACE || s->open_status == STATUS_NO_MEMORY ||
        s->open_status == STATUS_NO_FILES) {
        s->reopen = true;
        s->reopen_ms = host_now(s->host) + FULL_RETRY_MS;
        shard_set_state(s, s->state, "it can't be opened yet: %.120s", s->open_error.text);
        return;
    }
    if (s->open_status == STATUS_IO && s->log_state.replica == 0) {
        log_warn("event=environment.waits shard=%u name=%s text=\"%.150s\"", s->o.shard, s->o.name,
                 s->open_error.text);
        s->reopen = true;
        s->reopen_ms = host_now(s->host) + DISK_RETRY_MS;
        return;
    }
    judge_reach(s);
    bool lost = s->open_status == STATUS_CORRUPT || s->open_status == STATUS_IO;
    if (lost && s->log_state.replica != 0) {
        s->lost = true;
        shard_start_engine(s);
        if (s->engine != NULL) {
            shard_set_state(s, SHARD_LOST,
                            "environment lost (%.80s); the log is whole, a copy repairs it",
                            s->open_error.text);
        }
        return;
    }
    if (s->open_status != OK) {
        shard_set_state(s, SHARD_REFUSED, "%.150s", s->open_error.text);
        return;
    }
    s->lost = false;
    s->repair_min_index = 0;
    shard_apply_reset(s, s->open_descriptor.index, s->open_descriptor.digest);
    s->checkpointer.index = s->open_descriptor.index;
    if (s->open_descriptor.configuration != NULL) {
        shard_keep_configuration(s, s->open_descriptor.configuration_index,
                                 s->open_descriptor.configuration);
    }
    if (s->log_state.replica == 0) {
        born(s);
        return;
    }
    if (s->engine == NULL) {
        shard_start_engine(s);
    } else if (s->state == SHARD_LOST || s->state == SHARD_RESTARTING) {
        shard_set_state(s, SHARD_RUNNING, "%s", "");
    }
}

void shard_open_environment(struct shard *s, const struct uuid *environment)
{
    must(!s->open_busy);
    s->open_busy = true;
    s->open_environment = *environment;
    block_unref(s->open_descriptor.configuration);
    memset(&s->open_descriptor, 0, sizeof(s->open_descriptor));
    s->open_job.work = work_open;
    s->open_job.done = on_opened;
    host_job(s->host, LANE_APPLY, &s->open_job);
}

/* Says why this replica must not take part, or NULL. */
static const char *why_refused(const struct shard *s, const struct log_state *st)
{
    if (st->removed) {
        return "this replica was removed from the shard; it is never started again";
    }
    if (!epoch_equal(&st->epoch, &s->o.epoch)) {
        return "the log holds this shard in another epoch; this replica needs member replace (a "
               "later release)";
    }
    if (st->replica != s->o.replica) {
        return "the log holds this shard under another replica id; this replica needs member "
               "replace (a later release)";
    }
    return NULL;
}

static enum status begin_known(struct shard *s, const struct log_state *st)
{
    shard_keep_log_state(s, st);
    const char *why = why_refused(s, st);
    if (why != NULL) {
        shard_set_state(s, SHARD_REFUSED, "%s", why);
        return OK;
    }
    if (st->amnesia || log_shard_damage(s->host->log, s->o.shard) == LOG_DAMAGED) {
        if (!st->amnesia) { /* durable before anything else is said, and kept in every head */
            s->log_state.amnesia = true;
            shard_put_state(s);
        }
        shard_set_state(s, SHARD_AMNESIA,
                        "acknowledged entries of this replica are lost; it never votes again under "
                        "this id and needs "
                        "member replace (a later release)");
        return OK;
    }
    if (shard_witness(s)) {
        shard_start_engine(s);
    } else {
        shard_open_environment(s, &st->environment);
    }
    return OK;
}

enum status shard_begin(struct shard *s, struct error *e)
{
    const struct log_state *st = log_state_find(s->host->log, s->o.shard);
    if (st != NULL) {
        return begin_known(s, st);
    }
    if (!s->o.found) {
        return error_set(e, STATUS_NOT_FOUND,
                         "shard %s was never on this node and may not be founded here; add this "
                         "node with member replace "
                         "(a later release)",
                         s->o.name);
    }
    if (log_ever_damaged(s->host->log)) {
        return error_set(
            e, STATUS_PERMISSION,
            "the log of this node was damaged once: it founds no shard; replace the node's data");
    }
    if (shard_witness(s)) {
        born(s);
    } else {
        struct uuid none = {{0}};
        shard_open_environment(s, &none);
    }
    return OK;
}

/* W6: the library drops a log that does not reach its snapshot in silence, so we look first. */
static const char *log_hole(const struct shard *s, uint64_t first, uint64_t last)
{
    if ((shard_rules_off & SHARD_RULE_W6) != 0) {
        return NULL;
    }
    if (first > s->log_state.snapshot_index + 1) {
        return "the log begins above its snapshot";
    }
    if (last < s->log_state.snapshot_index && last + 1 != first) {
        return "the log ends below its snapshot";
    }
    if (!s->lost && s->applier.applied > last && s->applier.applied > s->log_state.snapshot_index) {
        return "the store is ahead of the log";
    }
    return NULL;
}

static struct engine_entry *start_entries(const struct shard *s, uint64_t first, uint32_t n)
{
    struct engine_entry *entries = calloc(n == 0 ? 1 : n, sizeof(*entries));
    for (uint32_t i = 0; entries != NULL && i < n; i++) {
        const struct log_entry *e = log_entry_find(s->host->log, s->o.shard, first + i);
        must(e != NULL);
        entries[i] = (struct engine_entry){e->term, e->type, e->payload};
        must(e->type != ENTRY_CHANGE || e->payload != NULL); /* the log keeps changes cached */
    }
    return entries;
}

static enum status start_from_log(struct shard *s, uint64_t first, uint64_t last)
{
    struct host *h = s->host;
    uint32_t n = (uint32_t)(last + 1 - first);
    struct engine_options o = {
        .replica = s->o.replica,
        .election_timeout_ms = h->o.election_timeout_ms,
        .heartbeat_ms = h->o.heartbeat_ms,
        .inflight_max = 256,
        .seed = random_u64(h->o.random),
        .carry_out = shard_carry_out,
        .arg = s,
    };
    struct engine_entry *entries = start_entries(s, first, n);
    if (entries == NULL || engine_new(&o, &s->engine) != OK) {
        free(entries);
        return STATUS_NO_MEMORY;
    }
    struct engine_start start = {
        .term = s->log_state.term,
        .vote = s->log_state.vote,
        .has_snapshot = s->log_state.snapshot_index > 0,
        .snapshot = {s->log_state.snapshot_index, s->log_state.snapshot_term,
                     s->log_state.configuration_index, s->log_state.configuration},
        .start_index = first,
        .entries = entries,
        .entries_n = n,
    };
    enum status status = engine_start(s->engine, host_now(h), &start);
    free(entries);
    return status;
}

void shard_start_engine(struct shard *s)
{
    struct log *l = s->host->log;
    uint64_t first = log_first_index(l, s->o.shard);
    uint64_t last = log_last_index(l, s->o.shard);
    const char *hole = log_hole(s, first, last);
    if (hole != NULL) {
        shard_set_state(s, SHARD_REFUSED, "%s: this replica needs member replace (a later release)",
                        hole);
        return;
    }
    const struct log_entry *newest = log_entry_find(l, s->o.shard, last);
    must(newest == NULL || newest->sequence <= s->host->durable);
    s->stored = last;
    s->commit = s->log_state.snapshot_index;
    s->configuration_cursor = s->log_state.snapshot_index;
    s->role = ENGINE_FOLLOWER;
    s->leader = 0;
    if (s->log_state.configuration != NULL && s->configurations_n == 0) {
        shard_keep_configuration(s, s->log_state.configuration_index, s->log_state.configuration);
    }
    enum status status = start_from_log(s, first, last);
    if (status == STATUS_CORRUPT) {
        engine_free(s->engine);
        s->engine = NULL;
        shard_set_state(
            s, SHARD_REFUSED,
            "the log makes no sense: this replica needs member replace (a later release)");
        return;
    }
    if (status != OK) {
        shard_check_engine(s, status, "start");
        return;
    }
    if (s->installed_index != 0 && s->installed_index == s->log_state.snapshot_index) {
        s->announce_until_ms = host_now(s->host) + ANNOUNCE_MS;
    }
    uint64_t commit = engine_commit(s->engine);
    s->commit = commit > s->commit ? commit : s->commit;
    shard_set_state(s, SHARD_RUNNING, "%s", "");
}
