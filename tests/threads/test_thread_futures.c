/*
 * Coroutines submitted from other threads: results, limits, messages, requests to cancel from
 * either side, and loops that close before, meanwhile and after.
 */
#include "base/sanitizer.h"
#include "sys/sys.h"
#include "threads/offload.h"
#include "threads/thread_test.h"
#include <math.h>
#include <sys/wait.h>

static struct other other;

static asyncio_thread_future *submit(asyncio_coro *coro)
{
    return asyncio_run_coroutine_threadsafe(coro, other.loop);
}

static intptr_t result_of(asyncio_thread_future *future)
{
    intptr_t result = asyncio_thread_future_result(future, ASYNCIO_FOREVER);
    asyncio_thread_future_release(future);
    return result;
}

/* body, with a loop in another thread; nothing is left of it. */
static void beside_a_loop(void (*body)(void), size_t told)
{
    struct ledger before = ledger_now();
    other_begin(&other);
    body();
    other_end(&other);
    CHECK_EQUAL(other.reports, told);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* Submitted while a run is at its end: what is left is waited for, what is new is not begun. */
static asyncio_loop *ending;
static bool begun_at_the_end;

ASYNC(comes_too_late)
{
    begun_at_the_end = true;
    return 1;
}

static intptr_t submits_late(void *arg)
{
    (void)arg;
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(comes_too_late(), ending);
    intptr_t result = asyncio_thread_future_result(future, ASYNCIO_FOREVER);
    CHECK_TEXT(asyncio_error_message(), "the loop is about to close");
    asyncio_thread_future_release(future);
    return result;
}

static intptr_t late_result;

ASYNC(is_left)
{
    asyncio_sleep(1000);
    late_result = asyncio_to_thread(submits_late, NULL);
    return 0;
}

ASYNC(main_leaves_one)
{
    ending = asyncio_get_running_loop();
    asyncio_release(asyncio_create_task(is_left()));
    asyncio_sleep(0);
    return 0;
}

TEST(at_the_end)
{
    late_result = 0;
    CHECK_EQUAL(asyncio_run(main_leaves_one()), 0);
    CHECK_EQUAL(late_result, ASYNCIO_ESTATE);
    CHECK(!begun_at_the_end);
    wait_until_no_loop_is_left();
    harness_settle();
}

/* ---- Results ----------------------------------------------------------------------------- */

ASYNC(adds, int, a, int, b)
{
    CHECK(asyncio_get_running_loop() == other.loop);
    int err = asyncio_sleep(0.001);
    return err ? err : a + b;
}

ASYNC(fails, const char *, words)
{
    int err = asyncio_sleep(0);
    return err ? err : words ? asyncio_raise(-EIO, "%s", words) : -EIO;
}

ASYNC(yields, int, times)
{
    for (int i = 0; i < times; i++)
        if (asyncio_sleep(0))
            return -ECANCELED;
    return times;
}

static void results(void)
{
    CHECK_EQUAL(result_of(submit(adds(2, 3))), 5);
    asyncio_thread_future *future = submit(adds(4, 5));
    for (int i = 0; i < 3; i++)
        CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), 9); /* as often as one likes */
    CHECK_EQUAL(asyncio_thread_future_result(future, 0), 9);
    CHECK(!asyncio_thread_future_cancel(future));
    asyncio_thread_future_release(future);
    CHECK_EQUAL(result_of(submit(fails("no luck"))), -EIO);
    CHECK_TEXT(asyncio_error_message(), "no luck");
    CHECK_EQUAL(result_of(submit(fails(NULL))), -EIO);
    CHECK_TEXT(asyncio_error_message(), "");
}

TEST(results)
{
    beside_a_loop(results, 0); /* a failure that was handed over is not unseen */
}

