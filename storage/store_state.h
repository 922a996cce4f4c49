/* What store.c, checkpoint.c, copy.c and query.c know of one store; nobody else includes this. */
#ifndef MQ_STORAGE_STORE_STATE_H
#define MQ_STORAGE_STORE_STATE_H

#include <stdatomic.h>

#include "base/list.h"
#include "base/lock.h"
#include "storage/apply.h"
#include "storage/arena.h"
#include "storage/checkpoint.h"
#include "storage/digest.h"
#include "storage/rows.h"
#include "storage/store.h"

#define STORE_PATH_MAX 4096u

/* The pin of one durable checkpoint: the store's while it is the newest, and each copy's that reads it. Guarded by store.lock. */
struct store_pin {
    struct list link;
    uint32_t references;
    struct env_pin *pin; /* NULL once canceled */
    bool canceled;
    uint64_t used_bytes; /* of the environment when it was made */
    struct checkpoint_descriptor descriptor;
};

struct store {
    atomic_uint references;
    struct env *env;
    struct disk *disk;
    char directory[STORE_PATH_MAX];
    shard_id shard;
    uint64_t reserve_bytes;
    bool disk_low;
    uint64_t pin_growth_bytes;
    void (*closed)(void *arg);
    void *closed_arg;
    atomic_int lost; /* enum status */
    atomic_uint_fast64_t committed_index;
    struct digest_ring ring;

    struct lock lock; /* pins */
    struct list pins;
    struct store_pin *durable; /* of the newest durable checkpoint */

    /* apply thread */
    struct env_txn *txn;
    struct rows rows;
    struct arena arena;
    struct apply apply;
    struct store_position position; /* applied */
    struct store_position committed;
    bool redo;                    /* `retained` has to be applied again */
    struct store_entry *retained; /* applied since the last commit, with references */
    uint32_t retained_count;
    uint32_t retained_capacity;
    uint64_t retained_bytes;
    uint64_t due_ms;
    uint64_t churn_mark; /* churn when the last checkpoint began */
    struct checkpoint *in_flight;
};

extern const struct key store_position_key;

struct env_options store_env_options(const struct store_options *o);
void store_set_lost(struct store *s, enum status status);
/* A durable checkpoint's pin joins the store as its newest; the one before loses the store's reference. */
enum status store_pin_add(struct store *s, struct env_pin *pin,
                          const struct checkpoint_descriptor *d);
void store_pin_unref(struct store *s, struct store_pin *p);
/* Sum over every replicated pair, and how many there are. */
enum status store_recompute(struct env_txn *txn, struct digest *out_digest, uint64_t *out_pairs);
/* <data>/shards, the shard's directory and the environment's; and what makes their names durable. */
enum status store_directories_make(struct disk *disk, const char *directory);
enum status store_directories_sync(struct disk *disk, const char *directory);
/* The position row of this transaction. */
enum status store_read_position(struct env_txn *txn, struct store_position *out_p);

#endif
