/*
 * Coroutines: functions that wait.
 *
 *     ASYNC(say_after, double, delay, const char *, what)
 *     {
 *         int err = asyncio_sleep(delay);
 *         if (err)
 *             return err;
 *         puts(what);
 *         return 0;
 *     }
 *
 * defines a static coroutine function with two parameters. Calling it, `say_after(1, "hello")`, stores the
 * arguments and returns an asyncio_coro; the body runs when that is awaited or becomes a task. The body
 * returns a signed number: a value >= 0, or an error.
 */
#ifndef ASYNCIO_COROUTINES_H
#define ASYNCIO_COROUTINES_H

#include <asyncio/types.h>

ASYNCIO_BEGIN_DECLS

/* Describes a coroutine function for ASYNC; programs never touch one. */
typedef struct asyncio_coro_type {
    asyncio_site site;               /* where it is defined; `func` is its name */
    intptr_t (*start)(void *args);   /* runs the body, from the stored arguments */
    void (*drop)(void *args);        /* for arguments that were never used; may be NULL */
    size_t args_size;
} asyncio_coro_type;

/* Makes an unstarted coroutine with room for its arguments at *args. NULL: out of memory. Any thread. Used
 * by ASYNC. */
ASYNCIO_API asyncio_coro *asyncio_coro_alloc(const asyncio_coro_type *type, void **args);
/* Makes an unstarted coroutine for C++, as asyncio_coro_alloc: each task has exceptions of its own, where
 * `runtime` (__cxa_get_globals, or NULL) keeps those of a thread. */
ASYNCIO_API asyncio_coro *asyncio_coro_alloc_cxx(const asyncio_coro_type *type, void **args,
                                                 void *(*runtime)(void));

/*
 * Makes a coroutine without macros. fn(arg) is the body. drop(arg) runs once: right after the body has
 * returned, or when the coroutine is closed unstarted; `drop` may be NULL. Does not wait. Any thread. NULL:
 * out of memory (drop has run), or fn is NULL.
 */
ASYNCIO_API asyncio_coro *asyncio_coro_new(intptr_t (*fn)(void *arg), void *arg, void (*drop)(void *arg));
ASYNCIO_API asyncio_coro *asyncio_coro_new_at(intptr_t (*fn)(void *arg), void *arg, void (*drop)(void *arg),
                                              const asyncio_site *site);
#define asyncio_coro_new(fn, arg, drop) asyncio_coro_new_at((fn), (arg), (drop), ASYNCIO_HERE)

/*
 * Disposes of a coroutine that will not be awaited. Its body does not run. Accepts NULL. Does not wait. Any
 * thread. (Python: coro.close().)
 */
ASYNCIO_API void asyncio_coro_close(asyncio_coro *coro);

/*
 * Awaits a coroutine, a task or a future, takes over the caller's reference, and returns the result.
 * (Python: await.)
 *
 * A coroutine runs in place, on the caller's stack. For a task or a future that is not done the call waits:
 * it suspends. A request to cancel the caller is passed on to what it awaits. Errors: that of the awaited
 * one; -ECANCELED when the caller is cancelled; -ENOMEM for NULL; -EINVAL for the calling task itself or
 * another loop's future; ASYNCIO_ENOTASK outside a task (a coroutine is disposed of).
 */
ASYNCIO_API intptr_t asyncio_await_coro(asyncio_coro *coro);
ASYNCIO_API intptr_t asyncio_await_task(asyncio_task *task);
ASYNCIO_API intptr_t asyncio_await_future(asyncio_future *future);

/*
 * Awaits, as asyncio_await, and keeps apart the two outcomes that await folds into one: returns the status
 * of the wait, and stores in *result what the awaited one returned. `result` may be NULL. Takes over the
 * caller's reference.
 *
 * Status: 0 when the awaited one ended; -ECANCELED if and only if a request to cancel the calling task was
 * delivered in this call (*result is written too if the awaited one ended); ASYNCIO_ENOTASK or -EINVAL when
 * the call did not wait. NULL gives 0, and -ENOMEM in *result. A coroutine, which runs in place, gives 0.
 * Suspends.
 */
ASYNCIO_API int asyncio_join_coro(asyncio_coro *coro, intptr_t *result);
ASYNCIO_API int asyncio_join_task(asyncio_task *task, intptr_t *result);
ASYNCIO_API int asyncio_join_future(asyncio_future *future, intptr_t *result);

ASYNCIO_END_DECLS

