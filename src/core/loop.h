/*
 * The loop from within: its struct, whole on one page, and what holds between its fields.
 *
 * One iteration is asyncio's: run what was ready when it began, in order; poll; append what the poll
 * brought, then the timers that are due. Tasks hand over to each other directly (switch.c). The loop's own
 * stack is entered for callbacks, timers and the poll.
 */
#ifndef ASY_CORE_LOOP_H
#define ASY_CORE_LOOP_H

#include "asyncio/embed.h"
#include "asyncio/events.h"
#include "backend/backend.h"
#include "base/compiler.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/random.h"
#include "core/checks.h"
#include "core/debug_words.h"
#include "core/fiber.h"
#include "core/handles.h"
#include "core/metrics.h"
#include "core/post.h"
#include "core/ready.h"
#include "core/report.h"
#include "core/timer.h"
#include "core/watchdog.h"
#include "sys/context.h"
#include "sys/slab.h"
#include "sys/stack.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Work that other threads have in hand for the loop, and coroutines that they submitted. When the loop
 * closes, it takes each entry off the list and tells it, before anything of the loop goes. Loop's thread.
 */
struct abroad {
    struct list node;
    void (*loop_closes)(struct abroad *abroad);
};

struct abroad_work {
    struct list entries;  /* struct abroad */
    size_t awaited_work;  /* entries that a task waits for: a virtual clock stands still meanwhile */
    size_t shutdown_work; /* functions in executors that no task waits for, but the shutdown does */
    size_t calls;         /* coroutines on other loops: the shutdown waits for them, too */
};

/* How busy the loop is, for those that choose one of several. It stands here, and not among the places of
 * those (threads/loops.h), since a call may come at any time, by a reference to the loop alone. Other threads
 * read and change it, so it has lines of its own. Relaxed: a choice by an old number is a worse choice, no
 * more. */
struct loop_load {
    char apart_before[CACHE_LINE];
    _Atomic uint32_t clients; /* of servers, those on their way to it among them */
    _Atomic uint32_t calls;   /* on their way to it, or about to begin */
    _Atomic bool is_ending;   /* its shutdown has begun: it takes nothing any more */
    char apart_behind[CACHE_LINE];
};

/* What the C++ runtime keeps for each thread: __cxa_eh_globals of the Itanium C++ ABI. See exceptions.h. */
struct exceptions {
    void *caught;
    unsigned uncaught;
};

/* Of asyncio_loop_set_wait_hooks. */
struct wait_hooks {
    void (*before)(void *arg);
    int (*after)(void *arg);
    void *arg;
};

/* How many entries run at most before the loop looks whether a poll is due. */
#define ASY_LOOK_HOPS_MAX 8

/*
 * What holds between the fields, whenever code outside core runs:
 *
 * A loop is idle, running or closed. It can run any number of times, and closes once.
 *
 *   idle       !is_running and !is_closed. current is NULL, exceptions is NULL.
 *   running    is_running; asy_running_loop of the thread `thread` is this loop, and the run holds a
 *              reference. Never is_closed, never is_dozing.
 *   closed     is_closed, for good. Never is_running, never is_dozing. Nothing is ready, no timer, handle,
 *              stack or post is left; `tasks` has only the abandoned ones, whose stacks are never unwound.
 *
 * In a forked child all of this is as the fork left it (fork_generation differs), but that nothing runs:
 * current is NULL. Each call that would use the loop looks at that first.
 *
 *   is_embedded       another loop polls its descriptor; for good. Then alone may it doze.
 *   is_dozing         idle, embedded, and nothing was queued or posted since. Implies posts.is_sleeping,
 *                     until a poster takes that down.
 *   is_stopping       whatever the state: a run that begins later stops after one iteration. A run takes
 *                     it down when it ends.
 *   is_shutting_down  from the start of a runner's shutdown, for good. Only then leftovers is not 0:
 *                     the tasks with TASK_LEFTOVER.
 *   is_stepping       debug, instrument or director is set.
 *   is_traced         trace is set. Then `batch` is 1 at most, and the rest of it is in `stretch`.
 *   is_heard          is_dozing or is_traced.
 *   is_strict         is_seeded, or a virtual clock; never changes.
 *   is_watched        while it runs; if embedded, from the first iteration until it closes.
 *   is_reporting      while the exception handler runs. That must not wait: current is NULL meanwhile.
 *   is_deadlocked     a deadlock was told, which happens once.
 *   eager             not NULL while a task that was made runs to its first wait inside the call that made
 *                     it. Its creator, a task or a callback, goes on when that step is over; no other task
 *                     runs meanwhile, so `batch` and ready_then are 0.
 *
 * Counts: task_count is the length of `tasks`; objects is 0 if and only if refs lacks its mark for them
 * (loop.c). `hops` includes `batch`, which may exceed ready.count: what is queued meanwhile runs, too, unless
 * the loop is strict. Then iteration_end, which is in the queue while an iteration runs, ends it.
 *
 * An object is on these lists:
 *   ready        tasks that are fresh or ready, each once, and callbacks.
 *   tasks        tasks from their start until they end, or for ever if abandoned.
 *   lent         children of groups that ended before their creators got them: refused ones, and eager ones
 *                that never waited. They are not on `tasks`; the next poll drops them.
 *   timers       waits, scopes and handles with a deadline, on the stacks of tasks or in the handles' chunks.
 *   kept_stacks  stacks of main tasks that ended. A stack is there, or has a task, or is the spare one,
 *                or is in the pool.
 */
