/* A client that misbehaves in one way at a time, to show that a node refuses it and goes on.
 *
 *   hostile --node H:P --ca F --cert F --key F [--cluster HEX] [--name NODE --id N] --mode MODE
 *
 * Exit 0: the node did what it must (closed the connection in time, or answered with a refusal);
 * 1: it did not. Modes are rows of the table at the end. Every wait has a deadline. */
#include <errno.h>
#include <getopt.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "proto/api.pb-c.h"
#include "proto/frame.h"
#include "proto/peer.pb-c.h"
#include "proto/tls.h"

static const char *o_node, *o_ca, *o_cert, *o_key, *o_cluster = "", *o_name = "nobody", *o_mode;
static uint32_t o_id = 1;
static struct tls_context *context;
static struct random rng;

struct line {
    int fd;
    struct tls *tls;
    struct buffer plain, cipher;
    bool ended;
};

static void die(const char *what)
{
    fprintf(stderr, "hostile: %s\n", what);
    exit(2);
}

static uint64_t now_ms(void)
{
    return clock_monotonic_ms(&clock_system);
}

static int dial(void)
{
    char host[128];
    const char *colon = strrchr(o_node, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    if (colon == NULL || (size_t)(colon - o_node) >= sizeof(host)) {
        die("--node is host:port");
    }
    memcpy(host, o_node, (size_t)(colon - o_node));
    host[colon - o_node] = '\0';
    if (getaddrinfo(host, colon + 1, &hints, &found) != 0) {
        die("no such host");
    }
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) != 0) {
        freeaddrinfo(found);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    freeaddrinfo(found);
    return fd;
}

/* true when the other side has closed within that time; what it says meanwhile is read away. */
static bool closed_within(int fd, int ms)
{
    char away[4096];
    uint64_t end = now_ms() + (uint64_t)ms;
    while (now_ms() < end) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 50) > 0) {
            ssize_t n = read(fd, away, sizeof(away));
            if (n == 0 || (n < 0 && errno != EINTR)) {
                return true;
            }
        }
    }
    return false;
}

static int verdict(bool good, const char *what)
{
    printf("%s: %s: %s\n", o_mode, good ? "good" : "BAD", what);
    return good ? 0 : 1;
}

/* ---- without TLS ---- */

static int raw(const void *data, size_t size, int ms)
{
    int fd = dial();
    if (fd < 0 || send(fd, data, size, MSG_NOSIGNAL) < 0) {
        return verdict(false, "could not connect or send");
    }
    bool closed = closed_within(fd, ms);
    close(fd);
    return verdict(closed, closed ? "closed" : "still open");
}

static int mode_garbage(void)
{
    uint8_t noise[8192];
    random_fill(&rng, noise, sizeof(noise));
    return raw(noise, sizeof(noise), 7000);
}

static int mode_http(void)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    return raw(text, sizeof(text) - 1, 7000);
}

static int mode_silent(void)
{
    return raw("", 0, 7000);
}

static int mode_half_hello(void)
{
    static const uint8_t head[] = {22, 3, 1,   2, 0, 1,
                                   0,  1, 252, 3, 3}; /* a ClientHello that does not go on */
    return raw(head, sizeof(head), 7000);
}

static int mode_byte_a_second(void)
{
    int fd = dial();
    static const uint8_t head[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0};
    for (size_t i = 0; fd >= 0 && i < sizeof(head); i++) {
        (void)send(fd, head + i, 1, MSG_NOSIGNAL);
        if (closed_within(fd, 1000)) {
            close(fd);
            return verdict(i >= 3 && i <= 7, "closed at the handshake's deadline");
        }
    }
    return verdict(false, "still open after 16 s");
}

/* Many connections that say nothing: the node must still take a good one (the script looks). */
static int mode_flood(void)
{
    int open = 0;
    for (int i = 0; i < 600; i++) {
        open += dial() >= 0;
    }
    printf("%d connections held\n", open);
    fflush(stdout);
    sleep(6);
    return verdict(open > 256, "the flood was held for 6 s");
}

/* ---- over TLS ---- */

static bool line_flush(struct line *l)
{
    size_t at = 0;
    while (at < l->cipher.size) {
        ssize_t n = send(l->fd, l->cipher.data + at, l->cipher.size - at, MSG_NOSIGNAL);
        if (n <= 0) {
            l->ended = true;
            return false;
        }
        at += (size_t)n;
    }
    buffer_clear(&l->cipher);
    return true;
}

