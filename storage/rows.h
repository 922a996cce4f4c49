/* The rows of one open write transaction, as apply sees them: get, put and delete keep the digest right, and mailboxes,
 * sessions, states of stores and the system row are kept decoded in memory and written once a commit (rows_flush), because a busy mailbox
 * changes many times between two commits.
 *
 * The digest: every pair in the environment counts, except that a cached row counts with the hash of its last fold.
 * rows_fold(), at the end of every entry, brings those up to date, so the digest at an entry does not depend on when rows
 * are written back.
 *
 * Sticky: after the first failure (disk, damage, memory) every call does nothing and finds nothing; `failed` says what it was, and
 * the transaction must be dropped. Pointers to cached rows hold until rows_trim(), values until the next put or delete. */
#ifndef MQ_STORAGE_ROWS_H
#define MQ_STORAGE_ROWS_H

#include "storage/env.h"
#include "storage/record.h"

#define ROWS_CACHE_MAX  1024u /* cached rows kept over a commit */
#define ROWS_BUCKETS    2048u
#define ROWS_NAMES      1024u /* direct-mapped caches of names */
#define ROWS_NAME_BYTES 63u

struct cached {
    struct cached *next_bucket;
    struct cached *next_all;
    struct cached *next_unfolded;
    struct digest hash; /* what the digest has of it */
    enum table table;   /* TABLE_MAILBOX, TABLE_SESSION or TABLE_STORE (states) */
    bool unfolded;
    bool dirty;
    bool stored; /* a pair of this key is in the environment */
    bool gone;   /* deleted; the key may be used again by a new one */
    union {
        struct mailbox_row mailbox;
        struct session_row session;
        struct store_row store;
    } row;
};

/* Who a user is, and the lease of (user, store): asked by nearly every command. */
struct owner_name {
    uint32_t number;
    uint8_t size;
    char name[ROWS_NAME_BYTES];
};
struct lease_name {
    uint32_t owner;
    uint32_t store;
    struct token token;
    uint64_t expires_ms;
    uint8_t size;
    char name[ROWS_NAME_BYTES];
};

struct rows {
    struct env_txn *txn; /* borrowed; NULL between transactions */
    enum status failed;
    struct digest digest;
    struct system_row system;
    struct digest system_hash;
    bool system_loaded;
    bool system_stored;
    struct cached *buckets[ROWS_BUCKETS];
    struct cached *all;
    struct cached *unfolded;
    uint32_t cached_count;
    struct owner_name owners[ROWS_NAMES];
    struct lease_name leases[ROWS_NAMES];
    uint32_t places[STORES_MAX + 1];     /* of stores, once asked for; never changes */
    uint8_t scratch[DICT_ROW_BYTES_MAX]; /* encoding */
};

/* Forgets everything cached: a transaction was dropped, or the store opens. */
void rows_reset(struct rows *r, struct digest digest);
/* A transaction begins. */
void rows_begin(struct rows *r, struct env_txn *txn);
/* Brings the digest up to date. */
void rows_fold(struct rows *r);
/* Folds, and writes what is cached. */
void rows_flush(struct rows *r);
/* Frees clean rows when there are too many; only between commands. Flush first. */
void rows_trim(struct rows *r);
/* First failure wins. */
void rows_fail(struct rows *r, enum status s);

/* false: absent (or failed). */
bool rows_get(struct rows *r, enum table t, const struct key *k, struct bytes *out_value);
void rows_put(struct rows *r, enum table t, const struct key *k, struct bytes value);
/* The caller knows that the key is absent. */
void rows_put_new(struct rows *r, enum table t, const struct key *k, struct bytes value);
/* `old` is what rows_get() has just returned for this key. */
void rows_replace(struct rows *r, enum table t, const struct key *k, struct bytes old,
                  struct bytes value);
/* Absent is fine: false. */
bool rows_delete(struct rows *r, enum table t, const struct key *k);
/* First pair at or after k; false at the end. Key and value are copied by the caller before the next write. */
bool rows_seek(struct rows *r, enum table t, struct bytes k, struct bytes *out_key,
               struct bytes *out_value);

/* NULL: absent. */
struct mailbox_row *rows_mailbox_find(struct rows *r, uint32_t owner,
                                      const uint8_t guid[MAILBOX_GUID_BYTES]);
/* A zeroed row under this key, which must be absent; NULL without memory. */
struct mailbox_row *rows_mailbox_new(struct rows *r, uint32_t owner,
                                     const uint8_t guid[MAILBOX_GUID_BYTES]);
void rows_mailbox_touch(struct rows *r, struct mailbox_row *m);
void rows_mailbox_delete(struct rows *r, struct mailbox_row *m);
struct session_row *rows_session_find(struct rows *r, uint64_t position);
struct session_row *rows_session_new(struct rows *r, uint64_t position);
void rows_session_touch(struct rows *r, struct session_row *s);
void rows_session_delete(struct rows *r, struct session_row *s);

/* The state of a store (0: the sums of the shard); made, zeroed, when it is absent and `create`; NULL: absent, or no memory. */
struct store_row *rows_store_state(struct rows *r, uint32_t number, bool create);
void rows_store_touch(struct rows *r, struct store_row *s);
/* Its place (store_row); 0 when the store has no state. */
uint32_t rows_store_place(struct rows *r, uint32_t number);

/* Number of the user in this shard, 0 = not owned. */
uint32_t rows_owner_find(struct rows *r, struct bytes user);
/* Number of a store, 0 = unknown; made when `create` (0 when STORES_MAX is reached). */
uint32_t rows_store_find(struct rows *r, struct bytes store, bool create);
/* The lease of (owner, store); false: none. The cache is told by rows_lease_forget() when it changes. */
bool rows_lease_find(struct rows *r, uint32_t owner, struct bytes store,
                     struct lease_name *out_lease);
void rows_lease_forget(struct rows *r, uint32_t owner, struct bytes store);

/* Expiry and job rows. */
void rows_expiry_put(struct rows *r, uint64_t due_ms, enum expiry_kind kind, struct bytes what,
                     struct bytes value);
void rows_expiry_delete(struct rows *r, uint64_t due_ms, enum expiry_kind kind, struct bytes what);
void rows_job_new(struct rows *r, const struct job_row *j);

#endif
