/*
 * The bridge: what its two sources share. Awaitables (awaitable.h) are coroutines in C that Python awaits;
 * bridge.c has the other direction, errors and exceptions, and the table of calls for extension modules.
 *
 * A task in C runs on its own stack, with frames of Python's below it only while it calls Python. They must
 * be gone when it waits: the interpreter keeps its frames in one stack for each thread. So where a task waits
 * for Python, the current frame has to be the one that was current when its step began (face->step_frame),
 * which is run_forever's, or in an eager start that of the await.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include "face.h"
#include <asyncio/python.h>

/* A task in C and Python's context that it was made in: where it awaits Python, that runs in this one. 0, or
 * -1 and an exception. */
int bridge_enter_context(struct face_loop *face, asyncio_task *task, PyObject *context);
void bridge_leave_context(struct face_loop *face, asyncio_task *task);

/* Raises the exception of an error below 0: in its task, the very one that came with it. */
void bridge_raise(struct face_state *state, intptr_t err, const char *words);

/* awaitable.c. `keep` lives as long as the awaitable runs; it may be NULL. */
PyObject *bridge_make_awaitable(asyncio_coro *coro, asyncio_py_result result, void *arg, PyObject *keep,
                                const asyncio_site *site);

#endif
