/*
 * Executors: the program's own functions on other threads.
 */
#include "asyncio/errors.h"
#include "asyncio/futures.h"
#include "asyncio/messages.h"
#include "asyncio/threads.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "core/message.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "threads/offload.h"
#include <errno.h>
#include <math.h>

struct asyncio_executor {
    struct pool pool;
};

static struct pool default_pool = POOL_INIT(default_pool, 0, 0, "asyncio-worker");

static const char what_executor[] = "executor";

static void check_executor(const asyncio_executor *executor, const char *call)
{
    asy_object_check_alive(executor->pool.object.what, what_executor, call);
}

asyncio_executor *asyncio_executor_new(unsigned threads)
{
    asyncio_executor *executor = asy_slab_alloc(sizeof *executor);
    if (!executor)
        return NULL;
    executor->pool.object = (struct loose_object){what_executor, sizeof *executor};
    asy_pool_init(&executor->pool, threads, "asyncio-worker");
    return executor;
}

void asyncio_executor_release(asyncio_executor *executor)
{
    if (!executor)
        return;
    check_executor(executor, __func__);
    executor->pool.object.what = NULL;
    asy_pool_retire(&executor->pool);
}

int asyncio_shutdown_threads(double timeout)
{
    if (isnan(timeout))
        return -EINVAL;
    if (asy_running_loop)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: this thread runs a loop", __func__);
    if (asy_sys_thread_self())
        return (int)asyncio_raise(-EDEADLK, "%s: this is a thread of an executor", __func__);
    int64_t timeout_ns = timeout > 0 ? asy_ns_from_seconds(timeout) : 0;
    unsigned left = asy_sys_threads_end(timeout_ns == ASY_NO_DEADLINE ? -1 : timeout_ns);
    return left ? (int)asyncio_raise(-ETIMEDOUT, "%s: %u threads are at work still", __func__, left) : 0;
}

/* ---- to_thread ------------------------------------------------------------------------
 * The work is a block of its own, though the caller waits for its end: the pool's thread touches it when the
 * caller may have been resumed already. */

struct thread_call {
    struct work work;
    intptr_t (*fn)(void *);
    void *arg;
    asyncio_context *context; /* a copy of the caller's, which the thread takes over */
    intptr_t result;
    struct message *message;
};

static void run_thread_call(struct work *work)
{
    struct thread_call *call = (struct thread_call *)work;
    asy_thread_message_clear();
    asy_vars_enter_thread(call->context);
    call->context = NULL;
    call->result = call->fn(call->arg);
    asy_vars_enter_thread(NULL);
    if (call->result < 0)
        call->message = asy_thread_message_take(call->result);
}

static void free_thread_call(struct work *work)
{
    struct thread_call *call = (struct thread_call *)work;
    asy_message_unref(call->message);
    asy_vars_drop(call->context);
    asy_sys_free(call);
}

/* A call that runs is waited for, since it may use the caller's memory. */
static bool cancel_queued_call(struct wait *wait)
{
    struct work *work = wait->object;
    if (!asy_offload_take_back(work))
        return false;
    work->free(work);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

static const struct wait_kind thread_kind = {
    .name = "to_thread",
    .cancel = cancel_queued_call,
    .shape = {.kind = SHAPE_WORK, .at = {offsetof(struct work, tid), offsetof(struct thread_call, fn)}},
};

static struct thread_call *make_thread_call(intptr_t (*fn)(void *), void *arg)
{
    struct thread_call *call = asy_sys_alloc(sizeof *call);
    if (!call)
        return NULL;
    *call = (struct thread_call){
        .work.run = run_thread_call, .work.free = free_thread_call, .fn = fn, .arg = arg};
    if (asy_vars_export(&call->context) == 0)
        return call;
    asy_sys_free(call);
    return NULL;
}

intptr_t asyncio_to_thread(intptr_t (*fn)(void *), void *arg)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!fn)
        return -EINVAL;
    asyncio_task *task = loop->current;
    struct thread_call *call = make_thread_call(fn, arg);
    if (!call)
        return -ENOMEM;
    int err = asy_offload_wait_as(&default_pool, loop, &call->work, &thread_kind);
    if (err)
        return err;
    intptr_t result = call->result;
    /* The function answers a request to cancel by -ECANCELED, which delivers the request. */
    if (result == -ECANCELED && task->must_cancel)
        asy_cancel_take(task);
    if (result < 0)
        asy_message_set(&task->future.message, asy_message_ref(call->message));
    free_thread_call(&call->work);
    return result;
}

