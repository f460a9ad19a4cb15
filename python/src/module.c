/*
 * The extension libasyncio._core: the module, and its state.
 */
#include "face.h"

struct face_state *face_state_of(PyTypeObject *type)
{
    PyObject *module = PyType_GetModuleByDef(type, &face_module);
    return module ? PyModule_GetState(module) : NULL;
}

/* ---- Names of other modules ------------------------------------------------------ */

struct import {
    const char *module, *name;
    PyObject **place;
};

static int import_name(const struct import *import)
{
    PyObject *module = PyImport_ImportModule(import->module);
    if (module)
        *import->place = PyObject_GetAttrString(module, import->name);
    Py_XDECREF(module);
    return *import->place ? 0 : -1;
}

static int import_names(struct face_state *state)
{
    const struct import imports[] = {
        {"asyncio", "Handle", &state->Handle},
        {"asyncio", "TimerHandle", &state->TimerHandle},
        {"asyncio", "Future", &state->Future},
        {"asyncio", "Task", &state->Task},
        {"asyncio", "CancelledError", &state->CancelledError},
        {"asyncio", "InvalidStateError", &state->InvalidStateError},
        {"asyncio", "ensure_future", &state->ensure_future},
        {"asyncio", "SelectorEventLoop", &state->SelectorEventLoop},
        {"asyncio.format_helpers", "extract_stack", &state->extract_stack},
        {"asyncio.format_helpers", "_format_callback_source", &state->format_callback_source},
        {"signal", "set_wakeup_fd", &state->set_wakeup_fd},
        {"asyncio", "BufferedProtocol", &state->BufferedProtocol},
        {"asyncio.log", "logger", &state->logger},
        {"asyncio.selector_events", "_SelectorSocketTransport", &state->SocketTransport},
        {"_socket", "socket", &state->socket_type},
        {"asyncio.trsock", "TransportSocket", &state->TransportSocket},
        {"asyncio.base_events", "_set_nodelay", &state->set_nodelay},
        {"asyncio.futures", "_set_result_unless_cancelled", &state->set_result_unless_cancelled},
        {"asyncio", "StreamReader", &state->StreamReader},
        {"asyncio", "StreamWriter", &state->StreamWriter},
        {"asyncio", "StreamReaderProtocol", &state->StreamReaderProtocol},
        {"asyncio", "IncompleteReadError", &state->IncompleteReadError},
        {"asyncio", "LimitOverrunError", &state->LimitOverrunError},
    };
    for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++)
        if (import_name(&imports[i]) < 0)
            return -1;
    return 0;
}

