/* The Postfix instances of this host: those of the configuration, else those that `postmulti -l` names. A handle.
 *
 * Happy path: queue_set_start -> a queue_feed for each -> queue_set_stop -> stopped() once, later. postmulti is asked again every
 * QUEUE_SET_AGAIN_MS, and what it names for the first time is followed from then on; what it no longer names is followed until the end.
 * Failure: postmulti that fails or hangs is tried again, and is a trouble meanwhile. Of two instances of one name one is left out,
 * and those over QUEUE_INSTANCES_MAX: a trouble names the first. */
#ifndef MQ_NODE_FEED_QUEUE_SET_H
#define MQ_NODE_FEED_QUEUE_SET_H

#include "node/feed/queue_feed.h"

#define QUEUE_INSTANCES_MAX 16u
#define QUEUE_SET_AGAIN_MS  60000u

struct queue_set {
    struct queue_world world;
    struct queue_feed *feeds[QUEUE_INSTANCES_MAX];
    unsigned n, stopped_n;
    unsigned left_out;  /* at the last look */
    struct child child; /* postmulti */
    char text[8192];
    size_t text_n;
    uv_timer_t timer;
    bool started, found, stopping, timer_closed;
    void (*stopped)(struct queue_set *s);
    void *arg;
};

/* s is zeroed, with world, stopped and arg set. */
enum status queue_set_start(struct queue_set *s);
void queue_set_stop(struct queue_set *s);
/* After stopped(), or without a start. */
void queue_set_deinit(struct queue_set *s);
/* Nothing was started, or each queue has had a complete sweep. */
bool queue_set_finished(const struct queue_set *s);

#endif
