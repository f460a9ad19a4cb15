/*
 * Datagrams: what asyncio's datagram transport does most, receiving and sending. All else is its own.
 *
 * It receives into one buffer of the loop's and makes bytes of the size, where recvfrom of the socket module
 * makes 256 KiB first; it takes several datagrams at a time. An address is a string of digits mostly: what is
 * not is left to the socket module.
 */
#include "address.h"
#include "face.h"
#include <errno.h>

#define AT_A_TIME 16 /* others get their turn then */

/* Hands one over. -1: the protocol raised. */
static int hand_datagram(PyObject *method, const char *data, Py_ssize_t n, PyObject *address)
{
    PyObject *bytes = PyBytes_FromStringAndSize(data, n);
    PyObject *args[] = {NULL, bytes, address};
    PyObject *result = bytes && address
                           ? PyObject_Vectorcall(method, args + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL)
                           : NULL;
    Py_XDECREF(bytes);
    Py_XDECREF(address);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* Has the protocol closed the transport? -1: an exception. */
static int is_transport_closing(struct face_loop *face, PyObject *transport)
{
    PyObject *closing = PyObject_GetAttr(transport, face->state->str__closing);
    int is_closing = closing ? PyObject_IsTrue(closing) : -1;
    Py_XDECREF(closing);
    return is_closing;
}

/* _receive_datagrams(transport, fd, datagram_received): 0, or the number of the error that receiving met. */
static PyObject *receive_datagrams(PyObject *self, PyObject *const *args, Py_ssize_t n_args)
{
    struct face_loop *face = (struct face_loop *)self;
    int fd = n_args == 3 ? (int)PyLong_AsLong(args[1]) : -1;
    char *buffer = face_receive_buffer(face);
    if (n_args != 3 || PyErr_Occurred() || !buffer) {
        if (!PyErr_Occurred())
            PyErr_BadArgument();
        return NULL;
    }
    for (int i = 0; i < AT_A_TIME; i++) {
        union address address = {.any.sa_family = AF_UNSPEC};
        socklen_t size = sizeof(address);
        ssize_t n = recvfrom(fd, buffer, FACE_RECEIVE_BYTES, 0, &address.any, &size);
        if (n < 0)
            return PyLong_FromLong(errno == EAGAIN || errno == EINTR ? 0 : errno);
        if (hand_datagram(args[2], buffer, n, face_describe_address(&address, size)) < 0)
            return NULL;
        int is_closing = is_transport_closing(face, args[0]);
        if (is_closing)
            return is_closing < 0 ? NULL : PyLong_FromLong(0);
    }
    return PyLong_FromLong(0);
}

static bool read_address_6(PyObject *tuple, const char *text, uint16_t port, union address *address,
                           socklen_t *size)
{
    PyObject *flow = PyTuple_GET_ITEM(tuple, 2), *scope = PyTuple_GET_ITEM(tuple, 3);
    long flow_number = PyLong_CheckExact(flow) ? PyLong_AsLong(flow) : -1;
    long scope_number = PyLong_CheckExact(scope) ? PyLong_AsLong(scope) : -1;
    PyErr_Clear();
    if (flow_number < 0 || flow_number > 0xfffff || scope_number < 0 || scope_number > UINT32_MAX)
        return false;
    address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
                                        .sin6_port = htons(port),
                                        .sin6_flowinfo = htonl((uint32_t)flow_number),
                                        .sin6_scope_id = (uint32_t)scope_number};
    *size = sizeof(address->v6);
    return inet_pton(AF_INET6, text, &address->v6.sin6_addr) == 1;
}

/* Reads a tuple of an address in digits and a port, with flow and scope if the family is of version 6. False:
 * it is something else, for the socket module to find out. */
static bool read_address(PyObject *tuple, long family, union address *address, socklen_t *size)
{
    Py_ssize_t n = PyTuple_CheckExact(tuple) ? PyTuple_GET_SIZE(tuple) : 0;
    if (n != (family == AF_INET ? 2 : 4))
        return false;
    PyObject *host = PyTuple_GET_ITEM(tuple, 0), *port = PyTuple_GET_ITEM(tuple, 1);
    const char *text = PyUnicode_CheckExact(host) ? PyUnicode_AsUTF8(host) : NULL;
    long number = PyLong_CheckExact(port) ? PyLong_AsLong(port) : -1;
    PyErr_Clear();
    if (!text || number < 0 || number > UINT16_MAX)
        return false;
    if (family == AF_INET) {
        address->v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
        *size = sizeof(address->v4);
        return inet_pton(AF_INET, text, &address->v4.sin_addr) == 1;
    }
    return read_address_6(tuple, text, (uint16_t)number, address, size);
}

/*
 * send_datagram(fd, family, data, address), None for a connected socket: 0 when it was sent; -1 when it was
 * not tried, or the socket has no room; else the number of the error.
 */
PyObject *face_send_datagram(PyObject *module, PyObject *const *args, Py_ssize_t n_args)
{
    (void)module;
    union address address;
    socklen_t size = 0;
    if (n_args != 4) {
        PyErr_BadArgument();
        return NULL;
    }
    long fd = PyLong_AsLong(args[0]), family = PyLong_AsLong(args[1]);
    PyObject *data = args[2];
    if (PyErr_Occurred())
        return NULL;
    if (!PyBytes_CheckExact(data) || !PyBytes_GET_SIZE(data) ||
        (args[3] != Py_None && !read_address(args[3], family, &address, &size)))
        return PyLong_FromLong(-1);
    ssize_t n = sendto((int)fd, PyBytes_AS_STRING(data), (size_t)PyBytes_GET_SIZE(data), 0,
                       size ? &address.any : NULL, size);
    if (n >= 0)
        return PyLong_FromLong(0);
    return PyLong_FromLong(errno == EAGAIN || errno == EINTR ? -1 : errno);
}

PyMethodDef face_datagram_methods[] = {
    {"_receive_datagrams", (PyCFunction)(void (*)(void))receive_datagrams, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};
