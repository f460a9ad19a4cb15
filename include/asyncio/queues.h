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
 * Items have one fixed size and are copied in and out; the program owns what they point to. A bounded queue
 * allocates once, when it is made. An unbounded one allocates when it has to grow, and keeps its memory
 * until it is destroyed.
 *
 * Items and waiting tasks are first come, first served. A put hands its item at once to a task that waits
 * to get one. A waiting put is done as soon as there is room. A request to cancel that comes later stays
 * pending, so that no item is lost or put twice. A call that need not wait does not wait. After many such
 * calls in a row the task gives way once, before the operation; that is a wait like any other.
 *
 * Queues are bound to a loop as locks are (locks.h). Calls that return int return -EINVAL for NULL, and for
 * a queue that was not made. Calls that suspend also return -ECANCELED when cancelled, ASYNCIO_ENOTASK
 * outside a task, and ASYNCIO_ESTATE while another loop's tasks wait on the queue. All other calls do not
 * wait, and may be made in callbacks and where no loop runs.
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
 * Makes a queue for at most maxsize items of item_size bytes; maxsize 0 is no limit.
 *
 * _init: first in, first out. _init_lifo: last in, first out. _init_priority: the smallest first, equal
 * ones as they came. compare(a, b) returns a number below 0, 0, or above 0, as for qsort; it must neither
 * wait nor use the queue. 0; -ENOMEM; -EINVAL for an item_size of 0, or no compare. (Queue(maxsize),
 * LifoQueue, PriorityQueue)
 */
ASYNCIO_API int asyncio_queue_init(asyncio_queue *queue, size_t item_size, size_t maxsize);
ASYNCIO_API int asyncio_queue_init_lifo(asyncio_queue *queue, size_t item_size, size_t maxsize);
ASYNCIO_API int asyncio_queue_init_priority(asyncio_queue *queue, size_t item_size, size_t maxsize,
                                            int (*compare)(const void *a, const void *b));

/* Frees the queue's memory and drops its items. Tasks that still wait on it get ASYNCIO_EQUEUE_SHUTDOWN;
 * later calls return -EINVAL. Accepts NULL, a queue whose _init failed, and a queue that is destroyed
 * already. */
ASYNCIO_API void asyncio_queue_destroy(asyncio_queue *queue);

/*
 * Copies an item into the queue. Suspends while the queue is full. A call that is cancelled has not put the
 * item. 0; ASYNCIO_EQUEUE_SHUTDOWN, also when the queue is shut down during the wait; -ENOMEM when an
 * unbounded queue cannot grow: nothing has changed. (Queue.put)
 */
ASYNCIO_API int asyncio_queue_put(asyncio_queue *queue, const void *item);

/*
 * Copies the next item out of the queue. Suspends while there is none. A call that is cancelled has taken
 * no item. 0; ASYNCIO_EQUEUE_SHUTDOWN when the queue is empty and shut down. An error leaves *item
 * untouched. (Queue.get)
 */
ASYNCIO_API int asyncio_queue_get(asyncio_queue *queue, void *item);

/* Put and get items without waiting. 0, or as above; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY.
 * (put_nowait, get_nowait) */
ASYNCIO_API int asyncio_queue_put_nowait(asyncio_queue *queue, const void *item);
ASYNCIO_API int asyncio_queue_get_nowait(asyncio_queue *queue, void *item);

/* Reports that an item that was taken out has been dealt with. 0; ASYNCIO_ESTATE if all have been already.
 * (task_done, ValueError) */
ASYNCIO_API int asyncio_queue_task_done(asyncio_queue *queue);

/* Waits until every item that was put has been dealt with. Suspends unless all have been. 0. (join) */
ASYNCIO_API int asyncio_queue_join(asyncio_queue *queue);

/*
 * Shuts the queue down: puts fail from now on, and gets fail when it is empty. With `immediate` the items
 * are dropped and count as dealt with; take them out first if they own something. Tasks that wait to put or
 * get go on with ASYNCIO_EQUEUE_SHUTDOWN. 0, also when the queue was shut down before. (shutdown)
 */
ASYNCIO_API int asyncio_queue_shutdown(asyncio_queue *queue, bool immediate);

/* Tell how many items are in the queue, whether it is empty, whether it is full. A queue without a limit is
 * never full. An item that was handed to a waiting task is no longer in the queue. NULL counts as an empty
 * queue. (qsize, empty, full) */
ASYNCIO_API size_t asyncio_queue_size(const asyncio_queue *queue);
ASYNCIO_API bool asyncio_queue_empty(const asyncio_queue *queue);
ASYNCIO_API bool asyncio_queue_full(const asyncio_queue *queue);

ASYNCIO_END_DECLS

#endif
