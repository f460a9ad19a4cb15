/*
 * The lock: order, hand-over, cancels before and after it, whose loop it is.
 */
#include "support/test.h"
#include "sync/sync_test.h"
#include <pthread.h>

static asyncio_lock lock = ASYNCIO_LOCK_INIT;

/* Takes the lock, keeps it for some hops, and waits once more at the end. */
ASYNC(holds, const char *, name, int, hops)
{
    int err = asyncio_lock_acquire(&lock);
    say("%s:%s ", name, outcome(err));
    if (err)
        return err;
    for (int i = 0; i < hops; i++)
        asyncio_sleep(0);
    CHECK_EQUAL(asyncio_lock_release(&lock), 0);
    return asyncio_sleep(0);
}

/* ---- Plain use ------------------------------------------------------------------ */

ASYNC_TEST(plain_use)
{
    CHECK(!asyncio_lock_locked(&lock));
    CHECK_EQUAL(asyncio_lock_release(&lock), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "not held");
    CHECK_EQUAL(asyncio_lock_acquire(&lock), 0);
    CHECK(asyncio_lock_locked(&lock));
    CHECK_EQUAL(asyncio_lock_release(&lock), 0);
    CHECK(!asyncio_lock_locked(&lock));

    asyncio_lock other;
    asyncio_lock_init(&other);
    CHECK_EQUAL(asyncio_lock_acquire(&other), 0);
    CHECK_EQUAL(asyncio_lock_release(&other), 0);
    asyncio_lock_init(NULL);
    CHECK_EQUAL(asyncio_lock_acquire(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_lock_release(NULL), -EINVAL);
    CHECK(!asyncio_lock_locked(NULL));
    return 0;
}

ASYNC_TEST(a_free_lock_does_not_suspend_and_delivers_nothing)
{
    uint64_t steps = asyncio_current_task()->steps;
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_lock_acquire(&lock), 0);
    CHECK_EQUAL(asyncio_lock_release(&lock), 0);
    CHECK_EQUAL(asyncio_current_task()->steps, steps);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    return 0;
}

ASYNC_TEST(first_come_first_served_without_barging)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *a = asyncio_create_task(holds("a", 0)), *b = asyncio_create_task(holds("b", 2)),
                 *c = asyncio_create_task(holds("c", 0));
    settle();
    asyncio_lock_release(&lock);
    CHECK(asyncio_lock_locked(&lock)); /* a has it, and has yet to run */
    say("released ");
    CHECK_EQUAL(asyncio_lock_acquire(&lock), 0); /* behind a, b and c */
    say("main ");
    CHECK_EQUAL(asyncio_lock_release(&lock), 0);
    CHECK_EQUAL(asyncio_gather(NULL, a, b, c), 0);
    CHECK_TRAIL("released a:ok b:ok c:ok main ");
    return 0;
}

static void release_it(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_lock_release(&lock), 0);
}

ASYNC_TEST(any_task_or_callback_may_release)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *a = asyncio_create_task(holds("a", 0));
    settle();
    asyncio_loop_call_soon(asyncio_get_running_loop(), release_it, NULL);
    CHECK_EQUAL(asyncio_await(a), 0);
    CHECK_TRAIL("a:ok ");
    return 0;
}

static void acquire_in_callback(void *err)
{
    *(int *)err = asyncio_lock_acquire(&lock);
}

ASYNC(no_task_main)
{
    int err = 0;
    asyncio_loop_call_soon(asyncio_get_running_loop(), acquire_in_callback, &err);
    settle();
    CHECK_EQUAL(err, ASYNCIO_ENOTASK);
    CHECK(!asyncio_lock_locked(&lock));
    return 0;
}

TEST(acquire_outside_a_task)
{
    assert_int_equal(asyncio_lock_acquire(&lock), ASYNCIO_ENOTASK);
    assert_int_equal(run(no_task_main), 0);
    assert_int_equal(asyncio_lock_acquire(&lock), ASYNCIO_ENOTASK);
}

/* ---- Behaviours ------------------------------------------------------------------- */

