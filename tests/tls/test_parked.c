/*
 * Parked connections with TLS: without a task and without OpenSSL's buffers. A record that has no data in it
 * is answered, and the handler is not called.
 */
#include "core/loop.h"
#include "net/server.h"
#include "tls/peer_test.h"
#include <linux/sockios.h>
#include <malloc.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* ---- OpenSSL's memory ---------------------------------------------------------------------- */

/* A record's buffer is larger than anything else that a connection has. */
#define LARGE_BYTES 16000

static size_t large_blocks;

static void *count_block(void *memory)
{
    large_blocks += memory && malloc_usable_size(memory) >= LARGE_BYTES;
    return memory;
}

static void *allocate(size_t n, const char *file, int line)
{
    (void)file;
    (void)line;
    return n ? count_block(malloc(n)) : NULL;
}

static void release(void *memory, const char *file, int line)
{
    (void)file;
    (void)line;
    large_blocks -= memory && malloc_usable_size(memory) >= LARGE_BYTES;
    free(memory);
}

static void *reallocate(void *memory, size_t n, const char *file, int line)
{
    if (n == 0) {
        release(memory, file, line);
        return NULL;
    }
    large_blocks -= memory && malloc_usable_size(memory) >= LARGE_BYTES;
    return count_block(realloc(memory, n));
}

/* ---- The server ------------------------------------------------------------------------------ */

static unsigned calls, ended, drops;
static intptr_t latest;
static char latest_words[256];

static void count_drop(void *data)
{
    (void)data;
    drops++;
}

/* Answers one line, and parks. */
ASYNC(answer_one, asyncio_stream *, stream)
{
    char *line;
    calls++;
    if (!asyncio_stream_data(stream))
        asyncio_stream_set_data(stream, &drops, count_drop);
    latest = asyncio_stream_readline(stream, &line);
    if (latest <= 0) {
        ended++;
        snprintf(latest_words, sizeof latest_words, "%s", asyncio_error_message());
        return latest;
    }
    int err = asyncio_stream_write(stream, line, (size_t)latest);
    return err ? err : ASYNCIO_PARK;
}

static asyncio_coro *answering(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer_one(stream);
}

static asyncio_server *serve(double park_timeout)
{
    asyncio_server *server = NULL;
    asyncio_tls_context *tls = new_server("server");
    asyncio_server_options options = {.tls = tls, .park_timeout = park_timeout};
    calls = ended = drops = 0;
    CHECK_EQUAL(asyncio_start_server(answering, NULL, "127.0.0.1", 0, &options, &server), 0);
    asyncio_tls_context_release(tls);
    return server;
}

static void finish(asyncio_server *server)
{
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0), 0);
    asyncio_server_release(server);
}

static void wait_for_parked(const asyncio_server *server, bool is_parked)
{
    for (int i = 0; list_is_empty(&server->parked) == is_parked && i < 40000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(!list_is_empty(&server->parked), is_parked);
}

static void wait_for_count(const unsigned *count, unsigned value)
{
    for (int i = 0; *count != value && i < 40000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(*count, value);
}

static asyncio_stream *connect_to(asyncio_server *server, asyncio_tls_context *tls)
{
    asyncio_stream *stream = NULL;
    asyncio_connect_options options = {.tls = tls, .server_hostname = "server.test"};
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), &options, &stream), 0);
    return stream;
}

static void check_answer(asyncio_stream *stream, const char *text)
{
    char *line = NULL;
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), strlen(text));
    CHECK_TEXT(line, text);
}

/* ---- Requests ---------------------------------------------------------------------------------- */

ASYNC_TEST(requests)
{
    asyncio_server *server = serve(0);
    asyncio_tls_context *tls = new_client("ca.pem");
    asyncio_stream *client = connect_to(server, tls);
    for (unsigned i = 1; i <= 5; i++) {
        CHECK_EQUAL(asyncio_stream_printf(client, "hello %u\n", i), 0);
        char text[16];
        snprintf(text, sizeof text, "hello %u\n", i);
        check_answer(client, text);
        wait_for_parked(server, true);
        CHECK_EQUAL(calls, i);
        asyncio_task *tasks[4];
        CHECK_EQUAL(asyncio_all_tasks(tasks, 4), 1);
        asyncio_stream *stream = LIST_ENTRY(server->parked.next, struct client, node)->stream;
        CHECK(!stream->in.data && !stream->out.data && !stream->wire.data);
    }
    CHECK_EQUAL(drops, 0);
    CHECK_EQUAL(asyncio_stream_close(client), 0);
    wait_for_count(&ended, 1);
    CHECK_EQUAL(latest, 0);
    wait_for_count(&drops, 1);
    asyncio_tls_context_release(tls);
    finish(server);
    return 0;
}

