/* Decoding, rights, and which node has to do it: a switchover is done by the leader of the shard,
 * all else by the node that was asked. */
#include "node/admin.h"

#include <stdlib.h>

#include "node/forward.h"
#include "node/node.h"

static uint32_t rights_for(const Mq__Admin *a)
{
    switch (a->body_case) {
        case MQ__ADMIN__BODY_SWITCHOVER:
            return a->switchover->apply ? RIGHT_OPERATE : RIGHT_VIEW;
        case MQ__ADMIN__BODY_USER_ASSIGN:
        case MQ__ADMIN__BODY_CONFIG_SET:
            return RIGHT_ADMIN;
        default:
            return RIGHT_VIEW;
    }
}

/* true: it is done here. */
static bool to_the_leader(struct request *r)
{
    struct node *n = r->service->node;
    struct node_shard *ns = shards_find(&n->shards, r->shard);
    node_id leader = shards_leader(&n->shards, r->shard);
    if (ns != NULL && ns->leads) {
        return true;
    }
    if (shards_record(&n->shards, r->shard) == NULL) {
        request_refuse(r, STATUS_NO_SHARD, NULL);
    } else if (r->header.forwarded) {
        request_refuse(r, STATUS_NOT_LEADER, NULL);
    } else if (leader == 0 || leader == n->self->node || forward_send(r, leader) != OK) {
        request_wait(r, STATUS_NO_LEADER);
    }
    return false;
}

static void start(struct request *r, const Mq__Admin *a)
{
    switch (a->body_case) {
        case MQ__ADMIN__BODY_STATUS:
            r->queries = true;
            status_view_start(r, a->status);
            break;
        case MQ__ADMIN__BODY_VERIFY:
            r->queries = true;
            verify_start(r, a->verify);
            break;
        case MQ__ADMIN__BODY_SWITCHOVER:
            r->queries = !a->switchover->apply;
            if (to_the_leader(r)) {
                switchover_start(r, a->switchover);
            }
            break;
        case MQ__ADMIN__BODY_EVENTS:
            r->queries = true;
            events_start(r, a->events);
            break;
        case MQ__ADMIN__BODY_OPERATIONS:
            r->queries = true;
            operations_start(r);
            break;
        case MQ__ADMIN__BODY_CONFIG:
            r->queries = true;
            config_view_start(r);
            break;
        case MQ__ADMIN__BODY_CONFIG_SET:
            config_set_start(r, a->config_set);
            break;
        case MQ__ADMIN__BODY_USER_ASSIGN:
            assign_start(r, a->user_assign);
            break;
        default:
            request_refuse(r, STATUS_INVALID, "nothing this version can do");
    }
}

void admin_start(struct request *r)
{
    Mq__Admin *a = mq__admin__unpack(NULL, r->payload.size, r->payload.data);
    if (a == NULL) {
        request_refuse(r, STATUS_MALFORMED, "the request does not decode");
        return;
    }
    r->stage = REQUEST_TASK;
    if ((r->rights & rights_for(a)) == 0) {
        request_refuse(r, STATUS_DENIED, "this certificate may not do that");
    } else {
        start(r, a);
    }
    mq__admin__free_unpacked(a, NULL);
}

void admin_finish(struct request *r, Mq__Outcome outcome, enum status s, const char *text,
                  const Mq__AdminResult *result)
{
    struct response a = {.outcome = outcome, .status = s, .text = text};
    uint8_t *packed = NULL;
    if (result != NULL) {
        size_t size = mq__admin_result__get_packed_size(result);
        packed = malloc(size > 0 ? size : 1);
        if (packed != NULL) {
            a.payload = (struct bytes){packed, mq__admin_result__pack(result, packed)};
        }
    }
    request_finish(r, &a);
    free(packed);
}
