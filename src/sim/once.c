/*
 * One run of a scenario: a world and a loop, from start to end, and what it leaves.
 */
#include "asyncio/errors.h"
#include "asyncio/events.h"
#include "asyncio/messages.h"
#include "asyncio/runners.h"
#include "asyncio/trace.h"
#include "core/loop.h"
#include "core/report.h"
#include "sim/blocks.h"
#include "sim/run.h"
#include "sim/world.h"
#include "sys/net.h"
#include <stdio.h>
#include <string.h>

/* Finds leaks of the program; there with the address sanitizer only. */
__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

/* What a run has left. */
struct leftovers {
    size_t tasks, objects, unstarted;
    size_t blocks, bytes; /* of the library's memory */
};

/* What runs on a host that has crashed is only cleaning up: nobody is there to whom its errors matter. */
static void say_of_living(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)arg;
    if (!asy_sim_world_is_down_here())
        asy_report(loop, context); /* a line on stderr, since the handler does not handle its own */
}

static void say_nothing(asyncio_loop *loop, const asyncio_exception_context *context, void *arg)
{
    (void)loop, (void)context, (void)arg;
}

static void begin_run_trace(asyncio_loop *loop, const char *trace, struct sim_outcome *outcome)
{
    if (!trace || !*trace)
        return;
    asy_sys_unlink(trace);
    int err = asyncio_loop_trace(loop, trace, 0);
    if (err)
        snprintf(outcome->trace_words, sizeof outcome->trace_words, "no trace %s: %s", trace,
                 asyncio_strerror(err));
}

static void run_scenario(struct sim_job *job, asyncio_runner *runner, struct sim_outcome *outcome)
{
    asyncio_loop *loop = asyncio_runner_get_loop(runner);
    if (job->sweep)
        job->sweep->begin(job);
    outcome->result = asyncio_runner_run(runner, job->scenario(job->arg));
    if (outcome->result < 0)
        snprintf(outcome->words, sizeof outcome->words, "%s", asyncio_error_message());
    outcome->seconds = (double)asy_sim_run_now_ns() / 1e9;
    outcome->is_controlled = !atomic_load(&loop->posts.has_foreign);
}

/* Closes the loop, and counts what is left of it. */
static void end_scenario(struct sim_job *job, asyncio_runner *runner, struct leftovers *left)
{
    asyncio_loop *loop = asyncio_runner_get_loop(runner);
    asy_sim_direct_shutdown();
    asy_loop_hold(loop); /* its counts are read when it is closed */
    asyncio_runner_close(runner);
    if (job->sweep)
        job->sweep->end(job);
    asy_sim_direct_end();
    left->tasks = loop->task_count;
    left->objects = loop->objects - loop->task_count;
    left->unstarted = loop->unstarted;
    asy_loop_let_go(loop);
}

static int run_in_world(struct sim_job *job, const char *trace, struct sim_outcome *outcome,
                        struct leftovers *left)
{
    const asyncio_run_options options = {
        .clock = ASYNCIO_CLOCK_VIRTUAL, .seed = 1, .handle_sigint = -1, .overflow_report = 0};
    asyncio_runner runner;
    int err = asyncio_runner_init(&runner, &options);
    if (err)
        return err;
    asyncio_loop *loop = asyncio_runner_get_loop(&runner);
    asy_sim_direct(loop, job, outcome);
    asyncio_loop_set_exception_handler(loop, job->is_quiet ? say_nothing : say_of_living, NULL);
    begin_run_trace(loop, trace, outcome);
    run_scenario(job, &runner, outcome);
    end_scenario(job, &runner, left);
    return 0;
}

/* Sockets that are there after the loop were made or kept without it. */
static void end_world(struct sim_outcome *outcome)
{
    char words[sizeof outcome->socket_words];
    asy_sim_world_open(words, sizeof words); /* finds those that are lost */
    outcome->lost = asy_sim_world_lost(outcome->lost_words, sizeof outcome->lost_words);
    size_t sockets = asy_sim_world_end(words, sizeof words);
    if (outcome->sockets >= sockets)
        return;
    outcome->sockets = sockets;
    memcpy(outcome->socket_words, words, sizeof words);
}

