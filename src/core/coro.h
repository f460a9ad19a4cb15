/* Coroutines that begin, or go to another thread: for tasks.c and executors. */
#ifndef ASY_CORE_CORO_H
#define ASY_CORE_CORO_H

#include "core/task.h"

/* The block of a coroutine that was not used yet, and counts as used from here on. Aborts if it was. */
asyncio_task *asy_coro_begin(asyncio_coro *coro);

/* The coroutine goes to another thread: the loop where it was made no longer reports it as never awaited. */
void asy_coro_hand_over(asyncio_coro *coro);

/* The site where a coroutine was made. */
static inline const asyncio_site *asy_coro_site(asyncio_coro *coro)
{
    return ((asyncio_task *)(void *)coro)->future.site;
}

#endif
