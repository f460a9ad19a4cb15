/*
 * The Python face: Python's event loop on the library's. What the extension's sources share.
 *
 * A loop of Python's (struct face_loop) has one of the library's, and everything here runs in that one's
 * thread with the interpreter's lock held, which is let go of around a wait that may block, and nowhere else.
 * Python's callables run on the loop's own stack, out of handles: a handle is what the library queues, and
 * what Python's program holds (handle.c).
 *
 * An exception of a callable is told to the loop's call_exception_handler. KeyboardInterrupt and SystemExit
 * end the run instead: face_loop_fail keeps them until _run_once returns.
 *
 * Only public headers of the library are included. All state is the module's or the loop's, so that each
 * interpreter has its own.
 */
#ifndef FACE_H
#define FACE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <asyncio.h>
#include <setjmp.h>

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- The module ------------------------------------------------------------------ */

/* Names that are looked up often, interned. */
#define FACE_NAMES(X)                                                                                        \
    X(__class__)                                                                                             \
    X(_asyncio_future_blocking)                                                                              \
    X(_attach)                                                                                               \
    X(_buffer)                                                                                               \
    X(_call_connection_lost)                                                                                 \
    X(_check_callback)                                                                                       \
    X(_check_thread)                                                                                         \
    X(_closing)                                                                                              \
    X(_connection_lost)                                                                                      \
    X(_drain_helper)                                                                                         \
    X(_eof)                                                                                                  \
    X(_exception)                                                                                            \
    X(_limit)                                                                                                \
    X(_loop)                                                                                                 \
    X(_maybe_pause_protocol)                                                                                 \
    X(_maybe_resume_protocol)                                                                                \
    X(_paused)                                                                                               \
    X(_protocol)                                                                                             \
    X(_read_ready__on_eof)                                                                                   \
    X(_reader)                                                                                               \
    X(_report_slow)                                                                                          \
    X(_signal_handlers)                                                                                      \
    X(_sock)                                                                                                 \
    X(_stream_reader_wr)                                                                                     \
    X(_transport)                                                                                            \
    X(_transports)                                                                                           \
    X(_waiter)                                                                                               \
    X(add_done_callback)                                                                                     \
    X(buffer_updated)                                                                                        \
    X(call_exception_handler)                                                                                \
    X(callback)                                                                                              \
    X(cancel)                                                                                                \
    X(cancelled)                                                                                             \
    X(context)                                                                                               \
    X(coro)                                                                                                  \
    X(create_future)                                                                                         \
    X(data_received)                                                                                         \
    X(delay)                                                                                                 \
    X(done)                                                                                                  \
    X(exception)                                                                                             \
    X(fileno)                                                                                                \
    X(future)                                                                                                \
    X(get_buffer)                                                                                            \
    X(getpeername)                                                                                           \
    X(getsockname)                                                                                           \
    X(handle)                                                                                                \
    X(is_closing)                                                                                            \
    X(loop)                                                                                                  \
    X(message)                                                                                               \
    X(name)                                                                                                  \
    X(pause_reading)                                                                                         \
    X(peername)                                                                                              \
    X(protocol)                                                                                              \
    X(result)                                                                                                \
    X(resume_reading)                                                                                        \
    X(set_result)                                                                                            \
    X(socket)                                                                                                \
    X(sockname)                                                                                              \
    X(source_traceback)                                                                                      \
    X(throw)                                                                                                 \
    X(transport)                                                                                             \
    X(when)                                                                                                  \
    X(write)

#define FACE_FREE_HANDLES 256 /* kept for the next call_soon, of either kind */

struct face_handle;
struct transport;

struct face_state {
    PyTypeObject *loop_type, *handle_type, *timer_type, *transport_type, *awaitable_type;
    PyTypeObject *stream_reader_type, *stream_writer_type, *stream_protocol_type, *operation_type;
    /* Of Python's own asyncio. */
    PyObject *Handle, *TimerHandle; /* what handles say that they are */
    PyObject *Future, *Task;
    PyObject *CancelledError, *InvalidStateError, *ensure_future;
    PyObject *SelectorEventLoop; /* what is cold is its */
    PyObject *extract_stack, *format_callback_source;
    PyObject *set_wakeup_fd;
    PyObject *SocketTransport, *BufferedProtocol,
        *logger; /* the first is asyncio's _SelectorSocketTransport */
    PyObject *StreamReader, *StreamWriter, *StreamReaderProtocol, *IncompleteReadError, *LimitOverrunError;
    PyObject *TransportSocket, *set_nodelay, *set_result_unless_cancelled;
    PyObject *socket_type;
    bool knows_sockets;                      /* where their descriptor is */
    PyObject *minus_one, *newline, *no_args; /* -1, b'\n', () */
    PyObject *loop_keyword, *task_keywords;  /* ("loop",), ("loop", "name", "context") */
    PyObject *context_name;                  /* "context", as the last caller has it; or NULL */
#define X(name) PyObject *str_##name;
    FACE_NAMES(X)
#undef X
    struct face_handle *free_handles, *free_timers;
    int n_free_handles, n_free_timers;
};