#ifndef __cplusplus
#define asyncio_await(x) ASYNCIO_CALL_(asyncio_await, x, (x))
#define asyncio_join(x, result) ASYNCIO_CALL_(asyncio_join, x, ((x), (result)))
#else
static inline intptr_t asyncio_await(asyncio_coro *x) { return asyncio_await_coro(x); }
static inline intptr_t asyncio_await(asyncio_task *x) { return asyncio_await_task(x); }
static inline intptr_t asyncio_await(asyncio_future *x) { return asyncio_await_future(x); }
static inline int asyncio_join(asyncio_coro *x, intptr_t *r) { return asyncio_join_coro(x, r); }
static inline int asyncio_join(asyncio_task *x, intptr_t *r) { return asyncio_join_task(x, r); }
static inline int asyncio_join(asyncio_future *x, intptr_t *r) { return asyncio_join_future(x, r); }
#endif

/*
 * ASYNC(name, type, parameter, ...) { body }
 *     defines a static coroutine function with 0 to 8 parameters.
 * ASYNC_DECLARE(name, type, parameter, ...);
 *     declares one with external linkage, for a header.
 * ASYNC_DEFINE(name, type, parameter, ...) { body }
 *     defines it.
 *
 * Types of arrays and of pointers to functions are written with __typeof__ or a typedef. In a debugger the
 * body appears as name_coroutine. Beside `name` only name_coroutine, name_coroutine_start_ and
 * name_coroutine_args_ are taken. A name that a header has declared already is C's to refuse: connect,
 * listen and accept are of <sys/socket.h>, which <asyncio.h> includes, and main is the program's own.
 *
 * In C++ parameters are trivially copyable. A coroutine may wait inside `catch`, and in a destructor during
 * unwinding: each task has exceptions of its own. An exception that leaves a coroutine terminates the
 * program. No exception may leave any other function that the library calls (of asyncio_coro_new, a
 * callback, a predicate, work for a thread): the frames of the library are C and undo nothing, and the
 * exception may be caught behind them. Declare such functions noexcept.
 */
#define ASYNC(...)                                                                                \
    ASYNCIO_EXPAND_(                                                                              \
        ASYNCIO_JOIN_(ASYNCIO_ASYNC_, ASYNCIO_PARAMS_(__VA_ARGS__))(static, __VA_ARGS__))
#define ASYNC_DECLARE(...)                                                                        \
    ASYNCIO_EXPAND_(ASYNCIO_JOIN_(ASYNCIO_DECLARE_, ASYNCIO_PARAMS_(__VA_ARGS__))(__VA_ARGS__))
#define ASYNC_DEFINE(...)                                                                         \
    ASYNCIO_EXPAND_(ASYNCIO_JOIN_(ASYNCIO_ASYNC_, ASYNCIO_PARAMS_(__VA_ARGS__))(                  \
        ASYNCIO_EXTERN_C, __VA_ARGS__))

/* ---- How it is done -------------------------------------------------------
 * One struct holds the arguments, one function starts the body from it, and the
 * function that the program calls fills it. */

#define ASYNCIO_EXPAND_(x) x
#define ASYNCIO_JOIN_(a, b) ASYNCIO_JOIN_NOW_(a, b)
#define ASYNCIO_JOIN_NOW_(a, b) a##b

/* The number of parameters: a name alone has 0, each type and name add 1. Or a word for what is wrong with
 * them. */
#define ASYNCIO_PARAMS_(...)                                                                      \
    ASYNCIO_PICK_(__VA_ARGS__, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY,        \
                  TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, TOO_MANY, \
                  TOO_MANY, TOO_MANY, 8, UNPAIRED, 7, UNPAIRED, 6, UNPAIRED, 5, UNPAIRED, 4,      \
                  UNPAIRED, 3, UNPAIRED, 2, UNPAIRED, 1, UNPAIRED, 0, ~)
/* What stands behind the first 33. */
#define ASYNCIO_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, \
                      a18, a19, a20, a21, a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32,  \
                      a33, n, ...) n

#define ASYNCIO_ASYNC_TOO_MANY(linkage, name, ...)                                                \
    ASYNCIO_REFUSED_(name, "ASYNC takes up to 8 parameters; put more into a struct")
#define ASYNCIO_ASYNC_UNPAIRED(linkage, name, ...)                                                \
    ASYNCIO_REFUSED_(name, "ASYNC(name, type, parameter, ...): a type lacks the name of its "    \
                           "parameter, or the comma before that")
#define ASYNCIO_REFUSED_(name, words)                                                             \
    ASYNCIO_STATIC_ASSERT_(0, words);                                                             \
    static intptr_t name##_coroutine(void)
#define ASYNCIO_DECLARE_TOO_MANY(name, ...)                                                       \
    ASYNCIO_STATIC_ASSERT_(0, "ASYNC_DECLARE takes up to 8 parameters; put more into a struct")
#define ASYNCIO_DECLARE_UNPAIRED(name, ...)                                                       \
    ASYNCIO_STATIC_ASSERT_(0, "ASYNC_DECLARE(name, type, parameter, ...): a type lacks the name " \
                              "of its parameter, or the comma before that")

