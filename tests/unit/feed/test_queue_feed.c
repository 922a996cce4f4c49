/* One queue as its feed follows it, with its programs and the cluster played: what sweeps list and what the log says become events in
 * the right order. The log is a real file. */
#include "node/feed/queue_feed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/command.pb-c.h"
#include "tests/lib/check.h"

#define TURNS_MAX 60000 /* a millisecond or so each */
#define AT        "2026-11-24T13:42:59Z"
#define AT_S      1795527779u

static uv_loop_t loop;
static struct feed_config config;
static struct uplink uplink;
static struct troubles troubles;
static struct queue_feed feed;
static char log_path[] = "/tmp/mq-test-queue-feed-XXXXXX";
static char listing[16384]; /* what postqueue says */
static char events[4096];   /* what the cluster was told: "ID=KIND " */
static char missing[4096];  /* "ID " */
static char
    held[64]; /* the id of the one open item that the cluster has when it is asked; empty: none */
static bool log_goes_on;  /* each outcome that is answered finds another line */
static unsigned refusals; /* of outcomes, from now on */
static bool stopped;

/* ---- programs: node/feed/child.h, played ---- */

static struct child *started;
static bool hangs; /* postqueue says nothing and does not end */
static char *output;

enum status child_start(struct child *c, uv_loop_t *l, const char *const argv[], int inherit_fd,
                        uint64_t deadline_ms)
{
    char settings[200];
    (void)l, (void)inherit_fd, (void)deadline_ms;
    CHECK(started == NULL);
    snprintf(settings, sizeof(settings), "postfix\n%s\n\n", log_path);
    output = strdup(strcmp(argv[0], config.postconf) == 0 ? settings : listing);
    CHECK(output != NULL);
    c->active = true;
    c->exit_status = 0;
    started = c;
    return OK;
}

enum status child_write(struct child *c, const void *data, size_t size)
{
    (void)c, (void)data, (void)size;
    return STATUS_FULL;
}

void child_pause(struct child *c)
{
    (void)c;
    CHECK(false); /* no listing here is longer than a page */
}

void child_resume(struct child *c)
{
    (void)c;
}

void child_touch(struct child *c)
{
    (void)c;
}

void child_kill(struct child *c)
{
    c->killed = true;
}

static void child_turn(void)
{
    struct child *c = started;
    char *text = output;
    if (c == NULL) {
        return;
    }
    if (hangs) {
        c->silent(c);
        return;
    }
    started = NULL;
    c->output(c, (const uint8_t *)text, strlen(text));
    free(text);
    c->active = false;
    c->ended(c);
}

/* ---- the cluster: node/feed/uplink.h, played; it takes everything ---- */

static struct client_request *asked;
static Mq__Command__BodyCase command;

static void hear_missing(const Mq__QueueReport *r)
{
    for (size_t i = 0; i < r->n_missing; i++) {
        size_t n = strlen(missing);
        CHECK(n + 40 < sizeof(missing));
        snprintf(missing + n, sizeof(missing) - n, "%s ", r->missing[i]->id);
    }
}

static void hear(const Mq__Command *c)
{
    command = c->body_case;
    if (c->body_case == MQ__COMMAND__BODY_QUEUE_REPORT) {
        hear_missing(c->queue_report);
    }
    if (c->body_case != MQ__COMMAND__BODY_QUEUE_OUTCOME || refusals > 0) {
        return;
    }
    for (size_t i = 0; i < c->queue_outcome->n_events; i++) {
        const Mq__QueueEvent *e = c->queue_outcome->events[i];
        size_t n = strlen(events);
        CHECK(n + 60 < sizeof(events));
        CHECK_EQ(e->at, AT_S);
        if (e->kind == MQ__QUEUE_EVENT__KIND__SENT) {
            continue; /* many, and of no item's end */
        }
        snprintf(events + n, sizeof(events) - n, "%s=%s ", e->id,
                 e->kind == MQ__QUEUE_EVENT__KIND__EXPIRED   ? "expired"
                 : e->kind == MQ__QUEUE_EVENT__KIND__REMOVED ? "removed"
                 : e->kind == MQ__QUEUE_EVENT__KIND__DELETED ? "deleted"
                                                             : "other");
    }
}

enum status uplink_submit(struct uplink *u, struct client_request *r)
{
    (void)u;
    CHECK(asked == NULL);
    command = MQ__COMMAND__BODY__NOT_SET;
    if (r->header.op == MQ__OP__OP_SUBMIT) {
        Mq__Command *c = mq__command__unpack(NULL, r->payload.size, r->payload.data);
        CHECK(c != NULL);
        hear(c);
        mq__command__free_unpacked(c, NULL);
    }
    asked = r;
    return OK;
}

