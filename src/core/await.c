/*
 * Awaiting a task or a future.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/switch.h"
#include "core/task.h"
#include <errno.h>

static void wake_awaiter(struct waiter *waiter, asyncio_future *future)
{
    asy_wait_wake(LIST_ENTRY(waiter, struct wait, waiter), future->result);
}

const struct wait_kind asy_wait_await = {.name = "await", .shape.kind = SHAPE_FUTURE};

int asy_await_check(const asyncio_task *task, const asyncio_future *future)
{
    if (future == &task->future)
        return (int)asyncio_raise(-EINVAL, "a task cannot await itself");
    if (future->loop != task->future.loop)
        return (int)asyncio_raise(-EINVAL, "the awaited task or future belongs to another loop");
    return 0;
}

static intptr_t wait_for_future(asyncio_task *task, asyncio_future *future, bool *was_requested)
{
    struct wait wait;
    asy_wait_init(&wait, task, &asy_wait_await, future);
    asy_future_watch(future, &wait.waiter, wake_awaiter);
    if (UNLIKELY(task->must_cancel))
        asy_cancel_forward(task, &wait);
    intptr_t result = asy_wait_park(&wait);
    *was_requested = wait.is_requested;
    return result;
}

static intptr_t await_in_place(asyncio_coro *coro, int *status, intptr_t *out)
{
    *status = asy_current_task() ? 0 : ASYNCIO_ENOTASK;
    intptr_t result = asyncio_await_coro(coro);
    if (out && *status == 0)
        *out = result;
    return result;
}

/* Returns what asyncio_await returns. *status gets the outcome of the waiting alone. *out, if `out` is not
 * NULL, gets what the awaited one returned, if it has ended. */
static inline __attribute__((always_inline)) intptr_t await_any(asyncio_future *future, int *status,
                                                                intptr_t *out)
{
    *status = 0;
    if (UNLIKELY(!future)) {
        if (out)
            *out = -ENOMEM;
        return asy_null_awaited();
    }
    if (UNLIKELY(future->kind == OBJECT_CORO))
        return await_in_place((asyncio_coro *)(void *)future, status, out);
    asy_future_check(future, "asyncio_await");
    asyncio_task *task = asy_current_task();
    intptr_t result;
    if (UNLIKELY(!task)) {
        result = ASYNCIO_ENOTASK;
        *status = ASYNCIO_ENOTASK;
    } else if (future->is_done) {
        result = future->result;
    } else if (UNLIKELY((result = asy_await_check(task, future)) != 0)) {
        *status = (int)result;
    } else {
        bool was_requested;
        result = wait_for_future(task, future, &was_requested);
        if (was_requested && result == -ECANCELED)
            *status = -ECANCELED;
    }
    if (future->is_done && *status != ASYNCIO_ENOTASK) {
        future->flags |= FUTURE_SEEN;
        if (out)
            *out = result;
        if (result < 0)
            asy_message_inherit(future);
    }
    asy_future_unref(future);
    return result;
}

intptr_t asyncio_await_future(asyncio_future *future)
{
    int status;
    return await_any(future, &status, NULL);
}

int asyncio_join_future(asyncio_future *future, intptr_t *result)
{
    int status;
    (void)await_any(future, &status, result);
    return status;
}