#define ASYNCIO_PROTO_1(t, p) t p
#define ASYNCIO_PROTO_2(t, p, ...) t p, ASYNCIO_PROTO_1(__VA_ARGS__)
#define ASYNCIO_PROTO_3(t, p, ...) t p, ASYNCIO_PROTO_2(__VA_ARGS__)
#define ASYNCIO_PROTO_4(t, p, ...) t p, ASYNCIO_PROTO_3(__VA_ARGS__)
#define ASYNCIO_PROTO_5(t, p, ...) t p, ASYNCIO_PROTO_4(__VA_ARGS__)
#define ASYNCIO_PROTO_6(t, p, ...) t p, ASYNCIO_PROTO_5(__VA_ARGS__)
#define ASYNCIO_PROTO_7(t, p, ...) t p, ASYNCIO_PROTO_6(__VA_ARGS__)
#define ASYNCIO_PROTO_8(t, p, ...) t p, ASYNCIO_PROTO_7(__VA_ARGS__)

#define ASYNCIO_FIELDS_1(t, p) t p;
#define ASYNCIO_FIELDS_2(t, p, ...) t p; ASYNCIO_FIELDS_1(__VA_ARGS__)
#define ASYNCIO_FIELDS_3(t, p, ...) t p; ASYNCIO_FIELDS_2(__VA_ARGS__)
#define ASYNCIO_FIELDS_4(t, p, ...) t p; ASYNCIO_FIELDS_3(__VA_ARGS__)
#define ASYNCIO_FIELDS_5(t, p, ...) t p; ASYNCIO_FIELDS_4(__VA_ARGS__)
#define ASYNCIO_FIELDS_6(t, p, ...) t p; ASYNCIO_FIELDS_5(__VA_ARGS__)
#define ASYNCIO_FIELDS_7(t, p, ...) t p; ASYNCIO_FIELDS_6(__VA_ARGS__)
#define ASYNCIO_FIELDS_8(t, p, ...) t p; ASYNCIO_FIELDS_7(__VA_ARGS__)

#define ASYNCIO_NAMES_1(t, p) p
#define ASYNCIO_NAMES_2(t, p, ...) p, ASYNCIO_NAMES_1(__VA_ARGS__)
#define ASYNCIO_NAMES_3(t, p, ...) p, ASYNCIO_NAMES_2(__VA_ARGS__)
#define ASYNCIO_NAMES_4(t, p, ...) p, ASYNCIO_NAMES_3(__VA_ARGS__)
#define ASYNCIO_NAMES_5(t, p, ...) p, ASYNCIO_NAMES_4(__VA_ARGS__)
#define ASYNCIO_NAMES_6(t, p, ...) p, ASYNCIO_NAMES_5(__VA_ARGS__)
#define ASYNCIO_NAMES_7(t, p, ...) p, ASYNCIO_NAMES_6(__VA_ARGS__)
#define ASYNCIO_NAMES_8(t, p, ...) p, ASYNCIO_NAMES_7(__VA_ARGS__)

#define ASYNCIO_STORED_1(t, p) asyncio_args_->p
#define ASYNCIO_STORED_2(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_1(__VA_ARGS__)
#define ASYNCIO_STORED_3(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_2(__VA_ARGS__)
#define ASYNCIO_STORED_4(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_3(__VA_ARGS__)
#define ASYNCIO_STORED_5(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_4(__VA_ARGS__)
#define ASYNCIO_STORED_6(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_5(__VA_ARGS__)
#define ASYNCIO_STORED_7(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_6(__VA_ARGS__)
#define ASYNCIO_STORED_8(t, p, ...) asyncio_args_->p, ASYNCIO_STORED_7(__VA_ARGS__)

#define ASYNCIO_DECLARE_0(name) ASYNCIO_EXTERN_C asyncio_coro *name(void)
#define ASYNCIO_DECLARE_1(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_1(__VA_ARGS__))
#define ASYNCIO_DECLARE_2(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_2(__VA_ARGS__))
#define ASYNCIO_DECLARE_3(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_3(__VA_ARGS__))
#define ASYNCIO_DECLARE_4(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_4(__VA_ARGS__))
#define ASYNCIO_DECLARE_5(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_5(__VA_ARGS__))
#define ASYNCIO_DECLARE_6(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_6(__VA_ARGS__))
#define ASYNCIO_DECLARE_7(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_7(__VA_ARGS__))
#define ASYNCIO_DECLARE_8(name, ...) ASYNCIO_EXTERN_C asyncio_coro *name(ASYNCIO_PROTO_8(__VA_ARGS__))

#define ASYNCIO_ASYNC_1(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 1, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_2(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 2, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_3(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 3, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_4(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 4, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_5(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 5, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_6(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 6, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_7(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 7, name, __VA_ARGS__)
#define ASYNCIO_ASYNC_8(linkage, name, ...) ASYNCIO_ASYNC_N_(linkage, 8, name, __VA_ARGS__)

