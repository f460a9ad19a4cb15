/*
 * Programs run in one call, and processes that are stopped, with their groups.
 */
#include "process/process.h"
#include "subprocess_test.h"
#include <math.h>
#include <stdlib.h>

/* Lives on through SIGTERM, and so does its child; says when both are ready. */
#define STUBBORN "trap '' TERM; sleep 1000 & echo ready; wait; while :; do sleep 1000; done"
#define GROUP .process_group = 1, .stdout_fd = ASYNCIO_PIPE

static void await_line(asyncio_process *process)
{
    char *line;
    CHECK(asyncio_stream_readline(asyncio_process_stdout(process), &line) > 0);
}

/* The output ends when the last process that holds it has ended. */
static void check_output_ends(asyncio_process *process)
{
    char byte;
    ssize_t n = -1;
    ASYNCIO_TIMEOUT(n, 30) {
        n = asyncio_stream_read(asyncio_process_stdout(process), &byte, 1);
    }
    CHECK_EQUAL(n, 0);
}

/* ---- Running --------------------------------------------------------------------------- */

ASYNC_TEST(input_output_and_status)
{
    asyncio_buffer out = {0}, err = {0};
    int returncode = -1;
    CHECK_EQUAL(asyncio_run_process(ARGV("sh", "-c", "cat; echo why >&2; exit 3"), NULL, "what", 4, &out,
                                    &err, &returncode),
                0);
    CHECK_EQUAL(returncode, 3);
    CHECK_TEXT(out.data, "what");
    CHECK_TEXT(err.data, "why\n");
    asyncio_buffer_destroy(&out);
    asyncio_buffer_destroy(&err);
    CHECK_EQUAL(asyncio_run_process(ARGV("true"), NULL, NULL, 0, NULL, NULL, NULL), 0);
    check_no_children();
    return 0;
}

ASYNC_TEST(megabytes_that_nobody_reads)
{
    enum { BYTES = 8 << 20 };
    char *input = calloc(1, BYTES);
    int returncode = -1;
    CHECK_EQUAL(asyncio_run_process(ARGV("sh", "-c", "exec <&-; exit 4"), NULL, input, BYTES, NULL, NULL,
                                    &returncode),
                0);
    CHECK_EQUAL(returncode, 4);
    free(input);
    check_no_children();
    return 0;
}

ASYNC_TEST(runs_that_are_refused)
{
    CHECK_EQUAL(asyncio_run_process(ARGV("/no/such/program"), NULL, NULL, 0, NULL, NULL, NULL), -ENOENT);
    CHECK_EQUAL(asyncio_run_process(ARGV("cat"), NULL, NULL, 1, NULL, NULL, NULL), -EINVAL);
    CHECK_EQUAL(
        asyncio_run_process(ARGV("cat"), OPTIONS(.stdin_fd = ASYNCIO_DEVNULL), "x", 1, NULL, NULL, NULL),
        -EINVAL);
    CHECK_HAS(asyncio_error_message(), "stdin");
    CHECK_EQUAL(asyncio_run_process(NULL, NULL, NULL, 0, NULL, NULL, NULL), -EINVAL);
    check_no_children();
    return 0;
}

/* Nobody of the group is left: its number is no group's. */
static void check_no_group(pid_t group)
{
    for (int i = 0; i < 3000 && kill(-group, 0) == 0; i++)
        asyncio_sleep(0.01); /* init reaps the grandchildren */
    CHECK_EQUAL(kill(-group, 0), -1);
}

ASYNC_TEST(a_timeout_leaves_nothing_behind)
{
    char path[] = "/tmp/asyncio-group-XXXXXX", command[200], text[32] = "";
    int fd = mkstemp(path);
    /* The first one ends; its child, in the group, holds the output. Then the first one stays. */
    static const char *const commands[] = {"echo $$ > %s; sleep 1000 & exit 0",
                                           "echo $$ > %s; sleep 1000 & wait"};
    for (int i = 0; i < 2; i++) {
        asyncio_buffer out = {0};
        snprintf(command, sizeof command, commands[i], path);
        int err = 0;
        ASYNCIO_TIMEOUT(err, 0.5) {
            err = asyncio_run_process(ARGV("sh", "-c", command), OPTIONS(.process_group = 1), NULL, 0, &out,
                                      NULL, NULL);
        }
        CHECK_EQUAL(err, -ETIMEDOUT);
        CHECK(!out.data);
        CHECK(pread(fd, text, sizeof text - 1, 0) > 0);
        check_no_children();
        check_no_group(atoi(text));
    }
    close(fd);
    unlink(path);
    return 0;
}

/* ---- Stopping -------------------------------------------------------------------------- */

