/*
 * asyncio_wait: the three modes, the partition, time limits, odd sets.
 */
#include "support/harness.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

static void cancel_it(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

#define N 4

struct four {
    asyncio_task *all[N]; /* as they were made */
    asyncio_task *set[N];
};

static void make(struct four *four, const double delays[N], const intptr_t results[N])
{
    for (int i = 0; i < N; i++)
        four->all[i] = four->set[i] = asyncio_create_task(sleeps(delays[i], results[i]));
}

/* Drops all, those that run being cancelled first. */
static void drop(struct four *four)
{
    for (int i = 0; i < N; i++) {
        asyncio_cancel(four->all[i]);
        asyncio_join(four->all[i], NULL);
    }
}

static void check_order(const struct four *four, int a, int b, int c, int d)
{
    const int places[N] = {a, b, c, d};
    for (int i = 0; i < N; i++)
        CHECK(four->set[i] == four->all[places[i]]);
}

static const double delays[N] = {4, 2, 3, 1};
static const intptr_t fine[N] = {0, 0, 0, 0};

/* ---- 12: modes ----------------------------------------------------------- */

ASYNC_TEST(behaviour_12_all_completed)
{
    struct four four;
    make(&four, delays, (intptr_t[]){0, -EIO, 0, 0});
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_ALL_COMPLETED), 4);
    CHECK(asyncio_time() == 4);
    check_order(&four, 3, 1, 2, 0);
    drop(&four);
    return 0;
}

ASYNC_TEST(behaviour_12_first_completed)
{
    struct four four;
    make(&four, delays, fine);
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_FIRST_COMPLETED), 1);
    CHECK(asyncio_time() == 1);
    check_order(&four, 3, 0, 1, 2);
    for (int i = 0; i < 3; i++)
        CHECK(!asyncio_done(four.all[i])); /* left alone */
    CHECK_EQUAL(asyncio_wait(four.set + 1, 3, ASYNCIO_FOREVER, ASYNCIO_FIRST_COMPLETED), 1);
    CHECK(asyncio_time() == 2);
    check_order(&four, 3, 1, 0, 2);
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_FIRST_COMPLETED), 2); /* holds already */
    CHECK(asyncio_time() == 2);
    drop(&four);
    return 0;
}

/* A cancelled one is no failure. */
ASYNC_TEST(behaviour_12_first_error)
{
    struct four four;
    make(&four, delays, (intptr_t[]){0, 0, -EIO, 0});
    asyncio_sleep(0);
    asyncio_cancel(four.all[1]);
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_FIRST_ERROR), 3);
    CHECK(asyncio_time() == 3);
    check_order(&four, 1, 3, 2, 0);
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_FIRST_ERROR), 3); /* holds already */
    drop(&four);
    make(&four, delays, fine);
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_FIRST_ERROR), 4); /* none failed */
    CHECK(asyncio_time() == 7);
    drop(&four);
    return 0;
}

ASYNC_TEST(behaviour_12_timeouts)
{
    struct four four;
    make(&four, delays, fine);
    CHECK_EQUAL(asyncio_wait(four.set, N, 0, ASYNCIO_ALL_COMPLETED), 0);
    CHECK(asyncio_time() == 0);
    CHECK_EQUAL(asyncio_wait(four.set, N, 2.5, ASYNCIO_ALL_COMPLETED), 2);
    CHECK(asyncio_time() == 2.5);
    check_order(&four, 3, 1, 0, 2);
    CHECK(!asyncio_done(four.all[0]) && !asyncio_done(four.all[2]));
    CHECK_EQUAL(asyncio_wait(four.set, N, -1, ASYNCIO_ALL_COMPLETED), 2);
    CHECK_EQUAL(asyncio_wait(four.set, N, 100, ASYNCIO_ALL_COMPLETED), 4);
    CHECK(asyncio_time() == 4);
    drop(&four);
    return 0; /* the run checks that no timer is left */
}

/* What is finished by the time the call resumes counts as done. */
ASYNC_TEST(behaviour_12_done_by_the_time_it_resumes)
{
    struct four four;
    make(&four, (double[]){1, 1, 1, 2}, fine);
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_FIRST_COMPLETED), 3);
    check_order(&four, 0, 1, 2, 3);
    drop(&four);
    return 0;
}

