/*
 * The question `thread`: how long does it take to have an empty function run on another thread
 * and to be told of its end, one at a time?
 *
 * one       both threads on one processor, by the clock
 * two       each on one of its own: mostly the time that sleeping processors take to wake
 * cpu       the same, processor time of all threads
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

static inline void thread_go_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    BENCH_CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
}

/* One variant but `post`, which is the first thing that the process does: the thread that the first
 * call begins inherits where it may run. */
static inline void thread_measure(const char *variant, bench_function call, void *arg)
{
    cpu_set_t set;
    int cpus[2] = {0, 0}, n = 0;
    BENCH_CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    for (int i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (CPU_ISSET(i, &set))
            cpus[n++] = i;
    if (n < 2 && strcmp(variant, "one") != 0) {
        bench_print_none("thread", variant, "there is but one processor");
        return;
    }
    thread_go_to(cpus[0]);
    call(arg, 1);
    if (strcmp(variant, "one") != 0)
        thread_go_to(cpus[1]);
    if (strcmp(variant, "cpu") == 0)
        thread_clock = thread_cpu_ns;
    bench_measure("thread", variant, call, arg, 1);
}

#endif
