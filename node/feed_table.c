/* A small array, by (host, store); what comes in is checked before it is kept, because it is shown to people and passed on. */
#include "node/feed_table.h"

#include <string.h>

#include "base/must.h"
#include "node/node.h"
#include "proto/unknown.h"

#define FEED_VIEW_BYTES_MAX (FEED_STATUS_BYTES_MAX + 256u)

/* ---- the table ---- */

void feed_table_deinit(struct feed_table *t)
{
    for (uint32_t i = 0; i < t->n; i++) {
        mq__feed_status__free_unpacked(t->words[i].status, NULL);
    }
    t->n = 0;
}

static bool status_ok(const Mq__FeedStatus *s)
{
    size_t host = strlen(s->host), store = strlen(s->store);
    return host > 0 && host <= FEED_STORE_BYTES_MAX && store > 0 && store <= FEED_STORE_BYTES_MAX &&
           strlen(s->site) <= NAME_MAX_BYTES && strlen(s->version) <= NAME_MAX_BYTES &&
           s->n_troubles <= FEED_TROUBLES_MAX && unknown_fields_ok(&s->base);
}

static uint64_t age_of(const struct feed_word *w, uint64_t now_ms)
{
    return now_ms - w->heard_ms; /* heard_ms may have wrapped below 0: the difference is right */
}

static struct feed_word *find(struct feed_table *t, const Mq__FeedStatus *s)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (strcmp(t->words[i].status->host, s->host) == 0 &&
            strcmp(t->words[i].status->store, s->store) == 0) {
            return &t->words[i];
        }
    }
    return NULL;
}

/* A place for one more, or that of the longest silent one; NULL: all of them speak. */
static struct feed_word *place(struct feed_table *t, uint64_t now_ms)
{
    struct feed_word *oldest = NULL;
    if (t->n < FEEDS_MAX) {
        struct feed_word *w = &t->words[t->n++];
        w->status = NULL;
        return w;
    }
    for (uint32_t i = 0; i < t->n; i++) {
        if (oldest == NULL || age_of(&t->words[i], now_ms) > age_of(oldest, now_ms)) {
            oldest = &t->words[i];
        }
    }
    return age_of(oldest, now_ms) > FEED_SILENT_MS ? oldest : NULL;
}

enum status feed_table_put(struct feed_table *t, struct bytes status, const char *node,
                           uint64_t certificate_expires_ms, uint64_t age_ms, uint64_t now_ms)
{
    if (status.size > FEED_STATUS_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    Mq__FeedStatus *s =
        status.size > 0 ? mq__feed_status__unpack(NULL, status.size, status.data) : NULL;
    enum status result = s != NULL && status_ok(s) ? OK : STATUS_MALFORMED;
    struct feed_word *w = result == OK ? find(t, s) : NULL;
    if (w != NULL && age_of(w, now_ms) < age_ms) {
        result = STATUS_OLD;
    }
    if (result == OK && w == NULL) {
        w = age_ms < FEED_FORGET_MS ? place(t, now_ms) : NULL;
        result = w == NULL ? STATUS_FULL : OK;
    }
    if (result != OK) {
        mq__feed_status__free_unpacked(s, NULL);
        return result;
    }
    mq__feed_status__free_unpacked(w->status, NULL);
    w->status = s;
    w->heard_ms = now_ms - age_ms;
    w->certificate_expires_ms = certificate_expires_ms;
    size_t size = strnlen(node, NAME_MAX_BYTES);
    memcpy(w->node, node, size);
    w->node[size] = '\0';
    return OK;
}

void feed_table_forget(struct feed_table *t, uint64_t now_ms)
{
    for (uint32_t i = t->n; i > 0; i--) {
        if (age_of(&t->words[i - 1], now_ms) >= FEED_FORGET_MS) {
            mq__feed_status__free_unpacked(t->words[i - 1].status, NULL);
            t->words[i - 1] = t->words[--t->n];
        }
    }
}

/* ---- passing on ---- */

static void tell(struct node *n, node_id peer, const struct feed_word *w)
{
    uint8_t packed[FEED_VIEW_BYTES_MAX];
    Mq__FeedView v = MQ__FEED_VIEW__INIT;
    struct link *l = links_find(&n->links, peer);
    v.status = w->status;
    v.node = (char *)(uintptr_t)w->node;
    v.age_ms = age_of(w, n->loop.now_ms);
    v.certificate_expires_ms = w->certificate_expires_ms;
    if (l == NULL || mq__feed_view__get_packed_size(&v) > sizeof(packed)) {
        return;
    }
    struct bytes payload = {packed, mq__feed_view__pack(&v, packed)};
    (void)link_send_frame(l, CHANNEL_CONTROL, FRAME_FEED, (struct bytes){NULL, 0}, payload);
}

void feed_table_greet(struct node *n, node_id peer)
{
    uint64_t now_ms = n->loop.now_ms;
    feed_table_forget(&n->feeds, now_ms);
    for (uint32_t i = 0; i < n->feeds.n; i++) {
        tell(n, peer, &n->feeds.words[i]);
    }
}

enum status feed_table_receive(struct node *n, struct bytes payload)
{
    uint8_t packed[FEED_STATUS_BYTES_MAX];
    Mq__FeedView *v =
        payload.size > 0 ? mq__feed_view__unpack(NULL, payload.size, payload.data) : NULL;
    enum status s = STATUS_MALFORMED;
    if (v != NULL && v->status != NULL &&
        mq__feed_status__get_packed_size(v->status) <= sizeof(packed)) {
        struct bytes status = {packed, mq__feed_status__pack(v->status, packed)};
        s = feed_table_put(&n->feeds, status, v->node, v->certificate_expires_ms, v->age_ms,
                           n->loop.now_ms);
    }
    mq__feed_view__free_unpacked(v, NULL);
    return s == STATUS_MALFORMED ? s : OK; /* old news and a full table are no fault of the peer */
}

/* A socket of this machine shows none, and a peer's is not the feed's. */
static uint64_t certificate_expires_ms(const struct session *from)
{
    return from != NULL && from->kind == SESSION_CLIENT ? from->identity.expires_ms : 0;
}

void feed_status_receive(struct request *r)
{
    struct node *n = r->service->node;
    feed_table_forget(&n->feeds, n->loop.now_ms);
    uint64_t expires_ms = certificate_expires_ms(r->origin);
    enum status s =
        feed_table_put(&n->feeds, r->payload, n->config.name, expires_ms, 0, n->loop.now_ms);
    struct feed_word word = {.heard_ms = n->loop.now_ms, .certificate_expires_ms = expires_ms};
    snprintf(word.node, sizeof(word.node), "%s", n->config.name);
    word.status = s == OK ? mq__feed_status__unpack(NULL, r->payload.size, r->payload.data) : NULL;
    for (uint32_t i = 1; word.status != NULL && i <= NODES_MAX; i++) {
        tell(n, i, &word);
    }
    mq__feed_status__free_unpacked(word.status, NULL);
    if (s != OK) {
        request_refuse(r, s,
                       s == STATUS_FULL ? "this cluster keeps the status of up to 128 feeds"
                                        : "no status of a feed");
        return;
    }
    struct response a = {.outcome = MQ__OUTCOME__OUTCOME_APPLIED, .status = OK};
    request_finish(r, &a);
}
