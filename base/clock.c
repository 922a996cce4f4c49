/* The system's clocks. */
#include "base/clock.h"

#include <time.h>

static uint64_t read_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static uint64_t system_monotonic_ms(struct clock *c)
{
    (void)c;
    return read_ms(CLOCK_MONOTONIC);
}

static uint64_t system_wall_ms(struct clock *c)
{
    (void)c;
    return read_ms(CLOCK_REALTIME);
}

struct clock clock_system = {system_monotonic_ms, system_wall_ms};

uint64_t clock_monotonic_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}
