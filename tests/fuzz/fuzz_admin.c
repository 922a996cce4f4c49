/* Any requests of anybody who may ask: each gets one answer, which decodes, and nobody changes anything whose certificate may not.
 *
 *   input: u8 who (low 3 bits: a host, operators of three roles, or node 2, which forwards); then steps: u8 what, u16 size, bytes. What,
 *   its low 4 bits: below 10 a request with so numbered an operation and these bytes (bit 4: of user "ada", bit 5: of the directory,
 *   bit 6: many of them at once); then time passes (bit 4: over each deadline); node 2 says that it leads; it answers (bytes: payload;
 *   bit 4: refuses); the link to it ends. */
#include "node/admin.h"
#include "node/forward.h"
#include "tests/fuzz/node_stand.h"

#define REQUESTS_MAX 60u
#define MANY         30u

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    struct link *link;
    struct session *from;
    unsigned asked;
    bool changes[REQUESTS_MAX + 1];
    uint8_t view[256];
    struct bytes leader_view;
} w;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    Mq__NodeView v = MQ__NODE_VIEW__INIT;
    Mq__ShardView a = MQ__SHARD_VIEW__INIT, b = MQ__SHARD_VIEW__INIT, *shards[] = {&a, &b};
    (void)argc;
    (void)argv;
    stand_open();
    w.link = stand_link_up(2);
    v.node = a.leader = b.leader = 2;
    a.leader_known = b.leader_known = true;
    b.shard = 1;
    v.n_shards = 2;
    v.shards = shards;
    must(mq__node_view__get_packed_size(&v) <= sizeof(w.view));
    w.leader_view = (struct bytes){w.view, mq__node_view__pack(&v, w.view)};
    return 0;
}

/* ---- what is asked ---- */

/* What only an operator or an administrator may have done. */
static bool changes(uint32_t op, struct bytes payload)
{
    bool yes = false;
    if (op == MQ__OP__OP_ADMIN) {
        Mq__Admin *a = mq__admin__unpack(NULL, payload.size, payload.data);
        yes = a != NULL && (a->body_case == MQ__ADMIN__BODY_USER_ASSIGN ||
                            a->body_case == MQ__ADMIN__BODY_CONFIG_SET ||
                            (a->body_case == MQ__ADMIN__BODY_SWITCHOVER && a->switchover->apply));
        mq__admin__free_unpacked(a, NULL);
    }
    return yes;
}

static void ask(unsigned what, struct bytes payload)
{
    static uint8_t packed[128];
    static char user[] = "ada";
    Mq__RequestHeader h = MQ__REQUEST_HEADER__INIT;
    struct frame f = {.payload = payload};
    if (w.asked == REQUESTS_MAX) {
        return;
    }
    h.id = ++w.asked;
    h.op = what & 15u;
    h.shard = (what & 32u) != 0 ? SHARD_DIRECTORY : 1;
    if ((what & 16u) != 0) {
        h.user = user;
    }
    w.changes[w.asked] = changes(h.op, payload);
    f.header = (struct bytes){packed, mq__request_header__pack(&h, packed)};
    f.kind = w.from->kind == SESSION_PEER ? FRAME_FORWARD : FRAME_CLIENT_REQUEST;
    must((w.from->kind == SESSION_PEER ? peer_session_frame(w.from, &f)
                                       : client_session_frame(w.from, &f)) == OK);
}

/* ---- what comes ---- */

/* Node 2 answers the oldest that we forwarded to it. */
static void answer(bool refuses, struct bytes payload)
{
    struct service *s = &stand.node.service;
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    uint8_t packed[64];
    if (list_empty(&s->forwarded)) {
        return;
    }
    h.id = container_of(s->forwarded.next, struct request, link)->forward_id;
    h.outcome = refuses ? MQ__OUTCOME__OUTCOME_REFUSED : MQ__OUTCOME__OUTCOME_APPLIED;
    h.status = refuses ? STATUS_CONFLICT : OK;
    struct frame f = {.kind = FRAME_FORWARD_RESPONSE, .payload = payload};
    f.header = (struct bytes){packed, mq__response_header__pack(&h, packed)};
    must(forward_answered(s, 2, &f) == OK);
}

