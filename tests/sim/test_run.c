/*
 * Runs by seeds without a network: which fail, what they say, that equal seeds are equal runs, limits, work
 * for threads, leftovers, shrinking.
 */
#include "sim/scenario.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- Passing ---------------------------------------------------------------------------------- */

ASYNC(nap, double, seconds)
{
    return asyncio_sleep(seconds);
}

ASYNC(three_naps)
{
    return asyncio_gather(NULL, nap(1), nap(2), nap(0.5));
}

TEST(all_pass)
{
    const asyncio_sim_options options = {.seed = 5, .runs = 20};
    assert_int_equal(simulate(three_naps, &options), 0);
    assert_int_equal(result.runs, 20);
    assert_int_equal(result.seed, 24);
    assert_int_equal(result.error, 0);
    assert_int_equal(result.at, 0);
    assert_string_equal(result.text, "");
    assert_true(result.seconds == 2.0);
    assert_true(result.hash != 0);
}

TEST(runs_by_default)
{
    assert_int_equal(simulate(three_naps, NULL), 0);
    assert_int_equal(result.runs, 100);
    assert_int_equal(result.seed, 100);
}

TEST(runs_by_the_environment)
{
    setenv("ASYNCIO_SIM_RUNS", "7", 1);
    assert_int_equal(simulate(three_naps, NULL), 0);
    assert_int_equal(result.runs, 7);
    setenv("ASYNCIO_SIM_SEED", "36", 1);
    assert_int_equal(simulate(three_naps, NULL), 0);
    assert_int_equal(result.runs, 1);
    assert_int_equal(result.seed, 36);
    /* The options' own come first. */
    const asyncio_sim_options options = {.seed = 3, .runs = 2};
    assert_int_equal(simulate(three_naps, &options), 0);
    assert_int_equal(result.runs, 2);
    assert_int_equal(result.seed, 4);
    unsetenv("ASYNCIO_SIM_SEED");
    unsetenv("ASYNCIO_SIM_RUNS");
}

static void run_three_naps(void)
{
    if (simulate(three_naps, NULL) || result.runs != 100)
        abort();
}

/* They count as not set, which is said. */
TEST(nonsense_in_the_environment)
{
    static const char *const nonsense[] = {"many", "-1", "0", "7 runs", "99999999999999999999", " "};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        char words[128];
        snprintf(words, sizeof words,
                 "asyncio: ASYNCIO_SIM_SEED is no number from 1 on, and counts as not set: %s\n",
                 nonsense[i]);
        setenv("ASYNCIO_SIM_SEED", nonsense[i], 1);
        setenv("ASYNCIO_SIM_RUNS", nonsense[i], 1);
        check_prints(run_three_naps, words);
    }
    unsetenv("ASYNCIO_SIM_SEED");
    unsetenv("ASYNCIO_SIM_RUNS");
    setenv("ASYNCIO_SIM_SEED", "", 1);
    run_three_naps();
    unsetenv("ASYNCIO_SIM_SEED");
}

TEST(the_last_seed_is_followed_by_the_first)
{
    const asyncio_sim_options options = {.seed = UINT64_MAX, .runs = 2};
    assert_int_equal(simulate(three_naps, &options), 0);
    assert_int_equal(result.seed, 1);
}

TEST(bad_options)
{
    asyncio_sim_options options = {.order = (asyncio_sim_order)3};
    assert_int_equal(simulate(three_naps, &options), -EINVAL);
    assert_string_equal(result.text, "asyncio: no simulation: EINVAL: there is no order 3\n");
    assert_int_equal(result.error, -EINVAL);
    assert_int_equal(result.runs, 0);
    options = (asyncio_sim_options){.time_limit = __builtin_nan("")};
    assert_int_equal(simulate(three_naps, &options), -EINVAL);
    assert_int_equal(asyncio_sim_run(NULL, NULL, NULL, NULL), -EINVAL);
}

ASYNC_TEST(not_inside_a_loop)
{
    CHECK_EQUAL(simulate(three_naps, NULL), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_sim_random(), 0);
    return 0;
}

/* ---- Order ------------------------------------------------------------------------------------ */

#define RACERS 5
static int finish[RACERS], finished;
static unsigned long orders_seen;

ASYNC(racer, int, number)
{
    asyncio_sleep(0);
    finish[finished++] = number;
    return 0;
}

