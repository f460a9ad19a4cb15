/*
 * The loops and tasks of a target. See model.h.
 *
 * Each list is followed with its length bounded, each node is compared with the one before, and each task
 * must say that it is one, and of this loop. So a list that changes meanwhile, or that was made up, ends the
 * walk.
 */
#include "model.h"
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOPS_MAX 65536
#define TASKS_MAX ((size_t)4 << 20)
#define STRUCT_BYTES_MAX 4096
#define STACK_BYTES_MAX 65536
#define NAME_BYTES_MAX 256

/* ---- Structs ---------------------------------------------------------------- */

struct block {
    unsigned char bytes[STRUCT_BYTES_MAX];
    size_t size;
};

static bool read_block(struct model *model, struct block *block, uint64_t address, uint32_t size)
{
    block->size = size < sizeof block->bytes ? size : sizeof block->bytes;
    return memory_read(model->memory, address, block->bytes, block->size);
}

/* A field; 0 if the struct is not as long. */
static uint64_t field(const struct block *block, uint32_t offset, size_t bytes)
{
    uint64_t value = 0;
    if (offset <= block->size && bytes <= block->size - offset)
        memcpy(&value, block->bytes + offset, bytes);
    return value;
}

/* ---- Kinds and sites -------------------------------------------------------- */

const struct kind *model_kind(struct model *model, uint64_t address)
{
    if (!address)
        return NULL;
    uint32_t i = table_find(&model->kinds, address);
    if (i != UINT32_MAX)
        return model->kind_list[i];
    struct kind *kind = must_alloc(sizeof *kind);
    kind->name =
        memory_string(model->memory, memory_word(model->memory, address + model->debug.wait.kind_name), 64);
    if (HAS(model, shape)) {
        struct memory *memory = model->memory;
        kind->shape.kind = memory_half(memory, address + model->debug.shape.kind);
        kind->shape.deadline = memory_half(memory, address + model->debug.shape.deadline);
        memory_read(memory, address + model->debug.shape.at, kind->shape.at, sizeof kind->shape.at);
    }
    GROW(model->kind_list, model->kind_list_capacity, model->kind_list_count);
    table_put(&model->kinds, address, (uint32_t)model->kind_list_count);
    return model->kind_list[model->kind_list_count++] = kind;
}

static char *last_part(char *path)
{
    char *slash = strrchr(path, '/');
    char *part = must_copy(slash ? slash + 1 : path);
    free(path);
    return part;
}

const struct site *model_site(struct model *model, uint64_t address)
{
    if (!address)
        return NULL;
    uint32_t i = table_find(&model->sites, address);
    if (i != UINT32_MAX)
        return model->site_list[i];
    struct memory *memory = model->memory;
    struct site *site = must_alloc(sizeof *site);
    site->file =
        last_part(memory_string(memory, memory_word(memory, address + model->debug.site.file), 1024));
    site->function =
        memory_string(memory, memory_word(memory, address + model->debug.site.func), NAME_BYTES_MAX);
    site->line = memory_half(memory, address + model->debug.site.line);
    GROW(model->site_list, model->site_list_capacity, model->site_list_count);
    table_put(&model->sites, address, (uint32_t)model->site_list_count);
    return model->site_list[model->site_list_count++] = site;
}

static char *keep_name(struct model *model, uint64_t address)
{
    if (!address)
        return NULL;
    GROW(model->names, model->name_capacity, model->name_count);
    return model->names[model->name_count++] = memory_string(model->memory, address, NAME_BYTES_MAX);
}

static void add_remark(struct model *model, const char *words)
{
    if (!strstr(text_of(&model->remark), words))
        text_add(&model->remark, "%s; ", words);
}

/* ---- Tasks ------------------------------------------------------------------ */

static void load_stack(struct model *model, struct task *task, uint64_t stack, uint64_t running)
{
    struct block block;
    read_block(model, &block, stack, model->debug.stack.size);
    task->room_low = task->stack_low = field(&block, model->debug.stack.low, 8);
    task->room_high = task->stack_high = field(&block, model->debug.stack.top, 8);
    if (task->at == running) {
        task->stack_low = 0;
        return;
    }
    bool is_whole =
        task->stack_low < task->stack_high && task->sp >= task->stack_low && task->sp < task->stack_high;
    if (!is_whole) {
        task->stack_low = task->stack_high = 0;
        return;
    }
    uint64_t used = task->stack_high - task->sp;
    memory_copy_stretch(model->memory, task->sp,
                        task->sp + (used < STACK_BYTES_MAX ? used : STACK_BYTES_MAX));
}

