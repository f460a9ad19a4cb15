/*
 * Running several loops: their threads, from the start of all to the end of the last.
 *
 *     caller    makes all loops, and a thread for each but the first; all threads wait at the gate
 *     gate      opens when all are ready, or shuts when one of them could not be made
 *     each      make, run, close; the first that fails stops the others
 *     caller    runs loop 0 in the same way, then joins the threads
 *
 * Until the last thread is joined there is a reference to each loop, so that one may be told to stop, or
 * called, when it has ended.
 */
#include "asyncio/loops.h"
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "base/assert.h"
#include "core/loop.h"
#include "core/timer.h"
#include "run/interrupt.h"
#include "sys/sys.h"
#include "sys/thread.h"
#include "threads/loops.h"
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define SPIN_MAX_S 0.001

enum gate { GATE_WAITING, GATE_OPEN, GATE_SHUT };

struct loops_run;

/* One of the loops, and the thread that runs it. */
struct member {
    struct loops_run *run;
    int index;
    bool has_thread;
    pthread_t thread;
    asyncio_runner runner;
    intptr_t result; /* once it has ended */
    char words[256]; /* of the result */
};

struct loops_run {
    asyncio_loops *loops;
    asyncio_loop_main make;
    void *arg;
    asyncio_loops_options options;
    struct interrupt interrupt;
    int processor_count;
    cpu_set_t processors; /* those that the caller may use */

    /* Futexes. Each thread counts itself as ready, with what it wrote before; and reads after the gate has
     * opened what the caller wrote before. The orders are sequentially consistent: this is no hot path. */
    _Atomic uint32_t ready;
    _Atomic uint32_t gate; /* enum gate */
    _Atomic int failed;    /* the first that failed; -1: none. The thread that sets it stops the others */
    _Atomic int pin_error; /* of any thread */
    struct member members[];
};

/* ---- One loop ------------------------------------------------------------------------------ */

static void note_words(struct member *member)
{
    snprintf(member->words, sizeof member->words, "%s", asyncio_error_message());
}

/* In a group of tasks, too, to be cancelled is no failure. */
static bool is_failed_main(intptr_t result)
{
    return result < 0 && result != -ECANCELED;
}

static void end_main(struct member *member, intptr_t result)
{
    struct loops_run *run = member->run;
    int none = -1;
    member->result = result;
    if (result < 0)
        note_words(member);
    if (is_failed_main(result) && atomic_compare_exchange_strong(&run->failed, &none, member->index))
        asyncio_loops_stop(run->loops);
}

static void run_member(struct member *member)
{
    struct loops_run *run = member->run;
    asy_loop_adopt(member->runner.asyncio_loop_);
    asyncio_coro *coro = run->make(member->index, run->loops, run->arg);
    intptr_t result =
        coro ? asyncio_runner_run(&member->runner, coro)
             : asyncio_raise(-ENOMEM, "asyncio_run_loops: make gave no coroutine for loop %d", member->index);
    end_main(member, result);
    asyncio_runner_close(&member->runner);
}

/* Keeps the calling thread on the processor of its loop. */
static int pin_thread(const struct loops_run *run, int index)
{
    cpu_set_t one;
    int left = index % run->processor_count;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &run->processors) || left-- > 0)
            continue;
        CPU_ZERO(&one);
        CPU_SET((size_t)cpu, &one);
        return asy_sys_set_affinity(&one);
    }
    return -EINVAL;
}

static void prepare_thread(struct loops_run *run, int index)
{
    int err = run->options.pin > 0 ? pin_thread(run, index) : 0;
    if (err)
        atomic_store(&run->pin_error, err);
}

