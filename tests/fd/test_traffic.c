/*
 * Streams on io_uring: what is received and sent by completions. Whatever the kernel does with it, nothing is
 * lost, overtaken or held back for ever, and readers that are not there slow their peers down.
 */
#include "fd/traffic_test.h"
#include "support/deny.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/wait.h>

#define MANY 400

/* ---- Input ---------------------------------------------------------------------------------- */

ASYNC_TEST(a_cancelled_reader_loses_nothing)
{
    int peer;
    char buf[8] = "";
    asyncio_stream *stream = receiving_stream(&peer);
    peer_sends(peer, "abc");
    settle();
    CHECK_EQUAL(asy_bytes_count(&traffic_of(stream)->came), 3);
    CHECK(!asyncio_stream_is_idle(stream));
    CHECK_EQUAL(asyncio_stream_read(stream, buf, 2), 2);
    CHECK_EQUAL(asyncio_stream_read(stream, buf + 2, 2), 1);
    CHECK_TEXT(buf, "abc");
    CHECK(!traffic_of(stream)->came.data); /* an idle stream has no memory of its own */
    CHECK(asyncio_stream_is_idle(stream));
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* Bytes that nobody reads stay with the peer in the end. */
ASYNC_TEST(a_slow_reader_is_bounded)
{
    int peer;
    asyncio_stream *stream = receiving_stream(&peer);
    static char pattern[65536 + 256];
    size_t sent = 0, got = 0, wrong = 0;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (char)i;
    for (int i = 0; i < 500; i++) {
        ssize_t n = send(peer, pattern + sent % 256, 65536, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        asyncio_sleep(0);
    }
    CHECK(traffic_of(stream)->input == INPUT_OFF);
    CHECK(asy_bytes_count(&traffic_of(stream)->came) <= (64 + 1024) * 1024); /* the limit, and one look's */
    static char block[30000];
    while (got < sent) {
        ssize_t n = asyncio_stream_read(stream, block, sizeof block);
        if (n <= 0)
            break;
        for (ssize_t i = 0; i < n; i++)
            wrong += block[i] != (char)(got + (size_t)i);
        got += (size_t)n;
    }
    CHECK_EQUAL(got, sent);
    CHECK_EQUAL(wrong, 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* More than the pool has comes at once: some receives end for want of a piece, and go on. */
ASYNC_TEST(an_empty_pool_loses_nothing)
{
    static asyncio_stream *streams[MANY];
    static int peers[MANY];
    static char block[6000], copy[6000];
    for (size_t i = 0; i < MANY; i++)
        streams[i] = receiving_stream(&peers[i]);
    memset(block, 'p', sizeof block);
    for (size_t i = 0; i < MANY; i++) {
        block[0] = (char)i;
        CHECK_EQUAL(send(peers[i], block, sizeof block, 0), sizeof block);
    }
    for (size_t i = 0; i < MANY; i++) {
        CHECK_EQUAL(asyncio_stream_readexactly(streams[i], copy, sizeof copy), sizeof copy);
        CHECK(copy[0] == (char)i && copy[sizeof copy - 1] == 'p');
        CHECK_EQUAL(asyncio_stream_close(streams[i]), 0);
        close(peers[i]);
    }
    return 0;
}

/* The kernel looks once for bytes and an end that came together, and may see the bytes alone. */
static void check_end_behind_bytes(bool is_unix, bool resets)
{
    int fds[2];
    char buf[8];
    asyncio_stream *stream;
    if (is_unix)
        net_unix_pair(SOCK_STREAM, fds);
    else
        net_tcp_pair(fds);
    CHECK_EQUAL(asyncio_stream_from_fd(fds[0], NULL, &stream), 0);
    asyncio_task *reader = asyncio_create_task(read_exactly(stream, buf, 2));
    settle();
    CHECK(receives(stream));
    peer_sends(fds[1], "xy");
    if (resets)
        net_reset_at_close(fds[1]);
    close(fds[1]);
    intptr_t n = asyncio_await(reader);
    CHECK(n == 2 || (resets && n == -ECONNRESET));
    ssize_t end = asyncio_wait_for(read_some(stream, buf, 1), 10);
    CHECK(end == (resets ? -ECONNRESET : 0));
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
}

ASYNC_TEST(the_end_behind_bytes_is_heard)
{
    check_end_behind_bytes(/* is_unix= */ false, /* resets= */ false);
    check_end_behind_bytes(/* is_unix= */ true, /* resets= */ false);
    check_end_behind_bytes(/* is_unix= */ false, /* resets= */ true);
    return 0;
}

/* Large reads go to the descriptor, small ones to completions, and back. */
ASYNC_TEST(large_and_small_reads_in_turn)
{
    static char block[100000], copy[100000];
    int peer;
    asyncio_stream *stream = receiving_stream(&peer);
    bool was_plain = false, was_not = false;
    for (int round = 0; round < 60; round++) {
        bool is_large = round / 20 != 1;
        size_t n = is_large ? sizeof block : 10;
        for (size_t i = 0; i < n; i++)
            block[i] = (char)(i * 7 + (size_t)round);
        size_t sent = 0, got = 0;
        while (got < n) {
            ssize_t part = sent < n ? send(peer, block + sent, n - sent, MSG_DONTWAIT) : 0;
            sent += part > 0 ? (size_t)part : 0;
            part = asyncio_stream_read(stream, copy + got, sizeof copy - got);
            CHECK(part > 0);
            got += part > 0 ? (size_t)part : n;
        }
        CHECK(got == n && memcmp(block, copy, n) == 0);
        was_plain |= stream->record->is_plain;
        was_not |= was_plain && !stream->record->is_plain;
    }
    CHECK(was_plain && was_not);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* ---- Output --------------------------------------------------------------------------------- */

static void expect_from(int peer, const char *bytes, size_t n)
{
    size_t got = 0;
    char *copy = malloc(n + 1);
    while (got < n) {
        ssize_t part = recv(peer, copy + got, n + 1 - got, MSG_DONTWAIT);
        got += part > 0 ? (size_t)part : 0;
        if (part == 0)
            break;
        asyncio_sleep(0);
    }
    CHECK(got == n && memcmp(copy, bytes, n) == 0);
    free(copy);
}

ASYNC_TEST(deferred_writes_keep_their_order)
{
    static char large[300000];
    char expected[16] = "ab";
    asyncio_task *crowd[4];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    memset(large, 'L', sizeof large);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "a", 1), 0);
    CHECK_EQUAL(stream->sending, 1);
    CHECK_EQUAL(asyncio_stream_queued(stream), 1);
    CHECK_EQUAL(asyncio_stream_write(stream, "b", 1), 0);
    CHECK_EQUAL(asyncio_stream_queued(stream), 2);
    CHECK_EQUAL(asyncio_stream_drain(stream), 0);
    expect_from(peer, expected, 2);
    /* A large one calls a small one back, or waits for it. */
    CHECK_EQUAL(asyncio_stream_write(stream, "c", 1), 0);
    asyncio_task *writer = asyncio_create_task(write_all(stream, large, sizeof large));
    char first = 0;
    while (recv(peer, &first, 1, MSG_DONTWAIT) != 1)
        asyncio_sleep(0);
    CHECK_EQUAL(first, 'c');
    expect_from(peer, large, sizeof large);
    CHECK_EQUAL(asyncio_await(writer), 0);
    /* The end comes behind what is deferred. */
    CHECK_EQUAL(asyncio_stream_write(stream, "z", 1), 0);
    CHECK_EQUAL(stream->sending, 1);
    CHECK_EQUAL(asyncio_stream_write_eof(stream), 0);
    end_crowd(crowd);
    settle();
    char tail[4];
    CHECK_EQUAL(recv(peer, tail, sizeof tail, MSG_DONTWAIT), 1);
    CHECK_EQUAL(recv(peer, tail, sizeof tail, MSG_DONTWAIT), 0);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* The socket has room for a part of what is deferred. What is written meanwhile comes behind all of it. */
ASYNC_TEST(a_deferred_write_in_parts_keeps_its_order)
{
    static char large[4000000], got[sizeof large], block[8000];
    asyncio_task *crowd[4];
    int peer, room = 4096;
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK_EQUAL(setsockopt(asyncio_stream_fd(stream), SOL_SOCKET, SO_SNDBUF, &room, sizeof room), 0);
    size_t sent = 0, n = 0;
    for (ssize_t part; (part = send(asyncio_stream_fd(stream), large, 1000, MSG_DONTWAIT)) > 0;)
        sent += (size_t)part;
    begin_crowd(crowd);
    memset(block, 'd', sizeof block);
    CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    CHECK_EQUAL(stream->sending, sizeof block);
    CHECK_EQUAL(asyncio_stream_write(stream, "e", 1), 0);
    for (int turns = 0; n < sent + sizeof block + 1 && turns < 1000000; turns++) {
        ssize_t part = recv(peer, got + n, 700, MSG_DONTWAIT);
        n += part > 0 ? (size_t)part : 0;
        asyncio_sleep(0);
    }
    end_crowd(crowd);
    CHECK_EQUAL(n, sent + sizeof block + 1);
    CHECK(memcmp(got + sent, block, sizeof block) == 0 && got[n - 1] == 'e');
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

ASYNC_TEST(close_sends_what_is_deferred)
{
    asyncio_task *crowd[4];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "last", 4), 0);
    CHECK_EQUAL(stream->sending, 4);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    end_crowd(crowd);
    char buf[8];
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 4);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 0);
    close(peer);
    return 0;
}

/* Aborted, or closed as a descriptor, with a send under way: nobody waits for ever, and nothing is left. */
ASYNC_TEST(gone_while_sending)
{
    for (int which = 0; which < 2; which++) {
        asyncio_task *crowd[4];
        int peer;
        asyncio_stream *stream = stream_to(&peer, NULL);
        begin_crowd(crowd);
        CHECK_EQUAL(asyncio_stream_write(stream, "lost", 4), 0);
        CHECK_EQUAL(stream->sending, 4);
        if (which == 0) {
            asyncio_stream_abort(stream);
        } else {
            CHECK_EQUAL(asyncio_close(asyncio_stream_fd(stream)), 0);
            CHECK_EQUAL(asyncio_stream_drain(stream), -EBADF);
            asyncio_stream_abort(stream);
        }
        end_crowd(crowd);
        close(peer);
    }
    return 0;
}

/* ---- Ends ----------------------------------------------------------------------------------- */

/* With a receive under way. The peer blocks this thread until it sees the end. */
ASYNC_TEST(the_peer_sees_a_close_at_once)
{
    int peer;
    char byte;
    asyncio_stream *stream = receiving_stream(&peer);
    int fd = asyncio_stream_fd(stream);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(recv(peer, &byte, 1, 0), 0);
    CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
    close(peer);
    stream = receiving_stream(&peer);
    asyncio_stream_abort(stream);
    CHECK(recv(peer, &byte, 1, 0) == -1 && errno == ECONNRESET);
    close(peer);
    return 0;
}

/* Much has come for others: the kernel deals with that first, and not with all of it at once. */
ASYNC_TEST(the_peer_sees_a_close_behind_others_at_once)
{
    static asyncio_stream *streams[100];
    static int peers[100];
    char byte;
    for (size_t i = 0; i < 100; i++)
        streams[i] = receiving_stream(&peers[i]);
    for (size_t i = 0; i < 99; i++)
        peer_sends(peers[i], "x");
    CHECK_EQUAL(asyncio_stream_close(streams[99]), 0);
    CHECK_EQUAL(recv(peers[99], &byte, 1, MSG_DONTWAIT), 0);
    for (size_t i = 0; i < 99; i++) {
        CHECK_EQUAL(asyncio_stream_readexactly(streams[i], &byte, 1), 1);
        CHECK_EQUAL(asyncio_stream_close(streams[i]), 0);
    }
    for (size_t i = 0; i < 100; i++)
        close(peers[i]);
    return 0;
}

/* The file lives on in a copy, and nothing of ours takes its bytes any more. */
ASYNC_TEST(a_copy_of_the_descriptor_goes_on)
{
    int peer;
    char buf[4];
    asyncio_stream *stream = receiving_stream(&peer);
    int copy = dup(asyncio_stream_fd(stream));
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    peer_sends(peer, "dup");
    settle();
    CHECK_EQUAL(recv(copy, buf, sizeof buf, MSG_DONTWAIT), 3);
    close(copy);
    close(peer);
    return 0;
}

/* The child's copy is the same open file, and the operations are the parent's. */
ASYNC_TEST(a_child_leaves_the_parents_traffic_alone)
{
    int peer, status;
    char buf[4];
    asyncio_stream *stream = receiving_stream(&peer);
    pid_t child = fork();
    if (child == 0) {
        asyncio_stream_abort(stream);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    peer_sends(peer, "pa");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 2), 2);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* ---- Loops ---------------------------------------------------------------------------------- */

struct borrowed {
    asyncio_loop *loop;
    intptr_t result;
};

ASYNC(naps)
{
    return asyncio_sleep(0.001);
}

static void *run_elsewhere(void *arg)
{
    struct borrowed *borrowed = arg;
    borrowed->result = asyncio_loop_run_once(borrowed->loop, 0);
    return NULL;
}

static intptr_t result_elsewhere(asyncio_loop *loop)
{
    struct borrowed borrowed = {.loop = loop};
    pthread_t thread;
    CHECK_EQUAL(pthread_create(&thread, NULL, run_elsewhere, &borrowed), 0);
    pthread_join(thread, NULL);
    return borrowed.result;
}

ASYNC(makes_stream, asyncio_stream **, stream, int *, peer)
{
    *stream = receiving_stream(peer);
    return 0;
}

static intptr_t run_here(asyncio_loop *loop, asyncio_coro *coro)
{
    asyncio_loop_adopt(loop);
    return asyncio_loop_run_until_complete(loop, (asyncio_future *)asyncio_loop_create_task(loop, coro));
}

/* A ring is its thread's. */
TEST(a_loop_moves_when_nothing_is_under_way)
{
    int peer;
    asyncio_stream *stream;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    CHECK_EQUAL(run_here(loop, naps()), 0);
    CHECK_EQUAL(result_elsewhere(loop), 0);
    CHECK_EQUAL(run_here(loop, makes_stream(&stream, &peer)), 0);
    CHECK_EQUAL(result_elsewhere(loop), ASYNCIO_ESTATE);
    CHECK_EQUAL(run_here(loop, naps()), 0);
    asyncio_stream_abort(stream);
    CHECK_EQUAL(run_here(loop, naps()), 0);
    CHECK_EQUAL(result_elsewhere(loop), 0);
    asyncio_loop_adopt(loop);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    close(peer);
    harness_settle();
}

/* Both directions are under way when the loop closes. */
ASYNC(leaves_traffic, asyncio_stream **, stream, int *, peer)
{
    asyncio_task *crowd[4];
    *stream = receiving_stream(peer);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(*stream, "left", 4), 0);
    end_crowd(crowd);
    return 0;
}

