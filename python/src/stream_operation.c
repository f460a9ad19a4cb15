/*
 * Operations of streams: what asyncio writes as coroutines. See stream.h.
 *
 * To a task an operation is a coroutine: it has send, throw and close, and what it waits for is a future of
 * asyncio's, which it hands up as a coroutine's await does. One that was never awaited says so in a warning.
 */
#include "stream.h"

struct operation *face_operation_new(struct face_state *state, const struct operation_kind *kind,
                                     PyObject *self)
{
    struct operation *operation = PyObject_GC_New(struct operation, state->operation_type);
    if (!operation)
        return NULL;
    operation->kind = kind;
    operation->state = state;
    operation->phase = OPERATION_NEW;
    operation->is_later = false;
    operation->self = Py_NewRef(self);
    operation->future = operation->inner = operation->separator = operation->blocks = NULL;
    operation->n = operation->searched = 0;
    PyObject_GC_Track(operation);
    return operation;
}

static int clear_operation(PyObject *self)
{
    struct operation *operation = (struct operation *)self;
    Py_CLEAR(operation->self);
    Py_CLEAR(operation->future);
    Py_CLEAR(operation->inner);
    Py_CLEAR(operation->separator);
    Py_CLEAR(operation->blocks);
    return 0;
}

static int visit_operation(PyObject *self, visitproc visit, void *arg)
{
    struct operation *operation = (struct operation *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(operation->self);
    Py_VISIT(operation->future);
    Py_VISIT(operation->inner);
    Py_VISIT(operation->separator);
    Py_VISIT(operation->blocks);
    return 0;
}

/* ---- Waiting for data --------------------------------------------------------------------- */

/* asyncio's _wait_for_data, up to its await. */
static int begin_wait(struct operation *operation)
{
    struct face_state *state = operation->state;
    PyObject *reader = operation->self;
    PyObject *waiter = stream_get(reader, state->str__waiter);
    Py_XDECREF(waiter); /* the reader has it */
    if (waiter != Py_None) {
        if (waiter)
            PyErr_Format(PyExc_RuntimeError,
                         "%s() called while another coroutine is already waiting for incoming data",
                         operation->kind->waits_as);
        return -1;
    }
    int is_paused = stream_flag(reader, state->str__paused);
    if (is_paused > 0) {
        PyObject *transport = stream_get(reader, state->str__transport);
        int err = stream_set(reader, state->str__paused, Py_False);
        PyObject *result =
            transport && !err ? PyObject_CallMethodNoArgs(transport, state->str_resume_reading) : NULL;
        is_paused = result ? 0 : -1;
        Py_XDECREF(result);
        Py_XDECREF(transport);
    }
    PyObject *loop = is_paused < 0 ? NULL : stream_get(reader, state->str__loop);
    operation->future = loop ? PyObject_CallMethodNoArgs(loop, state->str_create_future) : NULL;
    Py_XDECREF(loop);
    if (!operation->future || stream_set(reader, state->str__waiter, operation->future) < 0 ||
        PyObject_SetAttr(operation->future, state->str__asyncio_future_blocking, Py_True) < 0)
        return -1;
    return 0;
}

static int end_wait(struct operation *operation)
{
    if (!operation->future)
        return 0;
    Py_CLEAR(operation->future);
    return stream_set(operation->self, operation->state->str__waiter, Py_None);
}

/* The future is done, or somebody who is no task went on. */
static int take_outcome(struct operation *operation)
{
    struct face_state *state = operation->state;
    PyObject *future = Py_NewRef(operation->future);
    PyObject *is_done = PyObject_CallMethodNoArgs(future, state->str_done);
    PyObject *result = NULL;
    if (is_done == Py_True)
        result = PyObject_CallMethodNoArgs(future, state->str_result);
    else if (is_done)
        PyErr_SetString(PyExc_RuntimeError, "await wasn't used with future");
    Py_XDECREF(is_done);
    Py_DECREF(future);
    int err = result ? 0 : -1;
    Py_XDECREF(result);
    return err;
}

/* ---- Stepping ----------------------------------------------------------------------------- */

static PySendResult end_operation(struct operation *operation, PyObject **result)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    operation->phase = OPERATION_DONE;
    if (end_wait(operation) < 0)
        PyErr_Clear();
    clear_operation((PyObject *)operation);
    PyErr_Restore(type, error, traceback);
    if (type)
        *result = NULL;
    return type ? PYGEN_ERROR : PYGEN_RETURN;
}

