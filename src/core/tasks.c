/*
 * Tasks: how they are made, named, counted and freed.
 */
#include "asyncio/tasks.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/contextvars.h"
#include "core/coro.h"
#include "core/debug.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/quarantine.h"
#include "core/switch.h"
#include "core/task.h"
#include "core/trace.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

asyncio_task *asy_task_hide(void)
{
    asyncio_task *current = asy_current_task();
    if (current) {
        current->flags |= TASK_HIDDEN;
        current->future.loop->current = NULL;
    }
    return current;
}

void asy_task_show(asyncio_task *hidden)
{
    if (!hidden)
        return;
    ASY_ASSERT_TASK(!hidden->future.loop->current && !hidden->future.is_done, hidden);
    hidden->flags &= (uint8_t)~TASK_HIDDEN;
    hidden->future.loop->current = hidden;
}

/* ---- Numbers ---------------------------------------------------------------------
 * Task numbers are the process's. A loop takes a block of them at a time, and
 * gives the rest back if no other loop came in between. */

#define ID_BLOCK 4096

static _Atomic uint64_t ids_taken;

static uint64_t take_task_id(asyncio_loop *loop)
{
    if (UNLIKELY(loop->next_id == loop->last_id)) {
        /* Relaxed: only the number counts, nothing goes with it. */
        loop->next_id = atomic_fetch_add_explicit(&ids_taken, ID_BLOCK, memory_order_relaxed);
        loop->last_id = loop->next_id + ID_BLOCK;
    }
    return ++loop->next_id;
}

void asy_task_ids_return(asyncio_loop *loop)
{
    ASY_ASSERT(loop->next_id <= loop->last_id);
    uint64_t end = loop->last_id;
    atomic_compare_exchange_strong(&ids_taken, &end, loop->next_id);
    loop->last_id = loop->next_id;
}

/* ---- Life -------------------------------------------------------------------------- */

/* Turns a coroutine's block into a task's. Its type and arguments are set. */
static void init_task(asyncio_task *task, asyncio_loop *loop, const asyncio_site *site)
{
    asy_future_init(&task->future, loop, site);
    task->future.kind = OBJECT_TASK;
    task->ready.kind = READY_TASK;
    task->fiber = (struct fiber){0};
    task->stack = NULL;
    task->wait = NULL;
    task->must_cancel = false;
    task->is_requested = false;
    task->flags = 0;
    task->waits_on = 0;
    task->cancels = 0;
    task->cancel_message = NULL;
    task->scopes = NULL;
    task->context = NULL;
    task->name = NULL;
    task->id = 0;
    task->steps = 0;
    task->stack_bytes = 0;
}

static inline asyncio_task *make_task(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_task *task = asy_coro_begin(coro);
    init_task(task, loop, site);
    task->future.refs = 2;
    task->context = asy_vars_inherit(loop);
    asy_loop_object_made(loop);
    task->id = take_task_id(loop);
    list_append(&loop->tasks, &task->all);
    loop->task_count++;
    if (UNLIKELY(loop->instrument != NULL))
        asy_trace(loop, ASYNCIO_TRACE_TASK_CREATED, task);
    return task;
}

asyncio_task *asy_task_make(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site)
{
    return make_task(loop, coro, site);
}

asyncio_task *asy_task_queue(asyncio_task *task)
{
    asyncio_loop *loop = task->future.loop;
    ready_push(&loop->ready, &task->ready);
    asy_loop_task_queued(loop, task);
    return task;
}

/* Is a new task of this loop to run to its first wait at once? */
static inline bool is_to_start_eagerly(const asyncio_loop *loop, int eager_start)
{
    return UNLIKELY((eager_start ? eager_start : loop->options.eager) > 0) && loop == asy_running_loop &&
           !asy_eager_is_too_deep(loop);
}

/* Starts a fresh task as `eager_start` says, or where that is 0 as the loop's options do, and returns it.
 * Creators call it last: see the eager starts in switch.c. */
static inline asyncio_task *begin_task(asyncio_loop *loop, asyncio_task *task, int eager_start)
{
    if (is_to_start_eagerly(loop, eager_start))
        return asy_task_run_eagerly(loop, task);
    return asy_task_queue(task);
}

