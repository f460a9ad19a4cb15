/*
 * Child processes and their pipes, entered through the seam (sys.h). A process is known by a descriptor of
 * its own (pidfd), so that no signal and no wait can meet another that has its number by now.
 */
#ifndef ASY_SYS_PROCESS_H
#define ASY_SYS_PROCESS_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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
    pid_t group;         /* to join, unless 0 */
    int64_t uid, gid;    /* -1: as here; else supplementary groups are dropped, too */
    int umask;           /* -1: as here */
    bool takes_terminal; /* its 0 becomes the terminal of its session */
};

/* What a child was about to do when it failed. */
enum asy_spawn_step {
    ASY_SPAWN_PROGRAM, /* its descriptors, its folder, the program itself */
    ASY_SPAWN_TERMINAL,
    ASY_SPAWN_GROUPS,
    ASY_SPAWN_GID,
    ASY_SPAWN_UID,
};

/* Starts a program with no signal blocked and none handled. Ignored signals are reset, too, except SIGHUP,
 * SIGINT and SIGQUIT. Shares memory with the child until that runs the program, so that no page is copied,
 * unless there is a uid, a gid, a umask or a terminal. 0 and *pid, or a negative errno and *failed. */
int asy_sys_spawn(const struct asy_spawn *spawn, pid_t *pid, enum asy_spawn_step *failed);

/* The next file that a search for the program `name` looks at. `folders` begins as PATH; it is NULL after the
 * last one. False: there was none. `out` is empty if the path is too long. */
bool asy_path_next(const char **folders, const char *name, char out[PATH_MAX]);

/* A new terminal: our side of it, and the program's. Both are close-on-exec, and never 0, 1 or 2. 0, or a
 * negative errno: -ENOSPC if the system has no more of them. */
int asy_sys_terminal(int sides[2]);

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
/* Signals the group that the child leads. Until it is reaped no other group can have its number. */
int asy_sys_child_signal_group(const struct asy_child *child, int signo);
/* Tells whether it has ended, and reaps it then, unless it stays to keep its number. 1 and *returncode, which
 * is the exit status or minus the signal; 0: it runs still; or a negative errno. */
enum asy_child_rest { ASY_CHILD_REAPED, ASY_CHILD_STAYS };
int asy_sys_child_ended(const struct asy_child *child, enum asy_child_rest rest, int *returncode);
/* Blocks until the child has ended, for at most so long. Does not reap it. */
void asy_sys_child_wait(const struct asy_child *child, int timeout_ms);
/* `has_ended`: the child has, whether it was reaped or not. */
void asy_sys_child_close(struct asy_child *child, bool has_ended);
/* Kills a child, and waits for its end. */
void asy_sys_kill_and_reap(pid_t pid);

#endif
