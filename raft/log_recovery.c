/* Which files and batches count, where the log ends, and whether its end is torn or damaged.
 *
 * Happy path: read every head; the newest whole one says from which segment on anything is still
 * needed; walk those segments in order, accepting each batch that continues the one before, and
 * apply heads and batches (log_replay.c) -> the first place where nothing continues is the tail.
 * W1: a batch counts only if it is of this segment, of no lower generation, and continues
 * (generation, sequence); behind the tail only a whole batch with a later sequence is evidence:
 * what an older life left there is older on both counts. W2: a mark behind the tail that names a
 * later sequence is evidence, too. With evidence the tail is no tail but a hole: damage, charged by
 * log_replay.c; the walk goes on behind it. Failure: files of another cluster, node or format are
 * refused by name; damage is no failure. */
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"
#include "raft/log_internal.h"

#define WINDOW_BYTES   (1024u * 1024u)
#define LIST_BYTES_MAX (128u + LOG_SHARDS_MAX * 16u)

struct walk {
    struct log *log;
    uint8_t *window;
    size_t window_capacity;
    const struct log_segment *window_of;
    uint32_t window_at;
    size_t window_size;
    enum status status; /* of reading; sticky */

    uint64_t generation; /* nothing lower counts */
    uint64_t last_generation;
    uint64_t last_sequence;
    uint32_t newest; /* segment of the newest whole head; 0 = none */
    bool after_newest;
    bool damage;
    uint32_t holed[LOG_SHARDS_MAX];
    uint32_t holed_n;
    struct log_recovered *out;
};

/* A place that counts: batch or mark. */
struct found {
    uint32_t at;
    bool is_mark;
    struct log_batch batch;
    struct log_mark mark;
};

static const uint8_t *view(struct walk *w, const struct log_segment *seg, uint32_t at,
                           uint32_t size)
{
    uint32_t end = w->log->options.segment_bytes;
    if (w->status != OK || at > end || size > end - at) {
        return NULL;
    }
    if (w->window_of == seg && at >= w->window_at &&
        at - w->window_at + (size_t)size <= w->window_size) {
        return w->window + (at - w->window_at);
    }
    size_t want = size > WINDOW_BYTES ? size : WINDOW_BYTES;
    want = want > end - at ? end - at : want;
    if (want > w->window_capacity) {
        free(w->window);
        w->window = malloc(want);
        w->window_capacity = w->window == NULL ? 0 : want;
    }
    w->window_of = NULL;
    if (w->window == NULL) {
        w->status = STATUS_NO_MEMORY;
        return NULL;
    }
    size_t n = 0;
    w->status = disk_read(w->log->options.disk, seg->file, w->window, want, at, &n);
    if (w->status == OK && n != want) {
        w->status = STATUS_IO;
    }
    if (w->status != OK) {
        return NULL;
    }
    w->window_of = seg;
    w->window_at = at;
    w->window_size = want;
    return w->window;
}

static uint32_t left_of(const struct walk *w, uint32_t at, uint32_t most)
{
    uint32_t left = w->log->options.segment_bytes - at;
    return left < most ? left : most;
}

static bool own_seed(const struct walk *w, uint64_t seed)
{
    return w->log->seed == 0 || seed == w->log->seed;
}

/* A list that can be trusted; the batch itself may be damaged. */
static bool read_list(struct walk *w, const struct log_segment *seg, uint32_t at,
                      struct log_batch *b)
{
    uint32_t size = left_of(w, at, LIST_BYTES_MAX);
    const uint8_t *p = view(w, seg, at, size);
    return p != NULL && log_batch_decode_list(p, size, b) == OK && own_seed(w, b->seed);
}

static const uint8_t *read_batch(struct walk *w, const struct log_segment *seg, uint32_t at,
                                 struct log_batch *b)
{
    if (!read_list(w, seg, at, b)) {
        return NULL;
    }
    const uint8_t *p = view(w, seg, at, b->size);
    return p != NULL && log_batch_decode(p, b->size, b) == OK ? p : NULL;
}

static enum status check_head(struct log *l, const struct log_segment *seg,
                              const struct log_head *h, struct error *e)
{
    const char *what = "belongs to another cluster";
    enum status s = STATUS_WRONG_CLUSTER;
    if (uuid_equal(&h->cluster, &l->options.cluster)) {
        s = h->node != l->options.node ? STATUS_WRONG_NODE : OK;
        what = "belongs to another node of this cluster";
    }
    if (s == OK && h->segment_bytes != l->options.segment_bytes) {
        s = STATUS_WRONG_FORMAT;
        what = "has segments of another size";
    }
    if (s != OK) {
        return error_set(e, s,
                         "%s/%08llu.log: it %s: give this node its own data directory, or start "
                         "the node it belongs to",
                         l->directory, (unsigned long long)seg->id, what);
    }
    return OK;
}

