/*
 * A loop's life: how it is made, referred to, closed and freed, and what a fork does to it.
 */
#include "core/loop.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/debug.h"
#include "core/descriptor.h"
#include "core/director.h"
#include "core/dump.h"
#include "core/embed.h"
#include "core/handles.h"
#include "core/overflow.h"
#include "core/quarantine.h"
#include "core/report.h"
#include "core/task.h"
#include "core/trace.h"
#include "sys/slab.h"
#include "sys/sys.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* ---- All loops ------------------------------------------------------------------ */

/* Guards the list of loops: any thread adds to it, walks it and takes off. A loop on it has its struct. */
static pthread_mutex_t runtime_lock = PTHREAD_MUTEX_INITIALIZER;

static void register_loop(asyncio_loop *loop)
{
    pthread_mutex_lock(&runtime_lock);
    list_append(&asy_runtime.loops, &loop->node);
    pthread_mutex_unlock(&runtime_lock);
}

static void unregister_loop(asyncio_loop *loop)
{
    pthread_mutex_lock(&runtime_lock);
    list_remove(&loop->node);
    pthread_mutex_unlock(&runtime_lock);
}

/* Other threads than the loop's may ask. Relaxed: they use nothing of the loop but this answer, and the
 * loop's own thread wrote it. */
static bool is_loop_closed(const asyncio_loop *loop)
{
    return __atomic_load_n(&loop->is_closed, __ATOMIC_RELAXED);
}

/* Relaxed: another thread's value is never this thread's, whether it is the old one or the new one. */
static bool is_loop_here(const asyncio_loop *loop)
{
    return __atomic_load_n(&loop->thread, __ATOMIC_RELAXED) == asy_this_thread();
}

bool asy_loop_is_open(uint64_t id, const char *call)
{
    bool is_open = false, is_elsewhere = false;
    pthread_mutex_lock(&runtime_lock);
    LIST_EACH(node, &asy_runtime.loops) {
        const asyncio_loop *loop = LIST_ENTRY(node, asyncio_loop, node);
        if (loop->id != id)
            continue;
        is_open = !is_loop_closed(loop);
        is_elsewhere = is_open && !is_loop_here(loop);
        break;
    }
    pthread_mutex_unlock(&runtime_lock);
    if (is_elsewhere)
        asy_wrong_thread(call);
    return is_open;
}

void asy_loop_each_here(void (*fn)(asyncio_loop *loop, void *arg), void *arg)
{
    pthread_mutex_lock(&runtime_lock);
    LIST_EACH(node, &asy_runtime.loops) {
        asyncio_loop *loop = LIST_ENTRY(node, asyncio_loop, node);
        if (is_loop_here(loop) && !is_loop_closed(loop))
            fn(loop, arg);
    }
    pthread_mutex_unlock(&runtime_lock);
}

/* ---- Fork ----------------------------------------------------------------------
 * The child's copy of a loop is refused by every call that would use it, and
 * nothing runs in the child's thread: a loop of its own can. */

unsigned asy_fork_generation;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void forget_loops_of_parent(void)
{
    asy_fork_generation++;
    if (asy_running_loop)
        asy_running_loop->current = NULL; /* no call on what is this loop's may wait */
    asy_running_loop = NULL;
    /* Another thread of the parent may have held the lock. */
    runtime_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    list_init(&asy_runtime.loops);
    asy_overflow_forked();
    asy_dump_forked();
    asy_watchdog_forked();
}

static void watch_loop_forks(void)
{
    pthread_atfork(NULL, NULL, forget_loops_of_parent);
}

void asy_watch_forks(void)
{
    pthread_once(&fork_once, watch_loop_forks);
}

/* ---- Made ------------------------------------------------------------------------ */

static uint64_t chosen_seed(const asyncio_run_options *options)
{
    static atomic_flag is_told = ATOMIC_FLAG_INIT;
    const char *value = options->seed ? NULL : secure_getenv("ASYNCIO_SEED");
    if (!value || !*value)
        return options->seed;
    char *end;
    uint64_t seed = strtoull(value, &end, 0);
    if (!*end && value[0] >= '0' && value[0] <= '9')
        return seed;
    if (!atomic_flag_test_and_set(&is_told))
        asy_report_site(NULL, NULL, 0, "ASYNCIO_SEED=%.40s is no number; ready tasks run in their order",
                        value);
    return 0;
}

