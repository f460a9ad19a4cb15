/*
 * The event loop: its iteration, its life, and how to run it.
 */
#include "asyncio/events.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "core/contextvars.h"
#include "core/debug.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/overflow.h"
#include "core/switch.h"
#include "core/task.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
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

/* Tasks among themselves in random order; callbacks keep their places. */
static void shuffle_tasks(asyncio_loop *loop)
{
    size_t count = loop->ready.count, n = 0, task_count = 0;
    /* All entries as they stand, and the tasks among them. */
    struct ready **all = count < 2 ? NULL : asy_sys_alloc(2 * count * sizeof(struct ready *));
    if (!all)
        return; /* in order, then */
    struct ready **tasks = all + count;
    for (struct ready *entry = loop->ready.first; entry; entry = entry->next) {
        all[n++] = entry;
        if (entry->kind == READY_TASK)
            tasks[task_count++] = entry;
    }
    for (size_t i = task_count; i > 1; i--) {
        size_t j = (size_t)asy_random_below(&loop->random, i);
        struct ready *swapped = tasks[i - 1];
        tasks[i - 1] = tasks[j];
        tasks[j] = swapped;
    }
    struct ready **link = &loop->ready.first;
    for (n = 0; n < count; n++) {
        struct ready *entry = all[n]->kind == READY_TASK ? *tasks++ : all[n];
        *link = entry;
        link = &entry->next;
    }
    *link = NULL;
    loop->ready.end = link;
    asy_sys_free(all);
}

/* Other threads that have a reference, or something in hand for the loop. */
static bool others_may_wake(asyncio_loop *loop)
{
    return asy_loop_is_shared(loop) || !list_is_empty(&loop->abroad.entries);
}

static COLD void about_to_wait(asyncio_loop *loop, int64_t deadline_ns)
{
    if (loop->debug && deadline_ns == ASY_NO_DEADLINE && !loop->backend->ops->is_virtual &&
        !loop->is_deadlocked && !loop->signals && !others_may_wake(loop) &&
        !loop->backend->ops->needs_poll(loop->backend)) {
        loop->is_deadlocked = true;
        asy_deadlock_report(loop);
    }
    if (loop->instrument)
        asy_trace_time(loop, ASYNCIO_TRACE_WAIT_BEGIN, NULL, deadline_ns);
}

static COLD int wait_failed(asyncio_loop *loop, int err)
{
    if (err == -EINTR)
        return 0;
    if (err != -EDEADLK)
        return (int)asyncio_raise(err, "the event loop cannot wait: %s", asyncio_strerror(err));
    asy_deadlock_report(loop);
    return (int)asyncio_raise(err, "deadlock: nothing is left that could wake a task");
}

/* Does a virtual clock wait for other threads now? It does while they work for the loop; and, where there
 * is no time to go on to, while they may wake it at all. */
static bool waits_for_others(asyncio_loop *loop, int64_t deadline_ns)
{
    if (deadline_ns <= 0 || !loop->backend->ops->is_virtual)
        return false;
    return loop->abroad.awaited_work || (deadline_ns == ASY_NO_DEADLINE && others_may_wake(loop));
}

/* Waits, if nothing is ready, until something is, but not past latest_ns. */
static HOT int poll_backend(asyncio_loop *loop, int64_t latest_ns)
{
    bool waits = !loop->ready.first && !loop->is_stopping;
    int64_t deadline_ns = waits ? asy_timers_next(&loop->timers) : 0;
    int err = 0;
    if (UNLIKELY(deadline_ns > latest_ns))
        deadline_ns = latest_ns;
    if (waits) {
        asy_loop_give_spare_stack(loop);
        asy_stacks_trim(loop->stacks);
        atomic_store(&loop->posts.is_sleeping, true);
        if (asy_posts_pending(loop))
            deadline_ns = 0;
    }
    if (UNLIKELY(waits && loop->is_stepping))
        about_to_wait(loop, deadline_ns);
    /* Inside another loop always: what made the descriptor readable has to be taken. */
    if (UNLIKELY(waits_for_others(loop, deadline_ns)))
        loop->backend->ops->wait_for_others(loop->backend, deadline_ns);
    else if (deadline_ns > 0 || UNLIKELY(loop->is_embedded) || loop->backend->ops->needs_poll(loop->backend))
        err = loop->backend->ops->wait(loop->backend, deadline_ns);
    /* In no order: who still sees it up wakes once more than needed. */
    if (waits)
        atomic_store_explicit(&loop->posts.is_sleeping, false, memory_order_relaxed);
    if (UNLIKELY(waits && loop->is_stepping && loop->instrument))
        asy_trace(loop, ASYNCIO_TRACE_WAIT_END, NULL);
    asy_posts_collect(loop);
    if (UNLIKELY(!list_is_empty(&loop->refused)))
        asy_refused_release(loop);
    if (waits || loop->timers.count || loop->io)
        loop->now_ns = asy_loop_now_ns(loop);
    if (loop->timers.count)
        asy_timers_fire(loop, loop->now_ns);
    loop->hops = 0;
    return UNLIKELY(err) ? wait_failed(loop, err) : 0;
}

