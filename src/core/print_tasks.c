/*
 * Tasks and call graphs, printed.
 */
#include "asyncio/inspect.h"
#include "core/call_graph.h"
#include "core/debug.h"
#include "core/loop.h"
#include "core/task.h"
#include <stdio.h>
#include <string.h>

/* Callers of callers are printed to this depth. */
#define DEPTH_MAX 64

static void print_head(const asyncio_call_graph *graph, FILE *file)
{
    fprintf(file, "%s of %s: %s", graph->name, graph->body->func, graph->words);
    if (graph->made_at)
        fprintf(file, ", made at %s:%d", graph->made_at->file, graph->made_at->line);
    fputs(graph->is_repeated ? "; see above\n" : "\n", file);
}

static void print_calls(const asyncio_call_graph *graph, const char *indent, FILE *file)
{
    for (size_t i = 0; i < graph->frame_count; i++) {
        char text[ASY_CALL_TEXT];
        if (asy_call_frame_is_ours(&graph->frames[i]))
            continue;
        asy_call_frame_text(&graph->frames[i], text);
        fprintf(file, "%s%s%s\n", indent, graph->caller_count ? "│ " : "  ", text);
    }
}

#define INDENT_BYTES (5 * (DEPTH_MAX + 1) + 1)

static void print_graph(const asyncio_call_graph *graph, char indent[INDENT_BYTES], int depth, FILE *file)
{
    size_t end = strlen(indent);
    print_head(graph, file);
    print_calls(graph, indent, file);
    for (size_t i = 0; i < graph->caller_count; i++) {
        bool is_last = i + 1 == graph->caller_count;
        if (depth == DEPTH_MAX) {
            fprintf(file, "%s└─ ...\n", indent);
            return;
        }
        fprintf(file, "%s%s awaited by ", indent, is_last ? "└─" : "├─");
        snprintf(indent + end, INDENT_BYTES - end, "%s", is_last ? "   " : "│  ");
        print_graph(graph->callers[i], indent, depth + 1, file);
        indent[end] = '\0';
    }
}

void asyncio_print_call_graph(asyncio_task *task, FILE *file)
{
    task = task ? task : asy_current_task();
    if (!task || !file)
        return;
    asy_future_check(&task->future, __func__);
    asyncio_call_graph *graph = asy_call_graph_capture(task, __builtin_return_address(0));
    char indent[INDENT_BYTES] = "";
    if (graph)
        print_graph(graph, indent, 0, file);
    else
        fputs("no memory for a call graph\n", file);
    asyncio_call_graph_release(graph);
}

/* ---- All tasks ----------------------------------------------------------------------- */

static void print_loop(asyncio_loop *loop, void *arg)
{
    FILE *file = arg;
    fprintf(file, "loop %llu: %zu task%s, %zu timer%s\n", (unsigned long long)loop->id, loop->task_count,
            loop->task_count == 1 ? "" : "s", loop->timers.count, loop->timers.count == 1 ? "" : "s");
    LIST_EACH(node, &loop->tasks) {
        const asyncio_task *task = LIST_ENTRY(node, asyncio_task, all);
        const asyncio_site *made_at = task->future.site;
        char words[ASY_DEBUG_WORDS], name[ASY_DEBUG_NAME];
        asy_debug_describe(task, words, sizeof words);
        fprintf(file, "  %s of %s: %s", asy_debug_name(task, name), task->type->site.func, words);
        if (made_at)
            fprintf(file, ", made at %s:%d", made_at->file, made_at->line);
        fputc('\n', file);
    }
}

void asyncio_print_tasks(FILE *file)
{
    if (!file)
        return;
    if (asy_running_loop)
        print_loop(asy_running_loop, file);
    else
        asy_loop_each_here(print_loop, file);
}
