/*
 * Sockets: the waiting twins of the system calls, with their parameters. See fdio.h for what they share.
 * (loop.sock_recv and so on)
 */
#ifndef ASYNCIO_SOCKETS_H
#define ASYNCIO_SOCKETS_H

#include <asyncio/fdio.h>
#include <sys/socket.h>

ASYNCIO_BEGIN_DECLS

/*
 * Receive the bytes or the datagram that came, and wait while there is none; 0 at the end of a stream.
 * `flags` are recv(2)'s. A length above SSIZE_MAX is -EINVAL, here and in the calls below.
 *
 * MSG_WAITALL on a stream of bytes receives all n. Fewer mean that the connection has ended or failed, or
 * that the task was cancelled meanwhile; the request then stays pending, and no byte is lost. recvmsg
 * refuses the flag: -EOPNOTSUPP. MSG_ERRQUEUE waits for an error, MSG_OOB for urgent data that is
 * announced, and MSG_PEEK for bytes beyond SO_PEEK_OFF; none of them waits behind tasks that receive.
 */
ASYNCIO_API ssize_t asyncio_sock_recv(int fd, void *buf, size_t n, int flags);
ASYNCIO_API ssize_t asyncio_sock_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *from,
                                          socklen_t *length);
ASYNCIO_API ssize_t asyncio_sock_recvmsg(int fd, struct msghdr *message, int flags);
/* Send what fits now, as send(2), sendto(2) and sendmsg(2), and return the number of bytes. A peer that is
 * gone is -EPIPE, without a signal. */
ASYNCIO_API ssize_t asyncio_sock_send(int fd, const void *buf, size_t n, int flags);
ASYNCIO_API ssize_t asyncio_sock_sendto(int fd, const void *buf, size_t n, int flags,
                                        const struct sockaddr *to, socklen_t length);
ASYNCIO_API ssize_t asyncio_sock_sendmsg(int fd, const struct msghdr *message, int flags);

/* Sends all n bytes on a socket and returns n. After an error or a cancel a part may have been sent.
 * (sock_sendall) */
ASYNCIO_API ssize_t asyncio_sock_sendall(int fd, const void *buf, size_t n, int flags);

/* Accepts a connection, as accept(2). The new descriptor is non-blocking and close-on-exec. The call skips
 * connections that ended before they were accepted. It waits for a connection also where no descriptor is
 * left, and returns -EMFILE and the like once there is one. A cancel loses no connection. (sock_accept) */
ASYNCIO_API int asyncio_sock_accept(int fd, struct sockaddr *peer, socklen_t *length);

/* Connects a socket, as connect(2), and waits until that has succeeded or failed. 0 or the error. After an
 * error the socket is useless: close it. After a cancel the kernel goes on connecting: close the socket, or
 * call again to wait for the outcome. (sock_connect) */
ASYNCIO_API int asyncio_sock_connect(int fd, const struct sockaddr *to, socklen_t length);

/* Sends a file on a socket, as sendfile(2), until `count` bytes of `in` are sent or its end is reached, and
 * returns how many were sent. `offset` NULL means from the file's position. Reads and sends where the
 * kernel has no sendfile. After an error *offset, or the position, tells how far the call came. If `in` is
 * a pipe or a socket, bytes that were read from it and could not be sent are lost. (sock_sendfile) */
ASYNCIO_API ssize_t asyncio_sock_sendfile(int fd, int in, off_t *offset, size_t count);

ASYNCIO_END_DECLS

#endif
