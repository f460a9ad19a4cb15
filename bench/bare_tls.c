/*
 * The yardstick of `tls`: OpenSSL over blocking sockets, a thread for each side, which reads as much as there
 * is (read_ahead). Handshakes: both sides in one thread, taking turns. See tls.h.
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

/* ---- Handshakes ---- */

struct contexts {
    SSL_CTX *client, *server;
    SSL_SESSION *session;
    int resumes;
};

static SSL *make_side(SSL_CTX *context, int fd, int is_server)
{
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    if (is_server)
        SSL_set_accept_state(ssl);
    else
        SSL_set_connect_state(ssl);
    return ssl;
}

static void connect_once(void *arg)
{
    struct contexts *contexts = arg;
    int fds[2];
    char c;
    BENCH_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    SSL *client = make_side(contexts->client, fds[0], 0), *server = make_side(contexts->server, fds[1], 1);
    if (contexts->session)
        SSL_set_session(client, contexts->session);
    while (SSL_do_handshake(client) != 1)
        SSL_do_handshake(server);
    BENCH_CHECK(SSL_do_handshake(server) == 1);
    BENCH_CHECK(SSL_write(server, "x", 1) == 1 && SSL_read(client, &c, 1) == 1);
    BENCH_CHECK(!contexts->session || SSL_session_reused(client));
    if (contexts->resumes) {
        SSL_SESSION_free(contexts->session);
        contexts->session = SSL_get1_session(client);
    }
    SSL_shutdown(server);
    SSL_shutdown(client);
    SSL_shutdown(server);
    SSL_free(client);
    SSL_free(server);
    close(fds[0]);
    close(fds[1]);
}

static void measure_handshakes(const char *variant, SSL_CTX *client, SSL_CTX *server)
{
    struct contexts contexts = {client, server, NULL, strcmp(variant, "resumed") == 0};
    tls_measure_handshakes(variant, connect_once, &contexts);
    SSL_SESSION_free(contexts.session);
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
    SSL_CTX_set_read_ahead(client, 1);
    SSL_CTX_set_read_ahead(server, 1);
    SSL_CTX_set_default_read_buffer_len(client, 32 * 1024);
    SSL_CTX_set_default_read_buffer_len(server, 32 * 1024);
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
    for (char **variant = argv + 2; *variant; variant++) {
        if (tls_is_handshakes(*variant))
            measure_handshakes(*variant, client, server);
        else
            tls_measure(*variant, transfer, &sides);
    }
    SSL_free(sides.from);
    SSL_free(sides.to);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
    return 0;
}
