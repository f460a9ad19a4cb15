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
#include "base/assert.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include <errno.h>

static void task_main(void *arg);

/* More tasks than the first cache holds the stacks of. Then, while one is entered, the top of the next
 * one's stack is fetched, and the task after it, whose turn to be looked at comes one switch later. */
#define MANY_READY 64

static inline __attribute__((always_inline)) void fetch_ahead(const struct ready *next)
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
        if (UNLIKELY(entry->kind == READY_CALLBACK))
            return NULL;
        ready_drop_first(&loop->ready);
        loop->batch--;
        if (UNLIKELY(loop->ready.count > MANY_READY))
            fetch_ahead(loop->ready.first);
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
    loop->steps++;
    loop->budget = ASY_BUDGET;
    task->steps++;
}

static inline void own_stack(asyncio_task *task, struct asy_stack *stack)
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

/* The body has returned. */
static void finish(asyncio_loop *loop, asyncio_task *task, intptr_t result)
{
    loop->current = NULL;
    task->stack = NULL;
    list_remove(&task->all);
    loop->task_count--;
    asy_future_complete(&task->future, result);
    if (UNLIKELY(task->flags & TASK_LEFTOVER) && --loop->leftovers == 0)
        asyncio_loop_stop(loop);
    asy_future_unref(&task->future);
}

static COLD void fail_to_start(asyncio_loop *loop, asyncio_task *task, int err)
{
    asyncio_task *current = loop->current;
    asy_message_set(&task->future.message,
                    asy_message_new(err, "no stack for the task: out of memory, address space or mappings"));
    asy_task_drop_args(task);
    finish(loop, task, err);
    loop->current = current;
}

/* Gives a task that starts now its stack. False: there is none, and the task
 * has ended with that error. */
static inline bool equip(asyncio_loop *loop, asyncio_task *task)
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
    own_stack(task, stack);
    return true;
}

/* The next task, with a stack; NULL as take_next. */
static inline __attribute__((always_inline)) asyncio_task *take_next_equipped(asyncio_loop *loop)
{
    for (;;) {
        asyncio_task *next = take_next(loop);
        if (!next || LIKELY(next->fiber.sp != NULL) || equip(loop, next))
            return next;
    }
}

/* From fibre to fibre, `next` having a stack. */
static inline __attribute__((always_inline)) void enter(asyncio_loop *loop, struct fiber *from,
                                                        asyncio_task *next)
{
    make_current(loop, next);
    if (LIKELY(next->fiber.sp != NULL))
        fiber_switch(from, &next->fiber);
    else
        fiber_start(from, &next->fiber, next->stack->top, task_main, loop, &loop->fp);
}

/* What was left with the thread is the next one's. */
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
        enter(loop, &task->fiber, next);
    } else {
        make_current(loop, task);
    }
}

HOT void asy_task_resume(asyncio_loop *loop, asyncio_task *task)
{
    ASY_ASSERT_TASK(!loop->current, task);
    if (task->fiber.sp || equip(loop, task))
        enter(loop, &loop->fiber, task);
}

void asy_returned_in_scope(const asyncio_site *body)
{
    asy_fatal(
        "coroutine '%s' (%s:%d) returned without leaving a timeout, task group or shield that it entered",
        body->func, body->file, body->line);
}

static COLD _Noreturn void returned_in_child(const asyncio_site *body)
{
    asy_fatal("coroutine '%s' returned in a forked child process; the loop belongs to the parent: "
              "end the child with _exit, or run a loop of its own in it",
              body->func);
}

/* What lies in main's frame must last when it has returned (task.h: TASK_KEEP_STACK), but what
 * runs on its stack after that needs a place, too: so the frame lies this much deeper. */
static NOINLINE intptr_t run_main(asyncio_task *task)
{
    size_t gap = (size_t)(task->stack->top - task->stack->low) / 16;
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
    bool keep = task->flags & TASK_KEEP_STACK;
    intptr_t result = UNLIKELY(keep) ? run_main(task) : task->type->start(task_args(task));
    if (UNLIKELY(asy_running_loop != loop))
        returned_in_child(body);
    if (UNLIKELY(task->scopes != NULL))
        asy_returned_in_scope(body);
    finish(loop, task, result);
    return !keep;
}

/* Runs tasks on one stack, one after the other, for as long as the next ready
 * one is fresh and wants a stack of this size. Returns the one to go on with. */
static inline asyncio_task *run_tasks(asyncio_loop *loop)
{
    asyncio_task *task = loop->current;
    struct asy_stack *stack = task->stack;
    size_t wanted = task->stack_bytes;
    for (;;) {
        bool reusable = run_body(loop, task);
        asyncio_task *next = take_next(loop);
        if (next && reusable && !next->fiber.sp && next->stack_bytes == wanted) {
            own_stack(next, stack);
            next->fiber.sp = stack->top; /* started */
            asy_fp_control_load(&loop->fp);
            make_current(loop, next);
            task = next;
            continue;
        }
        if (UNLIKELY(!reusable))
            list_append(&loop->kept_stacks, &stack->node);
        else
            put_stack(loop, stack, wanted);
        return next;
    }
}

/* The bottom function of every task's stack. The stack it runs on is given back
 * already when it leaves. */
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
    /* One that needs a stack of its own, or whatever the loop finds: from the loop. */
    if (next)
        ready_push_first(&loop->ready, &next->ready);
    fiber_leave(&loop->fiber);
}
