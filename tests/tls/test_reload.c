/*
 * A certificate that is renewed while its context is in use: who gets which, and that nobody is dropped.
 */
#include "tls/tls.h"
#include "tls/tls_test.h"
#include <pthread.h>

static void reload(asyncio_tls_context *tls, const char *certificate)
{
    char chain[64], key[64];
    snprintf(chain, sizeof chain, "%s.pem", certificate);
    snprintf(key, sizeof key, "%s.key", certificate);
    CHECK_EQUAL(asyncio_tls_context_reload_cert(tls, cert(chain), cert(key)), 0);
}

static void fingerprint(asyncio_stream *stream, char text[65])
{
    asyncio_tls_info info = {.fingerprint = ""};
    CHECK_EQUAL(asyncio_stream_tls_info(stream, &info), 0);
    memcpy(text, info.fingerprint, 65);
}

/* A client that remembers nothing sees the server's certificate. */
static void see(asyncio_tls_context *server, char text[65])
{
    struct pair pair = {.client_tls = new_client("ca.pem"), .server_tls = server};
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, 0);
    fingerprint(pair.client, text);
    pair_close(&pair);
    asyncio_tls_context_release(pair.client_tls);
}

/* ---- Who gets which ------------------------------------------------------------------------- */

ASYNC_TEST(new_connections)
{
    struct pair pair;
    char first[65], second[65], third[65];
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    see(pair.server_tls, first);
    reload(pair.server_tls, "lasting");
    see(pair.server_tls, second);
    CHECK(strcmp(first, second) != 0);
    check_echo(&pair); /* the old one goes on */
    fingerprint(pair.client, third);
    CHECK_TEXT(third, first);
    reload(pair.server_tls, "server");
    see(pair.server_tls, third);
    CHECK_TEXT(third, first);
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(failures_change_nothing)
{
    asyncio_tls_context *tls = new_server("server");
    char before[65], after[65];
    see(tls, before);
    CHECK_EQUAL(asyncio_tls_context_reload_cert(tls, cert("none.pem"), NULL), -ENOENT);
    CHECK_HAS(asyncio_error_message(), "none.pem: No such file");
    CHECK_EQUAL(asyncio_tls_context_reload_cert(tls, cert("lasting.pem"), cert("server.key")), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "server.key cannot be used: key values mismatch");
    CHECK_EQUAL(asyncio_tls_context_reload_cert(tls, cert("lasting.key"), NULL), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "lasting.key cannot be used: it has no certificate in PEM");
    CHECK_EQUAL(asyncio_tls_context_reload_cert(tls, cert("lasting.pem"), NULL), ASYNCIO_ETLS);
    CHECK_EQUAL(asyncio_tls_context_reload_cert(tls, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_reload_cert(NULL, cert("lasting.pem"), NULL), -EINVAL);
    see(tls, after);
    CHECK_TEXT(after, before);
    asyncio_tls_context_release(tls);
    return 0;
}

ASYNC(shakes, int, fd, asyncio_tls_context *, tls, asyncio_stream **, stream)
{
    return connect_side(fd, tls, NULL, stream);
}

/* The server waits for the client's hello when the certificate changes. */
ASYNC_TEST(under_way)
{
    struct pair pair;
    char before[65], seen[65];
    pair_init(&pair);
    see(pair.server_tls, before);
    net_tcp_pair(pair.fds);
    asyncio_task *server = asyncio_create_task(shakes(pair.fds[1], pair.server_tls, &pair.server));
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
    reload(pair.server_tls, "lasting");
    CHECK_EQUAL(connect_side(pair.fds[0], pair.client_tls, "server.test", &pair.client), 0);
    CHECK_EQUAL(asyncio_await(server), 0);
    fingerprint(pair.client, seen);
    CHECK_TEXT(seen, before);
    pair_destroy(&pair);
    return 0;
}

/* ---- What stays ---------------------------------------------------------------------------------- */

/* All that was set up is there afterwards; sessions are resumed, too. */
ASYNC_TEST(settings_stay)
{
    static const char *const protocols[] = {"h2", NULL};
    for (int i = 0; i < 2; i++) {
        asyncio_tls_version version = i ? ASYNCIO_TLS_1_3 : ASYNCIO_TLS_1_2;
        struct pair pair;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.server_tls, version, version), 0);
        CHECK_EQUAL(
            asyncio_tls_context_set_ciphers(pair.server_tls, "ECDHE+AESGCM+AES128:TLS_AES_128_GCM_SHA256"),
            0);
        CHECK_EQUAL(asyncio_tls_context_set_groups(pair.server_tls, "P-384:P-256"), 0);
        CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.server_tls, protocols), 0);
        CHECK_EQUAL(asyncio_tls_context_set_alpn(pair.client_tls, protocols), 0);
        CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(pair.server_tls), 0);
        CHECK_EQUAL(asyncio_tls_context_load_cert(pair.client_tls, cert("client.pem"), cert("client.key")),
                    0);
        CHECK_EQUAL(asyncio_tls_context_dangerously_accept_truncation(pair.server_tls), 0);
        uint64_t options = SSL_CTX_get_options(pair.server_tls->ssl);
        for (int visit = 0; visit < 3; visit++) {
            asyncio_tls_info info;
            net_unix_pair(SOCK_STREAM, pair.fds);
            pair_connect_over(&pair, "server.test");
            CHECK_EQUAL(pair.client_err, 0);
            check_echo(&pair);
            CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
            CHECK_EQUAL(info.resumed, visit > 0);
            CHECK(info.verified);
            CHECK_TEXT(info.alpn, "h2");
            CHECK_TEXT(info.version, i ? "TLSv1.3" : "TLSv1.2");
            CHECK_HAS(info.cipher, i ? "TLS_AES_128_GCM" : "AES128-GCM");
            CHECK_EQUAL(SSL_get_negotiated_group(((struct tls_filter *)pair.server->filter)->ssl),
                        i ? NID_secp384r1 : NID_X9_62_prime256v1);
            pair_close(&pair);
            reload(pair.server_tls, visit ? "server" : "lasting");
            SSL_CTX *ssl = pair.server_tls->ssl;
            CHECK(SSL_CTX_get_options(ssl) == options);
            CHECK_EQUAL(SSL_CTX_get_min_proto_version(ssl), i ? TLS1_3_VERSION : TLS1_2_VERSION);
            CHECK_EQUAL(SSL_CTX_get_max_proto_version(ssl), i ? TLS1_3_VERSION : TLS1_2_VERSION);
        }
        /* Nobody without a certificate comes in. */
        asyncio_tls_context *stranger = new_client("ca.pem"), *client = pair.client_tls;
        pair.client_tls = stranger;
        pair_connect(&pair, "server.test");
        CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
        pair_close(&pair);
        pair.client_tls = client;
        asyncio_tls_context_release(stranger);
        pair_destroy(&pair);
    }
    return 0;
}