static void arguments(void)
{
    CHECK(submit(NULL) == NULL);
    CHECK(asyncio_run_coroutine_threadsafe(adds(1, 2), NULL) == NULL);
    CHECK_EQUAL(asyncio_thread_future_result(NULL, 1), -EINVAL);
    CHECK_TEXT(asyncio_error_message(), "asyncio_thread_future_result: the future is NULL");
    CHECK(!asyncio_run_coroutine_threadsafe(NULL, asyncio_get_running_loop()));
    CHECK_TEXT(asyncio_error_message(), "asyncio_run_coroutine_threadsafe: the coroutine is NULL");
    CHECK(!asyncio_thread_future_cancel(NULL));
    asyncio_thread_future_release(NULL);
    asyncio_thread_future *future = submit(adds(1, 2));
    CHECK_EQUAL(asyncio_thread_future_result(future, (double)NAN), -EINVAL);
    CHECK_EQUAL(result_of(future), 3);
}

TEST(arguments)
{
    beside_a_loop(arguments, 0);
}

static intptr_t pass_the_gate(void *arg)
{
    return gate_pass(arg);
}

ASYNC(lasts, intptr_t, n)
{
    return asyncio_to_thread(pass_the_gate, (void *)n);
}

/* The limit is over: the task goes on. */
static void limits(void)
{
    gate_set(false);
    asyncio_thread_future *future = submit(lasts(6));
    CHECK_EQUAL(asyncio_thread_future_result(future, -1), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_thread_future_result(future, 0), -ETIMEDOUT);
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_thread_future_result(future, 0.02), -ETIMEDOUT);
    CHECK(asyncio_time() - began >= 0.02);
    gate_set(true);
    CHECK_EQUAL(asyncio_thread_future_result(future, 1000), 6);
    asyncio_thread_future_release(future);
}

TEST(limits)
{
    beside_a_loop(limits, 0);
}

static void *wait_for_six(void *future)
{
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), 6);
    return NULL;
}

/* Several may wait for one. */
static void many_wait(void)
{
    pthread_t threads[5];
    gate_set(false);
    asyncio_thread_future *future = submit(lasts(6));
    for (int i = 0; i < 5; i++)
        pthread_create(&threads[i], NULL, wait_for_six, future);
    usleep(2000);
    gate_set(true);
    for (int i = 0; i < 5; i++)
        pthread_join(threads[i], NULL);
    asyncio_thread_future_release(future);
}

TEST(many_wait)
{
    beside_a_loop(many_wait, 0);
}

/* Let go, it runs all the same. */
static void let_go(void)
{
    gate_set(false);
    gate_set(true);
    for (int i = 0; i < 50; i++)
        asyncio_thread_future_release(submit(lasts(i)));
    while (gate_came() < 50)
        usleep(100);
    CHECK_EQUAL(result_of(submit(adds(0, 1))), 1);
}

TEST(let_go)
{
    beside_a_loop(let_go, 0);
}

/* In order, as they were submitted. */
static int last_begun;

ASYNC(begins, int, n)
{
    CHECK_EQUAL(n, last_begun + 1);
    last_begun = n;
    return n;
}

static void in_order(void)
{
    asyncio_thread_future *futures[100];
    last_begun = 0;
    for (int i = 0; i < 100; i++)
        futures[i] = submit(begins(i + 1));
    for (int i = 0; i < 100; i++)
        CHECK_EQUAL(result_of(futures[i]), i + 1);
}

TEST(in_order)
{
    beside_a_loop(in_order, 0);
}

/* ---- From tasks, of this loop and others ------------------------------------------------- */

ASYNC_TEST(on_its_own_thread)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(yields(1), loop);
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), -EDEADLK);
    CHECK_HAS(asyncio_error_message(), "this is the thread that runs the loop");
    while (asyncio_thread_future_result(future, 0) == -EDEADLK)
        asyncio_sleep(0);
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), 1);
    asyncio_thread_future_release(future);
    return 0;
}

/* The message is the task's that asks. */
ASYNC(asks_another_loop)
{
    CHECK_EQUAL(result_of(submit(fails("far away"))), -EIO);
    CHECK_TEXT(asyncio_error_message(), "far away");
    return asyncio_sleep(0);
}

