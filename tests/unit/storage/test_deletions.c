/* A mailbox that the store which leads it has lost, while other stores hold it: deleted at home and not yet in the copy, or a volume
 * that is not mounted. */
#include "storage/apply.h"
#include "tests/unit/storage/stores_rig.h"

static enum status report_deleted(struct rig *r, const char *store)
{
    struct report *p = report_new(r, "ada", store, 1, 0, 0);
    p->c.deleted = true;
    return report_run(r, p);
}

/* As many messages from UID `first` on, all with these flags, by a full comparison. */
static enum status report_all(struct rig *r, const char *store, uint64_t to, uint32_t first,
                              uint32_t n, uint32_t flags)
{
    struct report *p = report_new(r, "ada", store, 1, 0, to);
    for (uint32_t uid = first; uid < first + n; uid++) {
        report_message(p, uid, flags, 100);
    }
    return report_run(r, p);
}

struct two {
    struct rig r;
    struct token home, copy;
};

/* Home has 1, 2, 3 up to MODSEQ 500, its copy 1 and 2 up to 20. */
static void two_open(struct two *t)
{
    rig_open(&t->r, 1);
    owner_at(&t->r, "ada", "beijing");
    CHECK_OK(lease_at(&t->r, "ada", "home", "beijing"));
    t->home = t->r.lease;
    CHECK_OK(report_all(&t->r, "home", 500, 1, 3, 2));
    CHECK_OK(lease_at(&t->r, "ada", "copy", "shanghai"));
    t->copy = t->r.lease;
    CHECK_OK(report_all(&t->r, "copy", 20, 1, 2, 4));
}

/* "1:home,copy:2 ..." : UID, holders, flags of each message; with '*' behind the store that leads in front of all. */
static const char *said(struct rig *r)
{
    static char text[1024];
    enum status s;
    size_t n = 0;
    Mq__QueryResult *box = rig_mailbox(r, "ada", 1, &s);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", s == OK ? "" : "none");
    for (size_t i = 0; s == OK && i < box->mailboxes[0]->n_stores; i++) {
        const Mq__StoreCursor *c = box->mailboxes[0]->stores[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%u", i == 0 ? "" : ",", c->store,
                              (unsigned)c->messages);
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s", c->lead ? "*" : "");
    }
    Mq__QueryResult *rows = rig_messages(r, "ada", 1, 0, 0, &s);
    for (size_t i = 0; s == OK && i < rows->n_messages; i++) {
        const Mq__MessageRow *m = rows->messages[i];
        n += (size_t)snprintf(text + n, sizeof(text) - n, " %u:", m->message->uid);
        for (size_t k = 0; k < m->n_stores; k++) {
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", k == 0 ? "" : ",",
                                  m->stores[k]);
        }
        n += (size_t)snprintf(text + n, sizeof(text) - n, ":%u", m->message->flags);
    }
    mq__query_result__free_unpacked(rows, NULL);
    mq__query_result__free_unpacked(box, NULL);
    return text;
}

static uint64_t lost_with(struct rig *r, const char *site)
{
    enum status s;
    RIG_QUERY(q, LOSS, loss, Mq__QueryLoss, MQ__QUERY_LOSS__INIT);
    q_loss.site = (char *)(uintptr_t)site;
    Mq__QueryResult *page = rig_query(r, &q, &s);
    CHECK_OK(s);
    uint64_t n = 0;
    for (size_t i = 0; i < page->n_loss_mailboxes; i++) {
        n += page->loss_mailboxes[i]->n_messages;
    }
    mq__query_result__free_unpacked(page, NULL);
    return n;
}

static void check_box(struct rig *r, uint32_t uidnext, uint64_t modseq, uint64_t messages)
{
    enum status s;
    Mq__QueryResult *result = rig_mailbox(r, "ada", 1, &s);
    CHECK_OK(s);
    const Mq__Mailbox *m = result->mailboxes[0];
    CHECK_EQ(m->uidnext, uidnext);
    CHECK_EQ(m->highestmodseq, modseq);
    CHECK_EQ(m->messages, messages);
    CHECK_EQ(m->unseen, messages);
    CHECK_EQ(m->bytes, 100 * messages);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(r);
}

