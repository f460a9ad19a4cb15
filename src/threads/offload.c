/*
 * Work for other threads. See offload.h.
 *
 * All of a pool is under its lock, which is held for a few steps, and while a thread is begun.
 * Threads that wait for work lie on a stack, and the one that came last is called first: it is
 * warm, and those that are not needed end. A thread that hands work back is about to look at the
 * queue, so nobody is called, or begun, for what it will find there.
 */
#include "threads/offload.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/cancel.h"
#include "core/loop.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <sched.h>

#define DEFAULT_THREADS 32

_Atomic int64_t asy_pool_idle_ns = INT64_C(10000000000);

/* ---- Pools ---------------------------------------------------------------------------- */

/* What stands in `process`: whose the pool is, or who is making it his own. */
static unsigned process_now(void)
{
    return asy_fork_generation * 2;
}

static void reset_pool(struct pool *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    list_init(&pool->queue);
    list_init(&pool->idle);
    pool->queued = pool->outstanding = 0;
    pool->threads = pool->returning = pool->abandoned = 0;
}

void asy_pool_init(struct pool *pool, unsigned threads_max, const char *name)
{
    reset_pool(pool);
    pool->threads_max = threads_max;
    pool->abandoned_max = 0;
    pool->name = name;
    pool->is_retired = false;
    atomic_init(&pool->process, process_now());
}

/* In a forked child: the threads, the lock and the work are the parent's. Several threads of the child may
 * come here first; one of them does it. */
static void begin_anew_in_child(struct pool *pool)
{
    unsigned now = process_now();
    unsigned whose = atomic_load_explicit(&pool->process, memory_order_acquire);
    while (UNLIKELY(whose != now)) {
        if (whose == now + 1) {
            sched_yield();
            whose = atomic_load_explicit(&pool->process, memory_order_acquire);
        } else if (atomic_compare_exchange_strong(&pool->process, &whose, now + 1)) {
            reset_pool(pool);
            atomic_store_explicit(&pool->process, now, memory_order_release);
            return;
        }
    }
}

static void free_pool(struct pool *pool)
{
    pthread_mutex_destroy(&pool->lock);
    asy_loose_object_free(&pool->object);
}

