/*
 * Threads, entered through the seam (sys.h). Each one that the library starts is joined, at the latest when
 * the library is unloaded: its code goes then (sys/unload.c).
 */
#ifndef ASY_SYS_THREAD_H
#define ASY_SYS_THREAD_H

#include "base/list.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread with all signals blocked but those of a fault in it, and a name of at most 15 bytes. 0 or
 * -EAGAIN. */
int asy_sys_thread_start(void (*fn)(void *), void *arg, const char *name);

/* One that we have started, in its own frame. */
struct asy_thread {
    struct list node; /* among those that run */
    pthread_t id;
    _Atomic uint32_t called; /* bits: by whoever has work; since all are to end. Sleeps on it */
};
/* The calling thread; NULL: it is none of ours. */
struct asy_thread *asy_sys_thread_self(void);
/* It has nothing to do from here on, and may be called. */
void asy_sys_thread_rests(struct asy_thread *self);
/* Sleeps until it is called, or all are to end, for at most so long (below 0: no limit). */
void asy_sys_thread_sleep(struct asy_thread *self, int64_t timeout_ns);
/* Since it rests somebody with work has called. */
bool asy_sys_thread_was_called(struct asy_thread *self);
/* Calls one that has nothing to do; the word to wake when the caller's locks are open. The word may be gone
 * by then. */
const _Atomic uint32_t *asy_sys_thread_call(struct asy_thread *thread);
/* Has all threads end, those that are busy as soon as they are not any more, and waits so long for it
 * (below 0: no limit). How many are left; the calling one does not count. */
unsigned asy_sys_threads_end(int64_t timeout_ns);
/* Nobody joins threads any more: the program ends. */
void asy_sys_threads_leave(void);

/* A key whose `end` is called in each thread that has set it and ends, but not once the library is
 * unloaded. False: there are none left. */
bool asy_sys_thread_key(pthread_key_t *key, void (*end)(void *));
/*
 * Sleeps for as long as *word is `value`, until somebody wakes it, or for timeout_ns (below 0: no limit).
 * May come back early. False: the time is over.
 */
bool asy_sys_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ns);
/* Wakes so many of those who sleep on it. Async-signal-safe. The word may be gone already: whoever sleeps
 * on what lies there now comes back early. */
void asy_sys_futex_wake(const _Atomic uint32_t *word, int count);
/* How many processors this process may use. */
unsigned asy_sys_processors(void);

#endif
