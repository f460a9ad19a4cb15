/*
 * How long sessions are resumed: not after a certificate that was verified for them has expired, and for a
 * day at most, whatever tickets are given out meanwhile. The clock is ours: OpenSSL's and the library's
 * time() and gettimeofday() are the ones below.
 */
#include "tls/tls_test.h"
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/time.h>
#include <time.h>

#define HOUR_S 3600L

static long later_s;

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec + later_s, precise.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timeval now;
    gettimeofday(&now, NULL);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}

static const asyncio_tls_version versions[] = {ASYNCIO_TLS_1_2, ASYNCIO_TLS_1_3};

static void load(asyncio_tls_context *tls, const char *certificate)
{
    char chain[64], key[64];
    snprintf(chain, sizeof chain, "%s.pem", certificate);
    snprintf(key, sizeof key, "%s.key", certificate);
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert(chain), cert(key)), 0);
}

/* `client`: its certificate, which the server demands; NULL: none. */
static struct pair make_pair(asyncio_tls_version version, const char *authority, const char *server,
                             const char *client)
{
    struct pair pair = {.client_tls = new_client(authority), .server_tls = new_server(server)};
    later_s = 0;
    CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, version, version), 0);
    if (client) {
        load(pair.client_tls, client);
        CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(pair.server_tls), 0);
    }
    return pair;
}

static void connect_pair(struct pair *pair)
{
    net_unix_pair(SOCK_STREAM, pair->fds);
    pair_connect_over(pair, "server.test");
}

/* A connection that succeeds: whether it was resumed. */
static bool resumes(struct pair *pair)
{
    asyncio_tls_info info = {0};
    connect_pair(pair);
    CHECK_EQUAL(pair->client_err, 0);
    CHECK_EQUAL(pair->server_err, 0);
    if (!pair->client || !pair->server)
        return false;
    check_echo(pair); /* tickets come with what is read */
    CHECK_EQUAL(asyncio_stream_tls_info(pair->client, &info), 0);
    CHECK(info.verified);
    pair_close(pair);
    return info.resumed;
}

/* ---- Certificates ------------------------------------------------------------------------- */

static void check_server_expires(asyncio_tls_version version, const char *authority, const char *certificate)
{
    struct pair pair = make_pair(version, authority, certificate, NULL);
    CHECK(!resumes(&pair));
    CHECK(resumes(&pair));
    later_s = HOUR_S - 60;
    CHECK(resumes(&pair)); /* and a new ticket is given */
    later_s = HOUR_S + 60;
    connect_pair(&pair);
    CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(),
               "TLS: certificate verify failed: certificate has expired (server.test)");
    asyncio_stream_abort(pair.server);
    pair.server = NULL;
    later_s = 0;
    CHECK(!resumes(&pair)); /* it was forgotten */
    pair_destroy(&pair);
}

ASYNC_TEST(server_expires)
{
    for (size_t i = 0; i < 2; i++) {
        check_server_expires(versions[i], "ca.pem", "brief");
        check_server_expires(versions[i], "brief_ca.pem", "under_brief"); /* an authority, that is */
    }
    return 0;
}

ASYNC_TEST(client_expires)
{
    for (size_t i = 0; i < 2; i++) {
        struct pair pair = make_pair(versions[i], "ca.pem", "lasting", "brief_client");
        CHECK(!resumes(&pair));
        CHECK(resumes(&pair));
        later_s = HOUR_S - 60;
        CHECK(resumes(&pair));
        later_s = HOUR_S + 60;
        connect_pair(&pair);
        CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
        CHECK_HAS(pair.server_words, "TLS: certificate verify failed: certificate has expired");
        asyncio_stream_abort(pair.client);
        pair.client = NULL;
        pair_destroy(&pair);
    }
    return 0;
}

/* Who was shown another certificate meanwhile is told so. */
ASYNC_TEST(client_changes)
{
    for (size_t i = 0; i < 2; i++) {
        struct pair pair = make_pair(versions[i], "ca.pem", "lasting", "lasting_client");
        CHECK(!resumes(&pair));
        CHECK(resumes(&pair));
        load(pair.client_tls, "client");
        CHECK(!resumes(&pair));
        CHECK(resumes(&pair));
        pair_destroy(&pair);
    }
    return 0;
}

