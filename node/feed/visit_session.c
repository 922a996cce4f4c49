/* The IMAP session of a visit: the child's bytes go through imap_pull; each page stops the reading until the cluster has it. */
#include "node/feed/visit_internal.h"

#include <string.h>

#include "base/log_line.h"
#include "node/feed/doveadm.h"

#define SESSION_INPUT_MAX (4u * CHILD_READ_MAX)

/* ---- the child ---- */

static void session_output(struct child *c, const uint8_t *data, size_t size)
{
    struct visit *v = c->arg;
    if (v->step == VISIT_OVER) {
        return;
    }
    if (buffer_append(&v->input, data, size) != OK) {
        visit_over(v, VISIT_FAILED, "out of memory");
        return;
    }
    if (!v->asking && !v->retrying) {
        visit_session_advance(v);
    }
}

static void session_ended(struct child *c)
{
    struct visit *v = c->arg;
    if (v->step == VISIT_OVER) {
        visit_over(v, v->end, "over");
        return;
    }
    if (v->asking || v->retrying) {
        return; /* the page is reported first; visit_session_advance sees that the child is gone */
    }
    visit_session_advance(v);
}

/* The child is gone and its bytes are eaten: well only after our logout. */
static void session_over(struct visit *v)
{
    const struct child *c = &v->child;
    if (c->timed_out) {
        visit_over(v, VISIT_SLOW, "its IMAP session was silent for %llu ms and was killed",
                   (unsigned long long)v->world->config->pull_deadline_ms);
    } else if (imap_pull_end(&v->pull) == PULL_FAILED) {
        visit_over(v, VISIT_FAILED, "IMAP session: %s; exit %lld: %s", v->pull.result_text,
                   (long long)c->exit_status, c->error);
    } else {
        visit_reported(v);
    }
}

void visit_session_start(struct visit *v)
{
    const char *const words[] = {"exec", "imap", "-u", v->user->name, NULL};
    buffer_init(&v->input, SESSION_INPUT_MAX);
    v->box_first = visit_first_box(v->boxes, v->boxes_n, &v->user->died_at);
    v->child.output = session_output;
    v->child.ended = session_ended;
    v->child.arg = v;
    enum status s = imap_pull_init(&v->pull);
    v->pull_live = true;
    s = s == OK ? doveadm_start(&v->child, v->world->loop, v->world->config, words, -1) : s;
    if (s != OK) {
        visit_over(v, VISIT_FAILED, "%s", status_text(s));
    }
}

static void write_commands(struct visit *v)
{
    struct bytes out = imap_pull_output(&v->pull);
    if (out.size == 0) {
        return;
    }
    enum status s = child_write(&v->child, out.data, out.size);
    imap_pull_written(&v->pull, out.size);
    if (s == STATUS_FULL) { /* one command at a time: cannot be, but must not be silent */
        visit_over(v, VISIT_FAILED, "the IMAP session does not read its commands");
    }
}

/* ---- pages ---- */

static void fill_box(struct visit *v, const struct visit_box *b)
{
    visit_report_name(v, b->name, v->box_name);
    v->box = (struct report_box){.user = v->user->name,
                                 .store = v->world->config->store,
                                 .name = v->box_name,
                                 .guid = b->guid,
                                 .uidvalidity = v->pull.uidvalidity,
                                 .uidnext = v->pull.uidnext,
                                 .highestmodseq = v->pull.highestmodseq,
                                 .from_modseq = v->pull.plan.from_modseq,
                                 .to_modseq = v->pull.plan.to_modseq,
                                 .subscribed = imap_pull_subscribed(&v->pull, b->name)};
}

/* Nothing in the page, and the cluster knows the name and the subscription already. */
static bool page_says_nothing(struct visit *v, const struct visit_box *b)
{
    const struct feed_mailbox *m = feed_user_find(v->user, &b->guid);
    return v->pull.plan.nothing && m != NULL && m->present &&
           m->name_hash == feed_name_hash(v->box_name) && m->subscribed == v->box.subscribed;
}

