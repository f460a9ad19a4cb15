/*
 * Sockets: the waiting twins of the system calls. See asyncio/sockets.h.
 */
#include "asyncio/sockets.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/compiler.h"
#include "fd/lengths.h"
#include "fd/transfer.h"
#include "net/endpoint.h"
#include "sys/files.h"
#include "sys/sys.h"
#include <stdlib.h>
#include <unistd.h>

#define COPY_BYTES (256 * 1024)

/* No call blocks, even if another process has made the descriptor blocking. */
#define SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)

/* After a short transfer the next one would often only fail with EAGAIN, so the record notes it. */
static inline ssize_t note_short(struct fd_record *record, uint32_t direction, ssize_t result, size_t n)
{
    if (result > 0 && (size_t)result < n)
        asy_fd_short(record, direction);
    return result;
}

static inline ssize_t recv_some(struct fd_record *record, int fd, void *buf, size_t n)
{
    return note_short(record, FD_READ, asy_sys_recv(fd, buf, n, MSG_DONTWAIT), n);
}

HOT ssize_t asyncio_sock_recv(int fd, void *buf, size_t n, int flags)
{
    if (UNLIKELY(flags || !asy_is_length(n)))
        return asyncio_sock_recvfrom(fd, buf, n, flags, NULL, NULL);
    TRANSFER(FD_READ, recv_some(record, fd, buf, n));
}

/* The events that announce data for a call with these flags. 0: those of the ordinary queue. A peek may look
 * behind the bytes that are queued (SO_PEEK_OFF), and waits for more than there are. */
static uint32_t events_aside(int flags)
{
    return flags & MSG_ERRQUEUE ? EPOLLERR : flags & MSG_OOB ? EPOLLPRI : flags & MSG_PEEK ? EPOLLIN : 0;
}

static ssize_t recvfrom_aside(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                              socklen_t *length)
{
    TRANSFER_ASIDE(events_aside(flags), asy_sys_recvfrom(fd, buf, n, flags | MSG_DONTWAIT, from, length));
}