static const struct creator *find_creator(const struct loop *loop, uint64_t task)
{
    for (uint32_t i = 0; i < loop->creator_count; i++)
        if (loop->creators[i].at == task)
            return &loop->creators[i];
    return NULL;
}

/* What the task's struct says. False: it is no task of this loop. */
static bool load_task(struct model *model, struct task *task, const struct loop *loop)
{
    const struct asyncio_debug_v1 *debug = &model->debug;
    struct block block;
    if (!read_block(model, &block, task->at, debug->task.size) ||
        field(&block, debug->future.kind, 1) != debug->kind_task ||
        (HAS(model, future_loop) && field(&block, debug->future_loop, 8) != loop->at))
        return false;
    task->id = field(&block, debug->task.id, 8);
    task->steps = field(&block, debug->task.steps, 8);
    task->sp = field(&block, debug->task.sp, 8);
    task->wait = field(&block, debug->task.wait, 8);
    task->next = field(&block, debug->task.node, 8);
    task->name = keep_name(model, field(&block, debug->task.name, 8));
    task->site = model_site(model, field(&block, debug->future.site, 8));
    task->is_cancelled = field(&block, debug->task.must_cancel, 1);
    task->scopes = HAS(model, task_scopes) ? field(&block, debug->task_scopes, 8) : 0;
    uint64_t type = field(&block, debug->task.type, 8), stack = field(&block, debug->task.stack, 8);
    task->coroutine = type ? model_site(model, type + debug->type.site) : NULL;
    bool is_running = task->at == loop->current;
    const struct creator *creator = find_creator(loop, task->at);
    if (creator)
        task->sp = creator->sp;
    if (stack)
        load_stack(model, task, stack, loop->current);
    task->state = is_running    ? TASK_RUNS
                  : creator     ? TASK_CREATES
                  : !task->sp   ? TASK_STARTS
                  : !task->wait ? TASK_READY
                                : TASK_UNKNOWN;
    return true;
}

/* Its wait lies on its stack, which is copied. */
static void load_wait(struct model *model, struct task *task)
{
    const struct asyncio_debug_v1 *debug = &model->debug;
    struct block block;
    if (!model->target->is_live && task->sp && task->state != TASK_RUNS &&
        !memory_word(model->memory, task->sp + debug->context.return_address))
        add_remark(model,
                   "there are zeros where the stacks were, as in cores that gdb makes (a core of kill -ABRT, "
                   "and asyncio save, have them)");
    if (task->state != TASK_UNKNOWN || !read_block(model, &block, task->wait, debug->wait.size) ||
        field(&block, debug->wait.task, 8) != task->at)
        return;
    bool is_granted = field(&block, debug->wait.state, 1) != 0;
    task->state = is_granted ? TASK_READY : TASK_WAITS;
    task->kind = model_kind(model, field(&block, debug->wait.kind, 8));
    task->object = field(&block, debug->wait.object, 8);
    task->since_ns = (int64_t)field(&block, debug->wait.since_ns, 8);
    if (task->kind && task->kind->shape.deadline)
        task->deadline_ns = (int64_t)memory_word(model->memory, task->wait + task->kind->shape.deadline);
}

static struct task *add_task(struct model *model, uint64_t at, uint32_t loop)
{
    GROW(model->tasks, model->task_capacity, model->task_count);
    struct task *task = &model->tasks[model->task_count];
    *task = (struct task){.at = at,
                          .loop = loop,
                          .owner = NOBODY,
                          .deadline_ns = INT64_MAX,
                          .timeout_ns = INT64_MAX,
                          .state = TASK_UNKNOWN,
                          .is_new = true};
    model->task_count++;
    return task;
}

/* Is what was made of the task before still true? Its pages say so, unless it ran. */
static bool is_unchanged(const struct model *model, const struct task *task)
{
    const struct page *pages = model->memory->pages;
    return task->state != TASK_RUNS && task->state != TASK_CREATES && task->state != TASK_UNKNOWN &&
           task->first_page != NOBODY && task->last_page != NOBODY && !pages[task->first_page].has_changed &&
           !pages[task->last_page].has_changed;
}

