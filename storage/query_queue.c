/* Queries about mail queues: the queues of a shard in pages of whole hosts, and the items of one host, filtered. A filter may look
 * at QUEUE_SCAN_MAX rows a page; what it has not come to is left to the next one. */
#include <string.h>

#include "base/must.h"
#include "storage/query_state.h"
#include "storage/record_queue.h"

#define QUEUE_SCAN_MAX 16384u

/* ---- queues ---- */

static void add_queue(struct query *q, struct bytes user, struct bytes key, struct bytes value)
{
    struct queue_row row;
    Mq__Queue *m = query_alloc(q, sizeof(*m));
    uint64_t *states = query_alloc(q, QUEUE_STATES * sizeof(*states));
    query_fail(q, queue_row_decode(value, &row));
    if (q->failed != OK) {
        return;
    }
    mq__queue__init(m);
    m->user = query_string(q, user);
    m->instance = query_store_name(q, get_be32(key.data + 4));
    m->open = row.open;
    m->bytes = row.bytes;
    m->states = states;
    m->n_states = QUEUE_STATES;
    for (unsigned i = 0; i < QUEUE_STATES; i++) {
        states[i] = row.states[i];
    }
    m->closed = row.closed;
    m->unknown = row.unknown;
    m->complete_ms = row.complete_ms;
    m->reported_ms = row.reported_ms;
    m->swept_ms = row.swept_ms;
    m->sweeping = row.sweeping;
    m->position = query_string(q, row.position);
    m->site = query_string(q, row.site);
    q->result.queues[q->result.n_queues++] = m;
}

/* The rows of one host: with `add` they are put to the answer. */
static size_t walk_host(struct query *q, struct env_cursor *rows, struct bytes user, uint32_t owner,
                        bool add)
{
    struct bytes key;
    struct bytes value;
    struct queue_row row;
    size_t n = 0;
    struct key from = key_u32(owner);
    enum status s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && key.size == QUEUE_PREFIX_BYTES &&
           get_be32(key.data) == owner;
         s = env_cursor_next(rows, &key, &value)) {
        query_fail(q, queue_row_decode(value, &row));
        if (q->failed != OK || row.forgotten) {
            continue;
        }
        n++;
        if (add) {
            add_queue(q, user, key, value);
        }
    }
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    return n;
}

/* All instances of one host or none; false: the page is full. The next page goes on after a host (after_user), so a host on two
 * pages would lose those on the second. The first one always goes, whatever the limit: a feed has up to 16 instances, but
 * queues stay until somebody has them forgotten, so that only STORES_MAX bounds them, and a host that fits no page would hide all behind it. */
static bool host_queues(struct query *q, struct bytes user, uint32_t owner, uint32_t limit)
{
    struct env_cursor *rows;
    enum status s = env_cursor_open(q->txn, TABLE_QUEUE, &rows);
    if (s != OK) {
        query_fail(q, s);
        return false;
    }
    size_t before = q->result.n_queues;
    size_t n = walk_host(q, rows, user, owner, false);
    bool room = n == 0 || before == 0 || query_room(q, before + n - 1, limit);
    if (room && n > limit) {
        must(before == 0);
        q->result.queues = query_alloc(q, n * sizeof(*q->result.queues));
    }
    if (room && q->failed == OK) {
        walk_host(q, rows, user, owner, true);
        must(q->failed != OK || q->result.n_queues == before + n);
    }
    env_cursor_close(rows);
    return room;
}

/* The bare prefix is one too: it may be an owner's name, sorts before all hosts and has no queues. */
static bool is_host(struct bytes user)
{
    size_t prefix = strlen(QUEUE_USER_PREFIX);
    return user.size >= prefix && memcmp(user.data, QUEUE_USER_PREFIX, prefix) == 0;
}

