/* What the files of the log share: its struct, its shards, its segments, the batch in flight.
 *
 *   log.c           the public calls, opening
 *   log_ring.c      entries of one shard
 *   log_format.c    bytes
 *   log_segment.c   files
 *   log_writer.c    queue -> batch -> disk -> durable; heads; admission
 *   log_fetch.c     reading back
 *   log_recovery.c  which files, which batches, what is torn and what is damage
 *   log_replay.c    what an accepted head or batch means for a shard, and which damage is charged
 *   to whom */
#ifndef MQ_RAFT_LOG_INTERNAL_H
#define MQ_RAFT_LOG_INTERNAL_H

#include "base/clock.h"
#include "raft/log.h"
#include "raft/log_format.h"
#include "raft/log_ring.h"

/* Tests take a rule out to see its hazard (agreement.md section 2); product code never calls it.
 * Process-wide. */
enum log_rule {
    LOG_RULE_W1 = 1,
    LOG_RULE_W2 = 2,
    LOG_RULE_W3 = 4,
    LOG_RULE_W4 = 8,
    LOG_RULE_W5 = 16
};
void log_test_disable(unsigned rules);
bool log_rule(enum log_rule rule); /* true: in force */

#define LOG_TABLE        2048u /* power of two, at least twice LOG_SHARDS_MAX */
#define LOG_SEGMENTS_MAX 4096u
#define LOG_SYNC_SAMPLES 128u

/* One file. Number 0: free, to be written over. */
struct log_segment {
    struct disk_file *file;
    uint64_t id; /* its name */
    uint32_t number;
    uint32_t used;
};

/* During recovery only. */
struct log_replay {
    bool known;      /* `seen` is what the last record of this shard was */
    bool positioned; /* ring.first is where the shard's log really stands, also when empty */
    bool gapped;     /* records are missing; ring holds what came after, before what came earlier */
    bool suspect;    /* records of it may be missing */
    bool has_state;
    uint64_t seen;
    struct log_ring before;
};

struct log_shard {
    shard_id id;
    struct log_state state; /* as queued */
    struct log_ring ring;   /* as queued */
    uint64_t cut_wish; /* log_cut() up to here; done when the state that allows it is durable */
    uint64_t last_sequence; /* of its last record, as queued */
    uint64_t stamp;         /* of the batch that was planned last with it */
    bool damaged;
    /* The same as written by all batches up to now: what a head at this position says. */
    struct {
        struct block *state;
        uint64_t snapshot_index;
        uint64_t first;
        uint64_t last;
        uint64_t last_sequence;
        uint32_t first_segment; /* that holds its first entry; 0 when it has none */
        bool damaged;
    } written;
    uint64_t durable_snapshot; /* snapshot index in the durable state */
    struct log_replay replay;
};

/* Entries that a head takes over from older segments. */
struct log_carry {
    struct log_segment *from;
    uint32_t at;
    uint32_t to; /* in the head */
    uint32_t size;
};

struct log_write {
    struct job job;
    struct log *log;
    struct log_segment *segment;
    bool make;    /* the file is to be made first */
    bool switch_; /* the head is to be written first */
    uint64_t make_id;
    uint64_t needed; /* what the head says */
    struct buffer head;
    struct log_carry *carries;
    uint32_t carries_n;
    uint32_t carries_capacity;
    struct log_batch batch;
    uint32_t at;
    struct log_record *records;
    uint32_t records_capacity;
    uint64_t records_bytes;
    struct log_list_item list[LOG_SHARDS_MAX];
    struct log_list_item marks[LOG_SHARDS_MAX];
    uint32_t marks_n;
    uint8_t *bytes;
    size_t bytes_capacity;
    const char *site;
    bool ask_free;
    /* out */
    enum status status;
    bool full; /* no space for the file; nothing was written */
    const char *what;
    uint64_t sync_us;
    uint64_t free_bytes;
};

struct log_spare {
    struct job job;
    bool running;
    bool make;
    uint64_t id;
    struct disk_file *file;
    enum status status;
    uint64_t free_bytes;
};

struct log {
    struct log_options options;
    char *directory;
    uint64_t seed;
    uint64_t generation;
    bool ever_damaged;

    struct log_shard *shards[LOG_SHARDS_MAX];
    uint32_t shards_n;
    struct log_shard *table[LOG_TABLE];
    uint64_t cached_bytes;