ASYNC_TEST(done_already)
{
    struct four four;
    make(&four, (double[]){0, 0, 0, 0}, fine);
    asyncio_sleep(1);
    asyncio_task *other = asyncio_create_task(sleeps(0, 0));
    CHECK_EQUAL(asyncio_wait(four.set, N, 1, ASYNCIO_ALL_COMPLETED), 4);
    CHECK_EQUAL(asyncio_wait(four.set, N, 1, ASYNCIO_FIRST_ERROR), 4);
    CHECK(!asyncio_done(other));
    asyncio_await(other);
    drop(&four);
    return 0;
}

/* ---- Cancelled ----------------------------------------------------------- */

ASYNC_TEST(cancelled_leaves_them_alone)
{
    struct four four;
    make(&four, delays, fine);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1.5, cancel_it, asyncio_current_task());
    CHECK_EQUAL(asyncio_wait(four.set, N, 50, ASYNCIO_ALL_COMPLETED), -ECANCELED);
    CHECK(asyncio_time() == 1.5);
    check_order(&four, 0, 1, 2, 3);
    for (int i = 0; i < 3; i++) {
        CHECK(!asyncio_done(four.all[i]));
        CHECK_EQUAL(asyncio_task_cancelling(four.all[i]), 0);
    }
    /* A request that is pending comes before the wait, but not before what holds already. */
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_wait(four.set, N, 50, ASYNCIO_FIRST_COMPLETED), 1);
    CHECK_EQUAL(asyncio_wait(four.set, N, 50, ASYNCIO_ALL_COMPLETED), -ECANCELED);
    CHECK(asyncio_time() == 1.5);
    drop(&four);
    return asyncio_sleep(1);
}

/* After it was granted: kept, and the request comes at the next wait. */
ASYNC(completes_and_cancels, asyncio_task *, task, double, delay)
{
    asyncio_sleep(delay);
    asyncio_loop_call_soon(asyncio_get_running_loop(), cancel_it, task);
    return 3;
}

