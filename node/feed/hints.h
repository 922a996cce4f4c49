/* A listener on loopback that Dovecot's event exporter posts to: each event makes its user dirty at once. A handle.
 *
 *   hints_open -> a connection -> hint_request_take() -> user() -> "200" -> the next request of the same connection
 *
 * Hints are never needed: who is not told finds out by the next sweep. So a connection over HINTS_CONNECTIONS_MAX is closed, one that
 * sends what is no request is closed, one that is silent for HINTS_IDLE_MS is closed, and what was lost with them is not missed. Anyone
 * on this host may say that a user has changed: that costs one look at the user, delayed as any hint. */
#ifndef MQ_NODE_FEED_HINTS_H
#define MQ_NODE_FEED_HINTS_H

#include <stdbool.h>
#include <uv.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/list.h"
#include "node/feed/hint_request.h"

#define HINTS_CONNECTIONS_MAX 64u
#define HINTS_IDLE_MS         60000u

struct hints {
    uv_tcp_t tcp;
    bool open, closing;
    struct list connections;
    uint32_t connections_n;
    uint64_t requests, refused;
    void (*user)(struct hints *h, const char *user);
    void *arg;
};

/* address: "127.0.0.1:PORT" or "[::1]:PORT". user and arg are set by the caller before. */
enum status hints_open(struct hints *h, uv_loop_t *loop, const char *address, struct error *e);
/* Everything is gone when the loop has run on; does nothing when not open. */
void hints_close(struct hints *h);
/* INVALID with a sentence unless address is a loopback address with a port. */
enum status hints_check_address(const char *address, struct sockaddr_storage *out_a,
                                struct error *e);

#endif
