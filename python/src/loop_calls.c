/*
 * call_soon and its family, and what makes futures and tasks. Times are seconds of CLOCK_MONOTONIC, which is
 * the library's clock, too.
 */
#include "face.h"

/* ---- Arguments ------------------------------------------------------------------- */

/* What a method was called with, as CPython hands it over. */
struct vector {
    PyObject *const *args;
    Py_ssize_t n;
    PyObject *names; /* of keywords, whose values follow; or NULL */
};

/* A call of the family, taken apart: call_later(time, callback, *args, context=None). */
struct request {
    const char *method;
    PyObject *time_name; /* "delay" or "when"; NULL: it has none */
    PyObject *time;
    struct face_target target;
};

static bool is_name(PyObject *name, PyObject *other)
{
    return name == other || PyUnicode_Compare(name, other) == 0;
}

/* asyncio's tasks, which call most, have a string of their own for it: the last one is remembered. */
static bool is_context(struct face_state *state, PyObject *name)
{
    if (LIKELY(name == state->context_name))
        return true;
    if (!is_name(name, state->str_context))
        return false;
    Py_XSETREF(state->context_name, Py_NewRef(name));
    return true;
}

static int take_keyword(struct face_state *state, struct request *request, PyObject *name, PyObject *value)
{
    PyObject **place = NULL;
    if (is_context(state, name))
        place = &request->target.context;
    else if (is_name(name, state->str_callback))
        place = &request->target.callback;
    else if (request->time_name && is_name(name, request->time_name))
        place = &request->time;
    if (place && !*place) {
        *place = value;
        return 0;
    }
    PyErr_Format(PyExc_TypeError,
                 place ? "%s() got multiple values for argument %R"
                       : "%s() got an unexpected keyword argument %R",
                 request->method, name);
    return -1;
}

static int refuse_missing(const struct request *request)
{
    PyErr_Format(PyExc_TypeError, "%s() missing a required argument: %R or 'callback'", request->method,
                 request->time_name ? request->time_name : Py_None);
    return -1;
}

/* call_soon(callback, *args) and call_soon(callback, *args, context=context). False: it looks otherwise. */
static inline bool parse_simply(struct face_state *state, struct face_target *target, struct vector given)
{
    if (UNLIKELY(given.n < 1))
        return false;
    *target = (struct face_target){given.args[0], given.args + 1, given.n - 1, NULL};
    if (!given.names)
        return true;
    target->context = given.args[given.n];
    return LIKELY(PyTuple_GET_SIZE(given.names) == 1 &&
                  PyTuple_GET_ITEM(given.names, 0) == state->context_name);
}

static int parse_request(struct face_state *state, struct request *request, struct vector given)
{
    Py_ssize_t n = given.n, n_first = 0;
    if (request->time_name && n_first < n)
        request->time = given.args[n_first++];
    if (n_first < n)
        request->target.callback = given.args[n_first++];
    request->target.args = given.args + n_first;
    request->target.n_args = n - n_first;
    Py_ssize_t n_names = given.names ? PyTuple_GET_SIZE(given.names) : 0;
    for (Py_ssize_t i = 0; i < n_names; i++)
        if (take_keyword(state, request, PyTuple_GET_ITEM(given.names, i), given.args[n + i]) < 0)
            return -1;
    if (UNLIKELY(!request->target.callback || (request->time_name && !request->time)))
        return refuse_missing(request);
    return 0;
}

/* Debug mode: Python's own checks, and words. */
static int check_debug(struct face_loop *face, const struct request *request, bool is_threadsafe)
{
    struct face_state *state = face->state;
    PyObject *self = (PyObject *)face;
    PyObject *result =
        is_threadsafe ? Py_NewRef(Py_None) : PyObject_CallMethodNoArgs(self, state->str__check_thread);
    if (!result)
        return -1;
    Py_DECREF(result);
    PyObject *method = PyUnicode_FromString(request->method);
    result = method ? PyObject_CallMethodObjArgs(self, state->str__check_callback, request->target.callback,
                                                 method, NULL)
                    : NULL;
    Py_XDECREF(method);
    Py_XDECREF(result);
    return result ? 0 : -1;
}

