/*
 * The items of a queue: room for them, and the heap.
 */
#include "sync/items.h"
#include "base/assert.h"
#include "sys/sys.h"
#include <errno.h>

#define CAPACITY_FIRST 16
#define ALIGNMENT_MAX 16

/* ---- Room ------------------------------------------------------------------------- */

/* In a heap the number of an item stands behind it. */
static size_t sequence_offset(size_t item_bytes)
{
    return (item_bytes + sizeof(uint64_t) - 1) & ~(sizeof(uint64_t) - 1);
}

/* The distance from one item to the next in a heap: both the item, whose size is a multiple of its
 * alignment, and its number are aligned. 0: too large. */
static size_t heap_stride(size_t item_bytes)
{
    size_t alignment = item_bytes % ALIGNMENT_MAX == 0 ? ALIGNMENT_MAX : sizeof(uint64_t);
    if (item_bytes > SIZE_MAX - sizeof(uint64_t) - 2 * ALIGNMENT_MAX)
        return 0;
    return (sequence_offset(item_bytes) + sizeof(uint64_t) + alignment - 1) & ~(alignment - 1);
}

/* Makes room for `capacity` items, and moves those that are there to its beginning. */
static int make_item_room(asyncio_queue_items *items, size_t capacity)
{
    size_t bytes;
    if (!items->stride_ || __builtin_mul_overflow(capacity, items->stride_, &bytes))
        return -ENOMEM;
    char *place = asy_sys_alloc(bytes);
    if (!place)
        return -ENOMEM;
    size_t until_end = items->capacity_ - items->first_;
    size_t ahead = items->count_ < until_end ? items->count_ : until_end;
    if (items->count_) {
        memcpy(place, items_at(items, 0), ahead * items->stride_);
        memcpy(place + ahead * items->stride_, items->place_, (items->count_ - ahead) * items->stride_);
    }
    asy_sys_free(items->place_);
    items->place_ = place;
    items->capacity_ = capacity;
    items->first_ = 0;
    return 0;
}

int asy_items_init(asyncio_queue_items *items, size_t item_bytes, size_t capacity,
                   int (*compare)(const void *, const void *), bool is_lifo)
{
    *items = (asyncio_queue_items){.size_ = item_bytes, .compare_ = compare, .lifo_ = is_lifo};
    items->stride_ = compare ? heap_stride(item_bytes) : item_bytes;
    return capacity ? make_item_room(items, capacity) : 0;
}

void asy_items_destroy(asyncio_queue_items *items)
{
    asy_sys_free(items->place_);
    *items = (asyncio_queue_items){0};
}

int asy_items_grow(asyncio_queue_items *items)
{
    size_t capacity = items->capacity_ ? 2 * items->capacity_ : CAPACITY_FIRST;
    return capacity > items->capacity_ ? make_item_room(items, capacity) : -ENOMEM;
}

/* ---- The heap ------------------------------------------------------------------------
 * Binary, the smallest first. An item on its way up stays in the caller's memory, one on its way down in the
 * last slot, while others move into the hole. */

static inline char *heap_slot(const asyncio_queue_items *items, size_t i)
{
    return items->place_ + i * items->stride_;
}

static inline uint64_t *sequence_of(const asyncio_queue_items *items, char *at)
{
    return (uint64_t *)(void *)(at + sequence_offset(items->size_));
}

/* Does an item with this number leave before the one in the slot? */
static bool leaves_before(const asyncio_queue_items *items, const void *item, uint64_t sequence, char *other)
{
    int order = items->compare_(item, other);
    return order < 0 || (order == 0 && sequence < *sequence_of(items, other));
}

void asy_items_push(asyncio_queue_items *items, const void *item, uint64_t sequence)
{
    ASY_ASSERT(items->count_ < items->capacity_);
    size_t hole = items->count_++;
    while (hole > 0) {
        char *parent = heap_slot(items, (hole - 1) / 2);
        if (!leaves_before(items, item, sequence, parent))
            break;
        memcpy(heap_slot(items, hole), parent, items->stride_);
        hole = (hole - 1) / 2;
    }
    items_copy(items, heap_slot(items, hole), item);
    *sequence_of(items, heap_slot(items, hole)) = sequence;
}

void asy_items_pop(asyncio_queue_items *items, void *item)
{
    ASY_ASSERT(items->count_ > 0);
    items_copy(items, item, heap_slot(items, 0));
    size_t count = --items->count_, hole = 0, child;
    char *last = heap_slot(items, count);
    uint64_t sequence = *sequence_of(items, last);
    while ((child = 2 * hole + 1) < count) {
        char *smaller = heap_slot(items, child), *other = heap_slot(items, child + 1);
        if (child + 1 < count && leaves_before(items, other, *sequence_of(items, other), smaller)) {
            smaller = other;
            child++;
        }
        if (leaves_before(items, last, sequence, smaller))
            break;
        memcpy(heap_slot(items, hole), smaller, items->stride_);
        hole = child;
    }
    if (hole != count)
        memcpy(heap_slot(items, hole), last, items->stride_);
}

/* ---- Back ----------------------------------------------------------------------------- */

int asy_items_put_back(asyncio_queue_items *items, const void *item)
{
    int err = items->count_ == items->capacity_ ? asy_items_grow(items) : 0;
    if (err)
        return err;
    if (items->compare_) {
        asy_items_push(items, item, 0); /* before its equals */
    } else if (items->lifo_) {
        return items_put(items, item);
    } else {
        items->first_ = (items->first_ ? items->first_ : items->capacity_) - 1;
        items_copy(items, items_at(items, 0), item);
        items->count_++;
    }
    return 0;
}
