/*
 * `asyncio ps`: one line a task.
 */
#include "look.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 7
#define COLUMN_STACK 5
static const char *const heads[COLUMNS] = {"ID", "NAME", "COROUTINE", "STATE", "SINCE", "STACK", "WHERE"};

struct row {
    struct text cells[COLUMNS];
    struct text place;
    const struct task *task; /* the first of `count` that are alike */
    size_t count;
    double least, most; /* seconds that they wait */
    uint64_t deepest;   /* bytes of stack */
};

struct rows {
    struct row *all;
    size_t count, capacity;
    struct table by_likeness;
};

static void add_to_row(struct look *look, struct rows *rows, const struct task *task)
{
    uint64_t likeness = groups_tasks(look) ? likeness_of(task) : task->at;
    uint32_t i = table_find(&rows->by_likeness, likeness);
    double seconds = waits_for_seconds(look, task);
    if (i == NOBODY) {
        GROW(rows->all, rows->capacity, rows->count);
        i = (uint32_t)rows->count++;
        rows->all[i] = (struct row){.task = task, .least = seconds, .most = seconds};
        table_put(&rows->by_likeness, likeness, i);
    }
    struct row *row = &rows->all[i];
    row->count++;
    row->least = seconds < row->least ? seconds : row->least;
    row->most = seconds > row->most ? seconds : row->most;
    row->deepest = task->touched_bytes > row->deepest ? task->touched_bytes : row->deepest;
}

static void fill_row(struct look *look, struct row *row)
{
    const struct task *task = row->task;
    text_add(&row->cells[0], "%s%llu", task->is_unsteady ? "~" : "", (unsigned long long)task->id);
    if (row->count > 1)
        text_add(&row->cells[1], "%zu tasks", row->count);
    else
        name_task(task, &row->cells[1]);
    text_add_clean(&row->cells[2], coroutine_of(task));
    text_add_clean(&row->cells[3], state_of(task));
    if (row->count > 1 && row->most - row->least >= 0.0005)
        text_add(&row->cells[4], "%.3f-%.3f s", row->least, row->most);
    else if (row->most >= 0)
        text_add(&row->cells[4], "%.3f s", row->most);
    if (row->count > 1 && task->state == TASK_WAITS)
        text_add(&row->cells[6], "the first: ");
    explain_task(look, task, &row->cells[6]);
    say_depth(task, row->deepest, &row->cells[COLUMN_STACK]);
    say_where(task, &row->place);
}

static void print_frame(const struct frame *frame, void *arg)
{
    struct text words = {0};
    (void)arg;
    say_frame(frame, &words);
    printf("      %s\n", text_of(&words));
    text_free(&words);
}

static bool is_column_shown(const struct look *look, size_t column)
{
    return column != COLUMN_STACK || look->options.stacks;
}

static void print_cell(size_t column, const char *words, size_t columns, size_t width)
{
    int spaces = width > columns ? (int)(width - columns) : 0;
    bool is_right = column == 0 || column == 4;
    printf("%*s%s%*s  ", is_right ? spaces : 0, "", words, is_right ? 0 : spaces, "");
}

static void find_widths(const struct rows *rows, size_t widths[COLUMNS])
{
    for (size_t c = 0; c < COLUMNS; c++) {
        widths[c] = strlen(heads[c]);
        for (size_t i = 0; i < rows->count; i++) {
            size_t columns = text_columns(&rows->all[i].cells[c]);
            if (columns > widths[c] && columns <= 60)
                widths[c] = columns;
        }
    }
}

static void print_rows(struct look *look, struct rows *rows)
{
    size_t widths[COLUMNS];
    find_widths(rows, widths);
    for (size_t c = 0; rows->count && c < COLUMNS - 1; c++)
        if (is_column_shown(look, c))
            print_cell(c, heads[c], strlen(heads[c]), widths[c]);
    if (rows->count)
        puts(heads[COLUMNS - 1]);
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->all[i];
        for (size_t c = 0; c < COLUMNS; c++)
            if (is_column_shown(look, c))
                print_cell(c, text_of(&row->cells[c]), text_columns(&row->cells[c]), widths[c]);
        printf("%s\n", text_of(&row->place));
        each_frame(look, row->task->stack, print_frame, NULL);
    }
}

static void free_rows(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        for (size_t c = 0; c < COLUMNS; c++)
            text_free(&rows->all[i].cells[c]);
        text_free(&rows->all[i].place);
    }
    free(rows->all);
    table_free(&rows->by_likeness);
}

static void show_loop(struct look *look, const struct loop *loop)
{
    struct rows rows = {0};
    struct text words = {0};
    say_loop(look, loop, &words);
    puts(text_of(&words));
    text_free(&words);
    for (uint32_t i = 0; i < loop->tasks; i++) {
        const struct task *task = &look->model.tasks[loop->first_task + i];
        if (is_asked_for(look, task))
            add_to_row(look, &rows, task);
    }
    for (size_t i = 0; i < rows.count; i++)
        fill_row(look, &rows.all[i]);
    print_rows(look, &rows);
    if (!find_task(&look->model, loop->current))
        each_frame(look, loop->stack, print_frame, NULL);
    free_rows(&rows);
    if (look->options.stacks)
        print_depths(look, loop);
}

static void show_cycles(struct look *look)
{
    for (size_t i = 0; i < look->cycles.count; i++) {
        struct text words = {0};
        say_cycle(look, &look->cycles.all[i], &words);
        puts(text_of(&words));
        text_free(&words);
    }
}

void show_list(struct look *look)
{
    show_cycles(look);
    for (size_t i = 0; i < look->model.loop_count; i++)
        if (!look->options.loop || strtoull(look->options.loop, NULL, 10) == look->model.loops[i].id)
            show_loop(look, &look->model.loops[i]);
}
