/*
 * Channels: items that tasks of any loop, and threads without a loop, hand to each other.
 *
 *     ASYNCIO_CHANNEL_OF(jobs, struct job);
 *
 *     jobs *channel = jobs_new(64);
 *
 *     err = jobs_send(channel, job);                             in a task of one loop
 *     err = jobs_receive(channel, &job);                         in a task of another
 *     err = jobs_send_blocking(channel, job, ASYNCIO_FOREVER);   in a thread without a loop
 *
 *     jobs_release(channel);                                     once for each jobs_new and jobs_ref
 *
 * A channel holds at most as many items as its capacity. Items have one fixed size and are copied in and
 * out; the program owns what they point to. Items, senders and receivers are first come, first served. No
 * item is lost or received twice: a receiver that was granted one gets it, and a request to cancel that
 * comes later stays pending for the task's next wait. If the loop of a receiver closes before the receiver
 * has run, the next receiver gets the item. A sender whose item is in the channel has sent it, whatever
 * becomes of the sender.
 *
 * Any thread may make any call here, except that _send and _receive are for tasks, and _send_blocking and
 * _receive_blocking for threads where no loop runs. None is for signal handlers. The caller has a
 * reference, or knows that another one stays until its call returns or waits. A call that waits is no
 * reference.
 *
 * All calls that return int return -EINVAL for NULL, but for _close, and ASYNCIO_ESTATE in a process that
 * was forked after the channel was made. An error leaves *item untouched. A call that need not wait does
 * not wait; after many such calls in a row the task gives way once, which is a wait like any other. Python
 * has no channels: queue.Queue blocks a loop, and asyncio.Queue belongs to one.
 */
#ifndef ASYNCIO_CHANNELS_H
#define ASYNCIO_CHANNELS_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* A channel for items of one size, counted by references. */
typedef struct asyncio_channel asyncio_channel;

/* Makes a channel with one reference, for items of item_size bytes. It has room for `capacity` of them,
 * rounded up to a power of two. NULL: no memory, or one of the two is 0, as the message says. */
ASYNCIO_API asyncio_channel *asyncio_channel_new(size_t item_size, size_t capacity);

/* Takes a reference to a channel, and returns the channel. Accepts NULL. */
ASYNCIO_API asyncio_channel *asyncio_channel_ref(asyncio_channel *channel);

/* Drops a reference to a channel. The last one closes the channel: all calls that wait return
 * ASYNCIO_EQUEUE_SHUTDOWN, items inside are dropped, and the memory is freed. A receiver that was granted an
 * item before still gets it. In a forked child nothing happens. Accepts NULL. */
ASYNCIO_API void asyncio_channel_release(asyncio_channel *channel);

/*
 * Closes a channel: sends that wait, and all later ones, return ASYNCIO_EQUEUE_SHUTDOWN. Receivers first
 * get the items that are there, then ASYNCIO_EQUEUE_SHUTDOWN, too. Does not wait. 0, also for NULL and for
 * a channel that is closed already.
 */
ASYNCIO_API int asyncio_channel_close(asyncio_channel *channel);

/*
 * Sends an item through a channel. Suspends while the channel is full, behind all senders that wait. 0;
 * ASYNCIO_EQUEUE_SHUTDOWN; -ECANCELED: the item was not sent; ASYNCIO_ENOTASK outside a task.
 */
ASYNCIO_API int asyncio_channel_send(asyncio_channel *channel, const void *item);

/*
 * Receives the next item of a channel. Suspends while there is none, behind all receivers that wait. 0;
 * ASYNCIO_EQUEUE_SHUTDOWN when the channel is closed and empty; -ECANCELED: no item was taken;
 * ASYNCIO_ENOTASK outside a task.
 */
ASYNCIO_API int asyncio_channel_receive(asyncio_channel *channel, void *item);

/* Send and receive an item without waiting. 0; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY;
 * ASYNCIO_EQUEUE_SHUTDOWN. Any thread, also in callbacks. */
ASYNCIO_API int asyncio_channel_try_send(asyncio_channel *channel, const void *item);
ASYNCIO_API int asyncio_channel_try_receive(asyncio_channel *channel, void *item);

