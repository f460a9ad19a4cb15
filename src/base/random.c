/*
 * xoshiro256** 1.0 and splitmix64 by David Blackman and Sebastiano Vigna (public domain), and Daniel
 * Lemire's way into a range: one multiplication, and a division only where the plain product would favour
 * some values.
 */
#include "base/random.h"
#include "base/assert.h"

static uint64_t splitmix64(uint64_t *x)
{
    uint64_t z = (*x += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

void asy_random_seed(struct random *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->state[i] = splitmix64(&seed);
}

uint64_t asy_random_next(struct random *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* The product's high half is the number. Its low half says how far into that number's share of the 2^64
 * inputs this one lies; the first 2^64 mod bound of each are thrown away, which leaves every number a share
 * of the same size. */
uint64_t asy_random_below(struct random *r, uint64_t bound)
{
    ASY_ASSERT(bound > 0);
    unsigned __int128 product = (unsigned __int128)asy_random_next(r) * bound;
    if ((uint64_t)product < bound) {
        uint64_t excess = -bound % bound;
        while ((uint64_t)product < excess)
            product = (unsigned __int128)asy_random_next(r) * bound;
    }
    return (uint64_t)(product >> 64);
}
