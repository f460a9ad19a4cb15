/*
 * Posts from other threads and from signal handlers, references from anywhere, and
 * what a call from the wrong thread gets.
 */
#include "asyncio.h"
#include "child.h"
#include "core/loop.h"
#include "support/repeats.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define THREADS 4

static asyncio_loop *loop;

static void open_loop(void)
{
    loop = asyncio_loop_new(NULL);
    assert_non_null(loop);
}

static void close_loop(void)
{
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
}

static void stop(void *arg)
{
    (void)arg;
    asyncio_loop_stop(loop);
}

static pthread_t start(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    return thread;
}

/* Tests that count to large numbers count less far where every step is slow. */
#if ASY_TSAN || ASY_ASAN
#define SLOWER 10
#else
#define SLOWER (RUNNING_ON_VALGRIND ? 20u : 1u)
#endif

/* ---- Many posters ------------------------------------------------------------------------ */

#define POSTS 100000

static size_t ran_of[THREADS], ran, disorder, posts_each;

static void note(void *arg)
{
    size_t thread = (uintptr_t)arg / POSTS, n = (uintptr_t)arg % POSTS;
    disorder += n != ran_of[thread]++;
    if (++ran == THREADS * posts_each)
        asyncio_loop_stop(loop);
}

static void *post_many(void *arg)
{
    for (size_t i = 0; i < posts_each; i++)
        while (asyncio_loop_call_soon_threadsafe(loop, note, (void *)((uintptr_t)arg * POSTS + i)))
            sched_yield();
    return NULL;
}

TEST(four_threads_post_and_all_of_it_runs_in_order)
{
    open_loop();
    posts_each = POSTS / SLOWER;
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        threads[i] = start(post_many, (void *)i);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(ran_of[i], posts_each);
    }
    assert_int_equal(disorder, 0);
    close_loop();
}

/* ---- Going to sleep in between -------------------------------------------------------------- */

static _Atomic size_t seen;
static size_t rounds, sent;

static void see(void *arg)
{
    (void)arg;
    atomic_fetch_add(&seen, 1);
}

/* On a busy machine each hand-over takes long, and fewer of them will do. */
#define ENOUGH_S 5

static bool is_enough(size_t i, double begun)
{
    return i == rounds || (i % 16 == 0 && asyncio_time() - begun > ENOUGH_S);
}

static void end_posts(size_t count)
{
    sent = count;
    assert_int_equal(asyncio_loop_call_soon_threadsafe(loop, stop, NULL), 0);
}

/* Runs the loop until that thread, which ends its posts, has made so many; all are seen. */
static void run_beside(void *(*poster)(void *), size_t posts)
{
    open_loop();
    rounds = posts;
    atomic_store(&seen, 0);
    pthread_t thread = start(poster, NULL);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&seen), sent);
    close_loop();
}

/* One post at a time, each when the loop is as good as asleep: a wake-up that is lost hangs. */
static void *post_and_wait(void *arg)
{
    size_t i;
    double begun = asyncio_time();
    for (i = 0; !is_enough(i, begun); i++) {
        asyncio_loop_call_soon_threadsafe(loop, see, NULL);
        /* Now and then in bursts, so that posts meet every state of the loop. */
        if (i % 16 < 12)
            while (atomic_load(&seen) < i + 1)
                sched_yield();
    }
    end_posts(i);
    return arg;
}

TEST(no_wake_up_is_lost)
{
    run_beside(post_and_wait, 30000 / SLOWER);
}

/* By twos: the second comes at any moment of the loop's turn for the first, and after it nobody posts. */
static void *post_two_and_wait(void *arg)
{
    size_t i;
    double begun = asyncio_time();
    for (i = 0; !is_enough(i, begun); i += 2) {
        asyncio_loop_call_soon_threadsafe(loop, see, NULL);
        for (volatile size_t pause = i / 2 % 4096; pause > 0; pause--)
            ;
        asyncio_loop_call_soon_threadsafe(loop, see, NULL);
        while (atomic_load(&seen) < i + 2)
            sched_yield();
    }
    end_posts(i);
    return arg;
}

TEST(a_post_meets_a_turn_under_way)
{
    run_beside(post_two_and_wait, repeats(200000 / SLOWER, 50000, 200000));
}

