/* What lies in the environment: tables, keys and rows, written by hand and compact (little-endian values, big-endian keys, so
 * that keys sort as numbers do). Every row kind states its bound and who removes it:
 *
 *   position    1 row, not replicated: index, term, digest of the last commit
 *   system      2 rows: the counters of the shard, and the founding (directory)
 *   user        directory: one a user; never removed yet (moving and removing users come later)
 *   owner       one a user of this shard; never removed yet
 *   store       three a store (name -> number, number -> name, number -> its state and sums), one a site, one for the sums of the shard,
 *               <= STORES_MAX stores; never removed
 *   lease       one a (user, store); removed by release or tick
 *   mailbox     one a (user, GUID), <= MAILBOXES_PER_USER_MAX a user, cursors of <= SLOTS_MAX stores inside; removed by a report `deleted`
 *   message     one a (generation, UID): a message, or what is left of an expunged one; removed with the tombstone or the generation
 *   tombstone   one an expunged message, by change number; <= TOMBSTONES_MAX a mailbox and TOMBSTONE_TTL_MS old; removed by report and tick
 *   dict        one an entry; removed by unset or tick
 *   session     <= SESSIONS_MAX; removed by close or tick. Its answers: <= SESSION_WINDOW each, removed with it
 *   expiry      one a thing that falls due, by time; removed by tick
 *   job         one a piece of work too big for a command (a generation to drop, a store's marks to clear); removed by tick
 *   queue       one a (host, Postfix instance), made by its first report; never removed (as its owner)
 *   item        one a message of a queue: open ones <= QUEUE_OPEN_MAX a queue, closed by sweeps and outcomes; closed ones <=
 *               QUEUE_CLOSED_MAX a queue (the oldest goes when one more is closed) and QUEUE_CLOSED_TTL_MS old (removed by tick)
 *   closed      one a closed item, by the order of closing; removed with it, or when the item turns up again
 *
 * A generation is one UIDVALIDITY of one mailbox; it has a number of its own, so that a new one is built aside. */
#ifndef MQ_STORAGE_RECORD_H
#define MQ_STORAGE_RECORD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/identity.h"
#include "base/status.h"
#include "storage/digest.h"

enum table {
    TABLE_POSITION,
    TABLE_SYSTEM,
    TABLE_USER,
    TABLE_OWNER,
    TABLE_STORE,
    TABLE_LEASE,
    TABLE_MAILBOX,
    TABLE_MESSAGE,
    TABLE_TOMBSTONE,
    TABLE_DICT,
    TABLE_SESSION,
    TABLE_ANSWER,
    TABLE_EXPIRY,
    TABLE_JOB,
    TABLE_QUEUE,
    TABLE_ITEM,
    TABLE_CLOSED,
    TABLE_COUNT
};
extern const char *const table_names[TABLE_COUNT];

#define USER_BYTES_MAX         255u
#define STORE_BYTES_MAX        255u
#define HOLDER_BYTES_MAX       255u
#define MAILBOX_NAME_BYTES_MAX 1000u
#define MAILBOX_GUID_BYTES     16u
#define GUID_BYTES_MAX         64u
#define HASH_BYTES_MAX         64u
#define KEYWORDS_MAX           64u
#define KEYWORD_BYTES_MAX      255u
#define NAMESPACE_BYTES_MAX    63u
#define DICT_KEY_BYTES_MAX     4096u
#define DICT_VALUE_BYTES_MAX   65536u
#define STORES_MAX             4096u
#define SLOTS_MAX              16u
#define MAILBOXES_PER_USER_MAX 10000u
#define SESSIONS_MAX           65536u
#define SESSION_WINDOW         64u
#define SESSION_TTL_MS         (3600u * 1000u)
#define ANSWER_BYTES_MAX       1024u
#define TOMBSTONES_MAX         100000u
#define TOMBSTONE_TTL_MS       (30ull * 24 * 3600 * 1000)
#define KEY_BYTES_MAX          400u  /* longer dictionary keys end in their hash */
#define COMMAND_ROWS_MAX       4096u /* what one command may touch */
#define SITE_BYTES_MAX         63u
#define USER_OWNER_APPLIED     1u /* flag of UserAssign: the shard has applied the owner */

struct key {
    uint8_t data[KEY_BYTES_MAX + 16];
    size_t size;
};
static inline struct bytes key_bytes(const struct key *k)
{
    return (struct bytes){k->data, k->size};
}

