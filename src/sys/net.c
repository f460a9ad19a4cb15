/*
 * The wrappers of net.h.
 */
#include "sys/net.h"
#include "base/compiler.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int socket_kind(int fd)
{
    int protocol = 0;
    socklen_t length = sizeof protocol;
    int status = getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &length);
    return status == 0 && protocol == IPPROTO_TCP ? ASY_FD_SOCKET | ASY_FD_TCP : ASY_FD_SOCKET;
}

/* A terminal is shared with other programs. The other side of a pseudo-terminal belongs to the program that
 * has opened it, as a pipe does. */
static int device_kind(int fd)
{
    unsigned number;
    if (!isatty(fd))
        return 0;
    return ioctl(fd, TIOCGPTN, &number) < 0 ? ASY_FD_TERMINAL | ASY_FD_HANGS_UP : ASY_FD_HANGS_UP;
}

int asy_sys_fd_kind(int fd)
{
    struct stat status;
    int saved = errno;
    if (ASY_FAULT("fstat"))
        return -EBADF;
    if (fstat(fd, &status) < 0)
        return (int)kernel_result(-1, saved);
    if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode))
        return ASY_FD_ALWAYS_READY;
    int kind = S_ISCHR(status.st_mode) ? device_kind(fd) : 0;
    kind |= kind & ASY_FD_TERMINAL || fd <= STDERR_FILENO ? ASY_FD_SHARED : ASY_FD_POLLABLE;
    if (S_ISSOCK(status.st_mode))
        kind |= socket_kind(fd);
    errno = saved;
    return kind;
}

int asy_sys_reopen(int fd)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    KERNEL_INT("reopen", -EMFILE,
               asy_sys_above_standard(open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)));
}

static int set_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return flags;
    return flags & O_NONBLOCK ? 0 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

int asy_sys_set_nonblocking(int fd)
{
    KERNEL_INT("fcntl", -EBADF, set_nonblocking(fd));
}

int asy_sys_set_cloexec(int fd)
{
    KERNEL_INT("fcntl", -EBADF, fcntl(fd, F_SETFD, FD_CLOEXEC));
}

ssize_t asy_sys_readv(int fd, const struct iovec *parts, int count)
{
    KERNEL_AGAIN("readv", -EIO, readv(fd, parts, count));
}

ssize_t asy_sys_writev(int fd, const struct iovec *parts, int count)
{
    KERNEL_AGAIN("writev", -EIO, writev(fd, parts, count));
}

/* For calls that have no MSG_NOSIGNAL: SIGPIPE is blocked around them, and taken away if they raised it. */
struct quiet {
    sigset_t before;
    bool was_pending;
};

static void block_sigpipe(struct quiet *quiet)
{
    sigset_t sigpipe, pending;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &sigpipe, &quiet->before);
    quiet->was_pending =
        sigismember(&quiet->before, SIGPIPE) && !sigpending(&pending) && sigismember(&pending, SIGPIPE);
}

/* `may_have`: the call in between may have raised the signal. errno stays. */
static void restore_sigpipe(const struct quiet *quiet, bool may_have)
{
    static const struct timespec no_time;
    int saved = errno;
    sigset_t sigpipe;
    sigemptyset(&sigpipe);
    sigaddset(&sigpipe, SIGPIPE);
    if (may_have && !quiet->was_pending)
        sigtimedwait(&sigpipe, NULL, &no_time);
    pthread_sigmask(SIG_SETMASK, &quiet->before, NULL);
    errno = saved;
}

/* The flag is of Linux 6.18, and not all files take it. */
#ifndef RWF_NOSIGNAL
#define RWF_NOSIGNAL 0x100
#endif

static ssize_t writev_quietly(int fd, const struct iovec *parts, int count)
{
    ssize_t result = syscall(SYS_pwritev2, fd, parts, count, -1L, 0L, RWF_NOSIGNAL);
    if (result >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != ESPIPE))
        return result;
    struct quiet quiet;
    block_sigpipe(&quiet);
    result = writev(fd, parts, count);
    restore_sigpipe(&quiet, result >= 0 || errno == EPIPE); /* the reader may have gone in the middle */
    return result;
}

ssize_t asy_sys_writev_quietly(int fd, const struct iovec *parts, int count)
{
    KERNEL_AGAIN("writev", -EIO, writev_quietly(fd, parts, count));
}

ssize_t asy_sys_write_quietly(int fd, const void *buf, size_t n)
{
    struct iovec part = {(void *)buf, n};
    KERNEL_AGAIN("write", -EIO, writev_quietly(fd, &part, 1));
}

