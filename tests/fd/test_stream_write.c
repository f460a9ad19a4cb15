/*
 * Streams: written to, flushed, closed.
 */
#include "core/loop.h"
#include "fd/stream.h"
#include "fd/stream_test.h"
#include "sys/sys.h"
#include <pthread.h>

/* A stream whose kernel buffers are small, so that little fills them. Not of TCP, which waits now and
 * then when windows are small. */
static asyncio_stream *narrow_stream(int *peer)
{
    int fds[2];
    asyncio_stream *stream = NULL;
    net_unix_pair(SOCK_STREAM, fds);
    net_make_narrow(fds[0]);
    net_make_narrow(fds[1]);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    *peer = fds[1];
    return stream;
}

/* One million bytes that count up: more than narrow buffers and the queue's high water take. */
#define MUCH 1000000
static char much[MUCH];

static void fill_much(void)
{
    for (size_t i = 0; i < MUCH; i++)
        much[i] = (char)(i % 251);
}

/* Takes what has come, without waiting; checks that it counts on; how many bytes came. */
static size_t take(int peer, size_t *got)
{
    static char block[65536];
    size_t before = *got;
    for (ssize_t n; (n = recv(peer, block, sizeof block, MSG_DONTWAIT)) > 0; *got += (size_t)n)
        for (ssize_t i = 0; i < n; i += 97)
            CHECK_EQUAL(block[i], (char)((*got + (size_t)i) % 251));
    return *got - before;
}

#define PATIENCE 20000
static void give_time(bool anything)
{
    asyncio_sleep(anything ? 0 : 0.0005);
}

static void take_until(int peer, size_t *got, size_t n)
{
    for (int idle = 0; *got < n && idle < PATIENCE; idle++) {
        size_t came = take(peer, got);
        if (came)
            idle = 0;
        give_time(came > 0);
    }
    CHECK_EQUAL(*got, n);
}

/* ---- At once, and later ------------------------------------------------------------------ */

ASYNC_TEST(at_once)
{
    char buf[8192];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    char words[] = "one two three";
    struct iovec parts[] = {{words, 4}, {NULL, 0}, {words, 0}, {words + 4, 4}, {words + 8, 5}};
    CHECK_EQUAL(asyncio_stream_write(stream, "hello", 5), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 5); /* it is gone already */
    CHECK_EQUAL(asyncio_stream_write(stream, NULL, 0), 0);
    CHECK_EQUAL(asyncio_stream_writev(stream, NULL, 0), 0);
    CHECK_EQUAL(asyncio_stream_writev(stream, parts + 1, 2), 0);
    CHECK_EQUAL(asyncio_stream_writev(stream, parts, -1), -EINVAL);
    CHECK_EQUAL(asyncio_stream_writev(stream, parts, 5), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 13);
    CHECK(memcmp(buf, "one two three", 13) == 0);
    CHECK_EQUAL(asyncio_stream_printf(stream, "%s-%d", "text", 42), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 7);
    CHECK(memcmp(buf, "text-42", 7) == 0);
    CHECK_EQUAL(asyncio_stream_printf(stream, "%*d", 5000, 7), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 5000);
    CHECK_EQUAL(buf[4999], '7');
    CHECK_EQUAL(asyncio_stream_drain(stream), 0);
    CHECK(stream->out.data == NULL);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 0);
    close(peer);
    return 0;
}

