/* Apply: what each command does to the rows. A function of the command and the rows: no clock, no chance, no file, no setting. Two
 * replicas that apply the same entries have the same rows, answers and digest.
 *
 * Time is `rows->system.time_ms` = max(previous, header). A handler returns OK or the refusal; what it found wrong goes into
 * `text`, what it has to tell into one of the result fields. It must look before it writes: a refusal leaves no trace.
 * A failure of the environment is not a refusal: it is kept in rows->failed and ends the batch. */
#ifndef MQ_STORAGE_APPLY_H
#define MQ_STORAGE_APPLY_H

#include "base/identity.h"
#include "proto/batch.h"
#include "proto/command.pb-c.h"
#include "storage/arena.h"
#include "storage/rows.h"

#define LEASE_TTL_MS_MIN    1000u
#define LEASE_TTL_MS_MAX    600000u
#define REPORT_MESSAGES_MAX 1000u
#define REPORT_VANISHED_MAX 1000u
#define REPORT_REMOVALS_MAX \
    500u /* rows one page takes away; a page that would take more ends earlier */
#define REPORT_SCAN_MAX 16384u /* rows one page looks at */
#define PENDING_STALE_MS \
    60000u /* another store may take over an unfinished new generation after this */
#define DICT_OPS_MAX             1000u
#define DICT_INCREMENTS_MAX      90u /* their answers fit ANSWER_BYTES_MAX */
#define FOUNDING_BYTES_MAX       262144u
#define SETTINGS_MAX             64u
#define SETTING_KEY_BYTES_MAX    64u
#define SETTING_VALUE_BYTES_MAX  256u
#define SETTING_REASON_BYTES_MAX 200u

struct queue;

struct apply {
    struct rows *rows;
    struct arena *arena;
    shard_id shard;
    /* of the entry and command at hand */
    uint64_t epoch;
    uint64_t index;
    uint32_t ordinal;
    struct bytes command; /* encoded */
    struct queue *queue;  /* of the command at hand, in the arena (apply_queue.h) */
    const char *text;
    Mq__Result__BodyCase answer; /* which of these is the answer */
    Mq__Token token;
    Mq__ResultLease lease;
    Mq__ResultReport report;
    Mq__ResultDict dict;
    Mq__ResultSession session;
    Mq__ResultMoved moved;
    Mq__ResultUser user;
    Mq__ResultQueue queue_place;
};

struct apply_sink {
    void (*answer)(void *arg, uint64_t index, uint32_t ordinal, enum status s,
                   struct block *payload);
    void *arg;
};

/* One entry's payload, then the digest is folded. A payload that is no batch changes nothing and has no answers. Any status but OK: the
 * environment cannot go on. sink may be NULL. */
enum status apply_batch(struct apply *a, uint64_t index, struct bytes batch,
                        const struct apply_sink *sink);

/* Helpers of the handlers. */
struct bytes apply_text(const char *s);
struct bytes apply_data(ProtobufCBinaryData d);
/* 1..max bytes of well-formed UTF-8 without control characters. */
bool apply_name_ok(struct bytes name, size_t max);
/* Sets the text, returns the status. */
enum status apply_refuse(struct apply *a, enum status s, const char *text);
/* Number of the user; 0 with MOVED or INVALID in *out_status. */
uint32_t apply_owner(struct apply *a, struct bytes user, enum status *out_status);
struct token apply_token(const struct apply *a);
bool apply_token_equal(const Mq__Token *t, struct token own);

