/*
 * Futures from within: a result that is there, or will be. A task begins with one.
 *
 * A future is pending until asy_future_complete, which happens once. `waiters` holds those to be notified,
 * in the order in which they came: a task that awaits it (struct wait), a done callback, a gather.
 * Completion takes all of them off and notifies each.
 *
 * References are counted, by the owner's thread only. The loop has one to each task that has not ended. An
 * object whose count has reached 0 is DEAD; its block keeps `kind` and `site` until it is used again, so
 * that a late use is reported with the place where the object was made.
 */
#ifndef ASY_CORE_FUTURE_H
#define ASY_CORE_FUTURE_H

#include "asyncio/futures.h"
#include "base/list.h"
#include <errno.h>
#include <stdint.h>

enum object_kind {
    OBJECT_NONE,
    OBJECT_FUTURE = 0x51,
    OBJECT_TASK,
    OBJECT_CORO, /* the same struct as a task, not started */
    OBJECT_DEAD
};

enum future_flag {
    FUTURE_SEEN = 1 << 0,   /* somebody looked at the result */
    FUTURE_QUIET = 1 << 1,  /* its failure is not reported: it carries a refusal, or was abandoned */
    FUTURE_MARKED = 1 << 2, /* a search for doubles has come by */
    FUTURE_PROXY = 1 << 3,  /* it begins a struct proxy_future */
};

struct message;

struct asyncio_future {
    /* These 16 bytes survive in a freed block (sys/slab.h). */
    uint32_t refs;
    uint8_t kind; /* enum object_kind */
    bool is_done;
    uint16_t flags;           /* enum future_flag */
    const asyncio_site *site; /* where it was made */

    asyncio_loop *loop;
    intptr_t result; /* once done */
    uint64_t order;  /* once done: its number among the completions of the loop */
    struct list waiters;
    struct message *message; /* belongs to the result if that equals its code */
};

/* Something that is notified when a future completes. */
struct waiter {
    struct list node;
    /* Called after the waiter was taken off the list. Must not wait, nor free the future. May put the waiter
     * back onto the list. A future that is freed calls what is on its list then with NULL. */
    void (*notify)(struct waiter *waiter, asyncio_future *future);
};

/*
 * A future that stands for something on another thread, and behaves as a task: a request to cancel is passed
 * on to there, and completes nothing here.
 */
struct proxy_hooks {
    /* Passes a request on. The future is not done. `words`: the request's message, or NULL. */
    void (*cancel)(asyncio_future *future, const char *words);
    /* The last reference to the future has gone: the block is not the loop's object any more. */
    void (*free)(asyncio_future *future);
};

struct proxy_future {
    asyncio_future future;
    const struct proxy_hooks *hooks;
};

/* An error that is reported if nobody sees it: to be cancelled is none. */
static inline bool asy_is_failure(intptr_t result)
{
    return result < 0 && result != -ECANCELED;
}

static inline void asy_future_init(asyncio_future *future, asyncio_loop *loop, const asyncio_site *site)
{
    future->refs = 1;
    future->kind = OBJECT_FUTURE;
    future->is_done = false;
    future->flags = 0;
    future->site = site;
    future->loop = loop;
    list_init(&future->waiters);
    future->message = NULL;
}
void asy_future_complete(asyncio_future *future, intptr_t result);
/* Cancels a future that is no task: it completes with -ECANCELED, or, if it is a proxy, passes the request
 * on. Takes the message over. */
void asy_future_cancel(asyncio_future *future, struct message *message);
/* Puts a waiter at the end of the list of a future that is not done. */
static inline void asy_future_watch(asyncio_future *future, struct waiter *waiter,
                                    void (*notify)(struct waiter *waiter, asyncio_future *future))
{
    waiter->notify = notify;
    list_append(&future->waiters, &waiter->node);
}
/* Drops a reference. The last one frees the future, and reports a failure that nobody saw. */
void asy_future_unref(asyncio_future *future);

/* Aborts with a message unless `future` is alive and of this thread's. */
void asy_future_check(const asyncio_future *future, const char *call);

#endif
