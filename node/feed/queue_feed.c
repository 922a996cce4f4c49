/* The steps of one instance; see the header. A tick every QUEUE_FEED_TICK_MS begins what is due; pages follow each other by answers. */
#include "node/feed/queue_feed.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "node/feed/queue_feed_internal.h"

#define SYSTEM_LOG     "/var/log/mail.log"
#define MAILDROP_AGE_S 60u /* pickup takes younger ones at once, under another id */

static void end_sweep(struct queue_feed *q, bool complete);

static uint64_t wall_ms(void)
{
    return clock_wall_ms(&clock_system);
}

static void clear_pieces(struct queue_feed *q)
{
    buffer_clear(&q->pieces);
    q->pieces_items = q->pieces_missing = q->pieces_events = 0;
}

static void try_later(struct queue_feed *q, enum queue_step step)
{
    q->step = step;
    q->next_ms = queue_now_ms(q) + q->world->config->queue_interval_ms;
}

/* ---- settings ---- */

static void settings_output(struct child *c, const uint8_t *data, size_t size)
{
    struct queue_feed *q = c->arg;
    size_t room = sizeof(q->settings_text) - 1 - q->settings_n;
    size_t n = size < room ? size : room;
    memcpy(q->settings_text + q->settings_n, data, n);
    q->settings_n += n;
}

/* Three lines: syslog_name, maillog_file (empty: syslog), multi_instance_name (empty: the only one). */
static bool take_settings(struct queue_feed *q)
{
    const struct feed_config *c = q->world->config;
    char *rest = q->settings_text;
    q->settings_text[q->settings_n] = '\0';
    char *name = strsep(&rest, "\n");
    char *file = rest == NULL ? NULL : strsep(&rest, "\n");
    char *instance = rest == NULL ? NULL : strsep(&rest, "\n");
    if (instance == NULL || name[0] == '\0' || strlen(name) >= sizeof(q->syslog_name) ||
        strlen(instance) > QUEUE_INSTANCE_MAX) {
        return false;
    }
    memcpy(q->syslog_name, name, strlen(name) + 1);
    if (instance[0] != '\0') {
        memcpy(q->instance, instance, strlen(instance) + 1);
    }
    const char *path = c->queue_log;
    if (strcmp(path, "journal") == 0) {
        path = "";
    } else if (path[0] == '\0') {
        path = file[0] == '/' && strncmp(file, "/dev/", 5) != 0 ? file
               : access(SYSTEM_LOG, R_OK) == 0                  ? SYSTEM_LOG
                                                                : "";
    }
    snprintf(q->log_path, sizeof(q->log_path), "%s", path);
    return true;
}

/* Tried again at each interval. */
static void settings_trouble(struct queue_feed *q, const char *hint, const char *why)
{
    queue_say_settings(q, hint, why);
    try_later(q, QUEUE_SETTINGS);
}

static void settings_ended(struct child *c)
{
    struct queue_feed *q = c->arg;
    char why[CHILD_ERROR_MAX + 40];
    if (q->stopping) {
        return;
    }
    if (!child_succeeded(c) || !take_settings(q)) {
        snprintf(why, sizeof(why), "postconf fails: %s", c->error);
        settings_trouble(
            q, "run postconf -c DIRECTORY there; is [postfix] config_directories right?", why);
        return;
    }
    if (q->world->name_taken(q->world->arg, q)) {
        snprintf(why, sizeof(why), "another one is named %s", q->instance);
        settings_trouble(q, "give each instance a multi_instance_name in its main.cf", why);
        return;
    }
    trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-POSTFIX", q->directory);
    log_info("event=feed.queue_instance instance=%s directory=%s syslog_name=%s log=%s",
             q->instance, q->directory, q->syslog_name,
             q->log_path[0] != '\0' ? q->log_path : "journal");
    q->step = QUEUE_LOAD;
    q->next_ms = 0;
}

/* It may never end: a process that waits for a disk survives SIGKILL. */
static void child_silent(struct child *c)
{
    struct queue_feed *q = c->arg;
    if (!q->stopping && !queue_asks(q)) { /* else it waits for us */
        queue_say_silent(q);
    }
}

