/* From the queue to the disk: one batch in flight, one sync for all shards.
 *
 * Happy path: log_writer_queue() keeps records in order -> log_writer_plan() (loop) takes as many
 * as fit the segment, gives them places, and notes what a head at this position would say ->
 * log_writer_work() (log thread) makes the file if none was free, writes and syncs the head of a
 * new segment, encodes and writes the batch, syncs, leaves a mark -> log_writer_take() (loop) moves
 * the durable sequence and carries out the cuts that waited for it. No space for a new file: the
 * planned batch waits and is tried again; nothing was written. Other failure: the first one is kept,
 * nothing is ever planned or reported again, on_failed is called once, from a completion. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/log_internal.h"

#define QUEUE_BYTES_MAX   (16u * 1024u * 1024u)
#define CARRY_ENTRIES_MAX 16u             /* of one quiet shard */
#define CARRY_BYTES_MAX   (16u * 1024u)   /* of one quiet shard */
#define CARRY_TOTAL_MAX   (1024u * 1024u) /* of all, or an eighth of a segment */
#define ASK_FREE_EVERY    16u             /* batches */
#define FULL_RETRY_MS     200u

enum status log_writer_init(struct log *l)
{
    l->write = calloc(1, sizeof(*l->write));
    if (l->write == NULL) {
        return STATUS_NO_MEMORY;
    }
    l->write->log = l;
    buffer_init(&l->write->head, l->options.segment_bytes / 2);
    return OK;
}

static void drop_records(struct log_record *records, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        block_unref(records[i].payload);
    }
}

void log_writer_deinit(struct log *l)
{
    if (l->queue_n > 0) {
        drop_records(l->queue + l->queue_head, l->queue_n);
    }
    free(l->queue);
    if (l->write != NULL) {
        if (l->waits) {
            drop_records(l->write->records, l->write->batch.records_n);
        }
        buffer_deinit(&l->write->head);
        free(l->write->carries);
        free(l->write->records);
        free(l->write->bytes);
        free(l->write);
    }
}

static uint32_t payload_size(const struct log_record *r)
{
    return r->payload == NULL ? 0 : r->payload->size;
}

void log_writer_queue(struct log *l, struct log_record *r, struct log_shard *s)
{
    r->sequence = l->next_sequence++;
    if (s != NULL) {
        s->last_sequence = r->sequence;
    }
    if (l->queue_head + l->queue_n == l->queue_capacity) {
        if (l->queue_head > 0) {
            memmove(l->queue, l->queue + l->queue_head, l->queue_n * sizeof(*l->queue));
            l->queue_head = 0;
        } else {
            uint32_t capacity = l->queue_capacity == 0 ? 256 : l->queue_capacity * 2;
            struct log_record *queue = realloc(l->queue, capacity * sizeof(*queue));
            if (queue == NULL) {
                block_unref(r->payload);
                log_fail(l, STATUS_NO_MEMORY, "queueing a record");
                return;
            }
            l->queue = queue;
            l->queue_capacity = capacity;
        }
    }
    if (l->queue_n == 0 && !l->writing) {
        l->pending_since_ms = log_now_ms(l);
    }
    l->queue[l->queue_head + l->queue_n++] = *r;
    l->queued_bytes += log_record_size(payload_size(r));
}

/* How many records of the queue fit into `room` bytes. */
static uint32_t count_fitting(struct log *l, uint64_t room, uint64_t *out_bytes)
{
    uint64_t bytes = 0;
    uint32_t shards = 0, n = 0;
    l->stamp++;
    for (; n < l->queue_n; n++) {
        const struct log_record *r = &l->queue[l->queue_head + n];
        struct log_shard *s = log_shard_find(l, r->shard);
        uint32_t more = s != NULL && s->stamp != l->stamp;
        uint64_t size = log_record_size(payload_size(r));
        uint64_t whole = log_batch_size(shards + more, bytes + size);
        if (whole > room || whole > LOG_BATCH_BYTES_MAX) {
            break;
        }
        if (more) {
            s->stamp = l->stamp;
        }
        shards += more;
        bytes += size;
    }
    *out_bytes = bytes;
    return n;
}

