/*
 * Handles as Python sees them: asyncio.Handle and asyncio.TimerHandle in all but their type. isinstance says
 * yes, and what is cold, as repr and comparisons, is done by those classes' own functions.
 */
#include "face.h"
#include <structmember.h>

static PyObject *cancel_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    face_handle_cancel((struct face_handle *)self);
    Py_RETURN_NONE;
}

static PyObject *cancelled_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_handle *)self)->is_cancelled);
}

static PyObject *get_context_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    PyObject *context = ((struct face_handle *)self)->context;
    return Py_NewRef(context ? context : Py_None);
}

/* As the loop would, but in the thread and the run that asks. */
static PyObject *run_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_handle *handle = (struct face_handle *)self;
    if (handle->callback && !handle->is_running) {
        Py_INCREF(handle);
        face_handle_run(handle);
        Py_DECREF(handle);
    }
    struct face_loop *face = handle->face;
    if (face->error_type) {
        PyErr_Restore(face->error_type, face->error, face->error_traceback);
        face->error_type = face->error = face->error_traceback = NULL;
        face->slow &= ~(unsigned)FACE_SLOW_FAILED;
        return NULL;
    }
    Py_RETURN_NONE;
}

static PyObject *get_class(PyObject *self, void *unused)
{
    (void)unused;
    struct face_handle *handle = (struct face_handle *)self;
    struct face_state *state = handle->face->state;
    return Py_NewRef(handle->is_timer ? state->TimerHandle : state->Handle);
}

/* Cancelled, though it still has what it runs out of. */
static bool is_gone(const struct face_handle *handle)
{
    return handle->is_cancelled && handle->is_running;
}

static PyObject *get_callback(PyObject *self, void *unused)
{
    (void)unused;
    struct face_handle *handle = (struct face_handle *)self;
    return Py_NewRef(handle->callback && !is_gone(handle) ? handle->callback : Py_None);
}

static PyObject *get_args(PyObject *self, void *unused)
{
    (void)unused;
    struct face_handle *handle = (struct face_handle *)self;
    if (!handle->callback || is_gone(handle))
        Py_RETURN_NONE;
    PyObject *args = PyTuple_New((Py_ssize_t)handle->n_args);
    for (uint32_t i = 0; args && i < handle->n_args; i++)
        PyTuple_SET_ITEM(args, (Py_ssize_t)i, Py_NewRef(handle->args[i]));
    return args;
}

static PyObject *get_loop(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(((struct face_handle *)self)->face);
}

static PyObject *get_scheduled(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_handle *)self)->owned);
}

/* Python's own words, by its own functions. */
static PyObject *handle_repr(PyObject *self)
{
    struct face_handle *handle = (struct face_handle *)self;
    if (handle->repr)
        return Py_NewRef(handle->repr);
    PyObject *class = get_class(self, NULL);
    PyObject *info = PyObject_CallMethod(class, "_repr_info", "O", self);
    Py_DECREF(class);
    PyObject *space = info ? PyUnicode_FromString(" ") : NULL;
    PyObject *words = space ? PyUnicode_Join(space, info) : NULL;
    PyObject *repr = words ? PyUnicode_FromFormat("<%U>", words) : NULL;
    Py_XDECREF(info);
    Py_XDECREF(space);
    Py_XDECREF(words);
    return repr;
}

static PyObject *when_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyFloat_FromDouble(((struct face_timer *)(void *)self)->when);
}

static PyObject *get_when(PyObject *self, void *unused)
{
    (void)unused;
    return PyFloat_FromDouble(((struct face_timer *)(void *)self)->when);
}

static Py_hash_t hash_timer(PyObject *self)
{
    PyObject *when = get_when(self, NULL);
    Py_hash_t hash = when ? PyObject_Hash(when) : -1;
    Py_XDECREF(when);
    return hash;
}

static PyObject *compare_timers(PyObject *self, PyObject *other, int op)
{
    static const char *const names[] = {"__lt__", "__le__", "__eq__", "__ne__", "__gt__", "__ge__"};
    struct face_handle *handle = (struct face_handle *)self;
    if (self == other && (op == Py_EQ || op == Py_NE))
        return PyBool_FromLong(op == Py_EQ);
    return PyObject_CallMethod(handle->face->state->TimerHandle, names[op], "OO", self, other);
}

static PyMethodDef handle_methods[] = {
    {"cancel", cancel_method, METH_NOARGS, "Cancel the call."},
    {"cancelled", cancelled_method, METH_NOARGS, "Return True if the call was cancelled."},
    {"get_context", get_context_method, METH_NOARGS, "Return the context of the call."},
    {"_run", run_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMethodDef timer_methods[] = {
    {"cancel", cancel_method, METH_NOARGS, "Cancel the call."},
    {"cancelled", cancelled_method, METH_NOARGS, "Return True if the call was cancelled."},
    {"get_context", get_context_method, METH_NOARGS, "Return the context of the call."},
    {"when", when_method, METH_NOARGS, "Return the time of the call, as loop.time() tells it."},
    {"_run", run_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef handle_members[] = {
    {"_cancelled", T_BOOL, offsetof(struct face_handle, is_cancelled), READONLY, NULL},
    {"_context", T_OBJECT, offsetof(struct face_handle, context), READONLY, NULL},
    {"_source_traceback", T_OBJECT, offsetof(struct face_handle, source_traceback), READONLY, NULL},
    {"_repr", T_OBJECT, offsetof(struct face_handle, repr), READONLY, NULL},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(struct face_handle, weak_references), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef handle_getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},      {"_callback", get_callback, NULL, NULL, NULL},
    {"_args", get_args, NULL, NULL, NULL},           {"_loop", get_loop, NULL, NULL, NULL},
    {"_scheduled", get_scheduled, NULL, NULL, NULL}, {NULL, NULL, NULL, NULL, NULL},
};

static PyGetSetDef timer_getset[] = {
    {"__class__", get_class, NULL, NULL, NULL},
    {"_callback", get_callback, NULL, NULL, NULL},
    {"_args", get_args, NULL, NULL, NULL},
    {"_loop", get_loop, NULL, NULL, NULL},
    {"_scheduled", get_scheduled, NULL, NULL, NULL},
    {"_when", get_when, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define FINAL_TYPE (Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE)

static PyType_Slot handle_slots[] = {
    {Py_tp_dealloc, face_handle_free}, {Py_tp_repr, handle_repr},     {Py_tp_methods, handle_methods},
    {Py_tp_members, handle_members},   {Py_tp_getset, handle_getset}, {0, NULL},
};

static PyType_Spec handle_spec = {
    .name = "libasyncio._core.Handle",
    .basicsize = sizeof(struct face_handle),
    .flags = FINAL_TYPE,
    .slots = handle_slots,
};

static PyType_Slot timer_slots[] = {
    {Py_tp_dealloc, face_handle_free}, {Py_tp_repr, handle_repr},
    {Py_tp_hash, hash_timer},          {Py_tp_richcompare, compare_timers},
    {Py_tp_methods, timer_methods},    {Py_tp_members, handle_members},
    {Py_tp_getset, timer_getset},      {0, NULL},
};

static PyType_Spec timer_spec = {
    .name = "libasyncio._core.TimerHandle",
    .basicsize = sizeof(struct face_timer),
    .flags = FINAL_TYPE,
    .slots = timer_slots,
};

int face_handle_add_types(PyObject *module, struct face_state *state)
{
    state->handle_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &handle_spec, NULL);
    state->timer_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &timer_spec, NULL);
    return state->handle_type && state->timer_type ? 0 : -1;
}
