/*
 * An extension module for test_bridge.py: coroutines in C of every kind that the bridge carries.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <asyncio.h>
#include <asyncio/python.h>
#include <errno.h>

/* ---- Values and errors ------------------------------------------------------------------------ */

/* Waits `turns` times, then returns the value. */
ASYNC(value_after, long, value, long, turns)
{
    while (turns--) {
        int err = asyncio_sleep(0);
        if (err)
            return err;
    }
    return value;
}

ASYNC(sleeps, double, seconds)
{
    return asyncio_sleep(seconds);
}

ASYNC(fails, long, err, const char *, words)
{
    return *words ? asyncio_raise(err, "%s", words) : err;
}

/* Refuses the first `n` requests to cancel. */
ASYNC(shields, long, n)
{
    long refused = 0;
    while (refused < n) {
        int err = asyncio_sleep(ASYNCIO_FOREVER);
        if (err == -ECANCELED)
            refused++;
        else if (err)
            return err;
    }
    return refused;
}

ASYNCIO_PY_METHOD(value_after_method, value_after, PyLong_AsLong, PyLong_AsLong)
ASYNCIO_PY_METHOD(sleeps_method, sleeps, PyFloat_AsDouble)
ASYNCIO_PY_METHOD(fails_method, fails, PyLong_AsLong, PyUnicode_AsUTF8)
ASYNCIO_PY_METHOD(shields_method, shields, PyLong_AsLong)

ASYNC(nothing)
{
    return 0;
}

ASYNCIO_PY_METHOD(nothing_method, nothing)

ASYNC(sum_of_eight, long, a, long, b, long, c, long, d, long, e, long, f, long, g, double, h)
{
    return a + b + c + d + e + f + g + (long)h;
}

ASYNCIO_PY_METHOD(sum_of_eight_method, sum_of_eight, PyLong_AsLong, PyLong_AsLong, PyLong_AsLong,
                  PyLong_AsLong, PyLong_AsLong, PyLong_AsLong, PyLong_AsLong, PyFloat_AsDouble)

/* ---- Python awaited in C ---------------------------------------------------------------------- */

static PyObject *object_of(PyObject *object)
{
    return object;
}

/* The result is in a list, since a coroutine in C has a number for a result. */
ASYNC(awaits, PyObject *, factory, PyObject *, results)
{
    PyObject *awaitable = PyObject_CallNoArgs(factory), *value;
    if (!awaitable)
        return asyncio_py_error();
    intptr_t err = asyncio_py_await(awaitable, &value);
    Py_DECREF(awaitable);
    if (err)
        return err;
    int failed = PyList_Append(results, value);
    Py_DECREF(value);
    return failed ? asyncio_py_error() : 0;
}

ASYNCIO_PY_METHOD(awaits_method, awaits, object_of, object_of)

/* The same in a task of its own, below `levels` others. */
ASYNC(awaits_below, PyObject *, factory, PyObject *, results, long, levels)
{
    if (levels == 0)
        return asyncio_await(asyncio_create_task(awaits(factory, results)));
    return asyncio_await(asyncio_create_task(awaits_below(factory, results, levels - 1)));
}

ASYNCIO_PY_METHOD(awaits_below_method, awaits_below, object_of, object_of, PyLong_AsLong)

/* An error that is dealt with is not raised later. */
ASYNC(swallows, PyObject *, factory, PyObject *, results)
{
    intptr_t err = asyncio_await(awaits(factory, results));
    return err < 0 ? 7 : 0;
}

ASYNCIO_PY_METHOD(swallows_method, swallows, object_of, object_of)

/* Calls Python, which may call wait_here. */
ASYNC(calls, PyObject *, callable)
{
    PyObject *result = PyObject_CallNoArgs(callable);
    Py_XDECREF(result);
    return result ? 0 : asyncio_py_error();
}

ASYNCIO_PY_METHOD(calls_method, calls, object_of)

