/* The digest of a replica's state: the sum mod 2^128 of XXH3-128 over (database id, key length, key, value) of every replicated
 * pair. A sum, because it can be kept up to date (subtract the old pair, add the new) and does not depend on order.
 *
 * When it is taken: after EVERY entry, barriers included. Rows that apply keeps open in memory (mailboxes, sessions) are folded in
 * then, so the digest at an index is a function of the log alone, whatever the batches of apply or commit were. A ring
 * keeps the last 1,024 (index, digest), so that two replicas can be compared at any index both have in their rings.
 * Not replicated, and so not in the sum: the position row. */
#ifndef MQ_STORAGE_DIGEST_H
#define MQ_STORAGE_DIGEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/lock.h"
#include "base/status.h"

#define DIGEST_BYTES 16u
#define DIGEST_RING  1024u

struct digest {
    uint64_t low;
    uint64_t high;
};

static inline void digest_add(struct digest *d, struct digest x)
{
    uint64_t low = d->low + x.low;
    d->high += x.high + (low < x.low ? 1 : 0);
    d->low = low;
}
static inline void digest_subtract(struct digest *d, struct digest x)
{
    uint64_t borrow = d->low < x.low ? 1 : 0;
    d->low -= x.low;
    d->high -= x.high + borrow;
}
static inline bool digest_equal(struct digest a, struct digest b)
{
    return a.low == b.low && a.high == b.high;
}
void digest_encode(struct digest d, uint8_t bytes[DIGEST_BYTES]);
struct digest digest_decode(const uint8_t bytes[DIGEST_BYTES]);
/* Of one pair. */
struct digest digest_pair(uint32_t db, struct bytes key, struct bytes value);

/* Written by apply, read by queries. */
struct digest_ring {
    struct lock lock;
    uint64_t last;  /* index of the newest sample */
    uint32_t count; /* samples at last, last - 1, ...: entries are consecutive */
    struct digest samples[DIGEST_RING];
};
void digest_ring_init(struct digest_ring *r);
void digest_ring_deinit(struct digest_ring *r);
/* index follows the last one, or an earlier one in the ring (what is behind it goes); otherwise the ring starts anew there. */
void digest_ring_push(struct digest_ring *r, uint64_t index, struct digest d);
/* index 0 = the newest. NOT_FOUND when the ring does not hold it. */
enum status digest_ring_find(struct digest_ring *r, uint64_t index, uint64_t *out_index,
                             struct digest *out_d);

#endif
