/*
 * Behaviours of asyncio by their numbers in its list: those of tasks, futures and gather. The other
 * numbers are with what they are about (timeouts, groups, waiting; tests/sync).
 */
#include "support/harness.h"
#include <errno.h>
#include <stddef.h>
#include <string.h>

ASYNC(sleeps, double, delay, intptr_t, result)
{
    int err = asyncio_sleep(delay);
    return err ? err : result;
}

ASYNC(awaits, asyncio_future *, future)
{
    return asyncio_await(future);
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

/* ---- Cancel ------------------------------------------------------------------------ */

ASYNC_TEST(behaviour_1_a_sleeping_task_is_cancelled_once)
{
    asyncio_task *task = asyncio_create_task(sleeps(100, 1));
    asyncio_sleep(1);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), -ECANCELED);
    CHECK(asyncio_cancelled(task));
    CHECK(!asyncio_cancel(task));
    asyncio_release(task);
    return asyncio_time() >= 100;
}

ASYNC(catches, double, afterwards)
{
    CHECK_EQUAL(asyncio_sleep(100), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(afterwards), 0);
    return 42;
}

static intptr_t cancel_and_await(asyncio_task *task)
{
    asyncio_sleep(0);
    CHECK(asyncio_cancel(task));
    intptr_t result = asyncio_await(asyncio_ref(task));
    CHECK(!asyncio_cancelled(task));
    asyncio_release(task);
    return result;
}

ASYNC_TEST(behaviour_2_the_request_is_caught)
{
    CHECK_EQUAL(cancel_and_await(asyncio_create_task(catches(0))), 42);
    return 0;
}

ASYNC_TEST(behaviour_3_the_request_is_ignored)
{
    double before = asyncio_time();
    CHECK_EQUAL(cancel_and_await(asyncio_create_task(catches(3))), 42);
    CHECK(asyncio_time() - before >= 3);
    return 0;
}

ASYNC(cancels_itself, double, delay, intptr_t, result)
{
    asyncio_cancel(asyncio_current_task());
    return delay ? asyncio_sleep(delay) : result;
}

/* The value stands: in C it may own something. */
ASYNC_TEST(behaviour_4_a_task_cancels_itself)
{
    double before = asyncio_time();
    CHECK_EQUAL(asyncio_await(asyncio_create_task(cancels_itself(100, 0))), -ECANCELED);
    CHECK(asyncio_time() - before < 1);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(cancels_itself(0, 7))), 7);
    return 0;
}

ASYNC(cancels_itself_and_awaits, asyncio_task *, task)
{
    asyncio_cancel(asyncio_current_task());
    return asyncio_await(task);
}

ASYNC_TEST(behaviour_5_a_task_cancels_itself_and_awaits_another)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *inner = asyncio_create_task(awaits(asyncio_ref(future)));
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(cancels_itself_and_awaits(asyncio_ref(inner)))),
                -ECANCELED);
    CHECK(asyncio_cancelled(inner));
    CHECK(asyncio_cancelled(future));
    asyncio_release(inner);
    asyncio_release(future);
    return 0;
}

ASYNC_TEST(behaviour_6_a_task_and_what_it_awaits_are_cancelled)
{
    asyncio_future *future = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(awaits(asyncio_ref(future)));
    asyncio_sleep(0);
    CHECK(asyncio_cancel(future));
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(asyncio_ref(task)), -ECANCELED);
    CHECK(asyncio_cancelled(task));
    CHECK(asyncio_cancelled(future));
    asyncio_release(task);
    asyncio_release(future);
    return asyncio_sleep(1); /* nothing came here */
}

ASYNC_TEST(behaviour_7_cancelled_with_words_before_the_first_step)
{
    asyncio_task *task = asyncio_create_task(sleeps(1, 0));
    CHECK(asyncio_cancel_with(task, "not today"));
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "not today");
    return 0;
}

ASYNC_TEST(behaviour_8_uncancelled_before_delivery)
{
    asyncio_task *task = asyncio_create_task(sleeps(1, 7));
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_task_uncancel(task), 0);
    CHECK_EQUAL(asyncio_await(task), 7);
    return 0;
}

ASYNC_TEST(behaviour_9_cancelled_caught_uncancelled_and_again)
{
    asyncio_task *self = asyncio_current_task();
    for (int i = 0; i < 2; i++) {
        asyncio_cancel(self);
        CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
        CHECK_EQUAL(cancelling(), 1);
        CHECK_EQUAL(asyncio_task_uncancel(self), 0);
        CHECK_EQUAL(asyncio_sleep(1), 0);
    }
    return cancelling();
}

/* ---- A timeout made by hand -------------------------------------------------------- */

