/* Queue reports and outcomes in a line each, for the tests of storage/.
 *
 *     struct page *p = page_new(&r, sweep_ms, after_ms, page);
 *     page_item(p, "4jYk1", 1000, HOLD, "bo@far.test", "connection refused");  page_missing(p, "4jYk2", 1000);
 *     CHECK_OK(page_end(&r, p));         complete and last; page_run: neither
 *     CHECK_OK(event_run(&r, "4jYk1", 1500, EVENT_SENT, "bo@far.test"));
 *
 * The queue is that of host mx1, instance postfix; its lease is r->lease. */
#ifndef MQ_TESTS_QUEUE_RIG_H
#define MQ_TESTS_QUEUE_RIG_H

#include "storage/record_queue.h"
#include "tests/unit/storage/store_rig.h"

#define QUEUE_HOST     "queue/mx1"
#define QUEUE_INSTANCE "postfix"
#define STATE(name)    MQ__QUEUE_ITEM__STATE__##name
#define FATE(name)     MQ__QUEUE_RECIPIENT__OUTCOME__##name
#define EVENT(name)    MQ__QUEUE_EVENT__KIND__##name

__attribute__((unused)) static void queue_open(struct rig *r)
{
    CHECK_OK(rig_owner(r, QUEUE_HOST));
    CHECK_OK(rig_lease(r, QUEUE_HOST, QUEUE_INSTANCE, "feed", 600000));
}

struct page {
    Mq__QueueReport c;
    char user[64];
    char instance[64];
    char site[80];
    Mq__Token token;
    Mq__QueueItem items[310];
    Mq__QueueItem *item_list[310];
    Mq__QueueRecipient recipients[310][2];
    Mq__QueueRecipient *recipient_list[310][2];
    Mq__QueueKey keys[510];
    Mq__QueueKey *key_list[510];
    char texts[64 * 1024];
    size_t texts_n;
};

static char *page_text(struct page *p, const char *s)
{
    char *at = p->texts + p->texts_n;
    p->texts_n += strlen(s) + 1;
    CHECK(p->texts_n <= sizeof(p->texts));
    return memcpy(at, s, strlen(s) + 1);
}

__attribute__((unused)) static struct page *page_new(const struct rig *r, uint64_t sweep_ms,
                                                     uint64_t after_ms, uint32_t page)
{
    struct page *p = calloc(1, sizeof(*p));
    CHECK(p != NULL);
    mq__queue_report__init(&p->c);
    mq__token__init(&p->token);
    snprintf(p->user, sizeof(p->user), "%s", QUEUE_HOST);
    snprintf(p->instance, sizeof(p->instance), "%s", QUEUE_INSTANCE);
    p->token.epoch = r->lease.epoch;
    p->token.position = r->lease.position;
    p->c.user = p->user;
    p->c.instance = p->instance;
    p->c.site = p->site;
    p->c.lease = &p->token;
    p->c.sweep_ms = sweep_ms;
    p->c.after_ms = after_ms;
    p->c.page = page;
    p->c.items = p->item_list;
    p->c.missing = p->key_list;
    return p;
}

__attribute__((unused)) static Mq__QueueItem *page_item(struct page *p, const char *id,
                                                        uint64_t arrival,
                                                        Mq__QueueItem__State state,
                                                        const char *recipient, const char *reply)
{
    size_t n = p->c.n_items++;
    Mq__QueueItem *i = &p->items[n];
    mq__queue_item__init(i);
    i->id = page_text(p, id);
    i->arrival = arrival;
    i->state = state;
    i->size = 100;
    i->sender = page_text(p, "ada@src.test");
    i->recipients = p->recipient_list[n];
    i->n_recipients = 1;
    i->recipients[0] = &p->recipients[n][0];
    mq__queue_recipient__init(i->recipients[0]);
    i->recipients[0]->address = page_text(p, recipient);
    i->recipients[0]->reply = page_text(p, reply);
    p->item_list[n] = i;
    return i;
}

/* A second recipient of the item put last. */
__attribute__((unused)) static void page_recipient(struct page *p, const char *recipient)
{
    size_t n = p->c.n_items - 1;
    Mq__QueueRecipient *r = &p->recipients[n][1];
    mq__queue_recipient__init(r);
    r->address = page_text(p, recipient);
    p->items[n].recipients[p->items[n].n_recipients++] = r;
}

__attribute__((unused)) static void page_missing(struct page *p, const char *id, uint64_t arrival)
{
    size_t n = p->c.n_missing++;
    mq__queue_key__init(&p->keys[n]);
    p->keys[n].id = page_text(p, id);
    p->keys[n].arrival = arrival;
    p->key_list[n] = &p->keys[n];
    p->c.complete = true;
}

/* Runs and frees it. */
__attribute__((unused)) static enum status page_run(struct rig *r, struct page *p)
{
    Mq__Command c = MQ__COMMAND__INIT;
    c.body_case = MQ__COMMAND__BODY_QUEUE_REPORT;
    c.queue_report = &p->c;
    enum status s = rig_run(r, &c);
    free(p);
    return s;
}

__attribute__((unused)) static enum status page_end(struct rig *r, struct page *p)
{
    p->c.complete = true;
    p->c.last = true;
    return page_run(r, p);
}

