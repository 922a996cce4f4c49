/* Queries about mailboxes: lists, messages, changes since a number, cursors of a store.
 *
 * `changes since n` is a scan of the mailbox's rows, live and expunged, for change numbers above n, keeping the lowest ones of
 * the page in a heap: the rows carry their change number, so there is no second table to write. Complete down to the horizon. */
#include "storage/query_state.h"

#include <stdlib.h>
#include <string.h>

char *query_store_name(struct query *q, uint32_t number)
{
    struct key k = key_store_number(number);
    struct bytes value;
    return query_get(q, TABLE_STORE, &k, &value) ? query_string(q, value)
                                                 : query_string(q, (struct bytes){NULL, 0});
}

static Mq__StoreCursor *make_cursor(struct query *q, const struct mailbox_row *m,
                                    const struct cursor_row *row)
{
    Mq__StoreCursor *c = query_alloc(q, sizeof(*c));
    if (c == NULL) {
        return NULL;
    }
    mq__store_cursor__init(c);
    c->store = query_store_name(q, row->store);
    c->uidvalidity = row->uidvalidity;
    c->modseq = row->compared ? row->modseq : 0;
    c->uidnext = row->uidnext;
    c->in_progress = row->in_progress;
    c->from_modseq = row->from_modseq;
    c->to_modseq = row->to_modseq;
    c->next_uid = row->next_uid;
    c->present = true;
    c->reported_ms = row->reported_ms;
    c->messages = row->messages;
    c->bytes = row->bytes;
    c->lead = row->slot == m->lead_slot;
    return c;
}

static Mq__Mailbox *make_mailbox(struct query *q, const struct mailbox_row *m, const char *user)
{
    Mq__Mailbox *b = query_alloc(q, sizeof(*b));
    if (b == NULL) {
        return NULL;
    }
    mq__mailbox__init(b);
    b->guid = query_data(q, (struct bytes){m->guid, MAILBOX_GUID_BYTES});
    b->user = query_string(q, apply_text(user));
    b->name = query_string(q, (struct bytes){(const uint8_t *)m->name, m->name_size});
    b->uidvalidity = m->current.uidvalidity;
    b->uidnext = m->current.uidnext;
    b->highestmodseq = m->current.highestmodseq;
    b->messages = m->current.messages;
    b->unseen = m->current.unseen;
    b->bytes = m->current.bytes;
    b->subscribed = m->subscribed;
    b->change = m->current.change;
    b->horizon = m->current.horizon;
    b->stores = query_alloc(q, SLOTS_MAX * sizeof(*b->stores));
    for (unsigned i = 0; b->stores != NULL && i < m->cursor_count; i++) {
        Mq__StoreCursor *c =
            mailbox_cursor_live(m, &m->cursors[i]) ? make_cursor(q, m, &m->cursors[i]) : NULL;
        if (c != NULL) {
            b->stores[b->n_stores++] = c;
        }
    }
    return b;
}