TEST(a_loop_closes_over_traffic)
{
    int peer, before = count_descriptors();
    asyncio_stream *stream;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    CHECK_EQUAL(run_here(loop, leaves_traffic(&stream, &peer)), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    asyncio_stream_abort(stream);
    close(peer);
    CHECK_EQUAL(count_descriptors(), before);
    harness_settle();
}

/* Nothing wakes a loop whose streams have nothing to do. */
ASYNC_TEST(an_idle_loop_sleeps)
{
    int peer;
    asyncio_stream *stream = receiving_stream(&peer);
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_sleep(0.01);
    uint64_t polls = loop->polls;
    asyncio_sleep(0.1);
    CHECK(loop->polls <= polls + 3);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* ---- Lost ---------------------------------------------------------------------------------- */

static intptr_t returns_three(void *arg)
{
    (void)arg;
    return 3;
}

ASYNC(writes_soon, int, fd)
{
    asyncio_sleep(0.005);
    return write(fd, "x", 1);
}

/* A filter comes while a receive is under way: the loop fails. Its tasks end in order, and may wait. */
ASYNC(loses_the_ring)
{
    int peer, fds[2];
    char byte;
    net_pipe(fds);
    asyncio_stream *stream = receiving_stream(&peer);
    CHECK(deny_call(DENY_RING_ENTER, EPERM));
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(0.15), 0); /* longer than it waits at a time */
    CHECK_EQUAL(asyncio_to_thread(returns_three, NULL), 3);
    asyncio_task *writer = asyncio_create_task(writes_soon(fds[1]));
    CHECK_EQUAL(asyncio_wait_readable(fds[0], 30), 0);
    CHECK_EQUAL(asyncio_await(writer), 1);
    asyncio_stream_abort(stream);
    close(peer);
    fputs("cleaned up; ", stderr);
    return -ECANCELED;
}

static void runs_over_a_lost_ring(void)
{
    intptr_t result = asyncio_run(loses_the_ring());
    fprintf(stderr, "%s; %s; %u failures\n", asyncio_strerror((int)result), asyncio_error_message(),
            harness_failures());
}

TEST(a_ring_is_lost)
{
    check_prints(runs_over_a_lost_ring,
                 "asyncio: io_uring is lost: the kernel denies it now; the loop ends\n"
                 "cleaned up; asyncio: io_uring: 2 operations do not end; memory is lost\n"
                 "Input/output error; the event loop cannot wait: Input/output error; 0 failures\n");
    harness_settle();
}

/* ---- Masks ---------------------------------------------------------------------------------- */

ASYNC(echoes_once)
{
    int peer;
    char buf[4];
    asyncio_task *crowd[4];
    asyncio_stream *stream = stream_to(&peer, NULL);
    asyncio_task *reader = asyncio_create_task(read_exactly(stream, buf, 2));
    settle();
    peer_sends(peer, "hi");
    CHECK_EQUAL(asyncio_await(reader), 2);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, buf, 2), 0);
    intptr_t used = (receives(stream) ? 1 : 0) | (stream->sending ? 2 : 0);
    end_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 2);
    close(peer);
    return used;
}

