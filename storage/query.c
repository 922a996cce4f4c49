/* Queries: decode, one read transaction, dispatch, encode. Users, dictionary, leases, digests and the founding are answered here,
 * mailboxes in query_mailbox.c, mail queues in query_queue.c. A reader holds back the reuse of pages, so every page of an answer is bounded; only `recompute`
 * walks everything. */
#include "storage/query.h"

#include <string.h>

#include "base/must.h"
#include "storage/query_state.h"

void query_fail(struct query *q, enum status s)
{
    if (q->failed == OK && s != OK) {
        q->failed = s;
    }
}

bool query_get(struct query *q, enum table t, const struct key *k, struct bytes *out_value)
{
    enum status s = env_get(q->txn, t, key_bytes(k), out_value);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    return s == OK;
}

void *query_alloc(struct query *q, size_t size)
{
    void *p = arena_alloc(q->arena, size);
    if (p == NULL) {
        query_fail(q, STATUS_NO_MEMORY);
    }
    q->bytes += size;
    return p;
}

char *query_string(struct query *q, struct bytes text)
{
    char *p = query_alloc(q, text.size + 1);
    if (p != NULL) {
        if (text.size > 0) {
            memcpy(p, text.data, text.size);
        }
        p[text.size] = 0;
    }
    return p;
}

ProtobufCBinaryData query_data(struct query *q, struct bytes data)
{
    uint8_t *p = query_alloc(q, data.size);
    if (p != NULL && data.size > 0) {
        memcpy(p, data.data, data.size);
    }
    return (ProtobufCBinaryData){p == NULL ? 0 : data.size, p};
}

uint32_t query_limit(uint32_t asked)
{
    return asked == 0 || asked > QUERY_ROWS_MAX ? QUERY_ROWS_MAX : asked;
}

bool query_room(struct query *q, size_t rows, uint32_t limit)
{
    if (rows < limit && q->bytes < QUERY_BYTES_MAX) {
        return true;
    }
    q->result.more = true;
    return false;
}

enum status query_owner_row(struct query *q, const char *user, struct owner_row *out_row)
{
    struct bytes name = apply_text(user);
    struct bytes value;
    memset(out_row, 0, sizeof(*out_row));
    if (name.size == 0 || name.size > USER_BYTES_MAX) {
        return STATUS_INVALID;
    }
    struct key k = key_text(0, name);
    if (!query_get(q, TABLE_OWNER, &k, &value)) {
        return STATUS_MOVED;
    }
    query_fail(q, owner_row_decode(value, out_row));
    return OK;
}

enum status query_owner(struct query *q, const char *user, uint32_t *out_owner)
{
    struct owner_row row;
    enum status s = query_owner_row(q, user, &row);
    if (s == OK) {
        *out_owner = row.number;
    }
    return s;
}

/* ---- users ---- */

static Mq__User *make_user(struct query *q, struct bytes name, struct bytes value)
{
    struct user_row row;
    Mq__User *u = query_alloc(q, sizeof(*u));
    enum status s = user_row_decode(value, &row);
    query_fail(q, s);
    if (u == NULL || s != OK) {
        return NULL;
    }
    mq__user__init(u);
    u->name = query_string(q, name);
    u->shard = row.shard;
    u->flags = row.flags;
    u->priority = query_string(q, row.priority);
    u->owner_applied = (row.flags & USER_OWNER_APPLIED) != 0;
    return u;
}

static enum status query_user(struct query *q, const Mq__QueryUser *c)
{
    struct bytes name = apply_text(c->user);
    struct bytes value;
    if (name.size == 0 || name.size > USER_BYTES_MAX) {
        return STATUS_INVALID;
    }
    struct key k = key_text(0, name);
    if (!query_get(q, TABLE_USER, &k, &value)) {
        return STATUS_NOT_FOUND;
    }
    q->result.users = query_alloc(q, sizeof(*q->result.users));
    Mq__User *u = make_user(q, name, value);
    if (q->result.users != NULL && u != NULL) {
        q->result.users[q->result.n_users++] = u;
    }
    return OK;
}

