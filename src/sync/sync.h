/*
 * Locks and queues share this: the queue of waiting tasks, and the loop that an object belongs to.
 *
 * An object knows its loop by a number that is never used again. So a loop that is gone is told from one
 * that runs in another thread without touching either.
 */
#ifndef ASY_SYNC_SYNC_H
#define ASY_SYNC_SYNC_H

#include "asyncio/locks.h"
#include "core/loop.h"
#include "core/select.h"
#include "core/task.h"

/* ---- Waiters ------------------------------------------------------------------
 * A list of struct wait. Zeros, as an initialiser leaves them, are an empty list, too. */

_Static_assert(sizeof(asyncio_waiters) == sizeof(struct list) &&
                   offsetof(asyncio_waiters, next_) == offsetof(struct list, next) &&
                   offsetof(asyncio_waiters, prev_) == offsetof(struct list, prev),
               "the public struct is a list");

static inline bool waiters_any(const asyncio_waiters *waiters)
{
    const struct list *list = (const struct list *)(const void *)waiters;
    return list->next && list->next != list;
}

static inline struct list *waiters_list(asyncio_waiters *waiters)
{
    struct list *list = (struct list *)(void *)waiters;
    if (UNLIKELY(!list->next))
        list_init(list);
    return list;
}

static inline void waiters_append(asyncio_waiters *waiters, struct wait *wait)
{
    list_append(waiters_list(waiters), &wait->waiter.node);
}

/* The first one, taken off; there must be one. */
static inline struct wait *waiters_take(asyncio_waiters *waiters)
{
    struct list *node = ((struct list *)(void *)waiters)->next;
    list_remove(node);
    return LIST_ENTRY(node, struct wait, waiter.node);
}

/* The first one that can be granted something, taken off; there must be one in the queue. NULL: all that were
 * there are cases of selects that have been won. What is claimed is granted at once. */
static inline struct wait *waiters_claim(asyncio_waiters *waiters)
{
    struct wait *wait = waiters_take(waiters);
    return LIKELY(wait->state == WAIT_PENDING) ? wait : asy_case_claim((struct list *)(void *)waiters, wait);
}

/* Takes all off, in order, and grants each the same value. */
static inline void waiters_wake_all(asyncio_waiters *waiters, intptr_t value)
{
    while (waiters_any(waiters)) {
        struct wait *wait = waiters_claim(waiters);
        if (wait)
            asy_wait_wake(wait, value);
    }
}

/* ---- The loop of an object (sync.c) --------------------------------------------------------- */

/* Binds an object to the loop of the running task, or returns why it cannot: an object that is not at rest,
 * in use by a task, stays with its loop. */
COLD int asy_sync_bind(uint64_t *bound, bool is_at_rest, const char *call);
/* Binds it, and spends a call of the task's budget. */
COLD int asy_sync_enter(uint64_t *bound, bool is_at_rest, const char *call);
/* The slow halves of sync_touch and sync_look. */
COLD void asy_sync_touch(uint64_t *bound, const char *call);
COLD void asy_sync_check(uint64_t bound, const char *call);

static inline bool sync_is_here(uint64_t bound)
{
    return asy_running_loop && asy_running_loop->id == bound;
}

/* Begins a call that can wait: binds the object to the loop of the running task, and spends one call of the
 * task's budget. A macro, so that `is_at_rest` is evaluated only where it counts. */
#define SYNC_ENTER(bound, is_at_rest)                                                                        \
    (LIKELY(sync_is_here(*(bound)) && asy_running_loop->current)                                             \
         ? asy_budget_spend(asy_running_loop)                                                                \
         : asy_sync_enter((bound), (is_at_rest), __func__))

/* Begins a call that changes an object and does not wait. Aborts in a wrong thread. */
static inline void sync_touch(uint64_t *bound, const char *call)
{
    if (UNLIKELY(!sync_is_here(*bound)))
        asy_sync_touch(bound, call);
}

/* Begins a call that only looks at an object. Aborts in a wrong thread. */
static inline void sync_look(uint64_t bound, const char *call)
{
    if (UNLIKELY(!sync_is_here(bound)))
        asy_sync_check(bound, call);
}

/* ---- Cases of selects ------------------------------------------------------------- */

/* Binds an object to the loop of the running task for a select. NULL, or why it cannot, with *err. */
const char *asy_sync_case_bind(uint64_t *bound, bool is_at_rest, int *err);

/* ---- Waiting --------------------------------------------------------------------- */

/* The running task waits at the end of a queue, until it is granted something. */
intptr_t asy_sync_wait(asyncio_waiters *waiters, const struct wait_kind *kind, void *object);

#endif