void uplink_heard(struct uplink *u, bool answered)
{
    (void)u, (void)answered;
}

static struct bytes pack_held(uint8_t bytes[200])
{
    Mq__QueryResult result = MQ__QUERY_RESULT__INIT;
    Mq__QueueRow row = MQ__QUEUE_ROW__INIT, *rows = &row;
    Mq__QueueItem item = MQ__QUEUE_ITEM__INIT;
    item.id = held;
    item.arrival = 1795000000;
    item.state = MQ__QUEUE_ITEM__STATE__ACTIVE;
    row.item = &item;
    result.n_queue_items = held[0] != '\0' ? 1 : 0;
    result.queue_items = &rows;
    return (struct bytes){bytes, mq__query_result__pack(&result, bytes)};
}

static void answer(struct client_request *r, enum status status, struct bytes result)
{
    r->outcome = status == OK ? MQ__OUTCOME__OUTCOME_APPLIED : MQ__OUTCOME__OUTCOME_REFUSED;
    r->status = status;
    r->result = result;
    r->done(r);
}

static void append_line(const char *program, const char *id, const char *text)
{
    FILE *f = fopen(log_path, "a");
    CHECK(f != NULL);
    fprintf(f, AT " mx postfix/%s[7]: %s: %s\n", program, id, text);
    CHECK_EQ(fclose(f), 0);
}

static void append_sent(void)
{
    append_line("smtp", "3F2A",
                "to=<r@far.test>, relay=x, delay=1, dsn=2.0.0, status=sent (250 ok)");
}

static void cluster_turn(void)
{
    struct client_request *r = asked;
    uint8_t bytes[200];
    Mq__Result result = MQ__RESULT__INIT;
    Mq__ResultLease lease = MQ__RESULT_LEASE__INIT;
    Mq__Token token = MQ__TOKEN__INIT;
    if (r == NULL) {
        return;
    }
    asked = NULL;
    if (command == MQ__COMMAND__BODY__NOT_SET) {
        answer(r, OK, pack_held(bytes));
        return;
    }
    if (command == MQ__COMMAND__BODY_QUEUE_OUTCOME && refusals > 0) {
        refusals--;
        answer(r, STATUS_INVALID, (struct bytes){0});
        return;
    }
    if (command == MQ__COMMAND__BODY_QUEUE_OUTCOME && log_goes_on) {
        append_sent();
    }
    token.epoch = token.position = 1;
    lease.token = &token;
    if (command == MQ__COMMAND__BODY_LEASE_ACQUIRE || command == MQ__COMMAND__BODY_LEASE_RENEW) {
        result.body_case = MQ__RESULT__BODY_LEASE;
        result.lease = &lease;
    }
    answer(r, OK, (struct bytes){bytes, mq__result__pack(&result, bytes)});
}

/* ---- the world ---- */

static void turn(void)
{
    uv_run(&loop, UV_RUN_ONCE);
    child_turn();
    cluster_turn();
}

static void settle(void)
{
    for (int i = 0; i < TURNS_MAX && !(queue_feed_finished(&feed) && feed.pieces_events == 0);
         i++) {
        turn();
    }
    CHECK(queue_feed_finished(&feed));
}

static bool name_taken(void *arg, const struct queue_feed *q)
{
    (void)arg, (void)q;
    return false;
}

static void on_stopped(struct queue_feed *q)
{
    (void)q;
    stopped = true;
}

static void begin(void)
{
    static struct queue_world world = {.loop = &loop,
                                       .config = &config,
                                       .uplink = &uplink,
                                       .troubles = &troubles,
                                       .holder = "h",
                                       .name_taken = name_taken};
    int fd = mkstemp(log_path);
    CHECK(fd >= 0);
    close(fd);
    snprintf(config.host, sizeof(config.host), "mx1");
    snprintf(config.postconf, sizeof(config.postconf), "/postconf");
    snprintf(config.postqueue, sizeof(config.postqueue), "/postqueue");
    config.queue_interval_ms = config.lease_ttl_ms = config.report_deadline_ms = 3600000;
    uplink.ready = true;
    listing[0] = events[0] = missing[0] = held[0] = '\0';
    refusals = 0;
    log_goes_on = false;
    stopped = false;
    CHECK_EQ(uv_loop_init(&loop), 0);
    memset(&feed, 0, sizeof(feed));
    feed.stopped = on_stopped;
    CHECK_OK(queue_feed_start(&feed, &world, "/etc/postfix"));
    uv_timer_set_repeat(&feed.timer, 1);
    settle();
}

