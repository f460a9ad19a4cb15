/*
 * Socket transports: what transport*.c and stream*.c share.
 *
 * The class is CPython's _SelectorSocketTransport with a C part behind it: attributes that both use are
 * members of the C part under CPython's names, so that whatever is not hot stays CPython's method.
 *
 *     libasyncio.transports.SocketTransport -> _core.TransportCore -> asyncio's _SelectorSocketTransport
 *
 * One edge watch tells both input and room for output, from the moment at which connection_made was called to
 * connection_lost. `is_readable` remembers that there may be input; a read that stops short ends it. What is
 * written in a callback of the loop is sent when the callback returns, all at once (transport_write.c).
 *
 * The loop has a reference to a transport (`is_held`) while it reads, or has something to send. One that
 * nobody holds, paused and forgotten, can be collected, by any thread. So the watch is in a block of its own
 * (struct port), which outlives it until the loop's thread has stopped it.
 */
#ifndef FACE_TRANSPORT_H
#define FACE_TRANSPORT_H

#include "face.h"
#include "output.h"
#include <sys/socket.h>

struct transport;

/* What the library knows of a transport. */
struct port {
    asyncio_watch watch;
    asyncio_call again;      /* looks once more, in the next turn */
    struct transport *owner; /* NULL: collected */
};

struct transport {
    struct port *port;
    struct face_loop *face; /* of `loop`; NULL: none, or the connection is lost */
    int *fd;                /* in the socket object, where it shows that a program closes it */
    PyObject *reader;       /* a stream's: a weak reference to its StreamReader; or NULL */
    PyObject *context;      /* in which the protocol is called; NULL until it reads */
    struct output output;
    bool is_buffered; /* the protocol is a BufferedProtocol */
    bool wants_input;
    bool is_readable; /* there may be input, */
    bool is_hung_up;  /* and its end, or an error */
    bool is_tcp;
    bool is_short_end; /* of a read: nothing is left in the socket */
    bool has_room;     /* an event came that was put off */
    bool is_unsent;    /* the output is to be sent when the callback returns; else it waits for room */
    bool is_listed;    /* in the loop's list of such */
    bool is_looking;   /* `again` is queued */
    bool is_held;      /* the loop has a reference */
    bool is_watched;
    bool has_dictionary; /* before 3.12: that the collector can visit */
    struct transport *next_unsent;
    struct face_link link; /* among the held */

    /* CPython's attributes. */
    PyObject *loop, *protocol, *sock, *extra, *empty_waiter, *high_water, *low_water, *server;
    PyObject *read_ready_cb;
    Py_ssize_t high, conn_lost;
    int sock_fd;
    char is_closing, is_eof, is_paused, is_protocol_paused, is_connected;
};

/* Where the C part begins. A constant: CPython's class has the same size in every interpreter. */
extern Py_ssize_t transport_offset;

static inline struct transport *transport_of(PyObject *self)
{
    return (struct transport *)(void *)((char *)self + transport_offset);
}
static inline PyObject *self_of(struct transport *t)
{
    return (PyObject *)(void *)((char *)t - transport_offset);
}
static inline bool is_none(const PyObject *object)
{
    return !object || object == Py_None;
}

/* In all of these: 0, or -1 with an exception. */

/* ---- transport_watch.c: what the loop has to do with it ---------------------------- */

/* The loop has a reference to it as long as it has something to do for it. The second may free it. */
void transport_hold(struct transport *t);
void transport_let_go(struct transport *t);
/* Has nothing to do for it any more; what is to be sent is dropped. */
void transport_forget(struct transport *t);
/* Has the loop tell what happens at the socket, from now on. */
int transport_start_watch(struct transport *t);
/* Ends that, so that the socket may be closed. */
void transport_stop_watch(struct transport *t);
/* Looks at the transport in the loop's next turn. */
void transport_look_again(struct transport *t);
/* Makes the port; frees it, from any thread, and closes the socket, which may be NULL, after the watch has
 * stopped. */
int transport_make_port(struct transport *t);
void transport_free_port(struct transport *t, PyObject *sock);
/* Tells the current exception, which a callback of the loop has left by. */
void transport_report(struct face_loop *face, PyObject *self, const char *method);

/* ---- transport.c: the state, and the type --------------------------------------- */

/* Calls a method of it by name, with an argument or, for NULL, without. */
int transport_call(struct transport *t, PyObject *name, PyObject *arg);
/* Calls CPython's method of that name on it. */
PyObject *transport_call_base(PyObject *self, const char *name, PyObject *arg);
/* Ends the connection for the current exception, by _fatal_error; one that ends the run stays raised. */
int transport_fail(struct transport *t, const char *message);
/* The same for output that could not be sent later. */
int transport_fail_output(struct transport *t);
/* The method `set_protocol`. */
PyObject *transport_set_protocol(PyObject *self, PyObject *protocol);
/* Ends the output: the socket's shutdown. */
int transport_shut_down(struct transport *t);

/* ---- transport_init.c -------------------------------------------------------------- */

int transport_init(PyObject *self, PyObject *args, PyObject *keywords);
/* call_soon; a callback of NULL hands an exception on. */
int transport_queue_call(struct transport *t, PyObject *callback, PyObject *const *args, Py_ssize_t n_args);

/* ---- transport_read.c -------------------------------------------------------------- */

/* Reads once, if it is wanted. */
int transport_read(struct transport *t);
int transport_start_reading(struct transport *t);
void transport_stop_reading(struct transport *t);

extern PyMethodDef transport_read_methods[];

/* ---- transport_write.c ------------------------------------------------------------- */

/* Sends what was put off. */
int transport_flush(struct transport *t);
/* Sends more: there is room again. */
int transport_send_more(struct transport *t);
static inline bool transport_waits_for_room(const struct transport *t)
{
    return t->output.size && !t->is_unsent;
}
/* The method `write`. */
PyObject *transport_write(PyObject *self, PyObject *data);

extern PyMethodDef transport_write_methods[];

#endif
