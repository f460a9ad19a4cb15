/*
 * What every scenario of the C half needs; the twin of parity.py.
 *
 * A scenario is a coroutine function, SCENARIO(name) { ... }, or a function of
 * an idle loop, LOOP_SCENARIO(name) { ... loop ... }. Its twin in Python has the
 * same name and says the same lines. Each runs on a loop of its own, under the
 * virtual clock and in FIFO order.
 */
#ifndef PARITY_H
#define PARITY_H

#include <asyncio.h>

/* ---- The table: a scenario adds itself before main begins. ---- */

struct scenario {
    const char *name;
    asyncio_coro *(*main)(void); /* one of the two */
    void (*with_loop)(asyncio_loop *loop);
    struct scenario *next;
};

void scenario_add(struct scenario *scenario);

/* The virtual clock, FIFO order: for the loops that a scenario makes. */
extern const asyncio_run_options virtual_options;

#define SCENARIO(name)                                                                                       \
    static asyncio_coro *name(void);                                                                         \
    SCENARIO_ADD_(name, name, NULL)                                                                          \
    ASYNC(name)

#define LOOP_SCENARIO(name)                                                                                  \
    static void name(asyncio_loop *loop);                                                                    \
    SCENARIO_ADD_(name, NULL, name)                                                                          \
    static void name(asyncio_loop *loop)

#define SCENARIO_ADD_(name, main, with_loop)                                                                 \
    __attribute__((constructor)) static void add_##name(void)                                                \
    {                                                                                                        \
        static struct scenario scenario = {#name, main, with_loop, NULL};                                    \
        scenario_add(&scenario);                                                                             \
    }

/* ---- Saying ---- */

/* Prints a line. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same as a callback: says the string that arg is; with the time. */
void said(void *arg);
void said_at(void *arg);

/* An outcome as both halves write it: "7", "cancelled", "error 5", "refused". The text
 * stands until a few more were made. */
const char *text(intptr_t outcome);
/* The outcome of a gather of n: the results as a list, or the error. */
const char *gathered(int status, const intptr_t results[], size_t n);
/* Seconds since the scenario began; of a loop that does not run. */
double now(void);
double now_of(asyncio_loop *loop);

/* ---- Coroutines that many scenarios use ---- */

/* Counts the turns of the loop. */
ASYNC_DECLARE(ticker, int, n);
ASYNC_DECLARE(says, const char *, what, intptr_t, value);
/* A coroutine that sleeps, as Python's sleep is one. */
ASYNC_DECLARE(nap, double, delay);
/* Sleeps, says how that ended, and ends in the same way. */
ASYNC_DECLARE(sleeper, const char *, name, double, delay, intptr_t, value);
ASYNC_DECLARE(fails, double, delay, intptr_t, code);
/* Awaits, says the outcome, and ends in the same way. Each takes over a reference. */
ASYNC_DECLARE(waiter, const char *, name, asyncio_future *, future);
ASYNC_DECLARE(task_waiter, const char *, name, asyncio_task *, task);
/* Awaits the task and says all that can be told of it. Takes over the reference. 0. */
intptr_t ends(asyncio_task *task);

#endif
