/* Dialling, greeting, sending, and noticing that the other side is gone. */
#include "node/link.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/address.h"
#include "base/clock.h"
#include "base/log_line.h"
#include "node/forward.h"
#include "node/greeting.h"
#include "node/node.h"
#include "proto/peer.pb-c.h"

#define BACKOFF_MS_MIN      50u
#define BACKOFF_MS_MAX      1000u
#define BULK_PING_MS        200u
#define PROBES_MAX          4u /* dials at once: while a process ends, a listener may still accept */
#define PAUSE_MS            (4 * LOOP_TICK_MS) /* a longer gap between two ticks is our own */
#define NOTSENT_LOWAT_BYTES (128 * 1024)
#define BREAKS_SPAN_MS      300000u
#define WALL_US_MAX         (UINT64_C(1) << 60) /* no clock says that */

static const char *const alpns[] = {ALPN_PEER, NULL};
static const char *const channel_names[] = {"control", "bulk"};

static struct link_channel *channel_of(struct connection *c)
{
    return container_of(c, struct link_channel, connection);
}

static void update_up(struct link *l)
{
    bool up = l->channels[0].state == LINK_UP && l->channels[1].state == LINK_UP;
    if (up == l->up) {
        return;
    }
    l->up = up;
    if (l->node->host == NULL) {
        return;
    }
    if (up) {
        host_peer_up(l->node->host, l->to->node);
        feed_table_greet(l->node, l->to->node);
    } else {
        host_peer_down(l->node->host, l->to->node);
    }
}

/* ---- is its process still there ---- */

static uint64_t slowest_us(const struct links *all, const struct link *but)
{
    uint64_t us = 0;
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        const struct link *l = all->by_node[i];
        if (l != NULL && l != but && l->up && l->rtt_us > us) {
            us = l->rtt_us;
        }
    }
    return us;
}

static uint64_t silence_ms(const struct link *l)
{
    return loss_silence_ms(l->node->config.election_timeout_ms, l->rtt_us);
}

static void judge(struct link *l, bool other_life)
{
    struct node *n = l->node;
    struct loss_view v = {.connected = l->channels[CHANNEL_CONTROL].state == LINK_UP,
                          .ended = l->ended,
                          .refused = l->refused,
                          .other_life = other_life,
                          .heard_ms = l->heard_ms,
                          .asked_ms = l->asked_ms,
                          .silence_ms = silence_ms(l)};
    struct loss_decision d = loss_decide(&v, n->loop.now_ms);
    if (d.verdict <= l->told || n->host == NULL || n->links.stopped) {
        return;
    }
    l->told = d.verdict;
    log_info("event=peer.lost peer=%s text=\"%s\"", l->to->name, d.reason);
    if (d.verdict == LOSS_GONE) {
        listener_drop_peer(&n->listener, l->to->node, other_life ? l->incarnation : 0);
    }
    host_peer_lost(n->host, l->to->node, slowest_us(&n->links, l));
}

void link_heard(struct link *l)
{
    if (l != NULL) {
        l->heard_ms = l->node->loop.now_ms;
        l->told = l->told == LOSS_SILENT ? LOSS_NONE : l->told;
    }
}

void link_greeted(struct link *l, uint64_t incarnation)
{
    if (l == NULL || incarnation < l->incarnation) {
        return;
    }
    bool other_life = l->incarnation != 0 && incarnation > l->incarnation;
    l->incarnation = incarnation;
    if (other_life) {
        judge(l, true);
    }
    l->ended = l->refused = false;
    l->told = LOSS_NONE;
    l->asked_ms = 0;
    link_heard(l);
}

/* ---- callbacks of a connection, in the order in which they come ---- */

static void dial(struct link_channel *ch);

static void on_ready(struct connection *c)
{
    struct link_channel *ch = channel_of(c);
    if (strcmp(tls_peer(c->tls)->name, ch->link->to->name) != 0) {
        connection_close(c, STATUS_WRONG_NODE, "its certificate says %s", tls_peer(c->tls)->name);
        return;
    }
    ch->state = LINK_GREETING;
    if (greeting_send(ch->link->node, c, ch->link->to->node, ch->channel) != OK) {
        connection_close(c, STATUS_NO_MEMORY, "out of memory");
    }
}

