/* Reading and judging the words of feeds; see the header. */
#include "ctl/feed_view.h"

#include <inttypes.h>
#include <string.h>

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

bool feed_view_read(const Mq__FeedView *from, struct feed_view *f)
{
    const Mq__FeedStatus *s = from->status;
    if (s == NULL || s->n_troubles > FEED_TROUBLES_MAX) {
        return false;
    }
    copy_text(f->host, sizeof(f->host), s->host);
    copy_text(f->site, sizeof(f->site), s->site);
    copy_text(f->store, sizeof(f->store), s->store);
    copy_text(f->version, sizeof(f->version), s->version);
    copy_text(f->node, sizeof(f->node), from->node);
    f->age_ms = from->age_ms;
    f->started_ms = s->started_ms;
    f->sweep_end_ms = s->sweep_end_ms;
    f->sweep_took_ms = s->sweep_took_ms;
    f->sweep_interval_ms = s->sweep_interval_ms;
    f->pending_since_ms = s->pending_since_ms;
    f->users = s->users;
    f->users_pending = s->users_pending;
    f->mailboxes = s->mailboxes;
    f->stopping = s->stopping;
    f->more_troubles = s->more_troubles;
    f->troubles_n = (unsigned)s->n_troubles;
    for (unsigned i = 0; i < f->troubles_n; i++) {
        struct feed_trouble *t = &f->troubles[i];
        copy_text(t->id, sizeof(t->id), s->troubles[i]->id);
        copy_text(t->object, sizeof(t->object), s->troubles[i]->object);
        copy_text(t->text, sizeof(t->text), s->troubles[i]->text);
        copy_text(t->hint, sizeof(t->hint), s->troubles[i]->hint);
        t->since_ms = s->troubles[i]->since_ms;
    }
    return true;
}

bool feed_view_silent(const struct feed_view *f)
{
    return f->stopping || f->age_ms > FEED_SILENT_MS;
}

static enum severity judge_silence(const struct feed_view *f, uint64_t now_ms, struct screen *s)
{
    char text[700], hint[400], span[SPAN_TEXT_SIZE];
    if (f->stopping) {
        snprintf(
            text, sizeof(text),
            "the feed of store %s on %s (%s) was stopped %s ago: what happens in its mailboxes "
            "is not known here",
            f->store, f->host, f->site, span_format(f->age_ms, span));
    } else {
        snprintf(text, sizeof(text),
                 "the feed of store %s on %s (%s) has been silent for %s: what happens in its "
                 "mailboxes is not known here",
                 f->store, f->host, f->site, span_format(f->age_ms, span));
    }
    snprintf(
        hint, sizeof(hint),
        "on %s: is mailfeed running, and does it reach a node (its log says which it tries)? A "
        "retired host is forgotten a day after its last word",
        f->host);
    screen_message(s, "FEED_SILENT", SEVERITY_YELLOW, f->host, text, hint);
    screen_message_more(s, now_ms > f->age_ms ? now_ms - f->age_ms : 0, "");
    return SEVERITY_YELLOW;
}

static bool sweeps_late(const struct feed_view *f, uint64_t now_ms, uint64_t *out_late_ms)
{
    uint64_t since = f->sweep_end_ms != 0 ? f->sweep_end_ms : f->started_ms;
    uint64_t most = FEED_SWEEPS_LATE * f->sweep_interval_ms + f->sweep_took_ms;
    *out_late_ms = now_ms > since ? now_ms - since : 0;
    return *out_late_ms > (most > FEED_SWEEP_LATE_MIN ? most : FEED_SWEEP_LATE_MIN);
}

enum severity feed_view_judge(const struct feed_view *f, uint64_t now_ms, unsigned max,
                              struct screen *s)
{
    char text[1024], object[600], span[SPAN_TEXT_SIZE];
    uint64_t late_ms;
    if (feed_view_silent(f)) {
        return judge_silence(f, now_ms, s);
    }
    enum severity severity = SEVERITY_OK;
    if (sweeps_late(f, now_ms, &late_ms)) {
        snprintf(text, sizeof(text),
                 "the feed on %s has not looked at all mailboxes for %s (it should each %" PRIu64
                 " s)",
                 f->host, span_format(late_ms, span), f->sweep_interval_ms / 1000);
        screen_message(s, "FEED_SWEEP_LATE", SEVERITY_YELLOW, f->host, text,
                       "look at its log; a user that hangs is named there");
        screen_message_more(s, now_ms - late_ms, "");
        severity = SEVERITY_YELLOW;
    }
    for (unsigned i = 0; i < f->troubles_n && i < max; i++) {
        const struct feed_trouble *t = &f->troubles[i];
        snprintf(object, sizeof(object), "%s%s%s", f->host, t->object[0] != '\0' ? ": " : "",
                 t->object);
        snprintf(text, sizeof(text), "%s%s%s: %s", t->object, t->object[0] != '\0' ? " on " : "",
                 f->host, t->text);
        screen_message(s, t->id, SEVERITY_YELLOW, object, text, t->hint);
        screen_message_more(s, t->since_ms, "");
        severity = SEVERITY_YELLOW;
    }
    if (f->troubles_n > max || f->more_troubles) {
        snprintf(text, sizeof(text), "the feed on %s has %s%u troubles", f->host,
                 f->more_troubles ? "more than " : "", f->troubles_n);
        snprintf(object, sizeof(object), "clusterctl feed show %s", f->host);
        screen_message(s, "FEED_TROUBLES", SEVERITY_YELLOW, f->host, text, object);
        severity = SEVERITY_YELLOW;
    }
    return severity;
}
