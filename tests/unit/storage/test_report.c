/* Reports: pages, cursors, two stores, UIDVALIDITY, tombstones, bounds; and 2,000 random ones against a plain model. */
#include "storage/apply.h"
#include "tests/unit/storage/store_rig.h"

static void begin(struct rig *r)
{
    rig_open(r, 1);
    CHECK_OK(rig_owner(r, "ada"));
    CHECK_OK(rig_lease(r, "ada", "s", "feed", 600000));
}

/* Store "t" with its own lease; returns the token of "s". */
static struct token second_store(struct rig *r)
{
    struct token s = r->lease;
    CHECK_OK(rig_lease(r, "ada", "t", "feed", 600000));
    return s;
}

static Mq__Mailbox *box(struct rig *r, uint8_t mailbox, Mq__QueryResult **out_result)
{
    enum status s;
    *out_result = rig_mailbox(r, "ada", mailbox, &s);
    CHECK_OK(s);
    return (*out_result)->mailboxes[0];
}

static void expect(struct rig *r, uint8_t mailbox, uint64_t messages, uint64_t unseen,
                   uint64_t bytes)
{
    Mq__QueryResult *result;
    Mq__Mailbox *m = box(r, mailbox, &result);
    CHECK_EQ(m->messages, messages);
    CHECK_EQ(m->unseen, unseen);
    CHECK_EQ(m->bytes, bytes);
    mq__query_result__free_unpacked(result, NULL);
}

static uint64_t change_of(struct rig *r, uint8_t mailbox)
{
    Mq__QueryResult *result;
    uint64_t change = box(r, mailbox, &result)->change;
    mq__query_result__free_unpacked(result, NULL);
    return change;
}

static void a_report_follows_the_cursor_or_is_told_where_to_resume(void)
{
    struct rig r;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 5, 6);
    report_message(p, 1, 0, 100);
    CHECK_EQ(report_run(&r, p), STATUS_RESYNC); /* nothing compared yet */
    p = report_new(&r, "ada", "s", 1, 0, 6);
    report_message(p, 1, 0, 100);
    report_message(p, 2, 1, 50);
    CHECK_OK(report_run(&r, p));
    CHECK_EQ(r.result->report->modseq, 6);
    CHECK(!r.result->report->in_progress);
    expect(&r, 1, 2, 1, 150);
    p = report_new(&r, "ada", "s", 1, 5, 9);
    p->c.uidnext = 3;
    CHECK_EQ(report_run(&r, p), STATUS_NOT_NEXT);
    CHECK_EQ(r.result->report->modseq, 6);
    p = report_new(&r, "ada", "s", 1, 6, 9);
    p->c.uidnext = 3;
    report_message(p, 1, 1, 100);
    report_vanished(p, 2, 2);
    CHECK_OK(report_run(&r, p));
    CHECK_EQ(r.result->report->modseq, 9);
    expect(&r, 1, 1, 0, 100);
    /* A server that went back gets a full comparison. */
    p = report_new(&r, "ada", "s", 1, 9, 9);
    p->c.uidnext = 3;
    p->c.highestmodseq = 8;
    CHECK_EQ(report_run(&r, p), STATUS_RESYNC);
    p = report_new(&r, "ada", "s", 1, 9, 10);
    p->c.uidnext = 2;
    CHECK_EQ(report_run(&r, p), STATUS_RESYNC);
    rig_check_digest(&r);
    rig_close(&r);
}

