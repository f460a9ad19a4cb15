/*
 * See tls_test.h.
 */
#include "tls/tls_test.h"

asyncio_tls_context *new_client(const char *ca)
{
    asyncio_tls_context *tls = NULL;
    CHECK_EQUAL(asyncio_tls_context_new_client(&tls), 0);
    if (ca)
        CHECK_EQUAL(asyncio_tls_context_load_ca(tls, cert(ca)), 0);
    return tls;
}

asyncio_tls_context *new_server(const char *certificate)
{
    char chain[64], key[64];
    asyncio_tls_context *tls = NULL;
    snprintf(chain, sizeof chain, "%s.pem", certificate);
    snprintf(key, sizeof key, "%s.key", certificate);
    CHECK_EQUAL(asyncio_tls_context_new_server(&tls), 0);
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert(chain), cert(key)), 0);
    return tls;
}

void pair_init(struct pair *pair)
{
    *pair = (struct pair){.client_tls = new_client("ca.pem"), .server_tls = new_server("server")};
}

int connect_side(int fd, asyncio_tls_context *tls, const char *name, asyncio_stream **stream)
{
    asyncio_connect_options options = {.tls = tls, .server_hostname = name, .close_timeout = 5};
    int err = asyncio_stream_from_fd(fd, &options, stream);
    if (err)
        asyncio_close(fd);
    return err;
}

const char *last_words(void)
{
    static const char host[] = "127.0.0.1:";
    static char words[400];
    const char *message = asyncio_error_message(), *port = strstr(message, host);
    if (!port)
        return message;
    port += sizeof host - 1;
    snprintf(words, sizeof words, "%.*sPORT%s", (int)(port - message), message,
             port + strspn(port, "0123456789"));
    return words;
}

ASYNC(serve_side, struct pair *, pair)
{
    pair->server_err = connect_side(pair->fds[1], pair->server_tls, NULL, &pair->server);
    if (pair->server_err)
        snprintf(pair->server_words, sizeof pair->server_words, "%s", last_words());
    return 0;
}

void pair_connect_over(struct pair *pair, const char *name)
{
    pair->client = pair->server = NULL;
    asyncio_task *server = asyncio_create_task(serve_side(pair));
    pair->client_err = connect_side(pair->fds[0], pair->client_tls, name, &pair->client);
    char words[256];
    snprintf(words, sizeof words, "%s", asyncio_error_message());
    asyncio_await(server);
    if (pair->client_err)
        asyncio_raise(pair->client_err, "%s", words);
}

void pair_connect(struct pair *pair, const char *name)
{
    net_tcp_pair(pair->fds);
    pair_connect_over(pair, name);
}

ASYNC(close_one, asyncio_stream *, stream)
{
    return asyncio_stream_close(stream);
}

void pair_close(struct pair *pair)
{
    intptr_t results[2];
    asyncio_gather_settled(results, close_one(pair->client), close_one(pair->server));
    CHECK_EQUAL(results[0], 0);
    CHECK_EQUAL(results[1], 0);
    pair->client = pair->server = NULL;
}

void pair_destroy(struct pair *pair)
{
    pair_close(pair);
    asyncio_tls_context_release(pair->client_tls);
    asyncio_tls_context_release(pair->server_tls);
}

void check_echo(struct pair *pair)
{
    char text[8] = "";
    CHECK_EQUAL(asyncio_stream_write(pair->client, "ping", 4), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(pair->server, text, 4), 4);
    CHECK_TEXT(text, "ping");
    CHECK_EQUAL(asyncio_stream_write(pair->server, "pong!", 5), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(pair->client, text, 5), 5);
    CHECK_TEXT(text, "pong!");
}
