/* The queues of a loss report: mail that a Postfix has accepted and not delivered exists on its host alone. A queue belongs to a host; where
 * that stands is recorded with the queue, so that it is known after the host and its feed are gone. */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ctl/queue_read.h"
#include "ctl/report.h"

#define QUEUES_SHOWN   4u
#define UNPLACED_SHOWN 4u

enum status report_feeds(struct report *r, enum exit_code *out_code)
{
    Mq__Admin admin = MQ__ADMIN__INIT;
    Mq__AdminStatus status = MQ__ADMIN_STATUS__INIT;
    struct call_answer a = {0};
    status.local = true; /* feeds are in the memory of each node */
    admin.body_case = MQ__ADMIN__BODY_STATUS;
    admin.status = &status;
    enum status s = ctl_admin(r->c, 0, &admin, CALL_REPEAT, &a, &r->feeds, out_code);
    const Mq__StatusView *v = s == OK ? r->feeds->status : NULL;
    if (v != NULL && v->as_of_ms > r->now_ms) {
        r->now_ms = v->as_of_ms; /* by a clock that is behind no window would be long */
    }
    call_answer_clear(&a);
    return s;
}

static const Mq__FeedStatus *feed_of(const struct report *r, const char *host, const char *store)
{
    const Mq__StatusView *v = r->feeds != NULL ? r->feeds->status : NULL;
    for (size_t i = 0; v != NULL && i < v->n_feeds; i++) {
        const Mq__FeedStatus *s = v->feeds[i]->status;
        if (s != NULL && (host == NULL || strcmp(s->host, host) == 0) &&
            (store == NULL || strcmp(s->store, store) == 0)) {
            return s;
        }
    }
    return NULL;
}

bool report_feed_heard(const struct report *r, const char *host, const char *store)
{
    return feed_of(r, host, store) != NULL;
}

unsigned report_feeds_troubled(const struct report *r)
{
    const Mq__StatusView *v = r->feeds != NULL ? r->feeds->status : NULL;
    unsigned n = 0;
    for (size_t i = 0; v != NULL && i < v->n_feeds; i++) {
        const Mq__FeedStatus *s = v->feeds[i]->status;
        n += s != NULL && strcmp(s->site, r->site) == 0 && proof_feed_leaves_out(s) ? 1 : 0;
    }
    return n;
}

/* NULL: it was never recorded, and no feed of that host has spoken in the last day. */
static const char *site_of(const struct report *r, const Mq__Queue *q)
{
    const Mq__FeedStatus *feed;
    if (q->site[0] != '\0') {
        return q->site;
    }
    feed = feed_of(r, queue_host(q->user), NULL);
    return feed != NULL ? feed->site : NULL;
}

/* ---- items ---- */

