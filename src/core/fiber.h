/*
 * A fibre: a place where execution was left, and what the sanitizers need to follow the switch. The loop has
 * one, for its thread's own stack, and so has each task.
 */
#ifndef ASY_CORE_FIBER_H
#define ASY_CORE_FIBER_H

#include "base/sanitizer.h"
#include "sys/context.h"
#include <stddef.h>

struct fiber {
    void *sp; /* NULL: not started */
#if ASY_ASAN
    void *fake_stack;
    const void *low;
    size_t size;
#endif
#if ASY_TSAN
    void *tsan;
#endif
};

/* The running fibre, of whatever stack: where it stands is stored when it is left, and fiber_entered learns
 * the bounds of its stack. */
static inline struct fiber fiber_here(void)
{
    struct fiber here = {0};
#if ASY_TSAN
    here.tsan = __tsan_get_current_fiber();
#endif
    return here;
}

/* Leaves `from` and continues `to`; returns when somebody switches back. This, and each of the next two,
 * is the last thing that its caller does (sys/context.h says why). */
static inline __attribute__((always_inline)) void fiber_switch(struct fiber *from, struct fiber *to)
{
#if ASY_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->size);
#endif
#if ASY_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    asy_context_switch(&from->sp, to->sp);
#if ASY_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

/* Leaves `from`, and starts `to` on a fresh stack. */
static inline __attribute__((always_inline)) void fiber_start(struct fiber *from, struct fiber *to, void *top,
                                                              void (*entry)(void *), void *arg,
                                                              const struct asy_fp_control *fp)
{
    to->sp = top; /* started: no longer NULL */
#if ASY_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->low, to->size);
#endif
#if ASY_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    asy_context_start(&from->sp, top, entry, arg, fp);
#if ASY_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

/* Leaves the running fibre for good. */
static inline __attribute__((always_inline)) void fiber_leave(struct fiber *to)
{
#if ASY_ASAN
    __sanitizer_start_switch_fiber(NULL, to->low, to->size);
#endif
#if ASY_TSAN
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
    asy_context_leave(to->sp);
}

/* Comes first on a fresh stack. The loop's fibre learns the bounds of its stack if it does not know them: it
 * is the one that was just left, since either no task has run yet, or this one starts eagerly. */
static inline void fiber_entered(struct fiber *loop)
{
#if ASY_ASAN
    const void *low;
    size_t size;
    __sanitizer_finish_switch_fiber(NULL, &low, &size);
    if (!loop->size) {
        loop->low = low;
        loop->size = size;
    }
#else
    (void)loop;
#endif
}

#endif
