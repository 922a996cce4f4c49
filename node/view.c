/* Building our own view from the shards, sending it, keeping the others'. The disk is asked by a
 * job. */
#include "node/view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/log_line.h"
#include "node/node.h"
#include "proto/unknown.h"

#define DISK_MS 2000u

void views_init(struct views *v, struct node *n)
{
    memset(v, 0, sizeof(*v));
    v->node = n;
}

void views_deinit(struct views *v)
{
    for (uint32_t i = 0; i <= NODES_MAX; i++) {
        mq__node_view__free_unpacked(v->peers[i].view, NULL);
        v->peers[i].view = NULL;
    }
}

/* ---- ours ---- */

struct shard_item {
    Mq__ShardView view;
    Mq__ReplicaView replicas[MEMBERS_MAX];
    Mq__ReplicaView *pointers[MEMBERS_MAX];
    Mq__SiteHolding sites[HOLDINGS_SITES_MAX];
    Mq__SiteHolding *site_pointers[HOLDINGS_SITES_MAX];
    struct shard_view v;
    char state[200];
};

struct own {
    struct node *node;
    Mq__NodeView view;
    Mq__Hearing hears[NODES_MAX];
    Mq__Hearing *hears_pointers[NODES_MAX];
    Mq__ShardView *pointers[SHARDS_MAX];
    struct shard_item *items;
    size_t n, capacity;
    uint64_t now_ms;
    char text[300];
};

static const char *role_text(const struct shard_view *v)
{
    switch (v->role) {
        case ENGINE_LEADER:
            return "leader";
        case ENGINE_FOLLOWER:
            return "follower";
        case ENGINE_CANDIDATE:
            return "candidate";
        default:
            return "unknown";
    }
}

static const char *state_text(struct shard_item *item)
{
    static const char *const names[] = {"opening",          "ok",      "installing", "restarting",
                                        "environment lost", "AMNESIA", "refused",    "closed"};
    const struct shard_view *v = &item->v;
    if (v->state == SHARD_RUNNING) {
        return "ok";
    }
    snprintf(item->state, sizeof(item->state), "%s%s%s", names[v->state],
             v->text[0] != '\0' ? ": " : "", v->text);
    return item->state;
}

static void own_replica(struct shard_item *item, Mq__ReplicaView *r, node_id self)
{
    const struct shard_view *v = &item->v;
    r->node = self;
    r->replica = v->replica;
    r->role = (char *)(uintptr_t)role_text(v);
    r->voter = true;
    r->term = v->term;
    r->last_index = v->last_index;
    r->first_index = v->first_index;
    r->commit_index = v->commit_index;
    r->applied_index = v->applied_index;
    r->checkpoint_index = v->checkpoint_index;
    r->digest = (ProtobufCBinaryData){16, item->v.digest};
    r->digest_index = v->applied_index;
    r->known = true;
    r->state = (char *)(uintptr_t)state_text(item);
}

/* What the leader knows of the others. */
static void peer_replica(const struct shard_peer_view *p, Mq__ReplicaView *r)
{
    static char none[] = "";
    r->node = p->node;
    r->replica = p->replica;
    r->role = none;
    r->state = none;
    r->voter = p->voter;
    r->known = p->contact_known;
    r->age_ms = p->contact_age_ms;
    r->lag_known = p->match_known;
    r->match_index = p->match_index;
    r->lag_entries = p->lag_entries;
    r->lag_bytes = p->lag_bytes;
    r->lag_ms = p->lag_ms;
    r->lag_slope_known = p->lag_slope_known;
    r->lag_slope_us = p->lag_slope_us;
}

static void own_moves(struct shard_item *item)
{
    const struct shard_view *v = &item->v;
    Mq__ShardView *to = &item->view;
    to->led_ms = v->leader_age_ms;
    to->cause = v->cause;
    to->before = v->leader_before;
    to->lost = v->lost;
    to->silent_ms = v->silent_ms;
    to->moves = v->moves;
    to->quiet_ms = v->quiet_ms;
    to->handed_to = v->handed_to;
    to->handed_why = v->handed_why != NULL ? (char *)(uintptr_t)v->handed_why : to->handed_why;
    to->handed_age_ms = v->handed_age_ms;
}

