/*
 * Bugs that are planted, of the classes that a simulation is for. Each is found within so many seeds, by the
 * error and the words that it should have; without the bug all seeds pass.
 */
#include "sim/scenario.h"
#include "sim/server.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_mended;

/* The bug is found within 100 seeds, and words of the report are these; mended, all pass. */
static void check_bug(coroutine_function scenario, intptr_t error, const char *words)
{
    is_mended = false;
    assert_int_equal(simulate(scenario, NULL), error);
    if (!strstr(result.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, result.text);
    is_mended = true;
    assert_int_equal(simulate(scenario, NULL), 0);
}

/* ---- A server whose handler each test brings ------------------------------------------------- */

static intptr_t (*serve_client)(asyncio_stream *stream);

ASYNC(handle_client, asyncio_stream *, stream)
{
    return serve_client(stream);
}

static asyncio_coro *make_handler(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return handle_client(stream);
}

static void start_server(intptr_t (*handler)(asyncio_stream *stream))
{
    serve_client = handler;
    asyncio_release(asyncio_sim_start("server", serve_on_80(make_handler)));
    asyncio_sleep(0.1);
}

/* ---- A short read -------------------------------------------------------------------------------- */

static const char record[] = "sixteen bytes ..";

/* Takes what one read brings for a whole record. */
static intptr_t take_record(asyncio_stream *stream)
{
    char text[16] = "";
    ssize_t n =
        is_mended ? asyncio_stream_readexactly(stream, text, 16) : asyncio_stream_read(stream, text, 16);
    if (n < 0)
        return n;
    return asyncio_stream_write(stream, memcmp(text, record, 16) ? "bad" : "good", 4);
}

ASYNC(send_record)
{
    start_server(take_record);
    asyncio_stream *stream;
    char answer[4] = "";
    int err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    err = asyncio_stream_write(stream, record, 16);
    ssize_t n = err ? err : asyncio_stream_readexactly(stream, answer, 4);
    asyncio_stream_abort(stream);
    return n < 0 ? n : memcmp(answer, "good", 4) == 0 ? 0 : -EBADMSG;
}

TEST(a_short_read)
{
    check_bug(send_record, -EBADMSG, "asyncio: draw 1: segment of ");
}

/* Its shrunk form needs the draw of the segment, which is the last one. */
TEST(shrinking_finds_the_segment)
{
    unsigned long long needed, draw;
    is_mended = false;
    assert_int_equal(simulate(send_record, NULL), -EBADMSG);
    assert_int_equal(sscanf(strstr(result.text, "needs the first"), "needs the first %llu", &needed), 1);
    assert_int_equal(sscanf(strstr(result.text, "asyncio: draw"), "asyncio: draw %llu: segment of", &draw),
                     1);
    assert_true(draw == needed && needed == result.draws && needed <= 2);
}

/* ---- A check, and an act after a wait ------------------------------------------------------------- */

static int balance;

ASYNC(withdraw, bool, comes_later)
{
    if (comes_later)
        asyncio_sleep(0);
    if (balance < 10)
        return 0;
    if (is_mended)
        balance -= 10;
    asyncio_sleep(0); /* the ledger is written */
    if (!is_mended)
        balance -= 10;
    return 0;
}

ASYNC(withdraw_twice)
{
    balance = 10;
    asyncio_gather(NULL, withdraw(false), withdraw(true));
    return balance >= 0 ? 0 : -ERANGE;
}

TEST(check_then_act)
{
    check_bug(withdraw_twice, -ERANGE, ": Task-3 runs before 1 others");
}

/* ---- A wake-up that is lost --------------------------------------------------------------------------- */

static asyncio_event has_item;
static int items;

ASYNC(consume)
{
    asyncio_sleep(0);
    if (items)
        return 0;
    if (!is_mended)
        asyncio_sleep(0); /* something else, between the look and the wait */
    return items && is_mended ? 0 : asyncio_event_wait(&has_item);
}

ASYNC(produce)
{
    asyncio_sleep(0);
    items = 1;
    asyncio_event_set(&has_item);
    if (!is_mended)
        asyncio_event_clear(&has_item); /* wakes who waits now, and nobody who comes later */
    return 0;
}

ASYNC(hand_over)
{
    items = 0;
    asyncio_event_init(&has_item);
    return asyncio_gather(NULL, produce(), consume());
}

TEST(a_lost_wake_up)
{
    check_bug(hand_over, -EDEADLK, " waits in event\n");
}

/* ---- A timeout that is forgotten ------------------------------------------------------ */

static intptr_t echo_line(asyncio_stream *stream)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    return n > 0 ? asyncio_stream_write(stream, line, (size_t)n) : n;
}