struct asyncio_loop {
    /* The switch path. These fields stay first, and flat: their places are measured. */
    asyncio_task *current; /* the task that runs; NULL: the loop itself */
    struct ready_queue ready;
    uint32_t batch;     /* entries left before the iteration is looked at again */
    uint32_t hops;      /* since the last poll, those of the batch among them */
    uint32_t look_hops; /* how many run between two looks at the clock; 1 while they are long */
    bool is_traced;     /* there is a trace */
    bool is_heard;      /* is_dozing or is_traced: tasks that are queued are told of */
    size_t ready_then;  /* entries of this iteration that are not in `batch` yet; SIZE_MAX: up to the mark */
    bool is_stepping;   /* debug, instrument, director: every step goes through the loop */
    bool is_stopping;
    bool is_dozing;     /* between two iterations inside another loop, not told of anything yet */
    bool is_embedded;   /* another loop polls its descriptor */
    uint32_t budget;    /* calls that the running task may make without giving way */
    uint64_t id;        /* never used again in this process: locks and queues know the loop by it */
    struct fiber fiber; /* the loop's own stack, while a task runs; a creator's, in an eager start */
    uint32_t wake_kind; /* what asy_wait_wake queues: READY_TASK; READY_RELAY while timers fire */
    bool is_seeded;     /* ready tasks run in random order, or in a director's */
    bool is_strict;     /* an iteration is what was ready when it began, no more and no less */
    struct exceptions *exceptions; /* this thread's, where it runs and there is C++; else NULL */
    size_t task_count;
    struct asy_fp_control fp; /* what a fresh task starts with */
    int64_t now_ns;           /* the clock at the last poll */
    struct asy_stacks *stacks;
    struct asy_stack *spare_stack; /* the one used last, at hand for the next fresh task */
    uint64_t steps;                /* steps begun: see asy_loop_progress */
    struct eager_start *eager;     /* eager starts under way, the innermost first (switch.h) */

    /* The poll. */
    uint64_t polls;
    struct metrics metrics;
    struct ready iteration_end; /* the mark, in a strict iteration */
    struct heap timers;
    uint32_t timer_room_kept; /* in the heap, for timers that are due and may be moved (embed.c) */
    struct asy_backend *backend;
    struct wait_hooks wait_hooks; /* of the program, around a wait; NULLs: none */
    int verdict;                  /* the latest one that ended a run: see asyncio_loop_set_wait_hooks */
    struct asy_io_hooks *io;      /* descriptors; NULL while none was used */
    struct asy_io_hooks *signals; /* the same for signals */

    /* Among the process's loops, for tools that look from outside. */
    struct list node;
    int tid; /* of the thread that runs it, for people */

    /* Tasks. */
    struct list tasks;
    struct list lent;
    struct list kept_stacks;
    size_t unstarted;          /* coroutines made while it ran, not started yet */
    size_t objects;            /* tasks and futures that refer to it */
    size_t leftovers;          /* tasks that the shutdown cancelled and waits for */
    uint64_t completions;      /* of tasks and futures, so far */
    uint64_t next_id, last_id; /* a block of task numbers, taken from the process */

    /* Passing requests to cancel on (cancel.c). */
    uint64_t passes;         /* requests that needed a number of their own */
    uint64_t passed_at;      /* at which step the last one came, */
    asyncio_task *passed_by; /* and from which task */

