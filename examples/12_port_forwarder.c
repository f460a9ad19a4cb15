/*
 * Forwards connections: each client talks to another server through here.
 *
 *     12_port_forwarder PORT HOST HOST_PORT
 *
 * Try it: 12_port_forwarder 8009 example.org 80, and curl -H 'Host: example.org' localhost:8009
 */
#include <asyncio.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_S 10.0
#define GRACE_S 2.0

/* Copies until the end of `from`, and passes that on to `to`. The other direction may go on. */
ASYNC(one_way, asyncio_stream *, from, asyncio_stream *, to)
{
    ssize_t n = asyncio_stream_copy(from, to);
    return n < 0 ? n : asyncio_stream_write_eof(to);
}

ASYNC(forward, asyncio_stream *, client, const asyncio_address *, target)
{
    asyncio_stream *server;
    int err;
    ASYNCIO_TIMEOUT(err, CONNECT_S) {
        err = asyncio_open_connection(target->host, target->port, NULL, &server);
    }
    if (err)
        return err;
    err = asyncio_gather(NULL, one_way(client, server), one_way(server, client));
    if (err) {
        asyncio_stream_abort(server);
        return err; /* the server aborts the client's stream */
    }
    return asyncio_stream_close(server);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return forward(stream, arg);
}

ASYNC(async_main, int, port, asyncio_address *, target)
{
    asyncio_server *server;
    int err = asyncio_start_server(handler, target, "localhost", port, NULL, &server);
    if (err)
        return err;
    printf("listening on port %d\n", asyncio_server_port(server));
    fflush(stdout);
    err = asyncio_server_wait_closed(server, ASYNCIO_FOREVER); /* until Ctrl-C */
    asyncio_server_close(server);
    asyncio_server_wait_closed(server, GRACE_S);
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s PORT HOST HOST_PORT\n", argv[0]);
        return 2;
    }
    asyncio_address target = {argv[2], atoi(argv[3])};
    return asyncio_main(async_main(atoi(argv[1]), &target));
}
