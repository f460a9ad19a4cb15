/*
 * The lock from within: what a condition needs of it.
 */
#ifndef ASY_SYNC_LOCK_H
#define ASY_SYNC_LOCK_H

#include "sync/sync.h"

/* A lock is held by one task, known by its number: an owner that has ended is
 * no longer there. A free lock has no waiters. */

/* Hands it to the first of those who wait, or frees it. */
void asy_lock_pass(asyncio_lock *lock);

/* A task that waits already waits for the lock from here on; it wakes holding it, with
 * the value that its wait has then. */
void asy_lock_queue(asyncio_lock *lock, struct wait *wait);

/* For reports: who has the lock that this wait is for. */
void asy_lock_describe(const struct wait *wait, const asyncio_lock *lock, char *text, size_t bytes);

#endif
