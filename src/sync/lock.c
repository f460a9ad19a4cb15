/*
 * The lock. A release hands it over at once: it is never free while a task waits, so nobody can barge in,
 * and no wake-up is lost to a cancel.
 */
#include "sync/lock.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include <errno.h>
#include <stdio.h>

static void grant_lock(asyncio_lock *lock, struct wait *wait)
{
    lock->owner_ = wait->task->id;
    asy_wait_wake(wait, wait->value);
}

void asy_lock_pass(asyncio_lock *lock)
{
    struct wait *wait = UNLIKELY(waiters_any(&lock->waiters_)) ? waiters_claim(&lock->waiters_) : NULL;
    if (UNLIKELY(wait != NULL))
        grant_lock(lock, wait);
    else
        lock->owner_ = 0;
}

void asy_lock_queue(asyncio_lock *lock, struct wait *wait)
{
    ASY_ASSERT_TASK(lock->owner_ || !waiters_any(&lock->waiters_), wait->task);
    if (lock->owner_)
        waiters_append(&lock->waiters_, wait);
    else
        grant_lock(lock, wait);
}

void asy_lock_describe(const struct wait *wait, const asyncio_lock *lock, char *text, size_t bytes)
{
    LIST_EACH(node, &wait->task->future.loop->tasks) {
        asyncio_task *task = LIST_ENTRY(node, asyncio_task, all);
        if (task->id == lock->owner_) {
            snprintf(text, bytes, ", held by task '%s'", asyncio_task_name(task));
            return;
        }
    }
    snprintf(text, bytes, ", held by Task-%llu, which has ended", (unsigned long long)lock->owner_);
}

static void describe_owner(const struct wait *wait, char *text, size_t bytes)
{
    asy_lock_describe(wait, wait->object, text, bytes);
}

/* The task never runs again: the lock that it was given goes to the next one. */
static void revoke_lock(struct wait *wait)
{
    if (wait->value == 0)
        asy_lock_pass(wait->object);
}

static const struct wait_kind lock_kind = {
    .name = "lock",
    .revoke = revoke_lock,
    .describe = describe_owner,
    .shape = {.kind = SHAPE_LOCK, .at = {offsetof(asyncio_lock, owner_)}},
};

void asyncio_lock_init(asyncio_lock *lock)
{
    if (lock)
        *lock = (asyncio_lock)ASYNCIO_LOCK_INIT;
}

int asyncio_lock_acquire(asyncio_lock *lock)
{
    if (UNLIKELY(!lock))
        return -EINVAL;
    int err = SYNC_ENTER(&lock->loop_, !lock->owner_);
    if (UNLIKELY(err))
        return err;
    if (UNLIKELY(lock->owner_))
        return (int)asy_sync_wait(&lock->waiters_, &lock_kind, lock);
    lock->owner_ = asy_running_loop->current->id;
    return 0;
}

int asyncio_lock_release(asyncio_lock *lock)
{
    if (UNLIKELY(!lock))
        return -EINVAL;
    sync_touch(&lock->loop_, __func__);
    if (UNLIKELY(!lock->owner_))
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the lock is not held", __func__);
    asy_lock_pass(lock);
    return 0;
}

/* ---- The case of a select ------------------------------------------------------------ */

static const char *refuse_lock(asyncio_case *one, int *err)
{
    asyncio_lock *lock = one->object_;
    *err = -EINVAL;
    return lock ? asy_sync_case_bind(&lock->loop_, !lock->owner_, err) : "the lock is NULL";
}

static bool try_lock_case(asyncio_case *one)
{
    asyncio_lock *lock = one->object_;
    one->result = 0;
    if (lock->owner_)
        return false;
    lock->owner_ = asy_running_loop->current->id;
    return true;
}

static int enlist_lock_case(asyncio_case *one)
{
    asyncio_lock *lock = one->object_;
    asy_case_enlist(one, waiters_list(&lock->waiters_), &lock_kind);
    return 0;
}

const struct case_kind asy_case_lock = {.name = "lock",
                                        .refuse = refuse_lock,
                                        .try_now = try_lock_case,
                                        .enlist = enlist_lock_case,
                                        .alone = &lock_kind};

bool asyncio_lock_locked(const asyncio_lock *lock)
{
    if (UNLIKELY(!lock))
        return false;
    sync_look(lock->loop_, __func__);
    return lock->owner_ != 0;
}