/* Takes over a task as it was made before; false: it must be read. `*place`: where it is looked for first,
 * and then where the next one is. */
static bool take_over(struct model *model, struct task *task, const struct model *before, size_t *place)
{
    if (*place >= before->task_count || before->tasks[*place].at != task->at)
        *place = table_find(&before->by_address, task->at);
    if (*place >= before->task_count)
        return false;
    const struct task *old = &before->tasks[(*place)++];
    const struct loop *loop_now = &model->loops[task->loop];
    if (task->at == loop_now->current || find_creator(loop_now, task->at) || !is_unchanged(model, old))
        return false;
    uint32_t loop = task->loop;
    *task = *old;
    task->loop = loop;
    task->is_new = false;
    return true;
}

static bool read_task(struct model *model, struct task *task)
{
    const struct loop *loop = &model->loops[task->loop];
    if (!load_task(model, task, loop))
        return false;
    const struct page *first = memory_find_page(model->memory, task->at);
    const struct page *last = memory_find_page(model->memory, task->at + model->debug.task.size - 1);
    task->first_page = first ? (uint32_t)(first - model->memory->pages) : NOBODY;
    task->last_page = last ? (uint32_t)(last - model->memory->pages) : NOBODY;
    return true;
}

/* `before`: what was made of an earlier copy, or NULL. */
static void collect_tasks(struct model *model, uint32_t loop_index, const struct model *before)
{
    struct loop *loop = &model->loops[loop_index];
    uint64_t head = loop->at + model->debug.loop.tasks, previous = head,
             node = memory_word(model->memory, head);
    size_t torn = 0, place = 0, most = before ? 2 * before->task_count + 100000 : TASKS_MAX;
    loop->first_task = (uint32_t)model->task_count;
    for (; node != head; previous = node, node = model->tasks[model->task_count - 1].next) {
        struct task *task = add_task(model, node - model->debug.task.node, loop_index);
        if (before && model->task_count <= most && take_over(model, task, before, &place))
            continue;
        /* A node that is being taken off is off the way forward first: one place may be torn. */
        bool is_torn = memory_word(model->memory, node + 8) != previous && torn++;
        bool is_known = !before && table_find(&model->by_address, task->at) != UINT32_MAX;
        if (!node || is_torn || is_known || model->task_count > most || !read_task(model, task)) {
            model->task_count--;
            add_remark(model, "a list of tasks is broken");
            break;
        }
        if (!before)
            table_put(&model->by_address, task->at, (uint32_t)model->task_count - 1);
    }
    loop->tasks = (uint32_t)model->task_count - loop->first_task;
}

/* ---- Loops ------------------------------------------------------------------ */

/* A creator's place is where the loop's own is else: that of the innermost in the loop, that of the next in
 * what the innermost will put back. */
static void load_creators(struct model *model, struct loop *loop, uint64_t start, uint64_t sp)
{
    struct memory *memory = model->memory;
    for (int depth = 0; start && depth < CREATORS_MAX; depth++) {
        uint64_t creator = memory_word(memory, start + model->debug.eager.creator);
        if (creator)
            loop->creators[loop->creator_count++] = (struct creator){.at = creator, .sp = sp};
        sp = memory_word(memory, start + model->debug.eager.outer_sp);
        start = memory_word(memory, start + model->debug.eager.outer);
    }
}

