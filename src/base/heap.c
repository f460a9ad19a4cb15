/*
 * The 4-ary heap. The children of slot i are 4i + 1 .. 4i + 4: four keys and
 * pointers lie side by side, and a million timers are ten levels.
 *
 * Nothing is swapped: a slot is left empty (the hole), others move into it one
 * after the other, and the slot in hand is put down once, where the hole ends up.
 */
#include "base/heap.h"
#include "base/compiler.h"

static inline bool is_before(const struct heap_slot *a, const struct heap_slot *b)
{
    if (UNLIKELY(a->key == b->key))
        return a->node->sequence < b->node->sequence;
    return a->key < b->key;
}

static inline void put(struct heap *heap, size_t hole, struct heap_slot slot)
{
    heap->slots[hole] = slot;
    slot.node->index = hole + 1;
}

/* Puts `slot` into the hole or, while it comes before the parent, above it. */
static void sift_up(struct heap *heap, size_t hole, struct heap_slot slot)
{
    while (hole) {
        size_t parent = (hole - 1) / 4;
        if (!is_before(&slot, &heap->slots[parent]))
            break;
        put(heap, hole, heap->slots[parent]);
        hole = parent;
    }
    put(heap, hole, slot);
}

/* The first among the children from `child` on. A full four is a match of two
 * pairs: the outcomes are numbers, not branches, which nobody could predict. */
static inline size_t first_child(const struct heap *heap, size_t child)
{
    const struct heap_slot *slots = heap->slots;
    if (LIKELY(heap->count - child >= 4)) {
        size_t a = child + is_before(&slots[child + 1], &slots[child]);
        size_t b = child + 2 + is_before(&slots[child + 3], &slots[child + 2]);
        return is_before(&slots[b], &slots[a]) ? b : a;
    }
    size_t first = child;
    while (++child < heap->count) {
        if (is_before(&slots[child], &slots[first]))
            first = child;
    }
    return first;
}

/* Puts `slot` into the hole or, while a child comes before it, below it. */
static void sift_down(struct heap *heap, size_t hole, struct heap_slot slot)
{
    size_t child;
    while ((child = 4 * hole + 1) < heap->count) {
        child = first_child(heap, child);
        if (!is_before(&heap->slots[child], &slot))
            break;
        put(heap, hole, heap->slots[child]);
        hole = child;
    }
    put(heap, hole, slot);
}

void heap_insert(struct heap *heap, struct heap_node *node)
{
    node->sequence = heap->sequence++;
    sift_up(heap, heap->count++, (struct heap_slot){node->key, node});
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    if (!heap_contains(node))
        return;
    size_t hole = node->index - 1;
    node->index = 0;

    /* The last slot fills the hole, from where it may belong further up: it
     * comes from another branch. */
    size_t last = --heap->count;
    if (hole == last)
        return;
    struct heap_slot slot = heap->slots[last];
    if (hole && is_before(&slot, &heap->slots[(hole - 1) / 4]))
        sift_up(heap, hole, slot);
    else
        sift_down(heap, hole, slot);
}