static void ask_from_a_task(void)
{
    CHECK_EQUAL(asyncio_run(asks_another_loop()), 0);
}

TEST(from_another_loop)
{
    beside_a_loop(ask_from_a_task, 0);
}

/* Work of the loop that asks the loop, which is free to answer. */
static intptr_t ask_back(void *loop)
{
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(yields(3), loop);
    return result_of(future);
}

ASYNC(works_and_answers)
{
    CHECK_EQUAL(asyncio_to_thread(ask_back, asyncio_get_running_loop()), 3);
    return 0;
}

/* The time that it waits for need not come by itself. */
ASYNC(sleeps_long)
{
    int err = asyncio_sleep(0.01);
    return err ? err : 12;
}

static intptr_t ask_back_for_long(void *loop)
{
    return result_of(asyncio_run_coroutine_threadsafe(sleeps_long(), loop));
}

ASYNC(works_and_answers_later)
{
    CHECK_EQUAL(asyncio_to_thread(ask_back_for_long, asyncio_get_running_loop()), 12);
    return 0;
}

TEST(work_that_asks_back)
{
    CHECK_EQUAL(run(works_and_answers), 0);
    CHECK_EQUAL(run(works_and_answers_later), 0);
    CHECK_EQUAL(asyncio_run(works_and_answers()), 0);
    CHECK_EQUAL(asyncio_run(works_and_answers_later()), 0);
    harness_settle();
}

/* ---- Cancelling -------------------------------------------------------------------------- */

static _Atomic int sleeping;

ASYNC(sleeps_for_ever)
{
    atomic_fetch_add(&sleeping, 1);
    return asyncio_sleep(100000);
}

static void wait_sleeping(int count)
{
    while (atomic_load(&sleeping) != count)
        usleep(100);
}

ASYNC(takes_two)
{
    atomic_fetch_add(&sleeping, 1);
    CHECK_EQUAL(asyncio_sleep(100000), -ECANCELED);
    atomic_fetch_add(&sleeping, 1);
    return asyncio_sleep(100000);
}

ASYNC(does_not_care)
{
    asyncio_sleep(100000);
    return 8;
}

ASYNC(cancels_itself)
{
    asyncio_cancel(asyncio_current_task());
    return asyncio_sleep(1);
}

static void cancels(void)
{
    atomic_store(&sleeping, 0);
    asyncio_thread_future *future = submit(sleeps_for_ever());
    wait_sleeping(1);
    CHECK(asyncio_thread_future_cancel(future));
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), -ECANCELED);
    CHECK(!asyncio_thread_future_cancel(future));
    asyncio_thread_future_release(future);

    /* Before it has begun: it still runs, and its first wait fails. */
    future = submit(does_not_care());
    CHECK(asyncio_thread_future_cancel(future));
    CHECK_EQUAL(result_of(future), 8);

    /* A second request, for one who made nothing of the first. */
    atomic_store(&sleeping, 0);
    future = submit(takes_two());
    wait_sleeping(1);
    CHECK(asyncio_thread_future_cancel(future));
    wait_sleeping(2);
    CHECK(asyncio_thread_future_cancel(future));
    CHECK_EQUAL(result_of(future), -ECANCELED);

    /* Cancelled on its own side. */
    CHECK_EQUAL(result_of(submit(cancels_itself())), -ECANCELED);

    /* Let go just after. */
    future = submit(sleeps_for_ever());
    CHECK(asyncio_thread_future_cancel(future));
    asyncio_thread_future_release(future);
    CHECK_EQUAL(result_of(submit(adds(0, 2))), 2);
}

TEST(cancels)
{
    beside_a_loop(cancels, 0);
}

