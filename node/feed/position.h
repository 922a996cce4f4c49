/* Up to when everything this store holds is reported, for each shard that has users of it: what a loss report needs to say which window
 * it cannot know.
 *
 * A user is clean at time t when all that its mailboxes held at t is reported: the start of the last complete sweep that found nothing
 * to do for it, or of its last visit that reported all. A shard's position is the earliest of its users'; it is submitted as a
 * StorePosition when it has moved, at most each POSITION_MS, and each POSITION_ALIVE_MS in any case (so that the shard knows that this
 * store is followed). As long as the shard of a user is not known no shard has a position; users of no shard do not count (they
 * are a trouble of their own). */
#ifndef MQ_NODE_FEED_POSITION_H
#define MQ_NODE_FEED_POSITION_H

#include <uv.h>

#include "base/identity.h"
#include "node/feed/roster.h"
#include "proto/client.h"

#define POSITION_MS       2000u
#define POSITION_ALIVE_MS 60000u

struct feed;

struct shard_position {
    struct client_request request;
    struct positions *all;
    bool asking;
    bool known;        /* some user of ours is in this shard */
    uint64_t clean_ms; /* of the loop; the earliest of its users; 0: one was never clean */
    uint64_t sent_clean_ms, sent_ms, asked_clean_ms;
};

struct positions {
    struct feed *feed;
    uv_timer_t timer;
    uint32_t sweep; /* the last complete one */
    struct shard_position shards[SHARDS_MAX];
};

void positions_start(struct positions *p, struct feed *f);
void positions_close(struct positions *p);
/* A sweep has ended completely: users it found clean are. */
void positions_swept(struct positions *p, uint32_t sweep, uint64_t started_ms);

#endif
