/*
 * Work on other threads: to_thread and executors. Results, messages, requests to cancel at every
 * moment, memory that was lent, bounds, the end of threads, and loops that close first.
 */
#include "base/sanitizer.h"
#include "io/offload.h"
#include "io/thread_test.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <sys/wait.h>

/* Threads that are idle end at once here: so they are begun the more often, and can be counted. */
#define IDLE_NS INT64_C(1000000)

/* ---- to_thread: results -------------------------------------------------------------- */

static intptr_t twice(void *arg)
{
    return 2 * (intptr_t)arg;
}

static pthread_t loop_thread;

static intptr_t is_elsewhere(void *arg)
{
    (void)arg;
    CHECK(!pthread_equal(pthread_self(), loop_thread));
    CHECK(asyncio_get_running_loop() == NULL);
    CHECK(asyncio_current_task() == NULL);
    CHECK_EQUAL(asyncio_sleep(0), ASYNCIO_ENOTASK);
    CHECK_EQUAL(asyncio_to_thread(twice, NULL), ASYNCIO_ENOTASK);
    return 0;
}

static char on_fire[] = "the disk is on fire", so_is_the_other[] = "so is the other";

static intptr_t fails(void *words)
{
    return words ? asyncio_raise(-EIO, "%s", (const char *)words) : -EIO;
}

static intptr_t fails_otherwise(void *arg)
{
    (void)arg;
    asyncio_raise(-EIO, "this came first");
    return -ENOENT;
}

ASYNC(main_results)
{
    loop_thread = pthread_self();
    CHECK_EQUAL(asyncio_to_thread(twice, (void *)21), 42);
    CHECK_EQUAL(asyncio_to_thread(is_elsewhere, NULL), 0);
    CHECK_EQUAL(asyncio_to_thread(NULL, NULL), -EINVAL);
    return 0;
}
TEST(results)

ASYNC(main_messages)
{
    CHECK_EQUAL(asyncio_to_thread(fails, on_fire), -EIO);
    CHECK_TEXT(asyncio_error_message(), on_fire);
    /* No message is left of one that came before, on this task or on that thread. */
    CHECK_EQUAL(asyncio_to_thread(fails, NULL), -EIO);
    CHECK_TEXT(asyncio_error_message(), "");
    CHECK_EQUAL(asyncio_to_thread(fails_otherwise, NULL), -ENOENT);
    CHECK_TEXT(asyncio_error_message(), "");
    asyncio_future *future = asyncio_run_in_executor(NULL, fails, so_is_the_other, NULL);
    CHECK_EQUAL(asyncio_await(future), -EIO);
    CHECK_TEXT(asyncio_error_message(), so_is_the_other);
    future = asyncio_run_in_executor(NULL, fails, NULL, NULL);
    CHECK_EQUAL(asyncio_await(future), -EIO);
    CHECK_TEXT(asyncio_error_message(), "");
    return 0;
}
TEST(messages)

static void calls_from_a_callback(void *arg)
{
    CHECK_EQUAL(asyncio_to_thread(twice, arg), ASYNCIO_ENOTASK);
    asyncio_future *future = asyncio_run_in_executor(NULL, twice, arg, NULL);
    CHECK(future != NULL);
    asyncio_release(future);
}

ASYNC(main_callbacks)
{
    CHECK(asyncio_handle_valid(
        asyncio_loop_call_soon(asyncio_get_running_loop(), calls_from_a_callback, NULL)));
    return asyncio_sleep(0);
}
TEST(callbacks)

static void test_outside_of_a_loop(void **state)
{
    (void)state;
    CHECK_EQUAL(asyncio_to_thread(twice, NULL), ASYNCIO_ENOTASK);
    harness_settle();
}

/* The loop goes on meanwhile. */
ASYNC(opens_the_gate)
{
    while (gate_inside() != 1)
        asyncio_sleep(0);
    gate_set(true);
    return 0;
}

ASYNC(main_loop_goes_on)
{
    gate_set(false);
    asyncio_task *opener = asyncio_create_task(opens_the_gate());
    CHECK_EQUAL(asyncio_to_thread(gate_pass, (void *)5), 5);
    return asyncio_await(opener);
}
TEST(loop_goes_on)

static asyncio_contextvar var = ASYNCIO_CONTEXTVAR_INIT("var", NULL);

static intptr_t look_and_set(void *arg)
{
    intptr_t before = (intptr_t)asyncio_contextvar_get(&var);
    CHECK_EQUAL(asyncio_contextvar_set(&var, arg, NULL), 0);
    return before;
}

/* A copy for to_thread; nothing for executors; and nothing is left for those after it. */
ASYNC(main_contexts)
{
    CHECK_EQUAL(asyncio_contextvar_set(&var, (void *)7, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_to_thread(look_and_set, (void *)8), 7);
        CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(NULL, look_and_set, (void *)9, NULL)), 0);
    }
    CHECK_EQUAL((intptr_t)asyncio_contextvar_get(&var), 7);
    return 0;
}
TEST(contexts)

/* ---- to_thread: cancelled ------------------------------------------------------------------- */

static unsigned default_threads(void)
{
    unsigned count = asy_sys_processors() + 4;
    return count < 32 ? count : 32;
}

