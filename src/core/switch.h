/*
 * Handing over: from a task that parks or ends to the next one that is ready,
 * without a detour through the loop's own stack.
 */
#ifndef ASY_CORE_SWITCH_H
#define ASY_CORE_SWITCH_H

#include "asyncio/types.h"

/* Leaves the running task, which stands in a queue of somebody's, and returns
 * when it is resumed. */
void asy_switch_park(asyncio_loop *loop, asyncio_task *task);

#endif
