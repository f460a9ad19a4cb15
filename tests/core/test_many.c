/*
 * Many tasks at once: 100,000 asleep, all woken, all memory back; and many
 * short ones, one after the other: a million in a thorough check.
 */
#include "core/loop.h"
#include "support/harness.h"
#include "support/ledger.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

static size_t many(void)
{
    return repeats(2000, 20000, 100000);
}

static size_t awake;

ASYNC(sleeps, double, delay)
{
    int err = asyncio_sleep(delay);
    awake++;
    return err;
}

/* More than a process may have mappings. */
ASYNC_TEST(asleep)
{
    size_t n = repeats(2000, 100000, 100000);
    awake = 0;
    for (size_t i = 0; i < n; i++)
        asyncio_release(asyncio_create_task(sleeps(1 + (double)(i % 977) / 1000)));
    CHECK_EQUAL(asyncio_all_tasks(NULL, 0), n + 1);
    CHECK_EQUAL(asyncio_sleep(0.5), 0);
    CHECK_EQUAL(asyncio_get_running_loop()->timers.count, n);
    CHECK_EQUAL(awake, 0);
    CHECK_EQUAL(asyncio_sleep(2), 0);
    CHECK_EQUAL(awake, n);
    CHECK_EQUAL(asyncio_all_tasks(NULL, 0), 1);
    return 0;
}

/* All cancelled by one gather. */
ASYNC(gathers_many)
{
    size_t n = many();
    asyncio_task **tasks = malloc(n * sizeof *tasks);
    intptr_t *results = malloc(n * sizeof *results);
    for (size_t i = 0; i < n; i++)
        tasks[i] = asyncio_create_task(sleeps(100));
    int err = asyncio_gather_array(results, tasks, n);
    size_t cancelled = 0;
    for (size_t i = 0; i < n; i++)
        cancelled += results[i] == -ECANCELED;
    CHECK_EQUAL(cancelled, n);
    free(tasks);
    free(results);
    return err;
}

ASYNC_TEST(all_cancelled)
{
    awake = 0;
    asyncio_task *task = asyncio_create_task(gathers_many());
    asyncio_sleep(1);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(awake, many());
    CHECK_EQUAL(asyncio_get_running_loop()->timers.count, 0);
    return 0;
}

/* All left to the shutdown. */
ASYNC(left_main)
{
    for (size_t i = 0; i < many() / 10; i++)
        asyncio_release(asyncio_create_task(sleeps(ASYNCIO_FOREVER)));
    return asyncio_sleep(1);
}

TEST(left_to_the_shutdown)
{
    awake = 0;
    assert_int_equal(run_with_leftovers(left_main), 0);
    assert_int_equal(awake, many() / 10);
}

/* One after the other they need no more than one does. */
ASYNC(one, intptr_t, value)
{
    return value;
}

ASYNC_TEST(short_ones)
{
    CHECK_EQUAL(asyncio_await(asyncio_create_task(one(1))), 1);
    struct ledger before = ledger_now();
    for (size_t i = 0; i < many() * 10; i++)
        CHECK(asyncio_await(asyncio_create_task(one((intptr_t)i))) == (intptr_t)i);
    CHECK(ledger_is(&before));
    return 0;
}

/* One future, and all wait for it. */
ASYNC(waits, asyncio_future *, future)
{
    intptr_t result = asyncio_await(future);
    awake += (size_t)result;
    return 0;
}

ASYNC_TEST(many_waiters)
{
    awake = 0;
    asyncio_future *future = asyncio_future_new();
    for (size_t i = 0; i < many(); i++)
        asyncio_release(asyncio_create_task(waits(asyncio_ref(future))));
    asyncio_sleep(0);
    asyncio_future_set_result(future, 1);
    asyncio_release(future);
    asyncio_sleep(0);
    CHECK_EQUAL(awake, many());
    return 0;
}

TEST_MAIN()
