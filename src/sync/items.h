/*
 * The items of a queue: a ring, a row whose last item is taken first (lifo), or a heap. Knows nothing of
 * tasks. In a heap each item is followed by the number of its arrival, so that equal items leave in the
 * order in which they came.
 */
#ifndef ASY_SYNC_ITEMS_H
#define ASY_SYNC_ITEMS_H

#include "asyncio/queues.h"
#include "base/compiler.h"
#include <string.h>

/* `capacity` items fit from the start; 0: room is made when it is needed. 0 or -ENOMEM. */
int asy_items_init(asyncio_queue_items *items, size_t item_bytes, size_t capacity,
                   int (*compare)(const void *, const void *), bool is_lifo);
void asy_items_destroy(asyncio_queue_items *items);

/* Doubles the room. 0 or -ENOMEM: nothing has changed. */
COLD int asy_items_grow(asyncio_queue_items *items);

/* For a heap. To push there must be room, to pop an item. */
void asy_items_push(asyncio_queue_items *items, const void *item, uint64_t sequence);
void asy_items_pop(asyncio_queue_items *items, void *item);

/* Puts the item that was taken last back where it was. 0 or -ENOMEM. */
COLD int asy_items_put_back(asyncio_queue_items *items, const void *item);

static inline void items_copy(const asyncio_queue_items *items, void *to, const void *from)
{
    if (LIKELY(items->size_ == sizeof(void *)))
        memcpy(to, from, sizeof(void *));
    else
        memcpy(to, from, items->size_);
}

/* The place of the nth item from the first. */
static inline char *items_at(const asyncio_queue_items *items, size_t n)
{
    size_t at = items->first_ + n;
    if (at >= items->capacity_)
        at -= items->capacity_;
    return items->place_ + at * items->stride_;
}

/* 0, or -ENOMEM when there is no room and none can be made. */
static inline int items_put(asyncio_queue_items *items, const void *item)
{
    int err;
    if (UNLIKELY(items->count_ == items->capacity_) && (err = asy_items_grow(items)))
        return err;
    if (UNLIKELY(items->compare_ != NULL)) {
        asy_items_push(items, item, ++items->sequence_);
        return 0;
    }
    items_copy(items, items_at(items, items->count_), item);
    items->count_++;
    return 0;
}

/* There must be one. */
static inline void items_take(asyncio_queue_items *items, void *item)
{
    if (UNLIKELY(items->compare_ != NULL)) {
        asy_items_pop(items, item);
        return;
    }
    items->count_--;
    if (UNLIKELY(items->lifo_)) {
        items_copy(items, item, items_at(items, items->count_));
        return;
    }
    items_copy(items, item, items_at(items, 0));
    if (++items->first_ == items->capacity_)
        items->first_ = 0;
}

#endif
