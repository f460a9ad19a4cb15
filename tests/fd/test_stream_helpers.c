/*
 * Streams: writes that do not wait, what is queued, whether a connection may be used again, copies of so many
 * bytes, files, the peer as text.
 */
#include "fd/stream.h"
#include "fd/stream_test.h"
#include "sys/sys.h"
#include <fcntl.h>
#include <poll.h>

#define MANY 300000

static char pattern[MANY];

static void make_pattern(void)
{
    for (size_t i = 0; i < MANY; i++)
        pattern[i] = (char)(i * 7 + i / 251);
}

/* Reads so many bytes of the pattern, from `at` on. */
static void check_peer_gets(int peer, size_t at, size_t n)
{
    static char block[65536];
    while (n) {
        ssize_t got = recv(peer, block, n < sizeof block ? n : sizeof block, MSG_DONTWAIT);
        if (got < 0 && errno == EAGAIN) {
            asyncio_sleep(0.0005);
            continue;
        }
        CHECK(got > 0 && memcmp(block, pattern + at, (size_t)got) == 0);
        if (got <= 0)
            return;
        at += (size_t)got;
        n -= (size_t)got;
    }
}

/* A stream over a Unix socket, whose buffers are small. */
static asyncio_stream *unix_stream_to(int *peer)
{
    int fds[2];
    asyncio_stream *stream = NULL;
    net_unix_pair(SOCK_STREAM, fds);
    *peer = fds[1];
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    return stream;
}

/* ---- Writes that do not wait ----------------------------------------------------------------- */

ASYNC_TEST(write_nowait)
{
    int peer;
    asyncio_stream *stream = unix_stream_to(&peer);
    static const size_t sizes[] = {1, 2, 4095, 4096, 4097, 65537, 0};
    size_t sum = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        CHECK_EQUAL(asyncio_stream_write_nowait(stream, pattern + sum, sizes[i]), 0);
        sum += sizes[i];
    }
    check_peer_gets(peer, 0, sum);
    CHECK_EQUAL(asyncio_stream_queued(stream), 0);
    CHECK(!stream->out.data);
    int err; /* until it is full: all or nothing */
    do
        err = asyncio_stream_write_nowait(stream, pattern, 1000);
    while (!err);
    CHECK_EQUAL(err, -EAGAIN);
    size_t queued = asyncio_stream_queued(stream);
    CHECK(queued > 64 * 1024);
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, pattern, 1), -EAGAIN);
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, NULL, 0), 0);
    CHECK_EQUAL(asyncio_stream_queued(stream), queued);
    asyncio_stream_abort(stream);
    close(peer);
    return 0;
}

static asyncio_stream *called_stream;
static int called_result = 1;

static void write_in_callback(void *arg)
{
    (void)arg;
    called_result = asyncio_stream_write_nowait(called_stream, "hello", 5);
}

ASYNC_TEST(write_nowait_in_a_callback)
{
    char buf[8];
    int peer;
    called_stream = stream_to(&peer, NULL);
    asyncio_loop_call_soon(asyncio_get_running_loop(), write_in_callback, NULL);
    asyncio_sleep(0.001);
    CHECK_EQUAL(called_result, 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 5);
    asyncio_stream_close(called_stream);
    close(peer);
    return 0;
}

/* Behind a write that waits for its turn, which it must not overtake. */
ASYNC_TEST(write_nowait_behind_others)
{
    int peer;
    asyncio_stream *stream = unix_stream_to(&peer);
    while (asyncio_stream_write_nowait(stream, pattern, 100000) == 0)
        ;
    asyncio_task *waits = asyncio_create_task(write_all(stream, pattern, 10));
    asyncio_sleep(0);
    CHECK(!asyncio_done(waits));
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, "x", 1), -EAGAIN);
    asyncio_stream_abort(stream);
    CHECK_EQUAL(asyncio_await(waits), -EBADF);
    close(peer);
    return 0;
}

ASYNC_TEST(write_nowait_in_vain)
{
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK_EQUAL(asyncio_stream_write_nowait(NULL, "x", 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, "x", (size_t)-ECONNRESET), -EINVAL);
    CHECK_EQUAL(asyncio_stream_queued(NULL), 0);
    asyncio_stream_write_eof(stream);
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, "x", 1), ASYNCIO_ESTATE);
    asyncio_stream_close(stream);
    close(peer);
    stream = stream_to(&peer, NULL);
    peer_resets(peer);
    settle();
    int err = 0;
    for (int i = 0; i < 10 && !err; i++)
        err = asyncio_stream_write_nowait(stream, "x", 1);
    CHECK(err == -EPIPE || err == -ECONNRESET);
    asyncio_stream_abort(stream);
    return 0;
}

