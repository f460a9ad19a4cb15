/*
 * A child of our own, which takes a terminal, a umask or another user before it runs the program: posix_spawn
 * can do none of these.
 *
 * It has a copy of this process's memory. If it shared the memory, as posix_spawn's child does, this process
 * could not be dumped nor debugged from the moment on that the child became another user. This process
 * sleeps until the child runs the program or fails (CLONE_VFORK); a shared page says why it failed.
 *
 * Other threads may hold any lock of the C library's or of a sanitizer's in the copy. So the child makes
 * system calls, and none of the C library's functions that take locks, allocate or are intercepted. A setuid
 * of the C library's would also wait for threads that the child does not have.
 */
#include "base/sanitizer.h"
#include "sys/files.h"
#include "sys/kernel_call.h"
#include "sys/spawn.h"
#include "sys/sys.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define SIGNALS 64                     /* the kernel's */
#define SIGNAL_SET_BYTES (SIGNALS / 8) /* of its sets */
#define DEFAULT_PATH "/bin:/usr/bin"   /* posix_spawnp's, if PATH is not set */
#define NOTHING_RUN 127                /* exit status of a child that failed; nobody sees it */

extern char **environ;

/* In memory that both processes see. */
struct child_report {
    enum asy_spawn_step step;
    int err; /* an errno; 0: none so far */
};

struct child_plan {
    const struct asy_spawn *spawn;
    const char *folders; /* PATH */
    char *const *env;
    bool is_ignored[SIGNALS + 1]; /* only of those that may stay so */
    struct child_report *report;
};

/* ---- In the child: steps --------------------------------------------------------------------- */

static int errno_of(long result)
{
    return result < 0 ? errno : 0;
}

int asy_child_dup(int from, int to)
{
    return from == to ? errno_of(syscall(SYS_fcntl, from, F_SETFD, 0))
                      : errno_of(syscall(SYS_dup3, from, to, 0));
}

int asy_child_close(int fd)
{
    syscall(SYS_close, fd); /* it may not be open */
    return 0;
}

int asy_child_open_null(int fd)
{
    int opened = (int)syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDWR, 0);
    if (opened < 0 || opened == fd)
        return errno_of(opened);
    int err = asy_child_dup(opened, fd);
    asy_child_close(opened);
    return err;
}

int asy_child_enter(const char *folder)
{
    return errno_of(syscall(SYS_chdir, folder));
}

static int number_in(const char *name)
{
    int number = *name >= '0' && *name <= '9' ? 0 : -1; /* "." and ".." are none */
    for (; *name >= '0' && *name <= '9'; name++)
        number = number * 10 + (*name - '0');
    return number;
}

/* Before Linux 5.9. The kernel lists descriptors by their numbers: to close one disturbs no other. */
static int close_listed_from(int first)
{
    _Alignas(struct asy_dirent) char entries[1024];
    int folder = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/fd", O_RDONLY | O_DIRECTORY, 0);
    long n = folder < 0 ? -1 : syscall(SYS_getdents64, folder, entries, sizeof entries);
    while (n > 0) {
        for (long at = 0; at < n;) {
            const struct asy_dirent *entry = (const struct asy_dirent *)(const void *)(entries + at);
            int fd = number_in(entry->name);
            if (fd >= first && fd != folder)
                asy_child_close(fd);
            at += entry->bytes;
        }
        n = syscall(SYS_getdents64, folder, entries, sizeof entries);
    }
    int err = errno_of(n);
    if (folder >= 0)
        asy_child_close(folder);
    return err;
}

int asy_child_close_from(int first)
{
    int err = errno_of(syscall(SYS_close_range, first, ~0U, 0));
    return err == ENOSYS || err == EPERM ? close_listed_from(first) : err;
}

/* Signals are blocked here, so that no handler of the program's runs in the child. A zeroed action is
 * SIG_DFL on each machine. */
static void reset_signals(const struct child_plan *plan)
{
    static const char default_action[64];
    for (int signo = 1; signo <= SIGNALS; signo++)
        if (!plan->is_ignored[signo])
            syscall(SYS_rt_sigaction, signo, default_action, NULL, SIGNAL_SET_BYTES);
}

static void unblock_signals(void)
{
    static const char none[SIGNAL_SET_BYTES];
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, none, NULL, SIGNAL_SET_BYTES);
}

static int take_group(const struct asy_spawn *spawn)
{
    if (spawn->needs_session)
        return errno_of(syscall(SYS_setsid));
    if (spawn->needs_group || spawn->group)
        return errno_of(syscall(SYS_setpgid, 0, spawn->needs_group ? 0 : spawn->group));
    return 0;
}

/* Descriptor 0 becomes the terminal of the session. It belongs to the user that will run there, as after a
 * login, so that programs can open it by its name. */
static int take_terminal(const struct asy_spawn *spawn)
{
    int err = errno_of(syscall(SYS_ioctl, STDIN_FILENO, TIOCSCTTY, 0));
    if (!err && spawn->uid >= 0)
        syscall(SYS_fchown, STDIN_FILENO, (uid_t)spawn->uid, (gid_t)-1); /* else it works without */
    return err;
}

/* A process without any has none to drop. In some containers nobody may, not even root. */
static int drop_groups(void)
{
    if (syscall(SYS_getgroups, 0, NULL) == 0)
        return 0;
    return errno_of(syscall(SYS_setgroups, 0, NULL));
}

static int take_gid(gid_t gid)
{
    return errno_of(syscall(SYS_setresgid, gid, gid, gid));
}

