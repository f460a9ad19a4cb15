/*
 * The first, second, third ... allocation or system call fails, once or from there
 * on, until a run passes untouched. Each run ends in order: what was made is
 * disposed of, descriptors are closed, and the next run works. (What leaks, the
 * address sanitizer tells at the end.)
 */
#include "asyncio.h"
#include "core/loop.h"
#include "support/test.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

/* Coroutines and callbacks that were made, and what became of them. */
static int made, dropped, ran;

static intptr_t body(void *arg)
{
    ran++;
    int err = asyncio_sleep((double)(intptr_t)arg / 1000);
    return err ? err : asyncio_sleep(0);
}

static void count_drop(void *arg)
{
    (void)arg;
    dropped++;
}

static asyncio_coro *counted(intptr_t ms)
{
    made++;
    return asyncio_coro_new(body, (void *)ms, count_drop);
}

static void nothing(void *arg)
{
    (void)arg;
}

static void silent(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    (void)arg;
}

/* ---- What is swept -------------------------------------------------------------------- */

static intptr_t loop_from_birth_to_death(void)
{
    asyncio_loop *loop = asyncio_loop_new(NULL);
    if (!loop)
        return -ENOMEM;
    asyncio_loop_set_exception_handler(loop, silent, NULL);
    asyncio_handle handles[80];
    for (int i = 0; i < 80; i++)
        handles[i] = asyncio_loop_call_later(loop, i % 2 ? 0 : 1000, nothing, NULL);
    asyncio_loop_call_soon(loop, nothing, NULL);
    asyncio_loop_call_at(loop, 0, nothing, NULL);
    for (int i = 0; i < 3; i++)
        asyncio_loop_call_soon_threadsafe(loop, nothing, NULL);
    asyncio_loop_call_soon_signalsafe(loop, nothing, NULL);
    asyncio_release(asyncio_loop_create_task(loop, counted(0)));
    asyncio_future *task = (asyncio_future *)asyncio_loop_create_task(loop, counted(0));
    intptr_t result = asyncio_loop_run_until_complete(loop, task);
    for (int i = 0; i < 80; i += 3)
        asyncio_handle_cancel(loop, handles[i]);
    int err = 0;
    for (int i = 0; i < 5; i++) { /* until nothing is left that has begun */
        asyncio_loop_stop(loop);
        int failed = asyncio_loop_run_forever(loop);
        err = err ? err : failed;
    }
    asyncio_release(asyncio_loop_create_task(loop, counted(0)));
    asyncio_loop_call_soon_threadsafe(loop, nothing, NULL);
    asyncio_loop_call_soon_signalsafe(loop, nothing, NULL);
    assert_int_equal(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    return result ? result : err;
}

ASYNC(starts_some)
{
    asyncio_task *one = asyncio_create_task(counted(0));
    asyncio_task_options options = {.name = "two", .stack_size = 100000};
    asyncio_task *two = asyncio_create_task_with(counted(1), &options);
    asyncio_release(asyncio_create_task(counted(100000)));
    asyncio_release(asyncio_create_task(counted(100000)));
    asyncio_future *future = asyncio_future_new();
    asyncio_add_done_callback(future, (asyncio_done_callback)(void *)nothing, NULL);
    if (future)
        asyncio_future_set_result(future, 0);
    intptr_t first = asyncio_await(one), second = asyncio_await(two), third = asyncio_await(future);
    intptr_t fourth = asyncio_gather(NULL, counted(0), counted(0));
    return first ? first : second ? second : third ? third : fourth;
}

static asyncio_run_options options_of_run;

static intptr_t one_run(void)
{
    return asyncio_run_with(starts_some(), &options_of_run);
}

static intptr_t runner_with_two_runs(void)
{
    asyncio_runner runner;
    intptr_t err = asyncio_runner_init(&runner, &options_of_run);
    if (err) {
        assert_null(asyncio_runner_get_loop(&runner));
        return err;
    }
    asyncio_loop_set_exception_handler(asyncio_runner_get_loop(&runner), silent, NULL);
    intptr_t first = asyncio_runner_run(&runner, starts_some());
    intptr_t second = asyncio_runner_run(&runner, counted(0));
    assert_int_equal(asyncio_runner_close(&runner), 0);
    return first ? first : second;
}

/* ---- Sweeping --------------------------------------------------------------------------- */

/* Failed calls that show in no result: the loop waits again, or does without. */
static void sweep(intptr_t (*scenario)(void), bool sticky)
{
    int before = descriptors(), quiet = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    uint64_t n = 1;
    bool untouched = false;
    dup2(null, STDERR_FILENO);
    for (; !untouched && n < 2000; n++) {
        made = dropped = ran = 0;
        asy_fault_arm(n, sticky);
        intptr_t result = scenario();
        asy_fault_disarm();
        untouched = !asy_fault.failed;
        if ((untouched && result) || (result > 0) || dropped != made || descriptors() != before + 2) {
            dup2(quiet, STDERR_FILENO);
            print_error("at call %d (%s): result %ld, %d made, %d disposed of, %d descriptors of %d\n",
                        (int)n, asy_fault.failed ? asy_fault.failed : "none", (long)result, made, dropped,
                        descriptors(), before + 2);
            fail();
        }
    }
    dup2(quiet, STDERR_FILENO);
    close(quiet);
    close(null);
    assert_true(untouched);
    assert_true(n > 10);
    assert_null(asyncio_get_running_loop());
}

TEST(a_loop)
{
    sweep(loop_from_birth_to_death, false);
}

TEST(a_run)
{
    options_of_run = (asyncio_run_options){0};
    sweep(one_run, false);
    options_of_run = (asyncio_run_options){.clock = ASYNCIO_CLOCK_VIRTUAL, .seed = 5, .debug = 1};
    sweep(one_run, false);
}

TEST(a_runner)
{
    options_of_run = (asyncio_run_options){0};
    sweep(runner_with_two_runs, false);
    options_of_run = (asyncio_run_options){.clock = ASYNCIO_CLOCK_VIRTUAL};
    sweep(runner_with_two_runs, false);
}

/* From one call on, nothing works any more; all of it ends nevertheless. */
TEST(and_all_that_follow)
{
    options_of_run = (asyncio_run_options){.clock = ASYNCIO_CLOCK_VIRTUAL};
    sweep(one_run, true);
    sweep(runner_with_two_runs, true);
}

TEST_MAIN()
