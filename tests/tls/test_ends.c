/*
 * How TLS ends: goodbyes, and peers that say none; what is no TLS at all; timeouts;
 * cancels and failures in each place.
 */
#include "sys/sys.h"
#include "tls/tls_test.h"

/* ---- Goodbyes --------------------------------------------------------------------------------- */

/* The connection ends without one: an attacker may have cut it. */
ASYNC_TEST(truncated)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        char text[8] = "", *line;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, ASYNCIO_TLS_DEFAULT,
                                                     (asyncio_tls_version)version),
                    0);
        pair_connect(&pair, "server.test");
        check_echo(&pair);
        CHECK_EQUAL(asyncio_stream_write(pair.server, "abc", 3), 0);
        CHECK_EQUAL(shutdown(asyncio_stream_fd(pair.server), SHUT_WR), 0);
        CHECK_EQUAL(asyncio_stream_readexactly(pair.client, text, 3), 3);
        CHECK_TEXT(text, "abc");
        for (int i = 0; i < 2; i++) {
            CHECK_EQUAL(asyncio_stream_readline(pair.client, &line), ASYNCIO_ETLS);
            CHECK_TEXT(asyncio_error_message(), "TLS: truncated: the connection ended without a goodbye "
                                                "(close_notify) (server.test)");
        }
        CHECK(!asyncio_stream_at_eof(pair.client));
        CHECK_EQUAL(asyncio_stream_write(pair.client, "x", 1), ASYNCIO_ETLS);
        CHECK_EQUAL(asyncio_stream_close(pair.client), ASYNCIO_ETLS);
        asyncio_stream_abort(pair.server);
        pair.client = pair.server = NULL;
        pair_destroy(&pair);
    }
    return 0;
}

/* Unless that is said to be all right; in the handshake it never is. */
ASYNC_TEST(truncation_accepted)
{
    struct pair pair;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_truncation(pair.client_tls), 0);
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_truncation(NULL), -EINVAL);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(asyncio_stream_write(pair.server, "x", 1), 0);
    CHECK_EQUAL(shutdown(asyncio_stream_fd(pair.server), SHUT_WR), 0);
    char c;
    CHECK_EQUAL(asyncio_stream_read(pair.client, &c, 1), 1);
    CHECK_EQUAL(asyncio_stream_read(pair.client, &c, 1), 0);
    CHECK(asyncio_stream_at_eof(pair.client));
    CHECK_EQUAL(asyncio_stream_write(pair.client, "y", 1), 0);
    CHECK_EQUAL(asyncio_stream_close(pair.client), 0);
    asyncio_stream_abort(pair.server);
    pair.client = pair.server = NULL;
    int fds[2];
    net_tcp_pair(fds);
    close(fds[1]);
    CHECK_EQUAL(connect_side(fds[0], pair.client_tls, "server.test", &pair.client), -ECONNRESET);
    pair_destroy(&pair);
    return 0;
}

ASYNC(close_later, asyncio_stream *, stream)
{
    return asyncio_stream_close(stream);
}

ASYNC(read_one, asyncio_stream *, stream)
{
    char c;
    return asyncio_stream_read(stream, &c, 1);
}

/* A peer that does not answer is waited for, for so long. */
ASYNC_TEST(silent_peer)
{
    struct pair pair;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(pair.client_tls, 0, 0.05), 0);
    pair_connect(&pair, "server.test");
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_stream_close(pair.client), -ETIMEDOUT);
    CHECK(asyncio_time() - began >= 0.05);
    CHECK(asyncio_time() - began < 5);
    pair.client = NULL;
    CHECK_EQUAL(asyncio_await(read_one(pair.server)), 0); /* a goodbye it was */
    pair_close(&pair);
    /* One that sends without end is not listened to for longer. */
    pair_connect(&pair, "server.test");
    asyncio_task *closing = asyncio_create_task(close_later(pair.client));
    static char block[100000];
    while (!asyncio_done(closing))
        if (asyncio_stream_write(pair.server, block, sizeof block))
            asyncio_sleep(0.001);
    CHECK_EQUAL(asyncio_await(closing), -ETIMEDOUT);
    asyncio_stream_abort(pair.server);
    pair.client = pair.server = NULL;
    /* And with no time at all not waited for. */
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(pair.client_tls, 0, -1), 0);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(asyncio_stream_close(pair.client), 0);
    pair.client = NULL;
    CHECK_EQUAL(asyncio_await(read_one(pair.server)), 0);
    pair_destroy(&pair);
    return 0;
}

