/*
 * Select: waits until one of several things happens, and only that one happens.
 *
 *     struct job job;
 *     asyncio_case cases[] = {
 *         ASYNCIO_CASE_GET(&queue, &job),
 *         ASYNCIO_CASE_EVENT(&stop),
 *     };
 *     ptrdiff_t which = asyncio_select(cases, 2, 5.0);
 *     if (which < 0)
 *         return which;                       -ETIMEDOUT, -ECANCELED
 *     if (which == 1)
 *         return 0;
 *     if (cases[0].result < 0)
 *         return cases[0].result;             ASYNCIO_EQUEUE_SHUTDOWN
 *
 * Each case stands for a call that waits. The first one that could return does, as if it had been made
 * alone, and `result` is what it returned; the others have done nothing: no item was taken or put, no lock
 * was acquired. No task is made for a case, and nothing is allocated but what the loop keeps for a
 * descriptor. The same object may stand in several cases, and an array may be used again.
 *
 * While it waits, a case stands in the queue of its object as a task does: first come, first served. asyncio
 * has no such call; there it is a task for each case, asyncio.wait with FIRST_COMPLETED, and a cancel of the
 * others, which may have taken an item by then.
 */
#ifndef ASYNCIO_SELECT_H
#define ASYNCIO_SELECT_H

#include <asyncio/channels.h>
#include <asyncio/futures.h>
#include <asyncio/locks.h>
#include <asyncio/queues.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* One of the things that asyncio_select waits for. Made by ASYNCIO_CASE_GET and its neighbours; all fields
 * but `result` are private. */
typedef struct asyncio_case {
    intptr_t result; /* of the case that happened: 0, or what its call alone would have returned */
    int kind_, fd_, events_, is_linked_;
    void *object_, *item_, *call_;
    uintptr_t wait_[11]; /* the place in the object's queue */
} asyncio_case;

enum asyncio_case_kind_ {
    ASYNCIO_CASE_KIND_GET_ = 1,
    ASYNCIO_CASE_KIND_PUT_,
    ASYNCIO_CASE_KIND_EVENT_,
    ASYNCIO_CASE_KIND_LOCK_,
    ASYNCIO_CASE_KIND_SEMAPHORE_,
    ASYNCIO_CASE_KIND_DONE_,
    ASYNCIO_CASE_KIND_FD_,
    ASYNCIO_CASE_KIND_RECEIVE_,
    ASYNCIO_CASE_KIND_SEND_
};

/*
 * Waits until one of the n cases has happened, for at most `timeout` seconds (ASYNCIO_FOREVER: no limit; 0
 * or less: a look that never suspends and delivers no request). Suspends unless one can happen at once.
 * Returns the index of the case that happened, and its outcome is in cases[i].result.
 *
 * If several can happen at once, the first in the array does; where the loop has a seed, a drawn one. A case
 * that has happened is never lost to a cancel: the request then stays pending for the next wait. A request
 * is not passed on to a task that a case waits for.
 *
 * -ETIMEDOUT, -ECANCELED: none has happened. -EINVAL, and nothing happens: n is 0, timeout is NaN, a case
 * has a NULL, an object that was destroyed or never made, the calling task, another loop's future, or no
 * events, as the message says, with the number of the case; ASYNCIO_ESTATE: an object is in use on another
 * loop, or a channel is the parent process's; -ENOMEM: no room for a timer; ASYNCIO_ENOTASK.
 */
ASYNCIO_API ptrdiff_t asyncio_select(asyncio_case cases[], size_t n, double timeout);

/* A const item of a case that only reads it; no object. */
#ifdef __cplusplus
#define ASYNCIO_CASE_ITEM_(item) const_cast<void *>(item)
#define ASYNCIO_CASE_NONE_ nullptr
#else
#define ASYNCIO_CASE_ITEM_(item) ((void *)(uintptr_t)(item))
#define ASYNCIO_CASE_NONE_ NULL
#endif

