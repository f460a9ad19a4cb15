/*
 * Who is believed: certificates that are as they should be and those that are
 * not, of servers and of clients, and what the refusal says.
 */
#include "tls/tls_test.h"

/* A handshake that the client refuses with these words. */
static void check_refused(struct pair *pair, const char *name, const char *words)
{
    pair_connect(pair, name);
    CHECK_EQUAL(pair->client_err, ASYNCIO_ETLS);
    CHECK_TEXT(asyncio_error_message(), words);
    if (pair->server) { /* with TLS 1.3 it may have been content */
        char c;
        CHECK_EQUAL(asyncio_stream_read(pair->server, &c, 1), ASYNCIO_ETLS);
        asyncio_stream_abort(pair->server);
    } else {
        CHECK_EQUAL(pair->server_err, ASYNCIO_ETLS);
        CHECK_HAS(pair->server_words, "TLS: the peer refuses: ");
    }
    pair->client = pair->server = NULL;
}

static void check_server(const char *certificate, const char *name, const char *words)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair = {.client_tls = new_client("ca.pem"), .server_tls = new_server(certificate)};
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, (asyncio_tls_version)version,
                                                     (asyncio_tls_version)version),
                    0);
        if (words) {
            check_refused(&pair, name, words);
        } else {
            pair_connect(&pair, name);
            CHECK_EQUAL(pair.client_err, 0);
            CHECK_EQUAL(pair.server_err, 0);
            if (pair.client && pair.server)
                check_echo(&pair);
        }
        pair_destroy(&pair);
    }
}

ASYNC_TEST(servers)
{
    check_server("server", "server.test", NULL);
    check_server("server", "server.test.", NULL);
    check_server("server", "SERVER.test", NULL);
    check_server("server", "a.wild.test", NULL);
    check_server("server", "127.0.0.1", NULL);
    check_server("server", "::1", NULL);
    check_server("expired", "server.test",
                 "TLS: certificate verify failed: certificate has expired (server.test)");
    check_server("early", "server.test",
                 "TLS: certificate verify failed: certificate is not yet valid (server.test)");
    check_server("self", "server.test",
                 "TLS: certificate verify failed: self-signed certificate (server.test)");
    check_server("stranger", "server.test",
                 "TLS: certificate verify failed: certificate signature failure (server.test)");
    check_server("server", "other.test", "TLS: certificate verify failed: hostname mismatch (other.test)");
    check_server("server", "b.a.wild.test",
                 "TLS: certificate verify failed: hostname mismatch (b.a.wild.test)");
    check_server("server", "127.0.0.2", "TLS: certificate verify failed: IP address mismatch (127.0.0.2)");
    check_server("common", "server.test", "TLS: certificate verify failed: hostname mismatch (server.test)");
    return 0;
}

/* Nobody that the system trusts has signed it. */
ASYNC_TEST(system_authorities)
{
    struct pair pair = {.client_tls = new_client(NULL), .server_tls = new_server("server")};
    check_refused(&pair, "server.test",
                  "TLS: certificate verify failed: unable to get local issuer certificate (server.test)");
    /* Both. */
    CHECK_EQUAL(asyncio_tls_context_load_ca(pair.client_tls, cert("ca.pem")), 0);
    CHECK_EQUAL(asyncio_tls_context_load_system_ca(pair.client_tls), 0);
    pair_connect(&pair, "server.test");
    check_echo(&pair);
    pair_destroy(&pair);
    return 0;
}

/* A name is needed, and one that can be one. */
ASYNC_TEST(names)
{
    struct pair pair;
    pair_init(&pair);
    static const char *const names[] = {NULL, "", "a\nb.test"};
    char long_name[300];
    memset(long_name, 'a', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    for (size_t i = 0; i < 4; i++) {
        int fds[2];
        asyncio_stream *stream = NULL;
        net_tcp_pair(fds);
        close(fds[1]);
        int err = connect_side(fds[0], pair.client_tls, i < 3 ? names[i] : long_name, &stream);
        CHECK(err == -EINVAL || (i == 2 && err < 0));
        if (i < 2)
            CHECK_HAS(asyncio_error_message(), "needs the name");
        CHECK(!stream);
    }
    pair_destroy(&pair);
    return 0;
}

ASYNC_TEST(dangerous)
{
    struct pair pair = {.client_tls = new_client("ca.pem"), .server_tls = new_server("server")};
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_name(pair.client_tls), 0);
    pair_connect(&pair, "other.test");
    check_echo(&pair);
    pair_close(&pair);
    pair_connect(&pair, NULL);
    check_echo(&pair);
    pair_destroy(&pair);
    pair = (struct pair){.client_tls = new_client("ca.pem"), .server_tls = new_server("self")};
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_name(pair.client_tls), 0);
    check_refused(&pair, "other.test",
                  "TLS: certificate verify failed: self-signed certificate (other.test)");
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_cert(pair.client_tls), 0);
    pair_connect(&pair, "other.test");
    check_echo(&pair);
    asyncio_tls_info info;
    CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
    CHECK(!info.verified);
    CHECK_TEXT(info.subject, "CN=server.test");
    pair_destroy(&pair);
    return 0;
}

/* ---- Clients ------------------------------------------------------------------------------- */

