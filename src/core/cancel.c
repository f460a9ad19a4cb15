/*
 * Cancelling a task.
 *
 * A request goes to where the task waits: the wait ends with -ECANCELED. If the
 * task awaits another task, the request is passed on instead, down the chain,
 * and is used up when that one ends, whatever it returns. A task that does not
 * wait keeps the request for its next wait. A wait that was granted already
 * keeps its grant, and the request stays pending, unless the granted result is
 * -ECANCELED itself: then the request counts as delivered with it.
 */
#include "core/cancel.h"
#include "asyncio/tasks.h"
#include "core/loop.h"
#include <errno.h>

/* A gather passes a request on to many: that is recursion, and stacks are
 * finite. Chains of awaits are followed without. What lies deeper is marked
 * (TASK_IN_CANCEL) and reached from the loop's list of tasks. */
#define DEPTH_MAX 64

/* The request that is being passed down. One at a time: nothing here waits or
 * calls the program, and what a completed future notifies cancels nothing. */
static THREAD_LOCAL struct {
    struct message *message;
    unsigned depth;
    bool deferred;
} pass;

static void request_pending(asyncio_task *task)
{
    task->must_cancel = true;
    asy_message_set(&task->cancel_message, asy_message_ref(pass.message));
}

static void request_delivered(struct wait *wait)
{
    wait->requested = true;
    asy_message_set(&wait->task->future.message, asy_message_ref(pass.message));
}

int asy_cancel_deliver_slow(asyncio_task *task)
{
    task->must_cancel = false;
    struct message *message = task->cancel_message;
    task->cancel_message = NULL;
    asy_message_set(&task->future.message, message);
    return -ECANCELED;
}

/* Does `task` wait, through awaits, for itself? */
bool asy_awaits_itself(const asyncio_task *task)
{
    const asyncio_task *at = task;
    for (size_t left = task->future.loop->task_count; left; left--) {
        const struct wait *wait = at->wait;
        if (!wait || wait->kind != &asy_wait_await || wait->state != WAIT_PENDING)
            return false;
        const asyncio_future *next = wait->object;
        if (next->kind != OBJECT_TASK)
            return false;
        at = (const asyncio_task *)next;
        if (at == task)
            return true;
    }
    return true; /* it leads into a circle */
}

/* Hands the request to one task; returns the task that it is passed on to. */
static asyncio_task *request(asyncio_task *task)
{
    task->cancels++;
    struct wait *wait = task->wait;
    if (!wait || (wait->state == WAIT_GRANTED && wait->value != -ECANCELED)) {
        request_pending(task);
        return NULL;
    }
    if (wait->state == WAIT_GRANTED) {
        wait->requested = true;
        return NULL;
    }
    if (wait->kind != &asy_wait_await) {
        if (wait->kind->cancel ? wait->kind->cancel(wait) : asy_wait_cancelled(wait))
            request_delivered(wait);
        else
            request_pending(task);
        return NULL;
    }
    asyncio_future *awaited = wait->object;
    if (awaited->kind == OBJECT_TASK && !asy_awaits_itself(task)) {
        wait->requested = true;
        return (asyncio_task *)awaited;
    }
    request_delivered(wait);
    if (awaited->kind == OBJECT_TASK) {
        /* Tasks that await each other in a circle wait for ever: end one wait. */
        asy_wait_cancelled(wait);
    } else {
        asy_message_set(&awaited->message, asy_message_ref(pass.message));
        asy_future_complete(awaited, -ECANCELED);
    }
    return NULL;
}

static void request_chain(asyncio_task *task)
{
    while (task)
        task = request(task);
}

void asy_cancel_pass(asyncio_future *future)
{
    if (future->done)
        return;
    if (future->kind != OBJECT_TASK) {
        asy_message_set(&future->message, asy_message_ref(pass.message));
        asy_future_complete(future, -ECANCELED);
        return;
    }
    asyncio_task *task = (asyncio_task *)future;
    if (pass.depth >= DEPTH_MAX) {
        task->flags |= TASK_IN_CANCEL;
        pass.deferred = true;
        return;
    }
    pass.depth++;
    request_chain(task);
    pass.depth--;
}

/* What was too deep, from the top again; as often as it takes. */
static void pass_deferred(asyncio_loop *loop)
{
    while (pass.deferred) {
        pass.deferred = false;
        LIST_EACH(node, &loop->tasks) {
            asyncio_task *task = LIST_ENTRY(node, asyncio_task, all);
            if (!(task->flags & TASK_IN_CANCEL))
                continue;
            task->flags &= (uint8_t)~TASK_IN_CANCEL;
            request_chain(task);
        }
    }
}

/* Takes the message over. */
static void start(asyncio_task *task, struct message *message)
{
    pass.message = message;
    pass.depth = 0;
    pass.deferred = false;
    request_chain(task);
    pass_deferred(task->future.loop);
    asy_message_unref(message);
}

bool asy_task_cancel(asyncio_task *task, const char *message)
{
    if (task->future.done)
        return false;
    start(task, asy_message_new(-ECANCELED, message));
    return true;
}

void asy_cancel_forward(asyncio_task *task, struct wait *wait)
{
    struct message *message = task->cancel_message;
    task->cancel_message = NULL;
    task->must_cancel = false;
    task->wait = wait;
    task->cancels--; /* it was counted when it was made, and is counted again */
    start(task, message);
}
