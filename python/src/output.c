/* What a transport is to send. See output.h. */
#include "output.h"
#include <stdbool.h>
#include <sys/uio.h>

#define FIRST_ROOM 8
#define FEW_PIECES 8          /* so many small ones may be objects of their own */
#define SMALL_BYTES 4096      /* less than this is copied behind them */
#define PACK_BYTES (16 << 10) /* into pieces of this size */

static PyObject **piece_at(const struct output *output, uint32_t i)
{
    return &output->pieces[(output->first + i) & (output->room - 1)];
}

static int grow_ring(struct output *output)
{
    uint32_t room = output->room ? 2 * output->room : FIRST_ROOM;
    PyObject **pieces = PyMem_New(PyObject *, room);
    if (!pieces) {
        PyErr_NoMemory();
        return -1;
    }
    for (uint32_t i = 0; i < output->count; i++)
        pieces[i] = *piece_at(output, i);
    PyMem_Free(output->pieces);
    output->pieces = pieces;
    output->room = room;
    output->first = 0;
    return 0;
}

/* Takes the reference, also on failure. */
static int push_piece(struct output *output, PyObject *bytes, Py_ssize_t spare)
{
    if (output->count == output->room && grow_ring(output) < 0) {
        Py_DECREF(bytes);
        return -1;
    }
    if (output->spare) { /* nothing is written there any more: the piece ends where its bytes do */
        PyObject *last = *piece_at(output, output->count - 1);
        Py_SET_SIZE(last, Py_SIZE(last) - output->spare);
        PyBytes_AS_STRING(last)[Py_SIZE(last)] = 0;
    }
    *piece_at(output, output->count++) = bytes;
    output->spare = spare;
    output->size += PyBytes_GET_SIZE(bytes) - spare;
    return 0;
}

static bool must_pack(const struct output *output, Py_ssize_t n)
{
    return n <= output->spare || (n < SMALL_BYTES && output->count >= FEW_PIECES);
}

int output_add(struct output *output, PyObject *bytes)
{
    Py_ssize_t n = PyBytes_GET_SIZE(bytes);
    if (must_pack(output, n))
        return output_add_copy(output, PyBytes_AS_STRING(bytes), n);
    return push_piece(output, Py_NewRef(bytes), 0);
}

int output_add_copy(struct output *output, const char *data, Py_ssize_t n)
{
    if (n <= output->spare) {
        PyObject *last = *piece_at(output, output->count - 1);
        memcpy(PyBytes_AS_STRING(last) + PyBytes_GET_SIZE(last) - output->spare, data, (size_t)n);
        output->spare -= n;
        output->size += n;
        return 0;
    }
    Py_ssize_t room = must_pack(output, n) ? PACK_BYTES : n;
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, room);
    if (!bytes)
        return -1;
    memcpy(PyBytes_AS_STRING(bytes), data, (size_t)n);
    return push_piece(output, bytes, room - n);
}

int output_pieces(const struct output *output, struct iovec *pieces, int n_max)
{
    int n = 0;
    for (uint32_t i = 0; i < output->count && n < n_max; i++) {
        PyObject *bytes = *piece_at(output, i);
        Py_ssize_t skip = i ? 0 : output->skip;
        Py_ssize_t spare = i + 1 == output->count ? output->spare : 0;
        pieces[n++] = (struct iovec){.iov_base = PyBytes_AS_STRING(bytes) + skip,
                                     .iov_len = (size_t)(PyBytes_GET_SIZE(bytes) - skip - spare)};
    }
    return n;
}

static void drop_first(struct output *output)
{
    PyObject *bytes = *piece_at(output, 0);
    output->first = (output->first + 1) & (output->room - 1);
    output->skip = 0;
    if (!--output->count)
        output->spare = 0;
    Py_DECREF(bytes);
}

void output_drop(struct output *output, Py_ssize_t n)
{
    output->size -= n;
    if (output->count == 1 && !output->size) { /* mostly */
        drop_first(output);
        return;
    }
    while (output->count) {
        Py_ssize_t spare = output->count == 1 ? output->spare : 0;
        Py_ssize_t rest = PyBytes_GET_SIZE(*piece_at(output, 0)) - output->skip - spare;
        if (n < rest)
            break;
        n -= rest;
        drop_first(output);
    }
    output->skip += n;
}

void output_clear(struct output *output)
{
    output->size = 0;
    while (output->count)
        drop_first(output);
}

void output_destroy(struct output *output)
{
    output_clear(output);
    PyMem_Free(output->pieces);
    output->pieces = NULL;
    output->room = 0;
}

PyObject *output_copy(const struct output *output)
{
    PyObject *copy = PyBytes_FromStringAndSize(NULL, output->size);
    if (!copy)
        return NULL;
    char *to = PyBytes_AS_STRING(copy);
    for (uint32_t i = 0; i < output->count; i++) {
        PyObject *bytes = *piece_at(output, i);
        Py_ssize_t skip = i ? 0 : output->skip;
        Py_ssize_t n = PyBytes_GET_SIZE(bytes) - skip - (i + 1 == output->count ? output->spare : 0);
        memcpy(to, PyBytes_AS_STRING(bytes) + skip, (size_t)n);
        to += n;
    }
    return copy;
}