void asy_task_begin_lent(asyncio_task *task)
{
    asyncio_loop *loop = task->future.loop;
    if (!is_to_start_eagerly(loop, 0)) {
        asy_task_queue(task);
        return;
    }
    task->future.refs++;
    asy_task_run_eagerly(loop, task);
    if (task->future.is_done)
        asy_task_lend(loop, task);
    else
        asy_future_unref(&task->future);
}

void asy_task_lend(asyncio_loop *loop, asyncio_task *task)
{
    ASY_ASSERT_TASK(task->future.is_done, task);
    list_append(&loop->lent, &task->all);
}

void asy_tasks_lent_release(asyncio_loop *loop)
{
    struct list *node;
    while ((node = list_take_first(&loop->lent)))
        asy_future_unref(&LIST_ENTRY(node, asyncio_task, all)->future);
}

asyncio_task *asy_task_refused(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site, intptr_t err)
{
    asyncio_task *task = asy_coro_begin(coro);
    asy_task_drop_args(task);
    init_task(task, loop, site);
    list_init(&task->all);
    if (loop)
        asy_loop_object_made(loop);
    task->future.flags = FUTURE_SEEN;
    task->future.result = err;
    task->future.order = 0;
    task->future.is_done = true;
    return task;
}

void asy_task_drop_args(asyncio_task *task)
{
    if (!task->type->drop)
        return;
    asyncio_task *hidden = asy_task_hide();
    task->type->drop(task_args(task));
    asy_task_show(hidden);
}

/* Frees what few tasks have: messages, name, context. */
static NOINLINE void free_extras(asyncio_task *task)
{
    asy_message_unref(task->future.message);
    asy_message_unref(task->cancel_message);
    asy_sys_free(task->name);
    asy_vars_drop(task->context);
}

void asy_task_free(asyncio_task *task)
{
    asyncio_loop *loop = NULL;
    if (task->future.kind == OBJECT_TASK) {
        loop = task->future.loop;
        if (UNLIKELY(task->future.message || task->cancel_message || task->name || task->context))
            free_extras(task);
    }
    /* A coroutine may be freed by another thread than the one that made it, whose loop, when it closes, looks
     * for coroutines that were never started (loop.c: report_unstarted). Relaxed: it wants the kind alone. */
    __atomic_store_n(&task->future.kind, (uint8_t)OBJECT_DEAD, __ATOMIC_RELAXED);
    asy_object_free(asy_running_loop, task, task_bytes(task));
    if (loop)
        asy_loop_object_freed(loop);
}

