/* A queue, its items, and the order in which they were closed. The oldest closed one makes room when there are too many, and goes by
 * tick when it is old. */
#include "storage/apply_queue.h"

#include <string.h>

bool queue_id_ok(struct bytes id)
{
    if (id.size == 0 || id.size > QUEUE_ID_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.size; i++) {
        uint8_t c = id.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))) {
            return false;
        }
    }
    return true;
}

/* ---- the queue ---- */

/* The row may be absent. */
static void load_queue(struct queue *q)
{
    struct bytes value;
    q->key = key_u32_u32(q->owner, q->store);
    if (!rows_get(q->a->rows, TABLE_QUEUE, &q->key, &value)) {
        return;
    }
    q->known = true;
    rows_fail(q->a->rows, queue_row_decode(value, &q->row));
    if (q->a->rows->failed == OK && q->row.position.size > 0) {
        memcpy(q->position, q->row.position.data, q->row.position.size);
        q->row.position.data = q->position;
    }
    if (q->a->rows->failed == OK && q->row.site.size > 0) {
        memcpy(q->site, q->row.site.data, q->row.site.size);
        q->row.site.data = q->site;
    }
}

/* One a command: a tick that comes to many queues works on them one after the other. */
static struct queue *queue_new(struct apply *a)
{
    struct queue *q = a->queue == NULL ? arena_alloc(a->arena, sizeof(*q)) : a->queue;
    if (q == NULL) {
        if (a->arena->no_memory) {
            rows_fail(a->rows, STATUS_NO_MEMORY);
        }
        return NULL;
    }
    a->queue = q;
    memset(q, 0, offsetof(struct queue, position));
    q->a = a;
    return q;
}

static enum status check_names(struct apply *a, const char *user, const char *instance,
                               uint32_t *out_owner)
{
    enum status s = OK;
    struct bytes name = apply_text(user);
    size_t prefix = strlen(QUEUE_USER_PREFIX);
    if (name.size <= prefix || memcmp(name.data, QUEUE_USER_PREFIX, prefix) != 0 ||
        !apply_name_ok(apply_text(instance), STORE_BYTES_MAX)) {
        return apply_refuse(a, STATUS_INVALID,
                            "a queue belongs to queue/HOST, and its instance has a name");
    }
    *out_owner = apply_owner(a, name, &s);
    return *out_owner == 0 ? s : OK;
}

enum status queue_begin(struct apply *a, const char *user, const char *instance,
                        const Mq__Token *lease, struct queue **out_q)
{
    struct lease_name held;
    uint32_t owner = 0;
    enum status s = check_names(a, user, instance, &owner);
    if (s != OK) {
        return s;
    }
    if (!rows_lease_find(a->rows, owner, apply_text(instance), &held) ||
        held.expires_ms <= a->rows->system.time_ms || !apply_token_equal(lease, held.token)) {
        return apply_refuse(a, STATUS_STALE_TOKEN,
                            "the lease of this queue is over or another one exists");
    }
    struct queue *q = queue_new(a);
    if (q == NULL) {
        return apply_refuse(a, STATUS_TOO_BIG, "the command unfolds to too much");
    }
    q->owner = owner;
    q->store = held.store;
    load_queue(q);
    if (q->row.forgotten) {
        return apply_refuse(a, STATUS_RESYNC, "this queue is being forgotten: begin anew");
    }
    *out_q = q;
    return OK;
}

void queue_end(struct queue *q)
{
    uint8_t bytes[QUEUE_ROW_BYTES_MAX];
    struct bytes what = key_bytes(&q->key);
    struct rows *rows = q->a->rows;
    if (q->row.closed > 0 && !q->row.due) {
        rows_expiry_put(rows, rows->system.time_ms + QUEUE_CLOSED_TTL_MS, EXPIRY_QUEUE, what,
                        (struct bytes){NULL, 0});
        q->row.due = true;
    }
    rows_put(rows, TABLE_QUEUE, &q->key, (struct bytes){bytes, queue_row_encode(&q->row, bytes)});
}

/* ---- one item ---- */

static bool take_item(struct queue *q, struct bytes value)
{
    if (value.size > sizeof(q->old)) {
        rows_fail(q->a->rows, STATUS_CORRUPT);
        return false;
    }
    memcpy(q->old, value.data, value.size);
    rows_fail(q->a->rows, item_row_decode((struct bytes){q->old, value.size}, &q->item));
    q->stored = q->a->rows->failed == OK;
    q->before = q->item;
    return q->stored;
}

