/*
 * TLS that works: what is agreed on, resumed sessions, names for servers, a start in the middle of a
 * stream, servers, and bytes in every size and both directions.
 */
#include "tls/tls_test.h"
#include <math.h>

/* ---- What is agreed on --------------------------------------------------------------------- */

static void check_alpn(const char *const *client, const char *const *server, const char *chosen)
{
    struct pair pair;
    asyncio_tls_info info;
    pair_init(&pair);
    if (client)
        CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.client_tls, client), 0);
    if (server)
        CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.server_tls, server), 0);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
    CHECK_TEXT(info.alpn, chosen);
    CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
    CHECK_TEXT(info.alpn, chosen);
    check_echo(&pair);
    pair_destroy(&pair);
}

ASYNC_TEST(alpn)
{
    static const char *const both[] = {"http/1.1", "h2", NULL}, *const newer[] = {"h2", "http/1.1", NULL};
    static const char *const other[] = {"imap", NULL};
    check_alpn(both, newer, "h2"); /* the server's choice */
    check_alpn(newer, both, "http/1.1");
    check_alpn(other, newer, "");
    check_alpn(NULL, newer, "");
    check_alpn(newer, NULL, "");
    check_alpn(NULL, NULL, "");
    return 0;
}

static void check_versions(asyncio_tls_version client, asyncio_tls_version server, const char *version)
{
    struct pair pair;
    asyncio_tls_info info;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, client, client), 0);
    CHECK_EQUAL(asyncio_tls_context_set_versions(pair.server_tls, server, ASYNCIO_TLS_DEFAULT), 0);
    pair_connect(&pair, "server.test");
    if (version) {
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        CHECK_TEXT(info.version, version);
        CHECK_HAS(info.cipher, "AES");
        CHECK(info.verified && !info.resumed);
        CHECK_TEXT(info.subject, "CN=server.test");
        CHECK_TEXT(info.server_name, "server.test");
        CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
        CHECK_TEXT(info.server_name, "server.test");
        CHECK(!info.verified && !*info.subject && !*info.fingerprint);
        check_echo(&pair);
    } else {
        CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
        CHECK_TEXT(asyncio_error_message(), "TLS: the peer refuses: protocol version (server.test)");
        CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
        CHECK_TEXT(pair.server_words, "TLS: unsupported protocol (127.0.0.1:PORT)");
    }
    pair_destroy(&pair);
}

ASYNC_TEST(versions)
{
    check_versions(ASYNCIO_TLS_1_3, ASYNCIO_TLS_DEFAULT, "TLSv1.3");
    check_versions(ASYNCIO_TLS_1_3, ASYNCIO_TLS_1_3, "TLSv1.3");
    check_versions(ASYNCIO_TLS_1_2, ASYNCIO_TLS_DEFAULT, "TLSv1.2");
    check_versions(ASYNCIO_TLS_1_2, ASYNCIO_TLS_1_3, NULL);
    return 0;
}

/* An address is no name to ask for. */
ASYNC_TEST(address)
{
    struct pair pair;
    asyncio_tls_info info;
    pair_init(&pair);
    pair_connect(&pair, "127.0.0.1");
    CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
    CHECK_TEXT(info.server_name, "");
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(info)
{
    asyncio_tls_info info;
    asyncio_stream *plain;
    int fds[2];
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &plain), 0);
    CHECK_EQUAL(asyncio_stream_tls_info(plain, &info), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_tls_info(NULL, &info), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_info(plain, NULL), -EINVAL);
    asyncio_stream_close(plain);
    close(fds[1]);
    return 0;
}

/* ---- Resumed sessions ------------------------------------------------------------------------- */

static bool resumes(struct pair *pair, const char *name)
{
    asyncio_tls_info info = {0}, other = {0};
    pair_connect(pair, name);
    CHECK_EQUAL(pair->client_err, 0);
    check_echo(pair); /* tickets come with what is read */
    CHECK_EQUAL(asyncio_stream_tls_info(pair->client, &info), 0);
    CHECK_EQUAL(asyncio_stream_tls_info(pair->server, &other), 0);
    CHECK_EQUAL(info.resumed, other.resumed);
    CHECK_TEXT(info.subject, "CN=server.test"); /* of the session */
    CHECK(info.verified);
    pair_close(pair);
    return info.resumed;
}

