/*
 * Task groups: children that end, fail and are cancelled, requests from outside,
 * groups in groups and in timeouts, and what is told of the failures.
 */
#include "support/harness.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

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

static void cancel_group(void *group)
{
    asyncio_task_group_cancel(group);
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

#define TEST_OF(main) \
    static void test_##main(void **state) \
    { \
        (void)state; \
        assert_int_equal(run(main), 0); \
    }

/* ---- 26: children that end ------------------------------------------------------- */

ASYNC(behaviour_26_results)
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
TEST_OF(behaviour_26_results)

ASYNC(behaviour_26_a_cancelled_child_is_no_failure)
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
TEST_OF(behaviour_26_a_cancelled_child_is_no_failure)

/* It is when the body awaits it: an -ECANCELED like any, which the group passes on. */
ASYNC(body_ends_as_a_cancelled_child)
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
TEST_OF(body_ends_as_a_cancelled_child)

ASYNC(empty_groups)
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
TEST_OF(empty_groups)

/* ---- 27: a child fails ------------------------------------------------------------- */

ASYNC(behaviour_27_child_fails_siblings_cancelled)
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
TEST_OF(behaviour_27_child_fails_siblings_cancelled)

/* While the group is being left nobody has to be told by a cancel. */
ASYNC(behaviour_27_child_fails_during_exit)
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
TEST_OF(behaviour_27_child_fails_during_exit)

/* Of the siblings, the cancelled are excluded, the crashed are not. */
ASYNC(behaviour_27_exactly_the_failures)
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
TEST_OF(behaviour_27_exactly_the_failures)

/* A body that swallows the group's cancel still hears of the failure. */
ASYNC(body_swallows)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 7), -EIO);
    return cancelling();
}
TEST_OF(body_swallows)

/* The group's request is withdrawn if the body ends before it is delivered. */
ASYNC(body_ends_undelivered)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(spawn(&g, 0, -EIO));
    CHECK_EQUAL(asyncio_await(child), -EIO); /* granted before the group's callback */
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(body_ends_undelivered)

/* Two in the same tick: both count. */
ASYNC(two_fail_in_one_tick)
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
TEST_OF(two_fail_in_one_tick)

/* ---- 28, 29: requests from outside --------------------------------------------------- */

ASYNC(behaviour_28_cancelled_while_leaving)
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
TEST_OF(behaviour_28_cancelled_while_leaving)

ASYNC(behaviour_28_cancelled_in_the_body)
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
TEST_OF(behaviour_28_cancelled_in_the_body)

/* Waits for a child that takes its time, however often it is cancelled meanwhile. */
ASYNC(takes_its_time)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(4), 0);
    return 6;
}

ASYNC(behaviour_28_cancelled_again_and_again)
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
TEST_OF(behaviour_28_cancelled_again_and_again)

/* The failure wins; the request comes back at the next wait, once. */
ASYNC(behaviour_29_child_crashes_in_cleanup)
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
TEST_OF(behaviour_29_child_crashes_in_cleanup)

ASYNC(behaviour_29_cancelled_in_the_body)
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
TEST_OF(behaviour_29_cancelled_in_the_body)

/* After the child's failure, while the siblings are waited for. */
ASYNC(cancelled_after_a_failure)
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
TEST_OF(cancelled_after_a_failure)

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

ASYNC(cancelled_in_the_tick_of_a_failure)
{
    CHECK_EQUAL(asyncio_await(cancelled_with_a_failure(false)), 0);
    return asyncio_await(cancelled_with_a_failure(true));
}
TEST_OF(cancelled_in_the_tick_of_a_failure)

/* In a task that was cancelled before, its group fails: nothing is delivered again. */
ASYNC(in_a_cancelled_tasks_cleanup)
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
TEST_OF(in_a_cancelled_tasks_cleanup)

/* One that was pending before the group was entered, and delivered inside, is not lost, either. */
ASYNC(cancelled_before_it_is_entered)
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
TEST_OF(cancelled_before_it_is_entered)

