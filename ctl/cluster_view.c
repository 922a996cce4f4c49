/* Reading a status view; see the header. */
#include "ctl/cluster_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

static int place_of(const struct cluster_view *v, uint32_t node)
{
    for (unsigned i = 0; i < v->nodes_n; i++) {
        if (v->nodes[i].node == node) {
            return (int)i;
        }
    }
    return -1;
}

static void read_node(const Mq__NodeView *from, struct view_node *n)
{
    n->node = from->node;
    copy_text(n->name, sizeof(n->name), from->name);
    copy_text(n->site, sizeof(n->site), from->site);
    if (!node_role_parse(from->role, &n->role)) {
        n->role = ROLE_DATA;
    }
    copy_text(n->address, sizeof(n->address), from->address);
    n->up = from->known && from->up;
    n->heard_known = from->age_ms != UINT64_MAX;
    n->heard_ms = from->age_ms;
    if (n->up) { /* else they would be old values */
        copy_text(n->version, sizeof(n->version), from->version);
        copy_text(n->state, sizeof(n->state), from->state);
        n->disk_free_bytes = from->disk_free_bytes;
        n->disk_total_bytes = from->disk_total_bytes;
        n->certificate_expires_ms = from->certificate_expires_ms;
        n->rtt_us = from->rtt_us;
        n->fsync_us = from->fsync_us;
    }
}

static struct view_shard *shard_of(struct cluster_view *v, const Mq__ShardView *from)
{
    for (unsigned i = 0; i < v->shards_n; i++) {
        if (v->shards[i].shard == from->shard) {
            return &v->shards[i];
        }
    }
    if (v->shards_n == SHARDS_MAX) {
        return NULL;
    }
    struct view_shard *s = &v->shards[v->shards_n++];
    s->shard = from->shard;
    s->leader = -1;
    return s;
}

static struct view_replica *replica_of(struct view_shard *s, unsigned node)
{
    for (unsigned i = 0; i < s->replicas_n; i++) {
        if (s->replicas[i].node == node) {
            return &s->replicas[i];
        }
    }
    if (s->replicas_n == MEMBERS_MAX) {
        return NULL;
    }
    struct view_replica *r = &s->replicas[s->replicas_n++];
    r->node = node;
    return r;
}

static void read_holdings(const Mq__ShardView *from, struct view_shard *s)
{
    s->sites_known = from->sites_known;
    for (size_t i = 0; i < from->n_sites && s->sites_n < VIEW_HOLDINGS_MAX; i++) {
        struct view_holding *h = &s->sites[s->sites_n++];
        copy_text(h->site, sizeof(h->site), from->sites[i]->site);
        h->stores = from->sites[i]->stores;
        h->unpositioned = from->sites[i]->unpositioned;
        h->complete_ms = from->sites[i]->complete_ms;
        h->sole_messages = from->sites[i]->sole_messages;
        h->sole_bytes = from->sites[i]->sole_bytes;
    }
}

static void read_shard_head(struct cluster_view *v, const Mq__ShardView *from, struct view_shard *s)
{
    if (from->name[0] != '\0') {
        copy_text(s->name, sizeof(s->name), from->name);
    }
    if (from->durability[0] != '\0') {
        copy_text(s->durability, sizeof(s->durability), from->durability);
    }
    for (size_t i = 0; s->preference_n == 0 && i < from->n_preference && i < 8; i++) {
        copy_text(s->preference[i], sizeof(s->preference[i]), from->preference[i]);
    }
    if (s->preference_n == 0) {
        s->preference_n = from->n_preference < 8 ? (unsigned)from->n_preference : 8;
    }
    if (!s->sites_known) { /* only the leader knows */
        read_holdings(from, s);
    }
    /* The newest term knows best who leads. */
    if (from->term > s->term || (from->term == s->term && s->leader < 0)) {
        int leader = from->leader_known ? place_of(v, from->leader) : -1;
        bool current = leader >= 0 && (v->nodes[leader].up || from->leader_hearsay);
        s->leader = current ? leader : -1;
        s->led_ms = current ? from->led_ms : 0;
        s->term = from->term;
        s->epoch = from->epoch;
        s->writes_total = from->writes_total;
        s->reads_total = from->reads_total;
        s->write_p99_us = from->write_p99_us;
    }
}