static enum status on_hello(struct link_channel *ch, const struct frame *f)
{
    struct link *l = ch->link;
    struct greeting g;
    struct error e = {0};
    enum status s = greeting_receive(l->node, &ch->connection, f, l->to->node, &g, &e);
    if (s != OK) {
        connection_close(&ch->connection, s, "%.150s", e.text);
        return s;
    }
    connection_set_established(&ch->connection);
    ch->state = LINK_UP;
    ch->backoff_ms = BACKOFF_MS_MIN;
    ch->pong_ms = ch->up_ms = node_now_ms(l->node);
    ch->ping_sent_ms = 0;
    if (ch->channel == CHANNEL_CONTROL && l->held_incarnation == g.incarnation) {
        l->breaks_ms[l->breaks_next++ % BREAKS_KEPT] = ch->pong_ms;
    }
    l->held_incarnation = g.incarnation;
    link_greeted(l, g.incarnation);
    l->nonce = g.nonce;
    l->answer = ANSWER_GOOD;
    l->text[0] = '\0';
    l->reported = false;
    log_info("event=peer.connected peer=%s channel=%s incarnation=%llu blank=%d took_ms=%llu",
             l->to->name, channel_names[ch->channel], (unsigned long long)g.incarnation, g.blank,
             (unsigned long long)(ch->pong_ms - ch->dialled_ms));
    update_up(l);
    founder_heard(&l->node->founder, &g);
    return OK;
}

/* It read its clock somewhere between our ping and now, and its clock has milliseconds. */
static void measure_clock(struct link *l, uint64_t wall_us, uint64_t took_us)
{
    uint64_t ours_us = clock_wall_ms(&clock_system) * 1000;
    if (wall_us != 0 && wall_us < WALL_US_MAX && took_us < WALL_US_MAX) {
        l->clock_offset_us = (int64_t)(wall_us + took_us / 2) - (int64_t)ours_us;
        l->clock_error_us = took_us / 2 + 1000;
    }
}

static enum status on_pong(struct link_channel *ch, const struct frame *f)
{
    Mq__Ping *p = mq__ping__unpack(NULL, f->header.size, f->header.data);
    if (p == NULL) {
        return STATUS_MALFORMED;
    }
    uint64_t now_us = clock_monotonic_us();
    if (ch->channel == CHANNEL_CONTROL && p->sent_us <= now_us) {
        uint64_t us = now_us - p->sent_us;
        ch->link->rtt_us = ch->link->rtt_us == 0 ? us : (ch->link->rtt_us * 7 + us) / 8;
        ch->link->asked_ms = 0;
        measure_clock(ch->link, p->wall_us, us);
    }
    link_heard(ch->link);
    ch->pong_ms = node_now_ms(ch->link->node);
    mq__ping__free_unpacked(p, NULL);
    return OK;
}

static enum status on_frame(struct connection *c, const struct frame *f)
{
    struct link_channel *ch = channel_of(c);
    if (ch->state == LINK_GREETING) {
        return on_hello(ch, f);
    }
    switch ((int)f->kind) {
        case FRAME_PONG:
            return on_pong(ch, f);
        case FRAME_FORWARD_RESPONSE:
            return forward_answered(&ch->link->node->service, ch->link->to->node, f);
        default:
            return STATUS_MALFORMED;
    }
}

/* What its end says of the other side. */
static enum link_answer answer_of_end(const struct link_channel *ch, enum status why)
{
    if (why == STATUS_TIMEOUT) {
        return ch->connected ? ANSWER_NONE : ANSWER_TIMEOUT;
    }
    return ANSWER_REFUSED;
}

static void on_closed(struct connection *c, enum status why, const char *text)
{
    struct link_channel *ch = channel_of(c);
    struct link *l = ch->link;
    bool was_up = ch->state == LINK_UP;
    ch->state = LINK_IDLE;
    l->answer = answer_of_end(ch, why);
    ch->retry_ms = l->node->loop.now_ms + ch->backoff_ms;
    ch->backoff_ms = ch->backoff_ms * 2 > BACKOFF_MS_MAX ? BACKOFF_MS_MAX : ch->backoff_ms * 2;
    snprintf(l->text, sizeof(l->text), "%s", text);
    if (was_up) {
        log_info("event=peer.disconnected peer=%s channel=%s text=\"%s\"", l->to->name,
                 channel_names[ch->channel], text);
        forward_link_closed(&l->node->service, l->to->node, ch->channel);
    } else if (!l->reported) {
        l->reported = true;
        bool refused = why == STATUS_WRONG_CLUSTER || why == STATUS_WRONG_NODE ||
                       why == STATUS_VERSION || why == STATUS_TLS;
        log_line(refused ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                 "event=peer.unreachable peer=%s address=%s%s text=\"%s\"", l->to->name,
                 l->to->address, refused ? " message=MQ-PEER-REFUSED" : "", text);
    }
    update_up(l);
    if (l->node->links.stopped) {
        return;
    }
    if (was_up) {
        l->ended = true;
        l->refused = false;
        ch->probes = l->node->loop.now_ms - ch->up_ms >= BACKOFF_MS_MAX ? PROBES_MAX : 0;
    }
    if (l->ended && !l->refused && ch->probes > 0) { /* is anybody there? */
        ch->probes--;
        dial(ch);
    }
}