/* A million of them, with no pause between: the loop catches up and sleeps, time and again. */
static void *post_away(void *arg)
{
    size_t i;
    double begun = asyncio_time();
    for (i = 0; !is_enough(i, begun); i++) {
        asyncio_loop_call_soon_threadsafe(loop, see, NULL);
        if (i % 1024 == 0)
            while (atomic_load(&seen) < i)
                sched_yield();
    }
    end_posts(i);
    return arg;
}

TEST(a_million_posts_in_bursts)
{
    open_loop();
    rounds = 1000000 / SLOWER;
    atomic_store(&seen, 0);
    pthread_t thread = start(post_away, NULL);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&seen), sent);
    close_loop();
}

/* ---- A loop that closes under them ------------------------------------------------------------- */

static _Atomic int refused;

static void nothing(void *arg)
{
    (void)arg;
}

static void *post_until_refused(void *arg)
{
    asyncio_loop *mine = arg;
    while (asyncio_loop_call_soon_threadsafe(mine, nothing, NULL) == 0)
        sched_yield();
    assert_int_equal(asyncio_loop_call_soon_signalsafe(mine, nothing, NULL), ASYNCIO_ESTATE);
    atomic_fetch_add(&refused, 1);
    asyncio_loop_release(mine);
    return NULL;
}

TEST(posts_to_a_closed_loop_are_refused)
{
    for (int round = 0; round < 20; round++) {
        open_loop();
        atomic_store(&refused, 0);
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            threads[i] = start(post_until_refused, asyncio_loop_ref(loop));
        asyncio_loop_call_later(loop, 0.0005 * (round % 3), stop, NULL);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_int_equal(asyncio_loop_close(loop), 0);
        asyncio_loop_release(loop);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(atomic_load(&refused), THREADS);
    }
}

/* ---- Signal handlers ----------------------------------------------------------------------------- */

static _Atomic size_t signals_posted, signals_full;
static size_t signals_ran;

static void signal_ran(void *arg)
{
    (void)arg;
    signals_ran++;
}

static void on_signal(int signo)
{
    (void)signo;
    int err = asyncio_loop_call_soon_signalsafe(loop, signal_ran, NULL);
    atomic_fetch_add(err ? &signals_full : &signals_posted, 1);
}

ASYNC(yields_until, double, when)
{
    while (asyncio_time() < when)
        if (asyncio_sleep(0))
            return -EIO;
    return 0;
}

ASYNC(naps_until, double, when)
{
    while (asyncio_time() < when)
        if (asyncio_sleep(0.0001))
            return -EIO;
    return 0;
}

static void *storm(void *arg)
{
    pthread_t target = *(pthread_t *)arg;
    for (int i = 0; i < 3000; i++) {
        pthread_kill(target, SIGUSR1);
        if (i % 10 == 0)
            sched_yield();
    }
    return NULL;
}

static void run_until(asyncio_coro *coro)
{
    asyncio_future *task = (asyncio_future *)asyncio_loop_create_task(loop, coro);
    assert_int_equal(asyncio_loop_run_until_complete(loop, task), 0);
}

static void check_signals(void)
{
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0); /* what was posted last */
    assert_true(signals_ran > 0);
    assert_int_equal(signals_ran, atomic_load(&signals_posted));
}

