/*
 * Waiting for descriptors, and turns to transfer.
 *
 * All that wait for a record stand in one list. Some only want to know (asyncio_wait_fd): an event wakes them
 * all. The others take turns to transfer, first come first served in each direction; one of them at a time
 * has the turn. A task that is given its turn keeps its place in the list until it runs. When it is done, it
 * passes the turn on if the direction is still ready. A new waiter goes to the end of the list; one that was
 * woken in vain keeps its place.
 */
#ifndef ASY_FD_FD_WAIT_H
#define ASY_FD_FD_WAIT_H

#include "base/compiler.h"
#include "base/list.h"
#include "core/task.h"
#include "core/wait.h"
#include "fd/fd_table.h"
#include <stdbool.h>
#include <stdint.h>

/* A place in a record's list: of a task, or of a stream that has bytes to send, a server, a process. */
struct fd_waiter {
    struct list node;
    uint32_t events;
    bool takes_turns;
    bool has_turn;
    /* Called off the list; a task that is given its turn stays on it until it runs. err 0: try now; -EBADF:
     * the descriptor is gone. Must not wait. */
    void (*notify)(struct fd_waiter *waiter, int err);
};

/* A task's wait, on its stack. Its object is the record. */
struct fd_wait {
    struct wait wait;
    struct fd_waiter waiter;
    struct fd_record *record;
    bool keeps_request; /* to cancel: it ends the wait, and is not delivered */
};

/* Memory of a reader that waits: what comes by completions (traffic.h) is put there. */
struct fd_room {
    char *into;
    size_t bytes, filled;
};

/* ---- For tasks --------------------------------------------------------------------- */

/* Waits for the turn to transfer in one direction, behind all that wait for theirs, and registers for good.
 * 0: try the call. Or the error that ended the wait: -ECANCELED, -EBADF, -ENOMEM ... */
int asy_fd_wait_turn(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* The same for input, into the caller's memory if it comes by completions: room->filled says how much. */
int asy_fd_wait_input(asyncio_loop *loop, struct fd_record *record, struct fd_room *room);
/* The turn came, and led to nothing: waits for the next one, before all others. */
int asy_fd_wait_again(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* The same for a task that has transferred a part: a request to cancel ends the wait with -EINTR, and stays
 * pending. */
int asy_fd_wait_rest(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* Lets others run in the middle of a transfer, and keeps the turn meanwhile. 0, -ECANCELED, -EBADF. */
int asy_fd_give_way(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* The same for a task that has transferred a part: a request to cancel ends it with -EINTR, and stays. */
int asy_fd_give_way_amid(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* Waits, without a turn, until one of `events` may hold; leaves no registration behind. 0 or an error. */
int asy_fd_wait_events(asyncio_loop *loop, struct fd_record *record, uint32_t events);
/* The same for an event that is still to come, and registers for good. */
int asy_fd_wait_next_event(asyncio_loop *loop, struct fd_record *record, uint32_t events);
/* Ends a task's wait for this record, if it is in one, as if the descriptor were ready. */
void asy_fd_end_wait(asyncio_task *task, struct fd_record *record);

/* ---- For waiters that are no tasks ------------------------------------------------- */

/* Waits for the turn: the waiter is notified once. Registers for good. 0 or a negative errno;
 * list_remove(&waiter->node) takes it back. */
int asy_fd_watch(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter);
/* Its turn has come, and it is not done: the next one is its own, too. */
int asy_fd_watch_again(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter);
/* Wants to know, without a turn, when one of `waiter->events` may hold: notified once. Registers for as long
 * as that: list_remove and asy_fd_unregister_unused take it back. 0 or a negative errno. */
int asy_fd_watch_events(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter);

/* ---- Turns ------------------------------------------------------------------------- */

/* Do others wait for their turn in this direction? */
bool asy_fd_has_queue_slow(const struct fd_record *record, uint32_t direction);
/* Is somebody else first in turn, one that has given way amid its transfer included? */
bool asy_fd_is_anothers_turn(const struct fd_record *record, uint32_t direction, const struct fd_waiter *own);
static inline bool asy_fd_has_queue(const struct fd_record *record, uint32_t direction)
{
    return UNLIKELY(!list_is_empty(&record->waiters)) && asy_fd_has_queue_slow(record, direction);
}
/* A transfer is over: if the direction is still ready, the turn goes to the next. */
void asy_fd_pass_on_slow(struct fd_record *record, uint32_t direction);
static inline void asy_fd_pass_on(struct fd_record *record, uint32_t direction)
{
    if (UNLIKELY(!list_is_empty(&record->waiters)))
        asy_fd_pass_on_slow(record, direction);
}

/* The room of the reader that is first in turn, or NULL: that is no reader, or it has none. */
struct fd_room *asy_fd_first_room(const struct fd_record *record);

/* ---- For fd_table.c and fd_events.c ------------------------------------------------ */

static inline struct fd_waiter *asy_fd_waiter_at(struct list *node)
{
    return LIST_ENTRY(node, struct fd_waiter, node);
}
/* Takes the waiter off its list, and notifies it. */
void asy_fd_wake(struct fd_waiter *waiter, int err);
/* The waiter's turn has come. */
void asy_fd_give_turn(struct fd_record *record, struct fd_waiter *waiter);
/* `notify` of each task, which tells tasks from others. */
void asy_fd_wake_task(struct fd_waiter *waiter, int err);

#endif
