/*
 * Threads, entered through the seam (sys.h).
 */
#ifndef ASY_SYS_THREAD_H
#define ASY_SYS_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts a detached thread with all signals blocked, and a name of at most 15 bytes. 0 or
 * -EAGAIN. */
int asy_sys_thread_start(void *(*fn)(void *), void *arg, const char *name);
/* Waits for the condition, at most so many seconds. False: the time is over. */
bool asy_sys_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock, unsigned seconds);

#endif
