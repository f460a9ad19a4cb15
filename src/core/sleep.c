/*
 * Sleeping: a timer and a wait. And giving way once, as sleep(0) does.
 */
#include "asyncio/errors.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/switch.h"
#include "core/task.h"
#include "core/timer.h"
#include <errno.h>
#include <math.h>

struct sleep {
    struct wait wait;
    struct timer timer;
    bool is_due; /* the timer has fired, and a relay stands in the ready queue */
};

static void wake_sleeper(struct timer *timer)
{
    struct sleep *sleep = LIST_ENTRY(timer, struct sleep, timer);
    ASY_ASSERT_TASK(sleep->wait.state == WAIT_PENDING, sleep->wait.task);
    sleep->is_due = true;
    sleep->wait.task->ready.kind = READY_RELAY;
    ready_push(&sleep->wait.task->future.loop->ready, &sleep->wait.task->ready);
    asy_loop_task_queued(sleep->wait.task->future.loop, sleep->wait.task);
}

/* A request that comes between the timer and the wake-up still wins: the relay wakes the task. */
static bool cancel_sleep(struct wait *wait)
{
    struct sleep *sleep = LIST_ENTRY(wait, struct sleep, wait);
    if (!sleep->is_due) {
        asy_timer_stop(wait->task->future.loop, &sleep->timer);
        asy_wait_wake(wait, -ECANCELED);
        return true;
    }
    wait->value = -ECANCELED;
    wait->state = WAIT_GRANTED;
    return true;
}

static const struct wait_kind sleep_kind = {
    .name = "sleep", .cancel = cancel_sleep, .shape.deadline = SHAPE_DEADLINE(struct sleep)};

static int sleep_until_ns(asyncio_loop *loop, asyncio_task *task, int64_t deadline_ns)
{
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct sleep sleep;
    asy_wait_init(&sleep.wait, task, &sleep_kind, &sleep.timer);
    sleep.timer.fire = wake_sleeper;
    sleep.timer.node.key = deadline_ns;
    sleep.timer.node.place = 0;
    sleep.is_due = false;
    if ((err = asy_timer_start(loop, &sleep.timer, deadline_ns)))
        return err;
    return (int)asy_wait_park(&sleep.wait);
}

/* The task goes to the end of the ready queue. A request that comes meanwhile is delivered here, as by
 * Python's sleep(0). */
static int yield_once(asyncio_loop *loop, asyncio_task *task)
{
    ready_push(&loop->ready, &task->ready);
    asy_switch_park(loop, task);
    return UNLIKELY(task->must_cancel) ? asy_cancel_take(task) : 0;
}

int asy_budget_yield(asyncio_loop *loop)
{
    return yield_once(loop, loop->current);
}

int asyncio_sleep(double seconds)
{
    asyncio_loop *loop = asy_running_loop;
    if (UNLIKELY(!loop || !loop->current))
        return ASYNCIO_ENOTASK;
    if (LIKELY(seconds <= 0))
        return yield_once(loop, loop->current);
    if (UNLIKELY(isnan(seconds)))
        return -EINVAL;
    return sleep_until_ns(loop, loop->current, asy_deadline_after(asy_loop_now_ns(loop), seconds));
}

int asy_sleep_until_ns(asyncio_loop *loop, int64_t deadline_ns)
{
    if (deadline_ns <= asy_loop_now_ns(loop))
        return yield_once(loop, loop->current);
    return sleep_until_ns(loop, loop->current, deadline_ns);
}

int asyncio_sleep_until(double when)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (isnan(when))
        return -EINVAL;
    return asy_sleep_until_ns(loop, asy_ns_from_seconds(when));
}
