/*
 * How awaitables start and end: see awaitable.h.
 */
#include "awaitable.h"
#include <errno.h>

/* ---- The end ------------------------------------------------------------------------------- */

int awaitable_schedule(struct awaitable *awaitable, PyObject *callback, PyObject *context)
{
    PyObject *args[] = {(PyObject *)awaitable};
    struct face_target target = {.callback = callback, .args = args, .n_args = 1, .context = context};
    if (face_loop_check_open(awaitable->face) < 0)
        return -1;
    struct face_handle *handle = face_handle_new(awaitable->face, &target);
    int err = handle ? face_handle_queue(handle) : -1;
    Py_XDECREF(handle);
    return err;
}

static void schedule_callbacks(struct awaitable *awaitable)
{
    PyObject *callbacks = awaitable->callbacks;
    awaitable->callbacks = NULL;
    for (Py_ssize_t i = 0; callbacks && i < PyList_GET_SIZE(callbacks); i++) {
        PyObject *pair = PyList_GET_ITEM(callbacks, i);
        if (awaitable_schedule(awaitable, PyTuple_GET_ITEM(pair, 0), PyTuple_GET_ITEM(pair, 1)) < 0)
            PyErr_WriteUnraisable((PyObject *)awaitable);
    }
    Py_XDECREF(callbacks);
}

static PyObject *make_cancelled_error(struct awaitable *awaitable)
{
    return awaitable->cancel_message
               ? PyObject_CallOneArg(awaitable->face->state->CancelledError, awaitable->cancel_message)
               : PyObject_CallNoArgs(awaitable->face->state->CancelledError);
}

/* The current exception is how it ended. */
static void end_with_exception(struct awaitable *awaitable)
{
    bool is_cancelled = PyErr_ExceptionMatches(awaitable->face->state->CancelledError);
    awaitable->outcome = face_take_exception();
    awaitable->state = is_cancelled ? AWAITABLE_CANCELLED : AWAITABLE_FAILED;
    awaitable->is_untold = !is_cancelled;
}

/* With Python's result, which it takes over, or for NULL with the current exception. */
static void end_awaitable(struct awaitable *awaitable, PyObject *result)
{
    if (result) {
        awaitable->outcome = result;
        awaitable->state = AWAITABLE_DONE;
    } else {
        end_with_exception(awaitable);
    }
    Py_CLEAR(awaitable->keep);
    schedule_callbacks(awaitable);
}

/* Makes Python's result of the coroutine's, in its task; or NULL and an exception. */
static PyObject *make_result(struct awaitable *awaitable, intptr_t value)
{
    asyncio_py_result make = awaitable->result;
    PyObject *result = NULL;
    awaitable->result = NULL;
    if (make)
        result = make(value, awaitable->arg);
    else if (value >= 0)
        return PyLong_FromSsize_t(value);
    if (result || PyErr_Occurred()) {
        if (result)
            PyErr_Clear();
        return result;
    }
    if (value >= 0)
        PyErr_SetString(PyExc_SystemError, "the result of a coroutine in C is NULL, without an exception");
    else if (value == -ECANCELED && awaitable->cancel_message && !asyncio_error_object(value))
        PyErr_SetObject(awaitable->face->state->CancelledError, awaitable->cancel_message);
    else
        bridge_raise(awaitable->face->state, value, asyncio_error_message());
    return NULL;
}

/* It will not run. `result` has to be called all the same; what it makes is dropped. */
void awaitable_end_unrun(struct awaitable *awaitable)
{
    asyncio_coro *coro = awaitable->coro;
    awaitable->coro = NULL;
    asyncio_coro_close(coro);
    if (awaitable->result) {
        PyObject *result = make_result(awaitable, -ECANCELED);
        Py_XDECREF(result);
        PyErr_Clear();
    }
    PyObject *error = make_cancelled_error(awaitable);
    if (error)
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_XDECREF(error);
    end_awaitable(awaitable, NULL);
}

/* ---- The start ----------------------------------------------------------------------------- */

