/* Questions of a queue feed to the cluster: one at a time, made anew for each try, because the lease may be another one by then.
 *
 * queue_ask() -> (the lease first, when a command needs it) -> ask_send() -> on_answer() -> queue_answered(), or the same again after 100 ms
 * doubling up to 2 s; a page until the report deadline, the rest for as long as we run. */
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "node/feed/queue_feed_internal.h"
#include "node/feed/report.h"

#define LEASE_MARGIN 2u /* renewed when less than ttl / this is left */
#define ITEMS_LIMIT  500u

static void ask_send(struct queue_feed *q);

static bool needs_lease(enum queue_ask ask)
{
    return ask == QUEUE_ASK_QUEUE || ask == QUEUE_ASK_PAGE || ask == QUEUE_ASK_OUTCOME;
}

bool queue_lease_enough(const struct queue_feed *q)
{
    return q->leased &&
           queue_now_ms(q) + q->world->config->lease_ttl_ms / LEASE_MARGIN < q->lease_until_ms;
}

/* ---- payloads ---- */

static enum status pack_query(struct queue_feed *q, Mq__Query *m)
{
    uint8_t *at;
    size_t n = mq__query__get_packed_size(m);
    enum status s = buffer_reserve(&q->payload, n, &at);
    if (s == OK) {
        q->payload.size += mq__query__pack(m, at);
    }
    return s;
}

static enum status pack_command(struct queue_feed *q, const Mq__Command *m)
{
    uint8_t *at;
    size_t n = mq__command__get_packed_size(m);
    enum status s = buffer_reserve(&q->payload, n, &at);
    if (s == OK) {
        q->payload.size += mq__command__pack(m, at);
    }
    return s;
}

static enum status build_query(struct queue_feed *q)
{
    Mq__Query m = MQ__QUERY__INIT;
    Mq__QueryQueues queues = MQ__QUERY_QUEUES__INIT;
    Mq__QueryQueueItems items = MQ__QUERY_QUEUE_ITEMS__INIT;
    if (q->ask == QUEUE_ASK_QUEUE) {
        queues.user = q->user;
        m.body_case = MQ__QUERY__BODY_QUEUES;
        m.queues = &queues;
    } else {
        items.user = q->user;
        items.instance = q->instance;
        items.closed = true;
        items.limit = ITEMS_LIMIT;
        items.after = (ProtobufCBinaryData){q->items_after.size, q->items_after.data};
        m.body_case = MQ__QUERY__BODY_QUEUE_ITEMS;
        m.queue_items = &items;
    }
    return pack_query(q, &m);
}

static enum status build_lease(struct queue_feed *q)
{
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__LeaseAcquire acquire = MQ__LEASE_ACQUIRE__INIT;
    Mq__LeaseRenew renew = MQ__LEASE_RENEW__INIT;
    Mq__LeaseRelease release = MQ__LEASE_RELEASE__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    token.epoch = q->token.epoch;
    token.position = q->token.position;
    acquire.user = renew.user = release.user = q->user;
    acquire.store = renew.store = release.store = q->instance;
    acquire.ttl_ms = renew.ttl_ms = (uint32_t)q->world->config->lease_ttl_ms;
    acquire.holder = (char *)q->world->holder;
    renew.token = release.token = &token;
    if (q->ask == QUEUE_ASK_ACQUIRE) {
        c.body_case = MQ__COMMAND__BODY_LEASE_ACQUIRE;
        c.lease_acquire = &acquire;
    } else if (q->ask == QUEUE_ASK_RENEW) {
        c.body_case = MQ__COMMAND__BODY_LEASE_RENEW;
        c.lease_renew = &renew;
    } else {
        c.body_case = MQ__COMMAND__BODY_LEASE_RELEASE;
        c.lease_release = &release;
    }
    return pack_command(q, &c);
}

