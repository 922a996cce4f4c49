/* What must always hold, whatever goes wrong.
 *
 *   one leader a term (of a shard and epoch)             an entry at an index is the same wherever it is applied
 *   state digests at an index are equal                  commit and applied never fall in a life of the engine
 *   a new leader has every entry that was acknowledged   no replica declares itself lost for good
 *   after healing: everything applied everywhere, recomputed digests equal */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "proto/api.pb-c.h"
#include "tests/sim/world.h"

void check_init(struct world *w)
{
    memset(w->checks, 0, sizeof(w->checks));
}

void check_deinit(struct world *w)
{
    for (uint32_t i = 0; i < SIM_SHARDS_MAX; i++) {
        free(w->checks[i].truth);
        free(w->checks[i].leaders);
    }
}

uint32_t check_shard_index(const struct world *w, shard_id id)
{
    must(id < w->shards_n);
    return id;
}

static struct sim_truth *truth_at(struct sim_shard_check *c, uint64_t index)
{
    if (index >= c->truth_n) {
        uint64_t n = c->truth_n == 0 ? 1024 : c->truth_n;
        while (n <= index) {
            n *= 2;
        }
        c->truth = realloc(c->truth, n * sizeof(*c->truth));
        must(c->truth != NULL);
        memset(c->truth + c->truth_n, 0, (n - c->truth_n) * sizeof(*c->truth));
        c->truth_n = n;
    }
    return &c->truth[index];
}

static void check_entry(struct sim_machine *m, const struct sm_entry *e)
{
    struct world *w = m->node->world;
    struct sim_truth *t = truth_at(&w->checks[m->info->id], e->index);
    uint64_t hash = e->payload == NULL ? 1 : XXH3_64bits(e->payload->data, e->payload->size);
    if (!t->applied) {
        *t = (struct sim_truth){.term = e->term, .hash = hash, .applied = true};
    } else if (t->term != e->term || t->hash != hash) {
        world_violation(
            w, "log matching: shard %u index %llu was term %llu, is term %llu on node %u%s",
            m->info->id, (unsigned long long)e->index, (unsigned long long)t->term,
            (unsigned long long)e->term, m->node->id,
            t->term == e->term ? ", with other contents" : "");
    }
}

void check_applied(struct sim_machine *m, const struct sm_entry *entries, uint32_t n,
                   const struct sm_position *position)
{
    struct world *w = m->node->world;
    for (uint32_t i = 0; i < n; i++) {
        check_entry(m, &entries[i]);
    }
    must(n == 0 || position->index == entries[n - 1].index);
    struct sim_truth *t = truth_at(&w->checks[m->info->id], position->index);
    if (!t->digested) {
        t->digested = true;
        memcpy(t->digest, position->digest, sizeof(t->digest));
    } else if (memcmp(t->digest, position->digest, sizeof(t->digest)) != 0) {
        world_violation(w, "digests differ: shard %u index %llu on node %u", m->info->id,
                        (unsigned long long)position->index, m->node->id);
    }
}

void check_acked(struct world *w, uint32_t shard, uint64_t index, uint64_t term)
{
    struct sim_shard_check *c = &w->checks[shard];
    struct sim_truth *t = truth_at(c, index);
    if (!t->applied || t->term != term) {
        world_violation(w, "shard %u index %llu term %llu was answered and is not what was applied",
                        shard, (unsigned long long)index, (unsigned long long)term);
    }
    c->acked_index = index > c->acked_index ? index : c->acked_index;
}

/* ---- leaders ------------------------------------------------------------------------------------------ */

