/* Bytes of the log: segment heads, batches, marks, records, small states. Little-endian, all
 * lengths checked.
 *
 * Segment: head at 0, then batches, each on a 4 KiB boundary; behind the last one an unsynced mark,
 * which the next batch overwrites. A file is zero-written once and then reused, so what lies behind
 * the last batch may be whole and old.
 *
 * Sums are XXH3-64 with the seed, which is drawn once a log and never leaves it: a payload cannot
 * pretend to be a batch. A head's own sum has seed 0. A list has two sums of its own, so that of a
 * damaged batch it can still be told whose records it held.
 *
 * Failure: decoders say MALFORMED for anything that is not whole and exact. */
// clang-format off
/* head    0 magic   8 u32 format   12 u32 size   16 sum of [24, size)   24 cluster   40 u32 node
 *         44 u32 segment bytes   48 segment number   56 generation   64 seed
 *         72 generation and 80 sequence of the last batch before it   88 first segment still needed
 *         96 u32 flags   100 u32 shards   104 zero   112 shards, each:
 *           0 u32 size   4 u32 shard   8 u32 flags   12 u32 entries   16 first   24 last
 *           32 last sequence   40 first segment   48 u32 size of state   52 zero
 *           56 state, padded; records of the entries
 * batch   0 magic   8 sum of [16, size)   16 seed   24 segment   32 generation
 *         40 first and 48 last sequence   56 generation and 64 sequence it continues
 *         72 first segment still needed   80 u32 size   84 u32 records   88 u32 shards   92 zero
 *         96 sum of [16, 96) and list   104 list of (u32 shard, zero, u64 its last sequence before)
 *         records; zeros; copy of [16, end of list); 24 bytes: magic, u32 size of copy, zero, sum
 * record  0 u8 kind   1 u8 type   2 zero   4 u32 shard   8 index   16 term   24 u32 size   28 zero
 *         32 sum   40 payload, padded to 8
 * mark    0 magic   8 sum of [16, size)   16 seed   24 segment   32 generation
 *         40 durable sequence   48 u32 shards   52 u32 size   56 list of (u32 shard, zero, u64 last
 *         sequence) */
// clang-format on
#ifndef MQ_RAFT_LOG_FORMAT_H
#define MQ_RAFT_LOG_FORMAT_H

#include "raft/log.h"

#define LOG_FORMAT           1u
#define LOG_BATCH_BYTES_MAX  (4u * 1024u * 1024u)
#define LOG_RECORD_HEADER    40u
#define LOG_HEAD_FIXED       112u
#define LOG_HEAD_SHARD_FIXED 56u
#define LOG_SHARDS_MAX       1024u /* ever known to one node, removed ones included */
#define LOG_STATE_FIXED      128u
#define LOG_NO_SHARD         UINT32_MAX
#define LOG_NUMBER_MAX       (1u << 30) /* of a segment */
#define LOG_SEQUENCE_MAX \
    (1ull << 62) /* of a record, a generation, an index; none can come from us */

enum log_kind {
    KIND_ENTRY = 1,      /* cuts everything at or above its index, then is the entry there */
    KIND_TRUNCATE = 2,   /* cuts everything at or above its index */
    KIND_STATE = 3,      /* the whole small state */
    KIND_INSTALL = 4,    /* the whole small state, and no entries */
    KIND_GENERATION = 5, /* first of a life; no shard */
};

struct log_record {
    enum log_kind kind;
    uint8_t type; /* of an entry */
    uint32_t shard;
    uint64_t index;
    uint64_t term;
    uint64_t sequence;     /* not on disk: first of the batch + its place */
    struct block *payload; /* counted; NULL = empty */
};

struct log_head {
    struct uuid cluster;
    node_id node;
    uint32_t segment_bytes;
    uint64_t number;
    uint64_t generation;
    uint64_t seed;
    uint64_t previous_generation;
    uint64_t previous_sequence;
    uint64_t needed;
    bool ever_damaged;
    uint32_t shards_n;
    uint32_t size; /* unpadded */
};

struct log_head_shard {
    uint32_t shard;
    bool damaged;       /* a gap in its log was charged before this head */
    uint32_t entries_n; /* 0, or all of [first, last] stand here */
    uint64_t first;
    uint64_t last;
    uint64_t last_sequence;
    uint64_t first_segment;
    struct bytes state;
    uint32_t entries_at; /* in the head */
};

