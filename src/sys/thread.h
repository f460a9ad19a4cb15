/*
 * Threads, entered through the seam (sys.h).
 */
#ifndef ASY_SYS_THREAD_H
#define ASY_SYS_THREAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a detached thread with all signals blocked but those of a fault in it, and a name of at most
 * 15 bytes. 0 or -EAGAIN. */
int asy_sys_thread_start(void *(*fn)(void *), void *arg, const char *name);
/*
 * Sleeps for as long as *word is `value`, until somebody wakes it, or for timeout_ns (below 0: no limit). May
 * come back early. False: the time is over.
 */
bool asy_sys_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ns);
/* Wakes so many of those who sleep on it. Async-signal-safe. The word may be gone already: whoever
 * sleeps on what lies there now comes back early. */
void asy_sys_futex_wake(const _Atomic uint32_t *word, int count);
/* How many processors this process may use. */
unsigned asy_sys_processors(void);

#endif
