/* What accepted heads and batches mean for each shard, and which damage is charged to whom.
 *
 * A batch lists, for each of its shards, the sequence of that shard's last record before it; a head
 * and a mark list the same for all shards. So after a hole every later batch, head or mark proves
 * for its shards that they lost nothing in it, or that they did. Between, a shard is suspect (the
 * hole may have held its records) or gapped (it did).
 *   - A head that holds all that is left of a shard's log (entries carried, or none left) heals it:
 *     whole state, whole log.
 *   - A head heals a gapped shard if all entries it still needs came after the gap (state is in the
 *     head; an older head, too, or a second gap would cost what the first recovery kept), or if the
 *     head itself says that the gap was charged before (then the entries up to the gap are all there
 *     is).
 *   - An install record heals it: it has no other entries.
 * Who is not healed at the end is charged: AMNESIA, and its log ends at the first hole.
 * W4: a head is the state at its own position; it is applied where it stands, never as a replay of
 * records. Failure: NO_MEMORY only; bytes here have passed their sums. */
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "raft/log_internal.h"

static struct log_shard *find_or_create(struct log *l, uint32_t shard)
{
    struct log_shard *s = log_shard_find(l, shard);
    return s != NULL ? s : log_shard_create(l, shard);
}

/* Records of s are missing here. */
static void gap(struct log *l, struct log_shard *s)
{
    if (!s->replay.gapped) {
        log_ring_deinit(&s->replay.before);
        s->replay.before = s->ring;
        log_ring_init(&s->ring, s->ring.first, &l->cached_bytes);
        s->replay.gapped = true;
    } else {
        log_ring_clear(&s->ring, s->ring.first);
    }
    s->replay.positioned = false;
    s->replay.suspect = false;
}

static void heal(struct log_shard *s)
{
    s->replay.gapped = false;
    s->replay.suspect = false;
    log_ring_clear(&s->replay.before, 1);
}

