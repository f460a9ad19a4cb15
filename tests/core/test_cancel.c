/*
 * Cancelling: the state machine in every state of a task, counts and messages,
 * long chains, deep nests and circles.
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

/* Sleeps for ever; a cancel is swallowed, and tidied up after for `delay`. */
ASYNC(swallows, double, delay, intptr_t, result)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(delay), 0);
    return result;
}

/* join's two outcomes, for whoever looks later. */
struct joined {
    int status;
    intptr_t result;
};

ASYNC(joins, asyncio_future *, future, struct joined *, out)
{
    out->result = 1234;
    out->status = asyncio_join(future, &out->result);
    return 0;
}

/* ---- In each state -------------------------------------------------------------- */

ASYNC_TEST(in_sleep)
{
    asyncio_task *task = asyncio_create_task(sleeps(100, 1));
    asyncio_sleep(1);
    CHECK(asyncio_cancel(task));
    CHECK(!asyncio_done(task)); /* never before its next turn */
    CHECK_EQUAL(asyncio_task_cancelling(task), 1);
    asyncio_sleep(0);
    CHECK(asyncio_cancelled(task));
    CHECK(!asyncio_cancel(task));
    CHECK_EQUAL(asyncio_task_cancelling(task), 1); /* an ended one counts no more */
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK(asyncio_time() < 1e9 && asyncio_time() >= 1);
    return 0;
}

static bool entered;

ASYNC(enters, double, delay)
{
    entered = true;
    return asyncio_sleep(delay);
}

ASYNC(returns_at_once)
{
    entered = true;
    return 5;
}

/* Rule (b): one that has not begun runs; its first wait fails, its value stands. */
ASYNC_TEST(fresh)
{
    asyncio_task *task = asyncio_create_task(enters(0));
    entered = false;
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK(entered);

    entered = false;
    task = asyncio_create_task(returns_at_once());
    CHECK(asyncio_cancel_with(task, "x"));
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 5); /* rule (d) */
    CHECK(entered);
    CHECK(!asyncio_cancelled(task));
    asyncio_release(task);
    return 0;
}

/* Rule (a): granted in the same tick, but not resumed yet. */
ASYNC_TEST(granted)
{
    asyncio_future *future = asyncio_future_new();
    struct joined joined;
    asyncio_task *task = asyncio_create_task(joins(asyncio_ref(future), &joined));
    asyncio_sleep(0);
    asyncio_future_set_result(future, 42);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 0);
    CHECK_EQUAL(joined.status, 0);
    CHECK_EQUAL(joined.result, 42);
    CHECK_EQUAL(asyncio_task_cancelling(task), 1);
    asyncio_release(task);
    asyncio_release(future);

    /* What wins is itself -ECANCELED: the request is delivered with it. */
    future = asyncio_future_new();
    task = asyncio_create_task(joins(asyncio_ref(future), &joined));
    asyncio_sleep(0);
    asyncio_cancel(future);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(joined.status, -ECANCELED);
    CHECK_EQUAL(joined.result, -ECANCELED);
    asyncio_release(future);
    return 0;
}

ASYNC(keeps_value_then_waits, asyncio_future *, future)
{
    CHECK_EQUAL(asyncio_await(future), 42);
    CHECK_EQUAL(asyncio_sleep(5), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(1), 0); /* once only */
    return 6;
}

ASYNC_TEST(pending_until_next_wait)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(keeps_value_then_waits(asyncio_ref(future)));
    asyncio_sleep(0);
    asyncio_future_set_result(future, 42);
    asyncio_cancel(task);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_task_cancelling(task), 2);
    CHECK_EQUAL(asyncio_await(task), 6);
    asyncio_release(future);
    return 0;
}

