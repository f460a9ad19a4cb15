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
#include "core/task.h"

enum scope_kind { SCOPE_TIMEOUT, SCOPE_GROUP, SCOPE_SHIELD };

extern const struct wait_kind asy_wait_await;

/* The running task is about to wait and has a request pending: passes it on to
 * what it is about to await. The wait is linked already. */
void asy_cancel_forward(asyncio_task *task, struct wait *wait);

/* A scope requests a cancel of its task, once. */
void asy_scope_request(asyncio_scope *scope);

/* Sets must_cancel anew: is there a request that no shield holds back? */
void asy_cancel_look_again(asyncio_task *task);

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

/* Enters a scope of the running task. 0, -EINVAL for NULL, ASYNCIO_ENOTASK. */
int asy_scope_enter(asyncio_scope *scope, enum scope_kind kind);
/* Is it the innermost of the running task? 0; ASYNCIO_ESTATE, -EINVAL. */
int asy_scope_check(const asyncio_scope *scope);
/* Leaves it, and withdraws its request. */
void asy_scope_exit(asyncio_scope *scope);

/* Does the task wait, through awaits, for itself? */
bool asy_awaits_itself(const asyncio_task *task);

#endif