static enum status build(struct queue_feed *q)
{
    struct queue_name name = {q->user, q->instance, q->token, q->world->config->site};
    struct bytes pieces = {q->pieces.data, q->pieces.size};
    struct queue_page page = {q->sweep_ms, q->complete_ms, q->page, q->page_complete, q->page_last};
    buffer_clear(&q->payload);
    switch (q->ask) {
        case QUEUE_ASK_PAGE:
            return queue_wire_report(&name, &page, pieces, &q->payload);
        case QUEUE_ASK_OUTCOME:
            return queue_wire_outcome(&name, q->position, pieces, &q->payload);
        case QUEUE_ASK_QUEUE:
        case QUEUE_ASK_ITEMS:
            return build_query(q);
        default:
            return build_lease(q);
    }
}

/* ---- answers ---- */

static bool take_item(struct queue_feed *q, const Mq__QueueRow *row)
{
    struct queue_entry *e;
    struct queue_content c;
    const Mq__QueueItem *i = row->item;
    bool gone = row->closed && row->closed_at == 0;
    if (row->closed && (!gone || q->gone_n == QUEUE_GONE_MAX)) {
        return true;
    }
    if (i == NULL || strlen(i->id) > POSTQUEUE_ID_MAX ||
        queue_table_put(&q->table, i->id, i->arrival, &e) != OK) {
        return false;
    }
    queue_content_begin(&c, (int)i->state, i->size, i->sender, i->forced_expire,
                        i->recipients_omitted);
    for (size_t k = 0; k < i->n_recipients; k++) {
        if (i->recipients[k]->outcome == MQ__QUEUE_RECIPIENT__OUTCOME__OPEN) {
            queue_content_recipient(&c, i->recipients[k]->address, i->recipients[k]->orig_address,
                                    i->recipients[k]->reply);
        }
    }
    e->content = c.hash;
    q->gone_n += gone && !e->gone ? 1 : 0; /* a node may name an item twice */
    q->gone_n -= !gone && e->gone ? 1 : 0;
    e->gone = gone;
    return true;
}

/* true: there are more. */
static bool take_items(struct queue_feed *q, const Mq__QueryResult *r, bool *out_ok)
{
    *out_ok = true;
    for (size_t i = 0; i < r->n_queue_items && *out_ok; i++) {
        *out_ok = take_item(q, r->queue_items[i]);
    }
    buffer_clear(&q->items_after);
    if (!*out_ok || !r->more) {
        return false;
    }
    *out_ok = r->queue_after.len > 0 &&
              buffer_append(&q->items_after, r->queue_after.data, r->queue_after.len) == OK;
    return *out_ok;
}

static void take_queue(struct queue_feed *q, const Mq__QueryResult *r)
{
    q->complete_ms = 0;
    q->position[0] = '\0';
    for (size_t i = 0; i < r->n_queues; i++) {
        const Mq__Queue *m = r->queues[i];
        if (strcmp(m->instance, q->instance) == 0) {
            q->complete_ms = m->complete_ms;
            snprintf(q->position, sizeof(q->position), "%s", m->position);
            q->sweep_ms = m->complete_ms > q->sweep_ms ? m->complete_ms : q->sweep_ms;
        }
    }
}

static void query_answered(struct queue_feed *q, struct bytes result)
{
    Mq__QueryResult *r = mq__query_result__unpack(NULL, result.size, result.data);
    bool ok = r != NULL, more = false;
    if (ok && q->ask == QUEUE_ASK_QUEUE) {
        take_queue(q, r);
    } else if (ok) {
        more = take_items(q, r, &ok);
    }
    if (r != NULL) {
        mq__query_result__free_unpacked(r, NULL);
    }
    if (!ok) {
        log_error("event=feed.queue_not_loaded instance=%s items=%u", q->instance, q->table.used);
        queue_gave_up(q, q->ask);
    } else if (more) {
        ask_send(q);
    } else {
        queue_answered(q, q->ask);
    }
}

