/*
 * Contexts from within.
 *
 * A task, a callback and a thread each have a place for a context, which is a pointer:
 *
 *   NULL       no variable is set
 *   shared     an array of values, which others may use, too: never written to
 *   own        a context that was written to, or that the program holds: it points to
 *              such an array, and has a number by which tokens know it
 *
 * A call that sets a variable first makes the context in its place an own one. A copy of any context is NULL
 * or shared: one more reference to the array, and no allocation. An own context writes to its array in place
 * if nothing else refers to that; else it replaces the array.
 *
 * References are counted without atomics. A context and its array belong to a loop, or to a thread while
 * that runs none. A context that goes from one to the other is copied in full (asy_vars_capture).
 */
#ifndef ASY_CORE_CONTEXTVARS_H
#define ASY_CORE_CONTEXTVARS_H

#include "asyncio/contextvars.h"
#include "core/loop.h"
#include "core/task.h"

/* A reference to this very context. Accepts NULL. */
asyncio_context *asy_vars_ref(asyncio_context *context);
/* A reference to a copy, made without allocating. Accepts NULL. */
asyncio_context *asy_vars_copy(asyncio_context *context);
void asy_vars_unref(asyncio_context *context);
static inline void asy_vars_drop(asyncio_context *context)
{
    if (UNLIKELY(context != NULL))
        asy_vars_unref(context);
}

/* Replaces the context in a place. Takes `context` over. */
static inline void asy_vars_put(asyncio_context **place, asyncio_context *context)
{
    asyncio_context *old = *place;
    *place = context;
    asy_vars_drop(old);
}

/* A copy of the context of this loop's running task or callback, for something that it starts. */
static inline asyncio_context *asy_vars_inherit(const asyncio_loop *loop)
{
    asyncio_context *context = loop->current ? loop->current->context : loop->context;
    return UNLIKELY(context != NULL) ? asy_vars_copy(context) : NULL;
}

/* A copy of the caller's context, on whatever thread, for something that it has the loop run. 0 or
 * -ENOMEM. */
int asy_vars_export(asyncio_context **out);
static inline int asy_vars_capture(const asyncio_loop *loop, asyncio_context **out)
{
    if (UNLIKELY(asy_running_loop != loop))
        return asy_vars_export(out);
    *out = asy_vars_inherit(loop);
    return 0;
}

/* Sets the context in which a thread does work for somebody else, who has exported it. Takes it over. NULL:
 * an empty one. */
void asy_vars_enter_thread(asyncio_context *context);

/* Around a callback: set the context in which it runs, which `enter` takes over, and drop it. */
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

/* A variable's value in a context, which may be NULL. NULL: it has none there. */
void *asy_vars_find(asyncio_context *context, const asyncio_contextvar *var);

/* Aborts unless it is a context of the program's, and of this thread. */
void asy_vars_check(const asyncio_context *context, const char *call);

#endif