static const struct connection_ops ops = {
    .ready = on_ready, .frame = on_frame, .closed = on_closed};

/* ---- dialling ---- */

static void on_connect(uv_connect_t *request, int rv)
{
    struct link_channel *ch = request->data;
    struct connection *c = &ch->connection;
    if (c->closing) {
        return;
    }
    if (rv != 0) {
        bool refused = rv == UV_ECONNREFUSED || rv == UV_ECONNRESET;
        connection_close(c, refused ? STATUS_UNREACHABLE : STATUS_TIMEOUT, "%s", uv_strerror(rv));
        ch->link->refused = rv == UV_ECONNREFUSED;
        judge(ch->link, false);
        return;
    }
    ch->connected = true;
    uv_os_fd_t fd;
    int low = NOTSENT_LOWAT_BYTES;
    if (ch->channel == CHANNEL_BULK && uv_fileno(&c->handle, &fd) == 0) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &low, sizeof(low));
    }
    connection_start(c, ch->link->node->tls, false, alpns);
}

static void dial_address(struct link_channel *ch, const struct sockaddr *address)
{
    ch->state = LINK_CONNECTING;
    ch->connect.data = ch;
    int rv = uv_tcp_connect(&ch->connect, &ch->connection.tcp, address, on_connect);
    if (rv != 0) {
        connection_close(&ch->connection, STATUS_UNREACHABLE, "%s", uv_strerror(rv));
    }
}

static void on_resolved(uv_getaddrinfo_t *request, int rv, struct addrinfo *found)
{
    struct link_channel *ch = request->data;
    ch->resolving = false;
    if (rv != 0 || found == NULL) {
        connection_close(&ch->connection, STATUS_UNREACHABLE, "name not found: %s",
                         rv != 0 ? uv_strerror(rv) : "no address");
    } else if (!ch->connection.closing) {
        dial_address(ch, found->ai_addr);
    }
    uv_freeaddrinfo(found);
}

static void dial(struct link_channel *ch)
{
    struct node *n = ch->link->node;
    char host[128], port[8];
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    ch->dialled_ms = n->loop.now_ms;
    ch->connected = false;
    if (!address_split(ch->link->to->address, host, sizeof(host), port, sizeof(port)) ||
        connection_init_tcp(
            &ch->connection, &n->loop, &ops,
            ch->channel == CHANNEL_BULK ? BULK_WINDOW_BYTES : CONTROL_WINDOW_BYTES) != OK) {
        ch->retry_ms = n->loop.now_ms + BACKOFF_MS_MAX;
        return;
    }
    snprintf(ch->connection.address, sizeof(ch->connection.address), "%.63s",
             ch->link->to->address);
    int number = (int)strtol(port, NULL, 10);
    if (uv_ip4_addr(host, number, &address.v4) == 0 ||
        uv_ip6_addr(host, number, &address.v6) == 0) {
        dial_address(ch, &address.any);
        return;
    }
    ch->state = LINK_RESOLVING;
    ch->resolve.data = ch;
    ch->resolving = true;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int rv = uv_getaddrinfo(&n->loop.uv, &ch->resolve, on_resolved, host, port, &hints);
    if (rv != 0) {
        ch->resolving = false;
        connection_close(&ch->connection, STATUS_UNREACHABLE, "%s", uv_strerror(rv));
    }
}

/* ---- life ---- */

enum status links_init(struct links *l, struct node *n)
{
    memset(l, 0, sizeof(*l));
    l->node = n;
    for (uint32_t i = 0; i < n->founding.nodes_n; i++) {
        const struct founding_node *to = &n->founding.nodes[i];
        if (to == n->self) {
            continue;
        }
        struct link *link = calloc(1, sizeof(*link));
        if (link == NULL) {
            return STATUS_NO_MEMORY;
        }
        link->node = n;
        link->to = to;
        for (int c = 0; c < CHANNEL_COUNT; c++) {
            link->channels[c].link = link;
            link->channels[c].channel = (enum channel)c;
            link->channels[c].backoff_ms = BACKOFF_MS_MIN;
        }
        l->by_node[to->node] = link;
    }
    return OK;
}

