/*
 * as_completed: the order of completion, time limits, odd sets, breaking off.
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

static void drop(asyncio_task *tasks[], int n)
{
    for (int i = 0; i < n; i++) {
        asyncio_cancel(tasks[i]);
        asyncio_join(tasks[i], NULL);
    }
}

ASYNC_TEST(in_order)
{
    asyncio_as_completed it;
    static const size_t expected[] = {3, 1, 2, 0};
    asyncio_task *tasks[4];
    size_t index, seen = 0;
    for (int i = 0; i < 4; i++)
        tasks[i] = asyncio_create_task(sleeps((double[]){4, 2, 3, 1}[i], i == 2 ? -EIO : i));
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 4, ASYNCIO_FOREVER), 0);
    while (asyncio_as_completed_next(&it, &index) > 0) {
        CHECK_EQUAL(index, expected[seen]);
        CHECK(asyncio_done(tasks[index]));
        seen++;
        CHECK(asyncio_time() == (double)seen);
    }
    CHECK_EQUAL(seen, 4);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    drop(tasks, 4);
    return 0;
}

/* Those that ended between two calls come in the order in which they ended. */
ASYNC_TEST(late_caller)
{
    asyncio_as_completed it;
    asyncio_task *tasks[3];
    size_t index;
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(sleeps(3 - i, i));
    asyncio_sleep(2.5);
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 3, 9), 0);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    CHECK_EQUAL(index, 2);
    asyncio_sleep(5);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    CHECK_EQUAL(index, 1);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    CHECK_EQUAL(index, 0);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    drop(tasks, 3);
    return 0;
}

/* One limit for all; what ended is handed out, then the time is over. */
ASYNC_TEST(behaviour_13_timeout)
{
    asyncio_as_completed it;
    asyncio_task *tasks[3];
    size_t index;
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(sleeps(i + 1, i));
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 3, 2.5), 0);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    CHECK_EQUAL(index, 1);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), -ETIMEDOUT);
    CHECK(asyncio_time() == 2.5);
    CHECK(!asyncio_done(tasks[2])); /* the rest goes on */
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), -ETIMEDOUT);
    CHECK(asyncio_time() == 2.5);
    asyncio_sleep(1);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1); /* it ended all the same */
    CHECK_EQUAL(index, 2);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    drop(tasks, 3);
    return 0;
}

/* The run checks that there is no timer, nor anything else: nothing has to be freed. */
ASYNC_TEST(behaviour_13_broken_off)
{
    asyncio_as_completed it;
    asyncio_task *tasks[3];
    size_t index;
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(sleeps(i + 1, i));
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 3, 100), 0);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    drop(tasks, 3);
    return 0;
}

ASYNC_TEST(cancelled)
{
    asyncio_as_completed it;
    asyncio_task *tasks[2];
    size_t index;
    for (int i = 0; i < 2; i++)
        tasks[i] = asyncio_create_task(sleeps(2, i));
    asyncio_as_completed_init(&it, tasks, 2, 100);
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, cancel_it, asyncio_current_task());
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), -ECANCELED);
    CHECK(!asyncio_done(tasks[0]) && !asyncio_done(tasks[1]));
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1); /* and goes on */
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    drop(tasks, 2);
    return 0;
}

static void outside(void *arg)
{
    asyncio_as_completed it;
    asyncio_future *set[1] = {NULL};
    size_t index;
    (void)arg;
    memset(&it, 0, sizeof it);
    CHECK_EQUAL(asyncio_as_completed_init(&it, set, 1, 1), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), ASYNCIO_ENOTASK);
}

ASYNC(odd_sets)
{
    asyncio_as_completed it;
    asyncio_task *tasks[4] = {NULL, asyncio_create_task(sleeps(1, 0)), NULL, NULL};
    asyncio_task *twice[2] = {tasks[1], tasks[1]};
    size_t index;
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 0, 1), 0);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    CHECK_EQUAL(asyncio_as_completed_init_futures(&it, NULL, 0, 1), 0);
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    CHECK_EQUAL(asyncio_as_completed_init_futures(&it, NULL, 1, 1), -EINVAL);
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 4, NAN), -EINVAL);
    CHECK_EQUAL(asyncio_as_completed_init(&it, twice, 2, 1), -EINVAL);
    CHECK_EQUAL(asyncio_as_completed_next(NULL, &index), -EINVAL);
    CHECK_EQUAL(asyncio_as_completed_next(&it, NULL), -EINVAL);

    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 4, 5), 0);
    static const size_t expected[] = {0, 2, 3, 1}; /* NULLs are done */
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
        CHECK_EQUAL(index, expected[i]);
    }
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    asyncio_loop_call_soon(asyncio_get_running_loop(), outside, NULL);
    asyncio_sleep(0);
    drop(tasks, 4);
    return 0;
}

