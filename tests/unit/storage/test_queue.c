/* Mail queues: sweeps and what they may close, bounds, time, filters; and a random Postfix against its model. */
#include "tests/unit/storage/queue_rig.h"

static void an_item_is_shown_as_it_was_reported(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    Mq__QueueItem *i = page_item(p, "4jYk1", 1000, STATE(HOLD), "bo@far.test", "refused");
    i->recipients_omitted = 7;
    i->forced_expire = true;
    page_recipient(p, "carl@far.test");
    CHECK_OK(page_end(&r, p));
    Mq__QueryResult *result = rig_items(&r, "", false);
    CHECK_EQ(result->n_queue_items, 1);
    const Mq__QueueRow *row = result->queue_items[0];
    CHECK_STR_EQ(row->user, QUEUE_HOST);
    CHECK_STR_EQ(row->instance, QUEUE_INSTANCE);
    CHECK_STR_EQ(row->item->id, "4jYk1");
    CHECK_EQ(row->item->arrival, 1000);
    CHECK_EQ(row->item->state, STATE(HOLD));
    CHECK_EQ(row->item->size, 100);
    CHECK_EQ(row->item->recipients_omitted, 7);
    CHECK(row->item->forced_expire);
    CHECK_EQ(row->item->n_recipients, 2);
    CHECK_STR_EQ(row->item->recipients[0]->reply, "refused");
    CHECK_STR_EQ(row->item->recipients[1]->address, "carl@far.test");
    CHECK(!row->closed && row->claim == NULL);
    mq__query_result__free_unpacked(result, NULL);
    result = rig_queues(&r);
    CHECK_EQ(result->n_queues, 1);
    CHECK_EQ(result->queues[0]->open, 1);
    CHECK_EQ(result->queues[0]->bytes, 100);
    CHECK_EQ(result->queues[0]->states[STATE(HOLD)], 1);
    CHECK_EQ(result->queues[0]->complete_ms, 2000000);
    CHECK(!result->queues[0]->sweeping);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_sweep_closes_what_two_complete_ones_running_missed(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "a1", 2000000, 0);
    missing(&r, "a1", 2010000, 2000000);
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    missing(&r, "a1", 2020000, 2010000);
    CHECK_EQ(fate(&r, "a1"), FATE(UNKNOWN));
    /* Listed in between: the count begins anew. */
    listed(&r, "b1", 2030000, 2020000);
    missing(&r, "b1", 2040000, 2030000);
    listed(&r, "b1", 2050000, 2040000);
    missing(&r, "b1", 2060000, 2050000);
    CHECK_EQ(fate(&r, "b1"), OPEN_NOW);
    /* Missed by two that do not follow each other. */
    sweep(&r, 2070000, 2060000);
    missing(&r, "b1", 2080000, 2070000);
    CHECK_EQ(fate(&r, "b1"), OPEN_NOW);
    missing(&r, "b1", 2090000, 2080000);
    CHECK_EQ(fate(&r, "b1"), FATE(UNKNOWN));
    rig_check_digest(&r);
    rig_close(&r);
}

static void a_sweep_that_did_not_end_completely_closes_nothing(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "a1", 2000000, 0);
    struct page *p = page_new(&r, 2010000, 2000000, 0);
    page_missing(p, "a1", 1000);
    p->c.complete = false;
    CHECK_EQ(page_run(&r, p), STATUS_INVALID);
    p = page_new(&r, 2010000, 2000000, 0);
    p->c.last = true;
    CHECK_EQ(page_run(&r, p), STATUS_INVALID);
    /* Its listing was complete, but not all of what is missing was told: the sweep does not count. */
    p = page_new(&r, 2010000, 2000000, 0);
    page_missing(p, "a1", 1000);
    CHECK_OK(page_run(&r, p));
    p = page_new(&r, 2020000, 2000000, 0);
    page_missing(p, "a1", 1000);
    CHECK_OK(page_run(&r, p));
    p = page_new(&r, 2030000, 2000000, 0);
    page_missing(p, "a1", 1000);
    CHECK_OK(page_end(&r, p));
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    rig_close(&r);
}

static void an_item_younger_than_the_sweep_is_not_missing(void)
{
    struct rig r;
    queue_stand(&r);
    listed(&r, "a1", 900000, 0); /* arrival 1000 s */
    missing(&r, "a1", 1000000, 900000);
    missing(&r, "a1", 1000500, 1000000);
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    missing(&r, "a1", 1001000, 1000500);
    missing(&r, "a1", 1002000, 1001000);
    CHECK_EQ(fate(&r, "a1"), FATE(UNKNOWN));
    rig_close(&r);
}

