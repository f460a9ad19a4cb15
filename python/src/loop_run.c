/*
 * Running: Python's run_forever calls _run_once until the loop is stopped, and one _run_once runs until then.
 * So what Python does around a run (hooks of asynchronous generators, the running loop) stays Python's, on
 * each version.
 *
 * The interpreter's lock is let go of around a wait that may block. In the main thread signals are written to
 * the loop's own socket meanwhile (set_wakeup_fd), so that none is lost between the last look and the wait.
 *
 * In a child that a callable forks, the library's loop is no more. The callable returns to run_handle, which
 * leaves by longjmp, past the library, to _run_once.
 */
#include "face.h"
#include <pthread.h>

/* ---- Exceptions ------------------------------------------------------------------ */

bool face_is_fatal(void)
{
    return PyErr_ExceptionMatches(PyExc_KeyboardInterrupt) || PyErr_ExceptionMatches(PyExc_SystemExit);
}

void face_loop_fail(struct face_loop *face)
{
    if (face->error_type) { /* the first one counts */
        PyErr_Clear();
        return;
    }
    PyErr_Fetch(&face->error_type, &face->error, &face->error_traceback);
    face->slow |= FACE_SLOW_FAILED;
    if (face->is_running && face_loop_is_mine(face))
        asyncio_loop_stop(face->loop);
}

