/*
 * What the tests of servers share: a handler that echoes, servers and blocking clients, and what a client
 * sees.
 */
#ifndef TESTS_NET_SERVER_TEST_H
#define TESTS_NET_SERVER_TEST_H

#include "base/sanitizer.h"
#include "core/loop.h"
#include "fd/address.h"
#include "fd/stream_test.h"
#include "net/server.h"
#include "support/ledger.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/un.h>

static unsigned begun, ended, cancelled;

static inline void forget_counts(void)
{
    begun = ended = cancelled = 0;
}

/* Echoes line by line, until the end. */
ASYNC(echo, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    begun++;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        int err = asyncio_stream_write(stream, line, (size_t)n);
        if (err) {
            n = err;
            break;
        }
    }
    ended++;
    cancelled += n == -ECANCELED;
    return n;
}

static inline asyncio_coro *echo_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
}

/* A server on the loopback interface, at a port of its own. */
static inline asyncio_server *serve(asyncio_client_handler handler, void *arg,
                                    const asyncio_server_options *options)
{
    asyncio_server *server = NULL;
    forget_counts();
    CHECK_EQUAL(asyncio_start_server(handler, arg, "127.0.0.1", 0, options, &server), 0);
    return server;
}

/* A client, blocking, which does not wait long. */
static inline int client_at(int port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port)};
    struct timeval patience = {.tv_sec = 5};
    int fd = net_tcp();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static inline int client_of(asyncio_server *server)
{
    return client_at(asyncio_server_port(server));
}

static inline int port_of(int fd)
{
    struct sockaddr_in address = {0};
    socklen_t length = sizeof address;
    getsockname(fd, (struct sockaddr *)&address, &length);
    return ntohs(address.sin_port);
}

/* The same over Unix sockets, whose buffers are small and do not grow. */
static inline const char *unix_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "@asyncio-test-%d", (int)getpid());
    return name;
}

static inline asyncio_server *serve_unix(asyncio_client_handler handler, void *arg)
{
    asyncio_server *server = NULL;
    forget_counts();
    CHECK_EQUAL(asyncio_start_unix_server(handler, arg, unix_name(), NULL, &server), 0);
    return server;
}

static inline int unix_client(const char *path)
{
    struct sockaddr_un address;
    socklen_t length;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK_EQUAL(asy_unix_address(path, &address, &length), 0);
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, length), 0);
    return fd;
}

/* A server's life with two visitors, threads that are given its port; each wait of it waits. */
static inline intptr_t live_serving(asyncio_client_handler handler, const asyncio_server_options *options,
                                    void *(*visitor)(void *))
{
    asyncio_server *server;
    pthread_t visitors[2];
    forget_counts();
    int err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, options, &server);
    if (err)
        return err;
    int port = asyncio_server_port(server);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&visitors[i], NULL, visitor, (void *)(intptr_t)port), 0);
    for (int i = 0; i < 20 && ended < 2 && !err; i++)
        err = asyncio_sleep(0.001);
    asyncio_server_close(server);
    int status = asyncio_server_wait_closed(server, 0.001);
    asyncio_server_release(server);
    for (int i = 0; i < 2; i++)
        pthread_join(visitors[i], NULL);
    return err ? err : status;
}

/* What the peer sees next: a number of bytes, 0 for the end, or a negative error. */
static inline ssize_t seen_by(int fd)
{
    char buf[256];
    for (int i = 0; i < 2000; i++) {
        ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n < 0 ? -errno : n;
        asyncio_sleep(0.0005);
    }
    return -EAGAIN;
}

static inline void wait_for_count(const unsigned *count, unsigned value)
{
    for (int i = 0; *count != value && i < 40000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(*count, value);
}

ASYNC(wait_closed, asyncio_server *, server, double, grace)
{
    return asyncio_server_wait_closed(server, grace);
}

ASYNC(serve_forever, asyncio_server *, server)
{
    return asyncio_server_serve_forever(server);
}

/* Ends it, and frees it. */
static inline void finish(asyncio_server *server)
{
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0), 0);
    asyncio_server_release(server);
}

/* More than the buffers of a Unix socket hold. */
#define MUCH 3000000

/* Reads to the end; how many bytes came. `*error`: 0, or what ended it. */
static inline size_t drain_to_end(int client, intptr_t *error)
{
    static char block[65536];
    size_t got = 0;
    *error = 0;
    for (int i = 0; i < 4000; i++) {
        ssize_t n = recv(client, block, sizeof block, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN)) {
            *error = n ? -errno : 0;
            break;
        }
        got += n > 0 ? (size_t)n : 0;
        asyncio_sleep(n > 0 ? 0 : 0.0005);
    }
    return got;
}

#endif