/* A quiet shard with few entries, all in older segments, takes them along in the head. */
static bool can_carry(const struct log *l, const struct log_shard *s, uint32_t room,
                      uint32_t *out_bytes)
{
    if (s->last_sequence != s->written.last_sequence || s->written.first > s->written.last ||
        s->written.first_segment >= l->current->number || s->ring.first != s->written.first ||
        log_ring_last(&s->ring) != s->written.last || s->ring.count > CARRY_ENTRIES_MAX) {
        return false;
    }
    uint32_t bytes = 0;
    for (uint64_t i = s->ring.first; i <= s->written.last; i++) {
        bytes += log_record_size(log_ring_find(&s->ring, i)->entry.size);
        if (bytes > CARRY_BYTES_MAX || bytes > room) {
            return false;
        }
    }
    *out_bytes = bytes;
    return true;
}

static enum status add_carry(struct log *l, const struct log_carry *c)
{
    struct log_write *w = l->write;
    if (w->carries_n == w->carries_capacity) {
        uint32_t capacity = w->carries_capacity == 0 ? 64 : w->carries_capacity * 2;
        struct log_carry *carries = realloc(w->carries, capacity * sizeof(*carries));
        if (carries == NULL) {
            return STATUS_NO_MEMORY;
        }
        w->carries = carries;
        w->carries_capacity = capacity;
    }
    w->carries[w->carries_n++] = *c;
    return OK;
}

static enum status carry(struct log *l, struct log_shard *s, uint32_t number, uint32_t at)
{
    for (uint64_t i = s->ring.first; i <= s->written.last; i++) {
        struct log_slot *slot = log_ring_find(&s->ring, i);
        uint32_t size = log_record_size(slot->entry.size);
        struct log_carry c = {log_segment_find(l, slot->segment), slot->at, at, size};
        must(c.from != NULL);
        enum status rv = add_carry(l, &c);
        if (rv != OK) {
            return rv;
        }
        slot->segment = number;
        slot->at = at;
        at += size;
    }
    s->written.first_segment = number;
    return OK;
}

static enum status head_shard(struct log *l, struct log_shard *s, uint32_t number, uint32_t *room)
{
    struct log_head_shard hs = {
        .shard = s->id,
        .damaged = s->written.damaged,
        .first = s->written.first,
        .last = s->written.last,
        .last_sequence = s->written.last_sequence,
        .first_segment = s->written.first_segment,
        .state = {s->written.state->data, s->written.state->size},
    };
    uint32_t bytes = 0, entries_at;
    bool carried = l->current != NULL && can_carry(l, s, *room, &bytes);
    if (carried) {
        hs.entries_n = s->ring.count;
        hs.first_segment = number;
        *room -= bytes;
    }
    enum status rv = log_head_append_shard(&l->write->head, &hs, bytes, &entries_at);
    return rv == OK && carried ? carry(l, s, number, entries_at) : rv;
}

static enum status plan_head(struct log *l, uint32_t number)
{
    struct log_write *w = l->write;
    struct log_head h = {
        .cluster = l->options.cluster,
        .node = l->options.node,
        .segment_bytes = l->options.segment_bytes,
        .number = number,
        .generation = l->generation,
        .seed = l->seed,
        .previous_generation = l->written_generation,
        .previous_sequence = l->written_sequence,
        .needed = number,
        .ever_damaged = l->ever_damaged,
    };
    uint32_t room = l->options.segment_bytes / 8 < CARRY_TOTAL_MAX ? l->options.segment_bytes / 8
                                                                   : CARRY_TOTAL_MAX;
    w->carries_n = 0;
    enum status rv = log_head_begin(&w->head, &h);
    for (uint32_t i = 0; i < l->shards_n && rv == OK && log_rule(LOG_RULE_W3); i++) {
        struct log_shard *s = l->shards[i];
        if (s->written.state != NULL) {
            rv = head_shard(l, s, number, &room);
        }
        if (s->written.first_segment != 0 && s->written.first_segment < h.needed) {
            h.needed = s->written.first_segment;
        }
    }
    if (rv == OK) {
        log_head_set_needed(&w->head, h.needed);
        w->needed = h.needed;
        rv = log_head_finish(&w->head);
    }
    return rv;
}

