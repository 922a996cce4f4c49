/* The client engine: pure. Bytes in and out, next deadline; its owner has the socket and the loop (poll(2) in clusterctl, libuv in
 * the feed, epoll in the bench). One struct client is one connection; requests are pipelined and complete once.
 *
 * Happy path: client_init -> owner connects -> client_connected -> loop { client_output -> write -> client_written;
 * read -> client_receive; client_tick at client_deadline_ms } ; requests complete through done() from inside receive, tick or
 * client_disconnected, never from inside client_submit.
 * Failure: when the connection ends, every request that was sent completes with OUTCOME_UNKNOWN (submits) or REFUSED with CLOSED
 * (reads and never-sent); the owner deinits, inits and connects again, maybe to another node, and submits again with the same
 * session and sequence. A request past its deadline completes the same way with TIMEOUT; a late answer to it is dropped.
 * Requests are held back until the other side's hello has shown that it is the right cluster, so a wrong one gets nothing.
 * done() may submit further requests; it must not deinit the client. */
#ifndef MQ_PROTO_CLIENT_H
#define MQ_PROTO_CLIENT_H

#include "base/buffer.h"
#include "base/identity.h"
#include "base/list.h"
#include "proto/tls.h"
#include "proto/api.pb-c.h"

#define CLIENT_INFLIGHT_MAX     4096
#define CLIENT_OUTPUT_BYTES_MAX (64u * 1024u * 1024u)

struct client_request { /* request; owned by the caller until done */
    /* in */
    Mq__RequestHeader
        header;           /* id and deadline are filled in; strings borrowed until submit returns */
    struct bytes payload; /* borrowed until submit returns */
    uint32_t deadline_ms; /* relative; 0 = 5,000 */
    void (*done)(struct client_request *r);
    void *arg;
    /* out, valid inside done */
    Mq__Outcome outcome;
    enum status status;
    const Mq__ResponseHeader *response; /* NULL when none came */
    struct bytes result;                /* payload, borrowed until done returns */
    /* the client's */
    struct list link;
    uint64_t deadline_at_ms;
    bool sent;
};

struct client {
    struct tls *tls; /* NULL on the unix socket */
    struct buffer in, out;
    size_t in_at, out_at, plain_at; /* what is consumed from the front of each */
    struct list requests;           /* in the order of submission */
    struct client_request **slots;  /* by id modulo CLIENT_INFLIGHT_MAX */
    uint32_t requests_n;
    uint64_t deadline_min_ms; /* no request is due before; may lag behind completions */
    uint64_t next_id;
    uint64_t now_ms;
    bool connected, hello_sent, hello_received, failed;
    char server_node[NAME_MAX_BYTES + 1]; /* from its hello */
    struct uuid cluster;                  /* from its hello; compared when expected is not zero */
    struct uuid cluster_expected;
    char error_text[256];
    void (*on_event)(void *arg, const Mq__Event *event);
    void *event_arg;
    struct buffer plain; /* request frames not yet encrypted: one record holds many */
};

/* context NULL: no TLS (unix socket). Must be deinited after any result. */
enum status client_init(struct client *c, struct tls_context *context,
                        const struct uuid *cluster_expected);
void client_deinit(struct client *c); /* requests still open complete as if disconnected */
void client_connected(struct client *c, uint64_t now_ms);
/* FULL above CLIENT_INFLIGHT_MAX or CLIENT_OUTPUT_BYTES_MAX, TOO_BIG for a payload over its limit, CLOSED after a failure; may be called before the connection is ready (queued). */
enum status client_submit(struct client *c, uint64_t now_ms, struct client_request *r);
/* Any status but OK: close the connection and call client_disconnected (error_text says why). */
enum status client_receive(struct client *c, uint64_t now_ms, const uint8_t *data, size_t size);
/* What is to be written now; empty = nothing. Takes what is pending in bulk, so call it once a turn of the loop, not a request. */
struct bytes client_output(struct client *c);
void client_written(struct client *c, size_t size);
/* UINT64_MAX = none. */
uint64_t client_deadline_ms(const struct client *c);
void client_tick(struct client *c, uint64_t now_ms);
void client_disconnected(struct client *c, const char *why);
bool client_ready(const struct client *c); /* hellos exchanged */

#endif
