/* Coroutines that begin, or go to another thread: for tasks.c and executors. */
#ifndef ASY_CORE_CORO_H
#define ASY_CORE_CORO_H

#include "core/loop.h"
#include "core/task.h"

/* A coroutine that is started or disposed of no longer counts as unstarted in the loop where it was made. If
 * that is another thread's, it finds out by itself when it closes. */
static inline void asy_coro_leave_unstarted(asyncio_task *task)
{
    asyncio_loop *home = task->future.loop;
    if (home && home == asy_running_loop)
        home->unstarted--;
}

/* Aborts: a coroutine was used again. */
COLD _Noreturn void asy_coro_refuse_second_use(const asyncio_future *coro);

/* The block of a coroutine that was not used yet, and counts as used from here on. Aborts if it was. */
static inline asyncio_task *asy_coro_begin(asyncio_coro *coro)
{
    asyncio_task *task = (asyncio_task *)(void *)coro;
    if (UNLIKELY(task->future.kind != OBJECT_CORO))
        asy_coro_refuse_second_use(&task->future);
    asy_coro_leave_unstarted(task);
    return task;
}

/* The coroutine goes to another thread: the loop where it was made no longer reports it as never awaited. */
void asy_coro_hand_over(asyncio_coro *coro);

/* The site where a coroutine was made. */
static inline const asyncio_site *asy_coro_site(asyncio_coro *coro)
{
    return ((asyncio_task *)(void *)coro)->future.site;
}

#endif
