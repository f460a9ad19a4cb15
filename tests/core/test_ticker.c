/*
 * Tickers: the three policies, to the nanosecond of the virtual clock, and no drift.
 */
#include "core/loop.h"
#include "support/harness.h"
#include <errno.h>
#include <math.h>

static int64_t now_ns(void)
{
    return asy_loop_now_ns(asyncio_get_running_loop());
}

/* When the tick of this number is due, as ticker.c has it. */
static int64_t due_ns(const asyncio_ticker *ticker, int64_t number)
{
    return ticker->base_ns_ + (int64_t)ceil((double)number * ticker->period_ns_);
}

static int64_t began_ns;

static void begin_ticker(asyncio_ticker *ticker, double period, asyncio_tick policy)
{
    CHECK_EQUAL(asyncio_ticker_init(ticker, period, policy), 0);
    began_ns = now_ns();
}

/* The next tick comes so many seconds after the beginning, and leaves so many out. */
static void check_tick(asyncio_ticker *ticker, double when, int64_t skipped, int line)
{
    int64_t result = asyncio_ticker_next(ticker), passed_ns = now_ns() - began_ns;
    if (result != skipped || passed_ns != (int64_t)(when * 1e9))
        harness_failed(__FILE__, line, "a tick after %lld ns left out %lld", (long long)passed_ns,
                       (long long)result);
}
#define CHECK_TICK(when, skipped) check_tick(&ticker, (when), (skipped), __LINE__)

ASYNC_TEST(ticks_in_time)
{
    asyncio_ticker ticker;
    for (asyncio_tick policy = ASYNCIO_TICK_BURST; policy <= ASYNCIO_TICK_SKIP; policy++) {
        begin_ticker(&ticker, 0.25, policy);
        CHECK_TICK(0.25, 0);
        CHECK_TICK(0.5, 0);
        asyncio_sleep(0.125);
        CHECK_TICK(0.75, 0);
        asyncio_sleep(0.25); /* the tick is due in this very moment */
        CHECK_TICK(1, 0);
        CHECK_TICK(1.25, 0);
    }
    return 0;
}

ASYNC_TEST(a_burst_catches_up)
{
    asyncio_ticker ticker;
    begin_ticker(&ticker, 1, ASYNCIO_TICK_BURST);
    CHECK_TICK(1, 0);
    asyncio_sleep(2.5);
    CHECK_TICK(3.5, 0); /* that of 2 */
    CHECK_TICK(3.5, 0);
    CHECK_TICK(4, 0);
    CHECK_TICK(5, 0);
    return 0;
}

ASYNC_TEST(a_delay_begins_anew)
{
    asyncio_ticker ticker;
    begin_ticker(&ticker, 1, ASYNCIO_TICK_DELAY);
    CHECK_TICK(1, 0);
    asyncio_sleep(2.5);
    CHECK_TICK(3.5, 0);
    CHECK_TICK(4.5, 0);
    asyncio_sleep(1.25);
    CHECK_TICK(5.75, 0);
    CHECK_TICK(6.75, 0);
    return 0;
}

ASYNC_TEST(a_skip_leaves_out_what_was_missed)
{
    asyncio_ticker ticker;
    begin_ticker(&ticker, 1, ASYNCIO_TICK_SKIP);
    CHECK_TICK(1, 0);
    asyncio_sleep(2.5);
    CHECK_TICK(3.5, 1); /* that of 2; that of 3 is left out */
    CHECK_TICK(4, 0);
    asyncio_sleep(1.5);
    CHECK_TICK(5.5, 0);
    CHECK_TICK(6, 0);
    asyncio_sleep(1000);
    CHECK_TICK(1006, 999);
    CHECK_TICK(1007, 0);
    return 0;
}

ASYNC(drifts_nowhere, double, period)
{
    enum { TICKS = 1000000 };
    const int ticks = asyncio_get_running_loop()->debug ? TICKS / 100 : TICKS;
    asyncio_ticker ticker;
    for (asyncio_tick policy = ASYNCIO_TICK_BURST; policy <= ASYNCIO_TICK_SKIP; policy++) {
        begin_ticker(&ticker, period, policy);
        int64_t left_out = 0;
        for (int i = 0; i < ticks; i++)
            left_out += asyncio_ticker_next(&ticker);
        CHECK_EQUAL(left_out, 0);
        CHECK(fabs((double)(now_ns() - began_ns) - period * 1e9 * ticks) <= 1);
    }
    return 0;
}

ASYNC_TEST(a_million_ticks_do_not_drift)
{
    return asyncio_await(drifts_nowhere(1.0 / 3)) + asyncio_await(drifts_nowhere(0.0001));
}

/* The loop stands still, while the caller waits and while it does not. */
static void stand_still(void *arg)
{
    double until = asyncio_time() + *(double *)arg;
    while (asyncio_time() < until)
        ;
}

ASYNC(waits_on_a_loop_that_stands_still, asyncio_tick, policy, int64_t, skipped)
{
    asyncio_ticker ticker;
    double seconds = 0.035;
    CHECK_EQUAL(asyncio_ticker_init(&ticker, 0.01, policy), 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), stand_still, &seconds);
    CHECK(asyncio_ticker_next(&ticker) >= skipped);
    return 0;
}

