/*
 * Timeouts: against requests from outside, nested, overdue, moved, misused; and as blocks
 * (test_blocks.c has the rest of those).
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

/* Swallows every request until `until`. */
ASYNC(holds_out, double, until, intptr_t, result)
{
    while (asyncio_time() < until)
        asyncio_sleep_until(until);
    return result;
}

static void cancel_it(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

static void complete(void *future)
{
    asyncio_future_set_result(future, 7);
}

/* Cancels the running task, from a callback, in `delay` seconds. */
static asyncio_handle cancel_self_later(double delay)
{
    return asyncio_loop_call_later(asyncio_get_running_loop(), delay, cancel_it, asyncio_current_task());
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

static double start;

static double passed(void)
{
    return asyncio_time() - start;
}

/* ---- By itself ----------------------------------------------------------- */

ASYNC_TEST(expires)
{
    asyncio_timeout t;
    start = asyncio_time();
    CHECK_EQUAL(asyncio_timeout_enter(&t, 1), 0);
    CHECK(!asyncio_timeout_expired(&t));
    CHECK(asyncio_timeout_when(&t) == start + 1);
    int err = asyncio_sleep(5);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK(asyncio_timeout_expired(&t));
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK(asyncio_timeout_expired(&t));
    CHECK(passed() == 1);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(does_not_expire)
{
    asyncio_timeout t;
    CHECK_EQUAL(asyncio_timeout_enter(&t, 2), 0);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 42), 42);
    CHECK(!asyncio_timeout_expired(&t));
    return asyncio_sleep(5);
}

/* A deadline that has passed fires in the next iteration: who never suspends succeeds. */
ASYNC_TEST(of_no_time)
{
    static const double delays[] = {0, -0.0, -1, -1e300, -INFINITY};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        asyncio_timeout t;
        CHECK_EQUAL(asyncio_timeout_enter(&t, delays[i]), 0);
        CHECK_EQUAL(asyncio_timeout_exit(&t, 3), 3);
        CHECK(!asyncio_timeout_expired(&t));

        CHECK_EQUAL(asyncio_timeout_enter(&t, delays[i]), 0);
        int err = asyncio_sleep(1);
        CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    }
    asyncio_timeout t;
    CHECK_EQUAL(asyncio_timeout_enter_at(&t, asyncio_time() - 5), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(1)), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_timeout_enter_at(&t, -INFINITY), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(1)), -ETIMEDOUT);
    return cancelling();
}

ASYNC_TEST(without_limit)
{
    static const double delays[] = {ASYNCIO_FOREVER, 1e300};
    for (size_t i = 0; i < sizeof delays / sizeof *delays; i++) {
        asyncio_timeout t;
        CHECK_EQUAL(asyncio_timeout_enter(&t, delays[i]), 0);
        CHECK(asyncio_timeout_when(&t) == ASYNCIO_FOREVER);
        CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(1e6)), 0);
        CHECK_EQUAL(asyncio_timeout_enter_at(&t, delays[i]), 0);
        CHECK(asyncio_timeout_when(&t) == ASYNCIO_FOREVER);
        CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(1e6)), 0);
    }
    return 0;
}

ASYNC_TEST(at_a_time)
{
    asyncio_timeout t;
    asyncio_sleep(3);
    start = asyncio_time();
    CHECK_EQUAL(asyncio_timeout_enter_at(&t, start + 2), 0);
    CHECK(asyncio_timeout_when(&t) == start + 2);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK(passed() == 2);
    return 0;
}

static void refused_outside(void *arg)
{
    asyncio_timeout t;
    (void)arg;
    CHECK_EQUAL(asyncio_timeout_enter(&t, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_timeout_enter_at(&t, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_timeout_enter(&t, ASYNCIO_FOREVER), ASYNCIO_ENOTASK);
}

ASYNC(refusals)
{
    asyncio_timeout t;
    CHECK_EQUAL(asyncio_timeout_enter(NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_timeout_enter_at(NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_timeout_enter(&t, NAN), -EINVAL);
    CHECK_EQUAL(asyncio_timeout_enter_at(&t, NAN), -EINVAL);
    CHECK_EQUAL(asyncio_timeout_exit(NULL, 0), -EINVAL);
    CHECK_EQUAL(asyncio_timeout_reschedule(NULL, 1), -EINVAL);
    CHECK(!asyncio_timeout_expired(NULL));
    CHECK(asyncio_timeout_when(NULL) == ASYNCIO_FOREVER);
    asyncio_loop_call_soon(asyncio_get_running_loop(), refused_outside, NULL);
    asyncio_sleep(0);
    memset(&t, 0, sizeof t);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 0), ASYNCIO_ESTATE); /* never entered */
    CHECK_EQUAL(asyncio_timeout_enter(&t, 1), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 5), 5);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 5), ASYNCIO_ESTATE); /* twice */
    return 0;
}

