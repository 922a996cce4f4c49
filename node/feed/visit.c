/* The steps of a visit; the questions to the cluster are in visit_ask.c, the IMAP session in visit_session.c. visit_advance() is
 * the one place that decides what comes next. */
#include "node/feed/visit.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log_line.h"
#include "base/must.h"
#include "node/feed/doveadm.h"
#include "node/feed/visit_internal.h"

#define EXIT_NO_USER 67 /* EX_NOUSER of sysexits.h, as doveadm uses it */

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *h)
{
    struct visit *v = h->data;
    for (uint32_t i = 0; i < v->boxes_n; i++) {
        free(v->boxes[i].name);
    }
    free(v->boxes);
    free(v->gone);
    listing_deinit(&v->listing);
    buffer_deinit(&v->payload);
    buffer_deinit(&v->input);
    v->done(v);
}

/* When nothing of ours is under way any more. */
static void maybe_over(struct visit *v)
{
    if (v->step != VISIT_OVER || v->asking || child_active(&v->child) || !v->timer_open) {
        return;
    }
    if (v->pull_live) {
        v->world->counters->keywords_dropped += v->pull.keywords_dropped;
        imap_pull_deinit(&v->pull);
        v->pull_live = false;
    }
    v->timer_open = false;
    uv_close((uv_handle_t *)&v->timer, on_timer_closed);
}

/* When it dies in the middle of a mailbox: says which, and the next visit takes that one last. */
static size_t died_text(struct visit *v, enum visit_end end)
{
    bool died = v->box_open && !v->stopping && (end == VISIT_FAILED || end == VISIT_SLOW);
    if (!died) {
        return 0;
    }
    v->user->died_at = v->boxes[v->box_at].guid;
    snprintf(v->why, sizeof(v->why), "mailbox \"%.200s\": ", v->boxes[v->box_at].name);
    return strlen(v->why);
}

void visit_over(struct visit *v, enum visit_end end, const char *format, ...)
{
    if (v->step != VISIT_OVER) {
        va_list args;
        size_t n = died_text(v, end);
        va_start(args, format);
        vsnprintf(v->why + n, sizeof(v->why) - n, format, args);
        va_end(args);
        v->end = end;
        v->step = VISIT_OVER;
        v->retrying = false;
        uv_timer_stop(&v->timer);
        child_kill(&v->child);
    }
    maybe_over(v);
}

void visit_stop(struct visit *v)
{
    v->stopping = true;
    visit_over(v, VISIT_FAILED, "stopping");
}

/* ---- listing ---- */

static void box_add(struct visit *v, const struct listing_row *row)
{
    if (v->boxes_n == v->boxes_capacity) {
        uint32_t capacity = v->boxes_capacity == 0 ? 16 : v->boxes_capacity * 2;
        struct visit_box *boxes =
            capacity > 2 * PULL_MAILBOXES_MAX ? NULL : realloc(v->boxes, capacity * sizeof(*boxes));
        if (boxes == NULL) {
            v->listing_status = STATUS_TOO_BIG;
            return;
        }
        v->boxes = boxes;
        v->boxes_capacity = capacity;
    }
    char *name = strdup(row->name);
    if (name == NULL) {
        v->listing_status = STATUS_NO_MEMORY;
        return;
    }
    v->boxes[v->boxes_n++] = (struct visit_box){
        row->guid, row->uidvalidity, row->uidnext, row->highestmodseq, name, false};
}

static void on_row(void *arg, const struct listing_row *row)
{
    struct visit *v = arg;
    if (!visit_maybe_own(v->world, v->user, row->name)) {
        return; /* not to be reported: the cluster shall not have it either */
    }
    if ((row->has & LISTING_HAS_STATUS) != LISTING_HAS_STATUS) {
        v->rows_short++;
        return;
    }
    if (v->listings == 1) {
        box_add(v, row);
        return;
    }
    for (uint32_t i = 0; i < v->gone_n; i++) { /* it was only renamed: look again soon */
        if (uuid_equal(&v->gone[i], &row->guid)) {
            v->gone[i] = v->gone[--v->gone_n];
            v->user->again = v->left_over = true;
            break;
        }
    }
}

static void listing_output(struct child *c, const uint8_t *data, size_t size)
{
    struct visit *v = c->arg;
    enum status s = listing_input(&v->listing, data, size);
    if (s != OK) {
        v->listing_status = s;
    }
}

static void listing_ended(struct child *c)
{
    struct visit *v = c->arg;
    listing_end(&v->listing);
    visit_advance(v);
}

static void listing_start(struct visit *v)
{
    const char *const words[] = {
        "-f", "tab", "mailbox", "status", "-u", v->user->name, DOVEADM_STATUS_FIELDS, "*", NULL};
    v->step = VISIT_LISTING;
    v->listings++;
    v->listing_status = OK;
    v->rows_short = 0;
    listing_deinit(&v->listing);
    listing_init(&v->listing, on_row, v);
    v->child.output = listing_output;
    v->child.ended = listing_ended;
    v->child.arg = v;
    if (doveadm_start(&v->child, v->world->loop, v->world->config, words, -1) != OK) {
        visit_over(v, VISIT_FAILED, "out of memory");
    }
}

