/*
 * Threads: work that blocks, taken off the loop's thread, and coroutines submitted from other threads.
 */
#ifndef ASYNCIO_THREADS_H
#define ASYNCIO_THREADS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A bounded pool of threads. They begin as they are needed, and end after ten seconds without work. All
 * signals are blocked on them, except those of a fault (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS). */
typedef struct asyncio_executor asyncio_executor;

/*
 * Runs fn(arg) on a thread of the default executor and returns its result, with a copy of the caller's
 * context. Suspends. A request to cancel takes back work that has not begun: -ECANCELED, and fn does not
 * run. Once fn runs the call waits for it, since `arg` may be the caller's memory. It returns fn's result,
 * and the request stays pending unless that result is -ECANCELED. In fn, asyncio_raise attaches a message
 * to the call. Errors: fn's own, -ECANCELED, -EAGAIN (no thread), -EINVAL, -ENOMEM, ASYNCIO_ENOTASK.
 * (to_thread)
 */
ASYNCIO_API intptr_t asyncio_to_thread(intptr_t (*fn)(void *arg), void *arg);

/* Makes an executor of at most so many threads; 0 means the number of processors + 4, at most 32, as in the
 * default executor. NULL: out of memory. Any thread. (ThreadPoolExecutor) */
ASYNCIO_API asyncio_executor *asyncio_executor_new(unsigned threads);
/* Gives up an executor: queued work still runs, then its threads end. Does not wait. Accepts NULL. Any
 * thread, also one of its own. */
ASYNCIO_API void asyncio_executor_release(asyncio_executor *executor);

/*
 * Has fn(arg) run on a thread of the executor (NULL: the default one), in an empty context, and returns a
 * future for its result. Cancelling the future abandons the work: if it has not begun it does not run, else
 * nobody waits for it any more. Work whose future is only released goes on; asyncio_run waits for it at its
 * end, at most for shutdown_grace. asyncio_loop_close does not wait.
 *
 * `arg` belongs to the work. drop(arg) runs once: when fn has returned and the future is done, before the
 * tasks that await it go on; or when fn is not going to run. It runs on the loop's thread, where it must
 * not wait, or, if the loop is closed, on the executor's. `drop` may be NULL.
 *
 * Does not wait. NULL: out of memory, no loop runs, or fn is NULL (drop has run). If no thread could be
 * made the future has failed with -EAGAIN. (loop.run_in_executor)
 */
ASYNCIO_API asyncio_future *asyncio_run_in_executor(asyncio_executor *executor, intptr_t (*fn)(void *arg),
                                                    void *arg, void (*drop)(void *arg));

/*
 * Ends the threads of all executors, of names and of files. Idle threads end at once, busy ones after their
 * work and what is queued. Blocks until they are gone, for at most `timeout` seconds (ASYNCIO_FOREVER: no
 * limit). Later calls begin new threads. 0; -ETIMEDOUT if threads are left; ASYNCIO_ESTATE on a thread that
 * runs a loop; -EDEADLK on a thread of an executor; -EINVAL for NaN.
 *
 * A plugin that contains the library calls this before it is unloaded, after its last loop is closed.
 * dlclose(3) would do the same, but waits without limit, and meanwhile no other thread can load anything,
 * the resolver's among them. (executor.shutdown)
 */
ASYNCIO_API int asyncio_shutdown_threads(double timeout);

/* The result of a coroutine that another thread has submitted to a loop. Any thread. */
typedef struct asyncio_thread_future asyncio_thread_future;

/*
 * Runs a coroutine as a task of a loop that runs in another thread. The caller has a reference to the loop.
 * Takes over the coroutine. Never waits. NULL: out of memory, or coro or loop was NULL, as the message says.
 * If the loop is closed, closes first, or is at the end of its asyncio_run, the future fails with
 * ASYNCIO_ESTATE. (run_coroutine_threadsafe)
 */
ASYNCIO_API asyncio_thread_future *asyncio_run_coroutine_threadsafe(asyncio_coro *coro, asyncio_loop *loop);
/* Blocks this thread for at most `timeout` seconds (ASYNCIO_FOREVER: no limit) until the task has ended,
 * and returns its result, with its message. -ETIMEDOUT: the task goes on. -EINVAL for NULL or NaN; -EDEADLK
 * on the thread that runs that loop. (result) */
ASYNCIO_API intptr_t asyncio_thread_future_result(asyncio_thread_future *future, double timeout);
/* Requests a cancel of the task; the result tells what came of it. False if the task has ended, or the loop
 * is closed or belongs to the parent process. Does not wait. (cancel) */
ASYNCIO_API bool asyncio_thread_future_cancel(asyncio_thread_future *future);
/* Drops a thread's future; the task goes on. Accepts NULL. Does not wait. */
ASYNCIO_API void asyncio_thread_future_release(asyncio_thread_future *future);

ASYNCIO_END_DECLS

#endif
