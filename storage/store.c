/* Apply and commit of one store, its references and its pins; store.h tells what happens when the disk is full.
 *
 * Between two commits: one LMDB write transaction, the rows kept open above it (rows.h), and references to the entries that are in
 * it. drop() throws the transaction away and marks those entries to be applied again; ready() does that before anything else. */
#include "storage/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "storage/store_state.h"

const struct key store_position_key = {.data = "position", .size = 8};

struct env_options store_env_options(const struct store_options *o)
{
    return (struct env_options){.directory = o->directory,
                                .disk = o->disk,
                                .map_bytes = o->map_bytes,
                                .databases = table_names,
                                .database_count = TABLE_COUNT};
}

enum status store_lost(const struct store *s)
{
    return (enum status)atomic_load(&s->lost);
}

void store_set_lost(struct store *s, enum status status)
{
    int none = OK;
    atomic_compare_exchange_strong(&s->lost, &none, (int)status);
}

struct store_position store_position(const struct store *s)
{
    return s->position;
}

/* ---- the open transaction ---- */

/* Forgets the transaction; what was applied in it stays retained. */
static void drop(struct store *s)
{
    env_abort(s->txn);
    s->txn = NULL;
    rows_reset(&s->rows, s->committed.digest);
    s->redo = s->retained_count > 0;
}

/* NO_SPACE leaves everything as it was; any other failure is the end of this environment. */
static enum status failed(struct store *s, enum status status)
{
    drop(s);
    if (status != STATUS_NO_SPACE) {
        store_set_lost(s, status);
    }
    return status;
}

/* What is committed in the log must be applied before a linearizable read is answered, so apply goes on with blocks taken while
 * there was space; what is new is refused (disk_low) long before they are used up. Blocks ahead are a precaution: where they
 * can't be had for another reason than a full disk (no fallocate, an I/O error in it), writing itself still may go well, and if
 * not, commit says so. */
static enum status has_room(struct store *s)
{
    uint64_t free_bytes;
    enum status status = disk_free_bytes(s->disk, s->directory, &free_bytes);
    if (status != OK) {
        return status;
    }
    uint64_t used = env_used_bytes(s->env);
    uint64_t map = env_map_bytes(s->env);
    if (map < used || map - used < s->reserve_bytes) {
        s->disk_low = true;
        return STATUS_NO_SPACE;
    }
    status =
        free_bytes < s->reserve_bytes ? STATUS_NO_SPACE : env_reserve(s->env, s->reserve_bytes);
    s->disk_low = status == STATUS_NO_SPACE;
    bool ahead = env_reserved_bytes(s->env) >= STORE_RESERVED_BYTES_MIN;
    return s->disk_low && !ahead ? STATUS_NO_SPACE : OK;
}

static enum status apply_one(struct store *s, const struct store_entry *e,
                             const struct apply_sink *sink)
{
    if (e->payload == NULL) {
        rows_fold(&s->rows);
        return s->rows.failed;
    }
    return apply_batch(&s->apply, e->index, (struct bytes){e->payload->data, e->payload->size},
                       sink);
}

/* Begins the transaction if none is open, and applies again what an earlier one lost. */
static enum status ready(struct store *s)
{
    enum status status = store_lost(s);
    if (status != OK || s->txn != NULL) {
        return status;
    }
    status = has_room(s);
    if (status == OK) {
        status = env_begin_write(s->env, &s->txn);
    }
    if (status != OK) {
        return failed(s, status);
    }
    rows_begin(&s->rows, s->txn);
    for (uint32_t i = 0; s->redo && i < s->retained_count && s->rows.failed == OK; i++) {
        apply_one(s, &s->retained[i], NULL);
    }
    if (s->rows.failed != OK) {
        return failed(s, s->rows.failed);
    }
    if (s->redo && !digest_equal(s->rows.digest, s->position.digest)) {
        return failed(
            s,
            STATUS_CORRUPT); /* apply is a function of the log, so the data are not what they were */
    }
    s->redo = false;
    return OK;
}