static void start_child(struct queue_feed *q, const char *const argv[],
                        void (*output)(struct child *, const uint8_t *, size_t),
                        void (*ended)(struct child *))
{
    q->child.output = output;
    q->child.ended = ended;
    q->child.silent = child_silent;
    q->child.arg = q;
    if (child_start(&q->child, q->world->loop, argv, -1, q->world->config->queue_deadline_ms) !=
        OK) {
        log_error("event=feed.queue_no_memory instance=%s", q->instance);
        try_later(q, q->step == QUEUE_SETTINGS ? QUEUE_SETTINGS : QUEUE_WAIT);
    }
}

static void start_settings(struct queue_feed *q)
{
    const char *const argv[] = {
        q->world->config->postconf, "-c", q->directory, "-hx", "syslog_name", "maillog_file",
        "multi_instance_name",      NULL};
    q->settings_n = 0;
    start_child(q, argv, settings_output, settings_ended);
}

/* ---- loading ---- */

static void start_load(struct queue_feed *q)
{
    q->loaded = false;
    q->counters.loads++;
    clear_pieces(q);
    queue_table_clear(&q->table);
    q->gone_n = 0;
    buffer_clear(&q->items_after);
    queue_ask(q, QUEUE_ASK_QUEUE);
}

static void put_event(struct queue_feed *q, const struct maillog_event *e)
{
    if (queue_wire_event(&q->pieces, e) != OK) {
        log_error("event=feed.queue_event_lost instance=%s id=%s", q->instance, e->id);
        return;
    }
    q->counters.events++;
    q->pieces_events++;
}

static bool on_event(struct queue_log *l, const struct maillog_event *e);

static void on_log_stopped(struct queue_log *l)
{
    struct queue_feed *q = l->arg;
    q->log_stopped = true;
}

/* The cluster has what the log says up to here, or will never take it. */
static void log_reported(struct queue_feed *q)
{
    queue_log_position(&q->log, q->position_done);
    q->outcome_tries = 0;
}

static void look_for_gaps(struct queue_feed *q)
{
    uint64_t gaps = queue_log_gaps(&q->log), now = queue_now_ms(q);
    if (gaps > q->gaps_said) {
        queue_say_gap(q);
        q->gap_until_ms = now + QUEUE_FEED_GAP_SAID_MS;
    } else if (q->gap_until_ms != 0 && now > q->gap_until_ms) {
        queue_forget_gap(q);
        q->gap_until_ms = 0;
    }
    q->gaps_said = gaps;
}

/* The log is followed from here on for as long as we run: what is reported of it is in the cluster, also when it is loaded again. */
static enum status open_log(struct queue_feed *q)
{
    q->log.event = on_event;
    q->log.stopped = on_log_stopped;
    q->log.arg = q;
    enum status s = queue_log_open(&q->log, q->world->loop, q->log_path,
                                   q->world->config->journalctl, q->syslog_name, q->position);
    q->log_open = s == OK;
    if (s == OK) {
        snprintf(q->position_sent, sizeof(q->position_sent), "%s", q->position);
        log_reported(q);
        look_for_gaps(q);
    }
    return s;
}

static void loaded(struct queue_feed *q)
{
    q->loaded = true;
    if (!q->log_open) {
        open_log(q);
    }
    log_info("event=feed.queue_loaded instance=%s items=%u complete_ms=%llu", q->instance,
             q->table.used, (unsigned long long)q->complete_ms);
    q->step = QUEUE_WAIT;
    q->next_ms = queue_now_ms(q); /* once what the log has is told */
    q->quiet = false;
}

/* ---- the log ---- */

