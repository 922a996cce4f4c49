/* What raft/ needs of the replicated state, as a table of plain synchronous functions. raft/ calls each of them in a
 * job on the lane that is named beside it (base/executor.h), never on the loop, except where "loop" is said. One
 * object per shard replica. node/replica.c fills the table from storage/. A witness has none (its descriptor is a log record).
 *
 * Checkpoints follow facts/lmdb.md section 3 to the letter: begin (apply lane, right after a commit, pins N and reads
 * both metas) -> finish (sync lane: fdatasync, side file, rename, directory) -> release (apply lane: only now the
 * pin before it is dropped, and only now raft/ cuts the log). One in flight. */
#ifndef MQ_RAFT_STATE_MACHINE_H
#define MQ_RAFT_STATE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/identity.h"
#include "base/status.h"

struct sm_position {
    uint64_t index; /* 0: nothing applied */
    uint64_t term;
    uint8_t digest[16];
};

/* What a durable checkpoint is; raft/ sees this as the snapshot (K1). */
struct sm_descriptor {
    struct uuid environment;
    struct epoch epoch;
    uint64_t checkpoint; /* the side file's own sequence */
    uint64_t index;
    uint64_t term;
    uint8_t digest[16];
    struct block *configuration; /* encoded, counted; of the last change at or below index */
    uint64_t configuration_index;
    uint64_t size; /* bytes of a copy */
};

struct sm_entry {
    uint64_t index;
    uint64_t term;
    struct block *
        payload; /* a batch (proto/batch.h), or NULL: a barrier or change, which only moves the position */
};

/* Answer to one command. */
struct sm_result {
    uint64_t index;
    uint32_t ordinal;      /* of the command in its batch */
    enum status status;    /* OK = applied; else refused for ever, with the reason */
    struct block *payload; /* encoded mq.Result, or NULL; counted, the receiver's */
};

struct sm_results {
    struct sm_result *items; /* owned by the caller's job; grown with realloc */
    uint32_t count;
    uint32_t capacity;
};

struct sm_checkpoint; /* the state machine's, between begin and release */
struct sm_copy;
struct sm_install;

/* When something falls due, for the leader's ticks: times of the replicated clock, 0 = nothing. */
struct sm_due {
    uint64_t time_ms;     /* the replicated time now */
    uint64_t due_ms;      /* earliest lease, session or entry expiry */
    uint64_t dirty_bytes; /* pages freed or allocated since the last checkpoint began, in bytes */
    bool
        disk_low; /* propose nothing new; commit again (with nothing new too) to hear of a change */
};

struct sm_ops {
    /* apply lane. Birth of an empty environment for a shard that this node founds or joins; durable on return. */
    enum status (*create)(void *sm, const struct epoch *epoch, struct uuid *out_environment,
                          struct error *e);
    /* apply lane. Puts the environment back to exactly its newest durable side file, pins it, opens it; reports that
     * descriptor. CORRUPT: the environment is lost, the log is not (K4). Called once before anything else, and again
     * after an install with the new environment (readers of the old one finish on it). Other environments' directories
     * that are not named are removed. */
    enum status (*open)(void *sm, const struct uuid *environment,
                        struct sm_descriptor *out_descriptor, struct error *e);
    /* apply lane. Ends the open transaction without commit, closes. Idempotent. */
    void (*close)(void *sm);
    /* apply lane. In one open write transaction; entries continue the position. results may be NULL (followers). Any
     * status but OK means the environment can't go on (disk full: NO_SPACE, retried later with the same entries, none
     * of which has been applied; anything else: lost). */
    enum status (*apply)(void *sm, const struct sm_entry *entries, uint32_t n,
                         struct sm_results *results, struct sm_position *out_position);
    /* apply lane. Commits what apply wrote, so that readers see it. NO_SPACE: nothing is lost, what was applied
     * stays so, commit again later. checkpoint_begin the same; checkpoint_finish may say
     * NO_SPACE too (no room for the side file): the old checkpoint stands, release(durable = false), try again later. */
    enum status (*commit)(void *sm, struct sm_due *out_due);
    enum status (*checkpoint_begin)(void *sm, struct block *configuration,
                                    uint64_t configuration_index,
                                    struct sm_checkpoint **out_c); /* apply lane; commits first */
    enum status (*checkpoint_finish)(void *sm, struct sm_checkpoint *c,
                                     struct sm_descriptor *out_descriptor); /* sync lane */
    void (*checkpoint_release)(void *sm, struct sm_checkpoint *c,
                               bool durable); /* apply lane; frees c */

    /* copy lane. A copy pins the newest durable checkpoint while it is open; several may be open on one. */
    enum status (*copy_open)(void *sm, uint64_t min_index, struct sm_copy **out_copy,
                             struct sm_descriptor *out_descriptor);
    enum status (*copy_read)(struct sm_copy *copy, uint64_t offset, uint8_t *data, size_t size,
                             size_t *out_size);
    void (*copy_close)(struct sm_copy *copy);
    /* copy lane. */
    enum status (*install_begin)(void *sm, const struct sm_descriptor *d,
                                 struct sm_install **out_i);
    enum status (*install_write)(struct sm_install *i, uint64_t offset, const uint8_t *data,
                                 size_t size);
    /* Syncs, recomputes the digest (CORRUPT when it differs), writes the side file. Afterwards open() of
     * *out_environment works; the log record that names it is the commit point (K3). Frees i. */
    enum status (*install_commit)(struct sm_install *i, struct uuid *out_environment,
                                  struct error *e);
    void (*install_abort)(struct sm_install *i);
};

struct state_machine {
    const struct sm_ops *ops;
    void *self;
};

#endif
