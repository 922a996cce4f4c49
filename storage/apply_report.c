/* A page of what a store holds (full comparison, from_modseq 0) or has changed.
 *
 *   check    fields, owner, lease; does the page follow the cursor of (mailbox, store)?       nothing is written yet
 *   target   the current generation, or, for another UIDVALIDITY, one that is built aside
 *   remove   full: rows with this store's mark in the page's UIDs that it does not list; else the vanished ones
 *   upsert   what it lists
 *   finish   counters, cursor; the last page moves the cursor to to_modseq and makes a new generation visible, whole
 *
 * A store that does not lead the mailbox (apply_store.c) only moves its marks and its cursor. A store that lost the mailbox takes its
 * marks away, whether it leads or not (a volume that is not mounted looks so, and the copy elsewhere is then all there is); the record
 * goes with the last store.
 *
 * Bounded: a page that would remove more than REPORT_REMOVALS_MAX rows, or look at more than REPORT_SCAN_MAX, is applied up to
 * a UID and ends there: its answer says in_progress and next_uid, and the next page has to begin at it (first_uid). */
#include "storage/apply.h"

#include <string.h>

#include "base/must.h"

struct page {
    const Mq__Report *c;
    uint32_t owner;
    uint32_t store;
    uint32_t first;
    uint32_t last; /* shrinks when a bound is met */
    bool full;
    bool whole; /* no bound was met */
    bool leads; /* the record follows this store */
    enum lead lead;
    struct mailbox_row *m;     /* NULL: unknown mailbox */
    struct cursor_row *cursor; /* NULL: unknown store */
    struct generation *g;
    uint32_t scanned;
    uint32_t removal_count;
    uint32_t removals[REPORT_REMOVALS_MAX];
};

static enum status invalid(struct apply *a, const char *text)
{
    return apply_refuse(a, STATUS_INVALID, text);
}

/* ---- check ---- */

static enum status check_message(struct apply *a, const Mq__Message *m)
{
    if (m->uid == 0 || m->guid.len > GUID_BYTES_MAX || m->body_hash.len > HASH_BYTES_MAX ||
        m->flags > 31 || m->size > (UINT64_C(1) << 48)) {
        return invalid(a,
                       "a message has a UID, a GUID and hash of up to 64 bytes, and known flags");
    }
    if (m->n_keywords > KEYWORDS_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "a message has up to 64 keywords");
    }
    for (size_t i = 0; i < m->n_keywords; i++) {
        if (!apply_name_ok(apply_text(m->keywords[i]), KEYWORD_BYTES_MAX)) {
            return invalid(a, "a keyword has 1 to 255 bytes of UTF-8");
        }
        if (i > 0 && strcmp(m->keywords[i - 1], m->keywords[i]) >= 0) {
            return invalid(a, "keywords are sorted and differ");
        }
    }
    return OK;
}

static enum status check_page(struct apply *a, const struct page *p)
{
    const Mq__Report *c = p->c;
    if (c->n_messages > REPORT_MESSAGES_MAX || c->n_vanished > REPORT_VANISHED_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG,
                            "a page has up to 1,000 messages and 1,000 vanished ranges");
    }
    if (!apply_name_ok(apply_text(c->name), MAILBOX_NAME_BYTES_MAX) || c->uidvalidity == 0) {
        return invalid(a, "a mailbox has a name of 1 to 1,000 bytes of UTF-8 and a UIDVALIDITY");
    }
    if (p->first > p->last || c->to_modseq < c->from_modseq) {
        return invalid(a, "a range ends before it begins");
    }
    uint32_t previous = p->first - 1;
    for (size_t i = 0; i < c->n_messages; i++) {
        enum status s = check_message(a, c->messages[i]);
        if (s != OK) {
            return s;
        }
        if (c->messages[i]->uid <= previous || c->messages[i]->uid > p->last) {
            return invalid(a, "messages have ascending UIDs inside the page");
        }
        previous = c->messages[i]->uid;
    }
    previous = 0;
    for (size_t i = 0; i < c->n_vanished; i++) {
        const Mq__UidRange *r = c->vanished[i];
        if (r->first <= previous || r->last < r->first) {
            return invalid(a, "vanished ranges ascend");
        }
        previous = r->last;
    }
    return OK;
}

