/*
 * Streams on io_uring beside the usual: kernels that answer oddly, or are short of memory.
 */
#include "fd/traffic_test.h"
#include "support/ring_plan.h"
#include "sys/sys.h"

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

/* There is no memory for bytes that the kernel has taken off the socket: what comes behind them is no stream
 * of bytes any more. */
ASYNC_TEST(nothing_is_read_behind_a_gap)
{
    int peer;
    char buf[8];
    asyncio_stream *stream = receiving_stream(&peer);
    peer_sends(peer, "one");
    CHECK_EQUAL(asy_transfers_hand_over(transfers()), 0);
    peer_sends(peer, "two");
    CHECK_EQUAL(asy_transfers_hand_over(transfers()), 0);
    asy_fault_arm(1, false);
    asy_completions_reap(transfers()->completions, 100);
    asy_fault_disarm();
    CHECK_TEXT(asy_fault.failed, "alloc");
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), -ENOMEM);
    CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), -ENOMEM);
    asyncio_stream_abort(stream);
    close(peer);
    return 0;
}

/* ---- Counts ------------------------------------------------------------------------------------- */

/* What is under way, for a loop that looks whether anything could still wake it; and the sends of this turn
 * alone, for writes that would go out with them. */
ASYNC_TEST(counts_come_back)
{
    asyncio_task *crowd[4];
    int peer, other;
    char buf[4];
    size_t before = asyncio_get_running_loop()->backend->attached;
    asyncio_stream *stream = receiving_stream(&peer), *closed = receiving_stream(&other);
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "a", 1), 0);
    CHECK_EQUAL(transfers()->sends_queued, 1);
    CHECK_EQUAL(asyncio_stream_close(closed), 0);
    CHECK_EQUAL(transfers()->sends_queued, 0); /* the kernel has it */
    end_crowd(crowd);
    settle();
    begin_crowd(crowd);
    CHECK_EQUAL(asyncio_stream_write(stream, "b", 1), 0);
    CHECK_EQUAL(transfers()->sends_queued, 1);
    end_crowd(crowd);
    settle();
    CHECK_EQUAL(transfers()->sends_queued, 0); /* a turn is over */
    CHECK_EQUAL(recv(peer, buf, sizeof buf, 0), 2);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    settle();
    CHECK_EQUAL(asyncio_get_running_loop()->backend->attached, before);
    close(other);
    close(peer);
    return 0;
}

/* All that came is read: the next read waits, and asks the descriptor nothing. */
ASYNC_TEST(no_call_is_made_for_nothing)
{
    int peer;
    char buf[8];
    asyncio_stream *stream = receiving_stream(&peer);
    for (int i = 0; i < 3; i++) {
        CHECK(!(stream->record->ready & FD_READ));
        peer_sends(peer, "abc");
        settle();
        CHECK(stream->record->ready & FD_READ);
        CHECK_EQUAL(asyncio_stream_read(stream, buf, sizeof buf), 3);
    }
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    close(peer);
    return 0;
}

/* The same with a send that is taken back, since much comes behind it. */
ASYNC_TEST(a_send_that_is_taken_back_counts_for_nothing)
{
    static char large[100000];
    asyncio_task *crowd[4];
    int peer;
    asyncio_stream *stream = stream_to(&peer, NULL);
    begin_crowd(crowd);
    size_t before = asyncio_get_running_loop()->backend->attached;
    CHECK_EQUAL(asyncio_stream_write(stream, "a", 1), 0);
    CHECK_EQUAL(asyncio_get_running_loop()->backend->attached, before + 1);
    CHECK_EQUAL(asyncio_stream_write(stream, large, sizeof large), 0);
    CHECK_EQUAL(stream->sending, 0);
    end_crowd(crowd);
    CHECK_EQUAL(recv(peer, large, sizeof large, MSG_WAITALL), sizeof large);
    CHECK_EQUAL(asyncio_stream_close(stream), 0);
    CHECK_EQUAL(asyncio_get_running_loop()->backend->attached, before);
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

/* The looks at the epoll set. */
TEST(a_look_that_stops_for_no_reason)
{
    static const int errors[] = {-EAGAIN, -EBUSY, -ENOMEM, -EINTR};
    if (!can_plan_answers())
        skip();
    check_answers(IORING_OP_POLL_ADD, errors, sizeof errors / sizeof errors[0]);
}

ASYNC(looks_at_the_set)
{
    int peer;
    char byte;
    asyncio_stream *stream = stream_to(&peer, NULL);
    CHECK_EQUAL(asyncio_stream_read(stream, &byte, 1), -ECANCELED);
    asyncio_stream_abort(stream);
    close(peer);
    return -ECANCELED;
}

/* One that the kernel will not have at all ends the loop: it would hear of nothing any more. */
TEST(a_look_that_is_refused)
{
    if (!can_plan_answers())
        skip();
    plan_answers(IORING_OP_POLL_ADD, 0, 1, -EINVAL);
    CHECK_EQUAL(asyncio_run(looks_at_the_set()), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "the event loop cannot wait");
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
    return tests_run_on_uring();
}
