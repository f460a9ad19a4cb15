/*
 * Work for other threads. See offload.h.
 *
 * A pool's lock protects all of its fields but `process`. It is held for a few steps, or while a thread is
 * begun, and no function of the program runs under it.
 *
 * Idle threads form a stack. The one that came last is called first, because its cache is warm; the ones at
 * the bottom end when nobody has called them for a while. A thread that hands work back looks at the queue
 * next, so no other thread is called or begun for the work that it will find there.
 */
#include "threads/offload.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/checks.h"
#include "core/director.h"
#include "core/loop.h"
#include "core/trace.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include <errno.h>
#include <sched.h>

#define DEFAULT_THREADS 32

/* Tests write it while threads of the pools read it. Nothing is ordered by it. */
_Atomic int64_t asy_pool_idle_ns = INT64_C(10000000000);

/* ---- Pools ---------------------------------------------------------------------------- */

/* The even number that stands in `process` when the pool is this process's. The odd number after it stands
 * there while a thread of this process resets the pool. */
static unsigned read_process_mark(void)
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
    atomic_init(&pool->process, read_process_mark());
}

/*
 * In a forked child the threads, the lock and the work are the parent's: the first thread of the child that
 * uses the pool resets it, and the others wait for that.
 *
 * A thread that reads the child's number must see the pool as it was reset: the store releases, the load
 * acquires. The exchange decides which thread resets, and orders nothing else.
 */
static void renew_after_fork(struct pool *pool)
{
    unsigned now = read_process_mark();
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

/* Unlocks the pool, which a piece of work or a thread has just left. The last one frees a retired pool. */
static void leave_locked_pool(struct pool *pool)
{
    ASY_ASSERT(pool->abandoned <= pool->threads && pool->queued <= pool->outstanding);
    bool is_last = pool->is_retired && !pool->threads && !pool->outstanding;
    pthread_mutex_unlock(&pool->lock);
    if (is_last)
        free_pool(pool);
}

static void settle_work(struct pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    ASY_ASSERT(pool->outstanding > 0);
    pool->outstanding--;
    leave_locked_pool(pool);
}

/* ---- Threads that wait for work ---------------------------------------------------------- */

struct idler {
    struct list node; /* in the pool's `idle`, until called */
    struct asy_thread *thread;
};

/* Locked. Takes the latest idle thread off the stack. Returns the futex to wake when the pool is unlocked;
 * the thread may be gone by then, and the wake-up is harmless. */
static const _Atomic uint32_t *call_idler(struct pool *pool)
{
    return asy_sys_thread_call(LIST_ENTRY(list_take_first(&pool->idle), struct idler, node)->thread);
}

/* Locked before and after. False: nobody called, and the thread has waited long enough, or all threads are to
 * end. */
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
    renew_after_fork(pool);
    pthread_mutex_lock(&pool->lock);
    pool->is_retired = true;
    while (!list_is_empty(&pool->idle))
        asy_sys_futex_wake(call_idler(pool), 1);
    leave_locked_pool(pool);
}

/* ---- Back on the loop's thread ------------------------------------------------------- */

/* A virtual clock need not stand still for this work any more. */
static void uncount_work(struct work *work)
{
    if (!work->is_counted)
        return;
    ASY_ASSERT(work->loop->abroad.awaited_work > 0);
    work->loop->abroad.awaited_work--;
    work->is_counted = false;
}

static void trace_work(asyncio_loop *loop, const struct work *work)
{
    const struct wait *wait = work->wait;
    asy_trace_work(loop, &(struct trace_work){.task = wait ? wait->task : NULL,
                                              .name = wait ? wait->kind->name : "work",
                                              .tid = work->tid,
                                              .begin_ns = work->begin_ns,
                                              .end_ns = work->end_ns});
}

static void bring_back(struct work *work, void (*then)(struct work *work))
{
    asyncio_loop *loop = work->loop;
    struct pool *pool = work->pool;
    ASY_ASSERT(work->has_begun && !work->is_running);
    list_remove(&work->abroad.node);
    uncount_work(work);
    if (UNLIKELY(work->is_timed) && loop->is_traced)
        trace_work(loop, work);
    then(work);
    int64_t begun = asy_checks_begin_excuse(loop);
    settle_work(pool);
    asy_checks_end_excuse(loop, begun);
    asy_loop_let_go(loop);
}

void asy_work_resume(struct work *work)
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

static void run_returned(struct callback *callback)
{
    bring_back((struct work *)callback, asy_work_resume);
}

