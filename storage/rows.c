/* Rows of an open write transaction, and those kept decoded between two commits; see rows.h. */
#include "storage/rows.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/must.h"

static const struct key system_key = {.data = "counters", .size = 8};

void rows_fail(struct rows *r, enum status s)
{
    if (r->failed == OK && s != OK) {
        r->failed = s;
    }
}

void rows_reset(struct rows *r, struct digest digest)
{
    while (r->all != NULL) {
        struct cached *c = r->all;
        r->all = c->next_all;
        free(c);
    }
    memset(r->buckets, 0, sizeof(r->buckets));
    memset(r->owners, 0, sizeof(r->owners));
    memset(r->leases, 0, sizeof(r->leases));
    memset(r->places, 0, sizeof(r->places));
    r->unfolded = NULL;
    r->cached_count = 0;
    r->system_loaded = false;
    r->failed = OK;
    r->digest = digest;
    r->txn = NULL;
}

void rows_begin(struct rows *r, struct env_txn *txn)
{
    r->txn = txn;
    if (r->system_loaded) {
        return;
    }
    struct bytes value;
    r->system =
        (struct system_row){.next_owner = 1, .next_generation = 1, .next_store = 1, .next_job = 1};
    r->system_hash = (struct digest){0, 0};
    r->system_stored = rows_get(r, TABLE_SYSTEM, &system_key, &value);
    if (r->system_stored) {
        rows_fail(r, system_row_decode(value, &r->system));
        r->system_hash = digest_pair(TABLE_SYSTEM, key_bytes(&system_key), value);
    }
    r->system_loaded = r->failed == OK;
}

/* ---- plain rows ---- */

bool rows_get(struct rows *r, enum table t, const struct key *k, struct bytes *out_value)
{
    if (r->failed != OK) {
        return false;
    }
    enum status s = env_get(r->txn, t, key_bytes(k), out_value);
    if (s != OK && s != STATUS_NOT_FOUND) {
        rows_fail(r, s);
    }
    return s == OK;
}

void rows_put_new(struct rows *r, enum table t, const struct key *k, struct bytes value)
{
    if (r->failed != OK) {
        return;
    }
    enum status s = env_put(r->txn, t, key_bytes(k), value, true);
    if (s == OK) {
        digest_add(&r->digest, digest_pair(t, key_bytes(k), value));
    }
    rows_fail(r, s == STATUS_EXISTS ? STATUS_CORRUPT : s);
}

void rows_put(struct rows *r, enum table t, const struct key *k, struct bytes value)
{
    struct bytes old;
    if (rows_get(r, t, k, &old)) {
        rows_replace(r, t, k, old, value);
    } else {
        rows_put_new(r, t, k, value);
    }
}

void rows_replace(struct rows *r, enum table t, const struct key *k, struct bytes old,
                  struct bytes value)
{
    if (old.size == value.size && (old.size == 0 || memcmp(old.data, value.data, old.size) == 0)) {
        return;
    }
    struct digest before = digest_pair(t, key_bytes(k), old);
    enum status s = env_put(r->txn, t, key_bytes(k), value, false);
    if (s == OK) {
        digest_subtract(&r->digest, before);
        digest_add(&r->digest, digest_pair(t, key_bytes(k), value));
    }
    rows_fail(r, s);
}

bool rows_delete(struct rows *r, enum table t, const struct key *k)
{
    struct bytes old;
    if (!rows_get(r, t, k, &old)) {
        return false;
    }
    struct digest before = digest_pair(t, key_bytes(k), old);
    enum status s = env_delete(r->txn, t, key_bytes(k));
    if (s == OK) {
        digest_subtract(&r->digest, before);
    }
    rows_fail(r, s);
    return s == OK;
}

bool rows_seek(struct rows *r, enum table t, struct bytes k, struct bytes *out_key,
               struct bytes *out_value)
{
    if (r->failed != OK) {
        return false;
    }
    struct env_cursor *c;
    enum status s = env_cursor_open(r->txn, t, &c);
    if (s == OK) {
        s = env_cursor_seek(c, k, out_key, out_value);
        env_cursor_close(c);
    }
    if (s != OK && s != STATUS_NOT_FOUND) {
        rows_fail(r, s);
    }
    return s == OK;
}

/* ---- cached rows ---- */

static struct key cached_key(const struct cached *c)
{
    switch ((int)c->table) {
        case TABLE_MAILBOX:
            return key_mailbox(c->row.mailbox.owner, c->row.mailbox.guid);
        case TABLE_SESSION:
            return key_u64(c->row.session.token.position);
        default:
            return key_store_state(c->row.store.number);
    }
}

