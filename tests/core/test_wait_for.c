/*
 * wait_for: what is ready, what is late, what will not be cancelled, who
 * cancels whom, and whose the references are.
 */
#include "support/harness.h"
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int begun;

ASYNC(sleeps, double, delay, intptr_t, result)
{
    begun++;
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

/* Swallows its cancel, tidies up for `delay`, and returns `result`. */
ASYNC(tidies, double, delay, intptr_t, result)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(delay), 0);
    return result;
}

ASYNC(who, asyncio_task **, out)
{
    *out = asyncio_current_task();
    return 3;
}

static void cancel_it(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

static void cancel_self_later(double delay)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), delay, cancel_it, asyncio_current_task());
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

static double passed(void)
{
    return asyncio_time();
}

/* ---- In time, and late --------------------------------------------------- */

ASYNC_TEST(in_time)
{
    asyncio_task *ran_in = NULL;
    CHECK_EQUAL(asyncio_wait_for(sleeps(1, 5), 2), 5);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(sleeps(1, 6)), 2), 6);
    CHECK_EQUAL(asyncio_wait_for(sleeps(1, -EIO), 2), -EIO);
    CHECK_EQUAL(asyncio_wait_for(sleeps(1, 7), ASYNCIO_FOREVER), 7);
    CHECK_EQUAL(asyncio_wait_for(who(&ran_in), 2), 3);
    CHECK(ran_in == asyncio_current_task()); /* in place: no task of its own */
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_result(future, 8);
    CHECK_EQUAL(asyncio_wait_for(future, 2), 8);
    CHECK(passed() == 4);
    return 0;
}

ASYNC(late)
{
    CHECK_EQUAL(asyncio_wait_for(sleeps(5, 5), 1), -ETIMEDOUT);
    asyncio_task *task = asyncio_create_task(sleeps(5, 5));
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(task), 1), -ETIMEDOUT);
    CHECK(asyncio_cancelled(task));
    asyncio_release(task);
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(future), 1), -ETIMEDOUT);
    CHECK(asyncio_cancelled(future));
    asyncio_release(future);
    CHECK(passed() == 3);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(late)

/* What is done needs no turn of the loop. */
ASYNC_TEST(without_a_turn)
{
    asyncio_task *task = asyncio_create_task(sleeps(0, 4));
    asyncio_sleep(1);
    asyncio_task *other = asyncio_create_task(sleeps(0, 0));
    begun = 0;
    CHECK_EQUAL(asyncio_wait_for(task, 1), 4);
    CHECK_EQUAL(begun, 0);
    return asyncio_await(other);
}

/* ---- 39: no time at all -------------------------------------------------- */

ASYNC_TEST(behaviour_39_done)
{
    static const double none[] = {0, -1, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        asyncio_future *future = asyncio_future_new();
        asyncio_future_set_result(future, 8);
        CHECK_EQUAL(asyncio_wait_for(future, none[i]), 8);
        future = asyncio_future_new();
        asyncio_future_set_error(future, -EIO);
        CHECK_EQUAL(asyncio_wait_for(future, none[i]), -EIO);
    }
    return 0;
}

static int dropped;

static void count_drop(void *arg)
{
    (void)arg;
    dropped++;
}

static intptr_t never(void *arg)
{
    (void)arg;
    CHECK(false);
    return 0;
}

ASYNC_TEST(behaviour_39_coroutine_never_started)
{
    dropped = 0;
    CHECK_EQUAL(asyncio_wait_for(asyncio_coro_new(never, NULL, count_drop), 0), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(asyncio_coro_new(never, NULL, count_drop), -3), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(asyncio_coro_new(never, NULL, count_drop), -INFINITY), -ETIMEDOUT);
    CHECK_EQUAL(dropped, 3);
    return 0;
}

