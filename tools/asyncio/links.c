/*
 * Who waits for whom: awaits, children of groups and servers, owners of locks. And the cycles among them.
 */
#include "links.h"
#include <stdlib.h>
#include <string.h>

#define SCOPES_MAX 256
#define MEMBERS_MAX ((size_t)4 << 20)
#define EDGES_MAX ((size_t)16 << 20)

static void add_edge(struct model *model, struct task *from, const struct task *to, enum edge_kind kind)
{
    if (!to || model->edge_count >= EDGES_MAX)
        return;
    GROW(model->edges, model->edge_capacity, model->edge_count);
    model->edges[model->edge_count++] = (struct edge){(uint32_t)(to - model->tasks), kind};
    from->edge_count++;
}

/* Of at[0..3]: array, length, bytes an element, future in it. */
static void link_members(struct model *model, struct task *task)
{
    const uint32_t *at = task->kind->shape.at;
    uint64_t array = memory_word(model->memory, task->object + at[0]);
    uint64_t count = memory_word(model->memory, task->object + at[1]);
    for (uint64_t i = 0; array && i < count && i < MEMBERS_MAX && at[2]; i++) {
        uint64_t place = array + i * at[2] + at[3], future;
        if (!memory_read(model->memory, place, &future, sizeof future))
            break;
        add_edge(model, task, find_task(model, future), AWAITS);
    }
}

static void link_children(struct model *model, struct task *task, uint64_t object,
                          const struct wait_shape *shape, enum edge_kind kind)
{
    uint64_t head = object + shape->at[1], node = memory_word(model->memory, head), previous = head;
    for (size_t i = 0; node && node != head && i < MEMBERS_MAX; i++) {
        if (memory_word(model->memory, node + 8) != previous)
            break;
        add_edge(model, task, find_task(model, memory_word(model->memory, node + shape->at[2])), kind);
        previous = node;
        node = memory_word(model->memory, node);
    }
}

uint64_t lock_of_wait(struct model *model, const struct task *task, uint64_t *owner)
{
    const uint32_t *at = task->kind->shape.at;
    uint64_t lock = task->object, owner_at = at[0];
    if (task->kind->shape.kind == SHAPE_LOCK_OF) {
        lock = memory_word(model->memory, task->object + at[0]);
        lock = lock ? lock : task->object + at[1];
        owner_at = at[2];
    }
    *owner = memory_word(model->memory, lock + owner_at);
    return lock;
}

static void link_lock(struct model *model, struct task *task)
{
    uint64_t owner;
    lock_of_wait(model, task, &owner);
    uint32_t holder = owner ? table_find(&model->by_id, owner) : UINT32_MAX;
    if (holder != UINT32_MAX)
        add_edge(model, task, &model->tasks[holder], NEEDS_LOCK);
}

static void link_wait(struct model *model, struct task *task)
{
    if (task->state != TASK_WAITS || !task->kind)
        return;
    switch (task->kind->shape.kind) {
    case SHAPE_FUTURE:
        add_edge(model, task, find_task(model, task->object), AWAITS);
        break;
    case SHAPE_FUTURES:
    case SHAPE_CASES:
        link_members(model, task);
        break;
    case SHAPE_GROUP:
        link_children(model, task, task->object, &task->kind->shape, AWAITS);
        break;
    case SHAPE_SERVER:
        link_children(model, task, task->object, &task->kind->shape, OWNS);
        break;
    case SHAPE_LOCK:
    case SHAPE_LOCK_OF:
        link_lock(model, task);
        break;
    case SHAPE_WORDS:
        /* A descriptor from before the shapes tells no more than this. */
        if (!HAS(model, shape) && strcmp(task->kind->name, "await") == 0)
            add_edge(model, task, find_task(model, task->object), AWAITS);
        break;
    default:
        break;
    }
}

/* Groups that the task is in, whose children need not be waited for yet, and its innermost timeout. */
static void link_scopes(struct model *model, struct task *task)
{
    const struct asyncio_debug_v1 *debug = &model->debug;
    uint64_t scope = HAS(model, scope) ? task->scopes : 0;
    struct wait_shape group = {0};
    bool waits_in_group = task->state == TASK_WAITS && task->kind && task->kind->shape.kind == SHAPE_GROUP;
    if (scope && HAS(model, group) && debug->group)
        memory_read(model->memory, (uint64_t)(uintptr_t)debug->group + debug->shape.at, group.at,
                    sizeof group.at);
    for (size_t i = 0; scope && i < SCOPES_MAX; i++) {
        uint8_t kind = 0xff;
        memory_read(model->memory, scope + debug->scope.kind, &kind, 1);
        if (kind == debug->scope.is_group && group.at[1] && !(waits_in_group && scope == task->object))
            link_children(model, task, scope, &group, OWNS);
        if (kind == debug->scope.is_timeout) {
            int64_t deadline_ns = (int64_t)memory_word(model->memory, scope + debug->scope.timeout_deadline);
            task->timeout_ns = deadline_ns < task->timeout_ns ? deadline_ns : task->timeout_ns;
        }
        scope = memory_word(model->memory, scope + debug->scope.outer);
    }
}

