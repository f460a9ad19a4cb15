/*
 * The C half: runs the scenarios named, or all, and prints their logs.
 */
#include "parity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const asyncio_run_options virtual_options = {.clock = ASYNCIO_CLOCK_VIRTUAL};
static struct scenario *scenarios, **scenarios_end = &scenarios;
static double begun; /* the loop's time when the scenario began */

void scenario_add(struct scenario *scenario)
{
    *scenarios_end = scenario;
    scenarios_end = &scenario->next;
}

/* ---- Saying ---- */

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void said(void *arg)
{
    say("%s", (const char *)arg);
}

void said_at(void *arg)
{
    say("%s at %g", (const char *)arg, now());
}

const char *text(intptr_t outcome)
{
    static char texts[8][32];
    static unsigned turn;
    char *out = texts[turn++ % 8];

    switch (outcome) {
    case -ECANCELED:
        return "cancelled";
    case -ETIMEDOUT:
        return "timeout";
    case -EINVAL:
    case ASYNCIO_ESTATE:
        return "refused";
    }
    snprintf(out, sizeof texts[0], outcome < 0 ? "error %" PRIdPTR : "%" PRIdPTR,
             outcome < 0 ? -outcome : outcome);
    return out;
}

const char *gathered(int status, const intptr_t results[], size_t n)
{
    static char list[256];
    size_t used = 0;

    if (status)
        return text(status);
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "[", text(results[i]));
    snprintf(list + used, sizeof list - used, n ? "]" : "[]");
    return list;
}

double now(void)
{
    return asyncio_time() - begun;
}

double now_of(asyncio_loop *loop)
{
    return asyncio_loop_time(loop) - begun;
}

/* ---- Coroutines that many scenarios use ---- */

ASYNC_DEFINE(ticker, int, n)
{
    for (int i = 1; i <= n; i++) {
        say("tick %d", i);
        int err = asyncio_sleep(0);
        if (err)
            return err;
    }
    return 0;
}

ASYNC_DEFINE(says, const char *, what, intptr_t, value)
{
    say("%s", what);
    return value;
}

ASYNC_DEFINE(nap, double, delay)
{
    return asyncio_sleep(delay);
}

ASYNC_DEFINE(sleeper, const char *, name, double, delay, intptr_t, value)
{
    int err = asyncio_sleep(delay);

    say("%s: %s at %g", name, text(err), now());
    return err ? err : value;
}

ASYNC_DEFINE(fails, double, delay, intptr_t, code)
{
    int err = asyncio_sleep(delay);

    return err ? err : -code;
}

ASYNC_DEFINE(waiter, const char *, name, asyncio_future *, future)
{
    intptr_t outcome = asyncio_await(future);

    say("%s: %s", name, text(outcome));
    return outcome;
}

ASYNC_DEFINE(task_waiter, const char *, name, asyncio_task *, task)
{
    intptr_t outcome = asyncio_await(task);

    say("%s: %s", name, text(outcome));
    return outcome;
}

intptr_t ends(asyncio_task *task)
{
    intptr_t outcome = asyncio_await(asyncio_ref(task));

    say("main: %s, cancelled %d, cancelling %d, at %g", text(outcome), asyncio_cancelled(task),
        asyncio_task_cancelling(task), now());
    asyncio_release(task);
    return 0;
}

/* ---- The runs ---- */

/* The exception handler of every loop: no report goes unseen. */
static void report(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop;
    (void)arg;
    say("report: %s", context->error ? text(context->error) : context->message);
}

ASYNC(run_main, const struct scenario *, scenario)
{
    begun = asyncio_time();
    asyncio_loop_set_exception_handler(asyncio_get_running_loop(), report, NULL);
    return asyncio_await(scenario->main());
}

static void run(const struct scenario *scenario)
{
    say("== %s", scenario->name);
    if (scenario->main) {
        intptr_t outcome = asyncio_run_with(run_main(scenario), &virtual_options);
        if (outcome < 0)
            say("run: %s", text(outcome));
        return;
    }
    asyncio_loop *loop = asyncio_loop_new(&virtual_options);
    begun = asyncio_loop_time(loop);
    asyncio_loop_set_exception_handler(loop, report, NULL);
    scenario->with_loop(loop);
    asyncio_loop_close(loop);
    asyncio_loop_release(loop);
}

static bool is_named(const char *name, int argc, char *argv[])
{
    for (int i = 1; i < argc; i++)
        if (!strcmp(name, argv[i]))
            return true;
    return argc < 2;
}

int main(int argc, char *argv[])
{
    setvbuf(stdout, NULL, _IOLBF, 0); /* a crash loses no line */
    for (const struct scenario *scenario = scenarios; scenario; scenario = scenario->next)
        if (is_named(scenario->name, argc, argv))
            run(scenario);
    return 0;
}
