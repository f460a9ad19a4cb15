/*
 * Streams: writing. drain() sends what the callback has written so far, and waits only if the transport has
 * paused its protocol.
 */
#include "stream.h"
#include "transport.h"

/* ---- drain ------------------------------------------------------------------------------------ */

/* Waiting for room is asyncio's, in Python. */
static enum step step_helper(struct operation *operation, PyObject *protocol)
{
    struct face_state *state = operation->state;
    if (Py_TYPE(protocol) == state->stream_protocol_type) {
        int is_lost = stream_flag(protocol, state->str__connection_lost);
        if (is_lost > 0)
            PyErr_SetString(PyExc_ConnectionResetError, "Connection lost");
        int is_paused = is_lost ? -1 : stream_flag(protocol, state->str__paused);
        if (LIKELY(is_paused <= 0))
            return is_paused < 0 ? STEP_FAILED : STEP_DONE;
        operation->inner = PyObject_CallMethod(state->StreamReaderProtocol, "_drain_helper", "O", protocol);
    } else {
        operation->inner = PyObject_CallMethodNoArgs(protocol, state->str__drain_helper);
    }
    return operation->inner ? STEP_DELEGATE : STEP_FAILED;
}

/* Raises what the reader has got. */
static int raise_of_reader(struct operation *operation)
{
    struct face_state *state = operation->state;
    PyObject *reader = stream_get(operation->self, state->str__reader), *error = NULL;
    if (reader && reader != Py_None)
        error = Py_TYPE(reader) == state->stream_reader_type
                    ? stream_get(reader, state->str__exception)
                    : PyObject_CallMethodNoArgs(reader, state->str_exception);
    if (error && error != Py_None)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    int err = reader == Py_None || error == Py_None ? 0 : -1;
    Py_XDECREF(reader);
    return err;
}

/* What was written goes out. 1: the transport is closing. */
static int flush_transport(struct operation *operation)
{
    struct face_state *state = operation->state;
    PyObject *transport = stream_get(operation->self, state->str__transport);
    int is_closing = -1;
    if (transport && PyObject_TypeCheck(transport, state->transport_type)) {
        struct transport *t = transport_of(transport);
        is_closing = transport_flush(t) < 0 ? -1 : t->is_closing;
    } else if (transport) {
        PyObject *answer = PyObject_CallMethodNoArgs(transport, state->str_is_closing);
        is_closing = answer ? PyObject_IsTrue(answer) : -1;
        Py_XDECREF(answer);
    }
    Py_XDECREF(transport);
    return is_closing;
}

static enum step step_drain(struct operation *operation, PyObject **result)
{
    if (!operation->is_later) {
        if (raise_of_reader(operation) < 0)
            return STEP_FAILED;
        int is_closing = flush_transport(operation);
        if (UNLIKELY(is_closing)) /* a turn, so that connection_lost may be called */
            return is_closing < 0 ? STEP_FAILED : STEP_YIELD;
    }
    PyObject *protocol = stream_get(operation->self, operation->state->str__protocol);
    enum step step = protocol ? step_helper(operation, protocol) : STEP_FAILED;
    Py_XDECREF(protocol);
    if (step == STEP_DONE)
        *result = Py_NewRef(Py_None);
    return step;
}

/* Of asyncio's own StreamWriter, as a client has it. */
static enum step step_drain_helper(struct operation *operation, PyObject **result)
{
    enum step step = step_helper(operation, operation->self);
    if (step == STEP_DONE)
        *result = Py_NewRef(Py_None);
    return step;
}

static const struct operation_kind drain_kind = {"StreamWriter", "drain", NULL, step_drain};
static const struct operation_kind drain_helper_kind = {"FlowControlMixin", "_drain_helper", NULL,
                                                        step_drain_helper};

static PyObject *drain_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return (PyObject *)face_operation_new(face_state_of(Py_TYPE(self)), &drain_kind, self);
}

PyObject *face_drain_helper(PyObject *self, PyObject *unused)
{
    (void)unused;
    return (PyObject *)face_operation_new(face_state_of(Py_TYPE(self)), &drain_helper_kind, self);
}

/* ---- write -------------------------------------------------------------------------------------- */

static PyObject *write_method(PyObject *self, PyObject *data)
{
    struct face_state *state = face_state_of(Py_TYPE(self));
    PyObject *transport = stream_get(self, state->str__transport);
    if (!transport)
        return NULL;
    PyObject *result = Py_TYPE(transport)->tp_base == state->transport_type
                           ? transport_write(transport, data)
                           : PyObject_CallMethodOneArg(transport, state->str_write, data);
    Py_DECREF(transport);
    if (!result)
        return NULL;
    Py_DECREF(result);
    Py_RETURN_NONE;
}

PyMethodDef face_writer_methods[] = {
    {"write", write_method, METH_O,
     "Write data, which is sent when the callback returns or drain() is called."},
    {"drain", drain_method, METH_NOARGS, "Send what was written, and wait while too much is queued."},
    {NULL, NULL, 0, NULL},
};
