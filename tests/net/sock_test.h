/*
 * What the tests of sockets share: runs, and coroutines that receive, accept and connect.
 */
#ifndef TESTS_NET_SOCK_TEST_H
#define TESTS_NET_SOCK_TEST_H

#include "asyncio.h"
#include "core/loop.h"
#include "fd/fd_table.h"
#include "support/harness.h"
#include "support/net.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

static inline void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

static inline void close_pair(const int fds[2])
{
    asyncio_close(fds[0]);
    asyncio_close(fds[1]);
}

static inline struct sockaddr *generic(struct sockaddr_in *address)
{
    return (struct sockaddr *)address;
}

ASYNC(recv_text, int, fd, char *, text, size_t, size, int, flags)
{
    memset(text, 0, size);
    return asyncio_sock_recv(fd, text, size - 1, flags);
}

ASYNC(accept_later, int, listener)
{
    return asyncio_sock_accept(listener, NULL, NULL);
}

ASYNC(connect_later, int, fd, const struct sockaddr *, to, socklen_t, length)
{
    return asyncio_sock_connect(fd, to, length);
}

#endif
