/*
 * Random numbers: the published sequences of the generators, ranges without bias,
 * and that a seed gives the same numbers for ever.
 */
#include "base/random.h"
#include "support/test.h"
#include <stddef.h>
#include <stdint.h>

/* splitmix64 from 0, as its authors' program prints it. */
TEST(seed)
{
    static const uint64_t expected[] = {0xe220a8397b1dcdaf, 0x6e789e6aa1b965f4, 0x06c45d188009454f,
                                        0xf88bb8a8724c81ec};
    struct random r;
    asy_random_seed(&r, 0);
    for (int i = 0; i < 4; i++)
        assert_true(r.state[i] == expected[i]);
}

/* xoshiro256** from 1, 2, 3, 4, as its authors' program prints it. */
TEST(sequence)
{
    static const uint64_t expected[] = {
        11520,
        0,
        1509978240,
        1215971899390074240,
        1216172134540287360,
        607988272756665600,
        16172922978634559625u,
        8476171486693032832,
        10595114339597558777u,
        2904607092377533576,
    };
    struct random r = {{1, 2, 3, 4}};
    for (int i = 0; i < 10; i++)
        assert_true(asy_random_next(&r) == expected[i]);
}

TEST(same_seed_same_numbers)
{
    struct random a, b, other;
    int differ = 0;
    asy_random_seed(&a, 42);
    asy_random_seed(&b, 42);
    asy_random_seed(&other, 43);
    for (int i = 0; i < 1000; i++) {
        uint64_t x = asy_random_next(&a);
        assert_true(x == asy_random_next(&b));
        differ += x != asy_random_next(&other);
    }
    assert_int_equal(differ, 1000);
}

/* These may never change: a seed that somebody wrote down has to replay. */
TEST(below_is_pinned)
{
    static const uint64_t bounds[] = {1, 2, 10, 1000, 1u << 31, UINT64_MAX, (1ull << 63) + 1, 3};
    static const uint64_t expected[] = {
        0, 1, 5, 391, 1497179249, 2648436617965840161, 3515805966490203214, 2,
    };
    struct random r;
    asy_random_seed(&r, 1);
    for (int i = 0; i < 8; i++)
        assert_true(asy_random_below(&r, bounds[i]) == expected[i]);
}

TEST(below_stays_below)
{
    struct random r;
    asy_random_seed(&r, 2);
    for (uint64_t bound = 1; bound; bound <<= 1) {
        for (int i = 0; i < 100; i++) {
            assert_true(asy_random_below(&r, bound) < bound);
            assert_true(asy_random_below(&r, bound | (bound - 1)) < (bound | (bound - 1)));
        }
    }
}

/* 100,000 draws over ten values: each within six standard deviations (95). */
TEST(below_is_even)
{
    struct random r;
    int seen[10] = {0};
    asy_random_seed(&r, 3);
    for (int i = 0; i < 100000; i++)
        seen[asy_random_below(&r, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 9430, 10570);
}

/* Three quarters of 2^64: without the rejection, every third value would come up
 * twice as often as the others. */
TEST(below_has_no_bias_at_large_bounds)
{
    const uint64_t bound = 3ull << 62;
    struct random r;
    int multiples_of_three = 0;
    asy_random_seed(&r, 4);
    for (int i = 0; i < 100000; i++)
        multiples_of_three += asy_random_below(&r, bound) % 3 == 0;
    assert_in_range(multiples_of_three, 32440, 34230);
}

TEST_MAIN()