/* ---- May it be used again? --------------------------------------------------------------------- */

/* Bytes have arrived, or the end. */
static void wait_until_there(asyncio_stream *stream)
{
    struct pollfd one = {.fd = asyncio_stream_fd(stream), .events = POLLIN};
    CHECK_EQUAL(poll(&one, 1, 20000), 1);
}

ASYNC_TEST(is_idle)
{
    char buf[8];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK(!asyncio_stream_is_idle(NULL));
    CHECK(asyncio_stream_is_idle(stream));
    peer_sends(peer, "ab");
    wait_until_there(stream);
    CHECK(!asyncio_stream_is_idle(stream)); /* no event has told of it yet */
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 1), 1);
    CHECK(!asyncio_stream_is_idle(stream)); /* one byte is buffered */
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 1), 1);
    CHECK(asyncio_stream_is_idle(stream));
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), 0);
    CHECK(asyncio_stream_is_idle(stream));
    shutdown(peer, SHUT_WR);
    wait_until_there(stream);
    CHECK(!asyncio_stream_is_idle(stream));
    asyncio_stream_close(stream);
    close(peer);
    stream = stream_to(&peer, NULL);
    peer_resets(peer);
    wait_until_there(stream);
    CHECK(!asyncio_stream_is_idle(stream));
    asyncio_stream_abort(stream);
    stream = stream_to(&peer, NULL);
    asyncio_stream_write_eof(stream);
    CHECK(!asyncio_stream_is_idle(stream));
    asyncio_stream_close(stream);
    close(peer);
    return 0;
}

/* ---- So many bytes -------------------------------------------------------------------------------- */

ASYNC_TEST(copy_n)
{
    static const size_t sizes[] = {0, 1, 4095, 16383, 16384, 16385, 70001};
    int sender, receiver;
    asyncio_stream *from = unix_stream_to(&sender), *to = unix_stream_to(&receiver);
    size_t at = 0, sent = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        asyncio_stream *writer;
        int own = dup(sender);
        CHECK_EQUAL(asyncio_stream_from_fd(own, NULL, &writer), 0);
        size_t n = sizes[i] + 3; /* more is there than is copied */
        asyncio_task *writes = asyncio_create_task(write_all(writer, pattern + sent, n));
        sent += n;
        CHECK_EQUAL(asyncio_stream_copy_n(from, to, sizes[i]), sizes[i]);
        check_peer_gets(receiver, at, sizes[i]);
        char rest[3];
        CHECK_EQUAL(asyncio_stream_readexactly(from, rest, 3), 3);
        CHECK(memcmp(rest, pattern + at + sizes[i], 3) == 0);
        at += n;
        CHECK_EQUAL(asyncio_await(writes), 0);
        asyncio_stream_close(writer);
    }
    peer_sends(sender, "end");
    close(sender);
    CHECK_EQUAL(asyncio_stream_copy_n(from, to, 10), 3); /* the end comes first */
    CHECK_EQUAL(asyncio_stream_copy_n(from, to, 10), 0);
    CHECK_EQUAL(asyncio_stream_copy_n(from, NULL, 10), -EINVAL);
    CHECK_EQUAL(asyncio_stream_copy_n(from, to, (size_t)-EPIPE), -EINVAL);
    asyncio_stream_close(from);
    asyncio_stream_close(to);
    close(receiver);
    return 0;
}

/* ---- Files ------------------------------------------------------------------------------------------ */

static int pattern_file(void)
{
    char path[] = "/tmp/asyncio-sendfile-XXXXXX";
    int fd = mkstemp(path);
    unlink(path);
    CHECK_EQUAL(write(fd, pattern, MANY), MANY);
    return fd;
}

ASYNC(sends_file, asyncio_stream *, stream, int, fd, off_t *, offset, size_t, n)
{
    return asyncio_stream_sendfile(stream, fd, offset, n);
}

