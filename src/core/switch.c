/*
 * Running tasks: the next ready task is taken, gets a stack if it has none, and is switched to; and when its
 * body returns, it ends.
 *
 * A task gets its stack when it first runs. If a task ends and the next ready one is fresh, that one starts
 * on the same stack, in the same for loop (run_tasks), without a switch: a million short tasks run on a
 * handful of hot stacks.
 */
#include "core/switch.h"
#include "base/assert.h"
#include "core/checks.h"
#include "core/debug.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include "core/trace.h"
#include <errno.h>

static void task_main(void *arg);

/* The first-level cache does not hold the stacks of more ready tasks than this. Then each switch fetches the
 * top of the stack of the task that comes next, and the block of the one after it. */
#define MANY_READY 64

static inline __attribute__((always_inline)) void fetch_next_tasks(const struct ready *next)
{
    fetch_lines(next->next, 1);
    fetch_stack(next, 3);
}

/* The next ready task that may run now; NULL when the loop's own stack has to be
 * entered first (a callback is next, the iteration is over, nothing is ready). */
static inline __attribute__((always_inline)) asyncio_task *take_next(asyncio_loop *loop)
{
    struct ready *entry;
    while ((entry = loop->ready.first)) {
        if (UNLIKELY(loop->batch == 0) && !asy_loop_goes_on(loop))
            return NULL;
        if (UNLIKELY(entry->kind >= READY_CALLBACK))
            return NULL;
        ready_drop_first(&loop->ready);
        loop->batch--;
        if (UNLIKELY(loop->ready.count > MANY_READY))
            fetch_next_tasks(loop->ready.first);
        if (LIKELY(entry->kind == READY_TASK))
            return LIST_ENTRY(entry, asyncio_task, ready);
        entry->kind = READY_TASK;
        ready_push(&loop->ready, entry);
    }
    return NULL;
}

static inline void make_current(asyncio_loop *loop, asyncio_task *task)
{
    loop->current = task;
    COUNT_UP(loop->steps);
    loop->budget = ASY_BUDGET;
    task->steps++;
}

static inline void assign_stack(asyncio_task *task, struct asy_stack *stack)
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

/* The loop keeps one stack of the default size at hand: the one used last. */
static inline void put_stack(asyncio_loop *loop, struct asy_stack *stack, size_t wanted)
{
    stack->owner = NULL;
    if (LIKELY(!loop->spare_stack && wanted == 0))
        loop->spare_stack = stack;
    else
        asy_stack_give(loop->stacks, stack);
}

static COLD void end_leftover(asyncio_loop *loop)
{
    ASY_ASSERT(loop->leftovers > 0);
    if (--loop->leftovers == 0)
        asyncio_loop_stop(loop);
}

static NOINLINE void tell_end(asyncio_loop *loop, const asyncio_task *task)
{
    if (task->flags & TASK_TRACED)
        asy_trace_done(loop, task);
    if (task->flags & TASK_MEASURED)
        asy_checks_measure(loop, task);
    if (task->flags & TASK_LEFTOVER)
        end_leftover(loop);
}

/* The body has returned, or never ran. */
static inline __attribute__((always_inline)) void finish_task(asyncio_loop *loop, asyncio_task *task,
                                                              intptr_t result)
{
    loop->current = NULL;
    task->stack = NULL;
    list_remove(&task->all);
    loop->task_count--;
    asy_future_complete(&task->future, result);
    if (UNLIKELY(task->flags & (TASK_LEFTOVER | TASK_TRACED | TASK_MEASURED)))
        tell_end(loop, task);
    asy_future_unref(&task->future);
}

static COLD void fail_to_start(asyncio_loop *loop, asyncio_task *task, int err)
{
    asyncio_task *current = loop->current;
    asy_message_set(&task->future.message,
                    asy_message_new(err, "no stack for the task: out of memory, address space or mappings"));
    asy_task_drop_args(task);
    finish_task(loop, task, err);
    loop->current = current;
}

/* Gives a stack to a task that is about to start. False: there is none, and the task has ended with an
 * error. */
static inline bool give_stack(asyncio_loop *loop, asyncio_task *task)
{
    struct asy_stack *stack = loop->spare_stack;
    if (LIKELY(stack && task->stack_bytes == 0)) {
        loop->spare_stack = NULL;
    } else {
        struct asy_stack *taken;
        int err = asy_stack_take(loop->stacks, task->stack_bytes, &taken);
        if (err) {
            fail_to_start(loop, task, err);
            return false;
        }
        stack = taken;
    }
    assign_stack(task, stack);
    return true;
}

