/*
 * Metrics: every field, with a clock that the test moves.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "core/metrics.h"
#include "support/harness.h"
#include <errno.h>
#include <math.h>
#include <unistd.h>

#define MS 1000000

/* ---- A virtual clock on which steps take time ------------------------------------ */

static const struct asy_backend_ops *sim;
static struct asy_backend_ops moved_ops;
static int64_t moved_ns;

static int64_t moved_now(struct asy_backend *backend)
{
    return sim->now_ns(backend) + moved_ns;
}

static int moved_wait(struct asy_backend *backend, int64_t deadline_ns)
{
    bool is_limited = deadline_ns > 0 && deadline_ns != ASY_NO_DEADLINE;
    int err = sim->wait(backend, is_limited ? deadline_ns - moved_ns : deadline_ns);
    backend->began_ns += moved_ns;
    return err;
}

static void step_takes(int64_t ns)
{
    moved_ns += ns;
}

static asyncio_metrics read_metrics(void)
{
    asyncio_metrics metrics;
    CHECK_EQUAL(asyncio_loop_get_metrics(asyncio_get_running_loop(), &metrics), 0);
    return metrics;
}

static bool is_near(double value, double wanted)
{
    return fabs(value - wanted) <= 0.07 * wanted;
}

static void run_moved(asyncio_coro *main)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    asyncio_runner runner;
    moved_ns = 0;
    assert_int_equal(asyncio_runner_init(&runner, &options), 0);
    struct asy_backend *backend = asyncio_runner_get_loop(&runner)->backend;
    sim = backend->ops;
    moved_ops = *sim;
    moved_ops.now_ns = moved_now;
    moved_ops.wait = moved_wait;
    backend->ops = &moved_ops;
    CHECK_EQUAL(asyncio_runner_run(&runner, main), 0);
    asyncio_runner_close(&runner);
    harness_settle();
}

/* ---- Times ------------------------------------------------------------------------- */

ASYNC(lags_from_1_to_100)
{
    read_metrics();
    for (int i = 1; i <= 100; i++) {
        step_takes(i * MS);
        asyncio_sleep(0);
    }
    asyncio_metrics metrics = read_metrics();
    CHECK(is_near(metrics.lag_p50, 0.050));
    CHECK(is_near(metrics.lag_p99, 0.099));
    CHECK(metrics.lag_max == 0.100);
    CHECK(metrics.longest_step == 0.100);
    metrics = read_metrics();
    CHECK(metrics.lag_p50 == 0 && metrics.lag_p99 == 0 && metrics.lag_max == 0 && metrics.longest_step == 0);
    return 0;
}

TEST(lag_and_longest_step)
{
    run_moved(lags_from_1_to_100());
}

ASYNC(waits_are_no_lag)
{
    step_takes(3 * MS);
    asyncio_sleep(0);
    read_metrics();
    step_takes(2 * MS);
    asyncio_sleep(1000);
    asyncio_metrics metrics = read_metrics();
    CHECK(metrics.lag_max == 0.002);
    CHECK(metrics.longest_step == 0.002);
    return 0;
}

TEST(time_in_a_wait_is_no_lag)
{
    run_moved(waits_are_no_lag());
}

ASYNC(running_step)
{
    read_metrics();
    step_takes(5 * MS);
    asyncio_metrics metrics = read_metrics();
    CHECK(metrics.longest_step == 0.005);
    CHECK(metrics.lag_max == 0); /* the poll is yet to come */
    return 0;
}

TEST(the_running_step_counts)
{
    run_moved(running_step());
}

/* ---- By the real clock, where polls are skipped ------------------------------------- */

static void burn(double seconds)
{
    double end = asyncio_time() + seconds;
    while (asyncio_time() < end) {
    }
}

ASYNC(quick)
{
    for (int i = 0; i < 100; i++)
        asyncio_sleep(0);
    return 0;
}

ASYNC(slow)
{
    asyncio_sleep(0);
    burn(0.02);
    asyncio_sleep(0);
    return 0;
}

