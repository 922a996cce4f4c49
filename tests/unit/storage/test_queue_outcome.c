/* What became of queued mail: the log closes and says how, item by item and recipient by recipient; and what is listed lives. */
#include "tests/unit/storage/queue_rig.h"

static void the_log_closes_and_says_how(void)
{
    struct rig r;
    queue_stand(&r);
    static const char *const ids[] = {"sent",    "bounced",  "expired",
                                      "deleted", "requeued", "silent"};
    struct page *p = page_new(&r, 2000000, 0, 0);
    for (unsigned i = 0; i < 6; i++) {
        page_item(p, ids[i], 1000, STATE(ACTIVE), "bo@far.test", "");
    }
    CHECK_OK(page_end(&r, p));
    CHECK_OK(event_run(&r, "sent", 1500, EVENT(SENT), "bo@far.test"));
    CHECK_EQ(fate(&r, "sent"), OPEN_NOW);
    CHECK_OK(event_run(&r, "bounced", 1500, EVENT(BOUNCED), "bo@far.test"));
    CHECK_OK(event_run(&r, "expired", 1500, EVENT(EXPIRED), ""));
    CHECK_OK(event_run(&r, "deleted", 1500, EVENT(DELETED), ""));
    CHECK_OK(event_full(&r, "requeued", 1500, EVENT(REQUEUED), "", "", "again"));
    for (unsigned i = 0; i < 6; i++) {
        if (i != 3 && i != 4) {
            CHECK_OK(event_run(&r, ids[i], 1501, EVENT(REMOVED), ""));
        }
    }
    CHECK_EQ(fate(&r, "sent"), FATE(DELIVERED));
    CHECK_EQ(fate(&r, "bounced"), FATE(BOUNCED));
    CHECK_EQ(fate(&r, "expired"), FATE(EXPIRED));
    CHECK_EQ(fate(&r, "deleted"), FATE(DELETED));
    CHECK_EQ(fate(&r, "requeued"), FATE(REQUEUED));
    CHECK_EQ(fate(&r, "silent"), FATE(UNKNOWN)); /* removed, but nobody saw what became of it */
    CHECK_OK(event_run(&r, "nobody", 1501, EVENT(REMOVED), "")); /* passed over */
    CHECK_EQ(fate(&r, "nobody"), ABSENT);
    Mq__QueryResult *result = rig_items(&r, "requeued", true);
    CHECK_STR_EQ(result->queue_items[0]->successor, "again");
    mq__query_result__free_unpacked(result, NULL);
    result = rig_queues(&r);
    CHECK_EQ(result->queues[0]->open, 0);
    CHECK_EQ(result->queues[0]->bytes, 0);
    CHECK_EQ(result->queues[0]->closed, 6);
    CHECK_EQ(result->queues[0]->unknown, 1);
    CHECK_STR_EQ(result->queues[0]->position, "file 1 1501");
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void list_many(struct rig *r, const char *id, uint64_t sweep_ms, uint64_t after_ms)
{
    struct page *p = page_new(r, sweep_ms, after_ms, 0);
    page_item(p, id, 1000, STATE(ACTIVE), "bo@far.test", "")->recipients_omitted = 6;
    CHECK_OK(page_end(r, p));
}

/* 70 recipients: one that has a row stands for the 64. */
static void recipients_without_a_row_are_never_taken_for_delivered(void)
{
    struct rig r;
    queue_stand(&r);
    static const char *const ids[] = {"bounced", "sent", "expired", "later"};
    uint64_t sweep_ms = 2000000, after_ms = 0;
    for (unsigned i = 0; i < 4; i++) {
        list_many(&r, ids[i], sweep_ms, after_ms);
        after_ms = sweep_ms++;
        CHECK_OK(event_run(&r, ids[i], 1500, EVENT(SENT), "bo@far.test"));
        CHECK_OK(event_run(&r, ids[i], 1500, EVENT(SENT), "nr65@far.test"));
    }
    CHECK_OK(event_run(&r, "bounced", 1500, EVENT(BOUNCED), "nr66@far.test"));
    CHECK_OK(event_run(&r, "bounced", 1500, EVENT(SENT), "nr67@far.test"));
    CHECK_OK(event_run(&r, "expired", 1500, EVENT(EXPIRED), ""));
    /* None is omitted any more, but those that were have ended, and nobody said how. */
    struct page *p = page_new(&r, sweep_ms, after_ms, 0);
    page_item(p, "later", 1000, STATE(ACTIVE), "bo@far.test", "");
    CHECK_OK(page_end(&r, p));
    for (unsigned i = 0; i < 4; i++) {
        CHECK_OK(event_run(&r, ids[i], 1501, EVENT(REMOVED), ""));
    }
    CHECK_EQ(fate(&r, "bounced"), FATE(BOUNCED));
    CHECK_EQ(fate(&r, "sent"), FATE(UNKNOWN));
    CHECK_EQ(fate(&r, "expired"), FATE(EXPIRED));
    CHECK_EQ(fate(&r, "later"), FATE(UNKNOWN));
    rig_check_digest(&r);
    rig_close(&r);
}

static void deleted_with_all_its_recipients_and_listed_again_nothing_is_known_of_them(void)
{
    struct rig r;
    queue_stand(&r);
    list_many(&r, "a1", 2000000, 0);
    CHECK_OK(event_run(&r, "a1", 1500, EVENT(DELETED), ""));
    CHECK_EQ(fate(&r, "a1"), FATE(DELETED));
    list_many(&r, "a1", 2010000, 2000000);
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    CHECK_OK(event_run(&r, "a1", 2011, EVENT(SENT), "bo@far.test"));
    CHECK_OK(event_run(&r, "a1", 2011, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "a1"), FATE(UNKNOWN));
    rig_close(&r);
}

static void what_vanished_is_explained_by_the_log_later(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "a1", 2000000, 0);
    missing(&r, "a1", 2010000, 2000000);
    missing(&r, "a1", 2020000, 2010000);
    CHECK_EQ(fate(&r, "a1"), FATE(UNKNOWN));
    CHECK_OK(event_run(&r, "a1", 2005, EVENT(SENT), "bo@far.test"));
    CHECK_EQ(fate(&r, "a1"), FATE(DELIVERED));
    CHECK_OK(event_run(&r, "a1", 2005, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "a1"), FATE(DELIVERED));
    Mq__QueryResult *result = rig_queues(&r);
    CHECK_EQ(result->queues[0]->closed, 1);
    CHECK_EQ(result->queues[0]->unknown, 0);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_recipient_no_longer_listed_is_done_with_and_the_log_says_how(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(ACTIVE), "bo@far.test", "");
    page_recipient(p, "list@far.test");
    CHECK_OK(page_end(&r, p));
    listed(&r, "a1", 2010000, 2000000); /* bo alone */
    Mq__QueryResult *result = rig_items(&r, "a1", false);
    CHECK_EQ(result->queue_items[0]->item->recipients[0]->outcome, FATE(OPEN));
    CHECK_STR_EQ(result->queue_items[0]->item->recipients[0]->reply, "connection refused");
    CHECK_EQ(result->queue_items[0]->item->recipients[1]->outcome, FATE(UNKNOWN));
    mq__query_result__free_unpacked(result, NULL);
    /* By the address before aliases; a bounce of one member outweighs the delivery to another. */
    CHECK_OK(event_full(&r, "a1", 2005, EVENT(SENT), "x@in.test", "list@far.test", ""));
    CHECK_OK(event_full(&r, "a1", 2005, EVENT(BOUNCED), "y@in.test", "list@far.test", ""));
    CHECK_OK(event_full(&r, "a1", 2005, EVENT(SENT), "z@in.test", "list@far.test", ""));
    result = rig_items(&r, "a1", false);
    CHECK_EQ(result->queue_items[0]->item->recipients[1]->outcome, FATE(BOUNCED));
    CHECK_EQ(result->queue_items[0]->item->recipients[1]->at, 2005);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&r);
}