ASYNC(calls, intptr_t, n)
{
    return asyncio_to_thread(gate_pass, (void *)n);
}

static void wait_inside(int count)
{
    while (gate_inside() != count)
        asyncio_sleep(0);
}

/* Takes all threads of the default executor. */
static void take_all_threads(asyncio_task **tasks)
{
    unsigned count = default_threads();
    gate_set(false);
    for (unsigned i = 0; i < count; i++)
        tasks[i] = asyncio_create_task(calls((intptr_t)i));
    wait_inside((int)count);
}

static void give_all_threads(asyncio_task **tasks)
{
    gate_set(true);
    for (unsigned i = 0; i < default_threads(); i++)
        CHECK_EQUAL(asyncio_await(tasks[i]), i);
}

/* One that is queued is cancelled at once and never runs; those behind it do. */
ASYNC(main_cancelled_while_queued)
{
    asyncio_task *tasks[32];
    take_all_threads(tasks);
    asyncio_task *queued = asyncio_create_task(calls(100)), *next = asyncio_create_task(calls(101));
    asyncio_sleep(0);
    CHECK(asyncio_cancel(queued));
    CHECK_EQUAL(asyncio_await(queued), -ECANCELED);
    CHECK_EQUAL(gate_inside(), default_threads());
    give_all_threads(tasks);
    CHECK_EQUAL(asyncio_await(next), 101);
    CHECK_EQUAL(gate_came(), default_threads() + 1);
    CHECK_EQUAL(gate_most(), default_threads());
    return 0;
}
TEST(cancelled_while_queued)

static intptr_t fill(void *arg)
{
    char *memory = arg;
    gate_pass(NULL);
    memset(memory, 'x', 4096);
    return 4096;
}

/* Once it runs: the memory is lent until it has ended, and the request comes with the next wait. */
ASYNC(lends_memory)
{
    char memory[4096];
    memset(memory, 0, sizeof memory);
    CHECK_EQUAL(asyncio_to_thread(fill, memory), 4096);
    for (size_t i = 0; i < sizeof memory; i++)
        CHECK(memory[i] == 'x');
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    return 3;
}

ASYNC(main_cancelled_while_running)
{
    gate_set(false);
    asyncio_task *task = asyncio_create_task(lends_memory());
    wait_inside(1);
    CHECK(asyncio_cancel(task));
    CHECK(asyncio_cancel(task));
    for (int i = 0; i < 10; i++)
        asyncio_sleep(0);
    CHECK(!asyncio_done(task));
    gate_set(true);
    CHECK_EQUAL(asyncio_await(task), 3);
    return 0;
}
TEST(cancelled_while_running)

ASYNC(cancels_itself_first)
{
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_to_thread(gate_pass, NULL), -ECANCELED);
    return 4;
}

ASYNC(main_cancelled_before)
{
    gate_set(false);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(cancels_itself_first())), 4);
    CHECK_EQUAL(gate_came(), 0);
    return 0;
}
TEST(cancelled_before)

/* The result has come, and the task has not seen it yet: it keeps it. */
static asyncio_task *to_cancel;

static void cancel_it(void *arg)
{
    (void)arg;
    asyncio_cancel(to_cancel);
}

static intptr_t post_cancel_last(void *loop)
{
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, cancel_it, NULL), 0);
    return 11;
}

ASYNC(is_granted_first)
{
    to_cancel = asyncio_current_task();
    CHECK_EQUAL(asyncio_to_thread(post_cancel_last, asyncio_get_running_loop()), 11);
    CHECK_EQUAL(asyncio_sleep(1), -ECANCELED);
    return 5;
}

ASYNC(main_cancelled_at_its_end)
{
    for (int i = 0; i < 50; i++)
        CHECK_EQUAL(asyncio_await(asyncio_create_task(is_granted_first())), 5);
    return 0;
}
TEST(cancelled_at_its_end)

/* A function that says itself that it was cancelled: the request is delivered with that. */
static intptr_t gives_in(void *arg)
{
    gate_pass(arg);
    return asyncio_raise(-ECANCELED, "asked to stop");
}

ASYNC(is_told_by_the_function)
{
    CHECK_EQUAL(asyncio_to_thread(gives_in, NULL), -ECANCELED);
    CHECK_TEXT(asyncio_error_message(), "asked to stop");
    CHECK_EQUAL(asyncio_sleep(0), 0);
    return 6;
}

ASYNC(main_function_gives_in)
{
    gate_set(false);
    asyncio_task *task = asyncio_create_task(is_told_by_the_function());
    wait_inside(1);
    asyncio_cancel(task);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(task), 6);
    /* And without a request it is a result like any other. */
    return asyncio_await(is_told_by_the_function()) == 6 ? 0 : -EIO;
}
TEST(function_gives_in)

ASYNC(opens_later)
{
    int err = asyncio_sleep(0.02);
    gate_set(true);
    return err;
}

