/*
 * Servers with several sites on one address: who gets which certificate, and what else is of a
 * site: protocols, client certificates, versions, sessions. And protocols that must be agreed on, and
 * client certificates that may be shown.
 */
#include "tls/tls_test.h"

/* A server with server.pem, a.test and *.a.test, b.test and b.a.test. */
static void sites_init(struct pair *pair, asyncio_tls_context **a, asyncio_tls_context **b)
{
    pair_init(pair);
    *a = new_server("site_a");
    *b = new_server("site_b");
    CHECK_EQUAL(asyncio_tls_context_add_server_name(pair->server_tls, "*.a.test", *a), 0);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(pair->server_tls, "B.test.", *b), 0);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(pair->server_tls, "a.test", *a), 0);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(pair->server_tls, "b.a.test", *b), 0);
    asyncio_tls_context_release(*a); /* the server has its own reference */
    asyncio_tls_context_release(*b);
}

static void set_version(struct pair *pair, int version)
{
    CHECK_EQUAL(asyncio_tls_context_set_versions(pair->client_tls, (asyncio_tls_version)version,
                                                 (asyncio_tls_version)version),
                0);
}

/* Meets a server of this subject; true if the session was resumed. */
static bool meet(struct pair *pair, const char *name, const char *subject)
{
    asyncio_tls_info info = {0}, other = {0};
    net_unix_pair(SOCK_STREAM, pair->fds); /* the same port each time */
    pair_connect_over(pair, name);
    CHECK_EQUAL(pair->client_err, 0);
    CHECK_EQUAL(pair->server_err, 0);
    if (pair->client_err || pair->server_err) {
        fprintf(stderr, "%s: %s; %s\n", name, asyncio_error_message(), pair->server_words);
        return false;
    }
    check_echo(pair);
    CHECK_EQUAL(asyncio_stream_tls_info(pair->client, &info), 0);
    CHECK_EQUAL(asyncio_stream_tls_info(pair->server, &other), 0);
    CHECK_TEXT(info.subject, subject);
    CHECK_TEXT(info.server_name, other.server_name);
    CHECK_EQUAL(info.resumed, other.resumed);
    CHECK_TEXT(info.alpn, other.alpn);
    pair_close(pair);
    return info.resumed;
}

ASYNC_TEST(sites)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        asyncio_tls_context *a, *b;
        sites_init(&pair, &a, &b);
        set_version(&pair, version);
        for (int again = 0; again < 2; again++) {
            CHECK_EQUAL(meet(&pair, "a.test", "CN=a.test"), again);
            CHECK_EQUAL(meet(&pair, "x.a.test", "CN=a.test"), again);
            CHECK_EQUAL(meet(&pair, "b.a.test", "CN=b.test"), again); /* the name itself goes before */
            CHECK_EQUAL(meet(&pair, "b.test", "CN=b.test"), again);
            CHECK_EQUAL(meet(&pair, "server.test", "CN=server.test"), again);
            CHECK_EQUAL(meet(&pair, "y.wild.test", "CN=server.test"), again);
            CHECK_EQUAL(meet(&pair, "127.0.0.1", "CN=server.test"), again); /* asks for none */
        }
        pair_connect(&pair, "X.A.Test");
        asyncio_tls_info info;
        CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
        CHECK_TEXT(info.server_name, "x.a.test");
        check_echo(&pair);
        pair_destroy(&pair);
    }
    return 0;
}

/* A server that has no certificate of its own. */
ASYNC_TEST(sites_alone)
{
    struct pair pair = {.client_tls = new_client("ca.pem")};
    asyncio_tls_context *a = new_server("site_a");
    CHECK_EQUAL(asyncio_tls_context_new_server(&pair.server_tls), 0);
    pair_connect(&pair, "a.test");
    CHECK_EQUAL(pair.server_err, -EINVAL);
    CHECK_TEXT(pair.server_words, "TLS: a server needs a certificate");
    CHECK_EQUAL(asyncio_tls_context_add_server_name(pair.server_tls, "a.test", a), 0);
    CHECK(!meet(&pair, "a.test", "CN=a.test"));
    pair_connect(&pair, "b.test");
    CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(), "TLS: the peer refuses: unrecognized name (b.test)");
    CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
    CHECK_TEXT(pair.server_words,
               "TLS: no certificate for the name that the client asks for (b.test, 127.0.0.1:PORT)");
    pair_connect(&pair, "127.0.0.1");
    CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
    CHECK_TEXT(pair.server_words,
               "TLS: no certificate for the name that the client asks for (127.0.0.1:PORT)");
    pair_destroy(&pair);
    asyncio_tls_context_release(a);
    return 0;
}