static void load_loop(struct model *model, struct loop *loop)
{
    const struct asyncio_debug_v1 *debug = &model->debug;
    struct block block;
    read_block(model, &block, loop->at, debug->loop.size);
    loop->id = loop->at;
    loop->timer_ns = INT64_MAX;
    loop->tid = (int)field(&block, debug->loop.thread, 4);
    loop->current = field(&block, debug->loop.current, 8);
    loop->steps = field(&block, debug->loop.turn, 8);
    loop->ready_count = field(&block, debug->loop.ready_count, 8);
    loop->timer_count = field(&block, debug->loop.timer_count, 8);
    loop->task_count = field(&block, debug->loop.task_count, 8);
    loop->now_ns = (int64_t)field(&block, debug->loop.now_ns, 8);
    if (!HAS(model, loop_more))
        return;
    loop->id = field(&block, debug->loop_more.id, 8);
    loop->is_sleeping = field(&block, debug->loop_more.sleeping, 1);
    loop->polls = field(&block, debug->loop_more.polls, 8);
    loop->callbacks = field(&block, debug->loop_more.callbacks, 8);
    loop->is_virtual = field(&block, debug->loop_more.clock, 4) == debug->loop_more.clock_virtual;
    uint64_t slots = field(&block, debug->loop_more.timer_slots, 8);
    if (loop->timer_count && slots)
        loop->timer_ns = (int64_t)memory_word(model->memory, slots + debug->loop_more.slot_deadline);
    if (HAS(model, eager))
        load_creators(model, loop, field(&block, debug->eager.innermost, 8),
                      field(&block, debug->eager.loop_sp, 8));
}

static void collect_loops(struct model *model)
{
    uint64_t head = (uint64_t)(uintptr_t)model->debug.runtime, previous = head;
    uint64_t node = memory_word(model->memory, head);
    while (node != head) {
        if (!node || model->loop_count == LOOPS_MAX || memory_word(model->memory, node + 8) != previous) {
            add_remark(model, "the list of loops is broken");
            return;
        }
        GROW(model->loops, model->loop_capacity, model->loop_count);
        struct loop *loop = &model->loops[model->loop_count++];
        *loop = (struct loop){.at = node - model->debug.loop.node};
        load_loop(model, loop);
        previous = node;
        node = memory_word(model->memory, node);
    }
}

/* Reads what an object says of itself, so that it is in the copy. */
static void touch_object(struct model *model, const struct task *task)
{
    if (!task->kind || !task->object)
        return;
    memory_word(model->memory, task->object);
    for (size_t i = 0; i < 4; i++)
        if (task->kind->shape.at[i])
            memory_word(model->memory, task->object + task->kind->shape.at[i]);
}

static void own_stack(struct model *model, const struct task *task)
{
    model->memory->own_low = task ? task->stack_low : 0;
    model->memory->own_high = task ? task->stack_high : 0;
}

static void collect_waits(struct model *model)
{
    for (size_t i = 0; i < model->task_count; i++) {
        struct task *task = &model->tasks[i];
        if (!task->is_new)
            continue;
        own_stack(model, task);
        load_wait(model, task);
        touch_object(model, task);
    }
    own_stack(model, NULL);
}

void model_collect(struct model *model)
{
    struct model before = *model;
    model->loops = NULL;
    model->tasks = model->room;
    model->task_capacity = model->room_capacity;
    model->room = NULL;
    model->loop_count = model->loop_capacity = model->task_count = model->room_capacity = 0;
    model->by_address = model->by_id = (struct table){0};
    text_clear(&model->remark);
    collect_loops(model);
    for (uint32_t i = 0; i < model->loop_count; i++)
        collect_tasks(model, i, before.tasks ? &before : NULL);
    memory_sort_stretches(model->memory);
    collect_waits(model);
    memory_settle(model->memory);
    free(before.loops);
    free(before.tasks);
    table_free(&before.by_address);
    table_free(&before.by_id);
}

void model_make_room(struct model *model)
{
    free(model->room);
    model->room_capacity = model->task_count + 256;
    model->room = must_alloc(model->room_capacity * sizeof *model->room);
    memset(model->room, 0xff, model->room_capacity * sizeof *model->room);
}

void model_index(struct model *model)
{
    if (model->by_address.count)
        return;
    for (uint32_t i = 0; i < model->task_count; i++)
        table_put(&model->by_address, model->tasks[i].at, i);
}

/* ---- Threads that are at work ------------------------------------------------ */

uint64_t stack_pointer_of(const struct model *model, const struct registers *registers)
{
    (void)model;
#if defined(__x86_64__)
    return registers->words[19];
#elif defined(__aarch64__)
    return registers->words[31];
#else
    return registers->words[2];
#endif
}

