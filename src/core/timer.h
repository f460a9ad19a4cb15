/*
 * Timers: a deadline, and a function that is called when it has come. Nodes are intrusive, in the loop's
 * 4-ary heap. Equal deadlines fire in the order in which they were made. A timer that is stopped is off the
 * heap at once.
 */
#ifndef ASY_CORE_TIMER_H
#define ASY_CORE_TIMER_H

#include "backend/backend.h"
#include "base/heap.h"
#include <stdint.h>

struct asyncio_loop;

struct timer {
    struct heap_node node; /* key: the deadline in nanoseconds */
    void (*fire)(struct timer *timer);
};

/* 0, or -ENOMEM when the heap cannot grow. With ASY_NO_DEADLINE it never fires, and is not running. */
int asy_timer_start(struct asyncio_loop *loop, struct timer *timer, int64_t deadline_ns);
/* The same, but with ASY_NO_DEADLINE it is running, too, and never fires. */
int asy_timer_start_always(struct asyncio_loop *loop, struct timer *timer, int64_t deadline_ns);
/* A timer that has fired may be started again without failing, until the room that it had is given back. */
void asy_timer_keep_room(struct asyncio_loop *loop);
void asy_timer_room_back(struct asyncio_loop *loop);
/* Nothing happens if it is not running. */
void asy_timer_stop(struct asyncio_loop *loop, struct timer *timer);
/* Fires all that are due at now_ns, in order. */
void asy_timers_fire(struct asyncio_loop *loop, int64_t now_ns);

/* The first deadline, or ASY_NO_DEADLINE. The timer itself, which may lie on a stack that has left the
 * cache, is not looked at. */
static inline int64_t asy_timers_next(const struct heap *timers)
{
    return timers->count ? timers->slots[0].key : ASY_NO_DEADLINE;
}

/* Seconds as nanoseconds, rounded up; ASY_NO_DEADLINE if that is too large. Not for NaN. */
int64_t asy_ns_from_seconds(double seconds);
/* now + seconds; never past the range. */
int64_t asy_deadline_after(int64_t now_ns, double seconds);

#endif