static enum status query_users(struct query *q, const Mq__QueryUsers *c)
{
    struct env_cursor *rows;
    struct bytes key;
    struct bytes value;
    struct bytes after = apply_text(c->after);
    uint32_t limit = query_limit(c->limit);
    if (after.size > USER_BYTES_MAX) {
        return STATUS_INVALID;
    }
    q->result.users = query_alloc(q, limit * sizeof(*q->result.users));
    enum status s = env_cursor_open(q->txn, TABLE_USER, &rows);
    if (s != OK || q->failed != OK) {
        query_fail(q, s);
        return OK;
    }
    s = env_cursor_seek(rows, after, &key, &value);
    if (s == OK && after.size > 0 && key.size == after.size &&
        memcmp(key.data, after.data, key.size) == 0) {
        s = env_cursor_next(rows, &key, &value);
    }
    for (; s == OK && q->failed == OK && query_room(q, q->result.n_users, limit);
         s = env_cursor_next(rows, &key, &value)) {
        Mq__User *u = make_user(q, key, value);
        if (u != NULL) {
            q->result.users[q->result.n_users++] = u;
        }
    }
    env_cursor_close(rows);
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
    return OK;
}

static enum status query_founding(struct query *q)
{
    struct key k = {.data = "founding", .size = 8};
    struct bytes value;
    if (!query_get(q, TABLE_SYSTEM, &k, &value)) {
        return STATUS_NOT_FOUND;
    }
    q->result.founding = mq__founding__unpack(&q->arena->allocator, value.size, value.data);
    query_fail(q, q->result.founding == NULL ? STATUS_CORRUPT : OK);
    return OK;
}

/* None yet is an answer too. */
static enum status query_settings(struct query *q)
{
    struct key k = {.data = "settings", .size = 8};
    struct bytes value = {NULL, 0};
    (void)query_get(q, TABLE_SYSTEM, &k, &value);
    q->result.settings = mq__settings__unpack(&q->arena->allocator, value.size, value.data);
    query_fail(q, q->result.settings == NULL ? STATUS_CORRUPT : OK);
    return OK;
}

static enum status query_lease(struct query *q, const Mq__QueryLease *c)
{
    uint32_t owner = 0;
    struct bytes value;
    struct bytes store = apply_text(c->store);
    struct lease_row row;
    enum status s = query_owner(q, c->user, &owner);
    if (s != OK) {
        return s;
    }
    if (store.size == 0 || store.size > STORE_BYTES_MAX) {
        return STATUS_INVALID;
    }
    struct key name = key_text('n', store);
    if (!query_get(q, TABLE_STORE, &name, &value) || value.size != 4) {
        return STATUS_NOT_FOUND;
    }
    struct key k = key_u32_u32(owner, get_le32(value.data));
    if (!query_get(q, TABLE_LEASE, &k, &value)) {
        return STATUS_NOT_FOUND;
    }
    query_fail(q, lease_row_decode(value, &row));
    Mq__ResultLease *l = query_alloc(q, sizeof(*l));
    Mq__Token *t = query_alloc(q, sizeof(*t));
    if (q->failed != OK) {
        return OK;
    }
    if (row.expires_ms <= q->system.time_ms) {
        return STATUS_NOT_FOUND;
    }
    mq__result_lease__init(l);
    mq__token__init(t);
    t->epoch = row.token.epoch;
    t->position = row.token.position;
    l->token = t;
    l->expires_ms = row.expires_ms;
    l->holder = query_string(q, row.holder);
    q->result.lease = l;
    return OK;
}

/* ---- dictionary ---- */

static void add_entry(struct query *q, const Mq__QueryDict *c, struct bytes user_key,
                      const struct dict_row *row)
{
    Mq__DictEntry *d = query_alloc(q, sizeof(*d));
    if (d == NULL) {
        return;
    }
    mq__dict_entry__init(d);
    d->namespace_ = c->namespace_;
    d->user = c->user;
    d->key = query_data(q, user_key);
    d->value = query_data(q, row->value);
    d->expires_ms = row->expires_ms;
    q->result.dict[q->result.n_dict++] = d;
}

static bool live(const struct query *q, const struct dict_row *row)
{
    return row->expires_ms == 0 || row->expires_ms > q->system.time_ms;
}