/* The words of `speaker` (a place, -1: the view as a whole) about a copy. */
static void read_replica(struct cluster_view *v, struct view_shard *s, const Mq__ReplicaView *from,
                         int speaker)
{
    int place = place_of(v, from->node);
    struct view_replica *r = place >= 0 ? replica_of(s, (unsigned)place) : NULL;
    if (r == NULL) {
        return;
    }
    r->voter = r->voter || (from->voter && v->nodes[place].role != ROLE_STANDBY);
    if (!v->nodes[place].up) {
        return;
    }
    bool own = speaker == place || (speaker < 0 && from->state[0] != '\0');
    if (own && from->known) {
        r->own = true;
        r->known = true;
        r->ok = strcmp(from->state, "ok") == 0;
        copy_text(r->state, sizeof(r->state), from->state);
        r->term = from->term;
        r->commit_index = from->commit_index;
        r->applied_index = from->applied_index;
        r->first_index = from->first_index;
        r->checkpoint_index = from->checkpoint_index;
    } else if (from->known && !r->own) {
        r->known = true;
        r->ok = true;
    }
    if (from->lag_known && (speaker < 0 || speaker == s->leader)) {
        r->lag_known = true;
        r->lag_ms = from->lag_ms;
        r->lag_entries = from->lag_entries;
        r->lag_bytes = from->lag_bytes;
        r->slope_known = from->lag_slope_known;
        r->slope_us = from->lag_slope_us;
        r->eta_ms = from->eta_ms;
        copy_text(r->course, sizeof(r->course), from->lag_course);
        copy_text(r->eta, sizeof(r->eta), from->eta);
    }
}

static void read_shards(struct cluster_view *v, Mq__ShardView **shards, size_t n, int speaker,
                        bool heads)
{
    for (size_t i = 0; i < n; i++) {
        struct view_shard *s = shard_of(v, shards[i]);
        if (s != NULL && heads) {
            read_shard_head(v, shards[i], s);
        }
        for (size_t j = 0; s != NULL && !heads && j < shards[i]->n_replicas; j++) {
            read_replica(v, s, shards[i]->replicas[j], speaker);
        }
    }
}

static void count_voters(struct cluster_view *v)
{
    for (unsigned i = 0; i < v->shards_n; i++) {
        struct view_shard *s = &v->shards[i];
        for (unsigned j = 0; j < s->replicas_n; j++) {
            s->voters += s->replicas[j].voter;
            s->voters_up += s->replicas[j].voter && s->replicas[j].known && s->replicas[j].ok;
        }
    }
}

enum status cluster_view_read(const Mq__StatusView *from, struct cluster_view *v)
{
    if (from->n_nodes > NODES_MAX || from->n_shards > SHARDS_MAX ||
        from->cluster_id.len != sizeof(v->cluster.bytes)) {
        return STATUS_MALFORMED;
    }
    memset(v, 0, sizeof(*v));
    copy_text(v->cluster_name, sizeof(v->cluster_name), from->cluster_name);
    copy_text(v->node, sizeof(v->node), from->node);
    copy_text(v->text, sizeof(v->text), from->text);
    memcpy(v->cluster.bytes, from->cluster_id.data, sizeof(v->cluster.bytes));
    v->said = from;
    v->quorum = from->quorum;
    v->local_majority = from->local_majority;
    v->quorum_ms = from->quorum_ms;
    v->as_of_ms = from->as_of_ms;
    for (size_t i = 0; i < from->n_nodes; i++) {
        read_node(from->nodes[i], &v->nodes[v->nodes_n++]);
    }
    /* Who leads first, then the copies: only the leader's word counts for how far the others are. */
    for (int heads = 1; heads >= 0; heads--) {
        read_shards(v, from->shards, from->n_shards, -1, heads != 0);
        for (unsigned i = 0; i < v->nodes_n; i++) {
            if (v->nodes[i].up) {
                read_shards(v, from->nodes[i]->shards, from->nodes[i]->n_shards, (int)i,
                            heads != 0);
            }
        }
    }
    for (size_t i = 0; i < from->n_feeds && v->feeds_n < FEED_VIEWS_MAX; i++) {
        v->feeds_n += feed_view_read(from->feeds[i], &v->feeds[v->feeds_n]);
    }
    if (!v->quorum) { /* a leader cut off from the others thinks it still leads */
        for (unsigned i = 0; i < v->shards_n; i++) {
            v->shards[i].leader = -1;
        }
    }
    count_voters(v);
    return OK;
}

void cluster_view_free(struct cluster_view *v)
{
    if (v != NULL) {
        mq__admin_result__free_unpacked(v->result, NULL);
        free(v);
    }
}

const struct view_replica *cluster_view_replica(const struct view_shard *s, unsigned node)
{
    for (unsigned i = 0; i < s->replicas_n; i++) {
        if (s->replicas[i].node == node) {
            return &s->replicas[i];
        }
    }
    return NULL;
}
