/*
 * What happens a million times a second does not allocate and does not enter the
 * kernel: counted at the seam (sys/sys.h).
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <stddef.h>
#include <stdint.h>

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};
#define TIMES 1000
/* Under a checker each block is an allocation of its own (sys/slab_single.h). */
#define BLOCK (ASY_ASAN || ASY_TSAN || RUNNING_ON_VALGRIND ? 3u : 1u)

static uint64_t calls;

static void count_from_here(void)
{
    asy_fault_arm(0, false);
}

static void to_here(void)
{
    calls = asy_fault_disarm();
}

static intptr_t run(asyncio_coro *coro, bool real)
{
    calls = UINT64_MAX;
    return asyncio_run_with(coro, real ? NULL : &simulated);
}

#define assert_counts(coro, real, wanted)                                                                    \
    do {                                                                                                     \
        assert_int_equal(run(coro, real), 0);                                                                \
        assert_int_equal(calls, (wanted));                                                                   \
    } while (0)

/* ---- Switches ------------------------------------------------------------------------- */

ASYNC(yields)
{
    for (int i = 0; i < TIMES; i++)
        asyncio_sleep(0);
    return 0;
}

ASYNC(counts_yields)
{
    asyncio_task *other = asyncio_create_task(yields());
    asyncio_sleep(0);
    count_from_here();
    asyncio_await(yields());
    to_here();
    return asyncio_await(other);
}

/* `await` of a coroutine takes its block: the only call there. */
TEST(a_switch_costs_nothing)
{
    assert_counts(counts_yields(), true, BLOCK);
    assert_counts(counts_yields(), false, BLOCK);
}

/* ---- Wakes ------------------------------------------------------------------------------ */

#define FUTURES 100
static asyncio_future *futures[FUTURES];

ASYNC(awaits_all)
{
    for (int i = 0; i < FUTURES; i++)
        if (asyncio_await(futures[i]) != i)
            return -EIO;
    return 0;
}

ASYNC(counts_wakes)
{
    for (int i = 0; i < FUTURES; i++)
        futures[i] = asyncio_future_new();
    asyncio_task *task = asyncio_create_task(awaits_all());
    asyncio_sleep(0);
    count_from_here();
    for (int i = 0; i < FUTURES; i++) {
        asyncio_future_set_result(futures[i], i);
        asyncio_sleep(0);
    }
    to_here();
    return asyncio_await(task);
}

TEST(a_wake_costs_nothing)
{
    assert_counts(counts_wakes(), true, 0);
    assert_counts(counts_wakes(), false, 0);
}

ASYNC(counts_awaits_of_done_ones)
{
    for (int i = 0; i < FUTURES; i++)
        asyncio_future_set_result(futures[i] = asyncio_future_new(), i);
    asyncio_task *task = asyncio_create_task(yields());
    while (!asyncio_done(task))
        asyncio_sleep(0);
    count_from_here();
    intptr_t wrong = 0;
    for (int i = 0; i < FUTURES; i++)
        wrong += asyncio_await(futures[i]) != i;
    wrong += asyncio_await(task);
    to_here();
    return wrong;
}

TEST(an_await_of_what_is_done_costs_nothing)
{
    assert_counts(counts_awaits_of_done_ones(), true, 0);
}

/* ---- Timers -------------------------------------------------------------------------------- */

ASYNC(counts_sleeps)
{
    asyncio_sleep(1);
    count_from_here();
    for (int i = 0; i < TIMES; i++)
        asyncio_sleep(0.5);
    to_here();
    return 0;
}

TEST(a_timer_costs_nothing)
{
    assert_counts(counts_sleeps(), false, 0);
}

static void nothing(void *arg)
{
    (void)arg;
}

ASYNC(counts_handles)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    for (int i = 0; i < 8; i++)
        asyncio_loop_call_later(loop, 0.001, nothing, NULL);
    asyncio_sleep(0.002);
    count_from_here();
    for (int i = 0; i < TIMES; i++) {
        asyncio_handle handle = asyncio_loop_call_later(loop, 1, nothing, NULL);
        asyncio_loop_call_soon(loop, nothing, NULL);
        asyncio_loop_call_soon_signalsafe(loop, nothing, NULL);
        asyncio_sleep(0);
        asyncio_handle_cancel(loop, handle);
    }
    to_here();
    return 0;
}

TEST(a_handle_costs_nothing_once_there_are_some)
{
    assert_counts(counts_handles(), true, 0);
    assert_counts(counts_handles(), false, 0);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

ASYNC(returns)
{
    return 0;
}

ASYNC(counts_tasks)
{
    asyncio_await(asyncio_create_task(returns()));
    count_from_here();
    for (int i = 0; i < TIMES; i++)
        asyncio_await(asyncio_create_task(returns()));
    to_here();
    return 0;
}

/* A task is one block; its stack is the one that the last one left. */
TEST(a_task_is_one_block)
{
    assert_counts(counts_tasks(), true, TIMES * BLOCK);
}

TEST_MAIN()
