/*
 * Socket transports: the constructor. It is asyncio's, step by step, in C, for versions of CPython that we
 * know; for others, asyncio's own does it.
 */
#include "transport.h"
#include <netinet/in.h>
#include <netinet/tcp.h>

#define IS_KNOWN_VERSION (PY_VERSION_HEX < 0x030E0000)
#define HIGH_WATER_BYTES (64 << 10) /* asyncio's */

/* ---- Addresses ------------------------------------------------------------------------- */

/* Sets extra[name] to what a method of the socket returns, or None where it fails. */
static int set_address(PyObject *extra, PyObject *name, PyObject *sock, PyObject *method)
{
    PyObject *address = PyObject_CallMethodNoArgs(sock, method);
    if (!address) {
        if (!PyErr_ExceptionMatches(PyExc_OSError))
            return -1;
        PyErr_Clear();
        address = Py_NewRef(Py_None);
    }
    int err = PyDict_SetItem(extra, name, address);
    Py_DECREF(address);
    return err;
}

static int fill_extra(struct transport *t, PyObject *extra)
{
    struct face_state *state = t->face->state;
    PyObject *dictionary = is_none(extra) ? PyDict_New() : Py_NewRef(extra);
    PyObject *wrapped = dictionary ? PyObject_CallOneArg(state->TransportSocket, t->sock) : NULL;
    Py_XSETREF(t->extra, dictionary);
    if (!wrapped)
        return -1;
    if (!PyDict_Check(dictionary)) {
        PyErr_SetString(PyExc_TypeError, "extra must be a dict");
        Py_DECREF(wrapped);
        return -1;
    }
    int err = PyDict_SetItem(dictionary, state->str_socket, wrapped);
    Py_DECREF(wrapped);
    if (err < 0 || set_address(dictionary, state->str_sockname, t->sock, state->str_getsockname) < 0)
        return -1;
    int is_there = PyDict_Contains(dictionary, state->str_peername);
    return is_there ? is_there - 1
                    : set_address(dictionary, state->str_peername, t->sock, state->str_getpeername);
}

/* Small writes do not wait for the acknowledgement of those before. */
static int disable_delay(struct transport *t)
{
    if (t->fd == &t->sock_fd) { /* a socket that we cannot look into */
        PyObject *result = PyObject_CallOneArg(t->face->state->set_nodelay, t->sock);
        Py_XDECREF(result);
        return result ? 0 : -1;
    }
    if (!t->is_tcp)
        return 0;
    int one = 1;
    if (setsockopt(*t->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0)
        return 0;
    PyErr_SetFromErrno(PyExc_OSError);
    return -1;
}

/* ---- Those who know it ------------------------------------------------------------------- */

static int register_transport(struct transport *t)
{
    PyObject *transports = PyObject_GetAttr(t->loop, t->face->state->str__transports);
    PyObject *number = transports ? PyLong_FromLong(t->sock_fd) : NULL;
    int err = number ? PyObject_SetItem(transports, number, self_of(t)) : -1;
    Py_XDECREF(number);
    Py_XDECREF(transports);
    return err;
}

static int attach_to_server(struct transport *t, PyObject *server)
{
    Py_XSETREF(t->server, Py_NewRef(server));
    if (is_none(server))
        return 0;
#if PY_VERSION_HEX >= 0x030D0000
    PyObject *result = PyObject_CallMethodOneArg(server, t->face->state->str__attach, self_of(t));
#else
    PyObject *result = PyObject_CallMethodNoArgs(server, t->face->state->str__attach);
#endif
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int transport_queue_call(struct transport *t, PyObject *callback, PyObject *const *args, Py_ssize_t n_args)
{
    struct face_loop *face = t->face;
    struct face_target target = {.callback = callback, .args = args, .n_args = n_args};
    if (!callback || face_loop_check_open(face) < 0)
        return -1;
    struct face_handle *handle = face_handle_new(face, &target);
    int err = !handle ? -1 : face_loop_is_mine(face) ? face_handle_queue(handle) : face_handle_post(handle);
    Py_XDECREF(handle);
    return err;
}

/* connection_made, then reading, then the one who waits for both. */
static int queue_beginning(struct transport *t, PyObject *waiter)
{
    PyObject *self = self_of(t);
    PyObject *made = PyObject_GetAttrString(t->protocol, "connection_made");
    PyObject *reads = made ? PyObject_GetAttrString(self, "_add_reader") : NULL;
    PyObject *outcome[] = {waiter, Py_None};
    int err =
        reads && transport_queue_call(t, made, &self, 1) == 0 && transport_queue_call(t, reads, NULL, 0) == 0
            ? 0
            : -1;
    if (!err && !is_none(waiter))
        err = transport_queue_call(t, t->face->state->set_result_unless_cancelled, outcome, 2);
    Py_XDECREF(reads);
    Py_XDECREF(made);
    return err;
}

/* ---- The constructor ------------------------------------------------------------------------ */

struct arguments {
    PyObject *loop, *sock, *protocol, *waiter, *extra, *server;
};

static int set_limits(struct transport *t)
{
    PyObject *high = PyLong_FromLong(HIGH_WATER_BYTES), *low = PyLong_FromLong(HIGH_WATER_BYTES / 4);
    Py_XSETREF(t->high_water, high);
    Py_XSETREF(t->low_water, low);
    t->high = HIGH_WATER_BYTES;
    return high && low ? 0 : -1;
}

static int begin_transport(struct transport *t, const struct arguments *arguments)
{
    PyObject *self = self_of(t);
    struct face_state *state = t->face->state;
    if (set_limits(t) < 0 || PyObject_SetAttr(self, state->str__sock, arguments->sock) < 0)
        return -1;
    PyObject *number = PyObject_CallMethodNoArgs(t->sock, state->str_fileno);
    t->sock_fd = number ? (int)PyLong_AsLong(number) : -1;
    Py_XDECREF(number);
    if (PyErr_Occurred() || fill_extra(t, arguments->extra) < 0)
        return -1;
    PyObject *result = transport_set_protocol(self, arguments->protocol);
    Py_XDECREF(result);
    if (!result || attach_to_server(t, arguments->server) < 0 || register_transport(t) < 0 ||
        disable_delay(t) < 0)
        return -1;
    return queue_beginning(t, arguments->waiter);
}

int transport_init(PyObject *self, PyObject *args, PyObject *keywords)
{
    static const char *const names[] = {"loop", "sock", "protocol", "waiter", "extra", "server", NULL};
    struct transport *t = transport_of(self);
    struct arguments it = {.waiter = Py_None, .extra = Py_None, .server = Py_None};
    struct face_state *state = face_state_of(Py_TYPE(self));
    if (!state)
        return -1;
    if (!IS_KNOWN_VERSION)
        return ((PyTypeObject *)state->SocketTransport)->tp_init(self, args, keywords);
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "OOO|OOO:SocketTransport", (char **)(uintptr_t)names,
                                     &it.loop, &it.sock, &it.protocol, &it.waiter, &it.extra, &it.server) ||
        PyObject_SetAttr(self, state->str__loop, it.loop) < 0)
        return -1;
    if (t->face)
        return begin_transport(t, &it);
    PyErr_SetString(PyExc_TypeError, "a loop of libasyncio is needed");
    return -1;
}
