/*
 * Sleeping: never early, in order, and what is not a time.
 */
#include "core/loop.h"
#include "support/harness.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

/* The system's clock, whatever the library says. */
static double real_time(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* ---- On the real clock ------------------------------------------------------------- */

ASYNC(real_sleeper, double, seconds)
{
    double begun = real_time(), begun_here = asyncio_time();
    int err = asyncio_sleep(seconds);
    double took = real_time() - begun, took_here = asyncio_time() - begun_here;
    CHECK(took >= seconds - 1e-9); /* the difference of two doubles rounds */
    CHECK(took_here >= seconds - 1e-9);
    CHECK(took < seconds + 10);
    return err;
}

/* Works for a while before it sleeps: the delay counts from the call. */
ASYNC(busy_then_sleeps)
{
    for (double end = real_time() + 0.002; real_time() < end;)
        ;
    return asyncio_await(real_sleeper(0.003));
}

ASYNC(real_main)
{
    static const double delays[] = {1e-9, 1e-6, 0.0001, 0.00049, 0.001, 0.0011, 0.0029, 0.004};
    enum { COUNT = sizeof delays / sizeof *delays };
    asyncio_task *tasks[COUNT + 2];
    for (int i = 0; i < COUNT; i++)
        tasks[i] = asyncio_create_task(real_sleeper(delays[i]));
    tasks[COUNT] = asyncio_create_task(busy_then_sleeps());
    tasks[COUNT + 1] = asyncio_create_task(busy_then_sleeps());
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, COUNT + 2), 0);
    double when = asyncio_time() + 0.002;
    CHECK_EQUAL(asyncio_sleep_until(when), 0);
    CHECK(asyncio_time() >= when);
    return 0;
}

TEST(never_early)
{
    assert_int_equal(asyncio_run(real_main()), 0);
    harness_settle();
}

/* ---- On the virtual clock ------------------------------------------------------------ */

static char order[32];

ASYNC(notes, double, delay, char, name)
{
    int err = asyncio_sleep(delay);
    order[strlen(order)] = name;
    return err;
}

ASYNC(notes_at, double, when, char, name)
{
    int err = asyncio_sleep_until(when);
    order[strlen(order)] = name;
    return err;
}

ASYNC_TEST(order)
{
    memset(order, 0, sizeof order);
    double now = asyncio_time();
    CHECK_EQUAL(
        asyncio_gather(NULL, notes(3, 'e'), notes(1, 'b'), notes(2, 'c'), notes(1e-9, 'a'), notes(2, 'd')),
        0);
    CHECK_TEXT(order, "abcde");
    CHECK_EQUAL(asyncio_time(), now + 3);

    /* Equal deadlines, in the order in which they were made, relative or not. */
    memset(order, 0, sizeof order);
    now = asyncio_time();
    CHECK_EQUAL(asyncio_gather(NULL, notes(5, 'a'), notes_at(now + 5, 'b'), notes(5, 'c'),
                               notes_at(now + 5, 'd'), notes(4, '0'), notes(6, 'z')),
                0);
    CHECK_TEXT(order, "0abcdz");
    return 0;
}

ASYNC_TEST(exact)
{
    double now = asyncio_time();
    CHECK_EQUAL(asyncio_sleep(1e6), 0);
    CHECK(asyncio_time() - now >= 1e6 && asyncio_time() - now < 1e6 + 1e-3);
    now = asyncio_time();
    CHECK_EQUAL(asyncio_sleep(1e-10), 0); /* rounded up */
    CHECK(asyncio_time() > now && asyncio_time() - now < 1e-8);
    now = asyncio_time();
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_sleep(0.1), 0);
    CHECK(fabs(asyncio_time() - now - 100) < 1e-5);
    return 0;
}

/* ---- What is not a time, or none to wait for ------------------------------------------- */

static int others;

ASYNC(other)
{
    others++;
    return 0;
}

#define YIELDS_ONCE(call)                                                                                    \
    do {                                                                                                     \
        others = 0;                                                                                          \
        asyncio_task *other_ = asyncio_create_task(other());                                                 \
        size_t timers_ = asyncio_get_running_loop()->timers.count;                                           \
        double now_ = asyncio_time();                                                                        \
        CHECK_EQUAL((call), 0);                                                                              \
        CHECK_EQUAL(others, 1);                                                                              \
        CHECK_EQUAL(asyncio_get_running_loop()->timers.count, timers_);                                      \
        CHECK(asyncio_time() == now_);                                                                       \
        asyncio_await(other_);                                                                               \
    } while (0)

