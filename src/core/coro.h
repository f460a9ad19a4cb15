/* What coroutines.c and tasks.c share. */
#ifndef ASY_CORE_CORO_H
#define ASY_CORE_CORO_H

#include "core/task.h"

/* The block of an unstarted coroutine, which counts as used from here on. */
asyncio_task *asy_coro_begin(asyncio_coro *coro);

#endif
