/*
 * The verbs of a future, for tasks: in C a macro turns a task into the future that it begins with, by
 * its type; these functions are what it calls, and what other languages call. Each does what its future's
 * namesake does, NULL included.
 */
#include "core/future.h"
#include "core/task.h"

static inline asyncio_future *future_of(asyncio_task *task)
{
    return task ? &task->future : NULL;
}

asyncio_task *asyncio_ref_task(asyncio_task *task)
{
    asyncio_ref_future(future_of(task));
    return task;
}

void asyncio_release_task(asyncio_task *task)
{
    asyncio_release_future(future_of(task));
}

intptr_t asyncio_await_task(asyncio_task *task)
{
    return asyncio_await_future(future_of(task));
}

int asyncio_join_task(asyncio_task *task, intptr_t *result)
{
    return asyncio_join_future(future_of(task), result);
}

bool asyncio_done_task(asyncio_task *task)
{
    return asyncio_done_future(future_of(task));
}

bool asyncio_cancelled_task(asyncio_task *task)
{
    return asyncio_cancelled_future(future_of(task));
}

intptr_t asyncio_result_task(asyncio_task *task)
{
    return asyncio_result_future(future_of(task));
}

bool asyncio_cancel_task(asyncio_task *task)
{
    return asyncio_cancel_future(future_of(task));
}

bool asyncio_cancel_with_task(asyncio_task *task, const char *message)
{
    return asyncio_cancel_with_future(future_of(task), message);
}

int asyncio_add_done_callback_task(asyncio_task *task, asyncio_done_callback fn, void *arg)
{
    return asyncio_add_done_callback_future(future_of(task), fn, arg);
}

size_t asyncio_remove_done_callback_task(asyncio_task *task, asyncio_done_callback fn, void *arg)
{
    return asyncio_remove_done_callback_future(future_of(task), fn, arg);
}