ASYNC(edges_main)
{
    YIELDS_ONCE(asyncio_sleep(0));
    YIELDS_ONCE(asyncio_sleep(-0.0));
    YIELDS_ONCE(asyncio_sleep(-1));
    YIELDS_ONCE(asyncio_sleep(-ASYNCIO_FOREVER));
    YIELDS_ONCE(asyncio_sleep_until(asyncio_time()));
    YIELDS_ONCE(asyncio_sleep_until(0));
    YIELDS_ONCE(asyncio_sleep_until(-1e300));
    YIELDS_ONCE(asyncio_sleep_until(-ASYNCIO_FOREVER));

    others = 0;
    asyncio_task *task = asyncio_create_task(other());
    CHECK_EQUAL(asyncio_sleep(NAN), -EINVAL);
    CHECK_EQUAL(asyncio_sleep(-NAN), -EINVAL);
    CHECK_EQUAL(asyncio_sleep_until(NAN), -EINVAL);
    CHECK_EQUAL(others, 0); /* at once */
    asyncio_await(task);
    return 0;
}

TEST(edges)
{
    assert_int_equal(run(edges_main), 0);
    assert_int_equal(asyncio_sleep(1), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_sleep(NAN), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_sleep_until(0), ASYNCIO_ENOTASK);
}

/* For ever, or for longer than the clock goes: until cancelled. */
ASYNC_TEST(forever)
{
    static const double delays[] = {1e10, 1e300, ASYNCIO_FOREVER};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        asyncio_task *a = asyncio_create_task(notes(delays[i], 'x'));
        asyncio_task *b = asyncio_create_task(notes_at(delays[i], 'x'));
        CHECK_EQUAL(asyncio_sleep(1000000), 0);
        CHECK(!asyncio_done(a) && !asyncio_done(b));
        asyncio_cancel(a);
        asyncio_cancel(b);
        CHECK_EQUAL(asyncio_await(a), -ECANCELED);
        CHECK_EQUAL(asyncio_await(b), -ECANCELED);
    }
    return 0;
}

/* A cancelled sleep leaves no timer. */
ASYNC(timers_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_task *tasks[10];
    for (int i = 0; i < 10; i++)
        tasks[i] = asyncio_create_task(notes(100 + i % 3, 'x'));
    asyncio_sleep(0);
    CHECK_EQUAL(loop->timers.count, 10);
    for (int i = 0; i < 10; i += 2)
        asyncio_cancel(tasks[i]);
    CHECK_EQUAL(loop->timers.count, 5);
    asyncio_sleep(0);
    CHECK_EQUAL(loop->timers.count, 5);
    intptr_t results[10];
    CHECK_EQUAL(asyncio_gather_settled_array(results, tasks, 10), 0);
    for (int i = 0; i < 10; i++)
        CHECK_EQUAL(results[i], i % 2 ? 0 : -ECANCELED);
    CHECK_EQUAL(loop->timers.count, 0);
    return 0;
}

TEST(no_timer_left)
{
    memset(order, 0, sizeof order);
    assert_int_equal(run(timers_main), 0);
}

/* ---- All seeds: whatever the order, time goes forward and nobody is early ------------------ */

ASYNC(seeded_sleeper, unsigned, i)
{
    for (unsigned n = 0; n < 20; n++) {
        double delay = (double)((i * 7 + n * 13) % 5) / 4, now = asyncio_time();
        CHECK_EQUAL(asyncio_sleep(delay), 0);
        CHECK(asyncio_time() - now >= delay - 1e-9);
        CHECK(asyncio_time() - now < delay + 1e-6);
    }
    return (intptr_t)i;
}

ASYNC(seeded_main)
{
    asyncio_task *tasks[20];
    intptr_t results[20];
    for (unsigned i = 0; i < 20; i++)
        tasks[i] = asyncio_create_task(seeded_sleeper(i));
    CHECK_EQUAL(asyncio_gather_array(results, tasks, 20), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(results[i], i);
    return 0;
}

TEST(seeds)
{
    run_all_seeds(seeded_main);
}

ASYNC(sweep_main)
{
    int err = asyncio_sleep(0);
    int other_err = asyncio_sleep(1);
    return err ? err : other_err ? other_err : asyncio_sleep_until(asyncio_time() + 3);
}

static void check_sweep(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

ASYNC(failing_main)
{
    (void)asyncio_sleep(1);
    (void)asyncio_sleep(0);
    return 0;
}

TEST(sweeps)
{
    sweep_failures(failing_main);
    sweep_cancels(sweep_main, check_sweep);
}

TEST_MAIN()
