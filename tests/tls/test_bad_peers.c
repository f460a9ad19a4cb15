/*
 * TLS servers whose clients behave badly; a good client is served all the while.
 */
#include "core/loop.h"
#include "tls/tls_test.h"
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* ---- The server, and its good client --------------------------------------------------------- */

static asyncio_server *server;
static asyncio_tls_context *server_tls, *client_tls;
static asyncio_stream *good;
static unsigned begun, ended;
static intptr_t last_result;

static intptr_t pour(asyncio_stream *stream)
{
    static char block[10000];
    for (;;) {
        int err = asyncio_stream_write(stream, block, sizeof block);
        if (err)
            return err;
    }
}

/* Echoes line by line; one that is "pour" is answered without an end. */
ASYNC(serves, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    begun++;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        if (strcmp(line, "pour\n") == 0)
            n = pour(stream);
        else
            n = asyncio_stream_write(stream, line, (size_t)n);
        if (n)
            break;
    }
    ended++;
    last_result = n;
    return n;
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serves(stream);
}

static int connect_plain(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    struct timeval patience = {.tv_sec = 10};
    int fd = net_tcp();
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static asyncio_stream *connect_tls(void)
{
    asyncio_stream *stream = NULL;
    CHECK_EQUAL(connect_side(connect_plain(), client_tls, "server.test", &stream), 0);
    return stream;
}

static void begin(double handshake_timeout)
{
    begun = ended = 0;
    server_tls = new_server("server");
    client_tls = new_client("ca.pem");
    CHECK_EQUAL(asyncio_tls_context_set_timeouts(server_tls, handshake_timeout, 0.2), 0);
    asyncio_server_options options = {.tls = server_tls, .backlog = 100};
    CHECK_EQUAL(asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server), 0);
    good = connect_tls();
}

static void check_good(void)
{
    char *line = NULL;
    CHECK_EQUAL(asyncio_stream_write(good, "hello\n", 6), 0);
    CHECK_EQUAL(asyncio_stream_readline(good, &line), 6);
    CHECK_TEXT(line, "hello\n");
}

static void wait_for_count(const unsigned *count, unsigned value)
{
    for (int i = 0; *count != value && i < 10000; i++)
        asyncio_sleep(0.001);
    CHECK_EQUAL(*count, value);
}

static void finish(void)
{
    check_good();
    CHECK_EQUAL(asyncio_stream_close(good), 0);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 10), 0);
    CHECK_EQUAL(ended, begun);
    asyncio_server_release(server);
    asyncio_tls_context_release(server_tls);
    asyncio_tls_context_release(client_tls);
    CHECK_EQUAL(net_registrations(-1), 0);
}

/* ---- Handshakes that never end --------------------------------------------------------------- */

/* Whether the server has closed its side: what it says first is dropped. */
static bool is_over(int fd)
{
    char buf[512];
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, MSG_DONTWAIT)) > 0)
        ;
    return n == 0 || errno != EAGAIN;
}

enum { SILENT, HALF_A_HELLO, DRIBBLES, HTTP, GARBAGE, LEAVES, WAYS };

ASYNC_TEST(handshakes)
{
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    static const char http[] = "GET / HTTP/1.1\r\n\r\n";
    static char garbage[100000];
    int fds[WAYS], open = WAYS - 1;
    const double timeout = is_slow_build() ? 4 : 0.4; /* the good one shakes hands in time, too */
    begin(timeout);
    memset(garbage, 'g', sizeof garbage);
    for (int i = 0; i < WAYS; i++)
        fds[i] = connect_plain();
    send(fds[HALF_A_HELLO], hello, sizeof hello - 1, 0);
    send(fds[HTTP], http, sizeof http - 1, 0);
    send(fds[GARBAGE], garbage, sizeof garbage, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fds[LEAVES]);
    double since = asyncio_time();
    bool over[WAYS] = {[LEAVES] = true};
    for (size_t at = 0; open && asyncio_time() - since < 20; at++) {
        if (!over[DRIBBLES] && at < 500)
            send(fds[DRIBBLES], at < sizeof hello - 1 ? &hello[at] : "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
        check_good();
        asyncio_sleep(0.005);
        for (int i = 0; i < WAYS; i++)
            if (!over[i] && is_over(fds[i])) {
                over[i] = true;
                open--;
                CHECK(i == HTTP || i == GARBAGE || asyncio_time() - since >= timeout - 0.01);
            }
    }
    CHECK_EQUAL(open, 0);
    for (int i = 0; i < WAYS; i++)
        if (i != LEAVES)
            close(fds[i]);
    CHECK_EQUAL(begun, 1); /* no handler saw any of them */
    /* Who left is nobody's business; the others are told of, with their address. */
    CHECK_EQUAL(report_count, 5);
    int late = 0, wrong = 0;
    for (size_t i = 0; i < report_count; i++) {
        late += reports[i].error == -ETIMEDOUT;
        wrong += reports[i].error == ASYNCIO_ETLS;
        CHECK_HAS(reports[i].message, "the TLS handshake with a client failed");
        CHECK_HAS(reports[i].peer, "127.0.0.1:");
    }
    CHECK(late == 3 && wrong == 2);
    expect_reports(report_count);
    finish();
    return 0;
}

/* ---- Records byte by byte -------------------------------------------------------------------- */

ASYNC(carries, int, from, int, to)
{
    char c;
    ssize_t n;
    while ((n = asyncio_sock_recv(from, &c, 1, 0)) == 1)
        if (asyncio_sock_sendall(to, &c, 1, 0) < 0)
            break;
    shutdown(to, SHUT_WR);
    return n < 0 ? n : 0;
}

ASYNC_TEST(byte_by_byte)
{
    enum { LINE = 1200 };
    int front[2], back;
    char text[LINE + 1], *line = NULL;
    asyncio_stream *stream = NULL;
    begin(20);
    net_tcp_pair(front);
    back = connect_plain();
    asyncio_task *ways[] = {asyncio_create_task(carries(front[1], back)),
                            asyncio_create_task(carries(back, front[1]))};
    CHECK_EQUAL(connect_side(front[0], client_tls, "server.test", &stream), 0);
    memset(text, 'b', LINE - 1);
    text[LINE - 1] = '\n';
    text[LINE] = '\0';
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_stream_write(stream, text, LINE), 0);
        check_good();
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), LINE);
        CHECK_TEXT(line, text);
    }
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_gather(NULL, ways[0], ways[1]), 0);
    asyncio_close(front[1]);
    asyncio_close(back);
    finish();
    return 0;
}

