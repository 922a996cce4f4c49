/* The entries of one shard in the log: a ring of consecutive indexes, each with where its record
 * lies on disk. Payload references belong to the ring; their bytes are counted in *cached. Fails
 * only for lack of memory. */
#ifndef MQ_RAFT_LOG_RING_H
#define MQ_RAFT_LOG_RING_H

#include "raft/log.h"

struct log_slot {
    struct log_entry entry;
    uint64_t end_bytes; /* running sum of payload sizes, this one included */
    uint32_t segment;   /* number; 0 = not written yet */
    uint32_t at;        /* of the record's header in the segment */
};

struct log_ring {
    struct log_slot *slots;
    uint32_t capacity; /* a power of two */
    uint32_t head;
    uint32_t count;
    uint64_t first;       /* index of the oldest; where the next one goes when empty */
    uint64_t cached_from; /* no payload below, but those of changes */
    uint64_t *cached;
};

void log_ring_init(struct log_ring *r, uint64_t first, uint64_t *cached);
void log_ring_deinit(struct log_ring *r);
static inline uint64_t log_ring_last(const struct log_ring *r)
{
    return r->first + r->count - 1;
}
/* NULL outside. */
struct log_slot *log_ring_find(const struct log_ring *r, uint64_t index);
/* e->index must be last + 1; takes over the reference e->payload. */
enum status log_ring_push(struct log_ring *r, const struct log_entry *e,
                          struct log_slot **out_slot);
/* Drops everything at or above index. */
void log_ring_truncate(struct log_ring *r, uint64_t index);
/* Drops everything at or below index. */
void log_ring_cut(struct log_ring *r, uint64_t index);
/* Drops everything; the next index is first. */
void log_ring_clear(struct log_ring *r, uint64_t first);
/* Sum of payload sizes above index. */
uint64_t log_ring_bytes_after(const struct log_ring *r, uint64_t index);
/* Forgets payloads from the oldest on, up to and with index `to`, except those of changes. */
void log_ring_evict(struct log_ring *r, uint64_t to);

#endif
