/* What other nodes say of themselves, as it is kept. */
#include "node/view.h"

#include "node/node.h"
#include "tests/lib/check.h"

static struct node node;

static void begin(void)
{
    memset(&node, 0, sizeof(node));
    node.loop.now_ms = 5000;
    views_init(&node.views, &node);
}

static enum status receive(node_id from, const void *payload, size_t size)
{
    return view_receive(&node.views, from, (struct bytes){payload, size});
}

static void a_view_is_known_for_a_second_and_history_after_that(void)
{
    static const uint8_t view[] = {8, 2, 0xa0, 38, 7}; /* node 2, and a field of later */
    uint64_t age;
    begin();
    CHECK(view_find(&node.views, 2, &age) == NULL && age == UINT64_MAX);
    CHECK_EQ(receive(2, view, sizeof(view)), OK);
    node.loop.now_ms += VIEW_AGE_MS_MAX;
    CHECK(view_find(&node.views, 2, &age) != NULL && age == VIEW_AGE_MS_MAX);
    node.loop.now_ms++;
    CHECK(view_find(&node.views, 2, &age) == NULL && age == VIEW_AGE_MS_MAX + 1);
    CHECK(view_last(&node.views, 2) != NULL);
    views_deinit(&node.views);
}

static void what_is_no_view_of_that_node_is_not_kept(void)
{
    static const uint8_t other[] = {8, 3};
    static const uint8_t nonsense[] = {0xff, 0xff};
    static const uint8_t outside[] = {8, 2, 0x80, 0, 7};            /* a field 0 */
    static const uint8_t inside[] = {8, 2, 0xc2, 2, 3, 0x80, 0, 7}; /* in what it hears */
    begin();
    CHECK_EQ(receive(2, NULL, 0), STATUS_MALFORMED);
    CHECK_EQ(receive(2, other, sizeof(other)), STATUS_MALFORMED);
    CHECK_EQ(receive(2, nonsense, sizeof(nonsense)), STATUS_MALFORMED);
    CHECK_EQ(receive(2, outside, sizeof(outside)), STATUS_MALFORMED);
    CHECK_EQ(receive(2, inside, sizeof(inside)), STATUS_MALFORMED);
    CHECK(view_last(&node.views, 2) == NULL);
}

CHECK_MAIN
{
    RUN(a_view_is_known_for_a_second_and_history_after_that);
    RUN(what_is_no_view_of_that_node_is_not_kept);
}
