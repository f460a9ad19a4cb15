/*
 * A large transfer with a peer that is as fast keeps nobody else from running. What the peer moves between
 * two steps of another task is bounded, however slow the machine is: by what one step may move, and what
 * lies in the kernel between the two.
 */
#include "asyncio.h"
#include "support/harness.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
#define TOTAL (64 * MIB)
#define BETWEEN_MAX (16 * MIB)

/* ---- The peer: a thread that reads, or writes, as fast as it can --------------------------- */

static char *data;
static int peer_fd;
static bool peer_writes;
static _Atomic size_t moved;

static void *peer(void *unused)
{
    static char block[256 * 1024];
    (void)unused;
    while (moved < TOTAL) {
        ssize_t n = peer_writes ? send(peer_fd, block, sizeof block, MSG_NOSIGNAL)
                                : read(peer_fd, block, sizeof block);
        if (n <= 0)
            break;
        moved += (size_t)n;
    }
    if (peer_writes)
        shutdown(peer_fd, SHUT_WR);
    return NULL;
}

/* ---- Another task ----------------------------------------------------------------------------- */

static bool is_over;
static size_t most_between;

ASYNC(watches)
{
    size_t last = moved;
    while (!is_over) {
        asyncio_sleep(0);
        size_t now = moved;
        if (now - last > most_between)
            most_between = now - last;
        last = now;
    }
    return 0;
}

typedef int transfer_function(int fd);

ASYNC(transfers, transfer_function *, transfer, bool, receives)
{
    int pair[2];
    pthread_t thread;
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    moved = most_between = 0;
    is_over = false;
    peer_fd = pair[1];
    peer_writes = receives;
    CHECK_EQUAL(pthread_create(&thread, NULL, peer, NULL), 0);
    asyncio_task *watcher = asyncio_create_task(watches());
    CHECK_EQUAL(transfer(pair[0]), 0);
    is_over = true;
    asyncio_await(watcher);
    pthread_join(thread, NULL);
    close(pair[1]);
    CHECK(moved >= TOTAL);
    CHECK(most_between <= BETWEEN_MAX);
    return 0;
}

static void check_transfer(transfer_function *transfer, bool receives)
{
    assert_int_equal(asyncio_run(transfers(transfer, receives)), 0);
    harness_settle();
}

#define TRANSFER_TEST(transfer, receives)                                                                    \
    TEST(transfer)                                                                                           \
    {                                                                                                        \
        check_transfer(transfer, receives);                                                                  \
    }

/* ---- Out ------------------------------------------------------------------------------------- */

static int one_write(int fd)
{
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, data, TOTAL), 0);
    return asyncio_stream_close(stream);
}
TRANSFER_TEST(one_write, false)

static int one_sendall(int fd)
{
    CHECK_EQUAL(asyncio_sock_sendall(fd, data, TOTAL, 0), (ssize_t)TOTAL);
    return asyncio_close(fd);
}
TRANSFER_TEST(one_sendall, false)

static int many_writes(int fd)
{
    for (size_t done = 0; done < TOTAL;) {
        ssize_t n = asyncio_write(fd, data + done, TOTAL - done < MIB ? TOTAL - done : MIB);
        CHECK(n > 0);
        done += n > 0 ? (size_t)n : TOTAL;
    }
    return asyncio_close(fd);
}
TRANSFER_TEST(many_writes, false)

static int one_sendfile(int fd)
{
    char name[] = "/tmp/asyncio-large-XXXXXX";
    int file = mkstemp(name);
    off_t at = 0;
    unlink(name);
    CHECK_EQUAL(ftruncate(file, (off_t)TOTAL), 0);
    CHECK_EQUAL(asyncio_sock_sendfile(fd, file, &at, TOTAL), (ssize_t)TOTAL);
    close(file);
    return asyncio_close(fd);
}
TRANSFER_TEST(one_sendfile, false)

/* ---- In --------------------------------------------------------------------------------------- */

static int one_readexactly(int fd)
{
    asyncio_stream *stream;
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, data, TOTAL), (ssize_t)TOTAL);
    return asyncio_stream_close(stream);
}
TRANSFER_TEST(one_readexactly, true)

static int reads(int fd)
{
    ssize_t n;
    while ((n = asyncio_read(fd, data, MIB)) > 0)
        continue;
    CHECK_EQUAL(n, 0);
    return asyncio_close(fd);
}
TRANSFER_TEST(reads, true)

static int one_recv_of_all(int fd)
{
    CHECK_EQUAL(asyncio_sock_recv(fd, data, TOTAL, MSG_WAITALL), (ssize_t)TOTAL);
    return reads(fd);
}
TRANSFER_TEST(one_recv_of_all, true)

ASYNC(receives_all, int, fd)
{
    ssize_t n = asyncio_sock_recv(fd, data, TOTAL, MSG_WAITALL);
    CHECK(n > 0 && n < (ssize_t)TOTAL);
    return asyncio_sleep(0);
}

/* What has come is returned, and the request is for the next call that waits. */
static int one_recv_cancelled(int fd)
{
    asyncio_task *task = asyncio_create_task(receives_all(fd));
    while (!moved)
        asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    return reads(fd);
}
TRANSFER_TEST(one_recv_cancelled, true)

static int one_readuntil(int fd)
{
    asyncio_connect_options options = {.limit = 2 * TOTAL};
    asyncio_stream *stream;
    char *found;
    CHECK_EQUAL(asyncio_stream_from_fd(fd, &options, &stream), 0);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "x", 1, &found), ASYNCIO_EINCOMPLETE);
    return asyncio_stream_close(stream);
}
TRANSFER_TEST(one_readuntil, true)

ASYNC(drops, int, fd)
{
    return reads(fd);
}

static int one_copy(int fd)
{
    asyncio_stream *from, *to;
    int pair[2];
    CHECK_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    asyncio_task *end = asyncio_create_task(drops(pair[1]));
    CHECK_EQUAL(asyncio_stream_from_fd(fd, NULL, &from), 0);
    CHECK_EQUAL(asyncio_stream_from_fd(pair[0], NULL, &to), 0);
    CHECK(asyncio_stream_copy(from, to) >= (ssize_t)TOTAL);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    asyncio_await(end);
    return asyncio_stream_close(from);
}
TRANSFER_TEST(one_copy, true)

static int allocate(void **state)
{
    (void)state;
    data = calloc(1, TOTAL);
    return !data;
}

static int release(void **state)
{
    (void)state;
    free(data);
    return 0;
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = allocate, .group_teardown = release};
    return tests_run(&fixtures);
}