/* More parts than one system call takes. */
ASYNC_TEST(many_parts)
{
    static struct iovec parts[3000];
    size_t got = 0;
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    for (size_t i = 0; i < 3000; i++)
        parts[i] = (struct iovec){much + i, 1};
    CHECK_EQUAL(asyncio_stream_writev(stream, parts, 3000), 0);
    take_until(peer, &got, 3000);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* A write is accepted while the queue is not above high water, whatever its size; the next one waits until
 * it has sunk to low water. */
ASYNC_TEST(water)
{
    size_t got = 0;
    int peer;
    asyncio_stream *stream = narrow_stream(&peer);
    CHECK_EQUAL(asyncio_stream_write(stream, much, MUCH - 100), 0);
    CHECK(asy_bytes_count(&stream->out) > STREAM_HIGH_WATER);
    CHECK_EQUAL(asyncio_stream_write(stream, NULL, 0), 0); /* nothing needs no room */
    asyncio_task *writer = asyncio_create_task(write_all(stream, much + MUCH - 100, 100));
    settle();
    for (int idle = 0; asy_bytes_count(&stream->out) > STREAM_HIGH_WATER / 4 && idle < PATIENCE; idle++) {
        CHECK(!asyncio_done(writer));
        char block[4096];
        ssize_t n = recv(peer, block, sizeof block, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        give_time(n > 0);
    }
    settle();
    CHECK(asyncio_done(writer));
    CHECK_EQUAL(asyncio_await(writer), 0);
    CHECK(got < MUCH); /* it was let in before all was sent */
    take_until(peer, &got, MUCH);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* Writers that wait are served in order, none is torn, nobody overtakes. */
#define WRITERS 10
#define EACH (200 * 1000)

static unsigned next_done;

ASYNC(write_letter, asyncio_stream *, stream, unsigned, number)
{
    char *block = malloc(EACH);
    memset(block, (int)('a' + number), EACH);
    int err = asyncio_stream_write(stream, block, EACH);
    free(block);
    CHECK_EQUAL(next_done++, number);
    return err;
}

ASYNC_TEST(several_writers)
{
    static char got[WRITERS * EACH];
    asyncio_task *writers[WRITERS];
    int peer;
    next_done = 0;
    asyncio_stream *stream = narrow_stream(&peer);
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = asyncio_create_task(write_letter(stream, i));
        settle();
    }
    CHECK_EQUAL(next_done, 1);
    for (size_t n = 0, idle = 0; n < sizeof got && idle < PATIENCE; idle++) {
        ssize_t part = recv(peer, got + n, sizeof got - n, MSG_DONTWAIT);
        if (part > 0)
            n += (size_t)part, idle = 0;
        CHECK(asy_bytes_count(&stream->out) <= STREAM_HIGH_WATER + EACH);
        give_time(part > 0);
    }
    CHECK_EQUAL(asyncio_gather_array(NULL, writers, WRITERS), 0);
    for (size_t i = 0; i < sizeof got; i++)
        if (got[i] != (char)('a' + i / EACH)) {
            CHECK_EQUAL(got[i], 'a' + i / EACH);
            break;
        }
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* One of them is cancelled before its turn: the others have theirs. */
ASYNC_TEST(cancelled_writer)
{
    for (unsigned which = 0; which < 3; which++) {
        asyncio_task *writers[3];
        size_t got = 0;
        int peer;
        asyncio_stream *stream = narrow_stream(&peer);
        CHECK_EQUAL(asyncio_stream_write(stream, much, 200000), 0);
        for (unsigned i = 0; i < 3; i++)
            writers[i] =
                asyncio_create_task(write_all(stream, much + 200000 + (i > which ? i - 1 : i) * 100, 100));
        settle();
        asyncio_cancel(writers[which]);
        take_until(peer, &got, 200200);
        for (unsigned i = 0; i < 3; i++)
            CHECK_EQUAL(asyncio_await(writers[i]), i == which ? -ECANCELED : 0);
        CHECK_EQUAL(asyncio_stream_close(stream), 0);
        close(peer);
    }
    return 0;
}

/* Let in, but not run yet: nobody comes in between, and a request to cancel it comes too late. */
ASYNC_TEST(turn)
{
    size_t got = 0;
    int peer;
    asyncio_stream *stream = narrow_stream(&peer);
    CHECK_EQUAL(asyncio_stream_write(stream, much, 200000), 0);
    asyncio_task *first = asyncio_create_task(write_all(stream, much + 200000, 100));
    settle();
    while (stream->is_full) { /* no task runs here but this one */
        take(peer, &got);
        stream->record->ready |= FD_WRITE;
        asy_stream_flush(stream);
    }
    CHECK(!asyncio_done(first));
    asyncio_cancel(first);
    asyncio_task *second = asyncio_create_task(write_all(stream, much + 200200, 100));
    CHECK_EQUAL(asyncio_stream_write(stream, much + 200100, 100), 0);
    CHECK(asyncio_done(first));
    CHECK_EQUAL(asyncio_await(first), 0);
    CHECK_EQUAL(asyncio_await(second), 0);
    take_until(peer, &got, 200300);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* Out of memory in the middle of a write that is queued: nothing of it is accepted. */
ASYNC_TEST(all_or_nothing)
{
    size_t got = 0;
    int peer, failures = 0;
    asyncio_stream *stream = narrow_stream(&peer);
    size_t queued = 30000;
    CHECK_EQUAL(asyncio_stream_write(stream, much, queued), 0);
    CHECK(asy_bytes_count(&stream->out) > 0 && !stream->is_full);
    for (int i = 0; i < 3; i++) {
        struct iovec parts[2] = {{much + queued, 100}, {much + queued + 100, 200000}};
        asy_fault_arm(1, true);
        failures += asyncio_stream_writev(stream, parts, 2) == -ENOMEM;
        asy_fault_disarm();
        CHECK_EQUAL(asyncio_stream_write(stream, much + queued, 10), 0);
        queued += 10;
    }
    CHECK_EQUAL(failures, 3);
    take_until(peer, &got, queued);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(recv(peer, much, 1, MSG_DONTWAIT), 0);
    close(peer);
    return 0;
}

/* Part of a write has gone out, and there is no memory for the rest: nothing may follow it. */
ASYNC_TEST(torn)
{
    int peer;
    asyncio_stream *stream = narrow_stream(&peer);
    asy_fault_arm(2, true); /* the first one sends */
    int err = asyncio_stream_write(stream, much, 200000);
    asy_fault_disarm();
    CHECK_EQUAL(err, -ENOMEM);
    CHECK_EQUAL(asyncio_stream_write(stream, much, 10), -ENOMEM);
    CHECK_EQUAL(asyncio_stream_close(stream), -ENOMEM);
    close(peer);
    return 0;
}

/* ---- Errors ------------------------------------------------------------------------------ */

/* A loop that writes and drains to a peer that has gone ends. */
ASYNC_TEST(behaviour_54_gone)
{
    int peer, err = 0, rounds = 0;
    asyncio_stream *stream = stream_to(&peer, NULL);
    close(peer);
    for (; !err && rounds < 1000; rounds++) {
        err = asyncio_stream_write(stream, "x", 1);
        if (!err)
            err = asyncio_stream_drain(stream);
        asyncio_sleep(0);
    }
    CHECK(err == -EPIPE || err == -ECONNRESET);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), err); /* it stays */
    CHECK_EQUAL(asyncio_stream_write(stream, "", 0), err);
    CHECK_EQUAL(asyncio_stream_drain(stream), err);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), err);
    CHECK_EQUAL(asyncio_stream_close(stream), err);
    return 0;
}

