/*
 * Task groups with a limit, and children that say when they are ready.
 */
#include "core/loop.h"
#include "support/harness.h"
#include <errno.h>
#include <math.h>
#include <string.h>

static int running, running_max;

ASYNC(works, double, delay, intptr_t, result)
{
    running_max = ++running > running_max ? running : running_max;
    int err = asyncio_sleep(delay);
    running--;
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

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

static void enter_limited(asyncio_task_group *group, int limit)
{
    running = running_max = 0;
    CHECK_EQUAL(asyncio_task_group_enter(group), 0);
    CHECK_EQUAL(asyncio_task_group_set_limit(group, limit), 0);
}

/* ---- Limits ---------------------------------------------------------------------- */

ASYNC_TEST(no_more_run_than_the_limit_allows)
{
    asyncio_task_group group;
    enter_limited(&group, 3);
    for (int i = 0; i < 10; i++)
        asyncio_task_group_create_task(&group, works(1, 0));
    CHECK_EQUAL(asyncio_time() >= 3, 1);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK_EQUAL(running_max, 3);
    CHECK_EQUAL(asyncio_time() < 4.5, 1);
    return 0;
}

ASYNC_TEST(with_a_place_it_does_not_wait)
{
    asyncio_task_group group;
    enter_limited(&group, 2);
    uint64_t steps = asyncio_get_running_loop()->steps;
    asyncio_task_group_create_task(&group, works(1, 0));
    asyncio_task_group_create_task(&group, works(1, 0));
    CHECK_EQUAL(asyncio_get_running_loop()->steps, steps);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

ASYNC(makes_more, asyncio_task_group *, group, int, left)
{
    running_max = ++running > running_max ? running : running_max;
    if (left)
        asyncio_task_group_create_task(group, makes_more(group, left - 1));
    asyncio_sleep(1);
    running--;
    return 0;
}

ASYNC_TEST(children_go_beyond_the_limit)
{
    asyncio_task_group group;
    enter_limited(&group, 1);
    asyncio_task_group_create_task(&group, makes_more(&group, 4));
    asyncio_task_group_create_task(&group, works(0, 0)); /* waits until all five have ended */
    CHECK_EQUAL(running_max, 5);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

static void raise_limit(void *group)
{
    CHECK_EQUAL(asyncio_task_group_set_limit(group, 0), 0);
}

ASYNC_TEST(a_limit_that_is_lifted_lets_the_creator_go_on)
{
    asyncio_task_group group;
    enter_limited(&group, 1);
    asyncio_task_group_create_task(&group, works(9, 0));
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, raise_limit, &group);
    double began = asyncio_time();
    asyncio_task_group_create_task(&group, works(1, 0));
    CHECK(asyncio_time() - began < 2);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

ASYNC_TEST(a_request_ends_the_wait_for_a_place_and_stays)
{
    asyncio_task_group group;
    enter_limited(&group, 1);
    asyncio_task_group_create_task(&group, works(9, 0));
    cancel_self_later(1);
    asyncio_task *refused = asyncio_task_group_create_task(&group, works(1, 0));
    CHECK_EQUAL(asyncio_result(refused), -ECANCELED);
    CHECK_EQUAL(running_max, 1);
    /* Still pending: no further wait for a place, either. */
    CHECK_EQUAL(asyncio_result(asyncio_task_group_create_task(&group, works(1, 0))), -ECANCELED);
    int err = asyncio_sleep(5);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&group, err), -ECANCELED);
    CHECK_EQUAL(cancelling(), 1);
    asyncio_task_uncancel(asyncio_current_task());
    return 0;
}

ASYNC_TEST(a_timeout_around_the_wait_for_a_place)
{
    asyncio_task_group group;
    enter_limited(&group, 1);
    asyncio_task_group_create_task(&group, works(9, 0));
    intptr_t err = 0;
    ASYNCIO_TIMEOUT(err, 1) {
        err = asyncio_result(asyncio_task_group_create_task(&group, works(1, 0)));
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

ASYNC_TEST(a_child_that_fails_ends_the_wait_for_a_place)
{
    asyncio_task_group group;
    enter_limited(&group, 2);
    asyncio_task_group_create_task(&group, works(9, 0));
    asyncio_task_group_create_task(&group, works(1, -EIO));
    CHECK_EQUAL(asyncio_result(asyncio_task_group_create_task(&group, works(1, 0))), ASYNCIO_ESTATE);
    CHECK_EQUAL(running_max, 2);
    int err = asyncio_sleep(5);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&group, err), -EIO);
    CHECK_EQUAL(cancelling(), 0);
    return 0;
}

ASYNC_TEST(with_limit_one_a_failure_is_known_before_the_next_child)
{
    asyncio_task_group group;
    enter_limited(&group, 1);
    asyncio_task_group_create_task(&group, works(1, -EIO));
    CHECK_EQUAL(asyncio_result(asyncio_task_group_create_task(&group, works(1, 0))), ASYNCIO_ESTATE);
    CHECK_EQUAL(running_max, 1);
    CHECK_EQUAL(asyncio_task_group_exit(&group, asyncio_sleep(5)), -EIO);
    return 0;
}

ASYNC(ends_at_once)
{
    return 0;
}

ASYNC_TEST(eager_children_that_end_at_once_take_no_place)
{
    asyncio_get_running_loop()->options.eager = 1;
    asyncio_task_group group;
    enter_limited(&group, 1);
    for (int i = 0; i < 100; i++)
        CHECK_EQUAL(asyncio_result(asyncio_task_group_create_task(&group, ends_at_once())), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

ASYNC_TEST(limits_that_are_refused)
{
    asyncio_task_group group = {.limit = 0};
    CHECK_EQUAL(asyncio_task_group_set_limit(NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_task_group_set_limit(&group, -1), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "limit");
    CHECK_EQUAL(asyncio_task_group_set_limit(&group, 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK_EQUAL(asyncio_task_group_set_limit(&group, 1), ASYNCIO_ESTATE);
    return 0;
}

/* ---- Starting ------------------------------------------------------------------------- */

ASYNC(serves, double, until_ready, intptr_t, value, intptr_t, result)
{
    int err = until_ready < 0 ? 0 : asyncio_sleep(until_ready);
    if (err)
        return err;
    CHECK_EQUAL(asyncio_started(value), 0);
    CHECK_EQUAL(asyncio_started(value), ASYNCIO_ESTATE);
    err = asyncio_sleep(1);
    return err ? err : result;
}

ASYNC_TEST(it_returns_when_the_child_is_ready)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(2, 8080, 0)), 8080);
    CHECK(asyncio_time() - began >= 2 && asyncio_time() - began < 2.5);
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(-1, 0, 0)), 0);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK(asyncio_time() - began >= 3);
    return 0;
}

ASYNC_TEST(after_that_it_is_a_child_as_any_other)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(1, 1, -EIO)), 1);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&group, -ECANCELED), -EIO);
    return 0;
}