void links_deinit(struct links *l)
{
    for (uint32_t i = 0; i <= NODES_MAX; i++) {
        free(l->by_node[i]);
        l->by_node[i] = NULL;
    }
}

static void ping(struct link_channel *ch, uint64_t now_ms)
{
    Mq__Ping p = MQ__PING__INIT;
    uint8_t packed[32];
    p.sent_us = clock_monotonic_us();
    size_t size = mq__ping__pack(&p, packed);
    ch->ping_sent_ms = now_ms;
    if (ch->channel == CHANNEL_CONTROL && ch->link->asked_ms == 0) {
        ch->link->asked_ms = now_ms;
    }
    (void)connection_send_frame(&ch->connection, FRAME_PING, (struct bytes){packed, size},
                                (struct bytes){NULL, 0});
}

static void channel_tick(struct links *all, struct link_channel *ch, uint64_t now_ms)
{
    switch (ch->state) {
        case LINK_IDLE:
            if (!all->stopped && !ch->resolving && now_ms >= ch->retry_ms) {
                dial(ch);
            }
            break;
        case LINK_CONNECTING:
            if (now_ms - ch->dialled_ms > DIAL_MS_MAX) {
                connection_close(&ch->connection, STATUS_TIMEOUT, "no connection within %u ms",
                                 DIAL_MS_MAX);
            }
            break;
        case LINK_UP: {
            /* Bulk may have a window of bytes before the ping: only its silence for much longer
             * counts. */
            bool bulk = ch->channel == CHANNEL_BULK;
            uint64_t most = bulk ? 5 * PONG_MS_MAX : PONG_MS_MAX;
            uint64_t every = bulk ? BULK_PING_MS : silence_ms(ch->link) / 3;
            if (now_ms - ch->pong_ms > most) {
                connection_close(&ch->connection, STATUS_TIMEOUT, "no pong within %llu ms",
                                 (unsigned long long)most);
            } else if (now_ms - ch->ping_sent_ms >= every) {
                ping(ch, now_ms);
            }
            break;
        }
        default:
            break;
    }
}

void links_tick(struct links *l, uint64_t now_ms)
{
    bool paused = now_ms - l->ticked_ms > PAUSE_MS; /* we were: what waits is read first */
    l->ticked_ms = now_ms;
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        struct link *link = l->by_node[i];
        for (int c = 0; link != NULL && c < CHANNEL_COUNT; c++) {
            channel_tick(l, &link->channels[c], now_ms);
        }
        if (link != NULL && paused) {
            link->heard_ms = now_ms;
        }
        if (link != NULL) {
            judge(link, false);
        }
    }
}

void links_stop(struct links *l)
{
    l->stopped = true;
    for (uint32_t i = 1; i <= NODES_MAX; i++) {
        for (int c = 0; l->by_node[i] != NULL && c < CHANNEL_COUNT; c++) {
            if (l->by_node[i]->channels[c].state != LINK_IDLE) {
                connection_close(&l->by_node[i]->channels[c].connection, STATUS_CLOSED,
                                 "this node stops");
            }
        }
    }
}

struct link *links_find(struct links *l, node_id node)
{
    return node <= NODES_MAX ? l->by_node[node] : NULL;
}

uint64_t link_pong_ms(const struct link *l)
{
    return l->channels[CHANNEL_CONTROL].pong_ms;
}

unsigned link_breaks(const struct link *l, uint64_t now_ms)
{
    unsigned n = 0;
    for (unsigned i = 0; i < BREAKS_KEPT; i++) {
        n += l->breaks_ms[i] != 0 && now_ms - l->breaks_ms[i] <= BREAKS_SPAN_MS ? 1 : 0;
    }
    return n;
}

enum status link_send_block(struct link *l, enum channel channel, const struct block *frame)
{
    struct link_channel *ch = &l->channels[channel];
    enum status s =
        ch->state == LINK_UP ? connection_send_block(&ch->connection, frame) : STATUS_CLOSED;
    l->dropped_total += s != OK;
    return s;
}

enum status link_send_frame(struct link *l, enum channel channel, enum frame_kind kind,
                            struct bytes header, struct bytes payload)
{
    struct link_channel *ch = &l->channels[channel];
    return ch->state == LINK_UP ? connection_send_frame(&ch->connection, kind, header, payload)
                                : STATUS_CLOSED;
}
