/*
 * Waiting for some of several futures, without owning any.
 *
 * Each completion has a number, so the order in which several completed is
 * there to be read, and nothing is registered while nobody waits.
 */
#include "asyncio/waiting.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/task.h"
#include "core/timer.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- Arguments ------------------------------------------------------------------ */

static int check_set(asyncio_future **set, size_t n, const asyncio_task *task)
{
    int err = 0;
    size_t marked = 0;
    for (; marked < n && !err; marked++) {
        asyncio_future *future = set[marked];
        if (!future)
            continue;
        asy_future_check(future, "asyncio_wait");
        if (future->flags & FUTURE_MARKED) {
            err = (int)asyncio_raise(-EINVAL, "asyncio_wait: a task or future is there twice");
            break;
        }
        if (!future->done && (future->loop != task->future.loop || future == &task->future))
            err = (int)asyncio_raise(-EINVAL, "asyncio_wait: another loop's future, or the task itself");
        future->flags |= FUTURE_MARKED;
    }
    while (marked-- > 0)
        if (set[marked])
            set[marked]->flags &= (uint16_t)~FUTURE_MARKED;
    return err;
}

static bool is_done(const asyncio_future *future)
{
    return !future || future->done;
}

static bool has_failed(const asyncio_future *future)
{
    return !future || (future->done && future->result < 0 && future->result != -ECANCELED);
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

static void member_done(struct waiter *waiter, asyncio_future *future)
{
    struct set_wait *wait = LIST_ENTRY(waiter, struct member, waiter)->of;
    wait->pending--;
    if (wait->wait.state == WAIT_PENDING && is_enough(wait, future))
        asy_wait_relay(&wait->wait, 0);
}

static void out_of_time(struct timer *timer)
{
    struct set_wait *wait = LIST_ENTRY(timer, struct set_wait, timer);
    if (wait->wait.state == WAIT_PENDING)
        asy_wait_relay(&wait->wait, 0);
}

static const struct wait_kind set_kind = {.name = "wait"};

static void link_members(struct set_wait *wait)
{
    for (size_t i = 0; i < wait->count; i++) {
        struct member *member = &wait->members[i];
        member->of = wait;
        member->waiter.notify = member_done;
        list_init(&member->waiter.node);
        if (!is_done(wait->set[i]))
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
    wait->timer.fire = out_of_time;
    wait->timer.node.place = 0;
    if (deadline_ns != ASY_NO_DEADLINE)
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

static int64_t deadline_of(asyncio_loop *loop, double timeout)
{
    bool none = isinf(timeout) && timeout > 0;
    return none ? ASY_NO_DEADLINE : asy_deadline_after(asy_loop_now_ns(loop), timeout);
}

/* ---- asyncio_wait ------------------------------------------------------------------- */

/* The running loop's how manieth completion it was. 0, before all of those, for what
 * was done when it came here: NULL, refused, another loop's. */
static uint64_t order_of(const asyncio_future *future)
{
    return future && future->loop == asy_running_loop ? future->order : 0;
}

static int by_order(const void *a, const void *b)
{
    const asyncio_future *x = *(asyncio_future *const *)a, *y = *(asyncio_future *const *)b;
    uint64_t first = order_of(x), second = order_of(y);
    return (first > second) - (first < second);
}

/* The done ones first, by completion, then the others in their order. Needs room for
 * those, or, without memory, time. */
static size_t partition(asyncio_future **set, size_t n)
{
    size_t done = 0;
    asyncio_future **others = asy_slab_alloc(n * sizeof(asyncio_future *));
    size_t left = 0;
    for (size_t i = 0; i < n; i++) {
        asyncio_future *future = set[i];
        if (others && !is_done(future)) {
            others[left++] = future;
        } else if (others) {
            set[done++] = future;
        } else if (is_done(future)) {
            for (size_t j = i; j > done; j--)
                set[j] = set[j - 1];
            set[done++] = future;
        }
    }
    for (size_t i = 0; i < left; i++)
        set[done + i] = others[i];
    if (others)
        asy_slab_free(others, n * sizeof(asyncio_future *));
    qsort(set, done, sizeof *set, by_order);
    return done;
}

static bool holds_already(struct set_wait *wait)
{
    wait->pending = 0;
    for (size_t i = 0; i < wait->count; i++)
        wait->pending += !is_done(wait->set[i]);
    if (wait->pending == 0)
        return true;
    for (size_t i = 0; i < wait->count; i++)
        if (is_done(wait->set[i]) && is_enough(wait, wait->set[i]))
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
    int err = check_set(set, n, task);
    if (err)
        return err;
    struct set_wait wait = {.set = set, .count = n, .when = when};
    if (!holds_already(&wait))
        err = wait_for_set(task, &wait, deadline_of(task->future.loop, timeout));
    return err ? err : (ptrdiff_t)partition(set, n);
}

/* ---- as_completed --------------------------------------------------------------------- */

int asyncio_as_completed_init_futures(asyncio_as_completed *it, asyncio_future **set, size_t n,
                                      double timeout)
{
    asyncio_task *task = asy_current_task();
    if (!task)
        return ASYNCIO_ENOTASK;
    if (!it || (!set && n) || isnan(timeout))
        return -EINVAL;
    int err = check_set(set, n, task);
    if (err)
        return err;
    *it = (asyncio_as_completed){
        .set = set, .count = n, .left = n, .deadline_ns = deadline_of(task->future.loop, timeout)};
    return 0;
}

/* The first one done after the last that was handed out; false if there is none.
 * Those without an order come first, by place. */
static bool next_done(asyncio_as_completed *it, size_t *index)
{
    bool found = false;
    size_t placed = 0;
    uint64_t best = UINT64_MAX;
    for (size_t i = 0; i < it->count; i++) {
        const asyncio_future *future = it->set[i];
        if (!is_done(future))
            continue;
        uint64_t order = order_of(future);
        if (!order && placed++ == it->placed) {
            it->placed++;
            *index = i;
            return true;
        }
        if (order > it->last && order < best) {
            best = order;
            *index = i;
            found = true;
        }
    }
    if (found)
        it->last = best;
    return found;
}

int asyncio_as_completed_next(asyncio_as_completed *it, size_t *index)
{
    asyncio_task *task = asy_current_task();
    if (!task)
        return ASYNCIO_ENOTASK;
    if (!it || !index)
        return -EINVAL;
    if (!it->left)
        return 0;
    if (!next_done(it, index)) {
        struct set_wait wait = {.set = it->set, .count = it->count, .pending = it->left,
                                .when = ASYNCIO_FIRST_COMPLETED};
        int err = wait_for_set(task, &wait, it->deadline_ns);
        if (err)
            return err;
        if (!next_done(it, index))
            return -ETIMEDOUT;
    }
    it->left--;
    return 1;
}
