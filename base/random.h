/* Randomness as a table: the system's for daemons, a seeded one for simulation (xoshiro256**). */
#ifndef MQ_BASE_RANDOM_H
#define MQ_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
    int system; /* draws from getrandom() when set */
};

void random_init_system(struct random *r);
void random_init_seed(struct random *r, uint64_t seed);
uint64_t random_u64(struct random *r);
/* Uniform in [0, below); below > 0. */
uint64_t random_below(struct random *r, uint64_t below);
void random_fill(struct random *r, void *data, size_t size);

#endif
