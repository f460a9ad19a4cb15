/*
 * The checks of debug mode: each has a planted mistake that it finds, and a clean program of which it says
 * nothing.
 */
#include "asyncio.h"
#include "child.h"
#include "support/harness.h"
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static struct child child;

struct program {
    const char *words;
    asyncio_coro *(*main)(void);
    asyncio_clock clock;
};

static void run_program(void *arg)
{
    const struct program *program = arg;
    setenv("ASYNCIO_DEBUG", program->words, 1);
    asyncio_run_options options = {.clock = program->clock};
    intptr_t result = asyncio_run_with(program->main(), &options);
    if (result)
        dprintf(2, "the program ends with %ld\n", (long)result);
}

/* What it prints is in `child`. Limits of time are far away. */
static void run_checked(const char *check, coroutine_function main)
{
    char words[64];
    snprintf(words, sizeof words, "slow=1000,watchdog=0,%s", check);
    child_run(&child, run_program, &(struct program){words, main, ASYNCIO_CLOCK_REAL});
}

/* The same in virtual time. */
static void run_simulated(const char *check, coroutine_function main)
{
    char words[64];
    snprintf(words, sizeof words, "slow=1000,watchdog=0,%s", check);
    child_run(&child, run_program, &(struct program){words, main, ASYNCIO_CLOCK_VIRTUAL});
}

/* ---- block --------------------------------------------------------------------------------- */

static void nap(void)
{
    struct timespec pause = {.tv_nsec = 2000000};
    nanosleep(&pause, NULL);
}

ASYNC(naps)
{
    asyncio_sleep(0.001);
    nap();
    return 0;
}

ASYNC(awaits_a_napper)
{
    return asyncio_await(asyncio_create_task(naps()));
}

ASYNC(awaits_an_eager_napper)
{
    asyncio_task_options eager = {.eager_start = 1};
    nap();
    asyncio_sleep(0);
    return asyncio_await(asyncio_create_task_with(naps(), &eager));
}

static void nap_in_callback(void *arg)
{
    (void)arg;
    nap();
}

ASYNC(naps_in_callback)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), nap_in_callback, NULL);
    return asyncio_sleep(0.01);
}

static void skip_under_valgrind(void)
{
    if (RUNNING_ON_VALGRIND)
        skip();
}

#define BLOCKS ": it makes a call that blocks"

TEST(a_step_that_sleeps_is_told)
{
    skip_under_valgrind();
    run_checked("block", awaits_a_napper);
    assert_child_says(&child, " slept once" BLOCKS "; task 'Task-2' of naps, made at ");
    assert_int_equal(child_count(&child, BLOCKS), 1);
    run_checked("block", naps_in_callback);
    assert_child_says(&child, "asyncio: a callback of 0.");
    assert_int_equal(child_count(&child, BLOCKS), 1);
}

static intptr_t nap_in_thread(void *arg)
{
    nap();
    return (intptr_t)arg;
}

/* Waits of all kinds, a thread, a child process, and much computing. */
ASYNC(blocks_nowhere)
{
    static volatile unsigned long sum;
    asyncio_sleep(0.002);
    intptr_t err = asyncio_to_thread(nap_in_thread, NULL);
    for (unsigned long i = 0; i < 3000000; i++)
        sum += i;
    const char *argv[] = {"true", NULL};
    asyncio_process *process;
    if (asyncio_create_subprocess_exec(argv, NULL, &process) == 0) {
        asyncio_process_wait(process, NULL);
        asyncio_process_release(process);
    }
    return err;
}

TEST(a_program_that_waits_as_it_should_sleeps_in_no_step)
{
    skip_under_valgrind();
    run_checked("block", blocks_nowhere);
    assert_child_silent(&child);
    run_checked("cancel", awaits_a_napper); /* another check */
    assert_child_silent(&child);
}

