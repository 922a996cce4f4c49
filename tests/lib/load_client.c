/* Sockets and turns of the connections of a test program. */
#include "tests/lib/load_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

uint64_t load_now_ms(void)
{
    return clock_monotonic_ms(&clock_system);
}

static enum status parse_nodes(struct load *l, const char *nodes, struct error *e)
{
    while (*nodes != '\0') {
        size_t size = strcspn(nodes, ",");
        if (size == 0 || size >= sizeof(l->nodes[0]) || l->nodes_n == LOAD_NODES_MAX ||
            memchr(nodes, ':', size) == NULL) {
            return error_set(e, STATUS_INVALID,
                             "nodes are up to %d of host:port, with commas between",
                             LOAD_NODES_MAX);
        }
        memcpy(l->nodes[l->nodes_n], nodes, size);
        l->nodes[l->nodes_n++][size] = '\0';
        nodes += size + (nodes[size] == ',');
    }
    return l->nodes_n > 0 ? OK : error_set(e, STATUS_INVALID, "no node is given");
}

enum status load_init(struct load *l, const struct load_options *o, struct error *e)
{
    memset(l, 0, sizeof(*l));
    if (o->links == 0 || o->links > LOAD_LINKS_MAX) {
        return error_set(e, STATUS_INVALID, "1 to %d connections", LOAD_LINKS_MAX);
    }
    enum status s = parse_nodes(l, o->nodes, e);
    if (s == OK) {
        s = tls_context_new(o->ca, o->certificate, o->key, &l->tls, e);
    }
    if (s != OK) {
        return s;
    }
    l->fixed = o->fixed;
    l->links_n = o->links;
    for (unsigned i = 0; i < l->links_n; i++) {
        l->links[i].fd = -1;
        l->links[i].node = i % l->nodes_n;
    }
    return OK;
}

static void hang_up(struct load *l, struct load_link *k, const char *why, uint64_t now)
{
    bool was_up = k->state == LOAD_UP;
    k->state = LOAD_DOWN; /* first: done() may submit */
    k->redial_at_ms = now + LOAD_REDIAL_MS;
    snprintf(k->why, sizeof(k->why), "%s: %s", l->nodes[k->node], why);
    if (!l->fixed) {
        k->node = (k->node + 1) % l->nodes_n;
    }
    if (was_up) {
        l->losses_total++;
        client_disconnected(&k->client, why);
        client_deinit(&k->client);
    }
    if (k->fd >= 0) {
        close(k->fd);
        k->fd = -1;
    }
}

static void connected(struct load *l, struct load_link *k, uint64_t now)
{
    int failed = 0;
    socklen_t size = sizeof(failed);
    if (getsockopt(k->fd, SOL_SOCKET, SO_ERROR, &failed, &size) != 0 || failed != 0) {
        hang_up(l, k, strerror(failed), now);
        return;
    }
    if (client_init(&k->client, l->tls, NULL) != OK) {
        client_deinit(&k->client);
        hang_up(l, k, "no client", now);
        return;
    }
    k->state = LOAD_UP;
    k->connect_by_ms = now + LOAD_HELLO_MS;
    l->connects_total++;
    client_connected(&k->client, now);
}

