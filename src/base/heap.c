/*
 * The 4-ary heap. The children of slot i are 4i + 1 .. 4i + 4: four keys lie side by side, and a million
 * timers are ten levels.
 *
 * Nothing is swapped: a slot is left empty (the hole), others move into it one after the other, and the
 * slot in hand is put down once, where the hole ends up.
 */
#include "base/heap.h"
#include "base/assert.h"
#include "base/compiler.h"

static inline bool is_slot_before(const struct heap *heap, const struct heap_slot *a,
                                  const struct heap_slot *b)
{
    if (UNLIKELY(a->key == b->key))
        return heap->places[a->place].sequence < heap->places[b->place].sequence;
    return a->key < b->key;
}

static inline void put_slot(struct heap *heap, uint32_t hole, struct heap_slot slot)
{
    heap->slots[hole] = slot;
    heap->places[slot.place].slot = hole;
}

/* Puts `slot` into the hole or, while it comes before the parent, above it. */
static void sift_up(struct heap *heap, uint32_t hole, struct heap_slot slot)
{
    while (hole) {
        uint32_t parent = (hole - 1) / 4;
        if (!is_slot_before(heap, &slot, &heap->slots[parent]))
            break;
        put_slot(heap, hole, heap->slots[parent]);
        hole = parent;
    }
    put_slot(heap, hole, slot);
}

/* The first among the children from `child` on. A full four is a match of two pairs: the outcomes are
 * numbers, not branches, which nobody could predict. */
static inline uint32_t first_child(const struct heap *heap, uint32_t child)
{
    const struct heap_slot *slots = heap->slots;
    if (LIKELY(heap->count - child >= 4)) {
        uint32_t a = child + is_slot_before(heap, &slots[child + 1], &slots[child]);
        uint32_t b = child + 2 + is_slot_before(heap, &slots[child + 3], &slots[child + 2]);
        return is_slot_before(heap, &slots[b], &slots[a]) ? b : a;
    }
    uint32_t first = child;
    while (++child < heap->count) {
        if (is_slot_before(heap, &slots[child], &slots[first]))
            first = child;
    }
    return first;
}

/* Puts `slot` into the hole or, while a child comes before it, below it. */
static void sift_down(struct heap *heap, uint32_t hole, struct heap_slot slot)
{
    uint32_t child;
    while ((child = 4 * hole + 1) < heap->count) {
        child = first_child(heap, child);
        if (!is_slot_before(heap, &heap->slots[child], &slot))
            break;
        put_slot(heap, hole, heap->slots[child]);
        hole = child;
    }
    put_slot(heap, hole, slot);
}

/* Numbers that were used last are used again first. */
static inline uint32_t take_place(struct heap *heap, struct heap_node *node)
{
    uint32_t place;
    if (LIKELY(heap->free)) {
        place = heap->free - 1;
        heap->free = heap->places[place].slot;
    } else {
        ASY_ASSERT(heap->places_used < heap->capacity); /* a heap that is full has no free place */
        place = heap->places_used++;
    }
    heap->places[place].node = node;
    heap->places[place].sequence = heap->sequence++;
    node->place = place + 1;
    return place;
}

/* Frees the node's place and returns the slot that it had. */
static inline uint32_t give_place(struct heap *heap, struct heap_node *node)
{
    struct heap_place *place = &heap->places[node->place - 1];
    uint32_t slot = place->slot;
    ASY_ASSERT(place->node == node);
    place->node = NULL;
    place->slot = heap->free;
    heap->free = node->place;
    node->place = 0;
    return slot;
}

void asy_heap_insert(struct heap *heap, struct heap_node *node)
{
    ASY_ASSERT(!asy_heap_contains(node));
    uint32_t place = take_place(heap, node);
    sift_up(heap, (uint32_t)heap->count++, (struct heap_slot){node->key, place});
}

void asy_heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!asy_heap_contains(node))
        return;
    uint32_t hole = give_place(heap, node);

    /* The last slot fills the hole, from where it may belong further up: it comes from another branch. */
    uint32_t last = (uint32_t)--heap->count;
    if (hole == last)
        return;
    struct heap_slot slot = heap->slots[last];
    if (hole && is_slot_before(heap, &slot, &heap->slots[(hole - 1) / 4]))
        sift_up(heap, hole, slot);
    else
        sift_down(heap, hole, slot);
}
