/*
 * Signals: waited for and called back, by one loop or several, in any thread; and
 * that nothing is left of it: neither handlers nor memory.
 */
#include "asyncio.h"
#include "child.h"
#include "support/harness.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

static bool has_handler(int signo, void (*handler)(int))
{
    struct sigaction now;
    return sigaction(signo, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) && now.sa_handler == handler;
}

static void send_now(void *signo)
{
    raise((int)(intptr_t)signo);
}

static void send_soon(int signo)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), send_now, (void *)(intptr_t)signo);
}

/* ---- Waited for ------------------------------------------------------------------------------ */

ASYNC(waits, int, signo)
{
    return asyncio_wait_signal(signo);
}

ASYNC(waits_once)
{
    CHECK(has_handler(SIGUSR1, SIG_DFL));
    send_soon(SIGUSR1);
    CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
    CHECK(!has_handler(SIGUSR1, SIG_DFL));
    return 0;
}

TEST(a_wait_ends_when_the_signal_comes)
{
    assert_int_equal(run(waits_once), 0);
    assert_true(has_handler(SIGUSR1, SIG_DFL));
}

ASYNC_TEST(one_between_two_waits_is_kept)
{
    send_soon(SIGUSR1);
    CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 5), 0);
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 0.01), -ETIMEDOUT);
    return 0;
}

ASYNC_TEST(all_who_wait_are_told)
{
    asyncio_task *tasks[5];
    intptr_t results[5] = {1, 1, 1, 1, 1};
    for (int i = 0; i < 5; i++)
        tasks[i] = asyncio_create_task(waits(i < 4 ? SIGUSR1 : SIGUSR2));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    raise(SIGUSR1);
    raise(SIGUSR2);
    CHECK_EQUAL(asyncio_gather_array(results, tasks, 5), 0);
    /* None is left over for this one. */
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 0.01), -ETIMEDOUT);
    return 0;
}

ASYNC_TEST(a_wait_can_be_cancelled)
{
    asyncio_task *task = asyncio_create_task(waits(SIGUSR1));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    /* It came all the same. */
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 5), 0);
    return 0;
}

ASYNC(is_cancelled_before)
{
    asyncio_task *task = asyncio_create_task(waits(SIGUSR1));
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    CHECK(has_handler(SIGUSR1, SIG_DFL));
    /* Nor does one that ended before it began, of a number that is none. */
    task = asyncio_create_task(waits(SIGSEGV));
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -EINVAL);
    /* One that is kept is no wait, and the request stays. */
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 0.001), -ETIMEDOUT);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    asyncio_cancel(asyncio_current_task());
    CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
    CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), -ECANCELED);
    asyncio_task_uncancel(asyncio_current_task());
    return 0;
}

TEST(a_wait_that_never_begins_installs_nothing)
{
    assert_int_equal(run(is_cancelled_before), 0);
    assert_true(has_handler(SIGUSR1, SIG_DFL));
}

static void cancel_task(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

ASYNC_TEST(no_signal_is_lost_to_a_cancel)
{
    send_soon(SIGUSR1);
    CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_task *task = asyncio_create_task(waits(SIGUSR1));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    raise(SIGUSR1);
    /* Both come in one iteration: the signal is collected by the poll before it. */
    asyncio_loop_call_soon(loop, cancel_task, task);
    intptr_t result;
    CHECK_EQUAL(asyncio_join(task, &result), 0);
    CHECK(result == 0 || result == -ECANCELED);
    if (result) /* then it is kept */
        CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 5), 0);
    return 0;
}

ASYNC_TEST(what_is_no_signal_is_refused)
{
    static const int none[] = {0, -1, 65, 1000, SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL, 32};
    asyncio_loop *loop = asyncio_get_running_loop();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        CHECK_EQUAL(asyncio_wait_signal(none[i]), -EINVAL);
        CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, none[i], send_now, NULL), -EINVAL);
        CHECK(!asyncio_loop_remove_signal_handler(loop, none[i]));
    }
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, NULL, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_loop_add_signal_handler(NULL, SIGUSR1, send_now, NULL), -EINVAL);
    CHECK(!asyncio_loop_remove_signal_handler(NULL, SIGUSR1));
    CHECK(!asyncio_loop_remove_signal_handler(loop, SIGUSR1));
    CHECK(has_handler(SIGUSR1, SIG_DFL));
    return 0;
}

