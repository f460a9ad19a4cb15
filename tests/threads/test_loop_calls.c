/*
 * Calls from one loop to another: results, messages, contexts, requests to cancel, loops that end before,
 * meanwhile and after; calls on all loops, and the choice of one.
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "sys/sys.h"
#include "threads/loops.h"
#include "threads/thread_test.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static struct ledger before;

static int note_ledger(void **state)
{
    (void)state;
    before = ledger_now();
    return 0;
}

static int check_ledger(void **state)
{
    (void)state;
    CHECK(ledger_is(&before));
    harness_settle();
    return 0;
}

/* ---- Two loops ------------------------------------------------------------------------------- */

static asyncio_loops *loops;
static asyncio_loop *far; /* loop 1 */

/* Until it is cancelled, or its time has come. */
ASYNC(stays)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    return 0;
}

typedef asyncio_coro *(*scenario)(void);

ASYNC(plays, scenario, scene)
{
    intptr_t result = asyncio_await(scene());
    asyncio_loops_stop(loops);
    return result;
}

static asyncio_coro *make_scene(int index, asyncio_loops *all, void *arg)
{
    if (index)
        return stays();
    loops = all;
    far = asyncio_loops_get(all, 1);
    return plays((scenario)arg);
}

static void play(scenario scene, int count)
{
    const asyncio_loops_options options = {.count = count};
    CHECK_EQUAL(asyncio_run_loops(make_scene, (void *)scene, &options), 0);
}