bool queue_item_load(struct queue *q, struct bytes id, uint64_t arrival)
{
    struct bytes value;
    q->stored = false;
    q->item_key = key_item(q->owner, q->store, id, arrival);
    if (rows_get(q->a->rows, TABLE_ITEM, &q->item_key, &value)) {
        return take_item(q, value);
    }
    memset(&q->item, 0, sizeof(q->item));
    return false;
}

bool queue_item_newest(struct queue *q, struct bytes id, uint64_t at)
{
    struct env_cursor *c;
    struct bytes key;
    struct bytes value;
    struct key k = key_item(q->owner, q->store, id, 0);
    size_t head = k.size - 8;
    put_be64(k.data + head, at == 0 ? UINT64_MAX : at + QUEUE_CLOCK_S); /* the first one after it */
    enum status s = env_cursor_open(q->a->rows->txn, TABLE_ITEM, &c);
    if (s != OK) {
        rows_fail(q->a->rows, s);
        return false;
    }
    s = env_cursor_before(c, key_bytes(&k), &key, &value);
    bool found = s == OK && key.size == k.size && memcmp(key.data, k.data, head) == 0;
    if (found) {
        memcpy(q->item_key.data, key.data, key.size);
        q->item_key.size = key.size;
        found = take_item(q, value);
    }
    env_cursor_close(c);
    rows_fail(q->a->rows, s == STATUS_NOT_FOUND ? OK : s);
    return found;
}

static bool unexplained(const struct item_row *r)
{
    uint8_t outcome = item_outcome(r);
    return outcome == MQ__QUEUE_RECIPIENT__OUTCOME__UNKNOWN ||
           outcome == MQ__QUEUE_RECIPIENT__OUTCOME__OPEN;
}

static void count(struct queue_row *q, const struct item_row *r, bool in)
{
    uint32_t one = in ? 1 : UINT32_MAX; /* modulo 2^32: plus or minus one */
    if (r->closed) {
        q->closed += one;
        q->unknown += unexplained(r) ? one : 0;
        return;
    }
    q->open += one;
    q->states[r->state] += one;
    q->bytes += in ? r->size : 0 - r->size;
}

void queue_item_put(struct queue *q)
{
    struct bytes value = {q->out, item_row_encode(&q->item, q->out)};
    if (q->stored) {
        count(&q->row, &q->before, false);
    }
    count(&q->row, &q->item, true);
    rows_put(q->a->rows, TABLE_ITEM, &q->item_key, value);
    q->stored = true;
    q->before = q->item;
}

static void remove_item(struct queue *q)
{
    count(&q->row, &q->item, false);
    rows_delete(q->a->rows, TABLE_ITEM, &q->item_key);
    q->stored = false;
}

/* The item closed longest ago, if that was at before_ms or earlier; false: none such, then *out_closed_ms is when it was (0: none
 * is left). The item at hand is another one afterwards. */
static bool drop_oldest(struct queue *q, uint64_t before_ms, uint64_t *out_closed_ms)
{
    struct bytes key;
    struct bytes value;
    struct key place = q->key;
    *out_closed_ms = 0;
    if (!rows_seek(q->a->rows, TABLE_CLOSED, key_bytes(&place), &key, &value) ||
        key.size != QUEUE_PREFIX_BYTES + 8 ||
        memcmp(key.data, q->key.data, QUEUE_PREFIX_BYTES) != 0) {
        return false;
    }
    memcpy(place.data, key.data, key.size);
    place.size = key.size;
    if (value.size == 0 || value.size > sizeof(q->item_key.data)) {
        rows_fail(q->a->rows, STATUS_CORRUPT);
        return false;
    }
    memcpy(q->item_key.data, value.data, value.size);
    q->item_key.size = value.size;
    if (!rows_get(q->a->rows, TABLE_ITEM, &q->item_key, &value) || !take_item(q, value)) {
        rows_fail(q->a->rows, STATUS_CORRUPT);
        return false;
    }
    if (q->item.closed_ms > before_ms) {
        *out_closed_ms = q->item.closed_ms;
        return false;
    }
    rows_delete(q->a->rows, TABLE_CLOSED, &place);
    remove_item(q);
    return true;
}

void queue_item_close(struct queue *q, uint64_t at, bool certain)
{
    uint64_t closed_ms;
    q->item.closed = true;
    q->item.certain = certain;
    q->item.closed_at = at;
    q->item.closed_ms = q->a->rows->system.time_ms;
    q->item.close_number = q->row.next_close++;
    struct key place = key_closed(q->owner, q->store, q->item.close_number);
    rows_put_new(q->a->rows, TABLE_CLOSED, &place, key_bytes(&q->item_key));
    queue_item_put(q);
    if (q->row.closed > QUEUE_CLOSED_MAX) {
        drop_oldest(q, UINT64_MAX, &closed_ms);
    }
}

