/*
 * Watches from within: places in the list of a descriptor's record, for those who are told each event.
 *
 * An edge watch needs the registration for good (FD_EDGE), and is told its events. A level watch has the
 * record registered level-triggered (FD_LEVEL) if nobody needs the edges. Where somebody does, an event
 * begins a series of looks: the watch is told, then looked at by poll(2) in each iteration until it finds
 * nothing.
 */
#ifndef ASY_FD_WATCHES_H
#define ASY_FD_WATCHES_H

#include "asyncio/embed.h"
#include "core/ready.h"
#include "fd/fd_table.h"

#define WATCH_EDGE 0x8000 /* bits of `events` that poll(2) does not use */
#define WATCH_OURS 0x4000 /* of the library: told of a close, and never drained */

struct watch {
    struct list node; /* in its record; in none: the descriptor was closed, which is still to be told */
    struct callback later;
    void (*fn)(asyncio_watch *watch, uint32_t events);
    asyncio_loop *loop; /* NULL: idle */
    uint64_t since;     /* what the backend had fetched when it began: older events are not for it */
    int fd;
    uint16_t events;
};

static inline struct watch *asy_watch_at(struct list *node)
{
    return LIST_ENTRY(node, struct watch, node);
}
static inline bool asy_watch_is_level(const struct watch *watch)
{
    return watch->fn && !(watch->events & WATCH_EDGE); /* else it is the mark */
}

/* As asyncio_watch_start, whose checks the caller has made; `events` may carry WATCH_OURS. */
int asy_watch_begin(asyncio_loop *loop, struct watch *watch, int fd, uint32_t events);
/* Ends one that is started. */
void asy_watch_end(struct watch *watch);

/* ---- For fd_events.c and fd_table.c ------------------------------------------------ */

/* An event came. */
void asy_watches_event(asyncio_loop *loop, struct fd_record *record, uint32_t events);
/* The descriptor is closed or forgotten: each is told so later. */
void asy_watches_drop(asyncio_loop *loop, struct fd_record *record);

#endif
