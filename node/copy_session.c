/* The source's side of a copy: one request, then frames of the host one at a time, each after the
 * one before has left. */
#include "node/session.h"

#include "base/log_line.h"
#include "node/node.h"
#include "proto/peer.pb-c.h"

enum status copy_session_frame(struct session *s, const struct frame *f)
{
    if (s->source != NULL || f->kind != FRAME_COPY_REQUEST) {
        return STATUS_MALFORMED;
    }
    node_id from = 0;
    if (s->identity.kind == TLS_NODE) {
        const struct founding_node *node = founding_find_name(&s->node->founding, s->identity.name);
        if (node == NULL) {
            connection_close(&s->connection, STATUS_WRONG_NODE, "%s is no node of this cluster",
                             s->identity.name);
            return STATUS_WRONG_NODE;
        }
        from = node->node;
    }
    connection_set_established(&s->connection);
    enum status st = copy_source_new(s->node->host, from, f, &s->source);
    if (st != OK) {
        log_warn("event=copy.refused to=%s status=%s", s->identity.name, status_name(st));
        return st;
    }
    copy_source_set_user(s->source, s);
    loop_again(&s->node->loop);
    return OK;
}

void copy_session_deny(struct session *s)
{
    Mq__CopyHead m = MQ__COPY_HEAD__INIT;
    uint8_t packed[128];
    m.status = STATUS_DENIED;
    m.text = (char *)status_text(STATUS_DENIED);
    struct bytes header = {packed, mq__copy_head__pack(&m, packed)};
    if (connection_send_frame(&s->connection, FRAME_COPY_HEAD, header, (struct bytes){NULL, 0}) !=
        OK) {
        connection_close(&s->connection, STATUS_DENIED, "%s", m.text);
    }
}

/* The head may be sent from inside copy_source_new(), before the source knows its session. */
static struct session *session_of(struct node *n, struct copy_source *c)
{
    if (copy_source_user(c) != NULL) {
        return copy_source_user(c);
    }
    list_each(at, &n->listener.sessions)
    {
        struct session *s = container_of(at, struct session, link);
        if (s->source == c) {
            return s;
        }
    }
    return NULL;
}

void copy_session_send(struct node *n, struct copy_source *c, struct block *frame)
{
    struct session *s = session_of(n, c);
    if (s == NULL) {
        return;
    }
    s->sending = true;
    if (connection_send_block(&s->connection, frame) != OK) {
        connection_close(&s->connection, STATUS_FULL, "a frame of a copy does not fit");
    }
}

void copy_session_end(struct node *n, struct copy_source *c)
{
    struct session *s = session_of(n, c);
    if (s != NULL) {
        connection_finish(&s->connection, OK, "finished");
    }
}

void copy_session_drained(struct session *s)
{
    if (s->sending && s->source != NULL) {
        s->sending = false;
        copy_source_written(s->source);
        loop_again(&s->node->loop);
    }
}

void copy_session_closed(struct session *s)
{
    copy_source_free(s->source); /* NULL is ok */
    s->source = NULL;
}