ASYNC(behaviour_43_main, bool, release_first)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *b = asyncio_create_task(holds("b", 0)), *c = asyncio_create_task(holds("c", 0));
    settle();
    if (release_first)
        asyncio_lock_release(&lock);
    CHECK(asyncio_cancel(b));
    if (!release_first)
        asyncio_lock_release(&lock);
    CHECK_EQUAL(asyncio_await(b), -ECANCELED);
    CHECK_EQUAL(asyncio_await(c), 0);
    /* Released first, b had the lock: it keeps it, and the request ends its next wait. */
    if (release_first)
        CHECK_TRAIL("b:ok c:ok ");
    else
        CHECK_TRAIL("b:ECANCELED c:ok ");
    CHECK(!asyncio_lock_locked(&lock));
    return 0;
}

static asyncio_coro *cancel_then_release(void)
{
    return behaviour_43_main(false);
}

static asyncio_coro *release_then_cancel(void)
{
    return behaviour_43_main(true);
}

TEST(behaviour_43_cancel_and_release_in_one_tick_reach_the_next)
{
    assert_int_equal(run(cancel_then_release), 0);
    assert_int_equal(run(release_then_cancel), 0);
}

ASYNC_TEST(behaviour_44_a_cancelled_first_waiter_leaves_one_grant)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *tasks[] = {asyncio_create_task(holds("a", 5)), asyncio_create_task(holds("b", 5)),
                             asyncio_create_task(holds("c", 5))};
    settle();
    asyncio_cancel(tasks[0]);
    asyncio_lock_release(&lock);
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK_TRAIL("a:ECANCELED b:ok "); /* and not c */
    CHECK(waiters_are(&lock.waiters_, &tasks[2], 1));
    CHECK_EQUAL(asyncio_gather_settled_array(NULL, tasks, 3), 0);
    CHECK_TRAIL("c:ok ");
    return 0;
}

ASYNC_TEST(behaviour_45_a_waiter_cancelled_before_it_runs_keeps_the_lock)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *a = asyncio_create_task(holds("a", 0)), *b = asyncio_create_task(holds("b", 0));
    settle();
    asyncio_lock_release(&lock);
    CHECK(asyncio_cancel(a));
    CHECK(asyncio_cancel(a));
    CHECK_EQUAL(asyncio_task_cancelling(a), 2);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED); /* from the wait after its release */
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("a:ok b:ok ");
    return 0;
}

/* ---- Cancels ------------------------------------------------------------------------ */

ASYNC_TEST(a_pending_request_ends_the_wait)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *a = asyncio_create_task(holds("a", 0));
    asyncio_cancel(a); /* it begins with a request: the wait on a held lock delivers it */
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_TRAIL("a:ECANCELED ");
    CHECK(waiters_are(&lock.waiters_, NULL, 0));
    asyncio_lock_release(&lock);
    return 0;
}