ASYNC_TEST(behaviour_54_ten_drainers)
{
    asyncio_task *tasks[20];
    for (int fails = 0; fails < 2; fails++) {
        size_t got = 0;
        int peer;
        asyncio_stream *stream = narrow_stream(&peer);
        CHECK_EQUAL(asyncio_stream_write(stream, much, 200000), 0);
        for (int i = 0; i < 20; i++)
            tasks[i] = i % 2 ? asyncio_create_task(drains(stream))
                             : asyncio_create_task(write_all(stream, much + 200000 + i * 50, 100));
        settle();
        for (int i = 0; i < 20; i++)
            CHECK(!asyncio_done(tasks[i]));
        if (fails)
            peer_resets(peer);
        else
            take_until(peer, &got, 201000);
        for (int i = 0; i < 20; i++) {
            intptr_t result = asyncio_await(tasks[i]);
            CHECK(fails ? result == -ECONNRESET || result == -EPIPE : result == 0);
        }
        if (fails) {
            asyncio_stream_abort(stream);
        } else {
            CHECK_EQUAL(asyncio_stream_close(stream), 0);
            close(peer);
        }
    }
    return 0;
}

/* ---- The end ----------------------------------------------------------------------------- */

ASYNC_TEST(write_eof)
{
    char buf[16];
    size_t got = 0;
    int peer;
    asyncio_stream *stream = narrow_stream(&peer);
    CHECK_EQUAL(asyncio_stream_write(stream, much, 200000), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), ASYNCIO_ESTATE);
    asyncio_task *drainer = asyncio_create_task(drains(stream));
    take_until(peer, &got, 200000);
    CHECK_EQUAL(asyncio_await(drainer), 0);
    settle();
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 0);
    peer_sends(peer, "answer");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 6), 6);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* What is no socket, and can be read, too, has no end of its output alone: it stays open. */
