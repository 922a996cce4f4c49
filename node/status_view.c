/* The view of the whole cluster as this node can honestly give it: its own, and what every other
 * said within the last second. What is older is unknown, by name. quorum is true only after a
 * linearizable read of the directory during this very request; with `local` none is made, and local_majority says whether this node
 * hears a majority by itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/admin.h"
#include "node/node.h"
#include "node/observe.h"
#include "node/verdict.h"

#define QUORUM_MS_MAX 2000u

struct asked {
    uint64_t lag_limit_ms;
    bool explain, local;
};

struct status_task {
    struct request *request;
    struct asked asked;
    struct shard_read read;
    uint64_t asked_ms;
};

struct shard_row {
    Mq__ShardView view;
    Mq__ReplicaView replicas[MEMBERS_MAX];
    Mq__ReplicaView *pointers[MEMBERS_MAX];
    char etas[MEMBERS_MAX][32];
};

struct build {
    struct node *node;
    struct observation seen;
    struct verdict_view verdict;
    uint64_t lag_limit_ms;
    Mq__StatusView view;
    Mq__NodeView *own; /* unpacked, owned */
    Mq__NodeView nodes[NODES_MAX];
    Mq__NodeView *node_pointers[NODES_MAX];
    struct shard_row *shards;
    Mq__FeedView feeds[FEEDS_MAX];
    Mq__FeedView *feed_pointers[FEEDS_MAX];
    Mq__ShardView *shard_pointers[SHARDS_MAX];
    char text[300];
};

static char empty[] = "";

/* The last word of a node, NULL when unknown. */
static const Mq__NodeView *said_by(const struct build *b, node_id node, uint64_t *out_age_ms)
{
    if (node == b->node->self->node) {
        *out_age_ms = 0;
        return b->own;
    }
    return view_find(&b->node->views, node, out_age_ms);
}

static const Mq__ShardView *shard_of(const Mq__NodeView *v, uint32_t shard)
{
    for (size_t i = 0; v != NULL && i < v->n_shards; i++) {
        if (v->shards[i]->shard == shard) {
            return v->shards[i];
        }
    }
    return NULL;
}

static const Mq__ReplicaView *replica_of(const Mq__ShardView *s, uint32_t node)
{
    for (size_t i = 0; s != NULL && i < s->n_replicas; i++) {
        if (s->replicas[i]->node == node) {
            return s->replicas[i];
        }
    }
    return NULL;
}

static void add_node(struct build *b, const struct founding_node *f)
{
    uint64_t age;
    const Mq__NodeView *said = said_by(b, f->node, &age);
    struct link *link = links_find(&b->node->links, f->node);
    Mq__NodeView *v = &b->nodes[b->view.n_nodes];
    mq__node_view__init(v);
    if (said != NULL) {
        *v = *said;
        v->n_shards = 0; /* told by shard below */
        v->shards = NULL;
    }
    v->node = f->node;
    v->name = (char *)(uintptr_t)f->name;
    v->site = (char *)(uintptr_t)f->site;
    v->role = (char *)(uintptr_t)node_role_name(f->role);
    v->address = (char *)(uintptr_t)f->address;
    v->known = said != NULL;
    v->up = said != NULL && (link == NULL || link->up);
    v->age_ms = age;
    if (said == NULL) {
        v->state = link != NULL && link->text[0] != '\0' ? link->text : empty;
    }
    v->rtt_us = link != NULL ? link->rtt_us : 0;
    b->node_pointers[b->view.n_nodes++] = v;
}

/* Who says of itself that it leads, in the highest term; NULL = nobody who can be heard. */
static const Mq__ShardView *leader_view(const struct build *b, const Mq__FoundingShard *record,
                                        uint32_t *out_node, uint64_t *out_age_ms)
{
    const Mq__ShardView *best = NULL;
    for (size_t i = 0; i < record->n_members; i++) {
        uint64_t age;
        const Mq__ShardView *s =
            shard_of(said_by(b, record->members[i]->node, &age), record->shard);
        const Mq__ReplicaView *r = replica_of(s, record->members[i]->node);
        if (r != NULL && strcmp(r->role, "leader") == 0 && (best == NULL || s->term > best->term)) {
            best = s;
            *out_node = record->members[i]->node;
            *out_age_ms = age;
        }
    }
    return best;
}