/* ---- 30: the body fails ---------------------------------------------------------------- */

ASYNC(behaviour_30_body_fails)
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
TEST_OF(behaviour_30_body_fails)

ASYNC(behaviour_30_body_and_child_fail)
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
TEST_OF(behaviour_30_body_and_child_fail)

/* Cancelled meanwhile: the failure wins, and the request is not lost. */
ASYNC(body_fails_and_is_cancelled)
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
TEST_OF(body_fails_and_is_cancelled)

/* ---- 31: nested --------------------------------------------------------------------------- */

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

ASYNC(behaviour_31_inner_fails)
{
    CHECK_EQUAL(asyncio_await(nested(0, 1, 9, -EIO)), 0);
    return asyncio_await(nested(0, 1, 0, -EIO));
}
TEST_OF(behaviour_31_inner_fails)

ASYNC(behaviour_31_outer_fails)
{
    return asyncio_await(nested(1, 0, 9, -EPIPE));
}
TEST_OF(behaviour_31_outer_fails)

ASYNC(behaviour_31_both_fail_in_one_tick)
{
    CHECK_EQUAL(asyncio_await(nested(1, 1, 9, ASYNCIO_EGROUP)), 0);
    return asyncio_await(nested(1, 1, 0, ASYNCIO_EGROUP));
}
TEST_OF(behaviour_31_both_fail_in_one_tick)

/* The outer one's request comes at the next wait, if there is one before its exit. */
ASYNC(behaviour_31_wait_between)
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
TEST_OF(behaviour_31_wait_between)

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

ASYNC(groups_in_children)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, child_group(&g));
    spawn(&g, 3, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK(passed() == 3);
    return cancelling();
}
TEST_OF(groups_in_children)

/* ---- 32: late children ----------------------------------------------------------------------- */

static int dropped, ran;

static void count_drop(void *arg)
{
    (void)arg;
    dropped++;
}

static intptr_t count_run(void *arg)
{
    (void)arg;
    ran++;
    return 0;
}

static asyncio_coro *counted(void)
{
    return asyncio_coro_new(count_run, NULL, count_drop);
}

ASYNC(spawns, asyncio_task_group *, group, int, depth)
{
    asyncio_sleep(1);
    if (depth)
        asyncio_task_group_create_task(group, spawns(group, depth - 1));
    return 0;
}

ASYNC(behaviour_32_spawned_during_exit)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, spawns(&g, 3));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK(passed() == 4);
    return 0;
}
TEST_OF(behaviour_32_spawned_during_exit)

static void check_refused(asyncio_task *task)
{
    CHECK(asyncio_done(task));
    CHECK_EQUAL(asyncio_result(task), ASYNCIO_ESTATE);
    CHECK_EQUAL(dropped, 1);
    CHECK_EQUAL(ran, 0);
    dropped = 0;
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), ASYNCIO_ESTATE);
}

ASYNC(behaviour_32_refused)
{
    asyncio_task_group g;
    dropped = ran = 0;
    memset(&g, 0, sizeof g);
    check_refused(asyncio_task_group_create_task(&g, counted())); /* before it is entered */
    asyncio_task_group_enter(&g);
    asyncio_task_group_cancel(&g);
    asyncio_task *kept = asyncio_ref(asyncio_task_group_create_task(&g, counted())); /* aborting */
    check_refused(kept);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK_EQUAL(asyncio_await(kept), ASYNCIO_ESTATE);
    check_refused(asyncio_task_group_create_task(&g, counted())); /* left */
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_sleep(2), -ECANCELED);
    check_refused(asyncio_task_group_create_task(&g, counted())); /* failed */
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    return 0;
}
TEST_OF(behaviour_32_refused)

static asyncio_task *refused_task;

static void spawn_into(void *group)
{
    refused_task = asyncio_task_group_create_task((asyncio_task_group *)group, counted());
    CHECK_EQUAL(asyncio_result(refused_task), ASYNCIO_ESTATE);
}

