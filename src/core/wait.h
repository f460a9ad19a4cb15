/*
 * Waits: the one way in which tasks suspend.
 *
 * A task waits for anything at all through a struct wait on its own stack. It links `waiter.node` into the
 * queue of the object, parks, and finds the outcome in `value`. A wait is pending until it is granted, once;
 * by then its node is off the queue.
 */
#ifndef ASY_CORE_WAIT_H
#define ASY_CORE_WAIT_H

#include "core/future.h"
#include "core/loop.h"
#include "core/shapes.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wait;

/* From a struct that has `wait` in it: where the deadline of its timer lies. */
#define SHAPE_DEADLINE(type)                                                                                 \
    (uint32_t)(offsetof(type, timer) + offsetof(struct timer, node.key) - offsetof(type, wait))

/* WAIT_CASE: pending, too, but one of several that a task waits in (core/select.h). */
enum wait_state { WAIT_PENDING, WAIT_GRANTED, WAIT_CASE };

struct wait_kind {
    const char *name; /* for people: "sleep", "await", "lock" */
    /* A request to cancel has reached the waiting task. Takes the wait off its queue and wakes the task with
     * -ECANCELED, or passes the request on; returns false if the request must stay pending instead. NULL:
     * asy_wait_cancelled. */
    bool (*cancel)(struct wait *wait);
    /* Passes a grant on whose task never runs again, because its loop closes. NULL: there is nothing to pass
     * on. */
    void (*revoke)(struct wait *wait);
    /* The loop closes over a wait that is pending, and stands in more queues than one. NULL: it does not. */
    void (*abandon)(struct wait *wait);
    /* Adds words to a report, as ", held by task 'x'". NULL: none. */
    void (*describe)(const struct wait *wait, char *text, size_t bytes);
    struct wait_shape shape;
};

struct wait {
    struct waiter waiter; /* its node: the place in the object's queue */
    asyncio_task *task;
    const struct wait_kind *kind;
    void *object;      /* what the task waits for; the kind tells its type */
    int64_t since_ns;  /* the loop's cached clock when the wait began */
    intptr_t value;    /* the outcome, once granted */
    uint8_t state;     /* enum wait_state */
    bool is_requested; /* a request was delivered here, or passed on */
    bool is_passing;   /* a request is being passed on now: `kind->cancel` runs */
    bool leads_on;     /* the chain of awaits from here was found not to lead back (cancel.c) */
    uint64_t pass;     /* the number of the last request that came by (cancel.c); 0: none */
};

static inline void asy_wait_init(struct wait *wait, asyncio_task *task, const struct wait_kind *kind,
                                 void *object)
{
    list_init(&wait->waiter.node);
    wait->task = task;
    wait->kind = kind;
    wait->object = object;
    wait->value = 0;
    wait->state = WAIT_PENDING;
    wait->is_requested = false;
    wait->is_passing = false;
    wait->pass = 0;
}

/* Suspends the running task until the wait is granted; returns its value. */
intptr_t asy_wait_park(struct wait *wait);

/* The running task waits at the end of a queue: delivers a pending request, or links a wait and parks.
 * Returns the value, or -ECANCELED. */
intptr_t asy_wait_in(struct list *queue, const struct wait_kind *kind, void *object);

/* Grants a wait: the task becomes ready. The caller has taken the node off its queue. */
void asy_wait_wake(struct wait *wait, intptr_t value);
/* Grants a wait through a relay, one round of the ready queue later (core/ready.h). */
void asy_wait_relay(struct wait *wait, intptr_t value);
/* Takes the node off its queue and grants -ECANCELED. Returns true. */
bool asy_wait_cancelled(struct wait *wait);

/* The running task sleeps until the loop's clock reads so much, and gives way once if it does already. 0 or a
 * negative error. (sleep.c) */
int asy_sleep_until_ns(asyncio_loop *loop, int64_t deadline_ns);

/* ---- Budget ---------------------------------------------------------------- */

/* So many calls that need not wait (a lock that is free, a queue with an item) a task may make in one step
 * before it must give way once. */
#define ASY_BUDGET 128
/* So many bytes of a transfer count as one more call: a step may transfer about 1 MiB. */
#define ASY_CALL_BYTES 8192
#define ASY_STEP_BYTES ((size_t)ASY_BUDGET * ASY_CALL_BYTES)

/* Spends one call of the running task's budget, before the operation. When the budget is gone, the task
 * gives way once, which is a wait like any other. 0 or -ECANCELED. (sleep.c) */
int asy_budget_yield(asyncio_loop *loop);
static inline int asy_budget_spend(asyncio_loop *loop)
{
    return LIKELY(--loop->budget) ? 0 : asy_budget_yield(loop);
}
/* Spends what a transfer has moved. One call is always left, so that the next operation gives way before it
 * begins. */
static inline void asy_budget_charge(asyncio_loop *loop, size_t bytes)
{
    size_t calls = bytes / ASY_CALL_BYTES;
    if (UNLIKELY(calls))
        loop->budget = calls < loop->budget ? loop->budget - (uint32_t)calls : 1;
}
/* For a call of many transfers: gives way between two of them when the budget is gone. */
static inline int asy_budget_go_on(asyncio_loop *loop)
{
    return LIKELY(loop->budget > 1) ? 0 : asy_budget_yield(loop);
}

#endif
