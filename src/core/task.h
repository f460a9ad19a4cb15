/*
 * Tasks from within, and what holds between their fields.
 *
 * A block is a coroutine, then a task, and dead in the end: future.kind says which. A coroutine awaited in
 * place is OBJECT_NONE while it runs: it has no fields of a task. Of a coroutine only future.refs (1), kind,
 * flags, site and loop (where it was made; NULL: nowhere, or handed over), `type` and the arguments are
 * set; the arguments follow the struct.
 *
 * A task is in exactly one state:
 *
 *              ready entry    on loop->tasks  fiber.sp   stack      wait
 *   fresh      queued         yes             NULL       NULL       NULL
 *   ready      queued         yes             set        its own    granted, or NULL after a yield
 *   running    not queued     yes             stale      its own    NULL; loop->current is the task
 *   waiting    not queued     yes             set        its own    pending; in the object's queue or a timer
 *   done       not queued     no              stale      NULL       NULL; future.is_done
 *   abandoned  not queued     yes             as it was  as it was  as it was, but off its queue
 *
 * While a task makes an eager one, which runs first, it is as if it were running, except that loop->current
 * is the other; it waits for nothing and cannot be resumed. loop->eager leads to such tasks.
 *
 * One exception: a sleeper whose timer fired has its relay in the ready queue, and its wait stays pending
 * until the loop reaches the relay, so that a request to cancel still wins (sleep.c).
 *
 * Only a closed loop has abandoned tasks. A refused task begins as done. From fresh to done the loop has a
 * reference, and future.loop is that loop. While a task runs, or waits, `scopes` leads to its stack; a done
 * task has none. must_cancel is set if and only if a request is pending, the task's own (is_requested) or a
 * scope's, that no shield holds back (cancel.c).
 */
#ifndef ASY_CORE_TASK_H
#define ASY_CORE_TASK_H

#include "asyncio/coroutines.h"
#include "asyncio/tasks.h"
#include "core/fiber.h"
#include "core/future.h"
#include "core/ready.h"
#include "core/wait.h"
#include "sys/stack.h"

/* What a task may ask for. */
#define ASY_STACK_MAX_BYTES ((size_t)1 << 30)

enum task_flag {
    TASK_KEEP_STACK = 1 << 0, /* main: its frame outlives it until the shutdown is over */
    TASK_IN_CANCEL = 1 << 1,  /* a request on its way down has yet to reach it */
    TASK_LEFTOVER = 1 << 2,   /* cancelled by the shutdown, which waits for it */
    TASK_HIDDEN = 1 << 3,     /* it runs, in a call that must not wait: it is not the loop's current task */
    TASK_TRACED = 1 << 4,     /* it ran in a trace, which is told of its end */
    TASK_MEASURED = 1 << 5,   /* the depth of its stack is looked at when it ends (checks.c) */
};

struct asyncio_task {
    struct asyncio_future future;

    struct ready ready;
    struct fiber fiber;
    struct asy_stack *stack;
    struct wait *wait;              /* what it waits in; on its own stack */
    uint64_t steps;                 /* how often it was resumed */
    bool must_cancel;               /* a request waits for the next wait, and nothing holds it back */
    bool is_requested;              /* asyncio_cancel's request is not delivered yet */
    uint8_t flags;                  /* enum task_flag */
    uint8_t waits_on;               /* since a request was delivered; counted by the check alone (checks.c) */
    uint32_t cancels;               /* requests made minus requests taken back */
    struct message *cancel_message; /* of the request that waits */
    union {
        asyncio_task *next_in_cancel; /* TASK_IN_CANCEL: among those that a request has yet to reach; */
        int64_t went_on_ns;           /* else, with waits_on: when it first waited on */
    };
    struct asyncio_scope *scopes; /* the innermost timeout, group or shield */
    asyncio_context *context;     /* core/contextvars.h */

    const asyncio_coro_type *type;
    char *name; /* NULL: made from the id when asked for */
    uint64_t id;
    struct list all;    /* among the loop's tasks */
    size_t stack_bytes; /* wanted; 0: the loop's */
};

/* The arguments of a coroutine start here, aligned to 16 bytes. */
#define TASK_ARGS_OFFSET ((sizeof(struct asyncio_task) + 15) & ~(size_t)15)

static inline void *task_args(asyncio_task *task)
{
    return (char *)task + TASK_ARGS_OFFSET;
}

static inline size_t task_bytes(const asyncio_task *task)
{
    return TASK_ARGS_OFFSET + task->type->args_size;
}

/* Fetches the stack of a ready task before it is resumed, from where it goes on. Callbacks have none. */
static inline __attribute__((always_inline)) void fetch_stack(const struct ready *next, int lines)
{
    if (next->kind != READY_CALLBACK)
        fetch_lines(LIST_ENTRY(next, asyncio_task, ready)->fiber.sp, lines);
}

/* ---- Who runs --------------------------------------------------------------- */

/* The running task of this thread; NULL in callbacks and plain threads. */
static inline asyncio_task *asy_current_task(void)
{
    const asyncio_loop *loop = asy_running_loop;
    return loop ? loop->current : NULL;
}

/* Around a call of the program that must not wait, wherever it is made from: a drop function, a
 * handler, an instrument. Meanwhile no task runs. */
asyncio_task *asy_task_hide(void);
void asy_task_show(asyncio_task *hidden);

/* ---- Life ------------------------------------------------------------------ */

/* A task that ended before it began, and whose result says why; NULL: no memory. */
asyncio_task *asy_task_refused(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site,
                               intptr_t err);
/* Makes an unstarted coroutine a fresh task of the loop: two references, and one of the next two calls is
 * to follow. */
asyncio_task *asy_task_make(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site);
/* Queues a fresh task, and returns it. */
asyncio_task *asy_task_queue(asyncio_task *task);
/* Starts a fresh task as the loop's options say: queues it, or runs it to its first wait. The latter is a
 * call of the program: what the caller holds may have changed after it, and the task may have ended. The
 * caller borrows the task: if it has ended already, it lives on until the loop polls, which is after the
 * caller's next wait. */
void asy_task_begin_lent(asyncio_task *task);
/* Takes over a reference to a task that has ended, which its creator borrows until the loop polls next. */
void asy_task_lend(asyncio_loop *loop, asyncio_task *task);
/* Drops those. */
void asy_tasks_lent_release(asyncio_loop *loop);
/* Gives the loop's unused task numbers back. */
void asy_task_ids_return(asyncio_loop *loop);
/* Disposes of the arguments of one that never ran. */
void asy_task_drop_args(asyncio_task *task);
/* Frees the block of a task or coroutine. */
void asy_task_free(asyncio_task *task);

#endif
