/*
 * The event loop's iteration, and runs: many iterations, until somebody stops the loop or a future is done.
 */
#include "asyncio/events.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/debug.h"
#include "core/director.h"
#include "core/embed.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/overflow.h"
#include "core/switch.h"
#include "core/task.h"
#include "core/trace.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>

/* Under a load of yields the poll is amortised over this many hops, or this
 * much time, whichever is over first. */
#define POLL_HOPS 64
#define POLL_NS 100000

THREAD_LOCAL HIDDEN asyncio_loop *asy_running_loop;

HOT int64_t asy_loop_now_ns(asyncio_loop *loop)
{
    return loop->backend->ops->now_ns(loop->backend);
}

/* ---- One iteration ---------------------------------------------------------------- */

/* Other threads that have a reference, or something in hand for the loop. */
static bool others_may_wake(asyncio_loop *loop)
{
    return asy_loop_is_shared(loop) || !list_is_empty(&loop->abroad.entries);
}

static COLD void announce_wait(asyncio_loop *loop, int64_t deadline_ns)
{
    if (loop->debug && deadline_ns == ASY_NO_DEADLINE && !loop->backend->ops->is_virtual &&
        !loop->is_deadlocked && !loop->signals && !others_may_wake(loop) && !loop->backend->attached) {
        loop->is_deadlocked = true;
        asy_deadlock_report(loop);
    }
    if (loop->instrument)
        asy_trace_time(loop, ASYNCIO_TRACE_WAIT_BEGIN, NULL, deadline_ns);
}

static COLD int explain_failed_wait(asyncio_loop *loop, int err)
{
    if (err == -EINTR)
        return 0;
    if (err != -EDEADLK)
        return (int)asyncio_raise(err, "the event loop cannot wait: %s", asyncio_strerror(err));
    if (loop->director)
        loop->director->deadlocked(loop);
    else
        asy_deadlock_report(loop);
    return (int)asyncio_raise(err, "deadlock: nothing is left that could wake a task");
}

/* Does a virtual clock wait for other threads now? It does while a task waits for their work; and, when no
 * timer is set, while they may wake the loop at all. */
static bool waits_for_others(asyncio_loop *loop, int64_t deadline_ns)
{
    if (deadline_ns <= 0 || !loop->backend->ops->is_virtual)
        return false;
    return loop->abroad.awaited_work || (deadline_ns == ASY_NO_DEADLINE && others_may_wake(loop));
}

/* Is there nothing to do but to wait? */
static inline bool must_wait(const asyncio_loop *loop)
{
    return !loop->ready.first && !loop->is_stopping;
}

/* What ran since the last poll ended when the loop began to wait, if it has waited since; a time in began_ns
 * that lies before the last poll is of an older wait. */
static inline int64_t count_lag(asyncio_loop *loop)
{
    int64_t now_ns = asy_loop_now_ns(loop), began_ns = loop->backend->began_ns;
    if (loop->hops)
        asy_metrics_lag(&loop->metrics, loop->now_ns, began_ns >= loop->now_ns ? began_ns : now_ns);
    loop->hops = 0;
    return now_ns;
}

