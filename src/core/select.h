/*
 * Select from within: a task that waits in several queues at once.
 *
 * Each case stands in the queue of its object with a wait of its own, whose state is WAIT_CASE; the task
 * itself parks in the wait of the call. A granter that takes such a wait off a queue first claims the call,
 * which one of all can: a granter of another thread (a channel), the time, a request to cancel. A granter
 * that loses goes on to the next in the queue. The winner of this loop takes all cases of this loop off
 * their queues at once. Cases of channels and descriptors leave when the task runs.
 */
#ifndef ASY_CORE_SELECT_H
#define ASY_CORE_SELECT_H

#include "asyncio/select.h"
#include "core/loop.h"
#include "core/timer.h"
#include "core/wait.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct case_kind {
    const char *name;
    /* Why the task cannot wait for it, in words, with an error in *err; NULL: it can. */
    const char *(*refuse)(asyncio_case *one, int *err);
    /* True: it has happened at once, with `result`. */
    bool (*try_now)(asyncio_case *one);
    /* Puts it into its queue; it may win before this returns. An error is its result: then it has
     * happened, and is in no queue. */
    int (*enlist)(asyncio_case *one);
    /* After the wait: leaves its queue, and if it has won, does what is left to do. NULL: nothing. */
    void (*leave)(asyncio_case *one, bool has_won);
    /* The task never runs again: leaves its queue, and passes a grant on. NULL: as a wait of this loop. */
    void (*abandon)(asyncio_case *one);
    bool leaves_late; /* not when another one wins: others may be at its queue right now */
    bool is_shared;   /* other threads may grant it */
    /* For those who look from outside: the wait of its call alone. Its shape has offsets from the object, or
     * where there is none, from the case. */
    const struct wait_kind *alone;
};

struct select_call {
    struct wait wait;
    struct timer timer;
    asyncio_case *cases;
    size_t count, enlisted;
    const struct case_kind *const *kinds; /* by kind_ */
    /* Claimed by an exchange: its winner's writes are released to whoever else fails to claim. */
    _Atomic bool is_won;
    bool is_shared;       /* a case of it is */
    asyncio_case *winner; /* once it is won; NULL: time, or a request to cancel */
    struct callback post; /* brings the news of a winner from another thread */
    struct abroad abroad; /* if it is shared */
};

/* The wait of a case of this loop, and what goes with it: an item of a queue. */
struct exchange {
    struct wait wait;
    union {
        void *into;
        const void *from;
    } item;
};
_Static_assert(sizeof(struct exchange) <= sizeof(((asyncio_case *)0)->wait_), "a wait fits into a case");

static inline struct exchange *case_exchange(asyncio_case *one)
{
    return (struct exchange *)(void *)one->wait_;
}
static inline asyncio_case *case_of_wait(struct wait *wait)
{
    return LIST_ENTRY(wait, asyncio_case, wait_);
}

/* One alone gets true. Any thread, if the call is shared. */
static inline bool asy_select_claim(struct select_call *call)
{
    if (call->is_shared)
        return !atomic_exchange(&call->is_won, true);
    bool was_won = atomic_load_explicit(&call->is_won, memory_order_relaxed);
    atomic_store_explicit(&call->is_won, true, memory_order_relaxed);
    return !was_won;
}
/* The call was claimed for this case (NULL: for the time, a cancel): all cases of this loop leave their
 * queues. Loop's thread. */
void asy_select_settle(struct select_call *call, asyncio_case *winner);
/* The same, and wakes the task. */
void asy_select_wake(struct select_call *call, asyncio_case *winner, intptr_t value);

/* The first waiter of a queue whose wait is no plain one was taken off: the first of it and those behind it
 * that is a plain wait, or whose call this claims. NULL: there is none. */
COLD struct wait *asy_case_claim(struct list *queue, struct wait *first);
/* asy_wait_wake of a case that was claimed. */
COLD void asy_case_wake(struct wait *wait, intptr_t value);

/* Puts a case at the end of a queue of this loop. */
void asy_case_enlist(asyncio_case *one, struct list *queue, const struct wait_kind *kind);

extern HIDDEN const struct case_kind asy_case_get, asy_case_put, asy_case_event, asy_case_lock,
    asy_case_semaphore, asy_case_done;

/* asyncio_select, with the kinds of cases that there are, by kind_. */
ptrdiff_t asy_select(asyncio_case *cases, size_t n, double timeout, const struct case_kind *const *kinds,
                     size_t kinds_count);

#endif
