/* The replicated state of one shard on one node: its open environment, the rows kept open between two commits, and apply.
 *
 * Happy path: store_create() or store_open() (checkpoint.h) -> store_apply() many times, in one open write transaction, results at
 * once -> store_commit() each few milliseconds or when a read waits -> checkpoints. Queries (query.h) run beside it on read
 * transactions of their own and see what was committed.
 *
 * Disk full. Before a batch of entries is touched, free space on the file system and in the map is checked against a
 * reserve; below it store_apply() goes on only in blocks taken ahead while there was space, and without them returns NO_SPACE
 * and nothing has happened. (Where a file system takes none ahead, that is all that it costs.) Should LMDB still run out in
 * the middle (apply or commit), its transaction is dropped; the store keeps references to the entries applied since the last
 * commit and applies them again (their answers, being functions of the log, are the same) before anything else, at the next
 * apply or commit. So the position never falls, answers given stay true, and NO_SPACE always means: none of *these* entries,
 * try again later.
 * To bound those references the store commits by itself after STORE_UNCOMMITTED_BYTES_MAX of entries.
 * Every other failure (IO, CORRUPT, VERSION) makes the environment lost: all later calls return that status. */
#ifndef MQ_STORAGE_STORE_H
#define MQ_STORAGE_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/disk.h"
#include "base/error.h"
#include "base/identity.h"
#include "base/status.h"
#include "storage/digest.h"
#include "storage/env.h"

#define STORE_UNCOMMITTED_BYTES_MAX (8u * 1024u * 1024u)
#define STORE_RESERVE_BYTES         (64ull << 20)
#define STORE_RESERVED_BYTES_MIN    (1ull << 20) /* with less taken ahead, a full disk stops apply */
#define STORE_PIN_GROWTH_BYTES      (1ull << 30)

/* What a replica is told when it is opened; copied. */
struct store_options {
    const char *directory; /* of this environment: <data>/shards/<shard>/<environment id> */
    struct disk *disk;
    shard_id shard;
    uint64_t map_bytes; /* 0 = ENV_MAP_BYTES */
    uint64_t
        reserve_bytes; /* of the file system and of the map, kept free; as much again is taken ahead of use; 0 = STORE_RESERVE_BYTES */
    void (*closed)(
        void *
            arg); /* when the environment has really been closed, after the last reference; NULL ok */
    void *closed_arg;
    uint64_t
        pin_growth_bytes; /* a copy is canceled when the file grew this much since its pin; 0 = STORE_PIN_GROWTH_BYTES */
};

struct store;

struct store_position {
    uint64_t index;
    uint64_t term;
    struct digest digest;
};

struct store_entry {
    uint64_t index;
    uint64_t term;
    struct block *payload; /* a batch (proto/batch.h); NULL: only the position moves */
};

/* Answers of one apply call. payload (an encoded mq.Result or NULL) is taken by the callee. */
struct store_sink {
    void (*answer)(void *arg, uint64_t index, uint32_t ordinal, enum status s,
                   struct block *payload);
    void *arg;
};

struct store_due {
    uint64_t time_ms; /* replicated time */
    uint64_t due_ms;  /* earliest expiry; <= time_ms when work is waiting for a tick; 0 = nothing */
    uint64_t dirty_bytes; /* of pages freed or allocated since the last checkpoint began */
    bool
        disk_low; /* less than reserve_bytes is free: propose nothing new, and commit again to hear of a change */
};

/* Apply thread. Entries continue the position, also when the commit of what came before them said NO_SPACE: that stays applied.
 * sink NULL: nobody waits. After NO_SPACE none of these entries is applied (answers given to the sink during the call are void)
 * and the position is what it was. */
enum status store_apply(struct store *s, const struct store_entry *entries, uint32_t n,
                        const struct store_sink *sink, struct store_position *out_position);
enum status store_commit(struct store *s, struct store_due *out_due);
struct store_position store_position(const struct store *s);
/* OK, or why this environment cannot go on; any thread. */
enum status store_lost(const struct store *s);

/* References: the replica holds one, each query and each copy another; the last one out closes the environment (and so may wait
 * for LMDB, on whatever thread it is). store_close() ends the open write transaction first and must run on the apply thread. */
struct store *store_ref(struct store *s);
void store_unref(struct store *s);
/* Ends writing (uncommitted entries are dropped: the log has them) and drops the caller's reference. NULL is ok. */
void store_close(struct store *s);

#endif
