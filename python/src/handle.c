/*
 * Handles: what call_soon and its like return, and what the library queues.
 *
 * The library's call or timer is a part of the handle, so that nothing else is allocated. A handle that is
 * queued, or that is a descriptor's reader or writer, is owned by the loop: `owned` of its references are the
 * loop's. When it has run it lets go of its callable, its arguments and its context; so does one that is
 * cancelled, but while it runs: what it runs out of stays until it returns.
 *
 * Handles have no header of the garbage collector. The loop visits for them what handles have that no one
 * but the loop refers to (face_handles_visit). Freed ones are kept for the next calls.
 */
#include "face.h"

static bool is_owned_alone(const struct face_handle *handle)
{
    return Py_REFCNT(handle) == handle->owned + handle->is_deferred;
}

void face_handle_own(struct face_handle *handle)
{
    Py_INCREF(handle);
    if (handle->owned++)
        return;
    struct face_link *head = &handle->face->handles, *link = &handle->link;
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

/* The reference is the caller's afterwards. */
static inline void take_from_loop(struct face_handle *handle)
{
    if (--handle->owned)
        return;
    handle->link.next->prev = handle->link.prev;
    handle->link.prev->next = handle->link.next;
}

void face_handle_disown(struct face_handle *handle)
{
    take_from_loop(handle);
    Py_DECREF(handle);
}

int face_handles_visit(struct face_loop *face, visitproc visit, void *arg)
{
    for (struct face_link *link = face->handles.next; link != &face->handles; link = link->next) {
        struct face_handle *handle = CONTAINER_OF(link, struct face_handle, link);
        if (!is_owned_alone(handle))
            continue;
        Py_VISIT(handle->face);
        Py_VISIT(handle->callback);
        Py_VISIT(handle->context);
        Py_VISIT(handle->source_traceback);
        for (uint32_t i = 0; i < handle->n_args; i++)
            Py_VISIT(handle->args[i]);
    }
    return 0;
}

/* ---- Making and freeing ---------------------------------------------------------- */

/* Lets go of what it was to call. */
static void forget_target(struct face_handle *handle)
{
    PyObject **args = handle->args;
    uint32_t n = handle->n_args;
    PyObject *callback = handle->callback, *context = handle->context;
    if (!callback)
        return;
    handle->n_args = 0;
    handle->callback = handle->context = NULL;
    handle->args = handle->room + 1;
    Py_DECREF(callback);
    Py_XDECREF(context);
    while (n)
        Py_DECREF(args[--n]);
    if (UNLIKELY(args != handle->room + 1))
        PyMem_Free(args - 1);
}

void face_handle_free(PyObject *self)
{
    struct face_handle *handle = (struct face_handle *)self;
    struct face_state *state = handle->face->state;
    PyTypeObject *type = Py_TYPE(self);
    if (handle->weak_references)
        PyObject_ClearWeakRefs(self);
    forget_target(handle);
    Py_CLEAR(handle->source_traceback);
    Py_CLEAR(handle->repr);
    struct face_handle **list = handle->is_timer ? &state->free_timers : &state->free_handles;
    int *n = handle->is_timer ? &state->n_free_timers : &state->n_free_handles;
    PyObject *face = (PyObject *)handle->face;
    if (*n < FACE_FREE_HANDLES) {
        handle->face = (struct face_loop *)(void *)*list;
        *list = handle;
        ++*n;
    } else {
        PyObject_Free(self);
    }
    Py_DECREF(face); /* which may be the last user of the state */
    Py_DECREF(type);
}

static void free_list(struct face_handle **list, int *n)
{
    struct face_handle *handle;
    while ((handle = *list)) {
        *list = (struct face_handle *)(void *)handle->face;
        PyObject_Free(handle);
    }
    *n = 0;
}

void face_handles_free(struct face_state *state)
{
    free_list(&state->free_handles, &state->n_free_handles);
    free_list(&state->free_timers, &state->n_free_timers);
}

static inline struct face_handle *take_free(struct face_handle **list, int *n, PyTypeObject *type)
{
    struct face_handle *handle = *list;
    if (UNLIKELY(!handle))
        return PyObject_New(struct face_handle, type);
    *list = (struct face_handle *)(void *)handle->face;
    --*n;
    return (struct face_handle *)PyObject_Init((PyObject *)handle, type);
}

/* In debug mode: where it was made. */
static int note_source(struct face_handle *handle)
{
    PyFrameObject *frame = PyEval_GetFrame();
    handle->source_traceback =
        PyObject_CallOneArg(handle->face->state->extract_stack, frame ? (PyObject *)frame : Py_None);
    return handle->source_traceback ? 0 : -1;
}

static int set_args(struct face_handle *handle, const struct face_target *target)
{
    handle->args = handle->room + 1;
    if (UNLIKELY(target->n_args > FACE_ARGS)) {
        PyObject **room = PyMem_New(PyObject *, (size_t)target->n_args + 1);
        if (!room) {
            PyErr_NoMemory();
            return -1;
        }
        handle->args = room + 1;
    }
    for (Py_ssize_t i = 0; i < target->n_args; i++)
        handle->args[i] = Py_NewRef(target->args[i]);
    handle->n_args = (uint32_t)target->n_args;
    return 0;
}

/* Fills in a new handle. On an error it is freed. */
static struct face_handle *fill_handle(struct face_handle *handle, struct face_loop *face,
                                       const struct face_target *target)
{
    Py_INCREF(face);
    handle->face = face;
    handle->callback = Py_NewRef(target->callback);
    handle->context = NULL;
    handle->n_args = 0;
    handle->args = handle->room + 1;
    handle->is_cancelled = handle->is_running = handle->is_deferred = handle->is_lasting = false;
    handle->owned = 0;
    handle->weak_references = handle->source_traceback = handle->repr = NULL;
    handle->context =
        target->context && target->context != Py_None ? Py_NewRef(target->context) : PyContext_CopyCurrent();
    if (LIKELY(handle->context && !set_args(handle, target)) &&
        (!UNLIKELY(face->is_debug) || !note_source(handle)))
        return handle;
    Py_DECREF(handle);
    return NULL;
}

static void run_call(asyncio_call *call);
static void run_timer(asyncio_timer *timer);

struct face_handle *face_handle_new(struct face_loop *face, const struct face_target *target)
{
    struct face_state *state = face->state;
    struct face_handle *handle = take_free(&state->free_handles, &state->n_free_handles, state->handle_type);
    if (UNLIKELY(!handle))
        return NULL;
    handle->is_timer = false;
    asyncio_call_init(&handle->call, run_call);
    return fill_handle(handle, face, target);
}

struct face_handle *face_timer_new(struct face_loop *face, const struct face_target *target, double when)
{
    struct face_state *state = face->state;
    struct face_handle *handle = take_free(&state->free_timers, &state->n_free_timers, state->timer_type);
    if (UNLIKELY(!handle))
        return NULL;
    handle->is_timer = true;
    ((struct face_timer *)(void *)handle)->when = when;
    asyncio_timer_init(&handle->timer, run_timer);
    return fill_handle(handle, face, target);
}

/* ---- Running --------------------------------------------------------------------- */

/* What it was to call raised. */
static void report_handle(struct face_handle *handle)
{
    struct face_loop *face = handle->face;
    struct face_state *state = face->state;
    if (face_is_fatal()) {
        face_loop_fail(face);
        return;
    }
    PyObject *type, *error, *traceback, *source = NULL, *message = NULL;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *args = PyTuple_New((Py_ssize_t)handle->n_args);
    for (uint32_t i = 0; args && i < handle->n_args; i++)
        PyTuple_SET_ITEM(args, (Py_ssize_t)i, Py_NewRef(handle->args[i]));
    if (args)
        source = PyObject_CallFunctionObjArgs(state->format_callback_source, handle->callback, args, NULL);
    if (source)
        message = PyUnicode_FromFormat("Exception in callback %U", source);
    if (!message)
        PyErr_Clear();
    Py_XDECREF(args);
    Py_XDECREF(source);
    PyErr_Restore(type, error, traceback);
    face_loop_report(face, message, state->str_handle, (PyObject *)handle);
    Py_XDECREF(message);
}

/* Calls what the handle is for. Its references stay meanwhile, whoever cancels it. */
static inline void call_target(struct face_handle *handle)
{
    handle->is_running = true;
    PyObject *result = NULL;
    if (LIKELY(PyContext_Enter(handle->context) == 0)) {
        result = PyObject_Vectorcall(handle->callback, handle->args,
                                     handle->n_args | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        if (UNLIKELY(PyContext_Exit(handle->context) < 0))
            Py_CLEAR(result);
    }
    if (LIKELY(result != NULL))
        Py_DECREF(result);
    else
        report_handle(handle);
    handle->is_running = false;
}

/* Debug mode: as long as `slow_callback_duration`, and the loop says so. */
static void call_timed(struct face_handle *handle)
{
    struct face_loop *face = handle->face;
    int64_t began_ns = asyncio_loop_time_ns(NULL);
    Py_XSETREF(face->current_handle, Py_NewRef(handle));
    call_target(handle);
    double seconds = (double)(asyncio_loop_time_ns(NULL) - began_ns) * 1e-9;
    if (seconds >= PyFloat_AsDouble(face->slow_callback_duration) && !PyErr_Occurred()) {
        PyObject *duration = PyFloat_FromDouble(seconds);
        PyObject *result = duration
                               ? PyObject_CallMethodObjArgs((PyObject *)face, face->state->str__report_slow,
                                                            handle, duration, NULL)
                               : NULL;
        Py_XDECREF(duration);
        if (!result && face_is_fatal())
            face_loop_fail(face);
        Py_XDECREF(result);
    }
    PyErr_Clear();
    Py_CLEAR(face->current_handle);
}

/* The run fails, so it is called first thing in the next one. A reader or writer will be told again. */
static void defer_handle(struct face_handle *handle)
{
    struct face_loop *face = handle->face;
    if (!handle->is_lasting) {
        if (!face->deferred)
            face->deferred = PyList_New(0);
        handle->is_deferred = face->deferred && PyList_Append(face->deferred, (PyObject *)handle) == 0;
        if (handle->is_deferred)
            return;    /* still the loop's */
        PyErr_Clear(); /* no memory: it is lost, as the run is */
    }
    face_handle_disown(handle);
}

static void finish_handle(struct face_handle *handle)
{
    if (!handle->is_lasting || handle->is_cancelled)
        forget_target(handle);
    Py_DECREF(handle);
}

/* Something is to be done besides. False: it was not called, and is the loop's as before. */
static bool prepare_slowly(struct face_loop *face)
{
    if (face->slow & FACE_SLOW_RESUMED)
        face_handles_resume(face);
    return !(face->slow & FACE_SLOW_FAILED);
}

/* Callables in C alone would keep signals and other threads waiting: the interpreter looks for both only
 * where it runs Python's code. The time is its own interval. */
#define LOOK_CALLS 1024
#define LET_GO_NS 5000000

static void look_around(struct face_loop *face)
{
    face->calls = 0;
    if (PyErr_CheckSignals() < 0) {
        face_loop_fail(face);
        return;
    }
    int64_t now_ns = asyncio_loop_time_ns(NULL);
    if (now_ns - face->held_since_ns < LET_GO_NS)
        return;
    PyEval_RestoreThread(PyEval_SaveThread());
    face->held_since_ns = asyncio_loop_time_ns(NULL);
}

/* Python keeps the frames of a thread in one stack, which grows on over those of the task that waits. */
static void die_of_frames(void)
{
    Py_FatalError("libasyncio: a coroutine in C waits below a frame of Python's: it called a Python function "
                  "that called a C function that waits. Await in the coroutine itself, or in Python");
}

bool face_loop_may_call(struct face_loop *face)
{
    if (UNLIKELY(face_frame_of(face->thread_state) != face->run_frame))
        die_of_frames();
    return LIKELY(!face->slow) || prepare_slowly(face);
}

void face_loop_called(struct face_loop *face)
{
    if (UNLIKELY(face->slow & FACE_SLOW_FORKED))
        longjmp(*face->escape, 1); /* the child has no loop to return to */
    if (UNLIKELY(face->unsent != NULL))
        face_transports_flush(face);
    if (UNLIKELY(++face->calls >= LOOK_CALLS))
        look_around(face);
}

/* The loop's turn has come to it. */
static void run_handle(struct face_handle *handle)
{
    struct face_loop *face = handle->face;
    if (!face_loop_may_call(face)) {
        defer_handle(handle);
        return;
    }
    take_from_loop(handle);
    if (LIKELY(!handle->is_cancelled && !handle->is_running)) {
        if (LIKELY(!face->is_debug))
            call_target(handle);
        else
            call_timed(handle);
    }
    face_loop_called(face);
    finish_handle(handle);
}

static void run_call(asyncio_call *call)
{
    run_handle(CONTAINER_OF(call, struct face_handle, call));
}

static void run_timer(asyncio_timer *timer)
{
    run_handle(CONTAINER_OF(timer, struct face_handle, timer));
}

void face_handles_resume(struct face_loop *face)
{
    PyObject *deferred = face->deferred;
    face->slow &= ~(unsigned)FACE_SLOW_RESUMED;
    face->deferred = NULL;
    for (Py_ssize_t i = 0; deferred && i < PyList_GET_SIZE(deferred); i++) {
        struct face_handle *handle = (struct face_handle *)PyList_GET_ITEM(deferred, i);
        handle->is_deferred = false; /* again, if this run fails, too */
        if (handle->owned)           /* the loop has not closed */
            run_handle(handle);
    }
    Py_XDECREF(deferred);
}

/* ---- Queueing -------------------------------------------------------------------- */

/* The library's calls cannot fail but for a loop that is gone. */
static int refuse_queue(struct face_loop *face, intptr_t err)
{
    if (err < 0 && err != ASYNCIO_ESTATE)
        face_raise(err);
    else if (face_loop_check_open(face) == 0)
        face_refuse_parents();
    return -1;
}

int face_handle_queue(struct face_handle *handle)
{
    struct face_loop *face = handle->face;
    if (LIKELY(asyncio_loop_call(face->loop, &handle->call))) {
        face_handle_own(handle);
        return 0;
    }
    if (handle->owned && !handle->face->is_closed)
        return 0; /* a reader that is queued already */
    return refuse_queue(face, ASYNCIO_ESTATE);
}

int face_handle_post(struct face_handle *handle)
{
    face_handle_own(handle); /* the loop's thread may wait for the interpreter's lock, and then run it */
    int err = asyncio_loop_post(handle->face->loop, &handle->call);
    if (LIKELY(err >= 0))
        return 0;
    take_from_loop(handle);
    Py_DECREF(handle);
    return refuse_queue(handle->face, err);
}

#define NS_PER_SECOND 1e9

/* Python's clock is ours. NaN is due at once, as it is in Python's heap. */
static int64_t deadline_of(double when)
{
    double ns = when * NS_PER_SECOND;
    if (ns >= 9.2e18)
        return INT64_MAX;
    return ns > -9.2e18 ? (int64_t)ns : 0;
}

int face_timer_start(struct face_handle *handle)
{
    int err = asyncio_timer_start(handle->face->loop, &handle->timer,
                                  deadline_of(((struct face_timer *)(void *)handle)->when));
    if (UNLIKELY(err))
        return refuse_queue(handle->face, err);
    face_handle_own(handle);
    return 0;
}

/* A call stays queued, and comes to nothing; so does the timer of a loop that runs in another thread. */
void face_handle_cancel(struct face_handle *handle)
{
    if (handle->is_cancelled)
        return;
    handle->is_cancelled = true;
    if (UNLIKELY(handle->face->is_debug) && !handle->repr) {
        handle->repr = PyObject_Repr((PyObject *)handle); /* without it messages would say less */
        PyErr_Clear();
    }
    Py_INCREF(handle);
    if (handle->is_timer && handle->owned && face_loop_is_mine(handle->face) &&
        asyncio_timer_stop(&handle->timer))
        face_handle_disown(handle);
    if (!handle->is_running)
        forget_target(handle);
    Py_DECREF(handle);
}

void face_handle_drop(struct face_handle *handle)
{
    take_from_loop(handle);
    forget_target(handle);
    Py_DECREF(handle);
}

/* The library's loop is closed: all are idle. */
void face_handles_drop(struct face_loop *face)
{
    while (face->handles.next != &face->handles)
        face_handle_drop(CONTAINER_OF(face->handles.next, struct face_handle, link));
    Py_CLEAR(face->deferred);
}

void face_handle_run(struct face_handle *handle)
{
    call_target(handle);
}
