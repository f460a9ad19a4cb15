/*
 * Task groups: children that end, fail and are cancelled, requests from outside, groups in
 * groups. test_taskgroups_late.c has the rest.
 */
#include "support/harness.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

/* Sleeps for ever; fails when it is cancelled, after `delay`. */
ASYNC(crashes, double, delay, intptr_t, err)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    asyncio_sleep(delay);
    return err;
}

ASYNC(fails_with_words, const char *, words, intptr_t, err)
{
    return asyncio_raise(err, "%s", words);
}

static void cancel_it(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

static void cancel_self_later(double delay)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), delay, cancel_it, asyncio_current_task());
}

static asyncio_task *spawn(asyncio_task_group *group, double delay, intptr_t result)
{
    return asyncio_task_group_create_task(group, sleeps(delay, result));
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

static double passed(void)
{
    return asyncio_time();
}

/* ---- 26: children that end ----------------------------------------------- */

ASYNC_TEST(behaviour_26_results)
{
    asyncio_task_group g;
    CHECK_EQUAL(asyncio_task_group_enter(&g), 0);
    asyncio_task *a = asyncio_ref(spawn(&g, 2, 42)), *b = asyncio_ref(spawn(&g, 1, 11));
    double began = passed();
    CHECK_EQUAL(asyncio_task_group_exit(&g, 5), 5);
    CHECK(passed() == began + 2);
    CHECK_EQUAL(asyncio_await(a), 42);
    CHECK_EQUAL(asyncio_await(b), 11);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 0);
    return cancelling();
}

ASYNC_TEST(behaviour_26_a_cancelled_child_is_no_failure)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 2, 42)), *b = asyncio_ref(spawn(&g, 1, 11));
    asyncio_sleep(0);
    asyncio_cancel(b);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK_EQUAL(asyncio_await(a), 42);
    CHECK_EQUAL(asyncio_await(b), -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 0);
    return cancelling();
}

/* It is when the body awaits it: an -ECANCELED like any, which the group passes on. */
ASYNC_TEST(body_ends_as_a_cancelled_child)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 2, 42)), *b = asyncio_ref(spawn(&g, 1, 11));
    asyncio_cancel(b);
    intptr_t err = asyncio_await(b);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&g, err), -ECANCELED);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    return cancelling();
}

ASYNC_TEST(empty_groups)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    asyncio_task_group_enter(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, -EIO), -EIO);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 1);
    asyncio_task_group_enter(&g);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1); /* and its own request is gone */
}

/* ---- 27: a child fails --------------------------------------------------- */

ASYNC_TEST(behaviour_27_child_fails_siblings_cancelled)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 9, 42));
    spawn(&g, 1, -EIO);
    int err = asyncio_sleep(20);
    CHECK_EQUAL(err, -ECANCELED); /* the body learns of it */
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, err), -EIO);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK(passed() == 1);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 1);
    CHECK_EQUAL(asyncio_task_group_error(&g, 0), -EIO);
    CHECK_EQUAL(asyncio_task_group_error(&g, 1), 0);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* While the group is being left nobody has to be told by a cancel. */
ASYNC_TEST(behaviour_27_child_fails_during_exit)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 9, 42);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK(passed() == 1);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* Of the siblings, the cancelled are excluded, the crashed are not. */
ASYNC_TEST(behaviour_27_exactly_the_failures)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 9, 1);
    asyncio_task_group_create_task(&g, crashes(3, -EPIPE));
    asyncio_task_group_create_task(&g, crashes(2, -ENOSPC));
    spawn(&g, 1, -EIO);
    spawn(&g, 0.5, 3);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), ASYNCIO_EGROUP);
    CHECK(passed() == 4);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 3);
    CHECK_EQUAL(asyncio_task_group_error(&g, 0), -EIO);
    CHECK_EQUAL(asyncio_task_group_error(&g, 1), -ENOSPC);
    CHECK_EQUAL(asyncio_task_group_error(&g, 2), -EPIPE);
    CHECK_EQUAL(asyncio_task_group_error(&g, 3), 0);
    return cancelling();
}

/* A body that swallows the group's cancel still hears of the failure. */
ASYNC_TEST(body_swallows)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 7), -EIO);
    return cancelling();
}

/* The group's request is withdrawn if the body ends before it is delivered. */
ASYNC_TEST(body_ends_undelivered)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(spawn(&g, 0, -EIO));
    CHECK_EQUAL(asyncio_await(child), -EIO); /* granted before the group's callback */
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* Two in the same tick: both count. */
ASYNC_TEST(two_fail_in_one_tick)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    spawn(&g, 1, -EPIPE);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), ASYNCIO_EGROUP);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 2);
    CHECK_EQUAL(asyncio_task_group_error(&g, 0), -EIO);
    CHECK_EQUAL(asyncio_task_group_error(&g, 1), -EPIPE);
    return cancelling();
}

