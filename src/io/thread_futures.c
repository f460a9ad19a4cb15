/*
 * Coroutines submitted from other threads, and what those get for it.
 *
 * The shared block is counted: the submitter has one reference, the loop's side
 * another until the task has ended. Result and done are under its lock.
 */
#include "asyncio/errors.h"
#include "asyncio/futures.h"
#include "asyncio/tasks.h"
#include "asyncio/threads.h"
#include "core/contextvars.h"
#include "core/coro.h"
#include "core/loop.h"
#include "core/post.h"
#include "core/task.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <math.h>

struct asyncio_thread_future {
    struct post start;           /* the submission itself */
    _Atomic unsigned refs;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    asyncio_loop *loop;          /* a reference */
    asyncio_coro *coro;          /* until it is started */
    asyncio_context *context;    /* a copy of the submitter's, until then */
    asyncio_task *task;          /* on the loop's thread, a reference while it runs */
    bool done, cancelled;        /* under the lock */
    intptr_t result;             /* under the lock, once done */
};

static void unref(asyncio_thread_future *future)
{
    if (atomic_fetch_sub(&future->refs, 1) != 1)
        return;
    asyncio_loop_release(future->loop);
    pthread_mutex_destroy(&future->lock);
    pthread_cond_destroy(&future->ended);
    asy_sys_free(future);
}

static void finish(asyncio_thread_future *future, intptr_t result)
{
    pthread_mutex_lock(&future->lock);
    future->done = true;
    future->result = result;
    pthread_cond_broadcast(&future->ended);
    pthread_mutex_unlock(&future->lock);
    unref(future);
}

/* ---- On the loop's thread ------------------------------------------------------------ */

/* Told by the task's completion itself, so that the submitter need not wait for another turn of the loop. */
struct ending {
    struct waiter waiter;
    asyncio_thread_future *future;
};

static void task_ended(struct waiter *waiter, asyncio_future *task)
{
    struct ending *ending = LIST_ENTRY(waiter, struct ending, waiter);
    asyncio_thread_future *future = ending->future;
    asy_sys_free(ending);
    future->task = NULL;
    if (task)
        task->flags |= FUTURE_SEEN;
    finish(future, task ? task->result : ASYNCIO_ESTATE);
    if (task)
        asy_future_unref(task);
}

static bool is_cancelled(asyncio_thread_future *future)
{
    pthread_mutex_lock(&future->lock);
    bool cancelled = future->cancelled;
    pthread_mutex_unlock(&future->lock);
    return cancelled;
}

static void start_submitted(struct callback *callback)
{
    asyncio_thread_future *future = (asyncio_thread_future *)callback;
    struct ending *ending = asy_sys_alloc(sizeof *ending);
    if (!ending) {
        asyncio_coro_close(future->coro);
        asy_vars_drop(future->context);
        finish(future, -ENOMEM);
        return;
    }
    asy_vars_enter(future->loop, future->context);
    future->task = asyncio_loop_create_task(future->loop, future->coro);
    future->coro = NULL;
    ending->future = future;
    ending->waiter.notify = task_ended;
    list_append(&future->task->future.waiters, &ending->waiter.node);
    if (is_cancelled(future))
        asyncio_cancel(future->task);
}

static void drop_submitted(struct callback *callback)
{
    asyncio_thread_future *future = (asyncio_thread_future *)callback;
    asyncio_coro_close(future->coro);
    asy_vars_drop(future->context);
    finish(future, ASYNCIO_ESTATE);
}

static const struct callback_kind submitted_kind = {start_submitted, drop_submitted};

/* ---- On any thread ------------------------------------------------------------------------ */

asyncio_thread_future *asyncio_run_coroutine_threadsafe(asyncio_coro *coro, asyncio_loop *loop)
{
    if (!coro || !loop) {
        asyncio_coro_close(coro);
        return NULL;
    }
    asyncio_thread_future *future = asy_sys_calloc(1, sizeof *future);
    if (!future || asy_vars_capture(loop, &future->context)) {
        asy_sys_free(future);
        asyncio_coro_close(coro);
        return NULL;
    }
    atomic_init(&future->refs, 2);
    pthread_mutex_init(&future->lock, NULL);
    asy_sys_cond_init(&future->ended);
    future->loop = asyncio_loop_ref(loop);
    future->coro = coro;
    asy_coro_hand_over(coro);
    future->start.callback.kind = &submitted_kind;
    if (asy_post(loop, &future->start))
        drop_submitted(&future->start.callback);
    return future;
}

intptr_t asyncio_thread_future_result(asyncio_thread_future *future, double timeout)
{
    if (!future || isnan(timeout))
        return -EINVAL;
    pthread_mutex_lock(&future->lock);
    intptr_t result = -ETIMEDOUT;
    if (!future->done && asy_running_loop == future->loop) {
        result = -EDEADLK;
    } else {
        int64_t until_ns = asy_deadline_after(asy_sys_now_ns(), timeout);
        while (!future->done && asy_sys_cond_wait_until(&future->ended, &future->lock, until_ns))
            ;
        if (future->done)
            result = future->result;
    }
    pthread_mutex_unlock(&future->lock);
    return result;
}

struct cancel_post {
    struct post post;
    asyncio_thread_future *future; /* a reference */
};

static void drop_cancel(struct callback *callback)
{
    asyncio_thread_future *future = ((struct cancel_post *)callback)->future;
    asy_sys_free(callback);
    unref(future);
}

static void run_cancel(struct callback *callback)
{
    asyncio_thread_future *future = ((struct cancel_post *)callback)->future;
    if (future->task)
        asyncio_cancel(future->task);
    drop_cancel(callback);
}

static const struct callback_kind cancel_kind = {run_cancel, drop_cancel};

bool asyncio_thread_future_cancel(asyncio_thread_future *future)
{
    if (!future)
        return false;
    pthread_mutex_lock(&future->lock);
    bool done = future->done;
    future->cancelled = true;
    pthread_mutex_unlock(&future->lock);
    if (done)
        return false;
    struct cancel_post *post = asy_sys_alloc(sizeof *post);
    if (!post)
        return false;
    *post = (struct cancel_post){.post.callback.kind = &cancel_kind, .future = future};
    atomic_fetch_add(&future->refs, 1);
    int err = asy_post(future->loop, &post->post);
    if (err)
        drop_cancel(&post->post.callback);
    return !err;
}

void asyncio_thread_future_release(asyncio_thread_future *future)
{
    if (future)
        unref(future);
}
