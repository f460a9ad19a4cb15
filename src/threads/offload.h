/*
 * Work for other threads: a bounded pool that begins threads as they are needed and lets them go when they
 * have been idle for a while.
 *
 * A piece of work is a block of its own, never on a task's stack. A thread of the pool runs it and hands it
 * back to its loop, which resumes the task that waits, or frees the work if none waits any more. If the loop
 * closes meanwhile, the thread frees the work.
 */
#ifndef ASY_THREADS_OFFLOAD_H
#define ASY_THREADS_OFFLOAD_H

#include "base/list.h"
#include "core/loop.h"
#include "core/post.h"
#include "core/quarantine.h"
#include "core/task.h"
#include "core/timer.h"
#include <pthread.h>
#include <stdbool.h>

struct work {
    struct callback post;
    struct list node;     /* in the pool's queue */
    struct abroad abroad; /* among what its loop has abroad. Loop's thread */
    asyncio_loop *loop;   /* held while the pool has the work */
    struct pool *pool;
    struct timer here;               /* in a simulation: when it runs, on the loop's thread */
    struct wait *wait;               /* of the task that waits; NULL: none, or none any more. Loop's thread */
    bool has_begun, is_running;      /* under the pool's lock */
    int tid;                         /* of the thread that has begun it, for tools; likewise. 0: none */
    bool is_timed;                   /* its loop is traced */
    bool is_abandoned;               /* likewise: it was running when the task gave up waiting */
    bool goes_on;                    /* it is done even if the loop closes before it has begun */
    bool is_counted;                 /* in the loop's `abroad.awaited_work`. Loop's thread */
    int64_t begin_ns, end_ns;        /* if it is timed: of `run`, by CLOCK_MONOTONIC */
    void (*run)(struct work *work);  /* on a thread of the pool */
    void (*done)(struct work *work); /* on the loop's thread, if `wait` is NULL; NULL: free */
    void (*lost)(struct work *work); /* on the loop's thread when it closes first, before `free`; or NULL */
    void (*free)(struct work *work); /* once, when pool and waiter are done with it */
};

struct pool {
    struct loose_object object; /* of an executor's */
    pthread_mutex_t lock;
    struct list queue; /* work that no thread has taken yet */
    struct list idle;  /* threads that wait for work, the latest first */
    size_t queued;
    unsigned returning; /* threads that are handing work back, and look at the queue next */
    unsigned threads, threads_max;
    unsigned abandoned;       /* threads that run abandoned work: */
    unsigned abandoned_max;   /* so many of them do not count against threads_max */
    size_t outstanding;       /* pieces of work that have not come back to their loop */
    const char *name;         /* of its threads */
    bool is_retired;          /* in a block of its own, which the last thread frees */
    _Atomic unsigned process; /* the process that its threads belong to: see renew_after_fork */
};

#define POOL_INIT(variable, most, most_abandoned, thread_name)                                               \
    {                                                                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER, .queue = {&(variable).queue, &(variable).queue},                  \
        .idle = {&(variable).idle, &(variable).idle}, .threads_max = (most),                                 \
        .abandoned_max = (most_abandoned), .name = (thread_name)                                             \
    }

/* How long a thread stays without work. Tests shorten it. */
extern _Atomic int64_t asy_pool_idle_ns;

/* 0 threads: processors + 4, at most 32. */
void asy_pool_init(struct pool *pool, unsigned threads_max, const char *name);
/* For a pool in allocated memory: queued work still runs, then the pool is freed. */
void asy_pool_retire(struct pool *pool);

/* Hands the work to the pool, which owns it from then on. 0; -EAGAIN: no thread could be made, and the work
 * is still the caller's. Under a director the loop runs it itself (work_here.c). */
int asy_offload(struct pool *pool, asyncio_loop *loop, struct work *work);

/*
 * The same, and waits. 0: it has run, and the caller calls work->free. An error, -ECANCELED or -EAGAIN: the
 * work is not the caller's any more.
 */
int asy_offload_wait(struct pool *pool, asyncio_loop *loop, struct work *work);
/* The same with the caller's own kind of wait, whose cancel may refuse. */
int asy_offload_wait_as(struct pool *pool, asyncio_loop *loop, struct work *work,
                        const struct wait_kind *kind);
/* Gives the work up. True: it had not begun, and is the caller's again. False: it goes on, and its place in
 * the pool is free for other work, within the pool's limit. */
bool asy_offload_abandon(struct work *work);
/* Back on the loop's thread, and run: resumes the task that waits, or tells `done`, or frees the work. */
void asy_work_resume(struct work *work);

/* ---- work_here.c: in place of a pool ---- */
int asy_work_here_start(asyncio_loop *loop, struct work *work);
/* False: it has run. */
bool asy_work_here_take_back(struct work *work);

/* Takes the work back if it has not begun. False: it has, and nothing changes. */
bool asy_offload_take_back(struct work *work);

#endif