TEST(refusals)
{
    refused_outside(NULL);
    assert_int_equal(run(refusals), 0);
}

/* A body that swallows its cancel keeps its value; the count is given back. */
ASYNC_TEST(swallowed)
{
    asyncio_timeout t;
    CHECK_EQUAL(asyncio_timeout_enter(&t, 1), 0);
    CHECK_EQUAL(asyncio_sleep(5), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(5), 0); /* one request, one -ECANCELED */
    CHECK_EQUAL(asyncio_timeout_exit(&t, 6), 6);
    CHECK(asyncio_timeout_expired(&t));
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* ---- 34: nested ---------------------------------------------------------- */

ASYNC_TEST(nested_inner)
{
    asyncio_timeout outer, inner;
    asyncio_timeout_enter(&outer, 5);
    asyncio_timeout_enter(&inner, 1);
    CHECK_EQUAL(asyncio_timeout_exit(&inner, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&outer, 0), 0);
    CHECK(asyncio_timeout_expired(&inner) && !asyncio_timeout_expired(&outer));
    return cancelling();
}

/* An inner one's TimeoutError is a foreign error to the outer one. */
ASYNC_TEST(nested_inner_through)
{
    asyncio_timeout outer, inner;
    asyncio_timeout_enter(&outer, 5);
    asyncio_timeout_enter(&inner, 1);
    intptr_t err = asyncio_timeout_exit(&inner, asyncio_sleep(9));
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ETIMEDOUT);
    CHECK(!asyncio_timeout_expired(&outer));
    return cancelling();
}

ASYNC_TEST(nested_outer)
{
    asyncio_timeout outer, inner;
    asyncio_timeout_enter(&outer, 1);
    asyncio_timeout_enter(&inner, 5);
    intptr_t err = asyncio_timeout_exit(&inner, asyncio_sleep(9));
    CHECK_EQUAL(err, -ECANCELED);
    CHECK(!asyncio_timeout_expired(&inner));
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ETIMEDOUT);
    return cancelling();
}

/* Several deadlines pass before the loop looks: equal ones, with the virtual
 * clock; either order. Each is honoured: the inner one converts, and the outer
 * one's cancel comes at the next wait. */
ASYNC(both_overdue, double, outer_delay, double, inner_delay)
{
    asyncio_timeout outer, inner;
    asyncio_timeout_enter(&outer, outer_delay);
    asyncio_timeout_enter(&inner, inner_delay);
    CHECK_EQUAL(asyncio_timeout_exit(&inner, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK(asyncio_timeout_expired(&inner) && asyncio_timeout_expired(&outer));
    CHECK_EQUAL(cancelling(), 1);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    return cancelling();
}

ASYNC_TEST(behaviour_34_both_overdue)
{
    CHECK_EQUAL(asyncio_await(both_overdue(0, -1)), 0);
    CHECK_EQUAL(asyncio_await(both_overdue(-1, 0)), 0);
    return asyncio_await(both_overdue(1, 1));
}

/* The outer one's cancel is withdrawn if nothing waits before its exit. */
ASYNC_TEST(behaviour_34_both_overdue_no_wait_between)
{
    asyncio_timeout outer, inner;
    asyncio_timeout_enter(&outer, 1);
    asyncio_timeout_enter(&inner, 1);
    intptr_t err = asyncio_timeout_exit(&inner, asyncio_sleep(9));
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ETIMEDOUT);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(three_overdue)
{
    asyncio_timeout a, b, c;
    asyncio_timeout_enter(&a, 1);
    asyncio_timeout_enter(&b, 9);
    asyncio_timeout_enter(&c, 1);
    CHECK_EQUAL(asyncio_timeout_exit(&c, asyncio_sleep(20)), -ETIMEDOUT);
    intptr_t err = asyncio_timeout_exit(&b, asyncio_sleep(20));
    CHECK_EQUAL(err, -ECANCELED); /* a's */
    CHECK(!asyncio_timeout_expired(&b));
    CHECK_EQUAL(asyncio_timeout_exit(&a, err), -ETIMEDOUT);
    return cancelling();
}

/* ---- 36: requests from outside ------------------------------------------- */

ASYNC_TEST(behaviour_36_cancel_before_expiry)
{
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 5);
    cancel_self_later(1);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ECANCELED);
    CHECK(!asyncio_timeout_expired(&t));
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(9), 0); /* delivered once */
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    return 0;
}

