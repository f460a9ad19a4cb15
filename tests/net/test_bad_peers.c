/*
 * Peers that behave badly, and days on which everything runs out.
 */
#include "asyncio.h"
#include "base/sanitizer.h"
#include "core/loop.h"
#include "support/harness.h"
#include "support/net.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        asyncio_sleep(0.0002);
}

static double cpu_time(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Echoes what comes, until the end or an error, which it returns; closes. */
ASYNC(echo, int, fd, size_t *, echoed)
{
    char block[1024];
    ssize_t n;
    while ((n = asyncio_sock_recv(fd, block, sizeof block, 0)) > 0) {
        ssize_t sent = asyncio_sock_sendall(fd, block, (size_t)n, 0);
        if (sent < 0) {
            n = sent;
            break;
        }
        if (echoed)
            *echoed += (size_t)n;
    }
    asyncio_close(fd);
    return n;
}

/* One byte at a time: each is a request of its own, and all come back. */
ASYNC_TEST(dribble)
{
    int fds[2];
    size_t echoed = 0;
    net_tcp_pair(fds);
    asyncio_task *server = asyncio_create_task(echo(fds[1], &echoed));
    for (int i = 0; i < 1000; i++) {
        char c = (char)i, back = (char)~c;
        CHECK_EQUAL(send(fds[0], &c, 1, 0), 1);
        CHECK_EQUAL(asyncio_sock_recv(fds[0], &back, 1, 0), 1);
        CHECK_EQUAL(back, c);
    }
    asyncio_close(fds[0]);
    CHECK_EQUAL(asyncio_await(server), 0);
    CHECK_EQUAL(echoed, 1000);
    return 0;
}

/* Never reads: the server waits, and keeps nothing but what the kernel keeps. */
ASYNC_TEST(never_reads)
{
    int fds[2];
    size_t echoed = 0;
    net_tcp_pair(fds);
    net_make_narrow(fds[0]);
    net_make_narrow(fds[1]);
    asyncio_task *server = asyncio_create_task(echo(fds[1], &echoed));
    for (size_t idle = 0; idle < 5;) {
        size_t sent = net_fill(fds[0]);
        idle = sent ? 0 : idle + 1;
        settle();
    }
    size_t before = heap_bytes();
    size_t stuck_at = echoed;
    double cpu = cpu_time();
    asyncio_sleep(0.1);
    CHECK_EQUAL(echoed, stuck_at);
    CHECK(!asyncio_done(server));
    CHECK(cpu_time() - cpu < 0.05);
    CHECK(heap_bytes() <= before + 1024);
    /* It reads after all: all goes on. */
    for (int i = 0; i < 1000 && echoed == stuck_at; i++) {
        net_drain(fds[0]);
        settle();
    }
    CHECK(echoed > stuck_at);
    asyncio_close(fds[0]);
    intptr_t result = asyncio_await(server);
    CHECK(result == 0 || result == -ECONNRESET || result == -EPIPE);
    return 0;
}

/* Gone in the middle of a message: what came is delivered, then the error. */
ASYNC(read_message, int, fd, char *, buf, size_t, n)
{
    size_t got = 0;
    while (got < n) {
        ssize_t part = asyncio_sock_recv(fd, buf + got, n - got, 0);
        if (part <= 0)
            return part < 0 ? part : (intptr_t)got;
        got += (size_t)part;
    }
    return (intptr_t)got;
}

ASYNC_TEST(gone)
{
    for (int reset = 0; reset < 2; reset++) {
        int fds[2];
        char buf[100] = "";
        net_tcp_pair(fds);
        asyncio_task *reader = asyncio_create_task(read_message(fds[1], buf, sizeof buf));
        settle();
        CHECK_EQUAL(send(fds[0], "half", 4, 0), 4);
        settle();
        if (reset)
            net_reset_at_close(fds[0]);
        close(fds[0]);
        CHECK_EQUAL(asyncio_await(reader), reset ? -ECONNRESET : 4);
        CHECK_TEXT(buf, "half");
        asyncio_close(fds[1]);
    }
    return 0;
}

/* ---- Crowds -------------------------------------------------------------------------------- */

enum { CROWD = 10000 };

/* Room for two descriptors a connection, if the system grants it; how many connections there is room for. */
static int crowd_size(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int room = limit.rlim_cur > 2 * CROWD + 100 ? CROWD : (int)(limit.rlim_cur - 100) / 2;
    return is_slow_build() && room > 300 ? 300 : room;
}

ASYNC_TEST(idle_crowd)
{
    static int clients[CROWD];
    static asyncio_task *servers[CROWD];
    int n = crowd_size();
    for (int i = 0; i < n; i++) {
        int fds[2];
        net_unix_pair(SOCK_STREAM, fds);
        clients[i] = fds[0];
        servers[i] = asyncio_create_task(echo(fds[1], NULL));
    }
    settle();
    CHECK_EQUAL(net_registrations(-1), n);
    double cpu = cpu_time();
    asyncio_sleep(0.1);
    CHECK(is_slow_build() || cpu_time() - cpu < 0.05); /* those who have nothing to say cost nothing */
    for (int i = 0; i < n; i += 97) {
        char c = 0;
        CHECK_EQUAL(asyncio_sock_send(clients[i], "x", 1, 0), 1);
        CHECK_EQUAL(asyncio_sock_recv(clients[i], &c, 1, 0), 1);
    }
    for (int i = 0; i < n; i++)
        asyncio_close(clients[i]);
    for (int i = 0; i < n; i++)
        CHECK_EQUAL(asyncio_await(servers[i]), 0);
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

/* No descriptor is left: accept says so at once, each time it is asked; with one it goes on. */
ASYNC(main_no_descriptors)
{
    struct sockaddr_in address;
    struct rlimit limit, low;
    int listener = net_listen(&address, 10), client = net_tcp(), spare = dup(listener);
    CHECK_EQUAL(asyncio_wait_for(asyncio_ensure_future(asyncio_create_task(echo(-1, NULL))), 1), -EBADF);
    getrlimit(RLIMIT_NOFILE, &limit);
    low = limit;
    low.rlim_cur = (rlim_t)spare + 1;
    CHECK_EQUAL(connect(client, (struct sockaddr *)&address, sizeof address), 0);
    setrlimit(RLIMIT_NOFILE, &low);
    double cpu = cpu_time();
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_sock_accept(listener, NULL, NULL), -EMFILE);
        asyncio_sleep(0.03);
    }
    CHECK(cpu_time() - cpu < 0.05);
    close(spare);
    int server = asyncio_sock_accept(listener, NULL, NULL);
    CHECK(server >= 0);
    setrlimit(RLIMIT_NOFILE, &limit);
    char c;
    CHECK_EQUAL(asyncio_sock_send(server, "x", 1, 0), 1);
    CHECK_EQUAL(asyncio_sock_recv(client, &c, 1, 0), 1);
    asyncio_close(server);
    asyncio_close(client);
    asyncio_close(listener);
    return 0;
}

