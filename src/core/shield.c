/*
 * Shielding one awaitable: a cancel ends the caller's wait, and the awaited one goes on.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/waiting.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include <errno.h>

static void wake_shielded(struct waiter *waiter, asyncio_future *future)
{
    asy_wait_relay(LIST_ENTRY(waiter, struct wait, waiter), future->result);
}

static const struct wait_kind shield_kind = {.name = "shield", .shape.kind = SHAPE_FUTURE};

static intptr_t wait_shielded(asyncio_task *task, asyncio_future *future)
{
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct wait wait;
    asy_wait_init(&wait, task, &shield_kind, future);
    asy_future_watch(future, &wait.waiter, wake_shielded);
    return asy_wait_park(&wait);
}

static intptr_t shield_future(asyncio_task *task, asyncio_future *future)
{
    int err = future->is_done ? 0 : asy_await_check(task, future);
    if (err)
        return err;
    intptr_t result = future->is_done ? future->result : wait_shielded(task, future);
    if (future->is_done && result == future->result) {
        future->flags |= FUTURE_SEEN;
        if (result < 0)
            asy_message_inherit(future);
    }
    return result;
}

intptr_t asyncio_shield_any(asyncio_awaitable *x, const asyncio_site *site)
{
    asyncio_future *future = (asyncio_future *)(void *)x;
    if (!future)
        return asy_null_awaited();
    asyncio_task *task = asy_current_task();
    if (!task) {
        asyncio_release_future(future);
        return ASYNCIO_ENOTASK;
    }
    future = asyncio_ensure_future_future(future, site);
    asy_future_check(future, "asyncio_shield");
    intptr_t result = shield_future(task, future);
    asy_future_unref(future);
    return result;
}

intptr_t asyncio_shield_coro(asyncio_coro *x)
{
    return asyncio_shield_any((asyncio_awaitable *)(void *)x, NULL);
}

intptr_t asyncio_shield_task(asyncio_task *x)
{
    return asyncio_shield_any((asyncio_awaitable *)(void *)x, NULL);
}

intptr_t asyncio_shield_future(asyncio_future *x)
{
    return asyncio_shield_any((asyncio_awaitable *)(void *)x, NULL);
}
