/*
 * asyncio_select: tries its cases, then waits for all of them. And the case of a task or future. See
 * select.h.
 */
#include "core/select.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/message.h"
#include "core/task.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>

static inline struct select_call *call_of(const asyncio_case *one)
{
    return one->call_;
}

static inline const struct case_kind *kind_of(const struct select_call *call, const asyncio_case *one)
{
    return call->kinds[one->kind_];
}

/* ---- Who wins ------------------------------------------------------------------------ */

/* A case's place in a queue begins with its node, whatever its kind. */
static struct list *case_node(asyncio_case *one)
{
    return (struct list *)(void *)one->wait_;
}

void asy_select_settle(struct select_call *call, asyncio_case *winner)
{
    call->winner = winner;
    for (size_t i = 0; i < call->enlisted; i++)
        if (!kind_of(call, &call->cases[i])->leaves_late)
            list_remove(case_node(&call->cases[i]));
}

void asy_select_wake(struct select_call *call, asyncio_case *winner, intptr_t value)
{
    asy_select_settle(call, winner);
    asy_wait_wake(&call->wait, value);
}

struct wait *asy_case_claim(struct list *queue, struct wait *wait)
{
    for (;;) {
        if (wait->state == WAIT_PENDING)
            return wait;
        ASY_ASSERT_TASK(wait->state == WAIT_CASE, wait->task);
        asyncio_case *one = case_of_wait(wait);
        if (asy_select_claim(call_of(one))) {
            asy_select_settle(call_of(one), one);
            return wait;
        }
        struct list *node = list_take_first(queue);
        if (!node)
            return NULL;
        wait = LIST_ENTRY(node, struct wait, waiter.node);
    }
}

void asy_case_wake(struct wait *wait, intptr_t value)
{
    asyncio_case *one = case_of_wait(wait);
    ASY_ASSERT_TASK(wait->state == WAIT_CASE, wait->task); /* else it was granted before */
    ASY_ASSERT_TASK(call_of(one)->winner == one, wait->task);
    wait->value = value;
    wait->state = WAIT_GRANTED;
    one->result = value;
    asy_wait_wake(&call_of(one)->wait, 0);
}

void asy_case_enlist(asyncio_case *one, struct list *queue, const struct wait_kind *kind)
{
    struct exchange *exchange = case_exchange(one);
    asy_wait_init(&exchange->wait, asy_running_loop->current, kind, one->object_);
    exchange->wait.state = WAIT_CASE;
    exchange->item.into = one->item_;
    list_append(queue, &exchange->wait.waiter.node);
}

/* ---- The case of a task or future ------------------------------------------------------ */

static const char *refuse_done(asyncio_case *one, int *err)
{
    asyncio_future *future = one->object_;
    *err = -EINVAL;
    if (!future)
        return "the task or future is NULL";
    asy_future_check(future, "asyncio_select");
    if (future == &asy_running_loop->current->future)
        return "it is the calling task";
    return future->is_done || future->loop == asy_running_loop ? NULL : "it belongs to another loop";
}

static void see_result(asyncio_case *one)
{
    asyncio_future *future = one->object_;
    future->flags |= FUTURE_SEEN;
    one->result = future->result;
    if (one->result < 0)
        asy_message_inherit(future);
}

static bool try_done(asyncio_case *one)
{
    const asyncio_future *future = one->object_;
    if (!future->is_done)
        return false;
    see_result(one);
    return true;
}

static void notify_case(struct waiter *waiter, asyncio_future *future)
{
    asyncio_case *one = LIST_ENTRY(waiter, asyncio_case, wait_);
    if (!asy_select_claim(call_of(one)))
        return;
    if (!future)
        one->object_ = NULL;
    asy_select_wake(call_of(one), one, 0);
}

static int enlist_done(asyncio_case *one)
{
    asy_future_watch(one->object_, (struct waiter *)(void *)one->wait_, notify_case);
    return 0;
}

/* The future may have been released during the wait, though the caller lends it. */
static void leave_done(asyncio_case *one, bool has_won)
{
    if (has_won && one->object_)
        see_result(one);
    else if (has_won)
        one->result = ASYNCIO_ESTATE;
}

