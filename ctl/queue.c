/* clusterctl queue list, show, assign: what waits in the Postfix of a host, and what became of what waited. Long answers come in pages; each
 * page is read at its own position. What Postfix does not tell is null in JSON, with the reason under `absent`. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ctl/queue_read.h"
#include "ctl/user.h"

static const char *const state_names[] = {"unknown", "incoming", "active", "deferred",
                                          "hold",    "maildrop", "corrupt"};
static const char *const outcome_names[] = {"open",    "delivered", "bounced", "expired",
                                            "deleted", "requeued",  "unknown"};

static const char *state_name(int state)
{
    return state >= 0 && state < 7 ? state_names[state] : "unknown";
}

static const char *outcome_name(int outcome)
{
    return outcome >= 0 && outcome < 7 ? outcome_names[outcome] : "unknown";
}

static uint64_t limit_of(const struct ctl *c)
{
    return c->arguments.options.limit != 0 ? c->arguments.options.limit : UINT64_MAX;
}

/* ---- queues ---- */

static json_t *queue_json(const Mq__Queue *q, const char *shard)
{
    json_t *states = json_object();
    for (size_t i = 1; i < q->n_states && i < 7; i++) {
        json_object_set_new(states, state_names[i], json_u64(q->states[i]));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o}", "host",
                     json_text(queue_host(q->user)), "instance", json_text(q->instance), "site",
                     q->site[0] != '\0' ? json_text(q->site) : json_null(), "shard",
                     json_text(shard), "open", json_u64(q->open), "bytes", json_u64(q->bytes),
                     "states", states, "closed", json_u64(q->closed), "unexplained",
                     json_u64(q->unknown), "swept", json_time(q->swept_ms), "reported",
                     json_time(q->reported_ms), "sweeping", q->sweeping, "log_position",
                     q->position[0] != '\0' ? json_text(q->position) : json_null());
}

struct queue_listing {
    struct screen *s;
    json_t *rows;
    const Mq__FoundingShard *shard; /* at hand */
    uint64_t queues, open, bytes, unknown;
};

static enum status queue_row(void *arg, const Mq__Queue *q, struct call_answer *a,
                             enum exit_code *out_code)
{
    struct queue_listing *l = arg;
    struct screen *s = l->s;
    char text[SPAN_TEXT_SIZE];
    uint64_t now_ms = clock_wall_ms(&clock_system);
    (void)a;
    (void)out_code;
    screen_cell(s, "%s", queue_host(q->user));
    screen_cell(s, "%s", q->instance);
    screen_cell(s, "%s", q->site[0] != '\0' ? q->site : "?");
    screen_cell(s, "%s", l->shard->name);
    screen_cell(s, "%" PRIu64, q->open);
    screen_cell(s, "%s", size_format(q->bytes, text));
    for (size_t i = 2; i < 5; i++) { /* active, deferred, hold */
        screen_cell(s, "%" PRIu64, i < q->n_states ? q->states[i] : 0);
    }
    screen_cell(s, "%" PRIu64, q->closed);
    screen_cell(s, "%" PRIu64, q->unknown);
    screen_cell(s, "%s",
                q->swept_ms == 0
                    ? "never"
                    : span_format(now_ms > q->swept_ms ? now_ms - q->swept_ms : 0, text));
    json_array_append_new(l->rows, queue_json(q, l->shard->name));
    l->queues++;
    l->open += q->open;
    l->bytes += q->bytes;
    l->unknown += q->unknown;
    return OK;
}