/* Calls each() for the mailboxes of one owner behind `after`; it returns false to stop. */
static void each_mailbox(struct query *q, uint32_t owner, ProtobufCBinaryData after,
                         bool (*each)(struct query *q, const struct mailbox_row *m, void *arg),
                         void *arg)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct mailbox_row m;
    struct key from = key_u32(owner);
    bool resumed = after.len == MAILBOX_GUID_BYTES;
    if (resumed) {
        from = key_mailbox(owner, after.data);
    }
    enum status s = env_cursor_open(q->txn, TABLE_MAILBOX, &rows);
    if (s != OK) {
        query_fail(q, s);
        return;
    }
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && key.size >= 4 && get_be32(key.data) == owner;
         s = env_cursor_next(rows, &key, &value)) {
        if (resumed && key.size == from.size && memcmp(key.data, from.data, key.size) == 0) {
            continue;
        }
        query_fail(q, mailbox_row_decode(key, value, &m));
        if (q->failed != OK || !each(q, &m, arg)) {
            break;
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
}

struct listing {
    const char *user;
    uint32_t store; /* only cursors of this one */
    uint32_t limit;
};

static bool list_one(struct query *q, const struct mailbox_row *m, void *arg)
{
    struct listing *l = arg;
    if (!query_room(q, q->result.n_mailboxes, l->limit)) {
        return false;
    }
    Mq__Mailbox *b = make_mailbox(q, m, l->user);
    if (b != NULL) {
        q->result.mailboxes[q->result.n_mailboxes++] = b;
    }
    return true;
}

enum status query_mailboxes(struct query *q, const Mq__QueryMailboxes *c)
{
    uint32_t owner = 0;
    struct listing l = {.user = c->user, .limit = query_limit(c->limit)};
    enum status s = query_owner(q, c->user, &owner);
    if (s != OK) {
        return s;
    }
    q->result.mailboxes = query_alloc(q, l.limit * sizeof(*q->result.mailboxes));
    if (q->failed == OK) {
        each_mailbox(q, owner, c->after, list_one, &l);
    }
    return OK;
}

/* The row of a mailbox by GUID. */
static enum status find_mailbox(struct query *q, const char *user, ProtobufCBinaryData guid,
                                struct mailbox_row *out_m)
{
    uint32_t owner = 0;
    struct bytes value;
    enum status s = query_owner(q, user, &owner);
    if (s != OK) {
        return s;
    }
    if (guid.len != MAILBOX_GUID_BYTES) {
        return STATUS_INVALID;
    }
    struct key k = key_mailbox(owner, guid.data);
    if (!query_get(q, TABLE_MAILBOX, &k, &value)) {
        return STATUS_NOT_FOUND;
    }
    query_fail(q, mailbox_row_decode(key_bytes(&k), value, out_m));
    return q->failed;
}

struct named {
    const char *user;
    struct bytes name;
    struct bytes home; /* site; empty: not told */
};

static bool held_at(struct query *q, const struct mailbox_row *m, struct bytes site)
{
    bool held = false;
    for (unsigned i = 0; site.size > 0 && i < m->cursor_count && !held; i++) {
        struct store_row store;
        held = mailbox_cursor_live(m, &m->cursors[i]) &&
               query_store_state(q, m->cursors[i].store, &store) && store.site_size == site.size &&
               memcmp(store.site, site.data, site.size) == 0;
    }
    return held;
}

/* Of several of one name, the one that is held at home: one that was deleted there and made anew may live on in a copy. */
static bool find_named(struct query *q, const struct mailbox_row *m, void *arg)
{
    struct named *n = arg;
    if (m->name_size != n->name.size || memcmp(m->name, n->name.data, n->name.size) != 0) {
        return true;
    }
    bool home = held_at(q, m, n->home);
    Mq__Mailbox *b = make_mailbox(q, m, n->user);
    if (b != NULL) {
        q->result.mailboxes[0] = b;
        q->result.n_mailboxes = 1;
    }
    return !home && n->home.size > 0;
}

static enum status query_named(struct query *q, const Mq__QueryMailbox *c)
{
    struct owner_row owner;
    enum status s = query_owner_row(q, c->user, &owner);
    if (s == OK && q->failed == OK) {
        struct named n = {c->user, apply_text(c->name), owner.home};
        each_mailbox(q, owner.number, (ProtobufCBinaryData){0, NULL}, find_named, &n);
    }
    return s != OK ? s : q->result.n_mailboxes == 0 ? STATUS_NOT_FOUND : OK;
}

enum status query_mailbox(struct query *q, const Mq__QueryMailbox *c)
{
    struct mailbox_row m;
    q->result.mailboxes = query_alloc(q, sizeof(*q->result.mailboxes));
    if (c->mailbox.len == 0 && apply_text(c->name).size > 0) {
        return query_named(q, c);
    }
    enum status s = find_mailbox(q, c->user, c->mailbox, &m);
    if (s == OK && q->failed == OK) {
        Mq__Mailbox *b = make_mailbox(q, &m, c->user);
        if (b != NULL) {
            q->result.mailboxes[q->result.n_mailboxes++] = b;
        }
    }
    return s;
}

/* ---- messages ---- */

struct names {
    char *of_slot[SLOTS_MAX]; /* NULL: no store has the slot (its marks are being cleared) */
};

static void name_slots(struct query *q, const struct mailbox_row *m, struct names *n)
{
    memset(n, 0, sizeof(*n));
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (mailbox_cursor_live(m, &m->cursors[i])) {
            n->of_slot[m->cursors[i].slot] = query_store_name(q, m->cursors[i].store);
        }
    }
}

static void fill_keywords(struct query *q, const struct message_row *row, Mq__Message *m)
{
    const uint8_t *at = row->keywords.data;
    m->keywords = query_alloc(q, (row->keyword_count + 1u) * sizeof(*m->keywords));
    for (unsigned i = 0; m->keywords != NULL && i < row->keyword_count; i++) {
        char *s = query_string(q, (struct bytes){at + 1, at[0]});
        at += 1 + at[0];
        if (s != NULL) {
            m->keywords[m->n_keywords++] = s;
        }
    }
}

