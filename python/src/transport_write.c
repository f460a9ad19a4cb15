/*
 * Socket transports: writing.
 *
 * What a callback of the loop writes is sent when it returns, by one system call: a response in two writes is
 * one packet, and no later than the code that wrote it gives way. Python's transport sends at once. Where a
 * program could see the difference, we send at once, too: outside the loop's callbacks, in another thread,
 * when there is more than the high-water mark or 64 KiB, and before anything that asks how much is queued
 * or that ends the output.
 *
 *     nothing queued -> unsent (in the loop's list) -> nothing queued, or waiting (for room, by the watch)
 */
#include "transport.h"
#include <errno.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PIECES_MAX 64               /* of one system call */
#define UNSENT_BYTES_MAX (64 << 10) /* sent at once from there on */
#define COPY_BYTES_MAX 4096         /* what may change is sent before it is copied, if it is more */

/* ---- Sending -------------------------------------------------------------------- */

/* Nobody cancels this thread: the system calls go past the C library's points of cancellation. */
static ssize_t send_piece(struct transport *t)
{
    return syscall(SYS_sendto, *t->fd, output_start(&t->output), (size_t)t->output.size,
                   MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
}

static ssize_t send_message(struct transport *t, const struct iovec *extra)
{
    struct iovec pieces[PIECES_MAX + 1];
    int n = output_pieces(&t->output, pieces, PIECES_MAX);
    if (extra)
        pieces[n++] = *extra;
    struct msghdr message = {.msg_iov = pieces, .msg_iovlen = (size_t)n};
    return syscall(SYS_sendmsg, *t->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Sends what is queued and `extra` behind it, as far as there is room. How much was taken; -1 and an
 * exception. */
static Py_ssize_t send_pieces(struct transport *t, const struct iovec *extra)
{
    ssize_t sent;
    do {
        sent = LIKELY(t->output.count == 1 && !extra) ? send_piece(t) : send_message(t, extra);
    } while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return sent;
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* More is queued than was: the protocol may be told. Python's method, since it is rare. */
static int pause_protocol(struct transport *t)
{
    if (t->output.size <= t->high || t->is_protocol_paused)
        return 0;
    return transport_call(t, t->face->state->str__maybe_pause_protocol, NULL);
}

/* All is sent. */
static int finish_output(struct transport *t)
{
    if (!is_none(t->empty_waiter)) {
        PyObject *result = PyObject_CallMethod(t->empty_waiter, "set_result", "O", Py_None);
        if (!result)
            return -1;
        Py_DECREF(result);
    }
    if (t->is_closing)
        return t->conn_lost ? 0 : transport_call(t, t->face->state->str__call_connection_lost, Py_None);
    return t->is_eof ? transport_shut_down(t) : 0;
}

/* One that is closing ends in transport_send_more, never here, inside a write of resume_writing. */
int transport_flush(struct transport *t)
{
    if (!t->is_unsent)
        return 0;
    t->is_unsent = false;
    if (!t->output.size) /* dropped meanwhile */
        return 0;
    Py_ssize_t sent = send_pieces(t, NULL);
    if (sent < 0)
        return transport_fail(t, "Fatal write error on socket transport");
    output_drop(&t->output, sent);
    return t->output.size ? pause_protocol(t) : 0;
}

void face_transports_flush(struct face_loop *face)
{
    struct transport *t;
    while ((t = face->unsent)) {
        face->unsent = t->next_unsent;
        if (!face->unsent)
            face->unsent_end = &face->unsent;
        t->is_listed = false;
        if (transport_flush(t) < 0)
            transport_report(face, self_of(t), "write");
        transport_let_go(t);
    }
}

static int resume_protocol(struct transport *t)
{
    if (!t->is_protocol_paused)
        return 0;
    if (transport_call(t, t->face->state->str__maybe_resume_protocol, NULL) < 0)
        return -1;
    return transport_flush(t); /* what it has written */
}

int transport_send_more(struct transport *t)
{
    if (!transport_waits_for_room(t) || t->conn_lost)
        return 0;
    Py_ssize_t sent = send_pieces(t, NULL);
    if (sent < 0)
        return transport_fail_output(t);
    output_drop(&t->output, sent);
    if (resume_protocol(t) < 0)
        return -1;
    return t->output.size || t->conn_lost || !t->face ? 0 : finish_output(t);
}

/* ---- Writing -------------------------------------------------------------------- */

/* Is the caller a callback of the loop, after which unsent output is sent? */
static bool can_put_off(const struct transport *t)
{
    return t->face->is_running && t->face->thread == (uintptr_t)__builtin_thread_pointer() &&
           t->output.size <= (t->high < UNSENT_BYTES_MAX ? t->high : UNSENT_BYTES_MAX);
}

static void list_unsent(struct transport *t)
{
    struct face_loop *face = t->face;
    t->is_unsent = true;
    if (t->is_listed)
        return;
    t->is_listed = true;
    t->next_unsent = NULL;
    *face->unsent_end = t;
    face->unsent_end = &t->next_unsent;
}

/* The output has grown. */
static int send_or_put_off(struct transport *t)
{
    transport_hold(t);
    if (transport_waits_for_room(t))
        return pause_protocol(t);
    if (LIKELY(can_put_off(t))) {
        list_unsent(t);
        return 0;
    }
    t->is_unsent = true;
    int err = transport_flush(t);
    transport_let_go(t);
    return err;
}

static int add_bytes(struct transport *t, PyObject *bytes)
{
    if (!PyBytes_GET_SIZE(bytes))
        return 0;
    bool was_waiting = transport_waits_for_room(t);
    if (output_add(&t->output, bytes) < 0)
        return -1;
    t->is_unsent = !was_waiting;
    return 0;
}

/* Of an object that may change, as much as the kernel takes at once is not copied. */
static int send_and_copy(struct transport *t, const Py_buffer *view)
{
    bool was_waiting = transport_waits_for_room(t);
    Py_ssize_t sent = 0, queued = t->output.size;
    if (!was_waiting && view->len > COPY_BYTES_MAX && t->output.count <= PIECES_MAX) {
        t->is_unsent = false;
        sent = send_pieces(t, &(struct iovec){.iov_base = view->buf, .iov_len = (size_t)view->len});
        if (sent < 0)
            return transport_fail(t, "Fatal write error on socket transport");
        was_waiting = sent < queued + view->len;
        output_drop(&t->output, sent < queued ? sent : queued);
        sent -= sent < queued ? sent : queued;
    }
    if (sent < view->len && output_add_copy(&t->output, (const char *)view->buf + sent, view->len - sent) < 0)
        return -1;
    t->is_unsent = !was_waiting && t->output.size;
    return t->output.size ? send_or_put_off(t) : 0;
}

static int write_view(struct transport *t, PyObject *data)
{
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0)
        return transport_fail(t, "Fatal write error on socket transport");
    int err = view.len ? send_and_copy(t, &view) : 0;
    PyBuffer_Release(&view);
    return err;
}

PyObject *transport_write(PyObject *self, PyObject *data)
{
    struct transport *t = transport_of(self);
    int err;
    /* Python's method refuses what is no bytes, and tells what becomes of a write that comes too late. */
    if (UNLIKELY(t->is_eof || t->conn_lost || !t->face || !is_none(t->empty_waiter)))
        return transport_call_base(self, "write", data);
    if (LIKELY(PyBytes_Check(data))) {
        err = add_bytes(t, data);
        if (!err && t->output.size)
            err = send_or_put_off(t);
    } else if (PyByteArray_Check(data) || PyMemoryView_Check(data)) {
        err = write_view(t, data);
    } else {
        return transport_call_base(self, "write", data);
    }
    return err < 0 ? NULL : Py_NewRef(Py_None);
}

/* Are all of them bytes? Then they need not be joined. */
static bool are_bytes(PyObject *list)
{
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list); i++)
        if (!PyBytes_CheckExact(PySequence_Fast_GET_ITEM(list, i)))
            return false;
    return true;
}

static PyObject *write_joined(PyObject *self, PyObject *list)
{
    PyObject *nothing = PyBytes_FromStringAndSize(NULL, 0);
    PyObject *joined = nothing ? PyObject_CallMethod(nothing, "join", "O", list) : NULL;
    PyObject *result = joined ? transport_write(self, joined) : NULL;
    Py_XDECREF(nothing);
    Py_XDECREF(joined);
    return result;
}

static PyObject *writelines_method(PyObject *self, PyObject *lines)
{
    struct transport *t = transport_of(self);
    PyObject *list = PySequence_Fast(lines, "can only join an iterable");
    if (!list)
        return NULL;
    PyObject *result = NULL;
    bool is_late = t->is_eof || t->conn_lost || !t->face || !is_none(t->empty_waiter);
    if (is_late || !are_bytes(list)) {
        result = write_joined(self, list);
    } else {
        int err = 0;
        for (Py_ssize_t i = 0; !err && i < PySequence_Fast_GET_SIZE(list); i++)
            err = add_bytes(t, PySequence_Fast_GET_ITEM(list, i));
        if (!err && t->output.size)
            err = send_or_put_off(t);
        result = err ? NULL : Py_NewRef(Py_None);
    }
    Py_DECREF(list);
    return result;
}

/* ---- The end of the output ------------------------------------------------------ */

static PyObject *write_eof_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    if (transport_flush(t) < 0)
        return NULL;
    if (t->is_closing || t->is_eof)
        Py_RETURN_NONE;
    t->is_eof = true;
    if (!t->output.size && transport_shut_down(t) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *get_write_buffer_size_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    if (transport_flush(t) < 0)
        return NULL;
    return PyLong_FromSsize_t(t->output.size);
}

/* For sendfile: a future of the moment at which nothing is queued. */
static PyObject *make_empty_waiter_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    if (!is_none(t->empty_waiter)) {
        PyErr_SetString(PyExc_RuntimeError, "Empty waiter is already set");
        return NULL;
    }
    if (transport_flush(t) < 0)
        return NULL;
    PyObject *waiter = PyObject_CallMethod(t->loop ? t->loop : Py_None, "create_future", NULL);
    if (!waiter)
        return NULL;
    Py_XSETREF(t->empty_waiter, Py_NewRef(waiter));
    if (!t->output.size) {
        PyObject *result = PyObject_CallMethod(waiter, "set_result", "O", Py_None);
        if (!result)
            Py_CLEAR(waiter);
        Py_XDECREF(result);
    }
    return waiter;
}

static PyObject *write_ready_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return transport_send_more(transport_of(self)) < 0 ? NULL : Py_NewRef(Py_None);
}

PyMethodDef transport_write_methods[] = {
    {"write", transport_write, METH_O, NULL},
    {"writelines", writelines_method, METH_O, NULL},
    {"write_eof", write_eof_method, METH_NOARGS, NULL},
    {"get_write_buffer_size", get_write_buffer_size_method, METH_NOARGS, NULL},
    {"_make_empty_waiter", make_empty_waiter_method, METH_NOARGS, NULL},
    {"_write_ready", write_ready_method, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