/* ---- Judging it ------------------------------------------------------------------------------ */

static intptr_t judge_scenario(struct sim_job *job, const struct sim_outcome *outcome)
{
    intptr_t verdict = outcome->result;
    if (outcome->verdict)
        return outcome->verdict;
    if (job->sweep)
        verdict = job->sweep->judge(job, outcome->result);
    else if (job->options.check)
        verdict = job->options.check(outcome->result, job->arg);
    return verdict < 0 ? verdict : 0;
}

/* `what` is one of them; a "|" in it is where many have an "s", which they else have at the end. */
static void append_count(char *text, size_t bytes, size_t count, const char *what)
{
    size_t used = strlen(text), stem = strcspn(what, "|");
    const char *rest = what[stem] ? what + stem + 1 : "";
    if (count)
        snprintf(text + used, bytes - used, "%s%zu %.*s%s%s", used ? ", " : "", count, (int)stem, what,
                 count == 1 ? "" : "s", rest);
}

/* LeakSanitizer does not see what a thread has on its own stack while a task runs on another one. */
static bool has_leak(void)
{
    return __lsan_do_recoverable_leak_check && asy_sim_is_alone() && __lsan_do_recoverable_leak_check();
}

/* What is left of a run that passed else is a failure of its own. */
static intptr_t judge_leftovers(const struct leftovers *left, struct sim_outcome *outcome)
{
    char what[sizeof outcome->words] = "";
    append_count(what, sizeof what, outcome->sockets, "socket");
    append_count(what, sizeof what, left->tasks, "task");
    append_count(what, sizeof what, left->objects, "reference| to a task or future");
    append_count(what, sizeof what, left->unstarted, "coroutine| that was never awaited");
    /* All of the others have blocks; and a thread of the program's may yet free some. */
    if (!*what && left->blocks && outcome->is_controlled)
        snprintf(what, sizeof what, "%zu block%s of the library's memory, %zu bytes", left->blocks,
                 left->blocks == 1 ? "" : "s", left->bytes);
    if (!*what && !outcome->lost && has_leak())
        snprintf(what, sizeof what, "memory");
    if (!*what)
        return outcome->lost ? ASYNCIO_EINCOMPLETE : 0; /* the report has them in any case */
    snprintf(outcome->words, sizeof outcome->words, "left behind: %.150s%s%.80s", what,
             *outcome->socket_words ? ": " : "", outcome->socket_words);
    return ASYNCIO_EINCOMPLETE;
}

void asy_sim_run_once(struct sim_job *job, const struct sim_plan *plan, struct sim_log *log,
                      const char *trace, struct sim_outcome *outcome)
{
    struct leftovers left = {0};
    memset(outcome, 0, sizeof *outcome);
    outcome->is_controlled = true;
    asy_sim_draws_begin(plan, asy_sim_run_now_ns);
    asy_sim_history_begin(asy_sim_run_now_ns, log);
    asy_sim_notes_begin();
    int err = asy_sim_world_begin(&job->options);
    if (!err) {
        err = run_in_world(job, trace, outcome, &left);
        left.blocks = asy_sim_blocks_left(&left.bytes);
        end_world(outcome);
    }
    asy_sim_history_end();
    asy_sim_draws_end();
    outcome->draws = asy_sim_draws_count();
    outcome->drawn = asy_sim_draws_features();
    outcome->hash = asy_sim_hash();
    snprintf(outcome->told, sizeof outcome->told, "%s", asy_sim_told());
    outcome->error = err ? err : judge_scenario(job, outcome);
    if (err)
        snprintf(outcome->words, sizeof outcome->words, "%s", asyncio_error_message());
    if (!outcome->error)
        outcome->error = judge_leftovers(&left, outcome);
    if (outcome->error)
        asy_sim_notes_write(outcome->notes, sizeof outcome->notes);
}