ASYNC_TEST(a_timeout_ends_the_wait)
{
    asyncio_lock_acquire(&lock);
    int err;
    double begun = asyncio_time();
    ASYNCIO_TIMEOUT(err, 0.5) {
        err = asyncio_lock_acquire(&lock); /* not reentrant */
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK(asyncio_time() - begun >= 0.5);
    CHECK(waiters_are(&lock.waiters_, NULL, 0));
    CHECK_EQUAL(asyncio_lock_release(&lock), 0);
    return 0;
}

ASYNC(hops_lock_main)
{
    asyncio_lock_acquire(&lock);
    asyncio_task *a = asyncio_create_task(holds("a", 1));
    victim = asyncio_create_task(holds("v", 1));
    asyncio_task *c = asyncio_create_task(holds("c", 1)), *canceller = asyncio_create_task(cancel_victim());
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_lock_release(&lock);
    CHECK_EQUAL(asyncio_await(a), 0);
    CHECK_EQUAL(asyncio_await(c), 0);
    CHECK_EQUAL(asyncio_await(canceller), 0);
    intptr_t result;
    CHECK_EQUAL(asyncio_join(asyncio_ref(victim), &result), 0);
    CHECK(result == 0 || (result == -ECANCELED && victim_was_cancelled));
    CHECK(!asyncio_lock_locked(&lock) && !waiters_any(&lock.waiters_));
    asyncio_release(victim);
    trail[0] = '\0';
    return 0;
}

TEST(a_cancel_at_each_hop)
{
    sweep_hops(hops_lock_main);
}

ASYNC(gives_way)
{
    asyncio_lock_acquire(&lock);
    asyncio_sleep(0);
    asyncio_lock_release(&lock);
    return 0;
}

ASYNC(suspensions_subject)
{
    asyncio_task *other = asyncio_create_task(gives_way());
    asyncio_sleep(0);
    int err = asyncio_lock_acquire(&lock);
    if (!err)
        asyncio_lock_release(&lock);
    intptr_t ended = asyncio_await(other);
    return err ? err : ended;
}

static void check_free(intptr_t result, unsigned suspension)
{
    CHECK(suspension || result == 0);
    CHECK(!asyncio_lock_locked(&lock) && !waiters_any(&lock.waiters_));
}

TEST(a_cancel_at_each_suspension)
{
    sweep_cancels(suspensions_subject, check_free);
    sweep_failures(suspensions_subject);
    assert_false(asyncio_lock_locked(&lock));
}

/* ---- The model ------------------------------------------------------------------------
 * A holder, and a line of those who wait. */

static struct {
    int holder; /* -1: none */
    struct line line;
} model;

static void check_model(void)
{
    CHECK_EQUAL(lock.owner_, model.holder < 0 ? 0 : workers[model.holder]->id);
    CHECK_EQUAL(asyncio_lock_locked(&lock), model.holder >= 0);
    CHECK(waiters_are_line(&lock.waiters_, &model.line));
}

static void model_acquire(int who)
{
    outcomes[who] = UNDECIDED;
    if (model.holder < 0) {
        model.holder = who;
        outcomes[who] = 0;
    } else if (has_request(who)) {
        outcomes[who] = -ECANCELED;
    } else {
        line_add(&model.line, who);
    }
}

static void model_release(void)
{
    model.holder = model.line.count ? line_take(&model.line) : -1;
    if (model.holder >= 0)
        outcomes[model.holder] = 0;
}

static void model_cancel(int who)
{
    if (line_remove(&model.line, who))
        outcomes[who] = -ECANCELED;
}

ASYNC(worker, int, who)
{
    for (int i = 0; i < OPERATIONS; i++) {
        pause_somewhat();
        model_acquire(who);
        int err = asyncio_lock_acquire(&lock);
        CHECK_EQUAL(err, outcomes[who]);
        check_model();
        if (err)
            continue;
        for (int hops = draw(3); hops > 0; hops--)
            pause_somewhat();
        check_model();
        model_release();
        CHECK_EQUAL(asyncio_lock_release(&lock), 0);
        check_model();
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
        model_cancel(who);
        asyncio_cancel(workers[who]);
        check_model();
    }
}

ASYNC(model_lock_main)
{
    model.holder = -1;
    run_workers(worker, meddler);
    check_model();
    CHECK(!asyncio_lock_locked(&lock));
    return 0;
}

TEST(model)
{
    run_model(model_lock_main);
}

/* ---- Whose loop --------------------------------------------------------------------------- */

enum call { ACQUIRE, RELEASE, LOOK };

static void *in_another_thread(void *arg)
{
    switch (*(enum call *)arg) {
    case ACQUIRE:
        asyncio_lock_acquire(&lock);
        break;
    case RELEASE:
        asyncio_lock_release(&lock);
        break;
    case LOOK:
        asyncio_lock_locked(&lock);
        break;
    }
    return NULL;
}

ASYNC(wrong_thread_main, enum call, call)
{
    pthread_t thread;
    asyncio_lock_acquire(&lock);
    asyncio_lock_release(&lock);
    pthread_create(&thread, NULL, in_another_thread, &call);
    pthread_join(thread, NULL);
    return 0;
}

static void acquire_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main(ACQUIRE));
}

static void release_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main(RELEASE));
}

static void look_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main(LOOK));
}

TEST(a_wrong_thread_aborts)
{
    check_dies(acquire_in_a_wrong_thread, "asyncio_lock_acquire was called from a thread");
    check_dies(release_in_a_wrong_thread, "asyncio_lock_release was called from a thread");
    check_dies(look_in_a_wrong_thread, "asyncio_lock_locked was called from a thread");
}