/* A call that can complete at once does, and delivers nothing. */
ASYNC_TEST(completes_at_once)
{
    asyncio_task *self = asyncio_current_task();
    asyncio_future *future = asyncio_future_new();
    asyncio_future_set_result(future, 3);
    asyncio_cancel(self);
    CHECK_EQUAL(asyncio_await(asyncio_ref(future)), 3);
    intptr_t result;
    CHECK_EQUAL(asyncio_join(asyncio_ref(future), &result), 0);
    CHECK_EQUAL(asyncio_gather(&result, asyncio_ref(future)), 0);
    CHECK_EQUAL(result, 3);
    asyncio_release(future);
    CHECK_EQUAL(asyncio_await(NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_await(asyncio_ref(self)), -EINVAL);
    CHECK_EQUAL(asyncio_gather_array(NULL, (asyncio_task **)NULL, 0), 0);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_task_cancelling(self), 1);
    CHECK_EQUAL(asyncio_task_uncancel(self), 0);
    CHECK_EQUAL(asyncio_task_uncancel(self), 0);
    return 0;
}

ASYNC(yields, int, times)
{
    for (int i = 0; i < times; i++) {
        int err = asyncio_sleep(0);
        if (err)
            return err - i;
    }
    return times;
}

ASYNC_TEST(in_yield)
{
    asyncio_task *task = asyncio_create_task(yields(10));
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK(asyncio_cancel(task)); /* it stands in the queue */
    CHECK_EQUAL(asyncio_await(task), -ECANCELED - 1);

    task = asyncio_create_task(yields(3));
    asyncio_sleep(0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_task_uncancel(task), 0); /* taken back in time */
    CHECK_EQUAL(asyncio_await(task), 3);
    return 0;
}

/* A sleep has no result to lose: cancelled in the tick in which it ends, it is cancelled. */
static asyncio_task *target;

static void cancel_target(void *arg)
{
    (void)arg;
    CHECK(asyncio_cancel(target));
}

ASYNC_TEST(sleep_that_is_due)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    target = asyncio_create_task(sleeps(1, 1));
    asyncio_sleep(0);
    CHECK(asyncio_handle_valid(asyncio_loop_call_later(loop, 1, cancel_target, NULL)));
    CHECK_EQUAL(asyncio_await(target), -ECANCELED);

    target = asyncio_create_task(sleeps(1, 1));
    CHECK(asyncio_handle_valid(asyncio_loop_call_later(loop, 1, cancel_target, NULL)));
    CHECK_EQUAL(asyncio_await(target), -ECANCELED);
    return 0;
}

/* ---- Down the chain ------------------------------------------------------------------ */

/* A request passed on is used up when the awaited task ends, whatever it returns. */
ASYNC(used_up, intptr_t, result)
{
    asyncio_task *inner = asyncio_create_task(swallows(1, result));
    CHECK_EQUAL(asyncio_await(inner), result);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_task_cancelling(asyncio_current_task()), 1);
    return 7;
}

ASYNC_TEST(chain)
{
    asyncio_task *outer = asyncio_create_task(used_up(42));
    asyncio_sleep(1);
    asyncio_cancel(outer);
    CHECK_EQUAL(asyncio_await(outer), 7);
    outer = asyncio_create_task(used_up(-EIO));
    asyncio_sleep(1);
    asyncio_cancel(outer);
    CHECK_EQUAL(asyncio_await(outer), 7);

    struct joined joined;
    asyncio_task *inner = asyncio_create_task(sleeps(9, 1));
    outer = asyncio_create_task(joins(asyncio_ensure_future(asyncio_ref(inner)), &joined));
    asyncio_sleep(1);
    asyncio_cancel(outer);
    CHECK_EQUAL(asyncio_task_cancelling(inner), 1);
    CHECK_EQUAL(asyncio_await(outer), 0);
    CHECK_EQUAL(joined.status, -ECANCELED);
    CHECK_EQUAL(joined.result, -ECANCELED);
    CHECK(asyncio_cancelled(inner));
    asyncio_release(inner);

    inner = asyncio_create_task(swallows(0, 11));
    outer = asyncio_create_task(joins(asyncio_ensure_future(inner), &joined));
    asyncio_sleep(1);
    asyncio_cancel(outer);
    CHECK_EQUAL(asyncio_await(outer), 0);
    CHECK_EQUAL(joined.status, 0);
    CHECK_EQUAL(joined.result, 11);

    /* Cancelled by somebody else: no request of ours was delivered. */
    inner = asyncio_create_task(sleeps(9, 1));
    outer = asyncio_create_task(joins(asyncio_ensure_future(asyncio_ref(inner)), &joined));
    asyncio_sleep(1);
    asyncio_cancel(inner);
    CHECK_EQUAL(asyncio_await(outer), 0);
    CHECK_EQUAL(joined.status, 0);
    CHECK_EQUAL(joined.result, -ECANCELED);
    asyncio_release(inner);
    return 0;
}