static void answer_report(struct apply *a, const struct page *p)
{
    a->report = (Mq__ResultReport)MQ__RESULT_REPORT__INIT;
    if (p->m != NULL) {
        a->report.change = p->m->current.change;
    }
    if (p->cursor != NULL) {
        a->report.modseq = p->cursor->compared ? p->cursor->modseq : 0;
        a->report.in_progress = p->cursor->in_progress;
        a->report.next_uid = p->cursor->in_progress ? p->cursor->next_uid : 0;
        a->report.to_modseq = p->cursor->in_progress ? p->cursor->to_modseq : 0;
        a->report.uidvalidity = p->cursor->uidvalidity;
        a->report.messages = p->cursor->messages;
        a->report.leads = p->m != NULL && p->m->lead_slot == p->cursor->slot;
    }
    a->answer = MQ__RESULT__BODY_REPORT;
}

static enum status refuse_page(struct apply *a, const struct page *p, enum status s,
                               const char *text)
{
    answer_report(a, p);
    return apply_refuse(a, s, text);
}

/* Who may report: the holder of the live lease of (user, store). */
static enum status check_lease(struct apply *a, struct page *p)
{
    enum status s = OK;
    struct lease_name lease;
    struct bytes store = apply_text(p->c->store);
    p->owner = apply_owner(a, apply_text(p->c->user), &s);
    if (p->owner == 0) {
        return s;
    }
    if (store.size == 0 || store.size > STORE_BYTES_MAX ||
        p->c->mailbox.len != MAILBOX_GUID_BYTES) {
        return invalid(a, "a report names a store and a mailbox GUID of 16 bytes");
    }
    if (!rows_lease_find(a->rows, p->owner, store, &lease) ||
        lease.expires_ms <= a->rows->system.time_ms ||
        !apply_token_equal(p->c->lease, lease.token)) {
        return apply_refuse(a, STATUS_STALE_TOKEN,
                            "no live lease of this user and store has that token");
    }
    p->store = lease.store;
    return OK;
}

static bool other_uidvalidity(const struct page *p)
{
    return p->m != NULL && p->m->current.number != 0 &&
           p->m->current.uidvalidity != p->c->uidvalidity;
}

static bool continues(const struct page *p)
{
    const struct cursor_row *u = p->cursor;
    return u != NULL && u->in_progress && u->uidvalidity == p->c->uidvalidity &&
           u->full == p->full && u->from_modseq == p->c->from_modseq &&
           u->to_modseq == p->c->to_modseq && u->next_uid == p->first;
}

/* Another UIDVALIDITY than the one shown: may this store bring a new generation? */
static enum status check_generation(struct apply *a, const struct page *p)
{
    const struct mailbox_row *m = p->m;
    if (p->lead == LEAD_FOLLOWS) {
        return refuse_page(a, p, STATUS_CONFLICT,
                           "another store leads this mailbox, with another UIDVALIDITY");
    }
    bool mine = m->pending.number != 0 && p->cursor != NULL && m->pending_slot == p->cursor->slot;
    if (p->first > 1) {
        return mine && m->pending.uidvalidity == p->c->uidvalidity && continues(p)
                   ? OK
                   : refuse_page(a, p, STATUS_RESYNC,
                                 "a new UIDVALIDITY begins with a full comparison");
    }
    if (!p->full) {
        return refuse_page(a, p, STATUS_RESYNC, "a new UIDVALIDITY begins with a full comparison");
    }
    if (m->pending.number != 0 && !mine &&
        m->pending_ms + PENDING_STALE_MS > a->rows->system.time_ms) {
        return refuse_page(a, p, STATUS_BUSY,
                           "another store reports a new UIDVALIDITY at the moment");
    }
    bool leads = p->cursor != NULL && p->cursor->slot == m->lead_slot;
    if (p->c->uidvalidity < m->current.uidvalidity && !leads && p->lead != LEAD_TAKES) {
        return refuse_page(a, p, STATUS_CONFLICT,
                           "another store has a later UIDVALIDITY of this mailbox");
    }
    return OK;
}