static void line_read(struct line *l, int ms)
{
    uint8_t data[16384];
    struct pollfd p = {.fd = l->fd, .events = POLLIN};
    if (l->ended || poll(&p, 1, ms) <= 0) {
        return;
    }
    ssize_t n = read(l->fd, data, sizeof(data));
    if (n <= 0 || tls_receive(l->tls, data, (size_t)n, &l->plain, &l->cipher) != OK) {
        l->ended = true;
    }
    (void)line_flush(l);
}

static bool line_open(struct line *l, const char *alpn)
{
    const char *const alpns[] = {alpn, NULL};
    memset(l, 0, sizeof(*l));
    l->fd = dial();
    if (l->fd < 0 || tls_new(context, false, alpns, &l->tls) != OK ||
        tls_receive(l->tls, NULL, 0, &l->plain, &l->cipher) != OK) {
        return false;
    }
    uint64_t end = now_ms() + 3000;
    (void)line_flush(l);
    while (!tls_ready(l->tls) && !l->ended && now_ms() < end) {
        line_read(l, 100);
    }
    return tls_ready(l->tls);
}

static void line_send(struct line *l, const void *data, size_t size)
{
    if (!l->ended && tls_send(l->tls, data, size, &l->cipher) == OK) {
        (void)line_flush(l);
    }
}

static void line_frame(struct line *l, enum frame_kind kind, struct bytes header,
                       struct bytes payload)
{
    struct buffer b;
    buffer_init(&b, 0);
    if (frame_encode(&b, kind, header, payload) == OK) {
        line_send(l, b.data, b.size);
    }
    buffer_deinit(&b);
}

static bool line_ends(struct line *l, int ms)
{
    uint64_t end = now_ms() + (uint64_t)ms;
    while (!l->ended && now_ms() < end) {
        line_read(l, 50);
        buffer_clear(&l->plain);
    }
    return l->ended;
}

static void client_hello(struct line *l, const char *cluster)
{
    Mq__ClientHello h = MQ__CLIENT_HELLO__INIT;
    struct uuid u;
    uint8_t packed[256];
    char software[] = "hostile";
    h.version = WIRE_VERSION;
    h.software = software;
    if (uuid_parse(cluster, &u)) {
        h.cluster_id = (ProtobufCBinaryData){16, u.bytes};
    }
    size_t size = mq__client_hello__pack(&h, packed);
    line_frame(l, FRAME_CLIENT_HELLO, (struct bytes){packed, size}, (struct bytes){NULL, 0});
}

static int ends(struct line *l, int ms, const char *what)
{
    bool ended = line_ends(l, ms);
    return verdict(ended, ended ? what : "still open");
}

static struct line good_client(void)
{
    struct line l;
    if (!line_open(&l, ALPN_CLIENT)) {
        die("a good TLS connection was not taken");
    }
    client_hello(&l, o_cluster);
    uint64_t end = now_ms() + 3000;
    while (l.plain.size == 0 && !l.ended && now_ms() < end) {
        line_read(&l, 100);
    }
    if (l.plain.size == 0) {
        die("no hello came");
    }
    buffer_clear(&l.plain);
    return l;
}

static int mode_no_hello(void)
{
    struct line l;
    if (!line_open(&l, ALPN_CLIENT)) {
        return verdict(false, "no TLS");
    }
    return ends(&l, 7000, "closed");
}

static int mode_request_first(void)
{
    struct line l;
    if (!line_open(&l, ALPN_CLIENT)) {
        return verdict(false, "no TLS");
    }
    line_frame(&l, FRAME_CLIENT_REQUEST, (struct bytes){(const uint8_t *)"\x08\x01", 2},
               (struct bytes){NULL, 0});
    return ends(&l, 3000, "closed");
}

static int mode_wrong_cluster(void)
{
    struct line l;
    if (!line_open(&l, ALPN_CLIENT)) {
        return verdict(false, "no TLS");
    }
    client_hello(&l, "00112233445566778899aabbccddeeff");
    return ends(&l, 3000, "closed");
}

static int mode_second_hello(void)
{
    struct line l = good_client();
    client_hello(&l, o_cluster);
    return ends(&l, 3000, "closed");
}

static int head_of(uint32_t body, uint16_t kind, uint16_t header, int ms)
{
    struct line l = good_client();
    uint8_t head[FRAME_HEAD_SIZE];
    put_le32(head, body);
    put_le16(head + 4, kind);
    put_le16(head + 6, header);
    line_send(&l, head, sizeof(head));
    return ends(&l, ms, "closed");
}

static int mode_giant_frame(void)
{
    return head_of(0xffffffffu, FRAME_CLIENT_REQUEST, 10, 2000);
}

