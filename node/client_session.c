/* The native API's side of a connection: hello, then requests; answers go out as they come. A
 * client that does not read its answers is not read either, and is closed when its answers fill
 * the bound of the connection. */
#include "node/session.h"

#include <string.h>

#include "base/log_line.h"
#include "node/node.h"
#include "node/request.h"
#include "proto/api.pb-c.h"

static enum status check_hello(struct session *s, const Mq__ClientHello *h)
{
    if (h->version == 0 || h->version + 1 < WIRE_VERSION || h->version > WIRE_VERSION + 1) {
        connection_close(&s->connection, STATUS_VERSION,
                         "client speaks wire version %u, this node %u", h->version, WIRE_VERSION);
        return STATUS_VERSION;
    }
    if (h->cluster_id.len != 0 &&
        (h->cluster_id.len != 16 ||
         memcmp(h->cluster_id.data, s->node->founding.cluster.bytes, 16) != 0)) {
        connection_close(&s->connection, STATUS_WRONG_CLUSTER, "client of another cluster");
        return STATUS_WRONG_CLUSTER;
    }
    return OK;
}

static enum status on_hello(struct session *s, const struct frame *f)
{
    if (f->kind != FRAME_CLIENT_HELLO) {
        return STATUS_MALFORMED;
    }
    Mq__ClientHello *h = mq__client_hello__unpack(NULL, f->header.size, f->header.data);
    if (h == NULL) {
        return STATUS_MALFORMED;
    }
    enum status st = check_hello(s, h);
    mq__client_hello__free_unpacked(h, NULL);
    if (st != OK) {
        return st;
    }
    Mq__ClientHello own = MQ__CLIENT_HELLO__INIT;
    char software[] = "mailquorumd " NODE_VERSION;
    uint8_t packed[512];
    own.version = WIRE_VERSION;
    own.software = software;
    own.cluster_id = (ProtobufCBinaryData){16, s->node->founding.cluster.bytes};
    own.node = s->node->config.name;
    size_t size = mq__client_hello__pack(&own, packed);
    s->greeted = true;
    connection_set_established(&s->connection);
    log_debug("event=client.connected address=%s identity=%s/%s", s->connection.address,
              tls_identity_kind_name(s->identity.kind), s->identity.name);
    return connection_send_frame(&s->connection, FRAME_CLIENT_HELLO, (struct bytes){packed, size},
                                 (struct bytes){NULL, 0});
}

enum status client_session_frame(struct session *s, const struct frame *f)
{
    if (!s->greeted) {
        return on_hello(s, f);
    }
    if (f->kind != FRAME_CLIENT_REQUEST) {
        return STATUS_MALFORMED;
    }
    return service_receive(&s->node->service, s, f);
}

void client_session_drained(struct session *s)
{
    connection_resume(&s->connection);
}

void client_session_closed(struct session *s, const char *text)
{
    log_debug("event=client.disconnected address=%s text=\"%s\"", s->connection.address, text);
    if (s->subscribed) {
        events_add(&s->node->events, "MQ-EVENT-FEED-LOST", EVENT_YELLOW, s->feed, NULL,
                   "the feed of %s is not connected any more: %.120s", s->feed, text);
    }
    list_remove(&s->subscriber_link);
    requests_orphan(s);
}
