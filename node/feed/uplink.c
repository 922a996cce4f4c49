/* Connect, run the client engine over the socket, and when it ends connect to the next node.
 *
 *   WAITING --timer--> CONNECTING --connected, hellos--> OPEN --any failure--> CLOSING --closed--> WAITING
 *
 * Output is gathered until the loop goes to sleep (a prepare handle), so many requests become one write. */
#include "node/feed/uplink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"

static void connect_next(struct uplink *u);
static void set_timer(struct uplink *u);
static void flush_later(struct uplink *u);

static uint64_t now_ms(const struct uplink *u)
{
    return uv_now(u->loop);
}

const char *uplink_node(const struct uplink *u)
{
    return u->nodes->items[u->node];
}

/* ---- the end of a connection ---- */

static void on_stopped(uv_handle_t *h)
{
    struct uplink *u = h->data;
    if (--u->open_handles == 0) {
        u->state = UPLINK_STOPPED;
        free(u->write_data);
        u->write_data = NULL;
        u->stopped(u);
    }
}

static void finish_stop(struct uplink *u)
{
    u->open_handles = 2;
    uv_close((uv_handle_t *)&u->timer, on_stopped);
    uv_close((uv_handle_t *)&u->flush, on_stopped);
}

static void on_backoff(uv_timer_t *t)
{
    connect_next(t->data);
}

static void wait_for_next(struct uplink *u)
{
    u->state = UPLINK_WAITING;
    if (u->stopping) {
        finish_stop(u);
        return;
    }
    u->node = (u->node + 1) % u->nodes->n;
    uv_timer_start(&u->timer, on_backoff, u->backoff_ms, 0);
    if (u->node == 0 || u->nodes->n == 1) { /* a whole round without success */
        u->backoff_ms =
            u->backoff_ms * 2 > UPLINK_BACKOFF_MAX_MS ? UPLINK_BACKOFF_MAX_MS : u->backoff_ms * 2;
    }
}

static void on_socket_closed(uv_handle_t *h)
{
    struct uplink *u = h->data;
    u->socket_open = false;
    u->writing = false;
    if (u->client_live) {
        client_deinit(&u->client);
        u->client_live = false;
    }
    wait_for_next(u);
}

static void end_connection(struct uplink *u, const char *why)
{
    if (u->state == UPLINK_CLOSING || u->state == UPLINK_WAITING) {
        return;
    }
    bool was_ready = u->ready;
    snprintf(u->why, sizeof(u->why), "%s", why);
    u->ready = false;
    u->state = UPLINK_CLOSING;
    uv_timer_stop(&u->timer);
    if (u->client_live) {
        client_disconnected(&u->client, u->why);
    }
    if (was_ready) {
        u->down(u, u->why);
    } else if (!u->stopping) {
        log_warn("event=feed.connect_failed node=%s why=\"%s\" next_ms=%llu", uplink_node(u),
                 u->why, (unsigned long long)u->backoff_ms);
    }
    if (u->socket_open) {
        uv_close(&u->socket.handle, on_socket_closed);
    } else if (!u->resolving_now) {
        wait_for_next(u);
    }
}

/* ---- bytes ---- */

static void on_timer(uv_timer_t *t)
{
    struct uplink *u = t->data;
    if (u->state == UPLINK_CONNECTING) {
        end_connection(u, "no connection within the deadline");
        return;
    }
    client_tick(&u->client, now_ms(u));
    if (!u->ready && now_ms(u) >= u->opened_ms + UPLINK_CONNECT_MS) {
        end_connection(u, "no hello within the deadline");
    } else if (u->silent >= UPLINK_SILENT_MAX) {
        end_connection(u, "the node answers nothing");
    } else if (u->state == UPLINK_OPEN) {
        set_timer(u);
    }
}

