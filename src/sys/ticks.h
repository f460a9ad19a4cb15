/*
 * The processor's own counter of time, which is read in a few nanoseconds without the kernel.
 */
#ifndef ASY_SYS_TICKS_H
#define ASY_SYS_TICKS_H

#include <stdbool.h>
#include <stdint.h>

/* Does it count at one rate whatever the processor does, alike on all of them? Else it is not for use. */
bool asy_sys_has_ticks(void);

static inline uint64_t asy_sys_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return 0;
#endif
}

#endif