static bool on_event(struct queue_log *l, const struct maillog_event *e)
{
    struct queue_feed *q = l->arg;
    if (e->kind == MAILLOG_DEFERRED) { /* the next sweep tells its reason */
        q->counters.deferred++;
        return true;
    }
    bool ends =
        e->kind == MAILLOG_REMOVED || e->kind == MAILLOG_DELETED || e->kind == MAILLOG_REQUEUED;
    bool known = queue_table_has(&q->table, e->id);
    struct maillog_event expired;
    if (known && e->kind == MAILLOG_REMOVED && queue_expired_find(&q->expired, e->id, &expired)) {
        put_event(q, &expired);
    }
    if (ends || (known && e->kind == MAILLOG_EXPIRED)) {
        queue_expired_forget(&q->expired, e->id);
    } else if (e->kind == MAILLOG_EXPIRED) {
        queue_expired_keep(&q->expired, e);
    }
    if (!known) {
        return true; /* it came and went between two sweeps */
    }
    put_event(q, e);
    if (ends) {
        q->gone_n -= queue_table_end_id(&q->table, e->id);
    }
    return q->pieces_events + 1 < QUEUE_WIRE_EVENTS_MAX && /* one line may be two events */
           q->pieces.size < QUEUE_WIRE_BYTES;
}

/* Until there is nothing more, or enough for a command. */
static enum status read_log(struct queue_feed *q)
{
    enum status s = OK;
    uint64_t before = q->log.lines;
    q->quiet = false;
    for (unsigned i = 0; i < QUEUE_FEED_READS_MAX && s == OK && !q->quiet; i++) {
        s = queue_log_poll(&q->log, queue_now_ms(q), wall_ms() / 1000);
        q->quiet = q->log.lines == before || s != OK;
        before = q->log.lines;
        if (q->pieces_events > 0 && !q->quiet) {
            break;
        }
    }
    return s;
}

static void poll_log(struct queue_feed *q)
{
    uint64_t now = queue_now_ms(q);
    enum status s = q->log_open ? OK : open_log(q);
    s = s == OK ? read_log(q) : s;
    queue_say_log(q, s);
    if (!q->log_open) {
        q->quiet = true;
        return;
    }
    look_for_gaps(q);
    queue_log_position(&q->log, q->position);
    bool moved = strcmp(q->position, q->position_sent) != 0;
    if (q->pieces_events > 0 || (moved && now > q->position_ms + QUEUE_FEED_POSITION_MS)) {
        queue_ask(q, QUEUE_ASK_OUTCOME);
    }
}

/* A log that always has more (a queue that drains) puts off a sweep for one interval and no longer. */
static bool sweep_due(const struct queue_feed *q)
{
    uint64_t now = queue_now_ms(q);
    return now >= q->next_ms &&
           (q->quiet || now >= q->next_ms + q->world->config->queue_interval_ms);
}

static void outcome_answered(struct queue_feed *q)
{
    clear_pieces(q);
    log_reported(q);
    snprintf(q->position_sent, sizeof(q->position_sent), "%s", q->position);
    q->position_ms = queue_now_ms(q);
    if (q->loaded && !sweep_due(q)) {
        poll_log(q);
    }
}

/* The same lines are read and told again. When that helps nothing they are passed over: what they end is in the table again once that is
 * loaded, and ends as missing. */
static void outcome_gave_up(struct queue_feed *q)
{
    clear_pieces(q);
    q->loaded = false;
    if (++q->outcome_tries < QUEUE_FEED_OUTCOME_TRIES) {
        queue_log_again(&q->log, q->position_done);
        return;
    }
    log_warn("event=feed.queue_outcomes_lost instance=%s from=\"%s\" to=\"%s\"", q->instance,
             q->position_done, q->position);
    log_reported(q);
}

/* ---- the listing ---- */

static bool page_full(const struct queue_feed *q)
{
    return q->pieces_items >= QUEUE_WIRE_ITEMS_MAX || q->pieces.size >= QUEUE_WIRE_BYTES;
}

/* A new item that is not one to keep: it waits for nobody any more (Postfix is about to remove it, and what its recipients' lines said
 * was read before), or pickup takes it in a moment. */
static bool passes_by(const struct queue_feed *q, const struct postqueue_item *item)
{
    if (item->state == MQ__QUEUE_ITEM__STATE__MAILDROP) {
        return item->arrival + MAILDROP_AGE_S > q->sweep_ms / 1000;
    }
    return item->recipients_n == 0 && item->recipients_omitted == 0 &&
           item->state != MQ__QUEUE_ITEM__STATE__CORRUPT;
}

