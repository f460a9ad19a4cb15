/*
 * What a loop knows of descriptors.
 *
 * One record a descriptor that was used, found by its number. A record is in
 * one of three modes:
 *
 *   idle      not registered with the backend
 *   edge      registered once, both directions, edge-triggered: kept until the
 *             descriptor is closed or forgotten
 *   once      registered for the waits that are there now, and for no longer
 *
 * `ready` says in which directions a system call is worth trying. A call that
 * would have blocked, or that drained a TCP socket, takes the bit down, an event
 * puts it up. `stays`: not while the event that came last spoke of an end, which no
 * further one will tell again.
 *
 * Who waits stands in one list. Some only want to know (asyncio_wait_fd): an
 * event wakes all of them. The others take turns to transfer, first come first
 * served in each direction: one of them at a time has the turn, keeps its place
 * in the list until it runs, and hands the turn on if the direction is
 * ready still when it is done. Who comes while others stand there goes to the end, and who
 * was woken in vain keeps its place.
 *
 * An event carries the record's generation, which a close changes: one that
 * comes late is dropped.
 */
#ifndef ASY_FD_FD_TABLE_H
#define ASY_FD_FD_TABLE_H

#include "asyncio/types.h"
#include "base/compiler.h"
#include "base/list.h"
#include "core/loop.h"
#include "core/task.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum fd_mode { FD_IDLE, FD_EDGE, FD_ONCE };

#define FD_READ EPOLLIN
#define FD_WRITE EPOLLOUT

struct fd_record {
    int fd;
    uint32_t generation;
    uint8_t mode;  /* enum fd_mode */
    uint8_t kind;  /* enum asy_fd_kind, once known */
    bool is_known; /* the kind was looked up, and the descriptor prepared */
    bool is_socket;
    bool is_terminal, hangs_up;
    bool short_is_end;   /* a transfer of less than was asked for: it is empty now, or full (TCP) */
    uint32_t ready;      /* FD_READ | FD_WRITE */
    uint32_t stays;      /* those of them that nothing takes down */
    int reopened;        /* a terminal's second descriptor, which we may make non-blocking; or -1 */
    struct list waiters; /* of fd_waiter */
    void *callbacks;     /* of add_reader and add_writer (readers.c) */
};

/* One who waits in a record's list: a task, or a stream that has bytes to send. */
struct fd_waiter {
    struct list node;
    uint32_t events;
    bool takes_turns;
    bool has_turn;
    /* Off the list, but for a task whose turn it is. 0: try now; -EBADF: the
     * descriptor is gone. Must not wait. */
    void (*ready)(struct fd_waiter *waiter, int err);
};

/* What has a descriptor and outlives the loop, if need be: a stream, a server. Told once, when the loop
 * closes; nobody who is in a call of it will run again. */
struct fd_owner {
    struct list node;
    void (*loop_closes)(struct fd_owner *owner);
};

struct fd_table {
    struct asy_io_hooks hooks; /* first: what the loop knows of it */
    struct list owners;        /* of fd_owner */
    asyncio_loop *loop;
    struct fd_record **records; /* by number; NULL where there is none */
    size_t capacity;
    uint32_t generation;
    char *input; /* the buffer that a stream used last (stream_read.c), or NULL */
};

/* The running loop's record of fd; NULL if there is none. */
static inline struct fd_record *asy_fd_find(asyncio_loop *loop, int fd)
{
    const struct fd_table *table = (const struct fd_table *)loop->io;
    return LIKELY(table && (unsigned)fd < table->capacity) ? table->records[fd] : NULL;
}
/* The same, made if need be. NULL: asy_fd_record_error says why. */
struct fd_record *asy_fd_make_record(asyncio_loop *loop, int fd);
static inline struct fd_record *asy_fd_record(asyncio_loop *loop, int fd)
{
    struct fd_record *record = asy_fd_find(loop, fd);
    return LIKELY(record != NULL) ? record : asy_fd_make_record(loop, fd);
}
int asy_fd_record_error(int fd);
/* There is a record, and so there is a table. list_remove(&owner->node) takes it back. */
static inline void asy_fd_own(asyncio_loop *loop, struct fd_owner *owner)
{
    list_append(&((struct fd_table *)loop->io)->owners, &owner->node);
}
/* Looks up the kind and makes a socket or pipe non-blocking, the first time. 0 or a negative errno. */
int asy_fd_prepare_slow(struct fd_record *record);
static inline int asy_fd_prepare(struct fd_record *record)
{
    return LIKELY(record->is_known) ? 0 : asy_fd_prepare_slow(record);
}
/* A new file behind the number: nothing that was known holds. `like`, unless NULL: it came,
 * non-blocking, out of that listener. */
