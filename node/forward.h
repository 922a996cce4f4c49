/* Requests that another node must answer: sent once over the link to it, answered on the same
 * connection, or given up with it. */
#ifndef MQ_NODE_FORWARD_H
#define MQ_NODE_FORWARD_H

#include "node/service.h"

/* The request waits on service->forwarded afterwards; CLOSED or FULL: nothing was sent. */
enum status forward_send(struct request *r, node_id to);
/* FRAME_FORWARD_RESPONSE. */
enum status forward_answered(struct service *s, node_id from, const struct frame *f);
/* What was sent there and not answered is unknown (or, for what changes nothing, tried again). */
void forward_link_closed(struct service *s, node_id to, enum channel channel);
/* The request's deadline has passed. */
void forward_expired(struct request *r);

#endif