static void take_registers(struct model *model, struct loop *loop)
{
    struct target *target = model->target;
    if (!target->ops->get_registers(target, loop->tid, &loop->registers))
        return;
    uint64_t sp = stack_pointer_of(model, &loop->registers);
    const struct mapping *mapping = find_mapping(target, sp);
    uint64_t end = 0;
    for (uint32_t i = 0; loop->current && i < loop->tasks && !end; i++)
        if (model->tasks[loop->first_task + i].state == TASK_RUNS)
            end = model->tasks[loop->first_task + i].stack_high;
    if (end <= sp || end - sp > STACK_BYTES_MAX)
        end = mapping && mapping->high - sp < STACK_BYTES_MAX ? mapping->high : sp + STACK_BYTES_MAX;
    memory_copy_stretch(model->memory, sp, end);
    loop->has_registers = true;
}

void model_take_registers(struct model *model)
{
    for (size_t i = 0; i < model->loop_count; i++)
        if (model->loops[i].current || !model->loops[i].is_sleeping)
            take_registers(model, &model->loops[i]);
    memory_sort_stretches(model->memory);
}

/* ---- Has it changed? --------------------------------------------------------- */

void model_mark_unsteady(struct model *model)
{
    const struct asyncio_debug_v1 *debug = &model->debug;
    struct block block;
    for (size_t i = 0; i < model->task_count; i++) {
        struct task *task = &model->tasks[i];
        read_block(model, &block, task->at, debug->task.size);
        task->is_unsteady = field(&block, debug->future.kind, 1) != debug->kind_task ||
                            field(&block, debug->task.id, 8) != task->id ||
                            field(&block, debug->task.steps, 8) != task->steps ||
                            field(&block, debug->task.wait, 8) != task->wait || task->state == TASK_RUNS;
    }
}

/* ---- Opening ---------------------------------------------------------------- */

enum exit_status model_open(struct model *model, struct target *target, struct memory *memory)
{
    *model = (struct model){.target = target, .memory = memory};
    model->descriptor_at = find_descriptor(target, memory);
    if (!model->descriptor_at) {
        fputs("asyncio: there is no libasyncio in it (or a version from before the debug descriptor)\n",
              stderr);
        return NO_DESCRIPTOR;
    }
    uint32_t size = memory_half(memory, model->descriptor_at + offsetof(struct asyncio_debug_v1, size));
    model->debug_bytes = size < sizeof model->debug ? size : (uint32_t)sizeof model->debug;
    memory_read(memory, model->descriptor_at, &model->debug, model->debug_bytes);
    if (model->debug.version != 1) {
        fprintf(stderr, "asyncio: its debug descriptor has version %u; this command knows version 1\n",
                model->debug.version);
        return NO_DESCRIPTOR;
    }
    if (model->debug.register_count > sizeof model->debug.registers / sizeof *model->debug.registers)
        model->debug.register_count = 0;
    return READ_WHOLE;
}

void model_free(struct model *model)
{
    for (size_t i = 0; i < model->kind_list_count; i++) {
        free(model->kind_list[i]->name);
        free(model->kind_list[i]);
    }
    for (size_t i = 0; i < model->site_list_count; i++) {
        free(model->site_list[i]->file);
        free(model->site_list[i]->function);
        free(model->site_list[i]);
    }
    for (size_t i = 0; i < model->name_count; i++)
        free(model->names[i]);
    free(model->names);
    free(model->kind_list);
    free(model->site_list);
    free(model->loops);
    free(model->tasks);
    free(model->room);
    free(model->edges);
    table_free(&model->kinds);
    table_free(&model->sites);
    table_free(&model->by_address);
    table_free(&model->by_id);
    text_free(&model->remark);
}

/* ---- Small questions --------------------------------------------------------- */

struct task *find_task(const struct model *model, uint64_t address)
{
    uint32_t i = table_find(&model->by_address, address);
    return i == UINT32_MAX || i >= model->task_count ? NULL : &model->tasks[i];
}

void name_task(const struct task *task, struct text *text)
{
    if (task->name && task->name[0])
        text_add_clean(text, task->name);
    else
        text_add(text, "Task-%llu", (unsigned long long)task->id);
}

double seconds_since(const struct model *model, const struct loop *loop, int64_t then_ns)
{
    int64_t now_ns = loop->is_virtual || !model->target->now_ns ? loop->now_ns : model->target->now_ns;
    return ((double)now_ns - (double)then_ns) / 1e9;
}