static void pages_come_in_order_and_the_cursor_moves_with_the_last(void)
{
    struct rig r;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 7);
    p->c.last = false;
    p->c.last_uid = 10;
    p->c.uidnext = 31;
    report_message(p, 3, 0, 1);
    CHECK_OK(report_run(&r, p));
    CHECK(r.result->report->in_progress);
    CHECK_EQ(r.result->report->next_uid, 11);
    CHECK_EQ(r.result->report->modseq, 0);
    p = report_new(&r, "ada", "s", 1, 0, 7);
    p->c.first_uid = 12; /* a gap */
    p->c.last_uid = 20;
    p->c.last = false;
    CHECK_EQ(report_run(&r, p), STATUS_NOT_NEXT);
    CHECK_EQ(r.result->report->next_uid, 11);
    CHECK_EQ(r.result->report->to_modseq, 7);
    p = report_new(&r, "ada", "s", 1, 0, 8); /* another range */
    p->c.first_uid = 11;
    CHECK_EQ(report_run(&r, p), STATUS_NOT_NEXT);
    rig_checkpoint(&r);
    rig_restart(&r); /* the position in an unfinished range is state */
    p = report_new(&r, "ada", "s", 1, 0, 7);
    p->c.first_uid = 11;
    p->c.uidnext = 31;
    report_message(p, 30, 0, 1);
    CHECK_OK(report_run(&r, p));
    CHECK(!r.result->report->in_progress);
    CHECK_EQ(r.result->report->modseq, 7);
    expect(&r, 1, 2, 2, 2);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_full_comparison_takes_away_what_it_does_not_list(void)
{
    struct rig r;
    enum status s;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    for (uint32_t uid = 1; uid <= 10; uid++) {
        report_message(p, uid, 0, 10);
    }
    CHECK_OK(report_run(&r, p));
    uint64_t before = change_of(&r, 1);
    p = report_new(&r, "ada", "s", 1, 0, 6);
    p->c.uidnext = 11;
    report_message(p, 2, 0, 10);
    report_message(p, 9, 0, 10);
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 2, 2, 20);
    Mq__QueryResult *result = rig_changes(&r, "ada", 1, before, 0, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_changes, 10); /* 8 gone, 2 with another MODSEQ */
    for (size_t i = 1; i < result->n_changes; i++) {
        CHECK(result->changes[i]->change > result->changes[i - 1]->change);
    }
    mq__query_result__free_unpacked(result, NULL);
    /* What is gone does not come back under the same UID with another GUID. */
    p = report_new(&r, "ada", "s", 1, 6, 7);
    p->c.uidnext = 11;
    report_message(p, 5, 0, 10);
    p->guids[0][0] = 99;
    CHECK_EQ(report_run(&r, p), STATUS_CONFLICT);
    rig_check_digest(&r);
    rig_close(&r);
}

