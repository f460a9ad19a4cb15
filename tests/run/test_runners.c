/*
 * Runners: run, runs on one loop, the shutdown and its grace, options and environment.
 */
#include "asyncio.h"
#include "base/sanitizer.h"
#include "child.h"
#include "core/loop.h"
#include "support/deny.h"
#include "support/test.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>

static const asyncio_run_options simulated = {.clock = ASYNCIO_CLOCK_VIRTUAL};

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* ---- One run --------------------------------------------------------------------------- */

ASYNC(returns, intptr_t, value)
{
    asyncio_sleep(0);
    return value;
}

ASYNC(raises, intptr_t, err, const char *, words)
{
    asyncio_sleep(0.001);
    return asyncio_raise(err, "%s", words);
}

TEST(run_gives_mains_result)
{
    int before = descriptors();
    assert_int_equal(asyncio_run(returns(42)), 42);
    assert_int_equal(asyncio_run(returns(-EIO)), -EIO);
    assert_string_equal(asyncio_error_message(), "");
    assert_int_equal(asyncio_run_with(raises(-EPIPE, "it broke"), NULL), -EPIPE);
    assert_string_equal(asyncio_error_message(), "it broke");
    assert_int_equal(asyncio_run_with(raises(-ECANCELED, "enough"), &simulated), -ECANCELED);
    assert_string_equal(asyncio_error_message(), "enough");
    assert_int_equal(asyncio_run(NULL), -ENOMEM);
    assert_int_equal(descriptors(), before);
    assert_null(asyncio_get_running_loop());
}

static int dropped, body_ran;
static void count_drop(void *arg)
{
    (void)arg;
    dropped++;
}

static intptr_t body(void *arg)
{
    (void)arg;
    body_ran++;
    return 5;
}

static asyncio_coro *counted(void)
{
    return asyncio_coro_new(body, NULL, count_drop);
}

ASYNC(nests)
{
    asyncio_runner runner;
    dropped = body_ran = 0;
    if (asyncio_run(counted()) != ASYNCIO_ESTATE || dropped != 1)
        return -1;
    if (strcmp(asyncio_error_message(), "asyncio_run: a loop runs in this thread already") != 0)
        return -2;
    if (asyncio_main(NULL) != 1)
        return -3;
    if (asyncio_runner_init(&runner, NULL))
        return -4;
    if (asyncio_runner_run(&runner, counted()) != ASYNCIO_ESTATE || dropped != 2)
        return -5;
    asyncio_loop_call_soon(asyncio_runner_get_loop(&runner), count_drop, NULL);
    if (asyncio_runner_close(&runner) != ASYNCIO_ESTATE)
        return -6;
    asyncio_loop_release(asyncio_runner_get_loop(&runner)); /* closes it: it has no tasks */
    return body_ran;
}

TEST(a_nested_run_is_refused_and_disposes_of_its_coroutine)
{
    assert_int_equal(asyncio_run(nests()), 0);
    assert_int_equal(dropped, 2);
}

/* ---- Several runs ------------------------------------------------------------------------- */

static int steps;
ASYNC(goes_on)
{
    for (;;) {
        int err = asyncio_sleep(1);
        if (err)
            return err;
        steps++;
    }
}

ASYNC(leaves_one, double, seconds)
{
    asyncio_release(asyncio_create_task(goes_on()));
    return asyncio_sleep(seconds);
}

ASYNC(sleeps, double, seconds)
{
    return asyncio_sleep(seconds);
}

TEST(a_runner_runs_again_on_one_loop)
{
    asyncio_runner runner;
    assert_int_equal(asyncio_runner_init(&runner, &simulated), 0);
    asyncio_loop *loop = asyncio_runner_get_loop(&runner);
    assert_non_null(loop);
    steps = 0;
    assert_int_equal(asyncio_runner_run(&runner, leaves_one(2.5)), 0);
    assert_int_equal(steps, 2);
    /* What the first run left goes on in the second. */
    assert_int_equal(asyncio_runner_run(&runner, sleeps(3)), 0);
    assert_int_equal(steps, 5);
    assert_ptr_equal(asyncio_runner_get_loop(&runner), loop);
    assert_int_equal(asyncio_runner_run(&runner, NULL), -ENOMEM);
    assert_int_equal(asyncio_runner_close(&runner), 0);
    assert_int_equal(steps, 5);
    assert_null(asyncio_runner_get_loop(&runner));
    assert_int_equal(asyncio_runner_close(&runner), 0);
    dropped = body_ran = 0;
    assert_int_equal(asyncio_runner_run(&runner, counted()), ASYNCIO_ESTATE);
    assert_string_equal(asyncio_error_message(), "asyncio_runner_run: the runner is closed");
    assert_int_equal(dropped, 1);
    assert_int_equal(body_ran, 0);
    assert_int_equal(asyncio_runner_init(NULL, NULL), -EINVAL);
    assert_int_equal(asyncio_runner_run(NULL, counted()), -EINVAL);
    assert_int_equal(dropped, 2);
    assert_int_equal(asyncio_runner_close(NULL), -EINVAL);
    assert_null(asyncio_runner_get_loop(NULL));
}

