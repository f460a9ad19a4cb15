/*
 * Tasks and waits from within.
 *
 * A task is in exactly one state:
 *
 *   fresh       queued, never ran: no stack            (fiber.sp is NULL)
 *   ready       queued                                 (wait: granted or NULL)
 *   running     loop->current                          (wait is NULL)
 *   waiting     in `wait`, not granted
 *   done        future.done; its stack went back
 *
 * A coroutine is the same block before it became a task. Its arguments follow
 * the struct.
 */
#ifndef ASY_CORE_TASK_H
#define ASY_CORE_TASK_H

#include "asyncio/coroutines.h"
#include "asyncio/tasks.h"
#include "core/fiber.h"
#include "core/future.h"
#include "core/ready.h"
#include "sys/stack.h"

/* What a task may ask for. */
#define ASY_STACK_MAX_BYTES ((size_t)1 << 30)

enum task_flag {
    TASK_KEEP_STACK = 1 << 0,   /* main: its frame outlives it until the shutdown is over */
    TASK_IN_CANCEL = 1 << 1,    /* a request on its way down has yet to reach it */
    TASK_LEFTOVER = 1 << 2,     /* cancelled by the shutdown, which waits for it */
};

struct asyncio_task {
    struct asyncio_future future;

    struct ready ready;
    struct fiber fiber;
    struct asy_stack *stack;
    struct wait *wait;                  /* what it waits in; on its own stack */
    uint64_t steps;                     /* how often it was resumed */
    bool must_cancel;                   /* a request waits for the next wait, and nothing holds it back */
    bool requested;                     /* asyncio_cancel's request is not delivered yet */
    uint8_t flags;                      /* enum task_flag */
    uint32_t cancels;                   /* requests made minus requests taken back */
    struct message *cancel_message;     /* of the request that waits */
    struct asyncio_scope *scopes;       /* the innermost timeout, group or shield */
    asyncio_context *context;           /* core/contextvars.h */

    const asyncio_coro_type *type;
    char *name;                         /* NULL: made from the id when asked for */
    uint64_t id;
    struct list all;                    /* among the loop's tasks */
    size_t stack_bytes;                 /* wanted; 0: the loop's */
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

/* Fetches the stack of a ready task ahead of its turn, from where it goes on. Callbacks have none. */
static inline __attribute__((always_inline)) void fetch_stack(const struct ready *next, int lines)
{
    if (next->kind != READY_CALLBACK)
        fetch_lines(LIST_ENTRY(next, asyncio_task, ready)->fiber.sp, lines);
}

/* ---- Waits ----------------------------------------------------------------
 * Everything that can be waited for is waited for through one of these, on the
 * waiter's own stack. The caller links `node` into the queue of the object,
 * parks, and finds the outcome in `value`. */

enum wait_state { WAIT_PENDING, WAIT_GRANTED };

struct wait_kind {
    const char *name; /* for people: "sleep", "await", "lock" */
    /*
     * A request to cancel reached the waiting task. Takes it off the queue and
     * wakes it with -ECANCELED (asy_wait_cancelled), or passes the request on.
     * Returns false if the request must stay pending instead. NULL: taken off `node`'s list and woken.
     */
    bool (*cancel)(struct wait *wait);
    /* Passes a grant on when its task will never run again (the loop closes
     * over it). NULL: nothing to pass on. */
    void (*revoke)(struct wait *wait);
    /* For reports: more words, as ", held by task 'x'". NULL: none. */
    void (*describe)(const struct wait *wait, char *text, size_t bytes);
};

struct wait {
    struct waiter waiter;           /* its node: the place in the object's queue */
    asyncio_task *task;
    const struct wait_kind *kind;
    void *object;                   /* what is waited for; the kind tells its type */
    int64_t since_ns;               /* the loop's cached clock when the wait began */
    intptr_t value;                 /* the outcome, once granted */
    uint8_t state;                  /* enum wait_state */
    bool requested;                 /* a request was delivered here, or passed on */
    bool passing;                   /* one is being passed on now: `kind->cancel` runs */
    uint64_t pass;                  /* the last request that came by (cancel.c) */
};

/* The running task of this thread; NULL in callbacks and plain threads. */
asyncio_task *asy_current_task(void);

/* Around a call of the program that must not wait, wherever it is made from: a drop function, a
 * handler, an instrument. Meanwhile no task runs. */
asyncio_task *asy_task_hide(void);
void asy_task_show(asyncio_task *hidden);

static inline void asy_wait_init(struct wait *wait, asyncio_task *task, const struct wait_kind *kind,
                                 void *object)
{
    list_init(&wait->waiter.node);
    wait->task = task;
    wait->kind = kind;
    wait->object = object;
    wait->value = 0;
    wait->state = WAIT_PENDING;
    wait->requested = false;
    wait->passing = false;
    wait->pass = 0;
}

/* Suspends the running task until the wait is granted; returns its value. */
intptr_t asy_wait_park(struct wait *wait);

/* Grants: the task becomes ready. The caller has unlinked the node. */
void asy_wait_wake(struct wait *wait, intptr_t value);
/* The same through a relay (core/ready.h). */
void asy_wait_relay(struct wait *wait, intptr_t value);
/* Takes the node off its list and wakes with -ECANCELED. */
bool asy_wait_cancelled(struct wait *wait);

/* ---- Cancelling ----------------------------------------------------------- */

/* Delivers a pending request, if any: gives way once, as any wait does, and
 * returns -ECANCELED; else 0. Called by each wait before it suspends. */
int asy_cancel_deliver_now(asyncio_task *task);
static inline int asy_cancel_deliver(asyncio_task *task)
{
    return UNLIKELY(task->must_cancel) ? asy_cancel_deliver_now(task) : 0;
}
/* The same without giving way: for a wait that has done so. */
int asy_cancel_take(asyncio_task *task);

/* asyncio_cancel on a task, with an optional message. */
bool asy_task_cancel(asyncio_task *task, const char *message);
/* Passes the request on the current path on to another task or future. For wait kinds. */
void asy_cancel_pass(asyncio_future *future);

/* What waiting for NULL gives: -ENOMEM, and a message. (messages.c) */
COLD intptr_t asy_null_awaited(void);

/* ---- Life ------------------------------------------------------------------ */

/* A task that ended before it began, and whose result says why; NULL: no memory. */
asyncio_task *asy_task_refused(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site,
                               intptr_t err);
/* Makes an unstarted coroutine a task of the loop: two references, queued. */
asyncio_task *asy_task_start(asyncio_loop *loop, asyncio_coro *coro, const asyncio_site *site);
/* Drops the refused tasks that were only borrowed. */
void asy_refused_release(asyncio_loop *loop);
/* Runs one ready task from the loop's own stack, and those that it hands over to. */
void asy_task_resume(asyncio_loop *loop, asyncio_task *task);
/* A coroutine has returned with a scope entered, whose memory is gone: aborts. */
COLD _Noreturn void asy_returned_in_scope(const asyncio_site *body);
/* Disposes of the arguments of one that never ran. */
void asy_task_drop_args(asyncio_task *task);
/* Frees the block of a task or coroutine. */
void asy_task_free(asyncio_task *task);

#endif
