/*
 * Cancelling: how a request finds the call that it ends.
 *
 * A request comes from asyncio_cancel, or from a scope: a timeout that expired,
 * a group whose child failed. Each is pending until a wait delivers it; a shield
 * holds back what comes from outside it. Several that are delivered together
 * are one -ECANCELED.
 */
#ifndef ASY_CORE_CANCEL_H
#define ASY_CORE_CANCEL_H

#include "asyncio/scopes.h"
#include "base/compiler.h"
#include "core/task.h"

/* Delivers a pending request, if any: gives way once, as any wait does, and
 * returns -ECANCELED; else 0. Called by each wait before it suspends. */
int asy_cancel_deliver_now(asyncio_task *task);
static inline int asy_cancel_deliver(asyncio_task *task)
{
    return UNLIKELY(task->must_cancel) ? asy_cancel_deliver_now(task) : 0;
}
/* The same without giving way: for a wait that has done so. */
int asy_cancel_take(asyncio_task *task);

/* asyncio_cancel on a task, with an optional message. */
bool asy_task_cancel(asyncio_task *task, const char *message);
/* Passes the request on the current path on to another task or future. For wait kinds. */
void asy_cancel_pass(asyncio_future *future);

extern const struct wait_kind asy_wait_await;
/* May the task wait for this future? 0, or -EINVAL with the reason as message. (await.c) */
int asy_await_check(const asyncio_task *task, const asyncio_future *future);

/* The running task is about to wait and has a request pending: passes it on to
 * what it is about to await. The wait is linked already. */
void asy_cancel_forward(asyncio_task *task, struct wait *wait);

/* A scope requests a cancel of its task, once. */
void asy_scope_request(asyncio_scope *scope);

/* Sets must_cancel anew: is there a request that no shield holds back? */
void asy_cancel_update(asyncio_task *task);

/* Takes an undelivered request back: a scope's, or asyncio_cancel's (NULL). */
void asy_cancel_withdraw(asyncio_task *task, asyncio_scope *scope);

/* What was requested from outside while `left`, which has just been left, was
 * entered: is to be delivered, also if it was already, at the next wait.
 * Something else came first: a failure, a timeout's own expiry, a value. */
void asy_cancel_again(asyncio_task *task, const asyncio_scope *left);

/* While `left`, which has just been left, was entered: was asyncio_cancel called; did a scope around
 * it make a request? What a shield around it holds back does not count. */
bool asy_cancel_from_outside(const asyncio_task *task, const asyncio_scope *left);
bool asy_cancel_from_around(const asyncio_task *task, const asyncio_scope *left);

/* Does the task wait, through awaits, for itself, or for tasks that wait for each other? */
bool asy_cancel_is_circle(const asyncio_task *task);

#endif
