/*
 * The bridge from C to Python: awaiting what Python can await, errors and exceptions, and the table of calls
 * that extension modules find in the capsule libasyncio._C_API.
 */
#include "awaitable.h"
#include <errno.h>

/* ---- Contexts ---------------------------------------------------------------------------------- */

int bridge_enter_context(struct face_loop *face, asyncio_task *task, PyObject *context)
{
    PyObject *key = PyLong_FromVoidPtr(task);
    if (!face->contexts)
        face->contexts = PyDict_New();
    int err = key && face->contexts ? PyDict_SetItem(face->contexts, key, context) : -1;
    Py_XDECREF(key);
    return err;
}

void bridge_leave_context(struct face_loop *face, asyncio_task *task)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *key = PyLong_FromVoidPtr(task);
    if (!key || !face->contexts || PyDict_DelItem(face->contexts, key) < 0)
        PyErr_Clear();
    Py_XDECREF(key);
    PyErr_Restore(type, error, traceback);
}

/* Borrowed; NULL: the current one. */
static PyObject *find_context(struct face_loop *face)
{
    PyObject *key = face->contexts ? PyLong_FromVoidPtr(asyncio_current_task()) : NULL;
    PyObject *context = key ? PyDict_GetItem(face->contexts, key) : NULL;
    Py_XDECREF(key);
    return context;
}

/* ---- Errors to exceptions ---------------------------------------------------------------------- */

static const struct class_of_error {
    intptr_t err;
    const char *module, *name;
} classes[] = {
    {ASYNCIO_ESTATE, "asyncio", "InvalidStateError"},
    {ASYNCIO_EQUEUE_EMPTY, "asyncio", "QueueEmpty"},
    {ASYNCIO_EQUEUE_FULL, "asyncio", "QueueFull"},
    {ASYNCIO_EQUEUE_SHUTDOWN, "asyncio", "QueueShutDown"}, /* 3.13 */
    {ASYNCIO_EBROKEN, "asyncio", "BrokenBarrierError"},
    {ASYNCIO_EINCOMPLETE, "builtins", "EOFError"},
    {ASYNCIO_ETLS, "ssl", "SSLError"},
};

/* A new reference; NULL: it has none, or this Python lacks it. */
static PyObject *find_class(intptr_t err)
{
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (classes[i].err != err)
            continue;
        PyObject *module = PyImport_ImportModule(classes[i].module);
        PyObject *class = module ? PyObject_GetAttrString(module, classes[i].name) : NULL;
        PyErr_Clear();
        Py_XDECREF(module);
        return class;
    }
    return NULL;
}

static bool is_of_getaddrinfo(intptr_t err)
{
    return err <= ASYNCIO_EGAI_BADFLAGS && err >= ASYNCIO_EGAI_OVERFLOW;
}

/* An exception of a class whose first argument is a number. */
static void raise_numbered(PyObject *class, intptr_t number, const char *words)
{
    PyObject *error = class ? PyObject_CallFunction(class, "ns", (Py_ssize_t)number, words) : NULL;
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
}

static void raise_gaierror(intptr_t err, const char *words)
{
    PyObject *module = PyImport_ImportModule("socket");
    PyObject *class = module ? PyObject_GetAttrString(module, "gaierror") : NULL;
    raise_numbered(class, err - ASYNCIO_EGAI_BADFLAGS - 1, words); /* EAI_BADFLAGS is -1 */
    Py_XDECREF(class);
    Py_XDECREF(module);
}

/* The exception that came with an error. */
static void raise_again(PyObject *error)
{
    PyErr_Restore(Py_NewRef(Py_TYPE(error)), Py_NewRef(error), PyException_GetTraceback(error));
}

void bridge_raise(struct face_state *state, intptr_t err, const char *words)
{
    PyObject *error = asyncio_error_object(err);
    if (error) {
        raise_again(error);
        return;
    }
    PyObject *class = find_class(err);
    bool is_plain = !words || !*words;
    if (is_plain)
        words = asyncio_strerror(err);
    if (class)
        PyErr_SetString(class, words);
    else if (err == -ENOMEM)
        PyErr_SetString(PyExc_MemoryError, words);
    else if (err == -ECANCELED && is_plain)
        PyErr_SetNone(state->CancelledError);
    else if (err == -ECANCELED)
        PyErr_SetString(state->CancelledError, words);
    else if (is_of_getaddrinfo(err))
        raise_gaierror(err, words);
    else if (err > -1024)
        raise_numbered(err == -ETIMEDOUT ? PyExc_TimeoutError : PyExc_OSError, -err, words);
    else
        PyErr_SetString(PyExc_RuntimeError, words);
    Py_XDECREF(class);
}