/* The body of the library's task. */
static intptr_t run_awaitable(void *arg)
{
    struct awaitable *awaitable = arg;
    asyncio_task *self = asyncio_current_task();
    asyncio_coro *coro = awaitable->coro;
    awaitable->coro = NULL;
    if (bridge_enter_context(awaitable->face, self, awaitable->context) < 0) {
        asyncio_coro_close(coro);
        PyObject *result = awaitable->result ? make_result(awaitable, -ENOMEM) : NULL;
        end_awaitable(awaitable, result);
        return 0;
    }
    awaitable->body = self;
    intptr_t value = asyncio_await_coro(coro);
    PyObject *result = make_result(awaitable, value);
    awaitable->body = NULL;
    bridge_leave_context(awaitable->face, self);
    end_awaitable(awaitable, result);
    return 0;
}

/* The task ends, or never began. */
static void drop_awaitable(void *arg)
{
    struct awaitable *awaitable = arg;
    if (!awaitable_has_ended(awaitable))
        awaitable_end_unrun(awaitable);
    asyncio_task *task = awaitable->task;
    awaitable->task = NULL;
    asyncio_release_task(task);
    Py_DECREF(awaitable);
}

/* Makes the task. `eager`: its first steps run in here. */
int awaitable_start(struct awaitable *awaitable, int eager)
{
    struct face_loop *face = awaitable->face;
    if (!awaitable->context && !(awaitable->context = PyContext_CopyCurrent()))
        return -1;
    asyncio_coro *coro = asyncio_coro_new_at(run_awaitable, awaitable, drop_awaitable, awaitable->site);
    if (!coro) {
        PyErr_NoMemory();
        return -1;
    }
    Py_INCREF(awaitable); /* the task's; also while it is made */
    Py_INCREF(awaitable);
    awaitable->state = AWAITABLE_PENDING;
    asyncio_task *task;
    if (eager == 1) {
        void *outer_frame = face->step_frame;
        asyncio_task_options options = {.eager_start = 1};
        face->step_frame = face_frame_of(face->thread_state);
        task = asyncio_create_task_with_at(coro, &options, awaitable->site);
        face->step_frame = outer_frame;
    } else {
        task = asyncio_loop_create_task_at(face->loop, coro, awaitable->site);
    }
    if (awaitable_has_ended(awaitable)) /* drop_awaitable has come and gone */
        asyncio_release_task(task);
    else
        awaitable->task = task;
    Py_DECREF(awaitable);
    return 0;
}

/* May this thread, and this loop, start it or wait for it? */
int awaitable_check_loop(struct awaitable *awaitable)
{
    struct face_loop *running = face_loop_running();
    if (running ? running == awaitable->face : face_loop_is_mine(awaitable->face))
        return face_loop_check_open(awaitable->face);
    PyErr_Format(PyExc_RuntimeError, "%R is attached to a different loop", (PyObject *)awaitable);
    return -1;
}

PyObject *bridge_make_awaitable(asyncio_coro *coro, asyncio_py_result result, void *arg, PyObject *keep,
                                const asyncio_site *site)
{
    struct face_loop *face = face_loop_running();
    if (!coro || !face) {
        asyncio_coro_close(coro);
        if (!PyErr_Occurred())
            PyErr_SetString(coro ? PyExc_RuntimeError : PyExc_MemoryError,
                            coro ? "no running event loop of libasyncio" : "no memory for a coroutine");
        return NULL;
    }
    PyTypeObject *type = face->state->awaitable_type;
    struct awaitable *awaitable = (struct awaitable *)type->tp_alloc(type, 0);
    if (!awaitable) {
        asyncio_coro_close(coro);
        return NULL;
    }
    awaitable->face = (struct face_loop *)Py_NewRef(face);
    awaitable->site = site;
    awaitable->coro = coro;
    awaitable->result = result;
    awaitable->arg = arg;
    awaitable->keep = Py_XNewRef(keep);
    return (PyObject *)awaitable;
}
