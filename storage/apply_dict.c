/* Dictionary transactions: set, unset, atomic increment; all or nothing, one shard. Values are bytes; an increment reads and writes
 * decimal text, as Dovecot's dictionaries do.
 *
 * plan    every operation is checked, and what each increment makes of the value before it (an earlier operation of the same
 *         transaction counts) is worked out; only here something can be refused
 * write   in order
 *
 * An entry whose time is over is absent, whether or not a tick has removed it. */
#include "storage/apply.h"

#include <string.h>

#define TTL_MS_MAX    (UINT64_C(100) * 365 * 24 * 3600 * 1000)
#define DECIMAL_BYTES 21u

struct planned {
    struct key key;
    uint64_t expires_ms;
    bool unset;
    bool hashed;
    struct bytes value;
    uint8_t decimal[DECIMAL_BYTES];
};

static bool parse_decimal(struct bytes text, int64_t *out)
{
    size_t at = 0;
    bool negative = text.size > 0 && text.data[0] == '-';
    at += negative ? 1 : 0;
    if (text.size == at || text.size - at > 19) {
        return false;
    }
    uint64_t v = 0;
    for (; at < text.size; at++) {
        if (text.data[at] < '0' || text.data[at] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(text.data[at] - '0');
    }
    if (v > (uint64_t)INT64_MAX) {
        return false;
    }
    *out = negative ? -(int64_t)v : (int64_t)v;
    return true;
}

static struct bytes format_decimal(int64_t v, uint8_t out[DECIMAL_BYTES])
{
    size_t at = DECIMAL_BYTES;
    uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        out[--at] = (uint8_t)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (v < 0) {
        out[--at] = '-';
    }
    return (struct bytes){out + at, DECIMAL_BYTES - at};
}

static enum status check_op(struct apply *a, const Mq__DictOp *op)
{
    struct bytes space = apply_text(op->namespace_);
    if (!apply_name_ok(space, NAMESPACE_BYTES_MAX)) {
        return apply_refuse(a, STATUS_INVALID, "a namespace has 1 to 63 bytes of UTF-8");
    }
    if (op->key.len == 0 || op->key.len > DICT_KEY_BYTES_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "a key has 1 to 4,096 bytes");
    }
    if (op->value.len > DICT_VALUE_BYTES_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "a value has up to 65,536 bytes");
    }
    if (op->ttl_ms > TTL_MS_MAX) {
        return apply_refuse(a, STATUS_INVALID, "an entry lives up to a hundred years");
    }
    if (op->kind != MQ__DICT_OP__KIND__SET && op->kind != MQ__DICT_OP__KIND__UNSET &&
        op->kind != MQ__DICT_OP__KIND__INCREMENT) {
        return apply_refuse(a, STATUS_INVALID, "an operation is set, unset or increment");
    }
    return OK;
}

/* The value before operation i: of the last earlier one with its key, else the stored one. false: absent. */
static bool value_before(struct apply *a, const struct planned *plan, size_t i,
                         struct bytes *out_value, uint64_t *out_expires_ms)
{
    for (size_t j = i; j-- > 0;) {
        if (plan[j].key.size == plan[i].key.size &&
            memcmp(plan[j].key.data, plan[i].key.data, plan[i].key.size) == 0) {
            *out_value = plan[j].value;
            *out_expires_ms = plan[j].expires_ms;
            return !plan[j].unset;
        }
    }
    struct bytes stored;
    struct dict_row row;
    if (!rows_get(a->rows, TABLE_DICT, &plan[i].key, &stored)) {
        return false;
    }
    rows_fail(a->rows, dict_row_decode(stored, &row));
    if (a->rows->failed != OK ||
        (row.expires_ms != 0 && row.expires_ms <= a->rows->system.time_ms)) {
        return false;
    }
    *out_value = row.value;
    *out_expires_ms = row.expires_ms;
    return true;
}

/* An increment keeps the expiry of the entry unless it brings one. */
static enum status plan_increment(struct apply *a, const Mq__DictOp *op, struct planned *plan,
                                  size_t i, int64_t *out_value)
{
    struct bytes text;
    uint64_t expires_ms = 0;
    int64_t v = 0;
    if (value_before(a, plan, i, &text, &expires_ms)) {
        if (!parse_decimal(text, &v)) {
            return apply_refuse(a, STATUS_CONFLICT, "the entry is not a number");
        }
    } else if (!op->create) {
        return apply_refuse(a, STATUS_CONFLICT, "no such entry to increment");
    }
    if (__builtin_add_overflow(v, op->delta, &v) || v == INT64_MIN) {
        return apply_refuse(a, STATUS_CONFLICT, "the number would overflow");
    }
    plan[i].value = format_decimal(v, plan[i].decimal);
    if (op->ttl_ms == 0) {
        plan[i].expires_ms = expires_ms;
    }
    *out_value = v;
    return OK;
}

