/*
 * Which C++ runtime there is, if any, and whose exceptions its words are about. See exceptions.h.
 *
 * The linker finds the runtime of a C++ program, and of a C program that uses a C++ library. One that comes
 * later, with a plugin, announces itself by the first coroutine of C++ that is made. There is one in
 * a process as a rule; of several, each with words of its own, the first found is followed.
 */
#include "core/exceptions.h"
#include "asyncio/coroutines.h"
#include <string.h>

/* Part of the Itanium C++ ABI, in libstdc++ and libc++abi alike. */
extern void *linked_runtime(void) __asm__("__cxa_get_globals") __attribute__((weak));

/* Of a plugin. Any thread. */
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