static void add_shard(void *arg, struct shard *s)
{
    struct own *o = arg;
    struct node *n = o->node;
    if (o->n >= o->capacity) {
        return;
    }
    struct shard_item *item = &o->items[o->n];
    mq__shard_view__init(&item->view);
    shard_get_view(s, o->now_ms, &item->v);
    const struct shard_view *v = &item->v;
    item->view.shard = v->shard;
    item->view.name = (char *)(uintptr_t)v->name;
    item->view.leader = v->role == ENGINE_LEADER ? n->self->node : v->leader_node;
    item->view.leader_known = item->view.leader != 0;
    item->view.term = v->term;
    item->view.epoch = v->epoch.number;
    own_moves(item);
    if (v->role == ENGINE_LEADER) {
        item->view.writes_total = v->writes_total;
        item->view.reads_total = v->reads_total;
        item->view.write_p99_us =
            latency_percentile_us(&n->shards.by_id[v->shard].writes, o->now_ms, 99);
    }
    for (uint32_t i = 0; i < v->peers_n && i < MEMBERS_MAX; i++) {
        Mq__ReplicaView *r = &item->replicas[item->view.n_replicas];
        mq__replica_view__init(r);
        if (v->peers[i].node == n->self->node) {
            continue; /* ours comes below */
        }
        peer_replica(&v->peers[i], r);
        item->pointers[item->view.n_replicas++] = r;
    }
    if (item->view.n_replicas < MEMBERS_MAX) {
        Mq__ReplicaView *r = &item->replicas[item->view.n_replicas];
        mq__replica_view__init(r);
        own_replica(item, r, n->self->node);
        item->pointers[item->view.n_replicas++] = r;
    }
    item->view.replicas = item->pointers;
    item->view.sites_known =
        holdings_view(&n->holdings, v->shard, item->sites, &item->view.n_sites);
    item->view.sites = item->site_pointers;
    for (size_t i = 0; i < item->view.n_sites; i++) {
        item->site_pointers[i] = &item->sites[i];
    }
    o->pointers[o->n++] = &item->view;
}

/* Whom we hear: whatever came from it, a pong or its view. */
static void own_hearing(struct own *o, struct node *n, const struct founding_node *to)
{
    struct views *views = &n->views;
    const struct link *l = links_find(&n->links, to->node);
    Mq__Hearing *h = &o->hears[o->view.n_hears];
    uint64_t last = views->started_ms;
    uint64_t said = views->peers[to->node].received_ms;
    mq__hearing__init(h);
    h->node = to->node;
    last = said > last ? said : last;
    if (l != NULL) {
        uint64_t pong = link_pong_ms(l);
        last = pong > last ? pong : last;
        h->breaks = link_breaks(l, o->now_ms);
        h->clock_offset_us = l->clock_offset_us;
        h->clock_error_us = l->clock_error_us;
        h->answer = l->answer;
    }
    h->age_ms = o->now_ms > last ? o->now_ms - last : 0;
    h->for_ms =
        o->now_ms - said <= VIEW_AGE_MS_MAX ? o->now_ms - views->peers[to->node].since_ms : 0;
    if (h->answer == ANSWER_GOOD && h->age_ms > VIEW_AGE_MS_MAX) {
        h->answer = ANSWER_NONE; /* connected, and silent */
    }
    o->hears_pointers[o->view.n_hears++] = h;
}

static void fill_node(struct own *o, struct node *n)
{
    Mq__NodeView *v = &o->view;
    static char version[] = NODE_VERSION;
    v->node = n->self->node;
    v->name = (char *)(uintptr_t)n->self->name;
    v->site = (char *)(uintptr_t)n->self->site;
    v->role = (char *)(uintptr_t)node_role_name(n->self->role);
    v->address = (char *)(uintptr_t)n->self->address;
    v->up = true;
    v->known = true;
    v->version = version;
    v->disk_free_bytes = n->views.disk_free_bytes;
    v->disk_total_bytes = n->views.disk_total_bytes;
    v->incarnation = n->data.incarnation;
    v->certificate_expires_ms = tls_context_identity(n->tls)->expires_ms;
    snprintf(o->text, sizeof(o->text), "%s",
             n->stopping       ? "stopping"
             : n->data.founded ? "ok"
                               : n->founder.text);
    v->state = o->text;
    v->up_ms = o->now_ms - n->views.started_ms;
    v->stalled = n->views.stall_end_ms != 0;
    v->stall_ms = n->views.stall_ms;
    v->stall_age_ms = o->now_ms - n->views.stall_end_ms;
    for (uint32_t i = 0; i < n->founding.nodes_n && i < NODES_MAX; i++) {
        if (&n->founding.nodes[i] != n->self) {
            own_hearing(o, n, &n->founding.nodes[i]);
        }
    }
    v->hears = o->hears_pointers;
    v->fsync_us = log_sync_us(host_log(n->host));
}