    /* Callbacks. */
    uint64_t callbacks;       /* run so far, those of timers among them */
    asyncio_context *context; /* what one runs in (core/contextvars.h) */
    struct handle_pool handles;
    asyncio_drain drain; /* who gets calls, timers and watches back when the loop closes; or NULL */
    void *drain_arg;
    asyncio_exception_handler exception_handler;
    void *exception_arg;
    const struct asyncio_instrument *instrument;
    struct trace *trace;             /* core/trace.h; or NULL */
    const struct director *director; /* of a simulation (core/director.h); or NULL */
    uint32_t stretch;                /* what is left of a batch whose entries are taken one at a time */
    int64_t slow_ns;                 /* debug mode reports a step that took longer */
    struct debug_words words;        /* of the environment, when the loop was made */
    struct checks checks;            /* of debug mode */
    struct quarantine *quarantine;   /* released blocks, in debug mode */

    /* State. */
    uintptr_t thread; /* who may call; other threads may look: written, and read by them, as an atomic */
    unsigned fork_generation;
    bool is_running, debug, is_deadlocked;
    bool is_closed; /* other threads may look: written, and read by them, as an atomic */
    bool is_reporting;
    bool is_shutting_down; /* servers take no more clients */
    bool is_watched;       /* for stack overflow, or by signals (overflow.c) */
    bool is_quit_bound;    /* it wants SIGQUIT to dump (dump.c) */
    asyncio_task *main;    /* of the runner's run, while it lasts; or NULL */
    struct random random;
    asyncio_run_options options;
    struct exceptions outer_exceptions; /* of what surrounds the run */

    /* Among the loops of one asyncio_run_loops. They do not change once it runs. */
    struct loop_place *place; /* threads/loops.h; NULL: it is alone */
    int index;                /* -1: it is alone */
    int64_t spin_ns;          /* how long it looks for posts before it sleeps */

    /* Other threads' doings. */
    struct abroad_work abroad; /* known to this thread alone */
    _Atomic uint64_t refs;     /* the program's, other threads', and two marks: see loop.c */
    struct posts posts;
    struct loop_load load;  /* of one of several */
    struct watched watched; /* by the watchdog, if at all */
};

/* Given to the loop by the layers above when they are first used. */
struct asy_io_hooks {
    void (*close)(struct asy_io_hooks *hooks); /* the loop closes */
};

/* The loop that runs in this thread. */
extern THREAD_LOCAL HIDDEN asyncio_loop *asy_running_loop;

/* ---- Who calls ---------------------------------------------------------------- */

static inline uintptr_t asy_this_thread(void)
{
    return (uintptr_t)__builtin_thread_pointer();
}
static inline void asy_loop_check(const asyncio_loop *loop, const char *call)
{
    if (UNLIKELY(loop->thread != asy_this_thread()))
        asy_wrong_thread(call);
}

/* ---- loop.c ------------------------------------------------------------------ */
extern HIDDEN unsigned asy_fork_generation; /* + 1 in each forked child, */
void asy_watch_forks(void);                 /* from this call on */
/* This process is a child of the one that made it. */
static inline bool asy_loop_is_parents(const asyncio_loop *loop)
{
    return loop->fork_generation != asy_fork_generation;
}
static inline bool asy_loop_unusable(const asyncio_loop *loop)
{
    return loop->is_closed || asy_loop_is_parents(loop);
}
/* Is there a loop with this id, in this process and not closed? Aborts if it is another thread's. */
bool asy_loop_is_open(uint64_t id, const char *call);
/* Calls fn for each open loop of this thread, whether it runs or not. fn makes and frees none. */
void asy_loop_each_here(void (*fn)(asyncio_loop *loop, void *arg), void *arg);
/* A loop that does not run becomes this thread's. */
static inline void asy_loop_adopt(asyncio_loop *loop)
{
    /* Other threads may compare it with their own (loop.c: is_loop_here). Relaxed: none of them takes this
     * loop for its own, whether it reads the old value or the new one. */
    if (!loop->is_running)
        __atomic_store_n(&loop->thread, asy_this_thread(), __ATOMIC_RELAXED);
}
/* Makes one; *out is untouched on failure. */
int asy_loop_new(const asyncio_run_options *options, asyncio_loop **out);
/* Tasks and futures keep the loop's struct, closed or not. */
void asy_loop_objects_came(asyncio_loop *loop);
void asy_loop_objects_went(asyncio_loop *loop);
static inline void asy_loop_object_made(asyncio_loop *loop)
{
    if (loop->objects++ == 0)
        asy_loop_objects_came(loop);
}
static inline void asy_loop_object_freed(asyncio_loop *loop)
{
    if (--loop->objects == 0)
        asy_loop_objects_went(loop);
}
/* The stack at hand goes back to the pool, which looks after its depth. */
static inline void asy_loop_give_spare_stack(asyncio_loop *loop)
{
    if (UNLIKELY(loop->spare_stack != NULL))
        asy_stack_give(loop->stacks, loop->spare_stack);
    loop->spare_stack = NULL;
}
/* The stacks of main tasks that ended go back, too. Nobody may refer to them any more. */
void asy_loop_give_kept_stacks(asyncio_loop *loop);
/* Is anything left on other threads that the end of a run waits for? */
static inline bool asy_loop_is_owed(const asyncio_loop *loop)
{
    return loop->abroad.shutdown_work || loop->abroad.calls;
}
/* Is there a reference besides its maker's and its run's: may another thread post to it? */
bool asy_loop_is_shared(asyncio_loop *loop);
/* For work on another thread: keeps what that needs to wake the loop, but does not keep the loop open. */
void asy_loop_hold(asyncio_loop *loop);
/* Any thread. */
void asy_loop_let_go(asyncio_loop *loop);

