/*
 * Streams: made, read, ended. Writing is in test_stream_write.c.
 */
#include "core/loop.h"
#include "fd/stream.h"
#include "fd/stream_test.h"
#include "support/ledger.h"
#include <fcntl.h>
#include <pthread.h>

/* ---- Bytes ------------------------------------------------------------------------------- */

ASYNC_TEST(behaviour_53_exactly)
{
    size_t n = 300000;
    char *sent = malloc(n), *got = calloc(1, n);
    int peer;
    asyncio_stream *stream = stream_with_limit(&peer, 16);
    for (size_t i = 0; i < n; i++)
        sent[i] = (char)(i * 7 + i / 251);
    asyncio_task *reader = asyncio_create_task(read_exactly(stream, got, n));
    for (size_t at = 0; at < n;) {
        ssize_t part = send(peer, sent + at, n - at < 10007 ? n - at : 10007, MSG_DONTWAIT);
        at += part > 0 ? (size_t)part : 0;
        asyncio_sleep(0);
    }
    CHECK_EQUAL(asyncio_await(reader), n);
    CHECK(memcmp(sent, got, n) == 0);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 0);
    peer_sends(peer, "part");
    shutdown(peer, SHUT_WR);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, got, n), ASYNCIO_EINCOMPLETE);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 4);
    CHECK_EQUAL(asyncio_stream_read(stream, got, n), 4);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, got, SIZE_MAX / 2), 0 + ASYNCIO_EINCOMPLETE);
    asyncio_stream_abort(stream);
    close(peer);
    free(sent);
    free(got);
    return 0;
}

ASYNC_TEST(behaviour_53_two_readers)
{
    char buf[8], *line;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_some(stream, buf, sizeof buf));
    settle();
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "x", 1, &line), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_copy(stream, stream), ASYNCIO_ESTATE);
    CHECK(!asyncio_done(reader));
    peer_sends(peer, "for one");
    CHECK_EQUAL(asyncio_await(reader), 7);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* A reader who waits is woken with the error, which stays; what had come before it is delivered first. */
ASYNC_TEST(behaviour_53_error)
{
    char buf[16], *line;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_line(stream, &line));
    settle();
    peer_sends(peer, "no line");
    settle();
    peer_resets(peer);
    CHECK_EQUAL(asyncio_await(reader), -ECONNRESET);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 7);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, " ", 1, &line), 3);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), 4);
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), -ECONNRESET);
        CHECK_EQUAL(asyncio_stream_readline(stream, &line), -ECONNRESET);
        CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 1), -ECONNRESET);
    }
    CHECK(!asyncio_stream_at_eof(stream));
    asyncio_stream_abort(stream);
    return 0;
}

/* The kernel tells of a reset once: if a write was told, a read must not take it for the end. */
ASYNC_TEST(error_told_to_writer)
{
    char buf[16];
    int peer, err = 0;
    asyncio_stream *stream = stream_to(&peer, NULL);
    peer_sends(peer, "last words");
    settle();
    peer_resets(peer);
    err = asyncio_stream_write(stream, "x", 1);
    CHECK_EQUAL(err, -ECONNRESET);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), 10);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), -ECONNRESET);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), -ECONNRESET);
    CHECK_EQUAL(asyncio_stream_close(stream), -ECONNRESET);
    return 0;
}

/* A cancelled read has taken nothing. */
ASYNC_TEST(cancelled_reads)
{
    char buf[16] = "", *line = NULL;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    for (int i = 0; i < 4; i++) {
        const char part[2] = {(char)('a' + i)};
        peer_sends(peer, part);
        CHECK_EQUAL(asyncio_wait_for(read_exactly(stream, buf, 5), 0.001), -ETIMEDOUT);
        CHECK_EQUAL(asyncio_stream_buffered(stream), i + 1);
        CHECK_EQUAL(asyncio_wait_for(read_line(stream, &line), 0.001), -ETIMEDOUT);
    }
    peer_sends(peer, "e");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 5), 5);
    CHECK_TEXT(buf, "abcde");
    /* Bytes and the request together: the bytes win. */
    asyncio_task *reader = asyncio_create_task(read_some(stream, buf, sizeof buf));
    settle();
    peer_sends(peer, "won");
    asyncio_loop *loop = asyncio_get_running_loop();
    net_poll(loop);
    asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), 3);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* Small reads do not cost a system call each, and large ones are not copied. */
