/* What coroutines.c and tasks.c share. */
#ifndef ASY_CORE_CORO_H
#define ASY_CORE_CORO_H

#include "core/task.h"

/* The block of an unstarted coroutine, which counts as used from here on. */
asyncio_task *asy_coro_begin(asyncio_coro *coro);

/* It goes to another thread: the loop where it was made does not miss it any more. */
void asy_coro_hand_over(asyncio_coro *coro);
/* Where it was made. */
static inline const asyncio_site *asy_coro_site(asyncio_coro *coro)
{
    return ((asyncio_task *)(void *)coro)->future.site;
}

#endif