/* A limit on what cannot be left: the result wins. */
ASYNC(main_limited)
{
    gate_set(false);
    asyncio_task *opener = asyncio_create_task(opens_later());
    CHECK_EQUAL(asyncio_wait_for(calls(9), 0.005), 9);
    CHECK_EQUAL(asyncio_await(opener), 0);
    int err = 0;
    intptr_t result = 0;
    ASYNCIO_TIMEOUT(err, 1000) {
        result = asyncio_to_thread(twice, (void *)4);
    }
    CHECK_EQUAL(err, 0);
    CHECK_EQUAL(result, 8);
    return 0;
}
TEST(limited)

/* ---- Sweeps ------------------------------------------------------------------------------------- */

/* What it sets outlives it. */
static _Atomic int ran, dropped;

static intptr_t note_run(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return (intptr_t)arg;
}

static void note_drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

ASYNC(calls_once)
{
    static int lent;
    intptr_t result = asyncio_to_thread(note_run, &lent);
    CHECK(result == (intptr_t)&lent || result < 0);
    return result < 0 ? result : 1;
}

ASYNC(awaits_once)
{
    atomic_store(&dropped, 0);
    intptr_t result = asyncio_await(asyncio_run_in_executor(NULL, note_run, (void *)2, note_drop));
    CHECK(result == 2 || result == -EAGAIN || result == -ENOMEM || result == -ECANCELED);
    return result;
}

ASYNC(makes_an_executor)
{
    asyncio_executor *executor = asyncio_executor_new(1);
    if (!executor)
        return -ENOMEM;
    asyncio_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = asyncio_run_in_executor(executor, note_run, (void *)3, note_drop);
    asyncio_executor_release(executor);
    intptr_t results[3];
    int err = asyncio_gather_settled_array(results, futures, 3);
    return err ? err : 1;
}

static void no_cancel_is_lost(intptr_t result, unsigned suspension)
{
    CHECK(result == 1 || (suspension && result == -ECANCELED));
}

static void cancelled_or_two(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 2);
}

static void test_sweeps(void **state)
{
    (void)state;
    sweep_failures(calls_once);
    sweep_cancels(calls_once, no_cancel_is_lost);
    sweep_failures(awaits_once);
    sweep_cancels(awaits_once, cancelled_or_two);
    sweep_failures(makes_an_executor);
    sweep_cancels(makes_an_executor, no_cancel_is_lost);
}

/* ---- Threads that cannot be made ------------------------------------------------------------------ */

/* Has each call of the seam fail in turn until it was the thread's. */
static asyncio_future *without_a_thread(asyncio_executor *executor)
{
    for (uint64_t at = 1; at < 100; at++) {
        asy_fault_arm(at, false);
        asyncio_future *future = asyncio_run_in_executor(executor, note_run, (void *)5, note_drop);
        asy_fault_disarm();
        if (asy_fault.failed && strcmp(asy_fault.failed, "thread_start") == 0)
            return future;
        asyncio_release(future);
    }
    return NULL;
}

ASYNC(main_no_thread)
{
    asyncio_executor *executor = asyncio_executor_new(1);
    atomic_store(&ran, 0);
    asyncio_future *future = without_a_thread(executor);
    atomic_store(&dropped, 0);
    CHECK(asyncio_done(future));
    CHECK_EQUAL(asyncio_await(future), -EAGAIN);
    CHECK_HAS(asyncio_error_message(), "no thread could be made");
    CHECK_EQUAL(atomic_load(&ran), 0);
    asyncio_executor_release(executor);

    /* But where there is a thread already, it comes to the work in the end. */
    executor = asyncio_executor_new(2);
    gate_set(false);
    asyncio_future *first = asyncio_run_in_executor(executor, gate_pass, (void *)1, NULL);
    wait_inside(1);
    asyncio_future *second = without_a_thread(executor);
    CHECK(!asyncio_done(second));
    gate_set(true);
    CHECK_EQUAL(asyncio_await(first), 1);
    CHECK_EQUAL(asyncio_await(second), 5);
    CHECK_EQUAL(atomic_load(&ran), 1);
    asyncio_executor_release(executor);
    return 0;
}
TEST(no_thread)

/* ---- Executors: bounds, and the end of threads ------------------------------------------------------- */

#define MANY 20

ASYNC(main_bounds)
{
    static const unsigned sizes[] = {1, 3, 7};
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        asyncio_executor *executor = asyncio_executor_new(sizes[k]);
        asyncio_future *futures[MANY];
        gate_set(false);
        for (intptr_t i = 0; i < MANY; i++)
            futures[i] = asyncio_run_in_executor(executor, gate_pass, (void *)i, NULL);
        wait_inside((int)sizes[k]);
        gate_set(true);
        for (intptr_t i = 0; i < MANY; i++)
            CHECK_EQUAL(asyncio_await(futures[i]), i);
        CHECK_EQUAL(gate_came(), MANY);
        CHECK_EQUAL(gate_most(), sizes[k]);
        asyncio_executor_release(executor);
    }
    asyncio_executor_release(NULL);
    return 0;
}
TEST(bounds)

static int order[MANY], order_count;

static intptr_t note_order(void *arg)
{
    order[order_count++] = (int)(intptr_t)arg;
    return 0;
}

