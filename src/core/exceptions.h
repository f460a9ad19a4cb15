/*
 * Exceptions of C++. Its runtime keeps two words for each thread: the exceptions that were caught and are
 * still held, and the number of those on their way. They belong to the task that runs: if it waits inside
 * `catch`, or in a destructor during unwinding, it takes them along, and leaves the thread with none.
 *
 * So at each switch, on both sides of it, the thread's words are zero. A task that holds no exception pays
 * for one look at a pointer, and nothing is kept for it.
 */
#ifndef ASY_CORE_EXCEPTIONS_H
#define ASY_CORE_EXCEPTIONS_H

#include "core/loop.h"

/* Has the running task caught an exception, or is one on its way? */
static inline bool exceptions_are_held(const asyncio_loop *loop)
{
    const struct exceptions *here = loop->exceptions;
    return UNLIKELY(here != NULL) && (here->caught || here->uncaught);
}

/* The loop begins to run in this thread, or ends. The code around it keeps its own exceptions. */
void asy_exceptions_enter(asyncio_loop *loop);
void asy_exceptions_leave(asyncio_loop *loop);
/* A C++ runtime may have come while the loop ran: with a plugin, by way of another thread. */
void asy_exceptions_update(asyncio_loop *loop);

#endif