ASYNC_TEST(one_that_ends_at_sigterm)
{
    asyncio_process *process = spawn(ARGV("sleep", "1000"), NULL);
    int returncode = 0;
    CHECK_EQUAL(asyncio_process_stop(process, ASYNCIO_FOREVER, &returncode), 0);
    CHECK_EQUAL(returncode, -SIGTERM);
    CHECK_EQUAL(asyncio_process_stop(process, 1, &returncode), 0); /* it has ended */
    CHECK_EQUAL(returncode, -SIGTERM);
    asyncio_process_release(process);
    check_no_children();
    return 0;
}

ASYNC_TEST(one_that_ignores_sigterm)
{
    asyncio_process *process = spawn_shell(STUBBORN, OPTIONS(GROUP));
    int returncode = 0;
    await_line(process);
    double began = asyncio_time();
    CHECK_EQUAL(asyncio_process_stop(process, 0.2, &returncode), 0);
    CHECK(asyncio_time() - began >= 0.2);
    CHECK_EQUAL(returncode, -SIGKILL);
    check_output_ends(process);
    asyncio_process_release(process);
    check_no_children();
    return 0;
}

ASYNC_TEST(no_grace_kills)
{
    asyncio_process *process = spawn_shell(STUBBORN, OPTIONS(GROUP));
    int returncode = 0;
    await_line(process);
    CHECK_EQUAL(asyncio_process_stop(process, 0, &returncode), 0);
    CHECK_EQUAL(returncode, -SIGKILL);
    check_output_ends(process);
    asyncio_process_release(process);
    return 0;
}

static void cancel_it(void *task)
{
    asyncio_cancel((asyncio_task *)task);
}

ASYNC_TEST(a_request_kills_at_once_and_stays)
{
    asyncio_process *process = spawn_shell(STUBBORN, OPTIONS(GROUP));
    int returncode = 0;
    await_line(process);
    asyncio_loop_call_later(asyncio_get_running_loop(), 0.05, cancel_it, asyncio_current_task());
    CHECK_EQUAL(asyncio_process_stop(process, ASYNCIO_FOREVER, &returncode), 0);
    CHECK_EQUAL(returncode, -SIGKILL);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    asyncio_task_uncancel(asyncio_current_task());
    check_output_ends(process);
    asyncio_process_release(process);

    process = spawn_shell(STUBBORN, OPTIONS(GROUP));
    await_line(process);
    asyncio_cancel(asyncio_current_task()); /* pending already */
    CHECK_EQUAL(asyncio_process_stop(process, ASYNCIO_FOREVER, &returncode), 0);
    CHECK_EQUAL(returncode, -SIGKILL);
    CHECK_EQUAL(asyncio_sleep(0), -ECANCELED);
    asyncio_task_uncancel(asyncio_current_task());
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(grandchildren_of_one_that_has_ended)
{
    asyncio_process *process = spawn_shell("sleep 1000 & sleep 1000 & exit 0", OPTIONS(GROUP));
    CHECK_EQUAL(end_of(process), 0);
    CHECK_EQUAL(asyncio_process_send_signal_group(process, SIGTERM), 0);
    check_output_ends(process);
    CHECK_EQUAL(asyncio_process_send_signal_group(process, SIGTERM), 0); /* nobody is left */
    asyncio_process_release(process);
    return 0;
}

ASYNC_TEST(stops_that_are_refused)
{
    asyncio_process *process = spawn(ARGV("sleep", "1000"), NULL);
    CHECK_EQUAL(asyncio_process_stop(NULL, 1, NULL), -EINVAL);
    CHECK_EQUAL(asyncio_process_stop(process, (double)NAN, NULL), -EINVAL);
    CHECK_HAS(asyncio_error_message(), "grace");
    CHECK_EQUAL(asyncio_process_send_signal_group(NULL, SIGTERM), -EINVAL);
    CHECK_EQUAL(asyncio_process_send_signal_group(process, -1), -EINVAL);
    CHECK_EQUAL(asyncio_process_send_signal_group(process, SIGTERM), ASYNCIO_ESTATE);
    CHECK_EQUAL(asyncio_process_stop(process, -1, NULL), 0);
    asyncio_process_release(process);
    return 0;
}

/* ---- Failures and cancels ----------------------------------------------------------------- */

ASYNC(runs_one)
{
    asyncio_buffer out = {0};
    int err = asyncio_run_process(ARGV("cat"), OPTIONS(.process_group = 1), "text", 4, &out, NULL, NULL);
    asyncio_buffer_destroy(&out);
    check_no_children();
    return err;
}

ASYNC(stops_one)
{
    asyncio_process *process = NULL;
    int err = asyncio_create_subprocess_exec(ARGV("sleep", "1000"), NULL, &process);
    if (!err)
        err = asyncio_process_stop(process, 100, NULL);
    asyncio_process_release(process);
    return err;
}

TEST(each_failure_in_turn)
{
    sweep_failures(runs_one);
    sweep_failures(stops_one);
}

TEST(each_cancel_in_turn)
{
    sweep_cancels(runs_one, NULL);
    sweep_cancels(stops_one, NULL);
}

int main(void)
{
    use_descriptors();
    return tests_run(NULL);
}
