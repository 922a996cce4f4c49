/* Stores: the place each stands in, how far it has reported, what it holds of this shard; and which of the stores of a mailbox its record
 * follows.
 *
 * Several stores may have the same mailbox (same GUID, UIDVALIDITY and UIDs), because one is copied to the other. Each has a cursor of its
 * own and a mark on each message it holds; MODSEQ is each server's own. One store leads: name, flags, MODSEQ and HIGHESTMODSEQ are those
 * that it reports, and what it takes away is expunged. What another one lacks or loses is marked absent there, and what only another one
 * has is shown as that one reports it. So a copy that is behind never undoes what happened at home.
 *
 * Who leads: the first store that reports the mailbox. A store takes the lead over, always with a full comparison, from one that is silent
 * (LEAD_SILENT_MS without a command), or when it stands at the home of the user and the other does not, or when both or neither do and it
 * was there first. The lead does not move by itself: a store at home that was silent leads again when it next has something to report.
 * Only when the store that leads loses the mailbox does it pass at once, to the next by right: one at home, else the one that was there
 * first. That one leads in name, over rows in the words of the one before, until it has something to report: then it compares all.
 *
 * Sums over all mailboxes are kept in the states of the stores: each command takes what a mailbox adds to them before and after. */
#include "storage/apply.h"

#include <string.h>

#include "base/must.h"

/* ---- places ---- */

static bool same_site(const struct store_row *s, struct bytes site)
{
    return s->site_size == site.size &&
           (site.size == 0 || memcmp(s->site, site.data, site.size) == 0);
}

static bool placed(const struct store_row *s)
{
    return s->site_size > 0 || s->mailboxes > 0 || s->messages > 0;
}

enum status apply_store_check(struct apply *a, uint32_t number, struct bytes site)
{
    const struct store_row *s = number == 0 ? NULL : rows_store_state(a->rows, number, false);
    if (site.size > 0 && !apply_name_ok(site, SITE_BYTES_MAX)) {
        return apply_refuse(a, STATUS_INVALID, "a site's name has 1 to 63 bytes of UTF-8");
    }
    if (s != NULL && site.size > 0 && placed(s) && !same_site(s, site)) {
        return apply_refuse(a, STATUS_INVALID,
                            "this store was reported from another site: a store that moves is "
                            "another store, give it a "
                            "name of its own");
    }
    return OK;
}

static void place_store(struct apply *a, struct store_row *s, struct bytes site)
{
    struct key k = key_text('s', site);
    struct bytes value;
    uint8_t bytes[4];
    if (rows_get(a->rows, TABLE_STORE, &k, &value)) {
        s->place = value.size == 4 ? get_le32(value.data) : 0;
        rows_fail(a->rows, s->place == 0 || s->place > STORES_MAX ? STATUS_CORRUPT : OK);
    } else {
        put_le32(bytes, s->number);
        rows_put_new(a->rows, TABLE_STORE, &k, (struct bytes){bytes, sizeof(bytes)});
        s->place = s->number;
    }
    s->site_size = (uint8_t)site.size;
    memcpy(s->site, site.data, site.size);
    a->rows->places[s->number] = 0;
}

void apply_store_heard(struct apply *a, uint32_t number, struct bytes site)
{
    struct store_row *s = rows_store_state(a->rows, number, true);
    if (s == NULL) {
        return;
    }
    if (site.size > 0 && !placed(s)) {
        place_store(a, s, site);
    }
    s->heard_ms = a->rows->system.time_ms;
    rows_store_touch(a->rows, s);
}

void apply_store_leased(struct apply *a, uint32_t number, struct bytes site)
{
    if (site.size > 0 || rows_store_state(a->rows, number, false) != NULL) {
        apply_store_heard(a, number, site);
    }
}

enum status apply_store_position(struct apply *a, const Mq__StorePosition *c)
{
    struct bytes name = apply_text(c->store);
    struct bytes site = apply_text(c->site);
    if (!apply_name_ok(name, STORE_BYTES_MAX)) {
        return apply_refuse(a, STATUS_INVALID, "a store's name has 1 to 255 bytes of UTF-8");
    }
    uint32_t number = rows_store_find(a->rows, name, false);
    enum status s = apply_store_check(a, number, site);
    if (s != OK) {
        return s;
    }
    number = number == 0 ? rows_store_find(a->rows, name, true) : number;
    if (number == 0) {
        return apply_refuse(a, STATUS_FULL, "the shard knows as many stores as it may");
    }
    apply_store_heard(a, number, site);
    struct store_row *row = rows_store_state(a->rows, number, true);
    uint64_t now_ms = a->rows->system.time_ms;
    uint64_t complete_ms = c->age_ms < now_ms ? now_ms - c->age_ms : 0;
    complete_ms = c->complete_wall_ms < complete_ms ? c->complete_wall_ms : complete_ms;
    if (row != NULL && complete_ms > row->complete_ms) {
        row->complete_ms = complete_ms;
    }
    return OK;
}

/* ---- who leads ---- */

static const struct cursor_row *lead_of(const struct mailbox_row *m)
{
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].slot == m->lead_slot && mailbox_cursor_live(m, &m->cursors[i])) {
            return &m->cursors[i];
        }
    }
    return NULL;
}

static bool at_home(struct apply *a, const struct store_row *s, const char *user)
{
    struct key k = key_text(0, apply_text(user));
    struct bytes value;
    struct owner_row owner;
    if (s == NULL || s->site_size == 0 || !rows_get(a->rows, TABLE_OWNER, &k, &value)) {
        return false;
    }
    rows_fail(a->rows, owner_row_decode(value, &owner));
    return a->rows->failed == OK && same_site(s, owner.home);
}