/* OK with number 0 when there is no whole head. */
static enum status read_head(struct walk *w, struct log_segment *seg, struct log_head *out_head,
                             const uint8_t **out_at, struct error *e)
{
    struct log *l = w->log;
    const uint8_t *p = view(w, seg, 0, LOG_BLOCK_BYTES);
    uint32_t size = p == NULL ? 0 : log_head_peek(p, LOG_BLOCK_BYTES);
    out_head->number = 0;
    if (size < LOG_HEAD_FIXED || size > l->options.segment_bytes / 2) {
        return w->status;
    }
    p = view(w, seg, 0, size);
    if (p == NULL) {
        return w->status;
    }
    enum status s = log_head_decode(p, size, out_head);
    if (s == STATUS_WRONG_FORMAT) {
        return error_set(
            e, s, "%s/%08llu.log: written in a later format: start the version that wrote it",
            l->directory, (unsigned long long)seg->id);
    }
    if (s != OK) {
        out_head->number = 0;
        return OK;
    }
    *out_at = p;
    return check_head(l, seg, out_head, e);
}

/* The head is not whole: whole batches in the file say which segment it is; none: it is free. */
static uint32_t number_by_batches(struct walk *w, const struct log_segment *seg)
{
    uint32_t number = 0;
    for (uint32_t at = 0; at < w->log->options.segment_bytes && w->status == OK;
         at += LOG_BLOCK_BYTES) {
        struct log_batch b;
        if (read_batch(w, seg, at, &b) != NULL && b.segment > number) {
            number = (uint32_t)b.segment;
            w->log->seed = b.seed;
        }
    }
    return number;
}

/* Numbers every file; returns the first segment that counts, 0 for a blank log. */
static enum status survey(struct walk *w, uint32_t *out_first, uint32_t *out_last, struct error *e)
{
    struct log *l = w->log;
    struct log_head newest = {0};
    for (uint32_t i = 0; i < l->segments_n; i++) {
        struct log_head h;
        const uint8_t *at;
        enum status s = read_head(w, l->segments[i], &h, &at, e);
        if (s != OK) {
            return s;
        }
        l->segments[i]->number = (uint32_t)h.number;
        if (h.number > newest.number) {
            newest = h;
        }
    }
    l->seed = newest.seed;
    w->newest = (uint32_t)newest.number;
    uint32_t first = (uint32_t)newest.needed, last = w->newest;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        if (l->segments[i]->number == 0) {
            uint32_t n = number_by_batches(w, l->segments[i]);
            bool taken = log_segment_find(l, n) != NULL;
            l->segments[i]->number = taken ? 0 : n;
            first = w->newest == 0 && n != 0 && (first == 0 || n < first) ? n : first;
            last = n > last ? n : last;
        }
    }
    *out_first = first;
    *out_last = last;
    return w->status;
}

static void note_holed(struct walk *w, const struct log_batch *b)
{
    for (uint32_t i = 0; i < b->shards_n; i++) {
        uint32_t shard = log_list_item_get(b->list, i).shard, j = 0;
        while (j < w->holed_n && w->holed[j] != shard) {
            j++;
        }
        if (j == w->holed_n && j < LOG_SHARDS_MAX && shard != LOG_NO_SHARD) {
            w->holed[w->holed_n++] = shard;
        }
    }
}

/* Bytes [from, to) do not hold what they should, up to sequence `until`. Whose records were there?
 * Lists tell, read from the front and, behind the first that can't be, from the back. */
static enum status hole(struct walk *w, const struct log_segment *seg, uint32_t from, uint32_t to,
                        uint64_t until)
{
    struct log_batch b;
    uint64_t sequence = w->last_sequence;
    w->damage = true;
    w->holed_n = 0;
    while (seg != NULL && from < to && sequence < until && read_list(w, seg, from, &b) &&
           b.first == sequence + 1 && b.segment == seg->number && b.size <= to - from) {
        note_holed(w, &b);
        sequence = b.last;
        from += b.size;
    }
    while (seg != NULL && from < to && sequence < until && to < w->log->options.segment_bytes) {
        uint32_t size = to - from < LIST_BYTES_MAX ? to - from : LIST_BYTES_MAX;
        const uint8_t *p = view(w, seg, to - size, size);
        if (p == NULL || log_batch_decode_end(p + size, size, &b) != OK || !own_seed(w, b.seed) ||
            b.last != until || b.segment != seg->number || b.size > to - from) {
            break;
        }
        note_holed(w, &b);
        until = b.first - 1;
        to -= b.size;
    }
    bool exact = seg != NULL && sequence == until;
    log_error(
        "event=log.damaged segment=%u from=%u to=%u after_sequence=%llu until=%llu shards=%u "
        "exact=%d",
        seg == NULL ? 0 : seg->number, from, to, (unsigned long long)w->last_sequence,
        (unsigned long long)until, w->holed_n, exact);
    return log_replay_hole(w->log, w->holed, w->holed_n, exact);
}