/* From a callback, too; and one that nobody looks at harms nobody. */
ASYNC(behaviour_32_refused_in_a_callback)
{
    asyncio_task_group g;
    dropped = ran = 0;
    memset(&g, 0, sizeof g);
    asyncio_loop_call_soon(asyncio_get_running_loop(), spawn_into, &g);
    asyncio_sleep(0);
    asyncio_task_group_create_task(&g, counted());
    CHECK_EQUAL(dropped, 2);
    return ran;
}
TEST_OF(behaviour_32_refused_in_a_callback)

static void test_spawned_outside(void **state)
{
    asyncio_task_group g;
    (void)state;
    memset(&g, 0, sizeof g);
    dropped = ran = 0;
    assert_null(asyncio_task_group_create_task(&g, counted()));
    assert_null(asyncio_task_group_create_task(NULL, counted()));
    assert_null(asyncio_task_group_create_task(&g, NULL));
    assert_int_equal(dropped, 2);
    assert_int_equal(asyncio_task_group_enter(&g), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_task_group_enter(NULL), -EINVAL);
    assert_int_equal(asyncio_task_group_exit(NULL, 0), -EINVAL);
    assert_int_equal(asyncio_task_group_exit(&g, 0), ASYNCIO_ESTATE);
    asyncio_task_group_cancel(NULL);
    asyncio_task_group_cancel(&g);
    assert_int_equal(asyncio_task_group_error_count(NULL), 0);
    assert_int_equal(asyncio_task_group_error(NULL, 0), 0);
}

/* Children that never ran are cancelled by a body that does not wait: they run all the same. */
ASYNC(fresh_children)
{
    asyncio_task_group g;
    dropped = ran = 0;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, counted());
    CHECK_EQUAL(asyncio_task_group_exit(&g, -EIO), -EIO);
    CHECK_EQUAL(ran, 1);
    CHECK_EQUAL(dropped, 1);
    return 0;
}
TEST_OF(fresh_children)

/* ---- 33: ending a group early -------------------------------------------------------------------- */

ASYNC(behaviour_33_cancel_in_the_body)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *a = asyncio_ref(spawn(&g, 9, 1));
    asyncio_sleep(1);
    asyncio_task_group_cancel(&g);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(cancelling(), 1);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&g, err), 0);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK(passed() == 1);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(behaviour_33_cancel_in_the_body)

ASYNC(behaviour_33_cancel_without_a_wait)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    spawn(&g, 9, 1);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 4), 4);
    CHECK(passed() == 0);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(behaviour_33_cancel_without_a_wait)

ASYNC(ends_the_group, asyncio_task_group *, group, double, delay)
{
    if (delay > 0)
        asyncio_sleep(delay);
    asyncio_task_group_cancel(group);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED); /* it is one of the children */
    return 0;
}

ASYNC(cancel_from_a_child, double, delay, double, body_delay)
{
    asyncio_task_group g;
    double began = passed();
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, ends_the_group(&g, delay));
    spawn(&g, 9, 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, body_delay > 0 ? asyncio_sleep(body_delay) : 0), 0);
    CHECK(passed() == began + delay);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC(behaviour_33_cancel_from_a_child)
{
    CHECK_EQUAL(asyncio_await(cancel_from_a_child(1, 5)), 0);
    CHECK_EQUAL(asyncio_await(cancel_from_a_child(1, 0)), 0);
    CHECK_EQUAL(asyncio_await(cancel_from_a_child(0, 5)), 0);
    return asyncio_await(cancel_from_a_child(0, 0));
}
TEST_OF(behaviour_33_cancel_from_a_child)

ASYNC(behaviour_33_cancel_from_a_callback)
{
    asyncio_task_group g;
    asyncio_loop *loop = asyncio_get_running_loop();
    for (int body = 0; body < 2; body++) {
        asyncio_task_group_enter(&g);
        spawn(&g, 9, 1);
        asyncio_loop_call_later(loop, 1, cancel_group, &g);
        CHECK_EQUAL(asyncio_task_group_exit(&g, body ? asyncio_sleep(5) : 0), 0);
        CHECK_EQUAL(cancelling(), 0);
        CHECK_EQUAL(asyncio_sleep(1), 0);
    }
    CHECK(passed() == 4);
    return 0;
}
TEST_OF(behaviour_33_cancel_from_a_callback)

