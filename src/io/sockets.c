/*
 * Sockets: the waiting twins of the system calls. See asyncio/sockets.h.
 */
#include "asyncio/sockets.h"
#include "asyncio/tasks.h"
#include "io/transfer.h"
#include "sys/sys.h"
#include <stdlib.h>

#define COPY_BYTES (256 * 1024)

/* A stream socket that gave less than was asked for is drained, and one that took
 * less is full: the next call would only say so. */
static ssize_t drained(struct fd_record *record, uint32_t direction, ssize_t result, size_t n)
{
    if (result > 0 && (size_t)result < n)
        asy_fd_exhausted(record, direction);
    return result;
}

ssize_t asyncio_sock_recv(int fd, void *buf, size_t n, int flags)
{
    TRANSFER(FD_READ, drained(record, FD_READ, asy_sys_recv(fd, buf, n, flags), n));
}

ssize_t asyncio_sock_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length)
{
    TRANSFER(FD_READ, asy_sys_recvfrom(fd, buf, n, flags, from, length));
}

ssize_t asyncio_sock_recvmsg(int fd, struct msghdr *message, int flags)
{
    TRANSFER(FD_READ, asy_sys_recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC));
}

ssize_t asyncio_sock_send(int fd, const void *buf, size_t n, int flags)
{
    TRANSFER(FD_WRITE, asy_sys_send(fd, buf, n, flags | MSG_NOSIGNAL));
}

ssize_t asyncio_sock_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t length)
{
    TRANSFER(FD_WRITE, asy_sys_sendto(fd, buf, n, flags | MSG_NOSIGNAL, to, length));
}

ssize_t asyncio_sock_sendmsg(int fd, const struct msghdr *message, int flags)
{
    TRANSFER(FD_WRITE, asy_sys_sendmsg(fd, message, flags | MSG_NOSIGNAL));
}

ssize_t asyncio_sock_sendall(int fd, const void *buf, size_t n, int flags)
{
    size_t sent = 0;
    do {
        ssize_t part = asyncio_sock_send(fd, (const char *)buf + sent, n - sent, flags);
        if (part < 0)
            return part;
        sent += (size_t)part;
    } while (sent < n);
    return (ssize_t)n;
}

/* ---- Connections ------------------------------------------------------------------- */

/* Errors of the connection that was to be accepted, not of the listener (accept(2)). */
static bool is_peers(int err)
{
    switch (err) {
    case -ECONNABORTED:
    case -ENETDOWN:
    case -EPROTO:
    case -ENOPROTOOPT:
    case -EHOSTDOWN:
    case -ENONET:
    case -EHOSTUNREACH:
    case -ENETUNREACH:
        return true;
    default:
        return false;
    }
}

static int accept_one(int fd, struct sockaddr *peer, socklen_t *length)
{
    socklen_t room = length ? *length : 0;
    int accepted;
    do {
        if (length)
            *length = room;
        accepted = asy_sys_accept(fd, peer, length);
    } while (accepted == -EINTR || is_peers(accepted));
    return accepted;
}

static ssize_t accept_waiting(int fd, struct sockaddr *peer, socklen_t *length)
{
    TRANSFER(FD_READ, accept_one(fd, peer, length));
}

int asyncio_sock_accept(int fd, struct sockaddr *peer, socklen_t *length)
{
    int accepted = (int)accept_waiting(fd, peer, length);
    if (accepted < 0)
        return accepted;
    struct fd_record *record = asy_fd_record(asy_running_loop, accepted);
    if (!record) {
        asy_sys_close(accepted);
        return -ENOMEM;
    }
    asy_fd_fresh(asy_running_loop, record, true);
    return accepted;
}

/* A Unix socket whose listener's backlog is full says EAGAIN, and nothing tells
 * when there is room. */
#define FULL_PAUSE_S 0.002

int asyncio_sock_connect(int fd, const struct sockaddr *to, socklen_t length)
{
    asyncio_loop *loop = asy_running_loop;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return fd < 0 ? -EBADF : -ENOMEM;
    asy_fd_fresh(loop, record, false);
    int err = asy_fd_prepare(record);
    if (!err)
        err = asy_budget_spend(loop);
    while (!err) {
        err = asy_sys_connect(fd, to, length);
        if (err != -EAGAIN)
            break;
        err = asyncio_sleep(FULL_PAUSE_S);
    }
    if (err != -EINPROGRESS && err != -EINTR)
        return err;
    asy_fd_exhausted(record, FD_WRITE);
    err = asy_fd_wait(loop, record, FD_WRITE, true);
    return err ? err : asy_sys_socket_error(fd);
}

/* ---- Files ---------------------------------------------------------------------------- */

static ssize_t sendfile_once(int fd, int in, off_t *offset, size_t count)
{
    TRANSFER(FD_WRITE, asy_sys_sendfile(fd, in, offset, count));
}

/* One block by way of memory, for what the kernel does not send itself. */
static ssize_t copy_once(int fd, int in, off_t *offset, size_t count)
{
    size_t room = count < COPY_BYTES ? count : COPY_BYTES;
    char *block = asy_sys_alloc(room);
    if (!block)
        return -ENOMEM;
    ssize_t n = offset ? asy_sys_pread(in, block, room, *offset) : asyncio_read(in, block, room);
    if (n > 0) {
        ssize_t sent = asyncio_sock_sendall(fd, block, (size_t)n, 0);
        if (sent < 0)
            n = sent;
        else if (offset)
            *offset += n;
    }
    asy_sys_free(block);
    return n;
}

ssize_t asyncio_sock_sendfile(int fd, int in, off_t *offset, size_t count)
{
    size_t sent = 0;
    bool copies = false;
    while (sent < count) {
        ssize_t part = copies ? copy_once(fd, in, offset, count - sent) : sendfile_once(fd, in, offset, count - sent);
        if (!copies && (part == -EINVAL || part == -ENOSYS)) {
            copies = true;
            continue;
        }
        if (part < 0)
            return part;
        if (part == 0)
            break;
        sent += (size_t)part;
    }
    return (ssize_t)sent;
}