struct block *view_pack_own(struct views *views)
{
    struct node *n = views->node;
    struct own own;
    struct own *o = &own;
    memset(&own, 0, sizeof(own));
    o->node = n;
    mq__node_view__init(&o->view);
    o->now_ms = node_now_ms(n);
    o->capacity = SHARDS_MAX;
    o->items = calloc(o->capacity, sizeof(*o->items));
    if (o->items == NULL) {
        return NULL;
    }
    fill_node(o, n);
    host_each_shard(n->host, add_shard, o);
    o->view.n_shards = o->n;
    o->view.shards = o->pointers;
    struct block *b = block_new(mq__node_view__get_packed_size(&o->view));
    if (b != NULL) {
        mq__node_view__pack(&o->view, b->data);
    }
    free(o->items);
    return b;
}

/* ---- disk ---- */

static void disk_work(struct job *j)
{
    struct views *v = container_of(j, struct views, disk_job);
    struct statvfs st;
    if (statvfs(v->node->data.path, &st) == 0) {
        v->work_free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
        v->work_total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    }
}

static void disk_done(struct job *j)
{
    struct views *v = container_of(j, struct views, disk_job);
    v->disk_running = false;
    v->disk_free_bytes = v->work_free_bytes;
    v->disk_total_bytes = v->work_total_bytes;
}

/* ---- out and in ---- */

static void send_all(struct views *v)
{
    struct block *b = view_pack_own(v);
    for (uint32_t i = 1; b != NULL && i <= NODES_MAX; i++) {
        struct link *l = links_find(&v->node->links, i);
        if (l != NULL) {
            (void)link_send_frame(l, CHANNEL_CONTROL, FRAME_PEER_VIEW, (struct bytes){NULL, 0},
                                  (struct bytes){b->data, b->size});
        }
    }
    block_unref(b);
}

static void watch_time(struct views *v, uint64_t now_ms)
{
    if (v->started_ms == 0) {
        v->started_ms = now_ms;
    } else if (now_ms - v->ticked_ms >= STALL_MS) {
        v->stall_ms = now_ms - v->ticked_ms;
        v->stall_end_ms = now_ms;
        log_warn("event=node.stalled took_ms=%llu", (unsigned long long)v->stall_ms);
    }
    v->ticked_ms = now_ms;
}

void views_tick(struct views *v, uint64_t now_ms)
{
    watch_time(v, now_ms);
    if (now_ms - v->sent_ms >= VIEW_MS) {
        v->sent_ms = now_ms;
        send_all(v);
    }
    if (!v->disk_running && (v->disk_asked_ms == 0 || now_ms - v->disk_asked_ms >= DISK_MS) &&
        !v->node->stopping) {
        v->disk_asked_ms = now_ms;
        v->disk_running = true;
        v->disk_job.work = disk_work;
        v->disk_job.done = disk_done;
        executor_submit(executor_threads_executor(v->node->loop.threads), LANE_READ, &v->disk_job);
    }
}

enum status view_receive(struct views *v, node_id from, struct bytes payload)
{
    Mq__NodeView *view =
        payload.size > 0 ? mq__node_view__unpack(NULL, payload.size, payload.data) : NULL;
    if (view == NULL || view->node != from || view->n_shards > SHARDS_MAX ||
        view->n_hears > NODES_MAX || !unknown_fields_ok(&view->base)) {
        mq__node_view__free_unpacked(view, NULL);
        return STATUS_MALFORMED;
    }
    mq__node_view__free_unpacked(v->peers[from].view, NULL);
    v->peers[from].view = view;
    if (v->node->loop.now_ms - v->peers[from].received_ms > VIEW_AGE_MS_MAX) {
        v->peers[from].since_ms = v->node->loop.now_ms;
    }
    v->peers[from].received_ms = v->node->loop.now_ms;
    if (view->n_shards > 0) {
        founder_saw_founded(&v->node->founder, from);
    }
    return OK;
}

const Mq__NodeView *view_find(const struct views *v, node_id node, uint64_t *out_age_ms)
{
    const struct peer_view *p = node <= NODES_MAX ? &v->peers[node] : NULL;
    *out_age_ms = UINT64_MAX;
    if (p == NULL || p->view == NULL) {
        return NULL;
    }
    uint64_t now = v->node->loop.now_ms;
    *out_age_ms = now > p->received_ms ? now - p->received_ms : 0;
    return *out_age_ms <= VIEW_AGE_MS_MAX ? p->view : NULL;
}

const Mq__NodeView *view_last(const struct views *v, node_id node)
{
    return node <= NODES_MAX ? v->peers[node].view : NULL;
}
