/* A server behind a proxy knows who its clients are. */
#include <asyncio.h>
#include <arpa/inet.h>
#include <stdio.h>

ASYNC(greet, asyncio_stream *, stream)
{
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    char host[INET_ADDRSTRLEN];
    int err = asyncio_stream_peername(stream, (struct sockaddr *)&peer, &length);
    if (err)
        return err;
    inet_ntop(AF_INET, &peer.sin_addr, host, sizeof host);
    return asyncio_stream_printf(stream, "hello, %s\n", host);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return greet(stream);
}

/* Speaks for a client whose address is 203.0.113.9. */
ASYNC(proxy, int, port)
{
    asyncio_stream *stream;
    char *line;
    int err = asyncio_open_connection("127.0.0.1", port, NULL, &stream);
    if (err)
        return err;
    asyncio_stream_printf(stream, "PROXY TCP4 203.0.113.9 192.0.2.1 40000 80\r\n");
    if (asyncio_stream_readline(stream, &line) > 0)
        fputs(line, stdout);
    return asyncio_stream_close(stream);
}

ASYNC(async_main)
{
    asyncio_server_options options = {.proxy_protocol = 1};
    asyncio_server *server;
    int err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server);
    if (err)
        return err;
    err = asyncio_await(proxy(asyncio_server_port(server)));
    asyncio_server_release(server);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