static void check_site(struct rig *r, const char *site, const char *position)
{
    Mq__QueryResult *result = rig_queues(r);
    CHECK_EQ(result->n_queues, 1);
    CHECK_STR_EQ(result->queues[0]->site, site);
    CHECK_STR_EQ(result->queues[0]->position, position);
    mq__query_result__free_unpacked(result, NULL);
}

static void sweep_at(struct rig *r, const char *site, uint64_t sweep_ms, uint64_t after_ms,
                     enum status expected)
{
    struct page *p = page_new(r, sweep_ms, after_ms, 0);
    snprintf(p->site, sizeof(p->site), "%s", site);
    CHECK_EQ(page_end(r, p), expected);
}

/* The loss report asks for it when the host and its feed are gone. */
static void the_site_of_a_queue_is_recorded_and_stays(void)
{
    struct rig r;
    char long_one[SITE_BYTES_MAX + 2];
    memset(long_one, 's', sizeof(long_one) - 1);
    long_one[sizeof(long_one) - 1] = '\0';
    queue_stand(&r);
    sweep(&r, 2000000, 0);
    check_site(&r, "", "");
    sweep_at(&r, "beijing", 2010000, 2000000, OK);
    check_site(&r, "beijing", "");
    CHECK_OK(event_run(&r, "a1", 1500, EVENT(REMOVED), "")); /* of a row read again */
    check_site(&r, "beijing", "file 1 1500");
    sweep(&r, 2020000, 2010000); /* one that does not tell */
    check_site(&r, "beijing", "file 1 1500");
    sweep_at(&r, "a\nb", 2030000, 2020000, STATUS_INVALID);
    sweep_at(&r, long_one, 2030000, 2020000, STATUS_INVALID);
    sweep_at(&r, long_one + 1, 2030000, 2020000, OK); /* the host was moved */
    check_site(&r, long_one + 1, "file 1 1500");
    rig_check_digest(&r);
    rig_close(&r);
}

static void pages_follow_each_other_and_a_retry_is_answered_like_the_first(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 1);
    CHECK_EQ(page_run(&r, p), STATUS_NOT_NEXT);
    p = page_new(&r, 2000000, 5, 0);
    CHECK_EQ(page_run(&r, p), STATUS_RESYNC);
    CHECK_EQ(r.result->queue->complete_ms, 0);
    p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(ACTIVE), "bo@far.test", "");
    CHECK_OK(page_run(&r, p));
    CHECK(r.result->queue->sweeping);
    CHECK_EQ(r.result->queue->next_page, 1);
    p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(ACTIVE), "bo@far.test", "");
    CHECK_OK(page_run(&r, p)); /* again */
    CHECK_EQ(r.result->queue->next_page, 1);
    CHECK_EQ(page_run(&r, page_new(&r, 2000000, 0, 2)), STATUS_NOT_NEXT);
    CHECK_EQ(page_run(&r, page_new(&r, 1990000, 0, 0)), STATUS_NOT_NEXT);
    CHECK_OK(page_end(&r, page_new(&r, 2000000, 0, 1)));
    CHECK_OK(page_end(&r, page_new(&r, 2000000, 0, 1)));
    CHECK(!r.result->queue->sweeping);
    CHECK_EQ(r.result->queue->complete_ms, 2000000);
    CHECK_EQ(page_run(&r, page_new(&r, 2000000, 0, 2)), STATUS_NOT_NEXT);
    CHECK_EQ(page_run(&r, page_new(&r, 2010000, 0, 0)), STATUS_RESYNC);
    CHECK_EQ(fate(&r, "a1"), OPEN_NOW);
    rig_close(&r);
}

static void only_the_holder_of_the_lease_reports(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    p->token.position++;
    CHECK_EQ(page_run(&r, p), STATUS_STALE_TOKEN);
    p = page_new(&r, 2000000, 0, 0);
    snprintf(p->user, sizeof(p->user), "ada");
    CHECK_EQ(page_run(&r, p), STATUS_INVALID);
    p = page_new(&r, 2000000, 0, 0);
    snprintf(p->user, sizeof(p->user), "queue/mx2");
    CHECK_EQ(page_run(&r, p), STATUS_MOVED);
    r.time_ms += 600000;
    CHECK_EQ(event_run(&r, "a1", 1500, EVENT(REMOVED), ""), STATUS_STALE_TOKEN);
    rig_close(&r);
}

