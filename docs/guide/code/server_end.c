/* A server ends, and so do its clients; one of them has failed before. */
#include <asyncio.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

ASYNC(serve, asyncio_stream *, stream)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    if (n <= 0)
        return n;
    if (strcmp(line, "fail\n") == 0)
        return asyncio_raise(-ENOENT, "there is no such page");
    int err = asyncio_sleep(strcmp(line, "short\n") == 0 ? 0.1 : 10);
    printf("%.*s: %s\n", (int)strcspn(line, "\n"), line, err ? asyncio_errname(err) : "done");
    return err;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

/* Says one thing, and waits for the end. */
ASYNC(visit, const char *, words)
{
    asyncio_stream *stream;
    char byte;
    int err = asyncio_open_unix_connection("guide.sock", NULL, &stream);
    if (err)
        return err;
    asyncio_stream_printf(stream, "%s\n", words);
    ssize_t n = asyncio_stream_read(stream, &byte, 1);
    printf("%s's visitor: %s\n", words, n ? asyncio_errname(n) : "the end");
    return asyncio_stream_close(stream);
}

ASYNC(async_main)
{
    asyncio_server *server;
    int err = asyncio_start_unix_server(handler, NULL, "guide.sock", NULL, &server);
    if (err)
        return err;
    asyncio_await(visit("fail"));
    asyncio_task *visitors[] = {asyncio_create_task(visit("short")), asyncio_create_task(visit("long"))};
    asyncio_sleep(0.05);
    asyncio_server_close(server);            /* no new clients */
    asyncio_server_wait_closed(server, 0.5); /* half a second for the present clients */
    asyncio_server_release(server);
    return asyncio_gather_array(NULL, visitors, 2);
}

int main(void)
{
    return asyncio_main(async_main());
}