static enum status reserve_retained(struct store *s, uint32_t n)
{
    if (s->retained_capacity - s->retained_count >= n) {
        return OK;
    }
    uint32_t capacity = s->retained_capacity * 2 > s->retained_count + n ? s->retained_capacity * 2
                                                                         : s->retained_count + n;
    struct store_entry *grown = realloc(s->retained, capacity * sizeof(*grown));
    if (grown == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->retained = grown;
    s->retained_capacity = capacity;
    return OK;
}

static void retain(struct store *s, const struct store_entry *e)
{
    s->retained[s->retained_count++] = *e;
    if (e->payload != NULL) {
        block_ref(e->payload);
        s->retained_bytes += e->payload->size;
    }
}

static void release_retained(struct store *s, uint32_t from)
{
    while (s->retained_count > from) {
        struct block *b = s->retained[--s->retained_count].payload;
        if (b != NULL) {
            s->retained_bytes -= b->size;
            block_unref(b);
        }
    }
}

static enum status next_due(struct store *s, struct env_txn *txn)
{
    struct env_cursor *c;
    struct bytes key;
    struct bytes value;
    enum status status = env_cursor_open(txn, TABLE_EXPIRY, &c);
    if (status != OK) {
        return status;
    }
    status = env_cursor_seek(c, (struct bytes){NULL, 0}, &key, &value);
    s->due_ms = status == OK && key.size >= 8 ? get_be64(key.data) : 0;
    env_cursor_close(c);
    return status == STATUS_NOT_FOUND ? OK : status;
}

/* Copies that read an old checkpoint hold its pages; past a stated growth they lose it. Never the newest durable one. */
static void cancel_old_pins(struct store *s)
{
    uint64_t used = env_used_bytes(s->env);
    lock_take(&s->lock);
    list_each(n, &s->pins)
    {
        struct store_pin *p = container_of(n, struct store_pin, link);
        if (p != s->durable && !p->canceled && used > p->used_bytes &&
            used - p->used_bytes > s->pin_growth_bytes) {
            p->canceled = true;
            env_pin_free(p->pin);
            p->pin = NULL;
        }
    }
    lock_give(&s->lock);
}

static enum status commit(struct store *s)
{
    if (s->txn == NULL && !s->redo) {
        if (s->disk_low) {
            has_room(s); /* asked again by the caller while it refuses writes */
        }
        return store_lost(s);
    }
    enum status status = ready(s);
    if (status != OK) {
        return status;
    }
    rows_flush(&s->rows);
    uint8_t bytes[64];
    struct position_row row = {s->position.index, s->position.term, s->position.digest};
    struct bytes value = {bytes, position_row_encode(&row, bytes)};
    rows_fail(&s->rows, s->rows.failed == OK ? env_put(s->txn, TABLE_POSITION,
                                                       key_bytes(&store_position_key), value, false)
                                             : OK);
    rows_fail(&s->rows, s->rows.failed == OK ? next_due(s, s->txn) : OK);
    if (s->rows.failed != OK) {
        return failed(s, s->rows.failed);
    }
    must(digest_equal(s->rows.digest, s->position.digest));
    status = env_commit(s->txn);
    s->txn = NULL;
    s->rows.txn = NULL;
    if (status != OK) {
        return failed(s, status);
    }
    release_retained(s, 0);
    s->committed = s->position;
    atomic_store(&s->committed_index, s->position.index);
    rows_trim(&s->rows);
    cancel_old_pins(s);
    return OK;
}

/* ---- the public calls ---- */

static void on_answer(void *arg, uint64_t index, uint32_t ordinal, enum status status,
                      struct block *payload)
{
    const struct store_sink *sink = arg;
    sink->answer(sink->arg, index, ordinal, status, payload);
}

enum status store_apply(struct store *s, const struct store_entry *entries, uint32_t n,
                        const struct store_sink *sink, struct store_position *out_position)
{
    union {
        const struct store_sink *in;
        void *out;
    } arg = {.in = sink};
    struct apply_sink inner = {on_answer, arg.out};
    enum status status = ready(s);
    status = status == OK ? reserve_retained(s, n) : status;
    if (status != OK) {
        return status;
    }
    struct store_position before = s->position;
    uint32_t retained = s->retained_count;
    for (uint32_t i = 0; i < n; i++) {
        must(entries[i].index == s->position.index + 1);
        status = apply_one(s, &entries[i], sink == NULL ? NULL : &inner);
        if (status != OK) {
            release_retained(s, retained);
            s->position = before;
            return failed(s, status);
        }
        s->position = (struct store_position){entries[i].index, entries[i].term, s->rows.digest};
        retain(s, &entries[i]);
        digest_ring_push(&s->ring, entries[i].index, s->rows.digest);
    }
    if (s->retained_bytes > STORE_UNCOMMITTED_BYTES_MAX) {
        status = commit(s);
        if (status != OK && status != STATUS_NO_SPACE) {
            return status;
        }
    }
    if (out_position != NULL) {
        *out_position = s->position;
    }
    return OK;
}

enum status store_commit(struct store *s, struct store_due *out_due)
{
    enum status status = commit(s);
    if (out_due != NULL) {
        uint64_t time_ms = s->rows.system_loaded ? s->rows.system.time_ms : 0;
        bool jobs = s->rows.system_loaded && s->rows.system.jobs > 0;
        *out_due = (struct store_due){time_ms, jobs ? time_ms : s->due_ms,
                                      env_churn_bytes(s->env) - s->churn_mark, s->disk_low};
    }
    return status;
}

/* ---- pins ---- */

enum status store_pin_add(struct store *s, struct env_pin *pin,
                          const struct checkpoint_descriptor *d)
{
    struct store_pin *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return STATUS_NO_MEMORY;
    }
    p->references = 1;
    p->pin = pin;
    p->used_bytes = env_used_bytes(s->env);
    checkpoint_descriptor_copy(&p->descriptor, d);
    lock_take(&s->lock);
    struct store_pin *old = s->durable;
    s->durable = p;
    list_push_back(&s->pins, &p->link);
    lock_give(&s->lock);
    if (old != NULL) {
        store_pin_unref(s, old);
    }
    return OK;
}

