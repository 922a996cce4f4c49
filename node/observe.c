#include "node/observe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node/node.h"

struct build {
    struct node *n;
    struct observation *o;
    const Mq__NodeView *words[NODES_MAX]; /* of now; NULL: it does not speak */
};

static int place_of(const struct build *b, node_id node)
{
    for (unsigned i = 0; node != 0 && i < b->o->nodes_n; i++) {
        if (b->o->nodes[i].node == node) {
            return (int)i;
        }
    }
    return -1;
}

static uint64_t older(uint64_t age_ms, uint64_t by_ms)
{
    return age_ms > UINT64_MAX - by_ms ? AGE_UNKNOWN : age_ms + by_ms;
}

/* ---- nodes ---- */

static void see_links(const struct build *b, const Mq__NodeView *v, struct observed_node *n)
{
    for (unsigned i = 0; i < b->o->nodes_n; i++) {
        n->links[i].heard_age_ms = AGE_UNKNOWN;
    }
    for (size_t i = 0; v != NULL && i < v->n_hears; i++) {
        const Mq__Hearing *h = v->hears[i];
        int place = place_of(b, h->node);
        if (place >= 0) {
            n->links[place] = (struct observed_link){
                .heard_age_ms = older(h->age_ms, n->said_age_ms),
                .heard_for_ms = h->for_ms,
                .answer =
                    h->answer <= ANSWER_TIMEOUT ? (enum link_answer)h->answer : ANSWER_UNKNOWN,
                .clock_offset_us = h->clock_offset_us,
                .clock_error_us = h->clock_error_us,
                .breaks = h->breaks,
            };
        }
    }
}

/* Of a certificate; 0: when it ends is not known. */
static uint64_t left_ms(uint64_t expires_ms, uint64_t wall_ms)
{
    return expires_ms == 0 ? AGE_UNKNOWN : expires_ms > wall_ms ? expires_ms - wall_ms : 0;
}

static void see_node(struct build *b, unsigned place, const Mq__NodeView *own)
{
    struct observed_node *n = &b->o->nodes[place];
    bool self = place == b->o->self;
    uint64_t age = 0;
    const Mq__NodeView *now = self ? own : view_find(&b->n->views, n->node, &age);
    const Mq__NodeView *last = self ? own : view_last(&b->n->views, n->node);
    const struct link *link = links_find(&b->n->links, n->node);
    n->speaks = now != NULL && (self || link == NULL || link->up);
    n->said_age_ms = age;
    n->stall_age_ms = n->certificate_left_ms = AGE_UNKNOWN;
    b->words[place] = n->speaks ? now : NULL;
    see_links(b, last, n);
    if (last == NULL) {
        return;
    }
    n->up_ms = last->up_ms;
    n->stall_ms = last->stall_ms;
    n->stall_age_ms = last->stalled ? older(last->stall_age_ms, age) : AGE_UNKNOWN;
    snprintf(n->state, sizeof(n->state), "%s", last->state);
    n->disk_free_bytes = last->disk_free_bytes;
    n->disk_total_bytes = last->disk_total_bytes;
    n->sync_us = last->fsync_us;
    n->certificate_left_ms = left_ms(last->certificate_expires_ms, b->o->wall_ms);
}

static void see_nodes(struct build *b, const Mq__NodeView *own)
{
    const struct founding *f = &b->n->founding;
    for (unsigned i = 0; i < b->o->nodes_n; i++) {
        struct observed_node *n = &b->o->nodes[i];
        n->node = f->nodes[i].node;
        n->role = f->nodes[i].role;
        snprintf(n->name, sizeof(n->name), "%s", f->nodes[i].name);
        snprintf(n->site, sizeof(n->site), "%s", f->nodes[i].site);
        b->o->self = n->node == b->n->self->node ? i : b->o->self;
    }
    for (unsigned i = 0; i < b->o->nodes_n; i++) {
        see_node(b, i, own);
    }
}

/* ---- shards ---- */

static const Mq__ShardView *shard_of(const Mq__NodeView *v, shard_id shard)
{
    for (size_t i = 0; v != NULL && i < v->n_shards; i++) {
        if (v->shards[i]->shard == shard) {
            return v->shards[i];
        }
    }
    return NULL;
}

static const Mq__ReplicaView *replica_of(const Mq__ShardView *s, node_id node)
{
    for (size_t i = 0; s != NULL && i < s->n_replicas; i++) {
        if (s->replicas[i]->node == node) {
            return s->replicas[i];
        }
    }
    return NULL;
}

/* What it says of its own copy, and of the leader it follows. */
static void see_replica(const struct build *b, shard_id shard, struct observed_replica *r)
{
    const Mq__ShardView *said = shard_of(b->words[r->place], shard);
    const Mq__ReplicaView *own = replica_of(said, b->o->nodes[r->place].node);
    r->follows = -1;
    r->leader_age_ms = r->contact_age_ms = AGE_UNKNOWN;
    if (own == NULL) {
        return;
    }
    r->known = true;
    r->ok = strcmp(own->state, "ok") == 0;
    r->leads = strcmp(own->role, "leader") == 0;
    snprintf(r->state, sizeof(r->state), "%s", own->state);
    r->term = said->term;
    r->last_index = own->last_index;
    r->first_index = own->first_index;
    r->commit_index = own->commit_index;
    r->applied_index = own->applied_index;
    r->digest_index = own->digest_index;
    if (own->digest.len == sizeof(r->digest)) {
        memcpy(r->digest, own->digest.data, sizeof(r->digest));
    }
    const Mq__ReplicaView *leader = said->leader_known ? replica_of(said, said->leader) : NULL;
    if (!r->leads && leader != NULL && leader->known) {
        r->follows = place_of(b, said->leader);
        r->leader_age_ms = older(leader->age_ms, b->o->nodes[r->place].said_age_ms);
    }
}

