/* One message of one generation: its row, its tombstone, and the counters of its mailbox.
 *
 * A live row knows which stores hold it (a bit each) and who reported it last. An expunged one stays in place, with its GUID, as
 * long as its tombstone: so `changes since n` is one scan, and a UID that comes back is known. */
#include "storage/apply.h"

#include <string.h>

#define TOMBSTONE_ROW_BYTES 12u

static bool get_message(struct apply *a, const struct key *k, struct message_row *out_row)
{
    struct bytes value;
    if (!rows_get(a->rows, TABLE_MESSAGE, k, &value)) {
        return false;
    }
    rows_fail(a->rows, message_row_decode(value, out_row));
    return a->rows->failed == OK;
}

/* The row's strings may be borrowed from the old value: they are encoded before it is overwritten. */
static void put_message(struct apply *a, const struct key *k, const struct message_row *row,
                        bool is_new)
{
    uint8_t bytes[ROW_BYTES_MAX];
    struct bytes value = {bytes, message_row_encode(row, bytes)};
    if (is_new) {
        rows_put_new(a->rows, TABLE_MESSAGE, k, value);
    } else {
        rows_put(a->rows, TABLE_MESSAGE, k, value);
    }
}

static void count(struct apply *a, struct mailbox_row *m, struct generation *g,
                  const struct message_row *row, bool in)
{
    uint64_t unseen = (row->flags & MQ__MESSAGE_FLAG__FLAG_SEEN) == 0 ? 1 : 0;
    if (!in && (g->messages == 0 || g->unseen < unseen || g->bytes < row->size)) {
        rows_fail(a->rows, STATUS_CORRUPT); /* the disk has changed a row */
        return;
    }
    g->messages = in ? g->messages + 1 : g->messages - 1;
    g->unseen = in ? g->unseen + unseen : g->unseen - unseen;
    g->bytes = in ? g->bytes + row->size : g->bytes - row->size;
    apply_marks_count(a, m, g, row, in);
}

static bool same_bytes(struct bytes x, struct bytes y)
{
    return x.size == y.size && (x.size == 0 || memcmp(x.data, y.data, x.size) == 0);
}

/* ---- as reported ---- */

static struct message_row as_reported(struct apply *a, const Mq__Message *c, uint8_t slot)
{
    struct message_row row = {
        .last_slot = slot,
        .keyword_count = (uint8_t)c->n_keywords,
        .slots = (uint16_t)(1u << slot),
        .flags = c->flags,
        .modseq = c->modseq,
        .date = c->internal_date,
        .size = c->size,
        .guid = apply_data(c->guid),
        .hash = apply_data(c->body_hash),
    };
    if (c->n_keywords == 0) {
        return row;
    }
    size_t size = 0; /* to the byte: a page has a thousand messages with 64 keywords each */
    for (size_t i = 0; i < c->n_keywords; i++) {
        size += strlen(c->keywords[i]) + 1;
    }
    uint8_t *at = arena_alloc(a->arena, size);
    if (at == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return row;
    }
    row.keywords.data = at;
    for (size_t i = 0; i < c->n_keywords; i++) {
        size_t n = strlen(c->keywords[i]);
        *at++ = (uint8_t)n;
        memcpy(at, c->keywords[i], n);
        at += n;
    }
    row.keywords.size = size;
    return row;
}

static bool same_content(const struct message_row *x, const struct message_row *y)
{
    return x->flags == y->flags && x->modseq == y->modseq && x->date == y->date &&
           x->size == y->size && x->keyword_count == y->keyword_count &&
           same_bytes(x->guid, y->guid) && same_bytes(x->hash, y->hash) &&
           same_bytes(x->keywords, y->keywords);
}

bool apply_message_conflicts(struct apply *a, const struct generation *g, const Mq__Message *c)
{
    struct message_row old;
    if (c->uid >= g->uidnext) {
        return false;
    }
    struct key k = key_u32_u32(g->number, c->uid);
    return get_message(a, &k, &old) && old.guid.size > 0 && c->guid.len > 0 &&
           !same_bytes(old.guid, apply_data(c->guid));
}

static void bring_back(struct apply *a, struct generation *g, const struct message_row *old)
{
    struct key k = key_u32_u64(g->number, old->change);
    if (rows_delete(a->rows, TABLE_TOMBSTONE, &k)) {
        g->tombstones--;
    }
}

/* The words of the store that leads stay; the other one adds its mark, and what was not known. */
static void only_mark(struct message_row *row, const struct message_row *old, uint8_t slot)
{
    struct bytes guid = row->guid, hash = row->hash;
    *row = *old;
    row->slots = (uint16_t)(old->slots | (1u << slot));
    row->guid = old->guid.size > 0 ? old->guid : guid;
    row->hash = old->hash.size > 0 ? old->hash : hash;
}

