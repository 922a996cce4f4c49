/* The feed's word about itself (mq.FeedStatus), for `clusterctl feed list|show` and `status`: sent every FEED_STATUS_MS, and within
 * FEED_STATUS_POLL_MS when a trouble came or went. Nothing depends on it: a word that is lost is followed by the next. */
#ifndef MQ_NODE_FEED_FEED_STATUS_H
#define MQ_NODE_FEED_FEED_STATUS_H

#include <stdbool.h>
#include <uv.h>

#include "base/status.h"
#include "node/feed/trouble.h"
#include "proto/client.h"

#define FEED_VERSION        "0.1.0"
#define FEED_STATUS_MS      3000u
#define FEED_STATUS_POLL_MS 500u

struct feed;

struct feed_status {
    struct feed *feed;
    uv_timer_t timer;
    struct client_request request, last_request;
    bool asking;
    uint64_t sent_ms, sent_version;
    uint64_t started_ms, sweep_end_ms, sweep_took_ms; /* Unix time; how long */
};

/* The feed is zeroed but for its loop. */
void feed_status_start(struct feed_status *s, struct feed *f);
void feed_status_close(struct feed_status *s);
/* A look at all mailboxes has ended completely. */
void feed_status_swept(struct feed_status *s, uint64_t took_ms);
/* At once, when the last word is answered. */
void feed_status_send(struct feed_status *s);
/* The last word, `stopping`. OK: done(last_request) comes once, with arg = the feed. */
enum status feed_status_send_last(struct feed_status *s, void (*done)(struct client_request *r));

#endif
