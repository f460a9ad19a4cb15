/*
 * Futures: a result that is there, or will be. The maker of a future completes it with
 * asyncio_future_set_result or _set_error; others await it.
 *
 * References are counted. asyncio_ref adds one, asyncio_release drops one; a verb that waits for a future
 * (await, join, gather, ...) takes over the caller's reference. A future that failed, and whose result
 * nobody looked at, is reported to the loop's exception handler when its last reference goes.
 *
 * All calls here belong to the loop's thread and do not wait. They accept tasks and futures alike, and
 * NULL, which stands for "out of memory".
 */
#ifndef ASYNCIO_FUTURES_H
#define ASYNCIO_FUTURES_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A callback of a future, called as fn(future, arg) like a callback of the loop. */
typedef void (*asyncio_done_callback)(asyncio_future *future, void *arg);

/* Makes a pending future of the running loop, with one reference. NULL: out of memory, or no loop runs in
 * this thread. (loop.create_future) */
ASYNCIO_API asyncio_future *asyncio_future_new(void);
ASYNCIO_API asyncio_future *asyncio_future_new_at(const asyncio_site *site);
#define asyncio_future_new() asyncio_future_new_at(ASYNCIO_HERE)

/*
 * Completes a future with a value >= 0, or with an error < 0. Tasks that await it become ready, and its
 * callbacks are queued, in the order in which they came. 0; ASYNCIO_ESTATE if it is done already; -EINVAL
 * for NULL, a task, or a result on the wrong side of 0. (Future.set_result, set_exception)
 */
ASYNCIO_API int asyncio_future_set_result(asyncio_future *future, intptr_t result);
ASYNCIO_API int asyncio_future_set_error(asyncio_future *future, intptr_t err);

/* The plain functions behind the verbs below. */
ASYNCIO_API asyncio_task *asyncio_ref_task(asyncio_task *task);
ASYNCIO_API asyncio_future *asyncio_ref_future(asyncio_future *future);
ASYNCIO_API void asyncio_release_coro(asyncio_coro *coro);
ASYNCIO_API void asyncio_release_task(asyncio_task *task);
ASYNCIO_API void asyncio_release_future(asyncio_future *future);
ASYNCIO_API bool asyncio_done_task(asyncio_task *task);
ASYNCIO_API bool asyncio_done_future(asyncio_future *future);
ASYNCIO_API bool asyncio_cancelled_task(asyncio_task *task);
ASYNCIO_API bool asyncio_cancelled_future(asyncio_future *future);
ASYNCIO_API intptr_t asyncio_result_task(asyncio_task *task);
ASYNCIO_API intptr_t asyncio_result_future(asyncio_future *future);
ASYNCIO_API bool asyncio_cancel_task(asyncio_task *task);
ASYNCIO_API bool asyncio_cancel_future(asyncio_future *future);
ASYNCIO_API bool asyncio_cancel_with_task(asyncio_task *task, const char *message);
ASYNCIO_API bool asyncio_cancel_with_future(asyncio_future *future, const char *message);
ASYNCIO_API int asyncio_add_done_callback_task(asyncio_task *task, asyncio_done_callback fn, void *arg);
ASYNCIO_API int asyncio_add_done_callback_future(asyncio_future *future, asyncio_done_callback fn, void *arg);
ASYNCIO_API size_t asyncio_remove_done_callback_task(asyncio_task *task, asyncio_done_callback fn, void *arg);
ASYNCIO_API size_t asyncio_remove_done_callback_future(asyncio_future *future, asyncio_done_callback fn,
                                                       void *arg);
ASYNCIO_API asyncio_future *asyncio_ensure_future_coro(asyncio_coro *coro, const asyncio_site *site);
ASYNCIO_API asyncio_future *asyncio_ensure_future_task(asyncio_task *task, const asyncio_site *site);
ASYNCIO_API asyncio_future *asyncio_ensure_future_future(asyncio_future *future, const asyncio_site *site);

ASYNCIO_END_DECLS

