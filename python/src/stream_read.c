/*
 * Streams: reading. Each step is asyncio's coroutine of that name, from one wait to the next; the errors and
 * their words are asyncio's.
 */
#include "stream.h"

/* ---- The reader's buffer ------------------------------------------------------------------ */

/* The buffer. NULL and an exception; also when it is no bytearray. */
static PyObject *buffer_of(struct operation *operation)
{
    PyObject *buffer = stream_get(operation->self, operation->state->str__buffer);
    if (buffer && !PyByteArray_Check(buffer)) {
        PyErr_SetString(PyExc_TypeError, "the buffer of a StreamReader is a bytearray");
        Py_CLEAR(buffer);
    }
    return buffer;
}

static int drop_front(PyObject *buffer, Py_ssize_t n)
{
    if (n == PyByteArray_GET_SIZE(buffer))
        return PyByteArray_Resize(buffer, 0);
    PyObject *end = PyLong_FromSsize_t(n);
    PyObject *slice = end ? PySlice_New(NULL, end, NULL) : NULL;
    int err = slice ? PyObject_DelItem(buffer, slice) : -1;
    Py_XDECREF(end);
    Py_XDECREF(slice);
    return err;
}

/* Little is left in the buffer: a transport that was paused reads on. */
static int resume_transport(struct operation *operation, PyObject *buffer)
{
    struct face_state *state = operation->state;
    int is_paused = stream_flag(operation->self, state->str__paused);
    if (LIKELY(is_paused <= 0))
        return is_paused;
    PyObject *limit = stream_get(operation->self, state->str__limit);
    Py_ssize_t n = limit ? PyNumber_AsSsize_t(limit, NULL) : -1;
    Py_XDECREF(limit);
    if (n < PyByteArray_GET_SIZE(buffer))
        return PyErr_Occurred() ? -1 : 0;
    PyObject *transport = stream_get(operation->self, state->str__transport);
    int err = stream_set(operation->self, state->str__paused, Py_False);
    PyObject *result =
        transport && !err ? PyObject_CallMethodNoArgs(transport, state->str_resume_reading) : NULL;
    Py_XDECREF(transport);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Takes the first n bytes, or all. */
static PyObject *take_bytes(struct operation *operation, PyObject *buffer, Py_ssize_t n)
{
    Py_ssize_t size = PyByteArray_GET_SIZE(buffer);
    n = n < size ? n : size;
    PyObject *bytes = PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer), n);
    if (bytes && (drop_front(buffer, n) < 0 || resume_transport(operation, buffer) < 0))
        Py_CLEAR(bytes);
    return bytes;
}

/* Raises what the reader has got from its transport. 0: nothing. */
static int raise_kept(struct operation *operation)
{
    PyObject *error = stream_get(operation->self, operation->state->str__exception);
    if (error && error != Py_None)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    int err = error == Py_None ? 0 : -1;
    Py_XDECREF(error);
    return err;
}

static int is_ended(struct operation *operation)
{
    return stream_flag(operation->self, operation->state->str__eof);
}

/* Raises IncompleteReadError with what is there. */
static enum step raise_incomplete(struct operation *operation, PyObject *buffer, PyObject *expected)
{
    PyObject *partial =
        PyBytes_FromStringAndSize(PyByteArray_AS_STRING(buffer), PyByteArray_GET_SIZE(buffer));
    PyObject *error = NULL;
    if (partial && PyByteArray_Resize(buffer, 0) == 0)
        error = PyObject_CallFunctionObjArgs(operation->state->IncompleteReadError, partial, expected, NULL);
    if (error)
        PyErr_SetObject(operation->state->IncompleteReadError, error);
    Py_XDECREF(error);
    Py_XDECREF(partial);
    return STEP_FAILED;
}

/* ---- read ------------------------------------------------------------------------------------- */