/* If nothing is ready, waits until something is, but not past latest_ns. */
static HOT int poll_backend(asyncio_loop *loop, int64_t latest_ns)
{
    bool waits = must_wait(loop);
    int err = 0, verdict = 0;
    if (UNLIKELY(loop->is_traced))
        asy_trace_poll(loop, waits ? asy_timers_next(&loop->timers) : 0);
    if (UNLIKELY(waits && loop->spin_ns)) {
        err = asy_loop_spin(loop);
        if (err)
            return explain_failed_wait(loop, err);
        waits = must_wait(loop) && !asy_posts_pending(loop);
    }
    int64_t deadline_ns = waits ? asy_timers_next(&loop->timers) : 0;
    if (UNLIKELY(deadline_ns > latest_ns))
        deadline_ns = latest_ns;
    if (waits) {
        asy_loop_give_spare_stack(loop);
        asy_stacks_trim(loop->stacks);
        /* Set before the look at posts: see the head of threadsafe.c. */
        atomic_store(&loop->posts.is_sleeping, true);
        if (asy_posts_pending(loop) || UNLIKELY(loop->backend->fetched > 0))
            deadline_ns = 0;
    }
    if (UNLIKELY(waits && loop->is_stepping))
        announce_wait(loop, deadline_ns);
    /* A loop inside another one always polls: that takes what made its descriptor readable. */
    if (UNLIKELY(waits_for_others(loop, deadline_ns)))
        loop->backend->ops->wait_for_others(loop->backend, deadline_ns);
    else if (UNLIKELY(deadline_ns > 0 && (loop->wait_hooks.before || loop->wait_hooks.after)))
        err = asy_wait_between_hooks(loop, deadline_ns, &verdict);
    else if (deadline_ns > 0 || UNLIKELY(loop->is_embedded) || loop->backend->ops->needs_poll(loop->backend))
        err = loop->backend->ops->wait(loop->backend, deadline_ns);
    /* Relaxed: a poster that still reads true writes to the eventfd once too often, no more. */
    if (waits) {
        atomic_store_explicit(&loop->posts.is_sleeping, false, memory_order_relaxed);
        if (UNLIKELY(loop->watched.limit_ns))
            asy_watchdog_woken(loop);
    }
    if (UNLIKELY(waits && loop->is_stepping && loop->instrument))
        asy_trace(loop, ASYNCIO_TRACE_WAIT_END, NULL);
    if (UNLIKELY(loop->is_traced))
        asy_trace_polled(loop);
    if (UNLIKELY(verdict < 0))
        return loop->verdict = verdict; /* events that were fetched are delivered in the next turn */
    asy_loop_deliver(loop);
    asy_posts_collect(loop);
    if (UNLIKELY(!list_is_empty(&loop->lent)))
        asy_tasks_lent_release(loop);
    loop->metrics.looked_ns = loop->now_ns = count_lag(loop);
    if (loop->timers.count)
        asy_timers_fire(loop, loop->now_ns);
    COUNT_UP(loop->polls);
    if (UNLIKELY(err))
        return explain_failed_wait(loop, err);
    return UNLIKELY(loop->is_stepping) && loop->director ? loop->director->polled(loop) : 0;
}

/* Could a poll bring anything that nobody posts: a timer, an event of a descriptor, a call on a file that is
 * done? */
static inline bool has_polled_sources(const asyncio_loop *loop)
{
    return loop->timers.count || loop->io || loop->backend->files_ring;
}

/* Lets up to `most` entries run before the next look, of those that were ready when the iteration began. */
static inline void begin_stretch(asyncio_loop *loop, size_t most)
{
    loop->batch = (uint32_t)(most < loop->ready_then ? most : loop->ready_then);
    loop->hops += loop->batch;
    loop->ready_then -= loop->batch;
}

/* Is it time to poll for timers and descriptors? Looks at the clock more often while steps are long. */
static NOINLINE bool is_poll_due(asyncio_loop *loop)
{
    if (loop->hops >= POLL_HOPS)
        return true;
    int64_t now_ns = asy_loop_now_ns(loop);
    bool is_late = now_ns - loop->now_ns >= POLL_NS;
    asy_metrics_look(&loop->metrics, now_ns);
    if (is_late)
        loop->look_hops = 1;
    else if (loop->look_hops < ASY_LOOK_HOPS_MAX)
        loop->look_hops *= 2;
    return is_late;
}

static inline __attribute__((always_inline)) bool may_go_on(asyncio_loop *loop)
{
    if (UNLIKELY(loop->is_stepping || loop->is_strict || loop->is_stopping || loop->eager)) {
        begin_stretch(loop, loop->ready_then);
        return loop->batch;
    }
    bool is_polled = has_polled_sources(loop);
    /* Relaxed: a post that is missed here is found at the next look, a few entries later. */
    if (atomic_load_explicit(&loop->posts.has_any, memory_order_relaxed) || (is_polled && is_poll_due(loop)))
        return false;
    if (loop->ready_then) {
        begin_stretch(loop, is_polled ? loop->look_hops : POLL_HOPS);
        return true;
    }
    if (loop->hops >= POLL_HOPS)
        return false;
    loop->batch = is_polled ? loop->look_hops : ASY_LOOK_HOPS_MAX; /* entries queued since */
    loop->hops += loop->batch;
    return true;
}