ASYNC(ask_through_partition)
{
    const asyncio_sim_link cut = {.state = ASYNCIO_SIM_DROP};
    start_server(echo_line);
    asyncio_stream *stream;
    char *line;
    ssize_t n = asyncio_open_connection("server", 80, NULL, &stream);
    if (n)
        return n;
    n = asyncio_stream_write(stream, "hello\n", 6);
    if (asyncio_sim_chance("partition", 10))
        asyncio_sim_set_link("server", "test", &cut);
    if (n == 0 && !is_mended)
        n = asyncio_stream_readline(stream, &line);
    if (n == 0 && is_mended)
        ASYNCIO_TIMEOUT(n, 5)
            n = asyncio_stream_readline(stream, &line);
    asyncio_stream_abort(stream);
    return n == -ETIMEDOUT && is_mended ? 0 : n < 0 ? n : 0;
}

TEST(a_forgotten_timeout)
{
    check_bug(ask_through_partition, -EDEADLK, "Task-1 of test waits in reading fd ");
    is_mended = false;
    assert_int_equal(simulate(ask_through_partition, NULL), -EDEADLK);
    assert_non_null(strstr(result.text, ": chance \"partition\" happens, at 0."));
    assert_non_null(strstr(result.text, ", tcp 10.0.0.1:32768 -> 10.0.0.2:80 (sent 6, received 0)\n"));
}

/* ---- A leak on cancel, and on -EMFILE ---------------------------------------------------- */

ASYNC(ask_with_leak)
{
    asyncio_stream *stream;
    char *line;
    ssize_t n = asyncio_open_connection("server", 80, NULL, &stream);
    if (n)
        return n;
    n = asyncio_stream_write(stream, "hello\n", 6);
    n = n ? n : asyncio_stream_readline(stream, &line);
    if (n == -ECANCELED && !is_mended) {
        forget(stream);
        return n;
    }
    asyncio_stream_abort(stream);
    return n < 0 ? n : 0;
}

ASYNC(hurry)
{
    start_server(echo_line);
    double patience = 0.001 * (double)(1 + asyncio_sim_random() % 30);
    intptr_t err = asyncio_wait_for(ask_with_leak(), patience);
    return err == -ETIMEDOUT ? 0 : err;
}

TEST(a_leak_on_cancel)
{
    check_bug(hurry, ASYNCIO_EINCOMPLETE, "left behind: 1 socket");
}

ASYNC(open_two)
{
    asyncio_stream *first, *second;
    int err = asyncio_open_connection("server", 80, NULL, &first);
    if (err)
        return err;
    err = asyncio_open_connection("server", 80, NULL, &second);
    if (err && !is_mended)
        forget(first);
    if (!err || is_mended)
        asyncio_stream_abort(first);
    if (!err)
        asyncio_stream_abort(second);
    return err;
}

ASYNC(open_two_of_server)
{
    start_server(echo_line);
    return asyncio_wait_for(open_two(), 60);
}

TEST(a_leak_on_a_full_table)
{
    const asyncio_sim_options options = {.runs = 1};
    is_mended = false;
    assert_int_equal(
        asyncio_sim_sweep_faults(call_scenario, (void *)(uintptr_t)open_two_of_server, &options, &result),
        ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "left behind: 1 socket"));
    is_mended = true;
    assert_int_equal(
        asyncio_sim_sweep_faults(call_scenario, (void *)(uintptr_t)open_two_of_server, &options, &result), 0);
}

/* ---- A reply to a peer that is gone -------------------------------------------------------- */

static bool is_serving;

/* A client's error is taken for the server's own. */
static intptr_t reply_slowly(asyncio_stream *stream)
{
    char *line;
    ssize_t n = asyncio_stream_readline(stream, &line);
    if (n <= 0)
        return 0;
    if (!is_serving)
        return 0; /* without an answer */
    asyncio_sleep(0.010);
    int err = asyncio_stream_write(stream, "answer\n", 7);
    if (err && !is_mended)
        is_serving = false;
    return 0;
}

ASYNC(ask_for_reply)
{
    asyncio_stream *stream;
    char *line;
    ssize_t n = asyncio_open_connection("server", 80, NULL, &stream);
    if (n)
        return n;
    n = asyncio_stream_write(stream, "question\n", 9);
    n = n ? n : asyncio_stream_readline(stream, &line);
    asyncio_stream_abort(stream);
    return n > 0 ? 0 : n ? n : -ENODATA;
}

ASYNC(reset_at_times)
{
    is_serving = true;
    start_server(reply_slowly);
    asyncio_task *first = asyncio_create_task(ask_for_reply());
    if (asyncio_sim_chance("reset", 10)) {
        asyncio_sleep(0.020);
        asyncio_sim_reset("test", "server");
    }
    intptr_t err = asyncio_await(first);
    return err == 0 || err == -ECONNRESET ? asyncio_await(ask_for_reply()) : err;
}

TEST(a_reply_to_a_reset_peer)
{
    check_bug(reset_at_times, -ENODATA, "draw ");
}

TEST_MAIN()
