/*
 * The shield scope: what it holds back, what it lets through, and what comes after it.
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

static int cancelling(void)
{
    return asyncio_task_cancelling(asyncio_current_task());
}

/* ---- Requests from outside ----------------------------------------------- */

ASYNC_TEST(holds_back)
{
    asyncio_shield_scope shield;
    CHECK_EQUAL(asyncio_shield_scope_enter(&shield), 0);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(sleeps(1, 5))), 5);
    CHECK_EQUAL(asyncio_gather(NULL, sleeps(1, 5), sleeps(1, 6)), 0);
    CHECK_EQUAL(asyncio_shield(sleeps(1, 7)), 7);
    CHECK_EQUAL(asyncio_shield_scope_exit(&shield), 0);
    CHECK_EQUAL(asyncio_sleep(9), -ECANCELED); /* the first wait after it */
    CHECK(asyncio_time() == 5);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    return 0;
}

/* One that was pending before, too. */
ASYNC_TEST(pending_before)
{
    asyncio_shield_scope shield;
    asyncio_cancel(asyncio_current_task());
    asyncio_shield_scope_enter(&shield);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

/* From a child, and from the task itself. */
ASYNC(cancels, asyncio_task *, task)
{
    asyncio_cancel(task);
    return 0;
}

ASYNC_TEST(every_asyncio_cancel)
{
    asyncio_shield_scope shield;
    asyncio_task_group g;
    asyncio_shield_scope_enter(&shield);
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, cancels(asyncio_current_task()));
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(1)), 0);
    CHECK_EQUAL(cancelling(), 2);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED); /* several are one */
    return asyncio_sleep(1);
}

ASYNC_TEST(uncancelled_inside)
{
    asyncio_shield_scope shield;
    asyncio_shield_scope_enter(&shield);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK_EQUAL(asyncio_task_uncancel(asyncio_current_task()), 0);
    asyncio_shield_scope_exit(&shield);
    return asyncio_sleep(1);
}

ASYNC_TEST(nested)
{
    asyncio_shield_scope outer, inner;
    asyncio_shield_scope_enter(&outer);
    asyncio_shield_scope_enter(&inner);
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK_EQUAL(asyncio_shield_scope_exit(&outer), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_shield_scope_exit(&inner), 0);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    CHECK_EQUAL(asyncio_shield_scope_exit(&outer), 0);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

/* The message comes with the request. */
static void cancel_with_words(void *task)
{
    asyncio_cancel_with((asyncio_task *)task, "enough");
}

ASYNC(message)
{
    asyncio_shield_scope shield;
    asyncio_shield_scope_enter(&shield);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancel_with_words, asyncio_current_task());
    CHECK_EQUAL(asyncio_sleep(2), 0);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "enough");
    return 0;
}
TEST_OF(message)

/* It is the task's own: one that it awaits is not shielded, nor does it pass requests on. */
ASYNC(holds_itself_back, int *, steps)
{
    asyncio_shield_scope shield;
    asyncio_shield_scope_enter(&shield);
    CHECK_EQUAL(asyncio_sleep(3), 0);
    ++*steps;
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_sleep(3), -ECANCELED);
    ++*steps;
    return -ECANCELED;
}

ASYNC_TEST(passed_on_to_a_shielded_one)
{
    int steps = 0;
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(holds_itself_back(&steps))), -ECANCELED);
    CHECK_EQUAL(steps, 2);
    CHECK(asyncio_time() == 3);
    return asyncio_sleep(1);
}

/* ---- Scopes inside, and around ------------------------------------------- */

ASYNC_TEST(timeout_inside)
{
    asyncio_shield_scope shield;
    asyncio_timeout t;
    asyncio_shield_scope_enter(&shield);
    asyncio_timeout_enter(&t, 1);
    CHECK_EQUAL(asyncio_timeout_exit(&t, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_wait_for(sleeps(9, 0), 1), -ETIMEDOUT);
    asyncio_shield_scope_exit(&shield);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(timeout_around)
{
    asyncio_shield_scope shield;
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 1);
    asyncio_shield_scope_enter(&shield);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK(asyncio_timeout_expired(&t));
    asyncio_shield_scope_exit(&shield);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* And withdrawn if nothing waits after the shield. */
ASYNC_TEST(timeout_around_without_a_wait)
{
    asyncio_shield_scope shield;
    asyncio_timeout t;
    asyncio_timeout_enter(&t, 1);
    asyncio_shield_scope_enter(&shield);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_timeout_exit(&t, 5), 5);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

ASYNC_TEST(group_inside)
{
    asyncio_shield_scope shield;
    asyncio_task_group g;
    asyncio_shield_scope_enter(&shield);
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, sleeps(1, -EIO));
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), -EIO);
    asyncio_task_group_enter(&g);
    asyncio_task *child = asyncio_ref(asyncio_task_group_create_task(&g, sleeps(2, 5)));
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), 0); /* held back: the children go on */
    CHECK_EQUAL(asyncio_await(child), 5);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