/*
 * Send and receive an item on a thread without a loop. Block for at most `timeout` seconds
 * (ASYNCIO_FOREVER: no limit; 0 or less: a try). 0; ASYNCIO_EQUEUE_SHUTDOWN; -ETIMEDOUT: nothing was sent or
 * taken; -EINVAL for NaN; -EDEADLK on a thread that runs a loop, whether or not the call would have to wait.
 */
ASYNCIO_API int asyncio_channel_send_blocking(asyncio_channel *channel, const void *item, double timeout);
ASYNCIO_API int asyncio_channel_receive_blocking(asyncio_channel *channel, void *item, double timeout);

/* Tells how many items are in a channel. An item stays there until its receiver runs. 0 for NULL and in a
 * forked child. */
ASYNCIO_API size_t asyncio_channel_size(asyncio_channel *channel);

#ifdef __cplusplus
#define ASYNCIO_CHANNEL_CAST_(type, x) reinterpret_cast<type *>(x)
#else
#define ASYNCIO_CHANNEL_CAST_(type, x) ((type *)(void *)(x))
#endif

/*
 * Defines a type of channel for items of one C type, and its functions. ASYNCIO_CHANNEL_OF(name, type);
 * stands outside functions. `name *` is a channel; name_new(capacity), name_ref, name_release, name_close,
 * name_size, name_send(channel, value), name_receive(channel, &value), name_try_send, name_try_receive,
 * name_send_blocking and name_receive_blocking are the functions above; name_channel(channel) is the
 * asyncio_channel, for asyncio_select. `type` is no array.
 */
#define ASYNCIO_CHANNEL_OF(name, type)                                                            \
    typedef struct name name;                                                                     \
    static inline __attribute__((unused)) asyncio_channel *name##_channel(name *channel)          \
    {                                                                                             \
        return ASYNCIO_CHANNEL_CAST_(asyncio_channel, channel);                                   \
    }                                                                                             \
    static inline __attribute__((unused)) name *name##_new(size_t capacity)                       \
    {                                                                                             \
        return ASYNCIO_CHANNEL_CAST_(name, asyncio_channel_new(sizeof(type), capacity));          \
    }                                                                                             \
    static inline __attribute__((unused)) name *name##_ref(name *channel)                         \
    {                                                                                             \
        return ASYNCIO_CHANNEL_CAST_(name, asyncio_channel_ref(name##_channel(channel)));         \
    }                                                                                             \
    static inline __attribute__((unused)) void name##_release(name *channel)                      \
    {                                                                                             \
        asyncio_channel_release(name##_channel(channel));                                         \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_close(name *channel)                         \
    {                                                                                             \
        return asyncio_channel_close(name##_channel(channel));                                    \
    }                                                                                             \
    static inline __attribute__((unused)) size_t name##_size(name *channel)                       \
    {                                                                                             \
        return asyncio_channel_size(name##_channel(channel));                                     \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_send(name *channel, type item)               \
    {                                                                                             \
        return asyncio_channel_send(name##_channel(channel), &item);                              \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_receive(name *channel, type *item)           \
    {                                                                                             \
        return asyncio_channel_receive(name##_channel(channel), item);                            \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_try_send(name *channel, type item)           \
    {                                                                                             \
        return asyncio_channel_try_send(name##_channel(channel), &item);                          \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_try_receive(name *channel, type *item)       \
    {                                                                                             \
        return asyncio_channel_try_receive(name##_channel(channel), item);                        \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_send_blocking(name *channel, type item,      \
                                                                   double timeout)                \
    {                                                                                             \
        return asyncio_channel_send_blocking(name##_channel(channel), &item, timeout);            \
    }                                                                                             \
    static inline __attribute__((unused)) int name##_receive_blocking(name *channel, type *item,  \
                                                                      double timeout)             \
    {                                                                                             \
        return asyncio_channel_receive_blocking(name##_channel(channel), item, timeout);          \
    }                                                                                             \
    struct name

ASYNCIO_END_DECLS

#endif