static void closed_items_have_a_stated_number_and_age(void)
{
    struct rig r;
    struct store_due due;
    char id[32];
    queue_stand(&r);
    uint64_t sweep_ms = 2000000, after_ms = 0;
    for (unsigned i = 0; i < QUEUE_CLOSED_MAX + 300; i += 300) {
        struct page *p = page_new(&r, sweep_ms, after_ms, 0);
        for (unsigned k = 0; k < 300; k++) {
            snprintf(id, sizeof(id), "m%06u", i + k);
            page_item(p, id, 1000, STATE(ACTIVE), "b@f.t", "");
        }
        CHECK_OK(page_end(&r, p));
        for (unsigned k = 0; k < 300; k++) {
            snprintf(id, sizeof(id), "m%06u", i + k);
            CHECK_OK(event_run(&r, id, 1500, EVENT(DELETED), ""));
        }
        after_ms = sweep_ms++;
        CHECK_OK(rig_lease(&r, QUEUE_HOST, QUEUE_INSTANCE, "feed", 600000));
        rig_commit(&r);
    }
    CHECK_EQ(fate(&r, "m000000"), ABSENT);
    Mq__QueryResult *result = rig_queues(&r);
    CHECK_EQ(result->queues[0]->closed, QUEUE_CLOSED_MAX);
    mq__query_result__free_unpacked(result, NULL);
    r.time_ms += QUEUE_CLOSED_TTL_MS;
    unsigned ticks = 0;
    do {
        CHECK_OK(rig_tick(&r));
        CHECK_OK(store_commit(r.store, &due));
        ticks++;
    } while (due.due_ms != 0 && due.due_ms <= due.time_ms && ticks < 100);
    CHECK(ticks > 1 && ticks < 100); /* no tick touches more rows than any command */
    result = rig_queues(&r);
    CHECK_EQ(result->queues[0]->closed, 0);
    mq__query_result__free_unpacked(result, NULL);
    rig_check_digest(&r);
    rig_close(&r);
}

static Mq__QueryResult *filtered(struct rig *r, Mq__QueueItem__State state, const char *recipient,
                                 struct bytes after, uint32_t limit)
{
    enum status s;
    char user[] = QUEUE_HOST, text[64];
    uint8_t copy[KEY_BYTES_MAX];
    snprintf(text, sizeof(text), "%s", recipient);
    RIG_QUERY(q, QUEUE_ITEMS, queue_items, Mq__QueryQueueItems, MQ__QUERY_QUEUE_ITEMS__INIT);
    q_queue_items.user = user;
    q_queue_items.state = state;
    q_queue_items.recipient = text;
    q_queue_items.limit = limit;
    if (after.size > 0) {
        memcpy(copy, after.data, after.size);
        q_queue_items.after = (ProtobufCBinaryData){after.size, copy};
    }
    Mq__QueryResult *result = rig_query(r, &q, &s);
    CHECK_OK(s);
    return result;
}

static void items_are_listed_by_state_and_recipient_in_pages(void)
{
    struct rig r;
    char id[32];
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    for (unsigned i = 0; i < 30; i++) {
        snprintf(id, sizeof(id), "q%02u", i);
        page_item(p, id, 1000, i % 3 == 0 ? STATE(HOLD) : STATE(DEFERRED),
                  i % 2 == 0 ? "bo@far.test" : "carl@near.test", "");
    }
    CHECK_OK(page_end(&r, p));
    Mq__QueryResult *result = filtered(&r, STATE(HOLD), "", (struct bytes){NULL, 0}, 0);
    CHECK_EQ(result->n_queue_items, 10);
    mq__query_result__free_unpacked(result, NULL);
    result = filtered(&r, STATE(NONE), "@near.test", (struct bytes){NULL, 0}, 0);
    CHECK_EQ(result->n_queue_items, 15);
    mq__query_result__free_unpacked(result, NULL);
    result = filtered(&r, STATE(HOLD), "bo@far.test", (struct bytes){NULL, 0}, 0);
    CHECK_EQ(result->n_queue_items, 5);
    mq__query_result__free_unpacked(result, NULL);
    result = filtered(&r, STATE(NONE), "ar.test", (struct bytes){NULL, 0}, 0);
    CHECK_EQ(result->n_queue_items, 0); /* an address is whole */
    mq__query_result__free_unpacked(result, NULL);
    unsigned found = 0, pages = 0;
    uint8_t after[KEY_BYTES_MAX];
    size_t after_n = 0;
    bool more = true;
    for (; more && pages < 20; pages++) {
        result = filtered(&r, STATE(NONE), "", (struct bytes){after, after_n}, 7);
        found += (unsigned)result->n_queue_items;
        more = result->more;
        after_n = result->queue_after.len;
        if (after_n > 0) {
            memcpy(after, result->queue_after.data, after_n);
        }
        mq__query_result__free_unpacked(result, NULL);
    }
    CHECK_EQ(found, 30);
    CHECK_EQ(pages, 5);
    rig_close(&r);
}