/* Both in one tick, in either order: the request from outside wins. */
ASYNC(cancel_with_expiry, bool, cancel_first)
{
    asyncio_timeout t;
    if (cancel_first)
        cancel_self_later(1);
    asyncio_timeout_enter(&t, 1);
    if (!cancel_first)
        cancel_self_later(1);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ECANCELED);
    CHECK(asyncio_timeout_expired(&t));
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(cancel_in_the_tick_of_expiry)
{
    CHECK_EQUAL(asyncio_await(cancel_with_expiry(false)), 0);
    return asyncio_await(cancel_with_expiry(true));
}

/* Cancelled from outside while it tidies up after the expiry. */
ASYNC_TEST(cancel_after_expiry)
{
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 1);
    cancel_self_later(2);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ECANCELED);
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    return 0;
}

/* uncancel says that the request from outside is dealt with. */
ASYNC_TEST(uncancelled_before_the_exit)
{
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 2);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    return cancelling();
}

ASYNC_TEST(behaviour_36_foreign_errors)
{
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 5);
    CHECK_EQUAL(asyncio_timeout_exit(&t, -EIO), -EIO);
    /* Even if it came of the cancel. */
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, -EPIPE), -EPIPE);
    CHECK(asyncio_timeout_expired(&t));
    /* And so does an -ECANCELED that nobody requested here. */
    asyncio_timeout_enter(&t, 5);
    asyncio_task *task = asyncio_create_task(sleeps(9, 0));
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_await(task)), -ECANCELED);
    CHECK(!asyncio_timeout_expired(&t));
    return cancelling();
}

/* ---- 35: inside a cancelled task's cleanup ------------------------------- */

ASYNC(cleans_up)
{
    asyncio_timeout t;
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(cancelling(), 1);
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK_EQUAL(cancelling(), 1);
    asyncio_timeout_enter(&t, 3);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ECANCELED);
    CHECK_EQUAL(cancelling(), 2);
    return 0;
}

ASYNC_TEST(behaviour_35_in_a_cancelled_tasks_cleanup)
{
    asyncio_task *task = asyncio_create_task(cleans_up());
    asyncio_sleep(1);
    asyncio_cancel(task);
    return asyncio_await(task);
}

/* One that was pending when it was entered is one of those before, as in Python. */
ASYNC_TEST(behaviour_35_cancelled_before_it_is_entered)
{
    asyncio_timeout t;
    asyncio_cancel(asyncio_current_task());
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK_EQUAL(cancelling(), 1);
    return asyncio_sleep(1);
}

/* ---- Grants, and requests that were not delivered ------------------------ */

/* Resumes whoever awaits `first`, and completes `second` in the same tick after that one's step. */
struct grant {
    asyncio_future *first, *second;
    asyncio_task *cancelled; /* after that, if there is one */
};

static void give(void *arg)
{
    struct grant *grant = arg;
    asyncio_future_set_result(grant->second, 7);
    asyncio_cancel(grant->cancelled);
}

static void give_soon(void *arg)
{
    struct grant *grant = arg;
    asyncio_future_set_result(grant->first, 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), give, grant);
}

