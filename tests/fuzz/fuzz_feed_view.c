/* Any words of feeds, from peers and from a feed itself: the table stays within its bounds with one word a feed, and whatever is passed on
 * from it is small enough and taken by the node that it is passed on to.
 *
 *   input: steps: u8 what, u16 size, payload. What, its low 3 bits: FRAME_FEED of a peer; the same of many hosts (the high bits: 4 times
 *   so many), or aged; OP_FEED_STATUS of a feed; node 2 comes up; time passes (payload: u64 ms). */
#include "tests/fuzz/node_stand.h"

#define STEPS_MAX 40u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct link *link2; /* up: what is passed on lies in its buffer */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    stand_open();
    link2 = stand_link_up(2);
    return 0;
}

static void check_table(void)
{
    const struct feed_table *t = &stand.node.feeds;
    must(t->n <= FEEDS_MAX);
    for (uint32_t i = 0; i < t->n; i++) {
        const Mq__FeedStatus *s = t->words[i].status;
        must(s != NULL && s->host[0] != '\0' && s->store[0] != '\0');
        must(strlen(s->host) <= FEED_STORE_BYTES_MAX && s->n_troubles <= FEED_TROUBLES_MAX);
        must(mq__feed_status__get_packed_size(s) <= FEED_STATUS_BYTES_MAX);
        must(memchr(t->words[i].node, '\0', sizeof(t->words[i].node)) != NULL);
        for (uint32_t k = 0; k < i; k++) {
            const Mq__FeedStatus *other = t->words[k].status;
            must(strcmp(s->host, other->host) != 0 || strcmp(s->store, other->store) != 0);
        }
    }
}

/* What lies on the link is taken by the node over there, which is this one again. */
static void pass_on(void)
{
    struct connection *c = &link2->channels[CHANNEL_CONTROL].connection;
    struct frame f;
    size_t at = 0;
    while (stand_sent(c, &at, &f)) {
        must(f.kind == FRAME_FEED);
        must(feed_table_receive(&stand.node, f.payload) == OK);
    }
    stand_forget_sent(c);
}

static bool receive(struct session *peer, struct bytes payload)
{
    struct frame f = {.kind = FRAME_FEED, .payload = payload};
    return peer_session_frame(peer, &f) == OK;
}

/* As if so many feeds had said it, each of a host of its own. */
static void receive_many(struct session *peer, struct bytes payload, unsigned n)
{
    Mq__FeedView *v = mq__feed_view__unpack(NULL, payload.size, payload.data);
    if (v == NULL || v->status == NULL || payload.size > 512) {
        mq__feed_view__free_unpacked(v, NULL);
        return;
    }
    char *host = v->status->host, name[300];
    uint64_t age_ms = v->age_ms;
    for (unsigned i = 0; i < n; i++) {
        uint8_t packed[2048];
        snprintf(name, sizeof(name), "%.200s%u", host, i);
        v->status->host = name;
        v->age_ms = age_ms + i;
        must(mq__feed_view__get_packed_size(v) <= sizeof(packed));
        struct bytes b = {packed, mq__feed_view__pack(v, packed)};
        (void)receive(peer, b);
    }
    v->status->host = host;
    mq__feed_view__free_unpacked(v, NULL);
}

static void say(struct session *feed, struct bytes payload)
{
    static const uint8_t header[] = {1 << 3, 9, 2 << 3, MQ__OP__OP_FEED_STATUS};
    struct frame f = {
        .kind = FRAME_CLIENT_REQUEST, .header = {header, sizeof(header)}, .payload = payload};
    size_t at = 0;
    must(client_session_frame(feed, &f) == OK);
    must(stand_sent(&feed->connection, &at, &f) && f.kind == FRAME_CLIENT_RESPONSE);
    must(at == feed->connection.out.size);
    buffer_clear(&feed->connection.out);
}

static void step(unsigned what, struct bytes payload, struct session *peer, struct session *feed)
{
    switch (what & 7u) {
        case 0:
        case 1:
            (void)receive(peer, payload);
            break;
        case 2:
        case 3:
            receive_many(peer, payload, (what >> 3) * 4 + 4);
            break;
        case 4:
        case 5:
            say(feed, payload);
            break;
        case 6:
            feed_table_greet(&stand.node, 2);
            break;
        default:
            stand.node.loop.now_ms += payload.size == 8 ? get_le64(payload.data) >> 16 : 15001;
            break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size}, b;
    unsigned what;
    stand_reset();
    struct session *peer = stand_peer_open(0, 2);
    struct session *feed = stand_session_open(1, SESSION_CLIENT, STAND_HOST);
    feed->greeted = true;
    for (unsigned i = 0; i < STEPS_MAX && stand_step(&input, &what, &b); i++) {
        step(what, b, peer, feed);
        pass_on();
    }
    check_table();
    stand_session_close(peer);
    stand_session_close(feed);
    return 0;
}
