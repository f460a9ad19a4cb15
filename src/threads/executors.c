/*
 * Executors: the program's own functions on other threads.
 */
#include "asyncio/errors.h"
#include "asyncio/futures.h"
#include "asyncio/messages.h"
#include "asyncio/threads.h"
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
 * The work is a block of its own, though the caller waits for its end: the
 * pool's thread touches it after the caller may have been resumed. */

struct thread_call {
    struct work work;
    intptr_t (*fn)(void *);
    void *arg;
    asyncio_context *context; /* a copy of the caller's, for the thread to count */
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

/* Once it runs it is waited for: it may use memory of the caller's. */
static bool cancel_if_queued(struct wait *wait)
{
    struct work *work = wait->object;
    if (!asy_offload_take_back(work))
        return false;
    work->free(work);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

static const struct wait_kind thread_kind = {.name = "to_thread", .cancel = cancel_if_queued};

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
    /* It was asked to stop, and says that it did: the request is delivered with that. */
    if (result == -ECANCELED && task->must_cancel)
        asy_cancel_take(task);
    if (result < 0)
        asy_message_set(&task->future.message, asy_message_ref(call->message));
    free_thread_call(&call->work);
    return result;
}

/* ---- run_in_executor ---------------------------------------------------------------------
 * The future and the work know of each other until one of them is done with. */

struct executor_call {
    struct work work;
    struct waiter ended;    /* on the future: somebody else may complete it, as a rule by a cancel */
    asyncio_future *future; /* a reference, until it is done */
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
    asy_vars_enter_thread(NULL); /* a drop function may have left something */
    call->result = call->fn(call->arg);
    asy_vars_enter_thread(NULL); /* what it set is not for those after it */
    if (call->result < 0)
        call->message = asy_thread_message_take(call->result);
}

/* drop is a callback: it must not wait, even when a task's step led here. */
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
    drop_arg(call->drop, call->arg);
    asy_message_unref(call->message);
    asy_sys_free(call);
}

static void free_taken_back(struct callback *callback)
{
    free_executor_call((struct work *)callback);
}

static const struct callback_kind taken_back_kind = {free_taken_back, free_taken_back};

/* The shutdown waits for those that are owed. */
static asyncio_future *part(struct executor_call *call)
{
    asyncio_future *future = call->future;
    asyncio_loop *loop = future->loop;
    list_remove(&call->ended.node);
    call->future = NULL;
    if (--loop->abroad.shutdown_work == 0 && loop->is_shutting_down && !loop->is_closed)
        asyncio_loop_stop(loop);
    return future;
}

/* Back on the loop's thread. */
static void executor_call_done(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    if (call->future) {
        asyncio_future *future = part(call);
        asy_message_set(&future->message, asy_message_ref(call->message));
        asy_future_complete(future, call->result);
        asy_future_unref(future);
    }
    free_executor_call(work);
}

/* The loop closes, and nobody will complete the future. */
static void executor_call_lost(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    if (call->future)
        asy_future_unref(part(call));
}

/* The future was completed by somebody else. The program's drop is not for in here. */
static void executor_future_ended(struct waiter *waiter, asyncio_future *future)
{
    struct executor_call *call = LIST_ENTRY(waiter, struct executor_call, ended);
    part(call);
    if (asy_offload_abandon(&call->work)) {
        callback_push(&future->loop->ready, &call->work.post.callback, &taken_back_kind);
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
    call->work.done = executor_call_done;
    call->work.lost = executor_call_lost;
    call->work.free = free_executor_call;
    call->ended.notify = executor_future_ended;
    return call;
}

static void no_thread(asyncio_future *future, int err)
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
        no_thread(future, err);
        return future;
    }
    loop->abroad.shutdown_work++;
    call->future = asyncio_ref_future(future);
    list_append(&future->waiters, &call->ended.node);
    return future;
}
