/* A certificate is renewed while the server runs. */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <stdio.h>

ASYNC(serve, asyncio_stream *, stream)
{
    char byte;
    return asyncio_stream_read(stream, &byte, 1);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

/* Tells whose certificate the server shows. */
ASYNC(visit, int, port, asyncio_tls_context *, tls)
{
    asyncio_connect_options options = {.tls = tls};
    asyncio_stream *stream;
    asyncio_tls_info info;
    asyncio_buffer der;
    int err = asyncio_open_connection("127.0.0.1", port, &options, &stream);
    if (err)
        return err;
    err = asyncio_stream_tls_info(stream, &info);
    if (!err)
        err = asyncio_stream_tls_peer_cert(stream, &der);
    if (!err) {
        printf("%s, %s\n", info.subject, der.length > 100 ? "in DER, too" : "?");
        asyncio_buffer_destroy(&der);
    }
    asyncio_stream_close(stream);
    return err;
}

ASYNC(async_main)
{
    asyncio_tls_context *client = NULL, *tls = NULL;
    asyncio_server *server = NULL;
    int err = asyncio_tls_context_new_client(&client);
    if (!err)
        err = asyncio_tls_context_dangerously_accept_any_cert(client); /* to look at it, and no more */
    if (!err)
        err = asyncio_tls_context_set_resumption(client, false);
    if (!err)
        err = asyncio_tls_context_new_server(&tls);
    if (!err)
        err = asyncio_tls_context_load_cert(tls, "server.pem", "server.key");
    asyncio_server_options options = {.tls = tls};
    if (!err)
        err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server);
    if (!err)
        err = asyncio_await(visit(asyncio_server_port(server), client));
    if (!err && asyncio_tls_context_reload_cert(tls, "shop.pem", "client.key")) /* they do not fit */
        printf("%s\n", asyncio_error_message());
    if (!err)
        err = asyncio_tls_context_reload_cert(tls, "shop.pem", "shop.key"); /* any thread may */
    if (!err)
        err = asyncio_await(visit(asyncio_server_port(server), client));
    asyncio_server_release(server);
    asyncio_tls_context_release(tls);
    asyncio_tls_context_release(client);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
