/*
 * The wrappers of process.h. posix_spawn of glibc shares the address space with the child until that runs
 * another program (CLONE_VM, CLONE_VFORK): its cost does not grow with this process, and it blocks all
 * signals meanwhile.
 */
#include "sys/process.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define WAIT_PIDFD 3     /* P_PIDFD */
#define PIDFD_TO_GROUP 4 /* PIDFD_SIGNAL_PROCESS_GROUP, Linux 6.9 */

/* ---- Descriptors ----------------------------------------------------------------------------- */

int asy_sys_pipe(int fds[2])
{
    if (ASY_FAULT("pipe"))
        return -EMFILE;
    int saved = errno, ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return (int)kernel_result(-1, saved);
    ends[0] = asy_sys_above_standard(ends[0]);
    int err = errno;
    ends[1] = asy_sys_above_standard(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0) {
        fds[0] = ends[0];
        fds[1] = ends[1];
        return 0;
    }
    if (ends[0] >= 0)
        err = errno;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0)
            close(ends[i]);
    errno = saved;
    return -err;
}

int asy_sys_dup(int fd)
{
    KERNEL_INT("dup", -EMFILE, fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

static int read_access_mode(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? flags : flags & O_ACCMODE;
}

int asy_sys_access_mode(int fd)
{
    KERNEL_INT("fcntl", -EBADF, read_access_mode(fd));
}

/* ---- Started --------------------------------------------------------------------------------- */

/* Tells whether one of our own descriptors closes on exec. It may not be open: dup2 would fail then. */
static bool closes_on_exec(int fd)
{
    int saved = errno, flags = fcntl(fd, F_GETFD);
    errno = saved;
    return flags >= 0 && (flags & FD_CLOEXEC);
}

static int add_stdio(posix_spawn_file_actions_t *actions, const int stdio[3])
{
    int err = 0;
    for (int i = 0; i < 3 && !err; i++) {
        if (stdio[i] == ASY_SPAWN_NULL)
            err = posix_spawn_file_actions_addopen(actions, i, "/dev/null", O_RDWR, 0);
        else if (stdio[i] == ASY_SPAWN_LIKE_1)
            err = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, i);
        else if (stdio[i] >= 0) /* onto itself: it is no longer close-on-exec */
            err = posix_spawn_file_actions_adddup2(actions, stdio[i], i);
        else if (closes_on_exec(i))
            err = posix_spawn_file_actions_adddup2(actions, i, i);
    }
    return err;
}

static bool is_kept(const struct asy_spawn *spawn, int fd)
{
    for (size_t i = 0; i < spawn->keep_count; i++)
        if (spawn->keep[i] == fd)
            return true;
    return false;
}

/* The first number from `place` on that is not a kept descriptor's own. */
static int next_place(const struct asy_spawn *spawn, int place)
{
    while (is_kept(spawn, place))
        place++;
    return place;
}

enum direction { DOWN, BACK_UP };

/* Moves the kept descriptors that lie at `end` or beyond: down to places before it, or back up from there. */
static int add_moves(posix_spawn_file_actions_t *actions, const struct asy_spawn *spawn, int end,
                     enum direction direction)
{
    int err = 0, place = STDERR_FILENO;
    for (size_t i = 0; i < spawn->keep_count && !err; i++) {
        int fd = spawn->keep[i];
        if (fd < end)
            continue;
        place = next_place(spawn, place + 1);
        err = direction == DOWN ? posix_spawn_file_actions_adddup2(actions, fd, place)
                                : posix_spawn_file_actions_adddup2(actions, place, fd);
    }
    return err;
}

#if ASY_ADDCLOSEFROM
static int add_close_from(posix_spawn_file_actions_t *actions, int first)
{
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
}
#else
/* Closes the descriptors that are open now. One that another thread opens from here on must be
 * close-on-exec. */
static int add_close_from(posix_spawn_file_actions_t *actions, int first)
{
    DIR *open_files = opendir("/proc/self/fd");
    if (!open_files)
        return errno;
    int err = 0;
    for (struct dirent *entry; !err && (entry = readdir(open_files));) {
        int fd = atoi(entry->d_name); /* "." and ".." are 0 */
        if (fd >= first && fd != dirfd(open_files))
            err = posix_spawn_file_actions_addclose(actions, fd);
    }
    closedir(open_files);
    return err;
}
#endif

/*
 * Closes all descriptors beyond 2 that are not kept. One action closes all from a number on, and its cost
 * does not depend on the numbers; none closes a range. So kept descriptors with high numbers move down to
 * the first numbers after 2, all beyond those are closed, and then they move back up.
 */
static int add_closes(posix_spawn_file_actions_t *actions, const struct asy_spawn *spawn)
{
    const int first = STDERR_FILENO + 1, end = first + (int)spawn->keep_count;
    int err = add_moves(actions, spawn, end, DOWN);
    if (!err)
        err = add_close_from(actions, end);
    if (!err)
        err = add_moves(actions, spawn, end, BACK_UP);
    for (int fd = first; fd < end && !err; fd++)
        err = is_kept(spawn, fd) ? posix_spawn_file_actions_adddup2(actions, fd, fd)
                                 : posix_spawn_file_actions_addclose(actions, fd);
    return err;
}

static int fill_actions(posix_spawn_file_actions_t *actions, const struct asy_spawn *spawn)
{
    int err = add_stdio(actions, spawn->stdio);
    if (!err)
        err = add_closes(actions, spawn);
    if (!err && spawn->cwd)
        err = posix_spawn_file_actions_addchdir_np(actions, spawn->cwd);
    return err;
}

static void fill_attributes(posix_spawnattr_t *attributes, const struct asy_spawn *spawn)
{
    short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
    sigset_t none, defaults;
    sigemptyset(&none);
    /* sigfillset leaves out the signals that the C library keeps for itself. posix_spawn ignores these in
     * the child unless they are in the set. */
    memset(&defaults, 0xff, sizeof defaults);
    sigdelset(&defaults, SIGHUP);
    sigdelset(&defaults, SIGINT);
    sigdelset(&defaults, SIGQUIT);
    posix_spawnattr_setsigmask(attributes, &none);
    posix_spawnattr_setsigdefault(attributes, &defaults);
    if (spawn->needs_session) {
        flags |= POSIX_SPAWN_SETSID; /* and with it a group */
    } else if (spawn->needs_group || spawn->group) {
        flags |= POSIX_SPAWN_SETPGROUP;
        posix_spawnattr_setpgroup(attributes, spawn->needs_group ? 0 : spawn->group);
    }
    posix_spawnattr_setflags(attributes, flags);
}

int asy_sys_spawn(const struct asy_spawn *spawn, pid_t *pid)
{
    if (ASY_FAULT("spawn"))
        return -ENOMEM;
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int saved = errno;
    int err = posix_spawn_file_actions_init(&actions);
    if (err)
        return -err;
    err = posix_spawnattr_init(&attributes);
    if (!err) {
        fill_attributes(&attributes, spawn);
        err = fill_actions(&actions, spawn);
        char *const *env = spawn->env ? (char *const *)spawn->env : environ;
        if (!err)
            err = posix_spawnp(pid, spawn->argv[0], &actions, &attributes, (char *const *)spawn->argv, env);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    errno = saved;
    return -err;
}

/* ---- Signalled, and reaped ------------------------------------------------------------------- */

/* Waits for a child in place of a pidfd. The write does not fail; after it the thread does not touch the
 * descriptor. */
static void wait_in_thread(void *arg)
{
    const uint64_t packed = (uint64_t)(uintptr_t)arg, one = 1;
    siginfo_t info;
    while (waitid(P_PID, (id_t)(packed >> 32), &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    while (write((int)(packed & UINT32_MAX), &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static int watch_by_thread(struct asy_child *child)
{
    int fd = asy_sys_eventfd();
    if (fd < 0)
        return fd;
    uint64_t packed = (uint64_t)child->pid << 32 | (uint32_t)fd;
    int err = asy_sys_thread_start(wait_in_thread, (void *)(uintptr_t)packed, "asyncio-child");
    if (err) {
        asy_sys_close(fd);
        return err;
    }
    child->is_by_thread = true;
    child->fd = fd;
    return 0;
}

int asy_sys_child_open(struct asy_child *child)
{
    child->fd = -1;
    child->is_by_thread = false;
    if (ASY_FAULT("pidfd_open"))
        return -EMFILE;
    int saved = errno;
    int fd = (int)kernel_result(asy_sys_above_standard((int)syscall(SYS_pidfd_open, child->pid, 0)), saved);
    if (fd == -ENOSYS || fd == -EPERM)
        return watch_by_thread(child);
    if (fd < 0)
        return fd;
    child->fd = fd;
    return 0;
}

int asy_sys_child_signal(const struct asy_child *child, int signo)
{
    int saved = errno;
    long result = child->is_by_thread ? kill(child->pid, signo)
                                      : syscall(SYS_pidfd_send_signal, child->fd, signo, NULL, 0);
    return (int)kernel_result(result, saved);
}

/* A number that was reaped may be another's soon, so that only a descriptor names its group then. Kernels
 * before 6.9 do not know it by that, and signal by the number, while that is the child's. */
int asy_sys_child_signal_group(const struct asy_child *child, int group_fd, int signo)
{
    int saved = errno;
    int fd = child->fd >= 0 ? child->fd : group_fd;
    long result = -1;
    errno = EINVAL;
    if (fd >= 0 && !child->is_by_thread)
        result = syscall(SYS_pidfd_send_signal, fd, signo, NULL, PIDFD_TO_GROUP);
    if (result < 0 && errno == EINVAL && child->fd >= 0)
        result = kill(-child->pid, signo);
    else if (result < 0 && errno == EINVAL)
        errno = ESRCH;
    return (int)kernel_result(result, saved);
}

void asy_sys_child_group_close(int group_fd)
{
    if (group_fd >= 0)
        asy_sys_close(group_fd);
}

int asy_sys_child_reap(const struct asy_child *child, int *returncode)
{
    siginfo_t info;
    int saved = errno;
    info.si_pid = 0;
    idtype_t type = child->is_by_thread ? P_PID : (idtype_t)WAIT_PIDFD;
    id_t id = (id_t)(child->is_by_thread ? child->pid : child->fd);
    int err = (int)kernel_result(waitid(type, id, &info, WEXITED | WNOHANG), saved);
    if (err < 0 || info.si_pid == 0)
        return err;
    *returncode = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
    return 1;
}

static bool has_child_ended(const struct asy_child *child, int timeout_ms)
{
    struct pollfd one = {.fd = child->fd, .events = POLLIN};
    int saved = errno;
    bool is_ended = poll(&one, 1, timeout_ms) > 0;
    errno = saved;
    return is_ended;
}

void asy_sys_child_wait(const struct asy_child *child, int timeout_ms)
{
    (void)has_child_ended(child, timeout_ms);
}

/* How long a close waits for the thread of a child that has ended. A thread that has not written keeps its
 * descriptor, for good if the child outlives us. */
#define THREAD_MS 1000

static bool has_thread_ended(const struct asy_child *child, bool has_ended)
{
    uint64_t times;
    int saved = errno;
    bool has_written =
        has_child_ended(child, has_ended ? THREAD_MS : 0) && read(child->fd, &times, sizeof times) > 0;
    errno = saved;
    return has_written;
}

void asy_sys_child_close(struct asy_child *child, bool has_ended)
{
    if (child->fd >= 0 && (!child->is_by_thread || has_thread_ended(child, has_ended)))
        asy_sys_close(child->fd);
    child->fd = -1;
}

void asy_sys_kill_and_reap(pid_t pid)
{
    int saved = errno, status;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    errno = saved;
}
