/* The client engine against a hand-written node: without TLS here (tests/unit/ctl/test_tls.c has both together). */
#include "proto/client.h"

#include "proto/frame.h"
#include "proto/peer.pb-c.h"
#include "tests/lib/check.h"

static const struct uuid our_cluster = {{1, 2, 3}};

struct seen {
    struct client_request r;
    int done_n;
    Mq__Outcome outcome;
    enum status status;
    char result[32];
};

static void on_done(struct client_request *r)
{
    struct seen *s = r->arg;
    s->done_n++;
    s->outcome = r->outcome;
    s->status = r->status;
    snprintf(s->result, sizeof(s->result), "%.*s", (int)r->result.size,
             (const char *)r->result.data);
}

static void seen_init(struct seen *s, Mq__Op op)
{
    static const char payload[] = "command";
    memset(s, 0, sizeof(*s));
    mq__request_header__init(&s->r.header);
    s->r.header.op = op;
    s->r.payload = (struct bytes){(const uint8_t *)payload, 7};
    s->r.done = on_done;
    s->r.arg = s;
}

static enum status give(struct client *c, enum frame_kind kind, const ProtobufCMessage *m,
                        const char *payload)
{
    uint8_t packed[512];
    struct buffer b = {0};
    size_t n = protobuf_c_message_pack(m, packed);
    CHECK_OK(frame_encode(&b, kind, (struct bytes){packed, n},
                          (struct bytes){(const uint8_t *)payload, strlen(payload)}));
    enum status s = OK;
    for (size_t i = 0; i < b.size && s == OK; i++) { /* a byte at a time */
        s = client_receive(c, c->now_ms, b.data + i, 1);
    }
    buffer_deinit(&b);
    return s;
}

static enum status give_hello(struct client *c, uint32_t version, const struct uuid *cluster)
{
    Mq__ClientHello hello = MQ__CLIENT_HELLO__INIT;
    char node[] = "bj1";
    struct uuid id = *cluster;
    hello.version = version;
    hello.node = node;
    hello.cluster_id = (ProtobufCBinaryData){sizeof(id.bytes), id.bytes};
    return give(c, FRAME_CLIENT_HELLO, &hello.base, "");
}

static enum status give_response(struct client *c, uint64_t id, Mq__Outcome outcome,
                                 enum status status, const char *payload)
{
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    h.id = id;
    h.outcome = outcome;
    h.status = (uint32_t)status;
    return give(c, FRAME_CLIENT_RESPONSE, &h.base, payload);
}

static size_t drain(struct client *c)
{
    size_t n = 0;
    for (struct bytes b; (b = client_output(c)).size > 0; client_written(c, b.size)) {
        n += b.size;
    }
    return n;
}

static void start(struct client *c)
{
    CHECK_OK(client_init(c, NULL, &our_cluster));
    client_connected(c, 1000);
    CHECK(drain(c) > 0);
    CHECK_OK(give_hello(c, WIRE_VERSION, &our_cluster));
    CHECK(client_ready(c));
    CHECK_STR_EQ(c->server_node, "bj1");
}

static void requests_wait_for_the_hello_and_answers_come_in_any_order(void)
{
    struct client c;
    struct seen a, b;
    seen_init(&a, MQ__OP__OP_SUBMIT);
    seen_init(&b, MQ__OP__OP_QUERY);
    CHECK_OK(client_init(&c, NULL, &our_cluster));
    CHECK_OK(client_submit(&c, 900, &a.r));
    client_connected(&c, 1000);
    size_t hello = drain(&c);
    CHECK(hello > 0);
    CHECK_EQ(drain(&c), 0);
    CHECK_OK(client_submit(&c, 1000, &b.r));
    CHECK_EQ(drain(&c), 0);
    CHECK_OK(give_hello(&c, WIRE_VERSION + 1, &our_cluster));
    CHECK(drain(&c) > 2 * (FRAME_HEAD_SIZE + 7));
    CHECK_OK(give_response(&c, b.r.header.id, MQ__OUTCOME__OUTCOME_APPLIED, OK, "two"));
    CHECK_EQ(a.done_n, 0);
    CHECK_STR_EQ(b.result, "two");
    CHECK_OK(give_response(&c, a.r.header.id, MQ__OUTCOME__OUTCOME_REFUSED, STATUS_MOVED, ""));
    CHECK_EQ(a.outcome, MQ__OUTCOME__OUTCOME_REFUSED);
    CHECK_EQ(a.status, STATUS_MOVED);
    CHECK_OK(give_response(&c, a.r.header.id, MQ__OUTCOME__OUTCOME_APPLIED, OK,
                           "")); /* again: dropped */
    CHECK_EQ(a.done_n, 1);
    CHECK_EQ(client_deadline_ms(&c), UINT64_MAX);
    client_deinit(&c);
}

