/*
 * Child processes: programs that are started, talked to and waited for.
 *
 *     asyncio_process *process;
 *     asyncio_buffer out;
 *     const char *const argv[] = {"git", "rev-parse", "HEAD", NULL};
 *     int err = asyncio_create_subprocess_exec(argv,
 *         &(asyncio_subprocess_options){.stdout_fd = ASYNCIO_PIPE}, &process);
 *     if (err)
 *         return err;
 *     err = asyncio_process_communicate(process, NULL, 0, &out, NULL);
 *     if (!err) {
 *         fputs(out.data, stdout);
 *         asyncio_buffer_destroy(&out);
 *     }
 *     asyncio_process_release(process);
 *
 * A process belongs to the loop's thread and has one owner, who releases it. The library holds it by a
 * descriptor of its own (pidfd), so that a signal never meets a stranger who has got the same number. It
 * needs no handler for SIGCHLD, and disturbs none. A process may end before its output does: a grandchild
 * may hold the pipe open.
 *
 * The child gets descriptors 0, 1 and 2, and those that `inherit` names. In the child no signal is blocked
 * or handled. Of the ignored signals only SIGHUP, SIGINT and SIGQUIT stay ignored, as nohup needs it. None
 * of these calls works under a virtual clock: -ENOSYS.
 *
 * With `pty` 1 the child is at a new terminal, leads its session and has it as the controlling terminal. The
 * other side of it is one stream for both directions: asyncio_process_stdin and _stdout return it, _stderr
 * returns NULL. The child's stderr comes there, too, and so does the echo of what is written. The stream's
 * descriptor takes tcsetattr(3), and TIOCSWINSZ for the size of the window, which is 0 by 0 at first: each
 * change sends SIGWINCH. A "\3" that is written is ^C, and "\4" is ^D. When nobody has the terminal open any
 * more, its output ends. When the stream is closed, the session gets SIGHUP.
 *
 * With a `uid`, `gid`, `umask` or `pty` the child begins as a copy of this process, which costs more in a
 * process with much memory. A child with a uid or gid has no supplementary groups, and its terminal is its
 * user's.
 */
#ifndef ASYNCIO_SUBPROCESS_H
#define ASYNCIO_SUBPROCESS_H

#include <asyncio/streams.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef struct asyncio_process asyncio_process;

/* Values for a process's stdin, stdout and stderr. 0 inherits this process's, even if it is close-on-exec
 * here. A number above 0 is a descriptor, which is copied and stays the caller's. Both processes see the
 * same open file and its flags: a file that this library has made non-blocking is non-blocking there, too. */
#define ASYNCIO_PIPE (-1)    /* a pipe, whose other end is a stream of this process */
#define ASYNCIO_STDOUT (-2)  /* stderr only: where stdout goes */
#define ASYNCIO_DEVNULL (-3) /* /dev/null */

/* Options of a child process: all zero means the defaults: everything inherited. */
typedef struct asyncio_subprocess_options {
    int stdin_fd, stdout_fd, stderr_fd;
    const char *cwd;        /* the folder that it starts in; a relative program is looked for from there */
    const char *const *env; /* "NAME=value", NULL at the end; NULL: this process's */
    int process_group;      /* 1: one of its own; above 1: joins that one; 0, -1: this process's */
    int detach;             /* 1: in a session of its own, with no group to join; _release lets it run */
    const int *inherit;     /* descriptors that stay open in it, under their numbers */
    size_t inherit_count;
    int64_t uid, gid; /* the user and group that it runs as: a number; -1: the number 0; 0: as here */
    int umask;        /* its file mode mask, up to 0777; -1: the mask 0; 0: as here */
    int pty;          /* 1: its stdin, stdout and stderr are a new terminal */
    uintptr_t reserved[4];
} asyncio_subprocess_options;

/*
 * Starts a program as a child process: argv[0], with these arguments, NULL at the end. The program is
 * looked for in this process's PATH, unless it has a slash. `options` may be NULL. May suspend, before
 * anything is made. A cancel or another error leaves nothing behind, and *process untouched.
 *
 * 0; the error that kept the program from running (-ENOENT, -EACCES also for an empty name, -ENOEXEC,
 * -E2BIG ...), with a message that names the program, the interpreter of a script, the folder or the
 * descriptor; -EINVAL with a message for impossible options; -EPERM for a group that the child cannot join,
 * and with a message for a uid or gid that this process may not give it; with `pty` also -ENOSPC (the system
 * has no more terminals) and -ENOENT (it has no /dev/ptmx), with messages;
 * -EMFILE, -EAGAIN, -ENOMEM, -EBADF, -ECANCELED, -ENOSYS, ASYNCIO_ENOTASK. (create_subprocess_exec)
 */
ASYNCIO_API int asyncio_create_subprocess_exec(const char *const argv[],
                                               const asyncio_subprocess_options *options,
                                               asyncio_process **process);
/* Starts a command in /bin/sh as a child process, on the same terms; the process is the shell.
 * (create_subprocess_shell) */
ASYNCIO_API int asyncio_create_subprocess_shell(const char *command,
                                                const asyncio_subprocess_options *options,
                                                asyncio_process **process);

/*
 * Waits until the process has ended, whatever its pipes do. Any number of tasks may wait. Suspends.
 * *returncode is the exit status, or minus the signal that ended the process; `returncode` may be NULL. If
 * another part of this program has reaped it, *returncode is 255, and the exception handler is told. A
 * cancel ends the wait, not the process. 0; -ECANCELED, -EBADF (released meanwhile), ASYNCIO_ENOTASK,
 * -EINVAL. (wait)
 */
