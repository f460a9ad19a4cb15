/*
 * Several loops: where each runs, what they return, failures, stops and signals, and starts that fail
 * half-way. Calls between them are in threads/test_loop_calls.c.
 */
#include "asyncio.h"
#include "child.h"
#include "core/descriptor.h"
#include "core/loop.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define LOOPS 4

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

static intptr_t run_loops(asyncio_loop_main make, void *arg)
{
    const asyncio_loops_options options = {.count = LOOPS};
    return asyncio_run_loops(make, arg, &options);
}

ASYNC(waits)
{
    return asyncio_sleep(ASYNCIO_FOREVER);
}

/* ---- Where they run --------------------------------------------------------------------------- */

static int threads[LOOPS];

ASYNC(looks_around, int, index, asyncio_loops *, loops)
{
    threads[index] = asy_sys_gettid();
    CHECK_EQUAL(asyncio_loops_index(), index);
    CHECK_EQUAL(asyncio_loops_count(loops), LOOPS);
    CHECK(asyncio_loops_get(loops, index) == asyncio_get_running_loop());
    CHECK(!asyncio_loops_get(loops, LOOPS));
    CHECK(!asyncio_loops_get(loops, -1));
    return 0;
}

static asyncio_coro *make_looking(int index, asyncio_loops *loops, void *arg)
{
    CHECK(arg == threads);
    threads[index] = asy_sys_gettid();
    return looks_around(index, loops);
}

TEST(each_on_a_thread_of_its_own)
{
    CHECK_EQUAL(run_loops(make_looking, threads), 0);
    CHECK_EQUAL(threads[0], asy_sys_gettid());
    for (int i = 0; i < LOOPS; i++)
        for (int j = 0; j < i; j++)
            CHECK(threads[i] != threads[j]);
    CHECK_EQUAL(asyncio_loops_index(), -1);
    CHECK_EQUAL(asyncio_loops_count(NULL), 0);
    CHECK(!asyncio_loops_get(NULL, 0));
    CHECK(!asyncio_loops_idlest(NULL));
    CHECK_EQUAL(asyncio_loops_stop(NULL), -EINVAL);
}

ASYNC_TEST(a_loop_that_is_alone_has_no_index)
{
    CHECK_EQUAL(asyncio_loops_index(), -1);
    return 0;
}

ASYNC(counts_up, _Atomic int *, count)
{
    atomic_fetch_add(count, 1);
    return 0;
}

static asyncio_coro *make_counting(int index, asyncio_loops *loops, void *arg)
{
    CHECK(index < asyncio_loops_count(loops));
    return counts_up(arg);
}

TEST(by_default_as_many_as_processors)
{
    _Atomic int count = 0;
    CHECK_EQUAL(asyncio_run_loops(make_counting, (void *)&count, NULL), 0);
    CHECK_EQUAL(atomic_load(&count), asy_sys_processors());
}

/* ---- What comes of them ---------------------------------------------------------------------- */

ASYNC(gives, intptr_t, result)
{
    return result < 0 ? asyncio_raise(result, "as told") : result;
}

static asyncio_coro *make_giving(int index, asyncio_loops *loops, void *arg)
{
    (void)loops;
    return gives(((intptr_t *)arg)[index]);
}

TEST(the_first_mains_result)
{
    intptr_t results[LOOPS] = {7, 8, 9, 10};
    CHECK_EQUAL(run_loops(make_giving, results), 7);
}

/* To be cancelled is no failure: nobody else is cancelled for it. */
TEST(a_cancelled_main_harms_nobody)
{
    intptr_t results[LOOPS] = {3, -ECANCELED, 0, 0}, first[LOOPS] = {-ECANCELED, 1, 2, 3};
    CHECK_EQUAL(run_loops(make_giving, results), 3);
    CHECK_EQUAL(run_loops(make_giving, first), -ECANCELED);
}

static _Atomic int cancelled;

ASYNC(waits_to_be_cancelled)
{
    int err = asyncio_sleep(ASYNCIO_FOREVER);
    CHECK_EQUAL(err, -ECANCELED);
    atomic_fetch_add(&cancelled, 1);
    return err;
}

static asyncio_coro *make_one_fail(int index, asyncio_loops *loops, void *arg)
{
    (void)loops;
    return index == *(int *)arg ? gives(-EPROTO) : waits_to_be_cancelled();
}

