/*
 * Tests of assertions: a coroutine breaks an invariant in a child process, and the child ends with a line
 * that names it. A test's file includes cmocka and asyncio.h before this.
 */
#ifndef TESTS_BROKEN_H
#define TESTS_BROKEN_H

#include "child.h"

static struct child broken_child;

static inline void broken_run(void *main)
{
    asyncio_run(main);
}

/* `main` ends its process by the assertion at `place`, "function (file:", whose line has `condition`. */
static inline void expect_broken_at(asyncio_coro *main, const char *place, const char *condition)
{
    char words[256];
    child_run(&broken_child, broken_run, main);
    asyncio_coro_close(main);
    assert_child_signal(&broken_child, SIGABRT);
    snprintf(words, sizeof words, "asyncio: broken invariant in %s", place);
    assert_child_says(&broken_child, words);
    assert_child_says(&broken_child, condition);
}

/* The same by the name of the function and the beginning of the condition. */
static inline void expect_broken(asyncio_coro *main, const char *function, const char *condition)
{
    char place[128], words[128];
    snprintf(place, sizeof place, "%s (", function);
    snprintf(words, sizeof words, "): %s", condition);
    expect_broken_at(main, place, words);
}

#endif