/* With one thread, in the order of the calls; what was cancelled is left out. */
ASYNC(main_order)
{
    asyncio_executor *executor = asyncio_executor_new(1);
    asyncio_future *futures[MANY];
    gate_set(false);
    order_count = 0;
    asyncio_future *first = asyncio_run_in_executor(executor, gate_pass, NULL, NULL);
    for (intptr_t i = 0; i < MANY; i++)
        futures[i] = asyncio_run_in_executor(executor, note_order, (void *)i, NULL);
    for (int i = 1; i < MANY; i += 2)
        asyncio_cancel(futures[i]);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(first), 0);
    for (int i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_await(futures[i]), i % 2 ? -ECANCELED : 0);
    CHECK_EQUAL(order_count, MANY / 2);
    for (int i = 0; i < MANY / 2; i++)
        CHECK_EQUAL(order[i], 2 * i);
    asyncio_executor_release(executor);
    return 0;
}
TEST(order)

/* Of threads that were needed once those that are not needed end, though there is always some work. */
ASYNC(main_idle_threads_end)
{
    wait_for_threads_to_be(0);
    asyncio_executor *executor = asyncio_executor_new(5);
    asyncio_future *futures[5];
    asy_pool_idle_ns = 50 * IDLE_NS;
    gate_set(false);
    for (int i = 0; i < 5; i++)
        futures[i] = asyncio_run_in_executor(executor, gate_pass, NULL, NULL);
    wait_inside(5);
    CHECK_EQUAL(threads_now(), 5);
    gate_set(true);
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(asyncio_await(futures[i]), 0);
    for (int i = 0; i < 1000 && threads_now() > 1; i++) {
        CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, twice, (void *)1, NULL)), 2);
        usleep(5000);
    }
    CHECK(threads_now() <= 1);
    wait_for_threads_to_be(0);
    /* And it works as before. */
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, twice, (void *)1, NULL)), 2);
    asyncio_executor_release(executor);
    wait_for_threads_to_be(0);
    asy_pool_idle_ns = IDLE_NS;
    return 0;
}
TEST(idle_threads_end)

/* One after the other need but one thread, or two that meet at the door. */
ASYNC(main_no_needless_threads)
{
    wait_for_threads_to_be(0);
    asy_pool_idle_ns = INT64_MAX / 2;
    asyncio_executor *executor = asyncio_executor_new(20);
    for (int i = 0; i < 1000; i++)
        CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, twice, (void *)1, NULL)), 2);
    CHECK(threads_now() <= 2);
    asyncio_executor_release(executor);
    asy_pool_idle_ns = IDLE_NS;
    return 0;
}
TEST(no_needless_threads)

/* Given up: what is queued runs, then the threads end, and nothing is left. */
ASYNC(main_released)
{
    wait_for_threads_to_be(0);
    asy_pool_idle_ns = INT64_MAX / 2;
    asyncio_executor *executor = asyncio_executor_new(2);
    asyncio_future *futures[MANY];
    gate_set(false);
    atomic_store(&dropped, 0);
    for (intptr_t i = 0; i < MANY; i++)
        futures[i] = asyncio_run_in_executor(executor, gate_pass, (void *)i, note_drop);
    asyncio_executor_release(executor);
    wait_inside(2);
    gate_set(true);
    for (intptr_t i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_await(futures[i]), i);
    CHECK_EQUAL(atomic_load(&dropped), MANY);
    wait_for_threads_to_be(0);

    executor = asyncio_executor_new(2); /* idle */
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, twice, (void *)1, NULL)), 2);
    asyncio_executor_release(executor);
    executor = asyncio_executor_new(2); /* never used */
    asyncio_executor_release(executor);
    executor = asyncio_executor_new(1); /* with nothing but what was taken back */
    gate_set(false);
    futures[0] = asyncio_run_in_executor(executor, gate_pass, (void *)8, note_drop);
    futures[1] = asyncio_run_in_executor(executor, gate_pass, NULL, note_drop);
    asyncio_executor_release(executor);
    asyncio_cancel(futures[1]);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(futures[0]), 8);
    CHECK_EQUAL(asyncio_await(futures[1]), -ECANCELED);
    wait_for_threads_to_be(0);
    asy_pool_idle_ns = IDLE_NS;
    return 0;
}

static void test_released(void **state)
{
    (void)state;
    CHECK_EQUAL(run(main_released), 0);
    CHECK_EQUAL(atomic_load(&dropped), MANY + 2);
    harness_settle();
}

static void release_it(void *executor)
{
    asyncio_executor_release(executor);
}

static intptr_t release_from_within(void *executor)
{
    asyncio_executor_release(executor);
    return 1;
}

ASYNC(main_released_from_within)
{
    asyncio_executor *executor = asyncio_executor_new(2);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, release_from_within, executor, NULL)), 1);
    executor = asyncio_executor_new(2);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, note_run, executor, release_it)),
                (intptr_t)executor);
    return 0;
}
TEST(released_from_within)

/* ---- drop --------------------------------------------------------------------------------------------- */

static pthread_t dropped_on;
static intptr_t wait_in_drop;

static void drop_and_look(void *arg)
{
    (void)arg;
    dropped_on = pthread_self();
    wait_in_drop = asyncio_sleep(0);
    atomic_fetch_add(&dropped, 1);
}