TEST(the_environment_masks_each_feature)
{
    CHECK_EQUAL(run(echoes_once), 3);
    setenv("ASYNCIO_URING_WITHOUT", "receive", 1);
    CHECK_EQUAL(run(echoes_once), 2);
    setenv("ASYNCIO_URING_WITHOUT", "send,accept", 1);
    CHECK_EQUAL(run(echoes_once), 1);
    setenv("ASYNCIO_URING_WITHOUT", "files,receive,send", 1);
    CHECK_EQUAL(run(echoes_once), 0);
    unsetenv("ASYNCIO_URING_WITHOUT");
    harness_settle();
}

/* ---- Sweeps --------------------------------------------------------------------------------- */

ASYNC(answers_one, asyncio_stream *, stream)
{
    char buf[64];
    ssize_t n = asyncio_stream_read(stream, buf, sizeof buf);
    return n < 0 ? n : asyncio_stream_write(stream, buf, (size_t)n);
}

/* Five connections that wait, are asked at once, and answer: completions both ways. */
ASYNC(conversation)
{
    asyncio_stream *streams[5] = {NULL};
    asyncio_task *tasks[5] = {NULL};
    int fds[5][2], count = 0;
    intptr_t err = 0;
    for (; count < 5 && !err; count++) {
        net_unix_pair(SOCK_STREAM, fds[count]);
        err = asyncio_stream_from_fd(fds[count][0], NULL, &streams[count]);
        if (err)
            close(fds[count][0]);
        else
            tasks[count] = asyncio_create_task(answers_one(streams[count]));
    }
    if (!err)
        err = asyncio_sleep(0.0001);
    for (int i = 0; i < count; i++)
        (void)send(fds[i][1], "question", 8, MSG_NOSIGNAL);
    for (int i = 0; i < count; i++) {
        intptr_t result = tasks[i] ? asyncio_wait_for(tasks[i], 5) : 0;
        tasks[i] = NULL; /* wait_for has taken it over */
        err = err ? err : result < 0 ? result : 0;
    }
    for (int i = 0; i < count; i++) {
        if (streams[i])
            asyncio_stream_abort(streams[i]);
        if (tasks[i]) {
            asyncio_cancel(tasks[i]);
            asyncio_gather_settled(NULL, tasks[i]);
        }
        close(fds[i][1]);
    }
    return err;
}

static void check_result(intptr_t result, unsigned suspension)
{
    CHECK(suspension ? result == -ECANCELED || result == 0 : result == 0);
}

TEST(cancelled_at_each_suspension)
{
    sweep_cancels(conversation, check_result);
}

TEST(each_call_fails)
{
    sweep_failures(conversation);
}

int main(void)
{
    return tests_run_on_uring();
}