/* ---- One at a time, with a trace ---- */

/* What a batch has left is taken one at a time from here on. */
static inline void begin_singles(asyncio_loop *loop)
{
    loop->stretch += loop->batch;
    loop->batch = 0;
}

static NOINLINE bool goes_on_traced(asyncio_loop *loop)
{
    if (loop->eager || !loop->stretch) {
        if (!may_go_on(loop))
            return false;
        begin_singles(loop);
    }
    loop->stretch--;
    loop->batch = 1;
    asy_trace_next(loop);
    return true;
}

void asy_loop_set_traced(asyncio_loop *loop)
{
    loop->is_traced = loop->is_heard = true;
    begin_singles(loop);
    for (struct eager_start *start = loop->eager; start; start = start->outer) {
        loop->stretch += start->batch;
        start->batch = 0;
    }
}

/* Inside an eager start the batch is the creator's, and stays 0. */
void asy_loop_unset_traced(asyncio_loop *loop)
{
    if (!loop->eager)
        loop->batch += loop->stretch;
    loop->stretch = 0;
    loop->is_traced = false;
    loop->is_heard = loop->is_dozing;
}

/* May the tasks go on among themselves, without a poll? */
bool asy_loop_goes_on(asyncio_loop *loop)
{
    return UNLIKELY(loop->is_traced) ? goes_on_traced(loop) : may_go_on(loop);
}

/* Debug mode and instruments: runs one step of a task, and comes back before any other runs. */
static void run_watched_step(asyncio_loop *loop, asyncio_task *task)
{
    uint32_t batch = loop->batch, stretch = loop->stretch;
    size_t ready_then = loop->ready_then;
    loop->batch = loop->stretch = 0;
    loop->ready_then = 0;
    asy_step_hooks(loop, task, asy_task_resume);
    loop->batch = batch + stretch;
    loop->stretch = 0;
    loop->ready_then = ready_then;
    if (loop->is_traced)
        begin_singles(loop);
}

void asy_callback_run(asyncio_loop *loop, struct callback *callback)
{
    COUNT_UP(loop->callbacks);
    if (UNLIKELY(loop->is_stepping))
        asy_callback_hooks(loop, callback);
    else
        callback->kind->run(callback);
    asy_vars_leave(loop);
    if (UNLIKELY(asy_loop_is_parents(loop)))
        asy_returned_in_child(NULL);
}

static HOT void run_batch(asyncio_loop *loop)
{
    loop->ready_then = loop->ready.count;
    if (UNLIKELY(loop->is_strict))
        asy_order_iteration(loop);
    begin_stretch(loop, loop->look_hops);
    loop->stretch = 0;
    if (UNLIKELY(loop->is_traced))
        begin_singles(loop);
    struct ready *entry;
    while ((entry = loop->ready.first)) {
        if (loop->batch == 0 && !asy_loop_goes_on(loop))
            return;
        loop->batch--;
        if (entry->kind == READY_CALLBACK) {
            asy_callback_run(loop, callback_take_first(&loop->ready));
            continue;
        }
        ready_drop_first(&loop->ready);
        if (UNLIKELY(entry->kind == READY_END))
            return;
        if (entry->kind == READY_RELAY) {
            entry->kind = READY_TASK;
            ready_push(&loop->ready, entry);
        } else if (UNLIKELY(loop->is_stepping)) {
            run_watched_step(loop, LIST_ENTRY(entry, asyncio_task, ready));
        } else {
            asy_task_resume(loop, LIST_ENTRY(entry, asyncio_task, ready));
        }
    }
}

HOT int asy_loop_iterate(asyncio_loop *loop, int64_t latest_ns)
{
    int err = poll_backend(loop, latest_ns);
    if (!err)
        run_batch(loop);
    return err;
}

