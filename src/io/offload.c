/*
 * Work for other threads. See offload.h.
 */
#include "io/offload.h"
#include "asyncio/errors.h"
#include "core/loop.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>

#define IDLE_S 10

static void free_pool(struct pool *pool);

/* A piece of work, or a thread, leaves the pool, which is locked. Frees a retired one with the last. */
static void leave_locked(struct pool *pool)
{
    bool last = pool->retired && !pool->threads && !pool->outstanding;
    pthread_mutex_unlock(&pool->lock);
    if (last)
        free_pool(pool);
}

static void settle(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    pool->outstanding--;
    leave_locked(pool);
}

/* ---- Back on the loop's thread ------------------------------------------------------- */

static void give_back(struct work *work)
{
    asyncio_loop *loop = work->loop;
    struct pool *pool = work->pool;
    struct wait *wait = work->wait;
    if (wait) {
        work->wait = NULL;
        asy_wait_wake(wait, 0);
    } else if (work->done) {
        work->done(work);
    } else {
        work->free(work);
    }
    settle(pool);
    asyncio_loop_release(loop);
}

static void run_back(struct callback *callback)
{
    give_back((struct work *)callback);
}

/* The loop closes: who waited is gone for good. */
static void drop_back(struct callback *callback)
{
    struct work *work = (struct work *)callback;
    asyncio_loop *loop = work->loop;
    struct pool *pool = work->pool;
    work->free(work);
    settle(pool);
    asyncio_loop_release(loop);
}

static const struct callback_kind back_kind = {run_back, drop_back};

/* ---- Pools ---------------------------------------------------------------------------- */

void asy_pool_init(struct pool *pool, unsigned threads_max, const char *name)
{
    *pool = (struct pool){
        .threads_max = threads_max, .name = name, .fork_generation = asy_fork_generation};
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->filled, NULL);
    list_init(&pool->queue);
}

/* In a forked child: the threads, the lock and the work are the parent's. */
static void begin_anew_in_child(struct pool *pool)
{
    if (LIKELY(__atomic_load_n(&pool->fork_generation, __ATOMIC_ACQUIRE) == asy_fork_generation))
        return;
    asy_pool_init(pool, pool->threads_max, pool->name);
}

static void free_pool(struct pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->filled);
    asy_sys_free(pool);
}

void asy_pool_retire(struct pool *pool)
{
    begin_anew_in_child(pool);
    pthread_mutex_lock(&pool->lock);
    pool->retired = true;
    pthread_cond_broadcast(&pool->filled);
    leave_locked(pool);
}

/* ---- On the pool's threads --------------------------------------------------------------- */

static struct work *next_work(struct pool *pool)
{
    while (list_is_empty(&pool->queue)) {
        if (pool->retired)
            return NULL;
        pool->idle++;
        bool more = asy_sys_cond_wait(&pool->filled, &pool->lock, IDLE_S);
        pool->idle--;
        if (!more && list_is_empty(&pool->queue))
            return NULL;
    }
    pool->queued--;
    return LIST_ENTRY(list_take_first(&pool->queue), struct work, node);
}

static void *pool_thread(void *arg)
{
    struct pool *pool = arg;
    struct work *work;
    pthread_mutex_lock(&pool->lock);
    while ((work = next_work(pool))) {
        work->state = WORK_RUNNING;
        pthread_mutex_unlock(&pool->lock);
        work->run(work);
        pthread_mutex_lock(&pool->lock);
        work->state = WORK_DONE;
        pthread_mutex_unlock(&pool->lock);
        /* A reference of its own: work and loop may be over while it is still being woken. */
        asyncio_loop *loop = asyncio_loop_ref(work->loop);
        if (asy_post(loop, &work->post)) {
            work->free(work);
            settle(pool);
            asyncio_loop_release(loop);
        }
        asyncio_loop_release(loop);
        pthread_mutex_lock(&pool->lock);
    }
    pool->threads--;
    leave_locked(pool);
    return NULL;
}

/* ---- Handing over -------------------------------------------------------------------------- */

int asy_offload(struct pool *pool, asyncio_loop *loop, struct work *work)
{
    int err = 0;
    work->post.callback.kind = &back_kind;
    work->loop = loop;
    work->pool = pool;
    work->state = WORK_QUEUED;
    begin_anew_in_child(pool);
    pthread_mutex_lock(&pool->lock);
    /* An idle thread stays so until it runs: what is queued already is meant for it. */
    if (pool->queued >= pool->idle && pool->threads < pool->threads_max) {
        err = asy_sys_thread_start(pool_thread, pool, pool->name);
        if (!err)
            pool->threads++;
        else if (pool->threads)
            err = 0; /* those that there are will come to it */
    }
    if (!err) {
        asyncio_loop_ref(loop);
        pool->outstanding++;
        pool->queued++;
        list_append(&pool->queue, &work->node);
        pthread_cond_signal(&pool->filled);
    }
    pthread_mutex_unlock(&pool->lock);
    return err;
}

bool asy_offload_take_back(struct work *work)
{
    if (asy_loop_is_parents(work->loop))
        return false; /* a thread of the parent's may have held the lock */
    pthread_mutex_lock(&work->pool->lock);
    bool queued = work->state == WORK_QUEUED;
    if (queued) {
        list_remove(&work->node);
        work->pool->queued--;
        work->pool->outstanding--;
    }
    leave_locked(work->pool);
    if (queued)
        asyncio_loop_release(work->loop);
    return queued;
}

/* Nobody waits for it any more. One that has not begun is taken back. */
static bool let_go(struct wait *wait)
{
    struct work *work = wait->object;
    work->wait = NULL;
    if (asy_offload_take_back(work))
        work->free(work);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

static const struct wait_kind offload_kind = {.name = "a thread", .cancel = let_go};

int asy_offload_wait_as(struct pool *pool, asyncio_loop *loop, struct work *work,
                        const struct wait_kind *kind)
{
    int err = asy_cancel_deliver(loop->current);
    struct wait wait;
    asy_wait_init(&wait, loop->current, kind, work);
    work->wait = &wait;
    if (!err)
        err = asy_offload(pool, loop, work);
    if (err) {
        work->free(work);
        return err;
    }
    return (int)asy_wait_park(&wait);
}

int asy_offload_wait(struct pool *pool, asyncio_loop *loop, struct work *work)
{
    return asy_offload_wait_as(pool, loop, work, &offload_kind);
}
