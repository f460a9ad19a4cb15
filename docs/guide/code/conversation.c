/* A server that shouts, and a client that talks to it. */
#include <asyncio.h>
#include <ctype.h>
#include <stdio.h>

/* ---- The server ---- */

ASYNC(shout, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        for (ssize_t i = 0; i < n; i++)
            line[i] = (char)toupper(line[i]);
        int err = asyncio_stream_write(stream, line, n);
        if (err)
            return err;
    }
    return n; /* 0: the end; else an error. The server closes the stream. */
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return shout(stream);
}

/* ---- The client ---- */

static int talk(asyncio_stream *stream)
{
    asyncio_stream_printf(stream, "hello\n%d words\n", 2);
    int err = asyncio_stream_write_eof(stream); /* we send no more; answers may still come */
    if (err)
        return err;
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0)
        printf("client: %s", line);
    return n;
}

ASYNC(client, int, port)
{
    asyncio_stream *stream;
    int err = asyncio_open_connection("127.0.0.1", port, NULL, &stream);
    if (err)
        return err;
    err = talk(stream);
    int closing = asyncio_stream_close(stream); /* frees, whatever it returns */
    return err ? err : closing;
}

ASYNC(async_main)
{
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, NULL, &server);
    if (err)
        return err;
    err = asyncio_await(client(asyncio_server_port(server)));
    asyncio_server_release(server);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
