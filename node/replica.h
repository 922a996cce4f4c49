/* One data replica: fills raft/'s table (raft/state_machine.h) from storage/. Environments live in
 * <data>/shards/<shard>/<environment id>/; which one counts is the log's business, so open() is told.
 *
 * replica_query() may run on any thread at any time, while an install switches the environment too: it takes a reference to the
 * store that is open and finishes on it. The table's functions run on the lanes that state_machine.h names. */
#ifndef MQ_NODE_REPLICA_H
#define MQ_NODE_REPLICA_H

#include "base/disk.h"
#include "base/random.h"
#include "raft/state_machine.h"

struct replica_options {
    const char *data; /* the node's data directory, absolute; copied */
    shard_id shard;
    struct disk *disk;
    struct random *
        random; /* draws environment ids; used on the apply and copy lanes, under a lock of the replica */
    uint64_t map_bytes;        /* 0 = 256 GiB */
    uint64_t reserve_bytes;    /* 0 = 64 MiB */
    uint64_t pin_growth_bytes; /* 0 = 1 GiB */
};

struct replica;
enum status replica_new(const struct replica_options *o, struct replica **out_r);
/* NULL is ok. After ops->close(), and when no query or copy runs any more. */
void replica_free(struct replica *r);
/* The filled table; valid while the replica lives. */
struct state_machine *replica_machine(struct replica *r);

/* READ lane (any thread). An encoded mq.Query -> an encoded mq.QueryResult appended to out; refusals as in storage/query.h.
 * CLOSED while nothing is open. */
enum status replica_query(struct replica *r, struct bytes query, struct buffer *out);
/* Last index whose effects a query sees; any thread. */
uint64_t replica_committed_index(struct replica *r);

#endif