static bool member_votes(const struct node *n, const Mq__FoundingMember *m)
{
    const struct founding_node *f = founding_find_node(&n->founding, m->node);
    return f != NULL && f->role != ROLE_STANDBY;
}

static void add_replica(const struct build *b, struct shard_row *row, const Mq__FoundingMember *m,
                        const Mq__ShardView *leader)
{
    uint64_t age;
    const Mq__ReplicaView *own =
        replica_of(shard_of(said_by(b, m->node, &age), row->view.shard), m->node);
    const Mq__ReplicaView *lag = replica_of(leader, m->node);
    Mq__ReplicaView *v = &row->replicas[row->view.n_replicas];
    mq__replica_view__init(v);
    v->role = empty;
    v->state = empty;
    if (own != NULL) {
        *v = *own;
    } else {
        static char unknown[] = "unknown";
        v->role = unknown;
    }
    v->node = m->node;
    v->replica = m->replica;
    v->known = own != NULL;
    v->age_ms = age;
    v->voter = member_votes(b->node, m); /* also where nobody speaks of it */
    v->lag_known = lag != NULL && lag->lag_known;
    if (v->lag_known) {
        v->voter = lag->voter;
        v->match_index = lag->match_index;
        v->lag_entries = lag->lag_entries;
        v->lag_bytes = lag->lag_bytes;
        v->lag_ms = lag->lag_ms;
        v->lag_slope_us = lag->lag_slope_us;
        v->lag_slope_known = lag->lag_slope_known;
        verdict_view_eta(v, b->lag_limit_ms, row->etas[row->view.n_replicas], sizeof(row->etas[0]));
    } else if (leader != NULL && strcmp(v->role, "leader") == 0) {
        v->lag_known = true;
    }
    row->pointers[row->view.n_replicas++] = v;
}

static void add_shard(struct build *b, const Mq__FoundingShard *record,
                      const struct observed_shard *seen)
{
    struct shard_row *row = &b->shards[b->view.n_shards];
    uint32_t node = 0;
    uint64_t age = UINT64_MAX;
    static char majority[] = "majority";
    const Mq__ShardView *leader = seen->leader_hearsay ? NULL : leader_view(b, record, &node, &age);
    mq__shard_view__init(&row->view);
    row->view.shard = record->shard;
    row->view.name = record->name;
    row->view.leader = seen->leader_hearsay ? b->seen.nodes[seen->leader].node : node;
    row->view.leader_hearsay = seen->leader_hearsay;
    row->view.leader_known = leader != NULL || seen->leader_hearsay;
    row->view.led_ms = seen->led_known ? seen->led_ms : 0;
    row->view.term = leader != NULL ? leader->term : seen->term;
    row->view.epoch = leader != NULL ? leader->epoch : record->epoch_number;
    if (leader != NULL) {
        row->view.writes_total = leader->writes_total;
        row->view.reads_total = leader->reads_total;
        row->view.write_p99_us = leader->write_p99_us;
    }
    row->view.n_preference = record->n_preference;
    row->view.preference = record->preference;
    row->view.durability = majority;
    row->view.age_ms = age;
    row->view.replicas = row->pointers;
    row->view.n_sites = leader != NULL ? leader->n_sites : 0;
    row->view.sites = leader != NULL ? leader->sites : NULL;
    row->view.sites_known = leader != NULL && leader->sites_known;
    for (size_t i = 0; i < record->n_members && i < MEMBERS_MAX; i++) {
        add_replica(b, row, record->members[i], leader);
    }
    b->shard_pointers[b->view.n_shards++] = &row->view;
}

static void add_feed(struct build *b, struct feed_word *w)
{
    Mq__FeedView *v = &b->feeds[b->view.n_feeds];
    mq__feed_view__init(v);
    v->status = w->status;
    v->node = w->node;
    v->age_ms = b->node->loop.now_ms - w->heard_ms;
    v->certificate_expires_ms = w->certificate_expires_ms;
    b->feed_pointers[b->view.n_feeds++] = v;
}

static void say_text(struct build *b, bool quorum, bool local)
{
    struct node *n = b->node;
    if (!n->data.founded) {
        snprintf(b->text, sizeof(b->text), "%s", n->founder.text);
    } else if (!quorum) {
        snprintf(b->text, sizeof(b->text), "seen by %s alone: the directory %s", n->config.name,
                 local ? "was not asked to confirm it" : "did not confirm it with a majority");
    }
}

