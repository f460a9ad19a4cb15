/*
 * The public sweeps: each place of a cancel, a timeout and a failing call is tried; careful code passes, and
 * what careless code leaves is found, with the place.
 */
#include "sim/scenario.h"
#include "sim/server.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

static intptr_t sweep_cancel(coroutine_function subject, const asyncio_sim_options *options)
{
    return asyncio_sim_sweep_cancel(call_scenario, (void *)(uintptr_t)subject, options, &result);
}

static intptr_t sweep_faults(coroutine_function subject, const asyncio_sim_options *options)
{
    return asyncio_sim_sweep_faults(call_scenario, (void *)(uintptr_t)subject, options, &result);
}

/* ---- Subjects -------------------------------------------------------------------------------- */

ASYNC(answer, asyncio_stream *, stream)
{
    char *line;
    ssize_t n;
    while ((n = asyncio_stream_readline(stream, &line)) > 0) {
        int err = asyncio_stream_write(stream, line, (size_t)n);
        if (err)
            return err;
    }
    return n;
}

static asyncio_coro *handle(asyncio_stream *stream, void *arg)
{
    (void)arg;
    return answer(stream);
}

/* Asks once, and tries for a while: the server may not be there yet. */
static int ask_server(asyncio_stream **stream)
{
    int err = -ECONNREFUSED;
    for (int i = 0; i < 5 && err == -ECONNREFUSED; i++) {
        err = asyncio_open_connection("server", 80, NULL, stream);
        if (err == -ECONNREFUSED && asyncio_sleep(0.1))
            return -ECANCELED;
    }
    return err;
}

ASYNC(careful_client)
{
    asyncio_stream *stream;
    char *line;
    int err = ask_server(&stream);
    if (err)
        return err;
    err = asyncio_stream_write(stream, "hello\n", 6);
    ssize_t n = err ? err : asyncio_stream_readline(stream, &line);
    if (n == 6 && strcmp(line, "hello\n") != 0)
        n = -EPROTO;
    err = asyncio_stream_close(stream);
    return n < 0 ? n : err;
}

ASYNC(careful_day)
{
    asyncio_task *server = asyncio_sim_start("server", serve_on_80(handle));
    intptr_t got = asyncio_wait_for(careful_client(), 30); /* it may never be accepted */
    asyncio_cancel(server);
    intptr_t end = asyncio_await(server);
    return got < 0 ? got : end == -ECANCELED ? 0 : end;
}

/* Forgets the stream when it is cancelled after the connection is there. */
ASYNC(careless_client)
{
    asyncio_stream *stream;
    char *line;
    int err = ask_server(&stream);
    if (err)
        return err;
    err = asyncio_stream_write(stream, "hello\n", 6);
    ssize_t n = err ? err : asyncio_stream_readline(stream, &line);
    if (n == -ECANCELED) {
        forget(stream);
        return n;
    }
    asyncio_stream_abort(stream);
    return n < 0 ? n : 0;
}

ASYNC(careless_day)
{
    asyncio_release(asyncio_sim_start("server", serve_on_80(handle)));
    return asyncio_await(careless_client());
}

/* ---- Cancels ---------------------------------------------------------------------------------- */

TEST(careful_code_may_be_cancelled)
{
    const asyncio_sim_options options = {.runs = 3};
    assert_int_equal(sweep_cancel(careful_day, &options), 0);
    assert_int_equal(result.at, 0);
    assert_int_equal(result.seed, 3);
    /* As it is, and at three suspensions at least, in both ways, and one run each to find the end. */
    assert_in_range(result.runs, 3 * (1 + 2 * 4), 1000);
}

TEST(a_leak_on_cancel_is_found)
{
    assert_int_equal(sweep_cancel(careless_day, NULL), ASYNCIO_EINCOMPLETE);
    assert_true(result.at > 0);
    char words[64];
    snprintf(words, sizeof words, "asyncio: cancelled at suspension %zu, in reading a descriptor\n",
             result.at);
    assert_non_null(strstr(result.text, words));
    assert_non_null(strstr(result.text, "left behind: 1 socket"));
    assert_non_null(strstr(result.text, ": fd "));
}

ASYNC(swallow_cancel)
{
    return asyncio_sleep(1) == 0 ? 7 : -EIO;
}

static intptr_t take_eio(intptr_t value, void *arg)
{
    (void)arg;
    return value == -EIO ? 0 : value;
}

TEST(a_cancel_that_becomes_another_error_is_told)
{
    assert_int_equal(sweep_cancel(swallow_cancel, NULL), -EIO);
    assert_int_equal(result.at, 1);
    assert_non_null(strstr(result.text, "asyncio: cancelled at suspension 1, in sleep\n"));
    const asyncio_sim_options options = {.check = take_eio};
    assert_int_equal(sweep_cancel(swallow_cancel, &options), 0);
}