static void raise_last(void)
{
    struct face_loop *face = face_loop_running();
    const char *words = asyncio_error_message();
    intptr_t err = asyncio_error_code();
    if (face && err < 0)
        bridge_raise(face->state, err, words);
    else
        PyErr_SetString(PyExc_RuntimeError, *words ? words : "a call of libasyncio failed");
}

/* ---- Exceptions to errors ---------------------------------------------------------------------- */

static void drop_exception(void *object)
{
    if (!Py_IsInitialized())
        return;               /* the interpreter is gone, and its objects with it */
    if (PyGILState_Check()) { /* as it is in tasks. PyGILState_Ensure would block in a subinterpreter */
        Py_DECREF((PyObject *)object);
        return;
    }
    PyGILState_STATE state = PyGILState_Ensure();
    Py_DECREF((PyObject *)object);
    PyGILState_Release(state);
}

/* The number in an OSError; 0: it has none. */
static int number_of(PyObject *error)
{
    PyObject *number = PyObject_GetAttrString(error, "errno");
    int overflow = 0;
    long value = number && PyLong_Check(number) ? PyLong_AsLongAndOverflow(number, &overflow) : 0;
    PyErr_Clear();
    Py_XDECREF(number);
    return value > 0 && value < 1024 ? (int)value : 0;
}

static intptr_t code_of(struct face_state *state, PyObject *error)
{
    int number;
    if (state && PyObject_IsInstance(error, state->CancelledError) == 1)
        return -ECANCELED;
    if (PyObject_IsInstance(error, PyExc_TimeoutError) == 1)
        return -ETIMEDOUT;
    if (PyObject_IsInstance(error, PyExc_MemoryError) == 1)
        return -ENOMEM;
    if (PyObject_IsInstance(error, PyExc_OSError) == 1 && (number = number_of(error)))
        return -number;
    return ASYNCIO_EPYTHON;
}

/* "ValueError: no such thing", as the last line of a traceback. */
static PyObject *describe_exception(PyObject *error)
{
    PyObject *text = PyObject_Str(error);
    const char *class = Py_TYPE(error)->tp_name, *dot = strrchr(class, '.');
    PyObject *words = !text ? NULL
                            : PyUnicode_FromFormat(PyUnicode_GET_LENGTH(text) ? "%s: %U" : "%s%U",
                                                   dot ? dot + 1 : class, text);
    Py_XDECREF(text);
    return words;
}

static intptr_t error_of_exception(void)
{
    struct face_loop *face = face_loop_running();
    PyObject *error = face_take_exception();
    if (!error)
        return asyncio_raise(ASYNCIO_EPYTHON, "a call of Python's failed without an exception");
    PyObject *words = describe_exception(error);
    const char *text = words ? PyUnicode_AsUTF8(words) : NULL;
    intptr_t err = code_of(face ? face->state : NULL, error);
    asyncio_raise_object(err, error, drop_exception, text ? text : Py_TYPE(error)->tp_name);
    PyErr_Clear(); /* of an exception that cannot be shown */
    Py_XDECREF(words);
    return err;
}

/* ---- Waiting for Python ------------------------------------------------------------------------ */

static const char waker_name[] = "libasyncio.waker";

/* The callback of a future that a task in C waits for. */
static PyObject *wake_task(PyObject *capsule, PyObject *future)
{
    (void)future;
    asyncio_event *event = PyCapsule_GetPointer(capsule, waker_name);
    if (!event)
        return NULL;
    asyncio_event_set(event);
    Py_RETURN_NONE;
}

static PyMethodDef waker_method = {"wake_task", wake_task, METH_O, NULL};

static PyObject *make_waker(asyncio_event *event)
{
    PyObject *capsule = PyCapsule_New(event, waker_name, NULL);
    PyObject *waker = capsule ? PyCFunction_New(&waker_method, capsule) : NULL;
    Py_XDECREF(capsule);
    return waker;
}

/* The future of anything that can be awaited, a new reference, in the context of whoever awaits. */
static PyObject *ensure_future(struct face_loop *face, PyObject *awaitable)
{
    PyObject *context = find_context(face);
    if (context && PyContext_Enter(context) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_RuntimeError))
            return NULL;
        PyErr_Clear(); /* it is entered already, by the await whose eager start this is */
        context = NULL;
    }
    PyObject *args[] = {awaitable, (PyObject *)face};
    PyObject *future = PyObject_Vectorcall(face->state->ensure_future, args, 1, face->state->loop_keyword);
    if (context && PyContext_Exit(context) < 0)
        Py_CLEAR(future);
    return future;
}

