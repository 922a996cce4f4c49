/* clusterctl feed list, show: the feeds on the mail hosts, as they last spoke. A node that was just started learns of a silent feed from the
 * others; the newest word wins. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/suggestion.h"
#include "ctl/status.h"

static json_t *trouble_json(const struct feed_trouble *t)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "id", json_text(t->id), "object",
                     t->object[0] != '\0' ? json_text(t->object) : json_null(), "since",
                     json_time(t->since_ms), "text", json_text(t->text), "hint",
                     t->hint[0] != '\0' ? json_text(t->hint) : json_null());
}

static json_t *feed_json(const struct feed_view *f)
{
    json_t *troubles = json_array();
    for (unsigned i = 0; i < f->troubles_n; i++) {
        json_array_append_new(troubles, trouble_json(&f->troubles[i]));
    }
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:b}",
        "host", json_text(f->host), "site", json_text(f->site), "store", json_text(f->store),
        "version", json_text(f->version), "node", json_text(f->node), "age_seconds",
        json_seconds(true, f->age_ms), "silent", feed_view_silent(f), "stopped", f->stopping,
        "started", json_time(f->started_ms), "users", json_u64(f->users), "users_pending",
        json_u64(f->users_pending), "mailboxes", json_u64(f->mailboxes), "sweep_end",
        json_time(f->sweep_end_ms), "sweep_took_seconds",
        json_seconds(f->sweep_end_ms != 0, f->sweep_took_ms), "sweep_interval_seconds",
        json_seconds(true, f->sweep_interval_ms), "pending_since", json_time(f->pending_since_ms),
        "troubles", troubles, "more_troubles", f->more_troubles);
}

static const char *ago(uint64_t at_ms, uint64_t now_ms, char span[SPAN_TEXT_SIZE])
{
    return at_ms == 0 ? "-" : span_format(now_ms > at_ms ? now_ms - at_ms : 0, span);
}

static void feed_row(const struct feed_view *f, uint64_t now_ms, struct screen *s)
{
    char a[SPAN_TEXT_SIZE];
    screen_cell(s, "%s", f->host);
    screen_cell(s, "%s", f->site);
    screen_cell(s, "%s", f->store);
    screen_cell(s, "%s", f->node);
    screen_cell(s, "%s%s",
                f->stopping           ? "stopped "
                : feed_view_silent(f) ? "SILENT "
                                      : "",
                span_format(f->age_ms, a));
    screen_cell(s, "%" PRIu64, f->users);
    screen_cell(s, "%" PRIu64, f->users_pending);
    screen_cell(s, "%" PRIu64, f->mailboxes);
    screen_cell(s, "%s", ago(f->sweep_end_ms, now_ms, a));
    screen_cell(s, "%s", ago(f->pending_since_ms, now_ms, a));
    screen_cell(s, "%u%s", f->troubles_n, f->more_troubles ? "+" : "");
}

struct feeds_shown {
    struct cluster_view *v;
    struct screen s;
    struct call_answer a;
};

static enum status open_feeds(struct ctl *c, const char *kind, struct feeds_shown *out,
                              enum exit_code *out_code)
{
    memset(out, 0, sizeof(*out));
    enum status s = status_fetch(c, STATUS_EXPLAIN_NOTHING, &out->v, &out->a, out_code);
    if (s == OK) {
        screen_init(&out->s, kind);
        status_source(out->v, &out->a, &out->s, c->arguments.options.local);
    }
    return s;
}

static enum exit_code close_feeds(struct ctl *c, struct feeds_shown *shown, enum severity severity)
{
    enum exit_code code = status_exit_code(shown->v, severity);
    if (shown->v->quorum) {
        shown->s.severity = severity;
    }
    cluster_view_free(shown->v);
    call_answer_clear(&shown->a);
    return ctl_finish(c, &shown->s, code);
}

enum exit_code run_feed_list(struct ctl *c)
{
    static const char *const columns[] = {"HOST",  "SITE",    "STORE",   "NODE",
                                          "HEARD", "USERS",   "PENDING", "MAILBOXES",
                                          "SWEPT", "WAITING", "TROUBLES"};
    struct feeds_shown shown;
    enum exit_code code;
    enum severity severity = SEVERITY_OK;
    unsigned silent = 0;
    uint64_t now_ms = clock_wall_ms(&clock_system);
    if (open_feeds(c, "feeds", &shown, &code) != OK) {
        return code;
    }
    json_t *rows = json_array();
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        screen_column(&shown.s, columns[i]);
    }
    for (unsigned i = 0; i < shown.v->feeds_n; i++) {
        const struct feed_view *f = &shown.v->feeds[i];
        enum severity its = feed_view_judge(f, now_ms, FEED_MESSAGES_MAX, &shown.s);
        severity = its > severity ? its : severity;
        silent += feed_view_silent(f);
        feed_row(f, now_ms, &shown.s);
        json_array_append_new(rows, feed_json(f));
    }
    json_object_set_new(shown.s.data, "feeds", rows);
    if (shown.v->quorum) {
        snprintf(shown.s.summary, sizeof(shown.s.summary), "%u feeds, %u silent", shown.v->feeds_n,
                 silent);
    }
    if (shown.v->feeds_n == 0) {
        screen_note(&shown.s,
                    "no feed has spoken in the last day. What to do: start mailfeed on "
                    "the mail hosts");
    }
    return close_feeds(c, &shown, severity);
}

static void show_feed(const struct feed_view *f, uint64_t now_ms, struct screen *s)
{
    char a[SPAN_TEXT_SIZE], b[SPAN_TEXT_SIZE];
    screen_line(s, "%s: store %s, site %s, mailfeed %s, running for %s", f->host, f->store, f->site,
                f->version, ago(f->started_ms, now_ms, a));
    screen_line(s, "  heard by %s %s ago%s", f->node, span_format(f->age_ms, a),
                f->stopping           ? ": it was stopped"
                : feed_view_silent(f) ? ": SILENT"
                                      : "");
    screen_line(s, "  %" PRIu64 " users with %" PRIu64 " mailboxes", f->users, f->mailboxes);
    if (f->sweep_end_ms != 0) {
        screen_line(s, "  last complete sweep %s ago, it took %s; one each %" PRIu64 " s",
                    ago(f->sweep_end_ms, now_ms, a), span_format(f->sweep_took_ms, b),
                    f->sweep_interval_ms / 1000);
    } else {
        screen_line(s, "  no complete sweep yet");
    }
    if (f->users_pending > 0) {
        screen_line(s, "  %" PRIu64 " users with changes not reported yet, the oldest known for %s",
                    f->users_pending, ago(f->pending_since_ms, now_ms, a));
    } else {
        screen_line(s, "  every change it knows of is reported");
    }
    for (unsigned i = 0; i < f->troubles_n; i++) {
        const struct feed_trouble *t = &f->troubles[i];
        screen_line(s, "  %s %s%sfor %s: %s", t->id, t->object, t->object[0] != '\0' ? " " : "",
                    ago(t->since_ms, now_ms, a), t->text);
        if (t->hint[0] != '\0') {
            screen_line(s, "    what to do: %s", t->hint);
        }
    }
    if (f->more_troubles) {
        screen_line(s, "  and more troubles: its log has them all");
    }
}

enum exit_code run_feed_show(struct ctl *c)
{
    struct feeds_shown shown;
    enum exit_code code;
    enum severity severity = SEVERITY_OK;
    struct suggestion near;
    const char *host = c->arguments.args_n > 0 ? c->arguments.args[0] : NULL;
    uint64_t now_ms = clock_wall_ms(&clock_system);
    unsigned n = 0;
    if (open_feeds(c, "feed", &shown, &code) != OK) {
        return code;
    }
    json_t *rows = json_array();
    suggestion_init(&near, host != NULL ? host : "");
    for (unsigned i = 0; i < shown.v->feeds_n; i++) {
        const struct feed_view *f = &shown.v->feeds[i];
        suggestion_offer(&near, f->host);
        if (host == NULL || strcmp(f->host, host) == 0) {
            enum severity its = feed_view_judge(f, now_ms, FEED_TROUBLES_MAX, &shown.s);
            severity = its > severity ? its : severity;
            show_feed(f, now_ms, &shown.s);
            json_array_append_new(rows, feed_json(f));
            n++;
        }
    }
    json_object_set_new(shown.s.data, "feeds", rows);
    if (n == 0) {
        code = ctl_refuse(c, STATUS_NOT_FOUND, "no feed%s%s has spoken in the last day%s%s%s",
                          host != NULL ? " on " : "", host != NULL ? host : "",
                          near.best != NULL ? ", did you mean " : "",
                          near.best != NULL ? near.best : "", near.best != NULL ? "?" : "");
        screen_deinit(&shown.s);
        cluster_view_free(shown.v);
        call_answer_clear(&shown.a);
        return code;
    }
    return close_feeds(c, &shown, severity);
}