/* By a timer that interrupts whatever the loop does: switching, polling, sleeping. */
TEST(a_storm_of_timer_signals)
{
    open_loop();
    signals_posted = signals_full = signals_ran = 0;
    signal(SIGALRM, on_signal);
    struct itimerval often = {{0, 100}, {0, 100}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    run_until(yields_until(asyncio_time() + 0.05));
    run_until(naps_until(asyncio_time() + 0.05));
    setitimer(ITIMER_REAL, &never, NULL);
    signal(SIGALRM, SIG_IGN); /* drops one that is on its way */
    signal(SIGALRM, SIG_DFL);
    check_signals();
    close_loop();
}

TEST(storms_from_several_threads)
{
    open_loop();
    signals_posted = signals_full = signals_ran = 0;
    signal(SIGUSR1, on_signal);
    pthread_t self = pthread_self(), threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = start(storm, &self);
    run_until(naps_until(asyncio_time() + 0.03));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    run_until(yields_until(asyncio_time() + 0.001));
    signal(SIGUSR1, SIG_DFL);
    check_signals();
    close_loop();
}

static pthread_barrier_t all_are_there;

static void *fill(void *arg)
{
    size_t taken = 0;
    (void)arg;
    pthread_barrier_wait(&all_are_there);
    while (asyncio_loop_call_soon_signalsafe(loop, signal_ran, NULL) == 0)
        taken++;
    return (void *)taken;
}

/* The places are 64, however many fill them; a round of the loop frees them all. */
TEST(there_are_64_places)
{
    open_loop();
    pthread_barrier_init(&all_are_there, NULL, THREADS);
    signals_ran = 0;
    for (int round = 1; round <= 200; round++) {
        pthread_t threads[THREADS];
        size_t taken = 0;
        for (size_t i = 0; i < THREADS; i++)
            threads[i] = start(fill, NULL);
        for (size_t i = 0; i < THREADS; i++) {
            void *of_this;
            pthread_join(threads[i], &of_this);
            taken += (size_t)of_this;
        }
        assert_int_equal(taken, 64);
        assert_int_equal(asyncio_loop_call_soon_signalsafe(loop, signal_ran, NULL), -EAGAIN);
        asyncio_loop_stop(loop);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        assert_int_equal(signals_ran, 64 * round);
    }
    pthread_barrier_destroy(&all_are_there);
    close_loop();
}

/* What a signal handler posts runs, and the loop does not spin, when there is no memory at all. */
TEST(places_need_no_memory)
{
    open_loop();
    signals_ran = 0;
    for (int i = 0; i < 64; i++)
        assert_int_equal(asyncio_loop_call_soon_signalsafe(loop, signal_ran, NULL), 0);
    asyncio_loop_stop(loop);
    asy_fault_arm(1, true);
    int err = asyncio_loop_run_forever(loop);
    asy_fault_disarm();
    assert_int_equal(err, 0);
    assert_int_equal(signals_ran, 64);
    close_loop();
}

/* Both ends at once, for a while: no place is lost or run twice. */
static void *post_signals(void *posted)
{
    pthread_barrier_wait(&all_are_there);
    for (size_t i = 0; i < 20000 / SLOWER; i++)
        if (asyncio_loop_call_soon_signalsafe(loop, signal_ran, NULL) == 0)
            atomic_fetch_add((_Atomic size_t *)posted, 1);
    return NULL;
}

TEST(signalsafe_posts_from_threads_meet_the_loop)
{
    open_loop();
    _Atomic size_t posted = 0;
    signals_ran = 0;
    pthread_barrier_init(&all_are_there, NULL, THREADS);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        threads[i] = start(post_signals, &posted);
    run_until(naps_until(asyncio_time() + 0.03));
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(signals_ran, atomic_load(&posted));
    pthread_barrier_destroy(&all_are_there);
    close_loop();
}

/* A handler that interrupts the very call that it makes itself. */
static _Atomic bool storm_is_over;

static void *post_until_the_storm_is_over(void *posted)
{
    while (!atomic_load(&storm_is_over)) {
        if (asyncio_loop_call_soon_signalsafe(loop, signal_ran, NULL) == 0)
            atomic_fetch_add((_Atomic size_t *)posted, 1);
        else
            sched_yield();
    }
    return NULL;
}

static void *storm_and_say_so(void *target)
{
    storm(target);
    storm(target);
    atomic_store(&storm_is_over, true);
    return NULL;
}

ASYNC(drains)
{
    while (!atomic_load(&storm_is_over))
        asyncio_sleep(0);
    return 0;
}

TEST(a_handler_interrupts_a_poster)
{
    open_loop();
    _Atomic size_t posted = 0;
    signals_posted = signals_full = signals_ran = 0;
    atomic_store(&storm_is_over, false);
    signal(SIGUSR1, on_signal);
    pthread_t poster = start(post_until_the_storm_is_over, &posted), other = start(storm_and_say_so, &poster);
    run_until(drains());
    pthread_join(other, NULL);
    pthread_join(poster, NULL);
    signal(SIGUSR1, SIG_DFL);
    asyncio_loop_stop(loop);
    assert_int_equal(asyncio_loop_run_forever(loop), 0);
    assert_int_equal(signals_ran, atomic_load(&posted) + atomic_load(&signals_posted));
    close_loop();
}

/* ---- References ----------------------------------------------------------------------------------- */

static void *ref_and_release(void *arg)
{
    asyncio_loop *mine = arg;
    for (int i = 0; i < 10000; i++)
        asyncio_loop_release(asyncio_loop_ref(mine));
    asyncio_loop_release(mine);
    return NULL;
}

TEST(references_from_other_threads)
{
    for (int round = 0; round < 5; round++) {
        open_loop();
        pthread_t threads[THREADS];
        for (size_t i = 0; i < THREADS; i++)
            threads[i] = start(ref_and_release, asyncio_loop_ref(loop));
        run_until(naps_until(asyncio_time() + 0.001));
        /* A future that is released when the threads have gone, or before. */
        asyncio_task *task = asyncio_loop_create_task(loop, naps_until(0));
        asyncio_loop_stop(loop);
        assert_int_equal(asyncio_loop_run_forever(loop), 0);
        close_loop();
        if (round % 2)
            asyncio_release(task);
        for (size_t i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        if (round % 2 == 0)
            asyncio_release(task);
    }
}

/* ---- The wrong thread -------------------------------------------------------------------------------- */

static int wrong_call;
#define WRONG_CALLS 14
static const char *const names[WRONG_CALLS] = {
    "asyncio_loop_call_soon",      "asyncio_loop_call_later", "asyncio_loop_call_at",
    "asyncio_handle_cancel",       "asyncio_loop_stop",       "asyncio_loop_close",
    "asyncio_loop_is_running",     "asyncio_loop_is_closed",  "asyncio_loop_time",
    "asyncio_loop_create_task",    "asyncio_loop_set_debug",  "asyncio_loop_set_exception_handler",
    "asyncio_loop_set_instrument", "asyncio_runner_close"};

static asyncio_runner runner;

static void *call_from_the_wrong_thread(void *arg)
{
    (void)arg;
    switch (wrong_call) {
    case 0:
        asyncio_loop_call_soon(loop, nothing, NULL);
        break;
    case 1:
        asyncio_loop_call_later(loop, 1, nothing, NULL);
        break;
    case 2:
        asyncio_loop_call_at(loop, 1, nothing, NULL);
        break;
    case 3:
        asyncio_handle_cancel(loop, (asyncio_handle){.asyncio_slot_ = &runner});
        break;
    case 4:
        asyncio_loop_stop(loop);
        break;
    case 5:
        asyncio_loop_close(loop);
        break;
    case 6:
        asyncio_loop_is_running(loop);
        break;
    case 7:
        asyncio_loop_is_closed(loop);
        break;
    case 8:
        asyncio_loop_time(loop);
        break;
    case 9:
        asyncio_loop_create_task(loop, naps_until(0));
        break;
    case 10:
        asyncio_loop_set_debug(loop, true);
        break;
    case 11:
        asyncio_loop_set_exception_handler(loop, NULL, NULL);
        break;
    case 12:
        asyncio_loop_set_instrument(loop, NULL);
        break;
    case 13:
        asyncio_runner_close(&runner);
        break;
    default:
        break;
    }
    return NULL;
}

static void wrong_thread(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_runner_init(&runner, NULL) == 0);
    loop = asyncio_runner_get_loop(&runner);
    pthread_t thread;
    pthread_create(&thread, NULL, call_from_the_wrong_thread, NULL);
    pthread_join(thread, NULL);
}

TEST(a_call_from_the_wrong_thread_aborts_and_says_which)
{
    for (wrong_call = 0; wrong_call < WRONG_CALLS; wrong_call++) {
        struct child child;
        char words[128];
        child_run(&child, wrong_thread, NULL);
        assert_child_signal(&child, SIGABRT);
        snprintf(words, sizeof words, "asyncio: %s was called from a thread that does not run the loop",
                 names[wrong_call]);
        assert_child_says(&child, words);
        assert_int_equal(child_count(&child, "\n"), 1);
    }
}

/* A loop may be made in one thread and run in another. */
static void *run_here(void *arg)
{
    (void)arg;
    asyncio_loop_run_forever(loop);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
    return NULL;
}

TEST(a_loop_runs_where_it_is_run)
{
    open_loop();
    asyncio_loop_call_soon(loop, stop, NULL);
    pthread_join(start(run_here, NULL), NULL);
}

TEST_MAIN()
