/*
 * The type of loops: LoopCore, the first base of libasyncio.Loop, whose second base is Python's own
 * SelectorEventLoop. What is cold is left to that one; attributes that both need, as _closed and _debug, are
 * kept here under the same names, so that its methods see them.
 */
#include "face.h"
#include <structmember.h>

int face_loop_check_open(struct face_loop *face)
{
    if (LIKELY(!face->is_closed && face->loop))
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "Event loop is closed");
    return -1;
}

/* The interpreter's lock sees to it that no other thread uses the loop in this moment. */
bool face_loop_adopt(struct face_loop *face)
{
    if (face->is_running)
        return false;
    if (face->loop && asyncio_loop_adopt(face->loop) < 0)
        return false; /* the parent process's: its calls say so */
    face->thread = (uintptr_t)__builtin_thread_pointer();
    return true;
}

/* ---- Life ------------------------------------------------------------------------ */

/* Of tasks in C, which may call Python. Python checks its recursion by counting, so the stack has to hold a
 * thousand of the deepest calls, as nested sorts. Pages that no task touches cost nothing. */
#define STACK_BYTES ((size_t)4 << 20)

static asyncio_loop *make_library_loop(void)
{
    static const asyncio_run_options options = {.stack_size = STACK_BYTES,
                                                .debug = -1,
                                                .handle_sigint = -1,
                                                .handle_sigterm = -1,
                                                .overflow_report = -1};
    asyncio_loop *loop = asyncio_loop_new(&options);
    if (!loop)
        face_raise(asyncio_error_code());
    return loop;
}

static PyObject *new_loop(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args, (void)keywords;
    struct face_state *state = face_state_of(type);
    PyObject *duration = state ? PyFloat_FromDouble(0.1) : NULL;
    struct face_loop *face = duration ? (struct face_loop *)type->tp_alloc(type, 0) : NULL;
    if (!face) {
        Py_XDECREF(duration);
        return NULL;
    }
    face->state = state;
    face->thread = (uintptr_t)__builtin_thread_pointer();
    face->handles.next = face->handles.prev = &face->handles;
    face->transports.next = face->transports.prev = &face->transports;
    face->unsent_end = &face->unsent;
    face->slow_callback_duration = duration;
    face->thread_id = Py_NewRef(Py_None);
    face->task_factory = Py_NewRef(Py_None);
    face->loop = make_library_loop();
    if (face->loop && face_loop_prepare(face) == 0)
        return (PyObject *)face;
    Py_DECREF(face);
    return NULL;
}

/* The library's loop goes; what it had is given back. */
static void close_library_loop(struct face_loop *face)
{
    asyncio_loop *loop = face->loop;
    if (!loop)
        return;
    face_loop_adopt(face);
    face->is_closed = true;
    face_fds_clear(face);
    face_transports_drop(face);
    Py_CLEAR(face->future_keywords); /* a circle */
    asyncio_loop_close(loop);
    face->loop = NULL;
    face_handles_drop(face);
    asyncio_loop_release(loop);
}

static PyObject *close_core(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    if (face->is_running) {
        PyErr_SetString(PyExc_RuntimeError, "Cannot close a running event loop");
        return NULL;
    }
    close_library_loop(face);
    Py_RETURN_NONE;
}

static int visit_loop(PyObject *self, visitproc visit, void *arg)
{
    struct face_loop *face = (struct face_loop *)self;
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(face->thread_id);
    Py_VISIT(face->task_factory);
    Py_VISIT(face->slow_callback_duration);
    Py_VISIT(face->contexts);
    Py_VISIT(face->error_type);
    Py_VISIT(face->error);
    Py_VISIT(face->future_keywords);
    Py_VISIT(face->error_traceback);
    int err = face_transports_visit(face, visit, arg);
    return err ? err : face_handles_visit(face, visit, arg);
}

/* The collector found it in a circle; its finalizer has closed it, unless it could not. */
static int clear_loop(PyObject *self)
{
    struct face_loop *face = (struct face_loop *)self;
    if (!face->is_running)
        close_library_loop(face);
    Py_CLEAR(face->thread_id);
    Py_CLEAR(face->task_factory);
    Py_CLEAR(face->slow_callback_duration);
    Py_CLEAR(face->contexts);
    Py_CLEAR(face->current_handle);
    Py_CLEAR(face->future_keywords);
    Py_CLEAR(face->error_type);
    Py_CLEAR(face->error);
    Py_CLEAR(face->error_traceback);
    return 0;
}

static void free_loop(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear_loop(self);
    PyMem_Free(((struct face_loop *)self)->receive_buffer);
    type->tp_free(self);
    Py_DECREF(type);
}

