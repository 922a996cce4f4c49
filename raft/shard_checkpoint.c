/* Checkpoints of a shard, and what may be cut from its log afterwards (agreement.md section 3, K0 and K1).
 *
 * begin (apply lane: commit, pin N) -> finish (sync lane: sync, side file) -> the engine is told (this is Raft's snapshot) -> the
 * small state goes into the log -> the log is cut -> release (apply lane: the pin before N goes). One in flight.
 * A checkpoint is due by bytes of log, by pages, or by time. A failed sync of the data means that the environment is lost.
 * Entries stay for voters that lack them, up to a stated number of bytes. A witness's checkpoint is a record of the log. */
#include <string.h>

#include "base/log_line.h"
#include "raft/shard_internal.h"

#define WITNESS_BYTES (1024u * 1024u)
#define FULL_RETRY_MS 1000

/* The log is shared, and one old entry holds back all that anybody wrote after it: up to twice what is kept for peers, and a
 * segment that is only partly needed. Only the shard that holds it back is asked: cutting at another frees nothing. */
bool shard_holds_too_much(const struct shard *s, uint64_t after, uint64_t index)
{
    const struct host_options *o = &s->host->o;
    uint64_t segment = o->segment_bytes == 0 ? LOG_SEGMENT_BYTES : o->segment_bytes;
    return log_held_bytes(s->host->log, s->o.shard, after, index) > 2 * o->retain_bytes + segment;
}

/* How many entries to keep behind index: down to the last one that every voter has (its term is the next prev), within the
 * stated bytes. */