static void check_dropped(int times)
{
    CHECK_EQUAL(atomic_load(&dropped), times);
    CHECK_EQUAL(wait_in_drop, ASYNCIO_ENOTASK);
    CHECK(pthread_equal(dropped_on, pthread_self()));
}

ASYNC(main_drops)
{
    atomic_store(&dropped, 0);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(NULL, gate_pass, (void *)1, drop_and_look)), 1);
    check_dropped(1);
    CHECK(asyncio_run_in_executor(NULL, NULL, NULL, drop_and_look) == NULL);
    check_dropped(2);

    /* Cancelled while it runs: later. */
    gate_set(false);
    asyncio_future *future = asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look);
    wait_inside(1);
    CHECK(asyncio_cancel(future));
    CHECK_EQUAL(asyncio_await(future), -ECANCELED);
    asyncio_sleep(0);
    check_dropped(2);
    gate_set(true);
    while (atomic_load(&dropped) < 3)
        asyncio_sleep(0);
    check_dropped(3);

    /* Completed by somebody else, as good as cancelled. */
    gate_set(false);
    future = asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look);
    wait_inside(1);
    CHECK_EQUAL(asyncio_future_set_result(future, 77), 0);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(future), 77);
    while (atomic_load(&dropped) < 4)
        asyncio_sleep(0);
    return 0;
}
TEST(drops)

/* Queued: it does not run, and drop comes from the loop, not from within asyncio_cancel. */
ASYNC(main_drop_of_the_queued)
{
    asyncio_executor *executor = asyncio_executor_new(1);
    atomic_store(&dropped, 0);
    gate_set(false);
    asyncio_future *first = asyncio_run_in_executor(executor, gate_pass, (void *)1, NULL);
    wait_inside(1);
    asyncio_future *queued = asyncio_run_in_executor(executor, note_run, NULL, drop_and_look);
    atomic_store(&ran, 0);
    CHECK(asyncio_cancel(queued));
    CHECK_EQUAL(atomic_load(&dropped), 0);
    CHECK_EQUAL(asyncio_await(queued), -ECANCELED);
    asyncio_sleep(0);
    check_dropped(1);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(first), 1);
    CHECK_EQUAL(atomic_load(&ran), 0);
    asyncio_executor_release(executor);
    return 0;
}
TEST(drop_of_the_queued)

ASYNC(awaits_in_executor)
{
    return asyncio_await(asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look));
}

/* A task that is cancelled in its await of the future leaves the work behind. */
ASYNC(main_abandoned_by_a_task)
{
    atomic_store(&dropped, 0);
    gate_set(false);
    asyncio_task *task = asyncio_create_task(awaits_in_executor());
    wait_inside(1);
    CHECK(asyncio_cancel(task));
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK_EQUAL(gate_inside(), 1);
    CHECK_EQUAL(asyncio_wait_for(awaits_in_executor(), 0.001), -ETIMEDOUT);
    gate_set(true);
    while (atomic_load(&dropped) < 2)
        asyncio_sleep(0);
    check_dropped(2);
    return 0;
}
TEST(abandoned_by_a_task)

static void test_drop_without_a_loop(void **state)
{
    (void)state;
    atomic_store(&dropped, 0);
    CHECK(asyncio_run_in_executor(NULL, note_run, NULL, note_drop) == NULL);
    CHECK_EQUAL(atomic_load(&dropped), 1);
    harness_settle();
}

/* ---- The end of the run ----------------------------------------------------------------------------------- */

static intptr_t take_a_while(void *arg)
{
    usleep(20000);
    return note_run(arg);
}

/* Let go and forgotten, but not cancelled: the end of the run waits for it, queued or not. */
ASYNC(main_forgets)
{
    asyncio_executor *executor = asyncio_executor_new(1);
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    for (int i = 0; i < 3; i++)
        asyncio_release(asyncio_run_in_executor(executor, take_a_while, NULL, note_drop));
    asyncio_executor_release(executor);
    return 0;
}

static void test_the_end_waits_for_work(void **state)
{
    (void)state;
    CHECK_EQUAL(run(main_forgets), 0);
    CHECK_EQUAL(atomic_load(&ran), 3);
    CHECK_EQUAL(atomic_load(&dropped), 3);
    harness_settle();
}

ASYNC(main_forgets_for_ever)
{
    asyncio_release(asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look));
    gate_wait_inside(1);
    return 0;
}

static intptr_t run_with_grace(asyncio_coro *main, double grace)
{
    asyncio_run_options options = {.shutdown_grace = grace};
    asyncio_runner runner;
    CHECK_EQUAL(asyncio_runner_init(&runner, &options), 0);
    record_reports(asyncio_runner_get_loop(&runner));
    intptr_t result = asyncio_runner_run(&runner, main);
    CHECK_EQUAL(asyncio_runner_close(&runner), 0);
    return result;
}

static void wait_dropped(int times)
{
    for (int i = 0; i < 10000 && atomic_load(&dropped) != times; i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&dropped), times);
}

/* A thread may be the last to let go of one. */
static void wait_until_no_loop_is_left(void)
{
    for (int i = 0; i < 10000 && ledger_now().descriptors; i++)
        usleep(1000);
    CHECK_EQUAL(ledger_now().descriptors, 0);
}

