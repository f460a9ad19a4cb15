/* Clients that send nothing, or a line without an end, or are too many. */
#include <asyncio.h>
#include <stdio.h>
#include <string.h>

ASYNC(serve, asyncio_stream *, stream)
{
    char *line;
    intptr_t n;
    ASYNCIO_TIMEOUT(n, 0.2) /* for a whole request, not for each byte */
        n = asyncio_stream_readline(stream, &line);
    if (n < 0) {
        printf("server: %s\n", asyncio_errname(n));
        return 0; /* nothing to report */
    }
    return asyncio_stream_printf(stream, "hello %s", line);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

static int visit(const char *words)
{
    asyncio_stream *stream;
    char *line;
    int err = asyncio_open_unix_connection("limits.sock", NULL, &stream);
    if (err)
        return err;
    asyncio_stream_write(stream, words, strlen(words));
    ssize_t n = asyncio_stream_readline(stream, &line);
    printf("client: %.*s\n", n > 0 ? (int)n - 1 : 5, n > 0 ? line : "(end)");
    return asyncio_stream_close(stream);
}

ASYNC(async_main)
{
    asyncio_server *server;
    asyncio_server_options options = {.limit = 100, .max_connections = 1000};
    int err = asyncio_start_unix_server(handler, NULL, "limits.sock", &options, &server);
    if (err)
        return err;
    char endless[200];
    memset(endless, 'x', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    visit("world\n");
    visit("says nothing more");
    visit(endless);
    asyncio_server_release(server);
    return 0;
}

int main(void)
{
    return asyncio_main(async_main());
}
