/*
 * Servers whose clients behave badly: each time nothing leaks, nothing spins, and a good client, which
 * is there all the while, is served.
 */
#include "base/sanitizer.h"
#include "core/loop.h"
#include "fd/stream_test.h"
#include "net/server.h"
#include <linux/tcp.h>
#include <pthread.h>

/* ---- The server, and its good client --------------------------------------------------------- */

static unsigned begun, ended;
static intptr_t last_result; /* of the handler that ended last */

static intptr_t over(intptr_t result)
{
    ended++;
    last_result = result;
    return result;
}

/* Echoes line by line. */
ASYNC(echo, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    begun++;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        int err = asyncio_stream_write(stream, line, (size_t)n);
        if (err)
            return over(err);
    }
    return over(n);
}

/* The first line of a client chooses what it gets: "echo", "pour", "skip" or "wait". */
static size_t skipped;

/* Reads on behind a line that is too long. */
static intptr_t skip_long_lines(asyncio_stream *stream)
{
    static char block[65536];
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0 || n == ASYNCIO_ELIMIT) {
        if (n == ASYNCIO_ELIMIT)
            n = asyncio_stream_read(stream, block, sizeof block);
        if (n <= 0)
            break;
        skipped += (size_t)n;
    }
    return n;
}

static intptr_t pour(asyncio_stream *stream)
{
    static char block[10000];
    for (;;) {
        int err = asyncio_stream_write(stream, block, sizeof block);
        if (err)
            return err;
    }
}

static intptr_t wait_a_little(asyncio_stream *stream)
{
    char *line;
    ssize_t n;
    ASYNCIO_TIMEOUT(n, 0.05) {
        n = asyncio_stream_readline(stream, &line);
    }
    return n;
}

ASYNC(serves, asyncio_stream *, stream)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    if (n <= 0 || *line == 'e')
        return asyncio_await(echo(stream));
    begun++;
    return over(*line == 's' ? skip_long_lines(stream) : *line == 'p' ? pour(stream) : wait_a_little(stream));
}

static asyncio_coro *handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return serves(stream);
}

static int connect_as(asyncio_server *server, const char *what)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)asyncio_server_port(server))};
    int fd = net_tcp();
    CHECK_EQUAL(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    if (what)
        peer_sends(fd, what);
    return fd;
}

static asyncio_server *server;
static int good;

static void begin(void)
{
    asyncio_server_options options = {.backlog = 1024};
    begun = ended = 0;
    server = NULL;
    CHECK_EQUAL(asyncio_start_server(handler, NULL, "127.0.0.1", 0, &options, &server), 0);
    good = connect_as(server, "echo\n");
}

/* What the peer sees next: a number of bytes, 0 for the end, or a negative error. */
static ssize_t seen_by(int fd)
{
    char buf[256];
    for (int i = 0; i < 4000; i++) {
        ssize_t n = recv(fd, buf, sizeof buf, MSG_DONTWAIT);
        if (n >= 0 || errno != EAGAIN)
            return n < 0 ? -errno : n;
        asyncio_sleep(0.0005);
    }
    return -EAGAIN;
}

static void check_good(void)
{
    peer_sends(good, "hello\n");
    CHECK_EQUAL(seen_by(good), 6);
}