/* Is there anything that a poll could bring without being posted? */
static inline bool is_polled(const asyncio_loop *loop)
{
    return loop->timers.count || loop->io;
}

/* Of what was ready when the iteration began, as much runs as is not to be asked about before. */
static inline void begin_stretch(asyncio_loop *loop, size_t most)
{
    loop->batch = (uint32_t)(most < loop->ready_then ? most : loop->ready_then);
    loop->hops += loop->batch;
    loop->ready_then -= loop->batch;
}

/* Timers and descriptors wait: is it time to see to them? */
static NOINLINE bool is_poll_due(asyncio_loop *loop)
{
    if (loop->hops >= POLL_HOPS)
        return true;
    bool late = asy_loop_now_ns(loop) - loop->now_ns >= POLL_NS;
    if (late)
        loop->look_hops = 1;
    else if (loop->look_hops < ASY_LOOK_HOPS_MAX)
        loop->look_hops *= 2;
    return late;
}

/* May the tasks go on among themselves, without a poll? */
bool asy_loop_goes_on(asyncio_loop *loop)
{
    if (UNLIKELY(loop->is_stepping || loop->is_strict || loop->is_stopping)) {
        begin_stretch(loop, loop->ready_then);
        return loop->batch;
    }
    bool polled = is_polled(loop);
    if (atomic_load_explicit(&loop->posts.has_any, memory_order_relaxed) || (polled && is_poll_due(loop)))
        return false;
    if (loop->ready_then) {
        begin_stretch(loop, polled ? loop->look_hops : POLL_HOPS);
        return true;
    }
    if (loop->hops >= POLL_HOPS)
        return false;
    loop->batch = polled ? loop->look_hops : ASY_LOOK_HOPS_MAX; /* of what has come since */
    loop->hops += loop->batch;
    return true;
}

/* Debug mode and instruments: a task's step, with the loop on both sides of it. */
static void step(asyncio_loop *loop, asyncio_task *task)
{
    uint32_t batch = loop->batch;
    size_t ready_then = loop->ready_then;
    loop->batch = 0;
    loop->ready_then = 0;
    asy_step_hooks(loop, task);
    loop->batch = batch;
    loop->ready_then = ready_then;
}

static COLD _Noreturn void returned_in_child(void)
{
    asy_fatal("a callback returned in a forked child process; the loop belongs to the parent: "
              "end the child with _exit, or run a loop of its own in it");
}

static void run_callback(asyncio_loop *loop, struct callback *callback)
{
    if (UNLIKELY(loop->is_stepping))
        asy_callback_hooks(loop, callback);
    else
        callback->kind->run(callback);
    asy_vars_leave(loop);
    if (UNLIKELY(asy_loop_is_parents(loop)))
        returned_in_child();
}

static HOT void run_batch(asyncio_loop *loop)
{
    if (UNLIKELY(loop->is_seeded))
        shuffle_tasks(loop);
    loop->ready_then = loop->ready.count;
    begin_stretch(loop, loop->look_hops);
    struct ready *entry;
    while ((entry = loop->ready.first)) {
        if (loop->batch == 0 && !asy_loop_goes_on(loop))
            return;
        ready_drop_first(&loop->ready);
        loop->batch--;
        if (entry->kind == READY_CALLBACK) {
            run_callback(loop, (struct callback *)entry);
        } else if (entry->kind == READY_RELAY) {
            entry->kind = READY_TASK;
            ready_push(&loop->ready, entry);
        } else if (UNLIKELY(loop->is_stepping)) {
            step(loop, LIST_ENTRY(entry, asyncio_task, ready));
        } else {
            asy_task_resume(loop, LIST_ENTRY(entry, asyncio_task, ready));
        }
    }
}

HOT int asy_loop_run(asyncio_loop *loop)
{
    int err = 0;
    do {
        err = poll_backend(loop, ASY_NO_DEADLINE);
        if (err)
            break;
        run_batch(loop);
    } while (!loop->is_stopping);
    loop->is_stopping = false;
    return err;
}

/* ---- Running it --------------------------------------------------------------------- */

#if ASY_ASAN
/* Tasks that started in an earlier run come back to this one's stack. Where that is not the
 * thread's (in a child that a task has forked), the first one that starts tells. */
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

/* What would make the next iteration begin without a wait. */
static bool has_work(asyncio_loop *loop)
{
    return loop->ready.first || loop->is_stopping || asy_posts_pending(loop);
}

/* Inside another loop, between two turns: the loop counts as asleep, so that a post makes its
 * descriptor readable, and so does what is queued in this thread. */
static void doze(asyncio_loop *loop)
{
    loop->is_dozing = true;
    atomic_store(&loop->posts.is_sleeping, true);
    if (has_work(loop))
        asy_loop_rouse(loop);
}

