/*
 * System calls that cost what they cost on another machine, such as one whose kernel hides its pages
 * (page-table isolation): a filter of so many instructions runs at each call. What the kernel does behind the
 * call, as for an entry of a ring, costs no more than before.
 */
#ifndef DEAR_CALLS_H
#define DEAR_CALLS_H

#include "bench.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEAR_STEPS_MAX 4000

/* Nanoseconds of an empty call: the least of several runs. */
static inline double bench_call_ns(void)
{
    double least_ns = 1e18;
    for (int run = 0; run < 20; run++) {
        int64_t began_ns = bench_now_ns();
        for (int i = 0; i < 1000; i++)
            syscall(SYS_getppid);
        double each_ns = (double)(bench_now_ns() - began_ns) / 1000;
        least_ns = each_ns < least_ns ? each_ns : least_ns;
    }
    return least_ns;
}

/* For good. BENCH_DEAR_CALLS is the number of instructions; 0, or none: returns 0. */
static inline int bench_make_calls_dear(void)
{
    static struct sock_filter steps[DEAR_STEPS_MAX + 2];
    const char *wanted = getenv("BENCH_DEAR_CALLS");
    size_t count = wanted ? strtoul(wanted, NULL, 10) : 0;
    if (!count)
        return 0;
    BENCH_CHECK(count <= DEAR_STEPS_MAX);
    /* A filter that looks at nothing but the number of the call is asked once for each. */
    steps[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args));
    for (size_t i = 1; i <= count; i++)
        steps[i] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1);
    steps[count + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)(count + 2), steps};
    BENCH_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    BENCH_CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0);
    return 1;
}

#endif