/* The loop closes, and the task that waited never runs again. */
static void drop_returned(struct callback *callback)
{
    struct work *work = (struct work *)callback;
    bring_back(work, work->free);
}

static const struct callback_kind returned_kind = {run_returned, drop_returned};

/* Work that a task waited for is taken back if it has not begun. Work that has begun, or that goes on by
 * itself, is done. */
static void work_loop_closes(struct abroad *abroad)
{
    struct work *work = LIST_ENTRY(abroad, struct work, abroad);
    bool was_waited_for = work->wait && !work->goes_on;
    uncount_work(work);
    work->wait = NULL;
    if (work->lost)
        work->lost(work);
    if (was_waited_for && asy_offload_abandon(work))
        work->free(work);
}

/* ---- On the pool's threads --------------------------------------------------------------- */

/* How many threads the pool may have. Some that run abandoned work do not count against the limit. */
static unsigned count_places(const struct pool *pool)
{
    unsigned extra = pool->abandoned < pool->abandoned_max ? pool->abandoned : pool->abandoned_max;
    return pool->threads_max + extra;
}

/* Locked. NULL: the thread, whose id is `tid`, is to end. */
static struct work *take_next_work(struct pool *pool, int tid)
{
    while (list_is_empty(&pool->queue))
        if (pool->is_retired || pool->threads > count_places(pool) || !wait_to_be_called(pool))
            return NULL;
    struct work *work = LIST_ENTRY(list_take_first(&pool->queue), struct work, node);
    ASY_ASSERT(pool->queued > 0 && !work->has_begun);
    pool->queued--;
    work->has_begun = work->is_running = true;
    work->tid = tid;
    return work;
}

/* Locked. */
static void end_work(struct pool *pool, struct work *work)
{
    ASY_ASSERT(work->is_running && pool->abandoned >= work->is_abandoned);
    work->is_running = false;
    pool->abandoned -= work->is_abandoned;
}

static void run_taken_work(struct work *work)
{
    unsigned process = read_process_mark();
    if (UNLIKELY(work->is_timed))
        work->begin_ns = asy_sys_now_ns();
    work->run(work);
    if (UNLIKELY(work->is_timed))
        work->end_ns = asy_sys_now_ns();
    if (UNLIKELY(read_process_mark() != process))
        asy_fatal("a function on a thread of an executor returned in a forked child process; the thread "
                  "belongs to the parent: end the child with _exit");
}

static int ensure_thread(struct pool *pool, const _Atomic uint32_t **wake);

/* Frees work whose loop is closed. Locked before and after. Work that was queued meanwhile relied on this
 * thread; `free` is the program's and may take long, so another thread is called for that work. */
static void free_lost_work(struct pool *pool, struct work *work)
{
    asyncio_loop *loop = work->loop;
    const _Atomic uint32_t *wake = NULL;
    if (pool->queued > pool->returning)
        ensure_thread(pool, &wake);
    pthread_mutex_unlock(&pool->lock);
    if (wake)
        asy_sys_futex_wake(wake, 1);
    work->free(work);
    asy_loop_let_go(loop);
    pthread_mutex_lock(&pool->lock);
    ASY_ASSERT(pool->outstanding > 0);
    pool->outstanding--;
}

/* Locked before and after. */
static void hand_work_back(struct pool *pool, struct work *work)
{
    pool->returning++;
    pthread_mutex_unlock(&pool->lock);
    /* This thread holds the loop, too: work and loop may be gone before asy_post has woken it. */
    asyncio_loop *loop = work->loop;
    asy_loop_hold(loop);
    bool is_refused = asy_post(loop, &work->post) != 0;
    asy_loop_let_go(loop);
    pthread_mutex_lock(&pool->lock);
    ASY_ASSERT(pool->returning > 0);
    pool->returning--;
    if (is_refused)
        free_lost_work(pool, work);
}

static void run_pool_thread(void *arg)
{
    struct pool *pool = arg;
    struct work *work;
    int tid = asy_sys_gettid();
    pthread_mutex_lock(&pool->lock);
    while ((work = take_next_work(pool, tid))) {
        pthread_mutex_unlock(&pool->lock);
        run_taken_work(work);
        pthread_mutex_lock(&pool->lock);
        end_work(pool, work);
        hand_work_back(pool, work);
    }
    ASY_ASSERT(pool->threads > 0);
    pool->threads--;
    leave_locked_pool(pool);
}

/* ---- Handing over -------------------------------------------------------------------------- */