ASYNC(race)
{
    finished = 0;
    asyncio_gather(NULL, racer(0), racer(1), racer(2), racer(3), racer(4));
    unsigned long order = 0;
    for (int i = 0; i < RACERS; i++)
        order = order * RACERS + (unsigned long)finish[i];
    asyncio_sim_note("order %lu", order);
    orders_seen |= 1ul << order % 61;
    return 0;
}

static int count_orders(const asyncio_sim_options *options)
{
    orders_seen = 0;
    assert_int_equal(simulate(race, options), 0);
    return __builtin_popcountl(orders_seen);
}

TEST(orders)
{
    assert_in_range(count_orders(&(asyncio_sim_options){.order = ASYNCIO_SIM_RANDOM}), 40, 61);
    assert_in_range(count_orders(&(asyncio_sim_options){.order = ASYNCIO_SIM_PCT}), 40, 61);
    assert_int_equal(count_orders(&(asyncio_sim_options){.order = ASYNCIO_SIM_FIFO}), 1);
}

TEST(the_same_seed_is_the_same_run)
{
    for (int order = ASYNCIO_SIM_RANDOM; order <= ASYNCIO_SIM_PCT; order++) {
        const asyncio_sim_options options = {.seed = 17, .runs = 1, .order = (asyncio_sim_order)order};
        const asyncio_sim_options other = {.seed = 18, .runs = 1, .order = (asyncio_sim_order)order};
        assert_int_equal(simulate(race, &options), 0);
        uint64_t hash = result.hash;
        assert_int_equal(simulate(race, &options), 0);
        assert_true(result.hash == hash);
        assert_int_equal(simulate(race, &other), 0);
        assert_true((result.hash != hash) == (order != ASYNCIO_SIM_FIFO));
    }
}

/* Two cases of a select could happen: by chance it is one or the other, in FIFO the first. */
ASYNC(select_one)
{
    asyncio_event events[2];
    for (int i = 0; i < 2; i++) {
        asyncio_event_init(&events[i]);
        asyncio_event_set(&events[i]);
    }
    asyncio_case cases[] = {ASYNCIO_CASE_EVENT(&events[0]), ASYNCIO_CASE_EVENT(&events[1])};
    orders_seen |= 1ul << asyncio_select(cases, 2, 1);
    return 0;
}

TEST(cases_of_a_select)
{
    for (int order = ASYNCIO_SIM_RANDOM; order <= ASYNCIO_SIM_PCT; order++) {
        const asyncio_sim_options options = {.order = (asyncio_sim_order)order};
        orders_seen = 0;
        assert_int_equal(simulate(select_one, &options), 0);
        assert_int_equal(orders_seen, order == ASYNCIO_SIM_FIFO ? 1 : 3);
    }
}

/* One task waits for a flag that another one sets much later; in PCT it falls, else the other one would never
 * run. */
static bool is_flag_up;

ASYNC(spin_for_flag)
{
    while (!is_flag_up)
        asyncio_sleep(0);
    return 0;
}

ASYNC(raise_flag)
{
    asyncio_sleep(0);
    is_flag_up = true;
    return 0;
}

ASYNC(spin_and_raise)
{
    is_flag_up = false;
    return asyncio_gather(NULL, spin_for_flag(), raise_flag());
}

TEST(pct_lets_a_spinning_task_fall)
{
    const asyncio_sim_options options = {.order = ASYNCIO_SIM_PCT, .step_limit = 10000};
    assert_int_equal(simulate(spin_and_raise, &options), 0);
}

static char steps[16];
static size_t step_count;

ASYNC(take_three_steps, char, name)
{
    for (int i = 0; i < 3; i++) {
        steps[step_count++] = name;
        asyncio_sleep(0);
    }
    return 0;
}

static int plain_orders, mixed_orders;

ASYNC(take_steps)
{
    memset(steps, 0, sizeof steps);
    step_count = 0;
    asyncio_gather(NULL, take_three_steps('a'), take_three_steps('b'));
    bool is_plain = strcmp(steps, "aaabbb") == 0 || strcmp(steps, "bbbaaa") == 0;
    plain_orders += is_plain;
    mixed_orders += !is_plain;
    return 0;
}

