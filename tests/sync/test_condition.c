/*
 * The condition: the lock is held when a wait ends, however it ends, and a notify reaches
 * somebody who goes on.
 */
#include "support/test.h"
#include "sync/sync_test.h"
#include <pthread.h>

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static asyncio_condition condition = ASYNCIO_CONDITION_INIT(&lock);

static bool holds_lock(void)
{
    return lock.owner_ == asyncio_current_task()->id;
}

/* Waits once, keeps the lock for some hops, waits once more at the end. */
ASYNC(waits, const char *, name, int, hops)
{
    int err = asyncio_condition_acquire(&condition);
    if (err)
        return err;
    err = asyncio_condition_wait(&condition);
    CHECK(holds_lock());
    say("%s:%s ", name, outcome(err));
    for (int i = 0; i < hops; i++)
        asyncio_sleep(0);
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    return err ? err : asyncio_sleep(0);
}

static void notify(size_t n)
{
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    CHECK_EQUAL(asyncio_condition_notify(&condition, n), 0);
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
}

/* ---- Plain use ------------------------------------------------------------------ */

ASYNC(plain_main)
{
    CHECK_EQUAL(asyncio_condition_wait(&condition), ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "not held");
    CHECK_EQUAL(asyncio_condition_notify(&condition, 1), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_condition_notify_all(&condition), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_condition_release(&condition), ASYNCIO_ESTATE);
    CHECK(!asyncio_condition_locked(&condition));
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    CHECK(asyncio_condition_locked(&condition) && asyncio_lock_locked(&lock));
    CHECK_EQUAL(asyncio_condition_notify_all(&condition), 0); /* nobody waits */
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);

    asyncio_condition own = ASYNCIO_CONDITION_INIT(NULL), made;
    asyncio_condition_init(&made, NULL);
    CHECK_EQUAL(asyncio_condition_acquire(&own), 0);
    CHECK_EQUAL(asyncio_condition_acquire(&made), 0);
    CHECK(asyncio_condition_locked(&own) && asyncio_condition_locked(&made) && !asyncio_lock_locked(&lock));
    CHECK_EQUAL(asyncio_condition_release(&made), 0);
    CHECK_EQUAL(asyncio_condition_release(&own), 0);
    CHECK(!asyncio_condition_locked(&own));

    asyncio_condition_init(NULL, NULL);
    CHECK_EQUAL(asyncio_condition_acquire(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_condition_release(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_condition_wait(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_condition_notify(NULL, 1), -EINVAL);
    CHECK_EQUAL(asyncio_condition_notify_all(NULL), -EINVAL);
    CHECK_EQUAL(asyncio_condition_wait_for(&own, NULL, NULL), -EINVAL);
    CHECK(!asyncio_condition_locked(NULL));
    return 0;
}

TEST(plain_use)
{
    assert_int_equal(asyncio_condition_wait(&condition), ASYNCIO_ENOTASK);
    assert_int_equal(run(plain_main), 0);
}

ASYNC(notify_main)
{
    asyncio_task *tasks[] = {asyncio_create_task(waits("a", 0)), asyncio_create_task(waits("b", 0)),
                             asyncio_create_task(waits("c", 0)), asyncio_create_task(waits("d", 0))};
    settle();
    CHECK(!asyncio_lock_locked(&lock));
    notify(0);
    settle();
    CHECK_TRAIL("");
    notify(2);
    settle();
    CHECK_TRAIL("a:ok b:ok ");
    asyncio_condition_acquire(&condition);
    CHECK_EQUAL(asyncio_condition_notify_all(&condition), 0);
    settle();
    CHECK_TRAIL(""); /* notified, but the lock is held */
    asyncio_condition_release(&condition);
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, 4), 0);
    CHECK_TRAIL("c:ok d:ok ");
    return 0;
}

TEST_OF(notify_main)

static int level;

static bool is_level(void *wanted)
{
    CHECK(asyncio_lock_locked(&lock));
    return level >= *(int *)wanted;
}

ASYNC(waits_for_level, int, wanted)
{
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    int err = asyncio_condition_wait_for(&condition, is_level, &wanted);
    CHECK(holds_lock());
    say("%d:%s ", wanted, outcome(err));
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    return err;
}