static void end(void)
{
    queue_feed_stop(&feed);
    for (int i = 0; i < TURNS_MAX && !stopped; i++) {
        turn();
    }
    CHECK(stopped);
    queue_feed_deinit(&feed);
    CHECK_EQ(uv_loop_close(&loop), 0);
    unlink(log_path);
    memcpy(log_path + sizeof(log_path) - 7, "XXXXXX", 6);
}

/* Postfix writes a line, and the feed reads it. */
static void log_line(const char *program, const char *id, const char *text)
{
    uint64_t lines = feed.log.lines;
    append_line(program, id, text);
    for (int i = 0; i < TURNS_MAX && feed.log.lines == lines; i++) {
        turn();
    }
    CHECK_EQ(feed.log.lines, lines + 1);
    settle();
}

static void qmgr_expires(const char *id)
{
    log_line("qmgr", id, "from=<s@src.test>, status=expired, returned to sender");
}

static void qmgr_removes(const char *id)
{
    log_line("qmgr", id, "removed");
}

static void list(const char *id)
{
    size_t n = strlen(listing);
    CHECK(n + 400 < sizeof(listing));
    snprintf(listing + n, sizeof(listing) - n,
             "{\"queue_name\": \"active\", \"queue_id\": \"%s\", \"arrival_time\": 1795000000, "
             "\"message_size\": 300, \"forced_expire\": false, \"sender\": \"s@src.test\", "
             "\"recipients\": [{\"address\": \"r@far.test\", \"delay_reason\": \"no route\"}]}\n",
             id);
}

/* The next sweep begins now, and lists what was listed. */
static void sweep(void)
{
    uint64_t sweeps = feed.counters.sweeps;
    feed.next_ms = 0;
    for (int i = 0; i < TURNS_MAX && feed.counters.sweeps == sweeps; i++) {
        turn();
    }
    settle();
    CHECK_EQ(feed.counters.sweeps, sweeps + 1);
    CHECK_EQ(feed.counters.incomplete, 0);
    listing[0] = '\0';
}

/* ---- how an item ended ---- */

static void an_item_that_is_listed_before_it_expires_is_told_line_by_line(void)
{
    begin();
    list("3F2A");
    sweep();
    qmgr_expires("3F2A");
    CHECK_STR_EQ(events, "3F2A=expired ");
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=expired 3F2A=removed ");
    end();
}

static void an_item_that_is_first_listed_between_expired_and_removed_has_expired(void)
{
    begin();
    qmgr_expires("3F2A");
    CHECK_STR_EQ(events, ""); /* the cluster does not know it */
    list("3F2A");
    list("3F2B");
    sweep();
    qmgr_removes("3F2B");
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2B=removed 3F2A=expired 3F2A=removed ");
    end();
}

/* A bounce that could not be sent: qmgr tries again. */
static void an_item_that_expires_again_has_expired_once_more_and_no_more(void)
{
    begin();
    qmgr_expires("3F2A");
    qmgr_expires("3F2A");
    list("3F2A");
    sweep();
    qmgr_expires("3F2A");
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=expired 3F2A=removed ");
    end();
}

static void an_item_that_was_never_listed_is_not_told(void)
{
    begin();
    qmgr_expires("3F2A");
    qmgr_removes("3F2A");
    sweep();
    CHECK_STR_EQ(events, "");
    list("3F2A"); /* another one: Postfix uses short ids again */
    sweep();
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=removed ");
    end();
}

static void what_expired_and_was_deleted_is_told_as_deleted(void)
{
    begin();
    qmgr_expires("3F2A");
    list("3F2A");
    sweep();
    log_line("postsuper", "3F2A", "removed");
    CHECK_STR_EQ(events, "3F2A=deleted ");
    list("3F2A");
    sweep();
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=deleted 3F2A=removed "); /* the line was of the one before */
    end();
}

static void of_more_than_are_kept_the_oldest_is_forgotten(void)
{
    char id[16], expected[sizeof(events)] = "A00=removed ";
    begin();
    for (unsigned i = 0; i <= QUEUE_EXPIRED_KEPT; i++) {
        snprintf(id, sizeof(id), "A%02X", i);
        qmgr_expires(id);
        list(id);
    }
    sweep();
    for (unsigned i = 0; i <= QUEUE_EXPIRED_KEPT; i++) {
        snprintf(id, sizeof(id), "A%02X", i);
        qmgr_removes(id);
        size_t n = strlen(expected);
        if (i > 0) {
            snprintf(expected + n, sizeof(expected) - n, "%s=expired %s=removed ", id, id);
        }
    }
    CHECK_STR_EQ(events, expected);
    end();
}