static Mq__MessageRow *make_message(struct query *q, uint32_t uid, const struct message_row *row,
                                    const struct names *n)
{
    Mq__MessageRow *r = query_alloc(q, sizeof(*r));
    Mq__Message *m = query_alloc(q, sizeof(*m));
    if (r == NULL || m == NULL) {
        return NULL;
    }
    mq__message_row__init(r);
    mq__message__init(m);
    m->uid = uid;
    m->guid = query_data(q, row->guid);
    m->modseq = row->modseq;
    m->flags = row->flags;
    m->internal_date = row->date;
    m->size = row->size;
    m->body_hash = query_data(q, row->hash);
    fill_keywords(q, row, m);
    r->message = m;
    r->change = row->change;
    r->stores = query_alloc(q, SLOTS_MAX * sizeof(*r->stores));
    for (unsigned slot = 0; r->stores != NULL && slot < SLOTS_MAX; slot++) {
        if ((row->slots & (1u << slot)) != 0 && n->of_slot[slot] != NULL) {
            r->stores[r->n_stores++] = n->of_slot[slot];
        }
    }
    return q->failed == OK ? r : NULL;
}

enum status query_messages(struct query *q, const Mq__QueryMessages *c)
{
    struct mailbox_row m;
    struct names names;
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct message_row row;
    uint32_t limit = query_limit(c->limit);
    enum status s = find_mailbox(q, c->user, c->mailbox, &m);
    if (s != OK) {
        return s;
    }
    name_slots(q, &m, &names);
    q->result.horizon = m.current.change; /* follow changes from here */
    q->result.messages = query_alloc(q, limit * sizeof(*q->result.messages));
    if (q->failed != OK || c->after_uid == UINT32_MAX) {
        return OK;
    }
    s = env_cursor_open(q->txn, TABLE_MESSAGE, &rows);
    if (s != OK) {
        query_fail(q, s);
        return OK;
    }
    struct key from = key_u32_u32(m.current.number, c->after_uid + 1);
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && key.size == 8 && get_be32(key.data) == m.current.number;
         s = env_cursor_next(rows, &key, &value)) {
        query_fail(q, message_row_decode(value, &row));
        if (q->failed != OK || row.expunged) {
            continue;
        }
        if (!query_room(q, q->result.n_messages, limit)) {
            break;
        }
        Mq__MessageRow *r = make_message(q, get_be32(key.data + 4), &row, &names);
        if (r != NULL) {
            q->result.messages[q->result.n_messages++] = r;
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    return OK;
}

/* ---- changes ---- */

struct changed {
    uint64_t change;
    uint32_t uid;
};

/* A max-heap of the lowest `max` changes. */
static void heap_add(struct changed *heap, uint32_t *n, uint32_t max, struct changed x, bool *full)
{
    uint32_t i;
    if (*n == max) {
        *full = true;
        if (x.change > heap[0].change) {
            return;
        }
        i = 0;
        for (;;) {
            uint32_t child = 2 * i + 1;
            child += child + 1 < *n && heap[child + 1].change > heap[child].change ? 1 : 0;
            if (child >= *n || heap[child].change <= x.change) {
                break;
            }
            heap[i] = heap[child];
            i = child;
        }
    } else {
        i = (*n)++;
        while (i > 0 && heap[(i - 1) / 2].change < x.change) {
            heap[i] = heap[(i - 1) / 2];
            i = (i - 1) / 2;
        }
    }
    heap[i] = x;
}

static int by_change(const void *a, const void *b)
{
    const struct changed *x = a;
    const struct changed *y = b;
    return x->change < y->change ? -1 : x->change > y->change ? 1 : 0;
}

static uint32_t lowest_changes(struct query *q, const struct mailbox_row *m, uint64_t since,
                               struct changed *heap, uint32_t max)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct message_row row;
    uint32_t n = 0;
    bool full = false;
    struct key from = key_u32_u32(m->current.number, 0);
    enum status s = env_cursor_open(q->txn, TABLE_MESSAGE, &rows);
    if (s != OK) {
        query_fail(q, s);
        return 0;
    }
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && key.size == 8 && get_be32(key.data) == m->current.number;
         s = env_cursor_next(rows, &key, &value)) {
        enum status decoded = message_row_decode(value, &row);
        if (decoded != OK) {
            query_fail(q, decoded);
            break;
        }
        if (row.change > since) {
            heap_add(heap, &n, max, (struct changed){row.change, get_be32(key.data + 4)}, &full);
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    qsort(heap, n, sizeof(*heap), by_change);
    q->result.more = full;
    return n;
}

static void add_change(struct query *q, const struct mailbox_row *m, const struct changed *x,
                       const struct names *names)
{
    struct bytes value;
    struct message_row row;
    struct key k = key_u32_u32(m->current.number, x->uid);
    Mq__Change *c = query_alloc(q, sizeof(*c));
    if (c == NULL || !query_get(q, TABLE_MESSAGE, &k, &value)) {
        return;
    }
    query_fail(q, message_row_decode(value, &row));
    mq__change__init(c);
    c->change = x->change;
    c->uid = x->uid;
    c->expunged = row.expunged;
    if (q->failed == OK && !row.expunged) {
        c->row = make_message(q, x->uid, &row, names);
    }
    if (q->failed == OK) {
        q->result.changes[q->result.n_changes++] = c;
    }
}

/* The mailbox itself comes along: its change number is what an answer without `more` reaches up to. */
enum status query_changes(struct query *q, const Mq__QueryChanges *c)
{
    struct mailbox_row m;
    struct names names;
    uint32_t limit = query_limit(c->limit);
    enum status s = find_mailbox(q, c->user, c->mailbox, &m);
    if (s != OK) {
        return s;
    }
    q->result.horizon = m.current.horizon;
    if (c->since < m.current.horizon || c->since > m.current.change) {
        return STATUS_RESYNC;
    }
    q->result.mailboxes = query_alloc(q, sizeof(*q->result.mailboxes));
    struct changed *heap = query_alloc(q, limit * sizeof(*heap));
    q->result.changes = query_alloc(q, limit * sizeof(*q->result.changes));
    Mq__Mailbox *b = q->failed == OK ? make_mailbox(q, &m, c->user) : NULL;
    if (b == NULL) {
        return OK;
    }
    q->result.mailboxes[q->result.n_mailboxes++] = b;
    if (c->since == m.current.change) {
        return OK;
    }
    name_slots(q, &m, &names);
    uint32_t n = lowest_changes(q, &m, c->since, heap, limit);
    for (uint32_t i = 0; i < n && q->failed == OK; i++) {
        if (!query_room(q, i, limit)) {
            break;
        }
        add_change(q, &m, &heap[i], &names);
    }
    return OK;
}

/* ---- cursors ---- */

static bool list_cursor(struct query *q, const struct mailbox_row *m, void *arg)
{
    struct listing *l = arg;
    for (unsigned i = 0; i < m->cursor_count; i++) {
        if (m->cursors[i].store != l->store || !mailbox_cursor_live(m, &m->cursors[i])) {
            continue;
        }
        if (!query_room(q, q->result.n_cursors, l->limit)) {
            return false;
        }
        Mq__Cursor *c = query_alloc(q, sizeof(*c));
        if (c == NULL) {
            return false;
        }
        mq__cursor__init(c);
        c->mailbox = query_data(q, (struct bytes){m->guid, MAILBOX_GUID_BYTES});
        c->name = query_string(q, (struct bytes){(const uint8_t *)m->name, m->name_size});
        c->cursor = make_cursor(q, m, &m->cursors[i]);
        q->result.cursors[q->result.n_cursors++] = c;
    }
    return true;
}

enum status query_cursors(struct query *q, const Mq__QueryCursors *c)
{
    uint32_t owner = 0;
    struct bytes value;
    struct bytes store = apply_text(c->store);
    struct listing l = {.user = c->user, .limit = query_limit(c->limit)};
    enum status s = query_owner(q, c->user, &owner);
    if (s != OK) {
        return s;
    }
    if (store.size == 0 || store.size > STORE_BYTES_MAX) {
        return STATUS_INVALID;
    }
    q->result.cursors = query_alloc(q, l.limit * sizeof(*q->result.cursors));
    struct key name = key_text('n', store);
    if (q->failed != OK || !query_get(q, TABLE_STORE, &name, &value) || value.size != 4) {
        return OK; /* a store that has reported nothing has no cursors */
    }
    l.store = get_le32(value.data);
    each_mailbox(q, owner, c->after, list_cursor, &l);
    return OK;
}