/* Of depth 1 no task falls: one runs to its end, then the other. */
TEST(depth_of_pct)
{
    asyncio_sim_options options = {.runs = 300, .order = ASYNCIO_SIM_PCT, .repeat = -1, .depth = 1};
    plain_orders = mixed_orders = 0;
    assert_int_equal(simulate(take_steps, &options), 0);
    assert_int_equal(mixed_orders, 0);
    options.depth = 2;
    assert_int_equal(simulate(take_steps, &options), 0);
    assert_in_range(mixed_orders, 5, 150);
    int before = mixed_orders;
    options.depth = 20;
    assert_int_equal(simulate(take_steps, &options), 0);
    assert_true(mixed_orders - before > before);
}

/* ---- Failing -------------------------------------------------------------------------------- */

ASYNC(fail_in_words)
{
    asyncio_sim_note("knocked %d times", 3);
    asyncio_sleep(0.25);
    return asyncio_raise(-EBUSY, "the door is locked");
}

TEST(an_error_in_words)
{
    char expected[512];
    assert_int_equal(simulate(fail_in_words, NULL), -EBUSY);
    snprintf(expected, sizeof expected,
             "asyncio: simulation failed: EBUSY after 0.250 virtual seconds, seed 1 (run 1 of 100); needs no "
             "draws\n"
             "asyncio: the door is locked\n"
             "asyncio: note at 0.0000 s: knocked 3 times\n"
             "asyncio: again: ASYNCIO_SIM_SEED=1 %s\n",
             program_invocation_name);
    assert_string_equal(result.text, expected);
    assert_int_equal(result.error, -EBUSY);
    assert_int_equal(result.seed, 1);
    assert_int_equal(result.runs, 1);
    assert_int_equal(result.draws, 0);
}

ASYNC(fail_after_notes)
{
    for (int i = 1; i <= 20; i++)
        asyncio_sim_note("<%d>", i);
    return -EBUSY;
}

/* The latest 16, the oldest of them first; and none of a run before. */
TEST(the_latest_notes_are_told)
{
    for (int i = 0; i < 2; i++) {
        assert_int_equal(simulate(fail_after_notes, NULL), -EBUSY);
        assert_null(strstr(result.text, "<4>"));
        assert_non_null(strstr(result.text, "draws\nasyncio: note at 0.0000 s: <5>\nasyncio: note at"));
    }
    assert_int_equal(simulate(fail_in_words, NULL), -EBUSY);
    assert_null(strchr(result.text, '<'));
}

ASYNC(fail_cleaning_up)
{
    asyncio_sleep(10);
    return -EIO;
}

ASYNC(crash_and_fail)
{
    asyncio_release(asyncio_sim_start("up", fail_cleaning_up()));
    asyncio_release(asyncio_sim_start("down", fail_cleaning_up()));
    asyncio_sleep(1);
    asyncio_sim_crash("down");
    return asyncio_sleep(20);
}

/* Of the two errors that nobody awaits, that of the host that is up is told. */
TEST(a_crashed_host_tells_no_errors)
{
    char said[1024] = "";
    int kept = dup(STDERR_FILENO), file = memfd_create("stderr", 0);
    dup2(file, STDERR_FILENO);
    intptr_t err = simulate(crash_and_fail, &(asyncio_sim_options){.runs = 1, .repeat = -1});
    dup2(kept, STDERR_FILENO);
    assert_in_range(pread(file, said, sizeof said - 1, 0), 1, sizeof said - 2);
    close(kept);
    close(file);
    assert_int_equal(err, 0);
    char *told = strstr(said, "of fail_cleaning_up");
    assert_non_null(told);
    assert_null(strstr(told + 1, "of fail_cleaning_up"));
}

ASYNC(wait_for_each_other)
{
    asyncio_event event;
    asyncio_event_init(&event);
    asyncio_await(asyncio_create_task(nap(0.5)));
    return asyncio_event_wait(&event);
}

TEST(a_deadlock_names_the_waits)
{
    assert_int_equal(simulate(wait_for_each_other, NULL), -EDEADLK);
    assert_non_null(strstr(result.text, "EDEADLK after 0.500 virtual seconds, seed 1 (run 1 of 100)"));
    assert_non_null(strstr(result.text, "asyncio: Task-1"));
    assert_non_null(strstr(result.text, " waits in event\n"));
}

ASYNC(busy)
{
    while (asyncio_sleep(0) <= 0)
        ; /* not even a request to cancel ends it */
    return 0;
}

