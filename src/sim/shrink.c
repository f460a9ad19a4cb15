/*
 * Shrinking: a failure that needs less chance tells more. First tasks run in order; then features are turned
 * off, one by one; then a bisection finds after how many draws all others may be plain. Each step stays if
 * the run fails alike. What a run has not drawn need not be turned off.
 */
#include "sim/run.h"

#define TRIES_MAX 60

struct shrinking {
    struct sim_job job;
    struct sim_plan plan;
    intptr_t error;
    unsigned tries;
    struct sim_outcome outcome; /* of the latest run that failed alike */
};

/* Runs the plan. True: it fails as the first run did, and is the one to go on from. */
static bool fails_alike(struct shrinking *shrinking, const struct sim_job *job, const struct sim_plan *plan)
{
    struct sim_job tried = *job;
    struct sim_outcome outcome;
    if (shrinking->tries++ >= TRIES_MAX)
        return false;
    asy_sim_run_once(&tried, plan, NULL, NULL, &outcome);
    if (outcome.error != shrinking->error)
        return false;
    shrinking->job = tried;
    shrinking->plan = *plan;
    shrinking->outcome = outcome;
    return true;
}

static void try_order(struct shrinking *shrinking)
{
    struct sim_job job = shrinking->job;
    job.options.order = ASYNCIO_SIM_FIFO;
    if (shrinking->outcome.drawn >> SIM_ORDER & 1)
        fails_alike(shrinking, &job, &shrinking->plan);
}

static void try_features(struct shrinking *shrinking)
{
    static const enum sim_feature features[] = {SIM_LOSS,    SIM_RESET,     SIM_JITTER, SIM_PIECES,
                                                SIM_REORDER, SIM_DUPLICATE, SIM_WORK,   SIM_CHANCE};
    for (size_t i = 0; i < sizeof features / sizeof *features; i++) {
        struct sim_plan plan = shrinking->plan;
        plan.off |= 1u << features[i];
        if (shrinking->outcome.drawn >> features[i] & 1)
            fails_alike(shrinking, &shrinking->job, &plan);
    }
}

/* It fails with `high` draws, and does not with one less than past_low. */
static void bisect_draws(struct shrinking *shrinking)
{
    uint64_t past_low = 0, high = shrinking->outcome.draws;
    while (past_low < high) {
        struct sim_plan plan = shrinking->plan;
        plan.limit = past_low + (high - past_low) / 2;
        if (fails_alike(shrinking, &shrinking->job, &plan))
            high = plan.limit;
        else
            past_low = plan.limit + 1;
    }
    shrinking->plan.limit = high;
}

bool asy_sim_shrink(struct sim_job *job, struct sim_plan *plan, struct sim_failure *failure)
{
    struct shrinking shrinking = {.job = *job, .plan = *plan, .error = failure->outcome.error};
    if (!fails_alike(&shrinking, job, plan))
        return false; /* what made it fail is not in the seed */
    try_order(&shrinking);
    try_features(&shrinking);
    failure->draws = shrinking.outcome.draws;
    bisect_draws(&shrinking);
    failure->needed = shrinking.plan.limit;
    *job = shrinking.job;
    *plan = shrinking.plan;
    return true;
}
