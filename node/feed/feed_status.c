/* Counts what there is to say, packs it, submits it. */
#include "node/feed/feed_status.h"

#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "node/feed/feed.h"

struct sums {
    uint64_t pending, mailboxes, oldest_ms;
};

static void count_user(void *arg, struct feed_user *u)
{
    struct sums *n = arg;
    n->mailboxes += u->mailboxes_n;
    if (u->pending_since_ms != 0) {
        n->pending++;
        n->oldest_ms = n->oldest_ms == 0 || u->pending_since_ms < n->oldest_ms ? u->pending_since_ms
                                                                               : n->oldest_ms;
    }
}

struct troubles_box {
    Mq__FeedTrouble rows[TROUBLES_MAX];
    Mq__FeedTrouble *pointers[TROUBLES_MAX];
};

static void fill_troubles(struct troubles *t, struct troubles_box *box, Mq__FeedStatus *out)
{
    for (uint32_t i = 0; i < t->n; i++) {
        struct trouble *x = &t->items[i];
        Mq__FeedTrouble *row = &box->rows[i];
        mq__feed_trouble__init(row);
        row->id = x->id;
        row->object = x->object;
        row->since_ms = x->since_ms;
        row->text = x->text;
        row->hint = x->hint;
        box->pointers[i] = row;
    }
    out->n_troubles = t->n;
    out->troubles = box->pointers;
    out->more_troubles = t->more;
}

static enum status submit(struct feed_status *s, struct client_request *r, bool last,
                          void (*done)(struct client_request *r))
{
    struct feed *f = s->feed;
    struct sums n = {0};
    struct troubles_box box;
    static char version[] = FEED_VERSION;
    uint8_t packed[16 * 1024];
    uint64_t now_ms = uv_now(f->loop), wall_ms = clock_wall_ms(&clock_system);
    Mq__FeedStatus m = MQ__FEED_STATUS__INIT;
    roster_each(&f->roster, count_user, &n);
    m.host = f->config.host;
    m.site = f->config.site;
    m.store = f->config.store;
    m.version = version;
    m.started_ms = s->started_ms;
    m.stopping = last;
    m.users = f->roster.users_n;
    m.users_pending = n.pending;
    m.mailboxes = n.mailboxes;
    m.sweep_end_ms = s->sweep_end_ms;
    m.sweep_took_ms = s->sweep_took_ms;
    m.sweep_interval_ms = f->interval_ms;
    m.pending_since_ms = n.oldest_ms == 0 ? 0 : wall_ms - (now_ms - n.oldest_ms);
    fill_troubles(&f->troubles, &box, &m);
    if (mq__feed_status__get_packed_size(&m) > sizeof(packed)) {
        return STATUS_TOO_BIG; /* cannot be: every part is bounded */
    }
    memset(r, 0, sizeof(*r));
    mq__request_header__init(&r->header);
    r->header.op = MQ__OP__OP_FEED_STATUS;
    r->payload = (struct bytes){packed, mq__feed_status__pack(&m, packed)};
    r->done = done;
    r->arg = f;
    return uplink_submit(&f->uplink, r);
}

static void answered(struct client_request *r)
{
    struct feed *f = r->arg;
    f->status.asking = false;
    if (r->outcome == MQ__OUTCOME__OUTCOME_REFUSED && r->status != STATUS_CLOSED) {
        log_warn("event=feed.status_refused status=%s", status_name(r->status));
    }
}

void feed_status_send(struct feed_status *s)
{
    struct feed *f = s->feed;
    if (s->asking || f->stopping || !uplink_ready(&f->uplink)) {
        return;
    }
    s->sent_ms = uv_now(f->loop);
    s->sent_version = f->troubles.version;
    s->asking = submit(s, &s->request, false, answered) == OK;
}

enum status feed_status_send_last(struct feed_status *s, void (*done)(struct client_request *r))
{
    return uplink_ready(&s->feed->uplink) ? submit(s, &s->last_request, true, done) : STATUS_CLOSED;
}

static void on_timer(uv_timer_t *t)
{
    struct feed *f = t->data;
    struct feed_status *s = &f->status;
    if (s->sent_ms == 0 || uv_now(f->loop) >= s->sent_ms + FEED_STATUS_MS ||
        s->sent_version != f->troubles.version) {
        feed_status_send(s);
    }
}

void feed_status_start(struct feed_status *s, struct feed *f)
{
    s->feed = f;
    s->started_ms = clock_wall_ms(&clock_system);
    s->timer.data = f;
    must(uv_timer_init(f->loop, &s->timer) == 0);
    must(uv_timer_start(&s->timer, on_timer, FEED_STATUS_POLL_MS, FEED_STATUS_POLL_MS) == 0);
}

void feed_status_close(struct feed_status *s)
{
    uv_close((uv_handle_t *)&s->timer, NULL);
}

void feed_status_swept(struct feed_status *s, uint64_t took_ms)
{
    s->sweep_end_ms = clock_wall_ms(&clock_system);
    s->sweep_took_ms = took_ms;
}