ASYNC(use_main)
{
    asyncio_task *a = asyncio_create_task(holds("a", 1)), *b = asyncio_create_task(holds("b", 0));
    CHECK_EQUAL(asyncio_gather(NULL, a, b), 0);
    CHECK_TRAIL("a:ok b:ok ");
    return 0;
}

static void *run_in_thread(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_run(use_main()), 0);
    return NULL;
}

TEST(one_run_after_the_other_may_use_it)
{
    pthread_t thread;
    assert_int_equal(run(use_main), 0);
    assert_int_equal(run(use_main), 0);
    pthread_create(&thread, NULL, run_in_thread, NULL);
    pthread_join(thread, NULL);
    harness_settle();
    assert_int_equal(run(use_main), 0);
}

ASYNC(take_main)
{
    return asyncio_lock_acquire(&lock);
}

ASYNC(give_main)
{
    return asyncio_lock_release(&lock);
}

TEST(two_loops_of_a_thread)
{
    asyncio_runner one, two;
    assert_int_equal(asyncio_runner_init(&one, NULL), 0);
    assert_int_equal(asyncio_runner_init(&two, NULL), 0);
    assert_int_equal(asyncio_runner_run(&one, take_main()), 0);
    assert_int_equal(asyncio_runner_run(&two, take_main()), ASYNCIO_ESTATE);
    assert_non_null(strstr(asyncio_error_message(), "another event loop"));
    assert_int_equal(asyncio_runner_run(&one, give_main()), 0);
    assert_int_equal(asyncio_runner_run(&two, take_main()), 0);
    assert_int_equal(asyncio_runner_run(&two, give_main()), 0);
    assert_int_equal(asyncio_runner_close(&one), 0);
    assert_int_equal(asyncio_runner_close(&two), 0);
}

TEST(a_lock_left_held_by_a_closed_loop)
{
    assert_int_equal(run(take_main), 0);
    assert_true(asyncio_lock_locked(&lock));
    assert_int_equal(asyncio_run(take_main()), ASYNCIO_ESTATE);
    assert_non_null(strstr(asyncio_error_message(), "closed meanwhile"));
    assert_int_equal(run(give_main), 0);
    assert_int_equal(run(take_main), 0);
    assert_int_equal(asyncio_lock_release(&lock), 0);
}

ASYNC(abandon_main, int, waiting)
{
    asyncio_lock_acquire(&lock);
    for (int i = 0; i < waiting; i++)
        asyncio_release(asyncio_create_task(holds("x", 0)));
    settle();
    asyncio_lock_release(&lock);
    return stop_for_good();
}

TEST(a_grant_to_a_task_that_never_runs_again_goes_on)
{
    for (int waiting = 0; waiting < 4; waiting++) {
        run_and_close(abandon_main(waiting));
        assert_false(asyncio_lock_locked(&lock));
        assert_false(waiters_any(&lock.waiters_));
        assert_string_equal(trail, "");
        assert_int_equal(run(use_main), 0);
    }
}

/* ---- Reports -------------------------------------------------------------------------------- */

ASYNC(keeps_it)
{
    return asyncio_lock_acquire(&lock);
}

ASYNC(deadlock_main, bool, greedy)
{
    asyncio_task_set_name(asyncio_current_task(), "main");
    CHECK_EQUAL(greedy ? asyncio_lock_acquire(&lock) : asyncio_await(asyncio_create_task(keeps_it())), 0);
    return asyncio_lock_acquire(&lock);
}

static void check_deadlock(bool greedy, const char *words)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    asyncio_loop *loop = asyncio_loop_new(&options);
    record_reports(loop);
    asyncio_release(asyncio_loop_create_task(loop, deadlock_main(greedy)));
    assert_int_equal(asyncio_loop_run_forever(loop), -EDEADLK);
    assert_true(report_count >= 2);
    CHECK_HAS(reports[1].message, "main waits in lock, held by ");
    CHECK_HAS(reports[1].message, words);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    asyncio_lock_init(&lock);
    harness_settle();
}

TEST(a_deadlock_report_names_the_holder)
{
    check_deadlock(true, "task 'main'");
    check_deadlock(false, ", which has ended");
}

TEST_MAIN()