/* The same port each time: the connections are Unix sockets. */
static void check_resumption(asyncio_tls_version version, bool certificates)
{
    struct pair pair;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, version, version), 0);
    if (certificates) {
        CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(pair.server_tls), 0);
        const char *chain = cert("client.pem"), *key = cert("client.key");
        CHECK_EQUAL(asyncio_tls_context_load_cert(pair.client_tls, chain, key), 0);
    }
    static const struct {
        const char *name;
        bool resumed;
    } steps[] = {{"server.test", false}, {"server.test", true}, {"a.wild.test", false}, {"server.test", true},
                 {"a.wild.test", true},  {"127.0.0.1", false},  {"127.0.0.1", true}};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        net_unix_pair(SOCK_STREAM, pair.fds);
        pair_connect_over(&pair, steps[i].name);
        if (pair.client_err || pair.server_err) {
            harness_failed(__FILE__, __LINE__, "step %zu: %s, %s", i, asyncio_error_message(),
                           pair.server_words);
            break;
        }
        check_echo(&pair);
        asyncio_tls_info info;
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        CHECK_EQUAL(info.resumed, steps[i].resumed);
        CHECK(info.verified);
        pair_close(&pair);
    }
    /* Another authority: what was verified by the first counts no more. */
    CHECK_EQUAL(asyncio_tls_context_load_ca(pair.client_tls, cert("other_ca.pem")), 0);
    net_unix_pair(SOCK_STREAM, pair.fds);
    pair_connect_over(&pair, "server.test");
    asyncio_tls_info info;
    CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
    CHECK(!info.resumed);
    pair_close(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_resumption(pair.client_tls, false), 0);
    for (int i = 0; i < 2; i++) {
        net_unix_pair(SOCK_STREAM, pair.fds);
        pair_connect_over(&pair, "server.test");
        check_echo(&pair);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        CHECK(!info.resumed);
        pair_close(&pair);
    }
    pair_destroy(&pair);
}

ASYNC_TEST(resumption)
{
    check_resumption(ASYNCIO_TLS_1_2, false);
    check_resumption(ASYNCIO_TLS_1_3, false);
    check_resumption(ASYNCIO_TLS_1_2, true);
    check_resumption(ASYNCIO_TLS_1_3, true);
    /* Another port is another server. */
    struct pair pair;
    pair_init(&pair);
    CHECK(!resumes(&pair, "server.test"));
    CHECK(!resumes(&pair, "server.test"));
    pair_destroy(&pair);
    return 0;
}

/* More servers than are remembered: those used last are. */
ASYNC_TEST(many_servers)
{
    struct pair pair;
    pair_init(&pair);
    for (int round = 0; round < 2; round++) {
        int resumed = 0;
        for (int i = 0; i < 260; i++) {
            char name[32];
            asyncio_tls_info info;
            snprintf(name, sizeof name, "n%d.wild.test", i < 259 ? i : 100);
            net_unix_pair(SOCK_STREAM, pair.fds);
            pair_connect_over(&pair, name);
            check_echo(&pair);
            CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
            resumed += info.resumed;
            pair_close(&pair);
            if (is_slow_build() && i < 250)
                i += 9;
        }
        CHECK(resumed >= 1);
    }
    pair_destroy(&pair);
    return 0;
}

/* ---- A start in the middle --------------------------------------------------------------------- */

ASYNC(upgrade_server, asyncio_stream *, stream, asyncio_tls_context *, tls)
{
    char *line, word[8] = "";
    /* Up to here in the clear; the client's hello has come with it, in one piece. */
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), 9);
    CHECK_TEXT(line, "STARTTLS\n");
    int err = asyncio_stream_start_tls(stream, tls, NULL);
    if (err)
        return err;
    CHECK_EQUAL(asyncio_stream_readexactly(stream, word, 6), 6);
    CHECK_TEXT(word, "secret");
    return asyncio_stream_write(stream, "known", 5);
}

/* Passes on what one side says, the first `held` bytes and more as one piece. */
ASYNC(relay_together, int, from, int, to, size_t, held)
{
    char block[4096];
    size_t n = 0;
    for (;;) {
        ssize_t got = asyncio_read(from, block + n, sizeof block - n);
        if (got <= 0)
            return got;
        n += (size_t)got;
        if (n < held)
            continue;
        held = 0;
        ssize_t sent = asyncio_sock_sendall(to, block, n, 0);
        if (sent < 0)
            return sent;
        n = 0;
    }
}

static intptr_t upgrade(struct pair *pair, int *fds)
{
    asyncio_stream *client = NULL, *server = NULL;
    char word[8] = "";
    int err = asyncio_stream_from_fd(fds[0], NULL, &client);
    if (!err)
        err = asyncio_stream_from_fd(fds[1], NULL, &server);
    asyncio_task *other = err ? NULL : asyncio_create_task(upgrade_server(server, pair->server_tls));
    if (!err)
        err = asyncio_stream_write(client, "STARTTLS\n", 9);
    if (!err)
        err = asyncio_stream_start_tls(client, pair->client_tls, "server.test");
    if (!err)
        err = asyncio_stream_write(client, "secret", 6);
    ssize_t got = err ? err : asyncio_stream_readexactly(client, word, 5);
    if (got < 0) {
        asyncio_stream_abort(client);
        client = NULL;
    }
    if (other)
        asyncio_await(other);
    pair->client = client;
    pair->server = server;
    return got < 0 ? got : strcmp(word, "known") == 0 ? 0 : -EPROTO;
}

