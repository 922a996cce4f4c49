/* clusterctl report lost-site SITE: what of the mail exists at that site and nowhere else, as the cluster knows it now, and which window it
 * cannot know. Every shard is asked, in pages; positions are read before the rows, so the windows are rather too long than too short. */
#include "ctl/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/suggestion.h"
#include "ctl/commands.h"
#include "ctl/page.h"
#include "ctl/store.h"

#define ROWS_SHOWN_TABLE 200u
#define ROWS_SHOWN_ALL   1000000u
#define WINDOWS_SHOWN    12u

/* ---- rows ---- */

/* A GUID as its store writes it, if that is text; else in hex. */
static void guid_format(ProtobufCBinaryData g, char *text, size_t size)
{
    bool printable = g.len > 0 && g.len < size;
    for (size_t i = 0; i < g.len; i++) {
        printable = printable && g.data[i] > ' ' && g.data[i] < 0x7f;
    }
    if (printable) {
        memcpy(text, g.data, g.len);
        text[g.len] = '\0';
    } else {
        hex_format((struct bytes){g.data, g.len}, text, size);
    }
}

bool report_room(struct report *r)
{
    return r->rows++ < r->rows_max;
}

static void row(struct report *r, const char *kind, const char *user, const char *mailbox,
                const Mq__LossMessage *m)
{
    char guid[160] = "", date[40] = "", uid[16] = "", size[24] = "";
    if (m != NULL) {
        snprintf(uid, sizeof(uid), "%u", m->uid);
        snprintf(size, sizeof(size), "%" PRIu64, m->size);
        struct tm tm;
        time_t seconds = (time_t)m->internal_date;
        guid_format(m->guid, guid, sizeof(guid));
        if (gmtime_r(&seconds, &tm) != NULL) {
            (void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
        }
    }
    screen_cell(r->s, "%s", kind);
    screen_cell(r->s, "%s", user);
    screen_cell(r->s, "%s", mailbox);
    screen_cell(r->s, "%s", uid);
    screen_cell(r->s, "%s", date);
    screen_cell(r->s, "%s", size);
    screen_cell(r->s, "%s", guid);
    screen_cell(r->s, "%s", r->shard->name);
}

static void take_user(struct report *r, const Mq__LossUser *u)
{
    if (u->mailboxes != u->mailboxes_lost) {
        return; /* some of its mailboxes are elsewhere too */
    }
    r->users++;
    if (report_room(r)) {
        row(r, "user", u->user, "", NULL);
        json_array_append_new(
            r->json_users, json_pack("{s:o, s:I, s:o}", "user", json_text(u->user), "mailboxes",
                                     (json_int_t)u->mailboxes, "shard", json_text(r->shard->name)));
    }
}

/* The same mailbox may go on, on the next page. */
static bool begins(struct report *r, const Mq__LossMailbox *b)
{
    if (strcmp(r->box_user, b->user) == 0 && b->guid.len == sizeof(r->box_guid.bytes) &&
        memcmp(r->box_guid.bytes, b->guid.data, b->guid.len) == 0) {
        return false;
    }
    snprintf(r->box_user, sizeof(r->box_user), "%s", b->user);
    if (b->guid.len == sizeof(r->box_guid.bytes)) {
        memcpy(r->box_guid.bytes, b->guid.data, b->guid.len);
    }
    return true;
}

static void box_begin(struct report *r, const Mq__LossMailbox *b)
{
    r->mailboxes += b->whole ? 1 : 0;
    if (b->whole && report_room(r)) {
        row(r, "mailbox", b->user, b->name, NULL);
    }
    r->json_box = NULL;
    if (r->rows <= r->rows_max) {
        r->json_box = json_pack("{s:o, s:o, s:o, s:I, s:b, s:o, s:[]}", "user", json_text(b->user),
                                "mailbox", json_text(b->name), "guid",
                                json_hex((struct bytes){b->guid.data, b->guid.len}), "uidvalidity",
                                (json_int_t)b->uidvalidity, "whole", b->whole, "shard",
                                json_text(r->shard->name), "messages");
        json_array_append_new(r->json_boxes, r->json_box);
    }
}

static void take_box(struct report *r, const Mq__LossMailbox *b)
{
    if (begins(r, b)) {
        box_begin(r, b);
    }
    for (size_t i = 0; i < b->n_messages; i++) {
        const Mq__LossMessage *m = b->messages[i];
        r->messages++;
        r->bytes += m->size;
        if (!report_room(r)) {
            continue;
        }
        row(r, "message", b->user, b->name, m);
        if (r->json_box != NULL) {
            json_array_append_new(
                json_object_get(r->json_box, "messages"),
                json_pack("{s:I, s:o, s:o, s:o}", "uid", (json_int_t)m->uid, "guid",
                          json_hex((struct bytes){m->guid.data, m->guid.len}), "date",
                          json_time(m->internal_date > 0 ? (uint64_t)m->internal_date * 1000 : 0),
                          "size_bytes", json_u64(m->size)));
        }
    }
}

static enum status walk_shard(struct report *r, struct call_answer *a, enum exit_code *out_code)
{
    Mq__Query query = MQ__QUERY__INIT;
    Mq__QueryLoss body = MQ__QUERY_LOSS__INIT;
    struct page_position after = {.size = 0};
    bool more = true;
    body.site = (char *)(uintptr_t)r->site;
    query.body_case = MQ__QUERY__BODY_LOSS;
    query.loss = &body;
    while (more) {
        Mq__QueryResult *result;
        enum status s = ctl_query(r->c, NULL, r->shard->shard, &query, a, &result, out_code);
        if (s != OK) {
            return s;
        }
        for (size_t i = 0; i < result->n_loss_users; i++) {
            take_user(r, result->loss_users[i]);
        }
        for (size_t i = 0; i < result->n_loss_mailboxes; i++) {
            take_box(r, result->loss_mailboxes[i]);
        }
        r->unreported += result->loss_unreported;
        more = result->more;
        if (more) {
            s = page_next(r->c, &after,
                          (struct bytes){result->loss_after.data, result->loss_after.len}, a,
                          out_code);
            body.after = (ProtobufCBinaryData){after.size, after.data};
        }
        mq__query_result__free_unpacked(result, NULL);
        if (s != OK) {
            return s;
        }
    }
    return OK;
}

/* ---- what it cannot know ---- */

static bool there(const struct report *r, const struct store_sum *x)
{
    return strcmp(x->site, r->site) == 0;
}

static void window_line(struct report *r, const struct store_sum *x)
{
    char span[SPAN_TEXT_SIZE];
    bool at_site = there(r, x);
    if (x->site[0] == '\0') {
        screen_line(
            r->s,
            "store %s (%s) does not say where it stands: what it holds counts as held elsewhere",
            x->store, x->shard_name);
    } else if (x->complete_ms == 0) {
        screen_line(
            r->s, "store %s at %s (%s) has never said that all it holds is reported: %s", x->store,
            x->site, x->shard_name,
            at_site ? "more may be lost than is listed" : "more may be safe than is counted");
    } else if (at_site) {
        screen_line(r->s,
                    "store %s at %s (%s): all it held %s ago is counted; what came since may be "
                    "lost as well",
                    x->store, x->site, x->shard_name, store_behind(x, r->now_ms, span));
    } else {
        screen_line(r->s, "store %s at %s (%s): what it holds is known as of %s ago", x->store,
                    x->site, x->shard_name, store_behind(x, r->now_ms, span));
    }
}

/* The site's stores first. */
static void show_windows(struct report *r, const struct store_sums *sums)
{
    json_t *windows = json_array();
    unsigned shown = 0;
    for (int at_site = 1; at_site >= 0; at_site--) {
        for (unsigned i = 0; i < sums->n; i++) {
            const struct store_sum *x = &sums->of[i];
            if (there(r, x) != (at_site != 0)) {
                continue;
            }
            json_t *j = store_sum_json(x, r->now_ms);
            json_object_set_new(j, "at_lost_site", json_boolean(at_site));
            json_array_append_new(windows, j);
            if (shown++ < WINDOWS_SHOWN) {
                window_line(r, x);
            }
        }
    }
    if (shown > WINDOWS_SHOWN) {
        screen_line(r->s, "and %u more stores: clusterctl store list", shown - WINDOWS_SHOWN);
    }
    if (r->unreported > 0) {
        screen_line(r->s, "users of whom no site has ever reported anything: %" PRIu64,
                    r->unreported);
    }
    report_queues_show(r);
    json_object_set_new(r->s->data, "windows", windows);
}

void report_window(struct report *r, uint64_t window_ms)
{
    r->facts.window_ms = window_ms > r->facts.window_ms ? window_ms : r->facts.window_ms;
}

/* Also of copies elsewhere: what they hold is part of the proof. Returns how many messages are there. */
static uint64_t store_facts(struct report *r, const struct store_sums *sums)
{
    uint64_t messages = 0;
    for (unsigned i = 0; i < sums->n; i++) {
        const struct store_sum *x = &sums->of[i];
        bool here = there(r, x);
        if (here) {
            r->facts.stores++;
            r->facts.feeds_unheard += report_feed_heard(r, NULL, x->store) ? 0 : 1;
            messages += x->messages;
        }
        if (!here && x->messages == 0) {
            continue;
        }
        r->facts.stores_without_site += x->site[0] == '\0' ? 1 : 0;
        if (x->complete_ms == 0) {
            r->facts.stores_unpositioned++;
        } else {
            report_window(r, r->now_ms > x->complete_ms ? r->now_ms - x->complete_ms : 0);
        }
    }
    return messages;
}

static unsigned show_proof(struct report *r)
{
    unsigned gaps = proof_gaps(&r->facts);
    json_t *names = json_array();
    for (unsigned i = 0; i < PROOF_GAPS; i++) {
        unsigned gap = gaps & 1u << i;
        if (gap != 0) {
            json_array_append_new(names, json_string(proof_gap_name(gap)));
        }
        if (gap != 0 && r->facts.nothing) {
            screen_line(r->s, "not proved: %s", proof_gap_text(gap));
        }
    }
    json_object_set_new(r->s->data, "proved", json_boolean(gaps == 0));
    json_object_set_new(r->s->data, "unproved", names);
    return gaps;
}

static void show_totals(struct report *r, const struct store_sums *sums)
{
    char size[SPAN_TEXT_SIZE], span[SPAN_TEXT_SIZE];
    bool nothing = r->users == 0 && r->mailboxes == 0 && r->messages == 0 && r->queued == 0;
    uint64_t held = store_facts(r, sums);
    struct proof_facts *f = &r->facts;
    f->nothing = nothing;
    f->local = r->c->arguments.options.local;
    f->users_unreported = r->unreported;
    f->queues = r->queues;
    f->queues_without_site = r->unplaced;
    f->feeds_troubled = report_feeds_troubled(r);
    unsigned gaps = show_proof(r);
    if (f->stores == 0 && r->queued == 0) {
        snprintf(r->s->summary, sizeof(r->s->summary),
                 "if %s burned now: not known; no mail store there has reported anything", r->site);
    } else if (nothing) {
        snprintf(r->s->summary, sizeof(r->s->summary),
                 "if %s burned now: nothing%s would be lost, as of %s ago; each of the %" PRIu64
                 " messages that its stores hold is at another site too",
                 r->site, gaps == 0 ? "" : " that is known", span_format(f->window_ms, span), held);
    } else {
        snprintf(r->s->summary, sizeof(r->s->summary),
                 "if %s burned now: %" PRIu64 " messages (%s) would be lost, with %" PRIu64
                 " whole mailboxes and %" PRIu64 " users, and %" PRIu64 " queued messages",
                 r->site, r->messages, size_format(r->bytes, size), r->mailboxes, r->users,
                 r->queued);
    }
    if (r->unplaced_messages > 0) {
        size_t n = strlen(r->s->summary);
        snprintf(r->s->summary + n, sizeof(r->s->summary) - n,
                 "; %" PRIu64
                 " queued messages are not counted, because nobody knows where they are",
                 r->unplaced_messages);
    }
    if (r->rows > r->rows_max) {
        screen_note(r->s,
                    "%" PRIu64 " of %" PRIu64
                    " rows shown; --limit N shows more, -o csv or -o json all",
                    r->rows_max, r->rows);
    }
    json_object_set_new(r->s->data, "site", json_text(r->site));
    json_object_set_new(r->s->data, "nothing", json_boolean(nothing && f->stores > 0));
    json_object_set_new(
        r->s->data, "totals",
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "users", json_u64(r->users), "mailboxes",
                  json_u64(r->mailboxes), "messages", json_u64(r->messages), "size_bytes",
                  json_u64(r->bytes), "users_never_reported", json_u64(r->unreported),
                  "messages_held_there", json_u64(held)));
    json_object_set_new(r->s->data, "rows_left_out",
                        json_u64(r->rows > r->rows_max ? r->rows - r->rows_max : 0));
}

