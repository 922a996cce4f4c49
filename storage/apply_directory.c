/* The directory's commands (founding, users), and `owner`, which tells a shard that a user is its own. */
#include "storage/apply.h"

#include <string.h>

static const struct key founding_key = {.data = "founding", .size = 8};

enum status apply_founding(struct apply *a, const Mq__Founding *c)
{
    struct bytes old;
    if (a->shard != SHARD_DIRECTORY) {
        return apply_refuse(a, STATUS_INVALID, "only the directory is founded");
    }
    if (c->cluster_id.len != 16 || c->founding_id.len != 16 || c->n_nodes == 0 ||
        c->n_nodes > NODES_MAX || c->n_shards == 0 || c->n_shards > SHARDS_MAX) {
        return apply_refuse(a, STATUS_INVALID, "the founding is not complete");
    }
    size_t size = mq__founding__get_packed_size(c);
    if (size > FOUNDING_BYTES_MAX) {
        return apply_refuse(a, STATUS_TOO_BIG, "the founding is too big");
    }
    uint8_t *bytes = arena_alloc(a->arena, size);
    if (bytes == NULL) {
        rows_fail(a->rows, STATUS_NO_MEMORY);
        return STATUS_NO_MEMORY;
    }
    mq__founding__pack(c, bytes);
    if (rows_get(a->rows, TABLE_SYSTEM, &founding_key, &old)) {
        return old.size == size && memcmp(old.data, bytes, size) == 0
                   ? OK
                   : apply_refuse(a, STATUS_EXISTS, "the cluster was founded otherwise");
    }
    rows_put_new(a->rows, TABLE_SYSTEM, &founding_key, (struct bytes){bytes, size});
    return OK;
}

/* Does the founding list this shard? */
static bool shard_known(struct apply *a, uint32_t shard)
{
    struct bytes value;
    if (!rows_get(a->rows, TABLE_SYSTEM, &founding_key, &value)) {
        return false;
    }
    Mq__Founding *f = mq__founding__unpack(&a->arena->allocator, value.size, value.data);
    if (f == NULL) {
        rows_fail(a->rows, STATUS_CORRUPT);
        return false;
    }
    for (size_t i = 0; i < f->n_shards; i++) {
        if (f->shards[i]->shard == shard) {
            return true;
        }
    }
    return false;
}

static void answer_user(struct apply *a, uint32_t shard, uint64_t generation)
{
    a->user = (Mq__ResultUser)MQ__RESULT_USER__INIT;
    a->user.shard = shard;
    a->user.generation = generation;
    a->answer = MQ__RESULT__BODY_USER;
}

/* First assignment only; again for the same shard it sets priority and flags. */
enum status apply_user_assign(struct apply *a, const Mq__UserAssign *c)
{
    struct bytes user = apply_text(c->user);
    struct bytes priority = apply_text(c->priority);
    if (a->shard != SHARD_DIRECTORY) {
        return apply_refuse(a, STATUS_INVALID, "users are assigned by the directory");
    }
    if (!apply_name_ok(user, USER_BYTES_MAX) ||
        (priority.size > 0 && !apply_name_ok(priority, NAME_MAX_BYTES))) {
        return apply_refuse(a, STATUS_INVALID,
                            "a user's name has 1 to 255 bytes of UTF-8, a priority up to 63");
    }
    if (!shard_known(a, c->shard)) {
        return apply_refuse(a, STATUS_NOT_FOUND, "no such shard in the founding");
    }
    struct key k = key_text(0, user);
    struct bytes value;
    struct user_row old;
    if (rows_get(a->rows, TABLE_USER, &k, &value)) {
        rows_fail(a->rows, user_row_decode(value, &old));
        if (a->rows->failed == OK && old.shard != c->shard) {
            answer_user(a, old.shard, 1);
            return apply_refuse(a, STATUS_CONFLICT, "the user is assigned to another shard");
        }
    }
    struct user_row row = {.shard = c->shard, .flags = c->flags, .priority = priority};
    uint8_t bytes[512];
    rows_put(a->rows, TABLE_USER, &k, (struct bytes){bytes, user_row_encode(&row, bytes)});
    answer_user(a, c->shard, 1);
    return OK;
}

enum status apply_owner_command(struct apply *a, const Mq__Owner *c)
{
    struct bytes user = apply_text(c->user);
    struct bytes home = apply_text(c->home);
    if (!apply_name_ok(user, USER_BYTES_MAX) ||
        (home.size > 0 && !apply_name_ok(home, SITE_BYTES_MAX))) {
        return apply_refuse(a, STATUS_INVALID,
                            "a user's name has 1 to 255 bytes of UTF-8, its home up to 63");
    }
    struct key k = key_text(0, user);
    struct bytes value;
    struct owner_row row = {0};
    if (rows_get(a->rows, TABLE_OWNER, &k, &value)) {
        rows_fail(a->rows, owner_row_decode(value, &row));
        if (a->rows->failed == OK && c->generation < row.generation) {
            return apply_refuse(a, STATUS_CONFLICT, "a later generation of this owner is known");
        }
    } else if (a->rows->failed == OK) {
        if (a->rows->system.next_owner == UINT32_MAX) {
            return apply_refuse(a, STATUS_FULL, "the shard has no user numbers left");
        }
        row.number = a->rows->system.next_owner++;
    }
    row.generation = c->generation;
    row.home = home.size > 0 ? home : row.home;
    uint8_t bytes[OWNER_ROW_BYTES_MAX];
    rows_put(a->rows, TABLE_OWNER, &k, (struct bytes){bytes, owner_row_encode(&row, bytes)});
    answer_user(a, a->shard, row.generation);
    return OK;
}
