/*
 * Parking a task, and granting what it waits for. See wait.h.
 */
#include "core/wait.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/select.h"
#include "core/switch.h"
#include "core/task.h"
#include <errno.h>

HOT intptr_t asy_wait_park(struct wait *wait)
{
    asyncio_task *task = wait->task;
    asyncio_loop *loop = task->future.loop;
    ASY_ASSERT_TASK(!task->wait || task->wait == wait, task);
    wait->since_ns = loop->now_ns;
    task->wait = wait;
    asy_switch_park(loop, task);
    task->wait = NULL;
    return wait->value;
}

intptr_t asy_wait_in(struct list *queue, const struct wait_kind *kind, void *object)
{
    asyncio_task *task = asy_running_loop->current;
    int err = asy_cancel_deliver(task);
    if (UNLIKELY(err))
        return err;
    struct wait wait;
    asy_wait_init(&wait, task, kind, object);
    list_append(queue, &wait.waiter.node);
    return asy_wait_park(&wait);
}

static inline void grant_wait(asyncio_loop *loop, struct wait *wait, intptr_t value, uint32_t entry_kind)
{
    wait->value = value;
    wait->state = WAIT_GRANTED;
    wait->task->ready.kind = entry_kind;
    ready_push(&loop->ready, &wait->task->ready);
    asy_loop_task_queued(loop, wait->task);
}

HOT void asy_wait_wake(struct wait *wait, intptr_t value)
{
    asyncio_loop *loop = wait->task->future.loop;
    if (UNLIKELY(wait->state != WAIT_PENDING))
        asy_case_wake(wait, value);
    else
        grant_wait(loop, wait, value, loop->wake_kind);
}

void asy_wait_relay(struct wait *wait, intptr_t value)
{
    ASY_ASSERT_TASK(wait->state == WAIT_PENDING, wait->task);
    grant_wait(wait->task->future.loop, wait, value, READY_RELAY);
}

bool asy_wait_cancelled(struct wait *wait)
{
    list_remove(&wait->waiter.node);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}