/* The next task, with a stack; NULL as take_next. */
static inline __attribute__((always_inline)) asyncio_task *take_next_equipped(asyncio_loop *loop)
{
    for (;;) {
        asyncio_task *next = take_next(loop);
        if (!next || LIKELY(next->fiber.sp != NULL) || give_stack(loop, next))
            return next;
    }
}

/* Leaves the fibre `from` for a task that has a stack. */
static inline __attribute__((always_inline)) void switch_to_task(asyncio_loop *loop, struct fiber *from,
                                                                 asyncio_task *next)
{
    make_current(loop, next);
    if (LIKELY(next->fiber.sp != NULL))
        fiber_switch(from, &next->fiber);
    else
        fiber_start(from, &next->fiber, next->stack->top, task_main, loop, &loop->fp);
}

/* The task takes the exceptions that it holds along, and leaves the thread with none. */
static NOINLINE void park_with_exceptions(asyncio_loop *loop, asyncio_task *task)
{
    struct exceptions held = *loop->exceptions;
    *loop->exceptions = (struct exceptions){0};
    asy_switch_park(loop, task);
    *loop->exceptions = held; /* the loop may be another thread's by now */
}

HOT NOINLINE void asy_switch_park(asyncio_loop *loop, asyncio_task *task)
{
    if (UNLIKELY(exceptions_are_held(loop))) {
        park_with_exceptions(loop, task);
        return;
    }
    asyncio_task *next = take_next_equipped(loop);
    if (UNLIKELY(!next)) {
        loop->current = NULL;
        fiber_switch(&task->fiber, &loop->fiber);
    } else if (LIKELY(next != task)) {
        switch_to_task(loop, &task->fiber, next);
    } else {
        make_current(loop, task);
    }
}

HOT void asy_task_resume(asyncio_loop *loop, asyncio_task *task)
{
    ASY_ASSERT_TASK(!loop->current, task);
    if (task->fiber.sp || give_stack(loop, task))
        switch_to_task(loop, &loop->fiber, task);
}

/* ---- Eager starts ------------------------------------------------------------------------
 * The creator's frame takes the place of the loop's own stack. A child that parks or ends finds nothing to
 * hand over to, since the batch is empty, and so goes where a task goes then: to loop->fiber. The creator's
 * budget counts for both: a task that makes eager ones without end still gives way.
 *
 * What a child that parks has called, its creator does not return from, so the processor predicts the returns
 * of the creator's frames wrongly: the fewer there are up to the program, the better. */

static inline void end_eager_start(asyncio_loop *loop, const struct eager_start *start)
{
    ASY_ASSERT(loop->eager == start && !loop->current);
    loop->eager = start->outer;
    loop->current = start->creator;
    loop->fiber = start->fiber;
    loop->batch = start->batch;
    loop->ready_then = start->ready_then;
    if (UNLIKELY(!loop->budget))
        loop->budget = 1; /* the child gave way because it was gone: the creator does so in its next call */
}

static inline __attribute__((always_inline)) void run_first_step(asyncio_loop *loop, asyncio_task *task)
{
    if (!give_stack(loop, task))
        return;
    loop->current = task;
    COUNT_UP(loop->steps);
    task->steps++;
    fiber_start(&loop->fiber, &task->fiber, task->stack->top, task_main, loop, &loop->fp);
}

static void run_watched_first_step(asyncio_loop *loop, asyncio_task *task)
{
    run_first_step(loop, task);
}

/* The creator keeps the exceptions that it holds, and the child begins with none. */
static NOINLINE asyncio_task *run_eagerly_with_exceptions(asyncio_loop *loop, asyncio_task *task)
{
    struct exceptions held = *loop->exceptions;
    *loop->exceptions = (struct exceptions){0};
    asy_task_run_eagerly(loop, task);
    *loop->exceptions = held;
    return task;
}

HOT asyncio_task *asy_task_run_eagerly(asyncio_loop *loop, asyncio_task *task)
{
    if (UNLIKELY(exceptions_are_held(loop)))
        return run_eagerly_with_exceptions(loop, task);
    struct eager_start start = {.outer = loop->eager,
                                .creator = loop->current,
                                .fiber = loop->fiber,
                                .ready_then = loop->ready_then,
                                .batch = loop->batch,
                                .depth = loop->eager ? loop->eager->depth + 1 : 1};
    ASY_ASSERT_TASK(asy_running_loop == loop && start.depth <= ASY_EAGER_DEPTH_MAX, task);
    if (!start.creator)
        loop->budget = ASY_BUDGET;
    loop->eager = &start;
    loop->current = NULL;
    loop->fiber = fiber_here();
    loop->ready_then = 0;
    loop->batch = 0;
    if (UNLIKELY(loop->is_traced))
        asy_trace_eager(loop, start.creator, task);
    if (UNLIKELY(loop->is_stepping))
        asy_step_hooks(loop, task, run_watched_first_step);
    else
        run_first_step(loop, task);
    end_eager_start(loop, &start);
    if (UNLIKELY(loop->is_traced))
        asy_trace_came_back(loop, start.creator);
    return task;
}

