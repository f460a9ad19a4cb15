/*
 * The public sweeps: for each seed the subject runs as it is, and then with a cancel, or a failing call, in
 * each place.
 */
#include "sim/sweep.h"
#include "asyncio/errors.h"
#include "sim/run.h"
#include <errno.h>
#include <stdio.h>

#define SWEEP_RUNS 10
#define SUSPENSIONS_MAX 100000
#define WHAT_BYTES 128

/* ---- Cancels --------------------------------------------------------------------------------- */

struct cancel_sweep {
    struct sim_batch batch;
    struct sim_cancel cancel;
    char what[WHAT_BYTES];
};

static asyncio_coro *make_cancel_main(void *arg)
{
    return asy_sim_cancel_main(&((struct cancel_sweep *)arg)->cancel);
}

static struct cancel_sweep *cancel_sweep_of(struct sim_job *job)
{
    return job->arg;
}

static void begin_nothing(struct sim_job *job)
{
    (void)job;
}

static void name_cancel(struct sim_job *job)
{
    struct cancel_sweep *sweep = cancel_sweep_of(job);
    const struct sim_cancel *cancel = &sweep->cancel;
    sweep->what[0] = '\0';
    if (cancel->has_fired)
        snprintf(sweep->what, sizeof sweep->what, "%s at suspension %u, in %s",
                 cancel->by_timeout ? "timed out" : "cancelled", cancel->at, cancel->in);
}

/* What the program's own check says. */
static intptr_t ask_check(const asyncio_sim_options *options, intptr_t result, void *arg)
{
    return options->check ? options->check(result, arg) : result;
}

static intptr_t judge_cancel(struct sim_job *job, intptr_t result)
{
    struct cancel_sweep *sweep = cancel_sweep_of(job);
    const struct sim_cancel *cancel = &sweep->cancel;
    /* The subject's own result has passed already. */
    if (cancel->has_fired && result == (cancel->by_timeout ? -ETIMEDOUT : -ECANCELED))
        return 0;
    return ask_check(&job->options, result, cancel->arg);
}

static const struct sim_sweep_kind cancel_kind = {begin_nothing, name_cancel, judge_cancel};

/* False: it failed. */
static bool sweep_suspensions(struct cancel_sweep *sweep, bool by_timeout)
{
    struct sim_cancel *cancel = &sweep->cancel;
    cancel->by_timeout = by_timeout;
    cancel->has_fired = true;
    for (cancel->at = 1; cancel->has_fired && cancel->at < SUSPENSIONS_MAX; cancel->at++)
        if (asy_sim_batch_run(&sweep->batch, sweep->what, cancel->at))
            return false;
    return true;
}

static void sweep_cancel_of_seed(struct cancel_sweep *sweep)
{
    sweep->cancel.at = 0;
    sweep->cancel.by_timeout = false;
    if (asy_sim_batch_run(&sweep->batch, sweep->what, 0))
        return;
    if (sweep_suspensions(sweep, /* by_timeout */ false))
        sweep_suspensions(sweep, /* by_timeout */ true);
}

intptr_t asyncio_sim_sweep_cancel(asyncio_coro *(*subject)(void *arg), void *arg,
                                  const asyncio_sim_options *options, asyncio_sim_result *result)
{
    struct cancel_sweep sweep = {.cancel = {.subject = subject, .arg = arg}};
    int err =
        asy_sim_batch_begin(&sweep.batch, subject ? make_cancel_main : NULL, &sweep, options, SWEEP_RUNS);
    if (err)
        return asy_sim_batch_refuse(&sweep.batch, err, result);
    sweep.batch.job.sweep = &cancel_kind;
    while (asy_sim_batch_next(&sweep.batch))
        sweep_cancel_of_seed(&sweep);
    return asy_sim_batch_end(&sweep.batch, result);
}

/* ---- Failing calls ------------------------------------------------------------------------------ */

struct fault_sweep {
    struct sim_batch batch;
    asyncio_coro *(*subject)(void *arg);
    void *arg;
    struct sim_fault fault;
    char what[WHAT_BYTES];
};

static asyncio_coro *make_fault_main(void *arg)
{
    const struct fault_sweep *sweep = arg;
    return sweep->subject(sweep->arg);
}

static struct fault_sweep *fault_sweep_of(struct sim_job *job)
{
    return job->arg;
}

static void begin_fault(struct sim_job *job)
{
    asy_sim_fault_begin(&fault_sweep_of(job)->fault);
}

static void end_fault(struct sim_job *job)
{
    struct fault_sweep *sweep = fault_sweep_of(job);
    struct sim_fault *fault = &sweep->fault;
    asy_sim_fault_end(fault);
    sweep->what[0] = '\0';
    if (fault->is_hit)
        snprintf(sweep->what, sizeof sweep->what, "call %llu%s failed: %s%s%s", (unsigned long long)fault->at,
                 fault->sticky ? " and all later ones" : "", fault->call, fault->error ? ", " : "",
                 fault->error ? asyncio_errname(fault->error) : "");
}

static intptr_t judge_fault(struct sim_job *job, intptr_t result)
{
    const struct fault_sweep *sweep = fault_sweep_of(job);
    if (sweep->fault.is_hit && !job->options.check)
        return 0;
    return ask_check(&job->options, result, sweep->arg);
}

static const struct sim_sweep_kind fault_kind = {begin_fault, end_fault, judge_fault};

static bool run_with_fault(void *arg, struct sim_fault *fault)
{
    struct fault_sweep *sweep = arg;
    sweep->fault = *fault;
    bool has_passed = !asy_sim_batch_run(&sweep->batch, sweep->what, fault->at);
    *fault = sweep->fault;
    return has_passed;
}

intptr_t asyncio_sim_sweep_faults(asyncio_coro *(*subject)(void *arg), void *arg,
                                  const asyncio_sim_options *options, asyncio_sim_result *result)
{
    struct fault_sweep sweep = {.subject = subject, .arg = arg};
    int err =
        asy_sim_batch_begin(&sweep.batch, subject ? make_fault_main : NULL, &sweep, options, SWEEP_RUNS);
    if (err)
        return asy_sim_batch_refuse(&sweep.batch, err, result);
    sweep.batch.job.sweep = &fault_kind;
    while (asy_sim_batch_next(&sweep.batch))
        /* Once as it is, first. */
        if (run_with_fault(&sweep, &(struct sim_fault){.at = 0}))
            asy_sim_each_fault(run_with_fault, &sweep);
    return asy_sim_batch_end(&sweep.batch, result);
}
