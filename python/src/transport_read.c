/*
 * Socket transports: reading.
 *
 * One recv for each readiness. A read that comes back short has emptied the socket, and the watch tells when
 * there is more; so does it after the peer's end, which is why a hang-up is read to the end. A full read goes
 * on in the loop's next turn, so that nobody else waits.
 */
#include "stream.h"
#include "transport.h"
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What a read has told about the socket: `n` of `size`. */
static void note_read(struct transport *t, ssize_t n, size_t size)
{
    t->is_readable = t->is_hung_up || !t->is_short_end || (size_t)n == size;
}

/* How much was read, 0 at the end; -1: nothing, and all is told, or an exception is set. */
static ssize_t receive(struct transport *t, void *buf, size_t n_max)
{
    /* Nobody cancels this thread: past the C library's points of cancellation. */
    ssize_t n = syscall(SYS_recvfrom, *t->fd, buf, n_max, MSG_DONTWAIT, NULL, NULL);
    if (LIKELY(n >= 0)) {
        note_read(t, n, n_max);
        return n;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) {
        t->is_readable = errno == EINTR;
        return -1;
    }
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* The peer has ended. Python's method asks the protocol what to do. */
static int read_end(struct transport *t)
{
    if (transport_call(t, t->face->state->str__read_ready__on_eof, NULL) < 0)
        return -1;
    t->is_readable = true; /* for one who resumes reading: the end is there for good */
    transport_stop_reading(t);
    return 0;
}

static int after_receive(struct transport *t, ssize_t n)
{
    if (n == 0)
        return read_end(t);
    return PyErr_Occurred() ? transport_fail(t, "Fatal read error on socket transport") : 0;
}

/* ---- Into bytes -------------------------------------------------------------------- */

static int call_data_received(struct transport *t, const char *data, ssize_t n)
{
    PyObject *protocol = Py_NewRef(t->protocol);
    PyObject *args[] = {NULL, protocol, PyBytes_FromStringAndSize(data, n)};
    PyObject *result = args[2] ? PyObject_VectorcallMethod(t->face->state->str_data_received, args + 1,
                                                           2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
                               : NULL;
    Py_XDECREF(args[2]);
    Py_DECREF(protocol);
    if (UNLIKELY(!result))
        return transport_fail(t, "Fatal error: protocol.data_received() call failed.");
    Py_DECREF(result);
    return 0;
}

static int read_data(struct transport *t)
{
    char *buf = face_receive_buffer(t->face);
    ssize_t n = buf ? receive(t, buf, FACE_RECEIVE_BYTES) : -1;
    if (UNLIKELY(n <= 0))
        return after_receive(t, n);
    if (!t->reader)
        return call_data_received(t, buf, n);
    if (face_stream_feed(t->face->state, t->reader, buf, n) < 0)
        return transport_fail(t, "Fatal error: protocol.data_received() call failed.");
    return 0;
}

/* ---- Into the protocol's buffer ---------------------------------------------------- */

/* The buffer of a BufferedProtocol. -1: it has none, and the connection ends. */
static int get_buffer(struct transport *t, Py_buffer *view)
{
    struct face_state *state = t->face->state;
    PyObject *buffer = PyObject_CallMethodObjArgs(t->protocol, state->str_get_buffer, state->minus_one, NULL);
    Py_ssize_t n = buffer ? PyObject_Size(buffer) : -1;
    if (n == 0)
        PyErr_SetString(PyExc_RuntimeError, "get_buffer() returned an empty buffer");
    if (n <= 0) {
        Py_XDECREF(buffer);
        return transport_fail(t, "Fatal error: protocol.get_buffer() call failed.") < 0 ? -2 : -1;
    }
    int err = PyObject_GetBuffer(buffer, view, PyBUF_WRITABLE);
    if (err < 0) { /* refused in the words of the socket */
        PyErr_Clear();
        Py_XDECREF(PyObject_CallMethod(t->sock, "recv_into", "O", buffer));
        err = transport_fail(t, "Fatal read error on socket transport") < 0 ? -2 : -1;
    }
    Py_DECREF(buffer);
    return err;
}

static int call_buffer_updated(struct transport *t, ssize_t n)
{
    PyObject *count = PyLong_FromSsize_t(n);
    PyObject *result =
        count ? PyObject_CallMethodObjArgs(t->protocol, t->face->state->str_buffer_updated, count, NULL)
              : NULL;
    Py_XDECREF(count);
    if (UNLIKELY(!result))
        return transport_fail(t, "Fatal error: protocol.buffer_updated() call failed.");
    Py_DECREF(result);
    return 0;
}

static int read_into_buffer(struct transport *t)
{
    Py_buffer view;
    int err = get_buffer(t, &view);
    if (err < 0)
        return err == -2 ? -1 : 0;
    if (!t->face || t->conn_lost) { /* get_buffer has ended it */
        PyBuffer_Release(&view);
        return 0;
    }
    ssize_t n = receive(t, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    return n <= 0 ? after_receive(t, n) : call_buffer_updated(t, n);
}

int transport_read(struct transport *t)
{
    if (!t->wants_input || t->conn_lost || !t->face)
        return 0;
    int err = t->is_buffered ? read_into_buffer(t) : read_data(t);
    if (t->is_readable && t->wants_input)
        transport_look_again(t);
    return err;
}

/* ---- Starting and stopping ----------------------------------------------------------- */

int transport_start_reading(struct transport *t)
{
    if (transport_start_watch(t) < 0)
        return -1;
    if (t->is_closing)
        return 0;
    t->wants_input = true;
    transport_hold(t);
    if (t->is_readable)
        transport_look_again(t);
    return 0;
}

void transport_stop_reading(struct transport *t)
{
    t->wants_input = false;
    transport_let_go(t);
}

static void log_debug(struct transport *t, const char *format)
{
    if (!t->face->is_debug)
        return;
    PyObject *result = PyObject_CallMethod(t->face->state->logger, "debug", "sO", format, self_of(t));
    if (!result)
        PyErr_Clear();
    Py_XDECREF(result);
}

static PyObject *pause_reading_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    if (t->is_closing || t->is_paused)
        Py_RETURN_NONE;
    t->is_paused = true;
    transport_stop_reading(t);
    log_debug(t, "%r pauses reading");
    Py_RETURN_NONE;
}

static PyObject *resume_reading_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    if (t->is_closing || !t->is_paused)
        Py_RETURN_NONE;
    t->is_paused = false;
    if (transport_start_reading(t) < 0)
        return NULL;
    log_debug(t, "%r resumes reading");
    Py_RETURN_NONE;
}

static PyObject *is_reading_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return PyBool_FromLong(!t->is_paused && !t->is_closing);
}

/* Called by the loop after connection_made; its arguments are Python's. */
static PyObject *add_reader_method(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    (void)args;
    (void)n;
    struct transport *t = transport_of(self);
    if (!t->face)
        Py_RETURN_NONE;
    if (!t->context && !(t->context = PyContext_CopyCurrent()))
        return NULL;
    if (t->is_closing ? !t->output.size : t->is_paused)
        Py_RETURN_NONE;
    return transport_start_reading(t) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *read_ready_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return transport_read(transport_of(self)) < 0 ? NULL : Py_NewRef(Py_None);
}

PyMethodDef transport_read_methods[] = {
    {"pause_reading", pause_reading_method, METH_NOARGS, NULL},
    {"resume_reading", resume_reading_method, METH_NOARGS, NULL},
    {"is_reading", is_reading_method, METH_NOARGS, NULL},
    {"_add_reader", (PyCFunction)(void (*)(void))add_reader_method, METH_FASTCALL, NULL},
    {"_read_ready", read_ready_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
