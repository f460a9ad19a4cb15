/*
 * A 4-ary min-heap of intrusive nodes, ordered by (key, sequence): equal keys
 * leave in the order in which they came. Removal of any node is true and
 * O(log n). The heap allocates nothing: its slots are the caller's array,
 * which he replaces by a larger one when the heap is full.
 */
#ifndef ASY_BASE_HEAP_H
#define ASY_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint64_t sequence;  /* set by heap_insert */
    size_t index;       /* place in the heap + 1; 0: not in a heap */
};

/* The key is kept beside the pointer, so that a comparison touches no node
 * unless keys are equal. */
struct heap_slot {
    int64_t key;
    struct heap_node *node;
};

struct heap {
    struct heap_slot *slots;
    size_t count, capacity;
    uint64_t sequence;
};

static inline bool heap_contains(const struct heap_node *node)
{
    return node->index != 0;
}

static inline struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count ? heap->slots[0].node : NULL;
}

/* node->key is set by the caller; there must be room (count < capacity). */
void heap_insert(struct heap *heap, struct heap_node *node);
/* Nothing happens if the node is not in the heap. */
void heap_remove(struct heap *heap, struct heap_node *node);

#endif
