/*
 * The event: who goes on, in which order, and that a clear takes nothing back.
 */
#include "support/test.h"
#include "sync/sync_test.h"
#include <pthread.h>

static asyncio_event event = ASYNCIO_EVENT_INIT;

ASYNC(waits, const char *, name)
{
    int err = asyncio_event_wait(&event);
    say("%s:%s ", name, outcome(err));
    return err;
}

ASYNC_TEST(plain_use)
{
    CHECK(!asyncio_event_is_set(&event));
    CHECK_EQUAL(asyncio_event_set(&event), 0);
    CHECK_EQUAL(asyncio_event_set(&event), 0);
    CHECK(asyncio_event_is_set(&event));
    uint64_t steps = asyncio_current_task()->steps;
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_event_wait(&event), 0); /* no wait, no delivery */
    CHECK_EQUAL(asyncio_current_task()->steps, steps);
    CHECK_EQUAL(asyncio_event_clear(&event), 0);
    CHECK_EQUAL(asyncio_event_clear(&event), 0);
    CHECK(!asyncio_event_is_set(&event));
    CHECK_EQUAL(asyncio_event_wait(&event), -ECANCELED);
    CHECK(!waiters_any(&event.waiters_));

    asyncio_event other;
    asyncio_event_init(&other);
    CHECK(!asyncio_event_is_set(&other));
    asyncio_event_init(NULL);
    CHECK_EQUAL(asyncio_event_wait(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_event_set(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_event_clear(NULL), -EINVAL);
    CHECK(!asyncio_event_is_set(NULL));
    return 0;
}

ASYNC_TEST(behaviour_49_set_and_clear_release_those_already_waiting)
{
    asyncio_task *a = asyncio_create_task(waits("a")), *b = asyncio_create_task(waits("b")), *late;
    settle();
    asyncio_event_set(&event);
    asyncio_event_clear(&event);
    late = asyncio_create_task(waits("late"));
    CHECK_EQUAL(asyncio_await(a), 0);
    CHECK_EQUAL(asyncio_await(b), 0);
    settle();
    CHECK_TRAIL("a:ok b:ok ");
    CHECK(!asyncio_done(late));
    asyncio_event_set(&event);
    CHECK_EQUAL(asyncio_await(late), 0);
    CHECK_TRAIL("late:ok ");
    asyncio_event_clear(&event);
    return 0;
}

ASYNC_TEST(a_cancel_before_and_after_the_set)
{
    asyncio_task *a = asyncio_create_task(waits("a")), *b = asyncio_create_task(waits("b")),
                 *c = asyncio_create_task(waits("c"));
    settle();
    asyncio_cancel(b);
    asyncio_event_set(&event);
    asyncio_cancel(c); /* it has been let go already */
    CHECK_EQUAL(asyncio_gather_settled(NULL, a, b, c), 0);
    CHECK_TRAIL("b:ECANCELED a:ok c:ok ");
    asyncio_event_clear(&event);
    return 0;
}

static void set_it(void *arg)
{
    (void)arg;
    asyncio_event_set(&event);
}

static void wait_in_callback(void *err)
{
    *(int *)err = asyncio_event_wait(&event);
}

ASYNC(callback_main)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    int err = 0;
    asyncio_loop_call_later(loop, 1, wait_in_callback, &err);
    asyncio_loop_call_later(loop, 2, set_it, NULL);
    CHECK_EQUAL(asyncio_event_wait(&event), 0);
    CHECK_EQUAL(err, ASYNCIO_ENOTASK);
    CHECK(asyncio_time() >= 2);
    asyncio_event_clear(&event);
    return 0;
}

TEST(a_callback_may_set_it)
{
    assert_int_equal(asyncio_event_wait(&event), ASYNCIO_ENOTASK);
    assert_int_equal(run(callback_main), 0);
}

ASYNC(hops_event_main)
{
    asyncio_task *a = asyncio_create_task(waits("a"));
    victim = asyncio_create_task(waits("v"));
    asyncio_task *c = asyncio_create_task(waits("c")), *canceller = asyncio_create_task(cancel_victim());
    for (int i = 0; i < 4; i++)
        asyncio_sleep(0);
    asyncio_event_set(&event);
    asyncio_event_clear(&event);
    intptr_t result;
    CHECK_EQUAL(asyncio_gather(NULL, a, c, canceller), 0);
    CHECK_EQUAL(asyncio_join(asyncio_ref(victim), &result), 0);
    CHECK(result == 0 || (result == -ECANCELED && victim_was_cancelled));
    asyncio_release(victim);
    CHECK(!waiters_any(&event.waiters_));
    trail[0] = '\0';
    return 0;
}

