/*
 * shield: what is cancelled, what goes on, and what is reported.
 */
#include "support/harness.h"
#include <errno.h>
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

static void cancel_self_later(double delay)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), delay, cancel_it, asyncio_current_task());
}

ASYNC(results)
{
    CHECK_EQUAL(asyncio_shield(sleeps(1, 5)), 5);
    CHECK_EQUAL(asyncio_shield(sleeps(1, -EIO)), -EIO);
    CHECK_EQUAL(asyncio_shield(asyncio_create_task(sleeps(1, 6))), 6);
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_result(future, 8);
    CHECK_EQUAL(asyncio_shield(asyncio_ref(future)), 8);
    CHECK_EQUAL(asyncio_shield(future), 8);
    CHECK_EQUAL(asyncio_shield_coro(sleeps(1, 9)), 9);
    CHECK(asyncio_time() == 4);
    return 0;
}
TEST_OF(results)

ASYNC(says_why)
{
    asyncio_sleep(1);
    return asyncio_raise(-EIO, "the inner one's");
}

ASYNC(message)
{
    CHECK_EQUAL(asyncio_shield(says_why()), -EIO);
    CHECK_TEXT(asyncio_error_message(), "the inner one's");
    return 0;
}
TEST_OF(message)

/* ---- 15 ------------------------------------------------------------------ */

ASYNC_TEST(behaviour_15_cancel_outer_keeps_inner)
{
    asyncio_task *inner = asyncio_create_task(sleeps(3, 5));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_shield(asyncio_ref(inner)), -ECANCELED);
    CHECK(asyncio_time() == 1); /* at once */
    CHECK_EQUAL(asyncio_task_cancelling(inner), 0);
    CHECK_EQUAL(asyncio_await(inner), 5);
    return 0;
}

ASYNC_TEST(behaviour_15_cancel_inner_cancels_outer)
{
    asyncio_task *inner = asyncio_create_task(sleeps(3, 5));
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancel_it, inner);
    CHECK_EQUAL(asyncio_shield(inner), -ECANCELED);
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), 0);
    return asyncio_sleep(1);
}

/* The coroutine's task is the loop's: it goes on though nobody has a reference. */
static int ended;

ASYNC(notes_its_end)
{
    CHECK_EQUAL(asyncio_sleep(3), 0);
    ended++;
    return 0;
}

ASYNC_TEST(behaviour_15_inner_goes_on)
{
    ended = 0;
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_shield(notes_its_end()), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(5), 0);
    CHECK_EQUAL(ended, 1);
    /* A request that is pending already does not reach it, either. */
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_shield(notes_its_end()), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(5), 0);
    CHECK_EQUAL(ended, 2);
    return 0;
}

ASYNC(fails_unseen)
{
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_shield(sleeps(2, -EIO)), -ECANCELED);
    return asyncio_sleep(5);
}

ASYNC(shields_too, asyncio_task *, inner)
{
    return asyncio_shield(inner);
}

/* Once, even if it is shielded twice. */
ASYNC(fails_unseen_twice_shielded)
{
    asyncio_task *inner = asyncio_create_task(sleeps(2, -EIO));
    asyncio_task *a = asyncio_create_task(shields_too(asyncio_ref(inner)));
    asyncio_task *b = asyncio_create_task(shields_too(inner));
    asyncio_sleep(1);
    asyncio_cancel(a);
    asyncio_cancel(b);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_await(b), -ECANCELED);
    return asyncio_sleep(5);
}

/* Not at all if one of them sees it. */
ASYNC_TEST(fails_seen_by_one)
{
    asyncio_task *inner = asyncio_create_task(sleeps(2, -EIO));
    asyncio_task *a = asyncio_create_task(shields_too(asyncio_ref(inner)));
    asyncio_task *b = asyncio_create_task(shields_too(inner));
    asyncio_sleep(1);
    asyncio_cancel(a);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_await(b), -EIO);
    return 0;
}

TEST(behaviour_15_error_reported_once)
{
    expect_reports(1);
    assert_int_equal(run(fails_unseen), 0);
    assert_string_equal(reports[0].message, "task failed and nobody awaited it");
    assert_int_equal(reports[0].error, -EIO);
    expect_reports(1);
    assert_int_equal(run(fails_unseen_twice_shielded), 0);
}

/* ---- The same tick ------------------------------------------------------- */

static void complete_and_cancel(void *arg)
{
    void **both = arg;
    asyncio_future_set_result(both[0], 7);
    asyncio_cancel((asyncio_task *)both[1]);
}

ASYNC_TEST(grant_and_cancel)
{
    void *both[] = {asyncio_future_new(), asyncio_current_task()};
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, complete_and_cancel, both);
    CHECK_EQUAL(asyncio_shield((asyncio_future *)both[0]), 7);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

