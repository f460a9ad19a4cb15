/*
 * The shape of every transfer: try the call; where it would block, wait and
 * try again; then let the next waiter have his turn.
 */
#ifndef ASY_IO_TRANSFER_H
#define ASY_IO_TRANSFER_H

#include "asyncio/errors.h"
#include "core/loop.h"
#include "io/fd_table.h"
#include "sys/net.h"
#include <errno.h>

/* The prepared record of fd, with one call taken from the budget; or *err. */
struct fd_record *asy_transfer_begin(asyncio_loop *loop, int fd, int *err);
int asy_transfer_wait(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
int asy_transfer_shared(asyncio_loop *loop, struct fd_record *record, uint32_t direction);

/* The body of a function with a parameter fd. `call` may use `record`. A
 * direction known to be exhausted is not tried in vain. */
#define TRANSFER(direction, call)                                                                            \
    do {                                                                                                     \
        int err;                                                                                             \
        asyncio_loop *loop = asy_running_loop;                                                               \
        struct fd_record *record = asy_transfer_begin(loop, fd, &err);                                       \
        while (LIKELY(!err)) {                                                                               \
            if (UNLIKELY(record->kind == ASY_FD_SHARED) && (err = asy_transfer_shared(loop, record, (direction)))) \
                break;                                                                                       \
            ssize_t result = record->ready & (direction) ? (ssize_t)(call) : -EAGAIN;                        \
            if (LIKELY(result != -EAGAIN)) {                                                                 \
                asy_fd_pass_on(record, (direction));                                                         \
                return result;                                                                               \
            }                                                                                                \
            err = asy_transfer_wait(loop, record, (direction));                                              \
        }                                                                                                    \
        return err;                                                                                          \
    } while (0)

#endif
