/*
 * A 4-ary min-heap of intrusive nodes, ordered by (key, sequence): equal keys leave in the order in which
 * they came. Any node can be removed, in O(log n). The heap allocates nothing: its slots and places are the
 * caller's arrays. The caller replaces them by larger ones when the heap is full.
 *
 * Slots move within the heap; nodes and places stay. A node's place says where its slot is. Places lie
 * close together; nodes lie on the stacks of waiting tasks, and would have to be fetched from memory
 * whenever others move.
 */
#ifndef ASY_BASE_HEAP_H
#define ASY_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    uint32_t place; /* its number + 1; 0: not in a heap */
};

/* The key stands in the slot, too, so that a comparison looks no further unless keys are equal. */
struct heap_slot {
    int64_t key;
    uint32_t place;
};

struct heap_place {
    struct heap_node *node; /* NULL: free */
    uint64_t sequence;      /* its number among all that came */
    uint32_t slot;          /* or, while it is free, the next free place's number + 1 */
};

struct heap {
    struct heap_slot *slots;
    struct heap_place *places;
    size_t count;
    uint32_t capacity;
    uint32_t places_used; /* those from here on were never used */
    uint32_t free;        /* a free place's number + 1; 0: none */
    uint64_t sequence;
};

#define HEAP_CAPACITY_MAX (UINT32_MAX / 2)

static inline bool asy_heap_contains(const struct heap_node *node)
{
    return node->place != 0;
}

static inline struct heap_node *asy_heap_first(const struct heap *heap)
{
    return heap->count ? heap->places[heap->slots[0].place].node : NULL;
}

/* node->key is set by the caller; there must be room (count < capacity). */
void asy_heap_insert(struct heap *heap, struct heap_node *node);
/* Nothing happens if the node is not in the heap. */
void asy_heap_remove(struct heap *heap, struct heap_node *node);

#endif
