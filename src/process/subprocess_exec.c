/*
 * Child processes: made. Nothing here waits, except that a call may give way before it begins. Steps that can
 * fail come before the process is started where that is possible; else the process is killed and reaped.
 */
#include "asyncio/errors.h"
#include "asyncio/fdio.h"
#include "asyncio/messages.h"
#include "asyncio/subprocess.h"
#include "base/assert.h"
#include "core/checks.h"
#include "core/loop.h"
#include "core/message.h"
#include "process/process.h"
#include "sys/net.h"
#include "sys/process.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- Its descriptors ------------------------------------------------------------------------- */

static void forget_process_stream(struct stream_holder *holder, asyncio_stream *stream)
{
    asyncio_process *process = LIST_ENTRY(holder, asyncio_process, holder);
    for (int i = 0; i < 3; i++)
        if (process->streams[i] == stream)
            process->streams[i] = NULL;
}

/* Makes stream i of our end of a pipe, or closes it. */
static int open_stream(asyncio_process *process, int i, int fd)
{
    struct fd_record *record = asy_fd_record(process->loop, fd);
    if (record)
        asy_fd_record_reset(process->loop, record, NULL);
    int err = asy_stream_make(process->loop, fd, NULL, &process->streams[i]);
    if (err) {
        asyncio_close(fd);
        return err;
    }
    ASY_ASSERT(!process->streams[i]->holder);
    process->holder.forget_stream = forget_process_stream;
    process->streams[i]->holder = &process->holder;
    return 0;
}

/* Makes a pipe between the child's descriptor i and stream i. Returns the child's end, or an error. */
static int open_pipe(asyncio_process *process, int i)
{
    int fds[2];
    int err = asy_sys_pipe(fds);
    if (err)
        return err;
    int theirs = fds[i == 0 ? 0 : 1], ours = fds[i == 0 ? 1 : 0];
    err = open_stream(process, i, ours);
    if (err)
        asyncio_close(theirs);
    return err ? err : theirs;
}

/* Decides what the child's descriptor i becomes. *opened: a descriptor to close here afterwards, or -1. */
static int plan_descriptor(asyncio_process *process, int i, int wish, int *plan, int *opened)
{
    *opened = -1;
    if (wish == 0)
        *plan = ASY_SPAWN_INHERIT;
    else if (wish == ASYNCIO_DEVNULL)
        *plan = ASY_SPAWN_NULL;
    else if (wish == ASYNCIO_STDOUT)
        *plan = ASY_SPAWN_LIKE_1;
    else if (wish > STDERR_FILENO || wish == i)
        *plan = wish;
    else if (wish == ASYNCIO_PIPE)
        *plan = *opened = open_pipe(process, i);
    else /* the child may give this number to another descriptor first */
        *plan = *opened = asy_sys_dup(wish);
    bool must_open = wish == ASYNCIO_PIPE || (wish > 0 && wish <= STDERR_FILENO && wish != i);
    return must_open && *opened < 0 ? *opened : 0;
}

/* Makes a terminal for the child's descriptors; our side is one stream, for its input and its output. */
static int plan_terminal(asyncio_process *process, int plan[3], int *opened)
{
    int sides[2];
    int err = asy_sys_terminal(sides);
    if (err)
        return err;
    *opened = plan[0] = plan[1] = plan[2] = sides[1];
    err = open_stream(process, 0, sides[0]);
    process->streams[1] = process->streams[0];
    return err;
}

static int plan_descriptors(asyncio_process *process, const asyncio_subprocess_options *options, int plan[3],
                            int opened[3], enum asy_spawn_step *failed)
{
    int err = 0;
    *failed = process->has_terminal ? ASY_SPAWN_TERMINAL : ASY_SPAWN_PROGRAM;
    if (process->has_terminal)
        return plan_terminal(process, plan, &opened[0]);
    for (int i = 0; i < 3 && !err; i++)
        err = plan_descriptor(process, i, asy_process_stdio(options, i), &plan[i], &opened[i]);
    return err;
}

/* ---- Started --------------------------------------------------------------------------------- */

static int start_child(asyncio_process *process, const struct asy_spawn *spawn, enum asy_spawn_step *failed)
{
    asyncio_loop *loop = asy_running_loop;
    int64_t begun = asy_checks_begin_excuse(loop); /* the child shares our memory until it runs its program */
    int err = asy_sys_spawn(spawn, &process->child.pid, failed);
    asy_checks_end_excuse(loop, begun);
    if (err)
        return err;
    err = asy_sys_child_open(&process->child);
    if (err == -ESRCH) { /* SIGCHLD is ignored here, or somebody waits for any child */
        asy_process_lost(process);
        return 0;
    }
    if (!err)
        err = asy_process_watch(process);
    if (!err)
        return 0;
    asy_sys_kill_and_reap(process->child.pid);
    asy_sys_child_close(&process->child, /* has_ended= */ true);
    return err;
}

static int start_with_plan(asyncio_process *process, struct asy_spawn *spawn,
                           const asyncio_subprocess_options *options, enum asy_spawn_step *failed)
{
    int opened[3] = {-1, -1, -1};
    int err = plan_descriptors(process, options, spawn->stdio, opened, failed);
    if (!err)
        err = start_child(process, spawn, failed);
    for (int i = 0; i < 3; i++)
        if (opened[i] >= 0)
            asyncio_close(opened[i]);
    return err;
}

