/* Queues and items read in pages: together they are the whole, and an answer that does not go on is an error, not the end. */
#include "ctl/queue_read.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/check.h"

/* A server whose answers are scripted: what ctl_query gives instead of a cluster's. */
static struct page {
    const char *names[4]; /* ids of items, or users of queues */
    const char *after;
    bool more;
} pages[8];
static unsigned pages_n, asked, refused;
static char positions[8][64];
static uint32_t limits[8];
static char seen[256];

static ProtobufCBinaryData copied(const char *text)
{
    size_t n = strlen(text);
    ProtobufCBinaryData d = {n, n > 0 ? malloc(n) : NULL};
    if (n > 0) {
        memcpy(d.data, text, n);
    }
    return d;
}

static char *text_of(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

static void put_item(Mq__QueryResult *r, const char *id)
{
    Mq__QueueRow *row = malloc(sizeof(*row));
    mq__queue_row__init(row);
    row->item = malloc(sizeof(*row->item));
    mq__queue_item__init(row->item);
    row->item->id = text_of(id);
    r->queue_items[r->n_queue_items++] = row;
}

static void put_queue(Mq__QueryResult *r, const char *user)
{
    Mq__Queue *q = malloc(sizeof(*q));
    mq__queue__init(q);
    q->user = text_of(user);
    r->queues[r->n_queues++] = q;
}

enum status ctl_query(struct ctl *c, const char *user, uint32_t shard, Mq__Query *query,
                      struct call_answer *a, Mq__QueryResult **out_result, enum exit_code *out_code)
{
    (void)c, (void)user, (void)shard, (void)a, (void)out_code;
    bool items = query->body_case == MQ__QUERY__BODY_QUEUE_ITEMS;
    const struct page *p = &pages[asked];
    Mq__QueryResult *r = malloc(sizeof(*r));
    CHECK(asked < pages_n);
    mq__query_result__init(r);
    r->queue_items = calloc(4, sizeof(*r->queue_items));
    r->queues = calloc(4, sizeof(*r->queues));
    for (unsigned i = 0; i < 4 && p->names[i] != NULL; i++) {
        (items ? put_item : put_queue)(r, p->names[i]);
    }
    r->more = p->more;
    r->queue_after = copied(p->after != NULL ? p->after : "");
    limits[asked] = items ? query->queue_items->limit : query->queues->limit;
    if (items) {
        snprintf(positions[asked], sizeof(positions[0]), "%.*s", (int)query->queue_items->after.len,
                 query->queue_items->after.len > 0 ? (char *)query->queue_items->after.data : "");
    } else {
        snprintf(positions[asked], sizeof(positions[0]), "%s", query->queues->after_user);
    }
    asked++;
    *out_result = r;
    return OK;
}

enum exit_code ctl_refuse(struct ctl *c, enum status s, const char *format, ...)
{
    (void)c, (void)format;
    CHECK_EQ(s, STATUS_INTERNAL);
    refused++;
    return EXIT_BUG;
}

static void script(unsigned n, const struct page *p)
{
    memset(pages, 0, sizeof(pages));
    memcpy(pages, p, n * sizeof(*p));
    pages_n = n;
    asked = refused = 0;
    seen[0] = '\0';
}

static void take_item(void *arg, const Mq__QueueRow *row)
{
    (void)arg;
    strncat(seen, row->item->id, sizeof(seen) - strlen(seen) - 1);
}

static enum status take_queue(void *arg, const Mq__Queue *q, struct call_answer *a,
                              enum exit_code *out_code)
{
    const char *stop = arg;
    (void)a, (void)out_code;
    strncat(seen, queue_host(q->user), sizeof(seen) - strlen(seen) - 1);
    return stop != NULL && strcmp(stop, q->user) == 0 ? STATUS_CLOSED : OK;
}

static enum status items(uint64_t rows_max)
{
    Mq__QueryQueueItems body = MQ__QUERY_QUEUE_ITEMS__INIT;
    struct call_answer a = {0};
    enum exit_code code = EXIT_HEALTHY;
    enum status s = queue_items_read(NULL, 1, &body, rows_max, &a, take_item, NULL, &code);
    CHECK_EQ(body.after.len, 0);
    CHECK_EQ(code, s == OK ? EXIT_HEALTHY : EXIT_BUG);
    return s;
}

static enum status queues(char *stop)
{
    struct call_answer a = {0};
    enum exit_code code = EXIT_HEALTHY;
    return queues_read(NULL, 1, &a, take_queue, stop, &code);
}

static void pages_of_items_make_up_the_whole(void)
{
    static const struct page three[] = {
        {{"a", "b"}, "pos1", true}, {{NULL}, "pos2", true}, {{"c"}, NULL, false}};
    script(3, three);
    CHECK_OK(items(UINT64_MAX));
    CHECK_STR_EQ(seen, "abc");
    CHECK_STR_EQ(positions[0], "");
    CHECK_STR_EQ(positions[1], "pos1");
    CHECK_STR_EQ(positions[2], "pos2");
}

static void a_limit_ends_the_reading_and_asks_for_no_more_than_is_left(void)
{
    static const struct page two[] = {{{"a", "b"}, "pos1", true}, {{"c"}, "", true}};
    script(2, two);
    CHECK_OK(items(3)); /* what the last answer says of a next page is not looked at */
    CHECK_STR_EQ(seen, "abc");
    CHECK_EQ(limits[0], 3);
    CHECK_EQ(limits[1], 1);
}

static void an_answer_that_does_not_go_on_is_no_end(void)
{
    static char long_one[600];
    memset(long_one, 'x', sizeof(long_one) - 1);
    const struct page empty[] = {{{"a"}, "", true}};
    const struct page too_long[] = {{{"a"}, long_one, true}};
    const struct page again[] = {{{"a"}, "pos1", true}, {{"b"}, "pos1", true}};
    script(1, empty);
    CHECK_EQ(items(UINT64_MAX), STATUS_INTERNAL);
    CHECK_EQ(refused, 1);
    script(1, too_long);
    CHECK_EQ(items(UINT64_MAX), STATUS_INTERNAL);
    script(2, again);
    CHECK_EQ(items(UINT64_MAX), STATUS_INTERNAL);
    CHECK_EQ(asked, 2);
}

static void queues_go_on_after_the_last_host(void)
{
    static const struct page two[] = {{{"queue/a", "queue/b"}, NULL, true},
                                      {{"queue/c"}, NULL, false}};
    static const struct page none[] = {{{NULL}, NULL, true}};
    static const struct page again[] = {{{"queue/a"}, NULL, true}, {{"queue/a"}, NULL, true}};
    char stop[] = "queue/b";
    script(2, two);
    CHECK_OK(queues(NULL));
    CHECK_STR_EQ(seen, "abc");
    CHECK_STR_EQ(positions[1], "queue/b");
    script(2, two);
    CHECK_EQ(queues(stop), STATUS_CLOSED);
    CHECK_STR_EQ(seen, "ab");
    CHECK_EQ(asked, 1);
    script(1, none);
    CHECK_EQ(queues(NULL), STATUS_INTERNAL);
    script(2, again);
    CHECK_EQ(queues(NULL), STATUS_INTERNAL);
}

static void a_host_has_a_user(void)
{
    char user[QUEUE_USER_SIZE], host[300];
    CHECK(queue_user("mx1", user));
    CHECK_STR_EQ(user, "queue/mx1");
    CHECK_STR_EQ(queue_host(user), "mx1");
    memset(host, 'h', sizeof(host));
    host[QUEUE_USER_SIZE - 7] = '\0'; /* 249 and the prefix: 255 */
    CHECK(queue_user(host, user));
    host[QUEUE_USER_SIZE - 7] = 'h';
    host[QUEUE_USER_SIZE - 6] = '\0';
    CHECK(!queue_user(host, user));
}

/* One of these outcomes each, addresses "a", "b", ...; "-": none is shown. */
static void check_shown(bool closed, unsigned n, const int *outcomes, uint32_t omitted,
                        const char *expected, size_t others)
{
    static const char *const addresses[] = {"a", "b", "c", "d"};
    Mq__QueueRow row = MQ__QUEUE_ROW__INIT;
    Mq__QueueItem item = MQ__QUEUE_ITEM__INIT;
    Mq__QueueRecipient recipients[4], *list[4];
    size_t others_told = 99;
    row.item = &item;
    row.closed = closed;
    item.recipients = list;
    item.n_recipients = n;
    item.recipients_omitted = omitted;
    for (unsigned i = 0; i < n; i++) {
        mq__queue_recipient__init(&recipients[i]);
        recipients[i].address = (char *)(uintptr_t)addresses[i];
        recipients[i].outcome = (Mq__QueueRecipient__Outcome)outcomes[i];
        list[i] = &recipients[i];
    }
    const Mq__QueueRecipient *r = queue_recipient_shown(&row, &others_told);
    CHECK_STR_EQ(r != NULL ? r->address : "-", expected);
    CHECK_EQ(others_told, others);
}

#define OUTCOME(name) MQ__QUEUE_RECIPIENT__OUTCOME__##name

static void an_open_item_shows_the_first_recipient_that_waits(void)
{
    static const int partly[] = {OUTCOME(DELIVERED), OUTCOME(OPEN), OUTCOME(UNKNOWN),
                                 OUTCOME(OPEN)};
    static const int ended[] = {OUTCOME(DELIVERED), OUTCOME(BOUNCED)};
    check_shown(false, 4, partly, 0, "b", 1);
    check_shown(false, 4, partly, 6, "b", 7);
    check_shown(false, 2, ended, 0, "a", 1);
    check_shown(false, 2, ended, 6, "-", 6); /* those that are counted only wait */
    check_shown(false, 0, ended, 0, "-", 0);
    check_shown(true, 4, partly, 2, "a", 5);
    check_shown(true, 0, partly, 2, "-", 2);
}

static void what_is_not_known_to_have_ended_may_wait(void)
{
    Mq__QueueRecipient r = MQ__QUEUE_RECIPIENT__INIT;
    CHECK(queue_may_wait(&r));
    r.outcome = OUTCOME(UNKNOWN);
    CHECK(queue_may_wait(&r));
    r.outcome = OUTCOME(DELIVERED);
    CHECK(!queue_may_wait(&r));
    r.outcome = OUTCOME(BOUNCED);
    CHECK(!queue_may_wait(&r));
}

CHECK_MAIN
{
    RUN(pages_of_items_make_up_the_whole);
    RUN(a_limit_ends_the_reading_and_asks_for_no_more_than_is_left);
    RUN(an_answer_that_does_not_go_on_is_no_end);
    RUN(queues_go_on_after_the_last_host);
    RUN(a_host_has_a_user);
    RUN(an_open_item_shows_the_first_recipient_that_waits);
    RUN(what_is_not_known_to_have_ended_may_wait);
}