TEST(no_descriptors)
{
    if (RUNNING_ON_VALGRIND)
        skip(); /* it has limits of its own */
    CHECK_EQUAL(run(main_no_descriptors), 0);
    harness_settle();
}

/* ---- Firehoses ------------------------------------------------------------------------------- */

ASYNC(pour, int, fd)
{
    char block[65536] = "";
    for (;;) {
        ssize_t n = asyncio_sock_send(fd, block, sizeof block, 0);
        if (n < 0)
            return n;
    }
}

ASYNC(swallow, int, fd, size_t *, swallowed)
{
    char block[512];
    for (;;) {
        ssize_t n = asyncio_sock_recv(fd, block, sizeof block, 0);
        if (n <= 0)
            return n;
        *swallowed += (size_t)n;
    }
}

/* More comes than is ever read: timers and others have their turn. */
ASYNC_TEST(firehose)
{
    int fds[2], quiet[2];
    size_t swallowed = 0;
    net_tcp_pair(fds);
    net_tcp_pair(quiet);
    asyncio_task *tasks[] = {asyncio_create_task(pour(fds[0])),
                             asyncio_create_task(swallow(fds[1], &swallowed)),
                             asyncio_create_task(echo(quiet[1], NULL))};
    double began = asyncio_time();
    for (int i = 0; i < 20; i++) {
        char c;
        CHECK_EQUAL(asyncio_sleep(0.0005), 0);
        CHECK_EQUAL(asyncio_sock_send(quiet[0], "x", 1, 0), 1);
        CHECK_EQUAL(asyncio_sock_recv(quiet[0], &c, 1, 0), 1);
    }
    CHECK(asyncio_time() - began < 20); /* and not for ever */
    CHECK(swallowed > 10000);
    asyncio_close(quiet[0]);
    CHECK_EQUAL(asyncio_await(tasks[2]), 0);
    for (int i = 0; i < 2; i++) {
        asyncio_cancel(tasks[i]);
        CHECK_EQUAL(asyncio_await(tasks[i]), -ECANCELED);
        asyncio_close(fds[i]);
    }
    return 0;
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