void asy_loop_rouse(asyncio_loop *loop)
{
    loop->is_dozing = false;
    if (!asy_loop_is_parents(loop))
        loop->backend->ops->wake(loop->backend);
}

/* Asked for once: turns may be many and short. */
static int own_tid(void)
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

static int enter(asyncio_loop *loop, const char *call)
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
    asyncio_loop_ref(loop); /* until it leaves */
    /* Other threads may be looking for theirs. */
    __atomic_store_n(&loop->thread, asy_this_thread(), __ATOMIC_RELAXED);
    loop->tid = own_tid();
    loop->is_running = true;
    loop->is_dozing = false;
    atomic_store(&loop->posts.is_sleeping, false);
    asy_fp_control_save(&loop->fp);
#if ASY_TSAN
    loop->fiber.tsan = __tsan_get_current_fiber();
#endif
#if ASY_ASAN
    learn_own_stack(&loop->fiber);
#endif
    asy_running_loop = loop;
    loop->now_ns = asy_loop_now_ns(loop);
    asy_exceptions_enter(loop);
    asy_overflow_watch(loop);
    return 0;
}

static void leave(asyncio_loop *loop)
{
    asy_vars_leave(loop);
    asy_exceptions_leave(loop);
    asy_running_loop = NULL;
    loop->is_running = false;
    if (UNLIKELY(loop->is_embedded))
        doze(loop);
    asyncio_loop_release(loop);
}

/* After a run of many turns. A loop inside another one stays watched for its next turn, until it closes. */
static void leave_run(asyncio_loop *loop)
{
    if (!loop->is_embedded)
        asy_overflow_unwatch(loop);
    leave(loop);
}

int asyncio_loop_run_forever(asyncio_loop *loop)
{
    int err = enter(loop, __func__);
    if (err)
        return err;
    err = asy_loop_run(loop);
    leave_run(loop);
    return err;
}

/* ---- Inside another loop ------------------------------------------------------------ */

int asyncio_loop_run_once(asyncio_loop *loop, double timeout)
{
    if (isnan(timeout))
        return -EINVAL;
    int err = enter(loop, __func__);
    if (err)
        return err;
    int64_t latest_ns = timeout > 0 ? asy_deadline_after(asy_loop_now_ns(loop), timeout) : 0;
    err = poll_backend(loop, latest_ns);
    if (!err)
        run_batch(loop);
    loop->is_stopping = false;
    leave(loop);
    return err;
}

int asyncio_loop_fd(asyncio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_ESTATE;
    int fd = loop->backend->ops->fd(loop->backend);
    if (fd >= 0 && !loop->is_embedded) {
        loop->is_embedded = true;
        if (!loop->is_running)
            doze(loop);
    }
    return fd;
}

double asyncio_loop_timeout(asyncio_loop *loop)
{
    if (!loop)
        return ASYNCIO_FOREVER;
    asy_loop_check(loop, __func__);
    if (asy_loop_unusable(loop))
        return ASYNCIO_FOREVER;
    if (has_work(loop))
        return 0;
    int64_t next_ns = asy_timers_next(&loop->timers);
    if (next_ns == ASY_NO_DEADLINE)
        return ASYNCIO_FOREVER;
    int64_t left_ns = next_ns - asy_loop_now_ns(loop);
    return left_ns > 0 ? (double)left_ns / 1e9 : 0;
}

/* As a done callback that stops the loop, but without a block of its own. */
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

static void until_is_done(struct waiter *waiter, asyncio_future *future)
{
    struct until_done *until = LIST_ENTRY(waiter, struct until_done, waiter);
    callback_push(&future->loop->ready, &until->callback, &until_done_kind);
}

static int run_until_done(asyncio_loop *loop, asyncio_future *future)
{
    struct until_done until = {.waiter.notify = until_is_done};
    list_init(&until.waiter.node);
    if (future->is_done)
        until_is_done(&until.waiter, future);
    else
        list_append(&future->waiters, &until.waiter.node);
    int err = asy_loop_run(loop);
    /* Somebody else may have stopped it. */
    list_remove(&until.waiter.node);
    ready_remove(&loop->ready, &until.callback.ready);
    return err;
}

intptr_t asyncio_loop_run_until_complete(asyncio_loop *loop, asyncio_future *future)
{
    if (!future)
        return asy_null_awaited();
    intptr_t result;
    int err = enter(loop, __func__);
    if (!err && future->loop != loop) {
        leave_run(loop);
        err = (int)asyncio_raise(-EINVAL, "the future belongs to another loop");
    } else if (!err) {
        err = run_until_done(loop, future);
        leave_run(loop);
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

void asyncio_loop_stop(asyncio_loop *loop)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    loop->is_stopping = true;
    asy_loop_queued(loop);
    if (loop->batch > loop->ready.count)
        loop->batch = (uint32_t)loop->ready.count;
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