/* A test that runs on loop 0, with others beside it. */
#define SCENE_OF(count, name)                                                                                \
    static asyncio_coro *scene_##name(void);                                                                 \
    TEST(name)                                                                                               \
    {                                                                                                        \
        play(scene_##name, (count));                                                                         \
    }                                                                                                        \
    ASYNC(scene_##name)
#define SCENE(name) SCENE_OF(2, name)

/* Nothing of a call is left when this returns: what the other side still does for it comes before. */
static void let_far_catch_up(void);

/* ---- There and back ------------------------------------------------------------------------------ */

static asyncio_contextvar colour = ASYNCIO_CONTEXTVAR_INIT("colour", NULL);

ASYNC(where)
{
    return asyncio_loops_index();
}

ASYNC(raises, intptr_t, err)
{
    asyncio_sleep(0);
    return asyncio_raise(err, "number %d on loop %d", (int)err, asyncio_loops_index());
}

ASYNC(colour_there)
{
    void *seen = asyncio_contextvar_get(&colour);
    asyncio_contextvar_set(&colour, (void *)"green", NULL);
    return seen && !strcmp(seen, "red");
}

static void let_far_catch_up(void)
{
    CHECK_EQUAL(asyncio_await_on(far, where()), 1);
}

SCENE(results_and_messages_come_back)
{
    CHECK_EQUAL(asyncio_await_on(far, where()), 1);
    CHECK_EQUAL(asyncio_await_on(far, raises(-EPROTO)), -EPROTO);
    CHECK_TEXT(asyncio_error_message(), "number -71 on loop 1");
    CHECK_EQUAL(asyncio_await_on(far, raises(-ECANCELED)), -ECANCELED);
    CHECK_EQUAL(asyncio_await_on(asyncio_loops_get(loops, 0), where()), 0);
    CHECK_EQUAL((asyncio_await_on)(far, where()), 1);
    return 0;
}

SCENE(context_variables_go_along)
{
    asyncio_contextvar_set(&colour, (void *)"red", NULL);
    CHECK_EQUAL(asyncio_await_on(far, colour_there()), 1);
    CHECK_TEXT(asyncio_contextvar_get(&colour), "red");
    return 0;
}

static void drop_counted(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

static intptr_t never_runs(void *arg)
{
    (void)arg;
    harness_failed(__FILE__, __LINE__, "reached");
    return 0;
}

static void call_outside_tasks(void *arg)
{
    _Atomic int *count = arg;
    CHECK_EQUAL(asyncio_await_on(far, asyncio_coro_new(never_runs, (void *)count, drop_counted)),
                ASYNCIO_ENOTASK);
    asyncio_future *future = asyncio_submit_to(far, where()); /* that one may be made there */
    CHECK(future);
    asyncio_release(future);
    atomic_fetch_add(count, 1);
}

SCENE(refusals)
{
    _Atomic int count = 0;
    CHECK_EQUAL(asyncio_await_on(far, NULL), -ENOMEM);
    CHECK_EQUAL(asyncio_await_on(NULL, asyncio_coro_new(never_runs, (void *)&count, drop_counted)), -EINVAL);
    CHECK_EQUAL(atomic_load(&count), 1);
    CHECK(!asyncio_submit_to(far, NULL));
    asyncio_future *future =
        asyncio_submit_to(NULL, asyncio_coro_new(never_runs, (void *)&count, drop_counted));
    CHECK_EQUAL(asyncio_await(future), -EINVAL);
    CHECK_EQUAL(atomic_load(&count), 2);
    asyncio_loop_call_soon(asyncio_get_running_loop(), call_outside_tasks, (void *)&count);
    asyncio_sleep(0);
    CHECK_EQUAL(atomic_load(&count), 4);
    CHECK_EQUAL(asyncio_gather_on_all(NULL, NULL, NULL, NULL), -EINVAL);
    let_far_catch_up();
    return 0;
}

TEST(outside_of_any_loop)
{
    _Atomic int count = 0;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHECK_EQUAL(asyncio_await_on(loop, asyncio_coro_new(never_runs, (void *)&count, drop_counted)),
                ASYNCIO_ENOTASK);
    CHECK(!asyncio_submit_to(loop, asyncio_coro_new(never_runs, (void *)&count, drop_counted)));
    CHECK_EQUAL(atomic_load(&count), 2);
    asyncio_loop_release(loop);
}

/* A on B on A, many times over. */
ASYNC(ping_pong, int, left)
{
    int next = 1 - asyncio_loops_index();
    if (!left)
        return 0;
    intptr_t result =
        asyncio_await_on_at(asyncio_loops_get(loops, next),
                            ((asyncio_coro * (*)(int)) asyncio_contextvar_get(&colour))(left - 1), NULL);
    return result < 0 ? result : result + 1;
}

SCENE(calls_upon_calls)
{
    asyncio_contextvar_set(&colour, (void *)ping_pong, NULL);
    CHECK_EQUAL(asyncio_await(ping_pong(50)), 50);
    return 0;
}

/* Each loop calls the other at the same time, many times. */
ASYNC(calls_many, int, target, int, times)
{
    for (int i = 0; i < times; i++)
        CHECK_EQUAL(asyncio_await_on(asyncio_loops_get(loops, target), where()), target);
    return 0;
}

SCENE(in_both_directions_at_once)
{
    asyncio_future *there = asyncio_submit_to(far, calls_many(0, 200));
    CHECK_EQUAL(asyncio_await(calls_many(1, 200)), 0);
    CHECK_EQUAL(asyncio_await(there), 0);
    return 0;
}

/* ---- Requests to cancel ---------------------------------------------------------------------- */

static _Atomic int cancels_there;

ASYNC(sleeps_there)
{
    intptr_t err = asyncio_sleep(ASYNCIO_FOREVER);
    CHECK_EQUAL(err, -ECANCELED);
    atomic_store(&cancels_there, asyncio_task_cancelling(asyncio_current_task()));
    return err;
}

ASYNC(insists_there, intptr_t, result)
{
    while (asyncio_sleep(ASYNCIO_FOREVER) != -ECANCELED)
        ;
    return result;
}

ASYNC(asks, asyncio_coro *, coro)
{
    return asyncio_await_on(far, coro);
}

SCENE(a_request_goes_over_and_is_answered)
{
    asyncio_task *task = asyncio_create_task(asks(sleeps_there()));
    let_far_catch_up();
    CHECK(asyncio_cancel_with(task, "no more"));
    CHECK(!asyncio_done(task)); /* not before the other loop has answered */
    intptr_t result;
    CHECK_EQUAL(asyncio_join(asyncio_ref(task), &result), 0);
    CHECK_EQUAL(result, -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "no more");
    CHECK_EQUAL(atomic_load(&cancels_there), 1);
    asyncio_release(task);
    let_far_catch_up();
    return 0;
}

/* Sent before the coroutine could begin: it runs, and its first wait fails. */
SCENE(a_request_that_comes_at_once)
{
    for (int i = 0; i < 20; i++) {
        asyncio_task *task = asyncio_create_task(asks(sleeps_there()));
        asyncio_sleep(0);
        asyncio_cancel(task);
        CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    }
    let_far_catch_up();
    return 0;
}

ASYNC(asks_and_goes_on, int *, pending)
{
    CHECK_EQUAL(asyncio_await_on(far, insists_there(9)), 9); /* the result wins; the request is used up */
    *pending = asyncio_sleep(0);
    return 9;
}

SCENE(a_result_wins_over_a_request)
{
    int pending = -1;
    asyncio_task *task = asyncio_create_task(asks_and_goes_on(&pending));
    let_far_catch_up();
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), 9);
    CHECK_EQUAL(pending, 0);
    let_far_catch_up();
    return 0;
}

ASYNC(asks_while_cancelled)
{
    asyncio_cancel(asyncio_current_task());
    return asyncio_await_on(far, sleeps_there());
}

SCENE(a_request_that_was_there_before)
{
    CHECK_EQUAL(asyncio_await(asyncio_create_task(asks_while_cancelled())), -ECANCELED);
    let_far_catch_up();
    return 0;
}

/* Each counts there. */
ASYNC(counts_requests_there)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    for (int i = 0; i < 1000 && asyncio_task_cancelling(asyncio_current_task()) < 3; i++)
        asyncio_sleep(0.001);
    return asyncio_task_cancelling(asyncio_current_task());
}

