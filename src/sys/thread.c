/*
 * Threads, entered through the seam.
 */
#include "sys/thread.h"
#include "sys/sys.h"
#include <errno.h>
#include <signal.h>
#include <sched.h>
#include <time.h>

int asy_sys_thread_start(void *(*fn)(void *), void *arg, const char *name)
{
    if (ASY_FAULT("thread_start"))
        return -EAGAIN;
    sigset_t all, before;
    pthread_t thread;
    /* A program's handlers run on its own threads: a new one inherits this mask. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&thread, NULL, fn, arg);
    if (!err) {
        pthread_setname_np(thread, name); /* first: one that is detached may be gone by now */
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -err;
}

void asy_sys_cond_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool asy_sys_cond_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ns)
{
    if (until_ns == INT64_MAX)
        return pthread_cond_wait(condition, lock) == 0;
    if (until_ns < 0)
        until_ns = 0;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}

bool asy_sys_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock, unsigned seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}

unsigned asy_sys_processors(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set))
        return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}