/* `inner` has given `sent`. */
static PySendResult follow_inner(struct operation *operation, PySendResult sent, PyObject **result)
{
    if (sent == PYGEN_NEXT) {
        operation->phase = OPERATION_DELEGATING;
        return sent;
    }
    return end_operation(operation, result);
}

static PySendResult step_on(struct operation *operation, PyObject **result)
{
    *result = NULL;
    enum step step = operation->kind->step(operation, result);
    operation->is_later = true;
    if (step == STEP_WAIT) {
        if (begin_wait(operation) < 0)
            return end_operation(operation, result);
        operation->phase = OPERATION_WAITING;
        *result = Py_NewRef(operation->future);
        return PYGEN_NEXT;
    }
    if (step == STEP_YIELD) {
        operation->phase = OPERATION_YIELDED;
        *result = Py_NewRef(Py_None);
        return PYGEN_NEXT;
    }
    if (step == STEP_DELEGATE)
        return follow_inner(operation, PyIter_Send(operation->inner, Py_None, result), result);
    return end_operation(operation, result);
}

static PySendResult send_operation(PyObject *self, PyObject *value, PyObject **result)
{
    struct operation *operation = (struct operation *)self;
    enum operation_phase phase = operation->phase;
    *result = NULL;
    operation->phase = OPERATION_RUNNING;
    switch (phase) {
    case OPERATION_NEW:
    case OPERATION_YIELDED:
        return step_on(operation, result);
    case OPERATION_WAITING: {
        int err = take_outcome(operation);
        if (err < 0)
            return end_operation(operation, result);
        return end_wait(operation) < 0 ? end_operation(operation, result) : step_on(operation, result);
    }
    case OPERATION_DELEGATING:
        return follow_inner(operation, PyIter_Send(operation->inner, value, result), result);
    case OPERATION_RUNNING:
        PyErr_SetString(PyExc_ValueError, "coroutine already executing");
        return PYGEN_ERROR;
    case OPERATION_DONE:
        break;
    }
    operation->phase = OPERATION_DONE;
    PyErr_SetString(PyExc_RuntimeError, "cannot reuse already awaited coroutine");
    return PYGEN_ERROR;
}

/* What send and throw return to Python's code. */
static PyObject *give_back(PySendResult sent, PyObject *result)
{
    if (sent != PYGEN_RETURN)
        return result;
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
    return NULL;
}

static PyObject *next_of_operation(PyObject *self)
{
    PyObject *result;
    PySendResult sent = send_operation(self, Py_None, &result);
    return give_back(sent, result);
}

static PyObject *send_method(PyObject *self, PyObject *value)
{
    PyObject *result;
    PySendResult sent = send_operation(self, value, &result);
    return give_back(sent, result);
}

/* Raises what throw() was called with: an exception, or its type, and more. */
static void raise_thrown(PyObject *type, PyObject *value, PyObject *traceback)
{
    if (PyExceptionInstance_Check(type)) {
        PyErr_SetObject((PyObject *)Py_TYPE(type), type);
    } else if (PyExceptionClass_Check(type)) {
        Py_XINCREF(value);
        Py_XINCREF(traceback != Py_None ? traceback : NULL);
        PyErr_Restore(Py_NewRef(type), value, traceback != Py_None ? traceback : NULL);
    } else {
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must be classes or instances deriving from BaseException, not others");
    }
}

