/*
 * Socket transports: the state and the type. See transport.h.
 */
#include "transport.h"
#include "stream.h"
#include <netinet/in.h>
#include <structmember.h>

Py_ssize_t transport_offset;

/* ---- Calls into CPython's part ------------------------------------------------------- */

int transport_call(struct transport *t, PyObject *name, PyObject *arg)
{
    PyObject *result = PyObject_CallMethodObjArgs(self_of(t), name, arg, NULL);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

PyObject *transport_call_base(PyObject *self, const char *name, PyObject *arg)
{
    struct face_state *state = face_state_of(Py_TYPE(self));
    PyObject *method = state ? PyObject_GetAttrString(state->SocketTransport, name) : NULL;
    PyObject *result = method ? PyObject_CallFunctionObjArgs(method, self, arg, NULL) : NULL;
    Py_XDECREF(method);
    return result;
}

int transport_shut_down(struct transport *t)
{
    PyObject *result = PyObject_CallMethod(t->sock, "shutdown", "i", SHUT_WR);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* _fatal_error wants to be called while the exception is handled. */
static int call_fatal_error(struct transport *t, PyObject *error, const char *message)
{
    PyObject *outer = PyErr_GetHandledException();
    PyErr_SetHandledException(error);
    PyObject *result = PyObject_CallMethod(self_of(t), "_fatal_error", "Os", error, message);
    PyErr_SetHandledException(outer);
    Py_XDECREF(outer);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

int transport_fail(struct transport *t, const char *message)
{
    if (face_is_fatal())
        return -1;
    PyObject *error = face_take_exception();
    int err = call_fatal_error(t, error, message);
    Py_DECREF(error);
    return err;
}

int transport_fail_output(struct transport *t)
{
    if (face_is_fatal())
        return -1;
    PyObject *error = face_take_exception();
    output_clear(&t->output);
    int err = call_fatal_error(t, error, "Fatal write error on socket transport");
    if (!err && !is_none(t->empty_waiter)) {
        PyObject *result = PyObject_CallMethod(t->empty_waiter, "set_exception", "O", error);
        err = result ? 0 : -1;
        Py_XDECREF(result);
    }
    Py_DECREF(error);
    return err;
}

/* ---- The end --------------------------------------------------------------------------- */

/* No more input; and connection_lost in a later turn, with an exception or None. */
static int begin_loss(struct transport *t, PyObject *error)
{
    PyObject *method = PyObject_GetAttr(self_of(t), t->face->state->str__call_connection_lost);
    int err = transport_queue_call(t, method, &error, 1);
    Py_XDECREF(method);
    return err;
}

static PyObject *close_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    if (t->is_closing || !t->face)
        Py_RETURN_NONE;
    if (transport_flush(t) < 0)
        return NULL;
    if (t->is_closing)
        Py_RETURN_NONE;
    t->is_closing = true;
    transport_stop_reading(t);
    if (t->output.size)
        Py_RETURN_NONE;
    t->conn_lost++;
    return begin_loss(t, Py_None) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *force_close_method(PyObject *self, PyObject *error)
{
    struct transport *t = transport_of(self);
    if (t->conn_lost || !t->face)
        Py_RETURN_NONE;
    if (transport_flush(t) < 0)
        return NULL;
    if (t->conn_lost)
        Py_RETURN_NONE;
    output_clear(&t->output);
    t->is_closing = true;
    transport_stop_reading(t);
    t->conn_lost++;
    return begin_loss(t, error) < 0 ? NULL : Py_NewRef(Py_None);
}

/* CPython's method tells the protocol and closes the socket, which nothing watches any more. */
static PyObject *call_connection_lost_method(PyObject *self, PyObject *error)
{
    struct transport *t = transport_of(self);
    Py_CLEAR(t->reader);
    Py_CLEAR(t->context);
    if (t->port) {
        asyncio_call_cancel(&t->port->again);
        transport_stop_watch(t);
    }
    t->is_looking = false;
    PyObject *result = transport_call_base(self, "_call_connection_lost", error);
    transport_let_go(t);
    return result;
}

/* Called by __del__, in any thread: nobody uses it any more. */
static PyObject *discard_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    transport_free_port(t, t->sock);
    Py_RETURN_NONE;
}

/* ---- Protocols ----------------------------------------------------------------------------- */

PyObject *transport_set_protocol(PyObject *self, PyObject *protocol)
{
    struct transport *t = transport_of(self);
    struct face_state *state = face_state_of(Py_TYPE(self));
    int is_buffered = state ? PyObject_IsInstance(protocol, state->BufferedProtocol) : -1;
    if (is_buffered < 0)
        return NULL;
    PyObject *reader;
    if (face_stream_adopt(state, protocol, &reader) < 0)
        return NULL;
    Py_XSETREF(t->reader, reader);
    t->is_buffered = is_buffered;
    t->is_connected = true;
    Py_XSETREF(t->protocol, Py_NewRef(protocol));
    Py_RETURN_NONE;
}

static PyObject *get_protocol_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return Py_NewRef(t->protocol ? t->protocol : Py_None);
}

static PyObject *is_closing_method(PyObject *self, PyObject *unused)
{
    (void)unused;
    return PyBool_FromLong(transport_of(self)->is_closing);
}

/* One who gets at the socket may end its output, or send: what was written comes first. */
static PyObject *get_extra_info_method(PyObject *self, PyObject *args)
{
    struct transport *t = transport_of(self);
    PyObject *name, *fallback = Py_None;
    if (!PyArg_ParseTuple(args, "O|O:get_extra_info", &name, &fallback))
        return NULL;
    if (transport_flush(t) < 0)
        return NULL;
    PyObject *value = t->extra ? PyObject_GetItem(t->extra, name) : NULL;
    if (value || (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_KeyError)))
        return value;
    PyErr_Clear();
    return Py_NewRef(fallback);
}

