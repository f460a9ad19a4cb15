/*
 * Coroutines before they run, and awaiting them in place. A coroutine is a
 * task's block of which only the head, the type and the arguments are filled in.
 */
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "core/coro.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/switch.h"
#include "core/task.h"
#include "sys/slab.h"
#include <errno.h>

asyncio_coro *asyncio_coro_alloc(const asyncio_coro_type *type, void **args)
{
    asyncio_task *task = asy_slab_alloc(TASK_ARGS_OFFSET + type->args_size);
    if (UNLIKELY(!task))
        return NULL;
    asyncio_loop *loop = asy_running_loop;
    task->future.refs = 1;
    task->future.kind = OBJECT_CORO;
    task->future.flags = 0;
    task->future.site = &type->site;
    task->future.loop = loop;
    task->type = type;
    if (loop)
        loop->unstarted++;
    *args = task_args(task);
    return (asyncio_coro *)(void *)task;
}

void asy_coro_refuse_second_use(const asyncio_future *coro)
{
    const asyncio_site *site = coro->kind == OBJECT_DEAD || coro->kind == OBJECT_TASK ? coro->site : NULL;
    if (site)
        asy_fatal("a coroutine was used again after it had been awaited, started or closed; it was made at "
                  "%s:%d in %s",
                  site->file, site->line, site->func);
    asy_fatal("a coroutine was used again after it had been awaited, started or closed");
}

void asy_coro_hand_over(asyncio_coro *coro)
{
    asyncio_task *task = (asyncio_task *)(void *)coro;
    if (UNLIKELY(task->future.kind != OBJECT_CORO))
        asy_coro_refuse_second_use(&task->future);
    asy_coro_leave_unstarted(task);
    __atomic_store_n(&task->future.loop, NULL, __ATOMIC_RELAXED);
}

void asyncio_coro_close(asyncio_coro *coro)
{
    if (!coro)
        return;
    asyncio_task *task = asy_coro_begin(coro);
    asy_task_drop_args(task);
    asy_task_free(task);
}

void asyncio_release_coro(asyncio_coro *coro)
{
    asyncio_coro_close(coro);
}

/* ---- A function and its argument, as a coroutine ---------------------------- */

struct call {
    intptr_t (*fn)(void *);
    void *arg;
    void (*drop)(void *);
};

static void drop_argument(void (*drop)(void *), void *arg)
{
    if (!drop)
        return;
    asyncio_task *hidden = asy_task_hide();
    drop(arg);
    asy_task_show(hidden);
}

static void drop_function_call(void *args)
{
    const struct call *call = args;
    drop_argument(call->drop, call->arg);
}

static intptr_t start_function_call(void *args)
{
    const struct call *call = args;
    intptr_t result = call->fn(call->arg);
    drop_function_call(args);
    return result;
}

static const asyncio_coro_type call_type = {.site = {__FILE__, "a function", __LINE__},
                                            .start = start_function_call,
                                            .drop = drop_function_call,
                                            .args_size = sizeof(struct call)};

asyncio_coro *asyncio_coro_new_at(intptr_t (*fn)(void *), void *arg, void (*drop)(void *),
                                  const asyncio_site *site)
{
    void *place;
    asyncio_coro *coro = fn ? asyncio_coro_alloc(&call_type, &place) : NULL;
    if (!coro) {
        drop_argument(drop, arg);
        return NULL;
    }
    *(struct call *)place = (struct call){fn, arg, drop};
    if (site)
        ((asyncio_task *)(void *)coro)->future.site = site;
    return coro;
}

asyncio_coro *(asyncio_coro_new)(intptr_t (*fn)(void *), void *arg, void (*drop)(void *))
{
    return asyncio_coro_new_at(fn, arg, drop, NULL);
}

/* ---- Awaiting in place -------------------------------------------------------- */

intptr_t asyncio_await_coro(asyncio_coro *coro)
{
    if (UNLIKELY(!coro))
        return asy_null_awaited();
    if (UNLIKELY(!asy_current_task())) {
        asyncio_coro_close(coro);
        return ASYNCIO_ENOTASK;
    }
    asyncio_task *task = asy_coro_begin(coro);
    asyncio_task *caller = asy_current_task();
    const struct asyncio_scope *scopes = caller->scopes;
    task->future.kind = OBJECT_NONE; /* it runs: neither a coroutine nor a task */
    intptr_t result = task->type->start(task_args(task));
    if (UNLIKELY(caller->scopes != scopes))
        asy_returned_in_scope(&task->type->site);
    asy_task_free(task);
    return result;
}

int asyncio_join_coro(asyncio_coro *coro, intptr_t *result)
{
    if (coro && !asy_current_task()) {
        asyncio_coro_close(coro);
        return ASYNCIO_ENOTASK;
    }
    intptr_t value = asyncio_await_coro(coro);
    if (result)
        *result = value;
    return 0;
}
