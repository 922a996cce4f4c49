/* Random numbers from the system, or repeatable ones from a seed (Blackman and Vigna, xoshiro256**). */
#include "base/random.h"

#include <string.h>
#include <sys/random.h>

#include "base/must.h"

void random_init_system(struct random *r)
{
    memset(r, 0, sizeof(*r));
    r->system = 1;
}

void random_init_seed(struct random *r, uint64_t seed)
{
    r->system = 0;
    for (int i = 0; i < 4; i++) { /* splitmix64 spreads a small seed over the state */
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->state[i] = z ^ (z >> 31);
    }
}

static uint64_t rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t seeded_u64(struct random *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

uint64_t random_u64(struct random *r)
{
    uint64_t v;
    random_fill(r, &v, sizeof(v));
    return v;
}

uint64_t random_below(struct random *r, uint64_t below)
{
    must(below > 0);
    return random_u64(r) % below;
}

void random_fill(struct random *r, void *data, size_t size)
{
    uint8_t *p = data;
    while (size > 0) {
        uint64_t v = 0;
        size_t n = size < sizeof(v) ? size : sizeof(v);
        if (r->system) {
            must(getrandom(&v, sizeof(v), 0) ==
                 (ssize_t)sizeof(v)); /* <= 256 bytes never falls short */
        } else {
            v = seeded_u64(r);
        }
        memcpy(p, &v, n);
        p += n;
        size -= n;
    }
}
