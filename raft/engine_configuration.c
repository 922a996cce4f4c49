/* The configuration of a shard as bytes: libraft's own encoding, read and written here because
 * the library's decoder trusts its input.
 *
 *   u8 1   u64 count   { u64 replica   name, NUL   u8 role } * count   zeros to a multiple of 8
 *   role: 0 standby, 1 voter, 2 spare
 *
 * Pure; MALFORMED for any bytes that are not exactly that. */
#include "raft/engine.h"

#include <inttypes.h>
#include <stdio.h>

#define FORMAT        1u
#define NAME_SIZE_MAX 32u /* "n4294967295.ffffffffffffffff" and a NUL */
#define HEAD_SIZE     9u

static const uint8_t role_to_wire[] = {
    [MEMBER_SPARE] = 2, [MEMBER_STANDBY] = 0, [MEMBER_VOTER] = 1};
static const enum engine_member_role role_from_wire[] = {MEMBER_STANDBY, MEMBER_VOTER,
                                                         MEMBER_SPARE};

static int format_name(const struct engine_member *m, char name[NAME_SIZE_MAX])
{
    return snprintf(name, NAME_SIZE_MAX, "n%" PRIu32 ".%016" PRIx64, m->node, m->replica);
}

static bool valid(const struct engine_configuration *c)
{
    if (c->n == 0 || c->n > MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < c->n; i++) {
        if (c->members[i].replica == 0 || (unsigned)c->members[i].role > MEMBER_VOTER) {
            return false;
        }
        for (uint32_t j = 0; j < i; j++) {
            if (c->members[i].replica == c->members[j].replica) {
                return false;
            }
        }
    }
    return true;
}

enum status engine_configuration_encode(const struct engine_configuration *c,
                                        struct block **out_block)
{
    uint8_t data[HEAD_SIZE + MEMBERS_MAX * (9 + NAME_SIZE_MAX) + 8];
    size_t size = HEAD_SIZE;

    if (!valid(c)) {
        return STATUS_INVALID;
    }
    data[0] = FORMAT;
    put_le64(data + 1, c->n);
    for (uint32_t i = 0; i < c->n; i++) {
        put_le64(data + size, c->members[i].replica);
        size += 8;
        size += (size_t)format_name(&c->members[i], (char *)data + size) + 1;
        data[size++] = role_to_wire[c->members[i].role];
    }
    while (size % 8 != 0) {
        data[size++] = 0;
    }
    *out_block = block_copy(data, size);
    return *out_block != NULL ? OK : STATUS_NO_MEMORY;
}

/* One member from the front of b; false if that is none. The name has one spelling: ours. */
static bool decode_member(struct bytes *b, struct engine_member *out_m)
{
    char name[NAME_SIZE_MAX];
    uint64_t node = 0;
    size_t size;

    if (b->size < 8) {
        return false;
    }
    out_m->replica = get_le64(b->data);
    b->data += 8;
    b->size -= 8;
    size = strnlen((const char *)b->data, b->size < NAME_SIZE_MAX ? b->size : NAME_SIZE_MAX);
    if (size + 2 > b->size || size >= NAME_SIZE_MAX || b->data[0] != 'n') {
        return false;
    }
    for (size_t i = 1; i < size && b->data[i] >= '0' && b->data[i] <= '9'; i++) {
        node = node * 10 + (uint64_t)(b->data[i] - '0');
        if (node > UINT32_MAX) {
            return false;
        }
    }
    out_m->node = (node_id)node;
    if (format_name(out_m, name) != (int)size || memcmp(name, b->data, size) != 0 ||
        b->data[size + 1] > 2) {
        return false;
    }
    out_m->role = role_from_wire[b->data[size + 1]];
    b->data += size + 2;
    b->size -= size + 2;
    return true;
}

enum status engine_configuration_decode(struct bytes b, struct engine_configuration *out_c)
{
    struct engine_configuration c = {.n = 0};
    uint64_t n;

    if (b.size < HEAD_SIZE || b.size % 8 != 0 || b.data[0] != FORMAT) {
        return STATUS_MALFORMED;
    }
    n = get_le64(b.data + 1);
    if (n == 0 || n > MEMBERS_MAX) {
        return STATUS_MALFORMED;
    }
    b.data += HEAD_SIZE;
    b.size -= HEAD_SIZE;
    while (c.n < n) {
        if (!decode_member(&b, &c.members[c.n])) {
            return STATUS_MALFORMED;
        }
        c.n++;
    }
    for (size_t i = 0; i < b.size; i++) {
        if (b.size >= 8 || b.data[i] != 0) {
            return STATUS_MALFORMED;
        }
    }
    if (!valid(&c)) {
        return STATUS_MALFORMED;
    }
    *out_c = c;
    return OK;
}
