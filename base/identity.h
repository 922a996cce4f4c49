/* Who is who, on wire and disk from the first day.
 *
 * node      one mailquorumd; a small number (1..64) and a name, both from the founding file
 * replica   one shard on one node: a 64-bit id drawn once, never reused; what Raft votes for
 * shard     one Raft group; 0 is the directory; ids are never reused
 * epoch     the recovery generation of one shard; frames are accepted only on equality of number and id
 * token     (epoch, position): session ids, lease tokens. Position = index << 12 | ordinal in its batch, so that
 *           tokens of one shard grow in the order of the log */
#ifndef MQ_BASE_IDENTITY_H
#define MQ_BASE_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define NODES_MAX      64
#define MEMBERS_MAX    16 /* replicas of one shard */
#define SHARDS_MAX     256
#define NAME_MAX_BYTES 63 /* node, site and shard names: [a-z0-9-] */

typedef uint32_t node_id;  /* 0 = none */
typedef uint32_t shard_id; /* SHARD_DIRECTORY = 0 */

#define SHARD_DIRECTORY 0u

enum node_role { ROLE_DATA = 0, ROLE_WITNESS = 1, ROLE_STANDBY = 2 };

struct uuid {
    uint8_t bytes[16];
};

struct epoch {
    uint64_t number; /* starts at 1 */
    uint64_t id;     /* random, drawn at the shard's creation or by a recovery */
    uint64_t parent; /* id of the epoch before; 0 for the first */
};

struct token {
    uint64_t epoch; /* epoch number */
    uint64_t position;
};

#define TOKEN_ORDINAL_BITS 12

static inline uint64_t token_position(uint64_t index, uint32_t ordinal)
{
    return (index << TOKEN_ORDINAL_BITS) | ordinal;
}

static inline bool epoch_equal(const struct epoch *a, const struct epoch *b)
{
    return a->number == b->number && a->id == b->id;
}

static inline bool uuid_equal(const struct uuid *a, const struct uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

static inline bool uuid_zero(const struct uuid *u)
{
    static const struct uuid zero;
    return uuid_equal(u, &zero);
}

/* 32 lower-case hex digits and a NUL. */
#define UUID_TEXT_SIZE 33
void uuid_format(const struct uuid *u, char text[UUID_TEXT_SIZE]);
/* false when text is not exactly 32 hex digits. */
bool uuid_parse(const char *text, struct uuid *out_u);
const char *node_role_name(enum node_role role);
bool node_role_parse(const char *text, enum node_role *out_role);

#endif