ASYNC_TEST(start_tls)
{
    struct pair pair;
    int front[2], back[2];
    pair_init(&pair);
    net_unix_pair(SOCK_STREAM, front);
    net_unix_pair(SOCK_STREAM, back);
    asyncio_task *there = asyncio_create_task(relay_together(front[1], back[0], 100));
    asyncio_task *and_back = asyncio_create_task(relay_together(back[0], front[1], 0));
    CHECK_EQUAL(upgrade(&pair, (int[]){front[0], back[1]}), 0);
    CHECK_EQUAL(asyncio_stream_start_tls(pair.client, pair.client_tls, "server.test"), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_start_tls(pair.client, NULL, "server.test"), -EINVAL);
    pair_destroy(&pair);
    asyncio_cancel(there);
    asyncio_cancel(and_back);
    asyncio_await(there);
    asyncio_await(and_back);
    asyncio_close(front[1]);
    asyncio_close(back[0]);
    return 0;
}

/* ---- Servers ----------------------------------------------------------------------------------- */

ASYNC(echo, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0)
        asyncio_stream_write(stream, line, (size_t)n);
    return n;
}

static asyncio_coro *serve_echo(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return echo(stream);
}

static int connect_to(asyncio_server *server, asyncio_tls_context *tls, asyncio_stream **stream)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    int fd = net_tcp();
    int err = asyncio_sock_connect(fd, (struct sockaddr *)&address, sizeof address);
    return err ? err : connect_side(fd, tls, "127.0.0.1", stream);
}

ASYNC(talk_to, asyncio_server *, server, asyncio_tls_context *, tls)
{
    asyncio_stream *stream;
    char *line;
    int err = connect_to(server, tls, &stream);
    if (err)
        return err;
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(asyncio_stream_printf(stream, "line %d\n", i), 0);
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), 7);
    }
    return asyncio_stream_close(stream);
}

ASYNC_TEST(server)
{
    struct pair pair;
    pair_init(&pair);
    asyncio_server *server;
    asyncio_server_options options = {.tls = pair.client_tls};
    CHECK_EQUAL(asyncio_start_server(serve_echo, NULL, "127.0.0.1", 0, &options, &server), -EINVAL);
    options.tls = pair.server_tls;
    CHECK_EQUAL(asyncio_start_server(serve_echo, NULL, "127.0.0.1", 0, &options, &server), 0);
    asyncio_tls_context_release(pair.server_tls); /* the server has its own reference */
    pair.server_tls = NULL;
    asyncio_task *clients[20];
    for (int i = 0; i < 20; i++)
        clients[i] = asyncio_create_task(talk_to(server, pair.client_tls));
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(asyncio_await(clients[i]), 0);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 5), 0);
    asyncio_server_release(server);
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(contexts_for_others)
{
    asyncio_tls_context *for_clients = new_client("ca.pem"), *for_servers = new_server("server");
    asyncio_server *server;
    asyncio_stream *stream;
    asyncio_server_options options = {.tls = for_clients};
    asyncio_connect_options connect_options = {.tls = for_servers};
    CHECK_EQUAL(asyncio_start_server(serve_echo, NULL, "127.0.0.1", 0, &options, &server), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "TLS: a server needs a context that was made for servers");
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", 1, &connect_options, &stream), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "TLS: a connection needs a context that was made for clients");
    asyncio_tls_context_release(for_clients);
    asyncio_tls_context_release(for_servers);
    return 0;
}

/* A client that fails is reported, one that only looks whether somebody listens is not. */
ASYNC(main_server_reports)
{
    asyncio_tls_context *suspicious = new_client("other_ca.pem"), *tls = new_server("server");
    asyncio_server *server;
    asyncio_server_options options = {.tls = tls};
    CHECK_EQUAL(asyncio_start_server(serve_echo, NULL, "127.0.0.1", 0, &options, &server), 0);
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(connect_to(server, suspicious, &stream), ASYNCIO_ETLS);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    int fd = net_tcp();
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    asyncio_sleep(0.01);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 5), 0);
    asyncio_server_release(server);
    asyncio_tls_context_release(suspicious);
    asyncio_tls_context_release(tls);
    return 0;
}

TEST(server_reports)
{
    expect_reports(1);
    CHECK_EQUAL(run(main_server_reports), 0);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ETLS);
    CHECK_HAS(reports[0].message, "the TLS handshake with a client failed");
    harness_settle();
}