static int call_method(PyObject *object, PyObject *name, PyObject *arg)
{
    PyObject *result =
        arg ? PyObject_CallMethodOneArg(object, name, arg) : PyObject_CallMethodNoArgs(object, name);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Waits until the future has ended. A request to cancel is passed on to it, each one. */
static int wait_for_future(struct face_state *state, PyObject *future)
{
    asyncio_event event;
    asyncio_event_init(&event);
    PyObject *waker = make_waker(&event);
    if (!waker || call_method(future, state->str_add_done_callback, waker) < 0) {
        Py_XDECREF(waker);
        return -1;
    }
    while (asyncio_event_wait(&event) == -ECANCELED && !asyncio_event_is_set(&event))
        if (call_method(future, state->str_cancel, NULL) < 0)
            PyErr_WriteUnraisable(future);
    Py_DECREF(waker);
    return 0;
}

static bool may_wait(struct face_loop *face)
{
    if (face_frame_of(face->thread_state) == face->step_frame)
        return true;
    PyErr_SetString(PyExc_RuntimeError, "a coroutine in C cannot wait below a frame of Python's: "
                                        "Python called the function that waits");
    return false;
}

static bool is_done(struct face_state *state, PyObject *future)
{
    PyObject *answer = PyObject_CallMethodNoArgs(future, state->str_done);
    bool yes = answer && PyObject_IsTrue(answer) > 0;
    Py_XDECREF(answer);
    return yes;
}

/* It would wait for ever, and pass each request to cancel on to itself. */
static bool refuse_self(struct face_state *state, PyObject *future)
{
    if (Py_TYPE(future) != state->awaitable_type || !awaitable_runs_here((struct awaitable *)future))
        return false;
    PyErr_Format(PyExc_RuntimeError, "%R cannot await itself", future);
    return true;
}

static intptr_t await_python(PyObject *awaitable, PyObject **result)
{
    struct face_loop *face = face_loop_running();
    if (!face || !asyncio_current_task())
        return ASYNCIO_ENOTASK;
    if (!awaitable)
        return asyncio_raise(-EINVAL, "asyncio_py_await: there is nothing to await");
    struct face_state *state = face->state;
    PyObject *future = may_wait(face) ? ensure_future(face, awaitable) : NULL;
    int err = !future || refuse_self(state, future) ? -1 : 0;
    if (!err && !is_done(state, future))
        err = PyErr_Occurred() ? -1 : wait_for_future(state, future);
    PyObject *value = err ? NULL : PyObject_CallMethodNoArgs(future, state->str_result);
    Py_XDECREF(future);
    if (!value)
        return error_of_exception();
    if (result)
        *result = value;
    else
        Py_DECREF(value);
    return 0;
}

/* ---- Loops ------------------------------------------------------------------------------------- */

static asyncio_loop *library_loop_of(PyObject *loop)
{
    PyObject *module = PyImport_ImportModule("libasyncio._core");
    struct face_state *state = module ? PyModule_GetState(module) : NULL;
    struct face_loop *face = (struct face_loop *)loop;
    asyncio_loop *found = NULL;
    if (state && !PyObject_TypeCheck(loop, state->loop_type))
        PyErr_Format(PyExc_TypeError, "a loop of libasyncio is needed, not %.100s", Py_TYPE(loop)->tp_name);
    else if (state && face_loop_check_open(face) == 0)
        found = face->loop;
    Py_XDECREF(module);
    return found;
}

static PyObject *running_loop(void)
{
    struct face_loop *face = face_loop_running();
    if (face)
        return Py_NewRef(face);
    PyErr_SetString(PyExc_RuntimeError, "no running event loop of libasyncio");
    return NULL;
}

/* ---- The table --------------------------------------------------------------------------------- */

int face_bridge_add_table(PyObject *module)
{
    static struct asyncio_py_calls_ table = {
        .size = sizeof table,
        .awaitable = bridge_make_awaitable,
        .await = await_python,
        .raise = raise_last,
        .error = error_of_exception,
        .loop = library_loop_of,
        .running_loop = running_loop,
    };
    table.version = asyncio_version();
    PyObject *capsule = PyCapsule_New(&table, "libasyncio._C_API", NULL);
    int err = capsule ? PyModule_AddObjectRef(module, "_C_API", capsule) : -1;
    Py_XDECREF(capsule);
    return err;
}
