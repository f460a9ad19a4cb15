/*
 * The wrappers of net.h.
 */
#include "sys/net.h"
#include "base/compiler.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include "sys/world.h"
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
    if (ASY_SEAM() && asy_sim_has(fd))
        return asy_sim->fd_kind(fd);
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
    SOCKET(fd, "fcntl", -EBADF, 0, set_nonblocking(fd));
}

int asy_sys_set_cloexec(int fd)
{
    KERNEL_INT("fcntl", -EBADF, fcntl(fd, F_SETFD, FD_CLOEXEC));
}

ssize_t asy_sys_readv(int fd, const struct iovec *parts, int count)
{
    SOCKET_AGAIN(fd, "readv", -EIO, asy_sim_receive(fd, parts, (size_t)count, 0, NULL, NULL),
                 readv(fd, parts, count));
}

ssize_t asy_sys_writev(int fd, const struct iovec *parts, int count)
{
    SOCKET_AGAIN(fd, "writev", -EIO, asy_sim_send(fd, parts, (size_t)count, 0, NULL, 0),
                 writev(fd, parts, count));
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
    SOCKET_AGAIN(fd, "writev", -EIO, asy_sim_send(fd, parts, (size_t)count, 0, NULL, 0),
                 writev_quietly(fd, parts, count));
}

ssize_t asy_sys_write_quietly(int fd, const void *buf, size_t n)
{
    struct iovec part = {(void *)buf, n};
    SOCKET_AGAIN(fd, "write", -EIO, asy_sim_send(fd, &part, 1, 0, NULL, 0), writev_quietly(fd, &part, 1));
}

ssize_t asy_sys_pread(int fd, void *buf, size_t n, off_t offset)
{
    KERNEL_AGAIN("pread", -EIO, pread(fd, buf, n, offset));
}

int asy_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (ASY_SEAM() && count == 1 && asy_sim_has(fds->fd)) {
        if (asy_fault_hit("poll"))
            return -ENOMEM;
        fds->revents = asy_sim->look(fds->fd, fds->events);
        return fds->revents != 0;
    }
    KERNEL_INT("poll", -ENOMEM, poll(fds, count, timeout_ms));
}

HOT ssize_t asy_sys_recv(int fd, void *buf, size_t n, int flags)
{
    SOCKET_AGAIN(fd, "recv", -ENOMEM, asy_sim_receive(fd, &(struct iovec){buf, n}, 1, flags, NULL, NULL),
                 recv(fd, buf, n, flags));
}

HOT ssize_t asy_sys_send(int fd, const void *buf, size_t n, int flags)
{
    SOCKET_AGAIN(fd, "send", -ENOBUFS,
                 asy_sim_send(fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1, flags, NULL, 0),
                 send(fd, buf, n, flags));
}

ssize_t asy_sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length)
{
    SOCKET_AGAIN(fd, "recvfrom", -ENOMEM,
                 asy_sim_receive(fd, &(struct iovec){buf, n}, 1, flags, from, length),
                 recvfrom(fd, buf, n, flags, from, length));
}

ssize_t asy_sys_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
                       socklen_t length)
{
    SOCKET_AGAIN(fd, "sendto", -ENOBUFS,
                 asy_sim_send(fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1, flags, to, length),
                 sendto(fd, buf, n, flags, to, length));
}

ssize_t asy_sys_recvmsg(int fd, struct msghdr *message, int flags)
{
    SOCKET_AGAIN(fd, "recvmsg", -ENOMEM, asy_sim->recvmsg(fd, message, flags), recvmsg(fd, message, flags));
}

ssize_t asy_sys_sendmsg(int fd, const struct msghdr *message, int flags)
{
    SOCKET_AGAIN(fd, "sendmsg", -ENOBUFS, asy_sim->sendmsg(fd, message, flags), sendmsg(fd, message, flags));
}

int asy_sys_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    SOCKET(fd, "recvmmsg", -ENOMEM, asy_sim_recvmmsg(fd, messages, count, flags),
           recvmmsg(fd, messages, count, flags, NULL));
}

int asy_sys_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    SOCKET(fd, "sendmmsg", -ENOBUFS, asy_sim_sendmmsg(fd, messages, count, flags),
           sendmmsg(fd, messages, count, flags));
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
    SOCKET_AGAIN(out, "sendfile", -EIO, asy_sim_sendfile(out, in, offset, count),
                 sendfile_quietly(out, in, offset, count));
}

int asy_sys_socketpair(int fds[2])
{
    KERNEL_INT("socketpair", -EMFILE, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
}

int asy_sys_socket(int family, int type, int protocol)
{
    if (ASY_SEAM() && asy_sim) {
        if (asy_fault_hit("socket"))
            return -EMFILE;
        return asy_sim->socket(family, type, protocol);
    }
    KERNEL_INT("socket", -EMFILE,
               asy_sys_above_standard(socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol)));
}