TEST(the_first_failure_cancels_the_others)
{
    for (int i = 0; i < LOOPS; i++) {
        atomic_store(&cancelled, 0);
        CHECK_EQUAL(run_loops(make_one_fail, &i), -EPROTO);
        CHECK_TEXT(asyncio_error_message(), "as told");
        CHECK_EQUAL(atomic_load(&cancelled), LOOPS - 1);
    }
}

static asyncio_coro *make_all_but_one(int index, asyncio_loops *loops, void *arg)
{
    (void)loops;
    return index == *(int *)arg ? NULL : waits_to_be_cancelled();
}

TEST(no_coroutine_is_a_failure)
{
    for (int i = 0; i < LOOPS; i++) {
        atomic_store(&cancelled, 0);
        CHECK_EQUAL(run_loops(make_all_but_one, &i), -ENOMEM);
        CHECK_HAS(asyncio_error_message(), "make gave no coroutine for loop");
        CHECK_EQUAL(atomic_load(&cancelled), LOOPS - 1);
    }
}

/* Each loop ends as a run does. */
ASYNC(leaves_a_task)
{
    asyncio_release(asyncio_create_task(waits_to_be_cancelled()));
    asyncio_sleep(0);
    return 0;
}

static asyncio_coro *make_leaving(int index, asyncio_loops *loops, void *arg)
{
    (void)index, (void)loops, (void)arg;
    return leaves_a_task();
}

TEST(tasks_that_are_left_are_ended)
{
    atomic_store(&cancelled, 0);
    CHECK_EQUAL(run_loops(make_leaving, NULL), 0);
    CHECK_EQUAL(atomic_load(&cancelled), LOOPS);
}

/* ---- Refused --------------------------------------------------------------------------------- */

static asyncio_coro *make_none(int index, asyncio_loops *loops, void *arg)
{
    (void)index, (void)loops, (void)arg;
    harness_failed(__FILE__, __LINE__, "reached");
    return NULL;
}

static intptr_t run_refused(asyncio_loops_options options)
{
    return asyncio_run_loops(make_none, NULL, &options);
}

TEST(options_that_cannot_be_met)
{
    CHECK_EQUAL(asyncio_run_loops(NULL, NULL, NULL), -EINVAL);
    CHECK_EQUAL(run_refused((asyncio_loops_options){.count = -1}), -EINVAL);
    CHECK_EQUAL(run_refused((asyncio_loops_options){.spin = NAN}), -EINVAL);
    CHECK_EQUAL(run_refused((asyncio_loops_options){.spin = 0.002}), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "spins for at most 0.001 s");
    CHECK_EQUAL(run_refused((asyncio_loops_options){.count = 2, .run.stack_size = SIZE_MAX}), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "stack_size");
    CHECK_EQUAL(run_refused((asyncio_loops_options){.count = 2, .run.backend = ASYNCIO_BACKEND_IO_URING + 1}),
                -EINVAL);
}

ASYNC_TEST(where_a_loop_runs)
{
    CHECK_EQUAL(asyncio_run_loops(make_none, NULL, NULL), ASYNCIO_ESTATE);
    return 0;
}

/* A start that fails half-way, at each call: no make is called, and nothing is left. */
static asyncio_coro *make_doing_nothing(int index, asyncio_loops *loops, void *arg)
{
    (void)index, (void)loops;
    atomic_fetch_add((_Atomic int *)arg, 1);
    return gives(0);
}

static void sweep_starts(bool is_sticky)
{
    uint64_t at = 1, calls;
    do {
        _Atomic int made = 0;
        asy_fault_arm(at, is_sticky);
        intptr_t result = run_loops(make_doing_nothing, (void *)&made);
        calls = asy_fault_disarm();
        CHECK(result <= 0);
        CHECK(atomic_load(&made) == 0 || atomic_load(&made) == LOOPS);
        CHECK(result < 0 || atomic_load(&made) == LOOPS);
        CHECK(ledger_is(&before));
    } while (at++ <= calls && at < 1000);
    CHECK(at > LOOPS * 5);
}

TEST(starts_that_fail)
{
    _Atomic int made = 0;
    CHECK_EQUAL(run_loops(make_doing_nothing, (void *)&made), 0); /* what threads keep for good is there */
    before = ledger_now();
    sweep_starts(false);
    sweep_starts(true);
}

/* ---- Stopped --------------------------------------------------------------------------------- */

/* By the first, whose make runs when the others may not have begun. */
static asyncio_coro *make_stopping(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    if (index == 0)
        CHECK_EQUAL(asyncio_loops_stop(loops), 0);
    return waits_to_be_cancelled();
}