/* The handlers. */
enum status apply_setting_set(struct apply *a, const Mq__SettingSet *c);
enum status apply_founding(struct apply *a, const Mq__Founding *c);
enum status apply_user_assign(struct apply *a, const Mq__UserAssign *c);
enum status apply_owner_command(struct apply *a, const Mq__Owner *c);
enum status apply_lease_acquire(struct apply *a, const Mq__LeaseAcquire *c);
enum status apply_lease_renew(struct apply *a, const Mq__LeaseRenew *c);
enum status apply_lease_release(struct apply *a, const Mq__LeaseRelease *c);
enum status apply_report(struct apply *a, const Mq__Report *c);
enum status apply_mailbox_attributes(struct apply *a, const Mq__MailboxAttributes *c);
enum status apply_dict(struct apply *a, const Mq__DictTransaction *c);
enum status apply_session_open(struct apply *a, const Mq__SessionOpen *c);
enum status apply_session_close(struct apply *a, const Mq__SessionClose *c);
enum status apply_queue_report(struct apply *a, const Mq__QueueReport *c);
enum status apply_queue_outcome(struct apply *a, const Mq__QueueOutcome *c);
enum status apply_queue_forget(struct apply *a, const Mq__QueueForget *c);
enum status apply_store_position(struct apply *a, const Mq__StorePosition *c);
enum status apply_tick(struct apply *a);

/* Removes a session with its answers (not its expiry row). */
void apply_session_remove(struct apply *a, struct session_row *s);

/* apply_store.c: places of stores, who leads a mailbox, sums. */

#define LEAD_SILENT_MS (10u * 60 * 1000) /* without a command, and another store may lead */

/* Before anything is written: may this store (0: new) stand at this site (empty: not told)? OK or INVALID. */
enum status apply_store_check(struct apply *a, uint32_t number, struct bytes site);
/* A store has spoken. The first site told is its site. */
void apply_store_heard(struct apply *a, uint32_t number, struct bytes site);
/* The same when it only takes a lease: a name that is no mail store's (an instance of Postfix) gets no state by it. */
void apply_store_leased(struct apply *a, uint32_t number, struct bytes site);

enum lead {
    LEAD_FOLLOWS,
    LEAD_OWN,     /* it leads, or nobody does */
    LEAD_TAKES,   /* it has a better right than the one that leads */
    LEAD_INHERITS /* the one that leads is silent */
};
/* What a store is to a mailbox (NULL: a new one); own: its live cursor, NULL: it has none yet. */
enum lead apply_lead(struct apply *a, const struct mailbox_row *m, const struct cursor_row *own,
                     uint32_t store, const char *user);
/* The store that leads has lost the mailbox, another live one has it: that leads, and compares all before its next changes count. */
void apply_lead_pass(struct apply *a, struct mailbox_row *m, const char *user);

struct store_sums {
    unsigned n;
    struct store_row of[SLOTS_MAX + 1]; /* what the mailbox adds to each; the first to the shard */
};
/* Take before a command changes a mailbox (NULL: it is not there), settle afterwards. */
void apply_sums_take(const struct mailbox_row *m, struct store_sums *out_s);
void apply_sums_settle(struct apply *a, const struct store_sums *before,
                       const struct mailbox_row *m);
/* A message comes in or goes out of the counters of the cursors whose marks it has. */
void apply_marks_count(struct apply *a, struct mailbox_row *m, const struct generation *g,
                       const struct message_row *row, bool in);

/* apply_message.c: one message of one generation, with the counters. Touching the mailbox row is the caller's. */

/* Would apply_message_upsert() meet another GUID under this UID? (A UID is never reused.) */
bool apply_message_conflicts(struct apply *a, const struct generation *g, const Mq__Message *c);
/* Inserts or updates as the store of `slot` reported it; where another store leads and has the message, only its mark. An expunged one
 * is brought back only by the store that leads or that took it away. */
void apply_message_upsert(struct apply *a, struct mailbox_row *m, struct generation *g,
                          uint8_t slot, bool leads, const Mq__Message *c);
/* The store no longer has it: clears its mark; expunges when no store is left, or when it leads. */
void apply_message_unmark(struct apply *a, struct mailbox_row *m, struct generation *g,
                          uint32_t uid, uint8_t slot, bool leads);
/* Removes the oldest tombstone if it is from before_ms or earlier; the horizon rises. false: none such; then *out_due_ms is
 * when the oldest falls due (0: none is left). */
bool apply_tombstone_drop(struct apply *a, struct generation *g, uint64_t before_ms,
                          uint64_t *out_due_ms);

/* Of a report that ended badly or a mailbox that went. */
void apply_generation_drop(struct apply *a, struct generation *g);

#endif
