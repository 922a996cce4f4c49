/* A tick: what has fallen due, then what is left to do; bounded, so that a tick touches no more rows than any command. What it
 * does not reach is still due, and the leader proposes the next tick at once.
 *
 * lease      the row goes                          session    with its answers, if it was not used meanwhile (then it is due later)
 * queue      its closed items that are old enough go; due again for the rest
 * dict       the entry goes                        tombstones those of one generation that are old enough; due again for the rest
 * job        a dropped generation's rows; the marks of a store that lost its copy of a mailbox */
#include "storage/apply_queue.h"

#include <string.h>

#define TICK_ROWS_MAX 3900u /* of COMMAND_ROWS_MAX: the last thing may touch up to STEP_ROWS more */
#define STEP_ROWS     150u
#define TICK_SCAN_MAX 16384u

struct due {
    struct key key; /* whole key of the expiry row */
    uint64_t due_ms;
    enum expiry_kind kind;
    struct bytes what; /* in key */
    uint8_t value[32];
    size_t value_size;
};

static bool next_due(struct apply *a, struct due *out_d)
{
    struct bytes key;
    struct bytes value;
    if (!rows_seek(a->rows, TABLE_EXPIRY, (struct bytes){NULL, 0}, &key, &value)) {
        return false;
    }
    if (key.size < EXPIRY_HEAD_BYTES || key.size > sizeof(out_d->key.data) ||
        value.size > sizeof(out_d->value)) {
        rows_fail(a->rows, STATUS_CORRUPT);
        return false;
    }
    out_d->due_ms = get_be64(key.data);
    if (out_d->due_ms > a->rows->system.time_ms) {
        return false;
    }
    memcpy(out_d->key.data, key.data, key.size);
    out_d->key.size = key.size;
    out_d->kind = (enum expiry_kind)key.data[8];
    out_d->what = (struct bytes){out_d->key.data + EXPIRY_HEAD_BYTES, key.size - EXPIRY_HEAD_BYTES};
    out_d->value_size = value.size;
    if (value.size > 0) {
        memcpy(out_d->value, value.data, value.size);
    }
    return true;
}

/* The key of the row that an expiry row is about. */
static struct key what_key(const struct due *d)
{
    struct key k;
    size_t size = d->what.size < sizeof(k.data) ? d->what.size : sizeof(k.data);
    memcpy(k.data, d->what.data, size);
    k.size = size;
    return k;
}

static uint32_t end_session(struct apply *a, const struct due *d)
{
    struct session_row *s =
        d->what.size != 8 ? NULL : rows_session_find(a->rows, get_be64(d->what.data));
    if (s == NULL) {
        return 1;
    }
    if (s->expires_ms <= a->rows->system.time_ms) {
        apply_session_remove(a, s);
        return SESSION_WINDOW + 2;
    }
    s->due_ms = s->expires_ms;
    rows_session_touch(a->rows, s);
    rows_expiry_put(a->rows, s->due_ms, EXPIRY_SESSION, d->what, (struct bytes){NULL, 0});
    return 3;
}

/* A row is removed only if it really is due: it may have been replaced since. */
static uint32_t end_lease(struct apply *a, const struct due *d)
{
    struct key k = what_key(d);
    struct bytes value;
    struct lease_row row;
    if (rows_get(a->rows, TABLE_LEASE, &k, &value)) {
        rows_fail(a->rows, lease_row_decode(value, &row));
        if (a->rows->failed == OK && row.expires_ms <= a->rows->system.time_ms) {
            rows_delete(a->rows, TABLE_LEASE, &k);
        }
    }
    return 2;
}

static uint32_t end_entry(struct apply *a, const struct due *d)
{
    struct key k = what_key(d);
    struct bytes value;
    struct dict_row row;
    if (rows_get(a->rows, TABLE_DICT, &k, &value)) {
        rows_fail(a->rows, dict_row_decode(value, &row));
        if (a->rows->failed == OK && row.expires_ms != 0 &&
            row.expires_ms <= a->rows->system.time_ms) {
            rows_delete(a->rows, TABLE_DICT, &k);
        }
    }
    return 2;
}

static struct generation *generation_of(struct mailbox_row *m, uint32_t number)
{
    return m->current.number == number   ? &m->current
           : m->pending.number == number ? &m->pending
                                         : NULL;
}

static uint32_t end_tombstones(struct apply *a, const struct due *d, uint32_t left)
{
    struct mailbox_row *m = NULL;
    if (d->value_size == 4 + MAILBOX_GUID_BYTES && d->what.size == 4) {
        m = rows_mailbox_find(a->rows, get_be32(d->value), d->value + 4);
    }
    struct generation *g = m == NULL ? NULL : generation_of(m, get_be32(d->what.data));
    if (g == NULL) {
        return 1; /* it went, and its rows with it */
    }
    uint64_t now_ms = a->rows->system.time_ms;
    uint64_t due_ms = 0;
    uint32_t touched = 2;
    while (touched < left &&
           apply_tombstone_drop(a, g, now_ms < TOMBSTONE_TTL_MS ? 0 : now_ms - TOMBSTONE_TTL_MS,
                                &due_ms)) {
        touched += 2;
    }
    if (touched >= left) {
        due_ms = now_ms; /* the next tick goes on */
    }
    g->tombstones_due = due_ms != 0;
    if (due_ms != 0) {
        rows_expiry_put(a->rows, due_ms, EXPIRY_TOMBSTONES, d->what,
                        (struct bytes){d->value, d->value_size});
    }
    rows_mailbox_touch(a->rows, m);
    return touched + 1;
}

