/* The ring of the last digests: apply pushes one an entry, queries look one up; a lock lies between them. */
#include "storage/digest.h"

#include <string.h>

void digest_ring_init(struct digest_ring *r)
{
    memset(r, 0, sizeof(*r));
    lock_init(&r->lock);
}

void digest_ring_deinit(struct digest_ring *r)
{
    lock_deinit(&r->lock);
}

void digest_ring_push(struct digest_ring *r, uint64_t index, struct digest d)
{
    lock_take(&r->lock);
    if (r->count > 0 && index <= r->last && r->last - index < r->count) {
        r->count -= (uint32_t)(r->last - index) + 1; /* applied again from here */
    } else if (index != r->last + 1) {
        r->count = 0;
    }
    r->last = index;
    r->count = r->count < DIGEST_RING ? r->count + 1 : DIGEST_RING;
    r->samples[index % DIGEST_RING] = d;
    lock_give(&r->lock);
}

enum status digest_ring_find(struct digest_ring *r, uint64_t index, uint64_t *out_index,
                             struct digest *out_d)
{
    enum status s = STATUS_NOT_FOUND;
    lock_take(&r->lock);
    uint64_t at = index == 0 ? r->last : index;
    if (r->count > 0 && at <= r->last && r->last - at < r->count) {
        *out_index = at;
        *out_d = r->samples[at % DIGEST_RING];
        s = OK;
    }
    lock_give(&r->lock);
    return s;
}
