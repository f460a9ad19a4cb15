/*
 * What Python sees of awaitables: their type, which has the methods of a future and those of a coroutine.
 */
#include "awaitable.h"
#include <structmember.h>

/* ---- As a future --------------------------------------------------------------------------- */

static PyObject *refuse_state(struct awaitable *awaitable, const char *words)
{
    PyErr_SetString(awaitable->face->state->InvalidStateError, words);
    return NULL;
}

static PyObject *get_result(struct awaitable *awaitable)
{
    if (!awaitable_has_ended(awaitable))
        return refuse_state(awaitable, "Result is not ready.");
    awaitable->is_untold = false;
    if (awaitable->state == AWAITABLE_DONE)
        return Py_NewRef(awaitable->outcome);
    PyObject *error =
        awaitable->outcome ? Py_NewRef(awaitable->outcome) : PyObject_CallNoArgs(PyExc_MemoryError);
    if (error)
        PyErr_Restore(Py_NewRef(Py_TYPE(error)), error, PyException_GetTraceback(error));
    return NULL;
}

static PyObject *tell_result(PyObject *self, PyObject *unused)
{
    (void)unused;
    return get_result(as_awaitable(self));
}

static PyObject *tell_exception(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct awaitable *awaitable = as_awaitable(self);
    if (awaitable->state == AWAITABLE_CANCELLED)
        return get_result(awaitable);
    if (!awaitable_has_ended(awaitable))
        return refuse_state(awaitable, "Exception is not set.");
    awaitable->is_untold = false;
    return Py_NewRef(awaitable->state == AWAITABLE_FAILED && awaitable->outcome ? awaitable->outcome
                                                                                : Py_None);
}

static PyObject *tell_done(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(awaitable_has_ended(as_awaitable(self)));
}

static PyObject *tell_cancelled(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(as_awaitable(self)->state == AWAITABLE_CANCELLED);
}

static PyObject *get_own_loop(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(as_awaitable(self)->face);
}

/* gather asks a cancelled one for it. */
static PyObject *make_cancelled_error_again(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct awaitable *awaitable = as_awaitable(self);
    if (awaitable->state == AWAITABLE_CANCELLED && awaitable->outcome)
        return Py_NewRef(awaitable->outcome);
    return PyObject_CallNoArgs(awaitable->face->state->CancelledError);
}

static PyObject *request_cancel(PyObject *self, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"msg", NULL};
    struct awaitable *awaitable = as_awaitable(self);
    PyObject *message = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "|O:cancel", (char **)names, &message))
        return NULL;
    if (awaitable_has_ended(awaitable))
        Py_RETURN_FALSE;
    Py_XSETREF(awaitable->cancel_message, message == Py_None ? NULL : Py_NewRef(message));
    if (awaitable->state == AWAITABLE_UNSTARTED) {
        awaitable_end_unrun(awaitable);
        Py_RETURN_TRUE;
    }
    if (awaitable_check_loop(awaitable) < 0)
        return NULL;
    return PyBool_FromLong(!awaitable->task || asyncio_cancel_task(awaitable->task));
}

static PyObject *add_done_callback(PyObject *self, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"fn", "context", NULL};
    struct awaitable *awaitable = as_awaitable(self);
    PyObject *callback, *context = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|$O:add_done_callback", (char **)names, &callback,
                                     &context))
        return NULL;
    context = context == Py_None ? PyContext_CopyCurrent() : Py_NewRef(context);
    int err = context ? awaitable_check_loop(awaitable) : -1;
    if (!err && awaitable->state == AWAITABLE_UNSTARTED)
        err = awaitable_start(awaitable, /* eager= */ -1);
    if (!err && awaitable_has_ended(awaitable)) {
        err = awaitable_schedule(awaitable, callback, context);
    } else if (!err) {
        PyObject *pair = PyTuple_Pack(2, callback, context);
        if (!awaitable->callbacks)
            awaitable->callbacks = PyList_New(0);
        err = pair && awaitable->callbacks ? PyList_Append(awaitable->callbacks, pair) : -1;
        Py_XDECREF(pair);
    }
    Py_XDECREF(context);
    return err ? NULL : Py_NewRef(Py_None);
}

static PyObject *remove_done_callback(PyObject *self, PyObject *callback)
{
    struct awaitable *awaitable = as_awaitable(self);
    PyObject *left = PyList_New(0), *callbacks = Py_XNewRef(awaitable->callbacks);
    Py_ssize_t n = callbacks ? PyList_GET_SIZE(callbacks) : 0;
    int err = left ? 0 : -1;
    for (Py_ssize_t i = 0; !err && callbacks && i < PyList_GET_SIZE(callbacks); i++) {
        PyObject *pair = Py_NewRef(PyList_GET_ITEM(callbacks, i));
        int is_equal = PyObject_RichCompareBool(PyTuple_GET_ITEM(pair, 0), callback, Py_EQ);
        err = is_equal < 0 || (!is_equal && PyList_Append(left, pair) < 0) ? -1 : 0;
        Py_DECREF(pair);
    }
    if (!err && callbacks && awaitable->callbacks == callbacks)
        Py_XSETREF(awaitable->callbacks, Py_NewRef(left));
    PyObject *removed = err ? NULL : PyLong_FromSsize_t(n - PyList_GET_SIZE(left));
    Py_XDECREF(callbacks);
    Py_XDECREF(left);
    return removed;
}