static void wait_for_count(const unsigned *count, unsigned value)
{
    for (int i = 0; *count != value && i < 8000; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(*count, value);
}

static void finish(void)
{
    check_good();
    close(good);
    wait_for_count(&ended, begun);
    settle();
    CHECK_EQUAL(server->client_count, 0);
    asyncio_server_close(server);
    CHECK_EQUAL(asyncio_server_wait_closed(server, 0), 0);
    asyncio_server_release(server);
    CHECK_EQUAL(net_registrations(-1), 0);
}

/* While nothing happens, the loop sleeps. */
static void check_idle(double seconds)
{
    uint64_t turns = asyncio_get_running_loop()->steps;
    double cpu = cpu_time();
    asyncio_sleep(seconds);
    CHECK(asyncio_get_running_loop()->steps - turns < 100); /* and not by the thousand */
    CHECK(is_slow_build() || cpu_time() - cpu < seconds / 4);
}

/* ---- Lines without an end -------------------------------------------------------------------- */

/* A thread that sends letters, and no newline, until all are sent or nobody takes them. */
struct endless {
    pthread_t thread;
    int fd;
    size_t total, sent;
};

static void *send_endless(void *arg)
{
    static char letters[65536];
    struct endless *endless = arg;
    memset(letters, 'x', sizeof letters);
    while (endless->sent < endless->total) {
        size_t left = endless->total - endless->sent, most = left < sizeof letters ? left : sizeof letters;
        ssize_t n = send(endless->fd, letters, most, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        endless->sent += (size_t)n;
    }
    shutdown(endless->fd, SHUT_WR);
    return NULL;
}

static void begin_endless(struct endless *endless, const char *what, size_t total)
{
    *endless = (struct endless){.fd = connect_as(server, what), .total = total};
    CHECK_EQUAL(pthread_create(&endless->thread, NULL, send_endless, endless), 0);
}

static size_t end_endless(struct endless *endless)
{
    pthread_join(endless->thread, NULL);
    close(endless->fd);
    return endless->sent;
}

#define GIGABYTE ((size_t)1 << 30)

/* Where lines have a limit, a line of a gigabyte is over soon. */
ASYNC_TEST(gigabyte)
{
    struct endless endless;
    begin();
    check_good();
    begin_endless(&endless, "echo\n", GIGABYTE);
    wait_for_count(&ended, 1);
    CHECK_EQUAL(last_result, ASYNCIO_ELIMIT);
    check_good();
    CHECK(end_endless(&endless) < 64 << 20); /* what sockets hold */
    expect_reports(1);
    CHECK_EQUAL(reports[0].error, ASYNCIO_ELIMIT);
    finish();
    return 0;
}

/* One who reads on gets all of it, in little memory, and others are served meanwhile. */
ASYNC_TEST(gigabyte_skipped)
{
    struct endless endless;
    size_t total = is_slow_build() ? GIGABYTE / 32 : GIGABYTE, most = 0;
    skipped = 0;
    begin();
    check_good();
    size_t before = heap_bytes();
    begin_endless(&endless, "skip\n", total);
    while (ended == 0) {
        check_good();
        size_t now = heap_bytes();
        most = now > before && now - before > most ? now - before : most;
        if (harness_failures())
            break;
    }
    CHECK_EQUAL(last_result, 0);
    CHECK_EQUAL(skipped, total);
    CHECK(most < 1 << 20);
    CHECK_EQUAL(end_endless(&endless), total);
    finish();
    return 0;
}

/* ---- Never reading --------------------------------------------------------------------------- */

ASYNC_TEST(never_reads)
{
    int deaf[10];
    begin();
    for (int i = 0; i < 10; i++)
        deaf[i] = connect_as(server, "pour\n");
    wait_for_count(&begun, 11);
    /* Until sockets are full, the kernel's growing ones, too. */
    uint64_t turns = 0;
    for (int i = 0; i < 200 && asyncio_get_running_loop()->steps - turns > 5; i++) {
        turns = asyncio_get_running_loop()->steps;
        asyncio_sleep(0.02);
    }
    size_t before = heap_bytes();
    check_idle(0.1);
    CHECK(heap_bytes() <= before + 4096);
    for (int i = 0; i < 10; i++) {
        CHECK(server->client_count == 11u - (unsigned)i);
        check_good();
        peer_resets(deaf[i]);
        wait_for_count(&ended, 1 + (unsigned)i);
        CHECK(last_result == -ECONNRESET || last_result == -EPIPE);
    }
    finish();
    return 0;
}

/* ---- Half-open ----------------------------------------------------------------------------------- */

/* The peer's machine is gone: no word of it comes. False where the system does not let us play that. */
static bool vanish(int fd)
{
    int repair = 1;
    bool can = setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &repair, sizeof repair) == 0;
    if (can)
        close(fd);
    return can;
}

ASYNC_TEST(half_open)
{
    begin();
    int reader = connect_as(server, "wait\n"), writer = connect_as(server, "pour\n"), half, plain;
    wait_for_count(&begun, 3);
    if (!vanish(reader)) { /* then it is only silent */
        wait_for_count(&ended, 1);
        close(reader);
    }
    wait_for_count(&ended, 1);
    CHECK_EQUAL(last_result, -ETIMEDOUT); /* who only reads must have a timeout */
    expect_reports(1);
    if (!vanish(writer))
        peer_resets(writer);
    wait_for_count(&ended, 2);
    CHECK(last_result == -ECONNRESET || last_result == -EPIPE);
    /* One direction is closed, and the other goes on. */
    half = connect_as(server, "echo\n");
    peer_sends(half, "one\ntwo");
    shutdown(half, SHUT_WR);
    size_t got = 0;
    for (ssize_t n; (n = seen_by(half)) > 0;)
        got += (size_t)n;
    CHECK_EQUAL(got, 7);
    close(half);
    /* Gone before it said anything. */
    plain = connect_as(server, NULL);
    peer_resets(plain);
    finish();
    return 0;
}

/* ---- Storms ---------------------------------------------------------------------------------- */

struct storm {
    pthread_t thread;
    int port, seed, count;
};

/* Connects and goes at once, in one of the ways there are. */
static void *storms(void *arg)
{
    struct storm *storm = arg;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)storm->port)};
    for (int i = 0; i < storm->count; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
            if ((i + storm->seed) % 3)
                (void)!send(fd, "echo\nhalf a li", (size_t)(i % 14), MSG_NOSIGNAL);
            net_reset_at_close(fd); /* no port waits for what may still come, either */
        }
        close(fd);
    }
    return NULL;
}