static void a_mailbox_deleted_at_home_is_held_by_its_copy_until_that_loses_it_too(void)
{
    struct two t;
    enum status s;
    two_open(&t);
    CHECK_STR_EQ(said(&t.r), "home=3*,copy=2 1:home,copy:2 2:home,copy:2 3:home:2");
    Mq__QueryResult *result = rig_mailbox(&t.r, "ada", 1, &s);
    uint64_t since = result->mailboxes[0]->change;
    mq__query_result__free_unpacked(result, NULL);
    CHECK_EQ(lost_with(&t.r, "shanghai"), 0);
    t.r.lease = t.home;
    CHECK_OK(report_deleted(&t.r, "home"));
    CHECK_STR_EQ(said(&t.r), "copy=2* 1:copy:2 2:copy:2 3::2");
    CHECK_EQ(lost_with(&t.r, "shanghai"), 2);
    CHECK_OK(report_deleted(&t.r, "home")); /* said twice */
    CHECK_OK(rig_tick(&t.r));
    CHECK_STR_EQ(said(&t.r), "copy=2* 1:copy:2 2:copy:2");
    CHECK_EQ(lost_with(&t.r, "shanghai"), 2);
    CHECK_EQ(lost_with(&t.r, "beijing"), 0);
    check_box(&t.r, 4, 500, 2);
    result = rig_changes(&t.r, "ada", 1, since, 0, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_changes, 3);
    for (size_t i = 0; i < result->n_changes; i++) {
        CHECK_EQ(result->changes[i]->expunged, result->changes[i]->uid == 3);
    }
    mq__query_result__free_unpacked(result, NULL);
    result = stores(&t.r);
    CHECK_EQ(result->stores[0]->mailboxes + result->stores[0]->messages, 0);
    CHECK_EQ(result->stores[1]->sole_messages, 2);
    CHECK_EQ(result->stores[1]->missing_messages, 0);
    mq__query_result__free_unpacked(result, NULL);
    t.r.lease = t.copy; /* it leads: its words count, once all is compared */
    CHECK_EQ(report_one(&t.r, "copy", 20, 21, 1, 8), STATUS_RESYNC);
    CHECK_OK(report_all(&t.r, "copy", 21, 1, 2, 8));
    CHECK_OK(report_one(&t.r, "copy", 21, 22, 2, 16));
    CHECK_STR_EQ(said(&t.r), "copy=2* 1:copy:8 2:copy:16");
    check_box(&t.r, 10, 500, 2);
    CHECK_OK(report_deleted(&t.r, "copy"));
    CHECK_STR_EQ(said(&t.r), "none");
    CHECK_EQ(lost_with(&t.r, "shanghai"), 0);
    CHECK_OK(rig_tick(&t.r));
    rig_check_digest(&t.r);
    rig_close(&t.r);
}

static void both_stores_may_lose_it_before_a_tick(void)
{
    struct two t;
    two_open(&t);
    t.r.lease = t.home;
    CHECK_OK(report_deleted(&t.r, "home"));
    t.r.lease = t.copy;
    CHECK_OK(report_deleted(&t.r, "copy"));
    CHECK_STR_EQ(said(&t.r), "none");
    t.r.lease = t.home; /* and it comes back before the jobs of what went are done */
    CHECK_OK(report_all(&t.r, "home", 501, 1, 1, 2));
    CHECK_OK(rig_tick(&t.r));
    CHECK_STR_EQ(said(&t.r), "home=1* 1:home:2");
    check_box(&t.r, 2, 501, 1);
    Mq__QueryResult *result = stores(&t.r);
    CHECK_EQ(result->stores[0]->sole_messages, 1);
    CHECK_EQ(result->stores[1]->messages, 0);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&t.r);
}

/* The volume is mounted again, or the copy is copied back: home leads again, whether or not its old marks are cleared yet. */
static void a_mailbox_that_comes_back_home_follows_home_again(void)
{
    for (int late = 0; late < 2; late++) {
        struct two t;
        two_open(&t);
        t.r.lease = t.home;
        CHECK_OK(report_deleted(&t.r, "home"));
        if (late) {
            CHECK_OK(rig_tick(&t.r));
        }
        CHECK_OK(report_all(&t.r, "home", 600, 1, 3, 1));
        CHECK_OK(rig_tick(&t.r));
        CHECK_STR_EQ(said(&t.r), late ? "copy=2,home=3* 1:home,copy:1 2:home,copy:1 3:home:1"
                                      : "copy=2,home=3* 1:copy,home:1 2:copy,home:1 3:home:1");
        t.r.lease = t.copy; /* it follows now, and compared nothing since it led */
        CHECK_EQ(report_one(&t.r, "copy", 20, 21, 1, 8), STATUS_RESYNC);
        CHECK_OK(report_all(&t.r, "copy", 21, 1, 2, 8));
        CHECK_EQ(lost_with(&t.r, "shanghai"), 0);
        CHECK_EQ(lost_with(&t.r, "beijing"), 1);
        rig_check_digest(&t.r);
        rig_close(&t.r);
    }
}

