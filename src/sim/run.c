/*
 * Runs of a scenario, a seed each. See asyncio/sim.h.
 */
#include "sim/run.h"
#include "asyncio/errors.h"
#include "asyncio/messages.h"
#include "core/loop.h"
#include "sim/world.h"
#include "sys/sys.h"
#include "sys/world.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_RUNS 100
#define DEFAULT_DEPTH 3
#define DEFAULT_REPEAT 10
#define DEFAULT_TIME_S 86400
#define DEFAULT_STEPS 1000000
/* So many steps of a run that is repeated are remembered; the hash covers the rest. */
#define LOG_STEPS 100000
#define TEXT_BYTES 8192

/* ---- Options -------------------------------------------------------------------------------- */

static void say(const char *text)
{
    asy_sys_write(STDERR_FILENO, text, strlen(text));
}

/* A number from the environment; 0: none. */
static uint64_t read_number(const char *variable)
{
    const char *text = secure_getenv(variable);
    char *end = NULL, words[160];
    if (!text || !*text)
        return 0;
    int saved = errno;
    errno = 0;
    uint64_t number = isdigit((unsigned char)*text) ? strtoull(text, &end, 0) : 0;
    bool is_number = number && !*end && !errno;
    errno = saved;
    if (is_number)
        return number;
    snprintf(words, sizeof words, "asyncio: %s is no number from 1 on, and counts as not set: %.80s\n",
             variable, text);
    say(words);
    return 0;
}

static int check_sim_options(const asyncio_sim_options *options)
{
    if ((unsigned)options->order > ASYNCIO_SIM_PCT)
        return (int)asyncio_raise(-EINVAL, "there is no order %d", (int)options->order);
    if (isnan(options->time_limit))
        return (int)asyncio_raise(-EINVAL, "time_limit is not a number");
    return asy_sim_link_check(&options->link);
}

static void fill_defaults(asyncio_sim_options *options)
{
    if (!options->depth)
        options->depth = DEFAULT_DEPTH;
    if (!options->repeat)
        options->repeat = DEFAULT_REPEAT;
    if (!options->step_limit)
        options->step_limit = DEFAULT_STEPS;
    if (options->time_limit == 0)
        options->time_limit = DEFAULT_TIME_S;
    if (options->time_limit < 0)
        options->time_limit = ASYNCIO_FOREVER;
    if (!options->trace)
        options->trace = secure_getenv("ASYNCIO_SIM_TRACE");
}

/* A seed from the environment is a run to replay: that one alone. */
static void choose_seeds(struct sim_batch *batch, size_t seeds)
{
    const asyncio_sim_options *options = &batch->job.options;
    uint64_t replayed = options->seed ? 0 : read_number("ASYNCIO_SIM_SEED");
    uint64_t wanted = options->runs ? options->runs : read_number("ASYNCIO_SIM_RUNS");
    batch->job.has_own_seed = options->seed != 0;
    batch->first = options->seed ? options->seed : replayed ? replayed : 1;
    batch->seeds = replayed ? 1 : wanted ? (size_t)wanted : seeds;
}

/* Relaxed: only a thread's own batch is sure to be counted, and more is not asked. */
static _Atomic unsigned batches;

bool asy_sim_is_alone(void)
{
    return atomic_load_explicit(&batches, memory_order_relaxed) == 1;
}

int asy_sim_batch_begin(struct sim_batch *batch, asyncio_coro *(*scenario)(void *arg), void *arg,
                        const asyncio_sim_options *options, size_t seeds)
{
    static const asyncio_sim_options defaults;
    memset(batch, 0, sizeof *batch);
    if (!scenario)
        return (int)asyncio_raise(-EINVAL, "there is no scenario");
    if (asy_running_loop)
        return (int)asyncio_raise(ASYNCIO_ESTATE, "a simulation begins outside a loop");
    batch->job = (struct sim_job){.scenario = scenario, .arg = arg, .options = options ? *options : defaults};
    int err = check_sim_options(&batch->job.options);
    if (err)
        return err;
    atomic_fetch_add_explicit(&batches, 1, memory_order_relaxed);
    asy_sim_deaths_watch();
    choose_seeds(batch, seeds);
    fill_defaults(&batch->job.options);
    for (int i = 0; i < 2 && batch->job.options.repeat > 0; i++)
        batch->logs[i] = (struct sim_log){asy_sim_alloc(LOG_STEPS * sizeof(struct sim_step)), 0, LOG_STEPS};
    return 0;
}

int asy_sim_batch_refuse(struct sim_batch *batch, int err, asyncio_sim_result *result)
{
    char text[sizeof result->text];
    snprintf(text, sizeof text, "asyncio: no simulation: %s: %.400s\n", asyncio_errname(err),
             asyncio_error_message());
    batch->result.error = err;
    say(text);
    memcpy(batch->result.text, text, sizeof text);
    if (result)
        *result = batch->result;
    return err;
}

