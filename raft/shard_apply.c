/* Committed entries to the state machine, in jobs on the apply lane; one job at a time has the apply slot.
 *
 * Entries are applied only when they are committed and durable here (U13). Results go to the waiting requests at once; the
 * store's transaction is committed every few milliseconds, or when a read waits for it. A full disk pauses (nothing is skipped)
 * and is tried again; any other failure means that the environment is lost while the log goes on (K4). */
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "raft/shard_internal.h"

#define NO_SPACE_RETRY_MS 1000

static void drop_results(struct shard_applier *a)
{
    for (uint32_t i = 0; i < a->results.count; i++) {
        block_unref(a->results.items[i].payload);
    }
    a->results.count = 0;
}

static void drop_entries(struct shard_applier *a)
{
    for (uint32_t i = 0; i < a->n; i++) {
        block_unref(a->entries[i].payload);
    }
    a->n = 0;
}

void shard_apply_deinit(struct shard *s)
{
    struct shard_applier *a = &s->applier;
    drop_entries(a); /* fetched, and no turn came to apply them */
    drop_results(a);
    free(a->results.items);
    a->results = (struct sm_results){0};
}

bool shard_apply_behind(const struct shard *s)
{
    return s->applier.visible < s->applier.applied;
}

void shard_apply_reset(struct shard *s, uint64_t applied, const uint8_t digest[16])
{
    struct shard_applier *a = &s->applier;
    a->applied = applied;
    a->visible = applied;
    a->position = (struct sm_position){.index = applied};
    a->paused_until_ms = 0;
    a->commit_owed = false;
    a->due.dirty_bytes = 0;
    a->due.disk_low = false;
    memcpy(a->digest, digest, sizeof(a->digest));
    drop_entries(a); /* they continued another state */
    drop_results(a);
}

static void work_apply(struct job *j)
{
    struct shard_applier *a = container_of(j, struct shard_applier, job);
    struct shard *s = container_of(a, struct shard, applier);
    struct state_machine *m = &s->o.machine;
    a->status = OK;
    a->commit_status = OK;
    if (a->n > 0) {
        a->status = m->ops->apply(m->self, a->entries, a->n, a->want_results ? &a->results : NULL,
                                  &a->position);
    }
    if (a->status == OK && a->want_commit) {
        a->commit_status = m->ops->commit(m->self, &a->job_due);
    }
}

/* The log goes on and votes; what waited here gets the most that can be said. */
void shard_lose_environment(struct shard *s, enum status why)
{
    s->lost = true;
    shard_writer_lost(s);
    shard_reader_lost(s, STATUS_NOT_FOUND);
    if (s->state == SHARD_INSTALLING ||
        s->state == SHARD_RESTARTING) { /* another environment is on its way already */
        return;
    }
    shard_set_state(s, SHARD_LOST, "environment lost (%s); the log is whole, a copy repairs it",
                    status_text(why));
}

static void warn_disk_full(const struct shard *s)
{
    log_warn(
        "event=shard.disk_full shard=%u name=%s text=\"writes are refused, reads go on; "
        "free some space\"",
        s->o.shard, s->o.name);
}

static void no_space(struct shard *s)
{
    struct shard_applier *a = &s->applier;
    if (a->paused_until_ms == 0 && !a->due.disk_low) {
        warn_disk_full(s);
    }
    a->paused_until_ms = host_now(s->host) + NO_SPACE_RETRY_MS;
}

void shard_apply_committed(struct shard *s)
{
    struct shard_applier *a = &s->applier;
    if (a->commit_owed) {
        a->commit_owed = false;
        a->paused_until_ms = 0;
    }
    a->visible = a->applied;
    a->commit_ms = host_now(s->host);
    s->host->o.applied(s->host->o.arg, s, a->visible);
}

/* What was applied stays applied though its commit finds no space: a checkpoint may commit it before the next try. */
static void on_applied(struct job *j)
{
    struct shard_applier *a = container_of(j, struct shard_applier, job);
    struct shard *s = container_of(a, struct shard, applier);
    a->busy = false;
    s->dirty = true;
    drop_entries(a);
    if (a->status == STATUS_NO_SPACE) { /* the same entries come again, with the same answers */
        drop_results(a);
        no_space(s);
        return;
    }
    a->commit_owed = a->commit_status == STATUS_NO_SPACE;
    if (a->status != OK || (a->commit_status != OK && !a->commit_owed)) {
        shard_lose_environment(s, a->status != OK ? a->status : a->commit_status);
        return;
    }
    a->applied = a->position.index;
    memcpy(a->digest, a->position.digest, sizeof(a->digest));
    shard_writer_results(s, &a->results, a->applied);
    a->results.count = 0;
    if (a->commit_owed) {
        no_space(s);
        return;
    }
    a->paused_until_ms = 0;
    if (a->want_commit) {
        if (a->job_due.disk_low && !a->due.disk_low) {
            warn_disk_full(s);
        }
        a->due = a->job_due;
        s->checkpointer.dirty_bytes = a->due.dirty_bytes;
        shard_apply_committed(s);
    }
}

