/* One request on its way through this node: from a client, forwarded by a peer, or our own. A
 * request in the sense of the style: it completes exactly once (request_finish), whatever becomes
 * of the connection that asked.
 *
 *   new -> ROUTING  user -> shard, from the cache or by queries of the directory
 *       -> SUBMITTED to the shard we lead | FORWARDED to the node that leads it | WAITING for a
 * leader, then again
 *       -> READING (linearizable position) -> QUERYING (a read transaction on a thread)
 *       -> TASK (admin: several requests of our own)
 * Outcome: applied, refused (certainly never applied) or unknown; what was forwarded and not
 * answered is unknown. */
#ifndef MQ_NODE_REQUEST_H
#define MQ_NODE_REQUEST_H

#include "node/command_check.h"
#include "node/replica.h"
#include "node/request_header.h"
#include "node/session.h"
#include "proto/api.pb-c.h"
#include "raft/shard.h"

struct service;
struct request;

#define REQUEST_INLINE_BYTES    1024u
#define REQUEST_DEADLINE_MS     5000u
#define REQUEST_DEADLINE_MS_MAX 120000u
#define RETRY_MS                20u

enum request_stage {
    REQUEST_NEW,
    REQUEST_ROUTING,
    REQUEST_SUBMITTED,
    REQUEST_FORWARDED,
    REQUEST_WAITING,
    REQUEST_READING,
    REQUEST_QUERYING,
    REQUEST_TASK
};

struct response {
    Mq__Outcome outcome;
    enum status status;
    const char *text;       /* NULL = of the status */
    const char *message_id; /* NULL = by the status */
    struct bytes payload;
    const char *leader; /* NULL = as this node knows */
    uint64_t epoch, index, term, age_ms;
};

struct request {
    struct service *service;
    struct list link;       /* service->waiting, ->forwarded or ->free */
    struct session *origin; /* NULL: gone, or our own */
    struct list origin_link;
    void (*done)(struct request *r, const struct response *response); /* our own */
    void *arg;
    struct request_header header; /* user borrowed from user[] */
    char user[USER_BYTES_MAX + 1];
    uint32_t rights;
    struct bytes payload;
    uint8_t *heap; /* the payload when it does not fit inside */
    uint64_t deadline_ms, retry_ms;
    enum request_stage stage;
    enum status last_status; /* why it waits */
    bool routed, confirming;
    bool queries; /* any kind that changes nothing */
    shard_id shard;
    node_id target; /* 0 = who leads it; else that node and no other */
    struct shard_submit submit;
    uint64_t submitted_us;
    struct shard_read read;
    struct job job;
    struct replica *replica;
    struct bytes query;
    struct buffer result;
    enum status query_status;
    uint64_t forward_id;
    node_id forward_node;
    enum channel forward_channel;
    uint8_t route_query[USER_BYTES_MAX + 16];
    uint8_t inside[REQUEST_INLINE_BYTES];
};

uint32_t rights_of(const struct tls_identity *identity);
/* Takes one out of the pool and copies the payload. NULL without memory. */
struct request *request_new(struct service *s, const struct request_header *h,
                            struct bytes payload);
/* Our own, with all rights. */
struct request *request_new_own(struct service *s, Mq__Op op, shard_id shard, struct bytes payload,
                                uint64_t deadline_ms,
                                void (*done)(struct request *r, const struct response *response),
                                void *arg);
/* From any stage that waits for nothing: goes on towards its end. */
void request_advance(struct request *r);
void request_wait(struct request *r, enum status why);
void request_finish(struct request *r, const struct response *response);
void request_refuse(struct request *r, enum status s, const char *text);
/* The connection that asked is gone: its requests go on, their answers are dropped. */
void requests_orphan(struct session *s);

/* request_query.c */
void query_attempt(struct request *r);
/* A query of this node's own replica on a read thread; done sets request->query_status and
 * ->result. */
void query_job_start(struct request *r, struct replica *replica, struct bytes query,
                     void (*done)(struct job *j));
/* request_route.c: sets r->shard and goes on with request_advance(), or refuses. */
void route_start(struct request *r);

#endif