ASYNC(fails_with_words)
{
    asyncio_sleep(1);
    return asyncio_raise(-EADDRINUSE, "the port is taken");
}

ASYNC_TEST(a_child_that_ends_before)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    CHECK_EQUAL(asyncio_task_group_start(&group, fails_with_words()), -EADDRINUSE);
    CHECK_TEXT(asyncio_error_message(), "the port is taken");
    CHECK_EQUAL(asyncio_task_group_start(&group, works(1, 7)), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "before it called asyncio_started");
    CHECK_EQUAL(asyncio_sleep(1), 0); /* none of it counts */
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    CHECK_EQUAL(asyncio_task_group_error_count(&group), 0);
    return 0;
}

ASYNC_TEST(eager_children)
{
    asyncio_get_running_loop()->options.eager = 1;
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    uint64_t steps = asyncio_get_running_loop()->steps;
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(-1, 5, 0)), 5);
    CHECK_EQUAL(asyncio_get_running_loop()->steps, steps + 1); /* the child's, and no wait of ours */
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(1, 6, 0)), 6);
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

/* Fails when it is cancelled, after a while; says that it is ready before or after that. */
ASYNC(cleans_up, bool, says_so, intptr_t, err)
{
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    if (says_so)
        CHECK_EQUAL(asyncio_started(5), 0);
    asyncio_sleep(1);
    return err;
}

