/* Words for the compiler. */
#ifndef ASY_BASE_COMPILER_H
#define ASY_BASE_COMPILER_H

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
/* Code that each turn of the loop and each transfer runs through. The linker puts it side by side, so that
 * a thread that comes out of the kernel finds its code on few pages. */
#define HOT __attribute__((hot))
#define COLD __attribute__((noinline, cold))
#define HIDDEN __attribute__((visibility("hidden")))

/* Thread-local storage reached by one instruction, in the shared library too. */
#define THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

/* Counts what other threads may read meanwhile. It is one store on all processors that we know; the thread
 * sanitizer wants to hear that. */
#ifdef __SANITIZE_THREAD__
#define COUNT_UP(counter) __atomic_store_n(&(counter), (counter) + 1, __ATOMIC_RELAXED)
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define COUNT_UP(counter) __atomic_store_n(&(counter), (counter) + 1, __ATOMIC_RELAXED)
#endif
#endif
#ifndef COUNT_UP
#define COUNT_UP(counter) (void)(counter)++
#endif

/* In a loop that waits for another processor's store: lets the other half of a core work meanwhile. */
static inline void cpu_pause(void)
{
#if defined __x86_64__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("isb" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

/* Fetches the cache line at p, and those behind it, ahead of their use; any address will do. A function
 * that does nothing else has no effect in GCC's eyes, and its calls would be left out: hence the statement
 * at the end. */
#define CACHE_LINE 64
static inline __attribute__((always_inline)) void fetch_lines(const void *p, int count)
{
    for (int i = 0; i < count; i++)
        __builtin_prefetch((const char *)p + i * CACHE_LINE);
    __asm__ volatile("");
}

#endif
