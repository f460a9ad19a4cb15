/*
 * Descriptors and sockets, entered through the same seam as everything else (sys.h): the kernel's own
 * parameters, a value >= 0 or a negative errno, errno untouched.
 */
#ifndef ASY_SYS_NET_H
#define ASY_SYS_NET_H

#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

/* What kind of file a descriptor refers to, as far as waiting is concerned. */
enum asy_fd_kind {
    ASY_FD_POLLABLE,     /* a socket, a pipe: may be made non-blocking */
    ASY_FD_SHARED,       /* a terminal, stdin, stdout, stderr: others see the same flags */
    ASY_FD_ALWAYS_READY, /* a regular file, a directory: never waited for */
    ASY_FD_KINDS = 3,
    /* And of what it is, besides. */
    ASY_FD_SOCKET = 4,
    ASY_FD_TCP = 8,
    ASY_FD_TERMINAL = 16, /* a person's side of one */
    ASY_FD_HANGS_UP = 32, /* either side: when the other one is gone, its input ends by -EIO */
};

/* The kind, with what it is besides; or a negative errno. */
int asy_sys_fd_kind(int fd);
/* Sets O_NONBLOCK. */
int asy_sys_set_nonblocking(int fd);
int asy_sys_set_cloexec(int fd);
/* Opens the same terminal once more, to write, non-blocking and close-on-exec: the flags are then our own. */
int asy_sys_reopen(int fd);

ssize_t asy_sys_readv(int fd, const struct iovec *parts, int count);
ssize_t asy_sys_writev(int fd, const struct iovec *parts, int count);
/* To a pipe whose readers are gone: -EPIPE, and no SIGPIPE. */
ssize_t asy_sys_write_quietly(int fd, const void *buf, size_t n);
ssize_t asy_sys_writev_quietly(int fd, const struct iovec *parts, int count);
ssize_t asy_sys_pread(int fd, void *buf, size_t n, off_t offset);
int asy_sys_poll(struct pollfd *fds, nfds_t count, int timeout_ms);

ssize_t asy_sys_recv(int fd, void *buf, size_t n, int flags);
ssize_t asy_sys_send(int fd, const void *buf, size_t n, int flags);
ssize_t asy_sys_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *length);
ssize_t asy_sys_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
                       socklen_t length);
ssize_t asy_sys_recvmsg(int fd, struct msghdr *message, int flags);
ssize_t asy_sys_sendmsg(int fd, const struct msghdr *message, int flags);
int asy_sys_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
int asy_sys_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);
/* Raises no SIGPIPE, either. */
ssize_t asy_sys_sendfile(int out, int in, off_t *offset, size_t count);

/* Close-on-exec and non-blocking. */
int asy_sys_socket(int family, int type, int protocol);
/* Connected to each other, and blocking. They may have the numbers 0, 1 and 2. */
int asy_sys_socketpair(int fds[2]);
int asy_sys_accept(int fd, struct sockaddr *peer, socklen_t *length);
/* Of the interface with this number, IF_NAMESIZE bytes. */
int asy_sys_interface_name(unsigned number, char *name);
int asy_sys_connect(int fd, const struct sockaddr *to, socklen_t length);
int asy_sys_bind(int fd, const struct sockaddr *to, socklen_t length);
int asy_sys_listen(int fd, int backlog);
int asy_sys_shutdown(int fd, int how);
int asy_sys_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int asy_sys_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
int asy_sys_getsockname(int fd, struct sockaddr *name, socklen_t *length);
int asy_sys_getpeername(int fd, struct sockaddr *name, socklen_t *length);
/* The same, also after a reset. */
int asy_sys_peername(int fd, struct sockaddr_storage *name);
/* How many bytes the kernel has accepted and the other end has not taken: unacknowledged, or still in a
 * pipe. A negative errno where nobody can say. */
int asy_sys_untaken(int fd);
int asy_sys_stat(const char *path, struct stat *status);
int asy_sys_unlink(const char *path);
int asy_sys_chmod(const char *path, mode_t mode);
/* The pending error of a socket (SO_ERROR), which this clears: 0 or a negative errno. */
int asy_sys_socket_error(int fd);

/* As the C library's, EAI_ codes and errno included: no fault seam, since their errors are peers'. */
int asy_sys_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                        struct addrinfo **result);
int asy_sys_getnameinfo(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_length,
                        char *service, socklen_t service_length, int flags);

#endif