/* By the rules: what is found, and why a shard is where it is. */
static void judge(struct build *b, const struct asked *asked, shard_id shard)
{
    Mq__StatusView *v = &b->view;
    verdict_view_fill(&b->verdict, &b->seen);
    v->verdict = &b->verdict.message;
    for (unsigned i = 0; asked->explain && i < b->seen.shards_n; i++) {
        if (b->seen.shards[i].shard == shard) {
            verdict_view_explain(&b->verdict, &b->seen, &b->seen.shards[i]);
            v->explanation = &b->verdict.explanation;
        }
    }
}

static void fill(struct build *b, uint64_t quorum_ms)
{
    struct node *n = b->node;
    Mq__StatusView *v = &b->view;
    const Mq__Founding *m = shards_founding(&n->shards);
    v->cluster_name = n->founding.cluster_name;
    v->cluster_id = (ProtobufCBinaryData){16, n->founding.cluster.bytes};
    v->node = n->config.name;
    v->quorum = b->seen.quorum;
    v->local_majority = b->seen.local && observation_majority_heard(&b->seen);
    v->quorum_ms = quorum_ms;
    v->as_of_ms = clock_wall_ms(&clock_system);
    v->nodes = b->node_pointers;
    v->shards = b->shard_pointers;
    for (uint32_t i = 0; i < n->founding.nodes_n; i++) {
        add_node(b, &n->founding.nodes[i]);
    }
    for (size_t i = 0; i < m->n_shards && i < SHARDS_MAX; i++) {
        add_shard(b, m->shards[i], &b->seen.shards[i]);
    }
    v->feeds = b->feed_pointers;
    feed_table_forget(&n->feeds, n->loop.now_ms);
    for (uint32_t i = 0; i < n->feeds.n; i++) {
        add_feed(b, &n->feeds.words[i]);
    }
    v->text = b->text;
}

static enum status look(struct build *b, bool quorum, bool local)
{
    struct block *own = view_pack_own(&b->node->views);
    b->shards = calloc(SHARDS_MAX, sizeof(*b->shards));
    b->own = own != NULL ? mq__node_view__unpack(NULL, own->size, own->data) : NULL;
    block_unref(own);
    say_text(b, quorum, local);
    return b->shards != NULL && b->own != NULL
               ? observe(b->node, b->own, quorum, local, b->text, &b->seen)
               : STATUS_NO_MEMORY;
}

static void answer(struct request *r, const struct asked *asked, bool quorum, uint64_t quorum_ms)
{
    struct build *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        request_refuse(r, STATUS_NO_MEMORY, NULL);
        return;
    }
    b->node = r->service->node;
    b->lag_limit_ms = asked->lag_limit_ms;
    if (look(b, quorum, asked->local) != OK) {
        request_refuse(r, STATUS_NO_MEMORY, NULL);
    } else {
        Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
        mq__status_view__init(&b->view);
        fill(b, quorum_ms);
        judge(b, asked, r->shard);
        result.status = &b->view;
        admin_finish(r, MQ__OUTCOME__OUTCOME_APPLIED, OK, "", &result);
    }
    observe_free(&b->seen);
    mq__node_view__free_unpacked(b->own, NULL);
    free(b->shards);
    free(b);
}

static void on_read(struct shard_read *q)
{
    struct status_task *t = container_of(q, struct status_task, read);
    struct request *r = t->request;
    uint64_t took = r->service->node->loop.now_ms - t->asked_ms;
    struct asked asked = t->asked;
    bool quorum = q->status == OK;
    free(t);
    answer(r, &asked, quorum, took);
}

void status_view_start(struct request *r, const Mq__AdminStatus *a)
{
    struct node *n = r->service->node;
    struct node_shard *directory = shards_find(&n->shards, SHARD_DIRECTORY);
    struct status_task *t = directory != NULL && !a->local ? calloc(1, sizeof(*t)) : NULL;
    struct asked asked = {a->lag_limit_ms, a->explain, a->local};
    if (t == NULL) {
        answer(r, &asked, false, 0);
        return;
    }
    uint64_t now = n->loop.now_ms;
    t->request = r;
    t->asked = asked;
    t->asked_ms = now;
    t->read.done = on_read;
    t->read.deadline_ms =
        now + QUORUM_MS_MAX < r->deadline_ms ? now + QUORUM_MS_MAX : (now + r->deadline_ms) / 2;
    shard_read(directory->shard, &t->read);
    loop_again(&n->loop);
}
