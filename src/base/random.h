/*
 * Random numbers for orders and tests, not for secrets: xoshiro256**, seeded by splitmix64. The same seed
 * gives the same numbers for ever.
 */
#ifndef ASY_BASE_RANDOM_H
#define ASY_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state[4];
};

void asy_random_seed(struct random *r, uint64_t seed);
uint64_t asy_random_next(struct random *r);
/* Uniform in 0 .. bound - 1; bound > 0. */
uint64_t asy_random_below(struct random *r, uint64_t bound);

#endif