/* ---- pages of queues ---- */

#define HOSTS          200u
#define HOST_QUEUES    16u /* as many as a feed has */
#define BIG_HOST       80u
#define BIG_HOST_COUNT 40u /* over the years: nobody had one forgotten */

struct listing {
    unsigned n;
    unsigned of_host[HOSTS]; /* queues */
    struct {
        char user[32], instance[32];
    } queues[HOSTS * HOST_QUEUES + BIG_HOST_COUNT];
};

static void report_empty_queue(struct rig *r, const char *user, const char *instance)
{
    CHECK_OK(rig_lease(r, user, instance, "feed", 600000));
    struct page *p = page_new(r, 2000000, 0, 0);
    snprintf(p->user, sizeof(p->user), "%s", user);
    snprintf(p->instance, sizeof(p->instance), "%s", instance);
    CHECK_OK(page_end(r, p));
}

/* Hosts with 0 to 16 instances, reported in a random order of hosts; out: in the order of names. */
static void make_hosts(struct rig *r, struct listing *out)
{
    struct random random;
    char user[32], instance[32];
    random_init_seed(&random, check_seed());
    CHECK_OK(rig_owner(r, "queue/all"));
    for (unsigned i = 0; i < BIG_HOST_COUNT; i++) { /* numbers of instances, in this order */
        snprintf(instance, sizeof(instance), "postfix-%02u", i);
        CHECK_OK(rig_lease(r, "queue/all", instance, "feed", 600000));
    }
    unsigned first = (unsigned)random_below(&random, HOSTS);
    for (unsigned i = 0; i < HOSTS; i++) {
        unsigned host = (first + i * 7) % HOSTS;
        out->of_host[host] = host == BIG_HOST ? BIG_HOST_COUNT
                             : host % 10 == 3 ? 0
                                              : (unsigned)random_below(&random, HOST_QUEUES) + 1;
        snprintf(user, sizeof(user), "queue/mx%03u", host);
        CHECK_OK(rig_owner(r, user));
        for (unsigned k = 0; k < out->of_host[host]; k++) {
            snprintf(instance, sizeof(instance), "postfix-%02u", k);
            report_empty_queue(r, user, instance);
        }
    }
    for (unsigned host = 0; host < HOSTS; host++) {
        for (unsigned k = 0; k < out->of_host[host]; k++, out->n++) {
            snprintf(out->queues[out->n].user, sizeof(user), "queue/mx%03u", host);
            snprintf(out->queues[out->n].instance, sizeof(instance), "postfix-%02u", k);
        }
    }
}

/* All pages, put together, are the whole, whatever their size; out: how many pages. */
static unsigned walk_pages(struct rig *r, const struct listing *whole, uint32_t limit)
{
    char nobody[] = "", after[64] = "";
    unsigned n = 0, pages = 0;
    bool more = true;
    while (more) {
        Mq__QueryResult *page = rig_queues_page(r, nobody, after, limit);
        bool one = page->n_queues > 0;
        for (size_t i = 0; i < page->n_queues; i++, n++) {
            CHECK(n < whole->n);
            CHECK_STR_EQ(page->queues[i]->user, whole->queues[n].user);
            CHECK_STR_EQ(page->queues[i]->instance, whole->queues[n].instance);
            one = one && strcmp(page->queues[i]->user, page->queues[0]->user) == 0;
        }
        CHECK(page->n_queues <= (limit == 0 ? QUERY_ROWS_MAX : limit) || one);
        more = page->more;
        CHECK(!more || page->n_queues > 0); /* it goes on, and ends */
        if (page->n_queues > 0) {
            snprintf(after, sizeof(after), "%s", page->queues[page->n_queues - 1]->user);
        }
        mq__query_result__free_unpacked(page, NULL);
        pages++;
    }
    CHECK_EQ(n, whole->n);
    return pages;
}

