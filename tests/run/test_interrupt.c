/*
 * SIGINT and SIGTERM while a program runs: the first cancels main, the second takes
 * its default action; whose handlers are in force, and that they are put back.
 */
#include "asyncio.h"
#include "child.h"
#include "core/loop.h"
#include "support/test.h"
#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

static struct child child;

#define RUNS(fn, arg) child_run(&child, fn, (void *)(intptr_t)(arg))

/* ---- Mains ---------------------------------------------------------------------------- */

ASYNC(is_interrupted, int, signo)
{
    kill(getpid(), signo);
    int err = asyncio_sleep(30);
    printf("%s\n", asyncio_errname(err));
    return err;
}

ASYNC(swallows, int, signo)
{
    kill(getpid(), signo);
    int err = asyncio_sleep(30);
    printf("%s, %d\n", asyncio_errname(err), asyncio_task_cancelling(asyncio_current_task()));
    return asyncio_sleep(0) ? -EIO : 7;
}

ASYNC(is_interrupted_twice, int, signo)
{
    kill(getpid(), signo);
    asyncio_sleep(30);
    puts("once");
    kill(getpid(), signo);
    while (asyncio_sleep(30) != 0)
        puts("twice");
    return 0;
}

static void cancel(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

ASYNC(is_cancelled_by_both)
{
    kill(getpid(), SIGINT);
    asyncio_loop_call_soon(asyncio_get_running_loop(), cancel, asyncio_current_task());
    return asyncio_sleep(30);
}

ASYNC(busy)
{
    kill(getpid(), SIGINT);
    for (int i = 0; i < 1000; i++) {
        int err = asyncio_sleep(0);
        if (err)
            return err;
    }
    return 0;
}

/* ---- The first ------------------------------------------------------------------------- */

static bool is_default(int signo)
{
    struct sigaction action;
    return sigaction(signo, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
           action.sa_handler == SIG_DFL;
}

static void run_interrupted(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(is_interrupted(SIGINT)) == -EINTR);
    CHILD_CHECK(strcmp(asyncio_error_message(), "interrupted by SIGINT") == 0);
    CHILD_CHECK(is_default(SIGINT));
    CHILD_CHECK(asyncio_run(busy()) == -EINTR);
    CHILD_CHECK(is_default(SIGINT));
}

TEST(the_first_sigint_cancels_main)
{
    RUNS(run_interrupted, 0);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "ECANCELED\n");
}

static void run_swallowed(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(swallows(SIGINT)) == 7);
}

TEST(a_main_that_swallows_it_keeps_its_result)
{
    RUNS(run_swallowed, 0);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "ECANCELED, 1\n");
}

static void run_cancelled_by_both(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(is_cancelled_by_both()) == -ECANCELED);
}

TEST(somebody_elses_cancel_stays_a_cancel)
{
    RUNS(run_cancelled_by_both, 0);
    assert_child_exit(&child, 0);
}

ASYNC(cancels_nothing_stale)
{
    return asyncio_sleep(0.001) ? -EIO : 0;
}

static void interrupt_late(asyncio_future *future, void *arg)
{
    (void)future;
    (void)arg;
    kill(getpid(), SIGINT);
}

/* Too late for this run: the loop does not look again. */
ASYNC(ends_with_the_signal)
{
    asyncio_add_done_callback(asyncio_current_task(), interrupt_late, NULL);
    return 1;
}

static void run_twice(void *arg)
{
    asyncio_runner runner;
    (void)arg;
    CHILD_CHECK(asyncio_runner_init(&runner, NULL) == 0);
    CHILD_CHECK(asyncio_runner_run(&runner, ends_with_the_signal()) == 1);
    CHILD_CHECK(asyncio_runner_run(&runner, cancels_nothing_stale()) == 0);
    CHILD_CHECK(asyncio_runner_run(&runner, is_interrupted(SIGINT)) == -EINTR);
    CHILD_CHECK(asyncio_runner_close(&runner) == 0);
}

TEST(a_late_signal_does_not_meet_the_next_main)
{
    RUNS(run_twice, 0);
    assert_child_exit(&child, 0);
}

/* ---- The second -------------------------------------------------------------------------- */

static void run_interrupted_twice(void *signo)
{
    asyncio_run_options options = {.handle_sigterm = 1};
    asyncio_run_with(is_interrupted_twice((int)(intptr_t)signo), &options);
}