static int mode_over_limit(void)
{
    return head_of(2u * 1024 * 1024, FRAME_CLIENT_REQUEST, 10, 2000);
}

static int mode_unknown_kind(void)
{
    return head_of(100, 39, 10, 2000);
}

static int mode_peer_frame(void)
{
    struct line l = good_client();
    line_frame(&l, FRAME_RAFT, (struct bytes){(const uint8_t *)"\x08\x01", 2},
               (struct bytes){NULL, 0});
    return ends(&l, 2000, "closed");
}

static int mode_half_frame(void)
{
    return head_of(1000, FRAME_CLIENT_REQUEST, 100, 20000);
}

static int mode_malformed_header(void)
{
    struct line l = good_client();
    uint8_t noise[64];
    memset(noise, 0xff, sizeof(noise));
    line_frame(&l, FRAME_CLIENT_REQUEST, (struct bytes){noise, sizeof(noise)},
               (struct bytes){NULL, 0});
    return ends(&l, 3000, "closed");
}

static void request(struct line *l, uint64_t id, Mq__Op op, struct bytes payload)
{
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    uint8_t packed[128];
    h.id = id;
    h.op = op;
    h.shard = 1;
    size_t size = mq__request_header__pack(&h, packed);
    line_frame(l, FRAME_CLIENT_REQUEST, (struct bytes){packed, size}, payload);
}

/* The answer to the last request: its status, or -1. */
static int answer(struct line *l, uint64_t id)
{
    uint64_t end = now_ms() + 8000;
    while (now_ms() < end && !l->ended) {
        struct frame f;
        size_t size;
        while (frame_decode((struct bytes){l->plain.data, l->plain.size}, &f, &size) == OK) {
            Mq__ResponseHeader *h =
                f.kind == FRAME_CLIENT_RESPONSE
                    ? mq__response_header__unpack(NULL, f.header.size, f.header.data)
                    : NULL;
            int status = h != NULL && h->id == id && h->outcome == MQ__OUTCOME__OUTCOME_REFUSED
                             ? (int)h->status
                             : -1;
            mq__response_header__free_unpacked(h, NULL);
            buffer_consume(&l->plain, size);
            if (status >= 0) {
                return status;
            }
        }
        line_read(l, 50);
    }
    return -1;
}

static int refused_with(struct line *l, uint64_t id, enum status wanted)
{
    int status = answer(l, id);
    printf("answered %s\n", status < 0 ? "nothing" : status_name((enum status)status));
    return verdict(status == (int)wanted && !l->ended, "refused by name, and the connection stays");
}

static int mode_garbage_command(void)
{
    struct line l = good_client();
    uint8_t noise[512];
    memset(noise, 0xff, sizeof(noise));
    request(&l, 7, MQ__OP__OP_SUBMIT, (struct bytes){noise, sizeof(noise)});
    return refused_with(&l, 7, STATUS_MALFORMED);
}

/* 200,000 empty operations in 400 kB: more memory unfolded than a command may take, or more rows
 * than one may touch. */