const struct eager_start *asy_eager_start_of(const asyncio_task *task)
{
    const struct eager_start *start = task->future.loop->eager;
    while (start && start->creator != task)
        start = start->outer;
    return start;
}

void *asy_task_place(const asyncio_task *task, bool *is_here)
{
    asyncio_loop *loop = task->future.loop;
    *is_here = task == loop->current || ((task->flags & TASK_HIDDEN) && !loop->eager);
    if (*is_here || task->future.is_done || task->flags & TASK_HIDDEN)
        return NULL;
    const struct eager_start *start = asy_eager_start_of(task), *inner = loop->eager;
    if (!start)
        return task->fiber.sp;
    if (start == inner)
        return loop->fiber.sp;
    while (inner->outer != start)
        inner = inner->outer;
    return inner->fiber.sp;
}

void asy_returned_in_scope(const asyncio_site *body)
{
    asy_fatal(
        "coroutine '%s' (%s:%d) returned without leaving a timeout, task group or shield that it entered",
        body->func, body->file, body->line);
}

void asy_returned_in_child(const asyncio_site *body)
{
    asy_fatal("%s%s%s returned in a forked child process; the loop belongs to the parent: "
              "end the child with _exit, or run a loop of its own in it",
              body ? "coroutine '" : "a callback", body ? body->func : "", body ? "'" : "");
}

/* Main's frame must stay as it is when main has returned (task.h: TASK_KEEP_STACK), and what task_main does
 * on its stack after that needs room above it. So the frame begins this much deeper. */
static NOINLINE intptr_t run_main(asyncio_task *task)
{
    size_t gap = (size_t)(task->stack->top - task->stack->low) / ASY_MAIN_GAP;
    char *place = __builtin_alloca(gap);
    __asm__ volatile("" : : "r"(place) : "memory");
    intptr_t result = task->type->start(task_args(task));
    __asm__ volatile("" : : "r"(place) : "memory"); /* the call above is no jump */
    return result;
}

/* Runs a task's body to its end. False if its stack must be kept. */
static inline bool run_body(asyncio_loop *loop, asyncio_task *task)
{
    const asyncio_site *body = &task->type->site;
    bool is_kept = task->flags & TASK_KEEP_STACK;
    intptr_t result = UNLIKELY(is_kept) ? run_main(task) : task->type->start(task_args(task));
    if (UNLIKELY(asy_running_loop != loop))
        asy_returned_in_child(body);
    if (UNLIKELY(task->scopes != NULL))
        asy_returned_in_scope(body);
    finish_task(loop, task, result);
    return !is_kept;
}

/* Runs tasks on one stack, one after the other, for as long as the next ready
 * one is fresh and wants a stack of this size. Returns the one to go on with. */
static inline asyncio_task *run_tasks(asyncio_loop *loop)
{
    asyncio_task *task = loop->current;
    struct asy_stack *stack = task->stack;
    size_t wanted = task->stack_bytes;
    for (;;) {
        bool is_reusable = run_body(loop, task);
        asyncio_task *next = take_next(loop);
        if (next && is_reusable && !next->fiber.sp && next->stack_bytes == wanted) {
            assign_stack(next, stack);
            next->fiber.sp = stack->top; /* started */
            asy_fp_control_load(&loop->fp);
            make_current(loop, next);
            task = next;
            continue;
        }
        if (UNLIKELY(!is_reusable))
            list_append(&loop->kept_stacks, &stack->node);
        else
            put_stack(loop, stack, wanted);
        return next;
    }
}

/* The bottom function of every task's stack. When it leaves, the stack that it runs on was given back
 * already. */
static void task_main(void *arg)
{
    asyncio_loop *loop = arg;
    fiber_entered(&loop->fiber);
    asyncio_task *next = run_tasks(loop);
    if (next && next->fiber.sp) {
        make_current(loop, next);
        fiber_leave(&next->fiber);
        return;
    }
    /* A task that needs a stack of another size, or anything else, the loop runs from its own stack. */
    if (next)
        ready_push_first(&loop->ready, &next->ready);
    fiber_leave(&loop->fiber);
}