static enum exit_code list_queues(struct ctl *c)
{
    static const char *const columns[] = {"HOST", "INSTANCE", "SITE",        "SHARD",
                                          "OPEN", "SIZE",     "ACTIVE",      "DEFERRED",
                                          "HOLD", "CLOSED",   "UNEXPLAINED", "SWEPT"};
    const Mq__Founding *f;
    struct call_answer a = {0};
    struct queue_listing l = {0};
    struct screen s;
    char size[SPAN_TEXT_SIZE];
    enum exit_code code = EXIT_HEALTHY;
    if (ctl_founding(c, &f, &code) != OK) {
        return code;
    }
    screen_init(&s, "queues");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        (i == 2 ? screen_column_wide : screen_column)(&s, columns[i]);
    }
    l.s = &s;
    l.rows = json_array();
    json_object_set_new(s.data, "queues", l.rows);
    for (size_t i = 0; i < f->n_shards; i++) {
        l.shard = f->shards[i];
        if (l.shard->shard != SHARD_DIRECTORY &&
            queues_read(c, l.shard->shard, &a, queue_row, &l, &code) != OK) {
            screen_deinit(&s);
            call_answer_clear(&a);
            return code;
        }
    }
    ctl_source(c, &s, &a);
    call_answer_clear(&a);
    snprintf(s.summary, sizeof(s.summary),
             "%" PRIu64 " queues: %" PRIu64 " messages wait, %s; %" PRIu64
             " have left and nobody has said how",
             l.queues, l.open, size_format(l.bytes, size), l.unknown);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

/* ---- items ---- */

static json_t *recipient_json(const Mq__QueueRecipient *r)
{
    return json_pack("{s:o, s:o, s:s, s:o, s:o}", "address", json_text(r->address), "orig_address",
                     r->orig_address[0] != '\0' ? json_text(r->orig_address) : json_null(),
                     "outcome", outcome_name((int)r->outcome), "reply",
                     r->reply[0] != '\0' ? json_text(r->reply) : json_null(), "at",
                     json_time(r->at * 1000));
}

/* Why a field is null. */
static json_t *absent_json(const Mq__QueueRow *row)
{
    json_t *absent = json_object();
    bool orig = false;
    for (size_t i = 0; i < row->item->n_recipients; i++) {
        orig = orig || row->item->recipients[i]->orig_address[0] != '\0';
    }
    json_object_set_new(absent, "next_retry",
                        json_string("postqueue does not tell when Postfix tries again"));
    if (!orig) {
        json_object_set_new(absent, "orig_address",
                            json_string("postqueue tells it since Postfix 3.12, where it differs"));
    }
    if (row->item->recipients_omitted > 0) {
        json_object_set_new(
            absent, "recipients",
            json_string("those over 64, or with an address over 320 bytes, are counted "
                        "only; the outcome of the item takes them for unknown unless the log "
                        "says worse of one"));
    }
    if (row->closed && row->closed_at == 0) {
        json_object_set_new(absent, "closed_at",
                            json_string("the log said nothing: two sweeps did not find it"));
    }
    return absent;
}

static json_t *item_json(const Mq__QueueRow *row)
{
    const Mq__QueueItem *i = row->item;
    json_t *recipients = json_array();
    for (size_t k = 0; k < i->n_recipients; k++) {
        json_array_append_new(recipients, recipient_json(i->recipients[k]));
    }
    json_t *item = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:b, s:o, s:I, s:n}", "host",
                             json_text(queue_host(row->user)), "instance", json_text(row->instance),
                             "id", json_text(i->id), "arrival", json_time(i->arrival * 1000),
                             "state", row->closed ? "closed" : state_name((int)i->state), "bytes",
                             json_u64(i->size), "sender", json_text(i->sender), "forced_expire",
                             i->forced_expire, "recipients", recipients, "recipients_omitted",
                             (json_int_t)i->recipients_omitted, "next_retry");
    json_t *end = json_pack(
        "{s:b, s:s, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "closed", row->closed, "outcome",
        outcome_name((int)row->outcome), "closed_at", json_time(row->closed_at * 1000), "recorded",
        json_time(row->recorded_ms), "missing_sweeps", (json_int_t)row->missing, "successor",
        row->successor[0] != '\0' ? json_text(row->successor) : json_null(), "owner",
        json_text(queue_host(row->user)), "claim",
        row->claim == NULL ? json_null()
                           : json_pack("{s:o, s:o}", "epoch", json_u64(row->claim->epoch),
                                       "position", json_u64(row->claim->position)),
        "absent", absent_json(row));
    json_object_update(item, end);
    json_decref(end);
    return item;
}