static int take_uid(uid_t uid)
{
    return errno_of(syscall(SYS_setresuid, uid, uid, uid));
}

/* ---- In the child: the program ------------------------------------------------------------- */

bool asy_path_next(const char **folders, const char *name, char out[PATH_MAX])
{
    const char *folder = *folders;
    if (!folder)
        return false;
    size_t length = strcspn(folder, ":"), name_length = strlen(name);
    *folders = folder[length] ? folder + length + 1 : NULL;
    out[0] = '\0';
    if (length + 1 + name_length >= PATH_MAX)
        return true;
    memcpy(out, folder, length);
    if (length)
        out[length++] = '/';
    memcpy(out + length, name, name_length + 1);
    return true;
}

static int run_file(const struct child_plan *plan, const char *path)
{
    return errno_of(syscall(SYS_execve, path, plan->spawn->argv, plan->env));
}

/* The search of posix_spawnp. */
static int run_program(const struct child_plan *plan)
{
    char path[PATH_MAX];
    const char *name = plan->spawn->argv[0], *folders = plan->folders;
    bool is_denied = false;
    int err = ENOENT;
    if (strchr(name, '/'))
        return run_file(plan, name);
    while (asy_path_next(&folders, name, path)) {
        err = path[0] ? run_file(plan, path) : ENAMETOOLONG;
        is_denied |= err == EACCES;
        if (err != EACCES && err != ENOENT && err != ENOTDIR && err != ESTALE && err != ENODEV &&
            err != ETIMEDOUT && err != ENAMETOOLONG)
            return err;
    }
    return is_denied ? EACCES : err;
}

static int fail_at(const struct child_plan *plan, enum asy_spawn_step step, int err)
{
    plan->report->step = step;
    return err;
}

/* Groups first, then the group, then the user: a user that is not root may change neither. */
static int take_identity(const struct child_plan *plan)
{
    const struct asy_spawn *spawn = plan->spawn;
    int err = spawn->uid >= 0 || spawn->gid >= 0 ? drop_groups() : 0;
    if (err)
        return fail_at(plan, ASY_SPAWN_GROUPS, err);
    err = spawn->gid >= 0 ? take_gid((gid_t)spawn->gid) : 0;
    if (err)
        return fail_at(plan, ASY_SPAWN_GID, err);
    err = spawn->uid >= 0 ? take_uid((uid_t)spawn->uid) : 0;
    return err ? fail_at(plan, ASY_SPAWN_UID, err) : 0;
}

/* Returns only when it has failed. */
static int become_program(const struct child_plan *plan)
{
    const struct asy_spawn *spawn = plan->spawn;
    reset_signals(plan);
    int err = take_group(spawn);
    if (!err)
        err = asy_spawn_arrange(spawn, NULL);
    if (!err && spawn->takes_terminal && (err = take_terminal(spawn)))
        return fail_at(plan, ASY_SPAWN_TERMINAL, err);
    if (spawn->umask >= 0)
        syscall(SYS_umask, spawn->umask);
    if (!err)
        err = take_identity(plan);
    if (err)
        return err;
    unblock_signals();
    return run_program(plan);
}

static _Noreturn void run_child(const struct child_plan *plan)
{
    plan->report->err = become_program(plan);
    for (;;)
        syscall(SYS_exit_group, NOTHING_RUN);
}

/* ---- Here ------------------------------------------------------------------------------------ */

static void note_ignored(struct child_plan *plan)
{
    static const int may_stay[] = {SIGHUP, SIGINT, SIGQUIT};
    for (size_t i = 0; i < sizeof may_stay / sizeof may_stay[0]; i++) {
        struct sigaction action;
        plan->is_ignored[may_stay[i]] =
            sigaction(may_stay[i], NULL, &action) == 0 && action.sa_handler == SIG_IGN;
    }
}

/* A fork whose caller sleeps until the child has begun; not under Valgrind, which has no such thing. */
static long start_copy(void)
{
    unsigned long flags = SIGCHLD | (RUNNING_ON_VALGRIND ? 0 : CLONE_VFORK);
    return syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
}

static int start_and_look(const struct child_plan *plan, pid_t *pid)
{
    char before[SIGNAL_SET_BYTES], all[SIGNAL_SET_BYTES];
    memset(all, 0xff, sizeof all); /* with those that the C library keeps for itself */
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, all, before, SIGNAL_SET_BYTES);
    long child = start_copy();
    if (child == 0)
        run_child(plan);
    int err = errno_of(child);
    syscall(SYS_rt_sigprocmask, SIG_SETMASK, before, NULL, SIGNAL_SET_BYTES);
    if (err)
        return err;
    *pid = (pid_t)child;
    err = plan->report->err;
    while (err && waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return err;
}

int asy_spawn_child(const struct asy_spawn *spawn, pid_t *pid, enum asy_spawn_step *failed)
{
    const char *path = secure_getenv("PATH");
    int saved = errno;
    struct child_report *report =
        mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (report == MAP_FAILED)
        return (int)kernel_result(-1, saved);
    *report = (struct child_report){.step = ASY_SPAWN_PROGRAM};
    struct child_plan plan = {
        .spawn = spawn,
        .folders = path ? path : DEFAULT_PATH,
        .env = spawn->env ? (char *const *)spawn->env : environ,
        .report = report,
    };
    note_ignored(&plan);
    int err = start_and_look(&plan, pid);
    *failed = report->step;
    munmap(report, sizeof *report);
    errno = saved;
    return -err;
}
