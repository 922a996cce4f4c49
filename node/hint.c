/* Touch and subscribe. */
#include "node/hint.h"

#include "node/node.h"
#include "proto/unknown.h"

static void deliver(struct service *s, struct bytes event)
{
    list_each(n, &s->subscribers)
    {
        struct session *to = container_of(n, struct session, subscriber_link);
        (void)connection_send_frame(&to->connection, FRAME_CLIENT_EVENT, event,
                                    (struct bytes){NULL, 0});
    }
}

enum status hint_receive(struct service *s, const struct frame *f)
{
    Mq__Event *e = mq__event__unpack(NULL, f->header.size, f->header.data);
    if (e == NULL) {
        return STATUS_MALFORMED;
    }
    mq__event__free_unpacked(e, NULL);
    deliver(s, f->header);
    return OK;
}

void hint_touch(struct request *r)
{
    struct service *s = r->service;
    Mq__Touch *touch = mq__touch__unpack(NULL, r->payload.size, r->payload.data);
    Mq__Event e = MQ__EVENT__INIT;
    uint8_t packed[2048];
    if (touch == NULL || r->payload.size > sizeof(packed) / 2 || !unknown_fields_ok(&touch->base)) {
        mq__touch__free_unpacked(touch, NULL);
        request_refuse(r, STATUS_MALFORMED, "no hint");
        return;
    }
    e.body_case = MQ__EVENT__BODY_TOUCH;
    e.touch = touch;
    struct bytes event = {packed, mq__event__pack(&e, packed)};
    mq__touch__free_unpacked(touch, NULL);
    deliver(s, event);
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        struct link *l = links_find(&s->node->links, i);
        if (l != NULL) {
            (void)link_send_frame(l, CHANNEL_CONTROL, FRAME_HINT, event, (struct bytes){NULL, 0});
        }
    }
    struct response a = {.outcome = MQ__OUTCOME__OUTCOME_APPLIED, .status = OK};
    request_finish(r, &a);
}

/* Whoever subscribes is a feed; an answer of ours does not depend on what it calls itself. */
static void note_feed(struct service *s, struct session *from, struct bytes payload)
{
    Mq__Subscribe *m = mq__subscribe__unpack(NULL, payload.size, payload.data);
    const char *host = m != NULL && m->host[0] != '\0' ? m->host : from->identity.name;
    snprintf(from->feed, sizeof(from->feed), "%s", host);
    events_add(&s->node->events, "MQ-EVENT-FEED-CONNECTED", EVENT_OK, from->feed, NULL,
               "the feed of %s is connected, store %.60s", from->feed,
               m != NULL && m->store[0] != '\0' ? m->store : "unknown");
    mq__subscribe__free_unpacked(m, NULL);
}

void hint_subscribe(struct request *r)
{
    struct service *s = r->service;
    struct session *from = r->origin;
    if (from == NULL || from->kind != SESSION_CLIENT) {
        request_refuse(r, STATUS_INVALID, "only a client subscribes");
        return;
    }
    if (!from->subscribed) {
        from->subscribed = true;
        list_push_back(&s->subscribers, &from->subscriber_link);
        note_feed(s, from, r->payload);
    }
    struct response a = {.outcome = MQ__OUTCOME__OUTCOME_APPLIED, .status = OK};
    request_finish(r, &a);
}
