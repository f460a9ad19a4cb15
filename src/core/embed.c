/*
 * Calls and timers in the program's storage. See asyncio/embed.h.
 *
 * A call is claimed for a loop by one exchange of its `loop_`, which is NULL while it is idle: of all
 * threads that queue or post it, one succeeds. Then it is a callback, which the ready queue or the stack of
 * posts has.
 */
#include "asyncio/embed.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/due.h"
#include "core/embed.h"
#include "core/loop.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>

_Static_assert(sizeof(asyncio_call) <= 6 * sizeof(void *) && sizeof(asyncio_timer) <= 6 * sizeof(void *),
               "six words");
_Static_assert(sizeof(struct callback) == sizeof(((asyncio_call *)NULL)->queue_) &&
                   offsetof(asyncio_call, queue_) == 0,
               "a call is a callback");
_Static_assert(sizeof(union due) == sizeof(((asyncio_timer *)NULL)->place_) &&
                   offsetof(asyncio_timer, place_) == 0 &&
                   offsetof(struct timer, fire) == offsetof(struct callback, kind),
               "a timer is a callback when it is due, and its third word tells which it is");

/* ---- Calls ------------------------------------------------------------------------ */

static struct callback *callback_of(asyncio_call *call)
{
    return (struct callback *)(void *)call;
}

/* Acquire: whoever had the call last, and has let go of it, is done with it. */
static bool claim_call(asyncio_call *call, asyncio_loop *loop)
{
    asyncio_loop *idle = NULL;
    return __atomic_compare_exchange_n(&call->loop_, &idle, loop, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}

/* Release: the thread that claims it next finds all done that was to do with it here. */
static void let_go_of_call(asyncio_call *call)
{
    __atomic_store_n(&call->loop_, NULL, __ATOMIC_RELEASE);
}

static HOT void run_call(struct callback *callback)
{
    asyncio_call *call = (asyncio_call *)callback;
    void (*fn)(asyncio_call *) = call->fn_;
    let_go_of_call(call);
    fn(call);
}

/* The loop closes. */
static void drop_call(struct callback *callback)
{
    asyncio_call *call = (asyncio_call *)callback;
    /* Relaxed: this thread has the call. Others that would post it look at the same place, in vain. */
    asyncio_loop *loop = __atomic_load_n(&call->loop_, __ATOMIC_RELAXED);
    let_go_of_call(call);
    if (loop->drain)
        loop->drain(call, NULL, NULL, loop->drain_arg);
}

static const struct callback_kind call_kind = {run_call, drop_call};

void asyncio_call_init(asyncio_call *call, void (*fn)(asyncio_call *call))
{
    if (call)
        *call = (asyncio_call){.fn_ = fn};
}

HOT bool asyncio_loop_call(asyncio_loop *loop, asyncio_call *call)
{
    if (UNLIKELY(!loop || !call))
        return false;
    asy_loop_check(loop, __func__);
    if (UNLIKELY(asy_loop_unusable(loop)) || !claim_call(call, loop))
        return false;
    callback_push(&loop->ready, callback_of(call), &call_kind);
    asy_loop_queued(loop);
    return true;
}

HOT int asyncio_loop_post(asyncio_loop *loop, asyncio_call *call)
{
    if (UNLIKELY(!loop || !call))
        return -EINVAL;
    if (!claim_call(call, loop))
        return 1;
    callback_of(call)->kind = &call_kind;
    int err = asy_post(loop, callback_of(call));
    if (UNLIKELY(err))
        let_go_of_call(call);
    return err;
}

/* Moves a posted call to the ready queue. A thread that has claimed it may not have come so far as to push
 * it: it is about to. False: it was refused, for the loop closes. */
static bool fetch_posted_call(asyncio_loop *loop, asyncio_call *call)
{
    asy_posts_take(loop);
    while (!callback_of(call)->link) {
        if (!__atomic_load_n(&call->loop_, __ATOMIC_ACQUIRE))
            return false;
        asy_sys_yield();
        asy_posts_take(loop);
    }
    return true;
}

bool asyncio_call_cancel(asyncio_call *call)
{
    /* Acquire: a call that was run, or refused, is done with. */
    asyncio_loop *loop = call ? __atomic_load_n(&call->loop_, __ATOMIC_ACQUIRE) : NULL;
    if (!loop)
        return false;
    if (UNLIKELY(asy_loop_is_parents(loop))) { /* which never runs in this process */
        let_go_of_call(call);
        return false;
    }
    asy_loop_check(loop, __func__);
    if (!callback_of(call)->link && !fetch_posted_call(loop, call))
        return false;
    callback_remove(&loop->ready, callback_of(call));
    let_go_of_call(call);
    return true;
}

/* ---- Timers ----------------------------------------------------------------------- */

static union due *due_of(asyncio_timer *timer)
{
    return (union due *)(void *)timer;
}

/* The loop's heap keeps the room of a timer that is due until fn is called: to move it cannot fail. */
static asyncio_loop *let_go_of_due_timer(asyncio_timer *timer)
{
    asyncio_loop *loop = timer->loop_;
    asy_timer_room_back(loop);
    timer->loop_ = NULL;
    return loop;
}

static HOT void run_timer(struct callback *callback)
{
    asyncio_timer *timer = (asyncio_timer *)(void *)callback;
    let_go_of_due_timer(timer);
    timer->fn_(timer);
}

static void drop_timer(struct callback *callback)
{
    asyncio_timer *timer = (asyncio_timer *)(void *)callback;
    asyncio_loop *loop = let_go_of_due_timer(timer);
    if (loop->drain)
        loop->drain(NULL, timer, NULL, loop->drain_arg);
}

static const struct callback_kind timer_kind = {run_timer, drop_timer};

static HOT void queue_due_timer(struct timer *due)
{
    asyncio_loop *loop = ((asyncio_timer *)(void *)due)->loop_;
    asy_timer_keep_room(loop);
    callback_push(&loop->ready, (struct callback *)(void *)due, &timer_kind);
}

/* Takes a timer that runs out of the heap, or out of the queue. */
static HOT void take_timer(asyncio_timer *timer)
{
    union due *due = due_of(timer);
    asyncio_loop *loop = timer->loop_;
    if (LIKELY(due->timer.fire == queue_due_timer)) {
        asy_timer_stop(loop, &due->timer);
    } else {
        callback_remove(&loop->ready, &due->callback);
        asy_timer_room_back(loop);
    }
    timer->loop_ = NULL;
}

int64_t asyncio_loop_time_ns(asyncio_loop *loop)
{
    if (!loop)
        return asy_sys_now_ns();
    asy_loop_check(loop, __func__);
    return asy_loop_now_ns(loop);
}

void asyncio_timer_init(asyncio_timer *timer, void (*fn)(asyncio_timer *timer))
{
    if (timer)
        *timer = (asyncio_timer){.fn_ = fn};
}

HOT int asyncio_timer_start(asyncio_loop *loop, asyncio_timer *timer, int64_t deadline_ns)
{
    if (UNLIKELY(!loop || !timer))
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (UNLIKELY(asy_loop_unusable(loop)))
        return ASYNCIO_ESTATE;
    if (UNLIKELY(timer->loop_ && timer->loop_ != loop))
        return -EINVAL;
    if (timer->loop_)
        take_timer(timer);
    struct timer *place = &due_of(timer)->timer;
    *place = (struct timer){.fire = queue_due_timer};
    int err = asy_timer_start_always(loop, place, deadline_ns);
    if (UNLIKELY(err))
        return err;
    timer->loop_ = loop;
    asy_loop_queued(loop); /* it may be the next one now */
    return 0;
}

HOT bool asyncio_timer_stop(asyncio_timer *timer)
{
    asyncio_loop *loop = timer ? timer->loop_ : NULL;
    if (!loop)
        return false;
    if (UNLIKELY(asy_loop_is_parents(loop))) {
        timer->loop_ = NULL;
        return false;
    }
    asy_loop_check(loop, __func__);
    take_timer(timer);
    return true;
}

/* ---- Waits ------------------------------------------------------------------------ */

int asyncio_loop_set_wait_hooks(asyncio_loop *loop, void (*before)(void *arg), int (*after)(void *arg),
                                void *arg)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    loop->wait_hooks = (struct wait_hooks){before, after, arg};
    return 0;
}