/* A body that awaits a child when the group ends. */
ASYNC(cancel_while_the_body_awaits_a_child)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(spawn(&g, 9, 1));
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancel_group, &g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_await(child)), 0);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(cancel_while_the_body_awaits_a_child)

/* The group's own request does not eat one from outside: before it, in its tick, after it. */
ASYNC(ended_and_cancelled, double, cancel_at, bool, in_body)
{
    asyncio_task_group g;
    double began = passed();
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, takes_its_time());
    asyncio_loop_call_later(asyncio_get_running_loop(), 2, cancel_group, &g);
    cancel_self_later(cancel_at);
    CHECK_EQUAL(asyncio_task_group_exit(&g, in_body ? asyncio_sleep(9) : 0), -ECANCELED);
    CHECK(passed() == began + (cancel_at < 2 ? cancel_at : 2) + 4);
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    return asyncio_sleep(1);
}

ASYNC(behaviour_33_cancel_and_a_request_from_outside)
{
    static const double times[] = {1, 2, 3};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_await(ended_and_cancelled(times[i], false)), 0);
        CHECK_EQUAL(asyncio_await(ended_and_cancelled(times[i], true)), 0);
    }
    /* By a body that goes on without a wait. */
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, takes_its_time());
    asyncio_sleep(0);
    asyncio_task_group_cancel(&g);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -ECANCELED);
    return asyncio_sleep(1);
}
TEST_OF(behaviour_33_cancel_and_a_request_from_outside)

ASYNC(behaviour_33_timeout_during_the_cleanup)
{
    asyncio_timeout t;
    asyncio_task_group g;
    asyncio_timeout_enter(&t, 2);
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, takes_its_time());
    asyncio_sleep(1);
    asyncio_task_group_cancel(&g);
    intptr_t err = asyncio_task_group_exit(&g, 0);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK(passed() == 5);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(behaviour_33_timeout_during_the_cleanup)

/* A child that crashes while the group ends is a failure. */
ASYNC(crash_while_the_group_ends)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    asyncio_sleep(1);
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(crash_while_the_group_ends)

/* ---- 38: with timeouts -------------------------------------------------------------------------------- */

ASYNC(behaviour_38_timeout_around_a_crash)
{
    asyncio_timeout t;
    asyncio_task_group g;
    asyncio_timeout_enter(&t, 1);
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    intptr_t err = asyncio_task_group_exit(&g, 0);
    CHECK_EQUAL(err, -EIO);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -EIO);
    CHECK(asyncio_timeout_expired(&t));
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1); /* nothing is left to deliver */
}
TEST_OF(behaviour_38_timeout_around_a_crash)

/* Two crashes; and the body waits after the group: the timeout's request is delivered again. */
ASYNC(behaviour_38_and_a_wait_after_it)
{
    asyncio_timeout t;
    asyncio_task_group g;
    asyncio_timeout_enter(&t, 1);
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    asyncio_task_group_create_task(&g, crashes(1, -EPIPE));
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), ASYNCIO_EGROUP);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}
TEST_OF(behaviour_38_and_a_wait_after_it)

/* Which of two sources comes again is known: asyncio_cancel's outlives the timeout. */
ASYNC(crash_with_both_requests)
{
    asyncio_timeout t;
    asyncio_task_group g;
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_sleep(2), -ECANCELED); /* expired, swallowed */
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, crashes(1, -EIO));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(asyncio_timeout_exit(&t, -EIO), -EIO);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}
TEST_OF(crash_with_both_requests)

ASYNC(times_out)
{
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 1);
    return asyncio_timeout_exit(&t, asyncio_sleep(9));
}

