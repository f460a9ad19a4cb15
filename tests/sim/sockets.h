/*
 * Sockets of a simulated world, by the calls of src/sys, and pairs of them.
 */
#ifndef TESTS_SIM_SOCKETS_H
#define TESTS_SIM_SOCKETS_H

#include "sim/in_world.h"
#include "support/net.h"
#include "sys/net.h"
#include "sys/sys.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <string.h>

static inline struct sockaddr_in address_of(const char *ip, int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    CHECK_EQUAL(inet_pton(AF_INET, ip, &address.sin_addr), 1);
    return address;
}

static inline int open_tcp(void)
{
    int fd = asy_sys_socket(AF_INET, SOCK_STREAM, 0);
    CHECK(fd > 2);
    return fd;
}

static inline int listen_at(const char *ip, int port, int backlog)
{
    struct sockaddr_in address = address_of(ip, port);
    int fd = open_tcp();
    CHECK_EQUAL(asy_sys_bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    CHECK_EQUAL(asy_sys_listen(fd, backlog), 0);
    return fd;
}

static inline int connect_to(int fd, const char *ip, int port)
{
    struct sockaddr_in address = address_of(ip, port);
    return asyncio_sock_connect(fd, (struct sockaddr *)&address, sizeof address);
}

/* A listener on a host of its own, in the calling task. */
ASYNC(listen_as, int, port, int, backlog, int *, fd)
{
    *fd = listen_at("0.0.0.0", port, backlog);
    return 0;
}

static inline int listen_on_host(const char *host, int port, int backlog)
{
    int fd = -1;
    asyncio_await(asyncio_sim_start(host, listen_as(port, backlog, &fd)));
    return fd;
}

/* Both ends of a connection from "test" to "server". */
static inline void make_pair(int fds[2])
{
    int listener = listen_on_host("server", 80, 10);
    fds[0] = open_tcp();
    CHECK_EQUAL(connect_to(fds[0], "10.0.0.2", 80), 0);
    fds[1] = asyncio_sock_accept(listener, NULL, NULL);
    CHECK(fds[1] > 2);
    asyncio_close(listener);
}

static inline void close_pair(const int fds[2])
{
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
}

static inline ssize_t send_text(int fd, const char *text)
{
    ssize_t n = asyncio_sock_sendall(fd, text, strlen(text), 0);
    return n < 0 ? n : n - (ssize_t)strlen(text);
}

static inline ssize_t receive(int fd)
{
    char block[64];
    return asyncio_sock_recv(fd, block, sizeof block, 0);
}

#endif