static void lease_answered(struct queue_feed *q, struct bytes result)
{
    Mq__Result *r = mq__result__unpack(NULL, result.size, result.data);
    bool good = r != NULL && r->body_case == MQ__RESULT__BODY_LEASE && r->lease->token != NULL;
    if (good) {
        /* One that was not held all the time: somebody else may have reported meanwhile. */
        q->loaded = q->loaded && q->ask == QUEUE_ASK_RENEW;
        q->token = (struct token){r->lease->token->epoch, r->lease->token->position};
        q->leased = true;
        q->lease_until_ms = q->lease_asked_ms + q->world->config->lease_ttl_ms;
        trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-LEASE", q->instance);
        trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-UNASSIGNED", "");
    }
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
    if (!good) {
        queue_gave_up(q, q->ask_after_lease);
        return;
    }
    q->ask = q->ask_after_lease;
    q->ask_after_lease = QUEUE_ASK_NOTHING;
    if (q->ask == QUEUE_ASK_NOTHING) {
        queue_answered(q, QUEUE_ASK_RENEW);
    } else {
        ask_send(q);
    }
}

static void answered(struct queue_feed *q, struct bytes result)
{
    q->retry_ms = QUEUE_FEED_RETRY_MIN_MS;
    switch (q->ask) {
        case QUEUE_ASK_ACQUIRE:
        case QUEUE_ASK_RENEW:
            lease_answered(q, result);
            break;
        case QUEUE_ASK_QUEUE:
        case QUEUE_ASK_ITEMS:
            query_answered(q, result);
            break;
        default:
            queue_answered(q, q->ask);
            break;
    }
}

/* ---- answers that do not count ---- */

static void again(struct queue_feed *q, enum status s)
{
    uint64_t now = queue_now_ms(q);
    if (q->stopping || (q->ask == QUEUE_ASK_PAGE &&
                        now > q->ask_since_ms + q->world->config->report_deadline_ms)) {
        log_warn("event=feed.queue_given_up instance=%s ask=%d status=%s", q->instance, q->ask,
                 status_name(s));
        queue_gave_up(q, q->ask);
        return;
    }
    q->retrying = true;
    q->retry_at_ms = now + q->retry_ms;
    q->retry_ms =
        q->retry_ms * 2 > QUEUE_FEED_RETRY_MAX_MS ? QUEUE_FEED_RETRY_MAX_MS : q->retry_ms * 2;
    child_touch(&q->child); /* it waits for us, not we for it */
}

static void unassigned(struct queue_feed *q, const char *text)
{
    const char *host = q->world->config->host;
    if (trouble_find(q->world->troubles, "MQ-FEED-QUEUE-UNASSIGNED", "") == NULL) {
        log_warn("event=feed.queue_unassigned message=MQ-FEED-QUEUE-UNASSIGNED host=%s why=\"%s\"",
                 host, text);
    }
    trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-UNASSIGNED", "", clock_wall_ms(&clock_system),
                  "clusterctl queue assign HOST SHARD",
                  "the mail queue of %.100s has no shard, so nothing of it is recorded", host);
    queue_gave_up(q, q->ask);
}

static void held_by_another(struct queue_feed *q, struct bytes result)
{
    Mq__Result *r = mq__result__unpack(NULL, result.size, result.data);
    bool known = r != NULL && r->body_case == MQ__RESULT__BODY_LEASE;
    trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-LEASE", q->instance,
                  clock_wall_ms(&clock_system),
                  "one mailfeed a host: stop the other one, or give each its own [feed] host",
                  "another feed reports this queue: %.100s", known ? r->lease->holder : "?");
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
    again(q, STATUS_CONFLICT);
}

/* The clock of this host was set back: sweeps go on behind the last one that the cluster has seen. */
static void take_place(struct queue_feed *q, struct bytes result)
{
    Mq__Result *r = mq__result__unpack(NULL, result.size, result.data);
    if (r != NULL && r->body_case == MQ__RESULT__BODY_QUEUE && r->queue->sweep_ms > q->sweep_ms) {
        q->sweep_ms = r->queue->sweep_ms;
    }
    if (r != NULL) {
        mq__result__free_unpacked(r, NULL);
    }
}

