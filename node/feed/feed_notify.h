/* What systemd hears of a feed: READY=1 at the start, the watchdog and a sentence every few seconds, STOPPING=1. A handle on the
 * feed's loop that never keeps the loop alive; without systemd it says nothing to anybody. */
#ifndef MQ_NODE_FEED_FEED_NOTIFY_H
#define MQ_NODE_FEED_FEED_NOTIFY_H

#include "node/feed/feed.h"

#define FEED_NOTIFY_MS       5000u
#define FEED_NOTIFY_TEXT_MAX 300u

struct feed_notify {
    const struct feed *feed; /* borrowed */
    uv_timer_t timer;
    bool said_stopping;
};

/* After feed_start; the feed outlives it. */
void feed_notify_start(struct feed_notify *n, const struct feed *f);
/* After the feed's loop has ended: runs it once more, to close the timer. */
void feed_notify_stop(struct feed_notify *n);
/* The sentence. Reads the feed and changes nothing. */
void feed_notify_text(const struct feed *f, char out[FEED_NOTIFY_TEXT_MAX]);

#endif
