/*
 * Coroutines submitted from other threads, and the futures that those threads hold.
 *
 * The two threads share a counted block: the submitter has one reference, the loop's side has another until
 * the task has ended or the loop has closed. The result can be read once `state` is DONE.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "asyncio/threads.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/coro.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/post.h"
#include "core/quarantine.h"
#include "core/task.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <limits.h>
#include <math.h>

/* States of a thread future. A thread makes it AWAITED before it sleeps, so that the end wakes it. */
enum { PENDING, AWAITED, DONE };

static const char what_thread_future[] = "thread future";

struct asyncio_thread_future {
    struct loose_object object;
    struct callback start;  /* the submission */
    struct callback cancel; /* a request to cancel, while is_cancelling */

    /* The thread that sets it owns `cancel`. The loop's thread clears it once it has read `cancel`: the
     * exchange of the next thread must come after that, and both are sequentially consistent. */
    _Atomic bool is_cancelling;

    /* The thread that drops the last reference frees the block. It must see all that others wrote before they
     * dropped theirs, so a drop releases and acquires. */
    _Atomic unsigned refs;

    /* `result` and `message` are written before it becomes DONE, and read after it was seen to be. The
     * exchange releases them, a load acquires them. A futex, too. */
    _Atomic uint32_t state;

    asyncio_loop *loop;       /* a reference */
    asyncio_coro *coro;       /* until it is started */
    asyncio_context *context; /* a copy of the submitter's, until then */
    asyncio_task *task;       /* a reference, from the start to the end. Loop's thread */
    struct waiter ended;      /* on the task */
    struct abroad abroad;
    intptr_t result;
    struct message *message; /* of the result, or NULL */
};

static void unref_thread_future(asyncio_thread_future *future)
{
    unsigned refs = atomic_fetch_sub(&future->refs, 1);
    ASY_ASSERT(refs > 0);
    if (refs > 1)
        return;
    asyncio_loop_release(future->loop);
    asy_message_unref(future->message);
    asy_loose_object_free(&future->object);
}

static void finish_thread_future(asyncio_thread_future *future, intptr_t result, const char *words)
{
    future->result = result;
    future->message = asy_message_new(result, words);
    uint32_t before = atomic_exchange(&future->state, DONE);
    ASY_ASSERT(before != DONE);
    if (before == AWAITED)
        asy_sys_futex_wake(&future->state, INT_MAX);
    unref_thread_future(future);
}

/* ---- On the loop's thread ------------------------------------------------------------ */

static asyncio_task *detach_task(asyncio_thread_future *future)
{
    asyncio_task *task = future->task;
    ASY_ASSERT(task);
    future->task = NULL;
    list_remove(&future->ended.node);
    list_remove(&future->abroad.node);
    return task;
}

/* The task's completion calls this itself, so that the submitter need not wait for another iteration. */
static void finish_with_task(struct waiter *waiter, asyncio_future *ended)
{
    asyncio_thread_future *future = LIST_ENTRY(waiter, asyncio_thread_future, ended);
    const struct message *message = ended->message;
    detach_task(future);
    ended->flags |= FUTURE_SEEN;
    finish_thread_future(future, ended->result,
                         message && message->code == ended->result ? message->text : NULL);
    asy_future_unref(ended);
}

static void thread_future_loop_closes(struct abroad *abroad)
{
    asyncio_thread_future *future = LIST_ENTRY(abroad, asyncio_thread_future, abroad);
    asyncio_task *task = detach_task(future);
    finish_thread_future(future, ASYNCIO_ESTATE, "the loop was closed before the task ended");
    asy_future_unref(&task->future);
}

static void refuse_submission(asyncio_thread_future *future, const char *words)
{
    asyncio_coro_close(future->coro);
    asy_vars_drop(future->context);
    finish_thread_future(future, ASYNCIO_ESTATE, words);
}

static void drop_submitted(struct callback *callback)
{
    refuse_submission(LIST_ENTRY(callback, asyncio_thread_future, start), "the loop is closed");
}

/* A shutdown waits for the tasks that there are, and lets other threads submit no new ones. */
static void start_submitted(struct callback *callback)
{
    asyncio_thread_future *future = LIST_ENTRY(callback, asyncio_thread_future, start);
    asyncio_loop *loop = future->loop;
    if (loop->is_shutting_down) {
        refuse_submission(future, "the loop is about to close");
        return;
    }
    asy_vars_enter(loop, future->context);
    /* Never eager: its creator is on another thread. */
    future->task = asy_task_queue(asy_task_make(loop, future->coro, asy_coro_site(future->coro)));
    list_append(&future->task->future.waiters, &future->ended.node);
    list_append(&loop->abroad.entries, &future->abroad.node);
}

