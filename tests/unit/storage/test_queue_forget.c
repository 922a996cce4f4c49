/* A queue that is not there any more is forgotten with all its items, and nothing of another one goes with it. */
#include "tests/unit/storage/queue_rig.h"

#define ITEMS 9000u /* more than a tick may delete */

static void fill(struct rig *r, unsigned items)
{
    char id[32];
    uint64_t sweep_ms = 2000000, after_ms = 0;
    for (unsigned i = 0; i < items; i += 300) {
        struct page *p = page_new(r, sweep_ms, after_ms, 0);
        for (unsigned k = i; k < i + 300 && k < items; k++) {
            snprintf(id, sizeof(id), "m%06u", k);
            page_item(p, id, 1000, STATE(DEFERRED), "b@f.t", "");
        }
        CHECK_OK(page_end(r, p));
        after_ms = sweep_ms++;
        rig_commit(r);
    }
    CHECK_OK(event_run(r, "m000000", 1500, EVENT(DELETED), ""));
}

static unsigned ticks_until_done(struct rig *r)
{
    struct store_due due;
    unsigned ticks = 0;
    do {
        CHECK_OK(rig_tick(r));
        CHECK_OK(store_commit(r->store, &due));
        ticks++;
    } while (due.due_ms != 0 && due.due_ms <= due.time_ms && ticks < 100);
    return ticks;
}

static size_t queues_known(struct rig *r)
{
    Mq__QueryResult *result = rig_queues(r);
    size_t n = result->n_queues;
    mq__query_result__free_unpacked(result, NULL);
    return n;
}

static void it_goes_with_all_its_items_by_ticks(void)
{
    struct rig r;
    queue_stand(&r);
    fill(&r, ITEMS);
    struct token first = r.lease;
    CHECK_OK(rig_lease(&r, QUEUE_HOST, "postfix-out", "feed", 600000));
    struct page *p = page_new(&r, 2000000, 0, 0);
    snprintf(p->instance, sizeof(p->instance), "postfix-out");
    page_item(p, "other", 1000, STATE(HOLD), "bo@far.test", "");
    CHECK_OK(page_end(&r, p));
    CHECK_EQ(queues_known(&r), 2);
    r.time_ms += 600000;
    CHECK_OK(queue_forget(&r, QUEUE_HOST, QUEUE_INSTANCE));
    CHECK_OK(queue_forget(&r, QUEUE_HOST, QUEUE_INSTANCE)); /* said twice */
    CHECK_EQ(queues_known(&r), 1);                          /* at once */
    /* Its feed was started meanwhile: it begins anew when all is gone. */
    CHECK_OK(rig_lease(&r, QUEUE_HOST, QUEUE_INSTANCE, "feed", 600000));
    CHECK(r.lease.position != first.position);
    CHECK_EQ(page_end(&r, page_new(&r, 3000000, 0, 0)), STATUS_RESYNC);
    CHECK_EQ(event_run(&r, "m000001", 1500, EVENT(REMOVED), ""), STATUS_RESYNC);
    unsigned ticks = ticks_until_done(&r);
    CHECK(ticks > 1 && ticks < 10);
    CHECK_EQ(fate(&r, "m000000"), ABSENT);
    CHECK_EQ(fate(&r, "m008999"), ABSENT);
    CHECK_EQ(fate(&r, "other"), OPEN_NOW);
    rig_check_digest(&r);
    CHECK_OK(page_end(&r, page_new(&r, 3000000, 0, 0)));
    CHECK_EQ(queues_known(&r), 2);
    rig_check_digest(&r);
    rig_close(&r);
}

static void an_expiry_that_stood_for_it_finds_nothing(void)
{
    struct rig r;
    queue_stand(&r);
    fill(&r, 1); /* one closed item: due in a week */
    r.time_ms += 600000;
    CHECK_OK(queue_forget(&r, QUEUE_HOST, QUEUE_INSTANCE));
    ticks_until_done(&r);
    r.time_ms += QUEUE_CLOSED_TTL_MS;
    ticks_until_done(&r);
    CHECK_EQ(queues_known(&r), 0);
    CHECK_EQ(queue_forget(&r, QUEUE_HOST, QUEUE_INSTANCE), STATUS_NOT_FOUND);
    rig_check_digest(&r);
    rig_close(&r);
}

static void one_that_is_reported_or_unknown_is_not_forgotten(void)
{
    struct rig r;
    queue_stand(&r);
    fill(&r, 1);
    CHECK_EQ(queue_forget(&r, QUEUE_HOST, QUEUE_INSTANCE), STATUS_CONFLICT);
    CHECK_EQ(queue_forget(&r, QUEUE_HOST, "postfix-out"), STATUS_NOT_FOUND);
    CHECK_EQ(queue_forget(&r, "queue/mx2", QUEUE_INSTANCE), STATUS_MOVED);
    CHECK_EQ(queue_forget(&r, "ada", QUEUE_INSTANCE), STATUS_INVALID);
    CHECK_EQ(queue_forget(&r, QUEUE_HOST, ""), STATUS_INVALID);
    r.time_ms += 599999;
    CHECK_EQ(queue_forget(&r, QUEUE_HOST, QUEUE_INSTANCE), STATUS_CONFLICT);
    CHECK_EQ(queues_known(&r), 1);
    rig_check_digest(&r);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(it_goes_with_all_its_items_by_ticks);
    RUN(an_expiry_that_stood_for_it_finds_nothing);
    RUN(one_that_is_reported_or_unknown_is_not_forgotten);
}
