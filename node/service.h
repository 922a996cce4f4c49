/* The native API of this node: admission, routing, and the lists on which requests wait.
 * Everything is bounded: requests and bytes of a connection, of the node; over it a request is
 * refused OVERLOAD before anything exists. */
#ifndef MQ_NODE_SERVICE_H
#define MQ_NODE_SERVICE_H

#include "node/request.h"

struct node;

#define ROUTES_N          16384u /* direct-mapped cache of user -> shard */
#define FREE_REQUESTS_MAX 2048u

struct route {
    uint32_t shard_plus_one; /* 0 = empty */
    uint8_t size;
    char user[59];
};

struct service {
    struct node *node;
    struct list waiting, forwarded, free;
    unsigned free_n;
    uint64_t requests_n, bytes;
    uint64_t next_forward_id;
    struct list subscribers; /* struct session, subscriber_link */
    struct list tasks;       /* struct task (admin.h) */
    struct route *routes;
    bool in_tick;
    uint64_t overload_total, received_total;
    struct assigner *assigner;
};

enum status service_init(struct service *s, struct node *n);
void service_deinit(struct service *s);
/* FRAME_CLIENT_REQUEST of a client or FRAME_FORWARD of a peer. MALFORMED: close the connection. */
enum status service_receive(struct service *s, struct session *from, const struct frame *f);
/* Deadlines and retries. */
void service_tick(struct service *s, uint64_t now_ms);
/* A shard got a leader: what waits for one goes on at once. */
void service_leader_known(struct service *s, shard_id shard);
void service_route_put(struct service *s, struct bytes user, shard_id shard);
void service_route_drop(struct service *s, struct bytes user);
bool service_route_find(struct service *s, struct bytes user, shard_id *out_shard);

#endif
