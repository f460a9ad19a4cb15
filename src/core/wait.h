/*
 * Waits: the one way in which tasks suspend.
 *
 * Everything that can be waited for is waited for through a struct wait, on the waiting task's own
 * stack. The caller links `waiter.node` into the queue of the object, parks, and finds the outcome in
 * `value`. A wait is pending until it is granted, once; by then its node is off the queue.
 */
#ifndef ASY_CORE_WAIT_H
#define ASY_CORE_WAIT_H

#include "core/future.h"
#include "core/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wait;

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
    struct waiter waiter; /* its node: the place in the object's queue */
    asyncio_task *task;
    const struct wait_kind *kind;
    void *object;      /* what is waited for; the kind tells its type */
    int64_t since_ns;  /* the loop's cached clock when the wait began */
    intptr_t value;    /* the outcome, once granted */
    uint8_t state;     /* enum wait_state */
    bool is_requested; /* a request was delivered here, or passed on */
    bool is_passing;   /* one is being passed on now: `kind->cancel` runs */
    bool leads_on;     /* the last one that came by is in no circle */
    uint64_t pass;     /* the number of that one (cancel.c); 0: none */
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

/* The running task waits at the end of a queue: all of the above, after a request that is pending was
 * delivered. Returns the value, or -ECANCELED. */
intptr_t asy_wait_in(struct list *queue, const struct wait_kind *kind, void *object);

/* Grants: the task becomes ready. The caller has unlinked the node. */
void asy_wait_wake(struct wait *wait, intptr_t value);
/* The same through a relay (core/ready.h). */
void asy_wait_relay(struct wait *wait, intptr_t value);
/* Takes the node off its list and wakes with -ECANCELED. */
bool asy_wait_cancelled(struct wait *wait);

/* ---- Budget ---------------------------------------------------------------- */

/* How many calls that need not wait a task may make, one after the other, before
 * it has to give way once: a lock that is free, a queue that has something. */
#define ASY_BUDGET 128
/* Of a transfer, that many bytes count as one more call: about 1 MiB a step. */
#define ASY_CALL_BYTES 8192
#define ASY_STEP_BYTES ((size_t)ASY_BUDGET * ASY_CALL_BYTES)

/* Spends one call from the running task's budget. When it is gone, the task yields once, which is a wait like
 * any other: 0, or -ECANCELED. Comes before the operation. (sleep.c) */
int asy_budget_yield(asyncio_loop *loop);
static inline int asy_budget_spend(asyncio_loop *loop)
{
    return LIKELY(--loop->budget) ? 0 : asy_budget_yield(loop);
}
/* What a transfer has moved is spent, too. The last call is left: the next one gives way before it begins. */
static inline void asy_budget_charge(asyncio_loop *loop, size_t bytes)
{
    size_t calls = bytes / ASY_CALL_BYTES;
    if (UNLIKELY(calls))
        loop->budget = calls < loop->budget ? loop->budget - (uint32_t)calls : 1;
}
/* For a call that goes on and on: between two transfers it gives way, as it would before the next call. */
static inline int asy_budget_go_on(asyncio_loop *loop)
{
    return LIKELY(loop->budget > 1) ? 0 : asy_budget_yield(loop);
}

#endif