/* ---- The family ------------------------------------------------------------------ */

/* The queue of another thread's loop is no place for this one: it is posted, as Python would hope for. */
static PyObject *queue_soon(struct face_loop *face, const struct face_target *target)
{
    struct face_handle *handle = face_handle_new(face, target);
    if (UNLIKELY(!handle))
        return NULL;
    int err = LIKELY(face_loop_is_mine(face)) ? face_handle_queue(handle) : face_handle_post(handle);
    if (LIKELY(!err))
        return (PyObject *)handle;
    Py_DECREF(handle);
    return NULL;
}

static PyObject *call_soon(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    struct face_loop *face = (struct face_loop *)self;
    struct face_target simple;
    struct vector given = {args, n, names};
    if (LIKELY(!face->is_debug && !face->is_closed && parse_simply(face->state, &simple, given)))
        return queue_soon(face, &simple);
    struct request request = {.method = "call_soon"};
    if (UNLIKELY(parse_request(face->state, &request, given) < 0 || face_loop_check_open(face) < 0))
        return NULL;
    if (UNLIKELY(face->is_debug) && check_debug(face, &request, /* is_threadsafe= */ false) < 0)
        return NULL;
    return queue_soon(face, &request.target);
}

static PyObject *call_soon_threadsafe(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    struct face_loop *face = (struct face_loop *)self;
    struct request request = {.method = "call_soon_threadsafe"};
    if (UNLIKELY(parse_request(face->state, &request, (struct vector){args, n, names}) < 0 ||
                 face_loop_check_open(face) < 0))
        return NULL;
    if (UNLIKELY(face->is_debug) && check_debug(face, &request, /* is_threadsafe= */ true) < 0)
        return NULL;
    return queue_soon(face, &request.target);
}

/* In any thread, and of a closed loop, too. */
static double read_clock(void)
{
    return (double)asyncio_loop_time_ns(NULL) * 1e-9;
}

/* A timer that was made in another thread, in the loop's own. */
static PyObject *start_posted_timer(PyObject *self, PyObject *timer)
{
    struct face_loop *face = (struct face_loop *)self;
    struct face_handle *handle = (struct face_handle *)timer;
    if (Py_TYPE(timer) == face->state->timer_type && !handle->is_cancelled && !handle->owned &&
        face_timer_start(handle) < 0)
        return NULL;
    Py_RETURN_NONE;
}

static int post_timer(struct face_loop *face, struct face_handle *timer)
{
    PyObject *method = PyObject_GetAttrString((PyObject *)face, "_start_timer");
    PyObject *args[] = {(PyObject *)timer};
    PyObject *handle =
        method ? queue_soon(face, &(struct face_target){.callback = method, .args = args, .n_args = 1})
               : NULL;
    Py_XDECREF(method);
    Py_XDECREF(handle);
    return handle ? 0 : -1;
}

static PyObject *start_timer(struct face_loop *face, struct request *request, double when)
{
    if (UNLIKELY(face_loop_check_open(face) < 0))
        return NULL;
    if (UNLIKELY(face->is_debug) && check_debug(face, request, /* is_threadsafe= */ false) < 0)
        return NULL;
    struct face_handle *timer = face_timer_new(face, &request->target, when);
    if (UNLIKELY(!timer))
        return NULL;
    int err = LIKELY(face_loop_is_mine(face)) ? face_timer_start(timer) : post_timer(face, timer);
    if (LIKELY(!err))
        return (PyObject *)timer;
    Py_DECREF(timer);
    return NULL;
}

static PyObject *call_later(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    struct face_loop *face = (struct face_loop *)self;
    struct request request = {.method = "call_later", .time_name = face->state->str_delay};
    if (UNLIKELY(parse_request(face->state, &request, (struct vector){args, n, names}) < 0))
        return NULL;
    if (UNLIKELY(request.time == Py_None)) {
        PyErr_SetString(PyExc_TypeError, "delay must not be None");
        return NULL;
    }
    double delay = PyFloat_AsDouble(request.time);
    if (UNLIKELY(delay == -1 && PyErr_Occurred()))
        return NULL;
    if (UNLIKELY(face_loop_check_open(face) < 0))
        return NULL;
    request.method = "call_at"; /* as Python's, which calls that */
    return start_timer(face, &request, read_clock() + delay);
}