struct by_hand {
    asyncio_task *task;
    bool timed_out;
};

static void run_out(void *arg)
{
    struct by_hand *limit = arg;
    limit->timed_out = true;
    asyncio_cancel(limit->task);
}

/* What the code inside returns is converted if it is a cancel, the limit's, and nobody else's. */
ASYNC(limited_by_hand, double, delay, double, seconds, intptr_t, instead)
{
    struct by_hand limit = {asyncio_current_task(), false};
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_handle handle = asyncio_loop_call_later(loop, seconds, run_out, &limit);
    intptr_t err = asyncio_sleep(delay);
    if (err && instead)
        err = instead; /* the code inside has a word of its own for it */
    asyncio_handle_cancel(loop, handle);
    if (limit.timed_out && asyncio_task_uncancel(limit.task) == 0 && err == -ECANCELED)
        err = -ETIMEDOUT;
    if (err == -ETIMEDOUT)
        CHECK_EQUAL(asyncio_sleep(1), 0); /* what follows is not affected */
    return err;
}

static void cancel_it(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

static intptr_t by_hand(double delay, intptr_t instead, double cancelled_at, int left)
{
    asyncio_task *task = asyncio_create_task(limited_by_hand(delay, 2, instead));
    if (cancelled_at)
        asyncio_loop_call_later(asyncio_get_running_loop(), cancelled_at, cancel_it, task);
    intptr_t result = asyncio_await(asyncio_ref(task));
    CHECK_EQUAL(asyncio_task_cancelling(task), left);
    asyncio_release(task);
    return result;
}

ASYNC_TEST(behaviour_10_a_timeout_by_hand)
{
    CHECK_EQUAL(by_hand(1, 0, 0, 0), 0);
    CHECK_EQUAL(by_hand(9, 0, 0, 0), -ETIMEDOUT);
    CHECK_EQUAL(by_hand(9, -EIO, 0, 0), -EIO);
    CHECK_EQUAL(by_hand(9, 0, 1, 1), -ECANCELED);
    CHECK_EQUAL(by_hand(9, 0, 2, 1), -ECANCELED); /* both at once */
    return 0;
}

/* ---- Awaiting, sleeping ------------------------------------------------------------- */

ASYNC(awaits_itself)
{
    return asyncio_await(asyncio_ref(asyncio_current_task()));
}

static asyncio_future *elsewhere;

ASYNC(behaviour_11_what_cannot_be_awaited)
{
    CHECK_EQUAL(asyncio_await(asyncio_create_task(awaits_itself())), -EINVAL);
    CHECK_EQUAL(asyncio_await(elsewhere), -EINVAL);
    return 0;
}

ASYNC(makes_a_future)
{
    elsewhere = asyncio_future_new();
    return 0;
}

TEST(behaviour_11_what_cannot_be_awaited)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    assert_int_equal(asyncio_loop_run_until_complete(
                         loop, asyncio_ensure_future(asyncio_loop_create_task(loop, makes_a_future()))),
                     0);
    assert_int_equal(asyncio_run(behaviour_11_what_cannot_be_awaited()), 0);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    harness_settle();
}

ASYNC(counts_hops, int *, hops)
{
    for (int i = 0; i < 3; i++) {
        ++*hops;
        asyncio_sleep(0);
    }
    return 0;
}

/* That no timer is left is checked after every run. */
ASYNC_TEST(behaviour_14_sleep)
{
    int hops = 0;
    asyncio_task *other = asyncio_create_task(counts_hops(&hops));
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(hops, i);
        CHECK_EQUAL(asyncio_sleep(0), 0);
        CHECK_EQUAL(hops, i + 1);
    }
    asyncio_await(other);

    asyncio_task *task = asyncio_create_task(sleeps(1000, 0));
    asyncio_sleep(0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    double before = asyncio_time();
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK(asyncio_time() - before < 2);
    return 0;
}

/* ---- Gather ---------------------------------------------------------------------------- */

ASYNC_TEST(behaviour_17_gather)
{
    intptr_t results[4] = {0};
    CHECK_EQUAL(asyncio_gather(results, sleeps(3, 1), sleeps(1, 2), sleeps(2, 3)), 0);
    CHECK(results[0] == 1 && results[1] == 2 && results[2] == 3);

    asyncio_task *twice = asyncio_create_task(sleeps(1, 5));
    CHECK_EQUAL(asyncio_gather(results, asyncio_ref(twice), sleeps(1, 6), twice), 0);
    CHECK(results[0] == 5 && results[1] == 6 && results[2] == 5);
    CHECK_EQUAL(asyncio_gather_array(results, (asyncio_future **)NULL, 0), 0);

    CHECK_EQUAL(asyncio_gather(results, sleeps(9, 1), sleeps(1, -EIO)), -EIO);
    CHECK(results[0] == -ECANCELED && results[1] == -EIO); /* rule 3c: none goes on */

    asyncio_task *cancelled = asyncio_create_task(sleeps(9, 1));
    asyncio_cancel(cancelled);
    CHECK_EQUAL(asyncio_gather_settled(results, sleeps(1, 1), sleeps(2, -EIO), cancelled), 0);
    CHECK(results[0] == 1 && results[1] == -EIO && results[2] == -ECANCELED);
    return 0;
}

