/*
 * What the tests of threads share: a gate that holds functions back on other
 * threads, and counts them; a thread with a loop of its own.
 */
#ifndef TESTS_IO_THREAD_TEST_H
#define TESTS_IO_THREAD_TEST_H

#include "asyncio.h"
#include "support/harness.h"
#include "support/ledger.h"
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

/* ---- A gate ---------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool open;
    int inside, most, came; /* functions that are in it now; at most so far; ever */
} gate = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, 0};

static inline void gate_set(bool open)
{
    pthread_mutex_lock(&gate.lock);
    gate.open = open;
    if (!open)
        gate.most = gate.came = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* For other threads: waits until it is open, and returns arg. */
static inline intptr_t gate_pass(void *arg)
{
    pthread_mutex_lock(&gate.lock);
    gate.came++;
    if (++gate.inside > gate.most)
        gate.most = gate.inside;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.open)
        pthread_cond_wait(&gate.changed, &gate.lock);
    gate.inside--;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return (intptr_t)arg;
}

static inline int gate_inside(void)
{
    pthread_mutex_lock(&gate.lock);
    int inside = gate.inside;
    pthread_mutex_unlock(&gate.lock);
    return inside;
}

/* Blocks, for as long as it takes: for plain threads, and where nothing else has to go on. */
static inline void gate_wait_inside(int count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.inside != count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static inline int gate_came(void)
{
    pthread_mutex_lock(&gate.lock);
    int came = gate.came;
    pthread_mutex_unlock(&gate.lock);
    return came;
}

static inline int gate_most(void)
{
    pthread_mutex_lock(&gate.lock);
    int most = gate.most;
    pthread_mutex_unlock(&gate.lock);
    return most;
}

/* For tasks. */
static inline void wait_inside(int count)
{
    while (gate_inside() != count)
        asyncio_sleep(0);
}

/* ---- What there is ------------------------------------------------------------ */

/* Threads of executors; those that a checker has are not counted. */
static inline int threads_now(void)
{
    DIR *folder = opendir("/proc/self/task");
    int count = 0;
    for (const struct dirent *entry; folder && (entry = readdir(folder));) {
        char path[300], name[16] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file && fscanf(file, "%15s", name) == 1)
            count += strcmp(name, "asyncio-worker") == 0;
        if (file)
            fclose(file);
    }
    if (folder)
        closedir(folder);
    return count;
}

/* Waits, generously, until there are so many, twice in a row: the kernel's list of threads may lack one while
 * another ends. */
static inline void wait_for_threads_to_be(int count)
{
    int in_a_row = 0;
    for (int i = 0; i < 30000 && in_a_row < 2; i++) {
        in_a_row = threads_now() == count ? in_a_row + 1 : 0;
        usleep(1000);
    }
    CHECK_EQUAL(in_a_row, 2);
}

/* The same for what is held: a thread may be the last to let go of a loop. */
static inline bool wait_for_ledger(const struct ledger *before)
{
    for (int i = 0; i < 30000; i++) {
        struct ledger now = ledger_now();
        if (now.allocations == before->allocations && now.descriptors == before->descriptors &&
            now.blocks == before->blocks)
            break;
        usleep(1000);
    }
    return ledger_is(before);
}

/* After each test, with threads that end as soon as they are idle: the last of them lets go of the loop a
 * moment after the run, and the next test counts from what there is. */
static inline int end_threads(void **state)
{
    (void)state;
    wait_for_threads_to_be(0);
    harness_settle();
    return 0;
}

/* Until what other threads count is there. */
static inline void wait_for(_Atomic int *what, int value)
{
    for (int i = 0; i < 500000 && atomic_load(what) < value; i++)
        usleep(20);
    CHECK_EQUAL(atomic_load(what), value);
}

/* ---- What the pool is given to do, and ends of runs --------------------------------- */

static inline intptr_t twice(void *arg)
{
    return 2 * (intptr_t)arg;
}

static _Atomic int ran, dropped;

static inline intptr_t note_run(void *arg)
{
    atomic_fetch_add(&ran, 1);
    return (intptr_t)arg;
}

static inline void note_drop(void *arg)
{
    (void)arg;
    atomic_fetch_add(&dropped, 1);
}

static inline intptr_t run_with_grace(asyncio_coro *main, double grace)
{
    asyncio_run_options options = {.shutdown_grace = grace};
    asyncio_runner runner;
    CHECK_EQUAL(asyncio_runner_init(&runner, &options), 0);
    record_reports(asyncio_runner_get_loop(&runner));
    intptr_t result = asyncio_runner_run(&runner, main);
    CHECK_EQUAL(asyncio_runner_close(&runner), 0);
    return result;
}

/* A thread may be the last to let go of a loop. */
static inline void wait_until_no_loop_is_left(void)
{
    for (int i = 0; i < 30000 && ledger_now().descriptors; i++)
        usleep(1000);
    CHECK_EQUAL(ledger_now().descriptors, 0);
}

/* ---- A thread with a loop ----------------------------------------------------- */

struct other {
    pthread_t thread;
    asyncio_loop *loop; /* a reference of the maker's */
    size_t reports;     /* that its exception handler got, once it has ended */
    pthread_barrier_t ready;
};

static inline void stop_other(void *arg)
{
    asyncio_loop_stop(arg);
}

static inline void count_report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)context;
    ++*(size_t *)arg;
}

static inline void *run_other(void *arg)
{
    struct other *other = arg;
    asyncio_loop *loop = asyncio_loop_new(NULL);
    other->loop = asyncio_loop_ref(loop);
    asyncio_loop_set_exception_handler(loop, count_report, &other->reports);
    pthread_barrier_wait(&other->ready);
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    return NULL;
}

static inline void other_begin(struct other *other)
{
    *other = (struct other){0};
    pthread_barrier_init(&other->ready, NULL, 2);
    CHECK_EQUAL(pthread_create(&other->thread, NULL, run_other, other), 0);
    pthread_barrier_wait(&other->ready);
}

static inline void other_end(struct other *other)
{
    CHECK_EQUAL(asyncio_loop_call_soon_threadsafe(other->loop, stop_other, other->loop), 0);
    pthread_join(other->thread, NULL);
    asyncio_loop_release(other->loop);
    pthread_barrier_destroy(&other->ready);
}

#endif
