/* Connections over libuv: bytes in -> TLS -> frames to the owner; frames of one turn -> TLS
 * records -> one write.
 *
 * Three buffers lead out: `out` holds plain frames, `cipher` what TLS made of them, `flight` what
 * a uv_write is working on. A flush encrypts at most CHUNK bytes at a time and only while the
 * socket takes them, so that a slow peer costs its window of plain bytes and no more. Fails by
 * closing; the reason is kept for closed(). */
#include "node/connection.h"

#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/must.h"
#include "node/loop.h"

#define CHUNK_BYTES (256u * 1024u)
#define KEPT_BYTES  (256u * 1024u) /* an empty buffer larger than this is given back */

static void init_common(struct connection *c, struct loop *l, const struct connection_ops *ops,
                        size_t out_bytes_max)
{
    c->loop = l;
    c->ops = ops;
    c->out_bytes_max = out_bytes_max;
    c->opened_ms = l->now_ms;
    c->stream.data = c;
    list_push_back(&l->connections, &c->link);
    l->connections_n++;
}

enum status connection_init_tcp(struct connection *c, struct loop *l,
                                const struct connection_ops *ops, size_t out_bytes_max)
{
    memset(c, 0, sizeof(*c));
    if (uv_tcp_init(&l->uv, &c->tcp) != 0) {
        return STATUS_NO_MEMORY;
    }
    init_common(c, l, ops, out_bytes_max);
    return OK;
}

enum status connection_init_pipe(struct connection *c, struct loop *l,
                                 const struct connection_ops *ops, size_t out_bytes_max)
{
    memset(c, 0, sizeof(*c));
    if (uv_pipe_init(&l->uv, &c->pipe, 0) != 0) {
        return STATUS_NO_MEMORY;
    }
    init_common(c, l, ops, out_bytes_max);
    return OK;
}

/* ---- closing ---- */

static void on_close(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    struct loop *l = c->loop;
    list_remove(&c->link);
    list_remove(&c->dirty_link);
    l->connections_n--;
    tls_free(c->tls);
    c->tls = NULL;
    buffer_deinit(&c->in);
    buffer_deinit(&c->out);
    buffer_deinit(&c->cipher);
    buffer_deinit(&c->flight);
    c->ops->closed(c, c->why, c->text);
}

void connection_close(struct connection *c, enum status why, const char *format, ...)
{
    if (c->closing) {
        return;
    }
    va_list args;
    va_start(args, format);
    vsnprintf(c->text, sizeof(c->text), format, args);
    va_end(args);
    c->why = why;
    c->closing = true;
    if (c->cipher.size > 0 && !c->writing && c->started) { /* the alert, as far as it goes */
        uv_buf_t b = uv_buf_init((char *)c->cipher.data, (unsigned)c->cipher.size);
        (void)uv_try_write(&c->stream, &b, 1);
    }
    uv_close(&c->handle, on_close);
}

bool connection_is_open(const struct connection *c)
{
    return c->is_ready && !c->closing;
}

void connection_set_established(struct connection *c)
{
    c->established = true;
}

/* ---- out ---- */

static void mark_dirty(struct connection *c)
{
    if (!list_linked(&c->dirty_link) && !c->closing) {
        list_push_back(&c->loop->dirty, &c->dirty_link);
    }
}

size_t connection_queued(const struct connection *c)
{
    return c->out.size - c->out_at + c->cipher.size + (c->flight.size - c->flight_at);
}

static enum status room(struct connection *c, size_t size)
{
    if (c->closing || c->close_when_flushed) {
        return STATUS_CLOSED;
    }
    return connection_queued(c) + size > c->out_bytes_max ? STATUS_FULL : OK;
}

enum status connection_send_frame(struct connection *c, enum frame_kind kind, struct bytes header,
                                  struct bytes payload)
{
    enum status s = room(c, FRAME_HEAD_SIZE + header.size + payload.size);
    if (s == OK) {
        s = frame_encode(&c->out, kind, header, payload);
    }
    if (s == OK) {
        mark_dirty(c);
    }
    return s;
}

enum status connection_send_block(struct connection *c, const struct block *frame)
{
    enum status s = room(c, frame->size);
    if (s == OK) {
        s = buffer_append(&c->out, frame->data, frame->size);
    }
    if (s == OK) {
        mark_dirty(c);
    }
    return s;
}

void connection_finish(struct connection *c, enum status why, const char *text)
{
    if (c->close_when_flushed || c->closing) {
        return;
    }
    c->why = why;
    snprintf(c->text, sizeof(c->text), "%s", text);
    c->close_when_flushed = true;
    mark_dirty(c);
}