SCENE(several_requests)
{
    asyncio_future *future = asyncio_submit_to(far, counts_requests_there());
    let_far_catch_up();
    for (int i = 0; i < 3; i++)
        CHECK(asyncio_cancel_with(future, i == 1 ? "why" : NULL));
    CHECK_EQUAL(asyncio_await(future), 3);
    let_far_catch_up();
    return 0;
}

/* Requests that cross the result: either wins, and nothing is lost. */
SCENE(requests_that_cross_the_result)
{
    for (int i = 0; i < 300; i++) {
        asyncio_future *future = asyncio_submit_to(far, where());
        for (int k = i % 7; k > 0; k--)
            asyncio_sleep(0);
        asyncio_cancel(future);
        CHECK_EQUAL(asyncio_await(future), 1); /* it never waits, so no request ends it */
    }
    let_far_catch_up();
    return 0;
}

/* ---- Futures --------------------------------------------------------------------------------- */

SCENE(a_future_is_a_tasks)
{
    asyncio_future *future = asyncio_submit_to(far, sleeps_there());
    CHECK(!asyncio_done(future));
    CHECK_EQUAL(asyncio_result(future), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_future_set_result(future, 1), -EINVAL);
    CHECK(asyncio_cancel(future));
    CHECK(!asyncio_done(future));
    CHECK_EQUAL(asyncio_await(asyncio_ref(future)), -ECANCELED);
    CHECK(asyncio_cancelled(future));
    CHECK(!asyncio_cancel(future));
    asyncio_release(future);
    CHECK_EQUAL(asyncio_wait_for(asyncio_submit_to(far, sleeps_there()), 0.001), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_shield(asyncio_submit_to(far, where())), 1);
    future = asyncio_submit_to(asyncio_loops_get(loops, 0), where());
    CHECK_EQUAL(asyncio_await(future), 0);
    let_far_catch_up();
    return 0;
}

SCENE(gathered)
{
    intptr_t results[3];
    CHECK_EQUAL(
        asyncio_gather(results, asyncio_submit_to(far, where()), where(), asyncio_submit_to(far, where())),
        0);
    CHECK(results[0] == 1 && results[1] == 0 && results[2] == 1);
    CHECK_EQUAL(asyncio_gather(results, asyncio_submit_to(far, sleeps_there()), raises(-EIO)), -EIO);
    CHECK_EQUAL(results[0], -ECANCELED);
    let_far_catch_up();
    return 0;
}

