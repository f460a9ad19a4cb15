/*
 * The first yardstick of `lockstep`: an epoll loop by hand, edge-triggered. A read that fills less than the
 * buffer is the last one, and is answered from the same buffer; what does not fit is kept until there is
 * room.
 */
#include "lockstep.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_MAX 256

struct connection {
    int fd;
    size_t start, end; /* of what is kept */
    char *kept;
};

struct server {
    int epfd;
    size_t room, count;
    struct connection *connections;
    char block[LOCKSTEP_BYTES_MAX];
};

static size_t transmit(int fd, const char *data, size_t n)
{
    ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
    BENCH_CHECK(sent >= 0 || errno == EAGAIN);
    return sent < 0 ? 0 : (size_t)sent;
}

static bool flush_kept(struct connection *connection)
{
    connection->start +=
        transmit(connection->fd, connection->kept + connection->start, connection->end - connection->start);
    if (connection->start < connection->end)
        return false;
    free(connection->kept);
    connection->kept = NULL;
    return true;
}

static void keep_rest(struct connection *connection, const char *data, size_t n)
{
    connection->kept = malloc(n);
    BENCH_CHECK(connection->kept);
    memcpy(connection->kept, data, n);
    connection->start = 0;
    connection->end = n;
}

static void serve(struct server *server, struct connection *connection)
{
    if (connection->kept && !flush_kept(connection))
        return;
    for (;;) {
        ssize_t got = recv(connection->fd, server->block, server->room, 0);
        if (got <= 0)
            return;
        size_t sent = transmit(connection->fd, server->block, (size_t)got);
        if (sent < (size_t)got) {
            keep_rest(connection, server->block + sent, (size_t)got - sent);
            return;
        }
        if ((size_t)got < server->room)
            return;
    }
}

static void *open_server(const struct lockstep *set, const int *fds)
{
    struct server *server = calloc(1, sizeof *server);
    BENCH_CHECK(server);
    server->epfd = epoll_create1(EPOLL_CLOEXEC);
    server->room = lockstep_room(set);
    server->count = set->connections;
    server->connections = calloc(set->connections, sizeof *server->connections);
    BENCH_CHECK(server->connections);
    for (size_t i = 0; i < set->connections; i++) {
        struct connection *connection = &server->connections[i];
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = connection};
        connection->fd = fds[i];
        BENCH_CHECK(epoll_ctl(server->epfd, EPOLL_CTL_ADD, fds[i], &event) == 0);
    }
    return server;
}

static void step_server(void *arg)
{
    struct server *server = arg;
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(server->epfd, events, EVENTS_MAX, 0);
    for (int i = 0; i < n; i++)
        serve(server, events[i].data.ptr);
}

static void close_server(void *arg)
{
    struct server *server = arg;
    for (size_t i = 0; i < server->count; i++)
        close(server->connections[i].fd);
    close(server->epfd);
    free(server->connections);
    free(server);
}

const struct lockstep_server lockstep_epoll = {"bare", open_server, step_server, close_server};
