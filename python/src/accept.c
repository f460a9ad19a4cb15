/*
 * Taking a client of a listening socket: one call of the kernel, and no exception where nobody waits, which
 * is how each round of a server ends.
 */
#include "address.h"
#include <errno.h>

/* As Python's socket module tells it. */
PyObject *face_describe_address(const union address *address, socklen_t size)
{
    char text[INET6_ADDRSTRLEN] = "";
    switch (address->any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &address->v4.sin_addr, text, sizeof(text));
        return Py_BuildValue("(si)", text, ntohs(address->v4.sin_port));
    case AF_INET6:
        inet_ntop(AF_INET6, &address->v6.sin6_addr, text, sizeof(text));
        return Py_BuildValue("(siII)", text, ntohs(address->v6.sin6_port), ntohl(address->v6.sin6_flowinfo),
                             address->v6.sin6_scope_id);
    case AF_UNSPEC:
        Py_RETURN_NONE; /* of a peer that has none */
    default: {          /* AF_UNIX: a path, nothing, or a name of its own, which begins with a null */
        const char *path = address->path.sun_path;
        size_t n =
            size > offsetof(struct sockaddr_un, sun_path) ? size - offsetof(struct sockaddr_un, sun_path) : 0;
        if (n && !path[0])
            return PyBytes_FromStringAndSize(path, (Py_ssize_t)n);
        return PyUnicode_DecodeFSDefaultAndSize(path, (Py_ssize_t)strnlen(path, n));
    }
    }
}

/* accept(fd): (descriptor, address) of a client, which does not block; None: nobody waits. */
PyObject *face_accept(PyObject *module, PyObject *number)
{
    (void)module;
    union address address = {.any.sa_family = AF_UNSPEC};
    socklen_t size = sizeof(address);
    int fd = (int)PyLong_AsLong(number);
    if (fd == -1 && PyErr_Occurred())
        return NULL;
    int client = accept4(fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
        Py_RETURN_NONE;
    if (client < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    PyObject *described = face_describe_address(&address, size);
    PyObject *result = described ? Py_BuildValue("(iN)", client, described) : NULL;
    if (!result)
        close(client);
    return result;
}