ssize_t asy_sys_pread(int fd, void *buf, size_t n, off_t offset)
{
    KERNEL_AGAIN("pread", -EIO, pread(fd, buf, n, offset));
}

int asy_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    KERNEL_INT("poll", -ENOMEM, poll(fds, count, timeout_ms));
}

HOT ssize_t asy_sys_recv(int fd, void *buf, size_t n, int flags)
{
    KERNEL_AGAIN("recv", -ENOMEM, recv(fd, buf, n, flags));
}

HOT ssize_t asy_sys_send(int fd, const void *buf, size_t n, int flags)
{
    KERNEL_AGAIN("send", -ENOBUFS, send(fd, buf, n, flags));
}

ssize_t asy_sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length)
{
    KERNEL_AGAIN("recvfrom", -ENOMEM, recvfrom(fd, buf, n, flags, from, length));
}

ssize_t asy_sys_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
                       socklen_t length)
{
    KERNEL_AGAIN("sendto", -ENOBUFS, sendto(fd, buf, n, flags, to, length));
}

ssize_t asy_sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    KERNEL_AGAIN("recvmsg", -ENOMEM, recvmsg(fd, message, flags));
}

ssize_t asy_sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    KERNEL_AGAIN("sendmsg", -ENOBUFS, sendmsg(fd, message, flags));
}

int asy_sys_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    KERNEL_INT("recvmmsg", -ENOMEM, recvmmsg(fd, messages, count, flags, NULL));
}

int asy_sys_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    KERNEL_INT("sendmmsg", -ENOBUFS, sendmmsg(fd, messages, count, flags));
}

static ssize_t sendfile_quietly(int out, int in, off_t *offset, size_t count)
{
    struct quiet quiet;
    block_sigpipe(&quiet);
    ssize_t result = sendfile(out, in, offset, count);
    restore_sigpipe(&quiet, result < 0 && errno == EPIPE);
    return result;
}

ssize_t asy_sys_sendfile(int out, int in, off_t *offset, size_t count)
{
    KERNEL_AGAIN("sendfile", -EIO, sendfile_quietly(out, in, offset, count));
}

int asy_sys_socket(int family, int type, int protocol)
{
    KERNEL_INT("socket", -EMFILE,
               asy_sys_above_standard(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)));
}

int asy_sys_accept(int fd, struct sockaddr *peer, socklen_t *length)
{
    KERNEL_INT("accept", -EMFILE,
               asy_sys_above_standard(accept4(fd, peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK)));
}

int asy_sys_interface_name(unsigned number, char *name)
{
    KERNEL_INT("if_indextoname", -ENXIO, if_indextoname(number, name) ? 0 : -1);
}

int asy_sys_connect(int fd, const struct sockaddr *to, socklen_t length)
{
    KERNEL_INT("connect", -ENOBUFS, connect(fd, to, length));
}

int asy_sys_bind(int fd, const struct sockaddr *to, socklen_t length)
{
    KERNEL_INT("bind", -EADDRINUSE, bind(fd, to, length));
}

int asy_sys_listen(int fd, int backlog)
{
    KERNEL_INT("listen", -EADDRINUSE, listen(fd, backlog));
}

int asy_sys_shutdown(int fd, int how)
{
    KERNEL_INT("shutdown", -ENOTCONN, shutdown(fd, how));
}

int asy_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    KERNEL_INT("getsockopt", -ENOBUFS, getsockopt(fd, level, name, value, length));
}

int asy_sys_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    KERNEL_INT("setsockopt", -ENOBUFS, setsockopt(fd, level, name, value, length));
}

int asy_sys_getsockname(int fd, struct sockaddr *name, socklen_t *length)
{
    KERNEL_INT("getsockname", -ENOBUFS, getsockname(fd, name, length));
}

int asy_sys_getpeername(int fd, struct sockaddr *name, socklen_t *length)
{
    KERNEL_INT("getpeername", -ENOBUFS, getpeername(fd, name, length));
}

int asy_sys_untaken(int fd)
{
    if (ASY_FAULT("ioctl"))
        return -ENOTTY;
    int saved = errno, bytes = 0;
    int result = ioctl(fd, SIOCOUTQ, &bytes) < 0 && ioctl(fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
    errno = saved;
    return result;
}

int asy_sys_stat(const char *path, struct stat *status)
{
    KERNEL_INT("stat", -EACCES, lstat(path, status));
}

int asy_sys_unlink(const char *path)
{
    KERNEL_INT("unlink", -EACCES, unlink(path));
}

int asy_sys_chmod(const char *path, mode_t mode)
{
    KERNEL_INT("chmod", -EPERM, chmod(path, mode));
}

int asy_sys_socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    int err = asy_sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return err < 0 ? err : -error;
}