static void the_lead_passes_to_a_store_at_home_else_to_the_first(void)
{
    struct two t;
    two_open(&t);
    CHECK_OK(lease_at(&t.r, "ada", "other", "beijing"));
    struct token other = t.r.lease;
    CHECK_OK(report_all(&t.r, "other", 7, 1, 1, 16));
    CHECK_OK(lease_at(&t.r, "ada", "third", "chengdu"));
    CHECK_OK(report_all(&t.r, "third", 7, 1, 1, 16));
    t.r.lease = t.home;
    CHECK_OK(report_deleted(&t.r, "home"));
    CHECK_OK(rig_tick(&t.r));
    CHECK_STR_EQ(said(&t.r), "copy=2,other=1*,third=1 1:copy,other,third:2 2:copy:2");
    t.r.lease =
        t.copy; /* a store that follows goes on as before, also beside one that leads in name only */
    CHECK_OK(report_one(&t.r, "copy", 20, 21, 1, 8));
    t.r.lease = other;
    CHECK_OK(report_deleted(&t.r, "other"));
    CHECK_OK(rig_tick(&t.r));
    CHECK_STR_EQ(said(&t.r), "copy=2*,third=1 1:copy,third:2 2:copy:2");
    rig_check_digest(&t.r);
    rig_close(&t.r);
}

static enum status report_part(struct rig *r, const char *store, uint32_t uidvalidity,
                               uint32_t first, uint32_t last)
{
    struct report *p = report_new(r, "ada", store, 1, 0, 30);
    p->c.uidvalidity = uidvalidity;
    p->c.first_uid = first;
    p->c.last = last == 0;
    p->c.last_uid = last == 0 ? UINT32_MAX : last;
    p->c.uidnext = 10;
    report_message(p, first, 1, 100);
    return report_run(r, p);
}

/* What the next one had begun as a follower, or as it led before, was said for another record: it begins again. */
static void whoever_leads_next_begins_its_unfinished_report_again(void)
{
    for (uint32_t uidvalidity = 1; uidvalidity <= 2; uidvalidity++) {
        struct two t;
        two_open(&t);
        t.r.time_ms += LEAD_SILENT_MS + 1;
        CHECK_OK(lease_at(&t.r, "ada", "copy", "shanghai"));
        t.copy = t.r.lease;
        if (uidvalidity == 2) { /* it leads, and builds a new generation; then home speaks again */
            CHECK_OK(report_part(&t.r, "copy", 2, 1, 1));
        }
        CHECK_OK(lease_at(&t.r, "ada", "home", "beijing"));
        t.home = t.r.lease;
        CHECK_OK(report_all(&t.r, "home", 501, 1, 3, 2));
        t.r.lease = t.copy;
        if (uidvalidity == 1) {
            CHECK_OK(report_part(&t.r, "copy", 1, 1, 1));
        }
        t.r.lease = t.home;
        CHECK_OK(report_deleted(&t.r, "home"));
        t.r.lease = t.copy;
        CHECK_EQ(report_part(&t.r, "copy", uidvalidity, 2, 0), STATUS_RESYNC);
        CHECK_OK(report_part(&t.r, "copy", uidvalidity, 1, 1));
        CHECK_OK(report_part(&t.r, "copy", uidvalidity, 2, 0));
        CHECK_OK(rig_tick(&t.r));
        CHECK_STR_EQ(said(&t.r), "copy=2* 1:copy:1 2:copy:1");
        rig_check_digest(&t.r);
        rig_close(&t.r);
    }
}

/* The one that led for a while and does not lead next has begun for nothing: it keeps nobody waiting. */
static void the_next_one_need_not_wait_for_the_generation_of_a_third(void)
{
    struct two t;
    two_open(&t);
    t.r.time_ms += LEAD_SILENT_MS + 1;
    CHECK_OK(lease_at(&t.r, "ada", "copy", "shanghai"));
    t.copy = t.r.lease;
    CHECK_OK(report_part(&t.r, "copy", 2, 1, 1));
    CHECK_OK(lease_at(&t.r, "ada", "home", "beijing"));
    t.home = t.r.lease;
    CHECK_OK(report_all(&t.r, "home", 501, 1, 3, 2));
    CHECK_OK(lease_at(&t.r, "ada", "other", "beijing"));
    struct token other = t.r.lease;
    CHECK_OK(report_all(&t.r, "other", 7, 1, 1, 16));
    t.r.lease = t.home;
    CHECK_OK(report_deleted(&t.r, "home"));
    t.r.lease = other;
    CHECK_OK(report_part(&t.r, "other", 2, 1, 0));
    CHECK_STR_EQ(said(&t.r), "copy=0,other=1* 1:other:1");
    t.r.lease = t.copy;
    CHECK_EQ(report_part(&t.r, "copy", 2, 2, 0), STATUS_RESYNC);
    CHECK_OK(rig_tick(&t.r));
    rig_check_digest(&t.r);
    rig_close(&t.r);
}