void queue_item_reopen(struct queue *q)
{
    struct key place = key_closed(q->owner, q->store, q->item.close_number);
    rows_delete(q->a->rows, TABLE_CLOSED, &place);
    q->item.closed = false;
    q->item.certain = false;
    q->item.closed_at = 0;
    q->item.closed_ms = 0;
    q->item.close_number = 0;
    q->item.successor = (struct bytes){NULL, 0};
}

/* ---- time ---- */

/* Deletes rows of this queue; returns how many. */
static uint32_t drop_rows(struct queue *q, enum table t, uint32_t left)
{
    struct bytes key;
    struct bytes value;
    uint32_t n = 0;
    while (n < left && rows_seek(q->a->rows, t, key_bytes(&q->key), &key, &value) &&
           key.size >= QUEUE_PREFIX_BYTES && key.size <= KEY_BYTES_MAX &&
           memcmp(key.data, q->key.data, QUEUE_PREFIX_BYTES) == 0) {
        struct key k;
        memcpy(k.data, key.data, key.size);
        k.size = key.size;
        rows_delete(q->a->rows, t, &k);
        n++;
    }
    return n;
}

static uint32_t drop_queue(struct queue *q, uint32_t left)
{
    struct rows *rows = q->a->rows;
    uint32_t n = drop_rows(q, TABLE_ITEM, left);
    n += drop_rows(q, TABLE_CLOSED, left - n);
    if (n < left) {
        rows_delete(rows, TABLE_QUEUE, &q->key);
    } else { /* the next tick goes on */
        rows_expiry_put(rows, rows->system.time_ms, EXPIRY_QUEUE, key_bytes(&q->key),
                        (struct bytes){NULL, 0});
    }
    return n + 1;
}

uint32_t queue_expire(struct apply *a, struct bytes what, uint32_t left)
{
    uint64_t now_ms = a->rows->system.time_ms;
    uint64_t closed_ms = 0;
    uint32_t touched = 2;
    struct queue *q = what.size == QUEUE_PREFIX_BYTES ? queue_new(a) : NULL;
    if (q == NULL) {
        rows_fail(a->rows, STATUS_CORRUPT);
        return 1;
    }
    q->owner = get_be32(what.data);
    q->store = get_be32(what.data + 4);
    load_queue(q);
    if (!q->known) {
        return 1; /* it was forgotten */
    }
    if (q->row.forgotten) {
        return drop_queue(q, left);
    }
    uint64_t before_ms = now_ms < QUEUE_CLOSED_TTL_MS ? 0 : now_ms - QUEUE_CLOSED_TTL_MS;
    while (touched < left && drop_oldest(q, before_ms, &closed_ms)) {
        touched += 2;
    }
    q->row.due = q->row.closed > 0;
    if (q->row.due) { /* at once when this tick could not do more */
        rows_expiry_put(a->rows, closed_ms == 0 ? now_ms : closed_ms + QUEUE_CLOSED_TTL_MS,
                        EXPIRY_QUEUE, key_bytes(&q->key), (struct bytes){NULL, 0});
    }
    queue_end(q);
    return touched + 2;
}

/* ---- forgetting ---- */

enum status apply_queue_forget(struct apply *a, const Mq__QueueForget *c)
{
    struct lease_name held;
    uint32_t owner = 0;
    enum status s = check_names(a, c->user, c->instance, &owner);
    if (s != OK) {
        return s;
    }
    struct bytes instance = apply_text(c->instance);
    if (rows_lease_find(a->rows, owner, instance, &held) &&
        held.expires_ms > a->rows->system.time_ms) {
        return apply_refuse(a, STATUS_CONFLICT,
                            "a feed reports this queue: stop it on that host first");
    }
    uint32_t store = rows_store_find(a->rows, instance, false);
    struct queue *q = store == 0 ? NULL : queue_new(a);
    if (q != NULL) {
        q->owner = owner;
        q->store = store;
        load_queue(q);
    }
    if (q == NULL || !q->known) {
        return a->rows->failed != OK ? a->rows->failed
                                     : apply_refuse(a, STATUS_NOT_FOUND, "there is no such queue");
    }
    if (!q->row.forgotten) {
        q->row.forgotten = q->row.due = true;
        rows_expiry_put(a->rows, a->rows->system.time_ms, EXPIRY_QUEUE, key_bytes(&q->key),
                        (struct bytes){NULL, 0});
        queue_end(q);
    }
    return OK;
}
