/*
 * Bytes that a transport is to send, in pieces. A piece is a bytes object: the program's own, which cannot
 * change, or a copy. Nothing that is queued is ever moved, so a large buffer drains in linear time.
 *
 * Many small writes would cost an object each. So from a few pieces on, small ones are copied into the free
 * end of the last piece.
 */
#ifndef FACE_OUTPUT_H
#define FACE_OUTPUT_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>

struct iovec;

struct output {
    PyObject **pieces; /* a ring of `room`, a power of two */
    uint32_t room, first, count;
    Py_ssize_t skip;  /* bytes of the first piece that are sent */
    Py_ssize_t spare; /* free at the end of the last piece, which is a copy */
    Py_ssize_t size;  /* what is to be sent, in all */
};

/* Queues bytes, which must not be none. 0, or -1 with MemoryError. */
int output_add(struct output *output, PyObject *bytes);
int output_add_copy(struct output *output, const char *data, Py_ssize_t n);
/* Where the first piece begins. Must not be empty. */
static inline const char *output_start(const struct output *output)
{
    return PyBytes_AS_STRING(output->pieces[output->first]) + output->skip;
}
/* Fills in at most n_max of the first pieces, and returns how many there are. */
int output_pieces(const struct output *output, struct iovec *pieces, int n_max);
/* Drops the first n bytes, which have been sent. */
void output_drop(struct output *output, Py_ssize_t n);
/* Drops all. */
void output_clear(struct output *output);
/* Frees what it has, too. */
void output_destroy(struct output *output);
/* A bytes object with all that is queued, or NULL and an exception. */
PyObject *output_copy(const struct output *output);

#endif
