/*
 * Contexts from within.
 *
 * Where a context is due, in a task, a callback or a thread, there is a pointer:
 *
 *   NULL       no variable is set
 *   shared     an array of values, which others may see as well: never written to
 *   own        a context that has been written to, or that the program holds: it
 *              points to such an array, and has a number for tokens to know it by
 *
 * Who sets a variable makes the context in his place an own one first. A copy of any
 * is NULL or shared: one more reference to the array, and no allocation. The array is written to
 * in place by an own context that is the only one to refer to it; else it is replaced.
 *
 * References are counted without atomics. A context belongs to a loop, or to a
 * thread while it runs none, and so does its array: what goes from one to the other is
 * copied in full (asy_vars_capture).
 */
#ifndef ASY_CORE_CONTEXTVARS_H
#define ASY_CORE_CONTEXTVARS_H

#include "asyncio/contextvars.h"
#include "core/loop.h"
#include "core/task.h"

/* One more reference to this very context. Accepts NULL. */
asyncio_context *asy_vars_ref(asyncio_context *context);
/* A reference to a copy, which it takes no memory to make. Accepts NULL. */
asyncio_context *asy_vars_copy(asyncio_context *context);
void asy_vars_unref(asyncio_context *context);
static inline void asy_vars_drop(asyncio_context *context)
{
    if (UNLIKELY(context != NULL))
        asy_vars_unref(context);
}

/* Puts `context` there, which it takes over, and drops the one that was there. */
static inline void asy_vars_put(asyncio_context **place, asyncio_context *context)
{
    asyncio_context *old = *place;
    *place = context;
    asy_vars_drop(old);
}

/* A copy for what the running task, or callback, of this loop starts. */
static inline asyncio_context *asy_vars_inherit(const asyncio_loop *loop)
{
    asyncio_context *context = loop->current ? loop->current->context : loop->context;
    return UNLIKELY(context != NULL) ? asy_vars_copy(context) : NULL;
}

/* A copy for what any caller, on any thread, has the loop run: 0, or -ENOMEM. */
int asy_vars_export(asyncio_context **out);
static inline int asy_vars_capture(const asyncio_loop *loop, asyncio_context **out)
{
    if (UNLIKELY(asy_running_loop != loop))
        return asy_vars_export(out);
    *out = asy_vars_inherit(loop);
    return 0;
}

/* Around work that a thread does for somebody else, who exported the context: what it runs in. Takes it
 * over; NULL: an empty one. */
void asy_vars_enter_thread(asyncio_context *context);

/* Around a callback: what it runs in. Takes the context over. */
static inline void asy_vars_enter(asyncio_loop *loop, asyncio_context *context)
{
    if (UNLIKELY(context || loop->context))
        asy_vars_put(&loop->context, context);
}
static inline void asy_vars_leave(asyncio_loop *loop)
{
    if (UNLIKELY(loop->context != NULL))
        asy_vars_put(&loop->context, NULL);
}

/* Aborts unless the program may use it here. */
void asy_vars_check(const asyncio_context *context, const char *call);

#endif
