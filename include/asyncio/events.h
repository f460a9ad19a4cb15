/*
 * The event loop, for programs that need callbacks, a loop of their own, or a way in from other threads.
 * Most programs use asyncio_run and never see it.
 *
 * A loop belongs to the thread that runs it, and before it runs to the thread that made it. Another thread
 * may use only _ref, _release, and calls whose name ends in _threadsafe or _signalsafe; any other call from
 * a wrong thread aborts with a message. Callbacks run on the loop's own stack and cannot wait: a waiting
 * call in one gives ASYNCIO_ENOTASK.
 */
#ifndef ASYNCIO_EVENTS_H
#define ASYNCIO_EVENTS_H

#include <asyncio/runners.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef void (*asyncio_callback)(void *arg);

/* A scheduled callback. All zero: none. */
typedef struct asyncio_handle {
    void *asyncio_slot_;
    uint64_t asyncio_id_;
} asyncio_handle;

/* Returns the loop that runs in this thread, borrowed; NULL if none does. (get_running_loop) */
ASYNCIO_API asyncio_loop *asyncio_get_running_loop(void);

/* Makes a loop, with one reference. `options` may be NULL. Returns NULL when memory or descriptors run out,
 * or options cannot be met; asyncio_error_message says which. (new_event_loop) */
ASYNCIO_API asyncio_loop *asyncio_loop_new(const asyncio_run_options *options);
/* Counts a reference to a loop. Any thread. */
ASYNCIO_API asyncio_loop *asyncio_loop_ref(asyncio_loop *loop);
/* Drops a reference to a loop; the last one frees the loop, which must be closed. If it is open, the call
 * must come from the loop's own thread and closes it first, as asyncio_loop_close does, whatever work is
 * still on other threads. Accepts NULL. Any thread. */
ASYNCIO_API void asyncio_loop_release(asyncio_loop *loop);

/* Runs the loop until asyncio_loop_stop. 0; ASYNCIO_ESTATE if it runs, is closed, or another loop runs in
 * this thread; -EDEADLK when a virtual clock has nothing to wait for. (run_forever) */
ASYNCIO_API int asyncio_loop_run_forever(asyncio_loop *loop);
/* Runs the loop until the future is done and returns its result; takes over the reference. Errors as above;
 * ASYNCIO_ESTATE also when the loop was stopped first. (run_until_complete) */
ASYNCIO_API intptr_t asyncio_loop_run_until_complete(asyncio_loop *loop, asyncio_future *future);
/* Ends run_forever after the current iteration. Callbacks queued by it stay queued. (stop) */
ASYNCIO_API void asyncio_loop_stop(asyncio_loop *loop);
/* Ends the work of a loop: drops callbacks and timers, reports coroutines that were never awaited,
 * reports and abandons tasks that are still pending, and gives stacks back. The object stays valid until
 * the last release. 0, also when the loop is closed already; ASYNCIO_ESTATE while it runs; -EINVAL for
 * NULL. (close) */
ASYNCIO_API int asyncio_loop_close(asyncio_loop *loop);
ASYNCIO_API bool asyncio_loop_is_running(asyncio_loop *loop);
ASYNCIO_API bool asyncio_loop_is_closed(asyncio_loop *loop);
/* Reads the loop's monotonic clock, in seconds. (time) */
ASYNCIO_API double asyncio_loop_time(asyncio_loop *loop);

/*
 * Run a loop inside another one: poll asyncio_loop_fd for input, for at most asyncio_loop_timeout seconds,
 * then call asyncio_loop_run_once(loop, 0). All of them belong to the loop's thread; none suspends.
 *
 * _fd returns a descriptor, which stays the loop's and is there to be polled, for nothing else. It becomes
 * readable when the loop has something to do, whatever the reason: a descriptor, a signal, another thread,
 * or a call of this thread between two turns. It stays readable until the next turn. The passing of time
 * alone does not make it readable. The number never changes. -ENOSYS with a virtual clock, ASYNCIO_ESTATE
 * once the loop is closed, -EINVAL for NULL.
 *
 * _timeout returns the seconds until the loop has something to do by itself: 0 for now, ASYNCIO_FOREVER for
 * never. The number may change in each turn, and by a call between two turns, which makes the descriptor
 * readable.
 *
 * _run_once makes one turn: it waits at most `timeout` seconds for something to do (not at all if that is 0
 * or less), then runs what is ready, which takes as long as the steps of tasks and callbacks do. 0, or the
 * errors of asyncio_loop_run_forever; ASYNCIO_ESTATE also in a task or callback of a loop; -EINVAL for NaN.
 * The handler that reports a stack overflow (asyncio_run_options) is installed from the first turn until
 * the loop closes.
 */
