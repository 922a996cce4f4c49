/* The window that is being filled and the one before; older ones count for nothing. */
#include "node/latency.h"

#include <string.h>

static unsigned bucket_of(uint64_t us)
{
    if (us < 4) {
        return (unsigned)us;
    }
    unsigned power = 63u - (unsigned)__builtin_clzll(us);
    unsigned bucket = 4 * (power - 1) + (unsigned)(us >> (power - 2) & 3);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The highest value of a bucket. */
static uint64_t top_of(unsigned bucket)
{
    if (bucket < 4) {
        return bucket;
    }
    unsigned power = bucket / 4 + 1;
    return ((uint64_t)(4 + bucket % 4 + 1) << (power - 2)) - 1;
}

void latency_add(struct latency *l, uint64_t now_ms, uint64_t took_us)
{
    uint64_t window = now_ms / LATENCY_WINDOW_MS;
    if (window != l->window) {
        if (window != l->window + 1) {
            memset(l->counts, 0, sizeof(l->counts));
        }
        memset(l->counts[window % 2], 0, sizeof(l->counts[0]));
        l->window = window;
    }
    l->counts[window % 2][bucket_of(took_us)]++;
}

uint64_t latency_percentile_us(const struct latency *l, uint64_t now_ms, unsigned percent)
{
    uint64_t window = now_ms / LATENCY_WINDOW_MS;
    uint64_t all = 0, below = 0;
    bool present = window == l->window, before = window == l->window + 1;
    uint32_t counts[LATENCY_BUCKETS] = {0};
    if (!present && !before) {
        return 0;
    }
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        counts[i] = l->counts[l->window % 2][i] + (present ? l->counts[(l->window + 1) % 2][i] : 0);
        all += counts[i];
    }
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        below += counts[i];
        if (below > 0 && below * 100 >= all * percent) {
            return top_of(i);
        }
    }
    return 0;
}