/* Enters a timeout that is overdue, and awaits what comes before the loop notices that. */
static intptr_t granted_and_expired(asyncio_timeout *t, bool and_cancelled)
{
    struct grant grant = {asyncio_future_new(), asyncio_future_new(), NULL};
    if (and_cancelled)
        grant.cancelled = asyncio_current_task();
    asyncio_loop_call_soon(asyncio_get_running_loop(), give_soon, &grant);
    CHECK_EQUAL(asyncio_await(grant.first), 0);
    CHECK_EQUAL(asyncio_timeout_enter(t, 0), 0);
    intptr_t result = asyncio_await(grant.second);
    CHECK(asyncio_timeout_expired(t));
    return result;
}

/* A result and the deadline in one tick: the result is kept. The request that nothing
 * delivered goes with the scope. */
ASYNC_TEST(grant_and_expiry)
{
    asyncio_timeout t;
    intptr_t result = granted_and_expired(&t, false);
    CHECK_EQUAL(result, 7);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, result), 7);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* The other way round it comes too late. */
ASYNC_TEST(expiry_and_then_a_grant)
{
    asyncio_timeout t;
    asyncio_future *future = asyncio_future_new();
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, complete, future);
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_await(asyncio_ref(future))), -ETIMEDOUT);
    CHECK(asyncio_cancelled(future));
    asyncio_release(future);
    return cancelling();
}

/* Not withdrawn while inside: the next wait gets it. */
ASYNC_TEST(grant_and_then_a_wait)
{
    asyncio_timeout t;
    CHECK_EQUAL(granted_and_expired(&t, false), 7);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(1)), -ETIMEDOUT);
    return asyncio_sleep(1);
}

/* An outer timeout's request was pending when the inner one was entered; that, the inner one's own and
 * one from outside are delivered together. The one from outside wins, in both. */
ASYNC_TEST(cancelled_with_two_expired)
{
    asyncio_timeout outer, inner;
    CHECK_EQUAL(granted_and_expired(&outer, false), 7);
    CHECK_EQUAL(asyncio_timeout_enter(&inner, 0), 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), cancel_it, asyncio_current_task());
    intptr_t err = asyncio_sleep(9);
    CHECK_EQUAL(cancelling(), 3);
    err = asyncio_timeout_exit(&inner, err);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ECANCELED);
    CHECK_EQUAL(cancelling(), 1);
    return asyncio_sleep(1);
}

/* Rule 3e: withdrawn whatever the count is; one from outside is not. */
ASYNC_TEST(withdrawn_beside_another)
{
    asyncio_timeout t;
    CHECK_EQUAL(granted_and_expired(&t, true), 7);
    CHECK_EQUAL(cancelling(), 2);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 7), 7);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED); /* asyncio_cancel's */
    return asyncio_sleep(1);
}

/* In a task that was cancelled before, so that the count does not come to 0. */
ASYNC_TEST(withdrawn_in_a_cancelled_task)
{
    asyncio_timeout t;
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(granted_and_expired(&t, false), 7);
    CHECK_EQUAL(cancelling(), 2);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 7), 7);
    CHECK_EQUAL(cancelling(), 1);
    return asyncio_sleep(1);
}

/* The request goes down the chain, and is used up by a task that swallows it. */
ASYNC_TEST(used_up_by_the_awaited)
{
    asyncio_timeout t;
    start = asyncio_time();
    asyncio_timeout_enter(&t, 1);
    intptr_t result = asyncio_await(asyncio_create_task(holds_out(start + 3, 5)));
    CHECK_EQUAL(result, 5);
    CHECK(passed() == 3);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, result), 5);
    CHECK(asyncio_timeout_expired(&t));
    return cancelling();
}

ASYNC_TEST(ends_a_gather)
{
    asyncio_timeout t;
    intptr_t results[2];
    asyncio_timeout_enter(&t, 1);
    int err = asyncio_gather(results, sleeps(9, 1), asyncio_create_task(sleeps(0.5, 2)));
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK_EQUAL(results[0], -ECANCELED);
    CHECK_EQUAL(results[1], 2);
    return cancelling();
}

/* ---- 37: reschedule ------------------------------------------------------ */