TEST(many_runs_take_no_more_stacks)
{
    asyncio_runner runner;
    assert_int_equal(asyncio_runner_init(&runner, &simulated), 0);
    asyncio_loop *loop = asyncio_runner_get_loop(&runner);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(asyncio_runner_run(&runner, sleeps(1)), 0);
    struct asy_stacks_stat stat;
    asy_stacks_stat(loop->stacks, &stat);
    assert_true(stat.live + stat.warm + stat.cold < 100);
    /* While somebody is left, main's frame may be in use. */
    assert_int_equal(asyncio_runner_run(&runner, leaves_one(1)), 0);
    assert_int_equal(asyncio_runner_run(&runner, sleeps(1)), 0);
    assert_false(list_is_empty(&loop->kept_stacks));
    assert_int_equal(asyncio_runner_close(&runner), 0);
}

/* ---- Leftovers -------------------------------------------------------------------------------- */

/* How each takes its cancelling. */
enum manner { ENDS, FAILS, RETURNS, CLEANS_UP, IGNORES };

ASYNC(leftover, enum manner, manner)
{
    int err = asyncio_sleep(ASYNCIO_FOREVER);
    printf("leftover %d got %s\n", (int)manner, asyncio_errname(err));
    switch (manner) {
    case ENDS:
        return err;
    case FAILS:
        return asyncio_raise(-EIO, "no cleaning up");
    case RETURNS:
        return 3;
    case CLEANS_UP:
        err = asyncio_sleep(2);
        printf("cleaned up, %d\n", err);
        return err;
    default:
        break;
    }
    for (;;)
        asyncio_sleep(ASYNCIO_FOREVER);
}

ASYNC(leaves, const char *, manners, intptr_t, result)
{
    for (; *manners; manners++) {
        asyncio_task *task = asyncio_create_task(leftover((enum manner)(*manners - '0')));
        char name[16];
        snprintf(name, sizeof name, "left-%c", *manners);
        asyncio_task_set_name(task, name);
        asyncio_release(task);
    }
    asyncio_sleep(0.001);
    return result < 0 ? asyncio_raise(result, "main's words") : result;
}

struct shutdown {
    const char *manners;
    asyncio_run_options options;
    intptr_t result;
};

static void shut_down(void *arg)
{
    const struct shutdown *test = arg;
    int before = descriptors();
    CHILD_CHECK(asyncio_run_with(leaves(test->manners, test->result), &test->options) == test->result);
    if (test->result < 0)
        CHILD_CHECK(strcmp(asyncio_error_message(), "main's words") == 0);
    CHILD_CHECK(descriptors() == before);
}

TEST(leftovers_are_cancelled_and_waited_for)
{
    struct child child;
    struct shutdown test = {.manners = "023", .options = simulated, .result = 7};
    child_run(&child, shut_down, &test);
    assert_child_exit(&child, 0);
    assert_string_equal(child.text, "leftover 0 got ECANCELED\nleftover 2 got ECANCELED\n"
                                    "leftover 3 got ECANCELED\ncleaned up, 0\n");
}

TEST(a_leftover_that_fails_is_reported_and_mains_result_kept)
{
    struct child child;
    struct shutdown test = {.manners = "101", .options = simulated, .result = -EPIPE};
    child_run(&child, shut_down, &test);
    assert_child_exit(&child, 0);
    assert_int_equal(child_count(&child, "asyncio: "), 2);
    assert_int_equal(child_count(&child, "asyncio: unhandled error during the shutdown of asyncio_run: "
                                         "no cleaning up (EIO); task 'left-1' of leftover, made at "),
                     2);
    assert_child_says(&child, "test_runners.c:");
}

