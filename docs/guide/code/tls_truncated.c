/* A connection that ends, and one that is cut. */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <stdio.h>
#include <sys/socket.h>

/* Sends a line, then says goodbye or cuts the connection. */
ASYNC(send_some, int, fd, asyncio_tls_context *, tls, bool, says_goodbye)
{
    asyncio_connect_options options = {.tls = tls};
    asyncio_stream *stream;
    int err = asyncio_stream_from_fd(fd, &options, &stream);
    if (err)
        return err;
    err = asyncio_stream_printf(stream, "pay 1,000\n");
    if (says_goodbye)
        return asyncio_stream_close(stream);
    shutdown(asyncio_stream_fd(stream), SHUT_WR); /* as if somebody had cut the cable */
    asyncio_sleep(0.05);
    asyncio_stream_abort(stream);
    return err;
}

ASYNC(receive_all, int, fd, asyncio_tls_context *, tls)
{
    asyncio_connect_options options = {.tls = tls, .server_hostname = "server.test"};
    asyncio_stream *stream;
    char *line;
    ssize_t n = asyncio_stream_from_fd(fd, &options, &stream);
    if (n)
        return n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0)
        fputs(line, stdout);
    printf("%s\n", n ? asyncio_error_message() : "the end");
    asyncio_stream_close(stream);
    return 0;
}

ASYNC(async_main)
{
    asyncio_tls_context *client = NULL, *server = NULL;
    int err = asyncio_tls_context_new_client(&client);
    if (!err)
        err = asyncio_tls_context_load_ca(client, "ca.pem");
    if (!err)
        err = asyncio_tls_context_new_server(&server);
    if (!err)
        err = asyncio_tls_context_load_cert(server, "server.pem", "server.key");
    for (int goodbye = 1; goodbye >= 0 && !err; goodbye--) {
        int ends[2];
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
            break;
        err = asyncio_gather(NULL, receive_all(ends[0], client), send_some(ends[1], server, goodbye));
    }
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
