/*
 * Runners: run one coroutine from start to end, and shut down in order after it.
 */
#include "asyncio/runners.h"
#include "asyncio/coroutines.h"
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "asyncio/messages.h"
#include "asyncio/tasks.h"
#include "base/assert.h"
#include "core/contextvars.h"
#include "core/loop.h"
#include "core/message.h"
#include "core/task.h"
#include "fd/fd_table.h"
#include "run/interrupt.h"
#include "sys/sys.h"
#include "threads/loops.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define DEFAULT_GRACE_S 10.0

/* ---- Shutdown ------------------------------------------------------------------- */

/* The tasks that are left, each with a reference, and their number in *count. NULL: none are left, or
 * there is no memory. */
static asyncio_task **take_leftovers(asyncio_loop *loop, size_t *count)
{
    *count = 0;
    if (list_is_empty(&loop->tasks))
        return NULL;
    asyncio_task **tasks = asy_sys_alloc(loop->task_count * sizeof(asyncio_task *));
    if (!tasks)
        return NULL;
    LIST_EACH(node, &loop->tasks) {
        ASY_ASSERT(*count < loop->task_count);
        tasks[(*count)++] = asyncio_ref(LIST_ENTRY(node, asyncio_task, all));
    }
    return tasks;
}

static void cancel_leftovers(asyncio_loop *loop)
{
    loop->leftovers = 0;
    LIST_EACH(node, &loop->tasks) {
        LIST_ENTRY(node, asyncio_task, all)->flags |= TASK_LEFTOVER;
        loop->leftovers++;
    }
    LIST_EACH(node, &loop->tasks)
        asyncio_cancel(LIST_ENTRY(node, asyncio_task, all));
}

struct limit {
    asyncio_loop *loop;
    bool is_over;
};

static void end_grace(void *arg)
{
    struct limit *limit = arg;
    limit->is_over = true;
    asyncio_loop_stop(limit->loop);
}

/* Cancels the tasks that are left, and runs the loop until they have ended, and with them the functions in
 * executors that the shutdown waits for, or the grace is over. */
static void end_leftovers(asyncio_loop *loop, double grace)
{
    struct limit limit = {loop, false};
    asyncio_handle handle = {0};
    if (!isinf(grace)) {
        handle = asyncio_loop_call_later(loop, grace, end_grace, &limit);
        if (!asyncio_handle_valid(handle))
            end_grace(&limit); /* one iteration, then */
    }
    cancel_leftovers(loop);
    int err;
    do { /* a leftover may stop the loop, too */
        err = asyncio_loop_run_forever(loop);
    } while (!err && !limit.is_over && (loop->leftovers || asy_loop_is_owed(loop)));
    asyncio_handle_cancel(loop, handle);
}

static void report_leftover(asyncio_loop *loop, asyncio_task *task, double grace)
{
    if (!task->future.is_done) {
        task->future.flags |= FUTURE_QUIET; /* asyncio_loop_close need not say so again */
        const char *in = task->wait ? task->wait->kind->name : NULL;
        char time[64] = "";
        if (!isinf(grace))
            snprintf(time, sizeof time, " within %g s of", grace);
        asy_report_task(loop, task, 0, "task did not end%s being cancelled; it is abandoned%s%s",
                        *time ? time : " after", in ? "; it waits in " : "", in ? in : "");
    } else if (asy_is_failure(task->future.result) && !(task->future.flags & FUTURE_SEEN)) {
        task->future.flags |= FUTURE_SEEN;
        asy_report_task(loop, task, task->future.result,
                        "unhandled error during the shutdown of asyncio_run");
    }
}

static void report_owed_work(asyncio_loop *loop, double grace)
{
    if (loop->abroad.calls)
        asy_report_site(loop, NULL, 0,
                        "%zu call%s of other loops did not return within %g s of the end of asyncio_run; "
                        "abandoned",
                        loop->abroad.calls, loop->abroad.calls == 1 ? "" : "s", grace);
    if (loop->abroad.shutdown_work)
        asy_report_site(loop, NULL, 0,
                        "%zu function%s of executors did not return within %g s of the end of "
                        "asyncio_run; abandoned",
                        loop->abroad.shutdown_work, loop->abroad.shutdown_work == 1 ? "" : "s", grace);
}