extern struct PyModuleDef face_module;

/* The state of the module that a type of its belongs to, or that a class of Python's is derived from. */
struct face_state *face_state_of(PyTypeObject *type);

/* Types, each made when the module is: 0, or -1 with an exception. */
int face_handle_add_types(PyObject *module, struct face_state *state);
int face_loop_add_type(PyObject *module, struct face_state *state);
int face_transport_add_type(PyObject *module, struct face_state *state);
int face_stream_add_types(PyObject *module, struct face_state *state);
int face_awaitable_add_type(PyObject *module, struct face_state *state);
/* The calls of <asyncio/python.h>, for extension modules. */
int face_bridge_add_table(PyObject *module);

/* ---- The loop -------------------------------------------------------------------- */

/* Doubly linked, in a circle through the loop's own. */
struct face_link {
    struct face_link *next, *prev;
};

/* Why a callback is not just called. */
enum {
    FACE_SLOW_DEBUG = 1,   /* its time is taken */
    FACE_SLOW_FAILED = 2,  /* the run ends: it is put off */
    FACE_SLOW_RESUMED = 4, /* those that were put off come first */
    FACE_SLOW_FORKED = 8,  /* this is the child, which has no loop */
};

/* Readers and writers of one descriptor. */
struct face_fd {
    asyncio_watch watch;
    struct face_loop *face; /* borrowed */
    struct face_handle *reader, *writer;
    int fd;
};

struct face_loop {
    PyObject_HEAD asyncio_loop *loop; /* NULL once it is closed */
    struct face_state *state;
    uintptr_t thread;      /* whose it is: that runs it, or was the last to */
    unsigned slow;         /* FACE_SLOW_... */
    unsigned calls;        /* how many there were, for a look at signals and other threads */
    int64_t held_since_ns; /* look_around let go of the interpreter's lock then */
    bool is_running, is_stopping, is_debug, is_closed;
    struct face_link handles; /* that the loop has references to */
    PyObject *deferred;       /* a list of handles, or NULL */
    asyncio_call resume_call, stop_call;
    PyObject *error_type, *error, *error_traceback; /* what ends the run */
    PyThreadState *waiting;                         /* the thread's state while it waits */
    jmp_buf *escape;                                /* where a forked child leaves to */
    PyObject *thread_id, *task_factory, *slow_callback_duration, *current_handle;
    struct face_fd **fds; /* by number; entries may be NULL */
    int n_fds;
    struct face_link transports;            /* that the loop has references to */
    struct transport *unsent, **unsent_end; /* those with output of the current callback */
    PyObject *future_keywords;              /* {'loop': the loop}, or NULL */
    char *receive_buffer;                   /* of all transports; NULL until one reads */
    PyThreadState *thread_state;            /* that runs it */
    void *run_frame, *step_frame; /* Python's, on top of which the loop runs, and tasks in C do (bridge.h) */
    PyObject *contexts;           /* of tasks in C: a dictionary, or NULL (bridge.c) */
};

/* A loop that does not run becomes the calling thread's. False if it runs in another one. */
bool face_loop_adopt(struct face_loop *face);

/* May this thread call the library for the loop? */
static inline bool face_loop_is_mine(struct face_loop *face)
{
    return LIKELY(face->thread == (uintptr_t)__builtin_thread_pointer()) || face_loop_adopt(face);
}

#define FACE_RECEIVE_BYTES (256 << 10) /* Python's max_size */
/* What is received is received here first, and made into bytes of its size. NULL and an exception. */
char *face_receive_buffer(struct face_loop *face);

/* The loop that runs in this thread, borrowed; or NULL. */
struct face_loop *face_loop_running(void);

/* The top frame of Python's, to be compared only. */
static inline void *face_frame_of(const PyThreadState *thread_state)
{
#if PY_VERSION_HEX >= 0x030D0000
    return thread_state->current_frame;
#else
    return thread_state->cframe->current_frame;
#endif
}

/* 0, or -1 and RuntimeError for a loop that is closed or the parent process's. */
int face_loop_check_open(struct face_loop *face);

/* Takes the current exception, whole, as one object. NULL: there is none. */
PyObject *face_take_exception(void);
/* Takes the current exception, of a callable that the loop called. `message` says where it was; the other
 * two, which may be NULL, are a key of the context and its value. Afterwards there is no exception. */
void face_loop_report(struct face_loop *face, PyObject *message, PyObject *key, PyObject *value);
/* What its other sources have to do with a new loop. 0, or -1 and an exception. */
int face_loop_prepare(struct face_loop *face);
/* Ends the run if `is_stopping`. Any thread. */
void face_loop_stop(struct face_loop *face);
/* Ends the run with the current exception, which leaves _run_once. */
void face_loop_fail(struct face_loop *face);
/* Does the current exception end the run, as KeyboardInterrupt and SystemExit do? */
bool face_is_fatal(void);