ASYNC_TEST(behaviour_39_task_cancelled_and_awaited)
{
    asyncio_task *task = asyncio_create_task(tidies(2, -ECANCELED));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(task), 0), -ETIMEDOUT);
    CHECK(passed() == 2);
    CHECK(asyncio_cancelled(task));
    asyncio_release(task);
    /* One that says otherwise wins. */
    task = asyncio_create_task(tidies(1, 6));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_wait_for(task, 0), 6);
    task = asyncio_create_task(tidies(1, -EIO));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_wait_for(task, -1), -EIO);
    CHECK_EQUAL(asyncio_wait_for(asyncio_future_new(), 0), -ETIMEDOUT);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC(tidies_twice)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(5), -ECANCELED); /* the caller's, passed on */
    return asyncio_sleep(2) ? -EIO : -ECANCELED;
}

/* A request from outside while the rest is waited for: it wins over the timeout. */
ASYNC_TEST(behaviour_39_cancelled_meanwhile)
{
    asyncio_task *task = asyncio_create_task(tidies_twice());
    asyncio_sleep(0);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(task, 0), -ECANCELED);
    CHECK(passed() == 3);
    return asyncio_sleep(1);
}

/* ---- 40: slow to end ----------------------------------------------------- */

ASYNC_TEST(behaviour_40_slow_cleanup)
{
    CHECK_EQUAL(asyncio_wait_for(tidies(3, -ECANCELED), 1), -ETIMEDOUT);
    CHECK(passed() == 4);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(tidies(3, -ECANCELED)), 1), -ETIMEDOUT);
    CHECK(passed() == 8);
    return cancelling();
}

ASYNC_TEST(behaviour_40_cleanup_fails)
{
    CHECK_EQUAL(asyncio_wait_for(tidies(0, -EIO), 1), -EIO);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(tidies(0, -EIO)), 1), -EIO);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(behaviour_40_swallowed)
{
    CHECK_EQUAL(asyncio_wait_for(tidies(1, 6), 1), 6);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(tidies(1, 6)), 1), 6);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* ---- 41, 42: requests from outside --------------------------------------- */

/* In the tick in which the inner one ends: its result is kept, the request comes at the next wait. */
static void complete_and_cancel(void *arg)
{
    void **both = arg;
    asyncio_future_set_result(both[0], 7);
    asyncio_cancel((asyncio_task *)both[1]);
}

ASYNC_TEST(behaviour_41_same_tick)
{
    void *both[] = {asyncio_future_new(), asyncio_current_task()};
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, complete_and_cancel, both);
    CHECK_EQUAL(asyncio_wait_for((asyncio_future *)both[0], 5), 7);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

ASYNC_TEST(behaviour_42_cancels_the_inner_task)
{
    asyncio_task *task = asyncio_create_task(sleeps(5, 1));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(task), 3), -ECANCELED);
    CHECK(passed() == 1);
    CHECK(asyncio_cancelled(task));
    asyncio_release(task);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(sleeps(5, 1), 3), -ECANCELED);
    asyncio_future *future = asyncio_future_new();
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(future), ASYNCIO_FOREVER), -ECANCELED);
    CHECK(asyncio_cancelled(future));
    asyncio_release(future);
    CHECK_EQUAL(cancelling(), 3);
    return asyncio_sleep(1);
}

/* And waits for it; what it says then wins. */
ASYNC_TEST(behaviour_42_and_waits_for_it)
{
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(tidies(2, -ECANCELED)), 9), -ECANCELED);
    CHECK(passed() == 3);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(tidies(2, 6)), 9), 6);
    CHECK_EQUAL(asyncio_sleep(1), 0); /* used up */
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(tidies(2, -EIO)), 9), -EIO);
    return asyncio_sleep(1);
}

/* Before its first step, too: a pending request goes to what is waited for. */
ASYNC_TEST(cancelled_before)
{
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_wait_for(asyncio_create_task(sleeps(1, 1)), 5), -ECANCELED);
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_wait_for(sleeps(1, 1), 5), -ECANCELED);
    CHECK(passed() == 0);
    return asyncio_sleep(1);
}

/* ---- Refusals and references --------------------------------------------- */