static PyObject *throw_method(PyObject *self, PyObject *args)
{
    struct operation *operation = (struct operation *)self;
    PyObject *type, *value = NULL, *traceback = NULL, *result = NULL;
    if (!PyArg_ParseTuple(args, "O|OO:throw", &type, &value, &traceback))
        return NULL;
    if (operation->phase == OPERATION_DELEGATING) {
        result = PyObject_CallMethodObjArgs(operation->inner, operation->state->str_throw, type, value,
                                            traceback, NULL);
        if (!result)
            end_operation(operation, &result);
        return result;
    }
    raise_thrown(type, value, traceback);
    end_operation(operation, &result);
    return NULL;
}

static PyObject *close_operation(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct operation *operation = (struct operation *)self;
    PyObject *result = NULL;
    if (operation->phase == OPERATION_DELEGATING) {
        result = PyObject_CallMethod(operation->inner, "close", NULL);
        if (!result)
            return NULL;
        Py_DECREF(result);
    }
    end_operation(operation, &result);
    Py_RETURN_NONE;
}

static PyObject *await_operation(PyObject *self)
{
    return Py_NewRef(self);
}

static void free_operation(PyObject *self)
{
    struct operation *operation = (struct operation *)self;
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    if (UNLIKELY(operation->phase == OPERATION_NEW)) {
        PyObject *error_type, *error, *traceback;
        PyErr_Fetch(&error_type, &error, &traceback);
        if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s.%s' was never awaited",
                             operation->kind->class, operation->kind->name) < 0)
            PyErr_WriteUnraisable(NULL);
        PyErr_Restore(error_type, error, traceback);
    }
    if (UNLIKELY(operation->phase ==
                 OPERATION_WAITING)) { /* dropped amid its wait, as a coroutine is closed */
        PyObject *result;
        end_operation(operation, &result);
    }
    clear_operation(self);
    PyObject_GC_Del(self);
    Py_DECREF(type);
}

/* ---- The type -------------------------------------------------------------------------------- */

static PyObject *get_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(((struct operation *)self)->kind->name);
}

static PyObject *get_qualified_name(PyObject *self, void *unused)
{
    (void)unused;
    const struct operation_kind *kind = ((struct operation *)self)->kind;
    return PyUnicode_FromFormat("%s.%s", kind->class, kind->name);
}

static PyObject *get_running(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct operation *)self)->phase == OPERATION_RUNNING);
}

static PyObject *get_awaited(PyObject *self, void *unused)
{
    (void)unused;
    const struct operation *operation = (struct operation *)self;
    PyObject *awaited = operation->inner ? operation->inner : operation->future;
    return Py_NewRef(awaited ? awaited : Py_None);
}

static PyObject *operation_repr(PyObject *self)
{
    const struct operation_kind *kind = ((struct operation *)self)->kind;
    return PyUnicode_FromFormat("<coroutine object %s.%s at %p>", kind->class, kind->name, self);
}

static PyGetSetDef operation_getset[] = {
    {"__name__", get_name, NULL, NULL, NULL},
    {"__qualname__", get_qualified_name, NULL, NULL, NULL},
    {"cr_running", get_running, NULL, NULL, NULL},
    {"cr_await", get_awaited, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef operation_methods[] = {
    {"send", send_method, METH_O, NULL},
    {"throw", throw_method, METH_VARARGS, NULL},
    {"close", close_operation, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int face_operation_add_type(PyObject *module, struct face_state *state)
{
    PyType_Slot slots[] = {
        {Py_tp_dealloc, free_operation},
        {Py_tp_traverse, visit_operation},
        {Py_tp_clear, clear_operation},
        {Py_tp_iter, await_operation},
        {Py_tp_iternext, next_of_operation},
        {Py_tp_methods, operation_methods},
        {Py_tp_getset, operation_getset},
        {Py_tp_repr, operation_repr},
        {Py_am_await, await_operation},
        {Py_am_send, send_operation},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "libasyncio._core.StreamOperation",
        .basicsize = sizeof(struct operation),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
        .slots = slots,
    };
    state->operation_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->operation_type ? 0 : -1;
}
