/*
 * A simulation directs a loop: it decides what chance and threads decide elsewhere, and is told of each step.
 * A loop has none but in libasyncio_sim, which sets it before the first task is made.
 */
#ifndef ASY_CORE_DIRECTOR_H
#define ASY_CORE_DIRECTOR_H

#include "core/loop.h"

struct director {
    /* Puts the ready tasks of an iteration in order. Returns how many of them run in it, at least one; the
     * others are ready still. */
    size_t (*arrange)(asyncio_loop *loop, struct ready **tasks, size_t count);
    /* A number below bound, where the order among equals is by chance. */
    uint64_t (*choose)(asyncio_loop *loop, uint64_t bound);
    /* A task has run, and waits in `wait`; NULL: it has ended. A callback has run: `task` is NULL, too. */
    void (*stepped)(asyncio_loop *loop, asyncio_task *task, const char *wait);
    /* The loop has polled, and is about to run what is ready. A negative result ends the run. */
    int (*polled)(asyncio_loop *loop);
    /* Nothing is left that could wake a task, and the run is about to end with -EDEADLK. */
    void (*deadlocked)(asyncio_loop *loop);
    /* The loop is about to close, and with it what the program has left open. */
    void (*closes)(asyncio_loop *loop);
    /* How many virtual nanoseconds from now a piece of work for a thread is to run, on this one. */
    int64_t (*delay_work)(asyncio_loop *loop);
};

/* From now on the loop is directed, and is_seeded: its tasks are numbered from 1. No task was made yet. */
void asy_loop_direct(asyncio_loop *loop, const struct director *director);

#endif