ASYNC(mistake_cancel_for_timeout)
{
    return asyncio_sleep(1) == 0 ? 0 : -ETIMEDOUT;
}

TEST(a_cancel_is_no_timeout)
{
    assert_int_equal(sweep_cancel(mistake_cancel_for_timeout, NULL), -ETIMEDOUT);
    assert_int_equal(result.at, 1);
    assert_non_null(strstr(result.text, "asyncio: cancelled at suspension 1, in sleep\n"));
}

/* The second time that it is cancelled, which is by the timeout, it says something else. */
static int cancels;

ASYNC(fail_at_second_cancel)
{
    intptr_t err = asyncio_sleep(1);
    return err == -ECANCELED && ++cancels == 2 ? -EPROTO : err;
}

TEST(a_timeout_is_tried_too)
{
    const asyncio_sim_options options = {.repeat = -1, .shrink = -1, .runs = 1};
    cancels = 0;
    assert_int_equal(sweep_cancel(fail_at_second_cancel, &options), -EPROTO);
    assert_int_equal(result.at, 1);
    assert_non_null(strstr(result.text, "asyncio: timed out at suspension 1, in sleep\n"));
    /* As it is, and twice: at its suspension, and at none. */
    assert_int_equal(sweep_cancel(fail_at_second_cancel, &options), 0);
    assert_int_equal(result.runs, 5);
}

/* ---- Failing calls ------------------------------------------------------------------------------ */

TEST(every_call_of_careful_code_may_fail)
{
    const asyncio_sim_options options = {.runs = 2};
    assert_int_equal(sweep_faults(careful_day, &options), 0);
    assert_in_range(result.runs, 100, 100000);
}

static intptr_t take_no_lack_of_memory(intptr_t value, void *arg)
{
    (void)arg;
    return value == -ENOMEM ? -EPROTO : 0;
}

TEST(a_check_judges_failing_calls_too)
{
    const asyncio_sim_options options = {.runs = 1, .check = take_no_lack_of_memory};
    assert_int_equal(sweep_faults(careful_day, &options), -EPROTO);
    assert_true(result.at > 0);
}

/* When it cannot connect a second time it forgets the first connection. */
ASYNC(two_connections)
{
    asyncio_stream *first, *second;
    int err = asyncio_open_connection("server", 80, NULL, &first);
    if (err)
        return err;
    err = asyncio_open_connection("server", 80, NULL, &second);
    if (err) {
        forget(first);
        return err;
    }
    asyncio_stream_abort(first);
    asyncio_stream_abort(second);
    return 0;
}

ASYNC(leak_when_full)
{
    asyncio_release(asyncio_sim_start("server", serve_on_80(handle)));
    int err = asyncio_sleep(1);
    return err ? err : asyncio_await(two_connections());
}

TEST(a_leak_on_a_failing_call_is_found)
{
    assert_int_equal(sweep_faults(leak_when_full, NULL), ASYNCIO_EINCOMPLETE);
    assert_true(result.at > 0);
    assert_non_null(strstr(result.text, " failed: "));
    assert_non_null(strstr(result.text, "left behind: "));
}

/* A send that fails with this one error is waited out for ever. */
ASYNC(ask_with_flaw)
{
    asyncio_stream *stream;
    int err = asyncio_open_connection("server", 80, NULL, &stream);
    if (err)
        return err;
    err = asyncio_stream_write(stream, "hello\n", 6);
    while (err == -ECONNRESET && asyncio_sleep(1) == 0)
        ;
    asyncio_stream_abort(stream);
    return err;
}

ASYNC(flawed_day)
{
    asyncio_release(asyncio_sim_start("server", serve_on_80(handle)));
    int err = asyncio_sleep(1);
    return err ? err : asyncio_await(ask_with_flaw());
}

TEST(each_way_in_which_a_call_fails_is_tried)
{
    const asyncio_sim_options options = {.time_limit = 100};
    assert_int_equal(sweep_faults(flawed_day, &options), -ETIME);
    assert_non_null(strstr(result.text, " failed: send, ECONNRESET\n"));
}

/* ---- Misuse ---------------------------------------------------------------------------------------- */

TEST(without_a_subject)
{
    assert_int_equal(asyncio_sim_sweep_cancel(NULL, NULL, NULL, NULL), -EINVAL);
    assert_int_equal(asyncio_sim_sweep_faults(NULL, NULL, NULL, NULL), -EINVAL);
}

TEST_MAIN()
