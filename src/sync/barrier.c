/*
 * The barrier.
 *
 *            the last one comes                    reset, abort
 *   FILLING --------------------> DRAINING ---------------------> RESETTING, BROKEN
 *      |                             |
 *      |  reset, abort               |  the last one leaves
 *      '------> RESETTING, BROKEN    '------> FILLING
 *
 * RESETTING, too, ends when the last task leaves; a reset ends BROKEN. While the barrier fills, the tasks
 * inside wait. When it stops filling, each is granted its outcome, and stays on the list until it has run
 * and left: a reset or abort before that still reaches it. Tasks that come in between stand in `blocked_`.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "sync/sync.h"
#include <errno.h>

enum barrier_state { FILLING, DRAINING, RESETTING, BROKEN };

static void leave_barrier(asyncio_barrier *barrier, struct wait *wait);

/* ---- Waits ---------------------------------------------------------------------------- */

static bool cancel_filling(struct wait *wait)
{
    asyncio_barrier *barrier = wait->object;
    ASY_ASSERT_TASK(barrier->count_ > 0, wait->task);
    barrier->count_--;
    return asy_wait_cancelled(wait);
}

/* A task that was granted its outcome never runs again: it leaves here. */
static void revoke_leave(struct wait *wait)
{
    if (!list_is_empty(&wait->waiter.node))
        leave_barrier(wait->object, wait);
}

#define BARRIER_SHAPE                                                                                        \
    {                                                                                                        \
        .kind = SHAPE_BARRIER, .at = {                                                                       \
            offsetof(asyncio_barrier, parties_),                                                             \
            offsetof(asyncio_barrier, count_)                                                                \
        }                                                                                                    \
    }
static const struct wait_kind filling_kind = {
    .name = "barrier",
    .cancel = cancel_filling,
    .revoke = revoke_leave,
    .shape = BARRIER_SHAPE,
};
static const struct wait_kind blocked_kind = {.name = "barrier, until it has drained",
                                              .shape = BARRIER_SHAPE};

/* ---- Phases --------------------------------------------------------------------------- */

/* The number of tasks inside. `count_` is too large if a loop was closed over tasks inside, which do not
 * leave. */
static inline int count_inside(const asyncio_barrier *barrier)
{
    return waiters_any(&barrier->inside_) ? barrier->count_ : 0;
}

static void enter_barrier(asyncio_barrier *barrier, struct wait *wait)
{
    barrier->count_ = count_inside(barrier) + 1;
    wait->kind = &filling_kind;
    waiters_append(&barrier->inside_, wait);
}

/* Gives all tasks inside their outcome: their numbers, or an error. */
static void release_inside(asyncio_barrier *barrier, intptr_t err)
{
    bool are_waiting = barrier->state_ == FILLING;
    intptr_t index = 0;
    LIST_EACH(node, waiters_list(&barrier->inside_)) {
        struct wait *wait = LIST_ENTRY(node, struct wait, waiter.node);
        intptr_t value = err ? err : index++;
        if (are_waiting)
            asy_wait_wake(wait, value);
        else
            wait->value = value;
    }
}

static void begin_draining(asyncio_barrier *barrier)
{
    release_inside(barrier, 0);
    barrier->state_ = DRAINING;
}

static void admit_blocked(asyncio_barrier *barrier)
{
    while (barrier->state_ == FILLING && waiters_any(&barrier->blocked_)) {
        enter_barrier(barrier, waiters_take(&barrier->blocked_));
        if (barrier->count_ == barrier->parties_)
            begin_draining(barrier);
    }
}

static void leave_barrier(asyncio_barrier *barrier, struct wait *wait)
{
    ASY_ASSERT(barrier->count_ > 0);
    list_remove(&wait->waiter.node);
    if (--barrier->count_ > 0 || barrier->state_ == BROKEN)
        return;
    barrier->state_ = FILLING;
    admit_blocked(barrier);
}

/* ---- Calls ------------------------------------------------------------------------------ */

void asyncio_barrier_init(asyncio_barrier *barrier, int parties)
{
    if (barrier)
        *barrier = (asyncio_barrier)ASYNCIO_BARRIER_INIT(parties);
}

enum barrier_place { INSIDE, BLOCKED };

static int wait_at_barrier(asyncio_barrier *barrier, enum barrier_place place)
{
    asyncio_task *task = asy_running_loop->current;
    int result = asy_cancel_deliver(task);
    if (UNLIKELY(result))
        return result;
    struct wait wait;
    asy_wait_init(&wait, task, &blocked_kind, barrier);
    if (place == INSIDE)
        enter_barrier(barrier, &wait);
    else
        waiters_append(&barrier->blocked_, &wait);
    result = (int)asy_wait_park(&wait);
    if (!list_is_empty(&wait.waiter.node))
        leave_barrier(barrier, &wait);
    return result;
}

static int arrive_at_barrier(asyncio_barrier *barrier)
{
    switch ((enum barrier_state)barrier->state_) {
    case FILLING:
        if (count_inside(barrier) + 1 < barrier->parties_)
            return wait_at_barrier(barrier, INSIDE);
        if (barrier->parties_ > 1)
            begin_draining(barrier);
        return barrier->parties_ - 1;
    case DRAINING:
    case RESETTING:
        return wait_at_barrier(barrier, BLOCKED);
    case BROKEN:
        break;
    }
    return ASYNCIO_EBROKEN;
}

static bool is_barrier_at_rest(const asyncio_barrier *barrier)
{
    return !waiters_any(&barrier->inside_) && !waiters_any(&barrier->blocked_);
}

int asyncio_barrier_wait(asyncio_barrier *barrier)
{
    if (UNLIKELY(!barrier))
        return -EINVAL;
    int err = SYNC_ENTER(&barrier->loop_, is_barrier_at_rest(barrier));
    if (UNLIKELY(err))
        return err;
    if (UNLIKELY(barrier->parties_ < 1))
        return (int)asyncio_raise(-EINVAL, "%s: made for %d parties", __func__, barrier->parties_);
    return arrive_at_barrier(barrier);
}

int asyncio_barrier_reset(asyncio_barrier *barrier)
{
    if (UNLIKELY(!barrier))
        return -EINVAL;
    sync_touch(&barrier->loop_, __func__);
    release_inside(barrier, ASYNCIO_EBROKEN);
    barrier->state_ = count_inside(barrier) ? RESETTING : FILLING;
    return 0;
}

int asyncio_barrier_abort(asyncio_barrier *barrier)
{
    if (UNLIKELY(!barrier))
        return -EINVAL;
    sync_touch(&barrier->loop_, __func__);
    release_inside(barrier, ASYNCIO_EBROKEN);
    barrier->state_ = BROKEN;
    waiters_wake_all(&barrier->blocked_, ASYNCIO_EBROKEN);
    return 0;
}

int asyncio_barrier_parties(const asyncio_barrier *barrier)
{
    if (UNLIKELY(!barrier))
        return 0;
    sync_look(barrier->loop_, __func__);
    return barrier->parties_;
}

int asyncio_barrier_n_waiting(const asyncio_barrier *barrier)
{
    if (UNLIKELY(!barrier))
        return 0;
    sync_look(barrier->loop_, __func__);
    return barrier->state_ == FILLING ? count_inside(barrier) : 0;
}

bool asyncio_barrier_broken(const asyncio_barrier *barrier)
{
    if (UNLIKELY(!barrier))
        return false;
    sync_look(barrier->loop_, __func__);
    return barrier->state_ == BROKEN;
}