/* The creator of an eager task is not to blame for that one's sleep. */
ASYNC(makes_an_eager_napper)
{
    return asyncio_await(asyncio_create_task(awaits_an_eager_napper()));
}

ASYNC(naps_at_once)
{
    nap();
    return 0;
}

ASYNC(starts_it_eagerly)
{
    asyncio_task_options eager = {.eager_start = 1};
    return asyncio_await(asyncio_create_task_with(naps_at_once(), &eager));
}

TEST(an_eager_task_is_told_alone)
{
    skip_under_valgrind();
    run_checked("block", starts_it_eagerly);
    assert_child_says(&child, " of naps_at_once, made at ");
    assert_int_equal(child_count(&child, BLOCKS), 1);
    run_checked("block", makes_an_eager_napper);
    assert_int_equal(child_count(&child, BLOCKS), 2);
}

/* ---- cancel ---------------------------------------------------------------------------------- */

ASYNC(goes_on, int, waits, double, seconds)
{
    for (int i = 0; i < waits; i++)
        asyncio_sleep(seconds); /* the error is thrown away */
    return 0;
}

ASYNC(cancels, asyncio_coro *, coro)
{
    asyncio_task *task = asyncio_create_task(coro);
    asyncio_sleep(0);
    asyncio_cancel(task);
    asyncio_await(task);
    return 0;
}

static asyncio_coro *cancels_a_busy_one(void)
{
    return cancels(goes_on(100, 0.001));
}

static asyncio_coro *cancels_a_slow_one(void)
{
    return cancels(goes_on(4, 3));
}

static asyncio_coro *cancels_one_that_cleans_up(void)
{
    return cancels(goes_on(15, 0.01));
}

#define GOES_ON "a request to cancel was delivered, and the task has waited "

TEST(a_task_that_goes_on_is_told_once)
{
    run_simulated("cancel", cancels_a_busy_one);
    assert_child_says(&child, GOES_ON "21 times since, for 0.020 seconds: it should return -ECANCELED, or "
                                      "call asyncio_task_uncancel; task 'Task-2' of goes_on, made at ");
    assert_int_equal(child_count(&child, GOES_ON), 1);
    run_simulated("cancel", cancels_a_slow_one);
    assert_child_says(&child, GOES_ON "3 times since, for 6.000 seconds: ");
    assert_int_equal(child_count(&child, GOES_ON), 1);
}

TEST(one_that_cleans_up_is_not)
{
    run_simulated("cancel", cancels_one_that_cleans_up);
    assert_child_silent(&child);
}

ASYNC(uncancels)
{
    if (asyncio_sleep(1) == -ECANCELED)
        asyncio_task_uncancel(asyncio_current_task());
    for (int i = 0; i < 100; i++)
        asyncio_sleep(1);
    return 0;
}

static asyncio_coro *cancels_one_that_uncancels(void)
{
    return cancels(uncancels());
}

/* A timeout that is over, and groups that are aborted: requests of their own, which they take back. */
ASYNC(has_timeouts_and_groups)
{
    for (int i = 0; i < 50; i++) {
        asyncio_wait_for(goes_on(1, 10), 0.1);
        int err = 0;
        ASYNCIO_TIMEOUT(err, 1) {
            asyncio_sleep(2);
        }
    }
    return 0;
}

/* Behind a shield a request is not delivered. */
ASYNC(is_shielded)
{
    asyncio_shield_scope shield;
    asyncio_shield_scope_enter(&shield);
    for (int i = 0; i < 50; i++)
        asyncio_sleep(1);
    return asyncio_shield_scope_exit(&shield);
}

static asyncio_coro *cancels_a_shielded_one(void)
{
    return cancels(is_shielded());
}

/* The request is with the child, which takes its time; the one that awaits it waits once. */
ASYNC(awaits_one_that_goes_on)
{
    return asyncio_await(asyncio_create_task(goes_on(15, 0.3)));
}

