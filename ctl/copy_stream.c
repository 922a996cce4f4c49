/* poll(2), TLS over memory, frames: one turn after the other until the last piece has come. */
#include "ctl/copy_stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/frame.h"
#include "proto/tls.h"

#define READ_BYTES (256u * 1024u)
#define SILENCE_MS 15000u /* of the source, at most */

struct stream {
    int fd;
    const char *node;
    struct tls *tls;
    struct buffer plain, cipher;
    size_t cipher_at;
    const Mq__CopyRequest *request;
    const struct copy_stream_ops *ops;
    void *arg;
    struct error *e;
    bool asked, head, last;
    uint64_t heard_ms;
    uint8_t in[READ_BYTES];
};

static enum status ask(struct stream *t)
{
    size_t size = mq__copy_request__get_packed_size(t->request);
    uint8_t *header = malloc(size);
    struct buffer frame = {0};
    enum status s = STATUS_NO_MEMORY;
    if (header != NULL) {
        mq__copy_request__pack(t->request, header);
        s = frame_encode(&frame, FRAME_COPY_REQUEST, (struct bytes){header, size},
                         (struct bytes){NULL, 0});
    }
    s = s == OK ? tls_send(t->tls, frame.data, frame.size, &t->cipher) : s;
    buffer_deinit(&frame);
    free(header);
    t->asked = true;
    return s == OK ? OK : error_set(t->e, s, "node %s: %s", t->node, status_text(s));
}

static enum status take_head(struct stream *t, const struct frame *f)
{
    Mq__CopyHead *m = mq__copy_head__unpack(NULL, f->header.size, f->header.data);
    enum status s;
    if (m == NULL || t->head) {
        s = error_set(t->e, STATUS_MALFORMED, "node %s: its answer cannot be read", t->node);
    } else if (m->status != OK) {
        s = m->status < STATUS_COUNT ? (enum status)m->status : STATUS_INTERNAL;
        (void)error_set(t->e, s, "node %s: %s", t->node,
                        s == STATUS_DENIED
                            ? "this certificate may take no copy; one with --role admin may"
                            : status_text(s));
    } else {
        s = t->ops->head(t->arg, m, t->e);
    }
    t->head = true;
    mq__copy_head__free_unpacked(m, NULL);
    return s;
}

static enum status take(struct stream *t, const struct frame *f)
{
    if (f->kind == FRAME_COPY_HEAD) {
        return take_head(t, f);
    }
    Mq__CopyData *m = f->kind == FRAME_COPY_DATA && t->head && !t->last
                          ? mq__copy_data__unpack(NULL, f->header.size, f->header.data)
                          : NULL;
    if (m == NULL) {
        return error_set(t->e, STATUS_MALFORMED, "node %s: its answer cannot be read", t->node);
    }
    t->last = m->last;
    enum status s = t->ops->data(t->arg, m->offset, f->payload, m->last, t->e);
    mq__copy_data__free_unpacked(m, NULL);
    return s;
}

static enum status frames(struct stream *t)
{
    size_t at = 0;
    enum status s = OK;
    while (s == OK) {
        struct frame f;
        size_t size = 0;
        s = frame_decode((struct bytes){t->plain.data + at, t->plain.size - at}, &f, &size);
        if (s == STATUS_BUSY) {
            break;
        }
        s = s == OK ? take(t, &f)
                    : error_set(t->e, s, "node %s: bytes that are no frame of ours", t->node);
        at += size;
    }
    buffer_consume(&t->plain, at < t->plain.size ? at : t->plain.size);
    return s == STATUS_BUSY ? OK : s;
}

static enum status send_some(struct stream *t)
{
    ssize_t n =
        send(t->fd, t->cipher.data + t->cipher_at, t->cipher.size - t->cipher_at, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        return error_set(t->e, STATUS_CLOSED, "node %s: %s", t->node, strerror(errno));
    }
    t->cipher_at += n > 0 ? (size_t)n : 0;
    if (t->cipher_at == t->cipher.size) {
        buffer_clear(&t->cipher);
        t->cipher_at = 0;
    }
    return OK;
}

/* What the other side meant by hanging up. */
static enum status hung_up(struct stream *t, enum status s)
{
    if (s != STATUS_CLOSED) {
        return error_set(t->e, s, "node %s: %s", t->node, tls_error_text(t->tls));
    }
    return error_set(t->e, s, "node %s %s", t->node,
                     t->head ? "broke the copy off"
                             : "gives no copy of this shard (it may not be ready, or its version "
                               "hangs up on a certificate that is no administrator's)");
}

static enum status receive_some(struct stream *t)
{
    ssize_t n = recv(t->fd, t->in, sizeof(t->in), 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return OK;
    }
    if (n <= 0) {
        return hung_up(t, STATUS_CLOSED);
    }
    t->heard_ms = caller_now_ms();
    enum status closed = tls_receive(t->tls, t->in, (size_t)n, &t->plain, &t->cipher);
    enum status s = frames(t); /* what came before the end counts */
    return s != OK || t->last || closed == OK ? s : hung_up(t, closed);
}

static enum status turn(struct stream *t, uint64_t deadline_at_ms)
{
    bool writes = t->cipher.size > t->cipher_at;
    struct pollfd p = {.fd = t->fd, .events = (short)(writes ? POLLIN | POLLOUT : POLLIN)};
    uint64_t now = caller_now_ms(), until = t->heard_ms + SILENCE_MS;
    until = until < deadline_at_ms ? until : deadline_at_ms;
    if (now >= until) {
        return error_set(t->e, STATUS_TIMEOUT, "node %s: no copy in time", t->node);
    }
    (void)poll(&p, 1, (int)(until - now));
    enum status s = writes ? send_some(t) : OK;
    return s == OK ? receive_some(t) : s;
}

static enum status run(struct stream *t, struct tls_context *context, uint64_t deadline_at_ms)
{
    static const char *const alpns[] = {ALPN_COPY, NULL};
    enum status s = tls_new(context, false, alpns, &t->tls);
    if (s != OK) {
        return error_set(t->e, s, "out of memory");
    }
    t->heard_ms = caller_now_ms();
    s = tls_receive(t->tls, NULL, 0, &t->plain, &t->cipher);
    while (s == OK && !t->last) {
        if (!t->asked && tls_ready(t->tls)) {
            s = strcmp(tls_peer(t->tls)->name, t->node) == 0
                    ? ask(t)
                    : error_set(t->e, STATUS_WRONG_NODE, "node %s answers where %s was expected",
                                tls_peer(t->tls)->name, t->node);
        }
        s = s == OK ? turn(t, deadline_at_ms) : s;
    }
    return s;
}

enum status copy_stream_run(struct caller *c, const char *node, const char *address,
                            const Mq__CopyRequest *request, uint64_t deadline_at_ms,
                            const struct copy_stream_ops *ops, void *arg, struct error *e)
{
    struct tls_context *context;
    struct stream *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return error_set(e, STATUS_NO_MEMORY, "out of memory");
    }
    t->node = node;
    t->request = request;
    t->ops = ops;
    t->arg = arg;
    t->e = e;
    enum status s = caller_dial(c, node, address, deadline_at_ms, &t->fd, &context, e);
    if (s == OK) {
        s = run(t, context, deadline_at_ms);
        close(t->fd);
    }
    tls_free(t->tls);
    buffer_deinit(&t->plain);
    buffer_deinit(&t->cipher);
    free(t);
    return s;
}