int asy_sys_accept(int fd, struct sockaddr *peer, socklen_t *length)
{
    SOCKET(fd, "accept", -EMFILE, asy_sim->accept(fd, peer, length),
           asy_sys_above_standard(accept4(fd, peer, length, SOCK_CLOEXEC | SOCK_NONBLOCK)));
}

int asy_sys_interface_name(unsigned number, char *name)
{
    KERNEL_INT("if_indextoname", -ENXIO, if_indextoname(number, name) ? 0 : -1);
}

int asy_sys_connect(int fd, const struct sockaddr *to, socklen_t length)
{
    SOCKET(fd, "connect", -ENOBUFS, asy_sim->connect(fd, to, length), connect(fd, to, length));
}

int asy_sys_bind(int fd, const struct sockaddr *to, socklen_t length)
{
    SOCKET(fd, "bind", -EADDRINUSE, asy_sim->bind(fd, to, length), bind(fd, to, length));
}

int asy_sys_listen(int fd, int backlog)
{
    SOCKET(fd, "listen", -EADDRINUSE, asy_sim->listen(fd, backlog), listen(fd, backlog));
}

int asy_sys_shutdown(int fd, int how)
{
    SOCKET(fd, "shutdown", -ENOTCONN, asy_sim->shutdown(fd, how), shutdown(fd, how));
}

int asy_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
    SOCKET(fd, "getsockopt", -ENOBUFS, asy_sim->getsockopt(fd, level, name, value, length),
           getsockopt(fd, level, name, value, length));
}

int asy_sys_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
    SOCKET(fd, "setsockopt", -ENOBUFS, asy_sim->setsockopt(fd, level, name, value, length),
           setsockopt(fd, level, name, value, length));
}

int asy_sys_getsockname(int fd, struct sockaddr *name, socklen_t *length)
{
    SOCKET(fd, "getsockname", -ENOBUFS, asy_sim->getsockname(fd, name, length),
           getsockname(fd, name, length));
}

/* SO_PEERNAME wants the length to be no more than the address has. */
int asy_sys_peername(int fd, struct sockaddr_storage *name)
{
    socklen_t length = sizeof *name;
    int err = asy_sys_getpeername(fd, (struct sockaddr *)name, &length);
    if (err != -ENOTCONN)
        return err;
    length = sizeof(struct sockaddr_in);
    err = asy_sys_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, name, &length);
    length = sizeof(struct sockaddr_in6);
    if (!err && name->ss_family == AF_INET6)
        err = asy_sys_getsockopt(fd, SOL_SOCKET, SO_PEERNAME, name, &length);
    return err;
}

int asy_sys_getpeername(int fd, struct sockaddr *name, socklen_t *length)
{
    SOCKET(fd, "getpeername", -ENOBUFS, asy_sim->getpeername(fd, name, length),
           getpeername(fd, name, length));
}

int asy_sys_untaken(int fd)
{
    if (ASY_FAULT("ioctl"))
        return -ENOTTY;
    if (ASY_SEAM() && asy_sim_has(fd))
        return asy_sim->untaken(fd);
    int saved = errno, bytes = 0;
    int result = ioctl(fd, SIOCOUTQ, &bytes) < 0 && ioctl(fd, FIONREAD, &bytes) < 0 ? -errno : bytes;
    errno = saved;
    return result;
}

/* For calls with a path, which may be a socket's of a simulated world. */
#define PATH(name, fault, simulated, call)                                                                   \
    do {                                                                                                     \
        if (ASY_FAULT(name))                                                                                 \
            return (fault);                                                                                  \
        int result = ASY_SEAM() && asy_sim ? (simulated) : 1;                                                \
        if (result <= 0)                                                                                     \
            return result;                                                                                   \
        int saved = errno;                                                                                   \
        return (int)kernel_result((call), saved);                                                            \
    } while (0)

int asy_sys_stat(const char *path, struct stat *status)
{
    PATH("stat", -EACCES, asy_sim->stat(path, status), lstat(path, status));
}

int asy_sys_unlink(const char *path)
{
    PATH("unlink", -EACCES, asy_sim->unlink(path), unlink(path));
}

int asy_sys_chmod(const char *path, mode_t mode)
{
    PATH("chmod", -EPERM, asy_sim->chmod(path, mode), chmod(path, mode));
}

int asy_sys_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **result)
{
    if (ASY_SEAM() && asy_sim)
        return asy_sim->getaddrinfo(host, service, hints, result);
    return getaddrinfo(host, service, hints, result);
}

int asy_sys_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                        char *service, socklen_t service_length, int flags)
{
    if (ASY_SEAM() && asy_sim)
        return asy_sim->getnameinfo(address, length, host, host_length, service, service_length, flags);
    return getnameinfo(address, length, host, host_length, service, service_length, flags);
}

int asy_sys_socket_error(int fd)
{
    int error = 0;
    socklen_t length = sizeof error;
    int err = asy_sys_getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length);
    return err < 0 ? err : -error;
}
