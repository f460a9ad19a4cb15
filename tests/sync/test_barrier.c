/*
 * The barrier: its phases, and what a cancel, a reset and an abort do in each.
 */
#include "support/test.h"
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

TEST(plain_use)
{
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

TEST(behaviour_48_it_is_used_again_and_numbers_are_unique)
{
    assert_int_equal(run(reuse_main), 0);
    run_all_seeds(reuse_main);
}

ASYNC_TEST(behaviour_48_a_cancelled_filler_leaves)
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

/* Starts one that waits, as soon as it runs. */
static asyncio_task *starts(const char *name)
{
    return asyncio_create_task(meets(name));
}

/* a and b waited, and main lets them go. Before them in the ready queue stand n late ones and `between`,
 * which may be NULL. */
static void begin_to_drain(asyncio_task *tasks[2], asyncio_task *late[], size_t n, asyncio_coro *between)
{
    static const char *const names[] = {"c", "d", "e", "f"};
    tasks[0] = starts("a");
    tasks[1] = starts("b");
    settle();
    for (size_t i = 0; i < n; i++)
        late[i] = starts(names[i]);
    if (between)
        asyncio_release(asyncio_create_task(between));
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    CHECK_EQUAL(barrier.state_, DRAINING);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 0);
}

static void end_all(asyncio_task *tasks[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        asyncio_cancel(tasks[i]);
    CHECK_EQUAL(asyncio_gather_settled_array(NULL, tasks, n), 0);
    CHECK(!waiters_any(&barrier.inside_) && !waiters_any(&barrier.blocked_));
    CHECK_EQUAL(barrier.count_, 0);
    CHECK_EQUAL(barrier.state_, FILLING);
    trail[0] = '\0';
}

ASYNC_TEST(behaviour_48_late_arrivals_wait_until_it_has_drained)
{
    asyncio_task *tasks[2], *late[4];
    begin_to_drain(tasks, late, 4, NULL);
    tick();
    /* c to f came first and were kept out; then a and b left, three came in and met; f is next. */
    CHECK_TRAIL("a:0 b:1 ");
    CHECK_EQUAL(barrier.state_, DRAINING);
    CHECK(waiters_are(&barrier.blocked_, &late[3], 1));
    tick();
    CHECK_TRAIL("c:0 d:1 e:2 ");
    CHECK_EQUAL(barrier.state_, FILLING);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 1);
    end_all(late, 4);
    end_all(tasks, 2);
    return 0;
}

ASYNC_TEST(the_last_one_comes_again_at_once)
{
    asyncio_task *tasks[2];
    begin_to_drain(tasks, NULL, 0, NULL);
    int err;
    ASYNCIO_TIMEOUT(err, 1) {
        err = asyncio_barrier_wait(&barrier); /* a and b leave, nobody else comes */
    }
    CHECK_EQUAL(err, -ETIMEDOUT);
    CHECK_TRAIL("a:0 b:1 ");
    end_all(tasks, 2);
    return 0;
}

ASYNC(cancels_one, asyncio_task **, task)
{
    CHECK_EQUAL(barrier.state_, DRAINING);
    CHECK(asyncio_cancel(*task));
    return 0;
}

ASYNC_TEST(behaviour_48_cancels_after_the_release_and_before_the_admission)
{
    asyncio_task *tasks[2], *late[3];
    begin_to_drain(tasks, NULL, 0, NULL);
    asyncio_cancel(tasks[0]); /* it was let go: it keeps its number */
    settle();
    CHECK_TRAIL("a:0 b:1 ");
    end_all(tasks, 2);
    begin_to_drain(tasks, late, 3, cancels_one(&late[1]));
    settle();
    CHECK_TRAIL("a:0 b:1 d:ECANCELED ");
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 2); /* c and e */
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    settle();
    CHECK_TRAIL("c:0 e:1 ");
    end_all(late, 3);
    end_all(tasks, 2);
    return 0;
}

/* ---- Reset ------------------------------------------------------------------------------ */

ASYNC(reset_filling_main)
{
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    CHECK_EQUAL(barrier.state_, FILLING);
    asyncio_task *tasks[] = {starts("a"), starts("b"), NULL};
    settle();
    tasks[2] = starts("c");
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    CHECK_EQUAL(barrier.state_, RESETTING);
    CHECK(!asyncio_barrier_broken(&barrier));
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 0);
    tick(); /* c comes, and is kept out until a and b have left */
    CHECK_TRAIL("a:ASYNCIO_EBROKEN b:ASYNCIO_EBROKEN ");
    CHECK_EQUAL(barrier.state_, FILLING);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 1);
    end_all(tasks, 3);
    return 0;
}

