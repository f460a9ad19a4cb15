/*
 * The bridge to Python: coroutines in C that Python awaits, and Python's awaitables that coroutines in C
 * await. For extension modules, on the event loops of the Python package libasyncio.
 *
 *     ASYNC(lookup, const char *, name, int, port) { ... asyncio_open_connection(name, port, ...) ... }
 *     ASYNCIO_PY_METHOD(lookup_method, lookup, PyUnicode_AsUTF8, PyLong_AsLong)
 *
 *     static PyMethodDef methods[] = {
 *         {"lookup", ASYNCIO_PY_FUNCTION(lookup_method), METH_FASTCALL, NULL}, ...
 *
 * and in Python `await module.lookup('localhost', 80)`, or gather, wait_for and create_task of it. Such a
 * module is linked with libasyncio, as the package is, so that both have one copy of the library. Include
 * <Python.h> first, as ever.
 *
 * A coroutine in C runs as a task of the library's, on the loop's thread and with the interpreter's lock,
 * which is let go of while the loop waits, and never for a computation: asyncio_to_thread has a thread
 * without the lock. It may call Python at any time. It must not wait below a frame of Python's: when it calls
 * a Python function that calls a C function, that one cannot wait. asyncio_py_await refuses, and any other
 * call that suspends there ends the process with a message as soon as the loop would run Python code. A child
 * that it forks has no loop, and has to end before the coroutine returns.
 *
 * Requests to cancel cross both ways: task.cancel() of a Python task that awaits a coroutine in C is
 * asyncio_cancel of its task; a task in C that is cancelled while it waits in asyncio_py_await cancels what
 * it awaits. Each counts once, where it was made.
 *
 * All calls are for the loop's thread, with the interpreter's lock.
 */
#ifndef ASYNCIO_PYTHON_H
#define ASYNCIO_PYTHON_H

#ifndef Py_PYTHON_H
#error "include <Python.h> before <asyncio/python.h>"
#endif
#include <asyncio/coroutines.h>
#include <asyncio/errors.h>
#include <asyncio/types.h>
#include <asyncio/version.h>

ASYNCIO_BEGIN_DECLS

/*
 * Makes Python's result of a coroutine's: a new reference, or NULL with an exception. For a value below 0 it
 * may also be NULL without one: then the exception that goes with the error is raised. It is called once, in
 * the coroutine's task, where it may wait, or, if the coroutine never ran, with -ECANCELED; so it may also
 * free `arg`.
 */
typedef PyObject *(*asyncio_py_result)(intptr_t value, void *arg);

/* ---- How calls get to the package: a table in the capsule libasyncio._C_API. Private. ---- */

struct asyncio_py_calls_ {
    size_t size;         /* of the table: later versions append */
    const char *version; /* asyncio_version() of the package's copy of the library: this very pointer */
    PyObject *(*awaitable)(asyncio_coro *, asyncio_py_result, void *, PyObject *keep, const asyncio_site *);
    intptr_t (*await)(PyObject *, PyObject **);
    void (*raise)(void);
    intptr_t (*error)(void);
    asyncio_loop *(*loop)(PyObject *);
    PyObject *(*running_loop)(void);
};

/* One for the whole extension module. */
__attribute__((weak, visibility("hidden"))) const struct asyncio_py_calls_ *asyncio_py_known_calls_;

static inline const struct asyncio_py_calls_ *asyncio_py_get_calls_(void)
{
    if (__builtin_expect(asyncio_py_known_calls_ != NULL, 1))
        return asyncio_py_known_calls_;
    const struct asyncio_py_calls_ *table =
        (const struct asyncio_py_calls_ *)PyCapsule_Import("libasyncio._C_API", 0);
    if (!table)
        return NULL;
    if (table->size < sizeof *table) {
        PyErr_SetString(PyExc_ImportError, "the Python package libasyncio is older than this module: "
                                           "it lacks calls of <asyncio/python.h>");
        return NULL;
    }
    if (table->version != asyncio_version()) {
        PyErr_SetString(PyExc_ImportError,
                        "this module and the Python package libasyncio have two copies of the library: "
                        "link the module with the shared libasyncio that the package uses");
        return NULL;
    }
    return asyncio_py_known_calls_ = table;
}