static int intern_names(struct face_state *state)
{
#define X(name)                                                                                              \
    if (!(state->str_##name = PyUnicode_InternFromString(#name)))                                            \
        return -1;
    FACE_NAMES(X)
#undef X
    state->loop_keyword = Py_BuildValue("(O)", state->str_loop);
    state->task_keywords = Py_BuildValue("(OOO)", state->str_loop, state->str_name, state->str_context);
    state->minus_one = PyLong_FromLong(-1);
    state->newline = PyBytes_FromString("\n");
    state->no_args = PyTuple_New(0);
    return state->loop_keyword && state->task_keywords && state->minus_one && state->newline && state->no_args
               ? 0
               : -1;
}

/* ---- The module ------------------------------------------------------------------ */

static int execute_module(PyObject *module)
{
    struct face_state *state = PyModule_GetState(module);
    if (intern_names(state) < 0 || import_names(state) < 0)
        return -1;
    if (face_handle_add_types(module, state) < 0 || face_loop_add_type(module, state) < 0 ||
        face_transport_add_type(module, state) < 0 || face_stream_add_types(module, state) < 0 ||
        face_awaitable_add_type(module, state) < 0 || face_bridge_add_table(module) < 0)
        return -1;
    return PyModule_AddStringConstant(module, "__version__", asyncio_version());
}

/* Does `visit` for each object of the state. */
static int visit_module(PyObject *module, visitproc visit, void *arg)
{
    struct face_state *state = PyModule_GetState(module);
    Py_VISIT(state->loop_type);
    Py_VISIT(state->handle_type);
    Py_VISIT(state->timer_type);
    Py_VISIT(state->Handle);
    Py_VISIT(state->TimerHandle);
    Py_VISIT(state->Future);
    Py_VISIT(state->Task);
    Py_VISIT(state->CancelledError);
    Py_VISIT(state->InvalidStateError);
    Py_VISIT(state->ensure_future);
    Py_VISIT(state->awaitable_type);
    Py_VISIT(state->SelectorEventLoop);
    Py_VISIT(state->extract_stack);
    Py_VISIT(state->format_callback_source);
    Py_VISIT(state->set_wakeup_fd);
    Py_VISIT(state->transport_type);
    Py_VISIT(state->BufferedProtocol);
    Py_VISIT(state->logger);
    Py_VISIT(state->SocketTransport);
    Py_VISIT(state->socket_type);
    Py_VISIT(state->TransportSocket);
    Py_VISIT(state->set_nodelay);
    Py_VISIT(state->set_result_unless_cancelled);
    Py_VISIT(state->stream_reader_type);
    Py_VISIT(state->stream_writer_type);
    Py_VISIT(state->stream_protocol_type);
    Py_VISIT(state->operation_type);
    Py_VISIT(state->StreamReader);
    Py_VISIT(state->StreamWriter);
    Py_VISIT(state->StreamReaderProtocol);
    Py_VISIT(state->IncompleteReadError);
    Py_VISIT(state->LimitOverrunError);
    return 0;
}

static int clear_module(PyObject *module)
{
    struct face_state *state = PyModule_GetState(module);
    Py_CLEAR(state->loop_type);
    Py_CLEAR(state->handle_type);
    Py_CLEAR(state->timer_type);
    Py_CLEAR(state->Handle);
    Py_CLEAR(state->TimerHandle);
    Py_CLEAR(state->Future);
    Py_CLEAR(state->Task);
    Py_CLEAR(state->CancelledError);
    Py_CLEAR(state->InvalidStateError);
    Py_CLEAR(state->ensure_future);
    Py_CLEAR(state->awaitable_type);
    Py_CLEAR(state->SelectorEventLoop);
    Py_CLEAR(state->extract_stack);
    Py_CLEAR(state->format_callback_source);
    Py_CLEAR(state->set_wakeup_fd);
    Py_CLEAR(state->transport_type);
    Py_CLEAR(state->BufferedProtocol);
    Py_CLEAR(state->logger);
    Py_CLEAR(state->SocketTransport);
    Py_CLEAR(state->socket_type);
    Py_CLEAR(state->TransportSocket);
    Py_CLEAR(state->set_nodelay);
    Py_CLEAR(state->set_result_unless_cancelled);
    Py_CLEAR(state->stream_reader_type);
    Py_CLEAR(state->stream_writer_type);
    Py_CLEAR(state->stream_protocol_type);
    Py_CLEAR(state->operation_type);
    Py_CLEAR(state->StreamReader);
    Py_CLEAR(state->StreamWriter);
    Py_CLEAR(state->StreamReaderProtocol);
    Py_CLEAR(state->IncompleteReadError);
    Py_CLEAR(state->LimitOverrunError);
    Py_CLEAR(state->minus_one);
    Py_CLEAR(state->newline);
    Py_CLEAR(state->no_args);
    Py_CLEAR(state->loop_keyword);
    Py_CLEAR(state->task_keywords);
    Py_CLEAR(state->context_name);
#define X(name) Py_CLEAR(state->str_##name);
    FACE_NAMES(X)
#undef X
    return 0;
}

static void free_module(void *module)
{
    clear_module(module);
    face_handles_free(PyModule_GetState(module));
}

static PyMethodDef module_methods[] = {
    {"accept", face_accept, METH_O, NULL},
    {"send_datagram", (PyCFunction)(void (*)(void))face_send_datagram, METH_FASTCALL, NULL},
    {"end_tasks", face_end_tasks, METH_NOARGS, NULL},
    {"_leave_parent", face_leave_parent, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, execute_module},
#ifdef Py_mod_multiple_interpreters /* 3.12 */
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
    {0, NULL},
};

struct PyModuleDef face_module = {
    PyModuleDef_HEAD_INIT,
    .m_name = "libasyncio._core",
    .m_doc = "The event loop of libasyncio.",
    .m_size = sizeof(struct face_state),
    .m_methods = module_methods,
    .m_slots = module_slots,
    .m_traverse = visit_module,
    .m_clear = clear_module,
    .m_free = free_module,
};

PyMODINIT_FUNC PyInit__core(void);

PyMODINIT_FUNC PyInit__core(void)
{
    return PyModuleDef_Init(&face_module);
}
