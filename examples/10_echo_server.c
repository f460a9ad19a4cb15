/*
 * Echo: every client gets back what it sends.
 *
 *     10_echo_server [PORT]
 *
 * Try it: nc localhost PORT. Ctrl-C ends it: clients then have two seconds to finish.
 */
#include <asyncio.h>
#include <stdio.h>
#include <stdlib.h>

#define GRACE_S 2.0

/* One client. The server closes the stream when this has returned. */
ASYNC(echo, asyncio_stream *, stream)
{
    char buf[4096];
    ssize_t n;
    while ((n = asyncio_stream_read(stream, buf, sizeof buf)) > 0) {
        int err = asyncio_stream_write(stream, buf, (size_t)n);
        if (err)
            return err;
    }
    return n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
}

ASYNC(async_main, int, port)
{
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, "localhost", port, NULL, &server);
    if (err)
        return err;
    printf("listening on port %d\n", asyncio_server_port(server));
    fflush(stdout);
    err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER); /* until Ctrl-C */
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    asyncio_server_wait_closed(server, GRACE_S);
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    return asyncio_main(async_main(argc > 1 ? atoi(argv[1]) : 8007));
}