ASYNC_TEST(small_and_large)
{
    size_t n = 40000;
    char *got = malloc(n);
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    for (size_t i = 0; i < n; i++)
        got[i] = (char)i;
    CHECK_EQUAL(send(peer, got, n, 0), n);
    settle();
    char c;
    CHECK_EQUAL(asyncio_stream_read(stream, &c, 1), 1);
    size_t buffered = asyncio_stream_buffered(stream), at = 1;
    CHECK(buffered > 4096 && buffered <= 16384);
    while (asyncio_stream_buffered(stream)) {
        CHECK_EQUAL(asyncio_stream_read(stream, &c, 1), 1);
        CHECK_EQUAL(c, (char)at++);
    }
    ssize_t large = asyncio_stream_read(stream, got, n);
    CHECK_EQUAL(large, n - at);
    CHECK_EQUAL(got[0], (char)at);
    CHECK_EQUAL(asyncio_stream_buffered(stream), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    free(got);
    return 0;
}

/* One byte at a time. */
ASYNC_TEST(dribble)
{
    char *line;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_line(stream, &line));
    for (int i = 0; i < 500; i++) {
        CHECK_EQUAL(send(peer, i < 499 ? "x" : "\n", 1, 0), 1);
        asyncio_sleep(0);
    }
    CHECK_EQUAL(asyncio_await(reader), 500);
    CHECK_EQUAL(strlen(line), 500);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* A hundred megabytes without an end of line: refused at the limit, with the limit's memory; and
 * who wants them all the same gets them. */
ASYNC(send_forever, asyncio_stream *, stream, size_t, n)
{
    static char block[1 << 20];
    memset(block, 'x', sizeof block);
    int err = 0;
    for (size_t sent = 0; sent < n && !err; sent += sizeof block)
        err = asyncio_stream_write(stream, block, sizeof block);
    return err ? err : asyncio_stream_write_eof(stream);
}

ASYNC_TEST(endless_line)
{
    int fds[2];
    size_t n = is_slow_build() ? (size_t)4 << 20 : (size_t)100 << 20;
    char *line;
    asyncio_stream *from, *to;
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &from), 0);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[1], NULL, &to), 0);
    asyncio_task *sender = asyncio_create_task(send_forever(to, n));
    settle();
    CHECK_EQUAL(asyncio_stream_readline(from, &line), ASYNCIO_ELIMIT);
    CHECK(from->in.capacity <= 256 * 1024);
    for (int i = 0; i < 100; i++) {
        CHECK_EQUAL(asyncio_stream_readline(from, &line), ASYNCIO_ELIMIT);
        asyncio_sleep(0);
    }
    CHECK(from->in.capacity <= 256 * 1024);
    CHECK_EQUAL(asyncio_await(swallow(from)), n);
    CHECK_EQUAL(asyncio_await(sender), 0);
    CHECK_EQUAL(asyncio_stream_close(from), 0);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    return 0;
}

/* Nothing is kept for a stream whose reader waits. */
ASYNC_TEST(idle_memory)
{
    char buf[4096], *line;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_line(stream, &line));
    settle();
    CHECK(stream->in.data == NULL && stream->out.data == NULL);
    peer_sends(peer, "a\nb");
    CHECK_EQUAL(asyncio_await(reader), 2);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 1), 1);
    reader = asyncio_create_task(read_exactly(stream, buf, 100));
    settle();
    CHECK(stream->in.data == NULL);
    asyncio_cancel(reader);
    CHECK_EQUAL(asyncio_await(reader), -ECANCELED);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* ---- Others meanwhile -------------------------------------------------------------------- */

/* Closed or aborted under a reader. */
ASYNC_TEST(closed_under_reader)
{
    for (int abort = 0; abort < 2; abort++) {
        char buf[16];
        int peer;
        asyncio_stream *stream = stream_to(&peer, NULL);
        asyncio_task *reader = asyncio_create_task(read_exactly(stream, buf, sizeof buf));
        settle();
        peer_sends(peer, "some");
        settle();
        if (abort)
            asyncio_stream_abort(stream);
        else
            CHECK_EQUAL(asyncio_stream_close(stream), 0);
        CHECK_EQUAL(asyncio_await(reader), -EBADF);
        close(peer);
    }
    return 0;
}

