/* Shared by queue_feed.c (the steps), queue_ask.c (the questions to the cluster) and queue_say.c (the troubles) only. */
#ifndef MQ_NODE_FEED_QUEUE_FEED_INTERNAL_H
#define MQ_NODE_FEED_QUEUE_FEED_INTERNAL_H

#include "node/feed/queue_feed.h"

/* No question is under way. For pages and outcomes the pieces stay until it is answered. */
void queue_ask(struct queue_feed *q, enum queue_ask ask);
/* The time of a retry has come? */
void queue_ask_tick(struct queue_feed *q);
bool queue_lease_enough(const struct queue_feed *q);
static inline bool queue_asks(const struct queue_feed *q)
{
    return q->asking || q->retrying;
}

/* The question is answered as it should be. */
void queue_answered(struct queue_feed *q, enum queue_ask ask);
/* It is not, and trying again is of no use: what is under way is given up; the next try is at next_ms. */
void queue_gave_up(struct queue_feed *q, enum queue_ask ask);

void queue_say_settings(struct queue_feed *q, const char *hint, const char *why);
/* OK takes it back. */
void queue_say_log(struct queue_feed *q, enum status s);
void queue_say_incomplete(struct queue_feed *q);
void queue_say_silent(struct queue_feed *q);
/* Lines of the log may have been missed, since about the last complete sweep. */
void queue_say_gap(struct queue_feed *q);
void queue_forget_gap(struct queue_feed *q);
void queue_say_wordless(struct queue_feed *q, bool wordless);

static inline uint64_t queue_now_ms(const struct queue_feed *q)
{
    return uv_now(q->world->loop);
}

#endif
