/* Leases of (user, store). The token of a lease is (epoch, log position) of the command that acquired it; a renewal keeps it. One live
 * lease at a time; at its time it is over, whether or not a tick has removed the row yet. */
#include "storage/apply.h"

#include <string.h>

struct lease_key {
    uint32_t owner;
    uint32_t store;
    struct key key;
};

static void answer_lease(struct apply *a, struct token token, uint64_t expires_ms,
                         struct bytes holder)
{
    a->token = (Mq__Token)MQ__TOKEN__INIT;
    a->token.epoch = token.epoch;
    a->token.position = token.position;
    a->lease = (Mq__ResultLease)MQ__RESULT_LEASE__INIT;
    a->lease.token = &a->token;
    a->lease.expires_ms = expires_ms;
    char *copy = arena_alloc(a->arena, holder.size + 1);
    if (copy == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return;
    }
    memcpy(copy, holder.data, holder.size);
    copy[holder.size] = 0;
    a->lease.holder = copy;
    a->answer = MQ__RESULT__BODY_LEASE;
}

static uint64_t clamp_ttl(uint32_t ttl_ms)
{
    return ttl_ms < LEASE_TTL_MS_MIN   ? LEASE_TTL_MS_MIN
           : ttl_ms > LEASE_TTL_MS_MAX ? LEASE_TTL_MS_MAX
                                       : ttl_ms;
}

static struct bytes expiry_what(const struct lease_key *l)
{
    return key_bytes(&l->key);
}

static void put_lease(struct apply *a, const struct lease_key *l, const struct lease_row *row)
{
    uint8_t bytes[HOLDER_BYTES_MAX + 32];
    rows_put(a->rows, TABLE_LEASE, &l->key, (struct bytes){bytes, lease_row_encode(row, bytes)});
    rows_expiry_put(a->rows, row->expires_ms, EXPIRY_LEASE, expiry_what(l),
                    (struct bytes){NULL, 0});
}

/* Copies the holder into the arena: it must outlive the next put. */
static bool get_lease(struct apply *a, const struct lease_key *l, struct lease_row *out_row)
{
    struct bytes value;
    if (l->store == 0 || !rows_get(a->rows, TABLE_LEASE, &l->key, &value)) {
        return false;
    }
    uint8_t *copy = arena_alloc(a->arena, value.size + 1);
    if (copy == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return false;
    }
    memcpy(copy, value.data, value.size);
    rows_fail(a->rows, lease_row_decode((struct bytes){copy, value.size}, out_row));
    return a->rows->failed == OK;
}

static enum status lease_key_of(struct apply *a, const char *user, const char *store,
                                struct lease_key *out_l)
{
    enum status s;
    if (!apply_name_ok(apply_text(store), STORE_BYTES_MAX)) {
        return apply_refuse(a, STATUS_INVALID, "a store's name has 1 to 255 bytes of UTF-8");
    }
    out_l->owner = apply_owner(a, apply_text(user), &s);
    if (out_l->owner == 0) {
        return s;
    }
    out_l->store = rows_store_find(a->rows, apply_text(store), false);
    out_l->key = key_u32_u32(out_l->owner, out_l->store);
    return OK;
}

enum status apply_lease_acquire(struct apply *a, const Mq__LeaseAcquire *c)
{
    struct lease_key l;
    struct lease_row old;
    struct bytes holder = apply_text(c->holder);
    if (!apply_name_ok(holder, HOLDER_BYTES_MAX)) {
        return apply_refuse(a, STATUS_INVALID, "a holder's name has 1 to 255 bytes of UTF-8");
    }
    enum status s = lease_key_of(a, c->user, c->store, &l);
    if (s != OK) {
        return s;
    }
    s = apply_store_check(a, l.store, apply_text(c->site));
    if (s != OK) {
        return s;
    }
    if (get_lease(a, &l, &old)) {
        bool same = old.holder.size == holder.size &&
                    memcmp(old.holder.data, holder.data, holder.size) == 0;
        if (!same && old.expires_ms > a->rows->system.time_ms) {
            answer_lease(a, (struct token){0, 0}, old.expires_ms, old.holder);
            return apply_refuse(a, STATUS_CONFLICT, "another holder has the lease");
        }
        rows_expiry_delete(a->rows, old.expires_ms, EXPIRY_LEASE, expiry_what(&l));
    }
    if (l.store == 0) {
        l.store = rows_store_find(a->rows, apply_text(c->store), true);
        l.key = key_u32_u32(l.owner, l.store);
        if (l.store == 0) {
            return apply_refuse(a, STATUS_FULL, "the shard knows as many stores as it may");
        }
    }
    apply_store_leased(a, l.store, apply_text(c->site));
    struct lease_row row = {apply_token(a), a->rows->system.time_ms + clamp_ttl(c->ttl_ms), holder};
    put_lease(a, &l, &row);
    rows_lease_forget(a->rows, l.owner, apply_text(c->store));
    answer_lease(a, row.token, row.expires_ms, holder);
    return OK;
}

/* The live lease that this token names. */
static enum status held(struct apply *a, const char *user, const char *store,
                        const Mq__Token *token, struct lease_key *out_l, struct lease_row *out_row)
{
    enum status s = lease_key_of(a, user, store, out_l);
    if (s != OK) {
        return s;
    }
    if (!get_lease(a, out_l, out_row) || out_row->expires_ms <= a->rows->system.time_ms ||
        !apply_token_equal(token, out_row->token)) {
        return apply_refuse(a, STATUS_STALE_TOKEN, "the lease is over or another one exists");
    }
    return OK;
}

enum status apply_lease_renew(struct apply *a, const Mq__LeaseRenew *c)
{
    struct lease_key l;
    struct lease_row row;
    enum status s = held(a, c->user, c->store, c->token, &l, &row);
    if (s != OK) {
        return s;
    }
    rows_expiry_delete(a->rows, row.expires_ms, EXPIRY_LEASE, expiry_what(&l));
    apply_store_leased(a, l.store, (struct bytes){NULL, 0});
    row.expires_ms = a->rows->system.time_ms + clamp_ttl(c->ttl_ms);
    put_lease(a, &l, &row);
    rows_lease_forget(a->rows, l.owner, apply_text(c->store));
    answer_lease(a, row.token, row.expires_ms, row.holder);
    return OK;
}

enum status apply_lease_release(struct apply *a, const Mq__LeaseRelease *c)
{
    struct lease_key l;
    struct lease_row row;
    enum status s = held(a, c->user, c->store, c->token, &l, &row);
    if (s != OK) {
        return s;
    }
    rows_expiry_delete(a->rows, row.expires_ms, EXPIRY_LEASE, expiry_what(&l));
    rows_delete(a->rows, TABLE_LEASE, &l.key);
    rows_lease_forget(a->rows, l.owner, apply_text(c->store));
    return OK;
}
