/*
 * How streams on io_uring end: peers that vanish, closes at each stage, copies of descriptors, children.
 */
#include "fd/traffic_test.h"
#include "support/ring_plan.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

/* ---- Peers that vanish ------------------------------------------------------------------------------ */

static volatile sig_atomic_t pipe_signals;

static void count_signal(int signal)
{
    (void)signal;
    pipe_signals++;
}

/* The peer is gone before a deferred write goes out, or amid it. */
static void check_gone_peer(bool is_amid)
{
    static char block[8000];
    asyncio_task *crowd[4];
    int peer;
    char byte;
    asyncio_stream *stream = receiving_stream(&peer);
    if (is_amid) {
        net_make_narrow(asyncio_stream_fd(stream));
        net_fill(asyncio_stream_fd(stream));
    } else {
        net_reset_at_close(peer);
        close(peer);
    }
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
    CHECK_EQUAL(stream->sending, sizeof block);
    for (int i = 0; i < 20; i++)
        asyncio_sleep(0);
    if (is_amid) {
        CHECK_EQUAL(stream->sending, sizeof block); /* the kernel has it */
        net_reset_at_close(peer);
        close(peer);
    }
    end_crowd(crowd);
    settle();
    intptr_t err = asyncio_stream_write(stream, "x", 1);
    CHECK(err == -ECONNRESET || err == -EPIPE);
    err = asyncio_wait_for(read_some(stream, &byte, 1), 30);
    CHECK(err == -ECONNRESET || err == 0);
    asyncio_stream_abort(stream);
}

ASYNC(loses_its_peers)
{
    check_gone_peer(false);
    check_gone_peer(true);
    return 0;
}

TEST(a_peer_that_is_gone_is_an_error_and_no_signal)
{
    struct sigaction counts = {.sa_handler = count_signal}, before;
    CHECK_EQUAL(sigaction(SIGPIPE, &counts, &before), 0);
    pipe_signals = 0;
    CHECK_EQUAL(run(loses_its_peers), 0);
    CHECK_EQUAL(pipe_signals, 0);
    CHECK_EQUAL(sigaction(SIGPIPE, &before, NULL), 0);
    harness_settle();
}

/* ---- Ends that come early ----------------------------------------------------------------------------- */

static bool has_unsent(void)
{
    return asy_completions_has_unsent(asyncio_get_running_loop()->backend->transfers->completions);
}

/* Bytes and the end are there before the kernel takes the receive in. It looks once, and may see the bytes
 * alone. False: the loop was quick, and the kernel has it. */
static bool check_early_end(bool is_unix, bool resets)
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
    asyncio_sleep(0);
    bool is_early = has_unsent();
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
    return is_early;
}

ASYNC_TEST(an_end_that_comes_before_the_receive_is_heard)
{
    while (!check_early_end(/* is_unix= */ true, /* resets= */ false))
        continue;
    while (!check_early_end(/* is_unix= */ false, /* resets= */ false))
        continue;
    while (!check_early_end(/* is_unix= */ false, /* resets= */ true))
        continue;
    return 0;
}

/* ---- Closes ----------------------------------------------------------------------------------------- */

enum ending { BY_CLOSE, BY_ABORT, BY_NUMBER, ENDINGS };

static void end_by(enum ending ending, asyncio_stream *stream)
{
    int err = ending == BY_CLOSE    ? asyncio_stream_close(stream)
              : ending == BY_NUMBER ? asyncio_close(asyncio_stream_fd(stream))
                                    : 0;
    CHECK(err == 0 || err == -ECONNRESET || err == -EPIPE);
    if (ending != BY_CLOSE)
        asyncio_stream_abort(stream);
}

/* Bytes come in, and some go out, when it ends after so many turns. Another stream gets the number at once,
 * and nothing of the old one. */
