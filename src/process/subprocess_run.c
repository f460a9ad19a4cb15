/*
 * Running a program as one call, and stopping one: SIGTERM, a while, SIGKILL.
 */
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/subprocess.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "core/timer.h"
#include "process/process.h"
#include <errno.h>
#include <math.h>
#include <signal.h>

struct stop {
    struct wait wait;
    struct timer timer;
    asyncio_process *process;
};

static void kill_when_over(struct timer *timer)
{
    asy_process_signal_all(LIST_ENTRY(timer, struct stop, timer)->process, SIGKILL);
}

/* The end is waited for all the same, and the request stays for the next wait. */
static bool kill_at_request(struct wait *wait)
{
    asy_process_signal_all(LIST_ENTRY(wait, struct stop, wait)->process, SIGKILL);
    return false;
}

static const struct wait_kind stop_kind = {.name = "process, to end", .cancel = kill_at_request};

/* Ends the process and waits for that; what is left of its group is killed then. 0, or a negative error. */
static int stop_process(asyncio_process *process, double grace)
{
    asyncio_loop *loop = process->loop;
    asyncio_task *task = loop->current;
    struct stop stop = {.process = process, .timer.fire = kill_when_over};
    int err = 0;
    if (!process->has_ended) {
        if (!process->record)
            return -EBADF;
        if (grace > 0) /* else this call must not fail: it cleans up */
            err = asy_timer_start(loop, &stop.timer, asy_deadline_after(asy_loop_now_ns(loop), grace));
        if (err)
            return err;
        asy_process_signal_all(process, SIGTERM);
        if (task->must_cancel || grace <= 0)
            asy_process_signal_all(process, SIGKILL);
        asy_wait_init(&stop.wait, task, &stop_kind, process);
        list_append(&process->waiters, &stop.wait.waiter.node);
        err = (int)asy_wait_park(&stop.wait);
        asy_timer_stop(loop, &stop.timer);
    }
    if (!err && process->leads_group)
        asy_process_signal_all(process, SIGKILL);
    return err;
}

int asyncio_process_stop(asyncio_process *process, double grace, int *returncode)
{
    if (!process || isnan(grace))
        return (int)asyncio_raise(-EINVAL, "%s: the %s", __func__,
                                  process ? "grace is not a number" : "process is NULL");
    asy_process_check(process, __func__);
    if (asy_running_loop != process->loop || !process->loop->current)
        return ASYNCIO_ENOTASK;
    asy_process_use(process);
    int err = stop_process(process, grace);
    if (!err && returncode)
        *returncode = process->returncode;
    asy_process_leave(process);
    return err;
}

/* What the options leave open. A terminal leaves nothing open. */
static void choose_pipes(asyncio_subprocess_options *options, bool has_input, bool wants_out, bool wants_err)
{
    if (has_input && !options->stdin_fd)
        options->stdin_fd = ASYNCIO_PIPE;
    if (wants_out && !options->stdout_fd)
        options->stdout_fd = ASYNCIO_PIPE;
    if (wants_err && !options->stderr_fd)
        options->stderr_fd = ASYNCIO_PIPE;
}

int asyncio_run_process(const char *const argv[], const asyncio_subprocess_options *options,
                        const void *input, size_t n, asyncio_buffer *out, asyncio_buffer *err,
                        int *returncode)
{
    asyncio_subprocess_options chosen = {.stdin_fd = 0};
    asyncio_process *process = NULL;
    if (options)
        chosen = *options;
    if (chosen.pty <= 0)
        choose_pipes(&chosen, n > 0, out != NULL, err != NULL);
    if (n && (!input || (chosen.stdin_fd != ASYNCIO_PIPE && chosen.pty <= 0)))
        return (int)asyncio_raise(-EINVAL, "%s: there is no %s", __func__,
                                  input ? "pipe for the input: stdin is something else" : "input");
    int status = asyncio_create_subprocess_exec(argv, &chosen, &process);
    if (status)
        return status;
    status = asyncio_process_communicate(process, input, n, out, err);
    if (!status && returncode)
        *returncode = process->returncode;
    if (status)
        stop_process(process, 0);
    asyncio_process_release(process);
    return status;
}