/* Runs until somebody stops the loop, or it cannot wait. */
static int run_iterations(asyncio_loop *loop)
{
    int err;
    do
        err = asy_loop_iterate(loop, ASY_NO_DEADLINE);
    while (!err && !loop->is_stopping);
    loop->is_stopping = false;
    return err;
}

/* ---- Running it --------------------------------------------------------------------- */

#if ASY_ASAN
/* Tasks that started in an earlier run come back to the stack that this run is on. If that is not the
 * thread's own (in a child that a task has forked), the first task that starts finds out (fiber_entered). */
static void learn_own_stack(struct fiber *fiber)
{
    pthread_attr_t attributes;
    void *low;
    fiber->size = 0;
    if (pthread_getattr_np(pthread_self(), &attributes))
        return;
    size_t bytes, depth;
    if (pthread_attr_getstack(&attributes, &low, &bytes) == 0) {
        depth = (size_t)((const char *)__builtin_frame_address(0) - (const char *)low);
        fiber->low = low;
        fiber->size = depth < bytes ? bytes : 0;
    }
    pthread_attr_destroy(&attributes);
}
#endif

/* Asks the kernel once a thread: runs may be many and short. */
static int find_own_tid(void)
{
    static THREAD_LOCAL struct {
        int tid;
        unsigned fork_generation;
    } own;
    if (!own.tid || own.fork_generation != asy_fork_generation) {
        own.tid = asy_sys_gettid();
        own.fork_generation = asy_fork_generation;
    }
    return own.tid;
}

static int check_may_run(asyncio_loop *loop, const char *call)
{
    if (!loop)
        return -EINVAL;
    if (asy_loop_is_parents(loop))
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the loop belongs to the parent process", call);
    if (asy_running_loop)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: a loop runs in this thread already", call);
    if (loop->is_running)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the loop runs in another thread", call);
    if (loop->is_closed)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "%s: the loop is closed", call);
    return 0;
}

static COLD int explain_refused_thread(int err, const char *call)
{
    if (err == -EBUSY)
        return (int)asyncio_raise(
            ASYNCIO_ESTATE, "%s: streams of the loop have operations under way in another thread", call);
    return (int)asyncio_raise(err, "%s: no ring for this thread: %s", call, asyncio_strerror(err));
}

int asy_loop_begin_run(asyncio_loop *loop, const char *call)
{
    int err = check_may_run(loop, call);
    if (err)
        return err;
    err = loop->backend->ops->enter ? loop->backend->ops->enter(loop->backend) : 0;
    if (err)
        return explain_refused_thread(err, call);
    ASY_ASSERT(!loop->current && !loop->exceptions);
    asyncio_loop_ref(loop); /* until the run ends */
    asy_loop_adopt(loop);
    loop->tid = find_own_tid();
    loop->is_running = true;
    asy_loop_set_dozing(loop, false);
    /* Awake: what is posted from here on is found by the poll, which comes first. */
    atomic_store(&loop->posts.is_sleeping, false);
    asy_fp_control_save(&loop->fp);
#if ASY_TSAN
    loop->fiber.tsan = __tsan_get_current_fiber();
#endif
#if ASY_ASAN
    learn_own_stack(&loop->fiber);
#endif
    asy_running_loop = loop;
    loop->metrics.looked_ns = loop->now_ns = asy_loop_now_ns(loop);
    loop->hops = 0;
    asy_exceptions_enter(loop);
    asy_overflow_watch(loop);
    if (UNLIKELY(loop->watched.limit_ns))
        asy_watchdog_enter(loop);
    return 0;
}

void asy_loop_end_run(asyncio_loop *loop)
{
    ASY_ASSERT(loop->is_running && asy_running_loop == loop && !loop->current);
    asy_vars_leave(loop);
    asy_exceptions_leave(loop);
    if (UNLIKELY(loop->is_traced))
        asy_trace_left(loop);
    if (UNLIKELY(loop->watched.limit_ns))
        asy_watchdog_leave(loop);
    asy_running_loop = NULL;
    loop->is_running = false;
    count_lag(loop);
    if (loop->backend->ops->rest && !asy_loop_is_parents(loop))
        loop->backend->ops->rest(loop->backend);
    if (UNLIKELY(loop->is_embedded))
        asy_loop_doze(loop);
    asyncio_loop_release(loop);
}