static enum step finish_all(struct operation *operation, PyObject **result)
{
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0);
    *result = nothing ? PyObject_CallMethod(nothing, "join", "O", operation->blocks) : NULL;
    Py_XDECREF(nothing);
    return *result ? STEP_DONE : STEP_FAILED;
}

/* Blocks of at most the reader's limit, until the end: that much may be there at once, no more is kept. */
static enum step step_read_all(struct operation *operation, PyObject *buffer, PyObject **result)
{
    if (!operation->blocks && !(operation->blocks = PyList_New(0)))
        return STEP_FAILED;
    while (PyByteArray_GET_SIZE(buffer)) {
        PyObject *limit = stream_get(operation->self, operation->state->str__limit);
        Py_ssize_t n = limit ? PyNumber_AsSsize_t(limit, NULL) : -1;
        PyObject *block = n > 0 ? take_bytes(operation, buffer, n) : NULL;
        int err = block ? PyList_Append(operation->blocks, block) : -1;
        Py_XDECREF(limit);
        Py_XDECREF(block);
        if (err < 0 || raise_kept(operation) < 0)
            return STEP_FAILED;
    }
    int ended = is_ended(operation);
    if (ended < 0)
        return STEP_FAILED;
    return ended ? finish_all(operation, result) : STEP_WAIT;
}

static enum step step_read_some(struct operation *operation, PyObject *buffer, PyObject **result)
{
    if (!PyByteArray_GET_SIZE(buffer) && !operation->is_later) {
        int ended = is_ended(operation);
        if (ended <= 0)
            return ended < 0 ? STEP_FAILED : STEP_WAIT;
    }
    *result = take_bytes(operation, buffer, operation->n);
    return *result ? STEP_DONE : STEP_FAILED;
}

static enum step step_read(struct operation *operation, PyObject **result)
{
    if (!operation->is_later && raise_kept(operation) < 0)
        return STEP_FAILED;
    if (operation->n == 0) {
        *result = PyBytes_FromStringAndSize(NULL, 0);
        return *result ? STEP_DONE : STEP_FAILED;
    }
    PyObject *buffer = buffer_of(operation);
    if (!buffer)
        return STEP_FAILED;
    enum step step = operation->n < 0 ? step_read_all(operation, buffer, result)
                                      : step_read_some(operation, buffer, result);
    Py_DECREF(buffer);
    return step;
}

/* ---- readexactly ------------------------------------------------------------------------------- */

static enum step step_exactly(struct operation *operation, PyObject *buffer, PyObject **result)
{
    if (PyByteArray_GET_SIZE(buffer) >= operation->n) {
        *result = take_bytes(operation, buffer, operation->n);
        return *result ? STEP_DONE : STEP_FAILED;
    }
    int ended = is_ended(operation);
    if (ended <= 0)
        return ended < 0 ? STEP_FAILED : STEP_WAIT;
    PyObject *expected = PyLong_FromSsize_t(operation->n);
    enum step step = expected ? raise_incomplete(operation, buffer, expected) : STEP_FAILED;
    Py_XDECREF(expected);
    return step;
}

static enum step step_readexactly(struct operation *operation, PyObject **result)
{
    if (operation->n < 0) {
        PyErr_SetString(PyExc_ValueError, "readexactly size can not be less than zero");
        return STEP_FAILED;
    }
    if (!operation->is_later && raise_kept(operation) < 0)
        return STEP_FAILED;
    if (operation->n == 0) {
        *result = PyBytes_FromStringAndSize(NULL, 0);
        return *result ? STEP_DONE : STEP_FAILED;
    }
    PyObject *buffer = buffer_of(operation);
    enum step step = buffer ? step_exactly(operation, buffer, result) : STEP_FAILED;
    Py_XDECREF(buffer);
    return step;
}

/* ---- readuntil, readline -------------------------------------------------------------------------- */