/* ---- when ---- */

static void begin_a_drain(void)
{
    log_goes_on = true;
    append_sent();
    for (int i = 0; i < TURNS_MAX && asked == NULL; i++) {
        uv_run(&loop, UV_RUN_ONCE);
    }
    feed.next_ms = uv_now(&loop);
}

static void a_log_that_always_has_more_does_not_keep_sweeps_waiting(void)
{
    begin();
    list("3F2A");
    sweep();
    config.queue_interval_ms = 50;
    list("3F2A");
    uint64_t sweeps = feed.counters.sweeps;
    begin_a_drain();
    for (int i = 0; i < TURNS_MAX / 20 && feed.counters.sweeps < sweeps + 3; i++) {
        turn();
    }
    CHECK_EQ(feed.counters.sweeps, sweeps + 3);
    CHECK(feed.counters.events > 20); /* and the log was read in between */
    end();
}

static void a_sweep_waits_for_the_log_for_one_interval(void)
{
    begin();
    list("3F2A");
    sweep();
    uint64_t sweeps = feed.counters.sweeps;
    begin_a_drain();
    for (int i = 0; i < 200; i++) {
        turn();
    }
    CHECK_EQ(feed.counters.sweeps, sweeps);
    log_goes_on = false;
    settle();
    for (int i = 0; i < TURNS_MAX && feed.counters.sweeps == sweeps; i++) {
        turn();
    }
    CHECK_EQ(feed.counters.sweeps, sweeps + 1);
    settle();
    end();
}

/* ---- what the cluster did not take ---- */

/* The cluster may not have closed it: the log's time can be before its arrival. Sweeps do it then. */
static void an_item_that_the_log_ended_is_reported_missing_all_the_same(void)
{
    begin();
    list("3F2A");
    list("3F2B");
    sweep();
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=removed ");
    list("3F2B");
    sweep();
    CHECK_STR_EQ(missing, "3F2A ");
    qmgr_removes("3F2A"); /* of nobody we know */
    list("3F2B");
    sweep();
    CHECK_STR_EQ(missing, "3F2A 3F2A ");
    list("3F2B");
    sweep();
    CHECK_STR_EQ(missing, "3F2A 3F2A ");
    CHECK_STR_EQ(events, "3F2A=removed ");
    CHECK_EQ(feed.table.used, 1);
    CHECK_EQ(feed.gone_n, 0);
    end();
}

static void an_item_that_is_listed_after_its_end_is_another_look_at_it(void)
{
    begin();
    list("3F2A");
    sweep();
    qmgr_removes("3F2A");
    list("3F2A");
    uint64_t changed = feed.counters.changed;
    sweep();
    CHECK_EQ(feed.counters.changed, changed + 1); /* it is reported, though it is as before */
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=removed 3F2A=removed ");
    end();
}

static void what_sweeps_closed_and_the_log_explains_is_not_missed_again(void)
{
    begin();
    list("3F2A");
    sweep();
    sweep();
    sweep();
    CHECK_STR_EQ(missing, "3F2A 3F2A ");
    CHECK_EQ(feed.gone_n, 1);
    qmgr_removes("3F2A");
    CHECK_STR_EQ(events, "3F2A=removed ");
    CHECK_EQ(feed.gone_n, 0);
    CHECK_EQ(feed.table.used, 0);
    sweep();
    CHECK_STR_EQ(missing, "3F2A 3F2A ");
    end();
}

static void a_refused_outcome_is_read_and_told_again(void)
{
    begin();
    list("3F2A");
    sweep();
    config.queue_interval_ms = 50;
    snprintf(held, sizeof(held), "3F2A");
    refusals = QUEUE_FEED_OUTCOME_TRIES - 1;
    append_line("qmgr", "3F2A", "removed");
    for (int i = 0; i < TURNS_MAX && events[0] == '\0'; i++) {
        turn();
    }
    CHECK_STR_EQ(events, "3F2A=removed ");
    CHECK_EQ(refusals, 0);
    CHECK_EQ(feed.counters.loads, QUEUE_FEED_OUTCOME_TRIES);
    end();
}

