/*
 * Readers and writers: add_reader and its like, each descriptor with one level watch for both. An event
 * queues the handle, which is called in its turn, as Python's loop does it.
 */
#include "face.h"
#include <errno.h>
#include <poll.h>

/* ---- The table ------------------------------------------------------------------- */

static struct face_fd *find_fd(struct face_loop *face, int fd)
{
    return fd >= 0 && fd < face->n_fds ? face->fds[fd] : NULL;
}

static void tell_fd(asyncio_watch *watch, uint32_t events);

/* Has room for one descriptor more. */
static int grow_fds(struct face_loop *face, int fd)
{
    int n = face->n_fds ? face->n_fds : 64;
    while (n <= fd)
        n = n < INT_MAX / 2 ? 2 * n : INT_MAX;
    struct face_fd **fds = PyMem_Resize(face->fds, struct face_fd *, (size_t)n);
    if (!fds)
        return -1;
    memset(fds + face->n_fds, 0, (size_t)(n - face->n_fds) * sizeof(*fds));
    face->fds = fds;
    face->n_fds = n;
    return 0;
}

static struct face_fd *make_fd(struct face_loop *face, int fd)
{
    struct face_fd *it = find_fd(face, fd);
    if (it)
        return it;
    it = fd < face->n_fds || grow_fds(face, fd) == 0 ? PyMem_Calloc(1, sizeof(*it)) : NULL;
    if (!it) {
        PyErr_NoMemory();
        return NULL;
    }
    it->face = face;
    it->fd = fd;
    asyncio_watch_init(&it->watch, tell_fd);
    face->fds[fd] = it;
    return it;
}

static void free_fd(struct face_fd *it)
{
    struct face_loop *face = it->face;
    asyncio_watch_stop(&it->watch);
    face->fds[it->fd] = NULL;
    PyMem_Free(it);
}

static uint32_t wanted_events(const struct face_fd *it)
{
    return (it->reader ? POLLIN : 0u) | (it->writer ? POLLOUT : 0u);
}

/* Has the watch ask for what there are handles for. 0, or an error. */
static int update_watch(struct face_fd *it)
{
    int err = asyncio_watch_modify(&it->watch, wanted_events(it));
    if (err == ASYNCIO_ESTATE)
        err = asyncio_watch_start(it->face->loop, &it->watch, it->fd, wanted_events(it), ASYNCIO_WATCH_LEVEL);
    return err;
}

/* A failure or a hang-up is for both; each finds out by its call. */
static void tell_fd(asyncio_watch *watch, uint32_t events)
{
    struct face_fd *it = CONTAINER_OF(watch, struct face_fd, watch);
    struct face_handle *reader = events & ~(uint32_t)POLLOUT ? it->reader : NULL;
    struct face_handle *writer = events & ~(uint32_t)POLLIN ? it->writer : NULL;
    if ((reader && face_handle_queue(reader) < 0) || (writer && face_handle_queue(writer) < 0))
        PyErr_Clear(); /* queued already, or the loop is no more */
}

void face_fds_clear(struct face_loop *face)
{
    for (int fd = 0; fd < face->n_fds; fd++) {
        struct face_fd *it = face->fds[fd];
        if (!it)
            continue;
        struct face_handle *reader = it->reader, *writer = it->writer;
        free_fd(it);
        if (reader)
            face_handle_drop(reader);
        if (writer)
            face_handle_drop(writer);
    }
    struct face_fd **fds = face->fds;
    face->fds = NULL;
    face->n_fds = 0;
    PyMem_Free(fds);
}

/* ---- Handles of a descriptor ----------------------------------------------------- */

static PyObject *add_handle(struct face_loop *face, int fd, bool is_writer, const struct face_target *target)
{
    struct face_handle *handle = face_handle_new(face, target);
    struct face_fd *it = handle ? make_fd(face, fd) : NULL;
    if (!it) {
        Py_XDECREF(handle);
        return NULL;
    }
    struct face_handle **place = is_writer ? &it->writer : &it->reader, *old = *place;
    handle->is_lasting = true;
    *place = handle;
    int err = update_watch(it);
    if (err) {
        *place = old;
        if (!wanted_events(it))
            free_fd(it);
        Py_DECREF(handle);
        return face_raise(err);
    }
    face_handle_own(handle);
    if (old) {
        face_handle_cancel(old);
        face_handle_disown(old);
    }
    return (PyObject *)handle;
}