static enum status accept(struct walk *w, struct log_segment *seg, uint32_t *at)
{
    struct log_batch b;
    const uint8_t *p = read_batch(w, seg, *at, &b);
    must(p != NULL);
    enum status s =
        log_replay_batch(w->log, p, &b, (struct log_at){seg->number, *at}, w->after_newest);
    w->last_generation = b.generation;
    w->last_sequence = b.last;
    w->generation = b.generation > w->generation ? b.generation : w->generation;
    w->out->last_item_at = *at;
    w->out->last_item_size = b.size;
    *at += b.size;
    return s;
}

static bool continues(const struct walk *w, const struct log_batch *b)
{
    return b->previous_generation == w->last_generation &&
           b->previous_sequence == w->last_sequence && b->generation >= w->generation;
}

/* The next place at or behind `at` that proves that more was durable than what has been accepted.
 * */
static bool find_evidence(struct walk *w, const struct log_segment *seg, uint32_t at,
                          struct found *out_found)
{
    bool w1 = log_rule(LOG_RULE_W1);
    for (; at <= w->log->options.segment_bytes - LOG_BLOCK_BYTES; at += LOG_BLOCK_BYTES) {
        struct found f = {.at = at};
        if (read_batch(w, seg, at, &f.batch) != NULL) {
            if (!w1 || (f.batch.segment == seg->number && f.batch.first > w->last_sequence &&
                        f.batch.generation >= w->generation)) {
                *out_found = f;
                return true;
            }
            continue;
        }
        const uint8_t *p = view(w, seg, at, LOG_BLOCK_BYTES);
        if (p != NULL && log_rule(LOG_RULE_W2) &&
            log_mark_decode(p, LOG_BLOCK_BYTES, &f.mark) == OK && own_seed(w, f.mark.seed) &&
            f.mark.segment == seg->number && f.mark.sequence > w->last_sequence &&
            f.mark.generation >= w->generation) {
            f.is_mark = true;
            *out_found = f;
            return true;
        }
    }
    return false;
}

static enum status take_mark(struct walk *w, struct log_segment *seg, uint32_t *at,
                             const struct found *f)
{
    enum status s = hole(w, seg, *at, f->at, f->mark.sequence);
    struct log_mark m;
    const uint8_t *p = view(w, seg, f->at, LOG_BLOCK_BYTES);
    if (s == OK && p != NULL && log_mark_decode(p, LOG_BLOCK_BYTES, &m) == OK) {
        s = log_replay_mark(w->log, &m);
        w->last_generation = m.generation;
        w->last_sequence = m.sequence;
        w->generation = m.generation > w->generation ? m.generation : w->generation;
    }
    *at = f->at;
    return s == OK ? w->status : s;
}

/* Accepts what follows `at` in this segment; *at is the tail afterwards. */
static enum status walk_batches(struct walk *w, struct log_segment *seg, uint32_t *at)
{
    enum status s = OK;
    while (s == OK && w->status == OK) {
        struct log_batch b;
        const uint8_t *p = read_batch(w, seg, *at, &b);
        if (p != NULL &&
            (!log_rule(LOG_RULE_W1) || (b.segment == seg->number && continues(w, &b)))) {
            s = accept(w, seg, at);
            continue;
        }
        struct found f;
        if (!find_evidence(w, seg, *at, &f)) {
            break;
        }
        if (f.is_mark) {
            s = take_mark(w, seg, at, &f);
            continue;
        }
        if (!continues(w, &f.batch)) { /* it may, behind a head that is not whole */
            s = hole(w, seg, *at, f.at, f.batch.previous_sequence);
        }
        *at = f.at;
        if (s == OK) {
            s = accept(w, seg, at);
        }
    }
    return s == OK ? w->status : s;
}