ASYNC(reset_draining_main)
{
    asyncio_task *tasks[2], *late[1];
    begin_to_drain(tasks, late, 1, NULL);
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0); /* reaches a and b, who have yet to leave */
    CHECK_EQUAL(barrier.state_, RESETTING);
    tick();
    CHECK_TRAIL("a:ASYNCIO_EBROKEN b:ASYNCIO_EBROKEN ");
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), 1);
    end_all(late, 1);
    end_all(tasks, 2);
    return 0;
}

TEST(behaviour_48_reset_while_filling_and_while_draining)
{
    assert_int_equal(run(reset_filling_main), 0);
    assert_int_equal(run(reset_draining_main), 0);
}

/* ---- Abort ------------------------------------------------------------------------------ */

ASYNC(abort_filling_main)
{
    asyncio_task *tasks[] = {starts("a"), starts("b")};
    settle();
    CHECK_EQUAL(asyncio_barrier_abort(&barrier), 0);
    CHECK(asyncio_barrier_broken(&barrier));
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), ASYNCIO_EBROKEN); /* at once, and for all that come */
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);              /* a and b have yet to leave */
    CHECK_EQUAL(barrier.state_, RESETTING);
    CHECK(!asyncio_barrier_broken(&barrier));
    CHECK_EQUAL(asyncio_barrier_abort(&barrier), 0);
    settle();
    CHECK_TRAIL("a:ASYNCIO_EBROKEN b:ASYNCIO_EBROKEN ");
    CHECK(asyncio_barrier_broken(&barrier)); /* that stays, until it is mended */
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), ASYNCIO_EBROKEN);
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    end_all(tasks, 2);
    return 0;
}

ASYNC(breaks_it)
{
    CHECK_EQUAL(barrier.state_, DRAINING);
    return asyncio_barrier_abort(&barrier);
}

ASYNC(abort_draining_main)
{
    asyncio_task *tasks[2], *late[2];
    begin_to_drain(tasks, late, 2, breaks_it()); /* c and d are kept out by then */
    settle();
    CHECK_TRAIL("a:ASYNCIO_EBROKEN b:ASYNCIO_EBROKEN c:ASYNCIO_EBROKEN d:ASYNCIO_EBROKEN ");
    CHECK(asyncio_barrier_broken(&barrier));
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    end_all(late, 2);
    end_all(tasks, 2);
    return 0;
}

static void break_it(void *arg)
{
    (void)arg;
    asyncio_barrier_abort(&barrier);
}

/* Main is kept out while it is reset, and a callback breaks it meanwhile. */
ASYNC(abort_blocked_main)
{
    asyncio_task *tasks[] = {starts("a"), starts("b")};
    settle();
    asyncio_loop_call_soon(asyncio_get_running_loop(), break_it, NULL);
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    CHECK_EQUAL(barrier.state_, RESETTING);
    CHECK_EQUAL(asyncio_barrier_wait(&barrier), ASYNCIO_EBROKEN);
    CHECK(asyncio_barrier_broken(&barrier));
    settle();
    CHECK_TRAIL("a:ASYNCIO_EBROKEN b:ASYNCIO_EBROKEN ");
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
    end_all(tasks, 2);
    return 0;
}

TEST(behaviour_48_abort_in_each_phase)
{
    assert_int_equal(run(abort_filling_main), 0);
    assert_int_equal(run(abort_draining_main), 0);
    assert_int_equal(run(abort_blocked_main), 0);
}

/* ---- A cancel at each hop --------------------------------------------------------------- */

ASYNC(hops_barrier_main)
{
    asyncio_task *tasks[4] = {starts("a")};
    victim = starts("v");
    asyncio_task *canceller = asyncio_create_task(cancel_victim());
    for (int i = 0; i < 3; i++)
        tick();
    tasks[1] = starts("b");
    for (int i = 0; i < 3; i++)
        tick();
    tasks[2] = starts("c");
    settle();
    CHECK_EQUAL(asyncio_await(canceller), 0);
    /* Three of four met, whether or not the victim was one of them. */
    intptr_t result = asyncio_result(victim);
    CHECK(result == -ECANCELED || result >= 0);
    CHECK_EQUAL(asyncio_done(tasks[0]) && asyncio_done(tasks[1]), true);
    CHECK_EQUAL(asyncio_done(tasks[2]), result == -ECANCELED);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), asyncio_done(tasks[2]) ? 0 : 1);
    tasks[3] = victim;
    end_all(tasks, 4);
    return 0;
}

TEST(a_cancel_at_each_hop)
{
    sweep_hops(hops_barrier_main);
}

/* ---- The model -------------------------------------------------------------------------- */

static struct {
    int state;
    struct line inside, blocked;
} model;