ASYNC_TEST(write_eof_duplex)
{
    char c, *name = NULL;
    asyncio_stream *stream = NULL;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0 && (name = ptsname(fd)) != NULL);
    int person = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    CHECK_EQUAL(asyncio_open_pipe(fd, NULL, &stream), 0);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
    CHECK_EQUAL(asyncio_stream_fd(stream), fd);
    CHECK_EQUAL(write(person, "x", 1), 1);
    CHECK_EQUAL(asyncio_stream_read(stream, &c, 1), 1);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(person);
    return 0;
}

/* Writers that wait while others say that it is the end: they have come too late. */
ASYNC_TEST(end_overtakes)
{
    for (int closed = 0; closed < 2; closed++) {
        size_t got = 0;
        int peer;
        asyncio_stream *stream = narrow_stream(&peer);
        CHECK_EQUAL(asyncio_stream_write(stream, much, 200000), 0);
        asyncio_task *writer = asyncio_create_task(write_all(stream, much, 100)), *closer = NULL;
        settle();
        if (closed)
            closer = asyncio_create_task(closes(stream));
        else
            CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
        settle();
        take_until(peer, &got, 200000);
        CHECK_EQUAL(asyncio_await(writer), ASYNCIO_ESTATE);
        CHECK_EQUAL(closed ? asyncio_await(closer) : asyncio_stream_close(stream), 0);
        close(peer);
    }
    return 0;
}

/* What is queued arrives, although the peer is slow, and has sent what nobody read. */
ASYNC_TEST(behaviour_55_close_flushes)
{
    char buf[16];
    size_t got = 0;
    int peer;
    asyncio_stream *stream = narrow_stream(&peer);
    CHECK_EQUAL(asyncio_stream_write(stream, much, MUCH), 0);
    asyncio_task *closer = asyncio_create_task(closes(stream));
    settle();
    CHECK(!asyncio_done(closer));
    CHECK_EQUAL(asyncio_stream_close(stream), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_write(stream, "x", 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 1), ASYNCIO_ESTATE);
    take_until(peer, &got, MUCH);
    CHECK_EQUAL(asyncio_await(closer), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 0);
    close(peer);
    return 0;
}

/* The peer reads nothing: after the timeout the rest is dropped, and the peer sees a reset. */
ASYNC_TEST(close_timeout)
{
    static const double timeouts[] = {0.1, -1};
    for (int i = 0; i < 2; i++) {
        char block[65536];
        int peer;
        asyncio_connect_options options = {.close_timeout = timeouts[i]};
        asyncio_stream *stream = stream_to(&peer, &options);
        net_make_narrow(asyncio_stream_fd(stream));
        CHECK_EQUAL(asyncio_stream_write(stream, much, MUCH), 0);
        double start = asyncio_time(), cpu = cpu_time();
        CHECK_EQUAL(asyncio_stream_close(stream), -ETIMEDOUT);
        double took = asyncio_time() - start;
        CHECK(i ? took < 20 : took >= 0.1); /* without the option it is 30 */
        CHECK(is_slow_build() || cpu_time() - cpu < 0.05);
        ssize_t n;
        while ((n = recv(peer, block, sizeof block, 0)) > 0)
            ;
        CHECK(n < 0 && errno == ECONNRESET);
        close(peer);
    }
    return 0;
}

/* Others meanwhile: cancelled, aborted, and reset by the peer. */
ASYNC_TEST(close_interrupted)
{
    for (int how = 0; how < 3; how++) {
        int peer;
        asyncio_stream *stream = narrow_stream(&peer);
        CHECK_EQUAL(asyncio_stream_write(stream, much, MUCH), 0);
        asyncio_task *writer = asyncio_create_task(write_all(stream, much, 100));
        asyncio_task *drainer = asyncio_create_task(drains(stream));
        asyncio_task *closer = asyncio_create_task(closes(stream));
        settle();
        CHECK(!asyncio_done(closer));
        if (how == 0)
            asyncio_cancel(closer);
        else if (how == 1)
            asyncio_stream_abort(stream);
        else
            peer_resets(peer);
        intptr_t result = asyncio_await(closer), written = asyncio_await(writer),
                 drained = asyncio_await(drainer);
        if (how < 2) {
            CHECK_EQUAL(result, how ? -ECONNABORTED : -ECANCELED);
            CHECK_EQUAL(written, -EBADF);
            CHECK_EQUAL(drained, -EBADF);
            close(peer);
        } else {
            CHECK(result == -ECONNRESET || result == -EPIPE);
            CHECK_EQUAL(written, result);
            CHECK_EQUAL(drained, result);
        }
    }
    return 0;
}

