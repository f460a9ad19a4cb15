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
 * A process belongs to the loop's thread and has one owner, who releases it. It is known to
 * the kernel by a descriptor of its own, so a signal never meets a stranger that has the same number by
 * now; no handler for SIGCHLD is needed, or disturbed. The end of a process and the end of its output are
 * two things: a grandchild may hold the pipe open.
 *
 * The child gets 0, 1 and 2 and nothing else unless `inherit` names it. In it no signal is blocked or
 * handled; ignored ones are not ignored any more, but for SIGHUP, SIGINT and SIGQUIT (nohup). None of these
 * calls works under a virtual clock: -ENOSYS.
 */
#ifndef ASYNCIO_SUBPROCESS_H
#define ASYNCIO_SUBPROCESS_H

#include <asyncio/streams.h>
#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

typedef struct asyncio_process asyncio_process;

/* What a process's stdin, stdout or stderr may be, beside 0 (inherited, also where it closes on exec
 * here) and a descriptor above 0, which is copied and stays the caller's. Both see the same open file
 * and its flags: one that this library has made non-blocking, in a read or write of yours, is so there. */
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
    uintptr_t reserved[4];
} asyncio_subprocess_options;

/*
 * Starts a program as a child process: argv[0], looked for in this process's PATH unless
 * it has a slash, with these arguments, NULL at the end. `options` may be NULL. May suspend, before anything
 * is made. On a cancel, or any other error, nothing is left, and *process is untouched. 0; what kept the
 * program from running (-ENOENT, -EACCES also for an empty name, -ENOEXEC, -E2BIG ...), with a message that
 * names the program, the interpreter of a script, its folder or the descriptor; -EINVAL for options that
 * cannot be, in words; -EPERM for a group that it cannot join; -EMFILE, -EAGAIN, -ENOMEM, -EBADF,
 * -ECANCELED, -ENOSYS, ASYNCIO_ENOTASK. (create_subprocess_exec)
 */
ASYNCIO_API int asyncio_create_subprocess_exec(const char *const argv[],
                                               const asyncio_subprocess_options *options,
                                               asyncio_process **process);
/* Starts a command by /bin/sh as a child process, on the same terms; the process is the shell.
 * (create_subprocess_shell) */
ASYNCIO_API int asyncio_create_subprocess_shell(const char *command,
                                                const asyncio_subprocess_options *options,
                                                asyncio_process **process);

/*
 * Waits until the process has ended, and does not wait for its pipes. Any number of tasks may.
 * Suspends. *returncode, which may be NULL, is the exit status, or minus the signal that ended it;
 * 255, with a report to the exception handler, if somebody else in this program has reaped it. A
 * cancel ends the wait, not the process. 0; -ECANCELED, -EBADF (released meanwhile),
 * ASYNCIO_ENOTASK, -EINVAL. (wait)
 */
ASYNCIO_API int asyncio_process_wait(asyncio_process *process, int *returncode);
/* Tells how a process ended. False while it runs; then true, and *returncode (may be NULL) as above. Does
 * not wait. (returncode) */
ASYNCIO_API bool asyncio_process_returncode(asyncio_process *process, int *returncode);

/* Bytes in memory of their own. */
typedef struct asyncio_buffer {
    char *data; /* a NUL follows the last one */
    size_t length;
} asyncio_buffer;
/* Frees the memory, and leaves an empty one. Accepts NULL. Any thread; does not wait. */
ASYNCIO_API void asyncio_buffer_destroy(asyncio_buffer *buffer);

/*
 * Writes n bytes to the process's stdin and closes it, reads its stdout and stderr to their ends,
 * all at once, and waits until it has ended. Suspends. `out` and `err` may be NULL: what comes is
 * dropped; where there is no pipe they become empty. -EINVAL if there is input and stdin is no
 * pipe. That the process does not read its input is no error. On a cancel or an error they are
 * untouched, and what was read is kept for the next call, which goes on with the same input where
 * this one stopped. One call at a time: ASYNCIO_ESTATE. 0; -ECANCELED, -ENOMEM, -EINVAL,
 * ASYNCIO_ENOTASK, or what a pipe's read gave. (communicate)
 */
ASYNCIO_API int asyncio_process_communicate(asyncio_process *process, const void *input, size_t n,
                                            asyncio_buffer *out, asyncio_buffer *err);

/* Sends a signal to a process; SIGTERM; SIGKILL. Nothing happens to one that has ended, and
 * nothing to what it has started: for that give it a `process_group`. Do not wait. 0; -EPERM, -EINVAL.
 * (send_signal, terminate, kill) */
ASYNCIO_API int asyncio_process_send_signal(asyncio_process *process, int signo);
ASYNCIO_API int asyncio_process_terminate(asyncio_process *process);
ASYNCIO_API int asyncio_process_kill(asyncio_process *process);

/* Tells the number of a process, for people: it may be another's as soon as this one has ended. Does not
 * wait. (pid) */
ASYNCIO_API pid_t asyncio_process_pid(asyncio_process *process);
/* Tell the streams at the other ends of its pipes, borrowed; NULL where there is none, or it was closed.
 * Closing stdin early is how to tell the process that there is no more input. Do not wait. (stdin, stdout,
 * stderr) */
ASYNCIO_API asyncio_stream *asyncio_process_stdin(asyncio_process *process);
ASYNCIO_API asyncio_stream *asyncio_process_stdout(asyncio_process *process);
ASYNCIO_API asyncio_stream *asyncio_process_stderr(asyncio_process *process);

/*
 * Gives the process up: closes its streams, dropping what is queued, and kills it if it still runs,
 * unless `detach` is set. The loop reaps it when it has ended; whoever waits gets -EBADF. Does not
 * wait. Accepts NULL. A loop that closes first ends what was released, which may take a moment. One
 * that nobody has released by then runs on, unwatched, and keeps its descriptors; a release kills and
 * reaps it there and then. A detached one that outlives the loop is nobody's to reap: when it ends, it
 * stays a zombie until this program has ended. (a process that goes out of scope)
 */
ASYNCIO_API void asyncio_process_release(asyncio_process *process);

ASYNCIO_END_DECLS

#endif
