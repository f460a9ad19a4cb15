/*
 * The shape of every transfer: try the call; where it would block, wait and try again; then pass the
 * turn on.
 */
#ifndef ASY_FD_TRANSFER_H
#define ASY_FD_TRANSFER_H

#include "asyncio/errors.h"
#include "core/loop.h"
#include "fd/fd_wait.h"
#include "sys/net.h"
#include <errno.h>

/* The budget is spent: lets others run. 0, -ECANCELED, or -EBADF if they closed the descriptor, even if the
 * number is another file's now. */
int asy_transfer_yield(asyncio_loop *loop, int fd);
/* Takes one call from the budget. 0 or an error. */
static inline int asy_transfer_spend(asyncio_loop *loop, int fd)
{
    if (UNLIKELY(!loop || !loop->current))
        return ASYNCIO_ENOTASK;
    return LIKELY(--loop->budget) ? 0 : asy_transfer_yield(loop, fd);
}
/* The prepared record of fd, with one call taken from the budget; or *err. */
static inline struct fd_record *asy_transfer_begin(asyncio_loop *loop, int fd, int *err)
{
    *err = asy_transfer_spend(loop, fd);
    if (UNLIKELY(*err))
        return NULL;
    struct fd_record *record = asy_fd_record(loop, fd);
    *err = LIKELY(record != NULL) ? asy_fd_prepare(record) : asy_fd_record_error(fd);
    return record;
}
/* poll(2) without a wait: the events that hold, 0, or an error. */
int asy_fd_look(int fd, int events);
/* The result of a write. Where nobody has the other side of a terminal open, the kernel tells -EIO; or, once
 * what was written fills it, -EAGAIN and a hangup without end. Both are what a pipe tells by -EPIPE. */
static inline ssize_t asy_fd_written(const struct fd_record *record, ssize_t result)
{
    bool may_be_gone = UNLIKELY(result == -EAGAIN || result == -EIO) && record->hangs_up;
    return may_be_gone && (asy_fd_look(record->fd, 0) & POLLHUP) ? -EPIPE : result;
}
/* Waits for the turn; `had_turn`: it came, and led to nothing. */
int asy_transfer_wait(asyncio_loop *loop, struct fd_record *record, uint32_t direction, bool had_turn);
/* Waits until a descriptor that others share is ready, without a lasting registration. 0 or an error. */
int asy_transfer_wait_shared(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* write(2) to a shared one that is ready: as much as cannot block. */
ssize_t asy_write_shared(struct fd_record *record, const void *buf, size_t n);

/* The body of a function with a parameter fd. `call` may use `record` and `had_turn`. A direction known to be
 * exhausted is not tried in vain, and a transfer overtakes none that waits. */
#define TRANSFER(direction, call)                                                                            \
    do {                                                                                                     \
        int err;                                                                                             \
        bool had_turn = false;                                                                               \
        asyncio_loop *loop = asy_running_loop;                                                               \
        struct fd_record *record = asy_transfer_begin(loop, fd, &err);                                       \
        while (LIKELY(!err)) {                                                                               \
            if (UNLIKELY(record->kind == ASY_FD_SHARED) &&                                                   \
                (err = asy_transfer_wait_shared(loop, record, (direction))))                                 \
                break;                                                                                       \
            if ((record->ready & (direction)) && (had_turn || !asy_fd_has_queue(record, (direction)))) {     \
                ssize_t result = (ssize_t)(call);                                                            \
                if (LIKELY(result != -EAGAIN)) {                                                             \
                    if (LIKELY(result > 0))                                                                  \
                        asy_budget_charge(loop, (size_t)result);                                             \
                    asy_fd_pass_on(record, (direction));                                                     \
                    return result;                                                                           \
                }                                                                                            \
                asy_fd_exhausted(record, (direction));                                                       \
            }                                                                                                \
            err = asy_transfer_wait(loop, record, (direction), had_turn);                                    \
            had_turn = true;                                                                                 \
        }                                                                                                    \
        return err;                                                                                          \
    } while (0)

/* The same for a call whose EAGAIN says nothing of the directions: its bytes come from a queue of their own,
 * or it takes none. It is tried whoever else waits, and again when one of `events` has happened. */
#define TRANSFER_ASIDE(events, call)                                                                         \
    do {                                                                                                     \
        int err;                                                                                             \
        asyncio_loop *loop = asy_running_loop;                                                               \
        struct fd_record *record = asy_transfer_begin(loop, fd, &err);                                       \
        while (!err) {                                                                                       \
            ssize_t result = (ssize_t)(call);                                                                \
            if (result != -EAGAIN)                                                                           \
                return result;                                                                               \
            err = asy_fd_wait_next_event(loop, record, (events));                                            \
        }                                                                                                    \
        return err;                                                                                          \
    } while (0)

#endif
