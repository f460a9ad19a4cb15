/*
 * Reads a target, and stops it only if it must.
 *
 * All is copied while the target runs; then all is looked at once more. If nothing has changed, what was
 * copied is a picture of one moment, and the target was never stopped: so it is with a program that waits,
 * or hangs in a wait. Else the threads of its loops are stopped, what has changed is copied again, and they
 * go on. A loop that is in a step has its thread stopped in any case, for its registers.
 */
#include "look.h"
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define GROUPED_FROM 51
#define TRIES 3

static bool is_at_work(const struct model *model)
{
    for (size_t i = 0; i < model->loop_count; i++)
        if (model->loops[i].current || (HAS(model, loop_more) && !model->loops[i].is_sleeping))
            return true;
    return false;
}

static bool stop_loops(struct look *look, const char **why)
{
    const struct model *model = &look->model;
    int *tids = must_alloc((model->loop_count + 1) * sizeof *tids);
    size_t count = 0;
    for (size_t i = 0; i < model->loop_count; i++)
        if (model->loops[i].tid > 0)
            tids[count++] = model->loops[i].tid;
    bool is_stopped = look->target->ops->stop(look->target, tids, count, why);
    free(tids);
    return is_stopped;
}

/* A thread may be stopped in the middle of changing a list: then once more, a moment later. */
static bool copy_stopped(struct look *look)
{
    const char *why = "";
    for (int i = 0; i < TRIES; i++) {
        model_make_room(&look->model);
        if (!stop_loops(look, &why)) {
            text_add(&look->target->remark, "it was read without stopping it: %s; ", why);
            return false;
        }
        memory_look_again(&look->memory);
        model_collect(&look->model);
        model_take_registers(&look->model);
        touch_links(&look->model);
        look->target->ops->go_on(look->target);
        model_index(&look->model);
        if (!look->model.remark.length)
            break;
    }
    return true;
}

static void copy_live(struct look *look)
{
    struct model *model = &look->model;
    model_collect(model);
    touch_links(model);
    bool has_changed = memory_look_again(&look->memory) > 0 || model->remark.length;
    if (!has_changed && !is_at_work(model))
        return;
    if (!look->options.no_stop && copy_stopped(look))
        return;
    model_mark_unsteady(model);
}

static void index_stacks(struct look *look)
{
    for (uint32_t i = 0; i < look->model.task_count; i++)
        if (look->model.tasks[i].stack_high)
            table_put(&look->by_stack, look->model.tasks[i].stack_high, i);
}

static enum exit_status conclude(struct look *look)
{
    text_add(&look->target->remark, "%s", text_of(&look->model.remark));
    struct text *remark = &look->target->remark;
    if (!remark->length)
        return READ_WHOLE;
    fprintf(stderr, "asyncio: read in part: %.*s\n", (int)remark->length - 2, remark->at);
    return READ_IN_PART;
}

/* Says so if there is no loop, or not the one that was asked for. */
static bool has_loops(struct look *look)
{
    const char *number = look->options.loop;
    for (size_t i = 0; i < look->model.loop_count; i++)
        if (!number || strtoull(number, NULL, 10) == look->model.loops[i].id)
            return true;
    conclude(look);
    if (look->model.loop_count)
        fprintf(stderr, "asyncio: there is no loop %s in it\n", number);
    else
        fputs("asyncio: there is no event loop in it\n", stderr);
    return false;
}

enum exit_status look_at(struct look *look)
{
    enum exit_status status = target_open(look->options.what, look->options.program, &look->target);
    if (status != READ_WHOLE)
        return status;
    memory_init(&look->memory, look->target);
    status = model_open(&look->model, look->target, &look->memory);
    if (status != READ_WHOLE)
        return status;
    if (look->target->is_live) {
        copy_live(look);
    } else {
        model_collect(&look->model);
        model_take_registers(&look->model);
    }
    if (!has_loops(look))
        return NO_LOOP;
    model_link(&look->model);
    find_cycles(&look->model, &look->cycles);
    look->unwinder = unwinder_open(&look->model);
    unwind_all(look->unwinder);
    index_stacks(look);
    if (look->options.stacks)
        measure_depths(look);
    return conclude(look);
}

void look_free(struct look *look)
{
    if (!look->target)
        return;
    unwinder_free(look->unwinder);
    free_cycles(&look->cycles);
    table_free(&look->by_stack);
    model_free(&look->model);
    memory_free(&look->memory);
    target_close(look->target);
}

/* ---- What was asked for -------------------------------------------------------- */

static bool has_name(const struct task *task, const char *pattern)
{
    struct text name = {0};
    name_task(task, &name);
    bool fits = fnmatch(pattern, text_of(&name), 0) == 0 || fnmatch(pattern, coroutine_of(task), 0) == 0;
    text_free(&name);
    return fits;
}

static bool has_word(const struct task *task, const char *word)
{
    return strcasecmp(state_of(task), word) == 0 || (task->kind && strcasestr(task->kind->name, word));
}

bool is_asked_for(const struct look *look, const struct task *task)
{
    const struct options *options = &look->options;
    const struct loop *loop = &look->model.loops[task->loop];
    if (options->loop && strtoull(options->loop, NULL, 10) != loop->id)
        return false;
    return (!options->name || has_name(task, options->name)) &&
           (!options->wait || has_word(task, options->wait)) &&
           (!(options->older > 0) || waits_for_seconds(look, task) >= options->older);
}

bool groups_tasks(const struct look *look)
{
    return look->options.group ? look->options.group > 0 : look->model.task_count >= GROUPED_FROM;
}

uint64_t likeness_of(const struct task *task)
{
    const uint64_t parts[] = {task->loop,
                              (uintptr_t)task->coroutine,
                              task->state,
                              (uintptr_t)task->kind,
                              task->stack ? task->stack->own : 0,
                              task->is_unsteady};
    uint64_t mixed = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        mixed = ((mixed ^ parts[i]) * UINT64_C(0x9e3779b97f4a7c15)) ^ (mixed >> 29);
    return mixed;
}
