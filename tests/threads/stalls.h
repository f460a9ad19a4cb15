/*
 * Threads that stall on their way through a channel.
 *
 * The linker sends calls at which two threads may meet through here (--wrap, in tests/meson.build). A seed
 * draws where a thread stalls, before or after, so that others overtake it there. Included by one file of a
 * program.
 */
#ifndef TESTS_THREADS_STALLS_H
#define TESTS_THREADS_STALLS_H

#include "base/random.h"
#include "support/harness.h"
#include "sys/thread.h"
#include "threads/channel.h"
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic uint64_t stall_seed; /* 0: nobody stalls */
static _Thread_local struct random stalls;
static _Thread_local uint64_t stalls_of;

static void stall(void)
{
    uint64_t seed = atomic_load_explicit(&stall_seed, memory_order_relaxed);
    if (!seed)
        return;
    if (stalls_of != seed) {
        static _Atomic uint64_t threads;
        asy_random_seed(&stalls, seed * 1000 + atomic_fetch_add(&threads, 1));
        stalls_of = seed;
    }
    uint64_t drawn = asy_random_below(&stalls, 64);
    if (drawn == 0)
        usleep((useconds_t)asy_random_below(&stalls, 200));
    else if (drawn < 8)
        sched_yield();
}

#define WRAPPED(type, name, parameters, arguments)                                                           \
    type __real_##name parameters;                                                                           \
    type __wrap_##name parameters;                                                                           \
    type __wrap_##name parameters                                                                            \
    {                                                                                                        \
        stall();                                                                                             \
        type result = __real_##name arguments;                                                               \
        stall();                                                                                             \
        return result;                                                                                       \
    }
#define WRAPPED_VOID(name, parameters, arguments)                                                            \
    void __real_##name parameters;                                                                           \
    void __wrap_##name parameters;                                                                           \
    void __wrap_##name parameters                                                                            \
    {                                                                                                        \
        stall();                                                                                             \
        __real_##name arguments;                                                                             \
        stall();                                                                                             \
    }

WRAPPED(int, asy_post_quietly, (asyncio_loop * loop, struct callback *post, bool *must_wake),
        (loop, post, must_wake))
WRAPPED(bool, asy_channel_withdraw, (struct channel_waiter * waiter), (waiter))
WRAPPED(bool, asy_sys_futex_wait, (_Atomic uint32_t *word, uint32_t value, int64_t timeout_ns),
        (word, value, timeout_ns))
WRAPPED_VOID(asy_loop_wake, (asyncio_loop * loop), (loop))
WRAPPED_VOID(asy_sys_futex_wake, (const _Atomic uint32_t *word, int count), (word, count))
WRAPPED_VOID(asy_channel_await_room,
             (asyncio_channel * channel, struct channel_waiter *waiter, const void *item,
              struct channel_wake *wake),
             (channel, waiter, item, wake))
WRAPPED_VOID(asy_channel_await_item,
             (asyncio_channel * channel, struct channel_waiter *waiter, struct channel_wake *wake),
             (channel, waiter, wake))
WRAPPED_VOID(asy_channel_take_granted,
             (asyncio_channel * channel, struct channel_waiter *waiter, void *item,
              struct channel_wake *wake),
             (channel, waiter, item, wake))
WRAPPED_VOID(asy_channel_revoke,
             (asyncio_channel * channel, struct channel_waiter *waiter, struct channel_wake *wake),
             (channel, waiter, wake))

/* Runs body without stalls, and with those of several seeds. */
static inline void with_stalls(void (*body)(void), uint64_t seeds)
{
    const char *replay = getenv("ASYNCIO_TEST_SEED");
    for (uint64_t seed = replay ? strtoull(replay, NULL, 0) : 0; seed < seeds || replay; seed++) {
        atomic_store(&stall_seed, seed);
        body();
        unsigned failures = harness_failures();
        if (failures)
            fail_msg("%u checks failed; ASYNCIO_TEST_SEED=%llu", failures, (unsigned long long)seed);
        if (replay)
            break;
    }
    atomic_store(&stall_seed, 0);
}

#endif