static void check_number_is_taken_over(enum ending ending, int turns)
{
    int peer, other;
    char buf[4] = "", byte;
    asyncio_task *crowd[4];
    asyncio_stream *stream = receiving_stream(&peer);
    int fd = asyncio_stream_fd(stream);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "old", 3), 0);
    peer_sends(peer, "old");
    for (int i = 0; i < turns; i++)
        asyncio_sleep(0);
    end_by(ending, stream);
    /* Nobody but this thread could let the peer see it. */
    ssize_t n;
    while ((n = recv(peer, &byte, 1, 0)) > 0)
        continue;
    CHECK(n == 0 || errno == ECONNRESET);
    CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
    asyncio_stream *next = receiving_stream(&other);
    CHECK(asyncio_stream_fd(next) == fd || asyncio_stream_fd(next) < peer);
    peer_sends(other, "new");
    CHECK_EQUAL(asyncio_stream_readexactly(next, buf, 3), 3);
    CHECK_TEXT(buf, "new");
    end_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_close(next), 0);
    close(other);
    close(peer);
}

ASYNC_TEST(a_number_is_free_when_a_close_returns)
{
    for (enum ending ending = 0; ending < ENDINGS; ending++)
        for (int turns = 0; turns < 4; turns++)
            check_number_is_taken_over(ending, turns);
    return 0;
}

/* The kernel has a send that finds no room: the socket is closed all the same, and the peer sees it. */
ASYNC_TEST(a_send_under_way_keeps_no_socket_open)
{
    static char block[8000], drain[65536];
    for (enum ending ending = BY_ABORT; ending < ENDINGS; ending++) {
        asyncio_task *crowd[4];
        int peer;
        ssize_t n;
        asyncio_stream *stream = receiving_stream(&peer);
        net_make_narrow(asyncio_stream_fd(stream));
        net_fill(asyncio_stream_fd(stream));
        begin_crowd(crowd);
        CHECK_EQUAL(asyncio_stream_write(stream, block, sizeof block), 0);
        for (int i = 0; i < 20; i++)
            asyncio_sleep(0);
        CHECK_EQUAL(stream->sending, sizeof block);
        end_by(ending, stream);
        end_crowd(crowd);
        while ((n = recv(peer, drain, sizeof drain, 0)) > 0)
            continue;
        CHECK(n == 0 || errno == ECONNRESET);
        close(peer);
    }
    return 0;
}

/* The kernel takes nothing for the moment. The peer sees the end all the same; the number is kept until the
 * kernel has let go of the file, and no longer. */
ASYNC_TEST(a_close_that_the_kernel_does_not_hear)
{
    int peer;
    char byte;
    asyncio_stream *stream = receiving_stream(&peer);
    int fd = asyncio_stream_fd(stream);
    ring_plan.failing_enters = 1;
    asyncio_stream_abort(stream);
    CHECK_EQUAL(ring_plan.failing_enters, 0);
    ssize_t n = recv(peer, &byte, 1, 0);
    CHECK(n == 0 || (n == -1 && errno == ECONNRESET));
    CHECK(fcntl(fd, F_GETFD) != -1);
    settle();
    CHECK_EQUAL(fcntl(fd, F_GETFD), -1);
    close(peer);
    return 0;
}

/* Closed as a descriptor, with a send that the kernel has not taken, and will not take for the moment. The
 * bytes must not go out by the file that has the number next. */
ASYNC_TEST(what_was_not_sent_never_goes_to_another_file)
{
    int peer, other;
    char buf[8] = "";
    asyncio_task *crowd[4];
    asyncio_stream *stream = receiving_stream(&peer);
    int fd = asyncio_stream_fd(stream);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "old", 3), 0);
    ring_plan.failing_enters = 1;
    CHECK_EQUAL(asyncio_close(fd), 0);
    CHECK_EQUAL(ring_plan.failing_enters, 0);
    asyncio_stream *next = stream_to(&other, NULL);
    CHECK_EQUAL(asyncio_stream_fd(next), fd);
    end_crowd(crowd);
    settle();
    CHECK_EQUAL(asyncio_stream_write(next, "new", 3), 0);
    settle();
    CHECK_EQUAL(recv(other, buf, sizeof buf, MSG_DONTWAIT), 3);
    CHECK_TEXT(buf, "new");
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 0);
    CHECK_EQUAL(asyncio_stream_close(next), 0);
    asyncio_stream_abort(stream);
    close(other);
    close(peer);
    return 0;
}

