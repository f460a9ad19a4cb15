/*
 * The condition. A task that waits goes through two queues:
 *
 *                 notify                        the lock is passed on
 *   waiting  ----------------->  returning  ---------------------------->  granted
 *   (on the condition)           (on the lock)                             (holds the lock)
 *            ----------------->
 *             a request to cancel
 *
 * The wait's kind tells the queue, and its value what the call will return: 0 once notified, -ECANCELED once
 * a request has reached it. The task never wakes without the lock, so neither a notify nor a cancel costs a
 * switch of its own.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "sync/lock.h"
#include <errno.h>

static inline asyncio_lock *lock_of(asyncio_condition *condition)
{
    return condition->lock_ ? condition->lock_ : &condition->own_;
}

/* ---- Returning -------------------------------------------------------------------- */

static void notify_first(asyncio_condition *condition);

/* A request comes to a task that was notified and has no lock yet: the notify goes to the next one. One that
 * was cancelled before has no notify. */
static bool cancel_returning(struct wait *wait)
{
    if (wait->value == 0) {
        wait->value = -ECANCELED;
        notify_first(wait->object);
    }
    return true;
}

/* The task was given the lock, whether cancelled or not, and never runs again. */
static void revoke_returning(struct wait *wait)
{
    asy_lock_pass(lock_of(wait->object));
}

static void describe_lock(const struct wait *wait, char *text, size_t bytes)
{
    asy_lock_describe(wait, lock_of(wait->object), text, bytes);
}

static const struct wait_kind returning_kind = {
    .name = "condition, for the lock",
    .cancel = cancel_returning,
    .revoke = revoke_returning,
    .describe = describe_lock,
    .shape = {.kind = SHAPE_LOCK_OF,
              .at = {offsetof(asyncio_condition, lock_), offsetof(asyncio_condition, own_),
                     offsetof(asyncio_lock, owner_)}},
};

/* ---- Waiting ---------------------------------------------------------------------- */

static void begin_return(struct wait *wait, intptr_t value)
{
    ASY_ASSERT_TASK(list_is_empty(&wait->waiter.node), wait->task);
    wait->kind = &returning_kind;
    wait->value = value;
    asy_lock_queue(lock_of(wait->object), wait);
}

static bool cancel_waiting(struct wait *wait)
{
    list_remove(&wait->waiter.node);
    begin_return(wait, -ECANCELED);
    return true;
}

static const struct wait_kind waiting_kind = {
    .name = "condition", .cancel = cancel_waiting, .shape.kind = SHAPE_OBJECT};

static void notify_first(asyncio_condition *condition)
{
    if (waiters_any(&condition->waiters_))
        begin_return(waiters_take(&condition->waiters_), 0);
}

/* ---- Calls -------------------------------------------------------------------------- */

void asyncio_condition_init(asyncio_condition *condition, asyncio_lock *lock)
{
    if (condition)
        *condition = (asyncio_condition)ASYNCIO_CONDITION_INIT(lock);
}

int asyncio_condition_acquire(asyncio_condition *condition)
{
    return condition ? asyncio_lock_acquire(lock_of(condition)) : -EINVAL;
}

int asyncio_condition_release(asyncio_condition *condition)
{
    return condition ? asyncio_lock_release(lock_of(condition)) : -EINVAL;
}

bool asyncio_condition_locked(const asyncio_condition *condition)
{
    return condition && asyncio_lock_locked(condition->lock_ ? condition->lock_ : &condition->own_);
}

static int check_lock(asyncio_lock *lock, const char *call)
{
    if (!lock->owner_)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the lock is not held", call);
    return sync_is_here(lock->loop_) ? 0 : asy_sync_bind(&lock->loop_, /* is_at_rest= */ false, call);
}

/* Releases the lock only when there is no request to deliver: an error before the wait leaves it held. */
static int wait_on_condition(asyncio_condition *condition)
{
    asyncio_task *task = asy_running_loop->current;
    int err = asy_cancel_deliver(task);
    if (UNLIKELY(err))
        return err;
    struct wait wait;
    asy_wait_init(&wait, task, &waiting_kind, condition);
    waiters_append(&condition->waiters_, &wait);
    asy_lock_pass(lock_of(condition));
    return (int)asy_wait_park(&wait);
}

int asyncio_condition_wait(asyncio_condition *condition)
{
    if (!condition)
        return -EINVAL;
    int err = SYNC_ENTER(&condition->loop_, !waiters_any(&condition->waiters_));
    if (!err)
        err = check_lock(lock_of(condition), __func__);
    return err ? err : wait_on_condition(condition);
}

int asyncio_condition_wait_for(asyncio_condition *condition, bool (*predicate)(void *arg), void *arg)
{
    if (!condition || !predicate)
        return -EINVAL;
    int err = SYNC_ENTER(&condition->loop_, !waiters_any(&condition->waiters_));
    if (!err)
        err = check_lock(lock_of(condition), __func__);
    while (!err && !predicate(arg))
        err = wait_on_condition(condition);
    return err;
}

static int notify_waiters(asyncio_condition *condition, size_t n, const char *call)
{
    if (!condition)
        return -EINVAL;
    sync_touch(&condition->loop_, call);
    if (!lock_of(condition)->owner_)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the lock is not held", call);
    for (; n && waiters_any(&condition->waiters_); n--)
        notify_first(condition);
    return 0;
}

int asyncio_condition_notify(asyncio_condition *condition, size_t n)
{
    return notify_waiters(condition, n, __func__);
}

int asyncio_condition_notify_all(asyncio_condition *condition)
{
    return notify_waiters(condition, SIZE_MAX, __func__);
}