/* The one that goes was building a new generation, which nobody sees: it goes with it, and the old one stays for the other. */
static void an_unfinished_generation_of_the_store_that_goes_goes_with_it(void)
{
    struct two t;
    two_open(&t);
    t.r.lease = t.home;
    CHECK_OK(report_part(&t.r, "home", 2, 1, 1));
    CHECK_OK(report_deleted(&t.r, "home"));
    CHECK_OK(rig_tick(&t.r));
    CHECK_STR_EQ(said(&t.r), "copy=2* 1:copy:2 2:copy:2");
    CHECK_EQ(report_part(&t.r, "home", 2, 2, 0), STATUS_RESYNC);
    rig_check_digest(&t.r);
    rig_close(&t.r);
}

static void a_big_mailbox_leaves_its_copy_in_bounded_steps(void)
{
    struct two t;
    struct store_due due;
    uint32_t ticks = 0;
    two_open(&t);
    t.r.lease = t.home;
    for (uint32_t page = 0; page < 3; page++) {
        struct report *p = report_new(&t.r, "ada", "home", 1, 0, 700);
        p->c.first_uid = page * 1000 + 1;
        p->c.last_uid = page * 1000 + 1000;
        p->c.last = page == 2;
        for (uint32_t i = 1; i <= 1000; i++) {
            report_message(p, page * 1000 + i, 0, 100);
        }
        CHECK_OK(report_run(&t.r, p));
    }
    CHECK_OK(report_deleted(&t.r, "home"));
    do {
        CHECK_OK(rig_tick(&t.r));
        CHECK_OK(store_commit(t.r.store, &due));
        ticks++;
    } while (due.due_ms == due.time_ms);
    CHECK_EQ(ticks, 4); /* 975 rows each */
    CHECK_STR_EQ(said(&t.r), "copy=2* 1:copy:0 2:copy:0");
    check_box(&t.r, 3001, 700, 2);
    rig_close(&t.r);
}

/* Deleted at home and made anew under the same name: that one is meant by the name, whichever GUID is the lower. */
static void a_name_means_the_mailbox_that_is_held_at_home(void)
{
    for (uint8_t anew = 1; anew <= 3; anew += 2) {
        struct rig r;
        enum status s;
        rig_open(&r, 1);
        owner_at(&r, "ada", "beijing");
        for (int i = 0; i < 2; i++) { /* 2 is held by both, then only by the copy */
            CHECK_OK(
                lease_at(&r, "ada", i == 0 ? "home" : "copy", i == 0 ? "beijing" : "shanghai"));
            CHECK_OK(report_run(&r, report_new(&r, "ada", i == 0 ? "home" : "copy", 2, 0, 5)));
        }
        CHECK_OK(lease_at(&r, "ada", "home", "beijing"));
        struct report *p = report_new(&r, "ada", "home", 2, 0, 0);
        p->c.deleted = true;
        CHECK_OK(report_run(&r, p));
        RIG_QUERY(q, MAILBOX, mailbox, Mq__QueryMailbox, MQ__QUERY_MAILBOX__INIT);
        q_mailbox.user = (char *)(uintptr_t) "ada";
        q_mailbox.name = (char *)(uintptr_t) "box2";
        for (int made = 0; made < 2; made++) {
            Mq__QueryResult *result = rig_query(&r, &q, &s);
            CHECK_OK(s);
            CHECK_EQ(result->n_mailboxes, 1);
            CHECK_EQ(result->mailboxes[0]->guid.data[0], made ? anew : 2);
            mq__query_result__free_unpacked(result, NULL);
            p = report_new(&r, "ada", "home", anew, 0, 5);
            p->c.name = (char *)(uintptr_t) "box2";
            CHECK_OK(report_run(&r, p));
        }
        rig_close(&r);
    }
}

CHECK_MAIN
{
    RUN(a_mailbox_deleted_at_home_is_held_by_its_copy_until_that_loses_it_too);
    RUN(both_stores_may_lose_it_before_a_tick);
    RUN(a_mailbox_that_comes_back_home_follows_home_again);
    RUN(the_lead_passes_to_a_store_at_home_else_to_the_first);
    RUN(whoever_leads_next_begins_its_unfinished_report_again);
    RUN(the_next_one_need_not_wait_for_the_generation_of_a_third);
    RUN(an_unfinished_generation_of_the_store_that_goes_goes_with_it);
    RUN(a_big_mailbox_leaves_its_copy_in_bounded_steps);
    RUN(a_name_means_the_mailbox_that_is_held_at_home);
}
