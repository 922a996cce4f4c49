/* The write-ahead log of a node, shared by its shards (agreement.md section 2).
 *
 * Happy path: log_open() recovers (blocking, before the loop runs) -> shards ask log_state_find()
 * for what survived -> log_append() and log_put_state() queue records; the log thread (LANE_LOG)
 * takes all that is queued, writes one batch, syncs once; on_durable(sequence) is called on the
 * loop. The next batch is never written before that sync returned.
 * Failure: a failed write or sync calls on_failed once and nothing is ever reported durable again:
 * the owner ends the process (message id, no core). A full disk is refused before an entry exists: log_has_room(); should a
 * batch need a file that has no space, it waits and is tried again (its records are not durable meanwhile).
 *
 * Everything here runs on the loop except the jobs inside. Handles: struct log (open/close), struct
 * log_fetch is a request. */
#ifndef MQ_RAFT_LOG_H
#define MQ_RAFT_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/error.h"
#include "base/executor.h"
#include "base/identity.h"
#include "base/list.h"
#include "base/random.h"

#define LOG_SEGMENT_BYTES           (64u * 1024u * 1024u)
#define LOG_BLOCK_BYTES             4096u
#define LOG_CONFIGURATION_BYTES_MAX 4096u
#define LOG_ENTRY_BYTES_MAX         (1024u * 1024u + 4096u)

enum entry_type { ENTRY_COMMAND = 1, ENTRY_BARRIER = 2, ENTRY_CHANGE = 3 };

/* The small state of one shard replica; kept whole in every segment head. */
struct log_state {
    shard_id shard;
    struct epoch epoch;
    uint64_t replica;
    uint64_t term;
    uint64_t vote;        /* replica id, 0 = none */
    struct epoch promise; /* epoch refused by a recovery promise; number 0 = none */
    bool amnesia;         /* lost acknowledged entries: never votes under this replica id again */
    bool removed;         /* the shard left this node; its id is never founded again */
    struct uuid environment; /* zero for a witness */
    uint64_t snapshot_index; /* durable checkpoint known to the engine */
    uint64_t snapshot_term;
    uint64_t configuration_index;
    struct block *configuration; /* of the snapshot; counted by the log; NULL = none */
};

struct log_entry {
    uint64_t index;
    uint64_t term;
    enum entry_type type;
    uint32_t size;         /* of the payload */
    uint64_t sequence;     /* write that carries it; durable when <= the last on_durable */
    struct block *payload; /* NULL when no longer cached: fetch it */
};

enum log_damage {
    LOG_WHOLE = 0,
    LOG_DAMAGED = 1 /* entries that were durable may be missing; stays until log_install() */
};

struct log_options {
    const char *directory; /* absolute; made if missing */
    struct uuid cluster;   /* in every head: a log of another cluster or node is refused */
    node_id node;
    struct disk *disk;
    struct executor *executor;
    struct random *random;
    uint32_t segment_bytes; /* 0 = LOG_SEGMENT_BYTES; small in tests */
    uint64_t cache_bytes;   /* budget of cached payloads, all shards; 0 = 8 MiB */
    uint64_t retain_bytes;  /* most bytes of segments; admission refuses beyond; 0 = 4 GiB */
    uint64_t reserve_bytes; /* free disk space never used for entries; 0 = 128 MiB */
    struct clock *clock;    /* NULL = clock_system; for statistics and log_unsynced_ms */
    void (*on_durable)(void *arg, uint64_t sequence);
    void (*on_failed)(void *arg, enum status s, const char *what);
    void *arg;
};

struct log;

/* Blocking. Recovers, writes the last accepted batch again in place and syncs it (W5), raises the
 * generation and makes it durable; after damage in a new segment, whose head says AMNESIA first of
 * all. Errors name the file and what to do: WRONG_NODE, WRONG_CLUSTER, WRONG_FORMAT, IO, NO_SPACE.
 * Damage is no error: it is charged to shards (state.amnesia is set for them, log_shard_damage).
 * Keeping a second process out is the owner's lock. */
enum status log_open(const struct log_options *o, struct log **out_log, struct error *e);
/* Waits for the job in flight (needs completions to run first: call when log_idle()). NULL ok. */
void log_close(struct log *l);
/* Nothing queued and no job in flight. */
bool log_idle(const struct log *l);