static enum status plan_op(struct apply *a, const Mq__DictOp *op, struct planned *plan, size_t i)
{
    enum status s = check_op(a, op);
    uint32_t owner = 0;
    if (s != OK) {
        return s;
    }
    struct bytes user = apply_text(op->user);
    if (user.size > 0) {
        owner = apply_owner(a, user, &s);
        if (owner == 0) {
            return s;
        }
    }
    struct bytes space = apply_text(op->namespace_);
    plan[i].key = key_dict(owner, space, apply_data(op->key));
    plan[i].hashed = key_dict_hashed(space, apply_data(op->key));
    plan[i].expires_ms = op->ttl_ms == 0 ? 0 : a->rows->system.time_ms + op->ttl_ms;
    plan[i].unset = op->kind == MQ__DICT_OP__KIND__UNSET;
    plan[i].value = apply_data(op->value);
    if (op->kind == MQ__DICT_OP__KIND__INCREMENT) {
        return plan_increment(a, op, plan, i, &a->dict.values[a->dict.n_values++]);
    }
    return OK;
}

static void write_op(struct apply *a, const Mq__DictOp *op, const struct planned *p)
{
    struct rows *r = a->rows;
    struct bytes old;
    struct dict_row row = {0};
    bool there = rows_get(r, TABLE_DICT, &p->key, &old);
    if (there) {
        rows_fail(r, dict_row_decode(old, &row));
    }
    if (there && row.expires_ms != 0 && row.expires_ms != p->expires_ms) {
        rows_expiry_delete(r, row.expires_ms, EXPIRY_DICT, key_bytes(&p->key));
        there = rows_get(r, TABLE_DICT, &p->key, &old);
    }
    if (p->unset) {
        if (there) {
            rows_delete(r, TABLE_DICT, &p->key);
        }
        return;
    }
    bool due_stands = there && row.expires_ms == p->expires_ms;
    struct dict_row now = {.expires_ms = p->expires_ms, .value = p->value};
    if (p->hashed) {
        now.key = apply_data(op->key);
    }
    struct bytes value = {r->scratch, dict_row_encode(&now, r->scratch)};
    if (there) {
        rows_replace(r, TABLE_DICT, &p->key, old, value);
    } else if (r->failed == OK) {
        rows_put_new(r, TABLE_DICT, &p->key, value);
    }
    if (p->expires_ms != 0 && !due_stands) {
        rows_expiry_put(r, p->expires_ms, EXPIRY_DICT, key_bytes(&p->key), (struct bytes){NULL, 0});
    }
}

static enum status no_memory(struct apply *a)
{
    /* The limits of a transaction fit the arena, so the machine is out of memory. */
    rows_fail(a->rows, STATUS_NO_MEMORY);
    return STATUS_NO_MEMORY;
}

enum status apply_dict(struct apply *a, const Mq__DictTransaction *c)
{
    size_t increments = 0;
    if (c->n_ops == 0 || c->n_ops > DICT_OPS_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "a transaction has 1 to 1,000 operations");
    }
    for (size_t i = 0; i < c->n_ops; i++) {
        increments += c->ops[i]->kind == MQ__DICT_OP__KIND__INCREMENT ? 1 : 0;
    }
    if (increments > DICT_INCREMENTS_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "a transaction has up to 90 increments");
    }
    struct planned *plan = arena_alloc(a->arena, c->n_ops * sizeof(*plan));
    a->dict = (Mq__ResultDict)MQ__RESULT_DICT__INIT;
    a->dict.values = arena_alloc(a->arena, (increments + 1) * sizeof(int64_t));
    if (plan == NULL || a->dict.values == NULL) {
        return no_memory(a);
    }
    for (size_t i = 0; i < c->n_ops; i++) {
        enum status s = plan_op(a, c->ops[i], plan, i);
        if (s != OK || a->rows->failed != OK) {
            return s;
        }
    }
    for (size_t i = 0; i < c->n_ops; i++) {
        write_op(a, c->ops[i], &plan[i]);
    }
    if (increments > 0) {
        a->answer = MQ__RESULT__BODY_DICT;
    }
    return OK;
}
