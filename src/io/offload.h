/*
 * Work for other threads: a bounded pool that begins threads as they are
 * needed and lets them go when they have been idle for a while.
 *
 * A piece of work is a block of its own, never on a task's stack. It is run on a thread of the
 * pool, then handed back to its loop, which resumes who waits, or drops it if
 * nobody does any more.
 */
#ifndef ASY_IO_OFFLOAD_H
#define ASY_IO_OFFLOAD_H

#include "base/list.h"
#include "core/post.h"
#include "core/task.h"
#include <pthread.h>
#include <stdbool.h>

enum work_state { WORK_QUEUED, WORK_RUNNING, WORK_DONE };

struct work {
    struct post post;
    struct list node;             /* in the pool's queue */
    asyncio_loop *loop;           /* a reference, while the pool has it */
    struct pool *pool;
    struct wait *wait;            /* who waits; NULL: nobody, any more. Loop's thread */
    enum work_state state;        /* under the pool's lock until done */
    void (*run)(struct work *work);  /* on a thread of the pool */
    void (*done)(struct work *work); /* on the loop's thread, where nobody waits by `wait`; NULL: free */
    void (*free)(struct work *work); /* once, when pool and waiter are done with it */
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    struct list queue;
    unsigned threads, idle, threads_max;
    size_t queued;                /* work that no thread has taken yet */
    size_t outstanding;           /* work that has not come back to its loop */
    const char *name;             /* of its threads */
    bool retired;                 /* in a block of its own, freed by the last thread */
    unsigned fork_generation;     /* of the process whose threads these are */
};

#define POOL_INIT(variable, most, thread_name)                                                               \
    {                                                                                                        \
        .lock = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER,                               \
        .queue = {&(variable).queue, &(variable).queue}, .threads_max = (most), .name = (thread_name)        \
    }

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
/* Takes work back that has not begun: the caller's again. */
bool asy_offload_take_back(struct work *work);

#endif