const struct case_kind asy_case_done = {.name = "done",
                                        .refuse = refuse_done,
                                        .try_now = try_done,
                                        .enlist = enlist_done,
                                        .leave = leave_done,
                                        .alone = &asy_wait_await};

/* ---- The wait of the call ---------------------------------------------------------------- */

static void expire_select(struct timer *timer)
{
    struct select_call *call = LIST_ENTRY(timer, struct select_call, timer);
    if (asy_select_claim(call))
        asy_select_wake(call, NULL, -ETIMEDOUT);
}

static bool cancel_select(struct wait *wait)
{
    struct select_call *call = LIST_ENTRY(wait, struct select_call, wait);
    if (!asy_select_claim(call))
        return false;
    asy_select_wake(call, NULL, -ECANCELED);
    return true;
}

/* The loop closes. What a case of this loop was granted goes to the next one. */
static void abandon_cases(struct select_call *call)
{
    for (size_t i = 0; i < call->enlisted; i++) {
        asyncio_case *one = &call->cases[i];
        const struct case_kind *kind = kind_of(call, one);
        struct wait *wait = &case_exchange(one)->wait;
        if (kind->abandon)
            kind->abandon(one);
        else if (kind != &asy_case_done && wait->state == WAIT_GRANTED && wait->kind->revoke)
            wait->kind->revoke(wait);
        if (!kind->abandon)
            list_remove(case_node(one));
    }
    call->enlisted = 0;
}

static void abandon_select(struct wait *wait)
{
    abandon_cases(LIST_ENTRY(wait, struct select_call, wait));
}

/* Claimed first, so that no other thread grants anything any more. */
static void select_loop_closes(struct abroad *abroad)
{
    struct select_call *call = LIST_ENTRY(abroad, struct select_call, abroad);
    asy_select_claim(call);
    abandon_cases(call);
}

static void describe_select(const struct wait *wait, char *text, size_t bytes)
{
    const struct select_call *call = LIST_ENTRY(wait, struct select_call, wait);
    snprintf(text, bytes, ", for one of %zu", call->count);
}

static const struct wait_kind select_kind = {
    .name = "select",
    .cancel = cancel_select,
    .revoke = abandon_select,
    .abandon = abandon_select,
    .describe = describe_select,
    .shape = {.kind = SHAPE_CASES,
              .deadline = SHAPE_DEADLINE(struct select_call),
              .at = {offsetof(struct select_call, cases), offsetof(struct select_call, count),
                     sizeof(asyncio_case), offsetof(asyncio_case, object_)}},
};

static void run_select_post(struct callback *callback)
{
    struct select_call *call = LIST_ENTRY(callback, struct select_call, post);
    asy_select_wake(call, call->winner, 0);
}

static void drop_select_post(struct callback *callback)
{
    (void)callback; /* the call was told that the loop closes */
}

static const struct callback_kind select_post_kind = {run_select_post, drop_select_post};

/* Until one wins. An error of one is its result. */
static void enlist_cases(struct select_call *call)
{
    while (call->enlisted < call->count) {
        asyncio_case *one = &call->cases[call->enlisted];
        int err = kind_of(call, one)->enlist(one);
        if (err) {
            one->result = err;
            if (asy_select_claim(call))
                asy_select_wake(call, one, 0);
            return;
        }
        call->enlisted++;
        if (UNLIKELY(call->is_shared) && atomic_load(&call->is_won))
            return;
    }
}

static void leave_cases(struct select_call *call)
{
    for (size_t i = 0; i < call->enlisted; i++) {
        asyncio_case *one = &call->cases[i];
        const struct case_kind *kind = kind_of(call, one);
        if (kind->leave)
            kind->leave(one, one == call->winner);
    }
}

