/* Several stores of one mailbox: who leads, what each holds, what would be lost with a site. */
#include "storage/apply.h"
#include "tests/unit/storage/stores_rig.h"

static uint32_t flags_of(struct rig *r, uint64_t *out_modseq)
{
    enum status s;
    Mq__QueryResult *result = rig_messages(r, "ada", 1, 0, 0, &s);
    CHECK_OK(s);
    CHECK_EQ(result->n_messages, 1);
    uint32_t flags = result->messages[0]->message->flags;
    *out_modseq = result->messages[0]->message->modseq;
    mq__query_result__free_unpacked(result, NULL);
    return flags;
}

static void the_record_follows_the_store_at_home_whoever_reports_first(void)
{
    struct rig r;
    uint64_t modseq;
    rig_open(&r, 1);
    owner_at(&r, "ada", "beijing");
    CHECK_OK(lease_at(&r, "ada", "copy", "shanghai"));
    struct token copy = r.lease;
    CHECK_OK(report_one(&r, "copy", 0, 900, 1, 1));
    CHECK_OK(lease_at(&r, "ada", "home", "beijing"));
    struct token home = r.lease;
    CHECK_OK(report_one(&r, "home", 0, 5, 1, 2));
    CHECK_EQ(flags_of(&r, &modseq), 2);
    CHECK_EQ(modseq, 5);
    r.lease = copy; /* a copy that lags does not undo it; its cursor moves all the same */
    CHECK_OK(report_one(&r, "copy", 900, 901, 1, 1));
    CHECK_EQ(flags_of(&r, &modseq), 2);
    CHECK_EQ(modseq, 5);
    CHECK_EQ(report_one(&r, "copy", 900, 902, 1, 1), STATUS_NOT_NEXT);
    r.lease = home;
    CHECK_OK(report_one(&r, "home", 5, 6, 1, 3));
    CHECK_EQ(flags_of(&r, &modseq), 3);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_store_inherits_from_a_silent_one_and_home_leads_again_when_it_speaks(void)
{
    struct rig r;
    uint64_t modseq;
    rig_open(&r, 1);
    owner_at(&r, "ada", "beijing");
    CHECK_OK(lease_at(&r, "ada", "home", "beijing"));
    CHECK_OK(report_one(&r, "home", 0, 5, 1, 2));
    CHECK_OK(lease_at(&r, "ada", "copy", "shanghai"));
    CHECK_OK(report_one(&r, "copy", 0, 900, 1, 2));
    r.time_ms += LEAD_SILENT_MS;
    CHECK_OK(lease_at(&r, "ada", "copy", "shanghai"));
    CHECK_OK(report_one(&r, "copy", 900, 901, 1, 4));
    CHECK_EQ(flags_of(&r, &modseq), 2);
    r.time_ms += 1;
    CHECK_EQ(report_one(&r, "copy", 901, 902, 1, 4), STATUS_RESYNC); /* only by comparing all */
    CHECK_OK(report_one(&r, "copy", 0, 902, 1, 4));
    CHECK_EQ(flags_of(&r, &modseq), 4);
    CHECK_OK(report_one(&r, "copy", 902, 903, 1, 5));
    CHECK_EQ(flags_of(&r, &modseq), 5);
    CHECK_OK(lease_at(&r, "ada", "home", "beijing"));
    CHECK_EQ(report_one(&r, "home", 5, 6, 1, 8), STATUS_RESYNC);
    CHECK_OK(report_one(&r, "home", 0, 6, 1, 8));
    CHECK_EQ(flags_of(&r, &modseq), 8);
    CHECK_EQ(modseq, 6);
    rig_check_digest(&r);
    rig_close(&r);
}

static enum status position(struct rig *r, const char *store, const char *site, uint64_t wall_ms,
                            uint64_t age_ms)
{
    RIG_COMMAND(c, STORE_POSITION, store_position, Mq__StorePosition, MQ__STORE_POSITION__INIT);
    c_store_position.store = (char *)(uintptr_t)store;
    c_store_position.site = (char *)(uintptr_t)site;
    c_store_position.complete_wall_ms = wall_ms;
    c_store_position.age_ms = age_ms;
    return rig_run(r, &c);
}

static uint64_t complete_of(struct rig *r)
{
    Mq__QueryResult *result = stores(r);
    CHECK_EQ(result->n_stores, 1);
    uint64_t complete_ms = result->stores[0]->complete_ms;
    mq__query_result__free_unpacked(result, NULL);
    return complete_ms;
}

static void a_position_never_says_more_than_either_clock_allows_and_never_falls(void)
{
    struct rig r;
    rig_open(&r, 1);
    CHECK_OK(position(&r, "s", "beijing", 0, 0));
    CHECK_EQ(complete_of(&r), 0); /* alive, and nothing more */
    CHECK_OK(position(&r, "s", "beijing", r.time_ms + 5000, 300));
    CHECK_EQ(complete_of(&r), r.time_ms - 300);
    CHECK_OK(position(&r, "s", "beijing", r.time_ms - 400, 0));
    CHECK_EQ(complete_of(&r), r.time_ms - 300);
    CHECK_OK(position(&r, "s", "beijing", r.time_ms - 200, 100));
    CHECK_EQ(complete_of(&r), r.time_ms - 200);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_store_keeps_the_site_it_was_first_reported_from(void)
{
    struct rig r;
    rig_open(&r, 1);
    owner_at(&r, "ada", "");
    CHECK_OK(lease_at(&r, "ada", "s", ""));
    CHECK_OK(lease_at(&r, "ada", "s", "beijing")); /* nothing was counted yet */
    CHECK_OK(report_one(&r, "s", 0, 5, 1, 0));
    CHECK_EQ(lease_at(&r, "ada", "s", "shanghai"), STATUS_INVALID);
    CHECK_EQ(position(&r, "s", "shanghai", 1, 1), STATUS_INVALID);
    CHECK_OK(lease_at(&r, "ada", "s", ""));
    CHECK_OK(lease_at(&r, "ada", "s", "beijing"));
    rig_check_digest(&r);
    rig_close(&r);
}

/* ---- sums and losses against a recount ---- */

#define USERS  3
#define BOXES  3
#define STORES 4
static const char *const users[USERS] = {"ada", "bo", "cy"};
static const char *const names[STORES] = {"b1", "b2", "s1", "x1"};
static const char *const sites[STORES] = {"beijing", "beijing", "shanghai", ""};

struct recount {
    uint64_t mailboxes, messages, bytes, sole_messages, sole_bytes, missing_messages, missing_bytes;
};

static unsigned store_of(const char *name)
{
    for (unsigned i = 0; i < STORES; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    CHECK(false);
    return 0;
}

static bool beijing(unsigned store)
{
    return store < 2;
}

static unsigned place(unsigned store)
{
    return store == 1 ? 0 : store;
}

/* Of every message: who holds it. `lost` gets "user/box/uid" for what only Beijing has, in the order of the report. */
struct counted {
    struct recount of[STORES];
    uint64_t sole_messages[STORES]; /* by place */
    uint64_t lost_n, lost_bytes;
    uint64_t lost_boxes, lost_users;
    uint64_t lost[4096];
};

static void recount_message(struct counted *n, const Mq__MessageRow *m, unsigned holders_mask,
                            unsigned user, unsigned box)
{
    unsigned places = 0;
    bool here = false, elsewhere = false;
    for (unsigned i = 0; i < STORES; i++) {
        bool holds = false;
        for (size_t k = 0; k < m->n_stores; k++) {
            holds = holds || store_of(m->stores[k]) == i;
        }
        if (holds) {
            n->of[i].messages++;
            n->of[i].bytes += m->message->size;
            places |= 1u << place(i);
            here = here || beijing(i);
            elsewhere = elsewhere || !beijing(i);
        } else if ((holders_mask & (1u << i)) != 0) {
            n->of[i].missing_messages++;
            n->of[i].missing_bytes += m->message->size;
        }
    }
    if (__builtin_popcount(places) == 1) {
        n->sole_messages[__builtin_ctz(places)]++;
    }
    if (here && !elsewhere) {
        CHECK(n->lost_n < 4096);
        n->lost[n->lost_n++] = user * 1000000ull + box * 100000ull + m->message->uid;
        n->lost_bytes += m->message->size;
    }
}

/* One store of each mailbox leads; within a record and a UIDVALIDITY nothing falls. */
static void check_rises(const Mq__Mailbox *m, unsigned user, unsigned box)
{
    static struct {
        uint32_t uidvalidity, uidnext;
        uint64_t modseq, change;
    } before[USERS][BOXES];
    unsigned leads = 0;
    for (size_t i = 0; i < m->n_stores; i++) {
        leads += m->stores[i]->lead ? 1 : 0;
    }
    CHECK_EQ(leads, 1);
    CHECK(m->change >= before[user][box].change);
    bool other = m->uidvalidity != before[user][box].uidvalidity ||
                 m->horizon >= before[user][box].change; /* all stores lost it meanwhile */
    CHECK(other || m->uidnext >= before[user][box].uidnext);
    CHECK(other || m->highestmodseq >= before[user][box].modseq);
    before[user][box].uidvalidity = m->uidvalidity;
    before[user][box].uidnext = m->uidnext;
    before[user][box].modseq = m->highestmodseq;
    before[user][box].change = m->change;
}

static void recount(struct rig *r, struct counted *n)
{
    enum status s;
    memset(n, 0, sizeof(*n));
    for (unsigned u = 0; u < USERS; u++) {
        unsigned boxes = 0, lost_boxes = 0;
        for (uint8_t b = 1; b <= BOXES; b++) {
            unsigned mask = 0;
            Mq__QueryResult *box = rig_mailbox(r, users[u], b, &s);
            for (size_t i = 0; s == OK && i < box->mailboxes[0]->n_stores; i++) {
                unsigned store = store_of(box->mailboxes[0]->stores[i]->store);
                mask |= 1u << store;
                n->of[store].mailboxes++;
            }
            if (s == OK) {
                check_rises(box->mailboxes[0], u, b - 1u);
            }
            boxes += mask != 0;
            lost_boxes += mask != 0 && (mask & ~3u) == 0;
            mq__query_result__free_unpacked(box, NULL);
            Mq__QueryResult *rows = rig_messages(r, users[u], b, 0, 0, &s);
            for (size_t i = 0; s == OK && i < rows->n_messages; i++) {
                recount_message(n, rows->messages[i], mask, u, b);
            }
            mq__query_result__free_unpacked(rows, NULL);
        }
        n->lost_boxes += lost_boxes;
        n->lost_users += boxes > 0 && boxes == lost_boxes;
    }
}

static void check_sums(struct rig *r, const struct counted *n)
{
    uint64_t sole[STORES] = {0};
    Mq__QueryResult *result = stores(r);
    for (size_t i = 0; i < result->n_stores; i++) {
        const Mq__StoreSums *s = result->stores[i];
        unsigned at = store_of(s->store);
        CHECK_STR_EQ(s->site, sites[at]);
        CHECK_EQ(s->mailboxes, n->of[at].mailboxes);
        CHECK_EQ(s->messages, n->of[at].messages);
        CHECK_EQ(s->bytes, n->of[at].bytes);
        CHECK_EQ(s->missing_messages, n->of[at].missing_messages);
        CHECK_EQ(s->missing_bytes, n->of[at].missing_bytes);
        sole[place(at)] += s->sole_messages;
    }
    for (unsigned i = 0; i < STORES; i++) {
        CHECK_EQ(sole[i], n->sole_messages[i]);
    }
    mq__query_result__free_unpacked(result, NULL);
}

struct walked {
    uint64_t messages, bytes, boxes, users, unreported;
    uint64_t last_box;
};

static void walk_page(const Mq__QueryResult *page, const struct counted *n, struct walked *w)
{
    for (size_t i = 0; i < page->n_loss_users; i++) {
        w->users += page->loss_users[i]->mailboxes == page->loss_users[i]->mailboxes_lost;
    }
    for (size_t i = 0; i < page->n_loss_mailboxes; i++) {
        const Mq__LossMailbox *b = page->loss_mailboxes[i];
        unsigned user = 0;
        while (strcmp(users[user], b->user) != 0) {
            user++;
        }
        uint64_t id = user * 10 + b->guid.data[0];
        w->boxes += b->whole && id != w->last_box;
        w->last_box = id;
        for (size_t k = 0; k < b->n_messages; k++) {
            CHECK(w->messages < n->lost_n);
            CHECK_EQ(n->lost[w->messages],
                     user * 1000000ull + b->guid.data[0] * 100000ull + b->messages[k]->uid);
            w->messages++;
            w->bytes += b->messages[k]->size;
        }
    }
    w->unreported += page->loss_unreported;
}

static void check_loss(struct rig *r, const struct counted *n, uint32_t limit)
{
    enum status s;
    struct walked w = {0};
    uint8_t after[300];
    bool more = true;
    RIG_QUERY(q, LOSS, loss, Mq__QueryLoss, MQ__QUERY_LOSS__INIT);
    q_loss.site = (char *)(uintptr_t) "beijing";
    q_loss.limit = limit;
    for (unsigned pages = 0; more; pages++) {
        Mq__QueryResult *page = rig_query(r, &q, &s);
        CHECK_OK(s);
        CHECK(pages < 20000);
        walk_page(page, n, &w);
        more = page->more;
        if (more) {
            CHECK(page->loss_after.len > 0 && page->loss_after.len <= sizeof(after));
            memcpy(after, page->loss_after.data, page->loss_after.len);
            q_loss.after = (ProtobufCBinaryData){page->loss_after.len, after};
        }
        mq__query_result__free_unpacked(page, NULL);
    }
    CHECK_EQ(w.messages, n->lost_n);
    CHECK_EQ(w.bytes, n->lost_bytes);
    CHECK_EQ(w.boxes, n->lost_boxes);
    CHECK_EQ(w.users, n->lost_users);
}

static void random_report(struct rig *r, struct random *random, uint64_t *modseq)
{
    unsigned u = (unsigned)random_below(random, USERS), i = (unsigned)random_below(random, STORES);
    uint8_t b = (uint8_t)(1 + random_below(random, BOXES));
    CHECK_OK(lease_at(r, users[u], names[i], sites[i]));
    uint64_t *own = &modseq[(u * BOXES + b - 1) * STORES + i];
    uint64_t to = *own + 1 + random_below(random, 3);
    bool full = *own == 0 || random_below(random, 4) == 0;
    struct report *p = report_new(r, users[u], names[i], b, full ? 0 : *own, to);
    p->c.uidvalidity = 1 + (uint32_t)(random_below(random, 40) == 0);
    p->c.deleted = random_below(random, 25) == 0;
    for (uint32_t uid = 1; uid <= 60; uid += 1 + (uint32_t)random_below(random, full ? 3 : 30)) {
        if (!full && random_below(random, 3) == 0) {
            report_vanished(p, uid, uid + (uint32_t)random_below(random, 3));
            uid += 3;
        } else {
            report_message(p, uid, (uint32_t)random_below(random, 4), 10 + random_below(random, 5));
        }
    }
    p->c.uidnext = 70;
    bool deleted = p->c.deleted;
    enum status s = report_run(r, p);
    CHECK(s == OK || s == STATUS_RESYNC || s == STATUS_NOT_NEXT || s == STATUS_CONFLICT ||
          s == STATUS_BUSY);
    *own = s == OK ? deleted ? 0 : to : s == STATUS_RESYNC || s == STATUS_NOT_NEXT ? 0 : *own;
}

static void feed_again(const struct rig *r, struct random *random)
{
    struct rig other;
    rig_open(&other, 1);
    for (size_t i = 0; i < r->log_size; i++) {
        struct store_entry e = {i + 1, 1, r->log[i]};
        CHECK_OK(store_apply(other.store, &e, 1, NULL, NULL));
        other.index = i + 1;
        if (random_below(random, 20) == 0) {
            rig_commit(&other);
        }
    }
    rig_commit(&other);
    struct digest x = store_position(r->store).digest, y = store_position(other.store).digest;
    CHECK(x.low == y.low && x.high == y.high);
    rig_close(&other);
}

static void sums_and_losses_equal_a_recount_after_random_reports_of_four_stores(void)
{
    static struct counted n;
    static uint64_t modseq[USERS * BOXES * STORES];
    struct rig r;
    struct random random;
    memset(modseq, 0, sizeof(modseq));
    random_init_seed(&random, check_seed());
    rig_open(&r, 1);
    for (unsigned i = 0; i < USERS; i++) {
        owner_at(&r, users[i], i == 0 ? "" : i == 1 ? "beijing" : "shanghai");
    }
    for (int i = 1; i <= 1500; i++) {
        uint64_t dice = random_below(&random, 60);
        r.time_ms += random_below(&random, 50);
        if (dice == 0) {
            r.time_ms += LEAD_SILENT_MS + 1;
        } else if (dice < 4) {
            CHECK_OK(rig_tick(&r));
        } else if (dice == 4) {
            rig_checkpoint(&r);
        } else if (dice == 5) {
            rig_restart(&r);
        } else {
            random_report(&r, &random, modseq);
        }
        if (i % 50 == 0) {
            for (int ticks = 0; ticks < 3; ticks++) { /* marks of lost mailboxes go */
                CHECK_OK(rig_tick(&r));
            }
            recount(&r, &n);
            check_sums(&r, &n);
            check_loss(&r, &n, 1 + (uint32_t)random_below(&random, 30));
            check_loss(&r, &n, 0);
            rig_check_digest(&r);
        }
    }
    feed_again(&r, &random);
    rig_close(&r);
}

static void what_is_no_place_in_the_report_is_refused(void)
{
    struct rig r;
    enum status s;
    uint8_t after[30] = {9};
    rig_open(&r, 1);
    RIG_QUERY(q, LOSS, loss, Mq__QueryLoss, MQ__QUERY_LOSS__INIT);
    mq__query_result__free_unpacked(rig_query(&r, &q, &s), NULL);
    CHECK_EQ(s, STATUS_INVALID);
    q_loss.site = (char *)(uintptr_t) "beijing";
    owner_at(&r, "ada", "");
    owner_at(&r, "queue/mx1", ""); /* the owner of a host's mail queues is no user */
    Mq__QueryResult *result = rig_query(&r, &q, &s);
    CHECK_OK(s); /* nothing is known: nothing is lost */
    CHECK_EQ(result->loss_unreported, 1);
    mq__query_result__free_unpacked(result, NULL);
    q_loss.after = (ProtobufCBinaryData){sizeof(after), after};
    mq__query_result__free_unpacked(rig_query(&r, &q, &s), NULL);
    CHECK_EQ(s, STATUS_INVALID);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(the_record_follows_the_store_at_home_whoever_reports_first);
    RUN(a_store_inherits_from_a_silent_one_and_home_leads_again_when_it_speaks);
    RUN(a_position_never_says_more_than_either_clock_allows_and_never_falls);
    RUN(a_store_keeps_the_site_it_was_first_reported_from);
    RUN(sums_and_losses_equal_a_recount_after_random_reports_of_four_stores);
    RUN(what_is_no_place_in_the_report_is_refused);
}