/* A client's sessions are those of who it was. */
ASYNC_TEST(clients)
{
    struct pair pair;
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
    CHECK_EQUAL(asyncio_tls_context_request_client_cert(pair.server_tls), 0);
    for (int visit = 0; visit < 3; visit++) {
        asyncio_tls_info info;
        net_unix_pair(SOCK_STREAM, pair.fds);
        pair_connect_over(&pair, "server.test");
        check_echo(&pair);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
        CHECK_EQUAL(info.resumed, visit == 1);
        CHECK_TEXT(info.subject, visit == 2 ? "CN=A client" : "");
        pair_close(&pair);
        if (visit == 1)
            reload(pair.client_tls, "client");
    }
    pair_destroy(&pair);
    return 0;
}

/* The context for a name is renewed by itself. */
ASYNC_TEST(names)
{
    asyncio_tls_context *server = new_server("site_b"), *site = new_server("server");
    char first[65], second[65];
    CHECK_EQUAL(asyncio_tls_context_add_server_name(server, "server.test", site), 0);
    see(server, first);
    reload(site, "lasting");
    see(server, second);
    CHECK(strcmp(first, second) != 0);
    reload(server, "site_a");
    see(server, first);
    CHECK_TEXT(first, second);
    asyncio_tls_context_release(site);
    asyncio_tls_context_release(server);
    return 0;
}