static enum status check_sequence(struct apply *a, const struct page *p)
{
    const struct cursor_row *u = p->cursor;
    const Mq__Report *c = p->c;
    if (other_uidvalidity(p)) {
        return check_generation(a, p);
    }
    bool known = u != NULL && u->compared && u->uidvalidity == c->uidvalidity;
    if (p->first > 1) {
        return continues(p) ? OK
                            : refuse_page(a, p,
                                          known || (u != NULL && u->in_progress) ? STATUS_NOT_NEXT
                                                                                 : STATUS_RESYNC,
                                          "the page does not follow: resume where the answer says");
    }
    if (p->full) {
        return OK;
    }
    if (p->lead == LEAD_TAKES || p->lead == LEAD_INHERITS) {
        return refuse_page(a, p, STATUS_RESYNC,
                           "this store leads the mailbox from now on: begin at from_modseq 0");
    }
    if (!known || c->highestmodseq < u->modseq || c->uidnext < u->uidnext) {
        return refuse_page(a, p, STATUS_RESYNC,
                           "a full comparison is needed: begin at from_modseq 0");
    }
    return u->modseq == c->from_modseq
               ? OK
               : refuse_page(a, p, STATUS_NOT_NEXT, "the range does not follow the cursor");
}

/* Room for a new mailbox or another store of it. */
static enum status check_room(struct apply *a, const struct page *p)
{
    struct bytes value;
    struct owner_row owner;
    if (p->m != NULL && p->cursor == NULL) {
        unsigned taken = p->m->clearing;
        for (unsigned i = 0; i < p->m->cursor_count; i++) {
            taken |= 1u << p->m->cursors[i].slot;
        }
        if (taken == (1u << SLOTS_MAX) - 1) {
            return apply_refuse(a, STATUS_FULL, "a mailbox is followed in up to 16 stores");
        }
    }
    if (p->m == NULL) {
        struct key k = key_text(0, apply_text(p->c->user));
        if (rows_get(a->rows, TABLE_OWNER, &k, &value)) {
            rows_fail(a->rows, owner_row_decode(value, &owner));
            if (a->rows->failed == OK && owner.mailboxes >= MAILBOXES_PER_USER_MAX) {
                return apply_refuse(a, STATUS_FULL, "a user has up to 10,000 mailboxes");
            }
        }
    }
    return a->rows->failed;
}

static enum status check_conflicts(struct apply *a, const struct page *p)
{
    if (p->m == NULL || (other_uidvalidity(p) && p->first <= 1)) {
        return OK;
    }
    const struct generation *g = other_uidvalidity(p) ? &p->m->pending : &p->m->current;
    for (size_t i = 0; i < p->c->n_messages; i++) {
        if (apply_message_conflicts(a, g, p->c->messages[i])) {
            return refuse_page(a, p, STATUS_CONFLICT,
                               "a UID has another GUID than before: UIDVALIDITY must change");
        }
    }
    return a->rows->failed;
}

/* ---- target ---- */

static void count_mailboxes(struct apply *a, const char *user, int32_t more)
{
    struct key k = key_text(0, apply_text(user));
    struct bytes value;
    struct owner_row row;
    uint8_t bytes[OWNER_ROW_BYTES_MAX];
    if (rows_get(a->rows, TABLE_OWNER, &k, &value)) {
        rows_fail(a->rows, owner_row_decode(value, &row));
        if (a->rows->failed == OK) {
            row.mailboxes = (uint32_t)((int32_t)row.mailboxes + more);
            rows_put(a->rows, TABLE_OWNER, &k,
                     (struct bytes){bytes, owner_row_encode(&row, bytes)});
        }
    }
}

static void begin_generation(struct apply *a, struct generation *g, uint32_t uidvalidity,
                             uint64_t change)
{
    must(g->number == 0);
    g->number = a->rows->system.next_generation++;
    g->uidvalidity = uidvalidity;
    g->uidnext = 1;
    g->change = change;
    g->horizon = change;
}

static struct cursor_row *new_cursor(struct mailbox_row *m, uint32_t store)
{
    unsigned taken = m->clearing;
    for (unsigned i = 0; i < m->cursor_count; i++) {
        taken |= 1u << m->cursors[i].slot;
    }
    must(m->cursor_count < SLOTS_MAX && taken != (1u << SLOTS_MAX) - 1);
    struct cursor_row *u = &m->cursors[m->cursor_count++];
    *u = (struct cursor_row){.store = store, .slot = (uint8_t)__builtin_ctz(~taken)};
    return u;
}

