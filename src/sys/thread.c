/*
 * Threads, entered through the seam.
 */
#include "sys/thread.h"
#include "sys/sys.h"
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* A thread's stack at least; musl's own is 128 KiB, and a user's function may run on it. */
#define STACK_BYTES ((size_t)1024 * 1024)

static int create_thread(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    pthread_attr_t attributes;
    size_t bytes;
    int err = pthread_attr_init(&attributes);
    if (err)
        return err;
    if (pthread_attr_getstacksize(&attributes, &bytes) == 0 && bytes < STACK_BYTES)
        pthread_attr_setstacksize(&attributes, STACK_BYTES);
    err = pthread_create(thread, &attributes, fn, arg);
    pthread_attr_destroy(&attributes);
    return err;
}

int asy_sys_thread_start(void *(*fn)(void *), void *arg, const char *name)
{
    if (ASY_FAULT("thread_start"))
        return -EAGAIN;
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    pthread_t thread;
    /* A program's handlers run on its own threads, but those of a fault where it happens: a new one
     * inherits this mask. */
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    int err = create_thread(&thread, fn, arg);
    if (!err) {
        pthread_setname_np(thread, name); /* first: one that is detached may be gone by now */
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

bool asy_sys_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ns)
{
    struct timespec timeout = {.tv_sec = (time_t)(timeout_ns / 1000000000),
                               .tv_nsec = (long)(timeout_ns % 1000000000)};
    int saved = errno;
    long result = syscall(SYS_futex, word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, value,
                          timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    bool in_time = result == 0 || errno != ETIMEDOUT;
    errno = saved;
    return in_time;
}

void asy_sys_futex_wake(const _Atomic uint32_t *word, int count)
{
    int saved = errno;
    syscall(SYS_futex, word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count, NULL, NULL, 0);
    errno = saved;
}

unsigned asy_sys_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}