ASYNC_TEST(cancelled_after_the_grant)
{
    asyncio_task *set[] = {asyncio_create_task(completes_and_cancels(asyncio_current_task(), 1))};
    CHECK_EQUAL(asyncio_wait(set, 1, 9, ASYNCIO_ALL_COMPLETED), 1);
    CHECK_EQUAL(asyncio_await(set[0]), 3);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

/* ---- Odd sets ------------------------------------------------------------ */

static void outside(void *arg)
{
    asyncio_future *set[1] = {NULL};
    (void)arg;
    CHECK_EQUAL(asyncio_wait(set, 1, 1, ASYNCIO_ALL_COMPLETED), ASYNCIO_ENOTASK);
}

ASYNC(refusals)
{
    struct four four;
    make(&four, delays, fine);
    asyncio_future *none = NULL;
    CHECK_EQUAL(asyncio_wait(four.set, 0, 1, ASYNCIO_ALL_COMPLETED), -EINVAL);
    CHECK_EQUAL(asyncio_wait_futures(NULL, 1, 1, ASYNCIO_ALL_COMPLETED), -EINVAL);
    CHECK_EQUAL(asyncio_wait(four.set, N, NAN, ASYNCIO_ALL_COMPLETED), -EINVAL);
    CHECK_EQUAL(asyncio_wait(four.set, N, 1, (asyncio_return_when)3), -EINVAL);
    four.set[3] = four.set[1];
    CHECK_EQUAL(asyncio_wait(four.set, N, 1, ASYNCIO_ALL_COMPLETED), -EINVAL); /* twice */
    CHECK_HAS(asyncio_error_message(), "twice");
    four.set[3] = asyncio_current_task();
    CHECK_EQUAL(asyncio_wait(four.set, N, 1, ASYNCIO_ALL_COMPLETED), -EINVAL); /* itself */
    four.set[3] = four.all[3];
    CHECK_EQUAL(asyncio_wait(four.set, N, 9, ASYNCIO_FIRST_COMPLETED), 1); /* nothing is left marked */
    check_order(&four, 3, 0, 1, 2);
    CHECK_EQUAL(asyncio_wait(&none, 1, 1, ASYNCIO_ALL_COMPLETED), 1);
    asyncio_loop_call_soon(asyncio_get_running_loop(), outside, NULL);
    drop(&four);
    return 0;
}

TEST(refusals)
{
    outside(NULL);
    assert_int_equal(run(refusals), 0);
}

/* NULL: done, with -ENOMEM. It comes first: it was never pending. */
ASYNC_TEST(nulls)
{
    struct four four;
    make(&four, delays, fine);
    four.set[1] = NULL;
    CHECK_EQUAL(asyncio_wait(four.set, N, 9, ASYNCIO_FIRST_COMPLETED), 1);
    CHECK(four.set[0] == NULL);
    CHECK_EQUAL(asyncio_wait(four.set, N, 9, ASYNCIO_FIRST_ERROR), 1);
    CHECK(asyncio_time() == 0);
    CHECK_EQUAL(asyncio_wait(four.set, N, 9, ASYNCIO_ALL_COMPLETED), 4);
    CHECK(four.set[0] == NULL && four.set[1] == four.all[3] && four.set[3] == four.all[0]);
    four.set[2] = NULL;
    CHECK_EQUAL(asyncio_wait(four.set, N, 9, ASYNCIO_ALL_COMPLETED), 4); /* not a double */
    drop(&four);
    return 0;
}

ASYNC_TEST(futures)
{
    asyncio_future *set[3], *all[3];
    for (int i = 0; i < 3; i++)
        set[i] = all[i] = asyncio_future_new();
    asyncio_future_set_result(all[2], 1);
    asyncio_future_set_error(all[0], -EIO);
    CHECK_EQUAL(asyncio_wait(set, 3, 1, ASYNCIO_ALL_COMPLETED), 2);
    CHECK(set[0] == all[2] && set[1] == all[0] && set[2] == all[1]);
    CHECK_EQUAL(asyncio_result(all[0]), -EIO); /* wait does not look at results */
    for (int i = 0; i < 3; i++)
        asyncio_release(all[i]);
    return 0;
}

/* A failure that nobody looks at is reported though somebody waited for it. */
ASYNC(unseen)
{
    asyncio_task *set[] = {asyncio_create_task(sleeps(1, -EIO))};
    CHECK_EQUAL(asyncio_wait(set, 1, 9, ASYNCIO_ALL_COMPLETED), 1);
    asyncio_release(set[0]);
    return 0;
}

TEST(unseen)
{
    expect_reports(1);
    assert_int_equal(run(unseen), 0);
}

#define MANY 3000

ASYNC_TEST(many)
{
    static asyncio_task *set[MANY];
    for (int i = 0; i < MANY; i++)
        set[i] = asyncio_create_task(sleeps(i * 7919 % MANY + 1, i));
    CHECK_EQUAL(asyncio_wait(set, MANY, MANY / 2 + 0.5, ASYNCIO_ALL_COMPLETED), MANY / 2);
    for (int i = 1; i < MANY / 2; i++)
        CHECK(asyncio_result(set[i]) * 7919 % MANY == i);
    CHECK_EQUAL(asyncio_wait(set, MANY, ASYNCIO_FOREVER, ASYNCIO_ALL_COMPLETED), MANY);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_await(set[i]) * 7919 % MANY, i);
    return 0;
}

/* Two tasks wait for the same ones. */
ASYNC(waits_too, asyncio_task **, from, size_t, n)
{
    asyncio_task *set[N];
    memcpy(set, from, n * sizeof *set);
    return asyncio_wait(set, n, 2.5, ASYNCIO_ALL_COMPLETED);
}

ASYNC_TEST(shared)
{
    struct four four;
    make(&four, delays, fine);
    asyncio_task *other = asyncio_create_task(waits_too(four.all, N));
    CHECK_EQUAL(asyncio_wait(four.set, N, ASYNCIO_FOREVER, ASYNCIO_ALL_COMPLETED), 4);
    CHECK_EQUAL(asyncio_await(other), 2);
    drop(&four);
    return 0;
}

/* ---- Sweeps -------------------------------------------------------------- */

ASYNC(swept)
{
    struct four four;
    make(&four, delays, fine);
    ptrdiff_t done = asyncio_wait(four.set, N, 9, ASYNCIO_FIRST_COMPLETED);
    if (done >= 0)
        done = asyncio_wait(four.set, N, 1.5, ASYNCIO_ALL_COMPLETED);
    for (int i = 0; i < N; i++) {
        asyncio_cancel(four.all[i]);
        asyncio_release(four.all[i]);
    }
    asyncio_sleep(0);
    return done;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    if (suspension < 3)
        CHECK_EQUAL(result, suspension ? -ECANCELED : 2);
}

TEST(cancel_sweep)
{
    sweep_cancels(swept, check_swept);
}

ASYNC(any_outcome)
{
    asyncio_await(swept());
    return 0;
}

TEST(failure_sweep)
{
    sweep_failures(any_outcome);
}

TEST_MAIN()
