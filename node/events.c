/* The ring, what is seen by looking, and the answer. */
#include "node/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "node/admin.h"
#include "node/node.h"

#define LOOK_MS            100u
#define CHECKPOINT_TELL_MS 600000u

/* ---- the ring ---- */

struct event *event_ring_add(struct event_ring *r)
{
    r->next = r->next == 0 ? 1 : r->next;
    struct event *e = &r->items[r->next % EVENTS_MAX];
    memset(e, 0, sizeof(*e));
    e->sequence = r->next++;
    return e;
}

static uint64_t oldest(const struct event_ring *r)
{
    return r->next > EVENTS_MAX ? r->next - EVENTS_MAX : 1;
}

const struct event *event_ring_after(const struct event_ring *r, uint64_t after)
{
    uint64_t at = after + 1 > oldest(r) ? after + 1 : oldest(r);
    return after != UINT64_MAX && at < r->next ? &r->items[at % EVENTS_MAX] : NULL;
}

bool event_ring_lost(const struct event_ring *r, uint64_t after)
{
    return after + 1 < oldest(r);
}

void events_add(struct events *e, const char *id, enum event_severity severity, const char *object,
                const char *key, const char *format, ...)
{
    va_list args;
    struct event *at = event_ring_add(&e->ring);
    at->unix_ms = clock_wall_ms(&clock_system);
    at->id = id;
    at->severity = severity;
    snprintf(at->object, sizeof(at->object), "%s", object);
    snprintf(at->key, sizeof(at->key), "%s", key != NULL ? key : "");
    va_start(args, format);
    (void)vsnprintf(at->text, sizeof(at->text), format, args);
    va_end(args);
}

/* ---- looking ---- */

static const char *node_name(const struct node *n, node_id id)
{
    const struct founding_node *f = founding_find_node(&n->founding, id);
    return f != NULL ? f->name : "?";
}

/* Why the one before leads no more, as far as this node can tell. */
static const char *reason(struct node *n, node_id before, node_id now, char text[120])
{
    uint64_t age;
    struct link *l = links_find(&n->links, before);
    const Mq__NodeView *said = view_find(&n->views, before, &age);
    if (before == 0) {
        return "it had none";
    }
    if (before == now) {
        return "it was elected again";
    }
    if (before == n->self->node) {
        return n->stopping ? "this node is stopping" : "this node gave it up or was not heard";
    }
    if (said != NULL && strcmp(said->state, "stopping") == 0) {
        snprintf(text, 120, "%s is stopping", node_name(n, before));
    } else if (l == NULL || !l->up) {
        snprintf(text, 120, "%s is not connected", node_name(n, before));
    } else if (said == NULL) {
        snprintf(text, 120, "%s was not heard for a second", node_name(n, before));
    } else {
        snprintf(text, 120, "%s is up: it handed over or was not heard in time",
                 node_name(n, before));
    }
    return text;
}

/* By the engine's own word: between two turns the term may be newer than the leader that node_shard names. */
static void leader_look(struct node *n, struct seen_shard *seen, const struct shard_view *v)
{
    char key[64], text[120];
    node_id leader = v->role == ENGINE_LEADER ? n->self->node : v->leader_node;
    if (leader == 0 && seen->leader != 0) {
        snprintf(key, sizeof(key), "%u/%" PRIu64 "/none", v->shard, seen->term);
        events_add(&n->events, "MQ-EVENT-LEADER-LOST", EVENT_YELLOW, v->name, key,
                   "shard %s has no leader known here; it was %s in term %" PRIu64, v->name,
                   node_name(n, seen->leader), seen->term);
    } else if (leader != 0 && (leader != seen->leader || v->term != seen->term)) {
        snprintf(key, sizeof(key), "%u/%" PRIu64 "/%u", v->shard, v->term, leader);
        events_add(&n->events, "MQ-EVENT-LEADER", EVENT_BLUE, v->name, key,
                   "%s leads shard %s in term %" PRIu64 " (before: %s): %s", node_name(n, leader),
                   v->name, v->term, seen->before != 0 ? node_name(n, seen->before) : "nobody",
                   reason(n, seen->before, leader, text));
        seen->before = leader;
    }
    seen->leader = leader;
    seen->term = v->term;
}

/* A busy shard takes one every few seconds: only the first of some minutes is told, with the count. */
static void checkpoint_look(struct node *n, struct seen_shard *seen, const struct shard_view *v,
                            uint64_t now_ms)
{
    uint64_t since = v->checkpoints_total - seen->checkpoints_told;
    if (since == 0 || v->checkpoint_index <= 1 ||
        (seen->checkpoint_told_ms != 0 && now_ms - seen->checkpoint_told_ms < CHECKPOINT_TELL_MS)) {
        return;
    }
    seen->checkpoint_told_ms = now_ms;
    seen->checkpoints_told = v->checkpoints_total;
    events_add(&n->events, "MQ-EVENT-CHECKPOINT", EVENT_OK, v->name, NULL,
               "shard %s is durable up to index %" PRIu64 ", %" PRIu64
               " checkpoint%s since last told",
               v->name, v->checkpoint_index, since, since == 1 ? "" : "s");
}

