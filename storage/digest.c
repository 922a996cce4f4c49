/* Digests of pairs, and their encoding. */
#define XXH_STATIC_LINKING_ONLY /* the streaming state on the stack */
#include "storage/digest.h"

#include <string.h>
#include <xxhash.h>

#include "base/must.h"

#define PAIR_HEAD_BYTES  4u
#define PAIR_STACK_BYTES 2048u

void digest_encode(struct digest d, uint8_t bytes[DIGEST_BYTES])
{
    put_le64(bytes, d.low);
    put_le64(bytes + 8, d.high);
}

struct digest digest_decode(const uint8_t bytes[DIGEST_BYTES])
{
    return (struct digest){get_le64(bytes), get_le64(bytes + 8)};
}

static struct digest from_xxh(XXH128_hash_t h)
{
    return (struct digest){h.low64, h.high64};
}

static struct digest pair_streamed(const uint8_t *head, struct bytes key, struct bytes value)
{
    XXH3_state_t state;
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, head, PAIR_HEAD_BYTES);
    XXH3_128bits_update(&state, key.data, key.size);
    XXH3_128bits_update(&state, value.data, value.size);
    return from_xxh(XXH3_128bits_digest(&state));
}

struct digest digest_pair(uint32_t db, struct bytes key, struct bytes value)
{
    uint8_t pair[PAIR_STACK_BYTES];
    must(db <= UINT8_MAX && key.size <= UINT16_MAX);
    put_le32(pair, (uint32_t)(db << 16) | (uint32_t)key.size);
    size_t size = PAIR_HEAD_BYTES + key.size + value.size;
    if (size > sizeof(pair)) {
        return pair_streamed(pair, key, value);
    }
    memcpy(pair + PAIR_HEAD_BYTES, key.data, key.size);
    if (value.size > 0) {
        memcpy(pair + PAIR_HEAD_BYTES + key.size, value.data, value.size);
    }
    return from_xxh(XXH3_128bits(pair, size));
}