static int mode_count_bomb(void)
{
    struct line l = good_client();
    size_t n = 400000;
    uint8_t *bomb = malloc(n + 8);
    if (bomb == NULL) {
        die("out of memory");
    }
    size_t at = 0;
    bomb[at++] = 8 << 3 | 2; /* Command.dict */
    for (size_t v = n; at < 5; v >>= 7) {
        bomb[at++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        if (v <= 0x7f) {
            break;
        }
    }
    for (size_t i = 0; i < n; i += 2) {
        bomb[at + i] = 1 << 3 | 2; /* DictTransaction.ops, empty */
        bomb[at + i + 1] = 0;
    }
    request(&l, 8, MQ__OP__OP_SUBMIT, (struct bytes){bomb, at + n});
    int status = answer(&l, 8);
    printf("answered %s\n", status < 0 ? "nothing" : status_name((enum status)status));
    return verdict(status > 0 && !l.ended, "refused");
}

static int mode_later_level(void)
{
    struct line l = good_client();
    static const uint8_t later[] = {0xfa, 0x3f, 0x01, 0x00}; /* Command field 1023 */
    request(&l, 9, MQ__OP__OP_SUBMIT, (struct bytes){later, sizeof(later)});
    return refused_with(&l, 9, STATUS_VERSION);
}

static int mode_internal_command(void)
{
    struct line l = good_client();
    static const uint8_t owner[] = {3 << 3 | 2, 3, 1 << 3 | 2, 1,
                                    'x'}; /* Command.owner, for nodes only */
    request(&l, 10, MQ__OP__OP_SUBMIT, (struct bytes){owner, sizeof(owner)});
    return refused_with(&l, 10, STATUS_DENIED);
}

static int mode_peer_alpn(void)
{
    struct line l;
    if (!line_open(&l, ALPN_PEER)) {
        return verdict(true, "refused in the handshake");
    }
    return ends(&l, 3000, "closed");
}

/* Whoever's certificate this is says it is node --name, number --id. */
static int mode_peer_hello(void)
{
    struct line l;
    Mq__PeerHello h = MQ__PEER_HELLO__INIT;
    struct uuid u = {{0}};
    uint8_t packed[256];
    if (!line_open(&l, ALPN_PEER)) {
        return verdict(true, "refused in the handshake");
    }
    (void)uuid_parse(o_cluster, &u);
    h.version = WIRE_VERSION;
    h.cluster_id = (ProtobufCBinaryData){16, u.bytes};
    h.founding_id = (ProtobufCBinaryData){16, u.bytes};
    h.node = o_id;
    h.name = (char *)(uintptr_t)o_name;
    size_t size = mq__peer_hello__pack(&h, packed);
    line_frame(&l, FRAME_PEER_HELLO, (struct bytes){packed, size}, (struct bytes){NULL, 0});
    return ends(&l, 3000, "closed");
}

/* Asks for much and reads nothing: the node must stop reading it, or close, before its memory
 * fills. */
static int mode_slow_reader(void)
{
    struct line l = good_client();
    static const uint8_t users[] = {2 << 3 | 2, 0}; /* Query.users */
    for (uint64_t i = 0; i < 5000000 && !l.ended; i++) {
        struct pollfd p = {.fd = l.fd, .events = POLLOUT};
        request(&l, i + 1, MQ__OP__OP_QUERY, (struct bytes){users, sizeof(users)});
        if (poll(&p, 1, 2000) == 0) {
            return verdict(true, "it is not read any more");
        }
    }
    return verdict(l.ended, "closed");
}

static const struct {
    const char *name;
    int (*run)(void);
} modes[] = {
    {"garbage", mode_garbage},
    {"http", mode_http},
    {"silent", mode_silent},
    {"half-hello", mode_half_hello},
    {"byte-a-second", mode_byte_a_second},
    {"flood", mode_flood},
    {"no-hello", mode_no_hello},
    {"request-first", mode_request_first},
    {"wrong-cluster", mode_wrong_cluster},
    {"second-hello", mode_second_hello},
    {"giant-frame", mode_giant_frame},
    {"over-limit", mode_over_limit},
    {"unknown-kind", mode_unknown_kind},
    {"peer-frame", mode_peer_frame},
    {"half-frame", mode_half_frame},
    {"malformed-header", mode_malformed_header},
    {"garbage-command", mode_garbage_command},
    {"count-bomb", mode_count_bomb},
    {"later-level", mode_later_level},
    {"internal-command", mode_internal_command},
    {"peer-alpn", mode_peer_alpn},
    {"peer-hello", mode_peer_hello},
    {"slow-reader", mode_slow_reader},
};

static void parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"node", 1, NULL, 'n'}, {"ca", 1, NULL, 'a'},      {"cert", 1, NULL, 'c'},
        {"key", 1, NULL, 'k'},  {"cluster", 1, NULL, 'C'}, {"name", 1, NULL, 'N'},
        {"id", 1, NULL, 'i'},   {"mode", 1, NULL, 'm'},    {NULL, 0, NULL, 0}};
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
            case 'n':
                o_node = optarg;
                break;
            case 'a':
                o_ca = optarg;
                break;
            case 'c':
                o_cert = optarg;
                break;
            case 'k':
                o_key = optarg;
                break;
            case 'C':
                o_cluster = optarg;
                break;
            case 'N':
                o_name = optarg;
                break;
            case 'i':
                o_id = (uint32_t)strtoul(optarg, NULL, 10);
                break;
            case 'm':
                o_mode = optarg;
                break;
            default:
                die("see the top of hostile.c");
        }
    }
    if (o_node == NULL || o_ca == NULL || o_cert == NULL || o_key == NULL || o_mode == NULL) {
        die("--node, --ca, --cert, --key and --mode are needed");
    }
}

int main(int argc, char **argv)
{
    struct error e = {0};
    parse(argc, argv);
    random_init_seed(&rng, now_ms());
    if (tls_context_new(o_ca, o_cert, o_key, &context, &e) != OK) {
        die(e.text);
    }
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(modes[i].name, o_mode) == 0) {
            return modes[i].run();
        }
    }
    die("no such mode");
}