ASYNC_TEST(wait_for_looks_with_the_lock_held)
{
    CHECK_EQUAL(asyncio_condition_wait_for(&condition, is_level, &level), ASYNCIO_ESTATE);
    level = 0;
    asyncio_task *two = asyncio_create_task(waits_for_level(2));
    asyncio_task *one = asyncio_create_task(waits_for_level(1));
    asyncio_task *nine = asyncio_create_task(waits_for_level(9));
    asyncio_task *none = asyncio_create_task(waits_for_level(0));
    settle();
    CHECK_TRAIL("0:ok ");
    for (int i = 0; i < 2; i++) {
        CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
        level++;
        CHECK_EQUAL(asyncio_condition_notify_all(&condition), 0);
        CHECK_EQUAL(asyncio_condition_release(&condition), 0);
        settle();
    }
    CHECK_TRAIL("1:ok 2:ok ");
    asyncio_cancel(nine);
    CHECK_EQUAL(asyncio_await(nine), -ECANCELED);
    CHECK_TRAIL("9:ECANCELED ");
    CHECK_EQUAL(asyncio_gather(NULL, one, two, none), 0);
    return 0;
}

/* ---- Behaviour 46 --------------------------------------------------------------------- */

ASYNC(cancel_waiting_main, bool, lock_is_held)
{
    asyncio_task *a = asyncio_create_task(waits("a", 0)), *b = asyncio_create_task(waits("b", 0));
    settle();
    if (lock_is_held)
        CHECK_EQUAL(asyncio_lock_acquire(&lock), 0);
    CHECK(asyncio_cancel_with(a, "first"));
    settle();
    CHECK_EQUAL(asyncio_done(a), !lock_is_held);
    CHECK(asyncio_cancel_with(a, "last") == lock_is_held);
    if (lock_is_held) {
        asyncio_cancel_with(a, "very last");
        CHECK_EQUAL(asyncio_task_cancelling(a), 3);
        CHECK_EQUAL(asyncio_lock_release(&lock), 0);
    }
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), lock_is_held ? "very last" : "first");
    CHECK_TRAIL("a:ECANCELED ");
    CHECK(!asyncio_lock_locked(&lock));
    notify(1);
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("b:ok ");
    return 0;
}

static asyncio_coro *cancel_with_a_free_lock(void)
{
    return cancel_waiting_main(false);
}

static asyncio_coro *cancel_with_a_held_lock(void)
{
    return cancel_waiting_main(true);
}

TEST(behaviour_46_cancelled_while_waiting_the_lock_is_held_on_exit)
{
    assert_int_equal(run(cancel_with_a_free_lock), 0);
    assert_int_equal(run(cancel_with_a_held_lock), 0);
}

ASYNC_TEST(behaviour_46_cancelled_while_taking_the_lock_again_the_notify_goes_on)
{
    asyncio_task *a = asyncio_create_task(waits("a", 0)), *b = asyncio_create_task(waits("b", 0)),
                 *c = asyncio_create_task(waits("c", 0));
    settle();
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    CHECK_EQUAL(asyncio_condition_notify(&condition, 1), 0);
    asyncio_cancel(a); /* notified, and before it has the lock: the notify goes to b */
    asyncio_cancel(a);
    settle();
    CHECK_TRAIL("");
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    CHECK_EQUAL(asyncio_await(b), 0);
    settle();
    CHECK_TRAIL("a:ECANCELED b:ok ");
    CHECK(waiters_are(&condition.waiters_, &c, 1)); /* one notify, not two */
    notify(1);
    CHECK_EQUAL(asyncio_await(c), 0);
    CHECK_TRAIL("c:ok ");
    return 0;
}

ASYNC_TEST(behaviour_46_cancelled_with_the_lock_in_hand_the_wait_succeeds)
{
    asyncio_task *a = asyncio_create_task(waits("a", 0)), *b = asyncio_create_task(waits("b", 0));
    settle();
    notify(1);
    asyncio_cancel(a); /* it was given the lock: the request ends its next wait */
    CHECK_EQUAL(asyncio_await(a), -ECANCELED);
    settle();
    CHECK_TRAIL("a:ok ");
    CHECK(!asyncio_done(b));
    notify(1);
    CHECK_EQUAL(asyncio_await(b), 0);
    CHECK_TRAIL("b:ok ");
    return 0;
}