static void check_leader(struct sim_node *n, const struct shard_view *v)
{
    struct world *w = n->world;
    struct sim_shard_check *c = &w->checks[v->shard];
    for (uint32_t i = 0; i < c->leaders_n; i++) {
        if (c->leaders[i].term == v->term) {
            if (c->leaders[i].replica != v->replica) {
                world_violation(w, "election safety: shard %u term %llu has two leaders", v->shard,
                                (unsigned long long)v->term);
            }
            return;
        }
    }
    if (c->leaders_n == c->leaders_capacity) {
        c->leaders_capacity = c->leaders_capacity == 0 ? 64 : c->leaders_capacity * 2;
        c->leaders = realloc(c->leaders, c->leaders_capacity * sizeof(*c->leaders));
        must(c->leaders != NULL);
    }
    c->leaders[c->leaders_n].term = v->term;
    c->leaders[c->leaders_n++].replica = v->replica;
    w->stats.elections++;
    world_note(w, "sim: node %u leads shard %u in term %llu, last %llu", n->id, v->shard,
               (unsigned long long)v->term, (unsigned long long)v->last_index);
    /* A newer leader may have had more acknowledged by now: then this one is only late to notice. */
    bool newest = true;
    for (uint32_t i = 0; i < c->leaders_n; i++) {
        newest = newest && c->leaders[i].term <= v->term;
    }
    if (newest && v->last_index < c->acked_index) {
        world_violation(
            w,
            "leader completeness: shard %u leader of term %llu ends at %llu, acknowledged is %llu",
            v->shard, (unsigned long long)v->term, (unsigned long long)v->last_index,
            (unsigned long long)c->acked_index);
    }
}

static void check_view(struct sim_node *n, struct shard *s, const struct shard_view *v)
{
    struct sim_machine *m = &n->machines[v->shard];
    struct world *w = n->world;
    (void)s;
    w->stats.installs += v->installs_total - m->installs_seen;
    m->installs_seen = v->installs_total;
    if (v->state == SHARD_AMNESIA || v->state == SHARD_REFUSED) {
        world_violation(w, "shard %u on node %u: %s", v->shard, n->id, v->text);
    }
    if (v->state == SHARD_LOST && !n->injected && !crash_fs_is_cut(n->fs)) {
        world_violation(w, "shard %u on node %u: %s", v->shard, n->id, v->text);
    }
    if (v->state != SHARD_RUNNING && v->state != SHARD_INSTALLING) {
        m->watched = false;
        return;
    }
    if (m->watched && (v->commit_index < m->commit_seen || v->applied_index < m->applied_seen)) {
        world_violation(
            w, "shard %u on node %u: commit fell from %llu to %llu or applied from %llu to %llu",
            v->shard, n->id, (unsigned long long)m->commit_seen,
            (unsigned long long)v->commit_index, (unsigned long long)m->applied_seen,
            (unsigned long long)v->applied_index);
    }
    m->watched = true;
    m->commit_seen = v->commit_index;
    m->applied_seen = v->applied_index;
    if (v->role == ENGINE_LEADER) {
        check_leader(n, v);
    }
}

void check_shard(struct sim_node *n, struct shard *s)
{
    struct shard_view v;
    shard_get_view(s, clock_monotonic_ms(&n->clock), &v);
    check_view(n, s, &v);
}

static void check_each(void *arg, struct shard *s)
{
    check_shard(arg, s);
}

void check_node(struct sim_node *n)
{
    host_each_shard(n->host, check_each, n);
}

/* ---- the end ------------------------------------------------------------------------------------------ */

