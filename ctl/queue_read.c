/* See queue_read.h. */
#include "ctl/queue_read.h"

#include <string.h>

#include "ctl/page.h"

#define PAGE_ROWS   500u
#define USER_PREFIX "queue/" /* QUEUE_USER_PREFIX of the storage */

const char *queue_host(const char *user)
{
    size_t n = strlen(USER_PREFIX);
    return strncmp(user, USER_PREFIX, n) == 0 ? user + n : user;
}

bool queue_user(const char *host, char out_user[QUEUE_USER_SIZE])
{
    int n = snprintf(out_user, QUEUE_USER_SIZE, USER_PREFIX "%s", host);
    return n > 0 && (size_t)n < QUEUE_USER_SIZE;
}

enum status queues_read(struct ctl *c, uint32_t shard, struct call_answer *a,
                        enum status (*take)(void *arg, const Mq__Queue *q, struct call_answer *a,
                                            enum exit_code *out_code),
                        void *arg, enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryQueues body = MQ__QUERY_QUEUES__INIT;
    struct page_position after = {.size = 0};
    enum status s = OK;
    bool more = true;
    query.body_case = MQ__QUERY__BODY_QUEUES;
    query.queues = &body;
    body.limit = PAGE_ROWS;
    while (more && s == OK) {
        Mq__QueryResult *result;
        s = ctl_query(c, NULL, shard, &query, a, &result, out_code);
        if (s != OK) {
            return s;
        }
        for (size_t i = 0; i < result->n_queues && s == OK; i++) {
            s = take(arg, result->queues[i], a, out_code);
        }
        more = result->more;
        if (more && s == OK) {
            const char *last =
                result->n_queues > 0 ? result->queues[result->n_queues - 1]->user : NULL;
            s = page_next(
                c, &after,
                (struct bytes){(const uint8_t *)last, last != NULL ? strlen(last) + 1 : 0}, a,
                out_code);
            body.after_user = (char *)after.data;
        }
        mq__query_result__free_unpacked(result, NULL);
    }
    return s;
}

enum status queue_items_read(struct ctl *c, uint32_t shard, Mq__QueryQueueItems *body,
                             uint64_t rows_max, struct call_answer *a,
                             void (*take)(void *arg, const Mq__QueueRow *row), void *arg,
                             enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    struct page_position after = {.size = 0};
    uint64_t left = rows_max;
    enum status s = OK;
    bool more = true;
    query.body_case = MQ__QUERY__BODY_QUEUE_ITEMS;
    query.queue_items = body;
    while (more && left > 0 && s == OK) {
        Mq__QueryResult *result;
        body->limit = left < PAGE_ROWS ? (uint32_t)left : PAGE_ROWS;
        s = ctl_query(c, shard == 0 ? body->user : NULL, shard, &query, a, &result, out_code);
        if (s != OK) {
            break;
        }
        for (size_t i = 0; i < result->n_queue_items; i++) {
            if (result->queue_items[i]->item != NULL) {
                take(arg, result->queue_items[i]);
            }
        }
        left -= result->n_queue_items < left ? result->n_queue_items : left;
        more = result->more && left > 0;
        if (more) {
            s = page_next(c, &after,
                          (struct bytes){result->queue_after.data, result->queue_after.len}, a,
                          out_code);
            body->after = (ProtobufCBinaryData){after.size, after.data};
        }
        mq__query_result__free_unpacked(result, NULL);
    }
    body->after = (ProtobufCBinaryData){0, NULL};
    return s;
}

bool queue_may_wait(const Mq__QueueRecipient *r)
{
    return r->outcome == MQ__QUEUE_RECIPIENT__OUTCOME__OPEN ||
           r->outcome == MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN;
}

const Mq__QueueRecipient *queue_recipient_shown(const Mq__QueueRow *row, size_t *out_others)
{
    const Mq__QueueItem *i = row->item;
    const Mq__QueueRecipient *first = NULL;
    size_t n = i->recipients_omitted;
    for (size_t k = 0; k < i->n_recipients; k++) {
        const Mq__QueueRecipient *r = i->recipients[k];
        if (row->closed || r->outcome == MQ__QUEUE_RECIPIENT__OUTCOME__OPEN) {
            first = first != NULL ? first : r;
            n++;
        }
    }
    *out_others = n - (first != NULL ? 1 : 0);
    if (n == 0 && i->n_recipients > 0) { /* all have ended: Postfix is about to remove it */
        first = i->recipients[0];
        *out_others = i->n_recipients - 1;
    }
    return first;
}
