/* Reading mail queues page by page: whole, or with an error; never a part that looks like the whole. A host's queues belong to the
 * user queue/HOST of the directory. */
#ifndef MQ_CTL_QUEUE_READ_H
#define MQ_CTL_QUEUE_READ_H

#include "ctl/ctl.h"

#define QUEUE_USER_SIZE 256u /* bytes, with the final NUL */

/* The host of queue/HOST. */
const char *queue_host(const char *user);
/* "queue/HOST"; false: too long. */
bool queue_user(const char *host, char out_user[QUEUE_USER_SIZE]);

/* Hands every queue of a shard to `take`, which may end the reading by an error with its code in *out_code. */
enum status queues_read(struct ctl *c, uint32_t shard, struct call_answer *a,
                        enum status (*take)(void *arg, const Mq__Queue *q, struct call_answer *a,
                                            enum exit_code *out_code),
                        void *arg, enum exit_code *out_code);
/* Hands the items that `body` asks for to `take`, at most `rows_max`; those of one host and instance come in the order of their ids.
 * `shard`: where the queue is; 0: where the directory says that body->user is. `body` keeps no pointer of ours afterwards. */
enum status queue_items_read(struct ctl *c, uint32_t shard, Mq__QueryQueueItems *body,
                             uint64_t rows_max, struct call_answer *a,
                             void (*take)(void *arg, const Mq__QueueRow *row), void *arg,
                             enum exit_code *out_code);

/* It is not known to have ended: lost, if the host is. */
bool queue_may_wait(const Mq__QueueRecipient *r);
/* Who stands for the item in a list: of an open one the first recipient that waits, of another one its first. NULL: that one is counted
 * only. *out_others: how many more of them there are. */
const Mq__QueueRecipient *queue_recipient_shown(const Mq__QueueRow *row, size_t *out_others);

#endif
