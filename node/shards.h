/* The shards of this node: which run here, with which replica, and who leads them. The directory
 * always; the others when the directory's applied founding record names this node as a member. */
#ifndef MQ_NODE_SHARDS_H
#define MQ_NODE_SHARDS_H

#include "node/founding.h"
#include "node/latency.h"
#include "node/replica.h"
#include "raft/host.h"

struct node;

struct node_shard {
    struct shard *shard;
    struct replica *replica; /* NULL: witness of a mail shard */
    node_id leader;          /* 0 = not known */
    bool leads;
    enum shard_state state;
    uint64_t term;
    struct latency writes; /* from being submitted here to being answered */
};

struct shards {
    struct node *node;
    struct node_shard by_id[SHARDS_MAX]; /* shard NULL: not here */
    Mq__Founding *record;                /* as the directory has it; NULL = not applied yet */
    bool started, querying, query_again, founding_submitted;
    struct job job;
    struct buffer result;
    enum status query_status;
    struct shard_submit submit;
    uint64_t retry_ms;
    struct block *tick;
};

void shards_init(struct shards *s, struct node *n);
void shards_deinit(struct shards *s); /* after host_close */
/* Founded: the directory starts. */
void shards_start(struct shards *s);
/* host_options.shard_changed and .applied */
void shards_changed(struct shards *s, struct shard *shard);
void shards_applied(struct shards *s, struct shard *shard, uint64_t index);
void shards_tick(struct shards *s, uint64_t now_ms);
/* NULL when it does not run here. */
struct node_shard *shards_find(struct shards *s, shard_id id);
/* The creation entry of the directory, or the founding file's while the directory is empty; NULL =
 * unknown. */
const Mq__FoundingShard *shards_record(const struct shards *s, shard_id id);
const Mq__Founding *shards_founding(const struct shards *s);
/* 0 = not known. */
node_id shards_leader(const struct shards *s, shard_id id);

#endif