/* What all of the functions below call. */
static inline __attribute__((unused)) asyncio_case asyncio_case_make_(int kind, void *object, void *item)
{
    asyncio_case made;
    made.result = 0;
    made.kind_ = kind;
    made.fd_ = made.events_ = made.is_linked_ = 0;
    made.object_ = object;
    made.item_ = item;
    made.call_ = ASYNCIO_CASE_NONE_;
    return made; /* its place in a queue is filled when it waits */
}

/* asyncio_queue_get and asyncio_queue_put of a queue, as cases. `item` is read and written during the call
 * alone. */
static inline __attribute__((unused)) asyncio_case asyncio_case_get(asyncio_queue *queue, void *item)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_GET_, queue, item);
}
static inline __attribute__((unused)) asyncio_case asyncio_case_put(asyncio_queue *queue, const void *item)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_PUT_, queue, ASYNCIO_CASE_ITEM_(item));
}
#define ASYNCIO_CASE_GET(queue, item) asyncio_case_get((queue), (item))
#define ASYNCIO_CASE_PUT(queue, item) asyncio_case_put((queue), (item))

/* asyncio_event_wait, asyncio_lock_acquire and asyncio_semaphore_acquire, as cases. A bounded semaphore b
 * stands in a case as &b.semaphore_. */
static inline __attribute__((unused)) asyncio_case asyncio_case_event(asyncio_event *event)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_EVENT_, event, ASYNCIO_CASE_NONE_);
}
static inline __attribute__((unused)) asyncio_case asyncio_case_lock(asyncio_lock *lock)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_LOCK_, lock, ASYNCIO_CASE_NONE_);
}
static inline __attribute__((unused)) asyncio_case asyncio_case_semaphore(asyncio_semaphore *semaphore)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_SEMAPHORE_, semaphore, ASYNCIO_CASE_NONE_);
}
#define ASYNCIO_CASE_EVENT(event) asyncio_case_event(event)
#define ASYNCIO_CASE_LOCK(lock) asyncio_case_lock(lock)
#define ASYNCIO_CASE_SEMAPHORE(semaphore) asyncio_case_semaphore(semaphore)

/* A task or future that is done, as a case. Borrowed; `result` is its result, with its message. */
static inline __attribute__((unused)) asyncio_case asyncio_case_done(asyncio_future *future)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_DONE_, future, ASYNCIO_CASE_NONE_);
}
#define ASYNCIO_CASE_DONE(x) asyncio_case_done(ASYNCIO_AS_FUTURE(x))

/* A descriptor that is ready, as a case; as asyncio_wait_fd, which leaves no registration behind. `result`
 * is the events that hold, or -EBADF. */
static inline __attribute__((unused)) asyncio_case asyncio_case_fd(int fd, int poll_events)
{
    asyncio_case made = asyncio_case_make_(ASYNCIO_CASE_KIND_FD_, ASYNCIO_CASE_NONE_, ASYNCIO_CASE_NONE_);
    made.fd_ = fd;
    made.events_ = poll_events;
    return made;
}
#define ASYNCIO_CASE_FD(fd, poll_events) asyncio_case_fd((fd), (poll_events))

/* asyncio_channel_receive and asyncio_channel_send of a channel, as cases; for a channel with a type of its
 * own, name_channel(channel). The caller keeps a reference to the channel during the call. */
static inline __attribute__((unused)) asyncio_case asyncio_case_receive(asyncio_channel *channel, void *item)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_RECEIVE_, channel, item);
}
static inline __attribute__((unused)) asyncio_case asyncio_case_send(asyncio_channel *channel,
                                                                     const void *item)
{
    return asyncio_case_make_(ASYNCIO_CASE_KIND_SEND_, channel, ASYNCIO_CASE_ITEM_(item));
}
#define ASYNCIO_CASE_RECEIVE(channel, item) asyncio_case_receive((channel), (item))
#define ASYNCIO_CASE_SEND(channel, item) asyncio_case_send((channel), (item))

ASYNCIO_END_DECLS

#endif
