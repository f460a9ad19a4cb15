/*
 * What is asked of n tasks takes time in proportion to n: CPU time of this thread for four times as many is
 * compared with that for n, where what is quadratic takes sixteen times as long.
 */
#include "asyncio.h"
#include "support/harness.h"
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#define FEW 2500
#define MANY ((size_t)4 * FEW)
#define FACTOR_MAX 10
#define TRIES 5
/* Below that a clock says nothing. */
#define SLACK_NS 2000000

static size_t count;
static asyncio_task *tasks[MANY];
static asyncio_future *leaf;
static int64_t began_ns, took_ns;

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void measure(void)
{
    began_ns = cpu_ns();
}

static void measured(void)
{
    took_ns = cpu_ns() - began_ns;
}

/* The least of a few runs: others may have had the cache meanwhile. */
static int64_t time_of(coroutine_function main, size_t n)
{
    int64_t least = INT64_MAX;
    count = n;
    for (int i = 0; i < TRIES; i++) {
        asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
        options.stack_size = is_slow_build() ? 0 : 16384;
        assert_int_equal(asyncio_run_with(main(), &options), 0);
        if (took_ns < least)
            least = took_ns;
    }
    return least;
}

static void check_linear(coroutine_function main)
{
    size_t few = is_slow_build() ? FEW / 10 : FEW;
    for (int tries = 0; tries < TRIES; tries++) {
        int64_t one = time_of(main, few), four = time_of(main, 4 * few);
        if (four <= FACTOR_MAX * one + SLACK_NS)
            return;
    }
    fail_msg("four times as many take more than %d times as long", FACTOR_MAX);
}

#define LINEAR_TEST(coroutine)                                                                               \
    TEST(coroutine)                                                                                          \
    {                                                                                                        \
        check_linear(coroutine);                                                                             \
        harness_settle();                                                                                    \
    }

ASYNC(sleeps, double, delay)
{
    return asyncio_sleep(delay);
}

ASYNC(awaits, asyncio_future *, future)
{
    return asyncio_await(asyncio_ref(future));
}

/* A task that gathers the same one twice. */
ASYNC(gathers, asyncio_future *, future)
{
    return asyncio_gather(NULL, asyncio_ref(future), asyncio_ref(future));
}

/* Each waits for the one made before it, the first for `leaf`. */
static void make_chain(asyncio_coro *(*link)(asyncio_future *))
{
    asyncio_future *last = leaf = asyncio_future_new();
    for (size_t i = 0; i < count; i++) {
        tasks[i] = asyncio_create_task(link(last));
        last = (asyncio_future *)tasks[i];
    }
    asyncio_sleep(0);
    asyncio_sleep(0);
}

static void release_leaf(void)
{
    asyncio_release(leaf);
}

static void await_tasks(intptr_t result)
{
    for (size_t i = 0; i < count; i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), result);
}

/* ---- as_completed ------------------------------------------------------------------------------ */

static void walk(void)
{
    asyncio_as_completed it;
    size_t index, seen = 0;
    measure();
    CHECK_EQUAL(asyncio_as_completed_init(&it, tasks, count, ASYNCIO_FOREVER), 0);
    while (asyncio_as_completed_next(&it, &index) > 0) {
        CHECK(asyncio_done(tasks[index]));
        seen++;
    }
    measured();
    CHECK_EQUAL(seen, count);
}

ASYNC(completed_one_by_one)
{
    for (size_t i = 0; i < count; i++)
        tasks[i] = asyncio_create_task(sleeps(1 + (double)(i * 7919 % count)));
    walk();
    await_tasks(0);
    return 0;
}
LINEAR_TEST(completed_one_by_one)

ASYNC(completed_before)
{
    for (size_t i = 0; i < count; i++)
        tasks[i] = asyncio_create_task(sleeps(0));
    asyncio_sleep(1);
    walk();
    await_tasks(0);
    return 0;
}
LINEAR_TEST(completed_before)