static void shut_down(asyncio_loop *loop, const asyncio_run_options *options)
{
    double grace = options->shutdown_grace == 0 ? DEFAULT_GRACE_S : options->shutdown_grace;
    grace = grace < 0 ? 0 : grace;
    size_t count;
    loop->is_shutting_down = true;
    asy_loop_take_no_more(loop);
    asy_fd_owners_end(loop);
    asyncio_task **tasks = take_leftovers(loop, &count);
    if (!list_is_empty(&loop->tasks) || asy_loop_is_owed(loop))
        end_leftovers(loop, grace);
    if (list_is_empty(&loop->tasks)) { /* runs the callbacks of the tasks that ended last */
        asyncio_loop_stop(loop);
        asyncio_loop_run_forever(loop);
    }
    for (size_t i = 0; i < count; i++) {
        report_leftover(loop, tasks[i], grace);
        asyncio_release(tasks[i]);
    }
    asy_sys_free(tasks);
    report_owed_work(loop, grace);
    asyncio_loop_close(loop);
}

/* ---- Runner ------------------------------------------------------------------------ */

int asyncio_runner_init(asyncio_runner *runner, const asyncio_run_options *options)
{
    if (!runner)
        return -EINVAL;
    memset(runner, 0, sizeof *runner);
    if (options)
        runner->asyncio_options_ = *options;
    return asy_loop_new(options, &runner->asyncio_loop_);
}

asyncio_loop *asyncio_runner_get_loop(asyncio_runner *runner)
{
    return runner ? runner->asyncio_loop_ : NULL;
}

struct main_interrupt {
    struct interrupt interrupt;
    asyncio_loop *loop;
};

/* A run that is over may have left this callback in the queue, and the next run's struct may be in the same
 * place; but that one has seen no signal yet. */
static void cancel_main(void *arg)
{
    struct main_interrupt *interrupt = arg;
    if (asy_interrupt_is_seen(&interrupt->interrupt))
        asyncio_cancel(asy_running_loop->main);
}

/* Without a place for the callback, the signal counts as not come; the next one may find a place. */
static bool request_main_cancel(struct interrupt *interrupt)
{
    asyncio_loop *loop = LIST_ENTRY(interrupt, struct main_interrupt, interrupt)->loop;
    return asyncio_loop_call_soon_signalsafe(loop, cancel_main, interrupt) == 0;
}

/* Did the one request to cancel, from whatever it came, end main? */
static bool is_ended_by_request(const asyncio_task *main)
{
    return main->future.is_done && main->future.result == -ECANCELED && main->cancels == 1;
}

/* Runs until main is done. A verdict of the program's wait hook cancels main; a second one ends the run. */
static intptr_t run_until_main_is_done(asyncio_loop *loop, asyncio_task *main)
{
    loop->verdict = 0;
    intptr_t result = asyncio_loop_run_until_complete(loop, asyncio_ref(&main->future));
    int verdict = loop->verdict;
    if (!verdict)
        return result;
    asyncio_cancel(main);
    loop->verdict = 0;
    result = asyncio_loop_run_until_complete(loop, asyncio_ref(&main->future));
    return is_ended_by_request(main) ? verdict : result;
}