/* 0 is no seed: it stands for none. */
bool asy_sim_batch_next(struct sim_batch *batch)
{
    if (batch->result.error || batch->seed_index == batch->seeds)
        return false;
    batch->seed = batch->first + batch->seed_index++;
    batch->seed += batch->seed < batch->first;
    return true;
}

/* ---- One of the runs ------------------------------------------------------------------------ */

static intptr_t settle_failure(struct sim_batch *batch, intptr_t error, const char *text)
{
    asyncio_sim_result *result = &batch->result;
    say(text);
    snprintf(result->text, sizeof result->text, "%s", text);
    return result->error = error;
}

static struct sim_failure describe_run(const struct sim_batch *batch, const char *what)
{
    return (struct sim_failure){
        .what = what, .seed = batch->seed, .run = batch->seed_index, .runs = batch->seeds};
}

/* Shrinks it, and runs what is left of it once more, to be told of the last draw, and for the trace. */
static intptr_t fail_run(struct sim_batch *batch, const struct sim_plan *plan, struct sim_failure *failure)
{
    struct sim_job job = batch->job;
    struct sim_plan again = *plan;
    struct sim_outcome outcome;
    char text[TEXT_BYTES];
    intptr_t error = failure->outcome.error;
    job.is_quiet = true;
    failure->draws = failure->outcome.draws;
    if (job.options.shrink >= 0 && failure->outcome.is_controlled)
        failure->is_shrunk = asy_sim_shrink(&job, &again, failure);
    if (failure->is_shrunk || job.options.trace) {
        again.tell_at = failure->needed;
        asy_sim_run_once(&job, &again, NULL, job.options.trace, &outcome);
        if (outcome.error == error)
            failure->outcome = outcome;
    }
    if (failure->is_shrunk)
        batch->result.draws = failure->needed;
    asy_sim_describe_failure(&batch->job, failure, text, sizeof text);
    return settle_failure(batch, error, text);
}

static intptr_t repeat_run(struct sim_batch *batch, const struct sim_plan *plan, struct sim_failure *failure)
{
    struct sim_job job = batch->job;
    struct sim_outcome again;
    char text[TEXT_BYTES];
    job.is_quiet = true;
    asy_sim_run_once(&job, plan, &batch->logs[1], NULL, &again);
    if (!again.is_controlled || again.hash == failure->outcome.hash)
        return 0;
    asy_sim_describe_difference(&batch->job, failure, &batch->logs[0], &batch->logs[1], text, sizeof text);
    return settle_failure(batch, -EILSEQ, text);
}

static void say_uncontrolled(struct sim_batch *batch)
{
    if (!batch->said_uncontrolled)
        say("asyncio: another thread posts to the simulation: its runs cannot be repeated\n");
    batch->said_uncontrolled = true;
}

intptr_t asy_sim_batch_run(struct sim_batch *batch, const char *what, size_t at)
{
    const struct sim_plan plan = {.seed = batch->seed, .limit = UINT64_MAX};
    struct sim_failure failure = describe_run(batch, what);
    int repeat = batch->job.options.repeat;
    batch->job.is_quiet = at != 0; /* failures are meant to happen */
    asy_sim_deaths_next(batch, at);
    bool is_repeated = repeat > 0 && batch->result.runs % (size_t)repeat == 0;
    asy_sim_run_once(&batch->job, &plan, is_repeated ? &batch->logs[0] : NULL, NULL, &failure.outcome);
    batch->result.runs++;
    batch->result.seed = batch->seed;
    batch->result.draws = failure.outcome.draws;
    batch->result.hash = failure.outcome.hash;
    batch->result.seconds = failure.outcome.seconds;
    batch->result.at = at;
    if (failure.outcome.error)
        return fail_run(batch, &plan, &failure);
    if (!failure.outcome.is_controlled)
        say_uncontrolled(batch);
    else if (is_repeated)
        return repeat_run(batch, &plan, &failure);
    return 0;
}

intptr_t asy_sim_batch_end(struct sim_batch *batch, asyncio_sim_result *result)
{
    atomic_fetch_sub_explicit(&batches, 1, memory_order_relaxed);
    asy_sim_deaths_unwatch();
    for (int i = 0; i < 2; i++)
        asy_sim_free(batch->logs[i].steps);
    if (!batch->result.error)
        batch->result.at = 0;
    if (result)
        *result = batch->result;
    return batch->result.error;
}

intptr_t asyncio_sim_run(asyncio_coro *(*scenario)(void *arg), void *arg, const asyncio_sim_options *options,
                         asyncio_sim_result *result)
{
    struct sim_batch batch;
    int err = asy_sim_batch_begin(&batch, scenario, arg, options, DEFAULT_RUNS);
    if (err)
        return asy_sim_batch_refuse(&batch, err, result);
    while (asy_sim_batch_next(&batch))
        asy_sim_batch_run(&batch, "", 0);
    return asy_sim_batch_end(&batch, result);
}
