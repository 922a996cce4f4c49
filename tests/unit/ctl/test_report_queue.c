/* The queues of a loss report: which are counted, and what is said of those that are not. */
#include <stdlib.h>
#include <string.h>

#include "ctl/queue_read.h"
#include "ctl/report.h"
#include "tests/lib/check.h"

#define NOW_MS    10000000u
#define QUEUES    9u
#define ITEMS_MAX 4u

/* What the cluster answers. */
static Mq__Queue queues[QUEUES];
static unsigned queues_n;
static Mq__QueueRow items[ITEMS_MAX];
static unsigned items_n;

static struct screen screen;
static Mq__FoundingShard shard;
static char shard_name[] = "mail-beijing", instance[] = "postfix";
static struct report r;

/* Freed by who asked: packed and read again, as over the wire. */
static Mq__QueryResult *copy_of(const Mq__QueryResult *from)
{
    size_t n = mq__query_result__get_packed_size(from);
    uint8_t *bytes = malloc(n + 1);
    CHECK(bytes != NULL);
    mq__query_result__pack(from, bytes);
    Mq__QueryResult *copy = mq__query_result__unpack(NULL, n, bytes);
    CHECK(copy != NULL);
    free(bytes);
    return copy;
}

enum status ctl_query(struct ctl *c, const char *user, uint32_t shard_number, Mq__Query *query,
                      struct call_answer *a, Mq__QueryResult **out_result, enum exit_code *out_code)
{
    (void)c, (void)user, (void)shard_number, (void)a, (void)out_code;
    Mq__QueryResult result = MQ__QUERY_RESULT__INIT;
    Mq__Queue *queue_list[QUEUES];
    Mq__QueueRow *item_list[ITEMS_MAX];
    result.queues = queue_list;
    result.queue_items = item_list;
    if (query->body_case == MQ__QUERY__BODY_QUEUES) {
        for (unsigned i = 0; i < queues_n; i++) {
            queue_list[result.n_queues++] = &queues[i];
        }
    } else {
        for (unsigned i = 0; i < items_n; i++) {
            if (strcmp(items[i].user, query->queue_items->user) == 0) {
                item_list[result.n_queue_items++] = &items[i];
            }
        }
    }
    *out_result = copy_of(&result);
    return OK;
}

enum status ctl_admin(struct ctl *c, uint32_t shard_number, Mq__Admin *admin, unsigned flags,
                      struct call_answer *a, Mq__AdminResult **out_result, enum exit_code *out_code)
{
    (void)c, (void)shard_number, (void)admin, (void)flags, (void)a, (void)out_result;
    (void)out_code;
    CHECK(false);
    return STATUS_INTERNAL;
}

enum exit_code ctl_refuse(struct ctl *c, enum status s, const char *format, ...)
{
    (void)c, (void)s, (void)format;
    CHECK(false);
    return EXIT_BUG;
}

bool report_room(struct report *report)
{
    (void)report;
    return true;
}

void report_window(struct report *report, uint64_t window_ms)
{
    report->facts.window_ms =
        window_ms > report->facts.window_ms ? window_ms : report->facts.window_ms;
}

static Mq__Queue *put_queue(const char *user, const char *site, uint64_t open)
{
    Mq__Queue *q = &queues[queues_n++];
    mq__queue__init(q);
    q->user = (char *)(uintptr_t)user;
    q->instance = instance;
    q->site = (char *)(uintptr_t)site;
    q->open = open;
    q->complete_ms = NOW_MS - 5000;
    q->swept_ms = NOW_MS - 4000;
    return q;
}

static Mq__QueueItem item_of[ITEMS_MAX];

static Mq__QueueItem *put_item(const char *user, const char *id)
{
    Mq__QueueRow *row = &items[items_n];
    Mq__QueueItem *item = &item_of[items_n++];
    mq__queue_row__init(row);
    mq__queue_item__init(item);
    row->user = (char *)(uintptr_t)user;
    row->instance = instance;
    row->item = item;
    item->id = (char *)(uintptr_t)id;
    item->size = 100;
    return item;
}

static void begin(void)
{
    queues_n = items_n = 0;
    memset(&r, 0, sizeof(r));
    mq__founding_shard__init(&shard);
    shard.shard = 1;
    shard.name = shard_name;
    screen_init(&screen, "test");
    r.s = &screen;
    r.site = "beijing";
    r.shard = &shard;
    r.now_ms = NOW_MS;
    r.json_queue = json_array();
    r.json_unplaced = json_array();
    r.json_queue_windows = json_array();
}

/* borrowed until end() */
static json_t *report(void)
{
    struct call_answer a = {0};
    enum exit_code code = EXIT_HEALTHY;
    CHECK_OK(report_queues(&r, &a, &code));
    report_queues_show(&r);
    call_answer_clear(&a);
    return json_object_get(screen.data, "queue");
}

static void end(void)
{
    json_decref(r.json_queue);
    json_decref(r.json_unplaced);
    json_decref(r.json_queue_windows);
    screen_deinit(&screen);
}

static const char *text_of(json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "null";
}

