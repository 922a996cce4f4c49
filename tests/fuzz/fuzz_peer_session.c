/* Any frames on a connection of a peer, whose certificate is somebody's: none is served before a hello that fits certificate and founding
 * file, the other side's own check of the hello that we answer with holds, and a hello on a link of ours is that of the node we dialled.
 *
 *   input: u8 whose certificate (low 4 bits), over a link that we dialled to node 2 (bit 7); then frames: u8 kind, u16 size of the header,
 *   header; the payload of one is empty. What is forwarded has targets of its own. */
#include "node/greeting.h"
#include "node/hint.h"
#include "proto/peer.pb-c.h"
#include "tests/fuzz/node_stand.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    stand_open();
    return 0;
}

static void check_greeting(const struct greeting *g, const struct tls_identity *identity)
{
    const struct founding_node *f = founding_find_node(&stand.node.founding, g->node);
    must(f != NULL && identity->kind == TLS_NODE && strcmp(f->name, identity->name) == 0);
    must(g->channel < CHANNEL_COUNT);
}

/* What a node that dialled takes our answer for. */
static void check_answer(const struct session *s)
{
    struct connection c = {.tls = stand.ours[s->peer - 1]};
    struct greeting g;
    struct error e = {0};
    struct frame f;
    size_t at = 0;
    must(stand_sent(&s->connection, &at, &f));
    must(greeting_receive(&stand.node, &c, &f, 1, &g, &e) == OK);
    check_greeting(&g, tls_peer(c.tls));
    must(g.channel == s->channel && g.acquainted && !g.blank);
    while (stand_sent(&s->connection, &at, &f)) {
        Mq__Ping *p = mq__ping__unpack(NULL, f.header.size, f.header.data);
        must(f.kind == FRAME_PONG && p != NULL);
        mq__ping__free_unpacked(p, NULL);
    }
}

static void serve(unsigned who, const uint8_t *at, const uint8_t *end)
{
    struct session *feed = stand_session_open(1, SESSION_CLIENT, STAND_HOST);
    struct session *s = stand_session_open(0, SESSION_PEER, who);
    list_push_back(&stand.node.service.subscribers, &feed->subscriber_link);
    while (end - at >= 3 && !s->connection.closing) {
        size_t size = (size_t)at[1] | (size_t)at[2] << 8;
        struct frame f = {.kind = (enum frame_kind)at[0]};
        uint32_t header_max, payload_max;
        at += 3;
        size = size < (size_t)(end - at) ? size : (size_t)(end - at);
        f.header = (struct bytes){at, size};
        at += size;
        bool greeted = s->greeted;
        frame_limits(f.kind, &header_max, &payload_max);
        if (size > header_max || f.kind == FRAME_FORWARD) {
            continue; /* frame_decode() does not let it through; it has a target of its own */
        }
        if (peer_session_frame(s, &f) != OK) {
            connection_close(&s->connection, STATUS_MALFORMED, "refused");
        }
        must(greeted || s->greeted == !s->connection.closing);
    }
    if (s->greeted) {
        struct greeting g = {.node = s->peer, .channel = s->channel};
        check_greeting(&g, &s->identity);
        check_answer(s);
    } else {
        must(s->connection.out.size == 0 && feed->connection.out.size == 0);
    }
    peer_session_closed(s, s->connection.text);
    stand_session_close(s);
    stand_session_close(feed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 4) {
        return 0;
    }
    unsigned who = (data[0] & 15u) % STAND_IDENTITIES;
    stand_reset();
    if ((data[0] & 128) == 0) {
        serve(who, data + 1, data + size);
        return 0;
    }
    struct connection c = {.tls = stand.theirs[who]};
    struct frame f = {.kind = (enum frame_kind)data[1], .header = {data + 4, size - 4}};
    struct greeting g;
    struct error e = {0};
    if (greeting_receive(&stand.node, &c, &f, 2, &g, &e) == OK) {
        check_greeting(&g, tls_peer(c.tls));
        must(g.node == 2);
    } else {
        must(e.text[0] != '\0');
    }
    return 0;
}