static void rows_missing_in_another_store_are_marked_absent_there_never_expunged(void)
{
    struct rig r;
    enum status s;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    report_message(p, 1, 0, 10);
    report_message(p, 2, 0, 10);
    report_message(p, 3, 0, 10);
    CHECK_OK(report_run(&r, p));
    struct token of_s = second_store(&r);
    p = report_new(&r, "ada", "t", 1, 0, 50);
    p->c.uidnext = 4;
    report_message(p, 1, 0, 10);
    report_message(p, 2, 0, 10);
    p->messages[0].modseq = 5;
    p->messages[1].modseq = 5;
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 3, 3, 30); /* 3 is not in t, and t has never reported it */
    struct token of_t = r.lease;
    r.lease = of_s;
    p = report_new(&r, "ada", "s", 1, 5, 6);
    p->c.uidnext = 4;
    report_message(p, 1, 1, 10);
    CHECK_OK(report_run(&r, p));
    r.lease = of_t;
    p = report_new(&r, "ada", "t", 1, 50, 51);
    p->c.uidnext = 4;
    report_vanished(p, 1, 1);
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 3, 2, 30); /* s leads: what t loses is only absent there */
    Mq__QueryResult *result = rig_messages(&r, "ada", 1, 0, 0, &s);
    CHECK_EQ(result->n_messages, 3);
    CHECK_EQ(result->messages[0]->message->uid, 1);
    CHECK_EQ(result->messages[0]->n_stores, 1);
    CHECK_STR_EQ(result->messages[0]->stores[0], "s");
    CHECK_EQ(result->messages[1]->n_stores, 2);
    mq__query_result__free_unpacked(result, NULL);
    r.lease = of_s;
    p = report_new(&r, "ada", "s", 1, 6, 7);
    p->c.uidnext = 4;
    report_vanished(p, 2, 2);
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 2, 1, 20); /* gone where it leads: gone, though t has it still */
    /* t lags behind and still lists 2: it stays gone. */
    r.lease = of_t;
    p = report_new(&r, "ada", "t", 1, 0, 59);
    p->c.uidnext = 4;
    report_message(p, 2, 0, 10);
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 2, 1, 20);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_new_uidvalidity_becomes_visible_whole(void)
{
    struct rig r;
    enum status s;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    for (uint32_t uid = 1; uid <= 5; uid++) {
        report_message(p, uid, 0, 10);
    }
    CHECK_OK(report_run(&r, p));
    uint64_t before = change_of(&r, 1);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    p->c.uidvalidity = 2;
    CHECK_EQ(report_run(&r, p), STATUS_RESYNC);
    p = report_new(&r, "ada", "s", 1, 0, 3);
    p->c.uidvalidity = 2;
    p->c.last = false;
    p->c.last_uid = 1;
    report_message(p, 1, 1, 7);
    p->guids[0][5] = 1; /* another message under an old UID */
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 5, 5, 50);
    /* A store that does not lead brings no UIDVALIDITY of its own. */
    struct token of_s = second_store(&r);
    p = report_new(&r, "ada", "t", 1, 0, 3);
    p->c.uidvalidity = 3;
    CHECK_EQ(report_run(&r, p), STATUS_CONFLICT);
    r.lease = of_s;
    p = report_new(&r, "ada", "s", 1, 0, 3);
    p->c.uidvalidity = 2;
    p->c.first_uid = 2;
    report_message(p, 2, 0, 8);
    CHECK_OK(report_run(&r, p));
    Mq__QueryResult *result;
    Mq__Mailbox *m = box(&r, 1, &result);
    CHECK_EQ(m->uidvalidity, 2);
    CHECK_EQ(m->messages, 2);
    CHECK_EQ(m->bytes, 15);
    CHECK(m->change > before);
    CHECK_EQ(m->horizon, m->change);
    mq__query_result__free_unpacked(result, NULL);
    result = rig_changes(&r, "ada", 1, before, 0, &s);
    CHECK_EQ(s, STATUS_RESYNC);
    CHECK(result->horizon > before);
    mq__query_result__free_unpacked(result, NULL);
    struct store_due due;
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, due.time_ms); /* the old rows wait for a tick */
    CHECK_OK(rig_tick(&r));
    CHECK_OK(store_commit(r.store, &due));
    CHECK(due.due_ms == 0 || due.due_ms > due.time_ms);
    /* A store with an older UIDVALIDITY does not win over the one that leads. */
    CHECK_OK(rig_lease(&r, "ada", "t", "feed", 600000));
    p = report_new(&r, "ada", "t", 1, 0, 3);
    p->c.uidvalidity = 1;
    CHECK_EQ(report_run(&r, p), STATUS_CONFLICT);
    rig_check_digest(&r);
    rig_close(&r);
}