static uint32_t end_one(struct apply *a, const struct due *d, uint32_t left)
{
    rows_delete(a->rows, TABLE_EXPIRY, &d->key);
    switch (d->kind) {
        case EXPIRY_LEASE:
            return end_lease(a, d);
        case EXPIRY_SESSION:
            return end_session(a, d);
        case EXPIRY_DICT:
            return end_entry(a, d);
        case EXPIRY_TOMBSTONES:
            return end_tombstones(a, d, left);
        case EXPIRY_QUEUE:
            return queue_expire(a, d->what, left);
        default:
            rows_fail(a->rows, STATUS_CORRUPT);
            return 1;
    }
}

/* ---- jobs ---- */

/* Deletes up to `left` rows whose key begins with this number; true when none is left. */
static bool drop_prefix(struct apply *a, enum table t, uint32_t number, uint32_t *left)
{
    struct key from = key_u32(number);
    struct bytes key;
    struct bytes value;
    while (*left > 0 && rows_seek(a->rows, t, key_bytes(&from), &key, &value) && key.size >= 4 &&
           key.size <= 12 && get_be32(key.data) == number) {
        struct key k;
        memcpy(k.data, key.data, key.size);
        k.size = key.size;
        rows_delete(a->rows, t, &k);
        (*left)--;
    }
    return *left > 0;
}

/* UIDs from j->next_uid on that carry the mark; false when the end of the generation was seen. */
static bool marked_uids(struct apply *a, struct job_row *j, uint32_t *uids, uint32_t max,
                        uint32_t *out_n)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct message_row row;
    uint32_t scanned = 0;
    struct key from = key_u32_u32(j->generation, j->next_uid);
    enum status s = env_cursor_open(a->rows->txn, TABLE_MESSAGE, &rows);
    if (s != OK) {
        rows_fail(a->rows, s);
        return false;
    }
    bool more = false;
    *out_n = 0;
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && key.size == 8 && get_be32(key.data) == j->generation;
         s = env_cursor_next(rows, &key, &value)) {
        if (*out_n == max || ++scanned > TICK_SCAN_MAX) {
            j->next_uid = get_be32(key.data + 4);
            more = true;
            break;
        }
        rows_fail(a->rows, message_row_decode(value, &row));
        if (a->rows->failed != OK) {
            break;
        }
        if (!row.expunged && (row.slots & (1u << j->slot)) != 0) {
            uids[(*out_n)++] = get_be32(key.data + 4);
        }
    }
    env_cursor_close(rows);
    rows_fail(a->rows, s == STATUS_NOT_FOUND ? OK : s);
    return more;
}

/* true: done. */
static bool clear_slot(struct apply *a, struct job_row *j, uint32_t *left)
{
    struct mailbox_row *m = rows_mailbox_find(a->rows, j->owner, j->guid);
    if (m == NULL || m->current.number != j->generation) {
        return true;
    }
    uint32_t max = *left / 4;
    uint32_t *uids = arena_alloc(a->arena, (max + 1) * sizeof(*uids));
    uint32_t n = 0;
    if (uids == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return false;
    }
    struct store_sums before;
    apply_sums_take(m, &before);
    bool more = marked_uids(a, j, uids, max, &n);
    for (uint32_t i = 0; i < n && a->rows->failed == OK; i++) {
        apply_message_unmark(a, m, &m->current, uids[i], j->slot, false);
        *left -= 4;
    }
    if (!more) {
        m->clearing = (uint16_t)(m->clearing & ~(1u << j->slot));
        mailbox_cursor_remove(m, j->slot);
    }
    apply_sums_settle(a, &before, m);
    rows_mailbox_touch(a->rows, m);
    return !more;
}

static bool next_job(struct apply *a, struct key *out_key, struct job_row *out_j)
{
    struct bytes key;
    struct bytes value;
    if (a->rows->system.jobs == 0 ||
        !rows_seek(a->rows, TABLE_JOB, (struct bytes){NULL, 0}, &key, &value)) {
        return false;
    }
    enum status s = key.size == 8 ? job_row_decode(value, out_j) : STATUS_CORRUPT;
    rows_fail(a->rows, s);
    if (s != OK || out_j->slot >= SLOTS_MAX) {
        rows_fail(a->rows, STATUS_CORRUPT);
        return false;
    }
    *out_key = key_u64(get_be64(key.data));
    return true;
}

static void work(struct apply *a, uint32_t left)
{
    struct key key;
    struct job_row j;
    while (left > STEP_ROWS && next_job(a, &key, &j)) {
        bool done;
        if (j.kind == JOB_CLEAR_SLOT) {
            done = clear_slot(a, &j, &left);
        } else {
            done = drop_prefix(a, TABLE_MESSAGE, j.generation, &left) &&
                   drop_prefix(a, TABLE_TOMBSTONE, j.generation, &left);
        }
        if (done) {
            rows_delete(a->rows, TABLE_JOB, &key);
            a->rows->system.jobs--;
            left--;
            continue;
        }
        uint8_t bytes[64];
        rows_put(a->rows, TABLE_JOB, &key, (struct bytes){bytes, job_row_encode(&j, bytes)});
        return;
    }
}

enum status apply_tick(struct apply *a)
{
    struct due d;
    uint32_t left = TICK_ROWS_MAX;
    while (left > STEP_ROWS && a->rows->failed == OK && next_due(a, &d)) {
        uint32_t touched = 1 + end_one(a, &d, left);
        left = touched < left ? left - touched : 0;
    }
    if (a->rows->failed == OK) {
        work(a, left);
    }
    return OK;
}