/* ---- For everyone -------------------------------------------------------------- */

/*
 * Imports the package libasyncio and looks whether it fits this module: for a module's initialisation, so
 * that an import fails in place of the first call. 0, or -1 and ImportError. Calls do the same when it was
 * left out.
 */
static inline int asyncio_py_import(void)
{
    return asyncio_py_get_calls_() ? 0 : -1;
}

static inline PyObject *asyncio_py_awaitable_at(asyncio_coro *coro, asyncio_py_result result, void *arg,
                                                PyObject *keep, const asyncio_site *site)
{
    const struct asyncio_py_calls_ *api = asyncio_py_get_calls_();
    if (api)
        return api->awaitable(coro, result, arg, keep, site);
    asyncio_coro_close(coro);
    return NULL;
}

/*
 * Makes an awaitable of Python's of a coroutine in C, for the loop that runs: a future to asyncio, which
 * gather, wait_for and shield take as it is, and a coroutine to create_task and TaskGroup. The coroutine
 * becomes a task when it is first awaited, or given a callback; its first steps, up to its first wait, run
 * inside that await, as those of Python's coroutines do. One that is never awaited is closed, with a
 * RuntimeWarning.
 *
 * Takes over the coroutine on every path. `result`, which may be NULL, makes Python's result of the
 * coroutine's; without it a value is an int, and an error is its exception: CancelledError, TimeoutError,
 * OSError with its number, MemoryError, asyncio's own where the code is one's, the very exception that
 * asyncio_py_await got, else RuntimeError, all with the message of asyncio_raise.
 *
 * NULL and an exception: RuntimeError where no loop of libasyncio runs; MemoryError, also for coro NULL. Then
 * `result` is not called, and arg is the caller's.
 */
static inline PyObject *asyncio_py_awaitable(asyncio_coro *coro, asyncio_py_result result, void *arg)
{
    return asyncio_py_awaitable_at(coro, result, arg, NULL, ASYNCIO_HERE);
}
#define asyncio_py_awaitable(coro, result, arg)                                                   \
    asyncio_py_awaitable_at((coro), (result), (arg), NULL, ASYNCIO_HERE)

/*
 * Waits, in a task in C, for anything that Python can await: a coroutine (which becomes a task), a task, a
 * future, an object with __await__. Borrows it. 0, with a new reference in *result, which may be NULL; else
 * the exception as an error, as asyncio_py_error makes it, and *result is untouched. Suspends.
 *
 * Cancelled: what is awaited is cancelled, and its end waited for: -ECANCELED, or what it ended with instead.
 * ASYNCIO_EPYTHON also when the call is made below a frame of Python's (RuntimeError), for an object that
 * cannot be awaited (TypeError), and for another loop's and the caller's own awaitable (RuntimeError);
 * ASYNCIO_ENOTASK outside a task, and where the running loop is none of Python's; -EINVAL for NULL.
 */
static inline intptr_t asyncio_py_await(PyObject *awaitable, PyObject **result)
{
    const struct asyncio_py_calls_ *api = asyncio_py_get_calls_();
    if (api)
        return api->await(awaitable, result);
    PyErr_Clear();
    return ASYNCIO_ENOTASK;
}

/*
 * Raises the exception of the running task's last error: for a C function that Python called, and that
 * returns NULL now. It is the very exception that asyncio_py_await or asyncio_py_error took; of an error that
 * had none, RuntimeError with its message. Does not wait.
 */
static inline void asyncio_py_raise(void)
{
    const struct asyncio_py_calls_ *api = asyncio_py_get_calls_();
    if (api)
        api->raise();
}

/*
 * Takes the current exception and returns it as an error with a message, for a coroutine in C whose call of
 * Python failed: -errno of an OSError, -ECANCELED of CancelledError, -ETIMEDOUT of TimeoutError, -ENOMEM of
 * MemoryError, ASYNCIO_EPYTHON of all others. The exception goes along, and is raised again, with its
 * traceback, where the error gets back to Python. Without an exception: ASYNCIO_EPYTHON. Does not wait.
 */