TEST(odd_sets)
{
    outside(NULL);
    assert_int_equal(run(odd_sets), 0);
}

/* One that was refused has ended, too. */
ASYNC(refused)
{
    asyncio_task_group g;
    memset(&g, 0, sizeof g);
    asyncio_as_completed it;
    asyncio_task *tasks[3] = {asyncio_create_task(sleeps(1, 0)),
                              asyncio_ref(asyncio_task_group_create_task(&g, sleeps(1, 0))),
                              asyncio_ref(asyncio_task_group_create_task(&g, sleeps(1, 0)))};
    size_t index;
    asyncio_sleep(2);
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 3, 5), 0);
    static const size_t expected[] = {1, 2, 0};
    for (size_t i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 1);
        CHECK_EQUAL(index, expected[i]);
    }
    CHECK_EQUAL(asyncio_as_completed_next(&it, &index), 0);
    CHECK_EQUAL(asyncio_wait(tasks, 3, 5, ASYNCIO_ALL_COMPLETED), 3);
    CHECK_EQUAL(asyncio_result(tasks[2]), 0); /* the one that ran is the last */
    drop(tasks, 3);
    return 0;
}
TEST_OF(refused)

/* Another loop's tasks that have ended may be among them; its count of completions is another one. */
static asyncio_task *elsewhere[3];

ASYNC(makes_some)
{
    for (int i = 0; i < 3; i++)
        elsewhere[i] = asyncio_create_task(sleeps(i, i));
    return asyncio_sleep(9);
}

ASYNC(meets_them)
{
    asyncio_as_completed it;
    asyncio_task *tasks[4];
    size_t index, seen = 0;
    tasks[0] = asyncio_create_task(sleeps(1, 7));
    for (int i = 0; i < 3; i++)
        tasks[i + 1] = elsewhere[i];
    asyncio_sleep(2);
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, 4, 5), 0);
    while (asyncio_as_completed_next(&it, &index) == 1)
        CHECK_EQUAL(index, ++seen % 4);
    CHECK_EQUAL(seen, 4);
    drop(tasks, 4);
    return 0;
}

TEST(of_another_loop)
{
    const asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    assert_int_equal(asyncio_run_with(makes_some(), &options), 0);
    assert_int_equal(asyncio_run_with(meets_them(), &options), 0);
    harness_settle();
}

#define MANY 1000

ASYNC_TEST(a_thousand)
{
    static asyncio_task *tasks[MANY];
    asyncio_as_completed it;
    size_t index, seen = 0;
    for (int i = 0; i < MANY; i++)
        tasks[i] = asyncio_create_task(sleeps(i * 7919 % MANY, i));
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, MANY, MANY), 0);
    while (asyncio_as_completed_next(&it, &index) == 1)
        CHECK_EQUAL(index * 7919 % MANY, seen++);
    CHECK_EQUAL(seen, MANY);
    drop(tasks, MANY);
    return 0;
}

/* In any ready order: each once, none before it has ended. */
ASYNC(seeded)
{
    asyncio_as_completed it;
    asyncio_task *tasks[20];
    bool given[20] = {false};
    size_t index, seen = 0;
    for (int i = 0; i < 20; i++)
        tasks[i] = asyncio_create_task(sleeps(i % 3, i));
    asyncio_as_completed_init(&it, tasks, 20, ASYNCIO_FOREVER);
    for (; asyncio_as_completed_next(&it, &index) == 1; seen++) {
        CHECK(!given[index] && asyncio_done(tasks[index]));
        given[index] = true;
    }
    CHECK_EQUAL(seen, 20);
    drop(tasks, 20);
    return 0;
}

TEST(seeded)
{
    run_all_seeds(seeded);
}

ASYNC(swept)
{
    asyncio_as_completed it;
    asyncio_task *tasks[3];
    size_t index;
    int more = 0;
    for (int i = 0; i < 3; i++)
        tasks[i] = asyncio_create_task(sleeps(i, i));
    int err = asyncio_as_completed_init(&it, tasks, 3, 9);
    while (!err && (more = asyncio_as_completed_next(&it, &index)) > 0)
        continue;
    for (int i = 0; i < 3; i++) {
        asyncio_cancel(tasks[i]);
        asyncio_release(tasks[i]);
    }
    return more;
}

static void check_swept(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

ASYNC(swept_and_tidy)
{
    intptr_t result = asyncio_await(swept());
    asyncio_sleep(0);
    return result;
}

static void check_swept_and_tidy(intptr_t result, unsigned suspension)
{
    if (suspension < 4)
        check_swept(result, suspension);
}

TEST(cancel_sweep)
{
    sweep_cancels(swept_and_tidy, check_swept_and_tidy);
}

ASYNC(any_outcome)
{
    asyncio_await(swept_and_tidy());
    return 0;
}

TEST(failure_sweep)
{
    sweep_failures(any_outcome);
}

TEST_MAIN()