/* Woken with bytes, but the stream goes before the reader runs. */
ASYNC_TEST(closed_before_reader_runs)
{
    char buf[16];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_some(stream, buf, sizeof buf));
    settle();
    peer_sends(peer, "some");
    asyncio_loop *loop = asyncio_get_running_loop();
    net_poll(loop);
    asyncio_stream_abort(stream);
    CHECK_EQUAL(asyncio_await(reader), -EBADF);
    close(peer);
    return 0;
}

/* A call that gives way before it begins finds that the stream has gone, or that another one reads. */
ASYNC(abort_now, asyncio_stream *, stream)
{
    asyncio_stream_abort(stream);
    return 0;
}

static void use_up_budget(void)
{
    asyncio_lock lock;
    asyncio_lock_init(&lock);
    asyncio_sleep(0);
    for (int i = 0; i < ASY_BUDGET - 1; i++) {
        asyncio_lock_acquire(&lock);
        asyncio_lock_release(&lock);
    }
}

ASYNC_TEST(gone_while_giving_way)
{
    char buf[16], *line;
    int peer;
    for (int i = 0; i < 7; i++) {
        asyncio_stream *stream = stream_to(&peer, NULL);
        use_up_budget();
        asyncio_task *other = asyncio_create_task(abort_now(stream));
        intptr_t result = i == 0   ? asyncio_stream_read(stream, buf, sizeof buf)
                          : i == 1 ? asyncio_stream_readexactly(stream, buf, sizeof buf)
                          : i == 2 ? asyncio_stream_readline(stream, &line)
                          : i == 3 ? asyncio_stream_write(stream, "x", 1)
                          : i == 4 ? asyncio_stream_printf(stream, "%d", i)
                          : i == 5 ? asyncio_stream_drain(stream)
                                   : asyncio_stream_copy(stream, stream);
        CHECK_EQUAL(result, -EBADF);
        CHECK_EQUAL(asyncio_await(other), 0);
        close(peer);
    }
    asyncio_stream *stream = stream_to(&peer, NULL);
    use_up_budget();
    asyncio_task *other = asyncio_create_task(read_some(stream, buf, sizeof buf));
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), ASYNCIO_ESTATE);
    CHECK(!asyncio_done(other));
    asyncio_stream_abort(stream);
    CHECK_EQUAL(asyncio_await(other), -EBADF);
    close(peer);
    return 0;
}

/* ---- Made, looked at --------------------------------------------------------------------- */

static void call_outside(void *arg)
{
    char buf[4], *line;
    asyncio_stream *stream = arg, *made;
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_readline(stream, &line), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "x", 1, &line), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_printf(stream, "x"), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_drain(stream), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_copy(stream, stream), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_from_fd(0, NULL, &made), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
}

