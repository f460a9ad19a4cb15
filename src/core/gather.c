/*
 * Gather: several awaitables side by side, and all their outcomes.
 *
 *   running    waits for all children; the first error ends this, unless it is to settle
 *   cancelled  has passed a request on to all children; waits for all
 *   failed     has cancelled the rest; waits for all; a request stays pending
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include "sys/slab.h"
#include <errno.h>
#include <limits.h>

struct gather;

struct gather_child {
    struct waiter waiter;
    struct gather *gather;
    asyncio_future *future; /* NULL: a child that could not be made */
    bool is_repeated;       /* it stands in an earlier place, too, and is cancelled from there */
};

struct gather {
    struct wait wait;
    struct gather_child *children;
    size_t count, pending;
    bool is_settled;
    intptr_t error;         /* of the first child that failed */
    asyncio_future *failed; /* that child, for its message */
};

static intptr_t child_outcome(const struct gather_child *child)
{
    return child->future ? child->future->result : -ENOMEM;
}

static void note_child_error(struct gather *gather, const struct gather_child *child)
{
    if (gather->error || child_outcome(child) >= 0)
        return;
    gather->error = child_outcome(child);
    gather->failed = child->future;
}

static void notify_gather(struct waiter *waiter, asyncio_future *future)
{
    struct gather_child *child = LIST_ENTRY(waiter, struct gather_child, waiter);
    struct gather *gather = child->gather;
    (void)future;
    ASY_ASSERT_TASK(gather->pending > 0, gather->wait.task);
    gather->pending--;
    note_child_error(gather, child);
    bool fails = gather->error && !gather->is_settled && !gather->wait.is_requested;
    if ((gather->pending == 0 || fails) && gather->wait.state == WAIT_PENDING)
        asy_wait_relay(&gather->wait, gather->is_settled ? 0 : gather->error);
}

static void cancel_children(struct gather *gather)
{
    for (size_t i = 0; i < gather->count; i++)
        if (gather->children[i].future && !gather->children[i].is_repeated)
            asy_cancel_pass(gather->children[i].future);
}

static bool cancel_gather(struct wait *wait)
{
    struct gather *gather = LIST_ENTRY(wait, struct gather, wait);
    wait->is_requested = true;
    cancel_children(gather);
    return true;
}

static bool refuse_request(struct wait *wait)
{
    (void)wait;
    return false;
}

#define GATHER_SHAPE                                                                                         \
    {                                                                                                        \
        .kind = SHAPE_FUTURES, .at = {                                                                       \
            offsetof(struct gather, children),                                                               \
            offsetof(struct gather, count),                                                                  \
            sizeof(struct gather_child),                                                                     \
            offsetof(struct gather_child, future)                                                            \
        }                                                                                                    \
    }
static const struct wait_kind gather_kind = {
    .name = "gather", .cancel = cancel_gather, .shape = GATHER_SHAPE};
#define DRAIN_WORDS "gather, ending the rest"
static const struct wait_kind gather_drain_kind = {
    .name = DRAIN_WORDS, .cancel = refuse_request, .shape = GATHER_SHAPE};
/* The same for arguments that were refused, one by one. */
static const struct wait_kind refused_drain_kind = {
    .name = DRAIN_WORDS, .cancel = refuse_request, .shape.kind = SHAPE_FUTURE};

/* ---- Arguments ------------------------------------------------------------------- */

/* 0 if the task may gather x. Marks a coroutine, so that a second place of it is found. */
static int check_argument(asyncio_future *x, const asyncio_task *task)
{
    if (!x)
        return 0;
    if (x->kind == OBJECT_CORO) {
        if (x->flags & FUTURE_SEEN)
            return (int)asyncio_raise(-EINVAL, "asyncio_gather: the same coroutine is there twice");
        x->flags |= FUTURE_SEEN;
        return 0;
    }
    asy_future_check(x, "asyncio_gather");
    if (!x->is_done && x == &task->future)
        return (int)asyncio_raise(-EINVAL, "asyncio_gather: a task cannot wait for itself");
    if (!x->is_done && x->loop != task->future.loop)
        return (int)asyncio_raise(-EINVAL, "asyncio_gather: a task or future belongs to another loop");
    return 0;
}

