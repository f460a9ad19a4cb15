/*
 * Sockets for tests: on the loopback interface, at ports that the kernel chooses.
 */
#ifndef TESTS_SUPPORT_NET_H
#define TESTS_SUPPORT_NET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* All of these abort the test program when the system refuses. */

/* A TCP listener, and its address. */
int net_listen(struct sockaddr_in *address, int backlog);
/* A TCP socket that is not connected. */
int net_tcp(void);
/* A UDP socket, bound, and its address. */
int net_udp(struct sockaddr_in *address);
/* Two ends of one TCP connection, blocking, as a program would get them. */
void net_tcp_pair(int fds[2]);
/* The same of Unix sockets of a type, and a pipe: fds[0] to read. */
void net_unix_pair(int type, int fds[2]);
void net_pipe(int fds[2]);
/* An abstract Unix address that nobody else has. */
socklen_t net_unix_address(struct sockaddr *address);

/* Small buffers, so that little fills them. */
void net_make_narrow(int fd);
/* The next close sends a reset. */
void net_reset_at_close(int fd);
bool net_is_blocking(int fd);

/* Sends bytes until no more fit, without waiting; how many. The bytes count from 0 on. */
size_t net_fill(int fd);
/* Reads whatever is there, without waiting; how many bytes. */
size_t net_drain(int fd);

/*
 * A shortage of descriptors. It is prepared before a server starts, since a ring accepts within the limit
 * that there was when it began.
 */
#define NET_FEW 512
struct net_shortage {
    struct rlimit before;
    int taken[NET_FEW];
    size_t count;
};
void net_prepare_shortage(struct net_shortage *shortage);
/* None is left, and there are some again; the limit goes with the end. */
void net_begin_shortage(struct net_shortage *shortage);
void net_end_shortage(struct net_shortage *shortage);

/* How many registrations of `fd` the running loop's epoll has; of all descriptors but its own, if fd < 0. */
int net_registrations(int fd);
/* A poll of the loop in the middle of a task's step: events are told, tasks that they wake do not run yet. */
struct asyncio_loop;
void net_poll(struct asyncio_loop *loop);

#endif
