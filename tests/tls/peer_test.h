/*
 * A peer that says what a test wants, when it wants. It is OpenSSL itself, between two buffers; what it says
 * is gathered, and sent by the test.
 */
#ifndef TESTS_TLS_PEER_TEST_H
#define TESTS_TLS_PEER_TEST_H

#include "tls/tls_test.h"
#include <openssl/err.h>
#include <openssl/ssl.h>

struct peer {
    SSL *ssl;
    int fd;
    bool is_server;
    char *flood;
    size_t flood_bytes;
};

static inline void peer_send(struct peer *peer)
{
    char *data;
    long n = BIO_get_mem_data(SSL_get_wbio(peer->ssl), &data);
    if (n > 0)
        CHECK(asyncio_sock_sendall(peer->fd, data, (size_t)n, 0) >= 0);
    BIO_reset(SSL_get_wbio(peer->ssl));
}

static inline void peer_init(struct peer *peer, int fd, bool is_server, int version)
{
    SSL_CTX *context = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    *peer = (struct peer){.fd = fd, .is_server = is_server};
    SSL_CTX_set_min_proto_version(context, version);
    SSL_CTX_set_max_proto_version(context, version);
    if (version < TLS1_2_VERSION)
        SSL_CTX_set_cipher_list(context, "ALL:@SECLEVEL=0");
    if (is_server) {
        SSL_CTX_use_certificate_file(context, cert("server.pem"), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(context, cert("server.key"), SSL_FILETYPE_PEM);
    }
    peer->ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (is_server)
        SSL_set_accept_state(peer->ssl);
    else
        SSL_set_connect_state(peer->ssl);
}

static inline void peer_free(struct peer *peer)
{
    SSL_free(peer->ssl);
    free(peer->flood);
    asyncio_close(peer->fd);
}

/* The peer's side of a handshake, as far as it comes. */
ASYNC(peer_shake_hands, struct peer *, peer)
{
    char block[4096];
    for (;;) {
        int result = SSL_do_handshake(peer->ssl), why = SSL_get_error(peer->ssl, result);
        ERR_clear_error();
        peer_send(peer);
        if (result == 1)
            return 0;
        if (why != SSL_ERROR_WANT_READ)
            return -EPROTO;
        ssize_t n = asyncio_sock_recv(peer->fd, block, sizeof block, 0);
        if (n <= 0)
            return n ? n : -ECONNRESET;
        BIO_write(SSL_get_rbio(peer->ssl), block, (int)n);
    }
}

#endif
