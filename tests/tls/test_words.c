/*
 * What a handshake that fails says: the reason, and with whom. The other side is a plain socket.
 */
#include "child.h"
#include "tls/tls.h"
#include "tls/tls_test.h"

enum side { CLIENT, NAMELESS, SERVER };

/* Long enough for what is to end otherwise. */
static double handshake_timeout;

static asyncio_tls_context *make_context(enum side side)
{
    asyncio_tls_context *tls = side == SERVER ? new_server("server") : new_client("ca.pem");
    if (side == NAMELESS)
        CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_name(tls), 0);
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(tls, handshake_timeout, 0), 0);
    return tls;
}

/* What one side does to the other, which has begun its handshake and waits. */
typedef void act(int fd);

static void resets(int fd)
{
    net_reset_at_close(fd);
    close(fd);
}

static void ends(int fd)
{
    close(fd);
}

static void says_nothing(int fd)
{
    (void)fd;
}

static void speaks_http(int fd)
{
    static const char words[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    CHECK_EQUAL(send(fd, words, sizeof words - 1, 0), sizeof words - 1);
}

static void asks_in_http(int fd)
{
    static const char words[] = "GET / HTTP/1.1\r\n\r\n";
    CHECK_EQUAL(send(fd, words, sizeof words - 1, 0), sizeof words - 1);
}

static void dislikes_it(int fd)
{
    CHECK_EQUAL(send(fd, "\x15\x03\x03\x00\x02\x02\x2a", 7, 0), 7); /* bad certificate */
}

ASYNC(does, act *, attack, int, fd, bool, hears)
{
    char hello[2048];
    if (hears) {
        CHECK(asyncio_sock_recv(fd, hello, sizeof hello, 0) > 0);
        asyncio_forget(fd);
    }
    attack(fd);
    return 0;
}

/* `early`: before the handshake begins. */
static void check_words(enum side side, act *attack, bool early, int err, const char *words)
{
    static const char *const names[SERVER + 1] = {[CLIENT] = "Server.test."};
    int fds[2];
    handshake_timeout = attack == says_nothing ? 0.05 : 20;
    asyncio_tls_context *tls = make_context(side);
    asyncio_stream *stream = NULL;
    net_tcp_pair(fds);
    asyncio_raise(err, "of something else");
    if (early)
        attack(fds[1]);
    asyncio_task *other = early ? NULL : asyncio_create_task(does(attack, fds[1], side != SERVER));
    CHECK_EQUAL(connect_side(fds[0], tls, names[side], &stream), err);
    CHECK_TEXT(last_words(), words);
    if (other)
        asyncio_await(other);
    if (attack != resets && attack != ends)
        close(fds[1]);
    asyncio_tls_context_release(tls);
}

ASYNC_TEST(losses)
{
    static const char reset[] = "TLS: the handshake failed: connection reset by peer (Server.test.)";
    static const char nameless[] = "TLS: the handshake failed: connection reset by peer (127.0.0.1:PORT)";
    check_words(CLIENT, resets, false, -ECONNRESET, reset);
    check_words(CLIENT, resets, true, -ECONNRESET, reset);
    check_words(NAMELESS, resets, false, -ECONNRESET, nameless);
    check_words(SERVER, resets, false, -ECONNRESET, nameless);
    check_words(CLIENT, ends, false, -ECONNRESET,
                "TLS: the peer closed the connection during the handshake (Server.test.)");
    check_words(SERVER, ends, false, -ECONNRESET,
                "TLS: the peer closed the connection during the handshake (127.0.0.1:PORT)");
    check_words(CLIENT, says_nothing, false, -ETIMEDOUT,
                "TLS: the handshake took longer than 0.05 seconds (Server.test.)");
    check_words(SERVER, says_nothing, false, -ETIMEDOUT,
                "TLS: the handshake took longer than 0.05 seconds (127.0.0.1:PORT)");
    return 0;
}

ASYNC_TEST(refusals)
{
    check_words(CLIENT, speaks_http, false, ASYNCIO_ETLS, "TLS: wrong version number (Server.test.)");
    check_words(SERVER, asks_in_http, false, ASYNCIO_ETLS, "TLS: http request (127.0.0.1:PORT)");
    check_words(CLIENT, dislikes_it, false, ASYNCIO_ETLS,
                "TLS: the peer refuses: bad certificate (Server.test.)");
    return 0;
}

/* ---- By this side ------------------------------------------------------------------------------ */

ASYNC(closes, asyncio_stream *, stream)
{
    return asyncio_stream_close(stream);
}

ASYNC_TEST(closed)
{
    int fds[2];
    asyncio_stream *stream = NULL;
    asyncio_tls_context *tls = make_context(CLIENT);
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(tls, 10, 0), 0);
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    asyncio_task *other = asyncio_create_task(closes(stream));
    CHECK_EQUAL(asyncio_stream_start_tls(stream, tls, "server.test"), -EBADF);
    CHECK_TEXT(last_words(), "TLS: the stream was closed during the handshake (server.test)");
    asyncio_await(other);
    close(fds[1]);
    asyncio_tls_context_release(tls);
    return 0;
}

