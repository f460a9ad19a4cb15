/*
 * A loop inside another one. The other one is played by poll(2), in two manners: by the book (the timeout
 * asked before each poll), and lazily (the timeout asked only after a turn, as by a loop whose timers are
 * set and then forgotten): the descriptor has to tell of everything else. Turns are counted: what wakes
 * for nothing is as wrong as what does not wake.
 */
#ifndef TESTS_RUN_EMBEDDING_TEST_H
#define TESTS_RUN_EMBEDDING_TEST_H

#include "asyncio.h"
#include "child.h"
#include "support/harness.h"
#include "support/ledger.h"
#include "support/net.h"
#include "sys/sys.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define SECONDS_MAX 30

/* ---- The other loop -------------------------------------------------------------------------- */

static asyncio_loop *loop;
static unsigned turns;
static double next_timeout; /* of the lazy one */

static inline double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline bool is_readable(void)
{
    struct pollfd one = {.fd = asyncio_loop_fd(loop), .events = POLLIN};
    return poll(&one, 1, 0) == 1;
}

static inline void sleep_until(int fd, double timeout)
{
    struct pollfd one = {.fd = fd, .events = POLLIN};
    double most = timeout < SECONDS_MAX ? timeout : SECONDS_MAX;
    if (poll(&one, 1, (int)ceil(most * 1000)) == 0 && timeout >= SECONDS_MAX)
        harness_failed(__FILE__, __LINE__, "nobody has woken the other loop");
}

/* One round of the other loop. */
static inline void turn(bool lazy)
{
    sleep_until(asyncio_loop_fd(loop), lazy ? next_timeout : asyncio_loop_timeout(loop));
    CHECK_EQUAL(asyncio_loop_run_once(loop, 0), 0);
    next_timeout = asyncio_loop_timeout(loop);
    turns++;
}

static inline void turn_until_done(asyncio_task *task, bool lazy)
{
    double end = seconds_now() + SECONDS_MAX;
    while (!asyncio_done(task) && seconds_now() < end)
        turn(lazy);
    CHECK(asyncio_done(task));
}

/* Turns as long as there is something to do at once. */
static inline void settle(void)
{
    for (int i = 0; i < 1000 && (is_readable() || asyncio_loop_timeout(loop) == 0); i++)
        turn(false);
}

/* The other loop is told, by both ways, exactly as long as it has to give a turn. */
static inline void check_told(void)
{
    CHECK(is_readable());
    CHECK(asyncio_loop_timeout(loop) == 0);
    settle();
    CHECK(!is_readable());
    CHECK(asyncio_loop_timeout(loop) > 0);
}

static inline void begin_with(const asyncio_run_options *options)
{
    loop = asyncio_loop_new(options);
    record_reports(loop);
    CHECK(asyncio_loop_fd(loop) >= 0);
    turns = 0;
    next_timeout = asyncio_loop_timeout(loop);
}

static inline void begin(void)
{
    begin_with(NULL);
}

static inline void end(void)
{
    CHECK_EQUAL(asyncio_loop_close(loop), 0);
    asyncio_loop_release(loop);
    CHECK_EQUAL(report_count, 0);
    harness_settle();
}

/* Starts it, and gives it turns until it has ended. */
static inline void run_inside(asyncio_coro *coro, bool lazy)
{
    asyncio_task *task = asyncio_loop_create_task(loop, coro);
    turn_until_done(task, lazy);
    CHECK_EQUAL(asyncio_result(task), 0);
    asyncio_release(task);
}

static inline void count(void *arg)
{
    ++*(int *)arg;
}

ASYNC(returns)
{
    return 0;
}

ASYNC(sleeps, double, seconds)
{
    return asyncio_sleep(seconds);
}

#endif