ASYNC_TEST(sendfile)
{
    static const size_t sizes[] = {1, 0, 4095, 65535, 65536, 65537, 50000};
    int peer, file = pattern_file();
    asyncio_stream *stream = unix_stream_to(&peer);
    off_t offset = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t before = (size_t)offset;
        CHECK_EQUAL(asyncio_stream_write(stream, pattern + before, 10), 0); /* goes first */
        offset += 10;
        asyncio_task *sends = asyncio_create_task(sends_file(stream, file, &offset, sizes[i]));
        check_peer_gets(peer, before, sizes[i] + 10);
        CHECK_EQUAL(asyncio_await(sends), sizes[i]);
        CHECK_EQUAL(offset, before + sizes[i] + 10);
    }
    offset = MANY - 5;
    CHECK_EQUAL(asyncio_stream_sendfile(stream, file, &offset, 1000), 5);
    CHECK_EQUAL(offset, MANY);
    CHECK_EQUAL(asyncio_stream_sendfile(stream, file, &offset, 1000), 0);
    check_peer_gets(peer, MANY - 5, 5);
    CHECK(fcntl(file, F_GETFD) >= 0); /* it stays the caller's */
    asyncio_stream_close(stream);
    close(peer);
    close(file);
    return 0;
}

/* What others write meanwhile comes behind it. */
ASYNC_TEST(sendfile_in_turn)
{
    int peer, file = pattern_file();
    asyncio_stream *stream = unix_stream_to(&peer);
    off_t offset = 0;
    asyncio_task *sends = asyncio_create_task(sends_file(stream, file, &offset, MANY));
    settle();
    CHECK(!asyncio_done(sends) && offset > 0);
    CHECK_EQUAL(asyncio_stream_write_nowait(stream, "x", 1), -EAGAIN);
    asyncio_task *writes = asyncio_create_task(write_all(stream, pattern, 1000));
    settle();
    CHECK(!asyncio_done(writes));
    check_peer_gets(peer, 0, MANY);
    check_peer_gets(peer, 0, 1000);
    CHECK_EQUAL(asyncio_await(sends), MANY);
    CHECK_EQUAL(asyncio_await(writes), 0);
    asyncio_stream_close(stream);
    close(peer);
    close(file);
    return 0;
}