TEST(a_busy_loop_ends)
{
    const asyncio_sim_options options = {.step_limit = 5000};
    assert_int_equal(simulate(busy, &options), -ELOOP);
    assert_non_null(strstr(result.text,
                           "asyncio: a busy loop: 5000 steps, the last of Task-1, and time stands still\n"
                           "asyncio: Task-1 of test is ready\n"));
}

ASYNC(step_on)
{
    for (int i = 0; i < 1000; i++)
        asyncio_sleep(0.001);
    return 0;
}

/* Time passes between its steps. */
TEST(many_steps_are_no_busy_loop)
{
    const asyncio_sim_options options = {.runs = 1, .step_limit = 50};
    assert_int_equal(simulate(step_on, &options), 0);
}

ASYNC(sleep_long)
{
    while (asyncio_sleep(3600) == 0)
        ;
    return 0;
}

TEST(the_time_limit)
{
    const asyncio_sim_options options = {.time_limit = 7200};
    assert_int_equal(simulate(sleep_long, &options), -ETIME);
    assert_non_null(strstr(result.text, "asyncio: the time limit of 7200 virtual seconds is over\n"
                                        "asyncio: Task-1 of test waits in sleep\n"));
    assert_int_equal(simulate(sleep_long, NULL), -ETIME);
    assert_true(result.seconds == 90000.0);
}

static intptr_t take_busy(intptr_t value, void *arg)
{
    (void)arg;
    return value == -EBUSY ? 0 : -EPROTO;
}

TEST(check_judges)
{
    const asyncio_sim_options options = {.check = take_busy};
    assert_int_equal(simulate(fail_in_words, &options), 0);
    assert_int_equal(simulate(three_naps, &options), -EPROTO);
    /* A run that was ended before main had is no success, whatever it takes for one. */
    assert_int_equal(simulate(wait_for_each_other, &options), -EDEADLK);
}

/* ---- Leftovers ---------------------------------------------------------------------------------- */

static asyncio_task *kept;

ASYNC(keep_task)
{
    kept = asyncio_create_task(nap(0));
    return asyncio_await(asyncio_ref(kept));
}

TEST(a_reference_that_is_left)
{
    const asyncio_sim_options options = {.shrink = -1};
    assert_int_equal(simulate(keep_task, &options), ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "asyncio: left behind: 1 reference to a task or future\n"));
    asyncio_release(kept);
}

static asyncio_task *kept_too;

ASYNC(keep_two_tasks)
{
    kept = asyncio_create_task(nap(0));
    kept_too = asyncio_create_task(nap(0));
    asyncio_sleep(1);
    return 0;
}

TEST(references_that_are_left)
{
    const asyncio_sim_options options = {.shrink = -1};
    assert_int_equal(simulate(keep_two_tasks, &options), ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "asyncio: left behind: 2 references to a task or future\n"));
    asyncio_release(kept);
    asyncio_release(kept_too);
}

ASYNC(stay)
{
    while (asyncio_sleep(100))
        ; /* a request to cancel is ignored */
    return 0;
}

ASYNC(leave_stubborn_task)
{
    asyncio_release(asyncio_create_task(stay()));
    return asyncio_sleep(1);
}

TEST(a_task_that_does_not_end)
{
    const asyncio_sim_options options = {.shrink = -1};
    assert_int_equal(simulate(leave_stubborn_task, &options), ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "left behind: 1 task"));
}

static asyncio_coro *never_awaited;

ASYNC(leave_coroutine)
{
    never_awaited = nap(1);
    return asyncio_sleep(1);
}

TEST(a_coroutine_that_is_left)
{
    const asyncio_sim_options options = {.shrink = -1};
    assert_int_equal(simulate(leave_coroutine, &options), ASYNCIO_EINCOMPLETE);
    assert_non_null(strstr(result.text, "asyncio: left behind: 1 coroutine that was never awaited\n"));
    asyncio_coro_close(never_awaited);
}

ASYNC(leave_task_to_shutdown)
{
    asyncio_release(asyncio_create_task(nap(1000)));
    return 0;
}

TEST(tasks_that_are_left_are_cancelled)
{
    assert_int_equal(simulate(leave_task_to_shutdown, NULL), 0);
}

/* ---- Shrinking ---------------------------------------------------------------------------------- */

/* Fails when the second of two named faults happens after the first one did. */
ASYNC(fail_after_faults)
{
    int faults = 0;
    for (int i = 0; i < 30; i++) {
        faults += asyncio_sim_chance("fault", 5);
        asyncio_gather(NULL, nap(0.001), nap(0.001), nap(0.001));
        if (faults == 2)
            return -EIO;
    }
    return 0;
}