/* Cancelled before it waits: the await passes the request on at once. */
ASYNC(self_cancel_then_await, asyncio_task *, inner)
{
    asyncio_task *self = asyncio_current_task();
    asyncio_cancel_with(self, "own wish");
    intptr_t result = asyncio_await(inner);
    CHECK_EQUAL(asyncio_task_cancelling(self), 1);
    if (result < 0)
        CHECK_TEXT(asyncio_error_message(), "own wish");
    return result;
}

ASYNC_TEST(self_cancel_then_await)
{
    asyncio_future *future = asyncio_future_new();
    struct joined joined;
    asyncio_task *inner = asyncio_create_task(joins(asyncio_ref(future), &joined));
    asyncio_sleep(0);
    asyncio_task *outer = asyncio_create_task(self_cancel_then_await(asyncio_ref(inner)));
    CHECK_EQUAL(asyncio_await(outer), 0);
    CHECK(asyncio_cancelled(future));
    CHECK_EQUAL(joined.status, -ECANCELED);
    asyncio_release(future);
    asyncio_release(inner);

    inner = asyncio_create_task(sleeps(9, 1));
    outer = asyncio_create_task(self_cancel_then_await(asyncio_ref(inner)));
    CHECK_EQUAL(asyncio_await(outer), -ECANCELED);
    CHECK(asyncio_cancelled(inner));
    asyncio_release(inner);
    return 0;
}

/* Rule (f): one of several waiters takes the awaited one along for all. */
ASYNC_TEST(several_waiters)
{
    asyncio_task *inner = asyncio_create_task(sleeps(9, 1));
    struct joined joined[3];
    asyncio_task *outer[3];
    for (int i = 0; i < 3; i++)
        outer[i] = asyncio_create_task(joins(asyncio_ensure_future(asyncio_ref(inner)), &joined[i]));
    asyncio_sleep(1);
    asyncio_cancel(outer[1]);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_await(outer[i]), 0);
        CHECK_EQUAL(joined[i].status, i == 1 ? -ECANCELED : 0);
        CHECK_EQUAL(joined[i].result, -ECANCELED);
    }
    asyncio_release(inner);
    return 0;
}

ASYNC_TEST(task_and_its_future)
{
    for (int first = 0; first < 2; first++) {
        asyncio_future *future = asyncio_future_new();
        struct joined joined;
        asyncio_task *task = asyncio_create_task(joins(asyncio_ref(future), &joined));
        asyncio_sleep(0);
        if (first) {
            CHECK(asyncio_cancel(task));
            CHECK(!asyncio_cancel(future)); /* the task's request has done it */
        } else {
            CHECK(asyncio_cancel(future));
            CHECK(asyncio_cancel(task));
        }
        CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 0);
        CHECK_EQUAL(joined.status, -ECANCELED);
        CHECK(asyncio_cancelled(future));
        CHECK_EQUAL(asyncio_task_cancelling(task), 1);
        asyncio_release(task);
        asyncio_release(future);
    }
    return 0;
}

/* ---- Counts ------------------------------------------------------------------------ */

ASYNC(counted)
{
    asyncio_task *self = asyncio_current_task();
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED);
    CHECK_EQUAL(asyncio_task_cancelling(self), 3); /* three requests, one delivery */
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_task_uncancel(self), 2);
    CHECK_EQUAL(asyncio_task_uncancel(self), 1);
    CHECK_EQUAL(asyncio_task_uncancel(self), 0);
    CHECK_EQUAL(asyncio_task_uncancel(self), 0);
    CHECK_EQUAL(asyncio_sleep(100), -ECANCELED); /* and a new one works */
    CHECK_EQUAL(asyncio_task_cancelling(self), 1);
    return 5;
}

