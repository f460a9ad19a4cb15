/*
 * Child processes: watched, waited for, signalled, released. They are made in subprocess_exec.c. See
 * asyncio/subprocess.h.
 */
#include "asyncio/subprocess.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "process/process.h"
#include "sys/process.h"
#include "sys/sys.h"
#include <errno.h>
#include <signal.h>

/* The return code when somebody else has reaped the process, as in Python. */
#define RETURNCODE_LOST 255
/* How long a closing loop waits for the end of a process that was killed. */
#define KILLED_MS 1000

const char asy_what_process[] = "process";

/* ---- The end --------------------------------------------------------------------------------- */

void asy_process_leave(asyncio_process *process)
{
    ASY_ASSERT(process->users > 0);
    if (--process->users)
        return;
    ASY_ASSERT(!process->record && list_is_empty(&process->waiters));
    asy_bytes_free(&process->output[0]);
    asy_bytes_free(&process->output[1]);
    asyncio_loop *loop = process->loop;
    asy_object_free(loop, process, sizeof *process);
    asy_loop_object_freed(loop);
}

static void wake_exit_waiters(asyncio_process *process, int err)
{
    struct list *node;
    while ((node = list_take_first(&process->waiters))) {
        struct waiter *waiter = LIST_ENTRY(node, struct waiter, node);
        asy_wait_wake(LIST_ENTRY(waiter, struct wait, waiter), err);
    }
}

/* The loop watches it no longer. */
static void drop_watch(asyncio_process *process)
{
    if (process->record) {
        list_remove(&process->watcher.node);
        asy_fd_drop(process->loop, process->record);
    }
    process->record = NULL;
}

static void close_child(asyncio_process *process)
{
    drop_watch(process);
    asy_sys_child_close(&process->child, process->has_ended);
}

static void finish_process(asyncio_process *process, int returncode)
{
    ASY_ASSERT(!process->has_ended);
    process->has_ended = true;
    process->returncode = returncode;
    if (process->must_reap)
        drop_watch(process);
    else
        close_child(process);
    wake_exit_waiters(process, 0);
}

/* Then the kernel reaps children itself. A program may have inherited it from the one that started it. */
static bool are_children_ignored(void)
{
    struct sigaction action;
    return asy_sys_sigaction(SIGCHLD, NULL, &action) == 0 &&
           (action.sa_handler == SIG_IGN || action.sa_flags & SA_NOCLDWAIT);
}

void asy_process_lost(asyncio_process *process)
{
    finish_process(process, RETURNCODE_LOST);
    if (!asy_process_is_released(process))
        asy_report_site(
            process->loop, NULL, 0, "%s reaped process %d (%s): its exit status is lost, %d is reported",
            are_children_ignored() ? "SIGCHLD is ignored, so the kernel has" : "somebody else has",
            (int)process->child.pid, process->name, RETURNCODE_LOST);
}

/* True if it has ended; it is reaped then. The leader of a group stays until its owner releases it: once it
 * is reaped, the number of its group may be another's. */
static bool reap_child(asyncio_process *process)
{
    int returncode = 0;
    if (process->has_ended)
        return true;
    bool stays = process->leads_group && !asy_process_is_released(process);
    int got = asy_sys_child_ended(&process->child, stays ? ASY_CHILD_STAYS : ASY_CHILD_REAPED, &returncode);
    process->must_reap = stays && got > 0;
    if (got > 0)
        finish_process(process, returncode);
    else if (got < 0)
        asy_process_lost(process);
    return got != 0;
}

/* Its owner needs its group no longer. Somebody else may have reaped it: that changes nothing. */
static void reap_leader(asyncio_process *process)
{
    int returncode;
    if (!process->must_reap)
        return;
    asy_sys_child_ended(&process->child, ASY_CHILD_REAPED, &returncode);
    process->must_reap = false;
    close_child(process);
}

/* ---- Watched --------------------------------------------------------------------------------- */

/* The loop cannot learn of its end any more. It was killed before, unless it is detached. */
static void end_unwatched(asyncio_process *process)
{
    if (!process->is_detached)
        asy_sys_child_wait(&process->child, KILLED_MS);
    if (!reap_child(process))
        close_child(process);
}