void store_pin_unref(struct store *s, struct store_pin *p)
{
    lock_take(&s->lock);
    bool last = --p->references == 0;
    if (last) {
        list_remove(&p->link);
    }
    lock_give(&s->lock);
    if (last) {
        env_pin_free(p->pin);
        checkpoint_descriptor_deinit(&p->descriptor);
        free(p);
    }
}

/* ---- looking at all of it ---- */

enum status store_read_position(struct env_txn *txn, struct store_position *out_p)
{
    struct bytes value;
    struct position_row row;
    enum status status = env_get(txn, TABLE_POSITION, key_bytes(&store_position_key), &value);
    status = status == OK ? position_row_decode(value, &row) : status;
    if (status != OK) {
        return status == STATUS_NOT_FOUND ? STATUS_CORRUPT : status;
    }
    *out_p = (struct store_position){row.index, row.term, row.digest};
    return OK;
}

enum status store_recompute(struct env_txn *txn, struct digest *out_digest, uint64_t *out_pairs)
{
    struct digest sum = {0, 0};
    uint64_t pairs = 0;
    for (uint32_t t = 0; t < TABLE_COUNT; t++) {
        struct env_cursor *c;
        struct bytes key;
        struct bytes value;
        if (t == TABLE_POSITION) {
            continue;
        }
        enum status status = env_cursor_open(txn, t, &c);
        if (status != OK) {
            return status;
        }
        status = env_cursor_seek(c, (struct bytes){NULL, 0}, &key, &value);
        for (; status == OK; status = env_cursor_next(c, &key, &value)) {
            digest_add(&sum, digest_pair(t, key, value));
            pairs++;
        }
        env_cursor_close(c);
        if (status != STATUS_NOT_FOUND) {
            return status;
        }
    }
    *out_digest = sum;
    *out_pairs = pairs;
    return OK;
}

/* ---- references ---- */

struct store *store_ref(struct store *s)
{
    atomic_fetch_add(&s->references, 1);
    return s;
}

void store_unref(struct store *s)
{
    if (atomic_fetch_sub(&s->references, 1) != 1) {
        return;
    }
    if (s->durable != NULL) {
        store_pin_unref(s, s->durable);
    }
    must(list_empty(&s->pins));
    env_close(s->env);
    digest_ring_deinit(&s->ring);
    lock_deinit(&s->lock);
    void (*closed)(void *arg) = s->closed;
    void *arg = s->closed_arg;
    free(s);
    if (closed != NULL) {
        closed(arg);
    }
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    env_abort(s->txn);
    s->txn = NULL;
    rows_reset(&s->rows, (struct digest){0, 0});
    release_retained(s, 0);
    free(s->retained);
    s->retained = NULL;
    s->retained_capacity = 0;
    arena_deinit(&s->arena);
    store_set_lost(s, STATUS_CLOSED);
    store_unref(s);
}