/* ---- 28, 29: requests from outside --------------------------------------- */

ASYNC_TEST(behaviour_28_cancelled_while_leaving)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 9, 1)), *b = asyncio_ref(spawn(&g, 9, 2));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -ECANCELED);
    CHECK(asyncio_cancelled(a) && asyncio_cancelled(b));
    asyncio_release(a);
    asyncio_release(b);
    CHECK_EQUAL(cancelling(), 1);
    return asyncio_sleep(1); /* delivered, once */
}

ASYNC_TEST(behaviour_28_cancelled_in_the_body)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 9, 1));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(5)), -ECANCELED);
    CHECK(passed() == 1);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(cancelling(), 1);
    return asyncio_sleep(1);
}

/* Waits for a child that takes its time, however often it is cancelled meanwhile. */
ASYNC(takes_its_time)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(4), 0);
    return 6;
}

ASYNC_TEST(behaviour_28_cancelled_again_and_again)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(asyncio_task_group_create_task(&g, takes_its_time()));
    for (int i = 1; i <= 3; i++)
        cancel_self_later(i);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -ECANCELED);
    CHECK(passed() == 5);
    CHECK_EQUAL(asyncio_await(child), 6);
    CHECK_EQUAL(cancelling(), 3);
    return asyncio_sleep(1);
}

/* The failure wins; the request comes back at the next wait, once. */
ASYNC_TEST(behaviour_29_child_crashes_in_cleanup)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    return 0;
}

ASYNC_TEST(behaviour_29_cancelled_in_the_body)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), -EIO);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    return asyncio_sleep(1);
}

/* After the child's failure, while the siblings are waited for. */
ASYNC_TEST(cancelled_after_a_failure)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    asyncio_task_group_create_task(&g, takes_its_time());
    cancel_self_later(2);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), -EIO);
    CHECK(passed() == 5);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

/* In one tick with the failure. If the request comes first, the child is cancelled before it can fail. */
ASYNC(cancelled_with_a_failure, bool, cancel_first)
{
    asyncio_task_group g;
    if (cancel_first)
        cancel_self_later(1);
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    asyncio_sleep(0);
    if (!cancel_first)
        cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), cancel_first ? -ECANCELED : -EIO);
    CHECK_EQUAL(cancelling(), 1);
    if (!cancel_first)
        CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(cancelled_in_the_tick_of_a_failure)
{
    CHECK_EQUAL(asyncio_await(cancelled_with_a_failure(false)), 0);
    return asyncio_await(cancelled_with_a_failure(true));
}

/* In a task that was cancelled before, its group fails: nothing is delivered again. */
ASYNC_TEST(in_a_cancelled_tasks_cleanup)
{
    asyncio_task_group g;
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), -EIO);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_task_group_enter(&g);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), 0);
    asyncio_task_group_enter(&g);
    spawn(&g, 9, 0);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -ECANCELED);
    CHECK_EQUAL(cancelling(), 2);
    return asyncio_sleep(1);
}

/* One that was pending before the group was entered, and delivered inside, is not lost, either. */
ASYNC_TEST(cancelled_before_it_is_entered)
{
    asyncio_task_group g;
    asyncio_cancel(asyncio_current_task());
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_cancel(asyncio_current_task());
    asyncio_task_group_enter(&g);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(1)), -ECANCELED);
    return asyncio_sleep(1);
}

/* ---- 30: the body fails -------------------------------------------------- */

ASYNC_TEST(behaviour_30_body_fails)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 9, 1));
    asyncio_sleep(0);
    intptr_t err = asyncio_raise(-EIO, "the body's");
    CHECK_EQUAL(asyncio_task_group_exit(&g, err), -EIO);
    CHECK_TEXT(asyncio_error_message(), "the body's");
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 1);
    return cancelling();
}

ASYNC_TEST(behaviour_30_body_and_child_fail)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(0, -EPIPE));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, -EIO), ASYNCIO_EGROUP);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 2);
    CHECK_EQUAL(asyncio_task_group_error(&g, 0), -EPIPE); /* Python's order: the body's is the last */
    CHECK_EQUAL(asyncio_task_group_error(&g, 1), -EIO);
    return cancelling();
}

/* Cancelled meanwhile: the failure wins, and the request is not lost. */
ASYNC_TEST(body_fails_and_is_cancelled)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, takes_its_time());
    asyncio_sleep(0);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, -EIO), -EIO);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

/* ---- 31: nested ---------------------------------------------------------- */