static ssize_t recvmsg_aside(int fd, struct msghdr *message, int flags)
{
    TRANSFER_ASIDE(events_aside(flags),
                   asy_sys_recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
}

static ssize_t recvfrom_waiting(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                                socklen_t *length)
{
    TRANSFER(FD_READ, asy_sys_recvfrom(fd, buf, n, flags | MSG_DONTWAIT, from, length));
}

static ssize_t recvmsg_waiting(int fd, struct msghdr *message, int flags)
{
    TRANSFER(FD_READ, asy_sys_recvmsg(fd, message, flags | MSG_CMSG_CLOEXEC | MSG_DONTWAIT));
}

/* MSG_WAITALL means nothing for datagrams, errors and urgent data. */
static bool waits_for_all(int fd, int flags)
{
    int type = 0;
    socklen_t length = sizeof type;
    return (flags & MSG_WAITALL) && !(flags & (MSG_ERRQUEUE | MSG_OOB)) &&
           asy_sys_getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

/* Waits for the missing bytes. A request to cancel is delivered as ever until some bytes have come; after
 * that the wait ends with -EINTR, and the request stays pending. */
static int wait_for_rest(asyncio_loop *loop, struct fd_record *record, size_t got, bool waited)
{
    return got ? asy_fd_wait_rest(loop, record, FD_READ) : asy_transfer_wait(loop, record, FD_READ, waited);
}

/* A peer may send as fast as we receive: others run after each step. */
static int give_way(asyncio_loop *loop, struct fd_record *record, size_t got, size_t *step_end)
{
    if (got < *step_end)
        return 0;
    *step_end = got + ASY_STEP_BYTES;
    return asy_fd_give_way_amid(loop, record, FD_READ);
}

/* One transfer, however long it takes. If it ends early it returns the bytes that have come, or else the
 * error. */
static ssize_t recv_all(int fd, char *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length)
{
    asyncio_loop *loop = asy_running_loop;
    size_t got = 0, step_end = ASY_STEP_BYTES;
    int err;
    struct fd_record *record = asy_transfer_begin(loop, fd, &err);
    bool waited = false;
    while (!err && got < n && !(err = give_way(loop, record, got, &step_end))) {
        size_t most = step_end - got < n - got ? step_end - got : n - got;
        /* After a part an error is the next call's: to read here would take it away. */
        if (waited && got && (asy_fd_look(fd, POLLIN) & (POLLERR | POLLHUP)) == (POLLERR | POLLHUP))
            break;
        ssize_t part = -EAGAIN;
        if ((record->ready & FD_READ) && (waited || got || !asy_fd_has_queue(record, FD_READ)))
            part = asy_sys_recvfrom(fd, buf + got, most, flags | MSG_DONTWAIT, got ? NULL : from, length);
        if (part == 0)
            break;
        if (part > 0) {
            got += (size_t)part;
            continue;
        }
        err = (int)part;
        if (err == -EAGAIN) {
            asy_fd_exhausted(record, FD_READ);
            err = wait_for_rest(loop, record, got, waited);
            waited = true;
        }
    }
    if (record)
        asy_fd_pass_on(record, FD_READ);
    return got ? (ssize_t)got : err;
}

ssize_t asyncio_sock_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                              socklen_t *length)
{
    if (!asy_is_length(n))
        return -EINVAL;
    bool all = waits_for_all(fd, flags);
    if (all && (flags & MSG_PEEK))
        return asyncio_raise(-EOPNOTSUPP, "MSG_WAITALL does not go with MSG_PEEK: "
                                          "all of it may be more than the socket can hold");
    if (all)
        return recv_all(fd, buf, n, flags, from, length);
    return events_aside(flags) ? recvfrom_aside(fd, buf, n, flags, from, length)
                               : recvfrom_waiting(fd, buf, n, flags, from, length);
}

ssize_t asyncio_sock_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (waits_for_all(fd, flags))
        return asyncio_raise(-EOPNOTSUPP, "asyncio_sock_recvmsg does not know MSG_WAITALL: "
                                          "asyncio_sock_recv does");
    return events_aside(flags) ? recvmsg_aside(fd, message, flags) : recvmsg_waiting(fd, message, flags);
}

static inline ssize_t send_some(struct fd_record *record, int fd, const void *buf, size_t n, int flags)
{
    return note_short(record, FD_WRITE, asy_sys_send(fd, buf, n, flags | SEND_FLAGS), n);
}

ssize_t asyncio_sock_send(int fd, const void *buf, size_t n, int flags)
{
    if (!asy_is_length(n))
        return -EINVAL;
    TRANSFER(FD_WRITE, send_some(record, fd, buf, n, flags));
}

/* ---- Datagrams to somebody -------------------------------------------------------------- */

/* A Unix socket fails with EAGAIN while the receiver's or listener's queue is full, and no event tells when
 * there is room. So the call tries again after this pause. */
#define FULL_PAUSE_S 0.002

static bool is_unix(const void *to, size_t length)
{
    return to && length >= sizeof(sa_family_t) && ((const struct sockaddr *)to)->sa_family == AF_UNIX;
}

/* Waits a moment. -EBADF: the program has closed the descriptor meanwhile. */
static int pause_for_room(const struct fd_record *record)
{
    uint32_t generation = record->generation;
    int err = asyncio_sleep(FULL_PAUSE_S);
    return !err && record->generation != generation ? -EBADF : err;
}

static ssize_t send_when_room(int fd, const struct msghdr *message, int flags)
{
    int err;
    const struct fd_record *record = asy_transfer_begin(asy_running_loop, fd, &err);
    while (!err) {
        ssize_t sent = asy_sys_sendmsg(fd, message, flags | SEND_FLAGS);
        if (sent != -EAGAIN)
            return sent;
        err = pause_for_room(record);
    }
    return err;
}

