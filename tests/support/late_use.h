/*
 * What the tests of late use share: objects that are used after their release, each in a child process.
 */
#ifndef TESTS_SUPPORT_LATE_USE_H
#define TESTS_SUPPORT_LATE_USE_H

#include "support/harness.h"

/* Uses one object late. `others` of its sort are made in between, and would take its place. */
typedef void late_use(int others);

static late_use *subject;
static int others;

ASYNC(use_late)
{
    subject(others);
    return 0;
}

static inline void in_debug_mode(void)
{
    asyncio_run_options options = {.debug = 1};
    others = 3;
    asyncio_run_with(use_late(), &options);
}

static inline void in_release_mode(void)
{
    others = 0;
    asyncio_run(use_late());
}

/* In debug mode nothing has taken the object's place, and no checker speaks first. */
static inline void check_late(late_use *fn, const char *words)
{
    subject = fn;
    check_dies(in_debug_mode, words);
    check_dies_of_late_use(in_release_mode, words);
}

#endif
