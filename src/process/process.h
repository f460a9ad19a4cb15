/*
 * A child process from within.
 *
 * Its users are its owner, until it is released; the loop, which watches its descriptor until the child was
 * reaped; and each call in progress. The last user frees it. If the child still runs when the owner releases
 * it, it stays with the loop until it can be reaped.
 */
#ifndef ASY_PROCESS_PROCESS_H
#define ASY_PROCESS_PROCESS_H

#include "asyncio/subprocess.h"
#include "core/quarantine.h"
#include "fd/fd_wait.h"
#include "fd/stream.h"
#include "sys/process.h"

struct asyncio_process {
    const char *what;   /* asy_what_process; NULL: the owner has released it */
    asyncio_loop *loop; /* its struct stays for as long as this one, closed or not */
    uint32_t users;
    struct asy_child child;
    struct fd_record *record; /* of child.fd; NULL: the loop does not watch it, or not any more */
    struct fd_waiter watcher; /* in that record: the process has ended */
    struct list waiters;      /* tasks */

    bool is_detached;
    bool has_terminal; /* its input and its output are one stream */
    bool leads_group;  /* it is the first of a group or session of its own */
    bool has_ended;
    bool must_reap; /* it has ended, and keeps its group's number until it is released */
    int returncode; /* once it has ended */

    struct stream_holder holder; /* of the streams */
    asyncio_stream *streams[3];  /* NULL: no pipe, or closed */
    bool takes_input;            /* stdin is, or was, a pipe or a terminal */
    bool has_typed_end;          /* the end of the input, at its terminal */
    bool is_communicating;
    size_t fed;             /* bytes of the input that the stream has accepted */
    struct bytes output[2]; /* what was read of stdout and stderr */
    char name[48];          /* for people */
};

extern HIDDEN const char asy_what_process[];
/* First in each public call. */
static inline void asy_process_check(const asyncio_process *process, const char *call)
{
    asy_object_check(process->what, asy_what_process, process->loop, call);
}
static inline bool asy_process_is_released(const asyncio_process *process)
{
    return !process->what;
}

static inline void asy_process_use(asyncio_process *process)
{
    process->users++;
}
void asy_process_leave(asyncio_process *process);
/* Waits until it has ended. -EBADF: the loop does not watch it, or its owner has released it. */
int asy_process_wait(asyncio_process *process);
/* Signals the group that it leads, even after its own end, or else the process alone. 0 or a negative
 * errno. */
int asy_process_signal_all(asyncio_process *process, int signo);
/* Has the loop watch the child. 0 or a negative errno. */
int asy_process_watch(asyncio_process *process);
/* The child has ended, and its exit status is lost. */
void asy_process_lost(asyncio_process *process);

/* What a uid, gid or umask in the options means: a number, or -1: as here. */
static inline int64_t asy_process_number(int64_t option)
{
    return option == 0 ? -1 : option == -1 ? 0 : option;
}
static inline int asy_process_stdio(const asyncio_subprocess_options *options, int i)
{
    return i == 0 ? options->stdin_fd : i == 1 ? options->stdout_fd : options->stderr_fd;
}
/* Sets the message for a program that could not be started, at this step. Returns err. */
int asy_process_refused(int err, const char *name, const asyncio_subprocess_options *options,
                        enum asy_spawn_step step);

#endif
