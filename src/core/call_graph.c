/*
 * Call graphs: a task and, by awaits, who waits for it, each with the calls that it is in. A graph is a copy
 * of all that it tells, and holds no task.
 */
#include "core/call_graph.h"
#include "asyncio/errors.h"
#include "asyncio/inspect.h"
#include "core/awaiters.h"
#include "core/debug.h"
#include "core/switch.h"
#include "core/task.h"
#include "sys/backtrace.h"
#include "sys/sys.h"
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

/* ---- One call ------------------------------------------------------------------------ */

asyncio_call_frame asy_call_frame_of(const void *pc, bool is_exact)
{
    size_t back = is_exact ? 0 : 1;
    struct asy_symbol symbol = asy_sys_find_symbol((const char *)pc - back);
    return (asyncio_call_frame){pc, symbol.function, symbol.object,
                                symbol.offset + (symbol.object ? back : 0)};
}

bool asy_call_frame_is_ours(const asyncio_call_frame *frame)
{
    struct asy_symbol library = asy_sys_find_symbol((const void *)&asyncio_capture_call_graph);
    struct asy_symbol program = asy_sys_find_symbol((const void *)(uintptr_t)getauxval(AT_ENTRY));
    return !frame->function && library.base != program.base && frame->object == library.object;
}

static const char *without_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void asy_call_frame_text(const asyncio_call_frame *frame, char text[ASY_CALL_TEXT])
{
    if (frame->function)
        snprintf(text, ASY_CALL_TEXT, "%s+0x%zx", frame->function, frame->offset);
    else if (frame->object)
        snprintf(text, ASY_CALL_TEXT, "%s+0x%zx", without_folder(frame->object), frame->offset);
    else
        snprintf(text, ASY_CALL_TEXT, "%p", frame->pc);
}

/* ---- One task ------------------------------------------------------------------------ */

/* The addresses of the calls that a task is in. `caller`: where this thread's own calls begin to be of
 * interest, since those further in are the library's. */
static int find_calls(const asyncio_task *task, void **pcs, const void *caller)
{
    bool is_here;
    void *place = asy_task_place(task, &is_here);
    if (place)
        return asy_sys_backtrace_at(place, pcs, ASY_FRAMES_MAX);
    if (!is_here)
        return 0;
    int count = asy_sys_backtrace(pcs, ASY_FRAMES_MAX), first = 0;
    while (first < count && pcs[first] != caller)
        first++;
    if (first == count)
        return count;
    memmove(pcs, pcs + first, (size_t)(count - first) * sizeof *pcs);
    return count - first;
}

static bool copy_calls(asyncio_call_graph *graph, const asyncio_task *task, const void *caller)
{
    void *pcs[ASY_FRAMES_MAX];
    int count = find_calls(task, pcs, caller);
    if (count == 0)
        return true;
    graph->frames = asy_sys_alloc((size_t)count * sizeof *graph->frames);
    if (!graph->frames)
        return false;
    for (int i = 0; i < count; i++)
        graph->frames[i] = asy_call_frame_of(pcs[i], /* is_exact= */ false);
    graph->frame_count = (size_t)count;
    return true;
}

/* A node without calls and callers. NULL: no memory. */
static asyncio_call_graph *make_node(const asyncio_task *task)
{
    char made[ASY_DEBUG_NAME];
    const char *name = asy_debug_name(task, made);
    size_t bytes = strlen(name) + 1;
    asyncio_call_graph *graph = asy_sys_calloc(1, sizeof *graph + bytes);
    if (!graph)
        return NULL;
    memcpy(graph->name, name, bytes);
    graph->body = &task->type->site;
    graph->made_at = task->future.site;
    asy_debug_describe(task, graph->words, sizeof graph->words);
    return graph;
}

/* ---- All that wait ------------------------------------------------------------------- */

/* A capture under way. Nodes are in the order in which they were met, which is the order in which they are
 * entered; tasks that were entered are marked. */
struct capture {
    asyncio_call_graph *last;
    struct awaiters awaiters;
    const void *caller;
};

static asyncio_call_graph *append_node(struct capture *capture, asyncio_task *task)
{
    asyncio_call_graph *graph = make_node(task);
    if (!graph)
        return NULL;
    graph->is_repeated = task->future.flags & FUTURE_MARKED;
    graph->task = task;
    task->future.flags |= FUTURE_MARKED;
    if (capture->last)
        capture->last->next = graph;
    capture->last = graph;
    return graph;
}

/* False: no memory. */
static bool enter_node(struct capture *capture, asyncio_call_graph *graph)
{
    if (graph->is_repeated)
        return true;
    if (!copy_calls(graph, graph->task, capture->caller))
        return false;
    const struct awaiter *end = capture->awaiters.all + capture->awaiters.count;
    const struct awaiter *first = asy_awaiters_of(&capture->awaiters, &graph->task->future), *it = first;
    while (it && it < end && it->awaited == &graph->task->future)
        it++;
    if (!first)
        return true;
    graph->callers = asy_sys_alloc((size_t)(it - first) * sizeof *graph->callers);
    if (!graph->callers)
        return false;
    for (it = first; it < end && it->awaited == &graph->task->future; it++) {
        asyncio_call_graph *by = append_node(capture, it->task);
        if (!by)
            return false;
        graph->callers[graph->caller_count++] = by;
    }
    return true;
}

asyncio_call_graph *asy_call_graph_capture(asyncio_task *task, const void *caller)
{
    struct capture capture = {.caller = caller};
    asyncio_call_graph *root = NULL;
    bool is_whole = asy_awaiters_find(task->future.loop, &capture.awaiters);
    if (is_whole)
        root = append_node(&capture, task);
    for (asyncio_call_graph *graph = root; graph && is_whole; graph = graph->next)
        is_whole = enter_node(&capture, graph);
    for (asyncio_call_graph *graph = root; graph; graph = graph->next)
        graph->task->future.flags &= (uint16_t)~FUTURE_MARKED;
    asy_awaiters_free(&capture.awaiters);
    if (is_whole)
        return root;
    asyncio_call_graph_release(root);
    return NULL;
}

/* ---- For the program -------------------------------------------------------------------- */

asyncio_call_graph *asyncio_capture_call_graph(asyncio_task *task)
{
    task = task ? task : asy_current_task();
    if (!task)
        return NULL;
    asy_future_check(&task->future, __func__);
    return asy_call_graph_capture(task, __builtin_return_address(0));
}

size_t asyncio_call_graph_frames(const asyncio_call_graph *graph, const asyncio_call_frame **frames)
{
    if (frames)
        *frames = graph ? graph->frames : NULL;
    return graph ? graph->frame_count : 0;
}

size_t asyncio_call_graph_awaited_by(const asyncio_call_graph *graph,
                                     const asyncio_call_graph *const **callers)
{
    if (callers)
        *callers = graph ? (const asyncio_call_graph *const *)graph->callers : NULL;
    return graph ? graph->caller_count : 0;
}

const char *asyncio_call_graph_name(const asyncio_call_graph *graph)
{
    return graph ? graph->name : "";
}

void asyncio_call_graph_release(asyncio_call_graph *graph)
{
    while (graph) {
        asyncio_call_graph *next = graph->next;
        asy_sys_free(graph->frames);
        asy_sys_free(graph->callers);
        asy_sys_free(graph);
        graph = next;
    }
}
