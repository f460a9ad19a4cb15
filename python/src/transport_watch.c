/*
 * Socket transports: what the loop has to do with one. Its events, its reference, and how it is taken apart
 * when it is collected, which any thread may do.
 */
#include "transport.h"
#include <poll.h>

/* ---- The loop's reference ---------------------------------------------------------- */

void transport_hold(struct transport *t)
{
    struct face_link *head = &t->face->transports, *link = &t->link;
    if (t->is_held)
        return;
    t->is_held = true;
    Py_INCREF(self_of(t));
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

static void drop_reference(struct transport *t)
{
    t->is_held = false;
    t->link.next->prev = t->link.prev;
    t->link.prev->next = t->link.next;
    Py_DECREF(self_of(t));
}

void transport_let_go(struct transport *t)
{
    if (t->is_held && !t->wants_input && !t->output.size && !t->is_listed && !t->is_looking)
        drop_reference(t);
}

void transport_forget(struct transport *t)
{
    t->wants_input = t->is_looking = t->is_unsent = false;
    output_clear(&t->output);
    transport_let_go(t);
}

int face_transports_visit(struct face_loop *face, visitproc visit, void *arg)
{
    for (struct face_link *link = face->transports.next; link != &face->transports; link = link->next)
        Py_VISIT(self_of(CONTAINER_OF(link, struct transport, link)));
    return 0;
}

void face_transports_drop(struct face_loop *face)
{
    while (face->transports.next != &face->transports) {
        struct transport *t = CONTAINER_OF(face->transports.next, struct transport, link);
        t->wants_input = t->is_looking = t->is_listed = t->is_unsent = false;
        if (t->port) {
            asyncio_call_cancel(&t->port->again);
            transport_stop_watch(t);
        }
        drop_reference(t);
    }
    face->unsent = NULL;
    face->unsent_end = &face->unsent;
}

/* ---- Events -------------------------------------------------------------------------- */

void transport_report(struct face_loop *face, PyObject *self, const char *method)
{
    PyObject *type, *error, *traceback;
    if (face_is_fatal()) {
        face_loop_fail(face);
        return;
    }
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(self), "__name__");
    PyObject *message = name ? PyUnicode_FromFormat("Exception in callback %U.%s()", name, method) : NULL;
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
    face_loop_report(face, message, face->state->str_transport, self);
    Py_XDECREF(name);
    Py_XDECREF(message);
}

static void call_methods(struct transport *t, bool reads, bool writes)
{
    struct face_loop *face = t->face;
    /* A reader that is fed calls nobody, and needs no context. */
    PyObject *self = self_of(t), *context = t->reader && !writes ? NULL : Py_XNewRef(t->context);
    if (context && UNLIKELY(PyContext_Enter(context) < 0)) {
        transport_report(face, self, "_read_ready");
        Py_CLEAR(context);
    }
    if (reads && transport_read(t) < 0)
        transport_report(face, self, "_read_ready");
    if (writes && t->face && transport_send_more(t) < 0)
        transport_report(face, self, "_write_ready");
    if (context && PyContext_Exit(context) < 0)
        PyErr_Clear();
    Py_XDECREF(context);
    if (face->unsent)
        face_transports_flush(face);
}

/* In debug mode: by handles, so that slow ones are told. */
static void queue_method(struct transport *t, const char *name)
{
    PyObject *self = self_of(t);
    PyObject *method = PyObject_GetAttrString(self, name);
    struct face_target target = {.callback = method, .context = t->context};
    struct face_handle *handle = method ? face_handle_new(t->face, &target) : NULL;
    if (!handle || face_handle_queue(handle) < 0)
        transport_report(t->face, self, name);
    Py_XDECREF(handle);
    Py_XDECREF(method);
}

/* Does what the events allow that came so far. */
static void act_on_events(struct transport *t)
{
    struct face_loop *face = t->face;
    bool reads = t->is_readable && t->wants_input, writes = t->has_room && transport_waits_for_room(t);
    if (!face || !(reads || writes))
        return;
    if (UNLIKELY(!face_loop_may_call(face))) {
        transport_look_again(t);
        return;
    }
    t->has_room = false;
    if (UNLIKELY(face->is_debug)) {
        if (reads)
            queue_method(t, "_read_ready");
        if (writes)
            queue_method(t, "_write_ready");
        return;
    }
    PyObject *self = Py_NewRef(self_of(t));
    Py_INCREF(face);
    call_methods(t, reads, writes);
    face_loop_called(face);
    Py_DECREF(self);
    Py_DECREF(face);
}