static uint32_t trailing(const struct shard *s, uint64_t index)
{
    uint64_t from = shard_lowest_match(s);
    from = from < index ? from : index;
    from -= from > 0 ? 1 : 0;
    uint64_t part = s->host->o.retain_bytes / s->host->shards_n;
    uint64_t bytes_max = shard_holds_too_much(s, from, index) ? 0 : part;
    while (from < index && log_bytes_after(s->host->log, s->o.shard, from) > bytes_max) {
        from += (index - from + 1) / 2;
    }
    uint64_t n = index - from;
    return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

/* The engine takes a snapshot only up to what this incarnation knows to be committed (U11). */
static bool engine_can_take(const struct shard *s, uint64_t index)
{
    return shard_active(s) && !engine_installing(s->engine) && index <= s->commit &&
           index <= s->stored && index <= engine_last_stored(s->engine) &&
           s->configuration_cursor >= index;
}

static void tell_engine(struct shard *s, uint64_t index, uint64_t term,
                        uint64_t configuration_index, struct block *configuration)
{
    struct engine_snapshot snapshot = {index, term, configuration_index, configuration};
    enum status status =
        engine_snapshot_taken(s->engine, host_now(s->host), &snapshot, trailing(s, index));
    if (status == STATUS_EXISTS) { /* the engine came by a newer one meanwhile */
        return;
    }
    shard_check_engine(s, status, "snapshot");
    if (status != OK) {
        return;
    }
    struct block *old = s->log_state.configuration;
    s->log_state.snapshot_index = index;
    s->log_state.snapshot_term = term;
    s->log_state.configuration_index = configuration_index;
    s->log_state.configuration = block_ref(configuration);
    block_unref(old);
    shard_put_state(s);
    uint64_t cut = engine_first_index(s->engine) - 1;
    log_cut(s->host->log, s->o.shard, cut < index ? cut : index);
}

static void feed(struct shard *s)
{
    struct shard_checkpointer *c = &s->checkpointer;
    if (!c->feed || !engine_can_take(s, c->descriptor.index)) {
        return;
    }
    c->feed = false;
    if (c->descriptor.index > s->log_state.snapshot_index) {
        tell_engine(s, c->descriptor.index, c->descriptor.term, c->descriptor.configuration_index,
                    c->descriptor.configuration);
    }
}

static void work_release(struct job *j)
{
    struct shard_checkpointer *c = container_of(j, struct shard_checkpointer, job);
    struct shard *s = container_of(c, struct shard, checkpointer);
    s->o.machine.ops->checkpoint_release(s->o.machine.self, c->checkpoint, c->status == OK);
}

static void on_released(struct job *j)
{
    struct shard_checkpointer *c = container_of(j, struct shard_checkpointer, job);
    struct shard *s = container_of(c, struct shard, checkpointer);
    c->checkpoint = NULL;
    c->running = false;
    s->dirty = true;
}

static void release(struct shard *s)
{
    struct shard_checkpointer *c = &s->checkpointer;
    c->job.work = work_release;
    c->job.done = on_released;
    host_job(s->host, LANE_APPLY, &c->job);
}

static void work_finish(struct job *j)
{
    struct shard_checkpointer *c = container_of(j, struct shard_checkpointer, job);
    struct shard *s = container_of(c, struct shard, checkpointer);
    c->status =
        s->o.machine.ops->checkpoint_finish(s->o.machine.self, c->checkpoint, &c->descriptor);
}

static void on_finished(struct job *j)
{
    struct shard_checkpointer *c = container_of(j, struct shard_checkpointer, job);
    struct shard *s = container_of(c, struct shard, checkpointer);
    s->dirty = true;
    if (c->status == OK) {
        c->retry_ms = 0;
        c->index = c->descriptor.index;
        c->feed = true;
        s->checkpoints_total++;
    } else if (c->status == STATUS_NO_SPACE) {
        c->retry_ms = host_now(s->host) + FULL_RETRY_MS;
    } else if (!s->closing) { /* never tried again: its pages are marked clean */
        shard_lose_environment(s, c->status);
    }
    release(s);
}

static void work_begin(struct job *j)
{
    struct shard_checkpointer *c = container_of(j, struct shard_checkpointer, job);
    struct shard *s = container_of(c, struct shard, checkpointer);
    c->status =
        s->o.machine.ops->checkpoint_begin(s->o.machine.self, c->descriptor.configuration,
                                           c->descriptor.configuration_index, &c->checkpoint);
}

static void on_begun(struct job *j)
{
    struct shard_checkpointer *c = container_of(j, struct shard_checkpointer, job);
    struct shard *s = container_of(c, struct shard, checkpointer);
    struct shard_applier *a = &s->applier;
    a->busy = false;
    s->dirty = true;
    if (c->status != OK) {
        c->running = false;
        if (c->status == STATUS_NO_SPACE) {
            c->retry_ms = host_now(s->host) + FULL_RETRY_MS;
        } else {
            shard_lose_environment(s, c->status);
        }
        return;
    }
    a->due.dirty_bytes = 0;
    shard_apply_committed(s); /* begin commits first */
    block_unref(c->descriptor.configuration);
    c->descriptor.configuration = NULL;
    c->job.work = work_finish;
    c->job.done = on_finished;
    host_job(s->host, LANE_SYNC, &c->job);
}

/* What is kept for a voter that is away holds segments back, too, but no checkpoint changes that. */
static bool due(const struct shard *s, uint64_t now)
{
    const struct shard_checkpointer *c = &s->checkpointer;
    uint64_t applied = s->applier.applied;
    if (applied <= c->index || now < c->retry_ms) {
        return false;
    }
    return c->asked || now >= c->started_ms + s->host->o.checkpoint_ms ||
           c->dirty_bytes >= DIRTY_BYTES_MAX ||
           log_bytes_after(s->host->log, s->o.shard, c->index) >= s->host->o.checkpoint_bytes ||
           log_wants_checkpoint(s->host->log, s->o.shard, c->index);
}

static void witness_turn(struct shard *s, uint64_t now)
{
    struct shard_checkpointer *c = &s->checkpointer;
    uint64_t index = s->commit < s->stored ? s->commit : s->stored;
    bool bytes = log_bytes_after(s->host->log, s->o.shard, c->index) >= WITNESS_BYTES;
    if (index <= c->index || (!bytes && now < c->started_ms + s->host->o.checkpoint_ms) ||
        !engine_can_take(s, index)) {
        return;
    }
    const struct log_entry *e = log_entry_find(s->host->log, s->o.shard, index);
    uint64_t configuration_index;
    struct block *configuration = shard_configuration_at(s, index, &configuration_index);
    if (e == NULL || configuration == NULL) {
        return;
    }
    c->started_ms = now;
    c->index = index;
    s->checkpoints_total++;
    tell_engine(s, index, e->term, configuration_index, configuration);
}

void shard_checkpoint_turn(struct shard *s)
{
    struct shard_checkpointer *c = &s->checkpointer;
    struct shard_applier *a = &s->applier;
    uint64_t now = host_now(s->host);
    if (shard_witness(s)) {
        witness_turn(s, now);
        return;
    }
    feed(s);
    if (c->running || c->feed || a->busy || a->fetching || a->n > 0 || s->open_busy || s->reopen ||
        !due(s, now)) {
        return;
    }
    uint64_t configuration_index;
    struct block *configuration = shard_configuration_at(s, a->applied, &configuration_index);
    if (configuration == NULL) {
        return; /* the change is not told yet: soon */
    }
    block_unref(c->descriptor.configuration);
    memset(&c->descriptor, 0, sizeof(c->descriptor));
    c->descriptor.configuration = block_ref(configuration);
    c->descriptor.configuration_index = configuration_index;
    c->asked = false;
    c->running = true;
    c->started_ms = now;
    c->dirty_bytes = 0;
    a->busy = true; /* the apply slot, until the pin is there */
    c->job.work = work_begin;
    c->job.done = on_begun;
    host_job(s->host, LANE_APPLY, &c->job);
}
