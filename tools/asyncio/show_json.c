/*
 * --json and --dot: the same for programs.
 */
#include "look.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Strings ------------------------------------------------------------------ */

/* Graphviz knows the same escapes, as far as they come. */
static void print_string(const char *words)
{
    struct text clean = {0};
    text_add_clean(&clean, words);
    putchar('"');
    for (const char *at = text_of(&clean); *at; at++) {
        if (*at == '"' || *at == '\\')
            putchar('\\');
        putchar(*at);
    }
    putchar('"');
    text_free(&clean);
}

static void print_member(const char *name, const char *words)
{
    printf(",\"%s\":", name);
    print_string(words);
}

/* ---- JSON --------------------------------------------------------------------- */

static void print_site(const char *name, const struct site *site)
{
    if (!site || !site->file[0])
        return;
    struct text words = {0};
    text_add(&words, "%s:%u", site->file, site->line);
    print_member(name, text_of(&words));
    text_free(&words);
}

static void print_frames(const struct look *look, const struct stack *stack)
{
    bool is_first = true;
    printf(",\"frames\":[");
    for (size_t i = 0; stack && i < stack->count; i++) {
        const struct frame *frame = &stack->frames[i];
        if (frame->is_library && !look->options.all_frames)
            continue;
        printf("%s{\"pc\":\"0x%llx\"", is_first ? "" : ",", (unsigned long long)frame->pc);
        if (frame->function)
            print_member("function", frame->function);
        if (frame->object) {
            print_member("object", frame->object);
            printf(",\"offset\":\"0x%llx\"", (unsigned long long)frame->offset);
        }
        if (frame->file) {
            print_member("file", frame->file);
            printf(",\"line\":%d", frame->line);
        }
        printf("}");
        is_first = false;
    }
    printf("]");
}

static void print_task(struct look *look, const struct task *task)
{
    struct text name = {0}, words = {0}, place = {0};
    name_task(task, &name);
    explain_task(look, task, &words);
    say_where(task, &place);
    printf("{\"id\":%llu", (unsigned long long)task->id);
    print_member("name", text_of(&name));
    print_member("coroutine", coroutine_of(task));
    print_member("state", state_of(task));
    if (task->state == TASK_WAITS)
        printf(",\"since\":%.3f", waits_for_seconds(look, task));
    print_member("wait", text_of(&words));
    print_member("where", text_of(&place));
    print_site("made", task->site);
    printf(",\"steps\":%llu,\"steady\":%s", (unsigned long long)task->steps,
           task->is_unsteady ? "false" : "true");
    if (task->touched_bytes)
        printf(",\"stack_bytes\":%llu,\"stack_touched\":%llu",
               (unsigned long long)(task->room_high - task->room_low),
               (unsigned long long)task->touched_bytes);
    print_frames(look, task->stack);
    printf("}");
    text_free(&name);
    text_free(&words);
    text_free(&place);
}

static void print_edges(const struct look *look, const struct loop *loop)
{
    static const char *const kinds[] = {"awaits", "owns", "lock"};
    const struct model *model = &look->model;
    bool is_first = true;
    printf("],\"edges\":[");
    for (uint32_t i = 0; i < loop->tasks; i++) {
        const struct task *task = &model->tasks[loop->first_task + i];
        for (uint32_t e = 0; e < task->edge_count; e++, is_first = false) {
            const struct edge *edge = &model->edges[task->first_edge + e];
            printf("%s{\"from\":%llu,\"to\":%llu,\"kind\":\"%s\"}", is_first ? "" : ",",
                   (unsigned long long)task->id, (unsigned long long)model->tasks[edge->to].id,
                   kinds[edge->kind]);
        }
    }
}

static void print_cycles(const struct look *look, uint32_t loop)
{
    bool is_first = true;
    printf("],\"cycles\":[");
    for (size_t i = 0; i < look->cycles.count; i++) {
        const struct cycle *cycle = &look->cycles.all[i];
        if (look->model.tasks[cycle->tasks[0]].loop != loop)
            continue;
        for (size_t j = 0; j < cycle->length; j++)
            printf("%s%llu",
                   j          ? ","
                   : is_first ? "["
                              : ",[",
                   (unsigned long long)look->model.tasks[cycle->tasks[j]].id);
        printf("]");
        is_first = false;
    }
    printf("]");
}

static void print_loop(struct look *look, uint32_t index)
{
    const struct loop *loop = &look->model.loops[index];
    bool is_first = true;
    printf("{\"id\":%llu,\"thread\":%d,\"ready\":%llu,\"timers\":%llu,\"steps\":%llu,\"sleeping\":%s,"
           "\"tasks\":[",
           (unsigned long long)loop->id, loop->tid, (unsigned long long)loop->ready_count,
           (unsigned long long)loop->timer_count, (unsigned long long)loop->steps,
           loop->is_sleeping ? "true" : "false");
    for (uint32_t i = 0; i < loop->tasks; i++) {
        const struct task *task = &look->model.tasks[loop->first_task + i];
        if (!is_asked_for(look, task))
            continue;
        printf(is_first ? "" : ",");
        print_task(look, task);
        is_first = false;
    }
    print_edges(look, loop);
    print_cycles(look, index);
    printf("}");
}

void show_json(struct look *look)
{
    printf("{\"version\":1,\"pid\":%d,\"loops\":[", (int)look->target->pid);
    for (uint32_t i = 0; i < look->model.loop_count; i++) {
        printf(i ? "," : "");
        print_loop(look, i);
    }
    printf("]}\n");
}

/* ---- Graphviz ------------------------------------------------------------------ */

static void print_node(struct look *look, uint32_t i)
{
    const struct task *task = &look->model.tasks[i];
    struct text label = {0};
    name_task(task, &label);
    text_add(&label, " ");
    text_add_clean(&label, coroutine_of(task));
    text_add(&label, ": ");
    text_add_clean(&label, state_of(task));
    text_add(&label, " ");
    explain_task(look, task, &label);
    printf("  t%u [label=", i);
    print_string(text_of(&label));
    puts("]");
    text_free(&label);
}

void show_dot(struct look *look)
{
    static const char *const styles[] = {"", " [style=dashed]", " [color=red]"};
    const struct model *model = &look->model;
    puts("digraph asyncio {\n  node [shape=box]");
    for (uint32_t i = 0; i < model->task_count; i++)
        if (is_asked_for(look, &model->tasks[i]))
            print_node(look, i);
    for (uint32_t i = 0; i < model->task_count; i++)
        for (uint32_t e = 0; e < model->tasks[i].edge_count; e++) {
            const struct edge *edge = &model->edges[model->tasks[i].first_edge + e];
            if (is_asked_for(look, &model->tasks[i]) && is_asked_for(look, &model->tasks[edge->to]))
                printf("  t%u -> t%u%s\n", i, edge->to, styles[edge->kind]);
        }
    puts("}");
}
