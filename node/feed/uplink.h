/* The feed's connection to the cluster: one node at a time out of a list, over TLS or a unix socket. A handle around
 * proto/client's pure engine.
 *
 * Happy path: uplink_start -> connects -> hellos -> up() -> uplink_submit(); hints arrive through event().
 * Failure: a connection that ends (or never begins) is followed by one to the next node of the list, after 100 ms doubling up to 5 s
 * while nothing works; requests under way complete as the client engine says (unknown or refused). A node that answers nothing to
 * UPLINK_SILENT_MAX requests in a row is left for the next one. uplink_submit without a connection is CLOSED: wait for up(). */
#ifndef MQ_NODE_FEED_UPLINK_H
#define MQ_NODE_FEED_UPLINK_H

#include <stdbool.h>
#include <uv.h>

#include "base/settings.h"
#include "proto/client.h"

#define UPLINK_BACKOFF_MIN_MS 100u
#define UPLINK_BACKOFF_MAX_MS 5000u
#define UPLINK_CONNECT_MS     5000u
#define UPLINK_WRITE_MAX      (256u * 1024u)
#define UPLINK_SILENT_MAX     3u

enum uplink_state {
    UPLINK_WAITING,
    UPLINK_CONNECTING,
    UPLINK_OPEN,
    UPLINK_CLOSING,
    UPLINK_STOPPED
};

struct uplink {
    uv_loop_t *loop;
    const struct setting_list *nodes; /* borrowed */
    struct tls_context *tls;          /* borrowed; NULL without TLS nodes */
    struct uuid cluster;
    enum uplink_state state;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } socket;
    uv_timer_t timer; /* backoff, connect, the client's deadlines */
    uv_getaddrinfo_t resolving;
    uv_connect_t connect;
    uv_write_t write;
    bool resolving_now, socket_open, writing, ready, stopping, client_live;
    uv_prepare_t flush;
    struct client client;
    unsigned node; /* place in the list */
    uint64_t backoff_ms, opened_ms;
    unsigned silent;
    uint64_t connections; /* for the status line */
    unsigned open_handles;
    char why[256];
    char read_buffer[64 * 1024];
    uint8_t *write_data;
    void (*up)(struct uplink *u);
    void (*down)(struct uplink *u, const char *why);
    void (*event)(struct uplink *u, const Mq__Event *event);
    void (*stopped)(struct uplink *u);
    void *arg;
};

/* Callbacks and arg are set by the caller before. */
enum status uplink_start(struct uplink *u, uv_loop_t *loop, const struct setting_list *nodes,
                         struct tls_context *tls, const struct uuid *cluster);
/* Requests under way complete first; then stopped(). */
void uplink_stop(struct uplink *u);
/* As client_submit; CLOSED when no connection is ready. */
enum status uplink_submit(struct uplink *u, struct client_request *r);
/* An owner whose request came back without an answer says so; one with an answer clears the count. */
void uplink_heard(struct uplink *u, bool answered);
static inline bool uplink_ready(const struct uplink *u)
{
    return u->ready;
}
const char *uplink_node(const struct uplink *u); /* its address in the list */

#endif