static _Atomic int went_on;

ASYNC(goes_on_there)
{
    asyncio_sleep(0.01);
    atomic_fetch_add(&went_on, 1);
    return 0;
}

SCENE(released_it_goes_on)
{
    atomic_store(&went_on, 0);
    asyncio_release(asyncio_submit_to(far, goes_on_there()));
    while (!atomic_load(&went_on))
        asyncio_sleep(0.001);
    let_far_catch_up();
    return 0;
}

/* A failure that nobody awaits is reported by the caller's loop. */
SCENE(a_failure_that_nobody_sees)
{
    record_reports(asyncio_get_running_loop());
    asyncio_release(asyncio_submit_to(far, raises(-EIO)));
    while (!report_count)
        asyncio_sleep(0.001);
    CHECK_EQUAL(reports[0].error, -EIO);
    CHECK_HAS(reports[0].file, "test_loop_calls.c");
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), NULL, NULL);
    let_far_catch_up();
    return 0;
}

/* ---- Loops that end -------------------------------------------------------------------------- */

/* The end of the caller's run waits for a call. The other loop ends only after it. */
ASYNC(leaves_a_call)
{
    asyncio_release(asyncio_submit_to(far, goes_on_there()));
    return 0;
}

ASYNC(stays_until_called)
{
    while (!atomic_load(&went_on))
        asyncio_sleep(0.001);
    return 0;
}

static asyncio_coro *make_leaving(int index, asyncio_loops *all, void *arg)
{
    (void)arg;
    if (index)
        return stays_until_called();
    far = asyncio_loops_get(all, 1);
    return leaves_a_call();
}

TEST(the_end_waits_for_calls)
{
    const asyncio_loops_options options = {.count = 2};
    atomic_store(&went_on, 0);
    CHECK_EQUAL(asyncio_run_loops(make_leaving, NULL, &options), 0);
    CHECK_EQUAL(atomic_load(&went_on), 1);
}

static void ignore_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)arg;
    CHECK_EQUAL(context->error, ASYNCIO_ESTATE); /* of a call that found the other one closing */
}

ASYNC(asks_of, asyncio_loop *, other)
{
    return asyncio_await_on(other, sleeps_there());
}

/* Both end at once, with calls under way in both directions, of which each waits for the other. */
ASYNC(leaves_calls_of_both_kinds, asyncio_loop *, other)
{
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), ignore_report, NULL);
    for (int i = 0; i < 10; i++)
        asyncio_release(asyncio_create_task(asks_of(other)));
    asyncio_release(asyncio_submit_to(other, sleeps_there()));
    asyncio_sleep(0.001);
    return 0;
}

static asyncio_coro *make_crossing(int index, asyncio_loops *all, void *arg)
{
    (void)arg;
    return leaves_calls_of_both_kinds(asyncio_loops_get(all, 1 - index));
}

TEST(both_end_with_calls_under_way)
{
    const asyncio_loops_options options = {.count = 2};
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(asyncio_run_loops(make_crossing, NULL, &options), 0);
}

/* The target is at its end, and then closed: what was not begun is closed unrun. */
ASYNC(calls_until_refused, int *, answered)
{
    _Atomic int dropped_there = 0, count = 0;
    intptr_t result;
    do {
        result = asyncio_await_on(far, where());
        *answered += result >= 0;
    } while (result >= 0);
    CHECK_EQUAL(result, ASYNCIO_ESTATE);
    CHECK_HAS(asyncio_error_message(), "clos");
    result = asyncio_await_on(far, asyncio_coro_new(never_runs, (void *)&dropped_there, drop_counted));
    CHECK_EQUAL(result, ASYNCIO_ESTATE);
    CHECK_EQUAL(atomic_load(&dropped_there), 1);
    asyncio_future *future =
        asyncio_submit_to(far, asyncio_coro_new(never_runs, (void *)&count, drop_counted));
    CHECK_EQUAL(asyncio_await(future), ASYNCIO_ESTATE);
    return 0;
}

