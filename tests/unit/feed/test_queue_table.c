/* The feed's table of a queue against a plain list, and commands put together from pieces. */
#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"
#include "node/feed/queue_table.h"
#include "node/feed/queue_wire.h"
#include "proto/command.pb-c.h"
#include "tests/lib/check.h"

#define MODEL 3000u

static void id_of(unsigned i, char id[32])
{
    snprintf(id, 32, "id%u", i / 2); /* two arrivals of each id */
}

static void it_holds_what_was_put_and_not_removed(void)
{
    static bool there[MODEL];
    struct queue_table t;
    struct random random;
    char id[32];
    random_init_seed(&random, check_seed());
    queue_table_init(&t);
    unsigned used = 0;
    for (unsigned step = 0; step < 60000; step++) {
        unsigned i = (unsigned)random_below(&random, MODEL);
        struct queue_entry *e = NULL;
        id_of(i, id);
        if (random_below(&random, 2) == 0) {
            CHECK_OK(queue_table_put(&t, id, i, &e));
            e->content = i;
            used += there[i] ? 0 : 1;
            there[i] = true;
        } else if (random_below(&random, 20) == 0) {
            unsigned twin = i ^ 1;
            used -= (there[i] ? 1u : 0u) + (there[twin] ? 1u : 0u);
            queue_table_end_id(&t, id);
            CHECK(!queue_table_has(&t, id));
            for (unsigned k = 0; k < 2; k++) {
                e = queue_table_find(&t, id, i ^ k);
                CHECK_EQ(e != NULL, there[i ^ k]);
                if (e != NULL) {
                    CHECK(e->ended);
                    queue_table_remove(&t, e);
                }
            }
            there[i] = there[twin] = false;
        } else if ((e = queue_table_find(&t, id, i)) != NULL) {
            CHECK_EQ(e->content, i);
            queue_table_remove(&t, e);
            used--;
            there[i] = false;
        }
        CHECK_EQ(queue_table_find(&t, id, i) != NULL, there[i]);
        CHECK_EQ(queue_table_has(&t, id), there[i] || there[i ^ 1]);
        CHECK_EQ(t.used, used);
    }
    uint32_t at = 0, n = 0;
    for (struct queue_entry *e; (e = queue_table_next(&t, &at)) != NULL; n++) {
        CHECK(there[e->arrival]);
    }
    CHECK_EQ(n, used);
    CHECK(t.capacity <= 4 * MODEL); /* what was removed does not make it grow */
    queue_table_deinit(&t);
}

static void those_of_an_id_that_are_gone_end_at_once(void)
{
    struct queue_table t;
    struct queue_entry *e;
    queue_table_init(&t);
    CHECK_OK(queue_table_put(&t, "A", 1, &e));
    e->gone = true;
    CHECK_OK(queue_table_put(&t, "A", 2, &e));
    CHECK_OK(queue_table_put(&t, "B", 1, &e));
    CHECK_EQ(queue_table_end_id(&t, "A"), 1);
    CHECK(queue_table_find(&t, "A", 1) == NULL);
    CHECK((e = queue_table_find(&t, "A", 2)) != NULL && e->ended);
    CHECK(!queue_table_has(&t, "A"));
    CHECK(queue_table_has(&t, "B"));
    CHECK_OK(queue_table_put(&t, "A", 3, &e)); /* the id is used again */
    CHECK(queue_table_has(&t, "A"));
    queue_table_deinit(&t);
}

static void content_does_not_depend_on_the_order_of_recipients(void)
{
    static struct postqueue_item a, b;
    snprintf(a.sender, sizeof(a.sender), "s@x");
    a.recipients_n = 2;
    snprintf(a.recipients[0].address, 20, "one@x");
    snprintf(a.recipients[1].address, 20, "two@x");
    snprintf(a.recipients[1].reply, 20, "later");
    b = a;
    b.recipients[0] = a.recipients[1];
    b.recipients[1] = a.recipients[0];
    CHECK_EQ(queue_content_of(&a), queue_content_of(&b));
    snprintf(b.recipients[0].reply, 20, "later!");
    CHECK_NE(queue_content_of(&a), queue_content_of(&b));
    b = a;
    b.state++;
    CHECK_NE(queue_content_of(&a), queue_content_of(&b));
    b = a;
    b.recipients_omitted++;
    CHECK_NE(queue_content_of(&a), queue_content_of(&b));
}

