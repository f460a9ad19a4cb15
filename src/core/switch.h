/*
 * Handing over: a task that parks or ends continues the next ready one, without a detour through the loop's
 * own stack. And eager starts, in which a task that is made runs first.
 */
#ifndef ASY_CORE_SWITCH_H
#define ASY_CORE_SWITCH_H

#include "asyncio/types.h"
#include "base/compiler.h"
#include "core/loop.h"

/* Leaves the running task, which somebody's queue holds, and returns when it is resumed. */
void asy_switch_park(asyncio_loop *loop, asyncio_task *task);

/* Runs one ready task from the loop's own stack, and those that it hands over to. */
void asy_task_resume(asyncio_loop *loop, asyncio_task *task);

/* Runs a fresh task to its first wait, or to its end, and returns it to the caller, which is a task or a
 * callback and is not suspended meanwhile. Not with asy_eager_is_too_deep. The caller has a reference. */
asyncio_task *asy_task_run_eagerly(asyncio_loop *loop, asyncio_task *task);

/* Main's frame begins this part of its stack deeper: see run_main. */
#define ASY_MAIN_GAP 16

/* So many eager starts lie within each other at most. */
#define ASY_EAGER_DEPTH_MAX 64

/* One that is under way: what its end puts back, on the creator's stack. */
struct eager_start {
    struct eager_start *outer;
    asyncio_task *creator; /* NULL: a callback, or a function that must not wait */
    struct fiber fiber;    /* loop->fiber, whose place the creator takes meanwhile */
    size_t ready_then;
    uint32_t batch;
    uint32_t depth;
};

static inline bool asy_eager_is_too_deep(const asyncio_loop *loop)
{
    return loop->eager && loop->eager->depth >= ASY_EAGER_DEPTH_MAX;
}

/* The eager start that is under way in a call of this task; NULL: there is none. */
const struct eager_start *asy_eager_start_of(const asyncio_task *task);
/* Where a task was left that has begun and not ended, and does not run; else NULL. is_here: it runs, on the
 * stack of the caller, which may be a function that hides it (task.h). The task's own thread. */
void *asy_task_place(const asyncio_task *task, bool *is_here);

/* A coroutine has returned with a scope entered, whose memory is gone: aborts. */
COLD _Noreturn void asy_returned_in_scope(const asyncio_site *body);
/* A coroutine, or a callback (NULL), has returned in a forked child, where its loop does not run: aborts. */
COLD _Noreturn void asy_returned_in_child(const asyncio_site *body);

#endif