/* Nobody waits for ever: it is told, and the drop is the thread's. */
static void test_the_end_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct ledger before = ledger_now();
    gate_set(false);
    atomic_store(&dropped, 0);
    CHECK_EQUAL(run_with_grace(main_forgets_for_ever(), 0.01), 0);
    CHECK_EQUAL(report_count, 1);
    CHECK_HAS(reports[0].message, "1 function of executors did not return within 0.01 s");
    gate_set(true);
    wait_dropped(1);
    CHECK(!pthread_equal(dropped_on, pthread_self()));
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* Work that was cancelled is nobody's business, and so not waited for. */
ASYNC(main_cancels_what_lasts)
{
    asyncio_future *future = asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look);
    gate_wait_inside(1);
    asyncio_cancel(future);
    asyncio_release(future);
    return 0;
}

static void test_the_end_does_not_wait_for_the_cancelled(void **state)
{
    (void)state;
    struct ledger before = ledger_now();
    gate_set(false);
    atomic_store(&dropped, 0);
    CHECK_EQUAL(run_with_grace(main_cancels_what_lasts(), ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(report_count, 0);
    gate_set(true);
    wait_dropped(1);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* A call that outlives the grace may use main's frame for as long as it likes. */
static char *lent_by_main;

static intptr_t write_to_main(void *arg)
{
    gate_pass(arg);
    memset(lent_by_main, 'y', 10000);
    atomic_fetch_add(&ran, 1);
    return 0;
}

ASYNC(leftover)
{
    return asyncio_to_thread(write_to_main, NULL);
}

ASYNC(main_lends_its_frame)
{
    lent_by_main = __builtin_alloca(10000); /* where the address sanitizer leaves it */
    asyncio_task_options options = {.stack_size = 1 << 20}; /* another pool of stacks than main's */
    asyncio_release(asyncio_create_task_with(leftover(), &options));
    while (gate_inside() != 1)
        asyncio_sleep(0.001);
    return 0;
}

static void test_mains_frame_outlives_the_grace(void **state)
{
    (void)state;
    gate_set(false);
    atomic_store(&ran, 0);
    CHECK_EQUAL(run_with_grace(main_lends_its_frame(), -1), 0);
    CHECK_EQUAL(report_count, 1);
    CHECK_HAS(reports[0].message, "it waits in to_thread");
    gate_set(true);
    for (int i = 0; i < 10000 && !atomic_load(&ran); i++)
        usleep(1000);
    CHECK_EQUAL(atomic_load(&ran), 1);
    wait_until_no_loop_is_left();
    harness_settle();
}

/* ---- A loop that closes first ------------------------------------------------------------------------------- */

static asyncio_future *kept;

static void begin_and_stop(void *executor)
{
    kept = asyncio_run_in_executor(executor, gate_pass, (void *)1, drop_and_look);
    asyncio_loop_stop(asyncio_get_running_loop());
}

static void begin_two_and_stop(void *executor)
{
    asyncio_release(asyncio_run_in_executor(executor, gate_pass, (void *)1, drop_and_look));
    begin_and_stop(executor);
}

static void forget_result(asyncio_future *future, void *arg)
{
    (void)future;
    (void)arg;
    CHECK(false);
}

/* While the function runs, and while another is queued: the thread runs them to their end. The
 * future that the program still has is good for all calls. */
static void close_with_work(asyncio_callback begin, int drops, bool while_open)
{
    struct ledger before = ledger_now();
    asyncio_executor *executor = asyncio_executor_new(1);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    gate_set(while_open);
    atomic_store(&dropped, 0);
    asyncio_loop_call_soon(loop, begin, executor);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    if (!while_open)
        gate_wait_inside(1);
    else
        usleep(2000); /* it has been handed back, and not been taken */
    CHECK_EQUAL(asyncio_add_done_callback(kept, forget_result, NULL), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    CHECK(!asyncio_done(kept));
    gate_set(true);
    wait_dropped(drops);
    CHECK_EQUAL(asyncio_result(kept), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_remove_done_callback(kept, forget_result, NULL), 1);
    CHECK(asyncio_cancel(kept));
    asyncio_release(kept);
    asyncio_executor_release(executor);
    CHECK(wait_for_ledger(&before));
    CHECK_EQUAL(report_count, 0);
}

static void test_closed_while_a_function_runs(void **state)
{
    (void)state;
    close_with_work(begin_and_stop, 1, false);
    CHECK(!pthread_equal(dropped_on, pthread_self()));
    close_with_work(begin_two_and_stop, 2, false);
    for (int i = 0; i < 20; i++)
        close_with_work(begin_two_and_stop, 2, true);
    harness_settle();
}

static void stop_here(void *arg)
{
    (void)arg;
    asyncio_loop_stop(asyncio_get_running_loop());
}

/* A task that waits for a function that has not begun will never see its end: the function does not run. */
static void test_closed_over_calls(void **state)
{
    (void)state;
    unsigned count = default_threads();
    asyncio_loop *loop = asyncio_loop_new(NULL);
    record_reports(loop);
    gate_set(false);
    for (unsigned i = 0; i < count + 3; i++)
        asyncio_release(asyncio_loop_create_task(loop, calls(1)));
    asyncio_loop_call_later(loop, 0.001, stop_here, NULL);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    gate_wait_inside((int)count);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    CHECK_EQUAL(report_count, count + 3);
    asyncio_loop_release(loop);
    gate_set(true);
    wait_until_no_loop_is_left();
    CHECK_EQUAL(gate_came(), count);
    harness_settle();
}

/* ---- Several loops --------------------------------------------------------------------------------------------- */

#define LOOPS 4

static asyncio_executor *shared;

ASYNC(uses_the_shared)
{
    asyncio_future *futures[MANY];
    for (intptr_t i = 0; i < MANY; i++)
        futures[i] = asyncio_run_in_executor(shared, take_a_while, (void *)i, note_drop);
    for (intptr_t i = 0; i < MANY; i++)
        CHECK_EQUAL(asyncio_await(futures[i]), i);
    return 0;
}

static pthread_barrier_t all_queued;

ASYNC(queues_and_meets)
{
    asyncio_task *task = asyncio_create_task(uses_the_shared());
    asyncio_sleep(0);
    pthread_barrier_wait(&all_queued);
    return asyncio_await(task);
}

static void *run_queues_and_meets(void *arg)
{
    (void)arg;
    CHECK_EQUAL(asyncio_run(queues_and_meets()), 0);
    return NULL;
}

/* Released with work of four loops in its queue: all of it runs. */
static void test_released_with_work_of_several_loops(void **state)
{
    (void)state;
    struct ledger before = ledger_now();
    pthread_t threads[LOOPS];
    shared = asyncio_executor_new(8);
    atomic_store(&ran, 0);
    atomic_store(&dropped, 0);
    pthread_barrier_init(&all_queued, NULL, LOOPS + 1);
    for (int i = 0; i < LOOPS; i++)
        pthread_create(&threads[i], NULL, run_queues_and_meets, NULL);
    pthread_barrier_wait(&all_queued);
    asyncio_executor_release(shared);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&all_queued);
    CHECK_EQUAL(atomic_load(&ran), LOOPS * MANY);
    CHECK_EQUAL(atomic_load(&dropped), LOOPS * MANY);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* A loop of its own on an executor's thread, which uses the executor. */
ASYNC(within)
{
    return asyncio_to_thread(twice, (void *)3);
}

static intptr_t run_within(void *arg)
{
    (void)arg;
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    return asyncio_run_with(within(), &options);
}

ASYNC(main_a_loop_on_a_thread)
{
    CHECK_EQUAL(asyncio_to_thread(run_within, NULL), 6);
    return 0;
}
TEST(a_loop_on_a_thread)

/* ---- The virtual clock, and deadlocks ------------------------------------------------------------------------------ */

static intptr_t nap(void *arg)
{
    usleep(3000);
    return (intptr_t)arg;
}

ASYNC(naps)
{
    return asyncio_to_thread(nap, (void *)1);
}

/* A virtual clock stands still while a function runs, so that no limit is passed before its time; but a
 * function that needs the time to go on does not stop it for ever. */
ASYNC(virtual_main)
{
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_to_thread(nap, (void *)3), 3);
    CHECK_EQUAL(asyncio_wait_for(naps(), 1), 1);
    asyncio_task *tasks[] = {asyncio_create_task(naps()), asyncio_create_task(naps())};
    CHECK_EQUAL(asyncio_gather_array(NULL, tasks, 2), 0);
    CHECK(asyncio_time() == began);
    gate_set(false);
    asyncio_task *opener = asyncio_create_task(opens_later());
    CHECK_EQUAL(asyncio_to_thread(gate_pass, (void *)4), 4);
    CHECK_EQUAL(asyncio_await(opener), 0);
    CHECK(asyncio_time() >= began + 0.0199);
    /* One that nobody waits for does not hold it up. */
    gate_set(false);
    asyncio_future *future = asyncio_run_in_executor(NULL, gate_pass, NULL, NULL);
    CHECK_EQUAL(asyncio_wait_for(future, 0.01), -ETIMEDOUT);
    CHECK_EQUAL(asyncio_sleep(100000), 0);
    gate_set(true);
    return 0;
}

/* Nobody has anything in hand: a deadlock all the same. */
ASYNC(waits_for_nothing)
{
    CHECK_EQUAL(asyncio_to_thread(twice, (void *)1), 2);
    asyncio_event event = ASYNCIO_EVENT_INIT;
    return asyncio_event_wait(&event);
}

static void *post_later(void *loop)
{
    usleep(5000);
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(loop, stop_other, loop), 0);
    asyncio_loop_release(loop);
    return NULL;
}

static void test_virtual_clock(void **state)
{
    (void)state;
    struct ledger before = ledger_now();
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    CHECK_EQUAL(asyncio_run_with(virtual_main(), &options), 0);
    CHECK(wait_for_ledger(&before));

    asyncio_loop *loop = asyncio_loop_new(&options);
    record_reports(loop);
    asyncio_task *task = asyncio_loop_create_task(loop, waits_for_nothing());
    CHECK_EQUAL(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), -EDEADLK);
    CHECK_EQUAL(report_count, 2); /* what waits, and in what */
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    wait_until_no_loop_is_left();

    /* A thread that has a reference may be about to post. */
    loop = asyncio_loop_new(&options);
    pthread_t thread;
    pthread_create(&thread, NULL, post_later, asyncio_loop_ref(loop));
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    harness_settle();
}

ASYNC(naps_often)
{
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(asyncio_to_thread(nap, NULL), 0);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(NULL, nap, NULL, NULL)), 0);
    return 0;
}