static void pages_of_queues_end_at_whole_hosts_and_make_up_the_whole(void)
{
    static struct listing whole;
    static const uint32_t limits[] = {2, 7, 16, 17, 40, 41, 100, 500};
    struct rig r;
    char big[] = "queue/mx080", empty[] = "queue/mx003", nobody[] = "";
    memset(&whole, 0, sizeof(whole));
    rig_open(&r, 1);
    CHECK_OK(rig_owner(&r, "queue/")); /* a user of that name hides no host behind him */
    make_hosts(&r, &whole);
    CHECK(whole.n > QUERY_ROWS_MAX);
    CHECK_EQ(walk_pages(&r, &whole, 0), 2); /* as the loss report asks */
    CHECK_EQ(walk_pages(&r, &whole, 1), HOSTS - HOSTS / 10);
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        walk_pages(&r, &whole, limits[i]);
    }
    /* One host by its name has no second page. */
    Mq__QueryResult *result = rig_queues_page(&r, big, nobody, 7);
    CHECK_EQ(result->n_queues, BIG_HOST_COUNT);
    CHECK(!result->more);
    mq__query_result__free_unpacked(result, NULL);
    result = rig_queues_page(&r, empty, nobody, 7);
    CHECK_EQ(result->n_queues, 0);
    CHECK(!result->more);
    mq__query_result__free_unpacked(result, NULL);
    rig_close(&r);
}

static void malformed_items_and_events_are_refused_without_a_trace(void)
{
    struct rig r;
    queue_stand(&r);
    struct page *p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a/b", 1000, STATE(HOLD), "bo@far.test", "");
    CHECK_EQ(page_end(&r, p), STATUS_INVALID);
    p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(NONE), "bo@far.test", "");
    CHECK_EQ(page_end(&r, p), STATUS_INVALID);
    p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(HOLD), "", "");
    CHECK_EQ(page_end(&r, p), STATUS_INVALID);
    p = page_new(&r, 2000000, 0, 0);
    page_item(p, "a1", 1000, STATE(HOLD), "bo@far.test", "a\nb");
    CHECK_EQ(page_end(&r, p), STATUS_INVALID);
    p = page_new(&r, 2000000, 0, 0);
    for (unsigned i = 0; i <= 300; i++) {
        page_item(p, "a1", 1000, STATE(HOLD), "b@f.t", "");
    }
    CHECK_EQ(page_end(&r, p), STATUS_TOO_BIG);
    p = page_new(&r, 0, 0, 0);
    CHECK_EQ(page_end(&r, p), STATUS_INVALID);
    CHECK_EQ(event_run(&r, "", 1500, EVENT(REMOVED), ""), STATUS_INVALID);
    CHECK_EQ(event_run(&r, "a1", 1500, EVENT(NONE), ""), STATUS_INVALID);
    CHECK_EQ(event_run(&r, "a1", 1500, EVENT(SENT), ""), STATUS_INVALID);
    CHECK_EQ(event_full(&r, "a1", 1500, EVENT(REQUEUED), "", "", "a b"), STATUS_INVALID);
    CHECK_EQ(fate(&r, "a1"), ABSENT);
    rig_check_digest(&r);
    rig_close(&r);
}

/* ---- a random Postfix ---- */

#define MODEL_ITEMS 60u

struct model {
    bool there; /* in the queue */
    bool known; /* a sweep has listed it */
    unsigned missed;
    uint64_t arrival;
    int fate; /* when it is gone: what the log said; OPEN_NOW: the log has not said anything */
    bool logged;
};

/* Ends one in a random way; the log may lose its lines. */
static void model_end(struct rig *r, struct random *random, struct model *m, const char *id,
                      uint64_t at)
{
    static const int fates[] = {FATE(DELIVERED), FATE(BOUNCED), FATE(EXPIRED), FATE(DELETED)};
    m->there = false;
    m->fate = fates[random_below(random, 4)];
    m->logged = random_below(random, 4) != 0;
    if (!m->logged) {
        return;
    }
    if (m->fate == FATE(DELIVERED)) {
        CHECK_OK(event_run(r, id, at, EVENT(SENT), "bo@far.test"));
    } else if (m->fate == FATE(BOUNCED)) {
        CHECK_OK(event_run(r, id, at, EVENT(BOUNCED), "bo@far.test"));
    } else if (m->fate == FATE(EXPIRED)) {
        CHECK_OK(event_run(r, id, at, EVENT(EXPIRED), ""));
    }
    CHECK_OK(event_run(r, id, at, m->fate == FATE(DELETED) ? EVENT(DELETED) : EVENT(REMOVED), ""));
}