static asyncio_process *make_process(asyncio_loop *loop, const asyncio_subprocess_options *options,
                                     const char *name)
{
    asyncio_process *process = asy_slab_alloc(sizeof *process);
    if (!process)
        return NULL;
    *process = (asyncio_process){
        .what = asy_what_process,
        .loop = loop,
        .users = 1,
        .child.fd = -1,
        .is_detached = options->detach > 0,
        .has_terminal = options->pty > 0,
        .leads_group = options->detach > 0 || options->pty > 0 || options->process_group == 1,
        .takes_input = options->pty > 0 || options->stdin_fd == ASYNCIO_PIPE,
    };
    list_init(&process->waiters);
    list_init(&process->watcher.node);
    snprintf(process->name, sizeof process->name, "%s", name);
    asy_loop_object_made(loop);
    return process;
}

static bool is_valid_stdio(const asyncio_subprocess_options *options)
{
    for (int i = 0; i < 3; i++) {
        int wish = asy_process_stdio(options, i);
        if (wish < ASYNCIO_DEVNULL || (wish == ASYNCIO_STDOUT && i != 2))
            return false;
    }
    return true;
}

static bool is_valid_inheritance(const asyncio_subprocess_options *options)
{
    if (options->inherit_count && !options->inherit)
        return false;
    for (size_t i = 0; i < options->inherit_count; i++)
        if (options->inherit[i] < 0)
            return false;
    return options->inherit_count <= INT_MAX / 2;
}

/* -1 is the number 0, and the last number stands for none. */
static bool is_valid_id(int64_t id)
{
    return id >= -1 && id < UINT32_MAX;
}

/* What is wrong with the options for a user, a umask and a terminal; or NULL. */
static const char *find_wrong_identity(const asyncio_subprocess_options *options)
{
    if (!is_valid_id(options->uid))
        return "there is no such uid";
    if (!is_valid_id(options->gid))
        return "there is no such gid";
    if (options->umask < -1 || options->umask > 0777)
        return "there is no such umask";
    if (options->pty < -1 || options->pty > 1)
        return "pty is 0 or 1";
    if (options->pty <= 0)
        return NULL;
    if (options->stdin_fd || options->stdout_fd || options->stderr_fd)
        return "with pty stdin, stdout and stderr are its terminal, and nothing else";
    if (options->process_group > 1)
        return "with pty it is in a session of its own, and cannot join a process_group";
    return NULL;
}

/* 0, or -EINVAL with what is wrong. */
static int check_request(const char *name, const asyncio_subprocess_options *options)
{
    const char *wrong = find_wrong_identity(options);
    if (!is_valid_stdio(options))
        wrong = "there is no such stdin, stdout or stderr";
    else if (!is_valid_inheritance(options))
        wrong = "inherit has what is no descriptor";
    else if (options->process_group < -1)
        wrong = "there is no such process_group";
    else if (options->process_group > 1 && options->detach > 0)
        wrong = "with detach it is in a session of its own, and cannot join a process_group";
    return wrong ? (int)asyncio_raise(-EINVAL, "run %s: %s", name, wrong) : 0;
}

/* Starts the program, which the process owns then, or leaves nothing behind. `name` is for people. */
static int start_program(const char *const argv[], const char *name,
                         const asyncio_subprocess_options *options, asyncio_process **out)
{
    asyncio_process *process = make_process(asy_running_loop, options, name);
    if (!process)
        return asy_process_refused(-ENOMEM, argv[0], options, ASY_SPAWN_PROGRAM);
    struct asy_spawn spawn = {
        .argv = argv,
        .env = options->env,
        .cwd = options->cwd,
        .keep = options->inherit,
        .keep_count = options->inherit_count,
        .needs_session = process->is_detached || process->has_terminal,
        .needs_group = options->process_group == 1,
        .group = options->process_group > 1 ? options->process_group : 0,
        .uid = asy_process_number(options->uid),
        .gid = asy_process_number(options->gid),
        .umask = (int)asy_process_number(options->umask),
        .takes_terminal = process->has_terminal,
    };
    enum asy_spawn_step failed;
    int err = start_with_plan(process, &spawn, options, &failed);
    if (err) {
        for (int i = 0; i < 3; i++)
            asyncio_stream_abort(process->streams[i]);
        asy_process_leave(process);
        return asy_process_refused(err, argv[0], options, failed);
    }
    *out = process;
    return 0;
}

static int create_process(const char *const argv[], const char *name,
                          const asyncio_subprocess_options *options, asyncio_process **out)
{
    static const asyncio_subprocess_options defaults;
    asyncio_loop *loop = asy_running_loop;
    options = options ? options : &defaults;
    if (!loop || !loop->current)
        return ASYNCIO_ENOTASK;
    if (!argv || !argv[0] || !out)
        return -EINVAL;
    if (!argv[0][0]) /* Python finds the folders of PATH themselves, and tries to run them */
        return (int)asyncio_raise(-EACCES, "run '': permission denied (an empty name)");
    int err = check_request(argv[0], options);
    if (!err)
        err = asy_budget_spend(loop);
    if (err)
        return err;
    if (loop->backend->ops->is_virtual)
        return (int)asyncio_raise(-ENOSYS, "run %s: not under a virtual clock", argv[0]);
    return start_program(argv, name, options, out);
}

int asyncio_create_subprocess_exec(const char *const argv[], const asyncio_subprocess_options *options,
                                   asyncio_process **process)
{
    return create_process(argv, argv && argv[0] ? argv[0] : "", options, process);
}

int asyncio_create_subprocess_shell(const char *command, const asyncio_subprocess_options *options,
                                    asyncio_process **process)
{
    const char *const argv[] = {"/bin/sh", "-c", command, NULL};
    return command ? create_process(argv, command, options, process) : -EINVAL;
}
