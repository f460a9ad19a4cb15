/*
 * Waiting for some of several (asyncio.wait, as_completed), and shielding one.
 */
#ifndef ASYNCIO_WAITING_H
#define ASYNCIO_WAITING_H

#include <asyncio/futures.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef enum asyncio_return_when {
    ASYNCIO_FIRST_COMPLETED, /* when one is done */
    ASYNCIO_FIRST_ERROR,     /* when one failed (a cancelled one did not), or all are done */
    ASYNCIO_ALL_COMPLETED    /* when all are done */
} asyncio_return_when;

/*
 * asyncio_wait(set, n, timeout, when): waits until `when` holds or `timeout` seconds have passed, and
 * returns how many of the n tasks or futures are done. Borrows them. Cancels none, not even when it is
 * cancelled itself. Suspends, unless `when` holds already. (wait)
 *
 * The call partitions the array in place: first those that are done, in the order in which they completed,
 * then the others in their order. A NULL in it counts as done, with -ENOMEM. Errors: -EINVAL for an empty
 * set, a member that is there twice or is another loop's, and NaN; -ECANCELED; -ENOMEM; ASYNCIO_ENOTASK.
 */
ASYNCIO_API ptrdiff_t asyncio_wait_futures(asyncio_future **set, size_t n, double timeout,
                                           asyncio_return_when when);
#define asyncio_wait(set, n, timeout, when)                                                       \
    asyncio_wait_futures(ASYNCIO_AS_FUTURES(set), (n), (timeout), (when))

/*
 * An iterator over a set in the order of completion, on the caller's stack. There is nothing to free, even
 * if the iteration ends early: its memory goes with the futures of the set. The set is borrowed during the
 * iteration, each future until it was handed out. All steps together take time in proportion to the set. Do
 * not copy an iterator that was stepped. (as_completed)
 *
 *     asyncio_as_completed it;
 *     size_t i;
 *     int more;
 *     asyncio_as_completed_init(&it, tasks, n, ASYNCIO_FOREVER);
 *     while ((more = asyncio_as_completed_next(&it, &i)) > 0)
 *         use(asyncio_result(tasks[i]));
 */
typedef struct asyncio_as_completed {
    asyncio_future **set;
    size_t count, left, placed, logged;
    int64_t deadline_ns;
    void *log;
} asyncio_as_completed;

/* Begins an iteration in the order of completion. Does not wait. 0; -EINVAL as asyncio_wait (an empty set
 * is allowed); ASYNCIO_ENOTASK. */
ASYNCIO_API int asyncio_as_completed_init_futures(asyncio_as_completed *it, asyncio_future **set, size_t n,
                                                  double timeout);
#define asyncio_as_completed_init(it, set, n, timeout)                                            \
    asyncio_as_completed_init_futures((it), ASYNCIO_AS_FUTURES(set), (n), (timeout))

/* Waits for the next member of the set to be done. Suspends unless one is done already. Returns 1 with the
 * member's place in *index, or 0 when there are no more. -ETIMEDOUT: the time is over and no other one is
 * done; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK. Cancels none of the set. May be called again after an error. */
ASYNCIO_API int asyncio_as_completed_next(asyncio_as_completed *it, size_t *index);

/*
 * Awaits x and shields it: a request to cancel the caller does not reach x. The caller gets -ECANCELED at
 * once, and x goes on. Takes over the reference. A coroutine becomes a task, which must own its arguments.
 * Suspends. (shield) Errors: x's own, -ECANCELED, -EINVAL as asyncio_await, -ENOMEM for NULL,
 * ASYNCIO_ENOTASK.
 */
ASYNCIO_API intptr_t asyncio_shield_any(asyncio_awaitable *x, const asyncio_site *site);
ASYNCIO_API intptr_t asyncio_shield_coro(asyncio_coro *x);
ASYNCIO_API intptr_t asyncio_shield_task(asyncio_task *x);
ASYNCIO_API intptr_t asyncio_shield_future(asyncio_future *x);
#define asyncio_shield(x) asyncio_shield_any(ASYNCIO_AS_AWAITABLE(x), ASYNCIO_HERE)

ASYNCIO_END_DECLS

#endif