enum lead apply_lead(struct apply *a, const struct mailbox_row *m, const struct cursor_row *own,
                     uint32_t store, const char *user)
{
    const struct cursor_row *lead = m == NULL ? NULL : lead_of(m);
    if (lead == NULL || lead == own) {
        return LEAD_OWN;
    }
    const struct store_row *theirs = rows_store_state(a->rows, lead->store, false);
    const struct store_row *mine = rows_store_state(a->rows, store, false);
    bool home_mine = at_home(a, mine, user);
    bool home_theirs = at_home(a, theirs, user);
    if (home_mine != home_theirs && home_mine) {
        return LEAD_TAKES;
    }
    if (theirs == NULL || theirs->heard_ms + LEAD_SILENT_MS < a->rows->system.time_ms) {
        return LEAD_INHERITS;
    }
    return home_mine == home_theirs && own != NULL && own < lead ? LEAD_TAKES : LEAD_FOLLOWS;
}

void apply_lead_pass(struct apply *a, struct mailbox_row *m, const char *user)
{
    struct cursor_row *next = NULL;
    bool home = false;
    for (unsigned i = 0; i < m->cursor_count && !home; i++) {
        struct cursor_row *c = &m->cursors[i];
        if (!mailbox_cursor_live(m, c)) {
            continue;
        }
        home = at_home(a, rows_store_state(a->rows, c->store, false), user);
        next = next == NULL || home ? c : next;
    }
    must(next != NULL);
    m->lead_slot = next->slot;
    next->compared = false; /* as a follower it only moved its marks */
    next->in_progress = false;
}

/* ---- sums ---- */

void apply_sums_take(const struct mailbox_row *m, struct store_sums *out_s)
{
    out_s->n = 0;
    if (m == NULL || m->current.number == 0) {
        return;
    }
    out_s->of[out_s->n++] = (struct store_row){
        .mailboxes = 1, .messages = m->current.messages, .bytes = m->current.bytes};
    for (unsigned i = 0; i < m->cursor_count; i++) {
        const struct cursor_row *c = &m->cursors[i];
        bool live = mailbox_cursor_live(m, c);
        out_s->of[out_s->n++] = (struct store_row){
            .number = c->store,
            .mailboxes = live ? 1 : 0,
            .messages = c->messages,
            .bytes = c->bytes,
            .sole_messages = c->sole_messages,
            .sole_bytes = c->sole_bytes,
            .missing_messages = live ? m->current.messages - c->messages : 0,
            .missing_bytes = live ? m->current.bytes - c->bytes : 0,
        };
    }
}

static void add(uint64_t *sum, uint64_t x, bool in)
{
    *sum = in ? *sum + x : *sum - x;
}

static void settle(struct apply *a, const struct store_sums *sums, bool in)
{
    for (unsigned i = 0; i < sums->n; i++) {
        const struct store_row *x = &sums->of[i];
        struct store_row *s = rows_store_state(a->rows, x->number, true);
        if (s == NULL) {
            return;
        }
        add(&s->mailboxes, x->mailboxes, in);
        add(&s->messages, x->messages, in);
        add(&s->bytes, x->bytes, in);
        add(&s->sole_messages, x->sole_messages, in);
        add(&s->sole_bytes, x->sole_bytes, in);
        add(&s->missing_messages, x->missing_messages, in);
        add(&s->missing_bytes, x->missing_bytes, in);
        rows_store_touch(a->rows, s);
    }
}

void apply_sums_settle(struct apply *a, const struct store_sums *before,
                       const struct mailbox_row *m)
{
    struct store_sums after;
    apply_sums_take(m, &after);
    if (before->n == after.n && memcmp(before->of, after.of, after.n * sizeof(after.of[0])) == 0) {
        return;
    }
    settle(a, &after, true); /* first what is added: no sum falls below zero on the way */
    settle(a, before, false);
}

static struct cursor_row *cursor_at(struct mailbox_row *m, unsigned slot)
{
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].slot == slot) {
            return &m->cursors[i];
        }
    }
    return NULL;
}

/* The cursor at which a message of these marks counts as the only one of its place; NULL: several places have it, or none. */
static struct cursor_row *sole_of(struct apply *a, struct mailbox_row *m, uint16_t slots)
{
    struct cursor_row *first = NULL;
    uint32_t place = 0;
    for (unsigned slot = 0; slot < SLOTS_MAX; slot++) {
        struct cursor_row *c = (slots & (1u << slot)) != 0 ? cursor_at(m, slot) : NULL;
        uint32_t its = c == NULL ? 0 : rows_store_place(a->rows, c->store);
        if (c == NULL) {
            continue;
        }
        if (first != NULL && its != place) {
            return NULL;
        }
        first = first == NULL ? c : first;
        place = its;
    }
    return first;
}

void apply_marks_count(struct apply *a, struct mailbox_row *m, const struct generation *g,
                       const struct message_row *row, bool in)
{
    if (g != &m->current) {
        return; /* not visible yet: show_pending() counts it as a whole */
    }
    for (unsigned i = 0; i < m->cursor_count; i++) {
        struct cursor_row *c = &m->cursors[i];
        if ((row->slots & (1u << c->slot)) != 0) {
            add(&c->messages, 1, in);
            add(&c->bytes, row->size, in);
        }
    }
    struct cursor_row *sole = sole_of(a, m, row->slots);
    if (sole != NULL) {
        add(&sole->sole_messages, 1, in);
        add(&sole->sole_bytes, row->size, in);
    }
}
