/*
 * The barrier: its phases, and what a cancel, a reset and an abort do in each.
 */
#include "sync/sync_test.h"
#include <pthread.h>

enum { FILLING, DRAINING, RESETTING, BROKEN };

static asyncio_barrier barrier = ASYNCIO_BARRIER_INIT(3);

ASYNC(meets, const char *, name)
{
    int result = asyncio_barrier_wait(&barrier);
    if (result >= 0)
        say("%s:%d ", name, result);
    else
        say("%s:%s ", name, outcome(result));
    return result;
}

/* Lets everybody run once. */
static void tick(void)
{
    CHECK_EQUAL(asyncio_sleep(0), 0);
}

/* ---- Plain use ------------------------------------------------------------------ */

ASYNC(plain_main)
{
    CHECK_EQUAL(asyncio_barrier_parties(&barrier), 3);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 0);
    CHECK(!asyncio_barrier_broken(&barrier));
    asyncio_task *a = asyncio_create_task(meets("a")), *b = asyncio_create_task(meets("b"));
    settle();
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 2);
    uint64_t steps = asyncio_current_task()->steps;
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2); /* the last one need not wait */
    CHECK_EQUAL(asyncio_current_task()->steps, steps);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 0);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    CHECK_EQUAL(asyncio_await(a), 0);
    CHECK_EQUAL(asyncio_await(b), 1);
    CHECK_TRAIL("a:0 b:1 ");

    asyncio_barrier one = ASYNCIO_BARRIER_INIT(1), none;
    CHECK_EQUAL(asyncio_barrier_wait(&one), 0);
    CHECK_EQUAL(asyncio_barrier_wait(&one), 0);
    asyncio_barrier_init(&none, 0);
    CHECK_EQUAL(asyncio_barrier_wait(&none), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "0 parties");

    asyncio_barrier_init(NULL, 1);
    CHECK_EQUAL(asyncio_barrier_wait(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_barrier_reset(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_barrier_abort(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_barrier_parties(NULL), 0);
    CHECK_EQUAL(asyncio_barrier_n_waiting(NULL), 0);
    CHECK(!asyncio_barrier_broken(NULL));
    return 0;
}

static void test_plain_use(void **state)
{
    (void)state;
    assert_int_equal(asyncio_barrier_wait(&barrier), ASYNCIO_ENOTASK);
    assert_int_equal(run(plain_main), 0);
}

/* ---- Behaviour 48 --------------------------------------------------------------------- */

ASYNC(comes_again, int, rounds, int *, sums)
{
    for (int i = 0; i < rounds; i++) {
        int index = asyncio_barrier_wait(&barrier);
        CHECK(index >= 0 && index < 3);
        sums[i] += 1 << (4 * index);
    }
    return 0;
}

ASYNC(reuse_main)
{
    int sums[20] = {0};
    CHECK_EQUAL(asyncio_gather(NULL, comes_again(20, sums), comes_again(20, sums), comes_again(20, sums)), 0);
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(sums[i], 0x111); /* each number once */
    CHECK_EQUAL(barrier.state_, FILLING);
    return 0;
}

static void behaviour_48_it_is_used_again_and_numbers_are_unique(void **state)
{
    (void)state;
    assert_int_equal(run(reuse_main), 0);
    run_all_seeds(reuse_main);
}

ASYNC(cancel_filler_main)
{
    asyncio_task *a = asyncio_create_task(meets("a")), *b = asyncio_create_task(meets("b"));
    settle();
    asyncio_cancel(a);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 1);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    asyncio_task *c = asyncio_create_task(meets("c"));
    settle();
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 2);
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    CHECK_EQUAL(asyncio_await(b), 0); /* its number is not c's */
    CHECK_EQUAL(asyncio_await(c), 1);
    CHECK_TRAIL("a:ECANCELED b:0 c:1 ");
    return 0;
}

static void behaviour_48_a_cancelled_filler_leaves(void **state)
{
    (void)state;
    assert_int_equal(run(cancel_filler_main), 0);
}

ASYNC(late_main)
{
    asyncio_task *a = asyncio_create_task(meets("a")), *b = asyncio_create_task(meets("b"));
    settle();
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    CHECK_EQUAL(barrier.state_, DRAINING);
    asyncio_task *late = asyncio_create_task(meets("late"));
    asyncio_cancel(b); /* it has been let go */
    int index;
    CHECK_EQUAL(asyncio_timeout_enter(&(asyncio_timeout){.deadline_ns = 0}, 1), 0) ;
    (void)index;
    (void)a;
    (void)late;
    return 0;
}

ASYNC(late_arrivals_main)
{
    asyncio_task *a = asyncio_create_task(meets("a")), *b = asyncio_create_task(meets("b"));
    settle();
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    CHECK_EQUAL(barrier.state_, DRAINING);
    asyncio_cancel(b); /* it has been let go already, and keeps its number */
    /* a and b have yet to leave: this waits for them, then for two more. */
    asyncio_task *c = asyncio_create_task(meets("c"));
    CHECK_EQUAL(asyncio_loop_call_later(asyncio_get_running_loop(), 1, (asyncio_callback)(void (*)(void))
                                        asyncio_barrier_abort, &barrier).asyncio_slot_ != NULL, true);
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), ASYNCIO_EBROKEN);
    CHECK_TRAIL("a:0 b:1 c:ASYNCIO_EBROKEN ");
    CHECK_EQUAL(asyncio_await(a), 0);
    CHECK_EQUAL(asyncio_await(b), 1);
    CHECK_EQUAL(asyncio_await(c), ASYNCIO_EBROKEN);
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    CHECK_EQUAL(barrier.state_, FILLING);
    return 0;
}

ASYNC(blocked_main)
{
    asyncio_task *tasks[] = {asyncio_create_task(meets("a")), asyncio_create_task(meets("b"))}, *late[6];
    static const char *const names[] = {"c", "d", "e", "f", "g", "h"};
    settle();
    for (int i = 0; i < 6; i++)
        late[i] = asyncio_create_task(meets(names[i]));
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    /* In the order of the queue: c to h come while it drains, then a and b leave. */
    tick();
    CHECK_EQUAL(barrier.state_, DRAINING);
    CHECK_TRAIL("a:0 b:1 ");
    asyncio_cancel(late[4]);
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, 2), 1 - 1);
    settle();
    CHECK_TRAIL("");
    return 0;
}

static void behaviour_48_late_arrivals_wait_until_it_has_drained(void **state)
{
    (void)state;
    assert_int_equal(run(late_arrivals_main), 0);
    (void)late_main;
    (void)blocked_main;
}

int main(void)
{
    return 0;
}