/* A piece of work, or a thread, leaves the pool, which is locked. Frees a retired one with the last. */
static void leave_locked(struct pool *pool)
{
    bool last = pool->is_retired && !pool->threads && !pool->outstanding;
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

/* ---- Threads that wait for work ---------------------------------------------------------- */

struct idler {
    struct list node; /* in the pool's `idle`, until called */
    struct asy_thread *thread;
};

/* Locked. Whom to wake once it is not, in a place that may be gone by then. */
static const _Atomic uint32_t *call_idler(struct pool *pool)
{
    return asy_sys_thread_call(LIST_ENTRY(list_take_first(&pool->idle), struct idler, node)->thread);
}

/* Locked, but while it waits. False: for long enough, or all threads are to end; and nobody called. */
static bool wait_to_be_called(struct pool *pool)
{
    struct idler self = {.thread = asy_sys_thread_self()};
    asy_sys_thread_rests(self.thread);
    list_prepend(&pool->idle, &self.node);
    pthread_mutex_unlock(&pool->lock);
    asy_sys_thread_sleep(self.thread, asy_pool_idle_ns);
    pthread_mutex_lock(&pool->lock);
    list_remove(&self.node);
    return asy_sys_thread_was_called(self.thread);
}

void asy_pool_retire(struct pool *pool)
{
    begin_anew_in_child(pool);
    pthread_mutex_lock(&pool->lock);
    pool->is_retired = true;
    while (!list_is_empty(&pool->idle))
        asy_sys_futex_wake(call_idler(pool), 1);
    leave_locked(pool);
}

/* ---- Back on the loop's thread ------------------------------------------------------- */

/* Nothing waits for it any more that would stand still with a virtual clock. */
static void uncount(struct work *work)
{
    if (work->is_counted)
        work->loop->abroad.awaited_work--;
    work->is_counted = false;
}

static void come_back(struct work *work, void (*then)(struct work *work))
{
    asyncio_loop *loop = work->loop;
    struct pool *pool = work->pool;
    list_remove(&work->abroad.node);
    uncount(work);
    then(work);
    settle(pool);
    asy_loop_let_go(loop);
}

static void resume(struct work *work)
{
    struct wait *wait = work->wait;
    if (wait) {
        work->wait = NULL;
        asy_wait_wake(wait, 0);
    } else if (work->done) {
        work->done(work);
    } else {
        work->free(work);
    }
}

static void run_back(struct callback *callback)
{
    come_back((struct work *)callback, resume);
}

/* The loop closes: who waited is gone for good. */
static void drop_back(struct callback *callback)
{
    struct work *work = (struct work *)callback;
    come_back(work, work->free);
}

static const struct callback_kind back_kind = {run_back, drop_back};

/* A call that a task waited for does not begin any more. What has begun, or needs nobody, goes on. */
static void loop_closes(struct abroad *abroad)
{
    struct work *work = LIST_ENTRY(abroad, struct work, abroad);
    bool waited_for = work->wait && !work->goes_on;
    uncount(work);
    work->wait = NULL;
    if (work->lost)
        work->lost(work);
    if (waited_for && asy_offload_abandon(work))
        work->free(work);
}

/* ---- On the pool's threads --------------------------------------------------------------- */

/* How many threads it may have: more than the limit while some of them run what nobody waits for. */
static unsigned count_places(const struct pool *pool)
{
    unsigned more = pool->abandoned < pool->abandoned_max ? pool->abandoned : pool->abandoned_max;
    return pool->threads_max + more;
}

/* Locked. NULL: the thread is to end. */
static struct work *next_work(struct pool *pool)
{
    while (list_is_empty(&pool->queue))
        if (pool->is_retired || pool->threads > count_places(pool) || !wait_to_be_called(pool))
            return NULL;
    struct work *work = LIST_ENTRY(list_take_first(&pool->queue), struct work, node);
    pool->queued--;
    work->has_begun = work->is_running = true;
    return work;
}

/* Locked. */
static void end_work(struct pool *pool, struct work *work)
{
    work->is_running = false;
    if (work->is_abandoned)
        pool->abandoned--;
}

static void run(struct work *work)
{
    unsigned process = process_now();
    work->run(work);
    if (UNLIKELY(process_now() != process))
        asy_fatal("a function on a thread of an executor returned in a forked child process; the thread "
                  "belongs to the parent: end the child with _exit");
}

static int need_thread(struct pool *pool, const _Atomic uint32_t **wake);

/* Its loop is closed. With the pool locked before and after. What was queued meanwhile counted on this
 * thread, which the program may now keep: another comes to it. */
static void free_lost(struct pool *pool, struct work *work)
{
    asyncio_loop *loop = work->loop;
    const _Atomic uint32_t *wake = NULL;
    if (pool->queued > pool->returning)
        need_thread(pool, &wake);
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        asy_sys_futex_wake(wake, 1);
    work->free(work);
    asy_loop_let_go(loop);
    pthread_mutex_lock(&pool->lock);
    pool->outstanding--;
}

/* With the pool locked before and after. */
static void hand_back(struct pool *pool, struct work *work)
{
    pool->returning++;
    pthread_mutex_unlock(&pool->lock);
    /* Held once more: work and loop may be over while it is still being woken. */
    asyncio_loop *loop = work->loop;
    asy_loop_hold(loop);
    bool refused = asy_post(loop, &work->post) != 0;
    asy_loop_let_go(loop);
    pthread_mutex_lock(&pool->lock);
    pool->returning--;
    if (refused)
        free_lost(pool, work);
}

static void pool_thread(void *arg)
{
    struct pool *pool = arg;
    struct work *work;
    pthread_mutex_lock(&pool->lock);
    while ((work = next_work(pool))) {
        pthread_mutex_unlock(&pool->lock);
        run(work);
        pthread_mutex_lock(&pool->lock);
        end_work(pool, work);
        hand_back(pool, work);
    }
    pool->threads--;
    leave_locked(pool);
}

/* ---- Handing over -------------------------------------------------------------------------- */

static unsigned default_threads(void)
{
    unsigned processors = asy_sys_processors();
    return processors + 4 < DEFAULT_THREADS ? processors + 4 : DEFAULT_THREADS;
}

/* Locked. Sees to it that a thread comes to one more piece of work than there is. */
static int need_thread(struct pool *pool, const _Atomic uint32_t **wake)
{
    if (pool->queued < pool->returning)
        return 0;
    if (!list_is_empty(&pool->idle)) {
        *wake = call_idler(pool);
        return 0;
    }
    if (UNLIKELY(!pool->threads_max))
        pool->threads_max = default_threads();
    if (pool->threads >= count_places(pool))
        return 0;
    int err = asy_sys_thread_start(pool_thread, pool, pool->name);
    if (err)
        return pool->threads ? 0 : err; /* those that there are will come to it */
    pool->threads++;
    return 0;
}

int asy_offload(struct pool *pool, asyncio_loop *loop, struct work *work)
{
    const _Atomic uint32_t *wake = NULL;
    work->post.callback.kind = &back_kind;
    work->loop = loop;
    work->pool = pool;
    work->has_begun = work->is_running = work->is_abandoned = false;
    work->abroad.loop_closes = loop_closes;
    begin_anew_in_child(pool);
    pthread_mutex_lock(&pool->lock);
    int err = need_thread(pool, &wake);
    if (!err) {
        asy_loop_hold(loop);
        list_append(&loop->abroad.entries, &work->abroad.node);
        loop->abroad.awaited_work++;
        work->is_counted = true;
        pool->outstanding++;
        pool->queued++;
        list_append(&pool->queue, &work->node);
    }
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        asy_sys_futex_wake(wake, 1);
    return err;
}

/* Locked. False: it has begun. */
static bool take_from_queue(struct pool *pool, struct work *work)
{
    if (work->has_begun)
        return false;
    list_remove(&work->node);
    pool->queued--;
    pool->outstanding--;
    return true;
}

static void come_home(struct work *work)
{
    list_remove(&work->abroad.node);
    uncount(work);
    asy_loop_let_go(work->loop);
}

bool asy_offload_take_back(struct work *work)
{
    if (asy_loop_is_parents(work->loop))
        return false; /* a thread of the parent's may have held the lock */
    pthread_mutex_lock(&work->pool->lock);
    bool ours = take_from_queue(work->pool, work);
    leave_locked(work->pool);
    if (ours)
        come_home(work);
    return ours;
}

/* Locked. The thread goes on, and another comes to what is queued. */
static void give_place_up(struct pool *pool, struct work *work, const _Atomic uint32_t **wake)
{
    if (!work->is_running || work->is_abandoned)
        return;
    work->is_abandoned = true;
    pool->abandoned++;
    if (pool->queued > pool->returning)
        need_thread(pool, wake);
}

bool asy_offload_abandon(struct work *work)
{
    const _Atomic uint32_t *wake = NULL;
    uncount(work);
    if (asy_loop_is_parents(work->loop))
        return false;
    pthread_mutex_lock(&work->pool->lock);
    bool ours = take_from_queue(work->pool, work);
    if (!ours)
        give_place_up(work->pool, work, &wake);
    leave_locked(work->pool);
    if (wake)
        asy_sys_futex_wake(wake, 1);
    if (ours)
        come_home(work);
    return ours;
}

/* Nobody waits for it any more. One that has not begun is taken back. */
static bool let_go(struct wait *wait)
{
    struct work *work = wait->object;
    work->wait = NULL;
    if (asy_offload_abandon(work))
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
    if (!err && (err = asy_offload(pool, loop, work)))
        asyncio_raise(err, "no thread could be made: %s", asyncio_strerror(err));
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
