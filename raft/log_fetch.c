/* Reads back payloads that the cache no longer holds; a job on LANE_LOG, in order with the writes.
 *
 * Happy path: what is cached is answered from memory; the rest is read where its slot says, and its
 * sum, shard, index and term are checked. A segment is not reused while any slot points into it,
 * and reuse is a later job of the same lane. Failure: NOT_FOUND when an entry is not there, or was
 * cut or replaced before done(); CORRUPT when its bytes are damaged. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/log_internal.h"

struct fetch_item {
    struct log_segment *segment; /* NULL: already answered */
    uint32_t at;
    uint32_t size; /* of the record */
    uint64_t term;
    uint64_t sequence;
};

struct fetch {
    struct log *log;
    uint64_t seed;
    struct fetch_item items[LOG_FETCH_MAX];
};

static void drop(struct log_fetch *f)
{
    for (uint32_t i = 0; i < f->n && i < LOG_FETCH_MAX; i++) {
        block_unref(f->payloads[i]);
        f->payloads[i] = NULL;
    }
}

static enum status read_one(struct log_fetch *f, uint32_t i)
{
    struct fetch *in = f->internal;
    const struct fetch_item *item = &in->items[i];
    struct log_record_view r;
    size_t n;
    if (item->segment->file == NULL) { /* carried into a head that waits for space */
        return STATUS_NO_SPACE;
    }
    uint8_t *data = malloc(item->size);
    if (data == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status s =
        disk_read(in->log->options.disk, item->segment->file, data, item->size, item->at, &n);
    if (s == OK && (n != item->size || log_record_decode(data, n, in->seed, &r) != OK ||
                    r.kind != KIND_ENTRY || r.shard != f->shard || r.index != f->first + i ||
                    r.term != item->term)) {
        s = STATUS_CORRUPT;
    }
    if (s == OK) {
        f->payloads[i] = block_copy(r.payload.data, r.payload.size);
        s = f->payloads[i] == NULL ? STATUS_NO_MEMORY : OK;
    }
    free(data);
    return s;
}

static void fetch_work(struct job *j)
{
    struct log_fetch *f = container_of(j, struct log_fetch, job);
    struct fetch *in = f->internal;
    for (uint32_t i = 0; i < f->n && f->status == OK; i++) {
        if (in->items[i].segment != NULL) {
            f->status = read_one(f, i);
        }
    }
}

static void fetch_done(struct job *j)
{
    struct log_fetch *f = container_of(j, struct log_fetch, job);
    struct fetch *in = f->internal;
    struct log *l = in->log;
    l->fetches--;
    for (uint32_t i = 0; i < f->n && f->status == OK; i++) {
        const struct log_entry *e = log_entry_find(l, f->shard, f->first + i);
        if (e == NULL || e->sequence != in->items[i].sequence) {
            f->status = STATUS_NOT_FOUND;
        }
    }
    if (f->status != OK) {
        drop(f);
    }
    free(in);
    f->internal = NULL;
    f->done(f);
}

/* Where each entry is. */
static enum status plan(struct log *l, struct log_fetch *f, struct fetch *in)
{
    const struct log_shard *s = log_shard_find(l, f->shard);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct log_slot *slot = s == NULL ? NULL : log_ring_find(&s->ring, f->first + i);
        if (slot == NULL) {
            return STATUS_NOT_FOUND;
        }
        struct fetch_item *item = &in->items[i];
        item->term = slot->entry.term;
        item->sequence = slot->entry.sequence;
        if (slot->entry.payload != NULL) {
            f->payloads[i] = block_ref(slot->entry.payload);
        } else if (slot->entry.size > 0) {
            item->segment = log_segment_find(l, slot->segment);
            item->at = slot->at;
            item->size = log_record_size(slot->entry.size);
            must(item->segment != NULL);
        }
    }
    return OK;
}

void log_fetch_submit(struct log *l, struct log_fetch *f)
{
    must(f->n <= LOG_FETCH_MAX);
    memset(f->payloads, 0, sizeof(f->payloads));
    struct fetch *in = calloc(1, sizeof(*in));
    must(in != NULL); /* done() needs it; 2 KB */
    in->log = l;
    in->seed = l->seed;
    f->internal = in;
    f->status = plan(l, f, in);
    f->job.work = fetch_work;
    f->job.done = fetch_done;
    l->fetches++;
    executor_submit(l->options.executor, LANE_LOG, &f->job);
}