static void dial_address(struct load *l, struct load_link *k, const struct addrinfo *a,
                         uint64_t now)
{
    int one = 1;
    k->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = k->fd >= 0 && setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
              (connect(k->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS);
    if (!ok) {
        hang_up(l, k, strerror(errno), now);
        return;
    }
    k->state = LOAD_CONNECTING;
    k->connect_by_ms = now + LOAD_CONNECT_MS;
}

static void dial(struct load *l, struct load_link *k, uint64_t now)
{
    static const struct addrinfo number = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    static const struct addrinfo name = {.ai_socktype = SOCK_STREAM};
    const char *node = l->nodes[k->node];
    const char *colon = strrchr(node, ':');
    struct gaicb *one = &k->lookup;
    memcpy(k->host, node, (size_t)(colon - node));
    k->host[colon - node] = '\0';
    k->lookup = (struct gaicb){.ar_name = k->host, .ar_service = colon + 1, .ar_request = &name};
    if (getaddrinfo(k->host, colon + 1, &number, &k->lookup.ar_result) == 0) {
        dial_address(l, k, k->lookup.ar_result, now);
        freeaddrinfo(k->lookup.ar_result);
    } else if (getaddrinfo_a(GAI_NOWAIT, &one, 1, NULL) == 0) {
        k->state = LOAD_RESOLVING;
    } else {
        hang_up(l, k, "no thread to look it up", now);
    }
}

static void resolve(struct load *l, struct load_link *k, uint64_t now)
{
    int rc = gai_error(&k->lookup);
    if (rc == 0) {
        dial_address(l, k, k->lookup.ar_result, now);
        freeaddrinfo(k->lookup.ar_result);
    } else if (rc != EAI_INPROGRESS) {
        hang_up(l, k, "cannot be resolved", now);
    }
}

/* Until nobody writes into k->lookup any more. */
static void resolve_end(struct load_link *k)
{
    const struct gaicb *one = &k->lookup;
    while (k->state == LOAD_RESOLVING && gai_cancel(&k->lookup) == EAI_NOTCANCELED) {
        (void)gai_suspend(&one, 1, NULL);
    }
}

void load_deinit(struct load *l)
{
    for (unsigned i = 0; i < l->links_n; i++) {
        resolve_end(&l->links[i]);
        hang_up(l, &l->links[i], "the program ends", 0);
    }
    tls_context_free(l->tls);
    l->tls = NULL;
    l->links_n = 0;
}

bool load_ready(const struct load *l, unsigned link)
{
    return l->links[link].state == LOAD_UP && client_ready(&l->links[link].client);
}

enum status load_submit(struct load *l, unsigned link, struct client_request *r)
{
    struct load_link *k = &l->links[link];
    return k->state == LOAD_UP ? client_submit(&k->client, load_now_ms(), r) : STATUS_CLOSED;
}

/* Tries at once: most often it fits. True: something is left. */
static bool write_out(struct load *l, struct load_link *k, uint64_t now)
{
    struct bytes out = client_output(&k->client);
    while (out.size > 0) {
        ssize_t n = send(k->fd, out.data, out.size, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return true;
        }
        if (n < 0) {
            hang_up(l, k, strerror(errno), now);
            return false;
        }
        client_written(&k->client, (size_t)n);
        out = client_output(&k->client);
    }
    return false;
}

static void read_in(struct load *l, struct load_link *k, uint64_t now)
{
    static uint8_t data[256 * 1024];
    ssize_t n = recv(k->fd, data, sizeof(data), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n <= 0) {
        hang_up(l, k, n == 0 ? "closed by the node" : strerror(errno), now);
        return;
    }
    if (client_receive(&k->client, now, data, (size_t)n) != OK) {
        char why[200];
        snprintf(why, sizeof(why), "%.190s", k->client.error_text);
        hang_up(l, k, why, now);
    }
}

static short prepare(struct load *l, struct load_link *k, uint64_t now)
{
    if (k->state == LOAD_DOWN && now >= k->redial_at_ms) {
        dial(l, k, now);
    } else if (k->state == LOAD_RESOLVING) {
        resolve(l, k, now);
    }
    if (k->state == LOAD_CONNECTING) {
        return POLLOUT;
    }
    if (k->state == LOAD_UP) {
        bool left = write_out(l, k, now);
        return (short)(k->state != LOAD_UP ? 0 : POLLIN | (left ? POLLOUT : 0));
    }
    return 0;
}

static void react(struct load *l, struct load_link *k, short events, uint64_t now)
{
    if (k->state == LOAD_CONNECTING) {
        if ((events & (POLLOUT | POLLERR | POLLHUP)) != 0) {
            connected(l, k, now);
        } else if (now >= k->connect_by_ms) {
            hang_up(l, k, "no connection in time", now);
        }
    } else if (k->state == LOAD_UP) {
        if ((events & (POLLIN | POLLERR | POLLHUP)) != 0) {
            read_in(l, k, now);
        }
        if (k->state == LOAD_UP) {
            client_tick(&k->client, now);
        }
        if (k->state == LOAD_UP && !client_ready(&k->client) && now >= k->connect_by_ms) {
            hang_up(l, k, "no hello in time", now);
        }
    }
}

void load_turn(struct load *l, uint32_t wait_ms)
{
    struct pollfd p[LOAD_LINKS_MAX];
    uint64_t now = load_now_ms();
    for (unsigned i = 0; i < l->links_n; i++) {
        short events = prepare(l, &l->links[i], now);
        p[i] = (struct pollfd){events != 0 ? l->links[i].fd : -1, events, 0};
    }
    poll(p, l->links_n, (int)wait_ms);
    now = load_now_ms();
    for (unsigned i = 0; i < l->links_n; i++) {
        react(l, &l->links[i], p[i].revents, now);
    }
}

bool load_wait(struct load *l, uint32_t wait_ms)
{
    uint64_t end = load_now_ms() + wait_ms;
    for (;;) {
        unsigned ready = 0;
        for (unsigned i = 0; i < l->links_n; i++) {
            ready += load_ready(l, i);
        }
        if (ready == l->links_n) {
            return true;
        }
        if (load_now_ms() >= end) {
            return false;
        }
        load_turn(l, 10);
    }
}

/* ---- one call at a time ---- */

struct call {
    struct client_request request;
    struct load_answer *answer;
    bool done;
};

static void on_call(struct client_request *r)
{
    struct call *c = container_of(r, struct call, request);
    struct load_answer *a = c->answer;
    a->outcome = r->outcome;
    a->status = r->status;
    a->text[0] = a->leader[0] = '\0';
    if (r->response != NULL) {
        snprintf(a->text, sizeof(a->text), "%s", r->response->text);
        snprintf(a->leader, sizeof(a->leader), "%s", r->response->leader);
        a->shard = r->response->shard;
        a->index = r->response->index;
    }
    buffer_append(&a->result, r->result.data, r->result.size);
    c->done = true;
}

void load_call(struct load *l, unsigned link, const Mq__RequestHeader *header, struct bytes payload,
               uint32_t deadline_ms, struct load_answer *out_a)
{
    struct call c = {.answer = out_a};
    uint64_t end = load_now_ms() + deadline_ms;
    buffer_clear(&out_a->result);
    out_a->outcome = MQ__OUTCOME__OUTCOME_REFUSED;
    out_a->status = STATUS_UNREACHABLE;
    snprintf(out_a->text, sizeof(out_a->text), "%s", l->links[link].why);
    while (!load_ready(l, link)) {
        if (load_now_ms() >= end) {
            return;
        }
        load_turn(l, 10);
    }
    c.request.header = *header;
    c.request.payload = payload;
    c.request.deadline_ms = deadline_ms;
    c.request.done = on_call;
    enum status s = load_submit(l, link, &c.request);
    if (s != OK) {
        out_a->status = s;
        return;
    }
    while (!c.done) {
        load_turn(l, 10);
    }
}

enum status load_pack(const ProtobufCMessage *m, struct buffer *b)
{
    uint8_t *at;
    size_t size = protobuf_c_message_get_packed_size(m);
    enum status s = buffer_reserve(b, size, &at);
    if (s == OK) {
        b->size += protobuf_c_message_pack(m, at);
    }
    return s;
}