static ssize_t sendmsg_waiting(int fd, const struct msghdr *message, int flags)
{
    TRANSFER(FD_WRITE, asy_sys_sendmsg(fd, message, flags | SEND_FLAGS));
}

ssize_t asyncio_sock_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (message && is_unix(message->msg_name, message->msg_namelen))
        return send_when_room(fd, message, flags);
    return sendmsg_waiting(fd, message, flags);
}

static ssize_t sendto_waiting(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
                              socklen_t length)
{
    TRANSFER(FD_WRITE, asy_sys_sendto(fd, buf, n, flags | SEND_FLAGS, to, length));
}

ssize_t asyncio_sock_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
                            socklen_t length)
{
    if (!asy_is_length(n))
        return -EINVAL;
    if (!is_unix(to, length))
        return sendto_waiting(fd, buf, n, flags, to, length);
    struct iovec part = {(void *)buf, n};
    struct msghdr message = {
        .msg_name = (void *)to, .msg_namelen = length, .msg_iov = &part, .msg_iovlen = 1};
    return send_when_room(fd, &message, flags);
}

/* ---- All of it ---------------------------------------------------------------------------- */

struct sending {
    const char *buf;
    size_t n, sent;
    size_t in_step; /* bytes sent since others have run */
    int flags;
};

/* Sends the rest as far as the socket takes it. Returns n when all is sent, else an error. `is_ours`: the
 * right to transfer, which the call keeps while others run. */
static ssize_t send_rest(struct fd_record *record, struct sending *it, bool *is_ours)
{
    do {
        if (it->in_step >= ASY_STEP_BYTES) {
            int err = asy_fd_give_way(asy_running_loop, record, FD_WRITE);
            if (err)
                return err;
            *is_ours = true;
            it->in_step = 0;
        }
        size_t n = it->n - it->sent < ASY_STEP_BYTES ? it->n - it->sent : ASY_STEP_BYTES;
        ssize_t part = send_some(record, record->fd, it->buf + it->sent, n, it->flags);
        if (part < 0)
            return part;
        it->sent += (size_t)part;
        it->in_step += (size_t)part;
    } while (it->sent < it->n && (record->ready & FD_WRITE));
    return it->sent < it->n ? -EAGAIN : (ssize_t)it->n;
}

/* One transfer, however long it takes: nobody else's bytes come in between. */
static HOT ssize_t send_all(int fd, struct sending *it)
{
    TRANSFER(FD_WRITE, send_rest(record, it, &had_turn));
}

HOT ssize_t asyncio_sock_sendall(int fd, const void *buf, size_t n, int flags)
{
    struct sending it = {.buf = buf, .n = n, .flags = flags};
    return asy_is_length(n) ? send_all(fd, &it) : -EINVAL;
}

/* ---- Connections ------------------------------------------------------------------- */

/* Errors of the connection that was to be accepted, not of the listener (accept(2)). */
static bool is_error_of_peer(int err)
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

/* At the limit of descriptors, or of memory: the kernel looks for these before it looks for a connection. */
static bool is_shortage(int err)
{
    return err == -EMFILE || err == -ENFILE || err == -ENOBUFS || err == -ENOMEM;
}

int asy_accept(int fd, struct sockaddr *peer, socklen_t *length)
{
    int accepted = asy_sys_accept(fd, peer, length);
    return is_shortage(accepted) && asy_fd_look(fd, POLLIN) == 0 ? -EAGAIN : accepted;
}

static int accept_connection(int fd, struct sockaddr *peer, socklen_t *length)
{
    socklen_t room = length ? *length : 0;
    int accepted;
    do {
        if (length)
            *length = room;
        accepted = asy_accept(fd, peer, length);
    } while (accepted == -EINTR || is_error_of_peer(accepted));
    return accepted;
}

static ssize_t accept_waiting(int fd, struct sockaddr *peer, socklen_t *length)
{
    TRANSFER(FD_READ, accept_connection(fd, peer, length));
}

