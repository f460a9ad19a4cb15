/*
 * Timeouts: a scope and a timer; and wait_for.
 */
#include "asyncio/timeouts.h"
#include "asyncio/errors.h"
#include "core/block.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/scope.h"
#include "core/timer.h"
#include <errno.h>
#include <math.h>

_Static_assert(sizeof(struct timer) == sizeof(((asyncio_timeout *)0)->timer), "room for a timer");
_Static_assert(_Alignof(struct timer) <= _Alignof(uintptr_t), "and is aligned for it");

static struct timer *timer_of(asyncio_timeout *timeout)
{
    return (struct timer *)(void *)timeout->timer;
}

/* Runs while timers fire: a task that this wakes stands behind a relay, as it would behind asyncio's
 * callback. */
static void expire_timeout(struct timer *timer)
{
    asyncio_timeout *timeout = LIST_ENTRY(timer, asyncio_timeout, timer);
    asy_scope_request(&timeout->scope);
}

static int start_timeout(asyncio_timeout *timeout, int64_t deadline_ns)
{
    int err = asy_timer_start(timeout->scope.task->future.loop, timer_of(timeout), deadline_ns);
    timeout->deadline_ns = err ? ASY_NO_DEADLINE : deadline_ns;
    return err;
}

static int enter_timeout(asyncio_timeout *timeout, int64_t deadline_ns)
{
    int err = asy_scope_enter(&timeout->scope, SCOPE_TIMEOUT);
    if (err)
        return err;
    timer_of(timeout)->fire = expire_timeout;
    timer_of(timeout)->node.place = 0;
    err = start_timeout(timeout, deadline_ns);
    if (err)
        asy_scope_exit(&timeout->scope);
    return err;
}

int asyncio_timeout_enter(asyncio_timeout *timeout, double delay)
{
    if (!timeout || isnan(delay))
        return -EINVAL;
    asyncio_loop *loop = asy_running_loop;
    if (!loop)
        return ASYNCIO_ENOTASK;
    return enter_timeout(timeout, asy_deadline_after(asy_loop_now_ns(loop), delay));
}

int asyncio_timeout_enter_at(asyncio_timeout *timeout, double when)
{
    if (!timeout || isnan(when))
        return -EINVAL;
    return enter_timeout(timeout, asy_ns_from_seconds(when));
}

intptr_t asyncio_timeout_exit(asyncio_timeout *timeout, intptr_t err)
{
    int misuse = asy_scope_check(timeout ? &timeout->scope : NULL);
    if (misuse)
        return misuse;
    asyncio_task *task = timeout->scope.task;
    asy_timer_stop(task->future.loop, timer_of(timeout));
    asy_scope_exit(&timeout->scope);
    if (!timeout->scope.requested)
        return err;
    asyncio_task_uncancel(task);
    if (err != -ECANCELED || asy_cancel_from_outside(task, &timeout->scope))
        return err;
    asy_cancel_again(task, &timeout->scope); /* for outer scopes that made a request meanwhile */
    return -ETIMEDOUT;
}

int asyncio_timeout_reschedule(asyncio_timeout *timeout, double when)
{
    if (!timeout || isnan(when))
        return -EINVAL;
    if (!timeout->scope.entered || timeout->scope.requested)
        return ASYNCIO_ESTATE;
    asyncio_loop *loop = timeout->scope.task->future.loop;
    asy_loop_check(loop, __func__);
    asy_timer_stop(loop, timer_of(timeout));
    return start_timeout(timeout, asy_ns_from_seconds(when));
}

double asyncio_timeout_when(const asyncio_timeout *timeout)
{
    if (!timeout || timeout->deadline_ns == ASY_NO_DEADLINE)
        return ASYNCIO_FOREVER;
    return (double)timeout->deadline_ns / 1e9;
}

bool asyncio_timeout_expired(const asyncio_timeout *timeout)
{
    return timeout && timeout->scope.requested;
}

/* ---- The block -------------------------------------------------------------------- */

bool asyncio_timeout_block_open(asyncio_timeout_block *block)
{
    if (block->block.phase == BLOCK_NEW) {
        int err = asyncio_timeout_enter(&block->timeout, block->block.seconds);
        asy_block_set_err(&block->block, err);
        block->block.phase = err ? BLOCK_CLOSED : BLOCK_OPEN;
        return !err;
    }
    block->block.phase = BLOCK_CLOSED;
    asy_block_set_err(&block->block, asyncio_timeout_exit(&block->timeout, asy_block_err(&block->block)));
    return false;
}

void asyncio_timeout_block_end(asyncio_timeout_block *block)
{
    if (block->block.phase == BLOCK_NEW || block->block.phase == BLOCK_CLOSED)
        return;
    bool has_expired = asyncio_timeout_expired(&block->timeout);
    asyncio_timeout_exit(&block->timeout, 0);
    if (has_expired)
        asy_block_report_return(-ETIMEDOUT, "its timeout expired");
}

/* ---- wait_for ------------------------------------------------------------------------ */

/* Ends x without waiting for its outcome: a coroutine is never started, a future is cancelled and awaited.
 * Returns `err`, unless x has an outcome of its own. */
static intptr_t end_unawaited(asyncio_future *x, int err)
{
    if (x->kind == OBJECT_CORO) {
        asyncio_coro_close((asyncio_coro *)(void *)x);
        return err;
    }
    asyncio_task *task = asy_current_task();
    if (x->is_done || x == &task->future || x->loop != task->future.loop)
        return asyncio_await_future(x);
    asyncio_cancel_future(x);
    intptr_t result;
    int status = asyncio_join_future(x, &result);
    if (status)
        return status;
    return result == -ECANCELED ? err : result;
}

intptr_t asyncio_wait_for_future(asyncio_future *x, double timeout)
{
    if (!x)
        return asy_null_awaited();
    bool is_done = x->kind != OBJECT_CORO && x->is_done;
    if (isnan(timeout) || !asy_current_task()) {
        asyncio_release_future(x);
        return isnan(timeout) ? -EINVAL : ASYNCIO_ENOTASK;
    }
    if (timeout <= 0)
        return end_unawaited(x, -ETIMEDOUT);
    if (is_done || isinf(timeout))
        return asyncio_await_future(x);
    asyncio_timeout scope;
    int err = asyncio_timeout_enter(&scope, timeout);
    if (err) /* there is no timer; x may use the caller's memory, and is not left running */
        return end_unawaited(x, err);
    return asyncio_timeout_exit(&scope, asyncio_await_future(x));
}

intptr_t asyncio_wait_for_coro(asyncio_coro *x, double timeout)
{
    return asyncio_wait_for_future((asyncio_future *)(void *)x, timeout);
}

intptr_t asyncio_wait_for_task(asyncio_task *x, double timeout)
{
    return asyncio_wait_for_future(x ? &x->future : NULL, timeout);
}
