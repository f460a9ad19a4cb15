/*
 * Executors: the program's own functions on other threads.
 */
#include "asyncio/errors.h"
#include "asyncio/futures.h"
#include "asyncio/messages.h"
#include "asyncio/threads.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "io/offload.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>

#define DEFAULT_THREADS 32

struct asyncio_executor {
    struct pool pool;
};

static struct pool default_pool = POOL_INIT(default_pool, DEFAULT_THREADS, "asyncio-worker");

static unsigned default_threads(void)
{
    unsigned processors = asy_sys_processors();
    return processors + 4 < DEFAULT_THREADS ? processors + 4 : DEFAULT_THREADS;
}

asyncio_executor *asyncio_executor_new(unsigned threads)
{
    asyncio_executor *executor = asy_sys_calloc(1, sizeof *executor);
    if (executor)
        asy_pool_init(&executor->pool, threads ? threads : default_threads(), "asyncio-worker");
    return executor;
}

void asyncio_executor_release(asyncio_executor *executor)
{
    if (executor)
        asy_pool_retire(&executor->pool);
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
    work->wait = NULL;
    work->free(work);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

static const struct wait_kind thread_kind = {.name = "to_thread", .cancel = cancel_if_queued};

intptr_t asyncio_to_thread(intptr_t (*fn)(void *), void *arg)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!fn)
        return -EINVAL;
    asyncio_task *task = loop->current;
    struct thread_call *call = asy_sys_calloc(1, sizeof *call);
    if (!call)
        return -ENOMEM;
    call->work.run = run_thread_call;
    call->work.free = free_thread_call;
    call->fn = fn;
    call->arg = arg;
    int err = asy_vars_export(&call->context);
    if (err) {
        free_thread_call(&call->work);
        return err;
    }
    err = asy_offload_wait_as(&default_pool, loop, &call->work, &thread_kind);
    if (err)
        return err;
    intptr_t result = call->result;
    if (result < 0)
        asy_message_set(&task->future.message, asy_message_ref(call->message));
    free_thread_call(&call->work);
    return result;
}

/* ---- run_in_executor --------------------------------------------------------------------- */

struct executor_call {
    struct work work;
    struct waiter cancelled;    /* on the future: somebody may cancel it */
    asyncio_future *future;     /* a reference, until it is done */
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
    call->result = call->fn(call->arg);
    asy_vars_enter_thread(NULL); /* what it set is not for those after it */
    if (call->result < 0)
        call->message = asy_thread_message_take(call->result);
}

/* The loop is gone, or the future was cancelled meanwhile. */
static void free_executor_call(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    if (call->drop)
        call->drop(call->arg);
    asy_message_unref(call->message);
    asy_sys_free(call);
}

/* Back on the loop's thread. */
static void executor_call_done(struct work *work)
{
    struct executor_call *call = (struct executor_call *)work;
    asyncio_future *future = call->future;
    if (future) {
        list_remove(&call->cancelled.node);
        call->future = NULL;
        asy_message_set(&future->message, asy_message_ref(call->message));
        asy_future_complete(future, call->result);
        asy_future_unref(future);
    }
    free_executor_call(work);
}

/* The future was completed by somebody else: cancelled, as a rule. */
static void executor_future_done(struct waiter *waiter, asyncio_future *future)
{
    struct executor_call *call = LIST_ENTRY(waiter, struct executor_call, cancelled);
    asyncio_future *own = call->future;
    call->future = NULL;
    if (asy_offload_take_back(&call->work))
        free_executor_call(&call->work);
    if (future)
        asy_future_unref(own);
}

asyncio_future *asyncio_run_in_executor(asyncio_executor *executor, intptr_t (*fn)(void *), void *arg,
                                        void (*drop)(void *))
{
    asyncio_loop *loop = asy_running_loop;
    asyncio_future *future = loop && fn ? asyncio_future_new_at(NULL) : NULL;
    struct executor_call *call = future ? asy_sys_calloc(1, sizeof *call) : NULL;
    if (!call) {
        asyncio_release_future(future);
        if (drop)
            drop(arg);
        return NULL;
    }
    *call = (struct executor_call){.fn = fn, .arg = arg, .drop = drop, .future = future};
    call->work.run = run_executor_call;
    call->work.free = free_executor_call;
    call->work.done = executor_call_done;
    call->cancelled.notify = executor_future_done;
    int err = asy_offload(executor ? &executor->pool : &default_pool, loop, &call->work);
    if (err) {
        free_executor_call(&call->work);
        asy_future_complete(future, err);
        return future;
    }
    list_append(&future->waiters, &call->cancelled.node);
    return asyncio_ref_future(future);
}
