/*
 * A server for tests with foreign clients:
 *
 *     tls-server CERTIFICATE KEY [CLIENTS_CA]
 *
 * Shows its port. Answers lines with themselves; "GET ..." with a page, "BIG n" with n bytes, and "quit"
 * with its goodbye. Ends when its input does. Failures of clients go to stderr. In the environment:
 * SITE_NAME and SITE_CERT, a site with a certificate of its own, in one file with its key.
 */
#include <asyncio.h>
#include <asyncio/tls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static intptr_t send_page(asyncio_stream *stream)
{
    asyncio_tls_info info;
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 2)
        continue;
    if (n < 0)
        return n;
    asyncio_stream_tls_info(stream, &info);
    return asyncio_stream_printf(stream,
                                 "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
                                 "%s %s sni=%s subject=%s\n",
                                 info.version, info.alpn, info.server_name, info.subject);
}

static intptr_t send_big(asyncio_stream *stream, size_t n)
{
    char block[10000];
    memset(block, 'x', sizeof block);
    int err = 0;
    for (; n && !err; n -= n < sizeof block ? n : sizeof block)
        err = asyncio_stream_write(stream, block, n < sizeof block ? n : sizeof block);
    return err;
}

ASYNC(serve, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        intptr_t err = 0;
        if (strncmp(line, "GET ", 4) == 0)
            return send_page(stream);
        if (strncmp(line, "quit", 4) == 0)
            return 0;
        if (strncmp(line, "BIG ", 4) == 0)
            err = send_big(stream, strtoul(line + 4, NULL, 10));
        else
            err = asyncio_stream_write(stream, line, (size_t)n);
        if (err)
            return err;
    }
    return n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serve(stream);
}

static const char *const protocols[] = {"h2", "http/1.1", NULL};

static int add_site(asyncio_tls_context *tls)
{
    asyncio_tls_context *site = NULL;
    int err = asyncio_tls_context_new_server(&site);
    if (!err)
        err = asyncio_tls_context_load_cert(site, getenv("SITE_CERT"), NULL);
    if (!err)
        err = asyncio_tls_context_set_alpn(site, protocols);
    if (!err)
        err = asyncio_tls_context_add_server_name(tls, getenv("SITE_NAME"), site);
    asyncio_tls_context_release(site);
    return err;
}

static int set_up(asyncio_tls_context **tls, char **argv)
{
    int err = asyncio_tls_context_new_server(tls);
    if (!err)
        err = asyncio_tls_context_load_cert(*tls, argv[1], argv[2]);
    if (!err)
        err = asyncio_tls_context_set_alpn(*tls, protocols);
    if (!err && argv[3]) {
        err = asyncio_tls_context_load_ca(*tls, argv[3]);
        if (!err)
            err = asyncio_tls_context_require_client_cert(*tls);
    }
    if (!err && getenv("SITE_NAME"))
        err = add_site(*tls);
    return err ? err : asyncio_tls_context_set_timeouts(*tls, 20, 5);
}

ASYNC(async_main, char **, argv)
{
    asyncio_tls_context *tls = NULL;
    asyncio_server *server;
    char c;
    int err = set_up(&tls, argv);
    asyncio_server_options options = {.tls = tls};
    if (!err)
        err = asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server);
    asyncio_tls_context_release(tls);
    if (err)
        return err;
    printf("%d\n", asyncio_server_port(server));
    fflush(stdout);
    while (asyncio_read(0, &c, 1) > 0)
        continue;
    asyncio_server_close(server);
    err = asyncio_server_wait_closed(server, 5);
    asyncio_server_release(server);
    return err;
}

int main(int argc, char **argv)
{
    return argc < 3 ? 2 : asyncio_main(async_main(argv));
}