struct item_listing {
    struct screen *s;
    json_t *rows;
    unsigned found;
};

static void item_row(void *arg, const Mq__QueueRow *row)
{
    struct item_listing *l = arg;
    struct screen *s = l->s;
    char text[SPAN_TEXT_SIZE];
    uint64_t now_s = clock_wall_ms(&clock_system) / 1000;
    const Mq__QueueItem *i = row->item;
    size_t others;
    const Mq__QueueRecipient *first = queue_recipient_shown(row, &others);
    screen_cell(s, "%s", i->id);
    screen_cell(s, "%s", row->instance);
    screen_cell(s, "%s", row->closed ? outcome_name((int)row->outcome) : state_name((int)i->state));
    screen_cell(s, "%s", span_format(now_s > i->arrival ? (now_s - i->arrival) * 1000 : 0, text));
    screen_cell(s, "%s", size_format(i->size, text));
    screen_cell(s, "%s", i->sender[0] != '\0' ? i->sender : "<>");
    if (others > 0) {
        screen_cell(s, "%s +%zu", first != NULL ? first->address : "?", others);
    } else {
        screen_cell(s, "%s", first != NULL ? first->address : "?");
    }
    screen_cell(s, "%s", first != NULL && first->reply[0] != '\0' ? first->reply : "-");
    json_array_append_new(l->rows, item_json(row));
}

enum exit_code run_queue_list(struct ctl *c)
{
    static const char *const columns[] = {"ID",   "INSTANCE", "STATE",      "AGE",
                                          "SIZE", "SENDER",   "RECIPIENTS", "LAST REPLY"};
    const struct options *o = &c->arguments.options;
    Mq__QueryQueueItems body = MQ__QUERY_QUEUE_ITEMS__INIT;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code = EXIT_HEALTHY;
    char user[QUEUE_USER_SIZE];
    if (c->arguments.args_n == 0) {
        bool filter = o->state != 0 || o->recipient != NULL || o->closed;
        return filter ? ctl_usage(c, "--state, --recipient and --closed need a HOST")
                      : list_queues(c);
    }
    if (!queue_user(c->arguments.args[0], user)) {
        return ctl_usage(c, "the name of the host is too long");
    }
    snprintf(c->doing, sizeof(c->doing), "queue of %.200s", c->arguments.args[0]);
    body.user = user;
    body.state = (Mq__QueueItem__State)o->state;
    body.recipient = (char *)(o->recipient != NULL ? o->recipient : "");
    body.closed = o->closed;
    screen_init(&s, "queue_items");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        (i == 1 ? screen_column_wide : screen_column)(&s, columns[i]);
    }
    struct item_listing l = {.s = &s, .rows = json_array()};
    json_object_set_new(s.data, "host", json_text(c->arguments.args[0]));
    json_object_set_new(s.data, "items", l.rows);
    if (queue_items_read(c, 0, &body, limit_of(c), &a, item_row, &l, &code) == OK) {
        ctl_source(c, &s, &a);
        snprintf(s.summary, sizeof(s.summary), "%u items of %.200s", s.cells_n / s.columns_n,
                 c->arguments.args[0]);
        call_answer_clear(&a);
        return ctl_finish(c, &s, EXIT_HEALTHY);
    }
    screen_deinit(&s);
    call_answer_clear(&a);
    return code;
}

/* ---- one ---- */

