/*
 * Sockets: the waiting twins of the system calls, with their parameters. See
 * fdio.h for what they share. (loop.sock_recv and so on)
 */
#ifndef ASYNCIO_SOCKETS_H
#define ASYNCIO_SOCKETS_H

#include <asyncio/fdio.h>
#include <sys/socket.h>

ASYNCIO_BEGIN_DECLS

/*
 * Receive what is there, at least something; 0 at the end of a stream. `flags` are recv(2)'s. MSG_WAITALL on
 * a stream of bytes receives all n: fewer mean that the connection has ended or failed, or that the task was
 * cancelled meanwhile; then the request stays pending, and no byte is lost (recvmsg refuses it: -EOPNOTSUPP).
 * MSG_ERRQUEUE waits for an error, MSG_OOB for urgent data that is announced, and MSG_PEEK for more than
 * SO_PEEK_OFF has passed; none of them waits behind tasks that receive. A length above SSIZE_MAX, here and
 * in all that follow, is -EINVAL.
 */
ASYNCIO_API ssize_t asyncio_sock_recv(int fd, void *buf, size_t n, int flags);
ASYNCIO_API ssize_t asyncio_sock_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                                          socklen_t *length);
ASYNCIO_API ssize_t asyncio_sock_recvmsg(int fd, struct msghdr *message, int flags);
/* Send what fits now, as send(2), sendto(2) and sendmsg(2); the number of bytes. A peer that is gone is
 * -EPIPE, without a signal. */
ASYNCIO_API ssize_t asyncio_sock_send(int fd, const void *buf, size_t n, int flags);
ASYNCIO_API ssize_t asyncio_sock_sendto(int fd, const void *buf, size_t n, int flags,
                                        const struct sockaddr *to, socklen_t length);
ASYNCIO_API ssize_t asyncio_sock_sendmsg(int fd, const struct msghdr *message, int flags);

/* Sends all n bytes on a socket; returns n. After an error or a cancel some may have been sent.
 * (sock_sendall) */
ASYNCIO_API ssize_t asyncio_sock_sendall(int fd, const void *buf, size_t n, int flags);

/* Accepts a connection, as accept(2); the new descriptor is non-blocking and close-on-exec. Errors of a
 * connection that ended before it was accepted are skipped. -EMFILE and the like once there is a connection:
 * until then it waits, as ever. A cancel loses no connection. (sock_accept) */
ASYNCIO_API int asyncio_sock_accept(int fd, struct sockaddr *peer, socklen_t *length);

/* Connects a socket, as connect(2), until it is established or failed: 0 or the error. After an error the
 * socket is of no use: close it. After a cancel the kernel goes on connecting: close it, or call again to
 * wait for that. (sock_connect) */
ASYNCIO_API int asyncio_sock_connect(int fd, const struct sockaddr *to, socklen_t length);

/* Sends a file on a socket, as sendfile(2), until `count` bytes of `in` are sent, or its end is reached;
 * returns how many were. `offset` NULL: from its position. Falls back to reading and sending where the
 * kernel cannot. After an error *offset, or the position, tells how far it came; where `in` is a pipe or a
 * socket, what was read of it and could not be sent is lost. (sock_sendfile) */
ASYNCIO_API ssize_t asyncio_sock_sendfile(int fd, int in, off_t *offset, size_t count);

ASYNCIO_END_DECLS

#endif
