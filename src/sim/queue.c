/*
 * The events of a simulated world, in a heap by time; those of one time happen in the order in which they
 * were planned.
 */
#include "sim/net.h"

#define FIRST_ROOM 256

static THREAD_LOCAL struct {
    struct heap heap;
    int64_t now_ns;
} queue;

static void make_room_for_event(void)
{
    struct heap *heap = &queue.heap;
    if (heap->count < heap->capacity)
        return;
    size_t room = heap->capacity ? (size_t)heap->capacity * 2 : FIRST_ROOM;
    heap->slots = asy_sim_realloc(heap->slots, room * sizeof *heap->slots);
    heap->places = asy_sim_realloc(heap->places, room * sizeof *heap->places);
    heap->capacity = (uint32_t)room;
}

void asy_sim_event_at(struct sim_event *event, int64_t at_ns)
{
    asy_heap_remove(&queue.heap, &event->node);
    make_room_for_event();
    event->node.key = at_ns > queue.now_ns ? at_ns : queue.now_ns;
    asy_heap_insert(&queue.heap, &event->node);
}

void asy_sim_event_cancel(struct sim_event *event)
{
    asy_heap_remove(&queue.heap, &event->node);
}

void asy_sim_events_run(int64_t now_ns)
{
    const struct heap_node *first;
    queue.now_ns = now_ns;
    while ((first = asy_heap_first(&queue.heap)) && first->key <= now_ns) {
        struct sim_event *event = LIST_ENTRY(first, struct sim_event, node);
        asy_heap_remove(&queue.heap, &event->node);
        event->happen(event);
    }
}

int64_t asy_sim_events_next(void)
{
    const struct heap_node *first = asy_heap_first(&queue.heap);
    return first ? first->key : INT64_MAX;
}

int64_t asy_sim_now(void)
{
    return queue.now_ns;
}

void asy_sim_events_end(void)
{
    asy_sim_free(queue.heap.slots);
    asy_sim_free(queue.heap.places);
    queue.heap = (struct heap){0};
    queue.now_ns = 0;
}