/* What is queued is sent first; a reader in the way leaves. */
ASYNC_TEST(close_with_reader)
{
    struct pair pair;
    pair_init(&pair);
    net_tcp_pair(pair.fds);
    net_make_narrow(pair.fds[0]);
    net_make_narrow(pair.fds[1]);
    pair_connect_over(&pair, "server.test");
    static char block[150000], back[150000];
    for (size_t i = 0; i < sizeof block; i++)
        block[i] = (char)(i * 11);
    asyncio_task *reader = asyncio_create_task(read_one(pair.client));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_stream_write(pair.client, block, sizeof block), 0);
    asyncio_task *closing = asyncio_create_task(close_later(pair.client));
    CHECK_EQUAL(asyncio_stream_readexactly(pair.server, back, sizeof back), sizeof back);
    CHECK_EQUAL(memcmp(block, back, sizeof back), 0);
    CHECK_EQUAL(asyncio_await(read_one(pair.server)), 0);
    CHECK_EQUAL(asyncio_await(reader), -EBADF);
    CHECK(!asyncio_done(closing)); /* waits for the server's goodbye */
    CHECK_EQUAL(asyncio_stream_close(pair.server), 0);
    CHECK_EQUAL(asyncio_await(closing), 0);
    pair.client = pair.server = NULL;
    pair_destroy(&pair);
    return 0;
}

/* Aborted: no goodbye. */
ASYNC_TEST(aborted)
{
    struct pair pair;
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    asyncio_task *reader = asyncio_create_task(read_one(pair.client));
    asyncio_sleep(0);
    asyncio_stream_abort(pair.client);
    CHECK_EQUAL(asyncio_await(reader), -EBADF);
    CHECK_EQUAL(asyncio_await(read_one(pair.server)), -ECONNRESET);
    asyncio_stream_abort(pair.server);
    pair.client = pair.server = NULL;
    pair_destroy(&pair);
    return 0;
}

/* ---- What is no TLS ----------------------------------------------------------------------------- */

/* The server's side of a handshake whose other side says `text`. */
static int hear(const char *text, size_t n, bool ends)
{
    asyncio_tls_context *tls = new_server("server");
    asyncio_stream *stream = NULL;
    int fds[2];
    net_tcp_pair(fds);
    CHECK_EQUAL(send(fds[0], text, n, 0), n);
    if (ends)
        shutdown(fds[0], SHUT_WR);
    int err = connect_side(fds[1], tls, NULL, &stream);
    CHECK(!stream);
    close(fds[0]);
    asyncio_tls_context_release(tls);
    return err;
}

ASYNC_TEST(garbage)
{
    static const char http[] = "GET / HTTP/1.1\r\nHost: server.test\r\n\r\n";
    CHECK_EQUAL(hear(http, sizeof http - 1, false), ASYNCIO_ETLS);
    CHECK_TEXT(last_words(), "TLS: http request (127.0.0.1:PORT)");
    CHECK_EQUAL(hear("garbage, garbage", 16, false), ASYNCIO_ETLS);
    CHECK_TEXT(last_words(), "TLS: wrong version number (127.0.0.1:PORT)");
    CHECK_EQUAL(hear("\x16\x03\x01\x02", 4, true), -ECONNRESET);
    CHECK_TEXT(last_words(), "TLS: the peer closed the connection during the handshake (127.0.0.1:PORT)");
    CHECK_EQUAL(hear("", 0, true), -ECONNRESET);
    unsigned seed = 1;
    for (int i = 0; i < (is_slow_build() ? 50 : 500); i++) {
        char block[200];
        for (size_t k = 0; k < sizeof block; k++)
            block[k] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        if (i % 2)
            memcpy(block, "\x16\x03\x01\x00\xb0\x01\x00\x00\xac\x03\x03", 11); /* a hello, at first sight */
        int err = hear(block, sizeof block, true);
        CHECK(err == ASYNCIO_ETLS || err == -ECONNRESET);
    }
    return 0;
}