static enum step raise_overrun(struct operation *operation, const char *words, Py_ssize_t consumed)
{
    PyObject *error = PyObject_CallFunction(operation->state->LimitOverrunError, "sn", words, consumed);
    if (error)
        PyErr_SetObject(operation->state->LimitOverrunError, error);
    Py_XDECREF(error);
    operation->searched = consumed; /* for a line, which is dropped */
    return STEP_FAILED;
}

/* Where the separator begins, or -1. */
static Py_ssize_t find_separator(const struct operation *operation, PyObject *buffer)
{
    const char *start = PyByteArray_AS_STRING(buffer);
    size_t n = (size_t)(PyByteArray_GET_SIZE(buffer) - operation->searched);
    const char *found = memmem(start + operation->searched, n, PyBytes_AS_STRING(operation->separator),
                               (size_t)PyBytes_GET_SIZE(operation->separator));
    return found ? found - start : -1;
}

static enum step step_until(struct operation *operation, PyObject *buffer, PyObject **result)
{
    Py_ssize_t length = PyBytes_GET_SIZE(operation->separator), size = PyByteArray_GET_SIZE(buffer),
               found = -1;
    PyObject *attribute = stream_get(operation->self, operation->state->str__limit);
    Py_ssize_t limit = attribute ? PyNumber_AsSsize_t(attribute, NULL) : -1;
    Py_XDECREF(attribute);
    if (limit < 0 && PyErr_Occurred())
        return STEP_FAILED;
    if (size - operation->searched >= length) {
        found = find_separator(operation, buffer);
        if (found < 0) { /* of a separator that has begun, all but the last byte may be there */
            operation->searched = size + 1 - length;
            if (operation->searched > limit)
                return raise_overrun(operation, "Separator is not found, and chunk exceed the limit",
                                     operation->searched);
        }
    }
    if (found < 0) {
        int ended = is_ended(operation);
        if (ended <= 0)
            return ended < 0 ? STEP_FAILED : STEP_WAIT;
        return raise_incomplete(operation, buffer, Py_None);
    }
    if (found > limit)
        return raise_overrun(operation, "Separator is found, but chunk is longer than limit", found);
    *result = take_bytes(operation, buffer, found + length);
    return *result ? STEP_DONE : STEP_FAILED;
}

static enum step step_readuntil(struct operation *operation, PyObject **result)
{
    if (!PyBytes_GET_SIZE(operation->separator)) {
        PyErr_SetString(PyExc_ValueError, "Separator should be at least one-byte string");
        return STEP_FAILED;
    }
    if (!operation->is_later && raise_kept(operation) < 0)
        return STEP_FAILED;
    PyObject *buffer = buffer_of(operation);
    enum step step = buffer ? step_until(operation, buffer, result) : STEP_FAILED;
    Py_XDECREF(buffer);
    return step;
}

/* The line up to its limit is dropped, with its end if that is there. */
static enum step drop_line(struct operation *operation)
{
    PyObject *error = face_take_exception(), *buffer = buffer_of(operation);
    PyObject *args = PyObject_GetAttrString(error, "args");
    PyObject *words = args ? PySequence_GetItem(args, 0) : NULL;
    if (buffer && words) {
        Py_ssize_t at = operation->searched, size = PyByteArray_GET_SIZE(buffer);
        bool has_end = at < size && PyByteArray_AS_STRING(buffer)[at] == '\n';
        if (drop_front(buffer, has_end ? at + 1 : size) == 0 && resume_transport(operation, buffer) == 0)
            PyErr_SetObject(PyExc_ValueError, words);
    }
    Py_XDECREF(words);
    Py_XDECREF(args);
    Py_XDECREF(buffer);
    Py_DECREF(error);
    return STEP_FAILED;
}

static enum step step_readline(struct operation *operation, PyObject **result)
{
    enum step step = step_readuntil(operation, result);
    if (LIKELY(step != STEP_FAILED))
        return step;
    if (PyErr_ExceptionMatches(operation->state->LimitOverrunError))
        return drop_line(operation);
    if (!PyErr_ExceptionMatches(operation->state->IncompleteReadError))
        return step;
    PyObject *error = face_take_exception();
    *result = PyObject_GetAttrString(error, "partial");
    Py_DECREF(error);
    return *result ? STEP_DONE : STEP_FAILED;
}

