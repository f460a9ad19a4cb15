/*
 * Streams: asyncio's StreamReader, StreamReaderProtocol and StreamWriter with hot methods in C.
 *
 * A program goes on making asyncio's own objects. When a transport of ours gets a protocol that is exactly
 * asyncio's StreamReaderProtocol, the objects change their class to one derived from theirs, with methods in
 * C and no field more (stream.c). All state stays where asyncio has it, in the attributes; so each method of
 * asyncio's that is not replaced goes on working, and so does a program that looks inside. Objects of derived
 * classes stay as they are.
 *
 * What asyncio writes as a coroutine is an operation (stream_operation.c): an awaitable with the methods of a
 * coroutine, which runs without a frame.
 */
#ifndef FACE_STREAM_H
#define FACE_STREAM_H

#include "face.h"

/* In all of these: 0, or -1 with an exception. */

/* ---- stream.c ---------------------------------------------------------------------- */

/* If a protocol is asyncio's own StreamReaderProtocol, with a reader that is its own, too: gives them the
 * classes in C, and sets *reader to a weak reference to the reader, for face_stream_feed; else to NULL. */
int face_stream_adopt(struct face_state *state, PyObject *protocol, PyObject **reader);
/* The protocol's data_received, for a reader that may be gone. */
int face_stream_feed(struct face_state *state, PyObject *reader, const char *data, Py_ssize_t n);

/* ---- stream_operation.c ------------------------------------------------------------ */

enum operation_phase {
    OPERATION_NEW,
    OPERATION_RUNNING,
    OPERATION_WAITING,    /* for `future`, which the reader has as its _waiter */
    OPERATION_YIELDED,    /* for the loop's next turn */
    OPERATION_DELEGATING, /* `inner` goes on */
    OPERATION_DONE,
};

/* What a step of an operation comes to. */
enum step {
    STEP_FAILED = -1, /* with an exception */
    STEP_DONE,        /* the result is set */
    STEP_WAIT,        /* for data; then it is called again */
    STEP_YIELD,       /* for one turn; then it is called again */
    STEP_DELEGATE,    /* to `inner`, a coroutine, whose result is the operation's */
};

struct operation;

struct operation_kind {
    const char *class, *name;
    const char *waits_as; /* the method that asyncio names in what it says of two readers */
    enum step (*step)(struct operation *operation, PyObject **result);
};

struct operation {
    PyObject_HEAD const struct operation_kind *kind;
    struct face_state *state;
    enum operation_phase phase;
    bool is_later;          /* not the first step */
    PyObject *self;         /* the reader, the writer or the protocol */
    PyObject *future;       /* while WAITING */
    PyObject *inner;        /* while DELEGATING */
    PyObject *separator;    /* bytes */
    PyObject *blocks;       /* a list: what read(-1) has so far */
    Py_ssize_t n, searched; /* bytes wanted; bytes without a separator */
};

/* Makes one, which begins when it is awaited. */
struct operation *face_operation_new(struct face_state *state, const struct operation_kind *kind,
                                     PyObject *self);
int face_operation_add_type(PyObject *module, struct face_state *state);

/* ---- stream_read.c, stream_write.c --------------------------------------------------- */

extern PyMethodDef face_reader_methods[], face_writer_methods[];
/* A method of the protocol. */
PyObject *face_drain_helper(PyObject *self, PyObject *unused);

/* ---- Attributes of a reader, a writer or a protocol -------------------------------------- */

/* An attribute, which is almost always in the object's dictionary. A new reference; NULL: an exception. */
static inline PyObject *stream_get(PyObject *object, PyObject *name)
{
    PyObject **dictionary = _PyObject_GetDictPtr(object);
    PyObject *value = LIKELY(dictionary && *dictionary) ? PyDict_GetItemWithError(*dictionary, name) : NULL;
    if (LIKELY(value != NULL))
        return Py_NewRef(value);
    return PyErr_Occurred() ? NULL : PyObject_GetAttr(object, name);
}

static inline int stream_set(PyObject *object, PyObject *name, PyObject *value)
{
    PyObject **dictionary = _PyObject_GetDictPtr(object);
    return LIKELY(dictionary && *dictionary) ? PyDict_SetItem(*dictionary, name, value)
                                             : PyObject_SetAttr(object, name, value);
}

/* Is it true? -1: an exception. */
static inline int stream_flag(PyObject *object, PyObject *name)
{
    PyObject *value = stream_get(object, name);
    int is_true = !value ? -1 : value == Py_False ? 0 : value == Py_True ? 1 : PyObject_IsTrue(value);
    Py_XDECREF(value);
    return is_true;
}

#endif