ASYNC(one_step_is_slow)
{
    double begun = asyncio_time();
    asyncio_task *first = asyncio_create_task(quick()), *second = asyncio_create_task(slow());
    asyncio_await(first);
    asyncio_await(second);
    asyncio_sleep(0.001);
    asyncio_metrics metrics = read_metrics();
    double took = asyncio_time() - begun;
    CHECK(metrics.longest_step >= 0.02 && metrics.longest_step <= took);
    CHECK(metrics.lag_max >= 0.02 && metrics.lag_max <= took);
    CHECK(metrics.lag_p50 <= metrics.lag_p99 && metrics.lag_p99 <= metrics.lag_max);
    return 0;
}

TEST(a_slow_step_among_quick_ones)
{
    CHECK_EQUAL(asyncio_run(one_step_is_slow()), 0);
    harness_settle();
}

static void stop_slowly(void *arg)
{
    burn(0.01);
    asyncio_loop_stop(arg);
}

TEST(the_last_iteration_of_a_run_counts)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_metrics metrics;
    asyncio_loop_call_soon(loop, stop_slowly, loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    usleep(1000); /* between two runs: no lag */
    assert_int_equal(asyncio_loop_get_metrics(loop, &metrics), 0);
    assert_true(metrics.lag_max >= 0.01 && metrics.longest_step >= 0.01);
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(asyncio_loop_get_metrics(loop, &metrics), 0);
    assert_true(metrics.lag_max == 0);
    asyncio_loop_release(loop);
}

/* ---- Counts -------------------------------------------------------------------------- */

ASYNC(sleeper)
{
    return asyncio_sleep(1);
}

ASYNC_TEST(tasks_ready_timers)
{
    asyncio_metrics before = read_metrics();
    CHECK_EQUAL(before.tasks, 1);
    CHECK_EQUAL(before.ready, 0);
    CHECK_EQUAL(before.timers, 0);
    asyncio_task *first = asyncio_create_task(sleeper()), *second = asyncio_create_task(sleeper());
    asyncio_metrics made = read_metrics();
    CHECK_EQUAL(made.tasks, 3);
    CHECK_EQUAL(made.ready, 2);
    asyncio_sleep(0);
    asyncio_metrics begun = read_metrics();
    CHECK_EQUAL(begun.ready, 0);
    CHECK_EQUAL(begun.timers, 2);
    CHECK_EQUAL(begun.steps - before.steps, 3);
    CHECK_EQUAL(begun.polls - before.polls, 1);
    asyncio_await(first);
    asyncio_await(second);
    asyncio_metrics after = read_metrics();
    CHECK_EQUAL(after.tasks, 1);
    CHECK_EQUAL(after.timers, 0);
    return 0;
}

ASYNC(reads, int, fd)
{
    return asyncio_wait_readable(fd, ASYNCIO_FOREVER);
}

ASYNC(counts_descriptors)
{
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    CHECK_EQUAL(read_metrics().descriptors, 0);
    asyncio_task *task = asyncio_create_task(reads(ends[0]));
    asyncio_sleep(0);
    CHECK_EQUAL(read_metrics().descriptors, 1);
    CHECK_EQUAL(write(ends[1], "x", 1), 1);
    CHECK_EQUAL(asyncio_await(task), 0);
    asyncio_close(ends[0]);
    CHECK_EQUAL(read_metrics().descriptors, 0);
    close(ends[1]);
    return 0;
}

TEST(descriptors)
{
    CHECK_EQUAL(asyncio_run(counts_descriptors()), 0);
    harness_settle();
}

/* ---- Refusals, and classes ------------------------------------------------------------- */

TEST(refusals)
{
    asyncio_metrics metrics;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    assert_int_equal(asyncio_loop_get_metrics(NULL, &metrics), -EINVAL);
    assert_int_equal(asyncio_loop_get_metrics(loop, NULL), -EINVAL);
    assert_int_equal(asyncio_loop_get_metrics(loop, &metrics), 0);
    assert_int_equal(metrics.tasks, 0);
    asyncio_loop_close(loop);
    assert_int_equal(asyncio_loop_get_metrics(loop, &metrics), ASYNCIO_ESTATE);
    asyncio_loop_release(loop);
}

TEST(classes_of_lags)
{
    uint32_t last = 0;
    for (uint64_t ns = 0; ns < 100000; ns++) {
        uint32_t class = asy_lag_class(ns);
        assert_true(class == last || class == last + 1);
        last = class;
    }
    assert_int_equal(asy_lag_class(UINT64_MAX), ASY_LAG_CLASSES - 1);
}

TEST_MAIN()