TEST(shrinking_gives_the_draw_that_matters)
{
    assert_int_equal(simulate(fail_after_faults, NULL), -EIO);
    const char *told = strstr(result.text, "asyncio: draw ");
    assert_non_null(told);
    assert_non_null(strstr(told, ": chance \"fault\" happens, at 0."));
    /* Without the draws of the order there is one a round, and the last one is the second fault. */
    unsigned long long draw, draws;
    assert_int_equal(
        sscanf(strstr(result.text, "needs the first"), "needs the first %llu of %llu draws", &draw, &draws),
        2);
    assert_true(draw == draws && draw == result.draws && draw <= 30);
}

TEST(shrinking_may_be_off)
{
    const asyncio_sim_options options = {.shrink = -1};
    assert_int_equal(simulate(fail_after_faults, &options), -EIO);
    assert_null(strstr(result.text, "needs"));
    assert_non_null(strstr(result.text, "; made "));
}

static uint64_t first_fault; /* the draw, of a run without a limit */

/* Fails at the end if there was any fault. Each of 4,096 draws is one for it. */
ASYNC(fail_late)
{
    uint64_t first = 0;
    for (uint64_t i = 1; i <= 4096; i++)
        if (asyncio_sim_chance("fault", 1000) && !first)
            first = i;
    if (first && !first_fault)
        first_fault = first;
    return first ? -EIO : 0;
}

TEST(shrinking_gives_the_first_draw_that_matters)
{
    unsigned failures = 0;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        const asyncio_sim_options options = {.seed = seed, .runs = 1, .repeat = -1};
        first_fault = 0;
        if (simulate(fail_late, &options) == 0)
            continue;
        failures++;
        assert_int_equal(result.draws, first_fault);
    }
    assert_in_range(failures, 20, 30);
}

/* Without chance it fails, too, but not alike. */
ASYNC(fail_otherwise)
{
    int faults = 0;
    for (int i = 0; i < 40; i++)
        faults += asyncio_sim_chance("fault", 4);
    return faults > 3 ? -EIO : -EPERM;
}

TEST(shrinking_keeps_the_error)
{
    assert_int_equal(simulate(fail_otherwise, NULL), -EIO);
    assert_non_null(strstr(result.text, "failed: EIO after "));
    assert_true(result.draws > 3);
}

/* ---- State outside the scenario ------------------------------------------------------------------ */

static int times;

ASYNC(different_each_time)
{
    asyncio_sleep(0.001);
    asyncio_sleep(0.001 * ++times);
    return 0;
}

TEST(runs_that_are_not_the_same)
{
    assert_int_equal(simulate(different_each_time, NULL), -EILSEQ);
    assert_non_null(strstr(result.text, "two runs of seed 1 (run 1 of 100) are not the same at step 3\n"));
    assert_non_null(
        strstr(result.text, "asyncio: the first run:\nasyncio:   1: sleep 1, 0, at 0.000000000 s\n"));
    assert_non_null(strstr(result.text, "asyncio: the second run:\n"));
    const asyncio_sim_options never = {.repeat = -1};
    assert_int_equal(simulate(different_each_time, &never), 0);
}

/* ---- Threads and files -------------------------------------------------------------------------- */

static pthread_t loop_thread;

static intptr_t work(void *arg)
{
    assert_true(pthread_equal(pthread_self(), loop_thread));
    finish[finished++] = (int)(intptr_t)arg;
    return (intptr_t)arg < 0 ? asyncio_raise(-EDOM, "words of the work") : 2 * (intptr_t)arg;
}

ASYNC(call_thread, int, number)
{
    return asyncio_to_thread(work, (void *)(intptr_t)number);
}

ASYNC(work_on_threads)
{
    intptr_t results[3];
    double begun = asyncio_time();
    finished = 0;
    CHECK_EQUAL(asyncio_gather(results, call_thread(1), call_thread(2), call_thread(3)), 0);
    CHECK_EQUAL(results[0] + results[1] + results[2], 12);
    CHECK(asyncio_time() - begun <= 0.010);
    asyncio_future *future = asyncio_run_in_executor(NULL, work, (void *)(intptr_t)-1, NULL);
    CHECK_EQUAL(asyncio_await(future), -EDOM);
    CHECK_TEXT(asyncio_error_message(), "words of the work");
    asyncio_sim_note("%d %d %d", finish[0], finish[1], finish[2]);
    orders_seen |= 1ul << (finish[0] * 4 + finish[1]);
    return 0;
}