/* The next batch begins a segment of its own. */
static enum status plan_switch(struct log *l)
{
    struct log_write *w = l->write;
    uint32_t number = l->current == NULL ? 1 : l->current->number + 1;
    for (uint32_t i = 0; i < l->segments_n; i++) { /* above a damaged one without a head, too */
        number = l->segments[i]->number >= number ? l->segments[i]->number + 1 : number;
    }
    struct log_segment *seg = log_segment_find_free(l);
    w->make = seg == NULL;
    if (w->make) {
        w->make_id = l->next_id++;
        seg = log_segment_add(l, w->make_id, NULL);
        if (seg == NULL) {
            return l->segments_n == LOG_SEGMENTS_MAX ? STATUS_NO_SPACE : STATUS_NO_MEMORY;
        }
    }
    enum status rv = plan_head(l, number);
    if (rv != OK) {
        return rv;
    }
    seg->number = number;
    seg->used = (uint32_t)w->head.size;
    l->current = seg;
    w->switch_ = true;
    return OK;
}

/* What the record means for the written position of its shard. */
static void written_take(struct log *l, struct log_shard *s, const struct log_record *r,
                         uint32_t at)
{
    struct log_slot *slot;
    s->written.last_sequence = r->sequence;
    switch (r->kind) {
        case KIND_ENTRY:
            if (s->written.first >
                s->written.last) { /* the ring may hold what replaces it already */
                s->written.first_segment = l->current->number;
            }
            s->written.last = r->index;
            slot = log_ring_find(&s->ring, r->index);
            if (slot != NULL && slot->entry.sequence == r->sequence) {
                slot->segment = l->current->number;
                slot->at = at;
            }
            break;
        case KIND_TRUNCATE:
            s->written.last = r->index - 1;
            break;
        case KIND_STATE:
        case KIND_INSTALL:
            block_unref(s->written.state);
            s->written.state = block_ref(r->payload);
            s->written.snapshot_index = r->index;
            if (r->kind == KIND_INSTALL) {
                s->written.damaged = false;
                s->written.first = r->index + 1;
                s->written.last = r->index;
            } else if (r->index > s->written.last) {
                s->written.first = r->index + 1;
                s->written.last = r->index;
            }
            break;
        case KIND_GENERATION:
            break;
    }
}

/* After the written position moved: where does the first entry lie now? */
static void update_first_segment(struct log_shard *s)
{
    if (s->written.first > s->written.last) {
        s->written.first_segment = 0;
        return;
    }
    const struct log_slot *slot = log_ring_find(&s->ring, s->written.first);
    if (slot != NULL && slot->segment != 0) {
        s->written.first_segment = slot->segment;
    } /* else what is queued replaces it, and until that is written the old one counts */
}

static enum status take_queue(struct log *l, uint32_t n, uint64_t bytes)
{
    struct log_write *w = l->write;
    if (n > w->records_capacity) {
        struct log_record *records = realloc(w->records, n * sizeof(*records));
        if (records == NULL) {
            return STATUS_NO_MEMORY;
        }
        w->records = records;
        w->records_capacity = n;
    }
    memcpy(w->records, l->queue + l->queue_head, n * sizeof(*w->records));
    l->queue_head = n == l->queue_n ? 0 : l->queue_head + n;
    l->queue_n -= n;
    w->records_bytes = bytes;
    return OK;
}

/* Fills list, written positions and marks for the n records now in the batch. */
static void plan_records(struct log *l, uint32_t n)
{
    struct log_write *w = l->write;
    uint32_t shards = 0;
    l->stamp++;
    for (uint32_t i = 0; i < n; i++) {
        struct log_shard *s = log_shard_find(l, w->records[i].shard);
        if (s != NULL && s->stamp != l->stamp) {
            s->stamp = l->stamp;
            w->list[shards++] = (struct log_list_item){s->id, s->written.last_sequence};
        }
    }
    w->batch.shards_n = shards;
    uint32_t at = w->at + log_batch_records_at(shards);
    for (uint32_t i = 0; i < n; i++) {
        struct log_shard *s = log_shard_find(l, w->records[i].shard);
        if (s != NULL) {
            written_take(l, s, &w->records[i], at);
        }
        at += log_record_size(payload_size(&w->records[i]));
    }
    w->marks_n = 0;
    for (uint32_t i = 0; i < l->shards_n; i++) {
        struct log_shard *s = l->shards[i];
        if (s->stamp == l->stamp) {
            update_first_segment(s);
        }
        if (s->written.state != NULL) {
            w->marks[w->marks_n++] = (struct log_list_item){s->id, s->written.last_sequence};
        }
    }
}