/* ---- As a coroutine ------------------------------------------------------------------------ */

static PySendResult send_none(PyObject *self, PyObject *value, PyObject **result)
{
    (void)value;
    struct awaitable *awaitable = as_awaitable(self);
    *result = NULL;
    if (!awaitable_has_ended(awaitable)) {
        if (awaitable_check_loop(awaitable) < 0)
            return PYGEN_ERROR;
        if (awaitable->is_blocking == 1) {
            PyErr_SetString(PyExc_RuntimeError, "await wasn't used with future");
            return PYGEN_ERROR;
        }
        int eager = face_loop_running() ? 1 : -1;
        if (awaitable->state == AWAITABLE_UNSTARTED && awaitable_start(awaitable, eager) < 0)
            return PYGEN_ERROR;
    }
    if (!awaitable_has_ended(awaitable)) {
        awaitable->is_blocking = 1;
        *result = Py_NewRef(self);
        return PYGEN_NEXT;
    }
    *result = get_result(awaitable);
    return *result ? PYGEN_RETURN : PYGEN_ERROR;
}

static void stop_iteration(PyObject *result)
{
    PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, result);
    if (stop)
        PyErr_SetObject(PyExc_StopIteration, stop);
    Py_XDECREF(stop);
    Py_DECREF(result);
}

/* For a caller who takes StopIteration for the end. */
static PyObject *send_to_awaitable(PyObject *self, PyObject *value)
{
    PyObject *result;
    switch (send_none(self, value, &result)) {
    case PYGEN_RETURN:
        stop_iteration(result);
        return NULL;
    case PYGEN_NEXT:
        return result;
    default:
        return NULL;
    }
}

static PyObject *next_of_awaitable(PyObject *self)
{
    return send_to_awaitable(self, Py_None);
}

/* A task that was cancelled before its first step throws CancelledError into its coroutine. */
static PyObject *throw_into_awaitable(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    struct awaitable *awaitable = as_awaitable(self);
    if (n < 1 || n > 3) {
        PyErr_Format(PyExc_TypeError, "throw expected 1 to 3 arguments, got %zd", n);
        return NULL;
    }
    if (awaitable->state == AWAITABLE_UNSTARTED)
        awaitable_end_unrun(awaitable);
    else if (awaitable->task && awaitable_check_loop(awaitable) == 0)
        asyncio_cancel_task(awaitable->task);
    PyErr_Clear();
    awaitable->is_untold = false;
    PyObject *error = PyExceptionInstance_Check(args[0]) ? args[0] : n > 1 ? args[1] : NULL;
    if (PyExceptionInstance_Check(args[0]))
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    else if (PyExceptionClass_Check(args[0]))
        PyErr_SetObject(args[0], error && error != Py_None ? error : NULL);
    else
        PyErr_SetString(PyExc_TypeError,
                        "exceptions must be classes or instances deriving from BaseException");
    return NULL;
}

static PyObject *close_awaitable(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct awaitable *awaitable = as_awaitable(self);
    if (awaitable->state == AWAITABLE_UNSTARTED)
        awaitable_end_unrun(awaitable);
    else if (awaitable->task && awaitable_check_loop(awaitable) == 0)
        asyncio_cancel_task(awaitable->task);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

/* ---- Attributes ---------------------------------------------------------------------------- */

static PyObject *get_blocking(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(as_awaitable(self)->is_blocking);
}

static int set_blocking(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth >= 0)
        as_awaitable(self)->is_blocking = (char)truth;
    return truth < 0 ? -1 : 0;
}

static PyObject *get_cancel_message(PyObject *self, void *unused)
{
    (void)unused;
    PyObject *message = as_awaitable(self)->cancel_message;
    return Py_NewRef(message ? message : Py_None);
}

static PyObject *get_coroutine_name(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(as_awaitable(self)->site->func);
}

static const char *const state_words[] = {"not started", "pending", "finished", "failed", "cancelled"};

static PyObject *repr_awaitable(PyObject *self)
{
    struct awaitable *awaitable = as_awaitable(self);
    return PyUnicode_FromFormat("<coroutine in C %s, %s, at %p>", awaitable->site->func,
                                state_words[awaitable->state], self);
}

/* ---- Life ---------------------------------------------------------------------------------- */