static uint64_t bucket_of(enum table t, const struct key *k)
{
    return (XXH3_64bits(k->data, k->size) + (uint64_t)t) % ROWS_BUCKETS;
}

static size_t encode_cached(const struct cached *c, uint8_t *out)
{
    switch ((int)c->table) {
        case TABLE_MAILBOX:
            return mailbox_row_encode(&c->row.mailbox, out);
        case TABLE_SESSION:
            return session_row_encode(&c->row.session, out);
        default:
            return store_row_encode(&c->row.store, out);
    }
}

static size_t row_size(enum table t)
{
    switch ((int)t) {
        case TABLE_MAILBOX:
            return sizeof(struct mailbox_row);
        case TABLE_SESSION:
            return sizeof(struct session_row);
        default:
            return sizeof(struct store_row);
    }
}

static enum status decode_cached(const struct key *k, struct bytes value, struct cached *c)
{
    switch ((int)c->table) {
        case TABLE_MAILBOX:
            return mailbox_row_decode(key_bytes(k), value, &c->row.mailbox);
        case TABLE_SESSION:
            return session_row_decode(value, &c->row.session);
        default:
            return store_row_decode(get_be32(k->data + 1), value, &c->row.store);
    }
}

static struct cached *cached_find(struct rows *r, enum table t, const struct key *k)
{
    for (struct cached *c = r->buckets[bucket_of(t, k)]; c != NULL; c = c->next_bucket) {
        if (c->table == t) {
            struct key own = cached_key(c);
            if (memcmp(own.data, k->data, k->size) == 0) {
                return c;
            }
        }
    }
    return NULL;
}

static struct cached *cached_add(struct rows *r, enum table t, const struct key *k)
{
    struct cached *c = calloc(1, offsetof(struct cached, row) + row_size(t));
    if (c == NULL) {
        rows_fail(r, STATUS_NO_MEMORY);
        return NULL;
    }
    c->table = t;
    uint64_t bucket = bucket_of(t, k);
    c->next_bucket = r->buckets[bucket];
    r->buckets[bucket] = c;
    c->next_all = r->all;
    r->all = c;
    r->cached_count++;
    return c;
}

static void cached_touch(struct rows *r, struct cached *c)
{
    c->dirty = true;
    if (!c->unfolded) {
        c->unfolded = true;
        c->next_unfolded = r->unfolded;
        r->unfolded = c;
    }
}

/* Decodes into *out_row; a failure leaves nothing in the cache. */
static struct cached *cached_load(struct rows *r, enum table t, const struct key *k)
{
    struct cached *c = cached_find(r, t, k);
    if (c != NULL) {
        return c->gone ? NULL : c;
    }
    struct bytes value;
    if (!rows_get(r, t, k, &value)) {
        return NULL;
    }
    struct cached *loaded = &(struct cached){.table = t};
    enum status s = decode_cached(k, value, loaded);
    if (s != OK) {
        rows_fail(r, s);
        return NULL;
    }
    c = cached_add(r, t, k);
    if (c == NULL) {
        return NULL;
    }
    memcpy(&c->row, &loaded->row, row_size(t));
    c->hash = digest_pair(t, key_bytes(k), value);
    c->stored = true;
    return c;
}

static struct cached *cached_new(struct rows *r, enum table t, const struct key *k)
{
    if (r->failed != OK) {
        return NULL;
    }
    struct cached *c = cached_find(r, t, k);
    if (c == NULL) {
        c = cached_add(r, t, k);
    }
    if (c == NULL) {
        return NULL;
    }
    must(c->gone || !c->stored);
    c->gone = false;
    cached_touch(r, c);
    return c;
}

static struct cached *of_mailbox(struct mailbox_row *m)
{
    return (struct cached *)(void *)((char *)m - offsetof(struct cached, row));
}

static struct cached *of_session(struct session_row *s)
{
    return (struct cached *)(void *)((char *)s - offsetof(struct cached, row));
}

struct mailbox_row *rows_mailbox_find(struct rows *r, uint32_t owner,
                                      const uint8_t guid[MAILBOX_GUID_BYTES])
{
    struct key k = key_mailbox(owner, guid);
    struct cached *c = cached_load(r, TABLE_MAILBOX, &k);
    return c == NULL ? NULL : &c->row.mailbox;
}