static int recipient_fate(struct rig *r, const char *id, unsigned i)
{
    Mq__QueryResult *result = rig_items(r, id, true);
    CHECK_EQ(result->n_queue_items, 1);
    CHECK(i < result->queue_items[0]->item->n_recipients);
    int outcome = (int)result->queue_items[0]->item->recipients[i]->outcome;
    mq__query_result__free_unpacked(result, NULL);
    return outcome;
}

/* list@far.test is an alias: one member has it, another one's server does not answer. */
static void an_alias_waits_for_as_long_as_postfix_lists_it(void)
{
    struct rig r;
    static const char *const ids[] = {"expires", "ends", "vanishes", "bounces"};
    queue_stand(&r);
    for (unsigned round = 0; round < 2; round++) {
        struct page *p = page_new(&r, 2000000 + round, round * 2000000, 0);
        for (unsigned i = 0; i < 4; i++) {
            page_item(p, ids[i], 1000, STATE(DEFERRED), "list@far.test", round == 0 ? "" : "later");
        }
        CHECK_OK(page_end(&r, p));
        for (unsigned i = 0; i < 4 && round == 0; i++) {
            CHECK_OK(event_full(&r, ids[i], 1999, EVENT(SENT),
                                i == 0 ? "list@far.test" : "x@far.test", "list@far.test", ""));
            CHECK_EQ(recipient_fate(&r, ids[i], 0), FATE(OPEN));
        }
    }
    for (unsigned i = 0; i < 4; i++) {
        CHECK_EQ(recipient_fate(&r, ids[i], 0), FATE(OPEN));
    }
    rig_check_digest(&r);
    CHECK_OK(event_run(&r, "expires", 2002, EVENT(EXPIRED), ""));
    CHECK_OK(event_run(&r, "expires", 2002, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "expires"), FATE(EXPIRED));
    CHECK_OK(event_run(&r, "ends", 2002, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "ends"), FATE(DELIVERED));
    CHECK_OK(event_full(&r, "bounces", 2002, EVENT(BOUNCED), "y@far.test", "list@far.test", ""));
    CHECK_OK(event_full(&r, "bounces", 2002, EVENT(SENT), "z@far.test", "list@far.test", ""));
    CHECK_EQ(recipient_fate(&r, "bounces", 0), FATE(OPEN));
    CHECK_OK(event_run(&r, "bounces", 2002, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "bounces"), FATE(BOUNCED));
    struct page *p = page_new(&r, 2010000, 2000001, 0);
    page_item(p, "vanishes", 1000, STATE(DEFERRED), "other@far.test", "");
    CHECK_OK(page_end(&r, p));
    CHECK_EQ(recipient_fate(&r, "vanishes", 0), FATE(DELIVERED));
    rig_check_digest(&r);
    rig_close(&r);
}