static char *copy_name(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = asy_sys_alloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

/* ---- Making them ---------------------------------------------------------------------- */

/* May tasks be made on this loop? */
static inline bool takes_tasks(const asyncio_loop *loop)
{
    return LIKELY(loop && !asy_loop_unusable(loop));
}

asyncio_task *asyncio_create_task_at(asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_loop *loop = asy_running_loop;
    if (UNLIKELY(!coro))
        return NULL;
    if (!takes_tasks(loop))
        return asy_task_refused(loop, coro, site, ASYNCIO_ESTATE);
    return begin_task(loop, make_task(loop, coro, site), 0);
}

asyncio_task *asyncio_loop_create_task_at(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_context *context = NULL;
    if (loop)
        asy_loop_check(loop, "asyncio_loop_create_task");
    if (!coro)
        return NULL;
    bool is_elsewhere = loop && loop != asy_running_loop; /* it has no context to inherit */
    if (is_elsewhere && asy_vars_capture(loop, &context))
        return asy_task_refused(loop, coro, site, -ENOMEM);
    if (!takes_tasks(loop)) {
        asy_vars_drop(context);
        return asy_task_refused(loop, coro, site, ASYNCIO_ESTATE);
    }
    asyncio_task *task = make_task(loop, coro, site);
    if (context)
        task->context = context;
    return begin_task(loop, task, 0);
}

/* Why options cannot be met: 0, -EINVAL, -ENOMEM or ASYNCIO_ESTATE. *name is a copy of theirs, or NULL. */
static int read_options(const asyncio_loop *loop, const asyncio_task_options *options, char **name)
{
    if (options->context)
        asy_vars_check(options->context, "asyncio_create_task_with");
    if (!takes_tasks(loop))
        return ASYNCIO_ESTATE;
    if (options->stack_size > ASY_STACK_MAX_BYTES)
        return -EINVAL;
    if (options->name && !(*name = copy_name(options->name)))
        return -ENOMEM;
    return 0;
}

asyncio_task *asyncio_create_task_with_at(asyncio_coro *coro, const asyncio_task_options *options,
                                          const asyncio_site *site)
{
    asyncio_loop *loop = asy_running_loop;
    char *name = NULL;
    if (!coro)
        return NULL;
    if (!options)
        return asyncio_create_task_at(coro, site);
    int err = read_options(loop, options, &name);
    if (err)
        return asy_task_refused(loop, coro, site, err);
    asyncio_task *task = make_task(loop, coro, site);
    task->name = name;
    task->stack_bytes = options->stack_size;
    if (options->context)
        asy_vars_put(&task->context, asy_vars_ref(options->context));
    return begin_task(loop, task, options->eager_start);
}

asyncio_task *(asyncio_create_task)(asyncio_coro *coro)
{
    return asyncio_create_task_at(coro, NULL);
}

asyncio_task *(asyncio_create_task_with)(asyncio_coro *coro, const asyncio_task_options *options)
{
    return asyncio_create_task_with_at(coro, options, NULL);
}

asyncio_task *(asyncio_loop_create_task)(asyncio_loop *loop, asyncio_coro *coro)
{
    return asyncio_loop_create_task_at(loop, coro, NULL);
}

asyncio_future *asyncio_ensure_future_coro(asyncio_coro *coro, const asyncio_site *site)
{
    asyncio_task *task = asyncio_create_task_at(coro, site);
    return task ? &task->future : NULL;
}

asyncio_future *asyncio_ensure_future_task(asyncio_task *task, const asyncio_site *site)
{
    (void)site;
    return task ? &task->future : NULL;
}

asyncio_future *asyncio_ensure_future_future(asyncio_future *future, const asyncio_site *site)
{
    if (future && future->kind == OBJECT_CORO)
        return asyncio_ensure_future_coro((asyncio_coro *)(void *)future, site);
    return future;
}

/* ---- Looking at them --------------------------------------------------------------------- */

asyncio_task *asyncio_current_task(void)
{
    return asy_current_task();
}

size_t asyncio_all_tasks(asyncio_task **out, size_t capacity)
{
    asyncio_loop *loop = asy_running_loop;
    size_t count = 0;
    if (!loop)
        return 0;
    LIST_EACH(node, &loop->tasks) {
        if (out && count < capacity)
            out[count] = LIST_ENTRY(node, asyncio_task, all);
        count++;
    }
    return count;
}

static void check_task(const asyncio_task *task, const char *call)
{
    asy_future_check(&task->future, call);
    if (UNLIKELY(task->future.kind != OBJECT_TASK))
        asy_fatal("%s: the pointer is a future, not a task", call);
}

const char *asyncio_task_name(asyncio_task *task)
{
    if (!task)
        return "";
    check_task(task, __func__);
    if (!task->name) {
        char text[32];
        snprintf(text, sizeof text, "Task-%llu", (unsigned long long)task->id);
        task->name = copy_name(text);
    }
    return task->name ? task->name : "Task";
}

int asyncio_task_set_name(asyncio_task *task, const char *name)
{
    if (!task || !name)
        return -EINVAL;
    check_task(task, __func__);
    char *copy = copy_name(name);
    if (!copy)
        return -ENOMEM;
    asy_sys_free(task->name);
    task->name = copy;
    asyncio_loop *loop = task->future.loop;
    if (loop && loop->is_traced && !asy_loop_is_parents(loop))
        asy_trace_named(loop, task);
    return 0;
}

int asyncio_task_cancelling(asyncio_task *task)
{
    if (!task)
        return 0;
    check_task(task, __func__);
    return (int)task->cancels;
}

int asyncio_task_uncancel(asyncio_task *task)
{
    if (!task)
        return 0;
    check_task(task, __func__);
    if (task->future.is_done)
        return 0;
    if (task->cancels && --task->cancels == 0)
        asy_cancel_withdraw(task, NULL);
    return (int)task->cancels;
}
