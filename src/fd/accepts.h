/*
 * Accepting by completions: what a backend with a ring accepts for a server, while its tasks do something
 * else. The kernel takes each connection off the listener's queue as it comes, and `came` is told of it in
 * the loop's next turn.
 *
 * It ends in one call, which tells of all that the kernel has accepted until then. So a server that stops
 * listening has served, or is about to serve, all that was taken off the queue; the rest is still there, for
 * another process that shares the listener, or for accept(2).
 *
 * The state outlives its record where the kernel does not listen at the end: it holds the file open until its
 * operation is over. Connections that come then belong to nobody, and are reset.
 */
#ifndef ASY_FD_ACCEPTS_H
#define ASY_FD_ACCEPTS_H

#include "backend/transfers.h"
#include "fd/fd_table.h"

struct fd_accepts {
    struct asy_accept accept;
    asyncio_loop *loop;
    struct fd_record *record; /* NULL: the listener was dropped */
    int closing_fd;           /* to be closed when it is over; -1: none */
    bool is_wanted;           /* it begins again when the kernel has ended it */
    bool is_cancelled;        /* the kernel was asked to end it */
    bool is_leaving;          /* the listener is being dropped, and frees this */
    /* A connection: its descriptor, which `came` takes over. Or an error: nothing is accepted any more. */
    void (*came)(void *context, int result);
    void *context;
};

/* ---- For servers ---------------------------------------------------------------------------- */

/* May the loop's backend accept? */
static inline bool asy_accepts_may(const asyncio_loop *loop)
{
    return UNLIKELY(loop->backend->transfers != NULL) && loop->backend->transfers->accepts;
}
/* Accepts from now on; if it does already, nothing happens. 0 or -ENOMEM. */
int asy_accepts_begin(asyncio_loop *loop, struct fd_record *record, void (*came)(void *context, int result),
                      void *context);
/* Accepts no more. Connections that have come until then are told before it returns. */
void asy_accepts_end(struct fd_record *record);
/* A connection that nobody is to have: its peer sees a reset, as if it had stayed in the queue of a listener
 * that was closed. */
void asy_reset_connection(int fd);

/* ---- For fd_table.c ------------------------------------------------------------------------- */

struct fd_accepts *asy_accepts_leave_slow(struct fd_record *record);
/* The listener is dropped. Returns the state if the operation is still under way, else NULL. */
static inline struct fd_accepts *asy_accepts_leave(struct fd_record *record)
{
    return UNLIKELY(record->accepts != NULL) ? asy_accepts_leave_slow(record) : NULL;
}
/* Closes a listener whose operation is still under way: it listens no more. 0. */
int asy_accepts_close(struct fd_accepts *accepts, int fd);

#endif