/* ---- A loop that rests -------------------------------------------------------------------------- */

ASYNC(leaves_a_write, asyncio_stream **, stream, int *, peer)
{
    asyncio_task *crowd[4];
    *stream = receiving_stream(peer);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(*stream, "left", 4), 0);
    CHECK_EQUAL((*stream)->sending, 4);
    asyncio_loop_stop(asyncio_get_running_loop());
    asyncio_sleep(0); /* it stops, with all that is queued */
    end_crowd(crowd);
    return 0;
}

/* What was deferred goes out when the loop stops, and not when it runs again. */
TEST(a_loop_that_rests_owes_nothing)
{
    int peer;
    char buf[8];
    asyncio_stream *stream;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, leaves_a_write(&stream, &peer));
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK(!asyncio_done(task));
    CHECK_EQUAL(recv(peer, buf, sizeof buf, MSG_DONTWAIT), 4);
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    asyncio_stream_abort(stream);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    close(peer);
    harness_settle();
}

/* ---- Copies --------------------------------------------------------------------------------------- */

/* Another process got the descriptor, and serves the connection from here on. */
ASYNC_TEST(a_descriptor_that_was_passed_on)
{
    int peer, status, ends[2];
    char buf[4] = "";
    asyncio_stream *stream = receiving_stream(&peer);
    net_unix_pair(SOCK_STREAM, ends);
    pid_t child = fork();
    if (child == 0) { /* its copy of the descriptor is as one that was sent */
        bool is_well = read(ends[1], buf, 1) == 1 &&
                       recv(asyncio_stream_fd(stream), buf, 3, MSG_WAITALL) == 3 && !memcmp(buf, "its", 3) &&
                       send(asyncio_stream_fd(stream), "ok", 2, 0) == 2;
        _exit(!is_well);
    }
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(write(ends[0], "", 1), 1);
    peer_sends(peer, "its");
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK_EQUAL(recv(peer, buf, 2, 0), 2);
    close(peer);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

/* ---- Children ------------------------------------------------------------------------------------- */

ASYNC(asks_in_a_child)
{
    int peer;
    char buf[4];
    CHECK(asyncio_get_running_loop()->backend->transfers != NULL);
    asyncio_stream *stream = receiving_stream(&peer);
    peer_sends(peer, "own");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 3), 3);
    return asyncio_stream_close(stream);
}

/* The child has no queues of the parent's, and looks at none. It has a ring of its own; the parent's receive
 * goes on. */
ASYNC_TEST(a_child_has_a_loop_of_its_own)
{
    int peer, status;
    char buf[4];
    asyncio_stream *stream = receiving_stream(&peer);
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_loop_ref(loop);
    pid_t child = fork();
    if (child == 0) {
        (void)asyncio_loop_timeout(loop);
        (void)asyncio_loop_fd(loop);
        (void)asyncio_stream_is_idle(stream);
        (void)asyncio_stream_queued(stream);
        asyncio_stream_abort(stream);
        CHECK_EQUAL(asyncio_loop_run_once(loop, 0), ASYNCIO_ESTATE);
        CHECK_EQUAL(asyncio_loop_close(loop), ASYNCIO_ESTATE);
        asyncio_loop_release(loop);
        CHECK_EQUAL(asyncio_run(asks_in_a_child()), 0);
        _exit(harness_failures() != 0);
    }
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK_EQUAL(status, 0);
    peer_sends(peer, "pa");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 2), 2);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    asyncio_loop_release(loop);
    close(peer);
    return 0;
}

int main(void)
{
    return tests_run_on_uring();
}
