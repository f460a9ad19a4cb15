/*
 * A PROXY header comes before TLS, in pieces or together with the client's hello.
 */
#include "tls/tls_test.h"
#include <arpa/inet.h>

static char seen_host[64];

ASYNC(tells_peer, asyncio_stream *, stream)
{
    struct sockaddr_in peer = {0};
    socklen_t length = sizeof peer;
    asyncio_tls_info info;
    CHECK_EQUAL(asyncio_stream_tls_info(stream, &info), 0);
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&peer, &length), 0);
    inet_ntop(AF_INET, &peer.sin_addr, seen_host, sizeof seen_host);
    return asyncio_stream_write(stream, "hello", 5);
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return tells_peer(stream);
}

static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.7 5000 443\r\n";

static asyncio_server *start(asyncio_tls_context *tls)
{
    asyncio_server_options options = {.tls = tls, .proxy_protocol = 1};
    asyncio_server *server = NULL;
    CHECK_EQUAL(asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server), 0);
    return server;
}

static asyncio_stream *connect_to(asyncio_server *server)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &stream), 0);
    return stream;
}

static void finish(asyncio_server *server)
{
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 10), 0);
    asyncio_server_release(server);
}

ASYNC_TEST(before_tls)
{
    asyncio_tls_context *client = new_client("ca.pem"), *tls = new_server("server");
    asyncio_server *server = start(tls);
    for (size_t piece = 1; piece < 2 * sizeof header; piece += sizeof header) {
        char text[8] = "";
        asyncio_stream *stream = connect_to(server);
        for (size_t at = 0; at < sizeof header - 1; at += piece) {
            size_t n = piece < sizeof header - 1 - at ? piece : sizeof header - 1 - at;
            CHECK_EQUAL(asyncio_stream_write(stream, header + at, n), 0);
            asyncio_sleep(0);
        }
        *seen_host = '\0';
        CHECK_EQUAL(asyncio_stream_start_tls(stream, client, "server.test"), 0);
        CHECK_EQUAL(asyncio_stream_readexactly(stream, text, 5), 5);
        CHECK_TEXT(text, "hello");
        CHECK_TEXT(seen_host, "192.0.2.1");
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
    }
    finish(server);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(tls);
    return 0;
}

/* A hello where the header should be; and a bad handshake of a client that a header names. */
ASYNC_TEST(reports)
{
    asyncio_tls_context *client = new_client("other_ca.pem"), *tls = new_server("server");
    asyncio_server *server = start(tls);
    asyncio_stream *stream = connect_to(server);
    report_count = 0;
    CHECK(asyncio_stream_start_tls(stream, client, "server.test") < 0);
    asyncio_stream_abort(stream);
    for (int i = 0; i < 20000 && report_count < 1; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(reports[0].error, -EPROTO);
    stream = connect_to(server);
    CHECK_EQUAL(asyncio_stream_write(stream, header, sizeof header - 1), 0);
    CHECK_EQUAL(asyncio_stream_start_tls(stream, client, "server.test"), ASYNCIO_ETLS);
    asyncio_stream_abort(stream);
    for (int i = 0; i < 20000 && report_count < 2; i++)
        asyncio_sleep(0.0005);
    CHECK_TEXT(reports[1].peer, "192.0.2.1:5000");
    report_count = 0;
    finish(server);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(tls);
    return 0;
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
