/*
 * stream: what does a request cost the server in processor time, with a server's streams? The same load and
 * the same yardstick as of `echo`. See echo.h.
 */
#include "echo.h"

#include <asyncio.h>
#include <sys/resource.h>

static size_t open_connections, room;
static asyncio_event somebody_came = ASYNCIO_EVENT_INIT, all_gone = ASYNCIO_EVENT_INIT;

ASYNC(serve, asyncio_stream *, stream)
{
    char block[room];
    ssize_t n;
    open_connections++;
    asyncio_event_set(&somebody_came);
    while ((n = asyncio_stream_read(stream, block, room)) > 0) {
        n = asyncio_stream_write(stream, block, (size_t)n);
        if (n < 0)
            break;
    }
    if (--open_connections == 0)
        asyncio_event_set(&all_gone);
    return n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

ASYNC(waits_for, asyncio_event *, event)
{
    return asyncio_event_wait(event);
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
        asyncio_event_clear(&somebody_came);
        asyncio_event_clear(&all_gone);
        /* Until the last of them is gone, or nobody came. */
        if (asyncio_wait_for(waits_for(&somebody_came), 5) == 0)
            asyncio_event_wait(&all_gone);
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
