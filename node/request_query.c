/* Reading: a linearizable position from the shard (or none, for a local read), then the query on a
 * read thread. A node without that state (witness, or no member) forwards to one that has it. */
#include "node/request.h"

#include <string.h>

#include "base/must.h"
#include "node/forward.h"
#include "node/node.h"

static void job_work(struct job *j)
{
    struct request *r = container_of(j, struct request, job);
    r->query_status = replica_query(r->replica, r->query, &r->result);
}

void query_job_start(struct request *r, struct replica *replica, struct bytes query,
                     void (*done)(struct job *j))
{
    struct node *n = r->service->node;
    r->stage = r->stage == REQUEST_ROUTING ? REQUEST_ROUTING : REQUEST_QUERYING;
    r->replica = replica;
    r->query = query;
    r->job.work = job_work;
    r->job.done = done;
    buffer_clear(&r->result);
    r->result.size_max = FRAME_PAYLOAD_MAX;
    executor_submit(executor_threads_executor(n->loop.threads), LANE_READ, &r->job);
}

/* Of a local read: 0 on the leader, else since the leader was last heard; UINT64_MAX = not known.
 * */
static uint64_t age_of(const struct request *r, const struct node_shard *ns)
{
    struct shard_view v;
    if (r->header.consistency == MQ__CONSISTENCY__LINEARIZABLE || ns->leads) {
        return 0;
    }
    shard_get_view(ns->shard, r->service->node->loop.now_ms, &v);
    for (uint32_t i = 0; i < v.peers_n; i++) {
        if (v.peers[i].node == v.leader_node && v.peers[i].contact_known) {
            return v.peers[i].contact_age_ms;
        }
    }
    return UINT64_MAX;
}

static void on_queried(struct job *j)
{
    struct request *r = container_of(j, struct request, job);
    struct node_shard *ns = shards_find(&r->service->node->shards, r->shard);
    if (r->query_status == STATUS_CLOSED) { /* between two environments */
        request_wait(r, STATUS_BUSY);
        return;
    }
    struct response a = {
        .outcome =
            r->query_status == OK ? MQ__OUTCOME__OUTCOME_APPLIED : MQ__OUTCOME__OUTCOME_REFUSED,
        .status = r->query_status,
        .payload = {r->result.data, r->result.size},
        .index = r->read.index,
        .term = r->read.term,
    };
    if (ns != NULL) {
        a.epoch = shard_get_options(ns->shard)->epoch.number;
        a.age_ms = age_of(r, ns);
    }
    if (r->query_status == STATUS_MOVED && r->header.user.size > 0) {
        service_route_drop(r->service, r->header.user);
    }
    request_finish(r, &a);
}

static void on_read(struct shard_read *q)
{
    struct request *r = container_of(q, struct request, read);
    struct node_shard *ns = shards_find(&r->service->node->shards, r->shard);
    must(r->stage == REQUEST_READING);
    if (q->status == OK && ns != NULL && ns->replica != NULL) {
        query_job_start(r, ns->replica, r->payload, on_queried);
    } else if (q->status == STATUS_TIMEOUT) {
        request_refuse(
            r, r->service->node->loop.now_ms >= r->deadline_ms ? STATUS_TIMEOUT : STATUS_NO_QUORUM,
            NULL);
    } else {
        request_wait(r, q->status == STATUS_NOT_LEADER ? STATUS_NO_LEADER
                        : q->status == OK              ? STATUS_BUSY
                                                       : q->status);
    }
}

static void query_here(struct request *r, struct node_shard *ns)
{
    memset(&r->read, 0, sizeof(r->read));
    r->read.deadline_ms = r->deadline_ms;
    r->read.done = on_read;
    r->stage = REQUEST_READING;
    if (r->header.consistency == MQ__CONSISTENCY__LINEARIZABLE) {
        shard_read(ns->shard, &r->read);
        loop_again(&r->service->node->loop);
        return;
    }
    uint64_t epoch = shard_get_options(ns->shard)->epoch.number;
    if (r->header.min_epoch > epoch) {
        request_refuse(r, STATUS_WRONG_EPOCH, NULL);
    } else if (r->header.min_index > 0 && r->header.min_epoch == epoch) {
        shard_read_local(ns->shard, &r->read, r->header.min_index);
        loop_again(&r->service->node->loop);
    } else {
        r->stage = REQUEST_NEW;
        query_job_start(r, ns->replica, r->payload, on_queried);
    }
}

/* A node that has the state: the leader, else any data member we are linked to. */
static node_id holder_of(struct node *n, shard_id id)
{
    node_id leader = shards_leader(&n->shards, id);
    const Mq__FoundingShard *record = shards_record(&n->shards, id);
    if (leader != 0 && leader != n->self->node) {
        return leader;
    }
    for (size_t i = 0; record != NULL && i < record->n_members; i++) {
        const struct founding_node *m = founding_find_node(&n->founding, record->members[i]->node);
        struct link *l =
            m != NULL && m->role != ROLE_WITNESS ? links_find(&n->links, m->node) : NULL;
        if (l != NULL && l->up) {
            return m->node;
        }
    }
    return 0;
}

void query_attempt(struct request *r)
{
    struct node *n = r->service->node;
    struct node_shard *ns = shards_find(&n->shards, r->shard);
    if (ns != NULL && ns->replica != NULL) {
        query_here(r, ns);
        return;
    }
    if (r->target != 0 || r->header.forwarded ||
        (ns == NULL && shards_record(&n->shards, r->shard) == NULL)) {
        request_refuse(r, STATUS_NO_SHARD, NULL);
        return;
    }
    node_id holder = holder_of(n, r->shard);
    if (holder == 0 || forward_send(r, holder) != OK) {
        request_wait(r, STATUS_NO_LEADER);
    }
}
