/*
 * A lock for a few dozen instructions between threads that are mostly awake: one word, zero is free. A thread
 * that finds it taken looks again for about a microsecond, since the holder is about to leave; then it
 * sleeps. Not fair, not recursive. The word may be freed by a thread that has released it.
 */
#ifndef ASY_SYS_SHORT_LOCK_H
#define ASY_SYS_SHORT_LOCK_H

#include "base/compiler.h"
#include <stdatomic.h>
#include <stdint.h>

enum { SHORT_LOCK_FREE, SHORT_LOCK_TAKEN, SHORT_LOCK_AWAITED };

struct asy_short_lock {
    _Atomic uint32_t word; /* a futex, too */
};

COLD void asy_short_lock_wait(struct asy_short_lock *lock);
COLD void asy_short_lock_wake(struct asy_short_lock *lock);

/* Acquires what the last holder wrote. */
static inline void short_lock_take(struct asy_short_lock *lock)
{
    uint32_t expected = SHORT_LOCK_FREE;
    if (UNLIKELY(!atomic_compare_exchange_strong_explicit(&lock->word, &expected, SHORT_LOCK_TAKEN,
                                                          memory_order_acquire, memory_order_relaxed)))
        asy_short_lock_wait(lock);
}

/* Releases what this thread wrote. */
static inline void short_lock_leave(struct asy_short_lock *lock)
{
    if (UNLIKELY(atomic_exchange_explicit(&lock->word, SHORT_LOCK_FREE, memory_order_release) ==
                 SHORT_LOCK_AWAITED))
        asy_short_lock_wake(lock);
}

#endif