static PyObject *call_at(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    struct face_loop *face = (struct face_loop *)self;
    struct request request = {.method = "call_at", .time_name = face->state->str_when};
    if (UNLIKELY(parse_request(face->state, &request, (struct vector){args, n, names}) < 0))
        return NULL;
    if (UNLIKELY(request.time == Py_None)) {
        PyErr_SetString(PyExc_TypeError, "when cannot be None");
        return NULL;
    }
    double when = PyFloat_AsDouble(request.time);
    if (UNLIKELY(when == -1 && PyErr_Occurred()))
        return NULL;
    return start_timer(face, &request, when);
}

static PyObject *read_time(PyObject *self, PyObject *unused)
{
    (void)self, (void)unused;
    return PyFloat_FromDouble(read_clock());
}

/* ---- Futures and tasks ----------------------------------------------------------- */

/* The type has no vectorcall, which would make the keywords anew each time. */
static PyObject *create_future(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    if (UNLIKELY(!face->future_keywords)) {
        PyObject *keywords = Py_BuildValue("{OO}", face->state->str_loop, self);
        if (!keywords)
            return NULL;
        face->future_keywords = keywords;
    }
    return PyObject_Call(face->state->Future, face->state->no_args, face->future_keywords);
}

/* With a factory, in debug mode, and with arguments that are not known here. */
static PyObject *create_task_coldly(PyObject *self, struct vector given)
{
    struct face_state *state = ((struct face_loop *)self)->state;
    PyObject *method = PyObject_GetAttrString(state->SelectorEventLoop, "create_task");
    Py_ssize_t n = given.n + (given.names ? PyTuple_GET_SIZE(given.names) : 0);
    PyObject **args = method ? PyMem_New(PyObject *, (size_t)n + 1) : NULL;
    PyObject *task = NULL;
    if (args) {
        args[0] = self;
        memcpy(args + 1, given.args, (size_t)n * sizeof(PyObject *));
        task = PyObject_Vectorcall(method, args, (size_t)given.n + 1, given.names);
    } else if (method) {
        PyErr_NoMemory();
    }
    PyMem_Free(args);
    Py_XDECREF(method);
    return task;
}

static PyObject *create_task(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
    struct face_loop *face = (struct face_loop *)self;
    struct face_state *state = face->state;
    struct vector given = {args, n, names};
    PyObject *name = Py_None, *context = Py_None;
    Py_ssize_t n_names = names ? PyTuple_GET_SIZE(names) : 0;
    if (UNLIKELY(face_loop_check_open(face) < 0))
        return NULL;
    if (n != 1 || face->task_factory != Py_None || face->is_debug)
        return create_task_coldly(self, given);
    for (Py_ssize_t i = 0; i < n_names; i++) {
        PyObject *keyword = PyTuple_GET_ITEM(names, i);
        if (is_name(keyword, state->str_name))
            name = args[n + i];
        else if (is_name(keyword, state->str_context))
            context = args[n + i];
        else
            return create_task_coldly(self, given);
    }
    PyObject *all[] = {NULL, args[0], self, name, context};
    return PyObject_Vectorcall(state->Task, all + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                               state->task_keywords);
}

#define FAST(function) (PyCFunction)(void (*)(void)) function, METH_FASTCALL | METH_KEYWORDS

PyMethodDef face_call_methods[] = {
    {"call_soon", FAST(call_soon), "Have a callable called in the next turn."},
    {"call_soon_threadsafe", FAST(call_soon_threadsafe), "Like call_soon, from any thread."},
    {"call_later", FAST(call_later), "Have a callable called after a delay in seconds."},
    {"call_at", FAST(call_at), "Have a callable called at a time of the loop's clock."},
    {"time", read_time, METH_NOARGS, "Return the loop's time, in seconds."},
    {"create_future", create_future, METH_NOARGS, "Create a future of this loop."},
    {"create_task", FAST(create_task), "Make a task of a coroutine."},
    {"_start_timer", start_posted_timer, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