/* Several lines in one record, and several records at once: each call has its line. */
ASYNC_TEST(unread)
{
    asyncio_server *server = serve(0);
    asyncio_tls_context *tls = new_client("ca.pem");
    asyncio_stream *client = connect_to(server, tls);
    CHECK_EQUAL(asyncio_stream_write(client, "a\nb\nc\n", 6), 0);
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_stream_write(client, "d\n", 2), 0);
    for (int i = 0; i < 6; i++)
        check_answer(client, i < 3 ? (const char *[]){"a\n", "b\n", "c\n"}[i] : "d\n");
    wait_for_parked(server, true);
    CHECK_EQUAL(calls, 6);
    CHECK_EQUAL(asyncio_stream_close(client), 0);
    asyncio_tls_context_release(tls);
    finish(server);
    return 0;
}

/* ---- What comes is no data ------------------------------------------------------------------------ */

/* A peer that speaks when the test says so. It has asked once, and is parked. */
static void meet_parked(asyncio_server *server, struct peer *peer)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    int fd = net_tcp();
    CHECK_EQUAL(asyncio_sock_connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    peer_init(peer, fd, false, TLS1_3_VERSION);
    CHECK_EQUAL(asyncio_await(peer_shake_hands(peer)), 0);
    CHECK_EQUAL(SSL_write(peer->ssl, "hello\n", 6), 6);
    peer_send(peer);
    wait_for_parked(server, true);
    CHECK_EQUAL(calls, 1);
}

/* The next line that the peer reads. */
static void check_peer_hears(struct peer *peer, const char *text)
{
    char block[4096], line[64] = "";
    int n = 0;
    while ((n = SSL_read(peer->ssl, line, sizeof line - 1)) <= 0) {
        ERR_clear_error();
        ssize_t got = asyncio_sock_recv(peer->fd, block, sizeof block, 0);
        CHECK(got > 0);
        if (got <= 0)
            break;
        BIO_write(SSL_get_rbio(peer->ssl), block, (int)got);
    }
    CHECK_TEXT(line, text);
}

/* The server has read all that was sent, and what comes of it has happened. */
static void wait_until_taken(const struct peer *peer)
{
    int left = 1;
    for (int i = 0; left && i < 40000; i++) {
        CHECK_EQUAL(ioctl(peer->fd, SIOCOUTQ, &left), 0); /* unacknowledged: the other side has it by now */
        asyncio_sleep(0.0005);
    }
    asyncio_sleep(0.002);
}

/* The answer goes out with what the server sends next. */
ASYNC_TEST(new_keys)
{
    struct peer peer;
    asyncio_server *server = serve(0);
    meet_parked(server, &peer);
    check_peer_hears(&peer, "hello\n");
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(SSL_key_update(peer.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        CHECK_EQUAL(SSL_do_handshake(peer.ssl), 1);
        peer_send(&peer);
        wait_until_taken(&peer);
    }
    CHECK_EQUAL(calls, 1);
    wait_for_parked(server, true);
    CHECK_EQUAL(SSL_write(peer.ssl, "again\n", 6), 6);
    peer_send(&peer);
    check_peer_hears(&peer, "again\n");
    CHECK_EQUAL(calls, 2);
    peer_free(&peer);
    finish(server);
    return 0;
}

/* A record that comes byte by byte: the last one completes it. */
ASYNC_TEST(byte_by_byte)
{
    struct peer peer;
    char *data;
    asyncio_server *server = serve(0);
    meet_parked(server, &peer);
    check_peer_hears(&peer, "hello\n");
    CHECK_EQUAL(SSL_write(peer.ssl, "again\n", 6), 6);
    long n = BIO_get_mem_data(SSL_get_wbio(peer.ssl), &data);
    for (long i = 0; i < n; i++) {
        CHECK_EQUAL(calls, 1);
        CHECK_EQUAL(send(peer.fd, data + i, 1, MSG_NOSIGNAL), 1);
        asyncio_sleep(0.0005);
    }
    BIO_reset(SSL_get_wbio(peer.ssl));
    check_peer_hears(&peer, "again\n");
    CHECK_EQUAL(calls, 2);
    peer_free(&peer);
    finish(server);
    return 0;
}

ASYNC_TEST(buffers_go_back)
{
    struct peer peer;
    size_t before = large_blocks;
    asyncio_server *server = serve(0);
    meet_parked(server, &peer);
    size_t peers = 2; /* of the peer's own */
    CHECK(large_blocks <= before + peers);
    peer_free(&peer);
    finish(server);
    return 0;
}

/* ---- Ends ------------------------------------------------------------------------------------------ */

ASYNC_TEST(garbage)
{
    struct peer peer;
    asyncio_server *server = serve(0);
    meet_parked(server, &peer);
    expect_reports(1);
    CHECK_EQUAL(send(peer.fd, "GET / HTTP/1.0\r\n\r\n", 18, MSG_NOSIGNAL), 18);
    wait_for_count(&ended, 1);
    CHECK_EQUAL(latest, ASYNCIO_ETLS);
    CHECK_HAS(latest_words, "TLS: ");
    wait_for_count(&drops, 1);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ETLS);
    peer_free(&peer);
    finish(server);
    return 0;
}