/* ---- the command ---- */

static enum status check_site(struct report *r, const Mq__Founding *f,
                              const struct store_sums *sums, enum exit_code *out_code)
{
    struct suggestion near;
    bool known = false;
    suggestion_init(&near, r->site);
    for (size_t i = 0; i < f->n_nodes; i++) {
        suggestion_offer(&near, f->nodes[i]->site);
        known = known || strcmp(f->nodes[i]->site, r->site) == 0;
    }
    for (unsigned i = 0; i < sums->n; i++) {
        suggestion_offer(&near, sums->of[i].site);
        known = known || (sums->of[i].site[0] != '\0' && there(r, &sums->of[i]));
    }
    if (!known) {
        *out_code = ctl_refuse(r->c, STATUS_NOT_FOUND, "there is no site %s%s%s%s", r->site,
                               near.best != NULL ? ", did you mean " : "",
                               near.best != NULL ? near.best : "", near.best != NULL ? "?" : "");
    }
    return known ? OK : STATUS_NOT_FOUND;
}

static enum status gather(struct report *r, struct store_sums *sums, struct call_answer *a,
                          enum exit_code *out_code)
{
    const Mq__Founding *f;
    enum status s = ctl_founding(r->c, &f, out_code);
    s = s == OK ? store_sums_fetch(r->c, a, sums, out_code) : s;
    s = s == OK ? check_site(r, f, sums, out_code) : s;
    s = s == OK ? report_feeds(r, out_code) : s;
    for (size_t i = 0; s == OK && i < f->n_shards; i++) {
        r->shard = f->shards[i];
        if (r->shard->shard != SHARD_DIRECTORY) {
            snprintf(r->c->doing, sizeof(r->c->doing), "shard %.200s", r->shard->name);
            s = walk_shard(r, a, out_code);
            s = s == OK ? report_queues(r, a, out_code) : s;
        }
    }
    r->c->doing[0] = '\0';
    return s;
}