/* A server that sends its clients away, one of them in the middle of its handshake. */
static char told[256];
static bool has_begun;

ASYNC(upgrade, asyncio_stream *, stream, asyncio_tls_context *, tls)
{
    has_begun = true;
    CHECK_EQUAL(asyncio_stream_start_tls(stream, tls, NULL), -ECONNRESET);
    snprintf(told, sizeof told, "%s", last_words());
    return 0;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    return upgrade(stream, arg);
}

ASYNC_TEST(sent_away)
{
    asyncio_stream *stream = NULL;
    asyncio_server *server = NULL;
    asyncio_tls_context *tls = make_context(SERVER);
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(tls, 10, 0), 0);
    CHECK_EQUAL(asyncio_start_server(handler, tls, "127.0.0.1", 0, NULL, &server), 0);
    CHECK_EQUAL(asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &stream), 0);
    while (!has_begun)
        asyncio_sleep(0);
    asyncio_server_close(server);
    asyncio_server_close_clients(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 10), 0);
    CHECK_TEXT(told, "TLS: the handshake failed: the connection is to end (127.0.0.1:PORT)");
    asyncio_stream_abort(stream);
    asyncio_server_release(server);
    asyncio_tls_context_release(tls);
    return 0;
}

/* ---- Settings ------------------------------------------------------------------------------------ */

static void check_setting(int err, const char *words)
{
    CHECK_EQUAL(err, -EINVAL);
    CHECK_TEXT(asyncio_error_message(), words);
}

ASYNC_TEST(settings)
{
    asyncio_tls_context *client = new_client(NULL), *server = new_server("server");
    check_setting(asyncio_tls_context_set_alpn(client, (const char *const[]){"h2", "", NULL}),
                  "TLS: the name of a protocol (ALPN) has 1 to 255 characters");
    check_setting(asyncio_tls_context_require_alpn(client), "TLS: the protocols (ALPN) are to be set first");
    check_setting(asyncio_tls_context_set_versions(client, ASYNCIO_TLS_1_3, ASYNCIO_TLS_1_2),
                  "TLS: there are no such versions, or the newest is older than the oldest");
    check_setting(asyncio_tls_context_require_client_cert(client),
                  "TLS: only a server asks for certificates of clients");
    check_setting(asyncio_tls_context_dangerously_accept_any_cert(server),
                  "TLS: only a client can be told to accept any certificate, or name");
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(server);
    return 0;
}

static void drop_too_many(void *arg)
{
    asyncio_tls_context *client = arg;
    client->refs = 0;
    asyncio_tls_context_release(client);
}

TEST(references)
{
    static struct child child;
    asyncio_tls_context *client = new_client("ca.pem");
    child_run(&child, drop_too_many, client);
    asyncio_tls_context_release(client);
    assert_child_signal(&child, SIGABRT);
    assert_child_says(&child, "asyncio: broken invariant in asyncio_tls_context_release (");
    assert_child_says(&child, "context.c:");
    assert_child_says(&child, "refs > 0\n");
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
