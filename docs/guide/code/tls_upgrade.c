/* TLS that starts in the middle of a connection; both sides show a certificate. */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <stdio.h>
#include <sys/socket.h>

static int make_context(bool server, asyncio_tls_context **tls)
{
    int err = server ? asyncio_tls_context_new_server(tls) : asyncio_tls_context_new_client(tls);
    if (!err)
        err = asyncio_tls_context_load_ca(*tls, "ca.pem");
    if (!err && server)
        err = asyncio_tls_context_load_cert(*tls, "server.pem", "server.key");
    if (!err && !server)
        err = asyncio_tls_context_load_cert(*tls, "client.pem", "client.key");
    if (!err && server)
        err = asyncio_tls_context_require_client_cert(*tls);
    return err ? err : asyncio_tls_context_set_timeouts(*tls, 5, 2); /* seconds: handshake, goodbye */
}

ASYNC(serve, asyncio_stream *, stream, asyncio_tls_context *, tls)
{
    asyncio_tls_info info;
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    if (n <= 0)
        return n;
    printf("in the clear: %s", line);
    n = asyncio_stream_start_tls(stream, tls, NULL);
    if (n == 0)
        n = asyncio_stream_readline(stream, &line);
    if (n > 0 && asyncio_stream_tls_info(stream, &info) == 0)
        printf("%s says: %s", info.subject, line);
    int closing = asyncio_stream_close(stream);
    return n < 0 ? n : closing;
}

ASYNC(ask, asyncio_stream *, stream, asyncio_tls_context *, tls)
{
    int err = asyncio_stream_printf(stream, "STARTTLS\n");
    if (!err)
        err = asyncio_stream_start_tls(stream, tls, "server.test");
    if (!err)
        err = asyncio_stream_printf(stream, "a secret\n");
    int closing = asyncio_stream_close(stream);
    return err ? err : closing;
}

ASYNC(async_main)
{
    asyncio_tls_context *client = NULL, *server = NULL;
    asyncio_stream *streams[2];
    int ends[2], err = make_context(false, &client);
    if (!err)
        err = make_context(true, &server);
    if (!err && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0) {
        asyncio_stream_from_fd(ends[0], NULL, &streams[0]);
        asyncio_stream_from_fd(ends[1], NULL, &streams[1]);
        err = asyncio_gather(NULL, ask(streams[0], client), serve(streams[1], server));
    }
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