static enum status dict_one(struct query *q, const Mq__QueryDict *c, uint32_t owner)
{
    struct bytes value;
    struct dict_row row;
    struct key k = key_dict(owner, apply_text(c->namespace_), apply_data(c->key));
    if (!query_get(q, TABLE_DICT, &k, &value)) {
        return STATUS_NOT_FOUND;
    }
    query_fail(q, dict_row_decode(value, &row));
    if (q->failed == OK && !live(q, &row)) {
        return STATUS_NOT_FOUND;
    }
    add_entry(q, c, apply_data(c->key), &row);
    return OK;
}

/* Keys in the order of the table: by bytes, those too long for it by their first ones and then by hash. */
static void dict_scan(struct query *q, const Mq__QueryDict *c, uint32_t owner, uint32_t limit,
                      struct env_cursor *rows)
{
    struct bytes space = apply_text(c->namespace_);
    struct bytes prefix = apply_data(c->key);
    size_t head = 5 + space.size;
    struct key from = key_dict(owner, space, prefix);
    if (key_dict_hashed(space, prefix)) {
        from.size -= 16; /* only what is in order */
    }
    struct key all = from;
    struct key after = key_dict(owner, space, apply_data(c->after));
    bool resumed = c->after.len > 0;
    from = resumed ? after : from;
    struct bytes key;
    struct bytes value;
    struct dict_row row;
    enum status s = env_cursor_seek(rows, key_bytes(&from), &key, &value);
    for (; s == OK && q->failed == OK; s = env_cursor_next(rows, &key, &value)) {
        if (key.size < all.size || memcmp(key.data, all.data, all.size) != 0) {
            break;
        }
        if (resumed && key.size == after.size && memcmp(key.data, after.data, key.size) == 0) {
            continue;
        }
        query_fail(q, dict_row_decode(value, &row));
        if (q->failed != OK || !live(q, &row)) {
            continue;
        }
        struct bytes user_key =
            row.key.size > 0 ? row.key : (struct bytes){key.data + head, key.size - head};
        if (user_key.size < prefix.size ||
            (prefix.size > 0 && memcmp(user_key.data, prefix.data, prefix.size) != 0)) {
            continue;
        }
        if (!query_room(q, q->result.n_dict, limit)) {
            break;
        }
        add_entry(q, c, user_key, &row);
    }
    query_fail(q, s == STATUS_NOT_FOUND ? OK : s);
}

static enum status query_dict(struct query *q, const Mq__QueryDict *c)
{
    uint32_t owner = 0;
    uint32_t limit = c->prefix ? query_limit(c->limit) : 1;
    size_t space = apply_text(c->namespace_).size;
    if (space == 0 || space > NAMESPACE_BYTES_MAX || c->key.len > DICT_KEY_BYTES_MAX ||
        c->after.len > DICT_KEY_BYTES_MAX || (!c->prefix && c->key.len == 0)) {
        return STATUS_INVALID;
    }
    if (apply_text(c->user).size > 0) {
        enum status s = query_owner(q, c->user, &owner);
        if (s != OK) {
            return s;
        }
    }
    q->result.dict = query_alloc(q, limit * sizeof(*q->result.dict));
    if (q->result.dict == NULL) {
        return OK;
    }
    if (!c->prefix) {
        return dict_one(q, c, owner);
    }
    struct env_cursor *rows;
    enum status s = env_cursor_open(q->txn, TABLE_DICT, &rows);
    query_fail(q, s);
    if (s == OK) {
        dict_scan(q, c, owner, limit, rows);
        env_cursor_close(rows);
    }
    return OK;
}

/* ---- digests ---- */

static ProtobufCBinaryData digest_data(struct query *q, struct digest d)
{
    uint8_t bytes[DIGEST_BYTES];
    digest_encode(d, bytes);
    return query_data(q, (struct bytes){bytes, sizeof(bytes)});
}

