/* Encoding and decoding of heads, batches, marks, records and states; pure functions over bytes,
 * fuzzed. */
#include "raft/log_format.h"

#include <string.h>
#include <xxhash.h>

#include "base/must.h"

#define HEAD_MAGIC        0x3144484750514d4cu
#define BATCH_MAGIC_LOG   0x3148435441424d51u
#define END_MAGIC         0x31444e4554414251u
#define MARK_MAGIC        0x31304b52414d514du
#define BATCH_FIXED       104u
#define LIST_FROM         16u
#define LIST_ITEM         16u
#define END_SIZE          24u
#define MARK_FIXED        56u
#define HEAD_EVER_DAMAGED 1u
#define SHARD_DAMAGED     1u

static void put_epoch(uint8_t *p, const struct epoch *e)
{
    put_le64(p, e->number);
    put_le64(p + 8, e->id);
    put_le64(p + 16, e->parent);
}

static struct epoch get_epoch(const uint8_t *p)
{
    return (struct epoch){get_le64(p), get_le64(p + 8), get_le64(p + 16)};
}

struct block *log_state_encode(const struct log_state *s)
{
    uint32_t n = s->configuration == NULL ? 0 : s->configuration->size;
    must(n <= LOG_CONFIGURATION_BYTES_MAX);
    struct block *b = block_new(LOG_STATE_FIXED + n);
    if (b == NULL) {
        return NULL;
    }
    uint8_t *p = b->data;
    memset(p, 0, LOG_STATE_FIXED);
    put_le32(p, s->shard);
    p[4] = s->amnesia;
    p[5] = s->removed;
    p[6] = s->configuration != NULL;
    put_epoch(p + 8, &s->epoch);
    put_le64(p + 32, s->replica);
    put_le64(p + 40, s->term);
    put_le64(p + 48, s->vote);
    put_epoch(p + 56, &s->promise);
    memcpy(p + 80, s->environment.bytes, 16);
    put_le64(p + 96, s->snapshot_index);
    put_le64(p + 104, s->snapshot_term);
    put_le64(p + 112, s->configuration_index);
    put_le32(p + 120, n);
    if (n > 0) {
        memcpy(p + LOG_STATE_FIXED, s->configuration->data, n);
    }
    return b;
}

enum status log_state_decode(struct bytes b, struct log_state *out_state)
{
    const uint8_t *p = b.data;
    if (b.size < LOG_STATE_FIXED || get_le32(p + 120) > LOG_CONFIGURATION_BYTES_MAX ||
        b.size != LOG_STATE_FIXED + get_le32(p + 120) || (p[6] == 0 && get_le32(p + 120) != 0) ||
        get_le64(p + 96) > LOG_SEQUENCE_MAX) {
        return STATUS_MALFORMED;
    }
    struct log_state s = {
        .shard = get_le32(p),
        .amnesia = p[4] != 0,
        .removed = p[5] != 0,
        .epoch = get_epoch(p + 8),
        .replica = get_le64(p + 32),
        .term = get_le64(p + 40),
        .vote = get_le64(p + 48),
        .promise = get_epoch(p + 56),
        .snapshot_index = get_le64(p + 96),
        .snapshot_term = get_le64(p + 104),
        .configuration_index = get_le64(p + 112),
    };
    memcpy(s.environment.bytes, p + 80, 16);
    if (p[6] != 0) {
        s.configuration = block_copy(p + LOG_STATE_FIXED, b.size - LOG_STATE_FIXED);
        if (s.configuration == NULL) {
            return STATUS_NO_MEMORY;
        }
    }
    *out_state = s;
    return OK;
}

static uint64_t record_sum(const uint8_t *header, const uint8_t *payload, size_t size,
                           uint64_t seed)
{
    return XXH3_64bits_withSeed(payload, size, XXH3_64bits_withSeed(header, 32, seed));
}

void log_record_encode(uint8_t *at, const struct log_record *r, uint64_t seed)
{
    uint32_t size = r->payload == NULL ? 0 : r->payload->size;
    at[0] = (uint8_t)r->kind;
    at[1] = r->type;
    put_le16(at + 2, 0);
    put_le32(at + 4, r->shard);
    put_le64(at + 8, r->index);
    put_le64(at + 16, r->term);
    put_le32(at + 24, size);
    put_le32(at + 28, 0);
    uint8_t *payload = at + LOG_RECORD_HEADER;
    memset(payload + size, 0, log_align(size, 8) - size);
    if (size > 0) {
        memcpy(payload, r->payload->data, size);
    }
    put_le64(at + 32, record_sum(at, payload, size, seed));
}

