/*
 * asyncio_wait: waits for some of several futures, and owns none.
 *
 * Each completion has a number, so that the order in which several completed is there to be read afterwards.
 */
#include "core/waiting.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/waiting.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/task.h"
#include "core/timer.h"
#include "sys/slab.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Sets ------------------------------------------------------------------------ */

/* Why the task cannot wait for this one; 0 if it can. */
static int check_member(const asyncio_future *future, const asyncio_task *task)
{
    asy_future_check(future, "asyncio_wait");
    if (future->flags & FUTURE_MARKED)
        return (int)asyncio_raise(-EINVAL, "asyncio_wait: a task or future is there twice");
    if (!future->is_done && (future->loop != task->future.loop || future == &task->future))
        return (int)asyncio_raise(-EINVAL, "asyncio_wait: another loop's future, or the task itself");
    return 0;
}

int asy_set_check(asyncio_future **set, size_t n, const asyncio_task *task)
{
    int err = 0;
    size_t marked = 0;
    for (; marked < n; marked++) {
        asyncio_future *future = set[marked];
        if (!future)
            continue;
        if ((err = check_member(future, task)))
            break;
        future->flags |= FUTURE_MARKED;
    }
    while (marked-- > 0)
        if (set[marked])
            set[marked]->flags &= (uint16_t)~FUTURE_MARKED;
    return err;
}

uint64_t asy_set_order(const asyncio_future *future)
{
    return future && future->loop == asy_running_loop ? future->order : 0;
}

static bool has_failed(const asyncio_future *future)
{
    return !future || (future->is_done && asy_is_failure(future->result));
}

/* ---- Waiting ---------------------------------------------------------------------- */

struct set_wait;

struct member {
    struct waiter waiter;
    struct set_wait *of;
};

struct set_wait {
    struct wait wait;
    struct timer timer;
    struct member *members;
    asyncio_future **set;
    size_t count, pending;
    asyncio_return_when when;
};

static bool is_enough(const struct set_wait *wait, const asyncio_future *done)
{
    return wait->pending == 0 || wait->when == ASYNCIO_FIRST_COMPLETED ||
           (wait->when == ASYNCIO_FIRST_ERROR && has_failed(done));
}

static void notify_set(struct waiter *waiter, asyncio_future *future)
{
    struct set_wait *wait = LIST_ENTRY(waiter, struct member, waiter)->of;
    ASY_ASSERT_TASK(wait->pending > 0, wait->wait.task);
    wait->pending--;
    if (wait->wait.state == WAIT_PENDING && is_enough(wait, future))
        asy_wait_relay(&wait->wait, 0);
}

static void expire_set_wait(struct timer *timer)
{
    struct set_wait *wait = LIST_ENTRY(timer, struct set_wait, timer);
    if (wait->wait.state == WAIT_PENDING)
        asy_wait_relay(&wait->wait, 0);
}

static const struct wait_kind set_kind = {
    .name = "wait",
    .shape = {
        .kind = SHAPE_FUTURES,
        .deadline = SHAPE_DEADLINE(struct set_wait),
        .at = {offsetof(struct set_wait, set), offsetof(struct set_wait, count), sizeof(asyncio_future *)}}};

static void link_members(struct set_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++) {
        struct member *member = &wait->members[i];
        member->of = wait;
        member->waiter.notify = notify_set;
        list_init(&member->waiter.node);
        if (!set_is_done(wait->set[i]))
            list_append(&wait->set[i]->waiters, &member->waiter.node);
    }
}

static void unlink_members(struct set_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++)
        list_remove(&wait->members[i].waiter.node);
}

/* Suspends until enough of the set is done, or the deadline. 0, -ECANCELED, -ENOMEM. */
static int wait_for_set(asyncio_task *task, struct set_wait *wait, int64_t deadline_ns)
{
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    size_t bytes = wait->count * sizeof *wait->members;
    wait->members = asy_slab_alloc(bytes);
    if (!wait->members)
        return -ENOMEM;
    asyncio_loop *loop = task->future.loop;
    asy_wait_init(&wait->wait, task, &set_kind, wait);
    wait->timer.fire = expire_set_wait;
    wait->timer.node.place = 0;
    err = asy_timer_start(loop, &wait->timer, deadline_ns);
    if (!err) {
        link_members(wait);
        err = (int)asy_wait_park(&wait->wait);
        unlink_members(wait);
        asy_timer_stop(loop, &wait->timer);
    }
    asy_slab_free(wait->members, bytes);
    return err;
}

/* ---- asyncio_wait ------------------------------------------------------------------- */

static int compare_orders(const void *a, const void *b)
{
    uint64_t first = asy_set_order(*(asyncio_future *const *)a);
    uint64_t second = asy_set_order(*(asyncio_future *const *)b);
    return (first > second) - (first < second);
}

/* Sorts the set: those that are done first, by completion, then the others in their order. `others` has room
 * for those. Returns how many are done. */
static size_t partition_set(asyncio_future **set, size_t n, asyncio_future **others)
{
    size_t done = 0, left = 0;
    for (size_t i = 0; i < n; i++) {
        asyncio_future *future = set[i];
        if (set_is_done(future))
            set[done++] = future;
        else
            others[left++] = future;
    }
    memcpy(set + done, others, left * sizeof *others);
    qsort(set, done, sizeof *set, compare_orders);
    return done;
}

static bool holds_already(struct set_wait *wait)
{
    wait->pending = 0;
    for (size_t i = 0; i < wait->count; i++)
        wait->pending += !set_is_done(wait->set[i]);
    if (wait->pending == 0)
        return true;
    for (size_t i = 0; i < wait->count; i++)
        if (set_is_done(wait->set[i]) && is_enough(wait, wait->set[i]))
            return true;
    return false;
}

ptrdiff_t asyncio_wait_futures(asyncio_future **set, size_t n, double timeout, asyncio_return_when when)
{
    asyncio_task *task = asy_current_task();
    if (!task)
        return ASYNCIO_ENOTASK;
    if (!set || !n || isnan(timeout) || when > ASYNCIO_ALL_COMPLETED)
        return -EINVAL;
    int err = asy_set_check(set, n, task);
    if (err)
        return err;
    /* Taken before the wait: what follows it cannot fail. */
    asyncio_future **others = asy_slab_alloc(n * sizeof(asyncio_future *));
    if (!others)
        return -ENOMEM;
    asyncio_loop *loop = task->future.loop;
    struct set_wait wait = {.set = set, .count = n, .when = when};
    if (!holds_already(&wait))
        err = wait_for_set(task, &wait, asy_deadline_after(asy_loop_now_ns(loop), timeout));
    ptrdiff_t result = err ? err : (ptrdiff_t)partition_set(set, n, others);
    asy_slab_free(others, n * sizeof(asyncio_future *));
    return result;
}
