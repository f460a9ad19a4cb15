/*
 * Several loops: one for each processor, each on a thread of its own, and calls from one to another.
 *
 *     ASYNC(square, int, n) { return n * n; }
 *     ASYNC(first, asyncio_loops *, loops)
 *     {
 *         return asyncio_await_on(asyncio_loops_get(loops, 1), square(7));
 *     }
 *     ASYNC(other) { return asyncio_sleep(ASYNCIO_FOREVER); }
 *     static asyncio_coro *make(int index, asyncio_loops *loops, void *arg)
 *     {
 *         return index ? other() : first(loops);
 *     }
 *
 * A task stays on its loop, and all that belongs to a loop stays with it: work goes over to other loops as
 * coroutines, connections as bare descriptors (asyncio_server_options.loops), items through channels. The
 * calls here are for any thread where that is said.
 */
#ifndef ASYNCIO_LOOPS_H
#define ASYNCIO_LOOPS_H

#include <asyncio/runners.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* The loops of one asyncio_run_loops. Valid until that returns. */
typedef struct asyncio_loops asyncio_loops;

/* Options of several loops: all zero means the defaults. */
typedef struct asyncio_loops_options {
    int count;               /* of loops; 0: as many as processors that this process may use */
    int pin;                 /* 1: loop i stays on the i-th of them; default off */
    double spin;             /* seconds that a loop with nothing to do looks for calls of others before it
                              * sleeps, which costs a processor; 0: none; at most 0.001 */
    asyncio_run_options run; /* of each loop; signals are the first one's, and cancel all mains */
    uintptr_t reserved[4];
} asyncio_loops_options;

/* Makes the coroutine of one loop, on that loop's thread. NULL counts as -ENOMEM. */
typedef asyncio_coro *(*asyncio_loop_main)(int index, asyncio_loops *loops, void *arg);

/*
 * Makes several loops, then runs the coroutine that make(i, loops, arg) makes as the main task of loop i,
 * for each i from 0, until all have ended. Loop 0 runs on the calling thread, each other one on a thread of
 * its own. Each ends as in asyncio_run: when its main has ended it cancels the tasks that are left, waits
 * for them and closes. From then on calls to it give ASYNCIO_ESTATE.
 *
 * If a main fails, all others are cancelled, as in a task group (-ECANCELED is no failure). Returns the
 * result of the first main that failed; if none did, that of loop 0's main. The first SIGINT (and SIGTERM,
 * where handled) cancels all mains: then -ECANCELED of loop 0's main becomes -EINTR. `options` may be NULL.
 *
 * All loops and threads are made before the first call of make; if one cannot be, none runs: -ENOMEM,
 * -EMFILE, -ENOSYS, -EAGAIN (no thread); -EINVAL for make NULL, for a spin or count that cannot be met, or
 * for a processor that is gone; ASYNCIO_ESTATE where a loop runs.
 */
ASYNCIO_API intptr_t asyncio_run_loops(asyncio_loop_main make, void *arg,
                                       const asyncio_loops_options *options);

/* Returns how many loops there are. Any thread. */
ASYNCIO_API int asyncio_loops_count(const asyncio_loops *loops);
/* Returns the index of the loop that runs in this thread; -1 if none does, or one that is alone. */
ASYNCIO_API int asyncio_loops_index(void);
/* Returns a loop, borrowed until asyncio_run_loops returns; NULL if there is none of that index. Any
 * thread. */
ASYNCIO_API asyncio_loop *asyncio_loops_get(asyncio_loops *loops, int index);
/* Returns the less busy of two loops drawn at random, borrowed: the one with fewer clients of servers and
 * fewer calls that have not begun. A loop that has ended is drawn only if all have. Any thread. */
ASYNCIO_API asyncio_loop *asyncio_loops_idlest(asyncio_loops *loops);
/* Cancels the main tasks of all loops, those that have not begun yet as well. 0; -EINVAL for NULL. Does not
 * wait. Any thread, and async-signal-safe. */
ASYNCIO_API int asyncio_loops_stop(asyncio_loops *loops);

/*
 * Runs a coroutine as a task of another loop, with a copy of the caller's context variables, and waits for
 * its result, which comes with its message. Takes over the coroutine on every path. The caller has a
 * reference to the loop, or borrows it from asyncio_loops. The same loop: as asyncio_await. Suspends.
 *
 * A request to cancel is passed on to the task, and its end is waited for: the call returns the task's
 * result, whatever it is. ASYNCIO_ESTATE: the loop is closed or about to close, or closed before the task
 * ended; a coroutine that had not begun by then does not run. A loop that is only stopped is waited for.
 * -ENOMEM, also for coro NULL; -EINVAL for loop NULL; ASYNCIO_ENOTASK.
 */
ASYNCIO_API intptr_t asyncio_await_on(asyncio_loop *loop, asyncio_coro *coro);
ASYNCIO_API intptr_t asyncio_await_on_at(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site);

/*
 * Submits a coroutine to another loop, as asyncio_await_on, and returns a future of the calling loop for its
 * result. The future behaves as a task: to cancel it passes the request on, and it is done when the
 * coroutine has ended there, never before. If it is only released the coroutine goes on, and must own its
 * arguments; the end of asyncio_run waits for it, at most for shutdown_grace. Works in callbacks. Does not
 * wait.
 *
 * NULL: no memory, no coroutine, or no loop runs here; the coroutine is closed. A loop that is NULL or
 * closed: a future that has failed with -EINVAL or ASYNCIO_ESTATE.
 */
ASYNCIO_API asyncio_future *asyncio_submit_to(asyncio_loop *loop, asyncio_coro *coro);
ASYNCIO_API asyncio_future *asyncio_submit_to_at(asyncio_loop *loop, asyncio_coro *coro,
                                                 const asyncio_site *site);

/*
 * Runs the coroutine that make(i, loops, arg) makes on loop i, for each loop, and waits until all have
 * ended. `results`, which may be NULL, gets the outcome of loop i at i, whatever the call returns. The first
 * failure cancels the rest, and is returned; else 0. A request to cancel the caller goes to all: -ECANCELED
 * once all have ended. A loop that is closed: ASYNCIO_ESTATE in its place, which is a failure. -EINVAL,
 * -ENOMEM and ASYNCIO_ENOTASK leave `results` as it was, and nothing runs. Suspends.
 */
ASYNCIO_API int asyncio_gather_on_all(asyncio_loops *loops, asyncio_loop_main make, void *arg,
                                      intptr_t *results);
ASYNCIO_API int asyncio_gather_on_all_at(asyncio_loops *loops, asyncio_loop_main make, void *arg,
                                         intptr_t *results, const asyncio_site *site);

#define asyncio_await_on(loop, coro) asyncio_await_on_at((loop), (coro), ASYNCIO_HERE)
#define asyncio_submit_to(loop, coro) asyncio_submit_to_at((loop), (coro), ASYNCIO_HERE)
#define asyncio_gather_on_all(loops, make, arg, results)                                          \
    asyncio_gather_on_all_at((loops), (make), (arg), (results), ASYNCIO_HERE)

ASYNCIO_END_DECLS

#endif