/* ---- A day ---------------------------------------------------------------------------------- */

/* The other side is OpenSSL's own, which would go on for a week. */
#define WEEK_S (7 * 24 * HOUR_S)

struct peer {
    SSL_CTX *context;
    SSL_SESSION *session; /* of a client */
    bool is_server;
};

static struct peer make_peer(bool is_server)
{
    struct peer peer = {SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()), NULL, is_server};
    SSL_CTX_set_timeout(peer.context, WEEK_S);
    if (is_server) {
        SSL_CTX_use_certificate_file(peer.context, cert("lasting.pem"), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(peer.context, cert("lasting.key"), SSL_FILETYPE_PEM);
    }
    return peer;
}

static void drop_peer(struct peer *peer)
{
    SSL_SESSION_free(peer->session);
    SSL_CTX_free(peer->context);
}

/* Goes on with what a call of OpenSSL could not finish. */
static int wait_more(SSL *ssl, int result)
{
    int why = SSL_get_error(ssl, result);
    ERR_clear_error();
    return why == SSL_ERROR_WANT_READ ? asyncio_wait_readable(SSL_get_fd(ssl), 10) : -EPROTO;
}

/* The handshake, and one byte each way. */
ASYNC(converse, struct peer *, peer, int, fd)
{
    SSL *ssl = SSL_new(peer->context);
    char c = 'p';
    int err = 0, result;
    SSL_set_fd(ssl, fd);
    if (peer->is_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    if (peer->session)
        SSL_set_session(ssl, peer->session);
    while (!err && (result = SSL_do_handshake(ssl)) != 1)
        err = wait_more(ssl, result);
    if (!err)
        SSL_write(ssl, &c, 1);
    while (!err && (result = SSL_read(ssl, &c, 1)) != 1)
        err = wait_more(ssl, result);
    if (!err && !peer->is_server) {
        SSL_SESSION_free(peer->session);
        peer->session = SSL_get1_session(ssl);
    }
    SSL_shutdown(ssl);
    SSL_free(ssl);
    return err;
}

/* Our side of it: whether it was resumed. */
static bool resumes_with(struct peer *peer, asyncio_tls_context *tls)
{
    int fds[2];
    char c = 'o';
    asyncio_stream *stream = NULL;
    asyncio_tls_info info = {0};
    net_unix_pair(SOCK_STREAM | SOCK_NONBLOCK, fds);
    asyncio_task *other = asyncio_create_task(converse(peer, fds[1]));
    CHECK_EQUAL(connect_side(fds[0], tls, peer->is_server ? "server.test" : NULL, &stream), 0);
    if (stream) {
        CHECK_EQUAL(asyncio_stream_write(stream, &c, 1), 0);
        CHECK_EQUAL(asyncio_stream_read(stream, &c, 1), 1);
        CHECK_EQUAL(asyncio_stream_tls_info(stream, &info), 0);
    }
    CHECK_EQUAL(asyncio_await(other), 0);
    asyncio_stream_close(stream);
    asyncio_close(fds[1]);
    return info.resumed;
}

/* Counted from the handshake in full, whatever was resumed and given out since. */
static void check_day(asyncio_tls_version version, bool is_client)
{
    struct peer peer = make_peer(is_client);
    asyncio_tls_context *tls = is_client ? new_client("ca.pem") : new_server("lasting");
    CHECK_EQUAL(asyncio_tls_context_set_versions(tls, version, version), 0);
    for (int day = 0; day < 2; day++) {
        later_s = day * 25 * HOUR_S;
        CHECK(!resumes_with(&peer, tls));
        later_s += 12 * HOUR_S;
        CHECK(resumes_with(&peer, tls));
        later_s += 12 * HOUR_S - 60;
        CHECK(resumes_with(&peer, tls));
    }
    later_s += 120;
    CHECK(!resumes_with(&peer, tls));
    asyncio_tls_context_release(tls);
    drop_peer(&peer);
}

ASYNC_TEST(day)
{
    for (size_t i = 0; i < 2; i++) {
        check_day(versions[i], true);
        check_day(versions[i], false);
    }
    later_s = 0;
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
