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
 * would have blocked, or that drained the socket, takes the bit down, an event
 * puts it up. Waiters stand in one list, first come first served in each
 * direction; the first is woken, and whoever leaves a direction that is still
 * ready wakes the next.
 *
 * An event carries the record's generation, which a close changes: one that
 * comes late is dropped.
 */
#ifndef ASY_IO_FD_TABLE_H
#define ASY_IO_FD_TABLE_H

#include "asyncio/types.h"
#include "base/list.h"
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
    uint8_t mode;         /* enum fd_mode */
    uint8_t kind;         /* enum asy_fd_kind, once known */
    bool known;           /* the kind was looked up, and the descriptor prepared */
    bool hung_up;         /* an error or a hang-up came: both directions stay ready */
    uint32_t ready;       /* FD_READ | FD_WRITE */
    uint32_t armed;       /* mode once: what is registered */
    struct list waiters;
    void *callbacks;      /* of add_reader and add_writer (readers.c) */
};

/* One who waits in a record's list: a task, or a stream that has bytes to send. */
struct fd_waiter {
    struct list node;
    uint32_t events;
    /* Off the list. 0: try now; -EBADF: the descriptor is gone. Must not wait. */
    void (*ready)(struct fd_waiter *waiter, int err);
};

struct fd_table;

/* The running loop's record of fd, made if need be. NULL: out of memory, or fd < 0. */
struct fd_record *asy_fd_record(asyncio_loop *loop, int fd);
/* The same, only if there is one. */
struct fd_record *asy_fd_find(asyncio_loop *loop, int fd);
/* Looks up the kind and makes a socket or pipe non-blocking, the first time. 0 or a negative errno. */
int asy_fd_prepare(struct fd_record *record);
/* A new file behind the number: nothing that was known holds. `prepared`: it is non-blocking already. */
void asy_fd_fresh(asyncio_loop *loop, struct fd_record *record, bool prepared);
/* Wakes whoever waits with -EBADF, and takes the registration back. */
void asy_fd_drop(asyncio_loop *loop, struct fd_record *record);

/* Waits until one of `events` may hold, then returns 0: try again. Or the
 * error that ended the wait: -ECANCELED, -EBADF, -ENOMEM ... `edge`: registers for good. */
int asy_fd_wait(asyncio_loop *loop, struct fd_record *record, uint32_t events, bool edge);
/* Ends a task's wait for this record, if it is in one, as if the descriptor were ready. */
void asy_fd_wait_over(asyncio_task *task, struct fd_record *record);
/* The same for a waiter that is no task: it is called once, registered for good.
 * 0 or a negative errno; list_remove(&waiter->node) takes it back. */
int asy_fd_watch(asyncio_loop *loop, struct fd_record *record, struct fd_waiter *waiter);
/* The direction is exhausted: do not try again before an event. */
static inline void asy_fd_exhausted(struct fd_record *record, uint32_t direction)
{
    if (!record->hung_up)
        record->ready &= ~direction;
}
/* A transfer is over: if the direction is still ready, the next waiter's turn has come. */
void asy_fd_pass_on_slow(struct fd_record *record, uint32_t direction);
static inline void asy_fd_pass_on(struct fd_record *record, uint32_t direction)
{
    if ((record->ready & direction) && !list_is_empty(&record->waiters))
        asy_fd_pass_on_slow(record, direction);
}

/* Registers for good. 0, or a negative errno; a file that cannot be waited for becomes ASY_FD_READY. */
int asy_fd_register(asyncio_loop *loop, struct fd_record *record);

/* What add_reader and add_writer have there (readers.c). */
void asy_readers_event(asyncio_loop *loop, struct fd_record *record);
void asy_readers_drop(asyncio_loop *loop, struct fd_record *record);

#endif
