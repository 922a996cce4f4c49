/* Answers of another node to what was forwarded to it. */
#include "node/forward.h"

#include "tests/lib/check.h"

static struct service service;
static struct request request;
static unsigned done;
static struct response told;

static void on_done(struct request *r, const struct response *response)
{
    CHECK(r == &request);
    done++;
    told = *response;
}

static void wait_for(node_id node, uint64_t id)
{
    memset(&service, 0, sizeof(service));
    memset(&request, 0, sizeof(request));
    list_init(&service.forwarded);
    list_init(&service.free);
    service.requests_n = 1;
    request.service = &service;
    request.done = on_done;
    request.forward_node = node;
    request.forward_id = id;
    list_push_back(&service.forwarded, &request.link);
    done = 0;
}

static enum status answer(node_id from, const Mq__ResponseHeader *h)
{
    static uint8_t packed[8192];
    CHECK(mq__response_header__get_packed_size(h) <= sizeof(packed));
    struct frame f = {.kind = FRAME_FORWARD_RESPONSE};
    f.header = (struct bytes){packed, mq__response_header__pack(h, packed)};
    return forward_answered(&service, from, &f);
}

static Mq__ResponseHeader applied(uint64_t id)
{
    Mq__ResponseHeader h = MQ__RESPONSE_HEADER__INIT;
    h.id = id;
    h.outcome = MQ__OUTCOME__OUTCOME_APPLIED;
    h.index = 9;
    return h;
}

static void the_node_that_was_asked_answers_and_no_other(void)
{
    Mq__ResponseHeader h = applied(5);
    wait_for(2, 5);
    CHECK_EQ(answer(3, &h), OK);
    CHECK_EQ(done, 0);
    CHECK_EQ(answer(2, &h), OK);
    CHECK_EQ(done, 1);
    CHECK(told.outcome == MQ__OUTCOME__OUTCOME_APPLIED && told.index == 9);
    CHECK_EQ(answer(2, &h), OK); /* late */
    CHECK_EQ(done, 1);
}

static void names_that_no_node_has_are_refused_and_the_request_waits_on(void)
{
    char name[3001];
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    wait_for(2, 5);
    Mq__ResponseHeader h = applied(5);
    h.leader = name;
    CHECK_EQ(answer(2, &h), STATUS_MALFORMED);
    h = applied(5);
    h.message_id = name;
    CHECK_EQ(answer(2, &h), STATUS_MALFORMED);
    name[NAME_MAX_BYTES + 1] = '\0';
    CHECK_EQ(answer(2, &h), STATUS_MALFORMED);
    CHECK_EQ(done, 0);
    name[NAME_MAX_BYTES] = '\0';
    h.leader = name;
    CHECK_EQ(answer(2, &h), OK);
    CHECK_EQ(done, 1);
}

static void what_is_no_outcome_is_refused(void)
{
    Mq__ResponseHeader h = applied(5);
    wait_for(2, 5);
    h.outcome = (Mq__Outcome)0;
    CHECK_EQ(answer(2, &h), STATUS_MALFORMED);
    h.outcome = (Mq__Outcome)(MQ__OUTCOME__OUTCOME_UNKNOWN + 1);
    CHECK_EQ(answer(2, &h), STATUS_MALFORMED);
    CHECK_EQ(done, 0);
}

CHECK_MAIN
{
    RUN(the_node_that_was_asked_answers_and_no_other);
    RUN(names_that_no_node_has_are_refused_and_the_request_waits_on);
    RUN(what_is_no_outcome_is_refused);
}
