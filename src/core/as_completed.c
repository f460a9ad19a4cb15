/*
 * as_completed: the futures of a set, one after the other, as they complete.
 *
 * Its steps read a log. The log belongs to the futures of the set, so that nobody has to destroy it.
 */
#include "asyncio/errors.h"
#include "asyncio/waiting.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/task.h"
#include "core/timer.h"
#include "core/waiting.h"
#include "sys/slab.h"
#include <errno.h>
#include <math.h>
#include <stdlib.h>

/* ---- The log of a set -------------------------------------------------------------------
 * The places of a set in the order in which their futures completed. Each future has an entry on its list,
 * before it completes and after. The log is freed when it is closed, or with the last of the futures. */

struct entry {
    struct waiter waiter;
    struct log *log;
    uint64_t order; /* once the future is done: its own */
};

struct log {
    const asyncio_as_completed *of;
    size_t count, done;
    size_t attached;          /* entries whose futures are alive */
    struct list readers;      /* of struct wait: tasks that have read it to its end */
    struct entry **completed; /* `done` of them */
    struct entry entries[];   /* by place */
};

static size_t log_bytes(size_t count)
{
    return sizeof(struct log) + count * (sizeof(struct entry) + sizeof(struct entry *));
}

static void wake_log_reader(struct log *log)
{
    struct list *first = list_take_first(&log->readers);
    if (first)
        asy_wait_relay(LIST_ENTRY(first, struct wait, waiter.node), 0);
}

static void detach_entry(struct log *log)
{
    ASY_ASSERT(log->attached > 0);
    if (--log->attached == 0)
        asy_slab_free(log, log_bytes(log->count));
}

static void close_log(struct log *log)
{
    while (!list_is_empty(&log->readers))
        wake_log_reader(log);
    log->attached++; /* holds the log until all entries are off */
    for (size_t i = 0; i < log->count; i++) {
        struct list *node = &log->entries[i].waiter.node;
        if (list_is_empty(node))
            continue;
        list_remove(node);
        detach_entry(log);
    }
    detach_entry(log);
}

static void note_completion(struct entry *entry, const asyncio_future *future)
{
    struct log *log = entry->log;
    ASY_ASSERT(log->done < log->count);
    entry->order = future->order;
    log->completed[log->done++] = entry;
}

static void notify_log(struct waiter *waiter, asyncio_future *future)
{
    struct entry *entry = LIST_ENTRY(waiter, struct entry, waiter);
    if (!future) { /* the future is freed */
        detach_entry(entry->log);
        return;
    }
    list_append(&future->waiters, &waiter->node);
    note_completion(entry, future);
    wake_log_reader(entry->log);
}

/* A future that was done when it came to this loop has no completion number: it comes first, by its place in
 * the set, and needs no log. */
static bool comes_first(const asyncio_future *future)
{
    return set_is_done(future) && !asy_set_order(future);
}

static int compare_entries(const void *a, const void *b)
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
        *entry = (struct entry){.waiter.notify = notify_log, .log = log};
        list_init(&entry->waiter.node);
        if (comes_first(future))
            continue;
        list_append(&future->waiters, &entry->waiter.node);
        log->attached++;
        if (future->is_done)
            note_completion(entry, future);
    }
    qsort(log->completed, log->done, sizeof(struct entry *), compare_entries);
    return log;
}

/* An earlier iterator at the same address may have been left before its end. Futures that were in its set,
 * too, lead to its log. */
static void close_earlier_log(const asyncio_as_completed *it, asyncio_future **set, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (comes_first(set[i]) || list_is_empty(&set[i]->waiters))
            continue;
        struct waiter *last = LIST_ENTRY(set[i]->waiters.prev, struct waiter, node);
        if (last->notify == notify_log && LIST_ENTRY(last, struct entry, waiter)->log->of == it)
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
    int err = asy_set_check(set, n, task);
    if (err)
        return err;
    close_earlier_log(it, set, n);
    *it = (asyncio_as_completed){.set = set,
                                 .count = n,
                                 .left = n,
                                 .deadline_ns =
                                     asy_deadline_after(asy_loop_now_ns(task->future.loop), timeout)};
    return 0;
}

/* The place of the next one that is done; false: there is none yet. */
static bool find_next_done(asyncio_as_completed *it, size_t *index)
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

static const struct wait_kind log_kind = {
    .name = "as_completed",
    .shape = {.kind = SHAPE_FUTURES,
              .deadline = SHAPE_DEADLINE(struct log_wait),
              .at = {offsetof(asyncio_as_completed, set), offsetof(asyncio_as_completed, count),
                     sizeof(asyncio_future *)}}};

static void expire_reader(struct timer *timer)
{
    struct wait *wait = &LIST_ENTRY(timer, struct log_wait, timer)->wait;
    if (wait->state != WAIT_PENDING)
        return;
    list_remove(&wait->waiter.node);
    asy_wait_relay(wait, -ETIMEDOUT);
}

/* Suspends until one more is done. 0, -ETIMEDOUT, -ECANCELED, -ENOMEM. */
static int wait_for_log(asyncio_task *task, asyncio_as_completed *it)
{
    asyncio_loop *loop = task->future.loop;
    struct log *log = it->log;
    int err = asy_cancel_deliver(task);
    if (err)
        return err;
    struct log_wait wait = {.timer.fire = expire_reader};
    asy_wait_init(&wait.wait, task, &log_kind, it);
    if ((err = asy_timer_start(loop, &wait.timer, it->deadline_ns)))
        return err;
    list_append(&log->readers, &wait.wait.waiter.node);
    err = (int)asy_wait_park(&wait.wait);
    asy_timer_stop(loop, &wait.timer);
    return err;
}

/* Suspends until `index` is known. Several tasks may read one log, so that a reader may be woken in vain. */
static int wait_for_next(asyncio_task *task, asyncio_as_completed *it, size_t *index)
{
    if (!it->log && !(it->log = open_log(it)))
        return -ENOMEM;
    int err = 0;
    while (it->left && !find_next_done(it, index)) {
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
    int err = it->left && !find_next_done(it, &found) ? wait_for_next(task, it, &found) : 0;
    if (err || !it->left)
        return err;
    *index = found;
    if (--it->left == 0 && it->log)
        close_log(it->log);
    return 1;
}
