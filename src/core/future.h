/*
 * Futures from within: the result cell that tasks, too, begin with.
 *
 * A future is pending until asy_future_complete, which happens once. Whoever
 * is interested stands in `waiters`, in the order in which he came: a task
 * that awaits it (struct wait), a done callback, a gather. Completion takes all
 * of them off and notifies each.
 *
 * References: counted, owner thread only. A task has one from the loop until
 * it ends. An object whose count reached 0 is DEAD; its block keeps `kind` and
 * `site` until it is used again, so that a late user can be told.
 */
#ifndef ASY_CORE_FUTURE_H
#define ASY_CORE_FUTURE_H

#include "asyncio/futures.h"
#include "base/list.h"
#include <stdint.h>

enum object_kind {
    OBJECT_NONE,
    OBJECT_FUTURE = 0x51,
    OBJECT_TASK,
    OBJECT_CORO, /* the same struct as a task, not started */
    OBJECT_DEAD
};

enum future_flag {
    FUTURE_SEEN = 1 << 0,      /* somebody looked at the result */
    FUTURE_QUIET = 1 << 1,     /* its failure is nobody's business: made to carry a refusal, or abandoned */
    FUTURE_MARKED = 1 << 2,    /* seen already by whoever looks for doubles */
};

/* A message with the code it belongs to. Counted; shared by all who saw the error. */
struct message {
    uint32_t refs;
    intptr_t code;
    char text[];
};

struct asyncio_future {
    /* These 16 bytes survive in a freed block (sys/slab.h). */
    uint32_t refs;
    uint8_t kind;              /* enum object_kind */
    bool done;
    uint16_t flags;            /* enum future_flag */
    const asyncio_site *site;  /* where it was made */

    asyncio_loop *loop;
    intptr_t result;           /* once done */
    uint64_t order;            /* once done: the loop's how manieth completion it was */
    struct list waiters;
    struct message *message;   /* goes with a result that equals its code */
};

/* One who is to be told when a future completes. */
struct waiter {
    struct list node;
    /* Called once, off the list; must not wait and may not free the future. */
    void (*notify)(struct waiter *waiter, asyncio_future *future);
};

void asy_future_init(asyncio_future *future, asyncio_loop *loop, const asyncio_site *site);
void asy_future_complete(asyncio_future *future, intptr_t result);
/* Drops a reference; frees, and reports a failure that nobody saw. */
void asy_future_unref(asyncio_future *future);

/* What this thread raised outside tasks: forgotten, and as a message of its own. */
void asy_thread_message_clear(void);
struct message *asy_thread_message_take(intptr_t code);
/* The caller's message, of its task or thread, from now on. NULL: none. */
void asy_message_show(intptr_t code, const char *text);
/* The running task inherits the message of a future that failed. */
void asy_message_inherit(asyncio_future *from);
void asy_message_set(struct message **place, struct message *message);
struct message *asy_message_new(intptr_t code, const char *text);
struct message *asy_message_ref(struct message *message);
void asy_message_unref(struct message *message);
/* The words for a future's error: its message, or what the code says. */
const char *asy_future_words(const asyncio_future *future);

/* Aborts with a message unless `future` is alive and of this thread's. */
void asy_future_check(const asyncio_future *future, const char *call);

#endif