static bool on_item(struct postqueue *p, const struct postqueue_item *item)
{
    struct queue_feed *q = p->arg;
    uint64_t content = queue_content_of(item);
    struct queue_entry *e = queue_table_find(&q->table, item->id, item->arrival);
    q->counters.items++;
    if (e != NULL && e->content == content && e->missing == 0 && !e->gone && !e->ended) {
        e->seen = q->sweep;
        return true;
    }
    if ((e == NULL || e->ended) && passes_by(q, item)) {
        return true;
    }
    enum status s = queue_table_put(&q->table, item->id, item->arrival, &e);
    s = s == OK ? queue_wire_item(&q->pieces, item) : s;
    if (s != OK) {
        q->sweep_given_up = true; /* an item that is not reported: the sweep is no complete one */
        trouble_raise(q->world->troubles, "MQ-FEED-QUEUE-FULL", q->instance, wall_ms(),
                      "what is in the queue over that number is not recorded",
                      "the queue has more than %u items, or this host no memory for them",
                      QUEUE_TABLE_MAX);
        return true;
    }
    q->gone_n -= e->gone ? 1 : 0;
    e->gone = e->ended = false;
    e->content = content;
    e->seen = q->sweep;
    e->missing = 0;
    q->counters.changed++;
    q->pieces_items++;
    return !page_full(q);
}

static void send_page(struct queue_feed *q, bool complete, bool last)
{
    q->page_complete = complete;
    q->page_last = last;
    queue_ask(q, QUEUE_ASK_PAGE);
}

static void listing_output(struct child *c, const uint8_t *data, size_t size)
{
    struct queue_feed *q = c->arg;
    if (q->sweep_given_up) {
        return;
    }
    size_t used = postqueue_input(&q->parser, (const char *)data, size);
    if (!page_full(q)) {
        return;
    }
    memcpy(q->rest, data + used, size - used);
    q->rest_at = 0;
    q->rest_n = size - used;
    child_pause(c);
    send_page(q, false, false);
}

/* What came with the page before; then postqueue may go on. */
static void listing_goes_on(struct queue_feed *q)
{
    const char *rest = (const char *)q->rest;
    q->rest_at += postqueue_input(&q->parser, rest + q->rest_at, q->rest_n - q->rest_at);
    if (page_full(q)) {
        send_page(q, false, false);
        return;
    }
    q->rest_at = q->rest_n = 0;
    child_resume(&q->child);
}

static void next_missing_page(struct queue_feed *q)
{
    struct queue_entry *e = NULL;
    while (q->pieces_missing < QUEUE_WIRE_MISSING_MAX &&
           (e = queue_table_next(&q->table, &q->missing_at)) != NULL) {
        if (e->seen == q->sweep || e->gone || e->arrival >= q->sweep_ms / 1000) {
            continue;
        }
        if (queue_wire_missing(&q->pieces, e->id, e->arrival) != OK) {
            queue_gave_up(q, QUEUE_ASK_PAGE);
            return;
        }
        e->missing++;
        q->pieces_missing++;
        q->counters.missing++;
    }
    send_page(q, true, e == NULL);
}

static void listing_ended(struct child *c)
{
    struct queue_feed *q = c->arg;
    bool whole = child_succeeded(c) && postqueue_end(&q->parser);
    if (q->stopping) {
        return;
    }
    if (!whole && !q->sweep_given_up) {
        queue_say_incomplete(q);
    }
    q->listing_over = true;
    q->listing_whole = whole && !q->sweep_given_up;
    if (q->listing_whole) {
        q->step = QUEUE_MISSING;
        next_missing_page(q);
    } else if (q->pieces_items > 0 && q->loaded && !queue_asks(q)) {
        send_page(q, false, false); /* what was listed is there */
    } else if (!queue_asks(q)) {
        end_sweep(q, false);
    }
}

