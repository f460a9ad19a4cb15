/*
 * Streams: how asyncio's objects become ours, and how data comes into a reader. See stream.h.
 */
#include "stream.h"
#include "transport.h"

/* ---- Adopting -------------------------------------------------------------------------- */

/* False: it could not be, and stays as it is. */
static bool change_class(struct face_state *state, PyObject *object, PyTypeObject *class)
{
    if (Py_TYPE(object) == class)
        return true;
    if (PyObject_SetAttr(object, state->str___class__, (PyObject *)class) == 0)
        return true;
    PyErr_Clear();
    return false;
}

static bool is_either(PyObject *object, PyObject *class, PyTypeObject *ours)
{
    return Py_TYPE(object) == (PyTypeObject *)class || Py_TYPE(object) == ours;
}

int face_stream_adopt(struct face_state *state, PyObject *protocol, PyObject **reader)
{
    *reader = NULL;
    if (!is_either(protocol, state->StreamReaderProtocol, state->stream_protocol_type))
        return 0;
    PyObject *reference = stream_get(protocol, state->str__stream_reader_wr);
    if (!reference || !PyWeakref_CheckRef(reference)) {
        PyErr_Clear();
        Py_XDECREF(reference);
        return 0;
    }
    PyObject *object = PyWeakref_GetObject(reference);
    if (is_either(object, state->StreamReader, state->stream_reader_type) &&
        change_class(state, object, state->stream_reader_type) &&
        change_class(state, protocol, state->stream_protocol_type))
        *reader = Py_NewRef(reference);
    Py_DECREF(reference);
    return 0;
}

/* asyncio's method makes the writer of a server's connection, which becomes ours where the protocol keeps
 * it: up to Python 3.11. Later ones give it to the client's callback alone, and it stays asyncio's. */
static PyObject *connection_made(PyObject *self, PyObject *transport)
{
    struct face_state *state = face_state_of(Py_TYPE(self));
    PyObject *result =
        PyObject_CallMethod(state->StreamReaderProtocol, "connection_made", "OO", self, transport);
    PyObject *writer = result ? PyObject_GetAttrString(self, "_stream_writer") : NULL;
    if (writer && Py_TYPE(writer) == (PyTypeObject *)state->StreamWriter)
        change_class(state, writer, state->stream_writer_type);
    if (result && !writer) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError))
            PyErr_Clear();
        else
            Py_CLEAR(result);
    }
    Py_XDECREF(writer);
    return result;
}

/* ---- Feeding --------------------------------------------------------------------------- */

static int append(PyObject *buffer, const char *data, Py_ssize_t n)
{
    Py_ssize_t size = PyByteArray_GET_SIZE(buffer);
    if (PyByteArray_Resize(buffer, size + n) < 0)
        return -1;
    memcpy(PyByteArray_AS_STRING(buffer) + size, data, (size_t)n);
    return 0;
}

/* Its task goes on. */
static int wake_waiter(struct face_state *state, PyObject *reader)
{
    PyObject *waiter = stream_get(reader, state->str__waiter);
    if (!waiter || waiter == Py_None) {
        Py_XDECREF(waiter);
        return waiter ? 0 : -1;
    }
    int err = stream_set(reader, state->str__waiter, Py_None);
    PyObject *is_cancelled = err ? NULL : PyObject_CallMethodNoArgs(waiter, state->str_cancelled);
    PyObject *result = is_cancelled == Py_False
                           ? PyObject_CallMethodOneArg(waiter, state->str_set_result, Py_None)
                           : Py_XNewRef(is_cancelled);
    Py_XDECREF(is_cancelled);
    Py_XDECREF(result);
    Py_DECREF(waiter);
    return result ? 0 : -1;
}

static Py_ssize_t limit_of(struct face_state *state, PyObject *reader)
{
    PyObject *limit = stream_get(reader, state->str__limit);
    Py_ssize_t n = limit ? PyNumber_AsSsize_t(limit, NULL) : -1;
    Py_XDECREF(limit);
    return n < PY_SSIZE_T_MAX / 2 ? n : PY_SSIZE_T_MAX / 2;
}

/* More than twice the limit is there: the transport waits until the program has read. */
static int pause_full(struct face_state *state, PyObject *reader, Py_ssize_t size)
{
    Py_ssize_t limit = limit_of(state, reader);
    if (limit < 0 && PyErr_Occurred())
        return -1;
    if (LIKELY(size <= 2 * limit))
        return 0;
    PyObject *transport = stream_get(reader, state->str__transport);
    int is_paused = transport ? stream_flag(reader, state->str__paused) : -1;
    int err = is_paused < 0 ? -1 : 0;
    if (transport != Py_None && is_paused == 0) {
        PyObject *result = PyObject_CallMethodNoArgs(transport, state->str_pause_reading);
        err = result ? stream_set(reader, state->str__paused, Py_True) : -1;
        Py_XDECREF(result);
    }
    Py_XDECREF(transport);
    return err;
}

static int feed_reader(struct face_state *state, PyObject *reader, const char *data, Py_ssize_t n)
{
    int is_ended = stream_flag(reader, state->str__eof);
    if (is_ended) {
        if (is_ended > 0)
            PyErr_SetString(PyExc_AssertionError, "feed_data after feed_eof");
        return -1;
    }
    PyObject *buffer = stream_get(reader, state->str__buffer);
    if (!buffer)
        return -1;
    int err;
    if (LIKELY(PyByteArray_CheckExact(buffer))) {
        err = append(buffer, data, n) < 0 || wake_waiter(state, reader) < 0 ||
                      pause_full(state, reader, PyByteArray_GET_SIZE(buffer)) < 0
                  ? -1
                  : 0;
    } else { /* a program has its own */
        PyObject *result = PyObject_CallMethod(reader, "feed_data", "y#", data, n);
        err = result ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_DECREF(buffer);
    return err;
}

int face_stream_feed(struct face_state *state, PyObject *reader, const char *data, Py_ssize_t n)
{
    PyObject *object = PyWeakref_GetObject(reader);
    if (object == Py_None)
        return 0;
    Py_INCREF(object);
    int err = feed_reader(state, object, data, n);
    Py_DECREF(object);
    return err;
}

/* ---- Types ----------------------------------------------------------------------------- */

/* A class derived from one of asyncio's, with methods in C and nothing else. */
static PyTypeObject *derive_class(PyObject *module, const char *name, PyObject *base, PyMethodDef *methods)
{
    PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
    PyType_Spec spec = {.name = name, .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, .slots = slots};
    PyObject *bases = PyTuple_Pack(1, base);
    PyTypeObject *type = bases ? (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, bases) : NULL;
    Py_XDECREF(bases);
    if (type && PyModule_AddType(module, type) < 0)
        Py_CLEAR(type);
    return type;
}

static PyMethodDef protocol_methods[] = {
    {"connection_made", connection_made, METH_O, NULL},
    {"_drain_helper", face_drain_helper, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

int face_stream_add_types(PyObject *module, struct face_state *state)
{
    state->stream_reader_type =
        derive_class(module, "libasyncio._core.StreamReader", state->StreamReader, face_reader_methods);
    state->stream_protocol_type = derive_class(module, "libasyncio._core.StreamReaderProtocol",
                                               state->StreamReaderProtocol, protocol_methods);
    state->stream_writer_type =
        derive_class(module, "libasyncio._core.StreamWriter", state->StreamWriter, face_writer_methods);
    if (!state->stream_reader_type || !state->stream_protocol_type || !state->stream_writer_type)
        return -1;
    return face_operation_add_type(module, state);
}
