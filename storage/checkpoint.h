/* Durable points of a store: opening at the newest one, and making the next (env.h has the recipe).
 *
 *   begin    apply thread: commits, pins N, reads both metas          checkpoint_begin()
 *   finish   sync thread: fdatasync of the data, side file, directory checkpoint_finish()
 *   release  apply thread: only now the pin before it is dropped, and only after that may the log be cut
 *
 * One is in flight. A failed finish means the environment is lost (store_lost()); it is never tried again. The one exception is
 * NO_SPACE, when there was no room for the side file: the old checkpoint stands, release with durable = false, try later.
 * The side file is DIRECTORY/checkpoint: format, own sequence, shard, environment id, epoch, index, term, configuration and its index,
 * digest, meta, checksum. It is replaced by rename, so the old or the new one is there, whole; one that does not check is
 * rot: CORRUPT, and the environment is lost (an older state could not be trusted: its pin is gone). */
#ifndef MQ_STORAGE_CHECKPOINT_H
#define MQ_STORAGE_CHECKPOINT_H

#include "base/identity.h"
#include "storage/store.h"

#define CHECKPOINT_FILE                    "checkpoint"
#define CHECKPOINT_CONFIGURATION_BYTES_MAX 65536u

struct checkpoint_descriptor {
    uint64_t sequence; /* grows with every checkpoint of this environment */
    shard_id shard;
    struct uuid environment;
    struct epoch epoch;
    uint64_t index;
    uint64_t term;
    struct digest digest;
    struct block *configuration; /* NULL = none; counted */
    uint64_t configuration_index;
    struct env_meta meta;
};
void checkpoint_descriptor_deinit(struct checkpoint_descriptor *d);
/* Copies, with a reference of its own to the configuration. */
void checkpoint_descriptor_copy(struct checkpoint_descriptor *to,
                                const struct checkpoint_descriptor *from);

/* The side file alone. */
enum status checkpoint_read(struct disk *disk, const char *directory,
                            struct checkpoint_descriptor *out_d, struct error *e);
enum status checkpoint_write(struct disk *disk, const char *directory,
                             const struct checkpoint_descriptor *d);

/* An empty state in a new directory (made here, parents up to and including <data>/shards too), durable on return. */
enum status store_create(const struct store_options *o, const struct uuid *environment,
                         const struct epoch *epoch, struct error *e);
/* Puts the environment back to its side file and opens it. WRONG_NODE when the side file is of another environment or shard. */
enum status store_open(const struct store_options *o, const struct uuid *environment,
                       struct store **out_s, struct checkpoint_descriptor *out_d, struct error *e);

struct checkpoint;
/* configuration is borrowed (a reference is taken); NULL = none. BUSY while one is in flight. */
enum status checkpoint_begin(struct store *s, struct block *configuration,
                             uint64_t configuration_index, struct checkpoint **out_c);
enum status checkpoint_finish(struct store *s, struct checkpoint *c,
                              struct checkpoint_descriptor *out_d);
void checkpoint_release(struct store *s, struct checkpoint *c, bool durable);

#endif