static void check_model(void)
{
    CHECK_EQUAL(barrier.state_, model.state);
    CHECK_EQUAL(barrier.count_, model.inside.count);
    CHECK_EQUAL(asyncio_barrier_n_waiting(&barrier), model.state == FILLING ? model.inside.count : 0);
    CHECK_EQUAL(asyncio_barrier_broken(&barrier), model.state == BROKEN);
    CHECK(waiters_are_line(&barrier.inside_, &model.inside));
    CHECK(waiters_are_line(&barrier.blocked_, &model.blocked));
}

static void model_let_go(intptr_t err)
{
    for (int i = 0; i < model.inside.count; i++)
        outcomes[model.inside.who[i]] = err ? err : i;
}

static void model_arrive(int who)
{
    outcomes[who] = UNDECIDED;
    if (model.state == BROKEN) {
        outcomes[who] = ASYNCIO_EBROKEN;
    } else if (model.state == FILLING && model.inside.count == 2) {
        model_let_go(0);
        model.state = DRAINING;
        outcomes[who] = 2;
    } else if (has_request(who)) {
        outcomes[who] = -ECANCELED;
    } else {
        line_add(model.state == FILLING ? &model.inside : &model.blocked, who);
    }
}

static void model_leave(int who)
{
    if (!line_remove(&model.inside, who) || model.inside.count || model.state == BROKEN)
        return;
    model.state = FILLING;
    while (model.state == FILLING && model.blocked.count) {
        line_add(&model.inside, line_take(&model.blocked));
        if (model.inside.count == 3) {
            model_let_go(0);
            model.state = DRAINING;
        }
    }
}

static void model_cancel(int who)
{
    if (line_remove(&model.blocked, who) || (model.state == FILLING && line_remove(&model.inside, who)))
        outcomes[who] = -ECANCELED;
}

static void reset(void)
{
    model_let_go(ASYNCIO_EBROKEN);
    model.state = model.inside.count ? RESETTING : FILLING;
    CHECK_EQUAL(asyncio_barrier_reset(&barrier), 0);
}

static void breaks(void)
{
    model_let_go(ASYNCIO_EBROKEN);
    while (model.blocked.count)
        outcomes[line_take(&model.blocked)] = ASYNCIO_EBROKEN;
    model.state = BROKEN;
    CHECK_EQUAL(asyncio_barrier_abort(&barrier), 0);
}

ASYNC(worker, int, who)
{
    for (int i = 0; i < OPERATIONS; i++) {
        if (draw(2))
            pause_somewhat();
        model_arrive(who);
        int result = asyncio_barrier_wait(&barrier);
        model_leave(who);
        CHECK_EQUAL(result, outcomes[who]);
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
        int who = draw(WORKERS), what = draw(8);
        if (what == 0) {
            breaks();
        } else if (what <= 2) {
            reset();
        } else if (!asyncio_done(workers[who])) {
            model_cancel(who);
            asyncio_cancel(workers[who]);
        }
        check_model();
    }
}

ASYNC(model_barrier_main)
{
    run_workers(worker, meddler);
    reset();
    check_model();
    CHECK_EQUAL(model.state, FILLING);
    return 0;
}

TEST(model)
{
    run_model(model_barrier_main);
}

/* ---- Whose loop --------------------------------------------------------------------------- */

static void *reset_in_thread(void *arg)
{
    (void)arg;
    asyncio_barrier_reset(&barrier);
    return NULL;
}

ASYNC(wrong_thread_main)
{
    pthread_t thread;
    asyncio_release(starts("a"));
    settle();
    pthread_create(&thread, NULL, reset_in_thread, NULL);
    pthread_join(thread, NULL);
    return 0;
}

static void reset_in_a_wrong_thread(void)
{
    asyncio_run(wrong_thread_main());
}

TEST(a_wrong_thread_aborts)
{
    check_dies(reset_in_a_wrong_thread, "asyncio_barrier_reset was called from a thread");
}

/* With so many inside, and of seven: filling, or draining with others kept out. */
ASYNC(abandon_main, int, tasks, int, late)
{
    for (int i = 0; i < tasks; i++)
        asyncio_release(starts("never"));
    settle();
    for (int i = 0; i < late; i++)
        asyncio_release(starts("never"));
    if (tasks == 2)
        CHECK_EQUAL(asyncio_barrier_wait(&barrier), 2);
    return stop_for_good();
}

TEST(a_loop_that_closes_leaves_an_empty_barrier)
{
    for (int tasks = 0; tasks < 3; tasks++) {
        for (int late = 0; late < 5; late++) {
            run_and_close(abandon_main(tasks, late));
            assert_int_equal(asyncio_barrier_n_waiting(&barrier), 0);
            assert_false(waiters_any(&barrier.inside_) || waiters_any(&barrier.blocked_));
            trail[0] = '\0';
            assert_int_equal(run(reuse_main), 0);
        }
    }
}

TEST_MAIN()