static void set_timer(struct uplink *u)
{
    uint64_t due = client_deadline_ms(&u->client), now = now_ms(u);
    if (!u->ready && due > u->opened_ms + UPLINK_CONNECT_MS) {
        due = u->opened_ms + UPLINK_CONNECT_MS;
    }
    if (due == UINT64_MAX) {
        uv_timer_stop(&u->timer);
    } else {
        uv_timer_start(&u->timer, on_timer, due > now ? due - now : 0, 0);
    }
}

static void on_written(uv_write_t *w, int status)
{
    struct uplink *u = w->data;
    u->writing = false;
    if (status != 0 && status != UV_ECANCELED) {
        end_connection(u, uv_strerror(status));
    } else if (u->state == UPLINK_OPEN) {
        flush_later(u);
    }
}

static void write_out(struct uplink *u)
{
    if (u->state != UPLINK_OPEN || u->writing) {
        return;
    }
    struct bytes out = client_output(&u->client);
    if (out.size == 0) {
        return;
    }
    size_t n = out.size < UPLINK_WRITE_MAX ? out.size : UPLINK_WRITE_MAX;
    memcpy(u->write_data, out.data, n);
    client_written(&u->client, n);
    uv_buf_t b = uv_buf_init((char *)u->write_data, (unsigned)n);
    u->write.data = u;
    int r = uv_write(&u->write, &u->socket.stream, &b, 1, on_written);
    u->writing = r == 0;
    if (r != 0) {
        end_connection(u, uv_strerror(r));
    }
}

static void on_prepare(uv_prepare_t *p)
{
    struct uplink *u = p->data;
    uv_prepare_stop(p);
    write_out(u);
    if (u->state == UPLINK_OPEN) {
        set_timer(u);
    }
}

static void flush_later(struct uplink *u)
{
    uv_prepare_start(&u->flush, on_prepare);
}

static void on_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *b)
{
    struct uplink *u = h->data;
    (void)suggested;
    *b = uv_buf_init(u->read_buffer, sizeof(u->read_buffer));
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct uplink *u = s->data;
    if (n < 0) {
        end_connection(u, n == UV_EOF ? "closed by the node" : uv_strerror((int)n));
        return;
    }
    enum status status = client_receive(&u->client, now_ms(u), (const uint8_t *)b->base, (size_t)n);
    if (u->state != UPLINK_OPEN) {
        return;
    }
    if (status != OK) {
        char why[256];
        snprintf(why, sizeof(why), "%s",
                 u->client.error_text[0] != '\0' ? u->client.error_text : status_text(status));
        write_out(u); /* the alert says why to the other side */
        end_connection(u, why);
        return;
    }
    if (!u->ready && client_ready(&u->client)) {
        u->ready = true;
        u->silent = 0;
        u->connections++;
        u->backoff_ms = UPLINK_BACKOFF_MIN_MS;
        u->up(u);
    }
    flush_later(u);
}

/* ---- connecting ---- */

static void on_client_event(void *arg, const Mq__Event *event)
{
    struct uplink *u = arg;
    u->event(u, event);
}

static void on_connected(uv_connect_t *r, int status)
{
    struct uplink *u = r->data;
    if (u->state != UPLINK_CONNECTING) {
        return;
    }
    if (status != 0) {
        end_connection(u, uv_strerror(status));
        return;
    }
    bool unix_socket = u->socket.handle.type == UV_NAMED_PIPE;
    enum status s = client_init(&u->client, unix_socket ? NULL : u->tls,
                                uuid_zero(&u->cluster) ? NULL : &u->cluster);
    u->client_live = true;
    if (s != OK) {
        end_connection(u, status_text(s));
        return;
    }
    u->client.on_event = on_client_event;
    u->client.event_arg = u;
    u->state = UPLINK_OPEN;
    u->opened_ms = now_ms(u);
    if (!unix_socket) {
        uv_tcp_nodelay(&u->socket.tcp, 1);
        uv_tcp_keepalive(&u->socket.tcp, 1, 10);
    }
    client_connected(&u->client, now_ms(u));
    int e = uv_read_start(&u->socket.stream, on_buffer, on_read);
    if (e != 0) {
        end_connection(u, uv_strerror(e));
        return;
    }
    flush_later(u);
}