/* Each with its own protocols, versions, and demands; and no session of one opens another. */
ASYNC_TEST(sites_differ)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        asyncio_tls_context *a, *b;
        sites_init(&pair, &a, &b);
        set_version(&pair, version);
        static const char *const both[] = {"h2", "http/1.1", NULL}, *const old[] = {"http/1.1", NULL};
        CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.client_tls, both), 0);
        CHECK_EQUAL(asyncio_tls_context_set_alpn(a, both), 0);
        CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.server_tls, old), 0);
        CHECK_EQUAL(asyncio_tls_context_load_ca(b, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(b), 0);
        asyncio_tls_info info;
        const struct {
            const char *name, *alpn;
        } sites[] = {{"a.test", "h2"}, {"b.test", ""}, {"server.test", "http/1.1"}};
        for (size_t i = 0; i < 3; i++) {
            pair_connect(&pair, sites[i].name);
            CHECK_EQUAL(pair.server_err, i == 1 ? ASYNCIO_ETLS : 0); /* there is no client certificate */
            if (i == 1) {
                CHECK_TEXT(pair.server_words, "TLS: peer did not return a certificate (127.0.0.1:PORT)");
                asyncio_stream_abort(pair.client);
                pair.client = NULL;
                continue;
            }
            check_echo(&pair);
            CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
            CHECK_TEXT(info.alpn, sites[i].alpn);
            pair_close(&pair);
        }
        const char *chain = cert("client.pem"), *key = cert("client.key");
        CHECK_EQUAL(asyncio_tls_context_load_cert(pair.client_tls, chain, key), 0);
        pair_connect(&pair, "b.test");
        check_echo(&pair);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
        CHECK(info.verified);
        pair_destroy(&pair);
    }
    /* Versions, too. */
    struct pair pair;
    asyncio_tls_context *a, *b;
    sites_init(&pair, &a, &b);
    CHECK_EQUAL(asyncio_tls_context_set_versions(a, ASYNCIO_TLS_1_3, ASYNCIO_TLS_DEFAULT), 0);
    set_version(&pair, ASYNCIO_TLS_1_2);
    CHECK(!meet(&pair, "b.test", "CN=b.test"));
    pair_connect(&pair, "a.test");
    CHECK_EQUAL(pair.client_err, ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(), "TLS: the peer refuses: protocol version (a.test)");
    pair_destroy(&pair);
    return 0;
}

/* A client that changes the name under a session: verified for one site, it is not let in at another. */
ASYNC_TEST(sessions_apart)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        pair_init(&pair);
        set_version(&pair, version);
        asyncio_tls_context *locked = new_server("server"), *front = new_server("server");
        CHECK_EQUAL(asyncio_tls_context_load_ca(locked, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(locked), 0);
        CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "locked.wild.test", locked), 0);
        asyncio_tls_context_release(pair.server_tls);
        pair.server_tls = front;
        CHECK(!meet(&pair, "server.test", "CN=server.test"));
        CHECK(meet(&pair, "server.test", "CN=server.test"));
        /* The server's own lookup is by what is in the hello; with the name added, the same session comes
         * to a context that wants a certificate. */
        CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "server.test", locked), 0);
        net_unix_pair(SOCK_STREAM, pair.fds);
        pair_connect_over(&pair, "server.test");
        CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
        CHECK_TEXT(pair.server_words, "TLS: peer did not return a certificate");
        asyncio_stream_abort(pair.client);
        pair.client = NULL;
        pair_destroy(&pair);
        asyncio_tls_context_release(locked);
    }
    return 0;
}

ASYNC_TEST(names)
{
    asyncio_tls_context *front = new_server("server"), *site = new_server("site_a"), *bare = NULL;
    asyncio_tls_context *client = new_client(NULL);
    static const char *const wrong[] = {"",        ".",        "*",       "*.",  "a b",
                                        "a*.test", "*.*.test", ".a.test", "::1", "127.0.0.1",
                                        "127.1",   "a..test",  "a\n.test"};
    char text[300];
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CHECK_EQUAL(asyncio_tls_context_add_server_name(front, wrong[i], site), -EINVAL);
    memset(text, 'a', sizeof text);
    for (size_t i = 63; i < sizeof text; i += 64)
        text[i] = '.';
    text[254] = '\0';
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, text, site), -EINVAL);
    text[253] = '\0';
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, text, site), 0);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "*.a.test", site), 0);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "*.A.test.", site), -EEXIST);
    CHECK_TEXT(asyncio_error_message(), "TLS: \"*.A.test.\" was added before");
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "a.test", front), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(site, "a.test", front), -EINVAL); /* has names */
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "a.test", client), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(client, "a.test", site), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(NULL, "a.test", site), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, NULL, site), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "a.test", NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_new_server(&bare), 0);
    CHECK_EQUAL(asyncio_tls_context_add_server_name(front, "a.test", bare), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "TLS: the context for \"a.test\" has no certificate");
    asyncio_tls_context_release(bare);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(site);
    asyncio_tls_context_release(front);
    return 0;
}