__attribute__((unused)) static enum status event_full(struct rig *r, const char *id, uint64_t at,
                                                      Mq__QueueEvent__Kind kind,
                                                      const char *recipient, const char *orig,
                                                      const char *successor)
{
    char texts[5][400];
    snprintf(texts[0], sizeof(texts[0]), "%s", id);
    snprintf(texts[1], sizeof(texts[1]), "%s", recipient);
    snprintf(texts[2], sizeof(texts[2]), "%s", orig);
    snprintf(texts[3], sizeof(texts[3]), "%s", successor);
    snprintf(texts[4], sizeof(texts[4]), "file 1 %llu", (unsigned long long)at);
    char user[] = QUEUE_HOST, instance[] = QUEUE_INSTANCE, reply[] = "250 ok";
    Mq__QueueEvent e = MQ__QUEUE_EVENT__INIT;
    Mq__QueueEvent *list[1] = {&e};
    Mq__Token token = MQ__TOKEN__INIT;
    e.id = texts[0];
    e.at = at;
    e.kind = kind;
    e.recipient = texts[1];
    e.orig_recipient = texts[2];
    e.successor = texts[3];
    e.reply = reply;
    token.epoch = r->lease.epoch;
    token.position = r->lease.position;
    RIG_COMMAND(c, QUEUE_OUTCOME, queue_outcome, Mq__QueueOutcome, MQ__QUEUE_OUTCOME__INIT);
    c_queue_outcome.user = user;
    c_queue_outcome.instance = instance;
    c_queue_outcome.lease = &token;
    c_queue_outcome.position = texts[4];
    c_queue_outcome.events = list;
    c_queue_outcome.n_events = 1;
    return rig_run(r, &c);
}

__attribute__((unused)) static enum status event_run(struct rig *r, const char *id, uint64_t at,
                                                     Mq__QueueEvent__Kind kind,
                                                     const char *recipient)
{
    return event_full(r, id, at, kind, recipient, "", "");
}

__attribute__((unused)) static enum status queue_forget(struct rig *r, const char *host,
                                                        const char *instance)
{
    char texts[2][64];
    snprintf(texts[0], sizeof(texts[0]), "%s", host);
    snprintf(texts[1], sizeof(texts[1]), "%s", instance);
    RIG_COMMAND(c, QUEUE_FORGET, queue_forget, Mq__QueueForget, MQ__QUEUE_FORGET__INIT);
    c_queue_forget.user = texts[0];
    c_queue_forget.instance = texts[1];
    return rig_run(r, &c);
}

/* ---- queries: the result is the caller's to free ---- */

__attribute__((unused)) static Mq__QueryResult *rig_items(struct rig *r, const char *id,
                                                          bool closed)
{
    enum status s;
    char user[] = QUEUE_HOST, text[64];
    snprintf(text, sizeof(text), "%s", id);
    RIG_QUERY(q, QUEUE_ITEMS, queue_items, Mq__QueryQueueItems, MQ__QUERY_QUEUE_ITEMS__INIT);
    q_queue_items.user = user;
    q_queue_items.id = text;
    q_queue_items.closed = closed;
    Mq__QueryResult *result = rig_query(r, &q, &s);
    CHECK_OK(s);
    return result;
}

/* user, after: empty for all of them, from the first; limit 0: the usual one. */
__attribute__((unused)) static Mq__QueryResult *rig_queues_page(struct rig *r, char *user,
                                                                char *after, uint32_t limit)
{
    enum status s;
    RIG_QUERY(q, QUEUES, queues, Mq__QueryQueues, MQ__QUERY_QUEUES__INIT);
    q_queues.user = user;
    q_queues.after_user = after;
    q_queues.limit = limit;
    Mq__QueryResult *result = rig_query(r, &q, &s);
    CHECK_OK(s);
    return result;
}

__attribute__((unused)) static Mq__QueryResult *rig_queues(struct rig *r)
{
    char none[] = "";
    return rig_queues_page(r, none, none, 0);
}

/* ---- in a line ---- */

/* One item (of this id), by outcome; CLOSED_NOT: it is open. */
enum { OPEN_NOW = -1, ABSENT = -2 };

__attribute__((unused)) static int fate(struct rig *r, const char *id)
{
    Mq__QueryResult *result = rig_items(r, id, true);
    int outcome = ABSENT;
    if (result->n_queue_items > 0) {
        const Mq__QueueRow *row = result->queue_items[result->n_queue_items - 1];
        outcome = row->closed ? (int)row->outcome : OPEN_NOW;
    }
    mq__query_result__free_unpacked(result, NULL);
    return outcome;
}

__attribute__((unused)) static void queue_stand(struct rig *r)
{
    rig_open(r, 1);
    queue_open(r);
}

/* An empty complete sweep. */
__attribute__((unused)) static void sweep(struct rig *r, uint64_t sweep_ms, uint64_t after_ms)
{
    CHECK_OK(page_end(r, page_new(r, sweep_ms, after_ms, 0)));
}

__attribute__((unused)) static void listed(struct rig *r, const char *id, uint64_t sweep_ms,
                                           uint64_t after_ms)
{
    struct page *p = page_new(r, sweep_ms, after_ms, 0);
    page_item(p, id, 1000, STATE(DEFERRED), "bo@far.test", "connection refused");
    CHECK_OK(page_end(r, p));
}

__attribute__((unused)) static void missing(struct rig *r, const char *id, uint64_t sweep_ms,
                                            uint64_t after_ms)
{
    struct page *p = page_new(r, sweep_ms, after_ms, 0);
    page_missing(p, id, 1000);
    CHECK_OK(page_end(r, p));
}

#endif
