/*
 * A relay between Unix sockets, for tests with foreign programs:
 *
 *     run-relay FROM TO
 *
 * Serves at a path, or at an abstract "@name", and connects each client to another one.
 */
#include <asyncio.h>
#include <stdio.h>

ASYNC(one_way, asyncio_stream *, from, asyncio_stream *, to)
{
    ssize_t n = asyncio_stream_copy(from, to);
    return n < 0 ? n : asyncio_stream_write_eof(to);
}

ASYNC(relay, asyncio_stream *, client, const char *, path)
{
    asyncio_stream *server;
    int err = asyncio_open_unix_connection(path, NULL, &server);
    if (err)
        return err;
    err = asyncio_gather(NULL, one_way(client, server), one_way(server, client));
    if (!err)
        return asyncio_stream_close(server);
    asyncio_stream_abort(server);
    return err;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return relay(stream, arg);
}

ASYNC(async_main, char **, argv)
{
    asyncio_server *server;
    int err = asyncio_start_unix_server(handler, argv[2], argv[1], NULL, &server);
    if (err)
        return err;
    printf("listening on %s\n", argv[1]);
    fflush(stdout);
    err = asyncio_server_serve_forever(server); /* until Ctrl-C */
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    return argc == 3 ? asyncio_main(async_main(argv)) : 2;
}