static int check_arguments(asyncio_awaitable *const *awaitables, size_t n, const asyncio_task *task)
{
    int err = 0;
    for (size_t i = 0; i < n && !err; i++)
        err = check_argument((asyncio_future *)(void *)awaitables[i], task);
    for (size_t i = 0; i < n; i++) {
        asyncio_future *x = (asyncio_future *)(void *)awaitables[i];
        if (x && x->kind == OBJECT_CORO)
            x->flags = 0;
    }
    return err;
}

/* ---- Refused ---------------------------------------------------------------------------
 * The arguments cannot be gathered, or there is no memory for the children. Gather takes every reference
 * over all the same, and leaves nothing running: coroutines never begin, and tasks, which may use memory of
 * the caller's, are ended. */

/* May gather end it? Not the calling task, nor anything of another loop. */
static bool is_to_end(const asyncio_future *x)
{
    const asyncio_loop *loop = asy_running_loop;
    return x && x->kind != OBJECT_CORO && !x->is_done && loop && x->loop == loop &&
           !(loop->current && x == &loop->current->future);
}

/* Cancels each task and future once, however many places it has. */
static void cancel_each(asyncio_awaitable *const *awaitables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        asyncio_future *x = (asyncio_future *)(void *)awaitables[i];
        if (!is_to_end(x) || x->flags & FUTURE_MARKED)
            continue;
        x->flags |= FUTURE_MARKED;
        asyncio_cancel_future(x);
    }
    for (size_t i = 0; i < n; i++) {
        asyncio_future *x = (asyncio_future *)(void *)awaitables[i];
        if (x && x->kind != OBJECT_CORO)
            x->flags &= (uint16_t)~FUTURE_MARKED;
    }
}

static void wake_drained(struct waiter *waiter, asyncio_future *future)
{
    (void)future;
    asy_wait_wake(LIST_ENTRY(waiter, struct wait, waiter), 0);
}

static void wait_for_refused(asyncio_future *future, asyncio_task *task)
{
    struct wait wait;
    asy_wait_init(&wait, task, &refused_drain_kind, future);
    asy_future_watch(future, &wait.waiter, wake_drained);
    asy_wait_park(&wait);
}

/* Releases each. A coroutine may have several places: it is counted in its own block, and goes with the
 * last. */
static void release_each(asyncio_awaitable *const *awaitables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        asyncio_future *x = (asyncio_future *)(void *)awaitables[i];
        if (x && x->kind == OBJECT_CORO)
            x->refs++;
    }
    for (size_t i = 0; i < n; i++) {
        asyncio_future *x = (asyncio_future *)(void *)awaitables[i];
        if (x && !(x->kind == OBJECT_CORO && --x->refs > 1))
            asyncio_release_future(x);
    }
}

/* Ends all and returns `err`. `task`, unless it is NULL, waits for them one by one; a request stays
 * pending. */
static int refuse_gather(intptr_t results[], asyncio_awaitable *const *awaitables, size_t n,
                         asyncio_task *task, int err)
{
    cancel_each(awaitables, n);
    for (size_t i = 0; i < n; i++) {
        asyncio_future *x = (asyncio_future *)(void *)awaitables[i];
        if (task && is_to_end(x))
            wait_for_refused(x, task);
        bool has_ended = x && x->kind != OBJECT_CORO && x->is_done;
        if (results)
            results[i] = has_ended ? x->result : x ? err : -ENOMEM;
        if (has_ended)
            x->flags |= FUTURE_SEEN;
    }
    release_each(awaitables, n);
    return err;
}

/* ---- The call ----------------------------------------------------------------------- */