/* r.feeds is NULL: all feeds are silent, and the nodes were started again. */
static void a_queue_whose_feed_has_burned_is_counted_by_its_recorded_site(void)
{
    begin();
    put_queue("queue/mx-beijing", "beijing", 2);
    put_queue("queue/mx-shanghai", "shanghai", 1);
    put_item("queue/mx-beijing", "a1");
    put_item("queue/mx-beijing", "a2");
    put_item("queue/mx-shanghai", "b1");
    json_t *j = report();
    CHECK_STR_EQ(text_of(j, "queues"), "1");
    CHECK_STR_EQ(text_of(j, "messages"), "2");
    CHECK_STR_EQ(text_of(j, "size_bytes"), "200");
    CHECK_STR_EQ(text_of(j, "queues_without_site"), "0");
    CHECK_EQ(r.queued, 2);
    end();
}

static void recipients_that_have_it_are_not_lost(void)
{
    Mq__QueueRecipient p = MQ__QUEUE_RECIPIENT__INIT, q = MQ__QUEUE_RECIPIENT__INIT;
    Mq__QueueRecipient *list[] = {&p, &q};
    char has_it[] = "p@far.test", waits[] = "q@far.test";
    p.address = has_it;
    p.outcome = MQ__QUEUE_RECIPIENT__OUTCOME__DELIVERED;
    q.address = waits;
    begin();
    put_queue("queue/mx1", "beijing", 1);
    Mq__QueueItem *i = put_item("queue/mx1", "a1");
    i->recipients = list;
    i->n_recipients = 2;
    json_t *row = json_array_get(json_object_get(report(), "items"), 0);
    json_t *recipients = json_object_get(row, "recipients");
    CHECK_EQ(json_array_size(recipients), 1);
    CHECK_STR_EQ(json_string_value(json_array_get(recipients, 0)), "q@far.test");
    end();
}

static void without_a_site_each_queue_is_named_and_none_is_counted(void)
{
    static char users[6][20];
    begin();
    for (unsigned i = 0; i < 6; i++) {
        snprintf(users[i], sizeof(users[i]), "queue/mx%u", i);
        put_queue(users[i], "", 3);
    }
    json_t *j = report();
    CHECK_STR_EQ(text_of(j, "queues"), "0");
    CHECK_STR_EQ(text_of(j, "messages"), "0");
    CHECK_STR_EQ(text_of(j, "queues_without_site"), "6");
    CHECK_STR_EQ(text_of(j, "messages_without_site"), "18");
    json_t *all = json_object_get(j, "without_site");
    CHECK_EQ(json_array_size(all), 6);
    CHECK_STR_EQ(text_of(json_array_get(all, 5), "host"), "mx5");
    CHECK_STR_EQ(text_of(json_array_get(all, 5), "messages"), "3");
    end();
}

/* Not recorded yet, and its feed speaks. */
static void the_feeds_own_word_counts_where_nothing_is_recorded(void)
{
    Mq__AdminResult result = MQ__ADMIN_RESULT__INIT;
    Mq__StatusView view = MQ__STATUS_VIEW__INIT;
    Mq__FeedView feed = MQ__FEED_VIEW__INIT, *list[] = {&feed};
    Mq__FeedStatus status = MQ__FEED_STATUS__INIT;
    char host[] = "mx1", site[] = "beijing";
    status.host = host;
    status.site = site;
    feed.status = &status;
    view.feeds = list;
    view.n_feeds = 1;
    result.status = &view;
    begin();
    r.feeds = &result;
    put_queue("queue/mx1", "", 1);
    put_queue("queue/mx1", "shanghai", 1); /* what is recorded goes before */
    put_item("queue/mx1", "a1");
    CHECK_STR_EQ(text_of(report(), "queues"), "1");
    end();
}

static void each_queue_of_the_site_has_its_window(void)
{
    begin();
    put_queue("queue/mx1", "beijing", 0);
    put_queue("queue/mx2", "beijing", 0)->complete_ms = 0; /* postqueue hangs from the start */
    put_queue("queue/mx3", "beijing", 0)->complete_ms = NOW_MS + 60000; /* its clock is ahead */
    put_queue("queue/mx4", "shanghai", 0)->complete_ms = 0;
    json_t *windows = json_object_get(report(), "windows");
    CHECK_EQ(json_array_size(windows), 3);
    CHECK_STR_EQ(text_of(json_array_get(windows, 0), "host"), "mx1");
    CHECK(json_real_value(json_object_get(json_array_get(windows, 0), "age_seconds")) == 5.0);
    CHECK(json_is_null(json_object_get(json_array_get(windows, 1), "complete")));
    CHECK(json_is_null(json_object_get(json_array_get(windows, 1), "age_seconds")));
    CHECK(json_real_value(json_object_get(json_array_get(windows, 2), "age_seconds")) == 4.0);
    CHECK_EQ(r.facts.queues_unpositioned, 1);
    CHECK_EQ(r.facts.feeds_unheard, 3); /* their hosts' */
    CHECK_EQ(r.facts.window_ms, 5000);
    end();
}

CHECK_MAIN
{
    RUN(a_queue_whose_feed_has_burned_is_counted_by_its_recorded_site);
    RUN(recipients_that_have_it_are_not_lost);
    RUN(without_a_site_each_queue_is_named_and_none_is_counted);
    RUN(each_queue_of_the_site_has_its_window);
    RUN(the_feeds_own_word_counts_where_nothing_is_recorded);
}