#ifndef __cplusplus
/* Adds a reference to a task or a future and returns it, with its type. NULL gives NULL. */
#define asyncio_ref(x)                                                                            \
    _Generic((x), asyncio_task *: asyncio_ref_task, asyncio_future *: asyncio_ref_future,         \
             void *: asyncio_ref_future)(x)

/* Drops a reference without waiting. A task that runs goes on, owned by the loop: fire and forget. A
 * coroutine is disposed of. */
#define asyncio_release(x) ASYNCIO_CALL_(asyncio_release, x, (x))

/* Returns the future of any awaitable. A coroutine becomes a task; a task or a future is returned as it is,
 * with the same reference. (ensure_future) */
#define asyncio_ensure_future(x) ASYNCIO_CALL_(asyncio_ensure_future, x, ((x), ASYNCIO_HERE))
#else
static inline asyncio_task *asyncio_ref(asyncio_task *x) { return asyncio_ref_task(x); }
static inline asyncio_future *asyncio_ref(asyncio_future *x) { return asyncio_ref_future(x); }
static inline void asyncio_release(asyncio_coro *x) { asyncio_release_coro(x); }
static inline void asyncio_release(asyncio_task *x) { asyncio_release_task(x); }
static inline void asyncio_release(asyncio_future *x) { asyncio_release_future(x); }
static inline asyncio_future *asyncio_ensure_any_(asyncio_coro *x, const asyncio_site *s)
{
    return asyncio_ensure_future_coro(x, s);
}
static inline asyncio_future *asyncio_ensure_any_(asyncio_task *x, const asyncio_site *s)
{
    return asyncio_ensure_future_task(x, s);
}
static inline asyncio_future *asyncio_ensure_any_(asyncio_future *x, const asyncio_site *s)
{
    return asyncio_ensure_future_future(x, s);
}
#define asyncio_ensure_future(x) asyncio_ensure_any_((x), ASYNCIO_HERE)
#endif

/* Tells whether it is done: true when it has ended in any way. NULL is done. (done) */
#define asyncio_done(x) asyncio_done_future(ASYNCIO_AS_FUTURE(x))

/* Tells whether it was cancelled: true when its result is -ECANCELED. (cancelled) */
#define asyncio_cancelled(x) asyncio_cancelled_future(ASYNCIO_AS_FUTURE(x))

/* Returns the result, a value or an error; an error counts as seen from then on. ASYNCIO_ESTATE while it is
 * pending; -ENOMEM for NULL. (result, exception) */
#define asyncio_result(x) asyncio_result_future(ASYNCIO_AS_FUTURE(x))

/*
 * Requests a cancel of a task or a future. A task gets -ECANCELED from the call that it waits in, or from
 * its next wait. While it awaits another task or future, the request is passed on to that. A plain future
 * is done at once, with -ECANCELED. Requests to a task are counted (asyncio_task_cancelling). False if it
 * was done already, or is NULL, or is a task of a closed loop. (cancel)
 */
#define asyncio_cancel(x) asyncio_cancel_future(ASYNCIO_AS_FUTURE(x))

/* Requests a cancel, as asyncio_cancel, with a message for those who await it. The message is copied. */
#define asyncio_cancel_with(x, message) asyncio_cancel_with_future(ASYNCIO_AS_FUTURE(x), (message))

/*
 * Has fn(x, arg) called by the loop once x is done; never inside this call, even if x is done already. In
 * the callback x is borrowed. Errors: -ENOMEM (also for NULL), -EINVAL for no fn. (add_done_callback)
 */
#define asyncio_add_done_callback(x, fn, arg)                                                     \
    asyncio_add_done_callback_future(ASYNCIO_AS_FUTURE(x), (fn), (arg))

/* Takes back all callbacks with this fn and arg that are not queued yet, and returns how many they were.
 * (remove_done_callback) */
#define asyncio_remove_done_callback(x, fn, arg)                                                  \
    asyncio_remove_done_callback_future(ASYNCIO_AS_FUTURE(x), (fn), (arg))

#endif
