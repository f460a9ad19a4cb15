/*
 * Futures: completion, references, callbacks.
 */
#include "asyncio/futures.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/future.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/quarantine.h"
#include "core/task.h"
#include "sys/slab.h"
#include <errno.h>

/* ---- Checks ------------------------------------------------------------------ */

static COLD _Noreturn void used_after_release(const asyncio_future *future, const char *call)
{
    const asyncio_site *site = future->site;
    if (future->kind == OBJECT_DEAD && site)
        asy_fatal("%s: used after its release; it was made at %s:%d in %s", call, site->file, site->line,
                  site->func);
    asy_fatal("%s: the pointer is not a task or future", call);
}

void asy_future_check(const asyncio_future *future, const char *call)
{
    if (UNLIKELY(future->kind != OBJECT_FUTURE && future->kind != OBJECT_TASK))
        used_after_release(future, call);
    if (LIKELY(future->loop != NULL))
        asy_loop_check(future->loop, call);
}

/* ---- Life --------------------------------------------------------------------- */

asyncio_future *asyncio_future_new_at(const asyncio_site *site)
{
    asyncio_loop *loop = asy_running_loop;
    asyncio_future *future = loop ? asy_slab_alloc(sizeof *future) : NULL;
    if (future) {
        asy_future_init(future, loop, site);
        asy_loop_object_made(loop);
    }
    return future;
}

asyncio_future *(asyncio_future_new)(void)
{
    return asyncio_future_new_at(NULL);
}

static inline void notify_one(struct list *node, asyncio_future *future)
{
    struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
    waiter->notify(waiter, future);
}

/* A waiter may put itself back onto the future's list while it is notified. */
static NOINLINE void notify_all(asyncio_future *future)
{
    struct list told, *node;
    list_init(&told);
    list_splice(&told, &future->waiters);
    while ((node = list_take_first(&told)))
        notify_one(node, future);
}

void asy_future_complete(asyncio_future *future, intptr_t result)
{
    ASY_ASSERT(!future->is_done);
    future->result = result;
    future->order = ++future->loop->completions;
    future->is_done = true;
    struct list *first = future->waiters.next;
    /* GCC would load this pointer and `order` at once, which waits for the store just above: 11 ns a task. */
    __asm__("" : "+r"(first));
    if (first == &future->waiters)
        return;
    if (UNLIKELY(first->next != &future->waiters)) {
        notify_all(future);
        return;
    }
    list_remove(first);
    notify_one(first, future);
}

void asy_future_cancel(asyncio_future *future, struct message *message)
{
    ASY_ASSERT(future->kind == OBJECT_FUTURE && !future->is_done);
    if (future->flags & FUTURE_PROXY) {
        ((struct proxy_future *)future)->hooks->cancel(future, message ? message->text : NULL);
        asy_message_unref(message);
        return;
    }
    asy_message_set(&future->message, message);
    asy_future_complete(future, -ECANCELED);
}

static COLD void report_unseen(asyncio_future *future)
{
    future->flags |= FUTURE_SEEN;
    if (future->kind == OBJECT_TASK)
        asy_report_task(future->loop, (asyncio_task *)future, future->result,
                        "task failed and nobody awaited it");
    else
        asy_report_site(future->loop, future->site, future->result, "future failed and nobody awaited it");
}

static void destroy_future(asyncio_future *future)
{
    if (future->is_done && asy_is_failure(future->result) && !(future->flags & FUTURE_SEEN)) {
        future->refs = 1; /* the exception handler may look at it, and keep it */
        report_unseen(future);
        if (--future->refs)
            return;
    }
    /* Done callbacks of a future that never completed go with it, and so do the entries of logs. */
    struct list *node;
    while ((node = list_take_first(&future->waiters))) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        waiter->notify(waiter, NULL);
    }
    if (future->kind == OBJECT_TASK) {
        asy_task_free((asyncio_task *)future);
        return;
    }
    asyncio_loop *loop = future->loop;
    asy_message_unref(future->message);
    future->kind = OBJECT_DEAD;
    if (UNLIKELY(future->flags & FUTURE_PROXY))
        ((struct proxy_future *)future)->hooks->free(future);
    else
        asy_object_free(loop, future, sizeof *future);
    asy_loop_object_freed(loop);
}

static NOINLINE void drop_last(asyncio_future *future)
{
    if (future->refs)
        asy_fatal("a task or future was released more often than it was referenced%s%s%s",
                  future->site ? "; it was made in " : "", future->site ? future->site->func : "",
                  future->site ? " (a pointer that is borrowed needs asyncio_ref before a call that takes it)"
                               : "");
    destroy_future(future);
}

void asy_future_unref(asyncio_future *future)
{
    /* One comparison for the last reference and for one too many: the common path has no frame. */
    if ((int32_t)--future->refs <= 0)
        drop_last(future);
}

asyncio_future *asyncio_ref_future(asyncio_future *future)
{
    if (future) {
        asy_future_check(future, "asyncio_ref");
        future->refs++;
    }
    return future;
}

void asyncio_release_future(asyncio_future *future)
{
    if (!future)
        return;
    if (UNLIKELY(future->kind == OBJECT_CORO)) {
        asyncio_coro_close((asyncio_coro *)(void *)future);
        return;
    }
    asy_future_check(future, "asyncio_release");
    asy_future_unref(future);
}