ASYNC_TEST(counts)
{
    asyncio_task *task = asyncio_create_task(counted());
    asyncio_sleep(1);
    for (int i = 0; i < 3; i++)
        CHECK(asyncio_cancel(task));
    asyncio_sleep(2);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), 5);
    asyncio_release(task);

    CHECK_EQUAL(asyncio_task_cancelling(NULL), 0);
    CHECK_EQUAL(asyncio_task_uncancel(NULL), 0);

    /* Taken back to 0 before it was delivered: gone. To 1: not. */
    asyncio_task *self = asyncio_current_task();
    asyncio_cancel(self);
    CHECK_EQUAL(asyncio_task_uncancel(self), 0);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    asyncio_cancel(self);
    asyncio_cancel(self);
    CHECK_EQUAL(asyncio_task_uncancel(self), 1);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    CHECK_EQUAL(asyncio_task_uncancel(self), 0);

    /* An ended task keeps its count. */
    task = asyncio_create_task(sleeps(9, 0));
    asyncio_sleep(0);
    asyncio_cancel(task);
    asyncio_cancel(task);
    asyncio_sleep(0);
    CHECK(asyncio_done(task));
    CHECK_EQUAL(asyncio_task_uncancel(task), 0);
    CHECK_EQUAL(asyncio_task_cancelling(task), 2);
    asyncio_release(task);
    return 0;
}

/* Two tasks that await one: it gets a request of each, and counts both. */
ASYNC_TEST(diamond)
{
    asyncio_task *inner = asyncio_create_task(swallows(0, 1));
    struct joined joined[2];
    asyncio_task *a = asyncio_create_task(joins(asyncio_ensure_future(asyncio_ref(inner)), &joined[0]));
    asyncio_task *b = asyncio_create_task(joins(asyncio_ensure_future(asyncio_ref(inner)), &joined[1]));
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_cancel(a);
    asyncio_cancel(b);
    CHECK_EQUAL(asyncio_task_cancelling(inner), 2);
    asyncio_await(a);
    asyncio_await(b);
    asyncio_release(inner);
    return 0;
}

/* ---- Messages -------------------------------------------------------------------------- */

ASYNC(tells, asyncio_task *, inner, const char *, expected)
{
    CHECK_EQUAL(asyncio_await(inner), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), expected);
    return -ECANCELED;
}

ASYNC_TEST(messages)
{
    char text[] = "too late";
    asyncio_task *inner = asyncio_create_task(sleeps(9, 1));
    asyncio_task *outer = asyncio_create_task(tells(inner, "too late"));
    asyncio_sleep(1);
    CHECK(asyncio_cancel_with(outer, text));
    text[0] = 'x'; /* it was copied */
    CHECK_EQUAL(asyncio_await(outer), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "too late");

    /* Before the first step. */
    inner = asyncio_create_task(sleeps(9, 1));
    asyncio_cancel_with(inner, "early");
    CHECK_EQUAL(asyncio_await(inner), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "early");

    /* Of a plain future. */
    asyncio_future *future = asyncio_future_new();
    asyncio_cancel_with(future, "plain");
    CHECK_EQUAL(asyncio_await(future), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "plain");

    /* One without a message has none, not the last one's. */
    inner = asyncio_create_task(sleeps(9, 1));
    asyncio_sleep(0);
    asyncio_cancel(inner);
    CHECK_EQUAL(asyncio_await(inner), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "");

    /* Taken back: no trace of it. */
    asyncio_task *self = asyncio_current_task();
    asyncio_cancel_with(self, "taken back");
    asyncio_task_uncancel(self);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_TEXT(asyncio_error_message(), "");
    asyncio_cancel_with(self, "delivered");
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "delivered");
    asyncio_task_uncancel(self);
    return 0;
}

/* ---- Long, deep, round ------------------------------------------------------------------- */

ASYNC(passes_on, asyncio_task *, inner)
{
    return asyncio_await(inner);
}