TEST(stopped_before_all_have_begun)
{
    for (int i = 0; i < 20; i++) {
        atomic_store(&cancelled, 0);
        CHECK_EQUAL(run_loops(make_stopping, NULL), -ECANCELED);
        CHECK_EQUAL(atomic_load(&cancelled), LOOPS);
    }
}

ASYNC(stops, asyncio_loops *, loops, int, index)
{
    for (int i = 0; i < index * 3; i++)
        asyncio_sleep(0);
    asyncio_loops_stop(loops);
    asyncio_loops_stop(loops);
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static asyncio_coro *make_stops(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    return stops(loops, index);
}

TEST(stopped_by_all_at_once)
{
    for (int i = 0; i < 20; i++)
        CHECK_EQUAL(run_loops(make_stops, NULL), -ECANCELED);
}

/* One that does not end for a stop gets the next one, too; and stopping loops that have ended is nothing. */
ASYNC(ignores_one_stop, asyncio_loops *, loops)
{
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    asyncio_loops_stop(loops);
    CHECK_EQUAL(asyncio_sleep(ASYNCIO_FOREVER), -ECANCELED);
    CHECK(asyncio_task_cancelling(asyncio_current_task()) >= 2);
    return 5;
}

ASYNC(stops_and_ends, asyncio_loops *, loops)
{
    asyncio_loops_stop(loops);
    return 0;
}

static asyncio_coro *make_ignoring(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    return index == 0 ? ignores_one_stop(loops) : stops_and_ends(loops);
}

TEST(a_stop_for_each_call)
{
    CHECK_EQUAL(run_loops(make_ignoring, NULL), 5);
}

struct stopper {
    asyncio_loops *_Atomic loops;
    pthread_t thread;
};

static void *stop_from_thread(void *arg)
{
    struct stopper *stopper = arg;
    asyncio_loops *loops;
    while (!(loops = atomic_load(&stopper->loops)))
        sched_yield();
    asyncio_loops_stop(loops);
    return NULL;
}

static asyncio_coro *make_known(int index, asyncio_loops *loops, void *arg)
{
    struct stopper *stopper = arg;
    if (index == LOOPS - 1)
        atomic_store(&stopper->loops, loops);
    return waits();
}

TEST(stopped_by_a_plain_thread)
{
    struct stopper stopper = {.thread = 0};
    assert_int_equal(pthread_create(&stopper.thread, NULL, stop_from_thread, &stopper), 0);
    CHECK_EQUAL(run_loops(make_known, &stopper), -ECANCELED);
    pthread_join(stopper.thread, NULL);
}

/* ---- Signals --------------------------------------------------------------------------------- */

static struct child child;

ASYNC(interrupts, int, signo)
{
    kill(getpid(), signo);
    return asyncio_sleep(ASYNCIO_FOREVER);
}

static asyncio_coro *make_interrupting(int index, asyncio_loops *loops, void *arg)
{
    (void)loops;
    int which = (int)(intptr_t)arg;
    return index == which ? interrupts(SIGINT) : waits();
}

static void run_interrupted(void *arg)
{
    intptr_t result = run_loops(make_interrupting, arg);
    printf("%s: %s\n", asyncio_errname(result), asyncio_error_message());
}

TEST(the_first_signal_cancels_all)
{
    for (intptr_t i = 0; i < LOOPS; i++) {
        child_run(&child, run_interrupted, (void *)i);
        assert_string_equal(child.text, "EINTR: interrupted by SIGINT\n");
        assert_int_equal(child.status, 0);
    }
}

/* Also when loop 0 has ended: its thread waits for the others. */
ASYNC(interrupts_later, asyncio_loops *, loops)
{
    while (asyncio_await_on(asyncio_loops_get(loops, 0), gives(0)) != ASYNCIO_ESTATE)
        asyncio_sleep(0);
    return asyncio_await(interrupts(SIGINT));
}

static asyncio_coro *make_interrupting_late(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    return index == 0 ? gives(4) : index == 1 ? interrupts_later(loops) : waits();
}

static void run_interrupted_late(void *arg)
{
    (void)arg;
    printf("%d\n", (int)run_loops(make_interrupting_late, NULL));
}

TEST(a_signal_when_the_first_has_ended)
{
    child_run(&child, run_interrupted_late, NULL);
    assert_string_equal(child.text, "4\n");
}

ASYNC(ignores_the_stop)
{
    kill(getpid(), SIGINT);
    while (asyncio_sleep(ASYNCIO_FOREVER) != -ECANCELED)
        ;
    kill(getpid(), SIGINT);
    asyncio_sleep(ASYNCIO_FOREVER);
    puts("not reached");
    return 0;
}

static asyncio_coro *make_ignoring_signals(int index, asyncio_loops *loops, void *arg)
{
    (void)loops, (void)arg;
    return index == 1 ? ignores_the_stop() : waits();
}

static void run_ignoring(void *arg)
{
    (void)arg;
    run_loops(make_ignoring_signals, NULL);
}

TEST(the_second_signal_ends_the_program)
{
    child_run(&child, run_ignoring, NULL);
    assert_true(WIFSIGNALED(child.status) && WTERMSIG(child.status) == SIGINT);
    assert_string_equal(child.text, "");
}

/* ---- Processors ------------------------------------------------------------------------------ */

static _Atomic int processors_seen[LOOPS];

ASYNC(notes_processor, int, index)
{
    cpu_set_t set;
    CHECK_EQUAL(asy_sys_affinity(&set), 0);
    CHECK_EQUAL(CPU_COUNT(&set), 1);
    atomic_store(&processors_seen[index], sched_getcpu());
    return 0;
}

static asyncio_coro *make_noting(int index, asyncio_loops *loops, void *arg)
{
    (void)loops, (void)arg;
    return notes_processor(index);
}

TEST(pinned)
{
    cpu_set_t mine, now;
    CHECK_EQUAL(asy_sys_affinity(&mine), 0);
    const asyncio_loops_options options = {.count = LOOPS, .pin = 1};
    CHECK_EQUAL(asyncio_run_loops(make_noting, NULL, &options), 0);
    int count = CPU_COUNT(&mine);
    for (int i = 0; i + count < LOOPS; i++)
        CHECK_EQUAL(processors_seen[i], processors_seen[i + count]);
    if (count > 1)
        CHECK(processors_seen[0] != processors_seen[1]);
    CHECK_EQUAL(asy_sys_affinity(&now), 0);
    CHECK(CPU_EQUAL(&mine, &now)); /* the caller goes where it did before */
}

/* ---- Looking at them ------------------------------------------------------------------------- */

ASYNC(fails_unseen)
{
    asyncio_release(asyncio_create_task(gives(-EIO)));
    return asyncio_sleep(0);
}

static asyncio_coro *make_failing_unseen(int index, asyncio_loops *loops, void *arg)
{
    (void)loops, (void)arg;
    return index == 2 ? fails_unseen() : gives(0);
}

static void run_failing_unseen(void)
{
    run_loops(make_failing_unseen, NULL);
}

TEST(reports_say_which_loop)
{
    check_prints(run_failing_unseen, ", on loop 2\n");
}

extern const struct asyncio_debug_v1 asyncio_debug_v1;

ASYNC(looks_from_outside, int, index)
{
    const char *loop = (const char *)asyncio_get_running_loop();
    int found;
    memcpy(&found, loop + asyncio_debug_v1.loop_index, sizeof found);
    CHECK_EQUAL(found, index);
    return 0;
}

static asyncio_coro *make_seen(int index, asyncio_loops *loops, void *arg)
{
    (void)loops, (void)arg;
    return looks_from_outside(index);
}

TEST(the_descriptor_says_which_loop)
{
    CHECK_EQUAL(run_loops(make_seen, NULL), 0);
}

/* ---- Fork ------------------------------------------------------------------------------------ */

ASYNC(forks, int, index, asyncio_loops *, loops)
{
    int status = -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) { /* the loops are the parent's: nothing waits, and nothing is told */
        asyncio_loop *other = asyncio_loops_get(loops, (index + 1) % LOOPS);
        bool is_right = asyncio_loops_index() == -1 && asyncio_loops_stop(loops) == 0 &&
                        asyncio_await_on(other, gives(1)) == ASYNCIO_ENOTASK &&
                        !asyncio_submit_to(other, gives(1));
        _exit(is_right ? 0 : 1);
    }
    CHECK(pid > 0);
    CHECK_EQUAL(waitpid(pid, &status, 0), pid);
    CHECK_EQUAL(status, 0);
    return 0;
}

static asyncio_coro *make_forking(int index, asyncio_loops *loops, void *arg)
{
    (void)arg;
    return forks(index, loops);
}

TEST(forked_children_leave_the_loops_alone)
{
    CHECK_EQUAL(run_loops(make_forking, NULL), 0);
}

int main(void)
{
    static const struct test_fixtures fixtures = {.setup = note_ledger, .teardown = check_ledger};
    return tests_run(&fixtures);
}
