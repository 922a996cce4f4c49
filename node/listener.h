/* Accepts connections on the TCP port and the unix socket, within limits: pending handshakes (the
 * oldest gives way), connections of clients in all and from one address. Peers are never counted
 * out by clients. */
#ifndef MQ_NODE_LISTENER_H
#define MQ_NODE_LISTENER_H

#include <uv.h>

#include "base/error.h"
#include "base/identity.h"
#include "base/list.h"

struct node;

struct listener {
    struct node *node;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    bool tcp_open, pipe_open, stopped;
    struct list sessions; /* struct session, in order of arrival */
    unsigned pending_n, clients_n, copies_n, peers_n;
    uint64_t refused_total, refused_logged_ms;
};

enum status listener_open(struct listener *l, struct node *n, struct error *e);
/* Closes what this peer has connected, so that nothing more of it is read; all but those of one life of it (0: all). */
void listener_drop_peer(struct listener *l, node_id peer, uint64_t but_incarnation);
/* Stops accepting and closes every session. */
void listener_stop(struct listener *l);

#endif
