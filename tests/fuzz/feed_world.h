/* The world of a feed without processes and sockets: its children are ours (in place of node/feed/child.c), its connection is the uplink's
 * own client engine, to which we say what the node says, and its time is the loop's, which we move. */
#ifndef MQ_TESTS_FEED_WORLD_H
#define MQ_TESTS_FEED_WORLD_H

#include "tests/fuzz/answer_source.h"

#include "node/feed/child.h"
#include "node/feed/feed_config.h"
#include "node/feed/trouble.h"
#include "node/feed/uplink.h"
#include "proto/frame.h"

static struct {
    uv_loop_t loop;
    struct uplink uplink;
    struct feed_config config;
    struct troubles troubles;
    struct source source;
    struct child *child; /* the one that runs */
} world;

/* ---- in place of node/feed/child.c ---- */

enum status child_start(struct child *c, uv_loop_t *loop, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms)
{
    (void)loop;
    (void)inherit_fd;
    CHECK(world.child == NULL);
    CHECK(!c->active);
    CHECK(argv[0] != NULL);
    c->timed_out = c->killed = c->paused = false;
    c->exit_status = c->signal = 0;
    c->error[0] = '\0';
    c->error_lines = c->error_lines_harmless = 0;
    c->deadline_ms = deadline_ms;
    c->active = true;
    world.child = c;
    return OK;
}

enum status child_write(struct child *c, const void *data, size_t size)
{
    (void)data;
    return !c->active ? STATUS_CLOSED : size > CHILD_INPUT_MAX ? STATUS_FULL : OK;
}

void child_pause(struct child *c)
{
    c->paused = c->active;
}

void child_resume(struct child *c)
{
    c->paused = false;
}

void child_touch(struct child *c)
{
    (void)c;
}

void child_kill(struct child *c)
{
    c->killed = c->active;
}

static void child_says(const void *data, size_t size)
{
    struct child *c = world.child;
    if (c != NULL && !c->paused && size > 0) {
        c->output(c, data, size);
    }
}

static void child_ends(uint8_t status)
{
    struct child *c = world.child;
    if (c == NULL || (c->paused && !c->killed)) {
        return;
    }
    c->exit_status = status;
    c->timed_out = status == 255;
    c->active = false;
    world.child = NULL;
    c->ended(c);
}

/* ---- the node ---- */

static void on_uplink(struct uplink *u)
{
    (void)u;
}

static void node_says(enum frame_kind kind, const ProtobufCMessage *m, struct bytes payload)
{
    static uint8_t packed[FRAME_HEADER_MAX];
    struct buffer b = {0};
    size_t size = protobuf_c_message_get_packed_size(m);
    if (size <= sizeof(packed) && payload.size <= FRAME_PAYLOAD_MAX) {
        protobuf_c_message_pack(m, packed);
        if (frame_encode(&b, kind, (struct bytes){packed, size}, payload) == OK) {
            (void)client_receive(&world.uplink.client, uv_now(&world.loop), b.data, b.size);
        }
    }
    buffer_deinit(&b);
}

static void world_connect(void)
{
    struct uplink *u = &world.uplink;
    uint8_t id[16] = {1};
    char node[] = "n1", software[] = "test";
    Mq__ClientHello hello = MQ__CLIENT_HELLO__INIT;
    CHECK_OK(client_init(&u->client, NULL, NULL));
    client_connected(&u->client, uv_now(&world.loop));
    hello.version = WIRE_VERSION;
    hello.cluster_id = (ProtobufCBinaryData){sizeof(id), id};
    hello.node = node;
    hello.software = software;
    node_says(FRAME_CLIENT_HELLO, &hello.base, (struct bytes){NULL, 0});
    CHECK(client_ready(&u->client));
    u->state = UPLINK_OPEN;
    u->ready = true;
}

static void world_disconnect(void)
{
    world.uplink.ready = false;
    client_disconnected(&world.uplink.client, "closed by the node");
    client_deinit(&world.uplink.client);
}

