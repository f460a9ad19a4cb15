/*
 * Checks of debug mode. See core/checks.h.
 */
#include "core/checks.h"
#include "base/sanitizer.h"
#include "core/loop.h"
#include "core/scope.h"
#include "core/switch.h"
#include "core/task.h"
#include "sys/sys.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_check(const asyncio_loop *loop, enum debug_check check)
{
    return loop->debug && loop->words.checks & check;
}

/* ---- block: steps that sleep --------------------------------------------------------------- */

/* A sleep as short is the kernel's own business: a page that another thread maps, say. */
#define SLEEP_NS_MIN 100000

/* Under Valgrind threads sleep for each other. */
static bool looks_for_sleeps(const asyncio_loop *loop)
{
    return has_check(loop, CHECK_BLOCK) && !RUNNING_ON_VALGRIND;
}

int64_t asy_checks_begin_excuse(const asyncio_loop *loop)
{
    return looks_for_sleeps(loop) ? asy_sys_own_sleeps() : -1;
}

void asy_checks_end_excuse(asyncio_loop *loop, int64_t begun)
{
    if (begun >= 0)
        loop->checks.excused += asy_sys_own_sleeps() - begun;
}

static void check_sleeps(asyncio_loop *loop, asyncio_task *task, int64_t begun, int64_t took_ns)
{
    int64_t sleeps = asy_sys_own_sleeps() - loop->checks.excused - begun;
    if (sleeps <= 0)
        return;
    loop->checks.excused += sleeps; /* the step around this one is not to blame */
    if (took_ns < SLEEP_NS_MIN)
        return;
    const char *times = sleeps == 1 ? "once" : "more than once";
    double took = (double)took_ns / 1e9;
    if (task)
        asy_report_task(loop, task, 0, "a step of %.6f seconds slept %s: it makes a call that blocks", took,
                        times);
    else
        asy_report_site(loop, NULL, 0, "a callback of %.6f seconds slept %s: it makes a call that blocks",
                        took, times);
}

/* ---- cancel: tasks that go on ----------------------------------------------------------------- */

#define WAITS_MAX 20
#define WAITS_TOLD UINT8_MAX
#define GOES_ON_NS_MAX INT64_C(5000000000)

/* Is a request on its way, or held back by a shield? */
static bool is_request_on_its_way(const asyncio_task *task)
{
    if (task->must_cancel || task->is_requested)
        return true;
    for (const asyncio_scope *scope = task->scopes; scope; scope = scope->outer)
        if (scope->pending)
            return true;
    return false;
}

/* A step is over. Groups wait for their children, whatever was requested. */
static void check_cancelled(asyncio_loop *loop, asyncio_task *task)
{
    if (task->future.is_done)
        return;
    if (!task->cancels) {
        task->waits_on = 0;
        return;
    }
    if (is_request_on_its_way(task) || task->waits_on == WAITS_TOLD ||
        (task->wait && task->wait->kind == &asy_wait_group))
        return;
    int64_t now_ns = asy_loop_now_ns(loop);
    if (!task->waits_on)
        task->went_on_ns = now_ns;
    int64_t since_ns = now_ns - task->went_on_ns;
    if (++task->waits_on <= WAITS_MAX && since_ns <= GOES_ON_NS_MAX)
        return;
    asy_report_task(loop, task, 0,
                    "a request to cancel was delivered, and the task has waited %u times since, for %.3f "
                    "seconds: it should return -ECANCELED, or call asyncio_task_uncancel",
                    task->waits_on, (double)since_ns / 1e9);
    task->waits_on = WAITS_TOLD;
}

/* ---- stacks: how deep they were ------------------------------------------------------------------ */

#define KINDS_MAX 1000

struct kind_of_task {
    const asyncio_coro_type *type;
    char name[64]; /* a copy: the coroutine's plugin may be gone by the close */
    size_t deepest, size;
    uint64_t tasks;
};

struct census {
    size_t count;
    struct kind_of_task kinds[KINDS_MAX];
};

/* NULL: no memory, or there are too many. */
static struct kind_of_task *find_kind(asyncio_loop *loop, const asyncio_coro_type *type)
{
    if (!loop->checks.census)
        loop->checks.census = asy_sys_calloc(1, sizeof *loop->checks.census);
    struct census *census = loop->checks.census;
    if (!census)
        return NULL;
    for (size_t i = 0; i < census->count; i++)
        if (census->kinds[i].type == type)
            return &census->kinds[i];
    if (census->count == KINDS_MAX)
        return NULL;
    struct kind_of_task *kind = &census->kinds[census->count++];
    kind->type = type;
    snprintf(kind->name, sizeof kind->name, "%s", type->site.func);
    return kind;
}

void asy_checks_measure(asyncio_loop *loop, const asyncio_task *task)
{
    struct asy_stack *stack = asy_stacks_find(loop->stacks, __builtin_frame_address(0));
    struct kind_of_task *kind = task->steps && stack ? find_kind(loop, task->type) : NULL;
    if (!kind)
        return; /* it had no stack, or cannot be counted */
    size_t size = (size_t)(stack->top - stack->low), depth = asy_stack_take_depth(loop->stacks, stack);
    if (task->flags & TASK_KEEP_STACK && depth > size / ASY_MAIN_GAP)
        depth -= size / ASY_MAIN_GAP;
    kind->tasks++;
    if (depth <= kind->deepest)
        return;
    kind->deepest = depth;
    kind->size = size;
}

static int compare_depths(const void *a, const void *b)
{
    size_t first = ((const struct kind_of_task *)a)->deepest;
    size_t second = ((const struct kind_of_task *)b)->deepest;
    return (first < second) - (first > second);
}

void asy_checks_close(asyncio_loop *loop)
{
    struct census *census = loop->checks.census;
    if (!census)
        return;
    loop->checks.census = NULL;
    qsort(census->kinds, census->count, sizeof *census->kinds, compare_depths);
    for (size_t i = 0; i < census->count; i++) {
        const struct kind_of_task *kind = &census->kinds[i];
        asy_report_site(loop, NULL, 0, "stacks of %s: %zu KiB of %zu, the deepest of %" PRIu64 " task%s",
                        kind->name, kind->deepest / 1024, (kind->size + 1023) / 1024, kind->tasks,
                        kind->tasks == 1 ? "" : "s");
    }
    asy_sys_free(census);
}

/* ---- All of them ------------------------------------------------------------------------------------ */

int64_t asy_checks_begin(asyncio_loop *loop, asyncio_task *task)
{
    if (task && !task->steps && has_check(loop, CHECK_STACKS))
        task->flags |= TASK_MEASURED;
    return looks_for_sleeps(loop) ? asy_sys_own_sleeps() - loop->checks.excused : -1;
}

void asy_checks_end(asyncio_loop *loop, asyncio_task *task, int64_t begun, int64_t took_ns)
{
    if (begun >= 0 && looks_for_sleeps(loop))
        check_sleeps(loop, task, begun, took_ns);
    if (task && has_check(loop, CHECK_CANCEL))
        check_cancelled(loop, task);
}
