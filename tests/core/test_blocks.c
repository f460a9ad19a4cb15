/*
 * The block macros: every way out of a block, nested ones, the caller's error variable,
 * and what debug mode tells of a return.
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

static void cancel_self_later(double delay)
{
    asyncio_loop_call_later(asyncio_get_running_loop(), delay, cancel_it, asyncio_current_task());
}

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

/* ---- Timeouts ------------------------------------------------------------ */

ASYNC_TEST(timeout_ways_out)
{
    int err = 77, runs = 0;
    ASYNCIO_TIMEOUT(err, 1) { /* by its end */
        CHECK_EQUAL(err, 0);
        err = asyncio_sleep(9);
        runs++;
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    ASYNCIO_TIMEOUT(err, 1) {
        err = asyncio_sleep(9);
        if (err < 0)
            break;
        runs += 100;
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    ASYNCIO_TIMEOUT(err, 1) {
        err = asyncio_sleep(9);
        if (err < 0)
            continue;
        runs += 100;
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    ASYNCIO_TIMEOUT(err, 5) {
        err = -EIO;
        break;
    }
    CHECK_EQUAL(err, -EIO);
    ASYNCIO_TIMEOUT(err, ASYNCIO_FOREVER)
        err = 6; /* one statement will do */
    CHECK_EQUAL(err, 6);
    CHECK_EQUAL(runs, 1);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* break and continue are the block's, not an outer loop's. */
ASYNC_TEST(timeout_in_loops)
{
    int err, rounds = 0, after = 0;
    for (int i = 0; i < 6; i++) {
        ASYNCIO_TIMEOUT(err, 1) {
            rounds++;
            if (i % 3 == 0)
                break;
            if (i % 3 == 1)
                continue;
            for (;;) { /* and those of a loop inside are that loop's */
                err = asyncio_sleep(0.25);
                if (err)
                    break;
            }
        }
        CHECK_EQUAL(err, i % 3 == 2 ? -ETIMEDOUT : 0);
        after++;
    }
    CHECK_EQUAL(rounds, 6);
    CHECK_EQUAL(after, 6);
    return cancelling();
}

ASYNC_TEST(timeout_nested)
{
    int outer, inner, second = 77;
    ASYNCIO_TIMEOUT(outer, 3) {
        ASYNCIO_TIMEOUT(inner, 1) {
            inner = asyncio_sleep(9);
        }
        CHECK_EQUAL(inner, -ETIMEDOUT);
        ASYNCIO_TIMEOUT(second, 9) {
            second = asyncio_sleep(9);
            break;
        }
        CHECK_EQUAL(second, -ECANCELED);
        outer = second;
    }
    CHECK_EQUAL(outer, -ETIMEDOUT);
    CHECK(asyncio_time() == 3);
    CHECK_EQUAL(cancelling(), 0);
    /* Right inside each other, without braces. */
    ASYNCIO_TIMEOUT(outer, 2)
        ASYNCIO_TIMEOUT(inner, 1)
            inner = asyncio_sleep(9);
    CHECK_EQUAL(inner, -ETIMEDOUT);
    CHECK_EQUAL(outer, 0);
    return cancelling();
}

ASYNC(returns_from_timeout, int, way)
{
    int err = 0;
    for (int i = 0; i < 3; i++) {
        ASYNCIO_TIMEOUT(err, 5) {
            ASYNCIO_TIMEOUT(err, 1) {
                asyncio_sleep(0.5);
                if (way == 0)
                    return 4;
                if (way == 1)
                    goto out;
            }
        }
    }
    return 5;
out:
    return 6;
}

ASYNC_TEST(timeout_returns)
{
    CHECK_EQUAL(asyncio_await(returns_from_timeout(0)), 4);
    CHECK_EQUAL(asyncio_await(returns_from_timeout(1)), 6);
    CHECK_EQUAL(asyncio_await(returns_from_timeout(2)), 5);
    return asyncio_sleep(9);
}

/* A variable of any signed type; codes of the library's own keep their sign in a char. */
ASYNC_TEST(types_of_err)
{
    intptr_t word = 1;
    long number = 1;
    long long longer = 1;
    short half = 1;
    signed char small = 1;
    asyncio_task_group g;
    ASYNCIO_TIMEOUT(word, 1)
        word = asyncio_sleep(9);
    ASYNCIO_TIMEOUT(number, 1)
        number = asyncio_sleep(9);
    ASYNCIO_TIMEOUT(longer, 1)
        longer = asyncio_sleep(9);
    ASYNCIO_TIMEOUT(half, 1)
        half = (short)asyncio_sleep(9);
    ASYNCIO_TIMEOUT(small, 1)
        small = (signed char)asyncio_sleep(9);
    CHECK(word == -ETIMEDOUT && number == -ETIMEDOUT && longer == -ETIMEDOUT);
    CHECK(half == -ETIMEDOUT && small == -ETIMEDOUT);
    ASYNCIO_TASK_GROUP(g, word) {
        word = (intptr_t)1 << 40;
    }
    CHECK(word == (intptr_t)1 << 40);
    ASYNCIO_TASK_GROUP(g, small) {
        asyncio_task_group_create_task(&g, sleeps(1, -EIO));
        asyncio_task_group_create_task(&g, sleeps(1, -EPIPE));
    }
    CHECK(small < 0);
    CHECK_EQUAL(asyncio_task_group_error_count(&g), 2);
    return 0;
}

static void skipped_outside(void *arg)
{
    int err = 1, runs = 0;
    asyncio_task_group g;
    (void)arg;
    ASYNCIO_TIMEOUT(err, 1) {
        runs++;
    }
    CHECK_EQUAL(err, ASYNCIO_ENOTASK);
    err = 1;
    ASYNCIO_TASK_GROUP(g, err) {
        runs++;
    }
    CHECK_EQUAL(err, ASYNCIO_ENOTASK);
    CHECK_EQUAL(runs, 0);
}

ASYNC(skipped)
{
    int err = 1, runs = 0;
    ASYNCIO_TIMEOUT(err, NAN) {
        runs++;
    }
    CHECK_EQUAL(err, -EINVAL);
    CHECK_EQUAL(runs, 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), skipped_outside, NULL);
    return asyncio_sleep(0);
}

TEST(skipped)
{
    skipped_outside(NULL);
    assert_int_equal(run(skipped), 0);
}

/* ---- Groups -------------------------------------------------------------- */

ASYNC_TEST(group_ways_out)
{
    asyncio_task_group g;
    int err = 77;
    ASYNCIO_TASK_GROUP(g, err) { /* by its end: waits for all */
        CHECK_EQUAL(err, 0);
        asyncio_task_group_create_task(&g, sleeps(1, 0));
    }
    CHECK_EQUAL(err, 0);
    CHECK(asyncio_time() == 1);
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, sleeps(1, 0));
        if (err == 0)
            continue; /* likewise */
        CHECK(false);
    }
    CHECK_EQUAL(err, 0);
    CHECK(asyncio_time() == 2);
    asyncio_task *child = NULL;
    ASYNCIO_TASK_GROUP(g, err) {
        child = asyncio_ref(asyncio_task_group_create_task(&g, sleeps(1, 0)));
        break; /* cancels them */
    }
    CHECK_EQUAL(err, 0);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(asyncio_await(child), -ECANCELED);
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, sleeps(1, 0));
        err = -EIO;
        break;
    }
    CHECK_EQUAL(err, -EIO);
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, sleeps(1, 0));
        err = -EIO; /* the body's failure, by the end */
    }
    CHECK_EQUAL(err, -EIO);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* The body hears of a child's failure, and leaves by break. */
