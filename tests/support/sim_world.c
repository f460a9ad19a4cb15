/*
 * Has a whole test program run in a simulated world (src/sim): its main thread's calls of the C library that
 * take a socket go there, as the library's own do. Programs that have this file are linked with --wrap for
 * each of the calls below. Waits of blocking calls are not simulated: they return EAGAIN.
 */
#include "backend/backend.h"
#include "sim/draws.h"
#include "sim/world.h"
#include "support/world.h"
#include "sys/net.h"
#include "sys/world.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const asyncio_sim_options plain;
static const struct sim_plan no_chance = {.seed = 1, .limit = 0};

void test_world_renew(void)
{
    char text[64];
    if (asy_sim_world_sockets())
        return;
    asy_sim_world_end(text, sizeof text);
    if (asy_sim_world_begin(&plain))
        abort();
    asy_sim_draws_begin(&no_chance, asy_sim_world_now_ns);
}

size_t test_world_attached(int fd)
{
    return asy_sim_world_attached(fd);
}

__attribute__((constructor)) static void begin_world(void)
{
    if (asy_sim_world_begin(&plain))
        abort();
    asy_sim_draws_begin(&no_chance, asy_sim_world_now_ns);
}

/* The kernel's number as the C library's. */
static long to_errno(long result)
{
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

#define WRAP(type, name, parameters, arguments, fd, simulated)                                               \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        if (!asy_sim_has(fd))                                                                                \
            return __real_##name arguments;                                                                  \
        return (type)to_errno(simulated);                                                                    \
    }

WRAP(int, close, (int fd), (fd), fd, asy_sim->close(fd))
WRAP(int, bind, (int fd, const struct sockaddr *to, socklen_t n), (fd, to, n), fd, asy_sim->bind(fd, to, n))
WRAP(int, listen, (int fd, int backlog), (fd, backlog), fd, asy_sim->listen(fd, backlog))
WRAP(int, accept4, (int fd, struct sockaddr *to, socklen_t *n, int flags), (fd, to, n, flags), fd,
     asy_sim->accept(fd, to, n))
WRAP(int, shutdown, (int fd, int how), (fd, how), fd, asy_sim->shutdown(fd, how))
WRAP(int, getsockname, (int fd, struct sockaddr *to, socklen_t *n), (fd, to, n), fd,
     asy_sim->getsockname(fd, to, n))
WRAP(int, getpeername, (int fd, struct sockaddr *to, socklen_t *n), (fd, to, n), fd,
     asy_sim->getpeername(fd, to, n))
WRAP(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *n), (fd, level, name, value, n),
     fd, asy_sim->getsockopt(fd, level, name, value, n))
WRAP(int, setsockopt, (int fd, int level, int name, const void *value, socklen_t n),
     (fd, level, name, value, n), fd, asy_sim->setsockopt(fd, level, name, value, n))
WRAP(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), fd,
     asy_sim_receive(fd, &(struct iovec){buf, n}, 1, 0, NULL, NULL))
WRAP(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), fd,
     asy_sim_send(fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1, 0, NULL, 0))
WRAP(ssize_t, recv, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), fd,
     asy_sim_receive(fd, &(struct iovec){buf, n}, 1, flags, NULL, NULL))
WRAP(ssize_t, send, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), fd,
     asy_sim_send(fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1, flags, NULL, 0))
WRAP(ssize_t, recvfrom, (int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length),
     (fd, buf, n, flags, from, length), fd,
     asy_sim_receive(fd, &(struct iovec){buf, n}, 1, flags, from, length))
WRAP(ssize_t, sendto,
     (int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t length),
     (fd, buf, n, flags, to, length), fd,
     asy_sim_send(fd, &(struct iovec){(void *)(uintptr_t)buf, n}, 1, flags, to, length))
WRAP(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags), fd,
     asy_sim->recvmsg(fd, message, flags))
WRAP(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags), fd,
     asy_sim->sendmsg(fd, message, flags))

/* Is there in programs with a resolver of their own (resolver.h), which is asked then. */
extern const bool resolver_is_there __attribute__((weak));

int __real_asy_sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                               struct addrinfo **result);
int __wrap_asy_sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                               struct addrinfo **result);
int __wrap_asy_sim_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                               struct addrinfo **result)
{
    if (&resolver_is_there)
        return getaddrinfo(host, service, hints, result);
    return __real_asy_sim_getaddrinfo(host, service, hints, result);
}

/* Whether it is blocking is remembered as an option of no level. */
static void set_blocking(int fd, int is_blocking)
{
    if (asy_sim_has(fd))
        asy_sim->setsockopt(fd, -1, O_NONBLOCK, &is_blocking, sizeof is_blocking);
}

static int flags_of(int fd)
{
    int is_blocking = 0;
    socklen_t length = sizeof is_blocking;
    asy_sim->getsockopt(fd, -1, O_NONBLOCK, &is_blocking, &length);
    return is_blocking ? O_RDWR : O_RDWR | O_NONBLOCK;
}