static size_t chain_length(void)
{
    return is_slow_build() ? 1000 : 10000;
}

ASYNC_TEST(long_chain)
{
    size_t n = chain_length();
    asyncio_task *first = asyncio_create_task(sleeps(99, 1)), *last = first;
    asyncio_ref(first);
    for (size_t i = 0; i < n; i++)
        last = asyncio_create_task(passes_on(last));
    asyncio_sleep(1);
    CHECK(asyncio_cancel_with(last, "down to the ground"));
    CHECK_EQUAL(asyncio_task_cancelling(first), 1);
    CHECK_EQUAL(asyncio_await(last), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "down to the ground");
    CHECK(asyncio_cancelled(first));
    asyncio_release(first);
    return 0;
}

static unsigned cancelled_leaves;

ASYNC(leaf)
{
    int err = asyncio_sleep(ASYNCIO_FOREVER);
    cancelled_leaves += err == -ECANCELED;
    return err;
}

/* Each level gathers a leaf and the next level. */
ASYNC_DECLARE(nest, int, depth);
ASYNC_DEFINE(nest, int, depth)
{
    if (depth == 0)
        return asyncio_await(leaf());
    intptr_t results[2] = {0, 0};
    int err = asyncio_gather(results, leaf(), nest(depth - 1));
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(results[0], -ECANCELED);
    CHECK_EQUAL(results[1], -ECANCELED);
    return err;
}

static int depth(void)
{
    return is_slow_build() ? 200 : 1000;
}

ASYNC(cancels, asyncio_task *, task)
{
    CHECK(asyncio_cancel_with(task, "all of you"));
    return 0;
}

/* From a small stack: going down must not need more the deeper it goes. */
static void cancel_from_small_stack(asyncio_task *task)
{
    const asyncio_task_options small = {.stack_size = is_slow_build() ? 0 : 32768};
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(cancels(task), &small)), 0);
}