ASYNC_TEST(behaviour_37_reschedule)
{
    asyncio_timeout t;
    start = asyncio_time();
    asyncio_timeout_enter(&t, 5);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, start + 1), 0); /* earlier */
    CHECK(asyncio_timeout_when(&t) == start + 1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK(passed() == 1);

    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, start + 5), 0); /* later */
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK(passed() == 5);

    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, ASYNCIO_FOREVER), 0); /* never */
    CHECK(asyncio_timeout_when(&t) == ASYNCIO_FOREVER);
    CHECK_EQUAL(asyncio_sleep(20), 0);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, asyncio_time() - 7), 0); /* into the past */
    CHECK(!asyncio_timeout_expired(&t));
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    return cancelling();
}

static void move_it(void *timeout)
{
    CHECK_EQUAL(asyncio_timeout_reschedule(timeout, start + 2), 0);
}

ASYNC_TEST(rescheduled_from_a_callback)
{
    asyncio_timeout t;
    start = asyncio_time();
    asyncio_timeout_enter(&t, 9);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, move_it, &t);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(20)), -ETIMEDOUT);
    CHECK(passed() == 2);
    return 0;
}

ASYNC_TEST(behaviour_37_illegal_states)
{
    asyncio_timeout t;
    memset(&t, 0, sizeof t);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, 1), ASYNCIO_ESTATE); /* not entered */
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, NAN), -EINVAL);
    CHECK(asyncio_timeout_when(&t) == asyncio_time() + 1);
    int err = asyncio_sleep(5);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, asyncio_time() + 5), ASYNCIO_ESTATE); /* expiring */
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, asyncio_time() + 5), ASYNCIO_ESTATE); /* expired */
    asyncio_timeout_enter(&t, 1);
    asyncio_timeout_exit(&t, 0);
    CHECK_EQUAL(asyncio_timeout_reschedule(&t, asyncio_time() + 5), ASYNCIO_ESTATE); /* left */
    return asyncio_sleep(9);
}

/* ---- Misuse -------------------------------------------------------------- */

ASYNC(exits_anothers, asyncio_timeout *, timeout)
{
    CHECK_EQUAL(asyncio_timeout_exit(timeout, 0), ASYNCIO_ESTATE);
    return 0;
}

ASYNC_TEST(exit_out_of_order)
{
    asyncio_timeout outer, inner;
    asyncio_timeout_enter(&outer, 1);
    asyncio_timeout_enter(&inner, 5);
    CHECK_EQUAL(asyncio_timeout_exit(&outer, 3), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "innermost");
    CHECK_EQUAL(asyncio_await(asyncio_create_task(exits_anothers(&inner))), 0);
    /* Nothing has changed. */
    intptr_t err = asyncio_timeout_exit(&inner, asyncio_sleep(9));
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ETIMEDOUT);
    return cancelling();
}

static asyncio_timeout left_open;

ASYNC(returns_inside)
{
    asyncio_timeout_enter(&left_open, 1);
    return 0;
}

static void die_of_it(void)
{
    asyncio_run(returns_inside());
}

ASYNC(awaits_one)
{
    return asyncio_await(returns_inside());
}

static void die_of_it_in_place(void)
{
    asyncio_run(awaits_one());
}

TEST(returning_inside_aborts)
{
    check_dies(die_of_it, "coroutine 'returns_inside'");
    check_dies(die_of_it_in_place, "coroutine 'returns_inside'");
}

/* ---- Sweeps -------------------------------------------------------------- */

ASYNC(waits_inside)
{
    asyncio_timeout outer, inner;
    intptr_t err = asyncio_timeout_enter(&outer, 3);
    if (err)
        return err;
    err = asyncio_timeout_enter(&inner, 1);
    if (!err)
        err = asyncio_timeout_exit(&inner, asyncio_sleep(2));
    if (!err || err == -ETIMEDOUT)
        err = asyncio_await(asyncio_create_task(sleeps(9, 0)));
    return asyncio_timeout_exit(&outer, err);
}

static void check_waits_inside(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : -ETIMEDOUT);
}

TEST(cancel_sweep)
{
    sweep_cancels(waits_inside, check_waits_inside);
}

ASYNC(any_outcome)
{
    asyncio_await(waits_inside());
    return 0;
}

TEST(failure_sweep)
{
    sweep_failures(any_outcome);
}

TEST_MAIN()
