/*
 * Threads, entered through the seam (sys.h). Each one that the library starts is joined, at the latest when
 * the library is unloaded: its code goes then (sys/unload.c).
 */
#ifndef ASY_SYS_THREAD_H
#define ASY_SYS_THREAD_H

#include "base/list.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Starts a thread with all signals blocked but those of a fault in it, and a name of at most 15 bytes. 0 or
 * -EAGAIN. */
int asy_sys_thread_start(void (*fn)(void *), void *arg, const char *name);

/* The same for a thread that the caller joins, before it leaves the library itself. */
int asy_sys_thread_begin(void *(*fn)(void *), void *arg, pthread_t *id);
void asy_sys_thread_join(pthread_t id);
/* Names the calling thread, for people: at most 15 bytes. */
void asy_sys_thread_name(const char *name);

/* A thread that we have started; the struct lies in its own frame. */
struct asy_thread {
    struct list node; /* among those that run */
    pthread_t id;
    _Atomic uint32_t called; /* bits: somebody has work; all are to end. The thread sleeps on it */
};
/* The calling thread; NULL if we have not started it. */
struct asy_thread *asy_sys_thread_self(void);
/* Says that the thread has nothing to do from here on, and may be called. */
void asy_sys_thread_rests(struct asy_thread *self);
/* Sleeps until it is called, or all are to end, for at most so long (below 0: no limit). */
void asy_sys_thread_sleep(struct asy_thread *self, int64_t timeout_ns);
/* Tells whether somebody with work has called the thread since it rests. */
bool asy_sys_thread_was_called(struct asy_thread *self);
/* Tells whether all are to end. */
bool asy_sys_thread_is_to_end(const struct asy_thread *self);
/* Calls a thread that has nothing to do. Returns the word to wake once the caller has released its locks;
 * the word may be gone by then. */
const _Atomic uint32_t *asy_sys_thread_call(struct asy_thread *thread);
/* Has all threads end, busy ones after their work, and waits for that, at most so long (below 0: no limit).
 * Returns how many are left, without the calling one. */
unsigned asy_sys_threads_end(int64_t timeout_ns);
/* Detaches all threads: the program ends, and nobody joins them any more. */
void asy_sys_threads_leave(void);

/* A key whose `end` is called in each thread that has set it and ends, but not once the library is
 * unloaded. False: there are none left. */
bool asy_sys_thread_key(pthread_key_t *key, void (*end)(void *));
/*
 * Sleeps for as long as *word is `value`, until somebody wakes it, or for timeout_ns (below 0: no limit).
 * May come back early. False: the time is over.
 */
bool asy_sys_futex_wait(_Atomic uint32_t *word, uint32_t value, int64_t timeout_ns);
/* Wakes so many sleepers of the word. Async-signal-safe. The word may be gone already: a sleeper on what
 * lies there now returns early. */
void asy_sys_futex_wake(const _Atomic uint32_t *word, int count);
/* Lets other threads run. */
void asy_sys_yield(void);
/* How many processors this process may use. */
unsigned asy_sys_processors(void);
/* The processors that the calling thread may run on. 0 or a negative errno. */
int asy_sys_affinity(cpu_set_t *set);
int asy_sys_set_affinity(const cpu_set_t *set);

#endif