static void an_unfinished_generation_can_be_taken_over_when_stale(void)
{
    struct rig r;
    begin(&r);
    CHECK_OK(report_run(&r, report_new(&r, "ada", "s", 1, 0, 5)));
    struct report *p = report_new(&r, "ada", "s", 1, 0, 3);
    p->c.uidvalidity = 2;
    p->c.last = false;
    p->c.last_uid = 5;
    report_message(p, 1, 0, 1);
    CHECK_OK(report_run(&r, p));
    (void)second_store(&r);
    r.time_ms += LEAD_SILENT_MS;
    CHECK_OK(rig_lease(&r, "ada", "t", "feed", 600000));
    p = report_new(&r, "ada", "t", 1, 0, 3);
    p->c.uidvalidity = 2;
    report_message(p, 1, 0, 1);
    CHECK_EQ(report_run(&r, p), STATUS_CONFLICT);
    r.time_ms += 1;
    p = report_new(&r, "ada", "t", 1, 0, 3);
    p->c.uidvalidity = 2;
    report_message(p, 1, 0, 1);
    report_message(p, 2, 0, 1);
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 2, 2, 2);
    CHECK_OK(rig_lease(&r, "ada", "s", "feed", 600000));
    p = report_new(&r, "ada", "s", 1, 0, 3);
    p->c.uidvalidity = 2;
    p->c.first_uid = 6;
    CHECK_EQ(report_run(&r, p), STATUS_RESYNC);
    p = report_new(&r, "ada", "s", 1, 0, 3);
    p->c.uidvalidity = 2;
    report_message(p, 1, 0, 1);
    report_message(p, 2, 0, 1);
    CHECK_OK(report_run(&r, p));
    CHECK_OK(rig_tick(&r));
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_mailbox_goes_when_its_last_store_loses_it(void)
{
    struct rig r;
    enum status s;
    struct store_due due;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    report_message(p, 1, 0, 10);
    report_message(p, 2, 0, 10);
    CHECK_OK(report_run(&r, p));
    struct token of_s = second_store(&r);
    p = report_new(&r, "ada", "t", 1, 0, 50);
    report_message(p, 1, 0, 10);
    CHECK_OK(report_run(&r, p));
    /* t does not lead the mailbox: its marks go, in a tick; what only it had goes with them. */
    p = report_new(&r, "ada", "t", 1, 50, 51);
    report_message(p, 9, 0, 10);
    CHECK_OK(report_run(&r, p));
    expect(&r, 1, 3, 3, 30);
    p = report_new(&r, "ada", "t", 1, 0, 0);
    p->c.deleted = true;
    CHECK_OK(report_run(&r, p));
    Mq__QueryResult *result;
    Mq__Mailbox *m = box(&r, 1, &result);
    CHECK_EQ(m->n_stores, 1);
    CHECK_STR_EQ(m->stores[0]->store, "s");
    mq__query_result__free_unpacked(result, NULL);
    CHECK_OK(store_commit(r.store, &due));
    CHECK_EQ(due.due_ms, due.time_ms);
    CHECK_OK(rig_tick(&r));
    expect(&r, 1, 2, 2, 20);
    rig_check_digest(&r);
    uint64_t before = change_of(&r, 1);
    r.lease = of_s;
    p = report_new(&r, "ada", "s", 1, 0, 0);
    p->c.deleted = true;
    CHECK_OK(report_run(&r, p));
    result = rig_mailbox(&r, "ada", 1, &s);
    CHECK_EQ(s, STATUS_NOT_FOUND);
    mq__query_result__free_unpacked(result, NULL);
    CHECK_OK(rig_tick(&r));
    rig_check_digest(&r);
    /* It comes back with numbers above the old ones. */
    p = report_new(&r, "ada", "s", 1, 0, 50);
    report_message(p, 1, 0, 10);
    CHECK_OK(report_run(&r, p));
    CHECK(change_of(&r, 1) > before);
    result = rig_changes(&r, "ada", 1, before - 1, 0, &s);
    CHECK_EQ(s, STATUS_RESYNC);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void big_work_is_bounded_and_finished_by_what_follows(void)
{
    struct rig r;
    struct store_due due;
    begin(&r);
    for (uint32_t page = 0; page < 6; page++) {
        struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
        p->c.first_uid = page * 1000 + 1;
        p->c.last_uid = page * 1000 + 1000;
        p->c.last = page == 5;
        for (uint32_t i = 1; i <= 1000; i++) {
            report_message(p, page * 1000 + i, 0, 1);
        }
        CHECK_OK(report_run(&r, p));
    }
    expect(&r, 1, 6000, 6000, 6000);
    /* An empty full comparison ends early, and says where to go on. */
    uint32_t next = 1;
    unsigned pages = 0;
    do {
        struct report *p = report_new(&r, "ada", "s", 1, 0, 9);
        p->c.first_uid = next;
        p->c.uidnext = 6001;
        CHECK_OK(report_run(&r, p));
        next = r.result->report->next_uid;
        pages++;
        rig_check_digest(&r);
    } while (r.result->report->in_progress && pages < 20);
    CHECK_EQ(pages, 12); /* 500 a page */
    expect(&r, 1, 0, 0, 0);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 0);
    p->c.deleted = true;
    CHECK_OK(report_run(&r, p));
    unsigned ticks = 0;
    do {
        CHECK_OK(rig_tick(&r));
        CHECK_OK(store_commit(r.store, &due));
        ticks++;
    } while (due.due_ms == due.time_ms);
    CHECK_EQ(ticks, 4); /* 6,000 rows and 6,000 tombstones */
    rig_check_digest(&r);
    rig_close(&r);
}

