/* A server with two certificates, and clients that trust it or refuse it. */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <stdio.h>

/* ---- The server ---- */

ASYNC(greet, asyncio_stream *, stream)
{
    asyncio_tls_info info;
    asyncio_stream_tls_info(stream, &info);
    return asyncio_stream_printf(stream, "welcome to %s, by %s\n", info.server_name, info.alpn);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return greet(stream);
}

static int make_server(asyncio_tls_context **tls)
{
    static const char *const protocols[] = {"h2", "http/1.1", NULL};
    asyncio_tls_context *shop = NULL;
    int err = asyncio_tls_context_new_server(tls);
    if (!err)
        err = asyncio_tls_context_load_cert(*tls, "server.pem", "server.key");
    if (!err)
        err = asyncio_tls_context_set_alpn(*tls, protocols);
    if (!err)
        err = asyncio_tls_context_new_server(&shop);
    if (!err)
        err = asyncio_tls_context_load_cert(shop, "shop.pem", "shop.key");
    if (!err)
        err = asyncio_tls_context_set_alpn(shop, protocols);
    if (!err)
        err = asyncio_tls_context_add_server_name(*tls, "*.shop.test", shop);
    asyncio_tls_context_release(shop); /* the other one keeps it */
    return err;
}

/* ---- The client ---- */

static void visit(int port, asyncio_tls_context *tls, const char *name)
{
    asyncio_connect_options options = {.tls = tls, .server_hostname = name};
    asyncio_stream *stream;
    char *line;
    int err = asyncio_open_connection("127.0.0.1", port, &options, &stream);
    if (err) {
        printf("%s: %s\n", asyncio_errname(err), asyncio_error_message());
        return;
    }
    if (asyncio_stream_readline(stream, &line) > 0)
        fputs(line, stdout);
    asyncio_stream_close(stream);
}

static int make_client(asyncio_tls_context **tls)
{
    static const char *const protocols[] = {"http/1.1", NULL};
    int err = asyncio_tls_context_new_client(tls);
    if (!err)
        err = asyncio_tls_context_load_ca(*tls, "ca.pem"); /* without this: the system's authorities */
    return err ? err : asyncio_tls_context_set_alpn(*tls, protocols);
}

static int visit_all(asyncio_tls_context *client, asyncio_tls_context *server)
{
    asyncio_server *listener;
    asyncio_server_options options = {.tls = server};
    int err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &listener);
    if (err)
        return err;
    int port = asyncio_server_port(listener);
    visit(port, client, "server.test");
    visit(port, client, "old.shop.test");
    visit(port, client, "elsewhere.test");
    asyncio_server_release(listener);
    return 0;
}

ASYNC(async_main)
{
    asyncio_tls_context *client = NULL, *server = NULL;
    int err = make_client(&client);
    if (!err)
        err = make_server(&server);
    if (!err)
        err = visit_all(client, server);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return err;
}

int main(void)
{
    return asyncio_main(async_main());
}
