/*
 * Queues: items that tasks hand to each other.
 *
 *     asyncio_queue queue;
 *     int err = asyncio_queue_init(&queue, sizeof(struct job), 100);
 *
 *     err = asyncio_queue_put(&queue, &job);         in one task
 *     err = asyncio_queue_get(&queue, &job);         in another
 *
 *     asyncio_queue_destroy(&queue);
 *
 * Items have one fixed size and are copied in and out; what they point to is
 * the program's affair. A bounded queue allocates once, when it is made; an unbounded
 * one when it has to grow, and keeps what it has until it is destroyed.
 *
 * Items and waiting tasks are first come, first served. An item put while a task
 * waits to get one is handed to it at once, and a task that waits to put has put as soon as
 * there is room: a request to cancel that comes later stays pending, so that no item is lost or put twice.
 * A call that need not wait does not; but after many of them in a row the task gives
 * way once, before the operation, which is a wait like any other.
 *
 * Queues are bound to a loop as locks are (locks.h). Errors of all that return int: -EINVAL
 * for NULL, or a queue that was not made; of those that suspend, besides: -ECANCELED
 * when cancelled; ASYNCIO_ENOTASK outside a task; ASYNCIO_ESTATE while another loop's tasks
 * wait on it. All others wait for nothing, and may be called in callbacks and where no loop runs.
 */
#ifndef ASYNCIO_QUEUES_H
#define ASYNCIO_QUEUES_H

#include <asyncio/locks.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* The items. Fields that end in _ are private. */
typedef struct asyncio_queue_items {
    char *place_;
    size_t size_, stride_; /* of an item; from one to the next */
    size_t capacity_, first_, count_;
    uint64_t sequence_;    /* of the latest item, by priority */
    int (*compare_)(const void *a, const void *b); /* NULL: not by priority */
    bool lifo_;
} asyncio_queue_items;

/* A queue, in the caller's storage. (Queue, LifoQueue, PriorityQueue) */
typedef struct asyncio_queue {
    uint64_t loop_;
    size_t maxsize_;       /* SIZE_MAX: no limit */
    asyncio_queue_items items_;
    asyncio_waiters getters_, putters_, joiners_;
    size_t unfinished_;
    bool shutdown_;
} asyncio_queue;

/*
 * Makes a queue for items of item_size bytes, at most maxsize of them; maxsize 0: no limit.
 *
 * _init: first in, first out. _init_lifo: last in, first out. _init_priority: the
 * smallest first, equal ones as they came; compare(a, b) is below 0, 0 or above, as qsort's, and
 * must neither wait nor use the queue.
 * 0; -ENOMEM; -EINVAL for an item_size of 0, or no compare. (Queue(maxsize), LifoQueue, PriorityQueue)
 */
ASYNCIO_API int asyncio_queue_init(asyncio_queue *queue, size_t item_size, size_t maxsize);
ASYNCIO_API int asyncio_queue_init_lifo(asyncio_queue *queue, size_t item_size, size_t maxsize);
ASYNCIO_API int asyncio_queue_init_priority(asyncio_queue *queue, size_t item_size, size_t maxsize,
                                            int (*compare)(const void *a, const void *b));

/* Frees what the queue holds; items in it are dropped. Tasks that still wait on it get
 * ASYNCIO_EQUEUE_SHUTDOWN, later calls -EINVAL. Accepts NULL, one whose _init failed, and one
 * that is destroyed already. */
ASYNCIO_API void asyncio_queue_destroy(asyncio_queue *queue);

/*
 * Copies an item into the queue. Suspends while it is full. Cancelled: the item is not put.
 * 0; ASYNCIO_EQUEUE_SHUTDOWN, also when that comes while it waits; -ENOMEM when an
 * unbounded queue cannot grow: nothing has changed. (Queue.put)
 */
ASYNCIO_API int asyncio_queue_put(asyncio_queue *queue, const void *item);

/*
 * Copies the next item out of the queue. Suspends while there is none. Cancelled: no item was taken.
 * 0; ASYNCIO_EQUEUE_SHUTDOWN when it is empty and shut down. On error *item is untouched. (Queue.get)
 */
ASYNCIO_API int asyncio_queue_get(asyncio_queue *queue, void *item);

/* Put and get items without waiting: ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY. (put_nowait, get_nowait) */
ASYNCIO_API int asyncio_queue_put_nowait(asyncio_queue *queue, const void *item);
ASYNCIO_API int asyncio_queue_get_nowait(asyncio_queue *queue, void *item);

/* An item that was taken out has been dealt with. 0; ASYNCIO_ESTATE if there is none.
 * (task_done, ValueError) */
ASYNCIO_API int asyncio_queue_task_done(asyncio_queue *queue);

/* Waits until every item that was put has been dealt with. Suspends if there is one that has
 * not. 0. (join) */
ASYNCIO_API int asyncio_queue_join(asyncio_queue *queue);

/*
 * Shuts the queue down: puts fail from now on, and gets when it is empty. With `immediate` the
 * items are dropped and count as dealt with; where they own something, take them out first. Tasks that wait
 * to put or get go on with ASYNCIO_EQUEUE_SHUTDOWN. 0, also when it was shut down before. (shutdown)
 */
ASYNCIO_API int asyncio_queue_shutdown(asyncio_queue *queue, bool immediate);

/* How many items are in it; is it empty, is it full? One without a limit never is. An item that
 * was handed to a waiting task is not in it any more. NULL: as an empty one. (qsize, empty, full) */
ASYNCIO_API size_t asyncio_queue_size(const asyncio_queue *queue);
ASYNCIO_API bool asyncio_queue_empty(const asyncio_queue *queue);
ASYNCIO_API bool asyncio_queue_full(const asyncio_queue *queue);

ASYNCIO_END_DECLS

#endif
