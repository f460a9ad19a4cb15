/*
 * The wrappers of process.h, but for the start of a program (spawn.c).
 */
#include "sys/process.h"
#include "sys/kernel_call.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#define WAIT_PIDFD 3 /* P_PIDFD */

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

/* ---- A terminal ------------------------------------------------------------------------------ */

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

/* The program's side of a terminal. By its name it may be another one: /dev/pts may be another mount. */
static int open_program_side(int master)
{
    char path[32];
    unsigned number;
    const int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
    int fd = ioctl(master, TIOCGPTPEER, flags);
    if (fd >= 0 || (errno != EINVAL && errno != ENOTTY)) /* before Linux 4.13 */
        return fd;
    if (ioctl(master, TIOCGPTN, &number) < 0)
        return -1;
    snprintf(path, sizeof path, "/dev/pts/%u", number);
    return open(path, flags);
}

int asy_sys_terminal(int sides[2])
{
    if (ASY_FAULT("terminal"))
        return -ENOSPC;
    const int locked = 0;
    int saved = errno;
    int ours = asy_sys_above_standard(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC));
    if (ours < 0)
        return (int)kernel_result(-1, saved);
    int theirs = ioctl(ours, TIOCSPTLCK, &locked);
    if (theirs == 0)
        theirs = asy_sys_above_standard(open_program_side(ours));
    int err = (int)kernel_result(theirs, saved);
    if (err < 0) {
        close(ours);
        return err;
    }
    sides[0] = ours;
    sides[1] = theirs;
    return 0;
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

/* waitid: 1 if the child has ended, 0 if it runs, or a negative errno. */
static int look_at_child(const struct asy_child *child, int options, siginfo_t *info)
{
    int saved = errno;
    info->si_pid = 0;
    idtype_t type = child->is_by_thread ? P_PID : (idtype_t)WAIT_PIDFD;
    id_t id = (id_t)(child->is_by_thread ? child->pid : child->fd);
    int err = (int)kernel_result(waitid(type, id, info, WEXITED | WNOHANG | options), saved);
    return err < 0 ? err : info->si_pid != 0;
}

int asy_sys_child_signal_group(const struct asy_child *child, int signo)
{
    siginfo_t info;
    int saved = errno;
    if (look_at_child(child, WNOWAIT, &info) < 0) /* somebody else has reaped it */
        return -ESRCH;
    return (int)kernel_result(kill(-child->pid, signo), saved);
}

static int returncode_of(const siginfo_t *info)
{
    return info->si_code == CLD_EXITED ? info->si_status : -info->si_status;
}

int asy_sys_child_ended(const struct asy_child *child, enum asy_child_rest rest, int *returncode)
{
    siginfo_t info;
    int got = look_at_child(child, rest == ASY_CHILD_STAYS ? WNOWAIT : 0, &info);
    if (got > 0)
        *returncode = returncode_of(&info);
    return got;
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
