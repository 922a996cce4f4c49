/* The public calls of the log (raft/log.h); the work is in the files that log_internal.h names.
 *
 * Happy path of opening: make the directory, open its files, recover; then W5 (the last accepted
 * item again, synced), then the first batch of this life, which makes the raised generation
 * durable, into the same segment, or into a new one when damage was found, so that its head
 * (AMNESIA first of all) is durable before anything else. Failure: opening fails with a sentence
 * and leaves the files as they are. */
#include "raft/log.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/log_internal.h"

static unsigned disabled_rules;

void log_test_disable(unsigned rules)
{
    disabled_rules = rules;
}

bool log_rule(enum log_rule rule)
{
    return (disabled_rules & rule) == 0;
}

static uint32_t table_place(const struct log *l, shard_id shard)
{
    uint32_t i = shard & (LOG_TABLE - 1);
    while (l->table[i] != NULL && l->table[i]->id != shard) {
        i = (i + 1) & (LOG_TABLE - 1);
    }
    return i;
}

struct log_shard *log_shard_find(const struct log *l, shard_id shard)
{
    return l->table[table_place(l, shard)];
}

struct log_shard *log_shard_create(struct log *l, shard_id shard)
{
    if (l->shards_n == LOG_SHARDS_MAX || shard == LOG_NO_SHARD) {
        return NULL;
    }
    struct log_shard *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->id = shard;
    s->state.shard = shard;
    log_ring_init(&s->ring, 1, &l->cached_bytes);
    log_ring_init(&s->replay.before, 1, &l->cached_bytes);
    s->written.first = 1;
    l->shards[l->shards_n++] = s;
    l->table[table_place(l, shard)] = s;
    return s;
}

void log_state_set(struct log_state *to, const struct log_state *from)
{
    struct block *old = to->configuration;
    *to = *from;
    if (to->configuration != NULL) {
        block_ref(to->configuration);
    }
    block_unref(old);
}

void log_fail(struct log *l, enum status s, const char *what)
{
    if (l->failed == OK) {
        l->failed = s;
        l->failed_what = what;
    }
}

uint64_t log_now_us(const struct log *l)
{
    return l->options.clock == NULL ? clock_monotonic_us()
                                    : clock_monotonic_ms(l->options.clock) * 1000;
}

uint64_t log_now_ms(const struct log *l)
{
    return clock_monotonic_ms(l->options.clock == NULL ? &clock_system : l->options.clock);
}

static enum status check_options(const struct log_options *o, struct log *l, struct error *e)
{
    l->options = *o;
    l->options.segment_bytes = o->segment_bytes == 0 ? LOG_SEGMENT_BYTES : o->segment_bytes;
    l->options.cache_bytes = o->cache_bytes == 0 ? 8u * 1024 * 1024 : o->cache_bytes;
    l->options.retain_bytes = o->retain_bytes == 0 ? 4ull * 1024 * 1024 * 1024 : o->retain_bytes;
    l->options.reserve_bytes = o->reserve_bytes == 0 ? 128u * 1024 * 1024 : o->reserve_bytes;
    if (l->options.segment_bytes % LOG_BLOCK_BYTES != 0 ||
        l->options.segment_bytes < 16 * LOG_BLOCK_BYTES) {
        return error_set(e, STATUS_INVALID,
                         "log: segment size %u is no multiple of %u, or too small",
                         l->options.segment_bytes, LOG_BLOCK_BYTES);
    }
    l->directory = strdup(o->directory);
    return l->directory == NULL ? error_set(e, STATUS_NO_MEMORY, "out of memory") : OK;
}

/* Directory and its own entry in its parent; a kill between the two is healed at the next start. */
static enum status make_directory(struct log *l, struct error *e)
{
    char parent[PATH_MAX];
    enum status s = disk_make_dir(l->options.disk, l->directory);
    if (s != OK && s != STATUS_EXISTS) {
        return error_set(e, s, "%s: can't make it: %s", l->directory, status_text(s));
    }
    const char *slash = strrchr(l->directory, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - l->directory);
    if (slash == NULL || n >= sizeof(parent)) {
        return error_set(e, STATUS_INVALID, "%s: the directory of the log must be an absolute path",
                         l->directory);
    }
    memcpy(parent, l->directory, n);
    parent[n] = 0;
    s = disk_sync_dir(l->options.disk, n == 0 ? "/" : parent, "log.parent");
    if (s == OK) {
        s = disk_sync_dir(l->options.disk, l->directory, "log.directory.again");
    }
    return s == OK ? OK : error_set(e, s, "%s: can't sync it: %s", l->directory, status_text(s));
}

/* W5: after kill -9 the last batch may be whole in the page cache and not on the disk, and a sync
 * that finds clean pages proves nothing. */
