/*
 * The ready queue: what the loop runs next, first come, first served.
 *
 * An entry is part of a task or a callback. A task is in the queue at most once. It has two kinds of entry:
 * READY_TASK runs it; READY_RELAY puts it at the end of the queue again when the loop reaches it. The relay
 * stands for the callback that asyncio queues between an event (a timer's, a gather's) and the wake-up of the
 * task that waits for it, so that orders are the same.
 */
#ifndef ASY_CORE_READY_H
#define ASY_CORE_READY_H

#include "base/compiler.h"
#include <stddef.h>
#include <stdint.h>

enum ready_kind { READY_TASK, READY_RELAY, READY_CALLBACK };

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

static inline void ready_push_first(struct ready_queue *queue, struct ready *entry)
{
    entry->next = queue->first;
    if (!entry->next)
        queue->end = &entry->next;
    queue->first = entry;
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

/* Takes an entry off, wherever it is in the queue, if it is there: slow. */
static inline void ready_remove(struct ready_queue *queue, struct ready *entry)
{
    struct ready **link = &queue->first;
    while (*link && *link != entry)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = entry->next;
    if (!*link)
        queue->end = link;
    queue->count--;
}

/* A callback of the loop: a handle's, a future's, or a post from elsewhere. Runs on the loop's stack. One of
 * the two functions is called, once, and gives the block back. */
struct callback;
struct callback_kind {
    void (*run)(struct callback *callback);
    void (*drop)(struct callback *callback); /* the loop closes first */
};

struct callback {
    struct ready ready;
    const struct callback_kind *kind;
};

static inline void callback_push(struct ready_queue *queue, struct callback *callback,
                                 const struct callback_kind *kind)
{
    callback->ready.kind = READY_CALLBACK;
    callback->kind = kind;
    ready_push(queue, &callback->ready);
}

#endif