ASYNC_TEST(requests_of_all_kinds_leave_the_lock_held)
{
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_condition_wait(&condition), -ECANCELED);
    CHECK(holds_lock());
    CHECK(!waiters_any(&condition.waiters_));
    int err;
    ASYNCIO_TIMEOUT(err, 1) {
        err = asyncio_condition_wait(&condition);
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK(holds_lock());
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    return 0;
}

ASYNC(hops_condition_main)
{
    asyncio_task *a = asyncio_create_task(waits("a", 1));
    asyncio_sleep(0);
    victim = asyncio_create_task(waits("v", 1));
    asyncio_task *canceller = asyncio_create_task(cancel_victim());
    settle(); /* a waits; and v, unless it was cancelled */
    asyncio_task *c = asyncio_create_task(waits("c", 1));
    settle();
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    CHECK_EQUAL(asyncio_condition_notify(&condition, 2), 0);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    intptr_t result;
    CHECK_EQUAL(asyncio_await(a), 0);
    CHECK_EQUAL(asyncio_join(asyncio_ref(victim), &result), 0);
    CHECK(result == 0 || (result == -ECANCELED && victim_was_cancelled));
    settle();
    /* Two notifies woke two: a, and v or c. */
    if (!asyncio_done(c))
        notify(1);
    CHECK_EQUAL(asyncio_await(c), 0);
    CHECK_EQUAL(asyncio_await(canceller), 0);
    asyncio_release(victim);
    CHECK(!asyncio_lock_locked(&lock) && !waiters_any(&condition.waiters_) && !waiters_any(&lock.waiters_));
    trail[0] = '\0';
    return 0;
}

TEST(a_cancel_at_each_hop)
{
    sweep_hops(hops_condition_main);
}

/* The cancel comes at each hop of the notify and the return. */
ASYNC(hops_return_main)
{
    asyncio_task *a = asyncio_create_task(waits("a", 0));
    settle();
    victim = asyncio_create_task(waits("v", 0));
    settle();
    asyncio_task *c = asyncio_create_task(waits("c", 0));
    settle();
    asyncio_task *canceller = asyncio_create_task(cancel_victim());
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_condition_notify(&condition, 2), 0);
    asyncio_sleep(0);
    asyncio_sleep(0);
    CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    settle();
    CHECK(asyncio_done(a) && asyncio_done(victim));
    /* Either v had the notify, or c got it. */
    bool was_woken = asyncio_result(victim) == 0 || strstr(trail, "v:ok");
    CHECK_EQUAL(asyncio_done(c), !was_woken);
    if (!asyncio_done(c))
        notify(1);
    CHECK_EQUAL(asyncio_gather(NULL, a, c, canceller), 0);
    asyncio_release(victim);
    CHECK(!asyncio_lock_locked(&lock));
    trail[0] = '\0';
    return 0;
}

TEST(a_cancel_at_each_hop_of_the_return)
{
    sweep_hops(hops_return_main);
}

/* ---- The model --------------------------------------------------------------------------
 * A lock with a line, and a line of those who wait for a notify. Those in the lock's line
 * acquire it, or return from a wait, notified or cancelled. */

static struct {
    int holder; /* -1: none */
    struct line at_lock, waiting;
    bool returning[WORKERS];
    intptr_t value[WORKERS]; /* what a wait that returns will return */
} model;

static void check_model(void)
{
    CHECK_EQUAL(lock.owner_, model.holder < 0 ? 0 : workers[model.holder]->id);
    CHECK(waiters_are_line(&lock.waiters_, &model.at_lock));
    CHECK(waiters_are_line(&condition.waiters_, &model.waiting));
}

static void model_grant(int who)
{
    model.holder = who;
    outcomes[who] = model.returning[who] ? model.value[who] : 0;
    model.returning[who] = false;
}

static void model_at_lock(int who)
{
    if (model.holder < 0)
        model_grant(who);
    else
        line_add(&model.at_lock, who);
}

static void model_release(void)
{
    model.holder = -1;
    if (model.at_lock.count)
        model_grant(line_take(&model.at_lock));
}

