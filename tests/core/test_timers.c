/*
 * Timers: order and its stability among very many, cancelling, what is a time and what is
 * not, and that nothing is early.
 */
#include "asyncio.h"
#include "base/random.h"
#include "core/loop.h"
#include "core/timer.h"
#include "support/test.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define TIMERS 100000

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
static asyncio_loop *loop;

static void open_loop(const asyncio_run_options *options)
{
    loop = asyncio_loop_new(options);
    assert_non_null(loop);
}

static void close_loop(void)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

static void stop(void *arg)
{
    (void)arg;
    asyncio_loop_stop(loop);
}

/* ---- A great many --------------------------------------------------------------------- */

struct entry {
    asyncio_handle handle;
    double when;
    size_t made; /* the how manieth */
    bool cancelled, fired;
};

static struct entry entries[TIMERS];
static const struct entry *last;
static size_t fired, wrong;

static void fire(void *arg)
{
    struct entry *entry = arg;
    fired++;
    wrong += entry->cancelled || entry->fired;
    wrong += asyncio_loop_time(loop) < entry->when;
    if (last && (entry->when < last->when || (entry->when == last->when && entry->made < last->made)))
        wrong++;
    entry->fired = true;
    last = entry;
}

/* In eighths of a second, so that many are equal and none is rounded. */
static double some_time(struct random *random)
{
    return (double)asy_random_below(random, TIMERS / 10) / 8;
}

TEST(a_hundred_thousand_fire_in_order)
{
    struct random random;
    asy_random_seed(&random, 20);
    open_loop(&simulated);
    size_t made = 0, left = TIMERS;
    for (size_t i = 0; i < TIMERS; i++) {
        entries[i] = (struct entry){.when = some_time(&random), .made = made++};
        entries[i].handle = asyncio_loop_call_at(loop, entries[i].when, fire, &entries[i]);
        assert_true(asyncio_handle_valid(entries[i].handle));
        /* Every other time, take one back at random; half of these are made anew. */
        struct entry *taken = &entries[asy_random_below(&random, i + 1)];
        if (i % 2 || taken->cancelled)
            continue;
        assert_true(asyncio_handle_cancel(loop, taken->handle));
        if (i % 4) {
            *taken = (struct entry){.when = some_time(&random), .made = made++};
            taken->handle = asyncio_loop_call_at(loop, taken->when, fire, taken);
        } else {
            taken->cancelled = true;
            left--;
        }
    }
    assert_int_equal(loop->timers.count, left);
    fired = wrong = 0;
    last = NULL;
    asyncio_loop_call_at(loop, TIMERS, stop, NULL);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(fired, left);
    assert_int_equal(wrong, 0);
    assert_int_equal(loop->timers.count, 0);
    close_loop();
}

TEST(cancelled_ones_are_gone)
{
    open_loop(&simulated);
    size_t capacity = 0;
    for (int round = 0; round < 100; round++) {
        asyncio_handle handles[100];
        for (int i = 0; i < 100; i++)
            handles[i] = asyncio_loop_call_later(loop, 3600 + i, fire, NULL);
        assert_int_equal(loop->timers.count, 100);
        for (int i = 0; i < 100; i++)
            assert_true(asyncio_handle_cancel(loop, handles[(i * 37) % 100]));
        assert_int_equal(loop->timers.count, 0);
        assert_true(round == 0 || loop->timers.capacity == capacity);
        capacity = loop->timers.capacity;
    }
    close_loop();
}

/* ---- Timers that make timers --------------------------------------------------------------- */

static int depth;
static double nested_at[4];

static void nest(void *arg)
{
    nested_at[depth] = asyncio_loop_time(loop);
    if (++depth < 4)
        asyncio_loop_call_later(loop, depth == 2 ? 0 : 0.5, nest, arg);
    else
        asyncio_loop_stop(loop);
}

TEST(a_delay_counts_from_the_call)
{
    open_loop(&simulated);
    double begun = asyncio_loop_time(loop);
    depth = 0;
    asyncio_loop_call_later(loop, 0.25, nest, NULL);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    static const double wanted[] = {0.25, 0.75, 0.75, 1.25};
    for (int i = 0; i < 4; i++)
        assert_true(nested_at[i] == begun + wanted[i]);
    close_loop();
}

/* ---- The real clock -------------------------------------------------------------------------- */

static double due;
static int early, came;

static void check_time(void *arg)
{
    (void)arg;
    early += asyncio_loop_time(loop) < due;
    came++;
    asyncio_loop_stop(loop);
}

static const double delays[] = {1e-9, 1e-6, 0.00005, 0.0009999, 0.001, 0.0010001, 0.0025};
#define DELAYS (sizeof delays / sizeof delays[0])

TEST(nothing_is_early)
{
    open_loop(NULL);
    early = came = 0;
    for (size_t i = 0; i < DELAYS; i++) {
        due = asyncio_loop_time(loop) + delays[i];
        if (i % 2)
            asyncio_loop_call_later(loop, delays[i], check_time, NULL);
        else
            asyncio_loop_call_at(loop, due, check_time, NULL);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
    }
    assert_int_equal(came, DELAYS);
    assert_int_equal(early, 0);
    close_loop();
}

ASYNC(sleeps)
{
    for (size_t i = 0; i < DELAYS; i++) {
        double begun = asyncio_time();
        if (asyncio_sleep(delays[i]))
            return -EIO;
        early += asyncio_time() - begun < delays[i] * (1 - 1e-6);
        double until = asyncio_time() + delays[i];
        if (asyncio_sleep_until(until))
            return -EIO;
        early += asyncio_time() < until;
    }
    return 0;
}

TEST(no_sleep_is_short)
{
    open_loop(NULL);
    early = 0;
    asyncio_future *task = (asyncio_future *)asyncio_loop_create_task(loop, sleeps());
    assert_int_equal(asyncio_loop_run_until_complete(loop, task), 0);
    assert_int_equal(early, 0);
    close_loop();
}

/* ---- Numbers ------------------------------------------------------------------------------------ */

TEST(seconds_round_up)
{
    assert_int_equal(asy_ns_from_seconds(0), 0);
    assert_int_equal(asy_ns_from_seconds(1e-10), 1);
    assert_int_equal(asy_ns_from_seconds(1), 1000000000);
    assert_int_equal(asy_ns_from_seconds(-1.5), -1500000000);
    assert_int_equal(asy_ns_from_seconds(0.0000000011), 2);
    assert_true(asy_ns_from_seconds(1e10) == ASY_NO_DEADLINE);
    assert_true(asy_ns_from_seconds(9.2e9) < ASY_NO_DEADLINE);
    assert_true(asy_ns_from_seconds(INFINITY) == ASY_NO_DEADLINE);
    assert_true(asy_ns_from_seconds(-1e300) == INT64_MIN);
    assert_true(asy_deadline_after(5, -INFINITY) == 5);
    assert_true(asy_deadline_after(5, 1e-9) == 6);
    assert_true(asy_deadline_after(INT64_MAX - 10, 1) == ASY_NO_DEADLINE);
    assert_true(asy_deadline_after(INT64_MAX - 10, 1e-9) == INT64_MAX - 9);
    assert_true(asy_deadline_after(5, INFINITY) == ASY_NO_DEADLINE);
}

TEST_MAIN()
