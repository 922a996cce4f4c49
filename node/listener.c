/* bind -> accept -> (TLS, ALPN) -> the session's kind. A refusal is one log line a second at most.
 * */
#include "node/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/log_line.h"
#include "node/node.h"
#include "node/request.h"
#include "node/session.h"

#define BACKLOG               512
#define SESSION_OUT_BYTES_MAX (64u * 1024u * 1024u)
#define COPIES_MAX            16u
#define PEER_SESSIONS_MAX     512u

static const char *const alpns[] = {ALPN_PEER, ALPN_CLIENT, ALPN_COPY, NULL};

static void refused(struct listener *l, const char *address, const char *why)
{
    uint64_t now = l->node->loop.now_ms;
    l->refused_total++;
    if (now - l->refused_logged_ms >= 1000) {
        l->refused_logged_ms = now;
        log_warn(
            "event=connection.refused message=MQ-CONNECTION-REFUSED address=%s refused_total=%llu "
            "text=\"%s\"",
            address, (unsigned long long)l->refused_total, why);
    }
}

static unsigned count_address(const struct listener *l, const char *address)
{
    unsigned n = 0;
    list_each(at, &l->sessions)
    {
        const struct session *s = container_of(at, struct session, link);
        n += s->kind != SESSION_PEER && strcmp(s->connection.address, address) == 0;
    }
    return n;
}

/* ---- callbacks of a session's connection ---- */

static void set_kind(struct session *s, enum session_kind kind)
{
    struct listener *l = &s->node->listener;
    s->kind = kind;
    l->pending_n--;
    l->clients_n += kind == SESSION_CLIENT;
    l->copies_n += kind == SESSION_COPY;
    l->peers_n += kind == SESSION_PEER;
}

/* One that may not is told so: it would try again for as long as its user waits. It stays among those whose handshake has not ended, so
 * it takes no place of a node's copy, and goes with its request or with its time. */
static void on_copy_ready(struct session *s)
{
    struct listener *l = &s->node->listener;
    if (s->identity.kind != TLS_NODE && (rights_of(&s->identity) & RIGHT_ADMIN) == 0) {
        s->denied = true;
        refused(l, s->connection.address, "only an administrator's certificate may take copies");
        copy_session_deny(s);
    } else if (l->copies_n >= COPIES_MAX) {
        connection_close(&s->connection, STATUS_OVERLOAD, "too many copies");
    } else {
        set_kind(s, SESSION_COPY);
    }
}

static void on_ready(struct connection *c)
{
    struct session *s = container_of(c, struct session, connection);
    struct listener *l = &s->node->listener;
    const struct config *config = &s->node->config;
    const char *alpn = s->local ? ALPN_CLIENT : tls_alpn(c->tls);
    if (!s->local) {
        s->identity = *tls_peer(c->tls);
    }
    if (strcmp(alpn, ALPN_CLIENT) == 0) {
        if (l->clients_n >= l->node->descriptors.clients ||
            (!s->local && count_address(l, c->address) > config->connections_per_address_max)) {
            connection_close(c, STATUS_OVERLOAD, "too many connections of clients");
            return;
        }
        s->rights = rights_of(&s->identity);
        set_kind(s, SESSION_CLIENT);
    } else if (s->identity.kind == TLS_NODE && strcmp(alpn, ALPN_PEER) == 0 &&
               l->peers_n < PEER_SESSIONS_MAX) {
        set_kind(s, SESSION_PEER);
        s->rights = RIGHTS_ALL;
    } else if (strcmp(alpn, ALPN_COPY) == 0) {
        on_copy_ready(s);
    } else {
        connection_close(c, STATUS_DENIED, "a %s's certificate may not speak %s",
                         tls_identity_kind_name(s->identity.kind), alpn);
    }
}