/* What starts the body names the function that programs call, so that no compiler complains when none does.
 * The attribute `unused` would make clang complain when one does. */
#define ASYNCIO_ASYNC_0(linkage, name)                                                            \
    linkage asyncio_coro *name(void);                                                             \
    static intptr_t name##_coroutine(void);                                                       \
    static intptr_t name##_coroutine_start_(void *asyncio_place_) ASYNCIO_NOEXCEPT_               \
    {                                                                                             \
        (void)asyncio_place_;                                                                     \
        (void)name;                                                                               \
        return name##_coroutine();                                                                \
    }                                                                                             \
    linkage asyncio_coro *name(void)                                                              \
    {                                                                                             \
        static const asyncio_coro_type asyncio_type_ = {{__FILE__, #name, __LINE__},              \
                                                        name##_coroutine_start_, NULL, 0};        \
        void *asyncio_place_;                                                                     \
        return ASYNCIO_CORO_ALLOC_(&asyncio_type_, &asyncio_place_);                              \
    }                                                                                             \
    static intptr_t name##_coroutine(void)

#define ASYNCIO_ASYNC_N_(linkage, n, name, ...)                                                   \
    struct name##_coroutine_args_ {                                                               \
        ASYNCIO_FIELDS_##n(__VA_ARGS__)                                                           \
    };                                                                                            \
    linkage asyncio_coro *name(ASYNCIO_PROTO_##n(__VA_ARGS__));                                   \
    static intptr_t name##_coroutine(ASYNCIO_PROTO_##n(__VA_ARGS__));                             \
    static intptr_t name##_coroutine_start_(void *asyncio_place_) ASYNCIO_NOEXCEPT_               \
    {                                                                                             \
        struct name##_coroutine_args_ *asyncio_args_ =                                            \
            ASYNCIO_FROM_VOID_(struct name##_coroutine_args_ *, asyncio_place_);                  \
        (void)name;                                                                               \
        return name##_coroutine(ASYNCIO_STORED_##n(__VA_ARGS__));                                 \
    }                                                                                             \
    linkage asyncio_coro *name(ASYNCIO_PROTO_##n(__VA_ARGS__))                                    \
    {                                                                                             \
        static const asyncio_coro_type asyncio_type_ = {{__FILE__, #name, __LINE__},              \
                                                        name##_coroutine_start_, NULL,            \
                                                        sizeof(struct name##_coroutine_args_)};   \
        ASYNCIO_ARGS_FIT_(struct name##_coroutine_args_);                                         \
        struct name##_coroutine_args_ asyncio_args_ = {ASYNCIO_NAMES_##n(__VA_ARGS__)};           \
        void *asyncio_place_;                                                                     \
        asyncio_coro *asyncio_coro_ = ASYNCIO_CORO_ALLOC_(&asyncio_type_, &asyncio_place_);       \
        if (asyncio_coro_)                                                                        \
            __builtin_memcpy(asyncio_place_, &asyncio_args_, sizeof asyncio_args_);               \
        return asyncio_coro_;                                                                     \
    }                                                                                             \
    static intptr_t name##_coroutine(ASYNCIO_PROTO_##n(__VA_ARGS__))

#ifdef __cplusplus
/* A name of our own for what each <cxxabi.h> declares with a type of its own. Weak: a program that knows no
 * exceptions may lack it. */
ASYNCIO_EXTERN_C void *asyncio_exceptions_(void) __asm__("__cxa_get_globals") __attribute__((weak));
#define ASYNCIO_CORO_ALLOC_(type, place) asyncio_coro_alloc_cxx(type, place, asyncio_exceptions_)
#define ASYNCIO_NOEXCEPT_ noexcept
#define ASYNCIO_FROM_VOID_(type, pointer) static_cast<type>(pointer)
#define ASYNCIO_STATIC_ASSERT_(condition, words) static_assert(condition, words)
#define ASYNCIO_ARGS_FIT_(type)                                                                   \
    static_assert(alignof(type) <= 16, "a coroutine's parameters are aligned to 16 bytes at most"); \
    static_assert(__is_trivially_copyable(type), "a coroutine's parameters are trivially copyable")
#else
#define ASYNCIO_CORO_ALLOC_(type, place) asyncio_coro_alloc(type, place)
#define ASYNCIO_NOEXCEPT_
#define ASYNCIO_FROM_VOID_(type, pointer) ((type)(pointer))
#define ASYNCIO_STATIC_ASSERT_(condition, words) _Static_assert(condition, words)
#define ASYNCIO_ARGS_FIT_(type)                                                                   \
    _Static_assert(_Alignof(type) <= 16, "a coroutine's parameters are aligned to 16 bytes at most")
#endif

#endif