ASYNC(ends_soon, _Atomic int *, turns)
{
    while (atomic_fetch_sub(turns, 1) > 0)
        asyncio_sleep(0);
    return 0;
}

struct ending {
    _Atomic int turns;
    int answered;
};

static asyncio_coro *make_ending(int index, asyncio_loops *all, void *arg)
{
    struct ending *ending = arg;
    if (index == 0)
        far = asyncio_loops_get(all, 1);
    return index ? ends_soon(&ending->turns) : calls_until_refused(&ending->answered);
}

TEST(a_target_that_ends)
{
    const asyncio_loops_options options = {.count = 2};
    for (int i = 0; i < 50; i++) {
        struct ending ending = {.turns = i};
        CHECK_EQUAL(asyncio_run_loops(make_ending, &ending, &options), 0);
    }
}

/* Closed without a shutdown, with a task of ours in it: the answer comes, and its stack is kept. */
static struct other other;

ASYNC(begins_there, _Atomic int *, begun)
{
    atomic_store(begun, 1);
    asyncio_sleep(ASYNCIO_FOREVER);
    harness_failed(__FILE__, __LINE__, "reached");
    return 0;
}

ASYNC(calls_one_that_closes)
{
    static _Atomic int begun;
    atomic_store(&begun, 0);
    asyncio_future *call = asyncio_submit_to(other.loop, begins_there(&begun));
    while (!atomic_load(&begun))
        asyncio_sleep(0.001);
    asyncio_loop_call_soon_threadsafe(other.loop, stop_other, other.loop);
    CHECK_EQUAL(asyncio_await(call), ASYNCIO_ESTATE);
    CHECK_TEXT(asyncio_error_message(), "the loop was closed before the task ended");
    return 0;
}

TEST(a_target_that_closes_over_a_task)
{
    struct ledger start = ledger_now();
    other_begin(&other);
    CHECK_EQUAL(asyncio_run(calls_one_that_closes()), 0);
    pthread_join(other.thread, NULL);
    asyncio_loop_release(other.loop);
    CHECK_EQUAL(other.reports, 1);                       /* destroyed but pending */
    before.blocks += ledger_now().blocks - start.blocks; /* the abandoned task, and its stack */
    before.mapped = ledger_now().mapped;
    before.allocations = ledger_now().allocations;
}

/* The caller closes first; the other loop ends the call, and nobody is told. */
static asyncio_future *left_behind;

ASYNC(submits_and_leaves)
{
    left_behind = asyncio_submit_to(other.loop, goes_on_there());
    return 0;
}