/* Calls a protocol's method, bound already, and drops the result. 0; -1: it raised, which was reported as
 * `message`, with the protocol and the transport (either may be NULL) in its context, or ends the run. */
int face_call_protocol(struct face_loop *face, PyObject *method, PyObject *const *args, size_t n_args,
                       const char *message);

/* Raises what a call of the library returned: OSError, MemoryError, TimeoutError, or RuntimeError with the
 * library's message. Returns NULL. */
PyObject *face_raise(intptr_t err);
/* Raises RuntimeError: this is a child, and the loop is its parent's. */
void face_refuse_parents(void);

/* A function of the module, for os.register_at_fork. */
PyObject *face_leave_parent(PyObject *module, PyObject *unused);

/* May a callable be called now? Not while a run fails; what was put off by one that failed comes first. */
bool face_loop_may_call(struct face_loop *face);
/* A callable has returned: sends what it has written, and looks at signals now and then. Does not return in a
 * forked child. */
void face_loop_called(struct face_loop *face);

/* Has the tasks in C of the running loop end, but the caller's: an awaitable. */
PyObject *face_end_tasks(PyObject *module, PyObject *unused);
PyObject *face_accept(PyObject *module, PyObject *number);
PyObject *face_send_datagram(PyObject *module, PyObject *const *args, Py_ssize_t n_args);

/* Methods of the loop: loop_calls.c, loop_run.c and watch.c. */
extern PyMethodDef face_call_methods[], face_run_methods[], face_watch_methods[], face_datagram_methods[],
    face_pipe_methods[];

/* Gives back what all its descriptors have. */
void face_fds_clear(struct face_loop *face);

/* ---- Transports ------------------------------------------------------------------ */

/* Sends what callbacks have written. */
void face_transports_flush(struct face_loop *face);
/* Gives back those that the loop has, when it closes. */
void face_transports_drop(struct face_loop *face);
int face_transports_visit(struct face_loop *face, visitproc visit, void *arg);

/* ---- Handles --------------------------------------------------------------------- */

#define FACE_ARGS 4 /* of a call that fit into a handle */

struct face_handle {
    PyObject_HEAD struct face_loop *face; /* counted */
    PyObject *callback;                   /* NULL once it is done */
    PyObject *context;
    PyObject *
        *args; /* n_args of them; the word before them is for the callee (PY_VECTORCALL_ARGUMENTS_OFFSET) */
    uint32_t n_args;
    bool is_cancelled, is_running, is_timer;
    bool is_deferred; /* in the loop's list of those that were put off, which has a reference */
    bool is_lasting;  /* a reader or a writer: called again and again */
    int owned;        /* references that the loop has */
    union {
        asyncio_call call;
        asyncio_timer timer;
    };
    struct face_link link; /* among the loop's, while it has any */
    PyObject *room[1 + FACE_ARGS];
    PyObject *weak_references;
    PyObject *source_traceback, *repr; /* debug mode's */
};

struct face_timer {
    struct face_handle handle;
    double when;
};

/* A call as Python makes it: a callable, its arguments, borrowed, and a context, or NULL for a copy of the
 * current one. */
struct face_target {
    PyObject *callback;
    PyObject *const *args;
    Py_ssize_t n_args;
    PyObject *context;
};

/* Makes a handle, or a timer's, that is not queued. NULL and an exception. */
struct face_handle *face_handle_new(struct face_loop *face, const struct face_target *target);
struct face_handle *face_timer_new(struct face_loop *face, const struct face_target *target, double when);
/* Queues it, from the loop's thread or, posted, from another one. 0, or -1 and an exception. */
int face_handle_queue(struct face_handle *handle);
int face_handle_post(struct face_handle *handle);
int face_timer_start(struct face_handle *handle);
void face_handle_cancel(struct face_handle *handle);
/* The loop has one reference more, or, which may free it, less. */
void face_handle_own(struct face_handle *handle);
void face_handle_disown(struct face_handle *handle);
/* The same for a loop that closes: the handle lets go of what it was to call. A task that sleeps has its
 * timer, which has the task; the collector does not know of handles, and would not find that circle. */
void face_handle_drop(struct face_handle *handle);
/* Runs those that were put off when a run failed. */
void face_handles_resume(struct face_loop *face);
/* Visits what handles have that nobody but the loop refers to. */
int face_handles_visit(struct face_loop *face, visitproc visit, void *arg);
/* Gives back those that a loop had when it closed. */
void face_handles_drop(struct face_loop *face);
/* Calls what a handle is for, with no regard to the queue. */
void face_handle_run(struct face_handle *handle);
void face_handle_free(PyObject *self);
void face_handles_free(struct face_state *state);

#endif
