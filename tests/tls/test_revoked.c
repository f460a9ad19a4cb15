/*
 * Lists of revoked certificates: who is refused, with which words.
 */
#include "tls/tls_test.h"
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static X509 *read_cert(const char *file)
{
    FILE *in = fopen(cert(file), "r");
    X509 *found = in ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;
    CHECK(found != NULL);
    if (in)
        fclose(in);
    return found;
}

/* A list of the authority's, with one certificate on it, or none; until so many seconds from now. */
static void make_list(const char *file, const char *revoked, long until_s, bool is_der)
{
    X509 *authority = read_cert("ca.pem");
    FILE *in = fopen(cert("ca.key"), "r"), *out = fopen(cert(file), "w");
    EVP_PKEY *key = in ? PEM_read_PrivateKey(in, NULL, NULL, NULL) : NULL;
    X509_CRL *list = X509_CRL_new();
    ASN1_TIME *now = X509_gmtime_adj(NULL, -3600), *then = X509_gmtime_adj(NULL, until_s);
    X509_CRL_set_version(list, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(list, X509_get_subject_name(authority));
    X509_CRL_set1_lastUpdate(list, now);
    X509_CRL_set1_nextUpdate(list, then);
    if (revoked) {
        X509 *certificate = read_cert(revoked);
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(certificate));
        X509_REVOKED_set_revocationDate(entry, now);
        CHECK_EQUAL(X509_CRL_add0_revoked(list, entry), 1);
        X509_free(certificate);
    }
    CHECK(X509_CRL_sign(list, key, EVP_sha256()) > 0);
    CHECK_EQUAL(is_der ? i2d_X509_CRL_fp(out, list) : PEM_write_X509_CRL(out, list), 1);
    fclose(in);
    fclose(out);
    ASN1_TIME_free(now);
    ASN1_TIME_free(then);
    X509_CRL_free(list);
    EVP_PKEY_free(key);
    X509_free(authority);
}

/* A client with this list, and a server with this certificate: why the client refuses it; NULL: it does
 * not. */
static void check_server(const char *ca, const char *list, const char *server, const char *why)
{
    char words[256];
    struct pair pair = {.client_tls = new_client(ca), .server_tls = new_server(server)};
    CHECK_EQUAL(asyncio_tls_context_load_crl(pair.client_tls, cert(list)), 0);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(pair.client_err, why ? ASYNCIO_ETLS : 0);
    if (why) {
        snprintf(words, sizeof words, "TLS: certificate verify failed: %s (server.test)", why);
        CHECK_TEXT(last_words(), words);
    } else {
        check_echo(&pair);
    }
    pair_destroy(&pair);
}

ASYNC_TEST(servers)
{
    make_list("server.crl", "server.pem", 3600, false);
    make_list("server.der", "server.pem", 3600, true);
    make_list("empty.crl", NULL, 3600, false);
    make_list("old.crl", NULL, -1800, false);
    check_server("ca.pem", "server.crl", "server", "certificate revoked");
    check_server("ca.pem", "server.der", "server", "certificate revoked");
    check_server("ca.pem", "server.crl", "lasting", NULL);
    check_server("ca.pem", "empty.crl", "server", NULL);
    check_server("ca.pem", "old.crl", "server", "CRL has expired");
    /* An authority without a list might have revoked anybody. */
    check_server("self.pem", "server.crl", "self", "unable to get certificate CRL");
    return 0;
}

/* Several lists; and a server's own, for its clients, which a new certificate does not lose. */
ASYNC_TEST(clients)
{
    make_list("client.crl", "client.pem", 3600, false);
    for (int i = 0; i < 3; i++) {
        struct pair pair;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
        CHECK_EQUAL(asyncio_tls_context_load_crl(pair.server_tls, cert("client.crl")), 0);
        CHECK_EQUAL(asyncio_tls_context_require_client_cert(pair.server_tls), 0);
        const char *who = i == 1 ? "lasting_client" : "client";
        char chain[64], key[64];
        snprintf(chain, sizeof chain, "%s.pem", who);
        snprintf(key, sizeof key, "%s.key", who);
        CHECK_EQUAL(asyncio_tls_context_load_cert(pair.client_tls, cert(chain), cert(key)), 0);
        if (i == 2)
            CHECK_EQUAL(
                asyncio_tls_context_reload_cert(pair.server_tls, cert("lasting.pem"), cert("lasting.key")),
                0);
        pair_connect(&pair, "server.test");
        CHECK_EQUAL(pair.server_err, i == 1 ? 0 : ASYNCIO_ETLS);
        if (i != 1)
            CHECK_HAS(pair.server_words, "certificate verify failed: certificate revoked");
        if (pair.client)
            asyncio_stream_abort(pair.client);
        if (pair.server)
            asyncio_stream_abort(pair.server);
        pair.client = pair.server = NULL;
        pair_destroy(&pair);
    }
    return 0;
}

ASYNC_TEST(bad_files)
{
    asyncio_tls_context *tls = new_client("ca.pem");
    FILE *out = fopen(cert("garbage.crl"), "w");
    fputs("garbage\n", out);
    fclose(out);
    CHECK_EQUAL(asyncio_tls_context_load_crl(tls, cert("none.crl")), -ENOENT);
    CHECK_HAS(asyncio_error_message(), "none.crl: No such file");
    CHECK_EQUAL(asyncio_tls_context_load_crl(tls, cert("garbage.crl")), ASYNCIO_ETLS);
    CHECK_HAS(asyncio_error_message(), "garbage.crl cannot be used: it has no list");
    CHECK_EQUAL(asyncio_tls_context_load_crl(tls, cert("server.pem")), ASYNCIO_ETLS);
    CHECK_EQUAL(asyncio_tls_context_load_crl(tls, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_tls_context_load_crl(NULL, cert("garbage.crl")), -EINVAL);
    struct pair pair = {.client_tls = tls, .server_tls = new_server("server")};
    pair_connect(&pair, "server.test"); /* and nobody asks for lists */
    CHECK_EQUAL(pair.client_err, 0);
    pair_destroy(&pair);
    return 0;
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