void apply_message_upsert(struct apply *a, struct mailbox_row *m, struct generation *g,
                          uint8_t slot, bool leads, const Mq__Message *c)
{
    struct key k = key_u32_u32(g->number, c->uid);
    struct message_row row = as_reported(a, c, slot);
    struct message_row old;
    bool is_new = c->uid >= g->uidnext || !get_message(a, &k, &old);
    if (a->rows->failed != OK) {
        return;
    }
    if (!is_new) {
        row.guid = row.guid.size > 0 ? row.guid : old.guid;
        row.hash = row.hash.size > 0 ? row.hash : old.hash;
    }
    if (!is_new && old.expunged) {
        if ((!leads && old.last_slot != slot) || row.guid.size == 0 ||
            !same_bytes(row.guid, old.guid)) {
            return; /* a store that lags behind still shows it */
        }
    } else if (!is_new) {
        row.slots |= old.slots;
        if (!leads && (old.slots & (1u << m->lead_slot)) != 0) {
            only_mark(&row, &old, slot);
        }
        if (same_content(&row, &old) && row.slots == old.slots && row.last_slot == old.last_slot) {
            return;
        }
        count(a, m, g, &old, false);
    }
    row.change = ++g->change;
    put_message(a, &k, &row, is_new);
    count(a, m, g, &row, true);
    if (!is_new && old.expunged) {
        bring_back(a, g, &old);
    }
}

/* ---- gone ---- */

static void put_tombstone(struct apply *a, struct mailbox_row *m, struct generation *g,
                          uint32_t uid)
{
    uint8_t value[TOMBSTONE_ROW_BYTES];
    struct key k = key_u32_u64(g->number, g->change);
    uint64_t now_ms = a->rows->system.time_ms;
    put_le32(value, uid);
    put_le64(value + 4, now_ms);
    rows_put_new(a->rows, TABLE_TOMBSTONE, &k, (struct bytes){value, sizeof(value)});
    g->tombstones++;
    if (!g->tombstones_due) {
        struct key what = key_u32(g->number);
        struct key mailbox = key_mailbox(m->owner, m->guid);
        rows_expiry_put(a->rows, now_ms + TOMBSTONE_TTL_MS, EXPIRY_TOMBSTONES, key_bytes(&what),
                        key_bytes(&mailbox));
        g->tombstones_due = true;
    }
    if (g->tombstones > TOMBSTONES_MAX) {
        uint64_t due_ms;
        apply_tombstone_drop(a, g, UINT64_MAX, &due_ms);
    }
}

void apply_message_unmark(struct apply *a, struct mailbox_row *m, struct generation *g,
                          uint32_t uid, uint8_t slot, bool leads)
{
    struct key k = key_u32_u32(g->number, uid);
    struct message_row row;
    uint16_t bit = (uint16_t)(1u << slot);
    if (!get_message(a, &k, &row) || row.expunged || (row.slots & bit) == 0) {
        return;
    }
    count(a, m, g, &row, false);
    row.slots = (uint16_t)(row.slots & ~bit);
    row.change = ++g->change;
    if (row.slots != 0 && !leads) {
        if (row.last_slot == slot) {
            row.last_slot = (uint8_t)__builtin_ctz(row.slots);
        }
        count(a, m, g, &row, true);
        put_message(a, &k, &row, false);
        return;
    }
    struct message_row gone = {.expunged = true,
                               .last_slot = slot,
                               .change = row.change,
                               .modseq = row.modseq,
                               .date = (int64_t)a->rows->system.time_ms,
                               .guid = row.guid};
    put_message(a, &k, &gone, false);
    put_tombstone(a, m, g, uid);
}

bool apply_tombstone_drop(struct apply *a, struct generation *g, uint64_t before_ms,
                          uint64_t *out_due_ms)
{
    struct key from = key_u32_u64(g->number, 0);
    struct bytes key;
    struct bytes value;
    *out_due_ms = 0;
    if (!rows_seek(a->rows, TABLE_TOMBSTONE, key_bytes(&from), &key, &value) || key.size != 12 ||
        get_be32(key.data) != g->number) {
        return false;
    }
    if (value.size != TOMBSTONE_ROW_BYTES) {
        rows_fail(a->rows, STATUS_CORRUPT);
        return false;
    }
    uint32_t uid = get_le32(value.data);
    uint64_t at_ms = get_le64(value.data + 4);
    if (at_ms > before_ms) {
        *out_due_ms = at_ms + TOMBSTONE_TTL_MS;
        return false;
    }
    uint64_t change = get_be64(key.data + 4);
    struct key tombstone = key_u32_u64(g->number, change);
    struct key message = key_u32_u32(g->number, uid);
    rows_delete(a->rows, TABLE_TOMBSTONE, &tombstone);
    rows_delete(a->rows, TABLE_MESSAGE, &message);
    g->tombstones--;
    g->horizon = change;
    return true;
}

void apply_generation_drop(struct apply *a, struct generation *g)
{
    if (g->number != 0) {
        struct job_row j = {.kind = JOB_DROP_GENERATION, .generation = g->number};
        rows_job_new(a->rows, &j);
        memset(g, 0, sizeof(*g));
    }
}