static void start_listing(struct queue_feed *q)
{
    const char *const argv[] = {q->world->config->postqueue, "-c", q->directory, "-j", NULL};
    uint64_t now = wall_ms();
    q->step = QUEUE_LISTING;
    q->sweep = q->sweep + 1 == 0 ? 1 : q->sweep + 1;
    q->sweep_ms = now > q->sweep_ms ? now : q->sweep_ms + 1;
    q->sweep_started_ms = queue_now_ms(q);
    q->page = 0;
    q->missing_at = 0;
    q->rest_at = q->rest_n = 0;
    q->listing_over = q->listing_whole = q->sweep_given_up = false;
    q->counters.sweeps++;
    clear_pieces(q);
    q->parser.on_item = on_item;
    q->parser.arg = q;
    postqueue_begin(&q->parser);
    start_child(q, argv, listing_output, listing_ended);
}

static void end_sweep(struct queue_feed *q, bool complete)
{
    uint64_t now = queue_now_ms(q), interval_ms = q->world->config->queue_interval_ms;
    uint64_t due = q->sweep_started_ms + interval_ms;
    const struct queue_counters *n = &q->counters;
    clear_pieces(q);
    q->step = QUEUE_WAIT;
    q->quiet = false;
    q->next_ms = due > now + QUEUE_FEED_TICK_MS ? due : now + QUEUE_FEED_TICK_MS;
    q->counters.incomplete += complete ? 0 : 1;
    q->swept = q->swept || complete;
    if (complete) {
        trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-SWEEP", q->instance);
        trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-FULL", q->instance);
        trouble_clear(q->world->troubles, "MQ-FEED-QUEUE-REFUSED", q->instance);
    }
    log_info(
        "event=feed.queue_status instance=%s complete=%d took_ms=%llu listed=%u open=%u "
        "sweeps=%llu incomplete=%llu changed=%llu missing=%llu events=%llu deferred=%llu "
        "loads=%llu lines=%llu",
        q->instance, complete, (unsigned long long)(now - q->sweep_started_ms), q->parser.items,
        q->table.used, (unsigned long long)n->sweeps, (unsigned long long)n->incomplete,
        (unsigned long long)n->changed, (unsigned long long)n->missing,
        (unsigned long long)n->events, (unsigned long long)n->deferred,
        (unsigned long long)n->loads, (unsigned long long)q->log.lines);
}

/* What the cluster has closed with this sweep: kept so that the log can say how it ended, if it has not and there is room. */
static void mark_gone(struct queue_feed *q)
{
    uint32_t at = 0, vanished = 0;
    struct queue_entry *e;
    while ((e = queue_table_next(&q->table, &at)) != NULL) {
        if (e->missing < 2 || e->gone) {
            continue;
        }
        vanished += e->ended ? 0 : 1;
        if (e->ended || q->gone_n == QUEUE_GONE_MAX) {
            queue_table_remove(&q->table, e);
            continue;
        }
        e->gone = true;
        e->missing = 0;
        q->gone_n++;
    }
    queue_say_wordless(q, queue_silence_sweep(&q->silence, q->log.ours, vanished));
}

static void page_answered(struct queue_feed *q)
{
    q->page++;
    clear_pieces(q);
    if (!q->loaded) {
        queue_gave_up(q, QUEUE_ASK_PAGE);
    } else if (q->step == QUEUE_LISTING && !q->listing_over) {
        listing_goes_on(q);
    } else if (q->step == QUEUE_LISTING) {
        end_sweep(q, false);
    } else if (!q->page_last) {
        next_missing_page(q);
    } else {
        q->complete_ms = q->sweep_ms;
        mark_gone(q);
        end_sweep(q, true);
    }
}

/* ---- answers ---- */

void queue_answered(struct queue_feed *q, enum queue_ask ask)
{
    switch (ask) {
        case QUEUE_ASK_QUEUE:
            queue_ask(q, QUEUE_ASK_ITEMS);
            break;
        case QUEUE_ASK_ITEMS:
            loaded(q);
            break;
        case QUEUE_ASK_PAGE:
            page_answered(q);
            break;
        case QUEUE_ASK_OUTCOME:
            outcome_answered(q);
            break;
        default:
            break;
    }
}

