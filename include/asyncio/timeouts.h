/*
 * Timeouts (asyncio.timeout): at its deadline the scope cancels its task. Its exit turns the -ECANCELED
 * that results into -ETIMEDOUT.
 *
 *     int err;
 *     ASYNCIO_TIMEOUT(err, 2.0) {
 *         err = fetch();
 *         if (err < 0)
 *             break;
 *         err = store();
 *     }
 *     return err;
 */
#ifndef ASYNCIO_TIMEOUTS_H
#define ASYNCIO_TIMEOUTS_H

#include <asyncio/scopes.h>

ASYNCIO_BEGIN_DECLS

/* A time limit for the code inside, in the caller's storage. All fields are private. */
typedef struct asyncio_timeout {
    asyncio_scope scope;
    int64_t deadline_ns;
    uintptr_t timer[3];
} asyncio_timeout;

/*
 * Enters a timeout, with a deadline `delay` seconds from now, or when asyncio_time() reads `when`. A
 * deadline that has passed fires in the loop's next iteration: a body that never suspends succeeds.
 * ASYNCIO_FOREVER means no deadline. Does not wait. 0; -EINVAL for NULL or NaN; -ENOMEM; ASYNCIO_ENOTASK.
 * (timeout, timeout_at)
 */
ASYNCIO_API int asyncio_timeout_enter(asyncio_timeout *timeout, double delay);
ASYNCIO_API int asyncio_timeout_enter_at(asyncio_timeout *timeout, double when);

/*
 * Leaves a timeout and returns -ETIMEDOUT if it has expired, err is -ECANCELED, and nobody else has
 * requested a cancel meanwhile; else returns err. Withdraws its own request if that is not delivered yet. A
 * request of an outer timeout or group that came meanwhile is delivered at the next wait. Does not wait.
 * ASYNCIO_ESTATE if it is not the innermost scope of the running task; -EINVAL for NULL. (__aexit__)
 */
ASYNCIO_API intptr_t asyncio_timeout_exit(asyncio_timeout *timeout, intptr_t err);

/* Moves a timeout's deadline to `when`, on the loop's clock; ASYNCIO_FOREVER switches it off. Does not
 * wait. 0; -EINVAL for NULL or NaN; -ENOMEM; ASYNCIO_ESTATE if it is not entered or has expired.
 * (reschedule) */
ASYNCIO_API int asyncio_timeout_reschedule(asyncio_timeout *timeout, double when);

/* Returns a timeout's deadline on the loop's clock; ASYNCIO_FOREVER if it has none. (when) */
ASYNCIO_API double asyncio_timeout_when(const asyncio_timeout *timeout);

/* Tells whether the timeout has expired. Also after the exit, and when the body swallowed the cancel.
 * (expired) */
ASYNCIO_API bool asyncio_timeout_expired(const asyncio_timeout *timeout);

/*
 * Awaits x for at most `timeout` seconds; then cancels it, waits for its end, and returns -ETIMEDOUT. Takes
 * over the reference. A coroutine runs in place. A request to cancel the caller is passed on to x.
 * Suspends. (wait_for)
 *
 * If x returns a value or another error in spite of the cancel, that is the result. With a timeout of 0 or
 * less a coroutine is not started, and a task or future that is done gives its result. ASYNCIO_FOREVER: as
 * asyncio_await. Errors: -ETIMEDOUT, x's own, -ECANCELED, -EINVAL for NaN, ASYNCIO_ENOTASK; -ENOMEM for
 * NULL, and without memory for the timer: then x is cancelled, and waited for.
 */
ASYNCIO_API intptr_t asyncio_wait_for_coro(asyncio_coro *x, double timeout);
ASYNCIO_API intptr_t asyncio_wait_for_task(asyncio_task *x, double timeout);
ASYNCIO_API intptr_t asyncio_wait_for_future(asyncio_future *x, double timeout);

/* ---- How ASYNCIO_TIMEOUT is done: see scopes.h -------------------------------- */

typedef struct asyncio_timeout_block {
    asyncio_block block;
    asyncio_timeout timeout;
} asyncio_timeout_block;

static inline asyncio_timeout_block asyncio_timeout_block_make(void *err, size_t err_size, double seconds)
{
    asyncio_timeout_block made;
    __builtin_memset(&made, 0, sizeof made);
    made.block.err = err;
    made.block.err_size = err_size;
    made.block.seconds = seconds;
    return made;
}
ASYNCIO_API bool asyncio_timeout_block_open(asyncio_timeout_block *block);
ASYNCIO_API void asyncio_timeout_block_end(asyncio_timeout_block *block);

ASYNCIO_END_DECLS

#ifndef __cplusplus
#define asyncio_wait_for(x, timeout) ASYNCIO_CALL_(asyncio_wait_for, x, ((x), (timeout)))
#else
static inline intptr_t asyncio_wait_for(asyncio_coro *x, double t) { return asyncio_wait_for_coro(x, t); }
static inline intptr_t asyncio_wait_for(asyncio_task *x, double t) { return asyncio_wait_for_task(x, t); }
static inline intptr_t asyncio_wait_for(asyncio_future *x, double t) { return asyncio_wait_for_future(x, t); }
#endif

/*
 * ASYNCIO_TIMEOUT(err, seconds) { ... }: a time limit for a block.
 *
 * `err` is a signed variable of the caller's. It is 0 on entry. It is converted when the block is left by
 * its end, by `break` or by `continue`; these leave the block and not an outer loop. If the scope cannot be
 * entered (NaN, no task) the block is skipped and `err` says why. `return` and `goto` close the scope too,
 * but cannot change a value that was computed already: return after the block.
 */
#define ASYNCIO_TIMEOUT(err, seconds)                                                             \
    for (asyncio_timeout_block ASYNCIO_BLOCK_NAME_ ASYNCIO_CLEANUP_(asyncio_timeout_block_end) =  \
             asyncio_timeout_block_make(&(err), sizeof(err), (seconds));                          \
         asyncio_timeout_block_open(&ASYNCIO_BLOCK_NAME_);)                                       \
        for (; asyncio_block_once(&ASYNCIO_BLOCK_NAME_.block);)

#endif
