/*
 * The end of a run: asyncio.run cancels the tasks of Python's that are left and waits for them; this does so
 * for those of C, which may have no task of Python's that awaits them, as the members of a gather.
 */
#include "bridge.h"
#include <errno.h>

/* Stores the tasks that are left but the running one, each with a reference. */
static size_t take_tasks(asyncio_task **tasks, size_t n)
{
    size_t taken = 0;
    asyncio_all_tasks(tasks, n);
    for (size_t i = 0; i < n; i++)
        if (tasks[i] != asyncio_current_task())
            tasks[taken++] = asyncio_ref_task(tasks[i]);
    return taken;
}

static intptr_t end_others(void *unused)
{
    (void)unused;
    size_t n = asyncio_all_tasks(NULL, 0);
    if (n < 2)
        return 0;
    asyncio_task **tasks = PyMem_New(asyncio_task *, n);
    if (!tasks)
        return -ENOMEM;
    n = take_tasks(tasks, n);
    for (size_t i = 0; i < n; i++)
        asyncio_cancel_task(tasks[i]);
    ptrdiff_t err = asyncio_wait(tasks, n, ASYNCIO_FOREVER, ASYNCIO_ALL_COMPLETED);
    for (size_t i = 0; i < n; i++)
        asyncio_release_task(tasks[i]);
    PyMem_Free(tasks);
    return err < 0 ? err : 0;
}

PyObject *face_end_tasks(PyObject *module, PyObject *unused)
{
    (void)module, (void)unused;
    return bridge_make_awaitable(asyncio_coro_new(end_others, NULL, NULL), NULL, NULL, NULL, ASYNCIO_HERE);
}