static void tell_transport(asyncio_watch *watch, uint32_t events)
{
    struct transport *t = CONTAINER_OF(watch, struct port, watch)->owner;
    if (!t || events & POLLNVAL)
        return;
    if (events & (POLLERR | POLLHUP | POLLRDHUP))
        t->is_hung_up = true;
    if (events & POLLPRI) /* a read stops short at urgent data, too */
        t->is_short_end = false;
    if (events & ~(uint32_t)POLLOUT)
        t->is_readable = true;
    if (events & (POLLOUT | POLLERR | POLLHUP))
        t->has_room = true;
    act_on_events(t);
}

static void run_again(asyncio_call *call)
{
    struct transport *t = CONTAINER_OF(call, struct port, again)->owner;
    if (!t)
        return;
    PyObject *self = Py_NewRef(self_of(t));
    t->is_looking = false;
    act_on_events(t);
    transport_let_go(t);
    Py_DECREF(self);
}

void transport_look_again(struct transport *t)
{
    if (t->is_looking || !t->port || !t->face->loop)
        return;
    t->is_looking = true;
    transport_hold(t);
    if (!face_loop_is_mine(t->face))
        asyncio_loop_post(t->face->loop, &t->port->again);
    else if (!asyncio_loop_call(t->face->loop, &t->port->again))
        t->is_looking = false;
}

/* ---- The watch ------------------------------------------------------------------------- */

int transport_start_watch(struct transport *t)
{
    /* In another thread: _add_reader, which the loop is about to call, will. */
    if (t->is_watched || !face_loop_is_mine(t->face))
        return 0;
    if (face_loop_check_open(t->face) < 0)
        return -1;
    int err = asyncio_watch_start(t->face->loop, &t->port->watch, *t->fd,
                                  POLLIN | POLLPRI | POLLOUT | POLLRDHUP, ASYNCIO_WATCH_EDGE);
    if (err) {
        face_raise(err);
        return -1;
    }
    t->is_watched = true;
    return 0;
}

void transport_stop_watch(struct transport *t)
{
    t->is_watched = false;
    asyncio_watch_stop(&t->port->watch);
}

/* ---- The port ------------------------------------------------------------------------------ */

int transport_make_port(struct transport *t)
{
    t->port = PyMem_Calloc(1, sizeof(*t->port));
    if (!t->port) {
        PyErr_NoMemory();
        return -1;
    }
    t->port->owner = t;
    asyncio_watch_init(&t->port->watch, tell_transport);
    asyncio_call_init(&t->port->again, run_again);
    return 0;
}

static void close_socket(PyObject *sock)
{
    PyObject *result = sock ? PyObject_CallMethod(sock, "close", NULL) : NULL;
    if (sock && !result)
        PyErr_WriteUnraisable(sock);
    Py_XDECREF(result);
}

static void stop_port(struct port *port)
{
    asyncio_watch_stop(&port->watch);
    asyncio_call_cancel(&port->again);
    PyMem_Free(port);
}

#define PORT "libasyncio port"

/* In the loop's thread: the capsule has the port; the socket may be None. */
static PyObject *stop_port_later(PyObject *capsule, PyObject *sock)
{
    stop_port(PyCapsule_GetPointer(capsule, PORT));
    close_socket(is_none(sock) ? NULL : sock);
    Py_RETURN_NONE;
}

static PyMethodDef stop_port_method = {"stop_port", stop_port_later, METH_O, NULL};

/* The collector runs in another thread than the loop: the loop's stops the watch. */
static int post_stop(struct face_loop *face, struct port *port, PyObject *sock)
{
    PyObject *capsule = PyCapsule_New(port, PORT, NULL);
    PyObject *method = capsule ? PyCFunction_New(&stop_port_method, capsule) : NULL;
    PyObject *args[] = {sock ? sock : Py_None};
    struct face_target target = {.callback = method, .args = args, .n_args = 1};
    struct face_handle *handle = method ? face_handle_new(face, &target) : NULL;
    int err = handle ? face_handle_post(handle) : -1;
    Py_XDECREF(handle);
    Py_XDECREF(method);
    Py_XDECREF(capsule);
    return err;
}

void transport_free_port(struct transport *t, PyObject *sock)
{
    struct port *port = t->port;
    struct face_loop *face = t->face;
    t->port = NULL;
    t->is_watched = false;
    if (port && (port->watch.loop_ || port->again.loop_) && face && !face_loop_is_mine(face)) {
        port->owner = NULL;
        if (post_stop(face, port, sock) == 0)
            return;
        PyErr_Clear(); /* no memory: leaving it is safe, and closing the socket is not */
        return;
    }
    if (port)
        stop_port(port);
    close_socket(sock);
}
