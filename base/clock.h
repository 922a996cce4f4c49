/* Time as a table. Everything that decides takes the time as an argument; only the edges ask.
 * Monotonic is CLOCK_MONOTONIC in milliseconds; wall is Unix time in milliseconds, for stamps shown to people. */
#ifndef MQ_BASE_CLOCK_H
#define MQ_BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*monotonic_ms)(struct clock *c);
    uint64_t (*wall_ms)(struct clock *c);
};

extern struct clock clock_system;

static inline uint64_t clock_monotonic_ms(struct clock *c)
{
    return c->monotonic_ms(c);
}
static inline uint64_t clock_wall_ms(struct clock *c)
{
    return c->wall_ms(c);
}
/* For measuring durations in statistics only. */
uint64_t clock_monotonic_us(void);

#endif
