/* A founded node as the others' frames find it: real founding, links, views, feeds, service, host and TLS identities, but no socket, no
 * thread, no disk, and a clock that the target moves. stand_open() once, stand_reset() before each input; a session or two of
 * stand_session_open() in between, whose out buffer holds what was answered. Node 1 is this one, 2 and 3 vote, too, 4 stands by. */
#ifndef MQ_TESTS_FUZZ_NODE_STAND_H
#define MQ_TESTS_FUZZ_NODE_STAND_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_line.h"
#include "base/must.h"
#include "ctl/cert.h"
#include "ctl/topology_founding.h"
#include "node/node.h"
#include "node/session.h"
#include "tests/lib/crash_disk.h"

#define STAND_NODES  4u
#define STAND_OUT    (8u * 1024u * 1024u)
#define STAND_NOW_MS 1000000u

/* Who may have connected to us. The first are the nodes, by number less one. */
enum { STAND_SELF, STAND_N2, STAND_N3, STAND_N4, STAND_STRANGER, STAND_HOST, STAND_OPERATOR };
#define STAND_IDENTITIES 7u
static const struct tls_identity stand_identities[STAND_IDENTITIES] = {
    {.kind = TLS_NODE, .name = "n1"},
    {.kind = TLS_NODE, .name = "n2"},
    {.kind = TLS_NODE, .name = "n3"},
    {.kind = TLS_NODE, .name = "n4"},
    {.kind = TLS_NODE, .name = "stranger"},
    {.kind = TLS_HOST, .name = "mx1"},
    {.kind = TLS_OPERATOR, .name = "eve", .role = "admin"},
};

static const char stand_topology[] =
    "[cluster]\nname = fuzz\n"
    "[node n1]\nsite = a\naddress = n1:1\n"
    "[node n2]\nsite = b\naddress = n2:1\n"
    "[node n3]\nsite = c\nrole = witness\naddress = n3:1\n"
    "[node n4]\nsite = b\nrole = standby\naddress = n4:1\n"
    "[shard m1]\npreference = a b\nmembers = n1 n2 n3 n4\n";

static struct {
    struct node node;
    struct crash_disk *disk;
    struct executor_inline executor;
    struct tls *theirs[STAND_IDENTITIES], *ours[STAND_IDENTITIES]; /* both ends, shaken hands */
    struct tls_context *contexts[STAND_IDENTITIES];
    struct session sessions[2];
    char directory[32];
} stand;

static uint64_t stand_now(struct clock *c)
{
    (void)c;
    return stand.node.loop.now_ms;
}
static struct clock stand_clock = {stand_now, stand_now};

/* ---- sessions: the connection is there, but nothing ever leaves its buffer ---- */

static void stand_on_closed(struct connection *c, enum status why, const char *text)
{
    (void)c;
    (void)why;
    (void)text;
}

static const struct connection_ops stand_ops = {.closed = stand_on_closed};

static void stand_connection_open(struct connection *c)
{
    must(connection_init_tcp(c, &stand.node.loop, &stand_ops, STAND_OUT) == OK);
    c->is_ready = true;
}

/* As the listener makes one once TLS is ready. */
static struct session *stand_session_open(unsigned place, enum session_kind kind, unsigned who)
{
    struct session *s = &stand.sessions[place];
    memset(s, 0, sizeof(*s));
    stand_connection_open(&s->connection);
    s->connection.tls = stand.theirs[who];
    s->node = &stand.node;
    s->kind = kind;
    s->identity = *tls_peer(stand.theirs[who]);
    s->rights = rights_of(&s->identity);
    list_init(&s->requests);
    list_push_back(&stand.node.listener.sessions, &s->link);
    return s;
}

static void stand_session_close(struct session *s)
{
    list_remove(&s->link);
    list_remove(&s->subscriber_link);
    requests_orphan(s);
    s->connection.tls = NULL; /* lives on for the next input */
    connection_close(&s->connection, OK, "end of input");
    uv_run(&stand.node.loop.uv, UV_RUN_NOWAIT);
}