void queue_gave_up(struct queue_feed *q, enum queue_ask ask)
{
    q->retrying = false;
    if (q->stopping) {
        return;
    }
    if (q->step == QUEUE_LISTING || q->step == QUEUE_MISSING) {
        q->loaded = false;
        q->sweep_given_up = true;
        if (child_active(&q->child)) {
            child_kill(&q->child); /* its end ends the sweep */
        } else {
            end_sweep(q, false);
        }
    } else {
        if (ask == QUEUE_ASK_OUTCOME || q->pieces_events > 0) { /* maybe it was the lease for it */
            outcome_gave_up(q);
        }
        try_later(q, QUEUE_LOAD);
    }
}

/* ---- time ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct queue_feed *q = h->data;
    q->stopped(q);
}

static void stop_step(struct queue_feed *q)
{
    if (child_active(&q->child) || q->asking) {
        return;
    }
    if (!q->releasing) {
        q->releasing = true;
        q->retrying = false;
        if (q->leased && uplink_ready(q->world->uplink)) {
            queue_ask(q, QUEUE_ASK_RELEASE);
            return;
        }
    }
    if (!q->log.stopping && q->log_open) {
        queue_log_stop(&q->log);
    }
    if ((q->log_stopped || !q->log_open) && !q->timer_closed) {
        q->timer_closed = true;
        uv_close((uv_handle_t *)&q->timer, on_timer_closed);
    }
}

static void wait_step(struct queue_feed *q)
{
    bool up = uplink_ready(q->world->uplink);
    if (!q->loaded) {
        q->step = QUEUE_LOAD;
        q->next_ms = 0;
    } else if (up && !queue_lease_enough(q)) {
        queue_ask(q, q->leased ? QUEUE_ASK_RENEW : QUEUE_ASK_ACQUIRE);
    } else if (up && sweep_due(q)) {
        start_listing(q);
    } else if (up) {
        poll_log(q);
    }
}

static void on_tick(uv_timer_t *t)
{
    struct queue_feed *q = t->data;
    if (q->stopping) {
        stop_step(q);
        return;
    }
    queue_ask_tick(q);
    if (queue_asks(q) || child_active(&q->child)) {
        return;
    }
    bool due = queue_now_ms(q) >= q->next_ms;
    if (q->step == QUEUE_SETTINGS && due) {
        start_settings(q);
    } else if (q->step == QUEUE_LOAD && due && uplink_ready(q->world->uplink)) {
        start_load(q);
    } else if (q->step == QUEUE_WAIT) {
        wait_step(q);
    }
}

enum status queue_feed_start(struct queue_feed *q, struct queue_world *world, const char *directory)
{
    const char *name = strrchr(directory, '/');
    name = name == NULL ? directory : name + 1;
    if (strlen(name) > QUEUE_INSTANCE_MAX || strlen(directory) >= sizeof(q->directory) ||
        name[0] == '\0') {
        return STATUS_INVALID;
    }
    q->world = world;
    snprintf(q->directory, sizeof(q->directory), "%s", directory);
    snprintf(q->instance, sizeof(q->instance), "%s", name);
    snprintf(q->user, sizeof(q->user), "queue/%s", world->config->host);
    queue_table_init(&q->table);
    buffer_init(&q->payload, 0);
    buffer_init(&q->items_after, 0);
    buffer_init(&q->pieces, QUEUE_WIRE_BYTES_MAX);
    q->log.file.fd = -1;
    must(uv_timer_init(world->loop, &q->timer) == 0);
    q->timer.data = q;
    must(uv_timer_start(&q->timer, on_tick, 0, QUEUE_FEED_TICK_MS) == 0);
    return OK;
}

void queue_feed_stop(struct queue_feed *q)
{
    if (!q->stopping) {
        q->stopping = true;
        if (child_active(&q->child)) {
            child_kill(&q->child);
        }
    }
}

void queue_feed_deinit(struct queue_feed *q)
{
    queue_table_deinit(&q->table);
    buffer_deinit(&q->payload);
    buffer_deinit(&q->items_after);
    buffer_deinit(&q->pieces);
    buffer_deinit(&q->log.pending);
}

bool queue_feed_finished(const struct queue_feed *q)
{
    return q->swept && q->step == QUEUE_WAIT && q->quiet && !queue_asks(q);
}
