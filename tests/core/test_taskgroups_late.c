/*
 * Task groups: children that come late, groups that end early, groups in timeouts, and
 * what is told of failures.
 */
#include "support/harness.h"
#include <errno.h>
#include <pthread.h>
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

ASYNC(takes_its_time)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(4), 0);
    return 6;
}

/* ---- 32: late children --------------------------------------------------- */

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

ASYNC_TEST(behaviour_32_spawned_during_exit)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, spawns(&g, 3));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0);
    CHECK(passed() == 4);
    return 0;
}

static void check_refused(asyncio_task *task)
{
    CHECK(asyncio_done(task));
    CHECK_EQUAL(asyncio_result(task), ASYNCIO_ESTATE);
    CHECK_EQUAL(dropped, 1);
    CHECK_EQUAL(ran, 0);
    dropped = 0;
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), ASYNCIO_ESTATE);
}

ASYNC_TEST(behaviour_32_refused)
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

static asyncio_task *refused_task;

static void spawn_into(void *group)
{
    refused_task = asyncio_task_group_create_task((asyncio_task_group *)group, counted());
    CHECK_EQUAL(asyncio_result(refused_task), ASYNCIO_ESTATE);
}

/* From a callback, too; and one that nobody looks at harms nobody. */
ASYNC_TEST(behaviour_32_refused_in_a_callback)
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

TEST(spawned_outside)
{
    asyncio_task_group g;
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
ASYNC_TEST(fresh_children)
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

/* ---- 33: ending a group early -------------------------------------------- */

ASYNC_TEST(behaviour_33_cancel_in_the_body)
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

ASYNC_TEST(behaviour_33_cancel_without_a_wait)
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

ASYNC_TEST(behaviour_33_cancel_from_a_child)
{
    CHECK_EQUAL(asyncio_await(cancel_from_a_child(1, 5)), 0);
    CHECK_EQUAL(asyncio_await(cancel_from_a_child(1, 0)), 0);
    CHECK_EQUAL(asyncio_await(cancel_from_a_child(0, 5)), 0);
    return asyncio_await(cancel_from_a_child(0, 0));
}

ASYNC_TEST(behaviour_33_cancel_from_a_callback)
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

/* A body that awaits a child when the group ends. */
ASYNC_TEST(cancel_while_the_body_awaits_a_child)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(spawn(&g, 9, 1));
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancel_group, &g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_await(child)), 0);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

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

ASYNC_TEST(behaviour_33_cancel_and_a_request_from_outside)
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

ASYNC_TEST(behaviour_33_timeout_during_the_cleanup)
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

/* A child that crashes while the group ends is a failure. */
ASYNC_TEST(crash_while_the_group_ends)
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

/* ---- 38: with timeouts --------------------------------------------------- */

ASYNC_TEST(behaviour_38_timeout_around_a_crash)
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

/* Two crashes; and the body waits after the group: the timeout's request is delivered again. */
ASYNC_TEST(behaviour_38_and_a_wait_after_it)
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

/* Which of two sources comes again is known: asyncio_cancel's outlives the timeout. */
ASYNC_TEST(crash_with_both_requests)
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

ASYNC(times_out)
{
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 1);
    return asyncio_timeout_exit(&t, asyncio_sleep(9));
}

ASYNC_TEST(timeout_in_a_child)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, times_out());
    spawn(&g, 9, 0);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -ETIMEDOUT); /* a failure like any */
    CHECK(passed() == 1);
    return cancelling();
}

ASYNC_TEST(timeout_around_a_group)
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

/* ---- What is told -------------------------------------------------------- */

ASYNC_TEST(first_eight)
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

ASYNC_TEST(messages)
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

/* Borrowed: valid until the next wait; a reference keeps it. */
ASYNC_TEST(borrowed)
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

/* A failure that the group has told of is not reported again. */
ASYNC_TEST(told_once)
{
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task *task = asyncio_ref(spawn(&g, 1, -EIO));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    asyncio_release(task);
    return 0;
}

ASYNC_TEST(misuse)
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

TEST(returning_inside_aborts)
{
    check_dies(die_of_it, "'returns_inside'");
}

/* A thread that runs no loop, beside the one whose task has entered the group. */
static void *spawns_elsewhere(void *group)
{
    asyncio_task_group_create_task((asyncio_task_group *)group, sleeps(1, 0));
    return NULL;
}

static void *cancels_elsewhere(void *group)
{
    asyncio_task_group_cancel((asyncio_task_group *)group);
    return NULL;
}

static void *(*misuse_elsewhere)(void *group);

ASYNC(enters_for_another_thread)
{
    asyncio_task_group group;
    pthread_t thread;
    asyncio_task_group_enter(&group);
    pthread_create(&thread, NULL, misuse_elsewhere, &group);
    pthread_join(thread, NULL);
    return asyncio_task_group_exit(&group, 0);
}

static void run_misuse_elsewhere(void)
{
    asyncio_run(enters_for_another_thread());
}

TEST(wrong_thread)
{
    misuse_elsewhere = spawns_elsewhere;
    check_dies(run_misuse_elsewhere, "asyncio_task_group_create_task was called");
    misuse_elsewhere = cancels_elsewhere;
    check_dies(run_misuse_elsewhere, "asyncio_task_group_cancel was called");
}

TEST_MAIN()