static asyncio_coro *cancels_one_that_awaits(void)
{
    return cancels(awaits_one_that_goes_on());
}

TEST(a_request_that_is_answered_is_no_mistake)
{
    run_simulated("cancel", cancels_one_that_uncancels);
    assert_child_silent(&child);
    run_simulated("cancel", has_timeouts_and_groups);
    assert_child_silent(&child);
    run_simulated("cancel", cancels_a_shielded_one);
    assert_child_silent(&child);
    run_simulated("cancel", cancels_one_that_awaits);
    assert_child_silent(&child);
}

/* ---- stacks ------------------------------------------------------------------------------------ */

static __attribute__((noinline)) int use_stack(volatile char *above, size_t kib)
{
    volatile char here[1024];
    memset((void *)(uintptr_t)here, 1, sizeof here);
    return kib ? use_stack(here, kib - 1) + above[0] : here[9];
}

ASYNC(is_deep, size_t, kib)
{
    volatile char here[1] = {0};
    asyncio_sleep(0);
    return use_stack(here, kib) < 0;
}

ASYNC(is_shallow)
{
    return asyncio_sleep(0);
}

ASYNC(has_deep_ones)
{
    asyncio_task_options large = {.stack_size = 4 << 20};
    for (int i = 0; i < 3; i++) {
        asyncio_await(asyncio_create_task(is_deep(i == 1 ? 100 : 10)));
        asyncio_await(asyncio_create_task(is_shallow()));
    }
    return asyncio_await(asyncio_create_task_with(is_deep(50), &large)) < 0;
}

static unsigned depth_of(const char *coroutine, const char *rest)
{
    char words[64];
    unsigned kib = 0, size = 0;
    int end = 0;
    snprintf(words, sizeof words, "asyncio: stacks of %s: ", coroutine);
    const char *at = strstr(child.text, words);
    if (!at || sscanf(at + strlen(words), "%u KiB of %u%n", &kib, &size, &end) != 2) {
        print_error("no \"%s\" in:\n%s\n", words, child.text);
        fail();
    }
    at += strlen(words) + (size_t)end;
    if (strncmp(at, rest, strlen(rest)) != 0)
        print_error("\"%s\" is not \"%s\"\n", at, rest);
    assert_memory_equal(at, rest, strlen(rest));
    return kib;
}

/* On the stack on which a deep one ran before, the depth is a task's own. */
TEST(the_deepest_stack_of_each_coroutine_is_told)
{
    run_checked("stacks", has_deep_ones);
    unsigned deep = depth_of("is_deep", ", the deepest of 4 tasks\n");
    unsigned shallow = depth_of("is_shallow", ", the deepest of 3 tasks\n");
    unsigned main = depth_of("has_deep_ones", ", the deepest of 1 task\n");
    if (is_slow_build())
        return; /* frames are larger there */
    assert_in_range(deep, 101, 128);
    assert_in_range(shallow, 1, 12);
    assert_in_range(main, 1, 16);
    assert_true(strstr(child.text, "of is_deep") < strstr(child.text, "of is_shallow"));
}

TEST(without_the_word_none_is_measured)
{
    run_checked("cancel", has_deep_ones);
    assert_child_silent(&child);
}

ASYNC(makes_none_that_run)
{
    asyncio_task *task = asyncio_create_task(is_shallow());
    asyncio_cancel(task);
    asyncio_await(task);
    return 0;
}

/* It had no stack. */
TEST(a_task_that_never_ran_is_not_counted)
{
    run_checked("stacks", makes_none_that_run);
    assert_child_says(&child, "asyncio: stacks of makes_none_that_run: ");
}

/* ---- fd ---------------------------------------------------------------------------------------- */

static int ends[2];

ASYNC(reads)
{
    char byte;
    return asyncio_read(ends[0], &byte, 1) < 0;
}

