/*
 * The yardstick of the question `echo`: an epoll loop by hand. Each connection is registered
 * once, edge-triggered; a read that fills less than the buffer is the last one, and is
 * answered from the same buffer; what does not fit is kept until there is room, and meanwhile nothing is
 * read.
 *
 * All share one buffer, which stays in the cache. With ECHO_OWN_BUFFERS in the environment each has its
 * own, as it must where a connection may wait with something in it.
 */
#include "echo.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/resource.h>

struct connection {
    int fd, ends;
    size_t start, end; /* of what is kept */
    char *kept;
    char *block;
};

static char shared_block[ECHO_BYTES_MAX];
static int own_blocks;
static struct connection *listener;
static size_t open_connections, served, room;

static void finish(struct connection *connection)
{
    close(connection->fd);
    free(connection->kept);
    if (own_blocks)
        free(connection->block);
    free(connection);
    open_connections--;
}

/* Sends what fits. -1: over. */
static ssize_t transmit(int fd, const char *data, size_t n)
{
    ssize_t sent = send(fd, data, n, MSG_NOSIGNAL);
    return sent < 0 && errno == EAGAIN ? 0 : sent;
}

/* False while something is kept, or when the connection is over. */
static int flush_kept(struct connection *connection)
{
    ssize_t sent =
        transmit(connection->fd, connection->kept + connection->start, connection->end - connection->start);
    if (sent < 0) {
        finish(connection);
        return 0;
    }
    connection->start += (size_t)sent;
    if (connection->start < connection->end)
        return 0;
    free(connection->kept);
    connection->kept = NULL;
    return 1;
}

/* `ends`: the peer sends no more, of which there is no second event: everything is read, its end included. */
static void serve(struct connection *connection, int ends)
{
    connection->ends |= ends;
    if (connection->kept && !flush_kept(connection))
        return;
    for (;;) {
        ssize_t got = recv(connection->fd, connection->block, room, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0) {
            finish(connection);
            return;
        }
        ssize_t sent = transmit(connection->fd, connection->block, (size_t)got);
        if (sent < 0) {
            finish(connection);
            return;
        }
        if (sent < got) {
            connection->start = 0;
            connection->end = (size_t)(got - sent);
            connection->kept = malloc(connection->end);
            memcpy(connection->kept, connection->block + sent, connection->end);
            return;
        }
        if ((size_t)got < room && !connection->ends)
            return;
    }
}

static void accept_all(int epfd)
{
    int fd;
    while ((fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                    .data.ptr = connection};
        echo_no_delay(fd);
        connection->fd = fd;
        connection->block = own_blocks ? malloc(room) : shared_block;
        open_connections++;
        served++;
        epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event);
    }
}

static void serve_variant(const char *variant)
{
    struct epoll_event events[256];
    struct connection own = {0};
    int port, epfd = epoll_create1(EPOLL_CLOEXEC);
    listener = &own;
    room = echo_room(variant);
    own.fd = echo_listen(&port);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = listener};
    epoll_ctl(epfd, EPOLL_CTL_ADD, own.fd, &event);
    pid_t load = echo_start_load(port, variant);
    /* Until the last of them is gone, or nobody came. */
    for (served = 0; !served || open_connections;) {
        int n = epoll_wait(epfd, events, 256, 5000);
        if (n <= 0)
            break;
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == listener)
                accept_all(epfd);
            else
                serve(events[i].data.ptr, (events[i].events & EPOLLRDHUP) != 0);
        }
    }
    echo_end_load(load);
    close(own.fd);
    close(epfd);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    own_blocks = getenv("ECHO_OWN_BUFFERS") != NULL;
    for (int i = 2; i < argc; i++)
        serve_variant(argv[i]);
    return 0;
}
