/* dial -> TLS (ALPN copy) -> request -> frames ... -> closed. After a hang-up nothing is told to
 * the host any more. */
#include "node/copy_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "node/connection.h"
#include "node/node.h"

struct copy_link {
    struct connection connection;
    uv_connect_t connect;
    struct node *node;
    const struct founding_node *to;
    struct copy_fetch *fetch; /* NULL after a hang-up */
};

static const char *const alpns[] = {ALPN_COPY, NULL};

static struct copy_link *link_of(struct connection *c)
{
    return container_of(c, struct copy_link, connection);
}

static void on_ready(struct connection *c)
{
    struct copy_link *l = link_of(c);
    if (strcmp(tls_peer(c->tls)->name, l->to->name) != 0 || l->fetch == NULL) {
        connection_close(c, STATUS_WRONG_NODE, "its certificate says %s", tls_peer(c->tls)->name);
        return;
    }
    struct block *request = copy_fetch_request(l->fetch);
    if (request == NULL || connection_send_block(c, request) != OK) {
        connection_close(c, STATUS_NO_MEMORY, "out of memory");
    }
    block_unref(request);
}

static enum status on_frame(struct connection *c, const struct frame *f)
{
    struct copy_link *l = link_of(c);
    if (l->fetch == NULL) {
        return STATUS_CLOSED;
    }
    connection_set_established(c);
    enum status s = copy_fetch_receive(l->fetch, f);
    loop_again(&l->node->loop);
    return s;
}

static void on_closed(struct connection *c, enum status why, const char *text)
{
    struct copy_link *l = link_of(c);
    (void)text;
    if (l->fetch != NULL) {
        copy_fetch_set_user(l->fetch, NULL);
        copy_fetch_closed(l->fetch, why == OK ? STATUS_CLOSED : why);
        loop_again(&l->node->loop);
    }
    free(l);
}

static const struct connection_ops ops = {
    .ready = on_ready, .frame = on_frame, .closed = on_closed};

static void on_connect(uv_connect_t *request, int rv)
{
    struct copy_link *l = request->data;
    if (rv != 0) {
        connection_close(&l->connection, STATUS_UNREACHABLE, "%s", uv_strerror(rv));
    } else {
        connection_start(&l->connection, l->node->tls, false, alpns);
    }
}

enum status copy_link_dial(struct node *n, struct copy_fetch *f)
{
    const struct founding_node *to = founding_find_node(&n->founding, copy_fetch_node(f));
    char host[128], port[8];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    struct link *peer = to != NULL ? links_find(&n->links, to->node) : NULL;
    if (peer == NULL || !address_split(to->address, host, sizeof(host), port, sizeof(port))) {
        return STATUS_UNREACHABLE;
    }
    int number = (int)strtol(port, NULL, 10);
    if (uv_ip4_addr(host, number, &a.v4) != 0 && uv_ip6_addr(host, number, &a.v6) != 0) {
        /* A name: the address that the link to that node has found. */
        int size = sizeof(a);
        if (!peer->up ||
            uv_tcp_getpeername(&peer->channels[CHANNEL_BULK].connection.tcp, &a.any, &size) != 0) {
            return STATUS_UNREACHABLE;
        }
    }
    struct copy_link *l = calloc(1, sizeof(*l));
    if (l == NULL || connection_init_tcp(&l->connection, &n->loop, &ops, 1024 * 1024) != OK) {
        free(l);
        return STATUS_NO_MEMORY;
    }
    l->node = n;
    l->to = to;
    l->fetch = f;
    l->connect.data = l;
    copy_fetch_set_user(f, l);
    snprintf(l->connection.address, sizeof(l->connection.address), "%.63s", to->address);
    int rv = uv_tcp_connect(&l->connect, &l->connection.tcp, &a.any, on_connect);
    if (rv != 0) {
        l->fetch = NULL;
        copy_fetch_set_user(f, NULL);
        connection_close(&l->connection, STATUS_UNREACHABLE, "%s", uv_strerror(rv));
        return STATUS_UNREACHABLE;
    }
    return OK;
}

void copy_link_hang_up(struct copy_fetch *f)
{
    struct copy_link *l = copy_fetch_user(f);
    if (l != NULL) {
        l->fetch = NULL;
        copy_fetch_set_user(f, NULL);
        connection_close(&l->connection, STATUS_CLOSED, "not needed any more");
    }
}

void copy_link_resume(struct copy_fetch *f)
{
    struct copy_link *l = copy_fetch_user(f);
    if (l != NULL) {
        connection_resume(&l->connection);
    }
}