static void check_client(const char *certificate, const char *words, const char *told)
{
    for (int version = ASYNCIO_TLS_1_2; version <= ASYNCIO_TLS_1_3; version++) {
        struct pair pair;
        pair_init(&pair);
        char chain[64], key[64], c;
        snprintf(chain, sizeof chain, "%s.pem", certificate ? certificate : "");
        snprintf(key, sizeof key, "%s.key", certificate ? certificate : "");
        if (certificate)
            CHECK_EQUAL(asyncio_tls_context_load_cert(pair.client_tls, cert(chain), cert(key)), 0);
        CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(pair.server_tls), 0);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, ASYNCIO_TLS_DEFAULT,
                                                     (asyncio_tls_version)version),
                    0);
        pair_connect(&pair, "server.test");
        if (words) {
            CHECK_EQUAL(pair.server_err, ASYNCIO_ETLS);
            CHECK_TEXT(pair.server_words, words);
            /* With TLS 1.3 the client is told when it reads. */
            ssize_t told_err = pair.client ? asyncio_stream_read(pair.client, &c, 1) : pair.client_err;
            CHECK_EQUAL(told_err, ASYNCIO_ETLS);
            if (version == ASYNCIO_TLS_1_3)
                CHECK_TEXT(asyncio_error_message(), told);
            asyncio_stream_abort(pair.client);
            pair.client = NULL;
        } else {
            asyncio_tls_info info;
            CHECK_EQUAL(pair.client_err, 0);
            CHECK_EQUAL(pair.server_err, 0);
            check_echo(&pair);
            CHECK_EQUAL(asyncio_stream_tls_info(pair.server, &info), 0);
            CHECK(info.verified);
            CHECK_TEXT(info.subject, "CN=A client");
            CHECK_TEXT(info.issuer, "CN=Test Authority");
            CHECK_EQUAL(strlen(info.fingerprint), 64);
        }
        pair_destroy(&pair);
    }
}

ASYNC_TEST(clients)
{
    check_client("client", NULL, NULL);
    check_client(NULL, "TLS: peer did not return a certificate (127.0.0.1:PORT)",
                 "TLS: the peer refuses: certificate required (server.test)");
    check_client("stranger", "TLS: certificate verify failed: certificate signature failure (127.0.0.1:PORT)",
                 "TLS: the peer refuses: decrypt error (server.test)");
    check_client("self", "TLS: certificate verify failed: self-signed certificate (127.0.0.1:PORT)",
                 "TLS: the peer refuses: unknown ca (server.test)");
    return 0;
}

/* ---- Files -------------------------------------------------------------------------------------- */

static void write_file(const char *file, const char *text)
{
    FILE *out = fopen(cert(file), "w");
    fputs(text, out);
    fclose(out);
}

ASYNC_TEST(files)
{
    asyncio_tls_context *tls = NULL, *client = new_client(NULL);
    CHECK_EQUAL(asyncio_tls_context_new_server(&tls), 0);
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("none.pem"), NULL), -ENOENT);
    CHECK_HAS(asyncio_error_message(), "none.pem: No such file or directory");
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("server.pem"), cert("none.key")), -ENOENT);
    write_file("garbage.pem", "garbage\n");
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("garbage.pem"), NULL), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "garbage.pem cannot be used: it has no certificate in PEM");
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("server.pem"), cert("client.key")), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "client.key cannot be used: key values mismatch");
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("server.pem"), NULL), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "server.pem cannot be used: it has no private key in PEM");
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_load_ca(client, cert("none")), -ENOENT);
    CHECK_EQUAL(asyncio_tls_context_load_ca(client, cert("garbage.pem")), ASYNCIO_ETLS);
    CHECK_EQUAL(asyncio_tls_context_load_ca(client, cert("")), 0); /* a directory */
    CHECK_EQUAL(asyncio_tls_context_load_ca(client, NULL), -EINVAL);
    /* A password: nobody is asked. */
    char command[512];
    snprintf(command, sizeof command, "openssl pkey -in %s -aes128 -passout pass:secret -out %s 2>/dev/null",
             cert("server.key"), cert("locked.key"));
    CHECK_EQUAL(system(command), 0);
    CHECK_EQUAL(asyncio_tls_context_load_cert(tls, cert("server.pem"), cert("locked.key")), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "locked.key cannot be used: the key has a password");
    /* Of the wrong kind, and nothing at all. */
    CHECK_EQUAL(asyncio_tls_context_require_client_cert(client), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_cert(tls), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_dangerously_accept_any_name(tls), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_resumption(tls, true), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_new_client(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_versions(client, ASYNCIO_TLS_1_3, ASYNCIO_TLS_1_2), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_versions(client, (asyncio_tls_version)9, 0), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(client, -1, 0), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(client, 0, ASYNCIO_FOREVER - ASYNCIO_FOREVER), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_alpn(client, (const char *const[]){NULL}), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_set_alpn(client, (const char *const[]){"h2", "", NULL}), -EINVAL);
    asyncio_tls_context_release(tls);
    asyncio_tls_context_release(client);
    asyncio_tls_context_release(NULL);
    return 0;
}

/* A directory of authorities, by their hashes. */
ASYNC_TEST(directory)
{
    char command[512];
    struct pair pair = {.client_tls = new_client(NULL), .server_tls = new_server("server")};
    snprintf(command, sizeof command, "mkdir %s && cp %s %s && openssl rehash %s", cert("hashed"),
             cert("ca.pem"), cert("hashed"), cert("hashed"));
    CHECK_EQUAL(system(command), 0);
    CHECK_EQUAL(asyncio_tls_context_load_ca(pair.client_tls, cert("hashed")), 0);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, 0);
    check_echo(&pair);
    pair_destroy(&pair);
    return 0;
}

int main(void)
{
    use_descriptors();
    certs_make();
    return tests_run(NULL);
}
