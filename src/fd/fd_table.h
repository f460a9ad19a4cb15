/*
 * The descriptors of a loop: one record for each that was used, found by its number.
 *
 * A record is registered with the backend in one of three modes:
 *
 *   idle      not at all
 *   edge      once, both directions, edge-triggered: until the descriptor is closed or forgotten
 *   level     for the level watches that there are, level-triggered, and the waits that are there now
 *   once      for the waits that are there now, and for no longer
 *   ends      for the end of the input alone: what comes before it comes by completions (traffic.h)
 *
 * `ready` says in which directions a system call is worth trying. A call that would have blocked, or that
 * drained a TCP socket, takes the bit down; an event puts it up. `stays`: bits that no call takes down,
 * because the last event reported a hang-up, and an edge-triggered end is reported once.
 *
 * `stays` is always part of `ready`. Each drop changes the record's generation. An event carries the one that
 * it was registered with, and a late one is dropped.
 */
#ifndef ASY_FD_FD_TABLE_H
#define ASY_FD_FD_TABLE_H

#include "asyncio/types.h"
#include "base/compiler.h"
#include "base/list.h"
#include "core/loop.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

enum fd_mode { FD_IDLE, FD_EDGE, FD_LEVEL, FD_ONCE, FD_ENDS };

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
    uint8_t by_ring;      /* FD_READ | FD_WRITE: a stream may have it carried by completions (traffic.h) */
    bool is_sharing_told; /* by the check (fd_checks.h) */
    bool short_is_end;    /* a transfer of less than was asked for: it is empty now, or full (TCP) */
    bool is_plain;        /* by_ring has FD_READ, and yet input is by readiness now */
    uint8_t votes;        /* reads in a row that the other way would have served better */
    uint32_t ready;       /* FD_READ | FD_WRITE */
    uint32_t stays;       /* those of them that nothing takes down */
    int reopened;         /* a terminal's second descriptor, which we may make non-blocking; or -1 */
    struct list waiters;  /* of fd_waiter (fd_wait.h) */
    struct list watches;  /* of watch (watches.h) */
    struct fd_traffic *traffic; /* by completions (traffic.h); or NULL */
    struct fd_accepts *accepts; /* of a listener, likewise (accepts.h); or NULL */
};

/* A stream, a server or the like: it has a descriptor and may outlive the loop. It is told once, when the
 * loop closes; no task that is in a call of it will run again. */
struct fd_owner {
    struct list node;
    void (*loop_closes)(struct fd_owner *owner);
    void (*loop_ends)(struct fd_owner *owner); /* the loop's shutdown begins; or NULL */
};

struct fd_table {
    struct asy_io_hooks hooks; /* first: what the loop knows of it */
    struct list owners;        /* of fd_owner */
    asyncio_loop *loop;
    struct fd_record **records; /* by number; NULL where there is none */
    size_t capacity;
    uint32_t generation;
    struct watch *mark;    /* in a record's list while its watches are told */
    char *input;           /* the buffer that a stream used last (stream_read.c), or NULL */
    char *wide_input;      /* of transports (transport_read.c), or NULL */
    bool is_taking_events; /* the poll hands events out; no function of the program is running */
};

/* ---- Records (fd_table.c) ---------------------------------------------------------- */

/* The loop's record of fd; NULL if there is none. */
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
/* The loop has a record, and so it has a table. list_remove(&owner->node) takes the owner back. */
static inline void asy_fd_own(asyncio_loop *loop, struct fd_owner *owner)
{
    list_append(&((struct fd_table *)loop->io)->owners, &owner->node);
}
/* The loop's shutdown begins: tells all owners that want to know. They may take themselves back then, but no
 * others. */
void asy_fd_owners_end(asyncio_loop *loop);
/* Looks up the kind and makes a socket or pipe non-blocking, the first time. 0 or a negative errno. */
int asy_fd_prepare_slow(struct fd_record *record);
static inline int asy_fd_prepare(struct fd_record *record)
{
    return LIKELY(record->is_known) ? 0 : asy_fd_prepare_slow(record);
}
/* A new file has the number: nothing that was known holds. `like`, unless NULL, is the listener that the
 * file came out of, non-blocking. */
void asy_fd_record_reset(asyncio_loop *loop, struct fd_record *record, const struct fd_record *like);
/* Wakes all that wait with -EBADF, and takes the registration back. */
void asy_fd_drop(asyncio_loop *loop, struct fd_record *record);
/* The same, and closes the descriptor. 0, or close(2)'s error. */
int asy_fd_close(asyncio_loop *loop, struct fd_record *record);

/* The direction is exhausted: no call tries it again before an event. */
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

/* ---- Registration (fd_table.c) ----------------------------------------------------- */

/* Registers for good. 0 or a negative errno. A file that cannot be waited for becomes
 * ASY_FD_ALWAYS_READY. */
int asy_fd_register(asyncio_loop *loop, struct fd_record *record);
/* The same for a waiter in one direction: traffic by completions needs no registration. */
int asy_fd_register_for(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* Registers for the end of the input alone, unless it is registered for more. 0 or a negative errno. */
int asy_fd_register_ends(asyncio_loop *loop, struct fd_record *record);
/* From a registration for good to that, as soon as nobody waits for more than what comes. */
void asy_fd_narrow_to_ends(asyncio_loop *loop, struct fd_record *record);
/* Nobody needs a registration for good any more: takes it back. False: it stays, since somebody waits. */
bool asy_fd_unregister_idle(asyncio_loop *loop, struct fd_record *record);
/* Registers for what is waited for and watched now, unless the record is registered for good. 0 or a negative
 * errno. */
int asy_fd_register_once(asyncio_loop *loop, struct fd_record *record);
/* A level-triggered event came. If nobody wants it any more, a change of the registration had failed: tries
 * again. */
void asy_fd_narrow_level(asyncio_loop *loop, struct fd_record *record, uint32_t events);
/* A waiter or a watch has left: takes back a registration that serves nobody any more. */
void asy_fd_unregister_unused(asyncio_loop *loop, struct fd_record *record);

/* ---- fd_events.c ------------------------------------------------------------------- */

/* The backend's `happened`; `context` is the table. */
void asy_fd_take_events(void *context, const struct epoll_event *events, int count);

#endif