/* 0: call->winner has won. */
static int wait_for_cases(struct select_call *call, asyncio_task *task, int64_t deadline_ns)
{
    asyncio_loop *loop = task->future.loop;
    asy_wait_init(&call->wait, task, &select_kind, call);
    atomic_init(&call->is_won, false);
    call->winner = NULL;
    call->enlisted = 0;
    call->timer.fire = expire_select;
    call->timer.node.place = 0;
    call->timer.node.key = deadline_ns;
    int err = asy_timer_start(loop, &call->timer, deadline_ns);
    if (err)
        return err;
    if (UNLIKELY(call->is_shared)) {
        call->post.kind = &select_post_kind;
        call->abroad.loop_closes = select_loop_closes;
        list_append(&loop->abroad.entries, &call->abroad.node);
    }
    enlist_cases(call);
    err = (int)asy_wait_park(&call->wait);
    if (UNLIKELY(call->is_shared))
        list_remove(&call->abroad.node);
    leave_cases(call);
    asy_timer_stop(loop, &call->timer);
    return err;
}

/* ---- asyncio_select ---------------------------------------------------------------------- */

static COLD int refuse_case(size_t i, const char *name, const char *why, int err)
{
    return (int)asyncio_raise(err, "asyncio_select: case %zu%s%s: %s", i, *name ? ", " : "", name, why);
}

static int check_cases(struct select_call *call, size_t kinds_count)
{
    call->is_shared = false;
    for (size_t i = 0; i < call->count; i++) {
        asyncio_case *one = &call->cases[i];
        if (UNLIKELY(one->kind_ <= 0 || (size_t)one->kind_ >= kinds_count))
            return refuse_case(i, "", "no ASYNCIO_CASE_... made it", -EINVAL);
        const struct case_kind *kind = kind_of(call, one);
        int err = 0;
        const char *why = kind->refuse(one, &err);
        if (UNLIKELY(why != NULL))
            return refuse_case(i, kind->name, why, err);
        call->is_shared |= kind->is_shared;
        one->call_ = call;
    }
    return 0;
}

/* The first in the array that can happen at once; with a seed from a drawn one on, in a drawn direction. */
static asyncio_case *try_cases(struct select_call *call)
{
    asyncio_loop *loop = asy_running_loop;
    size_t n = call->count, at = 0, step = 1;
    if (UNLIKELY(loop->is_seeded)) {
        at = (size_t)asy_order_choose(loop, n);
        step = asy_order_choose(loop, 2) ? 1 : n - 1;
    }
    for (size_t i = 0; i < n; i++) {
        asyncio_case *one = &call->cases[at];
        if (kind_of(call, one)->try_now(one))
            return one;
        at += step;
        at -= at >= n ? n : 0;
    }
    return NULL;
}

/* An event of a descriptor may come to nothing: then the wait goes on. */
static bool was_in_vain(const asyncio_case *one)
{
    return one->kind_ == ASYNCIO_CASE_KIND_FD_ && one->result == 0;
}

static ptrdiff_t select_until(struct select_call *call, asyncio_task *task, int64_t deadline_ns)
{
    for (;;) {
        int err = asy_cancel_deliver(task);
        if (!err)
            err = wait_for_cases(call, task, deadline_ns);
        if (err)
            return err;
        if (LIKELY(!was_in_vain(call->winner)))
            return call->winner - call->cases;
        asyncio_case *one = try_cases(call);
        if (one)
            return one - call->cases;
    }
}

ptrdiff_t asy_select(asyncio_case *cases, size_t n, double timeout, const struct case_kind *const *kinds,
                     size_t kinds_count)
{
    asyncio_task *task = asy_current_task();
    if (UNLIKELY(!task))
        return ASYNCIO_ENOTASK;
    if (UNLIKELY(!cases || !n || isnan(timeout)))
        return asyncio_raise(-EINVAL, "asyncio_select: %s",
                             !cases ? "the array is NULL"
                             : !n   ? "there are no cases"
                                    : "the timeout is no number");
    struct select_call call;
    call.cases = cases;
    call.count = n;
    call.kinds = kinds;
    int err = check_cases(&call, kinds_count);
    if (!err && timeout > 0)
        err = asy_budget_spend(task->future.loop);
    if (UNLIKELY(err))
        return err;
    asyncio_case *one = try_cases(&call);
    if (one)
        return one - cases;
    if (timeout <= 0)
        return -ETIMEDOUT;
    return select_until(&call, task,
                        isinf(timeout) ? ASY_NO_DEADLINE
                                       : asy_deadline_after(asy_loop_now_ns(task->future.loop), timeout));
}