/* ---- keys ---- */
struct key key_u32(uint32_t a);
struct key key_u64(uint64_t a);
struct key key_u32_u32(uint32_t a, uint32_t b); /* message: generation, uid; lease: owner, store */
struct key key_u32_u64(uint32_t a, uint64_t b); /* tombstone: generation, change */
struct key key_u64_u32(uint64_t a, uint32_t b); /* answer: session position, slot */
struct key key_text(
    char prefix,
    struct bytes text); /* store name ('n'), site ('s'); prefix 0: none (user, owner) */
struct key key_store_number(uint32_t number);
struct key key_store_state(uint32_t number); /* 0: the sums of the shard */
struct key key_mailbox(uint32_t owner, const uint8_t guid[MAILBOX_GUID_BYTES]);
/* owner 0 = shared. Over KEY_BYTES_MAX: cut there, with the hash of the whole behind. */
struct key key_dict(uint32_t owner, struct bytes space, struct bytes key);
bool key_dict_hashed(struct bytes space, struct bytes key);

enum expiry_kind {
    EXPIRY_LEASE = 1,
    EXPIRY_SESSION = 2,
    EXPIRY_DICT = 3,
    EXPIRY_TOMBSTONES = 4,
    EXPIRY_QUEUE = 5 /* closed items */
};
#define EXPIRY_HEAD_BYTES 9u
struct key key_expiry(uint64_t due_ms, enum expiry_kind kind, struct bytes what);

/* ---- rows ---- */
struct position_row {
    uint64_t index;
    uint64_t term;
    struct digest digest;
};
struct system_row {
    uint64_t time_ms;      /* replicated time */
    uint64_t change_floor; /* highest change number of any mailbox that was deleted */
    uint64_t next_job;
    uint32_t next_owner; /* the first is 1 */
    uint32_t next_generation;
    uint32_t next_store;
    uint32_t sessions;
    uint32_t jobs;
};
struct user_row {
    uint32_t shard;
    uint32_t flags;
    struct bytes priority;
};
struct owner_row {
    uint32_t number;
    uint32_t mailboxes;
    uint64_t generation;
    struct bytes home; /* site that the user's shard prefers; empty: not told */
};
#define OWNER_ROW_BYTES_MAX (32u + SITE_BYTES_MAX)
/* What a store is, and sums over the mailboxes of this shard; row 0 has the sums of the shard (mailboxes, messages, bytes). */
struct store_row {
    uint32_t number;
    uint32_t
        place; /* the lowest number of a store of the same site; its own when the site is not told */
    uint64_t complete_ms; /* all it held then is reported; 0: never told */
    uint64_t heard_ms;    /* of its last command */
    uint64_t mailboxes;
    uint64_t messages; /* that it holds */
    uint64_t bytes;
    uint64_t
        sole_messages; /* of these, those that no other place holds; told of one store of the place only */
    uint64_t sole_bytes;
    uint64_t missing_messages; /* that others hold in its mailboxes and it does not */
    uint64_t missing_bytes;
    uint8_t site_size;
    char site[SITE_BYTES_MAX];
};
struct lease_row {
    struct token token;
    uint64_t expires_ms;
    struct bytes holder;
};
struct generation {
    uint32_t number; /* 0 = none */
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint32_t tombstones;
    uint64_t highestmodseq;
    uint64_t messages;
    uint64_t unseen;
    uint64_t bytes;
    uint64_t change;
    uint64_t horizon;
    bool tombstones_due; /* an expiry row stands for them */
};
struct cursor_row {
    uint32_t store;
    uint8_t slot;
    bool in_progress; /* a range has begun: full, from, to, next_uid hold */
    bool compared;    /* modseq holds: a full comparison has ended */
    bool full;
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint32_t next_uid;
    uint64_t modseq;
    uint64_t from_modseq;
    uint64_t to_modseq;
    uint64_t reported_ms;
    uint64_t messages; /* of the current generation, that carry its mark */
    uint64_t bytes;
    uint64_t
        sole_messages; /* of these, those without a mark of another place, counted at the lowest slot */
    uint64_t sole_bytes;
};
struct mailbox_row {
    uint32_t owner;
    uint8_t guid[MAILBOX_GUID_BYTES];
    bool subscribed;
    uint8_t lead_slot;    /* of the store that the record follows (apply_store.c); a live one */
    uint8_t pending_slot; /* of the store that builds `pending` */
    uint8_t cursor_count;
    uint16_t clearing; /* slots whose marks a job still clears: their stores lost the mailbox */
    uint16_t name_size;
    uint64_t pending_ms; /* time of its last page */
    struct generation current;
    struct generation pending; /* a new UIDVALIDITY, invisible until whole */
    struct cursor_row cursors[SLOTS_MAX];
    char name[MAILBOX_NAME_BYTES_MAX];
};
struct message_row {
    bool expunged;
    uint8_t last_slot; /* of the store whose words these are; expunged: that took it away */
    uint8_t keyword_count;
    uint16_t slots; /* stores that hold it */
    uint32_t flags;
    uint64_t change;
    uint64_t modseq;
    int64_t date; /* expunged: replicated time of it */
    uint64_t size;
    struct bytes guid;
    struct bytes hash;
    struct bytes keywords; /* length byte and text, keyword_count times */
};
struct session_row {
    struct token token;
    uint64_t sequence_max; /* highest seen */
    uint64_t expires_ms;
    uint64_t due_ms; /* where its expiry row stands */
    uint8_t client_size;
    char client[255];
};
struct answer_row {
    uint64_t sequence;
    uint32_t status;
    struct bytes payload;
};
struct dict_row {
    uint64_t expires_ms; /* 0 = never */
    struct bytes key;    /* whole, only when the key is hashed */
    struct bytes value;
};
enum job_kind { JOB_DROP_GENERATION = 1, JOB_CLEAR_SLOT = 2 };
struct job_row {
    enum job_kind kind;
    uint8_t slot;
    uint32_t generation;
    uint32_t next_uid;
    uint32_t owner;
    uint8_t guid[MAILBOX_GUID_BYTES];
};