/* Whoever was building the pending generation begins again. */
static void take_over(struct apply *a, struct mailbox_row *m)
{
    if (m->pending.number == 0) {
        return;
    }
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].slot == m->pending_slot) {
            m->cursors[i].in_progress = false;
            m->cursors[i].compared = false;
        }
    }
    apply_generation_drop(a, &m->pending);
}

/* Everything was checked: from here on things are written. */
static bool make_target(struct apply *a, struct page *p)
{
    if (p->m == NULL) {
        p->m = rows_mailbox_new(a->rows, p->owner, p->c->mailbox.data);
        if (p->m == NULL) {
            return false;
        }
        count_mailboxes(a, p->c->user, 1);
    }
    struct mailbox_row *m = p->m;
    if (p->cursor == NULL) {
        p->cursor = new_cursor(m, p->store);
    }
    if (p->lead == LEAD_OWN || (p->lead != LEAD_FOLLOWS && p->first <= 1)) {
        m->lead_slot = p->cursor->slot;
    }
    p->leads = m->lead_slot == p->cursor->slot;
    if (m->current.number == 0) {
        begin_generation(a, &m->current, p->c->uidvalidity, a->rows->system.change_floor);
    }
    p->g = &m->current;
    if (other_uidvalidity(p)) {
        p->g = &m->pending;
        if (p->first <= 1) {
            take_over(a, m);
            begin_generation(a, &m->pending, p->c->uidvalidity, m->current.change);
            m->pending_slot = p->cursor->slot;
        }
        m->pending_ms = a->rows->system.time_ms;
    } else if (m->pending.number != 0 && m->pending_slot == p->cursor->slot) {
        apply_generation_drop(a, &m->pending); /* the store is back at the old one */
    }
    rows_mailbox_touch(a->rows, m);
    return true;
}

/* ---- remove, upsert ---- */

/* Collects what vanished between first and last; shrinks the page when a bound is met (then false). */
static bool collect(struct apply *a, struct page *p, struct env_cursor *rows, uint32_t first,
                    uint32_t last, size_t *next_message)
{
    struct key from = key_u32_u32(p->g->number, first);
    struct bytes key;
    struct bytes value;
    struct message_row row;
    enum status s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && key.size == 8 && get_be32(key.data) == p->g->number;
         s = env_cursor_next(rows, &key, &value)) {
        uint32_t uid = get_be32(key.data + 4);
        if (uid > last) {
            return true;
        }
        rows_fail(a->rows, message_row_decode(value, &row));
        if (a->rows->failed != OK) {
            return false;
        }
        if (++p->scanned > REPORT_SCAN_MAX || p->removal_count == REPORT_REMOVALS_MAX) {
            p->last = uid - 1;
            p->whole = false;
            return false;
        }
        while (p->full && *next_message < p->c->n_messages &&
               p->c->messages[*next_message]->uid < uid) {
            ++*next_message;
        }
        bool listed = p->full && *next_message < p->c->n_messages &&
                      p->c->messages[*next_message]->uid == uid;
        if (!listed && !row.expunged && (row.slots & (1u << p->cursor->slot)) != 0) {
            p->removals[p->removal_count++] = uid;
        }
    }
    rows_fail(a->rows, s == STATUS_NOT_FOUND ? OK : s);
    return a->rows->failed == OK;
}

static void collect_all(struct apply *a, struct page *p)
{
    struct env_cursor *rows;
    size_t next_message = 0;
    if (!p->full && p->c->n_vanished == 0) {
        return;
    }
    enum status s = env_cursor_open(a->rows->txn, TABLE_MESSAGE, &rows);
    if (s != OK) {
        rows_fail(a->rows, s);
        return;
    }
    if (p->full) {
        collect(a, p, rows, p->first, p->last, &next_message);
    }
    for (size_t i = 0; !p->full && i < p->c->n_vanished; i++) {
        const Mq__UidRange *r = p->c->vanished[i];
        uint32_t first = r->first > p->first ? r->first : p->first;
        uint32_t last = r->last < p->last ? r->last : p->last;
        if (first <= last && !collect(a, p, rows, first, last, &next_message)) {
            break;
        }
    }
    env_cursor_close(rows);
}