TEST(outside_a_task)
{
    assert_int_equal(asyncio_wait_signal(SIGUSR1), ASYNCIO_ENOTASK);
    asyncio_loop *loop = asyncio_loop_new(NULL);
    assert_int_equal(asyncio_loop_add_signal_handler(loop, SIGUSR1, send_now, NULL), 0);
    assert_int_equal(asyncio_loop_close(loop), 0);
    assert_true(has_handler(SIGUSR1, SIG_DFL));
    assert_int_equal(asyncio_loop_add_signal_handler(loop, SIGUSR1, send_now, NULL), ASYNCIO_ESTATE);
    assert_false(asyncio_loop_remove_signal_handler(loop, SIGUSR1));
    asyncio_loop_release(loop);
}

static void deadlock_reported(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    ++*(int *)arg;
}

static void send_to_process(void *signo)
{
    kill(getpid(), (int)(intptr_t)signo);
}

static void *send_after_a_while(void *signo)
{
    usleep(20000);
    send_to_process(signo);
    return NULL;
}

/* Nothing in the loop could wake it; but that is no deadlock. */
TEST(debug_mode_knows_that_a_signal_may_come)
{
    int told = 0;
    asyncio_run_options options = {.debug = 1};
    asyncio_loop *loop = asyncio_loop_new(&options);
    asyncio_loop_set_exception_handler(loop, deadlock_reported, &told);
    asyncio_task *task = asyncio_loop_create_task(loop, waits(SIGUSR1));
    /* Before the thread: it is to find the handler there. */
    assert_int_equal(asyncio_loop_add_signal_handler(loop, SIGUSR1, cancel_task, NULL), 0);
    pthread_t thread;
    pthread_create(&thread, NULL, send_after_a_while, (void *)(intptr_t)SIGUSR1);
    assert_int_equal(asyncio_loop_run_until_complete(loop, (asyncio_future *)task), 0);
    pthread_join(thread, NULL);
    assert_int_equal(told, 0);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
}

/* ---- Called back ----------------------------------------------------------------------------- */

static int calls, other_calls;

static void count(void *arg)
{
    CHECK(asyncio_current_task() == NULL);
    CHECK(asyncio_get_running_loop() != NULL);
    ++*(int *)arg;
}

ASYNC(is_called_back)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    calls = other_calls = 0;
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &calls), 0);
    for (int i = 1; i <= 3; i++) {
        raise(SIGUSR1);
        CHECK_EQUAL(asyncio_sleep(0.001), 0);
        CHECK_EQUAL(calls, i);
    }
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 4);
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &other_calls), 0);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 4);
    CHECK_EQUAL(other_calls, 1);
    /* One that is on its way is dropped. */
    raise(SIGUSR1);
    CHECK(asyncio_loop_remove_signal_handler(loop, SIGUSR1));
    CHECK(!asyncio_loop_remove_signal_handler(loop, SIGUSR1));
    CHECK(has_handler(SIGUSR1, SIG_DFL));
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &calls), 0);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 4);
    CHECK_EQUAL(other_calls, 1);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 5);
    return 0; /* the handler is still there */
}

TEST(a_handler_is_called_by_the_loop)
{
    assert_int_equal(run(is_called_back), 0);
    assert_true(has_handler(SIGUSR1, SIG_DFL));
}

static void remove_itself(void *arg)
{
    count(arg);
    CHECK(asyncio_loop_remove_signal_handler(asyncio_get_running_loop(), SIGUSR2));
}

ASYNC_TEST(a_handler_may_remove_itself)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    calls = 0;
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR2, remove_itself, &calls), 0);
    raise(SIGUSR2);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 1);
    CHECK(has_handler(SIGUSR2, SIG_DFL));
    return 0;
}

ASYNC_TEST(a_handler_and_a_wait_both_see_it)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    calls = 0;
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &calls), 0);
    asyncio_task *task = asyncio_create_task(waits(SIGUSR1));
    CHECK_EQUAL(asyncio_sleep(0), 0);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_await(task), 0);
    CHECK_EQUAL(asyncio_sleep(0), 0);
    CHECK_EQUAL(calls, 1);
    CHECK(asyncio_loop_remove_signal_handler(loop, SIGUSR1));
    /* The wait has installed it, too, until the loop closes. */
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 5), 0);
    CHECK_EQUAL(calls, 1);
    return 0;
}