static void on_apply_fetched(struct log_fetch *f)
{
    struct shard_applier *a = container_of(f, struct shard_applier, fetch);
    struct shard *s = container_of(a, struct shard, applier);
    a->fetching = false;
    s->dirty = true;
    if (f->status == STATUS_CORRUPT ||
        f->status == STATUS_IO) { /* nobody can apply it here: a later state replaces it */
        log_error("event=shard.log_unreadable shard=%u name=%s first=%llu n=%u status=%s",
                  s->o.shard, s->o.name, (unsigned long long)f->first, f->n,
                  status_name(f->status));
        s->repair_min_index = f->first + f->n - 1;
        shard_lose_environment(s, f->status);
    }
    if (f->status != OK) {
        return; /* cut or replaced meanwhile: the next turn looks again */
    }
    must(f->first == a->applied + 1);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct log_entry *e = log_entry_find(s->host->log, s->o.shard, f->first + i);
        if (e == NULL || a->busy) {
            block_unref(f->payloads[i]);
            continue;
        }
        a->entries[a->n++] =
            (struct sm_entry){e->index, e->term, e->type == ENTRY_COMMAND ? f->payloads[i] : NULL};
        if (e->type != ENTRY_COMMAND) {
            block_unref(f->payloads[i]);
        }
    }
}

static uint64_t apply_limit(const struct shard *s)
{
    return s->commit < s->stored ? s->commit : s->stored;
}

/* Gathers cached entries behind `applied`; false when the first of them must be fetched. */
static bool gather(struct shard *s)
{
    struct shard_applier *a = &s->applier;
    uint64_t bytes = 0;
    uint64_t index = a->applied + 1;
    while (a->n < APPLY_ENTRIES_MAX && index <= apply_limit(s)) {
        const struct log_entry *e = log_entry_find(s->host->log, s->o.shard, index);
        if (e == NULL) {
            return true;
        }
        bool needs_payload = e->type == ENTRY_COMMAND && e->size > 0;
        if (needs_payload && e->payload == NULL) {
            return a->n > 0;
        }
        if (a->n > 0 && bytes + e->size > APPLY_BYTES_MAX) {
            return true;
        }
        a->entries[a->n++] =
            (struct sm_entry){index, e->term, needs_payload ? block_ref(e->payload) : NULL};
        bytes += e->size;
        index++;
    }
    return true;
}

static void fetch(struct shard *s)
{
    struct shard_applier *a = &s->applier;
    uint64_t left = apply_limit(s) - a->applied;
    a->fetching = true;
    a->fetch = (struct log_fetch){.shard = s->o.shard,
                                  .first = a->applied + 1,
                                  .n = left < 32 ? (uint32_t)left : 32,
                                  .done = on_apply_fetched};
    log_fetch_submit(s->host->log, &a->fetch);
}

void shard_apply_turn(struct shard *s)
{
    struct shard_applier *a = &s->applier;
    uint64_t now = host_now(s->host);
    if (shard_witness(s)) {
        a->applied = s->commit;
        a->visible = s->commit;
        return;
    }
    if (a->busy || a->fetching || s->open_busy || s->reopen ||
        (a->paused_until_ms != 0 && now < a->paused_until_ms)) {
        return;
    }
    bool slowed = s->checkpointer.running && a->due.dirty_bytes > 2 * (uint64_t)DIRTY_BYTES_MAX;
    if (!slowed && !a->commit_owed && a->n == 0 && a->applied < apply_limit(s) && !gather(s)) {
        fetch(s);
        return;
    }
    bool open = shard_apply_behind(s) || a->n > 0;
    a->want_commit = open && (a->commit_asked || now >= a->commit_ms + s->host->o.commit_ms);
    a->want_commit |= a->commit_owed;
    a->want_commit |= a->due.disk_low && now >= a->commit_ms + NO_SPACE_RETRY_MS;
    if (a->n == 0 && !a->want_commit) {
        return;
    }
    a->want_results = s->writer.entries_n > 0;
    a->commit_asked = false;
    a->busy = true;
    a->job.work = work_apply;
    a->job.done = on_applied;
    host_job(s->host, LANE_APPLY, &a->job);
}
