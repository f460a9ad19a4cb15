/*
 * Work for other threads: a bounded pool that begins threads as they are
 * needed and lets them go when they have been idle for a while.
 *
 * A piece of work is a block of its own, never on a task's stack. It is run on a thread of the
 * pool, then handed back to its loop, which resumes who waits, or drops it if
 * nobody does any more. If the loop closes meanwhile, the thread frees it.
 */
#ifndef ASY_THREADS_OFFLOAD_H
#define ASY_THREADS_OFFLOAD_H

#include "base/list.h"
#include "core/loop.h"
#include "core/post.h"
#include "core/quarantine.h"
#include "core/task.h"
#include <pthread.h>
#include <stdbool.h>

struct work {
    struct post post;
    struct list node;     /* in the pool's queue */
    struct abroad abroad; /* among what its loop has abroad. Loop's thread */
    asyncio_loop *loop;   /* held, while the pool has it */
    struct pool *pool;
    struct wait *wait;               /* who waits; NULL: nobody, any more. Loop's thread */
    bool has_begun, is_running;      /* under the pool's lock */
    bool is_abandoned;               /* likewise: nobody waits for it any more, and it was running then */
    bool goes_on;                    /* is done even if the loop closes before it has begun, whoever waits */
    bool is_counted;                 /* in the loop's `elsewhere`. Loop's thread */
    void (*run)(struct work *work);  /* on a thread of the pool */
    void (*done)(struct work *work); /* on the loop's thread, where nobody waits by `wait`; NULL: free */
    void (*lost)(struct work *work); /* likewise, when the loop closes first, with `free` to come; or NULL */
    void (*free)(struct work *work); /* once, when pool and waiter are done with it */
};

struct pool {
    struct loose_object object; /* of an executor's */
    pthread_mutex_t lock;
    struct list queue; /* work that no thread has taken yet */
    struct list idle;  /* threads that wait for some, the latest first */
    size_t queued;
    unsigned returning; /* threads that hand work back right now, and then look at the queue */
    unsigned threads, threads_max;
    unsigned abandoned;       /* threads that run what is abandoned: */
    unsigned abandoned_max;   /* as many of them do not count against threads_max */
    size_t outstanding;       /* work that has not come back to its loop */
    const char *name;         /* of its threads */
    bool is_retired;          /* in a block of its own, freed by the last thread */
    _Atomic unsigned process; /* whose threads these are: see begin_anew_in_child */
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
/* Of a pool in allocated memory: what is queued still runs, then it is freed. */
void asy_pool_retire(struct pool *pool);

/* Hands the work to the pool: its own from then on. 0; -EAGAIN: no thread could
 * be made, and the work is still the caller's. */
int asy_offload(struct pool *pool, asyncio_loop *loop, struct work *work);

/*
 * The same, and waits: 0 when it has run, then the caller calls work->free. -ECANCELED, and the
 * work is none of the caller's any more. Before it is asked to wait, work->free is the caller's to
 * call on an error.
 */
int asy_offload_wait(struct pool *pool, asyncio_loop *loop, struct work *work);
/* The same with a kind of wait of the caller's, whose cancel may refuse. */
int asy_offload_wait_as(struct pool *pool, asyncio_loop *loop, struct work *work,
                        const struct wait_kind *kind);
/* Nobody is interested in it any more. True if it has not begun: it is the caller's again. Else its place in
 * the pool is free for other work, within the pool's limit. */
bool asy_offload_abandon(struct work *work);
/* Likewise, but if it has begun nothing changes. */
bool asy_offload_take_back(struct work *work);

#endif
