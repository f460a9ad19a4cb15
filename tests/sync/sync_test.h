/*
 * What the tests of locks and queues share: a trail of what happened, a look at who
 * waits, orders drawn from a seed, and a sweep that cancels one task at each hop.
 */
#ifndef TESTS_SYNC_TEST_H
#define TESTS_SYNC_TEST_H

#include "asyncio.h"
#include "base/random.h"
#include "support/harness.h"
#include "sync/sync.h"
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* ---- The trail: words in the order in which tasks said them ---------------------- */

static char trail[1024];

static __attribute__((unused, format(printf, 1, 2))) void say(const char *format, ...)
{
    size_t used = strlen(trail);
    va_list args;
    va_start(args, format);
    vsnprintf(trail + used, sizeof trail - used, format, args);
    va_end(args);
}

static __attribute__((unused)) const char *outcome(intptr_t err)
{
    return err >= 0 ? "ok" : asyncio_errname(err);
}

/* Compares the trail, and begins a new one. */
#define CHECK_TRAIL(words)                                                                                   \
    do {                                                                                                     \
        CHECK_TEXT(trail, words);                                                                            \
        trail[0] = '\0';                                                                                     \
    } while (0)

/* Lets everybody else run until nothing but timers is left. */
static __attribute__((unused)) void settle(void)
{
    for (int i = 0; i < 20; i++)
        asyncio_sleep(0);
}

/* ---- Who waits --------------------------------------------------------------------- */

/* Are the tasks that wait exactly these, in this order? */
static __attribute__((unused)) bool waiters_are(const asyncio_waiters *waiters, asyncio_task *const *tasks,
                                                size_t n)
{
    if (!waiters_any(waiters))
        return n == 0;
    size_t i = 0;
    LIST_EACH(node, (struct list *)(void *)(uintptr_t)waiters) {
        const struct wait *wait = LIST_ENTRY(node, struct wait, waiter.node);
        if (i == n || wait->task != tasks[i++])
            return false;
    }
    return i == n;
}

/* ---- Models ------------------------------------------------------------------------ */

#define WORKERS 6
#define OPERATIONS 40
#define UNDECIDED 1000000 /* the outcome of a call that waits */

/* Workers, by number, in the order in which they wait. */
struct line {
    int who[WORKERS];
    int count;
};

static __attribute__((unused)) void line_add(struct line *line, int who)
{
    line->who[line->count++] = who;
}

static __attribute__((unused)) bool line_remove(struct line *line, int who)
{
    for (int i = 0; i < line->count; i++) {
        if (line->who[i] != who)
            continue;
        memmove(&line->who[i], &line->who[i + 1], (size_t)(line->count - i - 1) * sizeof line->who[0]);
        line->count--;
        return true;
    }
    return false;
}

static __attribute__((unused)) int line_take(struct line *line)
{
    int who = line->who[0];
    line_remove(line, who);
    return who;
}

static struct random draws;
static __attribute__((unused)) asyncio_task *workers[WORKERS];
/* What the model says that a waiting call returns. */
static __attribute__((unused)) intptr_t outcomes[WORKERS];

static __attribute__((unused)) int draw(int bound)
{
    return (int)asy_random_below(&draws, (uint64_t)bound);
}

static __attribute__((unused)) bool waiters_are_line(const asyncio_waiters *waiters, const struct line *line)
{
    asyncio_task *tasks[WORKERS];
    for (int i = 0; i < line->count; i++)
        tasks[i] = workers[line->who[i]];
    return waiters_are(waiters, tasks, (size_t)line->count);
}

/* Would a call of this worker that has to wait fail at once? */
static __attribute__((unused)) bool has_request(int who)
{
    return workers[who]->must_cancel;
}

/* Some hops, or some milliseconds. A request that comes meanwhile is forgotten. */
static __attribute__((unused)) void pause_somewhat(void)
{
    asyncio_sleep(draw(3) ? 0 : draw(4) * 1e-3);
}

/* Runs body, a worker, WORKERS times beside each other, and `meddler` until they have ended. */
static __attribute__((unused)) void run_workers(asyncio_coro *(*body)(int who), coroutine_function meddler)
{
    intptr_t results[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        workers[i] = asyncio_create_task(body(i));
    asyncio_task *other = asyncio_create_task(meddler());
    for (int i = 0; i < WORKERS; i++)
        CHECK_EQUAL(asyncio_join(asyncio_ref(workers[i]), &results[i]), 0);
    asyncio_cancel(other);
    CHECK_EQUAL(asyncio_await(other), -ECANCELED);
    for (int i = 0; i < WORKERS; i++)
        asyncio_release(workers[i]);
}

/* Runs main with each seed, and numbers drawn from it. */
static coroutine_function model_main;

static __attribute__((unused)) void run_model_with(uint64_t seed)
{
    asy_random_seed(&draws, seed);
    CHECK_EQUAL(run_seeded(model_main, seed), 0);
}

static __attribute__((unused)) void run_model(coroutine_function main)
{
    model_main = main;
    for_each_seed(run_model_with);
}

/* ---- One cancel at each hop --------------------------------------------------------- */

#define HOPS 12

static int cancel_hop;
static asyncio_task *victim;
static bool victim_was_cancelled; /* before it had ended */

/* Cancels the victim after so many hops. Created last, it comes last among those of a hop. */
ASYNC(cancel_victim)
{
    for (int i = 0; i < cancel_hop; i++)
        asyncio_sleep(0);
    victim_was_cancelled = asyncio_cancel(victim);
    return 0;
}

static coroutine_function hops_main;

static __attribute__((unused)) void sweep_hops_with(uint64_t seed)
{
    for (cancel_hop = 0; cancel_hop < HOPS; cancel_hop++)
        CHECK_EQUAL(run_seeded(hops_main, seed), 0);
}

/* Runs main with the cancel at each hop: in order, and in the order of each seed. */
static __attribute__((unused)) void sweep_hops(coroutine_function main)
{
    hops_main = main;
    sweep_hops_with(0);
    for_each_seed(sweep_hops_with);
}

/* ---- Loops that end with tasks in them ------------------------------------------------- */

/* Runs main on a loop of its own, in order, until it stops the loop, and closes that
 * over all its tasks. */
static __attribute__((unused)) void run_and_close(asyncio_coro *main)
{
    asyncio_run_options options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
    asyncio_loop *loop = asyncio_loop_new(&options);
    record_reports(loop);
    asyncio_release(asyncio_loop_create_task(loop, main));
    CHECK_EQUAL(asyncio_loop_run_forever(loop), 0);
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    harness_settle();
}

/* Ends the run of the loop, and never runs again. */
static __attribute__((unused)) intptr_t stop_for_good(void)
{
    asyncio_loop_stop(asyncio_get_running_loop());
    return asyncio_sleep(ASYNCIO_FOREVER);
}

#endif