int asyncio_sock_accept(int fd, struct sockaddr *peer, socklen_t *length)
{
    int accepted = (int)accept_waiting(fd, peer, length);
    if (accepted < 0)
        return accepted;
    /* Without memory the table has no record of it, and looks at the descriptor when it is used. */
    struct fd_record *record = asy_fd_record(asy_running_loop, accepted);
    if (record)
        asy_fd_record_reset(asy_running_loop, record, asy_fd_find(asy_running_loop, fd));
    return accepted;
}

/* connect(2), again and again while a Unix listener's queue is full. */
static int begin_to_connect(const struct fd_record *record, const struct sockaddr *to, socklen_t length)
{
    int err;
    do {
        err = asy_sys_connect(record->fd, to, length);
        if (err == -EINTR || err == -EALREADY) /* the latter: a call that was cancelled has begun it */
            return -EINPROGRESS;
        if (err != -EAGAIN)
            return err;
        err = pause_for_room(record);
    } while (!err);
    return err;
}

/* Waits for the connection that has begun. 0, or its error. */
static int end_connecting(asyncio_loop *loop, struct fd_record *record)
{
    asy_fd_exhausted(record, FD_WRITE);
    int err = asy_fd_wait_turn(loop, record, FD_WRITE);
    if (!err)
        err = asy_sys_socket_error(record->fd);
    if (!err)
        asy_fd_pass_on(record, FD_WRITE);
    return err;
}

int asyncio_sock_connect(int fd, const struct sockaddr *to, socklen_t length)
{
    asyncio_loop *loop = asy_running_loop;
    int err = asy_transfer_spend(loop, fd);
    if (err)
        return err;
    struct fd_record *record = asy_fd_record(loop, fd);
    if (!record)
        return asy_fd_record_error(fd);
    asy_fd_record_reset(loop, record, NULL);
    err = asy_fd_prepare(record);
    if (!err)
        err = begin_to_connect(record, to, length);
    return err == -EINPROGRESS ? end_connecting(loop, record) : err;
}

/* ---- Files ---------------------------------------------------------------------------- */

static ssize_t sendfile_once(int fd, int in, off_t *offset, size_t count)
{
    TRANSFER(FD_WRITE, asy_sys_sendfile(fd, in, offset, count));
}

/* Sends one block by way of memory, from a file that the kernel cannot send itself. */
static ssize_t copy_once(int fd, int in, off_t *offset, size_t count)
{
    const struct fd_record *record = asy_fd_find(asy_running_loop, fd); /* sendfile_once has made it */
    uint32_t generation = record->generation;
    size_t room = count < COPY_BYTES ? count : COPY_BYTES;
    char *block = asy_sys_alloc(room);
    if (!block)
        return -ENOMEM;
    ssize_t n = offset ? asy_sys_pread(in, block, room, *offset) : asyncio_read(in, block, room);
    if (record->generation != generation)
        n = -EBADF;
    if (n > 0) {
        struct sending it = {.buf = block, .n = (size_t)n};
        n = send_all(fd, &it);
        if (offset)
            *offset += (off_t)it.sent;
        else if (it.sent < it.n) /* a pipe takes nothing back */
            asy_sys_lseek(in, (off_t)it.sent - (off_t)it.n, SEEK_CUR);
    }
    asy_sys_free(block);
    return n;
}

ssize_t asyncio_sock_sendfile(int fd, int in, off_t *offset, size_t count)
{
    size_t sent = 0;
    bool must_copy = false;
    if (!asy_is_length(count))
        return -EINVAL;
    while (sent < count) {
        size_t left = count - sent < ASY_STEP_BYTES ? count - sent : ASY_STEP_BYTES;
        ssize_t part = must_copy ? copy_once(fd, in, offset, left) : sendfile_once(fd, in, offset, left);
        if (!must_copy && (part == -EINVAL || part == -ENOSYS)) {
            must_copy = true;
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