/* ---- Attributes ------------------------------------------------------------------------------ */

static PyObject *get_loop_attribute(PyObject *self, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return Py_NewRef(t->loop ? t->loop : Py_None);
}

static int set_loop_attribute(PyObject *self, PyObject *loop, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    struct face_state *state = face_state_of(Py_TYPE(self));
    bool is_ours = state && loop && PyObject_TypeCheck(loop, state->loop_type);
    if (!is_ours && !is_none(loop)) {
        PyErr_SetString(PyExc_TypeError, "a loop of libasyncio is needed");
        return -1;
    }
    transport_forget(t); /* the loop's reference goes with it */
    t->face = is_ours ? (struct face_loop *)loop : NULL;
    Py_XSETREF(t->loop, Py_XNewRef(loop));
    return 0;
}

static PyObject *get_sock(PyObject *self, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return Py_NewRef(t->sock ? t->sock : Py_None);
}

/* The first fields of a socket object, if `knows_sockets`. */
struct socket_head {
    PyObject_HEAD int fd, family, type, protocol;
};

static int set_sock(PyObject *self, PyObject *sock, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    struct face_state *state = face_state_of(Py_TYPE(self));
    t->fd = &t->sock_fd;
    t->is_short_end = t->is_tcp = false;
    if (sock && state && state->knows_sockets &&
        PyObject_TypeCheck(sock, (PyTypeObject *)state->socket_type)) {
        struct socket_head *head = (struct socket_head *)(void *)sock;
        t->fd = &head->fd;
        t->is_short_end = head->family == AF_INET || head->family == AF_INET6;
        /* Protocol 0 is TCP, too: asyncio leaves Nagle's delay to such a socket, by mistake. */
        t->is_tcp = t->is_short_end && head->type == SOCK_STREAM &&
                    (head->protocol == IPPROTO_TCP || head->protocol == 0);
    }
    Py_XSETREF(t->sock, Py_XNewRef(sock));
    return 0;
}

static PyObject *get_high_water(PyObject *self, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return Py_NewRef(t->high_water ? t->high_water : Py_None);
}

/* Python takes any number. */
static int set_high_water(PyObject *self, PyObject *value, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    PyObject *integer = value ? PyNumber_Long(value) : PyLong_FromLong(0);
    if (!integer)
        return -1;
    t->high = PyNumber_AsSsize_t(integer, NULL);
    Py_DECREF(integer);
    Py_XSETREF(t->high_water, Py_XNewRef(value));
    return 0;
}

static PyObject *get_buffer_attribute(PyObject *self, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return transport_flush(t) < 0 ? NULL : output_copy(&t->output);
}

/* CPython's constructor sets an empty one. */
static int set_buffer_attribute(PyObject *self, PyObject *value, void *unused)
{
    (void)value, (void)unused;
    output_clear(&transport_of(self)->output);
    return 0;
}

/* For repr: does it wait for input, and for room? */
static PyObject *get_polling(PyObject *self, void *unused)
{
    (void)unused;
    struct transport *t = transport_of(self);
    return Py_BuildValue("(NN)", PyBool_FromLong(t->wants_input),
                         PyBool_FromLong(transport_waits_for_room(t)));
}

