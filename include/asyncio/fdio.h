/*
 * Descriptors: waiting until one is ready, and the waiting twins of read and write.
 *
 * At first use the twins register the descriptor with the loop and make a socket or pipe non-blocking. 0,
 * 1, 2 and terminals stay as they are: the twins poll them before each transfer. Close such a descriptor
 * with asyncio_close, or call asyncio_forget before somebody else closes it. asyncio_wait_readable,
 * _writable and _fd leave no registration behind, and so serve libraries that close their descriptors
 * themselves (libpq, libcurl, hiredis).
 *
 * All of these belong to a task of the loop's thread, suspend when they have to wait, and return
 * ASYNCIO_ENOTASK outside one. A request to cancel ends a wait with -ECANCELED, and nothing was
 * transferred. A transfer that need not wait is made, and delivers no request. Several tasks may wait on
 * one descriptor, first come first served in each direction.
 */
#ifndef ASYNCIO_FDIO_H
#define ASYNCIO_FDIO_H

#include <asyncio/types.h>
#include <sys/uio.h>

ASYNCIO_BEGIN_DECLS

/*
 * Waits until fd is ready, for at most `timeout` seconds. ASYNCIO_FOREVER is no limit; 0 or less looks
 * without waiting. `poll_events` are poll(2)'s: POLLIN, POLLOUT, POLLPRI, POLLRDHUP; POLLERR alone waits
 * for an error, such as one in a socket's error queue. asyncio_wait_fd returns the events that hold,
 * POLLERR and POLLHUP among them; the other two return 0. Errors: -ETIMEDOUT, -ECANCELED, -EBADF, -EINVAL
 * (NaN, no events), -ENOMEM, ASYNCIO_ENOTASK.
 */
ASYNCIO_API int asyncio_wait_readable(int fd, double timeout);
ASYNCIO_API int asyncio_wait_writable(int fd, double timeout);
ASYNCIO_API int asyncio_wait_fd(int fd, int poll_events, double timeout);

/* Read and write a descriptor, as read(2), write(2), readv(2) and writev(2), and wait where those would
 * block. Return the number of bytes, 0 at the end of the file, or the call's error; -ECANCELED, -ENOMEM,
 * ASYNCIO_ENOTASK; -EINVAL for a length above SSIZE_MAX, of one part or of all, and for more than IOV_MAX
 * parts. They raise no SIGPIPE. */
ASYNCIO_API ssize_t asyncio_read(int fd, void *buf, size_t n);
ASYNCIO_API ssize_t asyncio_write(int fd, const void *buf, size_t n);
ASYNCIO_API ssize_t asyncio_readv(int fd, const struct iovec *parts, int count);
ASYNCIO_API ssize_t asyncio_writev(int fd, const struct iovec *parts, int count);

/* Closes a descriptor, as close(2). Calls that are waiting on it return -EBADF. Never suspends; also
 * outside a task. 0, -EBADF, -EIO. */
ASYNCIO_API int asyncio_close(int fd);

/* Has the running loop forget a descriptor that somebody else is about to close. Calls that are waiting on
 * it return -EBADF. Never suspends; also outside a task. 0; -EBADF if the loop does not know it. */
ASYNCIO_API int asyncio_forget(int fd);

ASYNCIO_END_DECLS

#endif
