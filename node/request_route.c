/* user -> shard. The cache, then this node's directory as it is, and only when that has no such
 * user the linearizable directory: a user that is not there yet here may be there already. "Not
 * found" is said only after that. */
#include "node/request.h"

#include <string.h>

#include "base/must.h"
#include "node/node.h"

static void look(struct request *r);

static void go_on(struct request *r, shard_id shard)
{
    r->routed = true;
    r->shard = shard;
    r->stage = REQUEST_NEW;
    buffer_clear(&r->result);
    request_advance(r);
}

static void on_position(struct shard_read *q)
{
    struct request *r = container_of(q, struct request, read);
    must(r->stage == REQUEST_ROUTING);
    if (q->status == OK) {
        look(r);
    } else if (q->status == STATUS_TIMEOUT) {
        request_refuse(r, STATUS_NO_QUORUM,
                       "the directory has no quorum, so the user's shard is not known");
    } else {
        r->confirming = false;
        request_wait(r, q->status == STATUS_NOT_LEADER ? STATUS_NO_LEADER : q->status);
    }
}

static void confirm(struct request *r)
{
    struct node_shard *directory = shards_find(&r->service->node->shards, SHARD_DIRECTORY);
    r->confirming = true;
    memset(&r->read, 0, sizeof(r->read));
    r->read.deadline_ms = r->deadline_ms;
    r->read.done = on_position;
    shard_read(directory->shard, &r->read);
    loop_again(&r->service->node->loop);
}

static void on_looked(struct job *j)
{
    struct request *r = container_of(j, struct request, job);
    shard_id shard = 0;
    bool found = false;
    if (r->query_status == OK) {
        Mq__QueryResult *q = mq__query_result__unpack(NULL, r->result.size, r->result.data);
        if (q != NULL && q->n_users == 1) {
            found = true;
            shard = q->users[0]->shard;
        }
        mq__query_result__free_unpacked(q, NULL);
    }
    if (found) {
        service_route_put(r->service, r->header.user, shard);
        go_on(r, shard);
    } else if (r->query_status == STATUS_CLOSED ||
               shards_find(&r->service->node->shards, SHARD_DIRECTORY) == NULL) {
        r->confirming = false;
        request_wait(r, STATUS_BUSY);
    } else if (!r->confirming) {
        confirm(r);
    } else {
        request_refuse(r, STATUS_NOT_FOUND,
                       "no such user is assigned to a shard. What to do: clusterctl user assign");
    }
}

static void look(struct request *r)
{
    struct node_shard *directory = shards_find(&r->service->node->shards, SHARD_DIRECTORY);
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryUser user = MQ__QUERY_USER__INIT;
    user.user = r->user;
    query.body_case = MQ__QUERY__BODY_USER;
    query.user = &user;
    must(mq__query__get_packed_size(&query) <= sizeof(r->route_query));
    size_t size = mq__query__pack(&query, r->route_query);
    r->stage = REQUEST_ROUTING;
    query_job_start(r, directory->replica, (struct bytes){r->route_query, size}, on_looked);
}

void route_start(struct request *r)
{
    shard_id shard;
    struct node_shard *directory = shards_find(&r->service->node->shards, SHARD_DIRECTORY);
    if (service_route_find(r->service, r->header.user, &shard)) {
        go_on(r, shard);
    } else if (directory == NULL) {
        request_wait(r, STATUS_NO_LEADER);
    } else {
        r->confirming = false;
        look(r);
    }
}