/* ---- Methods --------------------------------------------------------------------------------------- */

static const struct operation_kind read_kind = {"StreamReader", "read", "read", step_read};
static const struct operation_kind readexactly_kind = {"StreamReader", "readexactly", "readexactly",
                                                       step_readexactly};
static const struct operation_kind readuntil_kind = {"StreamReader", "readuntil", "readuntil",
                                                     step_readuntil};
static const struct operation_kind readline_kind = {"StreamReader", "readline", "readuntil", step_readline};

static PyObject *make_sized(PyObject *self, const struct operation_kind *kind, PyObject *size)
{
    Py_ssize_t n = size ? PyNumber_AsSsize_t(size, NULL) : -1;
    if (n == -1 && PyErr_Occurred())
        return NULL;
    struct operation *operation = face_operation_new(face_state_of(Py_TYPE(self)), kind, self);
    if (operation)
        operation->n = n;
    return (PyObject *)operation;
}

/* The one argument of a method, by place or by name; NULL: it was not given. 0, or -1 and TypeError. */
static int take_argument(PyObject *const *args, Py_ssize_t n, PyObject *names, const char *name,
                         PyObject **value)
{
    Py_ssize_t n_names = names ? PyTuple_GET_SIZE(names) : 0;
    if (n + n_names > 1) {
        PyErr_Format(PyExc_TypeError, "at most one argument is taken, %s, and %zd were given", name,
                     n + n_names);
        return -1;
    }
    if (n_names && PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(names, 0), name)) {
        PyErr_Format(PyExc_TypeError, "an unexpected keyword argument %R", PyTuple_GET_ITEM(names, 0));
        return -1;
    }
    *value = n + n_names ? args[0] : NULL;
    return 0;
}

static PyObject *read_method(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *size;
    return take_argument(args, n, names, "n", &size) < 0 ? NULL : make_sized(self, &read_kind, size);
}

static PyObject *readexactly_method(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    PyObject *size;
    if (take_argument(args, n, names, "n", &size) < 0)
        return NULL;
    if (size)
        return make_sized(self, &readexactly_kind, size);
    PyErr_SetString(PyExc_TypeError,
                    "StreamReader.readexactly() missing 1 required positional argument: 'n'");
    return NULL;
}

static PyObject *make_searching(PyObject *self, const struct operation_kind *kind, PyObject *separator)
{
    struct operation *operation = face_operation_new(face_state_of(Py_TYPE(self)), kind, self);
    if (operation)
        operation->separator = Py_NewRef(separator);
    return (PyObject *)operation;
}

static PyObject *readuntil_method(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    struct face_state *state = face_state_of(Py_TYPE(self));
    PyObject *separator;
    if (take_argument(args, n, names, "separator", &separator) < 0)
        return NULL;
    if (!separator || PyBytes_CheckExact(separator))
        return make_searching(self, &readuntil_kind, separator ? separator : state->newline);
    return PyObject_CallMethod(state->StreamReader, "readuntil", "OO", self,
                               separator); /* what else it takes */
}

static PyObject *readline_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return make_searching(self, &readline_kind, face_state_of(Py_TYPE(self))->newline);
}

#define WITH_KEYWORDS(method) (PyCFunction)(void (*)(void)) method, METH_FASTCALL | METH_KEYWORDS

PyMethodDef face_reader_methods[] = {
    {"read", WITH_KEYWORDS(read_method), "Read up to n bytes; -1: all, up to the end."},
    {"readexactly", WITH_KEYWORDS(readexactly_method), "Read exactly n bytes."},
    {"readuntil", WITH_KEYWORDS(readuntil_method), "Read until a separator is found."},
    {"readline", readline_method, METH_NOARGS, "Read a line."},
    {NULL, NULL, 0, NULL},
};