static int compare_boxes(const void *a, const void *b)
{
    const struct visit_box *x = a, *y = b;
    return memcmp(x->guid.bytes, y->guid.bytes, sizeof(x->guid.bytes));
}

static bool listed(const struct visit_box *boxes, uint32_t n, const struct uuid *guid)
{
    struct visit_box key = {.guid = *guid};
    return n > 0 && bsearch(&key, boxes, n, sizeof(key), compare_boxes) != NULL;
}

uint32_t visit_first_box(const struct visit_box *boxes, uint32_t n, const struct uuid *died_at)
{
    uint32_t i = 0;
    while (i < n && memcmp(boxes[i].guid.bytes, died_at->bytes, sizeof(died_at->bytes)) <= 0) {
        i++;
    }
    return i < n ? i : 0;
}

bool visit_inbox_replaced(struct feed_user *u, const struct visit_box *boxes, uint32_t n)
{
    const struct visit_box *inbox = NULL;
    uint64_t hash = feed_name_hash("INBOX");
    for (uint32_t i = 0; i < n && inbox == NULL; i++) {
        inbox = strcmp(boxes[i].name, "INBOX") == 0 ? &boxes[i] : NULL;
    }
    const struct feed_mailbox *known = inbox == NULL ? NULL : feed_user_find(u, &inbox->guid);
    for (uint32_t i = 0; i < u->mailboxes_n; i++) {
        const struct feed_mailbox *m = &u->mailboxes[i];
        bool missing = m->present && m->name_hash == hash && !listed(boxes, n, &m->guid);
        if (missing &&
            (known == NULL || !known->present || m->cursor.uidvalidity <= inbox->uidvalidity)) {
            return true;
        }
    }
    return false;
}

static void look_at_inbox(struct visit *v)
{
    struct troubles *t = v->world->troubles;
    v->inbox_held = v->world->config->inbox_replaced == INBOX_REPLACED_HOLD &&
                    visit_maybe_own(v->world, v->user, "INBOX") &&
                    visit_inbox_replaced(v->user, v->boxes, v->boxes_n);
    if (v->inbox_held) {
        trouble_raise(
            t, "MQ-FEED-INBOX-REPLACED", v->user->name, clock_wall_ms(&clock_system),
            "mount its mail store; if this is meant: [dovecot] inbox_replaced = delete (for all "
            "users of that host: set it back afterwards), and restart the feed",
            "the INBOX is gone, or another mailbox than before: is the mail store mounted? "
            "Nothing of this user is reported as deleted");
    } else {
        trouble_clear(t, "MQ-FEED-INBOX-REPLACED", v->user->name);
    }
}

static enum status find_gone(struct visit *v)
{
    v->gone = calloc(v->user->mailboxes_n + 1, sizeof(*v->gone));
    if (v->gone == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < v->user->mailboxes_n; i++) {
        const struct feed_mailbox *m = &v->user->mailboxes[i];
        if (m->present && !listed(v->boxes, v->boxes_n, &m->guid)) {
            v->gone[v->gone_n++] = m->guid;
        }
    }
    return OK;
}

void visit_report_name(const struct visit *v, const char *name, char out[MAILBOX_NAME_MAX + 1])
{
    snprintf(out, MAILBOX_NAME_MAX + 1, "%s", name);
    mailbox_name_swap_separator(out, v->world->separator);
}

bool visit_maybe_own(const struct visit_world *world, const struct feed_user *u, const char *name)
{
    const struct setting_list *exclude = &world->config->exclude;
    for (unsigned i = 0; i < exclude->n; i++) {
        if (strncmp(name, exclude->items[i], strlen(exclude->items[i])) == 0) {
            return false;
        }
    }
    bool known = u->namespaces_hash != 0 && u->namespaces_hash == world->namespaces.hash;
    return !known || namespaces_own(&world->namespaces, name);
}

bool visit_box_differs(struct visit *v, const struct visit_box *b)
{
    struct listing_row row = {
        .uidvalidity = b->uidvalidity, .uidnext = b->uidnext, .highestmodseq = b->highestmodseq};
    char name[MAILBOX_NAME_MAX + 1];
    const struct feed_mailbox *m = feed_user_find(v->user, &b->guid);
    visit_report_name(v, b->name, name);
    return m == NULL || roster_differs(m, &row, feed_name_hash(name));
}

static void listing_failed(struct visit *v)
{
    const struct child *c = &v->child;
    if (c->timed_out) {
        visit_over(v, VISIT_SLOW, "its listing was silent for %llu ms and was killed",
                   (unsigned long long)v->world->config->pull_deadline_ms);
    } else if (c->exit_status == EXIT_NO_USER) {
        visit_over(v, VISIT_UNKNOWN_USER, "Dovecot has no such user");
    } else {
        visit_over(v, VISIT_FAILED, "doveadm mailbox status: exit %lld signal %d: %s",
                   (long long)c->exit_status, c->signal, c->error);
    }
}