/* ---- State ----------------------------------------------------------------------- */

bool asyncio_done_future(asyncio_future *future)
{
    if (!future)
        return true;
    asy_future_check(future, "asyncio_done");
    return future->is_done;
}

bool asyncio_cancelled_future(asyncio_future *future)
{
    if (!future)
        return false;
    asy_future_check(future, "asyncio_cancelled");
    return future->is_done && future->result == -ECANCELED;
}

intptr_t asyncio_result_future(asyncio_future *future)
{
    if (!future)
        return -ENOMEM;
    asy_future_check(future, "asyncio_result");
    if (!future->is_done)
        return ASYNCIO_ESTATE;
    future->flags |= FUTURE_SEEN;
    return future->result;
}

static int set_outcome(asyncio_future *future, intptr_t result, const char *call)
{
    if (!future)
        return -EINVAL;
    asy_future_check(future, call);
    if (future->kind == OBJECT_TASK || (future->flags & FUTURE_PROXY))
        return -EINVAL;
    if (future->is_done)
        return ASYNCIO_ESTATE;
    asy_future_complete(future, result);
    return 0;
}

int asyncio_future_set_result(asyncio_future *future, intptr_t result)
{
    return result < 0 ? -EINVAL : set_outcome(future, result, __func__);
}

int asyncio_future_set_error(asyncio_future *future, intptr_t err)
{
    return err >= 0 ? -EINVAL : set_outcome(future, err, __func__);
}

bool asyncio_cancel_with_future(asyncio_future *future, const char *message)
{
    if (!future)
        return false;
    asy_future_check(future, "asyncio_cancel");
    if (future->kind == OBJECT_TASK)
        return asy_task_cancel((asyncio_task *)future, message);
    if (future->is_done)
        return false;
    asy_future_cancel(future, asy_message_new(-ECANCELED, message));
    return true;
}

bool asyncio_cancel_future(asyncio_future *future)
{
    return asyncio_cancel_with_future(future, NULL);
}

/* ---- Callbacks ----------------------------------------------------------------------
 * A callback is one block. It stands on the future's list, then in the ready queue, so that completion
 * allocates nothing. */

struct done_callback {
    struct callback callback; /* in the ready queue, once the future is done */
    struct waiter waiter;     /* on the future's list, until then */
    asyncio_done_callback fn;
    void *arg;
    asyncio_future *future; /* borrowed while it waits, a reference once queued */
    asyncio_context *context;
};

static void free_done_callback(struct done_callback *done)
{
    asy_vars_drop(done->context);
    asy_slab_free(done, sizeof *done);
}

static void run_done_callback(struct callback *callback)
{
    struct done_callback *done = (struct done_callback *)callback;
    asyncio_future *future = done->future;
    asyncio_done_callback fn = done->fn;
    void *arg = done->arg;
    asy_vars_enter(future->loop, done->context);
    asy_slab_free(done, sizeof *done);
    fn(future, arg);
    asy_future_unref(future);
}

static void drop_done_callback(struct callback *callback)
{
    struct done_callback *done = (struct done_callback *)callback;
    asyncio_future *future = done->future;
    free_done_callback(done);
    asy_future_unref(future);
}

static const struct callback_kind done_callback_kind = {run_done_callback, drop_done_callback};

static void queue_done_callback(struct done_callback *done)
{
    ASY_ASSERT(done->future->is_done);
    done->future->refs++;
    callback_push(&done->future->loop->ready, &done->callback, &done_callback_kind);
    asy_loop_queued(done->future->loop);
}

static void notify_done_callback(struct waiter *waiter, asyncio_future *future)
{
    struct done_callback *done = LIST_ENTRY(waiter, struct done_callback, waiter);
    if (future && !future->loop->is_closed)
        queue_done_callback(done);
    else
        free_done_callback(done);
}

int asyncio_add_done_callback_future(asyncio_future *future, asyncio_done_callback fn, void *arg)
{
    if (!future)
        return -ENOMEM;
    asy_future_check(future, "asyncio_add_done_callback");
    if (!fn)
        return -EINVAL;
    if (!future->loop || future->loop->is_closed)
        return ASYNCIO_ESTATE;
    asyncio_context *context;
    if (asy_vars_capture(future->loop, &context))
        return -ENOMEM;
    struct done_callback *done = asy_slab_alloc(sizeof *done);
    if (!done) {
        asy_vars_drop(context);
        return -ENOMEM;
    }
    *done = (struct done_callback){.fn = fn, .arg = arg, .future = future, .context = context};
    done->waiter.notify = notify_done_callback;
    list_init(&done->waiter.node);
    if (future->is_done)
        queue_done_callback(done);
    else
        list_append(&future->waiters, &done->waiter.node);
    return 0;
}

size_t asyncio_remove_done_callback_future(asyncio_future *future, asyncio_done_callback fn, void *arg)
{
    if (!future)
        return 0;
    asy_future_check(future, "asyncio_remove_done_callback");
    size_t removed = 0;
    for (struct list *node = future->waiters.next, *next; node != &future->waiters; node = next) {
        next = node->next;
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        if (waiter->notify != notify_done_callback)
            continue;
        struct done_callback *done = LIST_ENTRY(waiter, struct done_callback, waiter);
        if (done->fn != fn || done->arg != arg)
            continue;
        list_remove(node);
        free_done_callback(done);
        removed++;
    }
    return removed;
}