static void a_report_is_its_head_and_its_pieces(void)
{
    static struct postqueue_item item;
    struct buffer pieces = {0}, out = {0};
    snprintf(item.id, sizeof(item.id), "4jYk");
    item.arrival = 1000;
    item.state = MQ__QUEUE_ITEM__STATE__HOLD;
    item.recipients_n = 1;
    snprintf(item.recipients[0].address, 20, "bo@far.test");
    for (unsigned i = 0; i < 300; i++) {
        CHECK_OK(queue_wire_item(&pieces, &item));
        CHECK_OK(queue_wire_missing(&pieces, "gone", i));
    }
    struct queue_name name = {"queue/mx1", "postfix", {7, 9}, "beijing"};
    struct queue_page page = {5000, 4000, 3, true, true};
    CHECK_OK(queue_wire_report(&name, &page, (struct bytes){pieces.data, pieces.size}, &out));
    Mq__Command *c = mq__command__unpack(NULL, out.size, out.data);
    CHECK(c != NULL);
    CHECK_EQ(c->body_case, MQ__COMMAND__BODY_QUEUE_REPORT);
    const Mq__QueueReport *r = c->queue_report;
    CHECK_STR_EQ(r->user, "queue/mx1");
    CHECK_EQ(r->lease->position, 9);
    CHECK_EQ(r->sweep_ms, 5000);
    CHECK_EQ(r->after_ms, 4000);
    CHECK_EQ(r->page, 3);
    CHECK_STR_EQ(r->site, "beijing");
    CHECK(r->complete && r->last);
    CHECK_EQ(r->n_items, 300);
    CHECK_EQ(r->n_missing, 300);
    CHECK_STR_EQ(r->items[299]->recipients[0]->address, "bo@far.test");
    CHECK_EQ(r->missing[299]->arrival, 299);
    mq__command__free_unpacked(c, NULL);
    buffer_clear(&pieces);
    buffer_clear(&out);
    struct maillog_event e = {.kind = MAILLOG_REQUEUED, .at = 5, .id = "old", .successor = "new"};
    CHECK_OK(queue_wire_event(&pieces, &e));
    e.kind = MAILLOG_FORWARDED;
    CHECK_OK(queue_wire_event(&pieces, &e));
    e.kind = MAILLOG_DISCARDED;
    CHECK_OK(queue_wire_event(&pieces, &e));
    CHECK_OK(
        queue_wire_outcome(&name, "file 1 2 3 4", (struct bytes){pieces.data, pieces.size}, &out));
    c = mq__command__unpack(NULL, out.size, out.data);
    CHECK(c != NULL);
    CHECK_STR_EQ(c->queue_outcome->position, "file 1 2 3 4");
    CHECK_EQ(c->queue_outcome->events[0]->kind, MQ__QUEUE_EVENT__KIND__REQUEUED);
    CHECK_STR_EQ(c->queue_outcome->events[0]->successor, "new");
    CHECK_EQ(c->queue_outcome->events[1]->kind, MQ__QUEUE_EVENT__KIND__FORWARDED);
    CHECK_EQ(c->queue_outcome->events[2]->kind, MQ__QUEUE_EVENT__KIND__DISCARDED);
    mq__command__free_unpacked(c, NULL);
    buffer_deinit(&pieces);
    buffer_deinit(&out);
}

static void the_biggest_item_fits_a_command(void)
{
    static struct postqueue_item item;
    struct buffer pieces = {0};
    buffer_init(&pieces, QUEUE_WIRE_BYTES_MAX);
    memset(item.id, 'i', POSTQUEUE_ID_MAX);
    memset(item.sender, 's', POSTQUEUE_ADDRESS_MAX);
    item.recipients_n = POSTQUEUE_RECIPIENTS_MAX;
    for (uint32_t i = 0; i < item.recipients_n; i++) {
        memset(item.recipients[i].address, 'a', POSTQUEUE_ADDRESS_MAX);
        memset(item.recipients[i].orig_address, 'o', POSTQUEUE_ADDRESS_MAX);
        memset(item.recipients[i].reply, 'r', POSTQUEUE_REPLY_MAX);
    }
    while (pieces.size < QUEUE_WIRE_BYTES) {
        CHECK_OK(queue_wire_item(&pieces, &item));
    }
    CHECK_OK(queue_wire_item(&pieces, &item)); /* one more than a page begins with */
    buffer_deinit(&pieces);
}

CHECK_MAIN
{
    RUN(it_holds_what_was_put_and_not_removed);
    RUN(those_of_an_id_that_are_gone_end_at_once);
    RUN(content_does_not_depend_on_the_order_of_recipients);
    RUN(a_report_is_its_head_and_its_pieces);
    RUN(the_biggest_item_fits_a_command);
}
