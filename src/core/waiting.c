/*
 * Waiting for some of several futures, without owning any.
 *
 * Each completion has a number, so the order in which several completed is
 * there to be read. An asyncio_wait registers while it waits. Steps of as_completed read a log, which belongs
 * to the futures that it is about: nobody has to destroy it.
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
        if (!future->is_done && (future->loop != task->future.loop || future == &task->future))
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
    return !future || future->is_done;
}

static bool has_failed(const asyncio_future *future)
{
    return !future || (future->is_done && future->result < 0 && future->result != -ECANCELED);
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

/* ---- The log of a set -------------------------------------------------------------------
 * What stands in a set, in the order in which it completed. Each future has an entry on its list, before it
 * completes and after; the log is freed with the last of those, if it is not closed before. */

struct entry {
    struct waiter waiter;
    struct log *log;
    uint64_t order; /* once the future is done: its own */
};

struct log {
    const asyncio_as_completed *of;
    size_t count, done;
    size_t attached;          /* entries whose futures are alive */
    struct list readers;      /* of struct wait: those who have come to its end */
    struct entry **completed; /* `done` of them */
    struct entry entries[];   /* by place */
};

static size_t log_bytes(size_t count)
{
    return sizeof(struct log) + count * (sizeof(struct entry) + sizeof(struct entry *));
}

static void wake_reader(struct log *log)
{
    struct list *first = list_take_first(&log->readers);
    if (first)
        asy_wait_relay(LIST_ENTRY(first, struct wait, waiter.node), 0);
}

static void let_log_go(struct log *log)
{
    if (--log->attached == 0)
        asy_slab_free(log, log_bytes(log->count));
}

static void close_log(struct log *log)
{
    while (!list_is_empty(&log->readers))
        wake_reader(log);
    log->attached++; /* until all are off */
    for (size_t i = 0; i < log->count; i++) {
        struct list *node = &log->entries[i].waiter.node;
        if (list_is_empty(node))
            continue;
        list_remove(node);
        let_log_go(log);
    }
    let_log_go(log);
}

static void note_completion(struct entry *entry, const asyncio_future *future)
{
    struct log *log = entry->log;
    entry->order = future->order;
    log->completed[log->done++] = entry;
}

static void entry_told(struct waiter *waiter, asyncio_future *future)
{
    struct entry *entry = LIST_ENTRY(waiter, struct entry, waiter);
    if (!future) { /* it is freed */
        let_log_go(entry->log);
        return;
    }
    list_append(&future->waiters, &waiter->node);
    note_completion(entry, future);
    wake_reader(entry->log);
}

/* What was done when it came to this loop has no number: it comes first, by place, and needs no log. */
static bool comes_first(const asyncio_future *future)
{
    return is_done(future) && !order_of(future);
}

static int by_entry(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return (x->order > y->order) - (x->order < y->order);
}

static struct log *open_log(const asyncio_as_completed *it)
{
    struct log *log = asy_slab_alloc(log_bytes(it->count));
    if (!log)
        return NULL;
    *log = (struct log){.of = it, .count = it->count};
    list_init(&log->readers);
    log->completed = (struct entry **)(void *)&log->entries[it->count];
    for (size_t i = 0; i < it->count; i++) {
        struct entry *entry = &log->entries[i];
        asyncio_future *future = it->set[i];
        *entry = (struct entry){.waiter.notify = entry_told, .log = log};
        list_init(&entry->waiter.node);
        if (comes_first(future))
            continue;
        list_append(&future->waiters, &entry->waiter.node);
        log->attached++;
        if (future->is_done)
            note_completion(entry, future);
    }
    qsort(log->completed, log->done, sizeof(struct entry *), by_entry);
    return log;
}

/* An iterator in the same place was left early: the set's futures, where they are the same, know its log. */
static void close_earlier_log(const asyncio_as_completed *it, asyncio_future **set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (comes_first(set[i]) || list_is_empty(&set[i]->waiters))
            continue;
        struct waiter *last = LIST_ENTRY(set[i]->waiters.prev, struct waiter, node);
        if (last->notify == entry_told && LIST_ENTRY(last, struct entry, waiter)->log->of == it)
            close_log(LIST_ENTRY(last, struct entry, waiter)->log);
    }
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
    close_earlier_log(it, set, n);
    *it = (asyncio_as_completed){
        .set = set, .count = n, .left = n, .deadline_ns = deadline_of(task->future.loop, timeout)};
    return 0;
}

/* False: nothing more is done. */
static bool next_done(asyncio_as_completed *it, size_t *index)
{
    while (it->placed < it->count) {
        *index = it->placed++;
        if (comes_first(it->set[*index]))
            return true;
    }
    struct log *log = it->log;
    if (!log || it->logged == log->done)
        return false;
    *index = (size_t)(log->completed[it->logged++] - log->entries);
    return true;
}

struct log_wait {
    struct wait wait;
    struct timer timer;
};

static const struct wait_kind log_kind = {.name = "as_completed"};

static void reader_is_late(struct timer *timer)
{
    struct wait *wait = &LIST_ENTRY(timer, struct log_wait, timer)->wait;
    if (wait->state != WAIT_PENDING)
        return;
    list_remove(&wait->waiter.node);
    asy_wait_relay(wait, -ETIMEDOUT);
}

/* Suspends until one more is done. 0, -ETIMEDOUT, -ECANCELED, -ENOMEM. */
static int wait_for_log(asyncio_task *task, const asyncio_as_completed *it)
{
    asyncio_loop *loop = task->future.loop;
    struct log *log = it->log;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct log_wait wait = {.timer.fire = reader_is_late};
    asy_wait_init(&wait.wait, task, &log_kind, log);
    if (it->deadline_ns != ASY_NO_DEADLINE)
        err = asy_timer_start(loop, &wait.timer, it->deadline_ns);
    if (err)
        return err;
    list_append(&log->readers, &wait.wait.waiter.node);
    err = (int)asy_wait_park(&wait.wait);
    asy_timer_stop(loop, &wait.timer);
    return err;
}

/* Others may read the same: it may be woken in vain. */
static int wait_for_next(asyncio_task *task, asyncio_as_completed *it, size_t *index)
{
    if (!it->log && !(it->log = open_log(it)))
        return -ENOMEM;
    int err = 0;
    while (it->left && !next_done(it, index)) {
        if (err)
            return err;
        err = wait_for_log(task, it);
        if (err && err != -ETIMEDOUT)
            return err;
    }
    return 0;
}

int asyncio_as_completed_next(asyncio_as_completed *it, size_t *index)
{
    asyncio_task *task = asy_current_task();
    if (!task)
        return ASYNCIO_ENOTASK;
    if (!it || !index)
        return -EINVAL;
    size_t found;
    int err = it->left && !next_done(it, &found) ? wait_for_next(task, it, &found) : 0;
    if (err || !it->left)
        return err;
    *index = found;
    if (--it->left == 0 && it->log)
        close_log(it->log);
    return 1;
}