static enum status push_entry(struct log *l, struct log_shard *s, const struct log_record_view *r,
                              uint64_t sequence, struct log_at where)
{
    if (s->ring.count > 0 && r->index <= log_ring_last(&s->ring) + 1 && r->index >= s->ring.first) {
        log_ring_truncate(&s->ring, r->index);
    } else {
        if (r->index > log_ring_last(&s->ring) + 1 && (s->ring.count > 0 || s->replay.positioned)) {
            gap(l, s);
        }
        log_ring_clear(&s->ring, r->index);
    }
    struct log_entry e = {r->index, r->term, (enum entry_type)r->type, (uint32_t)r->payload.size,
                          sequence, NULL};
    if (e.type ==
        ENTRY_CHANGE) { /* the engine wants these when it starts, before anything can be fetched */
        e.payload = block_copy(r->payload.data, r->payload.size);
        if (e.payload == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    struct log_slot *slot;
    enum status rv = log_ring_push(&s->ring, &e, &slot);
    if (rv != OK) {
        block_unref(e.payload);
        return rv;
    }
    slot->segment = where.segment;
    slot->at = where.at;
    s->replay.positioned = true;
    return OK;
}

static enum status take_state(struct log_shard *s, struct bytes b)
{
    struct log_state st;
    enum status rv = log_state_decode(b, &st);
    if (rv != OK) {
        return rv;
    }
    st.shard = s->id;
    log_state_set(&s->state, &st);
    block_unref(st.configuration);
    s->replay.has_state = true;
    return OK;
}

static enum status take_record(struct log *l, struct log_shard *s, const struct log_record_view *r,
                               uint64_t sequence, struct log_at where)
{
    enum status rv = OK;
    switch (r->kind) {
        case KIND_ENTRY:
            rv = push_entry(l, s, r, sequence, where);
            break;
        case KIND_TRUNCATE:
            if (s->ring.count == 0 || r->index < s->ring.first) {
                log_ring_clear(&s->ring, r->index);
            } else {
                log_ring_truncate(&s->ring, r->index);
            }
            break;
        case KIND_STATE:
        case KIND_INSTALL:
            rv = take_state(s, r->payload);
            if (rv != OK) {
                break;
            }
            if (r->kind == KIND_INSTALL) {
                heal(s);
                s->damaged = false;
                s->replay.positioned = true;
            }
            if (r->kind == KIND_INSTALL ||
                (s->replay.positioned && s->state.snapshot_index > log_ring_last(&s->ring))) {
                log_ring_clear(&s->ring, s->state.snapshot_index + 1);
            }
            break;
        case KIND_GENERATION:
            break;
    }
    s->replay.seen = sequence;
    return rv;
}

/* The batch says what it follows in each shard. */
static enum status check_list(struct log *l, const struct log_batch *b, bool after_newest)
{
    for (uint32_t i = 0; i < b->shards_n; i++) {
        struct log_list_item item = log_list_item_get(b->list, i);
        bool is_new = log_shard_find(l, item.shard) == NULL;
        struct log_shard *s = find_or_create(l, item.shard);
        if (s == NULL) {
            return STATUS_NO_MEMORY;
        }
        if (is_new && (item.sequence == 0 || after_newest)) {
            s->replay.known = true; /* nothing of it came before */
            s->replay.positioned = true;
        }
        if (!log_rule(LOG_RULE_W1)) {
            continue;
        }
        if (!s->replay.known) {
            s->replay.known = true;
            s->replay.seen = item.sequence;
        } else if (s->replay.seen != item.sequence) {
            gap(l, s);
        } else {
            s->replay.suspect = false;
        }
    }
    return OK;
}

enum status log_replay_batch(struct log *l, const uint8_t *at, const struct log_batch *b,
                             struct log_at where, bool after_newest)
{
    enum status rv = check_list(l, b, after_newest);
    uint32_t cursor = b->records_at;
    for (uint32_t i = 0; i < b->records_n && rv == OK; i++) {
        struct log_record_view r;
        rv = log_record_decode(at + cursor, b->size - cursor, b->seed, &r);
        if (rv != OK) {
            return rv;
        }
        if (r.shard != LOG_NO_SHARD && r.kind != KIND_GENERATION) {
            struct log_shard *s = find_or_create(l, r.shard);
            struct log_at place = {where.segment, where.at + cursor};
            rv = s == NULL ? STATUS_NO_MEMORY : take_record(l, s, &r, b->first + i, place);
        }
        cursor += log_record_size((uint32_t)r.payload.size);
    }
    return rv;
}

/* The entries that the head carries are all of the shard's log. */
static enum status take_carried(struct log *l, struct log_shard *s, const uint8_t *at,
                                const struct log_head *h, const struct log_head_shard *hs,
                                uint32_t segment)
{
    uint32_t cursor = hs->entries_at;
    for (uint32_t i = 0; i < hs->entries_n; i++) {
        struct log_record_view r;
        if (cursor > h->size) {
            return STATUS_MALFORMED;
        }
        enum status rv = log_record_decode(at + cursor, h->size - cursor, h->seed, &r);
        if (rv != OK) {
            return rv;
        }
        if (r.kind != KIND_ENTRY || r.shard != s->id || r.index != hs->first + i) {
            return STATUS_MALFORMED;
        }
        /* Durable long ago; any sequence up to the shard's last is true enough. */
        rv = push_entry(l, s, &r, hs->last_sequence, (struct log_at){segment, cursor});
        if (rv != OK) {
            return rv;
        }
        cursor += log_record_size((uint32_t)r.payload.size);
    }
    return OK;
}

/* A hole before this head concerns s, and the head does not hold its whole log. */
static void judge(struct log *l, struct log_shard *s, const struct log_head_shard *hs, bool newest)
{
    if (s->replay.known && s->replay.seen != hs->last_sequence) {
        if (!hs->damaged || !s->replay.gapped) {
            gap(l, s);
        }
    } else {
        s->replay.suspect = false;
    }
    if (s->replay.gapped && hs->damaged) {
        /* Charged before: what came before the first gap is what its log went on from. */
        log_ring_deinit(&s->ring);
        s->ring = s->replay.before;
        log_ring_init(&s->replay.before, 1, &l->cached_bytes);
        s->replay.gapped = false;
        log_ring_truncate(&s->ring, hs->last + 1);
    }
    bool holds =
        s->ring.count > 0 && s->ring.first <= hs->first && log_ring_last(&s->ring) == hs->last;
    if (holds && (newest || s->replay.gapped)) {
        heal(s);
        log_ring_cut(&s->ring, hs->first - 1);
        s->replay.positioned = true;
    } else if (newest && !s->replay.gapped) {
        gap(l, s);
    } else if (!newest) {
        if (s->ring.count == 0 && !s->replay.gapped) {
            log_ring_clear(&s->ring, hs->last + 1);
        }
        s->replay.positioned = !s->replay.gapped;
    }
}

static enum status head_shard(struct log *l, const uint8_t *at, const struct log_head *h,
                              const struct log_head_shard *hs, uint32_t segment, bool newest)
{
    struct log_shard *s = find_or_create(l, hs->shard);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    enum status rv = take_state(s, hs->state);
    if (rv != OK) {
        return rv;
    }
    s->damaged = hs->damaged;
    if (hs->entries_n > 0 || hs->first > hs->last) {
        heal(s);
        log_ring_clear(&s->ring, hs->first);
        s->replay.positioned = true;
        rv = take_carried(l, s, at, h, hs, segment);
    } else {
        judge(l, s, hs, newest);
    }
    s->replay.known = true;
    s->replay.seen = hs->last_sequence;
    return rv;
}

enum status log_replay_head(struct log *l, const uint8_t *at, const struct log_head *h,
                            uint32_t segment, bool newest)
{
    uint32_t cursor = LOG_HEAD_FIXED;
    struct log_head_shard hs;
    enum status rv;
    while ((rv = log_head_next(at, h, &cursor, &hs)) == OK) {
        rv = head_shard(l, at, h, &hs, segment, newest);
        if (rv != OK) {
            return rv;
        }
    }
    l->ever_damaged = l->ever_damaged || h->ever_damaged;
    return rv == STATUS_NOT_FOUND ? OK : rv;
}

enum status log_replay_hole(struct log *l, const uint32_t *shards, uint32_t n, bool exact)
{
    l->ever_damaged = true;
    for (uint32_t i = 0; i < n; i++) {
        struct log_shard *s = find_or_create(l, shards[i]);
        if (s == NULL) {
            return STATUS_NO_MEMORY;
        }
        s->replay.known = true;
        gap(l, s);
    }
    for (uint32_t i = 0; i < l->shards_n && !exact; i++) {
        l->shards[i]->replay.suspect = !l->shards[i]->replay.gapped;
    }
    return OK;
}

enum status log_replay_mark(struct log *l, const struct log_mark *m)
{
    for (uint32_t i = 0; i < m->shards_n; i++) {
        struct log_list_item item = log_list_item_get(m->list, i);
        struct log_shard *s = find_or_create(l, item.shard);
        if (s == NULL) {
            return STATUS_NO_MEMORY;
        }
        if (s->replay.seen != item.sequence) {
            gap(l, s);
            s->replay.seen = item.sequence;
        } else {
            s->replay.suspect = false;
        }
    }
    return OK;
}

static void charge(struct log *l, struct log_shard *s)
{
    l->ever_damaged = true;
    s->damaged = true;
    s->state.amnesia = true;
    if (s->replay.gapped) {
        log_ring_deinit(&s->ring);
        s->ring = s->replay.before;
        log_ring_init(&s->replay.before, 1, &l->cached_bytes);
        s->replay.gapped = false;
    }
    /* A log that does not begin where the snapshot ends is of no use to anyone. */
    if (s->ring.count == 0 || s->ring.first > s->state.snapshot_index + 1 ||
        log_ring_last(&s->ring) < s->state.snapshot_index) {
        log_ring_clear(&s->ring, s->state.snapshot_index + 1);
    }
}

enum status log_replay_finish(struct log *l)
{
    for (uint32_t i = 0; i < l->shards_n; i++) {
        struct log_shard *s = l->shards[i];
        if (s->replay.gapped || s->replay.suspect || !s->replay.has_state) {
            charge(l, s);
        }
        s->last_sequence = s->replay.seen;
        log_ring_deinit(&s->replay.before);
    }
    return OK;
}
