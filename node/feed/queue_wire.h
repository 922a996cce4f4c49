/* Items, missing ones and events of a queue as commands of the cluster. Pure.
 *
 * A page or a batch of events is gathered as encoded fields (queue_wire_item, _missing, _event), piece by piece; the command around
 * them is made when it is sent, and again for each retry, because the lease may be another one by then. */
#ifndef MQ_NODE_FEED_QUEUE_WIRE_H
#define MQ_NODE_FEED_QUEUE_WIRE_H

#include "base/buffer.h"
#include "base/identity.h"
#include "node/feed/maillog.h"
#include "node/feed/postqueue.h"

#define QUEUE_WIRE_ITEMS_MAX   250u           /* of one command; the cluster takes 300 */
#define QUEUE_WIRE_MISSING_MAX 400u           /* 500 */
#define QUEUE_WIRE_EVENTS_MAX  400u           /* 500 */
#define QUEUE_WIRE_BYTES       (48u * 1024u)  /* a command is sent when it has so many */
#define QUEUE_WIRE_BYTES_MAX   (128u * 1024u) /* an item is over 50 KiB at most */

struct queue_name {
    const char *user, *instance; /* "queue/HOST" */
    struct token lease;
    const char *site; /* where the host stands */
};
struct queue_page {
    uint64_t sweep_ms, after_ms;
    uint32_t page;
    bool complete, last;
};

/* Appended to the pieces of a command. NO_MEMORY, TOO_BIG. */
enum status queue_wire_item(struct buffer *pieces, const struct postqueue_item *item);
enum status queue_wire_missing(struct buffer *pieces, const char *id, uint64_t arrival);
/* Not of MAILLOG_DEFERRED: a sweep tells that. */
enum status queue_wire_event(struct buffer *pieces, const struct maillog_event *e);

/* An encoded mq.Command, appended to out. */
enum status queue_wire_report(const struct queue_name *name, const struct queue_page *page,
                              struct bytes pieces, struct buffer *out);
enum status queue_wire_outcome(const struct queue_name *name, const char *position,
                               struct bytes pieces, struct buffer *out);

#endif