static void pass(uint64_t ms)
{
    struct node *n = &stand.node;
    n->loop.now_ms += ms;
    executor_inline_drain(&stand.executor);
    service_tick(&n->service, n->loop.now_ms);
}

static void step(unsigned what, struct bytes b)
{
    switch (what & 15u) {
        case 10:
        case 11:
            pass((what & 16u) != 0 ? REQUEST_DEADLINE_MS : 100);
            break;
        case 12:
            must(view_receive(&stand.node.views, 2, w.leader_view) == OK);
            break;
        case 13:
        case 14:
            answer((what & 16u) != 0, b);
            break;
        case 15:
            forward_link_closed(&stand.node.service, 2, CHANNEL_CONTROL);
            break;
        default:
            for (unsigned i = 0; i < ((what & 64u) != 0 ? MANY : 1u); i++) {
                ask(what, b);
            }
            break;
    }
}

/* ---- what was told ---- */

static void check_answer(const Mq__ResponseHeader *h)
{
    must(h->outcome >= MQ__OUTCOME__OUTCOME_APPLIED && h->outcome <= MQ__OUTCOME__OUTCOME_UNKNOWN);
    must(h->outcome == MQ__OUTCOME__OUTCOME_APPLIED ||
         (h->text[0] != '\0' && h->message_id[0] != '\0'));
    bool trusted = (w.from->rights & (RIGHT_OPERATE | RIGHT_ADMIN)) != 0;
    must(trusted || !w.changes[h->id] || h->outcome == MQ__OUTCOME__OUTCOME_REFUSED);
}

static void check(void)
{
    bool told[REQUESTS_MAX + 1] = {false};
    unsigned answered = 0;
    bool peer = w.from->kind == SESSION_PEER;
    struct frame f;
    size_t at = 0;
    while (stand_sent(&w.from->connection, &at, &f)) {
        if (f.kind == FRAME_CLIENT_EVENT) {
            continue;
        }
        Mq__ResponseHeader *h = mq__response_header__unpack(NULL, f.header.size, f.header.data);
        must(f.kind == (peer ? FRAME_FORWARD_RESPONSE : FRAME_CLIENT_RESPONSE) && h != NULL);
        must(h->id > 0 && h->id <= w.asked && !told[h->id]);
        check_answer(h);
        told[h->id] = true;
        answered++;
        mq__response_header__free_unpacked(h, NULL);
    }
    must(answered == w.asked);
}

static struct session *open_session(unsigned who)
{
    static const struct tls_identity operators[] = {
        {.kind = TLS_OPERATOR, .name = "eve", .role = "viewer"},
        {.kind = TLS_OPERATOR, .name = "eve", .role = "operator"},
        {.kind = TLS_OPERATOR, .name = "eve", .role = "admin"},
    };
    if (who % 5 == 4) {
        struct session *peer = stand_peer_open(0, 2);
        peer->rights = RIGHTS_ALL;
        return peer;
    }
    struct session *s =
        stand_session_open(0, SESSION_CLIENT, who % 5 == 3 ? STAND_HOST : STAND_OPERATOR);
    if (who % 5 < 3) {
        s->identity = operators[who % 5];
        s->rights = rights_of(&s->identity);
    }
    s->greeted = true;
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct bytes input = {data + 1, size - 1}, b;
    unsigned what;
    stand_reset();
    memset(&stand.node.operations, 0, sizeof(stand.node.operations));
    events_add(&stand.node.events, "MQ-EVENT-SPACE", EVENT_OK, "n1", NULL, "an event");
    stand.node.service.next_forward_id = 1;
    w.from = open_session(data[0] & 7u);
    w.asked = 0;
    while (stand_step(&input, &what, &b)) {
        step(what, b);
    }
    for (int i = 0; i < 8; i++) {
        pass(REQUEST_DEADLINE_MS);
    }
    check();
    stand_session_close(w.from);
    for (int i = 0; i < CHANNEL_COUNT; i++) {
        stand_forget_sent(&w.link->channels[i].connection);
    }
    /* An assignment that has begun goes on for ever, asked for or not. */
    service_deinit(&stand.node.service);
    must(service_init(&stand.node.service, &stand.node) == OK);
    return 0;
}