static void on_resolved(uv_getaddrinfo_t *r, int status, struct addrinfo *found)
{
    struct uplink *u = r->data;
    u->resolving_now = false;
    if (u->state == UPLINK_CLOSING) {
        uv_freeaddrinfo(found);
        wait_for_next(u);
        return;
    }
    if (status != 0) {
        end_connection(u, uv_strerror(status));
        return;
    }
    must(uv_tcp_init(u->loop, &u->socket.tcp) == 0);
    u->socket.handle.data = u;
    u->socket_open = true;
    u->connect.data = u;
    int e = uv_tcp_connect(&u->connect, &u->socket.tcp, found->ai_addr, on_connected);
    uv_freeaddrinfo(found);
    if (e != 0) {
        end_connection(u, uv_strerror(e));
    }
}

static void resolve(struct uplink *u, const char *address)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    char host[SETTING_ITEM_MAX];
    const char *colon = strrchr(address, ':');
    must(colon != NULL);
    bool bracketed = address[0] == '[' && colon > address + 1 && colon[-1] == ']';
    int n = (int)(colon - address) - (bracketed ? 2 : 0);
    snprintf(host, sizeof(host), "%.*s", n, address + (bracketed ? 1 : 0));
    u->resolving.data = u;
    int e = uv_getaddrinfo(u->loop, &u->resolving, on_resolved, host, colon + 1, &hints);
    u->resolving_now = e == 0;
    if (e != 0) {
        end_connection(u, uv_strerror(e));
    }
}

static void connect_next(struct uplink *u)
{
    const char *address = uplink_node(u);
    u->state = UPLINK_CONNECTING;
    uv_timer_start(&u->timer, on_timer, UPLINK_CONNECT_MS, 0);
    if (strncmp(address, "unix:", 5) != 0) {
        resolve(u, address);
        return;
    }
    must(uv_pipe_init(u->loop, &u->socket.pipe, 0) == 0);
    u->socket.handle.data = u;
    u->socket_open = true;
    u->connect.data = u;
    uv_pipe_connect(&u->connect, &u->socket.pipe, address + 5, on_connected);
}

/* ---- the owner's side ---- */

enum status uplink_start(struct uplink *u, uv_loop_t *loop, const struct setting_list *nodes,
                         struct tls_context *tls, const struct uuid *cluster)
{
    u->loop = loop;
    u->nodes = nodes;
    u->tls = tls;
    u->cluster = *cluster;
    u->backoff_ms = UPLINK_BACKOFF_MIN_MS;
    u->write_data = malloc(UPLINK_WRITE_MAX);
    if (u->write_data == NULL) {
        return STATUS_NO_MEMORY;
    }
    must(uv_timer_init(loop, &u->timer) == 0);
    must(uv_prepare_init(loop, &u->flush) == 0);
    u->timer.data = u->flush.data = u;
    u->state = UPLINK_WAITING;
    uv_timer_start(&u->timer, on_backoff, 0, 0);
    return OK;
}

void uplink_stop(struct uplink *u)
{
    if (u->stopping) {
        return;
    }
    u->stopping = true;
    if (u->state == UPLINK_WAITING) {
        uv_timer_stop(&u->timer);
        finish_stop(u);
    } else {
        end_connection(u, "stopping");
    }
}

enum status uplink_submit(struct uplink *u, struct client_request *r)
{
    if (!u->ready) {
        return STATUS_CLOSED;
    }
    enum status s = client_submit(&u->client, now_ms(u), r);
    flush_later(u);
    return s;
}

void uplink_heard(struct uplink *u, bool answered)
{
    u->silent = answered ? 0 : u->silent + 1;
}