/* A cancel, a peer that goes: the offset tells how far it came. */
ASYNC_TEST(sendfile_ends_early)
{
    int peer, file = pattern_file();
    asyncio_stream *stream = unix_stream_to(&peer);
    off_t offset = 0;
    asyncio_task *sends = asyncio_create_task(sends_file(stream, file, &offset, MANY));
    settle();
    asyncio_cancel(sends);
    CHECK_EQUAL(asyncio_await(sends), -ECANCELED);
    CHECK(offset > 0 && offset < MANY);
    check_peer_gets(peer, 0, (size_t)offset);
    offset = 0;
    sends = asyncio_create_task(sends_file(stream, file, &offset, MANY));
    check_peer_gets(peer, 0, 5000);
    CHECK(!asyncio_done(sends));
    close(peer);
    CHECK_EQUAL(asyncio_await(sends), -EPIPE);
    CHECK(offset >= 5000 && offset < MANY);
    asyncio_stream_abort(stream);
    stream = stream_to(&peer, NULL);
    offset = 0;
    CHECK_EQUAL(asyncio_stream_sendfile(NULL, file, &offset, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_sendfile(stream, file, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_sendfile(stream, -1, &offset, 1), -EBADF);
    CHECK_EQUAL(asyncio_stream_sendfile(stream, file, &offset, (size_t)-EPIPE), -EINVAL);
    offset = -1;
    CHECK_EQUAL(asyncio_stream_sendfile(stream, file, &offset, 1), -EINVAL);
    asyncio_stream_close(stream);
    close(peer);
    close(file);
    return 0;
}

/* Nothing of a file was accepted, so an end and a close of another task do not wait for it. */
ASYNC_TEST(sendfile_is_overtaken)
{
    for (int closes = 0; closes < 2; closes++) {
        int peer, file = pattern_file();
        asyncio_stream *stream = unix_stream_to(&peer);
        off_t offset = 0;
        asyncio_task *sends = asyncio_create_task(sends_file(stream, file, &offset, MANY));
        settle();
        CHECK(!asyncio_done(sends));
        CHECK_EQUAL(closes ? asyncio_stream_close(stream) : asyncio_stream_write_eof(stream), 0);
        check_peer_gets(peer, 0, (size_t)offset);
        char byte;
        CHECK_EQUAL(recv(peer, &byte, 1, 0), 0);
        CHECK_EQUAL(asyncio_await(sends), closes ? -EBADF : ASYNCIO_ESTATE);
        if (!closes)
            asyncio_stream_close(stream);
        close(peer);
        close(file);
    }
    return 0;
}

/* ---- The peer ------------------------------------------------------------------------------------------ */

ASYNC_TEST(the_peer_as_text)
{
    char expected[64];
    struct sockaddr_in name;
    socklen_t length = sizeof name;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    getsockname(peer, (struct sockaddr *)&name, &length);
    snprintf(expected, sizeof expected, "127.0.0.1:%d", ntohs(name.sin_port));
    const char *text = asyncio_stream_peer(stream);
    CHECK_TEXT(text, expected);
    peer_resets(peer);
    settle();
    CHECK(asyncio_stream_peer(stream) == text);
    CHECK_TEXT(text, expected);
    asyncio_stream_abort(stream);
    CHECK_TEXT(asyncio_stream_peer(NULL), "");
    int fds[2];
    CHECK_EQUAL(pipe2(fds, O_CLOEXEC), 0);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    CHECK_TEXT(asyncio_stream_peer(stream), "");
    asyncio_stream_close(stream);
    close(fds[1]);
    return 0;
}

/* ---- Sweeps -------------------------------------------------------------------------------- */

ASYNC(take_all, int, fd)
{
    char block[4096];
    ssize_t n;
    do
        n = asyncio_sock_recv(fd, block, sizeof block, 0);
    while (n > 0);
    shutdown(fd, SHUT_RDWR); /* nobody waits for a reader that has failed */
    return n;
}

/* If a call has failed, the other side may never come: then a run waits for so long. */
static double sweep_s(void)
{
    return !asy_fault_is_armed() ? 20 : is_slow_build() ? 1 : 0.2;
}

ASYNC(send_some, int, fd, size_t, n)
{
    intptr_t err = asyncio_sock_sendall(fd, pattern, n, 0);
    shutdown(fd, SHUT_WR);
    return err;
}

/* Of what comes, to the stream: fewer bytes, and more than there are. 0 or an error. */
static intptr_t copy_some(asyncio_stream *to)
{
    int fds[2];
    asyncio_stream *from;
    net_unix_pair(SOCK_STREAM, fds);
    intptr_t err = asyncio_stream_from_fd(fds[0], NULL, &from);
    if (err) {
        asyncio_close(fds[0]);
        asyncio_close(fds[1]);
        return err;
    }
    asyncio_task *sends = asyncio_create_task(send_some(fds[1], 20000));
    ASYNCIO_TIMEOUT(err, sweep_s()) {
        err = asyncio_stream_copy_n(from, to, 5000);
        if (err >= 0)
            err = asyncio_stream_copy_n(from, to, 20000);
    }
    asyncio_stream_abort(from);
    asyncio_cancel(sends);
    asyncio_gather_settled(NULL, sends);
    asyncio_close(fds[1]);
    return err < 0 ? err : 0;
}

/* A file, a write that does not wait, a copy; nothing is left, however it ends. */
ASYNC(helps)
{
    int fds[2];
    off_t offset = 0;
    asyncio_stream *stream;
    int file = pattern_file();
    net_unix_pair(SOCK_STREAM, fds);
    intptr_t err = asyncio_stream_from_fd(fds[0], NULL, &stream);
    if (err) {
        asyncio_close(fds[0]);
        asyncio_close(fds[1]);
        close(file);
        return err;
    }
    asyncio_task *takes = asyncio_create_task(take_all(fds[1]));
    ASYNCIO_TIMEOUT(err, sweep_s()) {
        err = asyncio_stream_sendfile(stream, file, &offset, MANY);
    }
    if (err >= 0)
        err = asyncio_stream_write_nowait(stream, pattern, 1000);
    if (err >= 0)
        err = copy_some(stream);
    asyncio_stream_peer(stream);
    asyncio_stream_is_idle(stream);
    asyncio_stream_abort(stream);
    asyncio_cancel(takes);
    asyncio_gather_settled(NULL, takes);
    asyncio_close(fds[1]);
    close(file);
    return err < 0 ? err : 0;
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

TEST(cancels)
{
    sweep_cancels(helps, check_cancelled);
}

TEST(failures)
{
    sweep_failures(helps);
}

int main(void)
{
    make_pattern();
    use_descriptors();
    return tests_run(NULL);
}