static void cancel_and_complete(void *arg)
{
    void **both = arg;
    asyncio_cancel((asyncio_task *)both[1]);
    asyncio_future_set_error(both[0], -EIO);
}

/* Its error came after the cancel: nobody has seen it. */
ASYNC(cancel_and_grant)
{
    void *both[] = {asyncio_future_new(), asyncio_current_task()};
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancel_and_complete, both);
    CHECK_EQUAL(asyncio_shield((asyncio_future *)both[0]), -ECANCELED);
    return asyncio_sleep(1);
}

TEST(cancel_and_grant)
{
    expect_reports(1);
    assert_int_equal(run(cancel_and_grant), 0);
}

/* ---- 16: with gather ----------------------------------------------------- */

ASYNC(gathers, asyncio_task *, a, asyncio_task *, b)
{
    intptr_t results[2];
    int err = asyncio_gather(results, a, b);
    return err ? err : results[0] + results[1];
}

ASYNC_TEST(behaviour_16_shield_of_a_gather)
{
    asyncio_task *a = asyncio_create_task(sleeps(2, 1)), *b = asyncio_create_task(sleeps(3, 2));
    asyncio_task *gather = asyncio_create_task(gathers(asyncio_ref(a), asyncio_ref(b)));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_shield(asyncio_ref(gather)), -ECANCELED);
    CHECK_EQUAL(asyncio_await(a), 1);
    CHECK_EQUAL(asyncio_await(b), 2);
    CHECK_EQUAL(asyncio_await(gather), 3);
    return 0;
}

ASYNC_TEST(behaviour_16_gather_of_shields)
{
    intptr_t results[2];
    asyncio_task *a = asyncio_create_task(sleeps(2, 1)), *b = asyncio_create_task(sleeps(3, 2));
    cancel_self_later(1);
    int err = asyncio_gather(results, shields_too(asyncio_ref(a)), shields_too(asyncio_ref(b)));
    CHECK_EQUAL(err, -ECANCELED);
    CHECK(asyncio_time() == 1);
    CHECK_EQUAL(results[0], -ECANCELED);
    CHECK_EQUAL(results[1], -ECANCELED);
    CHECK_EQUAL(asyncio_await(a), 1);
    CHECK_EQUAL(asyncio_await(b), 2);
    return 0;
}

/* wait_for of a shield: the limit is the caller's alone. */
ASYNC_TEST(wait_for_of_a_shield)
{
    asyncio_task *inner = asyncio_create_task(sleeps(3, 5));
    CHECK_EQUAL(asyncio_wait_for(shields_too(asyncio_ref(inner)), 1), -ETIMEDOUT);
    CHECK(asyncio_time() == 1);
    CHECK_EQUAL(asyncio_await(inner), 5);
    return 0;
}

/* ---- Refusals ------------------------------------------------------------ */

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

static void outside(void *arg)
{
    dropped = 0;
    CHECK_EQUAL(asyncio_shield(asyncio_coro_new(never, NULL, count_drop)), ASYNCIO_ENOTASK);
    CHECK_EQUAL(dropped, 1);
    if (arg)
        CHECK_EQUAL(asyncio_shield(asyncio_ref((asyncio_task *)arg)), ASYNCIO_ENOTASK);
}

ASYNC(refusals)
{
    asyncio_future *none = NULL;
    CHECK_EQUAL(asyncio_shield(none), -ENOMEM);
    CHECK_EQUAL(asyncio_shield_coro(NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_shield_task(NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_shield_future(NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_shield(asyncio_ref(asyncio_current_task())), -EINVAL);
    asyncio_loop_call_soon(asyncio_get_running_loop(), outside, asyncio_current_task());
    return asyncio_sleep(0);
}

TEST(refusals)
{
    outside(NULL);
    assert_int_equal(run(refusals), 0);
}

/* ---- Sweeps -------------------------------------------------------------- */

ASYNC(swept)
{
    asyncio_task *inner = asyncio_create_task(sleeps(1, 5));
    intptr_t result = asyncio_shield(asyncio_ref(inner));
    if (result >= 0)
        result = asyncio_shield(inner);
    else
        asyncio_release(inner);
    return result;
}

ASYNC(swept_to_the_end)
{
    intptr_t result = asyncio_await(swept());
    asyncio_sleep(5);
    return result;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension == 1 ? -ECANCELED : 5);
}

TEST(cancel_sweep)
{
    sweep_cancels(swept_to_the_end, check_swept);
}

ASYNC(any_outcome)
{
    asyncio_shield(sleeps(1, 0));
    asyncio_shield(asyncio_create_task(sleeps(1, 0)));
    return 0;
}

TEST(failure_sweep)
{
    sweep_failures(any_outcome);
}

TEST_MAIN()
