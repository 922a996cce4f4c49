/* One LMDB environment: the only file that knows LMDB. It is opened without syncs, so what survives a crash is only what the
 * recipe below keeps (measured and crash-tested; each step is there because leaving it out lost data):
 *
 *   birth   env_create() -> the owner writes, commits, then makes the first checkpoint before anything relies on it
 *   start   env_open() puts meta N (of the durable side file) into both slots, syncs, unlinks lock.mdb, opens, and pins N
 *           before anybody can write. Nothing is looked at before that: a bad image answers with SIGBUS
 *   pin     env_pin_new() right after a commit and before the next begin: a read transaction, then both metas read by pread;
 *           the larger txnid must be the reader's
 *   sync    env_sync() on a descriptor of our own, opened before the first write and kept. An error means the environment
 *           is lost: the kernel marked its pages clean
 *
 * The invariant, kept by checkpoint.c: the transaction named by the durable side file is pinned whenever a write
 * transaction runs. One directory may be open once a process. Write transactions belong to one thread; read
 * transactions and pins may be passed between threads.
 * Failures: NO_SPACE (map or disk; the transaction is then dead, the environment is not), CORRUPT, IO. */
#ifndef MQ_STORAGE_ENV_H
#define MQ_STORAGE_ENV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/disk.h"
#include "base/error.h"
#include "base/status.h"

#define ENV_META_BYTES    136u /* what LMDB keeps in a meta page behind its 16-byte head */
#define ENV_MAP_BYTES     (256ull << 30) /* address space only; never changed while open */
#define ENV_KEY_BYTES_MAX 511u
#define ENV_DATABASES_MAX 24u
#define ENV_DATA_FILE     "data.mdb"
#define ENV_LOCK_FILE     "lock.mdb"

struct env;
struct env_txn;
struct env_cursor;

struct env_options {
    const char *directory; /* exists */
    struct disk *disk;
    uint64_t map_bytes; /* 0 = ENV_MAP_BYTES */
    const char *const *databases;
    uint32_t database_count;
};

/* A meta page: which transaction, and how far its pages reach. */
struct env_meta {
    uint8_t bytes[ENV_META_BYTES];
};
uint64_t env_meta_txnid(const struct env_meta *m);
uint32_t env_meta_page_size(const struct env_meta *m);
/* Bytes of a copy: (last page + 1) * page size. */
uint64_t env_meta_size(const struct env_meta *m);
/* Magic, version, page size and last page make sense. */
bool env_meta_plausible(const struct env_meta *m);
/* Of environments made on this machine. */
uint32_t env_page_size(void);
/* The meta page for slot 0 or 1, `page_size` bytes. */
void env_meta_page(const struct env_meta *m, unsigned slot, uint8_t *page);

/* Whether LMDB may look at the pages behind m (env_pages.c); `file` is written whole, but for its two meta pages. OK, CORRUPT, or what
 * the disk says. Pages of our own need none of this. */
enum status env_check_pages(struct disk *disk, struct disk_file *file, const struct env_meta *m);

/* A transaction held open so that its pages are not reused. */
struct env_pin;

/* A new environment with its (empty) databases, committed but not synced. */
enum status env_create(const struct env_options *o, struct env **out_env, struct error *e);
/* Puts it back to exactly m and pins it; *out_pin is the caller's. */
enum status env_open(const struct env_options *o, const struct env_meta *m, struct env **out_env,
                     struct env_pin **out_pin, struct error *e);
/* NULL is ok. No transaction or pin may be left. */
void env_close(struct env *env);

enum status env_pin_new(struct env *env, struct env_pin **out_pin);
const struct env_meta *env_pin_meta(const struct env_pin *p);
/* NULL is ok; any thread. */
void env_pin_free(struct env_pin *p);
enum status env_sync(struct env *env, const char *site);

enum status env_begin_write(struct env *env, struct env_txn **out_txn);
/* Any thread. */
enum status env_begin_read(struct env *env, struct env_txn **out_txn);
/* Frees the transaction whatever comes back. */
enum status env_commit(struct env_txn *txn);
/* NULL is ok. */
void env_abort(struct env_txn *txn);

/* Values are borrowed until the next write of the transaction. */
enum status env_get(struct env_txn *txn, uint32_t db, struct bytes key, struct bytes *out_value);
/* `is_new`: the caller knows that the key is absent. */
enum status env_put(struct env_txn *txn, uint32_t db, struct bytes key, struct bytes value,
                    bool is_new);
enum status env_delete(struct env_txn *txn, uint32_t db, struct bytes key);

enum status env_cursor_open(struct env_txn *txn, uint32_t db, struct env_cursor **out_c);
void env_cursor_close(struct env_cursor *c);
/* First pair at or after key (empty key: the first of all). NOT_FOUND at the end. */
enum status env_cursor_seek(struct env_cursor *c, struct bytes key, struct bytes *out_key,
                            struct bytes *out_value);
enum status env_cursor_next(struct env_cursor *c, struct bytes *out_key, struct bytes *out_value);
/* The pair before key (empty key: the last of all). */
enum status env_cursor_before(struct env_cursor *c, struct bytes key, struct bytes *out_key,
                              struct bytes *out_value);

/* Bytes that the data file would need for all pages in use or free, after the last commit; any thread. */
uint64_t env_used_bytes(const struct env *env);
uint64_t env_map_bytes(const struct env *env);
/* Blocks for `bytes` behind the pages in use, so that commits find room on a disk that is full by then. Asks the file system
 * only when less than half of that is left, and only for what lies beyond the blocks it gave before (the first time: from the
 * beginning of the file). The thread of the write transactions. NO_SPACE: the disk is full; any other failure says that this
 * file system takes nothing ahead, or not now. What is there stays. */
enum status env_reserve(struct env *env, uint64_t bytes);
/* Bytes of such blocks that are left. Same thread. */
uint64_t env_reserved_bytes(const struct env *env);
/* Bytes of pages freed or allocated by all commits since env_create/env_open; any thread. */
uint64_t env_churn_bytes(const struct env *env);

#endif
