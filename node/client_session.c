/* The native API's side of a connection: hello, then requests; answers go out as they come. A
 * client that does not read its answers is not read either, and is closed when its answers fill
 * the bound of the connection. */
#include "node/session.h"

#include <string.h>

#include "base/log_line.h"
#include "node/node.h"
#include "node/request.h"
#include "proto/api.pb-c.h"

/* NULL: it may go on. */
static const char *check_hello(const struct session *s, const Mq__ClientHello *h,
                               enum status *out_why)
{
    if (h->version == 0 || h->version + 1 < WIRE_VERSION || h->version > WIRE_VERSION + 1) {
        *out_why = STATUS_VERSION;
        return "client of another wire version";
    }
    if (h->cluster_id.len != 0 &&
        (h->cluster_id.len != 16 ||
         memcmp(h->cluster_id.data, s->node->founding.cluster.bytes, 16) != 0)) {
        *out_why = STATUS_WRONG_CLUSTER;
        return "client of another cluster";
    }
    return NULL;
}

static enum status send_hello(struct session *s)
{
    Mq__ClientHello own = MQ__CLIENT_HELLO__INIT;
    char software[] = "mailquorumd " NODE_VERSION;
    uint8_t packed[512];
    own.version = WIRE_VERSION;
    own.software = software;
    own.cluster_id = (ProtobufCBinaryData){16, s->node->founding.cluster.bytes};
    own.node = s->node->config.name;
    size_t size = mq__client_hello__pack(&own, packed);
    return connection_send_frame(&s->connection, FRAME_CLIENT_HELLO, (struct bytes){packed, size},
                                 (struct bytes){NULL, 0});
}

/* Our hello goes out also to one that we do not serve: its user reads there why, where a closed connection says nothing. */
static enum status on_hello(struct session *s, const struct frame *f)
{
    enum status why = OK;
    if (f->kind != FRAME_CLIENT_HELLO) {
        return STATUS_MALFORMED;
    }
    Mq__ClientHello *h = mq__client_hello__unpack(NULL, f->header.size, f->header.data);
    if (h == NULL) {
        return STATUS_MALFORMED;
    }
    const char *text = check_hello(s, h, &why);
    mq__client_hello__free_unpacked(h, NULL);
    enum status st = send_hello(s);
    if (text != NULL) {
        s->denied = true;
        connection_finish(&s->connection, why, text);
        return OK;
    }
    s->greeted = true;
    connection_set_established(&s->connection);
    log_debug("event=client.connected address=%s identity=%s/%s serial=%s", s->connection.address,
              tls_identity_kind_name(s->identity.kind), s->identity.name, s->identity.serial);
    return st;
}

enum status client_session_frame(struct session *s, const struct frame *f)
{
    if (s->denied) {
        return OK;
    }
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