static enum status enter_segment(struct walk *w, struct log_segment *seg,
                                 struct log_segment *before, uint32_t tail, bool first,
                                 uint32_t *out_at)
{
    struct log_head h;
    const uint8_t *p = NULL;
    struct error ignored;
    *out_at = LOG_BLOCK_BYTES;
    enum status s = read_head(w, seg, &h, &p, &ignored);
    if (s != OK || h.number == 0) {
        w->out->fresh_segment = true; /* its head is damaged: have a new one */
        log_warn("event=log.head_damaged segment=%u", seg->number);
        return s;
    }
    *out_at = log_align(h.size, LOG_BLOCK_BYTES);
    if (!first &&
        (h.previous_generation != w->last_generation || h.previous_sequence != w->last_sequence)) {
        s = hole(w, before, tail, w->log->options.segment_bytes, h.previous_sequence);
        p = view(w, seg, 0, h.size);
    }
    w->last_generation = h.previous_generation;
    w->last_sequence = h.previous_sequence;
    w->generation = h.generation > w->generation ? h.generation : w->generation;
    w->out->last_item_at = 0;
    w->out->last_item_size = *out_at;
    bool newest = seg->number == w->newest;
    w->after_newest = w->after_newest || newest;
    if (s == OK && p != NULL && (log_rule(LOG_RULE_W4) || !newest)) {
        s = log_replay_head(w->log, p, &h, seg->number, newest);
    }
    return s == OK ? w->status : s;
}

/* The mark of the last batch, behind it, lists all shards: it may clear some that are only suspect.
 * */
static enum status ask_last_mark(struct walk *w, const struct log_segment *seg, uint32_t tail)
{
    struct log_mark m;
    uint32_t size = LOG_BLOCK_BYTES;
    const uint8_t *p =
        tail <= w->log->options.segment_bytes - size ? view(w, seg, tail, size) : NULL;
    if (p == NULL || log_mark_decode(p, size, &m) != OK || !own_seed(w, m.seed) ||
        m.segment != seg->number || m.generation != w->last_generation ||
        m.sequence != w->last_sequence) {
        return w->status;
    }
    return log_replay_mark(w->log, &m);
}

/* The lowest number of a segment above this one; there is one. */
static uint32_t next_number(const struct log *l, uint32_t number)
{
    uint32_t next = UINT32_MAX;
    for (uint32_t i = 0; i < l->segments_n; i++) {
        uint32_t n = l->segments[i]->number;
        next = n > number && n < next ? n : next;
    }
    return next;
}

static enum status walk_segments(struct walk *w, uint32_t first, uint32_t last)
{
    struct log_segment *before = NULL;
    uint32_t tail = 0;
    enum status s = OK;
    w->after_newest = w->newest == 0;
    for (uint32_t number = first; number <= last && s == OK; number++) {
        struct log_segment *seg = log_segment_find(w->log, number);
        if (seg == NULL) { /* the next head or batch will say up to where */
            before = NULL;
            w->damage = true;
            s = log_replay_hole(w->log, NULL, 0, false);
            number = next_number(w->log, number) - 1;
            continue;
        }
        uint32_t at;
        w->out->last_item_size = 0;
        s = enter_segment(w, seg, before, tail, number == first, &at);
        if (s == OK) {
            s = walk_batches(w, seg, &at);
        }
        seg->used = at;
        before = seg;
        tail = at;
    }
    w->out->last = before;
    w->out->tail = tail;
    return s == OK && w->damage && before != NULL ? ask_last_mark(w, before, tail) : s;
}

/* The hazard of W4, for its test: the head read as a replay of records. */
static enum status replay_head_late(struct walk *w)
{
    struct log_segment *seg = log_segment_find(w->log, w->newest);
    struct log_head h;
    const uint8_t *p = NULL;
    enum status s = read_head(w, seg, &h, &p, NULL);
    return s == OK ? log_replay_head(w->log, p, &h, w->newest, true) : s;
}

static enum status run(struct walk *w, struct error *e)
{
    struct log *l = w->log;
    uint32_t first, last;
    enum status s = survey(w, &first, &last, e);
    if (s != OK) {
        return s;
    }
    l->needed_durable = first;
    if (first == 0) {
        w->out->blank = true;
        while (l->seed == 0) {
            l->seed = random_u64(l->options.random);
        }
        return OK;
    }
    s = walk_segments(w, first, last);
    if (s == OK && !log_rule(LOG_RULE_W4)) {
        s = replay_head_late(w);
    }
    if (s == OK) {
        s = log_replay_finish(l);
    }
    w->out->fresh_segment = w->out->fresh_segment || w->damage;
    l->needed = first;
    l->generation = w->generation;
    l->written_generation = w->last_generation;
    l->written_sequence = w->last_sequence;
    l->next_sequence = w->last_sequence + 1;
    l->durable = w->last_sequence;
    return s;
}

enum status log_recover(struct log *l, struct log_recovered *out, struct error *e)
{
    struct walk *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    w->log = l;
    w->out = out;
    if (e != NULL) {
        *e = (struct error){0};
    }
    enum status s = run(w, e);
    free(w->window);
    free(w);
    if (s != OK && (e == NULL || e->status == OK)) {
        return error_set(e, s, "%s: can't recover: %s", l->directory, status_text(s));
    }
    return s;
}
