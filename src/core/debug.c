/*
 * Debug mode and instruments. With either, every step goes through the loop's own stack, and through here;
 * otherwise none does.
 */
#include "core/debug.h"
#include "asyncio/errors.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/cancel.h"
#include "core/checks.h"
#include "core/director.h"
#include "core/dump.h"
#include "core/loop.h"
#include "core/quarantine.h"
#include "core/switch.h"
#include "core/task.h"
#include "core/trace.h"
#include "sys/sys.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

void asy_debug_update(asyncio_loop *loop)
{
    loop->is_stepping = loop->debug || loop->instrument || loop->director;
    asy_dump_bind(loop, loop->debug);
    asy_watchdog_update(loop);
    if (loop->debug)
        atomic_store(&asy_debug_seen, true);
}

void asyncio_loop_set_debug(asyncio_loop *loop, bool on)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    loop->debug = on;
    asy_debug_update(loop);
}

bool asyncio_loop_get_debug(asyncio_loop *loop)
{
    if (!loop)
        return false;
    asy_loop_check(loop, __func__);
    return loop->debug;
}

void asyncio_loop_set_slow_callback_duration(asyncio_loop *loop, double seconds)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    if (seconds >= 0)
        loop->slow_ns = asy_ns_from_seconds(seconds);
}

void asyncio_loop_set_instrument(asyncio_loop *loop, const asyncio_instrument *instrument)
{
    if (!loop)
        return;
    asy_loop_check(loop, __func__);
    loop->instrument = instrument && instrument->event ? instrument : NULL;
    asy_debug_update(loop);
}

/* ---- Instruments --------------------------------------------------------------- */

void asy_trace_emit(asyncio_loop *loop, asyncio_trace_event *event)
{
    if (event->task)
        event->name = event->task->type->site.func;
    asyncio_task *hidden = asy_task_hide();
    loop->instrument->event(loop, event, loop->instrument->arg);
    asy_task_show(hidden);
}

/* ---- Steps ------------------------------------------------------------------------ */

/* What is looked at around a step or a callback. */
struct step_watch {
    int64_t checks, begun_ns;
    bool is_checked;
};

static struct step_watch begin_step_watch(asyncio_loop *loop, asyncio_task *task)
{
    struct step_watch watch = {.is_checked = loop->debug && loop->words.checks};
    if (watch.is_checked)
        watch.checks = asy_checks_begin(loop, task);
    watch.begun_ns = asy_sys_now_ns();
    return watch;
}

/* Did it take too long? By the system's clock: a virtual one stands still during a step. */
static bool end_step_watch(asyncio_loop *loop, asyncio_task *task, const struct step_watch *watch,
                           double *took)
{
    int64_t took_ns = asy_sys_now_ns() - watch->begun_ns;
    *took = (double)took_ns / 1e9;
    if (watch->is_checked)
        asy_checks_end(loop, task, watch->checks, took_ns);
    bool is_slow = loop->debug && took_ns >= loop->slow_ns;
    if (is_slow && loop->is_traced)
        asy_trace_slow(loop, task, took_ns);
    return is_slow;
}

static const char *name_wait(const asyncio_task *task)
{
    if (task->future.is_done)
        return NULL;
    return task->wait ? task->wait->kind->name : "ready";
}

void asy_step_hooks(asyncio_loop *loop, asyncio_task *task, void (*step)(asyncio_loop *, asyncio_task *))
{
    ASY_ASSERT_TASK(loop->is_stepping, task);
    task->future.refs++; /* it may end in this step */
    if (loop->instrument)
        asy_trace(loop, ASYNCIO_TRACE_STEP_BEGIN, task);
    struct step_watch watch = begin_step_watch(loop, task);
    step(loop, task);
    double took;
    if (end_step_watch(loop, task, &watch, &took))
        asy_report_task(loop, task, 0, "a step took %.3f seconds without waiting", took);
    if (loop->instrument) {
        asyncio_trace_event event = {.task = task};
        event.kind = task->future.is_done ? ASYNCIO_TRACE_TASK_DONE : ASYNCIO_TRACE_STEP_END;
        event.what = name_wait(task);
        event.result = task->future.is_done ? task->future.result : 0;
        asy_trace_emit(loop, &event);
    }
    if (loop->director)
        loop->director->stepped(loop, task, name_wait(task));
    asy_future_unref(&task->future);
}

void asy_callback_hooks(asyncio_loop *loop, struct callback *callback)
{
    if (loop->instrument)
        asy_trace(loop, ASYNCIO_TRACE_CALLBACK, NULL);
    struct step_watch watch = begin_step_watch(loop, NULL);
    callback->kind->run(callback);
    double took;
    if (end_step_watch(loop, NULL, &watch, &took))
        asy_report_site(loop, NULL, 0, "a callback took %.3f seconds", took);
    if (loop->director)
        loop->director->stepped(loop, NULL, NULL);
}

/* ---- In words ---------------------------------------------------------------------- */

const char *asy_debug_name(const asyncio_task *task, char made[ASY_DEBUG_NAME])
{
    if (task->name)
        return task->name;
    snprintf(made, ASY_DEBUG_NAME, "Task-%llu", (unsigned long long)task->id);
    return made;
}

static const char *describe_no_wait(const asyncio_task *task)
{
    bool is_here;
    if (task->future.is_done)
        return "has ended";
    if (!task->fiber.sp)
        return "has not begun";
    asy_task_place(task, &is_here);
    if (is_here)
        return "runs";
    return asy_eager_start_of(task) ? "starts an eager task" : "is ready";
}

void asy_debug_describe(const asyncio_task *task, char *text, size_t bytes)
{
    const struct wait *wait = task->wait;
    if (!wait) {
        snprintf(text, bytes, "%s", describe_no_wait(task));
        return;
    }
    const asyncio_future *awaited = wait->object;
    char more[128] = "", name[ASY_DEBUG_NAME];
    if (wait->kind->describe)
        wait->kind->describe(wait, more, sizeof more);
    if (wait->kind != &asy_wait_await)
        snprintf(text, bytes, "waits in %s%s", wait->kind->name, more);
    else if (awaited->kind == OBJECT_TASK)
        snprintf(text, bytes, "awaits task '%s'", asy_debug_name(wait->object, name));
    else if (awaited->site)
        snprintf(text, bytes, "awaits a future made at %s:%d", awaited->site->file, awaited->site->line);
    else
        snprintf(text, bytes, "awaits a future");
}

/* ---- Deadlocks ---------------------------------------------------------------------- */

void asy_deadlock_report(asyncio_loop *loop)
{
    if (list_is_empty(&loop->tasks))
        return;
    asy_report_site(loop, NULL, 0, "deadlock: %zu task%s, and nothing left that could wake one",
                    loop->task_count, loop->task_count == 1 ? " waits" : "s wait");
    size_t told = 0;
    LIST_EACH(node, &loop->tasks) {
        asyncio_task *task = LIST_ENTRY(node, asyncio_task, all);
        char text[ASY_DEBUG_WORDS];
        asy_debug_describe(task, text, sizeof text);
        asy_report_task(loop, task, 0, "%s %s%s", asyncio_task_name(task), text,
                        asy_cancel_is_circle(task) ? ", in a circle" : "");
        if (++told == 20)
            break;
    }
}