ASYNC(deep_main)
{
    cancelled_leaves = 0;
    asyncio_task *task = asyncio_create_task(nest(depth()));
    asyncio_sleep(1);
    CHECK_EQUAL(asyncio_all_tasks(NULL, 0), 2 + 2 * depth());
    cancel_from_small_stack(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(cancelled_leaves, depth() + 1);
    return 0;
}

ASYNC(gathers_leaf_and, asyncio_task *, inner)
{
    return asyncio_gather(NULL, leaf(), inner);
}

/* The same nest, made from the inside out: the deeper ones are the older ones. */
ASYNC(inside_out_main)
{
    cancelled_leaves = 0;
    asyncio_task *task = asyncio_create_task(leaf());
    for (int i = 0; i < depth(); i++)
        task = asyncio_create_task(gathers_leaf_and(task));
    asyncio_sleep(1);
    cancel_from_small_stack(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(cancelled_leaves, depth() + 1);
    return 0;
}

TEST(deep_gathers)
{
    assert_int_equal(run(deep_main), 0);
    assert_int_equal(run(inside_out_main), 0);
}

/* Each level gathers the same task twice, so that there are 2^n ways down. */
ASYNC_DECLARE(double_nest, int, depth);
ASYNC_DEFINE(double_nest, int, depth)
{
    if (depth == 0)
        return asyncio_await(leaf());
    asyncio_task *task = asyncio_create_task(double_nest(depth - 1));
    return asyncio_gather(NULL, asyncio_ref(task), task);
}

ASYNC_TEST(many_ways_down)
{
    cancelled_leaves = 0;
    asyncio_task *task = asyncio_create_task(double_nest(60));
    asyncio_sleep(1);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(cancelled_leaves, 1);
    return 0;
}

static asyncio_task *ring[100];

ASYNC(awaits_next, int, i, int, n)
{
    intptr_t result = asyncio_await(asyncio_ref(ring[(i + 1) % n]));
    return result;
}

static void circle(int n)
{
    for (int i = 0; i < n; i++)
        ring[i] = asyncio_create_task(awaits_next(i, n));
    asyncio_sleep(1);
    for (int i = 0; i < n; i++)
        CHECK(!asyncio_done(ring[i]));
    CHECK(asyncio_cancel(ring[n / 2]));
    for (int i = 0; i < n; i++)
        CHECK_EQUAL(asyncio_await(ring[i]), -ECANCELED);
}

ASYNC_TEST(circles)
{
    circle(2);
    circle(3);
    circle(100);

    /* One outside leads into the circle. */
    for (int i = 0; i < 2; i++)
        ring[i] = asyncio_create_task(awaits_next(i, 2));
    asyncio_task *outside = asyncio_create_task(passes_on(asyncio_ref(ring[0])));
    asyncio_sleep(1);
    asyncio_cancel(outside);
    CHECK_EQUAL(asyncio_await(outside), -ECANCELED);
    asyncio_cancel(ring[0]);
    for (int i = 0; i < 2; i++)
        CHECK_EQUAL(asyncio_await(ring[i]), -ECANCELED);
    return 0;
}

ASYNC(joins_next, int, i, int, n, struct joined *, out)
{
    out->result = 1234;
    out->status = asyncio_join(asyncio_ref(ring[(i + 1) % n]), &out->result);
    return out->status;
}

/* A wait in a circle that is cut: the awaited one has not ended, so there is no result. */
ASYNC_TEST(join_in_a_circle)
{
    struct joined joined[2];
    for (int i = 0; i < 2; i++)
        ring[i] = asyncio_create_task(joins_next(i, 2, &joined[i]));
    asyncio_sleep(1);
    asyncio_cancel(ring[0]);
    asyncio_await(ring[0]);
    asyncio_await(ring[1]);
    CHECK_EQUAL(joined[0].status, -ECANCELED);
    CHECK_EQUAL(joined[0].result, 1234);
    CHECK_EQUAL(joined[1].status, 0);
    CHECK_EQUAL(joined[1].result, -ECANCELED);
    return 0;
}

/* A gathers B, which awaits A: the gather cannot end before B; B's await can. */
ASYNC(gathers_next, int, i, int, n)
{
    intptr_t results[2];
    return asyncio_gather(results, asyncio_ref(ring[(i + 1) % n]), sleeps(1, 1));
}

static void circle_through_gathers(int n, int cancelled)
{
    for (int i = 0; i < n; i++)
        ring[i] = i % 2 ? asyncio_create_task(awaits_next(i, n)) : asyncio_create_task(gathers_next(i, n));
    asyncio_sleep(1);
    CHECK(asyncio_cancel(ring[cancelled]));
    for (int i = 0; i < n; i++)
        CHECK_EQUAL(asyncio_await(ring[i]), -ECANCELED);
}

ASYNC_TEST(circles_through_gathers)
{
    circle_through_gathers(2, 0);
    circle_through_gathers(2, 1);
    circle_through_gathers(4, 0);
    circle_through_gathers(4, 3);
    circle_through_gathers(100, 51);
    return 0;
}

/* ---- Sweeps --------------------------------------------------------------------------------- */

ASYNC(ignores_one, intptr_t, result)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    asyncio_sleep(1);
    return result;
}

ASYNC(all_ways)
{
    asyncio_task *deep = asyncio_create_task(passes_on(asyncio_create_task(sleeps(2, 1))));
    intptr_t results[3];
    int err = asyncio_gather(results, asyncio_ref(deep), sleeps(1, 2),
                             passes_on(asyncio_create_task(sleeps(3, 1))));
    intptr_t late = asyncio_await(deep);
    int other =
        asyncio_gather_settled(results, sleeps(1, 1), ignores_one(1), asyncio_create_task(sleeps(0, 3)));
    return err ? err : other ? other : late;
}

ASYNC(all_ways_bounded)
{
    asyncio_task *task = asyncio_create_task(all_ways());
    asyncio_sleep(5);
    while (!asyncio_done(task)) {
        asyncio_cancel(task);
        asyncio_sleep(3);
    }
    return asyncio_await(task);
}

TEST(cancel_sweep)
{
    sweep_cancels(all_ways_bounded, NULL);
}

TEST_MAIN()
