/* What the feeds last said of themselves (mq.FeedStatus), in the memory of every node: the node a feed is connected to keeps its word
 * and passes it on to the others, and tells a node that comes back all it knows; so whichever node is asked, the newest word of each
 * feed is there, with its age, also after the feed or its site is gone.
 *
 * Bounds: FEEDS_MAX feeds (host, store) of FEED_STATUS_BYTES_MAX each; one more takes the place of the one that is silent longest, if
 * that is over FEED_SILENT_MS, else it is refused FULL. A feed that has said nothing for FEED_FORGET_MS is forgotten. */
#ifndef MQ_NODE_FEED_TABLE_H
#define MQ_NODE_FEED_TABLE_H

#include "base/identity.h"
#include "proto/api.pb-c.h"
#include "proto/frame.h"

struct node;
struct request;

#define FEEDS_MAX             128u
#define FEED_STATUS_BYTES_MAX (16u * 1024u)
#define FEED_STORE_BYTES_MAX  255u
#define FEED_TROUBLES_MAX     16u
#define FEED_SILENT_MS        15000u
#define FEED_FORGET_MS        (24ull * 3600 * 1000)

struct feed_word {
    Mq__FeedStatus *status; /* owned */
    char node[NAME_MAX_BYTES + 1];
    uint64_t certificate_expires_ms; /* Unix time, of its connection to that node; 0: not known */
    uint64_t heard_ms; /* by that node, on this one's monotonic clock; may lie before its start */
};

struct feed_table {
    struct feed_word words[FEEDS_MAX];
    uint32_t n;
};

/* Zeroed memory is an empty table. */
void feed_table_deinit(struct feed_table *t);
/* An encoded mq.FeedStatus that `node` heard age_ms ago, by a certificate that ends then (0: not known). OK: kept. MALFORMED or TOO_BIG: no such status. OLD: a newer one is known.
 * FULL, NO_MEMORY. */
enum status feed_table_put(struct feed_table *t, struct bytes status, const char *node,
                           uint64_t certificate_expires_ms, uint64_t age_ms, uint64_t now_ms);
void feed_table_forget(struct feed_table *t, uint64_t now_ms);

/* OP_FEED_STATUS of a client. */
void feed_status_receive(struct request *r);
/* FRAME_FEED of a peer. MALFORMED: close the connection. */
enum status feed_table_receive(struct node *n, struct bytes payload);
/* Tells a peer that has come up all that is known. */
void feed_table_greet(struct node *n, node_id peer);

#endif
