/* The cluster as one node tells it (mq.StatusView), brought into rows: what the leader of a shard knows of its copies, put together with
 * what each node says of its own. Pure. What is not known stays unknown: a node that is not heard, a value without an owner. */
#ifndef MQ_CTL_CLUSTER_VIEW_H
#define MQ_CTL_CLUSTER_VIEW_H

#include <stdbool.h>

#include "base/identity.h"
#include "base/status.h"
#include "ctl/feed_view.h"
#include "proto/api.pb-c.h"

struct view_node {
    node_id node;
    char name[NAME_MAX_BYTES + 1], site[NAME_MAX_BYTES + 1];
    enum node_role role;
    char address[160], version[32], state[200];
    bool up; /* heard of within the last second or so */
    bool heard_known;
    uint64_t heard_ms; /* how long ago; 0 for the node that answers */
    uint64_t disk_free_bytes, disk_total_bytes, certificate_expires_ms, rtt_us, fsync_us;
};

struct view_replica {
    unsigned node;         /* place in nodes[] */
    bool voter, known, ok; /* known: the fields below are of now */
    bool own;              /* it speaks for itself: index, state and digest are its own words */
    bool lag_known;
    char course[16], eta[32]; /* the node's words: when the lag crosses its limit */
    uint64_t eta_ms;
    bool slope_known;
    int64_t slope_us; /* microseconds of lag a second */
    uint64_t lag_ms, lag_entries, lag_bytes, term, commit_index, applied_index, first_index,
        checkpoint_index;
    char state[200];
};

struct view_holding { /* of the mail stores of one site */
    char site[NAME_MAX_BYTES + 1];
    uint64_t stores, unpositioned, complete_ms, sole_messages, sole_bytes;
};
#define VIEW_HOLDINGS_MAX 8u

struct view_shard {
    shard_id shard;
    char name[NAME_MAX_BYTES + 1], durability[16];
    int leader; /* place in nodes[]; -1 = unknown */
    uint64_t term, epoch;
    uint64_t writes_total, reads_total, write_p99_us; /* of the leader */
    uint64_t led_ms;                                  /* 0 = not known */
    unsigned preference_n;
    char preference[8][NAME_MAX_BYTES + 1];
    struct view_replica replicas[MEMBERS_MAX];
    unsigned replicas_n;
    unsigned voters, voters_up;
    struct view_holding sites[VIEW_HOLDINGS_MAX];
    unsigned sites_n;
    bool sites_known;
};

struct cluster_view {
    char cluster_name[NAME_MAX_BYTES + 1], node[NAME_MAX_BYTES + 1], text[256];
    struct uuid cluster;
    bool quorum;
    bool local_majority; /* no quorum was asked for, and the node hears a majority by itself */
    uint64_t quorum_ms, as_of_ms;
    struct view_node nodes[NODES_MAX];
    unsigned nodes_n;
    struct view_shard shards[SHARDS_MAX];
    unsigned shards_n;
    struct feed_view feeds[FEED_VIEWS_MAX];
    unsigned feeds_n;
    const Mq__StatusView
        *said; /* what it was read from: the verdict, and the explanation of a shard */
    Mq__AdminResult *result; /* owner of said; NULL = somebody else is */
};

/* MALFORMED when the view contradicts itself (more than the maxima). `v` is borrowed as long as out_view lives. The struct is large: allocate
 * it. */
enum status cluster_view_read(const Mq__StatusView *v, struct cluster_view *out_view);
/* Allocated by calloc; with what it was read from, if it owns that. NULL is fine. */
void cluster_view_free(struct cluster_view *v);
/* NULL when the node holds no copy. */
const struct view_replica *cluster_view_replica(const struct view_shard *s, unsigned node);

#endif
