/* One connection that carries frames: TCP under TLS, or the unix socket without. A handle,
 * embedded in its owner.
 *
 * Happy path: connection_init_* -> ready() once the TLS handshake has verified the other side ->
 * frame() for each whole frame; connection_send_* append to a bounded buffer, and everything
 * queued in one turn of the loop leaves in few TLS records and one write (connection_flush_all at
 * the end of the turn). Failure: anything wrong on the wire, a deadline (handshake, a frame that
 * does not end, a write that does not move) or connection_close() leads to closed(), once, later,
 * from the loop: only then may the owner reuse or free the memory. */
#ifndef MQ_NODE_CONNECTION_H
#define MQ_NODE_CONNECTION_H

#include <uv.h>

#include "base/buffer.h"
#include "base/list.h"
#include "proto/frame.h"
#include "proto/tls.h"

struct loop;
struct connection;

#define CONNECTION_TEXT_MAX 160
#define HANDSHAKE_MS_MAX    5000u
#define FRAME_MS_MAX        15000u /* a frame that has begun must end */
#define WRITE_STALL_MS_MAX  15000u /* bytes wait and none is taken */

struct connection_ops {
    void (*ready)(struct connection *c);
    /* OK: taken. BUSY: keep it, stop reading, give it again after connection_resume(). Anything
     * else: close. */
    enum status (*frame)(struct connection *c, const struct frame *f);
    /* All that was queued has been handed to the kernel. May be NULL. */
    void (*drained)(struct connection *c);
    /* Last call. */
    void (*closed)(struct connection *c, enum status why, const char *text);
};

struct connection {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    };
    uv_write_t write;
    struct loop *loop;
    const struct connection_ops *ops;
    struct tls *tls;             /* NULL on the unix socket */
    struct tls_context *context; /* of tls: must outlive it */
    struct buffer in, out, cipher, flight;
    size_t in_at, out_at; /* consumed from the front */
    size_t flight_at;
    size_t out_bytes_max;
    struct list link;       /* loop->connections */
    struct list dirty_link; /* loop->dirty */
    uint64_t opened_ms, partial_since_ms, write_since_ms;
    bool started, is_ready, established, writing, paused, closing, close_when_flushed, in_frames;
    enum status why;
    char text[CONNECTION_TEXT_MAX];
    char address[64]; /* of the other side, for log lines */
};

/* Before anything else; the uv handle is initialised, nothing runs. */
enum status connection_init_tcp(struct connection *c, struct loop *l,
                                const struct connection_ops *ops, size_t out_bytes_max);
enum status connection_init_pipe(struct connection *c, struct loop *l,
                                 const struct connection_ops *ops, size_t out_bytes_max);
/* The stream is connected: starts reading and the handshake. tls NULL: none. */
void connection_start(struct connection *c, struct tls_context *context, bool server,
                      const char *const *alpns);
/* FULL over out_bytes_max, CLOSED when closing. */
enum status connection_send_frame(struct connection *c, enum frame_kind kind, struct bytes header,
                                  struct bytes payload);
enum status connection_send_block(struct connection *c, const struct block *frame);
size_t connection_queued(const struct connection *c);
void connection_pause(struct connection *c);
void connection_resume(struct connection *c);
/* Idempotent. why and text are what closed() gets. */
void connection_close(struct connection *c, enum status why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Closes once everything queued has left; the first why and text are what closed() gets. */
void connection_finish(struct connection *c, enum status why, const char *text);
bool connection_is_open(const struct connection *c);
/* Marks hello done: the handshake deadline no longer counts. */
void connection_set_established(struct connection *c);

/* Called by the loop. */
void connection_flush_all(struct loop *l);
void connection_tick_all(struct loop *l, uint64_t now_ms);

#endif