static inline intptr_t asyncio_py_error(void)
{
    const struct asyncio_py_calls_ *api = asyncio_py_get_calls_();
    if (api)
        return api->error();
    PyErr_Clear();
    return ASYNCIO_EPYTHON;
}

/* The library's loop of a loop of Python's, borrowed; NULL and an exception: TypeError for another kind of
 * loop, RuntimeError for a closed one. */
static inline asyncio_loop *asyncio_py_loop(PyObject *loop)
{
    const struct asyncio_py_calls_ *api = asyncio_py_get_calls_();
    return api ? api->loop(loop) : NULL;
}

/* Python's loop that runs in this thread, a new reference; NULL and RuntimeError: none of libasyncio's does.
 * (asyncio.get_running_loop) */
static inline PyObject *asyncio_py_running_loop(void)
{
    const struct asyncio_py_calls_ *api = asyncio_py_get_calls_();
    return api ? api->running_loop() : NULL;
}

ASYNCIO_END_DECLS

/*
 * ASYNCIO_PY_METHOD(name, coro_fn, converter, ...)
 *     defines a static function `PyObject *name(PyObject *, PyObject *const *, Py_ssize_t)` for
 *     METH_FASTCALL, whose calls give an awaitable of coro_fn, a coroutine function of ASYNC with 0 to 8
 *     parameters. Each parameter has its converter: a function, or a macro like one, that makes the value of
 *     a PyObject *, and leaves an exception where it cannot: PyLong_AsLong, PyFloat_AsDouble,
 *     PyUnicode_AsUTF8. The arguments live as long as the coroutine does. The result is an int.
 * ASYNCIO_PY_FUNCTION(name)
 *     casts it to what a PyMethodDef takes.
 */
#define ASYNCIO_PY_METHOD(name, ...)                                                              \
    ASYNCIO_EXPAND_(ASYNCIO_JOIN_(ASYNCIO_PY_METHOD_, ASYNCIO_PY_COUNT_(__VA_ARGS__))(name, __VA_ARGS__))
#define ASYNCIO_PY_FUNCTION(name) ((PyCFunction)(void (*)(void))(name))

/* ---- How it is done ------------------------------------------------------------- */

#define ASYNCIO_PY_COUNT_(...) ASYNCIO_PY_TENTH_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0, ~)
#define ASYNCIO_PY_TENTH_(a0, a1, a2, a3, a4, a5, a6, a7, a8, n, ...) n

static inline int asyncio_py_refuse_count_(const char *name, Py_ssize_t wanted, Py_ssize_t given)
{
    PyErr_Format(PyExc_TypeError, "%s() takes %zd positional argument%s but %zd %s given", name, wanted,
                 wanted == 1 ? "" : "s", given, given == 1 ? "was" : "were");
    return -1;
}