/* Everything but the sum. */
static enum status record_parse(const uint8_t *at, size_t available,
                                struct log_record_view *out_record)
{
    if (available < LOG_RECORD_HEADER) {
        return STATUS_MALFORMED;
    }
    uint32_t size = get_le32(at + 24);
    if (size > LOG_ENTRY_BYTES_MAX || log_record_size(size) > available) {
        return STATUS_MALFORMED;
    }
    if (at[0] < KIND_ENTRY || at[0] > KIND_GENERATION) {
        return STATUS_MALFORMED;
    }
    *out_record = (struct log_record_view){
        .kind = (enum log_kind)at[0],
        .type = at[1],
        .shard = get_le32(at + 4),
        .index = get_le64(at + 8),
        .term = get_le64(at + 16),
        .payload = {at + LOG_RECORD_HEADER, size},
    };
    bool entry = out_record->kind == KIND_ENTRY;
    if (((entry || out_record->kind == KIND_TRUNCATE) && out_record->index == 0) ||
        out_record->index > LOG_SEQUENCE_MAX) {
        return STATUS_MALFORMED;
    }
    if (entry && (at[1] < ENTRY_COMMAND || at[1] > ENTRY_CHANGE)) {
        return STATUS_MALFORMED;
    }
    return OK;
}

enum status log_record_decode(const uint8_t *at, size_t available, uint64_t seed,
                              struct log_record_view *out_record)
{
    struct log_record_view r;
    enum status s = record_parse(at, available, &r);
    if (s != OK) {
        return s;
    }
    if (record_sum(at, r.payload.data, r.payload.size, seed) != get_le64(at + 32)) {
        return STATUS_MALFORMED;
    }
    *out_record = r;
    return OK;
}

uint32_t log_batch_size(uint32_t shards_n, uint64_t records_bytes)
{
    uint64_t list = (uint64_t)LIST_ITEM * shards_n;
    uint64_t size =
        BATCH_FIXED + list + records_bytes + (BATCH_FIXED - LIST_FROM) + list + END_SIZE;
    must(size <= UINT32_MAX - LOG_BLOCK_BYTES);
    return log_align(size, LOG_BLOCK_BYTES);
}

uint32_t log_batch_records_at(uint32_t shards_n)
{
    return BATCH_FIXED + shards_n * LIST_ITEM;
}

static uint64_t list_sum(const uint8_t *from, uint32_t shards_n, uint64_t seed)
{
    /* `from` points at what lies at 16 of a batch: 80 bytes, the sum itself, the list. */
    uint64_t fixed = XXH3_64bits_withSeed(from, 80, seed);
    return XXH3_64bits_withSeed(from + BATCH_FIXED - LIST_FROM, (size_t)shards_n * LIST_ITEM,
                                fixed);
}

static void put_list(uint8_t *p, const struct log_list_item *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++, p += LIST_ITEM) {
        put_le32(p, list[i].shard);
        put_le32(p + 4, 0);
        put_le64(p + 8, list[i].sequence);
    }
}

void log_batch_encode(uint8_t *at, const struct log_batch *b, const struct log_list_item *list,
                      const struct log_record *records)
{
    put_le64(at, BATCH_MAGIC_LOG);
    put_le64(at + 16, b->seed);
    put_le64(at + 24, b->segment);
    put_le64(at + 32, b->generation);
    put_le64(at + 40, b->first);
    put_le64(at + 48, b->last);
    put_le64(at + 56, b->previous_generation);
    put_le64(at + 64, b->previous_sequence);
    put_le64(at + 72, b->needed);
    put_le32(at + 80, b->size);
    put_le32(at + 84, b->records_n);
    put_le32(at + 88, b->shards_n);
    put_le32(at + 92, 0);
    put_list(at + BATCH_FIXED, list, b->shards_n);
    put_le64(at + 96, list_sum(at + LIST_FROM, b->shards_n, b->seed));
    uint32_t at_record = BATCH_FIXED + b->shards_n * LIST_ITEM;
    uint32_t copy = at_record - LIST_FROM;
    uint32_t copy_at = b->size - END_SIZE - copy;
    for (uint32_t i = 0; i < b->records_n; i++) {
        log_record_encode(at + at_record, &records[i], b->seed);
        at_record += log_record_size(records[i].payload == NULL ? 0 : records[i].payload->size);
    }
    must(at_record <= copy_at);
    memset(at + at_record, 0, copy_at - at_record);
    memcpy(at + copy_at, at + LIST_FROM, copy);
    uint8_t *end = at + b->size - END_SIZE;
    put_le64(end, END_MAGIC);
    put_le32(end + 8, copy);
    put_le32(end + 12, 0);
    put_le64(end + 16, XXH3_64bits_withSeed(at + copy_at, copy, b->seed));
    put_le64(at + 8, XXH3_64bits_withSeed(at + 16, b->size - 16, b->seed));
}