ASYNCIO_API int asyncio_loop_fd(asyncio_loop *loop);
ASYNCIO_API double asyncio_loop_timeout(asyncio_loop *loop);
ASYNCIO_API int asyncio_loop_run_once(asyncio_loop *loop, double timeout);

/*
 * Has fn(arg) called by the loop: in its next iteration; after `delay` seconds; when its clock reads
 * `when`. Equal times fire in the order in which they were made. A refused call (NaN, a closed loop, no fn,
 * no memory) returns a handle that is all zero, and tells the exception handler. (call_soon, call_later,
 * call_at)
 */
ASYNCIO_API asyncio_handle asyncio_loop_call_soon(asyncio_loop *loop, asyncio_callback fn, void *arg);
ASYNCIO_API asyncio_handle asyncio_loop_call_later(asyncio_loop *loop, double delay, asyncio_callback fn,
                                                   void *arg);
ASYNCIO_API asyncio_handle asyncio_loop_call_at(asyncio_loop *loop, double when, asyncio_callback fn,
                                                void *arg);
/* Takes back a scheduled callback. False if it has run, was cancelled, or never was. */
ASYNCIO_API bool asyncio_handle_cancel(asyncio_loop *loop, asyncio_handle handle);
ASYNCIO_API bool asyncio_handle_valid(asyncio_handle handle);

/* Has fn(arg) called by the loop, from any thread. 0, -ENOMEM, -EINVAL, ASYNCIO_ESTATE when the loop is
 * closed. (call_soon_threadsafe) */
ASYNCIO_API int asyncio_loop_call_soon_threadsafe(asyncio_loop *loop, asyncio_callback fn, void *arg);
/* Has the loop call fn(arg), from a signal handler: takes one of 64 places. -EAGAIN when all are taken. */
ASYNCIO_API int asyncio_loop_call_soon_signalsafe(asyncio_loop *loop, asyncio_callback fn, void *arg);

/*
 * Has fn(arg) called each time fd is ready to read, or to write, until it is removed. A descriptor has one
 * reader and one writer: a second one replaces the first. Remove it before the descriptor is closed, or
 * close the descriptor with asyncio_close. Loop's thread; does not wait. 0; -EINVAL, -EBADF, -ENOMEM;
 * -EPERM for a regular file, which is always ready; ASYNCIO_ESTATE when the loop is closed. (add_reader,
 * add_writer)
 */
ASYNCIO_API int asyncio_loop_add_reader(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg);
ASYNCIO_API int asyncio_loop_add_writer(asyncio_loop *loop, int fd, asyncio_callback fn, void *arg);
/* Removes the callback for a descriptor. True if there was one. (remove_reader, remove_writer) */
ASYNCIO_API bool asyncio_loop_remove_reader(asyncio_loop *loop, int fd);
ASYNCIO_API bool asyncio_loop_remove_writer(asyncio_loop *loop, int fd);

/* What happened, for the exception handler. Pointers are valid during the call. */
typedef struct asyncio_exception_context {
    const char *message; /* what happened, in words */
    intptr_t error;      /* the error code, or 0 */
    asyncio_task *task;  /* the task concerned, or NULL; borrowed */
    const char *file;    /* where it was made, or NULL */
    int line;
    const char *peer;    /* the peer's address, or NULL */
    uintptr_t reserved[4];
} asyncio_exception_context;

typedef void (*asyncio_exception_handler)(asyncio_loop *loop, const asyncio_exception_context *context,
                                          void *arg);

/* Sets the function that is told of errors that nobody can receive. fn NULL restores the default, a line on
 * stderr. The handler cannot wait; errors reported while it runs go to stderr. (set_exception_handler) */
ASYNCIO_API void asyncio_loop_set_exception_handler(asyncio_loop *loop, asyncio_exception_handler fn,
                                                    void *arg);
ASYNCIO_API void asyncio_loop_call_exception_handler(asyncio_loop *loop,
                                                     const asyncio_exception_context *context);

/* Switches debug mode, which reports slow steps, deadlocks and more, and costs time. (set_debug) */
ASYNCIO_API void asyncio_loop_set_debug(asyncio_loop *loop, bool on);
ASYNCIO_API bool asyncio_loop_get_debug(asyncio_loop *loop);
/* Sets how many seconds a step may take before debug mode reports it; 0.1 by default. NaN and negative
 * values are ignored. (slow_callback_duration) */
ASYNCIO_API void asyncio_loop_set_slow_callback_duration(asyncio_loop *loop, double seconds);

ASYNCIO_END_DECLS

#endif
