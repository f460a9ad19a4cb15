/*
 * Assertions: what must hold whatever a program, a peer or the kernel does. They stay on in releases. A
 * broken invariant ends the process with a line that names it, since going on with wrong state does more
 * harm. A mistake of the caller is no broken invariant: it gets an error.
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

/* Prints the assertion, the task concerned and what that waits in, and aborts. `task` NULL means the task
 * that runs. Allocates nothing. core/report.c defines it, since it knows tasks. */
COLD _Noreturn void asy_assert_failed(const struct asy_assertion *assertion, const asyncio_task *task);

/* `text` is the condition as it is written, before its macros are expanded. */
#define ASY_ASSERT_TEXT(condition, text, task)                                                               \
    do {                                                                                                     \
        static const struct asy_assertion assertion_ = {text, __func__, __FILE__, __LINE__};                 \
        if (UNLIKELY(!(condition)))                                                                          \
            asy_assert_failed(&assertion_, (task));                                                          \
    } while (0)

#define ASY_ASSERT_TASK(condition, task) ASY_ASSERT_TEXT(condition, #condition, task)
#define ASY_ASSERT(condition) ASY_ASSERT_TEXT(condition, #condition, NULL)

#endif