/* A request that is pending does not keep a close that need not wait from succeeding. */
ASYNC(close_cancelled, asyncio_stream *, stream)
{
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    return asyncio_sleep(0);
}

ASYNC_TEST(close_needs_no_wait)
{
    char buf[16];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK_EQUAL(asyncio_stream_write(stream, "bye", 3), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(close_cancelled(stream))), -ECANCELED);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 3);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 0);
    close(peer);
    return 0;
}

/* Aborted: the peer sees a reset, and what was queued is gone. */
ASYNC_TEST(abort)
{
    char buf[16];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_stream_abort(stream);
    CHECK(recv(peer, buf, sizeof buf, 0) < 0 && errno == ECONNRESET);
    close(peer);
    return 0;
}

/* The peer has half closed, and still gets the answer. */
ASYNC_TEST(half_open)
{
    char buf[16];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    peer_sends(peer, "question");
    shutdown(peer, SHUT_WR);
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 8), 8);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 8), 0);
    settle();
    CHECK_EQUAL(asyncio_stream_write(stream, "answer", 6), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 6);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 0);
    close(peer);
    return 0;
}

/* A hundred megabytes: accepted at once, sent bit by bit, and no memory is left behind. */
ASYNC_TEST(huge)
{
    size_t n = is_slow_build() ? (size_t)8 << 20 : (size_t)100 << 20;
    char *block = malloc(n);
    int fds[2];
    asyncio_stream *from, *to;
    memset(block, 'x', n);
    net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &from), 0);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[1], NULL, &to), 0);
    CHECK_EQUAL(asyncio_stream_write(from, block, n), 0);
    memset(block, 'y', n);
    CHECK(from->out.capacity <= n + 4096);
    asyncio_task *reader = asyncio_create_task(swallow(to));
    CHECK_EQUAL(asyncio_stream_close(from), 0);
    CHECK_EQUAL(asyncio_await(reader), n);
    CHECK_EQUAL(asyncio_stream_close(to), 0);
    free(block);
    return 0;
}

/* ---- Sweeps ------------------------------------------------------------------------------ */

/* A peer that is slower than the writer. */
static void *read_slowly(void *arg)
{
    static char block[40000];
    int fd = (int)(intptr_t)arg;
    do
        usleep(200);
    while (read(fd, block, sizeof block) > 0);
    close(fd);
    return NULL;
}

/* Each waiting call of a writer; each of them has to wait. */
static intptr_t write_much(asyncio_stream *stream)
{
    int err = asyncio_stream_write(stream, much, 200000);
    if (!err)
        err = asyncio_stream_write(stream, much, 200000);
    if (!err)
        err = asyncio_stream_drain(stream);
    if (!err)
        err = asyncio_stream_write(stream, much, 200000);
    return err;
}

static intptr_t write_and_close(void)
{
    int fds[2];
    asyncio_stream *stream;
    net_unix_pair(SOCK_STREAM, fds);
    net_make_narrow(fds[0]);
    int err = asyncio_stream_from_fd(fds[0], NULL, &stream);
    if (err) {
        close(fds[0]);
        close(fds[1]);
        return err;
    }
    pthread_t peer;
    CHECK_EQUAL(pthread_create(&peer, NULL, read_slowly, (void *)(intptr_t)fds[1]), 0);
    intptr_t result = write_much(stream);
    err = asyncio_stream_close(stream);
    pthread_join(peer, NULL);
    return result < 0 ? result : err;
}

ASYNC(writes)
{
    return write_and_close();
}

static unsigned suspensions;

static void check_cancelled(intptr_t result, unsigned suspension)
{
    suspensions += suspension != 0;
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

TEST(cancels)
{
    sweep_cancels(writes, check_cancelled);
    CHECK(suspensions >= 1); /* how many there are depends on when the peer reads */
    harness_settle();
}

TEST(failures)
{
    sweep_failures(writes);
}

int main(void)
{
    use_descriptors();
    fill_much();
    return tests_run(NULL);
}