static enum status on_frame(struct connection *c, const struct frame *f)
{
    struct session *s = container_of(c, struct session, connection);
    switch (s->kind) {
        case SESSION_PEER:
            return peer_session_frame(s, f);
        case SESSION_CLIENT:
            return client_session_frame(s, f);
        case SESSION_COPY:
            return copy_session_frame(s, f);
        default:
            if (s->denied) { /* its request has been read, so what it was told is not lost */
                connection_finish(c, OK, "finished");
                return OK;
            }
            return STATUS_MALFORMED;
    }
}

static void on_drained(struct connection *c)
{
    struct session *s = container_of(c, struct session, connection);
    if (s->kind == SESSION_CLIENT) {
        client_session_drained(s);
    } else if (s->kind == SESSION_COPY) {
        copy_session_drained(s);
    }
}

static void on_closed(struct connection *c, enum status why, const char *text)
{
    struct session *s = container_of(c, struct session, connection);
    struct listener *l = &s->node->listener;
    switch (s->kind) {
        case SESSION_PENDING:
            l->pending_n--;
            if (why != STATUS_CLOSED && !s->denied) {
                refused(l, c->address, text);
            }
            break;
        case SESSION_PEER:
            l->peers_n--;
            peer_session_closed(s, text);
            break;
        case SESSION_CLIENT:
            l->clients_n--;
            client_session_closed(s, text);
            if (why != OK && why != STATUS_CLOSED) {
                refused(l, c->address, text);
            }
            break;
        case SESSION_COPY:
            l->copies_n--;
            copy_session_closed(s);
            break;
    }
    list_remove(&s->link);
    free(s);
}

static const struct connection_ops ops = {
    .ready = on_ready, .frame = on_frame, .drained = on_drained, .closed = on_closed};

/* ---- accepting ---- */

static struct session *session_new(struct listener *l, bool local)
{
    struct session *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->node = l->node;
    s->local = local;
    list_init(&s->requests);
    enum status st =
        local ? connection_init_pipe(&s->connection, &l->node->loop, &ops, SESSION_OUT_BYTES_MAX)
              : connection_init_tcp(&s->connection, &l->node->loop, &ops, SESSION_OUT_BYTES_MAX);
    if (st != OK) {
        free(s);
        return NULL;
    }
    list_push_back(&l->sessions, &s->link);
    l->pending_n++;
    return s;
}

/* Slow strangers must not keep peers out: the oldest handshake gives way. */
static void make_room(struct listener *l)
{
    list_each(at, &l->sessions)
    {
        struct session *s = container_of(at, struct session, link);
        if (s->kind == SESSION_PENDING && !s->connection.closing) {
            connection_close(&s->connection, STATUS_OVERLOAD, "too many handshakes at once");
            return;
        }
    }
}

static void name_address(struct session *s)
{
    struct sockaddr_storage a;
    int size = sizeof(a);
    if (uv_tcp_getpeername(&s->connection.tcp, (struct sockaddr *)&a, &size) != 0 ||
        (a.ss_family == AF_INET6
             ? uv_ip6_name((const struct sockaddr_in6 *)&a, s->connection.address,
                           sizeof(s->connection.address))
             : uv_ip4_name((const struct sockaddr_in *)&a, s->connection.address,
                           sizeof(s->connection.address))) != 0) {
        snprintf(s->connection.address, sizeof(s->connection.address), "unknown");
    }
}

static void on_tcp(uv_stream_t *server, int rv)
{
    struct listener *l = server->data;
    struct session *s = rv == 0 && !l->stopped ? session_new(l, false) : NULL;
    if (s == NULL) {
        return; /* libuv gives the descriptor up when there are none left */
    }
    if (uv_accept(server, &s->connection.stream) != 0) {
        connection_close(&s->connection, STATUS_CLOSED, "accept failed");
        return;
    }
    name_address(s);
    if (l->pending_n > l->node->descriptors.handshakes) {
        make_room(l);
    }
    connection_start(&s->connection, l->node->tls, true, alpns);
}

