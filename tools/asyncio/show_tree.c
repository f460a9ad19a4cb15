/*
 * `asyncio pstree`: who awaits whom, with stacks.
 *
 * The roots are tasks that nobody awaits and no group owns. Tasks that await each other have none: the one
 * with the smallest number stands for it. A task that several await stands below the first.
 */
#include "look.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deeper than that the branches are not followed. */
#define DEPTH_MAX 200

struct entry {
    uint32_t task;
    size_t count; /* of tasks alike, without anything below them */
};

struct tree {
    struct look *look;
    bool *is_shown;
    struct text indent;
};

static bool has_below(const struct look *look, const struct task *task)
{
    for (uint32_t e = 0; e < task->edge_count; e++)
        if (look->model.edges[task->first_edge + e].kind != NEEDS_LOCK)
            return true;
    return false;
}

/* ---- Entries ------------------------------------------------------------------- */

struct entries {
    struct entry *all;
    size_t count, capacity;
    struct table by_likeness;
};

static void add_entry(struct look *look, struct entries *entries, uint32_t task)
{
    const struct task *at = &look->model.tasks[task];
    bool is_grouped = groups_tasks(look) && !has_below(look, at);
    uint64_t likeness = is_grouped ? likeness_of(at) : at->at;
    uint32_t i = table_find(&entries->by_likeness, likeness);
    if (i != NOBODY) {
        entries->all[i].count++;
        return;
    }
    GROW(entries->all, entries->capacity, entries->count);
    table_put(&entries->by_likeness, likeness, (uint32_t)entries->count);
    entries->all[entries->count++] = (struct entry){task, 1};
}

static void free_entries(struct entries *entries)
{
    free(entries->all);
    table_free(&entries->by_likeness);
}

/* ---- Lines --------------------------------------------------------------------- */

static void print_frame_line(const struct frame *frame, void *arg)
{
    const struct text *before = arg;
    struct text words = {0};
    say_frame(frame, &words);
    printf("%s%s\n", text_of(before), text_of(&words));
    text_free(&words);
}

static void print_head(struct tree *tree, const struct entry *entry, const char *branch)
{
    const struct task *task = &tree->look->model.tasks[entry->task];
    struct text line = {0}, words = {0};
    text_add(&line, "%s%s%s", text_of(&tree->indent), branch, task->is_unsteady ? "~" : "");
    if (entry->count > 1)
        text_add(&line, "%zu tasks like ", entry->count);
    name_task(task, &line);
    text_add(&line, " ");
    text_add_clean(&line, coroutine_of(task));
    text_add(&line, ": ");
    text_add_clean(&line, state_of(task));
    explain_task(tree->look, task, &words);
    text_add(&line, words.length ? ", %s" : "%s", text_of(&words));
    double seconds = waits_for_seconds(tree->look, task);
    if (seconds >= 0)
        text_add(&line, ", since %.3f s", seconds);
    text_clear(&words);
    say_depth(task, task->touched_bytes, &words);
    if (words.length)
        text_add(&line, ", stack %s", text_of(&words));
    if (task->site && task->site->file[0]) {
        text_add(&line, ", made at ");
        text_add_clean(&line, task->site->file);
        text_add(&line, ":%u", task->site->line);
    }
    puts(text_of(&line));
    text_free(&line);
    text_free(&words);
}

/* ---- The tree ------------------------------------------------------------------- */

static void print_entries(struct tree *tree, const struct entries *entries, size_t depth);

static void find_below(struct tree *tree, const struct task *task, struct entries *below)
{
    for (uint32_t e = 0; e < task->edge_count; e++) {
        const struct edge *edge = &tree->look->model.edges[task->first_edge + e];
        if (edge->kind == NEEDS_LOCK || tree->is_shown[edge->to])
            continue;
        tree->is_shown[edge->to] = true;
        add_entry(tree->look, below, edge->to);
    }
}

