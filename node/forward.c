/* FORWARD out, FORWARD_RESPONSE in; and what happens to a request whose answer will not come. */
#include "node/forward.h"

#include <string.h>

#include "base/must.h"
#include "node/node.h"

#define CONTROL_BYTES_MAX    8192u
#define MESSAGE_ID_BYTES_MAX 63u

enum status forward_send(struct request *r, node_id to)
{
    struct service *s = r->service;
    struct link *link = links_find(&s->node->links, to);
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    uint8_t packed[512];
    uint64_t now = s->node->loop.now_ms;
    if (link == NULL || now >= r->deadline_ms) {
        return STATUS_CLOSED;
    }
    h.id = s->next_forward_id;
    h.op = (Mq__Op)r->header.op;
    h.user = r->user;
    h.shard = r->shard;
    h.deadline_ms = (uint32_t)(r->deadline_ms - now);
    token.epoch = r->header.session.epoch;
    token.position = r->header.session.position;
    h.session = token.position != 0 ? &token : NULL;
    h.sequence = r->header.sequence;
    h.acknowledged = r->header.acknowledged;
    h.consistency = (Mq__Consistency)r->header.consistency;
    h.forwarded = 1;
    h.min_epoch = r->header.min_epoch;
    h.min_index = r->header.min_index;
    must(mq__request_header__get_packed_size(&h) <= sizeof(packed));
    size_t size = mq__request_header__pack(&h, packed);
    enum channel channel = r->payload.size > CONTROL_BYTES_MAX ? CHANNEL_BULK : CHANNEL_CONTROL;
    enum status st =
        link_send_frame(link, channel, FRAME_FORWARD, (struct bytes){packed, size}, r->payload);
    if (st != OK) {
        return st;
    }
    r->stage = REQUEST_FORWARDED;
    r->forward_id = s->next_forward_id++;
    r->forward_node = to;
    r->forward_channel = channel;
    list_remove(&r->link);
    list_push_back(&s->forwarded, &r->link);
    return OK;
}

/* Ids grow along the list, answers come roughly in order: the search is short. */
static struct request *find(struct service *s, node_id from, uint64_t id)
{
    list_each(n, &s->forwarded)
    {
        struct request *r = container_of(n, struct request, link);
        if (r->forward_id == id) {
            return r->forward_node == from ? r : NULL;
        }
        if (r->forward_id > id) {
            break;
        }
    }
    return NULL;
}

/* It is told to the client in a header that has room for names, not for whatever comes. */
static bool header_ok(const Mq__ResponseHeader *h)
{
    return h->outcome >= MQ__OUTCOME__OUTCOME_APPLIED &&
           h->outcome <= MQ__OUTCOME__OUTCOME_UNKNOWN && strlen(h->leader) <= NAME_MAX_BYTES &&
           strlen(h->message_id) <= MESSAGE_ID_BYTES_MAX;
}

enum status forward_answered(struct service *s, node_id from, const struct frame *f)
{
    Mq__ResponseHeader *h = mq__response_header__unpack(NULL, f->header.size, f->header.data);
    if (h == NULL || !header_ok(h)) {
        mq__response_header__free_unpacked(h, NULL);
        return STATUS_MALFORMED;
    }
    struct request *r = find(s, from, h->id);
    enum status st = h->status < STATUS_COUNT ? (enum status)h->status : STATUS_INTERNAL;
    if (r == NULL) { /* late */
        mq__response_header__free_unpacked(h, NULL);
        return OK;
    }
    list_remove(&r->link);
    bool again = st == STATUS_NOT_LEADER || st == STATUS_NO_LEADER || st == STATUS_BUSY ||
                 st == STATUS_CLOSED;
    if (h->outcome == MQ__OUTCOME__OUTCOME_REFUSED && again && r->target == 0) {
        request_wait(r, STATUS_NO_LEADER);
    } else {
        struct response a = {.outcome = h->outcome,
                             .status = st,
                             .text = h->text,
                             .message_id = h->message_id,
                             .payload = f->payload,
                             .leader = h->leader,
                             .epoch = h->epoch,
                             .index = h->index,
                             .term = h->term,
                             .age_ms = h->age_ms};
        if (st == STATUS_MOVED && r->header.user.size > 0) {
            service_route_drop(s, r->header.user);
        }
        request_finish(r, &a);
    }
    mq__response_header__free_unpacked(h, NULL);
    return OK;
}

static void unanswered(struct request *r)
{
    struct response a = {.outcome = MQ__OUTCOME__OUTCOME_UNKNOWN, .status = STATUS_UNKNOWN_OUTCOME};
    list_remove(&r->link);
    if (r->queries && r->target != 0) {
        request_refuse(r, STATUS_UNREACHABLE, NULL);
    } else if (r->queries) {
        request_wait(r, STATUS_NO_LEADER);
    } else {
        request_finish(r, &a);
    }
}

void forward_link_closed(struct service *s, node_id to, enum channel channel)
{
    struct list gone;
    list_init(&gone);
    list_each_safe(n, &s->forwarded)
    {
        struct request *r = container_of(n, struct request, link);
        if (r->forward_node == to && r->forward_channel == channel) {
            list_remove(n);
            list_push_back(&gone, n);
        }
    }
    for (struct list *n = list_pop(&gone); n != NULL; n = list_pop(&gone)) {
        unanswered(container_of(n, struct request, link));
    }
}

void forward_expired(struct request *r)
{
    if (r->queries) {
        request_refuse(r, STATUS_TIMEOUT, NULL);
    } else {
        unanswered(r);
    }
}
