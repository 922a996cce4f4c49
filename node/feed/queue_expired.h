/* What qmgr has said to be expired before a sweep listed it, so that its end can still be told as that. Pure.
 *
 * qmgr says that an item expires, sends the bounces, and removes it: a sweep may list it for the first time in between, when all that
 * the log still says of it is that it was removed. The oldest of more than QUEUE_EXPIRED_KEPT is forgotten. */
#ifndef MQ_NODE_FEED_QUEUE_EXPIRED_H
#define MQ_NODE_FEED_QUEUE_EXPIRED_H

#include "node/feed/maillog.h"

#define QUEUE_EXPIRED_KEPT 16u

struct queue_expired { /* zeroed: empty */
    struct {
        char id[POSTQUEUE_ID_MAX + 1];
        uint64_t at;
    } items[QUEUE_EXPIRED_KEPT];
    unsigned next;
};

void queue_expired_keep(struct queue_expired *x, const struct maillog_event *e);
/* What is said of it from here on is of another item: Postfix uses short ids again. */
void queue_expired_forget(struct queue_expired *x, const char *id);
/* false: it was not kept. */
bool queue_expired_find(const struct queue_expired *x, const char *id, struct maillog_event *out_e);

#endif