struct mailbox_row *rows_mailbox_new(struct rows *r, uint32_t owner,
                                     const uint8_t guid[MAILBOX_GUID_BYTES])
{
    struct key k = key_mailbox(owner, guid);
    struct cached *c = cached_new(r, TABLE_MAILBOX, &k);
    if (c == NULL) {
        return NULL;
    }
    memset(&c->row.mailbox, 0, sizeof(c->row.mailbox));
    c->row.mailbox.owner = owner;
    memcpy(c->row.mailbox.guid, guid, MAILBOX_GUID_BYTES);
    return &c->row.mailbox;
}

void rows_mailbox_touch(struct rows *r, struct mailbox_row *m)
{
    cached_touch(r, of_mailbox(m));
}

void rows_mailbox_delete(struct rows *r, struct mailbox_row *m)
{
    of_mailbox(m)->gone = true;
    cached_touch(r, of_mailbox(m));
}

struct session_row *rows_session_find(struct rows *r, uint64_t position)
{
    struct key k = key_u64(position);
    struct cached *c = cached_load(r, TABLE_SESSION, &k);
    return c == NULL ? NULL : &c->row.session;
}

struct session_row *rows_session_new(struct rows *r, uint64_t position)
{
    struct key k = key_u64(position);
    struct cached *c = cached_new(r, TABLE_SESSION, &k);
    if (c == NULL) {
        return NULL;
    }
    memset(&c->row.session, 0, sizeof(c->row.session));
    c->row.session.token.position = position;
    return &c->row.session;
}

void rows_session_touch(struct rows *r, struct session_row *s)
{
    cached_touch(r, of_session(s));
}

void rows_session_delete(struct rows *r, struct session_row *s)
{
    of_session(s)->gone = true;
    cached_touch(r, of_session(s));
}

struct store_row *rows_store_state(struct rows *r, uint32_t number, bool create)
{
    struct key k = key_store_state(number);
    struct cached *c = cached_load(r, TABLE_STORE, &k);
    if (c == NULL && create) {
        c = cached_new(r, TABLE_STORE, &k);
        if (c != NULL) {
            c->row.store = (struct store_row){.number = number, .place = number};
        }
    }
    return c == NULL ? NULL : &c->row.store;
}

void rows_store_touch(struct rows *r, struct store_row *s)
{
    cached_touch(r, (struct cached *)(void *)((char *)s - offsetof(struct cached, row)));
}

uint32_t rows_store_place(struct rows *r, uint32_t number)
{
    if (number > STORES_MAX) {
        rows_fail(r, STATUS_CORRUPT);
        return 0;
    }
    if (r->places[number] == 0) {
        const struct store_row *s = rows_store_state(r, number, false);
        r->places[number] = s == NULL ? 0 : s->place;
    }
    return r->places[number];
}

static void fold_system(struct rows *r)
{
    if (!r->system_loaded) {
        return;
    }
    struct bytes value = {r->scratch, system_row_encode(&r->system, r->scratch)};
    struct digest now = digest_pair(TABLE_SYSTEM, key_bytes(&system_key), value);
    digest_subtract(&r->digest, r->system_hash);
    digest_add(&r->digest, now);
    r->system_hash = now;
}

void rows_fold(struct rows *r)
{
    if (r->failed != OK) {
        return;
    }
    fold_system(r);
    while (r->unfolded != NULL) {
        struct cached *c = r->unfolded;
        r->unfolded = c->next_unfolded;
        c->unfolded = false;
        digest_subtract(&r->digest, c->hash);
        c->hash = (struct digest){0, 0};
        if (!c->gone) {
            struct key k = cached_key(c);
            struct bytes value = {r->scratch, encode_cached(c, r->scratch)};
            c->hash = digest_pair(c->table, key_bytes(&k), value);
            digest_add(&r->digest, c->hash);
        }
    }
}

/* The digest has the row already (its last fold), so it goes past rows_put(). */
static void write_back(struct rows *r, struct cached *c)
{
    struct key k = cached_key(c);
    enum status s = OK;
    if (!c->gone) {
        struct bytes value = {r->scratch, encode_cached(c, r->scratch)};
        s = env_put(r->txn, c->table, key_bytes(&k), value, false);
        c->stored = true;
    } else if (c->stored) {
        s = env_delete(r->txn, c->table, key_bytes(&k));
        c->stored = false;
    }
    c->dirty = false;
    rows_fail(r, s);
}

void rows_flush(struct rows *r)
{
    rows_fold(r);
    for (struct cached *c = r->all; c != NULL && r->failed == OK; c = c->next_all) {
        if (c->dirty) {
            write_back(r, c);
        }
    }
    if (r->failed == OK) {
        struct bytes value = {r->scratch, system_row_encode(&r->system, r->scratch)};
        rows_fail(r, env_put(r->txn, TABLE_SYSTEM, key_bytes(&system_key), value, false));
        r->system_stored = true;
    }
}

