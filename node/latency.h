/* How long writes took lately: a histogram of two windows, a quarter of a power of two to a bucket (so 19 % off at most). Pure. */
#ifndef MQ_NODE_LATENCY_H
#define MQ_NODE_LATENCY_H

#include <stdbool.h>
#include <stdint.h>

#define LATENCY_BUCKETS   112u /* up to 2^28 microseconds */
#define LATENCY_WINDOW_MS 5000u

struct latency { /* zeroed = nothing yet */
    uint32_t counts[2][LATENCY_BUCKETS];
    uint64_t window; /* number of the one that is being filled: time / LATENCY_WINDOW_MS */
};

void latency_add(struct latency *l, uint64_t now_ms, uint64_t took_us);
/* Not exceeded by `percent` of those of the present window and the one before; 0 when there are none. */
uint64_t latency_percentile_us(const struct latency *l, uint64_t now_ms, unsigned percent);

#endif
