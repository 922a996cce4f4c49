/* The first frame of each side of a peer connection: who, of which cluster, in which life (I2).
 * Checked against the certificate: a valid certificate of another node or cluster is refused here,
 * with a log line, and stops nothing. */
#ifndef MQ_NODE_GREETING_H
#define MQ_NODE_GREETING_H

#include "node/connection.h"
#include "raft/host.h"

struct node;

struct greeting {
    node_id node;
    enum channel channel;
    bool blank, acquainted;
    uint64_t incarnation, nonce, previous_nonce;
};

enum status greeting_send(struct node *n, struct connection *c, node_id to, enum channel channel);
/* expected: 0 = any node of the founding file. e says why it is refused. */
enum status greeting_receive(struct node *n, struct connection *c, const struct frame *f,
                             node_id expected, struct greeting *out_g, struct error *e);

#endif