static void all_queues(struct query *q, struct bytes after, uint32_t limit)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct owner_row row;
    struct bytes from = after.size > 0 ? after : apply_text(QUEUE_USER_PREFIX);
    enum status s = env_cursor_open(q->txn, TABLE_OWNER, &rows);
    if (s != OK) {
        query_fail(q, s);
        return;
    }
    s = env_cursor_seek(rows, from, &key, &value);
    for (; s == OK && q->failed == OK && is_host(key); s = env_cursor_next(rows, &key, &value)) {
        if (key.size == after.size && memcmp(key.data, after.data, key.size) == 0) {
            continue;
        }
        query_fail(q, owner_row_decode(value, &row));
        if (q->failed != OK || !host_queues(q, key, row.number, limit)) {
            break;
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
}

enum status query_queues(struct query *q, const Mq__QueryQueues *c)
{
    uint32_t owner = 0;
    uint32_t limit = query_limit(c->limit);
    struct bytes after = apply_text(c->after_user);
    if (after.size > USER_BYTES_MAX || (after.size > 0 && !is_host(after))) {
        return STATUS_INVALID;
    }
    q->result.queues = query_alloc(q, limit * sizeof(*q->result.queues));
    if (q->failed != OK) {
        return OK;
    }
    if (c->user[0] == '\0') {
        all_queues(q, after, limit);
        return OK;
    }
    enum status s = query_owner(q, c->user, &owner);
    if (s == OK && q->failed == OK) {
        host_queues(q, apply_text(c->user), owner, limit);
    }
    return s;
}

/* ---- items ---- */

struct item_filter {
    const Mq__QueryQueueItems *c;
    struct bytes recipient;
    uint32_t owner;
    uint32_t store; /* 0: any */
    uint32_t limit;
    uint32_t scanned;
};

/* "@domain" is the end of an address. */
static bool has_recipient(const struct item_row *item, struct bytes wanted)
{
    bool domain = wanted.data[0] == '@';
    for (unsigned i = 0; i < item->recipient_count; i++) {
        struct bytes a = item->recipients[i].address;
        if (a.size == wanted.size || (domain && a.size > wanted.size)) {
            if (memcmp(a.data + (a.size - wanted.size), wanted.data, wanted.size) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool wanted(const struct item_filter *f, uint32_t store, struct bytes id,
                   const struct item_row *item)
{
    struct bytes wanted_id = apply_text(f->c->id);
    if ((f->store != 0 && store != f->store) || (item->closed && !f->c->closed)) {
        return false;
    }
    if (wanted_id.size > 0 &&
        (id.size != wanted_id.size || memcmp(id.data, wanted_id.data, id.size) != 0)) {
        return false;
    }
    if (f->c->state != MQ__QUEUE_ITEM__STATE__NONE &&
        (item->closed || item->state != (uint8_t)f->c->state)) {
        return false;
    }
    return f->recipient.size == 0 || has_recipient(item, f->recipient);
}

static void fill_recipients(struct query *q, const struct item_row *item, Mq__QueueItem *m)
{
    size_t n = item->recipient_count;
    Mq__QueueRecipient *list = query_alloc(q, (n + 1) * sizeof(*list));
    m->recipients = query_alloc(q, (n + 1) * sizeof(*m->recipients));
    for (size_t i = 0; i < n && q->failed == OK; i++) {
        const struct recipient_row *r = &item->recipients[i];
        mq__queue_recipient__init(&list[i]);
        list[i].address = query_string(q, r->address);
        list[i].orig_address = query_string(q, r->orig_address);
        list[i].reply = query_string(q, r->reply);
        list[i].outcome = (Mq__QueueRecipient__Outcome)r->outcome;
        list[i].at = r->at;
        m->recipients[m->n_recipients++] = &list[i];
    }
}

static void fill_state(struct query *q, const struct item_row *item, Mq__QueueRow *m)
{
    uint8_t outcome = item_outcome(item);
    m->closed = item->closed;
    m->outcome = (Mq__QueueRecipient__Outcome)outcome;
    if (!item->closed) {
        m->outcome = MQ__QUEUE_RECIPIENT__OUTCOME__OPEN;
    } else if (outcome ==
               MQ__QUEUE_RECIPIENT__OUTCOME__OPEN) { /* it has no recipient that we know */
        m->outcome = MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN;
    }
    m->closed_at = item->closed_at;
    m->recorded_ms = item->recorded_ms;
    m->closed_ms = item->closed_ms;
    m->missing = item->missing;
    m->successor = query_string(q, item->successor);
    if (item->claim.position != 0) {
        m->claim = query_alloc(q, sizeof(*m->claim));
        if (m->claim != NULL) {
            mq__token__init(m->claim);
            m->claim->epoch = item->claim.epoch;
            m->claim->position = item->claim.position;
        }
    }
}

static void add_item(struct query *q, const struct item_filter *f, struct bytes key,
                     const struct item_row *item)
{
    struct bytes id = {NULL, 0};
    uint64_t arrival = 0;
    Mq__QueueRow *m = query_alloc(q, sizeof(*m));
    Mq__QueueItem *i = query_alloc(q, sizeof(*i));
    query_fail(q, key_item_read(key, &id, &arrival));
    if (q->failed != OK) {
        return;
    }
    mq__queue_row__init(m);
    mq__queue_item__init(i);
    m->user = f->c->user;
    m->instance = query_store_name(q, get_be32(key.data + 4));
    m->item = i;
    i->id = query_string(q, id);
    i->arrival = arrival;
    i->state = (Mq__QueueItem__State)item->state;
    i->size = item->size;
    i->sender = query_string(q, item->sender);
    i->forced_expire = item->forced_expire;
    i->recipients_omitted = item->recipients_omitted;
    fill_recipients(q, item, i);
    fill_state(q, item, m);
    if (q->failed == OK) {
        q->result.queue_items[q->result.n_queue_items++] = m;
    }
}

/* false: the page ends before this row. */
static bool take_row(struct query *q, struct item_filter *f, struct bytes key, struct bytes value)
{
    struct item_row item;
    struct bytes id;
    uint64_t arrival;
    if (++f->scanned > QUEUE_SCAN_MAX) {
        q->result.more = true;
        return false;
    }
    enum status s = item_row_decode(value, &item);
    s = s == OK ? key_item_read(key, &id, &arrival) : s;
    query_fail(q, s);
    if (s != OK || !wanted(f, get_be32(key.data + 4), id, &item)) {
        return true;
    }
    if (!query_room(q, q->result.n_queue_items, f->limit)) {
        return false;
    }
    add_item(q, f, key, &item);
    return true;
}

static void scan_items(struct query *q, struct item_filter *f, struct bytes after)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct key last = {.size = 0};
    struct key from = f->store != 0 ? key_u32_u32(f->owner, f->store) : key_u32(f->owner);
    enum status s = env_cursor_open(q->txn, TABLE_ITEM, &rows);
    if (s != OK) {
        query_fail(q, s);
        return;
    }
    size_t prefix = from.size;
    s = env_cursor_seek(rows, after.size > 0 ? after : key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK && key.size > QUEUE_PREFIX_BYTES &&
           key.size <= sizeof(last.data) && memcmp(key.data, from.data, prefix) == 0;
         s = env_cursor_next(rows, &key, &value)) {
        if (key.size == after.size && memcmp(key.data, after.data, key.size) == 0) {
            continue;
        }
        if (!take_row(q, f, key, value)) {
            break;
        }
        memcpy(last.data, key.data, key.size);
        last.size = key.size;
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    if (q->result.more) {
        q->result.queue_after = query_data(q, last.size > 0 ? key_bytes(&last) : after);
    }
}

enum status query_queue_items(struct query *q, const Mq__QueryQueueItems *c)
{
    struct bytes value;
    struct bytes instance = apply_text(c->instance);
    struct item_filter f = {
        .c = c, .recipient = apply_text(c->recipient), .limit = query_limit(c->limit)};
    enum status s = query_owner(q, c->user, &f.owner);
    if (s != OK) {
        return s;
    }
    if (instance.size > STORE_BYTES_MAX || c->after.len > KEY_BYTES_MAX) {
        return STATUS_INVALID;
    }
    struct bytes after = apply_data(c->after);
    if (after.size > 0 && (after.size < 4 || get_be32(after.data) != f.owner)) {
        return STATUS_INVALID;
    }
    q->result.queue_items = query_alloc(q, f.limit * sizeof(*q->result.queue_items));
    if (instance.size > 0) {
        struct key name = key_text('n', instance);
        if (!query_get(q, TABLE_STORE, &name, &value) || value.size != 4) {
            return OK; /* an instance that has reported nothing has no items */
        }
        f.store = get_le32(value.data);
    }
    if (q->failed == OK) {
        scan_items(q, &f, after);
    }
    return OK;
}
