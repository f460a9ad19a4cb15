/*
 * What debug mode checks on request (ASYNCIO_DEBUG=fd): descriptors that two tasks transfer over, that are
 * closed under a task, and that are used when they are not open.
 */
#ifndef ASY_FD_FD_CHECKS_H
#define ASY_FD_FD_CHECKS_H

#include "base/compiler.h"
#include "fd/fd_table.h"

/* The running task is about to wait for its turn, in a record where others wait. */
COLD void asy_fd_check_sharing(asyncio_loop *loop, struct fd_record *record, uint32_t direction);
/* The program closes a descriptor. */
void asy_fd_check_closing(asyncio_loop *loop, const struct fd_record *record);
/* The running task uses a number that is no descriptor. */
COLD void asy_fd_check_open(int fd, int err);

#endif
