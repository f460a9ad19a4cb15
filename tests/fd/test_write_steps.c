/*
 * A large write gives way between its steps: others run, and may cancel it, write, end, close or abort the
 * stream, or close the loop meanwhile. A peer that does not read keeps all but the first bytes in the queue.
 */
#include "fd/stream_test.h"
#include <fcntl.h>
#include <string.h>
#include <sys/uio.h>

#define MIB ((size_t)1 << 20)
#define TOTAL (16 * MIB)
/* What others must be able to do during one write, at the least. */
#define RUNS_MIN 15

static char *data, *received;
static bool is_over;
static int runs;

ASYNC(runs_beside)
{
    while (!is_over) {
        asyncio_sleep(0);
        runs++;
    }
    return 0;
}

/* One end is the stream, the other its peer. */
static asyncio_stream *open_pair(int *peer)
{
    int fds[2];
    asyncio_stream *stream = NULL;
    net_unix_pair(SOCK_STREAM, fds);
    *peer = fds[1];
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    return stream;
}

/* Reads to the end; how many bytes, which are in `received`. */
ASYNC(receives, int, peer, size_t, room)
{
    size_t got = 0;
    ssize_t n;
    while (got < room && (n = asyncio_read(peer, received + got, room - got)) > 0)
        got += (size_t)n;
    return (intptr_t)got;
}

/* ---- Others run ------------------------------------------------------------------------------ */

static int write_whole(asyncio_stream *stream)
{
    return asyncio_stream_write(stream, data, TOTAL);
}

static int write_parts(asyncio_stream *stream)
{
    struct iovec parts[] = {{data, MIB / 2}, {NULL, 0}, {data, 9 * MIB}, {data, TOTAL - MIB / 2 - 9 * MIB}};
    return asyncio_stream_writev(stream, parts, 4);
}

static void check_runs(int (*write_large)(asyncio_stream *))
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    is_over = false;
    asyncio_task *beside = asyncio_create_task(runs_beside());
    asyncio_sleep(0);
    runs = 0;
    CHECK_EQUAL(write_large(stream), 0);
    CHECK(runs >= RUNS_MIN);
    is_over = true;
    asyncio_await(beside);
    asyncio_stream_abort(stream);
    close(peer);
}

ASYNC_TEST(others_run)
{
    check_runs(write_whole);
    check_runs(write_parts);
    return 0;
}

/* ---- All of it arrives, in one piece ---------------------------------------------------------- */

ASYNC(writes_mark, asyncio_stream *, stream)
{
    return asyncio_stream_write(stream, "next", 4);
}

ASYNC(sends_mark, int, fd)
{
    return asyncio_sock_sendall(fd, "raw!", 4, 0);
}

ASYNC(writes_raw_mark, int, fd)
{
    return asyncio_write(fd, "raw!", 4);
}

/* Neither another writer nor a sender on the descriptor comes in between. */
ASYNC_TEST(in_one_piece)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    asyncio_task *reader = asyncio_create_task(receives(peer, TOTAL + 8));
    asyncio_task *large = asyncio_create_task(write_all(stream, data, TOTAL));
    asyncio_task *marks[] = {asyncio_create_task(writes_mark(stream)),
                             asyncio_create_task(sends_mark(asyncio_stream_fd(stream)))};
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(asyncio_await(marks[0]), 0);
    CHECK_EQUAL(asyncio_await(marks[1]), 4);
    CHECK_EQUAL(asyncio_await(reader), TOTAL + 8);
    CHECK(memcmp(received, data, TOTAL) == 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_close(peer);
    return 0;
}

ASYNC_TEST(parts)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    struct iovec parts[2048];
    size_t each = TOTAL / 2048;
    for (size_t i = 0; i < 2048; i++)
        parts[i] = (struct iovec){data + i * each, each};
    asyncio_task *reader = asyncio_create_task(receives(peer, TOTAL + 1));
    CHECK_EQUAL(asyncio_stream_writev(stream, parts, 2048), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    CHECK(memcmp(received, data, TOTAL) == 0);
    asyncio_close(peer);
    return 0;
}

ASYNC_TEST(file)
{
    char name[] = "/tmp/asyncio-steps-XXXXXX";
    int file = mkstemp(name), again = dup(file);
    asyncio_stream *stream;
    unlink(name);
    CHECK_EQUAL(asyncio_stream_from_fd(file, NULL, &stream), 0);
    asyncio_task *large = asyncio_create_task(write_all(stream, data, TOTAL));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(pread(again, received, TOTAL + 1, 0), TOTAL);
    CHECK(memcmp(received, data, TOTAL) == 0);
    close(again);
    return 0;
}

/* ---- What others do amid the write ------------------------------------------------------------- */

/* A task that is amid its write. */
static asyncio_task *begin_large(asyncio_stream *stream)
{
    asyncio_task *large = asyncio_create_task(write_all(stream, data, TOTAL));
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK(!asyncio_done(large));
    return large;
}

