/*
 * Invariants of pools and of what other threads have in hand: a test breaks each kind on purpose.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "threads/offload.h"
#include <sched.h>
#include <stddef.h>
#include <stdint.h>

#include "broken.h"
#include "support/test.h"

static void do_nothing(struct work *work)
{
    (void)work;
}

static struct pool pool = POOL_INIT(pool, 1, 0, "planted");
static struct work planted = {.run = do_nothing, .free = do_nothing};

static intptr_t return_zero(void *arg)
{
    (void)arg;
    return 0;
}

/* ---- Counters ---------------------------------------------------------------------------- */

ASYNC(settles_more_than_it_handed_out)
{
    asy_offload(&pool, asyncio_get_running_loop(), &planted);
    pthread_mutex_lock(&pool.lock);
    pool.outstanding = 0;
    pthread_mutex_unlock(&pool.lock);
    return asyncio_sleep(60);
}

TEST(a_pool_counts_its_work)
{
    asyncio_coro *main = settles_more_than_it_handed_out();
    child_run(&broken_child, broken_run, main);
    asyncio_coro_close(main);
    assert_child_signal(&broken_child, SIGABRT);
    assert_child_says(&broken_child, "pool->outstanding > 0"); /* a thread of the pool sees it, or the loop */
}

ASYNC(waits_for_less_than_it_counted)
{
    asy_offload(&pool, asyncio_get_running_loop(), &planted);
    asyncio_get_running_loop()->abroad.awaited_work = 0;
    return asyncio_sleep(60);
}

TEST(a_loop_counts_what_it_waits_for)
{
    expect_broken(waits_for_less_than_it_counted(), "uncount_work", "work->loop->abroad.awaited_work > 0");
}

ASYNC(owes_less_than_it_counted)
{
    asyncio_future *future = asyncio_run_in_executor(NULL, return_zero, NULL, NULL);
    asyncio_get_running_loop()->abroad.shutdown_work = 0;
    return asyncio_await(future);
}

TEST(a_loop_counts_what_its_shutdown_waits_for)
{
    expect_broken(owes_less_than_it_counted(), "detach_future", "loop->abroad.shutdown_work > 0");
}

/* ---- States ------------------------------------------------------------------------------ */

ASYNC(comes_back_before_it_began)
{
    asy_offload(&pool, asyncio_get_running_loop(), &planted);
    while (!asy_posts_pending(asyncio_get_running_loop()))
        sched_yield();
    planted.has_begun = false;
    return asyncio_sleep(60);
}

TEST(work_comes_back_when_it_has_run)
{
    expect_broken(comes_back_before_it_began(), "bring_back", "work->has_begun && !work->is_running");
}

/* ---- Ownership --------------------------------------------------------------------------- */

ASYNC(hands_over_what_nobody_frees)
{
    struct work work = {.run = do_nothing};
    return asy_offload(&pool, asyncio_get_running_loop(), &work);
}

TEST(work_has_an_end)
{
    expect_broken(hands_over_what_nobody_frees(), "asy_offload", "work->run && work->free");
}

TEST_MAIN()