/* Its file is lost: that one member had it is no end of the others, unless the log still says so. */
static void an_alias_that_vanishes_is_not_delivered(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(DEFERRED), "list@far.test", "");
    CHECK_OK(page_end(&r, p));
    CHECK_OK(event_full(&r, "a1", 1999, EVENT(SENT), "x@far.test", "list@far.test", ""));
    missing(&r, "a1", 2010000, 2000000);
    missing(&r, "a1", 2020000, 2010000);
    CHECK_EQ(fate(&r, "a1"), FATE(UNKNOWN));
    CHECK_OK(event_run(&r, "a1", 2005, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "a1"), FATE(DELIVERED));
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_recipient_listed_after_its_end_waits_again(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "a1", 2000000, 0);
    CHECK_OK(event_run(&r, "a1", 2005, EVENT(SENT), "bo@far.test"));
    listed(&r, "a1", 2007000, 2000000); /* seconds of logs are cut: it may have begun before */
    CHECK_EQ(recipient_fate(&r, "a1", 0), FATE(DELIVERED));
    listed(&r, "a1", 2008000, 2007000);
    CHECK_EQ(recipient_fate(&r, "a1", 0), FATE(OPEN));
    CHECK_OK(event_run(&r, "a1", 2009, EVENT(EXPIRED), "")); /* listed until its bounce is sent */
    listed(&r, "a1", 2020000, 2008000);
    CHECK_EQ(recipient_fate(&r, "a1", 0), FATE(EXPIRED));
    CHECK_OK(event_run(&r, "a1", 2021, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "a1"), FATE(EXPIRED));
    rig_check_digest(&r);
    rig_close(&r);
}