/* The arguments, as one object to keep. */
static inline PyObject *asyncio_py_tuple_(PyObject *const *args, Py_ssize_t n)
{
    PyObject *tuple = PyTuple_New(n);
    for (Py_ssize_t i = 0; tuple && i < n; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    return tuple;
}

static inline PyObject *asyncio_py_finish_(asyncio_coro *coro, PyObject *const *args, Py_ssize_t n,
                                           const asyncio_site *site)
{
    PyObject *keep = asyncio_py_tuple_(args, n), *awaitable = NULL;
    if (keep)
        awaitable = asyncio_py_awaitable_at(coro, NULL, NULL, keep, site);
    else
        asyncio_coro_close(coro);
    Py_XDECREF(keep);
    return awaitable;
}

#define ASYNCIO_PY_CONVERT_(i, converter)                                                         \
    __typeof__(converter((PyObject *)NULL)) asyncio_value_##i##_ = converter(asyncio_args_[i]);   \
    if (PyErr_Occurred())                                                                         \
        return NULL;

#define ASYNCIO_PY_CONVERT_1(c0) ASYNCIO_PY_CONVERT_(0, c0)
#define ASYNCIO_PY_CONVERT_2(c0, c1) ASYNCIO_PY_CONVERT_1(c0) ASYNCIO_PY_CONVERT_(1, c1)
#define ASYNCIO_PY_CONVERT_3(c0, c1, c2) ASYNCIO_PY_CONVERT_2(c0, c1) ASYNCIO_PY_CONVERT_(2, c2)
#define ASYNCIO_PY_CONVERT_4(c0, c1, c2, c3) ASYNCIO_PY_CONVERT_3(c0, c1, c2) ASYNCIO_PY_CONVERT_(3, c3)
#define ASYNCIO_PY_CONVERT_5(c0, c1, c2, c3, c4)                                                  \
    ASYNCIO_PY_CONVERT_4(c0, c1, c2, c3) ASYNCIO_PY_CONVERT_(4, c4)
#define ASYNCIO_PY_CONVERT_6(c0, c1, c2, c3, c4, c5)                                              \
    ASYNCIO_PY_CONVERT_5(c0, c1, c2, c3, c4) ASYNCIO_PY_CONVERT_(5, c5)
#define ASYNCIO_PY_CONVERT_7(c0, c1, c2, c3, c4, c5, c6)                                          \
    ASYNCIO_PY_CONVERT_6(c0, c1, c2, c3, c4, c5) ASYNCIO_PY_CONVERT_(6, c6)
#define ASYNCIO_PY_CONVERT_8(c0, c1, c2, c3, c4, c5, c6, c7)                                      \
    ASYNCIO_PY_CONVERT_7(c0, c1, c2, c3, c4, c5, c6) ASYNCIO_PY_CONVERT_(7, c7)

#define ASYNCIO_PY_VALUES_1 asyncio_value_0_
#define ASYNCIO_PY_VALUES_2 ASYNCIO_PY_VALUES_1, asyncio_value_1_
#define ASYNCIO_PY_VALUES_3 ASYNCIO_PY_VALUES_2, asyncio_value_2_
#define ASYNCIO_PY_VALUES_4 ASYNCIO_PY_VALUES_3, asyncio_value_3_
#define ASYNCIO_PY_VALUES_5 ASYNCIO_PY_VALUES_4, asyncio_value_4_
#define ASYNCIO_PY_VALUES_6 ASYNCIO_PY_VALUES_5, asyncio_value_5_
#define ASYNCIO_PY_VALUES_7 ASYNCIO_PY_VALUES_6, asyncio_value_6_
#define ASYNCIO_PY_VALUES_8 ASYNCIO_PY_VALUES_7, asyncio_value_7_

#define ASYNCIO_PY_METHOD_0(name, coro_fn)                                                        \
    static PyObject *name(PyObject *asyncio_self_, PyObject *const *asyncio_args_, Py_ssize_t asyncio_n_) \
    {                                                                                             \
        (void)asyncio_self_;                                                                      \
        if (asyncio_n_ != 0 && asyncio_py_refuse_count_(#coro_fn, 0, asyncio_n_) < 0)             \
            return NULL;                                                                          \
        static const asyncio_site asyncio_site_ = {__FILE__, #coro_fn, __LINE__};                 \
        return asyncio_py_finish_(coro_fn(), asyncio_args_, 0, &asyncio_site_);                   \
    }
#define ASYNCIO_PY_METHOD_N_(name, n, coro_fn, ...)                                               \
    static PyObject *name(PyObject *asyncio_self_, PyObject *const *asyncio_args_, Py_ssize_t asyncio_n_) \
    {                                                                                             \
        (void)asyncio_self_;                                                                      \
        if (asyncio_n_ != n && asyncio_py_refuse_count_(#coro_fn, n, asyncio_n_) < 0)             \
            return NULL;                                                                          \
        ASYNCIO_PY_CONVERT_##n(__VA_ARGS__)                                                       \
        static const asyncio_site asyncio_site_ = {__FILE__, #coro_fn, __LINE__};                 \
        return asyncio_py_finish_(coro_fn(ASYNCIO_PY_VALUES_##n), asyncio_args_, n, &asyncio_site_); \
    }
#define ASYNCIO_PY_METHOD_1(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 1, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_2(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 2, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_3(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 3, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_4(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 4, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_5(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 5, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_6(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 6, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_7(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 7, coro_fn, __VA_ARGS__)
#define ASYNCIO_PY_METHOD_8(name, coro_fn, ...) ASYNCIO_PY_METHOD_N_(name, 8, coro_fn, __VA_ARGS__)

#endif