ASYNC(nested, double, outer_delay, double, inner_delay, double, body_delay, intptr_t, expected)
{
    asyncio_task_group outer, inner;
    asyncio_task_group_enter(&outer);
    if (outer_delay > 0)
        spawn(&outer, outer_delay, -EPIPE);
    asyncio_task_group_enter(&inner);
    if (inner_delay > 0)
        spawn(&inner, inner_delay, -EIO);
    intptr_t err = body_delay > 0 ? asyncio_sleep(body_delay) : 0;
    err = asyncio_task_group_exit(&inner, err);
    CHECK_EQUAL(asyncio_task_group_error_count(&inner), inner_delay > 0);
    CHECK_EQUAL(err, inner_delay > 0 ? -EIO : -ECANCELED);
    err = asyncio_task_group_exit(&outer, err);
    CHECK_EQUAL(err, expected);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(behaviour_31_inner_fails)
{
    CHECK_EQUAL(asyncio_await(nested(0, 1, 9, -EIO)), 0);
    return asyncio_await(nested(0, 1, 0, -EIO));
}

ASYNC_TEST(behaviour_31_outer_fails)
{
    return asyncio_await(nested(1, 0, 9, -EPIPE));
}

ASYNC_TEST(behaviour_31_both_fail_in_one_tick)
{
    CHECK_EQUAL(asyncio_await(nested(1, 1, 9, ASYNCIO_EGROUP)), 0);
    return asyncio_await(nested(1, 1, 0, ASYNCIO_EGROUP));
}

/* The outer one's request comes at the next wait, if there is one before its exit. */
ASYNC_TEST(behaviour_31_wait_between)
{
    asyncio_task_group outer, inner;
    asyncio_task_group_enter(&outer);
    spawn(&outer, 1, -EPIPE);
    asyncio_task_group_enter(&inner);
    spawn(&inner, 1, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&inner, asyncio_sleep(9)), -EIO);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&outer, err), -EPIPE);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC(child_group, asyncio_task_group *, outer)
{
    asyncio_task_group inner;
    asyncio_task_group_enter(&inner);
    spawn(&inner, 9, 0);
    asyncio_task *spawned = asyncio_ref(spawn(outer, 2, 3)); /* into the group around it */
    intptr_t err = asyncio_task_group_exit(&inner, 0);
    asyncio_release(spawned);
    return err;
}

ASYNC_TEST(groups_in_children)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, child_group(&g));
    spawn(&g, 3, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK(passed() == 3);
    return cancelling();
}

/* ---- Many, and sweeps ---------------------------------------------------- */

ASYNC_TEST(a_thousand)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    for (int i = 0; i < 1000; i++)
        spawn(&g, i % 7, i == 500 ? -EIO : 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK(passed() == 500 % 7);
    return 0;
}

ASYNC(swept)
{
    asyncio_task_group outer, inner;
    intptr_t err = asyncio_task_group_enter(&outer);
    asyncio_task_group_create_task(&outer, sleeps(1, 0));
    asyncio_task_group_enter(&inner);
    asyncio_task_group_create_task(&inner, sleeps(2, 0));
    asyncio_task_group_create_task(&inner, sleeps(3, 0));
    err = asyncio_task_group_exit(&inner, asyncio_sleep(2));
    if (!err)
        err = asyncio_await(asyncio_ref(asyncio_task_group_create_task(&outer, sleeps(1, 0))));
    return asyncio_task_group_exit(&outer, err);
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

ASYNC(swept_failing)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, sleeps(1, -EIO));
    asyncio_task_group_create_task(&g, crashes(1, -EPIPE));
    intptr_t err = asyncio_task_group_exit(&g, asyncio_sleep(9));
    bool requested = asyncio_sleep(0) != 0; /* first: it may be cancelled here */
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), requested);
    return err;
}

static void check_swept_failing(intptr_t result, unsigned suspension)
{
    (void)suspension;
    CHECK(result == ASYNCIO_EGROUP || result == -EPIPE);
}

TEST(cancel_sweep)
{
    sweep_cancels(swept, check_swept);
    sweep_cancels(swept_failing, check_swept_failing);
}

ASYNC(any_outcome)
{
    asyncio_task_group g;
    asyncio_await(swept());
    if (asyncio_task_group_enter(&g) == 0) {
        asyncio_task_group_create_task(&g, fails_with_words("no", -EIO));
        asyncio_task_group_create_task(&g, fails_with_words("neither", -EPIPE));
        asyncio_task_group_exit(&g, 0);
    }
    return 0;
}

TEST(failure_sweep)
{
    sweep_failures(any_outcome);
}

TEST_MAIN()
