/*
 * Who waits for whom. See awaiters.h.
 */
#include "core/awaiters.h"
#include "asyncio/taskgroups.h"
#include "core/scope.h"
#include "core/task.h"
#include "sys/sys.h"
#include <stdlib.h>

static void add_awaiter(struct awaiters *awaiters, const asyncio_future *awaited, asyncio_task *task)
{
    if (!awaited || awaiters->is_incomplete)
        return;
    if (awaiters->count == awaiters->capacity) {
        size_t capacity = awaiters->capacity ? awaiters->capacity * 2 : 64;
        struct awaiter *all = asy_sys_realloc(awaiters->all, capacity * sizeof *all);
        if (!all) {
            awaiters->is_incomplete = true;
            return;
        }
        awaiters->all = all;
        awaiters->capacity = capacity;
    }
    awaiters->all[awaiters->count++] = (struct awaiter){awaited, task};
}

/* A field of a wait's object, where its shape says. */
static const void *field_of(const struct wait *wait, int i)
{
    return (const char *)wait->object + wait->kind->shape.at[i];
}

static void add_members(struct awaiters *awaiters, const struct wait *wait)
{
    const char *array = *(const char *const *)field_of(wait, 0);
    size_t count = *(const size_t *)field_of(wait, 1);
    const uint32_t *at = wait->kind->shape.at;
    for (size_t i = 0; array && i < count; i++)
        add_awaiter(awaiters, *(asyncio_future *const *)(const void *)(array + i * at[2] + at[3]),
                    wait->task);
}

static void add_children(struct awaiters *awaiters, const asyncio_scope *scope)
{
    const uint32_t *at = asy_wait_group.shape.at;
    const struct list *children = (const void *)((const char *)scope + at[1]);
    LIST_EACH(node, children)
        add_awaiter(awaiters, *(asyncio_future *const *)(const void *)((const char *)node + at[2]),
                    scope->task);
}

static void add_task(struct awaiters *awaiters, const asyncio_task *task)
{
    const struct wait *wait = task->wait;
    if (wait && wait->kind->shape.kind == SHAPE_FUTURE)
        add_awaiter(awaiters, wait->object, wait->task);
    if (wait && wait->kind->shape.kind == SHAPE_FUTURES)
        add_members(awaiters, wait);
    for (const asyncio_scope *scope = task->scopes; scope; scope = scope->outer)
        if (scope->kind == SCOPE_GROUP)
            add_children(awaiters, scope);
}

static int compare_awaiters(const void *a, const void *b)
{
    const struct awaiter *x = a, *y = b;
    if (x->awaited != y->awaited)
        return (uintptr_t)x->awaited < (uintptr_t)y->awaited ? -1 : 1;
    return x->task->id < y->task->id ? -1 : x->task->id > y->task->id;
}

/* A gather may have a child twice. */
static void drop_doubles(struct awaiters *awaiters)
{
    size_t kept = 0;
    for (size_t i = 0; i < awaiters->count; i++)
        if (!kept || compare_awaiters(&awaiters->all[kept - 1], &awaiters->all[i]) != 0)
            awaiters->all[kept++] = awaiters->all[i];
    awaiters->count = kept;
}

bool asy_awaiters_find(const asyncio_loop *loop, struct awaiters *awaiters)
{
    *awaiters = (struct awaiters){0};
    LIST_EACH(node, &loop->tasks)
        add_task(awaiters, LIST_ENTRY(node, asyncio_task, all));
    if (awaiters->is_incomplete)
        return false;
    if (awaiters->count)
        qsort(awaiters->all, awaiters->count, sizeof *awaiters->all, compare_awaiters);
    drop_doubles(awaiters);
    return true;
}

void asy_awaiters_free(struct awaiters *awaiters)
{
    asy_sys_free(awaiters->all);
}

const struct awaiter *asy_awaiters_of(const struct awaiters *awaiters, const asyncio_future *awaited)
{
    size_t low = 0, high = awaiters->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if ((uintptr_t)awaiters->all[middle].awaited < (uintptr_t)awaited)
            low = middle + 1;
        else
            high = middle;
    }
    return low < awaiters->count && awaiters->all[low].awaited == awaited ? &awaiters->all[low] : NULL;
}
