/* One query while it is answered; shared by query*.c only. */
#ifndef MQ_STORAGE_QUERY_STATE_H
#define MQ_STORAGE_QUERY_STATE_H

#include "proto/api.pb-c.h"
#include "storage/arena.h"
#include "storage/query.h"
#include "storage/store_state.h"

struct query {
    struct store *store;
    struct env_txn *txn;
    struct arena *arena;
    struct store_position position;
    struct system_row system;
    size_t bytes;       /* about, of the rows so far */
    enum status failed; /* of the environment: sticky */
    Mq__QueryResult result;
};

/* false: absent, or failed. */
bool query_get(struct query *q, enum table t, const struct key *k, struct bytes *out_value);
void query_fail(struct query *q, enum status s);
/* NULL: no memory; failed is set. */
void *query_alloc(struct query *q, size_t size);
char *query_string(struct query *q, struct bytes text);
ProtobufCBinaryData query_data(struct query *q, struct bytes data);
/* limit of the request -> rows of a page. */
uint32_t query_limit(uint32_t asked);
/* False when the page is full (then more is set). */
bool query_room(struct query *q, size_t rows, uint32_t limit);
/* The user's row (home: borrowed of the transaction), or MOVED. */
enum status query_owner_row(struct query *q, const char *user, struct owner_row *out_row);
/* Number of the user; 0 and MOVED. */
enum status query_owner(struct query *q, const char *user, uint32_t *out_owner);
char *query_store_name(struct query *q, uint32_t number);
/* What a store is, with its sums (0: those of the shard); false: never heard of, or failed. */
bool query_store_state(struct query *q, uint32_t number, struct store_row *out_row);

enum status query_mailboxes(struct query *q, const Mq__QueryMailboxes *c);
enum status query_mailbox(struct query *q, const Mq__QueryMailbox *c);
enum status query_messages(struct query *q, const Mq__QueryMessages *c);
enum status query_changes(struct query *q, const Mq__QueryChanges *c);
enum status query_cursors(struct query *q, const Mq__QueryCursors *c);
enum status query_queues(struct query *q, const Mq__QueryQueues *c);
enum status query_queue_items(struct query *q, const Mq__QueryQueueItems *c);
enum status query_stores(struct query *q, const Mq__QueryStores *c);
enum status query_loss(struct query *q, const Mq__QueryLoss *c);

#endif