/* ---- Renegotiation --------------------------------------------------------------------------- */

/* A client of OpenSSL's own, blocking, in a thread: one line, then it wants to negotiate anew. */
struct renegotiator {
    pthread_t thread;
    int fd;
    bool echoed, refused;
    atomic_bool over;
};

static void *renegotiates(void *arg)
{
    struct renegotiator *self = arg;
    char buf[16] = "";
    sigset_t pipes;
    sigemptyset(&pipes);
    sigaddset(&pipes, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipes, NULL);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, self->fd);
    if (SSL_connect(ssl) == 1 && SSL_write(ssl, "one\n", 4) == 4)
        self->echoed = SSL_read(ssl, buf, sizeof buf) == 4 && memcmp(buf, "one\n", 4) == 0;
    SSL_renegotiate(ssl);
    self->refused = SSL_do_handshake(ssl) != 1;
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(self->fd);
    self->over = true;
    return NULL;
}

ASYNC_TEST(renegotiation)
{
    begin(20);
    struct renegotiator self = {.fd = connect_plain()};
    CHECK_EQUAL(pthread_create(&self.thread, NULL, renegotiates, &self), 0);
    while (!self.over)
        check_good();
    pthread_join(self.thread, NULL);
    CHECK(self.echoed && self.refused);
    wait_for_count(&ended, 1);
    CHECK(last_result < 0);
    expect_reports(last_result == ASYNCIO_ETLS);
    finish();
    return 0;
}

/* ---- Too much, and never reading ------------------------------------------------------------- */

ASYNC(sends_endlessly, asyncio_stream *, stream, size_t *, sent)
{
    static char letters[16384];
    memset(letters, 'x', sizeof letters);
    for (;;) {
        int err = asyncio_stream_write(stream, letters, sizeof letters);
        if (err)
            return err;
        *sent += sizeof letters;
    }
}

ASYNC_TEST(endless_line)
{
    size_t sent = 0;
    begin(20);
    asyncio_stream *stream = connect_tls();
    asyncio_task *task = asyncio_create_task(sends_endlessly(stream, &sent));
    while (!asyncio_done(task))
        check_good();
    CHECK(asyncio_await(task) < 0);
    CHECK(sent < 64 << 20);
    CHECK_EQUAL(last_result, ASYNCIO_ELIMIT);
    expect_reports(1);
    asyncio_stream_abort(stream);
    finish();
    return 0;
}

ASYNC_TEST(never_reads)
{
    asyncio_stream *deaf[5];
    uint64_t turns = 0;
    begin(20);
    for (int i = 0; i < 5; i++) {
        deaf[i] = connect_tls();
        CHECK_EQUAL(asyncio_stream_write(deaf[i], "pour\n", 5), 0);
    }
    wait_for_count(&begun, 6);
    for (int i = 0; i < 200 && asyncio_get_running_loop()->steps - turns > 5; i++) {
        turns = asyncio_get_running_loop()->steps;
        asyncio_sleep(0.02);
    }
    size_t before = heap_bytes();
    turns = asyncio_get_running_loop()->steps;
    asyncio_sleep(0.1);
    CHECK(asyncio_get_running_loop()->steps - turns < 10);
    CHECK(heap_bytes() <= before + 4096);
    for (unsigned i = 0; i < 5; i++) {
        check_good();
        asyncio_stream_abort(deaf[i]);
        wait_for_count(&ended, 1 + i);
        CHECK(last_result == -ECONNRESET || last_result == -EPIPE);
    }
    finish();
    return 0;
}

int main(void)
{
    certs_make();
    use_descriptors();
    return tests_run(NULL);
}