/* One sweep; truncated: it lists a part and ends there. */
static bool model_sweep(struct rig *r, struct random *random, struct model *models,
                        uint64_t sweep_ms, uint64_t after_ms)
{
    char id[16];
    bool truncated = random_below(random, 3) == 0;
    struct page *p = page_new(r, sweep_ms, after_ms, 0);
    for (unsigned i = 0; i < MODEL_ITEMS; i++) {
        struct model *m = &models[i];
        bool overlooked = m->missed == 0 && random_below(random, 10) == 0; /* it was being moved */
        snprintf(id, sizeof(id), "id%02u", i);
        if (truncated && random_below(random, 2) == 0) {
            continue;
        }
        if (m->there && !overlooked) {
            page_item(p, id, m->arrival, STATE(DEFERRED), "bo@far.test", "");
            m->known = true;
            m->missed = 0;
        } else if (!truncated && m->known) {
            page_missing(p, id, m->arrival);
            m->missed++;
        }
    }
    if (truncated) {
        CHECK_OK(page_run(r, p));
        return false;
    }
    CHECK_OK(page_end(r, p));
    return true;
}

static void a_random_postfix_ends_as_its_log_says_and_none_is_closed_that_lives(void)
{
    static struct model models[MODEL_ITEMS];
    struct rig r;
    struct random random;
    char id[16];
    random_init_seed(&random, check_seed());
    memset(models, 0, sizeof(models));
    queue_stand(&r);
    uint64_t sweep_ms = 2000000, after_ms = 0;
    for (unsigned round = 0; round < 200; round++) {
        sweep_ms += 10000;
        for (unsigned i = 0; i < MODEL_ITEMS; i++) {
            snprintf(id, sizeof(id), "id%02u", i);
            if (!models[i].there && models[i].arrival == 0 && random_below(&random, 40) == 0) {
                models[i] = (struct model){.there = true, .arrival = sweep_ms / 1000 - 5};
            } else if (models[i].there && random_below(&random, 30) == 0) {
                model_end(&r, &random, &models[i], id, sweep_ms / 1000 - 4);
            }
        }
        if (model_sweep(&r, &random, models, sweep_ms, after_ms)) {
            after_ms = sweep_ms;
        }
        for (unsigned i = 0; i < MODEL_ITEMS; i++) {
            snprintf(id, sizeof(id), "id%02u", i);
            if (models[i].there && models[i].known) {
                CHECK_EQ(fate(&r, id), OPEN_NOW);
            }
        }
        rig_commit(&r);
    }
    for (unsigned i = 0; i < 3;
         i++) { /* three quiet sweeps: what vanished without a word is closed */
        sweep_ms += 10000;
        struct page *p = page_new(&r, sweep_ms, after_ms, 0);
        for (unsigned k = 0; k < MODEL_ITEMS; k++) {
            snprintf(id, sizeof(id), "id%02u", k);
            if (models[k].known && !models[k].there) {
                page_missing(p, id, models[k].arrival);
            }
        }
        CHECK_OK(page_end(&r, p));
        after_ms = sweep_ms;
    }
    for (unsigned i = 0; i < MODEL_ITEMS; i++) {
        snprintf(id, sizeof(id), "id%02u", i);
        int expected = models[i].there    ? OPEN_NOW
                       : models[i].logged ? models[i].fate
                                          : FATE(UNKNOWN);
        if (models[i].known) {
            CHECK_EQ(fate(&r, id), expected);
        }
    }
    rig_check_digest(&r);
    rig_close(&r);
}

CHECK_MAIN
{
    RUN(an_item_is_shown_as_it_was_reported);
    RUN(a_sweep_closes_what_two_complete_ones_running_missed);
    RUN(a_sweep_that_did_not_end_completely_closes_nothing);
    RUN(an_item_younger_than_the_sweep_is_not_missing);
    RUN(the_site_of_a_queue_is_recorded_and_stays);
    RUN(pages_follow_each_other_and_a_retry_is_answered_like_the_first);
    RUN(only_the_holder_of_the_lease_reports);
    RUN(closed_items_have_a_stated_number_and_age);
    RUN(items_are_listed_by_state_and_recipient_in_pages);
    RUN(pages_of_queues_end_at_whole_hosts_and_make_up_the_whole);
    RUN(malformed_items_and_events_are_refused_without_a_trace);
    RUN(a_random_postfix_ends_as_its_log_says_and_none_is_closed_that_lives);
}