TEST(the_second_kills)
{
    RUNS(run_interrupted_twice, SIGINT);
    assert_child_signal(&child, SIGINT);
    assert_string_equal(child.text, "once\n");
    RUNS(run_interrupted_twice, SIGTERM);
    assert_child_signal(&child, SIGTERM);
}

ASYNC(gets_one_of_each)
{
    kill(getpid(), SIGTERM);
    asyncio_sleep(30);
    kill(getpid(), SIGINT);
    return asyncio_sleep(30);
}

static void run_one_of_each(void *arg)
{
    (void)arg;
    asyncio_run_options options = {.handle_sigterm = 1};
    asyncio_run_with(gets_one_of_each(), &options);
}

TEST(the_second_may_be_the_other)
{
    RUNS(run_one_of_each, 0);
    assert_child_signal(&child, SIGINT);
}

ASYNC(computes_for_ever)
{
    kill(getpid(), SIGINT);
    puts("first");
    kill(getpid(), SIGINT);
    return 0;
}

static void run_computing(void *arg)
{
    (void)arg;
    asyncio_run(computes_for_ever());
}

TEST(the_second_kills_at_once)
{
    RUNS(run_computing, 0);
    assert_child_signal(&child, SIGINT);
    assert_string_equal(child.text, "first\n");
}

ASYNC(leftover)
{
    asyncio_sleep(30);
    puts("in the shutdown");
    kill(getpid(), SIGINT);
    return asyncio_sleep(30);
}

ASYNC(leaves_one)
{
    asyncio_release(asyncio_create_task(leftover()));
    return asyncio_sleep(0);
}

static void run_leaving(void *arg)
{
    (void)arg;
    asyncio_run(leaves_one());
}

/* Main is over: there is nothing to cancel. */
TEST(one_in_the_shutdown_kills)
{
    RUNS(run_leaving, 0);
    assert_child_signal(&child, SIGINT);
    assert_string_equal(child.text, "in the shutdown\n");
}

/* ---- SIGTERM, and a program's main ----------------------------------------------------------- */

static void run_with_sigterm(void *handled)
{
    asyncio_run_options options = {.handle_sigterm = (int)(intptr_t)handled};
    CHILD_CHECK(asyncio_run_with(is_interrupted(SIGTERM), &options) == -EINTR);
    CHILD_CHECK(strcmp(asyncio_error_message(), "interrupted by SIGTERM") == 0);
    CHILD_CHECK(is_default(SIGTERM));
    CHILD_CHECK(is_default(SIGINT));
}

TEST(sigterm_is_handled_where_asked_for)
{
    RUNS(run_with_sigterm, 1);
    assert_child_exit(&child, 0);
    RUNS(run_with_sigterm, 0);
    assert_child_signal(&child, SIGTERM);
    RUNS(run_with_sigterm, -1);
    assert_child_signal(&child, SIGTERM);
}

static void main_interrupted(void *signo)
{
    _exit(asyncio_main(is_interrupted((int)(intptr_t)signo)));
}

static void main_swallows(void *signo)
{
    _exit(asyncio_main(swallows((int)(intptr_t)signo)));
}

TEST(mains_exit_status)
{
    RUNS(main_interrupted, SIGINT);
    assert_child_exit(&child, 130);
    assert_string_equal(child.text, "ECANCELED\n");
    RUNS(main_interrupted, SIGTERM);
    assert_child_exit(&child, 143);
    assert_string_equal(child.text, "ECANCELED\n");
    RUNS(main_swallows, SIGTERM);
    assert_child_exit(&child, 0);
}

/* ---- Whose handler it is ------------------------------------------------------------------------ */

static volatile sig_atomic_t own_count;
static void own_handler(int signo)
{
    (void)signo;
    own_count++;
}

ASYNC(is_not_interrupted)
{
    kill(getpid(), SIGINT);
    return asyncio_sleep(0.002);
}

static void run_with_own(void *option)
{
    asyncio_run_options options = {.handle_sigint = (int)(intptr_t)option};
    signal(SIGINT, own_handler);
    intptr_t result = asyncio_run_with(is_not_interrupted(), &options);
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    CHILD_CHECK(action.sa_handler == own_handler);
    CHILD_CHECK(result == (options.handle_sigint > 0 ? -EINTR : 0));
    CHILD_CHECK(own_count == (options.handle_sigint > 0 ? 0 : 1));
}

