/*
 * Threads: work that blocks, taken off the loop's thread, and coroutines
 * submitted from other threads.
 */
#ifndef ASYNCIO_THREADS_H
#define ASYNCIO_THREADS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A bounded pool of threads, begun as they are needed; one that has had nothing to do for ten seconds ends.
 * All signals are blocked on them but those of a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS). */
typedef struct asyncio_executor asyncio_executor;

/*
 * Runs fn(arg) on a thread of the default executor and returns its result, with a copy of the
 * caller's context. Suspends. A request to cancel takes work that has not begun back: -ECANCELED,
 * fn does not run. Once fn runs it is waited for, since `arg` may be the caller's memory; its
 * result is returned and the request stays pending, but where that result is -ECANCELED. In fn,
 * asyncio_raise attaches a message to the call. Errors: fn's own, -ECANCELED, -EAGAIN (no thread),
 * -EINVAL, -ENOMEM, ASYNCIO_ENOTASK. (to_thread)
 */
ASYNCIO_API intptr_t asyncio_to_thread(intptr_t (*fn)(void *arg), void *arg);

/* Makes an executor of at most so many threads; 0: processors + 4, at most 32, as the default one.
 * NULL: out of memory. Any thread. (ThreadPoolExecutor) */
ASYNCIO_API asyncio_executor *asyncio_executor_new(unsigned threads);
/* Gives an executor up: work that is queued still runs, then its threads end. Does not wait. Accepts NULL.
 * Any thread, also one of its own. */
ASYNCIO_API void asyncio_executor_release(asyncio_executor *executor);

/*
 * Has fn(arg) run on a thread of the executor (NULL: the default one), in an empty context, and returns a
 * future for its result. Cancelling the future abandons the work: if it has not begun it does not
 * run, else nobody waits for it any more. One that is only released goes on, and asyncio_run waits
 * for it at its end, at most for shutdown_grace; asyncio_loop_close does not wait.
 *
 * `arg` belongs to the work: drop(arg), which may be NULL, runs once: when fn has returned and the future is
 * done (before those who await it go on), or when fn is not going to run. It runs on the loop's thread,
 * where it may not wait, or, if the loop is closed, on the executor's.
 *
 * Does not wait. NULL: out of memory, no loop runs, or fn is NULL (drop has run). A future that failed with
 * -EAGAIN: no thread could be made. (loop.run_in_executor)
 */
ASYNCIO_API asyncio_future *asyncio_run_in_executor(asyncio_executor *executor, intptr_t (*fn)(void *arg),
                                                    void *arg, void (*drop)(void *arg));

/*
 * Ends the threads of all executors, of names and of files: those that have nothing to do at once, those that
 * are busy after what they do and what is queued. Blocks until they are gone, for at most `timeout` seconds
 * (ASYNCIO_FOREVER: no limit). Later calls begin new ones. For a plugin that contains the library and is
 * about to be unloaded, after its last loop is closed: dlclose(3) does the same at last, but waits without
 * limit, and meanwhile keeps other threads from loading anything, the resolver's among them. 0;
 * -ETIMEDOUT: some are left; ASYNCIO_ESTATE on a thread that runs a loop; -EDEADLK on a thread of an
 * executor; -EINVAL for NaN. (executor.shutdown)
 */
ASYNCIO_API int asyncio_shutdown_threads(double timeout);

/* The other direction: what another thread gets for a coroutine that it submitted. Any thread. */
typedef struct asyncio_thread_future asyncio_thread_future;

/*
 * Runs the coroutine as a task of a loop that runs in another thread, to which the caller has a reference.
 * Takes the coroutine over. Never waits. NULL: out of memory, or coro or loop was NULL. A loop that
 * is closed, that closes first, or whose asyncio_run is at its end: a future that failed with
 * ASYNCIO_ESTATE. (run_coroutine_threadsafe)
 */
ASYNCIO_API asyncio_thread_future *asyncio_run_coroutine_threadsafe(asyncio_coro *coro, asyncio_loop *loop);
/* Blocks this thread for at most `timeout` seconds (ASYNCIO_FOREVER: no limit) until the task has
 * ended; its result, with its message. -ETIMEDOUT: it goes on. -EINVAL for NULL or NaN; -EDEADLK on the
 * thread that runs that loop. (result) */
ASYNCIO_API intptr_t asyncio_thread_future_result(asyncio_thread_future *future, double timeout);
/* Requests a cancel of the task; what becomes of it, the result says. False if it has ended, or the
 * loop is closed or the parent process's. Does not wait. (cancel) */
ASYNCIO_API bool asyncio_thread_future_cancel(asyncio_thread_future *future);
/* Drops it; the task goes on. Accepts NULL. Does not wait. */
ASYNCIO_API void asyncio_thread_future_release(asyncio_thread_future *future);

ASYNCIO_END_DECLS

#endif