/* ---- Cancels ------------------------------------------------------------------------------------ */

ASYNC(chain_from_its_end)
{
    make_chain(awaits);
    measure();
    for (size_t i = 0; i < count; i++)
        CHECK(asyncio_cancel(tasks[i]));
    measured();
    await_tasks(-ECANCELED);
    release_leaf();
    return 0;
}
LINEAR_TEST(chain_from_its_end)

ASYNC(chain_from_its_head)
{
    make_chain(awaits);
    measure();
    for (size_t i = count; i-- > 0;)
        CHECK(asyncio_cancel(tasks[i]));
    measured();
    await_tasks(-ECANCELED);
    release_leaf();
    return 0;
}
LINEAR_TEST(chain_from_its_head)

ASYNC(tower_of_gathers)
{
    make_chain(gathers);
    measure();
    for (size_t i = 0; i < count; i++)
        CHECK(asyncio_cancel(tasks[i]));
    measured();
    await_tasks(-ECANCELED);
    release_leaf();
    return 0;
}
LINEAR_TEST(tower_of_gathers)

ASYNC(gathers_all)
{
    return asyncio_gather_array(NULL, tasks, count);
}

ASYNC(gather_of_a_chain)
{
    make_chain(awaits);
    asyncio_task *all = asyncio_create_task(gathers_all());
    asyncio_sleep(0);
    measure();
    asyncio_cancel(all);
    CHECK_EQUAL(asyncio_await(all), -ECANCELED);
    measured();
    release_leaf();
    return 0;
}
LINEAR_TEST(gather_of_a_chain)

/* The group's children wait for each other, and so does whoever ends it. */
ASYNC(group_of_a_chain)
{
    asyncio_task_group group;
    asyncio_task_group_enter(&group);
    asyncio_future *last = leaf = asyncio_future_new();
    for (size_t i = 0; i < count; i++)
        last = (asyncio_future *)asyncio_task_group_create_task(&group, awaits(last));
    asyncio_sleep(0);
    measure();
    asyncio_task_group_cancel(&group);
    int err = (int)asyncio_task_group_exit(&group, 0);
    measured();
    CHECK_EQUAL(err, 0);
    release_leaf();
    return 0;
}
LINEAR_TEST(group_of_a_chain)

/* The shutdown cancels what main has left, and the head of the chain ends last. */
ASYNC(awaits_and_tells)
{
    asyncio_await(asyncio_ref(tasks[count - 1]));
    measured();
    return 0;
}

ASYNC(shutdown_of_a_chain)
{
    make_chain(awaits);
    asyncio_release(asyncio_create_task(awaits_and_tells()));
    asyncio_sleep(0);
    for (size_t i = 0; i < count; i++)
        asyncio_release(tasks[i]);
    release_leaf();
    measure();
    return 0;
}
LINEAR_TEST(shutdown_of_a_chain)

/* ---- Refused ------------------------------------------------------------------------------------- */

/* One coroutine twice, and many others. */
ASYNC(refused_gather)
{
    asyncio_coro **coros = (asyncio_coro **)(void *)tasks;
    for (size_t i = 0; i < count; i++)
        coros[i] = sleeps(0);
    asyncio_coro_close(coros[0]);
    coros[0] = coros[count - 1];
    measure();
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, count), -EINVAL);
    measured();
    return 0;
}
LINEAR_TEST(refused_gather)

/* ---- Scopes ----------------------------------------------------------------------------------------- */

ASYNC(nested_timeouts)
{
    static asyncio_timeout timeouts[MANY];
    measure();
    for (size_t i = 0; i < count; i++)
        CHECK_EQUAL(asyncio_timeout_enter(&timeouts[i], 10), 0);
    for (size_t i = count; i-- > 0;)
        CHECK_EQUAL(asyncio_timeout_exit(&timeouts[i], 0), 0);
    measured();
    return 0;
}
LINEAR_TEST(nested_timeouts)

TEST_MAIN()