/* Abandoned, with time, name, place and where it waits, and told of once. */
TEST(a_leftover_that_does_not_end_is_abandoned)
{
    static const struct {
        double grace;
        const char *words;
    } cases[] = {
        {0, "within 10 s of being cancelled"},
        {2.5, "within 2.5 s of being cancelled"},
        {-1, "within 0 s of being cancelled"},
        {INFINITY, "after being cancelled"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct child child;
        char words[256];
        struct shutdown test = {.manners = "4", .options = simulated, .result = 1};
        test.options.shutdown_grace = cases[i].grace;
        child_run(&child, shut_down, &test);
        assert_child_exit(&child, 0);
        snprintf(words, sizeof words,
                 "asyncio: task did not end %s; it is abandoned; it waits in sleep; task 'left-4' of "
                 "leftover, made at ",
                 cases[i].words);
        assert_child_says(&child, words);
        assert_int_equal(child_count(&child, "left-4"), i == 3 ? 3 : 1); /* and as a deadlock */
        assert_int_equal(child_count(&child, "it is abandoned"), 1);
    }
}

TEST(no_grace_is_one_step_each)
{
    struct child child;
    struct shutdown test = {.manners = "033", .options = simulated, .result = 1};
    test.options.shutdown_grace = -1;
    child_run(&child, shut_down, &test);
    assert_child_exit(&child, 0);
    assert_int_equal(child_count(&child, "got ECANCELED"), 3);
    assert_int_equal(child_count(&child, "it is abandoned"), 2);
    assert_int_equal(child_count(&child, "cleaned up"), 0);
}

static double ended_at;

ASYNC(cleans_for, double, seconds)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    asyncio_sleep(seconds);
    ended_at = asyncio_time();
    return 0;
}

ASYNC(leaves_a_slow_one, double, seconds)
{
    asyncio_release(asyncio_create_task(cleans_for(seconds)));
    asyncio_sleep(0);
    return (intptr_t)(asyncio_time() * 1000);
}

TEST(for_ever_waits_as_long_as_it_takes)
{
    asyncio_run_options options = simulated;
    options.shutdown_grace = ASYNCIO_FOREVER;
    ended_at = 0;
    intptr_t begun_ms = asyncio_run_with(leaves_a_slow_one(5000), &options);
    assert_true(ended_at >= (double)begun_ms / 1000 + 5000);
    /* The default is ten seconds. */
    ended_at = 0;
    assert_true(asyncio_run_with(leaves_a_slow_one(9.9), &simulated) >= 0);
    assert_true(ended_at > 0);
}

static void stop_the_loop(void *arg)
{
    (void)arg;
    asyncio_loop_stop(asyncio_get_running_loop());
}

ASYNC(stops_the_loop_and_cleans_up)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    for (int i = 0; i < 5; i++) {
        stop_the_loop(NULL);
        asyncio_sleep(1);
    }
    ended_at = asyncio_time();
    return 0;
}

ASYNC(leaves_one_that_stops)
{
    asyncio_release(asyncio_create_task(stops_the_loop_and_cleans_up()));
    return asyncio_sleep(1);
}

TEST(a_leftover_that_stops_the_loop_is_waited_for)
{
    ended_at = 0;
    assert_int_equal(asyncio_run_with(leaves_one_that_stops(), &simulated), 0);
    assert_true(ended_at > 0);
}

static char in_main[64];
ASYNC(uses_mains_frame, char *, place)
{
    asyncio_sleep(ASYNCIO_FOREVER);
    asyncio_sleep(1);
    snprintf(in_main, sizeof in_main, "%s", place);
    return 0;
}

ASYNC(starts_others)
{
    char mine[64] = "still here";
    __asm__ volatile("" : : "r"(mine) : "memory");
    asyncio_release(asyncio_create_task(uses_mains_frame(mine)));
    asyncio_sleep(0);
    return 0;
}

TEST(mains_frame_outlives_it_until_the_shutdown_is_over)
{
    if (ASY_ASAN || RUNNING_ON_VALGRIND)
        skip(); /* they see nothing in this but a use after return */
    assert_int_equal(asyncio_run_with(starts_others(), &simulated), 0);
    assert_string_equal(in_main, "still here");
}

/* ---- Options and environment -------------------------------------------------------------------- */

static intptr_t run_refused(asyncio_run_options options)
{
    dropped = body_ran = 0;
    intptr_t result = asyncio_run_with(counted(), &options);
    assert_int_equal(dropped, 1);
    assert_int_equal(body_ran, 0);
    assert_true(strlen(asyncio_error_message()) > 0);
    asyncio_runner runner;
    assert_int_equal(asyncio_runner_init(&runner, &options), result);
    assert_null(asyncio_runner_get_loop(&runner));
    assert_int_equal(asyncio_runner_close(&runner), 0);
    assert_null(asyncio_loop_new(&options));
    return result;
}

