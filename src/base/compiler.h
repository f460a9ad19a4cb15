/* Words for the compiler. */
#ifndef ASY_BASE_COMPILER_H
#define ASY_BASE_COMPILER_H

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define NOINLINE __attribute__((noinline))
#define HOT __attribute__((hot))
#define COLD __attribute__((noinline, cold))
#define HIDDEN __attribute__((visibility("hidden")))

/* Thread-local storage reached by one instruction, in the shared library too. */
#define THREAD_LOCAL _Thread_local __attribute__((tls_model("initial-exec")))

#endif
