/*
 * Semaphores: order, hand-over, bounds, cancels before and after a release.
 */
#include "support/test.h"
#include "sync/sync_test.h"
#include <limits.h>
#include <pthread.h>

static asyncio_semaphore semaphore = ASYNCIO_SEMAPHORE_INIT(0);
static asyncio_bounded_semaphore bounded = ASYNCIO_BOUNDED_SEMAPHORE_INIT(2);

/* Takes one and keeps it; waits once more. */
ASYNC(takes, const char *, name)
{
    int err = asyncio_semaphore_acquire(&semaphore);
    say("%s:%s ", name, outcome(err));
    return err ? err : asyncio_sleep(0);
}

ASYNC_TEST(plain_use)
{
    asyncio_semaphore two;
    asyncio_semaphore_init(&two, 2);
    uint64_t steps = asyncio_current_task()->steps;
    CHECK(!asyncio_semaphore_locked(&two));
    CHECK_EQUAL(asyncio_semaphore_acquire(&two), 0);
    CHECK(!asyncio_semaphore_locked(&two));
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_semaphore_acquire(&two), 0); /* no wait, no delivery */
    CHECK(asyncio_semaphore_locked(&two));
    CHECK_EQUAL(asyncio_current_task()->steps, steps);
    CHECK_EQUAL(asyncio_semaphore_acquire(&two), -ECANCELED);
    CHECK_EQUAL(two.value_, 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(asyncio_semaphore_release(&two), 0); /* may rise above where it began */
    CHECK_EQUAL(two.value_, 4);

    asyncio_semaphore_init(NULL, 1);
    CHECK_EQUAL(asyncio_semaphore_acquire(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_semaphore_release(NULL), -EINVAL);
    CHECK(!asyncio_semaphore_locked(NULL));
    return 0;
}

ASYNC_TEST(a_bounded_one_is_not_released_more_often_than_acquired)
{
    CHECK_EQUAL(asyncio_bounded_semaphore_release(&bounded), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "more often than acquired");
    CHECK_EQUAL(asyncio_bounded_semaphore_acquire(&bounded), 0);
    CHECK_EQUAL(asyncio_bounded_semaphore_acquire(&bounded), 0);
    CHECK(asyncio_bounded_semaphore_locked(&bounded));
    int err;
    ASYNCIO_TIMEOUT(err, 1) {
        err = asyncio_bounded_semaphore_acquire(&bounded);
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK_EQUAL(asyncio_bounded_semaphore_release(&bounded), 0);
    CHECK_EQUAL(asyncio_bounded_semaphore_release(&bounded), 0);
    CHECK_EQUAL(asyncio_bounded_semaphore_release(&bounded), ASYNCIO_ESTATE);
    CHECK(!asyncio_bounded_semaphore_locked(&bounded));

    asyncio_bounded_semaphore zero;
    asyncio_bounded_semaphore_init(&zero, 0);
    CHECK_EQUAL(asyncio_bounded_semaphore_release(&zero), ASYNCIO_ESTATE);
    asyncio_bounded_semaphore_init(NULL, 1);
    CHECK_EQUAL(asyncio_bounded_semaphore_acquire(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_bounded_semaphore_release(NULL), -EINVAL);
    CHECK(!asyncio_bounded_semaphore_locked(NULL));
    return 0;
}

ASYNC_TEST(values_at_the_edges)
{
    asyncio_semaphore most = ASYNCIO_SEMAPHORE_INIT(INT_MAX), below = ASYNCIO_SEMAPHORE_INIT(-1);
    CHECK_EQUAL(asyncio_semaphore_release(&most), -EOVERFLOW);
    CHECK_EQUAL(asyncio_semaphore_acquire(&most), 0);
    CHECK_EQUAL(asyncio_semaphore_release(&most), 0);
    CHECK_EQUAL(asyncio_semaphore_acquire(&below), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "below 0");
    CHECK_EQUAL(asyncio_semaphore_release(&below), -EINVAL);
    CHECK(asyncio_semaphore_locked(&below));
    return 0;
}

/* ---- Behaviour 47 --------------------------------------------------------------------- */

ASYNC_TEST(behaviour_47_of_four_waiters_two_cancelled_the_third_goes_on)
{
    asyncio_task *tasks[4];
    static const char *const names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++)
        tasks[i] = asyncio_create_task(takes(names[i]));
    settle();
    asyncio_cancel(tasks[0]);
    asyncio_cancel(tasks[1]);
    asyncio_semaphore_release(&semaphore);
    settle();
    CHECK_TRAIL("a:ECANCELED b:ECANCELED c:ok ");
    CHECK(waiters_are(&semaphore.waiters_, &tasks[3], 1));
    asyncio_semaphore_release(&semaphore);
    CHECK_EQUAL(asyncio_gather_settled_array(NULL, tasks, 4), 0);
    CHECK_TRAIL("d:ok ");
    CHECK_EQUAL(semaphore.value_, 0);
    return 0;
}

static void release_it(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_semaphore_release(&semaphore), 0);
}

ASYNC_TEST(behaviour_47_order_is_kept_when_the_releaser_comes_back_at_once)
{
    asyncio_task *a = asyncio_create_task(takes("a"));
    settle();
    asyncio_semaphore_release(&semaphore);
    CHECK(asyncio_semaphore_locked(&semaphore));
    asyncio_task *b = asyncio_create_task(takes("b"));
    say("main ");
    asyncio_loop_call_later(asyncio_get_running_loop(), 1, release_it, NULL);
    CHECK_EQUAL(asyncio_semaphore_acquire(&semaphore), 0); /* not before a */
    say("main ");
    CHECK_EQUAL(asyncio_await(a), 0);
    settle();
    CHECK_TRAIL("main a:ok main ");
    asyncio_semaphore_release(&semaphore);
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("b:ok ");
    return 0;
}

ASYNC(several_main)
{
    asyncio_task *a = asyncio_create_task(takes("a")), *b = asyncio_create_task(takes("b")),
                 *c = asyncio_create_task(takes("c"));
    settle();
    for (int i = 0; i < 5; i++)
        asyncio_semaphore_release(&semaphore);
    CHECK_EQUAL(asyncio_gather(NULL, a, b, c), 0);
    CHECK_TRAIL("a:ok b:ok c:ok ");
    CHECK_EQUAL(semaphore.value_, 2);
    CHECK_EQUAL(asyncio_semaphore_acquire(&semaphore), 0);
    CHECK_EQUAL(asyncio_semaphore_acquire(&semaphore), 0);
    return 0;
}

TEST_OF(several_main)

ASYNC_TEST(behaviour_47_a_cancel_after_the_release_keeps_the_grant)
{
    asyncio_task *a = asyncio_create_task(takes("a")), *b = asyncio_create_task(takes("b"));
    settle();
    asyncio_semaphore_release(&semaphore);
    CHECK(asyncio_cancel(a)); /* it keeps what it was given */
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_TRAIL("a:ok ");
    CHECK(!asyncio_done(b));
    asyncio_cancel(b);
    CHECK_EQUAL(asyncio_await(b), -ECANCELED);
    CHECK_TRAIL("b:ECANCELED ");
    CHECK_EQUAL(semaphore.value_, 0);
    return 0;
}

ASYNC(passes, const char *, name)
{
    int err = asyncio_semaphore_acquire(&semaphore);
    if (err)
        return err;
    asyncio_sleep(0);
    say("%s ", name);
    CHECK_EQUAL(asyncio_semaphore_release(&semaphore), 0);
    return 0;
}

ASYNC(hops_semaphore_main)
{
    asyncio_task *a = asyncio_create_task(passes("a"));
    victim = asyncio_create_task(passes("v"));
    asyncio_task *c = asyncio_create_task(passes("c")), *canceller = asyncio_create_task(cancel_victim());
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_semaphore_release(&semaphore);
    CHECK_EQUAL(asyncio_gather(NULL, a, c, canceller), 0);
    intptr_t result;
    CHECK_EQUAL(asyncio_join(asyncio_ref(victim), &result), 0);
    CHECK(result == 0 || (result == -ECANCELED && victim_was_cancelled));
    asyncio_release(victim);
    CHECK_EQUAL(semaphore.value_, 1);
    CHECK_EQUAL(asyncio_semaphore_acquire(&semaphore), 0);
    trail[0] = '\0';
    return 0;
}

TEST(a_cancel_at_each_hop)
{
    sweep_hops(hops_semaphore_main);
}

/* ---- The model: a value, and a line of those who wait ------------------------------------- */

static struct {
    int value;
    struct line line;
} model;

static void check_model(void)
{
    CHECK_EQUAL(semaphore.value_, model.value);
    CHECK_EQUAL(asyncio_semaphore_locked(&semaphore), model.value == 0);
    CHECK(model.value == 0 || model.line.count == 0);
    CHECK(waiters_are_line(&semaphore.waiters_, &model.line));
}

static void model_acquire(int who)
{
    outcomes[who] = UNDECIDED;
    if (model.value > 0) {
        model.value--;
        outcomes[who] = 0;
    } else if (has_request(who)) {
        outcomes[who] = -ECANCELED;
    } else {
        line_add(&model.line, who);
    }
}

static void release(void)
{
    if (model.line.count)
        outcomes[line_take(&model.line)] = 0;
    else
        model.value++;
    CHECK_EQUAL(asyncio_semaphore_release(&semaphore), 0);
    check_model();
}

ASYNC(worker, int, who)
{
    for (int i = 0; i < OPERATIONS; i++) {
        pause_somewhat();
        model_acquire(who);
        int err = asyncio_semaphore_acquire(&semaphore);
        CHECK_EQUAL(err, outcomes[who]);
        check_model();
        if (err)
            continue;
        for (int hops = draw(4); hops > 0; hops--)
            pause_somewhat();
        release();
    }
    return 0;
}

ASYNC(meddler)
{
    for (;;) {
        int err = asyncio_sleep(draw(3) ? 0 : draw(3) * 1e-3);
        if (err)
            return err;
        int who = draw(WORKERS);
        if (asyncio_done(workers[who]))
            continue;
        if (line_remove(&model.line, who))
            outcomes[who] = -ECANCELED;
        asyncio_cancel(workers[who]);
        check_model();
    }
}

ASYNC(model_semaphore_main)
{
    model.value = 2;
    asyncio_semaphore_init(&semaphore, 2);
    run_workers(worker, meddler);
    CHECK_EQUAL(model.value, 2);
    check_model();
    asyncio_semaphore_init(&semaphore, 0);
    return 0;
}

TEST(model)
{
    run_model(model_semaphore_main);
}

/* ---- Whose loop --------------------------------------------------------------------------- */

static void *release_in_thread(void *arg)
{
    (void)arg;
    asyncio_semaphore_release(&semaphore);
    return NULL;
}

ASYNC(wrong_thread_main)
{
    pthread_t thread;
    asyncio_release(asyncio_create_task(takes("a")));
    settle();
    pthread_create(&thread, NULL, release_in_thread, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void release_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main());
}

TEST(a_wrong_thread_aborts)
{
    check_dies(release_in_a_wrong_thread, "asyncio_semaphore_release was called from a thread");
}

ASYNC(abandon_main, int, waiting, int, releases)
{
    for (int i = 0; i < waiting; i++)
        asyncio_release(asyncio_create_task(takes("never")));
    settle();
    for (int i = 0; i < releases; i++)
        asyncio_semaphore_release(&semaphore);
    return stop_for_good();
}

TEST(a_grant_to_a_task_that_never_runs_again_goes_on)
{
    for (int waiting = 0; waiting < 4; waiting++) {
        for (int releases = 0; releases < 4; releases++) {
            run_and_close(abandon_main(waiting, releases));
            assert_int_equal(semaphore.value_, releases);
            assert_false(waiters_any(&semaphore.waiters_));
            asyncio_semaphore_init(&semaphore, 0);
        }
    }
    assert_string_equal(trail, "");
    assert_int_equal(run(several_main), 0);
}

TEST(acquire_outside_a_task)
{
    assert_int_equal(asyncio_semaphore_acquire(&semaphore), ASYNCIO_ENOTASK);
    assert_int_equal(asyncio_bounded_semaphore_acquire(&bounded), ASYNCIO_ENOTASK);
}

TEST_MAIN()