char *face_receive_buffer(struct face_loop *face)
{
    if (UNLIKELY(!face->receive_buffer)) {
        face->receive_buffer = PyMem_Malloc(FACE_RECEIVE_BYTES);
        if (!face->receive_buffer)
            PyErr_NoMemory();
    }
    return face->receive_buffer;
}

/* ---- Attributes ------------------------------------------------------------------ */

static PyObject *get_stopping(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_loop *)self)->is_stopping);
}

static int set_truth(bool *place, PyObject *value)
{
    int truth = value ? PyObject_IsTrue(value) : 0;
    if (truth >= 0)
        *place = truth;
    return truth < 0 ? -1 : 0;
}

static int set_stopping(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    if (set_truth(&face->is_stopping, value) < 0)
        return -1;
    face_loop_stop(face);
    return 0;
}

static PyObject *get_closed(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_loop *)self)->is_closed);
}

static int set_closed(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    return set_truth(&((struct face_loop *)self)->is_closed, value);
}

static PyObject *get_debug_attribute(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_loop *)self)->is_debug);
}

static int set_debug_attribute(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    return set_truth(&((struct face_loop *)self)->is_debug, value);
}

static PyObject *get_debug(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_loop *)self)->is_debug);
}

static PyObject *is_closed(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct face_loop *)self)->is_closed);
}

static PyObject *is_running(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(!Py_IsNone(((struct face_loop *)self)->thread_id));
}

static PyMemberDef loop_members[] = {
    {"_thread_id", T_OBJECT, offsetof(struct face_loop, thread_id), 0, NULL},
    {"_task_factory", T_OBJECT, offsetof(struct face_loop, task_factory), 0, NULL},
    {"_current_handle", T_OBJECT, offsetof(struct face_loop, current_handle), 0, NULL},
    {"slow_callback_duration", T_OBJECT, offsetof(struct face_loop, slow_callback_duration), 0, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef loop_getset[] = {
    {"_stopping", get_stopping, set_stopping, NULL, NULL},
    {"_closed", get_closed, set_closed, NULL, NULL},
    {"_debug", get_debug_attribute, set_debug_attribute, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef life_methods[] = {
    {"_close_core", close_core, METH_NOARGS, NULL},
    {"get_debug", get_debug, METH_NOARGS, "Return the debug mode."},
    {"is_closed", is_closed, METH_NOARGS, "Return True if the loop was closed."},
    {"is_running", is_running, METH_NOARGS, "Return True if the loop runs."},
};

/* ---- The type -------------------------------------------------------------------- */

static size_t count_methods(const PyMethodDef *methods)
{
    size_t n = 0;
    while (methods[n].ml_name)
        n++;
    return n;
}

#define N_TABLES 5
#define LIFE_METHODS (sizeof(life_methods) / sizeof(life_methods[0]))

/* The methods of all sources as one table, which lives as long as the process. */
static PyMethodDef *join_methods(void)
{
    static PyMethodDef *joined;
    const PyMethodDef *tables[] = {face_call_methods, face_run_methods, face_watch_methods,
                                   face_datagram_methods, face_pipe_methods};
    if (joined)
        return joined;
    size_t n = LIFE_METHODS;
    for (size_t i = 0; i < N_TABLES; i++)
        n += count_methods(tables[i]);
    PyMethodDef *all = PyMem_RawCalloc(n + 1, sizeof(PyMethodDef));
    if (!all)
        return NULL;
    memcpy(all, life_methods, sizeof(life_methods));
    n = LIFE_METHODS;
    for (size_t i = 0; i < N_TABLES; i++) {
        memcpy(all + n, tables[i], count_methods(tables[i]) * sizeof(PyMethodDef));
        n += count_methods(tables[i]);
    }
    return joined = all;
}

int face_loop_add_type(PyObject *module, struct face_state *state)
{
    PyType_Slot slots[] = {
        {Py_tp_new, new_loop},           {Py_tp_dealloc, free_loop},
        {Py_tp_traverse, visit_loop},    {Py_tp_clear, clear_loop},
        {Py_tp_methods, join_methods()}, {Py_tp_members, loop_members},
        {Py_tp_getset, loop_getset},     {0, NULL},
    };
    PyType_Spec spec = {
        .name = "libasyncio._core.LoopCore",
        .basicsize = sizeof(struct face_loop),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    if (!slots[4].pfunc) {
        PyErr_NoMemory();
        return -1;
    }
    state->loop_type = (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, NULL);
    return state->loop_type ? PyModule_AddType(module, state->loop_type) : -1;
}