int __real_asy_sys_set_nonblocking(int fd);
int __wrap_asy_sys_set_nonblocking(int fd);
int __wrap_asy_sys_set_nonblocking(int fd)
{
    int err = __real_asy_sys_set_nonblocking(fd);
    if (!err)
        set_blocking(fd, 0);
    return err;
}

int __real_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol);
int __wrap_socket(int family, int type, int protocol)
{
    if (!asy_sim || family == AF_NETLINK)
        return __real_socket(family, type, protocol);
    int fd = (int)to_errno(asy_sim->socket(family, type, protocol));
    if (!(type & SOCK_NONBLOCK))
        set_blocking(fd, 1);
    return fd;
}

int __real_accept(int fd, struct sockaddr *to, socklen_t *n);
int __wrap_accept(int fd, struct sockaddr *to, socklen_t *n);
int __wrap_accept(int fd, struct sockaddr *to, socklen_t *n)
{
    if (!asy_sim_has(fd))
        return __real_accept(fd, to, n);
    int client = (int)to_errno(asy_sim->accept(fd, to, n));
    set_blocking(client, 1);
    return client;
}

/* Within a host a connection is there at once; nothing is waited for. */
int __real_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t n)
{
    if (!asy_sim_has(fd))
        return __real_connect(fd, to, n);
    int err = asy_sim->connect(fd, to, n);
    return (int)to_errno(err == -EINPROGRESS ? asy_sys_socket_error(fd) : err);
}

int __real_socketpair(int family, int type, int protocol, int fds[2]);
int __wrap_socketpair(int family, int type, int protocol, int fds[2]);
int __wrap_socketpair(int family, int type, int protocol, int fds[2])
{
    if (!asy_sim)
        return __real_socketpair(family, type, protocol, fds);
    int err = asy_sim_world_pair(type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC), fds);
    for (int i = 0; !err && i < 2 && !(type & SOCK_NONBLOCK); i++)
        set_blocking(fds[i], 1);
    return (int)to_errno(err);
}

int __real_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    if (count != 1 || !asy_sim_has(fds->fd))
        return __real_poll(fds, count, timeout_ms);
    fds->revents = asy_sim->look(fds->fd, fds->events);
    return fds->revents != 0;
}

/* The C library has these under two names. */
#define WRAP_FCNTL(name)                                                                                     \
    int __real_##name(int fd, int command, ...);                                                             \
    int __wrap_##name(int fd, int command, ...);                                                             \
    int __wrap_##name(int fd, int command, ...)                                                              \
    {                                                                                                        \
        va_list args;                                                                                        \
        va_start(args, command);                                                                             \
        long argument = va_arg(args, long);                                                                  \
        va_end(args);                                                                                        \
        if (asy_sim_has(fd) && command == F_GETFL)                                                           \
            return flags_of(fd);                                                                             \
        if (!asy_sim_has(fd) || command != F_SETFL)                                                          \
            return __real_##name(fd, command, argument);                                                     \
        set_blocking(fd, !(argument & O_NONBLOCK));                                                          \
        return 0;                                                                                            \
    }
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

static int count_unread(int fd)
{
    static char block[1 << 20];
    ssize_t n = asy_sim_receive(fd, &(struct iovec){block, sizeof block}, 1, MSG_PEEK, NULL, NULL);
    return n > 0 ? (int)n : 0;
}

int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list args;
    va_start(args, request);
    void *argument = va_arg(args, void *);
    va_end(args);
    if (!asy_sim_has(fd))
        return __real_ioctl(fd, request, argument);
    if (request == FIONREAD)
        *(int *)argument = count_unread(fd);
    else if (request == SIOCOUTQ)
        *(int *)argument = asy_sim->untaken(fd);
    else
        return (int)to_errno(-ENOTTY);
    return 0;
}

/* All loops of the program have the world's clock. */
int __real_asy_backend_open(asyncio_backend wanted, asyncio_clock clock, struct asy_backend **out);
int __wrap_asy_backend_open(asyncio_backend wanted, asyncio_clock clock, struct asy_backend **out);
int __wrap_asy_backend_open(asyncio_backend wanted, asyncio_clock clock, struct asy_backend **out)
{
    return __real_asy_backend_open(wanted, asy_sim ? ASYNCIO_CLOCK_VIRTUAL : clock, out);
}

#define WRAP_PATH(type, name, parameters, arguments, simulated)                                              \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        int result = asy_sim ? (simulated) : 1;                                                              \
        return result == 1 ? __real_##name arguments : (type)to_errno(result);                               \
    }

WRAP_PATH(int, unlink, (const char *path), (path), asy_sim->unlink(path))
WRAP_PATH(int, lstat, (const char *path, struct stat *status), (path, status), asy_sim->stat(path, status))
WRAP_PATH(int, stat, (const char *path, struct stat *status), (path, status), asy_sim->stat(path, status))
WRAP_PATH(int, lstat64, (const char *path, struct stat64 *status), (path, status),
          asy_sim->stat(path, (struct stat *)status))
WRAP_PATH(int, stat64, (const char *path, struct stat64 *status), (path, status),
          asy_sim->stat(path, (struct stat *)status))
WRAP_PATH(int, access, (const char *path, int mode), (path, mode), asy_sim->stat(path, &(struct stat){0}))