static void change_rows(struct apply *a, struct page *p)
{
    collect_all(a, p);
    for (uint32_t i = 0; i < p->removal_count; i++) {
        apply_message_unmark(a, p->m, p->g, p->removals[i], p->cursor->slot, p->leads);
    }
    for (size_t i = 0; i < p->c->n_messages && p->c->messages[i]->uid <= p->last; i++) {
        const Mq__Message *c = p->c->messages[i];
        apply_message_upsert(a, p->m, p->g, p->cursor->slot, p->leads, c);
        if (c->uid >= p->g->uidnext) {
            p->g->uidnext = c->uid < UINT32_MAX ? c->uid + 1 : UINT32_MAX;
        }
        if (p->leads && c->modseq > p->g->highestmodseq) {
            p->g->highestmodseq = c->modseq;
        }
    }
    if (p->leads && p->c->uidnext > p->g->uidnext) {
        p->g->uidnext = p->c->uidnext;
    }
    if (p->leads && p->c->highestmodseq > p->g->highestmodseq) {
        p->g->highestmodseq = p->c->highestmodseq;
    }
}

/* ---- finish ---- */

/* Nobody holds anything of the new generation but the store that brought it, and that holds all. */
static void recount_cursors(struct mailbox_row *m)
{
    for (unsigned i = m->cursor_count; i > 0; i--) {
        struct cursor_row *c = &m->cursors[i - 1];
        bool brought = c->slot == m->pending_slot;
        c->messages = c->sole_messages = brought ? m->current.messages : 0;
        c->bytes = c->sole_bytes = brought ? m->current.bytes : 0;
        if (!mailbox_cursor_live(m, c)) {
            mailbox_cursor_remove(m, c->slot);
        }
    }
    m->clearing = 0;
}

static void show_pending(struct apply *a, struct mailbox_row *m)
{
    uint64_t change =
        (m->current.change > m->pending.change ? m->current.change : m->pending.change) + 1;
    apply_generation_drop(a, &m->current);
    m->current = m->pending;
    m->current.change = change;
    m->current.horizon = change; /* whoever followed the old one lists the new one whole */
    memset(&m->pending, 0, sizeof(m->pending));
    recount_cursors(m);
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].uidvalidity != m->current.uidvalidity) {
            m->cursors[i].compared = false;
            m->cursors[i].in_progress = false;
        }
    }
}

static void finish(struct apply *a, struct page *p)
{
    struct mailbox_row *m = p->m;
    struct cursor_row *u = p->cursor;
    const Mq__Report *c = p->c;
    struct bytes name = apply_text(c->name);
    bool done = p->whole && c->last;
    if (u->uidvalidity != c->uidvalidity) {
        u->compared = false;
        u->modseq = 0;
    }
    u->uidvalidity = c->uidvalidity;
    u->uidnext = c->uidnext;
    u->reported_ms = a->rows->system.time_ms;
    u->in_progress = !done;
    u->full = !done && p->full;
    u->from_modseq = done ? 0 : c->from_modseq;
    u->to_modseq = done ? 0 : c->to_modseq;
    u->next_uid = done ? 0 : p->last == UINT32_MAX ? UINT32_MAX : p->last + 1;
    if (done) {
        u->compared = true;
        u->modseq = c->to_modseq;
    }
    bool renamed = m->name_size != name.size || memcmp(m->name, name.data, name.size) != 0;
    if (p->leads && (renamed || m->subscribed != (bool)c->subscribed)) {
        memcpy(m->name, name.data, name.size);
        m->name_size = (uint16_t)name.size;
        m->subscribed = c->subscribed;
        m->current.change++;
    }
    if (done && p->g == &m->pending) {
        show_pending(a, m);
    }
    answer_report(a, p);
}

/* ---- a mailbox that is gone from a store ---- */

static unsigned live_cursors(const struct mailbox_row *m)
{
    unsigned n = 0;
    for (unsigned i = 0; i < m->cursor_count; i++) {
        n += mailbox_cursor_live(m, &m->cursors[i]);
    }
    return n;
}

