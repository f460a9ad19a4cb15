/*
 * Processes that are used after their release: the program ends, and is told which call it was. And a call
 * that gives way before it begins to wait, while the process is released.
 */
#include "asyncio.h"
#include "support/late_use.h"
#include "support/test.h"
#include <errno.h>
#include <stddef.h>

static asyncio_process *run_true(void)
{
    static const char *const argv[] = {"true", NULL};
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec(argv, NULL, &process), 0);
    return process;
}

static asyncio_process *released_process(int more)
{
    asyncio_process *process = run_true();
    CHECK_EQUAL(asyncio_process_wait(process, NULL), 0);
    asyncio_process_release(process);
    while (more--)
        run_true();
    return process;
}

static void wait_late(int more)
{
    asyncio_process_wait(released_process(more), NULL);
}

static void ask_late(int more)
{
    int returncode;
    asyncio_process_returncode(released_process(more), &returncode);
}

static void communicate_late(int more)
{
    asyncio_process_communicate(released_process(more), NULL, 0, NULL, NULL);
}

static void terminate_late(int more)
{
    asyncio_process_terminate(released_process(more));
}

static void look_at_pid_late(int more)
{
    asyncio_process_pid(released_process(more));
}

static void look_at_stdout_late(int more)
{
    asyncio_process_stdout(released_process(more));
}

static void release_twice(int more)
{
    asyncio_process_release(released_process(more));
}

/* The loop keeps one that still runs, but the owner has left. */
static void wait_for_one_that_runs(int more)
{
    (void)more;
    static const char *const argv[] = {"sleep", "60", NULL};
    asyncio_process *process = NULL;
    CHECK_EQUAL(asyncio_create_subprocess_exec(argv, NULL, &process), 0);
    asyncio_process_release(process);
    asyncio_process_wait(process, NULL);
}

TEST(processes)
{
    check_late(wait_late, "asyncio_process_wait: used after its release; it was a process");
    check_late(ask_late, "asyncio_process_returncode: used after its release; it was a process");
    check_late(communicate_late, "asyncio_process_communicate: used after its release");
    check_late(terminate_late, "asyncio_process_send_signal: used after its release");
    check_late(look_at_pid_late, "asyncio_process_pid: used after its release");
    check_late(look_at_stdout_late, "asyncio_process_stdout: used after its release");
    check_late(release_twice, "asyncio_process_release: used after its release");
    check_late(wait_for_one_that_runs, "asyncio_process_wait: used after its release");
}

ASYNC(releases, asyncio_process *, process)
{
    asyncio_process_release(process);
    return 0;
}

/* A wait for one that has ended does not suspend, but for the others' sake now and then. */
static int wait_until_released(asyncio_process *process)
{
    int err = 0;
    for (int i = 0; i < 10000 && !err; i++)
        err = asyncio_process_wait(process, NULL);
    return err;
}

ASYNC(main_release_meanwhile)
{
    asyncio_process *process = run_true();
    CHECK_EQUAL(asyncio_process_wait(process, NULL), 0);
    asyncio_task *task = asyncio_create_task(releases(process));
    CHECK_EQUAL(wait_until_released(process), -EBADF);
    return asyncio_await(task);
}

TEST(release_while_a_call_gives_way)
{
    use_descriptors();
    CHECK_EQUAL(run(main_release_meanwhile), 0);
    harness_settle();
}

TEST_MAIN()