static void state_look(struct node *n, struct seen_shard *seen, const struct shard_view *v)
{
    bool bad = v->state == SHARD_LOST || v->state == SHARD_AMNESIA || v->state == SHARD_REFUSED;
    if (v->state == SHARD_INSTALLING && seen->state != SHARD_INSTALLING) {
        events_add(&n->events, "MQ-EVENT-INSTALL", EVENT_BLUE, v->name, NULL,
                   "fetching a copy of shard %s: no log of it begins where this replica ends",
                   v->name);
    } else if (bad && seen->state != v->state) {
        events_add(&n->events, "MQ-SHARD-STATE", EVENT_ORANGE, v->name, NULL,
                   "the replica of shard %s is in trouble: %s", v->name, v->text);
    }
    if (v->installs_total > seen->installs_total) {
        events_add(&n->events, "MQ-EVENT-INSTALL", EVENT_BLUE, v->name, NULL,
                   "a copy of shard %s is installed, at index %" PRIu64, v->name,
                   v->checkpoint_index);
    }
    seen->state = v->state;
    seen->installs_total = v->installs_total;
}

static void shards_look(struct node *n, uint64_t now_ms)
{
    for (shard_id i = 0; i < SHARDS_MAX; i++) {
        struct node_shard *ns = shards_find(&n->shards, i);
        struct seen_shard *seen = &n->events.shards[i];
        struct shard_view v;
        if (ns == NULL) {
            continue;
        }
        shard_get_view(ns->shard, now_ms, &v);
        leader_look(n, seen, &v);
        state_look(n, seen, &v);
        checkpoint_look(n, seen, &v, now_ms);
    }
}

static void peers_look(struct node *n)
{
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        struct link *l = links_find(&n->links, i);
        bool *up = &n->events.peers_up[i];
        if (l == NULL || l->up == *up || n->draining) {
            continue;
        }
        *up = l->up;
        if (l->up) {
            events_add(&n->events, "MQ-EVENT-PEER-HEARD", EVENT_OK, l->to->name, NULL,
                       "connected to %s", l->to->name);
        } else {
            events_add(&n->events, "MQ-EVENT-PEER-LOST", EVENT_YELLOW, l->to->name, NULL,
                       "lost %s: %.150s", l->to->name, l->text[0] != '\0' ? l->text : "closed");
        }
    }
}

static void space_look(struct node *n)
{
    uint64_t left = n->views.disk_free_bytes;
    uint64_t reserve = n->config.reserve_bytes;
    bool none = n->views.disk_total_bytes > 0 && left < reserve;
    if (none == n->events.no_space) {
        return;
    }
    n->events.no_space = none;
    if (none) {
        events_add(&n->events, "MQ-DISK-FULL", EVENT_ORANGE, n->self->name, NULL,
                   "%" PRIu64 " MiB are left on the disk, the reserve is %" PRIu64
                   " MiB: writes are refused, reads go on",
                   left >> 20, reserve >> 20);
    } else {
        events_add(&n->events, "MQ-EVENT-SPACE", EVENT_OK, n->self->name, NULL,
                   "there is space on the disk again: %" PRIu64 " MiB", left >> 20);
    }
}

void events_tick(struct node *n, uint64_t now_ms)
{
    if (now_ms - n->events.looked_ms < LOOK_MS) {
        return;
    }
    n->events.looked_ms = now_ms;
    shards_look(n, now_ms);
    peers_look(n);
    space_look(n);
}

/* ---- the answer ---- */

struct answer {
    Mq__EventView rows[EVENTS_ANSWER_MAX];
    Mq__EventView *pointers[EVENTS_ANSWER_MAX];
};

static void row_fill(Mq__EventView *row, const struct event *e)
{
    mq__event_view__init(row);
    row->sequence = e->sequence;
    row->unix_ms = e->unix_ms;
    row->id = (char *)(uintptr_t)e->id;
    row->severity = (uint32_t)e->severity;
    row->object = (char *)(uintptr_t)e->object;
    row->key = (char *)(uintptr_t)e->key;
    row->text = (char *)(uintptr_t)e->text;
}

void events_start(struct request *r, const Mq__AdminEvents *a)
{
    struct node *n = r->service->node;
    const struct event_ring *ring = &n->events.ring;
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    Mq__EventsView view = MQ__EVENTS_VIEW__INIT;
    struct answer *rows = calloc(1, sizeof(*rows));
    uint64_t after = a->incarnation == n->data.incarnation ? a->after : 0;
    uint32_t most = a->limit > 0 && a->limit < EVENTS_ANSWER_MAX ? a->limit : EVENTS_ANSWER_MAX;
    if (rows == NULL) {
        request_refuse(r, STATUS_NO_MEMORY, NULL);
        return;
    }
    view.lost = event_ring_lost(ring, after) && a->since_ms == 0;
    const struct event *e = event_ring_after(ring, after);
    for (; e != NULL && view.n_events < most; e = event_ring_after(ring, after)) {
        after = e->sequence;
        if (e->unix_ms >= a->since_ms) {
            row_fill(&rows->rows[view.n_events], e);
            rows->pointers[view.n_events] = &rows->rows[view.n_events];
            view.n_events++;
        }
    }
    view.node = n->config.name;
    view.incarnation = n->data.incarnation;
    view.after = after;
    view.more = e != NULL;
    view.now_ms = clock_wall_ms(&clock_system);
    view.events = rows->pointers;
    result.events = &view;
    admin_finish(r, MQ__OUTCOME__OUTCOME_APPLIED, OK, "", &result);
    free(rows);
}
