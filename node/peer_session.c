/* What another node sends us: hello first, then Raft frames to the host, views, forwards, hints,
 * words of feeds, pings. */
#include "node/session.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "node/forward.h"
#include "node/greeting.h"
#include "node/hint.h"
#include "node/node.h"
#include "node/request.h"
#include "proto/peer.pb-c.h"

static enum status on_hello(struct session *s, const struct frame *f)
{
    struct greeting g;
    struct error e = {0};
    enum status st = greeting_receive(s->node, &s->connection, f, 0, &g, &e);
    if (st != OK) {
        log_warn("event=peer.refused message=MQ-PEER-REFUSED certificate=%s address=%s text=\"%s\"",
                 s->identity.name, s->connection.address, e.text);
        connection_close(&s->connection, st, "%.150s", e.text);
        return st;
    }
    s->greeted = true;
    s->peer = g.node;
    s->incarnation = g.incarnation;
    s->channel = g.channel;
    connection_set_established(&s->connection);
    st = greeting_send(s->node, &s->connection, g.node, g.channel);
    link_greeted(links_find(&s->node->links, g.node), g.incarnation);
    founder_heard(&s->node->founder, &g);
    return st;
}

/* Back with our clock. */
static enum status on_ping(struct session *s, const struct frame *f)
{
    uint8_t packed[64];
    Mq__Ping *p = mq__ping__unpack(NULL, f->header.size, f->header.data);
    if (p == NULL) {
        return STATUS_MALFORMED;
    }
    p->wall_us = clock_wall_ms(&clock_system) * 1000;
    struct bytes header = {packed, 0};
    if (mq__ping__get_packed_size(p) <= sizeof(packed)) { /* unknown fields may be any size */
        header.size = mq__ping__pack(p, packed);
        (void)connection_send_frame(&s->connection, FRAME_PONG, header, (struct bytes){NULL, 0});
    }
    mq__ping__free_unpacked(p, NULL);
    return OK;
}

enum status peer_session_frame(struct session *s, const struct frame *f)
{
    struct node *n = s->node;
    if (!s->greeted) {
        return on_hello(s, f);
    }
    link_heard(links_find(&n->links, s->peer));
    switch ((int)f->kind) {
        case FRAME_RAFT:
        case FRAME_READ_ROUND:
        case FRAME_READ_ACK:
        case FRAME_READ_INDEX:
        case FRAME_READ_INDEX_ACK:
            /* What the host drops it counts; a frame for a shard we do not run yet is no reason to
             * hang up. */
            (void)host_receive(n->host, s->peer, f);
            return OK;
        case FRAME_PING:
            return on_ping(s, f);
        case FRAME_PEER_VIEW:
            return view_receive(&n->views, s->peer, f->payload);
        case FRAME_FORWARD:
            return service_receive(&n->service, s, f);
        case FRAME_FEED:
            return feed_table_receive(n, f->payload);
        case FRAME_HINT:
            return hint_receive(&n->service, f);
        default:
            return STATUS_MALFORMED;
    }
}

void peer_session_closed(struct session *s, const char *text)
{
    if (s->greeted) {
        log_debug("event=peer.session_closed peer=%u text=\"%s\"", s->peer, text);
    }
    requests_orphan(s);
}