struct log_list_item {
    uint32_t shard;
    uint64_t sequence;
};

struct log_batch {
    uint64_t seed;
    uint64_t segment;
    uint64_t generation;
    uint64_t first;
    uint64_t last;
    uint64_t previous_generation;
    uint64_t previous_sequence;
    uint64_t needed;
    uint32_t size;
    uint32_t records_n;
    uint32_t shards_n;
    const uint8_t *list; /* borrowed; log_list_item_get */
    uint32_t records_at; /* in the batch */
};

struct log_mark {
    uint64_t seed;
    uint64_t segment;
    uint64_t generation;
    uint64_t sequence;
    uint32_t shards_n; /* 0 when there were too many to list */
    const uint8_t *list;
};

/* A decoded record, payload borrowed. */
struct log_record_view {
    enum log_kind kind;
    uint8_t type;
    uint32_t shard;
    uint64_t index;
    uint64_t term;
    struct bytes payload;
};

static inline uint32_t log_align(uint64_t size, uint32_t to)
{
    return (uint32_t)((size + to - 1) / to * to);
}

/* Bytes a record takes. */
static inline uint32_t log_record_size(uint32_t payload_size)
{
    return LOG_RECORD_HEADER + log_align(payload_size, 8);
}

/* The small state; the block is the caller's. NULL without memory. */
struct block *log_state_encode(const struct log_state *s);
/* out_state->configuration is a new block. */
enum status log_state_decode(struct bytes b, struct log_state *out_state);

/* Writes header and payload at `at`, which has log_record_size() bytes. */
void log_record_encode(uint8_t *at, const struct log_record *r, uint64_t seed);
/* Checks sum and bounds. */
enum status log_record_decode(const uint8_t *at, size_t available, uint64_t seed,
                              struct log_record_view *out_record);

uint32_t log_batch_size(uint32_t shards_n, uint64_t records_bytes);
/* Where the records begin in a batch. */
uint32_t log_batch_records_at(uint32_t shards_n);
/* Fills `at`, which has b->size bytes; list and records are given apart. */
void log_batch_encode(uint8_t *at, const struct log_batch *b, const struct log_list_item *list,
                      const struct log_record *records);
/* Whole and exact, every record walked. */
enum status log_batch_decode(const uint8_t *at, size_t available, struct log_batch *out_batch);
/* Only what the list's own sum proves; records are not to be read. */
enum status log_batch_decode_list(const uint8_t *at, size_t available, struct log_batch *out_batch);
/* The same from the copy at the end: `end` is where the batch ends, `before` the bytes readable
 * before it. */
enum status log_batch_decode_end(const uint8_t *end, size_t before, struct log_batch *out_batch);
struct log_list_item log_list_item_get(const uint8_t *list, uint32_t i);

/* One block. Lists the shards when they fit. */
void log_mark_encode(uint8_t at[LOG_BLOCK_BYTES], const struct log_mark *m,
                     const struct log_list_item *list);
enum status log_mark_decode(const uint8_t *at, size_t available, struct log_mark *out_mark);

/* Appends fixed part; log_head_append_shard for each shard; log_head_finish sets size, count and
 * sum, and pads to a block. */
enum status log_head_begin(struct buffer *b, const struct log_head *h);
/* Entries' records follow: out_entries_at is where; `entries_bytes` are zeroed there for the caller
 * to fill. */
enum status log_head_append_shard(struct buffer *b, const struct log_head_shard *s,
                                  uint32_t entries_bytes, uint32_t *out_entries_at);
void log_head_set_needed(struct buffer *b, uint64_t needed);
enum status log_head_finish(struct buffer *b);
void log_head_sum(struct buffer *b);
/* Size a head would have, from its first block only; 0 when it is none. */
uint32_t log_head_peek(const uint8_t *at, size_t available);
/* WRONG_FORMAT for a later format, MALFORMED for anything not whole. */
enum status log_head_decode(const uint8_t *at, size_t available, struct log_head *out_head);
/* Iterates the shards of a decoded head; *cursor starts at LOG_HEAD_FIXED. NOT_FOUND after the
 * last. */
enum status log_head_next(const uint8_t *at, const struct log_head *h, uint32_t *cursor,
                          struct log_head_shard *out_shard);

#endif
