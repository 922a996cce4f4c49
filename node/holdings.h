/* What each site holds of the shards this node leads, for the view: sums of the counters in their states (QueryStores), read each
 * HOLDINGS_MS by one job on a read thread, never by a scan. */
#ifndef MQ_NODE_HOLDINGS_H
#define MQ_NODE_HOLDINGS_H

#include "base/executor.h"
#include "base/identity.h"
#include "proto/api.pb-c.h"

struct node;
struct replica;

#define HOLDINGS_MS        1000u
#define HOLDINGS_SITES_MAX 8u /* of a shard; stores of more sites are summed under "" */

struct holding {                   /* of the stores of one site in one shard */
    char site[NAME_MAX_BYTES + 1]; /* empty: stores that do not tell it */
    uint32_t stores, unpositioned; /* unpositioned: never said that all is reported */
    uint64_t complete_ms; /* Unix time: the earliest position of the others; 0: none has one */
    uint64_t messages, bytes, sole_messages, sole_bytes, missing_messages, missing_bytes;
};

struct shard_holdings {
    bool known;
    uint32_t n;
    struct holding sites[HOLDINGS_SITES_MAX];
};

struct holdings {
    struct node *node;
    struct job job;
    bool running;
    uint64_t asked_ms;
    uint32_t asked_n;
    struct holdings_ask {
        shard_id shard;
        struct replica *replica;
        struct shard_holdings found;
    } asked[SHARDS_MAX]; /* the job's while it runs */
    struct shard_holdings by_shard[SHARDS_MAX];
};

void holdings_init(struct holdings *h, struct node *n);
void holdings_tick(struct holdings *h, uint64_t now_ms);
/* Pure: adds the stores of an answer. */
void holdings_add(struct shard_holdings *s, const Mq__StoreSums *store);
/* Fills out (HOLDINGS_SITES_MAX of them); strings borrowed. false: not known, we do not lead it or have not asked yet. */
bool holdings_view(const struct holdings *h, shard_id shard, Mq__SiteHolding *out, size_t *out_n);

#endif