static void give_back(struct buffer *b)
{
    if (b->size == 0 && b->capacity > KEPT_BYTES) {
        buffer_deinit(b);
    }
}

/* A chunk of plain bytes becomes cipher. */
static enum status encrypt(struct connection *c)
{
    size_t n = c->out.size - c->out_at;
    enum status s = OK;
    if (n == 0 || !c->is_ready) {
        return OK;
    }
    n = n < CHUNK_BYTES ? n : CHUNK_BYTES;
    s = c->tls != NULL ? tls_send(c->tls, c->out.data + c->out_at, n, &c->cipher)
                       : buffer_append(&c->cipher, c->out.data + c->out_at, n);
    c->out_at += n;
    if (c->out_at == c->out.size) {
        buffer_clear(&c->out);
        c->out_at = 0;
        give_back(&c->out);
    } else if (c->out_at > c->out.size / 2) {
        buffer_consume(&c->out, c->out_at);
        c->out_at = 0;
    }
    return s;
}

static void flush(struct connection *c);

static void on_written(uv_write_t *request, int rv)
{
    struct connection *c = request->data;
    c->writing = false;
    buffer_clear(&c->flight);
    c->flight_at = 0;
    give_back(&c->flight);
    if (c->closing) {
        return;
    }
    if (rv != 0) {
        connection_close(c, STATUS_CLOSED, "write: %s", uv_strerror(rv));
        return;
    }
    flush(c);
}

/* What the socket does not take at once is left to libuv. */
static void write_cipher(struct connection *c)
{
    uv_buf_t b = uv_buf_init((char *)c->cipher.data, (unsigned)c->cipher.size);
    int n = uv_try_write(&c->stream, &b, 1);
    if (n < 0 && n != UV_EAGAIN && n != UV_ENOSYS) {
        connection_close(c, STATUS_CLOSED, "write: %s", uv_strerror(n));
        return;
    }
    size_t done = n > 0 ? (size_t)n : 0;
    if (done == c->cipher.size) {
        buffer_clear(&c->cipher);
        give_back(&c->cipher);
        return;
    }
    struct buffer swap = c->flight;
    c->flight = c->cipher;
    c->cipher = swap;
    c->flight_at = done;
    b = uv_buf_init((char *)c->flight.data + done, (unsigned)(c->flight.size - done));
    c->write.data = c;
    c->writing = true;
    c->write_since_ms = c->loop->now_ms;
    int rv = uv_write(&c->write, &c->stream, &b, 1, on_written);
    if (rv != 0) {
        c->writing = false;
        connection_close(c, STATUS_CLOSED, "write: %s", uv_strerror(rv));
    }
}

static void flush(struct connection *c)
{
    while (!c->closing && !c->writing) {
        if (c->cipher.size < CHUNK_BYTES && encrypt(c) != OK) {
            connection_close(c, STATUS_TLS, "cannot encrypt: %s",
                             c->tls != NULL ? tls_error_text(c->tls) : "out of memory");
            return;
        }
        if (c->cipher.size == 0) {
            break;
        }
        write_cipher(c);
    }
    if (c->closing || c->writing || !c->is_ready) {
        return;
    }
    if (c->close_when_flushed) {
        char text[CONNECTION_TEXT_MAX];
        memcpy(text, c->text, sizeof(text));
        connection_close(c, c->why, "%s", text);
    } else if (c->ops->drained != NULL) {
        c->ops->drained(c);
    }
}

void connection_flush_all(struct loop *l)
{
    struct list ready; /* what drained() queues waits for the next turn */
    list_init(&ready);
    list_splice(&ready, &l->dirty);
    for (struct list *n = list_pop(&ready); n != NULL; n = list_pop(&ready)) {
        flush(container_of(n, struct connection, dirty_link));
    }
}

/* ---- in ---- */