enum status log_writer_plan(struct log *l, bool fresh, const char *site)
{
    struct log_write *w = l->write;
    uint64_t bytes;
    uint32_t n = 0;
    must(l->queue_n > 0);
    w->switch_ = false;
    w->make = false;
    if (!fresh && l->current != NULL) {
        uint64_t left = l->options.segment_bytes - l->current->used;
        n = left <= LOG_BLOCK_BYTES ? 0 : count_fitting(l, left - LOG_BLOCK_BYTES, &bytes);
    }
    if (n == 0) {
        enum status rv = plan_switch(l);
        if (rv != OK) {
            return rv;
        }
        n = count_fitting(l, l->options.segment_bytes - l->current->used - LOG_BLOCK_BYTES, &bytes);
        must(n > 0);
    }
    enum status rv = take_queue(l, n, bytes);
    if (rv != OK) {
        return rv;
    }
    w->site = site;
    w->segment = l->current;
    w->at = l->current->used;
    w->batch = (struct log_batch){
        .seed = l->seed,
        .segment = l->current->number,
        .generation = l->generation,
        .first = w->records[0].sequence,
        .last = w->records[n - 1].sequence,
        .previous_generation = l->written_generation,
        .previous_sequence = l->written_sequence,
        .needed = l->needed,
        .records_n = n,
    };
    plan_records(l, n);
    w->batch.size = log_batch_size(w->batch.shards_n, bytes);
    l->current->used += w->batch.size;
    l->written_generation = l->generation;
    l->written_sequence = w->batch.last;
    w->ask_free = w->switch_ || l->batches++ % ASK_FREE_EVERY == 0;
    return OK;
}

static enum status write_head(struct log *l, struct log_write *w)
{
    struct disk *d = l->options.disk;
    for (uint32_t i = 0; i < w->carries_n; i++) {
        const struct log_carry *c = &w->carries[i];
        uint8_t *at = w->head.data + c->to;
        struct log_record_view r;
        size_t n;
        w->what = "reading an entry for a segment's head";
        enum status s = disk_read(d, c->from->file, at, c->size, c->at, &n);
        if (s != OK) {
            return s;
        }
        if (n != c->size || log_record_decode(at, n, l->seed, &r) != OK) {
            return STATUS_CORRUPT;
        }
    }
    log_head_sum(&w->head);
    w->what = "writing a segment's head";
    enum status s = disk_write(d, w->segment->file, w->head.data, w->head.size, 0);
    if (s == OK) {
        w->what = "syncing a segment's head";
        s = disk_sync(d, w->segment->file, "log.head");
    }
    return s;
}

