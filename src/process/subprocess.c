/*
 * Child processes: watched, waited for, signalled, released. They are made in
 * subprocess_exec.c. See asyncio/subprocess.h.
 */
#include "asyncio/subprocess.h"
#include "asyncio/errors.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "process/process.h"
#include "sys/process.h"
#include "sys/sys.h"
#include <errno.h>
#include <signal.h>

/* What asyncio returns, too, when somebody else has reaped the process. */
#define RETURNCODE_LOST 255
/* How long a loop that closes waits for the end of a process that was killed. */
#define KILLED_MS 1000

const char asy_what_process[] = "process";

/* ---- The end --------------------------------------------------------------------------------- */

void asy_process_leave(asyncio_process *process)
{
    if (--process->users)
        return;
    asy_bytes_free(&process->output[0]);
    asy_bytes_free(&process->output[1]);
    asyncio_loop *loop = process->loop;
    asy_object_free(loop, process, sizeof *process);
    asy_loop_object_freed(loop);
}

static void wake_waiters(asyncio_process *process, int err)
{
    struct list *node;
    while ((node = list_take_first(&process->waiters))) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        asy_wait_wake(LIST_ENTRY(waiter, struct wait, waiter), err);
    }
}

/* It is not watched any more, and its descriptor is closed. */
static void let_go(asyncio_process *process)
{
    if (process->record) {
        list_remove(&process->watcher.node);
        asy_fd_drop(process->loop, process->record);
    }
    process->record = NULL;
    asy_sys_child_close(&process->child, process->has_ended);
}

static void finish(asyncio_process *process, int returncode)
{
    process->has_ended = true;
    process->returncode = returncode;
    let_go(process);
    wake_waiters(process, 0);
}

void asy_process_lost(asyncio_process *process)
{
    finish(process, RETURNCODE_LOST);
    if (!asy_process_is_released(process))
        asy_report_site(process->loop, NULL, 0,
                        "somebody else has reaped process %d (%s): its exit status is lost, %d is reported",
                        (int)process->child.pid, process->name, RETURNCODE_LOST);
}

/* Whether it has ended: then it is reaped. */
static bool reap(asyncio_process *process)
{
    int returncode = 0;
    if (process->has_ended)
        return true;
    int got = asy_sys_child_reap(&process->child, &returncode);
    if (got > 0)
        finish(process, returncode);
    else if (got < 0)
        asy_process_lost(process);
    return got != 0;
}

/* ---- Watched --------------------------------------------------------------------------------- */

/* Nobody will tell any more when it ends. It was killed, if it is to be. */
static void end_unwatched(asyncio_process *process)
{
    if (!process->is_detached)
        asy_sys_child_wait(&process->child, KILLED_MS);
    if (!reap(process))
        let_go(process);
}

/* The loop closes, or somebody has closed our descriptor. */
static void unwatched(asyncio_process *process)
{
    process->record = NULL;
    wake_waiters(process, -EBADF);
    if (asy_process_is_released(process))
        end_unwatched(process);
}

static void on_event(struct fd_waiter *watcher, int err)
{
    asyncio_process *process = LIST_ENTRY(watcher, asyncio_process, watcher);
    if (!err && !reap(process))
        err = asy_fd_watch(process->loop, process->record, watcher);
    else if (!err)
        return asy_process_leave(process);
    if (err) {
        unwatched(process);
        asy_process_leave(process);
    }
}

int asy_process_watch(asyncio_process *process)
{
    struct fd_record *record = asy_fd_record(process->loop, process->child.fd);
    if (!record)
        return asy_fd_record_error(process->child.fd);
    asy_fd_record_reset(process->loop, record, NULL);
    process->watcher.events = FD_READ;
    process->watcher.notify = on_event;
    int err = asy_fd_watch(process->loop, record, &process->watcher);
    if (err)
        return err;
    process->record = record;
    asy_process_use(process);
    return 0;
}

/* ---- Waited for ------------------------------------------------------------------------------ */

static const struct wait_kind exit_kind = {.name = "process"};

int asy_process_wait(asyncio_process *process)
{
    int err = asy_budget_spend(process->loop);
    if (err)
        return err;
    if (asy_process_is_released(process))
        return -EBADF;
    if (process->has_ended)
        return 0;
    if (!process->record)
        return -EBADF;
    return (int)asy_wait_in(&process->waiters, &exit_kind, process);
}

int asyncio_process_wait(asyncio_process *process, int *returncode)
{
    if (!process)
        return -EINVAL;
    asy_process_check(process, __func__);
    if (asy_running_loop != process->loop || !process->loop->current)
        return ASYNCIO_ENOTASK;
    asy_process_use(process);
    int err = asy_process_wait(process);
    if (!err && returncode)
        *returncode = process->returncode;
    asy_process_leave(process);
    return err;
}

bool asyncio_process_returncode(asyncio_process *process, int *returncode)
{
    if (!process)
        return false;
    asy_process_check(process, __func__);
    if (process->has_ended && returncode)
        *returncode = process->returncode;
    return process->has_ended;
}

/* ---- Signalled ------------------------------------------------------------------------------- */

int asyncio_process_send_signal(asyncio_process *process, int signo)
{
    if (!process || signo < 0)
        return -EINVAL;
    asy_process_check(process, __func__);
    if (process->child.fd < 0 || asy_loop_is_parents(process->loop))
        return 0;
    int err = asy_sys_child_signal(&process->child, signo);
    return err == -ESRCH ? 0 : err;
}

int asyncio_process_terminate(asyncio_process *process)
{
    return asyncio_process_send_signal(process, SIGTERM);
}

int asyncio_process_kill(asyncio_process *process)
{
    return asyncio_process_send_signal(process, SIGKILL);
}

/* ---- Looked at ------------------------------------------------------------------------------- */

pid_t asyncio_process_pid(asyncio_process *process)
{
    if (!process)
        return -EINVAL;
    asy_process_check(process, __func__);
    return process->child.pid;
}

static asyncio_stream *stream_of(asyncio_process *process, int i, const char *call)
{
    if (!process)
        return NULL;
    asy_process_check(process, call);
    return process->streams[i];
}

asyncio_stream *asyncio_process_stdin(asyncio_process *process)
{
    return stream_of(process, 0, __func__);
}

asyncio_stream *asyncio_process_stdout(asyncio_process *process)
{
    return stream_of(process, 1, __func__);
}

asyncio_stream *asyncio_process_stderr(asyncio_process *process)
{
    return stream_of(process, 2, __func__);
}

/* ---- Released -------------------------------------------------------------------------------- */

void asyncio_process_release(asyncio_process *process)
{
    if (!process)
        return;
    asy_process_check(process, __func__);
    if (asy_loop_is_parents(process->loop))
        return; /* and so is the process */
    process->what = NULL;
    for (int i = 0; i < 3; i++)
        asyncio_stream_abort(process->streams[i]);
    wake_waiters(process, -EBADF);
    if (!process->has_ended && !process->is_detached)
        asy_sys_child_signal(&process->child, SIGKILL);
    if (!process->record && !process->has_ended)
        end_unwatched(process);
    asy_process_leave(process); /* the loop's turn, if it still watches it */
}
