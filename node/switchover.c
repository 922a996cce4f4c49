/* Planned change of a shard's leader: plan (rails, hash) -> apply with that hash -> transfer ->
 * wait until the new leader is known here. Loses nothing or is refused: Raft's own transfer moves
 * the leadership only to a voter that has all entries. A transfer that fails does so silently
 * after an election timeout; then the answer says so and nothing has changed. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "node/admin.h"
#include "node/node.h"

#define LAG_ENTRIES_MAX   256u
#define TRANSFER_TIMEOUTS 3u

struct plan {
    Mq__SwitchoverPlan message;
    Mq__Rail rails[8];
    Mq__Rail *pointers[8];
    char texts[8][160];
    char hash[20], effect[256], undo[160];
    node_id to;
    bool good;
};

struct switchover {
    struct task task;
    struct request *request;
    struct plan plan;
    shard_id shard;
    uint64_t started_ms, give_up_ms;
};

static void rail(struct plan *p, const char *name, bool ok, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void rail(struct plan *p, const char *name, bool ok, const char *format, ...)
{
    size_t i = p->message.n_rails;
    va_list args;
    va_start(args, format);
    vsnprintf(p->texts[i], sizeof(p->texts[i]), format, args);
    va_end(args);
    mq__rail__init(&p->rails[i]);
    p->rails[i].name = (char *)(uintptr_t)name;
    p->rails[i].ok = ok;
    p->rails[i].text = p->texts[i];
    p->pointers[i] = &p->rails[i];
    p->message.n_rails++;
    p->good = p->good && ok;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    for (int i = 0; i < 8; i++) {
        h = (h ^ (v & 0xff)) * 0x100000001b3ull;
        v >>= 8;
    }
    return h;
}

/* What must not change between plan and apply. */
static void hash(struct plan *p, const struct shard_view *v, const struct shard_options *o)
{
    uint64_t h = mix(0xcbf29ce484222325ull, v->shard);
    h = mix(mix(mix(h, v->epoch.number), v->epoch.id), v->term);
    h = mix(mix(h, v->replica), p->to);
    for (uint32_t i = 0; i < o->members_n; i++) {
        h = mix(mix(h, o->members[i].replica), o->members[i].node);
    }
    snprintf(p->hash, sizeof(p->hash), "%016" PRIx64, h);
}

static bool target_runs(struct node *n, node_id to, shard_id shard, char *text, size_t size)
{
    uint64_t age;
    const Mq__NodeView *view = view_find(&n->views, to, &age);
    for (size_t i = 0; view != NULL && i < view->n_shards; i++) {
        for (size_t k = 0; view->shards[i]->shard == shard && k < view->shards[i]->n_replicas;
             k++) {
            const Mq__ReplicaView *r = view->shards[i]->replicas[k];
            if (r->node == to) {
                snprintf(text, size, "its replica says: %.100s", r->state);
                return strcmp(r->state, "ok") == 0;
            }
        }
    }
    snprintf(text, size, "it does not say how its replica is");
    return false;
}

static void rails_of_member(struct plan *p, struct node *n, const struct shard_view *v,
                            const struct shard_options *o, uint32_t i)
{
    char text[160];
    const struct shard_peer_view *peer = NULL;
    for (uint32_t k = 0; k < v->peers_n; k++) {
        if (v->peers[k].node == p->to) {
            peer = &v->peers[k];
        }
    }
    uint64_t fresh = 2 * n->config.election_timeout_ms;
    bool data = o->members[i].role == ROLE_DATA;
    rail(p, "data_voter", data && peer != NULL && peer->voter, "%s",
         data ? "it is a data voter" : "it keeps no mail state and never leads");
    bool alive = peer != NULL && peer->contact_known && peer->contact_age_ms <= fresh;
    rail(p, "alive", alive,
         alive ? "it answered %" PRIu64 " ms ago" : "it has not answered lately (%" PRIu64 " ms)",
         peer != NULL ? peer->contact_age_ms : 0);
    bool near = peer != NULL && peer->match_known && peer->lag_entries <= LAG_ENTRIES_MAX;
    rail(p, "caught_up", near, "it is %" PRIu64 " entries behind, %u are allowed",
         peer != NULL ? peer->lag_entries : 0, LAG_ENTRIES_MAX);
    bool runs = target_runs(n, p->to, v->shard, text, sizeof(text));
    rail(p, "replica_good", runs, "%s", text);
}

static enum status make_plan(struct node *n, struct node_shard *ns, const char *to, struct plan *p)
{
    struct shard_view v;
    const struct shard_options *o = shard_get_options(ns->shard);
    const struct founding_node *target = founding_find_name(&n->founding, to);
    memset(p, 0, sizeof(*p));
    mq__switchover_plan__init(&p->message);
    p->good = true;
    if (target == NULL) {
        return STATUS_NOT_FOUND;
    }
    p->to = target->node;
    shard_get_view(ns->shard, node_now_ms(n), &v);
    rail(p, "leader_settled", v.own_term_committed, "%s",
         v.own_term_committed ? "the leader has committed in its own term"
                              : "the leader has not committed in its own term yet");
    rail(p, "another_node", p->to != n->self->node, "%s",
         p->to != n->self->node ? "it is not the leader now" : "it leads already");
    uint32_t i = 0;
    while (i < o->members_n && o->members[i].node != p->to) {
        i++;
    }
    rail(p, "member", i < o->members_n, "%s",
         i < o->members_n ? "it has a replica of the shard" : "it has no replica of the shard");
    if (i < o->members_n && p->to != n->self->node) {
        rails_of_member(p, n, &v, o, i);
    }
    hash(p, &v, o);
    snprintf(p->effect, sizeof(p->effect),
             "%s leads shard %s instead of %s; writes wait a moment; nothing is lost", target->name,
             o->name, n->self->name);
    snprintf(p->undo, sizeof(p->undo), "clusterctl switchover %s --to %s", o->name, n->self->name);
    p->message.hash = p->hash;
    p->message.shard = v.shard;
    p->message.from = (char *)(uintptr_t)n->self->name;
    p->message.to = (char *)(uintptr_t)target->name;
    p->message.rails = p->pointers;
    p->message.effect = p->effect;
    p->message.undo = p->undo;
    p->message.pause_ms = 50;
    return OK;
}