/* Takes a reader or a writer away. 1 if there was one. */
static int remove_handle(struct face_loop *face, int fd, bool is_writer)
{
    struct face_fd *it = find_fd(face, fd);
    struct face_handle **place = !it ? NULL : is_writer ? &it->writer : &it->reader;
    struct face_handle *old = place ? *place : NULL;
    if (!old)
        return 0;
    *place = NULL;
    if (!wanted_events(it))
        free_fd(it);
    else
        update_watch(it); /* to ask for less, for which nothing is needed; a closed one needs no watch */
    face_handle_cancel(old);
    face_handle_disown(old);
    return 1;
}

/* ---- What Python sees ------------------------------------------------------------ */

/* A number, or an object with fileno(), as in selectors. -1 and an exception. */
static int fd_of(struct face_state *state, PyObject *object)
{
    long fd = -1;
    if (PyLong_Check(object)) {
        fd = PyLong_AsLong(object);
    } else {
        PyObject *number = PyObject_CallMethodNoArgs(object, state->str_fileno);
        PyObject *integer = number ? PyNumber_Long(number) : NULL;
        fd = integer ? PyLong_AsLong(integer) : -1;
        Py_XDECREF(number);
        Py_XDECREF(integer);
        if (fd == -1 && PyErr_Occurred()) {
            PyErr_Format(PyExc_ValueError, "Invalid file object: %R", object);
            return -1;
        }
    }
    if (fd >= 0 && fd < INT_MAX)
        return (int)fd;
    if (!PyErr_Occurred())
        PyErr_Format(PyExc_ValueError, "Invalid file descriptor: %ld", fd);
    return -1;
}

static PyObject *refuse_thread(void)
{
    PyErr_SetString(PyExc_RuntimeError,
                    "Non-thread-safe operation invoked on an event loop other than the current one");
    return NULL;
}

static PyObject *add_watcher(PyObject *self, PyObject *const *args, Py_ssize_t n, bool is_writer)
{
    struct face_loop *face = (struct face_loop *)self;
    if (n < 2) {
        PyErr_SetString(PyExc_TypeError, "a descriptor and a callback are needed");
        return NULL;
    }
    int fd = face_loop_check_open(face) < 0 ? -1 : fd_of(face->state, args[0]);
    if (fd < 0)
        return NULL;
    if (!face_loop_is_mine(face))
        return refuse_thread();
    return add_handle(face, fd, is_writer, &(struct face_target){args[1], args + 2, n - 2, NULL});
}

static PyObject *remove_watcher(PyObject *self, PyObject *object, bool is_writer)
{
    struct face_loop *face = (struct face_loop *)self;
    if (face->is_closed)
        Py_RETURN_FALSE;
    int fd = fd_of(face->state, object);
    if (fd < 0)
        return NULL;
    if (!face_loop_is_mine(face))
        return refuse_thread();
    return PyBool_FromLong(remove_handle(face, fd, is_writer));
}

static PyObject *add_reader(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    return add_watcher(self, args, n, /* is_writer= */ false);
}

static PyObject *add_writer(PyObject *self, PyObject *const *args, Py_ssize_t n)
{
    return add_watcher(self, args, n, /* is_writer= */ true);
}

static PyObject *remove_reader(PyObject *self, PyObject *object)
{
    return remove_watcher(self, object, /* is_writer= */ false);
}

static PyObject *remove_writer(PyObject *self, PyObject *object)
{
    return remove_watcher(self, object, /* is_writer= */ true);
}

/* Readers and writers, for who asks what the loop watches: a list of (fd, reader or None, writer or None). */
static PyObject *list_watched(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    PyObject *list = PyList_New(0);
    for (int fd = 0; list && fd < face->n_fds; fd++) {
        struct face_fd *it = face->fds[fd];
        PyObject *entry = it ? Py_BuildValue("(iOO)", fd, it->reader ? (PyObject *)it->reader : Py_None,
                                             it->writer ? (PyObject *)it->writer : Py_None)
                             : NULL;
        if (it && (!entry || PyList_Append(list, entry) < 0))
            Py_CLEAR(list);
        Py_XDECREF(entry);
    }
    return list;
}

#define FAST(function) (PyCFunction)(void (*)(void)) function, METH_FASTCALL

PyMethodDef face_watch_methods[] = {
    {"_add_reader", FAST(add_reader), NULL},
    {"_add_writer", FAST(add_writer), NULL},
    {"_remove_reader", remove_reader, METH_O, NULL},
    {"_remove_writer", remove_writer, METH_O, NULL},
    {"_list_watched", list_watched, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};
