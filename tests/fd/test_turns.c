/*
 * Turns to transfer, where tasks and a stream have one descriptor: each in the order of the calls, whole,
 * and nobody is forgotten; neither when the task whose turn it is will never run again.
 */
#include "core/loop.h"
#include "core/task.h"
#include "fd/stream_test.h"
#include <poll.h>

#define MUCH 300000 /* more than the narrow sockets hold */
#define LITTLE 100

static char *many(char c, size_t n)
{
    char *block = malloc(n);
    memset(block, c, n);
    return block;
}

ASYNC(sends_all, int, fd, char, c, size_t, n)
{
    char *block = many(c, n);
    ssize_t sent = asyncio_sock_sendall(fd, block, n, 0);
    free(block);
    return sent;
}

static void write_many(asyncio_stream *stream, char c, size_t n)
{
    char *block = many(c, n);
    CHECK_EQUAL(asyncio_stream_write(stream, block, n), 0);
    free(block);
}

static asyncio_stream *narrow_stream(int *peer)
{
    asyncio_stream *stream = stream_to(peer, NULL);
    net_make_narrow(asyncio_stream_fd(stream));
    net_make_narrow(*peer);
    return stream;
}

/* Reads n bytes; how often each letter of `order` came, in one piece and in this order. */
ASYNC(reads_runs, int, peer, size_t, n, const char *, order, size_t *, counts)
{
    char block[65536];
    size_t at = 0;
    while (n) {
        ssize_t got = asyncio_read(peer, block, sizeof block);
        if (got <= 0)
            return got;
        n -= (size_t)got;
        for (ssize_t i = 0; i < got; i++) {
            while (order[at] && block[i] != order[at])
                at++;
            if (!order[at])
                return -EPROTO;
            counts[at]++;
        }
    }
    return 0;
}

/* The rest of what both have sent comes, and in order. */
static void check_runs(int peer, const char *order, const size_t *expected)
{
    size_t counts[4] = {0}, sum = 0;
    for (size_t i = 0; order[i]; i++)
        sum += expected[i];
    CHECK_EQUAL(asyncio_wait_for(reads_runs(peer, sum, order, counts), 20), 0);
    for (size_t i = 0; order[i]; i++)
        CHECK_EQUAL(counts[i], expected[i]);
}

static void check_sent(asyncio_task *task, size_t n)
{
    CHECK_EQUAL(asyncio_wait_for(task, 20), n);
}

/* The stream's turn is over as soon as it has sent, and goes on to who stands behind it. */
ASYNC_TEST(stream_first)
{
    int peer;
    asyncio_stream *stream = narrow_stream(&peer);
    write_many(stream, 'a', MUCH);
    asyncio_task *second = asyncio_create_task(sends_all(asyncio_stream_fd(stream), 'b', MUCH));
    asyncio_task *third = asyncio_create_task(sends_all(asyncio_stream_fd(stream), 'c', LITTLE));
    settle();
    check_runs(peer, "abc", (size_t[]){MUCH, MUCH, LITTLE});
    check_sent(second, MUCH);
    check_sent(third, LITTLE);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_close(peer);
    return 0;
}

/* All that waits fits at once: one event for three turns. */
ASYNC_TEST(one_event)
{
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    int fd = asyncio_stream_fd(stream);
    net_make_narrow(fd);
    net_make_narrow(peer);
    size_t filled = net_fill(fd);
    asyncio_task *first = asyncio_create_task(sends_all(fd, 'a', LITTLE));
    settle();
    write_many(stream, 'b', LITTLE);
    asyncio_task *third = asyncio_create_task(sends_all(fd, 'c', LITTLE));
    asyncio_task *fourth = asyncio_create_task(sends_all(fd, 'd', LITTLE));
    settle();
    for (size_t got = 0; got < filled; got += net_drain(peer))
        continue;
    check_runs(peer, "abcd", (size_t[]){LITTLE, LITTLE, LITTLE, LITTLE});
    check_sent(first, LITTLE);
    check_sent(third, LITTLE);
    check_sent(fourth, LITTLE);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_close(peer);
    return 0;
}

/* ---- A turn that nobody takes --------------------------------------------------------------------- */

static int left_peer;
static size_t left_bytes;
static asyncio_stream *left_stream;

/* A stream waits behind two tasks. */
ASYNC(leaves_a_turn)
{
    left_stream = stream_to(&left_peer, NULL);
    int fd = asyncio_stream_fd(left_stream);
    net_make_narrow(fd);
    net_make_narrow(left_peer);
    left_bytes = net_fill(fd);
    for (int i = 0; i < 2; i++)
        asyncio_release(asyncio_create_task(sends_all(fd, 't', LITTLE)));
    settle();
    CHECK_EQUAL(asyncio_stream_write(left_stream, "queued", 6), 0);
    return 0;
}

/* There is room when the loop runs no more tasks. It closes over both of them, and the turn passes from one
 * to the other and to the stream, which has what it accepted sent. Their stacks are abandoned: last in this
 * program. */
TEST(turn_not_taken)
{
    char text[16] = "";
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, leaves_a_turn());
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, &task->future), 0);
    for (size_t got = 0; got < left_bytes; got += net_drain(left_peer))
        continue;
    struct pollfd one = {.fd = asyncio_stream_fd(left_stream), .events = POLLOUT};
    CHECK_EQUAL(poll(&one, 1, 10000), 1);
    net_poll(loop); /* the turn is given, and not taken */
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    CHECK_EQUAL(report_count, 2);
    for (size_t i = 0; i < report_count; i++)
        CHECK_HAS(reports[i].message, "it waits in writing a descriptor");
    CHECK_EQUAL(recv(left_peer, text, sizeof text, MSG_DONTWAIT), 6);
    CHECK_TEXT(text, "queued");
    CHECK_EQUAL(asyncio_stream_close(left_stream), 0);
    close(left_peer);
    harness_settle();
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