static void a_lost_connection_leaves_sent_writes_unknown_and_refuses_the_rest(void)
{
    struct client c;
    struct seen sent, read, unsent;
    seen_init(&sent, MQ__OP__OP_SUBMIT);
    seen_init(&read, MQ__OP__OP_QUERY);
    seen_init(&unsent, MQ__OP__OP_SUBMIT);
    start(&c);
    CHECK_OK(client_submit(&c, 1000, &sent.r));
    CHECK_OK(client_submit(&c, 1000, &read.r));
    drain(&c);
    CHECK_OK(client_submit(&c, 1000, &unsent.r));
    client_disconnected(&c, "connection reset");
    CHECK_EQ(sent.outcome, MQ__OUTCOME__OUTCOME_UNKNOWN);
    CHECK_EQ(read.outcome, MQ__OUTCOME__OUTCOME_REFUSED);
    CHECK_EQ(unsent.outcome, MQ__OUTCOME__OUTCOME_REFUSED);
    CHECK_EQ(unsent.status, STATUS_CLOSED);
    CHECK_EQ(client_submit(&c, 1000, &unsent.r), STATUS_CLOSED);
    CHECK_STR_EQ(c.error_text, "connection reset");
    client_deinit(&c);
}

static void a_request_past_its_deadline_completes_once_and_its_late_answer_is_dropped(void)
{
    struct client c;
    struct seen slow, patient;
    seen_init(&slow, MQ__OP__OP_SUBMIT);
    seen_init(&patient, MQ__OP__OP_SUBMIT);
    slow.r.deadline_ms = 100;
    start(&c);
    CHECK_OK(client_submit(&c, 1000, &patient.r));
    CHECK_OK(client_submit(&c, 1000, &slow.r));
    drain(&c);
    CHECK_EQ(client_deadline_ms(&c), 1100);
    client_tick(&c, 1099);
    CHECK_EQ(slow.done_n, 0);
    client_tick(&c, 1100);
    CHECK_EQ(slow.done_n, 1);
    CHECK_EQ(slow.outcome, MQ__OUTCOME__OUTCOME_UNKNOWN);
    CHECK_EQ(slow.status, STATUS_TIMEOUT);
    CHECK_EQ(patient.done_n, 0);
    CHECK_EQ(client_deadline_ms(&c), 6000);
    CHECK_OK(give_response(&c, slow.r.header.id, MQ__OUTCOME__OUTCOME_APPLIED, OK, ""));
    CHECK_EQ(slow.done_n, 1);
    client_deinit(&c);
    CHECK_EQ(patient.done_n, 1);
}