TEST(a_loop_that_stands_still)
{
    CHECK_EQUAL(asyncio_run(waits_on_a_loop_that_stands_still(ASYNCIO_TICK_SKIP, 2)), 0);
    CHECK_EQUAL(asyncio_run(waits_on_a_loop_that_stands_still(ASYNCIO_TICK_BURST, 0)), 0);
    CHECK_EQUAL(asyncio_run(waits_on_a_loop_that_stands_still(ASYNCIO_TICK_DELAY, 0)), 0);
    harness_settle();
}

ASYNC_TEST(a_cancel_leaves_the_tick_to_come)
{
    asyncio_ticker ticker;
    begin_ticker(&ticker, 1, ASYNCIO_TICK_SKIP);
    intptr_t err;
    ASYNCIO_TIMEOUT(err, 0.5) {
        err = asyncio_ticker_next(&ticker);
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK_TICK(1, 0);
    asyncio_sleep(3);
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_ticker_next(&ticker), -ECANCELED); /* a late one gives way, and may be cancelled */
    asyncio_task_uncancel(asyncio_current_task());
    CHECK_TICK(4, 2);
    return 0;
}

ASYNC(other, bool *, ran)
{
    *ran = true;
    return 0;
}

ASYNC_TEST(a_late_tick_gives_way)
{
    asyncio_ticker ticker;
    bool ran = false;
    begin_ticker(&ticker, 1, ASYNCIO_TICK_BURST);
    asyncio_sleep(5);
    asyncio_task *task = asyncio_create_task(other(&ran));
    CHECK_TICK(5, 0);
    CHECK(ran);
    return asyncio_await(task);
}

static int64_t in_callback;

static void tick_in_callback(void *ticker)
{
    in_callback = asyncio_ticker_next(ticker);
}

ASYNC_TEST(what_is_refused)
{
    asyncio_ticker ticker;
    static const double bad[] = {0, -1, -0.0, -INFINITY, INFINITY, NAN};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_EQUAL(asyncio_ticker_init(&ticker, bad[i], ASYNCIO_TICK_SKIP), -EINVAL);
        CHECK_HAS(asyncio_error_message(), "period");
    }
    CHECK_EQUAL(asyncio_ticker_init(&ticker, 1, (asyncio_tick)3), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "policy");
    CHECK_EQUAL(asyncio_ticker_init(NULL, 1, ASYNCIO_TICK_SKIP), -EINVAL);
    CHECK_EQUAL(asyncio_ticker_next(NULL), -EINVAL);
    begin_ticker(&ticker, 1, ASYNCIO_TICK_SKIP);
    asyncio_loop_call_soon(asyncio_get_running_loop(), tick_in_callback, &ticker);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(in_callback, ASYNCIO_ENOTASK);
    return 0;
}

ASYNC_TEST(the_shortest_and_the_longest)
{
    asyncio_ticker ticker;
    begin_ticker(&ticker, 1e-300, ASYNCIO_TICK_SKIP); /* a nanosecond is the least */
    asyncio_sleep(1);
    CHECK_EQUAL(asyncio_ticker_next(&ticker), 999999999);
    begin_ticker(&ticker, 1e300, ASYNCIO_TICK_SKIP);
    intptr_t err;
    ASYNCIO_TIMEOUT(err, 1e6) {
        err = asyncio_ticker_next(&ticker);
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    return 0;
}

/* Over years, in which no division is exact: the last tick that is due has come, and the next is not. */
ASYNC_TEST(a_skip_is_exact_however_late)
{
    static const double periods[] = {1.0 / 3, 1e-9, 7e-9, 0.1, 1234.5678};
    for (size_t i = 0; i < sizeof periods / sizeof *periods; i++) {
        asyncio_ticker ticker;
        begin_ticker(&ticker, periods[i], ASYNCIO_TICK_SKIP);
        for (int k = 0; k < 500; k++) {
            asyncio_sleep(1000.0 * k + k / 7.0);
            /* Just at a tick, or before it. */
            int64_t number = (int64_t)((double)(now_ns() - ticker.base_ns_) / ticker.period_ns_) + 2;
            asyncio_sleep((double)(due_ns(&ticker, number) - k % 2 - now_ns()) / 1e9);
            CHECK(asyncio_ticker_next(&ticker) >= 0);
            CHECK(due_ns(&ticker, ticker.number_) <= now_ns());
            CHECK(due_ns(&ticker, ticker.number_ + 1) > now_ns());
        }
    }
    return 0;
}

ASYNC(ticks_a_few)
{
    asyncio_ticker ticker;
    int64_t result = asyncio_ticker_init(&ticker, 1, ASYNCIO_TICK_SKIP);
    for (int i = 0; i < 4 && result >= 0; i++)
        result = asyncio_ticker_next(&ticker);
    return result < 0 ? (intptr_t)result : 0;
}

TEST(each_failure_in_turn)
{
    sweep_failures(ticks_a_few);
}

TEST(each_cancel_in_turn)
{
    sweep_cancels(ticks_a_few, NULL);
}

TEST_MAIN()