/* `from` points at what lies at 16 of a batch; proves [16, end of list). */
static enum status parse_list(const uint8_t *from, size_t available, struct log_batch *out_batch)
{
    if (available < BATCH_FIXED - LIST_FROM) {
        return STATUS_MALFORMED;
    }
    struct log_batch b = {
        .seed = get_le64(from),
        .segment = get_le64(from + 8),
        .generation = get_le64(from + 16),
        .first = get_le64(from + 24),
        .last = get_le64(from + 32),
        .previous_generation = get_le64(from + 40),
        .previous_sequence = get_le64(from + 48),
        .needed = get_le64(from + 56),
        .size = get_le32(from + 64),
        .records_n = get_le32(from + 68),
        .shards_n = get_le32(from + 72),
        .list = from + BATCH_FIXED - LIST_FROM,
    };
    if (b.shards_n > LOG_SHARDS_MAX ||
        available < BATCH_FIXED - LIST_FROM + (size_t)b.shards_n * LIST_ITEM) {
        return STATUS_MALFORMED;
    }
    b.records_at = BATCH_FIXED + b.shards_n * LIST_ITEM;
    if (b.size == 0 || b.size % LOG_BLOCK_BYTES != 0 || b.size > LOG_BATCH_BYTES_MAX ||
        b.size < log_batch_size(b.shards_n, 0) || b.records_n == 0 || b.first == 0 ||
        b.last < b.first || b.last - b.first + 1 != b.records_n || b.previous_sequence >= b.first ||
        b.last > LOG_SEQUENCE_MAX || b.segment > LOG_NUMBER_MAX ||
        b.generation > LOG_SEQUENCE_MAX) {
        return STATUS_MALFORMED;
    }
    if (list_sum(from, b.shards_n, b.seed) != get_le64(from + 80)) {
        return STATUS_MALFORMED;
    }
    *out_batch = b;
    return OK;
}

enum status log_batch_decode_list(const uint8_t *at, size_t available, struct log_batch *out_batch)
{
    if (available < BATCH_FIXED || get_le64(at) != BATCH_MAGIC_LOG) {
        return STATUS_MALFORMED;
    }
    return parse_list(at + LIST_FROM, available - LIST_FROM, out_batch);
}

enum status log_batch_decode_end(const uint8_t *end, size_t before, struct log_batch *out_batch)
{
    if (before < LOG_BLOCK_BYTES || get_le64(end - END_SIZE) != END_MAGIC) {
        return STATUS_MALFORMED;
    }
    uint32_t copy = get_le32(end - END_SIZE + 8);
    if (copy < BATCH_FIXED - LIST_FROM || copy > before - END_SIZE) {
        return STATUS_MALFORMED;
    }
    const uint8_t *from = end - END_SIZE - copy;
    if (XXH3_64bits_withSeed(from, copy, get_le64(from)) != get_le64(end - 8)) {
        return STATUS_MALFORMED;
    }
    return parse_list(from, copy, out_batch);
}

enum status log_batch_decode(const uint8_t *at, size_t available, struct log_batch *out_batch)
{
    struct log_batch b;
    enum status s = log_batch_decode_list(at, available, &b);
    if (s != OK) {
        return s;
    }
    if (b.size > available ||
        XXH3_64bits_withSeed(at + 16, b.size - 16, b.seed) != get_le64(at + 8)) {
        return STATUS_MALFORMED;
    }
    uint32_t cursor = b.records_at;
    for (uint32_t i = 0; i < b.records_n; i++) {
        struct log_record_view r;
        s = record_parse(at + cursor, b.size - cursor, &r);
        if (s != OK) {
            return s;
        }
        cursor += log_record_size((uint32_t)r.payload.size);
    }
    *out_batch = b;
    return OK;
}

