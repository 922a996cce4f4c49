/* Events of several nodes: one order, each once; moments as people write them. */
#include "ctl/event_list.h"

#include "ctl/moment.h"
#include "tests/lib/check.h"

static void add(struct event_list *l, const char *node, uint64_t unix_ms, uint64_t sequence,
                char *key)
{
    Mq__EventView e = MQ__EVENT_VIEW__INIT;
    char id[] = "MQ-EVENT-LEADER", text[] = "text";
    e.id = id;
    e.text = text;
    e.key = key;
    e.unix_ms = unix_ms;
    e.sequence = sequence;
    CHECK_OK(event_list_add(l, node, &e));
}

static void they_are_put_in_order_of_time_node_and_sequence(void)
{
    struct event_list l = {0};
    char none[] = "";
    add(&l, "sh1", 20, 1, none);
    add(&l, "bj1", 20, 2, none);
    add(&l, "bj1", 20, 1, none);
    add(&l, "wit1", 10, 9, none);
    event_list_order(&l);
    CHECK_EQ(l.n, 4);
    CHECK_STR_EQ(l.rows[0].node, "wit1");
    CHECK(strcmp(l.rows[1].node, "bj1") == 0 && l.rows[1].sequence == 1);
    CHECK(strcmp(l.rows[2].node, "bj1") == 0 && l.rows[2].sequence == 2);
    CHECK_STR_EQ(l.rows[3].node, "sh1");
    event_list_free(&l);
}

static void what_all_saw_alike_is_there_once_also_later(void)
{
    struct event_list l = {0};
    char a[] = "1/2/3", b[] = "1/3/3";
    add(&l, "sh1", 21, 1, a);
    add(&l, "bj1", 20, 7, a);
    event_list_order(&l);
    CHECK_EQ(l.n, 1);
    CHECK_STR_EQ(l.rows[0].node, "bj1");
    event_list_clear(&l);
    add(&l, "wit1", 22, 1, a);
    add(&l, "wit1", 23, 2, b);
    event_list_order(&l);
    CHECK_EQ(l.n, 1);
    CHECK_EQ(l.rows[0].unix_ms, 23);
    event_list_free(&l);
}

static void moments_are_ago_or_rfc_3339(void)
{
    uint64_t ms;
    char text[MOMENT_TEXT_SIZE];
    CHECK(moment_parse("10m", 1000000, &ms) && ms == 400000);
    CHECK(moment_parse("10h", 1000, &ms) && ms == 0);
    CHECK(moment_parse("2026-11-24T14:00:05Z", 0, &ms) && ms == 1795528805000ull);
    CHECK(moment_parse("2026-11-24T14:00:05.25Z", 0, &ms) && ms == 1795528805250ull);
    CHECK_STR_EQ(moment_format(ms, text), "2026-11-24 14:00:05.250Z");
    CHECK(moment_parse(text, 0, &ms) && ms == 1795528805250ull);
    CHECK(moment_parse("2026-11-24T14:00Z", 0, &ms) && ms == 1795528800000ull);
    CHECK(moment_parse("2026-11-24", 0, &ms) && ms == 1795478400000ull);
    CHECK(!moment_parse("yesterday", 0, &ms) && !moment_parse("", 0, &ms));
    CHECK(!moment_parse("2026-11-24T14:00:05+01:00", 0, &ms));
    CHECK_STR_EQ(moment_format(0, text), "?");
}

CHECK_MAIN
{
    RUN(they_are_put_in_order_of_time_node_and_sequence);
    RUN(what_all_saw_alike_is_there_once_also_later);
    RUN(moments_are_ago_or_rfc_3339);
}
