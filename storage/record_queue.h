/* Rows of mail queues. A queue is named by (owner, store): the owner is the user "queue/HOST", the store the instance of Postfix, so
 * that owners, leases and their numbers are the ones that mailboxes have. Its items are named by queue id and arrival, because
 * short queue ids are used again.
 *
 * Which shard has a host's queue: the directory says so, as it does for users (`clusterctl queue assign`). Not the feed's
 * configuration: two feeds, or one before and one after an edit, could then write the items of one host into two shards, where no
 * lease and no `moved` would tell them; and routing, forwarding and a later move are those of users, with nothing of their own. */
#ifndef MQ_STORAGE_RECORD_QUEUE_H
#define MQ_STORAGE_RECORD_QUEUE_H

#include "storage/record.h"

#define QUEUE_USER_PREFIX        "queue/" /* of the user that owns the queues of a host */
#define QUEUE_ID_BYTES_MAX       31u
#define QUEUE_ADDRESS_BYTES_MAX  320u
#define QUEUE_REPLY_BYTES_MAX    200u
#define QUEUE_RECIPIENTS_MAX     64u
#define QUEUE_POSITION_BYTES_MAX 400u
#define QUEUE_STATES             7u
#define QUEUE_OPEN_MAX           1000000u
#define QUEUE_CLOSED_MAX         20000u
#define QUEUE_CLOSED_TTL_MS      (7ull * 24 * 3600 * 1000)
#define QUEUE_PREFIX_BYTES       8u
#define QUEUE_ROW_BYTES_MAX      1024u
#define ITEM_ROW_BYTES_MAX       (56u * 1024u)

struct queue_row {
    bool sweeping;  /* a sweep is under way: sweep_ms, next_page hold */
    bool due;       /* an expiry row stands for the closed items */
    bool forgotten; /* it goes, by ticks; its counters do not follow */
    uint32_t next_page;
    uint32_t open;
    uint32_t closed;
    uint32_t unknown; /* of the closed: found missing by sweeps, not explained by the log */
    uint64_t sweep_ms;
    uint64_t complete_ms;
    uint64_t reported_ms; /* replicated time of the last report or outcome */
    uint64_t swept_ms;    /* replicated time of the end of the last complete sweep */
    uint64_t next_close;
    uint64_t bytes;
    uint32_t states[QUEUE_STATES]; /* of the open ones */
    struct bytes site;             /* where its host stands; empty: not told */
    struct bytes position;
};

struct recipient_row {
    uint8_t outcome; /* Mq__QueueRecipient__Outcome */
    uint8_t
        told; /* the same: the worst of what members of an alias came to so far; OPEN: nothing */
    uint64_t at;
    struct bytes address;
    struct bytes orig_address;
    struct bytes reply;
};
struct item_row {
    uint8_t state; /* Mq__QueueItem__State */
    bool forced_expire;
    bool closed;
    bool certain; /* closed by the log, not by sweeps */
    uint8_t missing;
    uint8_t recipient_count;
    /* Of the recipients without a row: OPEN while there were none, else UNKNOWN, or the worse end that the log told of one. */
    uint8_t omitted;
    uint32_t recipients_omitted;
    uint64_t size;
    uint64_t missing_ms; /* the complete sweep that missed it last */
    uint64_t recorded_ms;
    uint64_t closed_ms;
    uint64_t close_number;
    uint64_t closed_at;
    struct token claim; /* zero: its own host's; nothing claims yet */
    struct bytes sender;
    struct bytes successor;
    struct recipient_row recipients[QUEUE_RECIPIENTS_MAX];
};

/* (owner, store), the queue id, a zero byte, arrival. */
struct key key_item(uint32_t owner, uint32_t store, struct bytes id, uint64_t arrival);
/* (owner, store), the number of its closing. */
struct key key_closed(uint32_t owner, uint32_t store, uint64_t number);
/* Queue id and arrival behind the first QUEUE_PREFIX_BYTES of the key of an item; CORRUPT. */
enum status key_item_read(struct bytes key, struct bytes *out_id, uint64_t *out_arrival);

size_t queue_row_encode(const struct queue_row *r, uint8_t *out);
enum status queue_row_decode(struct bytes b, struct queue_row *out_r);
size_t item_row_encode(const struct item_row *r, uint8_t *out);
enum status item_row_decode(struct bytes b, struct item_row *out_r);
/* The worse one for who waits for a mail; OPEN is none. */
uint8_t outcome_worse(uint8_t a, uint8_t b);
/* The worst of its recipients' outcomes, those without a row included; OPEN without any that has one. */
uint8_t item_outcome(const struct item_row *r);

#endif