ASYNCIO_API int asyncio_process_wait(asyncio_process *process, int *returncode);
/* Tells whether a process has ended, and how: false while it runs, then true and *returncode as above. Does
 * not wait. (returncode) */
ASYNCIO_API bool asyncio_process_returncode(asyncio_process *process, int *returncode);

/*
 * Talks to a process until it has ended: writes n bytes to its stdin and closes that, and meanwhile reads
 * its stdout and stderr to their ends. Suspends. `out` and `err` may be NULL: the output is dropped. Where
 * there is no pipe they become empty. A process that does not read its input is no error. All output is kept
 * in memory, 100 MB as well as 100 bytes: to bound it, read the streams yourself.
 *
 * A terminal (`pty`) is not closed after the input: the end is typed there, as ^D. A line of the input has at
 * most 4095 bytes then. All output is in `out`.
 *
 * A cancel or an error leaves `out` and `err` untouched. The bytes that were read are kept for the next
 * call, which goes on with the same input where this one stopped. 0; ASYNCIO_ESTATE while another such call
 * runs; -EINVAL if there is input and stdin is no pipe; -ECANCELED, -ENOMEM, ASYNCIO_ENOTASK, or the error
 * of reading a pipe. (communicate)
 */
ASYNCIO_API int asyncio_process_communicate(asyncio_process *process, const void *input, size_t n,
                                            asyncio_buffer *out, asyncio_buffer *err);

/* Send a signal to a process: this one, SIGTERM, SIGKILL. Do nothing if it has ended. The programs that it
 * has started get no signal: for that, give it a `process_group`. Do not wait. 0; -EPERM, -EINVAL.
 * (send_signal, terminate, kill) */
ASYNCIO_API int asyncio_process_send_signal(asyncio_process *process, int signo);
ASYNCIO_API int asyncio_process_terminate(asyncio_process *process);
ASYNCIO_API int asyncio_process_kill(asyncio_process *process);

/* Sends a signal to all processes of the group that a process leads (`process_group` 1, `detach` or `pty`),
 * also when it has ended itself: until it is released it stays a zombie, so that no other group gets its
 * number. Does not wait. 0; -EPERM, -EINVAL; ASYNCIO_ESTATE if it leads none. (os.killpg) */
ASYNCIO_API int asyncio_process_send_signal_group(asyncio_process *process, int signo);

/*
 * Stops a process: sends SIGTERM, and SIGKILL if it has not ended `grace` seconds later, to the whole group
 * if it leads one; waits for its end. The grace is the leader's: as soon as it has ended, what is left of the
 * group is killed, early or late, as docker stop and systemd's KillMode=mixed do. So a shell that dies of
 * SIGTERM takes the time from its children: let it `exec` the program, or wait for them in a trap. Suspends,
 * unless it has ended. A grace of 0 or less kills at once; ASYNCIO_FOREVER does so never. *returncode as in
 * asyncio_process_wait; it may be NULL.
 *
 * A request to cancel sends SIGKILL at once; the end is waited for, the call returns 0, and the next wait
 * delivers the request. 0; -EINVAL for NULL and NaN; -EBADF (released meanwhile); -ENOMEM; ASYNCIO_ENOTASK.
 */
ASYNCIO_API int asyncio_process_stop(asyncio_process *process, double grace, int *returncode);

/*
 * Runs a program to its end, as asyncio_create_subprocess_exec, asyncio_process_communicate and _release in
 * one. Suspends. Where the options leave them at 0, stdin is a pipe if there is input, and stdout and stderr
 * are if `out` and `err` are not NULL; with `pty` all are its terminal. All output is kept in memory. All
 * three results may be NULL. A program that fails is no error: see *returncode.
 *
 * On a cancel or an error the process, with its group if it leads one, is killed and reaped before the call
 * returns; so a timeout around it leaves nothing behind. Errors are those of the calls named.
 * (subprocess.run)
 */
ASYNCIO_API int asyncio_run_process(const char *const argv[], const asyncio_subprocess_options *options,
                                    const void *input, size_t n, asyncio_buffer *out, asyncio_buffer *err,
                                    int *returncode);

/* Returns the number of a process, for people to read: another process may have it as soon as this one has
 * ended. Does not wait. (pid) */
ASYNCIO_API pid_t asyncio_process_pid(asyncio_process *process);
/* Return the streams at this end of a process's pipes, borrowed; NULL where there is none, or it was
 * closed. With `pty` the first two are the same. Close a pipe at stdin to tell the process that there is no
 * more input. Do not wait. (stdin, stdout, stderr) */
ASYNCIO_API asyncio_stream *asyncio_process_stdin(asyncio_process *process);
ASYNCIO_API asyncio_stream *asyncio_process_stdout(asyncio_process *process);
ASYNCIO_API asyncio_stream *asyncio_process_stderr(asyncio_process *process);

/*
 * Gives a process up: closes its streams, drops what is queued for it, and kills it if it still runs,
 * unless `detach` is set; a terminal that is closed sends SIGHUP to its session all the same. The loop reaps
 * it when it has ended. Calls that are waiting return -EBADF. Does not wait. Accepts NULL. (a process that
 * goes out of scope)
 *
 * A loop that closes ends the processes that were released before, which may take a moment. A process that
 * nobody has released by then runs on, unwatched, and keeps its descriptors; a later release kills and
 * reaps it at once. A detached process that outlives the loop is reaped by nobody: when it ends, it stays a
 * zombie until this program has ended.
 */
ASYNCIO_API void asyncio_process_release(asyncio_process *process);

ASYNCIO_END_DECLS

#endif