static int check_options(const asyncio_run_options *options)
{
    if (options->stack_size > ASY_STACK_MAX_BYTES)
        return (int)asyncio_raise(-EINVAL, "stack_size is %zu bytes, at most %zu are possible",
                                  options->stack_size, (size_t)ASY_STACK_MAX_BYTES);
    if (options->shutdown_grace != options->shutdown_grace)
        return (int)asyncio_raise(-EINVAL, "shutdown_grace is not a number");
    if (options->watchdog != options->watchdog)
        return (int)asyncio_raise(-EINVAL, "watchdog is not a number");
    if ((unsigned)options->backend > ASYNCIO_BACKEND_IO_URING ||
        (unsigned)options->clock > ASYNCIO_CLOCK_VIRTUAL)
        return (int)asyncio_raise(-EINVAL, "there is no such backend or clock");
    return 0;
}

static void init_loop(asyncio_loop *loop, const asyncio_run_options *options)
{
    static _Atomic uint64_t loops_made;
    loop->id = atomic_fetch_add(&loops_made, 1) + 1;
    loop->options = *options;
    ready_queue_init(&loop->ready);
    list_init(&loop->tasks);
    list_init(&loop->kept_stacks);
    list_init(&loop->lent);
    list_init(&loop->abroad.entries);
    loop->wake_kind = READY_TASK;
    loop->look_hops = ASY_LOOK_HOPS_MAX;
    asy_posts_init(loop);
    atomic_init(&loop->refs, 1);
    loop->thread = asy_this_thread();
    loop->fork_generation = asy_fork_generation;
    loop->words = asy_debug_words();
    loop->slow_ns = asy_ns_from_seconds(loop->words.slow);
    loop->index = -1;
    loop->debug = options->debug > 0 || (options->debug == 0 && loop->words.is_on);
    list_init(&loop->watched.node);
    uint64_t seed = chosen_seed(options);
    loop->is_seeded = seed != 0;
    asy_random_seed(&loop->random, seed);
    asy_debug_update(loop);
}

static int explain_no_backend(const asyncio_run_options *options, int err)
{
    const char *why = options->backend == ASYNCIO_BACKEND_IO_URING ? asy_backend_denial(err) : NULL;
    if (why)
        return (int)asyncio_raise(-ENOSYS, "no event loop could be made: %s", why);
    return (int)asyncio_raise(err, "no event loop could be made: %s", asyncio_strerror(err));
}

int asy_loop_new(const asyncio_run_options *options, asyncio_loop **out)
{
    static const asyncio_run_options defaults;
    options = options ? options : &defaults;
    asy_watch_forks();
    int err = check_options(options);
    if (err)
        return err;
    asyncio_loop *loop = asy_sys_calloc(1, sizeof *loop);
    if (!loop)
        return (int)asyncio_raise(-ENOMEM, "no memory for an event loop");
    init_loop(loop, options);
    loop->stacks = asy_stacks_new(options->stack_size);
    if (!loop->stacks) {
        asy_dump_bind(loop, false);
        asy_sys_free(loop);
        return (int)asyncio_raise(-ENOMEM, "no memory for an event loop");
    }
    err = asy_backend_open(options->backend, options->clock, &loop->backend);
    if (err) {
        asy_stacks_destroy(loop->stacks);
        asy_dump_bind(loop, false);
        asy_sys_free(loop);
        return explain_no_backend(options, err);
    }
    loop->is_strict = loop->is_seeded || loop->backend->ops->is_virtual;
    register_loop(loop);
    asy_trace_from_environment(loop);
    *out = loop;
    return 0;
}

asyncio_loop *asyncio_loop_new(const asyncio_run_options *options)
{
    asyncio_loop *loop = NULL;
    asy_loop_new(options, &loop);
    return loop;
}

/* ---- Closed ------------------------------------------------------------------------ */