/* A pipe takes a step's bytes whole, so that nothing is queued between two steps. Still the others wait. */
ASYNC_TEST(room_amid)
{
    int ends[2];
    size_t got = 0;
    asyncio_stream *stream;
    net_pipe(ends);
    fcntl(ends[1], F_SETPIPE_SZ, (int)MIB);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    CHECK_EQUAL(asyncio_stream_from_fd(ends[1], NULL, &stream), 0);
    asyncio_task *large = asyncio_create_task(write_all(stream, data, TOTAL));
    asyncio_sleep(0);
    asyncio_task *mark = asyncio_create_task(writes_mark(stream));
    asyncio_task *raw = asyncio_create_task(writes_raw_mark(ends[1]));
    while (got < TOTAL + 8) { /* reads before each step */
        ssize_t n = read(ends[0], received + got, TOTAL + 8 - got);
        got += n > 0 ? (size_t)n : 0;
        if (n <= 0)
            asyncio_sleep(0);
    }
    CHECK(memcmp(received, data, TOTAL) == 0);
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(asyncio_await(mark), 0);
    CHECK_EQUAL(asyncio_await(raw), 4);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(ends[0]);
    return 0;
}

static bool has_written;

ASYNC(writes_and_sleeps, asyncio_stream *, stream)
{
    CHECK_EQUAL(asyncio_stream_write(stream, data, TOTAL), 0);
    has_written = true;
    return asyncio_sleep(0);
}

/* The bytes are accepted, and the request is for the next call that waits. */
ASYNC_TEST(cancelled)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    has_written = false;
    asyncio_task *task = asyncio_create_task(writes_and_sleeps(stream));
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK(asyncio_cancel(task) && !has_written);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK(has_written);
    asyncio_task *reader = asyncio_create_task(receives(peer, TOTAL + 1));
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    asyncio_close(peer);
    return 0;
}

ASYNC_TEST(aborted)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    asyncio_task *large = begin_large(stream), *mark = asyncio_create_task(writes_mark(stream));
    asyncio_sleep(0);
    asyncio_stream_abort(stream);
    CHECK_EQUAL(asyncio_await(large), -EBADF);
    CHECK_EQUAL(asyncio_await(mark), -EBADF);
    close(peer);
    return 0;
}

ASYNC_TEST(peer_leaves)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    asyncio_task *large = begin_large(stream), *mark = asyncio_create_task(writes_mark(stream));
    close(peer);
    int err = (int)asyncio_await(large);
    CHECK(err == -EPIPE || err == -ECONNRESET);
    CHECK_EQUAL(asyncio_await(mark), err);
    CHECK_EQUAL(asyncio_stream_close(stream), err);
    return 0;
}

/* The end comes after the write that is under way, and before the one that waits. */
ASYNC_TEST(ended)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    asyncio_task *reader = asyncio_create_task(receives(peer, TOTAL + 1));
    asyncio_task *large = begin_large(stream), *mark = asyncio_create_task(writes_mark(stream));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
    CHECK_EQUAL(asyncio_await(large), 0);
    CHECK_EQUAL(asyncio_await(mark), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_close(peer);
    return 0;
}

ASYNC_TEST(closed)
{
    int peer;
    asyncio_stream *stream = open_pair(&peer);
    asyncio_task *large = begin_large(stream), *mark = asyncio_create_task(writes_mark(stream));
    asyncio_task *reader = asyncio_create_task(receives(peer, TOTAL + 1));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_await(large), 0);
    int err = (int)asyncio_await(mark); /* it finds the stream closing, or closed */
    CHECK(err == ASYNCIO_ESTATE || err == -EBADF);
    CHECK_EQUAL(asyncio_await(reader), TOTAL);
    asyncio_close(peer);
    return 0;
}

/* A close that does not wait takes the stream away from the writer. */
ASYNC_TEST(closed_at_once)
{
    int fds[2];
    asyncio_stream *stream;
    net_unix_pair(SOCK_STREAM, fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], &(asyncio_connect_options){.close_timeout = -1}, &stream), 0);
    asyncio_task *large = begin_large(stream);
    CHECK_EQUAL(asyncio_stream_close(stream), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_await(large), -EBADF);
    close(fds[1]);
    return 0;
}

/* ---- The loop closes ------------------------------------------------------------------------------ */

static asyncio_stream *left;

ASYNC(leaves_amid, int *, peer)
{
    left = open_pair(peer);
    asyncio_release(asyncio_create_task(write_all(left, data, TOTAL)));
    asyncio_sleep(0);
    asyncio_sleep(0);
    return 0;
}

TEST(loop_closes)
{
    int peer;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, leaves_amid(&peer));
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    CHECK_EQUAL(asyncio_stream_close(left), -ECONNABORTED);
    asyncio_loop_release(loop);
    close(peer);
    harness_settle();
}

static int allocate(void **state)
{
    (void)state;
    data = malloc(TOTAL);
    received = malloc(TOTAL + 8);
    for (size_t i = 0; data && i < TOTAL; i++)
        data[i] = (char)(i * 2654435761u >> 24);
    return !data || !received;
}

static int release(void **state)
{
    (void)state;
    free(data);
    free(received);
    return 0;
}

int main(void)
{
    static const struct test_fixtures fixtures = {.group_setup = allocate, .group_teardown = release};
    use_descriptors();
    return tests_run(&fixtures);
}
