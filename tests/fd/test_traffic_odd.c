/*
 * Streams on io_uring beside the usual: kernels that answer oddly, peers that vanish amid a send, closes at
 * each stage, copies of descriptors, children.
 */
#include "fd/traffic_test.h"
#include "support/ring_plan.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

static struct asy_transfers *transfers(void)
{
    return asyncio_get_running_loop()->backend->transfers;
}

/* ---- Order -------------------------------------------------------------------------------------- */

/* An event has told of bytes. The kernel takes them when the ring is entered amid the turn, as a close does,
 * and more follow. A read must not take the later ones off the descriptor. */
ASYNC_TEST(bytes_on_their_way_come_before_those_of_the_descriptor)
{
    int peer;
    char buf[8] = "";
    asyncio_stream *stream = receiving_stream(&peer);
    peer_sends(peer, "one");
    stream->record->ready |= FD_READ;
    CHECK_EQUAL(asy_transfers_hand_over(transfers()), 0);
    CHECK(!asy_transfers_are_told(transfers()));
    peer_sends(peer, "two");
    CHECK_EQUAL(asyncio_stream_readexactly(stream, buf, 6), 6);
    CHECK_TEXT(buf, "onetwo");
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* ---- Answers ------------------------------------------------------------------------------------ */

static char questions[5][8];

ASYNC(answers_question, asyncio_stream *, stream)
{
    char buf[8];
    ssize_t n = asyncio_stream_readexactly(stream, buf, sizeof buf);
    CHECK_EQUAL(n, sizeof buf);
    CHECK_EQUAL(asyncio_stream_write(stream, buf, sizeof buf), 0);
    return 0;
}

static void expect_answer(int peer, const char *question)
{
    char answer[8];
    size_t got = 0;
    for (int turns = 0; got < sizeof answer && turns < 1000000; turns++) {
        ssize_t n = recv(peer, answer + got, sizeof answer - got, MSG_DONTWAIT);
        got += n > 0 ? (size_t)n : 0;
        asyncio_sleep(0);
    }
    CHECK_EQUAL(got, sizeof answer);
    CHECK(memcmp(question, answer, sizeof answer) == 0);
}

/* Five wait, are asked at once, and answer: both ways by completions. */
ASYNC(asks_five)
{
    asyncio_stream *streams[5];
    asyncio_task *tasks[5];
    int peers[5];
    for (int i = 0; i < 5; i++) {
        streams[i] = stream_to(&peers[i], NULL);
        tasks[i] = asyncio_create_task(answers_question(streams[i]));
        memset(questions[i], 'a' + i, sizeof questions[i]);
    }
    settle();
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(send(peers[i], questions[i], sizeof questions[i], 0), sizeof questions[i]);
    for (int i = 0; i < 5; i++) {
        CHECK_EQUAL(asyncio_wait_for(tasks[i], 30), 0);
        expect_answer(peers[i], questions[i]);
        CHECK_EQUAL(asyncio_stream_close(streams[i]), 0);
        close(peers[i]);
    }
    return 0;
}

/* The operation is answered so without a reason, at each of its places: nobody notices. */
static void check_answers(uint8_t opcode, const int *errors, size_t count)
{
    bool was_answered = true;
    for (size_t i = 0; i < count; i++, was_answered = true)
        for (uint32_t skip = 0; was_answered && skip < 100; skip++) {
            plan_answers(opcode, skip, 1, errors[i]);
            CHECK_EQUAL(run(asks_five), 0);
            was_answered = ring_plan.answered > 0;
            CHECK(was_answered || skip > 0);
            if (harness_failures()) {
                fprintf(stderr, "operation %u, place %u: %s\n", opcode, skip, asyncio_errname(errors[i]));
                fail();
            }
        }
    plan_answers(opcode, 0, 0, 0);
}

static const int passing[] = {-EAGAIN, -EINTR, -ENOMEM, -EBUSY, -ENOBUFS, -ECANCELED, -512};
#define PASSING (sizeof passing / sizeof passing[0])

TEST(a_receive_that_stops_for_no_reason)
{
    if (!can_plan_answers())
        skip();
    check_answers(IORING_OP_RECV, passing, PASSING);
}

TEST(a_send_that_stops_for_no_reason)
{
    if (!can_plan_answers())
        skip();
    check_answers(IORING_OP_SEND, passing, PASSING);
}

/* The looks at the epoll set, and at what other threads wake the loop with. */
TEST(a_look_that_stops_for_no_reason)
{
    static const int errors[] = {-EAGAIN, -EBUSY, -ENOMEM, -EINTR};
    if (!can_plan_answers())
        skip();
    check_answers(IORING_OP_POLL_ADD, errors, sizeof errors / sizeof errors[0]);
}

ASYNC(sleeps_a_little)
{
    return asyncio_sleep(0.01);
}

/* One that the kernel will not have at all ends the loop: it would hear of nothing any more. */
TEST(a_look_that_is_refused)
{
    if (!can_plan_answers())
        skip();
    for (uint32_t skip = 0; skip < 2; skip++) {
        plan_answers(IORING_OP_POLL_ADD, skip, 1, -EINVAL);
        CHECK_EQUAL(asyncio_run(sleeps_a_little()), -EINVAL);
        CHECK_HAS(asyncio_error_message(), "the event loop cannot wait");
    }
    harness_settle();
}

/* Real errors end the stream, in the one direction or in both. */
ASYNC(reads_an_error)
{
    int peer;
    char byte;
    plan_answers(IORING_OP_RECV, 0, 1, -EIO);
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -EIO);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -EIO);
    asyncio_stream_abort(stream);
    close(peer);
    return 0;
}

ASYNC(writes_an_error)
{
    int peer;
    char byte;
    asyncio_task *crowd[4];
    asyncio_stream *stream = receiving_stream(&peer);
    plan_answers(IORING_OP_SEND, 0, 1, -EIO);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "lost", 4), 0);
    CHECK_EQUAL(stream->sending, 4);
    end_crowd(crowd);
    settle();
    CHECK_EQUAL(asyncio_stream_write(stream, "more", 4), -EIO);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -EIO); /* the answer to what was lost never comes */
    asyncio_stream_abort(stream);
    close(peer);
    return 0;
}

TEST(an_error_is_told)
{
    if (!can_plan_answers())
        skip();
    CHECK_EQUAL(run(reads_an_error), 0);
    CHECK_EQUAL(run(writes_an_error), 0);
    harness_settle();
}

/* A kernel without receives that repeat. */
TEST(each_piece_is_the_last)
{
    ring_plan.has_no_repeats = true;
    CHECK_EQUAL(run(asks_five), 0);
    CHECK_EQUAL(run(main_of_bytes_on_their_way_come_before_those_of_the_descriptor), 0);
    ring_plan.has_no_repeats = false;
    harness_settle();
}

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

ASYNC(asks_five_in_a_child)
{
    CHECK(transfers() != NULL);
    return asyncio_await(asks_five());
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
        CHECK_EQUAL(asyncio_run(asks_five_in_a_child()), 0);
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

/* ---- Where there is none -------------------------------------------------------------------------- */

ASYNC(has_no_ring)
{
    CHECK(transfers() == NULL);
    CHECK(!asyncio_get_running_loop()->backend->files_ring);
    return asyncio_sleep(1);
}

TEST(a_virtual_clock_has_no_ring)
{
    asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    CHECK_EQUAL(asyncio_run_with(has_no_ring(), &simulated), 0);
    harness_settle();
}

int main(void)
{
    return traffic_tests();
}