ASYNC_TEST(group_around)
{
    asyncio_shield_scope shield;
    asyncio_task_group g;
    asyncio_task_group_enter(&g);
    asyncio_task_group_create_task(&g, sleeps(1, -EIO));
    asyncio_shield_scope_enter(&shield);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK_EQUAL(cancelling(), 1);
    asyncio_shield_scope_exit(&shield);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK_EQUAL(asyncio_task_group_exit(&g, err), -EIO);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* A timeout, a shield in it, a timeout in that: each request finds its scope. */
ASYNC_TEST(three_layers)
{
    asyncio_timeout outer, inner;
    asyncio_shield_scope shield;
    asyncio_timeout_enter(&outer, 1);
    asyncio_shield_scope_enter(&shield);
    asyncio_timeout_enter(&inner, 2);
    CHECK_EQUAL(asyncio_timeout_exit(&inner, asyncio_sleep(9)), -ETIMEDOUT);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_shield_scope_exit(&shield);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(asyncio_timeout_exit(&outer, err), -ETIMEDOUT);
    CHECK(asyncio_time() == 3);
    CHECK_EQUAL(cancelling(), 0);
    return asyncio_sleep(1);
}

/* A request that is held back is not taken for one that comes from outside the timeout. */
ASYNC_TEST(cancelled_and_timed_out_inside)
{
    asyncio_shield_scope shield;
    asyncio_timeout t;
    asyncio_shield_scope_enter(&shield);
    asyncio_timeout_enter(&t, 2);
    cancel_self_later(1);
    int err = asyncio_sleep(9);
    CHECK_EQUAL(err, -ECANCELED);
    CHECK(asyncio_time() == 2);
    CHECK_EQUAL(asyncio_timeout_exit(&t, err), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(cancelling(), 1);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return asyncio_sleep(1);
}

/* The same for a group that ends itself. */
ASYNC_TEST(cancelled_and_ended_inside)
{
    asyncio_shield_scope shield;
    asyncio_task_group g;
    asyncio_shield_scope_enter(&shield);
    asyncio_task_group_enter(&g);
    asyncio_cancel(asyncio_current_task());
    asyncio_task_group_cancel(&g);
    CHECK_EQUAL(asyncio_task_group_exit(&g, asyncio_sleep(9)), 0);
    asyncio_task_group_enter(&g);
    asyncio_cancel(asyncio_current_task());
    asyncio_task_group_create_task(&g, sleeps(1, -EIO));
    CHECK_EQUAL(asyncio_task_group_exit(&g, 0), -EIO);
    CHECK_EQUAL(asyncio_sleep(1), 0);
    asyncio_shield_scope_exit(&shield);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(cancelling(), 2);
    return asyncio_sleep(1);
}

/* ---- As a block, and misuse ---------------------------------------------- */

ASYNC(returns_from_the_block)
{
    ASYNCIO_SHIELD_SCOPE
    {
        CHECK_EQUAL(asyncio_sleep(2), 0);
        return 4;
    }
    return 5;
}

ASYNC_TEST(as_a_block)
{
    cancel_self_later(1);
    CHECK_EQUAL(asyncio_await(returns_from_the_block()), 4);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    for (int i = 0; i < 4; i++) {
        ASYNCIO_SHIELD_SCOPE
        {
            asyncio_cancel(asyncio_current_task());
            if (i == 1)
                break;
            if (i == 2)
                continue;
            if (i == 3)
                goto out;
            CHECK_EQUAL(asyncio_sleep(1), 0);
        }
        CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
        CHECK(i < 3);
    }
out:
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(cancelling(), 5);
    return asyncio_sleep(1);
}

TEST(outside)
{
    asyncio_shield_scope shield;
    int ran = 0;
    memset(&shield, 0, sizeof shield);
    assert_int_equal(asyncio_shield_scope_enter(&shield), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_shield_scope_exit(&shield), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_shield_scope_enter(NULL), -EINVAL);
    assert_int_equal(asyncio_shield_scope_exit(NULL), -EINVAL);
    ASYNCIO_SHIELD_SCOPE
    {
        ran++; /* nobody could cancel here */
    }
    assert_int_equal(ran, 1);
}

static asyncio_shield_scope left_open;

ASYNC(returns_inside)
{
    return asyncio_shield_scope_enter(&left_open);
}

static void die_of_it(void)
{
    asyncio_run(returns_inside());
}

TEST(returning_inside_aborts)
{
    check_dies(die_of_it, "'returns_inside'");
}

ASYNC(swept)
{
    int err = 0;
    ASYNCIO_SHIELD_SCOPE
    {
        CHECK_EQUAL(asyncio_sleep(1), 0);
        CHECK_EQUAL(asyncio_wait_for(sleeps(9, 0), 1), -ETIMEDOUT);
        CHECK_EQUAL(asyncio_await(asyncio_create_task(sleeps(1, 2))), 2);
    }
    err = asyncio_sleep(1);
    return err;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

TEST(cancel_sweep)
{
    sweep_cancels(swept, check_swept);
}

TEST_MAIN()
