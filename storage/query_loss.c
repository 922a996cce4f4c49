/* What each store of a shard holds, and what would be lost with a site.
 *
 * A message is lost with a site when a store there has it and no store elsewhere; a mailbox, when no store elsewhere has the mailbox. A
 * store that does not tell its site counts as a place of its own. The counters of the cursors say which mailboxes have such messages, so
 * only those are looked through; a page looks at LOSS_ROWS_MAX rows at most (and finishes a user's list of mailboxes), and says where the
 * next one begins: 1 byte (what of the user is done), the mailbox's GUID, the UID, the user's name. */
#include <string.h>

#include "storage/query_state.h"
#include "storage/record_queue.h"

#define LOSS_ROWS_MAX   16384u
#define LOSS_AFTER_HEAD (1u + MAILBOX_GUID_BYTES + 4u)

enum loss_after {
    AFTER_USER = 1,    /* the user is done */
    AFTER_MAILBOX = 2, /* this mailbox of the user is done */
    AFTER_UID = 3      /* the messages of the mailbox up to this UID are */
};

/* ---- stores ---- */

static Mq__StoreSums *make_sums(struct query *q, const struct store_row *row)
{
    Mq__StoreSums *s = query_alloc(q, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    mq__store_sums__init(s);
    s->store = row->number == 0 ? query_string(q, (struct bytes){NULL, 0})
                                : query_store_name(q, row->number);
    s->site = query_string(q, (struct bytes){(const uint8_t *)row->site, row->site_size});
    s->number = row->number;
    s->complete_ms = row->complete_ms;
    s->heard_ms = row->heard_ms;
    s->mailboxes = row->mailboxes;
    s->messages = row->messages;
    s->bytes = row->bytes;
    s->sole_messages = row->sole_messages;
    s->sole_bytes = row->sole_bytes;
    s->missing_messages = row->missing_messages;
    s->missing_bytes = row->missing_bytes;
    return s;
}

bool query_store_state(struct query *q, uint32_t number, struct store_row *out_row)
{
    struct key k = key_store_state(number);
    struct bytes value;
    if (!query_get(q, TABLE_STORE, &k, &value)) {
        return false;
    }
    query_fail(q, store_row_decode(number, value, out_row));
    return q->failed == OK;
}

enum status query_stores(struct query *q, const Mq__QueryStores *c)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct store_row row;
    uint32_t limit = query_limit(c->limit);
    if (query_store_state(q, 0, &row)) {
        q->result.shard_sums = make_sums(q, &row);
    }
    q->result.stores = query_alloc(q, limit * sizeof(*q->result.stores));
    if (c->after == UINT32_MAX || q->failed != OK) {
        return OK;
    }
    enum status s = env_cursor_open(q->txn, TABLE_STORE, &rows);
    if (s != OK) {
        query_fail(q, s);
        return OK;
    }
    struct key from = key_store_state(c->after + 1);
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && key.size == from.size && key.data[0] == from.data[0] &&
           query_room(q, q->result.n_stores, limit);
         s = env_cursor_next(rows, &key, &value)) {
        query_fail(q, store_row_decode(get_be32(key.data + 1), value, &row));
        Mq__StoreSums *sums = q->failed == OK ? make_sums(q, &row) : NULL;
        if (sums != NULL) {
            q->result.stores[q->result.n_stores++] = sums;
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    return OK;
}

/* ---- one user ---- */

struct loss {
    struct query *q;
    uint32_t place; /* of the site; 0: no store stands there */
    uint32_t limit;
    uint32_t scanned;
    size_t messages;                 /* on this page */
    bool full;                       /* the page is; `after` says where the next begins */
    uint32_t places[STORES_MAX + 1]; /* of stores, once asked for */
    Mq__LossMessage **rows;          /* of all mailboxes of the page, one after the other */
    struct bytes user;
    enum loss_after after; /* with guid and uid: the place up to which this page goes */
    uint8_t guid[MAILBOX_GUID_BYTES];
    uint32_t uid;
};

static uint32_t place_of(struct loss *l, uint32_t store)
{
    struct store_row row;
    if (store > STORES_MAX) {
        query_fail(l->q, STATUS_CORRUPT);
        return 0;
    }
    if (l->places[store] == 0 && query_store_state(l->q, store, &row)) {
        l->places[store] = row.place;
    }
    return l->places[store];
}

struct slots {
    uint16_t here, elsewhere;
    uint64_t sole;
};

static struct slots slots_of(struct loss *l, const struct mailbox_row *m)
{
    struct slots s = {0};
    for (unsigned i = 0; i < m->cursor_count; i++) {
        const struct cursor_row *c = &m->cursors[i];
        if (!mailbox_cursor_live(m, c)) {
            continue;
        }
        if (place_of(l, c->store) == l->place) {
            s.here = (uint16_t)(s.here | (1u << c->slot));
            s.sole += c->sole_messages;
        } else {
            s.elsewhere = (uint16_t)(s.elsewhere | (1u << c->slot));
        }
    }
    return s;
}

static bool page_full(const struct loss *l)
{
    return l->messages >= l->limit || l->scanned >= LOSS_ROWS_MAX ||
           l->q->bytes >= QUERY_BYTES_MAX || l->q->result.n_loss_mailboxes >= l->limit;
}

static Mq__LossMailbox *make_box(struct loss *l, const struct mailbox_row *m, bool whole)
{
    struct query *q = l->q;
    Mq__LossMailbox *b = query_alloc(q, sizeof(*b));
    if (b == NULL) {
        return NULL;
    }
    mq__loss_mailbox__init(b);
    b->user = query_string(q, l->user);
    b->guid = query_data(q, (struct bytes){m->guid, MAILBOX_GUID_BYTES});
    b->name = query_string(q, (struct bytes){(const uint8_t *)m->name, m->name_size});
    b->uidvalidity = m->current.uidvalidity;
    b->whole = whole;
    b->messages = &l->rows[l->messages];
    return q->failed == OK ? b : NULL;
}

static void add_message(struct loss *l, Mq__LossMailbox *b, uint32_t uid,
                        const struct message_row *row)
{
    Mq__LossMessage *x = query_alloc(l->q, sizeof(*x));
    if (x == NULL) {
        return;
    }
    mq__loss_message__init(x);
    x->uid = uid;
    x->guid = query_data(l->q, row->guid);
    x->internal_date = row->date;
    x->size = row->size;
    l->rows[l->messages++] = x;
    b->n_messages++;
}

/* The rows of the mailbox behind l->uid, which follows; `full` when the page ends before them. */
static void scan_messages(struct loss *l, const struct mailbox_row *m, const struct slots *slots,
                          Mq__LossMailbox *b)
{
    struct query *q = l->q;
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct message_row row;
    struct key from = key_u32_u32(m->current.number, l->uid);
    enum status s = env_cursor_open(q->txn, TABLE_MESSAGE, &rows);
    if (s != OK) {
        query_fail(q, s);
        return;
    }
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && key.size == 8 && get_be32(key.data) == m->current.number;
         s = env_cursor_next(rows, &key, &value)) {
        uint32_t uid = get_be32(key.data + 4);
        if (uid == l->uid) {
            continue; /* on the page before; there is no UID 0 */
        }
        if (page_full(l)) {
            l->full = true;
            break;
        }
        l->scanned++;
        l->uid = uid;
        query_fail(q, message_row_decode(value, &row));
        if (q->failed == OK && !row.expunged && (row.slots & slots->here) != 0 &&
            (row.slots & slots->elsewhere) == 0) {
            add_message(l, b, uid, &row);
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
}

/* Lists the mailbox, from l->uid on when a part of it was on the page before, and moves the place of the page behind what it listed. */
static void list_box(struct loss *l, const struct mailbox_row *m, void *arg)
{
    struct query *q = l->q;
    (void)arg;
    bool resumed = l->after == AFTER_UID && memcmp(l->guid, m->guid, sizeof(l->guid)) == 0;
    struct slots slots = slots_of(l, m);
    bool whole = slots.here != 0 && slots.elsewhere == 0;
    bool wanted = whole || (slots.here != 0 && (slots.sole > 0 || m->clearing != 0));
    if (page_full(l)) {
        l->full = true;
        return;
    }
    Mq__LossMailbox *b = wanted ? make_box(l, m, whole) : NULL;
    memcpy(l->guid, m->guid, sizeof(l->guid));
    l->uid = resumed ? l->uid : 0;
    if (b != NULL) {
        scan_messages(l, m, &slots, b);
    }
    if (b != NULL && (b->n_messages > 0 || (whole && !resumed))) {
        q->result.loss_mailboxes[q->result.n_loss_mailboxes++] = b;
    }
    l->after = l->full ? AFTER_UID : AFTER_MAILBOX;
}

typedef void loss_each(struct loss *l, const struct mailbox_row *m, void *arg);

/* The mailboxes of an owner from (or, when `behind`, behind) l->guid; each() stops it with `full`. */
static void each_box(struct loss *l, uint32_t owner, bool behind, loss_each *each, void *arg)
{
    struct query *q = l->q;
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct mailbox_row m;
    struct key from = key_mailbox(owner, l->guid);
    enum status s = env_cursor_open(q->txn, TABLE_MAILBOX, &rows);
    if (s != OK) {
        query_fail(q, s);
        return;
    }
    s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && !l->full && key.size == from.size &&
           get_be32(key.data) == owner;
         s = env_cursor_next(rows, &key, &value)) {
        if (behind && memcmp(key.data, from.data, key.size) == 0) {
            continue;
        }
        l->scanned++;
        query_fail(q, mailbox_row_decode(key, value, &m));
        if (q->failed == OK) {
            each(l, &m, arg);
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
}

static void count_box(struct loss *l, const struct mailbox_row *m, void *arg)
{
    Mq__LossUser *u = arg;
    struct slots slots = slots_of(l, m);
    u->mailboxes += slots.here != 0 || slots.elsewhere != 0;
    u->mailboxes_lost += slots.here != 0 && slots.elsewhere == 0;
}

static void loss_of_user(struct loss *l, const struct owner_row *owner, bool resumed)
{
    struct query *q = l->q;
    if (!resumed) {
        Mq__LossUser *u = query_alloc(q, sizeof(*u));
        if (u == NULL) {
            return;
        }
        mq__loss_user__init(u);
        memset(l->guid, 0, sizeof(l->guid));
        l->after = AFTER_MAILBOX; /* of a GUID before all others */
        each_box(l, owner->number, false, count_box, u);
        q->result.loss_unreported += u->mailboxes == 0;
        if (u->mailboxes_lost > 0) {
            u->user = query_string(q, l->user);
            q->result.loss_users[q->result.n_loss_users++] = u;
        }
    }
    if (l->place != 0) {
        each_box(l, owner->number, resumed && l->after == AFTER_MAILBOX, list_box, NULL);
    }
}

/* ---- the page ---- */

/* The owner of a host's mail queues has no mailboxes. */
static bool queue_host(struct bytes user)
{
    size_t size = strlen(QUEUE_USER_PREFIX);
    return user.size > size && memcmp(user.data, QUEUE_USER_PREFIX, size) == 0;
}

static bool read_after(struct loss *l, ProtobufCBinaryData after)
{
    if (after.len == 0) {
        return true;
    }
    if (after.len <= LOSS_AFTER_HEAD || after.len > LOSS_AFTER_HEAD + USER_BYTES_MAX ||
        after.data[0] < AFTER_USER || after.data[0] > AFTER_UID) {
        return false;
    }
    l->after = (enum loss_after)after.data[0];
    memcpy(l->guid, after.data + 1, MAILBOX_GUID_BYTES);
    l->uid = get_be32(after.data + 1 + MAILBOX_GUID_BYTES);
    l->user = (struct bytes){after.data + LOSS_AFTER_HEAD, after.len - LOSS_AFTER_HEAD};
    return true;
}

static void write_after(struct loss *l)
{
    uint8_t bytes[LOSS_AFTER_HEAD + USER_BYTES_MAX];
    bytes[0] = (uint8_t)l->after;
    memcpy(bytes + 1, l->guid, MAILBOX_GUID_BYTES);
    put_be32(bytes + 1 + MAILBOX_GUID_BYTES, l->uid);
    memcpy(bytes + LOSS_AFTER_HEAD, l->user.data, l->user.size);
    l->q->result.more = true;
    l->q->result.loss_after =
        query_data(l->q, (struct bytes){bytes, LOSS_AFTER_HEAD + l->user.size});
}

static void loss_page(struct loss *l, struct env_cursor *owners)
{
    struct query *q = l->q;
    struct bytes key;
    struct bytes value;
    struct owner_row owner;
    bool resumed = l->after == AFTER_MAILBOX || l->after == AFTER_UID;
    struct bytes from = l->user;
    enum status s = env_cursor_seek(owners, from, &key, &value);
    if (s == OK && from.size > 0 && key.size == from.size &&
        memcmp(key.data, from.data, key.size) == 0) {
        s = resumed ? OK : env_cursor_next(owners, &key, &value);
    } else {
        resumed = false;
    }
    for (; s == OK && q->failed == OK; s = env_cursor_next(owners, &key, &value)) {
        if (page_full(l) || q->result.n_loss_users == l->limit) {
            l->after = AFTER_USER; /* l->user is the one before */
            l->full = true;
        } else if (key.size > USER_BYTES_MAX) {
            query_fail(q, STATUS_CORRUPT);
        } else if (!queue_host(key)) {
            l->scanned++;
            l->user = key;
            query_fail(q, owner_row_decode(value, &owner));
            if (q->failed == OK) {
                loss_of_user(l, &owner, resumed);
            }
            resumed = false;
        }
        if (l->full) {
            write_after(l);
            return;
        }
    }
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
}

enum status query_loss(struct query *q, const Mq__QueryLoss *c)
{
    struct env_cursor *owners;
    struct bytes value;
    struct bytes site = apply_text(c->site);
    struct loss *l = query_alloc(q, sizeof(*l));
    if (site.size == 0 || site.size > SITE_BYTES_MAX) {
        return STATUS_INVALID;
    }
    if (l == NULL) {
        return OK;
    }
    memset(l, 0, sizeof(*l));
    l->q = q;
    l->limit = query_limit(c->limit);
    if (!read_after(l, c->after)) {
        return STATUS_INVALID;
    }
    struct key k = key_text('s', site);
    if (query_get(q, TABLE_STORE, &k, &value) && value.size == 4) {
        l->place = get_le32(value.data);
    }
    q->result.loss_users = query_alloc(q, l->limit * sizeof(*q->result.loss_users));
    q->result.loss_mailboxes = query_alloc(q, (size_t)l->limit * sizeof(*q->result.loss_mailboxes));
    l->rows = query_alloc(q, l->limit * sizeof(*l->rows));
    enum status s = q->failed == OK ? env_cursor_open(q->txn, TABLE_OWNER, &owners) : q->failed;
    if (s != OK) {
        query_fail(q, s);
        return OK;
    }
    q->bytes = 0; /* what was taken for the tables does not count */
    loss_page(l, owners);
    env_cursor_close(owners);
    return OK;
}
