/*
 * Reading of a pipe: into the loop's buffer first, since os.read makes 256 KiB for whatever there is.
 */
#include "face.h"
#include <errno.h>

/* _read_some(fd): bytes; none at the end; None: nothing is there yet. */
static PyObject *read_some(PyObject *self, PyObject *number)
{
    char *buffer = face_receive_buffer((struct face_loop *)self);
    int fd = (int)PyLong_AsLong(number);
    if (!buffer || (fd == -1 && PyErr_Occurred()))
        return NULL;
    ssize_t n = read(fd, buffer, FACE_RECEIVE_BYTES);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        Py_RETURN_NONE;
    if (n < 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    return PyBytes_FromStringAndSize(buffer, n);
}

PyMethodDef face_pipe_methods[] = {
    {"_read_some", read_some, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