static asyncio_contextvar variable = ASYNCIO_CONTEXTVAR_INIT("variable", NULL);
static void *seen;

static void look_at_variable(void *arg)
{
    (void)arg;
    seen = asyncio_contextvar_get(&variable);
}

ASYNC_TEST(it_runs_in_the_context_where_it_was_added)
{
    int one, two;
    asyncio_loop *loop = asyncio_get_running_loop();
    asyncio_contextvar_set(&variable, &one, NULL);
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, look_at_variable, NULL), 0);
    asyncio_contextvar_set(&variable, &two, NULL);
    for (int i = 0; i < 2; i++) {
        seen = NULL;
        raise(SIGUSR1);
        CHECK_EQUAL(asyncio_sleep(0.001), 0);
        CHECK(seen == &one);
    }
    return 0;
}

/* ---- What was there before ------------------------------------------------------------------- */

static _Atomic int own_calls;

static void own_handler(int signo)
{
    (void)signo;
    own_calls++;
}

ASYNC(stands_in)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    calls = 0;
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &calls), 0);
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 1);
    CHECK(asyncio_loop_remove_signal_handler(loop, SIGUSR1));
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(calls, 1);
    return 0;
}

TEST(the_old_action_comes_back)
{
    own_calls = 0;
    signal(SIGUSR1, own_handler);
    assert_int_equal(run(stands_in), 0);
    assert_true(has_handler(SIGUSR1, own_handler));
    assert_int_equal(own_calls, 1);
    signal(SIGUSR1, SIG_IGN);
    assert_int_equal(run(stands_in), 0);
    assert_true(has_handler(SIGUSR1, SIG_IGN));
    signal(SIGUSR1, SIG_DFL);
}

ASYNC(is_replaced)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &calls), 0);
    signal(SIGUSR1, own_handler);
    return 0;
}

TEST(one_put_there_meanwhile_stays)
{
    assert_int_equal(run(is_replaced), 0);
    assert_true(has_handler(SIGUSR1, own_handler));
    signal(SIGUSR1, SIG_DFL);
}

ASYNC_TEST(the_handler_is_no_burden)
{
    struct sigaction now;
    CHECK_EQUAL(asyncio_loop_add_signal_handler(asyncio_get_running_loop(), SIGUSR1, count, &calls), 0);
    CHECK_EQUAL(sigaction(SIGUSR1, NULL, &now), 0);
    CHECK(now.sa_flags & SA_RESTART);
    CHECK(now.sa_flags & SA_ONSTACK); /* coroutine stacks are small */
    errno = EXDEV;
    raise(SIGUSR1);
    CHECK_EQUAL(errno, EXDEV);
    return 0;
}

static void nothing(void *arg)
{
    (void)arg;
}

ASYNC_TEST(one_that_finds_no_place_comes_with_the_next_wait)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    send_soon(SIGUSR1);
    CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
    while (asyncio_loop_call_soon_signalsafe(loop, nothing, NULL) == 0)
        ;
    raise(SIGUSR1);
    CHECK_EQUAL(asyncio_sleep(0.001), 0);
    CHECK_EQUAL(asyncio_wait_for(waits(SIGUSR1), 5), 0);
    return 0;
}

/* ---- asyncio_run's own signals --------------------------------------------------------------- */

static struct child child;
#define RUNS(fn, arg) child_run(&child, fn, (void *)(intptr_t)(arg))

ASYNC(handles_sigint, int, removes)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    calls = 0;
    CHILD_CHECK(asyncio_loop_add_signal_handler(loop, SIGINT, count, &calls) == 0);
    for (int i = 1; i <= 3; i++) {
        kill(getpid(), SIGINT);
        CHILD_CHECK(asyncio_sleep(0.001) == 0);
        CHILD_CHECK(calls == i);
    }
    if (removes) {
        CHILD_CHECK(asyncio_loop_remove_signal_handler(loop, SIGINT));
        kill(getpid(), SIGINT);
        return asyncio_sleep(10);
    }
    return 7;
}

static void run_handling(void *removes)
{
    for (int i = 0; i < 3; i++) {
        CHILD_CHECK(asyncio_run(handles_sigint((int)(intptr_t)removes)) == (removes ? -EINTR : 7));
        CHILD_CHECK(has_handler(SIGINT, SIG_DFL));
    }
}