int asy_wait_between_hooks(asyncio_loop *loop, int64_t deadline_ns, int *verdict)
{
    const struct asy_backend_ops *ops = loop->backend->ops;
    struct wait_hooks hooks = loop->wait_hooks;
    if (ops->is_virtual || deadline_ns <= asy_loop_now_ns(loop))
        return ops->wait(loop->backend, deadline_ns);
    if (hooks.before)
        hooks.before(hooks.arg);
    int err = ops->wait(loop->backend, deadline_ns);
    if (hooks.after)
        *verdict = hooks.after(hooks.arg);
    return err;
}

/* ---- Threads ---------------------------------------------------------------------- */

int asyncio_loop_adopt(asyncio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    asy_loop_adopt(loop);
    return loop->thread == asy_this_thread() ? 0 : ASYNCIO_ESTATE;
}

/* ---- The end ---------------------------------------------------------------------- */

int asyncio_loop_set_drain(asyncio_loop *loop, asyncio_drain fn, void *arg)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    loop->drain = fn;
    loop->drain_arg = arg;
    return 0;
}

void asy_embed_close(asyncio_loop *loop)
{
    ASY_ASSERT(loop->is_closed);
    struct heap_node *first;
    while ((first = asy_heap_first(&loop->timers))) {
        struct timer *timer = LIST_ENTRY(first, struct timer, node);
        asy_heap_remove(&loop->timers, first);
        if (timer->fire == queue_due_timer)
            queue_due_timer(timer);
    }
}