/* A context may have a certificate for each kind of key; the other one stays. */
ASYNC_TEST(two_kinds)
{
    static const char *const ciphers[] = {"ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"};
    char command[512];
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=server.test -keyout %s -out %s 2>/dev/null",
             cert("rsa.key"), cert("rsa.pem"));
    CHECK_EQUAL(system(command), 0);
    asyncio_tls_context *server = new_server("server");
    CHECK_EQUAL(asyncio_tls_context_load_cert(server, cert("rsa.pem"), cert("rsa.key")), 0);
    for (int i = 0; i < 4; i++) {
        struct pair pair = {.client_tls = new_client(NULL), .server_tls = server};
        asyncio_tls_info info = {.cipher = ""};
        CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_cert(pair.client_tls), 0);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, 0, ASYNCIO_TLS_1_2), 0);
        CHECK_EQUAL(asyncio_tls_context_set_ciphers(pair.client_tls, ciphers[i % 2]), 0);
        pair_connect(&pair, "server.test");
        CHECK_EQUAL(pair.client_err, 0);
        CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
        CHECK_TEXT(info.cipher, ciphers[i % 2]);
        pair_close(&pair);
        asyncio_tls_context_release(pair.client_tls);
        if (i == 1)
            reload(server, "lasting");
    }
    CHECK_EQUAL(server->identity_count, 2);
    asyncio_tls_context_release(server);
    return 0;
}

/* ---- Without end, on other threads ------------------------------------------------------------------- */

struct reloader {
    asyncio_tls_context *tls;
    const char *chains[3], *keys[3];
    bool must_stop; /* atomic */
    unsigned good, bad;
};

static void *reload_on(void *arg)
{
    struct reloader *reloader = arg;
    for (unsigned i = 0; !__atomic_load_n(&reloader->must_stop, __ATOMIC_RELAXED); i++) {
        int err =
            asyncio_tls_context_reload_cert(reloader->tls, reloader->chains[i % 3], reloader->keys[i % 3]);
        reloader->good += err == 0;
        reloader->bad += err == ASYNCIO_ETLS;
        usleep(3000);
    }
    return NULL;
}

static void set_paths(struct reloader *reloader)
{
    static char paths[6][128];
    static const char *const files[] = {
        "server.pem", "lasting.pem", "server.pem", /* the third does not fit */
        "server.key", "lasting.key", "lasting.key"};
    for (int i = 0; i < 6; i++)
        snprintf(paths[i], sizeof paths[i], "%s", cert(files[i]));
    for (int i = 0; i < 3; i++) {
        reloader->chains[i] = paths[i];
        reloader->keys[i] = paths[3 + i];
    }
}

/* Two threads reload while handshakes go on: none of these fails. */
ASYNC_TEST(thousands)
{
    struct pair pair;
    pthread_t threads[2];
    struct reloader reloaders[2];
    pair_init(&pair);
    CHECK_EQUAL(asyncio_tls_context_set_resumption(pair.client_tls, false), 0);
    for (int i = 0; i < 2; i++) {
        reloaders[i] = (struct reloader){.tls = pair.server_tls};
        set_paths(&reloaders[i]);
    }
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(pthread_create(&threads[i], NULL, reload_on, &reloaders[i]), 0);
    size_t count = repeats(50, 200, 10000), failed = 0;
    for (size_t i = 0; i < count; i++) {
        char text[4];
        net_tcp_pair(pair.fds);
        pair_connect_over(&pair, "server.test");
        failed += pair.client_err || pair.server_err;
        if (!pair.client_err && !pair.server_err) {
            failed += asyncio_stream_write(pair.server, "ping", 4) != 0;
            failed += asyncio_stream_readexactly(pair.client, text, 4) != 4;
        }
        asyncio_stream_abort(pair.client);
        asyncio_stream_abort(pair.server);
    }
    CHECK_EQUAL(failed, 0);
    for (int i = 0; i < 2; i++)
        __atomic_store_n(&reloaders[i].must_stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        CHECK(reloaders[i].good > 2 && reloaders[i].bad > 1);
    }
    pair.client = pair.server = NULL;
    pair_destroy(&pair);
    return 0;
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