static intptr_t run_coroutine(asyncio_runner *runner, asyncio_coro *coro, int *signo)
{
    asyncio_loop *loop = runner->asyncio_loop_;
    if (!coro)
        return asy_null_awaited();
    if (!loop || asy_running_loop) {
        asyncio_coro_close(coro);
        return asyncio_raise(ASYNCIO_ESTATE, loop ? "asyncio_run: a loop runs in this thread already"
                                                  : "asyncio_runner_run: the runner is closed");
    }
    asy_loop_adopt(loop);
    asyncio_task *main = asyncio_loop_create_task(loop, coro);
    main->flags |= TASK_KEEP_STACK;
    if (runner->asyncio_begun_)
        asy_vars_put(&main->context, asy_vars_ref(runner->asyncio_context_));
    struct main_interrupt watch = {.interrupt.request = request_main_cancel, .loop = loop};
    asy_interrupt_install(&watch.interrupt, &runner->asyncio_options_);
    loop->main = main;
    intptr_t result = run_until_main_is_done(loop, main);
    loop->main = NULL;
    asy_interrupt_remove(&watch.interrupt);
    if (atomic_load(&watch.interrupt.signo) && is_ended_by_request(main)) {
        *signo = atomic_load(&watch.interrupt.signo);
        result = asy_interrupt_raise(&watch.interrupt);
    }
    asy_vars_put(&runner->asyncio_context_, asy_vars_ref(main->context));
    runner->asyncio_begun_ = true;
    asyncio_release(main);
    /* Nothing is left that could use main's frame: no task, and no function on another thread. */
    if (list_is_empty(&loop->tasks) && !asy_loop_is_owed(loop) && !asy_loop_unusable(loop))
        asy_loop_give_kept_stacks(loop);
    return result;
}

intptr_t asyncio_runner_run(asyncio_runner *runner, asyncio_coro *main)
{
    int signo = 0;
    if (runner)
        return run_coroutine(runner, main, &signo);
    asyncio_coro_close(main);
    return -EINVAL;
}

int asyncio_runner_close(asyncio_runner *runner)
{
    if (!runner)
        return -EINVAL;
    asyncio_loop *loop = runner->asyncio_loop_;
    if (!loop)
        return 0;
    asy_loop_check(loop, __func__);
    if (asy_loop_is_parents(loop))
        return (int)asyncio_raise(ASYNCIO_ESTATE,
                                  "asyncio_runner_close: the loop belongs to the parent process");
    if (loop->is_running || asy_running_loop)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "asyncio_runner_close: a loop runs in this thread");
    runner->asyncio_loop_ = NULL;
    shut_down(loop, &runner->asyncio_options_);
    asy_vars_put(&runner->asyncio_context_, NULL);
    asyncio_loop_release(loop);
    return 0;
}

/* ---- Run ------------------------------------------------------------------------------ */

static intptr_t run_main_once(asyncio_coro *main, const asyncio_run_options *options, int *signo)
{
    if (!main)
        return asy_null_awaited();
    if (asy_running_loop) {
        asyncio_coro_close(main);
        return asyncio_raise(ASYNCIO_ESTATE, "asyncio_run: a loop runs in this thread already");
    }
    asyncio_runner runner;
    int err = asyncio_runner_init(&runner, options);
    if (err) {
        asyncio_coro_close(main);
        return err;
    }
    intptr_t result = run_coroutine(&runner, main, signo);
    char message[256]; /* what fails in the shutdown has messages, too */
    snprintf(message, sizeof message, "%s", asyncio_error_message());
    asyncio_runner_close(&runner);
    return result < 0 ? asyncio_raise(result, "%s", message) : result;
}

intptr_t asyncio_run_with(asyncio_coro *main, const asyncio_run_options *options)
{
    int signo = 0;
    return run_main_once(main, options, &signo);
}

intptr_t asyncio_run(asyncio_coro *main)
{
    return asyncio_run_with(main, NULL);
}

int asyncio_main(asyncio_coro *main)
{
    asyncio_run_options options = {.handle_sigterm = 1};
    int signo = 0;
    intptr_t result = run_main_once(main, &options, &signo);
    if (signo)
        return 128 + signo;
    if (result >= 0)
        return 0;
    const char *words = asyncio_error_message();
    char line[512];
    int n = snprintf(line, sizeof line, "%s: %s (%s)\n", program_invocation_short_name,
                     *words ? words : asyncio_strerror(result), asyncio_errname(result));
    if (n > 0)
        asy_sys_write(2, line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1);
    return 1;
}