static void refused(struct queue_feed *q, enum report_verdict verdict, struct client_request *r,
                    const char *text)
{
    if (verdict == REPORT_LEASE) {
        q->leased = false;
        q->loaded = false;
        q->ask_after_lease = q->ask == QUEUE_ASK_RENEW ? q->ask_after_lease : q->ask;
        q->ask = QUEUE_ASK_ACQUIRE;
        ask_send(q);
    } else if (verdict == REPORT_UNASSIGNED) {
        unassigned(q, text);
    } else if (verdict == REPORT_RESYNC || verdict == REPORT_RESUME) {
        log_info("event=feed.queue_reloads instance=%s why=\"%s\"", q->instance, text);
        take_place(q, r->result);
        q->loaded = false;
        queue_gave_up(q, q->ask);
    } else if (r->status == STATUS_CONFLICT && q->ask == QUEUE_ASK_ACQUIRE) {
        held_by_another(q, r->result);
    } else {
        log_error(
            "event=feed.queue_refused message=MQ-FEED-QUEUE-REFUSED instance=%s ask=%d status=%s "
            "text=\"%s\"",
            q->instance, q->ask, status_name(r->status), text);
        trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-REFUSED", q->instance,
                      clock_wall_ms(&clock_system),
                      "feed and nodes of one version? the sentence says what was refused",
                      "the cluster refused a report of the queue: %.200s", text);
        queue_gave_up(q, q->ask);
    }
}

static void on_answer(struct client_request *r)
{
    struct queue_feed *q = r->arg;
    struct report_place place;
    const char *text = r->response != NULL ? r->response->text : status_text(r->status);
    bool silent = r->response == NULL &&
                  (r->status == STATUS_TIMEOUT || r->outcome == MQ__OUTCOME__OUTCOME_UNKNOWN);
    q->asking = false;
    uplink_heard(q->world->uplink, !silent);
    if (q->stopping) {
        queue_gave_up(q, q->ask);
        return;
    }
    enum report_verdict verdict =
        report_judge(r->outcome, r->status, r->result, NULL, NULL, &place);
    if (verdict == REPORT_APPLIED) {
        answered(q, r->result);
    } else if (verdict == REPORT_AGAIN) {
        again(q, r->status);
    } else {
        refused(q, verdict, r, text);
    }
}

/* ---- sending ---- */

static void ask_send(struct queue_feed *q)
{
    if (needs_lease(q->ask) && !queue_lease_enough(q)) {
        q->ask_after_lease = q->ask;
        q->ask = q->leased ? QUEUE_ASK_RENEW : QUEUE_ASK_ACQUIRE;
    }
    q->lease_asked_ms = q->ask == QUEUE_ASK_ACQUIRE || q->ask == QUEUE_ASK_RENEW
                            ? queue_now_ms(q)
                            : q->lease_asked_ms;
    enum status s = build(q);
    if (s != OK) {
        log_error("event=feed.queue_unsent instance=%s why=\"%s\"", q->instance, status_text(s));
        queue_gave_up(q, q->ask);
        return;
    }
    struct client_request *r = &q->request;
    memset(r, 0, sizeof(*r));
    mq__request_header__init(&r->header);
    bool query = q->ask == QUEUE_ASK_QUEUE || q->ask == QUEUE_ASK_ITEMS;
    r->header.op = query ? MQ__OP__OP_QUERY : MQ__OP__OP_SUBMIT;
    r->header.user = q->user;
    r->payload = (struct bytes){q->payload.data, q->payload.size};
    r->done = on_answer;
    r->arg = q;
    s = uplink_submit(q->world->uplink, r);
    q->asking = s == OK;
    if (s != OK) {
        again(q, s);
    }
}

void queue_ask(struct queue_feed *q, enum queue_ask ask)
{
    must(!queue_asks(q));
    q->ask = ask;
    q->ask_after_lease = QUEUE_ASK_NOTHING;
    q->ask_since_ms = queue_now_ms(q);
    q->retry_ms = QUEUE_FEED_RETRY_MIN_MS;
    ask_send(q);
}

void queue_ask_tick(struct queue_feed *q)
{
    if (q->retrying && queue_now_ms(q) >= q->retry_at_ms) {
        q->retrying = false;
        ask_send(q);
    }
}