static void report_unstarted(void *block, void *arg)
{
    asyncio_loop *loop = arg;
    asyncio_future *coro = block;
    if (__atomic_load_n(&coro->kind, __ATOMIC_RELAXED) != OBJECT_CORO || coro->loop != loop)
        return;
    const asyncio_coro_type *type = ((asyncio_task *)coro)->type;
    asyncio_loop *home = loop; /* a thread that starts it in this very moment puts its own there */
    if (__atomic_compare_exchange_n(&coro->loop, &home, NULL, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        asy_report_site(loop, coro->site, 0, "coroutine '%s' was never awaited", type->site.func);
}

/* The loop closes over a task. Its frames are never unwound: its stack stays as it is, and so does the
 * task. */
static void abandon_task(asyncio_loop *loop, asyncio_task *task)
{
    ASY_ASSERT_TASK(!task->future.is_done && task != loop->current, task);
    if (!(task->future.flags & FUTURE_QUIET)) /* else the shutdown has reported it */
        asy_report_task(loop, task, 0, "task was destroyed but it is pending%s%s",
                        task->wait       ? "; it waits in "
                        : task->fiber.sp ? ""
                                         : "; it never ran",
                        task->wait ? task->wait->kind->name : "");
    struct wait *wait = task->wait;
    if (wait && wait->state == WAIT_GRANTED && wait->kind->revoke)
        wait->kind->revoke(wait);
    else if (wait && wait->state == WAIT_PENDING && wait->kind->abandon)
        wait->kind->abandon(wait);
    if (wait)
        list_remove(&wait->waiter.node); /* the object may live on, and be used by another loop */
    task->future.flags |= FUTURE_QUIET;
    if (task->stack) {
        asy_stack_abandon(loop->stacks, task->stack);
        return;
    }
    asy_task_drop_args(task);
    list_remove(&task->all);
    loop->task_count--;
    asy_future_complete(&task->future, -ECANCELED);
    asy_future_unref(&task->future);
}

/* Takes the tasks off the ready queue: their blocks are about to go. */
static void forget_ready_tasks(asyncio_loop *loop)
{
    struct ready *entry = loop->ready.first, *next;
    ready_queue_init(&loop->ready);
    for (; entry; entry = next) {
        next = entry->next;
        if (entry->kind == READY_CALLBACK)
            callback_push(&loop->ready, (struct callback *)entry, ((struct callback *)entry)->kind);
    }
}

static void drop_ready_callbacks(asyncio_loop *loop)
{
    struct ready *entry;
    while ((entry = loop->ready.first)) {
        if (entry->kind != READY_CALLBACK) {
            ready_drop_first(&loop->ready);
            continue;
        }
        struct callback *callback = callback_take_first(&loop->ready);
        callback->kind->drop(callback);
    }
}

/* Work that goes on may use what lies in main's frame, and so may abandoned tasks. */
static void end_kept_stacks(asyncio_loop *loop, bool is_in_use)
{
    struct list *kept;
    while (is_in_use && (kept = list_take_first(&loop->kept_stacks)))
        asy_stack_abandon(loop->stacks, LIST_ENTRY(kept, struct asy_stack, node));
    asy_loop_give_kept_stacks(loop);
}

static void close_loop(asyncio_loop *loop)
{
    ASY_ASSERT(!loop->is_running && !loop->current && !loop->is_closed);
    /* First, so that the program's functions, which are called from here on, can add nothing. */
    __atomic_store_n(&loop->is_closed, true, __ATOMIC_RELAXED);
    asy_loop_set_dozing(loop, false);
    if (loop->director)
        loop->director->closes(loop);
    asy_trace_end(loop);
    asy_overflow_unwatch(loop); /* a loop inside another one is watched until now */
    asy_dump_bind(loop, false);
    asy_watchdog_forget(loop);
    bool is_in_use = asy_loop_is_owed(loop);
    struct list *abroad;
    while ((abroad = list_take_first(&loop->abroad.entries))) {
        struct abroad *told = LIST_ENTRY(abroad, struct abroad, node);
        told->loop_closes(told);
    }
    if (loop->unstarted)
        asy_slab_each(report_unstarted, loop);
    forget_ready_tasks(loop);
    LIST_EACH_SAFE(node, next, &loop->tasks)
        abandon_task(loop, LIST_ENTRY(node, asyncio_task, all));
    if (loop->io)
        loop->io->close(loop->io);
    loop->io = NULL;
    if (loop->backend->ops->end)
        loop->backend->ops->end(loop->backend);
    if (loop->signals) /* before posts are refused: then no handler has the loop any more */
        loop->signals->close(loop->signals);
    loop->signals = NULL;
    asy_tasks_lent_release(loop);
    asy_checks_close(loop);
    asy_posts_close(loop);
    asy_embed_close(loop);
    drop_ready_callbacks(loop);
    asy_loop_give_spare_stack(loop);
    end_kept_stacks(loop, is_in_use || !list_is_empty(&loop->tasks));
    asy_stacks_destroy(loop->stacks);
    loop->stacks = NULL;
    asy_task_ids_return(loop);
    asy_handles_destroy(loop);
    asy_quarantine_empty(loop);
    asy_sys_free(loop->timers.slots);
    asy_sys_free(loop->timers.places);
    loop->timers = (struct heap){0};
}

int asyncio_loop_close(asyncio_loop *loop)
{
    if (!loop)
        return -EINVAL;
    asy_loop_check(loop, __func__);
    if (loop->is_closed)
        return 0;
    if (asy_loop_is_parents(loop))
        return (int)asyncio_raise(ASYNCIO_ESTATE,
                                  "asyncio_loop_close: the loop belongs to the parent process");
    if (loop->is_running)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "asyncio_loop_close: the loop runs");
    asyncio_loop_ref(loop); /* handlers and drop functions are called, and may release the last reference */
    close_loop(loop);
    asyncio_loop_release(loop);
    return 0;
}

void asy_loop_give_kept_stacks(asyncio_loop *loop)
{
    struct list *kept;
    while ((kept = list_take_first(&loop->kept_stacks)))
        asy_stack_give(loop->stacks, LIST_ENTRY(kept, struct asy_stack, node));
}

/* ---- References ----------------------------------------------------------------------
 *
 * The program counts its references; when the last one goes, the loop is closed. Work on other threads holds
 * the loop, too: it does not keep it open, but it keeps the backend's descriptors, since a thread may be
 * about to wake the loop. They are closed when references and holds are gone. The struct stays for as long as
 * tasks and futures refer to it: for ever, if the loop had to abandon one.
 *
 * All of it is one atomic number, sequentially consistent throughout. The thread whose subtraction takes
 * the last of a kind away sees everything that others did before theirs, and alone goes on. */

#define REFS_HOLD (UINT64_C(1) << 32)    /* work on another thread */
#define REFS_OBJECTS (UINT64_C(1) << 31) /* there are tasks or futures */
#define REFS_LEAVING (UINT64_C(1) << 30) /* the descriptors are being closed */
#define REFS_PROGRAM (REFS_LEAVING - 1)  /* the program's references */

static void free_loop(asyncio_loop *loop)
{
    if (!asy_loop_is_parents(loop)) /* else the fork has taken it off the list */
        unregister_loop(loop);
    asy_sys_free(loop);
}

void asy_loop_objects_came(asyncio_loop *loop)
{
    uint64_t before = atomic_fetch_or(&loop->refs, REFS_OBJECTS);
    ASY_ASSERT(!(before & REFS_OBJECTS));
}

void asy_loop_objects_went(asyncio_loop *loop)
{
    uint64_t before = atomic_fetch_and(&loop->refs, ~REFS_OBJECTS);
    ASY_ASSERT(before & REFS_OBJECTS);
    if (before == REFS_OBJECTS)
        free_loop(loop);
}

bool asy_loop_is_shared(asyncio_loop *loop)
{
    return (atomic_load(&loop->refs) & REFS_PROGRAM) > 1 + (uint64_t)loop->is_running;
}

asyncio_loop *asyncio_loop_ref(asyncio_loop *loop)
{
    if (loop)
        atomic_fetch_add(&loop->refs, 1);
    return loop;
}

void asyncio_loop_release(asyncio_loop *loop)
{
    if (!loop || asy_loop_is_parents(loop))
        return; /* the parent's loop stays as the fork has left it */
    uint64_t refs = atomic_load(&loop->refs), left;
    do { /* the last reference becomes a hold, until the loop is closed */
        left = (refs & REFS_PROGRAM) == 1 ? refs - 1 + REFS_HOLD : refs - 1;
    } while (!atomic_compare_exchange_weak(&loop->refs, &refs, left));
    if (left & REFS_PROGRAM)
        return;
    if (!loop->is_closed) {
        asy_loop_check(loop, __func__);
        close_loop(loop);
    }
    asy_loop_let_go(loop);
}

void asy_loop_hold(asyncio_loop *loop)
{
    atomic_fetch_add(&loop->refs, REFS_HOLD);
}

void asy_loop_let_go(asyncio_loop *loop)
{
    uint64_t refs = atomic_load(&loop->refs), left;
    do {
        ASY_ASSERT(refs >= REFS_HOLD);
        left = refs - REFS_HOLD;
        left |= left & ~REFS_OBJECTS ? 0 : REFS_LEAVING;
    } while (!atomic_compare_exchange_weak(&loop->refs, &refs, left));
    if (!(left & REFS_LEAVING))
        return;
    loop->backend->ops->close(loop->backend);
    loop->backend = NULL;
    if (atomic_fetch_and(&loop->refs, ~REFS_LEAVING) == REFS_LEAVING)
        free_loop(loop);
}