/* A peer that has greeted. */
__attribute__((unused)) static struct session *stand_peer_open(unsigned place, node_id node)
{
    struct session *s = stand_session_open(place, SESSION_PEER, node - 1);
    s->greeted = true;
    s->peer = node;
    s->incarnation = 1;
    return s;
}

/* The next step of an input: u8 what, u16 size, bytes (as many as there are). false: no more. */
__attribute__((unused)) static bool stand_step(struct bytes *input, unsigned *out_what,
                                               struct bytes *out_b)
{
    if (input->size < 3) {
        return false;
    }
    size_t left = input->size - 3;
    size_t n = (size_t)input->data[1] | (size_t)input->data[2] << 8;
    n = n < left ? n : left;
    *out_what = input->data[0];
    *out_b = (struct bytes){input->data + 3, n};
    *input = (struct bytes){input->data + 3 + n, left - n};
    return true;
}

/* The next whole frame that was sent on this connection; false: no more. */
__attribute__((unused)) static bool stand_sent(const struct connection *c, size_t *at,
                                               struct frame *out_f)
{
    size_t size;
    if (*at == c->out.size) {
        return false;
    }
    must(frame_decode((struct bytes){c->out.data + *at, c->out.size - *at}, out_f, &size) == OK);
    *at += size;
    return true;
}

/* Our link to that node is up: what is sent over it stays in the buffers of its channels. Once. */
__attribute__((unused)) static struct link *stand_link_up(node_id node)
{
    struct link *l = links_find(&stand.node.links, node);
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        stand_connection_open(&l->channels[i].connection);
        l->channels[i].state = LINK_UP;
    }
    return l;
}

/* As if it had been written. */
__attribute__((unused)) static void stand_forget_sent(struct connection *c)
{
    buffer_clear(&c->out);
    list_remove(&c->dirty_link);
}

/* ---- once ---- */

static char *stand_path(const char *name)
{
    static char paths[4][96];
    static unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", stand.directory, name);
    return path;
}

static struct tls_context *stand_context(unsigned who)
{
    struct error e = {0};
    struct tls_context *c;
    struct cert_request r = {.identity = stand_identities[who]};
    char *certificate = stand_path("crt"), *key = stand_path("key");
    must(cert_issue(stand.directory, &r, certificate, key, &e) == OK);
    must(tls_context_new(stand_path(CERT_CA_FILE), certificate, key, &c, &e) == OK);
    must(unlink(certificate) == 0 && unlink(key) == 0);
    return c;
}

static void stand_shake_hands(unsigned who)
{
    static const char *const alpns[] = {ALPN_PEER, NULL};
    struct tls_context *c = stand.contexts[who] = stand_context(who);
    struct buffer plain = {0}, up = {0}, down = {0};
    struct tls *client, *server;
    must(tls_new(c, false, alpns, &client) == OK);
    must(tls_new(stand.node.tls, true, alpns, &server) == OK);
    for (int i = 0; i < 4; i++) {
        must(tls_receive(client, down.data, down.size, &plain, &up) == OK);
        buffer_clear(&down);
        must(tls_receive(server, up.data, up.size, &plain, &down) == OK);
        buffer_clear(&up);
    }
    must(tls_ready(client) && tls_ready(server));
    stand.ours[who] = client;
    stand.theirs[who] = server;
    buffer_deinit(&plain);
    buffer_deinit(&up);
    buffer_deinit(&down);
}

