/*
 * What debug mode checks on request (ASYNCIO_DEBUG=block,cancel,stacks): steps that sleep in the kernel,
 * tasks that go on after a request to cancel, and how deep stacks were.
 */
#ifndef ASY_CORE_CHECKS_H
#define ASY_CORE_CHECKS_H

#include "asyncio/types.h"
#include "base/compiler.h"
#include <stdint.h>

struct census; /* of stacks */

/* What each loop has for it. */
struct checks {
    int64_t excused; /* sleeps of steps inside other ones, and of calls of ours that must sleep */
    struct census *census;
};

/* Around a step, or around a callback, of which the task is NULL. What the former returns is the latter's. */
COLD int64_t asy_checks_begin(asyncio_loop *loop, asyncio_task *task);
COLD void asy_checks_end(asyncio_loop *loop, asyncio_task *task, int64_t begun, int64_t took_ns);
/* Around a call of ours that must sleep, within a step; likewise. */
int64_t asy_checks_begin_excuse(const asyncio_loop *loop);
void asy_checks_end_excuse(asyncio_loop *loop, int64_t begun);
/* The task has ended, and still runs on its stack. */
COLD void asy_checks_measure(asyncio_loop *loop, const asyncio_task *task);
/* The loop closes: tells how deep the stacks were. */
void asy_checks_close(asyncio_loop *loop);

#endif