TEST(options_that_cannot_be_met)
{
    assert_int_equal(run_refused((asyncio_run_options){.shutdown_grace = NAN}), -EINVAL);
    assert_int_equal(run_refused((asyncio_run_options){.stack_size = SIZE_MAX}), -EINVAL);
    assert_int_equal(run_refused((asyncio_run_options){.stack_size = ((size_t)1 << 30) + 1}), -EINVAL);
    assert_int_equal(run_refused((asyncio_run_options){.backend = (asyncio_backend)99}), -EINVAL);
    assert_int_equal(run_refused((asyncio_run_options){.clock = (asyncio_clock)99}), -EINVAL);
    /* And those that can. */
    asyncio_run_options options = {.eager = -1, .backend = ASYNCIO_BACKEND_EPOLL, .stack_size = 1};
    assert_int_equal(asyncio_run_with(returns(1), &options), 1);
    options = (asyncio_run_options){.stack_size = 8 << 20, .overflow_report = -1, .handle_sigint = -1};
    assert_int_equal(asyncio_run_with(returns(1), &options), 1);
}

static void named_and_denied(void *arg)
{
    (void)arg;
    asyncio_run_options options = {.backend = ASYNCIO_BACKEND_IO_URING};
    CHILD_CHECK(deny_call(DENY_RING_SETUP, EPERM));
    CHILD_CHECK(asyncio_run_with(returns(4), &options) == -ENOSYS);
    fputs(asyncio_error_message(), stderr);
    CHILD_CHECK(asyncio_loop_new(&options) == NULL);
}

TEST(a_backend_that_is_named_and_denied_is_told)
{
    struct child child;
    child_run(&child, named_and_denied, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, "io_uring is denied (EPERM)");
}

static void in_the_environment(void *arg)
{
    (void)arg;
    CHILD_CHECK(deny_call(DENY_RING_SETUP, EPERM));
    setenv("ASYNCIO_BACKEND", "io_uring", 1);
    CHILD_CHECK(asyncio_run(returns(4)) == 4);
}

TEST(a_backend_of_the_environment_falls_back)
{
    struct child child;
    child_run(&child, in_the_environment, NULL);
    assert_child_exit(&child, 0);
    assert_int_equal(child_count(&child, "\n"), 1);
    assert_child_says(&child, "io_uring is denied (EPERM)");
    assert_child_says(&child, "using epoll");
}

ASYNC(says, char, letter)
{
    printf("%c", letter);
    return 0;
}

ASYNC(says_all)
{
    for (char letter = 'a'; letter <= 'h'; letter++)
        asyncio_release(asyncio_create_task(says(letter)));
    return asyncio_sleep(1);
}

static void run_says_all(void *seed)
{
    asyncio_run_options options = simulated;
    if (seed)
        setenv("ASYNCIO_SEED", seed, 1);
    CHILD_CHECK(asyncio_run_with(says_all(), &options) == 0);
    options.seed = 77;
    printf(" ");
    CHILD_CHECK(asyncio_run_with(says_all(), &options) == 0);
}

TEST(a_seed_of_the_environment)
{
    struct child fifo, one, again, two;
    char zero[] = "0", five[] = "5", hexadecimal[] = "0x1234";
    child_run(&fifo, run_says_all, zero);
    child_run(&one, run_says_all, five);
    child_run(&again, run_says_all, five);
    child_run(&two, run_says_all, hexadecimal);
    assert_int_equal(strncmp(fifo.text, "abcdefgh ", 9), 0);
    assert_string_equal(one.text, again.text);
    assert_int_not_equal(strncmp(one.text, "abcdefgh ", 9), 0);
    assert_int_not_equal(strncmp(two.text, one.text, 8), 0);
    /* The option wins. */
    assert_string_equal(fifo.text + 9, one.text + 9);
}

static void close_loops(void *seed)
{
    setenv("ASYNCIO_SEED", seed, 1);
    for (int i = 0; i < 2; i++) {
        asyncio_loop *loop = asyncio_loop_new(NULL);
        asyncio_loop_close(loop);
        asyncio_loop_release(loop);
    }
}

TEST(a_seed_that_is_no_number_is_told_once)
{
    static char wrong[][8] = {"abc", "5x", "-1", " 5"}, right[][8] = {"5", "0", "0x1f", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct child child;
        char wanted[100];
        snprintf(wanted, sizeof wanted,
                 "asyncio: ASYNCIO_SEED=%s is no number; ready tasks run in their order\n", wrong[i]);
        child_run(&child, close_loops, wrong[i]);
        assert_string_equal(child.text, wanted);
        child_run(&child, close_loops, right[i]);
        assert_string_equal(child.text, "");
    }
}