/* A record is changed on its way. */
ASYNC_TEST(forged)
{
    struct pair pair;
    int front[2];
    char block[4096];
    pair_init(&pair);
    net_unix_pair(SOCK_STREAM, front);
    net_unix_pair(SOCK_STREAM, pair.fds);
    pair_connect_over(&pair, "server.test");
    CHECK_EQUAL(asyncio_stream_write(pair.client, "secret", 6), 0);
    /* What the server has not read yet is taken, changed, and put back by way of the other end. */
    ssize_t n = recv(asyncio_stream_fd(pair.server), block, sizeof block, MSG_DONTWAIT);
    CHECK(n > 20);
    block[n - 1] ^= 1;
    CHECK_EQUAL(send(asyncio_stream_fd(pair.client), block, (size_t)n, 0), n);
    CHECK_EQUAL(asyncio_await(read_one(pair.server)), ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(), "TLS: decryption failed or bad record mac");
    CHECK_EQUAL(asyncio_await(read_one(pair.client)), ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(), "TLS: the peer refuses: bad record mac (server.test)");
    asyncio_stream_abort(pair.client);
    asyncio_stream_abort(pair.server);
    pair.client = pair.server = NULL;
    pair_destroy(&pair);
    close(front[0]);
    close(front[1]);
    return 0;
}

/* ---- Timeouts and cancels ------------------------------------------------------------------------ */

ASYNC_TEST(handshake_timeout)
{
    asyncio_tls_context *tls = new_client("ca.pem");
    asyncio_stream *stream = NULL;
    int fds[2];
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(tls, 0.05, 0), 0);
    net_tcp_pair(fds);
    double began = asyncio_time();
    CHECK_EQUAL(connect_side(fds[0], tls, "server.test", &stream), -ETIMEDOUT);
    CHECK_TEXT(asyncio_error_message(), "TLS: the handshake took longer than 0.05 seconds (server.test)");
    CHECK(asyncio_time() - began >= 0.05);
    close(fds[1]);
    asyncio_tls_context_release(tls);
    return 0;
}

/* Writes, reads, ends and a second handshake in the middle of one are refused; it can be closed. */
ASYNC(start_on, asyncio_stream *, stream, asyncio_tls_context *, tls)
{
    return asyncio_stream_start_tls(stream, tls, "server.test");
}

ASYNC_TEST(in_the_middle)
{
    asyncio_tls_context *tls = new_client("ca.pem");
    for (int cancels = 0; cancels < 2; cancels++) {
        asyncio_stream *stream;
        asyncio_tls_info info;
        char c;
        int fds[2];
        net_tcp_pair(fds);
        CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
        asyncio_task *task = asyncio_create_task(start_on(stream, tls));
        asyncio_sleep(0.001);
        CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), ASYNCIO_ESTATE);
        CHECK_EQUAL(asyncio_stream_read(stream, &c, 1), ASYNCIO_ESTATE);
        CHECK_EQUAL(asyncio_stream_write_eof(stream), ASYNCIO_ESTATE);
        CHECK_EQUAL(asyncio_stream_start_tls(stream, tls, "server.test"), ASYNCIO_ESTATE);
        CHECK_EQUAL(asyncio_stream_tls_info(stream, &info), ASYNCIO_ESTATE);
        if (cancels) {
            asyncio_cancel(task);
            CHECK_EQUAL(asyncio_await(task), -ECANCELED);
            CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), -ECONNABORTED);
            CHECK_EQUAL(asyncio_stream_read(stream, &c, 1), -ECONNABORTED);
            CHECK_EQUAL(asyncio_stream_close(stream), -ECONNABORTED);
        } else {
            CHECK_EQUAL(asyncio_stream_close(stream), 0);
            CHECK_EQUAL(asyncio_await(task), -EBADF);
        }
        close(fds[1]);
    }
    asyncio_tls_context_release(tls);
    return 0;
}

