/*
 * The state machine of a channel. See channel.h.
 */
#include "threads/channel.h"
#include "asyncio/errors.h"
#include "base/assert.h"
#include <string.h>

void asy_channel_init(struct asyncio_channel *channel, size_t item_bytes, size_t capacity)
{
    ASY_ASSERT(item_bytes && capacity && (capacity & (capacity - 1)) == 0);
    channel->item_bytes = item_bytes;
    channel->capacity = capacity;
    channel->is_closed = channel->is_released = false;
    channel->first = channel->count = channel->granted = 0;
    list_init(&channel->senders);
    list_init(&channel->receivers);
}

/* ---- The ring --------------------------------------------------------------------- */

static inline void copy_item(const struct asyncio_channel *channel, void *to, const void *from)
{
    if (LIKELY(channel->item_bytes == sizeof(void *)))
        memcpy(to, from, sizeof(void *));
    else
        memcpy(to, from, channel->item_bytes);
}

static inline char *item_place(struct asyncio_channel *channel, size_t n)
{
    return channel->items + ((channel->first + n) & (channel->capacity - 1)) * channel->item_bytes;
}

static inline void push_item(struct asyncio_channel *channel, const void *item)
{
    ASY_ASSERT(channel->count < channel->capacity);
    copy_item(channel, item_place(channel, channel->count), item);
    channel->count++;
}

static inline void pop_item(struct asyncio_channel *channel, void *item)
{
    ASY_ASSERT(channel->count > channel->granted);
    copy_item(channel, item, item_place(channel, 0));
    channel->first++;
    channel->count--;
}

/* ---- Waking ----------------------------------------------------------------------- */

/* The first waiter of the list that can still be claimed, taken off; NULL: none is left. */
static struct channel_waiter *claim_first(struct list *waiters)
{
    struct list *node;
    while ((node = list_take_first(waiters))) {
        struct channel_waiter *waiter = LIST_ENTRY(node, struct channel_waiter, node);
        if (!waiter->kind->claim || waiter->kind->claim(waiter))
            return waiter;
    }
    return NULL;
}

/* The item is copied before the sender is woken: it may be gone then. */
static bool admit_sender(struct asyncio_channel *channel, struct channel_wake *wake)
{
    struct channel_waiter *waiter = claim_first(&channel->senders);
    if (!waiter)
        return false;
    push_item(channel, waiter->item);
    waiter->kind->wake(waiter, 0, wake);
    return true;
}

static bool grant_receiver(struct asyncio_channel *channel, struct channel_wake *wake)
{
    struct channel_waiter *waiter = claim_first(&channel->receivers);
    if (!waiter)
        return false;
    channel->granted++;
    waiter->is_granted = true;
    waiter->kind->wake(waiter, 0, wake);
    return true;
}

static void shut_out(struct list *waiters, struct channel_wake *wake)
{
    struct channel_waiter *waiter;
    while ((waiter = claim_first(waiters)))
        waiter->kind->wake(waiter, ASYNCIO_EQUEUE_SHUTDOWN, wake);
}

/* No receiver that waits now is going to get an item. */
static inline bool is_exhausted(const struct asyncio_channel *channel)
{
    return channel->is_closed && (channel->count == 0 || channel->is_released);
}

/* Brings back what channel.h says of the lists, after room or an item came. */
static inline void settle_channel(struct asyncio_channel *channel, struct channel_wake *wake)
{
    bool goes_on = true;
    while (goes_on) {
        goes_on = false;
        if (UNLIKELY(!list_is_empty(&channel->senders)) && channel->count < channel->capacity)
            goes_on = admit_sender(channel, wake);
        if (UNLIKELY(!list_is_empty(&channel->receivers)) && channel->count > channel->granted)
            goes_on |= grant_receiver(channel, wake);
    }
    if (UNLIKELY(is_exhausted(channel)))
        shut_out(&channel->receivers, wake);
}

/* ---- Sending and receiving ----------------------------------------------------------- */

int asy_channel_try_send(struct asyncio_channel *channel, const void *item, struct channel_wake *wake)
{
    if (UNLIKELY(channel->is_closed))
        return ASYNCIO_EQUEUE_SHUTDOWN;
    if (channel->count == channel->capacity)
        return ASYNCIO_EQUEUE_FULL;
    push_item(channel, item);
    settle_channel(channel, wake);
    return 0;
}

int asy_channel_try_receive(struct asyncio_channel *channel, void *item, struct channel_wake *wake)
{
    if (channel->count == channel->granted)
        return UNLIKELY(is_exhausted(channel)) ? ASYNCIO_EQUEUE_SHUTDOWN : ASYNCIO_EQUEUE_EMPTY;
    pop_item(channel, item);
    settle_channel(channel, wake);
    return 0;
}

void asy_channel_await_room(struct asyncio_channel *channel, struct channel_waiter *waiter, const void *item,
                            struct channel_wake *wake)
{
    waiter->item = item;
    waiter->is_granted = false;
    list_append(&channel->senders, &waiter->node);
    if (UNLIKELY(channel->is_closed))
        shut_out(&channel->senders, wake);
    else
        settle_channel(channel, wake);
}

void asy_channel_await_item(struct asyncio_channel *channel, struct channel_waiter *waiter,
                            struct channel_wake *wake)
{
    waiter->is_granted = false;
    list_append(&channel->receivers, &waiter->node);
    settle_channel(channel, wake);
}

void asy_channel_take_granted(struct asyncio_channel *channel, struct channel_waiter *waiter, void *item,
                              struct channel_wake *wake)
{
    ASY_ASSERT(waiter->is_granted && channel->granted > 0);
    waiter->is_granted = false;
    channel->granted--;
    pop_item(channel, item);
    settle_channel(channel, wake);
}

/* ---- Leaving ------------------------------------------------------------------------- */

bool asy_channel_withdraw(struct channel_waiter *waiter)
{
    if (list_is_empty(&waiter->node))
        return false;
    list_remove(&waiter->node);
    return true;
}

void asy_channel_revoke(struct asyncio_channel *channel, struct channel_waiter *waiter,
                        struct channel_wake *wake)
{
    if (asy_channel_withdraw(waiter) || !waiter->is_granted)
        return;
    ASY_ASSERT(channel->granted > 0);
    waiter->is_granted = false;
    channel->granted--;
    if (channel->is_released) /* its item was kept for it alone */
        channel->count--;
    settle_channel(channel, wake);
}

void asy_channel_close(struct asyncio_channel *channel, struct channel_wake *wake)
{
    channel->is_closed = true;
    shut_out(&channel->senders, wake);
    settle_channel(channel, wake);
}

void asy_channel_end(struct asyncio_channel *channel, struct channel_wake *wake)
{
    ASY_ASSERT(!channel->is_released);
    channel->is_released = true;
    channel->count = channel->granted;
    asy_channel_close(channel, wake);
}
