/*
 * Assertions: what must hold whatever a program, a peer or the kernel does. They stay on in releases:
 * a broken invariant ends the process with a line that says which, rather than go on with wrong state.
 * A mistake of the caller is no matter for them; it gets an error.
 */
#ifndef ASY_BASE_ASSERT_H
#define ASY_BASE_ASSERT_H

#include "asyncio/types.h"
#include "base/compiler.h"
#include <stddef.h>

struct asy_assertion {
    const char *condition, *function, *file;
    int line;
};

/* Prints the assertion, with the task concerned and what it waits in, and aborts. `task` NULL: the one
 * that runs. Allocates nothing. (core/report.c, which knows tasks; nothing below is included for it.) */
COLD _Noreturn void asy_assert_failed(const struct asy_assertion *assertion, const asyncio_task *task);

#define ASY_ASSERT_TASK(condition, task)                                                                     \
    do {                                                                                                     \
        static const struct asy_assertion assertion_ = {#condition, __func__, __FILE__, __LINE__};           \
        if (UNLIKELY(!(condition)))                                                                          \
            asy_assert_failed(&assertion_, (task));                                                          \
    } while (0)

#define ASY_ASSERT(condition) ASY_ASSERT_TASK(condition, NULL)

#endif