/* Time and again, at whatever moment it comes; with what is ready it may be too late. */
static void cancel_at_any_moment(void)
{
    for (int i = 0; i < 300; i++) {
        asyncio_thread_future *future = submit(yields(i % 7));
        if (i % 3)
            sched_yield();
        bool asked = asyncio_thread_future_cancel(future);
        if (i % 2)
            asked |= asyncio_thread_future_cancel(future);
        intptr_t result = result_of(future);
        CHECK(result == i % 7 || (asked && result == -ECANCELED));
    }
}

TEST(cancel_at_any_moment)
{
    beside_a_loop(cancel_at_any_moment, 0);
}

/* ---- Loops that close -------------------------------------------------------------------- */

TEST(closed_before)
{
    struct ledger before = ledger_now();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(adds(1, 2), loop);
    CHECK(!asyncio_thread_future_cancel(future));
    CHECK_EQUAL(asyncio_thread_future_result(future, ASYNCIO_FOREVER), ASYNCIO_ESTATE);
    CHECK_TEXT(asyncio_error_message(), "the loop is closed");
    asyncio_thread_future_release(future);
    asyncio_loop_release(loop);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* Submitted to a loop that never runs again. */
TEST(closed_before_it_began)
{
    struct ledger before = ledger_now();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(adds(1, 2), loop);
    CHECK(asyncio_thread_future_cancel(future));
    CHECK_EQUAL(asyncio_thread_future_result(future, 0), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    CHECK_EQUAL(result_of(future), ASYNCIO_ESTATE);
    CHECK_EQUAL(report_count, 0); /* it was handed over: not the loop's to miss */
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

static void *wait_for_a_state(void *future)
{
    CHECK_EQUAL(result_of(future), ASYNCIO_ESTATE);
    CHECK_TEXT(asyncio_error_message(), "the loop was closed before the task ended");
    return NULL;
}

/* A loop that closes over a task that waits, or has not had its first step: whoever waits is told. */
static void closed_meanwhile(bool begun)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    pthread_t thread;
    record_reports(loop);
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(sleeps_for_ever(), loop);
    asyncio_loop_stop(loop); /* after a turn, in which it is made a task */
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    if (begun) {
        asyncio_loop_stop(loop);
        CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    }
    CHECK(asyncio_thread_future_cancel(future));
    pthread_create(&thread, NULL, wait_for_a_state, future);
    usleep(2000);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    pthread_join(thread, NULL);
    CHECK_EQUAL(report_count, 1); /* a task was pending */
}

TEST(closed_meanwhile)
{
    closed_meanwhile(false);
    closed_meanwhile(true);
    harness_settle();
}

static asyncio_thread_future *outlives;

static void *submit_and_say_so(void *loop)
{
    outlives = asyncio_run_coroutine_threadsafe(sleeps_for_ever(), loop);
    asyncio_loop_release(loop);
    return NULL;
}

ASYNC(ends_over_a_submission)
{
    pthread_t thread;
    pthread_create(&thread, NULL, submit_and_say_so, asyncio_loop_ref(asyncio_get_running_loop()));
    pthread_join(thread, NULL);
    return asyncio_sleep(0.001);
}

/* The end of a run cancels what others have submitted, as any task; afterwards the result is there still. */
TEST(closed_after)
{
    struct ledger before = ledger_now();
    CHECK_EQUAL(asyncio_run(ends_over_a_submission()), 0);
    CHECK_EQUAL(asyncio_thread_future_result(outlives, 0), -ECANCELED);
    CHECK(!asyncio_thread_future_cancel(outlives));
    asyncio_thread_future_release(outlives);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

static void *submit_until_refused(void *arg)
{
    asyncio_loop *loop = arg;
    intptr_t result;
    do {
        asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(yields(2), loop);
        if (rand() % 2)
            asyncio_thread_future_cancel(future);
        result = result_of(future);
        CHECK(result == 2 || result == -ECANCELED || result == ASYNCIO_ESTATE);
    } while (result != ASYNCIO_ESTATE);
    asyncio_loop_release(loop);
    return NULL;
}

ASYNC(naps, double, seconds)
{
    return asyncio_sleep(seconds);
}

/* A run that ends while four threads submit: each submission ends, and each thread is told in the end. */
TEST(closed_at_any_moment)
{
    struct ledger before = ledger_now();
    for (int round = 0; round < 20; round++) {
        asyncio_runner runner;
        pthread_t threads[4];
        CHECK_EQUAL(asyncio_runner_init(&runner, NULL), 0);
        for (int i = 0; i < 4; i++)
            pthread_create(&threads[i], NULL, submit_until_refused,
                           asyncio_loop_ref(asyncio_runner_get_loop(&runner)));
        CHECK_EQUAL(asyncio_runner_run(&runner, naps(0.0005 * (round % 4))), 0);
        CHECK_EQUAL(asyncio_runner_close(&runner), 0);
        for (int i = 0; i < 4; i++)
            pthread_join(threads[i], NULL);
    }
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* ---- Failures, forks, misuse ------------------------------------------------------------- */

static intptr_t yield_once(void *arg)
{
    return asyncio_sleep(0) ? -EIO : (intptr_t)arg;
}

/* What was to become the coroutine's is dropped once, whatever fails. */
static void out_of_memory(void)
{
    for (uint64_t at = 1; at < 50; at++) {
        asyncio_coro *coro = asyncio_coro_new(yield_once, (void *)4, note_drop);
        atomic_store(&dropped, 0);
        asy_fault_arm(at, false);
        asyncio_thread_future *future = submit(coro);
        if (future) {
            asyncio_thread_future_cancel(future);
            intptr_t result = asyncio_thread_future_result(future, ASYNCIO_FOREVER);
            CHECK(result == -EIO || result == -ENOMEM || result == 4);
        }
        asy_fault_disarm();
        asyncio_thread_future_release(future);
        CHECK_EQUAL(result_of(submit(adds(0, 2))), 2);
        CHECK_EQUAL(atomic_load(&dropped), 1);
    }
}

TEST(out_of_memory)
{
    beside_a_loop(out_of_memory, 0);
}

ASYNC(works_under_failures)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    return asyncio_to_thread(ask_back, loop) == 3 ? 1 : -EIO;
}

TEST(failures)
{
    sweep_failures(works_under_failures);
}

static asyncio_thread_future *parents;

static void look_in_child(void)
{
    if (asyncio_thread_future_result(parents, ASYNCIO_FOREVER) != ASYNCIO_ESTATE ||
        asyncio_thread_future_cancel(parents))
        _exit(3);
    asyncio_thread_future *future = asyncio_run_coroutine_threadsafe(adds(1, 2), other.loop);
    if (asyncio_thread_future_result(future, ASYNCIO_FOREVER) != ASYNCIO_ESTATE)
        _exit(4);
    asyncio_thread_future_release(future);
    asyncio_thread_future_release(parents);
    _exit(0);
}

static void fork_beside(void)
{
    gate_set(false);
    parents = submit(lasts(3));
    gate_wait_inside(1);
    pid_t pid = fork();
    if (pid == 0)
        look_in_child();
    int status = -1;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    gate_set(true);
    CHECK_EQUAL(result_of(parents), 3);
}

TEST(in_a_forked_child)
{
    if (RUNNING_ON_VALGRIND)
        skip(); /* what the parent's threads hold is lost in the child */
    beside_a_loop(fork_beside, 0);
}

static void submit_twice(void)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    asyncio_coro *coro = adds(1, 2);
    asyncio_release(asyncio_loop_create_task(loop, coro));
    asyncio_run_coroutine_threadsafe(coro, loop);
}

TEST(a_coroutine_that_is_used_already)
{
    check_dies(submit_twice, "a coroutine was used again");
}

int main(void)
{
    static const struct test_fixtures fixtures = {.teardown = end_threads};
    asy_pool_idle_ns = INT64_C(1000000);
    return tests_run(&fixtures);
}