/* false: there is nothing to report, the reading goes on. */
static bool report_page(struct visit *v)
{
    const struct visit_box *b = &v->boxes[v->box_at];
    fill_box(v, b);
    if (v->discarding || page_says_nothing(v, b)) {
        return false;
    }
    v->world->counters->pages++;
    v->world->counters->messages += v->pull.page.messages_n;
    v->world->counters->vanished += v->pull.page.vanished_n;
    v->slice_last_max = UINT32_MAX;
    v->slice = report_slice(&v->pull.page, v->pull.page.first_uid, UINT32_MAX);
    child_pause(&v->child);
    visit_ask(v, ASK_SLICE);
    return true;
}

/* What the pull read is all that there is, as long as nothing moved since EXAMINE and the range ends there. True: everything is to be
 * compared. What even that leaves is said once and then known, so that no visit asks for it again. */
static bool count_messages(struct visit *v, struct feed_mailbox *m,
                           const struct report_place *place)
{
    const struct imap_pull *p = &v->pull;
    if (p->moved || p->plan.to_modseq != p->highestmodseq ||
        !report_count_differs(place, p->exists, m->excess)) {
        return false;
    }
    log_warn("event=feed.count_differs user=%s mailbox=\"%s\" record=%llu store=%u full=%d",
             v->user->name, v->box_name, (unsigned long long)place->messages, p->exists,
             p->plan.from_modseq == 0);
    if (p->plan.from_modseq == 0) {
        m->excess = (int64_t)place->messages - (int64_t)p->exists;
        return false;
    }
    v->user->again = v->left_over = true;
    return true;
}

/* The roster believes what the cluster has just said. */
static enum status move_cursor(struct visit *v, const struct report_place *place, uint32_t next_uid)
{
    struct feed_mailbox *m;
    enum status s = feed_user_get(v->user, &v->box.guid, &m);
    if (s != OK) {
        return s;
    }
    if (place->finished) {
        bool recount = count_messages(v, m, place);
        m->cursor = (struct pull_cursor){.uidvalidity = v->box.uidvalidity,
                                         .uidnext = v->box.uidnext,
                                         .modseq = v->box.to_modseq,
                                         .resync = recount};
        m->present = true;
        m->name_hash = feed_name_hash(v->box_name);
        m->subscribed = v->box.subscribed;
        return OK;
    }
    if (m->cursor.uidvalidity != v->box.uidvalidity) {
        m->cursor = (struct pull_cursor){.uidvalidity = v->box.uidvalidity};
    }
    m->cursor.resync = false;
    m->cursor.in_progress = true;
    m->cursor.from_modseq = v->box.from_modseq;
    m->cursor.to_modseq = v->box.to_modseq;
    m->cursor.next_uid = next_uid;
    return OK;
}

/* A full comparison counts when its beginning is applied: what the cluster never had costs nobody anything. */
static void count_full_compare(struct visit *v)
{
    if (v->slice.first_uid == 1 && v->pull.plan.from_modseq == 0) {
        v->world->counters->full_compares++;
        log_info("event=feed.full_compare user=%s mailbox=\"%s\" uidvalidity=%u why=\"%s\"",
                 v->user->name, v->box_name, v->pull.uidvalidity, v->pull.plan.why);
    }
}

void visit_slice_applied(struct visit *v, const struct report_place *place)
{
    const struct pull_page *page = &v->pull.page;
    count_full_compare(v);
    uint32_t next_uid = place->next_uid != 0 ? place->next_uid : v->slice.last_uid + 1;
    if (move_cursor(v, place, next_uid) != OK) {
        visit_over(v, VISIT_FAILED, "too many mailboxes, or out of memory");
        return;
    }
    child_touch(&v->child);
    if (!place->finished && next_uid != 0 && next_uid <= page->last_uid) {
        v->slice = report_slice(page, next_uid, UINT32_MAX);
        visit_ask(v, ASK_SLICE);
        return;
    }
    child_resume(&v->child);
    visit_session_advance(v);
}

