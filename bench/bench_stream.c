/*
 * stream: what does a request cost the server in processor time, with a server's streams? The same load and
 * the same yardstick as of `echo`. See echo.h.
 */
#include "echo.h"

#include <asyncio.h>
#include <sys/resource.h>

static size_t open_connections, served, room;

ASYNC(serve, asyncio_stream *, stream)
{
    char block[room];
    ssize_t n;
    open_connections++;
    served++;
    while ((n = asyncio_stream_read(stream, block, room)) > 0) {
        n = asyncio_stream_write(stream, block, (size_t)n);
        if (n < 0)
            break;
    }
    open_connections--;
    return n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

ASYNC(async_main, char *const *, variants)
{
    for (; *variants; variants++) {
        int port, listener = echo_listen(&port);
        asyncio_server_options options = {.backlog = 4096};
        asyncio_server *server;
        room = echo_room(*variants);
        BENCH_CHECK(asyncio_start_server_on(listener, handler, NULL, &options, &server) == 0);
        pid_t load = echo_start_load(port, *variants);
        served = 0;
        /* Until the last of them is gone, or nobody came. */
        for (int i = 0; (served || i < 100) && (!served || open_connections); i++)
            asyncio_sleep(0.05);
        echo_end_load(load);
        asyncio_server_close(server);
        asyncio_server_wait_closed(server, 0);
        asyncio_server_release(server);
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
