/*
 * What a connection gives out: exported keys, and the peer's certificate in DER.
 */
#include "tls/tls.h"
#include "tls/tls_test.h"
#include <openssl/pem.h>

static SSL *ssl_of(asyncio_stream *stream)
{
    return ((struct tls_filter *)stream->filter)->ssl;
}

/* ---- Keys --------------------------------------------------------------------------------- */

/* Ours on one side, OpenSSL's own on the other. */
static void check_export(struct pair *pair, const char *label, const void *context, size_t n, size_t bytes,
                         unsigned char *out)
{
    unsigned char theirs[256];
    memset(out, 0, bytes);
    CHECK_EQUAL(asyncio_stream_tls_export(pair->client, label, context, n, out, bytes), 0);
    CHECK_EQUAL(SSL_export_keying_material(ssl_of(pair->server), theirs, bytes, label, strlen(label), context,
                                           n, context != NULL),
                1);
    CHECK(memcmp(out, theirs, bytes) == 0);
    CHECK_EQUAL(asyncio_stream_tls_export(pair->server, label, context, n, theirs, bytes), 0);
    CHECK(memcmp(out, theirs, bytes) == 0);
}

ASYNC_TEST(keys)
{
    for (int i = 0; i < 2; i++) {
        asyncio_tls_version version = i ? ASYNCIO_TLS_1_3 : ASYNCIO_TLS_1_2;
        unsigned char out[6][256];
        struct pair pair;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, version, version), 0);
        pair_connect(&pair, "server.test");
        check_export(&pair, "EXPORTER-one", NULL, 0, 32, out[0]);
        check_export(&pair, "EXPORTER-two", NULL, 0, 32, out[1]);
        check_export(&pair, "EXPORTER-one", "context", 7, 32, out[2]);
        check_export(&pair, "EXPORTER-one", "", 0, 32, out[3]);
        check_export(&pair, "EXPORTER-one", NULL, 0, 200, out[4]);
        check_export(&pair, "EXPORTER-one", NULL, 0, 1, out[5]);
        CHECK(memcmp(out[0], out[1], 32) != 0 && memcmp(out[0], out[2], 32) != 0);
        CHECK_EQUAL(memcmp(out[0], out[3], 32) == 0, i == 1); /* TLS 1.3 knows no difference */
        pair_destroy(&pair);
    }
    return 0;
}

ASYNC_TEST(bad_exports)
{
    struct pair pair;
    asyncio_stream *plain = NULL;
    char out[32];
    int fds[2];
    char untouched[] = "untouched";
    asyncio_buffer der = {untouched, 3};
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &plain), 0);
    CHECK_EQUAL(asyncio_stream_tls_export(plain, "EXPORTER-x", NULL, 0, out, 32), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "the stream has none");
    CHECK_EQUAL(asyncio_stream_tls_peer_cert(plain, &der), ASYNCIO_ESTATE);
    asyncio_stream_abort(plain);
    close(fds[1]);
    pair_init(&pair);
    pair_connect(&pair, "server.test");
    CHECK_EQUAL(asyncio_stream_tls_export(NULL, "EXPORTER-x", NULL, 0, out, 32), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_export(pair.client, NULL, NULL, 0, out, 32), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_export(pair.client, "", NULL, 0, out, 32), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_export(pair.client, "EXPORTER-x", NULL, 1, out, 32), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_export(pair.client, "EXPORTER-x", out, 65536, out, 32), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_export(pair.client, "EXPORTER-x", NULL, 0, NULL, 32), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_export(pair.client, "EXPORTER-x", NULL, 0, out, 0), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_peer_cert(pair.client, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stream_tls_peer_cert(NULL, &der), -EINVAL);
    CHECK_TEXT(der.data, "untouched");
    pair_destroy(&pair);
    return 0;
}

/* ---- Certificates ---------------------------------------------------------------------------- */

static void check_cert(asyncio_stream *stream, const char *file)
{
    asyncio_buffer der = {NULL, 0};
    unsigned char *expected = NULL;
    FILE *in = fopen(cert(file), "r");
    X509 *certificate = in ? PEM_read_X509(in, NULL, NULL, NULL) : NULL;
    int n = i2d_X509(certificate, &expected);
    CHECK_EQUAL(asyncio_stream_tls_peer_cert(stream, &der), 0);
    CHECK(n > 0 && der.length == (size_t)n && memcmp(der.data, expected, der.length) == 0);
    CHECK(der.data && der.data[der.length] == '\0');
    asyncio_buffer_destroy(&der);
    CHECK(!der.data);
    OPENSSL_free(expected);
    X509_free(certificate);
    if (in)
        fclose(in);
}

/* Also of the sessions that are resumed, on both sides. */
ASYNC_TEST(certificates)
{
    for (int i = 0; i < 4; i++) {
        asyncio_tls_version version = i % 2 ? ASYNCIO_TLS_1_3 : ASYNCIO_TLS_1_2;
        bool has_client_cert = i >= 2;
        struct pair pair;
        pair_init(&pair);
        CHECK_EQUAL(asyncio_tls_context_set_versions(pair.client_tls, version, version), 0);
        if (has_client_cert) {
            CHECK_EQUAL(
                asyncio_tls_context_load_cert(pair.client_tls, cert("client.pem"), cert("client.key")), 0);
            CHECK_EQUAL(asyncio_tls_context_load_ca(pair.server_tls, cert("ca.pem")), 0);
            CHECK_EQUAL(asyncio_tls_context_require_client_cert(pair.server_tls), 0);
        }
        for (int visit = 0; visit < 2; visit++) {
            asyncio_tls_info info;
            char untouched[] = "untouched";
            asyncio_buffer der = {untouched, 3};
            net_unix_pair(SOCK_STREAM, pair.fds);
            pair_connect_over(&pair, "server.test");
            check_echo(&pair);
            CHECK_EQUAL(asyncio_stream_tls_info(pair.client, &info), 0);
            CHECK_EQUAL(info.resumed, visit == 1);
            check_cert(pair.client, "server.pem");
            if (has_client_cert) {
                check_cert(pair.server, "client.pem");
            } else {
                CHECK_EQUAL(asyncio_stream_tls_peer_cert(pair.server, &der), ASYNCIO_ETLS);
                CHECK_HAS(asyncio_error_message(), "the peer has shown no certificate");
                CHECK_TEXT(der.data, "untouched");
            }
            pair_close(&pair);
        }
        pair_destroy(&pair);
    }
    return 0;
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