static void print_entry(struct tree *tree, const struct entry *entry, bool is_last, size_t depth)
{
    struct task *task = &tree->look->model.tasks[entry->task];
    struct entries below = {0};
    size_t length = tree->indent.length;
    find_below(tree, task, &below);
    print_head(tree, entry, is_last ? "└─ " : "├─ ");
    text_add(&tree->indent, is_last ? "   " : "│  ");
    size_t within = tree->indent.length;
    text_add(&tree->indent, below.count ? "│ " : "  ");
    each_frame(tree->look, task->stack, print_frame_line, &tree->indent);
    tree->indent.length = within;
    tree->indent.at[within] = '\0';
    if (depth < DEPTH_MAX)
        print_entries(tree, &below, depth + 1);
    else if (below.count)
        printf("%s└─ ...\n", text_of(&tree->indent));
    tree->indent.length = length;
    tree->indent.at[length] = '\0';
    free_entries(&below);
}

static void print_entries(struct tree *tree, const struct entries *entries, size_t depth)
{
    for (size_t i = 0; i < entries->count; i++)
        print_entry(tree, &entries->all[i], i + 1 == entries->count, depth);
}

/* Marks all that hangs below a root, so that cycles are told. */
static void mark_below(const struct model *model, uint32_t root, bool *is_reached)
{
    uint32_t *left = must_alloc((model->task_count + 1) * sizeof *left);
    size_t count = 0;
    left[count++] = root;
    is_reached[root] = true;
    while (count) {
        const struct task *task = &model->tasks[left[--count]];
        for (uint32_t e = 0; e < task->edge_count; e++) {
            const struct edge *edge = &model->edges[task->first_edge + e];
            if (edge->kind == NEEDS_LOCK || is_reached[edge->to])
                continue;
            is_reached[edge->to] = true;
            left[count++] = edge->to;
        }
    }
    free(left);
}

static void add_root(struct tree *tree, struct entries *roots, uint32_t task, bool *is_reached)
{
    tree->is_shown[task] = true;
    if (is_asked_for(tree->look, &tree->look->model.tasks[task]))
        add_entry(tree->look, roots, task);
    if (!is_reached[task])
        mark_below(&tree->look->model, task, is_reached);
}

static void find_roots(struct tree *tree, const struct loop *loop, struct entries *roots, bool *is_reached)
{
    const struct options *options = &tree->look->options;
    bool is_filtered = options->name || options->wait || options->older > 0;
    for (uint32_t i = loop->first_task; i < loop->first_task + loop->tasks; i++) {
        const struct task *task = &tree->look->model.tasks[i];
        if (task->owner == NOBODY || (is_filtered && is_asked_for(tree->look, task)))
            add_root(tree, roots, i, is_reached);
    }
    for (uint32_t i = loop->first_task; i < loop->first_task + loop->tasks; i++)
        if (!is_reached[i] && !is_filtered)
            add_root(tree, roots, i, is_reached);
}

static void print_tree(struct tree *tree, const struct loop *loop, bool *is_reached)
{
    struct text line = {0};
    struct entries roots = {0};
    say_loop(tree->look, loop, &line);
    puts(text_of(&line));
    text_free(&line);
    find_roots(tree, loop, &roots, is_reached);
    text_add(&tree->indent, "%s", "");
    if (!find_task(&tree->look->model, loop->current)) {
        struct text before = {0};
        text_add(&before, "│ ");
        each_frame(tree->look, loop->stack, print_frame_line, &before);
        text_free(&before);
    }
    print_entries(tree, &roots, 0);
    free_entries(&roots);
    if (tree->look->options.stacks)
        print_depths(tree->look, loop);
}

void show_tree(struct look *look)
{
    const struct model *model = &look->model;
    struct tree tree = {.look = look, .is_shown = must_alloc(model->task_count)};
    bool *is_reached = must_alloc(model->task_count);
    for (size_t i = 0; i < look->cycles.count; i++) {
        struct text line = {0};
        say_cycle(look, &look->cycles.all[i], &line);
        puts(text_of(&line));
        text_free(&line);
    }
    for (size_t i = 0; i < model->loop_count; i++)
        if (!look->options.loop || strtoull(look->options.loop, NULL, 10) == model->loops[i].id)
            print_tree(&tree, &model->loops[i], is_reached);
    free(is_reached);
    free(tree.is_shown);
    text_free(&tree.indent);
}