static void take_item(void *arg, const Mq__QueueRow *row)
{
    struct report *r = arg;
    const Mq__QueueItem *item = row->item;
    char date[40] = "";
    struct tm tm;
    time_t seconds = (time_t)item->arrival;
    if (row->closed) {
        return;
    }
    r->queued++;
    r->queued_bytes += item->size;
    if (!report_room(r)) {
        return;
    }
    if (gmtime_r(&seconds, &tm) != NULL) {
        (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    screen_cell(r->s, "queued");
    screen_cell(r->s, "%s", queue_host(row->user));
    screen_cell(r->s, "%s", row->instance);
    screen_cell(r->s, "%s", "-");
    screen_cell(r->s, "%s", date);
    screen_cell(r->s, "%" PRIu64, item->size);
    screen_cell(r->s, "%s", item->id);
    screen_cell(r->s, "%s", r->shard->name);
    json_t *recipients = json_array();
    for (size_t i = 0; i < item->n_recipients; i++) {
        if (queue_may_wait(item->recipients[i])) {
            json_array_append_new(recipients, json_text(item->recipients[i]->address));
        }
    }
    json_array_append_new(
        r->json_queue,
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "host", json_text(queue_host(row->user)),
                  "instance", json_text(row->instance), "id", json_text(item->id), "arrival",
                  json_time(item->arrival * 1000), "size_bytes", json_u64(item->size), "sender",
                  json_text(item->sender), "recipients", recipients));
}

/* ---- queues ---- */

static void take_unplaced(struct report *r, const Mq__Queue *q)
{
    r->unplaced_messages += q->open;
    if (r->unplaced++ < UNPLACED_SHOWN) {
        screen_line(r->s,
                    "the queue %s of %s (%" PRIu64
                    " messages) is not counted: where that host stands "
                    "was never recorded, and its feed is silent",
                    q->instance, queue_host(q->user), q->open);
    }
    json_array_append_new(r->json_unplaced,
                          json_pack("{s:o, s:o, s:o, s:o}", "host", json_text(queue_host(q->user)),
                                    "instance", json_text(q->instance), "shard",
                                    json_text(r->shard->name), "messages", json_u64(q->open)));
}

/* By the clock of its host or the cluster's, whichever says that it is longer ago. */
static uint64_t age_ms(const struct report *r, const Mq__Queue *q)
{
    uint64_t at = q->swept_ms < q->complete_ms ? q->swept_ms : q->complete_ms;
    return r->now_ms > at ? r->now_ms - at : 0;
}

static void queue_window(struct report *r, const Mq__Queue *q)
{
    bool known = q->complete_ms != 0;
    r->facts.queues_unpositioned += known ? 0 : 1;
    r->facts.feeds_unheard += report_feed_heard(r, queue_host(q->user), NULL) ? 0 : 1;
    if (known) {
        report_window(r, age_ms(r, q));
    }
    json_array_append_new(
        r->json_queue_windows,
        json_pack("{s:o, s:o, s:o, s:o, s:o}", "host", json_text(queue_host(q->user)), "instance",
                  json_text(q->instance), "shard", json_text(r->shard->name), "complete",
                  json_time(q->complete_ms), "age_seconds", json_seconds(known, age_ms(r, q))));
}

static enum status take_queue(void *arg, const Mq__Queue *q, struct call_answer *a,
                              enum exit_code *out_code)
{
    struct report *r = arg;
    Mq__QueryQueueItems body = MQ__QUERY_QUEUE_ITEMS__INIT;
    char span[SPAN_TEXT_SIZE];
    const char *site = site_of(r, q);
    if (site == NULL) {
        take_unplaced(r, q);
        return OK;
    }
    if (strcmp(site, r->site) != 0) {
        return OK;
    }
    queue_window(r, q);
    if (r->queues++ < QUEUES_SHOWN) {
        screen_line(r->s, "queue %s of %s: what it held %s%s is counted", q->instance,
                    queue_host(q->user),
                    q->complete_ms == 0 ? "is not known completely; what is known"
                                        : span_format(age_ms(r, q), span),
                    q->complete_ms == 0 ? "" : " ago");
    }
    body.user = q->user;
    body.instance = q->instance;
    return queue_items_read(r->c, r->shard->shard, &body, UINT64_MAX, a, take_item, r, out_code);
}

enum status report_queues(struct report *r, struct call_answer *a, enum exit_code *out_code)
{
    return queues_read(r->c, r->shard->shard, a, take_queue, r, out_code);
}

void report_queues_show(struct report *r)
{
    if (r->queues == 0 && r->unplaced == 0) {
        screen_line(r->s,
                    "no mail queue there has been reported: what waits in one is not counted");
    }
    if (r->unplaced > UNPLACED_SHOWN) {
        screen_line(r->s, "and %" PRIu64 " more whose site is not known: -o json names each",
                    r->unplaced - UNPLACED_SHOWN);
    }
    json_object_set_new(
        r->s->data, "queue",
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:O, s:O, s:O}", "queues", json_u64(r->queues),
                  "queues_without_site", json_u64(r->unplaced), "messages", json_u64(r->queued),
                  "messages_without_site", json_u64(r->unplaced_messages), "size_bytes",
                  json_u64(r->queued_bytes), "items", r->json_queue, "windows",
                  r->json_queue_windows, "without_site", r->json_unplaced));
}