bool check_converged(struct world *w, char *why, size_t size)
{
    for (uint32_t i = 0; i < w->shards_n; i++) {
        uint64_t last = 0;
        uint32_t leaders = 0;
        struct shard_view views[SIM_NODES_MAX];
        for (uint32_t k = 0; k < w->nodes_n; k++) {
            struct sim_node *n = &w->nodes[k];
            struct shard *s = n->up ? host_find_shard(n->host, i) : NULL;
            if (s == NULL) {
                snprintf(why, size, "shard %u: node %u is not up", i, n->id);
                return false;
            }
            shard_get_view(s, clock_monotonic_ms(&n->clock), &views[k]);
            leaders += views[k].role == ENGINE_LEADER;
            last = views[k].last_index > last ? views[k].last_index : last;
        }
        for (uint32_t k = 0; k < w->nodes_n; k++) {
            const struct shard_view *v = &views[k];
            if (v->state != SHARD_RUNNING || v->applied_index != last ||
                v->committed_index != last || leaders != 1) {
                snprintf(why, size,
                         "shard %u: node %u state %d (%s) role %d applied %llu visible %llu commit "
                         "%llu last %llu of %llu, %u leaders",
                         i, k + 1, (int)v->state, v->text, (int)v->role,
                         (unsigned long long)v->applied_index,
                         (unsigned long long)v->committed_index,
                         (unsigned long long)v->commit_index, (unsigned long long)v->last_index,
                         (unsigned long long)last, leaders);
                return false;
            }
        }
    }
    return true;
}

static bool digest_of(struct sim_machine *m, Mq__QueryResult **out_result)
{
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryDigest digest = MQ__QUERY_DIGEST__INIT;
    uint8_t query[64];
    struct buffer out;
    buffer_init(&out, 0);
    digest.recompute = 1;
    q.body_case = MQ__QUERY__BODY_DIGEST;
    q.digest = &digest;
    size_t size = mq__query__pack(&q, query);
    enum status s = replica_query(m->replica, (struct bytes){query, size}, &out);
    *out_result = s == OK ? mq__query_result__unpack(NULL, out.size, out.data) : NULL;
    buffer_deinit(&out);
    return *out_result != NULL;
}

static void check_final_digest(struct world *w, uint32_t shard)
{
    Mq__QueryResult *first = NULL;
    for (uint32_t k = 0; k < w->nodes_n; k++) {
        struct sim_machine *m = &w->nodes[k].machines[shard];
        Mq__QueryResult *r = NULL;
        if (m->replica == NULL) {
            continue;
        }
        if (!digest_of(m, &r)) {
            world_violation(w, "shard %u node %u: no digest", shard, k + 1);
            break;
        }
        if (r->digest.len != 16 || r->digest2.len != 16 ||
            memcmp(r->digest.data, r->digest2.data, 16) != 0) {
            world_violation(w, "shard %u node %u: the digest is not the one recomputed", shard,
                            k + 1);
        }
        if (first != NULL &&
            (first->index != r->index || memcmp(first->digest2.data, r->digest2.data, 16) != 0)) {
            world_violation(w, "shard %u: recomputed digests differ at the end, node %u", shard,
                            k + 1);
        }
        if (first == NULL) {
            first = r;
        } else {
            mq__query_result__free_unpacked(r, NULL);
        }
    }
    if (first != NULL) {
        mq__query_result__free_unpacked(first, NULL);
    }
}

void check_final_digests(struct world *w)
{
    for (uint32_t i = 0; i < w->shards_n && !w->stop; i++) {
        check_final_digest(w, i);
    }
}

/* Where everything stands, for a run that does not converge. */
void check_describe(struct world *w)
{
    for (uint32_t k = 0; k < w->nodes_n; k++) {
        struct sim_node *n = &w->nodes[k];
        for (uint32_t i = 0; n->up && i < w->shards_n; i++) {
            struct shard_view v;
            shard_get_view(host_find_shard(n->host, i), clock_monotonic_ms(&n->clock), &v);
            world_note(w,
                       "sim: node %u shard %u state %d role %d term %llu first %llu last %llu "
                       "commit %llu applied %llu "
                       "checkpoint %llu, log %llu bytes retained",
                       n->id, i, (int)v.state, (int)v.role, (unsigned long long)v.term,
                       (unsigned long long)v.first_index, (unsigned long long)v.last_index,
                       (unsigned long long)v.commit_index, (unsigned long long)v.applied_index,
                       (unsigned long long)v.checkpoint_index,
                       (unsigned long long)log_retained_bytes(host_log(n->host)));
        }
    }
}