ASYNC_TEST(refusals)
{
    char buf[4], *line;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL), *made;
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    CHECK_EQUAL(asyncio_stream_from_fd(-1, NULL, &made), -EBADF);
    CHECK_EQUAL(asyncio_stream_from_fd(12345, NULL, &made), -EBADF);
    CHECK_EQUAL(asyncio_stream_from_fd(peer, NULL, NULL), -EINVAL);
    const asyncio_connect_options odd = {.close_timeout = 0.0 / (double)(asyncio_current_task() == NULL)};
    CHECK_EQUAL(asyncio_stream_from_fd(peer, &odd, &made), -EINVAL);
    CHECK_EQUAL(asyncio_stream_read(NULL, buf, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_read(stream, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_readline(stream, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "x", 0, &line), -EINVAL);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, NULL, 1, &line), -EINVAL);
    CHECK_EQUAL(asyncio_stream_readuntil(stream, "x", 1, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stream_write(stream, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_writev(stream, NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_copy(stream, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stream_copy(NULL, stream), -EINVAL);
    CHECK_EQUAL(asyncio_stream_detach(stream), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_start_tls(stream, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stream_start_tls(stream, (asyncio_tls_context *)buf, NULL),
                -EINVAL); /* no TLS here */
    CHECK_EQUAL(asyncio_stream_fd(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_stream_peername(stream, (struct sockaddr *)&name, &length), 0);
    CHECK_EQUAL(name.ss_family, AF_INET);
    CHECK_EQUAL(asyncio_stream_sockname(stream, (struct sockaddr *)&name, &length), 0);
    CHECK(asyncio_stream_fd(stream) > 2);
    CHECK_EQUAL(asyncio_stream_close(NULL), 0);
    asyncio_stream_abort(NULL);
    CHECK(asyncio_stream_at_eof(NULL));
    asyncio_loop_call_soon(asyncio_get_running_loop(), call_outside, stream);
    settle();
    close(peer);
    return 0;
}

/* A descriptor that the program has used before, and closed behind the library's back. */
ASYNC_TEST(adopted)
{
    char buf[16];
    for (int stale = 0; stale < 2; stale++) {
        int fds[2], more[2], flags;
        asyncio_stream *stream;
        net_tcp_pair(fds);
        CHECK_EQUAL(send(fds[1], "12", 2, 0), 2);
        CHECK_EQUAL(asyncio_sock_recv(fds[0], buf, 1, 0), 1);
        CHECK_EQUAL(asyncio_wait_for(read_some(NULL, buf, 1), 1), -EINVAL);
        if (stale) {
            CHECK_EQUAL(asyncio_sock_recv(fds[0], buf, 1, 0), 1);
            net_tcp_pair(more);
            CHECK_EQUAL(dup2(more[0], fds[0]), fds[0]);
            close(more[0]);
            close(fds[1]);
            fds[1] = more[1];
            CHECK_EQUAL(send(fds[1], "2", 1, 0), 1);
        }
        CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
        flags = fcntl(fds[0], F_GETFL);
        CHECK(flags & O_NONBLOCK);
        CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), 1);
        CHECK_EQUAL(buf[0], '2');
        asyncio_task *reader = asyncio_create_task(read_some(stream, buf, sizeof buf));
        settle();
        peer_sends(fds[1], "3");
        CHECK_EQUAL(asyncio_await(reader), 1);
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
        close(fds[1]);
    }
    CHECK_EQUAL(net_registrations(-1), 0);
    return 0;
}

ASYNC_TEST(pipes)
{
    int fds[2];
    char buf[16], *line;
    asyncio_stream *from, *to;
    net_pipe(fds);
    CHECK_EQUAL(asyncio_open_pipe(fds[0], NULL, &from), 0);
    CHECK_EQUAL(asyncio_open_pipe(fds[1], NULL, &to), 0);
    asyncio_task *reader = asyncio_create_task(read_line(from, &line));
    settle();
    CHECK_EQUAL(asyncio_stream_printf(to, "%s %d\nrest", "line", 1), 0);
    CHECK_EQUAL(asyncio_await(reader), 7);
    CHECK_TEXT(line, "line 1\n");
    CHECK_EQUAL(asyncio_stream_write_eof(to), 0);
    CHECK_EQUAL(asyncio_stream_read(from, buf, sizeof buf), 4);
    CHECK_EQUAL(asyncio_stream_read(from, buf, sizeof buf), 0);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    CHECK_EQUAL(asyncio_stream_close(from), 0);
    /* The reader goes: the writer gets an error, and no signal. */
    net_pipe(fds);
    CHECK_EQUAL(asyncio_open_pipe(fds[1], NULL, &to), 0);
    close(fds[0]);
    CHECK_EQUAL(asyncio_stream_write(to, "x", 1), -EPIPE);
    CHECK_EQUAL(asyncio_stream_close(to), -EPIPE);
    return 0;
}

/* Standard input: left as it is, and open. */
ASYNC_TEST(stdin)
{
    int fds[2], kept = dup(STDIN_FILENO);
    char *line;
    asyncio_stream *input;
    net_pipe(fds);
    CHECK_EQUAL(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
    close(fds[0]);
    CHECK_EQUAL(asyncio_open_pipe(STDIN_FILENO, NULL, &input), 0);
    asyncio_task *reader = asyncio_create_task(read_line(input, &line));
    settle();
    CHECK_EQUAL(write(fds[1], "typed\nnext\n", 11), 11);
    CHECK_EQUAL(asyncio_await(reader), 6);
    CHECK_TEXT(line, "typed\n");
    CHECK_EQUAL(asyncio_stream_readline(input, &line), 5);
    CHECK(net_is_blocking(STDIN_FILENO));
    CHECK_EQUAL(asyncio_stream_close(input), 0);
    CHECK(fcntl(STDIN_FILENO, F_GETFD) >= 0);
    close(fds[1]);
    dup2(kept, STDIN_FILENO);
    close(kept);
    return 0;
}

/* ---- Copied ------------------------------------------------------------------------------ */

/* a -- stream | stream -- b: what a sends, b gets, and the other way round. */
ASYNC_TEST(copy)
{
    int a, b;
    size_t n = 1000000, got = 0;
    asyncio_stream *left = stream_to(&a, NULL), *right = stream_to(&b, NULL);
    net_make_narrow(b);
    asyncio_task *there = asyncio_create_task(copies(left, right));
    asyncio_task *back = asyncio_create_task(copies(right, left));
    settle();
    CHECK(left->in.data == NULL && right->in.data == NULL);
    char *block = malloc(n), *arrived = malloc(n);
    for (size_t i = 0; i < n; i++)
        block[i] = (char)(i % 253);
    for (size_t sent = 0; got < n;) {
        ssize_t part = sent < n ? send(a, block + sent, n - sent, MSG_DONTWAIT) : 0;
        sent += part > 0 ? (size_t)part : 0;
        part = recv(b, arrived + got, n - got, MSG_DONTWAIT);
        got += part > 0 ? (size_t)part : 0;
        asyncio_sleep(0);
        CHECK(asy_bytes_count(&right->out) <= 2 * STREAM_HIGH_WATER);
    }
    CHECK(memcmp(block, arrived, n) == 0);
    peer_sends(b, "answer");
    shutdown(b, SHUT_WR);
    CHECK_EQUAL(asyncio_await(back), 6);
    CHECK_EQUAL(read(a, arrived, 16), 6);
    shutdown(a, SHUT_WR);
    CHECK_EQUAL(asyncio_await(there), n);
    CHECK_EQUAL(asyncio_stream_close(left), 0);
    CHECK_EQUAL(asyncio_stream_close(right), 0);
    free(block);
    free(arrived);
    close(a);
    close(b);
    return 0;
}

/* Either side ends in the middle. */
ASYNC_TEST(copy_ends)
{
    for (int which = 0; which < 4; which++) {
        int a, b;
        asyncio_stream *left = stream_to(&a, NULL), *right = stream_to(&b, NULL);
        net_make_narrow(b);
        net_make_narrow(asyncio_stream_fd(right));
        asyncio_task *copier = asyncio_create_task(copies(left, right));
        for (int i = 0; i < 20; i++) { /* until it waits to write */
            net_fill(a);
            settle();
        }
        CHECK(!asyncio_done(copier));
        if (which == 0) {
            peer_resets(b);
            intptr_t result = asyncio_await(copier);
            CHECK(result == -ECONNRESET || result == -EPIPE);
        } else if (which == 1) {
            asyncio_stream_abort(right);
            CHECK_EQUAL(asyncio_await(copier), -EBADF);
        } else if (which == 2) {
            asyncio_stream_abort(left);
            asyncio_stream_abort(right);
            CHECK_EQUAL(asyncio_await(copier), -EBADF);
        } else {
            asyncio_cancel(copier);
            CHECK_EQUAL(asyncio_await(copier), -ECANCELED);
            CHECK(asyncio_stream_buffered(left) > 0); /* what was not accepted is still there */
        }
        if (which != 2)
            asyncio_stream_abort(left);
        if (which == 0 || which == 3)
            asyncio_stream_abort(right);
        close(a);
        if (which)
            close(b);
    }
    return 0;
}

/* ---- The loop closes --------------------------------------------------------------------- */

static asyncio_stream *left_open[3];

/* One idle, one with a reader, one with bytes queued. */
ASYNC(leave_open)
{
    static char block[1 << 20], byte;
    int peer;
    for (int i = 0; i < 3; i++)
        left_open[i] = stream_to(&peer, NULL); /* the peers stay open, too */
    net_make_narrow(peer);
    net_make_narrow(asyncio_stream_fd(left_open[2]));
    asyncio_release(asyncio_create_task(read_exactly(left_open[1], &byte, 1)));
    CHECK_EQUAL(asyncio_stream_write(left_open[2], block, sizeof block), 0);
    return 0;
}

TEST(loop_closes)
{
    struct ledger before = ledger_now();
    int descriptors = count_descriptors();
    for (int manner = 0; manner < 2; manner++) {
        asyncio_runner runner;
        CHECK_EQUAL(asyncio_runner_init(&runner, NULL), 0);
        CHECK_EQUAL(asyncio_runner_run(&runner, leave_open()), 0);
        CHECK_EQUAL(asyncio_runner_close(&runner), 0);
        CHECK_EQUAL(count_descriptors(), descriptors + 3); /* the peers */
        CHECK_EQUAL(asyncio_stream_fd(left_open[0]), -EBADF);
        for (int fd = 3; count_descriptors() > descriptors; fd++)
            if (fcntl(fd, F_GETFD) >= 0 && fd > STDERR_FILENO)
                close(fd);
        for (int i = 0; i < 3; i++)
            if (manner)
                asyncio_stream_abort(left_open[i]);
            else
                CHECK_EQUAL(asyncio_stream_close(left_open[i]), i == 2 ? -ECONNABORTED : 0);
        CHECK(ledger_is(&before));
    }
    harness_settle();
}

/* ---- Another thread -------------------------------------------------------------------------- */

static asyncio_stream *not_yours;

static void *look_at_it(void *arg)
{
    (void)arg;
    asyncio_stream_at_eof(not_yours);
    return NULL;
}

ASYNC(share_it)
{
    int peer;
    pthread_t thread;
    not_yours = stream_to(&peer, NULL);
    pthread_create(&thread, NULL, look_at_it, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void look_elsewhere(void)
{
    asyncio_run(share_it());
}

/* Not even a look is permitted. */
TEST(wrong_thread)
{
    check_dies(look_elsewhere, "asyncio_stream_at_eof");
}

/* ---- Sweeps ------------------------------------------------------------------------------ */

/* The other end, which no failure of the library's reaches: it answers with what it gets, a little later. */
static void *echo_slowly(void *arg)
{
    char buf[64];
    int fd = (int)(intptr_t)arg;
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;) {
        usleep(300);
        send(fd, buf, (size_t)n, MSG_NOSIGNAL);
    }
    close(fd);
    return NULL;
}

/* Every waiting call once. */
static intptr_t converse(asyncio_stream *stream)
{
    char buf[8], *line;
    intptr_t n;
    int err = asyncio_stream_printf(stream, "%s\n", "first");
    if (!err)
        err = asyncio_stream_drain(stream);
    if (err || (n = asyncio_stream_readline(stream, &line)) < 0)
        return err ? err : n;
    if ((err = asyncio_stream_write(stream, "second,", 7)) ||
        (n = asyncio_stream_readuntil(stream, ",", 1, &line)) < 0)
        return err ? err : n;
    if ((err = asyncio_stream_write(stream, "third", 5)) ||
        (n = asyncio_stream_readexactly(stream, buf, 5)) < 0)
        return err ? err : n;
    if ((err = asyncio_stream_write(stream, "fourth", 6)))
        return err;
    return asyncio_stream_read(stream, buf, sizeof buf);
}

static intptr_t both_ends(void)
{
    int fds[2];
    asyncio_stream *stream;
    net_tcp_pair(fds);
    int err = asyncio_stream_from_fd(fds[0], NULL, &stream);
    if (err) {
        close(fds[0]);
        close(fds[1]);
        return err;
    }
    pthread_t peer;
    CHECK_EQUAL(pthread_create(&peer, NULL, echo_slowly, (void *)(intptr_t)fds[1]), 0);
    intptr_t result = converse(stream);
    err = asyncio_stream_close(stream);
    pthread_join(peer, NULL);
    return result < 0 ? result : err;
}

ASYNC(conversation)
{
    return both_ends();
}

static unsigned suspensions;

static void check_cancelled(intptr_t result, unsigned suspension)
{
    suspensions += suspension != 0;
    if (suspension)
        CHECK_EQUAL(result, -ECANCELED);
    else
        CHECK_EQUAL(result, 0);
}

TEST(cancels)
{
    sweep_cancels(conversation, check_cancelled);
    CHECK(suspensions >= 4);
    harness_settle();
}

TEST(failures)
{
    sweep_failures(conversation);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