TEST(a_handler_goes_before_the_runners)
{
    RUNS(run_handling, 0);
    assert_child_exit(&child, 0);
    RUNS(run_handling, 1);
    assert_child_exit(&child, 0);
}

ASYNC(waits_for_sigterm)
{
    raise(SIGTERM);
    return 5;
}

static void run_in_a_handled_loop(void *arg)
{
    (void)arg;
    asyncio_run_options options = {.handle_sigterm = 1};
    asyncio_runner runner;
    CHILD_CHECK(asyncio_runner_init(&runner, &options) == 0);
    asyncio_loop *loop = asyncio_runner_get_loop(&runner);
    CHILD_CHECK(asyncio_loop_add_signal_handler(loop, SIGTERM, count, &calls) == 0);
    CHILD_CHECK(asyncio_runner_run(&runner, waits_for_sigterm()) == 5);
    CHILD_CHECK(!has_handler(SIGTERM, SIG_DFL)); /* the run's use of it is over, the loop's is not */
    CHILD_CHECK(asyncio_loop_remove_signal_handler(loop, SIGTERM));
    CHILD_CHECK(has_handler(SIGTERM, SIG_DFL));
    CHILD_CHECK(asyncio_runner_close(&runner) == 0);
    raise(SIGTERM);
}

TEST(one_from_before_the_run_as_well)
{
    RUNS(run_in_a_handled_loop, 0);
    assert_child_signal(&child, SIGTERM);
}

/* A fork's child has no loop, and its signals are its own. */
ASYNC(forks)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    calls = 0;
    CHILD_CHECK(asyncio_loop_add_signal_handler(loop, SIGUSR1, count, &calls) == 0);
    CHILD_CHECK(asyncio_loop_add_signal_handler(loop, SIGUSR2, count, &calls) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHILD_CHECK(has_handler(SIGUSR2, own_handler));
        raise(SIGUSR2);
        CHILD_CHECK(own_calls == 1);
        raise(SIGUSR1);
        _exit(0);
    }
    int status;
    CHILD_CHECK(waitpid(pid, &status, 0) == pid);
    CHILD_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    CHILD_CHECK(asyncio_sleep(0.01) == 0);
    CHILD_CHECK(calls == 0);
    raise(SIGUSR1);
    CHILD_CHECK(asyncio_sleep(0.01) == 0);
    CHILD_CHECK(calls == 1);
    return 0;
}

static void run_forking(void *arg)
{
    (void)arg;
    own_calls = 0;
    signal(SIGUSR2, own_handler);
    CHILD_CHECK(asyncio_run(forks()) == 0);
    CHILD_CHECK(has_handler(SIGUSR2, own_handler));
}

TEST(a_forks_child_has_its_own)
{
    RUNS(run_forking, 0);
    assert_child_exit(&child, 0);
}

/* ---- Threads --------------------------------------------------------------------------------- */

#define LOOPS 4
#define ROUNDS 50
static _Atomic int ready, told;
static _Atomic bool stopping;

ASYNC(waits_a_moment)
{
    return asyncio_wait_signal(SIGUSR1);
}

/* From its first wait on, a loop keeps what comes. */
ASYNC(waits_in_a_thread)
{
    CHECK_EQUAL(asyncio_wait_for(waits_a_moment(), 0.001), -ETIMEDOUT);
    atomic_fetch_add(&ready, 1);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_EQUAL(asyncio_wait_signal(SIGUSR1), 0);
        atomic_fetch_add(&told, 1);
    }
    return 0;
}

static void *run_waiting(void *arg)
{
    (void)arg;
    return (void *)asyncio_run(waits_in_a_thread());
}

TEST(several_loops_are_told)
{
    pthread_t threads[LOOPS];
    signal(SIGUSR1, SIG_IGN);
    ready = told = 0;
    for (int i = 0; i < LOOPS; i++)
        pthread_create(&threads[i], NULL, run_waiting, NULL);
    while (atomic_load(&ready) < LOOPS)
        usleep(100);
    for (int round = 1; round <= ROUNDS; round++) {
        kill(getpid(), SIGUSR1); /* reaches each of them, once */
        while (atomic_load(&told) < LOOPS * round)
            usleep(100);
        assert_int_equal(atomic_load(&told), LOOPS * round);
    }
    for (int i = 0; i < LOOPS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        assert_ptr_equal(result, NULL);
    }
    harness_settle();
    assert_true(has_handler(SIGUSR1, SIG_IGN));
    signal(SIGUSR1, SIG_DFL);
}

