/* A timer on the loop: when the loop stands still it does not ring, and the watchdog hears nothing. */
#include "node/feed/feed_notify.h"

#include <stdio.h>

#include "node/notify.h"

void feed_notify_text(const struct feed *f, char out[FEED_NOTIFY_TEXT_MAX])
{
    const struct feed_counters *c = &f->counters;
    if (f->stopping) {
        snprintf(out, FEED_NOTIFY_TEXT_MAX, "stopping: %u visits under way", f->running);
    } else if (!uplink_ready(&f->uplink)) {
        snprintf(out, FEED_NOTIFY_TEXT_MAX,
                 "no node answers, mail is not affected; trying %.100s%s%.150s",
                 uplink_node(&f->uplink), f->uplink.why[0] != '\0' ? ": " : "", f->uplink.why);
    } else {
        snprintf(out, FEED_NOTIFY_TEXT_MAX,
                 "reporting to %s: %u users, %llu waiting, %llu without a shard, %llu failures",
                 uplink_node(&f->uplink), f->sweep.users_seen, (unsigned long long)f->waiting_n,
                 (unsigned long long)c->unassigned, (unsigned long long)c->failed);
    }
}

static void on_timer(uv_timer_t *t)
{
    struct feed_notify *n = t->data;
    char text[FEED_NOTIFY_TEXT_MAX];
    bool stopping = n->feed->stopping && !n->said_stopping;
    n->said_stopping = n->said_stopping || stopping;
    feed_notify_text(n->feed, text);
    notify_send("%sWATCHDOG=1\nSTATUS=%s", stopping ? "STOPPING=1\n" : "", text);
}

void feed_notify_start(struct feed_notify *n, const struct feed *f)
{
    uint64_t watchdog_ms = notify_watchdog_ms();
    uint64_t every_ms =
        watchdog_ms != 0 && watchdog_ms < FEED_NOTIFY_MS ? watchdog_ms : FEED_NOTIFY_MS;
    n->feed = f;
    n->said_stopping = false;
    n->timer.data = n;
    uv_timer_init(f->loop, &n->timer);
    uv_timer_start(&n->timer, on_timer, every_ms, every_ms);
    uv_unref((uv_handle_t *)&n->timer);
    notify_send("READY=1\nSTATUS=started");
}

void feed_notify_stop(struct feed_notify *n)
{
    uv_loop_t *loop = n->timer.loop;
    uv_close((uv_handle_t *)&n->timer, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
}