ASYNC(timeout_in_a_child)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, times_out());
    spawn(&g, 9, 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -ETIMEDOUT); /* a failure like any */
    CHECK(passed() == 1);
    return cancelling();
}
TEST_OF(timeout_in_a_child)

ASYNC(timeout_around_a_group)
{
    asyncio_timeout t;
    asyncio_task_group g;
    asyncio_timeout_enter(&t, 1);
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(spawn(&g, 9, 0));
    intptr_t err = asyncio_task_group_exit(&g, 0);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_await(child), -ECANCELED);
    return cancelling();
}
TEST_OF(timeout_around_a_group)

/* ---- What is told -------------------------------------------------------------------------------------- */

ASYNC(first_eight)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    for (int i = 0; i < 12; i++)
        spawn(&g, 1, -(100 + i));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), ASYNCIO_EGROUP);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 12);
    for (size_t i = 0; i < 14; i++)
        CHECK_EQUAL(asyncio_task_group_error(&g, i), i < 8 ? -(100 + (intptr_t)i) : 0);
    return 0;
}
TEST_OF(first_eight)

ASYNC(messages)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, fails_with_words("the disk is full", -ENOSPC));
    intptr_t err = asyncio_task_group_exit(&g, asyncio_sleep(9));
    CHECK_EQUAL(err, -ENOSPC);
    CHECK_TEXT(asyncio_error_message(), "the disk is full");

    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, fails_with_words("the disk is full", -ENOSPC));
    asyncio_task_group_create_task(&g, fails_with_words("so is the other", -ENOSPC));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), ASYNCIO_EGROUP);
    CHECK_TEXT(asyncio_error_message(), "2 failures in a task group; the first: the disk is full");

    asyncio_task_group_enter(&g);
    spawn(&g, 1, -ENOSPC);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), ASYNCIO_EGROUP);
    CHECK_HAS(asyncio_error_message(), "the first: No space left on device");
    /* One without words does not take over those of before. */
    asyncio_raise(-EIO, "stale");
    asyncio_task_group_enter(&g);
    spawn(&g, 1, -EIO);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_TEXT(asyncio_error_message(), "");
    /* And the body's is kept though the exit waits. */
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, takes_its_time());
    cancel_self_later(1);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_raise(-EIO, "the body's")), -EIO);
    CHECK_TEXT(asyncio_error_message(), "the body's");
    return 0;
}
TEST_OF(messages)

/* Borrowed: valid until the next wait; a reference keeps it. */
ASYNC(borrowed)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *task = spawn(&g, 1, 7);
    CHECK(!asyncio_done(task));
    asyncio_task_set_name(task, "child");
    asyncio_ref(task);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK_TEXT(asyncio_task_name(task), "child");
    CHECK_EQUAL(asyncio_await(task), 7);
    return 0;
}
TEST_OF(borrowed)

/* A failure that the group has told of is not reported again. */
ASYNC(told_once)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *task = asyncio_ref(spawn(&g, 1, -EIO));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    asyncio_release(task);
    return 0;
}
TEST_OF(told_once)

ASYNC(misuse)
{
    asyncio_task_group g;
    asyncio_timeout t;
    asyncio_task_group_enter(&g);
    asyncio_timeout_enter(&t, 5);
    spawn(&g, 1, 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 0), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), ASYNCIO_ESTATE);
    return 0;
}
TEST_OF(misuse)

static asyncio_task_group left_open;

ASYNC(returns_inside)
{
    asyncio_task_group_enter(&left_open);
    return 0;
}

static void die_of_it(void)
{
    asyncio_run(returns_inside());
}

static void test_returning_inside_aborts(void **state)
{
    (void)state;
    check_dies(die_of_it, "'returns_inside'");
}

/* ---- Many, and sweeps -------------------------------------------------------------------------------------- */

ASYNC(a_thousand)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    for (int i = 0; i < 1000; i++)
        spawn(&g, i % 7, i == 500 ? -EIO : 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK(passed() == 500 % 7);
    return 0;
}
TEST_OF(a_thousand)

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
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), asyncio_sleep(0) != 0);
    return err;
}