/* What is there now. Borrowed until the next change of that shard. */
const struct log_state *log_state_find(const struct log *l, shard_id shard);
enum log_damage log_shard_damage(const struct log *l, shard_id shard);
/* True when any shard's log was ever found damaged on this node: it founds no shard that an older
 * directory names. */
bool log_ever_damaged(const struct log *l);
/* Calls each() for every known shard, removed ones included. */
void log_each_shard(const struct log *l, void (*each)(void *arg, const struct log_state *s),
                    void *arg);

/* First and last index held (last = first - 1 when empty; then first = snapshot_index + 1). */
uint64_t log_first_index(const struct log *l, shard_id shard);
uint64_t log_last_index(const struct log *l, shard_id shard);
/* NULL outside [first, last]. Borrowed until the next append or cut of that shard. */
const struct log_entry *log_entry_find(const struct log *l, shard_id shard, uint64_t index);

/* Entry to be appended: payload is borrowed, the log takes its own reference. */
struct log_new_entry {
    uint64_t term;
    enum entry_type type;
    struct block *payload; /* NULL = empty */
};
/* Cuts everything >= first, then appends. first must be in [log_first_index, log_last_index + 1].
 * Returns its sequence. */
uint64_t log_append(struct log *l, shard_id shard, uint64_t first,
                    const struct log_new_entry *entries, uint32_t n);
/* Replaces the small state of s->shard whole (a new shard: creates it). Returns its sequence. Does
 * not touch entries; use it for term and vote, for amnesia, for a new checkpoint's
 * snapshot_index/term/configuration. Entries that all lie at or below a snapshot_index beyond the
 * last one are dropped. */
uint64_t log_put_state(struct log *l, const struct log_state *s);
/* One record: replaces the small state and empties the shard's entries (K3); first index becomes
 * snapshot_index + 1. */
uint64_t log_install(struct log *l, const struct log_state *s);
/* Entries <= index are no longer needed by this shard; index <= snapshot_index of the (queued)
 * state. Idempotent. They go (log_first_index rises) when that state is durable. */
void log_cut(struct log *l, shard_id shard, uint64_t index);
/* Starts the next batch if none is in flight. Call once at the end of each turn of the loop. */
void log_kick(struct log *l);

uint64_t log_durable_sequence(const struct log *l);
/* Raised and made durable at each start. */
uint64_t log_generation(const struct log *l);
/* True when `bytes` more of entries may be admitted (disk reserve, retain limit, queue bound). */
bool log_has_room(const struct log *l, uint64_t bytes);
/* Bytes from the oldest needed position to the end. */
uint64_t log_retained_bytes(const struct log *l);
/* Bytes of the segments that this shard's entries above `after`, up to and with index, hold back:
 * what cutting at index and no longer at `after` lets go of, unless another shard needs it. 0 when
 * they share a segment with what comes next. */
uint64_t log_held_bytes(const struct log *l, shard_id shard, uint64_t after, uint64_t index);
/* Bytes of this shard's entries after index (cached or not), for checkpoint and lag decisions. */
uint64_t log_bytes_after(const struct log *l, shard_id shard, uint64_t index);
/* True when this shard's entries above `after` (its last checkpoint; 0 = all) hold back segments
 * that could be reused: its owner should take a checkpoint and cut. Shards with a few small entries
 * are carried along in the segment heads and never asked. */
bool log_wants_checkpoint(const struct log *l, shard_id shard, uint64_t after);
/* Queued and in-flight bytes. */
uint64_t log_queued_bytes(const struct log *l);
/* Median of the last 128 syncs in microseconds. */
uint64_t log_sync_us(const struct log *l);
/* Of these, the one that 99 of 100 do not exceed. */
uint64_t log_sync_p99_us(const struct log *l);
/* How long the oldest write that is not durable has been waiting; 0 = none. */
uint64_t log_unsynced_ms(const struct log *l, uint64_t now_ms);

/* Reads back payloads that are no longer cached. Request: the caller owns it until done().
 * entries[i].payload is a new reference for the caller. Fails with NOT_FOUND when they were cut or
 * replaced meanwhile, CORRUPT when damaged. */
#define LOG_FETCH_MAX 64
struct log_fetch {
    shard_id shard;
    uint64_t first;
    uint32_t n; /* <= LOG_FETCH_MAX */
    struct block *payloads[LOG_FETCH_MAX];
    enum status status;
    void (*done)(struct log_fetch *f);
    struct job job; /* the log's */
    void *internal;
};
void log_fetch_submit(struct log *l, struct log_fetch *f);

#endif
