/*
 * The C++ runtime, if there is one, and the two words that it keeps for each thread. See exceptions.h.
 *
 * The linker finds the runtime of a C++ program, and of a C program that uses a C++ library. A runtime that
 * comes later, with a plugin, is announced when the first coroutine of C++ is made. As a rule a process has
 * one; of several, each with words of its own, the first one found is followed.
 */
#include "core/exceptions.h"
#include "asyncio/coroutines.h"
#include "base/assert.h"
#include <string.h>

/* Part of the Itanium C++ ABI, in libstdc++ and libc++abi alike. */
extern void *linked_runtime(void) __asm__("__cxa_get_globals") __attribute__((weak));

/* The function of a plugin's runtime. Any thread sets it, once; relaxed, since what it leads to was made
 * by the linker, before any thread could know of it. */
static void *(*_Atomic announced_runtime)(void);

static bool is_runtime_linked(void)
{
    return linked_runtime != NULL;
}

/* This thread's words; NULL: there is no C++. They stay where they are. */
static struct exceptions *find_words(void)
{
    if (is_runtime_linked())
        return linked_runtime();
    void *(*runtime)(void) = atomic_load_explicit(&announced_runtime, memory_order_relaxed);
    return runtime ? runtime() : NULL;
}

void asy_exceptions_enter(asyncio_loop *loop)
{
    ASY_ASSERT(!loop->exceptions);
    loop->exceptions = find_words();
    if (!loop->exceptions)
        return;
    loop->outer_exceptions = *loop->exceptions;
    *loop->exceptions = (struct exceptions){0};
}

void asy_exceptions_leave(asyncio_loop *loop)
{
    if (!loop->exceptions)
        return;
    *loop->exceptions = loop->outer_exceptions;
    loop->exceptions = NULL;
}

void asy_exceptions_update(asyncio_loop *loop)
{
    if (LIKELY(loop->exceptions || !atomic_load_explicit(&announced_runtime, memory_order_relaxed)))
        return;
    loop->exceptions = find_words();
    loop->outer_exceptions = (struct exceptions){0};
}

asyncio_coro *asyncio_coro_alloc_cxx(const asyncio_coro_type *type, void **args, void *(*runtime)(void))
{
    if (UNLIKELY(runtime && !is_runtime_linked())) {
        void *(*none)(void) = NULL;
        atomic_compare_exchange_strong(&announced_runtime, &none, runtime);
        if (asy_running_loop)
            asy_exceptions_update(asy_running_loop);
    }
    return asyncio_coro_alloc(type, args);
}