/* A conversation, from contexts to goodbyes, of which any part may fail. There is more to say than the
 * connection takes at once. */
#define SAID_BYTES 30000

static ssize_t say(asyncio_stream *stream)
{
    static const char block[SAID_BYTES / 2];
    int err = 0;
    for (size_t said = 0; said < SAID_BYTES && !err; said += sizeof block)
        err = asyncio_stream_write(stream, block, sizeof block);
    return err ? err : asyncio_stream_drain(stream);
}

static ssize_t hear_all(asyncio_stream *stream)
{
    char block[SAID_BYTES];
    return asyncio_stream_readexactly(stream, block, sizeof block);
}

ASYNC(other_side, int *, fd, asyncio_tls_context *, tls)
{
    asyncio_stream *stream;
    int own = *fd;
    *fd = -1;
    int err = connect_side(own, tls, NULL, &stream);
    if (err)
        return err;
    ssize_t n = hear_all(stream);
    if (n > 0)
        n = say(stream);
    int closed = asyncio_stream_close(stream);
    return n < 0 ? n : closed;
}

static intptr_t talk(int fd, asyncio_tls_context *tls)
{
    asyncio_stream *stream;
    int err = connect_side(fd, tls, "server.test", &stream);
    if (err)
        return err;
    ssize_t n = say(stream);
    if (n == 0)
        n = hear_all(stream);
    int closed = asyncio_stream_close(stream);
    return n < 0 ? n : closed;
}

ASYNC(main_conversation)
{
    /* Of two of whom one has failed the other waits for so long; and where none fails, for the machine. */
    double handshake_s = asy_fault_is_armed() && !is_slow_build() ? 0.5 : asy_fault_is_armed() ? 5 : 20;
    asyncio_tls_context *client = NULL, *server = NULL, *site = NULL;
    int err = asyncio_tls_context_new_client(&client);
    if (!err)
        err = asyncio_tls_context_load_ca(client, cert("ca.pem"));
    if (!err)
        err = asyncio_tls_context_set_alpn(client, (const char *const[]){"h2", NULL});
    if (!err)
        err = asyncio_tls_context_new_server(&server);
    if (!err)
        err = asyncio_tls_context_load_cert(server, cert("server.pem"), cert("server.key"));
    if (!err)
        err = asyncio_tls_context_new_server(&site);
    if (!err)
        err = asyncio_tls_context_load_cert(site, cert("server.pem"), cert("server.key"));
    if (!err)
        err = asyncio_tls_context_add_server_name(server, "server.test", site);
    asyncio_tls_context_release(site);
    if (!err)
        err = asyncio_tls_context_set_timeouts(client, handshake_s, 0.02);
    if (!err)
        err = asyncio_tls_context_set_timeouts(server, handshake_s, 0.02);
    intptr_t result = err;
    if (!err) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        net_make_narrow(fds[0]);
        net_make_narrow(fds[1]);
        asyncio_task *other = asyncio_create_task(other_side(&fds[1], server));
        result = talk(fds[0], client);
        asyncio_cancel(other);
        intptr_t ignored;
        asyncio_shield_scope shield;
        asyncio_shield_scope_enter(&shield);
        asyncio_join(other, &ignored);
        asyncio_shield_scope_exit(&shield);
        if (fds[1] >= 0)
            close(fds[1]); /* its task never began */
    }
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return result;
}

static void check_conversation(intptr_t result, unsigned suspension)
{
    CHECK(result == 0 || (suspension && result == -ECANCELED));
}

TEST(cancel_sweep)
{
    sweep_cancels(main_conversation, check_conversation);
}

TEST(failure_sweep)
{
    sweep_failures(main_conversation);
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
