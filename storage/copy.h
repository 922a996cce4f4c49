/* Copies of a store: the raw pages of its newest durable checkpoint, and installing such a stream as a new environment.
 *
 * Source (copy thread): copy_open() shares the checkpoint's pin -> copy_read() at any offset, by pread, never through the map ->
 * copy_close(). The first two pages are made here: the meta of N in both slots. A pin does not outlive a stated growth of the
 * file: then copy_read() says CANCELED and the reader starts again with a newer checkpoint.
 *
 * Target (copy thread): install_begin() makes the new directory -> install_write() in order -> install_commit(): pages checked, metas,
 * sync, digest recomputed and compared, side file, directories. The two first pages are kept in memory until then, so that an
 * unfinished environment can never be opened. Nothing is renamed; what the log does not name is removed at the next start.
 * Memory: two pages beside the caller's buffer. */
#ifndef MQ_STORAGE_COPY_H
#define MQ_STORAGE_COPY_H

#include "storage/checkpoint.h"
#include "storage/store.h"

#define COPY_PIECE_BYTES (256u * 1024u)

struct copy;
/* NOT_FOUND when the durable checkpoint is below min_index. */
enum status copy_open(struct store *s, uint64_t min_index, struct copy **out_copy,
                      struct checkpoint_descriptor *out_d);
/* *out_size < size only at the end. CANCELED: the pin is gone. */
enum status copy_read(struct copy *c, uint64_t offset, uint8_t *data, size_t size,
                      size_t *out_size);
/* NULL is ok. */
void copy_close(struct copy *c);

struct install;
/* o->directory is the new environment's. d is what the source said; its configuration is borrowed (referenced). size: of the stream. */
enum status install_begin(const struct store_options *o, const struct uuid *environment,
                          const struct checkpoint_descriptor *d, uint64_t size,
                          struct install **out_i);
/* Pieces come in order; offset must be where the last one ended (else INVALID). */
enum status install_write(struct install *i, uint64_t offset, const uint8_t *data, size_t size);
/* Frees i. CORRUPT: not what the descriptor says; the directory is removed. */
enum status install_commit(struct install *i, struct error *e);
/* Frees i and removes the directory. NULL is ok. */
void install_abort(struct install *i);
/* Removes an environment's directory with what we put there. */
enum status install_remove(struct disk *disk, const char *directory);

#endif