/* In debug mode no call on a thread is taken for a deadlock. */
static void test_no_deadlock_is_reported(void **state)
{
    (void)state;
    struct ledger before = ledger_now();
    asyncio_run_options options = {.debug = 1};
    asyncio_runner runner;
    CHECK_EQUAL(asyncio_runner_init(&runner, &options), 0);
    record_reports(asyncio_runner_get_loop(&runner));
    CHECK_EQUAL(asyncio_runner_run(&runner, naps_often()), 0);
    CHECK_EQUAL(asyncio_runner_close(&runner), 0);
    CHECK_EQUAL(report_count, 0);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* ---- Forks -------------------------------------------------------------------------------------------------------- */

static asyncio_executor *parents;

static void *run_calls_here(void *arg)
{
    (void)arg;
    for (int i = 0; i < 20; i++)
        if (asyncio_run(naps()) != 1)
            _exit(3);
    return NULL;
}

ASYNC(uses_the_parents)
{
    intptr_t result = asyncio_await(asyncio_run_in_executor(parents, twice, (void *)4, NULL));
    return result == 8 ? asyncio_to_thread(twice, (void *)5) : -EIO;
}

/* Pools begin anew, also when several threads use one first. */
static void use_in_child(void)
{
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_calls_here, NULL);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    if (asyncio_run(uses_the_parents()) != 10)
        _exit(4);
    asyncio_executor_release(parents);
    _exit(0);
}