/* ---- Deadlocks ------------------------------------------------------------------------------------- */

static asyncio_task *left, *right;
ASYNC(waits_for_right)
{
    return asyncio_await(asyncio_ref(right));
}
ASYNC(waits_for_left)
{
    return asyncio_await(asyncio_ref(left));
}

ASYNC(makes_a_circle)
{
    left = asyncio_create_task(waits_for_right());
    right = asyncio_create_task(waits_for_left());
    asyncio_task_set_name(left, "left");
    asyncio_task_set_name(right, "right");
    asyncio_release(right);
    return asyncio_await(left);
}

static void run_a_circle(void *arg)
{
    (void)arg;
    CHILD_CHECK(asyncio_run_with(makes_a_circle(), &simulated) == -EDEADLK);
    CHILD_CHECK(strcmp(asyncio_error_message(), "deadlock: nothing is left that could wake a task") == 0);
}

TEST(a_virtual_clock_finds_deadlocks)
{
    struct child child;
    child_run(&child, run_a_circle, NULL);
    assert_child_exit(&child, 0);
    assert_child_says(&child, "asyncio: deadlock: 3 tasks wait, and nothing left that could wake one");
    assert_child_says(&child, "left awaits task 'right', in a circle");
    assert_child_says(&child, "right awaits task 'left', in a circle");
    assert_int_equal(child_count(&child, "is abandoned"), 0);
}

/* ---- A program's main ------------------------------------------------------------------------------- */

static void main_that_returns(void *value)
{
    asyncio_raise(-EBADF, "an old story");
    _exit(asyncio_main(returns((intptr_t)value)));
}

static void main_that_raises(void *words)
{
    _exit(asyncio_main(raises(-EPIPE, words)));
}

static void main_of_nothing(void *arg)
{
    (void)arg;
    asyncio_raise(-EBADF, "an old story");
    _exit(asyncio_main(NULL));
}

static void raise_in_callback(asyncio_future *future, void *arg)
{
    (void)future;
    (void)arg;
    asyncio_raise(-ENOENT, "of a callback");
}

ASYNC(leaves_a_callback)
{
    asyncio_task *task = asyncio_create_task(leftover(ENDS));
    asyncio_add_done_callback(task, raise_in_callback, NULL);
    asyncio_release(task);
    asyncio_sleep(0);
    return asyncio_raise(-EPIPE, "main's words");
}

static void note_end(asyncio_future *future, void *ended)
{
    *(intptr_t *)ended = asyncio_result(future);
}

static intptr_t ended_with;

ASYNC(leaves_one_with_a_callback)
{
    asyncio_task *task = asyncio_create_task(sleeps(100));
    asyncio_add_done_callback(task, note_end, &ended_with);
    asyncio_release(task);
    return asyncio_sleep(0);
}

TEST(callbacks_of_leftovers_run)
{
    ended_with = 1;
    assert_int_equal(asyncio_run_with(leaves_one_with_a_callback(), &simulated), 0);
    assert_int_equal(ended_with, -ECANCELED);
}

static void main_with_a_noisy_shutdown(void *arg)
{
    (void)arg;
    _exit(asyncio_main(leaves_a_callback()));
}

TEST(main_gives_an_exit_status)
{
    struct child child;
    char words[] = "the pipe to printer broke";
    child_run(&child, main_that_returns, (void *)0);
    assert_child_exit(&child, 0);
    assert_child_silent(&child);
    child_run(&child, main_that_returns, (void *)300);
    assert_child_exit(&child, 0);
    child_run(&child, main_that_returns, (void *)(intptr_t)-EIO);
    assert_child_exit(&child, 1);
    assert_child_says(&child, "run-runners: Input/output error (EIO)\n");
    child_run(&child, main_that_raises, words);
    assert_child_exit(&child, 1);
    assert_string_equal(child.text, "run-runners: the pipe to printer broke (EPIPE)\n");
    child_run(&child, main_of_nothing, NULL);
    assert_child_exit(&child, 1);
    assert_child_says(&child, "a NULL coroutine");
    assert_child_says(&child, "(ENOMEM)\n");
    assert_int_equal(child_count(&child, "old story"), 0);
    child_run(&child, main_with_a_noisy_shutdown, NULL);
    assert_child_exit(&child, 1);
    assert_child_says(&child, "run-runners: main's words (EPIPE)\n");
}

TEST_MAIN()