static void model_return(int who, intptr_t value)
{
    model.returning[who] = true;
    model.value[who] = value;
    model_at_lock(who);
}

static void model_notify(int n)
{
    for (; n && model.waiting.count; n--)
        model_return(line_take(&model.waiting), 0);
}

static void model_cancel(int who)
{
    if (line_remove(&model.waiting, who)) {
        model_return(who, -ECANCELED);
    } else if (model.returning[who]) {
        if (model.value[who] == 0) {
            model.value[who] = -ECANCELED;
            model_notify(1);
        }
    } else if (line_remove(&model.at_lock, who)) {
        outcomes[who] = -ECANCELED;
    }
}

static void acquire(int who)
{
    outcomes[who] = UNDECIDED;
    if (model.holder >= 0 && has_request(who))
        outcomes[who] = -ECANCELED;
    else
        model_at_lock(who);
    int err = asyncio_condition_acquire(&condition);
    CHECK_EQUAL(err, outcomes[who]);
    check_model();
}

static void wait_for_notify(int who)
{
    outcomes[who] = UNDECIDED;
    if (has_request(who)) {
        outcomes[who] = -ECANCELED;
    } else {
        line_add(&model.waiting, who);
        model_release();
    }
    int err = asyncio_condition_wait(&condition);
    CHECK_EQUAL(err, outcomes[who]);
    CHECK_EQUAL(model.holder, who);
    check_model();
}

ASYNC(worker, int, who)
{
    for (int i = 0; i < OPERATIONS; i++) {
        pause_somewhat();
        acquire(who);
        if (outcomes[who])
            continue;
        if (draw(2))
            pause_somewhat();
        if (draw(2))
            wait_for_notify(who);
        if (draw(2)) {
            int n = draw(3);
            model_notify(n ? n : WORKERS);
            if (n)
                CHECK_EQUAL(asyncio_condition_notify(&condition, (size_t)n), 0);
            else
                CHECK_EQUAL(asyncio_condition_notify_all(&condition), 0);
            check_model();
        }
        if (draw(2))
            pause_somewhat();
        model_release();
        CHECK_EQUAL(asyncio_condition_release(&condition), 0);
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

ASYNC(model_condition_main)
{
    model.holder = -1;
    run_workers(worker, meddler);
    check_model();
    return 0;
}

TEST(model)
{
    run_model(model_condition_main);
}

/* ---- Whose loop --------------------------------------------------------------------------- */

static void *notify_in_thread(void *arg)
{
    (void)arg;
    asyncio_condition_notify(&condition, 1);
    return NULL;
}

ASYNC(wrong_thread_main)
{
    pthread_t thread;
    asyncio_release(asyncio_create_task(waits("a", 0)));
    settle();
    pthread_create(&thread, NULL, notify_in_thread, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void notify_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main());
}

TEST(a_wrong_thread_aborts)
{
    check_dies(notify_in_a_wrong_thread, "asyncio_condition_notify was called from a thread");
}

/* Waiting, notified, or with the lock in hand: none of them runs again. */
ASYNC(abandon_main, int, notifies, bool, release)
{
    for (int i = 0; i < 3; i++)
        asyncio_release(asyncio_create_task(waits("never", 0)));
    settle();
    CHECK_EQUAL(asyncio_condition_acquire(&condition), 0);
    CHECK_EQUAL(asyncio_condition_notify(&condition, (size_t)notifies), 0);
    if (release)
        CHECK_EQUAL(asyncio_condition_release(&condition), 0);
    return stop_for_good();
}

TEST(a_loop_that_closes_leaves_a_free_lock)
{
    for (int notifies = 0; notifies < 4; notifies++) {
        run_and_close(abandon_main(notifies, true));
        assert_false(asyncio_lock_locked(&lock));
        run_and_close(abandon_main(notifies, false));
        assert_true(asyncio_lock_locked(&lock)); /* main has it */
        assert_int_equal(asyncio_lock_release(&lock), 0);
        assert_false(waiters_any(&lock.waiters_) || waiters_any(&condition.waiters_));
    }
    assert_string_equal(trail, "");
    assert_int_equal(run(notify_main), 0);
}

TEST_MAIN()
