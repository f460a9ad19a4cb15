/*
 * One call fails in each run, or all from one on. See sweep.h.
 */
#include "base/assert.h"
#include "sim/sweep.h"
#include "sys/sys.h"

/* A subject with more calls never ends, or is none for a sweep. */
#define CALLS_MAX 100000

void asy_sim_fault_begin(const struct sim_fault *fault)
{
    ASY_ASSERT(!fault->sticky || !fault->way);
    if (fault->sticky)
        asy_fault_arm(fault->at, true);
    else
        asy_fault_arm_way(fault->at, fault->way);
}

void asy_sim_fault_end(struct sim_fault *fault)
{
    asy_fault_disarm();
    fault->call = asy_fault.failed;
    fault->is_hit = fault->call != NULL;
    fault->error = asy_fault.error;
}

/* Each way in which a call fails is a run. The name, and with it how many ways there are, is known after the
 * first. False: the sweep ends; *is_hit says whether the call was made. */
static bool fail_call(bool (*run)(void *arg, struct sim_fault *fault), void *arg, struct sim_fault fault,
                      bool *is_hit)
{
    unsigned ways = 1;
    for (fault.way = 0; fault.way < ways; fault.way++) {
        if (!run(arg, &fault))
            return false;
        if (fault.way == 0)
            *is_hit = fault.is_hit;
        if (fault.way == 0 && !fault.sticky)
            ways = asy_fault_ways(fault.call);
    }
    return true;
}

bool asy_sim_each_fault(bool (*run)(void *arg, struct sim_fault *fault), void *arg)
{
    for (int sticky = 0; sticky <= 1; sticky++) {
        struct sim_fault fault = {.at = 1, .sticky = sticky};
        bool is_hit = true;
        for (; is_hit && fault.at <= CALLS_MAX; fault.at++)
            if (!fail_call(run, arg, fault, &is_hit))
                return false;
    }
    return true;
}