static void show_item(void *arg, const Mq__QueueRow *row)
{
    struct item_listing *l = arg;
    struct screen *s = l->s;
    char age[SPAN_TEXT_SIZE], size[SPAN_TEXT_SIZE];
    uint64_t now_s = clock_wall_ms(&clock_system) / 1000;
    const Mq__QueueItem *i = row->item;
    screen_line(s, "%s %s of instance %s, %s, from %s, arrived %s ago%s", i->id,
                row->closed ? "has left the queue" : state_name((int)i->state), row->instance,
                size_format(i->size, size), i->sender[0] != '\0' ? i->sender : "<>",
                span_format(now_s > i->arrival ? (now_s - i->arrival) * 1000 : 0, age),
                i->forced_expire ? ", is told to expire" : "");
    if (row->closed && row->successor[0] != '\0') {
        screen_line(s, "it goes on as %s", row->successor);
    } else if (row->closed && row->closed_at == 0) {
        screen_line(s, "two sweeps running did not find it, and the log has not said why");
    } else if (!row->closed && row->missing > 0) {
        screen_line(s, "the last sweep did not find it; if the next does not either, it has left");
    }
    if (i->recipients_omitted > 0) {
        screen_line(s, "%u more recipients are counted only", i->recipients_omitted);
    }
    for (size_t k = 0; k < i->n_recipients; k++) {
        const Mq__QueueRecipient *r = i->recipients[k];
        screen_cell(s, "%s", i->id);
        screen_cell(s, "%s", r->address);
        screen_cell(s, "%s", outcome_name((int)r->outcome));
        screen_cell(s, "%s", r->reply[0] != '\0' ? r->reply : "-");
    }
    json_array_append_new(l->rows, item_json(row));
    l->found++;
}

enum exit_code run_queue_show(struct ctl *c)
{
    static const char *const columns[] = {"ID", "RECIPIENT", "OUTCOME", "LAST REPLY"};
    Mq__QueryQueueItems body = MQ__QUERY_QUEUE_ITEMS__INIT;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code = EXIT_HEALTHY;
    char user[QUEUE_USER_SIZE];
    const char *host = c->arguments.args[0], *id = c->arguments.args[1];
    if (!queue_user(host, user)) {
        return ctl_usage(c, "the name of the host is too long");
    }
    snprintf(c->doing, sizeof(c->doing), "%.60s in the queue of %.150s", id, host);
    body.user = user;
    body.id = (char *)id;
    body.closed = true;
    screen_init(&s, "queue_item");
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&s, columns[i]);
    }
    struct item_listing l = {.s = &s, .rows = json_array()};
    json_object_set_new(s.data, "items", l.rows);
    if (queue_items_read(c, 0, &body, UINT64_MAX, &a, show_item, &l, &code) != OK) {
        screen_deinit(&s);
        call_answer_clear(&a);
        return code;
    }
    ctl_source(c, &s, &a);
    call_answer_clear(&a);
    if (l.found == 0) {
        screen_deinit(&s);
        return ctl_refuse(c, STATUS_NOT_FOUND,
                          "no item %s is recorded of the queue of %s; what left is kept for a week",
                          id, host);
    }
    snprintf(s.summary, sizeof(s.summary), "%.60s in the queue of %.150s", id, host);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}

/* ---- assign ---- */

enum exit_code run_queue_assign(struct ctl *c)
{
    Mq__AdminResult *result;
    struct call_answer a = {0};
    struct screen s;
    enum exit_code code;
    char user[QUEUE_USER_SIZE];
    const char *host = c->arguments.args[0];
    struct user_assignment w = {.user = user, .shard = c->arguments.args[1], .what = "queues"};
    if (!queue_user(host, user)) {
        return ctl_usage(c, "the name of the host is too long");
    }
    snprintf(c->doing, sizeof(c->doing), "queue of %.200s", host);
    if (user_assign(c, &w, &a, &result, &code) != OK) {
        call_answer_clear(&a);
        return code;
    }
    screen_init(&s, "queue");
    ctl_source(c, &s, &a);
    snprintf(s.summary, sizeof(s.summary), "the mail queue of %.200s is assigned to %s", host,
             w.to->name);
    json_object_set_new(s.data, "host", json_text(host));
    json_object_set_new(s.data, "shard", json_text(w.to->name));
    mq__admin_result__free_unpacked(result, NULL);
    call_answer_clear(&a);
    return ctl_finish(c, &s, EXIT_HEALTHY);
}