static void forwarded_and_discarded_mail_is_not_delivered(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    page_item(p, "fwd", 1000, STATE(ACTIVE), "bo@far.test", "");
    page_item(p, "gone", 1000, STATE(ACTIVE), "bo@far.test", "");
    CHECK_OK(page_end(&r, p));
    CHECK_OK(event_full(&r, "fwd", 2001, EVENT(FORWARDED), "bo@far.test", "", "next"));
    CHECK_OK(event_run(&r, "gone", 2001, EVENT(DISCARDED), "bo@far.test"));
    CHECK_EQ(event_run(&r, "gone", 2001, EVENT(DISCARDED), ""), STATUS_INVALID);
    CHECK_EQ(event_full(&r, "fwd", 2001, EVENT(FORWARDED), "", "", "next"), STATUS_INVALID);
    CHECK_EQ(event_run(&r, "gone", 2001, EVENT(DISCARDED) + 1, "bo@far.test"), STATUS_INVALID);
    CHECK_OK(event_run(&r, "fwd", 2001, EVENT(REMOVED), ""));
    CHECK_OK(event_run(&r, "gone", 2001, EVENT(REMOVED), ""));
    CHECK_EQ(fate(&r, "fwd"), FATE(REQUEUED));
    CHECK_EQ(fate(&r, "gone"), FATE(DELETED));
    Mq__QueryResult *result = rig_items(&r, "fwd", true);
    CHECK_STR_EQ(result->queue_items[0]->successor, "next");
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void what_is_listed_lives(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "a1", 2000000, 0);
    missing(&r, "a1", 2010000, 2000000);
    missing(&r, "a1", 2020000, 2010000);
    CHECK_EQ(fate(&r, "a1"), FATE(UNKNOWN));
    listed(&r, "a1", 2030000, 2020000);
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    CHECK_OK(event_run(&r, "a1", 2031, EVENT(DELETED), ""));
    listed(&r, "a1", 2032000, 2030000); /* this listing began before it was gone */
    CHECK_EQ(fate(&r, "a1"), FATE(DELETED));
    listed(&r, "a1", 2040000, 2032000);
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    Mq__QueryResult *result = rig_queues(&r);
    CHECK_EQ(result->queues[0]->open, 1);
    CHECK_EQ(result->queues[0]->closed, 0);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_queue_id_used_again_is_another_item(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "3F2A", 2000000, 0);
    struct page *p = page_new(&r, 2010000, 2000000, 0);
    page_item(p, "3F2A", 2009, STATE(ACTIVE), "carl@far.test", "");
    page_missing(p, "3F2A", 1000);
    CHECK_OK(page_end(&r, p));
    CHECK_OK(
        event_run(&r, "3F2A", 2004, EVENT(SENT), "bo@far.test")); /* an old line: the first one */
    CHECK_OK(event_run(&r, "3F2A", 2004, EVENT(REMOVED), ""));
    Mq__QueryResult *result = rig_items(&r, "3F2A", true);
    CHECK_EQ(result->n_queue_items, 2);
    CHECK_EQ(result->queue_items[0]->outcome, FATE(DELIVERED));
    CHECK(!result->queue_items[1]->closed);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(the_log_closes_and_says_how);
    RUN(recipients_without_a_row_are_never_taken_for_delivered);
    RUN(deleted_with_all_its_recipients_and_listed_again_nothing_is_known_of_them);
    RUN(what_vanished_is_explained_by_the_log_later);
    RUN(a_recipient_no_longer_listed_is_done_with_and_the_log_says_how);
    RUN(an_alias_waits_for_as_long_as_postfix_lists_it);
    RUN(an_alias_that_vanishes_is_not_delivered);
    RUN(a_recipient_listed_after_its_end_waits_again);
    RUN(forwarded_and_discarded_mail_is_not_delivered);
    RUN(what_is_listed_lives);
    RUN(a_queue_id_used_again_is_another_item);
}