struct log_list_item log_list_item_get(const uint8_t *list, uint32_t i)
{
    const uint8_t *p = list + (size_t)i * LIST_ITEM;
    return (struct log_list_item){get_le32(p), get_le64(p + 8)};
}

void log_mark_encode(uint8_t at[LOG_BLOCK_BYTES], const struct log_mark *m,
                     const struct log_list_item *list)
{
    uint32_t n = m->shards_n;
    if (n > (LOG_BLOCK_BYTES - MARK_FIXED) / LIST_ITEM) {
        n = 0;
    }
    uint32_t size = MARK_FIXED + n * LIST_ITEM;
    memset(at, 0, LOG_BLOCK_BYTES);
    put_le64(at, MARK_MAGIC);
    put_le64(at + 16, m->seed);
    put_le64(at + 24, m->segment);
    put_le64(at + 32, m->generation);
    put_le64(at + 40, m->sequence);
    put_le32(at + 48, n);
    put_le32(at + 52, size);
    put_list(at + MARK_FIXED, list, n);
    put_le64(at + 8, XXH3_64bits_withSeed(at + 16, size - 16, m->seed));
}

enum status log_mark_decode(const uint8_t *at, size_t available, struct log_mark *out_mark)
{
    if (available < MARK_FIXED || get_le64(at) != MARK_MAGIC) {
        return STATUS_MALFORMED;
    }
    uint32_t n = get_le32(at + 48), size = get_le32(at + 52);
    if (n > LOG_SHARDS_MAX || size != MARK_FIXED + n * LIST_ITEM || size > available ||
        XXH3_64bits_withSeed(at + 16, size - 16, get_le64(at + 16)) != get_le64(at + 8)) {
        return STATUS_MALFORMED;
    }
    *out_mark = (struct log_mark){
        .seed = get_le64(at + 16),
        .segment = get_le64(at + 24),
        .generation = get_le64(at + 32),
        .sequence = get_le64(at + 40),
        .shards_n = n,
        .list = at + MARK_FIXED,
    };
    if (out_mark->sequence > LOG_SEQUENCE_MAX || out_mark->generation > LOG_SEQUENCE_MAX) {
        return STATUS_MALFORMED;
    }
    return OK;
}

enum status log_head_begin(struct buffer *b, const struct log_head *h)
{
    uint8_t *p;
    buffer_clear(b);
    enum status s = buffer_reserve(b, LOG_HEAD_FIXED, &p);
    if (s != OK) {
        return s;
    }
    memset(p, 0, LOG_HEAD_FIXED);
    put_le64(p, HEAD_MAGIC);
    put_le32(p + 8, LOG_FORMAT);
    memcpy(p + 24, h->cluster.bytes, 16);
    put_le32(p + 40, h->node);
    put_le32(p + 44, h->segment_bytes);
    put_le64(p + 48, h->number);
    put_le64(p + 56, h->generation);
    put_le64(p + 64, h->seed);
    put_le64(p + 72, h->previous_generation);
    put_le64(p + 80, h->previous_sequence);
    put_le64(p + 88, h->needed);
    put_le32(p + 96, h->ever_damaged ? HEAD_EVER_DAMAGED : 0);
    b->size += LOG_HEAD_FIXED;
    return OK;
}

enum status log_head_append_shard(struct buffer *b, const struct log_head_shard *s,
                                  uint32_t entries_bytes, uint32_t *out_entries_at)
{
    uint8_t *p;
    uint32_t state = log_align(s->state.size, 8);
    uint32_t size = LOG_HEAD_SHARD_FIXED + state + entries_bytes;
    enum status rv = buffer_reserve(b, size, &p);
    if (rv != OK) {
        return rv;
    }
    memset(p, 0, size);
    put_le32(p, size);
    put_le32(p + 4, s->shard);
    put_le32(p + 8, s->damaged ? SHARD_DAMAGED : 0);
    put_le32(p + 12, s->entries_n);
    put_le64(p + 16, s->first);
    put_le64(p + 24, s->last);
    put_le64(p + 32, s->last_sequence);
    put_le64(p + 40, s->first_segment);
    put_le32(p + 48, (uint32_t)s->state.size);
    memcpy(p + LOG_HEAD_SHARD_FIXED, s->state.data, s->state.size);
    *out_entries_at = (uint32_t)b->size + LOG_HEAD_SHARD_FIXED + state;
    b->size += size;
    put_le32(b->data + 100, get_le32(b->data + 100) + 1);
    return OK;
}