static void outside(void *arg)
{
    dropped = 0;
    CHECK_EQUAL(asyncio_wait_for(asyncio_coro_new(never, NULL, count_drop), 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_wait_for(asyncio_coro_new(never, NULL, count_drop), 0), ASYNCIO_ENOTASK);
    asyncio_coro *third = asyncio_coro_new(never, NULL, count_drop);
    CHECK_EQUAL(asyncio_wait_for(third, ASYNCIO_FOREVER), ASYNCIO_ENOTASK);
    CHECK_EQUAL(dropped, 3);
    if (arg)
        CHECK_EQUAL(asyncio_wait_for(asyncio_ref((asyncio_task *)arg), 0), ASYNCIO_ENOTASK);
}

ASYNC(refusals)
{
    asyncio_task *task = asyncio_create_task(sleeps(1, 5));
    asyncio_future *none = NULL;
    dropped = 0;
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(task), NAN), -EINVAL);
    CHECK_EQUAL(asyncio_wait_for(asyncio_coro_new(never, NULL, count_drop), NAN), -EINVAL);
    CHECK_EQUAL(dropped, 1);
    CHECK_EQUAL(asyncio_wait_for(none, 1), -ENOMEM);
    CHECK_EQUAL(asyncio_wait_for(none, 0), -ENOMEM);
    CHECK_EQUAL(asyncio_wait_for_coro(NULL, 1), -ENOMEM);
    CHECK_EQUAL(asyncio_wait_for_task(NULL, 1), -ENOMEM);
    /* Itself: neither waited for nor cancelled. */
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(asyncio_current_task()), 1), -EINVAL);
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(asyncio_current_task()), 0), -EINVAL);
    CHECK_EQUAL(cancelling(), 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), outside, task);
    CHECK_EQUAL(asyncio_await(task), 5); /* none of them harmed it */
    return 0;
}

TEST(refusals)
{
    outside(NULL);
    assert_int_equal(run(refusals), 0);
}

static asyncio_task *of_another_loop;

ASYNC(makes_one)
{
    of_another_loop = asyncio_create_task(sleeps(1, 5));
    return 0;
}

ASYNC(another_loops)
{
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(of_another_loop), 1), -EINVAL);
    CHECK_EQUAL(asyncio_wait_for(asyncio_ref(of_another_loop), 0), -EINVAL);
    CHECK_EQUAL(asyncio_task_cancelling(of_another_loop), 0);
    return 0;
}

TEST(another_loops)
{
    const asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    asyncio_loop *loop = asyncio_loop_new(&options);
    asyncio_task *maker = asyncio_loop_create_task(loop, makes_one());
    assert_int_equal(asyncio_loop_run_until_complete(loop, asyncio_ensure_future(maker)), 0);
    assert_int_equal(asyncio_run(another_loops()), 0);
    assert_int_equal(asyncio_loop_run_until_complete(loop, asyncio_ensure_future(of_another_loop)), 5);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    harness_settle();
}

/* ---- Sweeps -------------------------------------------------------------- */

ASYNC(swept)
{
    intptr_t err = asyncio_wait_for(sleeps(1, 0), 2);
    if (err >= 0)
        err = asyncio_wait_for(asyncio_create_task(sleeps(1, 0)), 2);
    if (err >= 0)
        err = asyncio_wait_for(asyncio_create_task(sleeps(2, 0)), 1);
    return err;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : -ETIMEDOUT);
}

TEST(cancel_sweep)
{
    sweep_cancels(swept, check_swept);
}

/* Fills memory of its caller's. */
ASYNC(fills, int *, place)
{
    int err = asyncio_sleep(1);
    *place = 1;
    return err;
}

/* Whatever fails, it has ended when wait_for returns. */
static void lend(void)
{
    int place = 0;
    asyncio_task *task = asyncio_create_task(fills(&place));
    asyncio_wait_for(asyncio_ref(task), 2);
    CHECK(asyncio_done(task));
    asyncio_release(task);
}

ASYNC(any_outcome)
{
    lend();
    asyncio_await(swept());
    asyncio_wait_for(asyncio_create_task(sleeps(2, 0)), 0);
    asyncio_wait_for(asyncio_future_new(), 0);
    return 0;
}

TEST(failure_sweep)
{
    sweep_failures(any_outcome);
}

TEST_MAIN()
