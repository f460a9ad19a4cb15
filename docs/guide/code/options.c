/* Options of a server and of a connection, down to the socket. */
#include <asyncio.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <stdio.h>

ASYNC(leave, asyncio_stream *, stream)
{
    return asyncio_stream_printf(stream, "bye\n");
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return leave(stream);
}

/* Any option of the socket: called before it binds, or connects. */
static int hurry(int fd, void *arg)
{
    int tos = IPTOS_LOWDELAY;
    (*(int *)arg)++;
    return setsockopt(fd, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
}

ASYNC(async_main)
{
    static int calls;
    asyncio_address addresses[] = {{"127.0.0.1", 0}, {"127.0.0.2", 0}};
    asyncio_server_options options = {.addresses = addresses, .address_count = 2, .keepalive = 60,
                                      .user_timeout = 30, .setup = hurry, .setup_arg = &calls};
    asyncio_connect_options with = {.family = AF_INET, .user_timeout = 10, .write_limit = 256 * 1024,
                                    .setup = hurry, .setup_arg = &calls};
    asyncio_server *server;
    asyncio_stream *stream;
    char *line;
    int err = asyncio_start_server(handler, NULL, NULL, 0, &options, &server);
    if (err)
        return err;
    printf("%d sockets listen\n", asyncio_server_fds(server, NULL, 0));
    err = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), &with, &stream);
    if (!err && asyncio_stream_readline(stream, &line) > 0)
        fputs(line, stdout);
    printf("%d were set up\n", calls);
    asyncio_server_release(server);
    return err ? err : asyncio_stream_close(stream);
}

int main(void)
{
    return asyncio_main(async_main());
}
