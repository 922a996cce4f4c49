/* A client's hint, on its way to the subscribers and the other nodes. */
#include "node/hint.h"

#include "node/node.h"
#include "tests/lib/check.h"

static struct node node;
static struct request request;
static struct response told;
static unsigned done;

static void on_done(struct request *r, const struct response *response)
{
    CHECK(r == &request);
    told = *response;
    done++;
}

static enum status touch(const void *payload, size_t size)
{
    memset(&node, 0, sizeof(node));
    memset(&request, 0, sizeof(request));
    node.service.node = &node;
    node.service.requests_n = 1;
    node.service.bytes = size;
    list_init(&node.service.subscribers);
    list_init(&node.service.free);
    request.service = &node.service;
    request.done = on_done;
    request.payload = (struct bytes){payload, size};
    done = 0;
    hint_touch(&request);
    CHECK_EQ(done, 1);
    CHECK_EQ(told.outcome == MQ__OUTCOME__OUTCOME_APPLIED, told.status == OK);
    return told.status;
}

static void a_hint_is_taken(void)
{
    static const uint8_t known[] = {10, 3, 'a', 'd', 'a'};
    static const uint8_t later[] = {10, 3, 'a', 'd', 'a', 0xa0, 6, 7}; /* field 100 */
    CHECK_EQ(touch(known, sizeof(known)), OK);
    CHECK_EQ(touch(later, sizeof(later)), OK);
}

static void what_the_other_nodes_would_refuse_is_refused_here(void)
{
    static const uint8_t nonsense[] = {0xff, 0xff};
    static const uint8_t no_number[] = {10, 3, 'a', 'd', 'a', 0x80, 0, 7};
    static uint8_t big[1030] = {18, 0x83, 8}; /* a mailbox of 1027 bytes */
    memset(big + 3, 'm', sizeof(big) - 3);
    CHECK_EQ(touch(nonsense, sizeof(nonsense)), STATUS_MALFORMED);
    CHECK_EQ(touch(no_number, sizeof(no_number)), STATUS_MALFORMED);
    CHECK_EQ(touch(big, sizeof(big)), STATUS_MALFORMED);
}

CHECK_MAIN
{
    RUN(a_hint_is_taken);
    RUN(what_the_other_nodes_would_refuse_is_refused_here);
}
