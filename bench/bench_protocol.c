/*
 * protocol: what does a request cost the server in processor time, with a transport and a protocol for each
 * connection? The same load and the same yardstick as of `echo`. See echo.h.
 */
#include "echo.h"

#include <asyncio.h>
#include <sys/resource.h>

static size_t open_connections;
static asyncio_event all_gone = ASYNCIO_EVENT_INIT;

struct connection {
    asyncio_transport *transport;
};

static void made(void *self, asyncio_transport *transport)
{
    ((struct connection *)self)->transport = transport;
}

static void received(void *self, const void *data, size_t n)
{
    asyncio_transport_write(((struct connection *)self)->transport, data, n);
}

static void pause_writing(void *self)
{
    asyncio_transport_pause_reading(((struct connection *)self)->transport);
}

static void resume_writing(void *self)
{
    asyncio_transport_resume_reading(((struct connection *)self)->transport);
}

/* The end of a connection is a reset. */
static void lost(void *self, intptr_t err)
{
    (void)err;
    free(self);
    if (--open_connections == 0)
        asyncio_event_set(&all_gone);
}

static const asyncio_protocol echo = {
    .connection_made = made,
    .data_received = received,
    .pause_writing = pause_writing,
    .resume_writing = resume_writing,
    .connection_lost = lost,
};

ASYNC(accept_all, int, listener)
{
    for (;;) {
        int fd = asyncio_sock_accept(listener, NULL, NULL);
        if (fd < 0)
            return fd;
        echo_no_delay(fd);
        open_connections++;
        struct connection *connection = malloc(sizeof *connection);
        BENCH_CHECK(asyncio_transport_from_fd(fd, &echo, connection, NULL, &connection->transport) == 0);
    }
}

ASYNC(async_main, char *const *, variants)
{
    for (; *variants; variants++) {
        int port, listener = echo_listen(&port);
        asyncio_task *acceptor = asyncio_create_task(accept_all(listener));
        pid_t load = echo_start_load(port, *variants);
        /* Until the last of them is gone, or nobody came. */
        BENCH_CHECK(asyncio_wait_readable(listener, 5) == 0);
        asyncio_event_clear(&all_gone);
        asyncio_event_wait(&all_gone);
        echo_end_load(load);
        asyncio_close(listener);
        asyncio_gather_settled(NULL, acceptor);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    BENCH_CHECK(argc > 2);
    return asyncio_run(async_main(argv + 2)) != 0;
}