/* ---- run_in_executor ---------------------------------------------------------------------
 * The future and the call point to each other until one of them has ended. */

struct executor_call {
    struct work work;
    struct waiter ended;    /* on the future, which the program may complete, as a rule by a cancel */
    asyncio_future *future; /* a reference; NULL once one of the two has ended */
    intptr_t (*fn)(void *);
    void *arg;
    void (*drop)(void *);
    intptr_t result;
    struct message *message;
};

static void run_executor_call(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    asy_thread_message_clear();
    asy_vars_enter_thread(NULL); /* a drop function may have left variables */
    call->result = call->fn(call->arg);
    asy_vars_enter_thread(NULL); /* the next call does not see the variables that this one set */
    if (call->result < 0)
        call->message = asy_thread_message_take(call->result);
}

/* drop is a callback and must not wait, even if a task called this function. */
static void drop_arg(void (*drop)(void *), void *arg)
{
    if (!drop)
        return;
    asyncio_task *hidden = asy_task_hide();
    drop(arg);
    asy_task_show(hidden);
}

static void free_executor_call(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    ASY_ASSERT(!call->future);
    drop_arg(call->drop, call->arg);
    asy_message_unref(call->message);
    asy_sys_free(call);
}

static void free_taken_back(struct callback *callback)
{
    free_executor_call((struct work *)callback);
}

static const struct callback_kind taken_back_kind = {free_taken_back, free_taken_back};

/* Parts the two. A shutdown of the loop waits until the last call has come back. */
static asyncio_future *detach_future(struct executor_call *call)
{
    asyncio_future *future = call->future;
    asyncio_loop *loop = future->loop;
    ASY_ASSERT(loop->abroad.shutdown_work > 0);
    list_remove(&call->ended.node);
    call->future = NULL;
    if (--loop->abroad.shutdown_work == 0 && loop->is_shutting_down && !loop->is_closed)
        asyncio_loop_stop(loop);
    return future;
}

/* The call is back on the loop's thread. */
static void complete_executor_call(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    if (call->future) {
        asyncio_future *future = detach_future(call);
        asy_message_set(&future->message, asy_message_ref(call->message));
        asy_future_complete(future, call->result);
        asy_future_unref(future);
    }
    free_executor_call(work);
}

/* The loop closes, and the future is never completed. */
static void lose_executor_call(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    if (call->future)
        asy_future_unref(detach_future(call));
}

/* The program completed or cancelled the future first. A call that is taken back is freed by the loop, since
 * the program's drop must not run inside a completion. */
static void abandon_executor_call(struct waiter *waiter, asyncio_future *future)
{
    struct executor_call *call = LIST_ENTRY(waiter, struct executor_call, ended);
    detach_future(call);
    if (asy_offload_abandon(&call->work)) {
        callback_push(&future->loop->ready, &call->work.post, &taken_back_kind);
        asy_loop_queued(future->loop);
    }
    asy_future_unref(future);
}

static struct executor_call *make_executor_call(intptr_t (*fn)(void *), void *arg, void (*drop)(void *))
{
    struct executor_call *call = asy_sys_alloc(sizeof *call);
    if (!call)
        return NULL;
    *call = (struct executor_call){.fn = fn, .arg = arg, .drop = drop};
    call->work.run = run_executor_call;
    call->work.done = complete_executor_call;
    call->work.lost = lose_executor_call;
    call->work.free = free_executor_call;
    call->ended.notify = abandon_executor_call;
    return call;
}

static void fail_without_thread(asyncio_future *future, int err)
{
    asy_message_set(&future->message, asy_message_new(err, "no thread could be made"));
    asy_future_complete(future, err);
}

asyncio_future *asyncio_run_in_executor(asyncio_executor *executor, intptr_t (*fn)(void *), void *arg,
                                        void (*drop)(void *))
{
    if (executor)
        check_executor(executor, __func__);
    asyncio_loop *loop = asy_running_loop;
    asyncio_future *future = loop && fn ? asyncio_future_new_at(NULL) : NULL;
    struct executor_call *call = future ? make_executor_call(fn, arg, drop) : NULL;
    if (!call) {
        asyncio_release_future(future);
        drop_arg(drop, arg);
        return NULL;
    }
    int err = asy_offload(executor ? &executor->pool : &default_pool, loop, &call->work);
    if (err) {
        free_executor_call(&call->work);
        fail_without_thread(future, err);
        return future;
    }
    loop->abroad.shutdown_work++;
    call->future = asyncio_ref_future(future);
    list_append(&future->waiters, &call->ended.node);
    return future;
}