/* recompute: everything, at the transaction's index, whatever was asked; else one sample of the ring. */
static enum status query_digest(struct query *q, const Mq__QueryDigest *c)
{
    struct digest d = q->position.digest;
    uint64_t index = q->position.index;
    if (c->recompute) {
        struct digest sum;
        uint64_t pairs = 0;
        enum status s = store_recompute(q->txn, &sum, &pairs);
        query_fail(q, s);
        if (s == OK) {
            q->result.digest2 = digest_data(q, sum);
            q->result.rows = pairs;
        }
    } else if (c->index != 0) {
        enum status s = digest_ring_find(&q->store->ring, c->index, &index, &d);
        if (s != OK) {
            return s;
        }
    }
    q->result.digest = digest_data(q, d);
    q->result.index = index;
    return OK;
}

/* ---- one query ---- */

static enum status dispatch(struct query *q, const Mq__Query *c)
{
    switch (c->body_case) {
        case MQ__QUERY__BODY_USER:
            return query_user(q, c->user);
        case MQ__QUERY__BODY_USERS:
            return query_users(q, c->users);
        case MQ__QUERY__BODY_MAILBOXES:
            return query_mailboxes(q, c->mailboxes);
        case MQ__QUERY__BODY_MAILBOX:
            return query_mailbox(q, c->mailbox);
        case MQ__QUERY__BODY_MESSAGES:
            return query_messages(q, c->messages);
        case MQ__QUERY__BODY_CHANGES:
            return query_changes(q, c->changes);
        case MQ__QUERY__BODY_DICT:
            return query_dict(q, c->dict);
        case MQ__QUERY__BODY_CURSORS:
            return query_cursors(q, c->cursors);
        case MQ__QUERY__BODY_DIGEST:
            return query_digest(q, c->digest);
        case MQ__QUERY__BODY_FOUNDING:
            return query_founding(q);
        case MQ__QUERY__BODY_LEASE:
            return query_lease(q, c->lease);
        case MQ__QUERY__BODY_QUEUES:
            return query_queues(q, c->queues);
        case MQ__QUERY__BODY_QUEUE_ITEMS:
            return query_queue_items(q, c->queue_items);
        case MQ__QUERY__BODY_STORES:
            return query_stores(q, c->stores);
        case MQ__QUERY__BODY_LOSS:
            return query_loss(q, c->loss);
        case MQ__QUERY__BODY_SETTINGS:
            return query_settings(q);
        case MQ__QUERY__BODY__NOT_SET:
        default:
            return STATUS_MALFORMED;
    }
}

static void read_head(struct query *q)
{
    struct key k = {.data = "counters", .size = 8};
    struct bytes value;
    query_fail(q, store_read_position(q->txn, &q->position));
    if (q->failed == OK && query_get(q, TABLE_SYSTEM, &k, &value)) {
        query_fail(q, system_row_decode(value, &q->system));
    }
    q->result.index = q->position.index;
    q->result.term = q->position.term;
    q->result.applied_ms = q->system.time_ms;
}

static enum status encode(struct query *q, struct buffer *out)
{
    uint8_t *at;
    size_t size = mq__query_result__get_packed_size(&q->result);
    enum status s = buffer_reserve(out, size, &at);
    if (s != OK) {
        return s;
    }
    mq__query_result__pack(&q->result, at);
    out->size += size;
    return OK;
}

enum status query_run(struct store *s, struct bytes query, struct buffer *out)
{
    struct arena arena;
    struct query q = {.store = s, .arena = &arena};
    if (query.size > QUERY_REQUEST_BYTES_MAX) {
        return STATUS_TOO_BIG;
    }
    arena_init(&arena);
    mq__query_result__init(&q.result);
    Mq__Query *c = mq__query__unpack(&arena.allocator, query.size, query.data);
    enum status status = c == NULL ? STATUS_MALFORMED : env_begin_read(s->env, &q.txn);
    if (status == OK) {
        read_head(&q);
        status = q.failed == OK ? dispatch(&q, c) : q.failed;
        status = q.failed != OK ? q.failed : status;
        if (q.failed == OK) {
            enum status encoded = encode(&q, out);
            status = encoded != OK ? encoded : status;
        }
        env_abort(q.txn);
    }
    arena_deinit(&arena);
    return status;
}

uint64_t query_committed_index(const struct store *s)
{
    return atomic_load(&s->committed_index);
}