ASYNC_TEST(storm)
{
    struct storm some[4];
    begin();
    check_good();
    for (int i = 0; i < 4; i++) {
        some[i] = (struct storm){
            .port = asyncio_server_port(server), .seed = i, .count = is_slow_build() ? 60 : 600};
        CHECK_EQUAL(pthread_create(&some[i].thread, NULL, storms, &some[i]), 0);
    }
    for (int i = 0; i < 50; i++)
        check_good();
    for (int i = 0; i < 4; i++)
        while (pthread_tryjoin_np(some[i].thread, NULL)) /* they need the server to go on */
            check_good();
    for (int i = 0; i < 8000 && server->client_count > 1; i++)
        asyncio_sleep(0.0005);
    CHECK_EQUAL(server->client_count, 1);
    check_idle(0.1);
    finish();
    return 0;
}

/* ---- No descriptors -------------------------------------------------------------------------- */

ASYNC(main_no_descriptors)
{
    static struct net_shortage shortage;
    int waiting[20];
    net_prepare_shortage(&shortage);
    begin();
    check_good();
    for (int i = 0; i < 20; i++)
        waiting[i] = net_tcp();
    net_begin_shortage(&shortage);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    int listener;
    CHECK_EQUAL(asyncio_server_fds(server, &listener, 1), 1);
    CHECK_EQUAL(getsockname(listener, (struct sockaddr *)&address, &length), 0);
    for (int i = 0; i < 20; i++) {
        CHECK_EQUAL(connect(waiting[i], (struct sockaddr *)&address, length), 0);
        peer_sends(waiting[i], "echo\nhello\n");
    }
    double began = asyncio_time();
    for (int i = 0; i < 10; i++)
        check_good(); /* while it is paused */
    check_idle(0.3);
    CHECK_EQUAL(begun, 1);
    CHECK(report_count >= 1 && (double)report_count <= 1 + (asyncio_time() - began)); /* once a second */
    CHECK_EQUAL(reports[0].error, -EMFILE);
    net_end_shortage(&shortage);
    double freed = asyncio_time();
    wait_for_count(&begun, 21);
    double took = asyncio_time() - freed;
    CHECK(took < 20); /* it goes on by itself */
    for (int i = 0; i < 20; i++) {
        CHECK_EQUAL(seen_by(waiting[i]), 6);
        close(waiting[i]);
    }
    expect_reports(report_count);
    finish();
    return 0;
}

TEST(no_descriptors)
{
    if (RUNNING_ON_VALGRIND) /* which has limits of its own */
        skip();
    CHECK_EQUAL(run(main_no_descriptors), 0);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