static void tombstones_go_after_thirty_days_and_the_horizon_rises(void)
{
    struct rig r;
    enum status s;
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    report_message(p, 1, 0, 10);
    report_message(p, 2, 0, 10);
    report_message(p, 3, 0, 10);
    CHECK_OK(report_run(&r, p));
    uint64_t since = change_of(&r, 1);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    p->c.uidnext = 4;
    report_vanished(p, 1, 1);
    CHECK_OK(report_run(&r, p));
    uint64_t first = r.time_ms;
    r.time_ms += 100000;
    p = report_new(&r, "ada", "s", 1, 6, 7);
    p->c.uidnext = 4;
    report_vanished(p, 2, 2);
    CHECK_OK(report_run(&r, p));
    r.time_ms = first + 30ull * 24 * 3600 * 1000 - 1;
    CHECK_OK(rig_tick(&r));
    Mq__QueryResult *result = rig_changes(&r, "ada", 1, since, 0, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_changes, 2);
    CHECK(result->changes[0]->expunged);
    mq__query_result__free_unpacked(result, NULL);
    r.time_ms++;
    CHECK_OK(rig_tick(&r));
    result = rig_changes(&r, "ada", 1, since, 0, &s);
    CHECK_EQ(s, STATUS_RESYNC);
    CHECK_EQ(result->horizon, since + 1);
    mq__query_result__free_unpacked(result, NULL);
    result = rig_changes(&r, "ada", 1, since + 1, 0, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_changes, 1);
    mq__query_result__free_unpacked(result, NULL);
    r.time_ms += 100000;
    CHECK_OK(rig_tick(&r));
    struct store_due due;
    CHECK_OK(store_commit(r.store, &due));
    CHECK(due.due_ms == 0);
    rig_check_digest(&r);
    rig_close(&r);
}

static void malformed_reports_are_refused_without_a_trace(void)
{
    struct rig r;
    begin(&r);
    CHECK_OK(report_run(&r, report_new(&r, "ada", "s", 1, 0, 5)));
    uint64_t change = change_of(&r, 1);
    struct report *p = report_new(&r, "ada", "s", 1, 5, 6);
    report_message(p, 2, 0, 1);
    report_message(p, 2, 0, 1);
    CHECK_EQ(report_run(&r, p), STATUS_INVALID);
    p = report_new(&r, "ada", "s", 1, 5, 4);
    CHECK_EQ(report_run(&r, p), STATUS_INVALID);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    p->c.mailbox.len = 15;
    CHECK_EQ(report_run(&r, p), STATUS_INVALID);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    p->c.uidvalidity = 0;
    CHECK_EQ(report_run(&r, p), STATUS_INVALID);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    report_vanished(p, 5, 4);
    CHECK_EQ(report_run(&r, p), STATUS_INVALID);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    for (uint32_t i = 1; i <= 1001; i++) {
        report_message(p, i, 0, 1);
    }
    CHECK_EQ(report_run(&r, p), STATUS_TOO_BIG);
    p = report_new(&r, "ada", "s", 1, 5, 6);
    report_message(p, 1, 64, 1);
    CHECK_EQ(report_run(&r, p), STATUS_INVALID);
    CHECK_EQ(change_of(&r, 1), change);
    /* A vanished range may be a superset. */
    p = report_new(&r, "ada", "s", 1, 5, 6);
    report_vanished(p, 1, UINT32_MAX);
    CHECK_OK(report_run(&r, p));
    rig_check_digest(&r);
    rig_close(&r);
}

