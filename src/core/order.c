/*
 * The order of an iteration that is exact: it ends at a mark, and no number of entries does: callbacks that
 * are taken out of the queue meanwhile make none of those that come later a part of it. By seed the tasks are
 * put in random order; in a simulation its director has its own. Callbacks keep their places.
 */
#include "base/assert.h"
#include "core/debug.h"
#include "core/director.h"
#include "core/loop.h"
#include "sys/sys.h"

uint64_t asy_order_choose(asyncio_loop *loop, uint64_t bound)
{
    return loop->director ? loop->director->choose(loop, bound) : asy_random_below(&loop->random, bound);
}

static size_t shuffle_tasks(asyncio_loop *loop, struct ready **tasks, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)asy_random_below(&loop->random, i);
        struct ready *swapped = tasks[i - 1];
        tasks[i - 1] = tasks[j];
        tasks[j] = swapped;
    }
    return count;
}

/* Puts the entries back into the queue: callbacks where they were, tasks in their new order. Returns the link
 * behind the task at index `last`. */
static struct ready **requeue(asyncio_loop *loop, struct ready **all, size_t count, struct ready **tasks,
                              size_t last)
{
    struct ready **link = &loop->ready.first, **behind = NULL;
    size_t task_count = 0;
    for (size_t n = 0; n < count; n++) {
        struct ready *entry = all[n]->kind == READY_TASK ? tasks[task_count] : all[n];
        ready_relink(&loop->ready, entry, link);
        link = &entry->next;
        if (all[n]->kind == READY_TASK && task_count++ == last)
            behind = link;
    }
    ready_relink(&loop->ready, NULL, link);
    return behind;
}

/* Puts the mark at a place of the queue. */
static void insert_mark(asyncio_loop *loop, struct ready **link)
{
    struct ready *mark = &loop->iteration_end;
    ready_relink(&loop->ready, *link, &mark->next);
    *link = mark;
    loop->ready.count++;
}

/* Returns the place of the mark: the queue's end, unless the director lets only some of the tasks run. */
static struct ready **order_tasks(asyncio_loop *loop)
{
    size_t count = loop->ready.count, n = 0, task_count = 0;
    /* All entries as they stand, and the tasks among them. */
    struct ready **all = count < 2 ? NULL : asy_sys_alloc(2 * count * sizeof(struct ready *));
    if (!all)
        return loop->ready.end; /* in order, then */
    struct ready **tasks = all + count;
    for (struct ready *entry = loop->ready.first; entry; entry = entry->next) {
        ASY_ASSERT(n < count);
        all[n++] = entry;
        if (entry->kind == READY_TASK)
            tasks[task_count++] = entry;
    }
    size_t most = loop->director && task_count > 1 ? loop->director->arrange(loop, tasks, task_count)
                                                   : shuffle_tasks(loop, tasks, task_count);
    struct ready **behind = requeue(loop, all, count, tasks, most - 1);
    asy_sys_free(all);
    return most < task_count ? behind : loop->ready.end;
}

void asy_order_iteration(asyncio_loop *loop)
{
    struct ready **place = loop->is_seeded ? order_tasks(loop) : loop->ready.end;
    loop->iteration_end.kind = READY_END;
    loop->ready_then = SIZE_MAX;
    if (place == loop->ready.end)
        ready_push(&loop->ready, &loop->iteration_end);
    else
        insert_mark(loop, place);
}

/* ---- Directed -------------------------------------------------------------------------------- */

void asy_loop_direct(asyncio_loop *loop, const struct director *director)
{
    ASY_ASSERT(loop->backend->ops->is_virtual && !loop->is_running && loop->next_id == loop->last_id);
    loop->director = director;
    loop->is_seeded = loop->is_strict = true;
    loop->posts.is_watched = true;
    loop->next_id = 0;
    loop->last_id = UINT64_MAX;
    asy_debug_update(loop);
}
