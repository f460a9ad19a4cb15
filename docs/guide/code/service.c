/* A service, which also runs without systemd. */
#include <asyncio.h>
#include <stdio.h>

ASYNC(say_hello, asyncio_stream *, stream)
{
    return asyncio_stream_printf(stream, "hello\n");
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return say_hello(stream);
}

/* On the socket that systemd hands over, or else on one of our own. */
static int start(asyncio_server **server)
{
    int fd, count = asyncio_listen_fds(&fd, 1, "hello");
    printf("sockets of systemd: %d\n", count);
    if (count > 0)
        return asyncio_start_server_on(fd, handler, NULL, NULL, server);
    return asyncio_start_server(handler, NULL, "127.0.0.1", 0, NULL, server);
}

ASYNC(async_main)
{
    asyncio_server *server;
    int err = start(&server);
    if (err)
        return err;
    if (asyncio_notify("READY=1") == 0)
        printf("nobody asked to be told\n");
    asyncio_timeout limit; /* a real service has none */
    asyncio_timeout_enter(&limit, 0.1);
    err = asyncio_timeout_exit(&limit, asyncio_server_serve_forever(server));
    asyncio_notify("STOPPING=1");
    asyncio_server_release(server);
    return asyncio_timeout_expired(&limit) ? 0 : err;
}

int main(void)
{
    return asyncio_main(async_main());
}
