/*
 * to_thread: results, messages, requests to cancel at every moment, memory that was lent, runs and
 * loops that end first, the virtual clock, forks.
 */
#include "base/sanitizer.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "threads/offload.h"
#include "threads/thread_test.h"
#include <sys/wait.h>

/* ---- to_thread: results ------------------------------------------------------------------ */

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

ASYNC_TEST(results)
{
    loop_thread = pthread_self();
    CHECK_EQUAL(asyncio_to_thread(twice, (void *)21), 42);
    CHECK_EQUAL(asyncio_to_thread(is_elsewhere, NULL), 0);
    CHECK_EQUAL(asyncio_to_thread(NULL, NULL), -EINVAL);
    return 0;
}

ASYNC_TEST(messages)
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

static void calls_from_a_callback(void *arg)
{
    CHECK_EQUAL(asyncio_to_thread(twice, arg), ASYNCIO_ENOTASK);
    asyncio_future *future = asyncio_run_in_executor(NULL, twice, arg, NULL);
    CHECK(future != NULL);
    asyncio_release(future);
}

ASYNC_TEST(callbacks)
{
    CHECK(asyncio_handle_valid(
        asyncio_loop_call_soon(asyncio_get_running_loop(), calls_from_a_callback, NULL)));
    return asyncio_sleep(0);
}

TEST_ONCE(outside_of_a_loop)
{
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

ASYNC_TEST(loop_goes_on)
{
    gate_set(false);
    asyncio_task *opener = asyncio_create_task(opens_the_gate());
    CHECK_EQUAL(asyncio_to_thread(gate_pass, (void *)5), 5);
    return asyncio_await(opener);
}

static asyncio_contextvar var = ASYNCIO_CONTEXTVAR_INIT("var", NULL);

static intptr_t look_and_set(void *arg)
{
    intptr_t before = (intptr_t)asyncio_contextvar_get(&var);
    CHECK_EQUAL(asyncio_contextvar_set(&var, arg, NULL), 0);
    return before;
}

/* A copy for to_thread; nothing for executors; and nothing is left for those after it. */
ASYNC_TEST(contexts)
{
    CHECK_EQUAL(asyncio_contextvar_set(&var, (void *)7, NULL), 0);
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(asyncio_to_thread(look_and_set, (void *)8), 7);
        CHECK_EQUAL(asyncio_await(asyncio_run_in_executor(NULL, look_and_set, (void *)9, NULL)), 0);
    }
    CHECK_EQUAL((intptr_t)asyncio_contextvar_get(&var), 7);
    return 0;
}

/* ---- to_thread: cancelled ---------------------------------------------------------------- */

static unsigned default_threads(void)
{
    unsigned count = asy_sys_processors() + 4;
    return count < 32 ? count : 32;
}

ASYNC(calls, intptr_t, n)
{
    return asyncio_to_thread(gate_pass, (void *)n);
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
ASYNC_TEST(cancelled_while_queued)
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

ASYNC_TEST(cancelled_while_running)
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

ASYNC(cancels_itself_first)
{
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_to_thread(gate_pass, NULL), -ECANCELED);
    return 4;
}

ASYNC_TEST(cancelled_before)
{
    gate_set(false);
    gate_set(true);
    CHECK_EQUAL(asyncio_await(asyncio_create_task(cancels_itself_first())), 4);
    CHECK_EQUAL(gate_came(), 0);
    return 0;
}

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

ASYNC_TEST(cancelled_at_its_end)
{
    for (int i = 0; i < 50; i++)
        CHECK_EQUAL(asyncio_await(asyncio_create_task(is_granted_first())), 5);
    return 0;
}

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

ASYNC_TEST(function_gives_in)
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

ASYNC(opens_later)
{
    int err = asyncio_sleep(0.02);
    gate_set(true);
    return err;
}

