/*
 * The question `thread`: how long does it take to have an empty function run on another thread
 * and to be told of its end, one at a time?
 *
 * call      by the clock
 * cpu       the same, processor time of all threads
 * one       both threads on one processor
 * post      one of many callbacks that another thread hands to the loop
 */
#ifndef BENCH_THREAD_H
#define BENCH_THREAD_H

#include "bench.h"

#include <sched.h>

static inline int64_t thread_cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* What a call is measured by. */
static int64_t (*thread_clock)(void) = bench_now_ns;

/* One variant but `post`, which is the first thing that the process does: the thread that is begun for it
 * inherits where it may run. */
static inline void thread_measure(const char *variant, bench_function call, void *arg)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (strcmp(variant, "one") == 0)
        BENCH_CHECK(sched_setaffinity(0, sizeof one, &one) == 0);
    if (strcmp(variant, "cpu") == 0)
        thread_clock = thread_cpu_ns;
    bench_measure("thread", variant, call, arg, 1);
}

#endif