static void name_owners(struct model *model)
{
    for (uint32_t i = 0; i < model->task_count; i++)
        for (uint32_t e = 0; e < model->tasks[i].edge_count; e++) {
            const struct edge *edge = &model->edges[model->tasks[i].first_edge + e];
            struct task *to = &model->tasks[edge->to];
            if (edge->kind != NEEDS_LOCK && to->owner == NOBODY && edge->to != i)
                to->owner = i;
        }
}

void touch_links(struct model *model)
{
    for (size_t i = 0; i < model->task_count; i++) {
        struct task *task = &model->tasks[i];
        if (!task->is_new)
            continue;
        link_wait(model, task);
        link_scopes(model, task);
        model->edge_count = 0;
    }
}

void model_link(struct model *model)
{
    model->edge_count = 0;
    model_index(model);
    table_free(&model->by_id);
    for (uint32_t i = 0; i < model->task_count; i++)
        table_put(&model->by_id, model->tasks[i].id, i);
    for (size_t i = 0; i < model->task_count; i++) {
        struct task *task = &model->tasks[i];
        task->owner = NOBODY;
        task->timeout_ns = INT64_MAX;
        task->first_edge = (uint32_t)model->edge_count;
        task->edge_count = 0;
        link_wait(model, task);
        link_scopes(model, task);
    }
    name_owners(model);
}

/* ---- Cycles ----------------------------------------------------------------- */

/* A walk in depth, without recursion. A task that is met while it is on the way closes a cycle. */
struct walk {
    struct model *model;
    uint8_t *colours; /* 0: not met; 1: on the way; 2: done */
    uint32_t *way, *next_edge;
    size_t length;
};

static void report_cycle(struct walk *walk, uint32_t closes_at, struct cycles *cycles)
{
    size_t from = walk->length;
    while (from > 0 && walk->way[from - 1] != closes_at)
        from--;
    from -= from > 0;
    size_t length = walk->length - from;
    GROW(cycles->all, cycles->capacity, cycles->count);
    struct cycle *cycle = &cycles->all[cycles->count++];
    cycle->tasks = must_alloc(length * sizeof *cycle->tasks);
    cycle->length = length;
    memcpy(cycle->tasks, walk->way + from, length * sizeof *cycle->tasks);
}

static void walk_from(struct walk *walk, uint32_t start, struct cycles *cycles)
{
    walk->way[0] = start;
    walk->next_edge[0] = 0;
    walk->length = 1;
    walk->colours[start] = 1;
    while (walk->length) {
        uint32_t at = walk->way[walk->length - 1];
        const struct task *task = &walk->model->tasks[at];
        uint32_t *next = &walk->next_edge[walk->length - 1];
        if (*next == task->edge_count) {
            walk->colours[at] = 2;
            walk->length--;
            continue;
        }
        const struct edge *edge = &walk->model->edges[task->first_edge + (*next)++];
        if (edge->kind == OWNS)
            continue;
        if (walk->colours[edge->to] == 1 && cycles->count < CYCLES_MAX)
            report_cycle(walk, edge->to, cycles);
        if (walk->colours[edge->to])
            continue;
        walk->colours[edge->to] = 1;
        walk->way[walk->length] = edge->to;
        walk->next_edge[walk->length] = 0;
        walk->length++;
    }
}

void find_cycles(struct model *model, struct cycles *cycles)
{
    size_t n = model->task_count;
    struct walk walk = {.model = model,
                        .colours = must_alloc(n),
                        .way = must_alloc(n * sizeof(uint32_t)),
                        .next_edge = must_alloc(n * sizeof(uint32_t))};
    *cycles = (struct cycles){0};
    for (uint32_t i = 0; i < n; i++)
        if (!walk.colours[i])
            walk_from(&walk, i, cycles);
    free(walk.colours);
    free(walk.way);
    free(walk.next_edge);
}

void free_cycles(struct cycles *cycles)
{
    for (size_t i = 0; i < cycles->count; i++)
        free(cycles->all[i].tasks);
    free(cycles->all);
}
