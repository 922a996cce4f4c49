/* bind -> accept -> requests -> answers; one struct a connection, freed with its last handle. */
#include "node/feed/hints.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/must.h"

#define BACKLOG   128
#define READ_MAX  (16u * 1024u)
#define INPUT_MAX (HINT_HEADER_MAX + HINT_BODY_MAX + READ_MAX)

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

struct hint_connection {
    struct list link;
    struct hints *hints;
    uv_tcp_t tcp;
    uv_timer_t idle;
    unsigned handles;
    bool closing;
    struct buffer input;
    char read_buffer[READ_MAX];
};

/* ---- the end of a connection ---- */

static void on_handle_closed(uv_handle_t *h)
{
    struct hint_connection *c = h->data;
    if (--c->handles == 0) {
        buffer_deinit(&c->input);
        free(c);
    }
}

static void connection_close(struct hint_connection *c)
{
    if (c->closing) {
        return;
    }
    c->closing = true;
    list_remove(&c->link);
    c->hints->connections_n--;
    uv_close((uv_handle_t *)&c->tcp, on_handle_closed);
    uv_close((uv_handle_t *)&c->idle, on_handle_closed);
}

static void on_idle(uv_timer_t *t)
{
    connection_close(t->data);
}

/* ---- requests ---- */

/* So few bytes go out at once or not at all: an exporter that does not read its answers is closed. */
static void answer_one(struct hint_connection *c)
{
    uv_buf_t out = uv_buf_init((char *)answer, sizeof(answer) - 1);
    if (uv_try_write((uv_stream_t *)&c->tcp, &out, 1) != (int)out.len) {
        connection_close(c);
    }
}

static void take_requests(struct hint_connection *c)
{
    struct hints *h = c->hints;
    char user[USER_NAME_MAX + 1];
    size_t used;
    enum status s = OK;
    while (!c->closing &&
           (s = hint_request_take(c->input.data, c->input.size, &used, user)) == OK) {
        buffer_consume(&c->input, used);
        h->requests++;
        if (user[0] != '\0') {
            h->user(h, user);
        }
        answer_one(c);
    }
    if (!c->closing && s != STATUS_BUSY) {
        h->refused++;
        connection_close(c);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct hint_connection *c = handle->data;
    (void)suggested;
    *out = uv_buf_init(c->read_buffer, sizeof(c->read_buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct hint_connection *c = stream->data;
    if (n < 0 || (n > 0 && buffer_append(&c->input, buffer->base, (size_t)n) != OK)) {
        connection_close(c);
        return;
    }
    uv_timer_again(&c->idle);
    take_requests(c);
}

/* ---- connections ---- */

static void on_connection(uv_stream_t *listener, int status)
{
    struct hints *h = listener->data;
    struct hint_connection *c = status == 0 ? calloc(1, sizeof(*c)) : NULL;
    if (c == NULL) {
        return; /* out of memory, or descriptors: no more hints from here, sweeps go on */
    }
    c->hints = h;
    buffer_init(&c->input, INPUT_MAX);
    must(uv_tcp_init(listener->loop, &c->tcp) == 0);
    must(uv_timer_init(listener->loop, &c->idle) == 0);
    c->tcp.data = c->idle.data = c;
    c->handles = 2;
    list_push_back(&h->connections, &c->link);
    h->connections_n++;
    if (uv_accept(listener, (uv_stream_t *)&c->tcp) != 0 ||
        h->connections_n > HINTS_CONNECTIONS_MAX || h->closing ||
        uv_read_start((uv_stream_t *)&c->tcp, on_alloc, on_read) != 0) {
        h->refused++;
        connection_close(c);
        return;
    }
    uv_timer_start(&c->idle, on_idle, HINTS_IDLE_MS, HINTS_IDLE_MS);
}

/* ---- open, close ---- */

enum status hints_check_address(const char *address, struct sockaddr_storage *out_a,
                                struct error *e)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    char *end = NULL;
    unsigned long port = colon == NULL ? 0 : strtoul(colon + 1, &end, 10);
    size_t n = colon == NULL ? 0 : (size_t)(colon - address);
    bool bracketed = n > 2 && address[0] == '[' && address[n - 1] == ']';
    memset(out_a, 0, sizeof(*out_a));
    snprintf(host, sizeof(host), "%.*s", bracketed ? (int)n - 2 : (int)n,
             bracketed ? address + 1 : address);
    if (n < sizeof(host) && port > 0 && port <= 65535 && *end == '\0') {
        struct in6_addr loopback6 = IN6ADDR_LOOPBACK_INIT;
        struct sockaddr_in *v4 = (struct sockaddr_in *)out_a;
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out_a;
        if (!bracketed && uv_ip4_addr(host, (int)port, v4) == 0 &&
            ntohl(v4->sin_addr.s_addr) >> 24 == 127) {
            return OK;
        }
        if (bracketed && uv_ip6_addr(host, (int)port, v6) == 0 &&
            memcmp(&v6->sin6_addr, &loopback6, sizeof(loopback6)) == 0) {
            return OK;
        }
    }
    return error_set(e, STATUS_INVALID,
                     "'%s' is no loopback address with a port (127.0.0.1:PORT or [::1]:PORT)",
                     address);
}

enum status hints_open(struct hints *h, uv_loop_t *loop, const char *address, struct error *e)
{
    struct sockaddr_storage a;
    enum status s = hints_check_address(address, &a, e);
    if (s != OK) {
        return s;
    }
    list_init(&h->connections);
    must(uv_tcp_init(loop, &h->tcp) == 0);
    h->tcp.data = h;
    h->open = true;
    int rv = uv_tcp_bind(&h->tcp, (const struct sockaddr *)&a, 0);
    rv = rv == 0 ? uv_listen((uv_stream_t *)&h->tcp, BACKLOG, on_connection) : rv;
    if (rv != 0) {
        hints_close(h);
        return error_set(e, STATUS_IO, "cannot listen for hints on %s: %s", address,
                         uv_strerror(rv));
    }
    return OK;
}

void hints_close(struct hints *h)
{
    if (!h->open || h->closing) {
        return;
    }
    h->closing = true;
    list_each_safe(n, &h->connections)
    {
        connection_close(container_of(n, struct hint_connection, link));
    }
    uv_close((uv_handle_t *)&h->tcp, NULL);
}