static void stand_found(struct node *n)
{
    struct topology *t;
    struct random random;
    struct buffer b = {0};
    struct uuid cluster;
    struct error e = {0};
    struct bytes text = {(const uint8_t *)stand_topology, sizeof(stand_topology) - 1};
    char *file = stand_path("founding.pb");
    random_init_seed(&random, 1); /* the same ids in every run: the corpus knows them */
    must(topology_parse("fuzz.ini", text, &t, &e) == OK);
    must(topology_founding(t, &random, 1700000000000, &b, &cluster) == OK);
    topology_free(t);
    FILE *f = fopen(file, "w");
    must(f != NULL && fwrite(b.data, b.size, 1, f) == 1 && fclose(f) == 0);
    must(founding_load(file, &n->founding, &e) == OK);
    must(unlink(file) == 0);
    buffer_deinit(&b);
    n->self = founding_find_node(&n->founding, 1);
    must(n->self != NULL && n->founding.nodes_n == STAND_NODES);
}

static void stand_host(struct node *n)
{
    struct error e = {0};
    stand.disk = crash_disk_new(1);
    random_init_seed(&n->random, 1);
    executor_inline_init(&stand.executor);
    struct host_options o = {.cluster = n->founding.cluster,
                             .node = 1,
                             .log_directory = "/log",
                             .disk = crash_disk_disk(stand.disk),
                             .executor = &stand.executor.executor,
                             .random = &n->random,
                             .clock = &stand_clock,
                             .segment_bytes = 256 * 1024,
                             .arg = n};
    must(host_open(&o, &n->host, &e) == OK);
}

static void stand_drop_line(void *arg, enum log_level level, const char *line)
{
    (void)arg;
    (void)level;
    (void)line;
}

static void stand_open(void)
{
    struct node *n = &stand.node;
    struct error e = {0};
    log_line_set_sink(stand_drop_line, NULL);
    snprintf(stand.directory, sizeof(stand.directory), "/tmp/mq-fuzz-node-XXXXXX");
    must(mkdtemp(stand.directory) != NULL);
    must(cert_ca_new(stand.directory, "fuzz", &e) == OK);
    stand_found(n);
    n->tls = stand_context(STAND_SELF);
    for (unsigned i = 0; i < STAND_IDENTITIES; i++) {
        stand_shake_hands(i);
    }
    must(unlink(stand_path(CERT_CA_FILE)) == 0 && unlink(stand_path(CERT_CA_KEY_FILE)) == 0);
    must(rmdir(stand.directory) == 0);
    must(uv_loop_init(&n->loop.uv) == 0);
    list_init(&n->loop.connections);
    list_init(&n->loop.dirty);
    list_init(&n->listener.sessions);
    n->loop.now_ms = STAND_NOW_MS;
    snprintf(n->config.name, sizeof(n->config.name), "n1");
    n->config.election_timeout_ms = 500;
    n->config.node_requests_max = n->config.client_requests_max = 100;
    n->config.node_bytes_max = n->config.client_bytes_max = STAND_OUT;
    n->data.founded = true;
    n->founder.node = n;
    n->founder.decided = n->founder.started = true;
    views_init(&n->views, n);
    holdings_init(&n->holdings, n);
    shards_init(&n->shards, n);
    must(service_init(&n->service, n) == OK && links_init(&n->links, n) == OK);
    stand_host(n);
}

/* As it was after stand_open(), but for free memory that waits to be used again. */
static void stand_reset(void)
{
    struct node *n = &stand.node;
    must(n->service.requests_n == 0);
    views_deinit(&n->views);
    views_init(&n->views, n);
    feed_table_deinit(&n->feeds);
    memset(&n->events, 0, sizeof(n->events));
    memset(n->founder.greetings, 0, sizeof(n->founder.greetings));
    memset(n->data.acquainted, true, sizeof(n->data.acquainted)); /* nothing is to be saved */
    n->loop.now_ms = STAND_NOW_MS;
    for (node_id i = 2; i <= STAND_NODES; i++) {
        struct link *l = links_find(&n->links, i);
        l->up = true;
        l->ended = l->refused = false;
        l->told = LOSS_NONE;
        l->incarnation = l->asked_ms = 0;
        l->heard_ms = STAND_NOW_MS;
    }
}

#endif
