/* Any answers of the node to which clients' requests were forwarded: each request is answered once, whatever comes, is late, or comes not at
 * all; the answer decodes; and nothing is told as applied that no answer said.
 *
 *   input: steps: u8 what, u16 size, bytes. What, its low 3 bits: a write or a query of the client (bit 3: a large one, over the bulk
 *   channel); the answer (bytes: its header; bit 3: node 3 sends it); the link ends (bit 3: bulk); time passes (bit 3: over each
 *   deadline); the leader says that it leads. */
#include "node/forward.h"
#include "tests/fuzz/node_stand.h"

#define REQUESTS_MAX 40u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct link *link;
    struct bytes write, large, query, view;
    uint8_t bytes[20000];
    struct session *client;
    unsigned asked, answered;
    bool applied; /* an answer that came says so */
} w;

/* ---- what is asked ---- */

static struct bytes pack(const ProtobufCMessage *m, uint8_t **at)
{
    must(protobuf_c_message_get_packed_size(m) <= (size_t)(w.bytes + sizeof(w.bytes) - *at));
    struct bytes b = {*at, protobuf_c_message_pack(m, *at)};
    *at += b.size;
    return b;
}

static void prepare(void)
{
    uint8_t *at = w.bytes;
    static uint8_t big[9000];
    Mq__Command c = MQ__COMMAND__INIT;
    Mq__DictTransaction dict = MQ__DICT_TRANSACTION__INIT;
    Mq__DictOp op = MQ__DICT_OP__INIT, *ops[] = {&op};
    Mq__Query q = MQ__QUERY__INIT;
    Mq__QueryMailboxes mailboxes = MQ__QUERY_MAILBOXES__INIT;
    Mq__NodeView v = MQ__NODE_VIEW__INIT;
    Mq__ShardView shard = MQ__SHARD_VIEW__INIT, *shards[] = {&shard};
    c.body_case = MQ__COMMAND__BODY_DICT;
    c.dict = &dict;
    w.write = pack(&c.base, &at);
    dict.n_ops = 1;
    dict.ops = ops;
    op.value = (ProtobufCBinaryData){sizeof(big), big};
    w.large = pack(&c.base, &at);
    q.body_case = MQ__QUERY__BODY_MAILBOXES;
    q.mailboxes = &mailboxes;
    w.query = pack(&q.base, &at);
    v.node = shard.leader = 2;
    shard.shard = 1;
    shard.leader_known = true;
    v.n_shards = 1;
    v.shards = shards;
    w.view = pack(&v.base, &at);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    stand_open();
    w.link = stand_link_up(2);
    prepare();
    return 0;
}

static void ask(Mq__Op op, struct bytes payload)
{
    static uint8_t packed[64];
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    if (w.asked == REQUESTS_MAX) {
        return;
    }
    h.id = ++w.asked;
    h.op = op;
    h.shard = 1;
    struct frame f = {.kind = FRAME_CLIENT_REQUEST, .payload = payload};
    f.header = (struct bytes){packed, mq__request_header__pack(&h, packed)};
    must(client_session_frame(w.client, &f) == OK);
}

static void leader_says(void)
{
    must(view_receive(&stand.node.views, 2, w.view) == OK);
}

/* ---- what comes ---- */

static void answer(node_id from, struct bytes header)
{
    static const uint8_t payload[] = {1, 2, 3};
    struct frame f = {
        .kind = FRAME_FORWARD_RESPONSE, .header = header, .payload = {payload, sizeof(payload)}};
    Mq__ResponseHeader *h = mq__response_header__unpack(NULL, header.size, header.data);
    w.applied = w.applied || (h != NULL && h->outcome == MQ__OUTCOME__OUTCOME_APPLIED);
    mq__response_header__free_unpacked(h, NULL);
    if (forward_answered(&stand.node.service, from, &f) != OK && from == 2) {
        forward_link_closed(&stand.node.service, 2, CHANNEL_CONTROL); /* as the link does */
    }
}

static void pass(uint64_t ms)
{
    stand.node.loop.now_ms += ms;
    service_tick(&stand.node.service, stand.node.loop.now_ms);
}

static void step(unsigned what, struct bytes b)
{
    bool other = (what & 8u) != 0;
    switch (what & 7u) {
        case 0:
            ask(MQ__OP__OP_SUBMIT, other ? w.large : w.write);
            break;
        case 1:
            ask(MQ__OP__OP_QUERY, w.query);
            break;
        case 2:
        case 3:
            answer(other ? 3 : 2, b);
            break;
        case 4:
            forward_link_closed(&stand.node.service, 2, other ? CHANNEL_BULK : CHANNEL_CONTROL);
            break;
        case 5:
        case 6:
            pass(other ? REQUEST_DEADLINE_MS : 100);
            break;
        default:
            leader_says();
            break;
    }
}

/* What the client was told. */
static void check(void)
{
    bool told[REQUESTS_MAX + 1] = {false};
    struct connection *c = &w.client->connection;
    struct frame f;
    size_t at = 0;
    while (stand_sent(c, &at, &f)) {
        Mq__ResponseHeader *h = mq__response_header__unpack(NULL, f.header.size, f.header.data);
        must(f.kind == FRAME_CLIENT_RESPONSE && h != NULL);
        must(h->id > 0 && h->id <= w.asked && !told[h->id]);
        must(h->outcome != MQ__OUTCOME__OUTCOME_APPLIED || w.applied);
        told[h->id] = true;
        w.answered++;
        mq__response_header__free_unpacked(h, NULL);
    }
    must(w.answered == w.asked && list_empty(&stand.node.service.forwarded));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = {data, size}, b;
    unsigned what;
    stand_reset();
    stand.node.service.next_forward_id = 1;
    w.client = stand_session_open(0, SESSION_CLIENT, STAND_OPERATOR);
    w.client->greeted = true;
    w.asked = w.answered = 0;
    w.applied = false;
    leader_says();
    while (stand_step(&input, &what, &b)) {
        step(what, b);
    }
    pass(REQUEST_DEADLINE_MS);
    pass(REQUEST_DEADLINE_MS);
    check();
    stand_session_close(w.client);
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        stand_forget_sent(&w.link->channels[i].connection);
    }
    return 0;
}