static void an_outcome_that_is_refused_for_good_is_passed_over_and_its_item_missed(void)
{
    begin();
    list("3F2A");
    sweep();
    config.queue_interval_ms = 50;
    snprintf(held, sizeof(held), "3F2A");
    refusals = QUEUE_FEED_OUTCOME_TRIES;
    append_line("qmgr", "3F2A", "removed");
    for (int i = 0; i < TURNS_MAX && strcmp(missing, "3F2A 3F2A ") != 0; i++) {
        turn();
    }
    CHECK_STR_EQ(missing, "3F2A 3F2A ");
    CHECK_EQ(refusals, 0);
    CHECK_STR_EQ(events, "");
    end();
}

/* ---- what is said of it ---- */

static void lines_that_may_have_been_missed_are_said_with_their_time_for_a_day(void)
{
    begin();
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-GAP", "postfix") == NULL);
    queue_log_again(&feed.log, "file 1 2 3 4"); /* of a file that is gone */
    log_line("cleanup", "A77", "message-id=<x@src.test>");
    const struct trouble *t = trouble_find(&troubles, "MQ-FEED-QUEUE-GAP", "postfix");
    CHECK(t != NULL);
    CHECK(strstr(t->text, "from about 20") != NULL);
    log_line("cleanup", "A78", "message-id=<x@src.test>");
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-GAP", "postfix") != NULL);
    CHECK(feed.gap_until_ms > uv_now(&loop));
    feed.gap_until_ms = 1;
    log_line("cleanup", "A79", "message-id=<x@src.test>");
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-GAP", "postfix") == NULL);
    end();
}

/* It is there, and of another time: rsyslog was removed, say. */
static void a_log_without_a_word_of_what_vanishes_is_a_trouble(void)
{
    char id[16];
    begin();
    for (unsigned i = 0; i < QUEUE_SILENCE_SWEEPS; i++) {
        CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-WORDLESS", "postfix") == NULL);
        snprintf(id, sizeof(id), "A%u", i);
        list(id);
        sweep();
        sweep();
        sweep();
    }
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-WORDLESS", "postfix") != NULL);
    log_line("cleanup", "A77", "message-id=<x@src.test>");
    sweep();
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-WORDLESS", "postfix") == NULL);
    end();
}

static void one_line_or_nothing_that_vanishes_is_none(void)
{
    struct queue_silence s = {0};
    for (unsigned i = 0; i < 100; i++) {
        CHECK(!queue_silence_sweep(&s, 7, 0));
        CHECK(!queue_silence_sweep(&s, 8 + i, 5));
    }
    for (unsigned i = 1; i < QUEUE_SILENCE_SWEEPS; i++) {
        CHECK(!queue_silence_sweep(&s, 107, 1));
    }
    CHECK(queue_silence_sweep(&s, 107, 1));
    CHECK(queue_silence_sweep(&s, 107, 0));
    CHECK(!queue_silence_sweep(&s, 108, 1));
}

static void a_postqueue_that_never_ends_is_a_trouble_before_its_deadline(void)
{
    begin();
    hangs = true;
    feed.next_ms = 0;
    for (int i = 0;
         i < TURNS_MAX && trouble_find(&troubles, "MQ-FEED-QUEUE-SWEEP", "postfix") == NULL; i++) {
        turn();
    }
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-SWEEP", "postfix") != NULL);
    hangs = false;
    settle();
    CHECK(trouble_find(&troubles, "MQ-FEED-QUEUE-SWEEP", "postfix") == NULL);
    end();
}

CHECK_MAIN
{
    RUN(a_log_that_always_has_more_does_not_keep_sweeps_waiting);
    RUN(a_sweep_waits_for_the_log_for_one_interval);
    RUN(an_item_that_is_listed_before_it_expires_is_told_line_by_line);
    RUN(an_item_that_is_first_listed_between_expired_and_removed_has_expired);
    RUN(an_item_that_expires_again_has_expired_once_more_and_no_more);
    RUN(an_item_that_was_never_listed_is_not_told);
    RUN(what_expired_and_was_deleted_is_told_as_deleted);
    RUN(of_more_than_are_kept_the_oldest_is_forgotten);
    RUN(an_item_that_the_log_ended_is_reported_missing_all_the_same);
    RUN(an_item_that_is_listed_after_its_end_is_another_look_at_it);
    RUN(what_sweeps_closed_and_the_log_explains_is_not_missed_again);
    RUN(a_refused_outcome_is_read_and_told_again);
    RUN(lines_that_may_have_been_missed_are_said_with_their_time_for_a_day);
    RUN(a_log_without_a_word_of_what_vanishes_is_a_trouble);
    RUN(one_line_or_nothing_that_vanishes_is_none);
    RUN(a_postqueue_that_never_ends_is_a_trouble_before_its_deadline);
    RUN(an_outcome_that_is_refused_for_good_is_passed_over_and_its_item_missed);
}