static void keywords_dates_and_attributes_come_back_as_reported(void)
{
    struct rig r;
    enum status s;
    char a[] = "$Forwarded";
    char b[] = "zeta";
    char *keywords[2] = {a, b};
    uint8_t hash[32] = {9};
    begin(&r);
    struct report *p = report_new(&r, "ada", "s", 1, 0, 5);
    report_message(p, 7, 3, 1234);
    p->messages[0].n_keywords = 2;
    p->messages[0].keywords = keywords;
    p->messages[0].body_hash = (ProtobufCBinaryData){32, hash};
    p->messages[0].internal_date = -5;
    CHECK_OK(report_run(&r, p));
    Mq__QueryResult *result = rig_messages(&r, "ada", 1, 0, 10, &s);
    CHECK_EQ(result->n_messages, 1);
    Mq__Message *m = result->messages[0]->message;
    CHECK_EQ(m->uid, 7);
    CHECK_EQ(m->flags, 3);
    CHECK_EQ(m->size, 1234);
    CHECK(m->internal_date == -5);
    CHECK_EQ(m->n_keywords, 2);
    CHECK_STR_EQ(m->keywords[0], "$Forwarded");
    CHECK_STR_EQ(m->keywords[1], "zeta");
    CHECK_EQ(m->body_hash.len, 32);
    mq__query_result__free_unpacked(result, NULL);
    char user[] = "ada";
    uint8_t guid[16];
    memset(guid, 1, 16);
    RIG_COMMAND(c, MAILBOX_ATTRIBUTES, mailbox_attributes, Mq__MailboxAttributes,
                MQ__MAILBOX_ATTRIBUTES__INIT);
    c_mailbox_attributes.user = user;
    c_mailbox_attributes.mailbox = (ProtobufCBinaryData){16, guid};
    c_mailbox_attributes.subscribed = true;
    CHECK_OK(rig_run(&r, &c));
    Mq__Mailbox *row = box(&r, 1, &result);
    CHECK(row->subscribed);
    CHECK_STR_EQ(row->name, "box1");
    CHECK_EQ(row->uidnext, 8);
    CHECK_EQ(row->stores[0]->modseq, 5);
    mq__query_result__free_unpacked(result, NULL);
    guid[0] = 9;
    CHECK_EQ(rig_run(&r, &c), STATUS_NOT_FOUND);
    char store[] = "s";
    RIG_QUERY(q, CURSORS, cursors, Mq__QueryCursors, MQ__QUERY_CURSORS__INIT);
    q_cursors.user = user;
    q_cursors.store = store;
    result = rig_query(&r, &q, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_cursors, 1);
    CHECK_EQ(result->cursors[0]->cursor->modseq, 5);
    mq__query_result__free_unpacked(result, NULL);
    char name[] = "box1";
    RIG_QUERY(qm, MAILBOX, mailbox, Mq__QueryMailbox, MQ__QUERY_MAILBOX__INIT);
    qm_mailbox.user = user;
    qm_mailbox.name = name;
    result = rig_query(&r, &qm, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_mailboxes, 1);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&r);
}

/* ---- against a model ---- */

#define BOXES  4
#define UIDS   400
#define STORES 2

struct model_message {
    bool live;
    bool gone; /* expunged */
    uint8_t stores;
    uint8_t gone_by;
    uint32_t flags;
    uint64_t size;
};
struct model_box {
    bool there;
    uint8_t lead; /* the first store that reported it */
    uint32_t uidvalidity;
    uint64_t modseq[STORES];
    bool known[STORES];
    uint32_t uidnext[STORES];
    struct model_message m[UIDS + 1];
};

