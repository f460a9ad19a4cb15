/*
 * The loop's timers, in its heap.
 */
#include "core/timer.h"
#include "base/assert.h"
#include "core/debug.h"
#include "core/loop.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>

#define NS_PER_S 1e9
#define FIRST_CAPACITY 64

/* If memory runs out between the two, the arrays differ in size, and the capacity is the smaller one's. The
 * heap itself knows nothing of the room that is kept. */
static int grow_timer_heap(struct heap *heap, uint32_t kept)
{
    size_t room = (size_t)heap->capacity + kept, capacity = room ? room * 2 : FIRST_CAPACITY;
    if (capacity > HEAP_CAPACITY_MAX)
        return -ENOMEM;
    struct heap_slot *slots = asy_sys_realloc(heap->slots, capacity * sizeof *slots);
    if (!slots)
        return -ENOMEM;
    heap->slots = slots;
    struct heap_place *places = asy_sys_realloc(heap->places, capacity * sizeof *places);
    if (!places)
        return -ENOMEM;
    heap->places = places;
    heap->capacity = (uint32_t)capacity - kept;
    return 0;
}

void asy_timer_keep_room(asyncio_loop *loop)
{
    ASY_ASSERT(loop->timers.count < loop->timers.capacity);
    loop->timers.capacity--;
    loop->timer_room_kept++;
}

void asy_timer_room_back(asyncio_loop *loop)
{
    ASY_ASSERT(loop->timer_room_kept > 0);
    loop->timers.capacity++;
    loop->timer_room_kept--;
}

static inline int insert_timer(asyncio_loop *loop, struct timer *timer, int64_t deadline_ns)
{
    struct heap *heap = &loop->timers;
    if (UNLIKELY(heap->count == heap->capacity) && grow_timer_heap(heap, loop->timer_room_kept))
        return -ENOMEM;
    timer->node.key = deadline_ns;
    asy_heap_insert(heap, &timer->node);
    if (UNLIKELY(loop->instrument != NULL))
        asy_trace_time(loop, ASYNCIO_TRACE_TIMER, loop->current, deadline_ns);
    return 0;
}

int asy_timer_start(asyncio_loop *loop, struct timer *timer, int64_t deadline_ns)
{
    return deadline_ns == ASY_NO_DEADLINE ? 0 : insert_timer(loop, timer, deadline_ns);
}

int asy_timer_start_always(asyncio_loop *loop, struct timer *timer, int64_t deadline_ns)
{
    return insert_timer(loop, timer, deadline_ns);
}

void asy_timer_stop(asyncio_loop *loop, struct timer *timer)
{
    asy_heap_remove(&loop->timers, &timer->node);
}

void asy_timers_fire(asyncio_loop *loop, int64_t now_ns)
{
    ASY_ASSERT(loop->wake_kind == READY_TASK);
    loop->wake_kind = READY_RELAY; /* tasks go behind the callbacks that asyncio would queue */
    while (loop->timers.count && asy_timers_next(&loop->timers) <= now_ns) {
        struct heap_node *first = asy_heap_first(&loop->timers);
        asy_heap_remove(&loop->timers, first);
        struct timer *timer = LIST_ENTRY(first, struct timer, node);
        COUNT_UP(loop->callbacks);
        timer->fire(timer);
    }
    loop->wake_kind = READY_TASK;
}

int64_t asy_ns_from_seconds(double seconds)
{
    double ns = ceil(seconds * NS_PER_S);
    if (ns >= (double)INT64_MAX)
        return ASY_NO_DEADLINE;
    return ns <= (double)INT64_MIN ? INT64_MIN : (int64_t)ns;
}

int64_t asy_deadline_after(int64_t now_ns, double seconds)
{
    int64_t delay_ns = seconds > 0 ? asy_ns_from_seconds(seconds) : 0;
    return delay_ns > ASY_NO_DEADLINE - now_ns ? ASY_NO_DEADLINE : now_ns + delay_ns;
}