/* The loop closes, or the program has closed our descriptor. */
static void lose_watch(asyncio_process *process)
{
    ASY_ASSERT(!process->has_ended);
    process->record = NULL;
    wake_exit_waiters(process, -EBADF);
    if (asy_process_is_released(process))
        end_unwatched(process);
}

static void handle_exit_event(struct fd_waiter *watcher, int err)
{
    asyncio_process *process = LIST_ENTRY(watcher, asyncio_process, watcher);
    ASY_ASSERT(process->record && !process->has_ended);
    bool has_ended = !err && reap_child(process);
    if (!err && !has_ended)
        err = asy_fd_watch(process->loop, process->record, watcher);
    if (err)
        lose_watch(process);
    if (err || has_ended)
        asy_process_leave(process);
}

int asy_process_watch(asyncio_process *process)
{
    ASY_ASSERT(!process->record && !process->has_ended);
    struct fd_record *record = asy_fd_record(process->loop, process->child.fd);
    if (!record)
        return asy_fd_record_error(process->child.fd);
    asy_fd_record_reset(process->loop, record, NULL);
    process->watcher.events = FD_READ;
    process->watcher.notify = handle_exit_event;
    int err = asy_fd_watch(process->loop, record, &process->watcher);
    if (err)
        return err;
    process->record = record;
    asy_process_use(process);
    return 0;
}

/* ---- Waited for ------------------------------------------------------------------------------ */

static const struct wait_kind process_kind = {
    .name = "process",
    .shape = {.kind = SHAPE_PROCESS,
              .at = {offsetof(asyncio_process, child.pid), offsetof(asyncio_process, name)}},
};

int asy_process_wait(asyncio_process *process)
{
    int err = asy_budget_spend(process->loop);
    if (err)
        return err;
    if (asy_process_is_released(process)) /* by another task, while this one communicates */
        return -EBADF;
    if (process->has_ended)
        return 0;
    if (!process->record)
        return -EBADF;
    return (int)asy_wait_in(&process->waiters, &process_kind, process);
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
    if (process->child.fd < 0 || process->has_ended || asy_loop_is_parents(process->loop))
        return 0;
    int err = asy_sys_child_signal(&process->child, signo);
    return err == -ESRCH ? 0 : err;
}

int asy_process_signal_all(asyncio_process *process, int signo)
{
    if (process->child.fd < 0 || asy_loop_is_parents(process->loop))
        return 0;
    int err = process->leads_group ? asy_sys_child_signal_group(&process->child, signo)
                                   : asy_sys_child_signal(&process->child, signo);
    return err == -ESRCH ? 0 : err;
}

int asyncio_process_send_signal_group(asyncio_process *process, int signo)
{
    if (!process || signo < 0)
        return (int)asyncio_raise(-EINVAL, "%s: the %s", __func__,
                                  process ? "signal is below 0" : "process is NULL");
    asy_process_check(process, __func__);
    if (!process->leads_group)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the process leads no group of its own", __func__);
    return asy_process_signal_all(process, signo);
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

static asyncio_stream *get_stream(asyncio_process *process, int i, const char *call)
{
    if (!process)
        return NULL;
    asy_process_check(process, call);
    return process->streams[i];
}

asyncio_stream *asyncio_process_stdin(asyncio_process *process)
{
    return get_stream(process, 0, __func__);
}

asyncio_stream *asyncio_process_stdout(asyncio_process *process)
{
    return get_stream(process, 1, __func__);
}

asyncio_stream *asyncio_process_stderr(asyncio_process *process)
{
    return get_stream(process, 2, __func__);
}

/* ---- Released -------------------------------------------------------------------------------- */

void asyncio_process_release(asyncio_process *process)
{
    if (!process)
        return;
    asy_process_check(process, __func__);
    if (asy_loop_is_parents(process->loop))
        return; /* the process is the parent's, too */
    process->what = NULL;
    for (int i = 0; i < 3; i++)
        asyncio_stream_abort(process->streams[i]);
    wake_exit_waiters(process, -EBADF);
    reap_leader(process);
    if (!process->has_ended && !process->is_detached)
        asy_sys_child_signal(&process->child, SIGKILL);
    if (!process->record && !process->has_ended)
        end_unwatched(process);
    asy_process_leave(process); /* the loop still has it if it watches it */
}