/* ROW_BYTES_MAX is enough for every row but dict (head + key + value) and founding. */
#define ROW_BYTES_MAX       20480u
#define DICT_ROW_HEAD_BYTES 10u
#define DICT_ROW_BYTES_MAX  (DICT_ROW_HEAD_BYTES + DICT_KEY_BYTES_MAX + DICT_VALUE_BYTES_MAX)

/* encode: returns the size. decode: CORRUPT when the bytes are not such a row; strings are borrowed from them. */
size_t position_row_encode(const struct position_row *r, uint8_t *out);
enum status position_row_decode(struct bytes b, struct position_row *out_r);
size_t system_row_encode(const struct system_row *r, uint8_t *out);
enum status system_row_decode(struct bytes b, struct system_row *out_r);
size_t user_row_encode(const struct user_row *r, uint8_t *out);
enum status user_row_decode(struct bytes b, struct user_row *out_r);
size_t owner_row_encode(const struct owner_row *r, uint8_t *out);
enum status owner_row_decode(struct bytes b, struct owner_row *out_r);
size_t lease_row_encode(const struct lease_row *r, uint8_t *out);
enum status lease_row_decode(struct bytes b, struct lease_row *out_r);
size_t mailbox_row_encode(const struct mailbox_row *r, uint8_t *out);
/* owner and guid come from the key. */
enum status mailbox_row_decode(struct bytes key, struct bytes b, struct mailbox_row *out_r);
size_t message_row_encode(const struct message_row *r, uint8_t *out);
enum status message_row_decode(struct bytes b, struct message_row *out_r);
size_t session_row_encode(const struct session_row *r, uint8_t *out);
enum status session_row_decode(struct bytes b, struct session_row *out_r);
size_t answer_row_encode(const struct answer_row *r, uint8_t *out);
enum status answer_row_decode(struct bytes b, struct answer_row *out_r);
size_t dict_row_encode(const struct dict_row *r, uint8_t *out);
enum status dict_row_decode(struct bytes b, struct dict_row *out_r);
size_t job_row_encode(const struct job_row *r, uint8_t *out);
enum status job_row_decode(struct bytes b, struct job_row *out_r);

size_t store_row_encode(const struct store_row *r, uint8_t *out);
/* number comes from the key. */
enum status store_row_decode(uint32_t number, struct bytes b, struct store_row *out_r);

/* Does the store of this cursor still have the mailbox? */
static inline bool mailbox_cursor_live(const struct mailbox_row *m, const struct cursor_row *c)
{
    return (m->clearing & (1u << c->slot)) == 0;
}
/* The live cursor of a store, or NULL. */
struct cursor_row *mailbox_cursor_find(struct mailbox_row *m, uint32_t store);
/* Takes the cursor of this slot out, if there is one; the others keep their order. */
void mailbox_cursor_remove(struct mailbox_row *m, uint8_t slot);

#endif
