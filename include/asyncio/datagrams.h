/*
 * Datagrams: UDP and Unix sockets that send and receive messages, each of them whole.
 *
 *     asyncio_datagram *dns;
 *     asyncio_address server = {"192.0.2.53", 53};
 *     int err = asyncio_open_datagram(NULL, &server, NULL, &dns);
 *     if (err)
 *         return err;
 *     ssize_t n = asyncio_datagram_send(dns, query, sizeof query);
 *     if (n >= 0)
 *         n = asyncio_datagram_recv(dns, answer, sizeof answer);
 *     asyncio_datagram_close(dns);
 *
 * A datagram socket belongs to the loop's thread and has one owner. Several tasks may receive, first come
 * first served, and several may send. A request to cancel ends a wait with -ECANCELED and loses no
 * datagram. A call that is waiting when another task closes the socket returns -EBADF.
 *
 * A connected socket (one with a remote address) hears of errors that the network reports (ICMP), such as
 * -ECONNREFUSED when nobody listens. Such an error concerns an earlier datagram. The next call of either
 * direction returns it, once, and has then neither sent nor received: repeat it, or give up.
 */
#ifndef ASYNCIO_DATAGRAMS_H
#define ASYNCIO_DATAGRAMS_H

#include <asyncio/streams.h>
#include <asyncio/types.h>
#include <sys/socket.h>

ASYNCIO_BEGIN_DECLS

struct mmsghdr; /* strict C hides sys/socket.h's */

typedef struct asyncio_datagram asyncio_datagram;

/* Options of datagram sockets: all zero means the defaults. */
typedef struct asyncio_datagram_options {
    int family; /* AF_INET, AF_INET6; 0: that of the addresses. AF_UNIX: hosts are paths ('@': abstract) */
    int reuse_port; /* SO_REUSEPORT, before the bind; default off */
    int broadcast;  /* SO_BROADCAST; default off */
    uintptr_t reserved[4];
} asyncio_datagram_options;

/*
 * Makes a socket, binds it to `local`, connects it to `remote`, and stores it in *datagram. Either address
 * may be NULL, and both if options have a family. Suspends while names are looked up. A host of NULL means
 * any address in `local`, and this host in `remote`. Port 0 in `local` means a free port (see _sockname).
 * The file of a Unix socket must not exist before the call. It stays when the socket is closed; a call that
 * fails removes it. 0; ASYNCIO_EGAI_...; -EADDRINUSE and the like; -EINVAL, -ENOMEM, -ECANCELED,
 * ASYNCIO_ENOTASK. The message says which address. (create_datagram_endpoint)
 */
ASYNCIO_API int asyncio_open_datagram(const asyncio_address *local, const asyncio_address *remote,
                                      const asyncio_datagram_options *options, asyncio_datagram **datagram);
/* Makes a datagram socket of a descriptor that the caller has made and set up. The descriptor belongs to it
 * from then on, unless the call fails. Does not wait. 0, -EBADF, -ENOTSOCK, -EINVAL, -ENOMEM,
 * ASYNCIO_ENOTASK. */
ASYNCIO_API int asyncio_datagram_from_fd(int fd, asyncio_datagram **datagram);

/*
 * Receives one datagram, of at most n bytes; suspends until there is one. _recvfrom also stores the
 * sender's address, as recvfrom(2): *length is the room for it before the call and its length after it (0:
 * a Unix socket without a name). Both may be NULL. Returns the number of bytes, 0 for an empty datagram.
 * -EMSGSIZE: the datagram was longer than n; buf has its first n bytes, the rest is lost, and the message
 * says how long it was. Other errors: those that the network reports; -ECANCELED, -EBADF, -EINVAL, -ENOMEM,
 * ASYNCIO_ENOTASK. (datagram_received, error_received)
 */
ASYNCIO_API ssize_t asyncio_datagram_recv(asyncio_datagram *datagram, void *buf, size_t n);
ASYNCIO_API ssize_t asyncio_datagram_recvfrom(asyncio_datagram *datagram, void *buf, size_t n,
                                              struct sockaddr *from, socklen_t *length);

/*
 * Sends one datagram of n bytes, which may be 0, to the remote address (_send) or to another one. Suspends
 * while the socket, or a Unix receiver, has no room. Returns n; -EMSGSIZE if it is too long to be sent;
 * -EDESTADDRREQ for _send without a remote address; -EACCES if broadcast is off; otherwise as _recv.
 * (sendto)
 */
ASYNCIO_API ssize_t asyncio_datagram_send(asyncio_datagram *datagram, const void *buf, size_t n);
ASYNCIO_API ssize_t asyncio_datagram_sendto(asyncio_datagram *datagram, const void *buf, size_t n,
                                            const struct sockaddr *to, socklen_t length);

/*
 * Receive and send batches of datagrams: recvmmsg(2) and sendmmsg(2), in one system call each. Suspend
 * until there is one datagram, or room for one, then receive or send as many as go at once. Return how
 * many: at least 1, or 0 if count is 0. As in those calls, a datagram that was longer than the room for it
 * has MSG_TRUNC in its msg_flags. If fewer than `count` went, the next call tells whether an error was the
 * reason. Errors as above.
 */
ASYNCIO_API int asyncio_datagram_recvmmsg(asyncio_datagram *datagram, struct mmsghdr *messages,
                                          unsigned count);
ASYNCIO_API int asyncio_datagram_sendmmsg(asyncio_datagram *datagram, struct mmsghdr *messages,
                                          unsigned count);

/* Tell the socket's own address and its peer's, as getsockname(2) and getpeername(2). Do not wait.
 * (get_extra_info) */
ASYNCIO_API int asyncio_datagram_sockname(asyncio_datagram *datagram, struct sockaddr *name,
                                          socklen_t *length);
ASYNCIO_API int asyncio_datagram_peername(asyncio_datagram *datagram, struct sockaddr *name,
                                          socklen_t *length);
/* Returns the descriptor, for options such as multicast groups; it stays the socket's. Does not wait.
 * -EINVAL for NULL. */
ASYNCIO_API int asyncio_datagram_fd(asyncio_datagram *datagram);

/* Closes a datagram socket, wakes the tasks that wait on it, and frees it. Does not wait. Accepts NULL. 0,
 * or close(2)'s error. (close) */
ASYNCIO_API int asyncio_datagram_close(asyncio_datagram *datagram);

ASYNCIO_END_DECLS

#endif
