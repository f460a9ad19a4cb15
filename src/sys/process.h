/*
 * Child processes and their pipes, entered through the seam (sys.h). A process is known by a descriptor of
 * its own (pidfd), so that no signal and no wait can meet another that has its number by now.
 */
#ifndef ASY_SYS_PROCESS_H
#define ASY_SYS_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Where a descriptor of the child comes from: one of these, or a descriptor to copy. */
#define ASY_SPAWN_INHERIT (-1)
#define ASY_SPAWN_NULL (-2)   /* /dev/null */
#define ASY_SPAWN_LIKE_1 (-3) /* whatever its 1 is */

struct asy_spawn {
    const char *const *argv; /* argv[0] is looked for in PATH, unless it has a slash */
    const char *const *env;  /* NULL: as here */
    const char *cwd;         /* NULL: as here */
    int stdio[3];
    const int *keep; /* beyond 2: these stay open under their numbers, all others are closed */
    size_t keep_count;
    bool needs_session;
    bool needs_group;
    pid_t group; /* to join, unless 0 */
};

/* Starts a program with no signal blocked and none handled. Ignored signals are reset, too, except SIGHUP,
 * SIGINT and SIGQUIT. Shares memory with the child until that runs the program, so that no page is copied.
 * 0 and *pid, or a negative errno. */
int asy_sys_spawn(const struct asy_spawn *spawn, pid_t *pid);

/* Close-on-exec, blocking, and never 0, 1 or 2. */
int asy_sys_pipe(int fds[2]);
/* A copy of fd: close-on-exec, and never 0, 1 or 2. */
int asy_sys_dup(int fd);
/* O_ACCMODE of an open file. */
int asy_sys_access_mode(int fd);
/*
 * A child as a descriptor to poll, which becomes readable when the child ends. Where the kernel, a filter
 * or a checker (Valgrind) has no pidfds, a thread waits for the child and writes to an eventfd. Signals and
 * reaping then go by the child's number, which stays its own until we have reaped it.
 */
struct asy_child {
    pid_t pid;
    int fd; /* close-on-exec; -1 once it is closed */
    bool is_by_thread;
};

/* child->pid is set. 0 or a negative errno; -ESRCH: it is gone, somebody else has reaped it. */
int asy_sys_child_open(struct asy_child *child);
/* All of these clean up, and never fail for the seam's sake. */
int asy_sys_child_signal(const struct asy_child *child, int signo);
/* Signals the group that the child leads. `group_fd`: a copy of its descriptor, once it was reaped. */
int asy_sys_child_signal_group(const struct asy_child *child, int group_fd, int signo);
/* Closes such a copy, of which no table of descriptors knows. Accepts -1. */
void asy_sys_child_group_close(int group_fd);
/* Reaps: 1 and *returncode, which is the exit status or minus the signal; 0: it runs still; or a negative
 * errno. */
int asy_sys_child_reap(const struct asy_child *child, int *returncode);
/* Blocks until the child has ended, for at most so long. Does not reap it. */
void asy_sys_child_wait(const struct asy_child *child, int timeout_ms);
/* `has_ended`: the child has, whether it was reaped or not. */
void asy_sys_child_close(struct asy_child *child, bool has_ended);
/* Kills a child, and waits for its end. */
void asy_sys_kill_and_reap(pid_t pid);

#endif