static int visit_awaitable(PyObject *self, visitproc visit, void *arg)
{
    struct awaitable *awaitable = as_awaitable(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(awaitable->face);
    Py_VISIT(awaitable->keep);
    Py_VISIT(awaitable->context);
    Py_VISIT(awaitable->outcome);
    Py_VISIT(awaitable->cancel_message);
    Py_VISIT(awaitable->callbacks);
    return 0;
}

static int clear_awaitable(PyObject *self)
{
    struct awaitable *awaitable = as_awaitable(self);
    Py_CLEAR(awaitable->keep);
    Py_CLEAR(awaitable->context);
    Py_CLEAR(awaitable->outcome);
    Py_CLEAR(awaitable->cancel_message);
    Py_CLEAR(awaitable->callbacks);
    return 0;
}

/* Its exception was never looked at. */
static void tell_lost_exception(struct awaitable *awaitable)
{
    awaitable->is_untold = false;
    PyErr_Restore(Py_NewRef(Py_TYPE(awaitable->outcome)), Py_NewRef(awaitable->outcome),
                  PyException_GetTraceback(awaitable->outcome));
    PyObject *words = PyUnicode_FromFormat("%s exception was never retrieved", awaitable->site->func);
    face_loop_report(awaitable->face, words, awaitable->face->state->str_future, (PyObject *)awaitable);
    Py_XDECREF(words);
}

static void finalize_awaitable(PyObject *self)
{
    struct awaitable *awaitable = as_awaitable(self);
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    if (awaitable->face && awaitable->state == AWAITABLE_UNSTARTED) {
        if (PyErr_WarnFormat(PyExc_RuntimeWarning, 1, "coroutine '%s' was never awaited",
                             awaitable->site->func) < 0)
            PyErr_WriteUnraisable(self);
        awaitable_end_unrun(awaitable);
    } else if (awaitable->is_untold && awaitable->outcome) {
        tell_lost_exception(awaitable);
    }
    PyErr_Restore(type, error, traceback);
}

static void free_awaitable(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    if (PyObject_CallFinalizerFromDealloc(self) < 0)
        return; /* it lives on */
    PyObject_GC_UnTrack(self);
    if (as_awaitable(self)->weak_references)
        PyObject_ClearWeakRefs(self);
    clear_awaitable(self);
    Py_XDECREF(as_awaitable(self)->face);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyMethodDef awaitable_methods[] = {
    {"result", tell_result, METH_NOARGS, "Return the result, or raise the exception."},
    {"exception", tell_exception, METH_NOARGS, "Return the exception, or None."},
    {"done", tell_done, METH_NOARGS, "Return True if it has ended."},
    {"cancelled", tell_cancelled, METH_NOARGS, "Return True if it was cancelled."},
    {"cancel", (PyCFunction)(void (*)(void))request_cancel, METH_VARARGS | METH_KEYWORDS,
     "Request that it be cancelled."},
    {"get_loop", get_own_loop, METH_NOARGS, "Return its event loop."},
    {"add_done_callback", (PyCFunction)(void (*)(void))add_done_callback, METH_VARARGS | METH_KEYWORDS,
     "Have a callable called when it ends."},
    {"remove_done_callback", remove_done_callback, METH_O, "Remove a callable; return how many there were."},
    {"_make_cancelled_error", make_cancelled_error_again, METH_NOARGS, NULL},
    {"send", send_to_awaitable, METH_O, "Run it until it waits."},
    {"throw", (PyCFunction)(void (*)(void))throw_into_awaitable, METH_FASTCALL,
     "Cancel it, and raise an exception."},
    {"close", close_awaitable, METH_NOARGS, "Cancel it."},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef awaitable_getset[] = {
    {"_asyncio_future_blocking", get_blocking, set_blocking, NULL, NULL},
    {"_cancel_message", get_cancel_message, NULL, NULL, NULL},
    {"_loop", (getter)(void (*)(void))get_own_loop, NULL, NULL, NULL},
    {"__name__", get_coroutine_name, NULL, NULL, NULL},
    {"__qualname__", get_coroutine_name, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef awaitable_members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct awaitable, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

int face_awaitable_add_type(PyObject *module, struct face_state *state)
{
    static PyType_Slot slots[] = {
        {Py_tp_dealloc, free_awaitable},
        {Py_tp_finalize, finalize_awaitable},
        {Py_tp_traverse, visit_awaitable},
        {Py_tp_clear, clear_awaitable},
        {Py_tp_repr, repr_awaitable},
        {Py_tp_iter, PyObject_SelfIter},
        {Py_tp_iternext, next_of_awaitable},
        {Py_am_await, PyObject_SelfIter},
        {Py_am_send, send_none},
        {Py_tp_methods, awaitable_methods},
        {Py_tp_getset, awaitable_getset},
        {Py_tp_members, awaitable_members},
        {0, NULL},
    };
    PyType_Spec spec = {
        .name = "libasyncio._core.Awaitable",
        .basicsize = sizeof(struct awaitable),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION |
                 Py_TPFLAGS_IMMUTABLETYPE,
        .slots = slots,
    };
    state->awaitable_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->awaitable_type ? PyModule_AddType(module, state->awaitable_type) : -1;
}
