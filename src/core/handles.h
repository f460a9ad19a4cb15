/*
 * Callbacks that the program has scheduled: each has a place in the loop's table, and a handle names it.
 */
#ifndef ASY_CORE_HANDLES_H
#define ASY_CORE_HANDLES_H

#include "asyncio/events.h"
#include <stddef.h>

/* A loop's handles: all of them in a table of chunks, by place, and those not in use in a list. */
struct handle_pool {
    struct handle *free;
    struct handle_chunk **chunks;
    size_t chunk_count;
};

/* Queues fn(arg) as call_soon does, without a report on failure, and in an empty context. */
int asy_call_soon(asyncio_loop *loop, asyncio_callback fn, void *arg);
void asy_handles_destroy(asyncio_loop *loop);

#endif