static PyGetSetDef transport_getset[] = {
    {"_loop", get_loop_attribute, set_loop_attribute, NULL, NULL},
    {"_sock", get_sock, set_sock, NULL, NULL},
    {"_high_water", get_high_water, set_high_water, NULL, NULL},
    {"_buffer", get_buffer_attribute, set_buffer_attribute, NULL, NULL},
    {"_polling", get_polling, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define MEMBER(name, type, field)                                                                            \
    {                                                                                                        \
        name, type, offsetof(struct transport, field), 0, NULL                                               \
    }

/* Offsets within the C part; the type has them moved. */
static const PyMemberDef transport_members[] = {
    MEMBER("_protocol", T_OBJECT, protocol),
    MEMBER("_extra", T_OBJECT_EX, extra),
    MEMBER("_empty_waiter", T_OBJECT, empty_waiter),
    MEMBER("_low_water", T_OBJECT, low_water),
    MEMBER("_server", T_OBJECT, server),
    MEMBER("_read_ready_cb", T_OBJECT, read_ready_cb),
    MEMBER("_conn_lost", T_PYSSIZET, conn_lost),
    MEMBER("_sock_fd", T_INT, sock_fd),
    MEMBER("_closing", T_BOOL, is_closing),
    MEMBER("_eof", T_BOOL, is_eof),
    MEMBER("_paused", T_BOOL, is_paused),
    MEMBER("_protocol_paused", T_BOOL, is_protocol_paused),
    MEMBER("_protocol_connected", T_BOOL, is_connected),
};

#define N_MEMBERS (sizeof(transport_members) / sizeof(transport_members[0]))

/* ---- Life ------------------------------------------------------------------------------------ */

/* The dictionary of an instance, which the class behind ours has. It is almost always empty, since all
 * attributes of CPython's are members. Before 3.12 there is no other way to visit it than to make it with the
 * first attribute that is not. */
#if PY_VERSION_HEX >= 0x030D0000
#define VISIT_DICTIONARY PyObject_VisitManagedDict
#define CLEAR_DICTIONARY PyObject_ClearManagedDict
#define SET_ATTRIBUTE PyObject_GenericSetAttr
#elif PY_VERSION_HEX >= 0x030C0000
#define VISIT_DICTIONARY _PyObject_VisitManagedDict
#define CLEAR_DICTIONARY _PyObject_ClearManagedDict
#define SET_ATTRIBUTE PyObject_GenericSetAttr
#else
static int visit_dictionary(PyObject *self, visitproc visit, void *arg)
{
    PyObject **dictionary = transport_of(self)->has_dictionary ? _PyObject_GetDictPtr(self) : NULL;
    if (dictionary)
        Py_VISIT(*dictionary);
    return 0;
}

static void clear_dictionary(PyObject *self)
{
    PyObject **dictionary = transport_of(self)->has_dictionary ? _PyObject_GetDictPtr(self) : NULL;
    if (dictionary && *dictionary)
        PyDict_Clear(*dictionary);
}

static int set_attribute(PyObject *self, PyObject *name, PyObject *value)
{
    struct transport *t = transport_of(self);
    PyObject *descriptor = t->has_dictionary ? NULL : _PyType_Lookup(Py_TYPE(self), name);
    if (!t->has_dictionary && !(descriptor && Py_TYPE(descriptor)->tp_descr_set)) {
        PyObject *dictionary = PyObject_GenericGetDict(self, NULL);
        if (!dictionary)
            return -1;
        t->has_dictionary = true;
        Py_DECREF(dictionary);
    }
    return PyObject_GenericSetAttr(self, name, value);
}
#define VISIT_DICTIONARY visit_dictionary
#define CLEAR_DICTIONARY clear_dictionary
#define SET_ATTRIBUTE set_attribute
#endif

static PyObject *new_transport(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    (void)args, (void)keywords;
    PyObject *self = type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    struct transport *t = transport_of(self);
    t->fd = &t->sock_fd;
    t->sock_fd = -1;
    if (transport_make_port(t) == 0)
        return self;
    Py_DECREF(self);
    return NULL;
}

/* The slots of CPython's classes are empty, since members of ours stand before them. */
static int visit_transport(PyObject *self, visitproc visit, void *arg)
{
    struct transport *t = transport_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(t->loop);
    Py_VISIT(t->protocol);
    Py_VISIT(t->sock);
    Py_VISIT(t->extra);
    Py_VISIT(t->empty_waiter);
    Py_VISIT(t->server);
    Py_VISIT(t->read_ready_cb);
    Py_VISIT(t->context);
    Py_VISIT(t->reader);
    return VISIT_DICTIONARY(self, visit, arg);
}

static int clear_transport(PyObject *self)
{
    struct transport *t = transport_of(self);
    if (t->port)
        transport_free_port(t, NULL);
    transport_forget(t);
    t->fd = &t->sock_fd;
    t->face = NULL;
    Py_CLEAR(t->loop);
    Py_CLEAR(t->protocol);
    Py_CLEAR(t->sock);
    Py_CLEAR(t->extra);
    Py_CLEAR(t->empty_waiter);
    Py_CLEAR(t->server);
    Py_CLEAR(t->read_ready_cb);
    Py_CLEAR(t->context);
    Py_CLEAR(t->reader);
    Py_CLEAR(t->high_water);
    Py_CLEAR(t->low_water);
    CLEAR_DICTIONARY(self);
    return 0;
}

static void free_transport(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    PyObject_ClearWeakRefs(self);
    clear_transport(self);
    output_destroy(&transport_of(self)->output);
    type->tp_free(self);
    Py_DECREF(type);
}

/* ---- The type ---------------------------------------------------------------------------------- */

static PyMethodDef transport_methods[] = {
    {"close", close_method, METH_NOARGS, NULL},
    {"_force_close", force_close_method, METH_O, NULL},
    {"_call_connection_lost", call_connection_lost_method, METH_O, NULL},
    {"_discard", discard_method, METH_NOARGS, NULL},
    {"set_protocol", transport_set_protocol, METH_O, NULL},
    {"get_protocol", get_protocol_method, METH_NOARGS, NULL},
    {"is_closing", is_closing_method, METH_NOARGS, NULL},
    {"get_extra_info", get_extra_info_method, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

/* Are the first fields of a socket object where we take them to be? */
static void look_at_sockets(struct face_state *state)
{
    PyObject *sock = PyObject_CallFunction(state->socket_type, "ii", AF_INET, SOCK_DGRAM);
    PyObject *number = sock ? PyObject_CallMethodNoArgs(sock, state->str_fileno) : NULL;
    const struct socket_head *head = (struct socket_head *)(void *)sock;
    state->knows_sockets = number && Py_TYPE(sock)->tp_basicsize >= (Py_ssize_t)sizeof(*head) &&
                           head->fd == PyLong_AsLong(number) && head->family == AF_INET &&
                           head->type == SOCK_DGRAM && head->protocol == 0;
    PyErr_Clear(); /* no descriptor to be had: without */
    Py_XDECREF(sock ? PyObject_CallMethod(sock, "close", NULL) : NULL);
    Py_XDECREF(number);
    Py_XDECREF(sock);
}

static int add_methods(PyTypeObject *type, PyMethodDef *methods)
{
    for (; methods->ml_name; methods++) {
        PyObject *method = PyDescr_NewMethod(type, methods);
        int err = method ? PyDict_SetItemString(type->tp_dict, methods->ml_name, method) : -1;
        Py_XDECREF(method);
        if (err < 0)
            return -1;
    }
    PyType_Modified(type);
    return 0;
}

static PyTypeObject *make_type(PyObject *module, struct face_state *state)
{
    static PyMemberDef members[N_MEMBERS + 1];
    PyTypeObject *base = (PyTypeObject *)state->SocketTransport;
    transport_offset = (base->tp_basicsize + 15) & ~(Py_ssize_t)15;
    for (size_t i = 0; i < N_MEMBERS; i++) {
        members[i] = transport_members[i];
        members[i].offset += transport_offset;
    }
    PyType_Slot slots[] = {
        {Py_tp_new, new_transport},      {Py_tp_init, transport_init},
        {Py_tp_dealloc, free_transport}, {Py_tp_traverse, visit_transport},
        {Py_tp_clear, clear_transport},  {Py_tp_methods, transport_methods},
        {Py_tp_members, members},        {Py_tp_getset, transport_getset},
        {Py_tp_setattro, SET_ATTRIBUTE}, {0, NULL},
    };
    PyType_Spec spec = {
        .name = "libasyncio._core.TransportCore",
        .basicsize = (int)(transport_offset + (Py_ssize_t)sizeof(struct transport)),
        .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
        .slots = slots,
    };
    PyObject *bases = PyTuple_Pack(1, base);
    PyTypeObject *type = bases ? (PyTypeObject *)PyType_FromModuleAndSpec(module, &spec, bases) : NULL;
    Py_XDECREF(bases);
    return type;
}

int face_transport_add_type(PyObject *module, struct face_state *state)
{
    look_at_sockets(state);
    PyTypeObject *type = state->transport_type = make_type(module, state);
    if (!type || add_methods(type, transport_read_methods) < 0 ||
        add_methods(type, transport_write_methods) < 0)
        return -1;
    return PyModule_AddType(module, type);
}