/* Ends a run of many iterations. A loop inside another one stays watched for its next iteration, until it
 * closes. */
static void end_long_run(asyncio_loop *loop)
{
    if (!loop->is_embedded)
        asy_overflow_unwatch(loop);
    asy_loop_end_run(loop);
}

int asyncio_loop_run_forever(asyncio_loop *loop)
{
    int err = asy_loop_begin_run(loop, __func__);
    if (err)
        return err;
    err = run_iterations(loop);
    end_long_run(loop);
    return err;
}

/* ---- Until a future is done ---------------------------------------------------------- */

/* A done callback that stops the loop, on the stack in place of the heap. */
struct until_done {
    struct waiter waiter;     /* until the future is done */
    struct callback callback; /* from then on */
};

static void stop_running_loop(struct callback *callback)
{
    (void)callback;
    asyncio_loop_stop(asy_running_loop);
}

static const struct callback_kind until_done_kind = {stop_running_loop, stop_running_loop};

static void queue_stop(struct waiter *waiter, asyncio_future *future)
{
    struct until_done *until = LIST_ENTRY(waiter, struct until_done, waiter);
    callback_push(&future->loop->ready, &until->callback, &until_done_kind);
}

static int run_until_done(asyncio_loop *loop, asyncio_future *future)
{
    struct until_done until = {.waiter.notify = queue_stop};
    list_init(&until.waiter.node);
    if (future->is_done)
        queue_stop(&until.waiter, future);
    else
        list_append(&future->waiters, &until.waiter.node);
    int err = run_iterations(loop);
    /* If somebody else has stopped the loop, it still stands in one of these. */
    list_remove(&until.waiter.node);
    callback_remove(&loop->ready, &until.callback);
    return err;
}

intptr_t asyncio_loop_run_until_complete(asyncio_loop *loop, asyncio_future *future)
{
    if (!future)
        return asy_null_awaited();
    intptr_t result;
    int err = asy_loop_begin_run(loop, __func__);
    if (!err && future->loop != loop) {
        end_long_run(loop);
        err = (int)asyncio_raise(-EINVAL, "the future belongs to another loop");
    } else if (!err) {
        err = run_until_done(loop, future);
        end_long_run(loop);
    }
    if (err) {
        result = err;
    } else if (!future->is_done) {
        result = asyncio_raise(ASYNCIO_ESTATE, "the loop was stopped before the future was done");
    } else {
        result = future->result;
        future->flags |= FUTURE_SEEN;
        if (result < 0)
            asy_message_inherit(future);
    }
    asyncio_release_future(future);
    return result;
}

static void limit_batch(const asyncio_loop *loop, uint32_t *batch)
{
    if (*batch > loop->ready.count)
        *batch = (uint32_t)loop->ready.count;
}

void asyncio_loop_stop(asyncio_loop *loop)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    loop->is_stopping = true;
    asy_loop_queued(loop);
    /* What is ready now still runs, and nothing that is queued from here on. */
    limit_batch(loop, &loop->batch);
    for (struct eager_start *start = loop->eager; start; start = start->outer)
        limit_batch(loop, &start->batch);
}

asyncio_loop *asyncio_get_running_loop(void)
{
    return asy_running_loop;
}

bool asyncio_loop_is_running(asyncio_loop *loop)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    return loop->is_running && !asy_loop_is_parents(loop);
}

bool asyncio_loop_is_closed(asyncio_loop *loop)
{
    if (!loop)
        return true;
    asy_loop_check(loop, __func__);
    return loop->is_closed;
}

double asyncio_loop_time(asyncio_loop *loop)
{
    if (!loop)
        return asyncio_time();
    asy_loop_check(loop, __func__);
    return (double)asy_loop_now_ns(loop) / 1e9;
}

double asyncio_time(void)
{
    asyncio_loop *loop = asy_running_loop;
    return (double)(loop ? asy_loop_now_ns(loop) : asy_sys_now_ns()) / 1e9;
}