void rows_trim(struct rows *r)
{
    if (r->cached_count <= ROWS_CACHE_MAX || r->failed != OK) {
        return;
    }
    while (r->all != NULL) {
        struct cached *c = r->all;
        must(!c->dirty && !c->unfolded);
        r->all = c->next_all;
        free(c);
    }
    memset(r->buckets, 0, sizeof(r->buckets));
    r->cached_count = 0;
}

/* ---- names ---- */

uint32_t rows_owner_find(struct rows *r, struct bytes user)
{
    if (user.size == 0 || user.size > USER_BYTES_MAX) {
        return 0;
    }
    struct owner_name *n = &r->owners[XXH3_64bits(user.data, user.size) % ROWS_NAMES];
    if (n->number != 0 && n->size == user.size && memcmp(n->name, user.data, user.size) == 0) {
        return n->number;
    }
    struct key k = key_text(0, user);
    struct bytes value;
    struct owner_row row;
    if (!rows_get(r, TABLE_OWNER, &k, &value)) {
        return 0;
    }
    enum status s = owner_row_decode(value, &row);
    if (s != OK) {
        rows_fail(r, s);
        return 0;
    }
    if (user.size <= ROWS_NAME_BYTES) {
        n->number = row.number;
        n->size = (uint8_t)user.size;
        memcpy(n->name, user.data, user.size);
    }
    return row.number;
}

uint32_t rows_store_find(struct rows *r, struct bytes store, bool create)
{
    struct key k = key_text('n', store);
    struct bytes value;
    if (rows_get(r, TABLE_STORE, &k, &value)) {
        return value.size == 4 ? get_le32(value.data) : 0;
    }
    if (!create || r->failed != OK || r->system.next_store > STORES_MAX) {
        return 0;
    }
    uint32_t number = r->system.next_store++;
    uint8_t bytes[4];
    put_le32(bytes, number);
    rows_put_new(r, TABLE_STORE, &k, (struct bytes){bytes, sizeof(bytes)});
    struct key back = key_store_number(number);
    rows_put_new(r, TABLE_STORE, &back, store);
    return number;
}

static struct lease_name *lease_slot(struct rows *r, uint32_t owner, struct bytes store)
{
    return &r->leases[(XXH3_64bits(store.data, store.size) + owner * UINT64_C(0x9E3779B97F4A7C15)) %
                      ROWS_NAMES];
}

bool rows_lease_find(struct rows *r, uint32_t owner, struct bytes store,
                     struct lease_name *out_lease)
{
    struct lease_name *n = lease_slot(r, owner, store);
    if (n->owner == owner && n->size == store.size &&
        memcmp(n->name, store.data, store.size) == 0) {
        *out_lease = *n;
        return true;
    }
    struct lease_name found = {.owner = owner, .store = rows_store_find(r, store, false)};
    struct key k = key_u32_u32(owner, found.store);
    struct bytes value;
    struct lease_row row;
    if (found.store == 0 || !rows_get(r, TABLE_LEASE, &k, &value)) {
        return false;
    }
    enum status s = lease_row_decode(value, &row);
    if (s != OK) {
        rows_fail(r, s);
        return false;
    }
    found.token = row.token;
    found.expires_ms = row.expires_ms;
    if (store.size <= ROWS_NAME_BYTES) {
        found.size = (uint8_t)store.size;
        memcpy(found.name, store.data, store.size);
        *n = found;
    }
    *out_lease = found;
    return true;
}

void rows_lease_forget(struct rows *r, uint32_t owner, struct bytes store)
{
    lease_slot(r, owner, store)->owner = 0;
}

/* ---- what falls due, and what is left to do ---- */

void rows_expiry_put(struct rows *r, uint64_t due_ms, enum expiry_kind kind, struct bytes what,
                     struct bytes value)
{
    struct key k = key_expiry(due_ms, kind, what);
    rows_put(r, TABLE_EXPIRY, &k, value);
}

void rows_expiry_delete(struct rows *r, uint64_t due_ms, enum expiry_kind kind, struct bytes what)
{
    struct key k = key_expiry(due_ms, kind, what);
    rows_delete(r, TABLE_EXPIRY, &k);
}

void rows_job_new(struct rows *r, const struct job_row *j)
{
    uint8_t bytes[64];
    struct key k = key_u64(r->system.next_job++);
    rows_put_new(r, TABLE_JOB, &k, (struct bytes){bytes, job_row_encode(j, bytes)});
    r->system.jobs++;
}
