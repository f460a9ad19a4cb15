/*
 * echo: what does a request cost the server in processor time? A task for each
 * connection, which receives and sends with the sock_ calls. See echo.h.
 */
#include "echo.h"

#include <asyncio.h>
#include <sys/resource.h>

static size_t open_connections, room;
static asyncio_event all_gone = ASYNCIO_EVENT_INIT;

ASYNC(serve, int, fd)
{
    char block[room];
    ssize_t n;
    while ((n = asyncio_sock_recv(fd, block, room, 0)) > 0) {
        n = asyncio_sock_sendall(fd, block, (size_t)n, 0);
        if (n < 0)
            break;
    }
    asyncio_close(fd);
    if (--open_connections == 0)
        asyncio_event_set(&all_gone);
    return n;
}

ASYNC(accept_all, int, listener)
{
    for (;;) {
        int fd = asyncio_sock_accept(listener, NULL, NULL);
        if (fd < 0)
            return fd;
        echo_no_delay(fd);
        open_connections++;
        asyncio_release(asyncio_create_task(serve(fd)));
    }
}

ASYNC(async_main, char *const *, variants)
{
    for (; *variants; variants++) {
        int port, listener = echo_listen(&port);
        room = echo_room(*variants);
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

/* The end of a connection is a reset. */
static void ignore(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    asyncio_runner runner;
    BENCH_CHECK(argc > 2 && asyncio_runner_init(&runner, NULL) == 0);
    asyncio_loop_set_exception_handler(asyncio_runner_get_loop(&runner), ignore, NULL);
    BENCH_CHECK(asyncio_runner_run(&runner, async_main(argv + 2)) == 0);
    return asyncio_runner_close(&runner) != 0;
}