/* Has the future an earlier place in this gather? Then that one is the last on the future's list. */
static bool is_repeated(const struct gather *gather, const asyncio_future *future)
{
    if (list_is_empty(&future->waiters))
        return false;
    const struct waiter *last = LIST_ENTRY(future->waiters.prev, struct waiter, node);
    return last->notify == notify_gather && LIST_ENTRY(last, struct gather_child, waiter)->gather == gather;
}

/* All tasks are made before any is looked at: one that starts eagerly may end or cancel others. */
static void make_children(struct gather *gather, asyncio_awaitable *const *awaitables,
                          const asyncio_site *site)
{
    for (size_t i = 0; i < gather->count; i++)
        gather->children[i].future =
            asyncio_ensure_future_future((asyncio_future *)(void *)awaitables[i], site);
}

static void watch_child(struct gather *gather, struct gather_child *child)
{
    child->gather = gather;
    child->is_repeated = false;
    if (child->future && !child->future->is_done) {
        child->is_repeated = is_repeated(gather, child->future);
        asy_future_watch(child->future, &child->waiter, notify_gather);
        gather->pending++;
    } else {
        note_child_error(gather, child);
    }
}

static void wait_for_gather(struct gather *gather, asyncio_task *task)
{
    asy_wait_init(&gather->wait, task, &gather_kind, gather);
    if (gather->pending && !(gather->error && !gather->is_settled)) {
        if (task->must_cancel)
            asy_cancel_forward(task, &gather->wait);
        asy_wait_park(&gather->wait);
    }
    if (!gather->pending)
        return;
    bool was_requested = gather->wait.is_requested;
    asy_wait_init(&gather->wait, task, &gather_drain_kind, gather);
    gather->wait.is_requested = was_requested;
    gather->is_settled = true;
    gather->wait.state = WAIT_GRANTED; /* the task runs: a child that ends at once wakes nobody */
    for (size_t i = 0; i < gather->count; i++)
        if (!gather->children[i].is_repeated)
            asyncio_cancel_future(gather->children[i].future);
    gather->wait.state = WAIT_PENDING;
    if (gather->pending)
        asy_wait_park(&gather->wait);
}

static int collect_outcomes(struct gather *gather, intptr_t results[], bool is_settled)
{
    ASY_ASSERT_TASK(gather->pending == 0, gather->wait.task);
    for (size_t i = 0; results && i < gather->count; i++)
        results[i] = child_outcome(&gather->children[i]);
    int err = is_settled ? 0 : gather->error < INT_MIN ? INT_MIN : (int)gather->error;
    if (gather->wait.is_requested)
        err = -ECANCELED;
    else if (err && gather->failed)
        asy_message_inherit(gather->failed);
    else if (err)
        asy_null_awaited();
    for (size_t i = 0; i < gather->count; i++) {
        asyncio_future *future = gather->children[i].future;
        if (!future)
            continue;
        future->flags |= FUTURE_SEEN;
        asy_future_unref(future);
    }
    return err;
}

int asyncio_gather_at(intptr_t results[], asyncio_awaitable *const *awaitables, size_t n, bool is_settled,
                      const asyncio_site *site)
{
    asyncio_task *task = asy_current_task();
    if (n && !awaitables)
        return -EINVAL;
    if (!task)
        return refuse_gather(results, awaitables, n, NULL, ASYNCIO_ENOTASK);
    if (!n)
        return 0;
    int err = check_arguments(awaitables, n, task);
    if (err)
        return refuse_gather(results, awaitables, n, task, err);
    struct gather gather = {.count = n, .is_settled = is_settled};
    size_t bytes = n * sizeof *gather.children;
    gather.children = asy_slab_alloc(bytes);
    if (!gather.children)
        return refuse_gather(results, awaitables, n, task, -ENOMEM);
    make_children(&gather, awaitables, site);
    for (size_t i = 0; i < n; i++)
        watch_child(&gather, &gather.children[i]);
    wait_for_gather(&gather, task);
    err = collect_outcomes(&gather, results, is_settled);
    asy_slab_free(gather.children, bytes);
    return err;
}