enum exit_code run_report_lost_site(struct ctl *c)
{
    static const char *const columns[] = {"WHAT", "USER", "MAILBOX", "UID",
                                          "DATE", "SIZE", "GUID",    "SHARD"};
    const struct options *o = &c->arguments.options;
    struct screen s;
    struct store_sums sums = {0};
    struct call_answer a = {0};
    enum exit_code code = EXIT_HEALTHY;
    bool people = o->output == OUTPUT_TABLE || o->output == OUTPUT_WIDE;
    struct report r = {.c = c, .site = c->arguments.args[0], .s = &s};
    r.now_ms = clock_wall_ms(&clock_system);
    r.rows_max = o->limit != 0 ? o->limit : people ? ROWS_SHOWN_TABLE : ROWS_SHOWN_ALL;
    screen_init(&s, "lost_site");
    r.json_users = json_array();
    r.json_boxes = json_array();
    r.json_queue = json_array();
    r.json_unplaced = json_array();
    r.json_queue_windows = json_array();
    json_object_set_new(s.data, "users", r.json_users);
    json_object_set_new(s.data, "mailboxes", r.json_boxes);
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&s, columns[i]);
    }
    enum status status = gather(&r, &sums, &a, &code);
    if (status == OK) {
        ctl_source(c, &s, &a);
        show_windows(&r, &sums);
        show_totals(&r, &sums);
    }
    store_sums_free(&sums);
    call_answer_clear(&a);
    mq__admin_result__free_unpacked(r.feeds, NULL);
    json_decref(r.json_queue);
    json_decref(r.json_unplaced);
    json_decref(r.json_queue_windows);
    if (status != OK) {
        screen_deinit(&s);
        return code;
    }
    return ctl_finish(c, &s, EXIT_HEALTHY);
}
