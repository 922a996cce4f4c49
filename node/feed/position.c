/* Takes the minimum over the roster, submits what has moved. */
#include "node/feed/position.h"

#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "node/feed/feed.h"

struct clean_sweep {
    uint32_t sweep;
    uint64_t started_ms;
};

static void swept_user(void *arg, struct feed_user *u)
{
    const struct clean_sweep *c = arg;
    if (u->seen == c->sweep && u->loaded && u->pending_since_ms == 0 && u->state == USER_IDLE &&
        u->clean_ms < c->started_ms) {
        u->clean_ms = c->started_ms;
    }
}

void positions_swept(struct positions *p, uint32_t sweep, uint64_t started_ms)
{
    struct clean_sweep c = {sweep, started_ms};
    p->sweep = sweep;
    roster_each(&p->feed->roster, swept_user, &c);
}

/* ---- the earliest of each shard ---- */

struct gathering {
    struct positions *p;
    bool unknown; /* the shard of a user is */
};

static void gather_user(void *arg, struct feed_user *u)
{
    struct gathering *g = arg;
    if ((int32_t)(u->seen - g->p->sweep) < 0 || u->unassigned) {
        return; /* no longer a user of this host, or of no shard */
    }
    if (u->shard == SHARD_DIRECTORY) {
        g->unknown = true;
        return;
    }
    struct shard_position *s = &g->p->shards[u->shard % SHARDS_MAX];
    s->clean_ms = !s->known || u->clean_ms < s->clean_ms ? u->clean_ms : s->clean_ms;
    s->known = true;
}

static bool gather(struct positions *p)
{
    struct gathering g = {.p = p};
    for (unsigned i = 0; i < SHARDS_MAX; i++) {
        p->shards[i].known = false;
        p->shards[i].clean_ms = 0;
    }
    roster_each(&p->feed->roster, gather_user, &g);
    return !g.unknown && p->sweep != 0;
}

/* ---- submitting ---- */

static void answered(struct client_request *r)
{
    struct shard_position *s = r->arg;
    struct positions *p = s->all;
    s->asking = false;
    if (r->outcome == MQ__OUTCOME__OUTCOME_APPLIED) {
        s->sent_clean_ms = s->asked_clean_ms;
        s->sent_ms = uv_now(p->feed->loop);
        trouble_clear(&p->feed->troubles, "MQ-FEED-POSITION", "");
    } else if (r->status == STATUS_INVALID) {
        trouble_raise(&p->feed->troubles, "MQ-FEED-POSITION", "", clock_wall_ms(&clock_system),
                      "give the store a name that no other site uses: [feed] store",
                      "the cluster refuses this store: %.200s",
                      r->response != NULL ? r->response->text : status_text(r->status));
    }
}

static void submit(struct positions *p, struct shard_position *s, bool complete)
{
    struct feed *f = p->feed;
    uint8_t packed[2 * NAME_MAX_BYTES + 64];
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__StorePosition m = MQ__STORE_POSITION__INIT;
    uint64_t age_ms = uv_now(f->loop) - s->clean_ms;
    m.store = f->config.store;
    m.site = f->config.site;
    if (complete) {
        m.age_ms = age_ms;
        m.complete_wall_ms = clock_wall_ms(&clock_system) - age_ms;
    }
    c.body_case = MQ__COMMAND__BODY_STORE_POSITION;
    c.store_position = &m;
    must(mq__command__get_packed_size(&c) <= sizeof(packed));
    memset(&s->request, 0, sizeof(s->request));
    mq__request_header__init(&s->request.header);
    s->request.header.op = MQ__OP__OP_SUBMIT;
    s->request.header.shard = (uint32_t)(s - p->shards);
    s->request.payload = (struct bytes){packed, mq__command__pack(&c, packed)};
    s->request.done = answered;
    s->request.arg = s;
    s->all = p;
    s->asked_clean_ms = complete ? s->clean_ms : s->sent_clean_ms;
    s->asking = uplink_submit(&f->uplink, &s->request) == OK;
}

static void on_timer(uv_timer_t *t)
{
    struct feed *f = t->data;
    struct positions *p = &f->positions;
    uint64_t now_ms = uv_now(f->loop);
    if (f->stopping || !uplink_ready(&f->uplink)) {
        return;
    }
    bool all_known = gather(p);
    for (unsigned i = 0; i < SHARDS_MAX; i++) {
        struct shard_position *s = &p->shards[i];
        bool complete = all_known && s->clean_ms != 0;
        bool moved = complete && s->clean_ms > s->sent_clean_ms;
        bool due = s->sent_ms == 0 || now_ms - s->sent_ms >= POSITION_ALIVE_MS;
        if (s->known && !s->asking && (moved || due)) {
            submit(p, s, complete);
        }
    }
}

void positions_start(struct positions *p, struct feed *f)
{
    p->feed = f;
    p->timer.data = f;
    must(uv_timer_init(f->loop, &p->timer) == 0);
    must(uv_timer_start(&p->timer, on_timer, POSITION_MS, POSITION_MS) == 0);
}

void positions_close(struct positions *p)
{
    uv_close((uv_handle_t *)&p->timer, NULL);
}
