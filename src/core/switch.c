/*
 * Running tasks: taking the next one, giving it a stack, switching to it, and
 * what happens when its body returns.
 *
 * A task gets its stack when it first runs. When one ends and the next ready
 * one is fresh, that one starts on the same stack, at the bottom of the same
 * loop, without any switch: a million short tasks run on a handful of hot
 * stacks.
 */
#include "core/switch.h"
#include "core/loop.h"
#include "core/task.h"
#include <errno.h>

/* The next ready task that may run now; NULL when the loop's own stack has to be
 * entered first (a callback is next, the iteration is over, nothing is ready). */
static asyncio_task *take_next(asyncio_loop *loop)
{
    struct ready *entry;
    while ((entry = loop->ready.first)) {
        if (UNLIKELY(loop->batch == 0) && !asy_loop_goes_on(loop))
            return NULL;
        if (UNLIKELY(entry->kind == READY_CALLBACK))
            return NULL;
        ready_drop_first(&loop->ready);
        loop->batch--;
        if (LIKELY(entry->kind == READY_TASK))
            return LIST_ENTRY(entry, asyncio_task, ready);
        entry->kind = READY_TASK;
        ready_push(&loop->ready, entry);
    }
    return NULL;
}

/* Makes `task` the running one, on its own stack or on one that it is given. */
static inline void make_current(asyncio_loop *loop, asyncio_task *task)
{
    loop->current = task;
    loop->turn++;
    task->steps++;
}

static inline void give_stack(asyncio_task *task, struct asy_stack *stack)
{
    task->stack = stack;
    stack->owner = task;
#if ASY_ASAN
    task->fiber.low = stack->low;
    task->fiber.size = (size_t)(stack->top - stack->low);
#endif
#if ASY_TSAN
    task->fiber.tsan = stack->checker;
#endif
}

/* The body has returned. */
static void finish(asyncio_loop *loop, asyncio_task *task, intptr_t result)
{
    loop->current = NULL;
    task->stack = NULL;
    task->must_cancel = false;
    list_remove(&task->all);
    loop->task_count--;
    asy_future_complete(&task->future, result);
    if (UNLIKELY(task->flags & TASK_LEFTOVER) && --loop->leftovers == 0)
        asyncio_loop_stop(loop);
    asy_future_unref(&task->future);
}

/* A stack for a task that starts now. False: there is none, and the task has
 * ended with that error. */
static void task_main(void *arg);
static NOINLINE bool start(asyncio_loop *loop, asyncio_task *task)
{
    int error = 0;
    struct asy_stack *stack = asy_stack_take(loop->stacks, task->stack_bytes, &error);
    if (UNLIKELY(!stack)) {
        asyncio_task *current = loop->current;
        asy_message_set(&task->future.message, asy_message_new(error, "no stack for the task: out of memory, address "
                                                                      "space or mappings"));
        if (task->type->drop)
            task->type->drop(task_args(task));
        finish(loop, task, error);
        loop->current = current;
        return false;
    }
    give_stack(task, stack);
    task->fiber.sp = asy_context_make(stack->top, task_main, loop, &loop->fp);
    return true;
}

/* The next task, with a stack; NULL as take_next. */
static inline asyncio_task *take_next_started(asyncio_loop *loop)
{
    for (;;) {
        asyncio_task *next = take_next(loop);
        if (!next || LIKELY(next->fiber.sp != NULL) || start(loop, next))
            return next;
    }
}

NOINLINE void asy_switch_park(asyncio_loop *loop, asyncio_task *task)
{
    asyncio_task *next = take_next_started(loop);
    if (UNLIKELY(!next)) {
        loop->current = NULL;
        fiber_switch(&task->fiber, &loop->fiber);
        return;
    }
    make_current(loop, next);
    if (LIKELY(next != task))
        fiber_switch(&task->fiber, &next->fiber);
}

/* Can `next`, which is fresh, go on with the stack that `wanted` bytes got? */
static bool fits(const asyncio_task *next, size_t wanted)
{
    return !next->fiber.sp && next->stack_bytes == wanted;
}

static COLD _Noreturn void returned_in_child(const asyncio_site *body)
{
    asy_fatal("coroutine '%s' returned in a forked child process; the loop belongs to the parent: "
              "end the child with _exit, or run a loop of its own in it", body->func);
}

/* The bottom frame of every task's stack. */
static void task_main(void *arg)
{
    asyncio_loop *loop = arg;
    fiber_entered(&loop->fiber);
    asyncio_task *task = loop->current;
    struct asy_stack *stack = task->stack;
    for (;;) {
        size_t wanted = task->stack_bytes;
        const asyncio_site *body = &task->type->site;
        intptr_t result = task->type->start(task_args(task));
        if (UNLIKELY(asy_running_loop != loop))
            returned_in_child(body);
        bool keep = task->flags & TASK_KEEP_STACK;
        finish(loop, task, result);

        asyncio_task *next = take_next(loop);
        if (next && !keep && fits(next, wanted)) {
            give_stack(next, stack);
            next->fiber.sp = stack->top; /* started */
            asy_fp_control_load(&loop->fp);
            make_current(loop, next);
            task = next;
            continue;
        }
        stack->owner = NULL;
        if (keep)
            list_append(&loop->kept_stacks, &stack->node);
        else
            asy_stack_give(loop->stacks, stack);
        if (next && !next->fiber.sp && !start(loop, next))
            next = take_next_started(loop);
        if (next)
            make_current(loop, next);
        fiber_leave(next ? &next->fiber : &loop->fiber);
    }
}

void asy_task_resume(asyncio_loop *loop, asyncio_task *task)
{
    if (!task->fiber.sp && !start(loop, task))
        return;
    make_current(loop, task);
    fiber_switch(&loop->fiber, &task->fiber);
}