TEST(a_programs_own_handler_stays)
{
    RUNS(run_with_own, 0);
    assert_child_exit(&child, 0);
    RUNS(run_with_own, -1);
    assert_child_exit(&child, 0);
    RUNS(run_with_own, 1); /* asked for: it stands aside for the run */
    assert_child_exit(&child, 0);
}

static void run_with_ignored(void *arg)
{
    (void)arg;
    signal(SIGINT, SIG_IGN);
    CHILD_CHECK(asyncio_run(is_not_interrupted()) == 0);
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    CHILD_CHECK(action.sa_handler == SIG_IGN);
}

TEST(an_ignored_signal_stays_ignored)
{
    RUNS(run_with_ignored, 0);
    assert_child_exit(&child, 0);
}

ASYNC(installs_its_own)
{
    signal(SIGINT, own_handler);
    kill(getpid(), SIGINT);
    return asyncio_sleep(0.001);
}

static void run_installing(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(installs_its_own()) == 0);
    struct sigaction action;
    sigaction(SIGINT, NULL, &action);
    CHILD_CHECK(action.sa_handler == own_handler);
    CHILD_CHECK(own_count == 1);
}

TEST(one_installed_meanwhile_stays)
{
    RUNS(run_installing, 0);
    assert_child_exit(&child, 0);
}

static void run_not_handling(void *arg)
{
    (void)arg;
    asyncio_run_options options = {.handle_sigint = -1};
    asyncio_run_with(is_interrupted(SIGINT), &options);
}

TEST(not_handled_where_not_wanted)
{
    RUNS(run_not_handling, 0);
    assert_child_signal(&child, SIGINT);
    assert_child_silent(&child);
}

ASYNC(looks_at_handlers)
{
    asyncio_sleep(0);
    return is_default(SIGINT) && is_default(SIGTERM);
}

static void *run_looking(void *option)
{
    asyncio_run_options options = {.handle_sigint = (int)(intptr_t)option};
    return (void *)asyncio_run_with(looks_at_handlers(), &options);
}

static void run_in_a_thread(void *arg)
{
    pthread_t thread;
    void *untouched;
    (void)arg;
    CHILD_CHECK(run_looking((void *)0) == (void *)0);
    pthread_create(&thread, NULL, run_looking, (void *)0);
    pthread_join(thread, &untouched);
    CHILD_CHECK(untouched == (void *)1);
    pthread_create(&thread, NULL, run_looking, (void *)1);
    pthread_join(thread, &untouched);
    CHILD_CHECK(untouched == (void *)0);
    CHILD_CHECK(is_default(SIGINT));
}

static void nothing(void *arg)
{
    (void)arg;
}

/* With all places for signals taken one is as good as lost; the next is the first then, and kills nobody. */
ASYNC(finds_no_place)
{
    while (asyncio_loop_call_soon_signalsafe(asyncio_get_running_loop(), nothing, NULL) == 0)
        ;
    kill(getpid(), SIGINT);
    if (asyncio_sleep(0.01))
        return 1;
    kill(getpid(), SIGINT);
    return asyncio_sleep(30);
}

static void run_without_places(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run(finds_no_place()) == -EINTR);
}

TEST(one_that_finds_no_place_is_not_the_first)
{
    RUNS(run_without_places, 0);
    assert_child_exit(&child, 0);
}

TEST(by_default_in_the_main_thread_only)
{
    RUNS(run_in_a_thread, 0);
    assert_child_exit(&child, 0);
}

/* The signal reaches another thread than the runner's. */
static void *interrupt_here(void *arg)
{
    (void)arg;
    sigset_t all;
    sigemptyset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    raise(SIGINT);
    return NULL;
}

ASYNC(is_interrupted_elsewhere)
{
    pthread_t thread;
    pthread_create(&thread, NULL, interrupt_here, NULL);
    int err = asyncio_sleep(30);
    pthread_join(thread, NULL);
    return err;
}

static void run_interrupted_elsewhere(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        CHILD_CHECK(asyncio_run(is_interrupted_elsewhere()) == -EINTR);
}

TEST(a_signal_in_another_thread)
{
    RUNS(run_interrupted_elsewhere, 0);
    assert_child_exit(&child, 0);
}

TEST_MAIN()
