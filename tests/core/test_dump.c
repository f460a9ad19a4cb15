/*
 * The dump of tasks that a signal handler may make, at any moment.
 */
#include "asyncio.h"
#include "support/harness.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- What it says ------------------------------------------------------------------- */

static const char *dumped(void)
{
    static char text[8192];
    FILE *file = tmpfile();
    asyncio_dump_signalsafe(fileno(file));
    ssize_t n = pread(fileno(file), text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    fclose(file);
    return text;
}

ASYNC(sleeper)
{
    return asyncio_sleep(1);
}

ASYNC_TEST(every_state_in_words)
{
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_task_set_name(task, "Nap\nper");
    CHECK_HAS(dumped(), ": 2 tasks\n");
    CHECK_HAS(dumped(), "of main_of_every_state_in_words: runs, made at ");
    CHECK_HAS(dumped(), "asyncio:   Nap?per of sleeper: has not begun, made at ");
    asyncio_sleep(0);
    CHECK_HAS(dumped(), "asyncio:   Nap?per of sleeper: waits in sleep, at 0x");
    asyncio_await(task);
    return 0;
}

/* ---- A storm of signals ----------------------------------------------------------------- */

static int null_file;
static _Atomic unsigned dumps;

static _Atomic int alive;

/* The next signal comes a while after this one was dealt with, so that the program gets on. */
static void arm_timer(void)
{
    struct itimerval once = {{0, 0}, {0, 50 + 7 * (long)(atomic_load(&dumps) % 50)}};
    setitimer(ITIMER_REAL, &once, NULL);
}

static void dump_now(int signo)
{
    asyncio_dump_signalsafe(null_file);
    atomic_fetch_add(&dumps, 1);
    if (signo)
        arm_timer();
}

ASYNC(short_lived, int, n)
{
    if (n % 3)
        asyncio_sleep(0);
    if (n % 7 == 0)
        asyncio_sleep(0.00001);
    atomic_fetch_sub(&alive, 1);
    return 0;
}

/* Makes and ends tasks, until so many dumps were made. */
ASYNC(churns, unsigned, wanted)
{
    for (int n = 0; atomic_load(&dumps) < wanted; n++) {
        atomic_fetch_add(&alive, 1);
        asyncio_release(asyncio_create_task(short_lived(n)));
        while (atomic_load(&alive) > n % 30)
            asyncio_sleep(0);
    }
    return 0;
}

static void begin_storm(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = dump_now;
    action.sa_flags = SA_RESTART;
    atomic_store(&dumps, 0);
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    arm_timer();
}

static void end_storm(void)
{
    struct itimerval never = {{0, 0}, {0, 0}};
    signal(SIGALRM, SIG_IGN); /* first, and for good: a handler would set the timer anew */
    setitimer(ITIMER_REAL, &never, NULL);
}

#define STORM ((unsigned)repeats(50, 300, 10000))

TEST(in_the_middle_of_anything)
{
    null_file = fileno(fopen("/dev/null", "w"));
    begin_storm();
    CHECK_EQUAL(asyncio_run(churns(STORM)), 0);
    end_storm();
    close(null_file);
    harness_settle();
}

static void *dump_from_elsewhere(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < STORM; i++)
        dump_now(0);
    return NULL;
}

TEST(from_another_thread)
{
    pthread_t thread;
    null_file = fileno(fopen("/dev/null", "w"));
    atomic_store(&dumps, 0);
    assert_int_equal(pthread_create(&thread, NULL, dump_from_elsewhere, NULL), 0);
    CHECK_EQUAL(asyncio_run(churns(STORM)), 0);
    pthread_join(thread, NULL);
    close(null_file);
    harness_settle();
}

/* ---- SIGQUIT --------------------------------------------------------------------------- */

ASYNC(quits)
{
    asyncio_task *task = asyncio_create_task(sleeper());
    asyncio_sleep(0);
    raise(SIGQUIT);
    return asyncio_await(task);
}

static void run_in_debug_mode(void)
{
    asyncio_run_options options = {.debug = 1, .clock = ASYNCIO_CLOCK_VIRTUAL};
    if (asyncio_run_with(quits(), &options))
        abort();
}

TEST(debug_mode_dumps_at_sigquit)
{
    check_prints(run_in_debug_mode, "of sleeper: waits in sleep, at 0x");
}

static bool is_default(void)
{
    struct sigaction action;
    sigaction(SIGQUIT, NULL, &action);
    return action.sa_handler == SIG_DFL;
}

TEST(sigquit_is_bound_while_a_loop_is_in_debug_mode)
{
    asyncio_loop *first = asyncio_loop_new(NULL), *second = asyncio_loop_new(NULL);
    assert_true(is_default());
    asyncio_loop_set_debug(first, true);
    asyncio_loop_set_debug(second, true);
    assert_false(is_default());
    asyncio_loop_set_debug(first, false);
    assert_false(is_default());
    asyncio_loop_release(second);
    assert_true(is_default());
    asyncio_loop_release(first);
}

static void ignore_quit(int signo)
{
    (void)signo;
}

TEST(a_handler_of_the_program_stays)
{
    signal(SIGQUIT, ignore_quit);
    asyncio_run_options options = {.debug = 1};
    asyncio_loop *loop = asyncio_loop_new(&options);
    struct sigaction action;
    sigaction(SIGQUIT, NULL, &action);
    assert_true(action.sa_handler == ignore_quit);
    asyncio_loop_release(loop);
    signal(SIGQUIT, SIG_DFL);
}

TEST_MAIN()
