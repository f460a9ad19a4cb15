/*
 * A program whose tasks never stand still, for the tests of the command `asyncio`.
 *
 *     busy spawn            makes and ends tasks, as fast as it can
 *     busy spin             one task computes for ever, and another waits for a lock that it holds
 *     busy eager            a task that starts eagerly computes for ever, in one that does so, in a third
 *     busy callback         a callback hangs, and a task waits meanwhile
 *     busy deep             a task has used much of its stack, and one that ran before it little
 *     busy names            a task has a name of two bytes a letter, others have names that move a cursor
 *     busy sleepers COUNT [timed]   so many tasks sleep; one reads the clock all the time, and writes the
 *                           largest gap between two readings, in microseconds, when standard input says so
 */
#include "asyncio.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void say(const char *words)
{
    puts(words);
    fflush(stdout);
}

/* ---- Tasks that come and go ----------------------------------------------------- */

#define ALIVE 200

ASYNC(short_lived)
{
    return asyncio_sleep(0);
}

ASYNC(spawns)
{
    static asyncio_task *alive[ALIVE];
    say("ready");
    for (unsigned i = 0;; i = (i + 1) % ALIVE) {
        if (alive[i])
            asyncio_await(alive[i]);
        alive[i] = asyncio_create_task(short_lived());
    }
    return 0;
}

/* ---- A task that computes -------------------------------------------------------- */

static asyncio_lock lock = ASYNCIO_LOCK_INIT;
static volatile unsigned long sum;

static __attribute__((noinline)) void burn(void)
{
    say("ready");
    for (;;)
        sum++;
}

ASYNC(computes)
{
    int err = asyncio_lock_acquire(&lock);
    asyncio_sleep(0);
    if (!err)
        burn();
    return err;
}

ASYNC(is_shut_out)
{
    return asyncio_lock_acquire(&lock);
}

ASYNC(spins)
{
    asyncio_task *first = asyncio_create_task(computes());
    asyncio_release(asyncio_create_task(is_shut_out()));
    return asyncio_await(first);
}

/* ---- A task that computes in its eager start -------------------------------------- */

static const asyncio_task_options eagerly = {.eager_start = 1};

ASYNC(innermost)
{
    burn();
    return 0;
}

ASYNC(middle)
{
    return asyncio_await(asyncio_create_task_with(innermost(), &eagerly));
}

static __attribute__((noinline)) asyncio_task *begin_middle(void)
{
    return asyncio_create_task_with(middle(), &eagerly);
}

ASYNC(outermost)
{
    asyncio_sleep(0.01); /* the place of this wait is not where it stands later */
    return asyncio_await(begin_middle());
}

/* ---- A callback that hangs --------------------------------------------------------- */

static __attribute__((noinline)) void hang(void *arg)
{
    (void)arg;
    burn();
}

ASYNC(hangs)
{
    asyncio_loop_call_soon(asyncio_get_running_loop(), hang, NULL);
    return asyncio_sleep(1000);
}

/* ---- Stacks ------------------------------------------------------------------------ */

#define DEEP_BYTES 100000

static __attribute__((noinline)) int dive(void)
{
    volatile char bytes[DEEP_BYTES];
    for (size_t i = 0; i < sizeof bytes; i += 512)
        bytes[i] = (char)(i + 1);
    return bytes[512];
}

ASYNC(shallow)
{
    return asyncio_sleep(1000);
}

ASYNC(deep)
{
    return dive() ? asyncio_sleep(1000) : 0;
}

ASYNC(dives)
{
    asyncio_release(asyncio_create_task(shallow()));
    asyncio_release(asyncio_create_task(shallow()));
    asyncio_release(asyncio_create_task(deep()));
    asyncio_sleep(0.01);
    say("ready");
    return asyncio_sleep(1000);
}

/* ---- Names ------------------------------------------------------------------------- */

ASYNC(named)
{
    static const char *const names[] = {"\xc3\xa4\xc3\xb6\xc3\xbc", "plain", "\x1b[m", "\xc2\x9b[m",
                                        "\xff\xe2\x82"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        asyncio_task *task = asyncio_create_task(shallow());
        asyncio_task_set_name(task, names[i]);
        asyncio_release(task);
    }
    asyncio_sleep(0.01);
    say("ready");
    return asyncio_sleep(1000);
}

/* ---- Tasks that sleep, and a clock ------------------------------------------------ */

static double microseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

ASYNC(sleeper)
{
    return asyncio_sleep(100000);
}

static double largest_gap;

ASYNC(reads_clock)
{
    double before = microseconds();
    for (;;) {
        for (int i = 0; i < 1000; i++) {
            double now = microseconds();
            largest_gap = now - before > largest_gap ? now - before : largest_gap;
            before = now;
        }
        asyncio_sleep(0);
        before = microseconds();
    }
    return 0;
}

ASYNC(sleeps, int, count, bool, is_timed)
{
    char byte;
    for (int i = 0; i < count; i++)
        asyncio_release(asyncio_create_task(sleeper()));
    if (is_timed)
        asyncio_release(asyncio_create_task(reads_clock()));
    asyncio_sleep(0.1);
    say("ready");
    largest_gap = 0;
    while (asyncio_read(0, &byte, 1) > 0) {
        printf("%.0f\n", largest_gap);
        fflush(stdout);
        largest_gap = 0;
    }
    return 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "spawn") == 0)
        return (int)asyncio_run(spawns());
    if (strcmp(what, "spin") == 0)
        return (int)asyncio_run(spins());
    if (strcmp(what, "eager") == 0)
        return (int)asyncio_run(outermost());
    if (strcmp(what, "callback") == 0)
        return (int)asyncio_run(hangs());
    if (strcmp(what, "deep") == 0)
        return (int)asyncio_run(dives());
    if (strcmp(what, "names") == 0)
        return (int)asyncio_run(named());
    if (strcmp(what, "sleepers") == 0 && argc > 2)
        return (int)asyncio_run(sleeps(atoi(argv[2]), argc > 3));
    return 2;
}