    struct log_segment *segments[LOG_SEGMENTS_MAX];
    uint32_t segments_n;
    struct log_segment *current; /* NULL only while opening */
    uint64_t next_id;
    uint64_t needed_durable; /* by the newest durable head */
    uint64_t needed;         /* by the shards now */
    uint64_t retained;

    struct log_record *queue;
    uint32_t queue_head;
    uint32_t queue_n;
    uint32_t queue_capacity;
    uint64_t queued_bytes;
    uint64_t next_sequence;
    uint64_t written_sequence; /* last one in a batch */
    uint64_t written_generation;
    uint64_t durable;
    uint64_t stamp;
    uint64_t batches;

    struct log_write *write;
    bool writing;
    bool waits; /* the planned batch needs a new file and the disk is full */
    uint64_t wait_until_ms;
    struct log_spare spare;
    bool want_spare;
    uint64_t free_bytes;
    uint32_t fetches;
    enum status failed;
    const char *failed_what;
    bool failed_told;

    uint64_t sync_us[LOG_SYNC_SAMPLES];
    uint32_t sync_n;
    uint64_t pending_since_ms; /* oldest record that is not durable was queued then */
    uint64_t written_since_ms;
};

/* log.c */
struct log_shard *log_shard_find(const struct log *l, shard_id shard);
struct log_shard *log_shard_create(struct log *l, shard_id shard); /* NULL without memory or room */
void log_state_set(struct log_state *to, const struct log_state *from);
/* First failure wins; told on the loop, once. */
void log_fail(struct log *l, enum status s, const char *what);
uint64_t log_now_us(const struct log *l);
uint64_t log_now_ms(const struct log *l);

/* log_segment.c */
/* Blocking: a zero-written, synced file of the log's size under its final name. */
enum status log_segment_make(const struct log *l, uint64_t id, struct disk_file **out_file);
/* Blocking: opens every file of the directory, removes unfinished ones. */
enum status log_segment_open_all(struct log *l, struct error *e);
struct log_segment *log_segment_find(const struct log *l, uint32_t number);
struct log_segment *log_segment_add(struct log *l, uint64_t id, struct disk_file *file);
struct log_segment *log_segment_find_free(const struct log *l);
uint32_t log_segment_count_free(const struct log *l);
void log_segment_close_all(struct log *l);
void log_segment_submit_spare(struct log *l);

/* log_writer.c */
enum status log_writer_init(struct log *l);
void log_writer_deinit(struct log *l);
/* Takes over the reference in r->payload; gives the record its sequence. */
void log_writer_queue(struct log *l, struct log_record *r, struct log_shard *s);
/* Plans the next batch from the queue. `fresh`: into a new segment. */
enum status log_writer_plan(struct log *l, bool fresh, const char *site);
void log_writer_work(struct job *j);
/* Takes the result in; no callbacks. */
enum status log_writer_take(struct log *l);
void log_writer_update_needed(struct log *l);
void log_writer_init_written(struct log *l, struct log_shard *s);
void log_cut_apply(struct log *l, struct log_shard *s);

/* log_recovery.c */
struct log_recovered {
    bool blank;         /* no log here yet */
    bool fresh_segment; /* damage, or no room: go on in a new segment */
    struct log_segment *last;
    uint32_t last_item_at; /* last accepted batch or head, for W5 */
    uint32_t last_item_size;
    uint32_t tail;
};
enum status log_recover(struct log *l, struct log_recovered *out, struct error *e);

/* log_replay.c */
struct log_at { /* where the bytes at hand lie */
    uint32_t segment;
    uint32_t at;
};
enum status log_replay_head(struct log *l, const uint8_t *at, const struct log_head *h,
                            uint32_t segment, bool newest);
enum status log_replay_batch(struct log *l, const uint8_t *at, const struct log_batch *b,
                             struct log_at where, bool after_newest);
/* A hole whose shards are these (n of them), and if !exact perhaps others. */
enum status log_replay_hole(struct log *l, const uint32_t *shards, uint32_t n, bool exact);
enum status log_replay_mark(struct log *l, const struct log_mark *m);
/* Charges what is left, drops what helped. */
enum status log_replay_finish(struct log *l);

#endif