ASYNC(gathers_for_ever)
{
    for (;;) {
        int err = asyncio_gather_settled(NULL, sleeps(1, 0), sleeps(1, -EIO));
        if (err)
            return err;
    }
}

ASYNC_TEST(behaviour_19_gather_settled_in_a_loop)
{
    asyncio_task *task = asyncio_create_task(gathers_for_ever());
    asyncio_sleep(2.5);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    return 0;
}

/* ---- Context ------------------------------------------------------------------------------ */

static int values[4];
static asyncio_contextvar variable = ASYNCIO_CONTEXTVAR_INIT("variable", &values[0]);

ASYNC(sets, int *, before, int *, after)
{
    CHECK(asyncio_contextvar_get(&variable) == before);
    return asyncio_contextvar_set(&variable, after, NULL);
}

static void looks(void *arg)
{
    *(void **)arg = asyncio_contextvar_get(&variable);
}

ASYNC_TEST(behaviour_21_context)
{
    CHECK_EQUAL(asyncio_contextvar_set(&variable, &values[1], NULL), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(sets(&values[1], &values[2]))), 0);
    CHECK(asyncio_contextvar_get(&variable) == &values[1]);

    asyncio_context *context = asyncio_copy_context();
    asyncio_task_options in_it = {.context = context};
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(sets(&values[1], &values[2]), &in_it)), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task_with(sets(&values[2], &values[3]), &in_it)), 0);
    asyncio_context_release(context);
    CHECK(asyncio_contextvar_get(&variable) == &values[1]);

    void *seen = NULL;
    asyncio_loop_call_soon(asyncio_get_running_loop(), looks, &seen);
    asyncio_contextvar_set(&variable, &values[3], NULL);
    asyncio_sleep(0);
    CHECK(seen == &values[1]);
    return 0;
}

/* ---- Futures -------------------------------------------------------------------------------- */

static char calls[16];

static void say(char c)
{
    calls[strlen(calls)] = c;
}

static void says_b(asyncio_future *future, void *arg)
{
    (void)future;
    (void)arg;
    say('b');
}

/* Takes back one that is due, and adds one to what is done. */
static void says_a(asyncio_future *future, void *arg)
{
    say('a');
    CHECK_EQUAL(asyncio_remove_done_callback(future, says_a, arg), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, says_b, arg), 0);
}

ASYNC_TEST(behaviour_23_results_and_callbacks)
{
    memset(calls, 0, sizeof calls);
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_add_done_callback(future, says_b, NULL), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, says_a, NULL), 0);
    CHECK_EQUAL(asyncio_add_done_callback(future, says_b, NULL), 0);
    CHECK_EQUAL(asyncio_future_set_result(future, 1), 0);
    CHECK_EQUAL(asyncio_future_set_result(future, 2), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_future_set_error(future, -EIO), ASYNCIO_ESTATE);
    CHECK_TEXT(calls, ""); /* deferred */
    asyncio_sleep(0);
    CHECK_TEXT(calls, "bab");
    asyncio_sleep(0);
    CHECK_TEXT(calls, "babb");
    CHECK_EQUAL(asyncio_result(future), 1);
    asyncio_release(future);
    return 0;
}

static asyncio_future *failed_future(void)
{
    asyncio_future *future = asyncio_future_new();
    CHECK_EQUAL(asyncio_future_set_error(future, -EIO), 0);
    return future;
}

ASYNC(behaviour_24_errors_that_nobody_asked_for)
{
    asyncio_release(failed_future()); /* the one that is reported */
    asyncio_future *future = failed_future();
    CHECK_EQUAL(asyncio_result(future), -EIO);
    asyncio_release(future);
    CHECK_EQUAL(asyncio_await(failed_future()), -EIO);
    future = asyncio_future_new();
    asyncio_cancel(future);
    asyncio_release(future);
    return 0;
}

TEST(behaviour_24_errors_that_nobody_asked_for)
{
    expect_reports(1);
    assert_int_equal(run(behaviour_24_errors_that_nobody_asked_for), 0);
    assert_int_equal(reports[0].error, -EIO);
}

TEST_MAIN()