ASYNC(two_read)
{
    if (pipe(ends) != 0)
        return -EIO;
    asyncio_task *first = asyncio_create_task(reads()), *second = asyncio_create_task(reads());
    asyncio_sleep(0.001);
    asyncio_write(ends[1], "xy", 2);
    intptr_t err = asyncio_await(first);
    return asyncio_await(second) || err;
}

TEST(two_tasks_that_read_are_told)
{
    run_checked("fd", two_read);
    assert_child_says(&child, "asyncio: a task reads from descriptor ");
    assert_child_says(&child,
                      " while task 'Task-2' does: their bytes are mixed; task 'Task-3' of reads, made at ");
    assert_int_equal(child_count(&child, "\n"), 1);
}

ASYNC(uses_a_closed_one)
{
    char byte;
    if (pipe(ends) != 0)
        return -EIO;
    asyncio_write(ends[1], "x", 1);
    asyncio_read(ends[0], &byte, 1);
    asyncio_close(ends[0]);
    return asyncio_read(ends[0], &byte, 1) != -EBADF;
}

TEST(a_use_after_the_close_is_told)
{
    char words[128];
    run_checked("fd", uses_a_closed_one);
    snprintf(words, sizeof words, ", which is not open; task 'Task-1' of uses_a_closed_one, made at ");
    assert_child_says(&child, "asyncio: a task uses descriptor ");
    assert_child_says(&child, words);
    assert_int_equal(child_count(&child, "\n"), 1);
}

ASYNC(closes_under_a_task)
{
    if (pipe(ends) != 0)
        return -EIO;
    asyncio_task *task = asyncio_create_task(reads());
    asyncio_sleep(0.001);
    asyncio_close(ends[0]);
    return asyncio_await(task) != 1;
}

TEST(a_close_under_a_task_is_told)
{
    run_checked("fd", closes_under_a_task);
    assert_child_says(&child, " is closed while a task is in a call on it; task 'Task-2' of reads, made at ");
    assert_int_equal(child_count(&child, "\n"), 1);
}

/* One task a direction, one after the other, and servers with streams. */
ASYNC(echo, asyncio_stream *, stream, void *, arg)
{
    char text[8];
    (void)arg;
    ssize_t n;
    while ((n = asyncio_stream_read(stream, text, sizeof text)) > 0)
        asyncio_stream_write(stream, text, (size_t)n);
    return 0;
}

ASYNC(writes, size_t, n)
{
    char text[512] = "";
    for (size_t i = 0; i < n; i++)
        asyncio_write(ends[1], text, sizeof text);
    asyncio_close(ends[1]);
    return 0;
}

ASYNC(uses_descriptors_well)
{
    char text[512];
    if (pipe(ends) != 0)
        return -EIO;
    asyncio_task *task = asyncio_create_task(writes(1000));
    while (asyncio_read(ends[0], text, sizeof text) > 0)
        asyncio_sleep(0);
    asyncio_close(ends[0]);
    asyncio_server *server;
    asyncio_stream *stream;
    if (asyncio_start_server(echo, NULL, "127.0.0.1", 0, NULL, &server) != 0)
        return -EIO;
    int err = asyncio_open_connection("127.0.0.1", asyncio_server_port(server), NULL, &stream);
    for (int i = 0; i < 3 && !err; i++)
        err = asyncio_stream_write(stream, "hello", 5) < 0 || asyncio_stream_read(stream, text, 5) != 5;
    asyncio_stream_close(stream);
    asyncio_server_release(server);
    return asyncio_await(task) || err;
}

TEST(good_manners_are_not_told)
{
    run_checked("fd", uses_descriptors_well);
    assert_child_silent(&child);
}

/* ---- All at once --------------------------------------------------------------------------------- */

TEST(all_checks_together)
{
    skip_under_valgrind();
    run_checked("block,cancel,fd", blocks_nowhere);
    assert_child_silent(&child);
}

TEST_MAIN()
