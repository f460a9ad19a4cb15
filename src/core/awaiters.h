/*
 * Who waits for whom: the tasks of a loop that wait for a future or task, alone or among others, and those
 * that are in a group with children. Found by the shapes of the waits (core/shapes.h).
 */
#ifndef ASY_CORE_AWAITERS_H
#define ASY_CORE_AWAITERS_H

#include "core/loop.h"
#include <stdbool.h>
#include <stddef.h>

struct awaiter {
    const asyncio_future *awaited; /* to compare alone: it may be gone */
    asyncio_task *task;
};

struct awaiters {
    struct awaiter *all; /* in order: first by what is awaited; no pair twice */
    size_t count, capacity;
    bool is_incomplete; /* there was no memory */
};

/* All of the loop's. False: no memory. asy_awaiters_free on either outcome. */
bool asy_awaiters_find(const asyncio_loop *loop, struct awaiters *awaiters);
void asy_awaiters_free(struct awaiters *awaiters);
/* The first one of a future; they stand one after the other. NULL: it has none. */
const struct awaiter *asy_awaiters_of(const struct awaiters *awaiters, const asyncio_future *awaited);

#endif