/* What the one before says of its handing over. */
static void see_why(const struct build *b, struct observed_shard *s)
{
    const Mq__NodeView *v = s->before == (int)b->o->self
                                ? b->words[s->before]
                                : view_last(&b->n->views, b->o->nodes[s->before].node);
    const Mq__ShardView *said = shard_of(v, s->shard);
    if (said != NULL && said->handed_to == b->o->nodes[s->leader].node) {
        snprintf(s->why, sizeof(s->why), "%s", said->handed_why);
    }
}

/* What the leader says of the copies, and of itself. */
static void see_leader(const struct build *b, struct observed_shard *s)
{
    const Mq__ShardView *said = s->leader >= 0 ? shard_of(b->words[s->leader], s->shard) : NULL;
    s->before = s->lost = -1;
    if (said == NULL || s->leader_hearsay) {
        return;
    }
    uint64_t age = b->o->nodes[s->leader].said_age_ms;
    s->led_known = true;
    s->led_ms = older(said->led_ms, age);
    s->quiet_ms = said->quiet_ms;
    s->cause = said->cause <= MOVE_HANDOVER ? (enum move_cause)said->cause : MOVE_UNKNOWN;
    s->before = place_of(b, said->before);
    s->lost = place_of(b, said->lost);
    s->silent_ms = said->silent_ms;
    s->moves = said->moves;
    if (s->before >= 0) {
        see_why(b, s);
    }
    for (unsigned i = 0; i < s->replicas_n; i++) {
        struct observed_replica *r = &s->replicas[i];
        const Mq__ReplicaView *v = replica_of(said, b->o->nodes[r->place].node);
        if (v == NULL || (int)r->place == s->leader) {
            continue;
        }
        r->contact_age_ms = v->known ? older(v->age_ms, age) : AGE_UNKNOWN;
        r->lag_known = v->lag_known;
        r->match_index = v->match_index;
        r->lag_ms = v->lag_ms;
        r->lag_entries = v->lag_entries;
        r->lag_bytes = v->lag_bytes;
        r->lag_slope_known = v->lag_slope_known;
        r->lag_slope_us = v->lag_slope_us;
    }
}

static void see_shard(const struct build *b, const Mq__FoundingShard *record,
                      struct observed_shard *s)
{
    s->shard = record->shard;
    snprintf(s->name, sizeof(s->name), "%s", record->name);
    for (size_t i = 0; i < record->n_preference && s->preference_n < 8; i++) {
        snprintf(s->preference[s->preference_n++], sizeof(s->preference[0]), "%s",
                 record->preference[i]);
    }
    for (size_t i = 0; i < record->n_members && s->replicas_n < MEMBERS_MAX; i++) {
        int place = place_of(b, record->members[i]->node);
        if (place >= 0) {
            struct observed_replica *r = &s->replicas[s->replicas_n++];
            r->place = (unsigned)place;
            r->voter = b->o->nodes[place].role != ROLE_STANDBY;
            see_replica(b, s->shard, r);
        }
    }
    observation_leader(b->o, s);
    see_leader(b, s);
}

/* ---- feeds ---- */

static void see_feeds(struct build *b)
{
    for (uint32_t i = 0; i < b->o->feeds_n; i++) {
        const struct feed_word *w = &b->n->feeds.words[i];
        struct observed_feed *f = &b->o->feeds[i];
        (void)snprintf(f->host, sizeof(f->host), "%s", w->status->host);
        f->certificate_left_ms = left_ms(w->certificate_expires_ms, b->o->wall_ms);
    }
}

enum status observe(struct node *n, const Mq__NodeView *own, bool quorum, bool local,
                    const char *note, struct observation *out_o)
{
    const Mq__Founding *m = shards_founding(&n->shards);
    struct build b = {.n = n, .o = out_o};
    size_t shards = m->n_shards < SHARDS_MAX ? m->n_shards : SHARDS_MAX;
    *out_o = (struct observation){
        .founded = n->data.founded,
        .quorum = quorum,
        .local = local,
        .wall_ms = clock_wall_ms(&clock_system),
        .note = note,
        .nodes = calloc(n->founding.nodes_n, sizeof(*out_o->nodes)),
        .nodes_n = n->founding.nodes_n,
        .shards = calloc(shards > 0 ? shards : 1, sizeof(*out_o->shards)),
        .shards_n = (unsigned)shards,
        .feeds = calloc(n->feeds.n > 0 ? n->feeds.n : 1, sizeof(*out_o->feeds)),
        .feeds_n = n->feeds.n,
    };
    if (out_o->nodes == NULL || out_o->shards == NULL || out_o->feeds == NULL) {
        observe_free(out_o);
        return STATUS_NO_MEMORY;
    }
    see_nodes(&b, own);
    see_feeds(&b);
    for (size_t i = 0; i < shards; i++) {
        see_shard(&b, m->shards[i], &out_o->shards[i]);
    }
    return OK;
}

void observe_free(struct observation *o)
{
    free(o->nodes);
    free(o->shards);
    free(o->feeds);
    o->nodes = NULL;
    o->shards = NULL;
    o->feeds = NULL;
}