static enum status write_again(struct log *l, const struct log_recovered *r)
{
    struct disk *d = l->options.disk;
    if (!log_rule(LOG_RULE_W5) || r->last_item_size == 0) {
        return OK;
    }
    uint8_t *data = malloc(r->last_item_size);
    size_t n = 0;
    if (data == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status s = disk_read(d, r->last->file, data, r->last_item_size, r->last_item_at, &n);
    if (s == OK && n != r->last_item_size) {
        s = STATUS_IO;
    }
    if (s == OK) {
        s = disk_write(d, r->last->file, data, n, r->last_item_at);
    }
    if (s == OK) {
        s = disk_sync(d, r->last->file, "log.again");
    }
    free(data);
    return s;
}

static enum status begin_life(struct log *l, const struct log_recovered *r)
{
    struct log_record record = {.kind = KIND_GENERATION, .shard = LOG_NO_SHARD};
    l->generation++;
    if (!r->blank) {
        l->current = r->last;
        l->current->used = r->tail;
        enum status s = write_again(l, r);
        if (s != OK) {
            return s;
        }
    }
    for (uint32_t i = 0; i < l->shards_n; i++) {
        log_writer_init_written(l, l->shards[i]);
    }
    log_writer_queue(l, &record, NULL);
    enum status s = l->failed;
    if (s == OK) {
        s = log_writer_plan(l, r->fresh_segment, "log.generation");
    }
    if (s == OK) {
        log_writer_work(&l->write->job);
        s = log_writer_take(l);
    }
    if (s == OK) {
        s = disk_free_bytes(l->options.disk, l->directory, &l->free_bytes);
    }
    return s;
}

static enum status open_steps(struct log *l, struct error *e)
{
    struct log_recovered r = {0};
    enum status s = make_directory(l, e);
    if (s == OK) {
        s = log_segment_open_all(l, e);
    }
    if (s == OK) {
        s = log_recover(l, &r, e);
    }
    if (s != OK) {
        return s;
    }
    s = log_writer_init(l);
    if (s == OK) {
        s = begin_life(l, &r);
    }
    if (s != OK) {
        return error_set(
            e, s, "%s: can't begin writing: %s%s", l->directory, status_text(s),
            s == STATUS_NO_SPACE ? "; make room on this file system and start again" : "");
    }
    return OK;
}

enum status log_open(const struct log_options *o, struct log **out_log, struct error *e)
{
    struct log *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    l->next_id = 1;
    l->next_sequence = 1;
    enum status s = check_options(o, l, e);
    if (s == OK) {
        s = open_steps(l, e);
    }
    if (s != OK) {
        l->writing = false;
        log_close(l);
        return s;
    }
    *out_log = l;
    return OK;
}

void log_close(struct log *l)
{
    if (l == NULL) {
        return;
    }
    must(!l->writing && !l->spare.running && l->fetches == 0);
    log_writer_deinit(l);
    for (uint32_t i = 0; i < l->shards_n; i++) {
        struct log_shard *s = l->shards[i];
        log_ring_deinit(&s->ring);
        log_ring_deinit(&s->replay.before);
        block_unref(s->state.configuration);
        block_unref(s->written.state);
        free(s);
    }
    log_segment_close_all(l);
    free(l->directory);
    free(l);
}

bool log_idle(const struct log *l)
{
    return !l->writing && !l->waits && !l->spare.running && l->fetches == 0 &&
           (l->failed != OK ? l->failed_told : l->queue_n == 0);
}

static struct log_shard *must_find(const struct log *l, shard_id shard)
{
    struct log_shard *s = log_shard_find(l, shard);
    must(s != NULL);
    return s;
}

const struct log_state *log_state_find(const struct log *l, shard_id shard)
{
    const struct log_shard *s = log_shard_find(l, shard);
    return s == NULL ? NULL : &s->state;
}

enum log_damage log_shard_damage(const struct log *l, shard_id shard)
{
    const struct log_shard *s = log_shard_find(l, shard);
    return s != NULL && s->damaged ? LOG_DAMAGED : LOG_WHOLE;
}

bool log_ever_damaged(const struct log *l)
{
    return l->ever_damaged;
}

void log_each_shard(const struct log *l, void (*each)(void *arg, const struct log_state *s),
                    void *arg)
{
    for (uint32_t i = 0; i < l->shards_n; i++) {
        each(arg, &l->shards[i]->state);
    }
}

uint64_t log_first_index(const struct log *l, shard_id shard)
{
    return must_find(l, shard)->ring.first;
}

uint64_t log_last_index(const struct log *l, shard_id shard)
{
    return log_ring_last(&must_find(l, shard)->ring);
}

const struct log_entry *log_entry_find(const struct log *l, shard_id shard, uint64_t index)
{
    const struct log_shard *s = log_shard_find(l, shard);
    const struct log_slot *slot = s == NULL ? NULL : log_ring_find(&s->ring, index);
    return slot == NULL ? NULL : &slot->entry;
}

static void append_one(struct log *l, struct log_shard *s, uint64_t index,
                       const struct log_new_entry *ne)
{
    uint32_t size = ne->payload == NULL ? 0 : ne->payload->size;
    must(size <= LOG_ENTRY_BYTES_MAX);
    must(size <= l->options.segment_bytes / 2 - 2 * LOG_BLOCK_BYTES);
    struct log_record r = {
        .kind = KIND_ENTRY,
        .type = (uint8_t)ne->type,
        .shard = s->id,
        .index = index,
        .term = ne->term,
        .payload = ne->payload == NULL ? NULL : block_ref(ne->payload),
    };
    log_writer_queue(l, &r, s);
    struct log_entry e = {index, ne->term, ne->type, size, r.sequence, NULL};
    e.payload = ne->payload == NULL ? NULL : block_ref(ne->payload);
    struct log_slot *slot;
    if (log_ring_push(&s->ring, &e, &slot) != OK) {
        block_unref(e.payload);
        log_fail(l, STATUS_NO_MEMORY, "appending an entry");
    }
}

uint64_t log_append(struct log *l, shard_id shard, uint64_t first,
                    const struct log_new_entry *entries, uint32_t n)
{
    struct log_shard *s = must_find(l, shard);
    if (l->failed != OK) {
        return s->last_sequence; /* never durable: the owner is about to hear of it and end */
    }
    must(first >= s->ring.first);
    must(first <= log_ring_last(&s->ring) + 1);
    bool cuts = first <= log_ring_last(&s->ring);
    log_ring_truncate(&s->ring, first);
    if (n == 0 && cuts) {
        struct log_record r = {.kind = KIND_TRUNCATE, .shard = shard, .index = first};
        log_writer_queue(l, &r, s);
    }
    for (uint32_t i = 0; i < n && l->failed == OK; i++) {
        must(entries[i].type >= ENTRY_COMMAND && entries[i].type <= ENTRY_CHANGE);
        append_one(l, s, first + i, &entries[i]);
    }
    return s->last_sequence;
}

static uint64_t queue_state(struct log *l, const struct log_state *st, enum log_kind kind)
{
    struct log_shard *s = log_shard_find(l, st->shard);
    if (s == NULL) {
        s = log_shard_create(l, st->shard);
    }
    struct block *payload = s == NULL ? NULL : log_state_encode(st);
    if (payload == NULL) {
        log_fail(l, STATUS_NO_MEMORY, "recording the state of a shard");
        return l->next_sequence++;
    }
    log_state_set(&s->state, st);
    struct log_record r = {.kind = kind,
                           .shard = st->shard,
                           .index = st->snapshot_index,
                           .term = st->term,
                           .payload = payload};
    log_writer_queue(l, &r, s);
    if (kind == KIND_INSTALL) {
        s->cut_wish = 0;
        s->damaged = false;
    }
    if (kind == KIND_INSTALL || st->snapshot_index > log_ring_last(&s->ring)) {
        log_ring_clear(&s->ring, st->snapshot_index + 1);
    }
    return r.sequence;
}

uint64_t log_put_state(struct log *l, const struct log_state *s)
{
    return queue_state(l, s, KIND_STATE);
}

uint64_t log_install(struct log *l, const struct log_state *s)
{
    return queue_state(l, s, KIND_INSTALL);
}

void log_cut(struct log *l, shard_id shard, uint64_t index)
{
    struct log_shard *s = must_find(l, shard);
    must(index <= s->state.snapshot_index);
    if (index > s->cut_wish) {
        s->cut_wish = index;
        log_cut_apply(l, s);
        log_writer_update_needed(l);
    }
}

uint64_t log_generation(const struct log *l)
{
    return l->generation;
}

uint64_t log_durable_sequence(const struct log *l)
{
    return l->durable;
}

uint64_t log_retained_bytes(const struct log *l)
{
    return l->retained;
}

uint64_t log_bytes_after(const struct log *l, shard_id shard, uint64_t index)
{
    return log_ring_bytes_after(&must_find(l, shard)->ring, index);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static uint64_t sync_quantile_us(const struct log *l, uint32_t percent)
{
    uint64_t sorted[LOG_SYNC_SAMPLES];
    uint32_t n = l->sync_n < LOG_SYNC_SAMPLES ? l->sync_n : LOG_SYNC_SAMPLES;
    if (n == 0) {
        return 0;
    }
    memcpy(sorted, l->sync_us, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), compare_u64);
    return sorted[n * percent / 100];
}

uint64_t log_sync_us(const struct log *l)
{
    return sync_quantile_us(l, 50);
}

uint64_t log_sync_p99_us(const struct log *l)
{
    return sync_quantile_us(l, 99);
}

uint64_t log_unsynced_ms(const struct log *l, uint64_t now_ms)
{
    if (l->pending_since_ms == 0 || now_ms <= l->pending_since_ms) {
        return 0;
    }
    return now_ms - l->pending_since_ms;
}
