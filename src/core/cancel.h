/*
 * Cancelling: how a request finds the call that it ends.
 *
 * A request comes from asyncio_cancel, or from a scope: a timeout that expired, a group whose child failed.
 * Each is pending until a wait delivers it; a shield holds back what comes from outside it. Several that are
 * delivered together are one -ECANCELED.
 */
#ifndef ASY_CORE_CANCEL_H
#define ASY_CORE_CANCEL_H

#include "asyncio/scopes.h"
#include "base/compiler.h"
#include "core/task.h"

/* Each wait calls this before it suspends. A pending request is delivered: the task gives way once, as in
 * any wait, and gets -ECANCELED. Without one: 0. */
int asy_cancel_deliver_now(asyncio_task *task);
static inline int asy_cancel_deliver(asyncio_task *task)
{
    return UNLIKELY(task->must_cancel) ? asy_cancel_deliver_now(task) : 0;
}
/* Delivers without giving way, for a wait that has done so. Something must be pending. */
int asy_cancel_take(asyncio_task *task);

/* Does asyncio_cancel's work on a task. `message` may be NULL. */
bool asy_task_cancel(asyncio_task *task, const char *message);
/* A wait's kind passes the request that has just reached it on to another task or future. */
void asy_cancel_pass(asyncio_future *future);

extern const struct wait_kind asy_wait_await;
/* May the task wait for this future? 0, or -EINVAL with the reason as message. (await.c) */
int asy_await_check(const asyncio_task *task, const asyncio_future *future);

/* The running task has a request pending and is about to park in `wait`, which is linked already: passes the
 * request on to what it awaits. */
void asy_cancel_forward(asyncio_task *task, struct wait *wait);

/* A scope requests a cancel of its task, once. */
void asy_scope_request(asyncio_scope *scope);

/* Works out `must_cancel` again: is a request pending that no shield holds back? */
void asy_cancel_update(asyncio_task *task);

/* Takes a pending request back: the scope's, or with NULL asyncio_cancel's. */
void asy_cancel_withdraw(asyncio_task *task, asyncio_scope *scope);

/* Makes requests that arrived inside `left` pending again, even if they were delivered there, because `left`
 * ended with something else: a failure, its own expiry, a value. The task has just left it. */
void asy_cancel_again(asyncio_task *task, const asyncio_scope *left);

/* Did a request arrive while the task was inside `left`, which it has just left: by asyncio_cancel; by a
 * scope around it? Requests that a shield around it holds back do not count. */
bool asy_cancel_from_outside(const asyncio_task *task, const asyncio_scope *left);
bool asy_cancel_from_around(const asyncio_task *task, const asyncio_scope *left);

/* Does the task's chain of awaits lead back to itself, or into a circle of tasks? */
bool asy_cancel_is_circle(const asyncio_task *task);

#endif