TEST(a_caller_that_closes)
{
    other_begin(&other);
    atomic_store(&went_on, 0);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHECK_EQUAL(asyncio_loop_run_until_complete(
                    loop, asyncio_ensure_future(asyncio_loop_create_task(loop, submits_and_leaves()))),
                0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    CHECK(!asyncio_done(left_behind));
    asyncio_cancel(left_behind); /* goes nowhere */
    wait_for(&went_on, 1);
    CHECK(!asyncio_done(left_behind));
    asyncio_release(left_behind);
    asyncio_loop_release(loop);
    other_end(&other);
    CHECK(wait_for_ledger(&before));
}

/* A loop that is only stopped is waited for. */
ASYNC(calls_a_stopped_one, asyncio_loop *, stopped)
{
    return asyncio_await_on(stopped, where());
}

static void *run_later(void *arg)
{
    asyncio_loop *loop = arg;
    while (!asy_posts_pending(loop))
        usleep(100);
    for (int i = 0; i < 3; i++) /* takes the call, begins the task, ends it */
        CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    return NULL;
}

TEST(a_target_that_runs_later)
{
    pthread_t thread;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    assert_int_equal(pthread_create(&thread, NULL, run_later, loop), 0);
    CHECK_EQUAL(asyncio_run(calls_a_stopped_one(loop)), -1); /* it has no index */
    pthread_join(thread, NULL);
    asyncio_loop_release(loop);
    CHECK(wait_for_ledger(&before));
}

/* ---- On all of them -------------------------------------------------------------------------- */

static asyncio_coro *make_where(int index, asyncio_loops *all, void *arg)
{
    CHECK(all == loops && arg == &colour);
    CHECK_EQUAL(asyncio_loops_index(), index); /* made there */
    return where();
}

static asyncio_coro *make_none(int index, asyncio_loops *all, void *arg)
{
    (void)all;
    return index == *(int *)arg ? NULL : sleeps_there();
}

static asyncio_coro *make_sleeping(int index, asyncio_loops *all, void *arg)
{
    (void)index, (void)all, (void)arg;
    return sleeps_there();
}

ASYNC(asks_all, intptr_t *, results)
{
    return asyncio_gather_on_all(loops, make_sleeping, NULL, results);
}

SCENE_OF(4, on_all_loops)
{
    intptr_t results[4];
    int none = 2;
    CHECK_EQUAL(asyncio_gather_on_all(loops, make_where, &colour, results), 0);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(results[i], i);
    CHECK_EQUAL(asyncio_gather_on_all(loops, make_where, &colour, NULL), 0);
    CHECK_EQUAL(asyncio_gather_on_all(loops, make_none, &none, results), -ENOMEM);
    CHECK_HAS(asyncio_error_message(), "no coroutine for loop 2");
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(results[i], i == none ? -ENOMEM : -ECANCELED);
    memset(results, 0, sizeof results);
    asyncio_task *task = asyncio_create_task(asks_all(results));
    asyncio_sleep(0.001);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(results[i], -ECANCELED);
    CHECK_EQUAL(asyncio_gather_on_all(loops, make_where, &colour, NULL), 0);
    return 0;
}

/* ---- Choosing one ---------------------------------------------------------------------------- */

/* The busiest one is never taken; each of the others is, as two are drawn. */
SCENE_OF(4, the_less_busy_of_two)
{
    int taken[4] = {0};
    asyncio_loops_get(loops, 2)->load.clients += 5;
    for (int i = 0; i < 2000; i++) {
        asyncio_loop *loop = asyncio_loops_idlest(loops);
        for (int k = 0; k < 4; k++)
            taken[k] += loop == asyncio_loops_get(loops, k);
    }
    CHECK(taken[0] && taken[1] && taken[3] && !taken[2]);
    asyncio_loops_get(loops, 2)->load.clients -= 5;
    for (int i = 0; i < 4; i++)
        CHECK_EQUAL(asyncio_loops_get(loops, i)->load.calls, 0); /* all have begun, and are counted no more */
    return 0;
}

/* ---- Failures -------------------------------------------------------------------------------- */

static asyncio_coro *make_raising(int index, asyncio_loops *all, void *arg)
{
    (void)all, (void)arg;
    return index ? raises(-EIO) : where();
}

ASYNC(calls_on_a_bad_day)
{
    static uint64_t at;
    static bool is_sticky;
    for (int ways = 0; ways < 2; ways++, is_sticky = !is_sticky) {
        for (at = 1;; at++) {
            asy_fault_arm(at, is_sticky);
            intptr_t one = asyncio_await_on(far, where());
            asyncio_future *future = asyncio_submit_to(far, raises(-EIO));
            if (future)
                asyncio_cancel_with(future, "words");
            intptr_t other_one = asyncio_await(future);
            int all = asyncio_gather_on_all(loops, make_raising, NULL, NULL);
            uint64_t calls = asy_fault_disarm();
            CHECK(one == 1 || one == -ENOMEM);
            CHECK(other_one == -EIO || other_one == -ENOMEM || other_one == -ECANCELED);
            CHECK(all == -EIO || all == -ENOMEM);
            if (calls < at)
                break;
        }
        CHECK(at > 5 && at < 200);
    }
    let_far_catch_up();
    return 0;
}

TEST(without_memory)
{
    play(calls_on_a_bad_day, 2);
}

int main(void)
{
    static const struct test_fixtures fixtures = {.setup = note_ledger, .teardown = check_ledger};
    return tests_run(&fixtures);
}