static void model_expunge(const struct model_box *box, struct model_message *m, uint8_t store)
{
    m->stores = (uint8_t)(m->stores & ~(1u << store));
    if (m->stores == 0 || box->lead == store) {
        m->live = false;
        m->gone = true;
        m->gone_by = store;
        m->stores = 0;
    }
}

static void model_upsert(const struct model_box *box, struct model_message *m, uint8_t store,
                         uint32_t flags, uint64_t size)
{
    if (m->gone && m->gone_by != store && box->lead != store) {
        return;
    }
    if (m->live && box->lead != store && (m->stores & (1u << box->lead)) != 0) {
        m->stores |= (uint8_t)(1u << store);
        return;
    }
    if (!m->live) {
        m->stores = 0;
    }
    m->gone = false;
    m->live = true;
    m->stores |= (uint8_t)(1u << store);
    m->flags = flags;
    m->size = size;
}

static void compare(struct rig *r, struct model_box *boxes)
{
    enum status s;
    for (uint8_t b = 0; b < BOXES; b++) {
        uint64_t messages = 0;
        uint64_t unseen = 0;
        uint64_t bytes = 0;
        Mq__QueryResult *result = rig_mailbox(r, "ada", (uint8_t)(b + 1), &s);
        if (!boxes[b].there) {
            CHECK_EQ(s, STATUS_NOT_FOUND);
            mq__query_result__free_unpacked(result, NULL);
            continue;
        }
        CHECK_OK(s);
        Mq__QueryResult *rows = rig_messages(r, "ada", (uint8_t)(b + 1), 0, 0, &s);
        CHECK_OK(s);
        size_t at = 0;
        for (uint32_t uid = 1; uid <= UIDS; uid++) {
            const struct model_message *m = &boxes[b].m[uid];
            if (!m->live) {
                continue;
            }
            messages++;
            unseen += (m->flags & 1) == 0 ? 1 : 0;
            bytes += m->size;
            CHECK(at < rows->n_messages);
            CHECK_EQ(rows->messages[at]->message->uid, uid);
            CHECK_EQ(rows->messages[at]->message->flags, m->flags);
            CHECK_EQ(rows->messages[at]->message->size, m->size);
            CHECK_EQ(rows->messages[at]->n_stores, __builtin_popcount(m->stores));
            at++;
        }
        CHECK_EQ(at, rows->n_messages);
        CHECK_EQ(result->mailboxes[0]->messages, messages);
        CHECK_EQ(result->mailboxes[0]->unseen, unseen);
        CHECK_EQ(result->mailboxes[0]->bytes, bytes);
        CHECK_EQ(result->mailboxes[0]->uidvalidity, boxes[b].uidvalidity);
        mq__query_result__free_unpacked(rows, NULL);
        mq__query_result__free_unpacked(result, NULL);
    }
}

static void random_report(struct rig *r, struct random *random, struct model_box *box, uint8_t b,
                          uint8_t store)
{
    static const char *const names[STORES] = {"s", "t"};
    bool full = !box->there || !box->known[store] || random_below(random, 8) == 0;
    uint64_t to = box->modseq[store] + 1 + random_below(random, 5);
    struct report *p =
        report_new(r, "ada", names[store], (uint8_t)(b + 1), full ? 0 : box->modseq[store], to);
    p->c.uidvalidity = box->there ? box->uidvalidity : 1;
    box->lead = box->there ? box->lead : store;
    p->c.uidnext = box->uidnext[store];
    uint32_t uid = 0;
    uint32_t listed = 0;
    uint32_t spread = full ? 4 : 40;
    for (;;) {
        uint32_t next = uid + 1 + (uint32_t)random_below(random, spread);
        if (next > UIDS) {
            next = UIDS + 1;
        }
        for (uint32_t u = uid + 1; u < next && full; u++) {
            if (box->m[u].live && (box->m[u].stores & (1u << store)) != 0) {
                model_expunge(box, &box->m[u], store);
            }
        }
        uid = next;
        if (uid > UIDS || listed == 900) {
            break;
        }
        if (!full && random_below(random, 4) == 0) {
            report_vanished(p, uid, uid);
            if (box->m[uid].live && (box->m[uid].stores & (1u << store)) != 0) {
                model_expunge(box, &box->m[uid], store);
            }
            continue;
        }
        uint32_t flags = (uint32_t)random_below(random, 32);
        uint64_t size = 100 + uid;
        report_message(p, uid, flags, size);
        model_upsert(box, &box->m[uid], store, flags, size);
        listed++;
    }
    box->uidnext[store] = p->c.uidnext;
    box->there = true;
    box->uidvalidity = p->c.uidvalidity;
    box->known[store] = true;
    box->modseq[store] = to;
    CHECK_OK(report_run(r, p));
}