/* A limit on what cannot be left: the result wins. */
ASYNC_TEST(limited)
{
    gate_set(false);
    asyncio_task *task = asyncio_create_task(calls(9));
    wait_inside(1);
    asyncio_task *opener = asyncio_create_task(opens_later());
    CHECK_EQUAL(asyncio_wait_for(task, 0.005), 9);
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

/* ---- Sweeps ------------------------------------------------------------------------------ */

ASYNC(calls_once)
{
    static int lent;
    intptr_t result = asyncio_to_thread(note_run, &lent);
    CHECK(result == (intptr_t)&lent || result < 0);
    return result < 0 ? result : 1;
}

static void no_cancel_is_lost(intptr_t result, unsigned suspension)
{
    CHECK(result == 1 || (suspension && result == -ECANCELED));
}

TEST(sweeps)
{
    sweep_failures(calls_once);
    sweep_cancels(calls_once, no_cancel_is_lost);
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
    lent_by_main = __builtin_alloca(10000);                 /* where the address sanitizer leaves it */
    asyncio_task_options options = {.stack_size = 1 << 20}; /* another pool of stacks than main's */
    asyncio_release(asyncio_create_task_with(leftover(), &options));
    while (gate_inside() != 1)
        asyncio_sleep(0.001);
    return 0;
}

TEST_ONCE(mains_frame_outlives_the_grace)
{
    if (RUNNING_ON_VALGRIND)
        skip(); /* to it, what lies above a stack that is done with is nobody's */
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

/* ---- The end of the run, and of the loop ------------------------------------------------ */

static void stop_here(void *arg)
{
    (void)arg;
    asyncio_loop_stop(asyncio_get_running_loop());
}

/* A task that waits for a function that has not begun will never see its end: the function does not
 * run. */
TEST_ONCE(closed_over_calls)
{
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

ASYNC_TEST(a_loop_on_a_thread)
{
    CHECK_EQUAL(asyncio_to_thread(run_within, NULL), 6);
    return 0;
}

/* ---- The virtual clock, and deadlocks ---------------------------------------------------- */

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
    CHECK_EQUAL(asyncio_wait_for(naps(), 100), 1);
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

TEST_ONCE(virtual_clock)
{
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
TEST_ONCE(no_deadlock_is_reported)
{
    struct ledger before = ledger_now();
    asyncio_run_options options = {.debug = 1};
    asyncio_runner runner;
    CHECK_EQUAL(asyncio_runner_init(&runner, &options), 0);
    record_reports(asyncio_runner_get_loop(&runner));
    asyncio_loop_set_slow_callback_duration(asyncio_runner_get_loop(&runner), ASYNCIO_FOREVER);
    CHECK_EQUAL(asyncio_runner_run(&runner, naps_often()), 0);
    CHECK_EQUAL(asyncio_runner_close(&runner), 0);
    CHECK_EQUAL(report_count, 0);
    CHECK(wait_for_ledger(&before));
    harness_settle();
}

/* ---- Forks ------------------------------------------------------------------------------- */

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

TEST_ONCE(a_child_begins_anew)
{
    if (ASY_TSAN || RUNNING_ON_VALGRIND)
        skip(); /* no new threads in a child of several, says one; the parent's are leaks, the other */
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

TEST_ONCE(a_function_that_returns_in_a_child)
{
    if (ASY_TSAN || RUNNING_ON_VALGRIND)
        skip();
    check_prints(run_fork_on_a_thread, "a function on a thread of an executor returned in a forked child");
}

/* musl's threads have 128 KiB by themselves. */
static intptr_t uses_much_stack(void *arg)
{
    volatile char frame[768 * 1024];
    (void)arg;
    for (size_t i = 0; i < sizeof frame; i += 512)
        frame[i] = 1;
    return frame[512];
}

ASYNC_TEST(large_frames)
{
    return asyncio_to_thread(uses_much_stack, NULL) - 1;
}

int main(void)
{
    static const struct test_fixtures both = {.teardown = end_threads, .skips_once = true};
    static const struct test_fixtures all = {.teardown = end_threads};
    asy_pool_idle_ns = INT64_C(1000000); /* threads are begun the more often */
    int failed = tests_run(&both);
    use_descriptors();
    return failed + tests_run(&all);
}
