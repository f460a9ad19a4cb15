/*
 * The state machine of a channel. It knows no tasks, loops or threads, only waiters and how to wake them;
 * channels.c has those, and holds the lock around each call here.
 *
 * Items lie in a ring, and leave it only in the hands of a receiver that runs. A receiver that waits is
 * granted the right to one of them: `granted` counts these rights. So there is nothing to bring back when a
 * loop closes over a task that was granted one; the right goes to the next receiver. A sender that waits has
 * its item moved into the ring as soon as there is room, and need not run for that.
 *
 *   sender      waiting ---> sent
 *                       ---> told of the close; or withdrawn, by a cancel, a timeout or a closing loop
 *   receiver    waiting ---> granted ---> has taken its item, or was revoked by a closing loop
 *                       ---> told of the close; or withdrawn
 *
 * What holds between the fields after each call:
 *
 *   granted <= count <= capacity
 *   senders wait only while count == capacity, and the channel is open
 *   receivers wait only while count == granted; if the channel is closed, while count > 0, since a closing
 *   loop may yet leave them an item
 *   a released channel has no waiters, and count == granted
 */
#ifndef ASY_THREADS_CHANNEL_H
#define ASY_THREADS_CHANNEL_H

#include "base/list.h"
#include "core/loop.h"
#include "core/post.h"
#include "core/quarantine.h"
#include "sys/short_lock.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is to be woken once the lock is released: at most one loop and one thread. */
struct channel_wake {
    asyncio_loop *loop; /* held */
    const _Atomic uint32_t *word;
};

struct channel_waiter;

struct channel_waiter_kind {
    /* False: something else has ended the wait already, and the waiter is passed by. NULL: always true. */
    bool (*claim)(struct channel_waiter *waiter);
    /* Ends a wait that was claimed: 0, or ASYNCIO_EQUEUE_SHUTDOWN. From here on the waiter is its owner's. */
    void (*wake)(struct channel_waiter *waiter, int result, struct channel_wake *wake);
};

/* In the list of senders or receivers while it waits; on no list from then on. */
struct channel_waiter {
    struct list node;
    const struct channel_waiter_kind *kind;
    const void *item; /* a sender's */
    bool is_granted;  /* a receiver's: it has the right to an item, and has not used it */
};

struct asyncio_channel {
    struct loose_object object;
    size_t item_bytes, capacity; /* the latter a power of two */
    unsigned fork_generation;    /* of the process that made it */
    _Atomic unsigned refs;       /* of the program */

    /* Guards all below. What a thread wrote under it is seen by the next that takes it. */
    struct asy_short_lock lock;
    unsigned users; /* calls that wait, and one for all refs: the last to leave frees the block */
    bool is_closed, is_released;
    size_t first, count; /* of the ring */
    size_t granted;
    struct list senders, receivers;
    _Alignas(16) char items[];
};

void asy_channel_init(struct asyncio_channel *channel, size_t item_bytes, size_t capacity);

/* Send and receive at once. 0, ASYNCIO_EQUEUE_SHUTDOWN; ASYNCIO_EQUEUE_FULL, ASYNCIO_EQUEUE_EMPTY: the call
 * would have to wait. */
int asy_channel_try_send(struct asyncio_channel *channel, const void *item, struct channel_wake *wake);
int asy_channel_try_receive(struct asyncio_channel *channel, void *item, struct channel_wake *wake);

/* A waiter whose kind is set stands behind all others from now on. It may be woken before this returns. A
 * sender's item stays where it is until then. */
void asy_channel_await_room(struct asyncio_channel *channel, struct channel_waiter *waiter, const void *item,
                            struct channel_wake *wake);
void asy_channel_await_item(struct asyncio_channel *channel, struct channel_waiter *waiter,
                            struct channel_wake *wake);

/* A receiver that was woken with 0 takes its item. */
void asy_channel_take_granted(struct asyncio_channel *channel, struct channel_waiter *waiter, void *item,
                              struct channel_wake *wake);

/* The waiter stops waiting. False: it has been woken, or is about to be. */
bool asy_channel_withdraw(struct channel_waiter *waiter);
/* The waiter is never going to run again. Whatever state it is in: it withdraws, and gives its right back. */
void asy_channel_revoke(struct asyncio_channel *channel, struct channel_waiter *waiter,
                        struct channel_wake *wake);

void asy_channel_close(struct asyncio_channel *channel, struct channel_wake *wake);
/* The last reference is gone: closed, and the items that nobody has a right to are dropped. */
void asy_channel_end(struct asyncio_channel *channel, struct channel_wake *wake);
/* ---- For calls (channels.c) ---------------------------------------------------------- */

/* Why a call on the channel is refused: -EINVAL, ASYNCIO_ESTATE in a forked child; 0. Aborts if it is
 * released. */
int asy_channel_check(const struct asyncio_channel *channel, const void *item, const char *call);

static inline void channel_lock(struct asyncio_channel *channel)
{
    short_lock_take(&channel->lock);
}
COLD void asy_channel_wake_up(struct channel_wake *wake);
/* Releases the lock, and then wakes. */
static inline void channel_unlock(struct asyncio_channel *channel, struct channel_wake *wake)
{
    short_lock_leave(&channel->lock);
    if (UNLIKELY(wake->loop || wake->word))
        asy_channel_wake_up(wake);
}

/* The call is going to wait; the lock is taken. */
static inline void channel_enter(struct asyncio_channel *channel)
{
    channel->users++;
}
/* Releases the lock, and touches the channel no more. A call that was woken takes the lock for this, if for
 * nothing else: whoever woke it is then done with its loop. */
void asy_channel_leave(struct asyncio_channel *channel, struct channel_wake *wake);

/* A sender begins to wait with its item, a receiver with none. The lock is not taken. */
static inline void channel_await(struct asyncio_channel *channel, struct channel_waiter *waiter,
                                 const void *sent)
{
    struct channel_wake wake = {0};
    channel_lock(channel);
    channel_enter(channel);
    if (sent)
        asy_channel_await_room(channel, waiter, sent, &wake);
    else
        asy_channel_await_item(channel, waiter, &wake);
    channel_unlock(channel, &wake);
}
/* Its call ends. `received`: where a receiver that was granted an item wants it; else NULL. */
static inline void channel_end_wait(struct asyncio_channel *channel, struct channel_waiter *waiter,
                                    void *received)
{
    struct channel_wake wake = {0};
    channel_lock(channel);
    if (received)
        asy_channel_take_granted(channel, waiter, received, &wake);
    asy_channel_leave(channel, &wake);
}

/* Has the thread woken, or at once, if `wake` has a thread already. */
void asy_channel_wake_thread(struct channel_wake *wake, const _Atomic uint32_t *word);
/* Posts to the loop, which lives; the same of waking it. */
void asy_channel_post(struct channel_wake *wake, asyncio_loop *loop, struct callback *post);

#endif