static void random_uidvalidity(struct rig *r, struct random *random, struct model_box *box,
                               uint8_t b)
{
    struct report *p = report_new(r, "ada", "s", (uint8_t)(b + 1), 0, 3);
    uint32_t uidvalidity = box->uidvalidity + 1;
    memset(box, 0, sizeof(*box));
    p->c.uidvalidity = uidvalidity;
    for (uint32_t uid = 1; uid < UIDS; uid += 1 + (uint32_t)random_below(random, 20)) {
        report_message(p, uid, 0, 100 + uid);
        model_upsert(box, &box->m[uid], 0, 0, 100 + uid);
    }
    box->there = true;
    box->uidvalidity = uidvalidity;
    box->known[0] = true;
    box->modseq[0] = 3;
    box->uidnext[0] = p->c.uidnext;
    CHECK_OK(report_run(r, p));
}

static void counters_equal_a_recount_after_two_thousand_random_reports(void)
{
    struct rig r;
    struct random random;
    static struct model_box boxes[BOXES];
    struct token lease[STORES];
    memset(boxes, 0, sizeof(boxes));
    random_init_seed(&random, check_seed());
    begin(&r);
    lease[0] = second_store(&r);
    lease[1] = r.lease;
    for (int i = 0; i < 2000; i++) {
        uint8_t b = (uint8_t)random_below(&random, BOXES);
        uint8_t store = (uint8_t)random_below(&random, STORES);
        uint64_t dice = random_below(&random, 100);
        r.lease = lease[store];
        r.time_ms += random_below(&random, 50);
        if (dice == 0 && boxes[b].there && boxes[b].lead == 0) {
            r.lease = lease[0];
            random_uidvalidity(&r, &random, &boxes[b], b);
        } else if (dice == 1) {
            CHECK_OK(rig_tick(&r));
        } else if (dice == 2) {
            rig_checkpoint(&r);
        } else if (dice == 3) {
            rig_restart(&r);
        } else {
            random_report(&r, &random, &boxes[b], b, store);
        }
        if (i % 100 == 99) {
            compare(&r, boxes);
            rig_check_digest(&r);
        }
    }
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(a_report_follows_the_cursor_or_is_told_where_to_resume);
    RUN(pages_come_in_order_and_the_cursor_moves_with_the_last);
    RUN(a_full_comparison_takes_away_what_it_does_not_list);
    RUN(rows_missing_in_another_store_are_marked_absent_there_never_expunged);
    RUN(a_new_uidvalidity_becomes_visible_whole);
    RUN(an_unfinished_generation_can_be_taken_over_when_stale);
    RUN(a_mailbox_goes_when_its_last_store_loses_it);
    RUN(big_work_is_bounded_and_finished_by_what_follows);
    RUN(tombstones_go_after_thirty_days_and_the_horizon_rises);
    RUN(malformed_reports_are_refused_without_a_trace);
    RUN(keywords_dates_and_attributes_come_back_as_reported);
    RUN(counters_equal_a_recount_after_two_thousand_random_reports);
}
