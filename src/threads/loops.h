/*
 * Several loops from within: the places that they have, and what each tells the others of itself.
 *
 * The struct is made before any of the loops runs, and freed when all have closed and their threads have
 * ended (run/loops.c). Until then each loop's struct, and what is needed to wake it, stay: there is a
 * reference to each. So a thread of one may post to another without a hold of its own.
 */
#ifndef ASY_THREADS_LOOPS_H
#define ASY_THREADS_LOOPS_H

#include "asyncio/loops.h"
#include "base/compiler.h"
#include "core/loop.h"
#include "core/post.h"
#include <stdatomic.h>
#include <stdbool.h>

struct loop_place {
    asyncio_loops *loops;
    asyncio_loop *loop;   /* a reference */
    struct callback stop; /* cancels its main, while is_stopped is set */
    /* The thread that sets it owns `stop`, until the loop's thread takes it down. */
    _Atomic bool is_stopped;
};

struct asyncio_loops {
    int count;
    /* Threads that stop the loops now: the last loop may end before they have woken it. The one that frees
     * this must see all that they did before. */
    _Atomic uint32_t stoppers;
    struct loop_place places[];
};

/* Makes places for so many loops, all empty. NULL: no memory. */
asyncio_loops *asy_loops_new(int count);
void asy_loops_free(asyncio_loops *loops);
/* Puts a loop into its place. Takes a reference. */
void asy_loops_put(asyncio_loops *loops, int index, asyncio_loop *loop);

/* The load of a loop that is alone is not counted. */
static inline void asy_load_add(asyncio_loop *loop, _Atomic uint32_t *load, uint32_t change)
{
    if (UNLIKELY(loop->index >= 0))
        atomic_fetch_add_explicit(load, change, memory_order_relaxed);
}
static inline void asy_loop_client_came(asyncio_loop *loop)
{
    asy_load_add(loop, &loop->load.clients, 1);
}
static inline void asy_loop_client_went(asyncio_loop *loop)
{
    asy_load_add(loop, &loop->load.clients, (uint32_t)-1);
}
static inline void asy_loop_call_came(asyncio_loop *loop)
{
    asy_load_add(loop, &loop->load.calls, 1);
}
static inline void asy_loop_call_went(asyncio_loop *loop)
{
    asy_load_add(loop, &loop->load.calls, (uint32_t)-1);
}

/* The least busy of all that take something, of at most 64 from the one at `start` on; NULL: none does. */
asyncio_loop *asy_loops_least_busy(asyncio_loops *loops, unsigned start);
/* The next one from `start` on that takes something; NULL: none does. */
asyncio_loop *asy_loops_next_open(asyncio_loops *loops, unsigned start);

/* The loop's shutdown begins, or it closes: others give it nothing any more. */
static inline void asy_loop_take_no_more(asyncio_loop *loop)
{
    atomic_store_explicit(&loop->load.is_ending, true, memory_order_relaxed);
}

#endif
