/*
 * Cancelling: how a request finds the call that it ends.
 */
#ifndef ASY_CORE_CANCEL_H
#define ASY_CORE_CANCEL_H

#include "core/task.h"

extern const struct wait_kind asy_wait_await;

/* The running task is about to wait and has a request pending: passes it on to
 * what it is about to await. The wait is linked already. */
void asy_cancel_forward(asyncio_task *task, struct wait *wait);

/* Does the task wait, through awaits, for itself? */
bool asy_awaits_itself(const asyncio_task *task);

#endif