static void *run_loop_thread(void *arg)
{
    struct member *member = arg;
    struct loops_run *run = member->run;
    char name[32];
    snprintf(name, sizeof name, "asyncio-loop-%d", member->index % 100);
    asy_sys_thread_name(name);
    prepare_thread(run, member->index);
    atomic_fetch_add(&run->ready, 1);
    asy_sys_futex_wake(&run->ready, 1);
    while (atomic_load(&run->gate) == GATE_WAITING)
        asy_sys_futex_wait(&run->gate, GATE_WAITING, -1);
    if (atomic_load(&run->gate) == GATE_OPEN)
        run_member(member);
    return NULL;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static int find_processors(struct loops_run *run)
{
    int err = run->options.pin > 0 ? asy_sys_affinity(&run->processors) : 0;
    run->processor_count = err || run->options.pin <= 0 ? 1 : CPU_COUNT(&run->processors);
    return err ? (int)asyncio_raise(err, "asyncio_run_loops: the processors are not known: %s",
                                    asyncio_strerror(err))
               : 0;
}

static int make_member(struct loops_run *run, int index)
{
    struct member *member = &run->members[index];
    member->run = run;
    member->index = index;
    int err = asyncio_runner_init(&member->runner, &run->options.run);
    if (err)
        return err;
    asyncio_loop *loop = member->runner.asyncio_loop_;
    asy_loops_put(run->loops, index, loop);
    if (run->options.spin > 0 && run->loops->count > 1)
        loop->spin_ns = asy_ns_from_seconds(run->options.spin);
    return 0;
}

/* The first loop's run is not what the signals are for, but the run of all: see loops_interrupted. */
static int make_members(struct loops_run *run, int count)
{
    run->options.run.handle_sigint = run->options.run.handle_sigterm = -1;
    int err = find_processors(run);
    for (int i = 0; i < count && !err; i++)
        err = make_member(run, i);
    return err;
}

/* The threads that could be made wait at the gate when this returns. */
static int begin_threads(struct loops_run *run)
{
    uint32_t begun = 0, ready;
    int err = 0;
    for (int i = 1; i < run->loops->count && !err; i++) {
        struct member *member = &run->members[i];
        err = asy_sys_thread_begin(run_loop_thread, member, &member->thread);
        member->has_thread = !err;
        begun += !err;
    }
    while ((ready = atomic_load(&run->ready)) < begun)
        asy_sys_futex_wait(&run->ready, ready, -1);
    if (err)
        return (int)asyncio_raise(-EAGAIN, "asyncio_run_loops: no thread could be made for loop %d",
                                  (int)begun + 1);
    prepare_thread(run, 0);
    err = atomic_load(&run->pin_error);
    return err ? (int)asyncio_raise(err, "asyncio_run_loops: a loop cannot be pinned to its processor: %s",
                                    asyncio_strerror(err))
               : 0;
}

static void set_gate(struct loops_run *run, enum gate gate)
{
    atomic_store(&run->gate, gate);
    asy_sys_futex_wake(&run->gate, INT_MAX);
}

static void join_threads(struct loops_run *run)
{
    for (int i = 1; i < run->loops->count; i++)
        if (run->members[i].has_thread)
            asy_sys_thread_join(run->members[i].thread);
}

static void unpin_caller(struct loops_run *run)
{
    if (run->options.pin > 0)
        asy_sys_set_affinity(&run->processors);
}

/* In the signal handler. */
static bool loops_interrupted(struct interrupt *interrupt)
{
    asyncio_loops_stop(LIST_ENTRY(interrupt, struct loops_run, interrupt)->loops);
    return true;
}

static intptr_t outcome_of_run(struct loops_run *run)
{
    int failed = atomic_load(&run->failed);
    const struct member *member = &run->members[failed < 0 ? 0 : failed];
    if (member->result == -ECANCELED && atomic_load(&run->interrupt.signo))
        return asy_interrupt_raise(&run->interrupt);
    return member->result < 0 ? asyncio_raise(member->result, "%s", member->words) : member->result;
}

static intptr_t run_members(struct loops_run *run, const asyncio_run_options *signals)
{
    int err = begin_threads(run);
    if (!err) {
        run->interrupt.request = loops_interrupted;
        asy_interrupt_install(&run->interrupt, signals);
    }
    set_gate(run, err ? GATE_SHUT : GATE_OPEN);
    if (!err)
        run_member(&run->members[0]);
    join_threads(run);
    if (!err)
        asy_interrupt_remove(&run->interrupt);
    unpin_caller(run);
    return err ? err : outcome_of_run(run);
}

/* Also after a start that failed half-way: closes the loops that never ran. */
static void free_run(struct loops_run *run, int count)
{
    for (int i = 0; i < count; i++)
        if (run->members[i].runner.asyncio_loop_)
            asyncio_runner_close(&run->members[i].runner);
    asy_loops_free(run->loops);
    asy_sys_free(run);
}

static struct loops_run *make_run(int count)
{
    struct loops_run *run = asy_sys_calloc(1, sizeof *run + (size_t)count * sizeof(struct member));
    if (!run)
        return NULL;
    atomic_init(&run->failed, -1);
    run->loops = asy_loops_new(count);
    if (run->loops)
        return run;
    asy_sys_free(run);
    return NULL;
}

static int check_loops_options(const asyncio_loops_options *options)
{
    if (options->count < 0)
        return (int)asyncio_raise(-EINVAL, "asyncio_run_loops: %d loops", options->count);
    if (isnan(options->spin) || options->spin > SPIN_MAX_S)
        return (int)asyncio_raise(-EINVAL, "asyncio_run_loops: a loop spins for at most %g s", SPIN_MAX_S);
    return 0;
}

intptr_t asyncio_run_loops(asyncio_loop_main make, void *arg, const asyncio_loops_options *options)
{
    static const asyncio_loops_options defaults;
    options = options ? options : &defaults;
    if (!make)
        return asyncio_raise(-EINVAL, "asyncio_run_loops: make is NULL");
    if (asy_running_loop)
        return asyncio_raise(ASYNCIO_ESTATE, "asyncio_run_loops: a loop runs in this thread already");
    intptr_t result = check_loops_options(options);
    if (result)
        return result;
    int count = options->count ? options->count : (int)asy_sys_processors();
    struct loops_run *run = make_run(count);
    if (!run)
        return asyncio_raise(-ENOMEM, "asyncio_run_loops: no memory for %d loops", count);
    run->make = make;
    run->arg = arg;
    run->options = *options;
    result = make_members(run, count);
    if (!result)
        result = run_members(run, &options->run);
    char words[256];
    snprintf(words, sizeof words, "%s", asyncio_error_message());
    free_run(run, count);
    return result < 0 ? asyncio_raise(result, "%s", words) : result;
}