/* A thousand of them, in any order. */
ASYNC_TEST(many_sites)
{
    struct pair pair;
    asyncio_tls_context *site = new_server("site_a");
    char name[64];
    pair_init(&pair);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "n%u.a.test", i * 7919 % 1000);
        CHECK_EQUAL(asyncio_tls_context_add_server_name(pair.server_tls, name, site), 0);
    }
    for (unsigned i = 0; i < 1000; i += 37) {
        snprintf(name, sizeof name, "n%u.a.test", i);
        CHECK(!meet(&pair, name, "CN=a.test"));
    }
    CHECK(!meet(&pair, "server.test", "CN=server.test"));
    pair_destroy(&pair);
    asyncio_tls_context_release(site);
    return 0;
}

/* ---- Protocols that must be agreed on ------------------------------------------------------------ */

static void check_required(const char *const *client, bool demands, const char *const *server,
                           const char *told_client, const char *told_server)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        pair_init(&pair);
        set_version(&pair, version);
        if (client)
            CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.client_tls, client), 0);
        if (server)
            CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.server_tls, server), 0);
        CHECK_EQUAL(asyncio_tls_context_require_alpn(demands ? pair.client_tls : pair.server_tls), 0);
        pair_connect(&pair, "server.test");
        CHECK_EQUAL(pair.client_err, told_client ? ASYNCIO_ETLS : 0);
        if (told_client)
            CHECK_TEXT(asyncio_error_message(), told_client);
        CHECK_EQUAL(pair.server_err, told_server ? ASYNCIO_ETLS : 0);
        if (told_server)
            CHECK_TEXT(pair.server_words, told_server);
        if (!told_client)
            check_echo(&pair);
        else
            asyncio_stream_abort(pair.server);
        if (told_client)
            pair.server = NULL;
        pair_destroy(&pair);
    }
}

ASYNC_TEST(required_protocols)
{
    static const char *const web[] = {"h2", "http/1.1", NULL}, *const h2[] = {"h2", NULL};
    static const char *const mail[] = {"imap", NULL};
    static const char refused[] = "TLS: the peer refuses: no application protocol (server.test)";
    static const char none[] = "TLS: the server has chosen none of the protocols (ALPN) (server.test)";
    static const char no_proposal[] =
        "TLS: the client proposes no protocol (ALPN) (server.test, 127.0.0.1:PORT)";
    check_required(web, false, h2, NULL, NULL);
    check_required(mail, false, h2, refused, "TLS: no application protocol (127.0.0.1:PORT)");
    check_required(NULL, false, h2, refused, no_proposal);
    check_required(web, true, h2, NULL, NULL);
    check_required(mail, true, h2, none, NULL);
    check_required(h2, true, NULL, none, NULL);
    asyncio_tls_context *client = new_client(NULL);
    CHECK_EQUAL(asyncio_tls_context_require_alpn(client), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_require_alpn(NULL), -EINVAL);
    asyncio_tls_context_release(client);
    return 0;
}

/* ---- Client certificates that may be shown ---------------------------------------------------------- */

ASYNC_TEST(optional_certificates)
{
    static const char *const shown[] = {NULL, "client", "stranger"};
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        for (size_t i = 0; i < 3; i++) {
            struct pair pair;
            pair_init(&pair);
            set_version(&pair, version);
            char chain[64], key[64];
            snprintf(chain, sizeof chain, "%s.pem", shown[i] ? shown[i] : "");
            snprintf(key, sizeof key, "%s.key", shown[i] ? shown[i] : "");
            if (shown[i])
                CHECK_EQUAL(asyncio_tls_context_load_cert(pair.client_tls, cert(chain), cert(key)), 0);
            CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
            CHECK_EQUAL(asyncio_tls_context_request_client_cert(pair.server_tls), 0);
            CHECK_EQUAL(asyncio_tls_context_request_client_cert(pair.client_tls), -EINVAL);
            pair_connect(&pair, "server.test");
            if (i == 2) {
                CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
                CHECK_HAS(pair.server_words, "certificate verify failed");
                asyncio_stream_abort(pair.client);
                pair.client = NULL;
            } else {
                asyncio_tls_info info;
                check_echo(&pair);
                CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
                CHECK_EQUAL(info.verified, i == 1);
                CHECK_TEXT(info.subject, i == 1 ? "CN=A client" : "");
            }
            pair_destroy(&pair);
        }
    }
    return 0;
}

/* ---- Another context, as after a restart -------------------------------------------------------------- */

ASYNC_TEST(restart)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        pair_init(&pair);
        set_version(&pair, version);
        for (int round = 0; round < 2; round++) {
            CHECK(!meet(&pair, "server.test", "CN=server.test"));
            CHECK(meet(&pair, "server.test", "CN=server.test"));
            asyncio_tls_context_release(pair.server_tls);
            pair.server_tls = new_server("server");
        }
        pair_destroy(&pair);
    }
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
