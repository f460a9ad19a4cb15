/*
 * Threads, entered through the seam (sys.h).
 */
#ifndef ASY_SYS_THREAD_H
#define ASY_SYS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a detached thread with all signals blocked, and a name of at most 15 bytes. 0 or
 * -EAGAIN. */
int asy_sys_thread_start(void *(*fn)(void *), void *arg, const char *name);
/* A condition on the monotonic clock. */
void asy_sys_cond_init(pthread_cond_t *condition);
/* Waits for such a condition until the clock reads until_ns (INT64_MAX: no limit). False: that time
 * is over. */
bool asy_sys_cond_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ns);
/* Waits for a condition on the default clock, at most so many seconds. False: the time is over. */
bool asy_sys_cond_wait(pthread_cond_t *condition, pthread_mutex_t *lock, unsigned seconds);
/* How many processors this process may use. */
unsigned asy_sys_processors(void);

#endif