TEST(work_for_threads_is_done_on_the_spot)
{
    loop_thread = pthread_self();
    orders_seen = 0;
    assert_int_equal(simulate(work_on_threads, NULL), 0);
    assert_int_equal(__builtin_popcountl(orders_seen), 6);
    harness_settle();
}

ASYNC(cancel_work)
{
    finished = 0;
    asyncio_task *task = asyncio_create_task(call_thread(1));
    asyncio_sleep(0);
    asyncio_sleep(0);
    asyncio_cancel(task);
    CHECK_EQUAL(asyncio_await(task), -ECANCELED);
    asyncio_future *future = asyncio_run_in_executor(NULL, work, (void *)(intptr_t)1, NULL);
    asyncio_cancel(future);
    asyncio_release(future);
    asyncio_sleep(1);
    CHECK_EQUAL(finished, 0);
    return 0;
}

TEST(work_is_taken_back)
{
    assert_int_equal(simulate(cancel_work, NULL), 0);
    harness_settle();
}

ASYNC(leave_work)
{
    finished = 0;
    asyncio_release(asyncio_run_in_executor(NULL, work, (void *)(intptr_t)1, NULL));
    return 0;
}

TEST(work_that_is_left_is_waited_for)
{
    finished = 0;
    assert_int_equal(simulate(leave_work, NULL), 0);
    assert_int_equal(finished, 1);
}

ASYNC(use_files)
{
    char path[64], text[16] = "";
    snprintf(path, sizeof path, "/tmp/asyncio-sim-%d", (int)getpid());
    asyncio_file *file;
    int err = asyncio_file_open(path, O_RDWR | O_CREAT | O_TRUNC, 0600, &file);
    CHECK_EQUAL(err, 0);
    if (err)
        return err;
    CHECK_EQUAL(asyncio_file_write(file, "real bytes", 10), 10);
    CHECK_EQUAL(asyncio_file_lseek(file, 0, SEEK_SET), 0);
    CHECK_EQUAL(asyncio_file_read(file, text, sizeof text), 10);
    CHECK_TEXT(text, "real bytes");
    CHECK_EQUAL(asyncio_file_close(file), 0);
    CHECK(asyncio_time() > 0);
    return unlink(path) ? -errno : 0;
}

TEST(files_are_real)
{
    assert_int_equal(simulate(use_files, NULL), 0);
    harness_settle();
}

static void *post_from_thread(void *arg)
{
    asyncio_loop *loop = arg;
    asyncio_loop_call_soon_threadsafe(loop, (asyncio_callback)(uintptr_t)asyncio_loop_release, loop);
    return NULL;
}

ASYNC(use_real_thread)
{
    pthread_t thread;
    asyncio_loop *loop = asyncio_loop_ref(asyncio_get_running_loop());
    if (pthread_create(&thread, NULL, post_from_thread, loop))
        return -EAGAIN;
    pthread_join(thread, NULL);
    asyncio_sleep(0.01 * ++times);
    return 0;
}

static void run_with_real_thread(void)
{
    if (simulate(use_real_thread, NULL))
        abort();
}

TEST(real_threads_are_not_controlled)
{
    check_prints(run_with_real_thread, "asyncio: another thread posts to the simulation");
}

/* ---- Traces -------------------------------------------------------------------------------------- */

static bool file_has(FILE *file, const char *words)
{
    static char bytes[1 << 20];
    size_t n = fread(bytes, 1, sizeof bytes, file);
    return memmem(bytes, n, words, strlen(words)) != NULL;
}

TEST(a_trace_of_the_failing_run)
{
    char path[64], magic[8] = "";
    snprintf(path, sizeof path, "/tmp/asyncio-sim-%d.trace", (int)getpid());
    const asyncio_sim_options options = {.trace = path};
    for (int i = 0; i < 2; i++) { /* it takes the place of an older one */
        assert_int_equal(simulate(fail_in_words, &options), -EBUSY);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        assert_int_equal(fread(magic, 1, 7, file), 7);
        assert_memory_equal(magic, "asyncio", 7);
        assert_true(file_has(file, "knocked 3 times"));
        fclose(file);
    }
    unlink(path);
}

TEST_MAIN()