static bool identify(struct session *s)
{
    struct ucred who;
    socklen_t size = sizeof(who);
    uv_os_fd_t fd;
    if (uv_fileno(&s->connection.handle, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) {
        return false;
    }
    snprintf(s->connection.address, sizeof(s->connection.address), "uid:%u", (unsigned)who.uid);
    if (who.uid != 0 && who.uid != geteuid()) {
        return false;
    }
    s->identity.kind = TLS_OPERATOR;
    snprintf(s->identity.name, sizeof(s->identity.name), "local-uid-%u", (unsigned)who.uid);
    snprintf(s->identity.role, sizeof(s->identity.role), "admin");
    return true;
}

static void on_pipe(uv_stream_t *server, int rv)
{
    struct listener *l = server->data;
    struct session *s = rv == 0 && !l->stopped ? session_new(l, true) : NULL;
    if (s == NULL) {
        return;
    }
    if (uv_accept(server, &s->connection.stream) != 0) {
        connection_close(&s->connection, STATUS_CLOSED, "accept failed");
    } else if (!identify(s)) {
        connection_close(&s->connection, STATUS_DENIED,
                         "only root and the user of the daemon may use the socket");
    } else {
        connection_start(&s->connection, NULL, true, NULL);
    }
}

static enum status open_tcp(struct listener *l, struct error *e)
{
    char host[128], port[8];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } a;
    const char *listen = l->node->config.listen;
    (void)address_split(listen, host, sizeof(host), port, sizeof(port));
    int number = (int)strtol(port, NULL, 10);
    if (uv_ip4_addr(host, number, &a.v4) != 0 && uv_ip6_addr(host, number, &a.v6) != 0) {
        return error_set(e, STATUS_INVALID,
                         "[node] listen = %s: give a numeric address of this machine", listen);
    }
    uv_tcp_init(&l->node->loop.uv, &l->tcp);
    l->tcp.data = l;
    l->tcp_open = true;
    int rv = uv_tcp_bind(&l->tcp, &a.any, 0);
    rv = rv == 0 ? uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_tcp) : rv;
    return rv == 0
               ? OK
               : error_set(e, status_from_errno(-rv),
                           "cannot listen on %s: %s. What to do: is another mailquorumd running "
                           "there?",
                           listen, uv_strerror(rv));
}

static enum status open_pipe(struct listener *l, struct error *e)
{
    const char *path = l->node->config.socket;
    struct stat st;
    if (path[0] == '\0') {
        return OK;
    }
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path); /* the lock of the data directory says that its owner is gone */
    }
    uv_pipe_init(&l->node->loop.uv, &l->pipe, 0);
    l->pipe.data = l;
    l->pipe_open = true;
    mode_t old = umask(0177);
    int rv = uv_pipe_bind(&l->pipe, path);
    (void)umask(old);
    rv = rv == 0 ? uv_listen((uv_stream_t *)&l->pipe, BACKLOG, on_pipe) : rv;
    return rv == 0 ? OK
                   : error_set(e, status_from_errno(-rv), "cannot listen on %s: %s", path,
                               uv_strerror(rv));
}

enum status listener_open(struct listener *l, struct node *n, struct error *e)
{
    memset(l, 0, sizeof(*l));
    l->node = n;
    list_init(&l->sessions);
    enum status s = open_tcp(l, e);
    return s == OK ? open_pipe(l, e) : s;
}

void listener_drop_peer(struct listener *l, node_id peer, uint64_t but_incarnation)
{
    list_each(at, &l->sessions)
    {
        struct session *s = container_of(at, struct session, link);
        if (s->kind == SESSION_PEER && s->greeted && s->peer == peer &&
            s->incarnation != but_incarnation) {
            connection_close(&s->connection, STATUS_CLOSED, "its process is gone");
        }
    }
}

void listener_stop(struct listener *l)
{
    if (l->stopped) {
        return;
    }
    l->stopped = true;
    if (l->tcp_open) {
        uv_close((uv_handle_t *)&l->tcp, NULL);
    }
    if (l->pipe_open) {
        uv_close((uv_handle_t *)&l->pipe, NULL); /* removes the socket file */
    }
    list_each(at, &l->sessions)
    {
        struct session *s = container_of(at, struct session, link);
        connection_close(&s->connection, STATUS_CLOSED, "this node stops");
    }
}