ASYNC_TEST(a_request_goes_to_the_child_and_waits_for_its_end)
{
    asyncio_task_group group;
    for (int says_so = 0; says_so < 2; says_so++) {
        CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
        double began = asyncio_time();
        cancel_self_later(1);
        CHECK_EQUAL(asyncio_task_group_start(&group, cleans_up(says_so, 0)), -ECANCELED);
        CHECK(asyncio_time() - began >= 2 && asyncio_time() - began < 3);
        CHECK_EQUAL(asyncio_sleep(0), 0); /* used up */
        asyncio_task_uncancel(asyncio_current_task());
        CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    }
    return 0;
}

ASYNC_TEST(a_failure_after_a_request_is_the_groups)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    cancel_self_later(1);
    intptr_t err = asyncio_task_group_start(&group, cleans_up(false, -EIO));
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&group, err), -EIO);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED); /* the request from outside that the failure won over */
    asyncio_task_uncancel(asyncio_current_task());
    return 0;
}

ASYNC_TEST(a_request_that_is_pending_goes_to_the_child_as_well)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_task_group_start(&group, cleans_up(false, 0)), -ECANCELED);
    asyncio_task_uncancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

static void cancel_starter(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

ASYNC(starts_and_cancels, asyncio_task *, creator)
{
    CHECK_EQUAL(asyncio_started(3), 0);
    cancel_starter(creator);
    return asyncio_sleep(1);
}

ASYNC_TEST(a_value_that_came_before_the_request_wins)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    CHECK_EQUAL(asyncio_task_group_start(&group, starts_and_cancels(asyncio_current_task())), 3);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    asyncio_task_uncancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

ASYNC_TEST(a_sibling_that_fails_cancels_the_start)
{
    asyncio_task_group group;
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    asyncio_task_group_create_task(&group, works(1, -EIO));
    intptr_t err = asyncio_task_group_start(&group, serves(9, 1, 0));
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&group, err), -EIO);
    CHECK_EQUAL(cancelling(), 0);
    return 0;
}

ASYNC_TEST(a_start_waits_for_a_place)
{
    asyncio_task_group group;
    enter_limited(&group, 1);
    asyncio_task_group_create_task(&group, works(2, 0));
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(-1, 4, 0)), 4);
    CHECK(asyncio_time() - began >= 2);
    cancel_self_later(0.5);
    CHECK_EQUAL(asyncio_task_group_start(&group, serves(-1, 4, 0)), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    asyncio_task_uncancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_task_group_exit(&group, 0), 0);
    return 0;
}

static intptr_t start_in_callback;

static void start_from_callback(void *group)
{
    start_in_callback = asyncio_task_group_start(group, works(1, 0));
}

ASYNC_TEST(starts_that_are_refused)
{
    asyncio_task_group group = {.limit = 0};
    CHECK_EQUAL(asyncio_task_group_start(NULL, works(1, 0)), -EINVAL);
    CHECK_EQUAL(asyncio_task_group_start(&group, works(1, 0)), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_task_group_enter(&group), 0);
    CHECK_EQUAL(asyncio_task_group_start(&group, NULL), -ENOMEM);
    asyncio_loop_call_soon(asyncio_get_running_loop(), start_from_callback, &group);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(start_in_callback, ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_started(1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_started(-1), -EINVAL);
    asyncio_task_group_cancel(&group);
    CHECK_EQUAL(asyncio_task_group_start(&group, works(1, 0)), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_task_group_exit(&group, asyncio_sleep(9)), 0);
    return 0;
}

/* ---- Everything, with failures, cancels and orders ------------------------------------------- */

ASYNC(uses_both)
{
    asyncio_task_group group;
    int err = asyncio_task_group_enter(&group);
    if (err)
        return err;
    asyncio_task_group_set_limit(&group, 2);
    intptr_t value = asyncio_task_group_start(&group, works(1, 0));
    if (value != ASYNCIO_ESTATE && value != -ENOMEM)
        err = (int)value;
    for (int i = 0; i < 4 && !err; i++) {
        asyncio_task *task = asyncio_task_group_create_task(&group, works(1, 0));
        err = asyncio_done(task) && asyncio_result(task) == -ECANCELED ? asyncio_sleep(0) : 0;
    }
    return asyncio_task_group_exit(&group, err);
}

TEST(each_failure_in_turn)
{
    sweep_failures(uses_both);
}

TEST(each_cancel_in_turn)
{
    sweep_cancels(uses_both, NULL);
}

TEST(in_many_orders)
{
    run_all_seeds(uses_both);
}

TEST_MAIN()