static void world_open(const uint8_t *in, size_t size)
{
    struct uuid any = {{0}};
    struct uplink *u = &world.uplink;
    memset(&world.troubles, 0, sizeof(world.troubles));
    world.source.at = in;
    world.source.end = in + size;
    CHECK_EQ(uv_loop_init(&world.loop), 0);
    memset(u, 0, offsetof(struct uplink, client));
    u->up = u->stopped = on_uplink;
    CHECK_OK(uplink_start(u, &world.loop, &world.config.nodes, NULL, &any));
    uv_timer_stop(&u->timer); /* it would connect */
    world_connect();
}

/* What is closing closes; nothing else happens. */
static void world_turn(void)
{
    uv_prepare_stop(&world.uplink.flush);
    (void)uv_run(&world.loop, UV_RUN_NOWAIT);
}

static void world_close(void)
{
    if (world.uplink.ready) {
        world_disconnect();
    }
    world.uplink.state = UPLINK_WAITING;
    uplink_stop(&world.uplink);
    world_turn();
    CHECK_EQ(uv_loop_close(&world.loop), 0);
}

static void world_later(uint8_t how)
{
    static const uint64_t later_ms[8] = {0, 100, 500, 2000, 8000, 20000, 70000, 3600000};
    world.loop.time += later_ms[how % 8u];
    client_tick(&world.uplink.client, uv_now(&world.loop));
}

/* An answer to the question under way: u8 kind as in fuzz_answer.c, but 00..1f: one that fits; e0..ff: the connection ends. */
static void world_answer(const struct client_request *asked)
{
    struct source *s = &world.source;
    uint8_t kind = source_byte(s);
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    Mq__Result fits = MQ__RESULT__INIT;
    Mq__ResultLease lease = MQ__RESULT_LEASE__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    uint8_t packed[64];
    char text[64] = "";
    struct bytes payload = {NULL, 0};
    client_written(&world.uplink.client, client_output(&world.uplink.client).size);
    if (kind >= 0xe0) {
        world_disconnect();
        world_connect();
        return;
    }
    h.id = asked->header.id;
    h.outcome = MQ__OUTCOME__OUTCOME_APPLIED;
    h.shard = kind % 4u;
    h.text = text;
    if (kind >= 0xc0) {
        h.outcome = source_byte(s) % 3u + 1u;
        h.status = source_byte(s) % (STATUS_COUNT + 1u);
        snprintf(text, sizeof(text), "refused %u", h.status);
    }
    if (kind < 0x20 && asked->header.op == MQ__OP__OP_SUBMIT) {
        token.epoch = token.position = lease.expires_ms = 7;
        lease.token = &token;
        fits.body_case = MQ__RESULT__BODY_LEASE;
        fits.lease = &lease;
        payload = (struct bytes){packed, mq__result__pack(&fits, packed)};
    } else if (kind >= 0x80 && kind < 0xc0) {
        size_t n = source_byte(s);
        payload = source_bytes(s, n << 8 | source_byte(s));
    } else if (kind >= 0x20) {
        payload = answer_built(s, asked->header.op, kind >= 0x60 && kind < 0x80);
    }
    node_says(FRAME_CLIENT_RESPONSE, &h.base, payload);
}

static void world_configure(void)
{
    struct feed_config *c = &world.config;
    snprintf(c->store, sizeof(c->store), "s1");
    snprintf(c->site, sizeof(c->site), "here");
    snprintf(c->host, sizeof(c->host), "mx1");
    snprintf(c->doveadm, sizeof(c->doveadm), "/doveadm");
    snprintf(c->postqueue, sizeof(c->postqueue), "/postqueue");
    snprintf(c->postconf, sizeof(c->postconf), "/postconf");
    c->nodes.n = 1;
    snprintf(c->nodes.items[0], sizeof(c->nodes.items[0]), "unix:/none");
    c->report_deadline_ms = c->queue_deadline_ms = 60000;
    c->lease_ttl_ms = 15000;
    c->queue_interval_ms = c->pull_deadline_ms = 10000;
    c->dovecot = c->postfix = true;
    arena_init(&world.source.arena);
    world.source.shallow = true;
    source_learn(&world.source, (struct token){7, 7});
    (void)source_encoded(&world.source, &mq__result_lease__descriptor);
}

#endif