TEST(a_cancel_at_each_hop)
{
    sweep_hops(hops_event_main);
}

/* ---- The model: a flag, and a line of those who wait ----------------------------------- */

static struct {
    bool set;
    struct line line;
} model;

static void check_model(void)
{
    CHECK_EQUAL(asyncio_event_is_set(&event), model.set);
    CHECK(waiters_are_line(&event.waiters_, &model.line));
}

ASYNC(worker, int, who)
{
    for (int i = 0; i < OPERATIONS; i++) {
        pause_somewhat();
        outcomes[who] = UNDECIDED;
        if (model.set)
            outcomes[who] = 0;
        else if (has_request(who))
            outcomes[who] = -ECANCELED;
        else
            line_add(&model.line, who);
        int err = asyncio_event_wait(&event);
        CHECK_EQUAL(err, outcomes[who]);
        check_model();
    }
    return 0;
}

static void set_or_clear(void)
{
    if (draw(2)) {
        model.set = true;
        while (model.line.count)
            outcomes[line_take(&model.line)] = 0;
        CHECK_EQUAL(asyncio_event_set(&event), 0);
    }
    check_model();
    if (draw(2)) {
        model.set = false;
        CHECK_EQUAL(asyncio_event_clear(&event), 0);
    }
    check_model();
}

ASYNC(meddler)
{
    for (;;) {
        int err = asyncio_sleep(draw(3) ? 0 : draw(3) * 1e-3);
        if (err)
            return err;
        int who = draw(WORKERS);
        if (draw(2)) {
            set_or_clear();
        } else if (!asyncio_done(workers[who])) {
            if (line_remove(&model.line, who))
                outcomes[who] = -ECANCELED;
            asyncio_cancel(workers[who]);
            check_model();
        }
    }
}

ASYNC(model_event_main)
{
    model.set = false;
    run_workers(worker, meddler);
    asyncio_event_clear(&event);
    return 0;
}

TEST(model)
{
    run_model(model_event_main);
}

/* ---- Whose loop -------------------------------------------------------------------------- */

static void *set_in_thread(void *arg)
{
    (void)arg;
    asyncio_event_set(&event);
    return NULL;
}

ASYNC(wrong_thread_main)
{
    pthread_t thread;
    asyncio_release(asyncio_create_task(waits("a")));
    settle();
    pthread_create(&thread, NULL, set_in_thread, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void set_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main());
}

TEST(a_wrong_thread_aborts)
{
    check_dies(set_in_a_wrong_thread, "asyncio_event_set was called from a thread");
}

ASYNC(set_main)
{
    return asyncio_event_set(&event);
}

ASYNC(wait_main)
{
    int err = asyncio_event_wait(&event);
    asyncio_event_clear(&event);
    return err;
}

TEST(a_flag_outlives_its_loop)
{
    assert_int_equal(run(set_main), 0);
    assert_true(asyncio_event_is_set(&event));
    assert_int_equal(run(wait_main), 0);
    assert_false(asyncio_event_is_set(&event));
}

ASYNC(wait_beside_main)
{
    asyncio_release(asyncio_create_task(waits("beside")));
    return asyncio_sleep(0);
}

ASYNC(nothing)
{
    return asyncio_sleep(0);
}

/* A loop that is not running now still has a task that waits. */
TEST(two_loops_of_a_thread)
{
    asyncio_runner one, two;
    assert_int_equal(asyncio_runner_init(&one, NULL), 0);
    assert_int_equal(asyncio_runner_init(&two, NULL), 0);
    assert_int_equal(asyncio_runner_run(&one, wait_beside_main()), 0);
    assert_int_equal(asyncio_runner_run(&two, wait_main()), ASYNCIO_ESTATE);
    assert_int_equal(asyncio_runner_run(&two, set_main()), 0); /* reaches it */
    assert_int_equal(asyncio_runner_run(&one, nothing()), 0);
    assert_string_equal(trail, "beside:ok ");
    trail[0] = '\0';
    assert_int_equal(asyncio_runner_run(&two, wait_main()), 0);
    assert_int_equal(asyncio_runner_close(&one), 0);
    assert_int_equal(asyncio_runner_close(&two), 0);
}

ASYNC(abandon_main)
{
    asyncio_release(asyncio_create_task(waits("never")));
    settle();
    return stop_for_good();
}

TEST(a_loop_that_closes_leaves_no_waiters)
{
    run_and_close(abandon_main());
    assert_false(waiters_any(&event.waiters_));
    assert_int_equal(asyncio_event_set(&event), 0);
    assert_int_equal(run(wait_main), 0);
    assert_string_equal(trail, "");
}

TEST_MAIN()