/* ---- Bytes ---------------------------------------------------------------------------------------- */

static unsigned char byte_at(size_t i)
{
    return (unsigned char)(i * 7 + (i >> 8) * 13 + (i >> 16));
}

ASYNC(send_many, asyncio_stream *, stream, size_t, total)
{
    static const size_t sizes[] = {1, 100, 16384, 16385, 70000, 5, 200000, 4095};
    unsigned char *block = malloc(200000);
    int err = 0;
    for (size_t sent = 0, turn = 0; sent < total && !err; turn++) {
        size_t n = sizes[turn % 8] < total - sent ? sizes[turn % 8] : total - sent;
        for (size_t i = 0; i < n; i++)
            block[i] = byte_at(sent + i);
        struct iovec parts[] = {{block, n / 3}, {NULL, 0}, {block + n / 3, n - n / 3}};
        err = turn % 2 ? asyncio_stream_writev(stream, parts, 3) : asyncio_stream_write(stream, block, n);
        sent += n;
    }
    free(block);
    return err ? err : asyncio_stream_drain(stream);
}

ASYNC(receive_many, asyncio_stream *, stream, size_t, total)
{
    static const size_t sizes[] = {1, 60000, 300, 4096, 16384, 100000, 2, 5000};
    unsigned char *block = malloc(100000);
    ssize_t n = 1;
    size_t wrong = 0, got = 0;
    for (size_t turn = 0; got < total && n > 0; turn++) {
        size_t most = sizes[turn % 8] < total - got ? sizes[turn % 8] : total - got;
        n = turn % 3 ? asyncio_stream_read(stream, block, most)
                     : asyncio_stream_readexactly(stream, block, most);
        for (ssize_t i = 0; i < n; i++)
            wrong += block[i] != byte_at(got + (size_t)i);
        got += n > 0 ? (size_t)n : 0;
    }
    free(block);
    CHECK_EQUAL(wrong, 0);
    return n < 0 ? n : got == total ? 0 : -EPROTO;
}

static void check_both_ways(struct pair *pair, size_t total)
{
    int err = asyncio_gather(NULL, send_many(pair->client, total), receive_many(pair->server, total),
                             send_many(pair->server, total), receive_many(pair->client, total));
    CHECK_EQUAL(err, 0);
    CHECK_EQUAL(asyncio_stream_buffered(pair->client), 0);
}

ASYNC_TEST(both_ways)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, ASYNCIO_TLS_DEFAULT,
                                                     (asyncio_tls_version)version),
                    0);
        pair_connect(&pair, "server.test");
        check_both_ways(&pair, is_slow_build() ? 1000000 : 10000000);
        pair_close(&pair);
        net_tcp_pair(pair.fds);
        net_make_narrow(pair.fds[0]);
        net_make_narrow(pair.fds[1]);
        pair_connect_over(&pair, "server.test");
        check_both_ways(&pair, 60000);
        pair_destroy(&pair);
    }
    return 0;
}

ASYNC(relay_bytes, int, from, int, to)
{
    char c;
    for (;;) {
        ssize_t n = asyncio_read(from, &c, 1);
        if (n <= 0)
            return n;
        n = asyncio_sock_sendall(to, &c, 1, 0);
        if (n < 0)
            return n;
    }
}

/* Every byte of the connection comes alone. */
ASYNC_TEST(dribble)
{
    struct pair pair;
    int front[2], back[2];
    char *line;
    pair_init(&pair);
    net_tcp_pair(front);
    net_tcp_pair(back);
    asyncio_task *there = asyncio_create_task(relay_bytes(front[1], back[0]));
    asyncio_task *and_back = asyncio_create_task(relay_bytes(back[0], front[1]));
    pair.fds[0] = front[0];
    pair.fds[1] = back[1];
    pair_connect_over(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, 0);
    CHECK_EQUAL(pair.server_err, 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(asyncio_stream_printf(pair.client, "hello %d\n", i), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(pair.client), 0);
    for (int i = 0; i < 10; i++) {
        CHECK_EQUAL(asyncio_stream_readline(pair.server, &line), 8);
        CHECK_EQUAL(line[6], '0' + i);
    }
    CHECK_EQUAL(asyncio_stream_readline(pair.server, &line), 0);
    /* Closed in one direction: the other goes on. */
    CHECK_EQUAL(asyncio_stream_write(pair.client, "x", 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_write(pair.server, "bye\n", 4), 0);
    CHECK_EQUAL(asyncio_stream_readline(pair.client, &line), 4);
    pair_destroy(&pair);
    asyncio_cancel(there);
    asyncio_cancel(and_back);
    asyncio_await(there);
    asyncio_await(and_back);
    asyncio_close(front[1]);
    asyncio_close(back[0]);
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