/* A plain function that waits, which is wrong below a frame of Python's. */
static PyObject *wait_here(PyObject *module, PyObject *awaitable)
{
    (void)module;
    PyObject *value;
    if (asyncio_py_await(awaitable, &value) == 0)
        return value;
    asyncio_py_raise();
    return NULL;
}

static PyObject *sleep_here(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(asyncio_sleep(0.01));
}

/* ---- Results ---------------------------------------------------------------------------------- */

static int calls_of_result;

static PyObject *pair_of(intptr_t value, void *arg)
{
    calls_of_result++;
    PyObject *label = arg, *pair = NULL;
    if (value >= 0)
        pair = Py_BuildValue("On", label, (Py_ssize_t)value);
    else if (value == -ENOENT)
        pair = Py_NewRef(Py_None); /* an error that is an answer */
    else if (value == -EIO)
        PyErr_SetString(PyExc_LookupError, "of the result");
    Py_DECREF(label);
    return pair;
}

static PyObject *pair_method(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
    (void)module;
    long value = n == 2 ? PyLong_AsLong(args[1]) : -1;
    if (PyErr_Occurred())
        return NULL;
    PyObject *awaitable = asyncio_py_awaitable(value_after(value, 1), pair_of, Py_NewRef(args[0]));
    if (!awaitable)
        Py_DECREF(args[0]);
    return awaitable;
}

static PyObject *count_results(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return PyLong_FromLong(calls_of_result);
}

static PyObject *null_coroutine(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return asyncio_py_awaitable(NULL, NULL, NULL);
}

/* ---- Loops ------------------------------------------------------------------------------------ */

static PyObject *is_running_loop(PyObject *module, PyObject *loop)
{
    (void)module;
    PyObject *running = asyncio_py_running_loop();
    if (!running)
        return NULL;
    asyncio_loop *library_loop = asyncio_py_loop(loop);
    if (!library_loop) {
        Py_DECREF(running);
        return NULL;
    }
    bool is_same = running == loop && library_loop == asyncio_get_running_loop();
    Py_DECREF(running);
    return PyBool_FromLong(is_same);
}

static PyMethodDef methods[] = {
    {"value_after", ASYNCIO_PY_FUNCTION(value_after_method), METH_FASTCALL, NULL},
    {"sleeps", ASYNCIO_PY_FUNCTION(sleeps_method), METH_FASTCALL, NULL},
    {"fails", ASYNCIO_PY_FUNCTION(fails_method), METH_FASTCALL, NULL},
    {"shields", ASYNCIO_PY_FUNCTION(shields_method), METH_FASTCALL, NULL},
    {"nothing", ASYNCIO_PY_FUNCTION(nothing_method), METH_FASTCALL, NULL},
    {"sum_of_eight", ASYNCIO_PY_FUNCTION(sum_of_eight_method), METH_FASTCALL, NULL},
    {"awaits", ASYNCIO_PY_FUNCTION(awaits_method), METH_FASTCALL, NULL},
    {"awaits_below", ASYNCIO_PY_FUNCTION(awaits_below_method), METH_FASTCALL, NULL},
    {"swallows", ASYNCIO_PY_FUNCTION(swallows_method), METH_FASTCALL, NULL},
    {"calls", ASYNCIO_PY_FUNCTION(calls_method), METH_FASTCALL, NULL},
    {"wait_here", wait_here, METH_O, NULL},
    {"sleep_here", sleep_here, METH_NOARGS, NULL},
    {"pair", ASYNCIO_PY_FUNCTION(pair_method), METH_FASTCALL, NULL},
    {"count_results", count_results, METH_NOARGS, NULL},
    {"null_coroutine", null_coroutine, METH_NOARGS, NULL},
    {"is_running_loop", is_running_loop, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef bridge_module = {PyModuleDef_HEAD_INIT, .m_name = "bridge_module", .m_size = -1,
                                    .m_methods = methods};

PyMODINIT_FUNC PyInit_bridge_module(void);

PyMODINIT_FUNC PyInit_bridge_module(void)
{
    return asyncio_py_import() < 0 ? NULL : PyModule_Create(&bridge_module);
}
