/*
 * The yardstick of `tls`: OpenSSL over blocking sockets, a thread for each side. See tls.h.
 */
#include "tls.h"

#include <pthread.h>

struct sides {
    SSL *from, *to;
    size_t total, each;
};

static void *shake_hands(void *arg)
{
    BENCH_CHECK(SSL_do_handshake(arg) == 1);
    return NULL;
}

static void *send_all(void *arg)
{
    struct sides *sides = arg;
    char *block = calloc(1, sides->each);
    for (size_t sent = 0; sent < sides->total; sent += sides->each)
        BENCH_CHECK(SSL_write(sides->from, block, (int)sides->each) == (int)sides->each);
    free(block);
    return NULL;
}

static void transfer(void *arg, size_t total, size_t each)
{
    struct sides *sides = arg;
    char *block = malloc(TLS_READ_BYTES);
    pthread_t sender;
    sides->total = total;
    sides->each = each;
    BENCH_CHECK(pthread_create(&sender, NULL, send_all, sides) == 0);
    for (size_t got = 0; got < total;) {
        int n = SSL_read(sides->to, block, TLS_READ_BYTES);
        BENCH_CHECK(n > 0);
        got += (size_t)n;
    }
    pthread_join(sender, NULL);
    free(block);
}

int main(int argc, char **argv)
{
    SSL_CTX *client = SSL_CTX_new(TLS_client_method()), *server = SSL_CTX_new(TLS_server_method());
    const char *certificate = tls_make_certificate();
    int fds[2];
    pthread_t thread;
    BENCH_CHECK(argc > 2 && client && server);
    BENCH_CHECK(SSL_CTX_use_certificate_file(server, certificate, SSL_FILETYPE_PEM) == 1);
    BENCH_CHECK(SSL_CTX_use_PrivateKey_file(server, certificate, SSL_FILETYPE_PEM) == 1);
    unlink(certificate);
    tls_connect(fds);
    struct sides sides = {SSL_new(client), SSL_new(server), 0, 0};
    SSL_set_connect_state(sides.from);
    SSL_set_accept_state(sides.to);
    SSL_set_fd(sides.from, fds[0]);
    SSL_set_fd(sides.to, fds[1]);
    BENCH_CHECK(pthread_create(&thread, NULL, shake_hands, sides.from) == 0);
    shake_hands(sides.to);
    pthread_join(thread, NULL);
    BENCH_CHECK(strcmp(SSL_get_cipher_name(sides.from), TLS_CIPHER) == 0);
    for (char **variant = argv + 2; *variant; variant++)
        tls_measure(*variant, transfer, &sides);
    SSL_free(sides.from);
    SSL_free(sides.to);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    return 0;
}