ASYNC_TEST(group_broken_off)
{
    asyncio_task_group g;
    int err = 0;
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, sleeps(1, -EIO));
        err = asyncio_sleep(9);
        if (err < 0)
            break;
    }
    CHECK_EQUAL(err, -EIO);
    CHECK_EQUAL(cancelling(), 0);
    /* Or of a request from outside. */
    cancel_self_later(1);
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, sleeps(9, 0));
        err = asyncio_sleep(9);
        if (err < 0)
            break;
    }
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(cancelling(), 1);
    /* Or awaits a child that somebody cancelled: that is no request. */
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task *child = asyncio_task_group_create_task(&g, sleeps(9, 0));
        asyncio_cancel(child);
        err = (int)asyncio_await(asyncio_ref(child));
        if (err < 0)
            break;
    }
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(cancelling(), 1);
    return asyncio_sleep(1);
}

ASYNC(returns_from_group, int, way, asyncio_task **, child)
{
    asyncio_task_group outer, inner;
    int err = 0;
    ASYNCIO_TASK_GROUP(outer, err) {
        ASYNCIO_TASK_GROUP(inner, err) {
            *child = asyncio_ref(asyncio_task_group_create_task(&outer, sleeps(9, 0)));
            asyncio_task_group_create_task(&inner, sleeps(9, 0));
            if (way == 0)
                return 4;
            goto out;
        }
    }
    return 5;
out:
    return 6;
}