static void check_swept_failing(intptr_t result, unsigned suspension)
{
    (void)suspension;
    CHECK(result == ASYNCIO_EGROUP || result == -EPIPE);
}

static void test_cancel_sweep(void **state)
{
    (void)state;
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

static void test_failure_sweep(void **state)
{
    (void)state;
    sweep_failures(any_outcome);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_behaviour_26_results),
        cmocka_unit_test(test_behaviour_26_a_cancelled_child_is_no_failure),
        cmocka_unit_test(test_body_ends_as_a_cancelled_child),
        cmocka_unit_test(test_empty_groups),
        cmocka_unit_test(test_behaviour_27_child_fails_siblings_cancelled),
        cmocka_unit_test(test_behaviour_27_child_fails_during_exit),
        cmocka_unit_test(test_behaviour_27_exactly_the_failures),
        cmocka_unit_test(test_body_swallows),
        cmocka_unit_test(test_body_ends_undelivered),
        cmocka_unit_test(test_two_fail_in_one_tick),
        cmocka_unit_test(test_behaviour_28_cancelled_while_leaving),
        cmocka_unit_test(test_behaviour_28_cancelled_in_the_body),
        cmocka_unit_test(test_behaviour_28_cancelled_again_and_again),
        cmocka_unit_test(test_behaviour_29_child_crashes_in_cleanup),
        cmocka_unit_test(test_behaviour_29_cancelled_in_the_body),
        cmocka_unit_test(test_cancelled_after_a_failure),
        cmocka_unit_test(test_cancelled_in_the_tick_of_a_failure),
        cmocka_unit_test(test_in_a_cancelled_tasks_cleanup),
        cmocka_unit_test(test_cancelled_before_it_is_entered),
        cmocka_unit_test(test_behaviour_30_body_fails),
        cmocka_unit_test(test_behaviour_30_body_and_child_fail),
        cmocka_unit_test(test_body_fails_and_is_cancelled),
        cmocka_unit_test(test_behaviour_31_inner_fails),
        cmocka_unit_test(test_behaviour_31_outer_fails),
        cmocka_unit_test(test_behaviour_31_both_fail_in_one_tick),
        cmocka_unit_test(test_behaviour_31_wait_between),
        cmocka_unit_test(test_groups_in_children),
        cmocka_unit_test(test_behaviour_32_spawned_during_exit),
        cmocka_unit_test(test_behaviour_32_refused),
        cmocka_unit_test(test_behaviour_32_refused_in_a_callback),
        cmocka_unit_test(test_spawned_outside),
        cmocka_unit_test(test_fresh_children),
        cmocka_unit_test(test_behaviour_33_cancel_in_the_body),
        cmocka_unit_test(test_behaviour_33_cancel_without_a_wait),
        cmocka_unit_test(test_behaviour_33_cancel_from_a_child),
        cmocka_unit_test(test_behaviour_33_cancel_from_a_callback),
        cmocka_unit_test(test_cancel_while_the_body_awaits_a_child),
        cmocka_unit_test(test_behaviour_33_cancel_and_a_request_from_outside),
        cmocka_unit_test(test_behaviour_33_timeout_during_the_cleanup),
        cmocka_unit_test(test_crash_while_the_group_ends),
        cmocka_unit_test(test_behaviour_38_timeout_around_a_crash),
        cmocka_unit_test(test_behaviour_38_and_a_wait_after_it),
        cmocka_unit_test(test_crash_with_both_requests),
        cmocka_unit_test(test_timeout_in_a_child),
        cmocka_unit_test(test_timeout_around_a_group),
        cmocka_unit_test(test_first_eight),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_borrowed),
        cmocka_unit_test(test_told_once),
        cmocka_unit_test(test_misuse),
        cmocka_unit_test(test_returning_inside_aborts),
        cmocka_unit_test(test_a_thousand),
        cmocka_unit_test(test_cancel_sweep),
        cmocka_unit_test(test_failure_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