static void another_cluster_or_version_ends_the_connection_before_a_request_is_sent(void)
{
    static const struct uuid other = {{9}};
    struct client c;
    struct seen a;
    seen_init(&a, MQ__OP__OP_SUBMIT);
    CHECK_OK(client_init(&c, NULL, &our_cluster));
    CHECK_OK(client_submit(&c, 0, &a.r));
    client_connected(&c, 0);
    CHECK_EQ(give_hello(&c, WIRE_VERSION, &other), STATUS_WRONG_CLUSTER);
    client_disconnected(&c, "closed");
    CHECK_STR_EQ(c.error_text, "the node belongs to another cluster");
    CHECK_EQ(a.outcome, MQ__OUTCOME__OUTCOME_REFUSED);
    client_deinit(&c);
    CHECK_OK(client_init(&c, NULL, NULL));
    client_connected(&c, 0);
    CHECK_EQ(give_hello(&c, WIRE_VERSION + 2, &other), STATUS_VERSION);
    client_deinit(&c);
}

static void garbage_and_frames_not_for_clients_end_the_connection(void)
{
    struct client c;
    Mq__Ping ping = MQ__PING__INIT;
    CHECK_OK(client_init(&c, NULL, NULL));
    client_connected(&c, 0);
    CHECK_EQ(client_receive(&c, 0, (const uint8_t *)"HTTP/1.1 400 Bad Request\r\n", 26),
             STATUS_MALFORMED);
    CHECK_EQ(client_receive(&c, 0, (const uint8_t *)"x", 1), STATUS_CLOSED);
    client_deinit(&c);
    start(&c);
    CHECK_EQ(give(&c, FRAME_PING, &ping.base, ""), STATUS_MALFORMED);
    client_deinit(&c);
    start(&c);
    CHECK_EQ(give_response(&c, 1, MQ__OUTCOME__OUTCOME_NONE, OK, ""), STATUS_MALFORMED);
    client_deinit(&c);
}

static void the_window_is_full_at_its_limit_and_reopens(void)
{
    static struct seen all[CLIENT_INFLIGHT_MAX + 1];
    struct client c;
    start(&c);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i <= CLIENT_INFLIGHT_MAX; i++) {
            if (all[i].r.link.next == NULL || !list_linked(&all[i].r.link)) {
                seen_init(&all[i], MQ__OP__OP_SUBMIT);
                enum status s = client_submit(&c, 1000, &all[i].r);
                CHECK_EQ(s, c.requests_n == CLIENT_INFLIGHT_MAX && s != OK ? STATUS_FULL : OK);
            }
        }
        CHECK_EQ(c.requests_n, CLIENT_INFLIGHT_MAX);
        drain(&c);
        for (int i = 0; i < CLIENT_INFLIGHT_MAX; i += 2) {
            CHECK_OK(give_response(&c, all[i].r.header.id, MQ__OUTCOME__OUTCOME_APPLIED, OK, "x"));
            CHECK_EQ(all[i].done_n, 1);
        }
    }
    client_deinit(&c);
}

static int touched;
static void on_touch(void *arg, const Mq__Event *e)
{
    (void)arg;
    CHECK_EQ(e->body_case, MQ__EVENT__BODY_TOUCH);
    CHECK_STR_EQ(e->touch->user, "li");
    touched++;
}

static void events_reach_their_subscriber(void)
{
    struct client c;
    Mq__Touch touch = MQ__TOUCH__INIT;
    Mq__Event event = MQ__EVENT__INIT;
    char user[] = "li";
    touch.user = user;
    event.body_case = MQ__EVENT__BODY_TOUCH;
    event.touch = &touch;
    start(&c);
    c.on_event = on_touch;
    CHECK_OK(give(&c, FRAME_CLIENT_EVENT, &event.base, ""));
    CHECK_EQ(touched, 1);
    client_deinit(&c);
}

CHECK_MAIN
{
    RUN(requests_wait_for_the_hello_and_answers_come_in_any_order);
    RUN(a_lost_connection_leaves_sent_writes_unknown_and_refuses_the_rest);
    RUN(a_request_past_its_deadline_completes_once_and_its_late_answer_is_dropped);
    RUN(another_cluster_or_version_ends_the_connection_before_a_request_is_sent);
    RUN(garbage_and_frames_not_for_clients_end_the_connection);
    RUN(the_window_is_full_at_its_limit_and_reopens);
    RUN(events_reach_their_subscriber);
}