void log_head_set_needed(struct buffer *b, uint64_t needed)
{
    put_le64(b->data + 88, needed);
}

enum status log_head_finish(struct buffer *b)
{
    uint8_t *p;
    put_le32(b->data + 12, (uint32_t)b->size);
    size_t pad = log_align(b->size, LOG_BLOCK_BYTES) - b->size;
    enum status s = buffer_reserve(b, pad, &p);
    if (s != OK) {
        return s;
    }
    memset(p, 0, pad);
    b->size += pad;
    log_head_sum(b);
    return OK;
}

void log_head_sum(struct buffer *b)
{
    put_le64(b->data + 16, XXH3_64bits(b->data + 24, get_le32(b->data + 12) - 24));
}

uint32_t log_head_peek(const uint8_t *at, size_t available)
{
    if (available < LOG_HEAD_FIXED || get_le64(at) != HEAD_MAGIC) {
        return 0;
    }
    return get_le32(at + 12);
}

enum status log_head_decode(const uint8_t *at, size_t available, struct log_head *out_head)
{
    uint32_t size = log_head_peek(at, available);
    if (size < LOG_HEAD_FIXED || size > available ||
        XXH3_64bits(at + 24, size - 24) != get_le64(at + 16)) {
        return STATUS_MALFORMED;
    }
    if (get_le32(at + 8) != LOG_FORMAT) {
        return STATUS_WRONG_FORMAT;
    }
    struct log_head h = {
        .node = get_le32(at + 40),
        .segment_bytes = get_le32(at + 44),
        .number = get_le64(at + 48),
        .generation = get_le64(at + 56),
        .seed = get_le64(at + 64),
        .previous_generation = get_le64(at + 72),
        .previous_sequence = get_le64(at + 80),
        .needed = get_le64(at + 88),
        .ever_damaged = (get_le32(at + 96) & HEAD_EVER_DAMAGED) != 0,
        .shards_n = get_le32(at + 100),
        .size = size,
    };
    memcpy(h.cluster.bytes, at + 24, 16);
    if (h.shards_n > LOG_SHARDS_MAX || h.number == 0 || h.number > LOG_NUMBER_MAX ||
        h.needed == 0 || h.needed > h.number || h.generation > LOG_SEQUENCE_MAX ||
        h.previous_sequence > LOG_SEQUENCE_MAX) {
        return STATUS_MALFORMED;
    }
    *out_head = h;
    return OK;
}

enum status log_head_next(const uint8_t *at, const struct log_head *h, uint32_t *cursor,
                          struct log_head_shard *out_shard)
{
    uint32_t c = *cursor;
    if (c == h->size) {
        return STATUS_NOT_FOUND;
    }
    const uint8_t *p = at + c;
    if (h->size - c < LOG_HEAD_SHARD_FIXED || get_le32(p) < LOG_HEAD_SHARD_FIXED ||
        get_le32(p) > h->size - c) {
        return STATUS_MALFORMED;
    }
    uint32_t size = get_le32(p), state = get_le32(p + 48);
    if (state > size - LOG_HEAD_SHARD_FIXED || log_align(state, 8) > size - LOG_HEAD_SHARD_FIXED) {
        return STATUS_MALFORMED;
    }
    struct log_head_shard s = {
        .shard = get_le32(p + 4),
        .damaged = (get_le32(p + 8) & SHARD_DAMAGED) != 0,
        .entries_n = get_le32(p + 12),
        .first = get_le64(p + 16),
        .last = get_le64(p + 24),
        .last_sequence = get_le64(p + 32),
        .first_segment = get_le64(p + 40),
        .state = {p + LOG_HEAD_SHARD_FIXED, state},
        .entries_at = c + LOG_HEAD_SHARD_FIXED + log_align(state, 8),
    };
    if (s.first == 0 || s.first > s.last + 1 || s.last > LOG_SEQUENCE_MAX ||
        (s.entries_n != 0 && s.entries_n != s.last - s.first + 1)) {
        return STATUS_MALFORMED;
    }
    *cursor = c + size;
    *out_shard = s;
    return OK;
}