PyObject *face_take_exception(void)
{
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyErr_NormalizeException(&type, &error, &traceback);
    if (error && traceback)
        PyException_SetTraceback(error, traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return error;
}

static PyObject *describe_context(struct face_state *state, PyObject *message, PyObject *error)
{
    PyObject *context = PyDict_New();
    PyObject *words = message ? Py_NewRef(message) : PyUnicode_FromString("Exception in callback");
    if (context && words && PyDict_SetItem(context, state->str_message, words) == 0 &&
        PyDict_SetItem(context, state->str_exception, error) == 0) {
        Py_DECREF(words);
        return context;
    }
    Py_XDECREF(words);
    Py_XDECREF(context);
    return NULL;
}

/* A handle's source goes along. */
static int add_to_context(struct face_state *state, PyObject *context, PyObject *key, PyObject *value)
{
    if (key && value && PyDict_SetItem(context, key, value) < 0)
        return -1;
    if (key != state->str_handle)
        return 0;
    PyObject *source = ((struct face_handle *)value)->source_traceback;
    return source ? PyDict_SetItem(context, state->str_source_traceback, source) : 0;
}

void face_loop_report(struct face_loop *face, PyObject *message, PyObject *key, PyObject *value)
{
    struct face_state *state = face->state;
    PyObject *error = face_take_exception(), *result = NULL;
    PyObject *context = error ? describe_context(state, message, error) : NULL;
    if (context && add_to_context(state, context, key, value) == 0)
        result = PyObject_CallMethodOneArg((PyObject *)face, state->str_call_exception_handler, context);
    Py_XDECREF(context);
    Py_XDECREF(error);
    if (!result)
        face_loop_fail(face); /* the handler's own, which Python lets out, too */
    Py_XDECREF(result);
}

int face_call_protocol(struct face_loop *face, PyObject *method, PyObject *const *args, size_t n_args,
                       const char *message)
{
    PyObject *result = PyObject_Vectorcall(method, args, n_args, NULL);
    if (LIKELY(result != NULL)) {
        Py_DECREF(result);
        return 0;
    }
    if (face_is_fatal()) {
        face_loop_fail(face);
        return -1;
    }
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *words = PyUnicode_FromString(message);
    PyObject *protocol = PyObject_GetAttrString(method, "__self__");
    PyErr_Restore(type, error, traceback);
    face_loop_report(face, words, protocol ? face->state->str_protocol : NULL, protocol);
    Py_XDECREF(words);
    Py_XDECREF(protocol);
    return -1;
}

PyObject *face_raise(intptr_t err)
{
    const char *words = asyncio_error_message();
    if (err == -ENOMEM)
        return PyErr_NoMemory();
    if (err > -1024) {
        errno = (int)-err;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    PyErr_Format(PyExc_RuntimeError, "%s", *words ? words : asyncio_strerror(err));
    return NULL;
}

void face_refuse_parents(void)
{
    PyErr_SetString(PyExc_RuntimeError, "the event loop belongs to the parent process");
}

/* ---- Waits ----------------------------------------------------------------------- */

static void let_go_of_lock(void *arg)
{
    struct face_loop *face = arg;
    if (UNLIKELY(face->unsent != NULL)) /* written by a handler of a signal, or by a task in C */
        face_transports_flush(face);
    face->waiting = PyEval_SaveThread();
}

/* Python's handlers of signals run here; what they raise ends the run. */
static int take_lock(void *arg)
{
    struct face_loop *face = arg;
    PyEval_RestoreThread(face->waiting);
    face->waiting = NULL;
    if (LIKELY(PyErr_CheckSignals() == 0))
        return 0;
    face_loop_fail(face);
    return -EINTR;
}

/* ---- Forks ----------------------------------------------------------------------- */

static __thread struct face_loop *running_face;
static __thread bool is_child_of_run; /* whose signals are still written to the parent's socket */

struct face_loop *face_loop_running(void)
{
    return running_face;
}

/* In a child: the thread that forked is the only one. */
static void mark_child(void)
{
    struct face_loop *face = running_face;
    if (!face)
        return;
    running_face = NULL;
    face->slow |= FACE_SLOW_FORKED;
    is_child_of_run = true;
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, mark_child);
}

static PyObject *refuse_child(struct face_loop *face)
{
    if (face->error_type) {
        PyErr_Restore(face->error_type, face->error, face->error_traceback);
        face->error_type = face->error = face->error_traceback = NULL;
        return NULL;
    }
    face_refuse_parents();
    return NULL;
}

/* ---- Signals --------------------------------------------------------------------- */

/* Sets the descriptor that signals are written to. Returns the old one, -1 for none; -2: an exception, which
 * is ValueError in other threads than the main one, where signals are not handled. */
static int set_wakeup_fd(struct face_state *state, int fd)
{
    PyObject *number = PyLong_FromLong(fd);
    PyObject *old = number ? PyObject_CallOneArg(state->set_wakeup_fd, number) : NULL;
    int old_fd = old ? (int)PyLong_AsLong(old) : -2;
    Py_XDECREF(number);
    Py_XDECREF(old);
    return old_fd;
}

/* The descriptor that signals are written to, of the loop's own; -1: it has none. */
static int wakeup_fd(struct face_loop *face)
{
    PyObject *socket = PyObject_GetAttrString((PyObject *)face, "_csock");
    PyObject *number = socket ? PyObject_CallMethodNoArgs(socket, face->state->str_fileno) : NULL;
    int fd = number ? (int)PyLong_AsLong(number) : -1;
    PyErr_Clear();
    Py_XDECREF(socket);
    Py_XDECREF(number);
    return fd;
}

struct wakeup {
    bool is_set;
    int fd, old_fd;
};

static int begin_wakeups(struct face_loop *face, struct wakeup *wakeup)
{
    wakeup->is_set = false;
    wakeup->fd = wakeup_fd(face);
    if (wakeup->fd < 0)
        return 0;
    wakeup->old_fd = set_wakeup_fd(face->state, wakeup->fd);
    wakeup->is_set = wakeup->old_fd != -2;
    if (wakeup->is_set)
        return 0;
    if (!PyErr_ExceptionMatches(PyExc_ValueError))
        return -1;
    PyErr_Clear();
    return 0;
}

/* Signal handlers that were added stay, and so does their way to the loop, as in Python. */
static void end_wakeups(struct face_loop *face, const struct wakeup *wakeup)
{
    if (!wakeup->is_set)
        return;
    PyObject *type, *error, *traceback;
    PyErr_Fetch(&type, &error, &traceback);
    PyObject *handlers = PyObject_GetAttr((PyObject *)face, face->state->str__signal_handlers);
    bool stays = handlers && PyObject_IsTrue(handlers) > 0;
    Py_XDECREF(handlers);
    int fd = set_wakeup_fd(face->state, stays ? wakeup->fd : wakeup->old_fd);
    if (fd != wakeup->fd && fd >= 0 && !stays)
        set_wakeup_fd(face->state, fd); /* the program set its own meanwhile */
    PyErr_Clear();
    PyErr_Restore(type, error, traceback);
}

/* Python calls it in each child. */
PyObject *face_leave_parent(PyObject *module, PyObject *unused)
{
    (void)unused;
    bool is_due = is_child_of_run;
    is_child_of_run = false;
    if (is_due && set_wakeup_fd(PyModule_GetState(module), -1) == -2)
        PyErr_Clear(); /* a thread that signals do not come to forked */
    Py_RETURN_NONE;
}

static PyObject *keep_wakeups(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    struct wakeup wakeup;
    if (face->is_running && face_loop_is_mine(face) && begin_wakeups(face, &wakeup) < 0)
        return NULL;
    Py_RETURN_NONE;
}

/* ---- A run ----------------------------------------------------------------------- */

static int begin_run(struct face_loop *face)
{
    if (face_loop_check_open(face) < 0)
        return -1;
    if (face->is_running) {
        PyErr_SetString(PyExc_RuntimeError, "This event loop is already running");
        return -1;
    }
    if (!face_loop_is_mine(face)) {
        refuse_child(face);
        return -1;
    }
    face->slow &= ~(unsigned)FACE_SLOW_FAILED;
    if (face->deferred) {
        face->slow |= FACE_SLOW_RESUMED;
        asyncio_loop_call(face->loop, &face->resume_call);
    }
    if (face->is_stopping)
        asyncio_loop_stop(face->loop);
    face->is_running = true;
    face->thread_state = PyThreadState_Get();
    face->run_frame = face->step_frame = face_frame_of(face->thread_state);
    running_face = face;
    return 0;
}

static PyObject *end_run(struct face_loop *face, int err)
{
    face->is_running = false;
    face->escape = NULL;
    running_face = NULL;
    face->slow &= ~(unsigned)FACE_SLOW_FAILED;
    if (face->error_type) {
        PyErr_Restore(face->error_type, face->error, face->error_traceback);
        face->error_type = face->error = face->error_traceback = NULL;
        return NULL;
    }
    if (err < 0)
        return face_raise(err);
    Py_RETURN_NONE;
}

static PyObject *run_once(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    struct wakeup wakeup;
    jmp_buf escape;
    if (begin_run(face) < 0)
        return NULL;
    if (begin_wakeups(face, &wakeup) < 0) {
        face_loop_fail(face);
        return end_run(face, 0);
    }
    face->escape = &escape;
    if (setjmp(escape)) {
        end_run(face, 0);
        return refuse_child(face);
    }
    int err = asyncio_loop_run_forever(face->loop);
    face_transports_flush(face);
    end_wakeups(face, &wakeup);
    return end_run(face, err);
}

void face_loop_stop(struct face_loop *face)
{
    if (!face->is_running || !face->is_stopping)
        return; /* the next run will see it */
    if (face_loop_is_mine(face))
        asyncio_loop_stop(face->loop);
    else
        asyncio_loop_post(face->loop, &face->stop_call);
}

static PyObject *stop(PyObject *self, PyObject *unused)
{
    (void)unused;
    struct face_loop *face = (struct face_loop *)self;
    face->is_stopping = true;
    face_loop_stop(face);
    Py_RETURN_NONE;
}

static void stop_here(asyncio_call *call)
{
    face_loop_stop(CONTAINER_OF(call, struct face_loop, stop_call));
}

static void resume_here(asyncio_call *call)
{
    struct face_loop *face = CONTAINER_OF(call, struct face_loop, resume_call);
    if (face->slow & FACE_SLOW_RESUMED)
        face_handles_resume(face);
}

int face_loop_prepare(struct face_loop *face)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    asyncio_call_init(&face->resume_call, resume_here);
    asyncio_call_init(&face->stop_call, stop_here);
    int err = asyncio_loop_set_wait_hooks(face->loop, let_go_of_lock, take_lock, face);
    return err ? (face_raise(err), -1) : 0;
}

PyMethodDef face_run_methods[] = {
    {"_run_once", run_once, METH_NOARGS, NULL},
    {"_keep_wakeups", keep_wakeups, METH_NOARGS, NULL},
    {"stop", stop, METH_NOARGS, "Stop the loop after what is ready."},
    {NULL, NULL, 0, NULL},
};
