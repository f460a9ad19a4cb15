/*
 * How deep stacks were used: by the pages of each that have memory. A stack serves one task after the other,
 * so what is told of a task may be an earlier one's doing; it is never less than its own.
 */
#include "look.h"
#include <stdio.h>
#include <stdlib.h>

/* A stack that would be larger is none. */
#define ROOM_BYTES_MAX (UINT64_C(1) << 32)

static void measure_task(struct target *target, struct task *task)
{
    uint64_t low = task->room_low & ~(uint64_t)(PAGE_BYTES - 1), high = task->room_high;
    if (low < high && high - low <= ROOM_BYTES_MAX &&
        target->ops->find_touched(target, low, high, &task->touched_low))
        task->touched_bytes = high - task->touched_low;
}

void measure_depths(struct look *look)
{
    for (uint32_t i = 0; i < look->model.task_count; i++)
        measure_task(look->target, &look->model.tasks[i]);
}

static unsigned long long to_kib(uint64_t bytes)
{
    return (bytes + 1023) / 1024;
}

void say_depth(const struct task *task, uint64_t touched_bytes, struct text *text)
{
    if (touched_bytes)
        text_add(text, "%llu of %llu KiB", to_kib(touched_bytes), to_kib(task->room_high - task->room_low));
}

/* ---- By coroutine --------------------------------------------------------------- */

struct depth {
    const struct task *deepest;
    size_t tasks;
};

static int compare_depth(const void *a, const void *b)
{
    const struct task *first = ((const struct depth *)a)->deepest,
                      *second = ((const struct depth *)b)->deepest;
    if (first->touched_bytes != second->touched_bytes)
        return first->touched_bytes < second->touched_bytes ? 1 : -1;
    return first->id < second->id ? -1 : 1;
}

/* By coroutine; the number of them. */
static size_t collect_depths(const struct look *look, const struct loop *loop, struct depth *depths)
{
    struct table places = {0};
    size_t count = 0;
    for (uint32_t i = loop->first_task; i < loop->first_task + loop->tasks; i++) {
        const struct task *task = &look->model.tasks[i];
        if (!task->touched_bytes || !is_asked_for(look, task))
            continue;
        uint32_t place = table_find(&places, (uintptr_t)task->coroutine);
        if (place == NOBODY) {
            place = (uint32_t)count++;
            depths[place] = (struct depth){.deepest = task};
            table_put(&places, (uintptr_t)task->coroutine, place);
        }
        depths[place].tasks++;
        if (task->touched_bytes > depths[place].deepest->touched_bytes)
            depths[place].deepest = task;
    }
    table_free(&places);
    return count;
}

void print_depths(const struct look *look, const struct loop *loop)
{
    struct depth *depths = must_alloc((loop->tasks + 1) * sizeof *depths);
    size_t count = collect_depths(look, loop, depths);
    qsort(depths, count, sizeof *depths, compare_depth);
    for (size_t i = 0; i < count; i++) {
        const struct task *deepest = depths[i].deepest;
        struct text line = {0};
        text_add(&line, "stacks of ");
        text_add_clean(&line, coroutine_of(deepest));
        text_add(&line, ": ");
        say_depth(deepest, deepest->touched_bytes, &line);
        printf("%s, the deepest of %zu task%s\n", text_of(&line), depths[i].tasks,
               depths[i].tasks == 1 ? "" : "s");
        text_free(&line);
    }
    free(depths);
}