static void drop_record(struct apply *a, struct page *p)
{
    struct mailbox_row *m = p->m;
    if (m->current.change > a->rows->system.change_floor) {
        a->rows->system.change_floor = m->current.change;
    }
    apply_generation_drop(a, &m->pending);
    apply_generation_drop(a, &m->current);
    rows_mailbox_delete(a->rows, m);
    count_mailboxes(a, p->c->user, -1);
    p->m = NULL;
    p->cursor = NULL;
}

/* Other stores hold the mailbox: it stays, without this one's marks, and follows another one where it followed this one. */
static void leave_record(struct apply *a, struct page *p)
{
    struct mailbox_row *m = p->m;
    uint8_t slot = p->cursor->slot;
    struct job_row j = {
        .kind = JOB_CLEAR_SLOT, .slot = slot, .generation = m->current.number, .owner = m->owner};
    memcpy(j.guid, m->guid, sizeof(j.guid));
    rows_job_new(a->rows, &j);
    m->clearing = (uint16_t)(m->clearing | (1u << slot));
    m->current.change++;
    p->cursor = NULL; /* it goes when its marks are cleared */
    if (m->lead_slot == slot) {
        take_over(a, m);
        apply_lead_pass(a, m, p->c->user);
    }
    rows_mailbox_touch(a->rows, m);
}

static enum status delete_mailbox(struct apply *a, struct page *p)
{
    struct mailbox_row *m = p->m;
    if (p->cursor == NULL) {
        answer_report(a, p);
        return OK; /* gone already, or never there */
    }
    if (m->pending.number != 0 && m->pending_slot == p->cursor->slot) {
        apply_generation_drop(a, &m->pending);
    }
    if (live_cursors(m) == 1) {
        drop_record(a, p);
    } else {
        leave_record(a, p);
    }
    answer_report(a, p);
    return OK;
}

enum status apply_report(struct apply *a, const Mq__Report *c)
{
    struct page page = {
        .c = c,
        .first = c->first_uid == 0 ? 1 : c->first_uid,
        /* Nothing lies behind the last page. */
        .last = c->last ? UINT32_MAX : c->last_uid,
        .full = c->from_modseq == 0,
        .whole = true,
    };
    struct page *p = &page;
    enum status s = check_lease(a, p);
    if (s != OK) {
        return s;
    }
    p->m = rows_mailbox_find(a->rows, p->owner, c->mailbox.data);
    p->cursor = p->m == NULL ? NULL : mailbox_cursor_find(p->m, p->store);
    struct store_sums before;
    apply_sums_take(p->m, &before);
    if (c->deleted) {
        s = delete_mailbox(a, p);
        apply_sums_settle(a, &before, p->m);
        return s;
    }
    p->lead = apply_lead(a, p->m, p->cursor, p->store, c->user);
    s = check_page(a, p);
    s = s == OK ? check_sequence(a, p) : s;
    s = s == OK ? check_room(a, p) : s;
    s = s == OK ? check_conflicts(a, p) : s;
    if (s != OK || a->rows->failed != OK || !make_target(a, p)) {
        return s;
    }
    change_rows(a, p);
    finish(a, p);
    apply_sums_settle(a, &before, p->m);
    apply_store_heard(a, p->store, (struct bytes){NULL, 0});
    return OK;
}

enum status apply_mailbox_attributes(struct apply *a, const Mq__MailboxAttributes *c)
{
    enum status s = OK;
    uint32_t owner = apply_owner(a, apply_text(c->user), &s);
    if (owner == 0) {
        return s;
    }
    if (c->mailbox.len != MAILBOX_GUID_BYTES) {
        return invalid(a, "a mailbox GUID has 16 bytes");
    }
    struct mailbox_row *m = rows_mailbox_find(a->rows, owner, c->mailbox.data);
    if (m == NULL) {
        return apply_refuse(a, STATUS_NOT_FOUND, "no such mailbox");
    }
    if (m->subscribed != (bool)c->subscribed) {
        m->subscribed = c->subscribed;
        m->current.change++;
        rows_mailbox_touch(a->rows, m);
    }
    return OK;
}