/* Of what a child wrote to stderr, where line ends are '|'. */
static const char *last_line(const struct child *c)
{
    const char *line = c->error;
    for (const char *at = c->error; *at != '\0'; at++) {
        line = at[0] == '|' && at[1] != '\0' ? at + 1 : line;
    }
    return line;
}

/* What was listed counts, what was not does not. */
static void listing_incomplete(struct visit *v)
{
    const struct child *c = &v->child;
    uint32_t unread = v->listing.bad + v->rows_short;
    log_warn("event=feed.listing_incomplete user=%s exit=%lld bad_rows=%u error=\"%s\"",
             v->user->name, (long long)c->exit_status, unread, c->error);
    snprintf(v->incomplete, sizeof(v->incomplete),
             "not all its mailboxes could be listed: exit %lld, %u rows not understood: %.300s",
             (long long)c->exit_status, unread, last_line(c));
    v->gone_n = 0;
}

static void after_listing(struct visit *v)
{
    bool succeeded = doveadm_listing_whole(&v->child) && v->listing_status == OK;
    v->incomplete[0] = '\0';
    if (v->listings == 1 && v->boxes_n > 0) {
        qsort(v->boxes, v->boxes_n, sizeof(*v->boxes), compare_boxes);
    }
    if (!succeeded && (v->boxes_n == 0 || v->child.timed_out || v->listing_status != OK)) {
        snprintf(v->incomplete, sizeof(v->incomplete), "nothing could be listed");
        if (v->listing_status != OK) {
            visit_over(v, VISIT_FAILED, "the listing: %s", status_text(v->listing_status));
        } else {
            listing_failed(v);
        }
        return;
    }
    if (!succeeded || v->listing.bad > 0 || v->rows_short > 0) {
        listing_incomplete(v);
    } else if (v->listings == 1) {
        look_at_inbox(v);
        if (!v->inbox_held && find_gone(v) != OK) {
            visit_over(v, VISIT_FAILED, "out of memory");
            return;
        }
        if (v->gone_n > 0) {
            listing_start(v);
            return;
        }
    }
    v->step = VISIT_DELETED;
    visit_advance(v);
}

/* ---- what comes next ---- */

static bool anything_differs(struct visit *v)
{
    bool differs = v->gone_n > 0 || v->subscriptions_wanted;
    for (uint32_t i = 0; i < v->boxes_n && !differs; i++) {
        differs = visit_box_differs(v, &v->boxes[i]);
    }
    return differs;
}

static void next_deleted(struct visit *v)
{
    if (v->gone_at < v->gone_n) {
        visit_ask(v, ASK_DELETED);
        return;
    }
    v->gone_n = v->gone_at = 0;
    if (anything_differs(v)) {
        v->step = VISIT_SESSION;
        visit_session_start(v);
    } else {
        visit_reported(v);
    }
}

void visit_reported(struct visit *v)
{
    if (v->boxes_failed > 0) {
        visit_over(v, VISIT_FAILED, "%u mailboxes could not be read%s%s", v->boxes_failed,
                   v->incomplete[0] != '\0' ? "; " : "", v->incomplete);
    } else if (v->incomplete[0] != '\0') {
        visit_over(v, VISIT_FAILED, "%s", v->incomplete);
    } else if (v->inbox_held) {
        visit_over(v, VISIT_FAILED, "its INBOX is gone, or another mailbox than before");
    } else {
        visit_over(v, VISIT_OK, "ok");
    }
}

bool visit_keeps_apart(const struct visit *v, bool before)
{
    if (v->end == VISIT_OK || v->end == VISIT_UNKNOWN_USER) {
        return false; /* the common listing passes over a user that Dovecot does not know */
    }
    return v->end == VISIT_SLOW || (v->listings == 0 ? before : v->incomplete[0] != '\0');
}

void visit_advance(struct visit *v)
{
    switch (v->step) {
        case VISIT_CURSORS:
            listing_start(v);
            break;
        case VISIT_LISTING:
            after_listing(v);
            break;
        case VISIT_DELETED:
            next_deleted(v);
            break;
        case VISIT_SESSION:
            visit_session_advance(v);
            break;
        case VISIT_OVER:
            maybe_over(v);
            break;
    }
}

static void child_silent(struct child *c)
{
    struct visit *v = c->arg;
    v->world->silent(v->world->arg, v->user, c->process.pid, c->deadline_ms / 2);
}

enum status visit_start(struct visit *v, struct visit_world *world, struct feed_user *user)
{
    v->world = world;
    v->user = user;
    v->end = VISIT_FAILED;
    v->ask = v->ask_after_lease = ASK_NOTHING;
    v->child.silent = child_silent;
    v->subscriptions_wanted = user->subscriptions_changed;
    user->subscriptions_changed = false;
    must(uv_timer_init(world->loop, &v->timer) == 0);
    v->timer.data = v;
    v->timer_open = true;
    world->counters->visits++;
    v->step = VISIT_CURSORS;
    if (user->loaded) {
        visit_advance(v);
    } else {
        visit_ask(v, ASK_CURSORS);
    }
    return OK;
}
