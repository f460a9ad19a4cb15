/*
 * How often tests do what they do many times over.
 */
#ifndef TESTS_SUPPORT_REPEATS_H
#define TESTS_SUPPORT_REPEATS_H

#include "base/sanitizer.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

/* Whether a checker or an emulator makes everything slow, and many stacks impossible. */
static inline bool is_slow_build(void)
{
    return ASY_ASAN || ASY_TSAN || RUNNING_ON_VALGRIND || getenv("ASYNCIO_TEST_SMALL");
}

/* Whether this is `make check-thorough`, which takes the time that it takes. */
static inline bool is_thorough(void)
{
    return getenv("ASYNCIO_TEST_LARGE") != NULL;
}

/* A number of rounds, tasks or bytes: where every step is slow, as a rule, and for a thorough check. */
static inline size_t repeats(size_t slow, size_t usual, size_t thorough)
{
    return is_slow_build() ? slow : is_thorough() ? thorough : usual;
}

#endif