void visit_session_discard(struct visit *v)
{
    v->discarding = true;
    child_resume(&v->child);
    visit_session_advance(v);
}

void visit_session_resync(struct visit *v)
{
    struct feed_mailbox *m = feed_user_find(v->user, &v->box.guid);
    if (m != NULL && v->ask == ASK_SLICE) {
        m->cursor.resync = true;
    } else {
        feed_user_unload(v->user);
    }
}

/* ---- mailboxes ---- */

static bool wanted(struct visit *v, const struct visit_box *b)
{
    if (!namespaces_own(&v->pull.namespaces, b->name) ||
        !visit_maybe_own(v->world, v->user, b->name)) {
        return false;
    }
    const struct feed_mailbox *m = feed_user_find(v->user, &b->guid);
    bool subscription = m != NULL && m->subscribed != imap_pull_subscribed(&v->pull, b->name);
    return !b->visited && (subscription || visit_box_differs(v, b));
}

static void next_box(struct visit *v)
{
    for (; v->boxes_tried < v->boxes_n; v->boxes_tried++) {
        v->box_at = (v->box_first + v->boxes_tried) % v->boxes_n;
        struct visit_box *b = &v->boxes[v->box_at];
        if (!wanted(v, b)) {
            continue;
        }
        const struct feed_mailbox *m = feed_user_find(v->user, &b->guid);
        struct pull_cursor none = {0};
        b->visited = true;
        enum status s =
            imap_pull_mailbox(&v->pull, b->name, b->uidvalidity, m != NULL ? &m->cursor : &none);
        if (s == OK) {
            v->box_open = true;
            return;
        }
        v->boxes_failed++;
        log_warn("event=feed.mailbox_skipped user=%s mailbox=\"%s\" why=\"%s\"", v->user->name,
                 b->name, status_text(s));
    }
    imap_pull_logout(&v->pull);
}

static void box_done(struct visit *v)
{
    const struct visit_box *b = &v->boxes[v->box_at];
    bool discarded = v->discarding;
    v->discarding = v->box_open = false;
    if (uuid_equal(&b->guid, &v->user->died_at)) {
        v->user->died_at = (struct uuid){0};
    }
    if (discarded) {
        v->boxes_failed++;
    } else if (v->pull.result == STATUS_CONFLICT || v->pull.result == STATUS_NOT_FOUND ||
               v->pull.result == STATUS_BUSY) {
        /* it moved under the listing, or moves too fast: another visit */
        v->user->again = v->left_over = true;
    } else if (v->pull.result != OK) {
        v->boxes_failed++;
        log_warn("event=feed.mailbox_failed user=%s mailbox=\"%s\" why=\"%s\"", v->user->name,
                 b->name, v->pull.result_text);
    }
    next_box(v);
}

void visit_session_advance(struct visit *v)
{
    while (v->step == VISIT_SESSION && !v->asking && !v->retrying) {
        size_t used;
        enum pull_event e = imap_pull_input(&v->pull, v->input.data, v->input.size, &used);
        buffer_consume(&v->input, used);
        switch (e) {
            case PULL_READY:
                v->world->separator = v->pull.separator;
                v->world->namespaces = v->pull.namespaces;
                v->user->namespaces_hash = v->pull.namespaces.hash;
                next_box(v);
                break;
            case PULL_DONE:
                box_done(v);
                break;
            case PULL_PAGE:
                if (report_page(v)) {
                    return;
                }
                break;
            case PULL_FAILED:
                visit_over(v, VISIT_FAILED, "IMAP session: %s", v->pull.result_text);
                return;
            case PULL_MORE:
                write_commands(v);
                if (v->step == VISIT_SESSION && !child_active(&v->child)) {
                    session_over(v);
                }
                return;
        }
    }
}