static void compact(struct connection *c)
{
    if (c->in_at == c->in.size) {
        buffer_clear(&c->in);
        c->in_at = 0;
        give_back(&c->in);
    } else if (c->in_at > 0) {
        buffer_consume(&c->in, c->in_at);
        c->in_at = 0;
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out_buf)
{
    struct connection *c = handle->data;
    (void)suggested;
    *out_buf = uv_buf_init((char *)c->loop->read_buffer, sizeof(c->loop->read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf);

static void set_paused(struct connection *c, bool paused)
{
    if (c->paused == paused) {
        return;
    }
    c->paused = paused;
    if (paused) {
        uv_read_stop(&c->stream);
    } else if (!c->closing) {
        uv_read_start(&c->stream, on_alloc, on_read);
    }
}

static void frames(struct connection *c)
{
    bool took = false;
    c->in_frames = true;
    while (!c->closing && !c->paused && c->in.size > c->in_at) {
        struct frame f;
        size_t size = 0;
        enum status s =
            frame_decode((struct bytes){c->in.data + c->in_at, c->in.size - c->in_at}, &f, &size);
        if (s == STATUS_BUSY) {
            break;
        }
        if (s == OK) {
            s = c->ops->frame(c, &f);
        } else {
            connection_close(c, s, "bytes that are no frame of ours (%s)", status_text(s));
        }
        if (s == STATUS_BUSY) {
            set_paused(c, true);
            break;
        }
        if (s != OK) {
            connection_close(c, s, "%s", status_text(s));
            break;
        }
        c->in_at += size;
        took = true;
    }
    c->in_frames = false;
    if (c->in.size == c->in_at || c->paused) {
        c->partial_since_ms = 0;
    } else if (took || c->partial_since_ms == 0) {
        c->partial_since_ms = c->loop->now_ms;
    }
    if (!c->closing) {
        compact(c);
    }
}

static void receive(struct connection *c, const uint8_t *data, size_t size)
{
    enum status s = c->tls != NULL ? tls_receive(c->tls, data, size, &c->in, &c->cipher)
                                   : buffer_append(&c->in, data, size);
    if (c->cipher.size > 0) {
        mark_dirty(c);
    }
    if (!c->is_ready && s == OK && (c->tls == NULL || tls_ready(c->tls))) {
        c->is_ready = true;
        c->ops->ready(c);
    }
    if (c->is_ready && !c->closing) {
        frames(c); /* what came before a failure counts */
    }
    if (s == STATUS_CLOSED) {
        connection_close(c, s, "closed by the other side");
    } else if (s != OK) {
        connection_close(c, s, "%s", c->tls != NULL ? tls_error_text(c->tls) : status_text(s));
    }
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *c = stream->data;
    if (c->closing || n == 0) {
        return;
    }
    if (n < 0) {
        connection_close(c, STATUS_CLOSED, n == UV_EOF ? "closed by the other side" : "read: %s",
                         uv_strerror((int)n));
        return;
    }
    receive(c, (const uint8_t *)buf->base, (size_t)n);
}

void connection_pause(struct connection *c)
{
    set_paused(c, true);
}

void connection_resume(struct connection *c)
{
    if (c->closing || !c->paused) {
        return;
    }
    set_paused(c, false);
    if (!c->in_frames) {
        frames(c);
    }
}

void connection_start(struct connection *c, struct tls_context *context, bool server,
                      const char *const *alpns)
{
    if (c->closing) {
        return;
    }
    c->started = true;
    c->opened_ms = c->loop->now_ms;
    if (context != NULL) {
        (void)uv_tcp_nodelay(&c->tcp, 1);
        c->context = context;
        if (tls_new(context, server, alpns, &c->tls) != OK) {
            connection_close(c, STATUS_NO_MEMORY, "out of memory");
            return;
        }
    }
    int rv = uv_read_start(&c->stream, on_alloc, on_read);
    if (rv != 0) {
        connection_close(c, STATUS_CLOSED, "read: %s", uv_strerror(rv));
        return;
    }
    if (context == NULL || !server) {
        receive(c, NULL, 0);
    }
}

/* ---- deadlines ---- */

static void tick(struct connection *c, uint64_t now_ms)
{
    if (c->closing) {
        return;
    }
    if (!c->established && now_ms - c->opened_ms > HANDSHAKE_MS_MAX) {
        connection_close(c, STATUS_TIMEOUT, "no handshake within %u ms", HANDSHAKE_MS_MAX);
    } else if (c->partial_since_ms != 0 && now_ms - c->partial_since_ms > FRAME_MS_MAX) {
        connection_close(c, STATUS_TIMEOUT, "a frame did not end within %u ms", FRAME_MS_MAX);
    } else if (c->writing && now_ms - c->write_since_ms > WRITE_STALL_MS_MAX) {
        size_t left = uv_stream_get_write_queue_size(&c->stream);
        if (left >= c->flight.size - c->flight_at) {
            connection_close(c, STATUS_TIMEOUT, "takes no bytes for %u ms", WRITE_STALL_MS_MAX);
            return;
        }
        c->flight_at = c->flight.size - left;
        c->write_since_ms = now_ms;
    }
}

void connection_tick_all(struct loop *l, uint64_t now_ms)
{
    list_each_safe(n, &l->connections)
    {
        tick(container_of(n, struct connection, link), now_ms);
    }
}
