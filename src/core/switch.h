/*
 * Handing over: a task that parks or ends continues the next ready one, without a detour through the loop's
 * own stack.
 */
#ifndef ASY_CORE_SWITCH_H
#define ASY_CORE_SWITCH_H

#include "asyncio/types.h"
#include "base/compiler.h"

/* Leaves the running task, which somebody's queue holds, and returns when it is resumed. */
void asy_switch_park(asyncio_loop *loop, asyncio_task *task);

/* Runs one ready task from the loop's own stack, and those that it hands over to. */
void asy_task_resume(asyncio_loop *loop, asyncio_task *task);
/* A coroutine has returned with a scope entered, whose memory is gone: aborts. */
COLD _Noreturn void asy_returned_in_scope(const asyncio_site *body);
/* A coroutine, or a callback (NULL), has returned in a forked child, where its loop does not run: aborts. */
COLD _Noreturn void asy_returned_in_child(const asyncio_site *body);

#endif