static void count_atomically(void *arg)
{
    atomic_fetch_add((_Atomic int *)arg, 1);
}

/* Comes and goes, while signals come from everywhere. */
ASYNC(comes_and_goes)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    for (int i = 0; i < 200 || (i < 20000 && !atomic_load(&told)); i++) {
        int signo = i % 2 ? SIGUSR1 : SIGUSR2;
        CHECK_EQUAL(asyncio_loop_add_signal_handler(loop, signo, count_atomically, &told), 0);
        CHECK_EQUAL(asyncio_sleep(0.0005), 0);
        if (i % 3)
            CHECK(asyncio_loop_remove_signal_handler(loop, signo));
    }
    return 0;
}

static void *run_coming_and_going(void *arg)
{
    (void)arg;
    for (int i = 0; i < (is_slow_build() ? 1 : 3); i++)
        CHECK_EQUAL(asyncio_run(comes_and_goes()), 0);
    return NULL;
}

static void *storm(void *arg)
{
    (void)arg;
    while (!atomic_load(&stopping)) {
        kill(getpid(), SIGUSR1);
        kill(getpid(), SIGUSR2);
        raise(SIGUSR1);
        usleep(is_slow_build() ? 1000 : 1);
    }
    return NULL;
}

TEST(a_storm_of_signals_harms_nobody)
{
    pthread_t threads[LOOPS], storms[2];
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, own_handler);
    told = 0;
    atomic_store(&stopping, false);
    for (int i = 0; i < 2; i++)
        pthread_create(&storms[i], NULL, storm, NULL);
    for (int i = 0; i < LOOPS; i++)
        pthread_create(&threads[i], NULL, run_coming_and_going, NULL);
    for (int i = 0; i < LOOPS; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&stopping, true);
    for (int i = 0; i < 2; i++)
        pthread_join(storms[i], NULL);
    harness_settle();
    assert_true(told > 0);
    assert_true(has_handler(SIGUSR1, SIG_IGN));
    assert_true(has_handler(SIGUSR2, own_handler));
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

/* ---- Sweeps ---------------------------------------------------------------------------------- */

ASYNC(any_day)
{
    asyncio_loop *loop = asyncio_get_running_loop();
    int err = asyncio_loop_add_signal_handler(loop, SIGUSR1, nothing, NULL);
    if (!err)
        raise(SIGUSR1);
    asyncio_task *task = asyncio_create_task(waits(SIGUSR2));
    asyncio_sleep(0);
    if (!has_handler(SIGUSR2, SIG_IGN))
        raise(SIGUSR2);
    else
        asyncio_cancel(task);
    intptr_t result = asyncio_wait_for(task, 0.01);
    if (!err)
        asyncio_loop_remove_signal_handler(loop, SIGUSR1);
    return result < 0 ? result : 0;
}

ASYNC(any_day_well)
{
    intptr_t result = asyncio_await(any_day());
    return result == -ETIMEDOUT ? 0 : result;
}

TEST(every_call_may_fail)
{
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR2, SIG_IGN);
    sweep_failures(any_day_well);
    assert_true(has_handler(SIGUSR1, SIG_IGN));
    assert_true(has_handler(SIGUSR2, SIG_IGN));
    signal(SIGUSR1, SIG_DFL);
    signal(SIGUSR2, SIG_DFL);
}

ASYNC(two_waits)
{
    send_soon(SIGUSR1);
    int err = asyncio_wait_signal(SIGUSR1);
    if (err)
        return err;
    asyncio_loop_call_soon(asyncio_get_running_loop(), send_now, (void *)(intptr_t)SIGUSR1);
    return asyncio_wait_signal(SIGUSR1);
}

static void check_cancelled(intptr_t result, unsigned suspension)
{
    CHECK_EQUAL(result, suspension ? -ECANCELED : 0);
}

TEST(every_wait_may_be_cancelled)
{
    sweep_cancels(two_waits, check_cancelled);
    assert_true(has_handler(SIGUSR1, SIG_DFL));
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
