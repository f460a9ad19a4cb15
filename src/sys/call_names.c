/*
 * System calls by name, for people: those that may take long. Some of them are not on every processor.
 */
#include "sys/thread_look.h"
#include <sys/syscall.h>

static const struct {
    const char *name;
    int call;
    bool has_fd;
} calls[] = {
#define CALL(name)                                                                                           \
    {                                                                                                        \
#name, SYS_##name, false                                                                             \
    }
#define CALL_ON_FD(name)                                                                                     \
    {                                                                                                        \
#name, SYS_##name, true                                                                              \
    }
    CALL_ON_FD(read),
    CALL_ON_FD(write),
    CALL_ON_FD(readv),
    CALL_ON_FD(writev),
    CALL_ON_FD(pread64),
    CALL_ON_FD(pwrite64),
    CALL_ON_FD(preadv),
    CALL_ON_FD(pwritev),
    CALL_ON_FD(recvfrom),
    CALL_ON_FD(recvmsg),
    CALL_ON_FD(recvmmsg),
    CALL_ON_FD(sendto),
    CALL_ON_FD(sendmsg),
    CALL_ON_FD(sendmmsg),
    CALL_ON_FD(accept),
    CALL_ON_FD(accept4),
    CALL_ON_FD(connect),
    CALL_ON_FD(close),
    CALL_ON_FD(fsync),
    CALL_ON_FD(fdatasync),
    CALL_ON_FD(flock),
    CALL_ON_FD(fcntl),
    CALL_ON_FD(ioctl),
    CALL_ON_FD(splice),
    CALL_ON_FD(ftruncate),
    CALL_ON_FD(fallocate),
    CALL_ON_FD(getdents64),
    CALL_ON_FD(epoll_pwait),
    CALL_ON_FD(shutdown),
    CALL(sendfile),
    CALL(copy_file_range),
    CALL(nanosleep),
    CALL(clock_nanosleep),
    CALL(futex),
    CALL(wait4),
    CALL(waitid),
    CALL(ppoll),
    CALL(pselect6),
    CALL(openat),
    CALL(unlinkat),
    CALL(renameat2),
    CALL(mkdirat),
    CALL(statx),
    CALL(readlinkat),
    CALL(sync),
    CALL(msync),
    CALL(mmap),
    CALL(munmap),
    CALL(madvise),
    CALL(restart_syscall), /* a sleep that went on after a stop, or after work for io_uring */
    CALL(rt_sigtimedwait),
    CALL(rt_sigsuspend),
    CALL(getrandom),
    CALL(clone),
    CALL(execve),
    CALL(sched_yield),
    CALL(msgrcv),
    CALL(msgsnd),
    CALL(semtimedop),
    CALL(process_vm_readv),
#ifdef SYS_epoll_wait
    CALL_ON_FD(epoll_wait),
#endif
#ifdef SYS_epoll_pwait2
    CALL_ON_FD(epoll_pwait2),
#endif
#ifdef SYS_poll
    CALL(poll),
#endif
#ifdef SYS_select
    CALL(select),
#endif
#ifdef SYS_pause
    CALL(pause),
#endif
#ifdef SYS_open
    CALL(open),
#endif
#ifdef SYS_stat
    CALL(stat),
    CALL(lstat),
#endif
#ifdef SYS_fstat
    CALL_ON_FD(fstat),
#endif
#ifdef SYS_newfstatat
    CALL(newfstatat),
#endif
#ifdef SYS_unlink
    CALL(unlink),
    CALL(rename),
    CALL(mkdir),
#endif
#ifdef SYS_vfork
    CALL(vfork),
#endif
#ifdef SYS_clone3
    CALL(clone3),
#endif
#ifdef SYS_io_uring_enter
    CALL_ON_FD(io_uring_enter),
#endif
};

const char *asy_sys_call_name(int call, bool *has_fd)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (calls[i].call != call)
            continue;
        *has_fd = calls[i].has_fd;
        return calls[i].name;
    }
    return NULL;
}
