/*
 * The ready queue: what the loop runs next, first come, first served.
 *
 * An entry is part of a task or a callback. A task is in the queue at most once. It has two kinds of entry:
 * READY_TASK runs it; READY_RELAY puts it at the end of the queue again when the loop reaches it. The relay
 * stands for the callback that asyncio queues between an event (a timer's, a gather's) and the wake-up of the
 * task that waits for it, so that orders are the same. READY_END stands behind the last entry of an iteration
 * where that must be exact (is_strict).
 *
 * A callback can be taken out of the queue. It knows the link that leads to it. That is kept right for every
 * callback but the first of the queue, to which only the queue leads, and which nobody tells when its
 * predecessor has left: so pushing and taking tasks costs nothing more.
 */
#ifndef ASY_CORE_READY_H
#define ASY_CORE_READY_H

#include "base/assert.h"
#include "base/compiler.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ready_kind { READY_TASK, READY_RELAY, READY_CALLBACK, READY_END };

struct ready {
    struct ready *next;
    uint32_t kind;
};

struct ready_queue {
    struct ready *first;
    struct ready **end; /* where the next one is linked in */
    size_t count;
};

static inline void ready_queue_init(struct ready_queue *queue)
{
    queue->first = NULL;
    queue->end = &queue->first;
    queue->count = 0;
}

static inline void ready_push(struct ready_queue *queue, struct ready *entry)
{
    entry->next = NULL;
    *queue->end = entry;
    queue->end = &entry->next;
    queue->count++;
}

/* Takes the first entry off; there must be one. */
static inline void ready_drop_first(struct ready_queue *queue)
{
    struct ready *next = queue->first->next;
    queue->first = next;
    if (!next)
        queue->end = &queue->first;
    queue->count--;
}

/* A callback of the loop: a handle's, a future's, the program's own, or a post from elsewhere. Runs on the
 * loop's stack. One of the two functions is called, once, when it has left the queue, and gives the block
 * back. */
struct callback;
struct callback_kind {
    void (*run)(struct callback *callback);
    void (*drop)(struct callback *callback); /* the loop closes first */
};

struct callback {
    struct ready ready;
    const struct callback_kind *kind;
    struct ready **link; /* NULL: not in the queue */
};

static inline void callback_push(struct ready_queue *queue, struct callback *callback,
                                 const struct callback_kind *kind)
{
    callback->ready.kind = READY_CALLBACK;
    callback->kind = kind;
    callback->link = queue->end;
    ready_push(queue, &callback->ready);
}

/* The first entry is a callback: takes it off. */
static inline struct callback *callback_take_first(struct ready_queue *queue)
{
    struct callback *callback = (struct callback *)queue->first;
    ready_drop_first(queue);
    callback->link = NULL;
    return callback;
}

/* `link` leads to `next`, unless that is NULL. */
static inline void ready_relink(struct ready_queue *queue, struct ready *next, struct ready **link)
{
    *link = next;
    if (!next)
        queue->end = link;
    else if (next->kind == READY_CALLBACK)
        ((struct callback *)next)->link = link;
}

/* Takes a callback out, wherever it is in the queue. False if it is not there. */
static inline bool callback_remove(struct ready_queue *queue, struct callback *callback)
{
    if (!callback->link)
        return false;
    struct ready *entry = &callback->ready;
    struct ready **link = queue->first == entry ? &queue->first : callback->link;
    ASY_ASSERT(*link == entry);
    ready_relink(queue, entry->next, link);
    queue->count--;
    callback->link = NULL;
    return true;
}

static inline void ready_push_first(struct ready_queue *queue, struct ready *entry)
{
    ready_relink(queue, queue->first, &entry->next);
    queue->first = entry;
    queue->count++;
}

#endif