ASYNC_TEST(the_peer_leaves)
{
    expect_reports(1);
    for (int how = 0; how < 3; how++) {
        struct peer peer;
        asyncio_server *server = serve(0);
        meet_parked(server, &peer);
        if (how == 0) { /* with a goodbye */
            SSL_shutdown(peer.ssl);
            peer_send(&peer);
        } else if (how == 1) { /* without: a truncated stream */
            shutdown(peer.fd, SHUT_WR);
        } else {
            net_reset_at_close(peer.fd);
            asyncio_close(peer.fd);
            peer.fd = net_tcp();
        }
        wait_for_count(&ended, 1);
        CHECK_EQUAL(latest, how == 0 ? 0 : how == 1 ? ASYNCIO_ETLS : -ECONNRESET);
        wait_for_count(&drops, 1);
        peer_free(&peer);
        finish(server);
    }
    return 0;
}

/* The client is told goodbye, and not kept waiting for. */
ASYNC_TEST(the_server_closes_them)
{
    for (int by_timeout = 0; by_timeout < 2; by_timeout++) {
        char byte;
        asyncio_server *server = serve(by_timeout ? 0.02 : 0);
        asyncio_tls_context *tls = new_client("ca.pem");
        asyncio_stream *client = connect_to(server, tls);
        CHECK_EQUAL(asyncio_stream_write(client, "hello\n", 6), 0);
        check_answer(client, "hello\n");
        if (!by_timeout) {
            wait_for_parked(server, true);
            asyncio_server_close_clients(server);
            CHECK_EQUAL(server->client_count, 0);
            CHECK_EQUAL(drops, 1);
        }
        CHECK_EQUAL(asyncio_stream_read(client, &byte, 1), 0);
        wait_for_count(&drops, 1);
        CHECK_EQUAL(calls, 1);
        CHECK_EQUAL(asyncio_stream_close(client), 0);
        asyncio_tls_context_release(tls);
        finish(server);
    }
    return 0;
}

/* ---- Sweeps ------------------------------------------------------------------------------------------ */

/* Two requests over a connection that is parked in between; nothing is left, however it ends. */
static intptr_t ask_twice(asyncio_server *server, asyncio_tls_context *tls)
{
    asyncio_connect_options options = {.tls = tls, .server_hostname = "server.test"};
    asyncio_stream *client;
    char text[8];
    intptr_t n = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), &options, &client);
    if (n)
        return n;
    for (int i = 0; i < 2 && n >= 0; i++) {
        n = asyncio_stream_write(client, "hello\n", 6);
        if (n == 0)
            n = asyncio_stream_readexactly(client, text, 6);
    }
    asyncio_stream_abort(client);
    return n < 0 ? n : 0;
}

static intptr_t live(void)
{
    asyncio_tls_context *client = NULL, *tls = NULL;
    asyncio_server *server = NULL;
    int err = asyncio_tls_context_new_client(&client);
    if (!err)
        err = asyncio_tls_context_load_ca(client, cert("ca.pem"));
    if (!err)
        err = asyncio_tls_context_new_server(&tls);
    if (!err)
        err = asyncio_tls_context_load_cert(tls, cert("server.pem"), cert("server.key"));
    asyncio_server_options options = {.tls = tls, .park_timeout = 10};
    if (!err)
        err = asyncio_start_server(answering, NULL, "127.0.0.1", 0, &options, &server);
    intptr_t result = err;
    if (!err) {
        ASYNCIO_TIMEOUT(result, 2) { /* the server may have reported its failure, and gone */
            result = ask_twice(server, client);
        }
    }
    asyncio_server_close(server);
    if (server)
        asyncio_server_wait_closed(server, 0);
    asyncio_server_release(server);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(tls);
    return result;
}

ASYNC(lives)
{
    return live();
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

TEST(cancels)
{
    sweep_cancels(lives, check_cancelled);
}

TEST(failures)
{
    sweep_failures(lives);
}

int main(void)
{
    if (!CRYPTO_set_mem_functions(allocate, reallocate, release))
        return 1;
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
