/*
 * The lock from within: the part that a condition needs.
 */
#ifndef ASY_SYNC_LOCK_H
#define ASY_SYNC_LOCK_H

#include "sync/sync.h"

/* A lock is held by one task, and knows it by its number, since a task may end with the lock held. A free
 * lock has no waiters. */

/* Hands the lock to the first waiting task, or frees it. */
void asy_lock_pass(asyncio_lock *lock);

/* From here on a task that waits already waits for the lock. It wakes with the lock, and returns the value
 * that its wait has then. */
void asy_lock_queue(asyncio_lock *lock, struct wait *wait);

/* For reports: names the task that holds the lock of this wait. */
void asy_lock_describe(const struct wait *wait, const asyncio_lock *lock, char *text, size_t bytes);

#endif