/* Steps, callbacks, timers and polls so far. Two equal answers: the loop has been in one and the same of them
 * all the time. Any thread. Relaxed: the answer may be a moment old, and orders nothing. */
static inline uint64_t asy_loop_progress(const asyncio_loop *loop)
{
    return __atomic_load_n(&loop->steps, __ATOMIC_RELAXED) + __atomic_load_n(&loop->polls, __ATOMIC_RELAXED) +
           __atomic_load_n(&loop->callbacks, __ATOMIC_RELAXED);
}

/* ---- events.c ---------------------------------------------------------------- */
int64_t asy_loop_now_ns(asyncio_loop *loop);
/* The loop is this thread's from here on, and runs until asy_loop_end_run. 0, or why it cannot. */
int asy_loop_begin_run(asyncio_loop *loop, const char *call);
void asy_loop_end_run(asyncio_loop *loop);
/* Polls, but waits no longer than until latest_ns, then runs what is ready. 0 or a negative error. */
int asy_loop_iterate(asyncio_loop *loop, int64_t latest_ns);
/* At the end of a batch: false if the loop's own stack must be entered now. */
bool asy_loop_goes_on(asyncio_loop *loop);
/* A trace has begun, or is about to end. */
void asy_loop_set_traced(asyncio_loop *loop);
void asy_loop_unset_traced(asyncio_loop *loop);

/* ---- order.c ----------------------------------------------------------------- */
/* Puts what is ready in the order in which it runs, and the mark behind it. For a strict loop. */
COLD void asy_order_iteration(asyncio_loop *loop);
/* A number below bound, of the seed. */
uint64_t asy_order_choose(asyncio_loop *loop, uint64_t bound);

/* ---- spin.c ------------------------------------------------------------------ */
/* Looks for posts, for spin_ns at most: until there is one, or something is ready, or a timer is due. 0 or
 * the poll's error. */
int asy_loop_spin(asyncio_loop *loop);

/* Runs a callback that is in no queue, as the loop does. */
void asy_callback_run(asyncio_loop *loop, struct callback *callback);
/* Tells the events that the backend has fetched. */
static inline void asy_loop_deliver(asyncio_loop *loop)
{
    if (loop->backend->fetched)
        loop->backend->ops->deliver(loop->backend);
}

/* ---- embedding.c ------------------------------------------------------------- */
/* Between two iterations inside another loop. */
void asy_loop_doze(asyncio_loop *loop);
/* Ends the doze: tells the loop around it that an iteration is due. */
COLD void asy_loop_rouse(asyncio_loop *loop);
static inline void asy_loop_set_dozing(asyncio_loop *loop, bool is_dozing)
{
    loop->is_dozing = is_dozing;
    loop->is_heard = is_dozing || loop->is_traced;
}
/* Something was queued. */
static inline void asy_loop_queued(asyncio_loop *loop)
{
    if (UNLIKELY(loop->is_dozing))
        asy_loop_rouse(loop);
}
/* A task was. */
void asy_trace_queued(asyncio_loop *loop, asyncio_task *task);
static inline void asy_loop_task_queued(asyncio_loop *loop, asyncio_task *task)
{
    if (UNLIKELY(loop->is_heard))
        asy_trace_queued(loop, task);
}

#endif