ASYNC(forks_with_work)
{
    parents = asyncio_executor_new(2);
    gate_set(false);
    asyncio_future *futures[5];
    for (int i = 0; i < 5; i++)
        futures[i] = asyncio_run_in_executor(parents, gate_pass, (void *)1, NULL);
    asyncio_task *task = asyncio_create_task(calls(2));
    wait_inside(3);
    pid_t pid = fork();
    if (pid == 0)
        use_in_child();
    int status = -1;
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    gate_set(true);
    for (int i = 0; i < 5; i++)
        CHECK_EQUAL(asyncio_await(futures[i]), 1);
    asyncio_executor_release(parents);
    return asyncio_await(task) == 2 ? 0 : -EIO;
}

static void test_a_child_begins_anew(void **state)
{
    (void)state;
    if (ASY_TSAN)
        skip(); /* no new threads in a child of several, it says */
    CHECK_EQUAL(run(forks_with_work), 0);
    harness_settle();
}

static intptr_t fork_and_return(void *arg)
{
    (void)arg;
    pid_t pid = fork();
    if (pid == 0)
        return 0;
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : -EIO;
}

ASYNC(forks_on_a_thread)
{
    return asyncio_to_thread(fork_and_return, NULL);
}

static void run_fork_on_a_thread(void)
{
    if (asyncio_run(forks_on_a_thread()) != SIGABRT)
        _exit(5);
}

static void test_a_function_that_returns_in_a_child(void **state)
{
    (void)state;
    if (ASY_TSAN)
        skip();
    check_prints(run_fork_on_a_thread, "a function on a thread of an executor returned in a forked child");
}

/* ---- All ----------------------------------------------------------------------------------------------------------- */

#define BOTH(name) cmocka_unit_test(test_##name)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        BOTH(idle_threads_end), BOTH(results), BOTH(messages), BOTH(callbacks), BOTH(loop_goes_on),
        BOTH(contexts), BOTH(cancelled_while_queued), BOTH(cancelled_while_running), BOTH(cancelled_before),
        BOTH(cancelled_at_its_end), BOTH(function_gives_in), BOTH(limited), BOTH(sweeps), BOTH(no_thread),
        BOTH(bounds), BOTH(order), BOTH(no_needless_threads), BOTH(released), BOTH(released_from_within),
        BOTH(drops), BOTH(drop_of_the_queued), BOTH(abandoned_by_a_task), BOTH(the_end_waits_for_work),
    };
    static const struct CMUnitTest once[] = {
        BOTH(outside_of_a_loop), BOTH(drop_without_a_loop), BOTH(the_end_does_not_wait_for_ever),
        BOTH(the_end_does_not_wait_for_the_cancelled), BOTH(mains_frame_outlives_the_grace),
        BOTH(closed_while_a_function_runs), BOTH(closed_over_calls),
        BOTH(released_with_work_of_several_loops), BOTH(a_loop_on_a_thread), BOTH(virtual_clock),
        BOTH(no_deadlock_is_reported), BOTH(a_child_begins_anew), BOTH(a_function_that_returns_in_a_child),
    };
    asy_pool_idle_ns = IDLE_NS;
    int failed = cmocka_run_group_tests_name("under the virtual clock", tests, NULL, NULL);
    use_descriptors();
    failed += cmocka_run_group_tests_name("under the real one", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("alone", once, NULL, NULL);
}