static void finish(struct request *r, struct plan *p, Mq__Outcome outcome, enum status s,
                   const char *text)
{
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    result.plan = &p->message;
    result.text = (char *)(uintptr_t)text;
    admin_finish(r, outcome, s, text, &result);
}

static void wait(struct task *t, uint64_t now_ms)
{
    struct switchover *w = container_of(t, struct switchover, task);
    struct node *n = w->request->service->node;
    struct node_shard *ns = shards_find(&n->shards, w->shard);
    char text[200];
    bool moved = ns != NULL && !ns->leads && ns->leader != 0;
    if (!moved && now_ms < w->give_up_ms) {
        return;
    }
    const struct founding_node *leader =
        ns != NULL ? founding_find_node(&n->founding, ns->leader) : NULL;
    w->plan.message.pause_ms = now_ms - w->started_ms;
    list_remove(&t->link);
    if (moved && ns->leader == w->plan.to) {
        snprintf(text, sizeof(text), "%s leads now", leader->name);
        finish(w->request, &w->plan, MQ__OUTCOME__OUTCOME_APPLIED, OK, text);
    } else if (moved) {
        snprintf(text, sizeof(text), "%s leads now, not the node you named",
                 leader != NULL ? leader->name : "another node");
        finish(w->request, &w->plan, MQ__OUTCOME__OUTCOME_REFUSED, STATUS_CONFLICT, text);
    } else {
        finish(w->request, &w->plan, MQ__OUTCOME__OUTCOME_UNKNOWN, STATUS_UNKNOWN_OUTCOME,
               "the new leader is not known yet. What to do: clusterctl status");
    }
    log_info("event=switchover.ended shard=%u leader=%s took_ms=%" PRIu64, w->shard,
             leader != NULL ? leader->name : "none", now_ms - w->started_ms);
    free(w);
}

static void apply(struct request *r, struct node_shard *ns, struct plan *p, const char *reason)
{
    struct node *n = r->service->node;
    struct switchover *w = calloc(1, sizeof(*w));
    enum status s = w == NULL ? STATUS_NO_MEMORY : shard_transfer(ns->shard, p->to);
    if (s != OK) {
        free(w);
        finish(r, p, MQ__OUTCOME__OUTCOME_REFUSED, s, NULL);
        return;
    }
    events_add(&n->events, "MQ-EVENT-SWITCHOVER", EVENT_BLUE, p->message.from, NULL,
               "switchover of shard %u from %s to %s begun: %.100s", r->shard, p->message.from,
               p->message.to, reason);
    log_info("event=switchover.started shard=%u to=%s reason=\"%.100s\"", r->shard, p->message.to,
             reason);
    memcpy(&w->plan, p, sizeof(*p));
    for (size_t i = 0; i < w->plan.message.n_rails; i++) { /* the copy points at itself */
        w->plan.pointers[i] = &w->plan.rails[i];
        w->plan.rails[i].text = w->plan.texts[i];
    }
    w->plan.message.rails = w->plan.pointers;
    w->plan.message.hash = w->plan.hash;
    w->plan.message.effect = w->plan.effect;
    w->plan.message.undo = w->plan.undo;
    w->request = r;
    w->shard = r->shard;
    w->started_ms = n->loop.now_ms;
    w->give_up_ms = w->started_ms + TRANSFER_TIMEOUTS * n->config.election_timeout_ms;
    if (w->give_up_ms + 100 > r->deadline_ms && r->deadline_ms > w->started_ms + 200) {
        w->give_up_ms = r->deadline_ms - 100;
    }
    w->task.tick = wait;
    list_push_back(&r->service->tasks, &w->task.link);
    loop_again(&n->loop);
}

void switchover_start(struct request *r, const Mq__AdminSwitchover *a)
{
    struct node *n = r->service->node;
    struct node_shard *ns = shards_find(&n->shards, r->shard);
    struct plan p;
    enum status s = make_plan(n, ns, a->to, &p);
    if (s != OK) {
        request_refuse(r, s, "no such node. What to do: clusterctl members");
    } else if (!a->apply) {
        finish(r, &p, MQ__OUTCOME__OUTCOME_APPLIED, OK,
               p.good ? "" : "a rail does not hold: applying will be refused");
    } else if (strcmp(a->plan_hash, p.hash) != 0) {
        finish(r, &p, MQ__OUTCOME__OUTCOME_REFUSED, STATUS_PLAN_STALE,
               "the cluster has changed since the plan was made. What to do: look at "
               "the new plan");
    } else if (!p.good) {
        finish(r, &p, MQ__OUTCOME__OUTCOME_REFUSED, STATUS_CONFLICT, "a rail does not hold");
    } else {
        apply(r, ns, &p, a->reason);
    }
}
