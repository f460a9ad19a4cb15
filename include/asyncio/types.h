/*
 * The types that every part of libasyncio shares. Most are opaque: programs hold pointers and call
 * functions.
 */
#ifndef ASYNCIO_TYPES_H
#define ASYNCIO_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ASYNCIO_API __attribute__((visibility("default")))

#ifdef __cplusplus
#define ASYNCIO_EXTERN_C extern "C"
#define ASYNCIO_BEGIN_DECLS extern "C" {
#define ASYNCIO_END_DECLS }
#else
#define ASYNCIO_EXTERN_C
#define ASYNCIO_BEGIN_DECLS
#define ASYNCIO_END_DECLS
#endif

/* No limit, where a call takes a number of seconds. */
#define ASYNCIO_FOREVER (__builtin_inf())

/* A coroutine that was made and has not started. It has one owner. */
typedef struct asyncio_coro asyncio_coro;
/* A coroutine that runs beside others. A task is a future: the pointer may be cast. */
typedef struct asyncio_task asyncio_task;
/* A result that is there, or will be. */
typedef struct asyncio_future asyncio_future;
/* Any of these three; the macros pass it on. */
typedef struct asyncio_awaitable asyncio_awaitable;
typedef struct asyncio_loop asyncio_loop;
typedef struct asyncio_context asyncio_context;

ASYNCIO_BEGIN_DECLS
/* Bytes that were read, in memory of their own. */
typedef struct asyncio_buffer {
    char *data; /* a NUL follows the last one */
    size_t length;
} asyncio_buffer;
/* Frees a buffer's memory and leaves it empty. Accepts NULL. Any thread; does not wait. */
ASYNCIO_API void asyncio_buffer_destroy(asyncio_buffer *buffer);
ASYNCIO_END_DECLS

/* A place in the source code: where a task, a future or a coroutine was made. */
typedef struct asyncio_site {
    const char *file;
    const char *func;
    int line;
} asyncio_site;

/* The place in the source where this macro stands, as a constant. */
#define ASYNCIO_HERE                                                                              \
    (__extension__({                                                                              \
        static const asyncio_site asyncio_here_ = {__FILE__, __func__, __LINE__};                 \
        &asyncio_here_;                                                                           \
    }))

/*
 * Calls `verb`_coro, `verb`_task or `verb`_future, whichever fits the type of x, chosen at compile time. A
 * plain NULL counts as a future.
 */
#ifndef __cplusplus
#define ASYNCIO_CALL_(verb, x, ...)                                                               \
    _Generic((x),                                                                                 \
        asyncio_coro *: verb##_coro,                                                              \
        asyncio_task *: verb##_task,                                                              \
        asyncio_future *: verb##_future,                                                          \
        void *: verb##_future) __VA_ARGS__

static inline asyncio_awaitable *asyncio_as_awaitable_coro(asyncio_coro *x)
{
    return (asyncio_awaitable *)(void *)x;
}
static inline asyncio_awaitable *asyncio_as_awaitable_task(asyncio_task *x)
{
    return (asyncio_awaitable *)(void *)x;
}
static inline asyncio_awaitable *asyncio_as_awaitable_future(asyncio_future *x)
{
    return (asyncio_awaitable *)(void *)x;
}
#define ASYNCIO_AS_AWAITABLE(x) ASYNCIO_CALL_(asyncio_as_awaitable, x, (x))

static inline asyncio_future *asyncio_as_future_task(asyncio_task *x)
{
    return (asyncio_future *)(void *)x;
}
static inline asyncio_future *asyncio_as_future_future(asyncio_future *x)
{
    return x;
}
/* A task or a future, as the future that it is. */
#define ASYNCIO_AS_FUTURE(x)                                                                      \
    _Generic((x),                                                                                 \
        asyncio_task *: asyncio_as_future_task,                                                   \
        asyncio_future *: asyncio_as_future_future,                                               \
        void *: asyncio_as_future_future)(x)

/* An array of tasks or of futures, as the array of futures that it is. */
static inline asyncio_future **asyncio_as_futures_task(asyncio_task **x)
{
    return (asyncio_future **)(void *)x;
}
static inline asyncio_future **asyncio_as_futures_future(asyncio_future **x)
{
    return x;
}
#define ASYNCIO_AS_FUTURES(x)                                                                     \
    _Generic((x),                                                                                 \
        asyncio_task **: asyncio_as_futures_task,                                                 \
        asyncio_future **: asyncio_as_futures_future,                                             \
        void *: asyncio_as_futures_future)(x)
#else
static inline asyncio_awaitable *ASYNCIO_AS_AWAITABLE(asyncio_coro *x)
{
    return reinterpret_cast<asyncio_awaitable *>(x);
}
static inline asyncio_awaitable *ASYNCIO_AS_AWAITABLE(asyncio_task *x)
{
    return reinterpret_cast<asyncio_awaitable *>(x);
}
static inline asyncio_awaitable *ASYNCIO_AS_AWAITABLE(asyncio_future *x)
{
    return reinterpret_cast<asyncio_awaitable *>(x);
}
static inline asyncio_future *ASYNCIO_AS_FUTURE(asyncio_task *x)
{
    return reinterpret_cast<asyncio_future *>(x);
}
static inline asyncio_future *ASYNCIO_AS_FUTURE(asyncio_future *x)
{
    return x;
}
static inline asyncio_future **ASYNCIO_AS_FUTURES(asyncio_task **x)
{
    return reinterpret_cast<asyncio_future **>(x);
}
static inline asyncio_future **ASYNCIO_AS_FUTURES(asyncio_future **x)
{
    return x;
}
#endif

#endif
