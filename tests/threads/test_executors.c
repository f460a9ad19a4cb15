/*
 * Executors: bounds, the end of threads, work that is cancelled, abandoned and forgotten, who drops its
 * argument and when, and loops that close first.
 */
#include "sys/sys.h"
#include "threads/offload.h"
#include "threads/thread_test.h"

/* Threads that are idle end at once here: so they are begun the more often, and can be counted. */
#define IDLE_NS INT64_C(1000000)

/* ---- Sweeps ------------------------------------------------------------------------------ */

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

static void one_or_cancelled(intptr_t result, unsigned suspension)
{
    CHECK(result == 1 || (suspension && result == -ECANCELED));
}

static void cancelled_or_two(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 2);
}

TEST(sweeps)
{
    sweep_failures(awaits_once);
    sweep_cancels(awaits_once, cancelled_or_two);
    sweep_failures(makes_an_executor);
    sweep_cancels(makes_an_executor, one_or_cancelled);
}

/* ---- Threads that cannot be made --------------------------------------------------------- */

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

ASYNC_TEST(no_thread)
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

/* ---- Executors: bounds, and the end of threads ------------------------------------------- */

#define MANY 20

ASYNC_TEST(bounds)
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

static int order[MANY], order_count;

static intptr_t note_order(void *arg)
{
    order[order_count++] = (int)(intptr_t)arg;
    return 0;
}

/* With one thread, in the order of the calls; what was cancelled is left out. */
ASYNC_TEST(order)
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

/* Of threads that were needed once those that are not needed end, though there is always some work. */
ASYNC_TEST(idle_threads_end)
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

/* One after the other need but one thread, or two that meet at the door. */
ASYNC_TEST(no_needless_threads)
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

    executor = asyncio_executor_new(2); /* both idle */
    gate_set(false);
    for (int i = 0; i < 2; i++)
        futures[i] = asyncio_run_in_executor(executor, gate_pass, NULL, NULL);
    wait_inside(2);
    gate_set(true);
    CHECK_EQUAL(asyncio_gather_array(NULL, futures, 2), 0);
    usleep(2000);
    asyncio_executor_release(executor);
    wait_for_threads_to_be(0);
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

TEST(released)
{
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

ASYNC_TEST(released_from_within)
{
    asyncio_executor *executor = asyncio_executor_new(2);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, release_from_within, executor, NULL)), 1);
    executor = asyncio_executor_new(2);
    CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(executor, note_run, executor, release_it)),
                (intptr_t)executor);
    return 0;
}

/* ---- drop -------------------------------------------------------------------------------- */

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

ASYNC_TEST(drops)
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

/* Queued: it does not run, and drop comes from the loop, not from within asyncio_cancel. */
ASYNC_TEST(drop_of_the_queued)
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

ASYNC(awaits_in_executor)
{
    return asyncio_await(asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look));
}

/* A task that is cancelled in its await of the future leaves the work behind. */
ASYNC_TEST(abandoned_by_a_task)
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

TEST_ONCE(drop_without_a_loop)
{
    atomic_store(&dropped, 0);
    CHECK(asyncio_run_in_executor(NULL, note_run, NULL, note_drop) == NULL);
    CHECK_EQUAL(atomic_load(&dropped), 1);
    harness_settle();
}

/* ---- The end of the run ------------------------------------------------------------------ */

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

TEST(the_end_waits_for_work)
{
    CHECK_EQUAL(run(main_forgets), 0);
    CHECK_EQUAL(atomic_load(&ran), 3);
    CHECK_EQUAL(atomic_load(&dropped), 3);
    CHECK_EQUAL(run_with_grace(main_forgets(), ASYNCIO_FOREVER), 0); /* and no longer */
    CHECK_EQUAL(atomic_load(&dropped), 3);
    harness_settle();
}

ASYNC(main_forgets_for_ever)
{
    asyncio_release(asyncio_run_in_executor(NULL, gate_pass, NULL, drop_and_look));
    gate_wait_inside(1);
    return 0;
}

/* Nobody waits for ever: it is told, and the drop is the thread's. */
TEST_ONCE(the_end_does_not_wait_for_ever)
{
    struct ledger before = ledger_now();
    gate_set(false);
    atomic_store(&dropped, 0);
    CHECK_EQUAL(run_with_grace(main_forgets_for_ever(), 0.01), 0);
    CHECK_EQUAL(report_count, 1);
    CHECK_HAS(reports[0].message, "1 function of executors did not return within 0.01 s");
    gate_set(true);
    wait_for(&dropped, 1);
    CHECK(!pthread_equal(dropped_on, pthread_self()));
    long kept = ledger_now().mapped - before.mapped;
    CHECK(kept > 0 && kept < 1 << 20); /* main's stack, for good: the function may have used it */
    before.mapped += kept;
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

TEST_ONCE(the_end_does_not_wait_for_the_cancelled)
{
    struct ledger before = ledger_now();
    gate_set(false);
    atomic_store(&dropped, 0);
    CHECK_EQUAL(run_with_grace(main_cancels_what_lasts(), ASYNCIO_FOREVER), 0);
    CHECK_EQUAL(report_count, 0);
    gate_set(true);
    wait_for(&dropped, 1);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* ---- A loop that closes first ------------------------------------------------------------ */

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
    wait_for(&dropped, drops);
    CHECK_EQUAL(asyncio_result(kept), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_remove_done_callback(kept, forget_result, NULL), 1);
    CHECK(asyncio_cancel(kept));
    asyncio_release(kept);
    asyncio_executor_release(executor);
    CHECK(wait_for_ledger(&before));
    CHECK_EQUAL(report_count, 0);
}

TEST_ONCE(closed_while_a_function_runs)
{
    close_with_work(begin_and_stop, 1, false);
    CHECK(!pthread_equal(dropped_on, pthread_self()));
    close_with_work(begin_two_and_stop, 2, false);
    for (int i = 0; i < 20; i++)
        close_with_work(begin_two_and_stop, 2, true);
    harness_settle();
}

/* ---- Several loops ----------------------------------------------------------------------- */

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
TEST_ONCE(released_with_work_of_several_loops)
{
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

int main(void)
{
    static const struct test_fixtures both = {.teardown = end_threads, .skips_once = true};
    static const struct test_fixtures all = {.teardown = end_threads};
    asy_pool_idle_ns = IDLE_NS;
    int failed = tests_run(&both);
    use_descriptors();
    return failed + tests_run(&all);
}