ASYNC_TEST(group_returns)
{
    for (int way = 0; way < 2; way++) {
        asyncio_task *child = NULL;
        CHECK_EQUAL(asyncio_await(returns_from_group(way, &child)), way == 0 ? 4 : 6);
        CHECK_EQUAL(asyncio_await(child), -ECANCELED); /* cancelled, and waited for */
        CHECK(asyncio_time() == 0);
    }
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC(takes_its_time)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    return asyncio_sleep(3);
}

/* A request that ends the waiting of such a return has nobody to tell: it comes again. */
ASYNC(returns_and_is_cancelled)
{
    asyncio_task_group g;
    int err = 0;
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, takes_its_time());
        asyncio_sleep(0);
        cancel_self_later(1);
        return 4;
    }
    return err;
}

ASYNC_TEST(cancelled_during_a_return)
{
    CHECK_EQUAL(asyncio_await(returns_and_is_cancelled()), 4);
    CHECK(asyncio_time() == 3);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

ASYNC_TEST(group_in_loops)
{
    asyncio_task_group g;
    int err, after = 0;
    for (int i = 0; i < 4; i++) {
        ASYNCIO_TASK_GROUP(g, err) {
            asyncio_task_group_create_task(&g, sleeps(1, 0));
            if (i % 2)
                break;
            continue;
        }
        after++;
    }
    CHECK_EQUAL(after, 4);
    CHECK(asyncio_time() == 2);
    return 0;
}

/* All three, in each other. */
ASYNC_TEST(all_three)
{
    asyncio_task_group g;
    int outer, err = 0, inner = 0;
    ASYNCIO_TIMEOUT(outer, 2) {
        ASYNCIO_TASK_GROUP(g, err) {
            asyncio_task_group_create_task(&g, sleeps(9, 0));
            ASYNCIO_SHIELD_SCOPE
            {
                ASYNCIO_TIMEOUT(inner, 1)
                    inner = asyncio_sleep(9);
                CHECK_EQUAL(inner, -ETIMEDOUT);
                CHECK_EQUAL(asyncio_sleep(3), 0);
            }
            err = asyncio_sleep(9);
            if (err < 0)
                break;
        }
        outer = err;
    }
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(outer, -ETIMEDOUT);
    CHECK(asyncio_time() == 4);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* ---- Debug mode ---------------------------------------------------------- */

ASYNC(returns_from_expired)
{
    int err = 0;
    ASYNCIO_TIMEOUT(err, 1) {
        return asyncio_sleep(9);
    }
    return err;
}

ASYNC(returns_from_failed)
{
    asyncio_task_group g;
    int err = 0;
    ASYNCIO_TASK_GROUP(g, err) {
        asyncio_task_group_create_task(&g, sleeps(1, -EIO));
        return asyncio_sleep(9);
    }
    return err;
}

ASYNC(returns, bool, debug)
{
    asyncio_loop_set_debug(asyncio_get_running_loop(), debug);
    asyncio_loop_set_slow_callback_duration(asyncio_get_running_loop(), 1e9);
    CHECK_EQUAL(asyncio_await(returns_from_expired()), -ECANCELED); /* was computed already */
    CHECK_EQUAL(asyncio_await(returns_from_failed()), -ECANCELED);
    CHECK_EQUAL(asyncio_await(returns_from_timeout(0)), 4); /* in time: nothing to tell */
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC(returns_in_debug_mode)
{
    return asyncio_await(returns(true));
}

ASYNC(returns_without)
{
    return asyncio_await(returns(false));
}

TEST(debug_reports)
{
    expect_reports(2);
    assert_int_equal(run(returns_in_debug_mode), 0);
    assert_non_null(strstr(reports[0].message, "return"));
    assert_int_equal(reports[0].error, -ETIMEDOUT);
    assert_int_equal(reports[1].error, -EIO);
    assert_int_equal(run(returns_without), 0);
}

TEST_MAIN()
