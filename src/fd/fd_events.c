/*
 * Events of the backend: each puts bits of its record up, wakes those that want to know, and gives turns.
 */
#include "core/loop.h"
#include "fd/fd_table.h"
#include "fd/fd_wait.h"
#include "fd/traffic.h"
#include "fd/transport.h"
#include "fd/watches.h"

/* ---- One event -------------------------------------------------------------------------- */

/* An event tells all that holds. An error or a hang-up lets both directions be tried: the call then says what
 * it is. */
static void note_ready(struct fd_record *record, uint32_t events)
{
    record->stays = events & EPOLLHUP ? FD_READ | FD_WRITE : events & EPOLLRDHUP ? FD_READ : 0;
    record->ready |= (events & (FD_READ | FD_WRITE)) | record->stays;
    if (events & EPOLLERR)
        record->ready |= FD_READ | FD_WRITE;
    if (events & EPOLLPRI)
        record->short_is_end = false; /* reading stops short at urgent data, too */
}

/* All that want to know, and the first in turn in each direction. */
static void wake_fd_waiters(struct fd_record *record, uint32_t events)
{
    struct fd_waiter *first = asy_fd_waiter_at(record->waiters.next);
    bool is_alone = first->node.next == &record->waiters;
    if (is_alone && first->takes_turns) {
        if (first->events & record->ready)
            asy_fd_give_turn(record, first);
        return;
    }
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        events |= EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR;
    LIST_EACH_SAFE(node, next, &record->waiters) {
        struct fd_waiter *waiter = asy_fd_waiter_at(node);
        if (!waiter->takes_turns && (waiter->events & events))
            asy_fd_wake(waiter, 0);
    }
    asy_fd_pass_on(record, FD_READ);
    asy_fd_pass_on(record, FD_WRITE);
}

static inline struct fd_record *record_of(asyncio_loop *loop, uint64_t tag)
{
    return asy_fd_find(loop, (int)(uint32_t)tag);
}

static void take_event(asyncio_loop *loop, uint64_t tag, uint32_t events)
{
    struct fd_record *record = record_of(loop, tag);
    if (!record || record->generation != (uint32_t)(tag >> 32))
        return;
    /* A record that is registered for good later is told again. */
    if (record->mode == FD_EDGE)
        note_ready(record, events);
    if (UNLIKELY(record->traffic != NULL))
        asy_traffic_hears(loop, record, events);
    if (!list_is_empty(&record->waiters))
        wake_fd_waiters(record, events);
    if (!list_is_empty(&record->watches))
        asy_watches_event(loop, record, events);
}

/* ---- Fetching ahead --------------------------------------------------------------------- */

/* As in fd_wait.c, memory that an event to come will touch is fetched while this one is dealt with. One load
 * leads to the next; each is given the time of a few events. docs/decisions/0007 has the figures. */
#define RECORD_AHEAD 12
#define WAITER_AHEAD 8
#define TASK_AHEAD 4

static inline const struct fd_waiter *first_waiter(asyncio_loop *loop, const struct epoll_event *event)
{
    const struct fd_record *record = record_of(loop, event->data.u64);
    return record && !list_is_empty(&record->waiters) ? asy_fd_waiter_at(record->waiters.next) : NULL;
}

/* With the wait that it is part of. */
static inline void fetch_waiter(asyncio_loop *loop, const struct epoll_event *event)
{
    const struct fd_waiter *waiter = first_waiter(loop, event);
    if (waiter)
        fetch_lines((const char *)waiter - CACHE_LINE, 2);
}

/* A task, or the stream of a transport. */
static inline void fetch_task(asyncio_loop *loop, const struct epoll_event *event)
{
    const struct fd_waiter *waiter = first_waiter(loop, event);
    if (!waiter)
        return;
    if (waiter->notify == asy_fd_wake_task)
        fetch_lines(LIST_ENTRY(waiter, struct fd_wait, waiter)->wait.task, 2);
    else if (waiter->notify == asy_transport_reader_notified)
        asy_transport_fetch(waiter);
}

/* `i`: of the event that is next; negative before the first. */
static inline void fetch_ahead(asyncio_loop *loop, const struct epoll_event *events, int i, int count)
{
    if (i + RECORD_AHEAD < count)
        fetch_lines(record_of(loop, events[i + RECORD_AHEAD].data.u64), 1);
    if (i + WAITER_AHEAD >= 0 && i + WAITER_AHEAD < count)
        fetch_waiter(loop, &events[i + WAITER_AHEAD]);
    if (i + TASK_AHEAD >= 0 && i + TASK_AHEAD < count)
        fetch_task(loop, &events[i + TASK_AHEAD]);
}

HOT void asy_fd_take_events(void *context, const struct epoll_event *events, int count)
{
    struct fd_table *table = context;
    asyncio_loop *loop = table->loop;
    table->is_taking_events = true;
    for (int i = count > TASK_AHEAD ? -RECORD_AHEAD : 0; i < count; i++) {
        fetch_ahead(loop, events, i, count);
        if (i >= 0)
            take_event(loop, events[i].data.u64, events[i].events);
    }
    table->is_taking_events = false;
}