static enum status write_batch(struct log *l, struct log_write *w)
{
    struct disk *d = l->options.disk;
    size_t need = (size_t)w->batch.size + LOG_BLOCK_BYTES;
    if (need > w->bytes_capacity) {
        w->what = "encoding a batch";
        free(w->bytes);
        w->bytes = malloc(need);
        w->bytes_capacity = w->bytes == NULL ? 0 : need;
        if (w->bytes == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    log_batch_encode(w->bytes, &w->batch, w->list, w->records);
    w->what = "writing a batch";
    enum status s = disk_write(d, w->segment->file, w->bytes, w->batch.size, w->at);
    if (s != OK) {
        return s;
    }
    w->what = "syncing a batch";
    uint64_t before = log_now_us(l);
    s = disk_sync(d, w->segment->file, w->site);
    w->sync_us = log_now_us(l) - before;
    if (s != OK) {
        return s;
    }
    /* W2. Not synced: the next batch overwrites it, and an idle node's pages reach the disk by
     * themselves. */
    struct log_mark m = {l->seed,       w->batch.segment, w->batch.generation,
                         w->batch.last, w->marks_n,       NULL};
    log_mark_encode(w->bytes + w->batch.size, &m, w->marks);
    w->what = "writing a mark";
    return disk_write(d, w->segment->file, w->bytes + w->batch.size, LOG_BLOCK_BYTES,
                      w->at + w->batch.size);
}

void log_writer_work(struct job *j)
{
    struct log_write *w = container_of(j, struct log_write, job);
    struct log *l = w->log;
    w->status = OK;
    w->full = false;
    if (w->make && w->segment->file == NULL) {
        w->what = "making a segment";
        w->status = log_segment_make(l, w->make_id, &w->segment->file);
        w->full = w->status == STATUS_NO_SPACE;
    }
    if (w->status == OK && w->switch_) {
        w->status = write_head(l, w);
    }
    if (w->status == OK) {
        w->status = write_batch(l, w);
    }
    w->free_bytes = UINT64_MAX;
    if (w->status == OK && w->ask_free &&
        disk_free_bytes(l->options.disk, l->directory, &w->free_bytes) != OK) {
        w->free_bytes = UINT64_MAX;
    }
}

enum status log_writer_take(struct log *l)
{
    struct log_write *w = l->write;
    drop_records(w->records, w->batch.records_n);
    l->queued_bytes -= w->records_bytes;
    if (w->status != OK) {
        log_fail(l, w->status, w->what);
        return w->status;
    }
    l->durable = w->batch.last;
    l->sync_us[l->sync_n++ % LOG_SYNC_SAMPLES] = w->sync_us;
    if (w->free_bytes != UINT64_MAX) {
        l->free_bytes = w->free_bytes;
    }
    if (w->switch_) {
        l->needed_durable = w->needed;
    }
    for (uint32_t i = 0; i < l->shards_n; i++) {
        struct log_shard *s = l->shards[i];
        s->durable_snapshot = s->written.snapshot_index;
        log_cut_apply(l, s);
    }
    log_writer_update_needed(l);
    return OK;
}

/* Only what a durable state covers is dropped. */
void log_cut_apply(struct log *l, struct log_shard *s)
{
    uint64_t to = s->cut_wish < s->durable_snapshot ? s->cut_wish : s->durable_snapshot;
    (void)l;
    log_ring_cut(&s->ring, to);
    if (s->written.first <= s->written.last && to >= s->written.first) {
        s->written.first = (to < s->written.last ? to : s->written.last) + 1;
        update_first_segment(s);
    }
}

void log_writer_update_needed(struct log *l)
{
    uint32_t needed = l->current->number;
    for (uint32_t i = 0; i < l->shards_n; i++) {
        uint32_t first = l->shards[i]->written.first_segment;
        needed = first != 0 && first < needed ? first : needed;
    }
    l->needed = needed;
    l->retained = 0;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        l->retained += l->segments[i]->number >= needed ? l->segments[i]->used : 0;
    }
}

void log_writer_init_written(struct log *l, struct log_shard *s)
{
    s->written.state = log_state_encode(&s->state);
    if (s->written.state == NULL) {
        log_fail(l, STATUS_NO_MEMORY, "opening");
        return;
    }
    s->written.snapshot_index = s->state.snapshot_index;
    s->durable_snapshot = s->state.snapshot_index;
    s->written.damaged = s->damaged;
    s->written.first = s->ring.first;
    s->written.last = log_ring_last(&s->ring);
    s->written.last_sequence = s->last_sequence;
    update_first_segment(s);
}

/* Oldest first, over all shards, until seven eighths of the budget are left; never what is not
 * durable yet. */
static void trim_cache(struct log *l)
{
    uint64_t to = l->options.cache_bytes - l->options.cache_bytes / 8;
    if (l->cached_bytes <= l->options.cache_bytes) {
        return;
    }
    while (l->cached_bytes > to) {
        struct log_shard *oldest = NULL;
        uint64_t oldest_sequence = l->durable + 1;
        for (uint32_t i = 0; i < l->shards_n; i++) {
            struct log_shard *s = l->shards[i];
            const struct log_slot *slot = log_ring_find(&s->ring, s->ring.cached_from);
            if (slot != NULL && slot->entry.sequence < oldest_sequence) {
                oldest = s;
                oldest_sequence = slot->entry.sequence;
            }
        }
        if (oldest == NULL) {
            return;
        }
        uint64_t end =
            oldest->ring.cached_from + 15; /* a few at a time: the search above is not free */
        while (log_ring_find(&oldest->ring, end) == NULL ||
               log_ring_find(&oldest->ring, end)->entry.sequence > l->durable) {
            end--;
        }
        log_ring_evict(&oldest->ring, end);
    }
}

static void on_written(struct job *j)
{
    struct log_write *w = container_of(j, struct log_write, job);
    struct log *l = w->log;
    l->writing = false;
    if (w->full) { /* nothing was written: the same batch again, when there is space */
        l->waits = true;
        l->wait_until_ms = log_now_ms(l) + FULL_RETRY_MS;
        l->free_bytes = 0;
        return;
    }
    if (log_writer_take(l) == OK) {
        trim_cache(l);
        l->pending_since_ms = l->queue_n > 0 ? l->written_since_ms : 0;
        l->options.on_durable(l->options.arg, l->durable);
    }
    log_kick(l);
}

static void fail_work(struct job *j)
{
    (void)j;
}

static void fail_done(struct job *j)
{
    struct log_write *w = container_of(j, struct log_write, job);
    w->log->writing = false;
    w->log->options.on_failed(w->log->options.arg, w->log->failed, w->log->failed_what);
}

void log_kick(struct log *l)
{
    struct log_write *w = l->write;
    if (l->writing) {
        return;
    }
    if (l->failed == OK && l->waits) {
        if (log_now_ms(l) >= l->wait_until_ms) {
            l->waits = false;
            l->writing = true;
            executor_submit(l->options.executor, LANE_LOG, &w->job);
        }
    } else if (l->failed == OK && l->queue_n > 0) {
        enum status s = log_writer_plan(l, false, "log.batch");
        if (s != OK) {
            log_fail(l, s, "planning a batch");
        } else {
            w->job.work = log_writer_work;
            w->job.done = on_written;
            l->writing = true;
            l->written_since_ms = log_now_ms(l);
            executor_submit(l->options.executor, LANE_LOG, &w->job);
        }
    }
    if (l->failed != OK && !l->failed_told && !l->writing) {
        l->failed_told = true;
        l->writing = true;
        w->job.work = fail_work;
        w->job.done = fail_done;
        executor_submit(l->options.executor, LANE_LOG, &w->job);
    }
    if (!l->waits && (l->want_spare || log_segment_find_free(l) == NULL)) {
        if (l->want_spare || l->free_bytes >= l->options.reserve_bytes + l->options.segment_bytes) {
            l->want_spare = false;
            log_segment_submit_spare(l);
        }
    }
}

bool log_has_room(const struct log *l, uint64_t bytes)
{
    uint64_t segment = l->options.segment_bytes, need = l->queued_bytes + bytes + segment / 8;
    uint64_t ready =
        segment - l->current->used + (uint64_t)log_segment_count_free(l) * (segment - segment / 8);
    bool disk = l->free_bytes >= l->options.reserve_bytes &&
                (ready >= need || l->free_bytes >= l->options.reserve_bytes + segment);
    if (!disk) {
        ((struct log *)(uintptr_t)l)->want_spare = true; /* the next kick asks the disk again */
    }
    return disk && l->failed == OK && !l->waits && l->queued_bytes + bytes <= QUEUE_BYTES_MAX &&
           l->retained + l->queued_bytes + bytes <= l->options.retain_bytes;
}

uint64_t log_queued_bytes(const struct log *l)
{
    return l->queued_bytes;
}

static uint32_t segment_of(const struct log *l, const struct log_shard *s, uint64_t index)
{
    const struct log_slot *slot = log_ring_find(&s->ring, index);
    return slot != NULL && slot->segment != 0 ? slot->segment : l->current->number;
}

uint64_t log_held_bytes(const struct log *l, shard_id shard, uint64_t after, uint64_t index)
{
    const struct log_shard *s = log_shard_find(l, shard);
    if (s == NULL) {
        return 0;
    }
    uint32_t from = segment_of(l, s, after + 1 > s->ring.first ? after + 1 : s->ring.first);
    uint32_t to = segment_of(l, s, index + 1);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        uint32_t number = l->segments[i]->number;
        bytes += number >= from && number < to ? l->segments[i]->used : 0;
    }
    return bytes;
}

bool log_wants_checkpoint(const struct log *l, shard_id shard, uint64_t after)
{
    const struct log_shard *s = log_shard_find(l, shard);
    if (s == NULL || s->written.first_segment == 0) {
        return false;
    }
    uint32_t first =
        after < s->written.first ? s->written.first_segment : segment_of(l, s, after + 1);
    if (first == l->current->number) {
        return false;
    }
    if (s->ring.count <= CARRY_ENTRIES_MAX &&
        log_ring_bytes_after(&s->ring, 0) <= CARRY_BYTES_MAX / 2) {
        return false; /* the next head takes them along */
    }
    return first + 1 < l->current->number || l->retained > l->options.retain_bytes / 2;
}