static unsigned choose_thread_count(void)
{
    unsigned processors = asy_sys_processors();
    return processors + 4 < DEFAULT_THREADS ? processors + 4 : DEFAULT_THREADS;
}

/* Locked. Makes sure that a thread will look at the queue for one more piece of work. `*wake`: a futex to
 * wake when the pool is unlocked, or untouched. */
static int ensure_thread(struct pool *pool, const _Atomic uint32_t **wake)
{
    if (pool->queued < pool->returning)
        return 0;
    if (!list_is_empty(&pool->idle)) {
        *wake = call_idler(pool);
        return 0;
    }
    if (UNLIKELY(!pool->threads_max))
        pool->threads_max = choose_thread_count();
    if (pool->threads >= count_places(pool))
        return 0;
    int err = asy_sys_thread_start(run_pool_thread, pool, pool->name);
    if (err)
        return pool->threads ? 0 : err; /* the threads that there are will do the work */
    pool->threads++;
    return 0;
}

static int hand_over_work(struct pool *pool, asyncio_loop *loop, struct work *work)
{
    const _Atomic uint32_t *wake = NULL;
    pthread_mutex_lock(&pool->lock);
    int err = ensure_thread(pool, &wake);
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

int asy_offload(struct pool *pool, asyncio_loop *loop, struct work *work)
{
    work->post.kind = &returned_kind;
    work->tid = 0;
    work->loop = loop;
    work->pool = pool;
    ASY_ASSERT(work->run && work->free);
    work->has_begun = work->is_running = work->is_abandoned = false;
    if (UNLIKELY(loop->director != NULL))
        return asy_work_here_start(loop, work);
    work->is_timed = asy_trace_has_real_time(loop);
    work->abroad.loop_closes = work_loop_closes;
    renew_after_fork(pool);
    int64_t begun = asy_checks_begin_excuse(loop); /* a lock may be held, and a new thread takes a moment */
    int err = hand_over_work(pool, loop, work);
    asy_checks_end_excuse(loop, begun);
    return err;
}

/* Locked. False: it has begun. */
static bool take_queued_work(struct pool *pool, struct work *work)
{
    if (work->has_begun)
        return false;
    ASY_ASSERT(pool->queued > 0 && pool->outstanding > 0);
    list_remove(&work->node);
    pool->queued--;
    pool->outstanding--;
    return true;
}

static void end_abroad(struct work *work)
{
    list_remove(&work->abroad.node);
    uncount_work(work);
    asy_loop_let_go(work->loop);
}

bool asy_offload_take_back(struct work *work)
{
    if (asy_loop_is_parents(work->loop))
        return false; /* a thread of the parent may have held the lock at the fork */
    if (UNLIKELY(work->loop->director != NULL))
        return asy_work_here_take_back(work);
    pthread_mutex_lock(&work->pool->lock);
    bool is_taken = take_queued_work(work->pool, work);
    leave_locked_pool(work->pool);
    if (is_taken)
        end_abroad(work);
    return is_taken;
}

/* Locked. The thread that runs the work goes on with it; another one comes for the work that is queued. */
static void give_up_place(struct pool *pool, struct work *work, const _Atomic uint32_t **wake)
{
    if (!work->is_running || work->is_abandoned)
        return;
    ASY_ASSERT(pool->abandoned < pool->threads);
    work->is_abandoned = true;
    pool->abandoned++;
    if (pool->queued > pool->returning)
        ensure_thread(pool, wake);
}

bool asy_offload_abandon(struct work *work)
{
    const _Atomic uint32_t *wake = NULL;
    uncount_work(work);
    if (asy_loop_is_parents(work->loop))
        return false;
    if (UNLIKELY(work->loop->director != NULL))
        return asy_work_here_take_back(work);
    pthread_mutex_lock(&work->pool->lock);
    bool is_taken = take_queued_work(work->pool, work);
    if (!is_taken)
        give_up_place(work->pool, work, &wake);
    leave_locked_pool(work->pool);
    if (wake)
        asy_sys_futex_wake(wake, 1);
    if (is_taken)
        end_abroad(work);
    return is_taken;
}

/* The task waits no longer. Work that has not begun is taken back. */
static bool let_go_of_work(struct wait *wait)
{
    struct work *work = wait->object;
    work->wait = NULL;
    if (asy_offload_abandon(work))
        work->free(work);
    asy_wait_wake(wait, -ECANCELED);
    return true;
}

static const struct wait_kind offload_kind = {
    .name = "a thread",
    .cancel = let_go_of_work,
    .shape = {.kind = SHAPE_WORK, .at = {offsetof(struct work, tid)}},
};

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