static const struct callback_kind submitted_kind = {start_submitted, drop_submitted};

static asyncio_thread_future *take_cancel_post(struct callback *callback)
{
    asyncio_thread_future *future = LIST_ENTRY(callback, asyncio_thread_future, cancel);
    atomic_store(&future->is_cancelling, false);
    return future;
}

/* Posts run in order, so the task has been started, or refused, before. */
static void run_cancel(struct callback *callback)
{
    asyncio_thread_future *future = take_cancel_post(callback);
    if (future->task)
        asyncio_cancel(future->task);
    unref_thread_future(future);
}

static void drop_cancel(struct callback *callback)
{
    unref_thread_future(take_cancel_post(callback));
}

static const struct callback_kind cancel_kind = {run_cancel, drop_cancel};

/* ---- On any thread ------------------------------------------------------------------------ */

asyncio_thread_future *asyncio_run_coroutine_threadsafe(asyncio_coro *coro, asyncio_loop *loop)
{
    if (!coro || !loop) {
        asyncio_raise(coro ? -EINVAL : -ENOMEM, "%s: the %s is NULL", __func__, coro ? "loop" : "coroutine");
        asyncio_coro_close(coro);
        return NULL;
    }
    asyncio_context *context = NULL;
    int err = asy_vars_capture(loop, &context);
    asyncio_thread_future *future = err ? NULL : asy_slab_alloc(sizeof *future);
    if (!future) {
        asy_vars_drop(context);
        asyncio_coro_close(coro);
        return NULL;
    }
    *future = (asyncio_thread_future){
        .object = {what_thread_future, sizeof *future},
        .loop = asyncio_loop_ref(loop),
        .coro = coro,
        .context = context,
    };
    atomic_init(&future->refs, 2);
    future->start.kind = &submitted_kind;
    future->cancel.kind = &cancel_kind;
    future->ended.notify = finish_with_task;
    future->abroad.loop_closes = thread_future_loop_closes;
    asy_coro_hand_over(coro);
    err = asy_post(loop, &future->start);
    if (err)
        drop_submitted(&future->start);
    return future;
}

static void check_thread_future(const asyncio_thread_future *future, const char *call)
{
    asy_object_check_alive(future->object.what, what_thread_future, call);
}

static bool is_thread_future_done(asyncio_thread_future *future)
{
    return atomic_load(&future->state) == DONE;
}

/* False: the time is over first. */
static bool wait_until_done(asyncio_thread_future *future, double timeout)
{
    int64_t until_ns = asy_deadline_after(asy_sys_now_ns(), timeout);
    while (!is_thread_future_done(future)) {
        uint32_t pending = PENDING;
        int64_t left_ns = until_ns == ASY_NO_DEADLINE ? -1 : until_ns - asy_sys_now_ns();
        if (left_ns <= 0 && until_ns != ASY_NO_DEADLINE)
            return false;
        atomic_compare_exchange_strong(&future->state, &pending, AWAITED);
        asy_sys_futex_wait(&future->state, AWAITED, left_ns);
    }
    return true;
}

intptr_t asyncio_thread_future_result(asyncio_thread_future *future, double timeout)
{
    if (!future || isnan(timeout))
        return asyncio_raise(-EINVAL, "%s: the %s", __func__,
                             future ? "timeout is no number" : "future is NULL");
    check_thread_future(future, __func__);
    if (!is_thread_future_done(future)) {
        if (asy_loop_is_parents(future->loop))
            return asyncio_raise(ASYNCIO_ESTATE, "%s: the loop belongs to the parent process", __func__);
        if (asy_running_loop == future->loop)
            return asyncio_raise(-EDEADLK, "%s: this is the thread that runs the loop", __func__);
        if (!wait_until_done(future, timeout))
            return asyncio_raise(-ETIMEDOUT, "%s: the task has not ended yet", __func__);
    }
    if (future->result < 0)
        asy_message_show(future->result, future->message ? future->message->text : NULL);
    return future->result;
}

bool asyncio_thread_future_cancel(asyncio_thread_future *future)
{
    if (!future)
        return false;
    check_thread_future(future, __func__);
    if (is_thread_future_done(future) || asy_loop_is_parents(future->loop))
        return false;
    if (atomic_exchange(&future->is_cancelling, true))
        return true; /* an earlier request is still on its way */
    atomic_fetch_add(&future->refs, 1);
    int err = asy_post(future->loop, &future->cancel);
    if (err)
        drop_cancel(&future->cancel);
    return !err;
}

void asyncio_thread_future_release(asyncio_thread_future *future)
{
    if (!future)
        return;
    check_thread_future(future, __func__);
    future->object.what = NULL;
    unref_thread_future(future);
}