void asy_fd_record_reset(asyncio_loop *loop, struct fd_record *record, const struct fd_record *like);
/* Wakes whoever waits with -EBADF, and takes the registration back. */
void asy_fd_drop(asyncio_loop *loop, struct fd_record *record);
/* The same, and closes the descriptor. 0, or close(2)'s error. */
int asy_fd_close(asyncio_loop *loop, struct fd_record *record);

/* Waits until one of `events` may hold, then returns 0: try again. Or the error that ended the
 * wait: -ECANCELED, -EBADF, -ENOMEM ... `edge`: for a turn to transfer in that one direction,
 * and registers for good. */
int asy_fd_wait(asyncio_loop *loop, struct fd_record *record, uint32_t events, bool edge);
/* Lets others run in the middle of a transfer, and keeps the turn meanwhile. 0, -ECANCELED, -EBADF. */
int asy_fd_give_way(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* The same for one that returns what it has: a request to cancel ends it with -EINTR, and stays. */
int asy_fd_give_way_amid(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* A turn that led to nothing: waits for the next one, before all others. */
int asy_fd_wait_again(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* The same for one that has transferred a part: a request to cancel ends the wait with -EINTR, and stays. */
int asy_fd_wait_rest(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* Waits, without a turn, for the next event among `events`, and registers for good. 0 or an error. */
int asy_fd_wait_event(asyncio_loop *loop, struct fd_record *record, uint32_t events);
/* Do others wait for their turn in this direction? */
bool asy_fd_has_queue_slow(const struct fd_record *record, uint32_t direction);
static inline bool asy_fd_has_queue(const struct fd_record *record, uint32_t direction)
{
    return UNLIKELY(!list_is_empty(&record->waiters)) && asy_fd_has_queue_slow(record, direction);
}
/* Ends a task's wait for this record, if it is in one, as if the descriptor were ready. */
void asy_fd_end_wait(asyncio_task *task, struct fd_record *record);
/* The same for a waiter that is no task: it is called once, registered for good.
 * 0 or a negative errno; list_remove(&waiter->node) takes it back. */
int asy_fd_watch(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter);
/* Its turn has come, and it is not done: the next one is its own, too. */
int asy_fd_watch_again(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter);
/* The direction is exhausted: do not try again before an event. */
static inline void asy_fd_exhausted(struct fd_record *record, uint32_t direction)
{
    record->ready &= ~direction | record->stays;
}
/* A transfer did less than it was asked for. */
static inline void asy_fd_short(struct fd_record *record, uint32_t direction)
{
    if (record->short_is_end)
        asy_fd_exhausted(record, direction);
}
/* A transfer is over: if the direction is still ready, the turn goes on to the next. */
void asy_fd_pass_on_slow(struct fd_record *record, uint32_t direction);
static inline void asy_fd_pass_on(struct fd_record *record, uint32_t direction)
{
    if (UNLIKELY(!list_is_empty(&record->waiters)))
        asy_fd_pass_on_slow(record, direction);
}

/* Registers for good. 0 or a negative errno. A file that cannot be waited for becomes
 * ASY_FD_ALWAYS_READY. */
int asy_fd_register(asyncio_loop *loop, struct fd_record *record);
/* Somebody has left: takes back what is registered for nobody any more. */
void asy_fd_settle(asyncio_loop *loop, struct fd_record *record);

/* What add_reader and add_writer have there (readers.c). */
void asy_readers_event(asyncio_loop *loop, struct fd_record *record);
void asy_readers_drop(asyncio_loop *loop, struct fd_record *record);

#endif
