/*
 * Coroutines submitted from other threads, and what those get for it.
 *
 * The shared block is counted: the submitter has one reference, the loop's side another until the
 * task has ended, or never will. The result is there once `done` says so.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "asyncio/threads.h"
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

/* What `done` says. Whoever sleeps on it has it say AWAITED first. */
enum { PENDING, AWAITED, DONE };

static const char what_thread_future[] = "thread future";

struct asyncio_thread_future {
    struct loose_object object;
    struct post start;  /* the submission */
    struct post cancel; /* a request to cancel, while `cancelling` */
    _Atomic bool is_cancelling;
    _Atomic unsigned refs;
    _Atomic uint32_t done;
    asyncio_loop *loop;       /* a reference */
    asyncio_coro *coro;       /* until it is started */
    asyncio_context *context; /* a copy of the submitter's, until then */
    asyncio_task *task;       /* from then on until its end, a reference. Loop's thread */
    struct waiter ended;      /* on the task */
    struct abroad abroad;
    intptr_t result;
    struct message *message; /* of the result, or NULL */
};

static void unref(asyncio_thread_future *future)
{
    if (atomic_fetch_sub(&future->refs, 1) != 1)
        return;
    asyncio_loop_release(future->loop);
    asy_message_unref(future->message);
    asy_loose_object_free(&future->object);
}

static void finish(asyncio_thread_future *future, intptr_t result, const char *words)
{
    future->result = result;
    future->message = asy_message_new(result, words);
    if (atomic_exchange(&future->done, DONE) == AWAITED)
        asy_sys_futex_wake(&future->done, INT_MAX);
    unref(future);
}

/* ---- On the loop's thread ------------------------------------------------------------ */

static asyncio_task *part(asyncio_thread_future *future)
{
    asyncio_task *task = future->task;
    future->task = NULL;
    list_remove(&future->ended.node);
    list_remove(&future->abroad.node);
    return task;
}

/* Told by the task's completion itself, so that the submitter need not wait for another turn of the loop. */
static void task_ended(struct waiter *waiter, asyncio_future *ended)
{
    asyncio_thread_future *future = LIST_ENTRY(waiter, asyncio_thread_future, ended);
    const struct message *message = ended->message;
    part(future);
    ended->flags |= FUTURE_SEEN;
    finish(future, ended->result, message && message->code == ended->result ? message->text : NULL);
    asy_future_unref(ended);
}

static void loop_closes(struct abroad *abroad)
{
    asyncio_thread_future *future = LIST_ENTRY(abroad, asyncio_thread_future, abroad);
    asyncio_task *task = part(future);
    finish(future, ASYNCIO_ESTATE, "the loop was closed before the task ended");
    asy_future_unref(&task->future);
}

static void refuse(asyncio_thread_future *future, const char *words)
{
    asyncio_coro_close(future->coro);
    asy_vars_drop(future->context);
    finish(future, ASYNCIO_ESTATE, words);
}

static void drop_submitted(struct callback *callback)
{
    refuse(LIST_ENTRY(callback, asyncio_thread_future, start.callback), "the loop is closed");
}

/* The end of a run waits for tasks that there are, and takes no new ones from outside. */
static void start_submitted(struct callback *callback)
{
    asyncio_thread_future *future = LIST_ENTRY(callback, asyncio_thread_future, start.callback);
    asyncio_loop *loop = future->loop;
    if (loop->is_shutting_down) {
        refuse(future, "the loop is about to close");
        return;
    }
    asy_vars_enter(loop, future->context);
    future->task = asy_task_start(loop, future->coro, asy_coro_site(future->coro));
    list_append(&future->task->future.waiters, &future->ended.node);
    list_append(&loop->abroad.entries, &future->abroad.node);
}

static const struct callback_kind submitted_kind = {start_submitted, drop_submitted};

static asyncio_thread_future *cancelled_by(struct callback *callback)
{
    asyncio_thread_future *future = LIST_ENTRY(callback, asyncio_thread_future, cancel.callback);
    atomic_store(&future->is_cancelling, false);
    return future;
}

/* Comes after the submission, whose future is needed to post it. */
static void run_cancel(struct callback *callback)
{
    asyncio_thread_future *future = cancelled_by(callback);
    if (future->task)
        asyncio_cancel(future->task);
    unref(future);
}

static void drop_cancel(struct callback *callback)
{
    unref(cancelled_by(callback));
}

static const struct callback_kind cancel_kind = {run_cancel, drop_cancel};

/* ---- On any thread ------------------------------------------------------------------------ */

asyncio_thread_future *asyncio_run_coroutine_threadsafe(asyncio_coro *coro, asyncio_loop *loop)
{
    if (!coro || !loop) {
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
    future->start.callback.kind = &submitted_kind;
    future->cancel.callback.kind = &cancel_kind;
    future->ended.notify = task_ended;
    future->abroad.loop_closes = loop_closes;
    asy_coro_hand_over(coro);
    err = asy_post(loop, &future->start);
    if (err)
        drop_submitted(&future->start.callback);
    return future;
}

static void check_thread_future(const asyncio_thread_future *future, const char *call)
{
    asy_object_check_alive(future->object.what, what_thread_future, call);
}

static bool is_done(asyncio_thread_future *future)
{
    return atomic_load(&future->done) == DONE;
}

/* False: it is not, and the time is over. */
static bool wait_until_done(asyncio_thread_future *future, double timeout)
{
    int64_t until_ns = asy_deadline_after(asy_sys_now_ns(), timeout);
    while (!is_done(future)) {
        uint32_t pending = PENDING;
        int64_t left_ns = until_ns == ASY_NO_DEADLINE ? -1 : until_ns - asy_sys_now_ns();
        if (left_ns <= 0 && until_ns != ASY_NO_DEADLINE)
            return false;
        atomic_compare_exchange_strong(&future->done, &pending, AWAITED);
        asy_sys_futex_wait(&future->done, AWAITED, left_ns);
    }
    return true;
}

intptr_t asyncio_thread_future_result(asyncio_thread_future *future, double timeout)
{
    static const char call[] = "asyncio_thread_future_result";
    if (!future || isnan(timeout))
        return -EINVAL;
    check_thread_future(future, call);
    if (!is_done(future)) {
        if (asy_loop_is_parents(future->loop))
            return asyncio_raise(ASYNCIO_ESTATE, "%s: the loop belongs to the parent process", call);
        if (asy_running_loop == future->loop)
            return asyncio_raise(-EDEADLK, "%s: this is the thread that runs the loop", call);
        if (!wait_until_done(future, timeout))
            return asyncio_raise(-ETIMEDOUT, "%s: the task has not ended yet", call);
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
    if (is_done(future) || asy_loop_is_parents(future->loop))
        return false;
    if (atomic_exchange(&future->is_cancelling, true))
        return true; /* the one before is on its way still */
    atomic_fetch_add(&future->refs, 1);
    int err = asy_post(future->loop, &future->cancel);
    if (err)
        drop_cancel(&future->cancel.callback);
    return !err;
}

void asyncio_thread_future_release(asyncio_thread_future *future)
{
    if (!future)
        return;
    check_thread_future(future, __func__);
    future->object.what = NULL;
    unref(future);
}
