/*
 * The short lock where two threads meet. See short_lock.h.
 */
#include "sys/short_lock.h"
#include "sys/thread.h"
#include <stdbool.h>

#define LOOKS 100

static inline void pause_processor(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* False: it is still taken after many looks. */
static bool take_soon(struct asy_short_lock *lock)
{
    for (int i = 0; i < LOOKS; i++) {
        uint32_t expected = SHORT_LOCK_FREE;
        /* Relaxed: only the exchange that takes the lock acquires. */
        if (atomic_load_explicit(&lock->word, memory_order_relaxed) == SHORT_LOCK_FREE &&
            atomic_compare_exchange_strong_explicit(&lock->word, &expected, SHORT_LOCK_TAKEN,
                                                    memory_order_acquire, memory_order_relaxed))
            return true;
        pause_processor();
    }
    return false;
}

void asy_short_lock_wait(struct asy_short_lock *lock)
{
    if (take_soon(lock))
        return;
    /* Taken by this exchange, it stays marked as awaited: other threads may sleep, too. */
    while (atomic_exchange_explicit(&lock->word, SHORT_LOCK_AWAITED, memory_order_acquire) != SHORT_LOCK_FREE)
        asy_sys_futex_wait(&lock->word, SHORT_LOCK_AWAITED, -1);
}

/* The memory may be gone by now, and be used for something else: a thread that sleeps there looks again. */
void asy_short_lock_wake(struct asy_short_lock *lock)
{
    asy_sys_futex_wake(&lock->word, 1);
}
