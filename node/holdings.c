/* One job at a time: the shards to ask go in, sums by site come out. */
#include "node/holdings.h"

#include <stdio.h>
#include <string.h>

#include "base/must.h"
#include "node/node.h"

void holdings_init(struct holdings *h, struct node *n)
{
    memset(h, 0, sizeof(*h));
    h->node = n;
}

static struct holding *site_of(struct shard_holdings *s, const char *site)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (strcmp(s->sites[i].site, site) == 0) {
            return &s->sites[i];
        }
    }
    if (s->n + 1 >= HOLDINGS_SITES_MAX && site[0] != '\0') {
        return site_of(s, ""); /* the last place is for all that is left */
    }
    must(s->n < HOLDINGS_SITES_MAX);
    struct holding *h = &s->sites[s->n++];
    snprintf(h->site, sizeof(h->site), "%s", site);
    return h;
}

void holdings_add(struct shard_holdings *s, const Mq__StoreSums *store)
{
    struct holding *h = site_of(s, store->site);
    h->stores++;
    if (store->complete_ms == 0) {
        h->unpositioned++;
    } else if (h->complete_ms == 0 || store->complete_ms < h->complete_ms) {
        h->complete_ms = store->complete_ms;
    }
    h->messages += store->messages;
    h->bytes += store->bytes;
    h->sole_messages += store->sole_messages;
    h->sole_bytes += store->sole_bytes;
    h->missing_messages += store->missing_messages;
    h->missing_bytes += store->missing_bytes;
}

/* ---- the job ---- */

static enum status ask(struct replica *r, uint32_t after, Mq__QueryResult **out_result)
{
    uint8_t packed[32];
    struct buffer out;
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryStores body = MQ__QUERY_STORES__INIT;
    body.after = after;
    q.body_case = MQ__QUERY__BODY_STORES;
    q.stores = &body;
    struct bytes query = {packed, mq__query__pack(&q, packed)};
    buffer_init(&out, FRAME_PAYLOAD_MAX);
    enum status s = replica_query(r, query, &out);
    *out_result = s == OK ? mq__query_result__unpack(NULL, out.size, out.data) : NULL;
    buffer_deinit(&out);
    return s == OK && *out_result == NULL ? STATUS_NO_MEMORY : s;
}

static void sum_up(struct holdings_ask *a)
{
    Mq__QueryResult *result;
    uint32_t after = 0;
    bool more = true;
    memset(&a->found, 0, sizeof(a->found));
    while (more && ask(a->replica, after, &result) == OK) {
        for (size_t i = 0; i < result->n_stores; i++) {
            holdings_add(&a->found, result->stores[i]);
            after = result->stores[i]->number;
        }
        more = result->more && result->n_stores > 0;
        a->found.known = !more;
        mq__query_result__free_unpacked(result, NULL);
    }
}

static void work(struct job *j)
{
    struct holdings *h = container_of(j, struct holdings, job);
    for (uint32_t i = 0; i < h->asked_n; i++) {
        sum_up(&h->asked[i]);
    }
}

static void done(struct job *j)
{
    struct holdings *h = container_of(j, struct holdings, job);
    h->running = false;
    for (uint32_t i = 0; i < h->asked_n; i++) {
        h->by_shard[h->asked[i].shard] = h->asked[i].found;
    }
}

void holdings_tick(struct holdings *h, uint64_t now_ms)
{
    struct shards *shards = &h->node->shards;
    if (h->running || h->node->stopping || now_ms - h->asked_ms < HOLDINGS_MS) {
        return;
    }
    h->asked_ms = now_ms;
    h->asked_n = 0;
    for (shard_id i = SHARD_DIRECTORY + 1; i < SHARDS_MAX; i++) {
        const struct node_shard *ns = &shards->by_id[i];
        h->by_shard[i].known = h->by_shard[i].known && ns->leads;
        if (ns->leads && ns->replica != NULL) {
            h->asked[h->asked_n].shard = i;
            h->asked[h->asked_n].replica = ns->replica;
            h->asked_n++;
        }
    }
    if (h->asked_n > 0) {
        h->running = true;
        h->job.work = work;
        h->job.done = done;
        executor_submit(executor_threads_executor(h->node->loop.threads), LANE_READ, &h->job);
    }
}

bool holdings_view(const struct holdings *h, shard_id shard, Mq__SiteHolding *out, size_t *out_n)
{
    const struct shard_holdings *s = shard < SHARDS_MAX ? &h->by_shard[shard] : NULL;
    for (uint32_t i = 0; s != NULL && s->known && i < s->n; i++) {
        const struct holding *from = &s->sites[i];
        Mq__SiteHolding *v = &out[i];
        mq__site_holding__init(v);
        v->site = (char *)(uintptr_t)from->site;
        v->stores = from->stores;
        v->unpositioned = from->unpositioned;
        v->complete_ms = from->complete_ms;
        v->messages = from->messages;
        v->bytes = from->bytes;
        v->sole_messages = from->sole_messages;
        v->sole_bytes = from->sole_bytes;
        v->missing_messages = from->missing_messages;
        v->missing_bytes = from->missing_bytes;
    }
    *out_n = s != NULL && s->known ? s->n : 0;
    return s != NULL && s->known;
}
